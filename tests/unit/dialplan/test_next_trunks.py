"""Next-trunk cycles, named before they are saved."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialplan.next_trunks import cycle_through, cycle_words, cycles
from app.records import Configuration, SipTrunk


def chain(following: dict[int, int]) -> Configuration:
    trunks: dict[int, Any] = {
        number: SipTrunk(id=number, server_address="192.0.2.1", next_trunk_id=after)
        for number, after in following.items()
    }
    return Configuration(tables={"sip_trunks": trunks})


@pytest.mark.parametrize(
    ("following", "trunk", "after", "cycle"),
    [
        ({1: 0}, 1, 1, [1, 1]),
        ({1: 0, 2: 1}, 1, 2, [1, 2, 1]),
        ({1: 0, 2: 3, 3: 1}, 1, 2, [1, 2, 3, 1]),
        ({1: 0, 2: 0}, 1, 2, None),
        ({1: 2, 2: 0}, 1, 0, None),
        ({1: 0, 2: 3, 3: 2}, 1, 2, None),
        ({2: 9}, 1, 2, None),
        ({2: 7}, 7, 2, [7, 2, 7]),
        ({1: 2, 2: 1}, 1, 0, None),
    ],
)
def test_the_editor_is_told_the_cycle(
    following: dict[int, int], trunk: int, after: int, cycle: list[int] | None
) -> None:
    assert cycle_through(chain(following), trunk, after) == cycle


def test_a_cycle_in_words() -> None:
    assert cycle_words([1, 2, 1]) == "trunk 1 -> 2 -> 1"


@given(st.dictionaries(st.integers(1, 8), st.integers(0, 9), max_size=8))
def test_every_cycle_is_found_once(following: dict[int, int]) -> None:
    configuration = chain(following)
    found = cycles(configuration)
    members = [number for cycle in found for number in cycle[:-1]]
    assert len(members) == len(set(members))
    on_one = {number for number, after in following.items() if cycle_through(configuration, number, after)}
    assert set(members) == on_one
    for cycle in found:
        assert cycle[0] == cycle[-1] == min(cycle)
        assert all(following[one] == two for one, two in pairwise(cycle))
