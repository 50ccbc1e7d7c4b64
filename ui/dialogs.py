"""What every dialog shares: a name by which programs find it as long as it is open, and an end after it is closed."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QWidget


class Dialog(QDialog):
    """Open it with `open()`, never with `exec()`: a nested loop would stop the server's."""

    def __init__(self, name: str, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(f"dialog.{name}")
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

    def done(self, result: int) -> None:
        """Close, and be found no longer while Qt lets go of it."""
        super().done(result)
        self.setObjectName("")
