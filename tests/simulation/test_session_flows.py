"""Session timers message by message (RFC 4028): both roles on both legs, 422 both ways, by UPDATE and re-INVITE.

Each leg has its own timer: what one side agreed on and how it is refreshed is nothing that the other side hears of.
"""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import OTHER_SDP, RawDialog, RawPeer, Wire, hang_up
from simulation.test_calls import trunks
from simulation.world import HOLD, SDP

from app.sip.message import Request, Response

TIMER = ("Supported", "timer")
KNOWS_UPDATE = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE")
NO_UPDATE = ("Allow", "INVITE, ACK, BYE, CANCEL")
Headers = list[tuple[str, str]]


def wire(session_expires: int = 1800, **first_trunk: Any) -> Wire:
    made = trunks(**first_trunk)
    made["system"] = {"session_expires": session_expires}
    return Wire(made)


def talk(w: Wire, *, asked: Headers | None = None, answered: Headers | None = None) -> tuple[RawDialog, RawDialog]:
    """A running call: what the caller's INVITE and the called side's 200 say of timers."""
    up, down = w.call(headers=asked or [])
    down.respond(200, OTHER_SDP, headers=answered or [])
    w.advance()
    up.ack()
    w.advance()
    assert up.answer.status == 200
    return up, down


def inside(peer: RawPeer) -> list[Request]:
    """Every request inside the dialog that came to a peer, but ACK, each once."""
    found = [each for each in peer.received if isinstance(each, Request) and each.to.tag and each.method != "ACK"]
    return list({each.via.branch: each for each in found}.values())


def refresh_with(end: RawDialog, request: Request, *headers: tuple[str, str]) -> None:
    """Accept a refresh, as a peer does that has had the same before."""
    body = SDP if request.method == "INVITE" else None
    end.respond(200, body, request=request, headers=headers)


# --- 422 --------------------------------------------------------------------------------------------------------------


def test_the_called_side_wants_a_longer_session() -> None:
    """RFC 4028 7.3: the INVITE again with the next number, the caller hears nothing of it."""
    w = wire()
    up, down = w.call()
    assert down.invite.get("Session-Expires") == "1800"
    down.respond(422, headers=[("Min-SE", "3600")])
    w.advance()
    second = w.carrier.incoming()
    assert (second.invite.get("Session-Expires"), second.invite.get("Min-SE")) == ("3600", "3600")
    assert second.invite.cseq.number == 2
    assert second.invite.call_id == down.invite.call_id
    assert second.invite.body == down.invite.body
    assert len(w.carrier.requests("ACK")) == 1
    second.respond(200, OTHER_SDP, headers=[("Session-Expires", "3600;refresher=uac"), KNOWS_UPDATE])
    w.advance()
    assert w.caller.statuses() == [200]
    up.ack()
    w.advance(901)
    _answer_options(up)
    w.advance(900)
    _answer_options(up)
    (update,) = inside(w.carrier)
    assert update.get("Session-Expires") == "3600;refresher=uac"
    refresh_with(second, update, ("Session-Expires", "3600;refresher=uac"))
    w.advance()
    hang_up(w, up)
    record = w.record()
    assert (record.status, len(record.attempts)) == (200, 1)


@pytest.mark.parametrize("least", ["90000", "90", ""])
def test_a_422_that_cannot_be_met_fails_the_target(least: str) -> None:
    w = wire(next_trunk_id=2, failover_statuses=[422])
    up, down = w.call()
    down.respond(422, headers=[("Min-SE", least)] if least else [])
    w.advance()
    assert len(w.carrier.requests("INVITE")) == 1
    w.backup.incoming().respond(486)
    w.advance()
    up.ack_failure()
    assert [attempt.status for attempt in w.record().attempts] == [422, 486]


def test_a_called_side_that_always_wants_more_is_given_up() -> None:
    w = wire()
    up, _down = w.call()
    for least in (2000, 3000, 3000):
        if w.caller.statuses():
            break
        w.carrier.incoming().respond(422, headers=[("Min-SE", str(least))])
        w.advance()
    assert w.caller.statuses() == [500]
    assert len(w.carrier.requests("INVITE")) == 3
    up.ack_failure()
    assert w.record().attempts[-1].status == 422


def test_cancel_between_a_422_and_the_next_answer() -> None:
    w = wire()
    up, down = w.call()
    down.respond(100)
    down.respond(422, headers=[("Min-SE", "3600")])
    w.advance()
    up.cancel()
    w.advance()
    assert w.caller.statuses() == [487]
    up.ack_failure()
    second = w.carrier.incoming()
    assert not w.carrier.requests("CANCEL")
    second.respond(180)
    w.advance()
    (cancel,) = w.carrier.requests("CANCEL")
    assert cancel.cseq.number == 2
    w.carrier.ok(cancel)
    second.respond(487)
    assert w.record().end_cause == "cancelled"


def test_a_caller_that_wants_too_short_a_session_is_told_the_least() -> None:
    w = wire()
    up = w.caller.invite("135550", headers=[TIMER, ("Session-Expires", "60")])
    w.advance()
    (refusal,) = w.caller.responses()
    assert (refusal.status, refusal.get("Min-SE")) == (422, "90")
    up.ack_failure()
    w.settle()
    assert not w.world.recorder.ended
    assert not w.carrier.received
    up, _down = talk(w, asked=[TIMER, ("Session-Expires", "90;refresher=uac")])
    hang_up(w, up)
    assert w.record().status == 200


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_too_short_a_refresh_gets_422_and_the_call_goes_on(method: str) -> None:
    w = wire()
    up, _down = talk(w, asked=[TIMER, ("Session-Expires", "1800;refresher=uac")])
    body = SDP if method == "INVITE" else None
    up.request(method, body, headers=[TIMER, ("Session-Expires", "30;refresher=uac")])
    w.advance()
    refusal = w.caller.responses(method)[-1]
    assert (refusal.status, refusal.get("Min-SE")) == (422, "90")
    up.request(method, body, headers=[TIMER, ("Session-Expires", "90;refresher=uac")])
    w.advance()
    answer = w.caller.responses(method)[-1]
    assert (answer.status, answer.get("Session-Expires")) == (200, "90;refresher=uac")
    if method == "INVITE":
        up.ack(cseq=answer.cseq.number)
        w.advance()
    assert not inside(w.carrier)
    hang_up(w, up)
    w.record()


# --- who refreshes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("allow", [KNOWS_UPDATE, NO_UPDATE], ids=["UPDATE", "INVITE"])
@pytest.mark.parametrize("side", ["caller", "called"])
def test_we_refresh_at_half_time_and_the_other_leg_hears_nothing(side: str, allow: tuple[str, str]) -> None:
    """RFC 4028 7.4 and 10: with UPDATE where the peer knows it, else with a re-INVITE that changes nothing."""
    w = wire(400)
    if side == "caller":
        up, down = talk(w, asked=[TIMER, ("Session-Expires", "400;refresher=uas"), allow])
        assert up.answer.get("Session-Expires") == "400;refresher=uas"
        end, other, role = up, down, "uac"
    else:
        up, down = talk(w, answered=[("Session-Expires", "400;refresher=uac"), allow])
        end, other, role = down, up, "uac"
    method = allow[1].rpartition(" ")[2] if allow is KNOWS_UPDATE else "INVITE"
    for turn in range(1, 4):
        w.advance(201)
        mine = [each for each in inside(end.peer) if each.method != "OPTIONS"]
        assert len(mine) == turn
        refresh = mine[-1]
        assert refresh.method == method
        assert refresh.get("Session-Expires") == f"400;refresher={role}"
        assert refresh.body == (b"" if method == "UPDATE" else OTHER_SDP.content if end is up else SDP.content)
        refresh_with(end, refresh, ("Session-Expires", f"400;refresher={role}"))
        w.advance()
        _answer_options(other)
        if method == "INVITE":
            assert len([ack for ack in end.peer.requests("ACK") if ack.cseq.number == refresh.cseq.number]) == 1
        assert len(w.switch.calls) == 1
    assert all(each.method == "OPTIONS" for each in inside(other.peer))
    hang_up(w, up)
    assert w.record().end_cause == "normal"


def _answer_options(end: RawDialog) -> None:
    """A peer without timers is asked whether it lives."""
    for request in inside(end.peer):
        if request.method == "OPTIONS":
            end.peer.ok(request)


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
@pytest.mark.parametrize("side", ["caller", "called"])
def test_the_peer_refreshes_and_when_it_stops_the_call_is_ended(side: str, method: str) -> None:
    """RFC 4028 10: BYE to both, a little before the session is over."""
    w = wire(300)
    agreed = "300;refresher=uac" if side == "caller" else "300;refresher=uas"
    if side == "caller":
        up, down = talk(w, asked=[TIMER, ("Session-Expires", agreed)])
        end, other = up, down
    else:
        up, down = talk(w, answered=[("Require", "timer"), ("Session-Expires", agreed)])
        end, other = down, up
    own = SDP if end is up else OTHER_SDP
    for _ in range(2):
        w.advance(150)
        _answer_options(other)
        refresh = end.request(
            method, own if method == "INVITE" else None, headers=[TIMER, ("Session-Expires", "300;refresher=uac")]
        )
        w.advance()
        answer = end.peer.responses(method)[-1]
        assert answer.status == 200
        assert answer.get("Session-Expires") == "300;refresher=uac"
        assert "timer" in (answer.get("Require") or "")
        if method == "INVITE":
            assert answer.body == (OTHER_SDP.content if end is up else SDP.content)
            end.ack(cseq=refresh.cseq.number)
            w.advance()
    assert {each.method for each in inside(other.peer)} <= {"OPTIONS"}
    w.advance(150)
    _answer_options(other)
    w.advance(300 - 150 - 32 - 2)
    assert len(w.switch.calls) == 1
    w.advance(3)
    assert not w.switch.calls
    for peer in (w.caller, w.carrier):
        peer.ok(peer.requests("BYE")[0])
    record = w.record()
    assert (record.end_cause, record.ended_by) == ("session_expired", "server")


def test_each_leg_keeps_its_own_time() -> None:
    """The caller refreshes each 90 s by UPDATE, we refresh the other leg each 600 s by re-INVITE."""
    w = wire()
    up, down = talk(
        w,
        asked=[TIMER, ("Session-Expires", "90;refresher=uac")],
        answered=[("Session-Expires", "1200;refresher=uac"), NO_UPDATE],
    )
    refreshes = 0
    for second in range(45, 1400, 45):
        up.request("UPDATE", headers=[TIMER, ("Session-Expires", "90;refresher=uac")])
        w.advance(45)
        assert w.caller.responses("UPDATE")[-1].status == 200
        pending = [each for each in inside(w.carrier) if each.method == "INVITE"]
        if len(pending) > refreshes:
            refreshes += 1
            assert second + 45 + 1 >= 600
            refresh_with(down, pending[-1], ("Session-Expires", "1200;refresher=uac"))
            w.advance()
    assert refreshes == 2
    assert not inside(w.caller)
    hang_up(w, up)
    assert w.record().end_cause == "normal"


def test_a_timer_that_a_proxy_put_in_is_kept_by_us() -> None:
    """RFC 4028 9: the caller itself knows no timers, so we refresh."""
    w = wire()
    up, _down = talk(w, asked=[("Session-Expires", "200"), KNOWS_UPDATE])
    assert up.answer.get("Session-Expires") == "200;refresher=uas"
    assert up.answer.get("Require") is None
    w.advance(101)
    (update,) = [each for each in inside(w.caller) if each.method == "UPDATE"]
    # It accepts without a word of timers: there are none any more.
    refresh_with(up, update)
    w.advance(300)
    assert [each.method for each in inside(w.caller)] == ["UPDATE"]
    hang_up(w, up)
    w.record()


# --- what becomes of our refresh --------------------------------------------------------------------------------------


def we_refresh(allow: tuple[str, str] = KNOWS_UPDATE) -> tuple[Wire, RawDialog, RawDialog, Request]:
    """A call whose called side has just been sent a refresh."""
    w = wire(200)
    up, down = talk(w, answered=[("Session-Expires", "200;refresher=uac"), allow])
    w.advance(101)
    (refresh,) = [each for each in inside(w.carrier) if each.method in ("UPDATE", "INVITE")]
    _answer_options(up)
    return w, up, down, refresh


@pytest.mark.parametrize("allow", [KNOWS_UPDATE, NO_UPDATE], ids=["UPDATE", "INVITE"])
@pytest.mark.parametrize("status", [491, 500, 422])
def test_a_refresh_that_is_put_off_is_tried_again(status: int, allow: tuple[str, str]) -> None:
    w, up, down, refresh = we_refresh(allow)
    down.respond(status, request=refresh, headers=[("Min-SE", "1000")] if status == 422 else [])
    w.advance(6)
    again = [each for each in inside(w.carrier) if each.method == refresh.method][-1]
    assert again.cseq.number == refresh.cseq.number + 1
    assert (again.get("Session-Expires") or "").startswith("1000;" if status == 422 else "200;")
    refresh_with(down, again, ("Session-Expires", "1000;refresher=uac"))
    w.advance()
    assert not [each for each in inside(w.caller) if each.method != "OPTIONS"]
    hang_up(w, up)
    assert w.record().end_cause == "normal"


@pytest.mark.parametrize("allow", [KNOWS_UPDATE, NO_UPDATE], ids=["UPDATE", "INVITE"])
@pytest.mark.parametrize("status", [481, 408, 0])
def test_a_refresh_that_nobody_knows_ends_the_call(status: int, allow: tuple[str, str]) -> None:
    w, _up, down, refresh = we_refresh(allow)
    if status:
        w.carrier.ok(refresh, status)
        w.advance()
    else:
        w.advance(33)
    assert not w.switch.calls
    w.caller.ok(w.caller.requests("BYE")[0])
    record = w.record()
    assert (record.end_cause, record.ended_by) == ("session_expired", "server")
    assert down.call_id in {each.call_id for each in w.carrier.requests("BYE")}


def test_a_refresh_that_is_refused_for_good_leaves_the_call_alone() -> None:
    w, up, down, refresh = we_refresh()
    down.respond(405, request=refresh)
    w.advance(20)
    assert len(w.switch.calls) == 1
    hang_up(w, up)
    assert w.record().end_cause == "normal"


@pytest.mark.parametrize("allow", [KNOWS_UPDATE, NO_UPDATE], ids=["UPDATE", "INVITE"])
def test_a_refresh_crosses_a_hold(allow: tuple[str, str]) -> None:
    """RFC 3261 14.2: 491 for the hold that crosses, which succeeds when it is tried again."""
    w, up, down, refresh = we_refresh(allow)
    down.request("INVITE", HOLD)
    w.advance()
    assert w.carrier.statuses()[-1] == 491
    down.respond(491, request=refresh)
    w.advance(1)
    hold = down.request("INVITE", HOLD, headers=[TIMER, ("Session-Expires", "200;refresher=uas")])
    w.advance()
    up.respond(200, SDP, request=[each for each in inside(w.caller) if each.method == "INVITE"][-1])
    w.advance()
    assert w.carrier.statuses()[-1] == 200
    down.ack(cseq=hold.cseq.number)
    w.advance(101)
    _answer_options(up)
    again = [each for each in inside(w.carrier) if each.method == refresh.method][-1]
    assert again is not refresh
    refresh_with(down, again, ("Session-Expires", "200;refresher=uac"))
    w.advance()
    hang_up(w, up)
    assert w.record().end_cause == "normal"


def test_a_refresh_crosses_the_bye() -> None:
    w, _up, down, refresh = we_refresh()
    down.request("BYE")
    w.advance()
    assert w.carrier.statuses("BYE") == [200]
    w.carrier.ok(refresh, 481)
    w.caller.ok(w.caller.requests("BYE")[0])
    w.advance()
    assert not [each for each in w.carrier.received if isinstance(each, Request) and each.method == "BYE"]
    assert isinstance(w.carrier.responses("BYE")[0], Response)
    assert w.record().end_cause == "normal"
