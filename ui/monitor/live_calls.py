"""The page of calls in progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter

from app.events import CallRow, CallState
from app.records import Configuration
from ui.messages import CANCEL, Choice, Role, ask
from ui.monitor.ladder import LadderDialog
from ui.monitor.live_page import LivePage
from ui.monitor.state_words import CALL_SAMPLE, call_state_cell
from ui.monitor.streams_pane import StreamsPane
from ui.tables.cells import (
    NUMBER_SAMPLE,
    Cell,
    Column,
    blank_cell,
    duration_cell,
    number_cell,
    status_cell,
    text_cell,
    time_cell,
)
from ui.tables.table_page import Needs
from ui.theme import Tone
from ui.words import duration, name_words, natural_key, plural
from ui.workspace import Workspace

_SPLITTER = "live_calls/splitter"
_SHOWN = "live_calls/audio"
_TRUNK_SAMPLE = "SIP trunk 1 - Carrier A"


def _trunk_cell(trunk_id: int, configuration: Configuration) -> Cell:
    if not trunk_id:
        return Cell("", 0)
    return number_cell(trunk_id, name_words(f"trunk:{trunk_id}", configuration))


def call_columns(configuration: Callable[[], Configuration]) -> list[Column[CallRow]]:
    """The columns of a call in progress."""

    def words(name: str) -> Cell:
        return text_cell(name_words(name, configuration())) if name else blank_cell()

    def lasted(row: CallRow) -> Cell:
        return duration_cell((row.ended or time.time()) - row.started, row.started)

    def talked(row: CallRow) -> Cell:
        if not row.answered:
            return Cell("", 0.0)
        return duration_cell((row.ended or time.time()) - row.answered, row.answered)

    def newest_step(row: CallRow) -> Cell:
        if not row.problem:
            return text_cell(row.text)
        return Cell(row.text, natural_key(row.text), Tone.WARNING, row.problem, None, True)

    return [
        Column("state", "State", lambda row: call_state_cell(row.state, row.problem), sample=CALL_SAMPLE),
        Column(
            "from",
            "From",
            lambda row: text_cell(row.caller_number, tip=row.source),
            "The caller's number.",
            sample=NUMBER_SAMPLE,
        ),
        Column(
            "to",
            "To",
            lambda row: text_cell(row.called_number, tip=row.target),
            "The number that was dialled.",
            sample=NUMBER_SAMPLE,
        ),
        Column("trunk_in", "In trunk", lambda row: _trunk_cell(row.trunk_in, configuration()), sample=_TRUNK_SAMPLE),
        Column("trunk_out", "Out trunk", lambda row: _trunk_cell(row.trunk_out, configuration()), sample=_TRUNK_SAMPLE),
        Column("duration", "Duration", lasted, "Since the call came in.", right=True),
        Column("talk", "Talking", talked, "Since the answer.", shown=False, right=True),
        Column(
            "status",
            "Status",
            lambda row: status_cell(row.status),
            "The last SIP status of the called side.",
            right=True,
        ),
        Column("source", "Source", lambda row: words(row.source), "Who calls.", shown=False),
        Column("target", "Target", lambda row: words(row.target), "Where the call goes.", shown=False),
        Column("sent", "Sent number", lambda row: text_cell(row.sent_number), "As it left here.", shown=False),
        Column("digits", "Digits", lambda row: text_cell(row.digits, tip=row.digits), "DTMF digits that passed."),
        Column("relayed", "Relayed", lambda row: text_cell("yes" if row.relayed else "no"), shown=False),
        Column("started", "Started", lambda row: time_cell(row.started), shown=False),
        Column("text", "Newest step", newest_step),
    ]


def hang_up_question(calls: Sequence[CallRow], now: float) -> str:
    """Whether to end these calls, and what that does to the people on them, at the wall time `now`."""
    talking = [call for call in calls if call.answered]
    if len(calls) == 1:
        call = calls[0]
        title = f"Hang up the call from {call.caller_number or 'unknown'} to {call.called_number or 'unknown'}?"
        if talking:
            return f"{title}\n\nThey have talked for {duration(now - call.answered)}; both are cut off at once."
        return f"{title}\n\nIt has not been answered: the called phone stops ringing, the caller hears a refusal."
    waiting = len(calls) - len(talking)
    one, many = "call that is not answered yet stops ringing", "calls that are not answered yet stop ringing"
    parts = [f"{plural(len(talking), 'conversation is', 'conversations are')} cut off"] if talking else []
    parts += [plural(waiting, one, many)] if waiting else []
    return f"Hang up {len(calls)} calls?\n\n{' and '.join(parts)}."


class LiveCallsPage(LivePage[CallRow]):
    """`page.live_calls`: every call, from its INVITE to its end."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(
            workspace,
            "live_calls",
            "Live calls",
            call_columns(lambda: workspace.configuration),
            lambda row: row.id,
            lambda: (row for row in workspace.engine.calls() if row.state is not CallState.ENDED),
            "No call is in progress. Calls appear here as soon as somebody dials.",
            ("duration", "talk"),
        )
        self.add_command("hang_up", "&Hang up", self.hang_up, icon="hang_up", shortcuts=["Del"], needs=Needs.SOME)
        self.add_command(
            "ladder", "SIP &ladder", self.show_ladder, icon="ladder", shortcuts=["Return", "Enter"], needs=Needs.ONE
        )
        self.view.doubleClicked.connect(lambda _: self.show_ladder())
        self._add_streams()
        self.add_table_commands()
        self.load()
        workspace.bridge.calls_changed.connect(self._take)

    def _add_streams(self) -> None:
        """The lower pane, which can be closed."""
        settings = self.workspace.settings
        self.streams = StreamsPane(self.workspace)
        self._heard: Hashable | None = None
        """The call of which the lower pane tells."""
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.setObjectName("splitter")
        splitter.setChildrenCollapsible(False)
        self.body.removeWidget(self.view)
        splitter.addWidget(self.view)
        splitter.addWidget(self.streams)
        splitter.setStretchFactor(0, 1)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([320, 320])
        state = settings.state(_SPLITTER)
        if state is not None:
            splitter.restoreState(state)
        splitter.splitterMoved.connect(lambda *_: settings.set_state(_SPLITTER, splitter.saveState()))
        self.body.addWidget(splitter, 1)
        shown = settings.text(_SHOWN, "yes") == "yes"
        audio = self.add_command("audio", "&Audio", lambda: self._show_streams(audio.isChecked()), icon="audio")
        audio.setCheckable(True)
        audio.setChecked(shown)
        audio.setToolTip("Show the audio of the chosen call")
        self.streams.setVisible(shown)
        self.view.selectionModel().selectionChanged.connect(lambda *_: self._choose_audio())
        self.live.modelReset.connect(self._choose_audio)
        self.workspace.bridge.engine_changed.connect(lambda _: self._choose_audio())

    def _show_streams(self, shown: bool) -> None:
        self.workspace.settings.set_text(_SHOWN, "yes" if shown else "no")
        self.streams.setVisible(shown)

    def _choose_audio(self) -> None:
        """The lower pane shows the one selected call."""
        keys = self.view.selected_keys()
        self._heard = keys[0] if len(keys) == 1 else None
        self._show_audio(several=len(keys) > 1)

    def _show_audio(self, *, several: bool = False) -> None:
        self.streams.show_call(self.live.row(self._heard), several=several)

    def _take(self, rows: Sequence[CallRow]) -> None:
        self.live.remove([row.id for row in rows if row.state is CallState.ENDED])
        self.live.upsert([row for row in rows if row.state is not CallState.ENDED])
        if self._heard is not None:
            self._show_audio()

    def hang_up(self) -> None:
        """Ask, and end the selected calls: nothing brings back a call that was cut off."""
        calls = self.chosen()
        if not calls:
            return
        button = "Hang up" if len(calls) == 1 else f"Hang up {len(calls)} calls"
        ids = [call.id for call in calls]
        hang_up = Choice(button, Role.AcceptRole, "hang_up", lambda: self._hang_up(ids))
        ask(self, "dialog.hang_up", "Hang up", hang_up_question(calls, time.time()), (hang_up, CANCEL))

    def _hang_up(self, ids: Sequence[str]) -> None:
        ended = [self.workspace.engine.hang_up(each) for each in ids]
        if not any(ended):
            self.workspace.notice(f"{'The call' if len(ids) == 1 else 'The calls'} had ended already.")

    def show_ladder(self) -> None:
        """Open the SIP messages of the selected call."""
        calls = self.chosen()
        if calls:
            LadderDialog(self.workspace, calls[0].id, self.window()).open()
