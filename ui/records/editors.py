"""One editor per kind of field. An editor owns a widget named as its field and speaks the field's values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QWheelEvent
from PySide6.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox, QLineEdit, QSpinBox, QWidget

from app.records import Configuration
from app.records.base import RecordField
from app.records.types import MAX_ID
from ui.records.field_words import choice_words
from ui.theme import Theme

Changed = Callable[[], None]


class Editor:
    """What a form knows of an editor."""

    widget: QWidget
    """Named as the field."""
    stretches = True
    """Whether the widget takes the width of the form."""

    def __init__(self, field: RecordField, changed: Changed) -> None:
        self.field = field
        self.changed = changed
        """Called after each change by the user."""

    def value(self) -> Any:
        """The value as the widget shows it; not yet checked."""
        raise NotImplementedError

    def set_value(self, value: Any) -> None:
        """Show a value."""
        raise NotImplementedError

    def refill(self, configuration: Configuration, values: Mapping[str, Any], own_table: str = "") -> None:
        """Bring lists of other records up to date; `values` are those of the whole form, of a record of `own_table`."""

    def show_example(self, text: str) -> None:
        """Show what a right value looks like, where there is room for it."""


class NumberBox(QSpinBox):
    """A spin box that can hold what is not allowed, so that the mistake is told and not silently made another number.

    Its arrows stay within the limits, and the wheel scrolls the form unless the box has the focus.
    """

    def __init__(self, field: RecordField) -> None:
        super().__init__()
        self._least = field.minimum or 0
        self._most = field.maximum if field.maximum is not None else MAX_ID
        self.setRange(0, MAX_ID)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCorrectionMode(QAbstractSpinBox.CorrectionMode.CorrectToPreviousValue)
        self.setKeyboardTracking(True)
        # By itself the box would be too low for its own words; it is as high as the text fields around it.
        self.setMinimumHeight(QLineEdit().sizeHint().height())
        if field.shown.unit:
            self.setSuffix(f" {field.shown.unit}")
        if field.shown.zero and self._least == 0:
            self.setSpecialValueText(field.zero_words())

    def sizeHint(self) -> QSize:
        """Wide enough for what is allowed, not for all that it can hold."""
        texts = (f"{min(self._most, 9_999_999)}{self.suffix()}", self.specialValueText())
        width = max(self.fontMetrics().horizontalAdvance(text) for text in texts)
        return QSize(width + self.fontMetrics().averageCharWidth() * 7, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """The same: a number is never cut."""
        return self.sizeHint()

    def stepBy(self, steps: int) -> None:
        """Step, but not out of the limits."""
        self.setValue(min(self._most, max(self._least, self.value() + steps)))

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:
        """Which arrows can be used."""
        flags = QAbstractSpinBox.StepEnabledFlag.StepNone
        if self.value() < self._most:
            flags |= QAbstractSpinBox.StepEnabledFlag.StepUpEnabled
        if self.value() > self._least:
            flags |= QAbstractSpinBox.StepEnabledFlag.StepDownEnabled
        return flags

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Take the wheel only with the focus."""
        _wheel_with_focus(self, event, super().wheelEvent)


class ChoiceBox(QComboBox):
    """A combo box that leaves the wheel to the form unless it has the focus."""

    def __init__(self) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMaxVisibleItems(16)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(18)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Take the wheel only with the focus."""
        _wheel_with_focus(self, event, super().wheelEvent)


def _wheel_with_focus(widget: QWidget, event: QWheelEvent, take: Callable[[QWheelEvent], None]) -> None:
    if widget.hasFocus():
        take(event)
    else:
        event.ignore()


class NumberEditor(Editor):
    """A whole number."""

    stretches = False

    def __init__(self, field: RecordField, changed: Changed) -> None:
        super().__init__(field, changed)
        self.widget: NumberBox = NumberBox(field)
        self.widget.valueChanged.connect(lambda _: changed())

    def value(self) -> int:
        """The number."""
        return self.widget.value()

    def set_value(self, value: Any) -> None:
        """Show a number."""
        self.widget.setValue(int(value))


class TextEditor(Editor):
    """A line of text; lists of numbers and names too, separated by commas."""

    def __init__(self, field: RecordField, changed: Changed) -> None:
        super().__init__(field, changed)
        self.widget: QLineEdit = QLineEdit()
        shown = field.shown
        self.widget.setPlaceholderText(shown.blank)
        if shown.example and not shown.blank:
            self.show_example(shown.example)
        self.widget.setMinimumWidth(self.widget.fontMetrics().averageCharWidth() * 36)
        self.widget.textChanged.connect(lambda _: changed())

    def value(self) -> str:
        """The text; the record splits lists."""
        return self.widget.text()

    def set_value(self, value: Any) -> None:
        """Show a text or a list."""
        text = ", ".join(str(each) for each in value) if isinstance(value, tuple | list) else str(value)
        if text != self.widget.text():
            self.widget.setText(text)
            self.widget.setCursorPosition(0)

    def show_example(self, text: str) -> None:
        """Show it as long as nothing is typed."""
        self.widget.setPlaceholderText(f"e.g. {text}")


class PasswordEditor(TextEditor):
    """A password, hidden until the eye is pressed."""

    def __init__(self, field: RecordField, changed: Changed, theme: Theme) -> None:
        super().__init__(field, changed)
        self._theme = theme
        self._eye = QAction("Show the password", self.widget)
        self._eye.setObjectName(f"{field.name}.show")
        self._eye.setCheckable(True)
        self._eye.toggled.connect(self._show)
        self.widget.addAction(self._eye, QLineEdit.ActionPosition.TrailingPosition)
        self._show(False)

    def _show(self, visible: bool) -> None:
        self.widget.setEchoMode(QLineEdit.EchoMode.Normal if visible else QLineEdit.EchoMode.Password)
        self._theme.give_icon(self._eye, "eye_off" if visible else "eye")
        self._eye.setText("Hide the password" if visible else "Show the password")


class SwitchEditor(Editor):
    """Yes or no."""

    stretches = False

    def __init__(self, field: RecordField, changed: Changed) -> None:
        super().__init__(field, changed)
        self.widget: QCheckBox = QCheckBox()
        self.widget.toggled.connect(lambda _: changed())

    def value(self) -> bool:
        """Whether it is checked."""
        return self.widget.isChecked()

    def set_value(self, value: Any) -> None:
        """Check it or not."""
        self.widget.setChecked(bool(value))


class ChoiceEditor(Editor):
    """One of a few words."""

    stretches = False

    def __init__(self, field: RecordField, choices: Sequence[StrEnum], changed: Changed) -> None:
        super().__init__(field, changed)
        self.widget: ChoiceBox = ChoiceBox()
        self.widget.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.widget.setMinimumContentsLength(0)
        for choice in choices:
            self.widget.addItem(choice_words(choice), choice.value)
        self.widget.currentIndexChanged.connect(lambda _: changed())

    def value(self) -> str:
        """The value of the choice."""
        return str(self.widget.currentData())

    def set_value(self, value: Any) -> None:
        """Choose."""
        self.widget.setCurrentIndex(self.widget.findData(str(value)))


class ReferenceEditor(Editor):
    """Another record, chosen from a list `2 - Carrier B (192.0.2.8:5060)`; its id is the value."""

    def __init__(self, field: RecordField, changed: Changed) -> None:
        super().__init__(field, changed)
        self.widget: ChoiceBox = ChoiceBox()
        self.widget.setPlaceholderText("choose")
        self.widget.currentIndexChanged.connect(self._chosen)
        self._items: list[tuple[str, int]] = []
        self._wanted = 0
        self._table: str | None = None

    def value(self) -> int:
        """The id, 0 for none."""
        return self._wanted

    def set_value(self, value: Any) -> None:
        """Choose a record; one that does not exist is listed as such, so that it is not lost."""
        self._wanted = int(value)
        self._table = None
        self._show()

    def refill(self, configuration: Configuration, values: Mapping[str, Any], own_table: str = "") -> None:
        """List the records of the table that the field refers to now; the record itself is not among them."""
        table = self.field.table_referred_to(values)
        items = [] if self.field.minimum else [(self.field.zero_words(values), 0)]
        items += [
            (record.caption() + ("" if record.enabled else " - disabled"), record.id)
            for record in configuration.table(table)
            if (table, record.id) != (own_table, values.get("id"))
        ]
        if self._table not in (None, table):
            # An id of one table says nothing in another.
            self._wanted = 0
            self._items = []
        self._table = table
        if items != self._items:
            self._items = items
            self._show()
        self.widget.setEnabled(bool(table))

    def _chosen(self) -> None:
        data = self.widget.currentData()
        self._wanted = int(data) if data is not None else 0
        self.changed()

    def _show(self) -> None:
        blocked = self.widget.blockSignals(True)
        self.widget.clear()
        for words, number in self._items:
            self.widget.addItem(words, number)
        place = self.widget.findData(self._wanted)
        if place < 0 and self._wanted:
            self.widget.addItem(f"{self._wanted} - does not exist", self._wanted)
            place = self.widget.count() - 1
        self.widget.setCurrentIndex(place)
        self.widget.blockSignals(blocked)


def make_editor(field: RecordField, siblings: Sequence[RecordField], changed: Changed, theme: Theme) -> Editor:
    """The editor for a field, its widget named as the field. `siblings` are all fields of its record."""
    editor: Editor
    if isinstance(field.item, type) and issubclass(field.item, BaseModel):
        # Imported here: the entries of a list are edited by the editors of this module.
        from ui.records.entries_editor import EntriesEditor

        editor = EntriesEditor(field, changed, theme)
    elif field.shown.refers_to or field.shown.refers_by:
        editor = ReferenceEditor(field, changed)
    elif field.shown.secret:
        editor = PasswordEditor(field, changed, theme)
    elif field.kind is bool:
        editor = SwitchEditor(field, changed)
    elif field.kind is int:
        editor = NumberEditor(field, changed)
    elif issubclass(field.kind, StrEnum):
        editor = ChoiceEditor(field, _choices(field, siblings), changed)
    else:
        editor = TextEditor(field, changed)
    editor.widget.setObjectName(field.name)
    editor.widget.setAccessibleName(field.label)
    editor.widget.setAccessibleDescription(field.shown.help)
    return editor


def _choices(field: RecordField, siblings: Sequence[RecordField]) -> list[StrEnum]:
    """The choices that can be right: where another record must be named, only those that lead to a table."""
    needed = [each.shown.refers_to_each for each in siblings if each.shown.refers_by == field.name and each.minimum]
    return [choice for choice in field.kind if all(choice.value in tables for tables in needed)]  # type: ignore[attr-defined]
