"""Connections that are made again, and peers that get by TCP what is too large for UDP (RFC 3261 18.1.1)."""

from __future__ import annotations

from collections.abc import Callable

from app.calls.destinations import Ways
from app.sip.flow import Flow

REFUSAL_HOLDS = 600.0
"""Seconds for which a peer that took no TCP is not asked again."""
MAXIMUM_REFUSALS = 1000
"""So many such peers are remembered; the oldest is asked again for a new one."""


class PeerStreams:
    """The connections as the endpoint needs them (Streams).

    `is_server(host)` says whether an address belongs to a configured peer. Only those are tried by TCP: a phone is
    reached by the very flow that it registered by, and one behind a NAT by nothing else.
    """

    def __init__(self, ways: Ways, is_server: Callable[[str], bool], monotonic: Callable[[], float]) -> None:
        self._ways = ways
        self._is_server = is_server
        self._monotonic = monotonic
        self._refused_until: dict[tuple[str, int], float] = {}

    def is_open(self, flow: Flow) -> bool:
        """Whether the connection of a stream flow is up or coming up."""
        return self._ways.is_open(flow)

    def flow_again(self, flow: Flow, port: int) -> Flow | None:
        """A connection to the peer of a flow whose own is gone."""
        return self._ways.flow_again(flow, port)

    def keep_alive(self, flow: Flow, interval: float | None) -> None:
        """Keep a flow's NAT binding or connection alive every so many seconds; None ends it."""
        self._ways.keep_alive(flow, interval)

    def stream_instead(self, flow: Flow) -> Flow | None:
        """A TCP flow for a request that is too large for a datagram; None where there is no use in trying."""
        place = (flow.remote_host, flow.remote_port)
        if not self._is_server(flow.remote_host) or self._monotonic() < self._refused_until.get(place, 0.0):
            return None
        return self._ways.flow_to("tcp", *place)

    def no_stream(self, flow: Flow) -> None:
        """The peer of this UDP flow did not take a request by TCP: it is not asked again for a while."""
        refused = self._refused_until
        if len(refused) >= MAXIMUM_REFUSALS:
            del refused[next(iter(refused))]
        refused[flow.remote_host, flow.remote_port] = self._monotonic() + REFUSAL_HOLDS
