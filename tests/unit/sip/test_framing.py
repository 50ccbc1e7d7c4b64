"""Streams: whatever the pieces in which they come, the same messages come out, and every bound holds."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sip.framing import FramedItem, FramingError, KeepAlive, StreamFramer
from app.sip.message import MessageError, Request, parse
from app.sip.validation import check_request

OPTIONS = b"OPTIONS sip:h SIP/2.0\r\nCall-ID: a\r\nContent-Length: 0\r\n\r\n"
INVITE = b"INVITE sip:h SIP/2.0\nl : 12\nCall-ID: b\n\n\r\nv=0\r\nab\r\n\r"
FOLDED = b"SIP/2.0 200 OK\r\nCall-ID: c\r\nContent-Length:\r\n 3\r\n\r\nabc"


def fed(framer: StreamFramer, *pieces: bytes) -> list[FramedItem]:
    """Everything that comes out of the pieces."""
    return [item for piece in pieces for item in framer.feed(piece)]


def failure(items: list[FramedItem]) -> FramingError:
    """The error at the end."""
    error = items[-1]
    assert isinstance(error, FramingError)
    return error


def test_messages_are_cut_by_content_length() -> None:
    framer = StreamFramer()
    assert framer.feed(OPTIONS + INVITE + FOLDED + OPTIONS[:20]) == [OPTIONS, INVITE, FOLDED]
    assert framer.pending == 20
    assert framer.feed(OPTIONS[20:]) == [OPTIONS]
    assert framer.pending == 0


@given(st.lists(st.integers(0, 300), max_size=12))
@settings(max_examples=200, deadline=None)
def test_the_pieces_do_not_matter(cuts: list[int]) -> None:
    stream = OPTIONS + b"\r\n" + INVITE + FOLDED + b"\r\n\r\n" + OPTIONS
    framer = StreamFramer()
    items: list[FramedItem] = []
    start = 0
    for cut in [*sorted(cuts), len(stream)]:
        items += framer.feed(stream[start:cut])
        start = max(start, cut)
    assert [item for item in items if isinstance(item, bytes)] == [OPTIONS, INVITE, FOLDED, OPTIONS]
    assert items.count(KeepAlive.PING) == 1
    assert framer.pending == 0


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"\r\n\r\n"], [KeepAlive.PING]),
        ([b"\r\n"], [KeepAlive.PONG]),
        ([b"\r\n", b"\r\n"], [KeepAlive.PONG, KeepAlive.PING]),
        ([b"\r", b"\n", b"\r", b"\n"], [KeepAlive.PONG, KeepAlive.PING]),
        ([b"\r\n\r\n" * 1000], [KeepAlive.PING]),
        ([b"\r\n\r\n" + OPTIONS + b"\r\n\r\n"], [KeepAlive.PING, OPTIONS]),
        ([OPTIONS + b"\r\n"], [OPTIONS, KeepAlive.PONG]),
        ([b"\r\n" + OPTIONS + b"\r\n"], [KeepAlive.PONG, OPTIONS]),
    ],
)
def test_keep_alives(pieces: list[bytes], expected: list[FramedItem]) -> None:
    assert fed(StreamFramer(), *pieces) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"\x00",
        b"GET / HTTP/1.1\r\n",
        b"v=0\r\n",
        b" INVITE sip:h SIP/2.0\r\n",
    ],
)
def test_what_is_not_sip_ends_the_stream_at_once(data: bytes) -> None:
    framer = StreamFramer()
    items = framer.feed(data)
    assert failure(items).status == 400
    assert len(items) == 1
    assert framer.feed(OPTIONS) == []
    assert framer.pending == 0


def test_endless_headers_end_the_stream() -> None:
    framer = StreamFramer(maximum_header=1000)
    items = fed(framer, b"INVITE sip:h SIP/2.0\r\n", *[b"X-Endless: header\r\n"] * 100)
    assert failure(items).status == 513
    assert framer.pending == 0
    assert failure(StreamFramer(maximum_header=1000).feed(b"A" * 1001)).status == 513
    whole = b"A sip:h SIP/2.0\r\nX: " + b"x" * 1000 + b"\r\n\r\n"
    assert failure(StreamFramer(maximum_header=1000).feed(whole)).status == 513


@pytest.mark.parametrize("begin", [b"OPTIONS sip:h SIP/2.0\r\n", b"O"])
def test_a_dribbling_sender_costs_no_more_than_a_fast_one(begin: bytes) -> None:
    framer = StreamFramer()
    framer.feed(begin)
    start = time.process_time()
    for _ in range(30000):
        assert framer.feed(b"a") == []
    # About 0.1 s; searching from the beginning each time would take over ten.
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"Content-Length: -999\r\n", 400),
        (b"Content-Length: 5\r\nl: 13\r\n", 400),
        (b"Content-Length: 5\r\nContent-Length: 5\r\n", 400),
        (b"Content-Length:\r\n", 400),
        (b"Content-Length: 99999999999\r\n", 400),
        (b"Content-Length: 65537\r\n", 413),
    ],
)
def test_a_message_without_a_length_to_trust_is_answered_and_ends_the_stream(lines: bytes, status: int) -> None:
    head = (
        b"OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKa\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:h>\r\n"
        b"Call-ID: a\r\nCSeq: 1 OPTIONS\r\n" + lines + b"\r\n"
    )
    items = StreamFramer().feed(head + b"hello" + OPTIONS)
    assert items[0] == head
    failure(items)
    request = parse(head)
    assert isinstance(request, Request)
    answer = check_request(request, datagram=False)
    assert answer is not None
    assert answer.status == status


def test_without_content_length_what_has_come_is_the_body() -> None:
    old = b"INVITE sip:h SIP/2.0\r\nCall-ID: a\r\nc: application/sdp\r\n\r\nv=0\r\n"
    framer = StreamFramer()
    assert framer.feed(old) == [old]
    assert framer.feed(OPTIONS) == [OPTIONS]
    bare = b"OPTIONS sip:h SIP/2.0\r\nCall-ID: a\r\n\r\n"
    assert framer.feed(bare + OPTIONS) == [bare, OPTIONS]


def test_the_end_of_the_stream_gives_out_what_is_held() -> None:
    framer = StreamFramer()
    framer.feed(OPTIONS.replace(b"Length: 0", b"Length: 9999") + b"abc")
    items = framer.finish()
    assert items[0] == OPTIONS.replace(b"Length: 0", b"Length: 9999") + b"abc"
    assert failure(items).detail == "the stream ended inside a message"
    assert framer.finish() == []
    for held, count in ((b"", 0), (b"\r", 0), (OPTIONS[:10], 1), (OPTIONS[:30], 2), (OPTIONS, 0)):
        framer = StreamFramer()
        framer.feed(held)
        assert len(framer.finish()) == count


@given(
    st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([OPTIONS, INVITE, b"\r\n", b"l: 1\r\n"])), max_size=8)
)
@settings(max_examples=200, deadline=None)
def test_any_bytes_stay_within_the_bounds(pieces: list[bytes]) -> None:
    framer = StreamFramer(maximum_header=100, maximum_body=50)
    for piece in pieces:
        items = framer.feed(piece)
        assert framer.pending <= 150 + len(piece)
        assert all(isinstance(item, bytes | KeepAlive | FramingError) for item in items)
        assert b"" not in items
        assert sum(isinstance(item, FramingError) for item in items) <= 1
    framer.finish()


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [b"l: 1", b"l : 2", b"L:3", b"Content-Length: 4", b"cOntent-lengTH:\t5 ", b" 6", b"\t", b"X: y"]
            ),
            st.sampled_from(
                [b"Content-Length:", b"X:\rl: 7", b"l: 8\r9", b"l: \xd9\xa3", b"l", b"Content-Length 3", b""]
            ),
        ),
        max_size=4,
    ),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
@settings(max_examples=500, deadline=None)
def test_the_stream_and_the_message_agree_on_the_length(lines: list[bytes], line_end: bytes) -> None:
    data = b"A sip:h SIP/2.0\r\n" + b"".join(line + line_end for line in lines) + b"\r\n0123456789" + OPTIONS
    items = StreamFramer().feed(data)
    for item, following in zip(items, [*items[1:], None], strict=True):
        # A message that stands before the end of the stream is one whose length is not trusted by either.
        if isinstance(item, bytes) and not isinstance(following, FramingError):
            try:
                message = parse(item)
            except MessageError:
                continue
            assert message.content_length in {None, len(message.body)}
            assert message.defect != "Content-Length is not a number of bytes"
            assert not (message.content_length is not None and message.get_all("Content-Length")[1:])
