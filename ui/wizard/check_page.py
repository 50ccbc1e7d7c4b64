"""The last page of the wizard: whether the new trunk or line works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtWidgets import QVBoxLayout

from app.events import LineChanged, LineRow, LineState, TrunkChanged, TrunkRow, TrunkState
from app.records import SipTrunk
from ui.face import DNS_TROUBLE
from ui.monitor.state_words import LINE_TONES, TRUNK_TONES, line_words
from ui.theme import Tone
from ui.wizard.page import WizardPage
from ui.wizard.plan import TrunkPlan
from ui.workspace import Workspace

ADVICE = {
    TrunkState.DOWN: "It does not answer OPTIONS. Check address, port and transport, and whether the other side knows "
    "the address of this server. A few carriers never answer OPTIONS: then set the interval to 0 and place a call.",
    TrunkState.DEGRADED: "It has not answered yet; it is asked again.",
    TrunkState.UP: "It answers. Calls can go there now.",
    LineState.REGISTERED: "It is registered. Calls can come and go now.",
    LineState.REJECTED: "The provider refuses the account. Check account, password and authorization ID.",
    LineState.RETRYING: "It could not be registered yet; it is tried again. Check the server address.",
}
"""What to do in each state; in all others there is nothing to do but wait."""
NO_ADDRESS = (
    "Check how the server address is written, letter by letter. If it is right, see whether this computer reaches the "
    "internet: the name is looked up again by itself."
)
"""What to do where the name of the server has no address."""


class TestPage(WizardPage):
    """`wizard.test`: what the server hears from the other side, as it comes."""

    __test__ = False

    def __init__(self, workspace: Workspace, plan: TrunkPlan) -> None:
        words = "The records are added and work already. Edit them in their tables, or take them back here."
        super().__init__("test", "Does it work?", words, workspace, plan)
        self.state = self.note("state", "title")
        self.reason = self.note("reason")
        self.advice = self.note("advice", "")
        self.added = self.note("added")
        layout = QVBoxLayout(self)
        for widget in (self.state, self.reason, self.advice):
            layout.addWidget(widget)
        layout.addStretch()
        layout.addWidget(self.added)
        workspace.bridge.trunks_changed.connect(self._take)
        workspace.bridge.lines_changed.connect(self._take)

    def initializePage(self) -> None:
        """Show what is known by now."""
        wizard: Any = self.wizard()
        self.added.setText(wizard.words)
        engine = self.workspace.engine
        rows: Sequence[Any] = engine.trunks() if self.plan.kind is SipTrunk else engine.lines()
        for row in rows:
            if row.id == wizard.record_id:
                self._show(row)

    def _take(self, events: Sequence[TrunkChanged | LineChanged]) -> None:
        wizard: Any = self.wizard()
        wanted = TrunkRow if self.plan.kind is SipTrunk else LineRow
        for event in events:
            if isinstance(event.row, wanted) and event.row.id == wizard.record_id and not event.gone:
                self._show(event.row)

    def _show(self, row: TrunkRow | LineRow) -> None:
        probed = self.plan.kind is not SipTrunk or self.plan.peer.get("options_interval")
        waiting = bool(probed) and row.state in (TrunkState.UNKNOWN, LineState.UNREGISTERED)
        words = line_words(row) if isinstance(row, LineRow) else row.state.value
        tone = LINE_TONES[row.state] if isinstance(row, LineRow) else TRUNK_TONES[row.state]
        if isinstance(row, TrunkRow) and row.state is TrunkState.UP and row.round_trip_ms:
            words = f"{words}, answered {row.last_status} in {row.round_trip_ms:.0f} ms"
        nameless = row.reason.startswith(DNS_TROUBLE)
        if nameless:
            words, tone = "the name of the server is not known", Tone.BAD
        self.state.setText("Waiting for the answer ..." if waiting else words[:1].upper() + words[1:])
        self.state.setStyleSheet(f"color: {self.workspace.theme.colours.tone(Tone.MUTED if waiting else tone)}")
        self.reason.setText(row.reason)
        if nameless:
            self.advice.setText(NO_ADDRESS)
            return
        unasked = "With an OPTIONS interval of 0 it is not asked: place a call to see whether it works."
        self.advice.setText(ADVICE.get(row.state, "" if probed else unasked))
