"""CPU per call and calls per second of `python -m app serve` between two trunks, with SIPp on both sides.

    python -m tests.bench.calls [--rates 50,200] [--runs 5] [--seconds 5] [--talk 500] [--peak] [--profile FILE]

A call is INVITE, 180, 200, ACK, BYE, 200 on each side; call records are written. CPU is the time of the server and
its children, user and system, whole life of the run included: from before the first INVITE until the last record
is stored. Compare only figures of one machine.
"""

from __future__ import annotations

import argparse
import os
import pstats
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.ports import LoopbackNetwork
from support.server import RunningServer
from support.sipp import Sipp

HERE = Path(__file__).resolve().parent
CARRIER, CALLER, SERVER = 10, 20, 1
GOAL_NOW, GOAL = 2.0, 1.0
"""Milliseconds of CPU per call: to reach first, and in the end."""
OTHERS = {50: "Asterisk 4.0-4.7, Kamailio (proxy) 0.5", 200: "Asterisk 2.2 at its peak, Kamailio (proxy) 0.3-0.4"}
MESSAGES_IN, MESSAGES_OUT, TYPICAL_BYTES = 6, 7, 500
"""Datagrams that a back-to-back user agent receives and sends for one call, with its own 100."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run at one rate."""

    calls: int
    failed: int
    retransmissions: int
    cpu_ms_per_call: float
    calls_per_second: float
    system_share: float
    """How much of the CPU was spent in the kernel, 0 to 1."""


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


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text(encoding="ascii").split():
            found += family(int(child))
    return found


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


def run_once(server: RunningServer, network: LoopbackNetwork, rate: float, seconds: float, talk: int) -> Run:
    """Calls at this rate for so long, and what they cost."""
    calls = max(1, round(rate * seconds))
    with tempfile.TemporaryDirectory() as folder:
        common = {"calls": calls, "keep_messages": False, "seconds": int(seconds) + 60}
        carrier = Sipp(Path(folder) / "carrier", HERE / "carrier.xml", network.address(CARRIER), rate=rate, **common)
        before = cpu_seconds(server.pid)
        started = time.monotonic()
        caller = Sipp(
            Path(folder) / "caller",
            HERE / "caller.xml",
            network.address(CALLER),
            remote=f"{network.address(SERVER)}:5060",
            called="135550",
            rate=rate,
            limit=100000,
            options=("-d", str(talk)),
            **common,
        )
        result = caller.wait()
        elapsed = time.monotonic() - started - talk / 1000
        wait_until_idle(server.pid)
        after = cpu_seconds(server.pid)
        carrier.kill()
        if result.failed or result.exit_code:
            print(result.errors[:2000], file=sys.stderr)
    user, system = after[0] - before[0], after[1] - before[1]
    return Run(
        calls=result.successful,
        failed=result.failed + calls - result.created,
        retransmissions=result.retransmissions,
        cpu_ms_per_call=(user + system) * 1000 / max(1, result.successful),
        calls_per_second=result.successful / elapsed,
        system_share=system / max(0.001, user + system),
    )


def median_run(runs: list[Run]) -> Run:
    """The run with the median CPU, with all failures and retransmissions counted."""
    middle = sorted(runs, key=lambda run: run.cpu_ms_per_call)[len(runs) // 2]
    return Run(
        calls=middle.calls,
        failed=sum(run.failed for run in runs),
        retransmissions=sum(run.retransmissions for run in runs),
        cpu_ms_per_call=middle.cpu_ms_per_call,
        calls_per_second=statistics.median(run.calls_per_second for run in runs),
        system_share=middle.system_share,
    )


FORWARDER = f"""
import os, socket, sys
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind((sys.argv[1], 5099))
target = (sys.argv[2], 5099)
print("ready", flush=True)
data = bytes({TYPICAL_BYTES})
begin = os.times()
for _ in range(int(sys.argv[3])):
    for _ in range({MESSAGES_IN}):
        data = one.recvfrom(65535)[0]
    for _ in range({MESSAGES_OUT}):
        one.sendto(data, target)
end = os.times()
print(end.user - begin.user + end.system - begin.system)
"""


def floor_ms(network: LoopbackNetwork, calls: int = 2000) -> float:
    """CPU that plain Python needs to receive and send the datagrams of one call and do nothing else."""
    arguments = [network.address(3), network.address(4), str(calls)]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        subprocess.Popen([sys.executable, "-c", FORWARDER, *arguments], stdout=subprocess.PIPE, text=True) as process,
    ):
        sender.bind((network.address(4), 5099))
        assert process.stdout is not None
        process.stdout.readline()
        message = bytes(TYPICAL_BYTES)
        for _ in range(calls):
            for _ in range(MESSAGES_IN):
                sender.sendto(message, (network.address(3), 5099))
            for _ in range(MESSAGES_OUT):  # paced by the answers, so that no datagram is lost
                sender.recv(65535)
        return float(process.stdout.readline()) * 1000 / calls


def document(network: LoopbackNetwork) -> dict[str, object]:
    """Two trunks without practical limits, and prefix 13 to the carrier."""
    limits = {"max_outgoing_calls": 100000, "max_incoming_calls": 100000}
    return {
        "sip_trunks": [
            {"id": 1, "description": "Carrier", "server_address": network.address(CARRIER), **limits},
            {"id": 2, "description": "Caller", "server_address": network.address(CALLER), **limits},
        ],
        "analyze_called_numbers": [{"prefix": "13", "route_type": "sip_trunk", "target_id": 1}],
    }


def print_row(*cells: object) -> None:
    widths = (9, 7, 7, 8, 10, 12, 8, 10, 9, 9)
    print("  ".join(str(cell).rjust(width) for cell, width in zip(cells, widths, strict=True)), flush=True)


def measure_rates(server: RunningServer, network: LoopbackNetwork, options: argparse.Namespace, floor: float) -> int:
    """The table: one row per rate with the median of the runs; returns the number of failed calls."""
    header = (
        "calls/s",
        "calls",
        "failed",
        "repeats",
        "reached/s",
        "ms per call",
        "kernel",
        "of floor",
        "of 2.0",
        "of 1.0",
    )
    print_row(*header)
    failures = 0
    for rate in options.rates:
        runs = [run_once(server, network, rate, options.seconds, options.talk) for _ in range(options.runs)]
        middle = median_run(runs)
        failures += middle.failed
        cost = middle.cpu_ms_per_call
        print_row(
            f"{rate:g}",
            middle.calls,
            middle.failed,
            middle.retransmissions,
            f"{middle.calls_per_second:.0f}",
            f"{cost:.2f}",
            f"{middle.system_share:.0%}",
            f"x{cost / floor:.1f}",
            f"x{cost / GOAL_NOW:.2f}",
            f"x{cost / GOAL:.2f}",
        )
        each = ", ".join(f"{run.cpu_ms_per_call:.2f}" for run in runs)
        print(f"           each run: {each}" + (f"; others: {OTHERS[rate]}" if rate in OTHERS else ""))
    return failures


def measure_peak(server: RunningServer, network: LoopbackNetwork, options: argparse.Namespace) -> None:
    """The highest rate that is held without a failure and with hardly a retransmission."""
    rate, held = 100.0, 0.0
    while True:
        run = run_once(server, network, rate, options.seconds, options.talk)
        kept = not run.failed and run.retransmissions <= run.calls * 0.01 and run.calls_per_second >= rate * 0.85
        print(
            f"{rate:.0f}/s: {run.cpu_ms_per_call:.2f} ms per call, {run.failed} failed, {run.retransmissions} repeats"
        )
        if not kept:
            break
        held, rate = rate, rate * 1.25
    print(f"highest rate held: {held:.0f} calls/s (Asterisk 425, Sippy 225, FreeSWITCH under 100, Kamailio 2,100)")


def print_profile(path: Path) -> None:
    """Where the time of the server's main thread went."""
    statistics_ = pstats.Stats(str(path))
    statistics_.sort_stats("tottime").print_stats(45)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    rates = {"type": lambda text: [float(rate) for rate in text.split(",")], "default": [50.0, 200.0]}
    parser.add_argument("--rates", help="calls per second, comma separated (50,200)", **rates)
    parser.add_argument("--runs", type=int, default=5, help="runs per rate; the median counts (5)")
    parser.add_argument("--seconds", type=float, default=5, help="length of a run (5)")
    parser.add_argument("--talk", type=int, default=500, help="milliseconds from answer to BYE (500)")
    parser.add_argument("--peak", action="store_true", help="raise the rate until it is no longer held")
    parser.add_argument("--profile", type=Path, help="run the server under cProfile, write it here and print it")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    network = LoopbackNetwork()
    profiler = ("-m", "cProfile", "-o", str(options.profile.resolve())) if options.profile else ()
    with tempfile.TemporaryDirectory() as folder:
        floor = floor_ms(network)
        print(f"floor: plain Python receives {MESSAGES_IN} and sends {MESSAGES_OUT} datagrams in {floor:.2f} ms")
        address = network.address(SERVER)
        with RunningServer(Path(folder) / "data", document(network), address, interpreter_options=profiler) as server:
            run_once(server, network, 20, 1, options.talk)  # warm: imports, caches, files
            failures = measure_rates(server, network, options, floor)
            if options.peak:
                measure_peak(server, network, options)
    network.close()
    if options.profile:
        print_profile(options.profile)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
