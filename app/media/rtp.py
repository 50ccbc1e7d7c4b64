"""RTP and RTCP on the wire (RFC 3550): headers, compound RTCP packets, sequence arithmetic, round trip from reports."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from app.errors import TrunklineError

RTP_HEADER_SIZE = 12
MAXIMUM_RTCP_PACKETS = 64
"""More packets than this in one compound packet are not read: no honest one has so many."""

_RTP_HEADER = struct.Struct("!BBHII")
_RTCP_HEADER = struct.Struct("!BBH")
_SENDER_INFO = struct.Struct("!IQIII")
_REPORT_BLOCK = struct.Struct("!IIIIII")

SENDER_REPORT = 200
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202
GOODBYE = 203


class RtpError(TrunklineError):
    """Bytes that are no RTP or RTCP packet; the text says why."""


class RtpHeader(NamedTuple):
    """The header of an RTP packet (RFC 3550 section 5.1)."""

    payload_type: int
    marker: bool
    sequence_number: int
    timestamp: int
    ssrc: int
    payload_offset: int
    """Where the payload begins: behind contributing sources and header extension."""
    payload_end: int
    """Where it ends: before the padding."""


def parse_rtp(data: bytes | bytearray | memoryview, size: int | None = None) -> RtpHeader:
    """Read the header of an RTP packet of `size` bytes (all of `data` by default). Raises `RtpError`."""
    length = len(data) if size is None else size
    if length < RTP_HEADER_SIZE:
        raise RtpError(f"an RTP packet has at least {RTP_HEADER_SIZE} bytes, this one {length}")
    first, second, sequence_number, timestamp, ssrc = _RTP_HEADER.unpack_from(data)
    if first >> 6 != 2:
        raise RtpError(f"RTP version {first >> 6}")
    offset = RTP_HEADER_SIZE + 4 * (first & 0x0F)
    if first & 0x10:
        if offset + 4 > length:
            raise RtpError("the RTP header extension is cut off")
        offset += 4 + 4 * int.from_bytes(data[offset + 2 : offset + 4], "big")
    end = length
    if first & 0x20:
        padding = data[length - 1]
        if not padding or offset + padding > length:
            raise RtpError("the RTP padding is longer than the payload or 0")
        end -= padding
    if offset > end:
        raise RtpError("the RTP header is cut off")
    return RtpHeader(second & 0x7F, bool(second & 0x80), sequence_number, timestamp, ssrc, offset, end)


def build_rtp(
    payload_type: int, sequence_number: int, timestamp: int, ssrc: int, payload: bytes, marker: bool = False
) -> bytes:
    """An RTP packet without contributing sources, extension and padding."""
    return (
        _RTP_HEADER.pack(
            0x80, payload_type | (0x80 if marker else 0), sequence_number & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc
        )
        + payload
    )


def is_rtcp(data: bytes | bytearray | memoryview) -> bool:
    """Whether a packet on a port shared by RTP and RTCP is RTCP (RFC 5761 section 4)."""
    return len(data) >= 2 and data[0] >> 6 == 2 and 192 <= data[1] <= 223


def sequence_difference(later: int, earlier: int) -> int:
    """How many packets `later` is ahead of `earlier` (16 bits, negative when behind)."""
    difference = (later - earlier) & 0xFFFF
    return difference - 0x10000 if difference >= 0x8000 else difference


def timestamp_difference(later: int, earlier: int) -> int:
    """How many clock ticks `later` is ahead of `earlier` (32 bits, negative when behind)."""
    difference = (later - earlier) & 0xFFFFFFFF
    return difference - 0x1_0000_0000 if difference >= 0x8000_0000 else difference


class ReportBlock(NamedTuple):
    """What a receiver says of one source (RFC 3550 section 6.4.1)."""

    ssrc: int
    fraction_lost: float
    """0 to 1, since the last report."""
    packets_lost: int
    """In all; may be negative where packets came twice."""
    highest_sequence: int
    jitter: int
    """In clock ticks."""
    last_sender_report: int
    """The middle 32 bits of the NTP time of the last sender report; 0: none came."""
    delay: float
    """Seconds since that report."""


@dataclass(frozen=True, slots=True)
class SenderReport:
    """RFC 3550 section 6.4.1."""

    ssrc: int
    ntp_time: int
    """64 bits: seconds since 1900 and their fraction."""
    rtp_timestamp: int
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...]

    @property
    def ntp_middle(self) -> int:
        """The 32 bits by which receivers refer to this report."""
        return (self.ntp_time >> 16) & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """RFC 3550 section 6.4.2."""

    ssrc: int
    reports: tuple[ReportBlock, ...]


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """RFC 3550 section 6.5: per source its items (type, text)."""

    chunks: tuple[tuple[int, tuple[tuple[int, bytes], ...]], ...]


@dataclass(frozen=True, slots=True)
class Goodbye:
    """RFC 3550 section 6.6."""

    sources: tuple[int, ...]
    reason: bytes


@dataclass(frozen=True, slots=True)
class OtherRtcp:
    """A packet of a type that is only passed on: APP, feedback, extended report."""

    packet_type: int
    count: int
    body: bytes


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Goodbye | OtherRtcp


def parse_rtcp(data: bytes) -> list[RtcpPacket]:
    """Read a compound RTCP packet (RFC 3550 section 6.1; a single packet as in RFC 5506 is fine). Raises `RtpError`."""
    packets: list[RtcpPacket] = []
    offset, length = 0, len(data)
    if length < 4:
        raise RtpError(f"an RTCP packet has at least 4 bytes, this one {length}")
    while offset < length:
        if offset + 4 > length:
            raise RtpError("the RTCP header is cut off")
        if len(packets) == MAXIMUM_RTCP_PACKETS:
            raise RtpError(f"more than {MAXIMUM_RTCP_PACKETS} RTCP packets in one")
        first, packet_type, words = _RTCP_HEADER.unpack_from(data, offset)
        if first >> 6 != 2:
            raise RtpError(f"RTCP version {first >> 6}")
        end = offset + 4 + 4 * words
        if end > length:
            raise RtpError("the RTCP packet is cut off")
        body = data[offset + 4 : end]
        if first & 0x20:
            if end != length or not body or not body[-1] or body[-1] % 4 or body[-1] > len(body):
                raise RtpError("the RTCP padding is not of a length that can be")
            body = body[: -body[-1]]
        packets.append(_parse_rtcp_body(packet_type, first & 0x1F, body))
        offset = end
    return packets


def _parse_rtcp_body(packet_type: int, count: int, body: bytes) -> RtcpPacket:
    if packet_type == SENDER_REPORT:
        if len(body) < 24:
            raise RtpError("the sender report is cut off")
        ssrc, ntp_time, rtp_timestamp, packets, octets = _SENDER_INFO.unpack_from(body)
        return SenderReport(ssrc, ntp_time, rtp_timestamp, packets, octets, _parse_reports(body, 24, count))
    if packet_type == RECEIVER_REPORT:
        if len(body) < 4:
            raise RtpError("the receiver report is cut off")
        return ReceiverReport(int.from_bytes(body[:4], "big"), _parse_reports(body, 4, count))
    if packet_type == SOURCE_DESCRIPTION:
        return SourceDescription(_parse_chunks(body, count))
    if packet_type == GOODBYE:
        return _parse_goodbye(body, count)
    return OtherRtcp(packet_type, count, body)


def _parse_reports(body: bytes, offset: int, count: int) -> tuple[ReportBlock, ...]:
    if offset + 24 * count > len(body):
        raise RtpError("a report block is cut off")
    reports = []
    for position in range(offset, offset + 24 * count, 24):
        ssrc, loss, highest, jitter, last, delay = _REPORT_BLOCK.unpack_from(body, position)
        lost = loss & 0xFFFFFF
        if lost & 0x800000:
            lost -= 0x1000000
        reports.append(ReportBlock(ssrc, (loss >> 24) / 256, lost, highest, jitter, last, delay / 65536))
    return tuple(reports)


def _parse_chunks(body: bytes, count: int) -> tuple[tuple[int, tuple[tuple[int, bytes], ...]], ...]:
    chunks = []
    offset = 0
    for _ in range(count):
        if offset + 4 > len(body):
            raise RtpError("a source description is cut off")
        ssrc = int.from_bytes(body[offset : offset + 4], "big")
        offset += 4
        items = []
        while offset < len(body) and body[offset]:
            if offset + 2 > len(body) or offset + 2 + body[offset + 1] > len(body):
                raise RtpError("an item of a source description is cut off")
            end = offset + 2 + body[offset + 1]
            items.append((body[offset], body[offset + 2 : end]))
            offset = end
        # A chunk ends with at least one null byte and at a multiple of four bytes.
        offset += 4 - offset % 4
        if offset > len(body):
            raise RtpError("a source description has no end")
        chunks.append((ssrc, tuple(items)))
    return tuple(chunks)


def _parse_goodbye(body: bytes, count: int) -> Goodbye:
    end = 4 * count
    if end > len(body):
        raise RtpError("the goodbye is cut off")
    sources = tuple(int.from_bytes(body[position : position + 4], "big") for position in range(0, end, 4))
    reason = b""
    if end < len(body):
        size = body[end]
        if end + 1 + size > len(body):
            raise RtpError("the reason of the goodbye is cut off")
        reason = body[end + 1 : end + 1 + size]
    return Goodbye(sources, reason)


class RoundTrip:
    """The round trip between this server and one side, from reports that pass through (RFC 3550 section 6.4.1).

    A sender report that goes to the side is remembered with its time; the side's reports name it and say how long ago
    it came, the rest of the time was spent on the way.
    """

    _KEPT = 8

    __slots__ = ("_sent", "seconds")

    def __init__(self) -> None:
        self._sent: dict[int, float] = {}
        self.seconds: float | None = None
        """The newest value, None while there is none."""

    def passed_on(self, report: SenderReport, now: float) -> None:
        """A sender report goes to the side now. Only the newest few are remembered."""
        self._sent[report.ntp_middle] = now
        if len(self._sent) > self._KEPT:
            del self._sent[next(iter(self._sent))]

    def reported(self, block: ReportBlock, now: float) -> float | None:
        """A report of the side came; returns the round trip in seconds where it tells one."""
        if not block.last_sender_report:
            return None
        sent_at = self._sent.get(block.last_sender_report)
        if sent_at is None:
            return None
        seconds = now - sent_at - block.delay
        if not -0.05 < seconds < 60:
            return None
        # Clocks of phones are coarse: a slightly negative result is no distance at all.
        self.seconds = max(seconds, 0.0)
        return self.seconds
