"""States in words, tone and order: of calls, trunks, lines, users and the engine."""

from __future__ import annotations

import time

from app.events import CallState, EngineState, LineRow, LineState, TrunkRow, TrunkState, UserRow, UserState
from ui.tables.cells import Cell, state_cell
from ui.theme import Tone
from ui.words import duration, full_time

CALL_TONES = {
    CallState.ROUTING: Tone.IDLE,
    CallState.CALLING: Tone.INFORMATION,
    CallState.RINGING: Tone.INFORMATION,
    CallState.TALKING: Tone.GOOD,
    CallState.HELD: Tone.IDLE,
    CallState.ENDING: Tone.IDLE,
    CallState.ENDED: Tone.IDLE,
}
TRUNK_TONES = {
    TrunkState.DOWN: Tone.BAD,
    TrunkState.FULL: Tone.WARNING,
    TrunkState.DEGRADED: Tone.WARNING,
    TrunkState.UP: Tone.GOOD,
    TrunkState.UNKNOWN: Tone.IDLE,
    TrunkState.DISABLED: Tone.IDLE,
}
LINE_TONES = {
    LineState.REJECTED: Tone.BAD,
    LineState.RETRYING: Tone.WARNING,
    LineState.REGISTERING: Tone.INFORMATION,
    LineState.REGISTERED: Tone.GOOD,
    LineState.UNREGISTERED: Tone.IDLE,
    LineState.DISABLED: Tone.IDLE,
}
USER_TONES = {
    UserState.TALKING: Tone.GOOD,
    UserState.RINGING: Tone.INFORMATION,
    UserState.REGISTERED: Tone.GOOD,
    UserState.OFFLINE: Tone.IDLE,
}
ENGINE_TONES = {
    EngineState.RUNNING: Tone.GOOD,
    EngineState.STARTING: Tone.INFORMATION,
    EngineState.STOPPING: Tone.WARNING,
    EngineState.STOPPED: Tone.IDLE,
    EngineState.FAILED: Tone.BAD,
}

CALL_SAMPLE = max((state.value for state in CALL_TONES), key=len)
TRUNK_SAMPLE = max((state.value for state in TRUNK_TONES), key=len)
LINE_SAMPLE = "registered (expires in 59:59)"
USER_SAMPLE = max((state.value for state in USER_TONES), key=len)
"""The longest words of each: a column has room for them, whatever it shows at first."""

_CALL_ORDER = {state: place for place, state in enumerate(CALL_TONES)}
_TRUNK_ORDER = {state: place for place, state in enumerate(TRUNK_TONES)}
_LINE_ORDER = {state: place for place, state in enumerate(LINE_TONES)}
_USER_ORDER = {state: place for place, state in enumerate(USER_TONES)}


def call_state_cell(state: CallState, problem: str = "") -> Cell:
    """Where a call is; marked when something is wrong with it, its tip says what."""
    return state_cell(state.value, _CALL_ORDER[state], Tone.WARNING if problem else CALL_TONES[state], problem)


def trunk_state_cell(row: TrunkRow) -> Cell:
    """What a trunk can do; why, in its tip."""
    return state_cell(row.state.value, _TRUNK_ORDER[row.state], TRUNK_TONES[row.state], row.reason)


def line_words(row: LineRow) -> str:
    """`registered (expires in 4:58)`, `rejected (403)`, `retrying (in 12 s)`."""
    left = row.expires_at - time.time() if row.expires_at else 0.0
    if row.state is LineState.REGISTERED and row.expires_at:
        return f"registered (expires in {duration(left)})"
    if row.state is LineState.RETRYING and row.expires_at:
        return f"retry in {max(0, round(left))} s"
    if row.state is LineState.REJECTED and row.last_status:
        return f"rejected ({row.last_status})"
    return row.state.value


def line_state_cell(row: LineRow) -> Cell:
    """The registration of a line."""
    return state_cell(line_words(row), _LINE_ORDER[row.state], LINE_TONES[row.state], row.reason)


def user_state_cell(row: UserRow) -> Cell:
    """What a phone is doing."""
    tip = f"registered until {full_time(row.expires_at)}" if row.expires_at else ""
    return state_cell(row.state.value, _USER_ORDER[row.state], USER_TONES[row.state], tip)
