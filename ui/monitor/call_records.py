"""The page of calls that have ended: search, filter, sort, the account of each, export, and simulating one again."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QShowEvent, QTextOption
from PySide6.QtWidgets import QComboBox, QSplitter, QTextBrowser

from app.events import CallRecord
from ui.face import CallQuery
from ui.messages import choose_file, tell
from ui.monitor.call_export import CallExport
from ui.monitor.call_record_model import CallRecordModel
from ui.monitor.call_record_words import CAUSE_WORDS, account, record_columns
from ui.monitor.ladder import LadderDialog
from ui.tables.table_page import Needs, TablePage
from ui.words import plural
from ui.workspace import Workspace

SEARCH_AFTER = 250
"""Milliseconds after the last key at which the database is asked."""
RELOAD_AFTER = 1500
"""Milliseconds after a call has ended; by then its record is written."""
NOTHING_CHOSEN = "Choose a call to read how it was routed and why it ended."

_DAY = 86400
_SPANS = {"Any time": 0, "Last hour": 3600, "Last 24 hours": _DAY, "Last 7 days": 7 * _DAY, "Last 30 days": 30 * _DAY}


class CallRecordsPage(TablePage):
    """`page.call_records`."""

    def __init__(self, workspace: Workspace) -> None:
        self.records = CallRecordModel(workspace.engine, record_columns(lambda: workspace.configuration))
        super().__init__(
            workspace,
            "call_records",
            "Call records",
            self.records,
            "No call has ended yet. Every call leaves a record here, answered or not, with where it went and why.",
        )
        self.add_command(
            "simulate", "&Simulate this", self.simulate, icon="simulator", needs=Needs.ONE, shortcuts=["Return"]
        )
        self.add_command("ladder", "SIP &ladder", self.show_ladder, icon="ladder", needs=Needs.ONE)
        self.add_table_commands()
        self.add_command("reload", "Reload", self.records.reload, icon="redo", shortcuts=["F5"], in_toolbar=False)
        self._add_filters()
        self._add_account()
        self._search = QTimer(self, singleShot=True, interval=SEARCH_AFTER)
        self._search.timeout.connect(self._ask)
        self.filter.textChanged.connect(lambda _: self._search.start())
        self.filter.setPlaceholderText("Number, trunk:1, user:100")
        self._stale = True
        self._reload = QTimer(self, singleShot=True, interval=RELOAD_AFTER)
        self._reload.timeout.connect(self._look_again)
        workspace.bridge.calls_recorded.connect(lambda _: self._grow_stale())
        workspace.bridge.engine_changed.connect(lambda _: self._grow_stale())
        self.records.failed.connect(workspace.notice)
        header = self.view.horizontalHeader()
        if header.sortIndicatorSection() < 0:
            header.setSortIndicator(self.records.column_index("started"), Qt.SortOrder.DescendingOrder)

    def _add_filters(self) -> None:
        self._outcome = QComboBox()
        self._outcome.setObjectName("outcome")
        self._outcome.setAccessibleName("Outcome")
        self._outcome.addItem("Every outcome", "")
        for cause, words in CAUSE_WORDS.items():
            self._outcome.addItem(words[:1].upper() + words[1:], cause)
        self._span = QComboBox()
        self._span.setObjectName("span")
        self._span.setAccessibleName("Time")
        for words, seconds in _SPANS.items():
            self._span.addItem(words, seconds)
        for box in (self._outcome, self._span):
            box.currentIndexChanged.connect(lambda _: self._ask())
            # The list shows every word; the box itself may be narrower than the longest.
            box.setMinimumWidth(box.fontMetrics().averageCharWidth() * 14)
            self.add_filter_widget(box)

    def _add_account(self) -> None:
        self.account = QTextBrowser(openLinks=False)
        self.account.setObjectName("account")
        self.account.setAccessibleName("The account of the chosen call")
        # Addresses and numbers stay in one piece; what is wider than the pane can be scrolled.
        self.account.setWordWrapMode(QTextOption.WrapMode.WordWrap)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setObjectName("splitter")
        self.body.removeWidget(self.view)
        splitter.addWidget(self.view)
        splitter.addWidget(self.account)
        splitter.setStretchFactor(0, 3)
        splitter.setStretchFactor(1, 2)
        splitter.setSizes([720, 340])
        self.body.addWidget(splitter, 1)
        self.view.selectionModel().selectionChanged.connect(lambda *_: self._tell())
        self.records.modelReset.connect(self._tell)
        self.workspace.theme.changed.connect(self._tell)

    # --- asking --------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        cause = str(self._outcome.currentData())
        seconds = int(self._span.currentData())
        self.records.ask(
            replace(
                self.records.query,
                text=self.filter.text(),
                end_causes=(cause,) if cause else (),
                since=time.time() - seconds if seconds else None,
            )
        )

    def showEvent(self, event: QShowEvent) -> None:
        """Look again when records have come while the page was out of sight."""
        super().showEvent(event)
        if self._stale:
            self._look_again()

    def _grow_stale(self) -> None:
        self._stale = True
        if not self._reload.isActive():
            self._reload.start()

    def _look_again(self) -> None:
        """Take in new records, unless the user is reading further down."""
        if self.isVisible() and self.view.verticalScrollBar().value() == 0:
            self._stale = False
            self._ask()

    # --- one call ------------------------------------------------------------------------------------------------

    def chosen(self) -> CallRecord | None:
        """The selected record, when it is one."""
        keys = self.view.selected_keys()
        return self.records.row(keys[0]) if len(keys) == 1 else None

    def _tell(self) -> None:
        record = self.chosen()
        colours = self.workspace.theme.colours
        if record is None:
            # Not a placeholder, which does not go on in a second line.
            self.account.setHtml(f'<p style="color:{colours.muted}">{NOTHING_CHOSEN}</p>')
        else:
            self.account.setHtml(account(record, self.workspace.configuration, colours))

    def simulate(self) -> None:
        """Fill the simulator with the selected call."""
        record = self.chosen()
        if record is not None:
            self.workspace.simulation_wanted.emit(record.source, record.caller_number, record.called_number)

    def show_ladder(self) -> None:
        """Open the SIP messages of the selected call, as long as they are kept."""
        record = self.chosen()
        if record is not None:
            LadderDialog(self.workspace, record.id, self.window()).open()

    # --- export --------------------------------------------------------------------------------------------------

    def export_csv(self) -> None:
        """Write every record that the filters let through into a CSV or JSON file."""
        choose_file(
            self, "Export call records", "CSV file (*.csv);;JSON file (*.json)", self.export_to, save_as="calls.csv"
        )

    def export_to(self, path: Path) -> None:
        """Write into this file; what it holds is told by its ending."""
        query: CallQuery = self.records.query

        def finished(count: int, error: str) -> None:
            if error:
                tell(self, "Not exported", f"{path.name} could not be written: {error}")
            else:
                self.workspace.notice(f"{plural(count, 'call record')} written to {path.name}.")

        CallExport(self.workspace.engine, query, path, finished).start()
