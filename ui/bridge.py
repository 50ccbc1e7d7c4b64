"""The one object between engine and widgets: it keeps the newest row per id and hands them over in batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.events import (
    Alarm,
    BansChanged,
    CallChanged,
    CallRecorded,
    ConfigurationChanged,
    EngineChanged,
    EventBus,
    LineChanged,
    Sampled,
    SourceRejected,
    StreamsChanged,
    TrunkChanged,
    UserChanged,
)

INTERVAL = 0.25
"""Seconds between two batches. The first change after a pause is handed over at once."""

MOST_WAITING = 2_000
"""Call records, samples and alarms that may wait for the next batch; the oldest go first."""


class Bridge(QObject):
    """Turns the engine's events into signals.

    The engine publishes on the path of a SIP message, so taking an event costs a dictionary entry and nothing else;
    widgets are only called from the timer.
    """

    configuration_changed = Signal(object)
    """The newest Configuration."""
    engine_changed = Signal(object)
    """The newest EngineChanged."""
    calls_changed = Signal(list)
    """CallRows, newest per id; those that have ended too."""
    streams_changed = Signal(list)
    """StreamRows, newest per call and side."""
    trunks_changed = Signal(list)
    """TrunkChanged events, newest per id; likewise for lines and users."""
    lines_changed = Signal(list)
    users_changed = Signal(list)
    sources_rejected = Signal(list)
    """RejectedSources, newest per address."""
    bans_changed = Signal(object)
    """Every Ban of this moment."""
    sampled = Signal(list)
    """GaugeSamples in their order."""
    calls_recorded = Signal(list)
    """CallRecords in their order."""
    alarmed = Signal(list)
    """Alarms in their order."""

    def __init__(
        self, events: EventBus, parent: QObject | None = None, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(parent)
        self._now = now
        self._last_batch = -INTERVAL
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.hand_over)
        self._newest: dict[Any, dict[Hashable, Any]] = {}
        self._waiting: dict[Any, list[Any]] = {}
        self._unsubscribe = [
            events.subscribe(ConfigurationChanged, lambda event: self._keep("configuration_changed", 0, event)),
            events.subscribe(EngineChanged, lambda event: self._keep("engine_changed", 0, event)),
            events.subscribe(CallChanged, lambda event: self._keep("calls_changed", event.row.id, event.row)),
            events.subscribe(StreamsChanged, self._keep_streams),
            events.subscribe(TrunkChanged, lambda event: self._keep("trunks_changed", event.row.id, event)),
            events.subscribe(LineChanged, lambda event: self._keep("lines_changed", event.row.id, event)),
            events.subscribe(UserChanged, lambda event: self._keep("users_changed", event.row.number, event)),
            events.subscribe(
                SourceRejected, lambda event: self._keep("sources_rejected", event.row.address, event.row)
            ),
            events.subscribe(BansChanged, lambda event: self._keep("bans_changed", 0, event)),
            events.subscribe(Sampled, lambda event: self._collect("sampled", event.sample)),
            events.subscribe(CallRecorded, lambda event: self._collect("calls_recorded", event.record)),
            events.subscribe(Alarm, lambda event: self._collect("alarmed", event)),
        ]
        self.destroyed.connect(_end_all(self._unsubscribe))

    def close(self) -> None:
        """Stop listening; what still waits is dropped."""
        _end_all(self._unsubscribe)()
        self._timer.stop()
        self._newest.clear()
        self._waiting.clear()

    def _keep(self, name: str, key: Hashable, value: object) -> None:
        self._newest.setdefault(name, {})[key] = value
        self._arm()

    def _keep_streams(self, event: StreamsChanged) -> None:
        rows = self._newest.setdefault("streams_changed", {})
        for row in event.rows:
            rows[row.call_id, row.side] = row
        self._arm()

    def _collect(self, name: str, value: object) -> None:
        values = self._waiting.setdefault(name, [])
        values.append(value)
        if len(values) > MOST_WAITING:
            del values[: MOST_WAITING // 10]
        self._arm()

    def _arm(self) -> None:
        if not self._timer.isActive():
            wait = INTERVAL - (self._now() - self._last_batch)
            self._timer.start(max(0, round(wait * 1000)))

    def hand_over(self) -> None:
        """Emit everything that waits; the configuration first, because rows are shown by its words.

        Streams come before calls, so that nothing is heard of a call after its end.
        """
        self._timer.stop()
        self._last_batch = self._now()
        newest, self._newest = self._newest, {}
        waiting, self._waiting = self._waiting, {}
        for name, what in (
            ("configuration_changed", lambda event: event.configuration),
            ("engine_changed", lambda event: event),
            ("bans_changed", lambda event: event.bans),
        ):
            for event in newest.pop(name, {}).values():
                getattr(self, name).emit(what(event))
        streams = newest.pop("streams_changed", None)
        if streams:
            self.streams_changed.emit(list(streams.values()))
        for name, rows in newest.items():
            getattr(self, name).emit(list(rows.values()))
        for name, values in waiting.items():
            getattr(self, name).emit(values)


def _end_all(unsubscribe: list[Callable[[], None]]) -> Callable[..., None]:
    """A function that ends every subscription, once; it holds the list and not the bridge, and may outlive it."""

    def end(*_: object) -> None:
        while unsubscribe:
            unsubscribe.pop()()

    return end
