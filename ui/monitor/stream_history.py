"""The last five minutes of every relayed call in progress, for the curves of the one that is looked at."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QObject

from app.events import CallRow, CallState, EngineChanged, EngineState, StreamRow

if TYPE_CHECKING:
    from ui.bridge import Bridge

SECONDS = 300
MOST_POINTS = 360
"""Points of a call; at the bound the oldest sixth goes. Figures come about once a second."""
MOST_CALLS = 500
"""Calls that are kept, in at most 13 MB. At the bound a further call is kept from when it is chosen."""
SIDES = ("caller", "called")
UNKNOWN = float("nan")

_FIELDS = 4
_WIDTH = 1 + _FIELDS * len(SIDES)
"""Numbers of a point: its wall time, then the figures of each side."""


class StreamCurves(NamedTuple):
    """What one side sent, one value per time; NaN where it is not known."""

    mos: Sequence[float]
    loss_percent: Sequence[float]
    jitter_ms: Sequence[float]
    packets_per_second: Sequence[float]


class StreamHistory(QObject):
    """Fed by the bridge's batches; forgets a call when it ends."""

    def __init__(self, bridge: Bridge, parent: QObject | None = None, *, now: Callable[[], float] = time.time) -> None:
        super().__init__(parent)
        self._now = now
        self._points: dict[str, array[float]] = {}
        self._chosen = ""
        self._pruned_at = 0.0
        bridge.streams_changed.connect(self.take)
        bridge.calls_changed.connect(self._forget_ended)
        bridge.engine_changed.connect(self._engine_changed)

    def __len__(self) -> int:
        return len(self._points)

    def choose(self, call_id: str) -> None:
        """Keep this call even when there are too many."""
        self._chosen = call_id

    def take(self, rows: Sequence[StreamRow]) -> None:
        """Add a batch of figures."""
        now = self._now()
        batch: dict[str, dict[str, StreamRow]] = {}
        for row in rows:
            batch.setdefault(row.call_id, {})[row.side] = row
        for call_id, sides in batch.items():
            points = self._points.get(call_id)
            if points is None:
                if len(self._points) >= MOST_CALLS and call_id != self._chosen:
                    continue
                points = self._points[call_id] = array("d")
            points.append(now)
            for side in SIDES:
                points.extend(_figures(sides.get(side)))
            if len(points) >= MOST_POINTS * _WIDTH:
                del points[: MOST_POINTS // 6 * _WIDTH]
        if now - self._pruned_at >= 60:
            self._prune(now)

    def _prune(self, now: float) -> None:
        """Let go of calls of which nothing was heard for as long as a curve is, whatever the reason."""
        self._pruned_at = now
        for call_id, points in list(self._points.items()):
            if points[-_WIDTH] < now - SECONDS:
                del self._points[call_id]

    def _forget_ended(self, rows: Sequence[CallRow]) -> None:
        for row in rows:
            if row.state is CallState.ENDED:
                self._points.pop(row.id, None)

    def _engine_changed(self, event: EngineChanged) -> None:
        if event.state in (EngineState.STOPPED, EngineState.FAILED):
            self._points.clear()

    def times(self, call_id: str) -> Sequence[float]:
        """The wall times of a call's points within the last five minutes, oldest first."""
        points = self._points.get(call_id, array("d"))
        return points[self._first(points) :: _WIDTH]

    def curves(self, call_id: str, side: str) -> StreamCurves:
        """What `caller` or `called` sent at each of `times`."""
        points = self._points.get(call_id, array("d"))
        begin = self._first(points) + 1 + SIDES.index(side) * _FIELDS
        return StreamCurves(*(points[begin + place :: _WIDTH] for place in range(_FIELDS)))

    def _first(self, points: array[float]) -> int:
        earliest = self._now() - SECONDS
        place = 0
        while place < len(points) and points[place] < earliest:
            place += _WIDTH
        return place


def _figures(row: StreamRow | None) -> tuple[float, float, float, float]:
    if row is None:
        return (UNKNOWN,) * _FIELDS
    if not row.packets:
        return (row.mos or UNKNOWN, UNKNOWN, UNKNOWN, 0.0)
    return (row.mos or UNKNOWN, row.loss_percent, row.jitter_ms, row.packets_per_second)
