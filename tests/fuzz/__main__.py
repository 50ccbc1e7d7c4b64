"""Fuzzing: mutated inputs for the parsers, and mutated packets in the middle of calls.

    python -m tests.fuzz TARGET|calls|all [--inputs 100000] [--seed 1] [--guided]

`calls` puts mutated copies of real packets into the calls of the big simulation, whose promises must hold all the
same: no traceback, no call without its record, nothing left over, no growth. The others (sip, sdp, rtp, rtcp, uri,
headers, digest, stream, event, document, datagram, media) feed one part of the program with mutated seeds; `--guided`
keeps the inputs that reach new lines and mutates those further, which is slower and gets deeper (where atheris can be
installed `python -m tests.fuzz.covered TARGET` is faster at that). An input that fails is written to tests/fuzz/found,
from where it is tested ever after.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.mutation import Mutator
from fuzz.targets import TARGETS, seeds_of

ROOT = Path(__file__).resolve().parents[2]
FOUND = Path(__file__).resolve().parent / "found"
APP = str(ROOT / "app")
SLOWEST = 0.25
"""Seconds of processor time that one input may take."""


class Reached:
    """Collects the steps from line to line that an input makes in the program."""

    def __init__(self) -> None:
        self.steps: set[tuple[int, int, int]] = set()
        self._mine: dict[Any, bool] = {}

    def run(self, function: Any, data: bytes) -> int:
        """Call the function; how many steps were new."""
        before = len(self.steps)
        sys.settrace(self._enter)
        try:
            function(data)
        finally:
            sys.settrace(None)
        return len(self.steps) - before

    def _enter(self, frame: FrameType, event: str, _argument: object) -> Any:
        code = frame.f_code
        mine = self._mine.get(code)
        if mine is None:
            mine = self._mine[code] = code.co_filename.startswith(APP)
        if not mine:
            return None
        last, name = frame.f_lineno, hash(code)

        def line(frame: FrameType, event: str, _argument: object) -> Any:
            nonlocal last
            if event == "line":
                self.steps.add((name, last, frame.f_lineno))
                last = frame.f_lineno
            return line

        return line


def fuzz(name: str, inputs: int, seed: int, guided: bool) -> int:
    """Feed one target; how many inputs failed."""
    target, corpus = TARGETS[name], seeds_of(name)
    source = random.Random(f"{name} {seed}")
    mutator, reached = Mutator(source), Reached()
    failures, slowest, started = 0, 0.0, time.monotonic()
    for data in list(corpus):
        if guided:
            reached.run(target, data)
    for _ in range(inputs):
        data = mutator.mutate(source.choice(corpus), corpus)
        began = time.process_time()
        try:
            if guided and reached.run(target, data):
                corpus.append(data)
            elif not guided:
                target(data)
            taken = time.process_time() - began
            slowest = max(slowest, taken)
            assert guided or taken < SLOWEST, f"it took {taken:.2f} s"
        except Exception:
            failures += 1
            print(f"{name}: {keep(name, data)}\n{traceback.format_exc()}", file=sys.stderr)
            if failures >= 10:
                break
    passed = time.monotonic() - started
    grown = f", {len(reached.steps)} steps reached, {len(corpus)} inputs in the corpus" if guided else ""
    print(
        f"{name}: {inputs} inputs in {passed:.0f} s ({inputs / max(passed, 0.001):.0f}/s), {failures} failed, "
        f"the slowest took {slowest * 1000:.1f} ms{grown}",
        flush=True,
    )
    return failures


def keep(name: str, data: bytes) -> Path:
    """Write an input that failed to where the tests find it."""
    FOUND.mkdir(exist_ok=True)
    path = FOUND / f"{name}-{hashlib.blake2b(data, digest_size=6).hexdigest()}"
    path.write_bytes(data)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", choices=[*TARGETS, "calls", "all"])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guided", action="store_true", help="keep what reaches new lines, and go on from there")
    options = parser.parse_args()
    names = [*TARGETS, "calls"] if options.target == "all" else [options.target]
    failures = 0
    for name in names:
        if name == "calls":
            command = [
                sys.executable,
                "-m",
                "tests.fuzz.calls",
                "--inputs",
                str(options.inputs),
                "--seed",
                str(options.seed),
            ]
            failures += subprocess.run(
                command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "0"}, check=False
            ).returncode
        else:
            failures += fuzz(name, options.inputs, options.seed, options.guided)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
