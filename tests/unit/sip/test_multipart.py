"""Bodies of several parts: the session description is found, whatever stands beside it, and nothing else is taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.sip.multipart import MAXIMUM_PARTS, session_part

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ISUP = b"Content-Type: application/isup; version=nxv3\r\nContent-Disposition: signal\r\n\r\n\x01\x00I\r\n"


def body(*parts: bytes, boundary: bytes = b"unique") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"


DESCRIPTION = b"Content-Type: application/sdp\r\n\r\n" + SDP


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("multipart/mixed;boundary=unique", body(DESCRIPTION, ISUP)),
        ("multipart/mixed; boundary=unique", body(ISUP, DESCRIPTION)),
        ('Multipart/Mixed; charset=x; Boundary="unique"', body(ISUP, DESCRIPTION)),
        ("multipart/mixed;boundary=unique", b"a preamble\r\n" + body(ISUP, DESCRIPTION) + b"an epilogue"),
        ("multipart/mixed;boundary=unique", body(b"c : Application/SDP ; charset=utf-8\r\n\r\n" + SDP)),
        ("multipart/mixed;boundary=unique", body(b"Content-Type:\r\n application/sdp\r\n\r\n" + SDP)),
        ("multipart/mixed;boundary=unique", body(b"\r\nplain text", DESCRIPTION)),
        ("multipart/mixed;boundary=uni", body(b"--unique\r\nno delimiter", DESCRIPTION, boundary=b"uni")),
        (
            "multipart/mixed;boundary=outer",
            body(
                b"Content-Type: multipart/alternative;boundary=inner\r\n\r\n" + body(DESCRIPTION, boundary=b"inner"),
                boundary=b"outer",
            ),
        ),
    ],
)
def test_the_description_is_found(content_type: str, content: bytes) -> None:
    assert session_part(content_type, content) == SDP


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("multipart/mixed", body(DESCRIPTION)),
        ("multipart/mixed;boundary=other", body(DESCRIPTION)),
        ("multipart/mixed;boundary=unique", body(ISUP)),
        ("multipart/mixed;boundary=unique", body(*[ISUP] * MAXIMUM_PARTS, DESCRIPTION)),
        ("multipart/mixed;boundary=unique", body(ISUP) + body(DESCRIPTION)),
        ("multipart/mixed;boundary=" + "x" * 71, body(DESCRIPTION, boundary=b"x" * 71)),
        ("multipart/mixed;boundary=unique", b""),
    ],
    ids=["no boundary", "another boundary", "no description", "too many parts", "after the end", "too long", "empty"],
)
def test_where_there_is_none_there_is_none(content_type: str, content: bytes) -> None:
    assert session_part(content_type, content) is None


def test_depth_is_bounded() -> None:
    content = DESCRIPTION
    for level in range(50):
        content = b"Content-Type: multipart/mixed;boundary=b%d\r\n\r\n" % level + body(content, boundary=b"b%d" % level)
    assert session_part("multipart/mixed;boundary=b49", content.partition(b"\r\n\r\n")[2]) is None


@given(some.binary(max_size=300), some.text(max_size=40))
def test_no_bytes_do_harm(content: bytes, parameters: str) -> None:
    for framed in (content, body(content, DESCRIPTION), body(b"Content-Type: " + content)):
        found = session_part("multipart/mixed;boundary=unique", framed)
        assert found is None or isinstance(found, bytes)
        session_part(f"multipart/mixed;{parameters}", framed)
