"""Which peers get by TCP what is too large for UDP, and for how long one that takes no TCP is left alone."""

from __future__ import annotations

import pytest

from app.calls import streams as streams_module
from app.calls.streams import REFUSAL_HOLDS, PeerStreams
from app.sip.flow import Flow

UDP = Flow("udp", "10.0.0.5", 5060, "192.0.2.8", 5060)


class Ways:
    """Gives a connection for everything that is asked."""

    def flow_to(
        self, transport: str, host: str, port: int, tls_verify: bool = True, server_name: str | None = None
    ) -> Flow | None:
        return Flow("tcp", "10.0.0.5", 5060, host, port, 7)

    def is_open(self, flow: Flow) -> bool:
        return flow.connection == 7

    def flow_again(self, flow: Flow, port: int) -> Flow | None:
        return flow._replace(connection=8, remote_port=port)

    def know(self, flow: Flow) -> None:
        """Nothing to do here."""

    def add_alias(self, flow: Flow, port: int) -> None:
        """Nothing to do here."""


class Streams:
    def __init__(self) -> None:
        self.now = 10.0
        self.streams = PeerStreams(Ways(), lambda host: host.startswith("192.0.2."), lambda: self.now)


def test_only_servers_are_tried_by_tcp() -> None:
    s = Streams()
    assert s.streams.stream_instead(UDP) == Flow("tcp", "10.0.0.5", 5060, "192.0.2.8", 5060, 7)
    assert s.streams.stream_instead(UDP._replace(remote_host="10.0.0.9")) is None


def test_a_peer_without_tcp_is_left_alone_for_a_while() -> None:
    s = Streams()
    s.streams.no_stream(UDP)
    assert s.streams.stream_instead(UDP) is None
    assert s.streams.stream_instead(UDP._replace(remote_port=5070)) is not None
    s.now += REFUSAL_HOLDS
    assert s.streams.stream_instead(UDP) is not None


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams_module, "MAXIMUM_REFUSALS", 3)
    s = Streams()
    for port in range(10):
        s.streams.no_stream(UDP._replace(remote_port=port))
    assert len(s.streams._refused_until) <= 3
    assert s.streams.stream_instead(UDP._replace(remote_port=0)) is not None
    assert s.streams.stream_instead(UDP._replace(remote_port=9)) is None


def test_connections_are_the_transports() -> None:
    s = Streams()
    flow = Flow("tcp", "10.0.0.5", 5060, "192.0.2.8", 33333, 7)
    assert s.streams.is_open(flow)
    assert not s.streams.is_open(flow._replace(connection=6))
    again = s.streams.flow_again(flow, 5060)
    assert again is not None
    assert again.remote_port == 5060
