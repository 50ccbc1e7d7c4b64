"""The figures of a stream, against RFC 3550's own arithmetic, packet by packet and through the loop's short cut."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.media.statistics import StreamStatistics

WORD = 0x8000


def feed(
    statistics: StreamStatistics,
    sequence: int,
    timestamp: int,
    arrival: float,
    ssrc: int = 1,
    word: int = WORD,
    size: int = 172,
    rate: int = 8000,
    event: bool = False,
) -> None:
    """As the relay's loop does: the short cut for what is expected, `receive` for the rest."""
    head = word << 16 | sequence & 0xFFFF
    prefix = head << 32 | timestamp & 0xFFFFFFFF
    if prefix == statistics.expected and size == statistics.size and not event:
        statistics.expected = prefix + statistics.step
        deviation = abs(arrival - statistics.arrival - statistics.interval)
        statistics.arrival = arrival
        statistics.jitter += (deviation - statistics.jitter) * 0.0625
    else:
        statistics.receive(head, timestamp & 0xFFFFFFFF, ssrc, size, arrival, rate, event)


def test_nothing_yet() -> None:
    totals = StreamStatistics().totals()
    assert (totals.packets, totals.expected, totals.lost, totals.payload_type) == (0, 0, 0, -1)


def test_a_clean_stream_over_the_wrap() -> None:
    statistics = StreamStatistics()
    for index in range(70_000):
        feed(statistics, 65_000 + index, 0xFFFF_0000 + 160 * index, 10 + index * 0.02)
    totals = statistics.totals()
    assert (totals.packets, totals.expected, totals.lost) == (70_000, 70_000, 0)
    assert (totals.bytes, totals.gaps, totals.sources, totals.payload_type) == (70_000 * 172, 0, 1, 0)
    assert totals.jitter < 1e-6
    assert totals.last_arrival == pytest.approx(10 + 69_999 * 0.02)
    assert statistics.highest_sequence == (65_000 + 69_999) & 0xFFFF
    assert statistics.newest_timestamp == (0xFFFF_0000 + 160 * 69_999) & 0xFFFF_FFFF


def test_the_short_cut_is_taken() -> None:
    statistics = StreamStatistics()
    for index in range(3):
        feed(statistics, index, 160 * index, index * 0.02)
    assert statistics.expected == (WORD << 16 | 3) << 32 | 480


def test_loss_reordering_and_duplicates() -> None:
    statistics = StreamStatistics()
    order = [0, 1, 2, 5, 4, 6, 6, 7, 10, 11, 3, 3, 12]
    for position, sequence in enumerate(order):
        feed(statistics, sequence, 160 * sequence, position * 0.02)
    totals = statistics.totals()
    assert totals.packets == len(order)
    assert totals.expected == 13
    assert totals.lost == 2  # 8 and 9
    assert totals.duplicates == 2
    assert totals.reordered == 2
    assert totals.gaps == 1  # the one that was never filled


@pytest.mark.parametrize(
    ("order", "gaps"),
    [
        ([0, 1, 2, 4, 3, 5], 0),
        ([0, 4, 5], 1),
        ([0, 4, 1, 5], 1),
        ([0, 4, 3, 5], 1),
        ([0, 4, 2, 5], 2),
        ([0, 4, 2, 1, 3, 5], 0),
        ([5, 4, 6], 0),
        ([5, 3, 6], 1),
        ([5, 3, 4, 6], 0),
        ([5, 3, 2, 6], 1),
        ([65_534, 65_535, 1, 0, 2], 0),
        ([0, *range(2, 60), 1, *range(60, 70)], 0),
    ],
)
def test_a_gap_is_one_no_longer_once_it_is_filled(order: list[int], gaps: int) -> None:
    statistics = StreamStatistics()
    for sequence in order:
        feed(statistics, sequence, 160 * sequence, 0.0)
    assert statistics.totals().gaps == gaps


def test_a_packet_from_before_the_first() -> None:
    statistics = StreamStatistics()
    for sequence in (1, 0, 2):
        feed(statistics, sequence, 160 * sequence, 0.0)
    totals = statistics.totals()
    assert (totals.expected, totals.lost, totals.reordered) == (3, 0, 1)


def test_a_restart_needs_two_packets_in_a_row() -> None:
    statistics = StreamStatistics()
    for index in range(10):
        feed(statistics, index, 160 * index, index * 0.02)
    feed(statistics, 30_000, 5, 0.2)
    assert statistics.totals().expected == 10
    feed(statistics, 10, 1600, 0.22)
    assert statistics.totals().expected == 11
    for index in range(5):
        feed(statistics, 40_000 + index, 160 * index, 0.24 + index * 0.02)
    totals = statistics.totals()
    assert (totals.sources, totals.lost, totals.expected) == (2, 0, 16)
    assert statistics.highest_sequence == 40_004


def test_a_new_source_keeps_the_counts() -> None:
    statistics = StreamStatistics()
    for sequence in (0, 1, 3):
        feed(statistics, sequence, 160 * sequence, sequence * 0.02, ssrc=1)
    for sequence in (500, 501, 505):
        feed(statistics, sequence, 160 * sequence, sequence * 0.02, ssrc=2)
    totals = statistics.totals()
    assert (totals.packets, totals.expected, totals.lost, totals.sources, totals.ssrc) == (6, 10, 4, 2, 2)


def reference_jitter(packets: list[tuple[float, int]], rate: int) -> float:
    """RFC 3550 section 6.4.1, word for word: in order of arrival, in seconds."""
    jitter = 0.0
    for (before, before_stamp), (arrival, stamp) in pairwise(packets):
        difference = (arrival - before) * rate - (stamp - before_stamp)
        jitter += (abs(difference) - jitter) / 16
    return jitter / rate


def test_jitter_is_that_of_the_rfc() -> None:
    chance = random.Random(7)
    statistics = StreamStatistics()
    packets = []
    for index in range(1000):
        if chance.random() < 0.05:
            continue
        packets.append((index * 0.02 + chance.random() * 0.01, index))
    for position in range(10, len(packets) - 1, 50):
        packets[position], packets[position + 1] = packets[position + 1], packets[position]
    arrivals = sorted(arrival for arrival, _ in packets)
    packets = [(arrival, index) for arrival, (_, index) in zip(arrivals, packets, strict=True)]
    for arrival, index in packets:
        feed(statistics, index, 160 * index, arrival)
    expected = reference_jitter([(arrival, 160 * index) for arrival, index in packets], 8000)
    assert statistics.totals().jitter == pytest.approx(expected, rel=1e-9)
    assert expected > 0.001


def test_marker_silence_and_a_new_time_line() -> None:
    statistics = StreamStatistics()
    for index in range(5):
        feed(statistics, index, 160 * index, index * 0.02)
    feed(statistics, 5, 160 * 100, 2.0, word=WORD | 0x80)  # a talk spurt after silence
    feed(statistics, 6, 160 * 101, 2.02)
    assert statistics.totals().jitter < 1e-6
    feed(statistics, 7, 3_000_000_000, 2.04)  # the sender's clock began anew
    feed(statistics, 8, 3_000_000_160, 2.06)
    assert statistics.totals().jitter < 1e-6
    assert statistics.totals().lost == 0


def test_events_count_but_tell_nothing_of_jitter() -> None:
    statistics = StreamStatistics()
    for index in range(5):
        feed(statistics, index, 160 * index, index * 0.02)
    for index in range(5, 10):
        feed(statistics, index, 800, index * 0.02, word=0x8065, size=16, event=True)
    for index in range(10, 15):
        feed(statistics, index, 160 * index, index * 0.02)
    totals = statistics.totals()
    assert (totals.packets, totals.lost, totals.payload_type) == (15, 0, 0)
    assert totals.jitter < 1e-6
    assert totals.bytes == 10 * 172 + 5 * 16


def test_events_first() -> None:
    statistics = StreamStatistics()
    feed(statistics, 1, 800, 5.0, word=0x8065, size=16, event=True)
    assert statistics.totals().payload_type == -1
    assert statistics.totals().last_arrival == 5.0
    for index in range(2, 5):
        feed(statistics, index, 160 * index, 5 + index * 0.02)
    assert statistics.totals().jitter < 1e-6
    assert statistics.totals().payload_type == 0


def test_another_codec_with_another_clock() -> None:
    statistics = StreamStatistics()
    for index in range(4):
        feed(statistics, index, 160 * index, index * 0.02)
    for index in range(4, 8):
        feed(statistics, index, 77_000 + 960 * index, index * 0.02, word=0x806F, rate=48_000)
    totals = statistics.totals()
    assert (totals.payload_type, totals.lost) == (111, 0)
    assert totals.jitter < 1e-6
    assert statistics.clock_rate == 48_000


def test_sizes_that_change_are_summed() -> None:
    statistics = StreamStatistics()
    sizes = [172, 172, 172, 172, 92, 92, 172, 60, 60, 60, 60]
    for index, size in enumerate(sizes):
        feed(statistics, index, 160 * index, index * 0.02, size=size)
        assert statistics.totals().bytes == sum(sizes[: index + 1])


@given(st.lists(st.integers(-3, 5), min_size=1, max_size=300), st.integers(0, 65535))
@settings(max_examples=200, deadline=None)
def test_counts_agree_with_counting(steps: list[int], start: int) -> None:
    """Whatever order packets come in, within the bounds, the counts are those of a set of numbers."""
    statistics = StreamStatistics()
    number = start + 65536
    numbers = []
    for step in steps:
        number += step
        numbers.append(number)
    kept: list[int] = []
    for position, value in enumerate(numbers):
        if kept and not max(kept) - 90 < value:
            continue
        kept.append(value)
        feed(statistics, value, 160 * value, position * 0.02)
    totals = statistics.totals()
    expected = max(kept) - min(kept) + 1
    assert totals.packets == len(kept)
    assert totals.expected == expected
    assert totals.duplicates == len(kept) - len(set(kept))
    assert totals.lost == expected - len(set(kept))


@given(
    st.lists(
        st.tuples(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 2), st.booleans()), max_size=60
    )
)
@settings(max_examples=200, deadline=None)
def test_no_numbers_break_it(packets: list[tuple[int, int, int, bool]]) -> None:
    statistics = StreamStatistics()
    for position, (head, timestamp, ssrc, event) in enumerate(packets):
        feed(statistics, head, timestamp, position * 0.02, ssrc, head >> 16, 100, 8000, event)
        totals = statistics.totals()
        assert totals.packets == position + 1
        assert 0 <= totals.lost <= totals.expected
        assert totals.jitter >= 0
