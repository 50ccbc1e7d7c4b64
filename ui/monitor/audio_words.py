"""Audio in words: what a score, loss, jitter or delay means, who sends a stream, and what is wrong with it."""

from __future__ import annotations

from ui.tables.cells import Cell, number_cell, state_cell
from ui.theme import Tone

SCORES = (
    (4.34, "excellent", Tone.GOOD, "Everybody is satisfied with such a call."),
    (4.03, "good", Tone.GOOD, "People are satisfied with such a call."),
    (3.60, "fair", Tone.WARNING, "Some people are not satisfied with such a call."),
    (3.10, "poor", Tone.WARNING, "Many people are not satisfied with such a call."),
    (0.01, "bad", Tone.BAD, "Nearly nobody is satisfied with such a call."),
)
"""The least score of each word, after ITU-T G.107 annex B."""

LOSS = (1.0, 5.0)
"""Percent from which loss is heard, and from which it is bad; likewise milliseconds of jitter and of round trip."""
JITTER = (30.0, 80.0)
ROUND_TRIP = (300.0, 800.0)
"""Twice what ITU-T G.114 says of one way."""

SIDES = {"caller": "the caller", "called": "the called side"}
"""Who sends a stream."""
PROBLEMS = {
    "one-way": "One-way audio: nothing comes from this side, while the other side's audio flows.",
    "silent": "Silence: nothing comes from either side.",
}


def score_word(score: float) -> str:
    """`good`; blank while the score is not known."""
    return next((word for least, word, _, _ in SCORES if score >= least), "")


def score_tone(score: float) -> Tone:
    """How a score should be felt."""
    return next((tone for least, _, tone, _ in SCORES if score >= least), Tone.PLAIN)


def score_words(score: float) -> str:
    """`4.38 excellent`; blank while the score is not known."""
    return f"{score:.2f} {score_word(score)}" if score > 0 else ""


def score_cell(score: float, tip: str = "") -> Cell:
    """A score: number, word, colour and mark."""
    for least, word, tone, meaning in SCORES:
        if score >= least:
            return state_cell(f"{score:.2f} {word}", round(score * 100), tone, tip or meaning)
    return Cell("", 0, Tone.PLAIN, tip)


def judged_cell(value: float, text: str, limits: tuple[float, float], tips: tuple[str, str]) -> Cell:
    """A figure that is better small: its colour and tip say from where on it hurts."""
    if value >= limits[1]:
        return number_cell(value, text, Tone.BAD, tips[1])
    if value >= limits[0]:
        return number_cell(value, text, Tone.WARNING, tips[0])
    return number_cell(value, text)


def loss_cell(percent: float) -> Cell:
    """Percent of packets lost."""
    return judged_cell(percent, f"{percent:.1f} %", LOSS, ("Gaps are heard.", "Words are lost."))


def jitter_cell(milliseconds: float) -> Cell:
    """How unevenly packets come."""
    tips = ("More than small jitter buffers even out.", "More than most phones even out: gaps are heard.")
    return judged_cell(milliseconds, f"{milliseconds:.1f} ms", JITTER, tips)


def round_trip_cell(milliseconds: float) -> Cell:
    """There and back; not known without RTCP."""
    if not milliseconds:
        return number_cell(0.0, "", Tone.MUTED, "Not known: this side sends no RTCP.")
    tips = ("People begin to talk at the same time.", "Talking to each other is hard.")
    return judged_cell(milliseconds, f"{milliseconds:.0f} ms", ROUND_TRIP, tips)


def last_packet_words(ago: float) -> str:
    """`now`, `3 s ago`, `never`."""
    if ago < 0:
        return "never"
    return "now" if ago < 1.5 else f"{ago:.0f} s ago"
