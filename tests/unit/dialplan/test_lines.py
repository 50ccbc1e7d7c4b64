"""External lines: incoming calls, the out-group prefix, own and shared lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.dialplan.decision import Dial, RejectCause, RouteDecision

Trail = Callable[[RouteDecision], str]


def line(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "account": f"account{number}", "server_address": "192.0.2.20", **more}


def place(scene: Any, *lines: dict[str, Any], **more: Any) -> Any:
    users = [{"id": 1, "number": "100"}, {"id": 2, "number": "101", "external_line_id": 2}, {"id": 3, "number": "912"}]
    more.setdefault("local_users", users)
    return scene(external_lines=list(lines), **more)


class TestIncoming:
    """Calls that a line brings."""

    def test_the_local_user_rings_whatever_the_dial_plan_says(self, scene: Any, trail: Trail) -> None:
        here = place(
            scene,
            line(1, local_user="100"),
            sip_trunks=[{"id": 1, "server_address": "192.0.2.8"}],
            analyze_called_numbers=[{"prefix": "", "route_type": "sip_trunk", "target_id": 1, "call_level": 5}],
        )
        for called in ("account1", "4930", ""):
            assert here.dialled("line:1", called, "555") == ["user:100 100"]
        words = trail(here.decide("line:1", "4930", "555"))
        assert "ring its local user 100; the called number is not analyzed" in words

    def test_without_a_local_user_the_dial_plan_decides(self, scene: Any) -> None:
        here = place(scene, line(1), analyze_called_numbers=[{"prefix": "4930", "target_id": 2}])
        assert here.dialled("line:1", "4930123", "555") == ["user:101 101"]

    def test_a_redirected_call_goes_where_it_was_redirected_to(self, scene: Any) -> None:
        here = place(scene, line(1, local_user="100"))
        assert here.dialled("line:1", "101", "555", redirected=True) == ["user:101 101"]

    def test_the_number_list_still_counts(self, scene: Any) -> None:
        here = place(scene, line(1, local_user="100"), number_lists=[{"caller_prefix": "555"}])
        assert here.refused("line:1", "x", "5551").status == 403
        assert here.dialled("line:1", "x", "444") == ["user:100 100"]

    def test_a_local_user_that_is_gone_is_404(self, scene: Any) -> None:
        assert place(scene, line(1, local_user="999")).refused("line:1", "x", "555").status == 404


class TestOutGroupPrefix:
    """A number that begins with 9 and fits no record."""

    def test_a_line_takes_it_without_the_prefix(self, scene: Any, trail: Trail) -> None:
        here = place(scene, line(1))
        decision = here.decide("user:100", "90123")
        assert [(each.name, each.called_number) for each in decision.targets] == [("line:1", "0123")]
        assert "begins with the out-group prefix 9, so an external line takes it without that prefix" in trail(decision)

    def test_the_prefix_alone_is_a_number_like_any_other(self, scene: Any) -> None:
        assert place(scene, line(1)).refused("user:100", "9").status == 404

    def test_a_record_comes_first(self, scene: Any) -> None:
        here = place(scene, line(1), analyze_called_numbers=[{"prefix": "90", "target_id": 2}])
        assert here.dialled("user:100", "90123") == ["user:101 101"]
        assert here.dialled("user:100", "91123") == ["line:1 1123"]

    def test_without_any_line_the_default_route_takes_it(self, scene: Any, trail: Trail) -> None:
        here = place(scene)
        assert here.dialled("user:100", "912") == ["user:912 912"]
        assert here.refused("user:100", "90123").status == 404
        assert "but there is no external line at all" in trail(here.decide("user:100", "90123"))

    def test_a_blank_prefix_asks_for_no_line(self, scene: Any) -> None:
        here = place(scene, line(1), system={"outgroup_prefix": ""})
        assert here.dialled("user:100", "912") == ["user:912 912"]

    def test_a_longer_prefix(self, scene: Any) -> None:
        here = place(scene, line(1), system={"outgroup_prefix": "*9"})
        assert here.dialled("user:100", "*90123") == ["line:1 0123"]


class TestChoice:
    """Which line a call without a named line gets."""

    def test_the_shared_line_with_the_fewest_calls(self, scene: Any) -> None:
        here = place(scene, line(1), line(2, shared=False), line(3), line(4), line(5, enabled=False))
        here.live.lines_out = {1: 2, 3: 1, 4: 1}
        decision = here.decide("user:100", "90123")
        assert [each.name for each in decision.targets] == ["line:3"]
        step = next(each for each in decision.trail if each.step == "external line")
        assert [(each.id, each.why) for each in step.losers] == [
            (1, "2 calls"),
            (4, "1 calls, too, with a higher ID"),
        ]

    def test_full_down_and_rate_limited_lines_are_passed_over(self, scene: Any) -> None:
        here = place(
            scene,
            line(1, max_outgoing_calls=1),
            line(2),
            line(3, max_outgoing_calls=0),
            line(4, max_calls_per_second=1),
            line(5),
        )
        here.live.lines_out = {1: 1, 5: 9}
        here.live.lines_down = {2: "not registered: 403 Forbidden"}
        here.live.lines_rate_full = frozenset({4})
        decision = here.decide("user:100", "90123")
        assert [each.name for each in decision.targets] == ["line:5"]
        assert decision.skipped == (
            ("line:1", "outgoing limit 1 reached"),
            ("line:2", "down: not registered: 403 Forbidden"),
            ("line:3", "outgoing limit 0: no outgoing calls"),
            ("line:4", "limit of 1 calls per second reached"),
        )

    def test_none_is_free(self, scene: Any) -> None:
        here = place(scene, line(1, enabled=False), line(2, shared=False), line(3))
        here.live.lines_down = {3: "not registered"}
        refused = here.refused("user:100", "90123")
        assert (refused.status, refused.text) == (503, "no shared external line is free")
        assert refused.cause is RejectCause.NO_TARGET
        step = next(each for each in refused.trail if each.step == "external line")
        assert [(each.id, each.why) for each in step.losers] == [(1, "disabled"), (2, "not shared")]

    def test_the_next_trunk_of_a_failed_line(self, scene: Any) -> None:
        trunks = [{"id": 1, "server_address": "192.0.2.8"}]
        here = place(scene, line(1, next_trunk_id=1), sip_trunks=trunks)
        assert here.dialled("user:100", "90123") == ["line:1 0123", "trunk:1 0123"]
        here.live.lines_down = {1: "not registered"}
        assert here.dialled("user:100", "90123") == ["trunk:1 0123"]

    def test_the_users_own_line_shared_or_not(self, scene: Any, trail: Trail) -> None:
        for shared in (True, False):
            here = place(scene, line(1), line(2, shared=shared))
            here.live.lines_out = {2: 5}
            assert here.dialled("user:101", "90123") == ["line:2 0123"]
            assert "local user 101 calls out through the own line" in trail(here.decide("user:101", "90123"))

    def test_a_full_own_line_is_not_replaced_by_anothers(self, scene: Any) -> None:
        here = place(scene, line(1), line(2))
        here.live.lines_out = {2: 30}
        assert here.refused("user:101", "90123").status == 503

    def test_an_own_line_that_is_gone_is_replaced_by_a_shared_one(self, scene: Any) -> None:
        decision = place(scene, line(1)).decide("user:101", "90123")
        assert isinstance(decision, Dial)
        assert [each.name for each in decision.targets] == ["line:1"]
        assert decision.skipped == (("line:2", "does not exist"),)

    def test_a_record_without_a_line_chooses_likewise(self, scene: Any) -> None:
        here = place(scene, line(1), line(2), analyze_called_numbers=[{"prefix": "0", "route_type": "external_line"}])
        assert here.dialled("user:100", "0123") == ["line:1 0123"]
        assert here.dialled("user:101", "0123") == ["line:2 0123"]

    def test_a_line_that_belongs_to_a_user_and_is_not_shared_is_only_that_users(self, scene: Any) -> None:
        to_line = [{"prefix": "0", "route_type": "external_line", "target_id": 2}]
        here = place(scene, line(2, shared=False), analyze_called_numbers=to_line)
        assert here.dialled("user:101", "0123") == ["line:2 0123"]
        refused = here.refused("user:100", "0123")
        assert refused.skipped == (("line:2", "not shared: it belongs to 101"),)
        nobodys = place(scene, line(2, shared=False), local_users=[{"number": "100"}], analyze_called_numbers=to_line)
        assert nobodys.dialled("user:100", "0123") == ["line:2 0123"]

    def test_a_line_refines_by_its_group_and_shows_its_number(self, scene: Any) -> None:
        here = place(
            scene,
            line(1, outgoing_group_id=3, unified_caller_number="4930"),
            number_transitions=[{"id": 1, "type": "replace", "length": 1, "digits": "+49"}],
            refine_called_numbers=[{"outgoing_group_id": 3, "prefix": "0", "transition_id": 1}],
        )
        decision = here.decide("user:100", "90123")
        assert isinstance(decision, Dial)
        assert decision.targets[0].called_number == "+49123"
        assert decision.targets[0].caller_number == "4930"
