"""The audio of a call in the window: rows and curves of the chosen call, warnings, digits, and what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from math import isnan
from typing import Any

import pytest
from PySide6.QtCore import QAbstractItemModel
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLabel, QPushButton, QTableView, QWidget
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine
from support.office import make_call, make_stream

from app.events import CallState, EngineChanged, EngineState, StreamsChanged
from ui.bridge import INTERVAL
from ui.main_window import MainWindow
from ui.monitor import stream_history
from ui.monitor.audio_words import last_packet_words, score_cell, score_word, score_words
from ui.monitor.live_calls import LiveCallsPage
from ui.monitor.stream_history import MOST_POINTS, StreamHistory
from ui.monitor.streams_pane import StreamsPane
from ui.tables.row_model import MARK_ROLE, TONE_ROLE
from ui.theme import Tone
from ui.workspace import Workspace


@pytest.fixture
def page(window: MainWindow, qtbot: QtBot) -> LiveCallsPage:
    page = window.open_page("live_calls")
    assert isinstance(page, LiveCallsPage)
    qtbot.waitUntil(page.isVisible)
    return page


@pytest.fixture
def pane(page: LiveCallsPage) -> StreamsPane:
    """The lower pane, with a relayed call in it."""
    page.view.select_keys(["call-1"])
    return page.streams


def text(pane: StreamsPane, side: str, column: str) -> str:
    return str(pane.model.index(pane.model.position(side), pane.model.column_index(column)).data())


def tone(model: QAbstractItemModel, row: int, column: int) -> Tone:
    return Tone(model.index(row, column).data(TONE_ROLE))


def words(pane: StreamsPane) -> str:
    label = pane.view.findChild(QLabel, "empty_text")
    assert label.isVisible()
    return str(label.text())


# --- rows ------------------------------------------------------------------------------------------------------------


def test_the_chosen_call_has_a_row_for_each_direction(page: LiveCallsPage, pane: StreamsPane) -> None:
    table = page.findChild(QTableView, "streams")
    assert table.isVisible()
    assert table.model().rowCount() == 2
    names = ("side", "codec", "packets", "lost", "loss", "jitter", "round_trip", "mos", "last_packet", "problem")
    assert [text(pane, "caller", name) for name in names] == [
        "from the caller (100)", "PCMA/8000", "3150", "2", "0.1 %", "1.6 ms", "24 ms", "4.39 excellent", "now", "",
    ]  # fmt: skip
    assert text(pane, "called", "side") == "from the called side (135550)"
    assert text(pane, "called", "mos") == "3.42 poor"
    assert text(pane, "caller", "gaps") == "0"
    mos = pane.model.column_index("mos")
    assert [tone(pane.model, row, mos) for row in (0, 1)] == [Tone.GOOD, Tone.WARNING]
    assert pane.model.index(1, mos).data(MARK_ROLE) is True
    assert tone(pane.model, 1, pane.model.column_index("jitter")) is Tone.WARNING


def test_columns_have_room_for_figures_that_come_later(page: LiveCallsPage, engine: FakeEngine, qtbot: QtBot) -> None:
    """The first row of a call is nearly blank; what comes a second later is not cut off."""
    engine.set_streams(make_stream(name="1", codec="", mos=0.0, packets=0), make_stream("called", "1"))
    page.view.select_keys(["call-1"])
    view = page.streams.view
    qtbot.waitUntil(lambda: view._sized)
    for name, text in (("mos", "4.41 excellent"), ("codec", "PCMU/8000"), ("jitter", "25.5 ms")):
        place = page.streams.model.column_index(name)
        assert view.columnWidth(place) >= view.fontMetrics().horizontalAdvance(text) + 20, name


def test_the_model_is_what_qt_demands(pane: StreamsPane, engine: FakeEngine, qtmodeltester: Any, qtbot: QtBot) -> None:
    qtmodeltester.check(pane.model)
    engine.set_streams(make_stream(packets=3200))
    qtbot.waitUntil(lambda: text(pane, "caller", "packets") == "3200")


def test_new_figures_change_one_row_by_one_signal(pane: StreamsPane, engine: FakeEngine, qtbot: QtBot) -> None:
    announced: list[tuple[int, int]] = []
    pane.model.dataChanged.connect(lambda first, last: announced.append((first.row(), last.row())))
    engine.set_streams(make_stream(packets=9000), engine.stream_rows["call-1", "called"])
    qtbot.waitUntil(lambda: text(pane, "caller", "packets") == "9000")
    assert announced == [(0, 0)]


def test_figures_of_other_calls_change_nothing(pane: StreamsPane, engine: FakeEngine, window: MainWindow) -> None:
    announced: list[object] = []
    pane.model.dataChanged.connect(announced.append)
    pane.model.rowsInserted.connect(announced.append)
    engine.events.publish(StreamsChanged((make_stream(name="4"), make_stream("called", "4"))))
    window.workspace.bridge.hand_over()
    assert announced == []


def test_figures_come_in_batches_of_the_newest(workspace: Workspace, engine: FakeEngine) -> None:
    assert INTERVAL >= 0.25
    batches: list[list[Any]] = []
    workspace.bridge.streams_changed.connect(batches.append)
    for packets in range(100):
        engine.set_streams(make_stream(packets=packets), make_stream("called", packets=packets))
    assert batches == []
    workspace.bridge.hand_over()
    assert [[(row.side, row.packets) for row in rows] for rows in batches] == [[("caller", 99), ("called", 99)]]


@pytest.mark.parametrize(
    ("score", "word", "expected"),
    [
        (4.41, "excellent", Tone.GOOD),
        (4.1, "good", Tone.GOOD),
        (3.7, "fair", Tone.WARNING),
        (3.1, "poor", Tone.WARNING),
        (1.0, "bad", Tone.BAD),
    ],
)
def test_a_score_has_number_word_colour_and_mark(score: float, word: str, expected: Tone) -> None:
    cell = score_cell(score)
    assert (cell.text, cell.tone, cell.mark) == (f"{score:.2f} {word}", expected, True)
    assert score_words(score) == cell.text
    assert cell.tip


def test_an_unknown_score_is_blank() -> None:
    assert (score_cell(0.0).text, score_word(0.0), score_words(0.0)) == ("", "", "")


def test_the_age_of_the_last_packet_is_told() -> None:
    assert [last_packet_words(ago) for ago in (-1.0, 0.02, 1.2, 11.6)] == ["never", "now", "now", "12 s ago"]


# --- why there is nothing to see -------------------------------------------------------------------------------------


def test_without_a_choice_the_pane_says_what_it_is_for(page: LiveCallsPage) -> None:
    assert words(page.streams).startswith("Choose a call")
    page.view.select_keys(["call-1", "call-2"])
    assert words(page.streams).startswith("Several calls")


def test_a_call_that_is_not_relayed_says_why_and_leads_to_its_trunk(page: LiveCallsPage, window: MainWindow) -> None:
    page.view.select_keys(["call-4"])
    assert "Audio flows directly between the two sides" in words(page.streams)
    assert "set Relay media stream" in words(page.streams)
    assert not page.streams.findChild(QWidget, "plot.stream.mos").isVisible()
    button = page.findChild(QPushButton, "streams.open")
    assert button.text() == "Open SIP trunk 1 - Carrier A"
    button.click()
    current: Any = window.current_page()
    assert current.objectName() == "page.sip_trunks"
    assert current.view.selected_keys() == [1]


def test_a_call_between_phones_leads_to_the_phone(page: LiveCallsPage, engine: FakeEngine, window: MainWindow) -> None:
    engine.set_call(make_call("7", source="user:100", target="user:101", trunk_out=0))
    window.workspace.bridge.hand_over()
    page.view.select_keys(["call-7"])
    assert page.findChild(QPushButton, "streams.open").text() == "Open 101 - Anna Berg"


def test_a_call_that_is_still_routed_has_no_audio_yet(
    page: LiveCallsPage, engine: FakeEngine, window: MainWindow
) -> None:
    engine.set_call(make_call("7", state=CallState.ROUTING, target=""))
    window.workspace.bridge.hand_over()
    page.view.select_keys(["call-7"])
    assert "still being routed" in words(page.streams)


def test_a_relayed_call_without_figures_says_when_they_come(
    page: LiveCallsPage, engine: FakeEngine, window: MainWindow, qtbot: QtBot
) -> None:
    engine.set_call(make_call("7", relayed=True))
    window.workspace.bridge.hand_over()
    page.view.select_keys(["call-7"])
    assert "is relayed" in words(page.streams)
    assert not page.findChild(QPushButton, "streams.open").isVisible()
    engine.set_streams(make_stream(name="7"), make_stream("called", "7"))
    qtbot.waitUntil(lambda: page.streams.model.rowCount() == 2)
    assert page.streams.plots["mos"].isVisible()
    assert not page.streams.view.empty_hint.isVisible()


def test_a_call_that_is_relayed_no_more_shows_no_old_figures(
    page: LiveCallsPage, pane: StreamsPane, engine: FakeEngine, window: MainWindow
) -> None:
    engine.set_call(replace(engine.rows["call-1"], relayed=False))
    window.workspace.bridge.hand_over()
    assert "flows directly" in words(pane)


def test_the_pane_lets_go_of_a_call_that_ends(
    page: LiveCallsPage, pane: StreamsPane, engine: FakeEngine, window: MainWindow
) -> None:
    engine.set_call(replace(engine.rows["call-1"], state=CallState.ENDED))
    window.workspace.bridge.hand_over()
    assert words(pane).startswith("Choose a call")
    assert pane.model.rowCount() == 0


def test_the_pane_can_be_closed_and_stays_closed(page: LiveCallsPage, window: MainWindow) -> None:
    page.findChild(QAction, "audio").trigger()
    assert not page.streams.isVisible()
    again = LiveCallsPage(window.workspace)
    assert not again.findChild(QAction, "audio").isChecked()
    assert again.streams.isHidden()
    again.deleteLater()


# --- the call's own row ----------------------------------------------------------------------------------------------


def test_missing_audio_is_marked_on_the_row_of_the_call(
    page: LiveCallsPage, pane: StreamsPane, engine: FakeEngine, window: MainWindow
) -> None:
    trouble = "one-way audio: nothing comes from the called side"
    state, step = (page.live.column_index(name) for name in ("state", "text"))
    row = page.live.position("call-1")
    engine.set_call(replace(engine.rows["call-1"], problem=trouble, text=trouble))
    engine.set_streams(make_stream("called", problem="one-way", mos=1.0, last_packet_ago=12.0))
    window.workspace.bridge.hand_over()
    assert page.live.index(row, step).data() == trouble
    for column in (state, step):
        assert tone(page.live, row, column) is Tone.WARNING
        assert page.live.index(row, column).data(MARK_ROLE) is True
    assert trouble in pane.findChild(QLabel, "streams.problem").text()
    assert text(pane, "called", "problem") == "one-way"
    assert text(pane, "called", "last_packet") == "12 s ago"
    engine.set_call(replace(engine.rows["call-1"], problem="", text="talking"))
    window.workspace.bridge.hand_over()
    assert tone(page.live, row, state) is Tone.GOOD
    assert not page.live.index(row, step).data(MARK_ROLE)
    assert pane.findChild(QLabel, "streams.problem").text() == ""


def test_digits_are_shown_on_the_row_of_the_call(page: LiveCallsPage, engine: FakeEngine, window: MainWindow) -> None:
    column = page.live.column_index("digits")
    assert not page.view.isColumnHidden(column)
    assert page.live.index(page.live.position("call-1"), column).data() == "42#"
    engine.set_call(replace(engine.rows["call-1"], digits="42#9"))
    window.workspace.bridge.hand_over()
    assert page.live.index(page.live.position("call-1"), column).data() == "42#9"


# --- curves ----------------------------------------------------------------------------------------------------------


class Clock:
    """Wall time that the test advances."""

    def __init__(self) -> None:
        self.at = 1_700_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def history(workspace: Workspace, clock: Clock) -> Iterator[StreamHistory]:
    history = StreamHistory(workspace.bridge, now=clock)
    yield history
    history.deleteLater()


def test_both_directions_are_kept_for_five_minutes(history: StreamHistory, clock: Clock) -> None:
    for second in range(400):
        history.take([make_stream(jitter_ms=second), make_stream("called", jitter_ms=1000.0 + second)])
        clock.at += 1
    times = history.times("call-1")
    assert len(times) == 300
    assert times[-1] == clock.at - 1
    assert list(history.curves("call-1", "caller").jitter_ms) == list(range(100, 400))
    assert history.curves("call-1", "called").jitter_ms[-1] == 1399
    assert list(history.curves("call-1", "called").packets_per_second) == [50.0] * 300
    assert list(history.times("another")) == []


def test_what_is_not_known_leaves_a_gap(history: StreamHistory) -> None:
    history.take([make_stream(packets=0, mos=0.0, last_packet_ago=-1.0, packets_per_second=0.0)])
    silent, absent = history.curves("call-1", "caller"), history.curves("call-1", "called")
    assert isnan(silent.mos[0])
    assert isnan(silent.jitter_ms[0])
    assert silent.packets_per_second[0] == 0.0
    assert all(isnan(each[0]) for each in absent)


def test_memory_is_bounded_in_points_and_calls(
    history: StreamHistory, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3 * MOST_POINTS):
        history.take([make_stream()])
        clock.at += 0.2
    assert len(history.times("call-1")) <= MOST_POINTS
    monkeypatch.setattr(stream_history, "MOST_CALLS", 3)
    history.choose("call-9")
    history.take([make_stream(name=str(number)) for number in range(1, 10)])
    assert len(history) == 4
    assert [len(history.times(f"call-{number}")) > 0 for number in (2, 3, 4, 9)] == [True, True, False, True]


def test_calls_are_forgotten_when_they_end(
    workspace: Workspace, history: StreamHistory, engine: FakeEngine, clock: Clock
) -> None:
    engine.set_streams(make_stream(), make_stream(name="2"))
    workspace.bridge.hand_over()
    assert len(history) == 2
    # The end comes after the last figures, even in one batch that began with another call.
    engine.set_call(make_call("3"))
    engine.set_streams(make_stream())
    engine.set_call(make_call("1", state=CallState.ENDED))
    workspace.bridge.hand_over()
    assert list(history.times("call-1")) == []
    assert len(history.times("call-2")) == 1
    engine.events.publish(EngineChanged(EngineState.STOPPED))
    workspace.bridge.hand_over()
    assert len(history) == 0


def test_a_call_of_which_nothing_is_heard_is_forgotten(history: StreamHistory, clock: Clock) -> None:
    history.take([make_stream(name="lost")])
    clock.at += 301
    history.take([make_stream()])
    assert len(history) == 1


def test_the_curves_show_what_happened_before_the_call_was_chosen(
    page: LiveCallsPage, window: MainWindow, engine: FakeEngine
) -> None:
    history = window.workspace.stream_history
    now = time.time()
    for second in range(60):
        history._now = lambda second=second: now - 60 + second
        history.take([make_stream(mos=4.0 + second / 200), make_stream("called", mos=3.0)])
    history._now = time.time
    page.view.select_keys(["call-1"])
    plot = page.streams.plots["mos"]
    assert [series.name for series in plot._series] == ["caller", "called"]
    assert [len(series.values) for series in plot._series] == [60, 60]
    low, high = plot.plot.viewRange()[0]
    assert high - low == pytest.approx(120), "as far back as the call goes, in whole minutes"
    plot.show_values_at(now)
    assert "caller 4.295, called 3" in plot.findChild(QLabel, "values").text()


def test_curves_are_drawn_at_most_once_a_second_and_not_out_of_sight(
    page: LiveCallsPage, pane: StreamsPane, engine: FakeEngine, window: MainWindow
) -> None:
    plot = pane.plots["mos"]
    before = plot.repaints
    for packets in range(50):
        engine.set_streams(make_stream(packets=packets))
        window.workspace.bridge.hand_over()
    assert plot.repaints <= before + 1
    window.open_page("sip_trunks")
    before = plot.repaints
    pane._drawn_at = 0.0
    engine.set_streams(make_stream(packets=60))
    window.workspace.bridge.hand_over()
    assert plot.repaints == before
    window.open_page("live_calls")
    assert plot.repaints > before


def test_the_key_of_the_curves_follows_the_theme(pane: StreamsPane, window: MainWindow) -> None:
    key = pane.findChild(QLabel, "streams.key")
    light = key.text()
    window.findChild(QAction, "view.theme.dark").trigger()
    assert key.text() != light
    window.findChild(QAction, "view.theme.light").trigger()
    assert key.text() == light


def test_a_side_that_is_missed_has_a_curve_at_the_bottom_and_no_figures(
    history: StreamHistory, pane: StreamsPane, engine: FakeEngine, window: MainWindow
) -> None:
    missed = make_stream(
        "called",
        packets=0,
        mos=1.0,
        jitter_ms=0.0,
        loss_percent=0.0,
        packets_per_second=0.0,
        last_packet_ago=-1.0,
        problem="one-way",
    )
    history.take([make_stream(), missed])
    assert list(history.curves("call-1", "called").mos) == [1.0]
    engine.set_streams(missed)
    window.workspace.bridge.hand_over()
    names = ("mos", "loss", "jitter", "last_packet", "problem")
    assert [text(pane, "called", name) for name in names] == ["1.00 bad", "", "", "never", "one-way"]
