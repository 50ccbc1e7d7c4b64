"""Who sent a request: trunk by address, external line, trusted user, or somebody who must show a password."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import NamedTuple

from app.dialplan.request import Source
from app.records import Configuration, ExternalLine, LocalUser, SipTrunk

MAXIMUM_REMEMBERED = 20_000
"""So many addresses' answers are remembered; then all are forgotten and worked out again."""

SHORTEST_NUMBER = 5
"""Digits: shorter ones are the end of too many numbers to be taken for one that is written with its area."""

AddressesOf = Callable[[str], tuple[str, ...]]
"""The addresses that a host name is known to have now."""


class _Peer(NamedTuple):
    """What is known of an address."""

    trunk_by_port: dict[int, SipTrunk]
    trunk: SipTrunk | None
    lines: tuple[ExternalLine, ...]
    user: LocalUser | None
    disabled: str
    """`SIP trunk 1 is disabled`, when that is the reason why nobody is known here."""


class Sources:
    """Answers who an address is (design section 6): built anew for each configuration and each DNS change."""

    def __init__(self, configuration: Configuration, addresses_of: AddressesOf) -> None:
        self._by_address: dict[str, list[SipTrunk]] = {}
        self._networks: list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, SipTrunk]] = []
        self._lines: dict[str, list[ExternalLine]] = {}
        self._users: dict[str, LocalUser] = {}
        self._remembered: dict[str, _Peer] = {}
        for trunk in configuration.records(SipTrunk):
            for address in _addresses(trunk.server_address, addresses_of):
                self._by_address.setdefault(address, []).append(trunk)
            for network in trunk.trusted_networks:
                self._networks.append((ipaddress.ip_network(network), trunk))
        # The longest network first, so that the first that fits decides.
        self._networks.sort(key=lambda pair: (-pair[0].prefixlen, pair[1].id))
        for line in configuration.records(ExternalLine):
            if line.enabled:
                for address in _addresses(line.server_address, addresses_of):
                    self._lines.setdefault(address, []).append(line)
        for user in configuration.records(LocalUser):
            if user.enabled and user.trusted_address:
                self._users.setdefault(user.trusted_address, user)

    def trunk_at(self, host: str, port: int) -> SipTrunk | None:
        """The enabled trunk that an address belongs to: by address and port, by address, by the longest network."""
        peer = self._peer(host)
        return peer.trunk_by_port.get(port, peer.trunk)

    def identify(self, host: str, port: int, called: Iterable[str]) -> Source | None:
        """Whose request this is, None when a password must show it.

        `called`: whom it names as called, best first; only read where several lines have the address.
        """
        peer = self._peer(host)
        trunk = peer.trunk_by_port.get(port, peer.trunk)
        if trunk is not None:
            return Source.trunk(trunk.id)
        if peer.lines:
            # Providers often call the number, not the account; with one line at a server there is no doubt.
            line = peer.lines[0] if len(peer.lines) == 1 else _line_called(peer.lines, tuple(called))
            if line is not None:
                return Source.line(line.id)
        if peer.user is not None:
            return Source.user(peer.user.number)
        return None

    def is_trusted(self, host: str) -> bool:
        """Whether the address belongs to a trunk, a line's server or a trusted user: it is never banned."""
        peer = self._peer(host)
        return peer.trunk is not None or bool(peer.trunk_by_port) or bool(peer.lines) or peer.user is not None

    def why_unknown(self, host: str) -> str:
        """Why an address is nobody's, in words."""
        peer = self._peer(host)
        if peer.lines:
            which = " and ".join(str(line.id) for line in peer.lines[:5])
            return f"external lines {which} have this address, and it named the account of none of them"
        return peer.disabled or "no SIP trunk, external line or trusted user has this address"

    def _peer(self, host: str) -> _Peer:
        peer = self._remembered.get(host)
        if peer is None:
            if len(self._remembered) >= MAXIMUM_REMEMBERED:
                self._remembered.clear()
            peer = self._remembered[host] = self._work_out(host)
        return peer

    def _work_out(self, host: str) -> _Peer:
        trunks = self._by_address.get(host, [])
        enabled = [trunk for trunk in trunks if trunk.enabled]
        by_port: dict[int, SipTrunk] = {}
        for trunk in enabled:
            by_port.setdefault(trunk.server_port, trunk)
        chosen = enabled[0] if enabled else None
        disabled = "" if enabled or not trunks else f"SIP trunk {trunks[0].id} is disabled"
        if chosen is None:
            for trunk in self._trunks_by_network(host):
                if trunk.enabled:
                    chosen, disabled = trunk, ""
                    break
                disabled = disabled or f"SIP trunk {trunk.id} is disabled"
        return _Peer(by_port, chosen, tuple(self._lines.get(host, ())), self._users.get(host), disabled)

    def _trunks_by_network(self, host: str) -> list[SipTrunk]:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return []
        return [trunk for network, trunk in self._networks if network.version == address.version and address in network]


def _line_called(lines: tuple[ExternalLine, ...], called: tuple[str, ...]) -> ExternalLine | None:
    """The line whose account a call names; if need be, the account as the same number written otherwise."""
    for same in (str.__eq__, _is_same_number):
        for name in called:
            for line in lines:
                if same(name, line.account) or same(name, line.authorization_id.partition("@")[0]):
                    return line
    return None


def _is_same_number(one: str, other: str) -> bool:
    """Whether two numbers differ in nothing but how far away they begin: +49 30 1234, 0049 30 1234, 030 1234."""
    shorter, longer = sorted((one.lstrip("+").lstrip("0"), other.lstrip("+").lstrip("0")), key=len)
    return len(shorter) >= SHORTEST_NUMBER and shorter.isdecimal() and longer.isdecimal() and longer.endswith(shorter)


def _addresses(server: str, addresses_of: AddressesOf) -> tuple[str, ...]:
    try:
        return (str(ipaddress.ip_address(server)),)
    except ValueError:
        return addresses_of(server)
