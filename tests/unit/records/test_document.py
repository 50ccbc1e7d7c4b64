"""The import document: written and read back, merged or put in place, every mistake with its path."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from app.errors import RecordErrors
from app.records import TABLES, Configuration, LocalUser, SipTrunk, System
from app.records.document import first_configuration, read_document, unknown_name, write_document

FULL: dict[str, Any] = {
    "system": {"sip_address": "192.0.2.1", "domain": "example.com", "local_networks": ["10.0.0.0/8"]},
    "local_users": [{"number": "100", "password": "geheim", "call_levels": [1, 2]}, {"number": "200"}],
    "external_lines": [
        {"server_address": "sip.example.com", "account": "49301", "password": "secret", "next_trunk_id": 2}
    ],
    "sip_trunks": [{"server_address": "192.0.2.8", "relay_media": "yes"}, {"id": 2, "server_address": "2001:db8::8"}],
    "analyze_caller_numbers": [{"prefix": "0", "transition_id": 1}],
    "analyze_called_numbers": [{"prefix": "13", "route_type": "sip_trunk", "target_id": 1}],
    "refine_caller_numbers": [{"prefix": "", "outgoing_group_id": 1}],
    "refine_called_numbers": [{"prefix": "0", "outgoing_group_id": 1, "transition_id": 1}],
    "number_transitions": [{"type": "replace", "start": 0, "length": 1, "digits": "0086"}],
    "routing_groups": [{"name": "Out", "members": [{"target_id": 1, "weight": 3}]}],
    "number_lists": [{"caller_prefix": "101", "called_prefix": "*", "block_percent": 100}],
    "address_lists": [{"network": "198.51.100.0/24", "action": "accept"}],
}


def mistakes(document: object, base: Configuration | None = None, **options: Any) -> list[str]:
    with pytest.raises(RecordErrors) as caught:
        read_document(document, base or Configuration(), **options)
    return [str(error) for error in caught.value.errors]


def users(configuration: Configuration) -> dict[str, int]:
    return {user.number: user.id for user in configuration.records(LocalUser)}


def test_the_first_configuration() -> None:
    configuration = first_configuration()
    assert users(configuration) == {"100": 1, "101": 2, "102": 3}
    assert first_configuration().records(LocalUser)[0].password != configuration.records(LocalUser)[0].password


def test_a_document_of_every_table_comes_back_the_same() -> None:
    configuration = read_document(FULL, Configuration())
    assert all(configuration.table(name) for name in TABLES), "every table takes part"
    document = json.loads(json.dumps(write_document(configuration, with_secrets=True)))
    assert list(document) == ["system", *TABLES]
    again = read_document(document, Configuration())
    assert list(again.all_records()) == list(configuration.all_records())
    assert list(read_document(document, configuration).all_records()) == list(configuration.all_records())
    assert list(read_document(document, configuration, replace=True).all_records()) == list(configuration.all_records())


def test_an_export_without_passwords_leaves_them_alone_when_it_is_read_back() -> None:
    configuration = read_document(FULL, Configuration())
    document = write_document(configuration)
    assert "geheim" not in json.dumps(document)
    assert "secret" not in json.dumps(document)
    for replace in (False, True):
        again = read_document(document, configuration, replace=replace)
        assert again.users_by_number["100"].password == "geheim"
        assert list(again.all_records()) == list(configuration.all_records())


def test_a_given_field_changes_and_the_others_stay() -> None:
    configuration = read_document(FULL, Configuration())
    after = read_document({"sip_trunks": [{"id": 1, "server_port": 5070}], "system": {"domain": ""}}, configuration)
    trunk = after.get(SipTrunk, 1)
    assert trunk is not None
    assert (trunk.server_address, trunk.server_port, trunk.relay_media) == ("192.0.2.8", 5070, "yes")
    assert (after.system.domain, after.system.sip_address) == ("", "192.0.2.1")


def test_replace_begins_from_the_defaults() -> None:
    configuration = read_document(FULL, Configuration())
    after = read_document({"system": {"sip_udp_port": 5070}}, configuration, replace=True)
    assert after.system == System(sip_udp_port=5070)
    assert not any(after.table(name) for name in TABLES)
    assert read_document({}, configuration, replace=True).system == System()


# --- ids --------------------------------------------------------------------------------------------------------------


def test_records_without_an_id_get_the_next_free_one() -> None:
    document = {"sip_trunks": [{"server_address": "a"}, {"id": 5, "server_address": "b"}, {"server_address": "c"}]}
    configuration = read_document(document, Configuration())
    assert {each.server_address: each.id for each in configuration.records(SipTrunk)} == {"a": 1, "b": 5, "c": 2}
    again = read_document({"sip_trunks": [{"server_address": "d"}]}, configuration)
    assert again.get(SipTrunk, 6) is not None


@pytest.mark.parametrize("value", [2, "2", 2.0])
def test_an_id_is_a_number_however_it_is_written(value: object) -> None:
    base = read_document({"sip_trunks": [{"id": 2, "server_address": "a", "server_port": 7}]}, Configuration())
    after = read_document({"sip_trunks": [{"id": value, "server_address": "b"}]}, base)
    assert [(each.id, each.server_address, each.server_port) for each in after.records(SipTrunk)] == [(2, "b", 7)]


@pytest.mark.parametrize("value", [True, 1.5, "one", None, [], 0, -1, 2**31])
def test_an_id_that_is_none_is_refused(value: object) -> None:
    found = mistakes({"sip_trunks": [{"id": value, "server_address": "a"}]})
    assert len(found) == 1
    assert found[0].startswith("sip_trunks[0].id: must be ")


def test_local_users_are_found_by_number() -> None:
    base = first_configuration()
    after = read_document({"local_users": [{"number": " 101 ", "display_name": "B"}, {"number": "7"}]}, base)
    assert users(after) == {"100": 1, "101": 2, "102": 3, "7": 4}
    assert after.users_by_number["101"].display_name == "B"
    assert after.users_by_number["101"].password == base.users_by_number["101"].password


def test_another_servers_users_are_added_without_taking_ids_away() -> None:
    """In the other server 200 had the id that 100 has here, and the document's references follow."""
    document = {
        "local_users": [{"id": 1, "number": "200"}, {"id": 7, "number": "100"}],
        "analyze_called_numbers": [
            {"prefix": "1", "target_id": 1},
            {"prefix": "2", "target_id": 7},
            {"prefix": "3", "route_type": "sip_trunk", "target_id": 1},
        ],
    }
    after = read_document(document, first_configuration())
    assert users(after) == {"100": 1, "101": 2, "102": 3, "200": 4}
    targets = {each.prefix: each.target_id for each in after.table("analyze_called_numbers")}  # type: ignore[attr-defined]
    assert targets == {"1": 4, "2": 1, "3": 1}


def test_in_place_of_everything_the_documents_ids_count() -> None:
    document = {
        "local_users": [{"id": 1, "number": "200"}, {"id": 7, "number": "100"}, {"number": "101"}],
        "analyze_called_numbers": [{"prefix": "1", "target_id": 7}],
    }
    base = first_configuration()
    after = read_document(document, base, replace=True)
    assert users(after) == {"200": 1, "100": 7, "101": 2}
    assert after.users_by_number["100"].password == base.users_by_number["100"].password
    assert after.table("analyze_called_numbers")[0].target_id == 7  # type: ignore[attr-defined]


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [[], None, "x", 1, [{}]])
def test_the_document_is_an_object(document: object) -> None:
    assert mistakes(document) == ["the document must be one JSON object"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"sip_trunk": []}, "sip_trunk: unknown table (did you mean sip_trunks?)"),
        ({"zzz": []}, "zzz: unknown table"),
        ({"sip_trunks": {}}, "sip_trunks: must be a list of records"),
        ({"sip_trunks": "192.0.2.8"}, "sip_trunks: must be a list of records"),
        ({"sip_trunks": None}, "sip_trunks: must be a list of records"),
        ({"sip_trunks": [7]}, "sip_trunks[0]: must be an object"),
        ({"system": []}, "system: must be an object"),
        ({"system": {"sip_port": 1}}, "system.sip_port: unknown field (did you mean sip_udp_port?)"),
        ({"sip_trunks": [{}]}, "sip_trunks[0].server_address: is required"),
        (
            {"sip_trunks": [{"id": 1, "server_address": "a"}, {"id": 1, "server_address": "b"}]},
            "sip_trunks[1].id: 1 is already used by sip_trunks[0]",
        ),
        ({"local_users": [{"number": "1"}, {"number": 1}]}, "local_users[1].number: 1 is already local user 1"),
        (
            {"routing_groups": [{"members": [{"target_id": 1}, {"target_id": 1, "prio": 2}]}]},
            "routing_groups[0].members[1].prio: unknown field",
        ),
        (
            {"routing_groups": [{"members": [{"route_type": "local_user", "target_id": 1}]}]},
            "routing_groups[0].members[0].route_type: must be sip_trunk or external_line",
        ),
    ],
)
def test_mistakes_have_their_path(document: object, expected: str) -> None:
    assert mistakes(document) == [expected]


def test_the_same_user_twice_in_a_document_is_named() -> None:
    assert mistakes({"local_users": [{"number": "100"}, {"number": "100"}]}, first_configuration()) == [
        "local_users[1].number: is the same record as local_users[0]"
    ]


def test_all_mistakes_are_named_at_once() -> None:
    found = mistakes({"system": {"sip_udp_port": -1}, "sip_trunks": [{"server_port": 0}, {"x": 1}], "nonsense": 1})
    assert {each.split(":")[0] for each in found} == {
        "nonsense",
        "system.sip_udp_port",
        "sip_trunks[0].server_address",
        "sip_trunks[0].server_port",
        "sip_trunks[1].server_address",
        "sip_trunks[1].x",
    }


def test_near_names() -> None:
    assert unknown_name("server_prot", ("server_port", "id"), "field") == "unknown field (did you mean server_port?)"
    assert unknown_name("q", ("server_port", "id"), "field") == "unknown field"


def test_many_records_cost_no_more_than_their_number() -> None:
    """Ids are handed out without looking through all records for each."""
    began = time.process_time()
    read_document({"analyze_called_numbers": [{"prefix": str(number)} for number in range(5000)]}, Configuration())
    five = time.process_time() - began
    assert five < 5, "about 0.2 s; a search per record would take minutes at 100,000"
