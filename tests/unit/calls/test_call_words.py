"""What a call decides by the words of its peers: causes, better failures, digits, hold, moving on."""

from __future__ import annotations

import pytest
from support.calling import configured

from app.calls.call_words import (
    better_failure,
    cause_of_failure,
    cause_of_rejection,
    digit_of,
    info_body,
    is_hold,
    may_fail_over,
    refusal_of,
    says_the_same,
)
from app.calls.leg_events import Body, EndCause, Failed, FailureKind
from app.dialplan.decision import DialTarget
from app.media.sdp import parse as session_description
from app.records import LocalUser, RouteType, SipTrunk

ANSWER, TIMEOUT, TRANSPORT, LOCAL = FailureKind


@pytest.mark.parametrize(
    ("old", "new", "better"),
    [
        ((486, ANSWER), (480, ANSWER), 480),
        ((480, ANSWER), (486, ANSWER), 480),
        ((486, ANSWER), (603, ANSWER), 603),
        ((600, ANSWER), (404, ANSWER), 600),
        ((486, ANSWER), (408, TIMEOUT), 486),
        ((503, TRANSPORT), (486, ANSWER), 486),
        ((486, ANSWER), (302, ANSWER), 302),
        ((404, ANSWER), (302, ANSWER), 404),
        ((503, TRANSPORT), (408, TIMEOUT), 408),
    ],
)
def test_the_better_of_two_failures(old: tuple[int, FailureKind], new: tuple[int, FailureKind], better: int) -> None:
    """RFC 3261 16.7 step 6; a redirection that is not followed counts as the 480 that it becomes."""
    first, second = Failed(old[0], "", old[1]), Failed(new[0], "", new[1])
    assert better_failure(first, second).status == better
    assert better_failure(None, first) is first


@pytest.mark.parametrize(
    ("status", "kind", "cause"),
    [
        (486, ANSWER, EndCause.BUSY),
        (600, ANSWER, EndCause.BUSY),
        (480, ANSWER, EndCause.NO_ANSWER),
        (408, LOCAL, EndCause.NO_ANSWER),
        (408, TIMEOUT, EndCause.TRUNK_FAILED),
        (503, TRANSPORT, EndCause.TRUNK_FAILED),
        (503, LOCAL, EndCause.TRUNK_FAILED),
        (500, ANSWER, EndCause.TRUNK_FAILED),
        (404, ANSWER, EndCause.NO_ROUTE),
        (603, ANSWER, EndCause.REJECTED),
        (403, ANSWER, EndCause.REJECTED),
    ],
)
def test_the_cause_of_a_failure(status: int, kind: FailureKind, cause: EndCause) -> None:
    assert cause_of_failure(status, kind) is cause


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (404, EndCause.NO_ROUTE),
        (484, EndCause.NO_ROUTE),
        (503, EndCause.LIMIT),
        (486, EndCause.LIMIT),
        (480, EndCause.NO_ANSWER),
        (403, EndCause.REJECTED),
    ],
)
def test_the_cause_of_a_rejection(status: int, cause: EndCause) -> None:
    assert cause_of_rejection(status) is cause


@pytest.mark.parametrize(
    ("kind", "content", "digit"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", b"Duration=160\nSignal = # \n", "#"),
        ("Application/DTMF-Relay; x=y", b"signal=10\r\n", "*"),
        ("application/dtmf-relay", b"Signal=11", "#"),
        ("application/dtmf-relay", b"Signal=a", "A"),
        ("application/dtmf-relay", b"Duration=160", ""),
        ("application/dtmf-relay", b"Signal=", ""),
        ("application/dtmf-relay", b"Signal=12", ""),
        ("application/dtmf", b"7", "7"),
        ("application/dtmf", b" * \r\n", "*"),
        ("application/dtmf", b"\xff\xfe", ""),
        ("application/dtmf", b"9" * 100_000, ""),
        ("application/sdp", b"5", ""),
    ],
)
def test_digits_of_info(kind: str, content: bytes, digit: str) -> None:
    assert digit_of(Body(kind, content)).digit == digit


@pytest.mark.parametrize(
    ("content", "milliseconds"),
    [
        (b"Signal=5\r\nDuration=2500\r\n", 2500),
        (b"Duration = 80 \nSignal=5", 80),
        (b"Signal=5\r\n", 160),
        (b"Signal=5\r\nDuration=0\r\n", 160),
        (b"Signal=5\r\nDuration=long\r\n", 160),
        (b"Signal=5\r\nDuration=-1\r\n", 160),
        (b"Signal=5\r\nDuration=" + b"9" * 150, 6000),
    ],
)
def test_a_digit_of_info_is_as_long_as_it_says(content: bytes, milliseconds: int) -> None:
    pressed = digit_of(Body("application/dtmf-relay", content))
    assert pressed == ("5", milliseconds)
    assert digit_of(info_body(pressed)) == pressed


@pytest.mark.parametrize(
    ("content", "held"),
    [
        (b"m=audio 1 RTP/AVP 0\r\na=sendonly\r\n", True),
        (b"m=audio 1 RTP/AVP 0\r\na=recvonly\r\n", True),
        (b"m=audio 1 RTP/AVP 0\r\na=inactive\r\n", True),
        (b"a=sendonly\r\nm=audio 1 RTP/AVP 0\r\n", True),
        (b"m=audio 1 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", True),
        (b"m=audio 1 RTP/AVP 0\r\nc=IN IP6 ::\r\n", True),
        (b"m=audio 1 RTP/AVP 0\r\na=sendrecv\r\n", False),
        (b"m=audio 1 RTP/AVP 0\r\nc=IN IP4 10.0.0.0\r\n", False),
        # A video that was taken away, or that only one side has.
        (b"m=audio 1 RTP/AVP 0\r\nm=video 0 RTP/AVP 99\r\na=inactive\r\n", False),
        (b"m=audio 1 RTP/AVP 0\r\nm=video 5 RTP/AVP 99\r\na=recvonly\r\n", False),
        (b"m=audio 0 RTP/AVP 0\r\na=inactive\r\n", False),
        (b"m=rubbish", False),
    ],
)
def test_hold(content: bytes, held: bool) -> None:
    content = b"v=0\r\nc=IN IP4 192.0.2.9\r\n" + content
    assert is_hold(Body("application/sdp", content)) is held
    assert is_hold(Body("Application/SDP ; charset=utf-8", content)) is held
    assert not is_hold(Body("text/plain", content))
    assert not is_hold(Body("application/sdp-bundle", content))


SDP = "application/sdp"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b"v=0\r\no=- 1 1 IN IP4 a\r\ns=-\r\n", b"v=0\r\no=- 1 2 IN IP4 a\r\ns=-\r\n", True),
        (b"v=0\no=x 9 9 IN IP4 b\ns=-\n", b"v=0\r\no=- 1 2 IN IP4 a\r\ns=-\r\n", True),
        (b"v=0\r\nm=audio 1 RTP/AVP 0\r\n", b"v=0\r\nm=audio 2 RTP/AVP 0\r\n", False),
        (b"v=0\r\na=sendrecv\r\n", b"v=0\r\n", False),
    ],
)
def test_whether_two_descriptions_say_the_same(one: bytes, other: bytes, same: bool) -> None:
    assert says_the_same(Body(SDP, one), Body(SDP, other)) is same
    assert not says_the_same(Body(SDP, one), Body("text/plain", other))


def test_no_description_is_the_same_as_none_only() -> None:
    assert says_the_same(None, None)
    assert not says_the_same(None, Body(SDP, b"v=0"))
    assert not says_the_same(Body(SDP, b"v=0"), None)


def test_the_answer_that_refuses_every_stream() -> None:
    """RFC 3264 6: as many streams in the same order, each with port 0."""
    offer = (
        b"v=0\r\no=- 5 5 IN IP4 192.0.2.8\r\ns=x\r\nc=IN IP4 192.0.2.8\r\nt=0 0\r\n"
        b"m=audio 5000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\nm=video 5002/2 RTP/AVP 99\r\n"
    )
    refusal = refusal_of(Body(SDP, offer))
    assert refusal is not None
    assert refusal.is_description
    assert refusal.content == (
        b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
        b"m=audio 0 RTP/AVP 8 101\r\nm=video 0 RTP/AVP 99\r\n"
    )
    answered = session_description(refusal.content)
    assert [stream.port for stream in answered.media] == [0, 0]
    assert refusal_of(Body("text/plain", b"m=audio 1 RTP/AVP 0")) is None


def test_which_failures_move_on() -> None:

    made = configured(
        sip_trunks=[{"id": 1, "server_address": "192.0.2.8", "failover_statuses": [486, 503]}],
        local_users=[{"number": "100", "password": "p"}],
    )
    trunk = DialTarget(RouteType.SIP_TRUNK, 1, "trunk:1", "1", "2", made.records(SipTrunk)[0])
    user = DialTarget(RouteType.LOCAL_USER, 1, "user:100", "1", "100", made.records(LocalUser)[0])
    assert may_fail_over(trunk, Failed(486, "", ANSWER))
    assert not may_fail_over(trunk, Failed(500, "", ANSWER))
    assert may_fail_over(trunk, Failed(408, "", TIMEOUT))
    assert may_fail_over(trunk, Failed(500, "", TRANSPORT))
    assert not may_fail_over(trunk, Failed(408, "", LOCAL))
    assert not may_fail_over(user, Failed(503, "", ANSWER))
