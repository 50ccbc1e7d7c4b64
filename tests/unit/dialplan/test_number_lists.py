"""The black and white list: the seven cases, shares, disabled entries and what the trail says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialplan.decision import RejectCause, RouteDecision
from app.dialplan.number_lists import NumberLists
from app.records import NumberList

CLASSIC = [("101", "*", 100), ("*", "9", 100), ("100", "9", 0), ("1", "913", 0)]


def entries(rows: list[tuple[str, str, int]]) -> list[dict[str, Any]]:
    return [
        {"id": index, "caller_prefix": caller, "called_prefix": called, "block_percent": percent}
        for index, (caller, called, percent) in enumerate(rows, start=1)
    ]


@pytest.fixture
def classic(scene: Any) -> Any:
    """Every number goes to one trunk, and the users of the seven cases."""
    return scene(
        local_users=[{"number": number} for number in ("100", "101", "102", "200", "1011")],
        sip_trunks=[{"id": 1, "server_address": "192.0.2.8"}],
        analyze_called_numbers=[
            {"prefix": "9", "route_type": "sip_trunk", "target_id": 1},
        ],
        number_lists=entries(CLASSIC),
    )


@pytest.mark.parametrize(
    ("caller", "called", "blocked"),
    [
        ("101", "100", True),
        ("101", "913800", False),
        ("100", "974413800", False),
        ("102", "974413800", True),
        ("102", "913800", False),
        ("1011", "913800", False),
        ("200", "913800", True),
    ],
)
def test_the_seven_cases(classic: Any, caller: str, called: str, blocked: bool) -> None:
    for draw in (0.0, 0.5, 0.999):
        if blocked:
            refused = classic.refused(f"user:{caller}", called, draw=draw)
            assert (refused.status, refused.reason) == (403, "Forbidden")
            assert refused.cause is RejectCause.NUMBER_LIST
            assert f"calls from {caller} to {called} are blocked by number list entry" in refused.text
        else:
            assert classic.dialled(f"user:{caller}", called, draw=draw) == [f"trunk:1 {called}"]


def test_the_trail_names_the_entry_that_decided_and_those_that_did_not(
    classic: Any, trail: Callable[[RouteDecision], str]
) -> None:
    step = next(each for each in classic.refused("user:200", "913800").trail if each.step == "number list")
    assert step.record == ("number_lists", 2)
    assert "entry 2 (* to 9) decides about 200 calling 913800: it blocks the call" in str(step)
    reasons = {each.id: each.why for each in step.losers}
    assert reasons[4] == "1 to 913: the caller number does not begin with 1"
    passed = next(each for each in classic.decide("user:100", "974413800").trail if each.step == "number list")
    assert {each.id: each.why for each in passed.losers}[2] == "* to 9: its caller prefix is shorter"
    assert "entry 3 (100 to 9) decides" in str(passed)


def test_a_share_of_calls_is_blocked_by_the_draw(scene: Any) -> None:
    here = scene(local_users=[{"number": "100"}], number_lists=entries([("*", "100", 30)]))
    assert here.refused("trunk:1", "100").status == 403  # nobody's trunk; the list is not even asked
    here = scene(local_users=[{"number": "100"}, {"number": "101"}], number_lists=entries([("*", "100", 30)]))
    assert here.refused("user:101", "100", draw=0.2999).status == 403
    assert here.dialled("user:101", "100", draw=0.3) == ["user:100 100"]
    step = here.decide("user:101", "100", draw=0.9).trail[1]
    assert "it blocks 30 % of such calls, and this one passes" in str(step)


def test_the_share_does_not_bend_the_weights_that_follow(scene: Any) -> None:
    here = scene(
        local_users=[{"number": "100"}],
        number_lists=entries([("*", "1", 50)]),
        sip_trunks=[{"id": 1, "server_address": "192.0.2.1"}, {"id": 2, "server_address": "192.0.2.2"}],
        routing_groups=[{"id": 1, "strategy": "weighted", "members": [{"target_id": 1}, {"target_id": 2}]}],
        analyze_called_numbers=[{"prefix": "1", "route_type": "routing_group", "target_id": 1}],
    )
    first = [here.dialled("user:100", "123", draw=0.5 + step / 2000)[0] for step in range(1000)]
    assert first.count("trunk:1 123") == pytest.approx(500, abs=2)


def test_a_disabled_entry_takes_no_part_and_is_named(scene: Any) -> None:
    rows = entries([("*", "913", 100), ("*", "9", 0)])
    rows[0]["enabled"] = False
    here = scene(local_users=[{"number": "100"}, {"number": "913"}], number_lists=rows)
    step = here.decide("user:100", "913").trail[1]
    assert step.record == ("number_lists", 2)
    assert [(each.id, each.why) for each in step.losers] == [(1, "* to 913: disabled")]


def test_without_entries_there_is_no_step(scene: Any) -> None:
    here = scene(local_users=[{"number": "100"}])
    assert "number list" not in [each.step for each in here.decide("user:100", "100").trail]


prefixes = st.one_of(st.just("*"), st.text("012", min_size=1, max_size=3))


@given(
    st.lists(st.tuples(prefixes, prefixes, st.booleans()), max_size=20),
    st.text("012", max_size=5),
    st.text("012", max_size=5),
)
def test_the_compiled_list_equals_the_rule_in_words(
    rows: list[tuple[str, str, bool]], caller: str, called: str
) -> None:
    table = [
        NumberList(id=index, caller_prefix=one, called_prefix=two, enabled=enabled)
        for index, (one, two, enabled) in enumerate(rows, start=1)
    ]

    def size(prefix: str) -> int:
        return 0 if prefix == "*" else len(prefix)

    def fits(number: str, prefix: str) -> bool:
        return prefix == "*" or number.startswith(prefix)

    fitting = [e for e in table if e.enabled and fits(caller, e.caller_prefix) and fits(called, e.called_prefix)]
    expected = max(fitting, key=lambda e: (size(e.called_prefix), size(e.caller_prefix), -e.id), default=None)
    winner, losers = NumberLists(table).find(caller, called)
    assert winner is expected
    assert winner not in losers
