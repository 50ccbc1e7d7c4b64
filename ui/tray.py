"""The notification area: where the program goes on when its window is closed, if the user wants that."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QMenu, QSystemTrayIcon, QWidget

from app.events import Alarm, Severity, worst_of
from app.records import ExternalLine, SipTrunk
from ui.quiet_hours import QuietHours
from ui.theme import application_icon
from ui.words import alarm_words
from ui.workspace import Workspace

WANTED = "tray/close_to"
"""The setting: whether closing the window leaves the program in the notification area."""
EXPLAINED = "tray/explained"
SOUND = "tray/sound"
"""The setting: whether an error makes a sound."""
QUIET_HOURS = "tray/quiet_hours"
"""The setting: `22:00-07:00`, blank for none."""
QUIET_SECONDS = 10.0
"""Between two messages; what comes in between is told with the next one."""
LOOK_MILLISECONDS = 10_000
"""How often a hidden window sees whether the area is still there."""
MOST_WAITING = 200
"""Alarms that wait for the next message; the oldest are only counted on the page of alarms."""
_PLACES = {"trunk": SipTrunk.table, "line": ExternalLine.table}


def _minute_of_day() -> int:
    there = time.localtime()
    return there.tm_hour * 60 + there.tm_min


class NotificationArea(QObject):
    """What the system has of it, so that the rest can be tried without one."""

    clicked = Signal()
    message_clicked = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._icon: QSystemTrayIcon | None = None

    @staticmethod
    def available() -> bool:
        """Whether this desktop has one; some have none."""
        return QSystemTrayIcon.isSystemTrayAvailable()

    def show(self, menu: QMenu) -> None:
        """Put the program's icon there."""
        if self._icon is None:
            icon = self._icon = QSystemTrayIcon(application_icon(), self)
            icon.setToolTip("Trunkline")
            icon.activated.connect(self._activated)
            icon.messageClicked.connect(self.message_clicked)
        self._icon.setContextMenu(menu)
        self._icon.show()

    def hide(self) -> None:
        """Take the icon away."""
        if self._icon is not None:
            self._icon.hide()

    def tell(self, title: str, text: str, *, bad: bool) -> None:
        """Show a message at the icon."""
        if self._icon is not None:
            kind = QSystemTrayIcon.MessageIcon
            self._icon.showMessage(title, text, kind.Warning if bad else kind.Information)

    def sound(self) -> None:
        """Make the system's sound for a warning."""
        QApplication.beep()

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason is not QSystemTrayIcon.ActivationReason.Context:
            self.clicked.emit()


class Tray(QObject):
    """Hides the window instead of closing it, and tells alarms nobody is looking at.

    Its actions are `tray.show`, `tray.mute` and `tray.exit`.
    """

    exit_wanted = Signal()
    """The user wants to end the program."""

    def __init__(
        self,
        workspace: Workspace,
        window: QWidget,
        *,
        now: Callable[[], float] = time.monotonic,
        minute_of_day: Callable[[], int] = _minute_of_day,
    ) -> None:
        super().__init__(window)
        self.area = NotificationArea(self)
        self._workspace = workspace
        self._window = window
        self._now = now
        self._minute_of_day = minute_of_day
        self._told_at = -QUIET_SECONDS
        self._waiting: list[Alarm] = []
        self._told: Alarm | None = None
        self._held_back = False
        """Whether quiet hours keep what waits from being told."""
        self.menu = QMenu(window)
        self._action("show", "&Show the window", self.show_window)
        self._mute = self._action("mute", "&Mute alarms", lambda: None)
        self._mute.setCheckable(True)
        self._separator = self.menu.addSeparator()
        self._action("exit", "E&xit", self.exit_wanted.emit)
        self._connect_area()
        self._later = QTimer(self, singleShot=True)
        self._later.timeout.connect(self._tell_waiting)
        self._look = QTimer(self, interval=LOOK_MILLISECONDS)
        self._look.timeout.connect(self._still_there)
        workspace.bridge.alarmed.connect(self._take)
        self.refresh()

    def use_area(self, area: NotificationArea) -> None:
        """Use another notification area."""
        self.area = area
        self._connect_area()
        self.refresh()

    def _connect_area(self) -> None:
        self.area.clicked.connect(self.show_window)
        self.area.message_clicked.connect(self._open_told)

    def _action(self, name: str, text: str, slot: Callable[[], object]) -> QAction:
        action = QAction(text, self)
        action.setObjectName(f"tray.{name}")
        action.triggered.connect(lambda *_: slot())
        self.menu.addAction(action)
        return action

    def add_action(self, action: QAction) -> None:
        """Put an action of the window into the menu, too."""
        self.menu.insertAction(self._separator, action)

    # --- the window ----------------------------------------------------------------------------------------------

    @property
    def wanted(self) -> bool:
        """Whether the user has chosen to keep the program there; not unless they did."""
        return self._workspace.settings.text(WANTED, "no") == "yes"

    def set_wanted(self, wanted: bool) -> None:
        """Choose it, or not."""
        self._workspace.settings.set_text(WANTED, "yes" if wanted else "no")
        self.refresh()

    def refresh(self) -> None:
        """Show the icon as long as it is wanted and can be."""
        if self.wanted and self.area.available():
            self.area.show(self.menu)
        else:
            self.area.hide()

    def takes_window(self) -> bool:
        """Hide the window in place of closing it; False where it must not be, because it could not be found again."""
        if not self.wanted or not self.area.available():
            return False
        self.area.show(self.menu)
        self._window.hide()
        self._look.start()
        if self._workspace.settings.text(EXPLAINED) != "yes":
            self._workspace.settings.set_text(EXPLAINED, "yes")
            words = "Calls go on. The icon shows the window again, its menu ends the program."
            self.area.tell("Trunkline is still running", words, bad=False)
        return True

    def _still_there(self) -> None:
        """A window whose icon has gone with the area comes back by itself."""
        if self._window.isVisible():
            self._look.stop()
        elif not self.area.available():
            self.show_window()

    def show_window(self) -> None:
        """Bring the window to the front."""
        self._look.stop()
        window = self._window
        window.setWindowState(window.windowState() & ~Qt.WindowState.WindowMinimized)
        window.show()
        window.raise_()
        window.activateWindow()

    # --- alarms --------------------------------------------------------------------------------------------------

    @property
    def sound(self) -> bool:
        """Whether an error makes a sound; not unless the user chose that."""
        return self._workspace.settings.text(SOUND, "no") == "yes"

    def set_sound(self, wanted: bool) -> None:
        """Choose it, or not."""
        self._workspace.settings.set_text(SOUND, "yes" if wanted else "no")

    @property
    def quiet_hours(self) -> QuietHours | None:
        """When nothing is told; None for never."""
        return QuietHours.parse(self._workspace.settings.text(QUIET_HOURS))

    def set_quiet_hours(self, hours: QuietHours | None) -> None:
        """Choose them; what waits is told when they end, or now."""
        self._workspace.settings.set_text(QUIET_HOURS, str(hours) if hours else "")
        if self._waiting:
            self._tell_waiting()

    def _take(self, alarms: Sequence[Alarm]) -> None:
        """Tell alarms at the icon, unless somebody looks at the window, which tells them itself."""
        if not self._listens():
            self._waiting.clear()
            self._held_back = False
            return
        self._waiting.extend(alarms)
        del self._waiting[:-MOST_WAITING]
        wait = QUIET_SECONDS - (self._now() - self._told_at)
        if wait <= 0:
            self._tell_waiting()
        elif not self._later.isActive():
            self._later.start(round(wait * 1000))

    def _listens(self) -> bool:
        """Whether somebody wants to be told here."""
        looks = self._window.isVisible() and self._window.isActiveWindow()
        return (self.wanted or self.sound) and not (looks or self._mute.isChecked())

    def _tell_waiting(self) -> None:
        """One message for all that wait: the worst of them, and how many there are beside it."""
        hours = self.quiet_hours
        left = hours.minutes_left(self._minute_of_day()) if hours is not None else 0
        if left and self._waiting:
            # Looked at once a minute: a clock that is set, or a computer that slept, does no harm.
            self._held_back = True
            self._later.start(60_000)
            return
        alarms, self._waiting = self._waiting, []
        if self._held_back:
            self._held_back = False
            alarms = still_true(alarms)
        if not alarms or not self._listens():
            return
        self._told_at = self._now()
        worst = self._told = worst_of(alarms)
        bad = worst.severity is not Severity.INFORMATION
        if self.wanted:
            self.area.tell("Trunkline", alarm_words(alarms), bad=bad)
        if self.sound and bad:
            self.area.sound()

    def _open_told(self) -> None:
        """A message was clicked: show the trunk or line that it is about, or the alarms."""
        self.show_window()
        values = self._told.values if self._told is not None else {}
        for name, table in _PLACES.items():
            number = values.get(name)
            if isinstance(number, int) and self._workspace.configuration.find(table, number) is not None:
                self._workspace.record_wanted.emit(table, number)
                return
        if self._told is not None:
            self._workspace.page_wanted.emit("alarms")


def still_true(alarms: Sequence[Alarm]) -> list[Alarm]:
    """Those that were not followed by word that they are over, and no such word either."""
    standing: dict[tuple[object, ...], Alarm] = {}
    for alarm in alarms:
        about = (alarm.code, *(alarm.values.get(name) for name in _PLACES))
        standing.pop(about, None)
        if not alarm.cleared:
            standing[about] = alarm
    return list(standing.values())
