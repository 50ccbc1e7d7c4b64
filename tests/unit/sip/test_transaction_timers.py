"""The timers of RFC 3261 17 and RFC 6026 by the clock: when a transaction repeats itself, gives up and is forgotten."""

from __future__ import annotations

import pytest
from support.transactions import TCP, UDP, Driver, make_request, make_response

from app.sip.flow import Flow
from app.sip.message import Request
from app.sip.transaction import (
    AckReceived,
    Cause,
    NoAckReceived,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    TransactionLayer,
)
from app.sip.transaction_tables import Timer, Timing, first_delay

TLS = Flow("tls", "192.0.2.1", 5061, "192.0.2.20", 40001, 8)


def received(request: Request, flow: Flow = UDP, timing: Timing | None = None) -> Driver:
    """A driver whose layer has just received this request."""
    driver = Driver(timing=timing or Timing())
    driver.receive(request, flow)
    assert isinstance(driver.events[0], RequestReceived)
    return driver


def key_of(driver: Driver):  # type: ignore[no-untyped-def]
    """The key of the request that was received first."""
    event = driver.events[0]
    assert isinstance(event, RequestReceived)
    return event.key


def test_timer_a_doubles_without_bound_until_timer_b() -> None:
    """17.1.1.2: at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, and the end at 32 s."""
    driver = Driver()
    key = driver.send_request(make_request())
    driver.advance(31.999)
    assert driver.sent_at() == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert driver.events == []
    driver.advance(0.001)
    assert driver.events == [RequestTimedOut(key)]
    assert [finish.cause for finish in driver.finished] == [Cause.TIMED_OUT]
    driver.advance(3600)
    assert len(driver.sent) == 7
    assert driver.timers == {}
    assert len(driver.layer) == 0


def test_timer_e_doubles_up_to_t2_until_timer_f() -> None:
    """17.1.2.2: intervals 0.5, 1, 2, 4, 4, ... and the end at 32 s."""
    driver = Driver()
    key = driver.send_request(make_request("OPTIONS"))
    driver.advance(32)
    assert driver.sent_at() == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert driver.events == [RequestTimedOut(key)]
    assert len(driver.layer) == 0


def test_timer_e_is_t2_after_a_provisional_response() -> None:
    """17.1.2.2: the running interval ends first, then every T2; timer F still ends it at 32 s."""
    driver = Driver()
    request = make_request("OPTIONS")
    driver.send_request(request)
    driver.advance(0.6)
    driver.receive(make_response(request, 100))
    driver.advance(31.5)
    assert driver.sent_at() == [0, 0.5, 1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5]
    assert isinstance(driver.events[-1], RequestTimedOut)
    assert round(driver.now - 1000, 3) == 32.1


def test_a_provisional_response_stops_timers_a_and_b_for_good() -> None:
    """17.1.1.2: ringing for an hour sends nothing and times nothing out."""
    driver = Driver()
    request = make_request()
    key = driver.send_request(request)
    driver.advance(0.2)
    driver.receive(make_response(request, 180))
    driver.advance(3600)
    assert len(driver.sent) == 1
    assert driver.layer.state_of(key) is not None
    assert driver.timers == {}
    driver.perform(driver.layer.destroy(key))
    assert [finish.cause for finish in driver.finished] == [Cause.DESTROYED]
    assert len(driver.layer) == 0


def test_timer_g_doubles_up_to_t2_until_timer_h() -> None:
    """17.2.1: a 486 whose ACK never comes."""
    driver = received(make_request())
    driver.respond(key_of(driver), make_response(make_request(), 486))
    driver.advance(32)
    assert driver.sent_at() == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert driver.events[-1] == NoAckReceived(key_of(driver))
    assert [finish.cause for finish in driver.finished] == [Cause.TIMED_OUT]
    assert len(driver.layer) == 0


def test_the_ack_stops_timers_g_and_h_and_timer_i_absorbs_others() -> None:
    """17.2.1: T4 in Confirmed, and not a word to the transaction user."""
    driver = received(make_request())
    driver.respond(key_of(driver), make_response(make_request(), 486))
    driver.advance(1.0)
    driver.receive(make_request("ACK", to_tag="ours"))
    sent = len(driver.sent)
    driver.receive(make_request("ACK", to_tag="ours"))
    driver.advance(4.999)
    assert len(driver.layer) == 1
    driver.advance(0.001)
    assert len(driver.layer) == 0
    assert len(driver.sent) == sent == 2
    assert len(driver.events) == 1


def test_a_2xx_is_repeated_by_the_transaction_user_for_timer_l() -> None:
    """RFC 6026 7.1: the INVITE is absorbed, every 2xx passes, the ACK is passed on, the end comes after 64*T1."""
    request = make_request()
    driver = received(request)
    answer = make_response(request, 200)
    driver.respond(key_of(driver), answer)
    driver.advance(0.5)
    driver.respond(key_of(driver), answer)
    driver.receive(make_request())
    assert driver.sent_at() == [0, 0.5]
    driver.receive(make_request("ACK", to_tag="ours"))
    assert isinstance(driver.events[-1], AckReceived)
    driver.advance(31.499)
    assert len(driver.layer) == 1
    driver.advance(0.001)
    assert len(driver.layer) == 0
    driver.respond(key_of(driver), answer)
    assert len(driver.sent) == 2


def test_a_repeated_2xx_is_passed_on_for_timer_m() -> None:
    """RFC 6026 7.2, 8.4."""
    driver = Driver()
    request = make_request()
    driver.send_request(request)
    driver.receive(make_response(request, 200, "one"))
    driver.advance(10)
    driver.receive(make_response(request, 200, "two"))
    driver.receive(make_response(request, 486, "three"))
    driver.receive(make_response(request, 180, "two"))
    tags = [event.response.to.tag for event in driver.events if isinstance(event, ResponseReceived)]
    assert tags == ["one", "two"]
    driver.advance(21.999)
    assert len(driver.layer) == 1
    driver.advance(0.001)
    assert len(driver.layer) == 0
    assert len(driver.sent) == 1


def test_timer_d_repeats_the_ack_for_32_seconds() -> None:
    """17.1.1.2"""
    driver = Driver()
    request = make_request()
    driver.send_request(request)
    refused = make_response(request, 503)
    driver.receive(refused)
    driver.advance(31.9)
    driver.receive(refused)
    acks = [data for _, data in driver.sent if data.startswith(b"ACK ")]
    assert len(acks) == 2
    assert acks[0] == acks[1]
    assert len(driver.events) == 1
    driver.advance(0.1)
    assert len(driver.layer) == 0


@pytest.mark.parametrize("status", [200, 404])
def test_timer_j_repeats_the_answer_for_32_seconds(status: int) -> None:
    """17.2.2"""
    request = make_request("BYE")
    driver = received(request)
    driver.respond(key_of(driver), make_response(request, status))
    driver.advance(31.9)
    driver.receive(make_request("BYE"))
    assert driver.sent_at() == [0, 31.9]
    driver.advance(0.1)
    assert len(driver.layer) == 0
    assert len(driver.events) == 1


@pytest.mark.parametrize("flow", [TCP, TLS], ids=["tcp", "tls"])
@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_reliable_transports_repeat_nothing_and_wait_for_nothing(flow: Flow, method: str) -> None:
    """17.1.1.2, 17.1.2.2, 17.2.1, 17.2.2: no A, E, G; D, I, J and K are zero."""
    client, server = Driver(), Driver()
    request = make_request(method)
    client.send_request(request, flow)
    client.advance(31)
    assert len(client.sent) == 1
    client.receive(make_response(request, 486), flow)
    assert len(client.layer) == 0
    assert isinstance(client.events[-1], ResponseReceived)
    assert client.timers == {}
    server.receive(request, flow)
    server.respond(key_of(server), make_response(request, 486))
    if method == "INVITE":
        server.advance(31)
        assert len(server.sent) == 1
        server.receive(make_request("ACK", to_tag="ours"), flow)
    assert len(server.layer) == 0
    assert server.timers == {}


@pytest.mark.parametrize("flow", [TCP, TLS], ids=["tcp", "tls"])
def test_reliable_transports_still_time_out(flow: Flow) -> None:
    """Timers B, F and H do not depend on the transport."""
    driver = Driver()
    keys = [driver.send_request(make_request(branch="z9hG4bKa"), flow)]
    keys.append(driver.send_request(make_request("BYE", branch="z9hG4bKb"), flow))
    driver.advance(32)
    assert driver.events == [RequestTimedOut(key) for key in keys]
    server = received(make_request(), flow)
    server.respond(key_of(server), make_response(make_request(), 486))
    server.advance(32)
    assert isinstance(server.events[-1], NoAckReceived)
    assert len(server.sent) == 1


def test_delays_by_letter() -> None:
    """RFC 3261 table 4 and RFC 6026 with every base moved, so that no number is there by chance."""
    timing = Timing(t1=1.0, t2=10.0, t4=100.0, t_completed=1000.0)
    unreliable = {timer.name: first_delay(timer, False, timing) for timer in Timer}
    assert unreliable == {
        "A": 1.0,
        "B": 64.0,
        "D": 1000.0,
        "E": 1.0,
        "F": 64.0,
        "G": 1.0,
        "H": 64.0,
        "I": 100.0,
        "J": 64.0,
        "K": 100.0,
        "L": 64.0,
        "M": 64.0,
    }
    reliable = {timer.name: first_delay(timer, True, timing) for timer in Timer}
    zero = dict.fromkeys("DIJK", 0.0)
    assert reliable == {**unreliable, **zero, "A": None, "E": None, "G": None}


def test_shorter_timers() -> None:
    driver = Driver(timing=Timing(t1=0.01, t2=0.04, t4=0.05, t_completed=0.2))
    driver.send_request(make_request("OPTIONS"))
    driver.advance(0.15)
    assert driver.sent_at() == [0, 0.01, 0.03, 0.07, 0.11, 0.15]


def test_a_timer_that_is_not_armed_does_nothing() -> None:
    """A late or early wake-up is normal."""
    layer = TransactionLayer()
    request = make_request()
    key, effects = layer.send_request(request, UDP, 1.0)
    assert layer.timer_fired(key, Timer.D, 1.0) == []
    assert layer.timer_fired(key, Timer.A, 2.0) != []
    layer.receive(make_response(request, 180), UDP, 2.0)
    assert layer.timer_fired(key, Timer.A, 3.0) == []
    assert layer.timer_fired(key, Timer.B, 33.0) == []
    layer.destroy(key)
    assert layer.timer_fired(key, Timer.M, 100.0) == []
    assert layer.destroy(key) == []
    assert len(effects) == 3
