"""The configuration is replaced, never changed; what does not fit is refused; references are known."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import RecordErrors
from app.records import (
    AnalyzeCalledNumber,
    Change,
    Configuration,
    ExternalLine,
    LocalUser,
    NumberTransition,
    RefineCallerNumber,
    RouteType,
    RoutingGroup,
    RoutingGroupMember,
    SipTrunk,
    System,
)
from app.records.configuration import references_of
from app.records.types import MAX_ID


def trunk(number: int, **values: Any) -> SipTrunk:
    return SipTrunk(id=number, **{"server_address": "192.0.2.8", **values})


def configured(*records: Any) -> Configuration:
    return Configuration().with_changes([Change(each.table, None, each) for each in records])


def test_lookups() -> None:
    configuration = configured(trunk(7), trunk(2), LocalUser(id=1, number="100"))
    assert [each.id for each in configuration.records(SipTrunk)] == [2, 7]
    assert configuration.get(SipTrunk, 7) == trunk(7)
    assert configuration.get(SipTrunk, 1) is None
    assert configuration.find("sip_trunks", 2) == trunk(2)
    assert configuration.find("system", 1) is configuration.system
    assert configuration.find("nonsense", 1) is None
    assert configuration.users_by_number["100"].id == 1
    assert len(tuple(configuration.all_records())) == 4


def test_a_change_makes_a_new_configuration() -> None:
    before = configured(trunk(1))
    change = Change("sip_trunks", trunk(1), trunk(1, server_port=5070))
    after = before.with_changes([change])
    assert before.get(SipTrunk, 1) == trunk(1)
    assert after.get(SipTrunk, 1) == trunk(1, server_port=5070)
    assert after.with_changes([change.inverse]).table("sip_trunks") == before.table("sip_trunks")


def test_the_system_record_is_always_there() -> None:
    other = System(domain="example.com")
    change = Change("system", System(), other)
    assert Configuration().with_changes([change]).system == other
    assert Configuration().with_changes([Change("system", other, None)]).system == System()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([Change("sip_trunks", None, trunk(1))], "id: 1 is already used"),
        ([Change("sip_trunks", trunk(5), None)], "id: SIP trunk 5 is no longer there"),
        ([Change("local_users", None, LocalUser(id=2, number="100"))], "number: 100 is already local user 1"),
        (
            [
                Change("analyze_called_numbers", None, AnalyzeCalledNumber(id=1, prefix="")),
                Change("analyze_called_numbers", None, AnalyzeCalledNumber(id=2, prefix="")),
            ],
            "prefix: any number is already called number record 1",
        ),
        (
            [
                Change("refine_caller_numbers", None, RefineCallerNumber(id=1, outgoing_group_id=1, prefix="0")),
                Change("refine_caller_numbers", None, RefineCallerNumber(id=2, outgoing_group_id=1, prefix="0")),
            ],
            "prefix: 1, 0 is already caller refinement 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes: list[Change], words: str) -> None:
    before = configured(trunk(1), LocalUser(id=1, number="100"))
    with pytest.raises(RecordErrors) as caught:
        before.with_changes(changes)
    assert [str(error) for error in caught.value.errors] == [words]


def test_the_same_prefix_in_two_groups_is_no_clash() -> None:
    configuration = configured(
        RefineCallerNumber(id=1, outgoing_group_id=1, prefix="0"),
        RefineCallerNumber(id=2, outgoing_group_id=2, prefix="0"),
    )
    assert len(configuration.records(RefineCallerNumber)) == 2


def test_next_ids() -> None:
    assert Configuration().next_id("sip_trunks") == 1
    assert configured(trunk(3)).next_id("sip_trunks") == 4
    assert configured(trunk(1), trunk(MAX_ID)).next_id("sip_trunks") == 2


def test_references_of_every_kind() -> None:
    group = RoutingGroup(
        id=1,
        members=(
            RoutingGroupMember(target_id=4),
            RoutingGroupMember(route_type=RouteType.EXTERNAL_LINE, target_id=5),
        ),
    )
    assert [(each.field, each.target_table, each.target_id) for each in references_of(group)] == [
        ("members[0].target_id", "sip_trunks", 4),
        ("members[1].target_id", "external_lines", 5),
    ]
    called = AnalyzeCalledNumber(id=1, prefix="1", route_type=RouteType.SIP_TRUNK, target_id=4, transition_id=2)
    assert [(each.field, each.target_table, each.target_id) for each in references_of(called)] == [
        ("target_id", "sip_trunks", 4),
        ("transition_id", "number_transitions", 2),
    ]
    assert references_of(AnalyzeCalledNumber(id=1, prefix="1")) == (), "0 is none"


def test_who_uses_a_record() -> None:
    configuration = configured(
        LocalUser(id=9, number="100"),
        trunk(1, next_trunk_id=2),
        trunk(2),
        NumberTransition(id=2),
        ExternalLine(id=1, server_address="a.example", account="1", local_user="100", next_trunk_id=2),
        AnalyzeCalledNumber(id=1, prefix="1", target_id=9),
    )
    used = configuration.references_to("sip_trunks", 2)
    assert [(each.record.table, each.record.id, each.field) for each in used] == [
        ("external_lines", 1, "next_trunk_id"),
        ("sip_trunks", 1, "next_trunk_id"),
    ]
    assert {(each.record.table, each.field) for each in configuration.references_to("local_users", 9)} == {
        ("analyze_called_numbers", "target_id"),
        ("external_lines", "local_user"),
    }
    assert configuration.references_to("number_transitions", 2) == ()


def test_a_change_copies_only_the_table_it_touches() -> None:
    before = configured(trunk(1), trunk(2), LocalUser(id=1, number="100"))
    before.table("sip_trunks")
    after = before.with_changes([Change("local_users", None, LocalUser(id=2, number="101"))])
    assert after.tables["sip_trunks"] is before.tables["sip_trunks"]
    assert after.table("sip_trunks") is before.table("sip_trunks")
    assert [each.id for each in after.table("local_users")] == [1, 2]
    assert [each.id for each in before.table("local_users")] == [1]


def test_a_clash_names_the_record_that_was_there_before() -> None:
    before = configured(LocalUser(id=1, number="100"), LocalUser(id=2, number="101"))
    user = before.get(LocalUser, 1)
    assert user is not None
    with pytest.raises(RecordErrors, match="101 is already local user 2"):
        before.with_changes([Change("local_users", user, user.model_copy(update={"number": "101"}))])
    new = [Change("local_users", None, LocalUser(id=each, number="200")) for each in (7, 8)]
    with pytest.raises(RecordErrors, match="200 is already local user 7"):
        before.with_changes(new)
