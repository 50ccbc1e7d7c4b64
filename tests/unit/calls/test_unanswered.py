"""Challenges that nobody answers are told of in time, once, and never more than are watched."""

from __future__ import annotations

import pytest
from support.calling import Ticking

from app.calls import unanswered as unanswered_module
from app.calls.unanswered import PATIENCE, Challenged, UnansweredChallenges
from app.sip.flow import Flow


def challenged(host: str = "203.0.113.1") -> Challenged:
    return Challenged(Flow("udp", "10.0.0.5", 5060, host, 5060), "INVITE", "100", "135", "agent")


class Watched:
    def __init__(self) -> None:
        self.time = Ticking()
        self.told: list[str] = []
        self.watch = UnansweredChallenges(
            lambda delay, callback: self.time.deadlines.schedule(self.time.now + delay, callback),
            lambda who: self.told.append(who.source.remote_host),
        )

    def challenge(self, call_id: str, host: str = "203.0.113.1") -> None:
        self.watch.challenged(call_id, challenged(host), self.time.now)


def test_silence_is_told_once_and_nothing_stays_behind() -> None:
    w = Watched()
    w.challenge("a")
    w.time.advance(PATIENCE - 0.1)
    assert w.told == []
    w.time.advance(0.2)
    assert w.told == ["203.0.113.1"]
    w.time.advance(100)
    assert w.told == ["203.0.113.1"]
    assert (len(w.watch), len(w.time.deadlines)) == (0, 0)


def test_each_in_its_own_time() -> None:
    w = Watched()
    w.challenge("a", "h1")
    w.time.advance(4)
    w.challenge("b", "h2")
    w.time.advance(PATIENCE - 3.9)
    assert w.told == ["h1"]
    assert len(w.time.deadlines) == 1
    w.time.advance(4)
    assert w.told == ["h1", "h2"]


def test_an_answer_in_time_and_one_of_somebody_else() -> None:
    w = Watched()
    w.challenge("a")
    w.challenge("b")
    w.watch.answered("203.0.113.9", "a")
    w.watch.answered("203.0.113.1", "b")
    w.watch.answered("203.0.113.1", "never asked")
    w.time.advance(PATIENCE + 1)
    assert w.told == ["203.0.113.1"]


def test_a_second_challenge_does_not_begin_the_time_anew() -> None:
    w = Watched()
    w.challenge("a")
    w.time.advance(PATIENCE - 1)
    w.challenge("a")
    w.time.advance(1.1)
    assert w.told == ["203.0.113.1"]


def test_the_first_stay_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unanswered_module, "MAXIMUM_WAITING", 3)
    w = Watched()
    for number in range(10):
        w.challenge(str(number), f"h{number}")
    assert len(w.watch) == 3
    w.time.advance(PATIENCE + 1)
    assert w.told == ["h0", "h1", "h2"]
    w.challenge("later", "h11")
    w.time.advance(PATIENCE + 1)
    assert w.told[-1] == "h11"
