"""The one tool bar of a page: icons with words, and a named button for what has no room."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QToolBar, QToolButton


class ToolBar(QToolBar):
    """Shows each action as its icon with its words beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.toggleViewAction().setObjectName("toolbar.shown")
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        more = self.findChild(QToolButton, "qt_toolbar_ext_button")
        if more is not None:
            # Qt's own button at the end of a bar that is too narrow says nothing of itself.
            more.setAccessibleName("More actions")
            more.setToolTip("More actions")
