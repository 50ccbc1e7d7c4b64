"""What registrations cost: CPU of each with its challenge, the most per second, and thousands of phones that refresh.

    python -m tests.bench.registrations [--phones 5000] [--expires 60] [--seconds 30] [--runs 3] [--profile FILE]

A registration is REGISTER, 401, REGISTER with digest, 200: two requests of the phone, never a nonce used again. The
phones refresh after half the time that they have, as most do; the second row has them wait for all of it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.ports import LoopbackNetwork
from support.profiling import add_profile_option, print_profile, profiler_options
from support.server import RunningServer

from tests.bench.registrations.runs import SERVER, Registrations, document, register

GOAL_SHARE = 0.15


def report(what: str, made: Registrations, more: str = "") -> Registrations:
    """Print a row."""
    print(
        f"{what:42} {made.per_second:7.0f}/s {made.cpu_ms:6.3f} ms each ({made.cpu_ms / 2:.3f} per REGISTER) "
        f"{made.cpu_share:6.1%} of a core, {made.failed} failed, {made.retransmissions} repeats{more}",
        flush=True,
    )
    return made


def steady(server: RunningServer, network: LoopbackNetwork, options: argparse.Namespace, interval: float) -> float:
    """All phones, each refreshing once in the interval; the median share of a core over the runs."""
    rate = options.phones / interval
    count = max(1, round(rate * options.seconds))
    runs = [
        register(server, network, options.phones, rate, count, expires=options.expires) for _ in range(options.runs)
    ]
    middle = sorted(runs, key=lambda run: run.cpu_share)[len(runs) // 2]
    each = ", ".join(f"{run.cpu_share:.1%}" for run in runs)
    what = f"{options.phones} phones, each refreshes in {interval:g} s"
    report(what, middle, f"; each run: {each}; goal {GOAL_SHARE:.0%}")
    return statistics.median(run.cpu_share for run in runs)


def peak(server: RunningServer, network: LoopbackNetwork, phones: int) -> Registrations:
    """The highest rate that is held without a failure and with hardly a repetition."""
    rate, best = 400.0, None
    while True:
        made = report(f"{rate:.0f}/s offered", register(server, network, phones, rate, round(rate * 5)))
        held = not made.failed and made.retransmissions <= made.made * 0.01 and made.per_second >= rate * 0.8
        if not held:
            break
        best, rate = made, rate * 1.3
    if best is None:
        raise SystemExit("not even 400 registrations per second are held")
    return report("the most that is held", best)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--phones", type=int, default=5000, help="how many (5000)")
    parser.add_argument("--expires", type=int, default=60, help="seconds of a registration (60)")
    parser.add_argument("--seconds", type=float, default=30, help="length of a run (30)")
    parser.add_argument("--runs", type=int, default=3, help="the median counts (3)")
    add_profile_option(parser)
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    network = LoopbackNetwork()
    with tempfile.TemporaryDirectory() as folder:
        server = RunningServer(
            Path(folder) / "data",
            document(options.phones),
            network.address(SERVER),
            expected=("more comes in than this server can do",),
            interpreter_options=profiler_options(options.profile),
        )
        with server:
            register(server, network, options.phones, 200, options.phones, options.expires)  # warm, everybody is there
            share = steady(server, network, options, options.expires / 2)
            steady(server, network, options, options.expires)
            if not options.profile:
                peak(server, network, options.phones)
    network.close()
    print_profile(options.profile)
    print(f"{share:.1%} of a core for {options.phones} phones at {options.expires} s (goal: under {GOAL_SHARE:.0%})")
    return 0 if share < GOAL_SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
