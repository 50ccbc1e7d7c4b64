"""Broken session descriptions of relayed calls, in each place where one can stand (RFC 8866, RFC 3261 21.5.3)."""

from __future__ import annotations

import random
from typing import Any

import pytest
from simulation.raw import hang_up
from simulation.relayed import audio
from simulation.test_relayed import CALLER_AUDIO, CARRIER, CARRIER_AUDIO, ours, relaying, streams, talk

from app.calls.leg_events import Body

BROKEN = {
    "no description": b"nonsense",
    "no medium": b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n",
    "no connection": b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n",
    "no port": CALLER_AUDIO.content.replace(b"m=audio 4000", b"m=audio x"),
    "port above 65535": CALLER_AUDIO.content.replace(b"m=audio 4000", b"m=audio 70000"),
    "no format": CALLER_AUDIO.content.replace(b"RTP/AVP 8 101", b"RTP/AVP"),
    "another network": CALLER_AUDIO.content.replace(b"c=IN IP4", b"c=ATM IP4"),
    "zeros": b"\0" * 200,
    "only video": CALLER_AUDIO.content.replace(b"m=audio", b"m=video"),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_broken_offer_is_refused(body: bytes) -> None:
    w = relaying()
    w.caller.invite("135550", body=Body("application/sdp", body))
    w.advance()
    assert w.caller.statuses()[0] in (400, 488)
    record = w.record()
    assert record.status in (400, 488)
    assert "session description" in record.trail[-1]


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_broken_offer_within_the_call_is_refused_and_the_call_goes_on(method: str, body: bytes) -> None:
    w = relaying()
    up, down = talk(w)
    up.request(method, Body("application/sdp", body))
    w.advance()
    assert w.caller.statuses(method)[-1] in (400, 488)
    if method == "INVITE":
        up.ack_failure()
        w.advance()
    assert len(w.switch.calls) == 1
    hang_up(w, down)
    assert w.record().end_cause == "normal"


WITHOUT_AUDIO = ("no medium", "only video")


@pytest.mark.parametrize("kind", WITHOUT_AUDIO)
def test_an_answer_without_audio_refuses_the_audio(kind: str) -> None:
    w = relaying()
    up, down = w.call(body=CALLER_AUDIO)
    down.respond(200, Body("application/sdp", BROKEN[kind]))
    w.advance()
    assert streams(up.answer.body) == [("audio", 0)]
    up.ack()
    w.advance()
    hang_up(w, up)
    w.record()


BROKEN_ANSWERS = {
    **{kind: body for kind, body in BROKEN.items() if kind not in WITHOUT_AUDIO},
    "never offered": audio(CARRIER, 5000, "18").content,
}


@pytest.mark.parametrize("body", BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS)
def test_a_broken_answer_ends_the_call_in_order(body: bytes) -> None:
    """The caller's INVITE was fine: what it gets is 502; the called side gets ACK and BYE."""
    w = relaying()
    up, down = w.call(body=CALLER_AUDIO)
    down.respond(200, Body("application/sdp", body))
    w.advance(1)
    assert w.carrier.requests("ACK")
    (bye,) = {each.via.branch: each for each in w.carrier.requests("BYE")}.values()
    assert (bye.get("Reason") or "").startswith("SIP;cause=488")
    w.carrier.ok(bye)
    w.advance()
    assert w.caller.statuses()[0] == 502
    assert up.answer.get("Reason") is None
    up.ack_failure()
    record = w.record()
    assert (record.status, record.answered, record.end_cause, record.ended_by) == (502, 0.0, "trunk_failed", "server")
    (attempt,) = record.attempts
    assert (attempt.target, attempt.status) == ("trunk:1", 0)
    words = "it answered with 200, but the called side's session description cannot be used: "
    assert attempt.reason.startswith(words) and len(attempt.reason) > len(words)
    assert record.trail[-1] == f"end: 502 {attempt.reason}"


@pytest.mark.parametrize("status", [200, 183])
@pytest.mark.parametrize(
    ("trunk", "is_tried", "why"),
    [
        ({}, False, "had rung or answered already, and its record allows no failover after ringing"),
        (
            {"failover_after_ringing": True, "failover_statuses": [503]},
            False,
            "this counts as 502, which is no failover status of trunk:1",
        ),
        ({"failover_after_ringing": True}, True, "as the record of trunk:1 allows failover after ringing"),
    ],
    ids=["not after ringing", "not listed", "tried"],
)
def test_the_next_trunk_after_a_broken_answer(status: int, trunk: dict[str, Any], is_tried: bool, why: str) -> None:
    w = relaying(next_trunk_id=2, **trunk)
    up, down = w.call(body=CALLER_AUDIO)
    down.respond(status, Body("application/sdp", BROKEN["no connection"]))
    w.advance()
    w.advance()
    if status == 200:
        assert w.carrier.requests("ACK")
        w.carrier.ok(w.carrier.requests("BYE")[0])
    else:
        w.carrier.ok(w.carrier.requests("CANCEL")[0])
        down.respond(487)
    assert bool(w.backup.requests("INVITE")) is is_tried
    w.advance()
    if is_tried:
        assert not [each for each in w.caller.statuses() if each >= 200]
        down = w.backup.incoming()
        down.respond(200, audio("192.0.2.9"))
        w.advance()
        assert up.answer.status == 200 and up.answer.body == audio("192.0.2.9").content
        up.ack()
        w.advance(5)
        up.request("BYE")
        w.advance()
        w.backup.ok(w.backup.requests("BYE")[-1])
    else:
        assert w.caller.statuses()[-1] == 502
        up.ack_failure()
    record = w.record()
    assert record.status == (200 if is_tried else 502)
    assert record.talk_seconds == pytest.approx(5.05 if is_tried else 0, abs=0.1)
    (step,) = [step for step in record.trail if step.startswith("failover: trunk:2 is ")]
    assert step.endswith(why)
    assert [each.target for each in record.attempts] == ["trunk:1", "trunk:2"][: 1 + is_tried]


USELESS = ("never offered", "no connection")


def useless(host: str, kind: str) -> Body:
    """An answer to an offer of PCMA with which nothing can be done."""
    if kind == "no connection":
        return Body("application/sdp", BROKEN[kind])
    return audio(host, 5000, "18")


@pytest.mark.parametrize("kind", USELESS)
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("from_caller", [True, False], ids=["caller", "carrier"])
@pytest.mark.parametrize("restored", [True, False, 488], ids=["restored", "useless again", "refused"])
def test_a_useless_answer_within_the_call_leaves_the_media_as_they_were(
    method: str, from_caller: bool, kind: str, restored: bool | int
) -> None:
    w = relaying()
    up, down = talk(w)
    (session,) = w.control.sessions.values()
    before = session.media
    asking, asked = (up, down) if from_caller else (down, up)
    own, other = (CALLER_AUDIO, CARRIER_AUDIO) if from_caller else (CARRIER_AUDIO, CALLER_AUDIO)
    sent = asking.request(method, Body("application/sdp", own.content + b"a=sendonly\r\n"))
    w.advance()
    offer = [each for each in asked.peer.requests("INVITE") + asked.peer.requests("UPDATE") if each.to.tag][-1]
    assert b"a=sendonly" in offer.body
    asked.respond(200, useless(asked.peer.host, kind), request=offer)
    w.advance()
    answer = [each for each in asking.peer.responses(method) if each.cseq.number == sent.cseq.number][-1]
    assert answer.status == 488 and session.media is before
    again = [each for each in asked.peer.requests("INVITE") if each.to.tag][-1]
    assert again.cseq.number > offer.cseq.number and ours(again.body) and b"sendonly" not in again.body
    if restored == 488:
        asked.respond(488, request=again)
    else:
        asked.respond(200, other if restored else useless(asked.peer.host, kind), request=again)
    w.advance(1)
    acks = {each.cseq.number for each in asked.peer.requests("ACK")}
    assert again.cseq.number in acks and (offer.method == "UPDATE" or offer.cseq.number in acks)
    offers = {each.cseq.number for each in asked.peer.requests("INVITE") if each.to.tag}
    assert len(offers) == 2, "once only"
    now = session.media
    assert now is not None and before is not None
    assert (now.sides, now.codec, now.active) == (before.sides, before.codec, True)
    (call,) = w.switch.calls.values()
    assert call.state == "talking"
    if method == "INVITE":
        asking.peer.send(asking.make("ACK", cseq=sent.cseq.number))
        w.advance()
    hang_up(w, up)
    record = w.record()
    assert record.end_cause == "normal"
    side = "the called side" if from_caller else "the caller"
    steps = [step for step in record.trail if step.startswith(f"media: {side} answered an offer with a session desc")]
    assert len(steps) == (2 if restored is False else 1)
    assert steps[0].endswith("the media stay as they were")


def test_mutated_descriptions_never_break_anything() -> None:
    """Any bytes for a description, in each place where one can stand: every call ends, and nothing is left."""
    chance = random.Random(8)
    w = relaying()
    for number in range(150):
        broken = bytearray(CALLER_AUDIO.content if number % 2 else CARRIER_AUDIO.content)
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(len(broken))
            match chance.randrange(3):
                case 0:
                    broken[place] = chance.randrange(256)
                case 1:
                    del broken[place : place + chance.randrange(1, 12)]
                case _:
                    broken[place:place] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 8)))
        body = Body("application/sdp", bytes(broken))
        calls = len(w.carrier.requests("INVITE"))
        up = w.caller.invite("135550", body=body if number % 3 == 0 else CALLER_AUDIO)
        w.advance()
        if len(w.carrier.requests("INVITE")) > calls:
            down = w.carrier.incoming()
            down.respond(200, body if number % 3 == 1 else CARRIER_AUDIO)
            w.advance()
            if up.answer.status == 200:
                up.ack()
                w.advance()
                up.request("INVITE", body if number % 3 == 2 else None)
                w.advance()
                up.request("BYE")
        w.advance(40)
    w.world.advance(100)
    assert not w.switch.calls and not w.control.sessions
    assert len(w.world.recorder.ended) == 150
    assert "error" not in {record.end_cause for record in w.world.recorder.ended if record.status != 200}
