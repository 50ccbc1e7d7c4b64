"""The wizard for a new trunk or line: kind, address, numbers, test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QRadioButton,
    QVBoxLayout,
    QWidget,
    QWizard,
    QWizardPage,
)

from app.errors import RecordErrors, TrunklineError, UserFacingError
from app.events import LineChanged, LineRow, LineState, TrunkChanged, TrunkRow, TrunkState
from app.records import ExternalLine, Record, SipTrunk, fields_of
from ui.dialogs import Leaving
from ui.monitor.state_words import LINE_TONES, TRUNK_TONES, line_words
from ui.plain_text import PlainLabel
from ui.records.field_words import field_path_words
from ui.records.record_form import RecordForm
from ui.theme import Tone
from ui.wizard.plan import PEER_FIELDS, TrunkPlan, first_values
from ui.workspace import Workspace

KINDS: dict[type[Record], tuple[str, str]] = {
    SipTrunk: (
        "&SIP trunk: the other side knows this server by its address",
        "A carrier, a gateway or another server of yours. No password; calls from its address are trusted.",
    ),
    ExternalLine: (
        "&External line: an account with a password",
        "The provider gave you an account. This server registers there, and its calls ring one of your users.",
    ),
}
ADVICE = {
    TrunkState.DOWN: "It does not answer OPTIONS. Check address, port and transport, and whether the other side knows "
    "the address of this server. A few carriers never answer OPTIONS: then set the interval to 0 and place a call.",
    TrunkState.DEGRADED: "It has not answered yet; it is asked again.",
    TrunkState.UP: "It answers. Calls can go there now.",
    LineState.REGISTERED: "It is registered. Calls can come and go now.",
    LineState.REJECTED: "The provider refuses the account. Check account, password and authorization ID.",
    LineState.RETRYING: "It could not be registered yet; it is tried again. Check the server address.",
}
"""What to do in each state; in all others there is nothing to do but wait."""


class WizardPage(QWizardPage):
    """A page that looks at the plan of its wizard."""

    def __init__(self, name: str, title: str, words: str, workspace: Workspace, plan: TrunkPlan) -> None:
        super().__init__()
        self.setObjectName(f"wizard.{name}")
        self.setTitle(title)
        self.setSubTitle(words)
        self.workspace = workspace
        self.plan = plan

    def note(self, name: str, role: str = "muted") -> PlainLabel:
        """A label for words of the page."""
        label = PlainLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        label.setObjectName(name)
        label.setProperty("role", role)
        return label


class KindPage(WizardPage):
    """`wizard.kind`: trunk or line."""

    def __init__(self, workspace: Workspace, plan: TrunkPlan) -> None:
        super().__init__("kind", "What do you have?", "How does the other side know you?", workspace, plan)
        layout = QVBoxLayout(self)
        for kind, (words, more) in KINDS.items():
            button = QRadioButton(words)
            button.setObjectName(f"kind.{kind.table}")
            button.setChecked(plan.kind is kind)
            button.toggled.connect(lambda chosen, kind=kind: self._choose(kind) if chosen else None)
            label = QLabel(more, wordWrap=True, indent=24)
            label.setProperty("role", "muted")
            layout.addWidget(button)
            layout.addWidget(label)
        layout.addStretch()

    def _choose(self, kind: type[Record]) -> None:
        self.plan.kind = kind
        self.plan.peer = {}


class PeerPage(WizardPage):
    """`wizard.peer`: where the other side is; its editors are those of the form, by the same names."""

    def __init__(self, workspace: Workspace, plan: TrunkPlan) -> None:
        super().__init__("peer", "Where is it?", "Only the fields with a star have to be filled in.", workspace, plan)
        self.form: RecordForm | None = None
        self._problem = self.note("problem")
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(self._problem)

    def initializePage(self) -> None:
        """The fields of the kind that was chosen."""
        kind = self.plan.kind
        if self.form is None or self.form.model is not kind:
            if self.form is not None:
                self._layout.removeWidget(self.form)
                self.form.deleteLater()
            fields = [field for field in fields_of(kind) if field.name in PEER_FIELDS[kind]]
            # On one tab, in the order in which they are asked.
            fields.sort(key=lambda field: PEER_FIELDS[kind].index(field.name))
            self.form = RecordForm(kind, self.workspace.theme, self, fields=fields, one_tab="The other side")
            configuration = self.workspace.configuration
            self.form.set_values(first_values(kind, configuration), configuration)
            self.form.changed.connect(self._edited)
            self._layout.insertWidget(0, self.form, 1)
        self._edited()
        self.form.focus_field("server_address")

    def _edited(self) -> None:
        if self.form is None:
            return
        self.plan.peer = self.form.values()
        errors = self._mistakes()
        self.form.show_errors([each for each in errors if each.path.partition("[")[0] in self.form.touched])
        first = f"{field_path_words(self.plan.kind, errors[0].path)} {errors[0].message}" if errors else ""
        self._problem.setText(f"To go on: {first}" if first else "")
        self.completeChanged.emit()

    def _mistakes(self) -> Sequence[Any]:
        try:
            self.plan.record(self.workspace.configuration)
        except RecordErrors as error:
            return error.errors
        return ()

    def isComplete(self) -> bool:
        """Whether the record could be made."""
        return self.form is not None and not self._mistakes()


class NumbersPage(WizardPage):
    """`wizard.numbers`: which numbers go there; then everything is added."""

    def __init__(self, workspace: Workspace, plan: TrunkPlan) -> None:
        words = "Numbers that begin with the prefix go there; where several prefixes fit, the longest wins."
        super().__init__("numbers", "Which numbers go there?", words, workspace, plan)
        self.setCommitPage(True)
        self.routed = QCheckBox("&Send calls there")
        self.routed.setObjectName("routed")
        self.routed.setChecked(plan.routed)
        self.prefix = QLineEdit(placeholderText="e.g. 0")
        self.prefix.setObjectName("prefix")
        self.stripped = QCheckBox("&Remove the prefix from the number that is sent")
        self.stripped.setObjectName("stripped")
        self.sample = QLineEdit(placeholderText="e.g. 0301234")
        self.sample.setObjectName("sample")
        self.result = self.note("result")
        self.problem = self.note("problem", "warning")
        layout = QVBoxLayout(self)
        form = QFormLayout()
        form.addRow(self.routed)
        form.addRow("&Prefix", self.prefix)
        form.addRow("", self.stripped)
        form.addRow("&Try a number", self.sample)
        layout.addLayout(form)
        layout.addWidget(self.result)
        layout.addWidget(self.problem)
        layout.addStretch()
        for box in (self.routed, self.stripped):
            box.toggled.connect(lambda _: self._edited())
        for line in (self.prefix, self.sample):
            line.textChanged.connect(lambda _: self._edited())

    def initializePage(self) -> None:
        """Look again: the other side may be another one now."""
        self._edited()
        self.prefix.setFocus()

    def _edited(self) -> None:
        plan, configuration = self.plan, self.workspace.configuration
        plan.routed, plan.stripped = self.routed.isChecked(), self.stripped.isChecked()
        plan.prefix = self.prefix.text().strip()
        for widget in (self.prefix, self.stripped, self.sample):
            widget.setEnabled(plan.routed)
        mistake = plan.mistake(configuration)
        self.problem.setText(mistake)
        number = self.sample.text().strip()
        words = ""
        if plan.routed and number and not mistake:
            try:
                words = plan.sample_words(configuration, self.workspace.engine, number)
            except TrunklineError as error:
                words = str(error)
        self.result.setText(words)
        self.completeChanged.emit()

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


class TestPage(WizardPage):
    """`wizard.test`: what the server hears from the other side, as it comes."""

    __test__ = False

    def __init__(self, workspace: Workspace, plan: TrunkPlan) -> None:
        words = "The records are added and work already. Edit them in their tables, or take them back here."
        super().__init__("test", "Does it work?", words, workspace, plan)
        self.mark = QLabel()
        self.state = self.note("state", "title")
        self.reason = self.note("reason")
        self.advice = self.note("advice", "")
        self.added = self.note("added")
        layout = QVBoxLayout(self)
        for widget in (self.state, self.reason, self.advice):
            layout.addWidget(widget)
        layout.addStretch()
        layout.addWidget(self.added)
        workspace.bridge.trunks_changed.connect(self._take)
        workspace.bridge.lines_changed.connect(self._take)

    def initializePage(self) -> None:
        """Show what is known by now."""
        wizard: Any = self.wizard()
        self.added.setText(wizard.words)
        engine = self.workspace.engine
        rows: Sequence[Any] = engine.trunks() if self.plan.kind is SipTrunk else engine.lines()
        for row in rows:
            if row.id == wizard.record_id:
                self._show(row)

    def _take(self, events: Sequence[TrunkChanged | LineChanged]) -> None:
        wizard: Any = self.wizard()
        wanted = TrunkRow if self.plan.kind is SipTrunk else LineRow
        for event in events:
            if isinstance(event.row, wanted) and event.row.id == wizard.record_id and not event.gone:
                self._show(event.row)

    def _show(self, row: TrunkRow | LineRow) -> None:
        probed = self.plan.kind is not SipTrunk or self.plan.peer.get("options_interval")
        waiting = bool(probed) and row.state in (TrunkState.UNKNOWN, LineState.UNREGISTERED)
        words = line_words(row) if isinstance(row, LineRow) else row.state.value
        tone = LINE_TONES[row.state] if isinstance(row, LineRow) else TRUNK_TONES[row.state]
        if isinstance(row, TrunkRow) and row.state is TrunkState.UP and row.round_trip_ms:
            words = f"{words}, answered {row.last_status} in {row.round_trip_ms:.0f} ms"
        self.state.setText("Waiting for the answer ..." if waiting else words[:1].upper() + words[1:])
        self.state.setStyleSheet(f"color: {self.workspace.theme.colours.tone(Tone.MUTED if waiting else tone)}")
        self.reason.setText(row.reason)
        unasked = "With an OPTIONS interval of 0 it is not asked: place a call to see whether it works."
        self.advice.setText(ADVICE.get(row.state, "" if probed else unasked))


class TrunkWizard(Leaving, QWizard):
    """`dialog.trunk_wizard`. Open it with `open()`."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.trunk_wizard")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("New trunk or line")
        self.setWizardStyle(QWizard.WizardStyle.ModernStyle)
        self.setOption(QWizard.WizardOption.NoCancelButtonOnLastPage)
        self.setOption(QWizard.WizardOption.NoBackButtonOnLastPage)
        self.setOption(QWizard.WizardOption.HaveCustomButton1)
        self.setButtonText(QWizard.WizardButton.CommitButton, "&Add and test")
        self.setButtonText(QWizard.WizardButton.CustomButton1, "&Take it back")
        self.plan = TrunkPlan()
        self.record_id = 0
        """The id of the trunk or line, once it is added."""
        self.words = ""
        """What was added, in words."""
        self._workspace = workspace
        self._index = -1
        self.test = TestPage(workspace, self.plan)
        for page in (KindPage(workspace, self.plan), PeerPage(workspace, self.plan), NumbersPage(workspace, self.plan)):
            self.addPage(page)
        self.addPage(self.test)
        names = {"next": "NextButton", "back": "BackButton", "cancel": "CancelButton", "finish": "FinishButton"}
        names |= {"add": "CommitButton", "take_back": "CustomButton1"}
        for name, button in names.items():
            self.button(QWizard.WizardButton[button]).setObjectName(name)
        self.customButtonClicked.connect(lambda _: self.take_back())
        self.currentIdChanged.connect(lambda _: self._show_buttons())
        self._show_buttons()
        self.resize(620, 520)

    def _show_buttons(self) -> None:
        self.button(QWizard.WizardButton.CustomButton1).setVisible(self.currentPage() is self.test)

    def add(self) -> None:
        """Add the records as one step of the history. UserFacingError when they do not fit."""
        workspace = self._workspace
        changes = self.plan.changes(workspace.configuration)
        record = changes[0].after
        if record is None:
            return
        workspace.history.perform(f"Add {record.title} {record.id} by the wizard", changes)
        self._index = workspace.history.stack.index()
        self.record_id = record.id
        added = [each.after for each in changes if each.after is not None]
        self.words = "Added: " + "; ".join(f"{each.title} {each.caption()}" for each in added) + "."

    def take_back(self) -> None:
        """Undo what was added, unless something else was done since, and close."""
        stack = self._workspace.history.stack
        if stack.index() != self._index:
            self._workspace.notice("Something else was changed since: take the steps back by Edit / Undo.")
        else:
            stack.undo()
            if self._workspace.configuration.find(self.plan.kind.table, self.record_id) is None:
                self._workspace.notice("The records of the wizard were taken back.")
        self.record_id = 0
        self.reject()

    def done(self, result: int) -> None:
        """Close, and show the record in its table."""
        super().done(result)
        if self.record_id:
            self._workspace.record_wanted.emit(self.plan.kind.table, self.record_id)
