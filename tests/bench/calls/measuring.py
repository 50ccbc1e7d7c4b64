"""What a running server spends: processor time and memory of a process and its children, read from /proc."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

_RESIDENT = re.compile(r"^(Rss|Pss):\s+(\d+) kB", re.MULTILINE)


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text(encoding="ascii").split():
            found += family(int(child))
    return found


def cpu_seconds(pid: int) -> tuple[float, float]:
    """User and system time of a process and all its descendants, the ended ones that it waited for included."""
    ticks = os.sysconf("SC_CLK_TCK")
    user = system = 0.0
    for each in family(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            continue
        user += (int(fields[11]) + int(fields[13])) / ticks
        system += (int(fields[12]) + int(fields[14])) / ticks
    return user, system


def wait_until_idle(pid: int) -> None:
    """Wait until the server has nothing left to do: its CPU time stands nearly still for half a second."""
    last = sum(cpu_seconds(pid))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = sum(cpu_seconds(pid))
        if now - last <= 0.02:
            return
        last = now


def resident_kib(pid: int) -> int:
    """The memory of a process and its descendants, what they share counted once among them."""
    total = 0
    for each in family(pid):
        found = dict(_RESIDENT.findall(Path(f"/proc/{each}/smaps_rollup").read_text(encoding="ascii")))
        total += int(found.get("Rss" if each == pid else "Pss", 0))
    return total
