"""Session descriptions are read tolerantly, refused with the line at fault, and written back as they came."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.media.sdp import (
    MAXIMUM_BYTES,
    AudioStream,
    Direction,
    SdpError,
    audio_stream,
    parse,
    parse_connection,
)

PHONE = (
    "v=0\r\n"
    "o=alice 2890844526 2890844526 IN IP4 192.0.2.1\r\n"
    "s=a call\r\n"
    "i=about: something\r\n"
    "c=IN IP4 192.0.2.1\r\n"
    "b=AS:80\r\n"
    "t=0 0\r\n"
    "a=tool:phone 1.0\r\n"
    "m=audio 49170 RTP/AVP 0 8 97 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:97 iLBC/8000\r\n"
    "a=fmtp:97 mode=30\r\n"
    "a=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-16\r\n"
    "a=x-unknown:some  thing \r\n"
    "a=ptime:30\r\n"
    "m=video 51372 RTP/AVP 31\r\n"
    "a=rtpmap:31 H261/90000\r\n"
)


def stream(text: str) -> AudioStream:
    return audio_stream(parse(text.replace("\n", "\r\n").encode()))


BASE = "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 RTP/AVP 0\n"


def test_it_is_written_back_byte_for_byte() -> None:
    assert parse(PHONE.encode()).to_bytes() == PHONE.encode()


def test_bytes_that_are_no_utf8_survive() -> None:
    data = b"v=0\r\ns=caf\xe9 \xff\r\nm=audio 4000 RTP/AVP 0\r\na=x:\x80\r\n"
    assert parse(data).to_bytes() == data


def test_what_a_relay_needs_is_found() -> None:
    audio = audio_stream(parse(PHONE.encode()))
    assert (audio.index, audio.host, audio.port) == (0, "192.0.2.1", 49170)
    assert (audio.rtcp_host, audio.rtcp_port, audio.rtcp_mux) == ("192.0.2.1", 49171, False)
    assert audio.direction is Direction.SENDRECV
    assert audio.packet_time == 30
    assert [(item.payload_type, item.name, item.clock_rate) for item in audio.formats] == [
        (0, "PCMU", 8000),
        (8, "PCMA", 8000),
        (97, "ILBC", 8000),
        (101, "TELEPHONE-EVENT", 8000),
    ]
    assert audio.formats[2].parameters == "mode=30"
    assert audio.formats[3].is_telephone_event and not audio.formats[3].is_speech


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n"])
def test_every_line_ending_and_blank_lines_are_read(ending: str) -> None:
    text = PHONE.replace("\r\n", ending) + ending + ending
    assert parse(text.encode()) == parse(PHONE.encode())


def test_a_byte_order_mark_is_forgiven() -> None:
    assert parse(b"\xef\xbb\xbf" + PHONE.encode()) == parse(PHONE.encode())


def test_missing_session_lines_are_forgiven() -> None:
    audio = stream("v=0\nm=audio 4000 RTP/AVP 8\nc=IN IP4 192.0.2.9\n")
    assert (audio.host, audio.port) == ("192.0.2.9", 4000)


@pytest.mark.parametrize(
    ("text", "status", "line"),
    [
        ("", 400, ""),
        ("hello", 400, "hello"),
        ("v=1\n", 400, "v=1"),
        ("o=- 1 1 IN IP4 192.0.2.1\nv=0\n", 400, "o=- 1 1 IN IP4 192.0.2.1"),
        ("v=0\nM=audio 1 RTP/AVP 0\n", 400, "M=audio 1 RTP/AVP 0"),
        ("v=0\nm=audio\n", 400, "m=audio"),
        ("v=0\nm=audio x RTP/AVP 0\n", 400, "m=audio x RTP/AVP 0"),
        ("v=0\nm=audio 65536 RTP/AVP 0\n", 400, "m=audio 65536 RTP/AVP 0"),
        ("v=0\nm=audio -1 RTP/AVP 0\n", 400, "m=audio -1 RTP/AVP 0"),
        ("v=0\nm=audio ٣ RTP/AVP 0\n", 400, "m=audio ٣ RTP/AVP 0"),
        ("v=0\nm=audio 4000/0 RTP/AVP 0\n", 400, "m=audio 4000/0 RTP/AVP 0"),
        ("v=0\nm=audio 4000 RTP/AVP\n", 400, "m=audio 4000 RTP/AVP"),
        ("v=0\nm=audio 4000 RTP/AVP 0\n", 400, "m=audio 4000 RTP/AVP 0"),
        ("v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0 pcmu\n", 400, "m=audio 4000 RTP/AVP 0 pcmu"),
        ("v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 128\n", 400, "m=audio 4000 RTP/AVP 128"),
        ("v=0\nc=IN IP4\nm=audio 4000 RTP/AVP 0\n", 400, "c=IN IP4"),
        ("v=0\nc=IN IP4 192.0.2.999\nm=audio 4000 RTP/AVP 0\n", 400, "c=IN IP4 192.0.2.999"),
        ("v=0\nc=IN IP4 bad_name!\nm=audio 4000 RTP/AVP 0\n", 400, "c=IN IP4 bad_name!"),
        ("v=0\nc=ATM NSAP 1\nm=audio 4000 RTP/AVP 0\n", 400, "c=ATM NSAP 1"),
        ("v=0\nc=IN IP4 224.2.1.1/127\nm=audio 4000 RTP/AVP 0\n", 488, "c=IN IP4 224.2.1.1/127"),
        (BASE + "a=rtpmap:0\n", 400, "a=rtpmap:0"),
        (BASE + "a=rtpmap:0 PCMU\n", 400, "a=rtpmap:0 PCMU"),
        (BASE + "a=rtpmap:0 PCMU/0\n", 400, "a=rtpmap:0 PCMU/0"),
        (BASE + "a=rtpmap:200 PCMU/8000\n", 400, "a=rtpmap:200 PCMU/8000"),
        ("v=0\nc=IN IP4 192.0.2.1\nm=video 4000 RTP/AVP 31\n", 488, ""),
        ("v=0\nc=IN IP4 192.0.2.1\nm=image 4000 udptl t38\n", 488, ""),
        ("v=0\nc=IN IP4 192.0.2.1\n", 488, ""),
    ],
)
def test_broken_descriptions_are_refused_with_the_line(text: str, status: int, line: str) -> None:
    with pytest.raises(SdpError) as caught:
        stream(text)
    assert (caught.value.status, caught.value.line) == (status, line)
    assert line[:120] in caught.value.detail
    assert caught.value.reason == ("Bad Request" if status == 400 else "Not Acceptable Here")


def test_sizes_are_bounded() -> None:
    for data in (
        b"v=0\r\n" + b"a" * MAXIMUM_BYTES,
        b"v=0\r\n" + b"a=x\r\n" * 3000,
        b"v=0\r\n" + b"m=audio 1 RTP/AVP 0\r\n" * 65,
        b"v=0\r\nm=audio 1 RTP/AVP" + b" 0" * 200,
    ):
        with pytest.raises(SdpError) as caught:
            parse(data)
        assert caught.value.status == 400
        assert len(caught.value.detail) < 300


@pytest.mark.parametrize(
    ("attribute", "direction"),
    [
        ("a=sendonly\n", Direction.SENDONLY),
        ("a=recvonly\n", Direction.RECVONLY),
        ("a=inactive\n", Direction.INACTIVE),
        ("a=SendRecv \n", Direction.SENDRECV),
        ("", Direction.SENDRECV),
    ],
)
def test_direction_of_a_stream_and_of_the_session(attribute: str, direction: Direction) -> None:
    assert stream(BASE + attribute).direction is direction
    assert stream(BASE.replace("m=", attribute + "m=")).direction is direction
    assert stream(BASE.replace("m=", attribute + "m=") + "a=recvonly\n").direction is Direction.RECVONLY


def test_direction_seen_from_the_other_end() -> None:
    assert Direction.SENDONLY.reversed() is Direction.RECVONLY
    assert Direction.RECVONLY.reversed() is Direction.SENDONLY
    assert Direction.INACTIVE.reversed() is Direction.INACTIVE
    assert Direction.SENDRECV.reversed() is Direction.SENDRECV


@pytest.mark.parametrize("connection", ["IN IP4 0.0.0.0", "IN IP6 ::", "IN IP4 hold.invalid"])
def test_hold_by_address(connection: str) -> None:
    held = stream(BASE.replace("IN IP4 192.0.2.1\nt", connection + "\nt"))
    assert held.held_by_address and held.host == "" and held.direction is Direction.SENDONLY
    assert stream(BASE.replace("IN IP4 192.0.2.1\nt", connection + "\nt") + "a=recvonly\n").direction is (
        Direction.INACTIVE
    )


def test_the_connection_of_the_stream_wins() -> None:
    audio = stream(BASE + "c=IN IP6 2001:DB8::0:1\n")
    assert audio.host == "2001:db8::1"


def test_a_host_name_is_kept() -> None:
    assert parse_connection("IN IP4 Media.Example.COM") == ("media.example.com", False)


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("a=rtcp:5000\n", ("192.0.2.1", 5000)),
        ("a=rtcp:5000 IN IP4 192.0.2.7\n", ("192.0.2.7", 5000)),
        ("a=rtcp:nonsense\n", ("192.0.2.1", 4001)),
        ("a=rtcp:70000\n", ("192.0.2.1", 4001)),
        ("a=rtcp:\n", ("192.0.2.1", 4001)),
    ],
)
def test_rtcp_attribute(attribute: str, expected: tuple[str, int]) -> None:
    audio = stream(BASE + attribute)
    assert (audio.rtcp_host, audio.rtcp_port) == expected


def test_mux_secure_ptime_and_first_audio_in_use() -> None:
    audio = stream(
        "v=0\nc=IN IP4 192.0.2.1\nm=video 5000 RTP/AVP 31\nm=audio 0 RTP/AVP 0\nm=audio 6000 RTP/SAVP 0\n"
        "a=rtcp-mux\na=ptime:20.0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\n"
    )
    assert (audio.index, audio.port, audio.secure, audio.rtcp_mux, audio.packet_time) == (2, 6000, True, True, 20)


def test_unknown_and_repeated_payload_types() -> None:
    audio = stream(BASE.replace("RTP/AVP 0", "RTP/AVP 0 99 0"))
    assert [(item.payload_type, item.name) for item in audio.formats] == [(0, "PCMU"), (99, "")]
    assert str(audio.formats[1]) == "payload type 99"


LINES = st.one_of(
    st.sampled_from(PHONE.splitlines()),
    st.sampled_from(["v=0", "m=audio 0 RTP/AVP 0", "c=IN IP4 0.0.0.0", "a=rtcp:1", "a=inactive", "a=rtcp-mux", ""]),
    st.text(max_size=40),
    st.builds("a={}:{}".format, st.sampled_from(["rtpmap", "fmtp", "rtcp", "ptime"]), st.text(max_size=20)),
    st.builds("m=audio {}".format, st.text(max_size=20)),
    st.builds("c={}".format, st.text(max_size=20)),
)


@given(st.one_of(st.binary(max_size=400), st.lists(LINES, max_size=30).map(lambda lines: "\r\n".join(lines).encode())))
@settings(max_examples=400, deadline=None)
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        description = parse(data)
        again = parse(description.to_bytes())
        assert again == description
        audio_stream(description)
    except SdpError as error:
        assert error.status in (400, 488)
        str(error).encode()
