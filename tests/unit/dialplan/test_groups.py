"""Routing groups: strategies, priorities, members that cannot take the call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from app.dialplan.decision import Dial, RouteDecision

Trail = Callable[[RouteDecision], str]


def place(scene: Any, strategy: str, *members: dict[str, Any], count: int = 3, **more: Any) -> Any:
    trunks = more.pop("sip_trunks", None) or [
        {"id": number, "server_address": f"10.0.{number // 100}.{number % 100}"} for number in range(1, count + 1)
    ]
    return scene(
        local_users=[{"number": "100"}],
        sip_trunks=trunks,
        routing_groups=[
            {
                "id": 1,
                "strategy": strategy,
                "name": "Carriers",
                "members": list(members) or [{"target_id": number} for number in range(1, count + 1)],
            }
        ],
        analyze_called_numbers=[{"prefix": "0", "route_type": "routing_group", "target_id": 1}],
        **more,
    )


def names(here: Any, **more: Any) -> list[str]:
    return [each.split()[0] for each in here.dialled("user:100", "0123", **more)]


def test_priority_lowest_number_first_equals_in_their_order(scene: Any) -> None:
    here = place(
        scene,
        "priority",
        {"target_id": 1, "priority": 2},
        {"target_id": 2, "priority": 1},
        {"target_id": 3, "priority": 1},
    )
    assert names(here) == ["trunk:2", "trunk:3", "trunk:1"]


def test_round_robin_takes_turns_among_those_that_can(scene: Any) -> None:
    here = place(scene, "round_robin")
    turns = []
    for turn in range(4):
        here.live.turns = {1: turn}
        turns.append(names(here))
    assert turns[0] == ["trunk:1", "trunk:2", "trunk:3"]
    assert turns[1] == ["trunk:2", "trunk:3", "trunk:1"]
    assert turns[2] == ["trunk:3", "trunk:1", "trunk:2"]
    assert turns[3] == turns[0]
    here.live.trunks_down = {2: "timeout"}
    firsts = Counter()
    for turn in range(10):
        here.live.turns = {1: turn}
        firsts[names(here)[0]] += 1
    assert firsts == {"trunk:1": 5, "trunk:3": 5}


def test_asking_does_not_take_a_turn_and_the_decision_says_which_group_was_used(scene: Any) -> None:
    here = place(scene, "round_robin")
    decision = here.decide("user:100", "0123")
    assert isinstance(decision, Dial)
    assert decision.group_id == 1
    assert here.decide("user:100", "0123") == decision


def test_weights_share_the_calls(scene: Any) -> None:
    here = place(
        scene,
        "weighted",
        {"target_id": 1, "weight": 1},
        {"target_id": 2, "weight": 3},
        {"target_id": 3, "weight": 6},
    )
    orders = [names(here, draw=step / 10000) for step in range(10000)]
    firsts = Counter(order[0] for order in orders)
    assert firsts["trunk:1"] == pytest.approx(1000, abs=2)
    assert firsts["trunk:2"] == pytest.approx(3000, abs=2)
    assert firsts["trunk:3"] == pytest.approx(6000, abs=2)
    # When the largest fails, the others share what is left by their weights, too.
    seconds = Counter(order[1] for order in orders if order[0] == "trunk:3")
    assert seconds["trunk:2"] == pytest.approx(4500, abs=20)
    assert all(sorted(order) == ["trunk:1", "trunk:2", "trunk:3"] for order in orders)


def test_the_least_busy_first(scene: Any) -> None:
    here = place(scene, "least_busy")
    here.live.trunks_out = {1: 5, 2: 1, 3: 1}
    assert names(here) == ["trunk:2", "trunk:3", "trunk:1"]


def test_a_lower_priority_number_comes_first_in_every_strategy(scene: Any) -> None:
    members = [{"target_id": 1, "priority": 2}, {"target_id": 2}, {"target_id": 3}]
    for strategy in ("priority", "round_robin", "weighted", "least_busy"):
        here = place(scene, strategy, *members)
        here.live.trunks_out = {2: 9, 3: 9}
        assert names(here, draw=0.99)[-1] == "trunk:1"


def test_members_that_cannot_take_the_call_are_passed_over(scene: Any, trail: Trail) -> None:
    trunks = [
        {"id": 1, "server_address": "192.0.2.1", "enabled": False},
        {"id": 2, "server_address": "192.0.2.2", "max_outgoing_calls": 4},
        {"id": 3, "server_address": "192.0.2.3"},
        {"id": 4, "server_address": "192.0.2.4"},
    ]
    members = [{"target_id": number} for number in (1, 2, 3, 4, 9)]
    here = place(scene, "priority", *members, sip_trunks=trunks)
    here.live.trunks_out = {2: 4}
    here.live.trunks_down = {3: "timeout"}
    decision = here.decide("user:100", "0123")
    assert isinstance(decision, Dial)
    assert [each.name for each in decision.targets] == ["trunk:4"]
    assert decision.skipped == (
        ("trunk:1", "disabled"),
        ("trunk:2", "outgoing limit 4 reached"),
        ("trunk:3", "down: timeout"),
        ("trunk:9", "does not exist"),
    )
    here.live.trunks_down = {3: "timeout", 4: "timeout"}
    refused = here.refused("user:100", "0123")
    assert refused.status == 503
    assert "routing group 1 - Carriers, priority - lowest number first: no member can take the call now" in trail(
        refused
    )


def test_lines_are_members_too_and_a_member_counts_once(scene: Any) -> None:
    here = place(
        scene,
        "priority",
        {"route_type": "external_line", "target_id": 1},
        {"target_id": 1},
        {"target_id": 1},
        external_lines=[{"id": 1, "account": "a", "server_address": "192.0.2.20"}],
    )
    assert names(here) == ["line:1", "trunk:1"]


def test_next_trunks_come_after_all_members_each_once(scene: Any) -> None:
    trunks = [
        {"id": 1, "server_address": "192.0.2.1", "next_trunk_id": 4},
        {"id": 2, "server_address": "192.0.2.2", "next_trunk_id": 1, "enabled": False},
        {"id": 3, "server_address": "192.0.2.3", "next_trunk_id": 5},
        {"id": 4, "server_address": "192.0.2.4", "next_trunk_id": 3},
        {"id": 5, "server_address": "192.0.2.5", "next_trunk_id": 1},
    ]
    here = place(scene, "priority", *({"target_id": number} for number in (1, 2, 3)), sip_trunks=trunks)
    assert names(here) == ["trunk:1", "trunk:3", "trunk:4", "trunk:5"]


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ({"enabled": False, "members": [{"target_id": 1}]}, "routing group 1 is disabled"),
        ({"members": []}, "routing group 1 has no members"),
    ],
)
def test_a_group_of_no_use_is_503(scene: Any, group: dict[str, Any], text: str) -> None:
    here = scene(
        local_users=[{"number": "100"}],
        sip_trunks=[{"id": 1, "server_address": "192.0.2.1"}],
        routing_groups=[{"id": 1, **group}],
        analyze_called_numbers=[{"prefix": "0", "route_type": "routing_group", "target_id": 1}],
    )
    refused = here.refused("user:100", "0123")
    assert (refused.status, refused.text) == (503, text)


def test_a_group_of_256_members_is_ordered_and_cut(scene: Any) -> None:
    for strategy in ("priority", "round_robin", "weighted", "least_busy"):
        here = place(scene, strategy, count=256)
        found = names(here, draw=0.7)
        assert len(found) == len(set(found)) == 32
