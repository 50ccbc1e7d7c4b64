"""The gauges of relayed audio are fair to calls on hold and hard on audio that is missed."""

from __future__ import annotations

from typing import Any

import pytest

from app.calls.relay import _figures, _host_of, _row, judged, problem_words
from app.media.control import StreamSnapshot
from app.media.monitoring import Problem
from app.media.negotiation import Side


def snapshot(**values: Any) -> StreamSnapshot:
    fields: dict[str, Any] = dict.fromkeys(StreamSnapshot._fields, 0)
    fields |= {"call_id": "1", "side": Side.CALLER, "codec": "PCMA/8000", "remote_host": "", "problem": ""}
    fields |= {"packets": 500, "packets_per_second": 50.0, "mos": 4.4, "recent_mos": 4.3, "last_packet_ago": 0.01}
    return StreamSnapshot(**(fields | values))


def test_a_stream_that_flows_is_judged_as_it_is() -> None:
    assert judged(snapshot()) == snapshot()
    assert _row(judged(snapshot())).mos == 4.3
    assert _row(judged(snapshot(packets_per_second=49.96))).packets_per_second == 50.0


def test_a_call_on_hold_is_not_the_worst_of_all() -> None:
    held = judged(snapshot(packets_per_second=0.0, recent_mos=1.0))
    assert _row(held).mos == 4.4
    figures = _figures([held, snapshot()], 1)
    assert (figures["mos_worst"], figures["mos_median"]) == (4.3, 4.3)


@pytest.mark.parametrize("problem", ["one-way", "silent"])
@pytest.mark.parametrize("packets", [0, 500])
def test_audio_that_is_missed_is_the_worst(problem: str, packets: int) -> None:
    score = 4.4 if packets else 0.0
    missed = judged(snapshot(packets=packets, packets_per_second=0.0, mos=score, recent_mos=0.0, problem=problem))
    assert _row(missed).mos == 1.0
    assert _figures([missed, snapshot()], 1)["mos_worst"] == 1.0


def test_nothing_is_known_before_the_first_packet() -> None:
    first = judged(snapshot(packets=0, packets_per_second=0.0, mos=0.0, recent_mos=0.0, last_packet_ago=-1.0))
    assert _row(first).mos == 0.0
    assert _figures([first], 1) == {
        "relayed": 1,
        "packets_per_second": 0.0,
        "mos_worst": 0.0,
        "mos_median": 0.0,
        "jitter_ms": 0.0,
        "loss_percent": 0.0,
    }


def test_a_row_tells_every_figure() -> None:
    row = _row(snapshot(side=Side.CALLED, gaps=3, lost=7, bytes=86_000, round_trip_ms=12.34, jitter_ms=1.234))
    assert (row.side, row.gaps, row.lost, row.bytes, row.round_trip_ms, row.jitter_ms) == (
        "called", 3, 7, 86_000, 12.3, 1.23,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("caller", "called", "words"),
    [
        (Problem.NONE, Problem.NONE, ""),
        (Problem.SILENT, Problem.SILENT, "no audio comes from either side"),
        (Problem.ONE_WAY, Problem.NONE, "one-way audio: nothing comes from the caller"),
        (Problem.NONE, Problem.ONE_WAY, "one-way audio: nothing comes from the called side"),
        # The other side is not expected to send: it listens only.
        (Problem.SILENT, Problem.NONE, "no audio comes from the caller"),
    ],
)
def test_what_is_wrong_with_the_audio_in_words(caller: Problem, called: Problem, words: str) -> None:
    assert problem_words((caller, called)) == words


@pytest.mark.parametrize(
    ("contact", "host"),
    [
        ("sip:100@192.168.1.5:5060", "192.168.1.5"),
        ("sip:100@[2001:db8::5];transport=tcp", "2001:db8::5"),
        ("sip:100@phone.example", ""),
        ("rubbish", ""),
        ("", ""),
    ],
)
def test_the_address_in_a_contact(contact: str, host: str) -> None:
    assert _host_of(contact) == host
