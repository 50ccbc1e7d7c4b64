"""Mutated copies of real packets in the middle of real calls: whatever a peer says, the server keeps its promises."""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.mutation import Mutator
from simulation.big import Big, BigWorld, resident, run_reporting

from app.sip.flow import Flow

SERVER = "10.0.0.5"
COPIES = 2
"""Mutated copies of each packet that goes to the server."""


class HostileWorld(BigWorld):
    """A network on which somebody repeats packets with changes, from where they came."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.mutator = Mutator(random.Random(f"mutations {seed}"))
        self.mutated = 0

    def send(self, flow: Flow, data: bytes) -> None:
        super().send(flow, data)
        if flow.remote_host == SERVER:
            for _ in range(COPIES):
                self.mutated += 1
                changed = self.mutator.mutate(data, [packet for _, _, packet in self.last])
                self.deadlines.schedule(
                    self.now + 0.005 + 0.05 * self.random.random(),
                    lambda _now, bytes_=changed: self._arrive(flow, bytes_),
                )


class Hostile(Big):
    """The calls of the big simulation, until so many mutated packets have arrived."""

    world: HostileWorld

    def __init__(self, inputs: int, seed: int) -> None:
        self.inputs = inputs
        super().__init__(0, seed)

    def make_world(self, seed: int) -> BigWorld:
        return HostileWorld(seed)

    def run(self) -> str:
        started = time.monotonic()
        first = 0.0
        while self.world.mutated < self.inputs:
            self.step()
            if not first and self.world.mutated > self.inputs / 4:
                gc.collect()
                first = resident()
        self._rest()
        self._stop()
        gc.collect()
        grown = resident() - first
        assert self.inputs < 50_000 or grown < 16.0, f"memory grew by {grown:.1f} MiB"
        return f"{self.world.mutated} mutated packets; {self._progress(started)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    again = f"PYTHONHASHSEED=0 python -m tests.fuzz.calls --inputs {options.inputs} --seed {options.seed}"
    return run_reporting(options.seed, lambda: Hostile(options.inputs, options.seed), again)


if __name__ == "__main__":
    sys.exit(main())
