"""The call records page: pages of records, search, order, the account of each and the export."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QTextBrowser
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine
from support.office import make_record, office

from app.events import CallRecorded
from app.storage.calls import CallQuery
from ui.main_window import MainWindow
from ui.monitor.call_export import CallExport
from ui.monitor.call_record_words import account
from ui.monitor.call_records import CallRecordsPage
from ui.theme import LIGHT


@pytest.fixture
def page(window: MainWindow, qtbot: QtBot) -> CallRecordsPage:
    page = window.open_page("call_records")
    assert isinstance(page, CallRecordsPage)
    qtbot.waitUntil(lambda: page.records.rowCount() > 0)
    return page


def test_the_model_is_what_qt_demands(page: CallRecordsPage, qtmodeltester: Any) -> None:
    qtmodeltester.check(page.records)


def test_records_come_newest_first_and_page_by_page(page: CallRecordsPage, engine: FakeEngine) -> None:
    records = page.records
    assert records.rowCount() == 200
    assert records.key_at(0) == "record-000001"
    while records.canFetchMore(QModelIndex()):
        records.fetchMore(QModelIndex())
    assert records.rowCount() == 1000
    assert list(records.keys()) == [record.id for record in engine.records]


def test_scrolling_to_the_end_brings_the_next_page(page: CallRecordsPage, qtbot: QtBot) -> None:
    page.view.scrollToBottom()
    qtbot.waitUntil(lambda: page.records.rowCount() >= 400)


def test_sorting_is_the_databases_work(page: CallRecordsPage, engine: FakeEngine) -> None:
    page.view.sortByColumn(page.records.column_index("called_number"), Qt.SortOrder.AscendingOrder)
    assert (engine.queries[-1].sort, engine.queries[-1].descending) == ("called_number", False)
    assert page.records.key_at(0) == "record-000001"
    page.view.sortByColumn(page.records.column_index("talk_seconds"), Qt.SortOrder.DescendingOrder)
    assert page.records.row(page.records.key_at(0)).talk_seconds == 399  # type: ignore[union-attr]


def test_typing_searches_once_the_user_pauses(page: CallRecordsPage, engine: FakeEngine, qtbot: QtBot) -> None:
    before = len(engine.queries)
    qtbot.keyClicks(page.findChild(QLineEdit, "filter"), "13550777")
    qtbot.waitUntil(lambda: page.records.rowCount() == 1)
    assert len(engine.queries) == before + 1
    page.filter.clear()
    qtbot.waitUntil(lambda: page.records.rowCount() == 200)


def test_outcome_and_time_are_filtered(page: CallRecordsPage, engine: FakeEngine) -> None:
    box = page.findChild(QComboBox, "outcome")
    box.setCurrentIndex(box.findData("busy"))
    assert {record.end_cause for record in page.records.rows()} == {"busy"}
    page.findChild(QComboBox, "span").setCurrentIndex(1)
    assert engine.queries[-1].since is not None
    assert all(record.started >= engine.queries[-1].since for record in page.records.rows())


def test_an_answer_to_an_old_question_is_dropped(page: CallRecordsPage, engine: FakeEngine) -> None:
    waiting: list[tuple[CallQuery, Callable[..., None]]] = []
    original = engine.call_records
    engine.call_records = lambda query, done: waiting.append((query, done))  # type: ignore[method-assign]
    page.records.ask(CallQuery(text="13550001"))
    page.records.ask(CallQuery(text="13550002"))
    for query, done in reversed(waiting):
        original(query, done)
    assert [record.called_number for record in page.records.rows()] == ["13550002"]


def test_a_call_that_has_just_ended_appears(page: CallRecordsPage, engine: FakeEngine, qtbot: QtBot) -> None:
    page.view.select_keys(["record-000005"])
    record = make_record(0, id="newest")
    engine.records.append(record)
    engine.events.publish(CallRecorded(record))
    qtbot.waitUntil(lambda: page.records.key_at(0) == "newest", timeout=4000)
    assert page.view.selected_keys() == ["record-000005"]


def test_the_chosen_call_is_told_in_words(page: CallRecordsPage) -> None:
    page.view.select_keys(["record-000003"])
    text = page.findChild(QTextBrowser, "account").toPlainText()
    assert "100 \u2192 13550003" in text
    assert "503 the trunk failed" in text
    assert "SIP trunk 1 - Carrier A with 135550: 503 Service Unavailable" in text
    assert "SIP trunk 2 - Carrier B with 135550: no answer to INVITE within 5 s" in text
    assert "prefix 13 fits best" in text


def test_texts_of_strangers_are_no_html(page: CallRecordsPage) -> None:
    record = make_record(1, caller_number="<b>x</b>", trail=("<img src=x>",), end_cause="<i>")
    html = account(record, office(), LIGHT)
    assert "<b>x</b>" not in html
    assert "<img" not in html
    assert "<i>" not in html


def test_simulate_this_fills_the_simulator(page: CallRecordsPage, window: MainWindow) -> None:
    page.view.select_keys(["record-000001"])
    page.findChild(QAction, "simulate").trigger()
    simulator: Any = window.current_page()
    assert simulator.objectName() == "page.simulator"
    assert (simulator.source_name(), simulator.called.text()) == ("user:100", "13550001")
    assert simulator.verdict.text().startswith("Goes to SIP trunk 1 - Carrier A as 13550001")


def test_trouble_with_the_database_is_told(page: CallRecordsPage, engine: FakeEngine, window: MainWindow) -> None:
    engine.call_records = lambda query, done: done(None, OSError("the disk is gone"))  # type: ignore[method-assign]
    page.records.reload()
    assert "the disk is gone" in window.findChild(QLabel, "notice.text").text()


@pytest.mark.parametrize("count", [0, 1, 500, 1000])
def test_everything_that_the_filters_let_through_is_exported(engine: FakeEngine, tmp_path: Path, count: int) -> None:
    engine.records = engine.records[:count]
    results: list[tuple[int, str]] = []
    for name in ("calls.json", "calls.csv"):
        CallExport(engine, CallQuery(), tmp_path / name, lambda *result: results.append(result)).start()  # type: ignore[arg-type]
    assert results == [(count, ""), (count, "")]
    document = json.loads((tmp_path / "calls.json").read_text(encoding="utf-8"))
    assert [each["id"] for each in document] == [record.id for record in engine.records]
    with (tmp_path / "calls.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [record.id for record in engine.records]


def test_a_file_that_cannot_be_written_is_told(engine: FakeEngine, tmp_path: Path) -> None:
    results: list[tuple[int, str]] = []
    export = CallExport(engine, CallQuery(), tmp_path / "no" / "calls.csv", lambda *result: results.append(result))  # type: ignore[arg-type]
    export.start()
    assert results[0][0] == 0
    assert "No such file" in results[0][1]
