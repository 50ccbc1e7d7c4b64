"""The relays that are compared: ours, rtpengine, plain forwarders. Each sets up calls and names its processes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from app.media.control import MediaControl, MediaSession, MediaSettings, Side, SideSettings

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[3] / "shared" / "bench"

# A network of this process: two runs at once do not meet.
NETWORK = f"127.{64 + os.getpid() // 250 % 128}.{os.getpid() % 250}"
CALLER, CALLED = f"{NETWORK}.11", f"{NETWORK}.12"
CLIENT_PORT = 20_000


class Unavailable(Exception):
    """Why a subject cannot be measured here."""


class Running(NamedTuple):
    """A relay with its calls set up."""

    lines: tuple[str, ...]
    """What the load generator reads: source port, relay address, relay port, source address."""
    pids: tuple[int, ...]


def describe(host: str, port: int) -> bytes:
    """The session description of a G.711 phone."""
    return (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n"
        "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
    ).encode()


def audio_target(description: bytes) -> tuple[str, int]:
    """Where a session description wants its audio."""
    host = re.search(rb"c=IN IP4 (\S+)", description)
    port = re.search(rb"m=audio (\d+)", description)
    if host is None or port is None:
        raise Unavailable(f"no audio in {description!r}")
    return host[1].decode(), int(port[1])


def compiled(source: Path, options: Sequence[str] = ()) -> Path:
    """Compile a C program once; the result is kept in the temporary folder. Raises `Unavailable`."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise Unavailable("no C compiler (cc)")
    if not source.exists():
        raise Unavailable(f"{source} is missing")
    target = Path(tempfile.gettempdir()) / f"trunkline-bench-{source.stem}-{int(source.stat().st_mtime)}"
    if not target.exists():
        run = subprocess.run(
            [compiler, "-O2", "-o", str(target), str(source), *options], capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise Unavailable(f"{source.name} does not compile: {run.stderr.strip().splitlines()[-1:]}")
    return target


@asynccontextmanager
async def our_worker(calls: int, processes: int = 1, urgent: bool = False) -> AsyncIterator[Running]:
    """Our relay, counters and all, as the engine runs it; `urgent` as it does beside a window."""
    address = f"{NETWORK}.5"
    control = MediaControl(
        MediaSettings(port_first=30_000, port_last=59_999, processes=processes, spare_worker=False, urgent=urgent)
    )
    await control.start()
    try:
        lines: list[str] = []
        for index in range(calls):
            session: MediaSession = control.open(f"call{index}", SideSettings(address), SideSettings(address))
            port = CLIENT_PORT + 2 * index
            to_called = audio_target(session.offer(Side.CALLER, describe(CALLER, port)))
            to_caller = audio_target(session.answer(Side.CALLED, describe(CALLED, port)))
            lines.append(f"{port} {to_caller[0]} {to_caller[1]} {CALLER}")
            lines.append(f"{port} {to_called[0]} {to_called[1]} {CALLED}")
            if index % 20 == 19:
                await asyncio.sleep(0)
        await asyncio.sleep(0.3)
        yield Running(tuple(lines), control.worker_pids)
    finally:
        await control.stop()


@asynccontextmanager
async def plain_forwarder(calls: int, *program: str) -> AsyncIterator[Running]:
    """A program that forwards by the arguments of `forwarder.c` and does nothing else. Raises `Unavailable`."""
    relay, first = f"{NETWORK}.2", 30_000
    arguments = [str(calls), relay, str(first), CALLER, CALLED, str(CLIENT_PORT)]
    process = subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE)  # noqa: ASYNC220 - nothing else runs
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise Unavailable(f"{Path(program[-1]).name} does not start")
        lines = []
        for index in range(calls):
            port = CLIENT_PORT + 2 * index
            lines.append(f"{port} {relay} {first + 4 * index} {CALLER}")
            lines.append(f"{port} {relay} {first + 4 * index + 2} {CALLED}")
        yield Running(tuple(lines), (process.pid,))
    finally:
        process.kill()
        process.communicate()


def c_forwarder(calls: int, processes: int = 1) -> AbstractAsyncContextManager[Running]:
    """The same sockets in C without anything else: what the system itself costs."""
    return plain_forwarder(calls, str(compiled(HERE / "forwarder.c")))


def prototype(calls: int, processes: int = 1) -> AbstractAsyncContextManager[Running]:
    """The same in Python without anything else: what the goals were set by."""
    return plain_forwarder(calls, sys.executable, str(HERE / "prototype.py"))


def _bencode(value: object) -> bytes:
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(_bencode, value)) + b"e"
    assert isinstance(value, dict)
    return b"d" + b"".join(_bencode(key) + _bencode(value[key]) for key in sorted(value)) + b"e"


@asynccontextmanager
async def rtpengine(calls: int, processes: int = 1) -> AsyncIterator[Running]:
    """Debian's rtpengine, forwarding in user space (table -1)."""
    program = shutil.which("rtpengine")
    if program is None:
        raise Unavailable("rtpengine is not installed (apt-get install rtpengine-daemon)")
    address, control_port = f"{NETWORK}.40", 2223
    process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs meanwhile
        [
            program,
            "--config-file=none",
            "--table=-1",
            f"--interface={address}",
            f"--listen-ng={address}:{control_port}",
            "--port-min=30000",
            "--port-max=39999",
            "--log-level=3",
            "--num-threads=2",
            "--foreground",
            "--log-stderr",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            control.bind((f"{NETWORK}.9", 0))
            control.connect((address, control_port))
            control.settimeout(1)
            cookie = 0

            def command(**values: object) -> bytes:
                nonlocal cookie
                cookie += 1
                # The daemon takes a moment to come up: until then the port is closed.
                for _ in range(20):
                    with contextlib.suppress(OSError):
                        control.send(b"%d_%d " % (process.pid, cookie) + _bencode(values))
                        return control.recv(65_535)
                    time.sleep(0.1)
                raise Unavailable("rtpengine does not answer")

            lines = []
            for index in range(calls):
                port = CLIENT_PORT + 2 * index
                common: dict[str, object] = {
                    "call-id": f"call{index}",
                    "from-tag": "a",
                    "ICE": "remove",
                    "replace": ["origin", "session-connection"],
                }
                offered = command(**common, command="offer", sdp=describe(CALLER, port))
                answered = command(**common, command="answer", **{"to-tag": "b"}, sdp=describe(CALLED, port))
                to_called, to_caller = audio_target(offered), audio_target(answered)
                lines.append(f"{port} {to_caller[0]} {to_caller[1]} {CALLER}")
                lines.append(f"{port} {to_called[0]} {to_called[1]} {CALLED}")
        yield Running(tuple(lines), (process.pid,))
    finally:
        process.kill()
        process.wait()


SUBJECTS = {
    "ours": our_worker,
    "urgent": functools.partial(our_worker, urgent=True),
    "rtpengine": rtpengine,
    "c": c_forwarder,
    "prototype": prototype,
}
