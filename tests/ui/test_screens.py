"""Every page and dialog, light and dark, as a picture that a person can look through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QDialog, QLabel, QLineEdit, QMessageBox, QPushButton, QSpinBox, QToolButton, QWidget
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine
from support.letters import underlined_letters

from app.events import EngineChanged
from app.records import Configuration
from ui.bridge import Bridge
from ui.main_window import MainWindow
from ui.pages import PAGES
from ui.settings import Settings
from ui.theme import Theme, ThemeMode
from ui.workspace import Workspace

Screenshot = Callable[[QWidget, str], QPixmap]


@pytest.mark.parametrize("mode", [ThemeMode.LIGHT, ThemeMode.DARK])
def test_every_page_opens(window: MainWindow, screenshot: Screenshot, qtbot: QtBot, mode: ThemeMode) -> None:
    window.set_theme(mode)
    window.resize(1360, 840)
    for entry in PAGES.values():
        window.actions_by_name[entry.action].trigger()
        page = window.findChild(QWidget, f"page.{entry.name}")
        assert page is not None
        assert page.isVisible(), entry.name
        view = getattr(page, "view", None)
        if view is not None and view.rows.rowCount():
            view.selectRow(0)
        if entry.name == "simulator":
            page.fill("user:100", "", "0108888")
        qtbot.wait(30)
        letters = underlined_letters(window)
        assert letters == sorted(set(letters)), entry.name
        screenshot(window, f"{mode}-{entry.name}")


@pytest.mark.parametrize("mode", [ThemeMode.LIGHT, ThemeMode.DARK])
def test_every_form_opens(window: MainWindow, screenshot: Screenshot, qtbot: QtBot, mode: ThemeMode) -> None:
    window.set_theme(mode)
    for entry in PAGES.values():
        page = window.open_page(entry.name)
        commands = getattr(page, "commands", {})
        if "edit" not in commands:
            continue
        page.view.selectRow(0)
        commands["edit"].trigger()
        dialog = window.findChild(QDialog, f"dialog.{entry.name}")
        tabs = dialog.form.tabs
        for place in range(tabs.count()):
            tabs.setCurrentIndex(place)
            qtbot.wait(10)
            letters = underlined_letters(dialog)
            assert letters == sorted(set(letters)), (entry.name, place)
            screenshot(dialog, f"{mode}-dialog-{entry.name}-{place}")
        dialog.reject()


@pytest.mark.parametrize("mode", [ThemeMode.LIGHT, ThemeMode.DARK])
def test_everything_else_opens(
    window: MainWindow, engine: FakeEngine, screenshot: Screenshot, qtbot: QtBot, mode: ThemeMode
) -> None:
    window.set_theme(mode)
    window.resize(1200, 760)
    page = window.open_page("sip_trunks")
    page.commands["add"].trigger()
    dialog = window.findChild(QDialog, "dialog.sip_trunks")
    dialog.findChild(QLineEdit, "server_address").setText("192.0.2")
    dialog.findChild(QSpinBox, "server_port").setValue(70000)
    qtbot.wait(200)
    screenshot(dialog, f"{mode}-mistakes")
    dialog.findChild(QLineEdit, "server_address").setText("192.0.2.99")
    dialog.findChild(QSpinBox, "server_port").setValue(5060)
    dialog.findChild(QToolButton, "preview.toggle").click()
    qtbot.wait(200)
    screenshot(dialog, f"{mode}-preview")
    dialog.reject()
    page.view.select_keys([1])
    page.commands["delete"].trigger()
    box = window.findChild(QMessageBox, "dialog.references")
    qtbot.wait(20)
    screenshot(box, f"{mode}-references")
    box.findChild(QPushButton, "clear").click()
    window.open_problems()
    engine.trouble = "SIP over TLS is off: port 5061 is used by another program"
    engine.events.publish(EngineChanged(engine.state, engine.listeners, engine.trouble))
    qtbot.wait(300)
    screenshot(window, f"{mode}-notice-and-problems")
    simulator = window.open_page("simulator")
    for number in ("13555", "0108888", "2222"):
        simulator.fill("user:100", "", number)
        simulator.keep_number()
    simulator.fill("user:100", "", "9001")
    qtbot.wait(50)
    screenshot(window, f"{mode}-simulator-refused")
    window.resize(800, 560)
    qtbot.wait(50)
    screenshot(window, f"{mode}-small")
    for name in ("help.contents", "file.import", "file.export"):
        window.actions_by_name[name].trigger()
    qtbot.wait(50)
    for name in ("help", "import", "export"):
        screenshot(window.findChild(QDialog, f"dialog.{name}"), f"{mode}-{name}")
    page = window.open_page("live_calls")
    page.view.selectRow(0)
    page.commands["ladder"].trigger()
    qtbot.wait(50)
    screenshot(window.findChild(QDialog, "dialog.ladder"), f"{mode}-ladder")
    for each in window.findChildren(QDialog):
        each.close()


def test_empty_pages_say_how_to_begin(qtbot: QtBot, theme: Theme, tmp_path: Path, screenshot: Screenshot) -> None:
    engine = FakeEngine(Configuration())
    bridge = Bridge(engine.events)
    window = MainWindow(Workspace(engine, bridge, Settings(tmp_path / "window.ini"), theme))
    window.show()
    for name in ("sip_trunks", "live_calls", "overview", "call_records"):
        page = window.open_page(name)
        qtbot.wait(30)
        screenshot(window, f"empty-{name}")
        view = getattr(page, "view", None)
        if view is not None:
            assert view.empty_hint.isVisible()
            assert view.findChild(QLabel, "empty_text").text()
    bridge.close()
    window.finish()
