"""The log in the window: levels, words, standing still while somebody reads, bounded, nothing while out of sight."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QComboBox, QFileDialog, QLabel, QLineEdit
from pytestqt.qtbot import QtBot

from ui import log_dock
from ui.log_dock import LogDock, iso_time
from ui.main_window import MainWindow
from ui.words import full_time

log = logging.getLogger("app.calls.trunks")

pytestmark = pytest.mark.expects_log("SIP trunk|broke")


@pytest.fixture
def dock(window: MainWindow, qtbot: QtBot) -> Iterator[LogDock]:
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.INFO)
    window.findChild(QAction, "view.log").trigger()
    qtbot.waitUntil(window.log.view.isVisible)
    window.log.recent.take()
    yield window.log
    logging.getLogger().setLevel(level)


def texts(dock: LogDock) -> list[str]:
    return [entry.text for entry in dock.model.rows()]


def test_it_is_closed_at_first_and_shows_what_was_logged_before(window: MainWindow, qtbot: QtBot) -> None:
    log.warning("SIP trunk 1 is down")
    assert not window.log.isVisible()
    assert window.log.model.total == 0
    window.findChild(QAction, "view.log").trigger()
    qtbot.waitUntil(lambda: "SIP trunk 1 is down" in texts(window.log))


def test_levels_and_words_choose_what_is_shown(dock: LogDock, window: MainWindow, screenshot: Any) -> None:
    log.info("SIP trunk 2 is up\x1b[31m")
    log.warning("SIP trunk 1 is down: %s", "no answer")
    try:
        raise ValueError("what broke it")
    except ValueError:
        log.exception("it broke")
    dock.take()
    assert texts(dock)[0] == "SIP trunk 2 is up\\x1b[31m"
    row = dock.model.cells(dock.model.keys()[2])
    assert row[3].text == "it broke"
    assert "ValueError: what broke it" in row[3].tip
    screenshot(window, "light-log")
    level: Any = dock.findChild(QComboBox, "log.level")
    level.setCurrentIndex(level.findText("Warnings and errors"))
    assert len(texts(dock)) == 2
    dock.findChild(QLineEdit, "log.filter").setText("no ANSWER")
    assert texts(dock) == ["SIP trunk 1 is down: no answer"]
    level.setCurrentIndex(0)
    dock.findChild(QLineEdit, "log.filter").setText("")
    assert len(texts(dock)) == 3


def test_scrolled_up_it_stands_still_and_goes_on_at_the_end(dock: LogDock, window: MainWindow, qtbot: QtBot) -> None:
    for number in range(200):
        log.info("entry %d", number)
    dock.take()
    bar = dock.view.verticalScrollBar()
    follow: Any = dock.findChild(QAction, "log.follow")
    assert bar.value() == bar.maximum() > 0
    assert follow.isChecked()
    window.resizeDocks([dock], [320], Qt.Orientation.Vertical)
    qtbot.waitUntil(lambda: bar.value() == bar.maximum())
    assert follow.isChecked()
    bar.setValue(3)
    assert not follow.isChecked()
    log.info("one more")
    dock.take()
    assert dock.model.total == 200
    assert bar.value() == 3
    waiting: Any = dock.findChild(QLabel, "log.waiting")
    assert waiting.text() == "Stands still: 1 new entry"
    follow.trigger()
    assert dock.model.total == 201
    assert bar.value() == bar.maximum()
    assert not waiting.text()


def test_a_clock_that_begins_in_1970_has_its_times_shown() -> None:
    """A machine without battery and network; Windows refuses some ways to ask for such a local time."""
    assert datetime.fromisoformat(iso_time(5.25)).timestamp() == 5.25
    written = full_time(5.0)
    assert written[-7] == " "
    assert datetime.fromisoformat(written[:-7] + written[-6:]).timestamp() == 5.0


def test_rows_and_waiting_entries_are_bounded(dock: LogDock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_dock, "MOST_ROWS", 1000)
    for number in range(2_500):
        log.info("entry %d", number)
        if number % 300 == 0:
            dock.take()
            assert dock.model.total <= 1000
    dock.take()
    assert texts(dock)[-1] == "entry 2499"
    for number in range(6_000):
        log.info("late %d", number)
    assert len(dock.recent) == 5_000
    dock.take()
    assert dock.model.total <= 1000
    assert texts(dock)[-1] == "late 5999"


def test_entries_are_copied_and_saved_with_iso_times(dock: LogDock, window: MainWindow, tmp_path: Path) -> None:
    log.info("first")
    log.info("second")
    dock.take()
    dock.findChild(QAction, "log.copy").trigger()
    lines = QGuiApplication.clipboard().text().splitlines()
    assert len(lines) == 2
    stamp, level, name, text = lines[0].split(" ")
    assert "T" in stamp
    assert stamp[-6] in "+-"
    assert (level, name, text) == ("INFO", "app.calls.trunks:", "first")
    dock.view.selectRow(1)
    dock.findChild(QAction, "log.save").trigger()
    dialog: Any = window.findChild(QFileDialog, "dialog.file")
    dialog.fileSelected.emit(str(tmp_path / "kept.log"))
    dialog.close()
    assert (tmp_path / "kept.log").read_text().endswith("second\n")
    assert (tmp_path / "kept.log").read_text().count("\n") == 1


def test_the_feed_ends_with_the_window(window: MainWindow, qtbot: QtBot) -> None:
    recent = window.log.recent
    assert recent in logging.getLogger().handlers
    window.log.deleteLater()
    qtbot.waitUntil(lambda: recent not in logging.getLogger().handlers)
