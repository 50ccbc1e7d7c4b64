"""Keeps where phones are registered past the end of this process, so that a restart leaves nobody unreachable.

A phone registers for up to an hour and does not notice that its server was restarted: without this it could not be
called until it registers again. Only places that were reached by UDP are kept: a connection ends with the process, its
phone sees that and registers anew (RFC 5626 4.4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from app.calls.registrar import Binding, Registrar
from app.records import Configuration, LocalUser
from app.sip.flow import Flow
from app.storage.registrations import ByNumber, StoredRegistration

if TYPE_CHECKING:
    from app.clock import Clock, Deadline

WRITE_EVERY = 5.0
"""Seconds between two writes: so much is forgotten when the process is killed."""
LATER_BY = 60.0
"""A refresh that only lasts longer is written when it is so many seconds ahead of what was."""
LONGEST_CONTACT = 500
"""Characters; what is longer is not kept, since no database could find it by that."""

Write = Callable[[ByNumber, Callable[[Exception | None], None]], None]
"""Write what users have now in the place of what they had, and tell later whether that could be done; never waits."""


class KeptRegistrations:
    """Writes down the bindings of a registrar as they change, and puts them back after a start."""

    def __init__(
        self, registrar: Registrar, clock: Clock, schedule: Callable[[float, Callable[[float], None]], Deadline]
    ) -> None:
        """`schedule(delay, callback)` calls back later (seconds)."""
        self.write: Write | None = None
        """Where to; nothing is kept without."""
        self._registrar = registrar
        self._clock = clock
        self._schedule = schedule
        self._users: Mapping[str, LocalUser] = {}
        self._written: dict[str, tuple[StoredRegistration, ...]] = {}
        self._changed: set[str] = set()
        self._failed: set[str] = set()
        """Whose could not be written: nothing is known of what is written then."""
        self._timer: Deadline | None = None

    def configure(self, configuration: Configuration) -> None:
        """Take a changed configuration: whose registrations are kept, and for which password."""
        self._users = configuration.users_by_number

    def restore(self, stored: Iterable[StoredRegistration]) -> int:
        """Put back what an earlier process has written and what still holds; how many places that are."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        longest = self._registrar.limits.maximum
        by_number: dict[str, list[StoredRegistration]] = {}
        for row in sorted(stored, key=lambda row: row.expires):
            by_number.setdefault(row.number, []).append(row)
        restored = 0
        for number, rows in by_number.items():
            mark = self._mark_of(number)
            self._written[number] = tuple(rows)
            bindings = [
                Binding(
                    row.contact,
                    Flow("udp", row.local_host, row.local_port, row.remote_host, row.remote_port),
                    row.call_id,
                    row.sequence,
                    now + min(row.expires - wall, longest),
                    row.user_agent,
                )
                for row in rows
                if row.expires > wall and row.password_mark == mark
            ]
            if len(bindings) < len(rows):
                # What does not hold any more is taken away with the next write.
                self._changed.add(number)
            restored += len(bindings)
            self._registrar.restore(number, bindings)
        return restored

    def changed(self, number: str) -> None:
        """A user's bindings are new. This runs for every REGISTER: what is worth writing is found out later."""
        self._changed.add(number)
        if self._timer is None and self.write is not None:
            self._timer = self._schedule(WRITE_EVERY, self._write_changed)

    def close(self) -> None:
        """Write what has changed at once: the process ends."""
        if self._timer is not None:
            self._timer.cancel()
        self._write_changed(0.0)

    def _write_changed(self, _now: float) -> None:
        self._timer = None
        if self.write is None:
            return
        changed, self._changed = self._changed, set()
        ahead = self._clock.wall() - self._clock.monotonic()
        news = {}
        for number in changed:
            rows = self._rows(number, ahead)
            if number in self._failed or _differ(self._written.get(number, ()), rows):
                news[number] = rows
        if not news:
            return
        self._failed.difference_update(news)
        for number, rows in news.items():
            if rows:
                self._written[number] = rows
            else:
                self._written.pop(number, None)

        def done(error: Exception | None) -> None:
            if error is not None:
                # The disk is full, for example; whoever records calls tells the user.
                self._failed.update(news)
                for number in news:
                    self.changed(number)

        self.write(news, done)

    def _mark_of(self, number: str) -> str | None:
        """What tells whether the password is still the same; None for who may not register."""
        user = self._users.get(number)
        if user is None or not user.enabled:
            return None
        return hashlib.blake2b(user.password.encode(), digest_size=8, person=number.encode()[:16]).hexdigest()

    def _rows(self, number: str, ahead: float) -> tuple[StoredRegistration, ...]:
        mark = self._mark_of(number)
        if mark is None:
            return ()
        rows: dict[tuple[str, str], StoredRegistration] = {}
        for binding in self._registrar.bindings(number):
            flow, contact = binding.flow, binding.contact
            if flow.transport != "udp" or len(contact) > LONGEST_CONTACT or not contact.isascii():
                continue
            # Of two phones behind one address that give the same private Contact only the newer one is found again.
            rows[contact, flow.remote_host] = StoredRegistration(
                number,
                contact,
                flow.remote_host,
                flow.remote_port,
                flow.local_host,
                flow.local_port,
                binding.call_id[:LONGEST_CONTACT],
                binding.sequence,
                binding.expires_at + ahead,
                binding.user_agent,
                mark,
            )
        return tuple(rows.values())


def _differ(before: tuple[StoredRegistration, ...], now: tuple[StoredRegistration, ...]) -> bool:
    """Whether that is worth writing: another place, another password, or a time that is much later."""
    if len(before) != len(now):
        return True
    old = {(row.contact, row.remote_host): row for row in before}
    for row in now:
        same = old.get((row.contact, row.remote_host))
        if same is None or not -LATER_BY < row.expires - same.expires < LATER_BY:
            return True
        if row != same._replace(call_id=row.call_id, sequence=row.sequence, expires=row.expires):
            return True
    return False
