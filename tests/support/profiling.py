"""Running a server under cProfile for a benchmark: the option, how the interpreter is called, and what is printed."""

from __future__ import annotations

import argparse
import pstats
from pathlib import Path

ROWS = 45


def add_profile_option(parser: argparse.ArgumentParser) -> None:
    """`--profile FILE`."""
    parser.add_argument("--profile", type=Path, help="run the server under cProfile, write it here and print it")


def profiler_options(profile: Path | None) -> tuple[str, ...]:
    """What stands before `-m app`, so that the profile is written; nothing without a file."""
    return ("-m", "cProfile", "-o", str(profile.resolve())) if profile else ()


def print_profile(profile: Path | None) -> None:
    """Where the time of the server's main thread went; nothing without a file."""
    if profile:
        pstats.Stats(str(profile)).sort_stats("tottime").print_stats(ROWS)
