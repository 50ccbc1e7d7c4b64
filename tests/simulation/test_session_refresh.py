"""A session that nobody refreshes ends in time, whatever was said to the refreshes (RFC 4028 10)."""

from __future__ import annotations

import pytest
from simulation.raw import OTHER_SDP, RawDialog, Wire
from simulation.test_calls import trunks
from simulation.world import SDP

from app.sip.message import Request

EXPIRES = 200
ENDS = EXPIRES - 32
"""Seconds after the last refresh at which the session is given up."""
TIMER = ("Session-Expires", f"{EXPIRES};refresher=uac"), ("Require", "timer")
UPDATES = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE")
REASON = 'SIP;cause=408;text="Session expired"'


def talking(*, update: bool = False, late: bool = False) -> tuple[Wire, RawDialog, RawDialog]:
    """A call whose session with the carrier is refreshed by this server, every 100 s."""
    w = Wire({**trunks(), "system": {"session_expires": EXPIRES}})
    up, down = w.call(body=None if late else SDP)
    down.respond(200, OTHER_SDP, headers=(*TIMER, UPDATES) if update else TIMER)
    w.advance(0.03)
    up.ack(SDP if late else None)
    w.advance(0.03)
    return w, up, down


def answering(w: Wire, down: RawDialog, *statuses: int) -> list[tuple[float, Request]]:
    """Have the carrier answer our refreshes so, the last status for ever; when which of them came."""
    began, seen, left = w.world.now, list[tuple[float, Request]](), list(statuses)

    def hear(message: object) -> None:
        if not isinstance(message, Request):
            return
        refresh = message.method in ("INVITE", "UPDATE")
        if refresh and message.to.tag is not None:
            seen.append((round(w.world.now - began), message))
            status = left.pop(0) if len(left) > 1 else left[0]
            if status == 200:
                down.respond(200, OTHER_SDP if message.body else None, headers=TIMER, request=message)
            elif status:
                down.respond(status, request=message)
        elif message.method in ("BYE", "OPTIONS"):
            seen.append((round(w.world.now - began), message))
            w.carrier.ok(message)

    w.carrier.on_message = hear
    w.caller.on_message = lambda message: (
        w.caller.ok(message) if isinstance(message, Request) and message.method in ("BYE", "OPTIONS") else None
    )
    return seen


@pytest.mark.parametrize("update", [False, True], ids=["INVITE", "UPDATE"])
@pytest.mark.parametrize("status", [500, 488, 403, 491, 603])
def test_a_refresh_that_is_refused_for_ever_ends_the_session(status: int, update: bool) -> None:
    w, _, down = talking(update=update)
    seen = answering(w, down, status)
    w.advance(ENDS - 1)
    assert len(w.switch.calls) == 1
    times = [at for at, request in seen if request.method == ("UPDATE" if update else "INVITE")]
    assert times == [100, 105, 115, 135], "not continuously (RFC 4028 10)"
    w.advance(2)
    ended, bye = seen[-1]
    assert (ended, bye.method, bye.get("Reason")) == (ENDS, "BYE", REASON)
    assert w.caller.requests("BYE")[0].get("Reason") == REASON
    record = w.record()
    assert (record.end_cause, record.ended_by, record.status) == ("session_expired", "server", 200)
    assert record.trail[-1].startswith(f"end: the called side refused to refresh the session: {status} ")


def test_a_refresh_that_succeeds_at_last_keeps_the_call() -> None:
    w, up, down = talking()
    seen = answering(w, down, 500, 500, 200, 500, 200)
    w.advance(500)
    assert len(w.switch.calls) == 1
    assert [at for at, request in seen] == [100, 105, 115, 215, 220, 320, 420]
    up.request("BYE")
    assert w.record().end_cause == "normal"


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_refresh_of_the_other_side_keeps_the_call(method: str) -> None:
    w, up, down = talking()
    answering(w, down, 500)
    w.advance(160)
    refresh = down.request(
        method, OTHER_SDP if method == "INVITE" else None, headers=(("Supported", "timer"), TIMER[0])
    )
    w.advance(1)
    assert w.carrier.statuses(method)[-1] == 200
    if method == "INVITE":
        down.ack(cseq=refresh.cseq.number)
    w.advance(ENDS - 5)
    assert len(w.switch.calls) == 1
    w.advance(10)
    assert not w.switch.calls, "it has refreshed once only, as it said that it would (refresher=uac)"
    w.settle()
    assert w.world.recorder.ended[0].trail[-1] == "end: the called side did not refresh the session"
    assert up.answer.status == 200


@pytest.mark.parametrize("status", [408, 481, 0])
def test_a_peer_that_knows_nothing_of_the_call_ends_it_at_once(status: int) -> None:
    w, _, down = talking()
    seen = answering(w, down, status)
    w.advance(140)
    ended, bye = seen[-1]
    assert (bye.method, bye.get("Reason")) == ("BYE", REASON)
    assert ended == (132 if not status else 100)
    assert w.record().end_cause == "session_expired"


@pytest.mark.parametrize("status", [405, 501])
def test_a_peer_that_does_not_take_update_after_all_is_refreshed_by_a_reinvite(status: int) -> None:
    w, up, down = talking(update=True)
    seen = answering(w, down, status, 200)
    w.advance(190)
    assert [(at, request.method) for at, request in seen] == [(100, "UPDATE"), (105, "INVITE")]
    up.request("BYE")
    assert w.record().end_cause == "normal"


def test_a_call_that_began_without_an_offer_is_refreshed_with_the_answer() -> None:
    w, up, down = talking(late=True)
    seen = answering(w, down, 200)
    w.advance(350)
    assert [(at, request.body) for at, request in seen] == [(at, SDP.content) for at in (100, 200, 300)]
    assert len(w.switch.calls) == 1
    up.request("BYE")
    assert w.record().end_cause == "normal"
