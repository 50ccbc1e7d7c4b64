"""The gauges of the whole server: a sample a second, kept for 24 hours in memory that does not grow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace

from app.calls.gauge_interval import GaugeInterval
from app.events import GaugeSample, TrunkMedia

ANSWER_RATIO_SECONDS = 300.0
"""The answer ratio looks back so far."""
SPANS: Mapping[str, tuple[int, int]] = {"5 minutes": (1, 300), "1 hour": (10, 360), "24 hours": (240, 360)}
"""Name -> (seconds that a sample stands for, how many are kept)."""
MAXIMUM_ENDED = 200_000
"""So many ended calls are remembered for the answer ratio; at the bound the oldest go first."""


class SpanSamples:
    """The samples of one span: each stands for all of its interval (`GaugeInterval.sample`)."""

    __slots__ = ("_every", "_interval", "_kept", "_number")

    def __init__(self, every: int, count: int) -> None:
        self._every = every
        self._kept: deque[GaugeSample] = deque(maxlen=count)
        self._interval = GaugeInterval()
        self._number = -1
        """Intervals are numbered by the clock: a server that was held up skips some, and none grows longer."""

    def add(self, sample: GaugeSample, begun: int, seconds: float, now: float) -> None:
        """Take the sample of a second."""
        if self._every == 1:
            self._kept.append(sample)
            return
        number = int(now // self._every)
        if number != self._number:
            self._number = number
            finished = self._interval.sample()
            if finished is not None:
                self._kept.append(finished)
            self._interval = GaugeInterval()
        self._interval.add(sample, begun, seconds)

    def clock_set(self, seconds: float) -> None:
        """The clock on the wall was set by so much: what was kept stands in the new time."""
        for number, sample in enumerate(self._kept):
            self._kept[number] = replace(sample, at=sample.at + seconds)

    def samples(self) -> tuple[GaugeSample, ...]:
        """The samples, oldest first; the last one is of the interval that still runs."""
        running = self._interval.sample()
        return tuple(self._kept) if running is None else (*self._kept, running)


class Metrics:
    """Counts calls and keeps the samples of every span."""

    def __init__(self) -> None:
        self.begun = 0
        """Calls since the start."""
        self.answered = 0
        self.ended = 0
        self._ended: deque[tuple[float, bool]] = deque(maxlen=MAXIMUM_ENDED)
        self._answered_in_window = 0
        self._begun_before = 0
        self._sampled_at = 0.0
        self._samples = {name: SpanSamples(every, count) for name, (every, count) in SPANS.items()}

    def call_begun(self) -> None:
        """A call was admitted or refused: it is one more."""
        self.begun += 1

    def call_ended(self, answered: bool, now: float) -> None:
        """A call has ended."""
        self.ended += 1
        self.answered += answered
        if len(self._ended) == MAXIMUM_ENDED:
            self._answered_in_window -= self._ended[0][1]
        self._ended.append((now, answered))
        self._answered_in_window += answered

    def answer_ratio(self, now: float) -> float:
        """Percent of the calls that ended lately and were answered; -1 while none ended."""
        ended = self._ended
        while ended and ended[0][0] < now - ANSWER_RATIO_SECONDS:
            self._answered_in_window -= ended.popleft()[1]
        return 100.0 * self._answered_in_window / len(ended) if ended else -1.0

    def sample(
        self,
        now: float,
        wall: float,
        calls: int,
        registered: int,
        trunks: Iterable[tuple[int, int, int]],
        media: Mapping[str, float] | None = None,
        trunk_media: tuple[TrunkMedia, ...] = (),
    ) -> GaugeSample:
        """Take the sample of this second and keep it."""
        passed = now - self._sampled_at if self._sampled_at else 1.0
        begun = self.begun - self._begun_before
        self._begun_before = self.begun
        self._sampled_at = now
        figures = media or {}
        sample = GaugeSample(
            at=wall,
            calls=calls,
            calls_per_second=round(begun / max(passed, 0.001), 2),
            answer_ratio=round(self.answer_ratio(now), 1),
            registered=registered,
            trunks=tuple(trunks),
            relayed=int(figures.get("relayed", 0)),
            packets_per_second=figures.get("packets_per_second", 0.0),
            mos_worst=figures.get("mos_worst", 0.0),
            mos_median=figures.get("mos_median", 0.0),
            jitter_ms=figures.get("jitter_ms", 0.0),
            loss_percent=figures.get("loss_percent", 0.0),
            trunk_media=trunk_media,
        )
        for span in self._samples.values():
            span.add(sample, begun, passed, now)
        return sample

    def clock_set(self, seconds: float) -> None:
        """The clock on the wall was set by so many seconds: curves go on without a gap or a step back."""
        for span in self._samples.values():
            span.clock_set(seconds)

    def samples(self, span: str) -> tuple[GaugeSample, ...]:
        """The samples of a span, oldest first; the last one of the longer spans is still growing."""
        return self._samples[span].samples()
