"""The benchmark of relayed audio under a window that repaints: it runs, and every plot is drawn meanwhile."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.wire

ROOT = Path(__file__).resolve().parents[2]
PLOTS = 12
"""Three of calls, five of audio, four of the chosen call."""


@pytest.mark.skipif(sys.platform != "linux", reason="the load generator runs on Linux only")
def test_it_measures_with_the_window_hidden_and_with_every_plot_live() -> None:
    """Few calls for a moment; what is measured is for the benchmark itself."""
    if not (ROOT.parent / "shared" / "bench" / "rtpload.c").exists():
        pytest.skip("the load generator is not here")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.window", "--calls", "3", "--seconds", "2", "--rounds", "1"],
        cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if "no C compiler" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    rows = re.findall(r"^  (window hidden|every plot live) +(.*)$", done.stdout, re.MULTILINE)
    assert [name for name, _ in rows] == ["window hidden", "every plot live"], done.stdout + done.stderr
    hidden, live = ([float(word.rstrip("%")) for word in figures.split()] for _, figures in rows)
    # p50, p99, p99.9, lost, CPU, CPU of the window, plots drawn, others.
    assert hidden[3] == live[3] == 0
    assert (hidden[6], live[6]) == (0, PLOTS)
    assert 0 < live[0] <= live[1]
