"""The audio of a call that has ended: what its record keeps of each direction, in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ui.monitor.audio_words import JITTER, LOSS, ROUND_TRIP, SIDES, score_tone, score_word
from ui.theme import Colours, Tone

NOT_MEASURED = (
    "Audio flowed directly between the two sides, so nothing is known of it; set Relay media stream on the trunk, "
    "line or user to measure it."
)
_PROBLEMS = {
    "one-way": "nothing came from here at the end: one-way audio",
    "silent": "nothing came from either side at the end",
}

Media = Mapping[str, Any]


def audio_account(streams: Sequence[Media], colours: Colours) -> str:
    """A sentence and a column of figures for each direction, as rich text. Every text of a peer is escaped."""
    if not streams:
        return ""
    parts = ["<h4>Audio</h4><ul>"]
    for stream in streams:
        tone, words = _judgement(stream)
        colour = colours.tone(tone)
        parts.append(f"<li>From {_side(stream)}: <span style='color:{colour}'>{escape(words)}</span></li>")
    parts.append("</ul><table cellpadding='2'><tr><td></td>")
    parts += [f"<td><b>From {_side(stream)}</b></td>" for stream in streams]
    parts.append("</tr>")
    for label, texts in _figures(streams):
        if any(texts):
            cells = "".join(f"<td style='padding-right:12px'>{escape(text)}</td>" for text in texts)
            parts.append(f"<tr><td style='color:{colours.muted}; padding-right:12px'>{label}</td>{cells}</tr>")
    parts.append("</table>")
    return "".join(parts)


def _side(stream: Media) -> str:
    side = str(stream.get("side", ""))
    return escape(SIDES.get(side, side))


def _number(stream: Media, name: str) -> float:
    """A figure; 0 where it is missing or was written by another version."""
    value = stream.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _judgement(stream: Media) -> tuple[Tone, str]:
    """How it was, in one sentence."""
    if not _number(stream, "packets"):
        return Tone.BAD, "nothing ever came."
    score = _number(stream, "mos")
    words = f"{score_word(score)} (MOS {score:.2f})" if score else "not judged"
    reasons = []
    for name, limits, reason in (
        ("loss_percent", LOSS, "packets were lost"),
        ("jitter_ms", JITTER, "packets came unevenly"),
        ("round_trip_ms", ROUND_TRIP, "the way is long"),
    ):
        if _number(stream, name) >= limits[0]:
            reasons.append(reason)
    problem = str(stream.get("problem", ""))
    tone = score_tone(score)
    if problem:
        reasons.append(_PROBLEMS.get(problem, problem))
        tone = max(tone, Tone.WARNING)
    return tone, f"{words}{': ' if reasons else ''}{', '.join(reasons)}."


def _figures(streams: Sequence[Media]) -> list[tuple[str, list[str]]]:
    """Label and one text per direction; a line of blanks is left out."""

    def line(label: str, name: str, form: str, *, always: bool = False) -> tuple[str, list[str]]:
        values = [_number(stream, name) for stream in streams]
        return label, [form.format(value) if value or always else "" for value in values]

    lost = [
        f"{_number(stream, 'lost'):.0f} ({_number(stream, 'loss_percent'):g} %)" if _number(stream, "packets") else ""
        for stream in streams
    ]
    return [
        line("MOS", "mos", "{:.2f}"),
        ("Codec", [str(stream.get("codec", "")) for stream in streams]),
        line("Packets", "packets", "{:.0f}", always=True),
        ("Lost", lost),
        line("Gaps", "gaps", "{:.0f}"),
        line("Jitter", "jitter_ms", "{:g} ms"),
        line("Round trip", "round_trip_ms", "{:g} ms"),
        line("Out of order", "reordered", "{:.0f}"),
        line("Duplicates", "duplicates", "{:.0f}"),
        line("Bytes", "bytes", "{:.0f}"),
        ("Came from", [str(stream.get("remote", "")) for stream in streams]),
    ]
