"""Local users' phones as the users page shows them: offline, registered, ringing, talking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.dialplan.request import SourceKind
from app.events import CallState, EventBus, UserChanged, UserRow, UserState
from app.records import Configuration, LocalUser, RouteType

if TYPE_CHECKING:
    from app.calls.call import Call
    from app.calls.registrar import Registrar
    from app.clock import Clock


class Users:
    """The rows of all local users; a row is published when it is new."""

    def __init__(self, clock: Clock, registrar: Registrar, events: EventBus) -> None:
        self._clock = clock
        self._registrar = registrar
        self._events = events
        self._records: dict[str, LocalUser] = {}
        self._calls: dict[str, dict[str, Call]] = {}
        self._numbers: dict[str, set[str]] = {}

    def configure(self, configuration: Configuration) -> None:
        """Take a changed configuration."""
        records = dict(configuration.users_by_number)
        for number in [number for number in self._records if number not in records]:
            row = self._row(self._records.pop(number))
            self._events.publish(UserChanged(row, gone=True))
        before, self._records = self._records, records
        for number, record in records.items():
            if before.get(number) != record:
                self.publish(number)

    def call_changed(self, call: Call) -> None:
        """A call is new at a user, or its state is."""
        involved = self._involved(call)
        known = self._numbers.get(call.id)
        if known is None:
            if not involved:
                # Most calls of a gateway are at no user.
                return
            known = self._numbers[call.id] = set()
        for number in involved:
            self._calls.setdefault(number, {})[call.id] = call
        gone = known - involved
        for number in gone:
            self._forget(number, call.id)
        known.difference_update(gone)
        known.update(involved)
        for number in (*involved, *gone):
            self.publish(number)

    def call_ended(self, call: Call) -> None:
        """A call is at nobody any more."""
        for number in self._numbers.pop(call.id, ()):
            self._forget(number, call.id)
            self.publish(number)

    def _forget(self, number: str, call_id: str) -> None:
        calls = self._calls.get(number)
        if calls is not None:
            calls.pop(call_id, None)
            if not calls:
                del self._calls[number]

    def _involved(self, call: Call) -> set[str]:
        involved: set[str] = set()
        if call.party_in.source.kind is SourceKind.LOCAL_USER:
            involved.add(call.party_in.source.number)
        target = call.target
        if call.party_out is not None:
            if call.party_out.source.kind is SourceKind.LOCAL_USER:
                involved.add(call.party_out.source.number)
        elif target is not None and target.kind is RouteType.LOCAL_USER:
            involved.add(target.called_number)
        return involved

    def publish(self, number: str) -> None:
        """A user's row is new."""
        record = self._records.get(number)
        if record is not None and self._events.wanted(UserChanged):
            self._events.publish(UserChanged(self._row(record)))

    def rows(self) -> tuple[UserRow, ...]:
        """Every user, in the order of the records."""
        return tuple(self._row(record) for record in self._records.values())

    def _row(self, record: LocalUser) -> UserRow:
        number = record.number
        bindings = self._registrar.bindings(number)
        calls = self._calls.get(number, {})
        state = UserState.REGISTERED if bindings or record.trusted_address else UserState.OFFLINE
        for call in calls.values():
            if call.state in (CallState.TALKING, CallState.HELD) or call.source.number == number:
                state = UserState.TALKING
                break
            state = UserState.RINGING
        expires_at = 0.0
        if bindings:
            left = max(binding.expires_at for binding in bindings) - self._clock.monotonic()
            expires_at = self._clock.wall() + left
        return UserRow(
            number=number,
            name=record.display_name or record.description,
            state=state,
            contacts=tuple(binding.contact for binding in bindings),
            user_agent=bindings[-1].user_agent if bindings else "",
            expires_at=expires_at,
            active_calls=len(calls),
        )
