"""Strangers reach nobody, whatever they try."""

from __future__ import annotations

import pytest
from support.documents import CARRIER_A, SERVER, STRANGER, document
from support.ports import LoopbackNetwork
from support.scenario import Scenario
from support.sip_text import SipSocket
from support.starting import StartPhone, StartServer, StartSipp

pytestmark = pytest.mark.wire


@pytest.mark.parametrize("called", ["135550", "100"])
def test_a_stranger_is_refused_and_reaches_nobody(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, start_phone: StartPhone, called: str
) -> None:
    start_server(document(network))
    phone = start_phone("100").registered()
    carrier = start_sipp(Scenario().expect_invite().pause(5000), CARRIER_A)
    with SipSocket(network.address(STRANGER), (network.address(SERVER), 5060)) as stranger:
        uri = f"sip:{called}@{network.address(SERVER)}"
        refusal = stranger.request("INVITE", uri, f"sip:someone@{stranger.address}", uri)
    assert refusal.status == 403
    # A registered phone still works, so the server has handled everything before it.
    phone.dial("135550")
    assert len({each.header("Call-ID") for each in [carrier.wait_for("INVITE"), *carrier.received("INVITE")]}) == 1
    assert not [event for event in phone.events if event.get("type") == "CALL_INCOMING"]
    phone.hang_up()


def test_a_stranger_who_claims_to_be_a_phone_is_challenged(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    """Known and unknown numbers are challenged alike."""
    start_server(document(network))
    statuses = []
    for user in ("100", "999"):
        with SipSocket(network.address(STRANGER), (network.address(SERVER), 5060)) as stranger:
            uri = f"sip:135550@{network.address(SERVER)}"
            answer = stranger.request("INVITE", uri, f"sip:{user}@{network.address(SERVER)}", uri)
            statuses.append(
                (answer.status, len(answer.headers("Proxy-Authenticate") + answer.headers("WWW-Authenticate")))
            )
    assert statuses[0] == statuses[1]
    assert statuses[0] in ((401, 2), (407, 2))


def test_strangers_get_no_answer_where_the_system_says_drop(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    start_server(document(network, system={"untrusted_calls": "drop"}))
    with (
        SipSocket(network.address(STRANGER), (network.address(SERVER), 5060)) as stranger,
        SipSocket(network.address(CARRIER_A), (network.address(SERVER), 5060)) as trunk,
    ):
        uri = f"sip:135550@{network.address(SERVER)}"
        with pytest.raises(AssertionError, match="no final response"):
            stranger.request("INVITE", uri, f"sip:someone@{stranger.address}", uri, seconds=1)
        assert trunk.request("OPTIONS", uri, f"sip:a@{trunk.address}", uri).status == 200


def test_nonsense_is_survived(network: LoopbackNetwork, start_server: StartServer) -> None:
    """Bytes that are no SIP at all, half a message, endless headers: the next request is answered as ever."""
    start_server(document(network))
    with SipSocket(network.address(CARRIER_A), (network.address(SERVER), 5060)) as trunk:
        for data in (
            b"",
            b"\0" * 1000,
            b"\r\n\r\n",
            b"INVITE",
            b"INVITE sip:100@x SIP/2.0\r\n\r\n",
            b"SIP/2.0 200 OK\r\n\r\n",
            b"INVITE sip:100@x SIP/2.0\r\n" + b"X: y\r\n" * 10000,
            bytes(range(256)) * 100,
        ):
            trunk.send(data)
        uri = f"sip:{network.address(SERVER)}"
        assert trunk.request("OPTIONS", uri, f"sip:a@{trunk.address}", uri).status == 200
