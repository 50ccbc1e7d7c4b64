"""A disk without a free byte under a running server: calls go on, records wait, changes are refused whole."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from support.documents import CALLER, CARRIER_A, SERVER, document
from support.ports import LoopbackNetwork
from support.server import RunningServer, run_app
from support.starting import StartCaller, StartCarrier
from support.waiting import wait_until

pytestmark = pytest.mark.wire


class SmallDisk:
    """A file system of 4 MB of its own, which can be filled to the last byte."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave not one byte."""
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with suppress(OSError):
            while True:
                os.write(descriptor, bytes(4096))
        os.close(descriptor)

    def make_room(self) -> None:
        self._ballast.unlink()

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small file system")
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    disk.close()


def full_disk_server(disk: SmallDisk, network: LoopbackNetwork) -> RunningServer:
    """A server whose data folder is on the small disk; its log is elsewhere."""
    data = disk.folder.parent / "data"
    data.symlink_to(disk.folder)
    expected = ("the disk is full", "written again", "could not be written")
    return RunningServer(data, document(network), network.address(SERVER), expected=expected)


def count(server: RunningServer, table: str, condition: str = "1") -> int:
    """How many rows of a table meet the condition."""
    with closing(sqlite3.connect(server.data / "trunkline.sqlite3", timeout=5)) as connection:
        return int(connection.execute(f"select count(*) from {table} where {condition}").fetchone()[0])


def ended_calls(server: RunningServer) -> int:
    return count(server, "call_records", "ended is not null")


def test_calls_go_on_while_the_disk_is_full(
    disk: SmallDisk, network: LoopbackNetwork, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """The records wait and are written when there is room; a change is refused whole; a stop loses nothing."""
    start_carrier(CARRIER_A)
    caller = start_caller(CALLER)
    with full_disk_server(disk, network) as server:
        assert caller.call("135550").status == 200
        wait_until(lambda: ended_calls(server) == 1, "the first record")
        disk.fill()
        assert caller.statuses(["135550"] * 30) == [200] * 30
        wait_until(lambda: "the disk is full; call records wait in memory" in server.log(), "the alarm")
        many = [{"prefix": str(number), "route_type": "sip_trunk", "target_id": 1} for number in range(5000, 7000)]
        done = run_app("import", "-", "--data", str(server.data), document={"analyze_called_numbers": many})
        assert done.returncode == 1
        assert done.stderr.strip().endswith("cannot be used now: the disk is full")
        assert caller.statuses(["135550"] * 30) == [200] * 30
        assert ended_calls(server) == 1
        disk.make_room()
        wait_until(lambda: ended_calls(server) == 61, "the records")
        wait_until(lambda: "call records are written again, none was lost" in server.log(), "the all-clear")
        assert count(server, "analyze_called_numbers") == 2, "nothing of the import was saved"

        disk.fill()
        assert caller.statuses(["135550"] * 10) == [200] * 10
        server.stop()
        disk.make_room()
        server.start()
        assert ended_calls(server) == 71, "the next start has written what waited at the end"


def test_a_start_on_a_full_disk_says_so_or_works(disk: SmallDisk, network: LoopbackNetwork) -> None:
    server = full_disk_server(disk, network)
    disk.fill()
    said = run_app_until_ready(server)
    assert "Traceback" not in said
    assert '"event": "ready"' in said or "the disk is full" in said or "No space left on device" in said, said
    disk.make_room()
    with server:
        assert count(server, "sip_trunks") == 3


def run_app_until_ready(server: RunningServer) -> str:
    """What `serve` says until it is ready or has ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "serve", "--data", str(server.data), "--sip", server.sip_address],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = ""
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if line.startswith("{"):
                process.terminate()
    return said
