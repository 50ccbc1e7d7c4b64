"""The time that a refusal takes says nothing about which users exist."""

from __future__ import annotations

import random
import sys
import time
from typing import Any

import pytest
from simulation.raw import SERVER
from simulation.test_authentication import STRANGER, Door
from support.timing import advantage, by_chance

from app.calls.challenges import answer_challenge
from app.sip import auth
from app.sip.flow import Flow
from app.sip.message import Request

FLOW = Flow("udp", *SERVER, STRANGER, 5060)
COUNT = 1500

_clock = time.thread_time if sys.platform != "win32" else time.perf_counter
"""Seconds of this thread's work; Windows counts those in ticks of 16 ms, in which every message takes none at all."""


def durations(method: str, unknown: str = "999") -> tuple[list[float], list[float]]:
    """Microseconds of work for refusing a wrong password and an unknown user, measured in turns.

    The way of a message waits for nothing, so that its work is its time, whatever else this machine does.
    """
    door = Door(ban_failures=0, max_messages_per_second=0)
    asked = door.ask(method)
    challenge = door.answer()
    messages = []
    for number in range(COUNT):
        for username in ("100", unknown):
            credentials = answer_challenge(asked, challenge, username, f"guess {number}")
            assert credentials is not None
            headers = [
                (name, f"call-{username}-{number}")
                if name == "Call-ID"
                else (name, f"{value}{number}{username}")
                if name == "Via"
                else (name, value)
                for name, value in asked.headers
            ]
            request = Request(method, asked.uri_text, [*headers, credentials])
            messages.append((username, request.to_bytes()))
    random.Random(1).shuffle(messages)
    spent: dict[str, list[float]] = {"100": [], unknown: []}
    receive = door.wire.switch.receive
    for username, data in messages:
        began = _clock()
        receive(data, FLOW)
        spent[username].append((_clock() - began) * 1e6)
    door.wire.advance()
    statuses = {each.status for each in door.peer.received if not isinstance(each, Request)}
    assert statuses == {401, 403}
    return spent["100"], spent[unknown]


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


@pytest.mark.parametrize(
    ("method", "unknown"),
    [("REGISTER", "999"), ("INVITE", "999"), ("REGISTER", "101"), ("REGISTER", "102")],
    ids=["REGISTER", "INVITE", "disabled", "without-password"],
)
def test_an_unknown_user_takes_as_long_as_a_wrong_password(method: str, unknown: str) -> None:
    found = []
    for _ in range(3):
        wrong_password, unknown_user = durations(method, unknown)
        found.append(advantage(wrong_password, unknown_user))
        print(
            f"{method}: {median(wrong_password):.1f} us for a wrong password, {median(unknown_user):.1f} us for an "
            f"unknown user; telling them apart is {found[-1]:.1%} better than chance"
        )
        if found[-1] < by_chance(COUNT):
            return
    pytest.fail(f"they can be told apart: {found} is more than {by_chance(COUNT):.3f}")


def test_a_difference_of_a_few_hashes_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same measurement on a server that computes nothing for a user whom it does not know."""
    real = auth.digest_response

    def leaking(algorithm: auth.DigestAlgorithm, username: str, *rest: Any) -> str:
        return "0" * 64 if username == "999" else real(algorithm, username, *rest)

    monkeypatch.setattr(auth, "digest_response", leaking)
    found = []
    while not found or (found[-1] < by_chance(COUNT) and len(found) < 5):
        found.append(advantage(*durations("REGISTER")))
        print(f"telling them apart is {found[-1]:.1%} better than chance")
    assert found[-1] > by_chance(COUNT)
