"""The steps of a trail: words made when they are read, losers bounded, one line each."""

from __future__ import annotations

import pytest

from app.dialplan.decision import MAX_LOSERS, Loser, TrailStep
from app.records import AnalyzeCalledNumber


def record(number: int, prefix: str, enabled: bool = True) -> AnalyzeCalledNumber:
    return AnalyzeCalledNumber(id=number, prefix=prefix, enabled=enabled)


def test_a_step_of_plain_words() -> None:
    step = TrailStep("address list", "192.0.2.1 is accepted", ("address_lists", 3))
    assert str(step) == "address list: 192.0.2.1 is accepted"
    assert (step.record, step.losers) == (("address_lists", 3), ())
    assert "192.0.2.1 is accepted" in repr(step)


def test_words_are_made_only_when_they_are_read() -> None:
    made: list[int] = []

    def words(number: int) -> str:
        made.append(number)
        return f"number {number}"

    step = TrailStep("step", words, arguments=(7,))
    assert made == []
    assert step.text == "number 7"
    assert made == [7]


@pytest.mark.parametrize(
    ("loser", "why"),
    [
        (record(2, "1"), "its prefix 1 is shorter"),
        (record(2, ""), "it fits any number, a prefix is closer"),
        (record(2, "123", enabled=False), "disabled"),
        (record(2, "12"), "the same prefix with a higher ID"),
        (Loser("analyze_called_numbers", 2, "busier"), "busier"),
    ],
)
def test_why_a_record_lost(loser: AnalyzeCalledNumber | Loser, why: str) -> None:
    step = TrailStep("step", "words", record(1, "12"), (loser,))
    assert step.losers == (Loser("analyze_called_numbers", 2, why),)
    assert str(step) == f"step: words [not used: 2 ({why})]"


def test_losers_are_bounded() -> None:
    step = TrailStep("step", "words", record(1, "12"), [record(number, "1") for number in range(2, 20)])
    assert len(step.losers) == MAX_LOSERS
    assert str(step).endswith(f" and {18 - MAX_LOSERS} more]")


def test_a_step_is_always_one_line() -> None:
    assert str(TrailStep("step", "down: 503\r\nX: y\u2028z")) == "step: down: 503  X: y z"


def test_steps_are_equal_by_what_they_say() -> None:
    assert TrailStep("step", "words") == TrailStep("step", lambda: "words")
    assert TrailStep("step", "words") != TrailStep("step", "other")
    assert TrailStep("step", "words", record(1, "")) != TrailStep("step", "words", record(2, ""))
    assert TrailStep("step", "words") != "step: words"
    assert len({TrailStep("step", "words"), TrailStep("step", "words")}) == 1
