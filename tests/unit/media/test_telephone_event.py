"""Digits as telephone-event: told once each, and made so that any receiver understands them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.media.telephone_event import (
    Digit,
    EventDetector,
    EventPayload,
    EventSender,
    build_event,
    event_code,
    parse_event,
)


def event(code: int, duration: int, end: bool = False) -> EventPayload:
    return EventPayload(code, end, 10, duration)


def test_payload() -> None:
    assert parse_event(b"\x05\x8a\x03\x20") == (5, True, 10, 800)
    assert parse_event(b"\x05\x8a\x03") is None
    assert build_event(EventPayload(11, True, 10, 800)) == b"\x0b\x8a\x03\x20"
    assert build_event(EventPayload(1, False, 0, 99_999)) == b"\x01\x00\xff\xff"


@given(st.binary(min_size=4, max_size=8))
def test_any_payload(data: bytes) -> None:
    parsed = parse_event(data)
    assert parsed is not None
    again = build_event(parsed)
    assert parse_event(again) == parsed


def test_codes() -> None:
    assert [event_code(digit) for digit in "0*#aD"] == [0, 10, 11, 12, 15]
    assert event_code("x") is None and event_code("") is None and event_code("12") is None


def test_one_digit_of_many_packets() -> None:
    detector = EventDetector()
    told = []
    for duration in (160, 320, 480, 640):
        told += detector.receive(1000, event(5, duration), 8000, 0.0)
    assert told == [] and detector.open
    for _ in range(3):
        told += detector.receive(1000, event(5, 800, end=True), 8000, 0.1)
    assert told == [Digit("5", 100)] and not detector.open
    assert detector.receive(1000, event(5, 640), 8000, 0.1) == []


def test_the_same_digit_twice() -> None:
    detector = EventDetector()
    told = detector.receive(1000, event(5, 800, True), 8000, 0.0) + detector.receive(
        3000, event(5, 400, True), 8000, 0.2
    )
    assert told == [Digit("5", 100), Digit("5", 50)]


def test_a_lost_end() -> None:
    detector = EventDetector()
    detector.receive(1000, event(1, 480), 8000, 0.0)
    assert detector.receive(4000, event(2, 160), 8000, 0.3) == [Digit("1", 60)]
    assert detector.expire(0.4) == []
    assert detector.expire(0.6) == [Digit("2", 20)]
    assert detector.expire(0.9) == []


def test_late_packets_of_an_older_digit() -> None:
    detector = EventDetector()
    detector.receive(1000, event(1, 480, True), 8000, 0.0)
    detector.receive(4000, event(2, 480, True), 8000, 0.3)
    assert detector.receive(1000, event(1, 480, True), 8000, 0.31) == []


def test_a_long_digit_in_segments() -> None:
    detector = EventDetector()
    detector.receive(1000, event(3, 0xFFFF), 8000, 0.0)
    assert detector.receive(1000 + 0xFFFF, event(3, 800, True), 8000, 8.2) == [Digit("3", 8191)]


def test_events_that_are_no_digits() -> None:
    detector = EventDetector()
    assert detector.receive(1000, event(16, 800, True), 8000, 0.0) == []
    assert detector.receive(2000, event(255, 800, True), 8000, 0.0) == []


def send_all(sender: EventSender) -> list[tuple[float, bool, EventPayload, int]]:
    packets = []
    while not sender.finished:
        now = sender.next_at
        packet = sender.due(now)
        assert packet is not None
        payload = parse_event(packet.payload)
        assert payload is not None
        packets.append((now, packet.marker, payload, packet.timestamp))
    return packets


def test_a_digit_is_sent() -> None:
    packets = send_all(EventSender(7, 100, 8000, 20, 5000, 10.0))
    assert [marker for _, marker, _, _ in packets] == [True] + [False] * 6
    assert {timestamp for *_, timestamp in packets} == {5000}
    assert [payload.duration for _, _, payload, _ in packets] == [160, 320, 480, 640, 800, 800, 800]
    assert [payload.end for _, _, payload, _ in packets] == [False] * 4 + [True] * 3
    detector = EventDetector()
    told = [digit for now, _, payload, stamp in packets for digit in detector.receive(stamp, payload, 8000, now)]
    assert told == [Digit("7", 100)]


def test_nothing_is_due_early_and_a_late_loop_sends_no_burst() -> None:
    sender = EventSender(7, 200, 8000, 20, 5000, 10.0)
    assert sender.due(9.99) is None
    assert sender.due(10.0) is not None
    assert sender.due(10.01) is None
    assert sender.due(10.5) is not None
    assert sender.next_at == 10.5


def test_durations_are_bounded() -> None:
    assert len(send_all(EventSender(7, 1, 8000, 20, 0, 0.0))) == 4
    packets = send_all(EventSender(7, 10_000_000, 48_000, 20, 0, 0.0))
    assert packets[-1][2].duration == 0xFFFF
