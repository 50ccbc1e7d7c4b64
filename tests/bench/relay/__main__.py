"""Measures relayed audio: `python -m tests.bench.relay [--calls 50,200,500] [--seconds 4] [--rounds 3] [--json]`.

For each number of two-way G.711 calls (two streams of 50 packets a second each) it runs our worker, rtpengine, a plain
C epoll forwarder and the design's prototype (the same in Python) one after the other, several times over, and prints
the median of CPU time per million packets, loss and added delay, and how ours compares; `urgent` is ours as it runs
beside a window, in real time where that is allowed. What is missing on this machine is left out with the reason.
Figures from a machine that is busy with other programs, or whose processors are taken away for other machines (last
columns), say little: one stolen hundredth is a p99 of many milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.relay.subjects import SHARED, SUBJECTS, Unavailable, compiled

_GENERATOR_SECONDS = 10.0
"""What the generator may take beside its window to start and to end."""
OURS = ("ours", "urgent")
_BEFORE_MEDIA = 2
"""A priority in real time above that of media processes."""
COLUMNS = ("cpu", "lost", "p50", "p99", "p999", "pps", "others", "stolen")


class Disturbed(Exception):
    """A run that says nothing because of other programs."""


async def measure(
    subject: str, calls: int, seconds: float, processes: int = 1, *, elsewhere: bool = False
) -> dict[str, float]:
    """One run of one subject. For `elsewhere` see `generate`. Raises `Unavailable` and `Disturbed`."""
    async with SUBJECTS[subject](calls, processes) as running:
        return await generate(running.lines, running.pids, seconds, elsewhere=elsewhere)


async def generate(
    lines: Sequence[str], pids: tuple[int, ...], seconds: float, *, elsewhere: bool = False
) -> dict[str, float]:
    """One run of the load generator over streams that are set up: by `COLUMNS`, what came of it.

    `pids` are the processes that forward. `elsewhere` lets the generator go before every program of this machine, where
    the system lets us: as if it ran on others, as phones do, and never waited for a processor itself.
    Raises `Unavailable` where it cannot run, `Disturbed` where it says nothing.
    """
    generator = compiled(SHARED / "rtpload.c")
    with tempfile.NamedTemporaryFile("w", suffix=".streams", delete=False) as file:
        file.write("\n".join(lines) + "\n")
    try:
        before = _Load.now(pids)
        command = [str(generator), "-f", file.name, "-d", str(seconds), "-w", "1", "-j"]
        command += ["-P", ",".join(map(str, pids))]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        if elsewhere:
            with contextlib.suppress(OSError):
                os.sched_setscheduler(process.pid, os.SCHED_RR, os.sched_param(_BEFORE_MEDIA))
        try:
            output, errors = await asyncio.wait_for(process.communicate(), 3 * seconds + _GENERATOR_SECONDS)
        except TimeoutError:
            # With more to send than there is time for, it sends for ever and never looks at its clock.
            process.kill()
            await process.wait()
            raise Unavailable("no processor time is left for the load generator at this rate") from None
        after = _Load.now(pids)
    finally:
        os.unlink(file.name)
    if process.returncode:
        raise Unavailable(f"the load generator failed: {errors.decode().strip()}")
    try:
        found: dict[str, Any] = json.loads(output)
    except ValueError:
        # It divides by the length of its window, which is nothing when it got no processor time.
        raise Disturbed("the load generator got no processor time") from None
    delay = found["lat_us"]
    others, stolen, total = (last - first for first, last in zip(before, after, strict=True))
    return {
        "cpu": found["peer_cpu_s_per_Mpkt"],
        "lost": found["lost"] + found["misrouted"],
        "p50": delay["p50"],
        "p99": delay["p99"],
        "p999": delay["p999"],
        "pps": found["pps"],
        "others": others / max(total, 1) * 100,
        "stolen": stolen / max(total, 1) * 100,
    }


class _Load(NamedTuple):
    """Processor time of the whole machine so far, in ticks (Linux)."""

    others: float
    """What neither the relay nor the generator used."""
    stolen: float
    """What the host of a virtual machine gave to others."""
    total: float

    @classmethod
    def now(cls, pids: tuple[int, ...]) -> _Load:
        """`pids` are the processes that forward; the generator is a child that has ended."""
        fields = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
        total, idle, stolen = sum(fields), fields[3] + fields[4], fields[7]
        own = 0.0
        for pid in pids:
            words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
            own += int(words[11]) + int(words[12])
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        own += (children.ru_utime + children.ru_stime) * os.sysconf("SC_CLK_TCK")
        return cls(total - idle - stolen - own, stolen, total)


async def run(arguments: argparse.Namespace) -> dict[int, dict[str, Any]]:
    """All runs; per number of calls and subject the medians, or the reason why there are none."""
    results: dict[int, dict[str, Any]] = {}
    for calls in arguments.calls:
        runs: dict[str, list[dict[str, float]]] = {subject: [] for subject in arguments.subjects}
        reasons: dict[str, str] = {}
        # Round by round, so that a busy moment of the machine hits all subjects alike.
        for _ in range(arguments.rounds):
            for subject in arguments.subjects:
                if subject in reasons:
                    continue
                try:
                    found = await measure(
                        subject, calls, arguments.seconds, arguments.processes, elsewhere=arguments.elsewhere
                    )
                    runs[subject].append(found)
                except Disturbed as error:
                    print(f"a run of {subject} with {calls} calls does not count: {error}", file=sys.stderr, flush=True)
                except Unavailable as error:
                    reasons[subject] = str(error)
        results[calls] = {
            subject: reasons.get(subject, "no run counted")
            if subject in reasons or not found
            else {column: statistics.median(one[column] for one in found) for column in COLUMNS}
            for subject, found in runs.items()
        }
        if not arguments.json:
            show(calls, results[calls])
            sys.stdout.flush()
    return results


def show(calls: int, results: dict[str, Any]) -> None:
    """The table of one number of calls."""
    print(f"\n{calls} two-way G.711 calls ({calls * 100} packets/s)")
    print(f"  {'':10} {'CPU s per':>12} {'lost':>8} {'added delay, us':>28} {'others':>9} {'stolen':>8}")
    print(f"  {'':10} {'10^6 packets':>12} {'':>8} {'p50':>8} {'p99':>9} {'p99.9':>9} {'% of all CPUs':>18}")
    for subject, found in results.items():
        if isinstance(found, str):
            print(f"  {subject:10} skipped: {found}")
            continue
        print(
            f"  {subject:10} {found['cpu']:12.2f} {found['lost']:8.0f} {found['p50']:8.0f} {found['p99']:9.0f} "
            f"{found['p999']:9.0f} {found['others']:8.0f}% {found['stolen']:7.1f}%"
        )
    for name in OURS:
        ours = results.get(name)
        for subject, found in results.items():
            if isinstance(ours, dict) and isinstance(found, dict) and subject not in OURS and found["cpu"]:
                cpu, middle, late = (ours[column] / found[column] for column in ("cpu", "p50", "p99"))
                print(f"  {name} / {subject}: CPU {cpu:.2f}, p50 {middle:.2f}, p99 {late:.2f}")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.relay", description=__doc__)

    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser.add_argument("--calls", type=numbers, default=[50, 200, 500])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1, help="of our relay")
    parser.add_argument("--subjects", type=lambda text: text.split(","), default=list(SUBJECTS))
    parser.add_argument(
        "--elsewhere",
        action="store_true",
        help="the load generator goes before every program of this machine, as if it ran on another (needs root)",
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = asyncio.run(run(arguments))
    if arguments.json:
        print(json.dumps(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
