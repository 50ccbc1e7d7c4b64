"""The dialog that changes several records at once: only the fields that are ticked, all others are left as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtWidgets import QCheckBox, QWidget

from app.errors import RecordError, RecordErrors, UserFacingError
from app.records import Change, Record, fields_of
from ui.plain_text import PlainLabel
from ui.records.changes import new_values, words_for
from ui.records.checking import checked_record, live_effect
from ui.records.form_dialog import FormDialog, StandardButton
from ui.records.record_form import RecordForm
from ui.words import plural
from ui.workspace import Workspace

MOST_CHECKED = 100
"""So many records are checked as one types, which takes some milliseconds; the others when OK is pressed."""
VARIOUS = "various"
"""Said of a field whose values differ."""


class BulkDialog(FormDialog):
    """`dialog.<table>.several`: each field has a box `<field>.change`; unticked means leave unchanged."""

    def __init__(self, workspace: Workspace, records: Sequence[Record], parent: QWidget | None = None) -> None:
        model = type(records[0])
        buttons = StandardButton.Ok | StandardButton.Cancel
        super().__init__(f"{model.table}.several", words_for("Change", records), model, buttons, parent)
        self._workspace = workspace
        self._records = tuple(records)
        fields = [field for field in fields_of(self.model) if field.name != "id"]
        fields = [field for field in fields if not (field.shown.unique or field.shown.secret)]
        self.boxes: dict[str, QCheckBox] = {}
        self.form = RecordForm(self.model, workspace.theme, self, fields=fields, label_of=self._box)
        hint = f"Only what is ticked is changed, in {plural(len(records), 'record')}; all else is left as it is."
        effect = live_effect(workspace, self.model, {record.id for record in records})
        note = PlainLabel(text=f"{hint} {effect}".strip(), wordWrap=True)
        note.setObjectName("note")
        self.lay_out([note], self.form)
        self._fill()
        self.form.changed.connect(self._check)
        self._check()

    def _box(self, name: str, words: str) -> QCheckBox:
        """The box before a field that says whether it is changed."""
        box = self.boxes[name] = QCheckBox(words)
        box.setObjectName(f"{name}.change")
        box.toggled.connect(lambda ticked: self._ticked(name, ticked))
        return box

    def _fill(self) -> None:
        """Show what the records have in common, and say where they differ."""
        values = new_values(self.model, self._workspace.configuration)
        for name, box in self.boxes.items():
            found = [getattr(record, name) for record in self._records]
            if all(value == found[0] for value in found):
                values[name] = found[0]
            else:
                box.setText(f"{box.text()} ({VARIOUS})")
        self.form.set_values(values, self._workspace.configuration)

    def _ticked(self, name: str, ticked: bool) -> None:
        """A target says nothing without its kind, nor a kind without its target: they are changed together."""
        for field in self.form.fields:
            if name in (field.name, field.shown.refers_by) and field.shown.refers_by in self.boxes:
                for other in (field.name, field.shown.refers_by):
                    self.boxes[other].setChecked(ticked)
        self._check()
        if ticked:
            self.form.rows[name].editor.widget.setFocus()

    def values(self) -> dict[str, Any]:
        """What is to be changed."""
        shown = self.form.values()
        return {name: shown[name] for name, box in self.boxes.items() if box.isChecked()}

    def _changes(self, records: Sequence[Record]) -> list[Change]:
        """The changes that OK makes of these records. RecordErrors with every mistake, each field named once."""
        values, configuration = self.values(), self._workspace.configuration
        changes: list[Change] = []
        errors: dict[str, RecordError] = {}
        for record in records:
            current = configuration.find(record.table, record.id)
            if current is None:
                continue  # deleted elsewhere meanwhile
            try:
                changed = checked_record(self.model, {**dict(current), **values}, configuration)
            except RecordErrors as error:
                errors |= {each.path: each for each in reversed(error.errors) if each.path not in errors}
                continue
            if changed != current:
                changes.append(Change(record.table, current, changed))
        if errors:
            raise RecordErrors(tuple(errors.values()))
        return changes

    def _check(self) -> None:
        for name, box in self.boxes.items():
            self.form.rows[name].editor.widget.setEnabled(box.isChecked())
        errors: tuple[RecordError, ...] = ()
        try:
            changes = self._changes(self._records[:MOST_CHECKED]) if self.values() else []
        except RecordErrors as error:
            errors, changes = error.errors, []
        rest = len(self._records) > MOST_CHECKED and bool(self.values())
        self._show(errors, "" if changes or errors or rest else "Nothing is ticked that would change anything.")

    def _show(self, errors: Sequence[RecordError], text: str = "") -> None:
        self.form.show_errors(errors)
        self.say_problem(errors, text)

    def accept(self) -> None:
        """OK: change them all as one step of the history."""
        try:
            changes = self._changes(self._records)
            self._workspace.history.perform(words_for("Change", self._records), changes)
        except RecordErrors as error:
            self._show(error.errors)
        except UserFacingError as error:
            self._show([RecordError("", str(error))])
        else:
            super().accept()
