"""The address list: which of its entries decides about an address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from app.records import AddressList


class AddressRules:
    """The enabled entries of the address list; of those that fit the one with the longest network decides."""

    def __init__(self, entries: Iterable[AddressList] = ()) -> None:
        self._networks = [(ipaddress.ip_network(entry.network), entry) for entry in entries if entry.enabled]
        self._networks.sort(key=lambda pair: -pair[0].prefixlen)

    def entry_for(self, host: str) -> AddressList | None:
        """The entry that decides about an address; None where none fits, or it is no address."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return None
        for network, entry in self._networks:
            if network.version == address.version and address in network:
                return entry
        return None
