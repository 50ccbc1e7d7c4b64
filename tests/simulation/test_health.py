"""Trunk health: OPTIONS probes, states with their reasons, and calls that pass a dead trunk over at once."""

from __future__ import annotations

from typing import Any

from simulation.world import Peer, Plan, World

from app.calls.switch import Switch
from app.events import Alarm, TrunkState
from app.sip.endpoint import new_tag
from app.sip.flow import Flow
from app.sip.message import Request
from app.sip.transaction import Key

CARRIER, BACKUP, CALLER = "192.0.2.8", "192.0.2.9", "192.0.2.7"


def document(**trunk: Any) -> dict[str, object]:
    return {
        "sip_trunks": [
            {"id": 1, "server_address": CARRIER, "options_interval": 10, "next_trunk_id": 2, **trunk},
            {"id": 2, "server_address": BACKUP},
            {"id": 3, "server_address": CALLER},
        ],
        "analyze_called_numbers": [{"prefix": "13", "route_type": "sip_trunk", "target_id": 1}],
    }


def state(switch: Switch, trunk_id: int = 1) -> TrunkState:
    return next(row.state for row in switch.trunks.rows() if row.id == trunk_id)


def test_a_probed_trunk_is_up_with_its_round_trip() -> None:
    world = World()
    carrier = Peer(world, CARRIER)
    switch = world.switch(document())
    world.advance(1)
    row = switch.trunks.rows()[0]
    assert row.state is TrunkState.UP
    assert 15 <= row.round_trip_ms <= 40
    world.advance(60)
    assert 5 <= len(carrier.received) <= 8


def test_a_dead_trunk_is_down_within_seconds_and_passed_over_at_once() -> None:
    world = World()
    alarms: list[Alarm] = []
    world.events.subscribe(Alarm, alarms.append)
    switch = world.switch(document())
    backup, caller = Peer(world, BACKUP), Peer(world, CALLER)
    world.advance(15)
    row = switch.trunks.rows()[0]
    assert row.state is TrunkState.DOWN
    assert row.reason == "it does not answer OPTIONS"
    assert [alarm.cleared for alarm in alarms] == [False]
    talk = caller.call("135550", Plan(hang_up_after=1))
    world.advance(1.5)
    assert talk.status == 200
    assert len(backup.conversations) == 1
    Peer(world, CARRIER)
    world.advance(15)
    assert state(switch) is TrunkState.UP
    assert [alarm.cleared for alarm in alarms] == [False, True]


def test_a_lost_probe_degrades_and_503_counts_as_no() -> None:
    world = World()
    carrier = Refusing(world, CARRIER)
    switch = world.switch(document())
    world.advance(0.5)
    row = switch.trunks.rows()[0]
    assert row.state is TrunkState.DEGRADED
    assert "503" in row.reason
    world.advance(15)
    assert state(switch) is TrunkState.DOWN
    carrier.status = 405
    world.advance(15)
    assert state(switch) is TrunkState.UP


class Refusing(Peer):
    """Answers OPTIONS with a failure."""

    status = 503

    def on_request(self, key: Key, request: Request, source: Flow) -> None:
        self.endpoint.respond(key, request.answer(self.status, None, new_tag()))


def test_full_and_disabled_are_states_of_their_own() -> None:
    world = World()
    Peer(world, CARRIER)
    caller = Peer(world, CALLER)
    switch = world.switch(document(max_outgoing_calls=1))
    world.advance(1)
    caller.call("135550", Plan(hang_up_after=5))
    world.advance(3)
    assert state(switch) is TrunkState.FULL
    world.advance(20)
    assert state(switch) is TrunkState.UP
    disabled = World().switch(document(enabled=False))
    assert state(disabled) is TrunkState.DISABLED


def test_calls_per_second_of_a_trunk() -> None:
    world = World()
    carrier, backup, caller = Peer(world, CARRIER), Peer(world, BACKUP), Peer(world, CALLER)
    world.switch(document(max_calls_per_second=2, options_interval=0))
    for _ in range(5):
        caller.call("135550", Plan(hang_up_after=5))
    world.advance(0.5)
    assert [len(carrier.received), len(backup.received)] == [2, 3]
    world.advance(100)
