"""Words of others shown as they are: Qt takes what holds a tag for rich text, unless it is told otherwise."""

from __future__ import annotations

from html import escape
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtGui import Qt as GuiQt
from PySide6.QtWidgets import QLabel, QSizePolicy


class PlainLabel(QLabel):
    """A label for words that may hold a peer's: its reason phrase, its number, its program's name."""

    def __init__(self, **properties: Any) -> None:
        super().__init__(**properties)
        self.setTextFormat(Qt.TextFormat.PlainText)


def plain_tip(text: str) -> str:
    """The text for a tool tip, which shows it letter by letter."""
    return f"<qt>{escape(text).replace(chr(10), '<br>')}</qt>" if GuiQt.mightBeRichText(text) else text


class ShortenedLabel(PlainLabel):
    """In a small window its words end in an ellipsis, rather than the window is kept wide."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setText(text)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - it is small, and painted whole
        """As many words as there is room for."""
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(self.rect(), self.alignment() | Qt.AlignmentFlag.AlignVCenter, text)
        painter.end()
