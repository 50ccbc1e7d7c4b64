"""How many calls a server completes when it is offered more than it can take.

    python -m tests.bench.overload [--transport udp|tcp|tls] [--factor 3] [--seconds 10] [--talk 500]
                                   [--peak CALLS_PER_SECOND]

The peak is the most calls per second that were completed at any rate offered, found by raising the rate; then a
multiple of it is offered. What the server does not take it must refuse with 503, and what it takes it must complete:
the rest of the peak that is kept is the figure. Then 70 % of the peak is offered while the server is stopped for a
tenth of a second in every second, as a busy machine would do: that is no overload, and nobody should be refused.

The generator needs a core of its own; over TLS it shares that with the tunnel that SIPp gets its TLS from. Where it
and other programs leave the server less than nine tenths of one during the overload, what a second of its processor
time achieves is compared instead, and that is said.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.ports import LoopbackNetwork
from support.server import RunningServer
from support.sipp import Sipp

from tests.bench.calls.runs import (
    CALLER,
    CARRIER,
    CARRIER_SCENARIO,
    PORTS,
    SERVER,
    TRANSPORTS,
    scenario_for,
    tunnels,
    way_to_server,
)

HERE = Path(__file__).resolve().parent
GOAL = 0.8
HICCUP_RATE = 0.7
"""The rate at which the server is stopped now and then, as a part of the peak."""
HICCUP, HICCUP_EVERY = 0.1, 1.0
HICCUP_GOAL = 0.01
"""The part of those calls that may be refused, since other programs stop the server, too."""
A_WHOLE_CORE = 0.9


@dataclass(frozen=True, slots=True)
class Offer:
    """What became of the calls of one run."""

    rate: float
    """Calls per second that were really offered."""
    completed: float
    """Calls per second that both sides finished in order."""
    refused: int
    failed: int
    """Calls that were neither completed nor refused in order."""
    retransmissions: int
    cpu_seconds: float
    """What the server spent."""
    share: float
    """Of a core, while calls were offered."""

    @property
    def per_cpu_second(self) -> float:
        """Calls completed for each second of the server's processor time at this rate of them."""
        return self.completed / self.share


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Between:
    """The server, and how SIPp on both sides speaks with it."""

    server: RunningServer
    network: LoopbackNetwork
    talk: int
    """Milliseconds from answer to BYE."""
    transport: str


def offer(between: Between, rate: float, seconds: float) -> Offer:
    """Offer so many calls per second for so long."""
    server, network = between.server, between.network
    calls = max(1, round(rate * seconds))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        common = {
            "keep_messages": False,
            "seconds": int(seconds) + 60,
            "tcp": between.transport != "udp",
            "rate": rate,
        }
        carrier = Sipp(
            folder / "carrier",
            scenario_for(CARRIER_SCENARIO, between.transport, folder),
            network.address(CARRIER),
            calls=1_000_000,
            **common,
        )
        with tunnels(between.transport, network, folder):
            before = cpu_seconds(server.pid)
            caller = Sipp(
                folder / "caller",
                scenario_for(HERE / "caller.xml", between.transport, folder),
                network.address(CALLER),
                remote=way_to_server(between.transport, network),
                called="135550",
                calls=calls,
                limit=100_000,
                options=("-d", str(between.talk)),
                **common,
            )
            began, at_first = time.monotonic(), cpu_seconds(server.pid)
            time.sleep(seconds)
            share = (cpu_seconds(server.pid) - at_first) / (time.monotonic() - began)
            result = caller.wait()
            spent = cpu_seconds(server.pid) - before
            completed = settled(carrier)
        carrier.kill()
    return Offer(
        rate=rate,
        completed=completed / seconds,
        refused=max(0, result.successful - completed),
        failed=result.failed + calls - result.created,
        retransmissions=result.retransmissions,
        cpu_seconds=spent,
        share=max(share, 0.01),
    )


def settled(carrier: Sipp) -> int:
    """How many calls the carrier has completed, once that number stands still (it is written once a second)."""
    last = -1
    while (now := carrier.result().successful) != last:
        last = now
        time.sleep(1.5)
    return last


@contextlib.contextmanager
def hiccups(pid: int) -> Iterator[None]:
    """Stop a process for a moment again and again."""
    ended = threading.Event()

    def disturb() -> None:
        while not ended.wait(HICCUP_EVERY):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(HICCUP)
            os.kill(pid, signal.SIGCONT)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def go_before_others(pid: int) -> None:
    """Let the server have its core before the generator and other programs, where this is allowed."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, -10)


def document(network: LoopbackNetwork, transport: str) -> dict[str, object]:
    """Two trunks without practical limits, and prefix 13 to the carrier."""
    limits = {"max_outgoing_calls": 100000, "max_incoming_calls": 100000}
    limits |= {"transport": transport, "server_port": PORTS[transport], "tls_verify": False}
    return {
        "system": {"sip_tls_port": PORTS["tls"]},
        "sip_trunks": [
            {"id": 1, "description": "Carrier", "server_address": network.address(CARRIER), **limits},
            {"id": 2, "description": "Caller", "server_address": network.address(CALLER), **limits},
        ],
        "analyze_called_numbers": [{"prefix": "13", "route_type": "sip_trunk", "target_id": 1}],
    }


def report(made: Offer) -> Offer:
    """Print a row."""
    print(
        f"{made.rate:6.0f}/s offered: {made.completed:6.1f}/s completed, {made.refused} refused, "
        f"{made.failed} failed, {made.retransmissions} repeats, {made.share:.0%} of a core",
        flush=True,
    )
    return made


def find_peak(between: Between, seconds: float) -> Offer:
    """The most completed calls per second over rising rates, until two in a row bring no more."""
    best, rate, in_vain = report(offer(between, 200, seconds)), 200.0, 0
    while in_vain < 2:
        rate *= 1.4
        made = report(offer(between, rate, seconds))
        in_vain = 0 if made.completed > best.completed else in_vain + 1
        best = max(best, made, key=lambda each: each.completed)
    return best


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--transport", choices=TRANSPORTS, default="udp", help="on both sides (udp)")
    parser.add_argument("--factor", type=float, default=3, help="what is offered, in peaks (3)")
    parser.add_argument("--seconds", type=float, default=10, help="length of the overload (10)")
    parser.add_argument("--talk", type=int, default=500, help="milliseconds from answer to BYE (500)")
    parser.add_argument("--peak", type=float, default=0, help="the peak, where it is known")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    network = LoopbackNetwork()
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningServer(
            Path(folder) / "data", document(network, options.transport), network.address(SERVER), expected=("WARNING",)
        ) as server,
    ):
        go_before_others(server.pid)
        between = Between(server, network, options.talk, options.transport)
        offer(between, 20, 1)  # warm: imports, caches, files
        seconds = min(5.0, options.seconds)
        if options.peak:
            best = report(offer(between, options.peak, seconds))
        else:
            best = find_peak(between, seconds)
        peak = options.peak or best.completed
        made = report(offer(between, peak * options.factor, options.seconds))
        time.sleep(6)  # until the overload is over
        again = report(offer(between, 50, 2))
        hurt_part = 1.0
        for _ in range(3):  # other programs stop the server, too: the best of three
            with hiccups(server.pid):
                hurt = report(offer(between, peak * HICCUP_RATE, options.seconds))
            hurt_part = min(hurt_part, hurt.refused / (hurt.rate * options.seconds))
            if hurt_part < HICCUP_GOAL:
                break
            time.sleep(6)
    network.close()
    kept = made.completed / peak
    print(f"{kept:.0%} of the peak of {peak:.0f} calls/s kept at {options.factor:g} times the load (goal {GOAL:.0%})")
    if kept < GOAL and made.share < A_WHOLE_CORE:
        kept = made.per_cpu_second / best.per_cpu_second
        print(
            f"the server got {made.share:.0%} of a core only: a second of processor time did {made.per_cpu_second:.0f} "
            f"calls, at the peak {best.per_cpu_second:.0f}, which is {kept:.0%}"
        )
    print(
        f"stopped for {HICCUP:g} s every {HICCUP_EVERY:g} s at {HICCUP_RATE:.0%} of the peak: {hurt_part:.1%} refused "
        f"(goal under {HICCUP_GOAL:.0%})"
    )
    return 0 if kept >= GOAL and not again.failed and hurt_part < HICCUP_GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
