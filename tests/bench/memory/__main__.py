"""Memory of a registration that stands and of a call in progress, by what `python -m app serve` holds more than before.

    python -m tests.bench.memory [--phones 5000] [--calls 3000] [--rate 60]

"at once" is read right after the last one was set up, while its transactions still live; "settled" when they have
ended, 45 s later; "again" after every phone has refreshed once more, or after as many further calls that ended.
Everything that grew is divided, what fills up once and for all included (the last 20,000 messages are kept: some 16
MiB). On a machine that is busy with other programs some may be refused for overload; they do not count.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.ports import LoopbackNetwork
from support.server import RunningServer
from support.sipp import Sipp

from tests.bench.calls import runs as calls
from tests.bench.calls.measuring import resident_kib
from tests.bench.registrations import runs as registrations

GOAL_REGISTRATION, GOAL_CALL = 20.0, 60.0
"""KiB."""
BUSY = ("more comes in than this server can do",)
SETTLED = 45.0
"""Seconds after which the transactions of what was set up are gone."""


def row(what: str, count: int, before: int, at_once: int, settled: int, again: int, goal: float) -> bool:
    """Print a row; whether the goal is reached."""
    each = [(value - before) / count for value in (at_once, settled, again)]
    print(
        f"{count} {what}: {each[0]:.1f} KiB each at once, {each[1]:.1f} settled, {each[2]:.1f} again "
        f"(goal {goal:.0f}); {before / 1024:.0f} MiB before, {settled / 1024:.0f} settled",
        flush=True,
    )
    return each[1] <= goal


def measure_registrations(phones: int) -> bool:
    """Phones that register and stay."""
    network = LoopbackNetwork()
    with tempfile.TemporaryDirectory() as folder:
        document = registrations.document(phones)
        address = network.address(registrations.SERVER)
        with RunningServer(Path(folder) / "data", document, address, expected=BUSY) as server:
            registrations.register(server, network, 50, 50, 50)
            before = resident_kib(server.pid)
            made = registrations.register(server, network, phones, 200, phones)
            at_once = resident_kib(server.pid)
            time.sleep(SETTLED)
            settled = resident_kib(server.pid)
            registrations.register(server, network, phones, 200, phones)
            time.sleep(SETTLED)
            again = resident_kib(server.pid)
    network.close()
    return row("registrations", made.made - 50, before, at_once, settled, again, GOAL_REGISTRATION)


def measure_calls(count: int, rate: float) -> bool:
    """Calls between two trunks that are answered and go on."""
    network = LoopbackNetwork()
    begin = count / rate
    talk = begin + 2 * SETTLED
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        document, address = calls.document(network), network.address(calls.SERVER)
        with RunningServer(folder / "data", document, address, expected=BUSY) as server:
            calls.run_once(server.pid, network, 20, 2, 500)
            before = resident_kib(server.pid)
            common = {"calls": count, "keep_messages": False, "seconds": int(begin + talk) + 60, "rate": rate}
            scenarios = Path(calls.__file__).parent
            carrier = Sipp(
                folder / "carrier",
                scenarios / "carrier.xml",
                network.address(calls.CARRIER),
                limit=10_000,
                **common,  # type: ignore[arg-type]
            )
            caller = Sipp(
                folder / "caller",
                scenarios / "caller.xml",
                network.address(calls.CALLER),
                remote=f"{network.address(calls.SERVER)}:5060",
                called=f"{calls.PREFIXES['udp']}5550",
                limit=10_000,
                options=("-d", str(int(talk * 1000))),
                **common,  # type: ignore[arg-type]
            )
            time.sleep(begin + 1.0)
            at_once = resident_kib(server.pid)
            time.sleep(SETTLED)
            settled = resident_kib(server.pid)
            result = caller.wait()
            carrier.kill()
            calls.run_once(server.pid, network, rate, begin, 500)
            again = resident_kib(server.pid)
    network.close()
    return row("calls in progress", result.successful, before, at_once, settled, again, GOAL_CALL)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--phones", type=int, default=5000, help="how many register (5000); 0: leave it out")
    parser.add_argument("--calls", type=int, default=3000, help="how many are in progress (3000); 0: leave it out")
    parser.add_argument("--rate", type=float, default=60, help="calls per second that begin (60)")
    options = parser.parse_args()
    reached = True
    if options.phones:
        reached = measure_registrations(options.phones) and reached
    if options.calls:
        reached = measure_calls(options.calls, options.rate) and reached
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
