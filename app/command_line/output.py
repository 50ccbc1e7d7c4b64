"""What the commands share: where words, results and lines go, and which text is fit for a terminal."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterable

from app.errors import UserFacingError
from app.text import printable


def prepare_streams() -> None:
    """UTF-8 on every stream, whatever the code page: a document is the same bytes everywhere.

    A stream that was closed by whoever started us is an empty one, and its number is not given to a file of ours.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open as long as Python runs
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace", newline="\n")


def say(text: str) -> None:
    """Words for a person, on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def show(text: str) -> None:
    """A result, on standard output, where a program may read it. For the errors see `show_pieces`."""
    show_pieces((text, "\n"))


def show_pieces(pieces: Iterable[str]) -> None:
    """A result that is too long to be held at once.

    Raises `UserFacingError` where standard output takes no more, `BrokenPipeError` where nobody reads it any more.
    """
    try:
        for piece in pieces:
            sys.stdout.write(piece)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if sys.platform == "win32" and error.errno == errno.EINVAL:
            # What Windows says of a pipe that nobody reads.
            raise BrokenPipeError from None
        forget_output()
        raise UserFacingError(f"The result could not be written: {error.strerror or error}.") from None


def forget_output() -> None:
    """Have Python not try once more, at its end, to write what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Aligned columns, the last one as long as it likes."""
    cells = [heads, *(tuple(printable(cell, "?") for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
