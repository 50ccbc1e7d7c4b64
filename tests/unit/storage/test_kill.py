"""A program that is killed at any moment loses nothing that it reported as saved."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.events import CallRecord
from app.records import SipTrunk
from app.storage.database import Database

ROOT = Path(__file__).resolve().parents[3]

WRITER = """
import sys, time
from pathlib import Path
from app.events import Attempt, CallRecord
from app.records import Change, SipTrunk
from app.storage.database import Database
database = Database.open(Path(sys.argv[1]), serving=True)
configuration, version = database.load()
number = int(sys.argv[2])
while True:
    trunk = SipTrunk(id=number, server_address="192.0.2.8", description="x" * 900)
    database.save([Change("sip_trunks", None, trunk)])
    record = CallRecord(
        id=f"call-{number}", node="", started=1.7e9 + number, answered=0, ended=1.7e9 + number, caller_number="1",
        called_number="2", sent_number="2", source="trunk:1", target="trunk:2", status=486, end_cause="busy",
        ended_by="called", talk_seconds=0, trail=("x" * 500,), attempts=(),
    )
    database.write_calls([], [record])
    print(number, flush=True)
    number += 1
"""


def test_nothing_that_was_reported_saved_is_lost(data: Path, open_database: Callable[..., Database]) -> None:
    chance = random.Random(5)
    reported: set[int] = set()
    highest = 0
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(data), str(highest + 1)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        first = writer.stdout.readline()
        assert first, "the writer starts again on what the killed one left"
        # The kill falls anywhere into the writer's work, not behind a line that it wrote.
        threading.Timer(chance.uniform(0.01, 0.15), writer.kill).start()
        rest = writer.stdout.read().splitlines(keepends=True)
        writer.stdout.close()
        assert writer.wait(10) != 0
        now = {int(line) for line in (first, *rest) if line.endswith("\n")}
        reported |= now
        database = open_database()
        configuration, version = database.load()
        trunks = {each.id for each in configuration.records(SipTrunk)}
        calls = {int(each.id.removeprefix("call-")) for each in database.all_calls()}
        database.close()
        assert reported <= trunks
        assert reported <= calls
        # What came after the last report may be there or not, but never in part.
        assert trunks - set(range(1, highest + 1)) - now <= {max(now) + 1}
        assert calls <= trunks
        assert version == len(trunks) + 1
        highest = max(trunks)
    assert len(reported) > 6


@pytest.mark.expects_log("2 calls were in progress")
def test_calls_in_progress_when_the_server_died_say_so(
    data: Path, open_database: Callable[..., Database], call: Callable[..., CallRecord]
) -> None:
    dying = open_database(serving=True)
    talking = call(id="talking", started=0, answered=5, ended=0, end_cause="", ended_by="", status=0)
    ringing = call(id="ringing", started=50, answered=0, ended=0, end_cause="", ended_by="", status=180)
    over = call(id="over", started=10, ended=20)
    dying.write_calls([talking, ringing], [over])
    assert [each.id for each in dying.calls()] == ["over"], "only calls that ended are listed"
    dying.close()
    _last_seen_alive(data, 1_700_000_100.0)

    server = open_database(serving=True)

    found = {each.id: each for each in server.calls()}
    assert found["over"] == over
    assert found["talking"].end_cause == found["ringing"].end_cause == "interrupted"
    assert found["talking"].ended_by == "server"
    assert found["talking"].ended == found["ringing"].ended == 1_700_000_100.0
    assert found["talking"].talk_seconds == 95.0
    assert found["ringing"].talk_seconds == 0.0


def _last_seen_alive(data: Path, wall: float) -> None:
    os.utime(data / "server.lock", (wall, wall))
