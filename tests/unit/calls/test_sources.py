"""Who has an address (design section 6): exact address and port, address, longest network; lines; trusted users."""

from __future__ import annotations

from typing import Any

import pytest
from support.calling import configured

from app.calls import sources as sources_module
from app.calls.sources import Sources

NAMES = {"sip.carrier.test": ("198.51.100.1", "2001:db8::5"), "gone.test": ()}


def sources(**tables: Any) -> Sources:
    return Sources(configured(**tables), lambda name: NAMES.get(name, ()))


def trunk(number: int, address: str, **more: Any) -> dict[str, Any]:
    return {"id": number, "server_address": address, **more}


def line(number: int, account: str, server: str = "198.51.100.9", **more: Any) -> dict[str, Any]:
    return {"id": number, "account": account, "server_address": server, "local_user": "100", **more}


def name(found: Any) -> str:
    return found.name if found is not None else ""


@pytest.mark.parametrize(
    ("called", "found"),
    [
        # The account, wherever it is named; the Request-URI stands first.
        (["+493012", "4930200", "4930100"], "line:2"),
        # The same number in the formats of the field.
        (["+4930200"], "line:2"),
        (["004930200"], "line:2"),
        (["030200"], "line:2"),
        (["+49302001"], ""),
        (["200"], ""),
        (["anna", "49302000"], ""),
        # One that is exact further back wins over one that is alike.
        (["030100", "4930200"], "line:2"),
    ],
)
def test_several_lines_of_one_provider_are_told_apart_by_whom_the_call_names(called: list[str], found: str) -> None:
    known = sources(external_lines=[line(1, "4930100"), line(2, "4930200")], local_users=[{"number": "100"}])
    assert name(known.identify("198.51.100.9", 5060, called)) == found


def test_port_before_address_before_network() -> None:
    known = sources(
        sip_trunks=[
            trunk(1, "192.0.2.1", trusted_networks=["192.0.2.0/24"]),
            trunk(2, "192.0.2.9", server_port=5070),
            trunk(3, "192.0.2.9", server_port=5080),
            trunk(4, "203.0.113.1", trusted_networks=["192.0.2.128/25"]),
        ]
    )
    expected = {
        ("192.0.2.1", 5060): "trunk:1",
        ("192.0.2.9", 5070): "trunk:2",
        ("192.0.2.9", 5080): "trunk:3",
        ("192.0.2.9", 1): "trunk:2",
        ("192.0.2.10", 5060): "trunk:1",
        ("192.0.2.200", 5060): "trunk:4",
        ("192.0.3.1", 5060): "",
    }
    assert {place: name(known.identify(*place, ["x"])) for place in expected} == expected
    found = known.trunk_at("192.0.2.9", 5080)
    assert found is not None
    assert found.id == 3
    assert known.trunk_at("192.0.3.1", 5060) is None


def test_every_address_of_a_name_in_any_spelling() -> None:
    known = sources(sip_trunks=[trunk(1, "sip.carrier.test"), trunk(2, "2001:DB8::0009"), trunk(3, "gone.test")])
    assert name(known.identify("198.51.100.1", 5060, [""])) == "trunk:1"
    assert name(known.identify("2001:db8::5", 5060, [""])) == "trunk:1"
    assert name(known.identify("2001:db8::9", 5060, [""])) == "trunk:2"
    assert known.identify("198.51.100.2", 5060, [""]) is None


def test_disabled_trunks_are_nobody_and_say_so() -> None:
    known = sources(
        sip_trunks=[
            trunk(1, "192.0.2.1", enabled=False),
            trunk(2, "192.0.2.2", enabled=False, trusted_networks=["203.0.113.0/24"]),
            trunk(3, "192.0.2.1", server_port=5070),
        ]
    )
    # Another trunk at the same address lives: it gets the calls.
    assert name(known.identify("192.0.2.1", 5060, [""])) == "trunk:3"
    assert known.identify("192.0.2.2", 5060, [""]) is None
    assert known.why_unknown("192.0.2.2") == "SIP trunk 2 is disabled"
    assert known.why_unknown("203.0.113.7") == "SIP trunk 2 is disabled"
    assert known.why_unknown("8.8.8.8") == "no SIP trunk, external line or trusted user has this address"
    assert not known.is_trusted("192.0.2.2")
    assert known.is_trusted("192.0.2.1")


def test_lines_by_account_or_authorization_name() -> None:
    known = sources(
        external_lines=[
            line(1, "4930100"),
            line(2, "4930200", authorization_id="alpha@carrier"),
            line(3, "x", "203.0.113.1"),
        ],
        local_users=[{"number": "100", "password": "p"}],
    )
    assert name(known.identify("198.51.100.9", 5060, ["4930200"])) == "line:2"
    assert name(known.identify("198.51.100.9", 5060, ["alpha"])) == "line:2"
    assert name(known.identify("198.51.100.9", 9999, ["4930100"])) == "line:1"
    # Two lines at one server and a user that is neither: no guess.
    assert known.identify("198.51.100.9", 5060, ["030999"]) is None
    assert known.why_unknown("198.51.100.9").startswith("external lines 1 and 2 have this address")
    # With one line there is no doubt.
    assert name(known.identify("203.0.113.1", 5060, ["030999"])) == "line:3"
    assert known.is_trusted("198.51.100.9")


def test_a_trunk_comes_before_a_line_and_a_line_before_a_trusted_user() -> None:
    known = sources(
        sip_trunks=[trunk(1, "198.51.100.9")],
        external_lines=[line(1, "a"), line(2, "b", "203.0.113.2")],
        local_users=[
            {"number": "100", "password": "p", "trusted_address": "203.0.113.2"},
            {"number": "101", "password": "p", "trusted_address": "203.0.113.3"},
            {"number": "102", "password": "p", "trusted_address": "203.0.113.4", "enabled": False},
        ],
    )
    assert name(known.identify("198.51.100.9", 5060, ["a"])) == "trunk:1"
    assert name(known.identify("203.0.113.2", 5060, ["b"])) == "line:2"
    assert name(known.identify("203.0.113.3", 5060, [""])) == "user:101"
    assert known.identify("203.0.113.4", 5060, [""]) is None
    assert not known.is_trusted("203.0.113.4")


def test_disabled_lines_are_nobody() -> None:
    known = sources(external_lines=[line(1, "a", enabled=False)], local_users=[{"number": "100", "password": "p"}])
    assert known.identify("198.51.100.9", 5060, ["a"]) is None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_module, "MAXIMUM_REMEMBERED", 50)
    known = sources(sip_trunks=[trunk(1, "10.0.0.1", trusted_networks=["10.1.0.0/16"])])
    for number in range(500):
        assert name(known.identify(f"10.1.{number // 250}.{number % 250}", 5060, [""])) == "trunk:1"
        assert len(known._remembered) <= 50
    assert known.identify("not an address", 5060, [""]) is None
