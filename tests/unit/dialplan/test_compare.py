"""Which saved test numbers a change routes differently."""

from __future__ import annotations

from typing import Any

from app.dialplan.compare import SavedNumber, compare
from app.dialplan.live import IdleState
from app.dialplan.request import Source


def test_only_the_numbers_that_go_elsewhere_are_named(scene: Any) -> None:
    users = [{"id": 1, "number": "100"}, {"id": 2, "number": "101"}]
    trunks = [{"id": 1, "server_address": "192.0.2.1"}, {"id": 2, "server_address": "192.0.2.2"}]
    before = scene(
        local_users=users,
        sip_trunks=trunks,
        analyze_called_numbers=[{"prefix": "13", "route_type": "sip_trunk", "target_id": 1}],
    ).configuration
    after = scene(
        local_users=users[:1],
        sip_trunks=trunks,
        number_transitions=[{"id": 1, "type": "delete", "length": 1}],
        analyze_called_numbers=[
            {"prefix": "13", "route_type": "sip_trunk", "target_id": 1},
            {"prefix": "130", "route_type": "sip_trunk", "target_id": 2},
            {"prefix": "131", "route_type": "sip_trunk", "target_id": 1, "transition_id": 1},
        ],
    ).configuration
    numbers = [SavedNumber(Source.user("100"), "100", called) for called in ("1355", "1300", "1310", "101", "999")]
    differences = compare(before, after, numbers)
    assert [str(each) for each in differences] == [
        "user:100 to 1300: before trunk:1 with 1300 from 100; now trunk:2 with 1300 from 100",
        "user:100 to 1310: before trunk:1 with 1310 from 100; now trunk:1 with 310 from 100",
        "user:100 to 101: before user:101 with 101 from 100; now 404 Not Found",
    ]
    assert compare(before, before, numbers) == ()
    assert [each.number.called_number for each in compare(after, before, numbers)] == ["1300", "1310", "101"]


def test_the_state_of_the_moment_counts_only_when_it_is_given(scene: Any) -> None:
    trunks = [{"id": 1, "server_address": "192.0.2.1", "max_outgoing_calls": 5}]
    common = {
        "local_users": [{"number": "100"}],
        "analyze_called_numbers": [{"prefix": "13", "route_type": "sip_trunk", "target_id": 1}],
    }
    before = scene(sip_trunks=trunks, **common).configuration
    after = scene(sip_trunks=[{**trunks[0], "max_outgoing_calls": 6}], **common).configuration
    number = SavedNumber(Source.user("100"), "100", "1355")
    assert compare(before, after, [number]) == ()
    (difference,) = compare(before, after, [number], IdleState(trunks_out={1: 5}))
    assert str(difference).endswith("before 503 Service Unavailable; now trunk:1 with 1355 from 100")
