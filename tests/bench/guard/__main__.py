"""What a flood from one address costs, how soon it is cut off, and whether others can call meanwhile.

    python -m tests.bench.guard [--seconds 10] [--rate 5000] [KIND ...]

For each kind of flood one address sends so many messages per second to a server of its own, which has the settings that
it comes with. A caller on a trunk makes a call each second meanwhile. The row says how many messages were answered and
when the last one was (from then on the address is cut off), which part of a core the server spent, the calls included,
and how many calls were set up and ended in order. `nobody` is the same without a flood.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.documents import CALLER, CARRIER_A, SERVER, document
from support.flood import RATE, Flood, cpu_seconds
from support.ports import LoopbackNetwork
from support.server import RunningServer
from support.udp_peers import Caller, Carrier

ATTACKER = 66
CUT_OFF_WITHIN = 2.0
SHARE_OF_A_CORE = 0.3
KINDS = (
    "nobody",
    "INVITE",
    "REGISTER",
    "OPTIONS",
    "nonsense",
    "keep-alive",
    "INVITE/TCP",
    "nonsense/TCP",
    "keep-alive/TCP",
)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one flood."""

    kind: str
    sent: float
    """Messages per second that really were sent."""
    answered: int
    cut_off: float
    """Seconds until the last answer."""
    share: float
    """Of a core, over the whole time."""
    calls: int
    completed: int
    slowest: float
    """Seconds from an INVITE to its 200, at most."""

    @property
    def is_good(self) -> bool:
        """Whether the server keeps its promises."""
        # Keep-alives are no messages: their rate is bounded, but they alone have nobody banned.
        cut_off = self.cut_off < CUT_OFF_WITHIN or self.kind.startswith("keep-alive")
        return cut_off and self.share < SHARE_OF_A_CORE and self.completed == self.calls


def measure(kind: str, rate: float, seconds: int) -> Row:
    """Let one kind of flood loose on a fresh server."""
    network = LoopbackNetwork()
    method, _, transport = kind.partition("/")
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningServer(
            Path(folder) / "data", document(network), network.address(SERVER), expected=("more comes in than",)
        ) as server,
        Carrier(network.address(CARRIER_A)),
        Caller(network.address(CALLER), server.address) as caller,
    ):
        caller.call("135550")  # warm
        attacker = Flood(
            network.address(ATTACKER),
            (server.address, server.port),
            method,
            "TCP" if transport else "UDP",
            0.0 if kind == "nobody" else rate,
        )
        completed, slowest = 0, 0.0
        spent = cpu_seconds(server.pid)
        with attacker as flood:
            for second in range(1, seconds + 1):
                while flood.seconds < second:
                    time.sleep(0.01)
                began = time.monotonic()
                try:
                    completed += caller.call("135550").status == 200
                except AssertionError as error:
                    print(f"a call failed: {error}", file=sys.stderr)
                slowest = max(slowest, time.monotonic() - began)
            spent, lasted = cpu_seconds(server.pid) - spent, flood.seconds
    network.close()
    last = max(flood.answered_at, default=0.0)
    sent = flood.sent / lasted
    return Row(kind, sent, len(flood.answered_at), last, spent / lasted, seconds, completed, slowest)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kinds", nargs="*", default=KINDS, metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--seconds", type=int, default=10, help="how long each lasts (10)")
    parser.add_argument("--rate", type=float, default=RATE, help=f"messages per second ({RATE})")
    options = parser.parse_args()
    print("flood          sent/s  answered  cut off after  of a core   calls  slowest call")
    good = True
    for kind in options.kinds:
        row = measure(kind, options.rate, options.seconds)
        print(
            f"{row.kind:13} {row.sent:7.0f} {row.answered:9} {row.cut_off:12.2f} s {row.share:10.1%} "
            f"{row.completed:4}/{row.calls} {row.slowest * 1000:10.0f} ms",
            flush=True,
        )
        good = good and row.is_good
    print(
        f"goal: cut off within {CUT_OFF_WITHIN:g} s, under {SHARE_OF_A_CORE:.0%} of a core, every call: "
        + ("reached" if good else "MISSED")
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
