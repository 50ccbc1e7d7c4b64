"""The one table view: sorting by header, choosing columns, copying rows, keeping the selection, a hint when empty."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import groupby, islice
from typing import Any
from zlib import crc32

from PySide6.QtCore import QEvent, QItemSelection, QItemSelectionModel, QObject, QPoint, Qt, QTimer
from PySide6.QtGui import QAction, QKeyEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QLabel,
    QMenu,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from ui.settings import Settings
from ui.tables.delegate import CellDelegate
from ui.tables.row_model import RowModel
from ui.theme import Theme

WIDEST = 340
"""A column is made no wider than this by itself, in pixels at 96 dpi."""
SEARCHED_AT_ONCE = 500
"""Rows that are looked at, for the letters that are typed, before anything else gets its turn: some 5 ms."""
_KEYPAD = Qt.KeyboardModifier.KeypadModifier


class RowTableView(QTableView):
    """Shows a `RowModel`. What the user does to the header is remembered under the view's own name."""

    def __init__(self, model: RowModel[Any], theme: Theme, settings: Settings, name: str) -> None:
        super().__init__()
        self.setObjectName("table")
        self.rows = model
        self._settings = settings
        # What is remembered belongs to these very columns; with others in between it would hide the wrong ones.
        columns = "\n".join(column.name for column in model.columns)
        self._state_name = f"tables/{name}/{crc32(columns.encode()):08x}"
        self._sized = False
        self._typed, self._typed_at = "", 0.0
        self._rows_to_search: Iterator[int] = iter(())
        self._search_column = 0
        self._searching = QTimer(self, singleShot=True, interval=0)
        self._searching.timeout.connect(self._search_on)
        self._kept: tuple[set[Hashable], Hashable | None, int] = (set(), None, 0)
        model.setParent(self)
        model.modelAboutToBeReset.connect(self._keep_selection)
        self.setModel(model)
        self.setItemDelegate(CellDelegate(theme, self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 12)
        self._prepare_header()
        # After the view's own handlers, so that the selection is given back to the model as it is then.
        model.modelReset.connect(self._restore_selection)
        self._sizing = QTimer(self, singleShot=True, interval=0)
        self._sizing.timeout.connect(self._size_columns)
        model.rowsInserted.connect(lambda *_: None if self._sized else self._sizing.start())
        self.empty_hint = EmptyHint(self)
        for signal in (model.modelReset, model.rowsInserted, model.rowsRemoved):
            signal.connect(self.empty_hint.refresh)
        self.empty_hint.refresh()

    # --- header --------------------------------------------------------------------------------------------------

    def _prepare_header(self) -> None:
        header = self.horizontalHeader()
        header.setSectionsMovable(True)
        header.setHighlightSections(False)
        header.setStretchLastSection(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._open_column_menu)
        header.setResizeContentsPrecision(60)
        state = self._settings.state(self._state_name)
        if state is None or not header.restoreState(state) or header.count() != len(self.rows.columns):
            self._default_columns()
        else:
            self._sized = True
        self.setSortingEnabled(True)
        self._size_columns()
        for place, column in enumerate(self.rows.columns):
            if column.icon_only:
                header.setSectionResizeMode(place, QHeaderView.ResizeMode.Fixed)
                header.resizeSection(place, 30)
        for signal in (header.sectionResized, header.sectionMoved, header.sortIndicatorChanged):
            signal.connect(self._remember)

    def _default_columns(self) -> None:
        header = self.horizontalHeader()
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        for place, column in enumerate(self.rows.columns):
            header.setSectionHidden(place, not column.shown)

    def reset_columns(self) -> None:
        """Columns, widths and order as on the first day."""
        header = self.horizontalHeader()
        for place in range(header.count()):
            header.moveSection(header.visualIndex(place), place)
        self._default_columns()
        self._sized = False
        self._size_columns()
        self._settings.forget(self._state_name)

    def _remember(self) -> None:
        if self._sized:
            self._settings.set_state(self._state_name, self.horizontalHeader().saveState())

    def _size_columns(self) -> None:
        """Fit the columns to their titles, and to their texts once there are rows."""
        if self._sized:
            return
        header = self.horizontalHeader()
        for place, column in enumerate(self.rows.columns):
            if not column.icon_only and not header.isSectionHidden(place):
                room = self._room_for(column.sample, column.right)
                hint = max(self.sizeHintForColumn(place) + 12, header.sectionSizeHint(place), room)
                header.resizeSection(place, min(hint, WIDEST))
        # Out of sight no row has been laid out yet, so that only the titles count.
        self._sized = self.rows.rowCount() > 0 and self.isVisible()

    def _room_for(self, sample: str, is_number: bool) -> int:
        """The width that a column's sample wants; before words there may be a mark."""
        return self.fontMetrics().horizontalAdvance(sample) + (22 if is_number else 44) if sample else 0

    def showEvent(self, event: QShowEvent) -> None:
        """In sight at last: fit the columns."""
        super().showEvent(event)
        if not self._sized:
            self._sizing.start()

    def column_actions(self, parent: QObject) -> list[QAction]:
        """One check box per column, and the way back to the first day."""
        header = self.horizontalHeader()
        actions: list[QAction] = []
        for place, column in enumerate(self.rows.columns):
            if column.icon_only:
                continue
            action = QAction(column.title, parent, checkable=True, checked=not header.isSectionHidden(place))
            action.setObjectName(f"column.{column.name}")
            action.toggled.connect(lambda shown, place=place: self.show_column(place, shown))
            actions.append(action)
        reset = QAction("Reset columns", parent)
        reset.setObjectName("column.reset")
        reset.triggered.connect(self.reset_columns)
        return [*actions, reset]

    def show_column(self, place: int, shown: bool) -> None:
        """Show or hide a column; the last one that is shown stays."""
        header = self.horizontalHeader()
        if not shown and header.count() - header.hiddenSectionCount() <= 1:
            return
        header.setSectionHidden(place, not shown)
        if shown and header.sectionSize(place) < 40:
            header.resizeSection(place, min(WIDEST, max(80, self.sizeHintForColumn(place) + 12)))
        self._settings.set_state(self._state_name, header.saveState())

    def _open_column_menu(self, point: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        actions = self.column_actions(menu)
        menu.addActions(actions[:-1])
        menu.addSeparator()
        menu.addAction(actions[-1])
        menu.popup(self.horizontalHeader().mapToGlobal(point))

    def edit_simple_cell(self) -> bool:
        """Edit the cell with the focus, or the next one that can be, in its place; False where none can."""
        order = [place for place in self.visible_columns() if self._can_edit(place)]
        current = self.currentIndex()
        if not order or not current.isValid():
            return False
        header = self.horizontalHeader()
        here = header.visualIndex(current.column())
        place = next((each for each in order if header.visualIndex(each) >= here), order[0])
        index = self.rows.index(current.row(), place)
        self.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
        self.scrollTo(index)
        self.edit(index)
        return True

    def _can_edit(self, place: int) -> bool:
        index = self.rows.index(self.currentIndex().row(), place)
        return bool(self.rows.flags(index) & Qt.ItemFlag.ItemIsEditable)

    # --- selection -----------------------------------------------------------------------------------------------

    def selected_positions(self) -> list[int]:
        """Where the selected rows are, from top to bottom."""
        # By the ranges: Qt's own selectedRows() asks the model about each cell, seconds for some thousands of rows.
        spans = self.selectionModel().selection()
        return sorted({row for span in spans for row in range(span.top(), span.bottom() + 1)})

    def selected_keys(self) -> list[Hashable]:
        """The keys of the selected rows, from top to bottom."""
        return [self.rows.key_at(row) for row in self.selected_positions()]

    def current_key(self) -> Hashable | None:
        """The key of the row with the focus."""
        index = self.currentIndex()
        return self.rows.key_at(index.row()) if index.isValid() else None

    def select_keys(self, keys: Iterable[Hashable], *, current: Hashable | None = None, scroll: bool = True) -> None:
        """Select these rows, as far as they are shown."""
        positions = sorted(position for position in map(self.rows.position, keys) if position >= 0)
        selection = QItemSelection()
        last = self.rows.columnCount() - 1
        for first, end in _spans(positions):
            selection.select(self.rows.index(first, 0), self.rows.index(end, last))
        model = self.selectionModel()
        place = self.rows.position(current) if current is not None else positions[0] if positions else -1
        if place >= 0:
            index = self.rows.index(place, self._first_column())
            model.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
            if scroll:
                self.scrollTo(index)
        model.select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def focus_cell(self, key: Hashable, name: str) -> None:
        """Put the focus into a cell of a row that is shown, and bring its column into sight."""
        position = self.rows.position(key)
        place = next((place for place, column in enumerate(self.rows.columns) if column.name == name), -1)
        if position < 0 or place < 0:
            return
        self.show_column(place, True)
        index = self.rows.index(position, place)
        self.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
        self.scrollTo(index)

    def _first_column(self) -> int:
        header = self.horizontalHeader()
        order = [header.logicalIndex(visual) for visual in range(header.count())]
        shown = [place for place in order if not header.isSectionHidden(place)]
        return next((place for place in shown if not self.rows.columns[place].icon_only), shown[0] if shown else 0)

    def _keep_selection(self) -> None:
        self._kept = (set(self.selected_keys()), self.current_key(), self.verticalScrollBar().value())

    def _restore_selection(self) -> None:
        keys, current, scroll = self._kept
        self._kept = (set(), None, 0)
        if keys or current is not None:
            self.select_keys(keys, current=current, scroll=False)
        self.verticalScrollBar().setValue(scroll)
        if not self._sized:
            self._sizing.start()

    def keyboardSearch(self, search: str) -> None:
        """Letters that are typed one after the other lead to the next row that begins with them: in the column by
        which the table is sorted, else in that of the cell with the focus."""
        now = time.monotonic()
        fresh = now - self._typed_at > QApplication.keyboardInputInterval() / 1000
        self._typed_at = now
        self._typed = search.casefold() if fresh else self._typed + search.casefold()
        count, place = self.rows.rowCount(), self.horizontalHeader().sortIndicatorSection()
        if place < 0 or self.isColumnHidden(place):
            place = self.currentIndex().column() if self.currentIndex().isValid() else self._first_column()
        # The first letter leads on from the row with the focus, the next ones may well fit the row that was found.
        first = max(0, self.currentIndex().row() + (len(self._typed) == 1))
        self._rows_to_search = (each % count for each in range(first, first + count))
        self._search_column = place
        self._search_on()

    def _search_on(self) -> None:
        """Look at some rows more; the rest after what else is to be done."""
        rows = list(islice(self._rows_to_search, SEARCHED_AT_ONCE))
        for row in rows:
            if row >= self.rows.rowCount():
                return  # rows went away meanwhile
            if self.rows.text_at(row, self._search_column).casefold().startswith(self._typed):
                self._searching.stop()
                self.selectRow(row)
                self.scrollTo(self.currentIndex())
                return
        if rows:
            self._searching.start()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """With nothing selected an arrow selects the row with the focus, not the one after it, if there is one."""
        index = self.currentIndex()
        arrow = event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up) and not event.modifiers() & ~_KEYPAD
        if arrow and index.isValid() and not self.selectionModel().hasSelection():
            self.selectRow(index.row())
        else:
            super().keyPressEvent(event)

    def visible_span(self) -> tuple[int, int]:
        """The first and the last row in sight; (0, -1) when there is none."""
        count = self.rows.rowCount()
        if not count or not self.isVisible():
            return (0, -1)
        first = max(0, self.rowAt(0))
        last = self.rowAt(self.viewport().height() - 1)
        return (first, last if last >= 0 else count - 1)

    def visible_columns(self) -> list[int]:
        """The columns that are shown, as they stand from left to right."""
        header = self.horizontalHeader()
        order = [header.logicalIndex(visual) for visual in range(header.count())]
        return [
            place for place in order if not header.isSectionHidden(place) and not self.rows.columns[place].icon_only
        ]


def _spans(positions: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of each run of neighbours."""
    for _, run in groupby(enumerate(positions), lambda each: each[1] - each[0]):
        places = [position for _, position in run]
        yield places[0], places[-1]


class EmptyHint(QWidget):
    """What stands in a table without rows: what it is for, and the buttons that begin."""

    def __init__(self, view: RowTableView) -> None:
        super().__init__(view.viewport())
        self.setObjectName("empty_hint")
        self._view = view
        self._text = "Nothing here yet."
        self._label = QLabel(self, wordWrap=True, alignment=Qt.AlignmentFlag.AlignCenter)
        self._label.setObjectName("empty_text")
        self._label.setProperty("role", "muted")
        self._label.setFixedWidth(self.fontMetrics().averageCharWidth() * 70)
        self._layout = QVBoxLayout(self)
        self._layout.addStretch()
        self._layout.addWidget(self._label, 0, Qt.AlignmentFlag.AlignCenter)
        self._layout.addStretch()
        view.viewport().installEventFilter(self)

    def set_text(self, text: str) -> None:
        """The words for a table without any row."""
        self._text = text
        self.refresh()

    def add_button(self, button: QWidget) -> None:
        """A button below the words."""
        self._layout.insertWidget(self._layout.count() - 1, button, 0, Qt.AlignmentFlag.AlignCenter)
        self.refresh()

    def refresh(self) -> None:
        """Show or hide the hint, as the model is now."""
        model = self._view.rows
        empty = model.rowCount() == 0
        if empty:
            filtered = model.total > 0
            self._label.setText("No row holds what the filter asks for." if filtered else self._text)
            self._label.setFixedHeight(self._label.heightForWidth(self._label.width()))
            for place in range(self._layout.count()):
                widget = self._layout.itemAt(place).widget()
                if widget is not None and widget is not self._label:
                    widget.setVisible(not filtered)
            self.setGeometry(self._view.viewport().rect())
        self.setVisible(empty)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay as large as the view."""
        if event.type() == QEvent.Type.Resize:
            self.setGeometry(self._view.viewport().rect())
        return super().eventFilter(watched, event)


Opener = Callable[[Hashable], None]
"""Opens what a row stands for."""
