"""Holds are given back exactly once, whatever happens, and rates start anew with each second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.calls.counters import CallCounters, Counted, CounterKey, RateLimit


def test_a_hold_counts_once_and_is_released_once() -> None:
    counters = CallCounters()
    changes: list[CounterKey] = []
    counters.on_change = changes.append
    first, second = counters.hold(Counted.TRUNK_OUT, 1), counters.hold(Counted.TRUNK_OUT, 1)
    counters.hold(Counted.TRUNK_IN, 1)
    assert counters.count(Counted.TRUNK_OUT, 1) == 2
    assert counters.count(Counted.TRUNK_OUT, 2) == 0
    first.release()
    first.release()
    assert counters.count(Counted.TRUNK_OUT, 1) == 1
    second.release()
    assert counters.count(Counted.TRUNK_OUT, 1) == 0
    assert counters.total == 1
    assert changes == [(Counted.TRUNK_OUT, 1)] * 2 + [(Counted.TRUNK_IN, 1)] + [(Counted.TRUNK_OUT, 1)] * 2


def test_ids_of_trunks_and_lines_and_numbers_of_users_are_apart() -> None:
    counters = CallCounters()
    counters.hold(Counted.TRUNK_OUT, 1)
    counters.hold(Counted.LINE_OUT, 1)
    counters.hold(Counted.USER_IN, "1")
    assert [counters.count(kind, 1) for kind in (Counted.TRUNK_OUT, Counted.LINE_OUT, Counted.LINE_IN)] == [1, 1, 0]
    assert counters.count(Counted.USER_IN, "1") == 1
    assert counters.total == 3


def test_counters_that_are_0_take_no_room() -> None:
    counters = CallCounters()
    for number in range(1000):
        counters.hold(Counted.USER_IN, str(number)).release()
    assert not counters._counts


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60))
def test_the_total_is_what_is_held(steps: list[tuple[int, bool]]) -> None:
    counters = CallCounters()
    held = []
    released = 0
    for whose, take in steps:
        if take or not held:
            held.append(counters.hold(Counted.TRUNK_IN, whose))
        else:
            hold = held[whose % len(held)]
            released += hold._counters is not None
            hold.release()
        assert counters.total == len(held) - released
    for hold in held:
        hold.release()
    assert counters.total == 0


def test_so_many_calls_a_second() -> None:
    rate = RateLimit()
    assert not rate.full(2, 10.1)
    rate.add(10.1)
    assert not rate.full(2, 10.5)
    rate.add(10.5)
    assert rate.full(2, 10.99)
    assert not rate.full(3, 10.99)
    assert not rate.full(0, 10.99)
    assert not rate.full(2, 11.0)
    rate.add(11.0)
    assert not rate.full(2, 11.5)
    assert rate.full(1, 11.5)
