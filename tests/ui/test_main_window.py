"""The main window: its names, menus, pages, closing, layout, notices and status bar."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QTabBar,
    QTableView,
    QTabWidget,
    QTextBrowser,
    QToolBar,
    QToolButton,
    QTreeWidget,
    QWidget,
)
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine

from app.events import Alarm, EngineChanged, EngineState, Sampled, Severity
from app.records import TABLES, Change, SipTrunk, System, fields_of
from ui.help import PAGE_TOPICS, TOPICS, reference, topic_text
from ui.main_window import MainWindow
from ui.pages import PAGES
from ui.settings import Settings
from ui.status_line import listening_words
from ui.theme import Theme
from ui.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]

ACTIONS = (
    *(f"file.{name}" for name in ("import", "export", "backup", "exit")),
    *(f"edit.{name}" for name in ("undo", "redo", "duplicate", "delete", "find")),
    *(f"data.{name}" for name in ("system", "local_users", "external_lines", "sip_trunks")),
    "dial_plan.analyze_caller_numbers",
    "dial_plan.analyze_called_numbers",
    "dial_plan.refine_caller_numbers",
    "dial_plan.refine_called_numbers",
    "dial_plan.number_transitions",
    "dial_plan.routing_groups",
    "dial_plan.simulator",
    "services.number_lists",
    "services.address_lists",
    *(f"monitor.{name}" for name in ("overview", "live_calls", "trunk_status", "line_status", "rejected_sources")),
    *(f"monitor.{name}" for name in ("bans", "alarms", "call_records")),
    "tools.refresh_dns",
    "tools.trunk_wizard",
    "tools.server",
    "view.toolbar",
    "view.history",
    *(f"help.{name}" for name in ("contents", "shortcuts", "reference", "data_folder", "about")),
)
"""The contract: programs find them by these names."""


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_of_the_contract_is_there_with_words_and_an_icon(window: MainWindow, name: str) -> None:
    action = window.findChild(QAction, name)
    assert action is not None
    assert action.text()
    assert not action.icon().isNull() or name in ("edit.paste", "view.toolbar", "view.history")


def test_menus_stand_in_their_order(window: MainWindow) -> None:
    titles = [action.text().replace("&", "") for action in window.menuBar().actions()]
    assert titles == ["File", "Edit", "View", "Data", "Dial plan", "Services", "Monitor", "Tools", "Help"]


def test_every_page_opens_by_its_action_once(window: MainWindow) -> None:
    tabs = window.findChild(QTabWidget, "pages")
    for entry in PAGES.values():
        for _ in range(2):
            window.findChild(QAction, entry.action).trigger()
            assert window.current_page().objectName() == f"page.{entry.name}"  # type: ignore[union-attr]
    assert tabs.count() == len(PAGES)


def test_every_table_page_has_a_table_by_name(window: MainWindow) -> None:
    for name in (
        *TABLES,
        "system",
        "live_calls",
        "trunk_status",
        "line_status",
        "rejected_sources",
        "bans",
        "alarms",
        "call_records",
    ):
        page = window.open_page(name)
        assert isinstance(page.findChild(QTableView, "table"), QTableView), name


def test_no_shortcut_of_the_window_is_used_twice(window: MainWindow) -> None:
    seen: dict[str, str] = {}
    for name, action in window.actions_by_name.items():
        for shortcut in action.shortcuts():
            text = shortcut.toString(QKeySequence.SequenceFormat.PortableText)
            assert text not in seen, f"{name} and {seen.get(text)}: {text}"
            seen[text] = name


def test_no_two_entries_of_a_menu_share_a_mnemonic(window: MainWindow) -> None:
    for top in window.menuBar().actions():
        seen: dict[str, str] = {}
        for action in top.menu().actions():  # type: ignore[union-attr]
            text = action.text().split("\t")[0]
            if "&" in text:
                key = text[text.index("&") + 1].lower()
                assert key not in seen, f"{top.text()}: {text} and {seen.get(key)}"
                seen[key] = text


def test_everything_a_person_can_act_on_has_a_name_for_screen_readers(window: MainWindow) -> None:
    for name in PAGES:
        page = window.open_page(name)
        for view in page.findChildren(QTableView):
            assert view.accessibleName(), f"{name}: {view.objectName()}"
        for button in page.findChildren(QToolButton):
            if button.isVisible() and not isinstance(button.parent(), QLineEdit):
                assert button.text() or button.accessibleName(), name


# --- the edit menu ---------------------------------------------------------------------------------------------------


def test_everything_a_program_can_act_on_has_an_object_name(window: MainWindow) -> None:
    """Only what Qt itself puts into a field or a tool bar has Qt's names, or its action's."""
    for name in PAGES:
        window.open_page(name)
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    actions = [each for each in window.findChildren(QAction) if not each.isSeparator()]
    own = [each for each in actions if each.menu() is None or each.text()]
    assert [each.text() for each in own if not each.objectName()] == []
    kinds = QLineEdit | QComboBox | QAbstractSpinBox | QAbstractButton | QTableView
    parts = [each for each in window.findChildren(QWidget) if isinstance(each, kinds)]
    inside = QLineEdit | QComboBox | QAbstractSpinBox | QToolBar | QTabBar | QTableView
    nameless = [each for each in parts if not each.objectName() and not isinstance(each.parent(), inside)]
    assert [(each.accessibleName(), each.parent().objectName()) for each in nameless] == []


def test_the_edit_menu_does_what_the_page_in_front_can(window: MainWindow, engine: FakeEngine) -> None:
    page: Any = window.open_page("number_lists")
    page.view.select_keys([2])
    window.findChild(QAction, "edit.toggle").trigger()
    assert not engine.configuration.find("number_lists", 2).enabled  # type: ignore[union-attr]
    window.findChild(QAction, "edit.delete").trigger()
    assert engine.configuration.find("number_lists", 2) is None
    window.open_page("overview")
    window.findChild(QAction, "edit.delete").trigger()
    assert len(engine.applied) == 2


# --- closing ---------------------------------------------------------------------------------------------------------


def test_closing_with_calls_asks_first(window: MainWindow, engine: FakeEngine, qtbot: QtBot) -> None:
    closing: list[bool] = []
    window.closing.connect(lambda: closing.append(True))
    window.close()
    box = window.findChild(QMessageBox, "dialog.close")
    assert "4 calls are in progress" in box.text()
    box.findChild(QPushButton, "cancel").click()
    assert window.isVisible()
    assert closing == []
    window.findChild(QAction, "file.exit").trigger()
    window.findChild(QMessageBox, "dialog.close").findChild(QPushButton, "end").click()
    assert closing == [True]
    assert window.isVisible()
    window.finish()
    assert not window.isVisible()


def test_closing_without_calls_asks_nothing_and_waits_for_the_server(window: MainWindow, engine: FakeEngine) -> None:
    engine.rows.clear()
    closing: list[bool] = []
    window.closing.connect(lambda: closing.append(True))
    window.close()
    window.close()
    assert closing == [True]
    assert window.isVisible()


# --- what is remembered ----------------------------------------------------------------------------------------------


def test_pages_size_and_columns_come_back_at_the_next_start(
    window: MainWindow, engine: FakeEngine, workspace: Workspace, tmp_path: Path, qtbot: QtBot
) -> None:
    engine.rows.clear()
    window.resize(780, 520)
    for name in ("live_calls", "sip_trunks", "system"):
        window.open_page(name)
    window.open_page("live_calls")
    window.end()
    workspace.settings = Settings(tmp_path / "window.ini")
    again = MainWindow(workspace)
    qtbot.addWidget(again)
    assert [again.tabs.widget(place).objectName() for place in range(again.tabs.count())] == [
        "page.sip_trunks",
        "page.live_calls",
        "page.system",
    ]
    assert again.current_page().objectName() == "page.live_calls"  # type: ignore[union-attr]
    assert again.size() == window.size()
    again.finish()


def test_what_another_version_remembered_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "window.ini"
    path.write_text("[General]\nversion=0\ntheme=dark\n", encoding="utf-8")
    assert Settings(path).text("theme", "system") == "system"


def test_the_users_own_settings_are_never_touched_by_tests(workspace: Workspace, tmp_path: Path) -> None:
    assert Path(workspace.settings._store.fileName()).parent == tmp_path


def test_resetting_the_layout_brings_docks_and_columns_back(window: MainWindow) -> None:
    page: Any = window.open_page("sip_trunks")
    page.view.show_column(page.model.column_index("codecs"), True)
    window.navigation.hide()
    window.findChild(QAction, "view.reset_layout").trigger()
    assert window.navigation.isVisible()
    assert page.view.isColumnHidden(page.model.column_index("codecs"))


def test_a_closed_page_comes_back_as_it_was(window: MainWindow) -> None:
    page: Any = window.open_page("sip_trunks")
    page.filter.setText("carrier")
    window.findChild(QAction, "view.close_page").trigger()
    assert window.tabs.indexOf(page) < 0
    assert window.open_page("sip_trunks") is page
    assert page.filter.text() == "carrier"


# --- navigation, status, notices, trouble ----------------------------------------------------------------------------


def test_the_navigation_opens_pages_and_marks_the_open_one(window: MainWindow) -> None:
    window.navigation.wanted.emit("bans")
    assert window.current_page().objectName() == "page.bans"  # type: ignore[union-attr]
    tree: Any = window.navigation.widget()
    assert tree.currentItem().text(0) == "Bans"


def test_the_status_bar_says_what_the_server_does(window: MainWindow, engine: FakeEngine, qtbot: QtBot) -> None:
    def text(name: str) -> str:
        return str(window.findChild(QLabel, f"status.{name}").text())

    assert text("engine") == "Running"
    assert text("listeners") == "Listening on UDP, TCP 0.0.0.0:5060"
    sample = replace(engine.sample_rows[-1], calls=1, registered=2, calls_per_second=3.5)
    engine.events.publish(Sampled(sample))
    qtbot.waitUntil(lambda: text("calls") == "1 call")
    assert (text("phones"), text("calls_per_second")) == ("2 phones", "3.5 calls/s")
    assert (
        listening_words(["udp:192.0.2.1:5060", "tls:[::1]:5061"]) == "Listening on UDP 192.0.2.1:5060; TLS [::1]:5061"
    )


def test_a_new_problem_stands_where_its_severity_belongs(window: MainWindow, engine: FakeEngine) -> None:
    window.open_problems()
    view = window.problems.view
    last = window.problems.model.rows()[-1]
    assert last.severity is Severity.INFORMATION
    view.select_keys([last])
    user = engine.configuration.find("local_users", 1)
    assert user is not None
    changed = user.model_copy(update={"password": "100"})
    window.workspace.history.perform("Change", [Change("local_users", user, changed)])
    shown = [row.severity for row in window.problems.model.rows()]
    assert shown == [Severity.ERROR, Severity.WARNING, Severity.WARNING, Severity.INFORMATION]
    assert view.current_key() == last


def test_the_count_of_problems_leads_to_their_list_and_that_to_the_record(window: MainWindow, qtbot: QtBot) -> None:
    button = window.findChild(QToolButton, "status.problems")
    assert button.text() == "2 problems"
    button.click()
    assert window.problems.isVisible()
    problem = next(row for row in window.problems.model.rows() if row.record_id == 4)
    view = window.problems.view
    place = view.visualRect(view.rows.index(view.rows.position(problem), 1)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    page: Any = window.current_page()
    assert page.objectName() == "page.analyze_called_numbers"
    assert page.view.selected_keys() == [4]
    # The focus is in the cell that has to be mended: F2 edits it.
    assert page.model.columns[page.view.currentIndex().column()].name == problem.field == "target_id"


def test_a_server_that_does_not_start_says_why_and_can_try_again(
    window: MainWindow, engine: FakeEngine, qtbot: QtBot
) -> None:
    wanted: list[bool] = []
    window.start_wanted.connect(lambda: wanted.append(True))
    engine.state, engine.trouble, engine.listeners = EngineState.FAILED, "Port 5060 is used by another program.", ()
    engine.events.publish(EngineChanged(engine.state, (), engine.trouble))
    banner = window.findChild(QLabel, "banner.text")
    qtbot.waitUntil(banner.isVisible)
    assert banner.text() == "The server is not running. Port 5060 is used by another program."
    assert window.findChild(QLabel, "status.engine").text() == "Not running"
    window.findChild(QPushButton, "banner.retry").click()
    assert wanted == [True]
    window.findChild(QPushButton, "banner.system").click()
    dialog = window.findChild(QDialog, "dialog.system")
    assert dialog.isVisible()
    dialog.reject()
    engine.can_save = False
    engine.events.publish(EngineChanged(engine.state, (), engine.trouble))
    qtbot.waitUntil(window.findChild(QPushButton, "banner.system").isHidden)
    engine.state, engine.trouble = EngineState.RUNNING, ""
    engine.events.publish(EngineChanged(engine.state, (), ""))
    qtbot.waitUntil(lambda: not banner.isVisible())


def test_alarms_are_told_in_passing_rolled_up(window: MainWindow, engine: FakeEngine, qtbot: QtBot) -> None:
    for number in range(3):
        engine.events.publish(Alarm(Severity.ERROR, "trunk_down", f"SIP trunk {number} is down", float(number)))
    text = window.findChild(QLabel, "notice.text")
    qtbot.waitUntil(lambda: "is down" in text.text())
    assert text.text() == "SIP trunk 2 is down, 2 others"


def test_a_configuration_that_comes_with_the_start_is_shown(
    window: MainWindow, engine: FakeEngine, qtbot: QtBot
) -> None:
    page: Any = window.open_page("sip_trunks")
    trunk = SipTrunk(id=77, server_address="192.0.2.77")
    # As at a start: the configuration is there before anybody is told.
    engine.configuration = engine.configuration.with_changes([Change("sip_trunks", None, trunk)])
    engine._refresh()
    engine.events.publish(EngineChanged(EngineState.RUNNING, engine.listeners))
    qtbot.waitUntil(lambda: page.model.position(77) >= 0)


# --- theme and help --------------------------------------------------------------------------------------------------


def test_light_and_dark_can_be_switched_at_any_time(window: MainWindow, theme: Theme) -> None:
    for name in PAGES:
        window.open_page(name)
    window.findChild(QAction, "view.theme.dark").trigger()
    assert theme.dark
    assert window.palette().window().color().lightness() < 60
    window.findChild(QAction, "view.theme.light").trigger()
    assert not theme.dark
    assert window.workspace.settings.text("theme") == "light"


def test_f1_opens_the_help_on_the_page_in_front(window: MainWindow) -> None:
    for name in ("sip_trunks", "live_calls"):
        window.open_page(name)
        window.findChild(QAction, "help.contents").trigger()
        dialog = window.findChild(QDialog, "dialog.help")
        assert dialog.isVisible()
        text = dialog.findChild(QTextBrowser, "text").toPlainText()
        assert ("Unified caller number" if name == "sip_trunks" else "Watching calls") in text


@pytest.mark.parametrize("model", [System, *TABLES.values()])
def test_the_reference_tells_of_every_field(model: type[System]) -> None:
    text = reference(model)
    for field in fields_of(model):
        assert f"<code>{field.name}</code>" in text


def test_every_topic_has_a_text_and_every_page_a_topic() -> None:
    for name in TOPICS:
        assert topic_text(name).startswith("# ")
    for name in PAGES:
        assert PAGE_TOPICS.get(name, name) in (*TOPICS, System.table, *TABLES)


def test_about_and_the_data_folder_tell_where_things_are(window: MainWindow, engine: FakeEngine) -> None:
    window.findChild(QAction, "help.about").trigger()
    box = window.findChild(QMessageBox, "dialog.message")
    assert str(engine.data_directory) in box.informativeText()


# --- what the code of the window may not do --------------------------------------------------------------------------


def test_nothing_in_the_window_runs_a_nested_loop() -> None:
    forbidden = {"exec", "exec_", "processEvents", "getOpenFileName", "getSaveFileName", "waitForDone", "question"}
    for path in (ROOT / "ui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                assert node.attr not in forbidden, f"{path.name}:{node.lineno}: {node.attr}"


def test_keyboard_reaches_the_next_page(window: MainWindow, qtbot: QtBot) -> None:
    window.activateWindow()
    window.open_page("bans")
    window.open_page("sip_trunks")
    first = window.tabs.widget(0)
    qtbot.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.current_page() is first)


def test_a_widget_of_every_page_takes_the_focus(window: MainWindow) -> None:
    for name in PAGES:
        page = window.open_page(name)
        assert any(
            widget.focusPolicy() & Qt.FocusPolicy.TabFocus
            for widget in page.findChildren(QWidget)
            if widget.isVisible()
        ), name


def test_a_page_that_is_opened_has_the_focus_in_its_table(window: MainWindow, qtbot: QtBot) -> None:
    """However it was opened, Insert, Return and Delete are the table's, and not the filter's or the navigation's."""
    tree = window.findChild(QTreeWidget, "navigation")
    window.activateWindow()
    for name in ("local_users", "sip_trunks", "bans"):
        item = tree.findItems(PAGES[name].title, Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive)[0]
        qtbot.mouseClick(tree.viewport(), Qt.MouseButton.LeftButton, pos=tree.visualItemRect(item).center(), delay=1)
        assert window.focusWidget() is window.open_page(name).findChild(QTableView, "table")
    window.actions_by_name["data.local_users"].trigger()
    table = window.current_page().findChild(QTableView, "table")
    assert window.focusWidget() is table
    window.tabs.setCurrentIndex(0)
    assert window.focusWidget() is window.current_page().findChild(QTableView, "table")
    window.actions_by_name["dial_plan.simulator"].trigger()
    assert window.focusWidget().objectName() == "called"


def test_the_system_record_can_be_edited_at_once(window: MainWindow) -> None:
    """There is one row, and nothing to choose."""
    page = window.open_page("system")
    assert page.findChild(QAction, "edit").isEnabled()
    assert not page.findChild(QAction, "delete").isEnabled()


def test_a_new_window_fits_on_the_screen(workspace: Workspace, qtbot: QtBot) -> None:
    """The status bar says where the server listens: it must be in sight on a small screen, too."""
    window = MainWindow(workspace)
    qtbot.addWidget(window)
    room = window.screen().availableSize()
    assert window.height() <= room.height() - 60
    assert window.width() <= room.width() - 40
    window.finish()


def test_every_page_fits_on_a_small_screen(window: MainWindow) -> None:
    """1280x720 at 150 percent: what has no room is cut or scrolled, and the window's edges stay in sight."""
    for name in PAGES:
        window.open_page(name)
    hint = window.minimumSizeHint()
    assert hint.width() <= 853
    assert hint.height() <= 480


# --- the history -----------------------------------------------------------------------------------------------------


def test_the_history_lists_every_change_and_goes_back_to_one(window: MainWindow, engine: FakeEngine) -> None:
    dock = window.findChild(QWidget, "dock.history")
    assert not dock.isVisible()
    window.findChild(QAction, "view.history").trigger()
    assert dock.isVisible()
    before = engine.configuration
    page: Any = window.open_page("number_lists")
    for number in (1, 2):
        page.view.select_keys([number])
        page.delete()
    model = window.history.view.model()
    words = [model.index(row, 0).data() for row in range(model.rowCount())]
    assert words == ["As it was at the start", "Delete number list entry 1", "Delete number list entry 2"]
    window.history.view.setCurrentIndex(model.index(0, 0))
    assert engine.configuration == before


# --- start and stop --------------------------------------------------------------------------------------------------


def test_stopping_the_server_asks_and_starting_does_not(window: MainWindow, engine: FakeEngine, qtbot: QtBot) -> None:
    wanted: list[str] = []
    window.stop_wanted.connect(lambda: wanted.append("stop"))
    window.start_wanted.connect(lambda: wanted.append("start"))
    action = window.findChild(QAction, "tools.server")
    assert action.text() == "&Stop the server..."
    action.trigger()
    box = window.findChild(QMessageBox, "dialog.stop")
    assert box.text() == "4 calls are in progress and end with it. Nobody can call until the server is started again."
    box.findChild(QPushButton, "cancel").click()
    assert wanted == []
    action.trigger()
    window.findChild(QMessageBox, "dialog.stop").findChild(QPushButton, "stop").click()
    assert wanted == ["stop"]
    engine.state = EngineState.STOPPING
    engine.events.publish(EngineChanged(engine.state, (), ""))
    qtbot.waitUntil(lambda: not action.isEnabled())
    engine.state = EngineState.STOPPED
    engine.events.publish(EngineChanged(engine.state, (), ""))
    qtbot.waitUntil(action.isEnabled)
    assert action.text() == "&Start the server"
    assert window.findChild(QLabel, "banner.text").text().startswith("The server is stopped: nobody can call")
    window.findChild(QPushButton, "banner.retry").click()
    action.trigger()
    assert wanted == ["stop", "start", "start"]
