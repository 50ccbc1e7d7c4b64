"""DTMF digits as telephone-event packets (RFC 4733): read, told once each, and made."""

from __future__ import annotations

from typing import NamedTuple

DIGITS = "0123456789*#ABCD"
"""The digits in the order of their event codes (RFC 4733 section 3.2)."""
END_PACKETS = 3
"""The last packet of an event is sent this often (RFC 4733 section 2.5.1.4)."""
MAXIMUM_DURATION_MS = 6_000
MINIMUM_DURATION_MS = 40

_UNFINISHED_AFTER = 0.25
"""Seconds without a packet from where on an event without end is over."""


class EventPayload(NamedTuple):
    """The four bytes of an event (RFC 4733 section 2.3)."""

    event: int
    end: bool
    volume: int
    """Power in -dBm0, 0 to 63."""
    duration: int
    """In clock ticks."""


def parse_event(payload: bytes | bytearray | memoryview) -> EventPayload | None:
    """Read a telephone-event payload; None where it is too short to be one."""
    if len(payload) < 4:
        return None
    return EventPayload(payload[0], bool(payload[1] & 0x80), payload[1] & 0x3F, int.from_bytes(payload[2:4], "big"))


def build_event(event: EventPayload) -> bytes:
    """The four bytes of an event."""
    return bytes((event.event & 0xFF, (0x80 if event.end else 0) | (event.volume & 0x3F))) + (
        min(event.duration, 0xFFFF)
    ).to_bytes(2, "big")


def event_code(digit: str) -> int | None:
    """The event code of a digit (0-9, *, #, A-D in either case), or None."""
    return DIGITS.find(digit.upper()) if len(digit) == 1 and digit.upper() in DIGITS else None


class Digit(NamedTuple):
    """A digit that was pressed."""

    digit: str
    duration_ms: int


class EventDetector:
    """Makes one digit of the many packets of an event: packets of one event share its timestamp."""

    __slots__ = ("_duration", "_event", "_rate", "_reported", "_seen_at", "_timestamp")

    def __init__(self) -> None:
        self._timestamp = -1
        self._event = -1
        self._duration = 0
        self._rate = 8000
        self._reported = True
        self._seen_at = 0.0

    @property
    def open(self) -> bool:
        """Whether an event has begun and was not told yet."""
        return not self._reported

    def receive(self, timestamp: int, payload: EventPayload, clock_rate: int, now: float) -> list[Digit]:
        """Take one packet. Returns the digits that it completes: this one at its end, one before that lost its end."""
        digits: list[Digit] = []
        if timestamp != self._timestamp:
            behind = (self._timestamp - timestamp) & 0xFFFFFFFF
            if self._timestamp >= 0 and 0 < behind < 10 * clock_rate:
                return digits  # a late packet of an event that is over
            continues = (
                not self._reported
                and payload.event == self._event
                and (timestamp - self._timestamp) & 0xFFFFFFFF == 0xFFFF
            )
            if continues:
                # A long event goes on in a new segment (RFC 4733 section 2.5.1.3).
                self._timestamp = timestamp
            else:
                digits += self._finish()
                self._timestamp, self._event = timestamp, payload.event
                self._duration, self._rate = 0, clock_rate
                self._reported = payload.event >= len(DIGITS)
        self._seen_at = now
        self._duration = max(self._duration, payload.duration)
        if payload.end:
            digits += self._finish()
        return digits

    def expire(self, now: float) -> list[Digit]:
        """The event that has lost its end, once nothing came of it for a while."""
        return self._finish() if not self._reported and now - self._seen_at >= _UNFINISHED_AFTER else []

    def _finish(self) -> list[Digit]:
        if self._reported:
            return []
        self._reported = True
        return [Digit(DIGITS[self._event], self._duration * 1000 // self._rate)]


class EventPacket(NamedTuple):
    """One packet to send: the RTP header's part of it and the payload."""

    marker: bool
    timestamp: int
    payload: bytes


class EventSender:
    """The packets of one digit: first with the marker, then longer and longer, the end three times.

    All carry the timestamp of the beginning. `next_at` tells when the next one is due.
    """

    __slots__ = ("_code", "_duration", "_ends", "_interval", "_rate", "_started", "_timestamp", "next_at")

    def __init__(self, code: int, duration_ms: int, clock_rate: int, packet_time_ms: int, timestamp: int, now: float):
        self._code = code
        bounded = min(max(duration_ms, MINIMUM_DURATION_MS), MAXIMUM_DURATION_MS)
        self._rate = clock_rate
        self._interval = min(max(packet_time_ms, 10), 60) / 1000
        # 65535 ticks are the longest that one event can tell.
        self._duration = min(bounded / 1000, 0xFFFF / clock_rate)
        self._timestamp = timestamp & 0xFFFFFFFF
        self._started = now
        self._ends = 0
        self.next_at = now

    @property
    def finished(self) -> bool:
        """Whether the last end packet was sent."""
        return self._ends >= END_PACKETS

    def due(self, now: float) -> EventPacket | None:
        """The packet that is due, or None before `next_at`."""
        if self.finished or now < self.next_at:
            return None
        first = self.next_at == self._started
        elapsed = self.next_at - self._started + self._interval
        end = elapsed >= self._duration - 1e-9
        self._ends += end
        duration = int(min(elapsed, self._duration) * self._rate + 0.5)
        payload = build_event(EventPayload(self._code, end, 10, duration))
        self.next_at += self._interval
        if self.next_at < now - self._interval:
            self.next_at = now  # the loop was late: go on from here instead of sending a burst
        return EventPacket(first, self._timestamp, payload)
