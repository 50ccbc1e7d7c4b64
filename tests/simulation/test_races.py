"""Races and rare paths, message by message: each ends with both legs released, one record and nothing left over.

RFC 5407 is where most of them come from; the others are those of RFC 3261 9.1, 13.2.2.4, 14 and 15 and RFC 3262.
"""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import DELAY, OTHER_SDP, RawDialog, Wire, hang_up
from simulation.test_calls import trunks
from simulation.world import HOLD, SDP

from app.calls.leg_events import Body
from app.sip.message import Request, Response


def wire(**first_trunk: Any) -> Wire:
    return Wire(trunks(**first_trunk))


# --- CANCEL -----------------------------------------------------------------------------------------------------------


def test_cancel_before_the_called_side_said_anything_waits_for_its_first_word() -> None:
    """RFC 3261 9.1: no CANCEL before a provisional response; the caller is served at once."""
    w = wire()
    up, down = w.call()
    up.cancel()
    w.advance()
    assert w.caller.statuses("CANCEL") == [200]
    assert w.caller.statuses() == [487]
    # RFC 3261 9.2: the same To tag in both.
    assert len({each.to.tag for each in w.caller.received if isinstance(each, Response)}) == 1
    up.ack_failure()
    assert not w.carrier.requests("CANCEL")
    down.respond(100)
    w.advance()
    (cancel,) = w.carrier.requests("CANCEL")
    assert cancel.via.branch == down.invite.via.branch
    assert cancel.cseq.number == down.invite.cseq.number
    w.carrier.ok(cancel)
    down.respond(487)
    w.advance()
    assert len(w.carrier.requests("ACK")) == 1
    record = w.record()
    assert (record.status, record.end_cause, record.ended_by) == (487, "cancelled", "caller")


def test_cancel_and_the_called_side_never_says_anything() -> None:
    w = wire()
    up, _down = w.call()
    up.cancel()
    w.advance()
    assert w.caller.statuses() == [487]
    up.ack_failure()
    record = w.record()
    assert not w.carrier.requests("CANCEL")
    assert record.end_cause == "cancelled"


def test_cancel_that_is_answered_by_nothing_is_given_up_after_32_seconds() -> None:
    w = wire()
    up, down = w.call()
    down.respond(180)
    w.advance()
    up.cancel()
    w.advance()
    up.ack_failure()
    assert w.carrier.requests("CANCEL")
    w.advance(31)
    assert w.switch.endpoint.dialogs
    w.advance(2)
    assert not w.switch.endpoint.dialogs
    assert w.record().end_cause == "cancelled"


def test_cancel_crosses_200_and_the_call_is_ended_by_bye() -> None:
    """RFC 5407 3.1.2 seen from the middle: the caller gets 487, the called side an ACK and a BYE."""
    w = wire()
    up, down = w.call()
    down.respond(180)
    w.advance()
    up.cancel()
    down.respond(200, OTHER_SDP)
    w.advance()
    assert w.caller.statuses() == [180, 487]
    up.ack_failure()
    assert len(w.carrier.requests("ACK")) == 1
    (bye,) = w.carrier.requests("BYE")
    assert bye.cseq.number == down.invite.cseq.number + 1
    w.carrier.ok(bye)
    record = w.record()
    assert (record.status, record.end_cause, record.ended_by) == (487, "cancelled", "caller")
    assert record.answered == 0


def test_cancel_crosses_our_200_and_changes_nothing() -> None:
    """RFC 3261 9.2: the CANCEL gets its 200, and the call is established all the same."""
    w = wire()
    up, down = w.call()
    down.respond(200, OTHER_SDP)
    w.advance(DELAY * 1.5)
    up.cancel()
    w.advance()
    assert w.caller.statuses("CANCEL") == [200]
    assert w.caller.statuses() == [200]
    up.ack()
    w.advance()
    hang_up(w, up)
    record = w.record()
    assert (record.status, record.end_cause) == (200, "normal")


def test_cancel_without_its_invite_gets_481() -> None:
    w = wire()
    up = w.caller.invite("135550")
    w.advance()
    stray = RawDialog(w.caller, up.make("INVITE", SDP), caller=True) if w.caller.responses() else up
    branch = w.caller.via()
    cancel = Request("CANCEL", up.invite.uri_text, [("Via", branch), *up.invite.headers[1:]])
    cancel.replace("CSeq", "1 CANCEL")
    cancel.remove("Content-Type")
    w.caller.send(cancel)
    w.advance()
    assert stray is up
    assert w.caller.statuses("CANCEL") == [481]
    w.carrier.incoming().respond(486)
    w.advance()
    up.ack_failure()
    assert w.record().end_cause == "busy"


def test_a_bye_of_the_caller_before_the_answer_counts_as_cancel() -> None:
    """RFC 3261 15, RFC 5407 3.1.3."""
    w = wire()
    up, down = w.call()
    down.respond(180)
    w.advance()
    up.request("BYE")
    w.advance()
    assert w.caller.statuses("BYE") == [200]
    assert w.caller.statuses() == [180, 487]
    up.ack_failure()
    w.carrier.ok(w.carrier.requests("CANCEL")[0])
    down.respond(487)
    record = w.record()
    assert (record.end_cause, record.ended_by) == ("cancelled", "caller")


def test_cancel_while_the_next_trunk_is_being_dialled() -> None:
    w = wire(next_trunk_id=2)
    up, down = w.call()
    down.respond(503)
    w.advance(DELAY * 1.5)
    up.cancel()
    w.advance()
    assert w.caller.statuses() == [487]
    up.ack_failure()
    second = w.backup.incoming()
    second.respond(100)
    w.advance()
    w.backup.ok(w.backup.requests("CANCEL")[0])
    second.respond(487)
    record = w.record()
    assert [attempt.target for attempt in record.attempts] == ["trunk:1", "trunk:2"]
    assert (record.status, record.end_cause) == (487, "cancelled")


# --- answers ----------------------------------------------------------------------------------------------------------


def test_a_lost_100_and_a_slow_trunk() -> None:
    """RFC 3261 17.2.1: without an answer within 200 ms the caller gets a 100, and again for each repetition."""
    w = wire(first_response_timeout=20)
    up, down = w.call()
    w.advance(0.3)
    assert [each.status for each in w.caller.responses(above=99)] == [100]
    w.caller.send(up.invite)
    w.advance()
    assert [each.status for each in w.caller.responses(above=99)] == [100, 100]
    assert len(w.carrier.requests("INVITE")) == 1
    w.advance(3)
    assert len(w.carrier.requests("INVITE")) > 1
    down.respond(200, OTHER_SDP)
    w.advance()
    up.ack()
    w.advance()
    hang_up(w, down)
    record = w.record()
    assert (record.end_cause, record.ended_by) == ("normal", "called")


def test_provisional_answers_after_the_final_one_are_ignored() -> None:
    w = wire()
    _up, down = w.talk()
    down.respond(180)
    down.respond(183, SDP)
    w.advance()
    assert w.caller.statuses() == [200]
    (call,) = w.switch.calls.values()
    assert call.state == "talking"
    hang_up(w, down)
    w.record()


def test_every_provisional_answer_reaches_the_caller_in_order() -> None:
    w = wire()
    up, down = w.call()
    for status, body in ((180, None), (183, OTHER_SDP), (182, None), (180, None), (181, None)):
        down.respond(status, body)
        w.advance()
    assert w.caller.statuses() == [180, 183, 182, 180, 181]
    assert [each.body for each in w.caller.responses()][1] == OTHER_SDP.content
    tags = {each.to.tag for each in w.caller.responses()}
    assert len(tags) == 1
    assert None not in tags
    down.respond(199)
    w.advance()
    assert len(w.caller.statuses()) == 5
    down.respond(486)
    w.advance()
    up.ack_failure()
    assert w.record().status == 486


def test_bodies_pass_byte_for_byte() -> None:
    odd = Body("application/sdp", b"v=0\r\nx-odd: \x00\xff\xfe trailing  \n\n\r\nm=audio 1 RTP/AVP 0 8 101")
    odd_answer = Body("application/sdp;charset=utf-8", odd.content[::-1])
    w = wire()
    up, down = w.call(body=odd)
    assert down.invite.body == odd.content
    assert down.invite.get("Content-Type") == "application/sdp"
    down.respond(200, odd_answer)
    w.advance()
    assert up.answer.body == odd_answer.content
    assert up.answer.get("Content-Type") == odd_answer.content_type
    up.ack()
    w.advance()
    hang_up(w, up)
    w.record()


def test_the_200_is_repeated_until_its_ack_and_not_after() -> None:
    """RFC 3261 13.3.1.4: 0.5, 1, 2, 4, 4 ... seconds, for 32 seconds."""
    w = wire()
    up, down = w.call()
    down.respond(200, OTHER_SDP)
    w.advance(4)
    assert w.caller.statuses() == [200] * 4
    up.ack()
    w.advance(10)
    assert len(w.caller.statuses()) == 4
    hang_up(w, up)
    assert w.record().end_cause == "normal"


def test_a_lost_ack_ends_the_call_after_32_seconds_with_bye_to_both() -> None:
    w = wire()
    _up, down = w.call()
    down.respond(200, OTHER_SDP)
    w.advance(31)
    assert not w.caller.requests("BYE")
    w.advance(2)
    (bye,) = w.caller.requests("BYE")[:1]
    assert "ACK" in (bye.get("Reason") or "")
    w.caller.ok(bye)
    w.carrier.ok(w.carrier.requests("BYE")[0])
    record = w.record()
    assert (record.end_cause, record.ended_by) == ("ack_missing", "server")


def test_no_bye_goes_out_before_the_ack() -> None:
    """RFC 3261 15: the called side must not send BYE before the ACK; here it hangs up while the ACK is on its way."""
    w = wire()
    up, down = w.call()
    down.respond(200, OTHER_SDP)
    w.advance(DELAY * 1.5)
    down.request("BYE")
    w.advance()
    assert w.carrier.statuses("BYE") == [200]
    assert not w.caller.requests("BYE")
    assert not w.switch.calls
    w.advance(1)
    assert w.caller.statuses() == [200, 200]
    up.ack()
    w.advance()
    (bye,) = w.caller.requests("BYE")
    w.caller.ok(bye)
    w.advance()
    assert not w.switch.endpoint.dialogs
    record = w.record()
    assert (record.end_cause, record.ended_by) == ("normal", "called")


def test_a_bye_that_waits_for_an_ack_that_never_comes() -> None:
    w = wire()
    _up, down = w.call()
    down.respond(200, OTHER_SDP)
    w.advance(DELAY * 1.5)
    down.request("BYE")
    w.advance(33)
    assert len(w.caller.requests("BYE")) >= 1
    assert w.record().end_cause == "normal"


def test_the_caller_hangs_up_without_acknowledging() -> None:
    """RFC 5407 3.1.6: BYE overtakes the ACK."""
    w = wire()
    up, down = w.call()
    down.respond(200, OTHER_SDP)
    w.advance()
    up.request("BYE")
    w.advance()
    assert w.caller.statuses("BYE") == [200]
    w.carrier.ok(w.carrier.requests("BYE")[0])
    up.ack()
    w.advance(2)
    assert w.caller.statuses() == [200]
    assert w.record().end_cause == "normal"


def test_both_hang_up_while_the_ack_is_missing() -> None:
    w = wire()
    up, down = w.call()
    down.respond(200, OTHER_SDP)
    w.advance()
    down.request("BYE")
    up.request("BYE")
    w.advance()
    assert w.carrier.statuses("BYE") == [200]
    assert w.caller.statuses("BYE") == [200]
    assert not w.caller.requests("BYE")
    assert not w.switch.endpoint.dialogs
    assert w.record().end_cause == "normal"


def test_a_repeated_200_gets_its_ack_again() -> None:
    w = wire()
    up, down = w.talk()
    down.respond(200, OTHER_SDP)
    down.respond(200, OTHER_SDP)
    w.advance()
    acks = w.carrier.requests("ACK")
    assert len(acks) == 3
    assert len({ack.via.branch for ack in acks}) == 1
    hang_up(w, up)
    w.record()


def test_the_200s_of_a_forking_peer_but_the_first_get_ack_and_bye() -> None:
    """RFC 3261 13.2.2.4."""
    w = wire()
    up, down = w.call()
    down.respond(180, tag="one")
    down.respond(180, tag="two")
    w.advance()
    down.respond(200, OTHER_SDP, tag="two")
    w.advance()
    up.ack()
    down.respond(200, SDP, tag="one", user="first")
    down.respond(200, SDP, tag="three", user="third")
    down.respond(200, SDP, tag="one", user="first")
    w.advance()
    assert w.caller.statuses() == [180, 180, 200]
    acks = [ack.to.tag for ack in w.carrier.requests("ACK")]
    assert sorted(tag or "" for tag in acks) == ["one", "one", "three", "two"]
    byes = {bye.to.tag: bye for bye in w.carrier.requests("BYE")}
    assert sorted(tag or "" for tag in byes) == ["one", "three"]
    assert byes["one"].uri_text == "sip:first@192.0.2.8:5060"
    # Their own BYEs do not touch the call.
    for tag in ("one", "three"):
        w.carrier.ok(byes[tag])
        other = RawDialog(w.carrier, down.invite, caller=False)
        other.local_tag = tag
        other.request("BYE")
    w.advance()
    assert w.carrier.statuses("BYE") == [481, 481]
    assert len(w.switch.calls) == 1
    down.local_tag = "two"
    hang_up(w, down)
    record = w.record()
    assert (record.status, record.end_cause, record.ended_by) == (200, "normal", "called")


def test_a_late_200_of_an_abandoned_trunk_is_acknowledged_and_ended() -> None:
    """first_response_timeout moved on to the next trunk; the first one answers after all."""
    w = wire(next_trunk_id=2, first_response_timeout=2)
    up, down = w.call()
    w.advance(2.1)
    second = w.backup.incoming()
    second.respond(200, OTHER_SDP)
    w.advance()
    up.ack()
    down.respond(200, SDP)
    w.advance()
    assert w.caller.statuses() == [200]
    assert len(w.carrier.requests("ACK")) == 1
    (bye,) = w.carrier.requests("BYE")
    w.carrier.ok(bye)
    w.advance()
    assert len(w.switch.calls) == 1
    assert w.switch.counters.total == 2
    up.request("BYE")
    w.advance()
    w.backup.ok(w.backup.requests("BYE")[0])
    record = w.record()
    assert record.target == "trunk:2"
    assert [(attempt.target, attempt.status) for attempt in record.attempts] == [("trunk:1", 0), ("trunk:2", 200)]


def test_a_late_180_of_an_abandoned_trunk_is_cancelled() -> None:
    w = wire(next_trunk_id=2, first_response_timeout=2)
    up, down = w.call()
    w.advance(2.1)
    down.respond(180)
    w.advance()
    (cancel,) = w.carrier.requests("CANCEL")
    w.carrier.ok(cancel)
    down.respond(487)
    w.advance()
    assert w.caller.statuses() == []
    w.backup.incoming().respond(603)
    w.advance()
    up.ack_failure()
    record = w.record()
    assert (record.status, record.end_cause) == (603, "rejected")


def test_a_final_answer_that_comes_twice_is_acknowledged_twice() -> None:
    w = wire()
    up, down = w.call()
    down.respond(486)
    down.respond(486)
    w.advance()
    assert len(w.carrier.requests("ACK")) == 2
    assert w.caller.statuses() == [486]
    up.ack_failure()
    assert w.record().end_cause == "busy"


def test_a_200_after_a_failure_is_ignored() -> None:
    w = wire()
    up, down = w.call()
    down.respond(486)
    w.advance()
    down.respond(200, SDP)
    w.advance()
    up.ack_failure()
    assert w.caller.statuses() == [486]
    assert w.record().end_cause == "busy"


def test_a_failure_that_is_never_acknowledged_leaves_nothing() -> None:
    w = wire()
    _up, down = w.call()
    down.respond(486)
    w.advance(40)
    assert len(set(w.caller.statuses())) == 1
    assert len(w.caller.statuses()) > 5
    assert w.record().end_cause == "busy"


@pytest.mark.parametrize(
    ("answer", "told"), [(401, 403), (407, 403), (302, 480), (422, 500), (420, 500), (488, 488), (600, 600)]
)
def test_what_only_we_could_answer_is_not_passed_on(answer: int, told: int) -> None:
    w = wire()
    up, down = w.call()
    down.respond(answer, headers=[("Min-SE", "90000")] if answer == 422 else [])
    w.advance()
    assert w.caller.statuses() == [told]
    up.ack_failure()
    record = w.record()
    assert record.status == told
    assert record.attempts[-1].status == answer


def test_an_invite_without_contact_is_refused_and_reaches_nobody() -> None:
    w = wire()
    w.caller.invite("135550", contact=False)
    w.advance()
    assert w.caller.statuses() == [400]
    w.settle()
    assert not w.carrier.received
    assert not w.world.recorder.ended


def test_the_same_invite_by_two_ways_is_one_call() -> None:
    """RFC 3261 8.2.2.2: a proxy before us forked, and both branches came here."""
    w = wire()
    up, down = w.call()
    twin = w.caller.invite("135550", like=up)
    w.advance()
    assert [each.status for each in w.caller.responses() if each.via.branch == twin.invite.via.branch] == [482]
    assert len(w.carrier.requests("INVITE")) == 1
    down.respond(486)
    w.advance()
    up.ack_failure()
    assert w.record().end_cause == "busy"


# --- hanging up -------------------------------------------------------------------------------------------------------


def test_bye_crosses_bye() -> None:
    """RFC 5407 3.2.1."""
    w = wire()
    up, down = w.talk()
    up.request("BYE")
    down.request("BYE")
    w.advance()
    assert w.caller.statuses("BYE") == [200]
    assert w.carrier.statuses("BYE") == [200]
    for peer in (w.caller, w.carrier):
        for bye in peer.requests("BYE"):
            peer.ok(bye)
    record = w.record()
    assert (record.end_cause, record.status) == ("normal", 200)


def test_a_bye_that_is_repeated_gets_its_answer_again() -> None:
    w = wire()
    up, _down = w.talk()
    bye = up.request("BYE")
    w.advance()
    w.caller.send(bye)
    w.advance()
    assert w.caller.statuses("BYE") == [200, 200]
    assert w.record().end_cause == "normal"


def test_a_bye_of_an_old_number_is_out_of_order() -> None:
    w = wire()
    up, _down = w.talk()
    up.request("INFO")
    w.advance()
    w.carrier.ok(w.carrier.requests("INFO")[0])
    up.request("BYE", cseq=1)
    w.advance()
    assert w.caller.statuses("BYE") == [500]
    assert len(w.switch.calls) == 1
    hang_up_again = up.request("BYE", cseq=9)
    w.advance()
    assert hang_up_again.cseq.number == 9
    assert w.record().end_cause == "normal"


def test_bye_crosses_reinvite() -> None:
    """RFC 5407 3.2.2: the re-INVITE that crosses the BYE gets 481."""
    w = wire()
    up, down = w.talk()
    down.request("BYE")
    up.request("INVITE", HOLD)
    w.advance()
    assert w.carrier.statuses("BYE") == [200]
    assert [each.status for each in w.caller.responses() if each.cseq.number == 2] in ([481], [487])
    for bye in w.caller.requests("BYE"):
        w.caller.ok(bye)
    w.caller.world.advance(1)
    assert w.record().end_cause == "normal"


def test_bye_of_the_side_that_is_being_reinvited() -> None:
    """A re-INVITE waits at the other side, which hangs up instead of answering it."""
    w = wire()
    up, down = w.talk()
    up.request("INVITE", HOLD)
    w.advance()
    reinvite = w.carrier.requests("INVITE")[-1]
    assert reinvite.to.tag == down.local_tag
    down.request("BYE")
    w.advance()
    assert [each.status for each in w.caller.responses() if each.cseq.number == 2] == [487]
    down.respond(487, request=reinvite)
    for bye in w.caller.requests("BYE"):
        w.caller.ok(bye)
    assert w.record().end_cause == "normal"


def test_bye_of_the_side_that_reinvites() -> None:
    """RFC 3261 15.1.2: the pending re-INVITE gets 487; the other side's answer to it is acknowledged."""
    w = wire()
    up, down = w.talk()
    up.request("INVITE", HOLD)
    w.advance()
    reinvite = w.carrier.requests("INVITE")[-1]
    up.request("BYE")
    w.advance()
    assert [each.status for each in w.caller.responses() if each.cseq.number == 2] == [487]
    (bye,) = w.carrier.requests("BYE")
    down.respond(200, OTHER_SDP, request=reinvite)
    w.carrier.ok(bye)
    w.advance()
    assert [ack.cseq.number for ack in w.carrier.requests("ACK")] == [1, reinvite.cseq.number]
    assert len(w.carrier.requests("BYE")) == 1
    assert w.record().end_cause == "normal"


@pytest.mark.parametrize("word", [(), (100,), (100, 481)])
def test_a_reinvite_that_is_never_answered_leaves_nothing_after_the_call(word: tuple[int, ...]) -> None:
    w = wire()
    up, down = w.talk()
    up.request("INVITE", HOLD)
    w.advance()
    reinvite = w.carrier.requests("INVITE")[-1]
    for status in word[:1]:
        down.respond(status, request=reinvite)
    w.advance()
    up.request("BYE")
    w.advance()
    for status in word[1:]:
        down.respond(status, request=reinvite)
    w.advance()
    assert len({bye.cseq.number for bye in w.carrier.requests("BYE")}) == 1
    assert w.record().end_cause == "normal"


def test_a_dead_called_side_is_found_by_the_missing_answer_to_bye() -> None:
    w = wire()
    up, _down = w.talk()
    up.request("BYE")
    w.advance(40)
    assert len(w.carrier.requests("BYE")) > 5
    assert not w.switch.endpoint.dialogs
    assert w.record().end_cause == "normal"


def test_the_invite_comes_again_after_its_200() -> None:
    """RFC 5407 3.1.1, RFC 6026 7.1: it is absorbed; the 200 goes on being repeated by itself."""
    w = wire()
    up, down = w.call()
    down.respond(200, OTHER_SDP)
    w.advance()
    w.caller.send(up.invite)
    w.advance(0.1)
    assert w.caller.statuses() == [200]
    assert len(w.switch.calls) == 1
    w.advance(0.5)
    assert w.caller.statuses() == [200, 200]
    up.ack()
    w.advance()
    hang_up(w, up)
    assert w.record().status == 200


def test_the_reason_of_a_bye_passes() -> None:
    """RFC 3326."""
    for reason in ('Q.850;cause=16;text="Normal call clearing"', ""):
        w = wire()
        up, down = w.talk()
        up.request("BYE", headers=[("Reason", reason)] if reason else [])
        w.advance()
        (bye,) = down.peer.requests("BYE")
        assert (bye.get("Reason") or "") == reason
        w.carrier.ok(bye)
        w.record()


def test_the_reason_of_a_cancel_passes() -> None:
    w = wire()
    up, down = w.call()
    down.respond(180)
    w.advance()
    cancel = Request(
        "CANCEL",
        up.invite.uri_text,
        [
            *[header for header in up.invite.headers if header[0] in ("Via", "From", "To", "Call-ID", "Max-Forwards")],
            ("CSeq", "1 CANCEL"),
            ("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),
        ],
    )
    w.caller.send(cancel)
    w.advance()
    (passed,) = w.carrier.requests("CANCEL")
    assert passed.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    up.ack_failure()
    w.carrier.ok(passed)
    down.respond(487)
    w.record()


def test_a_request_after_the_end_gets_481() -> None:
    """RFC 5407 3.2.3: whatever comes while the dialog is dying, but a BYE."""
    w = wire()
    up, down = w.talk()
    up.request("BYE")
    w.advance()
    for method, status in (("INFO", 481), ("INVITE", 481), ("OPTIONS", 481), ("BYE", 200)):
        down.request(method)
        w.advance()
        assert w.carrier.statuses(method)[-1] == status, method
    assert w.record().end_cause == "normal"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Contact", "<sip:callee@192.0.2.10:0>"),
        ("Contact", "nonsense <"),
        ("Contact", "<tel:135550>"),
        ("Record-Route", "<sip:"),
    ],
)
def test_an_answer_whose_contact_or_route_cannot_be_used_is_an_answer(name: str, value: str) -> None:
    """RFC 3261 12.1.2 wants a Contact; a call that can go on by the address that was called is better than none."""
    w = wire()
    up, down = w.call()
    answer = down.invite.answer(200, None, down.local_tag, [(name, value)], SDP.content)
    answer.add("Content-Type", SDP.content_type)
    w.carrier.send(answer)
    w.advance()
    assert up.answer.status == 200
    up.ack()
    w.advance()
    assert [ack.body for ack in w.carrier.requests("ACK")] == [b""]
    up.request("BYE")
    w.advance()
    (bye,) = w.carrier.requests("BYE")
    w.carrier.ok(bye)
    record = w.record()
    assert (record.status, record.end_cause) == (200, "normal")
