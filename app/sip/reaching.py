"""Which flow a message goes by where its own cannot carry it: a connection that is gone, a datagram too small."""

from __future__ import annotations

from typing import Protocol

from app.errors import RemoteError
from app.hosts import DEFAULT_PORTS
from app.sip.flow import Flow
from app.sip.message import Request
from app.sip.transaction import Key

LARGEST_DATAGRAM = 1300
"""Bytes of a request that still goes by UDP where the path's MTU is not known (RFC 3261 18.1.1)."""


class Streams(Protocol):
    """The connections of the host."""

    def is_open(self, flow: Flow) -> bool:
        """Whether the connection of a stream flow is up or coming up."""

    def flow_again(self, flow: Flow, port: int) -> Flow | None:
        """A connection to the peer of a flow whose own is gone: where it was made to, or to this port of the peer's."""

    def stream_instead(self, flow: Flow) -> Flow | None:
        """A TCP flow to the peer of a UDP flow; None where there is no use in trying."""

    def keep_alive(self, flow: Flow, interval: float | None) -> None:
        """Keep a flow's NAT binding or connection alive every so many seconds; None ends it (RFC 5626 3.5.1)."""

    def no_stream(self, flow: Flow) -> None:
        """The peer of this UDP flow did not take a request by TCP."""


def living_flow(streams: Streams | None, flow: Flow, port: int | None) -> Flow:
    """The flow itself or, when its connection is gone, a new one; the old one when there is none: that fails then."""
    if streams is None or not flow.connection or streams.is_open(flow):
        return flow
    return streams.flow_again(flow, port or DEFAULT_PORTS[flow.transport]) or flow


def port_of_next_hop(request: Request) -> int | None:
    """The port of the URI that a request goes to (RFC 3261 8.1.2); None where it says none."""
    try:
        routes = request.routes
        first = routes[0].uri if routes else None
        return (first or request.uri).port
    except RemoteError:
        return None


def port_of_answer(key: Key) -> int | None:
    """The port that the Via of a request names, for an answer whose connection is gone (RFC 3261 18.2.2)."""
    sent_by = getattr(key, "sent_by", "")
    _host, colon, port = sent_by.rpartition(":")
    return int(port) if colon and port.isdecimal() and port.isascii() and 0 < int(port) < 65536 else None
