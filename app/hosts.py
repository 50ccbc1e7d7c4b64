"""How host and port of an address are written: IPv6 in brackets where a port or a URI follows; which hosts mean all."""

from __future__ import annotations

import ipaddress

_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")

WILDCARDS = ("0.0.0.0", "::")
"""To listen on these is to listen on every address of their family."""
DEFAULT_PORTS: dict[str, int] = {"udp": 5060, "tcp": 5060, "tls": 5061}
"""The port of each transport where none is named (RFC 3261 19.1.2)."""


def is_address(host: str) -> bool:
    """Whether that is an IP address, without brackets, and no host name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def network_of(host: str) -> str:
    """What strangers are counted by: a public IPv6 address's /64, since who has one of its addresses has all of them
    (RFC 6177), as `2001:db8:1:2::/64`; every other address by itself."""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return host
    if address not in _PUBLIC_IPV6:
        return host
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


def bracketed(host: str) -> str:
    """An IPv6 address in brackets, everything else as it is."""
    return f"[{host}]" if ":" in host else host


def unbracketed(host: str) -> str:
    """An IP address as the socket functions want it: without the brackets that IPv6 has in SIP."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def format_host_port(host: str, port: int) -> str:
    """`192.0.2.8:5060`, with brackets around IPv6."""
    return f"{bracketed(host)}:{port}"


def split_host_port(text: str, default_port: int = DEFAULT_PORTS["udp"]) -> tuple[str, int]:
    """The host, without brackets, and the port of `192.0.2.8:5060`, `[2001:db8::1]:5060` or a host alone."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal()) or not host or (":" in host and not host.endswith("]")):
        return unbracketed(text), default_port
    return unbracketed(host), int(port)
