"""The list of who was turned away: one row per address, counted, bounded, its texts cut."""

from __future__ import annotations

import pytest

from app.calls import rejected as rejected_module
from app.calls.rejected import MAXIMUM_TEXT, RejectedSources
from app.events import EventBus, SourceRejected
from app.sip.flow import Flow


def flow(host: str, port: int = 5060) -> Flow:
    return Flow("udp", "10.0.0.5", 5060, host, port)


def test_one_row_per_address_with_its_newest_try() -> None:
    events = EventBus()
    seen: list[SourceRejected] = []
    events.subscribe(SourceRejected, seen.append)
    sources = RejectedSources(events)
    sources.add(flow("203.0.113.1"), "INVITE", "100", "A", "first", 10.0)
    sources.add(flow("203.0.113.2"), "REGISTER", "", "B", "other", 11.0)
    sources.add(flow("203.0.113.1", 40000), "OPTIONS", "", "C", "second", 12.0)
    newest, older = sources.rows()
    assert (newest.address, newest.port, newest.count, newest.first, newest.last) == (
        "203.0.113.1",
        40000,
        2,
        10.0,
        12.0,
    )
    assert (newest.method, newest.user_agent, newest.reason) == ("OPTIONS", "C", "second")
    assert (older.address, older.count) == ("203.0.113.2", 1)
    assert [event.row.count for event in seen] == [1, 1, 2]


def test_texts_of_strangers_are_cut() -> None:
    sources = RejectedSources(EventBus())
    sources.add(flow("203.0.113.1"), "M" * 500, "9" * 500, "U" * 500, "r", 1.0)
    (row,) = sources.rows()
    assert {len(row.method), len(row.called_number), len(row.user_agent)} == {MAXIMUM_TEXT}


def test_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejected_module, "MAXIMUM_SOURCES", 3)
    sources = RejectedSources(EventBus())
    for number in (1, 2, 3, 1, 4):
        sources.add(flow(f"203.0.113.{number}"), "INVITE", "", "", "r", float(number))
    assert [row.address[-1] for row in sources.rows()] == ["4", "1", "3"]
