"""Mutated messages inside real dialogs, streams and audio of a running server: no trouble in its log, no growth."""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from fuzz.mutation import Mutator
from fuzz.targets import seeds_of
from support.documents import CALLER, CARRIER_A, SERVER, document
from support.ports import LoopbackNetwork
from support.server import RunningServer, run_app
from support.udp_peers import Caller, Carrier, Talk, invites_get

pytestmark = pytest.mark.wire

COPIES = 8
"""Mutated copies of each message."""
PATIENCE = 0.15
"""Seconds in which a call must come on, before it is left to itself: a copy may well have broken it."""
MEMORY_MAY_GROW = 24.0
"""MiB in the second half: what is kept for people (ladders, rejected sources) has its full size by then."""
REST = 40.0
"""Seconds in which everything ends that the packets have begun, before memory is looked at."""


class MutatingSocket:
    """A socket that sends changed copies of whatever is sent by it, from the same address."""

    def __init__(self, real: socket.socket, mutator: Mutator) -> None:
        self._real = real
        self._mutator = mutator
        self._sent: list[bytes] = [b"x"]
        self.mutated = 0

    def sendto(self, data: bytes, address: tuple[str, int]) -> None:
        copies = [self._mutator.mutate(data, self._sent) for _ in range(COPIES)]
        self._sent = [*self._sent[-20:], data]
        for packet in (*copies[: COPIES // 2], data, *copies[COPIES // 2 :]):
            # What is larger than any datagram comes to nobody.
            with contextlib.suppress(OSError):
                self._real.sendto(packet, address)
        self.mutated += COPIES

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def resident(server: RunningServer) -> float:
    """The server's memory in MiB."""
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


def resident_at_rest(server: RunningServer, packets: int) -> float:
    """Its memory when nothing is under way any more; a short test has no time for that."""
    time.sleep(REST if packets >= 20_000 else 0.0)
    return resident(server)


def come_through(talk: Talk, source: random.Random) -> None:
    """Take a call as far as it comes: cancelled, or answered, with bad audio, and hung up."""
    with contextlib.suppress(AssertionError):
        if source.random() < 0.2:
            talk.wait(180, PATIENCE)
            talk.cancel()
        elif talk.final(PATIENCE).status == 200:
            bad_audio(talk, source)
            talk.hang_up()


def bad_audio(talk: Talk, source: random.Random) -> None:
    """Packets to the port that the relay gave the caller."""
    port = re.search(r"m=audio (\d+)", talk.wait(200, PATIENCE).body)
    if port is None:
        return
    mutator, seeds = Mutator(source), seeds_of("rtp") + seeds_of("rtcp")
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as audio:
        with contextlib.suppress(OSError):
            audio.bind((talk.caller.address, 4000))
        for _ in range(10):
            with contextlib.suppress(OSError):
                to = int(port[1]) + source.choice((0, 0, 0, 1))
                audio.sendto(mutator.mutate(source.choice(seeds), seeds), (talk.caller.server, to))


def bad_stream(address: str, server: RunningServer, source: random.Random) -> None:
    """A connection with a few mutated messages, cut anywhere."""
    mutator, seeds = Mutator(source), seeds_of("stream")
    data = b"".join(mutator.mutate(source.choice(seeds), seeds) for _ in range(3))
    with contextlib.closing(socket.socket()) as stream, contextlib.suppress(OSError):
        stream.bind((address, 0))
        stream.settimeout(1.0)
        stream.connect((server.address, server.port))
        at = 0
        while at < len(data):
            size = source.choice((1, 7, 100, 5000))
            stream.sendall(data[at : at + size])
            at += size


def torment(network: LoopbackNetwork, server: RunningServer, packets: int, seed: int) -> None:
    """Make calls whose both ends send mutated copies, until so many copies have been sent; see that all is well."""
    source = random.Random(seed)
    with (
        Carrier(network.address(CARRIER_A), plan=invites_get(180, 200)) as carrier,
        Caller(network.address(CALLER), server.address) as caller,
    ):
        # A call as it should be first: what the torment finds is a server at work.
        assert caller.call("135550").status == 200
        carrier_socket = carrier._socket = MutatingSocket(carrier._socket, Mutator(random.Random(seed + 1)))  # type: ignore[assignment]
        caller_socket = caller._socket = MutatingSocket(caller._socket, Mutator(source))  # type: ignore[assignment]
        first = 0.0
        while caller_socket.mutated + carrier_socket.mutated < packets:
            come_through(caller.begin(f"13{source.randrange(10**6):06}"), source)
            if source.random() < 0.1:
                bad_stream(caller.address, server, source)
            if len(caller._talks) > 200:
                caller._talks.clear()
                carrier.requests.clear()
                carrier._invites.clear()
            if not first and caller_socket.mutated + carrier_socket.mutated > packets / 2:
                first = resident_at_rest(server, packets)
        caller._socket, carrier._socket = caller_socket._real, carrier_socket._real
        deadline = time.monotonic() + 60
        # A mutated copy may have asked for anything; after all that the server still takes a call.
        while True:
            with contextlib.suppress(AssertionError):
                if caller.call("135550").status == 200:
                    break
            assert time.monotonic() < deadline, "no call goes through any more"
        last = resident_at_rest(server, packets)
        print(f"{caller_socket.mutated + carrier_socket.mutated} copies, {first:.0f} -> {last:.0f} MiB")
        assert packets < 20_000 or last - first < MEMORY_MAY_GROW


def check_records(server: RunningServer) -> None:
    """Every call has one record, and all have ended."""
    listed = run_app("calls", "--data", str(server.data), "--json", "--limit", "100000")
    records = json.loads(listed.stdout)
    assert len({record["id"] for record in records}) == len(records) > 3
    assert all(record["ended"] and record["end_cause"] for record in records)


def tormented(network: LoopbackNetwork, data: Path, packets: int, seed: int) -> None:
    bounds = {number: {"max_outgoing_calls": 5000, "max_incoming_calls": 5000} for number in (1, 3)}
    bounds[1]["relay_media"] = "yes"  # type: ignore[assignment]
    made = document(network, bounds)
    made["system"] = {"max_messages_per_second": 0, "ban_failures": 0, "max_calls": 5000, "max_call_seconds": 5}
    # On a machine that has no time for it the server may well say that it has too much to do.
    with RunningServer(data, made, network.address(SERVER), expected=("more comes in than",)) as server:
        torment(network, server, packets, seed)
    check_records(server)


def test_mutated_copies_inside_dialogs_trouble_nobody(network: LoopbackNetwork, tmp_path: Path) -> None:
    tormented(network, tmp_path / "data", 800, 1)


@pytest.mark.long
def test_a_hundred_thousand_mutated_copies_trouble_nobody(network: LoopbackNetwork, tmp_path: Path) -> None:
    tormented(network, tmp_path / "data", 100_000, 2)
