"""Real phones (baresip): they register, call each other, call out through a carrier and are called from there."""

from __future__ import annotations

import re

import pytest
from support.documents import CARRIER_A, SERVER, document
from support.ports import LoopbackNetwork
from support.scenario import Scenario, answering, calling, refused_with
from support.starting import StartPhone, StartServer, StartSipp
from support.waiting import wait_until

pytestmark = pytest.mark.wire


def test_phone_calls_out_through_a_trunk(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, start_phone: StartPhone
) -> None:
    """Prefix 13 leads to trunk 1, and 135550 arrives there whole, in the Request-URI."""
    server = start_server(document(network))
    carrier = start_sipp(answering(ring_milliseconds=200), CARRIER_A)
    phone = start_phone("100").registered()
    phone.dial("135550")
    invite = carrier.wait_for("INVITE")
    assert invite.start_line == f"INVITE sip:135550@{network.address(CARRIER_A)}:5060 SIP/2.0"
    assert re.match(rf"(\"[^\"]*\" ?)?<sip:100@{re.escape(network.address(SERVER))}", invite.header("From") or "")
    assert f"@{network.address(SERVER)}:5060" in (invite.header("Contact") or "")
    phone.wait_for("CALL_RINGING")
    phone.wait_for("CALL_ESTABLISHED")
    phone.hang_up()
    carrier.succeed()
    (record,) = server.wait_for_calls(1)
    assert (record["caller_number"], record["called_number"], record["sent_number"]) == ("100", "135550", "135550")
    assert (record["source"], record["target"], record["status"]) == ("user:100", "trunk:1", 200)
    assert (record["end_cause"], record["ended_by"]) == ("normal", "caller")
    assert record["started"] <= record["answered"] <= record["ended"]
    assert record["talk_seconds"] >= 0
    assert record["trail"]
    assert [attempt["target"] for attempt in record["attempts"]] == ["trunk:1"]


def test_carrier_hangs_up(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, start_phone: StartPhone
) -> None:
    server = start_server(document(network))
    carrier = start_sipp(Scenario().expect_invite().respond(180).answer().pause(300).hang_up(), CARRIER_A)
    phone = start_phone("100").registered()
    phone.dial("135550")
    phone.wait_for("CALL_ESTABLISHED")
    phone.wait_for("CALL_CLOSED")
    carrier.succeed()
    (record,) = server.wait_for_calls(1)
    assert (record["status"], record["end_cause"], record["ended_by"]) == (200, "normal", "called")


def test_phone_gives_up_while_it_rings(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, start_phone: StartPhone
) -> None:
    server = start_server(document(network))
    carrier = start_sipp(Scenario().expect_invite().respond(180).be_cancelled(), CARRIER_A)
    phone = start_phone("100").registered()
    phone.dial("135550")
    phone.wait_for("CALL_RINGING")
    phone.hang_up()
    carrier.succeed()
    (record,) = server.wait_for_calls(1)
    assert (record["status"], record["end_cause"], record["ended_by"]) == (487, "cancelled", "caller")
    assert not record["answered"]


def test_phone_hears_that_the_number_is_busy(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, start_phone: StartPhone
) -> None:
    server = start_server(document(network))
    carrier = start_sipp(Scenario().expect_invite().refuse(486), CARRIER_A)
    phone = start_phone("100").registered()
    phone.dial("135550")
    assert "486" in phone.wait_for("CALL_CLOSED")["param"]
    carrier.succeed()
    (record,) = server.wait_for_calls(1)
    assert (record["status"], record["end_cause"]) == (486, "busy")


def test_trunk_calls_a_phone(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, start_phone: StartPhone
) -> None:
    server = start_server(document(network))
    phone = start_phone("100").registered()
    carrier = start_sipp(calling(300), CARRIER_A, called="100")
    phone.wait_for("CALL_INCOMING")
    phone.accept()
    phone.wait_for("CALL_ESTABLISHED")
    phone.wait_for("CALL_CLOSED")
    carrier.succeed()
    (record,) = server.wait_for_calls(1)
    assert (record["source"], record["target"], record["status"]) == ("trunk:1", "user:100", 200)


def test_phone_refuses_a_call(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, start_phone: StartPhone
) -> None:
    server = start_server(document(network))
    phone = start_phone("100").registered()
    carrier = start_sipp(refused_with(486), CARRIER_A, called="100")
    phone.wait_for("CALL_INCOMING")
    phone.hang_up()
    carrier.succeed()
    assert [record["status"] for record in server.wait_for_calls(1)] == [486]


def test_phones_talk_hold_and_send_digits(
    network: LoopbackNetwork, start_server: StartServer, start_phone: StartPhone
) -> None:
    """Two phones: call, hold and resume from either side, a digit in the audio, hang-up by the called one."""
    server = start_server(document(network))
    caller, called = start_phone("100").registered(), start_phone("101").registered()
    caller.dial("101")
    called.wait_for("CALL_INCOMING")
    called.accept()
    caller.wait_for("CALL_ESTABLISHED")
    called.wait_for("CALL_ESTABLISHED")
    for one, other in ((caller, called), (called, caller)):
        offers = other.log().count("got re-INVITE")
        one.hold()
        wait_until(lambda other=other, offers=offers: other.log().count("got re-INVITE") > offers, "hold")
        one.resume()
        wait_until(lambda other=other, offers=offers: other.log().count("got re-INVITE") > offers + 1, "resume")
    caller.press("5")
    wait_until(lambda: "received event: '5'" in called.log(), "the digit 5 at the called phone")
    called.hang_up()
    caller.wait_for("CALL_CLOSED")
    (record,) = server.wait_for_calls(1)
    assert (record["source"], record["target"], record["ended_by"]) == ("user:100", "user:101", "called")


def test_phone_that_is_not_registered_cannot_be_reached(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    server = start_server(document(network))
    start_sipp(refused_with(480), CARRIER_A, called="101").succeed()
    assert [record["status"] for record in server.wait_for_calls(1)] == [480]


def test_phone_with_a_wrong_password_stays_out(
    network: LoopbackNetwork, start_server: StartServer, start_phone: StartPhone, start_sipp: StartSipp
) -> None:
    start_server(document(network))
    phone = start_phone("100", "wrong")
    assert phone.registration_refused().startswith("403 ")
    start_sipp(refused_with(480), CARRIER_A, called="100").succeed()


def test_phone_registers_over_tcp_and_is_called(
    network: LoopbackNetwork, start_server: StartServer, start_phone: StartPhone, start_sipp: StartSipp
) -> None:
    start_server(document(network))
    phone = start_phone("100", transport="tcp").registered()
    carrier = start_sipp(calling(100), CARRIER_A, called="100")
    phone.wait_for("CALL_INCOMING")
    phone.accept()
    phone.wait_for("CALL_CLOSED")
    carrier.succeed()
