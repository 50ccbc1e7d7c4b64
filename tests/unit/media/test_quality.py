"""The E-model gives the values that G.107 and G.113 give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.media.quality import burst_ratio, delay_impairment, opinion_score, rating, stream_score


@pytest.mark.parametrize(("r", "mos"), [(93.2, 4.41), (90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)])
def test_scores_of_annex_b(r: float, mos: float) -> None:
    assert opinion_score(r) == pytest.approx(mos, abs=0.01)


def test_bounds() -> None:
    assert opinion_score(-5) == 1.0 and opinion_score(0) == 1.0 and opinion_score(3) == 1.0
    assert opinion_score(100) == 4.5 and opinion_score(150) == 4.5
    assert rating("PCMU", 500, 99_999) == 0.0


def test_codecs_and_loss() -> None:
    assert rating("PCMA", 0, 0) == pytest.approx(93.2)
    assert rating("G729", 0, 0) == pytest.approx(82.2)
    # Ie,eff = 11 + 84 * 1 / (1 + 19)
    assert rating("G729", 1, 0) == pytest.approx(93.2 - 15.2)
    assert rating("PCMA", 25.1, 0) == pytest.approx(93.2 - 47.5)
    assert rating("no such codec", 0, 0) == pytest.approx(88.2)


def test_bursts_hurt_more() -> None:
    assert rating("PCMA", 5, 0, burst_ratio=2.0) < rating("PCMA", 5, 0)
    assert burst_ratio(10, 10, 1000) == 1.0
    assert burst_ratio(40, 10, 1000) == pytest.approx(3.84)
    assert burst_ratio(0, 0, 0) == 1.0 and burst_ratio(5, 0, 100) == 1.0 and burst_ratio(100, 1, 100) == 1.0


@pytest.mark.parametrize(("delay", "cost"), [(0, 0), (100, 0), (150, 0.02), (200, 3.0), (400, 24.0)])
def test_delay(delay: float, cost: float) -> None:
    assert delay_impairment(delay) == pytest.approx(cost, abs=1.6)


def test_a_good_and_a_bad_call() -> None:
    assert stream_score("PCMA", 0, 1, 20) == pytest.approx(4.41, abs=0.01)
    assert stream_score("PCMA", 10, 30, 300) < 3.2


@given(
    st.sampled_from(["PCMA", "G729", "OPUS", "?"]),
    st.floats(-10, 200),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.floats(-5, 1e6),
)
def test_any_figures(codec: str, loss: float, jitter: float, trip: float, burst: float) -> None:
    assert 1.0 <= stream_score(codec, loss, jitter, trip, burst) <= 4.5


@given(st.floats(0, 50), st.floats(0.1, 20))
def test_more_loss_is_never_better(loss: float, more: float) -> None:
    assert rating("G729", loss + more, 50) <= rating("G729", loss, 50)
