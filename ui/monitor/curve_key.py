"""What tells the curves of a plot apart: a line of each and its name, in as many lines as the width asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget


class Entry(NamedTuple):
    """One curve."""

    name: str
    colour: str
    dashed: bool = False


class CurveKey(QWidget):
    """Stands above the plot and never over its curves; nothing is shown of a single curve."""

    _LINE = 22
    """The width of a curve's sample, in pixels."""
    _GAP = 6

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("key")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._entries: tuple[Entry, ...] = ()
        self._text = QColor()
        self.hide()

    def show_entries(self, entries: Sequence[Entry], text: str) -> None:
        """Name these curves, in a colour of text."""
        self._entries = tuple(entries)
        self._text = QColor(text)
        self.setAccessibleName(", ".join(each.name for each in entries))
        self.setVisible(len(entries) > 1)
        self._fit()
        self.update()

    def places(self) -> list[QRectF]:
        """Where each entry stands, in columns, so that the same curves of trunks are found one below the other."""
        metrics = self.fontMetrics()
        widest = max((metrics.horizontalAdvance(each.name) for each in self._entries), default=0)
        width, height = widest + self._LINE + 3 * self._GAP, metrics.height() + 2
        columns = max(1, self.width() // width)
        return [
            QRectF(place % columns * width, place // columns * height, width, height)
            for place in range(len(self._entries))
        ]

    def _fit(self) -> None:
        """As high as its lines."""
        height = max((round(place.bottom()) for place in self.places()), default=0)
        if height != self.height():
            self.setFixedHeight(height)

    def sizeHint(self) -> QSize:
        """Any width; the height is fixed by it."""
        return QSize(80, self.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More or fewer lines."""
        super().resizeEvent(event)
        self._fit()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - it is small, and painted whole
        """A sample of each curve and its name."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for each, place in zip(self._entries, self.places(), strict=True):
            style = Qt.PenStyle.DashLine if each.dashed else Qt.PenStyle.SolidLine
            painter.setPen(QPen(QColor(each.colour), 2, style))
            middle = place.center().y()
            painter.drawLine(QPointF(place.left(), middle), QPointF(place.left() + self._LINE, middle))
            painter.setPen(self._text)
            words = place.adjusted(self._LINE + self._GAP, 0, 0, 0)
            painter.drawText(words, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, each.name)
        painter.end()
