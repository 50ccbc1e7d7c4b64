"""How many calls trunks, lines and users have, counted by holds that are given back exactly once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol


class Counted(IntEnum):
    """What is counted, and in which direction."""

    TRUNK_IN = 0
    TRUNK_OUT = 1
    LINE_IN = 2
    LINE_OUT = 3
    USER_IN = 4
    USER_OUT = 5


CounterKey = tuple[Counted, "int | str"]
"""What is counted and whose: a trunk's or line's id, a user's number."""


class Held(Protocol):
    """Something that counts for a party in a call until it is given back."""

    def release(self) -> None:
        """Give it back; once more does nothing."""


class Hold:
    """One call on one counter. `release` it when the call or the attempt ends; a second release does nothing."""

    __slots__ = ("_counters", "key")

    def __init__(self, counters: CallCounters, key: CounterKey) -> None:
        self._counters: CallCounters | None = counters
        self.key = key

    def release(self) -> None:
        """Give the place back."""
        counters, self._counters = self._counters, None
        if counters is not None:
            counters.give_back(self.key)


class CallCounters:
    """All counters. `on_change(key)` is called after every change, for the rows that show them."""

    def __init__(self) -> None:
        self._counts: dict[CounterKey, int] = {}
        self.on_change: Callable[[CounterKey], None] | None = None

    def hold(self, counted: Counted, whose: int | str) -> Hold:
        """Count one call; whether there is room was asked before."""
        key = (counted, whose)
        self._counts[key] = self._counts.get(key, 0) + 1
        if self.on_change is not None:
            self.on_change(key)
        return Hold(self, key)

    def count(self, counted: Counted, whose: int | str) -> int:
        """How many calls are counted now."""
        return self._counts.get((counted, whose), 0)

    def give_back(self, key: CounterKey) -> None:
        """Take one call off (used by `Hold.release`)."""
        left = self._counts[key] - 1
        if left:
            self._counts[key] = left
        else:
            del self._counts[key]
        if self.on_change is not None:
            self.on_change(key)

    @property
    def total(self) -> int:
        """The sum of all counters: 0 when no call is left, whatever happened."""
        return sum(self._counts.values())


class RateLimit:
    """So many calls per second: counts the calls of the running second (monotonic time)."""

    __slots__ = ("_count", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._count = 0

    def full(self, limit: int, now: float) -> bool:
        """Whether the limit of this second is used up; 0 is no limit."""
        return limit > 0 and self._second == int(now) and self._count >= limit

    def add(self, now: float) -> None:
        """Count one call."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._count = 0
        self._count += 1


class SlidingWindow:
    """The sum of what came within the last `span` seconds (monotonic time), kept in at most so many parts.

    A part counts until all of it lies further back, so that the sum is never too small.
    """

    __slots__ = ("_kept", "_span", "_step", "_sum")

    def __init__(self, span: float, parts: int = 60) -> None:
        self._span = span
        self._step = span / parts
        self._kept: deque[tuple[int, float]] = deque()
        """The number of each part that something came in, and how much."""
        self._sum = 0.0

    def add(self, amount: float, now: float) -> None:
        """Something came."""
        self._forget(now)
        part = int(now // self._step)
        if self._kept and self._kept[-1][0] >= part:
            part, before = self._kept.pop()
            self._kept.append((part, before + amount))
        else:
            self._kept.append((part, amount))
        self._sum += amount

    def total(self, now: float) -> float:
        """The sum by now."""
        self._forget(now)
        return self._sum

    def falls_to(self, amount: float, now: float) -> float:
        """When the sum is no more than this, if nothing comes until then."""
        left = self.total(now)
        at = now
        for part, came in self._kept:
            if left <= amount:
                break
            left -= came
            at = self._gone_at(part)
        return at

    def _gone_at(self, part: int) -> float:
        return (part + 1) * self._step + self._span

    def _forget(self, now: float) -> None:
        while self._kept and self._gone_at(self._kept[0][0]) <= now:
            self._sum -= self._kept.popleft()[1]
        if not self._kept:
            self._sum = 0.0
