"""The status bar: whether the server runs, where it listens, phones, calls, calls per second, problems."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QStatusBar, QToolButton, QWidget

from app.events import EngineState, GaugeSample, Severity
from ui.face import Problem
from ui.monitor.state_words import ENGINE_TONES
from ui.plain_text import plain_tip
from ui.theme import Tone
from ui.words import plural
from ui.workspace import Workspace

STATE_WORDS = {
    EngineState.RUNNING: "Running",
    EngineState.STARTING: "Starting",
    EngineState.STOPPING: "Ending calls",
    EngineState.STOPPED: "Stopped",
    EngineState.FAILED: "Not running",
}
LISTENERS_TIP = "The addresses at which phones and trunks reach the server"


class StatusLine(QStatusBar):
    """`status`; each part has its own name: `status.engine`, `status.listeners`, `status.calls` ..."""

    problems_wanted = Signal()
    """The user wants to see the problems."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.setObjectName("status")
        self.setSizeGripEnabled(False)
        self._workspace = workspace
        self._mark = QLabel()
        self._engine = self._part("engine", "Whether the server runs")
        self._listeners = self._part("listeners", LISTENERS_TIP)
        # In a small window addresses are cut, and stand in the tip, rather than the window kept wide.
        self._listeners.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._phones = self._part("phones", "Registered phones")
        self._calls = self._part("calls", "Calls in progress")
        self._rate = self._part("calls_per_second", "New calls per second")
        self._problems = QToolButton(autoRaise=True)
        self._problems.setObjectName("status.problems")
        self._problems.setIconSize(QSize(14, 14))
        self._problems.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._problems.setToolTip("What is odd in the configuration; click for the list")
        self._problems.clicked.connect(self.problems_wanted)
        left = QWidget()
        row = QHBoxLayout(left)
        row.setContentsMargins(8, 0, 0, 0)
        row.addWidget(self._mark)
        row.addWidget(self._engine)
        self.addWidget(left)
        self.addWidget(self._listeners, 1)
        for widget in (self._phones, self._calls, self._rate, self._problems):
            self.addPermanentWidget(widget)
        workspace.bridge.engine_changed.connect(lambda _: self.refresh())
        workspace.bridge.sampled.connect(self._take)
        workspace.problems.answered.connect(self._show_problems)
        workspace.theme.changed.connect(self.refresh)
        self.refresh()

    def _part(self, name: str, tip: str) -> QLabel:
        label = QLabel(toolTip=tip)
        label.setObjectName(f"status.{name}")
        label.setAccessibleDescription(tip)
        label.setContentsMargins(4, 0, 8, 0)
        return label

    def refresh(self) -> None:
        """Show everything as it is now."""
        engine = self._workspace.engine
        tone = ENGINE_TONES[engine.state]
        if engine.trouble and tone is Tone.GOOD:
            tone = Tone.WARNING
        icon = self._workspace.theme.tone_icon(tone)
        if icon is not None:
            self._mark.setPixmap(icon.pixmap(14, 14))
        self._engine.setText(STATE_WORDS[engine.state])
        self._engine.setToolTip(plain_tip(engine.trouble) or "Whether the server runs")
        words = listening_words(engine.listeners)
        self._listeners.setText(words)
        self._listeners.setToolTip(f"{words}\n{LISTENERS_TIP}")
        samples = engine.samples("5 minutes")
        self._take(samples[-1:])
        self._show_problems(self._workspace.problems.answer)

    def _take(self, samples: Sequence[GaugeSample]) -> None:
        if not samples:
            self._phones.setText("0 phones")
            self._calls.setText("0 calls")
            self._rate.setText("0 calls/s")
            return
        newest = samples[-1]
        self._phones.setText(plural(newest.registered, "phone"))
        self._calls.setText(plural(newest.calls, "call"))
        self._rate.setText(f"{newest.calls_per_second:g} calls/s")

    def _show_problems(self, problems: Sequence[Problem]) -> None:
        counted = [problem for problem in problems if problem.severity is not Severity.INFORMATION]
        bad = any(problem.severity is Severity.ERROR for problem in counted)
        tone = Tone.BAD if bad else Tone.WARNING if counted else Tone.GOOD
        icon = self._workspace.theme.tone_icon(tone)
        if icon is not None:
            self._problems.setIcon(icon)
        self._problems.setText(plural(len(counted), "problem") if counted else "No problems")


def listening_words(listeners: Sequence[str]) -> str:
    """`udp:192.0.2.1:5060`, `tcp:192.0.2.1:5060` as `Listening on UDP, TCP 192.0.2.1:5060`."""
    by_address: dict[str, list[str]] = {}
    for listener in listeners:
        transport, _, address = listener.partition(":")
        by_address.setdefault(address, []).append(transport.upper())
    words = "; ".join(f"{', '.join(transports)} {address}" for address, transports in by_address.items())
    return f"Listening on {words}" if words else "Listening nowhere"
