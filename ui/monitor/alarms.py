"""The page of alarms: what went wrong while the window was open, and when it was over."""

from __future__ import annotations

from PySide6.QtCore import Qt

from app.errors import UserFacingError
from app.events import Alarm, Severity
from ui.monitor.alarm_history import PastAlarm
from ui.monitor.live_page import LivePage
from ui.tables.cells import Cell, Column, state_cell, text_cell, time_cell
from ui.tables.table_page import Needs
from ui.theme import Tone
from ui.workspace import Workspace

SUBJECTS = {
    "trunk_down": "SIP trunk",
    "line_down": "External line",
    "database": "Database",
    "listener": "Listening",
    "media_worker": "Audio",
    "overload": "Load",
    "external_calls": "External calls",
    "alarm_delivery": "Alarms elsewhere",
}
"""What an alarm is about, by its code."""
_TONES = {Severity.ERROR: Tone.BAD, Severity.WARNING: Tone.WARNING, Severity.INFORMATION: Tone.INFORMATION}
_ORDER = {severity: place for place, severity in enumerate(_TONES)}


def _state(alarm: Alarm) -> Cell:
    if alarm.cleared:
        return state_cell("over", len(_ORDER), Tone.GOOD)
    return state_cell(alarm.severity.value, _ORDER[alarm.severity], _TONES[alarm.severity])


ALARM_COLUMNS: list[Column[PastAlarm]] = [
    Column("at", "Time", lambda row: time_cell(row.alarm.at)),
    Column("state", "State", lambda row: _state(row.alarm), sample="information"),
    Column(
        "subject",
        "About",
        lambda row: text_cell(SUBJECTS.get(row.alarm.code, row.alarm.code.replace("_", " "))),
        sample=max(SUBJECTS.values(), key=len),
    ),
    Column("text", "What happened", lambda row: text_cell(row.alarm.text, tip=row.alarm.text)),
]


class AlarmsPage(LivePage[PastAlarm]):
    """`page.alarms`: every alarm since the window was opened, the newest first."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(
            workspace,
            "alarms",
            "Alarms",
            ALARM_COLUMNS,
            lambda row: row.number,
            workspace.alarm_history.rows,
            "Nothing went wrong since the window was opened. A trunk that goes down, a line that loses its "
            "registration, a user that calls outwards too much, a full disk and the like are noted here, and when "
            "they are over.",
        )
        self.add_command("send_test", "Send a &test", self.send_test, icon="alarm", needs=Needs.NOTHING)
        self.add_table_commands()
        header = self.view.horizontalHeader()
        if header.sortIndicatorSection() < 0:
            header.setSortIndicator(self.live.column_index("at"), Qt.SortOrder.DescendingOrder)
        self.load()
        workspace.alarm_history.changed.connect(self.load)

    def send_test(self) -> None:
        """Deliver a test where alarms are delivered, and say where that is."""
        try:
            destinations = self.workspace.engine.send_test_alarm()
        except UserFacingError as error:
            self.workspace.notice(str(error))
            return
        if destinations:
            self.workspace.notice(f"A test is on its way to {', '.join(destinations)}.")
        else:
            self.workspace.notice(
                "Alarms are shown here only. System, tab Alarms, says where else they go.",
                "System",
                lambda: self.workspace.page_wanted.emit("system"),
            )
