"""Offers inside a call, message by message: hold, glare, overtaking and lost ones, late offers, reliable answers.

RFC 3261 14, RFC 3311, RFC 3262, RFC 5407 3.1.4 and 3.2.2. Each flow ends with both legs released and one record.
"""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import OTHER_SDP, RawDialog, Wire, hang_up
from simulation.test_calls import trunks
from simulation.world import HOLD, SDP

from app.calls.leg_events import Body
from app.sip.message import Request


def wire(**first_trunk: Any) -> Wire:
    return Wire(trunks(**first_trunk))


# --- re-INVITE and UPDATE ---------------------------------------------------------------------------------------------


def reinvited(peer_end: RawDialog) -> Request:
    return peer_end.peer.requests("INVITE")[-1]


def test_hold_and_resume_pass_with_their_bodies() -> None:
    w = wire()
    up, down = w.talk()
    up.request("INVITE", HOLD)
    w.advance()
    offer = reinvited(down)
    assert offer.body == HOLD.content
    assert offer.to.tag == down.local_tag
    held = Body("application/sdp", OTHER_SDP.content + b"a=recvonly\r\n")
    down.respond(200, held, request=offer)
    w.advance()
    assert up.answer.cseq.number == 2
    assert up.answer.body == held.content
    up.ack(cseq=2)
    w.advance()
    assert [ack.cseq.number for ack in w.carrier.requests("ACK")] == [1, 2]
    (call,) = w.switch.calls.values()
    assert call.state == "held"
    up.request("INVITE", SDP)
    w.advance()
    down.respond(200, OTHER_SDP, request=reinvited(down))
    w.advance()
    up.ack(cseq=3)
    w.advance()
    assert call.state == "talking"
    hang_up(w, down)
    w.record()


def test_a_reinvite_gets_100_at_once_and_its_repetition_is_absorbed() -> None:
    w = wire()
    up, down = w.talk()
    again = up.request("INVITE", HOLD)
    w.advance()
    assert [each.status for each in w.caller.responses(above=99) if each.cseq.number == 2] == [100]
    w.caller.send(again)
    w.advance()
    assert len({each.via.branch for each in w.carrier.requests("INVITE")}) == 2
    down.respond(488, request=reinvited(down))
    w.advance()
    assert w.caller.statuses()[-1] == 488
    hang_up(w, up)
    w.record()


def test_a_refused_reinvite_changes_nothing_and_may_be_tried_again() -> None:
    """RFC 3261 14.1. The second try has the same body, and must reach the other side again."""
    w = wire()
    up, down = w.talk()
    for number in (2, 3):
        up.request("INVITE", HOLD)
        w.advance()
        offer = reinvited(down)
        assert offer.body == HOLD.content
        assert len({each.via.branch for each in w.carrier.requests("INVITE")}) == number
        down.respond(488, request=offer)
        w.advance()
        assert w.caller.statuses()[-1] == 488
    (call,) = w.switch.calls.values()
    assert call.state == "talking"
    hang_up(w, up)
    w.record()


def test_glare_both_sides_get_491() -> None:
    """RFC 3261 14.2, RFC 5407 3.2.2: both re-INVITE at the same time."""
    w = wire()
    up, down = w.talk()
    up.request("INVITE", HOLD)
    down.request("INVITE", HOLD)
    w.advance()
    assert w.caller.statuses()[-1] == 491 or w.carrier.statuses()[-1] == 491
    for peer, end in ((w.caller, up), (w.carrier, down)):
        for request in [each for each in peer.requests("INVITE") if each.to.tag is not None]:
            end.respond(491, request=request)
    w.advance()
    assert w.caller.statuses()[-1] == 491
    assert w.carrier.statuses()[-1] == 491
    hang_up(w, up)
    w.record()


def test_a_second_reinvite_while_the_first_waits_gets_500() -> None:
    """RFC 3261 14.2: 500 with a Retry-After of 0 to 10 seconds."""
    w = wire()
    up, down = w.talk()
    up.request("INVITE", HOLD)
    w.advance()
    up.request("INVITE", SDP)
    w.advance()
    refusal = [each for each in w.caller.responses() if each.cseq.number == 3]
    assert [each.status for each in refusal] == [500]
    assert 0 <= int(refusal[0].get("Retry-After") or "99") <= 10
    down.respond(200, OTHER_SDP, request=reinvited(down))
    w.advance()
    up.ack(cseq=2)
    w.advance()
    hang_up(w, up)
    w.record()


def test_a_reinvite_before_the_answer_gets_500() -> None:
    """RFC 3261 14.2."""
    w = wire()
    up, down = w.call()
    down.respond(180)
    w.advance()
    up.request("INVITE", HOLD)
    w.advance()
    assert [each.status for each in w.caller.responses() if each.cseq.number == 2] == [500]
    up.request("UPDATE", HOLD)
    up.request("UPDATE")
    up.request("INFO", Body("application/dtmf-relay", b"Signal=1\r\n"))
    w.advance()
    assert w.caller.statuses("UPDATE") == [500, 200]
    assert w.caller.statuses("INFO") == [500]
    down.respond(486)
    w.advance()
    assert w.record().end_cause == "busy"


def test_requests_of_the_called_side_before_its_answer() -> None:
    """A 481 would end its early dialog, so it gets none."""
    w = wire()
    up, down = w.call()
    down.respond(183, OTHER_SDP)
    w.advance()
    down.request("UPDATE", HOLD)
    down.request("UPDATE")
    down.request("INFO", Body("application/dtmf-relay", b"Signal=1\r\n"))
    down.request("OPTIONS")
    down.request("BYE")
    w.advance()
    assert w.carrier.statuses("UPDATE") == [500, 200]
    assert w.carrier.statuses("INFO") == [500]
    assert w.carrier.statuses("OPTIONS") == [200]
    assert w.carrier.statuses("BYE") == [200]
    assert len(w.switch.calls) == 1
    down.respond(480)
    w.advance()
    up.ack_failure()
    assert w.record().status == 480


def test_a_reinvite_overtakes_the_ack() -> None:
    """RFC 5407 3.1.4."""
    w = wire()
    up, down = w.call()
    down.respond(200, OTHER_SDP)
    w.advance()
    up.request("INVITE", HOLD)
    w.advance()
    assert [each.status for each in w.caller.responses() if each.cseq.number == 2] == [491]
    up.ack()
    w.advance()
    up.request("INVITE", HOLD)
    w.advance()
    down.respond(200, OTHER_SDP, request=reinvited(down))
    w.advance()
    up.ack(cseq=3)
    w.advance()
    hang_up(w, up)
    w.record()


def test_the_called_side_reinvites_before_the_caller_has_acknowledged() -> None:
    """RFC 3261 14.1: no INVITE to a peer whose own one is not over yet."""
    w = wire()
    up, down = w.call()
    down.respond(200, OTHER_SDP)
    w.advance()
    down.request("INVITE", HOLD)
    w.advance()
    assert w.carrier.statuses() == [491]
    assert not w.caller.requests("INVITE")
    up.ack()
    w.advance()
    down.request("INVITE", HOLD)
    w.advance()
    up.respond(200, SDP, request=reinvited(up))
    w.advance()
    assert w.carrier.statuses() == [491, 200]
    down.ack(cseq=3)
    w.advance()
    hang_up(w, up)
    w.record()


def test_an_old_ack_does_not_stand_for_the_new_200() -> None:
    """The ACK of the first INVITE comes again after a re-INVITE was answered: the 200 must go on being repeated."""
    w = wire()
    up, down = w.talk()
    up.request("INVITE", HOLD)
    w.advance()
    down.respond(200, OTHER_SDP, request=reinvited(down))
    w.advance()
    up.ack(cseq=1)
    before = len([each for each in w.caller.responses() if each.cseq.number == 2])
    w.advance(2)
    assert len([each for each in w.caller.responses() if each.cseq.number == 2]) > before
    up.ack(cseq=2)
    w.advance()
    hang_up(w, up)
    w.record()


def test_a_cancelled_reinvite_is_cancelled_on_the_other_side() -> None:
    w = wire()
    up, down = w.talk()
    first = up.request("INVITE", HOLD)
    w.advance()
    offer = reinvited(down)
    up.cancel(first)
    w.advance()
    assert w.caller.statuses("CANCEL") == [200]
    assert [each.status for each in w.caller.responses() if each.cseq.number == 2] == [487]
    assert not w.carrier.requests("CANCEL")
    down.respond(100, request=offer)
    w.advance()
    (cancel,) = w.carrier.requests("CANCEL")
    assert cancel.via.branch == offer.via.branch
    w.carrier.ok(cancel)
    down.respond(487, request=offer)
    w.advance()
    assert len(w.switch.calls) == 1
    hang_up(w, up)
    w.record()


def test_a_reinvite_that_is_answered_although_it_was_cancelled_is_taken_back() -> None:
    w = wire()
    up, down = w.talk()
    first = up.request("INVITE", HOLD)
    w.advance()
    offer = reinvited(down)
    up.cancel(first)
    down.respond(200, OTHER_SDP, request=offer)
    w.advance()
    assert [each.status for each in w.caller.responses() if each.cseq.number == 2] == [487]
    # The called side believes in the hold now, so it gets what the caller really has.
    back = reinvited(down)
    assert back.cseq.number > offer.cseq.number
    assert back.body == SDP.content
    down.respond(200, OTHER_SDP, request=back)
    w.advance()
    assert [ack.cseq.number for ack in w.carrier.requests("ACK")] == [1, offer.cseq.number, back.cseq.number]
    assert w.caller.requests("INVITE") == []
    hang_up(w, up)
    w.record()


def test_a_reinvite_that_only_gets_100_is_given_up_and_the_call_goes_on() -> None:
    w = wire()
    up, down = w.talk()
    up.request("INVITE", HOLD)
    w.advance()
    offer = reinvited(down)
    down.respond(100, request=offer)
    w.advance(61)
    assert {each.status for each in w.caller.responses() if each.cseq.number == 2} == {504}
    assert len(w.carrier.requests("CANCEL")) >= 1
    w.advance(33)
    assert len(w.switch.calls) == 1
    up.request("INVITE", HOLD)
    w.advance()
    down.respond(200, OTHER_SDP, request=reinvited(down))
    w.advance()
    up.ack(cseq=3)
    w.advance()
    hang_up(w, up)
    w.record()


@pytest.mark.parametrize("status", [481, 408])
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_peer_that_rebooted_ends_the_call(status: int, method: str) -> None:
    """RFC 3261 12.2.1.2."""
    w = wire()
    up, down = w.call()
    down.respond(200, OTHER_SDP, headers=[("Allow", "INVITE, ACK, BYE, UPDATE")])
    w.advance()
    up.ack()
    w.advance()
    up.request(method, HOLD)
    w.advance()
    offer = w.carrier.requests(method)[-1]
    down.respond(status, request=offer)
    w.advance()
    assert [each.status for each in w.caller.responses(method) if each.cseq.number == 2] == [487]
    for peer in (w.caller, w.carrier):
        (bye,) = peer.requests("BYE")
        peer.send(bye.answer(200 if peer is w.caller else 481))
    record = w.record()
    assert (record.end_cause, record.ended_by) == ("error", "server")
    assert "gone" in record.trail[-1]


def test_info_to_a_peer_that_rebooted_ends_the_call() -> None:
    w = wire()
    up, down = w.talk()
    up.request("INFO", Body("application/dtmf-relay", b"Signal=1\r\n"))
    w.advance()
    down.respond(481, request=w.carrier.requests("INFO")[0])
    w.advance()
    assert w.caller.requests("BYE")
    w.caller.ok(w.caller.requests("BYE")[0])
    assert w.record().end_cause == "error"


def test_update_goes_as_reinvite_to_who_does_not_know_it() -> None:
    w = wire()
    up, down = w.call()
    down.respond(200, OTHER_SDP, headers=[("Allow", "INVITE, ACK, BYE, CANCEL")])
    w.advance()
    up.ack()
    w.advance()
    up.request("UPDATE", HOLD)
    w.advance()
    assert not w.carrier.requests("UPDATE")
    down.respond(200, OTHER_SDP, request=reinvited(down))
    w.advance()
    assert w.caller.statuses("UPDATE") == [200]
    assert w.caller.responses("UPDATE")[0].body == OTHER_SDP.content
    assert [ack.cseq.number for ack in w.carrier.requests("ACK")] == [1, 2]
    hang_up(w, up)
    w.record()


def test_a_reinvite_without_an_offer_gets_one_and_its_ack_carries_the_answer() -> None:
    """RFC 3261 14.1: the offer is in the 200, the answer in the ACK."""
    w = wire()
    up, down = w.talk()
    up.request("INVITE")
    w.advance()
    asked = reinvited(down)
    assert asked.body == b""
    down.respond(200, HOLD, request=asked)
    w.advance()
    assert up.answer.body == HOLD.content
    assert len(w.carrier.requests("ACK")) == 1
    up.ack(OTHER_SDP, cseq=2)
    w.advance()
    assert w.carrier.requests("ACK")[-1].body == OTHER_SDP.content
    assert w.carrier.requests("ACK")[-1].cseq.number == asked.cseq.number
    hang_up(w, down)
    w.record()


# --- late offers ------------------------------------------------------------------------------------------------------


def test_an_invite_without_offer() -> None:
    w = wire()
    up, down = w.call(body=None)
    assert down.invite.body == b""
    down.respond(183, SDP)
    w.advance()
    # Only the 2xx may carry the offer (RFC 3261 13.2.1): what comes unreliably before is no use to the caller.
    assert w.caller.responses()[-1].body == b""
    down.respond(200, OTHER_SDP)
    w.advance()
    assert up.answer.body == OTHER_SDP.content
    assert not w.carrier.requests("ACK")
    up.ack(SDP)
    w.advance()
    (ack,) = w.carrier.requests("ACK")
    assert ack.body == SDP.content
    hang_up(w, up)
    assert w.record().end_cause == "normal"


def test_a_late_answer_that_is_missing_from_the_ack() -> None:
    w = wire()
    up, down = w.call(body=None)
    down.respond(200, OTHER_SDP)
    w.advance()
    up.ack()
    w.advance()
    (ack,) = w.carrier.requests("ACK")
    assert ack.body == b""
    hang_up(w, down)
    w.record()


def test_a_late_offer_whose_ack_never_comes() -> None:
    w = wire()
    _up, down = w.call(body=None)
    down.respond(200, OTHER_SDP)
    w.advance(33)
    assert len(w.carrier.requests("ACK")) == 1
    for peer in (w.caller, w.carrier):
        peer.ok(peer.requests("BYE")[0])
    assert w.record().end_cause == "ack_missing"


# --- reliable provisional answers -------------------------------------------------------------------------------------

RELIABLE = (("Supported", "100rel"),)


def prack_of(up: RawDialog) -> Request:
    rseq = up.answer.get("RSeq")
    return up.request("PRACK", headers=[("RAck", f"{rseq} 1 INVITE")])


def test_the_200_waits_for_the_prack_of_early_media() -> None:
    """RFC 3262 3: no 2xx while a session description waits for its PRACK."""
    w = wire()
    up, down = w.call(headers=RELIABLE)
    down.respond(183, OTHER_SDP)
    w.advance()
    down.respond(200, OTHER_SDP)
    w.advance(1)
    assert set(w.caller.statuses()) == {183}
    prack_of(up)
    w.advance()
    assert w.caller.statuses("PRACK") == [200]
    assert w.caller.statuses()[-1] == 200
    up.ack()
    w.advance()
    hang_up(w, up)
    assert w.record().end_cause == "normal"


def test_cancel_while_the_200_waits_for_a_prack() -> None:
    w = wire()
    up, down = w.call(headers=RELIABLE)
    down.respond(183, OTHER_SDP)
    w.advance()
    down.respond(200, OTHER_SDP)
    w.advance()
    up.cancel()
    w.advance()
    assert w.caller.statuses()[-1] == 487
    up.ack_failure()
    w.carrier.ok(w.carrier.requests("BYE")[0])
    record = w.record()
    assert (record.status, record.end_cause, record.answered) == (487, "cancelled", 0)


def test_the_called_side_hangs_up_while_the_200_waits_for_a_prack() -> None:
    w = wire()
    up, down = w.call(headers=RELIABLE)
    down.respond(183, OTHER_SDP)
    w.advance()
    down.respond(200, OTHER_SDP)
    w.advance()
    down.request("BYE")
    w.advance()
    assert w.caller.statuses()[-1] == 480
    up.ack_failure()
    record = w.record()
    assert (record.status, record.ended_by) == (480, "called")


def test_a_200_whose_prack_never_comes() -> None:
    w = wire()
    up, down = w.call(headers=RELIABLE)
    down.respond(183, OTHER_SDP)
    w.advance()
    down.respond(200, OTHER_SDP)
    w.advance(40)
    assert w.caller.statuses()[-1] == 504
    up.ack_failure()
    for bye in w.carrier.requests("BYE"):
        w.carrier.ok(bye)
    record = w.record()
    assert (record.status, record.end_cause) == (504, "ack_missing")


def test_a_prack_that_crosses_the_200_is_taken_once() -> None:
    """RFC 3262 3: what went out before the final answer may still be acknowledged."""
    w = wire()
    up, down = w.call(headers=[("Require", "100rel")])
    down.respond(180)
    w.advance()
    ringing = up.answer
    down.respond(200, OTHER_SDP)
    w.advance()
    assert w.caller.statuses() == [180, 200]
    up.ack()
    for _ in range(2):
        up.request("PRACK", headers=[("RAck", f"{ringing.get('RSeq')} 1 INVITE")])
        w.advance()
    assert w.caller.statuses("PRACK") == [200, 481]
    hang_up(w, up)
    assert w.record().end_cause == "normal"


def test_an_offer_in_a_prack_that_crosses_the_200_changes_nothing() -> None:
    w = wire()
    up, down = w.call(headers=[("Require", "100rel")])
    down.respond(183, OTHER_SDP)
    w.advance()
    prack_of(up)
    w.advance()
    down.respond(180)
    w.advance()
    ringing = up.answer
    down.respond(200)
    w.advance()
    up.ack()
    up.request("PRACK", SDP, headers=[("RAck", f"{ringing.get('RSeq')} 1 INVITE")])
    w.advance()
    answer = w.caller.responses("PRACK")[-1]
    assert (answer.status, answer.body) == (200, OTHER_SDP.content)
    assert not w.carrier.requests("INVITE")[1:]
    assert not w.carrier.requests("UPDATE")
    hang_up(w, up)
    assert w.record().end_cause == "normal"


def test_a_prack_that_is_never_sent_is_recorded_with_504() -> None:
    w = wire()
    up, down = w.call(headers=[("Require", "100rel")])
    down.respond(180)
    w.advance(40)
    assert w.caller.statuses()[-1] == 504
    up.ack_failure()
    assert w.carrier.requests("CANCEL")
    down.respond(487)
    record = w.record()
    assert (record.status, record.end_cause) == (504, "ack_missing")
    assert "no PRACK came to" in record.trail[-1]


def test_reliable_answers_of_the_called_side_are_acknowledged_once_and_in_order() -> None:
    """RFC 3262 4."""
    w = wire()
    up, down = w.call()
    assert "100rel" in (down.invite.get("Supported") or "")
    reliable = [("Require", "100rel"), ("RSeq", "100")]
    down.respond(183, OTHER_SDP, headers=reliable)
    down.respond(183, OTHER_SDP, headers=reliable)
    down.respond(180, headers=[("Require", "100rel"), ("RSeq", "102")])
    down.respond(180, headers=[("Require", "100rel"), ("RSeq", "101")])
    w.advance()
    racks = [each.get("RAck") for each in w.carrier.requests("PRACK")]
    assert racks == ["100 1 INVITE", "101 1 INVITE"]
    for prack in w.carrier.requests("PRACK"):
        assert prack.to.tag == down.local_tag
        w.carrier.ok(prack)
    assert w.caller.statuses() == [183, 180]
    down.respond(486)
    w.advance()
    up.ack_failure()
    assert w.record().end_cause == "busy"


def test_info_passes_with_its_body_and_its_answer() -> None:
    w = wire()
    up, down = w.talk()
    for end, other, status in ((up, down, 200), (down, up, 200), (up, down, 415)):
        body = Body("application/dtmf-relay", b"Signal=7\r\nDuration=160\r\n")
        end.request("INFO", body, headers=[("Info-Package", "dtmf")])
        w.advance()
        (info,) = other.peer.requests("INFO")[-1:]
        assert (info.body, info.get("Content-Type"), info.get("Info-Package")) == (*body[::-1], "dtmf")
        other.peer.ok(info, status)
        w.advance()
        assert end.peer.statuses("INFO")[-1] == status
    (call,) = w.switch.calls.values()
    assert call.digits == "777"
    hang_up(w, up)
    w.record()


@pytest.mark.parametrize(("first", "second"), [("INVITE", "UPDATE"), ("UPDATE", "INVITE"), ("UPDATE", "UPDATE")])
def test_reinvite_and_update_cross(first: str, second: str) -> None:
    """RFC 5407 3.3.1 and 3.3.2, RFC 3311 5.2: neither side may answer while its own offer waits."""
    w = wire()
    up, down = w.call(headers=[("Allow", "INVITE, ACK, BYE, UPDATE")])
    down.respond(200, OTHER_SDP, headers=[("Allow", "INVITE, ACK, BYE, UPDATE")])
    w.advance()
    up.ack()
    w.advance()
    up.request(first, HOLD)
    down.request(second, HOLD)
    w.advance()
    for peer, end in ((w.caller, up), (w.carrier, down)):
        for method in (first, second):
            for request in [each for each in peer.requests(method) if each.to.tag is not None]:
                end.respond(491, request=request)
    w.advance()
    assert w.caller.statuses(first)[-1] == 491
    assert w.carrier.statuses(second)[-1] == 491
    assert len(w.switch.calls) == 1
    hang_up(w, down)
    w.record()


def test_an_answer_to_a_reinvite_crosses_the_bye() -> None:
    """RFC 5407 3.2.4: the 200 is acknowledged although the call is over."""
    w = wire()
    up, down = w.talk()
    up.request("INVITE", HOLD)
    w.advance()
    offer = reinvited(down)
    down.respond(200, OTHER_SDP, request=offer)
    up.request("BYE")
    w.advance()
    assert [ack.cseq.number for ack in w.carrier.requests("ACK")] == [1, 2]
    w.carrier.ok(w.carrier.requests("BYE")[0])
    w.advance()
    assert w.record().end_cause == "normal"


# --- bodies of several parts (RFC 5621) -------------------------------------------------------------------------------


def among_others(description: Body) -> Body:
    """A description as carriers send it that speak ISUP behind their gateway (RFC 3204)."""
    isup = b"--parts\r\nContent-Type: application/isup\r\n\r\n\x01\x11\x48\r\n"
    session = b"--parts\r\nContent-Type: application/sdp\r\n\r\n" + description.content
    return Body('multipart/mixed; boundary="parts"', isup + session + b"--parts--\r\n")


def test_a_description_among_other_parts_passes_by_itself() -> None:
    w = wire()
    up, down = w.call(body=among_others(SDP))
    assert down.invite.content_type == "application/sdp"
    assert down.invite.body == SDP.content
    down.respond(200, among_others(OTHER_SDP))
    w.advance()
    assert up.answer.content_type == "application/sdp"
    assert up.answer.body == OTHER_SDP.content
    up.ack()
    w.advance()
    hang_up(w, up)
    assert w.record().status == 200


def test_parts_without_a_description_are_refused_with_what_is_taken() -> None:
    w = wire()
    isup = Body(
        "multipart/mixed;boundary=parts", b"--parts\r\nContent-Type: application/isup\r\n\r\nx\r\n--parts--\r\n"
    )
    up = w.caller.invite("135550", body=isup)
    w.advance()
    assert w.caller.statuses() == [415]
    assert "application/sdp" in (up.answer.get("Accept") or "")
    assert "multipart/mixed" in (up.answer.get("Accept") or "")
    up.ack_failure()
    w.settle()
