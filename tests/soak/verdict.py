"""Says from the samples of a soak whether anything grew, and whether every call has its record."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from soak.watch import Sample

MEMORY_GROWTH, MEMORY_SLACK_KIB = 0.03, 4096
"""The last sixth may hold so much more than the second, and so many KiB."""
HELD_GROWTH, HELD_SLACK = 0.15, 12
"""What follows the calls in progress, which are not the same at any two moments, may differ so much."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that must be flat."""

    name: str
    before: float
    after: float
    bound: float
    flat: bool
    at_rest: bool = False
    """Whether it was read without any call."""


def judge(samples: Sequence[Sample], idle_before: Sample, idle_after: Sample) -> list[Line]:
    """Compare the second sixth with the last, and the idle server before the first call with that after the last."""
    sixth = max(1, len(samples) // 6)
    second, last = samples[sixth : 2 * sixth], samples[-sixth:]
    lines: list[Line] = []
    for name in ("rss_kib", "anonymous_kib", "server_rss_kib", "heap_used_kib", "blocks", "objects"):
        before, after = _medians(second, last, name)
        slack = MEMORY_SLACK_KIB if name.endswith("kib") else MEMORY_SLACK_KIB * 4
        bound = before * (1 + MEMORY_GROWTH) + slack
        lines.append(Line(f"{name}, loaded", before, after, bound, after <= bound))
    for name in ("descriptors", "udp_ports", "tcp_connections", "calls", "dialogs", "transactions", "deadlines"):
        before, after = _medians(second, last, name)
        bound = before * (1 + HELD_GROWTH) + HELD_SLACK
        lines.append(Line(f"{name}, loaded", before, after, bound, after <= bound))
    for name in ("processes", "threads", "registered"):
        before, after = _medians(second, last, name)
        lines.append(Line(f"{name}, loaded", before, after, before, abs(after - before) <= (name == "registered") * 2))
    for name in ("descriptors", "udp_ports", "tcp_listeners", "tcp_connections", "calls", "dialogs", "threads"):
        before, after = float(getattr(idle_before, name)), float(getattr(idle_after, name))
        lines.append(Line(f"{name}, idle", before, after, before, after == before, at_rest=True))
    return lines


def _medians(second: Sequence[Sample], last: Sequence[Sample], name: str) -> tuple[float, float]:
    return float(median(getattr(each, name) for each in second)), float(median(getattr(each, name) for each in last))


def recorded(data: Path) -> tuple[Counter[int], Counter[str], int]:
    """The call records by status and by end cause, and how many have no end."""
    [path] = data.glob("*.sqlite3")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        statuses: Counter[int] = Counter(
            dict(connection.execute("SELECT status, count(*) FROM call_records GROUP BY 1"))
        )
        causes: Counter[str] = Counter(
            dict(connection.execute("SELECT end_cause, count(*) FROM call_records GROUP BY 1"))
        )
        [open_] = connection.execute("SELECT count(*) FROM call_records WHERE ended IS NULL").fetchone()
    return statuses, causes, int(open_)
