"""The longest prefix: against the naive search, with disabled records and equal prefixes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.dialplan.prefix_tree import PrefixTree
from app.records import AnalyzeCallerNumber

DIGITS = "0129+"
prefixes = st.text(DIGITS, max_size=6)
numbers = st.text(DIGITS, max_size=10)
tables = st.lists(st.tuples(prefixes, st.booleans()), max_size=40)


def records(table: list[tuple[str, bool]]) -> list[AnalyzeCallerNumber]:
    return [
        AnalyzeCallerNumber(id=index, prefix=prefix, enabled=enabled)
        for index, (prefix, enabled) in enumerate(table, start=1)
    ]


def naive(table: list[AnalyzeCallerNumber], number: str) -> AnalyzeCallerNumber | None:
    fitting = [each for each in table if each.enabled and number.startswith(each.prefix)]
    return max(fitting, key=lambda each: (len(each.prefix), -each.id), default=None)


@given(tables, numbers)
def test_the_tree_equals_the_naive_longest_prefix(table: list[tuple[str, bool]], number: str) -> None:
    rows = records(table)
    tree = PrefixTree((each.prefix, each) for each in rows)
    expected = naive(rows, number)
    assert tree.find(number) is expected
    winner, losers = tree.find_with_losers(number)
    assert winner is expected
    fitting = {each.id for each in rows if number.startswith(each.prefix)}
    assert len(losers) == len({each.id for each in losers})
    assert {each.id for each in losers} | ({winner.id} if winner else set()) == fitting
    assert len(tree) == len(rows)


@given(tables, numbers)
def test_matches_come_longest_first(table: list[tuple[str, bool]], number: str) -> None:
    tree = PrefixTree((each.prefix, each) for each in records(table))
    lengths = [len(each.prefix) for each in tree.matches(number)]
    assert lengths == sorted(lengths, reverse=True)


def test_an_empty_tree_finds_nothing() -> None:
    tree: PrefixTree[AnalyzeCallerNumber] = PrefixTree(())
    assert tree.find("123") is None
    assert tree.matches("123") == []
    assert not tree


def test_a_long_number_costs_no_more_than_the_prefixes_there_are() -> None:
    row = AnalyzeCallerNumber(id=1, prefix="1")
    tree = PrefixTree([("1", row)])
    assert tree.find("1" * 1_000_000) is row
    assert tree.find("") is None
