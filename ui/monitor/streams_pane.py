"""The audio of one call in progress: a row for each direction, and curves of its last five minutes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from math import ceil

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.events import CallRow, CallState, StreamRow
from app.records import LocalUser
from ui.monitor.audio_plots import LEAST_SCORE
from ui.monitor.audio_words import (
    PROBLEMS,
    SIDES,
    jitter_cell,
    last_packet_words,
    loss_cell,
    round_trip_cell,
    score_cell,
)
from ui.monitor.stagger import Piece, Stagger
from ui.monitor.stream_history import SECONDS
from ui.monitor.time_plot import Series, TimePlot
from ui.plain_text import PlainLabel
from ui.tables.cells import Cell, Column, number_cell, state_cell, text_cell
from ui.tables.row_model import RowModel
from ui.tables.table_view import RowTableView
from ui.theme import Theme, Tone
from ui.words import name_words
from ui.workspace import Workspace

DRAWN_AFTER = 0.9
"""Seconds between two drawings of the curves."""
SPAN_STEP = 60.0
"""The curves reach back so many seconds, or twice, three times ... as far."""

NOT_CHOSEN = "Choose a call to see its audio: a row for each direction, and curves of the last five minutes."
SEVERAL = "Several calls are chosen. Choose one to see its audio."
NOT_RELAYED = (
    "Audio flows directly between the two sides of this call; set Relay media stream on its trunk, line or user "
    "to measure it."
)
ROUTING = "The call is still being routed: it has no audio yet."
NO_FIGURES = "The audio of this call is relayed. Its figures come about a second after the first packet."


def stream_columns(number_of: Callable[[str], str]) -> list[Column[StreamRow]]:
    """The columns of a stream; `number_of` gives the number of a side."""

    def direction(row: StreamRow) -> Cell:
        words = f"from {SIDES.get(row.side, row.side)}"
        number = number_of(row.side)
        return Cell(f"{words} ({number})" if number else words, row.side, tip=f"What {SIDES.get(row.side)} sends.")

    def problem(row: StreamRow) -> Cell:
        if not row.problem:
            return Cell("", 0)
        return state_cell(row.problem, 1, Tone.WARNING, PROBLEMS.get(row.problem, ""))

    return [
        Column("side", "Direction", direction, "Whose audio it is."),
        Column("mos", "MOS", _score, "How it sounds, from 1 (bad) to 4.5 (excellent); ITU-T G.107.",
               sample="4.41 excellent"),
        Column("codec", "Codec", lambda row: text_cell(row.codec), sample="PCMU/8000"),
        Column("loss", "Loss", lambda row: loss_cell(row.loss_percent) if row.packets else Cell("", 0.0),
               "Lost in the last second.", right=True, sample="12.5 %"),
        Column("lost", "Lost", lambda row: number_cell(row.lost), "Packets lost since the beginning.", right=True),
        Column("gaps", "Gaps", lambda row: number_cell(row.gaps), "How often packets were missing, however many.",
               shown=False, right=True),
        Column("packets", "Packets", lambda row: number_cell(row.packets), "Since the beginning.", right=True,
               sample="100000"),
        Column("rate", "Packets/s", lambda row: number_cell(row.packets_per_second, f"{row.packets_per_second:.0f}"),
               "In the last second; 50 is usual.", shown=False, right=True),
        Column("jitter", "Jitter", lambda row: jitter_cell(row.jitter_ms) if row.packets else Cell("", 0.0),
               "How unevenly the packets come; RFC 3550.", right=True, sample="25.5 ms"),
        Column("round_trip", "Round trip", lambda row: round_trip_cell(row.round_trip_ms),
               "Between here and this side, from RTCP.", right=True, sample="250 ms"),
        Column("bytes", "Bytes", lambda row: number_cell(row.bytes), shown=False, right=True),
        Column("last_packet", "Last packet", lambda row: number_cell(
            row.last_packet_ago, last_packet_words(row.last_packet_ago)), right=True, sample="10 s ago"),
        Column("problem", "Problem", problem),
    ]  # fmt: skip


def _score(row: StreamRow) -> Cell:
    return score_cell(row.mos, "" if row.mos else "Not known while nothing comes.")


class StreamsPane(QWidget):
    """The lower pane of the live calls; its table is named `streams`."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.setObjectName("streams.pane")
        self.setAccessibleName("Audio of the chosen call")
        self._workspace = workspace
        self._call: CallRow | None = None
        self._drawn_at = 0.0
        self._title = PlainLabel()
        self._title.setObjectName("streams.title")
        self._title.setProperty("role", "title")
        self._problem = PlainLabel()
        self._problem.setObjectName("streams.problem")
        self._problem.setProperty("role", "warning")
        # However long, it never makes the window wider.
        self._problem.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._key = QLabel()
        self._key.setObjectName("streams.key")
        self._open = QPushButton()
        self._open.setObjectName("streams.open")
        self._open.clicked.connect(self._open_record)
        self.model: RowModel[StreamRow] = RowModel(stream_columns(self._number_of), lambda row: row.side)
        self.view = RowTableView(self.model, workspace.theme, workspace.settings, "streams")
        self.view.setObjectName("streams")
        self.view.setSortingEnabled(False)
        self.view.setAccessibleName("Streams of the chosen call")
        self.plots = _make_plots(workspace.theme)
        self._curves = QFrame()
        self._stagger = Stagger(self._curves.isVisible, self)
        self._lay_out()
        workspace.bridge.streams_changed.connect(self._take)
        workspace.theme.changed.connect(self._show_key)
        self._show_key()
        self.show_call(None)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self._title)
        head.addSpacing(12)
        head.addWidget(self._problem, 1)
        head.addWidget(self._key)
        head.addWidget(self._open)
        curves = QHBoxLayout(self._curves)
        curves.setContentsMargins(0, 0, 0, 0)
        curves.setSpacing(6)
        for plot in self.plots.values():
            plot.setMinimumHeight(self.fontMetrics().height() * 6)
            curves.addWidget(plot, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 8)
        layout.setSpacing(6)
        layout.addLayout(head)
        layout.addWidget(self.view, 1)
        layout.addWidget(self._curves, 3)
        header = self.view.horizontalHeader().sizeHint().height()
        row = self.view.verticalHeader().defaultSectionSize()
        self._rows_height = header + 2 * row + self.view.horizontalScrollBar().sizeHint().height() + 4
        self.view.setMinimumHeight(self._rows_height)

    def _number_of(self, side: str) -> str:
        call = self._call
        if call is None:
            return ""
        return call.caller_number if side == "caller" else call.called_number

    # --- what is shown -------------------------------------------------------------------------------------------

    def show_call(self, call: CallRow | None, *, several: bool = False) -> None:
        """Show the audio of this call, or say in words why there is none to see."""
        before, self._call = self._call, call
        if before is not None and call is not None and before.id == call.id:
            if before != call:
                if not call.relayed:
                    self.model.set_rows(())
                self._show_words(several)
            return
        self._workspace.stream_history.choose(call.id if call is not None else "")
        self.model.set_rows(())
        if call is not None:
            self.model.set_rows(self._workspace.engine.streams(call.id))
        self._show_words(several)
        self.draw()

    def _show_words(self, several: bool) -> None:
        call = self._call
        if call is None:
            words = SEVERAL if several else NOT_CHOSEN
        elif call.relayed:
            words = NO_FIGURES
        else:
            words = ROUTING if call.state is CallState.ROUTING else NOT_RELAYED
        self._title.setText(f"Audio of {call.caller_number or 'anonymous'} \u2192 {call.called_number}" if call else "")
        self._title.setVisible(call is not None)
        self._problem.setText(f"\u26a0 {call.problem}" if call is not None and call.problem else "")
        self.view.empty_hint.set_text(words)
        _table, _record_id, caption = self._record()
        self._open.setText(f"Open {caption}")
        self._open.setVisible(bool(caption) and call is not None and not call.relayed)
        self._arrange()

    def _arrange(self) -> None:
        """Room for the curves as soon as there are rows."""
        shown = self.model.rowCount() > 0
        self._curves.setVisible(shown)
        self._key.setVisible(shown)
        self.view.setMaximumHeight(self._rows_height if shown else 16_777_215)

    def _show_key(self) -> None:
        """Which curve is whose, once for all plots."""
        first, second = self._workspace.theme.colours.series[:2]
        self._key.setText(
            f"<span style='color:{first}'>\u2501\u2501</span> from the caller &nbsp; "
            f"<span style='color:{second}'>\u2505\u2505</span> from the called side"
        )

    def _record(self) -> tuple[str, int, str]:
        """The record whose setting would make this call's audio pass here: table, id and words; blank for none."""
        call = self._call
        configuration = self._workspace.configuration
        for name in (call.target, call.source) if call is not None else ():
            kind, _, rest = name.partition(":")
            table, record_id = {"trunk": "sip_trunks", "line": "external_lines"}.get(kind, ""), 0
            if table and rest.isdigit():
                record_id = int(rest)
            elif kind == "user" and rest in configuration.users_by_number:
                table, record_id = LocalUser.table, configuration.users_by_number[rest].id
            if record_id and configuration.find(table, record_id) is not None:
                return (table, record_id, name_words(name, configuration))
        return ("", 0, "")

    def _open_record(self) -> None:
        table, record_id, _caption = self._record()
        if table:
            self._workspace.record_wanted.emit(table, record_id)

    # --- figures -------------------------------------------------------------------------------------------------

    def _take(self, rows: Sequence[StreamRow]) -> None:
        call = self._call
        mine = [row for row in rows if row.call_id == call.id] if call is not None else []
        if not mine:
            return
        first = self.model.rowCount() == 0
        self.model.upsert(mine)
        if first:
            self._arrange()
        if first:
            self.draw()
        elif time.monotonic() - self._drawn_at >= DRAWN_AFTER:
            self._stagger.start(self._drawings())

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what happened out of sight."""
        super().showEvent(event)
        self.draw()

    def draw(self) -> None:
        """Draw the curves anew, unless they are out of sight."""
        self._stagger.at_once(self._drawings())

    def _drawings(self) -> list[Piece]:
        """What there is to draw, plot by plot."""
        call = self._call
        if call is None or not self._curves.isVisible():
            return []
        self._drawn_at = time.monotonic()
        history = self._workspace.stream_history
        times = history.times(call.id)
        # As far back as the call goes: a young one would be a stroke at the edge. In steps, so that it does not creep.
        age = times[-1] - times[0] if len(times) else 0.0
        span = min(SECONDS, ceil(age / SPAN_STEP + 0.2) * SPAN_STEP)
        sides = {side: history.curves(call.id, side) for side in SIDES}
        drawings: list[Piece] = []
        for name, plot in self.plots.items():
            series = [
                Series(side, getattr(curves, name), place, dashed=place == 1)
                for place, (side, curves) in enumerate(sides.items())
            ]
            drawings.append(partial(plot.draw, times, series, span))
        return drawings


def _make_plots(theme: Theme) -> dict[str, TimePlot]:
    """The plots of one call, by the name of their figure in `StreamCurves`."""
    return {
        "mos": TimePlot(theme, "stream.mos", "MOS", "", 5, fixed=True, bottom=LEAST_SCORE, key=False),
        "loss_percent": TimePlot(theme, "stream.loss", "Loss, %", " %", 2, key=False),
        "jitter_ms": TimePlot(theme, "stream.jitter", "Jitter, ms", " ms", 10, key=False),
        "packets_per_second": TimePlot(theme, "stream.packets", "Packets/s", "", 60, key=False),
    }
