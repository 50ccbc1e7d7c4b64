"""When a relayed call's audio is one-way, silent or dead: a pure watch that is fed the ages of the newest packets."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from app.media.negotiation import NegotiatedMedia, Side

FLOWING_WITHIN = 2.5
"""Seconds: a stream whose newest packet is younger flows."""


class Problem(StrEnum):
    """What is wrong with a stream."""

    NONE = ""
    ONE_WAY = "one-way"
    """Nothing comes from this side, while the other side's audio flows."""
    SILENT = "silent"
    """Nothing comes from this side, nor from the other one."""


class Notice(NamedTuple):
    """A stream's problem has begun, changed or ended."""

    side: Side
    problem: Problem


class StreamWatch:
    """The watch over the two streams of one call; time is an argument, in monotonic seconds."""

    __slots__ = ("_alive_at", "_dead_told", "_expected_since", "problems")

    def __init__(self) -> None:
        self._expected_since: list[float | None] = [None, None]
        self._alive_at: float | None = None
        self._dead_told = False
        self.problems = [Problem.NONE, Problem.NONE]

    def expect(self, media: NegotiatedMedia | None, now: float) -> None:
        """The call is answered, or was negotiated anew: from now on these streams are expected."""
        for side in Side:
            wanted = media is not None and media.sends(side) and not media.held
            if not wanted:
                self._expected_since[side] = None
            elif self._expected_since[side] is None:
                self._expected_since[side] = now
        if media is None or not media.active or media.held:
            self._alive_at = None
        elif self._alive_at is None:
            self._alive_at = now

    def check(self, last_packets: tuple[float, float], now: float, silence_after: float) -> list[Notice]:
        """What has changed, given when each side's newest packet came (monotonic; negative: never)."""
        notices = []
        flowing = [last >= 0 and now - last < FLOWING_WITHIN for last in last_packets]
        for side in Side:
            since = self._expected_since[side]
            problem = Problem.NONE
            if since is not None and now - max(since, last_packets[side]) >= silence_after:
                problem = Problem.ONE_WAY if flowing[side.other] else Problem.SILENT
            if problem is not self.problems[side]:
                self.problems[side] = problem
                notices.append(Notice(side, problem))
        return notices

    def is_dead(self, newest: float, now: float, dead_after: float) -> bool:
        """Whether nothing at all came for `dead_after` seconds; told once. `newest` counts RTCP as well."""
        if self._alive_at is None or dead_after <= 0 or self._dead_told:
            return False
        if now - max(self._alive_at, newest) < dead_after:
            return False
        self._dead_told = True
        return True
