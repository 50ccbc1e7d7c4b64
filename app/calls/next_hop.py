"""Where a request inside a dialog goes, when its peer may be behind an address translator."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from app.hosts import DEFAULT_PORTS

if TYPE_CHECKING:
    from app.sip.flow import Flow


def next_hop(uri_host: str, uri_port: int | None, flow: Flow, is_phone: bool = False) -> Flow:
    """Where a request inside a dialog goes (RFC 3261 12.2.1.1, with the care that NAT needs).

    The URI's address is used when it is one that can be reached from where the peer is: an address of the same kind
    (private or public) as the one the peer speaks from. Otherwise, and for names, since no DNS is asked on the path
    of a message, the flow that the peer was heard on is the way. A phone that is heard from another address than it
    names is behind NAT, even where both are private (a network inside the office, a VPN).
    """
    host = uri_host.strip("[]")
    port = uri_port or DEFAULT_PORTS[flow.transport]
    if (host == flow.remote_host and port == flow.remote_port) or flow.transport != "udp":
        return flow
    try:
        named = ipaddress.ip_address(host)
        heard = ipaddress.ip_address(flow.remote_host)
    except ValueError:
        return flow
    if named.version != heard.version or named.is_unspecified or named.is_multicast:
        return flow
    if named.is_private is not heard.is_private or (is_phone and named != heard):
        return flow
    if host == flow.remote_host and heard.is_private is False:
        # Same host, other port: behind a NAT the port that was heard is the one that is open.
        return flow
    return flow._replace(remote_host=host, remote_port=port)
