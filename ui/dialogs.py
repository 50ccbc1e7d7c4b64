"""What every dialog shares: a name by which programs find it as long as it is open, and an end after it is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog, QWidget

_DialogClass = QDialog if TYPE_CHECKING else object


class Leaving(_DialogClass):
    """How any dialog ends: found no longer, and the keys go where they went before it was opened.

    The system gives them back by itself only where a window manager does; without one they would go nowhere.
    """

    def done(self, result: int) -> None:
        """Close, and be found no longer while Qt lets go of it."""
        had_keys = self.isActiveWindow()
        super().done(result)
        self.setObjectName("")
        parent = self.parentWidget()
        if not had_keys or parent is None or not parent.isVisible():
            return
        opener = parent.window()
        # What was opened meanwhile, another question for example, keeps the keys.
        if QApplication.activeModalWidget() in (None, opener):
            opener.activateWindow()


class Dialog(Leaving, QDialog):
    """Open it with `open()`, never with `exec()`: a nested loop would stop the server's."""

    def __init__(self, name: str, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(f"dialog.{name}")
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
