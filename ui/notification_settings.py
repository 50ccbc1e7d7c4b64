"""The dialog that says when and how alarms are told outside of the window."""

from __future__ import annotations

from PySide6.QtCore import QTime
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QCheckBox, QDialogButtonBox, QFormLayout, QTimeEdit, QVBoxLayout, QWidget

from ui.dialogs import Dialog
from ui.labels import field_label
from ui.plain_text import PlainLabel
from ui.quiet_hours import QuietHours
from ui.tray import Tray

USUAL = QuietHours(22 * 60, 7 * 60)
"""What is proposed."""


class TimeBox(QTimeEdit):
    """Takes `7:45` as it is typed: over a selection of everything Qt's own keeps the old hour and says nothing."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Begin with the hour where everything is selected, or the keys went to the beginning."""
        whole = self.lineEdit().selectedText() == self.text()
        if event.text().isdigit() and (whole or self.lineEdit().cursorPosition() == 0):
            self.setSelectedSection(QTimeEdit.Section.HourSection)
        super().keyPressEvent(event)


class NotificationSettings(Dialog):
    """`dialog.notifications`: `sound`, `quiet`, `begin`, `end`."""

    def __init__(self, tray: Tray, parent: QWidget) -> None:
        super().__init__("notifications", "Notifications", parent)
        self._tray = tray
        hours = tray.quiet_hours
        self.sound = QCheckBox("&Sound with an error, while nobody looks at the window")
        self.sound.setObjectName("sound")
        self.sound.setChecked(tray.sound)
        self.quiet = QCheckBox("&Quiet hours")
        self.quiet.setObjectName("quiet")
        self.quiet.setChecked(hours is not None)
        self.begin = self._time("begin", (hours or USUAL).begin)
        self.end = self._time("end", (hours or USUAL).end)
        note = PlainLabel(wordWrap=True)
        note.setProperty("role", "muted")
        note.setText(
            "In quiet hours there is no sound and no message. What has happened is told when they end, as one "
            "message, unless it is over by then. Alarms by mail and to a web address go out at any time."
        )
        note.setMinimumWidth(60 * note.fontMetrics().averageCharWidth())
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.setObjectName("buttons")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.FieldsStayAtSizeHint)
        form.addRow(self.sound)
        form.addRow(self.quiet)
        form.addRow(field_label("&From", self.begin), self.begin)
        form.addRow(field_label("&Until", self.end), self.end)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(note)
        self._problem = PlainLabel(wordWrap=True)
        self._problem.setObjectName("problem")
        layout.addWidget(self._problem)
        layout.addWidget(buttons)
        self._ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.quiet.toggled.connect(lambda _: self._refresh())
        for edit in (self.begin, self.end):
            edit.timeChanged.connect(lambda _: self._refresh())
        self._refresh()

    def _time(self, name: str, minutes: int) -> QTimeEdit:
        edit = TimeBox(QTime(minutes // 60, minutes % 60), displayFormat="HH:mm")
        edit.setObjectName(name)
        return edit

    def _refresh(self) -> None:
        for edit in (self.begin, self.end):
            edit.setEnabled(self.quiet.isChecked())
        never = self.quiet.isChecked() and self.begin.time() == self.end.time()
        self._problem.setText("OK is not possible: quiet hours that end when they begin are never." if never else "")
        self._problem.setVisible(never)
        self._ok.setEnabled(not never)

    def accept(self) -> None:
        """OK: remember the choice."""
        begin, end = (edit.time().hour() * 60 + edit.time().minute() for edit in (self.begin, self.end))
        self._tray.set_sound(self.sound.isChecked())
        self._tray.set_quiet_hours(QuietHours(begin, end) if self.quiet.isChecked() else None)
        super().accept()
