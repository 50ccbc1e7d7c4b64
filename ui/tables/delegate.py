"""How a cell is painted: its tone's colour and mark, and the thin bar of a share."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QHelpEvent, QPainter, QPalette
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QToolTip

from ui.plain_text import plain_tip
from ui.tables.row_model import MARK_ROLE, SHARE_ROLE, TONE_ROLE
from ui.theme import Theme, Tone

BAR_HEIGHT = 3
MARGIN = 5


class CellDelegate(QStyledItemDelegate):
    """Paints by the roles of `RowModel`, in the colours of the theme of the moment."""

    def __init__(self, theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self._theme = theme

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> None:
        """Give the text the colour, and the cell the mark, of its tone."""
        super().initStyleOption(option, index)
        tone = Tone(index.data(TONE_ROLE) or 0)
        if tone is Tone.PLAIN:
            return
        option.palette.setColor(QPalette.ColorRole.Text, self._theme.colour(tone))
        if index.data(MARK_ROLE):
            icon = self._theme.tone_icon(tone)
            if icon is not None:
                option.icon = icon
                option.features |= QStyleOptionViewItem.ViewItemFeature.HasDecoration
                option.decorationSize = QSize(14, 14)

    def helpEvent(
        self,
        event: QHelpEvent,
        view: QAbstractItemView,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> bool:
        """A cell that is too narrow for its text, and has no tip of its own, tells the whole text."""
        if event.type() == QEvent.Type.ToolTip and not index.data(Qt.ItemDataRole.ToolTipRole):
            text = str(index.data() or "")
            cut = self.sizeHint(option, index).width() > view.visualRect(index).width()
            QToolTip.showText(event.globalPos(), plain_tip(text) if cut else "", view)
            return True
        return super().helpEvent(event, view, option, index)

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """The text and its margins."""
        return super().sizeHint(option, index) + QSize(2 * MARGIN, 0)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Paint the cell with room at its sides, and its share as a bar along the lower edge."""
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        if selected:
            painter.fillRect(option.rect, option.palette.highlight())
        option.rect.adjust(MARGIN, 0, -MARGIN, 0)
        super().paint(painter, option, index)
        share = index.data(SHARE_ROLE)
        if not share:
            return
        now, limit = share
        track = QRect(option.rect.adjusted(3, 0, -3, -3))
        track.setTop(track.bottom() - BAR_HEIGHT + 1)
        painter.fillRect(track, QColor(self._theme.colours.border))
        if now and limit:
            filled = QRect(track)
            filled.setWidth(max(2, round(track.width() * min(1.0, now / limit))))
            tone = Tone.BAD if now >= limit else Tone.WARNING if now >= limit * 0.8 else Tone.GOOD
            colours = self._theme.colours
            painter.fillRect(filled, QColor(colours.accent_text if selected else colours.tone(tone)))
