"""Problems of a configuration: each kind is found at its record and field, and a sound one has none."""

from __future__ import annotations

from typing import Any

import pytest

from app.dialplan.coverage import problems
from app.events import Severity

ERROR, WARNING, INFORMATION = Severity.ERROR, Severity.WARNING, Severity.INFORMATION

SOUND: dict[str, list[dict[str, Any]]] = {
    "local_users": [
        {"id": 1, "number": "100", "password": "k7-Weide", "call_levels": [2], "max_external_calls_per_hour": 20},
        {"id": 2, "number": "101", "trusted_address": "192.0.2.50", "max_external_minutes_per_day": 60},
    ],
    "external_lines": [
        {"id": 1, "account": "acc", "server_address": "192.0.2.20", "local_user": "100", "next_trunk_id": 3}
    ],
    "sip_trunks": [
        {"id": 1, "server_address": "192.0.2.8", "next_trunk_id": 2, "outgoing_group_id": 1},
        {"id": 2, "server_address": "192.0.2.8", "server_port": 5070},
        {"id": 3, "server_address": "192.0.2.10"},
        {"id": 4, "server_address": "192.0.2.11", "trusted_networks": ["198.51.100.0/24"]},
    ],
    "analyze_called_numbers": [
        {"id": 1, "prefix": "13", "route_type": "sip_trunk", "target_id": 1, "transition_id": 1, "call_level": 2},
        {"id": 2, "prefix": "14", "route_type": "routing_group", "target_id": 1},
    ],
    "analyze_caller_numbers": [{"id": 1, "prefix": "1", "transition_id": 1}],
    "refine_called_numbers": [{"id": 1, "outgoing_group_id": 1, "prefix": "0", "transition_id": 1}],
    "refine_caller_numbers": [{"id": 1, "outgoing_group_id": 1, "prefix": "0", "transition_id": 1}],
    "number_transitions": [{"id": 1, "type": "insert", "digits": "0"}],
    "routing_groups": [{"id": 1, "members": [{"target_id": 4}, {"route_type": "external_line", "target_id": 1}]}],
    "number_lists": [{"id": 1, "caller_prefix": "1", "called_prefix": "9"}],
}


def found(scene: Any, **changes: list[dict[str, Any]]) -> list[tuple[Severity, str, int, str, str]]:
    """The problems of the sound configuration with some tables replaced (`system` too)."""
    here = scene.unchecked(**{**SOUND, **changes})
    return [
        (each.severity, each.table, each.record_id, each.field, each.message) for each in problems(here.configuration)
    ]


def with_record(table: str, **values: Any) -> dict[str, list[dict[str, Any]]]:
    """The sound table with one record more, or with the record of that id changed."""
    rows = [dict(each) for each in SOUND[table]]
    for row in rows:
        if row["id"] == values["id"]:
            row.update(values)
            return {table: rows}
    return {table: [*rows, values]}


def test_a_sound_configuration_has_no_problem(scene: Any) -> None:
    assert found(scene) == []
    assert problems(scene().configuration) == ()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            with_record("analyze_called_numbers", id=3, prefix="15", route_type="sip_trunk", target_id=9),
            (ERROR, "analyze_called_numbers", 3, "target_id", "SIP trunk 9 does not exist"),
        ),
        (
            with_record("analyze_called_numbers", id=3, prefix="15", transition_id=9),
            (ERROR, "analyze_called_numbers", 3, "transition_id", "number transition 9 does not exist"),
        ),
        (
            with_record("refine_caller_numbers", id=1, transition_id=8),
            (ERROR, "refine_caller_numbers", 1, "transition_id", "number transition 8 does not exist"),
        ),
        (
            with_record("sip_trunks", id=3, next_trunk_id=9),
            (ERROR, "sip_trunks", 3, "next_trunk_id", "SIP trunk 9 does not exist"),
        ),
        (
            with_record("local_users", id=1, external_line_id=7),
            (ERROR, "local_users", 1, "external_line_id", "external line 7 does not exist"),
        ),
        (
            with_record("external_lines", id=1, local_user="777"),
            (
                ERROR,
                "external_lines",
                1,
                "local_user",
                "there is no local user 777: incoming calls of this line get 404",
            ),
        ),
        (
            with_record("routing_groups", id=1, members=[{"target_id": 4}, {"target_id": 99}]),
            (ERROR, "routing_groups", 1, "members[1].target_id", "SIP trunk 99 does not exist"),
        ),
        (
            {"system": {"id": 1, "default_route_type": "sip_trunk", "default_target_id": 9}},
            (ERROR, "system", 1, "default_target_id", "SIP trunk 9 does not exist"),
        ),
        (
            {"system": {"id": 1, "default_route_type": "routing_group"}},
            (
                ERROR,
                "system",
                1,
                "default_target_id",
                "the default route is a routing group, but none is chosen: numbers without a record get 404",
            ),
        ),
        (
            {"system": {"id": 1, "sip_udp_port": 0, "sip_tcp_port": 0, "sip_tls_port": 0}},
            (
                ERROR,
                "system",
                1,
                "sip_udp_port",
                "the UDP, TCP and TLS ports are all off: no phone and no trunk can reach this server",
            ),
        ),
        (
            {"system": {"id": 1, "sip_tcp_port": 5061, "sip_tls_port": 5061}},
            (ERROR, "system", 1, "sip_tls_port", "TCP and TLS cannot share the port 5061"),
        ),
    ],
)
def test_what_does_not_exist_is_an_error(scene: Any, changes: Any, problem: Any) -> None:
    assert problem in found(scene, **changes)
    assert found(scene, **changes)[0][0] is ERROR


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            with_record("sip_trunks", id=1, enabled=False),
            (WARNING, "analyze_called_numbers", 1, "target_id", "SIP trunk 1 - 192.0.2.8:5060 is disabled"),
        ),
        (
            with_record("number_transitions", id=1, enabled=False),
            (WARNING, "refine_called_numbers", 1, "transition_id", "number transition 1 - insert 0 at 0 is disabled"),
        ),
        (
            with_record("sip_trunks", id=4, max_outgoing_calls=0),
            (
                WARNING,
                "routing_groups",
                1,
                "members[0].target_id",
                "SIP trunk 4 - 192.0.2.11:5060 takes no outgoing calls: its limit is 0",
            ),
        ),
        (
            with_record("local_users", id=1, enabled=False),
            (
                WARNING,
                "external_lines",
                1,
                "local_user",
                "local user 100 is disabled: incoming calls of this line get 480",
            ),
        ),
        (
            with_record("routing_groups", id=1, members=[]),
            (WARNING, "routing_groups", 1, "members", "the group has no members: its calls get 503"),
        ),
        (
            with_record("routing_groups", id=1, members=[{"target_id": 4}, {"target_id": 4}]),
            (
                WARNING,
                "routing_groups",
                1,
                "members[1].target_id",
                "SIP trunk 4 is in the group twice and is tried once",
            ),
        ),
        (
            {
                **with_record("routing_groups", id=1, members=[{"target_id": 4}]),
                **with_record("sip_trunks", id=4, enabled=False),
            },
            (
                WARNING,
                "routing_groups",
                1,
                "members",
                "no member of the group exists and is enabled: its calls get 503",
            ),
        ),
        (
            with_record("analyze_called_numbers", id=3, prefix="13"),
            (
                WARNING,
                "analyze_called_numbers",
                3,
                "prefix",
                "never applies: called number record 1 has the same prefix 13",
            ),
        ),
        (
            with_record("refine_called_numbers", id=2, outgoing_group_id=1, prefix="0"),
            (
                WARNING,
                "refine_called_numbers",
                2,
                "prefix",
                "never applies: called refinement 1 has the same prefix 0",
            ),
        ),
        (
            with_record("number_lists", id=2, caller_prefix="1", called_prefix="9", block_percent=0),
            (WARNING, "number_lists", 2, "called_prefix", "never applies: entry 1 has the same two prefixes"),
        ),
        (
            with_record("analyze_called_numbers", id=1, call_level=7),
            (
                WARNING,
                "analyze_called_numbers",
                1,
                "call_level",
                "no local user has call level 7, so nobody may call these numbers",
            ),
        ),
        (
            with_record("number_transitions", id=2, type="delete"),
            (
                WARNING,
                "number_transitions",
                2,
                "digits",
                "changes no number: it has neither digits to put in nor a length",
            ),
        ),
        (
            with_record("sip_trunks", id=3, max_outgoing_calls=0, max_incoming_calls=0),
            (
                WARNING,
                "sip_trunks",
                3,
                "max_outgoing_calls",
                "both limits are 0: no call can go out or come in",
            ),
        ),
        (
            with_record("sip_trunks", id=2, server_port=5060),
            (
                WARNING,
                "sip_trunks",
                2,
                "server_address",
                "SIP trunk 1 - 192.0.2.8:5060 has the same address and port: calls from there come in through it",
            ),
        ),
        (
            with_record("sip_trunks", id=1, trusted_networks=["198.51.100.0/24"]),
            (
                WARNING,
                "sip_trunks",
                4,
                "trusted_networks",
                "SIP trunk 1 - 192.0.2.8:5060 trusts 198.51.100.0/24, too: calls from there come in through it",
            ),
        ),
        (
            with_record("local_users", id=2, trusted_address="192.0.2.10"),
            (
                WARNING,
                "local_users",
                2,
                "trusted_address",
                "SIP trunk 3 - 192.0.2.10:5060 has this address, too: calls from there come in through it",
            ),
        ),
        (
            with_record("local_users", id=3, number="102", trusted_address="192.0.2.50"),
            (
                WARNING,
                "local_users",
                3,
                "trusted_address",
                "local user 101 has the same trusted address: calls from there are taken for that user's",
            ),
        ),
        (
            with_record("local_users", id=2, trusted_address=""),
            (
                WARNING,
                "local_users",
                2,
                "password",
                "no password and no trusted address: this user can neither register nor call",
            ),
        ),
        (
            with_record("local_users", id=3, number="1300", password="x"),
            (
                WARNING,
                "local_users",
                3,
                "number",
                "dialling 1300 does not ring this user: called number record 1 (prefix 13) sends it to "
                "SIP trunk 1 - 192.0.2.8:5060",
            ),
        ),
        (
            with_record("local_users", id=3, number="912", password="x"),
            (
                WARNING,
                "local_users",
                3,
                "number",
                "dialling 912 does not ring this user: it begins with the out-group prefix 9 and goes to an external "
                "line",
            ),
        ),
        (
            with_record("analyze_called_numbers", id=3, prefix="10", transition_id=1),
            (
                WARNING,
                "local_users",
                1,
                "number",
                "dialling 100 does not ring this user: called number record 3 (prefix 10) makes it 0100",
            ),
        ),
        (
            {"system": {"id": 1, "default_route_type": "sip_trunk", "default_target_id": 3}},
            (
                WARNING,
                "local_users",
                1,
                "number",
                "dialling 100 does not ring this user: the default route sends it to SIP trunk 3 - 192.0.2.10:5060",
            ),
        ),
    ],
)
def test_what_was_probably_not_meant_is_a_warning(scene: Any, changes: Any, problem: Any) -> None:
    assert problem in found(scene, **changes)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            with_record("sip_trunks", id=5, server_address="192.0.2.12"),
            (
                INFORMATION,
                "sip_trunks",
                5,
                "max_outgoing_calls",
                "no record, routing group or next trunk leads here: it takes incoming calls only",
            ),
        ),
        (
            with_record("sip_trunks", id=5, server_address="192.0.2.12", max_incoming_calls=0),
            (
                INFORMATION,
                "sip_trunks",
                5,
                "max_outgoing_calls",
                "no record, routing group or next trunk leads here, and it takes no incoming calls",
            ),
        ),
        (
            with_record("external_lines", id=2, account="b", server_address="192.0.2.21", shared=False),
            (
                INFORMATION,
                "external_lines",
                2,
                "max_outgoing_calls",
                "no record, routing group or next trunk leads here: it takes incoming calls only",
            ),
        ),
        (
            with_record("routing_groups", id=2, members=[{"target_id": 4}]),
            (INFORMATION, "routing_groups", 2, "name", "no called number record leads to this group"),
        ),
        (
            with_record("refine_caller_numbers", id=2, outgoing_group_id=8, prefix=""),
            (
                INFORMATION,
                "refine_caller_numbers",
                2,
                "outgoing_group_id",
                "no SIP trunk or external line is in outgoing group 8",
            ),
        ),
        (
            with_record("sip_trunks", id=2, outgoing_group_id=6),
            (
                INFORMATION,
                "sip_trunks",
                2,
                "outgoing_group_id",
                "no refine record belongs to outgoing group 6, so nothing is refined",
            ),
        ),
        (
            with_record("analyze_called_numbers", id=3, prefix="9"),
            (
                INFORMATION,
                "system",
                1,
                "outgroup_prefix",
                "never used: called number record 3 begins with 9 and takes these numbers",
            ),
        ),
        (
            {
                "analyze_caller_numbers": [{"id": n + 2, "prefix": f"7{n}"} for n in range(10)]
                + [{"id": 1, "prefix": "7"}]
            },
            (
                INFORMATION,
                "analyze_caller_numbers",
                1,
                "prefix",
                "applies to the number 7 alone: records with the prefixes 70 to 79 take every longer number",
            ),
        ),
    ],
)
def test_what_has_no_effect_is_information(scene: Any, changes: Any, problem: Any) -> None:
    assert problem in found(scene, **changes)


def test_a_cycle_of_next_trunks_is_named_at_each_of_its_trunks(scene: Any) -> None:
    problems_found = found(scene, **with_record("sip_trunks", id=2, next_trunk_id=1))
    assert [each for each in problems_found if each[3] == "next_trunk_id"] == [
        (
            ERROR,
            "sip_trunks",
            1,
            "next_trunk_id",
            "the next trunks go in a circle: trunk 1 -> 2 -> 1; each is tried once in a call",
        ),
        (
            ERROR,
            "sip_trunks",
            2,
            "next_trunk_id",
            "the next trunks go in a circle: trunk 2 -> 1 -> 2; each is tried once in a call",
        ),
    ]


def test_disabled_records_have_no_problems_of_their_own(scene: Any) -> None:
    for changes in (
        with_record("analyze_called_numbers", id=3, prefix="15", route_type="sip_trunk", target_id=9, enabled=False),
        with_record("local_users", id=3, number="912", enabled=False),
        with_record("sip_trunks", id=5, server_address="192.0.2.8", enabled=False),
        with_record("refine_called_numbers", id=2, outgoing_group_id=1, prefix="0", enabled=False),
        with_record("number_lists", id=2, caller_prefix="1", called_prefix="9", enabled=False),
        with_record("external_lines", id=2, account="b", server_address="h", local_user="9", enabled=False),
        with_record("routing_groups", id=2, enabled=False),
        with_record("number_transitions", id=2, type="delete", enabled=False),
    ):
        assert found(scene, **changes) == []


def test_a_trunk_behind_an_unused_group_is_not_reached(scene: Any) -> None:
    changes = with_record("sip_trunks", id=5, server_address="192.0.2.12")
    changes |= with_record("routing_groups", id=2, members=[{"target_id": 5}])
    assert [(each[1], each[2]) for each in found(scene, **changes)] == [("sip_trunks", 5), ("routing_groups", 2)]


def test_a_trunk_behind_a_disabled_group_is_not_reached(scene: Any) -> None:
    changes = with_record("routing_groups", id=1, enabled=False)
    assert [(each[0], each[1], each[2]) for each in found(scene, **changes)] == [
        (WARNING, "analyze_called_numbers", 2),
        (INFORMATION, "sip_trunks", 4),
    ]


def test_a_user_led_to_by_a_record_is_reached(scene: Any) -> None:
    by_id = with_record("analyze_called_numbers", id=3, prefix="100", target_id=1)
    assert found(scene, **by_id) == []
    by_number = with_record("analyze_called_numbers", id=3, prefix="1")
    assert found(scene, **by_number) == []


# --- what may become dear ---------------------------------------------------------------------------------------------

UNBOUNDED = {
    "local_users": [
        {"id": 1, "number": "100", "password": "k7-Weide", "call_levels": [2]},
        {"id": 2, "number": "101", "password": "m3-Birke"},
    ]
}


def test_abroad_that_is_open_to_every_phone_is_noted_once(scene: Any) -> None:
    (only,) = found(scene, **UNBOUNDED)
    assert only[:4] == (INFORMATION, "system", 1, "outgroup_prefix")
    assert only[4].startswith("whoever learns the password of local user 100, 101 may call abroad here without end")
    abroad = {"id": 9, "prefix": "00", "route_type": "sip_trunk", "target_id": 1}
    (only,) = found(scene, **UNBOUNDED, **with_record("analyze_called_numbers", **abroad))
    assert only[:4] == (INFORMATION, "analyze_called_numbers", 9, "call_level")


@pytest.mark.parametrize("change", [{"call_level": 2}, {"route_type": "local_user", "target_id": 0}])
def test_abroad_that_is_bounded_is_not_noted(scene: Any, change: dict[str, Any]) -> None:
    records = [
        {"id": 3 + place, "prefix": prefix, "route_type": "sip_trunk", "target_id": 1, **change}
        for place, prefix in enumerate(("00", "011", "+", "9"))
    ]
    notes = found(scene, **UNBOUNDED, analyze_called_numbers=[*SOUND["analyze_called_numbers"], *records])
    assert not [each for each in notes if "without end" in each[4]]


def test_an_emergency_number_that_a_stopped_user_cannot_call_is_noted(scene: Any) -> None:
    help_ = {"id": 9, "prefix": "112", "route_type": "sip_trunk", "target_id": 1}
    (only,) = found(scene, **with_record("analyze_called_numbers", **help_))
    assert only[:4] == (INFORMATION, "analyze_called_numbers", 9, "counts_as_external")
    assert only[4] == "112 counts as external here, so that a user who is stopped cannot call for help with it"
    assert found(scene, **with_record("analyze_called_numbers", **help_, counts_as_external=False)) == []
    assert not [
        each
        for each in found(scene, **UNBOUNDED, **with_record("analyze_called_numbers", **help_))
        if "help" in each[4]
    ]


def test_business_hours_and_levels_outside_them_need_each_other(scene: Any) -> None:
    level = with_record("analyze_called_numbers", id=1, call_level_outside_hours=3)
    hours = {"system": {"id": 1, "business_hours": "Mon-Fri 08:00-18:00"}}
    assert [each[:4] for each in found(scene, **level)] == [
        (INFORMATION, "analyze_called_numbers", 1, "call_level_outside_hours")
    ]
    assert [each[:4] for each in found(scene, **hours)] == [(INFORMATION, "system", 1, "business_hours")]
    assert found(scene, **level, **hours) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"password": ""}, "neither register nor call"),
        ({"password": "100"}, "the password is the number"),
        ({"password": "100100"}, "the password is the number"),
        ({"password": "PassWord"}, "strangers try first"),
        ({"password": "123456789"}, "strangers try first"),
        ({"password": "4711"}, "only 4 digits"),
        ({"password": "593817"}, "only 6 digits"),
        ({"password": "k7-W"}, "only 4 characters"),
        ({"password": "x"}, "only 1 character "),
        ({"password": "59381742"}, ""),
        ({"password": "k7-Weide"}, ""),
        ({"password": "", "trusted_address": "192.0.2.60"}, ""),
        ({"password": "100", "enabled": False}, ""),
    ],
)
def test_a_password_that_strangers_guess_is_a_warning(scene: Any, values: dict[str, Any], words: str) -> None:
    users = with_record("local_users", id=1, **values)
    mine = [each for each in found(scene, **users) if each[3] == "password"]
    assert [each[:3] for each in mine] == ([(WARNING, "local_users", 1)] if words else [])
    assert not mine or words in mine[0][4]
