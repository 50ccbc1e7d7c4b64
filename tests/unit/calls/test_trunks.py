"""Trunks' rows and alarms: what makes which state, and what a change of the record means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from simulation.world import World
from support.calling import configured

from app.calls.counters import Counted
from app.calls.destinations import Place
from app.calls.switch import Switch
from app.events import Alarm, TrunkChanged, TrunkRow, TrunkState
from app.sip.flow import TransportName


def tables(**trunk: Any) -> dict[str, Any]:
    return {"sip_trunks": [{"id": 1, "server_address": "192.0.2.8", **trunk}]}


class Watched:
    def __init__(self, **trunk: Any) -> None:
        self.world = World()
        self.changes: list[TrunkChanged] = []
        self.alarms: list[Alarm] = []
        self.world.events.subscribe(TrunkChanged, self.changes.append)
        self.world.events.subscribe(Alarm, self.alarms.append)
        self.switch: Switch = self.world.switch(tables(**trunk))

    def change(self, **trunk: Any) -> None:
        self.switch.configure(configured(**tables(**trunk)))

    @property
    def row(self) -> TrunkRow:
        (row,) = self.switch.trunks.rows()
        return row


def test_unknown_up_degraded_without_probes() -> None:
    w = Watched()
    assert (w.row.state, w.row.reason) == (TrunkState.UNKNOWN, "nothing was heard from it yet")
    w.switch.trunks.heard(1, 0)
    assert (w.row.state, w.row.reason, w.row.last_status) == (TrunkState.UP, "a call came from it", 0)
    w.switch.trunks.silent(1, "a call got no answer")
    assert (w.row.state, w.row.reason) == (TrunkState.DEGRADED, "a call got no answer")
    w.switch.trunks.heard(1, 486)
    assert (w.row.state, w.row.last_status) == (TrunkState.UP, 486)
    assert w.alarms == []
    w.switch.trunks.heard(99, 200)
    w.switch.trunks.silent(99, "nobody")


def test_a_probed_trunk_that_was_slow_comes_back_by_probe_only() -> None:
    w = Watched(options_interval=60)
    w.switch.trunks.heard(1, 200)
    w.switch.trunks.silent(1, "x")
    w.switch.trunks.heard(1, 200)
    assert w.row.state is TrunkState.DEGRADED


def test_full_and_disabled_show_before_up() -> None:
    w = Watched(max_outgoing_calls=2)
    w.switch.trunks.heard(1, 200)
    holds = [w.switch.counters.hold(Counted.TRUNK_OUT, 1) for _ in range(2)]
    assert (w.row.state, w.row.reason) == (TrunkState.FULL, "2 of 2 outgoing calls")
    holds[0].release()
    assert w.row.state is TrunkState.UP
    assert (w.row.active_out, w.row.max_out) == (1, 2)
    w.change(max_outgoing_calls=0)
    assert w.row.state is TrunkState.UP
    w.change(enabled=False)
    assert (w.row.state, w.row.reason) == (TrunkState.DISABLED, "disabled in its record")


def test_every_change_of_a_counter_is_a_new_row() -> None:
    w = Watched()
    w.changes.clear()
    w.switch.counters.hold(Counted.TRUNK_IN, 1).release()
    assert [change.row.active_in for change in w.changes] == [1, 0]
    w.changes.clear()
    w.change()
    assert w.changes == []
    w.switch.configure(configured())
    assert [(change.row.id, change.gone) for change in w.changes] == [(1, True)]
    hold = w.switch.counters.hold(Counted.TRUNK_OUT, 1)
    hold.release()


def down() -> Watched:
    w = Watched(options_interval=10)
    w.world.advance(30)
    assert w.row.state is TrunkState.DOWN
    (alarm,) = w.alarms
    assert (alarm.cleared, alarm.values) == (False, {"trunk": 1})
    assert "is down: it does not answer OPTIONS" in alarm.text
    return w


def test_another_address_is_another_peer_and_clears_the_alarm() -> None:
    w = down()
    w.change(options_interval=10, server_port=5070)
    assert w.row.state is TrunkState.UNKNOWN
    assert [alarm.cleared for alarm in w.alarms] == [False, True]
    w.world.advance(30)
    assert [alarm.cleared for alarm in w.alarms] == [False, True, False]


def test_deleting_a_trunk_clears_its_alarm() -> None:
    w = down()
    w.switch.configure(configured())
    assert [alarm.cleared for alarm in w.alarms] == [False, True]
    assert "no longer watched" in w.alarms[-1].text
    before = w.world.packets
    w.world.advance(100)
    assert w.world.packets == before


def test_without_probes_nothing_stays_down() -> None:
    """Nothing would ever find it up again."""
    w = down()
    w.change(options_interval=0)
    assert (w.row.state, w.row.reason) == (TrunkState.UNKNOWN, "it is not probed")
    assert w.alarms[-1].cleared
    assert w.switch.trunks.down(1) == ""


def test_another_description_changes_nothing_about_the_peer() -> None:
    w = down()
    w.change(options_interval=10, description="renamed", max_outgoing_calls=5)
    assert w.row.state is TrunkState.DOWN
    assert w.row.max_out == 5
    assert len(w.alarms) == 1


def test_stopping_probes_no_more() -> None:
    w = Watched(options_interval=10)
    w.world.advance(11)
    w.switch.trunks.stop()
    w.world.advance(10)
    before = w.world.packets
    w.world.advance(100)
    assert w.world.packets == before
    assert w.switch.endpoint.transactions == 0


@pytest.mark.parametrize("interval", [10, 3600])
def test_a_name_that_does_not_exist_is_told_as_soon_as_that_is_known(interval: int) -> None:
    """However long the interval of the probes; until then nothing is wrong, and the lookup is named as what goes on."""
    answers: list[Callable[[tuple[Place, ...], str], bool]] = []

    def lookup(
        name: str, port: int | None, transport: TransportName, done: Callable[[tuple[Place, ...], str], bool]
    ) -> None:
        answers.append(done)

    world = World()
    world.lookup = lookup
    alarms: list[Alarm] = []
    world.events.subscribe(Alarm, alarms.append)
    switch = world.switch(tables(server_address="nowhere.test", options_interval=interval))
    world.advance(3)
    (row,) = switch.trunks.rows()
    assert (row.state, row.reason) == (TrunkState.UNKNOWN, "the name nowhere.test is being looked up")
    for done in answers:
        done((), "the name nowhere.test does not exist")
    world.advance(0.2)
    (row,) = switch.trunks.rows()
    assert (row.state, row.reason) == (TrunkState.DEGRADED, "DNS: the name nowhere.test does not exist")
    assert alarms == []
    world.advance(5)
    (row,) = switch.trunks.rows()
    assert (row.state, row.reason) == (TrunkState.DOWN, "DNS: the name nowhere.test does not exist")
    assert len(alarms) == 1
