"""One run of registrations against a running server, and what it cost."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support.ports import LoopbackNetwork
from support.server import RunningServer

from tests.bench.calls.measuring import cpu_seconds, wait_until_idle
from tests.bench.registrations.phones import number_of, password_of

SERVER = 1
PHONES = Path(__file__).resolve().parent / "phones.py"


def document(phones: int) -> dict[str, object]:
    """So many local users. Their addresses are few and stand for many, so that none is limited."""
    numbers = [number_of(phone) for phone in range(phones)]
    return {
        "system": {"max_messages_per_second": 0},
        "local_users": [{"number": number, "password": password_of(number)} for number in numbers],
    }


@dataclass(frozen=True, slots=True)
class Registrations:
    """What became of a run."""

    made: int
    failed: int
    retransmissions: int
    per_second: float
    cpu_ms: float
    """CPU of the server for each, challenge included."""
    cpu_share: float
    """Of one core, while it lasted."""


def register(
    server: RunningServer,
    network: LoopbackNetwork,
    phones: int,
    rate: float,
    count: int,
    expires: int = 3600,
    first: int = 0,
) -> Registrations:
    """Register phones one after the other at this rate, each one again when all have had their turn."""
    numbers = (str(each) for each in (phones, rate, count, expires, first))
    before = sum(cpu_seconds(server.pid))
    command = [sys.executable, str(PHONES), network.address(SERVER), network.prefix, *numbers]
    done = subprocess.run(command, capture_output=True, text=True, timeout=count / rate + 60, check=True)
    wait_until_idle(server.pid)
    spent = sum(cpu_seconds(server.pid)) - before
    said = json.loads(done.stdout)
    return Registrations(
        made=said["made"],
        failed=said["failed"],
        retransmissions=said["repeats"],
        per_second=said["made"] / said["seconds"],
        cpu_ms=spent * 1000 / max(1, said["made"]),
        cpu_share=spent / said["seconds"],
    )
