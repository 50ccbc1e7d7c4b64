"""The figures of one received RTP stream by the arithmetic of RFC 3550 (A.1 sequence, A.3 loss, A.8 jitter)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

MAXIMUM_DROPOUT = 3000
"""A jump ahead of up to this many packets is loss, a longer one a restart (RFC 3550 A.1)."""
MAXIMUM_MISORDER = 100
"""A packet up to this many behind the newest is late, further behind is a restart."""

_HISTORY_BITS = 128
_HISTORY = (1 << _HISTORY_BITS) - 1
_MARKER = 0x0080_0000
_RESTART_DEVIATION = 10.0
"""Seconds between what timestamp and arrival say from where on the sender has begun a new time line."""


@lru_cache(maxsize=256)
def _stepping(ticks: int, clock_rate: int) -> tuple[int, float]:
    """What `expected` grows by, and the seconds between two packets: the same two objects for all such streams, so
    that the packet loop finds them at hand."""
    return (1 << 32) + ticks, ticks / clock_rate


class StreamTotals(NamedTuple):
    """The figures of a stream at a moment."""

    packets: int
    """Received, duplicates included."""
    bytes: int
    """RTP packets as they came, headers included, without UDP and IP."""
    expected: int
    lost: int
    """Expected and never received; a packet that comes late is not lost."""
    duplicates: int
    reordered: int
    """Packets that came behind a later one."""
    gaps: int
    """How many runs of one or more packets are missing."""
    jitter: float
    """Interarrival jitter in seconds (RFC 3550 6.4.1)."""
    sources: int
    """How many synchronisation sources or restarts there were."""
    ssrc: int
    payload_type: int
    """Of the newest packet that carried audio; -1 while there was none."""
    last_arrival: float
    """Monotonic seconds; 0 while nothing came."""


class ExpectedPacket:
    """The very next packet of a stream and what is measured when it comes, for the relay's packet loop.

    The first eight bytes of that packet, read as one number, are `expected` and its length is `size`. When it comes,
    `expected` grows by `step`, and jitter and arrival are updated as in `StreamStatistics.receive`. These few values
    are apart, and first in memory, because the loop touches them for every packet.
    """

    __slots__ = ("arrival", "expected", "interval", "jitter", "size", "step")

    arrival: float
    """When the newest audio packet came, monotonic seconds."""
    expected: int
    """-1: no packet is."""
    interval: float
    """Seconds between two packets by their timestamps."""
    jitter: float
    """Seconds."""
    size: int
    step: int


class StreamStatistics(ExpectedPacket):
    """The live counters of one stream; `totals()` gives the immutable figures.

    A packet that is exactly the expected one is counted without a call, see `ExpectedPacket`; every other packet goes
    through `receive`.
    """

    __slots__ = (
        "_bad_sequence",
        "_base",
        "_bytes",
        "_clock_rate",
        "_duplicates",
        "_expected_before",
        "_gaps",
        "_highest",
        "_history",
        "_lost_before",
        "_packets",
        "_reordered",
        "_source_duplicates",
        "_source_packets",
        "_sources",
        "_synced",
        "_timestamp",
        "_touched",
        "_word",
        "ssrc",
    )

    def __init__(self) -> None:
        self.expected = -1
        self.step = 1 << 32
        self.size = 0
        self.arrival = 0.0
        self.interval = 0.0
        self.jitter = 0.0
        self.ssrc = 0
        self._synced = -1
        self._word = -1
        self._timestamp = 0
        self._touched = 0.0
        self._clock_rate = 0
        self._base = 0
        self._highest = 0
        self._history = 0
        self._bad_sequence = -1
        self._packets = 0
        self._bytes = 0
        self._duplicates = 0
        self._reordered = 0
        self._gaps = 0
        self._sources = 0
        self._source_packets = 0
        self._source_duplicates = 0
        self._expected_before = 0
        self._lost_before = 0

    @property
    def started(self) -> bool:
        """Whether any packet came."""
        return self._sources > 0

    @property
    def highest_sequence(self) -> int:
        """The newest sequence number, 16 bits."""
        self._take_run()
        return self._highest & 0xFFFF

    @property
    def newest_timestamp(self) -> int:
        """The timestamp of the newest packet that carried audio."""
        self._take_run()
        return self._timestamp

    @property
    def clock_rate(self) -> int:
        """Ticks per second of the newest packet that carried audio."""
        return self._clock_rate or 8000

    def receive(
        self, head: int, timestamp: int, ssrc: int, size: int, arrival: float, clock_rate: int, is_event: bool = False
    ) -> bool:
        """Count a packet. `head` is its first 32 bits, `size` its length in bytes, `arrival` monotonic seconds.

        `is_event`: telephone-event, whose timestamp stands still and tells nothing of jitter. Returns whether the
        packet is new and in order or late by no more than the bounds; False for a duplicate or a wild number.
        """
        self._take_run()
        sequence = head & 0xFFFF
        self._packets += 1
        self._bytes += size
        self._touched = arrival
        if not self._sources or ssrc != self.ssrc:
            self._start(sequence, ssrc)
            delta = 1
        else:
            delta = (sequence - self._highest) & 0xFFFF
            if not self._count(sequence, delta):
                return False
            if self._highest & 0xFFFF == sequence and delta >= MAXIMUM_DROPOUT:
                delta = 1  # a restart
        in_order = delta < MAXIMUM_DROPOUT
        if not is_event:
            self._measure(timestamp, arrival, clock_rate, delta if in_order else 0)
            if in_order:
                self._timestamp = timestamp
                self._word = (head & ~_MARKER) >> 16
                self.size = size
        if in_order and self._word >= 0:
            following = (self._word << 16) | ((sequence + 1) & 0xFFFF)
            next_timestamp = (self._timestamp + (self.step & 0xFFFFFFFF)) & 0xFFFFFFFF
            self.expected = self._synced = following << 32 | next_timestamp
        return True

    def totals(self) -> StreamTotals:
        """The figures now."""
        self._take_run()
        expected = self._expected_before
        lost = self._lost_before
        if self._sources:
            current = self._highest - self._base + 1
            expected += current
            lost += max(current - (self._source_packets - self._source_duplicates), 0)
        return StreamTotals(
            self._packets,
            self._bytes,
            expected,
            lost,
            self._duplicates,
            self._reordered,
            self._gaps,
            self.jitter,
            self._sources,
            self.ssrc,
            self._word & 0x7F if self._word >= 0 else -1,
            max(self.arrival, self._touched),
        )

    def _take_run(self) -> None:
        """Count the packets that the packet loop has taken since the last call."""
        run = (self.expected - self._synced) // self.step
        if not run:
            return
        self._packets += run
        self._source_packets += run
        self._bytes += run * self.size
        self._highest += run
        self._timestamp = (self._timestamp + run * (self.step & 0xFFFFFFFF)) & 0xFFFFFFFF
        self._history = ((self._history << run) | ((1 << run) - 1)) & _HISTORY if run < _HISTORY_BITS else _HISTORY
        self._synced = self.expected

    def _start(self, sequence: int, ssrc: int) -> None:
        """A new source, or one that began anew: the counts of the one before are kept."""
        if self._sources:
            current = self._highest - self._base + 1
            self._expected_before += current
            self._lost_before += max(current - (self._source_packets - self._source_duplicates), 0)
        self._sources += 1
        self.ssrc = ssrc
        # One cycle up, so that a late packet from before the first one has a number of its own.
        self._base = self._highest = sequence + 0x10000
        self._history = 1
        self._bad_sequence = -1
        self._clock_rate = 0
        self._source_packets = 1
        self._source_duplicates = 0

    def _count(self, sequence: int, delta: int) -> bool:
        """RFC 3550 A.1 for a packet of the known source; `delta` is how far ahead it is, modulo 65536."""
        if delta == 0:
            return self._duplicate()
        if delta < MAXIMUM_DROPOUT:
            if delta > 1:
                self._gaps += 1
            self._highest += delta
            self._history = ((self._history << delta) | 1) & _HISTORY if delta < _HISTORY_BITS else 1
            self._bad_sequence = -1
        elif delta >= 0x10000 - MAXIMUM_MISORDER:
            behind = 0x10000 - delta
            if self._history >> behind & 1:
                return self._duplicate()
            # With both neighbours there a gap is filled, with one it is smaller, with none there are two where one was.
            newer, older = self._history >> (behind - 1) & 1, self._history >> (behind + 1) & 1
            self._gaps += 1 - newer - older
            self._history |= 1 << behind
            self._reordered += 1
            self._base = min(self._base, self._highest - behind)
        elif sequence == self._bad_sequence:
            # Two in a row: the sender has restarted without a new source number.
            self._start((sequence - 1) & 0xFFFF, self.ssrc)
            self._highest += 1
            self._history = 3
        else:
            self._bad_sequence = (sequence + 1) & 0xFFFF
            return False
        self._source_packets += 1
        return True

    def _duplicate(self) -> bool:
        self._duplicates += 1
        self._source_packets += 1
        self._source_duplicates += 1
        return False

    def _measure(self, timestamp: int, arrival: float, clock_rate: int, delta: int) -> None:
        """RFC 3550 A.8, in seconds. `delta` is 1 for the very next packet, which tells the timestamp step; 0: late."""
        if clock_rate != self._clock_rate:
            # The first packet, or a codec with another clock: there is nothing to compare with.
            self._clock_rate = clock_rate
            self.arrival = arrival
            return
        ticks = (timestamp - self._timestamp) & 0xFFFFFFFF
        if ticks >= 0x8000_0000:
            ticks -= 0x1_0000_0000
        seconds = ticks / clock_rate
        deviation = abs(arrival - self.arrival - seconds)
        if deviation < _RESTART_DEVIATION:
            self.jitter += (deviation - self.jitter) * 0.0625
        # The next packet is compared with this one. The loop compares with the newest by number: for a late packet
        # that is the time at which the newest would have come with the same delay.
        self.arrival = arrival if delta else arrival - seconds
        if delta == 1 and 0 < ticks <= clock_rate:
            self.step, self.interval = _stepping(ticks, clock_rate)
