"""What the pages of the wizard share."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QWidget, QWizardPage

from ui.plain_text import PlainLabel
from ui.wizard.plan import TrunkPlan
from ui.workspace import Workspace


class WizardPage(QWizardPage):
    """A page that looks at the plan of its wizard."""

    def __init__(self, name: str, title: str, words: str, workspace: Workspace, plan: TrunkPlan) -> None:
        super().__init__()
        self.setObjectName(f"wizard.{name}")
        self.setTitle(title)
        self.setSubTitle(words)
        self.workspace = workspace
        self.plan = plan

    def first_widget(self) -> QWidget | None:
        """Where one begins to type or choose; None where there is nothing but to read."""
        return None

    def showEvent(self, event: QShowEvent) -> None:
        """The focus goes where one begins; a page that is still out of sight cannot take it."""
        super().showEvent(event)
        widget = self.first_widget()
        if widget is not None:
            widget.setFocus(Qt.FocusReason.OtherFocusReason)

    def note(self, name: str, role: str = "muted") -> PlainLabel:
        """A label for words of the page."""
        label = PlainLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        label.setObjectName(name)
        label.setProperty("role", role)
        label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        return label
