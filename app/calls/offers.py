"""Offers and answers between the legs of a call: whose session description the caller has, and what passes on."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from app.calls.call_words import is_hold, not_held, says_the_same
from app.calls.called_leg import CalledLeg
from app.calls.leg_events import (
    Acknowledged,
    Body,
    OfferAnswered,
    OfferCancelled,
    Offered,
    OfferRefused,
    Ringing,
)
from app.calls.ringback import Ringback
from app.errors import RemoteError
from app.events import CallState
from app.sip.dialog import DialogRole

if TYPE_CHECKING:
    from app.calls.call import Call
    from app.calls.leg import Leg
    from app.calls.stand_in import StandIn
    from app.clock import Deadline

AGAIN_AFTER = 1.0
"""Seconds until an offer is made again that crossed one of the peer's (RFC 3261 14.1: up to two)."""
AGAIN_AFTER_IN_OUR_DIALOG = 2.1
"""The same in a dialog whose Call-ID is ours (RFC 3261 14.1: 2.1 to 4), so that two servers do not cross for ever."""
OTHER_MEDIA = (415, 488, 606)
"""Answers that say that another description may be taken (RFC 3261 21.4.26 and 21.6.4)."""
NOT_ACCEPTABLE = 488
"""What stands for a description that no peer has refused, but none can use (RFC 3261 21.4.26)."""
MAXIMUM_TRIES = 30
"""So often an offer is made to a caller that cannot take it now."""


class Joining(IntEnum):
    """How far the caller is with the description of another called side than the one it was joined with before."""

    NOTHING = 0
    """It is joined with the one that it should be joined with."""
    ASKED = 1
    """The called side was asked for an offer."""
    WAITING = 2
    """The offer waits for the caller's ACK, or for the end of another exchange."""
    OFFERED = 3
    """The caller was made the offer."""
    TAKEN = 4
    """The newcomer has made an offer itself before it took ours; the called side is asked to answer that one."""


class Offers:
    """The offer/answer exchanges of one call (RFC 3264), before and after it is answered.

    The caller has one dialog with us, and in it one session. The called side may have many early dialogs: of a forking
    peer, of several phones, of one target after the other. Until one of them answers the call:

    - A caller that takes no reliable provisional answers is bound to nothing before the 2xx (RFC 3261 13.2.1): the
      descriptions of the first phone, or of all forks of a peer, pass as previews.
    - Otherwise the first description that goes to the caller counts, and joins it with the early dialog that it came
      from. Offers, in UPDATE or in PRACK, pass between these two (RFC 3311 5.1, RFC 3262 5). Descriptions of other
      early dialogs stay here, and their offers are put off with 500 and Retry-After (RFC 3311 5.2); what must be
      answered, since it came in a reliable provisional answer, is declined (RFC 6337 2.3).
    - A caller without an offer gets that of the called side in a reliable provisional answer only where it came in one
      (RFC 3262 5, pattern 4 of RFC 6337 table 1): its PRACK brings the answer, and ours takes it on.

    When another early dialog than that has the call, or the next target has something to say after the one that the
    caller was joined with has failed, a second description in an answer to the INVITE would be ignored (RFC 3261
    13.2.1). So the caller is *offered* it: with UPDATE before its answer where that is possible, else the 2xx goes
    without a description and a re-INVITE follows its ACK. The caller's answer goes where the offer came from: in the
    PRACK or ACK if that was an offer there, too; else, if it says anything new, in an UPDATE or re-INVITE (RFC 3725).
    A caller that refuses is in a call with nobody: the call is ended with these words.

    After a transfer it is the newcomer that is offered what the other side has said of itself, and that one is told the
    newcomer's answer in the same ways (RFC 3725 4.4). Where the newcomer is behind another server that has just been
    told of somebody new, too, both make offers: one of them goes first, and its answer joins the two as well.
    """

    __slots__ = (
        "_again",
        "_asked_with",
        "_began_here",
        "_call",
        "_heard",
        "_heard_dialog",
        "_is_settled",
        "_joining",
        "_joining_dialog",
        "_may_ask",
        "_newcomer",
        "_offer",
        "_offerer",
        "_restoring",
        "_ringback",
        "_state",
        "_tries",
        "_untold",
        "_updated",
    )

    def __init__(self, call: Call) -> None:
        self._call: Call | None = call
        self._heard: Leg | None = None
        """Whose description the caller has heard, or the phone whose early media it hears."""
        self._heard_dialog = ""
        """The early dialog of that leg which it came from."""
        self._is_settled = False
        """More has been agreed on since in that dialog: its first description is old if it comes again."""
        self._offerer: Leg | None = None
        """Who has made the offer that is under way before the answer."""
        self._began_here = not call.caller.is_late
        """Whether the exchange that is under way began with the message that was passed on first."""
        self._asked_with: Body | None = None
        """What the called side was offered in its INVITE, as the caller put it."""
        self._restoring = False
        """A side is being offered what it had before: it took an offer that was cancelled meanwhile."""
        self._newcomer: StandIn | None = None
        """Who has come into the call by a transfer and is joined with the other side, until that one is told so."""
        self._may_ask = False
        """Whether the other side is asked for all that it can do, should the newcomer refuse what it said before."""
        self._joining: Leg | None = None
        """Whose description the caller shall have instead of the one that it has."""
        self._joining_dialog = ""
        self._state = Joining.NOTHING
        self._offer: Body | None = None
        """The description of `_joining` as the caller is offered it."""
        self._untold: Body | None = None
        """What the caller answered to the description of one that could not be told so before it has answered."""
        self._updated: Leg | None = None
        """Who has been sent what the caller answered to its description."""
        self._tries = 0
        self._again: Deadline | None = None
        self._ringback: Ringback | None = None
        """Watches whether the audio comes that was announced before the answer; None before anybody rings."""

    def close(self) -> None:
        """The call is over."""
        self._stop_ringback()
        self._stop_waiting()
        self._call = self._heard = self._offerer = self._joining = self._updated = self._newcomer = None

    @property
    def _of(self) -> Call:
        assert self._call is not None
        return self._call

    @property
    def _told(self) -> Leg:
        """Who is offered another side's description: the caller, or the one that a transfer has brought."""
        return self._newcomer or self._of.caller

    def _cross(self, leg: Leg, body: Body | None, *, is_offer: bool) -> Body | None:
        return self._of.cross(leg, body, is_offer=is_offer)

    # --- before the answer --------------------------------------------------------------------------------------------

    def attempt(self) -> None:
        """Another target is tried, or another address of it: nothing is heard of the one before."""
        self._stop_ringback()
        self._drop_exchange()
        if not self._of.caller.is_promised:
            self._heard = None
            self._of.caller.begin_early_dialog()
        self._asked_with = self._of.caller.offer_body

    def gone(self, leg: Leg) -> None:
        """One of several phones is out, and the others go on ringing."""
        if leg is self._joining or leg is self._heard:
            self._drop_exchange()
        if leg is self._heard and not self._of.caller.is_promised:
            # Another phone's early media may be heard now.
            self._heard = None

    def _drop_exchange(self) -> None:
        """Whoever the exchange under way is with is given up: nobody can answer it."""
        offerer, self._offerer = self._offerer, None
        if offerer is not None or self._updated is not None or self._state is not Joining.NOTHING:
            self._of.roll_back()
        self._updated = self._newcomer = None
        if offerer is self._of.caller:
            self._of.caller.put_off_offer()
        self._stop_joining()

    def ringing(self, leg: CalledLeg, event: Ringing) -> None:
        """Pass a provisional answer on, with its description where the caller can use that."""
        caller = self._of.caller
        body = event.body
        if body is not None:
            body = self._early_offer(leg, event, body) if caller.is_late else self._preview(leg, event, body)
        if body is not None:
            self._heard, self._heard_dialog = leg, event.early_dialog
        caller.ring(event.status, event.reason, body)
        if self._ringback is None:
            self._ringback = Ringback(self._of)
        self._ringback.passed_on(event.status, body)

    def _stop_ringback(self) -> None:
        if self._ringback is not None:
            self._ringback.stop()
            self._ringback = None

    def _preview(self, leg: CalledLeg, event: Ringing, body: Body) -> Body | None:
        """Early media: what the caller shall be told of a description that answers its offer."""
        if not self._of.caller.is_promised:
            # One dialog with the caller can have one session description only (RFC 3264 4).
            return self._cross(leg, body, is_offer=False) if self._heard in (None, leg) else None
        if self._is_heard(leg, event.early_dialog):
            return None if self._is_settled else self._cross(leg, body, is_offer=False)
        if event.is_agreed and self._is_alone():
            self._offer_early(leg, event.early_dialog, body)
        return None

    def _early_offer(self, leg: CalledLeg, event: Ringing, body: Body) -> Body | None:
        """What the caller is told of the offer that it has asked for; an unreliable one is a preview of the 2xx."""
        if not event.is_offer:
            return None
        if not self._of.caller.is_promised:
            return self._cross(leg, body, is_offer=True)
        if not (self._is_alone() and self._offer_early(leg, event.early_dialog, body)):
            leg.decline()
        return None

    def _is_heard(self, leg: Leg, early_dialog: str) -> bool:
        return leg is self._heard and early_dialog == self._heard_dialog

    def _is_alone(self) -> bool:
        """Whether the one that the caller was joined with is gone, and nobody has taken its place yet."""
        return self._heard not in self._of.forks and self._state is Joining.NOTHING

    def answered(self, leg: CalledLeg, body: Body | None) -> None:
        """The called side has answered: so is the caller, now or when what is under way allows it."""
        self._stop_ringback()
        caller = self._of.caller
        tag = leg.dialog.id.remote_tag if leg.dialog is not None else ""
        if leg is self._joining and tag == self._joining_dialog:
            # The caller is being offered its description: its answer decides.
            return
        description = None if leg.is_declined else body or leg.last_heard
        if not caller.is_bound:
            self._drop_exchange()
            caller.answer(self._cross(leg, description, is_offer=caller.is_late))
        elif self._is_heard(leg, tag):
            # RFC 3261 13.2.1: what was offered in a provisional answer, or has changed since, is not said again.
            old = caller.is_late or self._is_settled
            caller.answer(None if old else self._cross(leg, body, is_offer=False))
            if self._untold is not None:
                self._tell(leg, self._untold)
        else:
            self._drop_exchange()
            self._join(leg, tag, description)

    # --- another called side ------------------------------------------------------------------------------------------

    def _offer_early(self, leg: CalledLeg, early_dialog: str, body: Body) -> bool:
        """Offer the caller the description of one that only rings; False where it cannot take that now."""
        self._begin_joining(leg, early_dialog, body)
        if self._state is not Joining.WAITING:
            return True
        self._stop_joining()
        self._of.roll_back()
        return False

    def _join(self, leg: CalledLeg, tag: str, description: Body | None) -> None:
        """Join the caller with the one that has answered, whose description it does not have."""
        caller = self._of.caller
        self._of.trail.append(
            f"media: the caller has a session description that is not that of {leg.target}, and is offered that one"
        )
        if description is not None:
            self._begin_joining(leg, tag, description)
        else:
            self._ask_for_offer(leg, tag)
        if self._state in (Joining.ASKED, Joining.WAITING):
            # The answer goes first; the offer follows its ACK.
            caller.answer(None)

    def rejoin(self, newcomer: StandIn, *, is_known: bool) -> None:
        """A party has taken the place of another one in a call that is answered: join it with the other side.

        `is_known`: what that side says of itself is an answer to the newcomer's own description. Otherwise it may name
        the codecs of somebody else only: a newcomer that has none of them is offered all that the other side can do.
        """
        other = self._of.other(newcomer)
        if other is None:
            return
        self._drop_exchange()
        other.put_off_offer()
        self._newcomer, self._may_ask = newcomer, not is_known
        tag = other.dialog.id.remote_tag if other.dialog is not None else ""
        if other.last_heard is None:
            self._ask_for_offer(other, tag)
        else:
            self._begin_joining(other, tag, not_held(other.last_heard))
            self._wait()

    def vacated(self) -> None:
        """Somebody has left a side of the call: nobody answers what was under way there."""
        self._drop_exchange()
        call = self._of
        for leg in (call.caller, call.called, *call.forks):
            if leg is not None:
                leg.put_off_offer()

    def stay_apart(self, place: Leg) -> None:
        """The party that was to come in has stayed away, and this leg has its place again: all is as it was."""
        self._stop_joining()
        self._newcomer = self._untold = None
        self._of.roll_back()
        other, said = self._of.other(place), place.last_heard
        if other is None or said is None:
            return
        if other.owes_answer:
            # It was asked what it can do, and is to be told what the one that it talks to has said.
            self._cross(other, other.last_heard, is_offer=True)
            other.acknowledge(self._cross(place, said, is_offer=False))
        elif other.last_heard is not None:
            self._cross(place, said, is_offer=True)
            self._cross(other, other.last_heard, is_offer=False)

    def _ask_for_offer(self, leg: Leg, tag: str) -> None:
        """Have one that has answered make an offer: its first one was declined (RFC 6337 2.3), or is missing."""
        if leg.owes_answer:
            leg.acknowledge(None)
        self._joining, self._joining_dialog, self._state = leg, tag, Joining.ASKED
        if not leg.offer("INVITE", None):
            self._part(f"{self._sides(leg)[0]} could not be asked for a session description")

    def _asked(self, leg: Leg, offer: Body | None) -> None:
        """The one that has answered was asked for an offer, and has made it."""
        if offer is None:
            self._part(f"{self._sides(leg)[0]} made no offer")
            return
        self._begin_joining(leg, self._joining_dialog, offer)
        self._wait()

    def _begin_joining(self, leg: Leg, tag: str, description: Body) -> None:
        """Offer the caller a description, or find that it has that already."""
        told = self._told
        self._of.roll_back()
        self._joining, self._joining_dialog, self._state = leg, tag, Joining.WAITING
        self._tries = 0
        self._offer = self._cross(leg, description, is_offer=True)
        has = told.last_heard
        if has is not None and says_the_same(self._offer, told.last_sent):
            self._joined(has)
        else:
            self._offer_to_caller()

    def _offer_to_caller(self) -> None:
        """Make the offer if the caller can take it now."""
        if self._told.offer(self._method, self._offer):
            self._state = Joining.OFFERED

    @property
    def _method(self) -> str:
        """What offers are made with: UPDATE is for dialogs that may be early, a re-INVITE is what every phone knows."""
        return "UPDATE" if self._newcomer is None else "INVITE"

    def _joined(self, answer: Body | None) -> None:
        """The caller has answered the description of another called side."""
        call, leg = self._of, self._joining
        caller, has_answered = call.caller, call.called is leg
        if leg is None:
            return
        if answer is None:
            one, other = self._sides(self._told)
            self._part(f"{one} did not answer {other}'s session description")
            return
        crossed = self._cross(self._told, answer, is_offer=False)
        self._untold = None
        self._stop_joining()
        if self._newcomer is None:
            self._heard, self._heard_dialog, self._is_settled = leg, self._joining_dialog, True
            if not caller.is_late:
                # Whoever is dialled next gets the description that holds now.
                caller.offer_body = answer
            if has_answered:
                caller.answer(None)
        else:
            self._asked_with = None
            call.joined()
        if leg.owes_answer:
            leg.acknowledge(crossed)
        elif answer != self._asked_with and not says_the_same(crossed, leg.last_sent):
            self._tell(leg, answer)
            return
        self._newcomer = None

    def _tell(self, leg: Leg, answer: Body) -> None:
        """Have the one that a side is joined with know what that side answered to its description (RFC 3725)."""
        told = self._told
        self._untold = None
        offer = self._cross(told, answer, is_offer=True)
        if self._partner(told) is leg and leg.offer(self._method, offer):
            self._updated = leg
            return
        self._of.roll_back()
        self._untold = answer
        if self._newcomer is not None:
            self._tell_later()

    def _tell_later(self, seconds: float = AGAIN_AFTER) -> None:
        """After a transfer nobody hears anybody before it is told: try again soon, but not for ever."""
        self._tries += 1
        if self._tries > MAXIMUM_TRIES:
            self._part("a side could not be told the session description of the one that was transferred to it")
        elif self._again is None:
            self._again = self._of.schedule(seconds, self._tell_again)

    def _not_told(self, leg: Leg, event: OfferRefused) -> None:
        """The one that stayed in the call does not take the description of the newcomer."""
        self._untold = self._newcomer.last_heard if self._newcomer is not None else None
        if event.status in (491, 500):
            # RFC 3261 14.1 and 14.2: it has something else under way.
            self._tell_later(_pause_after(leg, event))
        else:
            words = f"refused the session description of the one that was transferred: {event.status} {event.reason}"
            self._part(f"{self._sides(leg)[0]} {words}", event.status)

    def _tell_again(self, _now: float) -> None:
        self._again = None
        other, answer = self._of.other(self._told), self._untold
        if other is not None and answer is not None:
            self._tell(other, answer)

    def _refused_to_join(self, event: OfferRefused) -> None:
        """The caller does not take the description of another called side."""
        call, leg = self._of, self._joining
        if isinstance(leg, CalledLeg) and self._newcomer is None and call.called is not leg:
            # It only rings: the caller does not hear it, and may still be joined with it by its answer.
            self._stop_joining()
            call.roll_back()
            leg.decline()
            return
        self._state = Joining.WAITING
        if not call.caller.answered:
            call.caller.answer(None)
        elif event.status in (491, 500):
            # RFC 3261 14.1 and 14.2: the caller has something else under way.
            self._wait(_pause_after(self._told, event))
        elif leg is not None and self._may_ask and event.status in OTHER_MEDIA:
            self._may_ask = False
            call.roll_back()
            self._ask_for_offer(leg, self._joining_dialog)
        else:
            one, other = self._sides(self._told)
            self._part(f"{one} refused {other}'s session description: {event.status} {event.reason}", event.status)

    def _taken(self, leg: Leg, answer: Body | None) -> None:
        """The other side has answered the newcomer's own offer: now each knows the other one."""
        if answer is None or not self._told.awaits_answer:
            self._not_taken(leg, NOT_ACCEPTABLE, "")
            return
        told, crossed = self._told, self._cross(leg, answer, is_offer=False)
        self._stop_joining()
        self._newcomer = None
        told.accept_offer(crossed)
        self._of.joined()

    def _not_taken(self, leg: Leg, status: int, reason: str) -> None:
        """The other side does not take the newcomer's own offer, or that was taken back: ours is made as before."""
        self._told.refuse_offer(status, reason)
        if leg.last_heard is not None:
            tries = self._tries
            self._begin_joining(leg, self._joining_dialog, not_held(leg.last_heard))
            # What was tried counts on: two that refuse each other for ever are parted.
            self._tries = tries
            self._wait()

    def _wait(self, seconds: float = AGAIN_AFTER) -> None:
        """Where the caller cannot be offered anything now, try again soon, but not for ever."""
        if self._state is not Joining.WAITING:
            return
        self._tries += 1
        if self._tries > MAXIMUM_TRIES:
            one, other = self._sides(self._told)
            self._part(f"{one} could not be offered {other}'s session description")
        elif self._again is None:
            self._again = self._of.schedule(seconds, self._try_again)

    def _try_again(self, _now: float) -> None:
        self._again = None
        if self._state is Joining.WAITING:
            self._offer_to_caller()
            self._wait()

    def _stop_waiting(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def _stop_joining(self) -> None:
        self._stop_waiting()
        self._joining = self._offer = None
        self._state = Joining.NOTHING

    def _sides(self, leg: Leg) -> tuple[str, str]:
        """What a leg and the one at the other end are called."""
        sides = ("the caller", "the called side")
        return sides if leg is self._of.caller else sides[::-1]

    def _part(self, words: str, status: int = NOT_ACCEPTABLE) -> None:
        """Nobody would hear anybody: end the call. `status`: what a peer has said to that, if one has."""
        self._stop_joining()
        self._of.part(words.strip(), status)

    # --- further offers -----------------------------------------------------------------------------------------------

    def _partner(self, leg: Leg) -> Leg | None:
        """Whom an offer of this leg is for: before the answer only the one that the caller is joined with has any."""
        call, heard = self._of, self._heard
        if call.called is not None:
            return call.other(leg)
        if heard is None or heard not in call.forks or heard.dialog is None:
            return None
        if heard.dialog.id.remote_tag != self._heard_dialog:
            return None
        if leg is call.caller:
            return heard
        return call.caller if leg is heard else None

    def acknowledged(self, leg: Leg, event: Acknowledged) -> None:
        """An ACK, or the PRACK of an offer: its answer goes to the one that has made the offer."""
        if self._state is not Joining.NOTHING:
            if leg is self._told and self._state is Joining.WAITING and not event.is_answer:
                self._offer_to_caller()
                self._wait()
            return
        other = self._partner(leg) if event.is_answer else None
        if other is not None:
            other.acknowledge(self._cross(leg, event.body, is_offer=False))

    def offered(self, leg: Leg, event: Offered) -> None:
        """One side makes an offer, or asks for one."""
        other = self._partner(leg)
        joins = leg is self._newcomer and self._state is Joining.WAITING and event.body is not None
        if joins:
            self._of.roll_back()
        elif self._state is not Joining.NOTHING or self._updated is not None or self._newcomer is not None:
            leg.refuse_offer(491, "")
            return
        if other is None:
            leg.put_off_offer()
            return
        try:
            body = self._cross(leg, event.body, is_offer=True)
        except RemoteError as error:
            self._not_passed(leg, error.status, error.reason, joins=joins)
            return
        self._began_here = event.body is not None
        if not other.offer(event.method, body):
            self._of.roll_back()
            self._not_passed(leg, 491, "", joins=joins)
        elif joins:
            self._stop_waiting()
            self._state = Joining.TAKEN
        elif self._of.called is None:
            self._offerer = leg
            self._is_settled = True

    def _not_passed(self, leg: Leg, status: int, reason: str, *, joins: bool) -> None:
        """An offer does not go on to the other side. `joins`: ours waits still, and the relay must know it again."""
        if joins and self._joining is not None and self._joining.last_heard is not None:
            self._offer = self._cross(self._joining, not_held(self._joining.last_heard), is_offer=True)
        leg.refuse_offer(status, reason)

    def cancelled(self, leg: Leg, _event: OfferCancelled) -> None:
        """The offer was taken back."""
        other = self._of.other(leg)
        if other is not None:
            other.cancel_offer()

    def accepted(self, leg: Leg, event: OfferAnswered) -> None:
        """An offer that was passed on, or made here, has its answer."""
        call = self._of
        if self._state is not Joining.NOTHING:
            if leg is self._told and self._state is Joining.OFFERED:
                self._joined(event.body)
            elif leg is self._joining and self._state is Joining.ASKED:
                self._asked(self._joining, event.body)
            elif leg is self._joining and self._state is Joining.TAKEN:
                self._taken(leg, event.body)
            elif leg.owes_answer:
                # One that has left the call had asked for this offer.
                leg.acknowledge(None)
            return
        if leg is self._updated:
            self._updated = self._newcomer = None
            self._cross(leg, event.body, is_offer=False)
            return
        other = self._partner(leg)
        if other is None:
            return
        if call.called is None:
            self._accepted_early(leg, other, event)
            return
        if not (self._restoring or other.awaits_answer):
            self._restore(leg, other)
            return
        try:
            body = self._cross(leg, event.body, is_offer=not self._began_here)
        except RemoteError as error:
            self._useless_answer(leg, other, error)
            return
        if self._restoring:
            self._restoring = False
        elif other.accept_offer(body):
            held = event.body is not None and is_hold(event.body)
            call.show(CallState.HELD if held else CallState.TALKING)

    def _accepted_early(self, leg: Leg, other: Leg, event: OfferAnswered) -> None:
        """The answer to an offer that was made before the call is answered (RFC 3311 5.1, RFC 3262 5)."""
        offerer, self._offerer = self._offerer, None
        if other is offerer:
            other.accept_offer(self._cross(leg, event.body, is_offer=False))
            caller = self._of.caller
            if not caller.is_late:
                # Whoever is dialled next gets the description that holds now.
                caller.offer_body = caller.last_heard or caller.offer_body

    def _useless_answer(self, leg: Leg, other: Leg, error: RemoteError) -> None:
        """A side has taken an offer with nonsense: who made it hears 488, and the media stay as they were (RFC 3261
        14.1). What the two had before is offered to that side again, once: it believes in something else now.
        """
        call = self._of
        call.roll_back()
        why = f"{self._sides(leg)[0]} answered an offer with a session description that cannot be used"
        call.note(call.text, f"media: {why} ({error.detail or error.reason}): the media stay as they were")
        if self._restoring:
            self._restoring = False
            leg.acknowledge(None)
            return
        other.refuse_offer(NOT_ACCEPTABLE, "")
        self._restore(leg, other)

    def _restore(self, leg: Leg, other: Leg) -> None:
        """A side has taken an offer that nobody makes any more: it is offered what the other one has said before.

        The other one has cancelled it too late, or it was that of a call which this side has not come to after all.
        """
        leg.acknowledge(None)
        before = other.last_heard
        if before is not None:
            self._began_here = True
            self._restoring = leg.offer("INVITE", self._cross(other, before, is_offer=True))

    def refused(self, leg: Leg, event: OfferRefused) -> None:
        """An offer that was passed on, or made here, was refused: all stays as it was (RFC 3261 14.1)."""
        if self._state is not Joining.NOTHING:
            if leg is self._told and self._state is Joining.OFFERED:
                self._refused_to_join(event)
            elif leg is self._joining and self._state is Joining.ASKED:
                self._part(f"{self._sides(leg)[0]} made no offer: {event.status} {event.reason}", event.status)
            elif leg is self._joining and self._state is Joining.TAKEN:
                self._not_taken(leg, event.status, event.reason)
            return
        other = self._partner(leg)
        self._restoring = False
        self._of.roll_back()
        if leg is self._updated:
            self._updated = None
            if self._newcomer is not None:
                self._not_told(leg, event)
        elif other is not None:
            other.refuse_offer(event.status, event.reason)
            self._offerer = None


def _pause_after(leg: Leg, refusal: OfferRefused) -> float:
    """Seconds until a leg is made the same offer again that it has refused for now."""
    is_ours = leg.dialog is not None and leg.dialog.role is DialogRole.UAC
    return AGAIN_AFTER_IN_OUR_DIALOG if refusal.status == 491 and is_ours else AGAIN_AFTER
