"""What the commands share: where words, results and lines go, and which text is fit for a terminal."""

from __future__ import annotations

import io
import sys


def prepare_streams() -> None:
    """UTF-8 on every stream, whatever the code page: a document is the same bytes everywhere."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace", newline="\n")


def say(text: str) -> None:
    """Words for a person, on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def show(text: str) -> None:
    """A result, on standard output, where a program may read it."""
    sys.stdout.write(text + "\n")


def printable(text: str) -> str:
    """The text without what could drive a terminal: numbers come from the network."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Aligned columns, the last one as long as it likes."""
    cells = [heads, *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
