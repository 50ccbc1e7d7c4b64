"""The bridge hands over the first change at once, then batches of the newest rows, and ends cleanly."""

from __future__ import annotations

from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from support.office import make_call, make_record, make_samples

from app.events import (
    CallChanged,
    CallRecorded,
    CallState,
    ConfigurationChanged,
    EventBus,
    Sampled,
    TrunkChanged,
    TrunkRow,
    TrunkState,
)
from app.records import Configuration
from ui.bridge import INTERVAL, MOST_WAITING, Bridge


class Listener:
    """Notes every batch with the signal it came by."""

    def __init__(self, bridge: Bridge) -> None:
        self.batches: list[tuple[str, Any]] = []
        for name in ("configuration_changed", "calls_changed", "trunks_changed", "sampled", "calls_recorded"):
            getattr(bridge, name).connect(lambda value, name=name: self.batches.append((name, value)))


@pytest.fixture
def bus() -> EventBus:
    return EventBus()


def test_nothing_is_handed_over_on_the_path_of_a_message(qtbot: QtBot, bus: EventBus) -> None:
    bridge = Bridge(bus)
    listener = Listener(bridge)
    bus.publish(CallChanged(make_call()))
    assert listener.batches == []
    bridge.close()


def test_the_first_change_comes_at_once_and_the_next_with_the_batch(qtbot: QtBot, bus: EventBus) -> None:
    bridge = Bridge(bus)
    listener = Listener(bridge)
    bus.publish(CallChanged(make_call()))
    assert bridge._timer.interval() == 0
    qtbot.waitUntil(lambda: len(listener.batches) == 1, timeout=1000)
    bus.publish(CallChanged(make_call(state=CallState.HELD)))
    assert 0 < bridge._timer.interval() <= INTERVAL * 1000
    qtbot.waitUntil(lambda: len(listener.batches) == 2, timeout=1000)
    bridge.close()


def test_a_batch_holds_the_newest_row_of_each_id(qtbot: QtBot, bus: EventBus) -> None:
    bridge = Bridge(bus)
    listener = Listener(bridge)
    for state in (CallState.ROUTING, CallState.CALLING, CallState.RINGING):
        for name in ("1", "2"):
            bus.publish(CallChanged(make_call(name, state=state)))
    bridge.hand_over()
    [(name, rows)] = listener.batches
    assert name == "calls_changed"
    assert [(row.id, row.state) for row in rows] == [("call-1", CallState.RINGING), ("call-2", CallState.RINGING)]
    bridge.close()


def test_samples_and_records_are_all_kept_in_their_order_up_to_the_bound(qtbot: QtBot, bus: EventBus) -> None:
    bridge = Bridge(bus)
    listener = Listener(bridge)
    samples = make_samples(3)
    for sample in samples:
        bus.publish(Sampled(sample))
    for number in range(MOST_WAITING + 10):
        bus.publish(CallRecorded(make_record(number)))
    bridge.hand_over()
    found = dict(listener.batches)
    assert found["sampled"] == samples
    assert len(found["calls_recorded"]) <= MOST_WAITING
    assert found["calls_recorded"][-1].id == f"record-{MOST_WAITING + 9:06}"
    bridge.close()


def test_the_configuration_comes_before_the_rows_that_are_shown_by_its_words(qtbot: QtBot, bus: EventBus) -> None:
    bridge = Bridge(bus)
    listener = Listener(bridge)
    bus.publish(TrunkChanged(TrunkRow(1, "1", TrunkState.UP, "", 0, 1, 0, 1, 0, 0.0, 0.0)))
    bus.publish(ConfigurationChanged(Configuration()))
    bridge.hand_over()
    assert [name for name, _ in listener.batches] == ["configuration_changed", "trunks_changed"]
    bridge.close()


def test_a_closed_bridge_listens_no_more_and_drops_what_waits(qtbot: QtBot, bus: EventBus) -> None:
    bridge = Bridge(bus)
    listener = Listener(bridge)
    bus.publish(CallChanged(make_call()))
    bridge.close()
    assert not bus.wanted(CallChanged)
    qtbot.wait(20)
    assert listener.batches == []


def test_a_bridge_that_is_destroyed_leaves_no_subscriber(qtbot: QtBot, bus: EventBus) -> None:
    bridge = Bridge(bus)
    bridge.deleteLater()
    qtbot.waitUntil(lambda: not bus.wanted(CallChanged), timeout=1000)
    bus.publish(CallChanged(make_call()))
