"""What a caller hears before the answer: the called side's early media, or nothing but that it rings."""

from __future__ import annotations

import pytest
from simulation.raw import OTHER_SDP, Wire, hang_up
from simulation.relayed import RelayedWire, audio
from simulation.test_calls import trunks
from simulation.test_relayed import ours
from simulation.world import SDP

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
