"""The big simulation: a part each time, all of it where time allows; a seed is the same run, packet for packet."""

from __future__ import annotations

import subprocess
import sys
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
    first, second = (run(700, seed=11).partition("fingerprint ")[2] for _ in range(2))
    assert len(first) == 16
    assert first == second
    assert run(700, seed=12).partition("fingerprint ")[2] != first


@pytest.mark.long
def test_a_hundred_thousand_calls() -> None:
    print(run(100_000, seed=1, workers=2, minutes=60))
