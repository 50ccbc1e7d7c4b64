"""What the server logs, at the bottom: the newest entries, by level and by words, as they come."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from PySide6.QtCore import QTimer
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QComboBox, QDockWidget, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from ui.face import LogEntry, RecentLog
from ui.messages import save_text
from ui.tables.cells import Cell, Column, state_cell, text_cell
from ui.tables.row_model import OrderedRowModel
from ui.tables.table_view import RowTableView
from ui.theme import Tone
from ui.tool_bar import ToolBar
from ui.words import plural
from ui.workspace import Workspace

LOOK_MILLISECONDS = 250
"""Between two looks at what has come, while the dock is in sight."""
MOST_ROWS = 5_000
TRIMMED_AT_ONCE = 500
"""So many of the oldest rows go together, which is one change of the table and not hundreds."""
LEVELS = {
    "Everything": 0,
    "Information and worse": logging.INFO,
    "Warnings and errors": logging.WARNING,
    "Errors": logging.ERROR,
}


def _level_cell(level: int) -> Cell:
    if level >= logging.ERROR:
        return state_cell("error", -level, Tone.BAD)
    if level >= logging.WARNING:
        return state_cell("warning", -level, Tone.WARNING)
    word = "information" if level >= logging.INFO else "debug"
    return Cell(word, -level, Tone.MUTED)


def iso_time(at: float) -> str:
    """A local time with its offset: `2026-01-31T13:00:00.250+01:00`."""
    return datetime.fromtimestamp(at, UTC).astimezone().isoformat(timespec="milliseconds")


def _time_cell(at: float) -> Cell:
    there = time.localtime(at)
    offset = time.strftime("%z", there)
    words = f"{time.strftime('%H:%M:%S', there)}.{int(at % 1 * 1000):03} {offset[:3]}:{offset[3:]}"
    return Cell(words, at, Tone.PLAIN, iso_time(at))


def entry_line(entry: LogEntry) -> str:
    """An entry as it is copied and saved."""
    return f"{iso_time(entry.at)} {logging.getLevelName(entry.level)} {entry.name}: {entry.text}"


COLUMNS: list[Column[LogEntry]] = [
    Column("at", "Time", lambda entry: _time_cell(entry.at), sample="00:00:00.000 +00:00"),
    Column("level", "Level", lambda entry: _level_cell(entry.level), sample="information"),
    Column("name", "Part", lambda entry: text_cell(entry.name), sample="app.sip.transport.stream"),
    Column("text", "Message", lambda entry: text_cell(entry.text.split("\n", 1)[0], tip=entry.text)),
]


class LogDock(QDockWidget):
    """`dock.log`. Scrolled away from its end it stands still; entries that come meanwhile wait, the newest of them."""

    def __init__(self, workspace: Workspace, parent: QWidget) -> None:
        super().__init__("Log", parent)
        self.setObjectName("dock.log")
        self._workspace = workspace
        self.recent = RecentLog()
        self.model: OrderedRowModel[LogEntry] = OrderedRowModel(COLUMNS, lambda entry: entry.number)
        self.view = RowTableView(self.model, workspace.theme, workspace.settings, "log")
        self.view.setObjectName("log")
        self.view.setAccessibleName("Log")
        # It is read from top to bottom, as it came.
        self.view.setSortingEnabled(False)
        self.view.empty_hint.set_text("Nothing was logged yet.")
        self._waiting = QLabel()
        self._waiting.setObjectName("log.waiting")
        self._waiting.setProperty("role", "muted")
        self.level = QComboBox()
        self.level.setObjectName("log.level")
        self.level.setAccessibleName("Level")
        for words, level in LEVELS.items():
            self.level.addItem(words, level)
        self.filter = QLineEdit(clearButtonEnabled=True, placeholderText="Filter")
        self.filter.setObjectName("log.filter")
        self.filter.setAccessibleName("Filter the log")
        self.toolbar = ToolBar()
        self.follow = self._command("follow", "&Follow", "down", self._follow_again)
        self.follow.setCheckable(True)
        self.follow.setChecked(True)
        self._command("copy", "&Copy", "copy", self.copy)
        self._command("save", "&Save...", "export", self.save)
        self._lay_out()
        self.level.currentIndexChanged.connect(lambda _: self._choose_level())
        self.filter.textChanged.connect(self._search)
        bar = self.view.verticalScrollBar()
        bar.valueChanged.connect(self._scrolled)
        bar.rangeChanged.connect(lambda _, end: bar.setValue(end) if self.follow.isChecked() else None)
        self._look = QTimer(self, interval=LOOK_MILLISECONDS)
        self._look.timeout.connect(self.take)
        self.visibilityChanged.connect(self._shown)
        logging.getLogger().addHandler(self.recent)
        self.destroyed.connect(_end(self.recent))

    def _command(self, name: str, text: str, icon: str, slot: Callable[[], object]) -> QAction:
        action = QAction(text, self)
        action.setObjectName(f"log.{name}")
        action.triggered.connect(lambda *_: slot())
        self._workspace.theme.give_icon(action, icon)
        self.toolbar.addAction(action)
        return action

    def _lay_out(self) -> None:
        body = QWidget()
        bar = QHBoxLayout()
        bar.setContentsMargins(8, 2, 8, 2)
        bar.addWidget(self.toolbar)
        bar.addWidget(self._waiting, 1)
        bar.addWidget(self.level)
        bar.addWidget(self.filter)
        self.filter.setFixedWidth(self.filter.fontMetrics().averageCharWidth() * 32)
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(bar)
        layout.addWidget(self.view, 1)
        self.setWidget(body)

    # --- what comes ----------------------------------------------------------------------------------------------

    def _shown(self, visible: bool) -> None:
        """Out of sight it costs nothing; the newest entries wait."""
        if visible:
            self.take()
            self._look.start()
        else:
            self._look.stop()

    def take(self) -> None:
        """Show what has come, unless somebody reads further up."""
        following = self.follow.isChecked()
        if following and len(self.recent):
            entries = self.recent.take()
            self._keep_place(lambda: self._add(entries))
        waiting = len(self.recent)
        self._waiting.setText(f"Stands still: {plural(waiting, 'new entry', 'new entries')}" if not following else "")

    def _add(self, entries: list[LogEntry]) -> None:
        """Show entries; where there are too many the oldest go."""
        del entries[:-MOST_ROWS]
        extra = self.model.total + len(entries) - MOST_ROWS
        if extra > 0:
            self.model.remove(self.model.all_keys()[: max(extra, TRIMMED_AT_ONCE)])
        self.model.upsert(entries)

    def _scrolled(self, value: int) -> None:
        self.follow.setChecked(value >= self.view.verticalScrollBar().maximum())

    def _follow_again(self) -> None:
        """Go on at the end, or stand still here."""
        if self.follow.isChecked():
            self.view.scrollToBottom()
        self.take()

    # --- what is shown -------------------------------------------------------------------------------------------

    def _choose_level(self) -> None:
        least = int(self.level.currentData())
        self._keep_place(lambda: self.model.set_condition((lambda entry: entry.level >= least) if least else None))

    def _search(self, text: str) -> None:
        self._keep_place(lambda: self.model.set_filter(text))

    def _keep_place(self, change: Callable[[], None]) -> None:
        """Change what is shown; who followed still follows."""
        following = self.follow.isChecked()
        change()
        if following:
            self.view.scrollToBottom()
        self.follow.setChecked(following)

    def text(self) -> str:
        """The selected entries as lines, or all that are shown."""
        keys = self.view.selected_keys()
        rows = [self.model.row(key) for key in keys] if keys else self.model.rows()
        return "".join(f"{entry_line(row)}\n" for row in rows if row is not None)

    def copy(self) -> None:
        """Put them on the clipboard."""
        QGuiApplication.clipboard().setText(self.text())

    def save(self) -> None:
        """Write them into a file."""
        name = f"trunkline-{time.strftime('%Y%m%d-%H%M%S')}.log"
        save_text(self, "Save the log", "Log files (*.log)", name, self.text, self._workspace.notice, private=True)


def _end(handler: logging.Handler) -> Callable[..., None]:
    """A function that ends the feed; it holds the handler and not the dock, and may outlive it."""
    return lambda *_: logging.getLogger().removeHandler(handler)
