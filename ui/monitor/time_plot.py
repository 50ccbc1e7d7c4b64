"""A plot over time in the colours of the theme, with a crosshair that reads the values."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from copy import deepcopy
from math import isnan
from typing import Any, ClassVar, NamedTuple

import pyqtgraph
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout

from ui.monitor.curve_key import CurveKey, Entry
from ui.plain_text import ShortenedLabel
from ui.theme import Theme

pyqtgraph.setConfigOptions(antialias=True)


class Series(NamedTuple):
    """One curve."""

    name: str
    values: Sequence[float]
    """NaN leaves a gap."""
    colour: int
    """Its place among the theme's colours; -1 for the text's own."""
    dashed: bool = False
    filled: bool = False


class WholeNumbers(pyqtgraph.AxisItem):  # type: ignore[misc]
    """An axis for counts: no tick stands between two whole numbers."""

    def tickSpacing(self, least: float, most: float, size: float) -> list[tuple[float, float]]:
        """The distances of the ticks, from the largest to the smallest."""
        return [each for each in super().tickSpacing(least, most, size) if each[0] >= 1] or [(1, 0)]


class TimeAxis(pyqtgraph.DateAxisItem):  # type: ignore[misc]
    """The time of day; a narrow plot has ticks at every other minute or hour, where its base has none at all."""

    _STEPS: ClassVar[dict[int, list[int]]] = {
        1: [1, 2, 5, 10, 15, 30, 60, 120],
        60: [1, 2, 5, 10, 15, 30],
        3600: [1, 2, 3, 6, 12],
    }

    _LIMITS: ClassVar[dict[float, float]] = {6 * 3600: 24 * 3600, 15 * 60: 30 * 60}
    """Seconds between two ticks up to which hours, and minutes, are shown."""

    def __init__(self) -> None:
        super().__init__("bottom")
        self.zoomLevels = {self._LIMITS.get(limit, limit): deepcopy(level) for limit, level in self.zoomLevels.items()}
        for level in self.zoomLevels.values():
            for ticks in level.tickSpecs:
                ticks.autoSkip = self._STEPS.get(ticks.spacing, ticks.autoSkip)


class TimePlot(QFrame):
    """A card with a title, the values under the crosshair and the plot; it never repaints while out of sight."""

    def __init__(
        self,
        theme: Theme,
        name: str,
        title: str,
        unit: str = "",
        top: float = 1.0,
        *,
        fixed: bool = False,
        whole: bool = False,
        bottom: float = 0.0,
        key: bool = True,
    ) -> None:
        """`top` is the least value that the axis reaches to; `fixed` when it never reaches higher,
        `whole` when it counts. It begins at `bottom`. Without a `key` something else tells the curves apart.
        """
        super().__init__()
        self.setObjectName(f"plot.{name}")
        self.setProperty("role", "card")
        self._theme = theme
        self._unit = unit
        self._times: Sequence[float] = ()
        self._series: tuple[Series, ...] = ()
        self._curves: dict[str, Any] = {}
        self._dots: dict[str, Any] = {}
        """Points without a neighbour, of which a curve shows nothing."""
        self.repaints = 0
        """How often new values were drawn."""
        self._title = QLabel(title)
        self._title.setProperty("role", "title")
        self._values = ShortenedLabel()
        self._values.setObjectName("values")
        self._values.setProperty("role", "muted")
        left = WholeNumbers("left") if whole else pyqtgraph.AxisItem("left")
        self.plot = pyqtgraph.PlotWidget(axisItems={"bottom": TimeAxis(), "left": left})
        self.plot.setAccessibleName(title)
        self.plot.setMenuEnabled(False)
        offered = self.plot.scene().contextMenu
        while offered:
            # Of the menu that is switched off; nobody can reach it.
            offered.pop().deleteLater()
        self.plot.setMouseEnabled(False, False)
        self.plot.hideButtons()
        self.plot.getPlotItem().setContentsMargins(2, 6, 10, 2)
        self.plot.getAxis("left").setWidth(44)
        self._top = top
        self._fixed = fixed
        self._bottom = bottom
        self.key = CurveKey() if key else None
        self._line = pyqtgraph.InfiniteLine(angle=90, movable=False)
        self._line.hide()
        self.plot.addItem(self._line, ignoreBounds=True)
        self.plot.scene().sigMouseMoved.connect(self._point)
        head = QHBoxLayout()
        head.addWidget(self._title)
        head.addSpacing(8)
        self._values.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        head.addWidget(self._values, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 8, 8)
        layout.setSpacing(2)
        layout.addLayout(head)
        if self.key is not None:
            layout.addWidget(self.key)
        layout.addWidget(self.plot, 1)
        theme.changed.connect(self._colour)
        self._colour()

    def draw(self, times: Sequence[float], series: Sequence[Series], span: float) -> None:
        """Show these curves over the last `span` seconds."""
        self._times = times
        names = [each.name for each in series]
        again = names != [each.name for each in self._series]
        self._series = tuple(series)
        if again:
            self._make_curves()
        for each in series:
            self._curves[each.name].setData(times, each.values, connect="finite")
            lonely = _lonely(each.values)
            self._dots[each.name].setData([times[place] for place in lonely], [each.values[place] for place in lonely])
        end = times[-1] if times else time.time()
        self.plot.setXRange(end - span, end, padding=0)
        peak = max((value for each in series for value in each.values if not isnan(value)), default=0.0)
        self.plot.setYRange(self._bottom, self._top if self._fixed else max(self._top, peak * 1.15), padding=0)
        self.repaints += 1

    def _make_curves(self) -> None:
        for item in (*self._curves.values(), *self._dots.values()):
            self.plot.removeItem(item)
        self._curves = {each.name: self.plot.plot() for each in self._series}
        self._dots = {each.name: pyqtgraph.ScatterPlotItem(size=5, pen=None) for each in self._series}
        for dots in self._dots.values():
            self.plot.addItem(dots)
        self._colour()

    def _colour(self) -> None:
        colours = self._theme.colours
        self.plot.setBackground(colours.raised)
        for name in ("left", "bottom"):
            axis = self.plot.getAxis(name)
            axis.setPen(colours.border)
            axis.setTextPen(colours.muted)
        self.plot.showGrid(x=False, y=True, alpha=0.25)
        self._line.setPen(pyqtgraph.mkPen(colours.muted, width=1))
        entries: list[Entry] = []
        for each in self._series:
            text = colours.text if each.colour < 0 else colours.series[each.colour % len(colours.series)]
            entries.append(Entry(each.name, text, each.dashed))
            style = Qt.PenStyle.DashLine if each.dashed else Qt.PenStyle.SolidLine
            curve = self._curves[each.name]
            curve.setPen(pyqtgraph.mkPen(text, width=2, style=style))
            self._dots[each.name].setBrush(text)
            if each.filled:
                shade = QColor(text)
                shade.setAlpha(40)
                curve.setFillLevel(0)
                curve.setBrush(shade)
        if self.key is not None:
            self.key.show_entries(entries, colours.text)

    def _point(self, position: QPointF) -> None:
        """Move the crosshair to the pointer and read the values there."""
        box = self.plot.getPlotItem().vb
        if not self._times or not self.plot.sceneBoundingRect().contains(position):
            self._line.hide()
            self._values.setText("")
            return
        self.show_values_at(box.mapSceneToView(position).x())

    def show_values_at(self, at: float) -> None:
        """Put the crosshair at a wall time and read the values of the nearest sample."""
        place = min(bisect_left(self._times, at), len(self._times) - 1)
        if place and at - self._times[place - 1] < self._times[place] - at:
            place -= 1
        self._line.setPos(self._times[place])
        self._line.show()
        clock = time.strftime("%H:%M:%S", time.localtime(self._times[place]))
        words = [
            f"{each.name} {each.values[place]:g}{self._unit}" for each in self._series if not isnan(each.values[place])
        ]
        self._values.setText(f"{clock}   {', '.join(words)}")


def _lonely(values: Sequence[float]) -> list[int]:
    """The places of values that have none before and none after them."""
    last = len(values) - 1
    return [
        place
        for place, value in enumerate(values)
        if not isnan(value) and (place == 0 or isnan(values[place - 1])) and (place == last or isnan(values[place + 1]))
    ]
