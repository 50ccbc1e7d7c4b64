"""One call: its caller, the target that is being tried, and what passes between the legs until both have ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.calls.call_neighbours import CallMedia, Dialler, Party
from app.calls.call_words import (
    FORWARDED,
    GLOBAL_FAILURES,
    STATUS_OF_AN_END,
    UNHEARD,
    UNUSABLE_REASON,
    PressedDigit,
    at_which_address,
    better_failure,
    cause_of_failure,
    cause_of_rejection,
    digit_of,
    info_body,
    may_fail_over,
    words_of_end,
    words_of_failover,
)
from app.calls.called_leg import CalledLeg
from app.calls.caller_leg import CallerLeg
from app.calls.counters import Held
from app.calls.elsewhere import Elsewhere
from app.calls.identity import CallerIdentity
from app.calls.leg import Leg
from app.calls.leg_events import (
    Acknowledged,
    Answered,
    Body,
    Cancelled,
    EndCause,
    Failed,
    FailureKind,
    HungUp,
    InfoAnswered,
    Informed,
    LegEvent,
    OfferAnswered,
    OfferCancelled,
    Offered,
    OfferRefused,
    Redirected,
    Referred,
    Ringing,
)
from app.calls.offers import Offers
from app.calls.refusals import passed_on
from app.calls.stand_in import StandIn
from app.dialplan.decision import LIMIT_WORDS, Dial, DialTarget, RouteDecision, Skipped
from app.dialplan.request import CallRequest, Source
from app.errors import RemoteError
from app.events import Attempt, CallRecord, CallRow, CallState
from app.records import RouteType
from app.records.trunks import OutgoingFields

if TYPE_CHECKING:
    from app.calls.transfer import Transfer
    from app.clock import Deadline
    from app.sip.flow import Flow

MAXIMUM_DIGITS = 64
"""So many DTMF digits of a call are shown."""
MAXIMUM_TRAIL = 200
"""So many steps of the trail are kept when its own peers add to it."""
MAXIMUM_AUDIO_STEPS = 20
"""So many times the trail says that audio is missing, or is there again."""
MAXIMUM_ATTEMPTS = 64
"""So many attempts of a call are kept; a call never makes more."""
CLOCK_WAS_SET = 2.0
"""Seconds by which the clock on the wall may drift away from the other one; more is no drift: somebody has set it."""

CALLER, CALLED, SERVER = "caller", "called", "server"


class Call:
    """The state of one call. It hears leg events, and answers them with what the other leg shall do."""

    def __init__(
        self,
        dialler: Dialler,
        call_id: str,
        node: str,
        caller: CallerLeg | StandIn,
        source: Source,
        request: CallRequest,
        identity: CallerIdentity,
        no_answer_timeout: int,
    ) -> None:
        self.id = call_id
        self.node = node
        self.caller = caller
        self.source = source
        self.request = request
        self.identity = identity
        self.called: CalledLeg | StandIn | None = None
        """The leg that has answered."""
        self.party_in = Party(source, request.caller_number, identity.display, identity.private)
        """Who is on the caller's side: after a transfer another one than has called."""
        self.party_out: Party | None = None
        """Who is on the called side after a transfer; before, the target is."""
        self.presented: CallerIdentity | None = None
        """How local users are shown the caller, where that is not `identity`: the party that is transferred to them."""
        self.transfer: Transfer | None = None
        """What is under way to take a side of the call elsewhere."""
        self.transfers = 0
        """How many transfers have led to this call, one after the other."""
        self.state = CallState.ROUTING
        self.started = dialler.wall()
        self._started_at = dialler.monotonic()
        self.answered = 0.0
        self.finished = 0.0
        self.status = 0
        self.cause: EndCause | None = None
        self.ended_by = ""
        self.text = ""
        self.digits = ""
        self.attempts: list[Attempt] = []
        self.holds: list[Held] = []
        """What the call holds for its source until it ends; `_target_holds` is the same for its target."""
        self.target: DialTarget | None = None
        self.trail: list[object] = []
        """Steps of the routing; their words are made when the record is."""
        self._audio_steps = 0
        self._trail_words: list[str] = []
        """The words of the first steps of the trail, made once for both records of a call: its begin and its end."""
        self.external_for: list[str] = []
        """The names of the sources whose external call this is, as far as they have bounds."""
        self.ways: tuple[Flow, ...] = ()
        """The ways to the addresses of the target that is being tried, in their order."""
        self.media: CallMedia | None = None
        self._elsewhere = Elsewhere()
        self._dialler = dialler
        self._no_answer_default = no_answer_timeout
        self._targets: tuple[DialTarget, ...] = ()
        self._next = 0
        self._way = 0
        self.forks: list[CalledLeg] = []
        """The legs of the attempt that is under way."""
        self._offers = Offers(self)
        self._target_holds: list[Held] = []
        self._began = 0.0
        self._rang = False
        self._best: Failed | None = None
        self._last_answer: Failed | None = None
        self._no_answer: Deadline | None = None
        self._longest: Deadline | None = None
        self._expiry: Deadline | None = None

    def _wall(self) -> float:
        """Seconds since the epoch, counted from the beginning of the call: a clock that is set does not change it."""
        return self.started + self._dialler.monotonic() - self._started_at

    # --- routing ------------------------------------------------------------------------------------------------------

    def route(self, decision: RouteDecision) -> None:
        """Follow a decision of the dial plan: dial its targets in turn, or refuse the call."""
        self.trail.extend(decision.trail)
        for skipped in decision.skipped:
            self.note_skipped(skipped)
        if not isinstance(decision, Dial):
            self.refuse(decision.status, decision.reason, cause_of_rejection(decision.status), decision.text)
            return
        self._targets = decision.targets
        self._next = 0
        self._dial_next()

    def refuse(
        self, status: int, reason: str, cause: EndCause, text: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Answer the caller with a final failure and end the call."""
        self.status = status
        self.text = text
        self.caller.refuse(status, reason, headers)
        self._end(cause, SERVER)

    def _dial_next(self) -> None:
        """Try the next target that takes the call."""
        while self._next < len(self._targets):
            target = self._targets[self._next]
            self._next += 1
            self._way = 0
            if self._dial(target):
                return
        self._give_up()

    def _dial(self, target: DialTarget) -> bool:
        """Begin an attempt; False when the target failed at once, with its reason noted."""
        dialler = self._dialler
        self._offers.attempt()
        self.target = target
        self._began = self._wall()
        self._rang = False
        self._best = None
        if not self._target_holds:
            hold = dialler.hold(target)
            if isinstance(hold, str):
                self._note(target.name, target.called_number, self._began, 0, hold)
                return False
            self._target_holds.append(hold)
        self.state = CallState.CALLING
        self.text = f"calling {target.name}"
        try:
            legs = dialler.dial(self, target, self._way)
        except RemoteError as error:
            text = f"the session description cannot be used: {error.detail or error.reason}"
            if error.status == 488 and self._next < len(self._targets):
                # What this target may not be offered says nothing of the next one.
                self._release_target()
                self._note(target.name, target.called_number, self._began, error.status, text)
                self._last_answer = self._last_answer or Failed(error.status, error.reason, FailureKind.LOCAL)
                return False
            # The caller's offer cannot be relayed: no target would get anything usable.
            self.refuse(error.status, error.reason, EndCause.REJECTED, text)
            return True
        if isinstance(legs, str):
            self._release_target()
            if self._way == 0:
                self._note(target.name, target.called_number, self._began, 0, legs)
            return False
        self.forks = legs
        record = target.record
        own = record.no_answer_timeout if isinstance(record, OutgoingFields) else 0
        self._no_answer = dialler.schedule(own or self._no_answer_default, self._on_no_answer)
        within = float(record.first_response_timeout) if isinstance(record, OutgoingFields) else 10.0
        dialler.changed(self)
        for leg in tuple(legs):
            leg.invite(within)
        return True

    def _give_up(self) -> None:
        """No target is left: the caller gets the last peer's final status, or 503 where no peer gave one."""
        failure = self._last_answer
        if failure is None or failure.status not in GLOBAL_FAILURES:
            elsewhere = self._elsewhere.next(self, self._dialler.redirect)
            if elsewhere is not None:
                self.route(elsewhere)
                return
        if failure is None:
            text = self.attempts[-1].reason if self.attempts else "nobody can take the call"
            failure = Failed(503, "", FailureKind.LOCAL)
            self.text = f"no target is left: {text}"
        else:
            self.text = str(failure) if failure.kind is FailureKind.ANSWER else f"{failure.status} {failure}"
        target = self.target
        if failure.kind in UNHEARD and target is not None and target.kind is RouteType.LOCAL_USER:
            # A phone that is switched off, or behind a way that is gone, is no trouble of this server's.
            failure = failure._replace(status=480, reason="", kind=FailureKind.LOCAL)
        status = passed_on(failure.status)
        headers = (("Retry-After", failure.retry_after),) if failure.retry_after.isdecimal() else ()
        self.status = status
        # Only a peer's own words go on to the caller: ours name addresses that are none of its business.
        own = failure.kind is FailureKind.ANSWER and status == failure.status
        self.caller.refuse(status, failure.reason if own else "", headers)
        cause = cause_of_failure(status, failure.kind)
        if self._last_answer is None and any(attempt.reason.startswith(LIMIT_WORDS) for attempt in self.attempts):
            cause = EndCause.LIMIT
        self._end(cause, CALLED if failure.kind is FailureKind.ANSWER else SERVER)

    def note_skipped(self, skipped: Skipped) -> None:
        """A target was passed over without a try."""
        self._note(skipped.name, "", self._wall(), 0, skipped.reason)

    def _note(self, name: str, number: str, at: float, status: int, reason: str) -> None:
        if len(self.attempts) < MAXIMUM_ATTEMPTS:
            self.attempts.append(Attempt(name, number, at, status, reason))

    def _release_target(self) -> None:
        holds, self._target_holds = self._target_holds, []
        for hold in holds:
            hold.release()

    # --- events before the answer -------------------------------------------------------------------------------------

    def handle(self, leg: Leg, event: LegEvent) -> None:
        """Something happened on a leg (LegOwner)."""
        if self.state is CallState.ENDED:
            return
        try:
            _HANDLERS[type(event)](self, leg, event)
        except RemoteError as error:
            self._unusable(leg, error)
        except Exception:
            self.break_off()
            raise

    def break_off(self) -> None:
        """A bug of ours must cost one call and nothing that it holds (called while the error is being raised)."""
        self.hang_up(EndCause.ERROR, "an error in this server ended the call")

    def _unusable(self, leg: Leg, error: RemoteError) -> None:
        """A session description that no relay can use ends the call, or its attempt: nobody would hear anything."""
        text = f"the {self.side_of(leg)} side's session description cannot be used: {error.detail or error.reason}"
        if isinstance(leg, CalledLeg) and not self.caller.answered:
            self._attempt_unusable(leg, text)
            return
        self.status = self.status if self.answered else error.status
        self.text = text
        self._drop_forks("")
        if self.called is not None:
            self.called.hang_up()
        if self.caller.answered:
            self.caller.hang_up()
        else:
            self.caller.refuse(error.status, error.reason)
        self._end(EndCause.REJECTED, SERVER)

    def _attempt_unusable(self, leg: CalledLeg, text: str) -> None:
        """A called side has given nonsense for its session: to the caller, whose INVITE was fine, we are a gateway that
        got an invalid response (RFC 3261 21.5.3). The attempt fails so; one that was answered counts as one that rang.
        """
        leg.hang_up(UNUSABLE_REASON)
        failure = Failed(502, text, FailureKind.LOCAL)
        if self.called is leg:
            self.called, self.answered = None, 0.0
            self.attempts.pop()
            failure = failure._replace(reason=f"it answered with 200, but {text}")
        self._rang = True
        others = [each for each in self.forks if each is not leg]
        if self.target is not None and self._next < len(self._targets) and not others:
            self.trail.append(words_of_failover(self.target, self._targets[self._next], failure))
        self._on_failed(leg, failure)

    def _on_ringing(self, leg: Leg, event: Ringing) -> None:
        self._rang = True
        self.status = event.status
        if self.state is CallState.CALLING:
            self.state = CallState.RINGING
            self.text = "early media" if event.body is not None else "ringing"
            self._dialler.changed(self)
        if isinstance(leg, CalledLeg):
            self._offers.ringing(leg, event)

    def _on_answered(self, leg: Leg, event: Answered) -> None:
        if not isinstance(leg, CalledLeg):
            return
        self._stop_no_answer()
        self.called = leg
        for other in self.forks:
            if other is not leg:
                other.cancel('SIP;cause=200;text="Call completed elsewhere"')
        self.forks = []
        target = self.target
        if target is not None:
            self._note(target.name, target.called_number, self._began, 200, "200 OK")
            self._dialler.outcome(self, target, None)
            self._target_holds.extend(self._dialler.talks(self, target))
        self.state = CallState.TALKING
        self.status = 200
        self.text = "talking"
        self.answered = self._wall()
        self._offers.answered(leg, event.body)
        if self.cause is not None:
            return
        if self.media is not None:
            self.media.established()
        self._dialler.changed(self)

    def limit_to(self, seconds: int) -> None:
        """End the call after so many seconds, whatever happens."""
        if seconds:
            self._longest = self._dialler.schedule(seconds, self._on_longest)

    def _on_longest(self, _now: float) -> None:
        self._longest = None
        self.hang_up(EndCause.LONGEST_CALL, "the longest call time is over")

    def expire_in(self, seconds: int) -> None:
        """The caller wants an answer within so many seconds (RFC 3261 13.3.1)."""
        self._expiry = self._dialler.schedule(seconds, self._on_expired)

    def _on_expired(self, _now: float) -> None:
        self._expiry = None
        if self.caller.answered:
            return
        self.text = "the caller's time for an answer is over"
        self._drop_forks('SIP;cause=487;text="Invitation expired"')
        if self.called is not None:
            self.called.hang_up()
        self.caller.refuse(487)
        self._end(EndCause.NO_ANSWER, SERVER)

    def _on_failed(self, leg: Leg, event: Failed) -> None:
        if isinstance(leg, CalledLeg) and leg in self.forks:
            self.forks.remove(leg)
        self._best = better_failure(self._best, event)
        if event.status in GLOBAL_FAILURES:
            # RFC 3261 16.7 step 5: the user has declined, for all of its phones.
            for other in self.forks:
                other.cancel()
            self.forks = []
        if self.forks:
            self._offers.gone(leg)
        elif self.called is None:
            self._attempt_failed(self._best)

    def _attempt_failed(self, failure: Failed) -> None:
        """The target will not take the call: its next address, the next target, or the end."""
        self._stop_no_answer()
        target = self.target
        if target is None:
            return
        status = failure.status if failure.kind is FailureKind.ANSWER else 0
        self._note(
            target.name,
            target.called_number,
            self._began,
            status,
            f"{failure}{at_which_address(target, self.ways, self._way)}",
        )
        self._last_answer = failure
        self._dialler.outcome(self, target, failure)
        if self._rang and not (isinstance(target.record, OutgoingFields) and target.record.failover_after_ringing):
            self._release_target()
            self._give_up()
            return
        # RFC 3263 4.3: another address of the same server is tried before another server. Not after our own patience
        # with a called side that was heard: that one is there.
        if failure.kind in UNHEARD or (failure.kind is FailureKind.ANSWER and failure.status == 503):
            self._way += 1
            if self._dial(target):
                return
        self._release_target()
        if may_fail_over(target, failure):
            self._dial_next()
        else:
            self._give_up()

    def _on_no_answer(self, _now: float) -> None:
        """Nobody answered in time: the attempt ends as if the target had said 408."""
        self._no_answer = None
        for leg in self.forks:
            leg.cancel('SIP;cause=408;text="No answer"')
        self.forks = []
        if self.state not in (CallState.CALLING, CallState.RINGING):
            return
        self._attempt_failed(Failed(408, "no answer in time", FailureKind.LOCAL))

    def _stop_no_answer(self) -> None:
        if self._no_answer is not None:
            self._no_answer.cancel()
            self._no_answer = None

    def _on_redirected(self, leg: Leg, event: Redirected) -> None:
        """RFC 3261 8.1.3.4: the called side names another address; a local user's phone forwards its calls so."""
        target, failure = self.target, Failed(event.status, event.reason, FailureKind.ANSWER)
        if target is not None and len(self.forks) == 1 and isinstance(leg, CalledLeg):
            decision = self._elsewhere.sent(self, target, event, self._dialler.redirect)
            if decision is not None:
                self._stop_no_answer()
                self._dialler.outcome(self, target, failure)
                self.forks = []
                self._note(target.name, target.called_number, self._began, event.status, FORWARDED)
                self._release_target()
                self.route(decision)
                return
        self._on_failed(leg, failure)

    def _on_cancelled(self, _leg: Leg, event: Cancelled) -> None:
        self.status = 487
        self.text = "cancelled by the caller"
        if self.called is not None:
            # The answer was on its way, kept back by early media that the caller had not acknowledged.
            self.called.hang_up(event.reason)
        self._drop_forks(event.reason)
        self._end(EndCause.CANCELLED, CALLER)

    def _drop_forks(self, reason: str) -> None:
        """Cancel the attempt that is under way, and note that; `self.text` says why. `reason`: a Reason header."""
        for leg in self.forks:
            leg.cancel(reason)
        target = self.target
        if self.forks and target is not None:
            self._note(target.name, target.called_number, self._began, 0, self.text)
        self.forks = []

    # --- events after the answer --------------------------------------------------------------------------------------

    def other(self, leg: Leg) -> Leg | None:
        """The leg at the other end."""
        if leg is self.caller:
            return self.called
        return self.caller if leg is self.called else None

    def show(self, state: CallState) -> None:
        """The call is being held, or goes on."""
        if state is not self.state:
            self.state = state
            self.text = "on hold" if state is CallState.HELD else "talking"
            self._dialler.changed(self)

    def _on_acknowledged(self, leg: Leg, event: Acknowledged) -> None:
        self._offers.acknowledged(leg, event)

    def _on_offered(self, leg: Leg, event: Offered) -> None:
        self._offers.offered(leg, event)

    def _on_offer_cancelled(self, leg: Leg, event: OfferCancelled) -> None:
        self._offers.cancelled(leg, event)

    def _on_offer_answered(self, leg: Leg, event: OfferAnswered) -> None:
        self._offers.accepted(leg, event)

    def _on_offer_refused(self, leg: Leg, event: OfferRefused) -> None:
        self._offers.refused(leg, event)

    def _on_informed(self, leg: Leg, event: Informed) -> None:
        pressed = digit_of(event.body) if event.body is not None else PressedDigit("")
        if pressed.digit:
            self.pressed(pressed.digit)
            if self.media is not None and self.media.press(leg is not self.caller, pressed):
                # The other side takes digits in its audio: there it gets it, and the INFO ends here.
                leg.answer_info(200, "")
                return
        other = self.other(leg)
        if other is None or not other.inform(event.body, event.package):
            leg.answer_info(500, "")

    def pressed(self, digit: str) -> None:
        """A DTMF digit has passed."""
        if len(self.digits) < MAXIMUM_DIGITS:
            self.digits += digit
            self._dialler.changed(self)

    def _on_info_answered(self, leg: Leg, event: InfoAnswered) -> None:
        other = self.other(leg)
        if other is not None:
            other.answer_info(event.status, event.reason)

    def _on_referred(self, leg: Leg, event: Referred) -> None:
        self._dialler.refer(self, leg, event)

    def _on_hung_up(self, leg: Leg, event: HungUp) -> None:
        if self.transfer is not None and self.transfer.goes_on_without(leg):
            return
        by = self.side_of(leg)
        early = leg is self.caller and self.caller.status != 200
        self.text = words_of_end(event, by, leg.contact, early=early)
        other = self.other(leg)
        if other is not None:
            other.hang_up(event.reason)
        self._drop_forks("")
        if other is None and leg is not self.caller:
            self.caller.hang_up()
        self._end(event.cause, by if event.cause is EndCause.NORMAL else SERVER)

    # --- from this side -----------------------------------------------------------------------------------------------

    def hang_up(self, cause: EndCause, text: str, by: str = SERVER) -> None:
        """End the call from here, whatever it is doing."""
        if self.state is CallState.ENDED:
            return
        self.text = text
        reason = 'SIP;cause=503;text="Shutting down"' if cause is EndCause.SHUTDOWN else ""
        if not self.caller.answered:
            self.status = STATUS_OF_AN_END.get(cause, 480)
        self._drop_forks(reason)
        if self.called is not None:
            self.called.hang_up(reason)
        if self.caller.answered:
            self.caller.hang_up(reason)
        else:
            self.caller.refuse(self.status)
        self._end(cause, by)

    # --- transfers ----------------------------------------------------------------------------------------------------

    def side_of(self, leg: Leg) -> str:
        """Which side a leg is, in a word."""
        return CALLER if leg is self.caller else CALLED

    def party(self, leg: Leg) -> Party:
        """Who is on the side of this leg."""
        if leg is self.caller:
            return self.party_in
        if self.party_out is not None or self.target is None:
            return self.party_out or Party(self.source, "")
        return Party(Source.parse(self.target.name), self.target.called_number)

    def move_in(self, leg: Leg, party: Party | None) -> None:
        """Note who is on the side of this leg."""
        if leg is not self.caller:
            self.party_out = party
        elif party is not None:
            self.party_in = party

    def take_holds(self, leg: Leg) -> list[Held]:
        """What the call holds for this leg's party: no longer the call's, but whoever takes it."""
        if leg is self.caller:
            taken, self.holds = self.holds, []
        else:
            taken, self._target_holds = self._target_holds, []
        return taken

    def put_holds(self, leg: Leg, holds: list[Held]) -> None:
        """Hold this for this leg's party from now on."""
        if leg is self.caller:
            self.holds = holds
        else:
            self._target_holds = holds

    def seat(self, leg: Leg, place: CallerLeg | CalledLeg | StandIn) -> None:
        """Have another leg on the side of this one, which is nobody's then."""
        if leg is self.caller and not isinstance(place, CalledLeg):
            self.caller = place
        elif leg is self.called and not isinstance(place, CallerLeg):
            self.called = place
        leg.owner, place.owner = None, self
        self._offers.vacated()

    def rejoin(self, newcomer: StandIn, *, is_known: bool) -> None:
        """A party has come to a side of the call that is answered: join it with the other side."""
        self._offers.rejoin(newcomer, is_known=is_known)

    def stay_apart(self, place: Leg) -> None:
        """The newcomer does not come, and this leg has its place again. RemoteError where their media do not fit."""
        self._offers.stay_apart(place)

    def part(self, words: str, status: int) -> None:
        """The two sides cannot be joined: nobody would hear anybody. `status` is what a transferor hears of it."""
        if self.transfer is None or not self.transfer.undone(words, status):
            self.hang_up(EndCause.REJECTED, words)

    def joined(self) -> None:
        """The newcomer takes part now."""
        if self.transfer is not None:
            self.transfer.joined()

    def left_behind(self, by: str, text: str) -> None:
        """A side of the call has gone into another one: this one is over, and its other leg is ended by others."""
        self.text = text
        self._end(EndCause.TRANSFERRED, by)

    def note(self, text: str, step: str = "") -> None:
        """Show something about a running call, and keep a step of its trail."""
        self.text = text
        if step and len(self.trail) < MAXIMUM_TRAIL:
            self.trail.append(step)
        self._dialler.changed(self)

    def _end(self, cause: EndCause, by: str) -> None:
        """Everything that the call held is given back, once."""
        if self.state is CallState.ENDED:
            return
        self.state = CallState.ENDED
        self.finished = self._wall()
        self.cause = cause
        self.ended_by = by
        self.status = self.caller.status or self.status
        if self.status != 200:
            # The answer was kept back by early media that the caller had not acknowledged: it never heard of it.
            self.answered = 0.0
        # Legs and call let go of each other, so that both are freed at once and not by the garbage collector.
        for leg in (self.caller, self.called):
            if leg is not None and leg.owner is self:
                leg.let_go()
        self._offers.close()
        self._stop_no_answer()
        for deadline in (self._longest, self._expiry):
            if deadline is not None:
                deadline.cancel()
        self._longest = self._expiry = None
        self._release_target()
        for hold in self.holds:
            hold.release()
        self.holds.clear()
        transfer, self.transfer = self.transfer, None
        if transfer is not None:
            transfer.call_ended(self)
        self._dialler.ended(self)

    # --- media --------------------------------------------------------------------------------------------------------

    def cross(self, leg: Leg, body: Body | None, *, is_offer: bool) -> Body | None:
        """A body on its way from this leg to the other: as it is, or as the relay wants it."""
        if body is None or self.media is None:
            return body
        return self.media.cross(leg, body, is_offer=is_offer)

    def roll_back(self) -> None:
        """The last offer was refused: relayed media stay as they were."""
        if self.media is not None:
            self.media.roll_back()

    def schedule(self, delay: float, callback: Callable[[float], None]) -> Deadline:
        """Have a callback called after so many seconds."""
        return self._dialler.schedule(delay, callback)

    def audio_changed(self, problem: str) -> None:
        """The relay noticed that audio is missing, or that it is there again (blank)."""
        step = ""
        if self._audio_steps < MAXIMUM_AUDIO_STEPS:
            self._audio_steps += 1
            seconds = max(0.0, self._wall() - self.answered)
            step = f"after {seconds:.0f} s: {problem or 'audio is missing no longer'}"
        self.note(problem or ("on hold" if self.state is CallState.HELD else "talking"), step)

    def heard_digit(self, from_caller: bool, pressed: PressedDigit, forwarded: bool) -> None:
        """A digit came in the relayed audio; where the other side cannot take it there it goes on as INFO."""
        self.pressed(pressed.digit)
        other: Leg | None = self.called if from_caller else self.caller
        if not forwarded and other is not None:
            other.inform(info_body(pressed), "")

    # --- what is seen and kept ----------------------------------------------------------------------------------------

    @property
    def trunk_in(self) -> int:
        """The id of the trunk that the caller is at, 0 for none."""
        return self.party_in.trunk

    @property
    def trunk_out(self) -> int:
        """The id of the trunk that the called side is at, 0 for none."""
        if self.party_out is not None:
            return self.party_out.trunk
        target = self.target
        return target.target_id if target is not None and target.kind is RouteType.SIP_TRUNK else 0

    def row(self) -> CallRow:
        """The call as the live list shows it."""
        target = self.target
        # What is shown of a call that runs is measured by the clock on the wall, which may have been set since.
        set_by = self._dialler.wall() - self._wall()
        set_by = round(set_by) if abs(set_by) > CLOCK_WAS_SET else 0
        return CallRow(
            id=self.id,
            state=self.state,
            source=self.party_in.source.name,
            target=self.party_out.source.name if self.party_out else target.name if target else "",
            caller_number=self.party_in.number,
            called_number=self.request.called_number,
            sent_number=target.called_number if target is not None else "",
            trunk_in=self.trunk_in,
            trunk_out=self.trunk_out,
            started=self.started + set_by,
            answered=self.answered and self.answered + set_by,
            ended=self.finished and self.finished + set_by,
            status=self.status,
            text=self.text,
            digits=self.digits,
            relayed=self.media is not None,
            problem=self.media.problem if self.media is not None else "",
        )

    def talked(self) -> float:
        """Seconds since the answer, up to the end."""
        return max(0.0, (self.finished or self._wall()) - self.answered) if self.answered else 0.0

    def record(self) -> CallRecord:
        """What is kept of the call. While it runs, what is known so far."""
        target = self.target
        words = self._trail_words
        words.extend([str(step) for step in self.trail[len(words) :]])
        return CallRecord(
            id=self.id,
            node=self.node,
            started=self.started,
            answered=self.answered,
            ended=self.finished,
            caller_number=self.request.caller_number,
            called_number=self.request.called_number,
            sent_number=target.called_number if target is not None else "",
            source=self.source.name,
            target=target.name if target is not None else "",
            status=self.status,
            end_cause=self.cause.value if self.cause is not None else "",
            ended_by=self.ended_by,
            talk_seconds=round(self.talked(), 3) if self.finished else 0.0,
            trail=(*words, f"end: {self.text}") if self.finished else tuple(words),
            attempts=tuple(self.attempts),
            media=self.media.report() if self.media is not None else (),
        )


_HANDLERS: dict[type, Callable[[Call, Leg, Any], None]] = {
    Ringing: Call._on_ringing,
    Answered: Call._on_answered,
    Failed: Call._on_failed,
    Redirected: Call._on_redirected,
    Cancelled: Call._on_cancelled,
    Acknowledged: Call._on_acknowledged,
    Offered: Call._on_offered,
    OfferCancelled: Call._on_offer_cancelled,
    OfferAnswered: Call._on_offer_answered,
    OfferRefused: Call._on_offer_refused,
    Informed: Call._on_informed,
    InfoAnswered: Call._on_info_answered,
    Referred: Call._on_referred,
    HungUp: Call._on_hung_up,
}
