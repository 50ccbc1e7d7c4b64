"""The longest prefix among many: one dictionary of all prefixes, asked once per length that occurs.

It gives what a tree of digits gives. A tree in Python is a dictionary per digit: it leaves a little earlier, but takes
some twenty times the memory, and longer to build when the configuration changes (tests/bench/dialplan compares both).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from app.records import Record

R = TypeVar("R", bound=Record)


class PrefixTree(Generic[R]):
    """Records by prefix; immutable after construction. A blank prefix fits every number."""

    __slots__ = ("_lengths", "_longest", "_more", "_records")

    def __init__(self, entries: Iterable[tuple[str, R]]) -> None:
        """Of several records with one prefix the first enabled one in the order given is the one that is found."""
        records: dict[str, R] = {}
        more: dict[str, list[R]] = {}
        for prefix, record in entries:
            first = records.setdefault(prefix, record)
            if first is record:
                continue
            if record.enabled and not first.enabled:
                records[prefix] = record
                more.setdefault(prefix, []).append(first)
            else:
                more.setdefault(prefix, []).append(record)
        self._records = records
        self._more = more
        lengths = sorted({len(prefix) for prefix in records}, reverse=True)
        self._longest = lengths[0] if lengths else 0
        # By the size of a number: the lengths that a prefix of it can have, the longest first.
        self._lengths = tuple(
            tuple(length for length in lengths if length <= size) for size in range(self._longest + 1)
        )

    def __len__(self) -> int:
        return len(self._records) + sum(map(len, self._more.values()))

    def find(self, number: str) -> R | None:
        """The enabled record with the longest prefix of the number, or None."""
        records = self._records
        for length in self._lengths[min(len(number), self._longest)]:
            record = records.get(number[:length])
            if record is not None and record.enabled:
                return record
        return None

    def matches(self, number: str) -> list[R]:
        """Every record whose prefix the number begins with, disabled ones too: the longest prefix first, and of one
        prefix the record that wins first."""
        lengths = self._lengths[min(len(number), self._longest)]
        get = self._records.get
        more = self._more
        if not more:
            return [record for length in lengths if (record := get(number[:length])) is not None]
        found: list[R] = []
        for length in lengths:
            prefix = number[:length]
            if (record := get(prefix)) is not None:
                found.append(record)
                found.extend(more.get(prefix, ()))
        return found

    def find_with_losers(self, number: str) -> tuple[R | None, list[R]]:
        """The record that wins, as `find`, and every other one that fits, in the order of `matches`."""
        found = self.matches(number)
        for index, record in enumerate(found):
            if record.enabled:
                del found[index]
                return record, found
        return None, found
