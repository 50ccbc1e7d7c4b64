"""Every way to end a call, in every state that it may be in: both legs released, one true record, nothing left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from simulation.raw import OTHER_SDP, RawPeer, Wire
from simulation.test_calls import trunks
from simulation.world import HOLD, SDP

from app.events import CallRecord
from app.records import Configuration
from app.records.document import read_document
from app.sip.message import Request, Response

BEFORE_THE_ANSWER = ("calling", "proceeding", "ringing", "early media", "reliable", "second trunk")
UNACKNOWLEDGED = ("answered", "kept back")
TALKING = ("talking", "held", "offered up", "offered down", "proceeding offer", "late offer")
NO_TAG_YET = ("calling", "proceeding", "second trunk")
"""Before the first answer above 100 the caller knows no tag of ours, and so there is no dialog to end."""
STATES = (*BEFORE_THE_ANSWER, *UNACKNOWLEDGED, *TALKING)


def document(**first_trunk: Any) -> dict[str, object]:
    made = trunks(next_trunk_id=2, **first_trunk)
    made["system"] = {"no_answer_timeout": 30}
    return made


class Ends:
    """The two ends of a call that was brought into a state."""

    def __init__(self, state: str, **system: Any) -> None:
        made = document()
        made["system"] = {"no_answer_timeout": 30, **system}
        self.wire = w = Wire(made)
        self.state = state
        headers = [("Require", "100rel")] if state in ("reliable", "kept back") else []
        self.up = w.caller.invite("135550", headers=headers, body=None if state == "late offer" else SDP)
        w.advance()
        self.down = w.carrier.incoming()
        self.target: RawPeer = w.carrier
        w.caller.on_message = self._polite(w.caller)
        w.carrier.on_message = self._polite(w.carrier)
        w.backup.on_message = self._polite(w.backup)
        _REACH[state](self)

    def _polite(self, peer: RawPeer) -> Callable[[Request | Response], None]:
        """A peer that answers BYE and CANCEL, gives a cancelled INVITE its 487, and acknowledges failures."""

        def on_message(message: Request | Response) -> None:
            if isinstance(message, Response):
                if message.cseq.method == "INVITE" and message.status >= 300 and message.cseq.number == 1:
                    self.up.ack_failure()
                return
            if message.method in ("BYE", "CANCEL"):
                peer.ok(message)
            if message.method == "CANCEL":
                invite = next(each for each in peer.requests("INVITE") if each.via.branch == message.via.branch)
                peer.send(invite.answer(487, None, "cancelled"))

        return on_message

    def answer(self) -> None:
        self.down.respond(200, OTHER_SDP)
        self.wire.advance()

    def talk(self) -> None:
        self.answer()
        self.up.ack()
        self.wire.advance()

    def finish(self) -> CallRecord:
        """Let the peers finish politely; what no state may leave undone is checked here."""
        w = self.wire
        w.advance(1)
        if self.state == "answered":
            self.up.ack()
        record = w.record()
        assert record.ended >= record.answered >= 0
        assert record.talk_seconds == pytest.approx(record.ended - record.answered if record.answered else 0, abs=0.01)
        assert record.trail[-1].startswith("end: ")
        finals = [each for each in w.caller.responses(above=199) if each.cseq.number == 1]
        assert {each.status for each in finals} == {record.status}
        return record


def _second_trunk(ends: Ends) -> None:
    ends.down.respond(503)
    ends.wire.advance()
    ends.down = ends.wire.backup.incoming()
    ends.target = ends.wire.backup


def _respond(*answers: tuple[int, Any]) -> Callable[[Ends], None]:
    def reach(ends: Ends) -> None:
        for status, body in answers:
            ends.down.respond(status, body)
            ends.wire.advance()

    return reach


def _offered(up: bool, word: int = 0) -> Callable[[Ends], None]:
    def reach(ends: Ends) -> None:
        ends.talk()
        (ends.up if up else ends.down).request("INVITE", HOLD)
        ends.wire.advance()
        if word:
            other = ends.down if up else ends.up
            other.respond(word, request=other.peer.requests("INVITE")[-1])
            ends.wire.advance()

    return reach


def _held(ends: Ends) -> None:
    ends.talk()
    ends.up.request("INVITE", HOLD)
    ends.wire.advance()
    ends.down.respond(200, HOLD, request=ends.target.requests("INVITE")[-1])
    ends.wire.advance()
    ends.up.ack(cseq=2)
    ends.wire.advance()


def _late(ends: Ends) -> None:
    ends.answer()
    ends.up.ack(SDP)
    ends.wire.advance()


_REACH: dict[str, Callable[[Ends], None]] = {
    "calling": lambda ends: None,
    "proceeding": _respond((100, None)),
    "ringing": _respond((180, None)),
    "early media": _respond((183, SDP)),
    "reliable": _respond((180, None)),
    "second trunk": _second_trunk,
    "answered": Ends.answer,
    "kept back": _respond((183, SDP), (200, SDP)),
    "talking": Ends.talk,
    "held": _held,
    "offered up": _offered(True),
    "offered down": _offered(False),
    "proceeding offer": _offered(True, 100),
    "late offer": _late,
}


def test_every_state_is_what_it_says() -> None:
    seen = {state: next(iter(Ends(state).wire.switch.calls.values())).state.value for state in STATES}
    assert seen == {
        "calling": "calling",
        "proceeding": "calling",
        "ringing": "ringing",
        "early media": "ringing",
        "reliable": "ringing",
        "second trunk": "calling",
        "answered": "talking",
        "kept back": "talking",
        "talking": "talking",
        "held": "held",
        "offered up": "talking",
        "offered down": "talking",
        "proceeding offer": "talking",
        "late offer": "talking",
    }


@pytest.mark.parametrize("state", STATES)
def test_hung_up_in_the_window(state: str) -> None:
    ends = Ends(state)
    (call_id,) = ends.wire.switch.calls
    assert ends.wire.switch.hang_up(call_id)
    assert not ends.wire.switch.hang_up(call_id)
    record = ends.finish()
    assert (record.end_cause, record.ended_by) == ("hung_up_here", "server")
    assert record.status == (480 if state in (*BEFORE_THE_ANSWER, "kept back") else 200)
    assert record.target == ("trunk:2" if state == "second trunk" else "trunk:1")
    assert record.attempts[-1].target == record.target


@pytest.mark.parametrize("state", STATES)
def test_shutting_down(state: str) -> None:
    ends = Ends(state)
    ends.wire.switch.close()
    assert not ends.wire.switch.calls
    record = ends.finish()
    assert (record.end_cause, record.ended_by) == ("shutdown", "server")
    assert record.status == (503 if state in (*BEFORE_THE_ANSWER, "kept back") else 200)
    late = ends.wire.caller.invite("135551")
    ends.wire.advance()
    assert [each.status for each in ends.wire.caller.responses() if each.call_id == late.call_id] == [503]


@pytest.mark.parametrize("state", STATES)
def test_the_longest_call_time_is_over(state: str) -> None:
    ends = Ends(state, max_call_seconds=20)
    if state == "answered":
        ends.up.ack()
    if state in ("calling", "proceeding", "second trunk"):
        ends.down.respond(180)
    ends.wire.advance(20)
    record = ends.finish()
    assert (record.end_cause, record.ended_by) == ("longest_call", "server")
    assert record.ended - record.started == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("state", [*BEFORE_THE_ANSWER, "kept back"])
def test_cancelled_by_the_caller(state: str) -> None:
    ends = Ends(state)
    ends.up.cancel()
    ends.wire.advance()
    if state in ("calling", "second trunk"):
        ends.down.respond(100)
    record = ends.finish()
    assert (record.status, record.end_cause, record.ended_by) == (487, "cancelled", "caller")
    assert record.answered == 0


@pytest.mark.parametrize("state", [state for state in STATES if state not in NO_TAG_YET])
def test_bye_of_the_caller(state: str) -> None:
    ends = Ends(state)
    ends.up.request("BYE")
    ends.wire.advance()
    assert ends.wire.caller.statuses("BYE") == [200]
    record = ends.finish()
    assert (record.end_cause, record.ended_by) == (
        ("cancelled", "caller") if state in (*BEFORE_THE_ANSWER, "kept back") else ("normal", "caller")
    )


@pytest.mark.parametrize("state", [*UNACKNOWLEDGED, *TALKING])
def test_bye_of_the_called_side(state: str) -> None:
    ends = Ends(state)
    ends.down.request("BYE")
    ends.wire.advance()
    assert ends.target.statuses("BYE") == [200]
    record = ends.finish()
    assert (record.end_cause, record.ended_by) == ("normal", "called")


@pytest.mark.parametrize("state", STATES)
def test_everything_is_deleted_during_the_call_and_it_goes_on(state: str) -> None:
    """Trunks, dial plan and users are gone: calls keep what they were set up with, and end as if nothing was."""
    ends = Ends(state)
    w = ends.wire
    w.switch.configure(Configuration())
    assert len(w.switch.calls) == 1
    assert not w.switch.trunks.rows()
    before = len(w.carrier.received) + len(w.backup.received)
    if state in BEFORE_THE_ANSWER:
        ends.down.respond(200, OTHER_SDP)
        w.advance()
        if state == "reliable":
            ends.up.request("PRACK", headers=[("RAck", f"{w.caller.responses()[0].get('RSeq')} 1 INVITE")])
            w.advance()
        assert w.caller.statuses()[-1] == 200
        ends.up.ack()
        w.advance()
    elif state == "kept back":
        ends.up.request("PRACK", headers=[("RAck", f"{w.caller.responses()[0].get('RSeq')} 1 INVITE")])
        w.advance()
        ends.up.ack()
        w.advance()
    elif state == "answered":
        ends.up.ack()
        w.advance()
        ends.state = "talking"
    assert len(w.switch.calls) == 1
    ends.up.request("BYE")
    w.advance()
    assert len(w.carrier.received) + len(w.backup.received) > before
    record = ends.finish()
    assert (record.status, record.end_cause) == (200, "normal")


@pytest.mark.parametrize("state", STATES)
def test_limit_0_with_a_call_running(state: str) -> None:
    """The call goes on; no further one is taken; back at 30 the next one is."""
    ends = Ends(state)
    w = ends.wire
    closed = document(max_outgoing_calls=0)
    closed["sip_trunks"][1]["max_outgoing_calls"] = 0  # type: ignore[index]
    w.switch.configure(read_document(closed, Configuration(), replace=True))
    assert len(w.switch.calls) == 1
    w.caller.on_message = None
    second = w.caller.invite("135551")
    w.advance()
    assert [each.status for each in w.caller.responses() if each.call_id == second.call_id] == [503]
    second.ack_failure()
    w.switch.configure(read_document(document(), Configuration(), replace=True))
    third = w.caller.invite("135552")
    w.advance()
    assert w.carrier.incoming().invite.uri.user == "135552"
    w.carrier.incoming().respond(486)
    w.advance()
    third.ack_failure()
    (call_id,) = w.switch.calls
    w.caller.on_message = ends._polite(w.caller)
    w.switch.hang_up(call_id)
    w.advance(1)
    ends.up.ack()
    w.settle()
    assert [record.status for record in w.world.recorder.ended][:2] == [503, 486]
    assert w.world.recorder.ended[0].end_cause == "limit"


@pytest.mark.parametrize("state", STATES)
def test_the_called_side_dies(state: str) -> None:
    """It neither says nor hears anything any more; the caller hangs up, cancels, or is told."""
    ends = Ends(state)
    w = ends.wire
    w.world.dead.update({"192.0.2.8", "192.0.2.9"})
    if state in (*BEFORE_THE_ANSWER, "kept back"):
        w.advance(45)
    elif state == "answered":
        ends.up.ack()
        w.advance()
        ends.state = "talking"
    if w.switch.calls:
        ends.up.request("BYE")
    record = ends.finish()
    assert record.end_cause in ("no_answer", "trunk_failed", "normal", "error", "ack_missing")
    assert record.status in (408, 503, 504, 200)


@pytest.mark.parametrize("state", STATES)
def test_the_caller_dies(state: str) -> None:
    """A dead caller is found by what it does not answer; a call without traffic by its session timer."""
    ends = Ends(state, session_expires=90)
    w = ends.wire
    w.world.dead.add("192.0.2.7")
    w.carrier.on_message = ends._polite(w.carrier)
    w.advance(40)
    if w.switch.calls:
        # No session timer was agreed on (the caller did not name any), so somebody has to hang up.
        ends.down.request("BYE")
        w.advance(40)
    w.settle(200)
    (record,) = w.world.recorder.ended
    assert record.end_cause in ("no_answer", "ack_missing", "normal", "error", "trunk_failed")


@pytest.mark.parametrize("state", BEFORE_THE_ANSWER)
def test_nobody_answers_in_time(state: str) -> None:
    ends = Ends(state)
    w = ends.wire
    if state in ("calling", "second trunk"):
        ends.down.respond(100)
    w.advance(31)
    if state in ("calling", "proceeding"):
        # It never rang, and 408 is a reason to try the next trunk, which is silent for 5 seconds.
        w.advance(6)
        assert len(w.backup.requests("INVITE")) >= 1
    record = ends.finish()
    expected = {"calling": (408, "trunk_failed"), "proceeding": (408, "trunk_failed"), "reliable": (408, "no_answer")}
    assert (record.status, record.end_cause) == expected.get(state, (408, "no_answer"))


def test_a_call_that_ends_in_the_very_message_that_began_it() -> None:
    """The only target is a phone that is not registered: one record, no INVITE, no begin without an end."""
    w = Wire(document())
    up = w.caller.invite("100")
    w.advance()
    assert w.caller.statuses() == [480]
    up.ack_failure()
    record = w.record()
    assert (record.status, record.end_cause) == (480, "no_answer")
    assert not w.world.recorder.started


def test_the_record_of_the_begin_is_written_once_and_says_so() -> None:
    ends = Ends("ringing")
    (started,) = ends.wire.world.recorder.started
    assert (started.ended, started.status, started.end_cause) == (0, 0, "")
    assert started.id == ends.finish().id


def test_a_call_that_is_talked_on_is_kept_as_answered_once() -> None:
    """Should the program die, its record says that it was answered and when."""
    ends = Ends("talking")
    world, switch = ends.wire.world, ends.wire.switch
    (begin,) = world.recorder.started
    switch.sample()
    assert world.recorder.started == [begin], "most calls are over soon: not at once"
    for _ in range(10):
        ends.wire.advance(1)
        switch.sample()
    (_, kept) = world.recorder.started
    assert (kept.id, kept.ended, kept.status) == (begin.id, 0, 200)
    ends.up.request("BYE")
    ended = ends.finish()
    assert kept.answered == ended.answered > 0
    assert kept.attempts == ended.attempts


@pytest.mark.parametrize("state", [state for state in STATES if state not in TALKING])
def test_the_callers_own_time_is_over(state: str) -> None:
    """RFC 3261 13.3.1: an INVITE with Expires gets 487 unless it has its answer by then."""
    made = document()
    w = Wire(made)
    ends = Ends.__new__(Ends)
    ends.wire, ends.state, ends.target = w, state, w.carrier
    headers = [("Expires", "3"), *([("Require", "100rel")] if state in ("reliable", "kept back") else [])]
    ends.up = w.caller.invite("135550", headers=headers)
    w.advance()
    ends.down = w.carrier.incoming()
    for peer in (w.caller, w.carrier, w.backup):
        peer.on_message = ends._polite(peer)
    _REACH[state](ends)
    w.advance(3)
    if state == "answered":
        ends.up.ack()
        w.advance()
        assert len(w.switch.calls) == 1
        ends.up.request("BYE")
        ends.state = "talking"
    elif state in ("calling", "second trunk"):
        ends.down.respond(100)
    record = ends.finish()
    expected = (200, "normal") if state == "answered" else (487, "no_answer")
    assert (record.status, record.end_cause) == expected
    assert (record.answered > 0) is (state == "answered")


@pytest.mark.expects_log("could not be handled")
@pytest.mark.parametrize("state", [state for state in STATES if state not in UNACKNOWLEDGED])
def test_a_bug_of_ours_costs_one_call_and_nothing_that_it_holds(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = Ends(state)
    w = ends.wire

    def broken(*_arguments: object, **_named: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(w.switch.users, "call_changed", broken)
    monkeypatch.setattr("app.calls.call.Call.cross", broken)
    if state in BEFORE_THE_ANSWER:
        ends.down.respond(200, OTHER_SDP)
    elif state in ("offered up", "proceeding offer"):
        ends.down.respond(200, OTHER_SDP, request=ends.target.requests("INVITE")[-1])
    elif state == "offered down":
        ends.up.respond(200, OTHER_SDP, request=w.caller.requests("INVITE")[-1])
    else:
        ends.up.request("INVITE", OTHER_SDP)
    w.advance()
    record = ends.finish()
    assert (record.end_cause, record.ended_by) == ("error", "server")
    assert record.status in (200, 500)


@pytest.mark.expects_log("could not be handled")
def test_a_bug_while_a_call_is_routed(monkeypatch: pytest.MonkeyPatch) -> None:
    w = Wire(document())

    def broken(*_arguments: object, **_named: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(w.switch._dialling, "dial", broken)
    up = w.caller.invite("135550")
    w.advance()
    assert w.caller.statuses() == [500]
    up.ack_failure()
    record = w.record()
    assert (record.status, record.end_cause) == (500, "error")


@pytest.mark.expects_log("could not be handled")
def test_a_bug_in_a_request_outside_of_calls_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    w = Wire(document())

    def broken(*_arguments: object, **_named: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(w.switch.authentication, "identify", broken)
    w.caller.invite("135550")
    w.advance()
    assert w.caller.statuses() == [500]
    w.settle()


def test_a_redirection_that_cannot_be_read_ends_the_call_as_one_that_leads_nowhere() -> None:
    w = Wire(trunks())
    up, down = w.call()
    down.respond(302, headers=[("Contact", '"never closed <sip:elsewhere.test')])
    w.advance(2)
    assert w.caller.statuses("INVITE")[-1] >= 300
    up.ack_failure()
    record = w.record()
    assert (record.attempts[0].status, record.answered) == (302, 0.0)
