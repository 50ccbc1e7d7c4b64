"""The page of the kept test numbers: where each went when it was kept, and where it goes now."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Signal

from ui.inquiry import Inquiry
from ui.kept_numbers import KeptNumber
from ui.tables.cells import Cell, Column, state_cell, text_cell
from ui.tables.row_model import OrderedRowModel
from ui.tables.table_page import Needs, TablePage
from ui.theme import Tone
from ui.workspace import Workspace


@dataclass(frozen=True, slots=True)
class _KeptRow:
    kept: KeptNumber
    now: str
    """The outcome with the records of this moment; blank while it is looked for."""


def _verdict_cell(row: _KeptRow) -> Cell:
    if not row.now:
        return state_cell("looking", 1, Tone.IDLE)
    same = row.now == row.kept.expected
    return state_cell("as kept" if same else "goes another way", 2 if same else 0, Tone.GOOD if same else Tone.BAD)


class KeptNumbersPage(TablePage):
    """`page.kept_numbers`, a tab of the simulator: each kept call, where it went and where it goes now."""

    tried = Signal(str, str, str)
    """The user wants to simulate (source, caller number, called number)."""

    def __init__(self, workspace: Workspace) -> None:
        columns = [
            Column("verdict", "Now", _verdict_cell),
            Column("source", "Source", lambda row: text_cell(row.kept.number.source.name)),
            Column("caller", "Caller", lambda row: text_cell(row.kept.number.caller_number)),
            Column("called", "Called", lambda row: text_cell(row.kept.number.called_number)),
            Column("expected", "When it was kept", lambda row: text_cell(row.kept.expected)),
            Column("now", "With the records of now", lambda row: text_cell(row.now)),
        ]
        self._rows: OrderedRowModel[_KeptRow] = OrderedRowModel(columns, lambda row: row.kept.key)
        super().__init__(
            workspace,
            "kept_numbers",
            "Test numbers",
            self._rows,
            "Keep calls here that should always go the same way. A change of the dial plan then says, before it is "
            "saved, which of them would go another way.",
        )
        self.add_command("try", "&Try", self.try_number, icon="simulator", shortcuts=["Return"], needs=Needs.ONE)
        self.add_command("accept", "Take as &right", self.accept, icon="enable", needs=Needs.SOME)
        self.add_command("delete", "&Delete", self.delete, icon="delete", shortcuts=["Del"], needs=Needs.SOME)
        self.add_table_commands()
        self.view.doubleClicked.connect(lambda _: self.try_number())
        kept = workspace.kept_numbers
        self._inquiry = Inquiry(kept.outcomes_in, self)
        self._inquiry.answered.connect(self._show)
        kept.changed.connect(self._again)
        workspace.bridge.configuration_changed.connect(lambda _: self._again())
        workspace.history.changed.connect(self._again)
        self._again()

    def _again(self) -> None:
        self._show({})
        self._inquiry.ask_again(self.workspace.configuration)

    def _show(self, found: dict[str, str]) -> None:
        kept = self.workspace.kept_numbers.all
        self._rows.set_rows([_KeptRow(each, found.get(key, "")) for key, each in kept.items()])

    def try_number(self) -> None:
        """Simulate the selected call."""
        keys = self.view.selected_keys()
        row = self._rows.row(keys[0]) if keys else None
        if row is not None:
            number = row.kept.number
            self.tried.emit(number.source.name, number.caller_number, number.called_number)

    def accept(self) -> None:
        """What the selected calls do now is right."""
        for key in self.view.selected_keys():
            row = self._rows.row(key)
            if row is not None:
                self.workspace.kept_numbers.keep(row.kept.number, self.workspace.configuration)

    def delete(self) -> None:
        """Keep the selected calls no longer."""
        for key in self.view.selected_keys():
            self.workspace.kept_numbers.forget(str(key))
