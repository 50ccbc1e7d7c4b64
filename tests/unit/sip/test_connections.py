"""The table of stream connections alone: who makes room for whom, without sockets."""

from __future__ import annotations

from typing import Any, cast

import pytest

from app.sip.transport.connections import ConnectionTable
from app.sip.transport.listening import ListenAddress, TransportLimits
from app.sip.transport.stream import ConnectionState, StreamConnection


class Line:
    """An accepted TCP connection as asyncio hands it over (asyncio.Transport)."""

    def __init__(self, host: str) -> None:
        self._about = {"peername": (host, 40_000), "sockname": ("2001:db8:9::1", 5060)}
        self.aborted = False

    def get_extra_info(self, name: str) -> Any:
        return self._about.get(name)

    def abort(self) -> None:
        self.aborted = True

    close = abort

    def is_closing(self) -> bool:
        return self.aborted

    def get_write_buffer_size(self) -> int:
        return 0


def accept(table: ConnectionTable, host: str) -> StreamConnection:
    connection = table.make_accepted(ListenAddress("tcp", "2001:db8:9::1", 5060))
    connection.connection_made(cast(Any, Line(host)))
    return connection


@pytest.fixture
def table() -> ConnectionTable:
    limits = TransportLimits(connections_per_address=2)
    return ConnectionTable(lambda _messages: None, lambda _flow, _error: None, None, limits, lambda: 0.0)


def test_the_strangers_of_an_ipv6_network_share_their_places(table: ConnectionTable) -> None:
    first, second, third = (accept(table, f"2001:db8:1:2::{n}") for n in range(3))
    elsewhere = accept(table, "2001:db8:1:3::1")
    assert first.state > ConnectionState.OPEN, "the oldest makes room"
    assert [each.state for each in (second, third, elsewhere)] == [ConnectionState.OPEN] * 3
    assert table.counts.evicted == 1


def test_who_is_known_in_a_network_keeps_its_place(table: ConnectionTable) -> None:
    phone = accept(table, "2001:db8:1:2::77")
    table.know(phone.flow)
    for n in range(10):
        accept(table, f"2001:db8:1:2::{n}")
    assert phone.state is ConnectionState.OPEN
    assert len(table) == 3


def test_neighbours_in_a_private_network_have_places_of_their_own(table: ConnectionTable) -> None:
    for n in range(1, 9):
        accept(table, f"fd00::{n}")
    assert len(table) == 8
    assert table.counts.evicted == 0
