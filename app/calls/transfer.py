"""Call transfer (RFC 3515, RFC 5589): a local user has the other side of its call talk to somebody else.

The transferor's REFER makes a second call, which the dial plan decides as one of the transferor's own. Until its target
answers, the party that is transferred stays in the first call; then a stand-in takes it into the second one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.calls.call_words import not_held
from app.calls.identity import CallerIdentity, number_of
from app.calls.leg_events import EndCause, HungUp
from app.calls.referral import Referral, Wish, wish_of
from app.calls.stand_in import StandIn
from app.dialplan.request import Source, SourceKind
from app.errors import RemoteError
from app.events import CallState
from app.sip.headers import REASONS

if TYPE_CHECKING:
    from app.calls.call import Call
    from app.calls.leg import Leg
    from app.calls.switch import Switch

MAXIMUM_TRANSFERS = 10
"""So many transfers may follow one another, each with the party that the one before has left."""
UNDER_WAY = frozenset({CallState.TALKING, CallState.HELD})


class Transfers:
    """Takes the REFERs of all calls."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    def refer(self, call: Call, leg: Leg, referral: Referral) -> None:
        """One side of a call wants the other one to be called elsewhere. Whatever it asks for is answered."""
        try:
            wish = self._allowed(call, leg, referral)
            self._blind(call, leg, referral, self._number(call, leg, wish))
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
        if wish.replaces is not None:
            raise RemoteError(501, "", "a transfer into another call is not offered")
        if uri.is_sip and not self._is_ours(uri.host, leg):
            raise RemoteError(403, "Not A Number Of This Server", f"{uri.host[:100]} is another server")
        number = number_of(uri)
        if not number:
            raise RemoteError(484, "", "Refer-To names no number")
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
        switch, user, party = self._switch, leg.phone_of, first.other(leg)
        assert party is not None
        who = first.party(party)
        transfer = Transfer(first, leg, party, referral, number)
        offer = party.last_heard
        stand_in = StandIn(
            switch.endpoint,
            transfer,
            party.flow,
            referral.request,
            not_held(offer) if offer is not None else None,
            who.source.name,
        )
        record = switch.configuration.users_by_number.get(user)
        display = record.display_name if record is not None else ""
        second = switch.begin(stand_in, Source.user(user), number, CallerIdentity(user, display, False))
        second.party_in = who
        second.presented = self._presented(first, party, user)
        second.transfers = first.transfers + 1
        second.trail.append(
            f"transfer: user:{user} transfers {who.source.name} ({who.number or 'no number'}) to {number}"
        )
        switch.trace.leg(second.id, sip_call_id(party))
        transfer.second, transfer.stand_in = second, stand_in
        first.transfer = second.transfer = transfer
        first.note(f"being transferred to {number}", f"transfer: user:{user} transfers the call to {number}")
        referral.accept()
        # A user that may have one call may transfer that one: it is in the call that it transfers, or in the new one.
        holds = first.take_holds(leg)
        for hold in holds:
            hold.release()
        switch.send_on(second)
        if first.state is not CallState.ENDED:
            first.put_holds(leg, [switch.counters.hold(*hold.key) for hold in holds])

    def _presented(self, first: Call, party: Leg, user: str) -> CallerIdentity:
        """How the target's phone shows the party: by its own number, as that is who will talk."""
        who = first.party(party)
        display, private = "", False
        if who.source.kind is SourceKind.LOCAL_USER:
            record = self._switch.configuration.users_by_number.get(who.source.number)
            display = record.display_name if record is not None else ""
        elif party is first.caller:
            shown = first.presented or first.identity
            display, private = shown.display, shown.private
        return CallerIdentity(who.number, display, private, referred_by=user)


def sip_call_id(leg: Leg) -> str:
    """The Call-ID of a party's dialog."""
    return leg.leg.call_id if isinstance(leg, StandIn) and leg.leg is not None else leg.call_id


class Transfer:
    """One transfer under way (`app.calls.stand_in.Usher`)."""

    second: Call
    """The call that the party goes to."""
    stand_in: StandIn
    """Its place there."""

    def __init__(self, first: Call, leg: Leg, party: Leg, referral: Referral, number: str) -> None:
        self._first = first
        self._leg = leg
        """The transferor's leg."""
        self._party = party
        self._referral = referral
        self._number = number
        self._is_alone = False
        """The transferor has hung up already, as phones do."""
        self._is_over = False

    # --- from the second call -----------------------------------------------------------------------------------------

    def ringing(self, status: int, reason: str) -> None:
        """The target rings (Usher)."""
        self._referral.progress(status, reason)

    def answered(self) -> None:
        """The target has answered (Usher): the party joins it."""
        self.stand_in.attach(self._party)
        self.second.rejoin(self.stand_in)

    def joined(self) -> None:
        """The party talks to the target: the first call is over, and the transferor's leg with it."""
        if self._is_over:
            return
        first, second = self._first, self.second
        self._close()
        self.stand_in.settle()
        for hold in second.take_holds(self.stand_in):
            hold.release()
        second.put_holds(self.stand_in, first.take_holds(self._party))
        self._referral.finish(200, "OK", self._leg.hang_up)
        by = first.side_of(self._leg)
        first.left_behind(by, f"transferred to {self._number} by the {by} side")
        second.note("talking")

    def failed(self, status: int, reason: str) -> None:
        """The second call has come to nothing (Usher): the first one goes on, if the transferor still is there."""
        if self._is_over:
            return
        first = self._first
        self._close()
        self.stand_in.detach()
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
        by = first.side_of(self._party)
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
