"""Rows of a worker become snapshots: sums over workers, shares since the last one, scores."""

from __future__ import annotations

import pytest

from app.media.figures import EMPTY_ROW, MediaReport, add_rows, make_snapshot
from app.media.negotiation import Side

ROW = EMPTY_ROW._replace(
    packets=90,
    bytes=15_480,
    expected=100,
    lost=10,
    gaps=5,
    jitter=0.004,
    payload_type=0,
    age=0.01,
    round_trip=0.03,
    ssrc=7,
)


def test_a_snapshot() -> None:
    snapshot = make_snapshot(
        "c", Side.CALLER, ROW, ROW, None, 50.0, "PCMU/8000", "PCMU", ("192.0.2.1", 4000), "", -1.0, -1.0
    )
    assert (snapshot.loss_percent, snapshot.jitter_ms, snapshot.round_trip_ms) == (10.0, 4.0, 30.0)
    assert snapshot.recent_loss_percent == 10.0 and snapshot.packets_per_second == 0.0
    assert 1 < snapshot.mos < 3.5
    assert snapshot.reported_loss_percent == -1.0
    later = ROW._replace(packets=140, expected=150, reported_loss=0.25, reported_jitter=0.002)
    after = make_snapshot(
        "c", Side.CALLER, later, ROW, snapshot, 51.0, "PCMU/8000", "PCMU", None, "one-way", 50.5, -1.0
    )
    assert (after.recent_loss_percent, after.packets_per_second) == (0.0, 50.0)
    assert after.recent_mos > 4.3 > after.mos
    assert (after.reported_loss_percent, after.reported_jitter_ms) == (25.0, 2.0)
    assert (after.last_packet_ago, after.control_ago) == (0.5, -1.0)
    assert after.remote_host == "" and after.problem == "one-way"


@pytest.mark.parametrize(("seconds", "shown"), [(-1.0, 0.0), (0.0, 0.1), (0.000_02, 0.1), (0.25, 250.0)])
def test_a_round_trip_of_nothing_is_not_an_unknown_one(seconds: float, shown: float) -> None:
    row = ROW._replace(round_trip=seconds)
    snapshot = make_snapshot("c", Side.CALLER, row, ROW, None, 50.0, "PCMU/8000", "PCMU", None, "", -1.0, -1.0)
    assert snapshot.round_trip_ms == shown


def test_nothing_came() -> None:
    snapshot = make_snapshot(
        "c", Side.CALLED, EMPTY_ROW, EMPTY_ROW, None, 1.0, "PCMU/8000", "PCMU", None, "", -1.0, -1.0
    )
    assert (snapshot.mos, snapshot.recent_mos, snapshot.codec, snapshot.last_packet_ago) == (0.0, 0.0, "", -1.0)


def test_a_second_without_packets_is_the_worst() -> None:
    first = make_snapshot("c", Side.CALLER, ROW, ROW, None, 50.0, "PCMU/8000", "PCMU", None, "", -1.0, -1.0)
    assert (
        make_snapshot("c", Side.CALLER, ROW, ROW, first, 51.0, "PCMU/8000", "PCMU", None, "", -1.0, -1.0).recent_mos
        == 1.0
    )


def test_counts_go_on_in_the_next_worker() -> None:
    total = add_rows(ROW, EMPTY_ROW)
    assert (total.packets, total.lost, total.jitter, total.payload_type) == (90, 10, 0.004, 0)
    assert total.round_trip == 0.03
    total = add_rows(ROW, ROW._replace(jitter=0.001))
    assert (total.packets, total.bytes, total.expected, total.lost, total.gaps) == (180, 30_960, 200, 20, 10)
    assert total.jitter == 0.001
    assert add_rows(EMPTY_ROW, ROW) == ROW


def test_the_record_of_a_call() -> None:
    snapshot = make_snapshot(
        "c", Side.CALLER, ROW, ROW, None, 50.0, "PCMU/8000", "PCMU", ("192.0.2.1", 4000), "", -1.0, -1.0
    )
    first, second = MediaReport("c", snapshot, snapshot._replace(side=Side.CALLED)).to_records()
    assert (first["side"], second["side"]) == ("caller", "called")
    assert first["remote"] == "192.0.2.1:4000" and first["mos"] == pytest.approx(snapshot.mos, abs=0.01)


def test_packets_per_second_go_by_the_workers_clock() -> None:
    """A busy window hears of the figures late, and then of two at once: the stream is as even as before."""
    first = make_snapshot("c", Side.CALLER, ROW, ROW, None, 50.0, "PCMU/8000", "PCMU", None, "", -1.0, -1.0)
    later = ROW._replace(packets=ROW.packets + 50, expected=ROW.expected + 50)
    late = make_snapshot("c", Side.CALLER, later, ROW, first, 50.1, "PCMU/8000", "PCMU", None, "", -1.0, -1.0, 1.0)
    assert late.packets_per_second == 50.0
