"""Which transaction a message belongs to, what is refused, and the ACK and CANCEL made from an INVITE."""

from __future__ import annotations

from typing import Any

import pytest
from support.transactions import TCP, UDP, Driver, make_request, make_response

from app.errors import LocalError
from app.sip.message import HeaderError, Request, Response, parse
from app.sip.transaction import (
    AckReceived,
    Cause,
    MergedRequests,
    RequestReceived,
    ResponseReceived,
    Rfc2543Key,
    Role,
    StrayResponse,
    TransactionKey,
    TransactionLayer,
    TransportFailed,
    ack_for,
    cancel_for,
    reply_flow,
)
from app.sip.transaction_tables import State


def requests_of(driver: Driver) -> list[RequestReceived]:
    """The requests that reached the transaction user."""
    return [event for event in driver.events if isinstance(event, RequestReceived)]


# --- RFC 3261 17.2.3: server transactions ----------------------------------------------------------------------------


def test_keys_of_rfc_3261() -> None:
    driver = Driver()
    driver.receive(make_request(sent_by="Phone.Example:5060"))
    assert requests_of(driver)[0].key == TransactionKey(Role.SERVER, "z9hG4bKone", "phone.example:5060", "INVITE")
    key = driver.send_request(make_request("BYE"))
    assert key == TransactionKey(Role.CLIENT, "z9hG4bKone", "", "BYE")


@pytest.mark.parametrize(
    "other",
    [
        {"branch": "z9hG4bKtwo"},
        {"sent_by": "192.0.2.21:5060"},
        {"sent_by": "192.0.2.20:5062"},
        {"method": "OPTIONS"},
    ],
)
def test_another_branch_sender_or_method_is_another_transaction(other: dict[str, str]) -> None:
    driver = Driver()
    driver.receive(make_request())
    driver.receive(make_request(**{"method": "INVITE", **other}))
    assert len(requests_of(driver)) == 2
    assert len(driver.layer) == 2


def test_a_retransmission_is_known_by_its_via() -> None:
    """17.2.3 compares branch, sent-by and method; the cookie and sent-by without regard to case."""
    driver = Driver()
    driver.receive(make_request(sent_by="phone.example:5060"))
    driver.receive(make_request(sent_by="PHONE.example:5060", from_tag="other", via_parameters=";rport=9"))
    assert len(requests_of(driver)) == 1


@pytest.mark.parametrize("other", [{"call_id": "other"}, {"sequence": 2}])
def test_clients_that_use_a_branch_again_are_told_apart(other: dict[str, Any]) -> None:
    """8.1.1.7 forbids it, the messages of RFC 4475 do it: each request is answered, acknowledged and cancelled."""
    driver = Driver()
    first, second = make_request(), make_request(**other)
    driver.receive(first)
    driver.receive(second)
    driver.receive(make_request(**other))
    keys = [event.key for event in requests_of(driver)]
    assert [type(key) for key in keys] == [TransactionKey, Rfc2543Key]
    assert driver.layer.find_invite_to_cancel(make_request("CANCEL", **other)) == keys[1]
    assert driver.layer.find_invite_to_cancel(make_request("CANCEL")) == keys[0]
    for key, request in zip(keys, (first, second), strict=True):
        driver.respond(key, make_response(request, 486))
    driver.receive(make_request("ACK", to_tag="ours"))
    assert [driver.layer.state_of(key) for key in keys] == [State.CONFIRMED, State.COMPLETED]
    driver.advance(10)
    # The first is gone; the second is found all the same.
    driver.receive(make_request(**other))
    driver.receive(make_request("ACK", to_tag="ours", **other))
    assert driver.layer.state_of(keys[1]) is State.CONFIRMED
    driver.advance(10)
    assert len(driver.layer) == 0
    assert len(requests_of(driver)) == 2
    driver.receive(make_request(branch="z9hG4bKnew"))
    assert isinstance(requests_of(driver)[-1].key, TransactionKey)


def test_an_ack_with_a_wrong_number_still_meets_its_invite() -> None:
    driver = Driver()
    request = make_request()
    driver.receive(request)
    key = requests_of(driver)[0].key
    driver.respond(key, make_response(request, 486))
    driver.receive(make_request("ACK", to_tag="ours", sequence=2))
    assert driver.layer.state_of(key) is State.CONFIRMED


def test_who_asks_again_by_another_way_is_answered_there() -> None:
    """A peer that lost its connection, or moved behind its NAT, hears the answer where it is now."""
    driver = Driver()
    request = make_request("OPTIONS", via_parameters=";rport")
    request.received_from("192.0.2.20", 5060)
    driver.receive(request)
    driver.respond(requests_of(driver)[0].key, make_response(request, 200))
    moved = UDP._replace(remote_port=6000)
    for flow in (TCP, moved):
        again = make_request("OPTIONS", via_parameters=";rport")
        again.received_from(flow.remote_host, flow.remote_port)
        driver.receive(again, flow)
    assert driver.flows == [UDP, TCP, moved]
    assert len({data for _, data in driver.sent}) == 1


def test_the_cookie_has_no_case() -> None:
    driver = Driver()
    driver.receive(make_request(branch="Z9HG4BKone"))
    assert isinstance(requests_of(driver)[0].key, TransactionKey)


def test_client_and_server_do_not_mix() -> None:
    """A request that comes back to us with our own branch is not an answer."""
    driver = Driver()
    request = make_request()
    driver.send_request(request)
    driver.receive(make_request())
    assert len(driver.layer) == 2
    assert len(requests_of(driver)) == 1


def test_cancel_is_its_own_transaction_and_finds_its_invite() -> None:
    """RFC 3261 9.2"""
    driver = Driver()
    cancel = make_request("CANCEL")
    assert driver.layer.find_invite_to_cancel(cancel) is None
    driver.receive(make_request())
    driver.receive(cancel)
    invite, received_cancel = requests_of(driver)
    assert invite.key != received_cancel.key
    assert driver.layer.find_invite_to_cancel(cancel) == invite.key
    driver.respond(received_cancel.key, make_response(cancel, 200))
    driver.receive(make_request("CANCEL"))
    assert len(requests_of(driver)) == 2
    assert driver.sent[0][1] == driver.sent[1][1]
    assert driver.layer.find_invite_to_cancel(make_request("CANCEL", branch="z9hG4bKtwo")) is None


def test_ack_without_transaction_goes_to_the_transaction_user() -> None:
    """RFC 3261 13.3.1.4: the ACK to a 2xx has a branch of its own. No transaction is made for an ACK."""
    driver = Driver()
    ack = make_request("ACK", branch="z9hG4bKother", to_tag="ours")
    driver.receive(ack)
    assert driver.events == [AckReceived(ack, UDP)]
    assert len(driver.layer) == 0


def test_ack_in_proceeding_is_ignored() -> None:
    driver = Driver()
    driver.receive(make_request())
    driver.receive(make_request("ACK"))
    assert len(driver.events) == 1


def test_the_flow_of_the_ack_is_the_one_it_came_by() -> None:
    driver = Driver()
    request = make_request()
    driver.receive(request)
    driver.respond(requests_of(driver)[0].key, make_response(request, 200))
    other = UDP._replace(remote_port=7777)
    driver.receive(make_request("ACK", to_tag="ours"), other)
    assert isinstance(driver.events[-1], AckReceived)
    assert driver.events[-1].flow == other


# --- RFC 2543 clients ------------------------------------------------------------------------------------------------

OLD = {"branch": None}


@pytest.mark.parametrize("branch", [None, "1", "z9hG4bK", "z9hG4b-1"])
def test_without_a_proper_branch_the_rules_of_rfc_2543_hold(branch: str | None) -> None:
    """17.2.3, and RFC 4475 3.2.1 for the cookie alone."""
    driver = Driver()
    driver.receive(make_request(branch=branch))
    driver.receive(make_request(branch=branch))
    assert len(requests_of(driver)) == 1
    assert isinstance(requests_of(driver)[0].key, Rfc2543Key)


@pytest.mark.parametrize(
    "other",
    [
        {"uri": "sip:135551@192.0.2.1"},
        {"from_tag": "someone"},
        {"call_id": "other"},
        {"sequence": 2},
        {"sent_by": "192.0.2.21:5060"},
        {"branch": "1"},
        {"transport": "TCP"},
    ],
)
def test_rfc_2543_compares_everything(other: dict[str, str]) -> None:
    driver = Driver()
    driver.receive(make_request(**OLD))
    driver.receive(make_request(**{**OLD, **other}))
    assert len(requests_of(driver)) == 2


def test_rfc_2543_to_tag_counts_for_all_but_invite() -> None:
    driver = Driver()
    driver.receive(make_request("BYE", **OLD, to_tag="one"))
    driver.receive(make_request("BYE", **OLD, to_tag="two"))
    assert len(requests_of(driver)) == 2


def test_rfc_2543_ack_has_the_to_tag_of_the_response() -> None:
    """17.2.3"""
    driver = Driver()
    request = make_request(**OLD)
    driver.receive(request)
    key = requests_of(driver)[0].key
    driver.respond(key, make_response(request, 486, "ours"))
    driver.receive(make_request("ACK", **OLD, to_tag="someone"))
    assert driver.layer.state_of(key) is State.COMPLETED
    assert isinstance(driver.events[-1], AckReceived)
    driver.receive(make_request("ACK", **OLD, to_tag="ours"))
    assert driver.layer.state_of(key) is State.CONFIRMED


def test_rfc_2543_ack_to_a_2xx() -> None:
    driver = Driver()
    request = make_request(**OLD)
    driver.receive(request)
    driver.respond(requests_of(driver)[0].key, make_response(request, 200, "ours"))
    driver.receive(make_request("ACK", **OLD, to_tag="ours"))
    assert isinstance(driver.events[-1], AckReceived)


def test_rfc_2543_cancel_finds_its_invite() -> None:
    driver = Driver()
    driver.receive(make_request(**OLD))
    assert driver.layer.find_invite_to_cancel(make_request("CANCEL", **OLD)) == requests_of(driver)[0].key
    assert driver.layer.find_invite_to_cancel(make_request("CANCEL", **OLD, sequence=2)) is None


# --- RFC 3261 17.1.3: client transactions ----------------------------------------------------------------------------


def test_responses_are_matched_by_branch_and_method() -> None:
    driver = Driver()
    invite, cancel = make_request(), make_request("CANCEL")
    invite_key = driver.send_request(invite)
    cancel_key = driver.send_request(cancel)
    driver.receive(make_response(cancel, 200))
    driver.receive(make_response(invite, 487))
    assert [event.key for event in driver.events if isinstance(event, ResponseReceived)] == [cancel_key, invite_key]


def test_stray_responses_are_handed_over() -> None:
    driver = Driver()
    for request in (make_request(branch="z9hG4bKunknown"), make_request(branch=None)):
        response = make_response(request, 200)
        driver.receive(response)
        assert driver.events[-1] == StrayResponse(response, UDP)
    driver.send_request(make_request())
    assert isinstance(driver.layer.receive(make_response(make_request("BYE"), 200), UDP, 0.0)[0].event, StrayResponse)


def test_misuse_is_a_local_error() -> None:
    layer = TransactionLayer()
    with pytest.raises(LocalError, match="ACK"):
        layer.send_request(make_request("ACK"), UDP, 0.0)
    with pytest.raises(LocalError, match="no branch"):
        layer.send_request(make_request(branch=None), UDP, 0.0)
    layer.send_request(make_request(), UDP, 0.0)
    with pytest.raises(LocalError, match="in use"):
        layer.send_request(make_request(), UDP, 0.0)
    assert len(layer) == 1


def test_unreadable_via_is_a_header_error() -> None:
    message = parse(b"OPTIONS sip:a@b SIP/2.0\r\nVia: nonsense\r\nCSeq: 1 OPTIONS\r\n\r\n")
    with pytest.raises(HeaderError):
        TransactionLayer().receive(message, UDP, 0.0)


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_beyond_the_limit_new_requests_are_refused() -> None:
    driver = Driver(TransactionLayer(max_transactions=8))
    for number in range(12):
        driver.receive(make_request(branch=f"z9hG4bK{number}"))
    assert len(driver.layer) == 8
    assert len(driver.refused) == 4
    assert len(requests_of(driver)) == 8
    assert driver.refused[0].flow == UDP
    driver.receive(make_request(branch="z9hG4bK0"))
    assert len(driver.refused) == 4, "a retransmission belongs to its transaction"
    driver.receive(make_request("ACK", branch="z9hG4bKx", to_tag="ours"))
    assert isinstance(driver.events[-1], AckReceived)


def test_what_ends_calls_may_use_an_eighth_more() -> None:
    driver = Driver(TransactionLayer(max_transactions=8))
    for number in range(8):
        driver.receive(make_request(branch=f"z9hG4bK{number}"))
    for number, method in enumerate(["BYE", "CANCEL", "BYE"]):
        driver.receive(make_request(method, branch=f"z9hG4bK-{number}"))
    assert len(driver.layer) == 9
    assert [refusal.request.method for refusal in driver.refused] == ["CANCEL", "BYE"]


def test_our_own_requests_are_not_refused() -> None:
    driver = Driver(TransactionLayer(max_transactions=1))
    for number in range(3):
        driver.send_request(make_request(branch=f"z9hG4bK{number}"))
    assert len(driver.layer) == 3


def test_what_will_not_be_sent_again_is_not_kept() -> None:
    """Hundreds of ended calls per second stay for 32 s each: without their messages."""
    driver = Driver()
    invite, bye = make_request(branch="z9hG4bKa"), make_request("BYE", branch="z9hG4bKb")
    driver.receive(invite)
    server_key = requests_of(driver)[0].key
    keys = [driver.send_request(invite), driver.send_request(bye), server_key]
    driver.respond(server_key, make_response(invite, 180))
    kept = driver.layer._transactions
    assert all(kept[key].last for key in keys)
    driver.receive(make_response(invite, 200))
    driver.receive(make_response(bye, 200))
    driver.respond(server_key, make_response(invite, 200))
    assert not any(kept[key].last or kept[key].request for key in keys)


def test_room_is_made_when_transactions_end() -> None:
    driver = Driver(TransactionLayer(max_transactions=1))
    driver.receive(make_request("BYE", branch="z9hG4bK1"))
    driver.respond(requests_of(driver)[0].key, make_response(make_request("BYE", branch="z9hG4bK1"), 200))
    driver.advance(32)
    driver.receive(make_request(branch="z9hG4bK2"))
    assert driver.refused == []
    assert len(requests_of(driver)) == 2


# --- failures of the transport ---------------------------------------------------------------------------------------


def test_a_server_transaction_survives_a_transport_error() -> None:
    """RFC 6026 8.8"""
    driver = Driver()
    request = make_request()
    driver.receive(request, TCP)
    key = requests_of(driver)[0].key
    driver.respond(key, make_response(request, 180))
    driver.perform(driver.layer.transport_failed(key, driver.now))
    assert driver.events[-1] == TransportFailed(key)
    assert driver.layer.state_of(key) is State.PROCEEDING
    driver.respond(key, make_response(request, 500))
    driver.advance(32)
    assert len(driver.layer) == 0


def test_a_client_transaction_ends_with_its_transport() -> None:
    """17.1.4"""
    driver = Driver()
    key = driver.send_request(make_request("REGISTER"))
    driver.perform(driver.layer.transport_failed(key, driver.now))
    assert driver.events == [TransportFailed(key)]
    assert [finish.cause for finish in driver.finished] == [Cause.TRANSPORT_FAILED]
    assert driver.timers == {}
    assert driver.layer.transport_failed(key, driver.now) == []


# --- where answers go ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent_by", "parameters", "host", "port", "expected_port"),
    [
        ("192.0.2.20:5060", "", "192.0.2.20", 5060, 5060),
        ("192.0.2.20:5070", "", "192.0.2.20", 40000, 5070),
        ("192.0.2.20", "", "192.0.2.20", 40000, 5060),
        ("10.0.0.5:5070", ";rport", "192.0.2.20", 40000, 40000),
        ("10.0.0.5:5070", "", "192.0.2.20", 40000, 5070),
        ("phone.example:5071", ";maddr=198.51.100.1", "192.0.2.20", 40000, 5071),
    ],
)
def test_reply_flow(sent_by: str, parameters: str, host: str, port: int, expected_port: int) -> None:
    """RFC 3261 18.2.2 and RFC 3581 4; the source's address always, whatever Via says."""
    request = make_request(sent_by=sent_by, via_parameters=parameters)
    request.received_from(host, port)
    flow = UDP._replace(remote_host=host, remote_port=port)
    assert reply_flow(request, flow) == flow._replace(remote_port=expected_port)
    stream = TCP._replace(remote_host=host, remote_port=port)
    assert reply_flow(request, stream) == stream


def test_answers_go_to_the_port_of_the_via_and_the_source_is_told_as_it_was() -> None:
    driver = Driver()
    request = make_request(sent_by="192.0.2.20:5070")
    flow = UDP._replace(remote_port=40000)
    driver.receive(request, flow)
    event = requests_of(driver)[0]
    assert event.flow == flow
    driver.respond(event.key, make_response(request, 180))
    assert driver.flows == [flow._replace(remote_port=5070)]


# --- ACK and CANCEL --------------------------------------------------------------------------------------------------

SENT = make_request(
    "INVITE",
    headers=[
        ("Route", "<sip:192.0.2.50;lr>"),
        ("Route", "<sip:192.0.2.51;lr>"),
        ("Contact", "<sip:me@192.0.2.1>"),
        ("Require", "100rel"),
        ("Proxy-Require", "x"),
        ("Proxy-Authorization", "Digest x"),
        ("Content-Type", "application/sdp"),
    ],
    body="v=0",
    sequence=4711,
)


def test_ack_to_a_failure() -> None:
    """17.1.1.3"""
    refused = make_response(SENT, 486, "busy")
    ack = ack_for(SENT, refused)
    assert ack.to_bytes() == (
        b"ACK sip:135550@192.0.2.1 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKone\r\n"
        b"Max-Forwards: 70\r\n"
        b'From: "Caller" <sip:200@192.0.2.20>;tag=theirs\r\n'
        b"To: <sip:135550@192.0.2.1>;tag=busy\r\n"
        b"Call-ID: call@192.0.2.20\r\n"
        b"Route: <sip:192.0.2.50;lr>\r\n"
        b"Route: <sip:192.0.2.51;lr>\r\n"
        b"CSeq: 4711 ACK\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


def test_cancel() -> None:
    """9.1: nothing but what identifies the INVITE; no Require, no credentials, no body."""
    cancel = cancel_for(SENT, [("Reason", 'SIP;cause=200;text="Call completed elsewhere"')])
    assert cancel.to_bytes() == (
        b"CANCEL sip:135550@192.0.2.1 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKone\r\n"
        b"Max-Forwards: 70\r\n"
        b'From: "Caller" <sip:200@192.0.2.20>;tag=theirs\r\n'
        b"To: <sip:135550@192.0.2.1>\r\n"
        b"Call-ID: call@192.0.2.20\r\n"
        b"Route: <sip:192.0.2.50;lr>\r\n"
        b"Route: <sip:192.0.2.51;lr>\r\n"
        b"CSeq: 4711 CANCEL\r\n"
        b'Reason: SIP;cause=200;text="Call completed elsewhere"\r\n'
        b"Content-Length: 0\r\n\r\n"
    )


def test_only_the_top_via_is_copied() -> None:
    request = make_request(headers=[("Via", "SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKbelow")])
    assert ack_for(request, make_response(request, 404)).get_all("Via") == [
        "SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKone"
    ]


def test_the_ack_of_the_transaction_is_that_one_and_goes_the_same_way() -> None:
    driver = Driver()
    flow = UDP._replace(remote_port=5099)
    driver.send_request(SENT, flow)
    refused = make_response(SENT, 486, "busy")
    driver.receive(refused)
    assert driver.sent[-1][1] == ack_for(SENT, refused).to_bytes()
    assert driver.flows == [flow, flow]


def test_a_server_transaction_takes_our_ack_and_cancel() -> None:
    """What the client side makes matches what the server side expects."""
    driver = Driver()
    driver.receive(SENT)
    key = requests_of(driver)[0].key
    cancel = parse(cancel_for(SENT).to_bytes())
    assert isinstance(cancel, Request)
    assert driver.layer.find_invite_to_cancel(cancel) == key
    refused = make_response(SENT, 487)
    driver.respond(key, refused)
    assert isinstance(refused, Response)
    driver.receive(parse(ack_for(SENT, refused).to_bytes()))
    assert driver.layer.state_of(key) is State.CONFIRMED


# --- merged requests -------------------------------------------------------------------------------------------------


def key_number(number: int) -> TransactionKey:
    return TransactionKey(Role.SERVER, f"z9hG4bK{number}", "192.0.2.20:5060", "INVITE")


def test_the_same_request_by_two_ways_is_merged() -> None:
    """8.2.2.2"""
    merged = MergedRequests()
    assert not merged.is_merged(make_request(), key_number(1))
    assert not merged.is_merged(make_request(), key_number(1))
    assert merged.is_merged(make_request(branch="z9hG4bKother"), key_number(2))
    assert not merged.is_merged(make_request(sequence=2), key_number(3))
    assert not merged.is_merged(make_request(to_tag="ours"), key_number(4))
    merged.forget(key_number(1))
    merged.forget(key_number(1))
    assert not merged.is_merged(make_request(branch="z9hG4bKother"), key_number(2))
    merged.forget(key_number(2))
    merged.forget(key_number(3))
    assert len(merged) == 0


def test_merged_requests_are_bounded() -> None:
    merged = MergedRequests(capacity=3)
    for number in range(10):
        assert not merged.is_merged(make_request(call_id=f"call-{number}"), key_number(number))
    assert len(merged) == 3
    assert merged.is_merged(make_request(call_id="call-9"), key_number(99))
    assert not merged.is_merged(make_request(call_id="call-0"), key_number(99))
    for number in range(100):
        merged.forget(key_number(number))
    assert len(merged) == 0
