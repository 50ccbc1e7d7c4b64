"""What is refused, with which status and words, and what the views promise once nothing is."""

from __future__ import annotations

import pytest

from app.sip.headers import SINGLE_VALUED
from app.sip.message import MAXIMUM_BODY_BYTES, STRAY_LINE, Request, Response, parse
from app.sip.validation import ALLOWED_METHODS, KNOWN_METHODS, check_request, check_response

HEADERS = {
    "Via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-1",
    "Max-Forwards": "70",
    "From": "<sip:100@h>;tag=a",
    "To": "<sip:101@h>",
    "Call-ID": "c",
    "CSeq": "1 INVITE",
    "Contact": "<sip:100@192.0.2.1>",
}


def request_with(method: str = "INVITE", uri: str = "sip:101@h", body: bytes = b"", **changes: str | None) -> Request:
    """A good request with headers changed, added or (None) left out; names with _ for -."""
    values: dict[str, str | None] = {**HEADERS, "CSeq": f"1 {method}"}
    values |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in values.items() if value is not None]
    message = parse("\r\n".join((f"{method} {uri} SIP/2.0", *lines, "", "")).encode() + body)
    assert isinstance(message, Request)
    return message


def response_with(status: int = 200, **changes: str | None) -> Response:
    """A good response with headers changed, added or left out."""
    values: dict[str, str | None] = {**HEADERS, "To": "<sip:101@h>;tag=b"}
    values |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in values.items() if value is not None]
    message = parse("\r\n".join((f"SIP/2.0 {status} x", *lines, "", "")).encode())
    assert isinstance(message, Response)
    return message


SDP = {"Content_Type": "application/sdp", "body": b"v=0\r\n"}


@pytest.mark.parametrize(
    "request_",
    [
        request_with(),
        request_with(**SDP),
        request_with(Content_Type="Application/SDP;charset=x", body=b"v=0"),
        request_with(uri="tel:+4930123"),
        request_with(uri="sips:101@[2001:db8::1]:5061;transport=tls"),
        request_with(Max_Forwards=None, Contact=None),
        request_with(Via="SIP/2.0/UDP 192.0.2.1"),
        request_with("OPTIONS", Max_Forwards="0"),
        request_with("REGISTER", Max_Forwards="0"),
        request_with("BYE", Max_Forwards="0", To="<sip:101@h>;tag=b"),
        request_with("CANCEL", Require="100rel"),
        request_with("ACK", Require="100rel"),
        request_with("REGISTER", Contact="*", Expires="0"),
        request_with("REGISTER", Contact="<sip:a@b>, <sip:c@d>;expires=0"),
        request_with("INFO", Content_Type="application/dtmf-relay", body=b"Signal=1"),
        request_with("BYE", Contact="nonsense"),
        request_with(Content_Type="image/png", Content_Disposition="render; handling = Optional", body=b"x"),
        request_with(Content_Encoding="identity", **SDP),
        request_with(Accept="text/plain, application/sdp;q=0.5"),
        request_with(Accept="*/*"),
        request_with(Date="nonsense", Expires="nonsense", Subject=""),
    ],
)
def test_what_is_good_or_harmless_is_let_through(request_: Request) -> None:
    assert check_request(request_) is None


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        (request_with(Via=None), 400, "Via header is missing"),
        (request_with(Via=","), 400, "empty"),
        (request_with(Via=""), 400, "SIP/2.0/transport"),
        (request_with(From=None), 400, "From header is missing"),
        (request_with(To=None), 400, "To header is missing"),
        (request_with(Call_ID=None), 400, "Call-ID header is missing"),
        (request_with(CSeq=None), 400, "CSeq header is missing"),
        (request_with(Via="SIP/2.0/UDP h, ;"), 400, "SIP/2.0/transport"),
        (request_with(Via="SIP/2.0/UDP h;branch=z9hG4bK"), 400, "magic cookie"),
        (request_with(From="*"), 400, "not an address"),
        (request_with(To='"a <sip:b@c>'), 400, "not closed"),
        (request_with(CSeq="1 BYE"), 400, "method of CSeq"),
        (request_with(CSeq="4294967296 INVITE"), 400, "32 bits"),
        (request_with("PUBLISH"), 405, "not offered"),
        (request_with("invite"), 501, "not known"),
        (request_with("FOO"), 501, "not known"),
        (request_with("FOO", CSeq="1 INVITE"), 501, "not known"),
        (request_with("F@O", CSeq="1 INVITE"), 400, "token"),
        (request_with(uri="sip:a@b?Route=x"), 400, "headers"),
        (request_with(uri="<sip:a@b>"), 400, "not allowed"),
        (request_with(uri="sip:a%zz@b"), 400, "hexadecimal"),
        (request_with(uri="mailto:a@b"), 416, "scheme"),
        (request_with(Max_Forwards="0"), 483, "Max-Forwards"),
        (request_with(Max_Forwards="x"), 400, "number"),
        (request_with(Require="timer, 100rel"), 420, "extension"),
        (request_with(Content_Length="6", **SDP), 400, "says 6"),
        (request_with(Content_Length="-1", **SDP), 400, "not a number"),
        (request_with(Content_Length=str(MAXIMUM_BODY_BYTES + 1)), 413, "body"),
        (request_with(body=b"v=0"), 400, "nothing says what it is"),
        (request_with(body=b"x", Content_Type="text/plain"), 415, "type of the body"),
        (request_with("UPDATE", body=b"x", Content_Type="text/plain"), 415, "type of the body"),
        (request_with(Content_Encoding="gzip", **SDP), 415, "encoded"),
        (request_with(Accept="text/plain"), 406, "application/sdp"),
        (request_with(Accept=""), 406, "application/sdp"),
        (request_with(Contact="*"), 400, "not a SIP URI"),
        (request_with(Contact="<name:John>"), 400, "not a SIP URI"),
        (request_with(Contact="sip:a@b?x=y"), 400, "angle brackets"),
        (request_with(Record_Route="x"), 400, "scheme"),
        (request_with("REGISTER", To="isbn:1"), 400, "not a SIP URI"),
        (request_with("REGISTER", To="tel:1"), 400, "not a SIP URI"),
        (request_with("REGISTER", Contact="*"), 400, "Expires: 0"),
        (request_with("REGISTER", Contact="*, <sip:a@b>", Expires="0"), 400, "only Contact"),
        (request_with("REGISTER", Contact="sip:a@b?x=y"), 400, "angle brackets"),
    ],
)
def test_what_is_wrong_is_refused_with_status_and_reason(request_: Request, status: int, words: str) -> None:
    answer = check_request(request_)
    assert answer is not None
    assert answer.status == status
    assert words in (answer.get("Warning") or "")
    assert parse(answer.to_bytes()) == answer


def test_another_version_is_refused() -> None:
    message = parse(request_with("OPTIONS").to_bytes().replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1))
    assert isinstance(message, Request)
    answer = check_request(message)
    assert answer is not None
    assert answer.status == 505


def test_a_stray_line_or_a_missing_end_is_refused_in_requests() -> None:
    broken = parse(request_with().to_bytes().replace(b"Max-Forwards:", b"Max Forwards"))
    cut = parse(request_with().to_bytes().partition(b"\r\n\r\n")[0])
    for message, words in ((broken, "no name and colon"), (cut, "no empty line")):
        assert isinstance(message, Request)
        answer = check_request(message)
        assert answer is not None
        assert (answer.status, words in (answer.get("Warning") or "")) == (400, True)


@pytest.mark.parametrize("name", sorted(SINGLE_VALUED))
def test_a_header_that_may_stand_only_once_is_refused_twice(name: str) -> None:
    request = request_with(**{name.replace("-", "_"): HEADERS.get(name, "0")})
    request.add(name, HEADERS.get(name, "0"))
    answer = check_request(request)
    assert answer is not None
    assert (answer.status, answer.reason) == (400, f"Repeated {name} header")


def test_headers_that_may_repeat_may() -> None:
    request = request_with()
    for name, value in (("Via", "SIP/2.0/TCP h"), ("Allow", "BYE"), ("Contact", "<sip:x@y>"), ("X-Own", "1")):
        request.add(name, value)
        request.add(name, value)
    assert check_request(request) is None


def test_what_the_caller_supports_decides() -> None:
    request = request_with(Require="Timer, 100rel")
    answer = check_request(request, frozenset(("timer",)))
    assert answer is not None
    assert answer.get("Unsupported") == "100rel"
    assert check_request(request, frozenset(("timer", "100rel"))) is None
    refer = request_with("REFER")
    answer = check_request(refer)
    assert answer is not None
    assert (answer.status, answer.get("Allow")) == (405, ", ".join(ALLOWED_METHODS))
    assert check_request(refer, allowed_methods=(*ALLOWED_METHODS, "REFER")) is None
    # Inside a dialog its owner decides.
    assert check_request(request_with("REFER", To="<sip:b@h>;tag=1")) is None
    assert frozenset(ALLOWED_METHODS) <= KNOWN_METHODS
    mixed = request_with(body=b"x", Content_Type="multipart/mixed;boundary=a")
    answer = check_request(mixed)
    assert answer is not None
    assert (answer.status, answer.values("Accept")[0]) == (415, "application/sdp")
    assert check_request(mixed, accepted_types=("application/sdp", "multipart/mixed")) is None


def test_a_refusal_has_a_tag_that_is_the_same_for_a_retransmission() -> None:
    first, again = (
        check_request(request_with(To="<sip:b>", Contact="*")),
        check_request(request_with(To="<sip:b>", Contact="*")),
    )
    other = check_request(request_with(To="<sip:b>", Contact="*", Call_ID="d"))
    assert first is not None
    assert again is not None
    assert other is not None
    assert first.to.tag
    assert first.to.tag == again.to.tag
    assert first.to.tag != other.to.tag


def test_a_refusal_of_a_bad_via_carries_only_the_topmost() -> None:
    request = request_with(Via="SIP/2.0/UDP host.example;;,;,,")
    request.received_from("192.0.2.9", 4000)
    answer = check_request(request)
    assert answer is not None
    assert answer.get_all("Via") == ["SIP/2.0/UDP host.example;received=192.0.2.9"]
    hopeless = check_request(request_with(Via="x, SIP/2.0/UDP h"))
    assert hopeless is not None
    assert hopeless.get("Via") is None


def test_the_words_of_a_peer_cannot_break_the_warning() -> None:
    answer = check_request(request_with(uri='sip:a"\\<b'))
    assert answer is not None
    assert parse(answer.to_bytes()) == answer
    assert len(answer.get_all("Warning")) == 1


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (response_with(Via="SIP/2.0/UDP a, SIP/2.0/UDP b"), "more than one Via"),
        (response_with(Via=None), "Missing Via"),
        (response_with(CSeq="9292394834772304023312 OPTIONS"), "32 bits"),
        (response_with(From="x"), "From"),
        (response_with(To=None), "To"),
        (response_with(Call_ID=None), "Call-ID"),
        (response_with(Content_Length="5"), "Content-Length"),
        (response_with(Content_Length="x"), "Content-Length"),
    ],
)
def test_a_response_that_cannot_be_trusted_is_dropped(response: Response, words: str) -> None:
    assert words in (check_response(response) or "")


def test_a_response_that_can_be_understood_is_kept() -> None:
    assert check_response(response_with()) is None
    assert check_response(response_with(486, Contact="nonsense")) is None
    assert check_response(response_with(200, Contact="<sip:100@192.0.2.8:0>")) is None
    assert check_response(response_with(183, Record_Route="<sip:")) is None
    assert check_response(response_with(200, CSeq="1 REGISTER", Contact="nonsense")) is None
    stray = parse(response_with().to_bytes().replace(b"Max-Forwards:", b"Max Forwards"))
    assert isinstance(stray, Response)
    assert stray.defect == STRAY_LINE
    assert check_response(stray) is None
    doubled = response_with()
    doubled.add("To", "<sip:x>")
    assert check_response(doubled) == "To stands in it more than once"
