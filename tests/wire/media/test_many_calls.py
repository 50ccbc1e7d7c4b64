"""A hundred calls at once, and none of their packets is lost by us."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import pytest
from support.ports import LoopbackNetwork
from support.waiting import until
from wire.media.audio import media, run

from app.media.control import MediaReport, Side, SideSettings
from tests.bench.relay.__main__ import measure
from tests.bench.relay.subjects import SHARED, Unavailable, audio_target, compiled, describe

pytestmark = pytest.mark.wire

CALLS = 100
CLIENT_PORT = 20_000


@pytest.fixture(scope="module")
def generator() -> Path:
    """The load generator of the shared folder, compiled."""
    try:
        return compiled(SHARED / "rtpload.c")
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_a_hundred_calls_lose_nothing(generator: Path, network: LoopbackNetwork) -> None:
    async def main() -> None:
        relay, caller, called = (network.address(number) for number in (1, 11, 12))
        async with media(relay, first=30_000, last=39_999) as (control, _, _):
            sessions, lines = [], []
            for number in range(CALLS):
                session = control.open(f"call{number}", SideSettings(relay), SideSettings(relay))
                sessions.append(session)
                port = CLIENT_PORT + 2 * number
                to_called = audio_target(session.offer(Side.CALLER, describe(caller, port)))
                to_caller = audio_target(session.answer(Side.CALLED, describe(called, port)))
                lines += [
                    f"{port} {to_caller[0]} {to_caller[1]} {caller}",
                    f"{port} {to_called[0]} {to_called[1]} {called}",
                ]
            with tempfile.NamedTemporaryFile("w", suffix=".streams") as file:
                file.write("\n".join(lines) + "\n")
                file.flush()
                process = await asyncio.create_subprocess_exec(
                    str(generator), "-f", file.name, "-d", "2", "-w", "0.5", "-j", stdout=asyncio.subprocess.PIPE
                )
                output, _ = await process.communicate()
            found = json.loads(output)
            assert (found["lost"], found["misrouted"], found["foreign"], found["silent"]) == (0, 0, 0, 0)
            assert found["rcvd"] > CALLS * 2 * 80
            reports: list[MediaReport] = []
            for session in sessions:
                session.close(reports.append)
            await until(lambda: len(reports) == CALLS, "the last figures of all")
            streams = [stream for report in reports for stream in (report.caller, report.called)]
            assert sum(stream.lost + stream.duplicates + stream.dropped for stream in streams) == 0
            assert min(stream.packets for stream in streams) > 80
            assert all(stream.mos > 4 for stream in streams)

    run(main())


@pytest.mark.parametrize("subject", ["ours", "rtpengine", "c"])
def test_the_benchmark_runs(generator: Path, subject: str) -> None:
    """A very short run of each; what is measured is for the benchmark itself."""
    try:
        found = run(measure(subject, 5, 0.5))
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert found["lost"] == 0 and found["cpu"] >= 0 and 0 < found["p50"] <= found["p99"]
