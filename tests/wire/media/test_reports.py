"""What a relay tells the engine of many sessions: everything once a second, and never much at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from support.ports import LoopbackNetwork

from app.media import relay as relay_module
from app.media.messages import Command, Message, Report
from app.media.relay import Relay

SESSIONS = 150


@pytest.fixture
def reports() -> list[Message]:
    """What the relay has told."""
    return []


@pytest.fixture
def relay(network: LoopbackNetwork, reports: list[Message]) -> Iterator[Relay]:
    """A relay with many sessions, whose time is that of `Relay.tasks`."""
    relay = Relay(reports.append, clock=lambda: 0.0)
    for number in range(SESSIONS):
        sides = (((network.address(1), 20_000 + 4 * number),), ((network.address(1), 20_002 + 4 * number),))
        relay.command((int(Command.OPEN), number, *sides))
    assert not reports
    yield relay
    relay.close()


def test_every_session_has_its_turn_in_small_reports(relay: Relay, reports: list[Message]) -> None:
    now = 0.0
    while now < 2.999:
        now += 0.001
        relay.tasks(now)
    told = [rows for kind, rows in reports if kind == Report.STATISTICS]
    assert max(len(rows) for rows in told) == relay_module._ROWS_PER_REPORT
    turns = Counter(row[0] for rows in told for row in rows)
    assert set(turns) == set(range(SESSIONS))
    assert set(turns.values()) <= {2, 3}, "once a second"


def test_a_relay_without_sessions_gives_signs_of_life(reports: list[Message]) -> None:
    relay = Relay(reports.append, clock=lambda: 0.0)
    for tick in range(1, 1001):
        relay.tasks(tick / 1000)
    assert reports == [(int(Report.STATISTICS), ())] * 4
    relay.close()
