"""CPU per call and calls per second of `python -m app serve` between two trunks, with SIPp on both sides.

    python -m tests.bench.calls [--transports udp,tcp,tls] [--rates 50,200] [--runs 5] [--seconds 5] [--talk 500]
                                [--peak] [--profile FILE]

A call is INVITE, 180, 200, ACK, BYE, 200 on each side; call records are written. CPU is the time of the server and
its children, user and system, whole life of the run included: from before the first INVITE until the last record
is stored. Over TCP and TLS all calls of a side share one connection; SIPp gets its TLS from a tunnel in a process of
its own, which is not counted. Compare only figures of one machine.

Where Kamailio is installed (apt-get install kamailio), each run over UDP is followed by the same calls through it as
a plain proxy with one worker. "of proxy" is our cost as a multiple of its; "of goal here" is our cost as a multiple
of what the goal of 1.0 ms comes to on a machine where that proxy costs what it costs here instead of the 0.35 to
0.5 ms that it cost where the goal was set. "of floor" is a multiple of what plain Python needs for the datagrams alone.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.ports import LoopbackNetwork
from support.profiling import add_profile_option, print_profile, profiler_options
from support.programs import find_program
from support.server import RunningServer

from tests.bench.calls.proxy import goal_here, start_proxy
from tests.bench.calls.runs import CARRIER, PROXY, SERVER, TRANSPORTS, document, median_run, run_once

GOAL = 1.0
"""Milliseconds of CPU per call to reach, on the machine where Kamailio costs what `proxy.py` says."""
MESSAGES_IN, MESSAGES_OUT, TYPICAL_BYTES = 6, 7, 500
"""Datagrams that a back-to-back user agent receives and sends for one call, with its own 100."""


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


def print_row(*cells: object) -> None:
    widths = (5, 9, 7, 7, 8, 10, 12, 8, 10, 9, 9, 12)
    print("  ".join(str(cell).rjust(width) for cell, width in zip(cells, widths, strict=True)), flush=True)


HEADER = ("by", "calls/s", "calls", "failed", "repeats", "reached/s", "ms per call", "kernel", "of floor", "of 1.0")
HEADER_PROXY = ("of proxy", "of goal here")


def measure_rates(
    server: RunningServer, proxy: int | None, network: LoopbackNetwork, options: argparse.Namespace, floor: float
) -> int:
    """The table: one row per rate with the median of the runs; returns the number of failed calls.

    A run through the proxy (process id, where there is one) follows each run over UDP: both meet the same weather.
    """
    print_row(*HEADER, *HEADER_PROXY)
    failures = 0
    for transport in options.transports:
        for rate in options.rates:
            seconds, talk = options.seconds, options.talk
            runs, plain = [], []
            for _ in range(options.runs):
                runs.append(run_once(server.pid, network, rate, seconds, talk, transport))
                if proxy is not None and transport == "udp":
                    plain.append(run_once(proxy, network, rate, seconds, talk, server=PROXY))
            middle = median_run(runs)
            failures += middle.failed
            cost = middle.cpu_ms_per_call
            proxy_cost = median_run(plain).cpu_ms_per_call if plain else None
            print_row(
                transport,
                f"{rate:g}",
                middle.calls,
                middle.failed,
                middle.retransmissions,
                f"{middle.calls_per_second:.0f}",
                f"{cost:.2f}",
                f"{middle.system_share:.0%}",
                f"x{cost / floor:.1f}",
                f"x{cost / GOAL:.2f}",
                f"x{cost / proxy_cost:.2f}" if proxy_cost else "-",
                f"x{cost / goal_here(GOAL, proxy_cost, rate):.2f}" if proxy_cost else "-",
            )
            print("           each run: " + ", ".join(f"{run.cpu_ms_per_call:.2f}" for run in runs))
            if proxy_cost:
                print("           proxy:    " + ", ".join(f"{run.cpu_ms_per_call:.2f}" for run in plain))
    return failures


def measure_peak(server: RunningServer, network: LoopbackNetwork, options: argparse.Namespace) -> None:
    """The highest rate that is held without a failure and with hardly a retransmission."""
    rate, held = 100.0, 0.0
    while True:
        run = run_once(server.pid, network, rate, options.seconds, options.talk)
        kept = not run.failed and run.retransmissions <= run.calls * 0.01 and run.calls_per_second >= rate * 0.85
        print(
            f"{rate:.0f}/s: {run.cpu_ms_per_call:.2f} ms per call, {run.failed} failed, {run.retransmissions} repeats"
        )
        if not kept:
            break
        held, rate = rate, rate * 1.25
    print(f"highest rate held: {held:.0f} calls/s (Asterisk 425, Sippy 225, FreeSWITCH under 100, Kamailio 2,100)")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    rates = {"type": lambda text: [float(rate) for rate in text.split(",")], "default": [50.0, 200.0]}
    transports = {"type": lambda text: text.split(","), "default": list(TRANSPORTS)}
    parser.add_argument("--transports", help="udp, tcp, tls, comma separated (all)", **transports)
    parser.add_argument("--rates", help="calls per second, comma separated (50,200)", **rates)
    parser.add_argument("--runs", type=int, default=5, help="runs per rate; the median counts (5)")
    parser.add_argument("--seconds", type=float, default=5, help="length of a run (5)")
    parser.add_argument("--talk", type=int, default=500, help="milliseconds from answer to BYE (500)")
    parser.add_argument("--peak", action="store_true", help="raise the rate until it is no longer held")
    add_profile_option(parser)
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    network = LoopbackNetwork()
    profiler = profiler_options(options.profile)
    with tempfile.TemporaryDirectory() as folder:
        floor = floor_ms(network)
        print(f"floor: plain Python receives {MESSAGES_IN} and sends {MESSAGES_OUT} datagrams in {floor:.2f} ms")
        address = network.address(SERVER)
        # The peak is where the server says that more comes in than it can do.
        expected = ("more comes in than this server can do",) if options.peak else ()
        with ExitStack() as stack:
            server = stack.enter_context(
                RunningServer(
                    Path(folder) / "data", document(network), address, interpreter_options=profiler, expected=expected
                )
            )
            run_once(server.pid, network, 20, 1, options.talk)  # warm: imports, caches, files
            proxy = None
            if find_program("kamailio") and "udp" in options.transports:
                kamailio = start_proxy(Path(folder) / "proxy", network.address(PROXY), network.address(CARRIER))
                proxy = stack.enter_context(kamailio).process.pid
            failures = measure_rates(server, proxy, network, options, floor)
            if options.peak:
                measure_peak(server, network, options)
    network.close()
    print_profile(options.profile)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
