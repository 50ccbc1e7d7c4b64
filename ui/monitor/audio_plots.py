"""The plots of relayed audio over time: how much flows and how it sounds, in all or through one trunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtWidgets import QGridLayout, QWidget

from app.events import GaugeSample, TrunkMedia
from ui.monitor.stagger import Piece
from ui.monitor.time_plot import Series, TimePlot
from ui.theme import Theme

ALL = 0
"""Stands for all trunks, and for relayed calls without one."""
UNKNOWN = float("nan")
LEAST_SCORE = 0.9
"""Where the axis of a MOS begins: a line at 1 is seen whole."""

MEDIA_FIGURES = ("relayed", "packets_per_second", "mos_worst", "mos_median", "jitter_ms", "loss_percent")
"""The figures of relayed audio in a sample, of all calls and of each trunk."""


def media_of(sample: GaugeSample, trunk_id: int) -> GaugeSample | TrunkMedia | None:
    """The figures of a trunk, or of all; None while none of the trunk's calls is relayed."""
    if trunk_id == ALL:
        return sample
    return next((media for media in sample.trunk_media if media.trunk_id == trunk_id), None)


class AudioPlots(QWidget):
    """Packets per second, relayed calls, MOS, jitter and loss."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setObjectName("audio_plots")
        self.mos = TimePlot(theme, "mos", "MOS, from 1 (bad) to 4.5 (excellent)", "", 5, fixed=True, bottom=LEAST_SCORE)
        self.packets = TimePlot(theme, "packets_per_second", "Packets per second", "", 100)
        self.relayed = TimePlot(theme, "relayed", "Relayed calls", "", 5, whole=True)
        self.jitter = TimePlot(theme, "jitter_ms", "Worst jitter, ms", " ms", 10)
        self.loss = TimePlot(theme, "loss_percent", "Loss, %", " %", 2)
        plots = QGridLayout(self)
        plots.setContentsMargins(0, 0, 0, 0)
        plots.setSpacing(8)
        plots.addWidget(self.mos, 0, 0, 1, 4)
        plots.addWidget(self.relayed, 0, 4, 1, 2)
        plots.addWidget(self.loss, 1, 0, 1, 2)
        plots.addWidget(self.jitter, 1, 2, 1, 2)
        plots.addWidget(self.packets, 1, 4, 1, 2)
        for column in range(6):
            plots.setColumnStretch(column, 1)

    def drawings(self, samples: Sequence[GaugeSample], trunk_id: int, span: float) -> list[Piece]:
        """What shows these samples, of one trunk or of all, over the last `span` seconds, plot by plot."""
        times = [sample.at for sample in samples]
        rows = [media_of(sample, trunk_id) for sample in samples]

        def values(figure: Callable[[GaugeSample | TrunkMedia], float], none: float) -> list[float]:
            return [none if row is None else figure(row) for row in rows]

        def heard(figure: Callable[[GaugeSample | TrunkMedia], float]) -> list[float]:
            """Only while audio flows: without any there is neither jitter nor loss."""
            return [UNKNOWN if row is None or not row.packets_per_second else figure(row) for row in rows]

        worst = values(lambda row: row.mos_worst or UNKNOWN, UNKNOWN)
        median = values(lambda row: row.mos_median or UNKNOWN, UNKNOWN)
        relayed = values(lambda row: row.relayed, 0.0)
        packets = values(lambda row: row.packets_per_second, 0.0)
        jitter, loss = heard(lambda row: row.jitter_ms), heard(lambda row: row.loss_percent)
        curves = {
            self.mos: [Series("worst", worst, 4), Series("median", median, 2, dashed=True)],
            self.relayed: [Series("relayed calls", relayed, 0, filled=True)],
            self.packets: [Series("packets", packets, 0, filled=True)],
            self.jitter: [Series("jitter", jitter, 1)],
            self.loss: [Series("loss", loss, 3)],
        }
        return [partial(plot.draw, times, series, span) for plot, series in curves.items()]
