"""The wizard for a new trunk or line: kind, address, numbers, test."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QWidget, QWizard

from app.records import Change
from ui.dialogs import Leaving
from ui.wizard.check_page import TestPage
from ui.wizard.kind_page import KindPage
from ui.wizard.numbers_page import NumbersPage
from ui.wizard.peer_page import PeerPage
from ui.wizard.plan import TrunkPlan
from ui.workspace import Workspace


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
        room = self.screen().availableSize() - QSize(40, 60)
        self.resize(QSize(720, 640).boundedTo(room))

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
        self.words = _words("Added", [each for each in changes if each.before is None])
        self.words += _words(" Changed", [each for each in changes if each.before is not None])

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


def _words(verb: str, changes: Sequence[Change]) -> str:
    """`Added: SIP trunk 5 - Carrier C; called number record 9 - 77.`"""
    records = [each.after for each in changes if each.after is not None]
    return f"{verb}: " + "; ".join(f"{each.title} {each.caption()}" for each in records) + "." if records else ""
