"""The list of the changes that were made, each of which can be gone back to."""

from __future__ import annotations

from PySide6.QtWidgets import QDockWidget, QUndoView, QWidget

from ui.workspace import Workspace


class HistoryDock(QDockWidget):
    """`dock.history`: a click on a change undoes all that came after it, or does all again that led to it."""

    def __init__(self, workspace: Workspace, parent: QWidget) -> None:
        super().__init__("History of changes", parent)
        self.setObjectName("dock.history")
        self.view = QUndoView(workspace.history.stack)
        self.view.setObjectName("history")
        self.view.setAccessibleName("History of changes")
        self.view.setEmptyLabel("As it was at the start")
        self.setWidget(self.view)
