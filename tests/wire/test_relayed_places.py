"""A user with an IPv4 phone and an IPv6 phone, called through the relay of a running server: real sockets of both."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.documents import CALLER, SERVER, document
from support.ports import LoopbackNetwork, free_udp_port
from support.running_engine import RunningEngine
from support.sip_text import SipText, digest_header
from support.starting import StartCaller
from support.udp_peers import SDP, SDP_6, Carrier, Talk, answer_to, invites_get
from support.waiting import wait_until
from wire.media.audio import Voice, ipv6_works, port_of, voices

from app.engine import Engine

pytestmark = [pytest.mark.wire, pytest.mark.skipif(not ipv6_works(), reason="this machine has no IPv6")]

PASSWORD = "secret-of-100"
KINDS = ("IPv4", "IPv6")


def register(address: str, port: int, server: tuple[str, int]) -> None:
    """Register as a phone of user 100 from this address and port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    host, server_host = (f"[{each}]" if ":" in each else each for each in (address, server[0]))
    uri, call_id, tag = f"sip:{server_host}:{server[1]}", secrets.token_hex(8), secrets.token_hex(4)
    credentials: list[str] = []
    with socket.socket(family, socket.SOCK_DGRAM) as bound:
        bound.bind((address, port))
        bound.settimeout(5)
        for sequence in (1, 2):
            lines = [
                f"REGISTER {uri} SIP/2.0",
                f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{secrets.token_hex(8)}",
                "Max-Forwards: 70",
                f"From: <sip:100@{server_host}>;tag={tag}",
                f"To: <sip:100@{server_host}>",
                f"Call-ID: {call_id}",
                f"CSeq: {sequence} REGISTER",
                f"Contact: <sip:100@{host}:{port}>",
                *credentials,
                "Content-Length: 0",
            ]
            bound.sendto("\r\n".join([*lines, "", ""]).encode(), server)
            answer = SipText(False, bound.recv(4096).decode().replace("\r\n", "\n"))
            assert answer.status == (401, 200)[sequence - 1]
            for challenge in answer.headers("WWW-Authenticate")[:1]:
                credentials = [f"Authorization: {digest_header(challenge, 'REGISTER', uri, '100', PASSWORD)}"]


class HousePhone(Carrier):
    """A phone that rings until it is told what to answer."""

    def __init__(self, address: str, port: int, server: tuple[str, int]) -> None:
        register(address, port, server)
        super().__init__(address, port, invites_get(180))

    def answer(self, status: int) -> None:
        """Answer the INVITE, with a session description."""
        ((invite, source),) = self._invites.values()
        host = f"[{self.address}]" if ":" in self.address else self.address
        body = (SDP_6 if ":" in self.address else SDP).format(host=self.address)
        contact = f"Contact: <sip:100@{host}:{self.port}>"
        self._socket.sendto(answer_to(invite, status, (contact,), body), source)


class Household:
    """The server, the caller's call, and the two phones with their voices."""

    def __init__(
        self,
        engine: RunningEngine,
        here: dict[str, str],
        phones: dict[str, HousePhone],
        audio: tuple[Voice, ...],
        talk: Talk,
    ) -> None:
        self.engine = engine
        self.here = here
        """The server's address of each family."""
        self.phones = phones
        self.caller, *others = audio
        self.voices = dict(zip(KINDS, others, strict=True))
        self.talk = talk
        for kind, phone in phones.items():
            # Each talks to where it was told to; only one of them shall be heard.
            body = phone.wait_for("INVITE").body
            assert f"c=IN IP{kind[-1]} {here[kind]}\n" in body
            self.voices[kind].target = (here[kind], port_of(body.encode()))

    def used(self) -> dict[str, int]:
        """The pairs of media ports that the call has at the server's address of each family."""

        def ask(engine: Engine) -> dict[str, int]:
            assert engine._media is not None
            return {address: each.held for address, each in engine._media.control.ports.items() if each.held}

        used = self.engine.ask(ask)
        return {kind: used[address] for kind, address in self.here.items() if address in used}

    def told(self, body: str) -> None:
        """The caller talks to where this description says."""
        assert f"c=IN IP4 {self.here['IPv4']}\n" in body
        self.caller.target = (self.here["IPv4"], port_of(body.encode()))

    def hear(self, kind: str) -> None:
        """The caller and this phone hear each other, and nobody hears anybody else."""
        voice = self.voices[kind]
        before = self.caller.heard_from(voice), voice.heard_from(self.caller)

        def more() -> bool:
            return self.caller.heard_from(voice) > before[0] + 10 and voice.heard_from(self.caller) > before[1] + 10

        wait_until(more, f"audio between the caller and the {kind} phone")


@contextmanager
def household(
    network: LoopbackNetwork, start_caller: StartCaller, folder: Path, processes: int = 1
) -> Iterator[Household]:
    """A call from trunk 3 to user 100 that rings at both phones."""
    media = {"media_port_first": 27_500, "media_port_last": 27_599, "media_processes": processes}
    user = {"number": "100", "password": PASSWORD, "relay_media": "yes"}
    # Below those that the system gives to whoever wants any.
    port = 10_000 + secrets.randbelow(10_000)
    here = {"IPv4": network.address(SERVER), "IPv6": "::1"}
    phone_hosts = {"IPv4": network.address(100), "IPv6": "::1"}
    with contextlib.ExitStack() as stack:
        engine = RunningEngine(folder / "data", document(network, local_users=[user], system=media), "::", port)
        stack.callback(engine.stop)
        phones = {
            kind: stack.enter_context(HousePhone(host, free_udp_port(host), (here[kind], port)))
            for kind, host in phone_hosts.items()
        }
        audio = stack.enter_context(voices(network.address(CALLER), *phone_hosts.values()))
        talk = start_caller(server_port=port).begin("100")
        house = Household(engine, here, phones, audio, talk)
        assert house.used() == {"IPv4": 2, "IPv6": 1}
        yield house
        wait_until(lambda: house.used() == {}, "all ports to be given back")


@pytest.mark.parametrize(
    ("early", "processes"), [(False, 0), (True, 1)], ids=["in the loop", "after early media of the other"]
)
@pytest.mark.parametrize("answering", KINDS)
def test_whichever_phone_answers_has_the_audio(
    network: LoopbackNetwork, start_caller: StartCaller, tmp_path: Path, answering: str, early: bool, processes: int
) -> None:
    (other,) = {*KINDS} - {answering}
    with household(network, start_caller, tmp_path, processes) as house:
        if early:
            house.phones[other].answer(183)
            house.told(house.talk.wait(183).body)
            house.hear(other)
        house.phones[answering].answer(200)
        house.told(house.talk.final().body)
        house.hear(answering)
        house.phones[other].wait_for("CANCEL")
        left = {"IPv4": 2} if answering == "IPv4" else {"IPv4": 1, "IPv6": 1}
        wait_until(lambda: house.used() == left, "the other phone's port to be given back")
        # The other phone goes on talking: nobody listens there any more.
        heard = house.caller.heard_from(house.voices[other]), house.voices[other].heard_from(house.caller)
        house.hear(answering)
        assert heard == (
            house.caller.heard_from(house.voices[other]),
            house.voices[other].heard_from(house.caller),
        )
        house.talk.hang_up()
        (record,) = house.engine.wait_for_calls(1)
        assert record.end_cause == "normal"
        assert all(stream["packets"] > 10 for stream in record.media)


def test_the_caller_gives_up(network: LoopbackNetwork, start_caller: StartCaller, tmp_path: Path) -> None:
    with household(network, start_caller, tmp_path) as house:
        house.phones["IPv6"].answer(183)
        house.told(house.talk.wait(183).body)
        house.hear("IPv6")
        assert house.talk.cancel().status == 487
        for phone in house.phones.values():
            phone.wait_for("CANCEL")
        house.engine.wait_for_calls(1)


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
@pytest.mark.expects_log("media (worker|process)")
def test_a_media_process_dies_while_both_phones_ring(
    network: LoopbackNetwork, start_caller: StartCaller, tmp_path: Path
) -> None:
    """Early media of the one before, the answer of the other one afterwards: at the ports that they were told."""
    with household(network, start_caller, tmp_path) as house:
        house.phones["IPv4"].answer(183)
        house.told(house.talk.wait(183).body)
        house.hear("IPv4")
        (worker,) = house.engine.ask(lambda engine: engine._media and engine._media.control.worker_pids) or ()
        os.kill(worker, signal.SIGKILL)
        house.hear("IPv4")
        house.phones["IPv6"].answer(200)
        house.told(house.talk.final().body)
        house.hear("IPv6")
        house.talk.hang_up()
        house.engine.wait_for_calls(1)
