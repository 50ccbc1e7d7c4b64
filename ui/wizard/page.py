"""What the pages of the wizard share."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWizardPage

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

    def note(self, name: str, role: str = "muted") -> PlainLabel:
        """A label for words of the page."""
        label = PlainLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        label.setObjectName(name)
        label.setProperty("role", role)
        label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        return label
