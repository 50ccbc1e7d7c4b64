"""Challenges that nobody answered: who claims to be a local user and never shows the password is noticed after a while.

A phone answers a 401 within a round trip. Who does not is either a scanner that looks for open doors, or a phone that
cannot do what it was asked; an admin wants to see both.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from app.sip.flow import Flow

if TYPE_CHECKING:
    from app.clock import Deadline

PATIENCE = 10.0
"""Seconds in which the answer to a challenge is expected."""
MAXIMUM_WAITING = 1000
"""So many challenges are watched at once; those beyond are not, so that a flood cannot push out what was first."""


class Challenged(NamedTuple):
    """A request that was challenged."""

    source: Flow
    method: str
    claimed: str
    """The user that it claims to come from."""
    called_number: str
    user_agent: str


class UnansweredChallenges:
    """Watches challenges. `schedule(delay, callback)` calls back later (seconds), `on_silence` hears who it was."""

    def __init__(
        self,
        schedule: Callable[[float, Callable[[float], None]], Deadline],
        on_silence: Callable[[Challenged], None],
    ) -> None:
        self._schedule = schedule
        self._on_silence = on_silence
        self._waiting: OrderedDict[tuple[str, str], tuple[float, Challenged]] = OrderedDict()
        self._timer: Deadline | None = None

    def __len__(self) -> int:
        """How many challenges are watched now."""
        return len(self._waiting)

    def challenged(self, call_id: str, challenged: Challenged, now: float) -> None:
        """A request without a password was challenged; `now`: monotonic seconds."""
        key = (challenged.source.remote_host, call_id)
        if key in self._waiting or len(self._waiting) >= MAXIMUM_WAITING:
            return
        self._waiting[key] = (now + PATIENCE, challenged)
        if self._timer is None:
            self._timer = self._schedule(PATIENCE, self._look)

    def answered(self, host: str, call_id: str) -> None:
        """A request with that Call-ID has shown a password, right or wrong."""
        self._waiting.pop((host, call_id), None)

    def _look(self, now: float) -> None:
        """Tell of those whose time is over; they stand first."""
        self._timer = None
        waiting = self._waiting
        while waiting:
            key, (until, challenged) = next(iter(waiting.items()))
            if until > now:
                self._timer = self._schedule(until - now, self._look)
                return
            del waiting[key]
            self._on_silence(challenged)
