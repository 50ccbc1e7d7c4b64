"""The tone for a caller who hears nothing: audio before the answer was announced, and none comes (RFC 3960 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.calls.call import Call
    from app.calls.leg_events import Body
    from app.clock import Deadline

PATIENCE = 3.0
"""Seconds in which announced audio is expected; the figures that tell of it are up to a second old."""


class Ringback:
    """Watches the early media of one attempt of a relayed call.

    Who was told of audio mostly plays that, be it silence. A 180 without description is what makes a phone ring of
    itself; by RFC 3960 it goes over to the audio should that come after all.
    """

    __slots__ = ("_call", "_deadline", "_is_told")

    def __init__(self, call: Call) -> None:
        self._call: Call | None = call
        self._deadline: Deadline | None = None
        self._is_told = False

    def passed_on(self, status: int, body: Body | None) -> None:
        """A provisional answer went to the caller, with this description."""
        call = self._call
        if call is None or self._is_told:
            return
        if body is None:
            if status == 180:
                # The caller is told that it rings: what comes next is its phone's decision.
                self._stop_waiting()
        elif self._deadline is None and call.media is not None:
            self._deadline = call.schedule(PATIENCE, self._look)

    def _look(self, _now: float) -> None:
        self._deadline = None
        call = self._call
        if call is None or call.media is None or call.media.hears_called_side(PATIENCE):
            return
        self._is_told = True
        target = call.target.name if call.target is not None else "the called side"
        silence = f"{target} announced audio before the answer, and none came within {PATIENCE:.0f} s"
        call.note("ringing", f"early media: {silence}; the caller is told that it rings")
        call.caller.ring(180, "", None)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def stop(self) -> None:
        """The attempt is over."""
        self._stop_waiting()
        self._call = None
