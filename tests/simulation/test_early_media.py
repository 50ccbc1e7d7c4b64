"""What a caller hears before the answer: the called side's early media, or nothing but that it rings."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import OTHER_SDP, Wire, hang_up
from simulation.relayed import RelayedWire, audio
from simulation.test_calls import trunks
from simulation.test_relayed import ours
from simulation.world import SDP

from app.media.figures import EMPTY_ROW

ONLY_RINGS = {"early_media": "ringing"}
CARRIER_AUDIO = audio("203.0.113.9", 5000)


def bodies(w: Wire) -> list[tuple[int, bool]]:
    """The provisional answers that the caller got: status, and whether there was a description in it."""
    return [(each.status, bool(each.body)) for each in w.caller.responses("INVITE") if 100 < each.status < 200]


@pytest.mark.parametrize(
    ("status", "described", "told"), [(183, True, 180), (183, False, 180), (180, True, 180), (181, True, 181)]
)
def test_a_trunk_may_be_let_ring_only(status: int, described: bool, told: int) -> None:
    w = Wire(trunks(**ONLY_RINGS))
    up, down = w.call()
    down.respond(status, OTHER_SDP if described else None)
    w.advance()
    assert bodies(w) == [(told, False)]
    (call,) = w.switch.calls.values()
    assert call.text == "ringing"
    down.respond(200, OTHER_SDP)
    w.advance()
    assert up.answer.status == 200 and up.answer.body == OTHER_SDP.content
    up.ack()
    hang_up(w, up)
    assert w.record().end_cause == "normal"


def test_every_provisional_answer_passes_as_it_is_otherwise() -> None:
    w = Wire(trunks())
    _, down = w.call()
    for status, body in ((183, OTHER_SDP), (180, None), (180, OTHER_SDP), (181, None)):
        down.respond(status, body)
        w.advance()
    assert bodies(w) == [(183, True), (180, False), (180, True), (181, False)]


def test_a_reliable_183_is_acknowledged_and_the_answer_brings_its_description() -> None:
    """RFC 3262 5: the 200 says it no more; the caller has not heard it yet."""
    w = Wire(trunks(**ONLY_RINGS))
    up, down = w.call(headers=[("Supported", "100rel")])
    down.respond(183, OTHER_SDP, headers=[("Require", "100rel"), ("RSeq", "5")])
    w.advance()
    (prack,) = w.carrier.requests("PRACK")
    w.carrier.ok(prack)
    w.advance()
    assert bodies(w) == [(180, False)]
    down.respond(200)
    w.advance()
    assert up.answer.status == 200 and up.answer.body == OTHER_SDP.content
    up.ack()
    hang_up(w, up)
    assert w.record().end_cause == "normal"


@pytest.mark.parametrize("early", ["pass", "ringing"])
def test_an_answer_that_forgets_its_description_has_that_of_its_ringing(early: str) -> None:
    """RFC 3261 13.2.1 wants it said again after an unreliable one; peers that do not are understood all the same."""
    w = Wire(trunks(early_media=early))
    up, down = w.call(body=SDP)
    down.respond(180, OTHER_SDP)
    down.respond(200)
    w.advance()
    assert up.answer.status == 200 and up.answer.body == OTHER_SDP.content
    up.ack()
    hang_up(w, up)
    assert w.record().end_cause == "normal"


def test_relayed_audio_begins_with_the_answer() -> None:
    document = trunks(relay_media="yes", **ONLY_RINGS)
    w = RelayedWire(document)
    up, down = w.call(body=audio("192.0.2.7", 4000))
    down.respond(183, CARRIER_AUDIO)
    w.advance()
    assert bodies(w) == [(180, False)]
    (session,) = w.control.sessions.values()
    assert session.media is None
    down.respond(200, CARRIER_AUDIO)
    w.advance()
    assert session.media is not None and ours(up.answer.body)
    up.ack()
    hang_up(w, up)
    assert w.record().end_cause == "normal"


def silent(fields: dict[str, str] | None = None) -> RelayedWire:
    return RelayedWire(trunks(**{"relay_media": "yes", **(fields or {})}))


@pytest.mark.parametrize("status", [183, 180])
def test_a_caller_that_hears_nothing_is_told_that_it_rings(status: int) -> None:
    """RFC 3960 3.2: audio was announced and none came; a 180 without description makes the phone ring of itself."""
    w = silent()
    up, down = w.call(body=audio("192.0.2.7", 4000))
    down.respond(status, CARRIER_AUDIO)
    w.advance(2.5)
    assert bodies(w) == [(status, True)]
    w.advance(1)
    assert bodies(w) == [(status, True), (180, False)]
    (call,) = w.switch.calls.values()
    assert call.text == "ringing"
    w.advance(30)
    assert len(bodies(w)) == 2
    down.respond(200, CARRIER_AUDIO)
    w.advance()
    assert up.answer.status == 200 and ours(up.answer.body)
    up.ack()
    hang_up(w, up)
    (step,) = [step for step in w.record().trail if step.startswith("early media")]
    assert step == (
        "early media: trunk:1 announced audio before the answer, and none came within 3 s; "
        "the caller is told that it rings"
    )


@pytest.mark.parametrize("what", ["audio", "ringing", "answer", "not relayed", "refused"])
def test_no_ringing_is_made_up(what: str) -> None:
    w = silent({"relay_media": "no"} if what == "not relayed" else None)
    _, down = w.call(body=audio("192.0.2.7", 4000))
    down.respond(183, CARRIER_AUDIO)
    w.advance(1)
    told = [(183, True)]
    if what == "audio":
        (session,) = w.control.sessions.values()
        session.take_rows(EMPTY_ROW, EMPTY_ROW._replace(packets=50), w.world.clock.monotonic())
    elif what == "ringing":
        down.respond(180)
        told.append((180, False))
    elif what == "answer":
        down.respond(200, CARRIER_AUDIO)
    elif what == "refused":
        down.respond(486)
    w.advance(5)
    assert bodies(w) == told


def both_relay(document: dict[str, Any]) -> dict[str, object]:
    return {"sip_trunks": [{**trunk, "relay_media": "yes"} for trunk in document["sip_trunks"]]}


def test_the_next_trunk_is_watched_anew() -> None:
    document = trunks(next_trunk_id=2, failover_after_ringing=True)
    w = RelayedWire({**document, **both_relay(document)})
    _, down = w.call(body=audio("192.0.2.7", 4000))
    down.respond(183, CARRIER_AUDIO)
    w.advance(2)
    down.respond(503)
    w.advance(2)
    assert bodies(w) == [(183, True)]
    w.backup.incoming().respond(183, CARRIER_AUDIO)
    w.advance(2.5)
    assert bodies(w) == [(183, True), (183, True)]
    w.advance(1)
    assert bodies(w) == [(183, True), (183, True), (180, False)]


@pytest.mark.parametrize("relays", ["both", "first", "second", "none"])
def test_each_trunk_that_was_heard_has_an_early_dialog_of_its_own(relays: str) -> None:
    """RFC 3261 12.1 and 13.2.1: one To tag has one session description; another trunk's comes with another tag."""
    document: dict[str, Any] = trunks(next_trunk_id=2, failover_after_ringing=True)
    for trunk, name in zip(document["sip_trunks"], ("first", "second"), strict=False):
        trunk["relay_media"] = "yes" if relays in ("both", name) else "no"
    w = RelayedWire(document)
    up, down = w.call(body=audio("192.0.2.7", 4000))
    down.respond(180)
    down.respond(183, CARRIER_AUDIO)
    w.advance()
    first = {each.to.tag for each in w.caller.responses()}
    assert len(first) == 1, "ringing and early media of one trunk are one early dialog"
    down.respond(503)
    w.advance(1)
    down = w.backup.incoming()
    down.respond(183, audio("192.0.2.9", 6000))
    w.advance()
    down.respond(200, audio("192.0.2.9", 6000))
    w.advance()
    described: dict[str | None, set[bytes]] = {}
    for response in w.caller.responses():
        if response.body:
            described.setdefault(response.to.tag, set()).add(response.body)
    assert len(described) == 2 and all(len(bodies) == 1 for bodies in described.values())
    tags = [each.to.tag for each in w.caller.responses()]
    assert up.answer.status == 200 and tags[-1] == tags[-2] and tags[-1] not in first
    # A request in the early dialog that is over changes nothing.
    old = up.make("BYE")
    old.headers[:] = [(name, value.replace(tags[-1] or "", tags[0] or "")) for name, value in old.headers]
    w.caller.send(old)
    up.ack()
    w.advance(1)
    assert w.caller.statuses("BYE") == [481] and len(w.switch.calls) == 1
    up.request("BYE")
    w.advance()
    w.backup.ok(w.backup.requests("BYE")[-1])
    assert w.record().end_cause == "normal"


@pytest.mark.parametrize("heard", [180, None])
def test_a_trunk_that_said_nothing_of_a_session_leaves_the_early_dialog_to_the_next(heard: int | None) -> None:
    w = RelayedWire(trunks(next_trunk_id=2, failover_after_ringing=True))
    up, down = w.call(body=audio("192.0.2.7", 4000))
    if heard:
        down.respond(heard)
    down.respond(503)
    w.advance(1)
    w.backup.incoming().respond(200, audio("192.0.2.9", 6000))
    w.advance()
    assert up.answer.status == 200
    assert len({each.to.tag for each in w.caller.responses()}) == 1


def test_a_cancelled_call_of_two_early_dialogs_ends() -> None:
    w = RelayedWire(trunks(next_trunk_id=2, failover_after_ringing=True))
    up, down = w.call(body=audio("192.0.2.7", 4000))
    down.respond(183, CARRIER_AUDIO)
    w.advance()
    down.respond(503)
    w.advance(1)
    down = w.backup.incoming()
    down.respond(183, audio("192.0.2.9", 6000))
    w.advance()
    up.cancel()
    w.advance()
    assert up.answer.status == 487
    up.ack_failure()
    w.backup.ok(w.backup.requests("CANCEL")[0])
    down.respond(487)
    assert w.record().end_cause == "cancelled"
