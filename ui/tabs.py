"""Tabs of words alone: high enough for their letters, which the style does not see to without icons."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QTabBar, QTabWidget, QWidget

ROOM = 4
"""Pixels by which a tab in the background is drawn lower, and cut, otherwise."""


class TabBar(QTabBar):
    """A bar whose tabs have room for what hangs below the line."""

    def tabSizeHint(self, index: int) -> QSize:
        """A little higher than the style wants it."""
        return super().tabSizeHint(index) + QSize(0, ROOM)


class Tabs(QTabWidget):
    """Pages behind words."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTabBar(TabBar(self))
