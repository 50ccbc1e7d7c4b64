"""The toolbar of the window: it follows the page in front; its search finds pages and records."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QDialog, QLabel, QLineEdit, QToolBar, QToolButton
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine

from app.calls.destinations import LookedUp
from app.events import EngineState
from app.records import AnalyzeCalledNumber, Change, Configuration, System
from ui.finding import MOST_FOUND, Found, find
from ui.inquiry import SMALL, Inquiry
from ui.main_window import MainWindow
from ui.workspace import Workspace


def button(window: MainWindow, name: str) -> QToolButton:
    bar = window.findChild(QToolBar, "toolbar")
    found: Any = bar.widgetForAction(window.findChild(QAction, name))
    return found


def press(window: MainWindow, name: str, qtbot: QtBot) -> None:
    assert button(window, name).isEnabled(), name
    qtbot.mouseClick(button(window, name), Qt.MouseButton.LeftButton)


def test_every_button_has_an_icon_and_words(window: MainWindow) -> None:
    bar = window.findChild(QToolBar, "toolbar")
    assert bar.toolButtonStyle() is Qt.ToolButtonStyle.ToolButtonTextBesideIcon
    names = ("edit.add", "edit.edit", "edit.duplicate", "edit.delete", "edit.toggle")
    for name in ("tools.server", *names, "tools.refresh_dns", "dial_plan.simulator"):
        each = button(window, name)
        assert not each.icon().isNull(), name
        assert each.text(), name
        assert "\t" not in each.text() + each.toolTip(), name


def test_the_server_is_stopped_and_started_by_its_button(window: MainWindow, engine: FakeEngine, qtbot: QtBot) -> None:
    assert button(window, "tools.server").text() == "Stop"
    press(window, "tools.server", qtbot)
    box = window.findChild(QDialog, "dialog.stop")
    assert box is not None
    box.reject()
    window.menus.show_server_state(EngineState.STOPPED)
    assert button(window, "tools.server").text() == "Start"


def test_the_buttons_follow_the_page_and_its_selection(window: MainWindow) -> None:
    page: Any = window.open_page("sip_trunks")
    page.view.clearSelection()
    assert button(window, "edit.add").isEnabled()
    assert not button(window, "edit.delete").isEnabled()
    page.view.select_keys([1])
    assert button(window, "edit.delete").isEnabled()
    assert button(window, "edit.edit").isEnabled()
    window.open_page("overview")
    assert not button(window, "edit.add").isEnabled()
    assert not button(window, "edit.delete").isEnabled()
    window.open_page("sip_trunks")
    assert button(window, "edit.delete").isEnabled()


def test_pressing_does_what_the_page_does(window: MainWindow, engine: FakeEngine, qtbot: QtBot) -> None:
    page: Any = window.open_page("number_lists")
    press(window, "edit.add", qtbot)
    window.findChild(QDialog, "dialog.number_lists").reject()
    page.view.select_keys([2])
    press(window, "edit.toggle", qtbot)
    assert not engine.configuration.find("number_lists", 2).enabled  # type: ignore[union-attr]
    press(window, "edit.delete", qtbot)
    assert engine.configuration.find("number_lists", 2) is None
    press(window, "dial_plan.simulator", qtbot)
    assert window.current_page().objectName() == "page.simulator"  # type: ignore[union-attr]


def test_a_page_does_not_repeat_the_buttons_of_the_window(window: MainWindow) -> None:
    page: Any = window.open_page("sip_trunks")
    names = {action.objectName() for action in page.toolbar.actions()}
    assert names.isdisjoint({"add", "edit", "duplicate", "delete", "enable", "disable", "toggle"})
    assert page.commands["add"].parent() is page


def test_in_a_small_window_the_words_go_and_the_search_stays(window: MainWindow, qtbot: QtBot) -> None:
    box = window.findChild(QLineEdit, "search")
    window.resize(760, 560)
    qtbot.waitUntil(lambda: window.tool_bar.toolButtonStyle() is Qt.ToolButtonStyle.ToolButtonIconOnly)
    qtbot.waitUntil(box.isVisible)
    for name in ("edit.add", "tools.refresh_dns", "dial_plan.simulator"):
        assert button(window, name).isVisible()
        assert button(window, name).toolTip()
    window.resize(1280, 800)
    qtbot.waitUntil(lambda: window.tool_bar.toolButtonStyle() is Qt.ToolButtonStyle.ToolButtonTextBesideIcon)


def test_the_toolbar_can_be_hidden_and_comes_back_with_the_layout(window: MainWindow) -> None:
    bar = window.findChild(QToolBar, "toolbar")
    window.findChild(QAction, "view.toolbar").trigger()
    assert not bar.isVisible()
    window.reset_layout()
    assert bar.isVisible()


def test_a_layout_from_before_the_toolbar_shows_it(workspace: Workspace, qtbot: QtBot, tmp_path: Path) -> None:
    old = MainWindow(workspace)
    bar = old.findChild(QToolBar, "toolbar")
    old.removeToolBar(bar)
    workspace.settings.set_state("window/state", old.saveState())
    window = MainWindow(workspace)
    window.show()
    assert window.findChild(QToolBar, "toolbar").isVisible()
    for each in (old, window):
        each.finish()
        each.deleteLater()


# --- DNS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((), "No trunk or line has a host name: there is nothing to look up."),
        ((LookedUp("a.example", ("192.0.2.1",), ""),), "1 host name looked up."),
        (
            (LookedUp("a.example", ("192.0.2.1",), ""), LookedUp("b.example", (), "there is no such name")),
            "Not looked up: b.example: there is no such name. 1 host name looked up.",
        ),
    ],
)
def test_refreshing_dns_tells_what_came_out(
    window: MainWindow, engine: FakeEngine, qtbot: QtBot, answer: tuple[LookedUp, ...], words: str
) -> None:
    engine.looked_up = answer
    press(window, "tools.refresh_dns", qtbot)
    assert window.findChild(QLabel, "notice.text").text() == words


def test_f5_on_the_trunks_looks_names_up(window: MainWindow, engine: FakeEngine, qtbot: QtBot) -> None:
    engine.looked_up = (LookedUp("a.example", ("192.0.2.1",), ""),)
    window.activateWindow()
    page: Any = window.open_page("sip_trunks")
    qtbot.waitUntil(page.view.hasFocus)
    qtbot.keyClick(page.view, Qt.Key.Key_F5)
    assert window.findChild(QLabel, "notice.text").text() == "1 host name looked up."


# --- the search ------------------------------------------------------------------------------------------------------


def test_records_and_pages_are_found_by_any_word_but_never_by_a_password(engine: FakeEngine) -> None:
    configuration = engine.configuration
    assert find("", configuration) == ()
    assert find("trunk sta", configuration)[0] == Found("Trunk status", "trunk_status")
    assert find("carrier b", configuration)[0] == Found("SIP trunk 2 - Carrier B (198.51.100.20:5080)", "sip_trunks", 2)
    assert find("198.51.100.20", configuration)[0].record_id == 2
    assert find("a-secret", configuration) == ()


def test_what_fits_exactly_comes_first_and_the_list_is_bounded(engine: FakeEngine) -> None:
    records = [
        AnalyzeCalledNumber(id=number, prefix=f"77{number}", route_type="sip_trunk", target_id=1)
        for number in range(100, 2000)
    ]
    configuration = engine.configuration.with_changes([Change(each.table, None, each) for each in records])
    found = find("77555", configuration)
    assert [each.record_id for each in found] == [555]
    assert len(find("77", configuration)) == MOST_FOUND


def search(window: MainWindow, qtbot: QtBot, words: str) -> QLineEdit:
    box = window.findChild(QLineEdit, "search")
    window.activateWindow()
    box.setFocus()
    qtbot.waitUntil(box.hasFocus)
    qtbot.keyClicks(box, words)
    return box


def test_enter_opens_what_is_found_first(window: MainWindow, qtbot: QtBot) -> None:
    box = search(window, qtbot, "carrier b")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    page: Any = window.current_page()
    assert page.objectName() == "page.sip_trunks"
    assert page.view.selected_keys() == [2]
    qtbot.waitUntil(lambda: box.text() == "")


def test_one_of_the_list_is_chosen_by_the_arrows(window: MainWindow, qtbot: QtBot) -> None:
    box: Any = search(window, qtbot, "135550")
    popup: Any = box.completer() or box._list.popup()
    qtbot.waitUntil(popup.isVisible)
    assert popup.width() >= popup.sizeHintForColumn(0), "no word is cut"
    words = [box.found.item(row).text() for row in range(box.found.rowCount())]
    assert words[-1] == "Simulate a call to 135550"
    for _ in words:
        qtbot.keyClick(popup, Qt.Key.Key_Down)
    qtbot.keyClick(popup, Qt.Key.Key_Return)
    page: Any = window.current_page()
    assert page.objectName() == "page.simulator"
    assert page.called.text() == "135550"
    qtbot.waitUntil(lambda: box.text() == "")


def test_enter_without_words_opens_nothing_later(window: MainWindow, qtbot: QtBot) -> None:
    box: Any = search(window, qtbot, "")
    page = window.current_page()
    qtbot.keyClick(box, Qt.Key.Key_Return)
    qtbot.keyClicks(box, "simulator")
    qtbot.waitUntil(lambda: box.found.rowCount() > 0)
    assert window.current_page() is page
    assert box.text() == "simulator"


def test_the_answer_is_for_the_words_of_now_in_a_large_configuration(qtbot: QtBot) -> None:
    """Other words are asked about while the first answer is on its way."""
    prefixes = {number: AnalyzeCalledNumber(id=number, prefix=str(number)) for number in range(1, SMALL + 2)}
    configuration = Configuration(System(), {AnalyzeCalledNumber.table: prefixes})
    words, asked, go_on = ["first"], [], threading.Event()

    def question(_configuration: Configuration) -> str:
        asked.append(words[0])
        go_on.wait(10)
        return asked[-1]

    inquiry = Inquiry(question)
    answers: list[str] = []
    inquiry.answered.connect(answers.append)
    inquiry.ask_again(configuration)
    qtbot.waitUntil(lambda: asked == ["first"])
    words[0] = "second"
    inquiry.ask_again(configuration)
    go_on.set()
    qtbot.waitUntil(lambda: answers == ["second"])


def test_what_is_nowhere_is_said(window: MainWindow, qtbot: QtBot) -> None:
    box: Any = search(window, qtbot, "zebra")
    qtbot.waitUntil(lambda: box.found.rowCount() == 1)
    assert box.found.item(0).text() == "Nothing holds these words"
    before = window.current_page()
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert window.current_page() is before


def test_ctrl_k_goes_to_the_search(window: MainWindow, qtbot: QtBot) -> None:
    window.activateWindow()
    page: Any = window.open_page("sip_trunks")
    qtbot.waitUntil(page.view.hasFocus)
    qtbot.keyClick(page.view, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    box = window.findChild(QLineEdit, "search")
    qtbot.waitUntil(box.hasFocus)
    window.findChild(QAction, "view.toolbar").trigger()
    assert not box.isVisible()
    page.view.setFocus()
    qtbot.keyClick(page.view, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(box.hasFocus)
