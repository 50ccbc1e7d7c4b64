"""The pages that watch: live calls, states, strangers, bans and the overview."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QWidget,
)
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine
from support.office import make_call, make_samples

from app.events import (
    Alarm,
    Ban,
    BansChanged,
    CallState,
    LineChanged,
    LineState,
    Sampled,
    Severity,
    SourceRejected,
    TrunkChanged,
    TrunkState,
)
from app.records import AddressList, Change, SipTrunk
from ui.main_window import MainWindow
from ui.monitor.alarm_history import MOST_ALARMS
from ui.monitor.overview import OverviewPage
from ui.tables.table_page import TablePage

Open = Callable[[str], TablePage]
OK = QDialogButtonBox.StandardButton.Ok


@pytest.fixture
def open_page(window: MainWindow) -> Open:
    def find(name: str) -> TablePage:
        window.findChild(QAction, f"monitor.{name}").trigger()
        page: Any = window.findChild(QWidget, f"page.{name}")
        return page

    return find


def cell(page: TablePage, key: object, column: str) -> str:
    return str(page.model.index(page.model.position(key), page.model.column_index(column)).data())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["live_calls", "trunk_status", "line_status", "rejected_sources", "bans", "alarms"])
def test_every_model_is_what_qt_demands(open_page: Open, qtmodeltester: Any, name: str) -> None:
    qtmodeltester.check(open_page(name).model)


# --- live calls ------------------------------------------------------------------------------------------------------


def test_a_call_appears_changes_and_goes(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    page = open_page("live_calls")
    assert page.view.objectName() == "table"
    assert page.model.rowCount() == 4
    call = make_call("9", state=CallState.CALLING, started=time.time(), answered=0.0, status=0)
    engine.set_call(call)
    qtbot.waitUntil(lambda: page.model.rowCount() == 5)
    assert [cell(page, "call-9", name) for name in ("from", "to", "trunk_out", "state")] == [
        "100",
        "135550",
        "SIP trunk 1 - Carrier A",
        "calling",
    ]
    engine.set_call(replace(call, state=CallState.RINGING, status=180))
    qtbot.waitUntil(lambda: cell(page, "call-9", "state") == "ringing")
    assert cell(page, "call-9", "status") == "180"
    engine.set_call(replace(call, state=CallState.ENDED))
    qtbot.waitUntil(lambda: page.model.rowCount() == 4)


def test_a_call_that_begins_and_ends_within_a_batch_is_never_shown(
    open_page: Open, engine: FakeEngine, qtbot: QtBot
) -> None:
    page = open_page("live_calls")
    inserted: list[Any] = []
    page.model.rowsInserted.connect(lambda *_: inserted.append(1))
    engine.set_call(make_call("9"))
    engine.set_call(make_call("9", state=CallState.ENDED))
    engine.set_call(make_call("10"))
    qtbot.waitUntil(lambda: page.model.position("call-10") >= 0)
    assert inserted == [1]


def test_the_duration_ticks_without_a_reset_and_keeps_selection_and_order(
    open_page: Open, engine: FakeEngine, qtbot: QtBot
) -> None:
    page = open_page("live_calls")
    page.view.sortByColumn(page.model.column_index("duration"), Qt.SortOrder.DescendingOrder)
    page.view.select_keys(["call-2"])
    order, before = page.model.keys(), cell(page, "call-1", "duration")
    resets: list[str] = []
    page.model.modelReset.connect(lambda: resets.append("reset"))
    page.model.layoutChanged.connect(lambda: resets.append("layout"))
    columns: set[int] = set()
    page.model.dataChanged.connect(lambda first, last: columns.update(range(first.column(), last.column() + 1)))
    qtbot.waitUntil(lambda: cell(page, "call-1", "duration") != before, timeout=3000)
    assert resets == []
    assert page.model.keys() == order
    assert page.view.selected_keys() == ["call-2"]
    assert columns <= {page.model.column_index("duration"), page.model.column_index("talk")}


def test_a_page_out_of_sight_does_not_tick(open_page: Open, window: MainWindow) -> None:
    page: Any = open_page("live_calls")
    window.open_page("sip_trunks")
    announced: list[int] = []
    page.model.dataChanged.connect(lambda *_: announced.append(1))
    page._tick()
    assert announced == []


def test_hanging_up_asks_and_names_what_it_does(open_page: Open, engine: FakeEngine, window: MainWindow) -> None:
    page = open_page("live_calls")
    assert not page.findChild(QAction, "hang_up").isEnabled()

    def question() -> QMessageBox:
        page.findChild(QAction, "hang_up").trigger()
        return page.findChild(QMessageBox, "dialog.hang_up")

    page.view.select_keys(["call-1"])
    box = question()
    assert box.text().startswith("Hang up the call from 100 to 135550?\n\nThey have talked for 1:")
    assert "both are cut off at once" in box.text()
    box.findChild(QPushButton, "cancel").click()
    assert engine.hung_up == []
    page.view.select_keys(["call-3"])
    box = question()
    assert "It has not been answered: the called phone stops ringing" in box.text()
    box.findChild(QPushButton, "hang_up").click()
    assert engine.hung_up == ["call-3"]


def test_hanging_up_several_counts_the_conversations(open_page: Open, engine: FakeEngine, window: MainWindow) -> None:
    page = open_page("live_calls")
    page.view.select_keys(["call-1", "call-2", "call-4"])
    page.findChild(QAction, "hang_up").trigger()
    box = page.findChild(QMessageBox, "dialog.hang_up")
    words = "Hang up 3 calls?\n\n2 conversations are cut off and 1 call that is not answered yet stops ringing."
    assert box.text() == words
    assert engine.hung_up == []
    engine.rows.clear()
    box.findChild(QPushButton, "hang_up").click()
    assert set(engine.hung_up) == {"call-1", "call-2", "call-4"}
    assert window.findChild(QLabel, "notice.text").text() == "The calls had ended already."


def test_the_ladder_lists_the_messages_and_shows_the_chosen_one(
    open_page: Open, engine: FakeEngine, window: MainWindow, qtbot: QtBot
) -> None:
    page = open_page("live_calls")
    page.view.select_keys(["call-1"])
    page.findChild(QAction, "ladder").trigger()
    dialog: Any = window.findChild(QDialog, "dialog.ladder")
    assert dialog.model.rowCount() == 7
    assert dialog.model.index(1, dialog.model.column_index("message")).data() == "\u2192 100 Trying"
    dialog.view.selectRow(2)
    assert dialog.findChild(QPlainTextEdit, "text").toPlainText().startswith("INVITE sip:135550@192.0.2.8:5060")
    engine.messages["call-1"] += engine.messages["call-1"][:1]
    dialog.refresh()
    assert dialog.model.rowCount() == 8
    dialog.close()


# --- states ----------------------------------------------------------------------------------------------------------


def test_trunks_say_state_reason_and_the_peers_answer(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    page = open_page("trunk_status")
    assert [cell(page, 2, name) for name in ("state", "reason", "last_status")] == [
        "down",
        "no answer to OPTIONS for 30 s",
        "408",
    ]
    engine.set_trunk(replace(engine.trunk_rows[2], state=TrunkState.UP, reason="", round_trip_ms=21.4))
    qtbot.waitUntil(lambda: cell(page, 2, "state") == "up")
    assert cell(page, 2, "round_trip") == "21 ms"
    engine.events.publish(TrunkChanged(engine.trunk_rows[4], gone=True))
    qtbot.waitUntil(lambda: page.model.position(4) < 0)


def test_enter_on_a_trunk_leads_to_its_record(open_page: Open, window: MainWindow) -> None:
    page = open_page("trunk_status")
    page.view.select_keys([2])
    page.findChild(QAction, "open").trigger()
    current: Any = window.current_page()
    assert current.objectName() == "page.sip_trunks"
    assert current.view.selected_keys() == [2]


def test_lines_say_when_their_registration_ends_or_is_tried_again(
    open_page: Open, engine: FakeEngine, qtbot: QtBot
) -> None:
    page = open_page("line_status")
    assert cell(page, 1, "state").startswith("registered (expires in 4:1")
    row = engine.line_rows[1]
    for state, status, words in (
        (LineState.REJECTED, 403, "rejected (403)"),
        (LineState.RETRYING, 503, "retry in 30 s"),
        (LineState.REGISTERING, 0, "registering"),
    ):
        engine.events.publish(LineChanged(replace(row, state=state, last_status=status, expires_at=time.time() + 30)))
        qtbot.waitUntil(lambda words=words: cell(page, 1, "state") == words)
    page.view.select_keys([1])
    page.findChild(QAction, "register").trigger()
    assert engine.registered == [1]


# --- strangers -------------------------------------------------------------------------------------------------------


def test_a_stranger_can_be_trusted_as_a_trunk(
    open_page: Open, engine: FakeEngine, window: MainWindow, qtbot: QtBot
) -> None:
    page = open_page("rejected_sources")
    page.view.select_keys(["10.0.0.9"])
    page.findChild(QAction, "trust").trigger()
    dialog = window.findChild(QDialog, "dialog.trust")
    box = dialog.findChild(QComboBox, "trunk")
    box.setCurrentIndex(box.findData(3))
    dialog.findChild(QDialogButtonBox, "buttons").button(OK).click()
    trunk = engine.configuration.get(SipTrunk, 3)
    assert trunk is not None
    assert trunk.trusted_networks == ("10.0.0.9",)
    window.findChild(QAction, "edit.undo").trigger()
    trunk = engine.configuration.get(SipTrunk, 3)
    assert trunk is not None
    assert trunk.trusted_networks == ()


def test_a_stranger_can_become_a_trunk_of_its_own(open_page: Open, window: MainWindow) -> None:
    page = open_page("rejected_sources")
    page.view.select_keys(["198.51.100.9"])
    page.findChild(QAction, "new_trunk").trigger()
    dialog = window.findChild(QDialog, "dialog.sip_trunks")
    assert dialog.findChild(QLineEdit, "server_address").text() == "198.51.100.9"
    dialog.reject()


def test_strangers_can_be_blocked_for_good_once(open_page: Open, engine: FakeEngine) -> None:
    page = open_page("rejected_sources")
    page.view.select_keys(["198.51.100.9", "2001:db8::77"])
    for _ in range(2):
        page.findChild(QAction, "block").trigger()
    networks = [entry.network for entry in engine.configuration.records(AddressList)]
    assert networks == ["198.18.0.0/15", "198.51.100.9", "2001:db8::77"]


def test_the_page_forgets_whom_the_server_forgets(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    page = open_page("rejected_sources")
    newest = replace(engine.rejected[0], address="203.0.113.200", count=1)
    engine.rejected = [newest, *engine.rejected[:1]]
    engine.events.publish(SourceRejected(newest))
    qtbot.waitUntil(lambda: page.model.total == 2)
    assert set(page.model.keys()) == {"203.0.113.200", "198.51.100.9"}


def test_bans_are_listed_and_lifted(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    page = open_page("bans")
    assert cell(page, "203.0.113.5", "left").startswith(("9:5", "10:0"))
    page.view.select_keys(["203.0.113.5"])
    page.findChild(QAction, "lift").trigger()
    assert engine.lifted == ["203.0.113.5"]
    qtbot.waitUntil(lambda: page.model.keys() == ("198.51.100.9",))
    engine.events.publish(BansChanged((Ban("192.0.2.200", "x", 0.0, time.time() + 60),)))
    qtbot.waitUntil(lambda: page.model.keys() == ("192.0.2.200",))


def test_a_source_that_is_stopped_is_named_and_let_go_on(open_page: Open, engine: FakeEngine, qtbot: QtBot) -> None:
    page = open_page("bans")
    stop = Ban("user:100", "30 external calls within an hour", time.time(), time.time() + 3600)
    engine.banned.append(stop)
    engine.events.publish(BansChanged((stop,)))
    qtbot.waitUntil(lambda: page.model.keys() == ("user:100",))
    assert cell(page, "user:100", "address").startswith("user 100")
    assert cell(page, "user:100", "reason") == "30 external calls within an hour"
    page.view.select_keys(["user:100"])
    page.findChild(QAction, "lift").trigger()
    assert engine.lifted == ["user:100"]


# --- alarms ----------------------------------------------------------------------------------------------------------


def shown(page: TablePage) -> list[Hashable]:
    return [page.model.key_at(place) for place in range(page.model.rowCount())]


def test_alarms_are_kept_the_newest_first_even_while_the_page_is_closed(
    window: MainWindow, engine: FakeEngine, qtbot: QtBot
) -> None:
    engine.events.publish(Alarm(Severity.ERROR, "trunk_down", "SIP trunk 1 is down: no answer", 1000.0))
    button = window.findChild(QPushButton, "notice.button")
    qtbot.waitUntil(lambda: window.findChild(QLabel, "notice.text").text().startswith("SIP trunk 1 is down"))
    button.click()
    page: Any = window.current_page()
    assert page.objectName() == "page.alarms"
    engine.events.publish(Alarm(Severity.INFORMATION, "trunk_down", "SIP trunk 1 answers again", 1060.0, cleared=True))
    qtbot.waitUntil(lambda: page.model.rowCount() == 2)
    assert [cell(page, key, "state") for key in shown(page)] == ["over", "error"]
    assert [cell(page, key, "subject") for key in shown(page)] == ["SIP trunk", "SIP trunk"]
    for number in range(MOST_ALARMS + 10):
        engine.events.publish(Alarm(Severity.WARNING, "overload", f"alarm {number}", 2000.0 + number))
    qtbot.waitUntil(lambda: page.model.rowCount() == MOST_ALARMS)
    assert cell(page, shown(page)[0], "text") == f"alarm {MOST_ALARMS + 9}"


def test_a_test_of_the_alarms_says_where_they_go(window: MainWindow, engine: FakeEngine, qtbot: QtBot) -> None:
    window.open_page("alarms")
    page: Any = window.current_page()
    test = page.findChild(QAction, "send_test")
    text = window.findChild(QLabel, "notice.text")
    engine.alarm_destinations = ("chat.example.com", "admin@example.com")
    test.trigger()
    assert text.text() == "A test is on its way to chat.example.com, admin@example.com."
    engine.alarm_destinations = ()
    test.trigger()
    assert "shown here only" in text.text()
    window.findChild(QPushButton, "notice.button").click()
    assert window.current_page().objectName() == "page.system"


# --- overview --------------------------------------------------------------------------------------------------------


def test_each_trunk_has_a_gauge_that_programs_can_read(
    overview: OverviewPage, engine: FakeEngine, window: MainWindow, qtbot: QtBot
) -> None:
    gauge = window.findChild(QWidget, "gauge.trunk.1")
    names = ("active_in", "max_in", "active_out", "max_out", "state")
    assert [gauge.property(name) for name in names] == [4, 30, 17, 30, "up"]
    engine.set_trunk(replace(engine.trunk_rows[1], active_in=5, state=TrunkState.DEGRADED))
    qtbot.waitUntil(lambda: gauge.property("active_in") == 5)
    assert gauge.property("state") == "degraded"


def test_gauges_come_and_go_with_their_trunks(
    overview: OverviewPage, engine: FakeEngine, window: MainWindow, qtbot: QtBot
) -> None:
    engine.change_elsewhere(Change("sip_trunks", None, SipTrunk(id=9, server_address="192.0.2.9")))
    engine.set_trunk(engine.trunk_rows[9])
    qtbot.waitUntil(lambda: window.findChild(QWidget, "gauge.trunk.9") is not None)
    engine.events.publish(TrunkChanged(engine.trunk_rows[9], gone=True))
    qtbot.waitUntil(lambda: window.findChild(QWidget, "gauge.trunk.9") is None)


def test_a_click_on_a_gauge_leads_to_its_trunk(overview: OverviewPage, window: MainWindow, qtbot: QtBot) -> None:
    qtbot.mouseClick(window.findChild(QWidget, "gauge.trunk.3"), Qt.MouseButton.LeftButton)
    current: Any = window.current_page()
    assert current.objectName() == "page.sip_trunks"
    assert current.view.selected_keys() == [3]


def test_figures_and_plots_follow_the_samples(overview: OverviewPage, engine: FakeEngine, qtbot: QtBot) -> None:
    value = overview.findChild(QWidget, "figure.calls").findChild(QLabel, "value")
    sample = replace(engine.sample_rows[-1], at=time.time(), calls=77)
    engine.sample_rows.append(sample)
    engine.events.publish(Sampled(sample))
    qtbot.waitUntil(lambda: value.text() == "77")
    overview.draw()
    names = [series.name for series in overview.calls_plot._series]
    assert names[:3] == ["all", "trunk 1 in", "trunk 1 out"]
    overview.calls_plot.show_values_at(sample.at)
    assert "all 77" in overview.calls_plot.findChild(QLabel, "values").text()


@pytest.mark.parametrize("width", [760, 1024, 1600])
def test_the_key_of_the_curves_is_never_cut_and_stands_over_no_curve(
    overview: OverviewPage, window: MainWindow, qtbot: QtBot, width: int
) -> None:
    window.resize(width, 700)
    key = overview.calls_plot.key
    assert key is not None
    qtbot.waitUntil(lambda: window.width() == width and key.isVisible())
    qtbot.wait(50)
    places = key.places()
    assert len(places) == len(overview.calls_plot._series) > 5
    assert all(key.rect().toRectF().adjusted(0, 0, 1, 1).contains(place) for place in places)
    assert key.geometry().bottom() < overview.calls_plot.plot.geometry().top()
    assert overview.rate_plot.key is not None
    assert not overview.rate_plot.key.isVisible(), "one curve needs no key"


def test_plots_out_of_sight_are_not_drawn_and_catch_up(
    overview: OverviewPage, engine: FakeEngine, window: MainWindow, qtbot: QtBot
) -> None:
    window.open_page("sip_trunks")
    before = overview.calls_plot.repaints
    for sample in make_samples(5):
        engine.events.publish(Sampled(sample))
        window.workspace.bridge.hand_over()
    overview.draw()
    assert overview.calls_plot.repaints == before
    window.open_page("overview")
    assert overview.calls_plot.repaints > before


def test_plots_are_drawn_once_a_second_however_many_samples_come(
    overview: OverviewPage, engine: FakeEngine, window: MainWindow
) -> None:
    before = overview.calls_plot.repaints
    for sample in make_samples(50):
        engine.events.publish(Sampled(sample))
        window.workspace.bridge.hand_over()
    assert overview.calls_plot.repaints <= before + 1


def test_the_span_is_chosen_and_remembered(overview: OverviewPage, window: MainWindow) -> None:
    overview.findChild(QAction, "span.1_hour").trigger()
    assert overview.span == "1 hour"
    assert window.workspace.settings.text("overview/span") == "1 hour"
    low, high = overview.calls_plot.plot.viewRange()[0]
    assert high - low == pytest.approx(3600)


def test_the_figures_go_into_a_csv_text(overview: OverviewPage) -> None:
    lines = overview.figures_text().splitlines()
    assert lines[0].startswith("time,calls,calls_per_second,answer_ratio,registered,trunk_1_in,trunk_1_out,trunk_2_in")
    assert len(lines) == 301
    assert lines[1].split(",")[3] == ""


def test_plots_take_the_colours_of_the_theme(overview: OverviewPage, window: MainWindow) -> None:
    light = overview.calls_plot.plot.backgroundBrush().color().name()
    window.findChild(QAction, "view.theme.dark").trigger()
    dark = overview.calls_plot.plot.backgroundBrush().color().name()
    assert (light, dark) == ("#ffffff", "#252b34")
    window.findChild(QAction, "view.theme.light").trigger()
    assert overview.calls_plot.plot.backgroundBrush().color().name() == light
