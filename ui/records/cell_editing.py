"""Editing a cell of a table of records in its place: the model that lets it, and the delegate that does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel
from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QStyleOptionViewItem, QWidget

from app.errors import RecordErrors
from app.records import Change, Record, fields_of
from app.records.base import RecordField
from ui.plain_text import PlainLabel
from ui.records.changes import words_for
from ui.records.checking import checked_record
from ui.records.editors import Editor, make_editor
from ui.records.record_rows import RecordRow
from ui.tables.cells import Column
from ui.tables.delegate import CellDelegate
from ui.tables.row_model import Index, OrderedRowModel
from ui.workspace import Workspace

_EDIT = int(Qt.ItemDataRole.EditRole)
_DISPLAY = int(Qt.ItemDataRole.DisplayRole)
_ENDING_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Tab, Qt.Key.Key_Backtab)

TakeValue = Callable[[Record, str, Any], bool]
"""Change one field of a record; False when it does not fit."""


def simple_fields(model: type[Record]) -> dict[str, RecordField]:
    """The fields that fit into a cell: one value that stands for itself and that is no secret."""
    fields = fields_of(model)
    deciding = {field.shown.refers_by for field in fields}
    return {
        field.name: field
        for field in fields
        if field.name != "id"
        and field.name not in deciding
        and not field.shown.secret
        and not (isinstance(field.item, type) and issubclass(field.item, BaseModel))
    }


class RecordModel(OrderedRowModel[RecordRow]):
    """The rows of a table of records; `take_value` is called with what a cell was edited to."""

    def __init__(self, model: type[Record], columns: Sequence[Column[RecordRow]], take_value: TakeValue) -> None:
        super().__init__(columns, lambda row: row.record.id)
        self.simple = simple_fields(model)
        self._take_value = take_value

    def field_at(self, place: int) -> RecordField | None:
        """The field that a column edits; None where it edits none."""
        return self.simple.get(self.columns[place].name)

    def record_at(self, index: Index) -> Record | None:
        """The record of a row."""
        row = self.row(self.key_at(index.row())) if index.isValid() else None
        return row.record if row is not None else None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Cells of simple fields can be edited."""
        flags = super().flags(index)
        editable = index.isValid() and self.field_at(index.column()) is not None
        return flags | Qt.ItemFlag.ItemIsEditable if editable else flags

    def data(self, index: Index, role: int = _DISPLAY) -> Any:
        """A ready value of a cell, or what an editor begins with."""
        if role == _EDIT and index.isValid() and index.row() < self.rowCount():
            field, record = self.field_at(index.column()), self.record_at(index)
            return getattr(record, field.name) if field is not None and record is not None else None
        return super().data(index, role)

    def setData(self, index: Index, value: Any, role: int = _EDIT) -> bool:
        """Take what was typed into a cell."""
        field, record = (self.field_at(index.column()), self.record_at(index)) if index.isValid() else (None, None)
        if role != _EDIT or field is None or record is None:
            return False
        return self._take_value(record, field.name, value)


class RecordDelegate(CellDelegate):
    """Opens the editor of the form in the cell, and says below it what is wrong with what is typed."""

    def __init__(self, workspace: Workspace, model: type[Record], view: QAbstractItemView) -> None:
        super().__init__(workspace.theme, view)
        self._workspace = workspace
        self._type = model
        self._view = view
        self._editor: Editor | None = None
        self._record: Record | None = None
        self.error = PlainLabel(parent=view.viewport(), wordWrap=True, margin=4)
        self.error.setObjectName("cell_error")
        self.error.setProperty("role", "mistake")
        self.error.hide()

    def createEditor(
        self, parent: QWidget, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QWidget:
        """The editor of the field, as in the form."""
        model = index.model()
        field = model.field_at(index.column()) if isinstance(model, RecordModel) else None
        record = model.record_at(index) if isinstance(model, RecordModel) else None
        if field is None or record is None:
            return super().createEditor(parent, option, index)
        editor = make_editor(field, fields_of(self._type), lambda: self._check(whole=False), self._workspace.theme)
        editor.widget.setParent(parent)
        editor.widget.setAutoFillBackground(True)
        editor.refill(self._workspace.configuration, dict(record), self._type.table)
        editor.set_value(getattr(record, field.name))
        self._editor, self._record = editor, record
        return editor.widget

    def setEditorData(self, editor: QWidget, index: QModelIndex | QPersistentModelIndex) -> None:
        """It was filled when it was made: a live cell beside it that changes must not take back what is typed."""

    def setModelData(self, editor: QWidget, model: Any, index: QModelIndex | QPersistentModelIndex) -> None:
        """Give what was typed to the record."""
        if self._editor is not None and self._editor.widget is editor:
            model.setData(index, self._editor.value(), _EDIT)

    def updateEditorGeometry(
        self,
        editor: QWidget,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,  # noqa: ARG002 - Qt asks so
    ) -> None:
        """Where the cell is, and wide enough for a number and its arrows."""
        place = option.rect
        if self._editor is not None and not self._editor.stretches:
            place.setWidth(max(place.width(), editor.sizeHint().width()))
        editor.setGeometry(place)
        self._place_error()

    def destroyEditor(self, editor: QWidget, index: QModelIndex | QPersistentModelIndex) -> None:
        """The editing is over."""
        self._editor = self._record = None
        self.error.hide()
        super().destroyEditor(editor, index)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """What is wrong cannot be ended by Enter: it stays, with the words why. Esc gives up."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent) and event.key() in _ENDING_KEYS:
            self._check(whole=True)
            if not self.error.isHidden():
                return True
        return super().eventFilter(watched, event)

    def _check(self, *, whole: bool) -> None:
        """Say what is wrong with what is typed; `whole` looks at the other records, too."""
        editor, record = self._editor, self._record
        if editor is None or record is None:
            return
        words = mistake(self._workspace, record, editor.field.name, editor.value(), whole=whole)
        self.error.setText(words)
        self.error.setVisible(bool(words))
        self._place_error()

    def _place_error(self) -> None:
        if self._editor is None or self.error.isHidden():
            return
        cell, room = self._editor.widget.geometry(), self._view.viewport().rect()
        width = min(self._view.fontMetrics().horizontalAdvance(self.error.text()) + 24, room.width())
        height = self.error.heightForWidth(width)
        below = cell.bottom() + 1 + height <= room.bottom()
        left = max(0, min(cell.left(), room.width() - width))
        self.error.setGeometry(left, cell.bottom() + 1 if below else cell.top() - height, width, height)
        self.error.raise_()


def mistake(workspace: Workspace, record: Record, name: str, value: Any, *, whole: bool) -> str:
    """What is wrong with another value of one field, in words; blank when it fits."""
    try:
        changed = checked_record(type(record), {**dict(record), name: value}, workspace.configuration)
        if whole and changed != record:
            workspace.configuration.with_changes([Change(record.table, record, changed)])
    except RecordErrors as errors:
        label = next(field.label for field in fields_of(type(record)) if field.name == name)
        words = errors.errors[0].message
        return f"{label}: {words}"
    return ""


def cell_words(record: Record, field: RecordField) -> str:
    """`Change most outgoing calls of SIP trunk 1`, for the history."""
    label = field.label if field.label[1:2].isupper() else field.label[:1].lower() + field.label[1:]
    return f"Change {label} of {words_for('', [record]).strip()}"
