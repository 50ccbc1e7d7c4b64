"""Cells and columns: what a table shows of a row, made ready before the view asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from ui.theme import Tone
from ui.words import address_key, duration, full_time, natural_key, time_of_day

Row = TypeVar("Row")


class Cell(NamedTuple):
    """One ready cell."""

    text: str
    sort: Any
    """What the table sorts by; of one type in a column."""
    tone: Tone = Tone.PLAIN
    tip: str = ""
    share: tuple[int, int] | None = None
    """(now, limit): a thin bar under the text."""
    mark: bool = False
    """Whether the tone's mark stands before the text."""


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column of a table."""

    name: str
    title: str
    cell: Callable[[Row], Cell]
    help: str = ""
    shown: bool = True
    """Whether it is there from the start; the header's menu shows and hides columns."""
    right: bool = False
    """Whether its texts stand at the right, as numbers do."""
    icon_only: bool = False
    """A narrow column of marks."""
    searched: bool = True
    """Whether the filter looks at it."""
    sample: str = ""
    """A long text of it, for rows that come, or change, after the column was fitted to the first ones."""


NUMBER_SAMPLE = "+4930123456789"
ADDRESS_SAMPLE = "192.168.100.200"
"""What columns of telephone numbers and of IPv4 addresses have room for from the start."""


def text_cell(text: str, tone: Tone = Tone.PLAIN, tip: str = "") -> Cell:
    """A text; numbers in it sort as numbers."""
    return Cell(text, natural_key(text), tone, tip)


def blank_cell(words: str = "") -> Cell:
    """An empty value, with greyed words for it; sorts before all texts."""
    return Cell(words, (), Tone.MUTED)


def number_cell(value: float, text: str | None = None, tone: Tone = Tone.PLAIN, tip: str = "") -> Cell:
    """A number, or what stands for it."""
    return Cell(str(value) if text is None else text, value, tone, tip)


def status_cell(status: int) -> Cell:
    """A SIP status; blank while there is none."""
    return number_cell(status, str(status or ""))


def address_cell(text: str, tone: Tone = Tone.PLAIN, tip: str = "") -> Cell:
    """An IP address or network, sorted by its value."""
    return Cell(text, address_key(text), tone, tip)


def time_cell(wall: float) -> Cell:
    """A time of day; its tip has the date and the offset."""
    return Cell(time_of_day(wall), wall, Tone.PLAIN, full_time(wall))


def duration_cell(seconds: float, begun: float | None = None) -> Cell:
    """A span. One that still runs sorts by its beginning, so that its place does not change while it ticks."""
    return Cell(duration(seconds), seconds if begun is None else -begun)


def state_cell(text: str, order: int, tone: Tone, tip: str = "") -> Cell:
    """A state: colour, mark and word."""
    return Cell(text, order, tone, tip, None, True)


def share_cell(now: int, limit: int, tip: str = "") -> Cell:
    """`3 / 30` with a thin bar."""
    tone = Tone.MUTED if limit == 0 else Tone.WARNING if now >= limit else Tone.PLAIN
    return Cell(f"{now} / {limit}", now, tone, tip, (now, limit))
