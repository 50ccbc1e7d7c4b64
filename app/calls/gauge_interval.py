"""What is true of an interval: the seconds between two kept gauge samples, made into one."""

from __future__ import annotations

from app.events import GaugeSample, TrunkMedia


class MediaFigures:
    """The media gauges of an interval, of all calls or of one trunk's, in memory that does not grow with its length."""

    __slots__ = ("_jitter", "_lost", "_medians", "_mos_worst", "_packets", "_relayed", "_seconds_with_median")

    def __init__(self) -> None:
        self._relayed = 0
        self._packets = 0.0
        self._mos_worst = 0.0
        self._medians = 0.0
        self._seconds_with_median = 0.0
        self._jitter = 0.0
        self._lost = 0.0

    def add(self, figures: GaugeSample | TrunkMedia, seconds: float) -> None:
        """Take the figures of so many seconds."""
        self._relayed = max(self._relayed, figures.relayed)
        packets = figures.packets_per_second * seconds
        self._packets += packets
        # Seconds in which nothing flowed say nothing of how much was lost.
        self._lost += figures.loss_percent * packets
        if figures.mos_worst:
            self._mos_worst = min(self._mos_worst or figures.mos_worst, figures.mos_worst)
        if figures.mos_median:
            self._medians += figures.mos_median * seconds
            self._seconds_with_median += seconds
        self._jitter = max(self._jitter, figures.jitter_ms)

    def of_trunk(self, trunk_id: int, seconds: float) -> TrunkMedia:
        """The figures of an interval of so many seconds.

        The most relayed calls, the mean of packets per second, the worst MOS, the mean of the median MOS, the worst
        jitter, and the loss as the mean of all packets.
        """
        median = self._medians / self._seconds_with_median if self._seconds_with_median else 0.0
        return TrunkMedia(
            trunk_id=trunk_id,
            relayed=self._relayed,
            packets_per_second=round(self._packets / seconds, 1) if seconds else 0.0,
            mos_worst=self._mos_worst,
            mos_median=round(median, 2),
            jitter_ms=self._jitter,
            loss_percent=round(self._lost / self._packets, 2) if self._packets else 0.0,
        )


class GaugeInterval:
    """Takes the sample of every second of an interval; `sample` says what is true of all of them."""

    __slots__ = ("_begun", "_calls", "_last", "_media", "_registered", "_seconds", "_trunk_media", "_trunks")

    def __init__(self) -> None:
        self._seconds = 0.0
        self._begun = 0
        self._calls = 0
        self._registered = -1
        self._trunks: dict[int, tuple[int, int]] = {}
        self._media = MediaFigures()
        self._trunk_media: dict[int, MediaFigures] = {}
        self._last: GaugeSample | None = None

    def add(self, sample: GaugeSample, begun: int, seconds: float) -> None:
        """Take a sample that stands for so many seconds, in which `begun` calls began."""
        self._last = sample
        self._seconds += seconds
        self._begun += begun
        self._calls = max(self._calls, sample.calls)
        self._registered = sample.registered if self._registered < 0 else min(self._registered, sample.registered)
        for trunk_id, calls_in, calls_out in sample.trunks:
            most_in, most_out = self._trunks.get(trunk_id, (0, 0))
            self._trunks[trunk_id] = (max(most_in, calls_in), max(most_out, calls_out))
        self._media.add(sample, seconds)
        for media in sample.trunk_media:
            figures = self._trunk_media.get(media.trunk_id)
            if figures is None:
                figures = self._trunk_media[media.trunk_id] = MediaFigures()
            figures.add(media, seconds)

    def sample(self) -> GaugeSample | None:
        """The interval in one sample, None while it is empty.

        The most calls, in all and per trunk; the mean of new calls and packets per second; the fewest registered
        phones; the worst MOS and jitter; the answer ratio as it is at the end, because it looks back by itself.
        """
        last = self._last
        if last is None:
            return None
        media = self._media.of_trunk(0, self._seconds)
        return GaugeSample(
            at=last.at,
            calls=self._calls,
            # Not rounded to hundredths: one call in four minutes is a rate too.
            calls_per_second=round(self._begun / self._seconds, 4) if self._seconds else 0.0,
            answer_ratio=last.answer_ratio,
            registered=self._registered,
            trunks=tuple((trunk_id, *most) for trunk_id, most in self._trunks.items()),
            relayed=media.relayed,
            packets_per_second=media.packets_per_second,
            mos_worst=media.mos_worst,
            mos_median=media.mos_median,
            jitter_ms=media.jitter_ms,
            loss_percent=media.loss_percent,
            trunk_media=tuple(
                figures.of_trunk(trunk_id, self._seconds) for trunk_id, figures in sorted(self._trunk_media.items())
            ),
        )
