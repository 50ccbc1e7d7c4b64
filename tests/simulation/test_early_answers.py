"""Callers without an offer that take reliable provisional answers: the called side's offer passes before its answer.

RFC 3261 13.2.1, RFC 3262 5, RFC 6337 table 1 pattern 4. Each flow ends with both legs released and one record.
"""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import DELAY, OTHER_SDP, RawDialog, RawPeer, Wire, hang_up
from simulation.relayed import RelayedWire, audio
from simulation.test_calls import trunks
from simulation.test_early_offers import ALLOW, NEW_ANSWER, NEW_OFFER, prack
from simulation.world import HOLD, SDP

from app.calls.leg_events import Body
from app.events import CallRecord
from app.sip.message import Request

MUST, MAY = ("Require", "100rel"), ("Supported", "100rel")
FAILS_OVER = {"next_trunk_id": 2, "failover_after_ringing": True}
OTHER_OFFER = Body(SDP.content_type, OTHER_SDP.content.replace(b"5000", b"6000"))
OTHER_ANSWER = Body(SDP.content_type, SDP.content.replace(b"4000", b"4666"))


def late(*headers: tuple[str, str], made: Wire | None = None, **trunk: Any) -> tuple[Wire, RawDialog, RawDialog]:
    """A call of a caller without an offer."""
    w = made or Wire(trunks(**trunk))
    up, down = w.call(body=None, headers=headers)
    assert down.invite.body == b""
    return w, up, down


def reliably(down: RawDialog, status: int, body: Body | None = None, number: int = 7) -> None:
    """A reliable provisional answer of the called side."""
    down.respond(status, body, headers=[("Require", "100rel"), ("RSeq", str(number)), ALLOW])


def offered(*headers: tuple[str, str], made: Wire | None = None, **trunk: Any) -> tuple[Wire, RawDialog, RawDialog]:
    """The caller has got the called side's offer in a reliable 183."""
    w, up, down = late(*(headers or (MUST, ALLOW)), made=made, **trunk)
    reliably(down, 183, OTHER_SDP)
    w.advance()
    assert up.answer.get("Require") == "100rel"
    return w, up, down


def agreed(*headers: tuple[str, str], **trunk: Any) -> tuple[Wire, RawDialog, RawDialog]:
    """And has answered it in its PRACK, which the called side has got in ours."""
    w, up, down = offered(*headers, **trunk)
    prack(up, SDP)
    w.advance()
    (taken,) = w.carrier.requests("PRACK")
    assert (taken.body, taken.content_type) == (SDP.content, SDP.content_type)
    w.carrier.ok(taken)
    w.advance()
    return w, up, down


def next_trunk(*headers: tuple[str, str]) -> tuple[Wire, RawDialog, RawDialog]:
    """The caller has answered an offer of a trunk that has failed; the next one is being called."""
    w, up, down = agreed(*(headers or (MUST, ALLOW)), **FAILS_OVER)
    down.respond(503)
    w.advance()
    second = w.backup.incoming()
    assert second.invite.body == b""
    return w, up, second


def finish(w: Wire, up: RawDialog, other: RawPeer | None = None) -> CallRecord:
    """The caller hangs up."""
    up.request("BYE")
    w.advance()
    for bye in (other or w.carrier).requests("BYE"):
        (other or w.carrier).ok(bye)
    w.advance()
    assert w.caller.statuses("BYE") == [200]
    return w.record()


def bodies(w: Wire) -> list[bytes]:
    """What the 2xx to the caller's INVITE brought."""
    return [each.body for each in w.caller.responses() if each.status == 200]


def reinvite(peer: RawPeer) -> Request:
    """The newest re-INVITE that came."""
    return [each for each in peer.requests("INVITE") if each.to.tag][-1]


# --- one target -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("want", [MUST, MAY], ids=["must", "may"])
def test_the_offer_passes_in_the_18x_and_the_answer_in_the_prack(want: tuple[str, str]) -> None:
    w, up, down = offered(want, ALLOW)
    assert "100rel" in (down.invite.get("Supported") or "")
    assert up.answer.body == OTHER_SDP.content
    # It is repeated, and ours too, until there is an answer: neither passes twice, none is acknowledged without it.
    reliably(down, 183, OTHER_SDP)
    w.advance()
    assert w.caller.statuses() == [183]
    assert not w.carrier.requests("PRACK")
    prack(up, SDP)
    w.advance()
    assert w.caller.statuses("PRACK") == [200]
    (taken,) = w.carrier.requests("PRACK")
    assert (taken.body, taken.get("RAck")) == (SDP.content, "7 1 INVITE")
    w.carrier.ok(taken)
    reliably(down, 180, number=8)
    w.advance()
    assert (up.answer.status, up.answer.body) == (180, b"")
    assert (up.answer.get("Require") == "100rel") is (want is MUST)
    if want is MUST:
        prack(up)
    w.carrier.ok(w.carrier.requests("PRACK")[-1])
    down.respond(200)
    w.advance()
    assert bodies(w) == [b""]
    (ack,) = w.carrier.requests("ACK")
    assert ack.body == b""
    up.ack()
    w.advance()
    hang_up(w, up)
    record = w.record()
    assert (record.status, record.end_cause, len(record.attempts)) == (200, "normal", 1)


def test_a_200_that_repeats_the_offer_makes_none_of_it() -> None:
    w, up, down = agreed()
    down.respond(200, OTHER_SDP)
    w.advance()
    assert bodies(w) == [b""]
    assert [ack.body for ack in w.carrier.requests("ACK")] == [b""]
    up.ack()
    w.advance()
    assert finish(w, up).status == 200


@pytest.mark.parametrize("want", [MUST, MAY, None], ids=["must", "may", "cannot"])
def test_without_a_reliable_offer_only_the_200_has_one(want: tuple[str, str] | None) -> None:
    """RFC 3262 3 and 5: a caller that must have reliable answers can be sent none that has no offer."""
    w, up, down = late(*([want] if want else []))
    assert ("100rel" in (down.invite.get("Supported") or "")) is (want is not None)
    down.respond(180)
    down.respond(183, OTHER_SDP)
    w.advance(0.3)
    heard = w.caller.responses(above=99)
    assert [each.status for each in heard] == ([100] if want is MUST else [180, 183])
    assert not any(each.body or each.get("RSeq") for each in heard)
    down.respond(200, OTHER_SDP)
    w.advance()
    assert bodies(w) == [OTHER_SDP.content]
    up.ack(SDP)
    w.advance()
    assert [ack.body for ack in w.carrier.requests("ACK")] == [SDP.content]
    assert finish(w, up).status == 200


def test_more_offers_pass_after_the_first_in_both_directions() -> None:
    w, up, down = agreed()
    for end, other in ((up, down), (down, up)):
        end.request("UPDATE", NEW_OFFER)
        w.advance()
        (update,) = other.peer.requests("UPDATE")
        assert update.body == NEW_OFFER.content
        other.respond(200, NEW_ANSWER, request=update)
        w.advance()
        assert end.peer.responses("UPDATE")[0].body == NEW_ANSWER.content
    down.respond(200)
    w.advance()
    assert bodies(w) == [b""]
    up.ack()
    w.advance()
    assert finish(w, up).status == 200


def test_no_offer_passes_before_the_first_has_its_answer() -> None:
    """RFC 3311 5.2."""
    w, up, down = offered()
    up.request("UPDATE", NEW_OFFER)
    down.request("UPDATE", NEW_ANSWER)
    w.advance()
    for peer in (w.caller, w.carrier):
        assert peer.statuses("UPDATE") == [500]
        assert peer.responses("UPDATE")[0].get("Retry-After")
        assert not peer.requests("UPDATE")
    down.respond(486)
    w.advance()
    up.ack_failure()
    assert w.record().end_cause == "busy"


# --- what can go wrong with the answer --------------------------------------------------------------------------------


def test_a_prack_without_the_answer_ends_the_call() -> None:
    w, up, down = offered()
    prack(up)
    w.advance()
    assert w.caller.statuses("PRACK") == [400]
    assert up.answer.status == 400
    up.ack_failure()
    w.carrier.ok(w.carrier.requests("CANCEL")[0])
    down.respond(487)
    record = w.record()
    assert (record.status, record.end_cause) == (400, "rejected")
    assert "without an answer" in record.trail[-1]
    assert not w.carrier.requests("PRACK")


@pytest.mark.parametrize(
    ("answer", "status"), [(audio("192.0.2.7", 4000, "0"), 488), (Body("application/sdp", b"v=0\r\nx"), 400)]
)
def test_a_bad_answer_in_the_prack_of_a_relayed_call(answer: Body, status: int) -> None:
    w, up, down = late(MUST, ALLOW, made=RelayedWire(trunks(relay_media="yes")))
    reliably(down, 183, audio("192.0.2.8", 5000, "8"))
    w.advance()
    prack(up, answer)
    w.advance()
    assert w.caller.statuses("PRACK") == [status]
    assert up.answer.status == status
    up.ack_failure()
    w.carrier.ok(w.carrier.requests("CANCEL")[0])
    down.respond(487)
    record = w.record()
    assert (record.status, record.end_cause) == (status, "rejected")
    assert "session description cannot be used" in record.trail[-1]


def test_an_answer_that_the_called_side_refuses() -> None:
    """RFC 6337 2.3: nothing is left that could be answered; the call is refused with the same words."""
    w, up, down = offered()
    prack(up, SDP)
    w.advance()
    w.carrier.ok(w.carrier.requests("PRACK")[0], 488)
    w.advance()
    assert up.answer.status == 488
    up.ack_failure()
    w.carrier.ok(w.carrier.requests("CANCEL")[0])
    down.respond(487)
    record = w.record()
    assert (record.status, [each.status for each in record.attempts]) == (488, [488])


def test_a_prack_of_ours_that_gets_lost_is_repeated() -> None:
    w, up, down = offered()
    prack(up, SDP)
    w.advance(2)
    pracks = w.carrier.requests("PRACK")
    assert len(pracks) > 2
    assert {each.body for each in pracks} == {SDP.content}
    down.respond(200)
    w.advance()
    assert bodies(w) == [b""]
    up.ack()
    w.advance()
    assert finish(w, up).status == 200


def test_a_prack_that_never_comes() -> None:
    w, up, down = offered()
    w.advance(33)
    assert up.answer.status == 504
    up.ack_failure()
    assert w.carrier.requests("CANCEL")
    down.respond(487)
    record = w.record()
    assert (record.status, record.end_cause) == (504, "ack_missing")


# --- races ------------------------------------------------------------------------------------------------------------


def test_the_called_side_answers_before_the_caller_has_acknowledged_its_offer() -> None:
    """RFC 3262 3 forbids it; our 2xx waits for the PRACK all the same, and the answer goes on in the ACK."""
    w, up, down = offered()
    down.respond(200, OTHER_SDP)
    w.advance()
    assert w.caller.statuses() == [183]
    assert not w.carrier.requests("ACK")
    prack(up, SDP)
    w.advance()
    assert w.caller.statuses("PRACK") == [200]
    assert bodies(w) == [b""]
    assert not w.carrier.requests("PRACK")
    assert [ack.body for ack in w.carrier.requests("ACK")] == [SDP.content]
    up.ack()
    w.advance()
    assert finish(w, up).status == 200


def test_the_called_side_answers_while_our_prack_is_under_way() -> None:
    w, up, down = offered()
    prack(up, SDP)
    w.advance(DELAY * 1.5)
    down.respond(200)
    w.advance()
    assert [ack.body for ack in w.carrier.requests("ACK")] == [b""]
    assert bodies(w) == [b""]
    up.ack()
    w.advance()
    assert finish(w, up).status == 200


@pytest.mark.parametrize("after", ["the offer", "the answer", "the 200"])
def test_cancel_in_between(after: str) -> None:
    w, up, down = offered() if after == "the offer" else agreed() if after == "the answer" else offered()
    if after == "the 200":
        down.respond(200)
        w.advance()
    up.cancel()
    w.advance()
    assert up.answer.status == 487
    up.ack_failure()
    if after == "the 200":
        assert len(w.carrier.requests("ACK")) == 1
        w.carrier.ok(w.carrier.requests("BYE")[0])
    else:
        w.carrier.ok(w.carrier.requests("CANCEL")[0])
        down.respond(487)
    record = w.record()
    assert (record.status, record.end_cause, record.answered) == (487, "cancelled", 0)


def test_the_answer_comes_when_the_called_side_has_refused() -> None:
    w, up, down = offered()
    down.respond(486)
    prack(up, SDP)
    w.advance()
    assert w.caller.statuses("PRACK") in ([200], [481])
    assert not w.carrier.requests("PRACK")
    up.ack_failure()
    assert w.record().end_cause == "busy"


def test_the_called_side_hangs_up_while_its_200_waits_for_the_prack() -> None:
    w, up, down = offered()
    down.respond(200)
    w.advance()
    down.request("BYE")
    w.advance()
    assert up.answer.status == 480
    up.ack_failure()
    assert w.record().ended_by == "called"


# --- the next target --------------------------------------------------------------------------------------------------


def test_the_next_trunk_makes_an_offer_before_its_answer_and_the_caller_gets_it_by_update() -> None:
    w, up, second = next_trunk()
    assert "100rel" in (second.invite.get("Supported") or "")
    reliably(second, 183, OTHER_OFFER)
    w.advance()
    (update,) = w.caller.requests("UPDATE")
    assert update.body == OTHER_OFFER.content
    assert not w.backup.requests("PRACK")
    assert up.answer.body == b""
    prack(up)
    up.respond(200, OTHER_ANSWER, request=update)
    w.advance()
    (taken,) = w.backup.requests("PRACK")
    assert taken.body == OTHER_ANSWER.content
    w.backup.ok(taken)
    up.request("UPDATE", HOLD)
    w.advance()
    (update,) = w.backup.requests("UPDATE")
    second.respond(200, NEW_ANSWER, request=update)
    w.advance()
    assert w.caller.responses("UPDATE")[-1].body == NEW_ANSWER.content
    second.respond(200)
    w.advance()
    assert bodies(w) == [b""]
    assert [ack.body for ack in w.backup.requests("ACK")] == [b""]
    up.ack()
    w.advance()
    record = finish(w, up, w.backup)
    assert [(each.target, each.status) for each in record.attempts] == [("trunk:1", 503), ("trunk:2", 200)]
    assert record.status == 200


def test_the_next_trunk_makes_its_offer_in_the_200_and_the_caller_gets_it_by_update() -> None:
    w, up, second = next_trunk()
    second.respond(180)
    second.respond(200, OTHER_OFFER)
    w.advance()
    (update,) = w.caller.requests("UPDATE")
    assert update.body == OTHER_OFFER.content
    assert 200 not in w.caller.statuses()
    assert not w.backup.requests("ACK")
    up.respond(200, OTHER_ANSWER, request=update)
    w.advance()
    assert [ack.body for ack in w.backup.requests("ACK")] == [OTHER_ANSWER.content]
    assert bodies(w) == [b""]
    up.ack()
    w.advance()
    record = finish(w, up, w.backup)
    assert any("is offered that one" in step for step in record.trail)


def answered_by_the_next(*headers: tuple[str, str]) -> tuple[Wire, RawDialog, RawDialog, Request]:
    """A caller that takes no UPDATE has its answer, and is being offered what the next trunk has offered."""
    w, up, second = next_trunk(*(headers or (MUST,)))
    assert "100rel" not in (second.invite.get("Supported") or "")
    second.respond(200, OTHER_OFFER)
    w.advance()
    assert bodies(w) == [b""]
    assert not w.caller.requests("UPDATE")
    assert not w.caller.requests("INVITE")
    up.ack()
    w.advance()
    offer = reinvite(w.caller)
    assert offer.body == OTHER_OFFER.content
    assert not w.backup.requests("ACK")
    return w, up, second, offer


def test_a_caller_without_update_gets_the_next_offer_after_its_answer() -> None:
    w, up, _second, offer = answered_by_the_next()
    up.respond(200, OTHER_ANSWER, request=offer)
    w.advance()
    assert [ack.body for ack in w.caller.requests("ACK")] == [b""]
    assert [ack.body for ack in w.backup.requests("ACK")] == [OTHER_ANSWER.content]
    assert finish(w, up, w.backup).end_cause == "normal"


def test_a_caller_that_refuses_the_next_offer_is_in_a_call_with_nobody() -> None:
    w, up, _second, offer = answered_by_the_next()
    up.respond(488, request=offer)
    w.advance()
    for peer in (w.caller, w.backup):
        peer.ok(peer.requests("BYE")[0])
    assert len(w.backup.requests("ACK")) == 1
    record = w.record()
    assert (record.end_cause, record.ended_by, record.status) == ("rejected", "server", 200)
    assert "refused the called side's session description: 488" in record.trail[-1]


def test_the_next_offer_crosses_one_of_the_caller_and_is_made_again() -> None:
    """RFC 3261 14.1."""
    w, up, _second, offer = answered_by_the_next()
    up.request("INVITE", HOLD)
    up.respond(491, request=offer)
    w.advance()
    assert up.answer.status == 491
    w.advance(1.1)
    again = reinvite(w.caller)
    assert again.cseq.number > offer.cseq.number
    up.respond(200, OTHER_ANSWER, request=again)
    w.advance()
    assert [ack.body for ack in w.backup.requests("ACK")] == [OTHER_ANSWER.content]
    assert finish(w, up, w.backup).end_cause == "normal"


def test_a_caller_that_never_can_take_the_next_offer() -> None:
    w, up, _second, offer = answered_by_the_next()
    for _ in range(31):
        up.respond(491, request=offer)
        w.advance(1.1)
        offer = reinvite(w.caller)
    for peer in (w.caller, w.backup):
        peer.ok(peer.requests("BYE")[0])
    assert w.record().end_cause == "rejected"


def test_the_next_trunk_hangs_up_while_the_caller_is_offered_its_description() -> None:
    w, up, second, offer = answered_by_the_next()
    second.request("BYE")
    w.advance()
    w.caller.ok(w.caller.requests("BYE")[0])
    up.respond(487, request=offer)
    w.advance()
    record = w.record()
    assert (record.end_cause, record.ended_by) == ("normal", "called")


@pytest.mark.parametrize("answers", [True, False])
def test_cancel_while_the_next_offer_waits_at_the_caller(answers: bool) -> None:
    w, up, second = next_trunk()
    if answers:
        second.respond(200, OTHER_OFFER)
    else:
        reliably(second, 183, OTHER_OFFER)
    w.advance()
    up.cancel()
    w.advance()
    up.respond(487, request=w.caller.requests("UPDATE")[0])
    w.advance()
    assert up.answer.status == 487
    up.ack_failure()
    if answers:
        w.backup.ok(w.backup.requests("BYE")[0])
    else:
        w.backup.ok(w.backup.requests("CANCEL")[0])
        second.respond(487)
    assert w.record().end_cause == "cancelled"


def test_an_update_that_the_caller_refuses_before_the_answer_declines_the_offer_and_another_follows() -> None:
    """RFC 6337 2.3, table 2: what must be answered is declined, and a new offer mends it."""
    w, up, second = next_trunk()
    reliably(second, 183, OTHER_OFFER)
    w.advance()
    prack(up)
    up.respond(488, request=w.caller.requests("UPDATE")[0])
    w.advance()
    (declined,) = w.backup.requests("PRACK")
    assert b"m=audio 0 RTP/AVP 8" in declined.body
    w.backup.ok(declined)
    second.respond(200)
    w.advance()
    assert bodies(w) == [b""]
    asked = reinvite(w.backup)
    assert asked.body == b""
    second.respond(200, OTHER_OFFER, request=asked)
    w.advance()
    assert not w.caller.requests("INVITE")
    up.ack()
    w.advance()
    assert w.caller.requests("UPDATE")[-1].body == OTHER_OFFER.content
    up.respond(200, OTHER_ANSWER, request=w.caller.requests("UPDATE")[-1])
    w.advance()
    assert [ack.body for ack in w.backup.requests("ACK")] == [b"", OTHER_ANSWER.content]
    assert finish(w, up, w.backup).end_cause == "normal"


def test_the_first_trunk_fails_before_the_caller_has_answered_its_offer() -> None:
    w, up, down = offered(**FAILS_OVER)
    down.respond(503)
    w.advance()
    second = w.backup.incoming()
    second.respond(200, OTHER_OFFER)
    w.advance()
    assert 200 not in w.caller.statuses()
    prack(up, SDP)
    w.advance()
    assert w.caller.statuses("PRACK") == [200]
    assert bodies(w) == [b""]
    up.ack()
    w.advance()
    update = w.caller.requests("UPDATE")[-1]
    assert update.body == OTHER_OFFER.content
    up.respond(200, OTHER_ANSWER, request=update)
    w.advance()
    assert [ack.body for ack in w.backup.requests("ACK")] == [OTHER_ANSWER.content]
    assert finish(w, up, w.backup).end_cause == "normal"


@pytest.mark.parametrize("offer", [None, OTHER_OFFER], ids=["it makes none", "it makes one"])
def test_a_next_trunk_that_answers_without_an_offer_is_asked_for_one(offer: Body | None) -> None:
    """RFC 3261 13.2.1 wants one in its 2xx: an offer, or nothing that could be heard."""
    w, up, second = next_trunk()
    second.respond(200)
    w.advance()
    assert [ack.body for ack in w.backup.requests("ACK")] == [b""]
    asked = reinvite(w.backup)
    assert bodies(w) == [b""]
    up.ack()
    w.advance()
    second.respond(200, offer, request=asked)
    w.advance()
    if offer is None:
        for peer in (w.caller, w.backup):
            peer.ok(peer.requests("BYE")[0])
        assert w.record().end_cause == "rejected"
        return
    (update,) = w.caller.requests("UPDATE")
    assert update.body == OTHER_OFFER.content
    up.respond(200, OTHER_ANSWER, request=update)
    w.advance()
    assert [ack.body for ack in w.backup.requests("ACK")] == [b"", OTHER_ANSWER.content]
    assert finish(w, up, w.backup).end_cause == "normal"


def test_the_next_trunk_fails_as_well() -> None:
    w, up, second = next_trunk()
    reliably(second, 183, OTHER_OFFER)
    w.advance()
    second.respond(486)
    w.advance()
    assert up.answer.status == 486
    up.ack_failure()
    up.respond(200, OTHER_ANSWER, request=w.caller.requests("UPDATE")[0])
    w.advance()
    assert w.record().end_cause == "busy"


# --- relayed ----------------------------------------------------------------------------------------------------------


def test_a_relayed_late_offer_shows_each_side_our_ports_only() -> None:
    w, up, down = late(MUST, ALLOW, made=RelayedWire(trunks(relay_media="yes")))
    called, caller = audio("192.0.2.8", 5000, "8 101"), audio("192.0.2.7", 4000, "8 101")
    reliably(down, 183, called)
    w.advance()
    prack(up, caller)
    w.advance()
    (taken,) = w.carrier.requests("PRACK")
    for body in (up.answer.body, taken.body):
        assert b"m=audio 2" in body
        assert b"192.0.2." not in body
    w.carrier.ok(taken)
    down.respond(200, called)
    w.advance()
    assert bodies(w) == [b""]
    up.ack()
    w.advance()
    assert finish(w, up).status == 200


@pytest.mark.parametrize("formats", ["8 101", "0 101"], ids=["the same codecs", "other codecs"])
def test_a_relayed_caller_is_offered_the_next_description_only_if_it_says_anything_new(formats: str) -> None:
    document = trunks(relay_media="yes", **FAILS_OVER)
    document["sip_trunks"][1]["relay_media"] = "yes"  # type: ignore[index]
    w, up, down = late(MUST, ALLOW, made=RelayedWire(document))
    reliably(down, 183, audio("192.0.2.8", 5000, "8 101"))
    w.advance()
    prack(up, audio("192.0.2.7", 4000, "8 101"))
    w.advance()
    w.carrier.ok(w.carrier.requests("PRACK")[0])
    down.respond(503)
    w.advance()
    second = w.backup.incoming()
    second.respond(200, audio("192.0.2.9", 5500, formats))
    w.advance()
    updates = w.caller.requests("UPDATE")
    assert len(updates) == (formats != "8 101")
    if updates:
        up.respond(200, audio("192.0.2.7", 4000, formats), request=updates[0])
        w.advance()
    (ack,) = w.backup.requests("ACK")
    assert b"m=audio 2" in ack.body
    assert formats.encode() in ack.body
    assert bodies(w) == [b""]
    up.ack()
    w.advance()
    (session,) = w.control.sessions.values()  # type: ignore[attr-defined]
    assert [side.port for side in session.media.sides] == [4000, 5500]
    assert finish(w, up, w.backup).end_cause == "normal"
