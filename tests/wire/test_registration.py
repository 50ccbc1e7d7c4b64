"""Registration with digests computed by the test itself: SHA-256 and MD5, wrong and unknown users, and the end."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.documents import CALLER, PASSWORDS, PHONE_100, SERVER, document
from support.ports import LoopbackNetwork
from support.sip_text import SipSocket, SipText, digest_header, parse_challenge
from support.starting import StartCaller, StartServer
from support.udp_peers import answer_to
from support.waiting import wait_until

from app.storage.database import FILE_NAME

pytestmark = pytest.mark.wire


@pytest.fixture
def phone(network: LoopbackNetwork, start_server: StartServer) -> Iterator[SipSocket]:
    """A bare socket that may register as 100 at a running server."""
    start_server(document(network))
    with SipSocket(network.address(PHONE_100), (network.address(SERVER), 5060)) as opened:
        yield opened


def register(phone: SipSocket, user: str, *headers: str) -> SipText:
    server = f"sip:{phone.server[0]}:{phone.server[1]}"
    address = f"sip:{user}@{phone.server[0]}"
    return phone.request("REGISTER", server, address, address, ("Expires: 120", *headers))


def answer(phone: SipSocket, challenge: str, user: str, password: str) -> str:
    uri = f"sip:{phone.server[0]}:{phone.server[1]}"
    return "Authorization: " + digest_header(challenge, "REGISTER", uri, user, password)


@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_both_algorithms_are_offered_and_taken(phone: SipSocket, algorithm: str) -> None:
    challenges = register(phone, "100").headers("WWW-Authenticate")
    assert [parse_challenge(each).get("algorithm") for each in challenges] == ["SHA-256", "MD5"]
    (challenge,) = (each for each in challenges if parse_challenge(each)["algorithm"] == algorithm)
    accepted = register(phone, "100", answer(phone, challenge, "100", PASSWORDS["100"]))
    assert accepted.status == 200
    contact = accepted.header("Contact") or ""
    assert re.fullmatch(rf"<sip:test@{re.escape(phone.address)}:5060>.*;expires=(1[12]\d)\b.*", contact), contact


def test_unknown_user_and_wrong_password_look_alike(phone: SipSocket) -> None:
    answers = []
    for user in ("100", "999"):
        first = register(phone, user)
        challenge = first.headers("WWW-Authenticate")[0]
        second = register(phone, user, answer(phone, challenge, user, "wrong"))
        answers.append((first.status, second.status, sorted(parse_challenge(challenge)), second.start_line))
    assert answers[0] == answers[1]
    assert answers[0][0] == 401
    assert answers[0][1] in (401, 403)


def test_a_digest_cannot_be_used_twice(phone: SipSocket) -> None:
    challenge = register(phone, "100").headers("WWW-Authenticate")[0]
    credentials = answer(phone, challenge, "100", PASSWORDS["100"])
    assert register(phone, "100", credentials).status == 200
    again = register(phone, "100", credentials)
    assert again.status == 401, "a replayed nonce count was accepted"


def test_a_registration_is_taken_back(phone: SipSocket) -> None:
    challenge = register(phone, "100").headers("WWW-Authenticate")[0]
    assert register(phone, "100", answer(phone, challenge, "100", PASSWORDS["100"])).status == 200
    challenge = register(phone, "100").headers("WWW-Authenticate")[0]
    address, server = f"sip:100@{phone.server[0]}", f"sip:{phone.server[0]}:{phone.server[1]}"
    credentials = answer(phone, challenge, "100", PASSWORDS["100"])
    ended = phone.request("REGISTER", server, address, address, ("Expires: 0", credentials))
    assert ended.status == 200
    assert ended.header("Contact") is None


def test_a_phone_may_not_register_somebody_else(phone: SipSocket) -> None:
    """Credentials of 100 do not bind a contact to 101."""
    challenge = register(phone, "101").headers("WWW-Authenticate")[0]
    refused = register(phone, "101", answer(phone, challenge, "100", PASSWORDS["100"]))
    assert refused.status in (401, 403)


def registrations_on_disk(data: Path) -> int:
    with closing(sqlite3.connect(f"file:{data / FILE_NAME}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT count(*) FROM registrations").fetchone()[0])


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "stopped"])
def test_a_restart_leaves_the_phone_reachable(
    network: LoopbackNetwork, start_server: StartServer, start_caller: StartCaller, killed: bool
) -> None:
    """The phone registered for two minutes and knows nothing of the restart; the call rings it at once."""
    server = start_server(document(network))
    with SipSocket(network.address(PHONE_100), (network.address(SERVER), 5060)) as phone:
        challenge = register(phone, "100").headers("WWW-Authenticate")[0]
        assert register(phone, "100", answer(phone, challenge, "100", PASSWORDS["100"])).status == 200
        if killed:
            wait_until(lambda: registrations_on_disk(server.data), "the registration on disk")
            server.kill()
        else:
            server.stop()
        server.start()
        talk = start_caller(CALLER).begin("100")
        invite = phone.receive()
        assert invite is not None
        assert invite.start_line == f"INVITE sip:test@{phone.address}:5060 SIP/2.0"
        phone.send(answer_to(invite, 486))
        assert talk.final().status == 486
