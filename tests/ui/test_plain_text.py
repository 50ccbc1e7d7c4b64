"""What peers send is shown letter by letter, never as rich text, and what is cut is told whole."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QLabel, QStyleOptionViewItem, QToolTip
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine

from app.events import Alarm, EngineChanged, EngineState, Severity
from ui.main_window import MainWindow
from ui.plain_text import plain_tip
from ui.tables.table_page import TablePage

TAG = "403 <h1>Congratulations</h1>"


def test_a_tag_in_an_alarm_or_a_reason_is_text(window: MainWindow, engine: FakeEngine, qtbot: QtBot) -> None:
    engine.events.publish(Alarm(Severity.ERROR, "line", TAG, 0.0))
    notice = window.findChild(QLabel, "notice.text")
    qtbot.waitUntil(lambda: notice.text() == TAG)
    engine.state, engine.trouble = EngineState.FAILED, TAG
    engine.events.publish(EngineChanged(engine.state, (), TAG))
    banner = window.findChild(QLabel, "banner.text")
    qtbot.waitUntil(banner.isVisible)
    assert {notice.textFormat(), banner.textFormat()} == {Qt.TextFormat.PlainText}


def test_a_tip_shows_tags_and_lines_as_they_are() -> None:
    assert plain_tip("a phone\nof 1 < 2") == "a phone\nof 1 < 2"
    assert plain_tip("<b>x</b>\ny") == "<qt>&lt;b&gt;x&lt;/b&gt;<br>y</qt>"


def test_a_cell_that_is_cut_tells_its_whole_text(window: MainWindow) -> None:
    page = window.open_page("analyze_called_numbers")
    assert isinstance(page, TablePage)
    index = page.model.index(0, page.model.column_index("target_id"))
    text = str(index.data())
    for width, shown in ((600, ""), (30, text)):
        page.view.setColumnWidth(index.column(), width)
        option = QStyleOptionViewItem()
        option.rect = page.view.visualRect(index)
        point = option.rect.center()
        event = QHelpEvent(QHelpEvent.Type.ToolTip, point, page.view.mapToGlobal(QPoint(point)))
        page.view.itemDelegate().helpEvent(event, page.view, option, index)
        assert QToolTip.text() == shown
    QToolTip.hideText()
