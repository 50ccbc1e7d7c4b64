"""Address lists and fail-to-ban on a real server: who is dropped, who is banned and for how long, and who never is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from support.documents import CALLER, CARRIER_A, PASSWORDS, PHONE_100, SERVER, document
from support.ports import LoopbackNetwork
from support.running_engine import RunningEngine
from support.sip_text import SipSocket, SipText, digest_header
from support.starting import StartEngine
from support.waiting import wait_until

from app.engine import Engine
from app.events import BansChanged

pytestmark = pytest.mark.wire

STRANGER = 66


class Guesser:
    """Tries passwords at a server from an address of its own."""

    def __init__(self, socket: SipSocket) -> None:
        self.socket = socket
        self.server = socket.server[0]

    def register(self, password: str, user: str = "100") -> SipText:
        """REGISTER with this password; the answer to it."""
        uri, address = f"sip:{self.server}", f"sip:{user}@{self.server}"
        challenge = self.socket.request("REGISTER", uri, address, address).headers("WWW-Authenticate")[0]
        credentials = digest_header(challenge, "REGISTER", uri, user, password)
        return self.socket.request("REGISTER", uri, address, address, (f"Authorization: {credentials}",))

    def is_heard(self) -> bool:
        """Whether the server answers at all."""
        uri = f"sip:{self.server}"
        try:
            return self.socket.request("OPTIONS", uri, f"sip:a@{self.server}", uri, seconds=0.3).status == 200
        except AssertionError:
            return False


@pytest.fixture
def guessers(network: LoopbackNetwork) -> Iterator[Any]:
    """`guessers(66)`: somebody at this address."""
    with ExitStack() as stack:
        server = (network.address(SERVER), 5060)
        yield lambda host, port=5060: Guesser(stack.enter_context(SipSocket(network.address(host), server, port)))


def banned(engine: RunningEngine) -> list[str]:
    return [ban.address for ban in engine.ask(Engine.bans)]


def test_wrong_passwords_ban_for_the_time_that_is_set(
    network: LoopbackNetwork, start_engine: StartEngine, guessers: Any
) -> None:
    """The tenth within a minute; told in words; lifted by hand, or by itself; trunks and accepted networks never."""
    changes: list[BansChanged] = []
    system = {"ban_failures": 10, "ban_seconds": 1000}
    accepted = [{"network": network.address(70), "action": "accept"}]
    engine = start_engine(document(network, system=system, address_lists=accepted))
    engine.ask(lambda each: each.events.subscribe(BansChanged, changes.append))
    guesser, phone = guessers(STRANGER), guessers(PHONE_100)
    trunk, friend = guessers(CARRIER_A), guessers(70)
    for _ in range(9):
        assert guesser.register("wrong").status == 403
    assert banned(engine) == []
    assert guesser.register("wrong").status == 403
    assert banned(engine) == [network.address(STRANGER)]
    assert not guesser.is_heard()
    (ban,) = engine.ask(Engine.bans)
    assert ban.reason == "10 times a wrong password within a minute"
    assert ban.until - ban.since == pytest.approx(1000)
    assert len(changes) == 1
    # Whoever is somebody is not banned, however often they fail.
    for patient in (trunk, friend):
        for _ in range(12):
            patient.register("wrong")
        assert patient.is_heard()
    assert phone.register(PASSWORDS["100"]).status == 200
    assert banned(engine) == [network.address(STRANGER)]
    engine.ask(lambda each: each.lift_ban(network.address(STRANGER)))
    assert guesser.register(PASSWORDS["100"]).status == 200
    assert banned(engine) == []
    # From now on a ban is short and quick.
    engine.change({"system": {"ban_failures": 2, "ban_seconds": 1}})
    for _ in range(2):
        guesser.register("wrong")
    assert not guesser.is_heard()
    assert wait_until(guesser.is_heard, "the end of the ban")


def test_a_phone_with_a_wrong_password_does_not_have_its_office_banned(
    network: LoopbackNetwork, start_engine: StartEngine, guessers: Any
) -> None:
    """Phones behind one NAT share its address; who guesses from there by ever new ports is banned with all of them."""
    engine = start_engine(document(network, system={"ban_failures": 10, "ban_seconds": 1000}))
    good, broken, other = guessers(STRANGER, 40001), guessers(STRANGER, 40002), guessers(STRANGER, 40003)
    assert good.register(PASSWORDS["100"]).status == 200
    for _ in range(10):
        assert broken.register("old password").status == 403
    with pytest.raises(AssertionError, match="no final response"):
        broken.register("old password")
    assert not broken.is_heard()
    assert good.is_heard()
    (ban,) = engine.ask(Engine.bans)
    assert ban.address == f"{network.address(STRANGER)}:40002"
    assert ban.reason == "10 times a wrong password within a minute, from this phone alone"
    assert good.register(PASSWORDS["100"]).status == 200
    assert other.register(PASSWORDS["101"], "101").status == 200
    # Somebody mends the password and lifts the ban.
    engine.ask(lambda each: each.lift_ban(ban.address))
    assert broken.register(PASSWORDS["100"]).status == 200
    for number in range(50):
        guessers(STRANGER, 41000 + number).register(f"guess {number}")
    assert not good.is_heard()
    assert banned(engine) == [network.address(STRANGER)]


def test_a_scanner_is_banned_by_its_name_and_by_what_it_tries(
    network: LoopbackNetwork, start_engine: StartEngine, guessers: Any
) -> None:
    engine = start_engine(document(network))
    named, dialler = guessers(STRANGER), guessers(67)
    server = network.address(SERVER)
    uri = f"sip:100@{server}"
    assert named.socket.request("INVITE", uri, "sip:a@b.c", uri, ("User-Agent: friendly-scanner",)).status == 403
    assert not named.is_heard()
    for number in range(10):
        uri = f"sip:00{number}4930@{server}"
        assert dialler.socket.request("INVITE", uri, "sip:a@b.c", uri).status == 403
    assert not dialler.is_heard()
    reasons = [ban.reason for ban in engine.ask(Engine.bans)]
    assert reasons == ["scanner: tried 10 numbers within a minute", "scanner: User-Agent friendly-scanner"]


def test_address_lists_decide_before_anything_is_read(
    network: LoopbackNetwork, start_engine: StartEngine, guessers: Any
) -> None:
    """The longest network decides; a trunk inside a dropped network is dropped, too; a change holds at once."""
    engine = start_engine(
        document(
            network,
            address_lists=[
                {"network": f"{network.prefix}.64/27", "action": "drop"},
                {"network": network.address(70), "action": "accept"},
                {"network": network.address(CALLER), "action": "drop"},
                {"network": network.address(71), "action": "accept", "enabled": False},
            ],
        )
    )
    dropped, accepted, trunk, disabled = guessers(STRANGER), guessers(70), guessers(CALLER), guessers(71)
    assert [each.is_heard() for each in (dropped, accepted, trunk, disabled)] == [False, True, False, False]
    assert guessers(PHONE_100).is_heard()
    engine.delete("address_lists", 1)
    assert [each.is_heard() for each in (dropped, trunk)] == [True, False]
