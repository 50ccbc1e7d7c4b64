"""The list of all problems of the configuration, at the bottom; each leads to its record."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtWidgets import QDockWidget, QWidget

from ui.face import Problem
from ui.records.field_words import field_path_words, record_words
from ui.records.record_page import record_type
from ui.records.record_rows import SEVERITY_TONES
from ui.tables.cells import Column, state_cell, text_cell
from ui.tables.row_model import OrderedRowModel
from ui.tables.table_view import RowTableView
from ui.workspace import Workspace


class ProblemsDock(QDockWidget):
    """`dock.problems`."""

    def __init__(self, workspace: Workspace, parent: QWidget) -> None:
        super().__init__("Problems", parent)
        self.setObjectName("dock.problems")
        self._workspace = workspace
        columns: list[Column[Problem]] = [
            Column(
                "severity",
                "Severity",
                lambda row: state_cell(row.severity.value, -SEVERITY_TONES[row.severity], SEVERITY_TONES[row.severity]),
            ),
            Column(
                "record",
                "Record",
                lambda row: text_cell(record_words((row.table, row.record_id), workspace.configuration)),
            ),
            Column("field", "Field", lambda row: text_cell(field_path_words(record_type(row.table), row.field))),
            Column("message", "What is wrong", lambda row: text_cell(row.message, tip=row.message)),
        ]
        self.model: OrderedRowModel[Problem] = OrderedRowModel(columns, lambda row: row)
        self.view = RowTableView(self.model, workspace.theme, workspace.settings, "problems")
        self.view.setObjectName("problems")
        self.view.setAccessibleName("Problems")
        self.view.empty_hint.set_text("Nothing is wrong with the configuration.")
        self.view.activated.connect(lambda _: self._open())
        self.view.doubleClicked.connect(lambda _: self._open())
        self.setWidget(self.view)
        self._shown: tuple[Problem, ...] = ()
        workspace.problems.answered.connect(self._show)
        self._show(workspace.problems.answer)

    def _show(self, problems: Iterable[Problem]) -> None:
        """Errors first, a new one too; what is chosen stays so."""
        chosen, rows = self.view.current_key(), tuple(problems)
        wanted = set(rows)
        kept = tuple(row for row in self._shown if row in wanted)
        if rows[: len(kept)] != kept:
            # Otherwise what is new would stand at the end, whatever it is.
            self.model.set_rows(())
        self._shown = rows
        self.model.set_rows(rows)
        self.model.refresh()
        if chosen is not None and self.view.current_key() != chosen:
            self.view.select_keys([chosen], scroll=False)

    def _open(self) -> None:
        problem = self.view.current_key()
        if isinstance(problem, Problem):
            self._workspace.field_wanted.emit(problem.table, problem.record_id, problem.field)
