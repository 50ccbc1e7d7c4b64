"""Which addresses are private, which one a side is shown, and whether audio needs the relay (pure decisions)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Not `is_private`: that also covers the documentation and benchmark networks, which nobody has at home.
_PRIVATE_NETWORKS: tuple[IpNetwork, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",  # RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",  # RFC 6598, shared by a carrier's customers
        "169.254.0.0/16",  # RFC 3927
        "127.0.0.0/8",
        "fc00::/7",  # RFC 4193
        "fe80::/10",
        "::1/128",
    )
)
_LOOPBACK_NETWORKS: tuple[IpNetwork, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@lru_cache(maxsize=4096)
def parse_address(text: str) -> IpAddress | None:
    """The IP address that a text is, brackets and IPv4 in IPv6 undone, or None for a name or rubbish."""
    try:
        address = ipaddress.ip_address(text.strip("[]") if text[:1] == "[" else text)
    except ValueError:
        return None
    if address.version == 6 and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=1024)
def parse_network(text: str) -> IpNetwork | None:
    """The network that a text such as `10.0.0.0/8` or `192.0.2.1` is, or None."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def in_networks(address: IpAddress, networks: Sequence[str]) -> bool:
    """Whether one of the networks (texts; rubbish matches nothing) contains the address."""
    for text in networks:
        network = parse_network(text)
        if network is not None and network.version == address.version and address in network:
            return True
    return False


@lru_cache(maxsize=4096)
def is_private(address: IpAddress) -> bool:
    """Whether an address has no meaning on the public Internet (RFC 1918, 6598, 3927, 4193, loopback)."""
    return any(address in network for network in _PRIVATE_NETWORKS if network.version == address.version)


def is_loopback(address: IpAddress) -> bool:
    """Whether an address never leaves its machine."""
    return any(address in network for network in _LOOPBACK_NETWORKS if network.version == address.version)


def shown_address(local: str, external: str | None, peer: str, local_networks: Sequence[str] = ()) -> str:
    """The media address that a peer is told: the external one only for a peer outside the local networks.

    A peer counts as local when its address is in `local_networks` or, where none are given, when it is private.
    An external address of another family than `local` is of no use to that peer and is not told.
    """
    if not external:
        return local
    external_ip, local_ip, peer_ip = parse_address(external), parse_address(local), parse_address(peer)
    if external_ip is not None and local_ip is not None and external_ip.version != local_ip.version:
        return local
    if peer_ip is None:
        return external
    if is_loopback(peer_ip) or in_networks(peer_ip, local_networks):
        return local
    return local if not local_networks and is_private(peer_ip) else external


def behind_nat(signalled: str, sip_source: str, local_networks: Sequence[str] = ()) -> bool:
    """Whether a peer's media comes through address translation: it signals a private address out of our reach.

    `signalled` is the address in its session description, `sip_source` the one that its SIP comes from. A private
    address is within reach only of a peer that is inside itself: everybody's home has a 192.168.1.20, too.
    """
    media, source = parse_address(signalled), parse_address(sip_source)
    if source is None or media == source or not signalled:
        return False
    if media is None:
        return True
    if not is_private(media):
        return False
    return not _is_inside(source, local_networks) or is_loopback(media) != is_loopback(source)


def relay_reason(
    first_signalled: str,
    first_sip_source: str,
    second_signalled: str,
    second_sip_source: str,
    local_networks: Sequence[str] = (),
) -> str | None:
    """Why the audio between two sides must flow through this server (`relay_media = auto`), or None if it need not.

    `*_signalled` is the media address that a side names, or that it will name as far as is known (for a side that
    was not asked yet: its SIP address); `*_sip_source` is where its SIP comes from.
    """
    first, second = parse_address(first_signalled), parse_address(second_signalled)
    for signalled, source in ((first_signalled, first_sip_source), (second_signalled, second_sip_source)):
        if behind_nat(signalled, source, local_networks):
            return f"the peer at {source} is behind address translation: it names {signalled} for its audio"
    if first is None or second is None:
        return None
    if first.version != second.version:
        return f"different address families: {first} and {second}"
    for inside, outside in ((first, second), (second, first)):
        if _is_inside(inside, local_networks) and not _is_inside(outside, local_networks):
            return f"private address {inside} towards the public peer {outside}"
    return None


def _is_inside(address: IpAddress, local_networks: Sequence[str]) -> bool:
    return is_private(address) or in_networks(address, local_networks)
