"""The dialogs, driven as a user does: by the names of their fields and buttons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import shiboken6
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QTabWidget,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine

from app.records import (
    TABLES,
    AnalyzeCalledNumber,
    Change,
    LocalUser,
    RoutingGroup,
    RoutingGroupMember,
    SipTrunk,
    System,
    fields_of,
)
from app.records.trunks import INCOMING, OUTGOING
from ui.main_window import MainWindow

OK = QDialogButtonBox.StandardButton.Ok
APPLY = QDialogButtonBox.StandardButton.Apply
CANCEL = QDialogButtonBox.StandardButton.Cancel


class User:
    """Opens pages by menu actions and finds everything by its name."""

    def __init__(self, qtbot: QtBot, window: MainWindow) -> None:
        self.qtbot = qtbot
        self.window = window

    def page(self, action: str, name: str) -> QWidget:
        self.window.findChild(QAction, action).trigger()
        page = self.window.findChild(QWidget, f"page.{name}")
        assert page.isVisible()
        return page

    def dialog(self, table: str, command: str, record_id: int | None = None) -> Any:
        page: Any = self.window.open_page(table)
        if record_id is not None:
            page.view.select_keys([record_id])
        page.findChild(QAction, command).trigger()
        dialog = self.window.findChild(QDialog, f"dialog.{table}")
        assert dialog is not None
        assert dialog.isVisible()
        return dialog

    def press(self, dialog: QDialog, which: QDialogButtonBox.StandardButton) -> None:
        button = dialog.findChild(QDialogButtonBox, "buttons").button(which)
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def can(self, dialog: QDialog, which: QDialogButtonBox.StandardButton) -> bool:
        return bool(dialog.findChild(QDialogButtonBox, "buttons").button(which).isEnabled())

    def error(self, dialog: QDialog, field: str) -> str:
        label = dialog.findChild(QLabel, f"{field}.error")
        return label.text() if not label.isHidden() else ""

    def choose(self, dialog: QDialog, field: str, value: object) -> None:
        box = dialog.findChild(QComboBox, field)
        place = box.findData(value)
        assert place >= 0, [box.itemText(each) for each in range(box.count())]
        box.setCurrentIndex(place)

    def close_dialogs(self) -> None:
        for dialog in self.window.findChildren(QDialog):
            dialog.reject()


@pytest.fixture
def user(qtbot: QtBot, window: MainWindow) -> User:
    return User(qtbot, window)


# --- the first trunk and the first dial-plan record ------------------------------------------------------------------


def test_a_trunk_and_a_route_to_it_are_added_by_typing_and_clicking(user: User, engine: FakeEngine) -> None:
    page = user.page("data.sip_trunks", "sip_trunks")
    page.findChild(QAction, "add").trigger()
    dialog = user.window.findChild(QDialog, "dialog.sip_trunks")
    assert (
        user.window.focusWidget() is dialog.findChild(QLineEdit, "server_address")
        or dialog.focusWidget().objectName() == "server_address"
    )
    user.qtbot.keyClicks(dialog.findChild(QLineEdit, "server_address"), "192.0.2.99")
    user.press(dialog, OK)
    trunk = engine.configuration.get(SipTrunk, 5)
    assert trunk is not None
    assert (trunk.server_address, trunk.server_port, trunk.max_outgoing_calls) == ("192.0.2.99", 5060, 30)

    page = user.page("dial_plan.analyze_called_numbers", "analyze_called_numbers")
    page.findChild(QAction, "add").trigger()
    dialog = user.window.findChild(QDialog, "dialog.analyze_called_numbers")
    user.qtbot.keyClicks(dialog.findChild(QLineEdit, "prefix"), "77")
    user.choose(dialog, "route_type", "sip_trunk")
    user.choose(dialog, "target_id", 5)
    user.press(dialog, OK)
    record = engine.configuration.get(AnalyzeCalledNumber, 5)
    assert record is not None
    assert (record.prefix, record.route_type.value, record.target_id) == ("77", "sip_trunk", 5)


def test_the_trunk_form_has_every_field_on_its_tab(user: User) -> None:
    dialog = user.dialog("sip_trunks", "add")
    tabs = dialog.findChild(QTabWidget, "tabs")
    assert [tabs.tabText(place) for place in range(tabs.count())] == ["Basic", OUTGOING, INCOMING]
    for field in fields_of(SipTrunk):
        editor = dialog.findChild(QWidget, field.name)
        place = next(place for place in range(tabs.count()) if tabs.widget(place).isAncestorOf(editor))
        assert tabs.tabText(place) == field.shown.tab, field.name
    user.close_dialogs()


@pytest.mark.parametrize("table", [System.table, *TABLES])
def test_every_form_has_a_labelled_editor_with_help_for_every_field(user: User, table: str) -> None:
    dialog = user.dialog(table, "edit", 1)
    model = dialog.model
    for field in fields_of(model):
        editor = dialog.findChild(QWidget, field.name)
        row = dialog.form.rows[field.name]
        assert row.label.buddy() is editor
        assert field.shown.help in editor.toolTip()
        assert field.shown.help in editor.whatsThis()
        assert editor.accessibleName() == field.label
        assert dialog.findChild(QLabel, f"{field.name}.error").isHidden() or table != "sip_trunks"
    user.close_dialogs()


@pytest.mark.parametrize("table", [System.table, *TABLES])
def test_opening_a_record_and_pressing_ok_changes_nothing(user: User, engine: FakeEngine, table: str) -> None:
    for record in [engine.configuration.system] if table == System.table else engine.configuration.table(table):
        dialog = user.dialog(table, "edit", record.id)
        assert user.can(dialog, OK), dialog.findChild(QLabel, "problem").text()
        user.press(dialog, OK)
    assert engine.applied == []


@pytest.mark.parametrize("table", list(TABLES))
def test_no_two_fields_on_a_tab_share_a_mnemonic(table: str) -> None:
    tabs: dict[str, dict[str, str]] = {}
    for field in fields_of(TABLES[table]):
        label = field.shown.label
        if "&" in label:
            key = label[label.index("&") + 1].lower()
            taken = tabs.setdefault(field.shown.tab, {})
            assert key not in taken, f"{taken.get(key)} and {field.name} on {field.shown.tab}"
            taken[key] = field.name


# --- 0 and blank have words ------------------------------------------------------------------------------------------


def test_zero_and_blank_say_what_they_mean(user: User) -> None:
    dialog = user.dialog("sip_trunks", "edit", 3)
    assert dialog.findChild(QSpinBox, "max_outgoing_calls").text() == "0 - no outgoing calls"
    assert dialog.findChild(QSpinBox, "max_incoming_calls").text() == "4 calls"
    assert dialog.findChild(QComboBox, "next_trunk_id").currentText() == "0 - release the call"
    assert dialog.findChild(QLineEdit, "unified_caller_number").placeholderText() == "keep the caller"
    user.close_dialogs()


def test_a_number_typed_over_the_words_for_zero_is_taken(user: User, engine: FakeEngine) -> None:
    dialog = user.dialog("sip_trunks", "edit", 3)
    box = dialog.findChild(QSpinBox, "max_outgoing_calls")
    dialog.form.focus_field("max_outgoing_calls")
    box.selectAll()
    user.qtbot.keyClicks(box, "12")
    user.press(dialog, OK)
    trunk = engine.configuration.get(SipTrunk, 3)
    assert trunk is not None
    assert trunk.max_outgoing_calls == 12


# --- mistakes --------------------------------------------------------------------------------------------------------


def test_a_mistake_is_said_at_its_field_and_ok_says_why_it_is_not_possible(user: User) -> None:
    dialog = user.dialog("sip_trunks", "add")
    assert not user.can(dialog, OK)
    assert "Server address is required" in dialog.findChild(QLabel, "problem").text()
    # Nobody has made a mistake yet.
    assert user.error(dialog, "server_address") == ""
    dialog.findChild(QLineEdit, "server_address").setText("192.0.2")
    assert user.error(dialog, "server_address") == "'192.0.2' is not an IP address"
    dialog.findChild(QSpinBox, "server_port").setValue(70000)
    assert user.error(dialog, "server_port") == "Must be 1 to 65535"
    problem = dialog.findChild(QLabel, "problem").text()
    assert problem == "OK is not possible: Server address '192.0.2' is not an IP address (and 1 more mistake)"
    assert dialog.findChild(QDialogButtonBox, "buttons").button(OK).toolTip() == problem
    dialog.findChild(QLineEdit, "server_address").setText("192.0.2.4")
    dialog.findChild(QSpinBox, "server_port").setValue(5060)
    assert user.can(dialog, OK)
    assert dialog.findChild(QLabel, "problem").text() == ""
    user.close_dialogs()


def test_a_value_that_another_record_has_is_refused_at_its_field(user: User) -> None:
    dialog = user.dialog("local_users", "add")
    dialog.findChild(QLineEdit, "number").setText("100")
    user.qtbot.waitUntil(lambda: user.error(dialog, "number") != "")
    assert user.error(dialog, "number") == "100 is already local user 1"
    assert not user.can(dialog, OK)
    user.close_dialogs()


def test_a_circle_of_next_trunks_is_refused_and_named(user: User) -> None:
    dialog = user.dialog("sip_trunks", "edit", 2)
    user.choose(dialog, "next_trunk_id", 1)
    assert user.error(dialog, "next_trunk_id") == "The next trunks would go in a circle: trunk 2 -> 1 -> 2"
    assert not user.can(dialog, OK)
    user.close_dialogs()


def test_what_is_odd_but_allowed_is_a_warning_and_ok_is_possible(user: User) -> None:
    dialog = user.dialog("sip_trunks", "edit", 3)
    dialog.findChild(QSpinBox, "max_incoming_calls").setValue(0)
    user.qtbot.waitUntil(lambda: "both limits are 0" in user.error(dialog, "max_outgoing_calls").lower())
    assert user.can(dialog, OK)
    user.close_dialogs()


def test_enter_does_not_close_a_form_with_a_mistake(user: User) -> None:
    dialog = user.dialog("sip_trunks", "edit", 1)
    edit = dialog.findChild(QLineEdit, "server_address")
    edit.setText("nonsense here")
    user.qtbot.keyClick(edit, Qt.Key.Key_Return)
    dialog.accept()
    assert dialog.isVisible()
    assert user.error(dialog, "server_address")
    user.qtbot.keyClick(edit, Qt.Key.Key_Escape)
    assert not dialog.isVisible()


def test_the_tab_with_a_mistake_is_marked(user: User) -> None:
    dialog = user.dialog("sip_trunks", "edit", 1)
    dialog.findChild(QLineEdit, "codecs").setText("PCM A; ???")
    tabs = dialog.findChild(QTabWidget, "tabs")
    assert [tabs.tabIcon(place).isNull() for place in range(3)] == [True, False, True]
    user.close_dialogs()


# --- references ------------------------------------------------------------------------------------------------------


def test_other_records_are_chosen_from_a_list_with_their_names(user: User) -> None:
    dialog = user.dialog("sip_trunks", "edit", 1)
    box = dialog.findChild(QComboBox, "next_trunk_id")
    assert [(box.itemData(place), box.itemText(place)) for place in range(box.count())] == [
        (0, "0 - release the call"),
        (2, "2 - Carrier B (198.51.100.20:5080)"),
        (3, "3 - Gateway (10.0.0.9:5060)"),
        (4, "4 - Old carrier (203.0.113.77:5060) - disabled"),
    ]
    assert box.currentData() == 2
    user.close_dialogs()


def test_another_route_type_lists_other_targets(user: User) -> None:
    dialog = user.dialog("analyze_called_numbers", "edit", 1)
    box = dialog.findChild(QComboBox, "target_id")
    assert box.currentData() == 1
    user.choose(dialog, "route_type", "routing_group")
    assert [box.itemText(place) for place in range(box.count())] == ["0 - choose one", "1 - All carriers"]
    assert box.currentData() == 0
    assert "Must name the SIP trunk or routing group" in user.error(dialog, "target_id")
    user.choose(dialog, "route_type", "local_user")
    assert user.can(dialog, OK)
    user.close_dialogs()


def test_a_target_that_does_not_exist_is_shown_and_not_lost(user: User, engine: FakeEngine) -> None:
    dialog = user.dialog("analyze_called_numbers", "edit", 4)
    box = dialog.findChild(QComboBox, "target_id")
    assert (box.currentData(), box.currentText()) == (9, "9 - does not exist")
    dialog.findChild(QLineEdit, "description").setText("Still forgotten")
    user.press(dialog, OK)
    record = engine.configuration.get(AnalyzeCalledNumber, 4)
    assert record is not None
    assert record.target_id == 9


def test_a_record_added_meanwhile_appears_in_the_open_list(user: User, engine: FakeEngine) -> None:
    dialog = user.dialog("sip_trunks", "edit", 1)
    box = dialog.findChild(QComboBox, "next_trunk_id")
    engine.change_elsewhere(Change("sip_trunks", None, SipTrunk(id=9, server_address="192.0.2.9")))
    user.qtbot.waitUntil(lambda: box.findData(9) >= 0)
    assert box.currentData() == 2
    user.close_dialogs()


def test_the_boxes_of_a_member_are_not_cut(user: User, qtbot: QtBot) -> None:
    dialog = user.dialog("routing_groups", "edit", 1)
    dialog.findChild(QToolButton, "members.add").click()
    table = dialog.findChild(QTableWidget, "members.table")
    qtbot.wait(50)
    for place in range(4):
        for column in range(table.columnCount()):
            box = table.cellWidget(place, column)
            assert table.rowHeight(place) > box.height() >= box.sizeHint().height(), box.objectName()
            assert box.width() >= box.minimumSizeHint().width(), box.objectName()
    target = table.cellWidget(0, 1)
    assert target.width() > target.fontMetrics().horizontalAdvance(target.currentText()) + 30


def test_members_of_a_group_are_added_changed_moved_and_removed(user: User, engine: FakeEngine) -> None:
    dialog = user.dialog("routing_groups", "edit", 1)
    table = dialog.findChild(QTableWidget, "members.table")
    assert table.rowCount() == 3
    dialog.findChild(QToolButton, "members.add").click()
    assert dialog.findChild(QComboBox, "members[3].target_id").currentData() == 3
    kinds = dialog.findChild(QComboBox, "members[3].route_type")
    assert [kinds.itemData(place) for place in range(kinds.count())] == ["external_line", "sip_trunk"]
    dialog.findChild(QSpinBox, "members[3].weight").setValue(5)
    dialog.findChild(QToolButton, "members.up").click()
    table.selectRow(0)
    dialog.findChild(QToolButton, "members.remove").click()
    user.press(dialog, OK)
    group = engine.configuration.get(RoutingGroup, 1)
    assert group is not None
    assert group.members == (
        RoutingGroupMember(route_type="sip_trunk", target_id=2, priority=2),
        RoutingGroupMember(route_type="sip_trunk", target_id=3, weight=5),
        RoutingGroupMember(route_type="external_line", target_id=1, priority=3),
    )


def test_a_mistake_in_a_list_names_the_entry(user: User) -> None:
    dialog = user.dialog("routing_groups", "edit", 1)
    dialog.findChild(QSpinBox, "members[1].priority").setValue(0)
    assert user.error(dialog, "members") == "Members, entry 2: must be 1 to 1000"
    user.close_dialogs()


# --- passwords -------------------------------------------------------------------------------------------------------


def test_a_password_is_hidden_until_the_eye_is_pressed(user: User) -> None:
    dialog = user.dialog("local_users", "edit", 1)
    edit = dialog.findChild(QLineEdit, "password")
    assert edit.text() == "a-secret"
    assert edit.echoMode() is QLineEdit.EchoMode.Password
    edit.findChild(QAction, "password.show").trigger()
    assert edit.echoMode() is QLineEdit.EchoMode.Normal
    assert "a-secret" not in dialog.windowTitle()
    user.close_dialogs()


# --- undo ------------------------------------------------------------------------------------------------------------


def test_a_change_is_one_step_with_words_and_can_be_taken_back(user: User, engine: FakeEngine) -> None:
    dialog = user.dialog("sip_trunks", "edit", 2)
    dialog.findChild(QSpinBox, "max_outgoing_calls").setValue(5)
    dialog.findChild(QCheckBox, "tel_uri").setChecked(True)
    user.press(dialog, OK)
    undo, redo = (user.window.findChild(QAction, name) for name in ("edit.undo", "edit.redo"))
    assert undo.text() == "&Undo Change SIP trunk 2"
    undo.trigger()
    trunk = engine.configuration.get(SipTrunk, 2)
    assert trunk is not None
    assert (trunk.max_outgoing_calls, trunk.tel_uri) == (30, False)
    redo.trigger()
    trunk = engine.configuration.get(SipTrunk, 2)
    assert trunk is not None
    assert (trunk.max_outgoing_calls, trunk.tel_uri) == (5, True)


def test_apply_takes_effect_and_leaves_the_form_open(user: User, engine: FakeEngine) -> None:
    dialog = user.dialog("sip_trunks", "add")
    dialog.findChild(QLineEdit, "server_address").setText("192.0.2.50")
    user.press(dialog, APPLY)
    assert dialog.isVisible()
    assert engine.configuration.get(SipTrunk, 5) is not None
    dialog.findChild(QLineEdit, "description").setText("Fifty")
    user.press(dialog, OK)
    trunk = engine.configuration.get(SipTrunk, 5)
    assert trunk is not None
    assert trunk.description == "Fifty"
    assert len(engine.configuration.table("sip_trunks")) == 5


def test_cancel_changes_nothing(user: User, engine: FakeEngine) -> None:
    dialog = user.dialog("sip_trunks", "edit", 1)
    dialog.findChild(QLineEdit, "description").setText("Never mind")
    user.press(dialog, CANCEL)
    assert engine.applied == []


def test_a_change_that_cannot_be_saved_is_told(user: User, engine: FakeEngine) -> None:
    engine.save_error = OSError("the disk is full")
    dialog = user.dialog("sip_trunks", "edit", 1)
    dialog.findChild(QLineEdit, "description").setText("New")
    user.press(dialog, OK)
    assert "could not be saved: the disk is full" in user.window.findChild(QLabel, "notice.text").text()


# --- changed elsewhere -----------------------------------------------------------------------------------------------


def test_what_others_change_meanwhile_is_taken_over_and_told(user: User, engine: FakeEngine) -> None:
    dialog = user.dialog("sip_trunks", "edit", 2)
    dialog.findChild(QLineEdit, "description").setText("Mine")
    trunk = engine.configuration.get(SipTrunk, 2)
    assert trunk is not None
    engine.change_elsewhere(
        Change("sip_trunks", trunk, trunk.model_copy(update={"server_port": 5099, "description": "Theirs"}))
    )
    note = dialog.findChild(QLabel, "note")
    user.qtbot.waitUntil(lambda: "Server port" in note.text())
    assert "Also changed elsewhere: Description" in note.text()
    assert dialog.findChild(QSpinBox, "server_port").value() == 5099
    assert dialog.findChild(QLineEdit, "description").text() == "Mine"
    user.press(dialog, OK)
    trunk = engine.configuration.get(SipTrunk, 2)
    assert trunk is not None
    assert (trunk.description, trunk.server_port) == ("Mine", 5099)


def test_a_record_deleted_elsewhere_can_be_added_again(user: User, engine: FakeEngine) -> None:
    dialog = user.dialog("local_users", "edit", 3)
    engine.change_elsewhere(Change("local_users", engine.configuration.get(LocalUser, 3), None))
    note = dialog.findChild(QLabel, "note")
    user.qtbot.waitUntil(lambda: "deleted elsewhere" in note.text())
    dialog.findChild(QLineEdit, "display_name").setText("Back")
    user.press(dialog, OK)
    assert engine.configuration.users_by_number["102"].display_name == "Back"


def test_a_new_record_moves_on_to_a_free_id(user: User, engine: FakeEngine) -> None:
    dialog = user.dialog("sip_trunks", "add")
    engine.change_elsewhere(Change("sip_trunks", None, SipTrunk(id=5, server_address="192.0.2.5")))
    user.qtbot.waitUntil(lambda: dialog.findChild(QSpinBox, "id").value() == 6)
    user.close_dialogs()


def test_a_copy_says_at_once_what_must_differ(user: User) -> None:
    dialog = user.dialog("analyze_called_numbers", "duplicate", 1)
    assert dialog.findChild(QLineEdit, "prefix").text() == "13"
    assert "13 is already called number record 1" in user.error(dialog, "prefix")
    user.close_dialogs()


# --- what a change would do ------------------------------------------------------------------------------------------


def test_the_preview_shows_the_invite_of_the_form_as_it_stands(user: User) -> None:
    dialog = user.dialog("sip_trunks", "edit", 1)
    text = dialog.findChild(QPlainTextEdit, "preview.text")
    dialog.findChild(QToolButton, "preview.toggle").click()
    assert text.toPlainText().startswith("INVITE sip:135550@192.0.2.8:5060 SIP/2.0")
    dialog.findChild(QLineEdit, "server_address").setText("192.0.2.44")
    user.qtbot.waitUntil(lambda: "@192.0.2.44:5060" in text.toPlainText())
    dialog.findChild(QSpinBox, "max_outgoing_calls").setValue(0)
    user.qtbot.waitUntil(lambda: "no call" in text.toPlainText())
    user.close_dialogs()


def test_running_calls_keep_their_settings_and_the_form_says_so(user: User) -> None:
    dialog = user.dialog("sip_trunks", "edit", 1)
    assert "new calls only; 21 running calls keep" in dialog.findChild(QLabel, "note").text()
    user.close_dialogs()


def test_the_form_says_when_calls_come_and_go_while_it_is_open(user: User, engine: FakeEngine) -> None:
    dialog = user.dialog("sip_trunks", "edit", 2)
    note = dialog.findChild(QLabel, "note")
    assert not note.isVisible()
    engine.set_trunk(replace(engine.trunk_rows[2], active_out=3))
    words = "A change counts for new calls only; 3 running calls keep their old settings."
    user.qtbot.waitUntil(lambda: note.text() == words)
    assert note.isVisible()
    trunk = engine.configuration.get(SipTrunk, 2)
    assert trunk is not None
    engine.change_elsewhere(Change("sip_trunks", trunk, trunk.model_copy(update={"server_port": 5099})))
    user.qtbot.waitUntil(lambda: note.text().startswith("Changed elsewhere"))
    assert note.text().endswith(words)


def test_a_form_that_is_closed_hears_of_no_calls(user: User, engine: FakeEngine) -> None:
    dialog = user.dialog("sip_trunks", "edit", 2)
    dialog.reject()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert not shiboken6.isValid(dialog)
    bridge = user.window.workspace.bridge
    with user.qtbot.waitSignal(bridge.trunks_changed):
        engine.set_trunk(replace(engine.trunk_rows[2], active_out=3))


def test_test_numbers_that_would_go_another_way_are_named_before_it_is_saved(user: User) -> None:
    simulator: Any = user.window.open_page("simulator")
    simulator.fill("user:100", "", "135550")
    simulator.keep_number()
    dialog = user.dialog("analyze_called_numbers", "edit", 1)
    user.choose(dialog, "target_id", 2)
    label = dialog.findChild(QLabel, "routes")
    user.qtbot.waitUntil(lambda: "1 test number would go another way" in label.text())
    assert "135550: before trunk:1" in label.text()
    user.close_dialogs()


def test_what_no_target_means_follows_the_route_type(user: User) -> None:
    """Only a local user is the number itself; a trunk has to be chosen."""
    dialog = user.dialog("analyze_called_numbers", "add")
    target = dialog.findChild(QComboBox, "target_id")
    words = {}
    for kind in ("local_user", "external_line", "sip_trunk", "routing_group"):
        user.choose(dialog, "route_type", kind)
        words[kind] = target.itemText(0)
    assert words == {
        "local_user": "0 - the number itself",
        "external_line": "0 - any free shared line",
        "sip_trunk": "0 - choose one",
        "routing_group": "0 - choose one",
    }
    user.close_dialogs()


@pytest.mark.parametrize("table", ["sip_trunks", "local_users", "analyze_called_numbers"])
def test_no_label_and_no_number_is_cut(user: User, table: str) -> None:
    """A label has room for its words with the underlined letter, a number is as high as the text beside it."""
    dialog = user.dialog(table, "add")
    text_height = dialog.findChild(QLineEdit, "description").height()
    assert all(box.height() >= text_height for box in dialog.findChildren(QSpinBox))
    for row in dialog.form.rows.values():
        words = row.label.text().replace("&", "")
        assert row.label.minimumWidth() > row.label.fontMetrics().horizontalAdvance(words) + 2, words
    user.close_dialogs()


def test_tabs_have_room_for_what_hangs_below_the_line(user: User) -> None:
    """A tab in the background is drawn lower than the one in front."""
    dialog = user.dialog("sip_trunks", "add")
    bar = dialog.findChild(QTabWidget, "tabs").tabBar()
    plain = QTabWidget(dialog)
    for place in range(bar.count()):
        plain.addTab(QWidget(), bar.tabText(place))
    assert bar.sizeHint().height() > plain.tabBar().sizeHint().height()
    user.close_dialogs()


# --- what Undo does not take back ------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [OK, APPLY])
def test_keeping_call_records_for_a_shorter_time_asks_first(
    user: User, engine: FakeEngine, which: QDialogButtonBox.StandardButton
) -> None:
    dialog = user.dialog("system", "edit")
    dialog.findChild(QSpinBox, "call_record_days").setValue(30)
    user.press(dialog, which)
    box = dialog.findChild(QMessageBox, "dialog.consequences")
    assert box.text() == "Call records older than 30 days are deleted. Undo does not bring them back."
    box.findChild(QPushButton, "cancel").click()
    assert engine.applied == []
    assert dialog.isVisible()
    user.press(dialog, which)
    dialog.findChild(QMessageBox, "dialog.consequences").findChild(QPushButton, "agree").click()
    assert engine.configuration.system.call_record_days == 30
    assert dialog.isVisible() is (which is APPLY)


def test_keeping_call_records_longer_asks_nothing(user: User, engine: FakeEngine) -> None:
    dialog = user.dialog("system", "edit")
    dialog.findChild(QSpinBox, "call_record_days").setValue(0)
    user.press(dialog, OK)
    assert engine.configuration.system.call_record_days == 0
    dialog = user.dialog("system", "edit")
    dialog.findChild(QSpinBox, "call_record_days").setValue(400)
    user.press(dialog, OK)
    assert "older than 400 days" in dialog.findChild(QMessageBox, "dialog.consequences").text()


def test_moving_the_server_names_the_calls_that_it_loses(user: User, engine: FakeEngine) -> None:
    dialog = user.dialog("system", "edit")
    dialog.findChild(QSpinBox, "sip_udp_port").setValue(5070)
    user.press(dialog, OK)
    assert "4 calls are in progress" in dialog.findChild(QMessageBox, "dialog.consequences").text()
    dialog.findChild(QMessageBox, "dialog.consequences").findChild(QPushButton, "cancel").click()
    engine.rows.clear()
    user.press(dialog, OK)
    assert engine.configuration.system.sip_udp_port == 5070
