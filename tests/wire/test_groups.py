"""Routing groups with real carriers: the four strategies counted, members passed over, and probes that find them."""

from __future__ import annotations

from typing import Any

import pytest
from support.documents import CALLER, CARRIER_A, CARRIER_B, document
from support.ports import LoopbackNetwork
from support.running_engine import RunningEngine
from support.scenario import Scenario, answering
from support.starting import StartCaller, StartCarrier, StartEngine, StartSipp
from support.udp_peers import Caller, invites_get
from support.waiting import wait_until

from app.events import Alarm, TrunkState

pytestmark = pytest.mark.wire

CARRIER_C = 40
GROUP_HOSTS = {1: CARRIER_A, 2: CARRIER_B, 4: CARRIER_C}
"""The trunks of the group, and where they are; trunk 3 is the caller's."""


def group_document(
    network: LoopbackNetwork,
    strategy: str,
    changes: dict[int, dict[str, Any]] | None = None,
    **members: dict[str, Any],
) -> dict[str, Any]:
    """`13` to a group of the trunks 1, 2 and 4; fields of their membership as `t1={...}`."""
    changes = changes or {}
    base = document(network, changes)
    fourth = {"id": 4, "description": "Carrier C", "server_address": network.address(CARRIER_C), **changes.get(4, {})}
    base["sip_trunks"].append(fourth)
    listed = [{"route_type": "sip_trunk", "target_id": each, **members.get(f"t{each}", {})} for each in GROUP_HOSTS]
    return {
        **base,
        "analyze_called_numbers": [{"prefix": "13", "route_type": "routing_group", "target_id": 1}],
        "routing_groups": [{"id": 1, "name": "all", "strategy": strategy, "members": listed}],
    }


def taken_by(engine: RunningEngine, calls: int) -> list[str]:
    """The trunks that took the calls, in their order."""
    return [record.target.removeprefix("trunk:") for record in engine.wait_for_calls(calls)]


def numbers(count: int) -> list[str]:
    return [f"13{index:04}" for index in range(count)]


def test_round_robin_gives_every_carrier_its_turn(
    network: LoopbackNetwork, start_engine: StartEngine, start_sipp: StartSipp, start_caller: StartCaller
) -> None:
    engine = start_engine(group_document(network, "round_robin"))
    carriers = [start_sipp(answering(ring_milliseconds=1), host, calls=3) for host in GROUP_HOSTS.values()]
    assert start_caller().statuses(numbers(9)) == [200] * 9
    for carrier in carriers:
        assert carrier.succeed().successful == 3
    assert taken_by(engine, 9) == ["1", "2", "4"] * 3


def test_priority_takes_the_first_that_can(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """The lowest priority number first; 503 leads to the next member, 486 does not."""
    members = {"t1": {"priority": 3}, "t2": {"priority": 2}, "t4": {"priority": 1}}
    engine = start_engine(group_document(network, "priority", **members))
    a, b, c = (start_carrier(host) for host in GROUP_HOSTS.values())
    caller = start_caller()
    assert caller.statuses(numbers(2)) == [200, 200]
    c.plan = invites_get(503)
    assert caller.call("130002").status == 200
    b.plan = invites_get(486)
    assert caller.call("130003").status == 486
    assert [len(each.received("INVITE")) for each in (a, b, c)] == [0, 2, 4]
    records = engine.wait_for_calls(4)
    assert [[each.target for each in record.attempts] for record in records[2:]] == [["trunk:4", "trunk:2"]] * 2
    assert [[each.status for each in record.attempts] for record in records[2:]] == [[503, 200], [503, 486]]
    assert all(each.reason and each.at >= record.started for record in records for each in record.attempts)


def test_weights_share_the_calls_out(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """6 to 3 to 1 of 200 calls; a share that is off by more than half of itself comes up once in many thousands."""
    members = {"t1": {"weight": 6}, "t2": {"weight": 3}, "t4": {"weight": 1}}
    start_engine(group_document(network, "weighted", **members))
    carriers = [start_carrier(host, invites_get(486)) for host in GROUP_HOSTS.values()]
    assert set(start_caller().statuses(numbers(200))) == {486}
    counts = [len(carrier.received("INVITE")) for carrier in carriers]
    assert sum(counts) == 200
    assert 84 <= counts[0] <= 156, counts
    assert 30 <= counts[1] <= 90, counts
    assert 3 <= counts[2] <= 44, counts


def test_least_busy_looks_at_the_calls_that_run(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    engine = start_engine(group_document(network, "least_busy"))
    carriers = [start_carrier(host) for host in GROUP_HOSTS.values()]
    caller = start_caller()
    talks = [talking(caller, number) for number in numbers(6)]
    assert [len(carrier.received("INVITE")) for carrier in carriers] == [2, 2, 2]
    # The two calls of the second carrier end: it is the least busy one now.
    for talk in (talks[1], talks[4]):
        talk.hang_up()
    wait_until(lambda: engine.trunk(2).active_out == 0, "the end of two calls")
    talks += [talking(caller, number) for number in ("137777", "138888")]
    assert [len(carrier.received("INVITE")) for carrier in carriers] == [2, 4, 2]
    for talk in (talks[0], talks[2], talks[3], *talks[5:]):
        talk.hang_up()
    engine.wait_for_calls(8)
    assert [engine.trunk(each).active_out for each in GROUP_HOSTS] == [0, 0, 0]


def talking(caller: Caller, number: str) -> Any:
    """A call that has been answered and goes on."""
    talk = caller.begin(number)
    assert talk.final().status == 200
    return talk


def test_full_and_disabled_members_are_passed_over(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    engine = start_engine(group_document(network, "priority", {1: {"enabled": False}, 2: {"max_outgoing_calls": 1}}))
    a, b, c = (start_carrier(host) for host in GROUP_HOSTS.values())
    caller = start_caller()
    first = talking(caller, "130001")
    assert engine.trunk(2).state is TrunkState.FULL
    assert engine.trunk(1).state is TrunkState.DISABLED
    second = talking(caller, "130002")
    first.hang_up()
    wait_until(lambda: engine.trunk(2).state is TrunkState.UP, "room on trunk 2")
    third = talking(caller, "130003")
    for talk in (second, third):
        talk.hang_up()
    assert [len(each.received("INVITE")) for each in (a, b, c)] == [0, 2, 1]
    records = engine.wait_for_calls(3)
    assert [(each.target, each.reason) for each in records[1].attempts] == [
        ("trunk:1", "disabled"),
        ("trunk:2", "outgoing limit 1 reached"),
        ("trunk:4", "200 OK"),
    ]
    # A group without anybody left: 503, and the record says who could not and why.
    engine.change(
        {
            "sip_trunks": [
                {"id": each, "server_address": network.address(host), "enabled": False}
                for each, host in GROUP_HOSTS.items()
            ]
        }
    )
    assert caller.call("130004").status == 503
    assert [each.reason for each in engine.wait_for_calls(4)[-1].attempts] == ["disabled"] * 3


def test_probes_find_a_dead_carrier_and_find_it_again(
    network: LoopbackNetwork,
    start_engine: StartEngine,
    start_carrier: StartCarrier,
    start_caller: StartCaller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Known down it is passed over at once, though it would take a call; only a probe brings it back."""
    monkeypatch.setattr("app.calls.trunks.PROBE_PATIENCE", 1.0)
    probed = {1: {"options_interval": 1, "next_trunk_id": 0}}
    engine = start_engine(group_document(network, "priority", probed))
    alarms: list[Alarm] = []
    engine.ask(lambda each: each.events.subscribe(Alarm, alarms.append))
    first, second, caller = start_carrier(CARRIER_A), start_carrier(CARRIER_B), start_caller()
    row = wait_until(lambda: engine.trunk(1) if engine.trunk(1).state is TrunkState.UP else None, "an answered probe")
    assert row.round_trip_ms > 0
    assert row.last_status == 200
    # It answers nothing but calls any more.
    first.plan = lambda request: (200,) if request.method in ("INVITE", "BYE") else ()
    wait_until(lambda: engine.trunk(1).state is TrunkState.DOWN, "the trunk to be down", 20)
    assert engine.trunk(1).reason == "it does not answer OPTIONS"
    assert caller.statuses(numbers(3)) == [200] * 3
    assert not first.received("INVITE")
    assert len(second.received("INVITE")) == 3
    first.plan = lambda _request: (200,)
    wait_until(lambda: engine.trunk(1).state is TrunkState.UP, "the trunk to be up again", 20)
    assert caller.call("135555").status == 200
    assert len(first.received("INVITE")) == 1
    assert [alarm.cleared for alarm in alarms if alarm.code == "trunk_down"] == [False, True]
    reasons = [record.attempts[0].reason for record in engine.wait_for_calls(4)]
    assert reasons == ["down: it does not answer OPTIONS"] * 3 + ["200 OK"]


def test_a_real_carrier_dies_and_comes_back(
    network: LoopbackNetwork, start_engine: StartEngine, start_sipp: StartSipp
) -> None:
    engine = start_engine(group_document(network, "priority", {1: {"options_interval": 1}}))
    answers_probes = Scenario().expect_request("OPTIONS").respond(200)
    carrier = start_sipp(answers_probes, CARRIER_A, calls=1000, options=("-aa",))
    wait_until(lambda: engine.trunk(1).state is TrunkState.UP, "the trunk to be up")
    carrier.kill()
    wait_until(lambda: engine.trunk(1).state is TrunkState.DOWN, "the trunk to be down", 20)
    start_sipp(answers_probes, CARRIER_A, calls=1000, options=("-aa",))
    wait_until(lambda: engine.trunk(1).state is TrunkState.UP, "the trunk to be up again", 20)


def test_a_line_and_a_trunk_in_one_group(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """A line that is not registered is passed over; registered it takes its share, with its account as the caller."""
    base = group_document(network, "round_robin")
    members = [
        {"route_type": "external_line", "target_id": 1},
        {"route_type": "sip_trunk", "target_id": 1},
    ]
    provider, carrier = start_carrier(50, lambda _request: ((403, ()),)), start_carrier(CARRIER_A)
    engine = start_engine(
        {
            **base,
            "routing_groups": [{"id": 1, "strategy": "round_robin", "members": members}],
            "external_lines": [{"account": "line1", "server_address": network.address(50), "local_user": "100"}],
        }
    )
    wait_until(lambda: "403" in engine.line().reason, "the refused registration")
    caller = start_caller(CALLER)
    assert caller.statuses(numbers(2)) == [200, 200]
    assert len(carrier.received("INVITE")) == 2
    provider.plan = lambda request: ((200, ("Expires: 300",)),) if request.method == "REGISTER" else (200,)
    engine.ask(lambda each: each.register_line(1))
    wait_until(lambda: engine.line().state == "registered", "the registration")
    assert caller.statuses(numbers(4)) == [200] * 4
    assert [len(each.received("INVITE")) for each in (provider, carrier)] == [2, 4]
    assert all("<sip:line1@" in (each.header("From") or "") for each in provider.received("INVITE"))
