"""Fuzzing by libFuzzer through atheris: inputs are kept by the branches that they reach, in the speed of its counters.

    pip install atheris
    python -m tests.fuzz.covered sip|sdp|rtp|... [--seconds 600] [--seed 1]

Where atheris cannot be installed `python -m tests.fuzz TARGET --guided` does the same, slower. An input that fails is
written to tests/fuzz/found, from where it is tested ever after.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["app"]):
    from fuzz.targets import TARGETS, seeds_of

from fuzz.__main__ import keep
from fuzz.mutation import LARGEST, Mutator


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    seeds = seeds_of(options.target)

    def mutate(data: bytes, largest: int, seed: int) -> bytes:
        """Text is changed as text half of the time, and as libFuzzer would else."""
        source = random.Random(seed)
        if source.random() < 0.5:
            return bytes(atheris.Mutate(data, largest))
        return Mutator(source).mutate(data, seeds)[:largest]

    def one(data: bytes) -> None:
        try:
            TARGETS[options.target](data)
        except Exception:
            print(f"{options.target}: {keep(options.target, data)}", file=sys.stderr, flush=True)
            raise

    with tempfile.TemporaryDirectory() as folder:
        for at, seed in enumerate(seeds):
            (Path(folder) / f"seed-{at}").write_bytes(seed)
        arguments = [
            *(sys.argv[0], f"-max_total_time={options.seconds}", f"-seed={options.seed}", f"-max_len={LARGEST}"),
            *("-timeout=5", "-rss_limit_mb=1024", "-print_final_stats=1", f"-artifact_prefix={folder}/"),
            folder,
        ]
        atheris.Setup(arguments, one, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
