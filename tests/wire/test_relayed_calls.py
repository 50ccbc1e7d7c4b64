"""Relayed calls with real phones and programs: both sides hear each other through this server, and only each other."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support.documents import CALLER, CARRIER_A, PASSWORDS, SERVER, document
from support.ports import LoopbackNetwork
from support.scenario import Scenario, answering, calling, refused_with
from support.starting import StartPhone, StartServer, StartSipp
from support.tones import seconds_with
from support.waiting import wait_until

pytestmark = pytest.mark.wire


def relaying(network: LoopbackNetwork, first_port: int, **system: Any) -> dict[str, Any]:
    """Everybody's audio is relayed, over ports that no other test uses."""
    users = [{"number": number, "password": password, "relay_media": "yes"} for number, password in PASSWORDS.items()]
    return document(
        network,
        {1: {"relay_media": "yes"}},
        local_users=users,
        system={"media_port_first": first_port, "media_port_last": first_port + 199} | system,
    )


def test_two_phones_hear_each_other(
    network: LoopbackNetwork, start_server: StartServer, start_phone: StartPhone
) -> None:
    """440 Hz goes one way and 880 Hz the other, through the relay: neither phone was told the other's address."""
    server = start_server(relaying(network, 21000))
    caller = start_phone("100", tone=440, record=True).registered()
    called = start_phone("101", tone=880, record=True, auto_answer=True).registered()
    caller.dial("101")
    caller.wait_for("CALL_ESTABLISHED")
    called.wait_for("CALL_ESTABLISHED")
    # Real time passes here: it is the length of the recordings.
    time.sleep(3)
    caller.hang_up()
    called.wait_for("CALL_CLOSED")
    (record,) = server.wait_for_calls(1)
    assert [stream["codec"] for stream in record["media"]] == ["PCMA/8000", "PCMA/8000"]
    for stream in record["media"]:
        assert stream["packets"] > 50, stream
        assert stream["mos"] > 3.5, stream
    for phone, frequency in ((caller, 880), (called, 440)):
        wait_until(phone.heard, f"a recording of {phone.user}", 10)
        assert seconds_with(frequency, phone.heard()[0]) > 1.0


def test_the_ports_run_out_and_come_back(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    """Two pairs of ports are one call: a second one gets 503 with the reason in its record, a later one succeeds."""
    server = start_server(relaying(network, 22000, media_port_last=22003))
    carrier = start_sipp(answering(), CARRIER_A, calls=2)
    first = start_sipp(calling(talk_milliseconds=3000), CALLER, called="135550")
    carrier.wait_for("ACK")
    start_sipp(refused_with(503), CALLER, called="135551", port=5070).succeed()
    first.succeed()
    start_sipp(calling(), CALLER, called="135552", port=5080).succeed()
    records = server.wait_for_calls(3)
    assert sorted(record["status"] for record in records) == [200, 200, 503]
    (refused,) = [record for record in records if record["status"] == 503]
    assert "port" in " ".join(attempt["reason"] for attempt in refused["attempts"])


def test_a_side_sees_only_our_address(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    """The carrier is offered our address, and the caller is answered with it; other media are refused."""
    server = start_server(relaying(network, 23000))
    carrier = start_sipp(answering(early_media=True), CARRIER_A)
    caller = start_sipp(calling(), CALLER, called="135550")
    caller.succeed()
    invite = carrier.wait_for("INVITE")
    assert f"c=IN IP4 {network.address(SERVER)}" in invite.body
    assert network.address(CALLER) not in invite.body
    for status in (183, 200):
        answer = caller.received(status=status)[0]
        assert network.address(CARRIER_A) not in answer.body
        assert "m=audio 23" in answer.body
    server.wait_for_calls(1)


def test_a_broken_offer_gets_400(network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp) -> None:
    server = start_server(relaying(network, 24000))
    broken = Scenario().invite("v=0\nnonsense").expect(100, optional=True).fail(400)
    start_sipp(broken, CALLER, called="135550").succeed()
    (record,) = server.wait_for_calls(1)
    assert record["status"] == 400
    assert "session description" in record["trail"][-1]
