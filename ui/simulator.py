"""The simulator: where a call would go and why, the exact INVITE of each target, and the test numbers that are kept."""

from __future__ import annotations

from datetime import datetime
from html import escape

from PySide6.QtCore import Qt, QTimer, QUrl
from PySide6.QtGui import QAction, QFontDatabase
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from app.errors import TrunklineError
from app.records import Configuration, ExternalLine, LocalUser, SipTrunk
from app.records.business_hours import read_moment
from ui.face import Dial, SavedNumber, Simulation, Source, TrailStep
from ui.kept_numbers_page import KeptNumbersPage
from ui.plain_text import PlainLabel
from ui.records.field_words import record_words
from ui.tabs import Tabs
from ui.words import name_words
from ui.workspace import Workspace

MOST_NAMED = 2
"""So many further targets are named in the answer; the list below has them all."""
RUN_AFTER = 250
"""Milliseconds after the last key at which the call is simulated."""


class SimulatorPage(QWidget):
    """`page.simulator`."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.setObjectName("page.simulator")
        self.name = "simulator"
        self.title = "Simulator"
        self.workspace = workspace
        self.commands: dict[str, QAction] = {}
        self._timer = QTimer(self, singleShot=True, interval=RUN_AFTER)
        self._timer.timeout.connect(self.run)
        self._make_question()
        self._make_answer()
        self._lay_out()
        self.fill_sources()
        workspace.bridge.configuration_changed.connect(lambda _: self._configuration_changed())
        workspace.history.changed.connect(self._configuration_changed)
        workspace.theme.changed.connect(self.run)
        self.run()

    # --- widgets -------------------------------------------------------------------------------------------------

    def _make_question(self) -> None:
        self.source = QComboBox(editable=True)
        self.source.setObjectName("source")
        self.source.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.source.setMinimumContentsLength(16)
        self.source.setToolTip("Who calls. A stranger is written as address:192.0.2.1:5060")
        self.caller = QLineEdit()
        self.caller.setObjectName("caller")
        self.caller.setPlaceholderText("the user's own number")
        self.called = QLineEdit()
        self.called.setObjectName("called")
        self.setFocusProxy(self.called)
        self.called.setPlaceholderText("e.g. 135550")
        self.at = QLineEdit()
        self.at.setObjectName("at")
        self.at.setPlaceholderText("now")
        self.at.setToolTip("For the business hours: 2026-11-23 22:00, Mon 22:00 or 22:00")
        self.live = QCheckBox("As things are no&w")
        self.live.setObjectName("live")
        self.live.setChecked(True)
        self.live.setToolTip("Count running calls, registrations and trunks that are down; otherwise only the records")
        self.button = QPushButton("Sim&ulate")
        self.button.setObjectName("simulate")
        self.button.setDefault(True)
        self.workspace.theme.give_icon(self.button, "simulator")
        self.button.clicked.connect(self.run)
        self.keep = QPushButton("&Keep as test number")
        self.keep.setObjectName("keep")
        self.keep.clicked.connect(self.keep_number)
        for edit in (self.caller, self.called, self.at):
            edit.textChanged.connect(lambda _: self._timer.start())
            edit.returnPressed.connect(self.run)
        self.source.editTextChanged.connect(lambda _: self._timer.start())
        self.live.toggled.connect(lambda _: self.run())

    def _make_answer(self) -> None:
        self.verdict = PlainLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self.verdict.setObjectName("verdict")
        self.verdict.setProperty("role", "title")
        self.refusals = PlainLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self.refusals.setObjectName("refusals")
        self.refusals.setProperty("role", "warning")
        self.steps = QTextBrowser(openLinks=False)
        self.steps.setObjectName("steps")
        self.steps.setAccessibleName("Steps")
        self.steps.anchorClicked.connect(self._open_record)
        self.targets = QListWidget()
        self.targets.setObjectName("targets")
        self.targets.setAccessibleName("Targets in their order")
        self.targets.currentItemChanged.connect(lambda item, _: self._show_invite(item))
        self.invite = QPlainTextEdit(readOnly=True, lineWrapMode=QPlainTextEdit.LineWrapMode.NoWrap)
        self.invite.setObjectName("invite")
        self.invite.setAccessibleName("The INVITE that the target would get")
        self.invite.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))

    def _lay_out(self) -> None:
        card = QFrame()
        card.setProperty("role", "card")
        question = QGridLayout(card)
        question.setContentsMargins(14, 10, 14, 10)
        question.setHorizontalSpacing(10)
        fields = (
            ("S&ource", self.source, 4),
            ("C&aller number", self.caller, 3),
            ("Called &number", self.called, 3),
            ("T&ime", self.at, 2),
        )
        for place, (words, widget, share) in enumerate(fields):
            label = QLabel(words)
            label.setBuddy(widget)
            question.addWidget(label, 0, place)
            question.addWidget(widget, 1, place)
            question.setColumnStretch(place, share)
        question.addWidget(self.button, 1, 4)
        question.addWidget(self.live, 2, 0)
        question.addWidget(self.keep, 2, 4)
        question.addWidget(self.verdict, 3, 0, 1, 5)
        question.addWidget(self.refusals, 4, 0, 1, 5)
        # On a small screen two lines of each are enough.
        for widget in (self.targets, self.invite):
            widget.setMinimumHeight(3 * self.fontMetrics().lineSpacing())
        right = QSplitter(Qt.Orientation.Vertical)
        right.addWidget(_titled("Targets, in the order in which they are tried", self.targets))
        right.addWidget(_titled("The INVITE that the chosen target gets", self.invite))
        right.setSizes([130, 300])
        middle = QSplitter(Qt.Orientation.Horizontal)
        middle.addWidget(_titled("Steps", self.steps))
        middle.addWidget(right)
        middle.setSizes([620, 480])
        self.tabs = Tabs()
        self.tabs.setObjectName("tabs")
        self.tabs.setDocumentMode(True)
        self.kept = KeptNumbersPage(self.workspace)
        self.kept.tried.connect(self._try)
        self.tabs.addTab(middle, "This call")
        self.tabs.addTab(self.kept, "Test numbers")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 10)
        layout.addWidget(card)
        layout.addWidget(self.tabs, 1)

    # --- the question --------------------------------------------------------------------------------------------

    def fill_sources(self) -> None:
        """List every user, trunk and line; what was chosen stays."""
        configuration = self.workspace.configuration
        chosen = self.source_name()
        names = [f"user:{user.number}" for user in configuration.records(LocalUser)]
        names += [f"trunk:{trunk.id}" for trunk in configuration.records(SipTrunk)]
        names += [f"line:{line.id}" for line in configuration.records(ExternalLine)]
        blocked = self.source.blockSignals(True)
        self.source.clear()
        for name in names:
            kind = "user " if name.startswith("user:") else ""
            self.source.addItem(kind + name_words(name, configuration), name)
        if chosen:
            self._choose_source(chosen)
        self.source.blockSignals(blocked)

    def source_name(self) -> str:
        """The source as `trunk:1`: of the list, or as it was typed."""
        place = self.source.findText(self.source.currentText())
        return str(self.source.itemData(place)) if place >= 0 else self.source.currentText().strip()

    def _choose_source(self, name: str) -> None:
        place = self.source.findData(name)
        if place >= 0:
            self.source.setCurrentIndex(place)
        else:
            self.source.setEditText(name)

    def fill(self, source: str, caller: str, called: str) -> None:
        """Ask about this call, made now."""
        self._choose_source(source)
        self.at.clear()
        self.caller.setText(caller)
        self.called.setText(called)
        self.run()

    def _configuration_changed(self) -> None:
        self.fill_sources()
        self._timer.start()

    # --- the answer ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Simulate the call and show what comes out."""
        self._timer.stop()
        called = self.called.text().strip()
        self.keep.setEnabled(False)
        if not called:
            self._clear("Type a called number to see where it goes.", "muted")
            return
        try:
            source = Source.parse(self.source_name())
            at = read_moment(self.at.text(), datetime.now()) if self.at.text().strip() else None
        except ValueError as error:
            self._clear(str(error), "bad")
            return
        configuration = None if self.live.isChecked() else self.workspace.configuration
        try:
            simulation = self.workspace.engine.simulate(source, self.caller.text().strip(), called, configuration, at)
        except TrunklineError as error:
            self._clear(str(error), "bad")
            return
        self.keep.setEnabled(True)
        self._show(simulation)

    def _clear(self, words: str, role: str) -> None:
        self._say(words, role)
        self.refusals.clear()
        self.refusals.hide()
        self.steps.clear()
        self.targets.clear()
        self.invite.clear()

    def _say(self, words: str, role: str) -> None:
        self.verdict.setText(words)
        colours = self.workspace.theme.colours
        colour = {"muted": colours.muted, "bad": colours.bad, "good": colours.good}[role]
        self.verdict.setStyleSheet(f"color: {colour}")

    def _show(self, simulation: Simulation) -> None:
        decision = simulation.decision
        configuration = self.workspace.configuration
        if isinstance(decision, Dial):
            first, *others = [name_words(target.name, configuration) for target in simulation.targets]
            sent = simulation.targets[0]
            words = f"Goes to {first} as {sent.called_number} from {sent.caller_number or 'anonymous'}"
            if len(others) > MOST_NAMED:
                others[MOST_NAMED:] = [f"{len(others) - MOST_NAMED} more"]
            self._say(words + (f", then {', '.join(others)}" if others else ""), "good")
        else:
            self._say(f"Refused: {decision.status} {decision.reason}: {decision.text}", "bad")
        self.refusals.setText(
            "\n".join(f"Passed over: {words}" for words in simulation.refusals if isinstance(decision, Dial))
        )
        self._show_steps(decision.trail)
        self.targets.clear()
        for place, target in enumerate(simulation.targets, start=1):
            numbers = f"{target.called_number} from {target.caller_number or 'anonymous'}"
            item = QListWidgetItem(f"{place}.  {name_words(target.name, configuration)}:  {numbers}")
            item.setData(Qt.ItemDataRole.UserRole, target.invite.replace("\r\n", "\n"))
            self.targets.addItem(item)
        self.targets.setCurrentRow(0)
        if not simulation.targets:
            self.invite.clear()

    def _show_steps(self, trail: tuple[TrailStep, ...]) -> None:
        configuration = self.workspace.configuration
        muted = self.workspace.theme.colours.muted
        parts: list[str] = ["<ol>"]
        for step in trail:
            link = f" ({_link(step.record, configuration)})" if step.record else ""
            parts.append(f"<li style='margin-bottom:5px'><b>{escape(step.step)}</b>: {escape(step.text)}{link}")
            losers = [f"{_link((loser.table, loser.id), configuration)}: {escape(loser.why)}" for loser in step.losers]
            if losers:
                parts.append(f"<div style='color:{muted}'>not used: {'; '.join(losers)}</div>")
            parts.append("</li>")
        self.steps.setHtml("".join([*parts, "</ol>"]))

    def _show_invite(self, item: QListWidgetItem | None) -> None:
        self.invite.setPlainText(str(item.data(Qt.ItemDataRole.UserRole)) if item is not None else "")

    def _open_record(self, url: QUrl) -> None:
        table, _, record_id = url.path().partition("/")
        self.workspace.record_wanted.emit(table, int(record_id))

    def _try(self, source: str, caller: str, called: str) -> None:
        """Ask about a kept call."""
        self.fill(source, caller, called)
        self.tabs.setCurrentIndex(0)

    def keep_number(self) -> None:
        """Keep the call as a test number, with the outcome that it has by the records."""
        number = SavedNumber(Source.parse(self.source_name()), self.caller.text().strip(), self.called.text().strip())
        self.workspace.kept_numbers.keep(number, self.workspace.configuration)
        self.tabs.setCurrentWidget(self.kept)


def _link(place: tuple[str, int], configuration: Configuration) -> str:
    table, record_id = place
    return f"<a href='record:{table}/{record_id}'>{escape(record_words(place, configuration))}</a>"


def _titled(title: str, widget: QWidget) -> QWidget:
    frame = QWidget()
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(0, 6, 0, 0)
    layout.setSpacing(4)
    label = QLabel(title)
    label.setProperty("role", "muted")
    label.setBuddy(widget)
    layout.addWidget(label)
    layout.addWidget(widget, 1)
    return frame
