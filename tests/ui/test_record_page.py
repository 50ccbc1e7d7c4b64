"""The table pages: what each action does, by its name and by its keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt, QThread
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QLabel,
    QLineEdit,
    QMenu,
    QMessageBox,
    QPushButton,
    QWidget,
)
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine

from app.events import TrunkState, UserChanged, UserRow, UserState
from app.records import TABLES, AnalyzeCalledNumber, Change, Configuration, LocalUser, NumberList, SipTrunk, System
from ui.main_window import MainWindow
from ui.records import record_page
from ui.records.cell_editing import RecordModel
from ui.records.record_page import RecordPage
from ui.records.record_text import read_table
from ui.tables.row_model import MARK_ROLE, SHARE_ROLE, TONE_ROLE
from ui.theme import Tone
from ui.transfer import MOST_BYTES

Open = Callable[[str], RecordPage]


@pytest.fixture
def open_page(window: MainWindow) -> Open:
    def find(name: str) -> RecordPage:
        page = window.open_page(name)
        assert isinstance(page, RecordPage)
        return page

    return find


def cell(page: RecordPage, record_id: int, column: str) -> str:
    return str(page.model.index(page.model.position(record_id), page.model.column_index(column)).data())


def role(page: RecordPage, record_id: int, column: str, role: int) -> Any:
    return page.model.index(page.model.position(record_id), page.model.column_index(column)).data(role)


def trigger(page: RecordPage, name: str) -> None:
    action = page.findChild(QAction, name)
    assert action.isEnabled(), name
    action.trigger()


# --- what is shown ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [System.table, *TABLES])
def test_every_model_is_what_qt_demands(open_page: Open, qtmodeltester: Any, name: str) -> None:
    qtmodeltester.check(open_page(name).model)


@pytest.mark.parametrize("name", list(TABLES))
def test_every_page_has_its_table_and_actions_by_name(open_page: Open, name: str) -> None:
    page = open_page(name)
    assert page.view.objectName() == "table"
    for action in ("add", "edit", "duplicate", "delete", "enable", "disable", "find"):
        assert page.findChild(QAction, action) is not None, action


def test_cells_say_what_zero_blank_and_references_mean(open_page: Open) -> None:
    page = open_page("sip_trunks")
    assert cell(page, 3, "max_outgoing_calls") == "0 - no outgoing calls"
    assert cell(page, 1, "next_trunk_id") == "2 - Carrier B (198.51.100.20:5080)"
    assert cell(page, 1, "unified_caller_number") == "keep the caller"
    assert role(page, 1, "unified_caller_number", TONE_ROLE) == Tone.MUTED
    page = open_page("analyze_called_numbers")
    assert cell(page, 4, "target_id") == "9 - does not exist"
    assert cell(page, 1, "route_type") == "SIP trunk"


def test_passwords_are_never_in_a_table_or_on_the_clipboard(open_page: Open, engine: FakeEngine) -> None:
    page = open_page("local_users")
    page.view.show_column(page.model.column_index("password"), True)
    texts = [text for line in page.texts(page.model.keys()) for text in line]
    page.view.selectAll()
    trigger(page, "copy")
    for secret in ("a-secret", "b-secret"):
        assert secret not in texts
        assert secret not in QGuiApplication.clipboard().text()
    page.filter.setText("a-secret")
    assert page.model.rowCount() == 0


def test_problems_are_marked_with_their_words(open_page: Open) -> None:
    page = open_page("analyze_called_numbers")
    assert role(page, 4, "problems", TONE_ROLE) == Tone.BAD
    assert role(page, 4, "problems", MARK_ROLE)
    assert "SIP trunk 9 does not exist" in role(page, 4, "problems", Qt.ItemDataRole.ToolTipRole)
    assert role(page, 3, "problems", TONE_ROLE) == Tone.WARNING
    assert not role(page, 1, "problems", MARK_ROLE)


def test_mending_a_record_takes_its_mark_away(open_page: Open, engine: FakeEngine) -> None:
    page = open_page("analyze_called_numbers")
    record = engine.configuration.get(AnalyzeCalledNumber, 4)
    assert record is not None
    page.perform("Mend", [Change(record.table, record, record.model_copy(update={"target_id": 1}))])
    assert not role(page, 4, "problems", MARK_ROLE)
    assert cell(page, 4, "target_id") == "1 - Carrier A (192.0.2.8:5060)"


def test_live_columns_follow_the_server_and_leave_selection_and_place_alone(
    open_page: Open, engine: FakeEngine, qtbot: QtBot
) -> None:
    page = open_page("sip_trunks")
    page.view.select_keys([2])
    assert cell(page, 1, "live_out") == "17 / 30"
    changes: list[tuple[int, int]] = []
    page.model.dataChanged.connect(lambda first, last: changes.append((first.row(), last.row())))
    engine.set_trunk(replace(engine.trunk_rows[1], active_out=18, state=TrunkState.DEGRADED))
    qtbot.waitUntil(lambda: cell(page, 1, "live_out") == "18 / 30")
    assert role(page, 1, "live_out", SHARE_ROLE) == (18, 30)
    assert cell(page, 1, "live_state") == "degraded"
    assert changes == [(0, 0)]
    assert page.view.selected_keys() == [2]


def test_phones_are_shown_as_registered_ringing_and_talking(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    page = open_page("local_users")
    assert [cell(page, number, "live_state") for number in (1, 2, 3, 4)] == [
        "talking",
        "ringing",
        "registered",
        "offline",
    ]
    engine.events.publish(UserChanged(UserRow("103", "", UserState.REGISTERED, ("sip:103@10.0.0.9",), "x", 0.0, 0)))
    qtbot.waitUntil(lambda: cell(page, 4, "live_state") == "registered")
    assert cell(page, 4, "live_contacts") == "sip:103@10.0.0.9"


def test_a_column_has_room_for_what_is_to_come(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    """A new server is opened with every phone offline; what it says of them later is not cut."""
    for number, row in engine.user_rows.items():
        engine.user_rows[number] = replace(row, state=UserState.OFFLINE, contacts=())
    page = open_page("local_users")
    state, phone = map(page.model.column_index, ("live_state", "live_contacts"))
    qtbot.waitUntil(lambda: page.view.columnWidth(state) > page.view.horizontalHeader().sectionSizeHint(state))
    engine.events.publish(
        UserChanged(UserRow("100", "", UserState.REGISTERED, ("sip:100@192.168.100.20:5060",), "x", 0.0, 0))
    )
    qtbot.waitUntil(lambda: cell(page, 1, "live_state") == "registered")
    for place in (state, phone):
        assert page.view.columnWidth(place) >= page.view.sizeHintForColumn(place)


def test_a_change_elsewhere_is_shown_and_the_selection_stays(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    page = open_page("sip_trunks")
    page.view.select_keys([3])
    trunk = engine.configuration.get(SipTrunk, 2)
    assert trunk is not None
    engine.change_elsewhere(Change("sip_trunks", trunk, trunk.model_copy(update={"description": "Carrier X"})))
    qtbot.waitUntil(lambda: cell(page, 2, "description") == "Carrier X")
    assert cell(page, 1, "next_trunk_id") == "2 - Carrier X (198.51.100.20:5080)"
    assert page.view.selected_keys() == [3]


# --- the actions -----------------------------------------------------------------------------------------------------


def test_actions_are_possible_when_there_is_something_to_do(open_page: Open) -> None:
    page = open_page("sip_trunks")
    page.view.clearSelection()
    enabled = {name: action.isEnabled() for name, action in page.commands.items()}
    assert enabled["add"]
    assert not any(enabled[name] for name in ("edit", "duplicate", "delete", "enable", "disable"))
    page.view.select_keys([1, 2])
    assert not page.commands["edit_cell"].isEnabled()
    assert page.commands["edit"].isEnabled()
    assert page.commands["delete"].isEnabled()


def test_the_one_system_record_can_only_be_edited(open_page: Open, window: MainWindow) -> None:
    page = open_page("system")
    page.view.select_keys([1])
    for name in ("add", "duplicate", "delete", "enable", "disable", "toggle", "paste", "import_csv"):
        assert not page.commands[name].isEnabled(), name
    trigger(page, "edit")
    assert window.findChild(QDialog, "dialog.system").windowTitle() == "System"


def test_deleting_asks_nothing_and_is_taken_back_by_the_notice(
    open_page: Open, engine: FakeEngine, window: MainWindow
) -> None:
    page = open_page("number_lists")
    page.view.select_keys([1])
    trigger(page, "delete")
    assert page.model.position(1) < 0
    assert page.view.selected_keys() == [2]
    assert window.findChild(QLabel, "notice.text").text() == "Deleted number list entry 1."
    window.findChild(QPushButton, "notice.button").click()
    assert engine.configuration.find("number_lists", 1) is not None


def test_the_undo_of_a_notice_goes_away_with_the_step_that_it_would_take_back(
    window: MainWindow, engine: FakeEngine
) -> None:
    page = window.open_page("number_lists")
    page.view.selectRow(0)
    page.commands["delete"].trigger()
    notice = window.findChild(QWidget, "notice")
    assert notice.isVisible()
    window.findChild(QAction, "edit.undo").trigger()
    assert not notice.isVisible(), "it is taken back already"
    page.view.selectRow(0)
    page.commands["delete"].trigger()
    trunks = window.open_page("sip_trunks")
    trunks.view.selectRow(0)
    trunks.commands["toggle"].trigger()
    assert not notice.isVisible(), "it would take back what was done since"
    assert len(engine.applied) == 4


def test_deleting_what_others_use_names_them_and_clears_the_references(
    open_page: Open, engine: FakeEngine, window: MainWindow
) -> None:
    page = open_page("sip_trunks")
    page.view.select_keys([2])
    trigger(page, "delete")
    box = window.findChild(QMessageBox, "dialog.references")
    assert box.text() == "SIP trunk 2 is used by other records."
    assert "SIP trunk 1 - Carrier A (192.0.2.8:5060): Next trunk" in box.informativeText()
    assert "routing group 1 - All carriers: Members, entry 2" in box.informativeText()
    box.findChild(QPushButton, "clear").click()
    trunk = engine.configuration.get(SipTrunk, 1)
    assert trunk is not None
    assert trunk.next_trunk_id == 0
    window.findChild(QAction, "edit.undo").trigger()
    trunk = engine.configuration.get(SipTrunk, 1)
    assert trunk is not None
    assert trunk.next_trunk_id == 2
    assert engine.configuration.get(SipTrunk, 2) is not None


def test_not_deleting_after_all_changes_nothing(open_page: Open, engine: FakeEngine, window: MainWindow) -> None:
    page = open_page("sip_trunks")
    page.view.select_keys([2])
    trigger(page, "delete")
    window.findChild(QMessageBox, "dialog.references").findChild(QPushButton, "cancel").click()
    assert engine.applied == []


def test_several_records_are_disabled_and_enabled_in_one_step(open_page: Open, engine: FakeEngine) -> None:
    page = open_page("sip_trunks")
    page.view.selectAll()
    trigger(page, "disable")
    assert [trunk.enabled for trunk in engine.configuration.records(SipTrunk)] == [False] * 4
    assert page.workspace.history.stack.undoText() == "Disable 3 SIP trunks"
    trigger(page, "enable")
    assert [trunk.enabled for trunk in engine.configuration.records(SipTrunk)] == [True] * 4
    page.workspace.history.stack.undo()
    page.workspace.history.stack.undo()
    assert [trunk.enabled for trunk in engine.configuration.records(SipTrunk)] == [True, True, True, False]


def test_keys_do_what_the_menus_say(open_page: Open, engine: FakeEngine, window: MainWindow, qtbot: QtBot) -> None:
    page = open_page("sip_trunks")
    window.activateWindow()
    page.select_record(3)
    qtbot.waitUntil(page.view.hasFocus)

    def opened() -> QDialog | None:
        return window.findChild(QDialog, "dialog.sip_trunks")

    def close() -> None:
        dialog = opened()
        assert dialog is not None
        qtbot.waitUntil(dialog.isActiveWindow)
        dialog.reject()
        # The keys are the table's once more, with no window manager to see to it.
        qtbot.waitUntil(page.view.hasFocus)

    for key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Insert):
        qtbot.keyClick(page.view, key)
        close()
    qtbot.keyClick(page.view, Qt.Key.Key_D, Qt.KeyboardModifier.ControlModifier)
    dialog = opened()
    assert dialog is not None
    assert dialog.windowTitle() == "New SIP trunk"
    close()
    page.select_record(3)
    qtbot.keyClick(page.view, Qt.Key.Key_Space)
    assert not engine.configuration.find("sip_trunks", 3).enabled  # type: ignore[union-attr]
    qtbot.keyClick(page.view, Qt.Key.Key_Delete)
    assert engine.configuration.find("sip_trunks", 3) is None
    qtbot.keyClick(page.view, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert engine.configuration.find("sip_trunks", 3) is not None
    qtbot.keyClick(page.view, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert engine.configuration.find("sip_trunks", 3) is None
    qtbot.keyClick(page.view, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(page.filter.hasFocus)


def test_keys_in_the_filter_are_text_and_do_not_touch_records(
    open_page: Open, engine: FakeEngine, window: MainWindow, qtbot: QtBot
) -> None:
    page = open_page("sip_trunks")
    window.activateWindow()
    page.view.select_keys([1])
    page.go_to_filter()
    qtbot.waitUntil(page.filter.hasFocus)
    qtbot.keyClicks(page.filter, "gateway")
    qtbot.keyClick(page.filter, Qt.Key.Key_Delete)
    assert engine.applied == []
    assert page.model.keys() == (3,)


def test_a_double_click_opens_the_record(open_page: Open, window: MainWindow, qtbot: QtBot) -> None:
    page = open_page("sip_trunks")
    place = page.view.visualRect(page.model.index(1, page.model.column_index("server_address"))).center()
    qtbot.mouseClick(page.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseDClick(page.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert window.findChild(QDialog, "dialog.sip_trunks").windowTitle().startswith("SIP trunk 2 - Carrier B")


def test_the_headers_menu_chooses_columns(open_page: Open, qtbot: QtBot) -> None:
    page = open_page("sip_trunks")
    header = page.view.horizontalHeader()
    header.customContextMenuRequested.emit(header.rect().center())
    menu = next(each for each in page.findChildren(QMenu) if each.isVisible())
    place = page.model.column_index("codecs")
    assert page.view.isColumnHidden(place)
    next(each for each in menu.actions() if each.objectName() == "column.codecs").trigger()
    assert not page.view.isColumnHidden(place)
    menu.close()


def test_an_empty_table_says_how_to_begin(open_page: Open, engine: FakeEngine, window: MainWindow) -> None:
    page = open_page("address_lists")
    page.view.select_keys([1])
    trigger(page, "delete")
    hint = page.view.empty_hint
    assert hint.isVisible()
    hint.findChild(QPushButton, "empty_add").click()
    assert window.findChild(QDialog, "dialog.address_lists") is not None


# --- rows as text ----------------------------------------------------------------------------------------------------


def test_rows_are_copied_to_a_spreadsheet_and_pasted_back_as_new_records(open_page: Open, engine: FakeEngine) -> None:
    page = open_page("number_transitions")
    page.view.select_keys([1, 2])
    trigger(page, "copy")
    text = QGuiApplication.clipboard().text()
    assert text.splitlines()[0].split("\t")[:3] == ["ID", "Enabled", "Description"]
    trigger(page, "paste")
    assert [record.id for record in engine.configuration.table("number_transitions")] == [1, 2, 3, 4, 5]
    assert page.view.selected_keys() == [4, 5]
    page.workspace.history.stack.undo()
    assert len(engine.configuration.table("number_transitions")) == 3


def test_pasting_prefixes_from_a_spreadsheet(open_page: Open, engine: FakeEngine) -> None:
    page = open_page("analyze_called_numbers")
    lines = ["Prefix\tRoute type\tTarget\tDescription"] + [
        f"44{number}\tsip_trunk\t1\tUK {number}" for number in range(300)
    ]
    QGuiApplication.clipboard().setText("\n".join(lines))
    trigger(page, "paste")
    assert len(engine.configuration.table("analyze_called_numbers")) == 304
    assert page.workspace.history.stack.undoText() == "Paste 300 called number records"


def test_many_rows_are_read_beside_the_calls(
    open_page: Open, engine: FakeEngine, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is changed meanwhile stays, and the mistakes are told as those of a few rows are."""
    page = open_page("analyze_called_numbers")
    threads: list[bool] = []

    def read(*arguments: Any, **options: Any) -> list[Change]:
        threads.append(QThread.isMainThread())
        return read_table(*arguments, **options)

    monkeypatch.setattr(record_page, "read_table", read)
    lines = ["Prefix\tRoute type\tTarget", *(f"44{number:06}\tsip_trunk\t1" for number in range(2000))]
    QGuiApplication.clipboard().setText("\n".join(lines))
    trigger(page, "paste")
    trigger(page, "paste")
    engine.change_elsewhere(
        Change(page.name, None, AnalyzeCalledNumber(id=5, prefix="5", route_type="sip_trunk", target_id=1))
    )
    qtbot.waitUntil(lambda: page.model.rowCount() == 2005)
    assert threads == [False, False]
    assert len(page.view.selected_keys()) == 2000
    trigger(page, "paste")
    qtbot.waitUntil(lambda: page.findChild(QMessageBox, "dialog.message") is not None)
    box = page.findChild(QMessageBox, "dialog.message")
    assert "Row 2, Prefix: 44000000 is already" in box.informativeText()
    assert page.model.rowCount() == 2005
    box.close()


def test_all_of_many_rows_are_selected_without_asking_about_each(
    open_page: Open, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.change_elsewhere(
        *(Change("number_lists", None, NumberList(id=each, called_prefix=str(each))) for each in range(1000, 4000))
    )
    page = open_page("number_lists")
    asked: list[int] = []
    flags = RecordModel.flags
    monkeypatch.setattr(RecordModel, "flags", lambda model, index: asked.append(index.row()) or flags(model, index))
    page.view.selectAll()
    assert len(page.view.selected_keys()) == page.model.rowCount() > 3000
    assert page.commands["delete"].isEnabled()
    assert not page.commands["duplicate"].isEnabled()
    assert len(asked) < 1000


def test_a_mistake_in_pasted_rows_takes_nothing_and_is_told(
    open_page: Open, engine: FakeEngine, window: MainWindow
) -> None:
    page = open_page("sip_trunks")
    QGuiApplication.clipboard().setText("Server address\tServer port\n192.0.2.1\t5060\n192.0.2\t5060\n")
    trigger(page, "paste")
    box = page.findChild(QMessageBox, "dialog.message")
    assert "Row 3, Server address: '192.0.2' is not an IP address" in box.informativeText()
    assert engine.applied == []
    box.close()


def test_a_table_goes_into_a_csv_file_and_comes_back_changed(
    open_page: Open, engine: FakeEngine, tmp_path: Path, qtbot: QtBot
) -> None:
    page = open_page("local_users")
    path = tmp_path / "users.csv"
    trigger(page, "export_csv")
    dialog = page.findChild(QFileDialog, "dialog.file")
    dialog.setDirectory(str(tmp_path))
    dialog.selectFile(str(path))
    dialog.accept()
    qtbot.waitUntil(path.exists)
    text = path.read_text(encoding="utf-8")
    assert "secret" not in text
    path.write_text(text.replace("Anna Berg", "Anna Bergmann") + "9,yes,,555,New phone\r\n", encoding="utf-8")
    page.import_file(path)
    users = engine.configuration.users_by_number
    assert users["101"].display_name == "Anna Bergmann"
    assert users["101"].password == "b-secret"
    assert "555" in users


def test_a_file_that_is_no_table_is_told(open_page: Open, tmp_path: Path) -> None:
    page = open_page("local_users")
    huge = tmp_path / "huge.csv"
    with huge.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    for name, content in (("missing.csv", None), ("picture.csv", b"\xff\xd8\xff\x00\x01"), ("huge.csv", None)):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        page.import_file(path)
        box = page.findChild(QMessageBox, "dialog.message")
        assert box.informativeText()
        box.close()


# --- many ------------------------------------------------------------------------------------------------------------


def test_five_thousand_records_open_sort_and_change_smoothly(
    window: MainWindow, engine: FakeEngine, qtbot: QtBot
) -> None:
    records = [
        AnalyzeCalledNumber(id=number, prefix=str(10_000 + number), route_type="sip_trunk", target_id=1)
        for number in range(100, 5100)
    ]
    engine.change_elsewhere(*(Change(record.table, None, record) for record in records))
    page = window.open_page("analyze_called_numbers")
    assert isinstance(page, RecordPage)
    announced: list[int] = []
    page.model.dataChanged.connect(lambda first, last: announced.append(last.row() - first.row() + 1))
    page.view.sortByColumn(page.model.column_index("prefix"), Qt.SortOrder.DescendingOrder)
    record = records[2500]
    assert cell(page, record.id, "description") == "none"
    page.perform("Change", [Change(record.table, record, record.model_copy(update={"description": "here"}))])
    assert page.model.rowCount() == 5004
    assert announced == [1]
    assert cell(page, record.id, "description") == "here"
    QApplication.processEvents()


def test_users_that_come_and_go_by_the_hundred_are_one_batch(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    engine.change_elsewhere(
        *(Change("local_users", None, LocalUser(id=number, number=str(number))) for number in range(1000, 1500))
    )
    page = open_page("local_users")
    signals: list[Any] = []
    page.workspace.bridge.users_changed.connect(signals.append)
    for number in range(1000, 1500):
        row = UserRow(str(number), "", UserState.REGISTERED, (), "", 0.0, 0)
        engine.events.publish(UserChanged(row))
    qtbot.waitUntil(lambda: cell(page, 1499, "live_state") == "registered")
    assert len(signals) == 1


def test_the_filter_field_is_found_by_its_name(open_page: Open) -> None:
    page = open_page("sip_trunks")
    page.findChild(QLineEdit, "filter").setText("carrier")
    assert page.model.keys() == (1, 2, 4)


def test_the_first_arrow_selects_the_row_with_the_focus(open_page: Open, qtbot: QtBot) -> None:
    """A table with one row is used without a mouse, too."""
    page = open_page("sip_trunks")
    page.view.setCurrentIndex(page.model.index(0, 0))
    page.view.clearSelection()
    qtbot.keyClick(page.view, Qt.Key.Key_Down)
    assert page.view.selected_keys() == [page.model.key_at(0)]
    qtbot.keyClick(page.view, Qt.Key.Key_Down)
    assert page.view.selected_keys() == [page.model.key_at(1)]


def test_a_change_makes_the_rows_of_changed_records_only(
    open_page: Open, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page("sip_trunks")
    made: list[int] = []
    make = page._row
    monkeypatch.setattr(page, "_row", lambda record: (made.append(record.id), make(record))[1])
    trunk = engine.configuration.get(SipTrunk, 2)
    assert trunk is not None
    page.workspace.history.perform(
        "x", [Change("sip_trunks", trunk, trunk.model_copy(update={"description": "Carrier X"}))]
    )
    assert set(made) == {2}
    assert cell(page, 2, "description") == "Carrier X"
    # Another program writes the same records once more: they are others, but say the same.
    made.clear()
    copies = {each.id: each.model_copy() for each in engine.configuration.records(SipTrunk)}
    tables = {**engine.configuration.tables, "sip_trunks": copies}
    engine.configuration = Configuration(engine.configuration.system, tables)
    page.reload()
    assert made == []
