"""Every record type says of itself all that the form, the table page, the document and the help need."""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel

from app.records import TABLES, Record, RoutingGroupMember, System, fields_of
from app.records.base import RecordField, field_of
from app.records.types import CHOICE_WORDS, AddressAction, TransitionType

MODELS = {"system": System, **TABLES}
FIELDS = [
    pytest.param(model, each, id=f"{model.__name__}.{each.name}")
    for model in (*MODELS.values(), RoutingGroupMember)
    for each in fields_of(model)
]

CONTRACT = {
    "system": "sip_address sip_udp_port sip_tcp_port sip_tls_port domain external_signalling_address "
    "external_media_address local_networks media_port_first media_port_last media_processes outgroup_prefix "
    "default_route_type untrusted_calls session_expires max_calls_per_second",
    "sip_trunks": "server_address server_port transport trusted_networks options_interval unified_caller_number "
    "request_uri_parameters outgoing_group_id max_outgoing_calls next_trunk_id relay_media tel_uri caller_id_headers "
    "failover_statuses failover_after_ringing first_response_timeout no_answer_timeout max_calls_per_second codecs "
    "max_incoming_calls",
    "external_lines": "account password authorization_id domain server_address server_port transport register_expires "
    "local_user shared unified_caller_number max_outgoing_calls",
    "local_users": "number password display_name max_calls max_outgoing_calls call_levels trusted_address relay_media "
    "external_line_id",
    "analyze_caller_numbers": "prefix transition_id",
    "analyze_called_numbers": "prefix route_type target_id transition_id call_level",
    "refine_caller_numbers": "outgoing_group_id prefix transition_id",
    "refine_called_numbers": "outgoing_group_id prefix transition_id",
    "number_transitions": "type start length digits",
    "routing_groups": "name strategy members",
    "number_lists": "caller_prefix called_prefix block_percent",
    "address_lists": "network action",
}
"""The names that other programs use in documents."""


def test_the_tables_are_those_of_the_contract() -> None:
    assert set(MODELS) == set(CONTRACT)


@pytest.mark.parametrize("table", CONTRACT)
def test_the_fields_are_those_of_the_contract(table: str) -> None:
    names = [each.name for each in fields_of(MODELS[table])]
    assert names[:3] == ["id", "enabled", "description"]
    assert set(CONTRACT[table].split()) <= set(names)


@pytest.mark.parametrize("table", MODELS)
def test_a_record_type_has_its_words(table: str) -> None:
    model = MODELS[table]
    assert model.table == table
    assert model.title
    assert model.plural
    assert model.introduction.endswith(".")
    assert model.key in {each.name for each in fields_of(model)}
    assert set(model.unique_together) <= {each.name for each in fields_of(model)}


@pytest.mark.parametrize(("model", "each"), FIELDS)
def test_a_field_has_its_words(model: type[BaseModel], each: RecordField) -> None:
    shown = each.shown
    assert each.label, "words at the field"
    assert shown.label.count("&") <= 1
    assert shown.help.endswith("."), "a help text of whole sentences"
    assert len(shown.help) < 200
    if each.kind is int and each.minimum == 0:
        assert shown.zero, "0 means something: say what"
    if each.kind in (str, tuple) and not each.default and not shown.required:
        assert shown.blank, "blank means something: say what"


@pytest.mark.parametrize(("model", "each"), FIELDS)
def test_a_reference_names_a_table(model: type[BaseModel], each: RecordField) -> None:
    if each.shown.refers_to:
        assert each.shown.refers_to in TABLES
        assert each.kind is int
    if each.shown.refers_by:
        sibling = field_of(model, each.shown.refers_by)
        assert issubclass(sibling.kind, StrEnum)
        assert set(each.shown.refers_to_each) <= set(sibling.kind)
        assert set(each.shown.refers_to_each.values()) <= set(TABLES)


@pytest.mark.parametrize("table", MODELS)
def test_no_mnemonic_stands_twice_on_a_tab(table: str) -> None:
    letters = Counter(
        (each.shown.tab, mark[1].lower())
        for each in fields_of(MODELS[table])
        if (mark := re.search("&(.)", each.shown.label))
    )
    assert {place: count for place, count in letters.items() if count > 1} == {}


@pytest.mark.parametrize("table", MODELS)
def test_every_password_is_a_secret(table: str) -> None:
    """So is the web address for alarms: chat programs put a token into it."""
    for each in fields_of(MODELS[table]):
        assert each.shown.secret == (each.name.endswith("password") or each.name == "alarm_webhook"), each.name


def test_every_choice_has_its_words() -> None:
    for model in MODELS.values():
        for each in fields_of(model):
            if issubclass(each.kind, StrEnum):
                for choice in each.kind:
                    assert CHOICE_WORDS[choice], f"{model.table}.{each.name}: {choice}"


MINIMAL: dict[str, dict[str, Any]] = {
    "local_users": {"number": "1"},
    "external_lines": {"server_address": "a.example", "account": "1"},
    "sip_trunks": {"server_address": "192.0.2.8"},
    "analyze_caller_numbers": {"prefix": ""},
    "analyze_called_numbers": {"prefix": ""},
    "refine_caller_numbers": {"prefix": "", "outgoing_group_id": 1},
    "refine_called_numbers": {"prefix": "", "outgoing_group_id": 1},
    "number_transitions": {},
    "routing_groups": {},
    "number_lists": {},
    "address_lists": {"network": "10.0.0.0/8"},
}


@pytest.mark.parametrize("table", TABLES)
def test_a_record_needs_no_more_than_this(table: str) -> None:
    record = TABLES[table].model_validate({"id": 1, **MINIMAL[table]})
    assert record.enabled
    assert record.description == ""
    assert record.caption().startswith(("1 - ", "1")), "every record can be listed"
    required = {each.name for each in fields_of(TABLES[table]) if each.required} - {"id"}
    assert required == set(MINIMAL[table])


def test_new_trunks_take_thirty_calls_each_way() -> None:
    trunk = TABLES["sip_trunks"].model_validate({"id": 1, **MINIMAL["sip_trunks"]})
    assert (trunk.max_outgoing_calls, trunk.max_incoming_calls) == (30, 30)  # type: ignore[attr-defined]
    assert trunk.failover_statuses == (408, 500, 501, 502, 503, 504, 513, 580)  # type: ignore[attr-defined]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_records_cannot_be_changed(model: type[Record]) -> None:
    record = model.model_validate({"id": 1, **MINIMAL.get(model.table, {})})
    with pytest.raises(ValueError, match="frozen"):
        record.description = "x"  # type: ignore[misc]


def test_a_field_knows_its_limits_in_words() -> None:
    assert field_of(TABLES["sip_trunks"], "server_port").limits == "must be 1 to 65535"
    assert field_of(TABLES["sip_trunks"], "transport").limits == ""
    with pytest.raises(KeyError):
        field_of(System, "nonsense")


def test_a_field_knows_what_it_refers_to() -> None:
    target = field_of(TABLES["analyze_called_numbers"], "target_id")
    assert target.table_referred_to({"route_type": "sip_trunk"}) == "sip_trunks"
    assert target.table_referred_to({"route_type": "routing_group"}) == "routing_groups"
    assert target.table_referred_to({}) == ""
    assert field_of(TABLES["sip_trunks"], "next_trunk_id").table_referred_to({}) == "sip_trunks"


def test_small_choices() -> None:
    assert list(AddressAction) == ["accept", "drop"]
    assert list(TransitionType) == ["replace", "insert", "delete"]
