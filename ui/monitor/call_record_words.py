"""A call record in words: its columns, and the account of one call with its trail and attempts."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from app.events import CallRecord
from app.records import Configuration
from ui.monitor.record_audio import NOT_MEASURED, audio_account
from ui.tables.cells import (
    NUMBER_SAMPLE,
    Cell,
    Column,
    blank_cell,
    number_cell,
    state_cell,
    status_cell,
    text_cell,
    time_cell,
)
from ui.theme import Colours, Tone
from ui.words import duration, full_time, name_words

CAUSE_WORDS = {
    "normal": "ended normally",
    "transferred": "transferred",
    "cancelled": "the caller gave up",
    "busy": "busy",
    "no_answer": "nobody answered",
    "rejected": "refused",
    "no_route": "number not found",
    "trunk_failed": "the trunk failed",
    "limit": "a limit was reached",
    "media_timeout": "no audio came any more",
    "session_expired": "a side did not refresh the call",
    "longest_call": "the longest call time was reached",
    "ack_missing": "the answer was never acknowledged",
    "hung_up_here": "hung up at this window",
    "shutdown": "the server was stopped",
    "error": "an error of the server",
    "interrupted": "the server died during the call",
}
"""The words of `end_cause`."""

_FAILURES = ("trunk_failed", "media_timeout", "session_expired", "ack_missing", "error", "interrupted", "no_route")


def outcome_cell(record: CallRecord) -> Cell:
    """How a call ended, told by mark and words."""
    words = CAUSE_WORDS.get(record.end_cause, record.end_cause.replace("_", " "))
    if record.answered:
        return state_cell("answered" if record.end_cause == "normal" else f"answered, {words}", 0, Tone.GOOD)
    if record.end_cause in _FAILURES:
        return state_cell(words, 3, Tone.BAD)
    return state_cell(words, 2, Tone.WARNING if record.end_cause in ("rejected", "limit") else Tone.IDLE)


def record_columns(configuration: Callable[[], Configuration]) -> list[Column[CallRecord]]:
    """The columns of the page."""

    def name(text: str) -> Cell:
        return text_cell(name_words(text, configuration()), tip=text) if text else blank_cell()

    return [
        Column("started", "Started", lambda row: time_cell(row.started)),
        Column("caller_number", "From", lambda row: text_cell(row.caller_number), sample=NUMBER_SAMPLE),
        Column("called_number", "To", lambda row: text_cell(row.called_number), sample=NUMBER_SAMPLE),
        Column("end_cause", "Outcome", outcome_cell, sample=CAUSE_WORDS["trunk_failed"]),
        Column(
            "talk_seconds",
            "Talk",
            lambda row: number_cell(row.talk_seconds, duration(row.talk_seconds) if row.answered else ""),
            right=True,
        ),
        Column("source", "Source", lambda row: name(row.source)),
        Column("target", "Target", lambda row: name(row.target)),
        Column("status", "Status", lambda row: status_cell(row.status), right=True),
        Column("sent_number", "Sent", lambda row: text_cell(row.sent_number), "As it left this server.", shown=False),
        Column("ended_by", "Ended by", lambda row: text_cell(row.ended_by), shown=False),
        Column("ended", "Ended", lambda row: time_cell(row.ended), shown=False),
    ]


def account(record: CallRecord, configuration: Configuration, colours: Colours) -> str:
    """The whole story of a call as rich text. Every text of a peer is escaped."""

    def line(label: str, value: str) -> str:
        if not value:
            return ""
        return (
            f"<tr><td style='color:{colours.muted}; padding-right:12px'>{escape(label)}</td>"
            f"<td>{escape(value)}</td></tr>"
        )

    words = CAUSE_WORDS.get(record.end_cause, record.end_cause)
    parts = [
        f"<h3>{escape(record.caller_number or 'anonymous')} \u2192 {escape(record.called_number)}</h3>",
        "<table>",
        line("Started", full_time(record.started)),
        line("Answered", full_time(record.answered) or "never"),
        line("Ended", full_time(record.ended)),
        line("Talked", duration(record.talk_seconds) if record.answered else ""),
        line("From", name_words(record.source, configuration)),
        line("To", name_words(record.target, configuration)),
        line("Sent as", record.sent_number if record.sent_number != record.called_number else ""),
        line("Outcome", f"{record.status} {words}".strip()),
        line("Ended by", record.ended_by),
        "</table>",
    ]
    if record.attempts:
        parts.append("<h4>Attempts</h4><ol>")
        for attempt in record.attempts:
            target = escape(name_words(attempt.target, configuration))
            parts.append(f"<li><b>{target}</b> with {escape(attempt.sent_number)}: {escape(attempt.reason)}</li>")
        parts.append("</ol>")
    if record.trail:
        parts.append("<h4>How it was routed</h4><ol>")
        parts += [f"<li>{escape(step)}</li>" for step in record.trail]
        parts.append("</ol>")
    parts.append(audio_account(record.media, colours))
    if record.answered and not record.media and record.end_cause != "interrupted":
        parts.append(f"<h4>Audio</h4><p style='color:{colours.muted}'>{NOT_MEASURED}</p>")
    return "".join(parts)
