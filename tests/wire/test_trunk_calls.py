"""Calls from one trunk to another, SIPp on both sides: every way in which a call goes and ends."""

from __future__ import annotations

import pytest
from support.documents import CALLER, CARRIER_A, SERVER, document
from support.ports import LoopbackNetwork
from support.scenario import Scenario, answering, audio_sdp, calling, refused_with
from support.sip_text import SipText
from support.starting import StartServer, StartSipp

pytestmark = pytest.mark.wire


def ringing_caller() -> Scenario:
    return Scenario().invite().expect(100, optional=True).expect(180)


def with_sdp(messages: list[SipText], *, sent: bool, status: int = 0, method: str = "") -> list[str]:
    """The SDP bodies of these messages in order."""
    return [
        each.body
        for each in messages
        if each.sent == sent and each.status == status and each.method == method and each.body
    ]


def test_called_side_hangs_up(network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp) -> None:
    server = start_server(document(network))
    carrier = start_sipp(Scenario().expect_invite().respond(180).answer().pause(200).hang_up(), CARRIER_A)
    caller = start_sipp(ringing_caller().expect(200).acknowledge().answer_request("BYE"), CALLER, called="135550")
    caller.succeed()
    carrier.succeed()
    (record,) = server.wait_for_calls(1)
    assert (record["source"], record["target"]) == ("trunk:3", "trunk:1")
    assert (record["status"], record["end_cause"], record["ended_by"]) == (200, "normal", "called")


def test_answer_without_ringing(network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp) -> None:
    server = start_server(document(network))
    carrier = start_sipp(Scenario().expect_invite().answer().answer_request("BYE"), CARRIER_A)
    start_sipp(calling(), CALLER, called="135550").succeed()
    carrier.succeed()
    assert [record["status"] for record in server.wait_for_calls(1)] == [200]


def test_early_media_and_offer_pass_untouched(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    """Without relay the SDP of the INVITE, the 183 and the 200 reaches the other side byte for byte."""
    start_server(document(network))
    carrier = start_sipp(answering(early_media=True), CARRIER_A)
    caller = start_sipp(calling(), CALLER, called="135550")
    heard, said = caller.succeed().messages, carrier.succeed().messages
    assert with_sdp(said, sent=False, method="INVITE") == with_sdp(heard, sent=True, method="INVITE")
    assert with_sdp(heard, sent=False, status=183) == with_sdp(said, sent=True, status=183)
    assert with_sdp(heard, sent=False, status=200) == with_sdp(said, sent=True, status=200)


def test_each_side_is_a_dialog_of_its_own(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    """A back-to-back user agent tells neither side the other's Call-ID, tags, Via or Contact."""
    start_server(document(network))
    carrier = start_sipp(answering(), CARRIER_A)
    caller = start_sipp(calling(), CALLER, called="135550")
    sent = next(each for each in caller.succeed().messages if each.method == "INVITE")
    seen = next(each for each in carrier.succeed().messages if each.method == "INVITE")
    assert seen.header("Call-ID") != sent.header("Call-ID")
    assert (seen.header("From") or "").partition("tag=")[2] != (sent.header("From") or "").partition("tag=")[2]
    assert network.address(CALLER) not in seen.text.partition("\n\n")[0]
    assert len(seen.headers("Via")) == 1
    assert f"{network.address(SERVER)}:5060" in seen.headers("Via")[0]


def test_caller_cancels(network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp) -> None:
    server = start_server(document(network))
    carrier = start_sipp(Scenario().expect_invite().respond(180).be_cancelled(), CARRIER_A)
    start_sipp(ringing_caller().cancel(), CALLER, called="135550").succeed()
    carrier.succeed()
    (record,) = server.wait_for_calls(1)
    assert (record["status"], record["end_cause"], record["ended_by"]) == (487, "cancelled", "caller")


@pytest.mark.parametrize(
    ("status", "cause"), [(486, "busy"), (404, "no_route"), (480, "no_answer"), (603, "rejected")], ids=str
)
def test_refusal_reaches_the_caller_as_it_is(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, status: int, cause: str
) -> None:
    """These are the called side's true answer: no other trunk is tried, though there is one."""
    server = start_server(document(network, {1: {"next_trunk_id": 2}}))
    carrier = start_sipp(Scenario().expect_invite().respond(180).refuse(status), CARRIER_A)
    start_sipp(refused_with(status), CALLER, called="135550").succeed()
    carrier.succeed()
    (record,) = server.wait_for_calls(1)
    assert (record["status"], record["end_cause"]) == (status, cause)
    assert [attempt["target"] for attempt in record["attempts"]] == ["trunk:1"]


def test_nobody_answers(network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp) -> None:
    server = start_server(document(network, {1: {"no_answer_timeout": 1}}))
    carrier = start_sipp(Scenario().expect_invite().respond(180).be_cancelled(), CARRIER_A)
    start_sipp(refused_with(408), CALLER, called="135550").succeed()
    carrier.succeed()
    (record,) = server.wait_for_calls(1)
    assert (record["status"], record["end_cause"]) == (408, "no_answer")


def test_hold_from_both_sides(network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp) -> None:
    server = start_server(document(network))
    carrier = start_sipp(
        Scenario()
        .expect_invite()
        .respond(180)
        .answer()
        .answer_request("INVITE", audio_sdp("recvonly", 2))
        .answer_request("INVITE", audio_sdp("sendrecv", 3))
        .pause(100)
        .reinvite("sendonly", 4)
        .reinvite("sendrecv", 5)
        .answer_request("BYE"),
        CARRIER_A,
    )
    caller = start_sipp(
        ringing_caller()
        .expect(200)
        .acknowledge()
        .reinvite("sendonly", 2)
        .reinvite("sendrecv", 3)
        .answer_request("INVITE", audio_sdp("recvonly", 4))
        .answer_request("INVITE", audio_sdp("sendrecv", 5))
        .pause(100)
        .hang_up(),
        CALLER,
        called="135550",
    )
    heard, said = caller.succeed().messages, carrier.succeed().messages
    assert with_sdp(said, sent=False, method="INVITE") == with_sdp(heard, sent=True, method="INVITE")
    assert with_sdp(heard, sent=False, method="INVITE") == with_sdp(said, sent=True, method="INVITE")
    assert with_sdp(heard, sent=False, status=200) == with_sdp(said, sent=True, status=200)
    assert "a=sendonly" in with_sdp(said, sent=False, method="INVITE")[1]
    assert len(server.wait_for_calls(1)) == 1


def test_digits_by_info_from_both_sides(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    start_server(document(network))
    carrier = start_sipp(
        Scenario().expect_invite().respond(180).answer().answer_request("INFO").press("7").answer_request("BYE"),
        CARRIER_A,
    )
    caller = start_sipp(
        ringing_caller().expect(200).acknowledge().press("5").answer_request("INFO").pause(50).hang_up(),
        CALLER,
        called="135550",
    )
    caller.succeed()
    carrier.succeed()
    (seen,) = carrier.received("INFO")
    assert "Signal=5" in seen.body
    assert seen.header("Content-Type") == "application/dtmf-relay"
    (seen,) = caller.received("INFO")
    assert "Signal=7" in seen.body


def test_hundred_calls_without_a_failure(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    server = start_server(document(network, {1: {"max_outgoing_calls": 200}, 3: {"max_incoming_calls": 200}}))
    options = {"calls": 100, "rate": 50, "keep_messages": False}
    carrier = start_sipp(answering(ring_milliseconds=20), CARRIER_A, **options)
    caller = start_sipp(calling(), CALLER, called="135550", **options)
    for side in (caller, carrier):
        result = side.succeed()
        assert (result.created, result.successful, result.failed) == (100, 100, 0)
    records = server.wait_for_calls(100)
    assert {(record["status"], record["end_cause"]) for record in records} == {(200, "normal")}
    assert len({record["id"] for record in records}) == 100
