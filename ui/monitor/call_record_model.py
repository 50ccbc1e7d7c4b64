"""Call records in pages: sorted and searched by the database, so that 100,000 of them are no more than one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from app.events import CallRecord
from ui.face import SORTABLE, CallQuery, Engine
from ui.tables.cells import Column
from ui.tables.row_model import RowModel

PAGE = 200


class CallRecordModel(RowModel[CallRecord]):
    """Fetches the next page when the view comes near the end of what is there."""

    failed = Signal(str)
    """The records could not be read: why."""
    loaded = Signal()
    """A page has come."""

    def __init__(self, engine: Engine, columns: Sequence[Column[CallRecord]], parent: QObject | None = None) -> None:
        super().__init__(columns, lambda record: record.id, parent)
        self._engine = engine
        self.query = CallQuery(limit=PAGE)
        self._more = False
        self._asked = 0
        """Counts questions; an answer to an older one is dropped."""
        self._waiting = False
        self._closed = False
        self.destroyed.connect(self._close)

    def _close(self) -> None:
        self._closed = True

    def ask(self, query: CallQuery) -> None:
        """Show other records, from the first page on. The old ones stay until the new ones are there."""
        self.query = replace(query, after=None, limit=PAGE)
        self._fetch(self.query, first=True)

    def reload(self) -> None:
        """Ask again for what is shown."""
        self.ask(self.query)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Let the database sort."""
        if column < 0 or self.columns[column].name not in SORTABLE:
            return
        descending = order is Qt.SortOrder.DescendingOrder
        wanted = replace(self.query, sort=self.columns[column].name, descending=descending)
        if wanted != self.query:
            self.ask(wanted)

    def canFetchMore(self, parent: QModelIndex | QPersistentModelIndex) -> bool:
        """Whether there may be another page."""
        return not parent.isValid() and self._more and not self._waiting

    def fetchMore(self, parent: QModelIndex | QPersistentModelIndex) -> None:
        """Ask for the next page."""
        if self.canFetchMore(parent):
            self._fetch(self.query.following(self.rows()[-1]), first=False)

    def _fetch(self, query: CallQuery, *, first: bool) -> None:
        self._asked += 1
        asked = self._asked
        self._waiting = True

        def done(records: list[CallRecord] | None, error: Exception | None) -> None:
            if not self._closed and asked == self._asked:
                self._take(records, error, first=first)

        self._engine.call_records(query, done)

    def _take(self, records: list[CallRecord] | None, error: Exception | None, *, first: bool) -> None:
        self._waiting = False
        if records is None:
            self._more = False
            self.failed.emit(f"The call records could not be read: {error}")
            return
        self._more = len(records) == PAGE
        if first:
            self._start_with(records)
        else:
            self.append(records)
        self.loaded.emit()

    def _start_with(self, records: list[CallRecord]) -> None:
        """The first page, in the database's order; what is shown already stays, with the pages after it."""
        shown = self.rows()
        if list(shown[: len(records)]) == records and (self._more or len(shown) == len(records)):
            return
        self.beginResetModel()
        self._rows = {record.id: record for record in records}
        self._cells.clear()
        self._arrange()
        self.endResetModel()
