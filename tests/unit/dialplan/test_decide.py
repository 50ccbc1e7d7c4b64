"""The order of a decision: source, analysis, levels, users, default route, and the words of each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.dialplan.admission import RETRY_AFTER_SECONDS
from app.dialplan.decision import Dial, RejectCause, RouteDecision

Trail = Callable[[RouteDecision], str]

USERS = [{"id": 1, "number": "100"}, {"id": 2, "number": "101"}, {"id": 3, "number": "102"}]
TRUNKS = [
    {"id": 1, "server_address": "192.0.2.8", "description": "Gateway"},
    {"id": 2, "server_address": "192.0.2.9"},
    {"id": 3, "server_address": "192.0.2.10"},
]


def to_trunk(prefix: str, trunk: int, **more: Any) -> dict[str, Any]:
    return {"prefix": prefix, "route_type": "sip_trunk", "target_id": trunk, **more}


def test_the_longest_prefix_wins_12_and_123(scene: Any) -> None:
    here = scene(local_users=USERS, sip_trunks=TRUNKS, analyze_called_numbers=[to_trunk("12", 1), to_trunk("123", 2)])
    assert here.dialled("user:100", "1234") == ["trunk:2 1234"]
    assert here.dialled("user:100", "1244") == ["trunk:1 1244"]
    assert here.dialled("user:100", "12") == ["trunk:1 12"]
    step = here.decide("user:100", "1234").trail[1]
    assert step.record == ("analyze_called_numbers", 2)
    assert [tuple(each) for each in step.losers] == [("analyze_called_numbers", 1, "its prefix 12 is shorter")]
    assert str(step) == (
        "called number: 1234 begins with 123, so record 2 sends it to SIP trunk 2 - 192.0.2.9:5060; "
        "the number stays as it is [not used: 1 (its prefix 12 is shorter)]"
    )


def test_a_trunk_route_removes_nothing_by_itself(scene: Any, trail: Trail) -> None:
    here = scene(local_users=USERS, sip_trunks=TRUNKS, analyze_called_numbers=[to_trunk("13", 1)])
    decision = here.decide("user:100", "135550")
    assert isinstance(decision, Dial)
    (target,) = decision.targets
    assert (target.name, target.called_number, target.caller_number) == ("trunk:1", "135550", "100")
    assert target.record is here.plan.trunks[1]
    assert trail(decision) == (
        "source: local user 100 calls 135550 from number 100\n"
        "called number: 135550 begins with 13, so record 1 sends it to SIP trunk 1 - Gateway (192.0.2.8:5060); "
        "the number stays as it is\n"
        "decision: dial SIP trunk 1 - Gateway (192.0.2.8:5060) with 135550 from 100"
    )


def test_the_transition_of_the_called_number_changes_what_goes_on(scene: Any, trail: Trail) -> None:
    here = scene(
        local_users=USERS,
        sip_trunks=TRUNKS,
        number_transitions=[{"id": 4, "type": "delete", "length": 2}],
        analyze_called_numbers=[to_trunk("13", 1, transition_id=4), {"prefix": "77", "transition_id": 4}],
    )
    decision = here.decide("user:100", "135550")
    assert decision.targets[0].called_number == "5550"
    assert "it becomes 5550 (transition 4: delete 2 from 0)" in trail(decision)
    assert here.dialled("user:100", "77101") == ["user:101 101"]
    refused = here.refused("user:100", "13")
    assert (refused.status, refused.cause) == (484, RejectCause.NO_NUMBER)
    assert here.refused("user:100", "77").status == 484


@pytest.mark.parametrize(
    ("transitions", "words"),
    [
        ([], "the number stays, because transition 4 does not exist"),
        ([{"id": 4, "enabled": False}], "the number stays, because transition 4 is disabled"),
        ([{"id": 4, "type": "insert", "start": 9, "digits": "7"}], "it stays 135550 (transition 4: insert 7 at 9)"),
    ],
)
def test_a_transition_that_does_not_apply_is_explained(
    scene: Any, trail: Trail, transitions: list[dict[str, Any]], words: str
) -> None:
    here = scene(
        local_users=USERS,
        sip_trunks=TRUNKS,
        number_transitions=transitions,
        analyze_called_numbers=[to_trunk("13", 1, transition_id=4)],
    )
    decision = here.decide("user:100", "135550")
    assert decision.targets[0].called_number == "135550"
    assert words in trail(decision)


def test_the_caller_number_is_analyzed_by_the_longest_prefix(scene: Any, trail: Trail) -> None:
    here = scene(
        local_users=USERS,
        sip_trunks=TRUNKS,
        number_transitions=[{"id": 1, "type": "insert", "digits": "030"}, {"id": 2, "type": "delete", "length": 1}],
        analyze_caller_numbers=[
            {"prefix": "1", "transition_id": 1},
            {"prefix": "10", "transition_id": 2},
            {"prefix": "101", "transition_id": 1, "enabled": False},
        ],
        analyze_called_numbers=[to_trunk("13", 1)],
    )
    decision = here.decide("user:101", "135550")
    assert decision.targets[0].caller_number == "01"
    assert [(each.id, each.why) for each in decision.trail[1].losers] == [
        (3, "disabled"),
        (1, "its prefix 1 is shorter"),
    ]
    assert "caller number: 101 begins with 10, so record 2 applies: it becomes 01" in trail(decision)
    assert "caller number: no record fits 555, so it stays as it is" in trail(here.decide("trunk:1", "135550", "555"))


def test_the_number_list_sees_the_numbers_before_they_are_analyzed(scene: Any) -> None:
    here = scene(
        local_users=USERS,
        number_transitions=[{"id": 1, "type": "insert", "digits": "9"}],
        analyze_caller_numbers=[{"prefix": "", "transition_id": 1}],
        number_lists=[{"caller_prefix": "9", "called_prefix": "*"}],
    )
    decision = here.decide("user:100", "101")
    assert isinstance(decision, Dial)
    assert decision.targets[0].caller_number == "9100"
    assert [each.step for each in decision.trail][:3] == ["source", "number list", "caller number"]


def test_a_disabled_record_takes_no_part_and_is_named(scene: Any) -> None:
    here = scene(
        local_users=USERS,
        sip_trunks=TRUNKS,
        analyze_called_numbers=[to_trunk("", 1), to_trunk("12", 2), to_trunk("123", 3, enabled=False)],
    )
    assert here.dialled("user:100", "1234") == ["trunk:2 1234"]
    step = here.decide("user:100", "1234").trail[1]
    assert [(each.id, each.why) for each in step.losers] == [
        (3, "disabled"),
        (1, "it fits any number, a prefix is closer"),
    ]
    assert "fits as any number does, so record 1 sends it" in str(here.decide("user:100", "555").trail[1])


def test_losers_are_listed_up_to_a_bound(scene: Any) -> None:
    prefixes = ["1" * length for length in range(1, 10)]
    here = scene(
        local_users=USERS, sip_trunks=TRUNKS, analyze_called_numbers=[to_trunk(prefix, 1) for prefix in prefixes]
    )
    step = here.decide("user:100", "111111111").trail[1]
    assert [each.id for each in step.losers] == [8, 7, 6, 5, 4]
    assert str(step).endswith(" and 3 more]")


class TestLevels:
    """Call levels: users need them, trunks and lines have level 0 only."""

    def place(self, scene: Any) -> Any:
        return scene(
            local_users=[
                {"number": "100", "call_levels": [1, 3]},
                {"number": "101", "call_levels": [2]},
                {"number": "102"},
            ],
            sip_trunks=TRUNKS,
            external_lines=[{"id": 1, "account": "acc", "server_address": "192.0.2.20"}],
            analyze_called_numbers=[to_trunk("00", 1, call_level=3), to_trunk("0", 1)],
        )

    def test_a_user_with_the_level_may_call(self, scene: Any, trail: Trail) -> None:
        decision = self.place(scene).decide("user:100", "0044")
        assert isinstance(decision, Dial)
        assert "record 1 needs call level 3, local user 100 has it (1, 3)" in trail(decision)

    @pytest.mark.parametrize("source", ["user:101", "user:102", "trunk:1", "line:1"])
    def test_everybody_else_gets_403(self, scene: Any, source: str) -> None:
        here = self.place(scene)
        refused = here.refused(source, "0044")
        assert (refused.status, refused.cause) == (403, RejectCause.CALL_LEVEL)
        assert refused.text == f"{source} may not call numbers of call level 3"
        assert here.dialled(source, "044") == ["trunk:1 044"]

    def test_the_shorter_prefix_is_no_way_around(self, scene: Any) -> None:
        assert self.place(scene).refused("user:102", "0044").status == 403


class TestUsers:
    """What a number of a local user leads to."""

    def test_without_a_record_the_user_rings(self, scene: Any, trail: Trail) -> None:
        here = scene(local_users=USERS)
        decision = here.decide("user:100", "101")
        assert isinstance(decision, Dial)
        target = decision.targets[0]
        assert (target.name, target.target_id, target.called_number) == ("user:101", 2, "101")
        assert trail(decision).splitlines()[-1] == "decision: ring local user 101; the caller is shown as 100"

    def test_a_record_with_target_0_rings_the_number_itself(self, scene: Any) -> None:
        here = scene(local_users=USERS, analyze_called_numbers=[{"prefix": "10", "call_level": 0}])
        assert here.dialled("user:100", "102") == ["user:102 102"]
        assert here.refused("user:100", "103").status == 404

    def test_a_record_with_a_target_rings_that_user(self, scene: Any) -> None:
        here = scene(local_users=USERS, sip_trunks=TRUNKS, analyze_called_numbers=[{"prefix": "0800", "target_id": 3}])
        assert here.dialled("trunk:1", "08001234", "555") == ["user:102 102"]

    @pytest.mark.parametrize(
        ("called", "status", "cause", "text"),
        [
            ("555", 404, RejectCause.NOT_FOUND, "no record and no local user has the number 555"),
            ("101", 480, RejectCause.NOT_REGISTERED, "local user 101 is not registered"),
            ("102", 480, RejectCause.NOT_REGISTERED, "local user 102 is disabled"),
            ("103", 486, RejectCause.LIMIT, "local user 103 has all of its 2 calls"),
            ("", 484, RejectCause.NO_NUMBER, "the call names no number"),
        ],
    )
    def test_who_cannot_be_rung(self, scene: Any, called: str, status: int, cause: RejectCause, text: str) -> None:
        here = scene(
            local_users=[
                {"number": "100"},
                {"number": "101"},
                {"number": "102", "enabled": False},
                {"number": "103", "max_calls": 2},
            ]
        )
        here.live.contacts = {"101": 0}
        here.live.users_active = {"103": 2}
        refused = here.refused("user:100", called)
        assert (refused.status, refused.cause, refused.text) == (status, cause, text)
        here.live.users_active = {"103": 1}
        assert here.dialled("user:100", "103") == ["user:103 103"]


class TestSources:
    """Who may call at all."""

    @pytest.mark.parametrize(
        ("source", "text"),
        [
            ("address:203.0.113.5:5060", "nobody is known at 203.0.113.5:5060"),
            ("trunk:9", "there is no SIP trunk 9"),
            ("line:9", "there is no external line 9"),
            ("user:999", "there is no local user 999"),
            ("trunk:5", "SIP trunk 5 is disabled"),
            ("user:105", "local user 105 is disabled"),
        ],
    )
    def test_a_stranger_gets_403(self, scene: Any, source: str, text: str) -> None:
        here = scene(
            local_users=[*USERS, {"number": "105", "enabled": False}],
            sip_trunks=[*TRUNKS, {"id": 5, "server_address": "192.0.2.11", "enabled": False}],
        )
        refused = here.refused(source, "100", "1")
        assert (refused.status, refused.cause) == (403, RejectCause.UNKNOWN_SOURCE)
        assert text in refused.text

    @pytest.mark.parametrize("limit", [0, 1, 30])
    def test_the_incoming_limit_of_a_trunk_and_of_a_line(self, scene: Any, limit: int) -> None:
        here = scene(
            local_users=USERS,
            sip_trunks=[{"id": 1, "server_address": "192.0.2.8", "max_incoming_calls": limit}],
            external_lines=[{"id": 1, "account": "acc", "server_address": "192.0.2.20", "max_incoming_calls": limit}],
        )
        here.live.trunks_in = here.live.lines_in = {1: limit}
        for source in ("trunk:1", "line:1"):
            refused = here.refused(source, "100", "555")
            assert (refused.status, refused.reason, refused.cause) == (503, "Service Unavailable", RejectCause.LIMIT)
            assert refused.retry_after == RETRY_AFTER_SECONDS
            assert here.dialled(source, "100", "555", redirected=True) == ["user:100 100"]
        if limit:
            here.live.trunks_in = here.live.lines_in = {1: limit - 1}
            assert here.dialled("trunk:1", "100", "555") == here.dialled("line:1", "100", "555") == ["user:100 100"]

    def test_the_limits_of_a_user_who_calls(self, scene: Any) -> None:
        here = scene(local_users=[{"number": "100", "max_calls": 3, "max_outgoing_calls": 1}, {"number": "101"}])
        assert here.dialled("user:100", "101") == ["user:101 101"]
        here.live.users_out = {"100": 1}
        refused = here.refused("user:100", "101")
        assert (refused.status, refused.text) == (486, "local user 100 has all of its 1 outgoing calls")
        here.live.users_out, here.live.users_active = {}, {"100": 3}
        assert here.refused("user:100", "101").text == "local user 100 has all of its 3 calls"
        assert here.dialled("user:100", "101", redirected=True) == ["user:101 101"]


class TestDefaultRoute:
    """Numbers that no record fits."""

    def test_it_can_be_a_trunk(self, scene: Any, trail: Trail) -> None:
        here = scene(
            system={"default_route_type": "sip_trunk", "default_target_id": 2}, local_users=USERS, sip_trunks=TRUNKS
        )
        decision = here.decide("user:100", "555")
        assert [each.name for each in decision.targets] == ["trunk:2"]
        assert "default route: nothing else fits, so the number goes to SIP trunk 2" in trail(decision)

    def test_a_default_route_without_target_is_404_and_a_missing_one_503(self, scene: Any) -> None:
        here = scene(system={"default_route_type": "sip_trunk"}, local_users=USERS)
        assert here.refused("user:100", "555").status == 404
        here = scene(system={"default_route_type": "routing_group", "default_target_id": 7}, local_users=USERS)
        refused = here.refused("user:100", "555")
        assert (refused.status, refused.text) == (503, "the number leads to routing group 7, which does not exist")
        assert refused.skipped == (("group:7", "does not exist"),)

    def test_a_target_left_over_from_another_type_takes_no_calls(self, scene: Any) -> None:
        here = scene(system={"default_route_type": "local_user", "default_target_id": 1}, local_users=USERS)
        assert here.refused("user:100", "555").status == 404


def test_strange_numbers_stay_on_one_line(scene: Any) -> None:
    here = scene(
        local_users=USERS,
        sip_trunks=[{"id": 1, "server_address": "192.0.2.8"}],
        analyze_called_numbers=[to_trunk("1", 1)],
    )
    decision = here.decide("user:100", "1\r\n\u2028" + "9" * 5000, "\x00")
    assert all(str(step).isprintable() and len(str(step)) < 400 for step in decision.trail)
    assert here.refused("user:100", "7\r\nVia: x").text.isprintable()
    assert here.refused("user:\x07", "1").text.isprintable()
