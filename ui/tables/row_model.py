"""The one table model: rows with a key, sorted, filtered and updated one by one, its cells made ready beforehand.

It sorts and filters itself, in Python, by ready keys: a proxy model would ask for two values per comparison, which
takes a third of a second at 5,000 rows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Generic

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from ui.plain_text import plain_tip
from ui.tables.cells import Cell, Column, Row

Index = QModelIndex | QPersistentModelIndex
Cells = tuple[Cell, ...]

TONE_ROLE = int(Qt.ItemDataRole.UserRole) + 1
SHARE_ROLE = TONE_ROLE + 1
MARK_ROLE = TONE_ROLE + 2
SORT_ROLE = TONE_ROLE + 3
KEY_ROLE = TONE_ROLE + 4

_DISPLAY = int(Qt.ItemDataRole.DisplayRole)
_TOOL_TIP = int(Qt.ItemDataRole.ToolTipRole)
_ALIGNMENT = int(Qt.ItemDataRole.TextAlignmentRole)
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_NO_INDEX = QModelIndex()

MANY = 200
"""More changes than this at once are taken by one reset: cheaper than a signal for each row."""


class RowModel(QAbstractTableModel, Generic[Row]):
    """A table of rows. The base shows them in the order in which they are given."""

    def __init__(
        self, columns: Sequence[Column[Row]], key: Callable[[Row], Hashable], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self._key = key
        self._rows: dict[Hashable, Row] = {}
        self._cells: dict[Hashable, Cells] = {}
        self._order: list[Hashable] = []
        self._positions: dict[Hashable, int] | None = None

    # --- what the view asks --------------------------------------------------------------------------------------

    def rowCount(self, parent: Index = _NO_INDEX) -> int:
        """How many rows are shown."""
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: Index = _NO_INDEX) -> int:
        """How many columns there are, hidden ones too."""
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = _DISPLAY) -> Any:
        """A ready value of a cell."""
        position = index.row()
        if not index.isValid() or position >= len(self._order):
            return None
        cell = self.cells(self._order[position])[index.column()]
        if role == _DISPLAY:
            return cell.text
        if role == _TOOL_TIP:
            return plain_tip(cell.tip) or None
        if role == TONE_ROLE:
            return int(cell.tone)
        if role == SHARE_ROLE:
            return cell.share
        if role == MARK_ROLE:
            return cell.mark
        if role == _ALIGNMENT:
            return _RIGHT if self.columns[index.column()].right else _LEFT
        if role == SORT_ROLE:
            return cell.sort
        return self._order[position] if role == KEY_ROLE else None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _DISPLAY) -> Any:
        """Titles and help texts of the columns."""
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        if role == _DISPLAY:
            return column.title
        if role == _TOOL_TIP:
            return column.help or column.title or None
        return _RIGHT if role == _ALIGNMENT and column.right else _LEFT if role == _ALIGNMENT else None

    # --- what the page asks --------------------------------------------------------------------------------------

    @property
    def total(self) -> int:
        """How many rows there are, filtered ones too."""
        return len(self._rows)

    def keys(self) -> tuple[Hashable, ...]:
        """The keys of the rows that are shown, in their order."""
        return tuple(self._order)

    def all_keys(self) -> tuple[Hashable, ...]:
        """The keys of all rows, filtered ones too, in the order in which they came."""
        return tuple(self._rows)

    def all_rows(self) -> tuple[Row, ...]:
        """All rows, filtered ones too, in the order in which they came."""
        return tuple(self._rows.values())

    def rows(self) -> tuple[Row, ...]:
        """The rows that are shown, in their order."""
        return tuple(self._rows[key] for key in self._order)

    def row(self, key: Hashable) -> Row | None:
        """A row by its key."""
        return self._rows.get(key)

    def key_at(self, position: int) -> Hashable:
        """The key of the row at a position."""
        return self._order[position]

    def position(self, key: Hashable) -> int:
        """Where a row is shown; -1 while it is not."""
        if self._positions is None:
            self._positions = {each: position for position, each in enumerate(self._order)}
        return self._positions.get(key, -1)

    def column_index(self, name: str) -> int:
        """The place of a column by its name; KeyError where there is none."""
        for place, column in enumerate(self.columns):
            if column.name == name:
                return place
        raise KeyError(name)

    def text_at(self, position: int, place: int) -> str:
        """The text of one cell; the others of its row need not be ready for it."""
        key = self._order[position]
        cells = self._cells.get(key)
        return cells[place].text if cells is not None else self.columns[place].cell(self._rows[key]).text

    def cells(self, key: Hashable) -> Cells:
        """The ready cells of a row."""
        cells = self._cells.get(key)
        if cells is None:
            row = self._rows[key]
            cells = self._cells[key] = tuple(column.cell(row) for column in self.columns)
        return cells

    # --- changes -------------------------------------------------------------------------------------------------

    def set_rows(self, rows: Iterable[Row]) -> None:
        """Show exactly these rows. The few that differ are changed one by one, many by a reset."""
        wanted = {self._key(row): row for row in rows}
        gone = [key for key in self._rows if key not in wanted]
        changed = [row for key, row in wanted.items() if self._rows.get(key) is not row]
        if len(gone) + len(changed) > MANY:
            self.beginResetModel()
            self._rows = wanted
            self._cells.clear()
            self._arrange()
            self.endResetModel()
            return
        self.remove(gone)
        self.upsert(changed)

    def upsert(self, rows: Iterable[Row]) -> None:
        """Add rows, or replace those with the same key."""
        fresh: list[Row] = []
        for row in rows:
            if self._key(row) in self._rows:
                self._replace(self._key(row), row)
            else:
                fresh.append(row)
        if len(fresh) > MANY:
            self.beginResetModel()
            self._rows.update((self._key(row), row) for row in fresh)
            self._arrange()
            self.endResetModel()
            return
        for row in fresh:
            key = self._key(row)
            self._rows[key] = row
            self._show(key)

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows at the end, all at once: the next page of a model that gives its rows in their order."""
        fresh = {self._key(row): row for row in rows if self._key(row) not in self._rows}
        if fresh:
            first = len(self._order)
            self.beginInsertRows(_NO_INDEX, first, first + len(fresh) - 1)
            self._rows.update(fresh)
            self._order.extend(fresh)
            self._positions = None
            self.endInsertRows()

    def remove(self, keys: Iterable[Hashable]) -> None:
        """Take rows away; unknown keys do no harm."""
        going = [key for key in keys if key in self._rows]
        if len(going) > MANY:
            self.beginResetModel()
            for key in going:
                del self._rows[key]
                self._cells.pop(key, None)
            self._arrange()
            self.endResetModel()
            return
        for key in going:
            self._hide(key)
            del self._rows[key]
            self._cells.pop(key, None)

    def refresh(self, names: Iterable[str] = (), first: int = 0, last: int = -1) -> None:
        """Make cells anew because what they are made from has changed: of some columns, or of all.

        Every ready cell is made anew, but only the rows `first` to `last` are announced (-1: all): a tick announces
        no more than what is in sight.
        """
        places = [self.column_index(name) for name in names] or list(range(len(self.columns)))
        for key, old in list(self._cells.items()):
            row = self._rows[key]
            new = list(old)
            for place in places:
                new[place] = self.columns[place].cell(row)
            if tuple(new) == old:
                continue
            self._cells[key] = tuple(new)
            position = self.position(key)
            if position >= first and (last < 0 or position <= last):
                self._announce(position, old, self._cells[key])

    # --- how the order is kept -----------------------------------------------------------------------------------

    def _arrange(self) -> None:
        """Set the order anew; inside a reset."""
        self._order = list(self._rows)
        self._positions = None

    def _show(self, key: Hashable) -> None:
        """Give a new row its place."""
        self._insert(len(self._order), key)

    def _hide(self, key: Hashable) -> None:
        """Take a row out of sight."""
        position = self.position(key)
        if position >= 0:
            self.beginRemoveRows(_NO_INDEX, position, position)
            self._take_out(position)
            self.endRemoveRows()

    def _insert(self, position: int, key: Hashable) -> None:
        self.beginInsertRows(_NO_INDEX, position, position)
        self._put_in(position, key)
        self.endInsertRows()

    def _put_in(self, position: int, key: Hashable) -> None:
        if self._positions is not None and position == len(self._order):
            self._positions[key] = position
        else:
            self._positions = None
        self._order.insert(position, key)

    def _take_out(self, position: int) -> None:
        del self._order[position]
        self._positions = None

    def _replace(self, key: Hashable, row: Row) -> None:
        """Put a new row in the place of the old one; tell the view only what differs."""
        old = self._cells.get(key)
        self._rows[key] = row
        if old is None:
            return
        new = self._cells[key] = tuple(column.cell(row) for column in self.columns)
        position = self.position(key)
        if position >= 0 and new != old:
            self._announce(position, old, new)

    def _announce(self, position: int, old: Cells, new: Cells) -> None:
        changed = [place for place, cell in enumerate(new) if cell != old[place]]
        self.dataChanged.emit(self.index(position, changed[0]), self.index(position, changed[-1]))


class OrderedRowModel(RowModel[Row]):
    """Sorts by any column and shows only the rows that hold every word of the filter."""

    def __init__(
        self, columns: Sequence[Column[Row]], key: Callable[[Row], Hashable], parent: QObject | None = None
    ) -> None:
        super().__init__(columns, key, parent)
        self._sort_column = -1
        self._descending = False
        self._words: tuple[str, ...] = ()
        self._condition: Callable[[Row], bool] | None = None
        self._sequence: dict[Hashable, int] = {}
        self._next_sequence = 0
        self._sort_keys: list[Any] = []
        """The sort keys of the rows shown, always ascending: `_order` runs the other way when descending."""

    @property
    def filter(self) -> str:
        """The words that are looked for."""
        return " ".join(self._words)

    def set_filter(self, text: str) -> None:
        """Show only the rows that hold all of these words, in any column, whatever their case."""
        words = tuple(text.casefold().split())
        if words != self._words:
            self.beginResetModel()
            self._words = words
            self._arrange()
            self.endResetModel()

    def set_condition(self, condition: Callable[[Row], bool] | None) -> None:
        """Show only rows for which this holds, too; None for all."""
        self.beginResetModel()
        self._condition = condition
        self._arrange()
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; -1 is the order in which the rows came."""
        descending = order is Qt.SortOrder.DescendingOrder
        if (column, descending) != (self._sort_column, self._descending):
            self._sort_column, self._descending = column, descending
            self._sort_again()

    def refresh(self, names: Iterable[str] = (), first: int = 0, last: int = -1) -> None:
        """Make cells anew, and sort again if that has changed the order."""
        super().refresh(names, first, last)
        shown = self._order if not self._descending else self._order[::-1]
        if self._sort_column >= 0 and [self._sort_key(key) for key in shown] != self._sort_keys:
            self._sort_again()

    def _sort_key(self, key: Hashable) -> tuple[Any, int]:
        sequence = self._sequence.get(key)
        if sequence is None:
            sequence = self._sequence[key] = self._next_sequence
            self._next_sequence += 1
        if self._sort_column < 0:
            return (0, sequence)
        cells = self._cells.get(key)
        column = self._sort_column
        return (cells[column].sort if cells else self.columns[column].cell(self._rows[key]).sort, sequence)

    def _fits(self, key: Hashable) -> bool:
        if self._condition is not None and not self._condition(self._rows[key]):
            return False
        if not self._words:
            return True
        cells = self.cells(key)
        searched = "\n".join(cells[place].text for place, column in enumerate(self.columns) if column.searched)
        text = searched.casefold()
        return all(word in text for word in self._words)

    def _arrange(self) -> None:
        self._sequence = {key: self._sequence[key] for key in self._rows if key in self._sequence}
        entries = sorted((self._sort_key(key), key) for key in self._rows if self._fits(key))
        self._sort_keys = [entry[0] for entry in entries]
        order = [entry[1] for entry in entries]
        self._order = order[::-1] if self._descending else order
        self._positions = None

    def _sort_again(self) -> None:
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        kept = [(self._order[index.row()], index.column()) for index in before]
        self._arrange()
        self.changePersistentIndexList(before, [self.index(self.position(key), column) for key, column in kept])
        self.layoutChanged.emit()

    def _place_for(self, sort_key: Any) -> int:
        """Where a row with this sort key belongs among those shown."""
        place = bisect_left(self._sort_keys, sort_key)
        return len(self._order) - place if self._descending else place

    def _show(self, key: Hashable) -> None:
        if self._fits(key):
            self._insert(self._place_for(self._sort_key(key)), key)

    def _put_in(self, position: int, key: Hashable) -> None:
        place = len(self._order) - position if self._descending else position
        self._sort_keys.insert(place, self._sort_key(key))
        super()._put_in(position, key)

    def _take_out(self, position: int) -> None:
        del self._sort_keys[len(self._order) - 1 - position if self._descending else position]
        super()._take_out(position)

    def remove(self, keys: Iterable[Hashable]) -> None:
        """Take rows away; unknown keys do no harm."""
        going = tuple(keys)
        super().remove(going)
        for key in going:
            self._sequence.pop(key, None)

    def _replace(self, key: Hashable, row: Row) -> None:
        super()._replace(key, row)
        position = self.position(key)
        if position >= 0 and not self._fits(key):
            self._hide(key)
        elif position < 0:
            self._show(key)
        else:
            self._move_if_needed(position, key)

    def _move_if_needed(self, position: int, key: Hashable) -> None:
        sort_key = self._sort_key(key)
        place = len(self._order) - 1 - position if self._descending else position
        if self._sort_keys[place] == sort_key:
            return
        del self._sort_keys[place]
        new_place = bisect_left(self._sort_keys, sort_key)
        self._sort_keys.insert(new_place, sort_key)
        target = len(self._order) - 1 - new_place if self._descending else new_place
        if target == position:
            return
        # Qt counts the destination before the row is taken out.
        self.beginMoveRows(_NO_INDEX, position, position, _NO_INDEX, target + 1 if target > position else target)
        self._order.insert(target, self._order.pop(position))
        self._positions = None
        self.endMoveRows()
