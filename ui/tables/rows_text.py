"""Rows as text for other programs: tab separated for the clipboard, comma separated for files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

_PLAIN = re.compile(r"[+-]?[0-9 .]*")


def to_tsv(rows: Iterable[Sequence[str]]) -> str:
    """Rows as spreadsheets put them on the clipboard: tabs between cells, one line per row."""
    return "\n".join("\t".join(" ".join(cell.split()) for cell in row) for row in rows)


def from_tsv(text: str) -> list[list[str]]:
    """Rows of a spreadsheet's clipboard text; quoted cells may hold line breaks. Blank lines are left out.

    ValueError for what is no table at all.
    """
    return _rows(text, "\t")


def to_csv(rows: Iterable[Sequence[str]], *, careful: bool = False) -> str:
    """Rows as a CSV file (RFC 4180).

    `careful` is for texts that strangers can choose, such as a caller's number: a spreadsheet must not take them for
    formulas, so an apostrophe is put before them. Telephone numbers with their + stay as they are.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerows(([_harmless(cell) for cell in row] for row in rows) if careful else rows)
    return stream.getvalue()


def _harmless(text: str) -> str:
    formula = text.startswith(("=", "@", "\t", "\r")) or (text.startswith(("+", "-")) and not _PLAIN.fullmatch(text))
    return f"'{text}" if formula else text


def from_csv(text: str) -> list[list[str]]:
    """Rows of a CSV file; comma, semicolon or tab, whichever its first line holds. ValueError for what is none."""
    bare = text.removeprefix("\ufeff")
    first = bare.split("\n", 1)[0]
    return _rows(bare, max((",", ";", "\t"), key=first.count))


def _rows(text: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        return [[cell.strip() for cell in row] for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None
