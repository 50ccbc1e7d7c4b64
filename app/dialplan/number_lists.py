"""The black and white lists by number, compiled: the longest called prefix decides, then the longest caller prefix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.dialplan.decision import MAX_LOSERS
from app.dialplan.prefix_tree import PrefixTree
from app.records import NumberList, Record

ANY = "*"
_NOT_FITTING = 2
"""Of each longer called prefix at most so many entries are named whose caller prefix does not fit."""


def prefix_of(text: str) -> str:
    """The prefix that a list entry means: `*` is any number."""
    return "" if text == ANY else text


class NumberLists:
    """Every entry of the lists; never changes after construction, to whoever asks.

    The callers of a called prefix are compiled when a number first meets it: of tens of thousands of blocked numbers
    few are ever dialled, and a change of the configuration must not keep calls waiting.
    """

    __slots__ = ("_by_called", "_lengths", "_trees")

    def __init__(self, entries: Iterable[NumberList]) -> None:
        by_called: dict[str, list[NumberList]] = {}
        for entry in entries:
            by_called.setdefault(prefix_of(entry.called_prefix), []).append(entry)
        self._by_called = by_called
        self._trees: dict[str, PrefixTree[NumberList]] = {}
        self._lengths = tuple(sorted({len(called) for called in by_called}, reverse=True))

    def __bool__(self) -> bool:
        return bool(self._by_called)

    def find(self, caller: str, called: str) -> tuple[NumberList | None, list[NumberList]]:
        """The entry that decides, or None, and some that do not, the nearest first.

        A called prefix decides only together with a caller prefix that fits: with `1 to 913` and `* to 9`, a call
        from 200 to 913800 is decided by the second.
        """
        winner: NumberList | None = None
        losers: list[NumberList] = []
        size = len(called)
        for length in self._lengths:
            if length > size:
                continue
            prefix = called[:length]
            group = self._by_called.get(prefix)
            if group is None:
                continue
            callers = self._trees.get(prefix)
            if callers is None:
                callers = PrefixTree((prefix_of(entry.caller_prefix), entry) for entry in group)
                self._trees[prefix] = callers
            found, others = callers.find_with_losers(caller)
            if found is not None and winner is None:
                winner = found
            elif found is not None:
                losers.append(found)
            losers.extend(others)
            if not others and found is None:
                losers.extend(group[:_NOT_FITTING])
            if winner is not None and len(losers) >= MAX_LOSERS:
                break
        return winner, losers


def why_not_listed(winner: Record | None, loser: Record, arguments: tuple[Any, ...]) -> str:
    """Why a list entry did not decide; `arguments` begin with the caller and the called number."""
    if not isinstance(loser, NumberList):
        return "not a list entry"
    words = f"{loser.detail()}: "
    if not loser.enabled:
        return words + "disabled"
    if not str(arguments[0]).startswith(prefix_of(loser.caller_prefix)):
        return words + f"the caller number does not begin with {loser.caller_prefix}"
    if isinstance(winner, NumberList):
        if len(prefix_of(loser.called_prefix)) < len(prefix_of(winner.called_prefix)):
            return words + "its called prefix is shorter"
        if len(prefix_of(loser.caller_prefix)) < len(prefix_of(winner.caller_prefix)):
            return words + "its caller prefix is shorter"
    return words + "the same prefixes with a higher ID"
