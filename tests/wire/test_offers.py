"""Where the offer is not in the INVITE, or its answer not in the 200: over real sockets, with the audio relayed."""

from __future__ import annotations

from typing import Any

import pytest
from support.documents import CALLER, CARRIER_A, SERVER, document
from support.ports import LoopbackNetwork
from support.scenario import Scenario, audio_sdp
from support.sip_text import SipText
from support.starting import StartServer, StartSipp

pytestmark = pytest.mark.wire

MUST, MAY = ("Require: 100rel",), ("Supported: 100rel",)


def relaying(network: LoopbackNetwork) -> dict[str, Any]:
    return document(network, {1: {"relay_media": "yes"}}, system={"media_port_first": 26000, "media_port_last": 26199})


def begin(sdp: str, headers: tuple[str, ...] = ()) -> Scenario:
    return Scenario().invite(sdp, headers).expect(100, optional=True)


def check(network: LoopbackNetwork, *descriptions: SipText) -> None:
    """Each is of the relay, and of nobody else."""
    for message in descriptions:
        assert f"c=IN IP4 {network.address(SERVER)}" in message.body, message.text
        assert "m=audio 26" in message.body, message.text
        assert not any(network.address(host) in message.body for host in (CALLER, CARRIER_A)), message.text


def test_the_offer_comes_with_the_200(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    """RFC 3261 13.2.1: the caller answers in its ACK."""
    server = start_server(relaying(network))
    carrier = start_sipp(Scenario().expect_invite().respond(180).answer().answer_request("BYE"), CARRIER_A)
    talk = begin("").expect(180, optional=True).expect(200).acknowledge(audio_sdp()).pause(100).hang_up()
    caller = start_sipp(talk, CALLER, called="135550")
    caller.succeed()
    carrier.succeed()
    assert carrier.wait_for("INVITE").body == ""
    check(network, caller.received(status=200)[0], carrier.received("ACK")[0])
    (record,) = server.wait_for_calls(1)
    assert (record["status"], len(record["media"])) == (200, 2)


@pytest.mark.parametrize("asked", [MUST, MAY], ids=["required", "supported"])
def test_the_offer_comes_with_a_reliable_183(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, asked: tuple[str, ...]
) -> None:
    """RFC 3262 5: the caller answers in its PRACK; the 200 then describes nothing any more."""
    server = start_server(relaying(network))
    ring = Scenario().expect_invite().respond_reliably(183, audio_sdp()).pause(100)
    carrier = start_sipp(ring.answer("", to_invite=True).answer_request("BYE"), CARRIER_A)
    talk = begin("", asked).expect_reliable(183, audio_sdp()).expect(200).acknowledge().pause(100).hang_up()
    caller = start_sipp(talk, CALLER, called="135550")
    caller.succeed()
    carrier.succeed()
    assert carrier.wait_for("INVITE").body == ""
    check(network, caller.received(status=183)[0], carrier.received("PRACK")[0])
    assert [message.body for message in carrier.received("ACK")] == [""]
    (record,) = server.wait_for_calls(1)
    assert (record["status"], len(record["media"])) == (200, 2)


@pytest.mark.parametrize("asked", [MUST, MAY], ids=["required", "supported"])
def test_the_answer_comes_with_a_reliable_183(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, asked: tuple[str, ...]
) -> None:
    server = start_server(relaying(network))
    ring = Scenario().expect_invite().respond_reliably(183, audio_sdp()).pause(100)
    carrier = start_sipp(ring.answer("", to_invite=True).answer_request("BYE"), CARRIER_A)
    talk = begin(audio_sdp(), asked).expect_reliable(183).expect(200).acknowledge().pause(100).hang_up()
    caller = start_sipp(talk, CALLER, called="135550")
    caller.succeed()
    carrier.succeed()
    check(network, carrier.received("INVITE")[0], caller.received(status=183)[0])
    (record,) = server.wait_for_calls(1)
    assert (record["status"], len(record["media"])) == (200, 2)


def test_a_caller_that_needs_reliable_answers_is_cancelled_and_gone(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    """It has answered the early offer and gives up: nothing of the call is left at either side."""
    server = start_server(relaying(network))
    ring = Scenario().expect_invite().respond_reliably(183, audio_sdp()).be_cancelled()
    carrier = start_sipp(ring, CARRIER_A)
    caller = start_sipp(begin("", MUST).expect_reliable(183, audio_sdp()).pause(100).cancel(), CALLER, called="135550")
    caller.succeed()
    carrier.succeed()
    (record,) = server.wait_for_calls(1)
    assert record["status"] == 487
