"""Who calls, as each trunk is told it: numbers, identity headers, privacy, diversions, tel URIs; and its timers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from support.documents import CARRIER_A, CARRIER_B, PHONE_100, SERVER, document
from support.ports import LoopbackNetwork
from support.sip_text import SipText, stands_in
from support.starting import StartCaller, StartCarrier, StartEngine
from support.udp_peers import Talk, invites_get
from support.waiting import wait_until

pytestmark = pytest.mark.wire

ALL_HEADERS = ["P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Privacy", "Diversion"]
DIVERSION = "<sip:777@example.com>;reason=user-busy"
NAMED = '"Alice \\"A\\" Example" <sip:5551@example.com>'


def identity(invite: SipText) -> dict[str, list[str]]:
    """The identity headers of an INVITE that are there."""
    return {name: invite.headers(name) for name in ALL_HEADERS if invite.headers(name)}


def from_of(invite: SipText) -> str:
    return (invite.header("From") or "").partition(";tag=")[0]


def test_each_trunk_is_told_what_its_record_says(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """Trunk 1 gets From alone; it refuses, and trunk 2 gets everything, with its unified number."""
    second = {"caller_id_headers": ALL_HEADERS, "unified_caller_number": "4930222"}
    start_engine(document(network, {1: {"next_trunk_id": 2}, 2: second}))
    plain, rich, caller = start_carrier(CARRIER_A, invites_get(503)), start_carrier(CARRIER_B), start_caller()
    headers = (f"Diversion: {DIVERSION}",)
    assert caller.call("135550", from_=NAMED, headers=headers).status == 200
    own = network.address(SERVER)
    (first,) = plain.received("INVITE")
    assert from_of(first) == f'"Alice \\"A\\" Example" <sip:5551@{own}>'
    assert identity(first) == {}
    (then,) = rich.received("INVITE")
    shown = f'"Alice \\"A\\" Example" <sip:4930222@{own}'
    assert from_of(then) == f"{shown}>"
    assert identity(then) == {
        "P-Asserted-Identity": [f"{shown}>"],
        "P-Preferred-Identity": [f"{shown}>"],
        "Remote-Party-ID": [f"{shown}>;party=calling;screen=yes;privacy=off"],
        "Diversion": [DIVERSION],
    }


@pytest.mark.parametrize(
    ("from_", "headers"),
    [
        (NAMED, ("Privacy: id",)),
        ('"Anonymous" <sip:anonymous@anonymous.invalid>', ("P-Asserted-Identity: <sip:5551@example.com>",)),
    ],
    ids=["privacy header", "anonymous From"],
)
def test_a_caller_who_wants_to_be_private_stays_private(
    network: LoopbackNetwork,
    start_engine: StartEngine,
    start_carrier: StartCarrier,
    start_caller: StartCaller,
    from_: str,
    headers: Sequence[str],
) -> None:
    """A trusted carrier gets the number together with the wish; one that is not told of the wish never gets it."""
    trusting = {"caller_id_headers": ["P-Asserted-Identity", "Remote-Party-ID", "Privacy"]}
    engine = start_engine(document(network, {1: trusting, 2: {"caller_id_headers": ["P-Asserted-Identity"]}}))
    trusted, other, caller = start_carrier(CARRIER_A), start_carrier(CARRIER_B), start_caller()
    assert [caller.call(number, from_=from_, headers=headers).status for number in ("135550", "245550")] == [200, 200]
    own = network.address(SERVER)
    (told,), (untold,) = trusted.received("INVITE"), other.received("INVITE")
    for invite in (told, untold):
        assert from_of(invite) == '"Anonymous" <sip:anonymous@anonymous.invalid>'
        assert "5551" not in (invite.header("Contact") or "")
    assert told.header("Privacy") == "id"
    assert f"<sip:5551@{own}>" in (told.header("P-Asserted-Identity") or "")
    assert "privacy=full" in (told.header("Remote-Party-ID") or "")
    assert identity(untold) == {}
    assert not stands_in("5551", untold.text)
    assert {record.caller_number for record in engine.wait_for_calls(2)} == {"5551"}


def test_tel_uris_both_ways_and_user_phone(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    engine = start_engine(
        document(
            network,
            {1: {"tel_uri": True}, 2: {"request_uri_parameters": "user=phone"}},
            analyze_called_numbers=[
                {"prefix": "+49", "route_type": "sip_trunk", "target_id": 1},
                {"prefix": "24", "route_type": "sip_trunk", "target_id": 2},
            ],
        )
    )
    with_tel, with_phone, caller = start_carrier(CARRIER_A), start_carrier(CARRIER_B), start_caller()
    answer = caller.call("any", uri="tel:+49-30-(123)", from_="<tel:+49.89.1>", to="<tel:+49-30-123>")
    assert answer.status == 200
    assert caller.call("245550", uri="tel:24-5550;phone-context=+49").status == 200
    (tel,) = with_tel.received("INVITE")
    assert tel.request_uri == "tel:+4930123"
    assert tel.header("To") == "<tel:+4930123>"
    assert from_of(tel).startswith("<sip:+49891@")
    (phone,) = with_phone.received("INVITE")
    assert phone.request_uri == f"sip:245550@{network.address(CARRIER_B)}:5060;user=phone"
    for carrier in (with_tel, with_phone):
        # The dialog goes on at the Contact, whatever the first URI was.
        assert carrier.wait_for("BYE").request_uri == f"sip:peer@{carrier.address}:5060"
    assert [record.called_number for record in engine.wait_for_calls(2)] == ["+4930123", "245550"]


def test_a_forwarded_call_names_who_forwarded_it(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """Local user 100 forwards to 135550 (302): trunk 1 is told by a Diversion, trunk 2's own does not want it."""
    phone_address = network.address(PHONE_100)
    start_engine(
        document(
            network,
            {1: {"caller_id_headers": ["Diversion"]}},
            local_users=[{"number": "100", "trusted_address": phone_address}],
        )
    )
    start_carrier(PHONE_100, invites_get((302, (f"Contact: <sip:135550@{network.address(SERVER)}>",))))
    carrier, caller = start_carrier(CARRIER_A), start_caller()
    assert caller.call("100", headers=(f"Diversion: {DIVERSION}",)).status == 200
    (invite,) = carrier.received("INVITE")
    diversions = invite.headers("Diversion")
    assert len(diversions) == 2
    assert diversions[0].startswith("<sip:100@")
    assert diversions[1] == DIVERSION
    assert from_of(invite).startswith("<sip:5551@")


def ringing(talk: Talk) -> Talk:
    talk.wait(180)
    return talk


def test_the_timers_of_a_trunk(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """First response: 100 is one. No answer: with only 100 the next trunk is tried; after ringing it is not."""
    changes = {1: {"first_response_timeout": 1, "no_answer_timeout": 2, "next_trunk_id": 2}}
    engine = start_engine(document(network, changes))
    first, second, caller = start_carrier(CARRIER_A, invites_get(100)), start_carrier(CARRIER_B), start_caller()
    assert caller.call("135550").status == 200
    first.plan = invites_get(180)
    assert ringing(caller.begin("135551")).final().status == 408
    first.plan = invites_get()
    assert caller.call("135552").status == 200
    assert len(second.received("INVITE")) == 2
    first.wait_for("CANCEL", 2)
    outcomes = [
        [(each.target, each.status, each.reason) for each in record.attempts] for record in engine.wait_for_calls(3)
    ]
    assert outcomes == [
        [("trunk:1", 0, "no answer in time"), ("trunk:2", 200, "200 OK")],
        [("trunk:1", 0, "no answer in time")],
        [("trunk:1", 0, "no answer from the other side"), ("trunk:2", 200, "200 OK")],
    ]
    first_call, _, third_call = engine.calls()
    assert 1.8 <= first_call.attempts[1].at - first_call.attempts[0].at <= 4
    assert 0.9 <= third_call.attempts[1].at - third_call.attempts[0].at <= 3


def test_calls_per_second_of_a_trunk_and_of_the_server(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """Beyond the trunk's rate the next trunk gets the calls; beyond the server's nobody, with Retry-After."""
    engine = start_engine(document(network, {1: {"max_calls_per_second": 2, "next_trunk_id": 2}}))
    first, second, caller = start_carrier(CARRIER_A, invites_get(486)), start_carrier(CARRIER_B), start_caller()
    second.plan = invites_get(486)
    talks = [caller.begin(f"13{number:04}") for number in range(9)]
    assert {talk.final().status for talk in talks} == {486}
    # They may have come on both sides of a full second.
    assert 2 <= len(first.received("INVITE")) <= 4
    assert len(first.received("INVITE")) + len(second.received("INVITE")) == 9
    skipped = [record.attempts[0] for record in engine.wait_for_calls(9) if len(record.attempts) > 1]
    assert {(each.target, each.reason) for each in skipped} == {("trunk:1", "limit of 2 calls per second reached")}
    engine.change({"system": {"max_calls_per_second": 3}})
    wait_until(lambda: caller.call("249999").status == 486, "a second with calls left")
    before = len(engine.calls())
    talks = [caller.begin(f"24{number:04}") for number in range(12)]
    answers = [talk.final() for talk in talks]
    refused = [answer for answer in answers if answer.status == 503]
    assert 12 - 2 * 3 <= len(refused) <= 12 - 2
    assert {answer.header("Reason") for answer in refused} == {
        'SIP;cause=503;text="the server has all the calls it may have"'
    }
    assert all(answer.header("Retry-After") for answer in refused)
    causes = [record.end_cause for record in engine.wait_for_calls(before + 12)[before:] if record.status == 503]
    assert causes == ["limit"] * len(refused)


def test_a_gateway_gets_its_number_as_it_was_dialled(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """Characters that a URI must escape arrive as they were; nothing that a caller writes becomes a header."""
    trunk: dict[str, Any] = {"request_uri_parameters": "user=phone;tgrp=7"}
    start_engine(document(network, {1: trunk}))
    carrier, caller = start_carrier(CARRIER_A), start_caller()
    server = f"{network.address(SERVER)}:5060"
    for written in ("13%23*5", "13;ext=7", "13%0d%0aX-Bad:1"):
        caller.call("any", uri=f"sip:{written}@{server}")
    wait_until(lambda: len(carrier.received("INVITE")) >= 2, "the calls")
    numbers = [invite.request_uri.partition("@")[0] for invite in carrier.received("INVITE")]
    assert numbers[:2] == ["sip:13%23*5", "sip:13"]
    assert not any(invite.header("X-Bad") for invite in carrier.received("INVITE"))
    assert all(invite.request_uri.endswith(";user=phone;tgrp=7") for invite in carrier.received("INVITE"))


def test_who_is_calling(network: LoopbackNetwork, start_engine: StartEngine, start_caller: StartCaller) -> None:
    """Trunk by address and port, by address, by the longest network; a line by its account; a trusted user; nobody."""
    address = network.address
    trunks = [
        {"id": 1, "server_address": address(10)},
        {"id": 2, "server_address": address(10), "server_port": 5070},
        {"id": 3, "server_address": address(11), "trusted_networks": [f"{network.prefix}.128/25"]},
        {"id": 4, "server_address": address(12), "trusted_networks": [f"{network.prefix}.192/26", address(66)]},
        {"id": 5, "server_address": address(201)},
        {"id": 6, "server_address": address(13), "enabled": False},
    ]
    lines = [{"id": each, "account": f"line{each}", "server_address": address(20)} for each in (1, 2)]
    engine = start_engine(
        {
            "sip_trunks": trunks,
            "external_lines": lines,
            "local_users": [{"number": "100", "trusted_address": address(30)}],
        }
    )

    def source_of(host: int, port: int = 5060, called: str = "404") -> str:
        """As the call record names it; of a stranger why it is one."""
        known = len(engine.calls())
        answer = start_caller(host, port=port).call(called)
        if answer.status == 403:
            row = engine.ask(lambda each: each.rejected_sources())[0]
            assert row.address == address(host)
            return row.reason
        assert answer.status == 404
        return engine.wait_for_calls(known + 1)[-1].source

    places = [(10, 5060), (10, 5070), (10, 5099), (129, 5060), (200, 5060), (201, 5060), (66, 5060)]
    seen = [source_of(host, port) for host, port in places]
    seen += [source_of(20, 5060, "line1"), source_of(20, 5061, "line2"), source_of(30)]
    trunk_sources = ["trunk:1", "trunk:2", "trunk:1", "trunk:3", "trunk:4", "trunk:5", "trunk:4"]
    assert seen == [*trunk_sources, "line:1", "line:2", "user:100"]
    assert source_of(13) == "SIP trunk 6 is disabled"
    whose = "external lines 1 and 2 have this address, and it named the account of none of them"
    assert source_of(20, 5062, "line3") == whose
    assert source_of(21) == "no SIP trunk, external line or trusted user has this address"
