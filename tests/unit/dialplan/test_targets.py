"""Which targets a call gets: limits, states, next trunks, refinement, missing records, hairpins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.dialplan.decision import Dial, RejectCause, RouteDecision
from app.dialplan.targets import MAX_TARGETS

Trail = Callable[[RouteDecision], str]
USERS = [{"number": "100"}, {"number": "101"}]


def trunk(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "server_address": f"192.0.2.{number}", **more}


def place(scene: Any, *trunks: dict[str, Any], **more: Any) -> Any:
    """Numbers that begin with 0 go to trunk 1."""
    return scene(
        local_users=USERS,
        sip_trunks=list(trunks),
        analyze_called_numbers=[{"prefix": "0", "route_type": "sip_trunk", "target_id": 1}],
        **more,
    )


def test_group_1_refines_0_to_0086(scene: Any, trail: Trail) -> None:
    here = place(
        scene,
        trunk(1, outgoing_group_id=1),
        number_transitions=[{"id": 1, "type": "replace", "start": 0, "length": 1, "digits": "0086"}],
        refine_called_numbers=[{"outgoing_group_id": 1, "prefix": "0", "transition_id": 1}],
    )
    decision = here.decide("user:100", "0108888")
    assert [each.called_number for each in decision.targets] == ["0086108888"]
    assert (
        "trunk:1 refine called: outgoing group 1: the called number 0108888 begins with 0, so record 1 applies: "
        "it becomes 0086108888 (transition 1: replace 1 from 0 by 0086)"
    ) in trail(decision)


def test_each_trunk_of_the_chain_gets_its_own_numbers(scene: Any) -> None:
    here = place(
        scene,
        trunk(1, outgoing_group_id=1, next_trunk_id=2, unified_caller_number="4930"),
        trunk(2, outgoing_group_id=2, next_trunk_id=3),
        trunk(3, unified_caller_number="777"),
        number_transitions=[
            {"id": 1, "type": "delete", "length": 1},
            {"id": 2, "type": "insert", "digits": "99"},
            {"id": 3, "type": "insert", "digits": "8"},
        ],
        refine_called_numbers=[
            {"outgoing_group_id": 1, "prefix": "0", "transition_id": 1},
            {"outgoing_group_id": 2, "prefix": "0", "transition_id": 2},
            {"outgoing_group_id": 2, "prefix": "01", "transition_id": 3},
        ],
        refine_caller_numbers=[
            {"outgoing_group_id": 1, "prefix": "", "transition_id": 2},
            {"outgoing_group_id": 2, "prefix": "1", "transition_id": 3},
        ],
    )
    decision = here.decide("user:100", "0123")
    assert [(each.name, each.caller_number, each.called_number) for each in decision.targets] == [
        ("trunk:1", "4930", "123"),
        ("trunk:2", "8100", "80123"),
        ("trunk:3", "777", "0123"),
    ]


def test_the_trail_says_why_no_refinement_applies(scene: Any) -> None:
    here = place(
        scene,
        trunk(1, outgoing_group_id=1),
        number_transitions=[{"id": 1, "type": "delete", "length": 1}],
        refine_called_numbers=[
            {"outgoing_group_id": 1, "prefix": "0", "transition_id": 1, "enabled": False},
            {"outgoing_group_id": 2, "prefix": "0", "transition_id": 1},
        ],
    )
    step = next(each for each in here.decide("user:100", "0123").trail if each.step == "trunk:1 refine called")
    assert step.text == "no record of outgoing group 1 fits the called number 0123, so it stays"
    assert [(each.id, each.why) for each in step.losers] == [(1, "disabled"), (2, "belongs to outgoing group 2")]


def test_a_refinement_that_leaves_nothing_passes_the_trunk_over(scene: Any) -> None:
    here = place(
        scene,
        trunk(1, outgoing_group_id=1, next_trunk_id=2),
        trunk(2),
        number_transitions=[{"id": 1, "type": "delete", "length": 9}],
        refine_called_numbers=[{"outgoing_group_id": 1, "prefix": "0", "transition_id": 1}],
    )
    decision = here.decide("user:100", "0123")
    assert [each.name for each in decision.targets] == ["trunk:2"]
    assert decision.skipped == (("trunk:1", "nothing is left of the called number after refinement"),)


class TestLimits:
    """A trunk that cannot take the call counts as failed."""

    @pytest.mark.parametrize(
        ("more", "live", "reason"),
        [
            ({"enabled": False}, {}, "disabled"),
            ({"max_outgoing_calls": 0}, {}, "outgoing limit 0: no outgoing calls"),
            ({"max_outgoing_calls": 1}, {"trunks_out": {1: 1}}, "outgoing limit 1 reached"),
            ({}, {"trunks_out": {1: 31}}, "outgoing limit 30 reached"),
            ({}, {"trunks_down": {1: "no answer to OPTIONS"}}, "down: no answer to OPTIONS"),
            (
                {"max_calls_per_second": 5},
                {"trunks_rate_full": frozenset({1})},
                "limit of 5 calls per second reached",
            ),
        ],
    )
    def test_the_next_trunk_takes_the_call_or_503(
        self, scene: Any, trail: Trail, more: dict[str, Any], live: dict[str, Any], reason: str
    ) -> None:
        for next_trunk in (0, 2):
            here = place(scene, trunk(1, next_trunk_id=next_trunk, **more), trunk(2))
            for name, value in live.items():
                setattr(here.live, name, value)
            decision = here.decide("user:100", "0123")
            assert decision.skipped == (("trunk:1", reason),)
            assert f"cannot take the call now: trunk:1 ({reason})" in trail(decision)
            if next_trunk:
                assert [each.name for each in decision.targets] == ["trunk:2"]
            else:
                assert (decision.status, decision.cause) == (503, RejectCause.NO_TARGET)
                assert decision.text == f"no target can take the call: trunk:1 ({reason})"
                assert decision.retry_after == 0

    def test_a_limit_is_free_again_when_a_call_ends(self, scene: Any) -> None:
        here = place(scene, trunk(1, max_outgoing_calls=1))
        assert here.dialled("user:100", "0123") == ["trunk:1 0123"]
        here.live.trunks_out = {1: 1}
        assert here.refused("user:100", "0123").status == 503
        here.live.trunks_out = {1: 0}
        assert here.dialled("user:100", "0123") == ["trunk:1 0123"]

    def test_a_rate_is_asked_for_only_where_there_is_one(self, scene: Any) -> None:
        here = place(scene, trunk(1))
        here.live.trunks_rate_full = frozenset({1})
        assert here.dialled("user:100", "0123") == ["trunk:1 0123"]


class TestNextTrunk:
    """The chain of next trunks."""

    def test_every_trunk_once_in_a_circle(self, scene: Any, trail: Trail) -> None:
        here = place(scene, trunk(1, next_trunk_id=2), trunk(2, next_trunk_id=3), trunk(3, next_trunk_id=2))
        decision = here.decide("user:100", "0123")
        assert [each.name for each in decision.targets] == ["trunk:1", "trunk:2", "trunk:3"]
        assert (
            "next trunk: when SIP trunk 1 cannot take the call, SIP trunk 2, then 3 takes it; "
            "trunk 2 comes up again there and is not tried twice"
        ) in trail(decision)

    def test_a_missing_next_trunk_ends_the_chain(self, scene: Any, trail: Trail) -> None:
        here = place(scene, trunk(1, next_trunk_id=2), trunk(2, next_trunk_id=9))
        decision = here.decide("user:100", "0123")
        assert [each.name for each in decision.targets] == ["trunk:1", "trunk:2"]
        assert "trunk 9 comes next but does not exist" in trail(decision)

    def test_all_of_them_down(self, scene: Any) -> None:
        here = place(scene, trunk(1, next_trunk_id=2), trunk(2, next_trunk_id=1))
        here.live.trunks_down = {1: "timeout", 2: "timeout"}
        refused = here.refused("user:100", "0123")
        assert refused.status == 503
        assert [each.name for each in refused.skipped] == ["trunk:1", "trunk:2"]

    def test_a_long_chain_is_cut_at_the_bound(self, scene: Any, trail: Trail) -> None:
        count = MAX_TARGETS + 10
        here = place(scene, *(trunk(number, next_trunk_id=number + 1) for number in range(1, count + 1)))
        decision = here.decide("user:100", "0123")
        assert len(decision.targets) == MAX_TARGETS
        assert "10 further targets are not tried in one call" in trail(decision)


def test_a_record_that_points_to_nothing_is_503_with_the_reason(scene: Any, trail: Trail) -> None:
    for route_type, words, name in (
        ("sip_trunk", "SIP trunk 7", "trunk:7"),
        ("external_line", "external line 7", "line:7"),
        ("routing_group", "routing group 7", "group:7"),
        ("local_user", "local user 7", "user:7"),
    ):
        here = scene(
            local_users=USERS,
            analyze_called_numbers=[{"prefix": "0", "route_type": route_type, "target_id": 7}],
        )
        refused = here.refused("user:100", "0123")
        assert (refused.status, refused.text) == (503, f"the number leads to {words}, which does not exist")
        assert refused.skipped == ((name, "does not exist"),)
        assert f"sends it to {words}, which does not exist" in trail(refused)


def test_a_call_may_leave_through_the_trunk_it_came_from_and_the_trail_says_so(scene: Any, trail: Trail) -> None:
    here = place(scene, trunk(1), trunk(2))
    decision = here.decide("trunk:1", "0123", "555")
    assert isinstance(decision, Dial)
    assert "hairpin: the call came in through trunk:1 and goes out there again" in trail(decision)
    assert "hairpin" not in trail(here.decide("trunk:2", "0123", "555"))
    assert here.dialled("trunk:2", "0123", "555") == ["trunk:1 0123"]
