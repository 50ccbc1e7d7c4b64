"""The toolbar of the window: the server, what the page in front can do, DNS, the simulator, and the search."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui.search_box import SearchBox
from ui.tool_bar import ToolBar
from ui.workspace import Workspace

BUTTONS = (
    ("tools.server", "Stop"),
    ("", ""),
    ("edit.add", "Add"),
    ("edit.edit", "Edit"),
    ("edit.duplicate", "Duplicate"),
    ("edit.delete", "Delete"),
    ("edit.toggle", "Enable/Disable"),
    ("", ""),
    ("tools.refresh_dns", "Refresh DNS"),
    ("dial_plan.simulator", "Simulator"),
)
"""The actions of the menus that are in the toolbar, and their words there; they follow the page as in the menus."""


_WORDED = Qt.ToolButtonStyle.ToolButtonTextBesideIcon


class MainToolBar(ToolBar):
    """`toolbar`: it can be moved, and hidden by View / Toolbar."""

    def __init__(self, workspace: Workspace, window: QWidget) -> None:
        super().__init__()
        self.setObjectName("toolbar")
        self.setWindowTitle("Toolbar")
        self.setIconSize(QSize(24, 24))
        self.setAllowedAreas(Qt.ToolBarArea.TopToolBarArea | Qt.ToolBarArea.BottomToolBarArea)
        space = QWidget()
        space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._room_for_words = 0
        self._space = self.addWidget(space)
        self._space.setObjectName("toolbar.space")
        self.search = SearchBox(workspace, window)
        self.search.wanted.connect(self.show)
        self.addWidget(self.search).setObjectName("toolbar.search")

    def fill(self, actions: Mapping[str, QAction]) -> None:
        """Put the actions of the menus before the search, once."""
        for name, words in BUTTONS:
            if not name:
                self.insertSeparator(self._space)
                continue
            actions[name].setIconText(words)
            self.insertAction(self._space, actions[name])

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where there is no room for all, the words go and not the search; each button still tells them as its tip."""
        super().resizeEvent(event)
        worded = self.toolButtonStyle() is _WORDED
        if worded:
            self._room_for_words = self.sizeHint().width()
        style = _WORDED if event.size().width() >= self._room_for_words else Qt.ToolButtonStyle.ToolButtonIconOnly
        if style is not self.toolButtonStyle():
            self.setToolButtonStyle(style)
