"""Words of peers made fit to be shown: whatever bytes they hold, they drive no terminal and break no line."""

from __future__ import annotations


def printable(text: str, instead: str = " ") -> str:
    """The text with `instead` for each character that cannot be printed, such as a byte that was no UTF-8."""
    return text if text.isprintable() else "".join(each if each.isprintable() else instead for each in text)


def one_line(text: str, longest: int) -> str:
    """The text as one printable line of so many characters at most, with single blanks."""
    return " ".join(printable(text).split())[:longest]
