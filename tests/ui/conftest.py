"""A window with a stand-in engine, its settings in the test's own folder, and no warning from Qt."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QThreadPool
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine
from support.office import busy_office

from ui.bridge import Bridge
from ui.main_window import MainWindow
from ui.monitor.overview import OverviewPage
from ui.settings import Settings
from ui.theme import Theme, ThemeMode
from ui.workspace import Workspace


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    """Tests never need a display."""
    if sys.platform == "win32":
        # Qt's offscreen platform looks for fonts in its own folder there, and finds none.
        os.environ.setdefault("QT_QPA_FONTDIR", str(Path(os.environ["SYSTEMROOT"], "Fonts")))
    return ["trunkline-tests", "-platform", "offscreen"]


@pytest.fixture
def theme(qapp: QApplication) -> Theme:
    """The one theme of the application, light."""
    theme = getattr(qapp, "trunkline_theme", None)
    if theme is None:
        theme = qapp.trunkline_theme = Theme(qapp, ThemeMode.LIGHT)  # type: ignore[attr-defined]
    theme.set_mode(ThemeMode.LIGHT)
    return theme


@pytest.fixture
def engine() -> FakeEngine:
    """An office in the middle of a morning."""
    return busy_office()


@pytest.fixture
def workspace(qtbot: QtBot, theme: Theme, engine: FakeEngine, tmp_path: Path) -> Iterator[Workspace]:
    """What pages are given; the engine in it is the fixture `engine`."""
    bridge = Bridge(engine.events)
    settings = Settings(tmp_path / "window.ini")
    # A table opens faster than the plots of the overview.
    settings.set_texts("window/pages", ["sip_trunks"])
    workspace = Workspace(engine, bridge, settings, theme)  # type: ignore[arg-type]
    yield workspace
    bridge.close()
    QThreadPool.globalInstance().waitForDone()


@pytest.fixture
def window(qtbot: QtBot, workspace: Workspace) -> Iterator[MainWindow]:
    """The main window, shown."""
    window = MainWindow(workspace)
    # As on a usual screen; the one of these tests is small.
    window.resize(1280, 800)
    window.show()
    qtbot.waitExposed(window)
    yield window
    for dialog in window.findChildren(QWidget):
        if dialog.isWindow() and dialog.isVisible():
            dialog.close()
    window.finish()
    window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def screenshot(output_folder: Path, qtbot: QtBot) -> Callable[[QWidget, str], QPixmap]:
    """Save what a widget looks like as tests/output/screens/<name>.png."""
    folder = output_folder / "screens"
    folder.mkdir(parents=True, exist_ok=True)

    def save(widget: QWidget, name: str) -> QPixmap:
        widget.repaint()
        picture = widget.grab()
        assert picture.save(str(folder / f"{name}.png"))
        return picture

    return save


@pytest.fixture
def overview(window: MainWindow, qtbot: QtBot) -> OverviewPage:
    """The page of that name, shown."""
    page = window.open_page("overview")
    assert isinstance(page, OverviewPage)
    qtbot.waitUntil(page.isVisible)
    return page
