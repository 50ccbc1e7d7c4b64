"""The editor of a list of entries, such as the members of a routing group: a small table with an editor per cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.records import Configuration, fields_of
from app.records.base import RecordField
from ui.records.editors import Changed, Editor, make_editor
from ui.theme import Theme


class EntriesEditor(Editor):
    """Each row is one entry, each cell the editor of one of its fields, named `members[0].target_id`."""

    def __init__(self, field: RecordField, changed: Changed, theme: Theme) -> None:
        super().__init__(field, changed)
        self._theme = theme
        self._fields = fields_of(field.item)
        self._rows: list[dict[str, Editor]] = []
        self._configuration = Configuration()
        self.widget = QWidget()
        self.widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.MinimumExpanding)
        self.table = QTableWidget(0, len(self._fields))
        self.table.setObjectName(f"{field.name}.table")
        self.table.setAccessibleName(field.label)
        self.table.setHorizontalHeaderLabels([each.label for each in self._fields])
        for place, each in enumerate(self._fields):
            self.table.horizontalHeaderItem(place).setToolTip(each.shown.help)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        # By itself a row would be as high as words are, lower than the boxes that stand in it.
        self.table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.table.setMinimumHeight(self.table.fontMetrics().height() * 12)
        # So that a target is read with its address.
        self.table.setMinimumWidth(self.table.fontMetrics().averageCharWidth() * 88)
        buttons = QHBoxLayout()
        for name, text, slot in (
            ("add", "Add", self.add),
            ("remove", "Remove", self.remove),
            ("up", "Up", lambda: self.move(-1)),
            ("down", "Down", lambda: self.move(1)),
        ):
            buttons.addWidget(self._button(name, text, slot))
        buttons.addStretch()
        layout = QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        layout.addLayout(buttons)
        self.widget.setFocusProxy(self.table)

    def _button(self, name: str, text: str, slot: Any) -> QToolButton:
        button = QToolButton(text=text, toolTip=f"{text} a row" if name == "add" else f"{text} the chosen row")
        button.setObjectName(f"{self.field.name}.{name}")
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._theme.give_icon(button, {"remove": "delete"}.get(name, name))
        button.clicked.connect(lambda *_: slot())
        return button

    # --- values --------------------------------------------------------------------------------------------------

    def value(self) -> tuple[dict[str, Any], ...]:
        """The values of every entry."""
        return tuple({name: editor.value() for name, editor in row.items()} for row in self._rows)

    def set_value(self, value: Any) -> None:
        """Show entries, given as records or as their values."""
        self._show([dict(entry) for entry in value])

    def refill(
        self,
        configuration: Configuration,
        values: Mapping[str, Any],  # noqa: ARG002 - each entry has values of its own
        own_table: str = "",
    ) -> None:
        """Bring the lists in every row up to date."""
        self._configuration = configuration
        for row in self._rows:
            entry = {name: editor.value() for name, editor in row.items()}
            for editor in row.values():
                editor.refill(configuration, entry, own_table)

    # --- what the buttons do -------------------------------------------------------------------------------------

    def add(self) -> None:
        """A new row that names the first record that no row names yet."""
        entry = {each.name: each.default if each.default is not None else 0 for each in self._fields}
        for each in self._fields:
            if table := each.table_referred_to(entry):
                taken = {row[each.name].value() for row in self._rows}
                free = [record.id for record in self._configuration.table(table) if record.id not in taken]
                entry[each.name] = free[0] if free else 0
        self._show([*self.value(), entry])
        self.table.selectRow(self.table.rowCount() - 1)
        self.changed()

    def remove(self) -> None:
        """Take out the chosen row, or the last one."""
        place = self._chosen()
        if place < 0:
            return
        entries = list(self.value())
        del entries[place]
        self._show(entries)
        self.table.selectRow(min(place, len(entries) - 1))
        self.changed()

    def move(self, step: int) -> None:
        """Move the chosen row up or down."""
        place = self._chosen()
        entries = list(self.value())
        if not 0 <= place + step < len(entries) or place < 0:
            return
        entries.insert(place + step, entries.pop(place))
        self._show(entries)
        self.table.selectRow(place + step)
        self.changed()

    def _chosen(self) -> int:
        current = self.table.currentRow()
        return current if current >= 0 else self.table.rowCount() - 1

    def _show(self, entries: list[dict[str, Any]]) -> None:
        """Fill the rows; editors are made or dropped only at the end."""
        while len(self._rows) > len(entries):
            self._rows.pop()
            self.table.removeRow(self.table.rowCount() - 1)
        while len(self._rows) < len(entries):
            self._append_row()
        for row, entry in zip(self._rows, entries, strict=True):
            for name, editor in row.items():
                blocked = editor.widget.blockSignals(True)
                editor.set_value(entry[name])
                editor.widget.blockSignals(blocked)
        self.refill(self._configuration, {})
        self._give_room()

    def _give_room(self) -> None:
        """Rows as high as their boxes; columns as wide, of which the one that names a record takes what is left."""
        for place, row in enumerate(self._rows):
            height = max(editor.widget.sizeHint().height() for editor in row.values()) + 3
            self.table.setRowHeight(place, height)
            for editor in row.values():
                editor.widget.setMinimumHeight(height - 1)
        self.table.resizeColumnsToContents()
        for place, each in enumerate(self._fields):
            if each.shown.refers_to or each.shown.refers_by:
                self.table.horizontalHeader().setSectionResizeMode(place, QHeaderView.ResizeMode.Stretch)

    def _append_row(self) -> None:
        place = self.table.rowCount()
        self.table.insertRow(place)
        row = {each.name: make_editor(each, self._fields, self._cell_changed, self._theme) for each in self._fields}
        for column, (name, editor) in enumerate(row.items()):
            editor.widget.setObjectName(f"{self.field.name}[{place}].{name}")
            self.table.setCellWidget(place, column, editor.widget)
        self._rows.append(row)

    def _cell_changed(self) -> None:
        self.refill(self._configuration, {})
        self.changed()
