"""A part of the simulation of calls that are transferred all the time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_transfers_of_every_kind_in_every_weather() -> None:
    command = [sys.executable, "-m", "tests.simulation.transfers", "--calls", "600", "--seed", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    assert "600 calls" in done.stdout
