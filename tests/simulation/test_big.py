"""The big simulation: a part each time, all of it where time allows; a seed is the same run, packet for packet."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(calls: int, seed: int, workers: int = 1, minutes: float = 5.0) -> str:
    """The last line of a run that kept every promise."""
    command = [sys.executable, "-m", "tests.simulation.big"]
    command += ["--calls", str(calls), "--seed", str(seed), "--workers", str(workers)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=minutes * 60, check=False)
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    return done.stdout.strip().splitlines()[-1]


def test_calls_of_every_kind_in_every_weather_and_the_same_again() -> None:
    with ThreadPoolExecutor(2) as together:
        lines = together.map(lambda seed: run(350, seed), (11, 11, 12))
        first, second, other = (line.partition("fingerprint ")[2] for line in lines)
    assert len(first) == 16
    assert first == second
    assert first != other


@pytest.mark.long
def test_a_hundred_thousand_calls() -> None:
    print(run(100_000, seed=1, workers=2, minutes=60))
