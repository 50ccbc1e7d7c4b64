"""Trunks or lines that asked to be left alone for a while: 503 with Retry-After (RFC 3261 21.5.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from app.clock import local_time

if TYPE_CHECKING:
    from app.clock import Clock, Deadline

LONGEST_REST = 300
"""Seconds; who wants to rest longer is tried again all the same."""


class _Rest(NamedTuple):
    """One that rests."""

    until: float
    """Monotonic seconds."""
    wanted: int
    """The seconds of its Retry-After."""
    end: Deadline


class Resting:
    """Who rests now, by the id of its record; not kept over a restart.

    `schedule(delay, callback)` calls back later (seconds), `on_change(id)` hears of each begin and each end that the
    clock brings.
    """

    def __init__(
        self,
        clock: Clock,
        schedule: Callable[[float, Callable[[float], None]], Deadline],
        on_change: Callable[[int], None],
    ) -> None:
        self._clock = clock
        self._schedule = schedule
        self._on_change = on_change
        self._rests: dict[int, _Rest] = {}

    def __len__(self) -> int:
        """How many rest now."""
        return len(self._rests)

    def begin(self, record_id: int, retry_after: str) -> str:
        """It answered 503 with this Retry-After: `words` of its rest, blank where that is absent, 0 or broken."""
        wanted = _seconds(retry_after)
        if not wanted:
            return ""
        self.end(record_id)
        seconds = min(wanted, LONGEST_REST)
        end = self._schedule(seconds, lambda _now: self._over(record_id))
        self._rests[record_id] = _Rest(self._clock.monotonic() + seconds, wanted, end)
        self._on_change(record_id)
        return self.words(record_id)

    def words(self, record_id: int) -> str:
        """Until when it rests and why, blank while it does not."""
        rest = self._rests.get(record_id)
        if rest is None:
            return ""
        until = local_time(self._clock.wall() + rest.until - self._clock.monotonic())
        return f"rests until {until:%H:%M:%S} because it answered 503 with Retry-After {rest.wanted}"

    def end(self, record_id: int) -> None:
        """It has answered since, or its record was changed."""
        rest = self._rests.pop(record_id, None)
        if rest is not None:
            rest.end.cancel()

    def stop(self) -> None:
        """Nobody is called any more."""
        for record_id in tuple(self._rests):
            self.end(record_id)

    def _over(self, record_id: int) -> None:
        del self._rests[record_id]
        self._on_change(record_id)


def _seconds(retry_after: str) -> int:
    """The seconds of a Retry-After without its comment and parameters (RFC 3261 20.33), 0 where it is broken."""
    text = retry_after.partition(";")[0].partition("(")[0].strip(" \t")
    return int(text) if len(text) <= 10 and text.isascii() and text.isdecimal() else 0
