"""The table model: order, filter, narrow signals, speed, and what Qt demands of a model."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace

import pytest
from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from ui.settings import Settings
from ui.tables.cells import Column, address_cell, number_cell, text_cell
from ui.tables.row_model import MANY, OrderedRowModel, RowModel
from ui.tables.table_view import RowTableView
from ui.theme import Theme

UP, DOWN = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


@dataclass(frozen=True)
class Thing:
    id: int
    name: str
    size: int = 0
    address: str = "192.0.2.1"


COLUMNS = [
    Column("id", "ID", lambda row: number_cell(row.id)),
    Column("name", "Name", lambda row: text_cell(row.name)),
    Column("size", "Size", lambda row: number_cell(row.size)),
    Column("address", "Address", lambda row: address_cell(row.address)),
]


def make_model(rows: list[Thing]) -> OrderedRowModel[Thing]:
    model: OrderedRowModel[Thing] = OrderedRowModel(COLUMNS, lambda row: row.id)
    model.set_rows(rows)
    return model


def things(count: int) -> list[Thing]:
    return [Thing(number, f"thing {number}", number % 7) for number in range(1, count + 1)]


def shown(model: RowModel[Thing], column: int = 0) -> list[str]:
    return [str(model.index(row, column).data()) for row in range(model.rowCount())]


class Watcher:
    """Counts what a model announces."""

    def __init__(self, model: RowModel[Thing]) -> None:
        self.changes: list[tuple[int, int, int, int]] = []
        self.resets = self.layouts = self.inserts = self.removes = self.moves = 0
        model.dataChanged.connect(self._changed)
        model.modelReset.connect(lambda: self._count("resets"))
        model.layoutChanged.connect(lambda: self._count("layouts"))
        model.rowsInserted.connect(lambda *_: self._count("inserts"))
        model.rowsRemoved.connect(lambda *_: self._count("removes"))
        model.rowsMoved.connect(lambda *_: self._count("moves"))

    def _count(self, name: str) -> None:
        setattr(self, name, getattr(self, name) + 1)

    def _changed(self, first: QModelIndex, last: QModelIndex) -> None:
        self.changes.append((first.row(), first.column(), last.row(), last.column()))


@pytest.mark.parametrize("count", [0, 5, MANY + 50])
def test_it_is_what_qt_demands_of_a_model(qtmodeltester: ModelTester, count: int) -> None:
    model = make_model(things(count))
    qtmodeltester.check(model)
    model.sort(1, DOWN)
    model.set_filter("thing 1")
    model.upsert([Thing(1, "thing one", 99), Thing(1000, "thing 1000")])
    model.remove([2, 3, 1000])
    model.set_filter("")
    qtmodeltester.check(model)


def test_the_plain_model_keeps_the_order_given_and_appends_pages(qtmodeltester: ModelTester) -> None:
    model: RowModel[Thing] = RowModel(COLUMNS, lambda row: row.id)
    model.append([Thing(3, "c"), Thing(1, "a")])
    watcher = Watcher(model)
    model.append([Thing(2, "b"), Thing(1, "again"), Thing(9, "z")])
    assert shown(model) == ["3", "1", "2", "9"]
    assert watcher.inserts == 1
    qtmodeltester.check(model)


def test_numbers_sort_as_numbers_and_addresses_by_value() -> None:
    model = make_model(
        [
            Thing(1, "100", 10, "10.0.0.9"),
            Thing(2, "99", 9, "9.255.0.1"),
            Thing(3, "a10", 100, "2001:db8::1"),
            Thing(4, "a9", 1, "gateway.example"),
        ]
    )
    model.sort(1, UP)
    assert shown(model, 1) == ["99", "100", "a9", "a10"]
    model.sort(2, DOWN)
    assert shown(model, 2) == ["100", "10", "9", "1"]
    model.sort(3, UP)
    assert shown(model, 3) == ["9.255.0.1", "10.0.0.9", "2001:db8::1", "gateway.example"]


def test_the_filter_wants_every_word_in_any_column_whatever_the_case() -> None:
    model = make_model([Thing(1, "Carrier A", address="192.0.2.8"), Thing(2, "Carrier B", address="198.51.100.2")])
    model.set_filter("CARRIER 192")
    assert shown(model) == ["1"]
    model.set_filter("carrier nowhere")
    assert shown(model) == []
    assert model.total == 2
    model.set_filter("")
    assert shown(model) == ["1", "2"]


def test_one_change_announces_one_row_and_only_the_columns_that_differ() -> None:
    model = make_model(things(50))
    shown(model), shown(model, 2)
    watcher = Watcher(model)
    model.upsert([Thing(10, "thing 10", 6)])
    assert watcher.changes == [(9, 2, 9, 2)]
    assert (watcher.resets, watcher.layouts, watcher.inserts, watcher.removes, watcher.moves) == (0, 0, 0, 0, 0)


def test_the_same_row_again_announces_nothing() -> None:
    model = make_model(things(5))
    shown(model)
    watcher = Watcher(model)
    model.upsert(things(5))
    model.set_rows(things(5))
    assert watcher.changes == []
    assert watcher.resets == 0


def test_a_row_whose_sort_value_changes_moves_to_its_place() -> None:
    model = make_model(things(5))
    model.sort(2, DOWN)
    kept = QPersistentModelIndex(model.index(model.position(1), 0))
    watcher = Watcher(model)
    model.upsert([Thing(1, "thing 1", 100)])
    assert shown(model)[0] == "1"
    assert watcher.moves == 1
    assert kept.row() == 0
    model.upsert([Thing(1, "thing 1", -1)])
    assert shown(model)[-1] == "1"
    assert kept.row() == 4


def test_a_change_can_bring_a_row_through_the_filter_and_out_again() -> None:
    model = make_model(things(3))
    model.set_filter("chosen")
    assert shown(model) == []
    model.upsert([Thing(2, "chosen")])
    assert shown(model) == ["2"]
    model.upsert([Thing(2, "left")])
    assert shown(model) == []


def test_a_tick_makes_cells_anew_but_announces_only_what_is_in_sight() -> None:
    clock = [0]
    columns = [*COLUMNS, Column("age", "Age", lambda row: number_cell(clock[0] + row.id))]
    model: OrderedRowModel[Thing] = OrderedRowModel(columns, lambda row: row.id)
    model.set_rows(things(20))
    shown(model, 4)
    watcher = Watcher(model)
    clock[0] = 5
    model.refresh(["age"], 3, 6)
    assert watcher.changes == [(row, 4, row, 4) for row in range(3, 7)]
    assert shown(model, 4)[0] == "6"


def test_random_changes_leave_what_sorting_everything_would(qtmodeltester: ModelTester) -> None:
    chance = random.Random(1)
    model = make_model([])
    truth: dict[int, Thing] = {}
    for step in range(600):
        action = chance.random()
        if action < 0.6:
            thing = Thing(chance.randrange(60), f"thing {chance.randrange(9)}", chance.randrange(30))
            truth[thing.id] = thing
            model.upsert([thing])
        elif action < 0.8 and truth:
            key = chance.choice(list(truth))
            del truth[key]
            model.remove([key])
        elif action < 0.9:
            model.sort(chance.randrange(3), chance.choice([UP, DOWN]))
        else:
            model.set_filter(chance.choice(["", "1", "thing 3"]))
        words = model.filter.split()
        wanted = {
            row.id
            for row in truth.values()
            if all(word in f"{row.id} {row.name} {row.size} 192.0.2.1" for word in words)
        }
        assert set(model.keys()) == wanted, step
        column = model._sort_column
        if column >= 0:
            values = [(row.id, row.name, row.size)[column] for row in model.rows()]
            assert values == sorted(values, reverse=model._descending), step
        assert [model.position(key) for key in tuple(model.keys())] == list(range(model.rowCount()))
    qtmodeltester.check(model)


def test_five_thousand_rows_sort_filter_and_change_without_a_pause(
    qtbot: QtBot, theme: Theme, settings: Settings
) -> None:
    model = make_model([])
    view = RowTableView(model, theme, settings, "things")
    qtbot.addWidget(view)
    view.show()
    rows = [Thing(number, f"thing {number % 977}", number % 7, f"10.0.{number % 250}.7") for number in range(5000)]

    def timed(action: object) -> float:
        started = time.process_time()
        action()  # type: ignore[operator]
        return time.process_time() - started

    spent = {
        "load": timed(lambda: model.set_rows(rows)),
        "sort": timed(lambda: model.sort(3, UP)),
        "filter": timed(lambda: model.set_filter("thing 9")),
        "all": timed(lambda: model.set_filter("")),
        "change 500": timed(lambda: model.upsert([replace(row, size=row.size + 1) for row in rows[:500]])),
    }
    # Far above what it takes (5 to 60 ms of processor time), far below what anything that grows with the square would.
    assert max(spent.values()) < 5, spent


@pytest.fixture
def settings(tmp_path: object) -> Settings:
    return Settings(tmp_path / "window.ini")  # type: ignore[operator]


def test_selection_and_focus_outlive_filters_and_resets(qtbot: QtBot, theme: Theme, settings: Settings) -> None:
    model = make_model(things(300))
    view = RowTableView(model, theme, settings, "things")
    qtbot.addWidget(view)
    view.select_keys([12, 20], current=20)
    model.set_filter("20")
    assert view.selected_keys() == [20]
    model.set_rows([replace(row, size=row.size + 1) for row in things(300)])
    assert view.selected_keys() == [20]
    assert view.current_key() == 20
    model.sort(0, DOWN)
    assert view.selected_keys() == [20]
    model.upsert([Thing(301, "thing 20x")])
    assert view.selected_keys() == [20]


def test_columns_can_be_hidden_and_are_remembered(qtbot: QtBot, theme: Theme, settings: Settings) -> None:
    view = RowTableView(make_model(things(3)), theme, settings, "things")
    qtbot.addWidget(view)
    view.show()
    qtbot.wait(20)
    actions = {action.objectName(): action for action in view.column_actions(view)}
    actions["column.size"].setChecked(False)
    assert view.isColumnHidden(2)
    view.sortByColumn(1, DOWN)
    again = RowTableView(make_model(things(3)), theme, settings, "things")
    qtbot.addWidget(again)
    assert again.isColumnHidden(2)
    assert shown(again.rows) == ["3", "2", "1"]
    again.reset_columns()
    assert not again.isColumnHidden(2)


def test_the_last_column_cannot_be_hidden(qtbot: QtBot, theme: Theme, settings: Settings) -> None:
    view = RowTableView(make_model(things(1)), theme, settings, "things")
    qtbot.addWidget(view)
    for place in range(4):
        view.show_column(place, False)
    assert view.horizontalHeader().hiddenSectionCount() == 3
