"""One-way audio, silence and dead calls are told when they begin and when they end, and never on hold."""

from __future__ import annotations

from app.media.monitoring import Problem, StreamWatch
from app.media.negotiation import NegotiatedMedia, Side, SideMedia
from app.media.sdp import Direction


def media(
    caller: Direction = Direction.SENDRECV, called: Direction = Direction.SENDRECV, active: bool = True
) -> NegotiatedMedia:
    sides = tuple(
        SideMedia("192.0.2.1", 4000, "192.0.2.1", 4001, False, direction, None) for direction in (caller, called)
    )
    return NegotiatedMedia((sides[0], sides[1]), ((), ()), (None, None), "PCMU", "PCMU", 20, active, False, "")


def test_nothing_is_missed_before_the_answer() -> None:
    watch = StreamWatch()
    assert watch.check((-1, -1), 1000, 8) == []
    assert not watch.is_dead(-1, 1000, 60)


def test_one_way_begins_and_ends() -> None:
    watch = StreamWatch()
    watch.expect(media(), 100)
    assert watch.check((-1, 107.9), 107.9, 8) == []
    assert watch.check((-1, 108), 108, 8) == [(Side.CALLER, Problem.ONE_WAY)]
    assert watch.check((-1, 109), 109, 8) == []
    assert watch.problems == [Problem.ONE_WAY, Problem.NONE]
    assert watch.check((110, 110), 110, 8) == [(Side.CALLER, Problem.NONE)]
    assert watch.check((110, 118), 118, 8) == [(Side.CALLER, Problem.ONE_WAY)]


def test_silence_of_both() -> None:
    watch = StreamWatch()
    watch.expect(media(), 100)
    assert watch.check((101, 101), 109, 8) == [(Side.CALLER, Problem.SILENT), (Side.CALLED, Problem.SILENT)]
    assert watch.check((101, 110), 110, 8) == [(Side.CALLER, Problem.ONE_WAY), (Side.CALLED, Problem.NONE)]


def test_hold_is_no_problem() -> None:
    watch = StreamWatch()
    watch.expect(media(), 100)
    watch.expect(media(caller=Direction.SENDONLY, called=Direction.RECVONLY), 101)
    assert watch.check((101, 101), 500, 8) == []
    assert not watch.is_dead(101, 500, 60)
    watch.expect(media(), 500)
    assert watch.check((101, 101), 507, 8) == []
    assert len(watch.check((101, 101), 508, 8)) == 2
    assert not watch.is_dead(101, 559, 60)
    assert watch.is_dead(101, 560, 60)


def test_a_stream_that_was_refused_is_not_missed() -> None:
    watch = StreamWatch()
    watch.expect(media(active=False), 100)
    assert watch.check((-1, -1), 500, 8) == []
    assert not watch.is_dead(-1, 500, 60)


def test_dead_is_told_once_and_can_be_off() -> None:
    watch = StreamWatch()
    watch.expect(media(), 100)
    assert not watch.is_dead(-1, 1000, 0)
    assert not watch.is_dead(150, 209, 60)
    assert watch.is_dead(150, 210, 60)
    assert not watch.is_dead(150, 211, 60)
