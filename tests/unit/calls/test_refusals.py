"""Why a peer refused a call: its own words, and what of our INVITE they are most likely about."""

from __future__ import annotations

import pytest

from app.calls.leg_events import Failed, FailureKind
from app.calls.refusals import MAXIMUM_WORDS, explanation
from app.sip.message import Request, Response

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
    b"m=audio 4000 %s 18 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)
PLAIN = SDP % b"RTP/AVP"
TWO_WAYS = SDP % b"RTP/SAVP" + b"m=audio 4000 RTP/AVP 0 8\r\n"


def refused(status: int, *headers: tuple[str, str], body: bytes = PLAIN, has_password: bool = False) -> str:
    invite = Request("INVITE", "sip:0301234@192.0.2.8", [("From", '"A" <sip:5551@198.51.100.1>;tag=1')], body)
    return explanation(
        invite, Response(status, "No", list(headers), b""), has_password=has_password, gave_it=has_password
    )


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ([("Warning", '305 gw.example "Incompatible media format"')], "Incompatible media format"),
        ([("Warning", '399 - "say \\"no\\""')], 'say "no"'),
        ([("Reason", 'Q.850;cause=21;text="Call Rejected"')], "Call Rejected"),
        ([("Reason", "Q.850; cause=34")], "Q.850 cause 34"),
        ([("Reason", "SIP;cause=480")], ""),
        ([("Reason", "Q.850;cause=1;text=Unallocated")], "Unallocated"),
        ([("Reason", 'Q.850;cause=1;text="gone"'), ("Warning", '399 a "gone"')], "gone"),
        ([("Warning", '399 a "one"'), ("Reason", 'Q.850;cause=1;text="two"')], "one; two"),
        ([("Warning", "rubbish"), ("Reason", "rubbish")], ""),
        ([("Reason", 'Q.850;cause=1;text="a\x07b\x1b[31m"')], "a b [31m"),
        ([], ""),
    ],
)
def test_a_peers_own_words(headers: list[tuple[str, str]], words: str) -> None:
    assert refused(480, *headers) == words


def test_a_peers_own_words_are_bounded() -> None:
    assert len(refused(480, ("Warning", f'399 a "{"x" * 900}"'))) == MAXIMUM_WORDS


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (488, PLAIN, "offered was G729 over RTP/AVP"),
        (606, TWO_WAYS, "offered was G729 over RTP/SAVP, or PCMU, PCMA over RTP/AVP"),
        (488, b"", ""),
        (488, b"rubbish", ""),
        (403, PLAIN, "the caller was sent as sip:5551@198.51.100.1"),
        (486, PLAIN, ""),
    ],
)
def test_what_of_the_invite_a_refusal_is_about(status: int, body: bytes, words: str) -> None:
    assert refused(status, body=body) == words


@pytest.mark.parametrize("status", [401, 407])
def test_a_password_is_wanted(status: int) -> None:
    assert "external line" in refused(status)
    assert refused(status, has_password=True) == "it does not take the account or its password"


def test_a_failure_in_words() -> None:
    assert str(Failed(488, "Not Here", FailureKind.ANSWER, "", "Why")) == "488 Not Here (Why)"
    assert str(Failed(486, "", FailureKind.ANSWER)) == "486"
    assert str(Failed(408, "no answer in time", FailureKind.LOCAL)) == "no answer in time"
