"""Bad bytes: a reduced number each time, all of them where time allows, and every input that ever failed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.more_targets import MORE_TARGETS
from fuzz.mutation import LARGEST, Mutator
from fuzz.targets import TARGETS, seeds_of
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
FOUND = Path(__file__).resolve().parent / "found"
FEWER = {"sdp": 500, "stream": 150, "document": 700, "datagram": 700}
"""The slower ones."""
ENVIRONMENT = {**os.environ, "PYTHONHASHSEED": "0"}


def run(module: str, *arguments: str, minutes: float = 5) -> str:
    """What the command prints; it must have found nothing."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=minutes * 60, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
    return done.stdout


@pytest.mark.parametrize(("target", "inputs"), [(name, FEWER.get(name, 1500)) for name in sorted(TARGETS)])
def test_mutated_seeds_fail_nothing(target: str, inputs: int) -> None:
    corpus = seeds_of(target)
    source = random.Random(2024)
    mutator = Mutator(source)
    for _ in range(inputs):
        data = mutator.mutate(source.choice(corpus), corpus)
        assert len(data) <= LARGEST
        TARGETS[target](data)


@pytest.mark.parametrize("target", sorted(TARGETS))
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_bytes_fail_nothing(target: str, data: st.DataObject) -> None:
    """Bytes of any kind, and seeds with any bytes put into any place."""
    seed = data.draw(st.sampled_from(seeds_of(target)))
    at = data.draw(st.integers(0, len(seed)))
    piece = data.draw(st.binary(max_size=40) | st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace")))
    TARGETS[target](data.draw(st.sampled_from([piece, seed[:at] + piece + seed[at:], seed[:at] + piece])))


def test_mutated_packets_in_the_middle_of_calls_break_no_promise() -> None:
    assert "mutated packets" in run("tests.fuzz.calls", "--inputs", "4000", "--seed", "5")


def test_what_once_failed() -> None:
    for path in sorted(FOUND.glob("*-*")):
        TARGETS[path.name.partition("-")[0]](path.read_bytes())


def test_a_seed_gives_the_same_inputs() -> None:
    first, second = (Mutator(random.Random(7)) for _ in range(2))
    seed = seeds_of("sip")[0]
    assert [first.mutate(seed) for _ in range(50)] == [second.mutate(seed) for _ in range(50)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("target", "inputs", "options"),
    [
        ("sip", 100_000, ()),
        ("sdp", 20_000, ()),
        ("rtp", 100_000, ()),
        ("rtcp", 100_000, ()),
        ("sip", 30_000, ("--guided",)),
        ("sdp", 10_000, ("--guided",)),
        ("rtp", 20_000, ("--guided",)),
        ("rtcp", 20_000, ("--guided",)),
        *((name, 50_000, ()) for name in sorted(MORE_TARGETS) if name != "stream"),
        *((name, 10_000, ("--guided",)) for name in sorted(MORE_TARGETS) if name != "stream"),
        ("stream", 20_000, ()),
        ("calls", 100_000, ()),
    ],
)
def test_many_more(target: str, inputs: int, options: tuple[str, ...]) -> None:
    print(run("tests.fuzz", target, "--inputs", str(inputs), *options, minutes=60))
