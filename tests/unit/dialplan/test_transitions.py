"""What transitions make of numbers, at every edge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialplan.transitions import apply_transition, changes_nothing
from app.records import NumberTransition


@pytest.mark.parametrize(
    ("kind", "start", "length", "digits", "before", "after"),
    [
        ("replace", 0, 1, "0086", "0108888", "0086108888"),
        ("replace", 2, 3, "x", "1234567", "12x67"),
        ("replace", 2, 99, "x", "1234", "12x"),
        ("replace", 4, 2, "x", "1234", "1234x"),
        ("replace", 5, 1, "x", "1234", "1234"),
        ("replace", 0, 4, "", "1234", ""),
        ("replace", 0, 0, "9", "1234", "91234"),
        ("insert", 0, 0, "0", "1234", "01234"),
        ("insert", 2, 7, "0", "1234", "12034"),
        ("insert", 4, 0, "#", "1234", "1234#"),
        ("insert", 5, 0, "#", "1234", "1234"),
        ("delete", 0, 2, "77", "135550", "5550"),
        ("delete", 3, 99, "", "135550", "135"),
        ("delete", 9, 1, "", "135550", "135550"),
        ("insert", 0, 0, "+", "", "+"),
    ],
)
def test_digits_change_as_the_record_says(
    kind: str, start: int, length: int, digits: str, before: str, after: str
) -> None:
    transition = NumberTransition(id=1, type=kind, start=start, length=length, digits=digits)
    assert apply_transition(transition, before) == after


transitions = st.builds(
    NumberTransition,
    id=st.just(1),
    type=st.sampled_from(["replace", "insert", "delete"]),
    start=st.integers(0, 8),
    length=st.integers(0, 8),
    digits=st.text("01+", max_size=3),
)


@given(transitions, st.text("0123", max_size=6))
def test_a_transition_only_touches_what_it_names(transition: NumberTransition, number: str) -> None:
    after = apply_transition(transition, number)
    assert after.startswith(number[: transition.start])
    assert len(after) <= len(number) + len(transition.digits)
    if changes_nothing(transition):
        assert after == number


@given(transitions)
def test_a_transition_that_changes_nothing_is_known(transition: NumberTransition) -> None:
    number = "abcdefghijklmnop"
    assert (apply_transition(transition, number) == number) == changes_nothing(transition)
