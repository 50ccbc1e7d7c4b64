"""RTP and RTCP headers: every length is checked, and what is right is read right."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.media.rtp import (
    Goodbye,
    OtherRtcp,
    ReceiverReport,
    RoundTrip,
    RtpError,
    SenderReport,
    SourceDescription,
    build_rtp,
    is_rtcp,
    parse_rtcp,
    parse_rtp,
    sequence_difference,
    timestamp_difference,
)


def block(ssrc: int = 9, fraction: int = 0, lost: int = 0, last: int = 0, delay: int = 0) -> bytes:
    return struct.pack("!IIIIII", ssrc, fraction << 24 | lost & 0xFFFFFF, 70_000, 80, last, delay)


def packet(kind: int, count: int, body: bytes, padding: bool = False) -> bytes:
    return struct.pack("!BBH", 0x80 | (0x20 if padding else 0) | count, kind, len(body) // 4) + body


def sender_report(ntp: int = 0x0102_0304_0506_0708, *blocks: bytes) -> bytes:
    return packet(200, len(blocks), struct.pack("!IQIII", 7, ntp, 160, 10, 1600) + b"".join(blocks))


SDES = packet(202, 1, struct.pack("!I", 7) + b"\x01\x03abc\x02\x01x\x00\x00\x00\x00")


def test_a_plain_packet() -> None:
    header = parse_rtp(build_rtp(8, 65535, 1 << 32, 0xFFFFFFFF, b"x" * 160, marker=True))
    assert header == (8, True, 65535, 0, 0xFFFFFFFF, 12, 172)


def test_sources_extension_and_padding() -> None:
    data = (
        bytes([0x80 | 0x20 | 0x10 | 2, 0]) + bytes(10) + bytes(8) + b"\xbe\xde\x00\x01" + bytes(4) + b"data" + b"\0\2"
    )
    header = parse_rtp(data)
    assert data[header.payload_offset : header.payload_end] == b"data"
    assert parse_rtp(bytearray(data + b"rubbish"), len(data)) == header


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(11),
        bytes(12),
        b"\xc0" + bytes(20),
        b"\x8f" + bytes(11),
        b"\x90" + bytes(11),
        b"\x90" + bytes(11) + b"\0\0\xff\xff",
        b"\xa0" + bytes(11),
        b"\xa0" + bytes(11) + b"\x09",
    ],
)
def test_broken_rtp(data: bytes) -> None:
    with pytest.raises(RtpError):
        parse_rtp(data)


def test_arithmetic_wraps() -> None:
    assert sequence_difference(1, 65535) == 2
    assert sequence_difference(65535, 1) == -2
    assert timestamp_difference(5, 0xFFFFFFFF) == 6
    assert timestamp_difference(0xFFFFFFFF, 5) == -6


def test_rtcp_is_told_from_rtp() -> None:
    assert is_rtcp(sender_report())
    assert not is_rtcp(build_rtp(0, 1, 1, 1, b"", marker=True))
    assert not is_rtcp(b"\x80")


def test_compound() -> None:
    data = (
        sender_report(0x0102_0304_0506_0708, block(9, 128, -3, 5, 65536)) + SDES + packet(203, 1, bytes(4) + b"\x03bye")
    )
    report, description, goodbye = parse_rtcp(data)
    assert isinstance(report, SenderReport)
    assert (report.ssrc, report.ntp_middle, report.packets, report.octets) == (7, 0x0304_0506, 10, 1600)
    assert report.reports[0] == (9, 0.5, -3, 70_000, 80, 5, 1.0)
    assert isinstance(description, SourceDescription)
    assert description.chunks == ((7, ((1, b"abc"), (2, b"x"))),)
    assert goodbye == Goodbye((0,), b"bye")


def test_receiver_report_feedback_and_padding() -> None:
    data = packet(201, 1, struct.pack("!I", 7) + block()) + packet(206, 1, bytes(8))
    report, feedback = parse_rtcp(data)
    assert isinstance(report, ReceiverReport) and report.reports[0].ssrc == 9
    assert feedback == OtherRtcp(206, 1, bytes(8))
    assert parse_rtcp(packet(201, 0, struct.pack("!I", 7) + b"\0\0\0\4", padding=True)) == [ReceiverReport(7, ())]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\xc8\x00",
        b"\x40\xc8\x00\x00",
        b"\x80\xc8\x00\x06",
        packet(200, 0, bytes(20)),
        packet(200, 1, bytes(24)),
        packet(201, 0, b""),
        packet(201, 2, bytes(4) + block()),
        packet(202, 1, b""),
        packet(202, 1, bytes(4) + b"\x01\x20ab"),
        packet(202, 1, bytes(4) + b"\x01\x02ab"),
        packet(203, 2, bytes(4)),
        packet(203, 1, bytes(4) + b"\x09abc"),
        packet(201, 0, bytes(4) + b"\0\0\0\3", padding=True),
        packet(201, 0, bytes(4) + b"\0\0\0\xf0", padding=True),
        sender_report() + b"\x80",
        packet(203, 0, b"") * 65,
    ],
)
def test_broken_rtcp(data: bytes) -> None:
    with pytest.raises(RtpError):
        parse_rtcp(data)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(packet, st.integers(200, 207), st.integers(0, 31), st.binary(max_size=60)),
        st.builds(
            lambda data, position, value: data[:position] + bytes([value]) + data[position + 1 :],
            st.just(sender_report(1, block()) + SDES),
            st.integers(0, 80),
            st.integers(0, 255),
        ),
    )
)
@settings(max_examples=400, deadline=None)
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for parse in (parse_rtp, parse_rtcp):
        try:
            parse(data)
        except RtpError as error:
            assert str(error)


def test_round_trip() -> None:
    trip = RoundTrip()
    report = parse_rtcp(sender_report())[0]
    assert isinstance(report, SenderReport)
    trip.passed_on(report, 100.0)
    answer = parse_rtcp(packet(201, 1, struct.pack("!I", 7) + block(7, last=0x0304_0506, delay=2 * 65536)))[0]
    assert isinstance(answer, ReceiverReport)
    assert trip.reported(answer.reports[0], 102.25) == pytest.approx(0.25)
    assert trip.seconds == pytest.approx(0.25)
    # An early clock is no distance, a stranger's reference and nonsense are no news.
    assert trip.reported(answer.reports[0], 101.99) == 0.0
    assert trip.reported(answer.reports[0]._replace(last_sender_report=1), 103) is None
    assert trip.reported(answer.reports[0]._replace(last_sender_report=0), 103) is None
    assert trip.reported(answer.reports[0], 500) is None
    for number in range(20):
        later = parse_rtcp(sender_report(number << 16))[0]
        assert isinstance(later, SenderReport)
        trip.passed_on(later, 200)
    assert trip.reported(answer.reports[0], 102.25) is None
