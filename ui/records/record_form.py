"""The form of a record: tabs, labels, editors, help and the place for each mistake, all from the record's fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import (
    QFormLayout,
    QFrame,
    QGridLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWhatsThis,
    QWidget,
)

from app.errors import RecordError
from app.records import Configuration, Record, fields_of
from app.records.base import RecordField
from ui.labels import field_label, show_label
from ui.plain_text import PlainLabel
from ui.records.editors import Editor, make_editor
from ui.records.field_words import field_path_words
from ui.tabs import Tabs
from ui.theme import Theme, Tone

MARK = "\u25c6"
"""Stands behind the label of a field that was filled in by a template."""


class FieldRow(QWidget):
    """An editor with its help button, and the label that says what is wrong with it."""

    def __init__(self, field: RecordField, editor: Editor, parent: QWidget, label: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = field
        self.editor = editor
        self.label: QWidget = label if label is not None else self._plain_label(field, editor)
        self._help = QToolButton(text="?", autoRaise=True, focusPolicy=Qt.FocusPolicy.NoFocus)
        self._help.setObjectName(f"{field.name}.help")
        self._help.setAccessibleName(f"Help on {field.label}")
        self._help.clicked.connect(self._tell)
        self._error = PlainLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self._error.setObjectName(f"{field.name}.error")
        self._error.setProperty("role", "bad")
        self._error.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._error.hide()
        limits = f" {field.limits[:1].upper()}{field.limits[1:]}." if field.limits else ""
        help_text = self._help_text = field.shown.help + limits
        for widget in (self.label, editor.widget, self._help):
            widget.setToolTip(help_text)
            widget.setWhatsThis(f"<b>{field.label}</b><br>{help_text}")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setHorizontalSpacing(4)
        layout.setVerticalSpacing(2)
        layout.addWidget(editor.widget, 0, 0, Qt.AlignmentFlag(0) if editor.stretches else Qt.AlignmentFlag.AlignLeft)
        layout.setColumnStretch(0, 1)
        layout.addWidget(self._help, 0, 1, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._error, 1, 0, 1, 2)

    @staticmethod
    def _plain_label(field: RecordField, editor: Editor) -> QLabel:
        return field_label(_label_words(field), editor.widget)

    def mark(self, words: str) -> None:
        """Mark the field as filled in by somebody else, and say by whom in its tip; blank takes the mark away."""
        if isinstance(self.label, QLabel):
            show_label(self.label, _label_words(self.field) + (f" {MARK}" if words else ""))
            self.label.setToolTip(f"{words}\n{self._help_text}" if words else self._help_text)
            self.label.setAccessibleDescription(words)

    def show_message(self, text: str, tone: Tone = Tone.BAD) -> None:
        """Say what is wrong, or nothing."""
        role = "warning" if tone is Tone.WARNING else "bad"
        if text and self._error.property("role") != role:
            self._error.setProperty("role", role)
            self._error.style().unpolish(self._error)
            self._error.style().polish(self._error)
        self._error.setText(text)
        self._error.setVisible(bool(text))
        description = f"{self.field.shown.help} {text}".strip()
        self.editor.widget.setAccessibleDescription(description)

    def _tell(self) -> None:
        button = self._help
        QWhatsThis.showText(button.mapToGlobal(QPoint(0, button.height())), button.whatsThis(), button)


def _label_words(field: RecordField) -> str:
    return field.shown.label + (" *" if field.shown.required else "")


class RecordForm(QWidget):
    """Edits the values of one record."""

    changed = Signal()
    """The user changed a value."""

    def __init__(
        self,
        model: type[Record],
        theme: Theme,
        parent: QWidget | None = None,
        *,
        fields: Sequence[RecordField] | None = None,
        label_of: Callable[[str, str], QWidget] | None = None,
        one_tab: str = "",
    ) -> None:
        """Of all fields, or of those given, on their tabs or on `one_tab`; `label_of` makes what stands before a field
        from its name and words."""
        super().__init__(parent)
        self.model = model
        self.fields = tuple(fields) if fields is not None else fields_of(model)
        self._label_of = label_of
        self._theme = theme
        self._filling = False
        self.touched: set[str] = set()
        """The fields that the user has changed."""
        self.rows: dict[str, FieldRow] = {}
        self.tabs = Tabs(self)
        self.tabs.setObjectName("tabs")
        self._tab_of: dict[str, int] = {}
        self._tallest = 0
        for title in dict.fromkeys(one_tab or field.shown.tab for field in self.fields):
            self._add_tab(title, [field for field in self.fields if title in (one_tab, field.shown.tab)])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tabs)

    def _make_row(self, field: RecordField, parent: QWidget) -> FieldRow:
        editor = make_editor(field, self.fields, lambda: self._edited(field.name), self._theme)
        label = self._label_of(field.name, field.shown.label) if self._label_of is not None else None
        return FieldRow(field, editor, parent, label)

    def _add_tab(self, title: str, fields: Sequence[RecordField]) -> None:
        # From the outside in: a widget that is put into another is styled anew with all that it holds.
        area = QScrollArea(widgetResizable=True, frameShape=QFrame.Shape.NoFrame)
        self.tabs.addTab(area, title)
        page = QWidget()
        area.setWidget(page)
        form = QFormLayout(page)
        form.setContentsMargins(14, 12, 14, 12)
        form.setHorizontalSpacing(14)
        form.setVerticalSpacing(7)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for field in fields:
            row = self.rows[field.name] = self._make_row(field, page)
            form.addRow(row.label, row)
            self._tab_of[field.name] = self.tabs.count() - 1
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setMinimumWidth(page.sizeHint().width() + 30)
        self._tallest = max(self._tallest, page.sizeHint().height())

    def sizeHint(self) -> QSize:
        """High enough for every tab without scrolling, with a message of two lines."""
        hint = super().sizeHint()
        height = self._tallest + self.tabs.tabBar().sizeHint().height() + 2 * self.fontMetrics().lineSpacing() + 8
        return QSize(hint.width(), max(hint.height(), height))

    # --- values --------------------------------------------------------------------------------------------------

    def values(self) -> dict[str, Any]:
        """The values as the editors show them; not yet checked."""
        return {name: row.editor.value() for name, row in self.rows.items()}

    def set_values(self, values: Mapping[str, Any], configuration: Configuration) -> None:
        """Show values. Those that are shown already are left alone, with the cursor in them."""
        self._filling = True
        for name, row in self.rows.items():
            if name in values:
                row.editor.set_value(values[name])
        self._filling = False
        self.refill(configuration)

    def refill(self, configuration: Configuration) -> None:
        """Bring the lists of other records up to date."""
        self._filling = True
        values = self.values()
        for row in self.rows.values():
            row.editor.refill(configuration, values, self.model.table)
        self._filling = False
        self._configuration = configuration

    def _edited(self, name: str) -> None:
        if self._filling:
            return
        self.touched.add(name)
        if any(field.shown.refers_by == name for field in self.fields):
            self.refill(self._configuration)
        self.changed.emit()

    # --- mistakes and focus --------------------------------------------------------------------------------------

    def show_errors(self, errors: Iterable[RecordError], warnings: Iterable[RecordError] = ()) -> None:
        """Say each mistake at its field, and mark the tabs that hold one."""
        messages = self._by_field(errors)
        hints = self._by_field(warnings)
        for name, row in self.rows.items():
            if name in messages:
                row.show_message("\n".join(messages[name]))
            else:
                row.show_message("\n".join(hints.get(name, ())), Tone.WARNING)
        bad = {self._tab_of[name] for name in messages if name in self._tab_of}
        icon = self._theme.tone_icon(Tone.BAD)
        for place in range(self.tabs.count()):
            self.tabs.setTabIcon(place, icon if icon is not None and place in bad else QIcon())

    def _by_field(self, errors: Iterable[RecordError]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for error in errors:
            name = error.path.partition("[")[0].partition(".")[0]
            words = error.message
            if "[" in error.path:
                words = f"{field_path_words(self.model, error.path)}: {words}"
            found.setdefault(name, []).append(words[:1].upper() + words[1:])
        return found

    def focus_field(self, name: str) -> None:
        """Go to a field, on whatever tab it is."""
        self.tabs.setCurrentIndex(self._tab_of[name])
        self.rows[name].editor.widget.setFocus(Qt.FocusReason.OtherFocusReason)

    def first_field(self) -> str:
        """The field to begin with: the first that must be filled in, else the first after id, switch and words."""
        names = [field.name for field in self.fields if field.shown.required]
        others = [field.name for field in self.fields if field.name not in ("id", "enabled", "description")]
        return (names or others)[0]
