"""A part of the simulation of calls that agree on their media before they are answered."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_early_offers_and_answers_of_every_kind_in_every_weather() -> None:
    command = [sys.executable, "-m", "tests.simulation.early", "--calls", "400", "--seed", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    assert "400 calls" in done.stdout
