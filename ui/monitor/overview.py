"""The overview: the figures of this moment, a gauge for each trunk, and plots of calls or of their audio over time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QActionGroup, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.events import GaugeSample, TrunkChanged, TrunkRow
from app.records import SipTrunk
from ui.messages import save_file, save_text
from ui.monitor.audio_plots import ALL, MEDIA_FIGURES, AudioPlots, media_of
from ui.monitor.audio_words import score_word
from ui.monitor.gauge import TrunkGauge
from ui.monitor.stagger import Piece, Stagger
from ui.monitor.time_plot import Series, TimePlot
from ui.plain_text import ShortenedLabel
from ui.tables.rows_text import to_csv
from ui.tool_bar import ToolBar
from ui.words import full_time
from ui.workspace import Workspace

SPANS = {"5 minutes": (300, 1), "1 hour": (3600, 5), "24 hours": (86400, 60)}
"""Span -> (its seconds, seconds between two drawings)."""
MOST_TRUNKS = 4
"""The plot shows the curves of the busiest trunks only; all have a gauge."""
VIEWS = {"calls": ("Calls", "calls"), "audio": ("Audio", "audio")}
"""View -> (its words, its icon)."""
_TRUNK = "overview/trunk"


class OverviewPage(QWidget):
    """`page.overview`."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.setObjectName("page.overview")
        self.name = "overview"
        self.title = "Overview"
        self.workspace = workspace
        self.commands: dict[str, QAction] = {}
        self.span = workspace.settings.text("overview/span", "5 minutes")
        if self.span not in SPANS:
            self.span = "5 minutes"
        self.shown = workspace.settings.text("overview/view", "calls")
        if self.shown not in VIEWS:
            self.shown = "calls"
        self._drawn_at = 0.0
        self._stagger = Stagger(self.isVisible, self)
        self._toolbar = ToolBar()
        self._figures = {
            name: Figure(name, title)
            for name, title in (
                ("calls", "Calls in progress"),
                ("calls_per_second", "Calls per second"),
                ("answer_ratio", "Answered of ended calls"),
                ("registered", "Registered phones"),
            )
        }
        self._audio_figures = {
            name: Figure(name, title)
            for name, title in (
                ("mos_worst", "Worst MOS"),
                ("mos_median", "Median MOS"),
                ("relayed", "Relayed"),
                ("loss_percent", "Loss"),
                ("jitter_ms", "Worst jitter"),
                ("packets_per_second", "Packets/s"),
            )
        }
        self.trunk = QComboBox(self)
        self.gauges = GaugeBoard(workspace)
        theme = workspace.theme
        self.calls_plot = TimePlot(theme, "calls", "Calls in progress", top=5, whole=True)
        self.rate_plot = TimePlot(theme, "calls_per_second", "Calls per second")
        self.ratio_plot = TimePlot(theme, "answer_ratio", "Answer ratio", " %", 105, fixed=True)
        self.audio_plots = AudioPlots(theme)
        self._views = QStackedWidget(self)
        self._add_commands()
        self._lay_out()
        self._list_trunks()
        workspace.bridge.configuration_changed.connect(lambda _: self._list_trunks())
        workspace.bridge.sampled.connect(self._take)
        workspace.bridge.trunks_changed.connect(self.gauges.take)
        workspace.bridge.engine_changed.connect(lambda _: self._start_again())
        self._start_again()

    def _add_commands(self) -> None:
        views, spans = QActionGroup(self), QActionGroup(self)
        for name, (text, icon) in VIEWS.items():
            action = self._add_choice(views, f"view.{name}", text, name == self.shown)
            action.triggered.connect(lambda *_, name=name: self.set_view(name))
            self.workspace.theme.give_icon(action, icon)
        self._toolbar.addSeparator()
        for span in SPANS:
            action = self._add_choice(spans, f"span.{span.replace(' ', '_')}", span, span == self.span)
            action.triggered.connect(lambda *_, span=span: self.set_span(span))
        self.trunk.setObjectName("trunk")
        self.trunk.setAccessibleName("Trunk whose audio is shown")
        self.trunk.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.trunk.setMinimumContentsLength(20)
        self.trunk.view().setMinimumWidth(self.fontMetrics().averageCharWidth() * 48)
        self.trunk.currentIndexChanged.connect(lambda _: self._choose_trunk())
        self._toolbar.addSeparator()
        for name, text, icon, slot in (
            ("export_png", "Picture...", "image", self.export_png),
            ("export_csv", "Figures...", "export", self.export_csv),
        ):
            action = QAction(text, self)
            action.setObjectName(name)
            action.triggered.connect(slot)
            self.workspace.theme.give_icon(action, icon)
            self._toolbar.addAction(action)
            self.commands[name] = action

    def _add_choice(self, group: QActionGroup, name: str, text: str, chosen: bool) -> QAction:
        action = QAction(text, self, checkable=True, checked=chosen)
        action.setObjectName(name)
        group.addAction(action)
        self._toolbar.addAction(action)
        self.commands[name] = action
        return action

    def _lay_out(self) -> None:
        plots = QGridLayout()
        plots.setSpacing(8)
        plots.addWidget(self.calls_plot, 0, 0, 2, 1)
        plots.addWidget(self.rate_plot, 0, 1)
        plots.addWidget(self.ratio_plot, 1, 1)
        for plot in (self.calls_plot, self.rate_plot, self.ratio_plot):
            # Lower, the numbers of an axis would stand over each other; the gauges are scrolled then.
            plot.plot.setMinimumHeight(self.fontMetrics().height() * 7)
        plots.setColumnStretch(0, 3)
        plots.setColumnStretch(1, 2)
        calls = self._add_view(self._figures.values())
        calls.addWidget(self.gauges)
        calls.addLayout(plots, 1)
        audio = self._add_view(self._audio_figures.values())
        audio.addWidget(self.audio_plots, 1)
        self._views.setCurrentIndex(list(VIEWS).index(self.shown))
        self.trunk.setVisible(self.shown == "audio")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 6, 10, 10)
        layout.setSpacing(8)
        bar = QHBoxLayout()
        bar.addWidget(self._toolbar, 1)
        # Not in the toolbar, which hides what has no room.
        bar.addWidget(self.trunk)
        layout.addLayout(bar)
        layout.addWidget(self._views, 1)

    def _add_view(self, figures: Iterable[QWidget]) -> QVBoxLayout:
        """A view with its figures at the top. On a small screen it is scrolled rather than the window kept large."""
        view = QWidget()
        area = QScrollArea(widgetResizable=True, frameShape=QFrame.Shape.NoFrame)
        area.setWidget(view)
        self._views.addWidget(area)
        line = QHBoxLayout()
        line.setSpacing(8)
        for figure in figures:
            # By the length of its words, as far as there is room.
            line.addWidget(figure, 4 + ("MOS" in figure.toolTip()))
        layout = QVBoxLayout(view)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(line)
        return layout

    def _list_trunks(self) -> None:
        """Every trunk can be chosen; the one that is chosen stays so."""
        remembered = self.workspace.settings.text(_TRUNK)
        chosen = int(remembered) if remembered.isdecimal() else ALL
        self.trunk.blockSignals(True)
        self.trunk.clear()
        self.trunk.addItem("All trunks", ALL)
        for record in self.workspace.configuration.records(SipTrunk):
            self.trunk.addItem(record.caption(), record.id)
        self.trunk.setCurrentIndex(max(0, self.trunk.findData(chosen)))
        self.trunk.blockSignals(False)

    def _choose_trunk(self) -> None:
        self.workspace.settings.set_text(_TRUNK, str(self.trunk.currentData()))
        self._start_again()

    # --- figures -------------------------------------------------------------------------------------------------

    def _start_again(self) -> None:
        """The server has begun or ended: everything anew."""
        self.gauges.show_rows(self.workspace.engine.trunks())
        samples = self.workspace.engine.samples("5 minutes")
        if samples:
            self._show_figures(samples[-1])
        self.draw()

    def _take(self, samples: Sequence[GaugeSample]) -> None:
        if not self.isVisible():
            return
        self._show_figures(samples[-1])
        if time.monotonic() - self._drawn_at >= SPANS[self.span][1] - 0.3:
            self._stagger.start(self._drawings())

    def _show_figures(self, sample: GaugeSample) -> None:
        ratio = f"{sample.answer_ratio:.0f} %" if sample.answer_ratio >= 0 else "none yet"
        self._figures["calls"].set_text(str(sample.calls))
        self._figures["calls_per_second"].set_text(f"{sample.calls_per_second:.1f}")
        self._figures["answer_ratio"].set_text(ratio)
        self._figures["registered"].set_text(str(sample.registered))
        media = media_of(sample, self.trunk.currentData() or ALL)
        figures = {name: getattr(media, name) if media is not None else 0.0 for name in MEDIA_FIGURES}
        for name in ("mos_worst", "mos_median"):
            score = figures[name]
            self._audio_figures[name].set_text(f"{score:.2f}" if score else "\u2013", score_word(score))
        flows = figures["packets_per_second"] > 0
        self._audio_figures["relayed"].set_text(f"{figures['relayed']:.0f}")
        self._audio_figures["packets_per_second"].set_text(f"{figures['packets_per_second']:.0f}")
        self._audio_figures["jitter_ms"].set_text(f"{figures['jitter_ms']:.1f} ms" if flows else "\u2013")
        self._audio_figures["loss_percent"].set_text(f"{figures['loss_percent']:.1f} %" if flows else "\u2013")

    def set_view(self, name: str) -> None:
        """Show `calls` or their `audio`."""
        self.shown = name
        self.workspace.settings.set_text("overview/view", name)
        self.commands[f"view.{name}"].setChecked(True)
        self._views.setCurrentIndex(list(VIEWS).index(name))
        self.trunk.setVisible(name == "audio")
        self.draw()

    def set_span(self, span: str) -> None:
        """Show the last 5 minutes, hour or 24 hours."""
        self.span = span
        self.workspace.settings.set_text("overview/span", span)
        self.commands[f"span.{span.replace(' ', '_')}"].setChecked(True)
        self.draw()

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what happened out of sight."""
        super().showEvent(event)
        self._start_again()

    def draw(self) -> None:
        """Draw the plots of the view anew, unless they are out of sight."""
        self._stagger.at_once(self._drawings())

    def _drawings(self) -> list[Piece]:
        """What there is to draw, plot by plot."""
        if not self.isVisible():
            return []
        self._drawn_at = time.monotonic()
        samples = self.workspace.engine.samples(self.span)
        span = SPANS[self.span][0]
        if self.shown == "audio":
            return self.audio_plots.drawings(samples, self.trunk.currentData() or ALL, span)
        times = [sample.at for sample in samples]
        rate = Series("calls per second", [sample.calls_per_second for sample in samples], 0, filled=True)
        ratio = [sample.answer_ratio if sample.answer_ratio >= 0 else float("nan") for sample in samples]
        return [
            partial(self.calls_plot.draw, times, self._call_series(samples), span),
            partial(self.rate_plot.draw, times, [rate], span),
            partial(self.ratio_plot.draw, times, [Series("answered", ratio, 2, filled=True)], span),
        ]

    def _call_series(self, samples: Sequence[GaugeSample]) -> list[Series]:
        counts: dict[int, dict[float, tuple[int, int]]] = {}
        for sample in samples:
            for trunk_id, calls_in, calls_out in sample.trunks:
                counts.setdefault(trunk_id, {})[sample.at] = (calls_in, calls_out)
        peaks = {trunk_id: max(sum(pair) for pair in each.values()) for trunk_id, each in counts.items()}
        busiest = sorted(sorted(counts, key=lambda trunk_id: (-peaks[trunk_id], trunk_id))[:MOST_TRUNKS])
        series = [Series("all", [sample.calls for sample in samples], -1)]
        for trunk_id in busiest:
            pairs = [counts[trunk_id].get(sample.at, (0, 0)) for sample in samples]
            # The colour belongs to the trunk, not to its place in the list.
            series.append(Series(f"trunk {trunk_id} in", [pair[0] for pair in pairs], trunk_id - 1))
            series.append(Series(f"trunk {trunk_id} out", [pair[1] for pair in pairs], trunk_id - 1, dashed=True))
        return series

    # --- export --------------------------------------------------------------------------------------------------

    def export_png(self) -> None:
        """Save the page as a picture."""
        picture = self.grab()

        def write(path: Path) -> None:
            path.write_bytes(b"")  # for the reason, where it is not possible; Qt gives none
            if not picture.save(str(path), "PNG"):
                raise OSError("the picture could not be made")

        save_file(self, "Save the picture", "PNG pictures (*.png)", "overview.png", write, self.workspace.notice)

    def export_csv(self) -> None:
        """Save the samples of the span that is shown."""
        notice = self.workspace.notice
        save_text(self, "Save the figures", "CSV files (*.csv)", "overview.csv", self.figures_text, notice)

    def figures_text(self) -> str:
        """The samples as CSV."""
        samples = self.workspace.engine.samples(self.span)
        ids = sorted({trunk[0] for sample in samples for trunk in sample.trunks})
        rows = [["time", "calls", "calls_per_second", "answer_ratio", "registered"]]
        for trunk_id in ids:
            rows[0] += [f"trunk_{trunk_id}_in", f"trunk_{trunk_id}_out"]
        with_media = [ALL, *sorted({media.trunk_id for sample in samples for media in sample.trunk_media})]
        for trunk_id in with_media:
            rows[0] += [f"trunk_{trunk_id}_{name}" if trunk_id else name for name in MEDIA_FIGURES]
        for sample in samples:
            by_id = {trunk[0]: trunk[1:] for trunk in sample.trunks}
            ratio = f"{sample.answer_ratio:g}" if sample.answer_ratio >= 0 else ""
            row = [full_time(sample.at), str(sample.calls), f"{sample.calls_per_second:g}", ratio]
            row.append(str(sample.registered))
            for trunk_id in ids:
                row += [str(count) for count in by_id.get(trunk_id, ("", ""))]
            for trunk_id in with_media:
                row += _media_texts(sample, trunk_id)
            rows.append(row)
        return to_csv(rows)


def _media_texts(sample: GaugeSample, trunk_id: int) -> list[str]:
    """The figures of audio as they stand in a file; what is not known is blank."""
    media = media_of(sample, trunk_id)
    if media is None:
        return ["0", "0", "", "", "", ""]
    flows = media.packets_per_second > 0
    quality = [media.mos_worst or "", media.mos_median or "", media.jitter_ms, media.loss_percent]
    return [str(media.relayed), f"{media.packets_per_second:g}", *(str(each) if flows else "" for each in quality)]


class Figure(QFrame):
    """`figure.<name>`: one number, large, with its words."""

    def __init__(self, name: str, title: str) -> None:
        super().__init__()
        self.setObjectName(f"figure.{name}")
        self.setProperty("role", "card")
        self._value = QLabel("0")
        self._value.setObjectName("value")
        font = self._value.font()
        font.setPointSizeF(font.pointSizeF() * 2)
        font.setBold(True)
        self._value.setFont(font)
        self._title = title
        self.setToolTip(title)
        self._words = ShortenedLabel(title)
        self._words.setProperty("role", "muted")
        self._value.setAccessibleName(title)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 8, 14, 8)
        layout.setSpacing(0)
        layout.addWidget(self._value)
        layout.addWidget(self._words)

    def set_text(self, text: str, word: str = "") -> None:
        """Show a value, and a word for what it means."""
        self._value.setText(text)
        words = f"{self._title}: {word}" if word else self._title
        self._words.setText(words)
        self.setToolTip(words)


class GaugeBoard(QScrollArea):
    """The gauges of all trunks, in as many columns as there is room for."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.setObjectName("gauges")
        self.setAccessibleName("Trunks")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self._workspace = workspace
        self._gauges: dict[int, TrunkGauge] = {}
        self._columns = 0
        self._body = QWidget()
        self._grid = QGridLayout(self._body)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(8)
        self._grid.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self._empty = QLabel("No SIP trunk yet: Data / SIP trunk adds one, and its gauge appears here.")
        self._empty.setProperty("role", "muted")
        self._grid.addWidget(self._empty, 0, 0)
        self.setWidget(self._body)
        workspace.theme.changed.connect(self._repaint)

    def show_rows(self, rows: Sequence[TrunkRow]) -> None:
        """Show exactly these trunks."""
        for gone in self._gauges.keys() - {row.id for row in rows}:
            self._drop(gone)
        for row in rows:
            self._show(row)
        self._arrange()

    def take(self, events: Sequence[TrunkChanged]) -> None:
        """Take the newest rows."""
        before = set(self._gauges)
        for event in events:
            if event.gone:
                self._drop(event.row.id)
            else:
                self._show(event.row)
        if set(self._gauges) != before:
            self._arrange()

    def _show(self, row: TrunkRow) -> None:
        gauge = self._gauges.get(row.id)
        if gauge is None:
            gauge = self._gauges[row.id] = TrunkGauge(row, self._workspace.theme, self._body)
            gauge.opened.connect(lambda trunk_id: self._workspace.record_wanted.emit("sip_trunks", trunk_id))
        elif gauge.row != row:
            gauge.set_row(row)

    def _drop(self, trunk_id: int) -> None:
        gauge = self._gauges.pop(trunk_id, None)
        if gauge is not None:
            gauge.setParent(None)
            gauge.deleteLater()

    def _arrange(self) -> None:
        self._empty.setVisible(not self._gauges)
        width = next((gauge.sizeHint().width() + 8 for gauge in self._gauges.values()), 1)
        self._columns = max(1, (self.viewport().width() + 8) // width)
        while self._grid.count():
            self._grid.takeAt(0)
        if not self._gauges:
            self._grid.addWidget(self._empty, 0, 0)
        for place, trunk_id in enumerate(sorted(self._gauges)):
            self._grid.addWidget(self._gauges[trunk_id], place // self._columns, place % self._columns)
            self._gauges[trunk_id].show()
        self.updateGeometry()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More or fewer columns."""
        super().resizeEvent(event)
        if self._gauges:
            width = next(iter(self._gauges.values())).sizeHint().width() + 8
            if max(1, (self.viewport().width() + 8) // width) != self._columns:
                self._arrange()

    def sizeHint(self) -> QSize:
        """Up to two lines of gauges; more are scrolled to."""
        if not self._gauges:
            return QSize(400, self.fontMetrics().height() * 2)
        gauge = next(iter(self._gauges.values())).sizeHint()
        lines = min(2, -(-len(self._gauges) // max(1, self._columns)))
        return QSize(400, lines * (gauge.height() + 8) - 6)

    def minimumSizeHint(self) -> QSize:
        """One line of gauges."""
        return QSize(200, min(self.sizeHint().height(), round(self.fontMetrics().height() * 8.4)))

    def _repaint(self) -> None:
        for gauge in self._gauges.values():
            gauge.update()
