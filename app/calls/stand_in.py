"""A place in a call for a party that comes out of another call: first nobody's leg, then all that it says and hears."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from app.calls.leg import Leg, LegOwner
from app.calls.leg_events import Body, HungUp, LegEvent
from app.sip.endpoint import Endpoint, new_call_id, new_tag

if TYPE_CHECKING:
    from app.calls.caller_leg import CallerLeg
    from app.sip.flow import Flow
    from app.sip.message import Request


class Usher(Protocol):
    """Who brings the party to its new place."""

    def ringing(self, status: int, reason: str) -> None:
        """The other side of the new call rings."""

    def answered(self) -> None:
        """The other side of the new call is there: the party is to be brought in now (`StandIn.attach`)."""

    def failed(self, status: int, reason: str) -> None:
        """The new call has come to nothing: the party stays where it was (`StandIn.detach`)."""

    def lost(self, event: HungUp) -> None:
        """The party has hung up while it was brought in."""


class StandIn(Leg):
    """One side of a call whose party still is in another call, or was in one before.

    To its call it is a leg like any other: the caller's, that may be rung and answered, or one that has answered. It
    has no dialog of its own; once the party's leg is attached, events and wishes pass through in both directions.
    """

    is_bound = is_promised = takes_early_offer = is_declined = False

    def __init__(
        self, endpoint: Endpoint, usher: Usher, flow: Flow, request: Request, offer_body: Body | None, target: str
    ) -> None:
        """`request`: the one that asked for this, whose hops count on; `offer_body`: what the party can do."""
        super().__init__(endpoint, None, flow, new_call_id(), new_tag())
        # No message is for it.
        self._forget_dialog()
        self.request = request
        self.offer_body = offer_body
        self.is_late = offer_body is None
        """Whether the other side makes the offer."""
        self.target = target
        """The name of the party, as in call records."""
        self.leg: Leg | None = None
        """The party's leg, once it is here."""
        self.answered = False
        self._usher: Usher | None = usher
        self._left: LegOwner | None = None
        """Whom the party's leg belonged to before."""

    @property
    def status(self) -> int:
        """The final status that the party got."""
        return 200 if self.answered else 0

    def follow_offer_of(self, caller: CallerLeg) -> None:
        """Stand in for a caller whose targets ring already: if it wanted an offer, one will come."""
        if caller.is_late:
            self.is_late, self.offer_body = True, None

    # --- the party comes and goes -------------------------------------------------------------------------------------

    def attach(self, leg: Leg) -> None:
        """The party is here: its leg, or what stands in for it in the call that it comes from."""
        real = leg.leg if isinstance(leg, StandIn) and leg.leg is not None else leg
        # What was under way with the party it leaves is nobody's any more.
        real.put_off_offer()
        real.cancel_offer()
        self.leg, self._left, real.owner = real, real.owner, self
        self.answered = True
        self._follow()

    def detach(self) -> None:
        """The party goes back to where it was, and does not come again."""
        leg, self.leg = self.leg, None
        if leg is not None and leg.owner is self:
            # What it has offered here nobody answers any more.
            leg.put_off_offer()
            leg.owner = self._left
        self._usher = self._left = None

    def let_go(self) -> None:
        """The call is over, for the party's leg, too, if it has not gone elsewhere."""
        super().let_go()
        if self.leg is not None and self.leg.owner is self:
            self.leg.let_go()

    def settle(self) -> None:
        """The party is here to stay."""
        self._usher = self._left = None

    def _follow(self) -> None:
        leg = self.leg
        if leg is not None:
            self.flow, self.dialog, self.phone_of = leg.flow, leg.dialog, leg.phone_of

    def handle(self, leg: Leg, event: LegEvent) -> None:
        """Something happened on the party's leg (LegOwner)."""
        if leg is not self.leg:
            return
        self._follow()
        usher = self._usher
        if isinstance(event, HungUp) and usher is not None:
            self._usher = None
            usher.lost(event)
        self.tell(event)

    # --- as the caller's leg ------------------------------------------------------------------------------------------

    def ring(self, status: int, reason: str, _body: Body | None) -> None:
        """The called side rings; the party, who is talking or on hold elsewhere, does not hear that."""
        if self._usher is not None:
            self._usher.ringing(status, reason)

    def begin_early_dialog(self) -> None:
        """Another target is tried: no dialog of the party's is early."""

    def answer(self, _body: Body | None) -> None:
        """The called side has answered."""
        if not self.answered and self._usher is not None:
            self._usher.answered()

    def refuse(self, status: int, reason: str = "", _headers: Iterable[tuple[str, str]] = ()) -> None:
        """The call will not be answered."""
        self.owner = None
        usher, self._usher = self._usher, None
        if usher is not None:
            usher.failed(status, reason)

    def decline(self) -> None:
        """No offer of the party waits for an answer here before the call is answered."""

    # --- as any leg ---------------------------------------------------------------------------------------------------

    def hang_up(self, reason: str = "") -> None:
        """End the leg; a party that was not settled here yet goes back."""
        self.refuse(480)
        if self.leg is not None:
            self.leg.hang_up(reason)

    @property
    def last_heard(self) -> Body | None:
        return self.leg.last_heard if self.leg is not None else self.offer_body

    @property
    def last_sent(self) -> Body | None:
        return self.leg.last_sent if self.leg is not None else None

    @property
    def owes_answer(self) -> bool:
        return self.leg is not None and self.leg.owes_answer

    @property
    def awaits_answer(self) -> bool:
        return self.leg is not None and self.leg.awaits_answer

    def offer(self, method: str, body: Body | None) -> bool:
        return self.leg is not None and self.leg.offer(method, body)

    def cancel_offer(self) -> None:
        if self.leg is not None:
            self.leg.cancel_offer()

    def accept_offer(self, body: Body | None) -> bool:
        return self.leg is not None and self.leg.accept_offer(body)

    def refuse_offer(self, status: int, reason: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        if self.leg is not None:
            self.leg.refuse_offer(status, reason, headers)

    def inform(self, body: Body | None, package: str) -> bool:
        return self.leg is not None and self.leg.inform(body, package)

    def answer_info(self, status: int, reason: str) -> None:
        if self.leg is not None:
            self.leg.answer_info(status, reason)

    def acknowledge(self, body: Body | None) -> None:
        if self.leg is not None:
            self.leg.acknowledge(body)
