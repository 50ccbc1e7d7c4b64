"""The notification area: opt-in, never without one, alarms rolled up, a click leads to what it is about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QLabel, QMenu, QMessageBox, QPushButton, QTimeEdit
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine

from app.events import Alarm, Severity
from ui.main_window import MainWindow
from ui.quiet_hours import QuietHours
from ui.settings import Settings
from ui.tray import MOST_WAITING, QUIET_SECONDS, NotificationArea, Tray
from ui.workspace import Workspace


class Area(NotificationArea):
    """A notification area that can go away."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.there = True
        self.shown = False
        self.messages: list[tuple[str, str, bool]] = []
        self.sounds = 0

    def sound(self) -> None:
        self.sounds += 1

    def available(self) -> bool:  # type: ignore[override]
        return self.there

    def show(self, menu: QMenu) -> None:
        self.shown = True

    def hide(self) -> None:
        self.shown = False

    def tell(self, title: str, text: str, *, bad: bool) -> None:
        self.messages.append((title, text, bad))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def area(window: MainWindow) -> Iterator[Area]:
    area = Area(window)
    window.tray.use_area(area)
    return area


@pytest.fixture
def clock(window: MainWindow) -> Clock:
    clock = window.tray._now = Clock()
    return clock


def choose(window: MainWindow) -> None:
    window.findChild(QAction, "view.close_to_tray").trigger()


def trunk_down(number: int, at: float = 1.0) -> Alarm:
    return Alarm.about("trunk_down", f"SIP trunk {number} is down", at, trunk=number)


# --- closing ---------------------------------------------------------------------------------------------------------


def test_closing_ends_the_program_unless_the_user_chose_otherwise(
    window: MainWindow, area: Area, engine: FakeEngine
) -> None:
    assert not area.shown
    window.close()
    window.findChild(QMessageBox, "dialog.close").findChild(QPushButton, "cancel").click()
    assert window.isVisible()


def test_chosen_the_window_is_hidden_and_explained_once(
    window: MainWindow, area: Area, engine: FakeEngine, workspace: Workspace
) -> None:
    choose(window)
    assert area.shown
    for _ in range(2):
        window.close()
        assert not window.isVisible()
        assert window.findChild(QMessageBox, "dialog.close") is None
        area.clicked.emit()
        assert window.isVisible()
    assert [title for title, _, _ in area.messages] == ["Trunkline is still running"]
    # It is remembered.
    assert Tray(workspace, window).wanted


def test_without_an_area_the_window_is_never_hidden(window: MainWindow, area: Area, engine: FakeEngine) -> None:
    choose(window)
    area.there = False
    window.close()
    assert window.isVisible()
    assert window.findChild(QMessageBox, "dialog.close") is not None


def test_a_hidden_window_comes_back_when_the_area_goes(window: MainWindow, area: Area) -> None:
    choose(window)
    window.close()
    window.tray._still_there()
    assert not window.isVisible()
    area.there = False
    window.tray._still_there()
    assert window.isVisible()


def test_exit_ends_the_program_wherever_it_is(window: MainWindow, area: Area, engine: FakeEngine) -> None:
    closing: list[bool] = []
    window.closing.connect(lambda: closing.append(True))
    choose(window)
    window.close()
    window.findChild(QAction, "tray.exit").trigger()
    assert window.isVisible(), "the question must be seen"
    window.findChild(QMessageBox, "dialog.close").findChild(QPushButton, "end").click()
    assert closing == [True]
    window.finish()
    assert not area.shown


def test_it_can_be_chosen_only_where_there_is_one(window: MainWindow, area: Area) -> None:
    menu = next(each.menu() for each in window.menuBar().actions() if each.text() == "&View")
    action = window.findChild(QAction, "view.close_to_tray")
    area.there = False
    menu.aboutToShow.emit()  # type: ignore[union-attr]
    assert not action.isEnabled()
    area.there = True
    menu.aboutToShow.emit()  # type: ignore[union-attr]
    assert action.isEnabled()
    assert not action.isChecked()


# --- alarms ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def hidden(window: MainWindow, area: Area, clock: Clock, workspace: Workspace) -> Area:
    workspace.settings.set_text("tray/explained", "yes")
    choose(window)
    window.close()
    return area


def test_an_alarm_is_told_at_the_icon_and_a_click_leads_to_the_trunk(
    window: MainWindow, hidden: Area, engine: FakeEngine, qtbot: QtBot
) -> None:
    engine.events.publish(trunk_down(2))
    qtbot.waitUntil(lambda: bool(hidden.messages))
    assert hidden.messages == [("Trunkline", "SIP trunk 2 is down", True)]
    hidden.message_clicked.emit()
    assert window.isVisible()
    page = window.current_page()
    assert page is not None
    assert page.objectName() == "page.sip_trunks"
    assert page.view.selected_keys() == [2]  # type: ignore[attr-defined]


def test_many_alarms_are_one_message_and_the_next_waits(window: MainWindow, hidden: Area, clock: Clock) -> None:
    tray = window.tray
    tray._take([trunk_down(1, 1.0), trunk_down(2, 2.0), Alarm(Severity.INFORMATION, "x", "over", 3.0, cleared=True)])
    assert hidden.messages == [("Trunkline", "SIP trunk 2 is down, 2 others", True)]
    for number in range(3 * MOST_WAITING):
        tray._take([trunk_down(number)])
    assert len(hidden.messages) == 1
    assert len(tray._waiting) == MOST_WAITING
    clock.now += QUIET_SECONDS
    tray._tell_waiting()
    assert hidden.messages[1][1].endswith(f", {MOST_WAITING - 1} others")


def test_muted_alarms_are_not_told(window: MainWindow, hidden: Area) -> None:
    window.findChild(QAction, "tray.mute").trigger()
    window.tray._take([trunk_down(1)])
    assert hidden.messages == []
    window.findChild(QAction, "tray.mute").trigger()
    window.tray._take([trunk_down(1)])
    assert len(hidden.messages) == 1


def test_who_looks_at_the_window_is_not_told_twice(
    window: MainWindow, area: Area, clock: Clock, workspace: Workspace, qtbot: QtBot
) -> None:
    choose(window)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.tray._take([trunk_down(1)])
    assert area.messages == []


def test_the_choice_is_off_in_new_settings(workspace: Workspace, window: MainWindow, area: Area) -> None:
    assert isinstance(workspace.settings, Settings)
    assert not window.tray.wanted


# --- quiet hours and sound -------------------------------------------------------------------------------------------


class DayClock:
    minute = 23 * 60

    def __call__(self) -> int:
        return self.minute


@pytest.fixture
def day(window: MainWindow) -> DayClock:
    day = window.tray._minute_of_day = DayClock()
    return day


def choose_notifications(window: MainWindow, screenshot: Any = None) -> None:
    """View / Notifications: a sound, and the hours that are proposed."""
    window.findChild(QAction, "view.notifications").trigger()
    dialog: Any = window.findChild(QDialog, "dialog.notifications")
    assert not dialog.findChild(QTimeEdit, "begin").isEnabled()
    dialog.findChild(QCheckBox, "quiet").setChecked(True)
    dialog.findChild(QCheckBox, "sound").setChecked(True)
    if screenshot is not None:
        screenshot(dialog, "light-notifications")
    dialog.findChild(QDialogButtonBox, "buttons").button(QDialogButtonBox.StandardButton.Ok).click()
    assert window.findChild(QDialog, "dialog.notifications") is None


@pytest.mark.parametrize("before", [[], ["select all"], ["home"]])
def test_quiet_hours_are_typed(window: MainWindow, qtbot: QtBot, before: list[str]) -> None:
    window.findChild(QAction, "view.notifications").trigger()
    dialog: Any = window.findChild(QDialog, "dialog.notifications")
    dialog.findChild(QCheckBox, "quiet").setChecked(True)
    begin, end = dialog.findChild(QTimeEdit, "begin"), dialog.findChild(QTimeEdit, "end")
    ok = dialog.findChild(QDialogButtonBox, "buttons").button(QDialogButtonBox.StandardButton.Ok)
    for edit, text in ((begin, "06:15"), (end, "07:45")):
        edit.setFocus(Qt.FocusReason.TabFocusReason)
        if before == ["select all"]:
            qtbot.keyClick(edit, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        elif before:
            qtbot.keyClick(edit, Qt.Key.Key_Home)
        else:
            edit.setSelectedSection(QTimeEdit.Section.HourSection)
        qtbot.keyClicks(edit, text)
        assert edit.time().toString("HH:mm") == text
    assert ok.isEnabled()
    end.setTime(begin.time())
    assert not ok.isEnabled()
    assert "never" in dialog.findChild(QLabel, "problem").text()
    end.setTime(begin.time().addSecs(60))
    ok.click()
    assert str(window.tray.quiet_hours) == "06:15-06:16"


def test_what_happens_in_quiet_hours_is_told_when_they_end(
    window: MainWindow, hidden: Area, day: DayClock, clock: Clock, screenshot: Any
) -> None:
    choose_notifications(window, screenshot)
    tray = window.tray
    tray._take([trunk_down(1), trunk_down(2)])
    clock.now += QUIET_SECONDS
    tray._take([Alarm.about("trunk_down", "SIP trunk 1 is up", 5.0, cleared=True, trunk=1), trunk_down(3, 9.0)])
    tray._take([Alarm.about("line_down", "Line 1 is back", 5.0, cleared=True, line=1)])
    assert hidden.messages == []
    assert hidden.sounds == 0
    assert tray._later.isActive()
    day.minute = 6 * 60 + 59
    tray._tell_waiting()
    assert hidden.messages == []
    day.minute = 7 * 60
    tray._tell_waiting()
    assert hidden.messages == [("Trunkline", "SIP trunk 3 is down, 1 other", True)]
    assert hidden.sounds == 1
    assert not tray._waiting


def test_quiet_hours_that_are_taken_away_let_everything_out(
    window: MainWindow, hidden: Area, day: DayClock, workspace: Workspace
) -> None:
    choose_notifications(window)
    window.tray._take([trunk_down(1)])
    assert hidden.messages == []
    window.tray.set_quiet_hours(None)
    assert len(hidden.messages) == 1
    assert Tray(workspace, window).quiet_hours is None
    assert Tray(workspace, window).sound


def test_an_end_makes_no_sound(window: MainWindow, hidden: Area) -> None:
    window.tray.set_sound(True)
    window.tray._take([Alarm.about("trunk_down", "SIP trunk 1 is up", 5.0, cleared=True, trunk=1)])
    assert len(hidden.messages) == 1
    assert hidden.sounds == 0


@pytest.mark.parametrize(
    ("text", "now", "left"),
    [
        ("22:00-07:00", 22 * 60, 540),
        ("22:00-07:00", 6 * 60 + 59, 1),
        ("22:00-07:00", 7 * 60, 0),
        ("22:00-07:00", 12 * 60, 0),
        ("12:00-13:30", 12 * 60 + 30, 60),
        ("12:00-13:30", 11 * 60 + 59, 0),
        ("07:00-07:00", 7 * 60, 0),
    ],
)
def test_quiet_hours(text: str, now: int, left: int) -> None:
    hours = QuietHours.parse(text)
    assert hours is not None
    assert str(hours) == text
    assert hours.minutes_left(now) == left


def test_what_are_no_quiet_hours() -> None:
    for text in ("", "22-7", "24:00-07:00", "22:00-07:60"):
        assert QuietHours.parse(text) is None
