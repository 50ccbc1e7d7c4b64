"""Words of peers, fit to be shown."""

from __future__ import annotations

from app.text import one_line, printable


def test_what_cannot_be_printed_is_replaced() -> None:
    assert printable("Ungültig") == "Ungültig"
    assert printable("a\udcff\x1b\n\u202eb") == "a    b"
    assert printable("a\x00b", "?") == "a?b"


def test_one_line_is_short_and_has_single_blanks() -> None:
    assert one_line("  403\tNo\r\nBcc: x\u2028y ", 99) == "403 No Bcc: x y"
    assert one_line("x" * 99, 9) == "x" * 9
