"""Mutating text protocols: bytes are flipped, lines doubled, numbers driven to their edges, messages spliced."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from support.sip_pieces import PIECES

NUMBERS = (
    b"0",
    b"-1",
    b"00000000001",
    b"65535",
    b"65536",
    b"2147483648",
    b"4294967296",
    b"9" * 30,
    b"1e9",
    b"\xd9\xa3",
)
"""The edges of what a number may be, and what looks like one and is none."""
_NUMBER = re.compile(rb"\d+")
_LINE_BREAK = re.compile(rb"\r?\n")
LARGEST = 20_000
"""Longer results are cut: length alone is tried often enough."""


class Mutator:
    """Mutates by a random source, so that a seed gives the same inputs again."""

    def __init__(self, source: random.Random) -> None:
        self._random = source
        self._kinds = (
            (self._flip, 5),
            (self._insert_piece, 6),
            (self._cut, 3),
            (self._repeat, 1),
            (self._change_number, 4),
            (self._double_line, 2),
            (self._drop_line, 3),
            (self._swap_lines, 2),
            (self._end_early, 1),
            (self._noise, 1),
        )

    def mutate(self, data: bytes, others: Sequence[bytes] = ()) -> bytes:
        """A few mutations, at times after a splice with another input."""
        chance = self._random
        if others and chance.random() < 0.1:
            other = chance.choice(others)
            data = data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]
        kinds, weights = zip(*self._kinds, strict=True)
        for kind in chance.choices(kinds, weights, k=chance.choice((1, 1, 2, 3, 6))):
            data = kind(data)[:LARGEST]
        return data

    def _at(self, data: bytes) -> int:
        return self._random.randrange(len(data) + 1)

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return data
        at = self._random.randrange(len(data))
        return data[:at] + bytes((data[at] ^ 1 << self._random.randrange(8),)) + data[at + 1 :]

    def _insert_piece(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self._random.choice(PIECES) + data[at + self._random.choice((0, 0, 1, 4)) :]

    def _cut(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + data[at + self._random.choice((1, 2, 8, 40)) :]

    def _repeat(self, data: bytes) -> bytes:
        at = self._at(data)
        piece = data[at : at + self._random.choice((1, 10, 60))]
        return data[:at] + piece * self._random.choice((2, 10, 200)) + data[at:]

    def _change_number(self, data: bytes) -> bytes:
        found = list(_NUMBER.finditer(data))
        if not found:
            return data
        chosen = self._random.choice(found)
        return data[: chosen.start()] + self._random.choice(NUMBERS) + data[chosen.end() :]

    def _lines(self, data: bytes) -> list[bytes]:
        return _LINE_BREAK.split(data)

    def _double_line(self, data: bytes) -> bytes:
        lines = self._lines(data)
        lines.insert(self._random.randrange(len(lines) + 1), self._random.choice(lines))
        return b"\r\n".join(lines)

    def _drop_line(self, data: bytes) -> bytes:
        lines = self._lines(data)
        del lines[self._random.randrange(len(lines))]
        return b"\r\n".join(lines)

    def _swap_lines(self, data: bytes) -> bytes:
        lines = self._lines(data)
        first, second = (self._random.randrange(len(lines)) for _ in range(2))
        lines[first], lines[second] = lines[second], lines[first]
        return b"\r\n".join(lines)

    def _end_early(self, data: bytes) -> bytes:
        return data[: self._at(data)]

    def _noise(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self._random.randbytes(self._random.choice((1, 4, 50))) + data[at:]
