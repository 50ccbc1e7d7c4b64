"""Admission under overload: what may still begin while more comes in than the server can do (RFC 3261 21.5.4)."""

from __future__ import annotations

from collections.abc import Callable

STANDING_STRANGERS = 0.04
STANDING_PEERS = 0.08
"""Seconds for which the receive queue may stand before new calls are refused: of anybody, and of configured peers.

A queue that becomes empty now and then only smooths bursts. One that stands is as long as it is because more comes in
than is done, and all that waits in it only grows old (as CoDel, RFC 8289, has it for packets).
"""
STANDING_REST = 0.2
"""Seconds after which registrations and other requests outside of dialogs are refused as well."""
OVER_AFTER = 5.0
"""Seconds without a refusal after which an overload is over."""


class Overload:
    """Pure but for `standing()`, which tells for how many seconds the receive queue has not been empty.

    Refusing costs a twentieth of a call, so that what was begun gets the time it needs, and everything inside a dialog
    is always taken. `on_change(refused)` is called when an overload begins (1) and, with their number, when it is over.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        is_peer: Callable[[str], bool],
        on_change: Callable[[int, bool], None],
    ) -> None:
        self.standing: Callable[[], float] = lambda: 0.0
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
        standing = self.standing()
        if standing < STANDING_STRANGERS:
            return False
        if standing < (STANDING_REST if method != "INVITE" else STANDING_PEERS) and (
            method != "INVITE" or self._is_peer(host)
        ):
            return False
        begins = self._last == 0.0
        self._last = self._monotonic()
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
