"""What every page of live rows shares: newest rows by key, cells that tick while in sight, the way to a record."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Generic

from PySide6.QtCore import QTimer

from app.events import LineChanged, TrunkChanged
from ui.tables.cells import Column, Row
from ui.tables.row_model import OrderedRowModel
from ui.tables.table_page import Needs, TablePage
from ui.workspace import Workspace


class LivePage(TablePage, Generic[Row]):
    """A table of live rows. `load` gives those of now; the columns `ticking` change with time alone."""

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        title: str,
        columns: Sequence[Column[Row]],
        key: Callable[[Row], Hashable],
        load: Callable[[], Iterable[Row]],
        empty: str,
        ticking: Sequence[str] = (),
    ) -> None:
        self.live: OrderedRowModel[Row] = OrderedRowModel(columns, key)
        super().__init__(workspace, name, title, self.live, empty)
        self._load = load
        workspace.bridge.engine_changed.connect(lambda _: self.load())
        # Captions of records stand in the cells.
        workspace.bridge.configuration_changed.connect(lambda _: self.live.refresh())
        self._ticking = tuple(ticking)
        if self._ticking:
            self._ticker = QTimer(self, interval=1000)
            self._ticker.timeout.connect(self._tick)
            self._ticker.start()

    def _tick(self) -> None:
        if self.isVisible():
            self.live.refresh(self._ticking, *self.view.visible_span())

    def load(self) -> None:
        """Show what the server has now."""
        self.show_rows(self._load())

    def show_rows(self, rows: Iterable[Row]) -> None:
        """Show exactly these rows."""
        self.live.set_rows(rows)

    def take_events(self, events: Sequence[TrunkChanged | LineChanged]) -> None:
        """Take the newest rows of trunks or lines, and let go of those whose record is gone."""
        self.live.remove([event.row.id for event in events if event.gone])
        rows: list[Any] = [event.row for event in events if not event.gone]
        self.live.upsert(rows)

    def chosen(self) -> list[Row]:
        """The selected rows."""
        rows = [self.live.row(key) for key in self.view.selected_keys()]
        return [row for row in rows if row is not None]

    def add_names_command(self) -> None:
        """F5 has the host names of trunks and lines looked up anew."""
        self.add_command(
            "reload",
            "&Refresh DNS",
            self.workspace.dns_wanted.emit,
            icon="refresh",
            shortcuts=["F5"],
            in_toolbar=False,
        )

    def add_record_command(self, table: str, text: str) -> None:
        """Double click and Enter lead to the record of the selected row, in its table."""

        def open_record() -> None:
            rows: list[Any] = self.chosen()
            if rows:
                self.workspace.record_wanted.emit(table, rows[0].id)

        self.add_command("open", text, open_record, icon="edit", shortcuts=["Return", "Enter"], needs=Needs.ONE)
        self.view.doubleClicked.connect(lambda _: open_record())
