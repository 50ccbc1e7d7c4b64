"""The alarms since the window was opened, so that one that was missed can be read up."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.events import Alarm

if TYPE_CHECKING:
    from ui.bridge import Bridge

MOST_ALARMS = 500
"""The oldest alarm is forgotten for a new one beyond this many."""


@dataclass(frozen=True, slots=True)
class PastAlarm:
    """An alarm with its place in the order in which they came."""

    number: int
    alarm: Alarm


class AlarmHistory(QObject):
    """Takes every alarm from the bridge and keeps the newest."""

    changed = Signal()

    def __init__(self, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._alarms: deque[PastAlarm] = deque(maxlen=MOST_ALARMS)
        self._count = 0
        bridge.alarmed.connect(self._take)

    def _take(self, alarms: Sequence[Alarm]) -> None:
        for alarm in alarms:
            self._count += 1
            self._alarms.appendleft(PastAlarm(self._count, alarm))
        self.changed.emit()

    def rows(self) -> tuple[PastAlarm, ...]:
        """All that are kept, the newest first."""
        return tuple(self._alarms)
