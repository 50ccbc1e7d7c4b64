"""Offers between the first reliable answer and the final one (RFC 3311 5.1, RFC 3262 5): bridged, refused, crossed."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import DELAY, OTHER_SDP, RawDialog, RawPeer, Wire, hang_up
from simulation.relayed import RelayedWire, audio
from simulation.test_calls import trunks
from simulation.world import HOLD, SDP

from app.calls.leg_events import Body
from app.sip.message import Request

ALLOW = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK")
NEW_OFFER = Body(SDP.content_type, SDP.content.replace(b"4000", b"4444"))
NEW_ANSWER = Body(SDP.content_type, OTHER_SDP.content.replace(b"5000", b"5555"))


def prack(up: RawDialog, body: Body | None = None) -> Request:
    """Acknowledge the newest reliable response, with an offer if one is given."""
    return up.request("PRACK", body, headers=[("RAck", f"{up.answer.get('RSeq')} 1 INVITE")])


def early_media(*, acknowledge: bool = True, **trunk: Any) -> tuple[Wire, RawDialog, RawDialog]:
    """A call that rings, whose first offer and answer have passed reliably on both legs."""
    w = Wire(trunks(**trunk))
    up, down = w.call(headers=(("Supported", "100rel"), ALLOW))
    down.respond(183, OTHER_SDP, headers=[("Require", "100rel"), ("RSeq", "7"), ALLOW])
    w.advance()
    w.carrier.ok(w.carrier.requests("PRACK")[0])
    assert up.answer.body == OTHER_SDP.content
    assert "UPDATE" in (up.answer.get("Allow") or "")
    if acknowledge:
        prack(up)
        w.advance()
        assert w.caller.statuses("PRACK") == [200]
    return w, up, down


def answered(w: Wire, up: RawDialog, down: RawDialog, body: Body | None = None) -> None:
    """The called side answers, the caller acknowledges and hangs up; one record, nothing left."""
    down.respond(200, body)
    w.advance()
    assert up.answer.status == 200
    up.ack()
    w.advance()
    hang_up(w, up)
    assert w.record().end_cause == "normal"


def refused(w: Wire, up: RawDialog, down: RawDialog) -> None:
    """The called side is busy; one record, nothing left."""
    down.respond(486)
    w.advance()
    assert up.answer.status == 486
    up.ack_failure()
    assert w.record().end_cause == "busy"


@pytest.mark.parametrize("repeated", [None, OTHER_SDP], ids=["", "the 200 repeats the old answer"])
def test_an_update_of_the_caller_reaches_the_called_side_and_its_answer_comes_back(repeated: Body | None) -> None:
    w, up, down = early_media()
    up.request("UPDATE", NEW_OFFER)
    w.advance()
    (update,) = w.carrier.requests("UPDATE")
    assert update.body == NEW_OFFER.content
    assert update.to.tag == down.local_tag
    assert w.caller.statuses("UPDATE") == []
    down.respond(200, NEW_ANSWER, request=update)
    w.advance()
    (answer,) = w.caller.responses("UPDATE")
    assert (answer.status, answer.body) == (200, NEW_ANSWER.content)
    answered(w, up, down, repeated)
    # What was agreed on before is not agreed on again, least of all on what is old by now.
    assert [each.body for each in w.caller.responses() if each.status == 200] == [b""]


def test_an_update_of_the_called_side_reaches_the_caller_and_its_answer_comes_back() -> None:
    w, up, down = early_media()
    down.request("UPDATE", NEW_ANSWER)
    w.advance()
    (update,) = w.caller.requests("UPDATE")
    assert update.body == NEW_ANSWER.content
    assert update.from_.tag == up.answer.to.tag
    up.respond(200, NEW_OFFER, request=update)
    w.advance()
    (answer,) = w.carrier.responses("UPDATE")
    assert (answer.status, answer.body) == (200, NEW_OFFER.content)
    answered(w, up, down)


def test_an_offer_in_a_prack_goes_on_as_update_and_its_answer_comes_in_the_200() -> None:
    w, up, down = early_media(acknowledge=False)
    prack(up, NEW_OFFER)
    w.advance()
    (update,) = w.carrier.requests("UPDATE")
    assert update.body == NEW_OFFER.content
    assert w.caller.statuses("PRACK") == []
    down.respond(200, NEW_ANSWER, request=update)
    w.advance()
    (answer,) = w.caller.responses("PRACK")
    assert (answer.status, answer.body, answer.get("Content-Type")) == (200, NEW_ANSWER.content, SDP.content_type)
    answered(w, up, down)


@pytest.mark.parametrize("called", ["refuses it", "takes no UPDATE", "answers the call first"])
def test_an_offer_in_a_prack_gets_200_whatever_becomes_of_it(called: str) -> None:
    """RFC 3262 3: a PRACK that acknowledges something gets a 2xx; the answer says what held before."""
    w = Wire(trunks())
    up, down = w.call(headers=(("Supported", "100rel"), ALLOW))
    allow = ("Allow", "INVITE, ACK, BYE") if called == "takes no UPDATE" else ALLOW
    down.respond(183, OTHER_SDP, headers=[("Require", "100rel"), ("RSeq", "7"), allow])
    w.advance()
    if called == "answers the call first":
        down.respond(200)
        w.advance()
    prack(up, NEW_OFFER)
    w.advance()
    if called == "refuses it":
        down.respond(488, request=w.carrier.requests("UPDATE")[0])
        w.advance()
    (answer,) = w.caller.responses("PRACK")
    assert (answer.status, answer.body) == (200, OTHER_SDP.content)
    if called == "answers the call first":
        up.ack()
        w.advance()
        hang_up(w, down)
        assert w.record().status == 200
    else:
        answered(w, up, down)


def test_a_refused_update_leaves_everything_as_it_was() -> None:
    w, up, down = early_media()
    for end, other in ((up, down), (down, up)):
        end.request("UPDATE", NEW_OFFER)
        w.advance()
        other.respond(488, request=other.peer.requests("UPDATE")[-1])
        w.advance()
        assert end.peer.statuses("UPDATE")[-1] == 488
    answered(w, up, down)


def test_updates_that_cross_get_491() -> None:
    """RFC 3311 5.2."""
    w, up, down = early_media()
    up.request("UPDATE", NEW_OFFER)
    down.request("UPDATE", NEW_ANSWER)
    w.advance()
    for end in (up, down):
        for update in end.peer.requests("UPDATE"):
            end.respond(491, request=update)
    w.advance()
    assert w.caller.statuses("UPDATE") == [491]
    assert w.carrier.statuses("UPDATE") == [491]
    answered(w, up, down)


@pytest.mark.parametrize("missing", ["caller's PRACK", "caller's 100rel", "called side's 100rel"])
def test_without_a_reliable_answer_no_offer_passes(missing: str) -> None:
    """RFC 3311 5.2: 500 while there is no answer yet, 491 where the other side cannot be asked; never an end."""
    reliable_up = [("Supported", "100rel")] if missing != "caller's 100rel" else []
    reliable_down = [("Require", "100rel"), ("RSeq", "7")] if missing != "called side's 100rel" else []
    w = Wire(trunks())
    up, down = w.call(headers=(*reliable_up, ALLOW))
    down.respond(183, OTHER_SDP, headers=[*reliable_down, ALLOW])
    w.advance()
    if missing not in ("caller's 100rel", "caller's PRACK"):
        prack(up)
        w.advance()
    up.request("UPDATE", NEW_OFFER)
    w.advance()
    down.request("UPDATE", NEW_ANSWER)
    w.advance()
    assert w.caller.statuses("UPDATE")[-1] in (491, 500)
    assert w.carrier.statuses("UPDATE")[-1] in (491, 500)
    assert not w.carrier.requests("UPDATE")
    assert not w.caller.requests("UPDATE")
    refused(w, up, down)


def test_the_answer_of_the_call_waits_for_the_exchange_under_way() -> None:
    for by_caller in (True, False):
        w, up, down = early_media()
        (up if by_caller else down).request("UPDATE", NEW_OFFER)
        w.advance()
        other = down if by_caller else up
        down.respond(200)
        w.advance()
        assert 200 not in w.caller.statuses()
        other.respond(200, NEW_ANSWER, request=other.peer.requests("UPDATE")[0])
        w.advance()
        assert w.caller.statuses()[-1] == 200
        up.ack()
        w.advance()
        hang_up(w, up)
        assert w.record().status == 200


def test_cancel_while_an_early_offer_waits() -> None:
    w, up, down = early_media()
    up.request("UPDATE", NEW_OFFER)
    w.advance()
    up.cancel()
    w.advance()
    assert w.caller.statuses("UPDATE") == [487]
    assert w.caller.statuses()[-1] == 487
    up.ack_failure()
    w.carrier.ok(w.carrier.requests("CANCEL")[0])
    down.respond(487, request=w.carrier.requests("UPDATE")[0])
    down.respond(487)
    assert w.record().end_cause == "cancelled"


@pytest.mark.parametrize("by_caller", [True, False])
def test_the_called_side_refuses_the_call_while_an_early_offer_waits(by_caller: bool) -> None:
    w, up, down = early_media()
    (up if by_caller else down).request("UPDATE", NEW_OFFER)
    w.advance()
    refused(w, up, down)
    assert (w.caller if by_caller else w.carrier).statuses("UPDATE") == [487]


def offer_to_one_that_forgot(w: Wire, side: RawDialog, other: RawPeer) -> None:
    """One side makes an early offer; the other one knows nothing of the dialog."""
    side.request("UPDATE", NEW_OFFER)
    w.advance()
    other.ok(other.requests("UPDATE")[0], 481)
    w.advance()


def test_a_caller_that_is_gone_is_found_by_an_early_offer() -> None:
    w, up, down = early_media()
    offer_to_one_that_forgot(w, down, w.caller)
    assert up.answer.status == 480
    up.ack_failure()
    assert w.carrier.requests("CANCEL")
    down.respond(487)
    assert w.record().end_cause == "error"


def test_a_called_side_that_knows_nothing_of_an_early_offer_may_still_answer_the_call() -> None:
    w, up, down = early_media()
    offer_to_one_that_forgot(w, up, w.carrier)
    assert w.caller.statuses("UPDATE") == [500]
    answered(w, up, down)


def test_another_fork_answers_than_the_one_that_was_made_an_offer() -> None:
    w, up, down = early_media()
    up.request("UPDATE", NEW_OFFER)
    w.advance()
    down.respond(200, NEW_ANSWER, tag="another")
    w.advance()
    assert w.caller.statuses("UPDATE") == [500]
    # What the caller has is the description of the one that has lost: it is offered the other one's (RFC 3311 5.1).
    assert up.answer.status == 183
    (offer,) = w.caller.requests("UPDATE")
    assert offer.body == NEW_ANSWER.content
    up.respond(200, SDP, request=offer)
    w.advance()
    assert (up.answer.status, up.answer.body) == (200, b"")
    assert not [each for each in w.carrier.requests("INVITE") if each.to.tag]
    up.ack()
    w.advance()
    down.local_tag = "another"
    hang_up(w, up)
    assert w.record().status == 200


def test_the_next_trunk_gets_the_description_that_holds_now() -> None:
    w, up, down = early_media(next_trunk_id=2, failover_after_ringing=True)
    up.request("UPDATE", NEW_OFFER)
    w.advance()
    down.respond(200, NEW_ANSWER, request=w.carrier.requests("UPDATE")[0])
    w.advance()
    up.request("UPDATE", HOLD)
    w.advance(DELAY * 2.5)
    down.respond(503)
    w.advance()
    assert w.caller.statuses("UPDATE") == [200, 500]
    second = w.backup.incoming()
    assert second.invite.body == NEW_OFFER.content
    second.respond(486)
    w.advance()
    up.ack_failure()
    assert w.record().end_cause == "busy"


def test_an_update_without_offer_is_answered_on_its_own_leg() -> None:
    """RFC 3311 5.2: it only refreshes the target."""
    w, up, down = early_media()
    up.request("UPDATE")
    down.request("UPDATE")
    w.advance()
    assert w.caller.statuses("UPDATE") == [200]
    assert w.carrier.statuses("UPDATE") == [200]
    answered(w, up, down)


def test_relayed_early_offers_show_each_side_our_ports_only() -> None:
    w = RelayedWire(trunks(relay_media="yes"))
    caller, called = audio("192.0.2.7"), audio("192.0.2.8", 5000)
    up, down = w.call(headers=(("Supported", "100rel"), ALLOW), body=caller)
    down.respond(183, called, headers=[("Require", "100rel"), ("RSeq", "7"), ALLOW])
    w.advance()
    prack(up)
    w.advance()
    for end, other, offer, answer in ((up, down, caller, called), (down, up, called, caller)):
        for connection in ("0.0.0.0", ""):
            end.request("UPDATE", audio(end.peer.host, connection=connection) if connection else offer)
            w.advance()
            update = other.peer.requests("UPDATE")[-1]
            other.respond(200, answer, request=update)
            w.advance()
            for body in (update.body, end.peer.responses("UPDATE")[-1].body):
                assert b"m=audio 2" in body
                assert b"192.0.2." not in body
    # The final answer repeats the first one, which is old by now.
    down.respond(200, called)
    w.advance()
    assert (up.answer.status, up.answer.body) == (200, b"")
    up.ack()
    w.advance()
    hang_up(w, up)
    assert w.record().end_cause == "normal"
