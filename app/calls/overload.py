"""Admission under overload: what may still begin while more comes in than the server can do (RFC 3261 21.5.4)."""

from __future__ import annotations

from collections.abc import Callable

PATIENCE = 0.3
PATIENCE_REST = 0.4
"""Seconds that a message may have waited to be read before new calls are refused, and other beginnings; until then.

A machine that stands still for a moment (a disk is flushed, memory is tidied, a window is painted) leaves a queue, too,
and works it off: that is no reason to refuse anybody. Whoever gets no answer within half a second asks again (RFC 3261
timers A and E), and what repeats itself makes an overload worse: so not longer than this.
"""
LOADED_STRANGERS = 0.08
LOADED_PEERS = 0.15
LOADED_REST = 0.25
"""The same once that has happened: the calls of anybody, those of configured peers, and other beginnings.

More comes in than is done, so that all that waits only grows old (as CoDel, RFC 8289, has it for packets): the queue is
kept short, and what is taken is done quickly. Longer than a tenth of a second for peers, so that small pauses do not
make an overload last that is over.
"""
CALM_AFTER = 1.0
"""Seconds without a refusal after which there is patience again."""
OVER_AFTER = 5.0
"""Seconds without a refusal after which an overload is said to be over."""


class Overload:
    """Pure but for `waiting()`, which tells how many seconds what is read now has waited in the receive queue.

    Refusing costs a twentieth of a call, so that what was begun gets the time it needs, and everything inside a dialog
    is always taken. `on_change(refused)` is called when an overload begins (1) and, with their number, when it is over.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        is_peer: Callable[[str], bool],
        on_change: Callable[[int, bool], None],
    ) -> None:
        self.waiting: Callable[[], float] = lambda: 0.0
        self.refused = 0
        """Requests refused since the start."""
        self._monotonic = monotonic
        self._is_peer = is_peer
        self._on_change = on_change
        self._refused_before = 0
        self._last = 0.0

    @property
    def active(self) -> bool:
        """Whether requests are being refused, or were a moment ago."""
        return self._last > 0.0

    def refuses(self, method: str, host: str) -> bool:
        """Whether a new request from this address, outside of any dialog, has to be refused now; counts it."""
        waiting = self.waiting()
        if waiting < LOADED_STRANGERS:
            return False
        now = self._monotonic()
        if not self._last or now - self._last > CALM_AFTER:
            if waiting < (PATIENCE if method == "INVITE" else PATIENCE_REST):
                return False
        elif method != "INVITE":
            if waiting < LOADED_REST:
                return False
        elif waiting < LOADED_PEERS and self._is_peer(host):
            return False
        begins = not self._last
        self._last = now
        self.refused += 1
        if begins:
            self._refused_before = self.refused - 1
            self._on_change(1, True)
        return True

    def expire(self, now: float) -> None:
        """Notice that an overload is over; to be called about once a second."""
        if self._last and now - self._last >= OVER_AFTER:
            self._last = 0.0
            self._on_change(self.refused - self._refused_before, False)
