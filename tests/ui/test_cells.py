"""Work in the table itself: cells edited in place, letters typed ahead, rows as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QCheckBox, QComboBox, QDialog, QLabel, QLineEdit, QMessageBox, QSpinBox
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine

from app.records import TABLES, AnalyzeCalledNumber, Change, SipTrunk, System, fields_of
from ui.main_window import MainWindow
from ui.records.cell_editing import simple_fields
from ui.records.record_page import RecordPage
from ui.tables.table_view import SEARCHED_AT_ONCE

Open = Callable[..., RecordPage]
ENTER = Qt.Key.Key_Return


@pytest.fixture
def open_page(window: MainWindow, qtbot: QtBot) -> Open:
    def find(name: str, record_id: int = 1, column: str = "") -> RecordPage:
        page: Any = window.open_page(name)
        window.activateWindow()
        page.select_record(record_id)
        if column:
            place = page.model.column_index(column)
            page.view.show_column(place, True)
            page.view.setCurrentIndex(page.model.index(page.model.position(record_id), place))
        qtbot.waitUntil(page.view.hasFocus)
        return page  # type: ignore[no-any-return]

    return find


def editor(page: RecordPage, kind: type[Any], name: str) -> Any:
    return page.view.viewport().findChild(kind, name)


def error(page: RecordPage) -> str:
    label = page.view.viewport().findChild(QLabel, "cell_error")
    return "" if label.isHidden() else label.text()


# --- cells -----------------------------------------------------------------------------------------------------------


def test_f2_edits_a_number_as_one_step(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    page = open_page("sip_trunks", 1, "max_outgoing_calls")
    qtbot.keyClick(page.view, Qt.Key.Key_F2)
    box = editor(page, QSpinBox, "max_outgoing_calls")
    assert box.value() == 30
    box.selectAll()
    qtbot.keyClicks(box, "12")
    qtbot.keyClick(box, ENTER)
    qtbot.waitUntil(lambda: len(engine.applied) == 1)
    trunk = engine.configuration.get(SipTrunk, 1)
    assert trunk is not None
    assert trunk.max_outgoing_calls == 12
    assert page.workspace.history.stack.undoText() == "Change most outgoing calls of SIP trunk 1"
    page.workspace.history.stack.undo()
    assert engine.configuration.get(SipTrunk, 1).max_outgoing_calls == 30  # type: ignore[union-attr]
    qtbot.waitUntil(page.view.hasFocus)


def test_text_switch_choice_and_reference_are_edited_too(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    page = open_page("sip_trunks", 3, "description")
    qtbot.keyClick(page.view, Qt.Key.Key_F2)
    line = editor(page, QLineEdit, "description")
    line.selectAll()
    qtbot.keyClicks(line, "Door gateway")
    qtbot.keyClick(line, ENTER)
    qtbot.waitUntil(lambda: len(engine.applied) == 1)
    for count, (column, kind, act) in enumerate(
        (
            ("enabled", QCheckBox, lambda box: box.setChecked(False)),
            ("transport", QComboBox, lambda box: box.setCurrentIndex(box.findData("tcp"))),
            ("next_trunk_id", QComboBox, lambda box: box.setCurrentIndex(box.findData(2))),
        ),
        start=2,
    ):
        open_page("sip_trunks", 3, column)
        qtbot.keyClick(page.view, Qt.Key.Key_F2)
        widget = editor(page, kind, column)
        act(widget)
        qtbot.keyClick(widget, ENTER)
        qtbot.waitUntil(lambda count=count: len(engine.applied) == count)
    trunk = engine.configuration.get(SipTrunk, 3)
    assert trunk is not None
    assert (trunk.description, trunk.enabled, trunk.transport, trunk.next_trunk_id) == ("Door gateway", False, "tcp", 2)


def test_what_is_wrong_is_said_at_the_cell_and_enter_does_not_take_it(
    open_page: Open, engine: FakeEngine, qtbot: QtBot, screenshot: Any, window: MainWindow
) -> None:
    page = open_page("sip_trunks", 1, "server_address")
    qtbot.keyClick(page.view, Qt.Key.Key_F2)
    line = editor(page, QLineEdit, "server_address")
    line.selectAll()
    qtbot.keyClicks(line, "192.0.2")
    assert error(page) == "Server address: '192.0.2' is not an IP address"
    screenshot(window, "light-cell-mistake")
    qtbot.keyClick(line, ENTER)
    QApplication.processEvents()
    assert line.isVisible()
    assert engine.applied == []
    qtbot.keyClicks(line, ".99")
    assert error(page) == ""
    qtbot.keyClick(line, ENTER)
    qtbot.waitUntil(lambda: len(engine.applied) == 1)
    assert engine.configuration.get(SipTrunk, 1).server_address == "192.0.2.99"  # type: ignore[union-attr]


def test_a_value_that_another_record_has_is_refused_at_the_cell(
    open_page: Open, engine: FakeEngine, qtbot: QtBot
) -> None:
    page = open_page("local_users", 1, "number")
    qtbot.keyClick(page.view, Qt.Key.Key_F2)
    line = editor(page, QLineEdit, "number")
    line.selectAll()
    qtbot.keyClicks(line, "101")
    qtbot.keyClick(line, ENTER)
    assert "101" in error(page)
    qtbot.keyClick(line, Qt.Key.Key_Escape)
    QApplication.processEvents()
    assert engine.applied == []
    assert error(page) == ""


def test_leaving_a_cell_with_a_mistake_says_that_nothing_was_changed(
    open_page: Open, engine: FakeEngine, window: MainWindow, qtbot: QtBot
) -> None:
    page = open_page("sip_trunks", 1, "server_port")
    qtbot.keyClick(page.view, Qt.Key.Key_F2)
    editor(page, QSpinBox, "server_port").setValue(70000)
    page.filter.setFocus()
    qtbot.waitUntil(lambda: window.findChild(QLabel, "notice.text").text().startswith("Not changed."))
    assert "must be 1 to 65535" in window.findChild(QLabel, "notice.text").text()
    assert engine.applied == []


def test_live_changes_do_not_take_back_what_is_being_typed(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    page = open_page("sip_trunks", 1, "description")
    qtbot.keyClick(page.view, Qt.Key.Key_F2)
    line = editor(page, QLineEdit, "description")
    line.setText("half a")
    engine.set_trunk(replace(engine.trunk_rows[1], active_out=18))
    place = page.model.column_index("live_out")
    qtbot.waitUntil(lambda: page.model.index(0, place).data() == "18 / 30")
    assert line.text() == "half a"
    assert line.isVisible()


def test_a_record_that_goes_takes_its_open_cell_with_it(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    page = open_page("sip_trunks", 4, "server_address")
    qtbot.keyClick(page.view, Qt.Key.Key_F2)
    line = editor(page, QLineEdit, "server_address")
    line.setText("192.0.2")
    assert error(page)
    engine.change_elsewhere(Change("sip_trunks", engine.configuration.get(SipTrunk, 4), None))
    qtbot.waitUntil(lambda: page.model.position(4) < 0)
    QApplication.processEvents()
    assert error(page) == ""
    assert editor(page, QLineEdit, "server_address") is None
    assert engine.applied == []


def test_a_row_that_moves_by_its_live_state_keeps_its_open_cell(
    open_page: Open, engine: FakeEngine, qtbot: QtBot
) -> None:
    page = open_page("sip_trunks", 1, "description")
    page.view.sortByColumn(page.model.column_index("live_out"), Qt.SortOrder.AscendingOrder)
    qtbot.keyClick(page.view, Qt.Key.Key_F2)
    line = editor(page, QLineEdit, "description")
    line.setText("half a")
    places: set[int] = set()
    for active in (0, 29, 0, 29):
        engine.set_trunk(replace(engine.trunk_rows[1], active_out=active))
        qtbot.waitUntil(lambda active=active: page.model.row(1).live.active_out == active)
        places.add(page.model.position(1))
    assert len(places) == 2
    assert line.isVisible()
    assert line.text() == "half a"
    qtbot.keyClick(line, ENTER)
    qtbot.waitUntil(lambda: len(engine.applied) == 1)
    assert engine.configuration.get(SipTrunk, 1).description == "half a"  # type: ignore[union-attr]


def test_f2_goes_to_a_cell_that_can_be_edited(open_page: Open, qtbot: QtBot) -> None:
    page = open_page("sip_trunks", 2)
    page.view.setCurrentIndex(page.model.index(1, page.model.column_index("live_state")))
    qtbot.keyClick(page.view, Qt.Key.Key_F2)
    assert editor(page, QLineEdit, "server_address").isVisible()


@pytest.mark.parametrize("name", [System.table, *TABLES])
def test_secrets_ids_and_lists_of_entries_are_left_to_the_form(name: str) -> None:
    model = System if name == System.table else TABLES[name]
    simple = simple_fields(model)
    assert simple
    assert "id" not in simple
    for field in fields_of(model):
        if field.shown.secret or field.name in ("members", "route_type"):
            assert field.name not in simple


def test_a_cell_asks_as_the_form_does_before_records_are_lost(
    open_page: Open, engine: FakeEngine, qtbot: QtBot
) -> None:
    page = open_page("system", 1, "call_record_days")
    qtbot.keyClick(page.view, Qt.Key.Key_F2)
    box = editor(page, QSpinBox, "call_record_days")
    box.setValue(7)
    qtbot.keyClick(box, ENTER)
    qtbot.waitUntil(lambda: page.findChild(QMessageBox, "dialog.consequences") is not None)
    assert engine.applied == []


# --- letters ---------------------------------------------------------------------------------------------------------


def test_letters_lead_to_the_row_that_begins_with_them(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    records = [
        AnalyzeCalledNumber(id=number, prefix=f"44{number}", route_type="sip_trunk", target_id=1)
        for number in range(100, 400)
    ]
    engine.change_elsewhere(*(Change(record.table, None, record) for record in records))
    page = open_page("analyze_called_numbers", 100)
    page.view.sortByColumn(page.model.column_index("prefix"), Qt.SortOrder.AscendingOrder)
    qtbot.keyClicks(page.view, "44237")
    assert page.view.selected_keys() == [237]


def test_letters_never_stop_the_window(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    records = [
        AnalyzeCalledNumber(id=number, prefix=f"44{number}", route_type="sip_trunk", target_id=1)
        for number in range(100, 100 + 3 * SEARCHED_AT_ONCE)
    ]
    engine.change_elsewhere(*(Change(record.table, None, record) for record in records))
    page = open_page("analyze_called_numbers", 100, "prefix")
    looked: list[int] = []
    text_at = page.model.text_at
    page.model.text_at = lambda row, place: (looked.append(row), text_at(row, place))[1]  # type: ignore[method-assign]
    last = records[-1]
    page.view.keyboardSearch(last.prefix)
    assert len(looked) == SEARCHED_AT_ONCE
    qtbot.waitUntil(lambda: page.view.selected_keys() == [last.id])
    page.view._typed_at = 0.0
    page.view.keyboardSearch("zebra")
    looked.clear()
    qtbot.waitUntil(lambda: len(looked) == page.model.rowCount() - SEARCHED_AT_ONCE)
    assert page.view.selected_keys() == [last.id]


def test_letters_look_in_the_column_with_the_focus(open_page: Open, qtbot: QtBot) -> None:
    page = open_page("sip_trunks", 1, "description")
    qtbot.keyClicks(page.view, "gat")
    assert page.view.selected_keys() == [3]


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_rows_are_copied_as_json_and_pasted_with_their_hidden_columns(open_page: Open, engine: FakeEngine) -> None:
    page = open_page("sip_trunks", 2)
    trunk = engine.configuration.get(SipTrunk, 2)
    assert trunk is not None
    slow = trunk.model_copy(update={"no_answer_timeout": 33})
    page.perform("Change", [Change("sip_trunks", trunk, slow)])
    page.commands["copy_json"].trigger()
    text = QGuiApplication.clipboard().text()
    assert json.loads(text)["sip_trunks"][0]["server_port"] == 5080
    page.commands["paste"].trigger()
    copy = engine.configuration.get(SipTrunk, 5)
    assert copy is not None
    assert (copy.server_address, copy.no_answer_timeout) == ("198.51.100.20", 33)
    # What Ctrl+C puts there for a spreadsheet holds the whole records, too.
    page.select_record(2)
    page.commands["copy"].trigger()
    assert QGuiApplication.clipboard().text().startswith("ID\t")
    page.commands["paste"].trigger()
    assert engine.configuration.get(SipTrunk, 6).no_answer_timeout == 33  # type: ignore[union-attr]
    page.workspace.history.stack.undo()
    assert engine.configuration.get(SipTrunk, 6) is None


def test_passwords_are_not_in_the_json(open_page: Open) -> None:
    page = open_page("local_users")
    page.view.selectAll()
    page.commands["copy_json"].trigger()
    assert "a-secret" not in QGuiApplication.clipboard().text()
    page.commands["copy"].trigger()
    data = QGuiApplication.clipboard().mimeData()
    assert b"a-secret" not in data.data("application/json").data()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"routing_groups": []}', "The clipboard holds routing_groups"),
        ('{"server_address": ', "line 1"),
        ("[1, 2]", "holds no records"),
        ('[{"server_address": "192.0.2.1"}, {"server_adress": "192.0.2.2"}]', "Row 2"),
        ("[" * 5000, "nested too deeply"),
        ("{}", "holds no records"),
    ],
)
def test_json_that_does_not_fit_is_told(open_page: Open, engine: FakeEngine, text: str, words: str) -> None:
    page = open_page("sip_trunks")
    QGuiApplication.clipboard().setText(text)
    page.commands["paste"].trigger()
    box = page.findChild(QMessageBox, "dialog.message")
    assert words in box.informativeText()
    assert engine.applied == []
    box.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"number": 100, "display_name": "Mallory"}]', "100 is already local user 1"),
        ('[{"number": " 100 ", "display_name": "Mallory"}]', "100 is already local user 1"),
        ('[{"number": ["100"]}]', "Row 1, Number"),
    ],
)
def test_json_never_changes_the_user_that_has_the_number(
    open_page: Open, engine: FakeEngine, text: str, words: str
) -> None:
    page = open_page("local_users")
    QGuiApplication.clipboard().setText(text)
    page.commands["paste"].trigger()
    box = page.findChild(QMessageBox, "dialog.message")
    assert words in box.informativeText()
    assert engine.applied == []
    box.close()


def said(page: RecordPage, qtbot: QtBot) -> QMessageBox:
    """The message that follows when the rows have been read, which takes a thread where they are many."""
    qtbot.waitUntil(lambda: page.findChild(QMessageBox, "dialog.message") is not None, timeout=20_000)
    return page.findChild(QMessageBox, "dialog.message")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("sip_trunks", '"' + "x" * 200_000, "larger than field limit"),
        ("sip_trunks", "Server address\tServer port\n192.0.2.1\t²", "Row 2, Server port: must be a whole number"),
        ("sip_trunks", "Server address\tServer port\n192.0.2.1\t--5", "Row 2, Server port: must be a whole number"),
        ("routing_groups", "Name\tMembers\nGroup\t" + "[" * 100_000, "Row 2, Members: must be a list"),
    ],
)
def test_rows_that_are_garbage_are_told(
    open_page: Open, engine: FakeEngine, qtbot: QtBot, name: str, text: str, words: str
) -> None:
    page = open_page(name)
    QGuiApplication.clipboard().setText(text)
    page.commands["paste"].trigger()
    box = said(page, qtbot)
    assert words in box.informativeText()
    assert engine.applied == []
    box.close()


def test_thousands_of_mistakes_fit_on_the_screen(open_page: Open, qtbot: QtBot) -> None:
    page = open_page("sip_trunks")
    QGuiApplication.clipboard().setText("\n".join(["Server address", *("192.0.2" for _ in range(3000))]))
    page.commands["paste"].trigger()
    box = said(page, qtbot)
    assert box.height() < 800
    assert "Row 2, Server address" in box.informativeText()
    assert "and 2980 more" in box.informativeText()
    assert "Row 1000," in box.detailedText()
    box.close()


def test_a_single_record_is_pasted_from_json(open_page: Open, engine: FakeEngine) -> None:
    page = open_page("sip_trunks")
    QGuiApplication.clipboard().setText('{"id": 1, "server_address": "192.0.2.77"}')
    page.commands["paste"].trigger()
    assert engine.configuration.get(SipTrunk, 5).server_address == "192.0.2.77"  # type: ignore[union-attr]
    assert page.view.selected_keys() == [5]


# --- several ---------------------------------------------------------------------------------------------------------


def several(page: RecordPage, window: MainWindow, *ids: int) -> Any:
    page.view.select_keys(ids)
    page.commands["edit"].trigger()
    return window.findChild(QDialog, f"dialog.{page.name}.several")


def test_several_records_are_changed_where_a_box_is_ticked(
    open_page: Open, engine: FakeEngine, window: MainWindow, screenshot: Any
) -> None:
    page = open_page("sip_trunks")
    dialog = several(page, window, 1, 2, 3)
    assert dialog.windowTitle() == "Change 3 SIP trunks"
    assert "17" in dialog.findChild(QLabel, "note").text() or "running" in dialog.findChild(QLabel, "note").text()
    box = dialog.findChild(QCheckBox, "max_outgoing_calls.change")
    assert box.text().endswith("(various)")
    ok = dialog._buttons.button(dialog._buttons.StandardButton.Ok)
    assert not ok.isEnabled()
    assert not dialog.findChild(QSpinBox, "max_outgoing_calls").isEnabled()
    box.setChecked(True)
    dialog.form.tabs.setCurrentIndex(1)
    dialog.findChild(QSpinBox, "max_outgoing_calls").setValue(11)
    screenshot(dialog, "light-several")
    ok.click()
    assert [trunk.max_outgoing_calls for trunk in engine.configuration.records(SipTrunk)] == [11, 11, 11, 30]
    assert [trunk.server_port for trunk in engine.configuration.records(SipTrunk)][:2] == [5060, 5080]
    assert page.workspace.history.stack.undoText() == "Change 3 SIP trunks"
    page.workspace.history.stack.undo()
    assert engine.configuration.get(SipTrunk, 3).max_outgoing_calls == 0  # type: ignore[union-attr]


def test_a_mistake_for_one_of_several_is_said_and_changes_none(
    open_page: Open, engine: FakeEngine, window: MainWindow
) -> None:
    page = open_page("sip_trunks")
    dialog = several(page, window, 1, 2)
    dialog.findChild(QCheckBox, "next_trunk_id.change").setChecked(True)
    combo = dialog.findChild(QComboBox, "next_trunk_id")
    combo.setCurrentIndex(combo.findData(1))
    assert "OK is not possible: Next trunk" in dialog.findChild(QLabel, "problem").text()
    assert not dialog._buttons.button(dialog._buttons.StandardButton.Ok).isEnabled()
    assert engine.applied == []


def test_a_target_is_changed_with_its_kind(open_page: Open, window: MainWindow) -> None:
    page = open_page("analyze_called_numbers")
    dialog = several(page, window, 1, 2)
    dialog.findChild(QCheckBox, "target_id.change").setChecked(True)
    assert dialog.findChild(QCheckBox, "route_type.change").isChecked()
    kind = dialog.findChild(QComboBox, "route_type")
    kind.setCurrentIndex(kind.findData("external_line"))
    assert not dialog.findChild(QComboBox, "transition_id").isEnabled()
    dialog.findChild(QCheckBox, "route_type.change").setChecked(False)
    assert not dialog.findChild(QCheckBox, "target_id.change").isChecked()


def test_a_thousand_records_are_changed_in_one_step(open_page: Open, engine: FakeEngine, window: MainWindow) -> None:
    records = [
        AnalyzeCalledNumber(id=number, prefix=f"44{number}", route_type="sip_trunk", target_id=1)
        for number in range(100, 1100)
    ]
    # Only one that is not checked while one types would be changed: OK is possible all the same.
    records[-1] = records[-1].model_copy(update={"call_level": 5})
    engine.change_elsewhere(*(Change(record.table, None, record) for record in records))
    page = open_page("analyze_called_numbers")
    dialog = several(page, window, *(record.id for record in records))
    dialog.findChild(QCheckBox, "call_level.change").setChecked(True)
    dialog.findChild(QSpinBox, "call_level").setValue(0)
    dialog._buttons.button(dialog._buttons.StandardButton.Ok).click()
    assert [(change.before.id, change.after.call_level) for change in engine.applied[-1]] == [(1099, 0)]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", list(TABLES))
def test_several_of_every_table_can_be_opened(open_page: Open, window: MainWindow, name: str) -> None:
    page = open_page(name)
    if page.model.rowCount() < 2:
        return
    dialog = several(page, window, *page.model.keys()[:2])
    assert dialog.values() == {}
    for field, row in dialog.form.rows.items():
        assert not row.editor.widget.isEnabled(), field
