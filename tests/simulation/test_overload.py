"""A server that cannot keep up: new calls get 503 at once, what is under way goes on, repetitions are no new calls."""

from __future__ import annotations

import pytest
from simulation.raw import Wire
from simulation.test_calls import trunks

from app.events import Alarm
from app.sip.message import Request
from app.sip.turned_away import REMEMBERED_FOR


def overloaded(waiting: float = 1.0) -> Wire:
    w = Wire(trunks())
    w.switch.overload.waiting = lambda: waiting
    return w


@pytest.mark.expects_log("more comes in than this server can do")
def test_a_new_call_gets_503_with_a_time_to_come_back_and_costs_nothing() -> None:
    w = overloaded()
    up = w.caller.invite("135550")
    w.advance()
    (answer,) = w.caller.responses()
    assert answer.status == 503
    assert 5 <= int(answer.get("Retry-After") or 0) <= 12
    assert answer.to.tag
    assert w.switch.endpoint.transactions == 0
    assert w.switch.metrics.begun == 0
    up.ack_failure()
    # The same question gets the same answer (RFC 3261 8.2.7).
    w.caller.send(up.invite)
    w.advance()
    again = w.caller.responses()[-1]
    assert (again.status, again.to.tag) == (503, answer.to.tag)
    w.settle()
    assert not w.carrier.received
    assert w.switch.overload.refused == 1


@pytest.mark.expects_log("more comes in than this server can do")
def test_a_repetition_of_what_was_refused_does_not_become_a_call() -> None:
    """Its sender has its 503 and has given up: nobody would acknowledge what rings then."""
    w = overloaded()
    up = w.caller.invite("135550")
    w.advance()
    w.switch.overload.waiting = lambda: 0.0
    w.advance(2.0)
    w.caller.send(up.invite)
    w.advance()
    assert w.caller.statuses() == [503, 503]
    assert not w.carrier.received
    another, down = w.call()
    assert down.invite.uri_text.startswith("sip:135550@")
    another.cancel()
    w.advance(REMEMBERED_FOR)
    assert w.switch.endpoint._turned_away.has("192.0.2.7", up.invite.via.branch, w.world.now) is False
    down.respond(487)
    w.advance()
    another.ack_failure()
    w.settle()


@pytest.mark.expects_log("more comes in than this server can do")
def test_what_is_under_way_is_not_refused() -> None:
    w = Wire(trunks())
    up, down = w.call()
    w.switch.overload.waiting = lambda: 1.0
    w.caller.send(up.invite)
    down.respond(180)
    w.advance()
    assert 503 not in w.caller.statuses()
    down.respond(200)
    w.advance()
    up.ack()
    w.advance()
    up.request("INFO")
    w.advance()
    w.carrier.ok(w.carrier.requests("INFO")[0])
    w.advance()
    assert w.caller.statuses("INFO") == [200]
    up.request("BYE")
    w.advance()
    w.carrier.ok(w.carrier.requests("BYE")[0])
    w.advance()
    assert w.caller.statuses("BYE") == [200]
    assert w.record().end_cause == "normal"


@pytest.mark.expects_log("more comes in than this server can do")
@pytest.mark.parametrize(("waiting", "status"), [(0.35, 200), (0.45, 503)])
def test_other_requests_are_refused_later_than_calls(waiting: float, status: int) -> None:
    w = overloaded(waiting)
    invite = w.caller.invite("135550", send=False).invite
    headers = [(name, "1 OPTIONS" if name == "CSeq" else value) for name, value in invite.headers]
    w.caller.send(Request("OPTIONS", invite.uri_text, headers))
    w.caller.send(invite)
    w.advance()
    assert w.caller.statuses("OPTIONS") == [status]
    assert w.caller.statuses() == [503]
    assert w.carrier.requests("INVITE") == []


def test_a_hiccup_of_the_machine_refuses_no_call() -> None:
    w = overloaded(0.25)
    up, down = w.call()
    down.respond(200)
    w.advance()
    up.ack()
    assert 503 not in w.caller.statuses()
    up.request("BYE")
    w.advance()
    w.carrier.ok(w.carrier.requests("BYE")[0])
    w.settle()
    assert w.switch.overload.refused == 0


@pytest.mark.expects_log("more comes in than this server can do")
def test_a_broken_request_is_refused_as_ever() -> None:
    w = overloaded()
    invite = w.caller.invite("135550", send=False).invite
    invite.replace("From", "<<<")
    w.caller.send(invite)
    w.advance()
    assert {each.status for each in w.caller.received if not isinstance(each, Request)} <= {400, 503}
    w.settle()


@pytest.mark.expects_log("more comes in than this server can do")
def test_an_overload_raises_one_alarm_and_clears_it() -> None:
    w = overloaded()
    alarms: list[Alarm] = []
    w.world.events.subscribe(Alarm, alarms.append)
    for _ in range(20):
        w.caller.invite("135550")
    w.advance()
    assert [(alarm.code, alarm.cleared) for alarm in alarms] == [("overload", False)]
    w.switch.overload.waiting = lambda: 0.0
    w.advance(6)
    w.switch.sample()
    assert [(alarm.code, alarm.cleared) for alarm in alarms] == [("overload", False), ("overload", True)]
    assert "20" in alarms[1].text
    w.settle()
