"""Call transfer (RFC 3515, RFC 5589): a local user has the other side of its call talk to somebody else.

Blind: the transferor's REFER makes a second call, which the dial plan decides as one of the transferor's own. Attended:
the REFER names a second call that the transferor has already (RFC 3891), talking or still ringing. In both cases a
stand-in takes the transferor's place in the second call, and the party that is transferred comes there out of the first
one when the target has answered; the first call is over then. Until that has worked nothing is given up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.calls.call import Call
from app.calls.call_words import not_held
from app.calls.called_leg import CalledLeg
from app.calls.caller_leg import CallerLeg
from app.calls.counters import Hold
from app.calls.identity import LONGEST_NUMBER, CallerIdentity, number_of
from app.calls.leg import Leg
from app.calls.leg_events import EndCause, HungUp
from app.calls.referral import Referral, Replaced, Wish, wish_of
from app.calls.refusals import passed_on
from app.calls.stand_in import StandIn
from app.dialplan.request import Source, SourceKind
from app.errors import RemoteError
from app.events import CallState
from app.sip.headers import REASONS

if TYPE_CHECKING:
    from app.calls.call_neighbours import Party
    from app.calls.switch import Switch

MAXIMUM_TRANSFERS = 10
"""So many transfers may follow one another, each with the party that the one before has left."""
RINGING = frozenset({CallState.CALLING, CallState.RINGING})
UNDER_WAY = frozenset({CallState.TALKING, CallState.HELD})


class Transfers:
    """Takes the REFERs of all calls."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    def refer(self, call: Call, leg: Leg, referral: Referral) -> None:
        """One side of a call wants the other one to be called elsewhere. Whatever it asks for is answered."""
        try:
            wish = self._allowed(call, leg, referral)
            if wish.replaces is None:
                self._blind(call, leg, referral, self._number(call, leg, wish))
            else:
                self._attended(call, leg, referral, wish.replaces)
        except RemoteError as error:
            call.note(call.text, f"transfer: refused to {call.party(leg).source.name}: {error.detail}")
            referral.refuse(error.status, error.reason)

    def _allowed(self, call: Call, leg: Leg, referral: Referral) -> Wish:
        """What a REFER asks for, if its sender may ask for that now. Raises RemoteError."""
        party = call.other(leg)
        if not leg.phone_of:
            # Calls at the cost of whoever owns this server: the favourite of those who steal calls.
            raise RemoteError(403, "Transfers Are For Local Users", "only local users may transfer calls")
        if call.transfer is not None:
            raise RemoteError(491, "", "a transfer of this call is under way already")
        if party is None or call.state not in UNDER_WAY:
            raise RemoteError(491, "", "the call is not answered yet")
        if call.transfers >= MAXIMUM_TRANSFERS:
            raise RemoteError(403, "Too Many Transfers", f"the call was transferred {call.transfers} times already")
        return wish_of(referral.request)

    def _number(self, call: Call, leg: Leg, wish: Wish) -> str:
        """The number that the party is transferred to. Raises RemoteError."""
        uri, party = wish.uri, call.other(leg)
        if uri.is_sip and not self._is_ours(uri.host, leg):
            raise RemoteError(403, "Not A Number Of This Server", f"{uri.host[:100]} is another server")
        number = number_of(uri)
        if not number or len(number) > LONGEST_NUMBER:
            raise RemoteError(484, "", "Refer-To names no number" if not number else "Refer-To names no such number")
        if number == leg.phone_of:
            raise RemoteError(403, "Transfer To Oneself", "a user transfers its call to itself")
        there = call.party(party) if party is not None else None
        if there is not None and there.source.kind is SourceKind.LOCAL_USER and number == there.source.number:
            raise RemoteError(403, "Transfer To Oneself", f"{number} would be called in its own call")
        return number

    def _is_ours(self, host: str, leg: Leg) -> bool:
        """Whether a host stands for this server: its own names, and those that it has in the phone's dialog."""
        bare = host.strip("[]").lower()
        if self._switch.addresses.is_own_host(bare, leg.flow):
            return True
        names = leg.dialog.server_names if leg.dialog is not None else ()
        registered = (binding.domain for binding in self._switch.registrar.bindings(leg.phone_of))
        return bare in {name.strip("[]").lower() for name in (*names, *registered)}

    def _blind(self, first: Call, leg: Leg, referral: Referral, number: str) -> None:
        """Call the number for the party on the other side."""
        switch, user = self._switch, leg.phone_of
        transfer = Transfer(switch, first, leg, referral, number)
        record = switch.configuration.users_by_number.get(user)
        display = record.display_name if record is not None else ""
        second = switch.begin(transfer.stand_in, Source.user(user), number, CallerIdentity(user, display, False))
        second.presented = self._presented(first, transfer.party, user)
        transfer.begin(second, f"transfer: user:{user} transfers the call to {number}")
        who = first.party(transfer.party)
        second.party_in = who
        second.trail.append(f"transfer: user:{user} transfers {who} to {number}")
        # A user that may have one call may transfer that one: it is in the call that it transfers, or in the new one.
        holds = [hold for hold in first.take_holds(leg) if isinstance(hold, Hold)]
        for hold in holds:
            hold.release()
        switch.send_on(second)
        if first.state is not CallState.ENDED:
            first.put_holds(leg, [switch.counters.hold(*hold.key) for hold in holds])

    def _attended(self, first: Call, leg: Leg, referral: Referral, replaced: Replaced) -> None:
        """Join the party on the other side with the one that the transferor has in another call."""
        second, place = self._named(leg, replaced)
        if second is first:
            raise RemoteError(403, "Transfer To Oneself", "Replaces names the call that is to be transferred")
        if second.transfer is not None:
            raise RemoteError(491, "", "a transfer of the other call is under way already")
        if second.transfers >= MAXIMUM_TRANSFERS:
            raise RemoteError(403, "Too Many Transfers", f"the call was transferred {second.transfers} times already")
        target = second.other(place)
        number = second.request.called_number
        if target is not None and second.state in UNDER_WAY:
            if replaced.early_only:
                raise RemoteError(486, "", "the other call is answered, and should be replaced before that only")
            number = second.party(target).number or number
            transfer: Transfer = Consultation(self._switch, first, leg, referral, number, place)
        elif place is second.caller and second.state in RINGING:
            transfer = Transfer(self._switch, first, leg, referral, number)
        else:
            raise RemoteError(491, "", "the other call is not one that can be joined with this one now")
        user = leg.phone_of
        transfer.begin(second, f"transfer: user:{user} joins the call with its call to {number}")
        transfer.take_place(place)

    def _named(self, leg: Leg, replaced: Replaced) -> tuple[Call, Leg]:
        """The transferor's other call, and its place there. Raises RemoteError (481).

        What is another user's, or nobody's, is not told apart. The to-tag is ours (RFC 3891 3); some phones swap the
        tags where they have been called.
        """
        tags = (replaced.to_tag, replaced.from_tag)
        for ours, theirs in (tags, tags[::-1]):
            found = self._switch.endpoint.dialogs.get((replaced.call_id, ours))
            if not isinstance(found, Leg) or found.dialog is None or found.dialog.id.remote_tag != theirs:
                continue
            place = found.owner if isinstance(found.owner, StandIn) else found
            if found.phone_of == leg.phone_of and isinstance(place.owner, Call):
                return place.owner, place
        raise RemoteError(481, "", "Replaces names no call of the transferor")

    def _presented(self, first: Call, party: Leg, user: str) -> CallerIdentity:
        """How the target's phone shows the party: by its own number, as that is who will talk, if it may be shown."""
        who = first.party(party)
        display = who.display
        if who.source.kind is SourceKind.LOCAL_USER:
            record = self._switch.configuration.users_by_number.get(who.source.number)
            display = record.display_name if record is not None else ""
        return CallerIdentity(who.number, display, who.private, referred_by=user)


def sip_call_id(leg: Leg) -> str:
    """The Call-ID of a party's dialog."""
    return leg.leg.call_id if isinstance(leg, StandIn) and leg.leg is not None else leg.call_id


class Transfer:
    """One transfer under way (`app.calls.stand_in.Usher`), blind or into a call that still rings."""

    second: Call
    """The call that the party goes to."""

    def __init__(self, switch: Switch, first: Call, leg: Leg, referral: Referral, number: str) -> None:
        self._switch = switch
        self._first = first
        self._leg = leg
        """The transferor's leg."""
        party = first.other(leg)
        assert party is not None, "the call is answered"
        self.party = party
        """The leg of who is transferred."""
        self._referral = referral
        self._number = number
        offer = party.last_heard
        self.stand_in = StandIn(
            switch.endpoint,
            self,
            party.flow,
            referral.request,
            not_held(offer) if offer is not None else None,
            first.party(party).source.name,
        )
        """Its place in the second call."""
        self._is_alone = False
        """The transferor has hung up already, as phones do."""
        self._is_over = False
        self._is_replaced = False
        """The transferor itself has made the second call, and so the target knows its session description."""

    def begin(self, second: Call, step: str) -> None:
        """Say yes: from now on the transferor hears how it goes on."""
        first = self._first
        self.second = second
        second.transfers = max(first.transfers, second.transfers) + 1
        first.transfer = second.transfer = self
        self._switch.trace.leg(second.id, sip_call_id(self.party))
        first.note(f"being transferred to {self._number}", step)
        self._referral.accept()

    def take_place(self, place: Leg) -> None:
        """Put the stand-in where the transferor is in the second call, which rings."""
        self._is_replaced = True
        if isinstance(place, CallerLeg):
            place.refuse(487)
            self.stand_in.follow_offer_of(place)
        self._come(place)

    def _come(self, place: Leg) -> None:
        """Have the party, or who stands in for it, in this place of the second call."""
        second, who = self.second, self._first.party(self.party)
        second.seat(place, self.stand_in)
        if isinstance(place, CallerLeg):
            self._switch.settled(place)
        second.move_in(self.stand_in, who)
        second.note(second.text, f"transfer: user:{self._leg.phone_of} gives its place to {who}")

    # --- from the second call -----------------------------------------------------------------------------------------

    def ringing(self, status: int, reason: str) -> None:
        """The target rings (Usher)."""
        self._referral.progress(status, reason)

    def answered(self) -> None:
        """The target has answered (Usher): the party joins it."""
        self.stand_in.attach(self.party)
        if self._is_replaced:
            self._switch.relays.take_in(self.second, self.stand_in)
        self.second.rejoin(self.stand_in, is_known=not self._is_replaced)

    def joined(self) -> None:
        """The party talks to the target: the first call is over, and the transferor's leg with it."""
        if self._is_over:
            return
        first, second = self._first, self.second
        self._close()
        self.stand_in.settle()
        for hold in second.take_holds(self.stand_in):
            hold.release()
        second.put_holds(self.stand_in, first.take_holds(self.party))
        if second.media is not None:
            second.media.established()
        self._referral.finish(200, "OK", self._part)
        by = first.side_of(self._leg)
        first.left_behind(by, f"transferred to {self._number} by the {by} side")
        second.show(CallState.TALKING)
        second.note("talking")

    def _part(self) -> None:
        """The transferor knows the end of it, and is not needed any more."""
        self._leg.hang_up()

    def undone(self, _words: str, status: int) -> bool:
        """The party and the target cannot be joined. False: then the second call is over."""
        self.failed(status, "")
        return False

    def failed(self, status: int, reason: str) -> None:
        """The second call has come to nothing (Usher): the first one goes on, if the transferor still is there."""
        if self._is_over:
            return
        self._close()
        self.stand_in.detach()
        self._tell_failure(status, reason)

    def _tell_failure(self, status: int, reason: str) -> None:
        """The first call goes on as it was, unless nobody is there for that."""
        first, status = self._first, passed_on(status)
        words = f"the transfer to {self._number} failed: {status} {reason or REASONS.get(status, '')}".strip()
        self._referral.finish(status, reason)
        if self._is_alone:
            first.hang_up(EndCause.NORMAL, f"{words}; the transferor had hung up", first.side_of(self._leg))
        else:
            first.note(words, f"transfer: {words}")

    def lost(self, event: HungUp) -> None:
        """The party has hung up while it was taken over (Usher)."""
        if self._is_over:
            return
        first = self._first
        self._close()
        self._referral.finish(487, "")
        by = first.side_of(self.party)
        first.hang_up(event.cause, f"the {by} side hung up during the transfer to {self._number}", by)

    # --- from both ----------------------------------------------------------------------------------------------------

    def goes_on_without(self, leg: Leg) -> bool:
        """A leg has ended: the transferor is not needed any more, everybody else is."""
        if leg is not self._leg or self._is_over:
            return False
        self._is_alone = True
        for hold in self._first.take_holds(leg):
            hold.release()
        text = f"being transferred to {self._number}; the transferor has hung up"
        self._first.note(text, "transfer: the transferor has hung up before the end of the transfer")
        return True

    def call_ended(self, call: Call) -> None:
        """One of the two calls has ended."""
        if call is not self._first or self._is_over:
            return
        self._close()
        self._referral.finish(487, "")
        self.second.hang_up(EndCause.CANCELLED, "the party that was transferred is gone", "caller")

    def _close(self) -> None:
        self._is_over = True
        self._first.transfer = self.second.transfer = None


class Consultation(Transfer):
    """An attended transfer: the transferor has talked to the target before."""

    def __init__(self, switch: Switch, first: Call, leg: Leg, referral: Referral, number: str, place: Leg) -> None:
        super().__init__(switch, first, leg, referral, number)
        self._place = place
        """The transferor's leg in the second call: nobody's, until all has worked out or come to nothing."""
        self._was_there: Party | None = None
        self._had_relay = False

    def take_place(self, place: Leg) -> None:
        """Bring the party in, in the transferor's place."""
        second = self.second
        self._was_there, self._had_relay = second.party(place), second.media is not None
        self.stand_in.attach(self.party)
        self._come(place)
        try:
            self._switch.relays.take_in(second, self.stand_in)
            second.rejoin(self.stand_in, is_known=False)
        except RemoteError as error:
            second.part(f"the session descriptions do not fit together: {error.detail or error.reason}", error.status)

    def _part(self) -> None:
        self._leg.hang_up()
        self._place.hang_up()

    def undone(self, words: str, status: int) -> bool:
        """The party and the target cannot be joined: each is with the transferor again."""
        self._close()
        self._restore(words)
        self._tell_failure(status, "")
        return True

    def _restore(self, words: str) -> None:
        """Give the second call back to the transferor, where that one still is there."""
        second, place = self.second, self._place
        self.stand_in.detach()
        if place.ended or not isinstance(place, CallerLeg | CalledLeg | StandIn):
            second.hang_up(EndCause.NORMAL, f"{words}; the transferor had hung up")
            return
        second.seat(self.stand_in, place)
        second.move_in(place, self._was_there)
        place.put_off_offer()
        try:
            self._switch.relays.take_back(second, place, self._had_relay)
            second.stay_apart(place)
        except RemoteError as error:
            words = f"{words}; {error.detail or error.reason}"
        second.note(f"the transfer failed: {words}", f"transfer: {words}")

    def failed(self, status: int, reason: str) -> None:
        """The second call has ended (Usher)."""
        if not self._is_over:
            super().failed(status, reason)
            self._place.hang_up()

    def lost(self, event: HungUp) -> None:
        """The party has hung up (Usher): the target is with the transferor again."""
        if not self._is_over:
            super().lost(event)
            self._restore("the party that was transferred has hung up")

    def call_ended(self, call: Call) -> None:
        """One of the two calls has ended."""
        if call is self._first and not self._is_over:
            self._close()
            self._referral.finish(487, "")
            self._restore("the other call has ended")
