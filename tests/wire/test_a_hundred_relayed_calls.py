"""A hundred relayed calls of a real caller at once: nothing is lost by us, and the relay may die in the middle."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.documents import CALLER, CARRIER_A, SERVER, document
from support.echo import Echo, packets_dropped_at
from support.ports import LoopbackNetwork
from support.scenario import Scenario, audio_sdp
from support.server import RunningServer
from support.starting import StartServer, StartSipp
from support.waiting import wait_until

pytestmark = [
    pytest.mark.wire,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

CALLS = 100
ECHO_PORT = 7000
SETTLE_SECONDS = 2.0


def relaying(network: LoopbackNetwork, processes: int) -> dict[str, Any]:
    limits = {"max_incoming_calls": 200, "max_outgoing_calls": 200}
    system = {"media_processes": processes, "media_port_first": 40_000, "media_port_last": 43_999}
    return document(network, {1: {"relay_media": "yes", **limits}, 3: limits}, system=system)


def worker_of(server: RunningServer) -> int:
    """The process that has the sockets of the calls: of the server's children the one with the most files open."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text(encoding="ascii").split()
    return max(map(int, children), key=lambda pid: len(os.listdir(f"/proc/{pid}/fd")))


@pytest.mark.parametrize("processes", [1, 0], ids=["process", "in the loop"])
def test_a_hundred_calls_of_sipp(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, tmp_path: Path, processes: int
) -> None:
    """With a process of its own the relay is killed in the middle: within a second all streams flow as before."""
    server = start_server(relaying(network, processes), expected=(r"media (worker|process)",) if processes else ())
    (tmp_path / "sipp-1").mkdir()
    (tmp_path / "sipp-1" / "tone.alaw").write_bytes(bytes(range(256)) * 32)
    carrier_sdp = audio_sdp().replace("[media_port]", str(ECHO_PORT))
    answering = Scenario().expect_invite().respond(180).answer(carrier_sdp).answer_request("BYE")
    calling = (
        Scenario()
        .invite(audio_sdp().replace("[media_port]", "[rtpstream_audio_port]"))
        .expect(100, optional=True)
        .expect(180, optional=True)
        .expect(200)
        .acknowledge()
        .play("tone.alaw")
        .pause(7500 if processes else 4500)
        .hang_up()
    )
    with Echo(network.address(CARRIER_A), ECHO_PORT) as echo:
        start_sipp(answering, CARRIER_A, calls=CALLS, keep_messages=False)
        caller = start_sipp(calling, CALLER, called="135550", calls=CALLS, rate=60, keep_messages=False)
        wait_until(lambda: len(echo.streams) == CALLS, "audio of every call", 15)
        echo.begin()
        time.sleep(SETTLE_SECONDS)
        assert [stream.lost for stream in echo.streams.values()] == [0] * CALLS
        assert min(stream.packets for stream in echo.streams.values()) > SETTLE_SECONDS * 50 * 0.8
        assert packets_dropped_at(network.address(SERVER)) == 0
        if processes:
            before = {place: stream.packets for place, stream in echo.streams.items()}
            echo.begin()
            os.kill(worker_of(server), signal.SIGKILL)
            time.sleep(SETTLE_SECONDS)
            gaps = sorted(stream.longest_gap for stream in echo.streams.values())
            # On the same ports, and nobody was still for longer than a second.
            assert set(echo.streams) == set(before)
            assert all(stream.packets > before[place] + 40 for place, stream in echo.streams.items())
            assert gaps[-1] < 1.0, gaps
            assert f"it relayed {CALLS} calls" in server.log()
            assert f"{CALLS} calls are set up again" in server.log()
        caller.succeed()
    records = server.wait_for_calls(CALLS)
    streams = [stream for record in records for stream in record["media"]]
    assert len(streams) == 2 * CALLS
    assert {stream["codec"] for stream in streams} == {"PCMA/8000"}
    assert sum(stream["packets"] for stream in streams if stream["side"] == "caller") > CALLS * 50 * 4
    assert min(stream["mos"] for stream in streams) > 4
    if not processes:
        assert sum(stream["lost"] + stream["duplicates"] for stream in streams) == 0
