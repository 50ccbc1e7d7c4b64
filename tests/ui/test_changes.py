"""Changes as people make them, without a window: deleting with references, merging, rows as text."""

from __future__ import annotations

import pytest
from support.office import configuration_of, office

from app.errors import RecordErrors
from app.records import (
    AnalyzeCalledNumber,
    Change,
    Configuration,
    ExternalLine,
    LocalUser,
    RoutingGroup,
    SipTrunk,
    System,
)
from app.records.document import check_record
from ui.records.changes import differences, duplicate_of, new_values, plan_deletion, switched, words_for
from ui.records.history import rebase
from ui.records.merging import changed_fields, merge
from ui.records.record_text import read_table, to_cells
from ui.tables.rows_text import from_csv, from_tsv, to_csv, to_tsv


def found(configuration: Configuration, table: str, record_id: int) -> object:
    return configuration.find(table, record_id)


# --- deleting --------------------------------------------------------------------------------------------------------


def test_deleting_clears_references_takes_members_out_and_names_what_cannot_be_without() -> None:
    before = office()
    trunk = before.get(SipTrunk, 1)
    assert trunk is not None
    plan = plan_deletion(before, [trunk])
    assert {(each.record.table, each.field) for each in plan.references} == {
        ("analyze_called_numbers", "target_id"),
        ("routing_groups", "members[0].target_id"),
    }
    assert [record.id for record in plan.also_deleted] == [1]
    after = before.with_changes(plan.changes)
    assert after.get(SipTrunk, 1) is None
    assert after.get(AnalyzeCalledNumber, 1) is None
    group = after.get(RoutingGroup, 1)
    assert group is not None
    assert [(member.route_type.value, member.target_id) for member in group.members] == [
        ("sip_trunk", 2),
        ("external_line", 1),
    ]


def test_deleting_is_taken_back_whole() -> None:
    before = office()
    plan = plan_deletion(before, [before.find("sip_trunks", 1), before.find("number_transitions", 2)])  # type: ignore[list-item]
    after = before.with_changes(plan.changes)
    back = after.with_changes([change.inverse for change in reversed(plan.changes)])
    assert {name: dict(records) for name, records in back.tables.items()} == {
        name: dict(records) for name, records in before.tables.items()
    }


def test_a_record_named_only_by_others_that_go_too_needs_no_clearing() -> None:
    before = office()
    records = [before.find("sip_trunks", 4), before.find("analyze_called_numbers", 3)]
    plan = plan_deletion(before, records)  # type: ignore[arg-type]
    assert plan.references == []


def test_a_reference_by_number_is_blanked() -> None:
    before = office()
    user = before.get(LocalUser, 1)
    assert user is not None
    after = before.with_changes(plan_deletion(before, [user]).changes)
    line = after.get(ExternalLine, 1)
    assert line is not None
    assert line.local_user == ""


def test_the_system_record_lets_go_of_its_default_target() -> None:
    before = configuration_of(SipTrunk(id=1, server_address="192.0.2.8"))
    system = System(default_route_type="sip_trunk", default_target_id=1)
    before = before.with_changes([Change("system", before.system, system)])
    after = before.with_changes(plan_deletion(before, [before.find("sip_trunks", 1)]).changes)  # type: ignore[list-item]
    assert after.system.default_target_id == 0


# --- duplicating, switching, words -----------------------------------------------------------------------------------


def test_a_copy_has_the_next_id_and_everything_else() -> None:
    before = office()
    trunk = before.get(SipTrunk, 2)
    assert trunk is not None
    copy = duplicate_of(trunk, before)
    assert copy.id == 5
    assert changed_fields(trunk, copy) == ("id",)


def test_only_records_that_are_not_so_already_are_switched() -> None:
    before = office()
    changes = switched(before.table("sip_trunks"), False)
    assert [change.before.id for change in changes if change.before] == [1, 2, 3]


def test_words_of_a_step() -> None:
    trunks = office().table("sip_trunks")
    assert words_for("Delete", trunks[:1]) == "Delete SIP trunk 1"
    assert words_for("Delete", trunks[:3]) == "Delete 3 SIP trunks"
    assert words_for("Change", [System()]) == "Change System"


def test_a_new_record_has_limits_of_thirty_and_the_next_id() -> None:
    values = new_values(SipTrunk, office())
    assert (values["id"], values["server_address"], values["server_port"]) == (5, "", 5060)
    assert (values["max_outgoing_calls"], values["max_incoming_calls"]) == (30, 30)


# --- two people, one record ------------------------------------------------------------------------------------------


def test_both_peoples_changes_count_and_mine_where_they_disagree() -> None:
    base = SipTrunk(id=1, server_address="192.0.2.8", description="a")
    mine = base.model_copy(update={"description": "mine", "server_port": 5070})
    theirs = base.model_copy(update={"description": "theirs", "enabled": False})
    merged, disputed = merge(base, mine, theirs)
    assert isinstance(merged, SipTrunk)
    assert (merged.description, merged.server_port, merged.enabled) == ("mine", 5070, False)
    assert disputed == ("description",)


def test_undoing_leaves_alone_what_somebody_else_changed_since() -> None:
    before = SipTrunk(id=1, server_address="192.0.2.8")
    after = before.model_copy(update={"server_port": 5070})
    current = after.model_copy(update={"description": "theirs"})
    undo = rebase(Change("sip_trunks", after, before), configuration_of(current))
    assert isinstance(undo.after, SipTrunk)
    assert (undo.after.server_port, undo.after.description) == (5060, "theirs")


def test_undoing_never_makes_a_record_that_would_be_refused() -> None:
    """The range of media ports was made to begin lower; its end was then moved below where it had begun."""
    before = office().system
    after = check_record(System, {**dict(before), "media_port_first": 15000})
    current = check_record(System, {**dict(after), "media_port_last": 16000})
    with pytest.raises(RecordErrors, match="media_port_last: must be at least 3 above"):
        rebase(Change(System.table, after, before), Configuration(current, {}))


# --- rows as text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", list(office().tables))
def test_every_table_goes_through_text_and_back(table: str) -> None:
    configuration = office()
    records = configuration.table(table)
    names = [name for name in type(records[0]).model_fields if name != "password"]
    text = to_csv(to_cells(type(records[0]), records, names, labels=False))
    assert read_table(type(records[0]), from_csv(text), configuration, names, new=False) == []
    emptied = configuration.with_changes([Change(table, record, None) for record in records])
    changes = read_table(type(records[0]), from_csv(text), emptied, names, new=False)
    again = [change.after for change in changes]
    assert [
        record.model_copy(update={"password": ""}) if "password" in type(record).model_fields else record
        for record in records
    ] == again


def test_pasted_rows_are_new_records_whatever_their_ids() -> None:
    configuration = office()
    names = ["id", "description", "server_address", "max_outgoing_calls"]
    text = to_tsv(to_cells(SipTrunk, configuration.table("sip_trunks")[:2], names))
    changes = read_table(SipTrunk, from_tsv(text), configuration, names, new=True)
    assert [(change.before, change.after.id) for change in changes if change.after] == [(None, 5), (None, 6)]


def test_a_spreadsheet_without_titles_fills_the_columns_in_their_order() -> None:
    rows = from_tsv("+49\tMobile\n+33\tFrance\n")
    changes = read_table(AnalyzeCalledNumber, rows, Configuration(), ["prefix", "description"], new=True)
    assert [(each.after.prefix, each.after.description) for each in changes] == [("+49", "Mobile"), ("+33", "France")]  # type: ignore[union-attr]


def test_words_of_choices_and_references_are_understood() -> None:
    configuration = office()
    rows = from_tsv("Prefix\tRoute type\tTarget\n77\tSIP trunk\t2 - Carrier B (198.51.100.20:5080)\n")
    [change] = read_table(AnalyzeCalledNumber, rows, configuration, [], new=True)
    assert isinstance(change.after, AnalyzeCalledNumber)
    assert (change.after.route_type.value, change.after.target_id) == ("sip_trunk", 2)


def test_every_mistake_is_named_with_its_row_and_nothing_is_taken() -> None:
    rows = from_csv("server_address,server_port\n192.0.2.1,5060\n192.0.2,70000\n,5060\n")
    with pytest.raises(RecordErrors) as caught:
        read_table(SipTrunk, rows, office(), [], new=True)
    assert [str(error) for error in caught.value.errors] == [
        "Row 3, Server address: '192.0.2' is not an IP address",
        "Row 3, Server port: must be 1 to 65535",
        "Row 4, Server address: is required: an IP address or a host name",
    ]


def test_a_pasted_user_does_not_silently_change_the_one_with_its_number() -> None:
    with pytest.raises(RecordErrors, match="100 is already local user 1"):
        read_table(LocalUser, from_tsv("Number\tDisplay name\n100\tSomebody\n"), office(), [], new=True)


def test_a_strangers_number_is_no_formula_and_a_telephone_number_is_left_alone() -> None:
    text = to_csv([["=cmd()", "+4930123", "-5", "@x", "+A1", "plain"]], careful=True)
    assert text == "'=cmd(),+4930123,-5,'@x,'+A1,plain\r\n"


def test_semicolons_and_byte_order_marks_of_spreadsheets_are_read() -> None:
    assert from_csv("\ufeffprefix;description\r\n13;Mobile\r\n\r\n") == [["prefix", "description"], ["13", "Mobile"]]


# --- two configurations ----------------------------------------------------------------------------------------------


def test_differences_lead_from_one_configuration_to_the_other() -> None:
    before, after = office(), configuration_of(LocalUser(id=9, number="900"))
    result = before.with_changes(differences(before, after))
    assert {name: dict(records) for name, records in result.tables.items() if records} == {
        "local_users": {9: LocalUser(id=9, number="900")}
    }


def test_numbers_swapped_between_two_users_are_one_step() -> None:
    before = configuration_of(LocalUser(id=1, number="100"), LocalUser(id=2, number="101"))
    after = configuration_of(LocalUser(id=1, number="101"), LocalUser(id=2, number="100"))
    assert before.with_changes(differences(before, after)).users_by_number["101"].id == 1


def test_what_a_form_gives_is_checked_as_text() -> None:
    record = check_record(SipTrunk, new_values(SipTrunk, Configuration()) | {"server_address": " 192.0.2.8 "})
    assert isinstance(record, SipTrunk)
    assert record.server_address == "192.0.2.8"
