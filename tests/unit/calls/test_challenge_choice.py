"""Phones that cannot stand a SHA-256 challenge get MD5 alone, by name or after two challenges without an answer."""

from __future__ import annotations

import pytest

from app.calls.challenge_choice import FORGOTTEN_AFTER, MAXIMUM_PHONES, PATIENCE, ChallengeChoice, gives_up_at_sha256

HOST, PORT, NUMBER = "192.0.2.7", 5060, "100"


@pytest.mark.parametrize(
    ("user_agent", "gives_up"),
    [
        ("baresip v1.0.0 (x86_64/linux)", True),
        ("baresip v3.10.1 (x86_64/Linux)", True),
        ("baresip v3.12.0 (x86_64/Linux)", False),
        ("baresip v4.0.0", False),
        ("baresip", False),
        ("Some phone 1.0 baresip v1.0.0", False),
        ("", False),
        ("baresip v" + "9" * 10000, False),
    ],
)
def test_phones_known_by_name(user_agent: str, gives_up: bool) -> None:
    assert gives_up_at_sha256(user_agent) is gives_up


def test_a_source_that_does_not_answer_is_offered_md5() -> None:
    choice = ChallengeChoice()
    offers = [choice.only_md5("", HOST, PORT, NUMBER, now) for now in (0.0, 1.0, 2.0, 3.0)]
    assert offers == [False, False, True, True]
    assert not choice.only_md5("", HOST, PORT + 1, NUMBER, 3.0), "another port is another phone"


def test_many_numbers_from_one_port_are_challenged_before_the_first_answers() -> None:
    choice = ChallengeChoice()
    assert not any(choice.only_md5("", HOST, PORT, str(number), 0.0) for number in range(100, 120))


def test_an_answer_shows_that_both_algorithms_are_understood() -> None:
    choice = ChallengeChoice()
    for now in range(10):
        assert not choice.only_md5("", HOST, PORT, NUMBER, float(now))
        choice.answered(HOST, PORT, NUMBER)


def test_old_challenges_no_longer_count() -> None:
    choice = ChallengeChoice()
    for _ in range(PATIENCE):
        choice.only_md5("", HOST, PORT, NUMBER, 0.0)
    assert not choice.only_md5("", HOST, PORT, NUMBER, FORGOTTEN_AFTER + 1)


def test_the_memory_is_bounded() -> None:
    choice = ChallengeChoice()
    for _ in range(PATIENCE):
        choice.only_md5("", HOST, PORT, NUMBER, 0.0)
    for port in range(MAXIMUM_PHONES):
        choice.only_md5("", "192.0.2.8", port, NUMBER, 0.0)
    assert not choice.only_md5("", HOST, PORT, NUMBER, 0.0)
