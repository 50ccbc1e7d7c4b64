"""Who was turned away: one row per address, so that an admin sees why a peer is not let in."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from app.events import EventBus, RejectedSource, SourceRejected
from app.sip.flow import Flow

MAXIMUM_SOURCES = 1000
"""The oldest source is forgotten for a new one beyond this many."""
MAXIMUM_TEXT = 80
"""Longer texts of a stranger are cut."""


class RejectedSources:
    """The sources that were refused, newest last."""

    def __init__(self, events: EventBus) -> None:
        self._events = events
        self._rows: OrderedDict[str, RejectedSource] = OrderedDict()

    def add(self, source: Flow, method: str, called_number: str, user_agent: str, reason: str, wall: float) -> None:
        """Note that a source was refused and why."""
        old = self._rows.pop(source.remote_host, None)
        row = RejectedSource(
            address=source.remote_host,
            port=source.remote_port,
            transport=source.transport,
            method=method[:MAXIMUM_TEXT],
            called_number=called_number[:MAXIMUM_TEXT],
            user_agent=user_agent[:MAXIMUM_TEXT],
            reason=reason,
            count=1,
            first=wall,
            last=wall,
        )
        if old is not None:
            row = replace(row, count=old.count + 1, first=old.first)
        elif len(self._rows) >= MAXIMUM_SOURCES:
            self._rows.popitem(last=False)
        self._rows[source.remote_host] = row
        self._events.publish(SourceRejected(row))

    def rows(self) -> tuple[RejectedSource, ...]:
        """All rows, the newest first."""
        return tuple(reversed(self._rows.values()))
