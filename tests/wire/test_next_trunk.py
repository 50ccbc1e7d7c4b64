"""What makes a call go on to the next trunk, and what that trunk is sent."""

from __future__ import annotations

from typing import Any

import pytest
from support.documents import CALLER, CARRIER_A, CARRIER_B, document
from support.ports import LoopbackNetwork
from support.scenario import Scenario, answering, calling, refused_with
from support.starting import StartServer, StartSipp

pytestmark = pytest.mark.wire


def targets(record: dict[str, Any]) -> list[str]:
    return [attempt["target"] for attempt in record["attempts"]]


def silence(milliseconds: int = 20000) -> Scenario:
    return Scenario().expect_invite().pause(milliseconds)


def test_next_trunk_gets_its_own_number_and_parameter(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    first = {"next_trunk_id": 2, "unified_caller_number": "4930111", "request_uri_parameters": "trunk=one"}
    second = {"unified_caller_number": "4930222", "request_uri_parameters": "trunk=two;x"}
    server = start_server(document(network, {1: first, 2: second}))
    refusing = start_sipp(Scenario().expect_invite().refuse(503), CARRIER_A)
    carrier = start_sipp(answering(), CARRIER_B)
    start_sipp(calling(), CALLER, called="135550").succeed()
    seen = [side.succeed().messages[0] for side in (refusing, carrier)]
    assert [each.request_uri for each in seen] == [
        f"sip:135550@{network.address(CARRIER_A)}:5060;trunk=one",
        f"sip:135550@{network.address(CARRIER_B)}:5060;trunk=two;x",
    ]
    assert ["sip:4930111@" in (seen[0].header("From") or ""), "sip:4930222@" in (seen[1].header("From") or "")] == [
        True,
        True,
    ]
    (record,) = server.wait_for_calls(1)
    assert targets(record) == ["trunk:1", "trunk:2"]
    assert [attempt["status"] for attempt in record["attempts"]] == [503, 200]
    assert (record["status"], record["target"]) == (200, "trunk:2")


def test_silence_leads_to_the_next_trunk(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    server = start_server(document(network, {1: {"next_trunk_id": 2, "first_response_timeout": 1}}))
    silent = start_sipp(silence(), CARRIER_A)
    carrier = start_sipp(answering(), CARRIER_B)
    start_sipp(calling(), CALLER, called="135550").succeed()
    carrier.succeed()
    assert silent.received("INVITE")
    (record,) = server.wait_for_calls(1)
    assert targets(record) == ["trunk:1", "trunk:2"]
    assert record["status"] == 200


def test_a_late_answer_of_the_silent_trunk_is_ended(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    """The trunk that was given up answers 200 after all: it is acknowledged and hung up, the call goes on elsewhere."""
    start_server(document(network, {1: {"next_trunk_id": 2, "first_response_timeout": 1}}))
    late = (
        Scenario()
        .expect_invite()
        .pause(1500)
        .respond(200, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8")
        .expect_request("ACK")
        .expect_request("BYE")
    )
    slow = start_sipp(late, CARRIER_A)
    carrier = start_sipp(answering(), CARRIER_B)
    start_sipp(calling(1500), CALLER, called="135550").succeed()
    carrier.succeed()
    assert slow.wait_for("BYE")


def test_a_closed_port_leads_to_the_next_trunk(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    """Nothing listens at trunk 1; whether that shows as an ICMP error or as silence, the call goes through trunk 2."""
    server = start_server(document(network, {1: {"next_trunk_id": 2, "first_response_timeout": 1}}))
    carrier = start_sipp(answering(), CARRIER_B)
    start_sipp(calling(), CALLER, called="135550").succeed()
    carrier.succeed()
    assert [targets(record) for record in server.wait_for_calls(1)] == [["trunk:1", "trunk:2"]]


@pytest.mark.parametrize("change", [{"max_outgoing_calls": 0}, {"enabled": False}], ids=["limit-0", "disabled"])
def test_a_trunk_that_may_not_be_used_is_passed_over(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, change: dict[str, Any]
) -> None:
    server = start_server(document(network, {1: {"next_trunk_id": 2, **change}}))
    unused = start_sipp(silence(), CARRIER_A)
    carrier = start_sipp(answering(), CARRIER_B)
    start_sipp(calling(), CALLER, called="135550").succeed()
    carrier.succeed()
    assert unused.messages() == []
    assert [record["target"] for record in server.wait_for_calls(1)] == ["trunk:2"]


def test_failure_after_ringing_stays_with_the_trunk(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    server = start_server(document(network, {1: {"next_trunk_id": 2}}))
    refusing = start_sipp(Scenario().expect_invite().respond(180).pause(50).refuse(503), CARRIER_A)
    unused = start_sipp(silence(), CARRIER_B)
    start_sipp(refused_with(503), CALLER, called="135550").succeed()
    refusing.succeed()
    assert unused.messages() == []
    assert [targets(record) for record in server.wait_for_calls(1)] == [["trunk:1"]]


def test_failure_after_ringing_goes_on_where_the_trunk_says_so(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    server = start_server(document(network, {1: {"next_trunk_id": 2, "failover_after_ringing": True}}))
    refusing = start_sipp(Scenario().expect_invite().respond(180).pause(50).refuse(503), CARRIER_A)
    carrier = start_sipp(Scenario().expect_invite().answer().answer_request("BYE"), CARRIER_B)
    start_sipp(calling(), CALLER, called="135550").succeed()
    refusing.succeed()
    carrier.succeed()
    assert [targets(record) for record in server.wait_for_calls(1)] == [["trunk:1", "trunk:2"]]


def test_status_set_of_the_trunk_decides(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    """Trunk 1 goes on at 486 only; a busy carrier then leads to trunk 2."""
    server = start_server(document(network, {1: {"next_trunk_id": 2, "failover_statuses": [486]}}))
    busy = start_sipp(Scenario().expect_invite().refuse(486), CARRIER_A)
    carrier = start_sipp(answering(), CARRIER_B)
    start_sipp(calling(), CALLER, called="135550").succeed()
    busy.succeed()
    carrier.succeed()
    assert [targets(record) for record in server.wait_for_calls(1)] == [["trunk:1", "trunk:2"]]


def test_all_trunks_fail_and_the_last_status_counts(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    server = start_server(document(network, {1: {"next_trunk_id": 2}}))
    first = start_sipp(Scenario().expect_invite().refuse(503), CARRIER_A)
    second = start_sipp(Scenario().expect_invite().refuse(500), CARRIER_B)
    start_sipp(refused_with(500), CALLER, called="135550").succeed()
    first.succeed()
    second.succeed()
    (record,) = server.wait_for_calls(1)
    assert targets(record) == ["trunk:1", "trunk:2"]
    assert record["status"] == 500
