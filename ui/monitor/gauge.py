"""The gauge of one trunk: calls in and out against their limits, with its state."""

from __future__ import annotations

from PySide6.QtCore import Property, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.events import TrunkRow
from ui.monitor.state_words import TRUNK_TONES
from ui.plain_text import plain_tip
from ui.theme import Theme, Tone

START_ANGLE = 210
SWEEP = 240
FULL_FROM = 0.8
"""From this share of the limit on the arc turns amber; at the limit red."""


class TrunkGauge(QWidget):
    """`gauge.trunk.<id>`: programs read `active_in`, `max_in`, `active_out`, `max_out` and `state`."""

    opened = Signal(int)
    """The user wants to see the trunk."""

    def __init__(self, row: TrunkRow, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(f"gauge.trunk.{row.id}")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._theme = theme
        self.row = row
        self.set_row(row)

    active_in = Property(int, lambda self: self.row.active_in)
    max_in = Property(int, lambda self: self.row.max_in)
    active_out = Property(int, lambda self: self.row.active_out)
    max_out = Property(int, lambda self: self.row.max_out)
    state = Property(str, lambda self: self.row.state.value)

    def set_row(self, row: TrunkRow) -> None:
        """Show the newest row."""
        self.row = row
        words = (
            f"{row.name}: {row.state.value}. In {row.active_in} of {row.max_in}, out {row.active_out} of {row.max_out}."
        )
        self.setAccessibleName(words)
        self.setToolTip(plain_tip(f"{words}\n{row.reason}".strip()))
        self.update()

    def sizeHint(self) -> QSize:
        """As large as the font needs."""
        height = self.fontMetrics().height()
        return QSize(height * 16, round(height * 8.4))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the card: a line with state and name, and two arcs."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = self._theme.colours
        card = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(QColor(colours.accent if self.hasFocus() else colours.border), 1))
        painter.setBrush(QColor(colours.raised))
        painter.drawRoundedRect(card, 6, 6)
        line = self.fontMetrics().height()
        self._paint_title(painter, line)
        half = card.width() / 2
        for place, (words, active, limit) in enumerate(
            (("in", self.row.active_in, self.row.max_in), ("out", self.row.active_out, self.row.max_out))
        ):
            self._paint_arc(painter, QPointF(half * (place + 0.5), line * 4.9), line * 2.3, words, active, limit)
        painter.end()

    def _paint_title(self, painter: QPainter, line: int) -> None:
        tone = TRUNK_TONES[self.row.state]
        icon = self._theme.tone_icon(tone)
        if icon is not None:
            icon.paint(painter, 10, 8, line, line)
        left = 16 + line
        bold = QFont(self.font())
        bold.setBold(True)
        painter.setFont(bold)
        state = self.row.state.value
        state_width = self.fontMetrics().horizontalAdvance(state) + 12
        room = self.width() - left - state_width - 10
        painter.setPen(self._theme.colour(Tone.PLAIN))
        name = painter.fontMetrics().elidedText(self.row.name.partition(" (")[0], Qt.TextElideMode.ElideRight, room)
        painter.drawText(QRectF(left, 8, room, line), Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, name)
        painter.setFont(self.font())
        painter.setPen(self._theme.colour(tone))
        place = QRectF(self.width() - state_width - 4, 8, state_width - 4, line)
        painter.drawText(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, state)

    def _paint_arc(
        self, painter: QPainter, centre: QPointF, radius: float, words: str, active: int, limit: int
    ) -> None:
        colours = self._theme.colours
        square = QRectF(centre.x() - radius, centre.y() - radius, radius * 2, radius * 2)
        pen = QPen(QColor(colours.border), radius * 0.2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        painter.drawArc(square, START_ANGLE * 16, -SWEEP * 16)
        share = min(1.0, active / limit) if limit else 0.0
        if share:
            tone = Tone.BAD if share >= 1 else Tone.WARNING if share >= FULL_FROM else Tone.GOOD
            pen.setColor(self._theme.colour(tone))
            painter.setPen(pen)
            painter.drawArc(square, START_ANGLE * 16, round(-SWEEP * 16 * share))
        large = QFont(self.font())
        large.setPointSizeF(self.font().pointSizeF() * 1.7)
        large.setBold(True)
        painter.setFont(large)
        painter.setPen(self._theme.colour(Tone.PLAIN if limit else Tone.MUTED))
        number = QRectF(square).adjusted(0, 0, 0, -radius * 0.1)
        painter.drawText(number, Qt.AlignmentFlag.AlignCenter, str(active))
        painter.setFont(self.font())
        painter.setPen(self._theme.colour(Tone.MUTED))
        below = QRectF(centre.x() - radius * 2, centre.y() + radius * 0.78, radius * 4, self.fontMetrics().height())
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, f"{words} of {limit}" if limit else f"{words}: none")

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click opens the trunk."""
        if event.button() is Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.opened.emit(self.row.id)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter and Space open the trunk."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.opened.emit(self.row.id)
        else:
            super().keyPressEvent(event)
