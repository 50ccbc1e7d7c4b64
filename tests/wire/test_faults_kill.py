"""kill -9 in the middle of fifty calls, again and again: each start is quick and every call has its record."""

from __future__ import annotations

import json
import os
import random
import statistics
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.documents import CALLER, CARRIER_A, document
from support.ports import LoopbackNetwork
from support.server import RunningServer, run_app
from support.starting import StartCaller, StartCarrier, StartServer
from support.udp_peers import Talk

pytestmark = pytest.mark.wire

CALLS = 50
READY_WITHIN = 3.0
"""Seconds from the start of the program to its ready line."""


@dataclass
class Tally:
    """What the callers know of their calls, and how long the starts took."""

    finished: set[str] = field(default_factory=set)
    """The numbers of calls whose BYE was answered."""
    open: set[str] = field(default_factory=set)
    starts: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    """Processor time of each start."""


def configuration_of(server: RunningServer) -> Any:
    done = run_app("export", "--data", str(server.data), "--with-secrets")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def hang_up_until_killed(server: RunningServer, talks: list[Talk], chance: random.Random, tally: Tally) -> None:
    """The calls end one after the other; the server is killed at some moment among them."""
    killer = threading.Timer(chance.uniform(0.0, 0.002), server.kill)
    last = chance.randrange(5, CALLS - 15)
    for number, talk in enumerate(talks):
        if number == last:
            killer.start()
        try:
            talk.hang_up(0.5)
        except (AssertionError, OSError):
            break
        tally.finished.add(talk.number)
    killer.join()
    # The BYE that was under way may have been taken or not; all others are certain.
    tally.open |= {talk.number for talk in talks} - tally.finished


def kill_again_and_again(rounds: int, server: RunningServer, start_caller: StartCaller) -> Tally:
    chance = random.Random(rounds)
    tally = Tally()
    before = configuration_of(server)
    for round_ in range(rounds):
        with start_caller(CALLER) as caller:
            talks = [caller.begin(f"13{round_:02}{number:02}") for number in range(CALLS)]
            for talk in talks:
                assert talk.final().status == 200
            hang_up_until_killed(server, talks, chance, tally)
        began = time.monotonic()
        server.start()
        tally.starts.append(time.monotonic() - began)
        tally.processor.append(processor_seconds(server.pid))
    assert configuration_of(server) == before
    return tally


def check(server: RunningServer, rounds: int, tally: Tally) -> None:
    records = {record["called_number"]: record for record in server.wait_for_calls(rounds * CALLS)}
    assert len(records) == rounds * CALLS, "one record for each call"
    causes = {number: record["end_cause"] for number, record in records.items()}
    assert {causes[number] for number in tally.finished} == {"normal"}
    interrupted = {number for number in tally.open if causes[number] == "interrupted"}
    # At most one BYE of each round was under way.
    assert len(tally.open - interrupted) <= rounds
    assert {causes[number] for number in tally.open - interrupted} <= {"normal"}
    assert all(records[number]["ended_by"] == "server" for number in interrupted)
    assert all(records[number]["ended"] >= records[number]["started"] for number in records)
    assert tally.finished
    assert interrupted
    print(
        f"{rounds} times killed under {CALLS} calls: {len(tally.finished)} finished and {len(interrupted)} interrupted "
        f"calls have their records; ready after {min(tally.starts):.2f} to {max(tally.starts):.2f} s, in the middle "
        f"{statistics.median(tally.starts):.2f} s, of which {statistics.median(tally.processor):.2f} s on a processor"
    )
    # Where other programs take the processors, what counts is the time that the start itself had of them.
    busy = hasattr(os, "getloadavg") and os.getloadavg()[0] > 1.2 * (os.cpu_count() or 1)
    assert statistics.median(tally.processor if busy else tally.starts) < READY_WITHIN


def processor_seconds(process_id: int) -> float:
    """How much processor time a process has had (Linux)."""
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(
    rounds: int,
    network: LoopbackNetwork,
    start_server: StartServer,
    start_carrier: StartCarrier,
    start_caller: StartCaller,
) -> None:
    start_carrier(CARRIER_A)
    plenty = {number: {"max_incoming_calls": 100, "max_outgoing_calls": 100} for number in (1, 3)}
    server = start_server(document(network, plenty), expected=("calls were in progress",))
    check(server, rounds, kill_again_and_again(rounds, server, start_caller))


def test_every_call_has_its_record_after_a_kill(
    network: LoopbackNetwork, start_server: StartServer, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    run(2, network, start_server, start_carrier, start_caller)


@pytest.mark.long
def test_every_call_has_its_record_after_twenty_kills(
    network: LoopbackNetwork, start_server: StartServer, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    run(20, network, start_server, start_carrier, start_caller)
