"""Audio over time, per trunk, and in the account of a call: what the overview, trunk status and call records show."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import isnan
from typing import Any

import pytest
from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QPixmap
from PySide6.QtWidgets import QComboBox, QLabel, QWidget
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine
from support.office import make_media, make_record, make_samples, make_stream, office

from app.events import GaugeSample, Sampled, TrunkMedia
from app.records import Change, SipTrunk
from ui.main_window import MainWindow
from ui.monitor.call_record_words import account
from ui.monitor.overview import OverviewPage
from ui.monitor.stagger import GAP, Piece, Stagger
from ui.monitor.time_plot import Series, TimePlot
from ui.monitor.trunk_status import TrunkStatusPage
from ui.tables.row_model import TONE_ROLE
from ui.theme import DARK, LIGHT, Theme, ThemeMode, Tone

Screenshot = Callable[[QWidget, str], QPixmap]


@pytest.fixture
def audio(overview: OverviewPage) -> OverviewPage:
    """The overview in its audio view."""
    overview.findChild(QAction, "view.audio").trigger()
    return overview


def values(plot: TimePlot, name: str) -> list[float]:
    return next(list(series.values) for series in plot._series if series.name == name)


def figure(overview: OverviewPage, name: str) -> str:
    return str(overview.findChild(QWidget, f"figure.{name}").findChild(QLabel, "value").text())


def publish(engine: FakeEngine, window: MainWindow, sample: GaugeSample) -> None:
    engine.sample_rows.append(sample)
    engine.events.publish(Sampled(sample))
    window.workspace.bridge.hand_over()


# --- overview --------------------------------------------------------------------------------------------------------


def test_the_view_is_switched_and_remembered(overview: OverviewPage, window: MainWindow) -> None:
    assert overview.calls_plot.isVisible()
    assert overview.findChild(QAction, "view.calls").isChecked()
    assert not overview.trunk.isVisible()
    overview.findChild(QAction, "view.audio").trigger()
    assert not overview.calls_plot.isVisible()
    plots = ("mos", "packets_per_second", "relayed", "jitter_ms", "loss_percent")
    assert all(overview.findChild(QWidget, f"plot.{name}").isVisible() for name in plots)
    assert overview.findChild(QComboBox, "trunk").isVisible()
    again = OverviewPage(window.workspace)
    assert again.shown == "audio"
    assert again.findChild(QAction, "view.audio").isChecked()
    again.deleteLater()


def test_the_plots_show_the_samples_of_the_span(audio: OverviewPage, engine: FakeEngine) -> None:
    plots = audio.audio_plots
    samples = engine.sample_rows
    assert values(plots.relayed, "relayed calls") == [sample.relayed for sample in samples]
    assert values(plots.packets, "packets") == [sample.packets_per_second for sample in samples]
    known = [sample.mos_worst for sample in samples if sample.mos_worst]
    assert [value for value in values(plots.mos, "worst") if not isnan(value)] == known
    assert len(values(plots.mos, "median")) == len(samples)
    assert plots.mos.plot.viewRange()[1] == [0.9, 5]
    audio.findChild(QAction, "span.24_hours").trigger()
    low, high = plots.loss.plot.viewRange()[0]
    assert high - low == pytest.approx(86400)


def test_one_trunk_can_be_chosen(audio: OverviewPage, engine: FakeEngine, window: MainWindow) -> None:
    media = TrunkMedia(1, 3, 300.0, 2.2, 4.1, 55.0, 4.5)
    publish(engine, window, replace(engine.sample_rows[-1], at=time.time(), mos_worst=1.5, trunk_media=(media,)))
    assert (figure(audio, "mos_worst"), figure(audio, "relayed")) == ("1.50", str(engine.sample_rows[-1].relayed))
    audio.trunk.setCurrentIndex(audio.trunk.findData(1))
    names = ("mos_worst", "mos_median", "relayed", "loss_percent", "jitter_ms", "packets_per_second")
    assert [figure(audio, name) for name in names] == ["2.20", "4.10", "3", "4.5 %", "55.0 ms", "300"]
    assert values(audio.audio_plots.mos, "worst")[-1] == 2.2
    assert window.workspace.settings.text("overview/trunk") == "1"
    audio.trunk.setCurrentIndex(audio.trunk.findData(3))
    assert [figure(audio, name) for name in names] == ["\u2013", "\u2013", "0", "\u2013", "\u2013", "0"]
    assert set(values(audio.audio_plots.packets, "packets")) == {0.0}
    assert all(isnan(value) for value in values(audio.audio_plots.jitter, "jitter"))


def test_the_choice_follows_the_configuration(audio: OverviewPage, engine: FakeEngine, window: MainWindow) -> None:
    texts = [audio.trunk.itemText(place) for place in range(audio.trunk.count())]
    assert texts[0] == "All trunks"
    assert len(texts) == 5
    audio.trunk.setCurrentIndex(audio.trunk.findData(4))
    engine.change_elsewhere(Change("sip_trunks", engine.configuration.get(SipTrunk, 3), None))
    window.workspace.bridge.hand_over()
    assert (audio.trunk.count(), audio.trunk.currentData()) == (4, 4)
    engine.change_elsewhere(Change("sip_trunks", engine.configuration.get(SipTrunk, 4), None))
    window.workspace.bridge.hand_over()
    assert audio.trunk.currentData() == 0


def test_words_stand_beside_the_scores(audio: OverviewPage, engine: FakeEngine, window: MainWindow) -> None:
    publish(engine, window, replace(engine.sample_rows[-1], at=time.time(), mos_worst=2.0, mos_median=4.38))
    labels = [each.text() for each in audio.findChild(QWidget, "figure.mos_worst").findChildren(QLabel)]
    assert "Worst MOS: bad" in labels
    labels = [each.text() for each in audio.findChild(QWidget, "figure.mos_median").findChildren(QLabel)]
    assert "Median MOS: excellent" in labels


def test_plots_of_the_other_view_are_not_drawn(
    overview: OverviewPage, engine: FakeEngine, window: MainWindow, qtbot: QtBot
) -> None:
    plots = overview.audio_plots.findChildren(TimePlot)
    assert [plot.repaints for plot in plots] == [0] * 5
    overview.findChild(QAction, "view.audio").trigger()
    assert [plot.repaints for plot in plots] == [1] * 5
    before = overview.calls_plot.repaints
    overview._drawn_at = 0.0
    publish(engine, window, make_samples(1)[0])
    # One after the other, so that nothing else waits for all of them.
    assert sum(plot.repaints for plot in plots) == 6
    qtbot.waitUntil(lambda: [plot.repaints for plot in plots] == [2] * 5)
    assert overview.calls_plot.repaints == before
    window.open_page("sip_trunks")
    overview._drawn_at = 0.0
    publish(engine, window, make_samples(1)[0])
    assert [plot.repaints for plot in plots] == [2] * 5
    overview.findChild(QAction, "view.calls").trigger()


def test_the_figures_of_audio_go_into_the_csv_text(audio: OverviewPage, engine: FakeEngine) -> None:
    silent = replace(engine.sample_rows[-1], relayed=0, packets_per_second=0.0, mos_worst=0.0, trunk_media=())
    engine.sample_rows.append(silent)
    rows = list(csv.DictReader(io.StringIO(audio.figures_text())))
    sample = engine.sample_rows[-2]
    assert float(rows[-2]["packets_per_second"]) == sample.packets_per_second
    assert float(rows[-2]["mos_worst"]) == sample.mos_worst
    assert float(rows[-2]["trunk_1_loss_percent"]) == sample.trunk_media[0].loss_percent
    assert (rows[-1]["relayed"], rows[-1]["mos_worst"], rows[-1]["trunk_1_relayed"]) == ("0", "", "0")
    assert rows[-1]["trunk_1_jitter_ms"] == ""


def test_a_single_value_between_gaps_is_a_dot(theme: Theme, qtbot: QtBot) -> None:
    plot = TimePlot(theme, "test", "Test")
    qtbot.addWidget(plot)
    gap = float("nan")
    plot.draw(range(7), [Series("mos", [3.0, gap, 4.0, 4.1, gap, gap, 2.0], 0)], 6)
    assert [point.pos().y() for point in plot._dots["mos"].points()] == [3.0, 2.0]
    plot.draw(range(3), [Series("mos", [gap, gap, gap], 0)], 6)
    assert len(plot._dots["mos"].points()) == 0


def test_pieces_of_work_leave_room_in_between_and_end_out_of_sight(qtbot: QtBot) -> None:
    done: list[int] = []
    wanted = [True]
    parent = QObject()
    stagger = Stagger(lambda: wanted[0], parent)

    def pieces(*numbers: int) -> list[Piece]:
        return [partial(done.append, number) for number in numbers]

    stagger.start(pieces(1, 2, 3))
    assert done == [1]
    qtbot.waitUntil(lambda: done == [1, 2, 3])
    stagger.start(pieces(4, 5))
    stagger.start(pieces(6, 7))
    assert done == [1, 2, 3, 4, 6]
    stagger.at_once(pieces(8, 9))
    assert done[-2:] == [8, 9]
    stagger.start(pieces(10, 11))
    wanted[0] = False
    qtbot.wait(3 * GAP)
    assert done == [1, 2, 3, 4, 6, 8, 9, 10]


# --- trunk status ----------------------------------------------------------------------------------------------------


def test_each_trunk_says_how_its_relayed_calls_sound(
    window: MainWindow, engine: FakeEngine, qtbot: QtBot, qtmodeltester: Any
) -> None:
    page = window.open_page("trunk_status")
    assert isinstance(page, TrunkStatusPage)
    relayed, mos = (page.live.column_index(name) for name in ("relayed", "mos"))

    def cells(key: int) -> list[str]:
        return [page.live.index(page.live.position(key), column).data() for column in (relayed, mos)]

    media = (TrunkMedia(1, 5, 500.0, 3.2, 4.2, 41.0, 2.5), TrunkMedia(3, 1, 100.0, 0.0, 0.0, 0.0, 0.0))
    publish(engine, window, replace(engine.sample_rows[-1], trunk_media=media))
    assert cells(1) == ["5", "3.20 poor"]
    assert cells(2) == ["", ""]
    assert cells(3) == ["1", ""]
    assert Tone(page.live.index(page.live.position(1), mos).data(TONE_ROLE)) is Tone.WARNING
    announced: list[int] = []
    page.live.dataChanged.connect(lambda first, _last: announced.append(first.row()))
    publish(engine, window, replace(engine.sample_rows[-1], trunk_media=media[:1]))
    assert announced == [page.live.position(3)]
    publish(engine, window, engine.sample_rows[-1])
    assert len(announced) == 1
    qtmodeltester.check(page.live)


def test_trunk_status_catches_up_when_it_comes_into_sight(window: MainWindow, engine: FakeEngine) -> None:
    page: Any = window.open_page("trunk_status")
    window.open_page("sip_trunks")
    media = (TrunkMedia(2, 7, 700.0, 4.4, 4.4, 1.0, 0.0),)
    publish(engine, window, replace(engine.sample_rows[-1], trunk_media=media))
    mos = page.live.column_index("mos")
    assert page.live.index(page.live.position(2), mos).data() == ""
    window.open_page("trunk_status")
    assert page.live.index(page.live.position(2), mos).data() == "4.40 excellent"


# --- call records ----------------------------------------------------------------------------------------------------


def told(*media: dict[str, Any], **fields: Any) -> str:
    return account(make_record(1, media=media, **fields), office(), LIGHT)


def test_the_account_tells_each_direction_in_words_and_numbers() -> None:
    html = told(make_media(), make_media("called", mos=2.94, lost=141, loss_percent=4.7, jitter_ms=38.4))
    for words in (
        "From the caller: <span style='color:#13703b'>excellent (MOS 4.36).",
        "bad (MOS 2.94): packets were lost, packets came unevenly.",
        ">141 (4.7 %)<",
        ">PCMA/8000<",
        ">38.4 ms<",
        ">31.5 ms<",
        ">10.0.0.31:4000<",
    ):
        assert words in html
    assert "Duplicates" not in html
    assert "color:#5fd08a" in account(make_record(1, media=(make_media(),)), office(), DARK)


def test_missing_audio_is_told_in_the_account() -> None:
    never = make_media("called", packets=0, lost=0, mos=0.0, codec="", remote="", problem="one-way")
    html = told(make_media(problem="silent"), never)
    assert "From the called side: <span style='color:#b3261e'>nothing ever came." in html
    assert "nothing came from either side at the end" in html


def test_the_account_of_a_call_that_was_not_relayed_says_so() -> None:
    assert "Audio flowed directly between the two sides" in told()
    assert "Audio" not in told(answered=0.0, status=486, end_cause="busy")
    assert "Audio" not in told(end_cause="interrupted")


def test_figures_of_other_versions_and_of_strangers_do_no_harm() -> None:
    html = told({"side": "<b>", "mos": "many", "packets": 3, "codec": "<img>", "new": 1}, {})
    assert "<b>" not in html.replace("<td><b>", "").replace("<li><b>", "")
    assert "<img>" not in html
    assert "not judged" in html


# --- pictures to look through -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [ThemeMode.LIGHT, ThemeMode.DARK])
def test_the_audio_of_calls_is_seen_in_light_and_dark(
    window: MainWindow, engine: FakeEngine, screenshot: Screenshot, qtbot: QtBot, mode: ThemeMode
) -> None:
    window.set_theme(mode)
    window.resize(1360, 840)
    history, now = window.workspace.stream_history, time.time()
    for second in range(240):
        history._now = lambda second=second: now - 240 + second
        trouble = 150 < second < 180
        history.take(
            [
                make_stream(jitter_ms=1.5 + second % 3 / 5, packets_per_second=50 + second % 2 / 5),
                make_stream("called", mos=2.6 if trouble else 4.2, loss_percent=6.0 if trouble else 0.2,
                            jitter_ms=45.0 if trouble else 18.0, packets_per_second=47.0 if trouble else 50.0),
            ]
        )  # fmt: skip
    history._now = time.time
    calls: Any = window.open_page("live_calls")
    calls.view.select_keys(["call-1"])
    qtbot.wait(50)
    assert all(plot.repaints for plot in calls.streams.plots.values())
    screenshot(window, f"{mode}-live-audio")
    trouble_words = "one-way audio: nothing comes from the called side"
    engine.set_call(replace(engine.rows["call-1"], problem=trouble_words, text=trouble_words))
    engine.set_streams(make_stream("called", mos=1.0, problem="one-way", packets_per_second=0.0, last_packet_ago=12.0))
    window.workspace.bridge.hand_over()
    qtbot.wait(200)
    screenshot(window, f"{mode}-live-one-way")
    calls.view.select_keys(["call-4"])
    qtbot.wait(50)
    screenshot(window, f"{mode}-live-direct")
    overview: Any = window.open_page("overview")
    overview.set_view("audio")
    qtbot.wait(50)
    screenshot(window, f"{mode}-overview-audio")
    overview.trunk.setCurrentIndex(1)
    overview.set_span("24 hours")
    window.resize(860, 580)
    qtbot.wait(50)
    screenshot(window, f"{mode}-overview-audio-small")
    overview.set_view("calls")
