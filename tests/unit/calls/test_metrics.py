"""Calls counted, the answer ratio of the last minutes, and a sample for each second."""

from __future__ import annotations

import pytest

from app.calls import metrics as metrics_module
from app.calls.metrics import ANSWER_RATIO_SECONDS, SPANS, Metrics


def test_the_answer_ratio_looks_back_five_minutes() -> None:
    metrics = Metrics()
    assert metrics.answer_ratio(0.0) == -1.0
    for number in range(4):
        metrics.call_ended(number < 3, float(number))
    assert metrics.answer_ratio(10.0) == 75.0
    metrics.call_ended(False, ANSWER_RATIO_SECONDS)
    assert metrics.answer_ratio(ANSWER_RATIO_SECONDS) == 60.0
    assert metrics.answer_ratio(ANSWER_RATIO_SECONDS + 3.5) == 0.0
    assert metrics.answer_ratio(2 * ANSWER_RATIO_SECONDS + 1) == -1.0
    assert (metrics.ended, metrics.answered) == (5, 3)


def test_what_is_remembered_for_the_ratio_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "MAXIMUM_ENDED", 10)
    metrics = Metrics()
    for _ in range(100):
        metrics.call_ended(True, 1.0)
    for _ in range(5):
        metrics.call_ended(False, 1.0)
    assert metrics.answer_ratio(1.0) == 50.0
    assert len(metrics._ended) == 10


def test_calls_per_second_are_those_since_the_sample_before() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.call_begun()
    assert metrics.sample(100.0, 5000.0, 3, 7, [(1, 2, 1)]).calls_per_second == 3.0
    for _ in range(3):
        metrics.call_begun()
    late = metrics.sample(102.0, 5002.0, 6, 7, [(1, 2, 1)], {"relayed": 2, "mos_worst": 3.5})
    assert late.calls_per_second == 1.5
    assert (late.at, late.calls, late.registered, late.trunks) == (5002.0, 6, 7, ((1, 2, 1),))
    assert (late.relayed, late.mos_worst, late.answer_ratio) == (2, 3.5, -1.0)
    assert metrics.sample(103.0, 5003.0, 6, 7, []).calls_per_second == 0.0


def test_every_span_has_its_samples_oldest_first() -> None:
    metrics = Metrics()
    for second in range(1000):
        metrics.sample(1000.0 + second, 5000.0 + second, second, 0, [])
    for name, (_every, count) in SPANS.items():
        samples = metrics.samples(name)
        assert 0 < len(samples) <= count + 1
        assert [each.at for each in samples] == sorted(each.at for each in samples)
    assert [each.calls for each in metrics.samples("5 minutes")] == list(range(700, 1000))
    with pytest.raises(KeyError):
        metrics.samples("a year")
