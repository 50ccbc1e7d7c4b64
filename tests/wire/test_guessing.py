"""What somebody who guesses users and passwords at a running server learns from its answers and from their time."""

from __future__ import annotations

import random
import re
import statistics
import time
from collections.abc import Iterator

import pytest
from support.documents import PASSWORDS, SERVER, STRANGER, document
from support.ports import LoopbackNetwork
from support.server import RunningServer
from support.sip_text import SipSocket, SipText, digest_header
from support.timing import advantage, by_chance

pytestmark = pytest.mark.wire

COUNT = 400
USERS = {"known": "100", "unknown": "999", "disabled": "104", "empty": "105"}


@pytest.fixture
def guesser(network: LoopbackNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SipSocket]:
    """Somebody on an address that is never banned, so that there is time to measure."""
    tables = document(network, address_lists=[{"network": network.address(STRANGER), "action": "accept"}])
    tables["local_users"] += [
        {"number": USERS["disabled"], "password": "secret-of-104", "enabled": False},
        {"number": USERS["empty"], "password": ""},
    ]
    place = tmp_path_factory.mktemp("guessing") / "data", tables, network.address(SERVER)
    with (
        RunningServer(*place) as server,
        SipSocket(network.address(STRANGER), (server.address, server.port)) as one,
    ):
        yield one


def guess(guesser: SipSocket, user: str, method: str = "REGISTER") -> tuple[SipText, SipText, float]:
    """The challenge, the refusal of a wrong password, and the seconds that the two took."""
    uri = f"sip:{guesser.server[0]}" if method == "REGISTER" else f"sip:135550@{guesser.server[0]}"
    own = f"sip:{user}@{guesser.server[0]}"
    began = time.perf_counter()
    challenge = guesser.request(method, uri, own, own if method == "REGISTER" else uri)
    asked = time.perf_counter() - began
    credentials = digest_header(challenge.headers("WWW-Authenticate")[0], method, uri, user, "wrong")
    began = time.perf_counter()
    refusal = guesser.request(
        method, uri, own, own if method == "REGISTER" else uri, (f"Authorization: {credentials}",)
    )
    return challenge, refusal, asked + time.perf_counter() - began


def bare(answer: SipText, user: str) -> str:
    """An answer without what is different in each: random text, numbers of requests, and who was named."""
    text = answer.text.replace(f"sip:{user}@", "sip:USER@")
    return re.sub(r'(tag=|branch=|nonce="|CSeq: )[^\s;",]+', r"\1", text)


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_the_answers_are_the_same_for_users_that_exist_and_for_those_that_do_not(
    guesser: SipSocket, method: str
) -> None:
    answers = {}
    for kind, user in USERS.items():
        challenge, refusal, _seconds = guess(guesser, user, method)
        assert (challenge.status, refusal.status) == (401, 403)
        answers[kind] = (bare(challenge, user), bare(refusal, user))
    assert len(set(answers.values())) == 1, answers
    # The right password is what makes the difference, and the only one.
    uri = f"sip:{guesser.server[0]}"
    own = f"sip:100@{guesser.server[0]}"
    challenged = guesser.request("REGISTER", uri, own, own)
    value = challenged.headers("WWW-Authenticate")[0]
    good = digest_header(value, "REGISTER", uri, "100", PASSWORDS["100"])
    assert guesser.request("REGISTER", uri, own, own, (f"Authorization: {good}",)).status == 200


def test_their_time_is_the_same_too(guesser: SipSocket) -> None:
    """tests/simulation/test_timing.py measures the work alone, to the microsecond; here are sockets in between."""
    found = []
    for _ in range(3):
        seconds: dict[str, list[float]] = {"100": [], "999": []}
        order = list(seconds) * COUNT
        random.Random(7).shuffle(order)
        for user in order:
            seconds[user].append(guess(guesser, user)[2])
        found.append(advantage(seconds["100"], seconds["999"]))
        middle = {user: statistics.median(values) * 1e6 for user, values in seconds.items()}
        print(f"wrong password {middle['100']:.0f} us, unknown user {middle['999']:.0f} us: {found[-1]:.1%} advantage")
        if found[-1] < by_chance(COUNT):
            return
    pytest.fail(f"they can be told apart by time: {found}")
