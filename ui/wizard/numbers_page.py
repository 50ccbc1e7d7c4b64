"""The third page of the wizard: which numbers go there, and what becomes of numbers on the way there and back."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from app.errors import TrunklineError, UserFacingError
from app.records import LocalUser, SipTrunk
from ui.labels import field_label
from ui.records.editors import ChoiceBox
from ui.wizard.page import WizardPage
from ui.wizard.plan import TrunkPlan, can_have_second_choice
from ui.workspace import Workspace


class NumbersPage(WizardPage):
    """`wizard.numbers`: then everything is added."""

    def __init__(self, workspace: Workspace, plan: TrunkPlan) -> None:
        words = "Numbers that begin with the prefix go there; where several prefixes fit, the longest wins."
        super().__init__("numbers", "Which numbers go there?", words, workspace, plan)
        self.setCommitPage(True)
        self.routed = self._box("routed", "&Send calls there", plan.routed)
        self.prefix = self._line("prefix", "e.g. 0")
        self.stripped = self._box("stripped", "&Remove the prefix from the number that is sent", plan.stripped)
        self.second_choice = self._box("second_choice", "", plan.second_choice)
        self.sample = self._line("sample", "as a user dials it, e.g. 0301234")
        self.sent = self._line("sent", "")
        self.incoming = self._line("incoming", "a number of yours as it is called from there")
        self.rings: QComboBox = ChoiceBox()
        self.rings.setObjectName("rings")
        self.rewrite = self.note("rewrite")
        self.result = self.note("result", "")
        self.incoming_words = self.note("incoming.words")
        self.problem = self.note("problem", "warning")
        for label in (self.rewrite, self.result, self.incoming_words):
            # A form reckons the height of words from the least width that they may have.
            label.setMinimumWidth(50 * label.fontMetrics().averageCharWidth())
        layout = QVBoxLayout(self)
        self.form = QFormLayout()
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.form.addRow(self.routed)
        self.form.addRow(field_label("&Prefix", self.prefix), self.prefix)
        self.form.addRow("", self.second_choice)
        self.form.addRow("", self.stripped)
        self.form.addRow(field_label("&Try a number", self.sample), self.sample)
        self.form.addRow(field_label("&Must be sent as", self.sent), self.sent)
        self.form.addRow("", self.rewrite)
        self.form.addRow("", self.result)
        self.form.addRow(field_label("&Called from there", self.incoming), self.incoming)
        self.form.addRow(field_label("R&ings", self.rings), self.rings)
        self.form.addRow("", self.incoming_words)
        layout.addLayout(self.form)
        layout.addWidget(self.problem)
        layout.addStretch()
        self.rings.currentIndexChanged.connect(lambda _: self._edited())

    def _box(self, name: str, words: str, ticked: bool) -> QCheckBox:
        box = QCheckBox(words)
        box.setObjectName(name)
        box.setChecked(ticked)
        box.toggled.connect(lambda _: self._edited())
        return box

    def _line(self, name: str, placeholder: str) -> QLineEdit:
        line = QLineEdit(placeholderText=placeholder)
        line.setObjectName(name)
        line.textChanged.connect(lambda _: self._edited())
        return line

    def initializePage(self) -> None:
        """Look again: the other side may be another one now."""
        chosen = self.rings.currentData()
        self.rings.blockSignals(True)
        self.rings.clear()
        self.rings.addItem("choose a local user", "")
        for user in self.workspace.configuration.records(LocalUser):
            if user.enabled:
                self.rings.addItem(user.caption(), user.number)
        self.rings.setCurrentIndex(max(0, self.rings.findData(chosen)))
        self.rings.blockSignals(False)
        example = self.plan.template.sent_example
        self.sent.setPlaceholderText(
            f"as {self.plan.template.title} expects it, e.g. {example}" if example else "the same"
        )
        self._edited()

    def first_widget(self) -> QWidget:
        """The prefix."""
        return self.prefix

    def _edited(self) -> None:
        plan, configuration = self.plan, self.workspace.configuration
        plan.routed, plan.stripped = self.routed.isChecked(), self.stripped.isChecked()
        plan.second_choice = self.second_choice.isChecked()
        plan.prefix, plan.sample = self.prefix.text().strip(), self.sample.text().strip()
        plan.sent, plan.incoming = self.sent.text().strip(), self.incoming.text().strip()
        plan.rings = str(self.rings.currentData() or "")
        self._show_choices()
        mistake = plan.mistake(configuration)
        self.problem.setText(mistake)
        fits = plan.routed and not mistake
        self._say(self.rewrite, plan.rewrite_words(configuration) if fits else "")
        self._say(self.result, self._sample_words() if fits and plan.sample else "")
        self._say(self.incoming_words, "" if mistake else plan.incoming_words())
        self.completeChanged.emit()

    def _show_choices(self) -> None:
        """Show what can be answered now."""
        plan = self.plan
        taken = plan.taken_route(self.workspace.configuration) if plan.routed and plan.prefix else None
        shared = taken is not None and can_have_second_choice(taken)
        if shared and taken is not None:
            self.second_choice.setText(f"Second c&hoice after called number record {taken.id}")
            self.second_choice.setToolTip(taken.caption())
        self.form.setRowVisible(self.second_choice, shared)
        # What the record that leads there does to the number counts for its second choice, too.
        self.form.setRowVisible(self.stripped, not shared)
        for widget in (self.prefix, self.sample, self.sent):
            widget.setEnabled(plan.routed)
        self.stripped.setEnabled(plan.routed and not (plan.sample and plan.sent))
        for widget in (self.incoming, self.rings):
            self.form.setRowVisible(widget, plan.kind is SipTrunk)

    def _say(self, label: Any, words: str) -> None:
        label.setText(words)
        self.form.setRowVisible(label, bool(words))

    def _sample_words(self) -> str:
        try:
            return self.plan.sample_words(self.workspace.configuration, self.workspace.engine, self.plan.sample)
        except TrunklineError as error:
            return str(error)

    def isComplete(self) -> bool:
        """Whether everything could be added."""
        return not self.plan.mistake(self.workspace.configuration)

    def validatePage(self) -> bool:
        """Add everything as one step of the history."""
        wizard: Any = self.wizard()
        try:
            wizard.add()
        except UserFacingError as error:
            self.problem.setText(str(error))
            return False
        return True
