"""Every kind of call for twenty seconds: each has its record, and everything is given back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from soak.__main__ import Settings, soak

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what a process holds is read from /proc")


@pytest.mark.long
@pytest.mark.wire
def test_a_short_soak(tmp_path: Path) -> None:
    assert soak(Settings(seconds=20, rate=20, seed=1, talk=(0.5, 4.0), every=1.0, folder=tmp_path))
