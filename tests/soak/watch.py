"""What a process and its children hold, read from /proc."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_SOCKET = re.compile(r"socket:\[(\d+)\]")
_MEMORY = re.compile(r"^(Rss|Anonymous):\s+(\d+) kB", re.MULTILINE)
_LISTEN, _ESTABLISHED = "0A", "01"


@dataclass(slots=True)
class Sample:
    """One look at a server."""

    seconds: float
    """Since the first one."""
    rss_kib: int
    anonymous_kib: int
    """Without the files of programs and libraries: how much of those counts depends on what else runs here."""
    server_rss_kib: int
    """Of the server's own process, without its children."""
    processes: int
    threads: int
    descriptors: int
    udp_ports: int
    tcp_listeners: int
    tcp_connections: int
    cpu_seconds: float
    """Since the processes began."""
    peers_calls: int = 0
    """Calls in progress as the peers count them."""
    begun: int = 0
    calls: int = 0
    transactions: int = 0
    timers: int = 0
    dialogs: int = 0
    deadlines: int = 0
    registered: int = 0
    objects: int = 0
    """Python objects that the collector knows."""
    blocks: int = 0
    """Pieces of memory that Python has allocated."""
    heap_used_kib: int = 0
    """Of what is larger than Python's pieces."""
    heap_free_kib: int = 0
    """Between them: the heap of C cannot move what is in use."""


FIELDS = tuple(Sample.__dataclass_fields__)


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text(encoding="ascii").split()
        except OSError:
            continue
        for child in children:
            found += family(int(child))
    return found


def look(pid: int, began: float, inside: Path) -> Sample:
    """A sample of a server now; `inside` is the file in which it tells what it holds."""
    memory = {"Rss": 0, "Anonymous": 0}
    threads = descriptors = server_rss = 0
    sockets: set[str] = set()
    cpu = 0.0
    pids = family(pid)
    for each in pids:
        folder = Path(f"/proc/{each}")
        try:
            found = dict(_MEMORY.findall((folder / "smaps_rollup").read_text(encoding="ascii")))
            fields = (folder / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
            names = [os.readlink(entry) for entry in _entries(folder / "fd")]
        except OSError:
            continue
        for name, kib in found.items():
            memory[name] += int(kib)
        if each == pid:
            server_rss = int(found.get("Rss", 0))
        threads += int(fields[17])
        cpu += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        descriptors += len(names)
        sockets.update(match[1] for name in names if (match := _SOCKET.match(name)))
    listeners, connections = _tcp(sockets)
    sample = Sample(
        seconds=round(time.monotonic() - began, 1),
        rss_kib=memory["Rss"],
        anonymous_kib=memory["Anonymous"],
        server_rss_kib=server_rss,
        processes=len(pids),
        threads=threads,
        descriptors=descriptors,
        udp_ports=len(sockets & {fields[9] for fields in _table("udp")}),
        tcp_listeners=listeners,
        tcp_connections=connections,
        cpu_seconds=round(cpu, 2),
    )
    try:
        told = json.loads(inside.read_text(encoding="ascii"))
    except (OSError, ValueError):
        told = {}
    for name, value in told.items():
        if name in FIELDS:
            setattr(sample, name, value)
    return sample


def row(sample: Sample) -> dict[str, float]:
    """A sample as a row of a table."""
    return asdict(sample)


def _entries(folder: Path) -> list[Path]:
    """The descriptors that are still open when they are looked at."""
    return [entry for entry in folder.iterdir() if entry.is_symlink()]


def _table(name: str) -> list[list[str]]:
    lines: list[list[str]] = []
    for version in ("", "6"):
        try:
            text = Path(f"/proc/net/{name}{version}").read_text(encoding="ascii")
        except OSError:
            continue
        lines += [line.split() for line in text.splitlines()[1:]]
    return lines


def _tcp(sockets: set[str]) -> tuple[int, int]:
    """Listeners and connections among these sockets."""
    states = [fields[3] for fields in _table("tcp") if fields[9] in sockets]
    return states.count(_LISTEN), states.count(_ESTABLISHED)
