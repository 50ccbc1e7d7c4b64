"""Early dialogs of a forking peer and of several phones: offers pass in one of them, and whoever answers is joined.

RFC 3261 13.2.2.4, RFC 3262 5, RFC 3311 5, RFC 6337 2. Each flow ends with both legs released and one record.
"""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import OTHER_SDP, RawDialog, RawPeer, Wire, hang_up
from simulation.relayed import RelayedWire, audio
from simulation.test_calls import trunks
from simulation.test_early_answers import FAILS_OVER, MUST, OTHER_OFFER, finish, offered, reinvite, reliably
from simulation.test_early_offers import ALLOW, NEW_ANSWER, NEW_OFFER, early_media, prack
from simulation.test_phones import DESK, KITCHEN, cancelled, document
from simulation.world import SDP

from app.calls.leg_events import Body

TAKES_UPDATE = (("Supported", "100rel"), ALLOW)
SECOND_SDP = OTHER_OFFER
"""What the other early dialog says."""
SAME_AGAIN = Body(SDP.content_type, SDP.content.replace(b"o=- 1 1", b"o=- 1 2"))
"""What the caller has said already, with a new version."""


def fork_of(down: RawDialog) -> RawDialog:
    """Another phone behind the same peer."""
    return RawDialog(down.peer, down.invite, caller=False)


def forked(*, update: bool = True, **trunk: Any) -> tuple[Wire, RawDialog, RawDialog, RawDialog]:
    """The caller has the description of the first early dialog for good; the second one has described its own."""
    if update:
        w, up, one = early_media(**trunk)
    else:
        w = Wire(trunks(**trunk))
        up, one = w.call(headers=TAKES_UPDATE[:1])
        reliably(one, 183, OTHER_SDP)
        w.advance()
        prack(up)
        w.advance()
    two = fork_of(one)
    reliably(two, 183, SECOND_SDP, number=100)
    w.advance()
    assert up.answer.body == b""
    for request in w.carrier.requests("PRACK"):
        w.carrier.ok(request)
    return w, up, one, two


def ends(w: Wire, up: RawDialog, winner: RawDialog) -> None:
    """The call is acknowledged and the caller hangs up."""
    up.ack()
    w.advance()
    hang_up(w, up)
    assert winner.peer.requests("BYE")[-1].to.tag == winner.local_tag
    record = w.record()
    assert (record.status, record.end_cause) == (200, "normal")


# --- a forking peer ---------------------------------------------------------------------------------------------------


def test_offers_pass_between_the_caller_and_the_dialog_whose_description_it_has() -> None:
    w, up, one, two = forked()
    up.request("UPDATE", NEW_OFFER)
    w.advance()
    (update,) = w.carrier.requests("UPDATE")
    assert update.to.tag == one.local_tag
    one.respond(200, NEW_ANSWER, request=update)
    w.advance()
    assert [(each.status, each.body) for each in w.caller.responses("UPDATE")] == [(200, NEW_ANSWER.content)]
    one.request("UPDATE", OTHER_SDP)
    w.advance()
    (update,) = w.caller.requests("UPDATE")
    up.respond(200, SDP, request=update)
    w.advance()
    assert w.carrier.responses("UPDATE")[-1].body == SDP.content
    one.respond(200)
    w.advance()
    assert (up.answer.status, up.answer.body) == (200, b"")
    ends(w, up, one)
    assert two.local_tag != one.local_tag


def test_offers_of_another_dialog_are_put_off() -> None:
    """RFC 3311 5.2: never an end, never an answer that is not meant for it."""
    w, up, one, two = forked()
    two.request("UPDATE", NEW_ANSWER)
    w.advance()
    (refusal,) = w.carrier.responses("UPDATE")
    assert refusal.status == 500
    assert 0 <= int(refusal.get("Retry-After") or "99") <= 10
    assert not w.caller.requests("UPDATE")
    two.request("UPDATE")
    w.advance()
    assert w.carrier.statuses("UPDATE") == [500, 200]
    one.respond(486)
    w.advance()
    up.ack_failure()
    assert w.record().end_cause == "busy"


@pytest.mark.parametrize("says", ["the same", "something new"])
def test_another_dialog_answers_and_the_caller_is_offered_its_description(says: str) -> None:
    w, up, _one, two = forked()
    two.respond(200, SECOND_SDP)
    w.advance()
    (update,) = w.caller.requests("UPDATE")
    assert update.body == SECOND_SDP.content
    assert 200 not in w.caller.statuses()
    up.respond(200, SAME_AGAIN if says == "the same" else NEW_OFFER, request=update)
    w.advance()
    assert (up.answer.status, up.answer.body) == (200, b"")
    if says == "the same":
        assert [each for each in w.carrier.requests("INVITE") if each.to.tag] == []
        assert not w.carrier.requests("UPDATE")
    else:
        # The one that has answered knows the caller's first description only.
        (told,) = w.carrier.requests("UPDATE")
        assert (told.body, told.to.tag) == (NEW_OFFER.content, two.local_tag)
        up.request("UPDATE", SDP)
        w.advance()
        assert w.caller.statuses("UPDATE") == [491]
        two.respond(200, SECOND_SDP, request=told)
        w.advance()
    ends(w, up, two)


def test_another_dialog_answers_after_the_caller_has_changed_its_session() -> None:
    """It was never told of the change, so it is told now."""
    w, up, one, two = forked()
    up.request("UPDATE", NEW_OFFER)
    w.advance()
    one.respond(200, NEW_ANSWER, request=w.carrier.requests("UPDATE")[0])
    w.advance()
    two.respond(200)
    w.advance()
    (update,) = w.caller.requests("UPDATE")
    assert update.body == SECOND_SDP.content
    up.respond(200, NEW_OFFER, request=update)
    w.advance()
    told = w.carrier.requests("UPDATE")[-1]
    assert (told.body, told.to.tag) == (NEW_OFFER.content, two.local_tag)
    two.respond(488, request=told)
    w.advance()
    assert up.answer.status == 200
    ends(w, up, two)


def test_another_dialog_answers_a_caller_without_update() -> None:
    """The 2xx says nothing that would be ignored (RFC 3261 13.2.1); a re-INVITE says it."""
    w, up, _one, two = forked(update=False)
    two.respond(200, SECOND_SDP)
    w.advance()
    assert (up.answer.status, up.answer.body) == (200, b"")
    assert not w.caller.requests("INVITE")
    up.ack()
    w.advance()
    offer = reinvite(w.caller)
    assert offer.body == SECOND_SDP.content
    up.respond(200, SAME_AGAIN, request=offer)
    w.advance()
    ends(w, up, two)


@pytest.mark.parametrize("by", ["the caller", "the one that has lost"])
def test_another_dialog_answers_while_an_offer_is_under_way(by: str) -> None:
    w, up, one, two = forked()
    (up if by == "the caller" else one).request("UPDATE", NEW_OFFER)
    w.advance()
    two.respond(200, SECOND_SDP)
    w.advance()
    if by == "the caller":
        assert w.caller.statuses("UPDATE") == [500]
        up.respond(200, SAME_AGAIN, request=w.caller.requests("UPDATE")[-1])
        w.advance()
        one.respond(200, NEW_ANSWER, request=w.carrier.requests("UPDATE")[0])
        w.advance()
        assert (up.answer.status, up.answer.body) == (200, b"")
    else:
        assert w.carrier.statuses("UPDATE") == [487]
        (stale,) = w.caller.requests("UPDATE")
        assert stale.body == NEW_OFFER.content
        up.respond(200, NEW_ANSWER, request=stale)
        w.advance()
        assert (up.answer.status, up.answer.body) == (200, b"")
        up.ack()
        w.advance()
        update = w.caller.requests("UPDATE")[-1]
        assert update.body == SECOND_SDP.content
        up.respond(200, SAME_AGAIN, request=update)
        w.advance()
        assert w.carrier.statuses("UPDATE") == [487]
    ends(w, up, two)


def test_the_caller_gives_up_while_it_is_offered_another_description() -> None:
    w, up, _one, two = forked()
    two.respond(200, SECOND_SDP)
    w.advance()
    up.cancel()
    w.advance()
    assert up.answer.status == 487
    up.ack_failure()
    up.respond(200, SAME_AGAIN, request=w.caller.requests("UPDATE")[0])
    (bye,) = w.carrier.requests("BYE")
    assert bye.to.tag == two.local_tag
    w.carrier.ok(bye)
    record = w.record()
    assert (record.status, record.end_cause, record.answered) == (487, "cancelled", 0)


def test_a_caller_that_is_gone_is_found_while_it_is_offered_another_description() -> None:
    w, up, _one, two = forked()
    two.respond(200, SECOND_SDP)
    w.advance()
    up.respond(481, request=w.caller.requests("UPDATE")[0])
    w.advance()
    assert up.answer.status == 480
    up.ack_failure()
    w.carrier.ok(w.carrier.requests("BYE")[0])
    assert w.record().end_cause == "error"


def test_a_caller_that_takes_no_other_description_is_told_why_the_call_ends() -> None:
    w, up, _one, two = forked()
    two.respond(200, SECOND_SDP)
    w.advance()
    up.respond(488, request=w.caller.requests("UPDATE")[0])
    w.advance()
    assert up.answer.status == 200
    up.ack()
    w.advance()
    up.respond(488, request=w.caller.requests("UPDATE")[-1])
    w.advance()
    for peer in (w.caller, w.carrier):
        peer.ok(peer.requests("BYE")[0])
    record = w.record()
    assert (record.end_cause, record.ended_by) == ("rejected", "server")
    assert "refused the called side's session description: 488" in record.trail[-1]


def test_a_caller_that_accepts_another_description_without_a_word_gets_488() -> None:
    w, up, _one, two = forked()
    two.respond(200, SECOND_SDP)
    w.advance()
    up.respond(200, request=w.caller.requests("UPDATE")[0])
    w.advance()
    assert up.answer.status == 488
    up.ack_failure()
    w.carrier.ok(w.carrier.requests("BYE")[0])
    record = w.record()
    assert (record.status, record.end_cause, record.answered) == (488, "rejected", 0)


def test_without_reliable_answers_every_description_is_a_preview_and_the_200_decides() -> None:
    w = Wire(trunks())
    up, one = w.call()
    two = fork_of(one)
    for down, body in ((one, OTHER_SDP), (two, SECOND_SDP)):
        reliably(down, 183, body)
        w.advance()
        assert up.answer.body == body.content
    for request in w.carrier.requests("PRACK"):
        w.carrier.ok(request)
    # The called side need not repeat what it has agreed on reliably, but the caller has heard nothing reliable yet.
    one.respond(200)
    w.advance()
    assert (up.answer.status, up.answer.body) == (200, OTHER_SDP.content)
    ends(w, up, one)


def test_a_relayed_caller_hears_nothing_of_another_dialog_that_says_the_same() -> None:
    w = RelayedWire(trunks(relay_media="yes"))
    up, one = w.call(headers=TAKES_UPDATE, body=audio("192.0.2.7"))
    two = fork_of(one)
    reliably(one, 183, audio("192.0.2.8", 5000))
    w.advance()
    prack(up)
    w.advance()
    reliably(two, 183, audio("192.0.2.8", 5500))
    w.advance()
    two.respond(200)
    w.advance()
    assert (up.answer.status, up.answer.body) == (200, b"")
    (session,) = w.control.sessions.values()
    assert [side.port for side in session.media.sides] == [4000, 5500]
    assert not w.caller.requests("UPDATE")
    assert not w.carrier.requests("UPDATE")
    ends(w, up, two)


# --- offers of several early dialogs ----------------------------------------------------------------------------------


def test_only_one_of_several_early_offers_reaches_the_caller_and_the_others_are_declined() -> None:
    """RFC 6337 2.3, table 2: an offer in a provisional answer must be answered, and a new offer mends the refusal."""
    w, up, one = offered()
    two = fork_of(one)
    reliably(two, 183, SECOND_SDP)
    w.advance()
    (declined,) = w.carrier.requests("PRACK")
    assert declined.to.tag == two.local_tag
    assert b"m=audio 0 RTP/AVP 8" in declined.body
    w.carrier.ok(declined)
    prack(up, SDP)
    w.advance()
    taken = w.carrier.requests("PRACK")[-1]
    assert (taken.body, taken.to.tag) == (SDP.content, one.local_tag)
    w.carrier.ok(taken)
    prack(up)
    two.respond(200)
    w.advance()
    assert (up.answer.status, up.answer.body) == (200, b"")
    asked = reinvite(w.carrier)
    assert (asked.body, asked.to.tag) == (b"", two.local_tag)
    up.ack()
    two.respond(200, SECOND_SDP, request=asked)
    w.advance()
    (update,) = w.caller.requests("UPDATE")
    assert update.body == SECOND_SDP.content
    up.respond(200, NEW_OFFER, request=update)
    w.advance()
    assert w.carrier.requests("ACK")[-1].body == NEW_OFFER.content
    hang_up(w, up)
    assert w.record().end_cause == "normal"


def test_one_that_was_declined_and_makes_no_new_offer_ends_the_call() -> None:
    w, up, one = offered()
    two = fork_of(one)
    reliably(two, 183, SECOND_SDP)
    prack(up, SDP)
    w.advance()
    for request in w.carrier.requests("PRACK"):
        w.carrier.ok(request)
    two.respond(200)
    w.advance()
    up.ack()
    two.respond(488, request=reinvite(w.carrier))
    w.advance()
    for peer in (w.caller, w.carrier):
        peer.ok(peer.requests("BYE")[0])
    record = w.record()
    assert record.end_cause == "rejected"
    assert "made no offer: 488" in record.trail[-1]


def test_another_dialog_answers_before_the_caller_has_answered_the_first_offer() -> None:
    w, up, one = offered()
    two = fork_of(one)
    two.respond(200, SECOND_SDP)
    w.advance()
    assert 200 not in w.caller.statuses()
    prack(up, SDP)
    w.advance()
    assert not w.carrier.requests("PRACK")
    assert (up.answer.status, up.answer.body) == (200, b"")
    up.ack()
    w.advance()
    (update,) = w.caller.requests("UPDATE")
    assert update.body == SECOND_SDP.content
    up.respond(200, NEW_OFFER, request=update)
    w.advance()
    (ack,) = w.carrier.requests("ACK")
    assert (ack.body, ack.to.tag) == (NEW_OFFER.content, two.local_tag)
    assert finish(w, up).end_cause == "normal"


# --- several phones ---------------------------------------------------------------------------------------------------


class Phones:
    """User 100 with two phones, called by a trunk that takes reliable provisional answers."""

    def __init__(self, *headers: tuple[str, str], body: Body | None = SDP) -> None:
        self.w = Wire(document())
        self.desk, self.kitchen = self.w.phone("100", DESK), self.w.phone("100", KITCHEN)
        self.up = self.w.caller.invite("100", headers=headers, body=body)
        self.w.advance()
        self.at_desk, self.in_kitchen = self.desk.incoming(), self.kitchen.incoming()

    def describe(self, phone: RawDialog, body: Body) -> None:
        """A phone describes its session reliably, and the caller acknowledges what it gets."""
        reliably(phone, 183, body)
        self.w.advance()
        for request in phone.peer.requests("PRACK"):
            phone.peer.ok(request)

    def ends(self, phone: RawPeer) -> None:
        """The caller acknowledges the answer and hangs up."""
        self.up.ack()
        self.w.advance()
        self.up.request("BYE")
        self.w.advance()
        phone.ok(phone.requests("BYE")[0])
        assert self.w.record().end_cause == "normal"


def test_another_phone_answers_than_the_one_that_the_caller_heard() -> None:
    p = Phones(*TAKES_UPDATE)
    p.describe(p.at_desk, OTHER_SDP)
    prack(p.up)
    p.describe(p.in_kitchen, SECOND_SDP)
    assert p.up.answer.body == b""
    p.up.request("UPDATE", NEW_OFFER)
    p.in_kitchen.request("UPDATE", NEW_ANSWER)
    p.w.advance()
    assert p.kitchen.statuses("UPDATE") == [500]
    (asked,) = p.desk.requests("UPDATE")
    assert asked.body == NEW_OFFER.content
    p.in_kitchen.respond(200, SECOND_SDP)
    p.w.advance()
    assert p.w.caller.statuses("UPDATE") == [500]
    cancelled(p.desk, p.at_desk)
    p.desk.ok(asked, 487)
    (update,) = p.w.caller.requests("UPDATE")
    assert update.body == SECOND_SDP.content
    p.up.respond(200, SAME_AGAIN, request=update)
    p.w.advance()
    assert (p.up.answer.status, p.up.answer.body) == (200, b"")
    p.ends(p.kitchen)


def test_the_phone_that_the_caller_heard_is_out_and_another_one_is_heard() -> None:
    p = Phones(*TAKES_UPDATE)
    p.describe(p.at_desk, OTHER_SDP)
    prack(p.up)
    p.w.advance()
    p.up.request("UPDATE", NEW_OFFER)
    p.w.advance()
    p.at_desk.respond(480)
    p.w.advance()
    assert p.w.caller.statuses("UPDATE") == [500]
    p.up.request("UPDATE", NEW_OFFER)
    p.w.advance()
    assert p.w.caller.statuses("UPDATE") == [500, 500]
    p.describe(p.in_kitchen, SECOND_SDP)
    (update,) = p.w.caller.requests("UPDATE")
    assert update.body == SECOND_SDP.content
    p.up.respond(200, NEW_OFFER, request=update)
    p.w.advance()
    # The caller said something new, and this phone takes UPDATE.
    (told,) = p.kitchen.requests("UPDATE")
    assert told.body == NEW_OFFER.content
    p.in_kitchen.respond(200, SECOND_SDP, request=told)
    p.w.advance()
    p.in_kitchen.respond(200, SECOND_SDP)
    p.w.advance()
    assert (p.up.answer.status, p.up.answer.body) == (200, b"")
    p.ends(p.kitchen)


def test_two_phones_that_make_early_offers() -> None:
    p = Phones(MUST, ALLOW, body=None)
    p.describe(p.at_desk, OTHER_SDP)
    p.describe(p.in_kitchen, SECOND_SDP)
    assert b"m=audio 0 " in p.kitchen.requests("PRACK")[0].body
    prack(p.up, SDP)
    p.w.advance()
    (taken,) = p.desk.requests("PRACK")
    assert taken.body == SDP.content
    p.desk.ok(taken)
    p.at_desk.respond(200)
    p.w.advance()
    cancelled(p.kitchen, p.in_kitchen)
    assert (p.up.answer.status, p.up.answer.body) == (200, b"")
    p.ends(p.desk)


# --- one target after the other ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ringing", [True, False], ids=["early media of the next", ""])
def test_the_next_trunk_answers_a_caller_that_has_agreed_with_the_first(ringing: bool) -> None:
    w, up, down = early_media(**FAILS_OVER)
    down.respond(503)
    w.advance()
    second = w.backup.incoming()
    assert second.invite.body == SDP.content
    if ringing:
        reliably(second, 183, SECOND_SDP)
    else:
        second.respond(200, SECOND_SDP)
    w.advance()
    (update,) = w.caller.requests("UPDATE")
    assert update.body == SECOND_SDP.content
    up.respond(200, SAME_AGAIN, request=update)
    w.advance()
    if ringing:
        w.backup.ok(w.backup.requests("PRACK")[0])
        second.respond(200, SECOND_SDP)
        w.advance()
    assert (up.answer.status, up.answer.body) == (200, b"")
    assert not w.backup.requests("UPDATE")
    up.ack()
    w.advance()
    record = finish(w, up, w.backup)
    assert [each.target for each in record.attempts] == ["trunk:1", "trunk:2"]


def test_a_next_trunk_that_takes_no_update_is_told_by_reinvite_what_the_caller_says_now() -> None:
    w, up, down = early_media(**FAILS_OVER)
    down.respond(503)
    w.advance()
    second = w.backup.incoming()
    second.respond(183, SECOND_SDP, headers=[("Require", "100rel"), ("RSeq", "5")])
    w.advance()
    w.backup.ok(w.backup.requests("PRACK")[0])
    up.respond(200, NEW_OFFER, request=w.caller.requests("UPDATE")[0])
    w.advance()
    assert not w.backup.requests("UPDATE")
    second.respond(200, SECOND_SDP)
    w.advance()
    assert (up.answer.status, up.answer.body) == (200, b"")
    told = reinvite(w.backup)
    assert told.body == NEW_OFFER.content
    up.ack()
    second.respond(200, SECOND_SDP, request=told)
    w.advance()
    assert [ack.cseq.number for ack in w.backup.requests("ACK")] == [1, told.cseq.number]
    assert finish(w, up, w.backup).status == 200


def test_a_relayed_caller_keeps_its_description_when_the_next_trunk_answers() -> None:
    made = trunks(relay_media="yes", **FAILS_OVER)
    made["sip_trunks"][1]["relay_media"] = "yes"  # type: ignore[index]
    w = RelayedWire(made)
    up, down = w.call(headers=TAKES_UPDATE, body=audio("192.0.2.7"))
    reliably(down, 183, audio("192.0.2.8", 5000))
    w.advance()
    prack(up)
    w.advance()
    down.respond(503)
    w.advance()
    second = w.backup.incoming()
    second.respond(200, audio("192.0.2.9", 5500))
    w.advance()
    assert (up.answer.status, up.answer.body) == (200, b"")
    assert not w.caller.requests("UPDATE")
    (session,) = w.control.sessions.values()
    assert [side.port for side in session.media.sides] == [4000, 5500]
    up.ack()
    w.advance()
    assert finish(w, up, w.backup).status == 200
