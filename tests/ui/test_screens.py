"""Every page and dialog, light and dark, as a picture that a person can look through."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QDialog, QWidget
from pytestqt.qtbot import QtBot

from ui.main_window import MainWindow
from ui.pages import PAGES
from ui.theme import ThemeMode

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
            screenshot(dialog, f"{mode}-dialog-{entry.name}-{place}")
        dialog.reject()
