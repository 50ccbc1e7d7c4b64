"""The dial plan with real calls: prefixes, refinement, lists, levels, default routes, and the simulator beside them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.documents import CARRIER_A, CARRIER_B, PASSWORDS, PHONE_100, SERVER, document
from support.ports import LoopbackNetwork
from support.starting import StartCaller, StartCarrier, StartEngine
from support.udp_peers import Caller, Carrier, invites_get
from support.waiting import wait_until

from app.dialplan.request import Source
from app.engine import Engine
from app.events import LineState

pytestmark = pytest.mark.wire


def request_uris(carrier: Carrier) -> list[str]:
    """The Request-URIs of the calls that a carrier got."""
    return [invite.request_uri for invite in carrier.received("INVITE")]


def test_the_longest_prefix_wins_and_numbers_leave_whole(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """12 and 123; 13xxxx to a gateway as it was dialled; group 1 refines 0 to 0086."""
    engine = start_engine(
        document(
            network,
            {1: {"outgoing_group_id": 1}},
            analyze_called_numbers=[
                {"prefix": "12", "route_type": "sip_trunk", "target_id": 1},
                {"prefix": "123", "route_type": "sip_trunk", "target_id": 2},
                {"prefix": "13", "route_type": "sip_trunk", "target_id": 2},
                {"prefix": "0", "route_type": "sip_trunk", "target_id": 1},
            ],
            refine_called_numbers=[
                {"outgoing_group_id": 1, "prefix": "0", "transition_id": 1},
                {"outgoing_group_id": 2, "prefix": "", "transition_id": 2},
            ],
            refine_caller_numbers=[{"outgoing_group_id": 1, "prefix": "55", "transition_id": 2}],
            number_transitions=[
                {"id": 1, "type": "replace", "start": 0, "length": 1, "digits": "0086"},
                {"id": 2, "type": "insert", "start": 0, "digits": "77"},
            ],
        )
    )
    first, second = start_carrier(CARRIER_A), start_carrier(CARRIER_B)
    numbers = ["125550", "1235550", "12", "135550", "0108888"]
    assert start_caller().statuses(numbers) == [200] * 5
    a, b = network.address(CARRIER_A), network.address(CARRIER_B)
    assert request_uris(first) == [f"sip:125550@{a}:5060", f"sip:12@{a}:5060", f"sip:0086108888@{a}:5060"]
    assert request_uris(second) == [f"sip:1235550@{b}:5060", f"sip:135550@{b}:5060"]
    assert "<sip:775551@" in (first.received("INVITE")[0].header("From") or "")
    assert "<sip:5551@" in (second.received("INVITE")[0].header("From") or "")
    records = engine.wait_for_calls(5)
    assert [record.called_number for record in records] == numbers
    assert [record.sent_number for record in records] == ["125550", "1235550", "12", "135550", "0086108888"]
    assert any("its prefix 12 is shorter" in step for step in records[1].trail)
    assert any("it becomes 0086108888" in step for step in records[4].trail)


NUMBER_LISTS = [("101", "*", 100), ("*", "9", 100), ("100", "9", 0), ("1", "913", 0)]
SEVEN_CASES = [
    ("101", "100", False),
    ("101", "913800", True),
    ("100", "974413800", True),
    ("102", "974413800", False),
    ("102", "913800", True),
    ("1011", "913800", True),
    ("200", "913800", False),
]


def test_the_seven_cases_of_the_number_lists(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """As real calls and in the simulator: blocked is 403, passed reaches the carrier."""
    engine = start_engine(
        document(
            network,
            number_lists=[
                {"caller_prefix": caller, "called_prefix": called, "block_percent": percent}
                for caller, called, percent in NUMBER_LISTS
            ],
            analyze_called_numbers=[
                {"prefix": "9", "route_type": "sip_trunk", "target_id": 1},
                {"prefix": "100", "route_type": "sip_trunk", "target_id": 1},
            ],
        )
    )
    carrier, caller = start_carrier(CARRIER_A), start_caller()
    outcomes = [(user, called, caller.call(called, user=user).status == 200) for user, called, _ in SEVEN_CASES]
    assert outcomes == SEVEN_CASES
    assert [each.request_uri.partition("@")[0] for each in carrier.received("INVITE")] == [
        f"sip:{called}" for _, called, passes in SEVEN_CASES if passes
    ]
    records = engine.wait_for_calls(7)
    assert [record.status for record in records] == [200 if passes else 403 for _, _, passes in SEVEN_CASES]
    assert "entry 1 (101 to *) decides" in " ".join(records[0].trail)
    for user, called, passes in SEVEN_CASES:
        simulation = engine.ask(
            lambda each, user=user, called=called: each.simulate(Source.trunk(3), user, called)  # type: ignore[misc]
        )
        assert bool(simulation.targets) == passes
        assert any("blocked by number list entry" in refusal for refusal in simulation.refusals) != passes


def test_call_levels(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """Level 5 is for the user who has it; for another user, and for a trunk, the number is forbidden."""
    engine = start_engine(
        document(
            network,
            local_users=[
                {"number": "100", "password": PASSWORDS["100"], "call_levels": [3, 5]},
                {"number": "101", "password": PASSWORDS["101"], "call_levels": [3]},
            ],
            analyze_called_numbers=[
                {"prefix": "13", "route_type": "sip_trunk", "target_id": 1},
                {"prefix": "139", "route_type": "sip_trunk", "target_id": 1, "call_level": 5},
            ],
        )
    )
    carrier = start_carrier(CARRIER_A)
    callers: dict[str, dict[str, Any]] = {
        number: {"user": number, "password": PASSWORDS[number]} for number in ("100", "101")
    }
    phones = {number: start_caller(int(number)) for number in callers}
    assert [phones[number].call("139000", **callers[number]).status for number in callers] == [200, 403]
    assert [phones[number].call("135000", **callers[number]).status for number in callers] == [200, 200]
    assert start_caller().call("139000").status == 403
    assert len(carrier.received("INVITE")) == 3
    records = engine.wait_for_calls(5)
    assert "needs call level 5, local user 101 does not have it" in " ".join(records[1].trail)
    assert {record.end_cause for record in records if record.status == 403} == {"rejected"}


def test_transitions_of_caller_and_called_number_then_default_route_and_out_group(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """Caller first, called then; what nothing fits is a local user's, or 9 and a line's, or the default route's."""
    provider = start_carrier(50)
    engine = start_engine(
        document(
            network,
            analyze_caller_numbers=[{"prefix": "55", "transition_id": 1}],
            analyze_called_numbers=[
                {"prefix": "0", "route_type": "sip_trunk", "target_id": 1, "transition_id": 2},
                {"prefix": "88", "route_type": "local_user", "transition_id": 3},
            ],
            number_transitions=[
                {"id": 1, "type": "delete", "start": 0, "length": 1},
                {"id": 2, "type": "replace", "start": 0, "length": 1, "digits": "+49"},
                {"id": 3, "type": "delete", "start": 0, "length": 2},
            ],
            local_users=[{"number": "100", "trusted_address": network.address(PHONE_100)}],
            external_lines=[{"account": "line1", "server_address": network.address(50)}],
        )
    )
    carrier, phone, caller = start_carrier(CARRIER_A), start_carrier(PHONE_100), start_caller()
    wait_until(lambda: engine.line().state is LineState.REGISTERED, "the registration")
    assert caller.statuses(["030123", "100", "88100", "9777", "555"]) == [200, 200, 200, 200, 404]
    assert request_uris(carrier) == [f"sip:+4930123@{carrier.address}:5060"]
    assert "<sip:551@" in (carrier.received("INVITE")[0].header("From") or "")
    assert request_uris(phone) == [f"sip:100@{phone.address}"] * 2
    assert "<sip:551@" in (phone.received("INVITE")[0].header("From") or "")
    assert request_uris(provider) == [f"sip:777@{provider.address}:5060"]
    assert "<sip:line1@" in (provider.received("INVITE")[0].header("From") or "")
    engine.change({"system": {"default_route_type": "sip_trunk", "default_target_id": 1, "outgroup_prefix": ""}})
    assert caller.statuses(["555", "9777", "100"]) == [200] * 3
    assert request_uris(carrier)[1:] == [f"sip:{number}@{carrier.address}:5060" for number in ("555", "9777", "100")]


def test_a_change_of_the_dial_plan_holds_for_the_next_call(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """A call that runs stays where it is, also when its trunk is deleted."""
    engine = start_engine(document(network))
    first, second, caller = start_carrier(CARRIER_A), start_carrier(CARRIER_B), start_caller()
    running = caller.begin("135550")
    assert running.final().status == 200
    engine.change({"analyze_called_numbers": [{"id": 1, "prefix": "13", "route_type": "sip_trunk", "target_id": 2}]})
    assert caller.call("135551").status == 200
    engine.delete("sip_trunks", 1)
    engine.delete("analyze_called_numbers", 1)
    assert caller.call("135552").status == 404
    running.hang_up()
    first.wait_for("BYE")
    assert request_uris(first) == [f"sip:135550@{first.address}:5060"]
    assert request_uris(second) == [f"sip:135551@{second.address}:5060"]
    assert [record.target for record in engine.wait_for_calls(3)] == ["trunk:1", "trunk:2", ""]


def test_a_circle_of_next_trunks_is_named_and_ends(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    engine = start_engine(document(network, {1: {"next_trunk_id": 2}, 2: {"next_trunk_id": 1}}))
    carriers = [start_carrier(host, invites_get(503)) for host in (CARRIER_A, CARRIER_B)]
    assert start_caller().call("135550").status == 503
    assert [len(carrier.received("INVITE")) for carrier in carriers] == [1, 1]
    (record,) = engine.wait_for_calls(1)
    assert [each.target for each in record.attempts] == ["trunk:1", "trunk:2"]
    messages = [problem.message for problem in engine.ask(Engine.problems) if problem.field == "next_trunk_id"]
    assert messages == [
        "the next trunks go in a circle: trunk 1 -> 2 -> 1; each is tried once in a call",
        "the next trunks go in a circle: trunk 2 -> 1 -> 2; each is tried once in a call",
    ]


def essence(invite: str) -> list[str]:
    """The lines of an INVITE without what chance decides: tag, branch, Call-ID; and without its body."""
    head = invite.replace("\r\n", "\n").partition("\n\n")[0]
    head = re.sub(r";tag=\w+|;branch=\w+", "", head)
    return [line for line in head.split("\n") if not line.startswith(("Call-ID:", "Content-Length:"))]


def test_the_simulator_shows_the_very_invite(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """Line by line, for calls from a trunk, a line and a user, to a trunk, a line and a phone."""
    rich = {"caller_id_headers": ["P-Asserted-Identity", "Remote-Party-ID"], "request_uri_parameters": "tgrp=7"}
    users = [
        {"number": "100", "trusted_address": network.address(PHONE_100), "display_name": "Reception"},
        {"number": "101", "password": PASSWORDS["101"]},
    ]
    lines = [{"account": "line1", "server_address": network.address(50), "domain": "carrier.test"}]
    hosts = {"trunk:1": CARRIER_A, "trunk:2": CARRIER_B, "line:1": 50, "user:100": PHONE_100}
    peers = {name: start_carrier(host) for name, host in hosts.items()}
    engine = start_engine(
        document(
            network,
            {1: {**rich, "outgoing_group_id": 1}, 2: {"tel_uri": True, "unified_caller_number": "4930"}},
            local_users=users,
            external_lines=lines,
            refine_caller_numbers=[{"outgoing_group_id": 1, "prefix": "", "transition_id": 1}],
            number_transitions=[{"id": 1, "type": "insert", "digits": "0049"}],
        )
    )
    wait_until(lambda: engine.line().state is LineState.REGISTERED, "the registration")
    called = {"trunk:1": "135550", "trunk:2": "245550", "line:1": "9030", "user:100": "100"}

    def compare(source: str, caller: Caller, user: str, **options: Any) -> None:
        for name, number in called.items():
            if source == name:
                continue
            known = len(peers[name].received("INVITE"))
            assert caller.call(number, user=user, **options).status == 200, f"{source} to {name}"
            real = peers[name].received("INVITE")[known].text
            simulation = engine.ask(
                lambda each, number=number: each.simulate(Source.parse(source), user, number)  # type: ignore[misc]
            )
            (target,) = simulation.targets
            assert target.name == name
            assert essence(target.invite) == essence(real), f"{source} to {name}"

    compare("trunk:3", start_caller(), "5551")
    peers.pop("user:100").close()
    called.pop("user:100")
    compare("user:100", start_caller(PHONE_100), "100", from_=f'"Reception" <sip:100@{network.address(SERVER)}>')
    peers.pop("line:1").close()
    called.pop("line:1")
    compare("line:1", start_caller(50), "030999")


def test_the_simulator_says_what_would_refuse_a_call(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """A limit that is reached now, a level, a list, a stranger; and nothing is counted by asking."""
    engine = start_engine(
        document(
            network,
            {1: {"max_outgoing_calls": 1}, 3: {"max_incoming_calls": 1}},
            analyze_called_numbers=[
                {"prefix": "13", "route_type": "sip_trunk", "target_id": 1},
                {"prefix": "139", "route_type": "sip_trunk", "target_id": 1, "call_level": 5},
            ],
            number_lists=[{"caller_prefix": "*", "called_prefix": "137", "block_percent": 100}],
        )
    )

    def refusals(source: str, number: str) -> str:
        simulation = engine.ask(lambda each: each.simulate(Source.parse(source), "", number))
        return "; ".join(simulation.refusals)

    start_carrier(CARRIER_A)
    assert refusals("trunk:3", "135550") == ""
    running = start_caller().begin("135550")
    assert running.final().status == 200
    assert refusals("user:100", "135550").startswith("trunk:1: outgoing limit 1 reached; 503 Service Unavailable: ")
    assert refusals("trunk:3", "100").startswith("503 Service Unavailable: SIP trunk 3 has all of its 1 incoming")
    running.hang_up()
    wait_until(lambda: refusals("user:100", "135550") == "", "the end of the call")
    assert refusals("user:100", "139000") == "403 Forbidden: user:100 may not call numbers of call level 5"
    assert "blocked by number list entry 1" in refusals("user:100", "137000")
    assert refusals("user:100", "101").endswith("480 Temporarily Unavailable: local user 101 is not registered")
    assert refusals("address:192.0.2.1:5060", "100").startswith("403 Forbidden: no SIP trunk, external line or ")
    assert len(engine.wait_for_calls(1)) == 1
