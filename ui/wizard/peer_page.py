"""The second page of the wizard: where the other side is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.errors import RecordError, RecordErrors
from app.records import SipTrunk, fields_of
from ui.records.field_words import field_path_words
from ui.records.record_form import MARK, RecordForm
from ui.wizard.encryption import encryption_words
from ui.wizard.page import WizardPage
from ui.wizard.plan import TrunkPlan
from ui.wizard.templates import Template
from ui.workspace import Workspace


class PeerPage(WizardPage):
    """`wizard.peer`: its editors are those of the form, by the same names; what the template set is marked."""

    def __init__(self, workspace: Workspace, plan: TrunkPlan) -> None:
        super().__init__("peer", "Where is it?", "Only the fields with a star have to be filled in.", workspace, plan)
        self.form: RecordForm | None = None
        self._shown: Template | None = None
        self._words = self.note("template.words")
        self._problem = self.note("problem")
        self._layout = QVBoxLayout(self)
        self._encryption = self.note("encryption")
        self._layout.addWidget(self._words)
        self._layout.addWidget(self._encryption)
        self._layout.addWidget(self._problem)

    def initializePage(self) -> None:
        """The fields of the kind that was chosen, filled in by the template."""
        if self.form is None or self._shown is not self.plan.template:
            self.form = self._make_form()
        self._edited()

    def first_widget(self) -> QWidget | None:
        """The first field that has to be filled in."""
        if self.form is None:
            return None
        unfilled = (name for name in ("server_address", "account") if not self.form.values().get(name, "-"))
        return self.form.rows[next(unfilled, "server_address")].editor.widget

    def _make_form(self) -> RecordForm:
        if self.form is not None:
            self._layout.removeWidget(self.form)
            self.form.deleteLater()
        plan, configuration = self.plan, self.workspace.configuration
        template = self._shown = plan.template
        names = plan.peer_fields()
        # On one tab, in the order in which they are asked.
        fields = sorted(
            (field for field in fields_of(plan.kind) if field.name in names), key=lambda field: names.index(field.name)
        )
        form = RecordForm(plan.kind, self.workspace.theme, self, fields=fields, one_tab="The other side")
        form.set_values(plan.first_values(configuration), configuration)
        for name, example in template.examples.items():
            form.rows[name].editor.show_example(example)
        form.changed.connect(self._edited)
        self._layout.insertWidget(0, form, 1)
        return form

    def _edited(self) -> None:
        if self.form is None:
            return
        self._spread_addresses(self.form)
        self.plan.peer = self.form.values()
        self._mark()
        self._encryption.setText(encryption_words(self.plan.peer))
        errors = self._mistakes()
        self.form.show_errors([each for each in errors if each.path.partition("[")[0] in self.form.touched])
        first = f"{field_path_words(self.plan.kind, errors[0].path)} {errors[0].message}" if errors else ""
        self._problem.setText(f"To go on: {first}" if first else "")
        self.completeChanged.emit()

    def _spread_addresses(self, form: RecordForm) -> None:
        """A list of addresses was pasted: the first is the server, calls from the others are trusted, too."""
        values = form.values()
        first, *others = re.split(r"[,;\s]+", values["server_address"].strip())
        if others and self.plan.kind is SipTrunk:
            trusted = ", ".join(each for each in (values["trusted_networks"], *others) if each)
            form.set_values({"server_address": first, "trusted_networks": trusted}, self.workspace.configuration)
            form.touched.add("trusted_networks")

    def _mark(self) -> None:
        """Mark what the template set, as long as nobody has changed it."""
        template = self.plan.template
        touched = self.form.touched if self.form is not None else set()
        for name in template.values:
            if self.form is not None:
                self.form.rows[name].mark("" if name in touched else f"Set by the template {template.title}.")
        marked = f"{MARK} set by the template {template.title}. " if set(template.values) - touched else ""
        self._words.setText(f"{marked}{template.note}" if template.values else "")
        self._words.setVisible(bool(template.values))

    def _mistakes(self) -> Sequence[RecordError]:
        try:
            self.plan.record(self.workspace.configuration)
        except RecordErrors as error:
            return error.errors
        return ()

    def isComplete(self) -> bool:
        """Whether the record could be made."""
        return self.form is not None and not self._mistakes()
