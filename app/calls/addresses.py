"""Which of our addresses a peer is told, in SIP and in SDP, and which host names are ours."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from app.hosts import WILDCARDS, bracketed
from app.records import System
from app.sip.flow import Flow

MAXIMUM_REMEMBERED = 20_000
"""So many peers' answers are remembered; then all are forgotten and worked out again."""

_NO_ADDRESS = (*WILDCARDS, "")


def _other_family(external: str, local: str) -> bool:
    """Whether an external address is of no use to who speaks to a local one: IPv4 for IPv6, or the other way round."""
    try:
        return ipaddress.ip_address(external).version != ipaddress.ip_address(local).version
    except ValueError:
        return False


class Addresses:
    """Our own addresses as each peer should see them.

    Peers inside the local networks are told the address that the kernel would use towards them; all others the
    external one, when the system record names one. Signalling and media have an external address each, so that a
    phone in the office is never told to send its BYE to the public address.
    """

    def __init__(self, system: System, local_address_towards: Callable[[str], str]) -> None:
        self._local_address_towards = local_address_towards
        self._remembered: dict[tuple[str, str], str] = {}
        self._sent_by: dict[Flow, str] = {}
        self.configure(system)

    def configure(self, system: System) -> None:
        """Take a changed system record."""
        self._system = system
        self._networks = [ipaddress.ip_network(network) for network in system.local_networks]
        self._remembered.clear()
        self._sent_by.clear()
        names = {system.domain, system.external_signalling_address, system.sip_address, "localhost"}
        self._own_names = {name.lower() for name in names if name and name not in _NO_ADDRESS}

    def is_local(self, host: str) -> bool:
        """Whether an address is inside the local networks; a host name is not."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks if network.version == address.version)

    def signalling_host(self, flow: Flow) -> str:
        """The host that a peer on this flow is told in Via and Contact, IPv6 in brackets."""
        key = (flow.local_host, flow.remote_host)
        host = self._remembered.get(key)
        if host is None:
            if len(self._remembered) >= MAXIMUM_REMEMBERED:
                self._remembered.clear()
            host = self._work_out(flow.local_host, flow.remote_host)
            self._remembered[key] = host
        return host

    def _work_out(self, local_host: str, remote_host: str) -> str:
        external = self._system.external_signalling_address
        if external and not self.is_local(remote_host):
            return bracketed(external)
        if local_host in _NO_ADDRESS:
            local_host = self._local_address_towards(remote_host)
            self._own_names.add(local_host)
        return bracketed(local_host)

    def sent_by(self, flow: Flow) -> str:
        """`host:port` for Via and Contact towards a peer on this flow."""
        text = self._sent_by.get(flow)
        if text is None:
            if len(self._sent_by) >= MAXIMUM_REMEMBERED:
                self._sent_by.clear()
            text = self._sent_by[flow] = f"{self.signalling_host(flow)}:{flow.local_port}"
        return text

    def media_addresses(self, remote_host: str, flow: Flow) -> tuple[str, str]:
        """(the local address to bind for audio towards a peer, the address to tell it)."""
        local = flow.local_host
        if local in _NO_ADDRESS:
            local = self._local_address_towards(remote_host)
        external = self._system.external_media_address
        if not external or self.is_local(remote_host) or _other_family(external, local):
            return local, local
        return local, external

    def is_own_host(self, host: str, flow: Flow) -> bool:
        """Whether a URI's host names this server: its domain, or an address that it is reached at."""
        bare = host.strip("[]").lower()
        return bare in self._own_names or bare == flow.local_host or bare == self.signalling_host(flow).strip("[]")
