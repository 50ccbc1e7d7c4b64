"""The samples of an hour and of a day are true of their whole intervals, and never grow in memory."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.calls.gauge_interval import GaugeInterval
from app.calls.metrics import SPANS, Metrics
from app.events import GaugeSample, TrunkMedia

QUIET = GaugeSample(at=0.0, calls=0, calls_per_second=0.0, answer_ratio=-1.0, registered=3, trunks=())


class Server:
    """Gauges fed by a clock that the test advances."""

    def __init__(self, start: float = 2400.0) -> None:
        self.metrics = Metrics()
        self.now = start

    def second(
        self,
        calls: int = 0,
        begun: int = 0,
        registered: int = 3,
        trunks: tuple[tuple[int, int, int], ...] = (),
        media: dict[str, float] | None = None,
        trunk_media: tuple[TrunkMedia, ...] = (),
        passed: float = 1.0,
    ) -> None:
        """A second passes."""
        for _ in range(begun):
            self.metrics.call_begun()
        self.metrics.sample(self.now, 1e9 + self.now, calls, registered, trunks, media, trunk_media)
        self.now += passed

    def hour(self) -> tuple[GaugeSample, ...]:
        return self.metrics.samples("1 hour")


@pytest.fixture
def server() -> Server:
    return Server()


def media(relayed: int, packets: float, worst: float, median: float, jitter: float, loss: float) -> dict[str, float]:
    return {
        "relayed": relayed,
        "packets_per_second": packets,
        "mos_worst": worst,
        "mos_median": median,
        "jitter_ms": jitter,
        "loss_percent": loss,
    }


def test_five_minutes_are_kept_second_by_second(server: Server) -> None:
    for calls in range(310):
        server.second(calls)
    kept = server.metrics.samples("5 minutes")
    assert [sample.calls for sample in kept] == list(range(10, 310))


def test_a_peak_between_two_kept_samples_is_seen(server: Server) -> None:
    for calls in (1, 2, 9, 2, 1, 0, 0, 0, 0, 0):
        server.second(calls, trunks=((1, calls, 1), (2, 0, 9 - calls)))
    server.second()
    sample = server.hour()[0]
    assert sample.calls == 9
    assert sample.trunks == ((1, 9, 1), (2, 0, 9))
    assert sample.at == 1e9 + 2409


def test_new_calls_are_a_mean_and_not_those_of_the_last_second(server: Server) -> None:
    for begun in (0, 0, 7, 0, 0, 0, 0, 0, 0, 0):
        server.second(begun=begun)
    server.second()
    assert server.hour()[0].calls_per_second == pytest.approx(0.7)


def test_one_call_in_four_minutes_is_a_rate_too() -> None:
    server = Server()
    for second in range(241):
        server.second(begun=int(second == 100))
    assert server.metrics.samples("24 hours")[0].calls_per_second == pytest.approx(1 / 240, abs=1e-4)


def test_the_fewest_phones_are_told(server: Server) -> None:
    for registered in (5, 5, 2, 5):
        server.second(registered=registered)
    assert server.hour()[-1].registered == 2


def test_the_worst_audio_of_the_interval_is_told(server: Server) -> None:
    server.second(media=media(2, 200.0, 4.3, 4.4, 2.0, 0.0))
    server.second(media=media(3, 300.0, 1.6, 4.0, 48.0, 6.0))
    server.second(media=media(1, 100.0, 4.3, 4.2, 1.0, 0.0))
    server.second()
    sample = server.hour()[-1]
    assert (sample.relayed, sample.mos_worst, sample.jitter_ms) == (3, 1.6, 48.0)
    assert sample.packets_per_second == pytest.approx(600 / 4)
    assert sample.mos_median == pytest.approx(4.2)
    assert sample.loss_percent == pytest.approx(6.0 * 300 / 600)


def test_without_audio_the_score_stays_unknown(server: Server) -> None:
    server.second()
    sample = server.hour()[-1]
    assert (sample.mos_worst, sample.mos_median, sample.loss_percent, sample.trunk_media) == (0.0, 0.0, 0.0, ())


def test_each_trunk_has_its_own_figures(server: Server) -> None:
    server.second(trunk_media=(TrunkMedia(2, 1, 100.0, 4.0, 4.0, 3.0, 0.0), TrunkMedia(7, 4, 50.0, 2.0, 3.0, 9.0, 2.0)))
    server.second(trunk_media=(TrunkMedia(2, 3, 300.0, 3.0, 3.5, 1.0, 1.0),))
    second, seventh = server.hour()[-1].trunk_media
    assert second == TrunkMedia(2, 3, 200.0, 3.0, 3.75, 3.0, 0.75)
    # Trunk 7 had audio in one of two seconds.
    assert seventh == TrunkMedia(7, 4, 25.0, 2.0, 3.0, 9.0, 2.0)


def test_the_newest_sample_grows_until_its_interval_ends(server: Server) -> None:
    server.second(1)
    assert [sample.calls for sample in server.hour()] == [1]
    server.second(4)
    assert [sample.calls for sample in server.hour()] == [4]
    for _ in range(8):
        server.second(2)
    server.second(3)
    assert [sample.calls for sample in server.hour()] == [4, 3]


def test_intervals_keep_to_the_clock_when_the_server_is_held_up(server: Server) -> None:
    for _ in range(60):
        server.second(1, begun=1, passed=1.5)
    kept = server.hour()
    assert len(kept) == 9
    assert kept[4].calls_per_second == pytest.approx(1 / 1.5, abs=0.01)
    server.now += 3600
    server.second(5)
    assert [sample.calls for sample in server.hour()[-2:]] == [1, 5]


def test_an_empty_interval_has_no_sample() -> None:
    assert GaugeInterval().sample() is None


def test_a_first_second_of_no_length_divides_by_nothing() -> None:
    interval = GaugeInterval()
    interval.add(replace(QUIET, relayed=1, packets_per_second=50.0), 1, 0.0)
    sample = interval.sample()
    assert sample is not None
    assert (sample.calls_per_second, sample.packets_per_second, sample.relayed) == (0.0, 0.0, 1)


def _seconds(server: Server, count: int) -> Iterator[None]:
    for second in range(count):
        streams = tuple(TrunkMedia(trunk, 2, 100.0 + second % 7, 4.1, 4.2, 3.0, 0.1) for trunk in (1, 2, 3))
        figures = media(6, 300.0, 4, 4.2, 3, 0.1)
        server.second(second % 30, 1, 3, ((1, second % 9, 2), (2, 1, 1)), figures, streams, passed=10.0)
        yield


def test_a_second_day_takes_no_more_memory_than_the_first(server: Server) -> None:
    for _ in _seconds(server, 8_700):
        pass
    assert {name: len(server.metrics.samples(name)) for name in SPANS} == {
        "5 minutes": 300,
        "1 hour": 361,
        "24 hours": 361,
    }
    gc.collect()
    tracemalloc.start()
    for _ in _seconds(server, 1_000):
        pass
    gc.collect()
    grown, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # What is traced is at most the samples that took the place of older ones: every sample of the first two spans.
    one = sys.getsizeof(server.hour()[0]) + 3 * sys.getsizeof(TrunkMedia(1, 0, 0.0, 0.0, 0.0, 0.0, 0.0)) + 1200
    assert grown < (300 + 361 + 40) * one
