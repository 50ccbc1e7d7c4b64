"""The dialog that adds or changes one record: it checks as one types and says why OK is not possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from app.errors import RecordError, RecordErrors, UserFacingError
from app.records import Change, Configuration, ExternalLine, Record, SipTrunk, System
from app.records.document import check_record
from ui.face import Difference, Problem, compare, problems
from ui.inquiry import Inquiry
from ui.plain_text import PlainLabel
from ui.records.changes import new_values, words_for
from ui.records.checking import checked_record, live_effect
from ui.records.consequences import with_consent
from ui.records.field_words import field_path_words
from ui.records.form_dialog import FormDialog, StandardButton
from ui.records.invite_preview import InvitePreview
from ui.records.merging import changed_fields, merge
from ui.records.record_form import RecordForm
from ui.words import plural
from ui.workspace import Workspace

CHECK_AFTER = 150
"""Milliseconds after the last key at which the rest of the configuration is looked at, too."""

_MOST_ROUTES = 5


class RecordDialog(FormDialog):
    """`dialog.<table>`: add a record (`base` None) or change one. Open it with `open()`."""

    def __init__(
        self,
        workspace: Workspace,
        model: type[Record],
        base: Record | None,
        parent: QWidget | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            model.table, "", model, StandardButton.Ok | StandardButton.Cancel | StandardButton.Apply, parent
        )
        self.workspace = workspace
        self.base = base
        self._record: Record | None = None
        """What the form holds, when it is right."""
        self._filled = values is not None or base is not None
        """Whether every field has been filled in by somebody, so that each mistake counts as made."""
        self.form = RecordForm(model, workspace.theme, self)
        self._note = PlainLabel(wordWrap=True)
        self._note.setObjectName("note")
        self._routes_label = PlainLabel(wordWrap=True)
        self._routes_label.setObjectName("routes")
        self._routes_label.setProperty("role", "warning")
        self._routes_label.hide()
        self._elsewhere = ""
        """What was changed elsewhere meanwhile, in words."""
        self._note_frame = QFrame()
        self._note_frame.setProperty("role", "banner")
        self.button(StandardButton.Apply).clicked.connect(lambda: self._consented(self.apply))
        self._preview = InvitePreview(workspace) if model in (SipTrunk, ExternalLine) else None
        self._lay_out()
        self._errors: list[RecordError] = []
        self._warnings: list[RecordError] = []
        self._problems = Inquiry(problems, self)
        self._problems.answered.connect(self._show_warnings)
        self._routes = Inquiry(self._compare_routes, self)
        self._routes.answered.connect(self._show_routes)
        self._late_check = QTimer(self, singleShot=True, interval=CHECK_AFTER)
        self._late_check.timeout.connect(self._check_everything)
        self.form.rows["id"].editor.widget.setEnabled(base is None)
        start = values if values is not None else dict(base) if base is not None else None
        self.form.set_values(start or new_values(model, workspace.configuration), workspace.configuration)
        self.form.changed.connect(self._edited)
        workspace.bridge.configuration_changed.connect(self._changed_elsewhere)
        for rows_changed in (workspace.bridge.trunks_changed, workspace.bridge.lines_changed):
            rows_changed.connect(self._calls_changed)
        self._refresh_title()
        self._check_everything()
        self._say_live_effect()
        self.form.focus_field(self.form.first_field())

    def _lay_out(self) -> None:
        note = QHBoxLayout(self._note_frame)
        note.setContentsMargins(10, 6, 10, 6)
        note.addWidget(self._note)
        self._note_frame.hide()
        below = [self._routes_label] if self._preview is None else [self._preview, self._routes_label]
        self.lay_out([self._note_frame], self.form, below)

    def _refresh_title(self) -> None:
        if self.base is None:
            self.setWindowTitle(f"New {self.model.title}")
        elif self.model is System:
            self.setWindowTitle("System")
        else:
            title = self.model.title
            self.setWindowTitle(f"{title[:1].upper()}{title[1:]} {self.base.caption()}")

    # --- checking ------------------------------------------------------------------------------------------------

    def _edited(self) -> None:
        self._check(whole=False)
        self._late_check.start()

    def _check_everything(self) -> None:
        self._check(whole=True)
        if self._preview is not None:
            self._preview.refresh(self.base, self._record)

    def _check(self, *, whole: bool) -> None:
        """Check the form; `whole` also as a part of the configuration, which takes longer the larger that is."""
        errors = self._mistakes(whole=whole)
        self._errors = [error for error in errors if self._filled or error.path.partition("[")[0] in self.form.touched]
        self.form.show_errors(self._errors, self._warnings)
        self.say_problem(errors)

    def _mistakes(self, *, whole: bool) -> list[RecordError]:
        """Every mistake of what the form holds; keeps the record when there is none."""
        self._record = None
        try:
            record = checked_record(self.model, self.form.values(), self.workspace.configuration)
            if whole:
                configuration = self.workspace.configuration.with_changes([self._change(record)])
                self._problems.ask(configuration)
                if self.workspace.kept_numbers.all:
                    self._routes.ask(configuration)
        except RecordErrors as error:
            return list(error.errors)
        self._record = record
        return []

    def _show_warnings(self, problems: Iterable[Problem]) -> None:
        """What is odd, but allowed, in the configuration with this record in it."""
        place = (self.model.table, self.form.rows["id"].editor.value())
        self._warnings = [
            RecordError(problem.field or "id", problem.message)
            for problem in problems
            if (problem.table, problem.record_id) == place
        ]
        self.form.show_errors(self._errors, self._warnings)

    def _compare_routes(self, configuration: Configuration) -> tuple[Difference, ...]:
        return compare(self.workspace.configuration, configuration, self.workspace.kept_numbers.numbers())

    def _show_routes(self, differences: tuple[Difference, ...]) -> None:
        """Which of the kept test numbers the change would route differently: before it is saved."""
        lines = [str(each) for each in differences[:_MOST_ROUTES]]
        if len(differences) > _MOST_ROUTES:
            lines.append(f"and {len(differences) - _MOST_ROUTES} more")
        words = f"{plural(len(differences), 'test number')} would go another way:"
        self._routes_label.setText("\n".join([words, *lines]) if lines else "")
        self._routes_label.setVisible(bool(lines))

    # --- doing it ------------------------------------------------------------------------------------------------

    def _change(self, record: Record) -> Change:
        before = self.base
        if before is not None and self.workspace.configuration.find(self.model.table, before.id) is None:
            before = None  # deleted elsewhere meanwhile: it is added again
        return Change(self.model.table, before, record)

    def apply(self) -> bool:
        """Make the change take effect and stay open; False, with the mistakes shown, when it does not fit."""
        self._late_check.stop()
        self._filled = True
        self._check_everything()
        record = self._record
        if record is None:
            return False
        if record != self.base:
            verb = "Add" if self.base is None else "Change"
            change = self._change(record)
            previous, self.base = self.base, record
            try:
                self.workspace.history.perform(words_for(verb, [record]), [change])
            except RecordErrors as error:
                self.base = previous
                self.form.show_errors(error.errors)
                self.say_problem(list(error.errors))
                return False
            except UserFacingError as error:
                self.base = previous
                self.say_problem([RecordError("", str(error))])
                return False
        self.form.rows["id"].editor.widget.setEnabled(False)
        self.form.touched.clear()
        self._refresh_title()
        return True

    def accept(self) -> None:
        """OK: make the change take effect and close."""
        self._consented(self._apply_and_close)

    def _apply_and_close(self) -> None:
        if self.apply():
            super().accept()

    def _consented(self, go_on: Callable[[], object]) -> None:
        """Go on as soon as the user agrees to what Undo would not take back."""
        self._check_everything()
        changes = [self._change(self._record)] if self._record is not None else []
        with_consent(self, self.workspace, changes, go_on)

    # --- what happens elsewhere ----------------------------------------------------------------------------------

    def _changed_elsewhere(self, configuration: Configuration) -> None:
        """Take over what others changed in this record, and say so."""
        if self.base is None:
            self._keep_id_free(configuration)
        else:
            self._merge(configuration.find(self.model.table, self.base.id))
        self.form.refill(configuration)
        self._check_everything()

    def _keep_id_free(self, configuration: Configuration) -> None:
        editor = self.form.rows["id"].editor
        if "id" not in self.form.touched and configuration.find(self.model.table, editor.value()) is not None:
            editor.set_value(configuration.next_id(self.model.table))

    def _merge(self, theirs: Record | None) -> None:
        base = self.base
        if base is None or theirs == base:
            return
        if theirs is None:
            self._tell(f"This {self.model.title} was deleted elsewhere meanwhile. OK adds it again.")
            return
        taken = [name for name in changed_fields(base, theirs) if name not in self.form.touched]
        disputed = [name for name in changed_fields(base, theirs) if name in self.form.touched]
        words = [f"Changed elsewhere meanwhile and taken over: {self._labels(taken)}."] if taken else []
        if disputed:
            words.append(f"Also changed elsewhere: {self._labels(disputed)}. What you typed counts when you press OK.")
        try:
            mine = check_record(self.model, self.form.values())
            self.form.set_values(dict(merge(base, mine, theirs)[0]), self.workspace.configuration)
        except RecordErrors:
            self.form.set_values({name: getattr(theirs, name) for name in taken}, self.workspace.configuration)
        self.base = theirs
        self._refresh_title()
        self._tell(" ".join(words))

    def _labels(self, names: list[str]) -> str:
        return ", ".join(field_path_words(self.model, name) for name in names)

    def _say_live_effect(self) -> None:
        """Say what a change means for the calls of this moment, below what was changed elsewhere."""
        effect = live_effect(self.workspace, self.model, [self.base.id]) if self.base is not None else ""
        text = " ".join(filter(None, (self._elsewhere, effect)))
        if text != self._note.text():
            self._note.setText(text)
            self._note_frame.setVisible(bool(text))

    def _calls_changed(self, _rows: object) -> None:
        """Calls came or went. A method and no lambda: Qt ends the connection together with the dialog."""
        self._say_live_effect()

    def _tell(self, text: str) -> None:
        self._elsewhere = text
        self._say_live_effect()
