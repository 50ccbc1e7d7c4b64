"""Messages: the tolerant parse, raw access and typed views, answers, serialisation, and what any bytes may do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import RemoteError
from app.sip import message as message_module
from app.sip.headers import COMPACT_FORMS, KNOWN_NAMES, REASONS, canonical_name
from app.sip.message import (
    MAXIMUM_HEADER_BYTES,
    MAXIMUM_HEADERS,
    STRAY_LINE,
    HeaderError,
    MessageError,
    Request,
    Response,
    parse,
    parse_seconds,
)
from app.sip.uri import CSeq, NameAddr, Uri, Via

PROPERTIES = settings(max_examples=300, deadline=None)
VIEWS = (
    *("via", "vias", "from_", "to", "call_id", "cseq", "contacts", "routes", "record_routes", "max_forwards"),
    *("expires", "content_type", "content_length"),
)

INVITE = (
    b"INVITE sip:135550@192.0.2.8:5060 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.20:5061;branch=z9hG4bK-1\r\n"
    b"Via: SIP/2.0/TCP 192.0.2.21;branch=z9hG4bK-2, SIP/2.0/UDP 192.0.2.22\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "load, 1" <sip:load@192.0.2.20>;tag=a\r\n'
    b"To: <sip:135550@192.0.2.8>\r\n"
    b"Call-ID: 12-4711@192.0.2.20\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Contact: <sip:load@192.0.2.20:5061>\r\n"
    b"Record-Route: <sip:192.0.2.30;lr>\r\n"
    b"Allow: INVITE, ACK,, BYE\r\n"
    b"X-Own: one\r\n"
    b"Content-Type: Application/SDP ; charset=utf-8\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
    b"v=0\r\n"
)


def invite(**changes: str) -> Request:
    """The INVITE above, parsed, with header lines replaced (names with _ for -)."""
    message = parse(INVITE)
    assert isinstance(message, Request)
    for name, value in changes.items():
        message.replace(name.replace("_", "-"), value)
    return message


def request_of(*lines: str, body: bytes = b"") -> Request:
    """A request with these header lines, parsed."""
    message = parse("\r\n".join(("OPTIONS sip:h SIP/2.0", *lines, "", "")).encode("utf-8", "surrogateescape") + body)
    assert isinstance(message, Request)
    return message


def test_a_request_is_read() -> None:
    request = invite()
    assert (request.method, request.uri_text, request.version) == ("INVITE", "sip:135550@192.0.2.8:5060", "SIP/2.0")
    assert request.uri == Uri("sip", "135550", None, "192.0.2.8", 5060)
    assert request.via == Via("UDP", "192.0.2.20", 5061, {"branch": "z9hG4bK-1"})
    assert [via.host for via in request.vias] == ["192.0.2.20", "192.0.2.21", "192.0.2.22"]
    assert request.from_ == NameAddr("load, 1", Uri.parse("sip:load@192.0.2.20"), {"tag": "a"})
    assert request.to.tag is None
    assert request.call_id == "12-4711@192.0.2.20"
    assert request.cseq == CSeq(1, "INVITE")
    assert [str(contact) for contact in request.contacts] == ["<sip:load@192.0.2.20:5061>"]
    assert [str(route) for route in request.record_routes] == ["<sip:192.0.2.30;lr>"]
    assert request.routes == []
    assert (request.max_forwards, request.expires, request.content_type) == (70, None, "application/sdp")
    assert (request.content_length, request.body, request.defect) == (5, b"v=0\r\n", None)
    assert request.values("Allow") == ["INVITE", "ACK", "BYE"]
    assert request.get("x-own") == "one"
    assert request.get_all("X-OWN") == ["one"]
    assert request.get("call-id") == request.call_id
    assert "Subject" not in request
    assert request.get_all("Subject") == []


def test_a_response_is_read() -> None:
    response = parse(b"SIP/2.0 180 Ringing now\r\nCSeq: 1 INVITE\r\n\r\n")
    assert isinstance(response, Response)
    assert (response.status, response.reason, response.cseq) == (180, "Ringing now", CSeq(1, "INVITE"))
    empty = parse(b"sip/2.0  100 \r\n\r\n")
    assert isinstance(empty, Response)
    assert (empty.status, empty.reason, empty.headers) == (100, "", [])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"INVITE sip:a@b\r\n\r\n",
        b"INVITE\r\n\r\n",
        b"SIP/2.0\r\n\r\n",
        b"SIP/2.0 20 OK\r\n\r\n",
        b"SIP/2.0 700 OK\r\n\r\n",
        b"SIP/2.0 099 OK\r\n\r\n",
        b"SIP/2.0 4294967301 better not break the receiver\r\n\r\n",
        b"SIP/3.0 200 OK\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ],
)
def test_of_what_is_no_message_nothing_is_made(data: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        parse(data)
    assert caught.value.detail


def test_more_headers_than_the_bound_are_not_read() -> None:
    start = b"OPTIONS sip:h SIP/2.0\r\n"
    assert len(parse(start + b"X: 1\r\n" * MAXIMUM_HEADERS + b"\r\n").headers) == MAXIMUM_HEADERS
    with pytest.raises(MessageError) as caught:
        parse(start + b"X: 1\r\n" * (MAXIMUM_HEADERS + 1) + b"\r\n")
    assert caught.value.status == 400
    with pytest.raises(MessageError) as caught:
        parse(start + b"X: " + b"1" * MAXIMUM_HEADER_BYTES + b"\r\n\r\n")
    assert caught.value.status == 513


def test_more_values_than_the_bound_are_refused() -> None:
    via = "Via: " + ", ".join(["SIP/2.0/UDP h"] * 71)
    with pytest.raises(HeaderError, match="more than 70"):
        _ = request_of(via).vias
    with pytest.raises(HeaderError, match="more than 70"):
        _ = request_of("Contact: " + ",".join(["<sip:h>"] * 71)).contacts


def test_every_compact_form_and_spelling_becomes_the_canonical_name() -> None:
    for short, name in COMPACT_FORMS.items():
        assert name in KNOWN_NAMES
        for spelling in (short, short.upper(), name.lower(), name.upper(), name, name.swapcase()):
            assert request_of(f"{spelling} \t: x").headers == [(name, "x")]
            assert canonical_name(spelling) == name


def test_unknown_names_keep_their_spelling() -> None:
    request = request_of("NewFangledHeader: a", "x-OTHER:b", "extensionHeader-!.%*+_`'~:c")
    assert request.headers == [("NewFangledHeader", "a"), ("x-OTHER", "b"), ("extensionHeader-!.%*+_`'~", "c")]


def test_folded_lines_are_unfolded() -> None:
    request = parse(b"OPTIONS sip:h SIP/2.0\r\nSubject: a\r\n  b\r\n\tc\r\nTo:\r\n <sip:h>\r\n\r\n")
    assert request.headers == [("Subject", "a b c"), ("To", "<sip:h>")]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_bare_line_feeds_are_understood(line_end: bytes) -> None:
    data = line_end.join(
        (b"OPTIONS sip:h SIP/2.0", b"To: <sip:h>", b"Subject: a", b" b", b"Content-Length: 7", b"", b"")
    )
    message = parse(data + b"a\r\n\r\nbcdef")
    assert message.headers == [("To", "<sip:h>"), ("Subject", "a b"), ("Content-Length", "7")]
    assert message.body == b"a\r\n\r\nbc"


def test_the_earlier_of_two_ends_of_the_headers_counts() -> None:
    message = parse(b"OPTIONS sip:h SIP/2.0\nTo: <sip:h>\n\nbody\r\n\r\nmore")
    assert message.headers == [("To", "<sip:h>")]
    assert message.body == b"body\r\n\r\nmore"


def test_empty_lines_before_the_message_are_skipped() -> None:
    assert parse(b"\r\n" + INVITE) == parse(INVITE)
    assert parse(b"\r\n\r\n\n" + INVITE) == parse(INVITE)


def test_a_lone_carriage_return_becomes_a_space() -> None:
    assert request_of("Subject: a\rVia: b").headers == [("Subject", "a Via: b")]


@pytest.mark.parametrize("line", ["garbage without colon", "garbage", "l", ": no name", "two words: x", "Bad@Name: x"])
def test_a_line_that_is_no_header_is_noted_and_left_out(line: str) -> None:
    request = request_of("Subject: a", line, "Call-ID: b")
    assert request.headers == [("Subject", "a"), ("Call-ID", "b")]
    assert request.defect == STRAY_LINE


def test_a_missing_end_of_the_headers_is_noted() -> None:
    message = parse(b"OPTIONS sip:h SIP/2.0\r\nCall-ID: b\r\n")
    assert message.headers == [("Call-ID", "b")]
    assert message.defect == "no empty line after the headers"


def test_the_body_is_cut_to_content_length() -> None:
    assert request_of("l: 3", body=b"abcdef").body == b"abc"
    assert request_of("l: 9", body=b"abcdef").body == b"abcdef"
    assert request_of(body=b"abcdef").body == b"abcdef"
    for bad in ("-999", "x", "", "1.5", "５", "9" * 11):
        request = request_of(f"Content-Length: {bad}", body=b"abcdef")
        assert request.body == b"abcdef"
        assert request.defect == "Content-Length is not a number of bytes"
        with pytest.raises(HeaderError):
            _ = request.content_length


def test_an_odd_request_line_is_understood() -> None:
    message = parse(b"INVITE  sip:a b@h  sip/2.0  \r\n\r\n")
    assert isinstance(message, Request)
    assert (message.method, message.uri_text, message.version) == ("INVITE", "sip:a b@h", "SIP/2.0")
    future = parse(b"OPTIONS sip:h SIP/7.0\r\n\r\n")
    assert isinstance(future, Request)
    assert future.version == "SIP/7.0"


@pytest.mark.parametrize(
    ("line", "view", "words"),
    [
        ("Via: nonsense", "via", "SIP/2.0/transport"),
        ("Via: SIP/2.0/UDP h;;,;,,", "vias", "SIP/2.0/transport"),
        ('From: "a <sip:h>', "from_", "not closed"),
        ("To: *", "to", "not an address"),
        ("To: <sip:h>, <sip:i>", "to", "after the address"),
        ("Call-ID:", "call_id", "empty"),
        ("CSeq: 99999999999 INVITE", "cseq", "32 bits"),
        ("Contact: <sip:", "contacts", "not closed"),
        ('Contact: "a, <sip:h>', "contacts", "not closed"),
        ("Route: sip:h?x=y", "routes", "angle brackets"),
        ("Record-Route: x", "record_routes", "scheme"),
        ("Max-Forwards: -1", "max_forwards", "number"),
        ("Content-Length: 1 2", "content_length", "number"),
    ],
)
def test_a_bad_header_is_refused_when_its_view_is_read(line: str, view: str, words: str) -> None:
    request = request_of(line)
    with pytest.raises(HeaderError) as caught:
        getattr(request, view)
    error = caught.value
    assert (error.status, error.header) == (400, canonical_name(line.partition(":")[0]))
    assert words in error.detail
    assert error.header in error.reason


@pytest.mark.parametrize("view", ["via", "vias", "from_", "to", "call_id", "cseq"])
def test_a_missing_header_is_named(view: str) -> None:
    with pytest.raises(HeaderError, match=r"Missing .* header"):
        getattr(request_of(), view)


def test_a_bad_request_uri_is_named() -> None:
    with pytest.raises(HeaderError) as caught:
        _ = Request("INVITE", "sip:a b", []).uri
    assert caught.value.header == "Request-URI"


def test_numbers_have_the_bounds_of_the_rfc() -> None:
    assert request_of("Max-Forwards: 0068").max_forwards == 68
    assert request_of("Max-Forwards: 300").max_forwards == 255
    assert request_of("Max-Forwards: " + "9" * 5000).max_forwards == 255
    assert request_of("Max-Forwards: " + "0" * 5000).max_forwards == 0
    assert request_of("Expires: 0").expires == 0
    assert request_of("Expires: soon").expires == 3600
    assert request_of("Expires: 1" + "0" * 100).expires == 0xFFFFFFFF
    assert [parse_seconds(text) for text in (" 60 ", "-1", "", "0000000000060", "4294967296")] == [
        60, 3600, 3600, 60, 0xFFFFFFFF
    ]  # fmt: skip


def test_a_star_contact_has_no_uri() -> None:
    assert request_of("Contact: *").contacts == [NameAddr("", None)]


def test_changes_are_seen_by_the_views() -> None:
    request = invite()
    assert request.via.host == "192.0.2.20"
    request.prepend("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-0")
    assert request.via.host == "192.0.2.1"
    assert len(request.vias) == 4
    request.replace("Max-Forwards", "69")
    assert request.max_forwards == 69
    assert [name for name, _ in request.headers].index("Max-Forwards") == 3
    request.add("Contact", "<sip:second@h>")
    assert len(request.contacts) == 2
    request.remove("Contact")
    assert request.contacts == []
    request.add("Expires", "60")
    assert request.expires == 60
    request.replace("Subject", "new")
    assert request.headers[-1] == ("Subject", "new")


def test_serialising_writes_one_content_length_at_the_end() -> None:
    request = Request("MESSAGE", "sip:h", [("Content-Length", "99"), ("l", "7"), ("Subject", "ü\udcff")], b"abc")
    data = request.to_bytes()
    assert data == b"MESSAGE sip:h SIP/2.0\r\nl: 7\r\nSubject: \xc3\xbc\xff\r\nContent-Length: 3\r\n\r\nabc"
    assert bytes(Response(200, "OK", [])) == b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"


def test_no_value_can_begin_a_header_of_its_own() -> None:
    response = Response(200, "OK\r\nVia: a", [("Subject", "a\r\n\r\nbody"), ("X", "b\nc\rd")], b"z")
    assert response.to_bytes() == (
        b"SIP/2.0 200 OK Via: a\r\nSubject: a  body\r\nX: b c d\r\nContent-Length: 1\r\n\r\nz"
    )


def test_text_that_cannot_be_encoded_is_replaced() -> None:
    assert b"Subject: ?\r\n" in Response(200, "OK", [("Subject", "\ud800")]).to_bytes()


def test_equality_is_by_content() -> None:
    assert parse(INVITE) == parse(INVITE)
    assert parse(INVITE) != invite(Subject="x")
    assert Request("BYE", "sip:h", []) != Response(200, "OK", [])
    assert Request("BYE", "sip:h", []) != "BYE"
    assert Request("BYE", "sip:h", [("Content-Length", "0")]) == Request("BYE", "sip:h", [])
    assert Response(200, "OK", [], b"a") != Response(200, "OK", [], b"b")


def test_an_answer_copies_what_rfc_3261_8_2_6_wants() -> None:
    request = invite(Timestamp="54")
    answer = request.answer(180, to_tag="t1", headers=[("Contact", "<sip:h>")], body=b"x")
    assert (answer.status, answer.reason, answer.body) == (180, "Ringing", b"x")
    assert [name for name, _ in answer.headers] == [
        "Via", "Via", "From", "To", "Call-ID", "CSeq", "Record-Route", "Contact"
    ]  # fmt: skip
    assert answer.vias == request.vias
    assert answer.get("From") == request.get("From")
    assert answer.to == request.to.with_tag("t1")
    names = [name for name, _ in request.answer(100).headers]
    assert names == ["Via", "Via", "From", "To", "Call-ID", "CSeq", "Timestamp"]
    assert "Record-Route" not in request.answer(486)
    assert request.answer(486).to.tag is None
    assert request.answer(299).reason == "Unknown"
    assert request.answer(400, "Bad To header").reason == "Bad To header"


def test_an_answer_never_gives_to_a_second_tag() -> None:
    assert invite(To="<sip:h>;tag=old").answer(200, to_tag="new").get("To") == "<sip:h>;tag=old"
    assert invite(To="sip:h;x=1").answer(200, to_tag="new").to.params == {"x": "1", "tag": "new"}
    assert invite(To='"open <sip:h>').answer(400, to_tag="new").get("To") == '"open <sip:h>'


def test_an_answer_to_a_request_with_next_to_nothing() -> None:
    answer = request_of("Call-ID: a").answer(400, to_tag="t")
    assert answer.headers == [("Call-ID", "a")]


@pytest.mark.parametrize(
    ("via", "source", "expected"),
    [
        ("SIP/2.0/UDP 192.0.2.1:5060", ("192.0.2.1", 5060), "SIP/2.0/UDP 192.0.2.1:5060"),
        ("SIP/2.0/UDP 192.0.2.1:5060", ("192.0.2.9", 4000), "SIP/2.0/UDP 192.0.2.1:5060;received=192.0.2.9"),
        ("SIP/2.0/UDP host.example", ("192.0.2.9", 4000), "SIP/2.0/UDP host.example;received=192.0.2.9"),
        ("SIP/2.0/UDP h;rport;branch=1", ("192.0.2.9", 4000), "SIP/2.0/UDP h;rport=4000;branch=1;received=192.0.2.9"),
        ("SIP/2.0/UDP 192.0.2.9;rport", ("192.0.2.9", 4000), "SIP/2.0/UDP 192.0.2.9;rport=4000;received=192.0.2.9"),
        ("SIP/2.0/UDP 192.0.2.9;received=1.2.3.4", ("192.0.2.9", 1), "SIP/2.0/UDP 192.0.2.9;received=192.0.2.9"),
        ("SIP/2.0/UDP 192.0.2.9;rport=1", ("192.0.2.9", 2), "SIP/2.0/UDP 192.0.2.9;rport=2;received=192.0.2.9"),
        ("SIP/2.0/UDP [2001:db8::1]", ("2001:db8::1", 5060), "SIP/2.0/UDP [2001:db8::1]"),
        ("nonsense", ("192.0.2.9", 4000), "nonsense"),
    ],
)
def test_the_source_is_noted_in_the_top_via(via: str, source: tuple[str, int], expected: str) -> None:
    request = request_of(f"Via: {via}", "Via: SIP/2.0/UDP below")
    request.received_from(*source)
    assert request.get_all("Via") == [expected, "SIP/2.0/UDP below"]
    assert request.answer(100).get("Via") == expected
    if via != "nonsense":
        assert str(request.via) == expected
        assert [str(value) for value in request.vias] == [expected, "SIP/2.0/UDP below"]


def test_the_other_values_of_the_top_via_line_stay() -> None:
    request = request_of("Via: SIP/2.0/UDP a ;rport, SIP/2.0/TCP b", "Via: SIP/2.0/UDP c")
    assert [via.host for via in request.vias] == ["a", "b", "c"]
    request.received_from("192.0.2.9", 4000)
    assert request.via.response_address == ("192.0.2.9", 4000)
    assert [via.host for via in request.vias] == ["a", "b", "c"]


def test_every_reason_is_a_phrase_without_breaks() -> None:
    assert REASONS[486] == "Busy Here"
    assert all(100 <= status < 700 and phrase.isprintable() for status, phrase in REASONS.items())


# --- any bytes ------------------------------------------------------------------------------------------------------

LINES = st.lists(
    st.one_of(
        st.sampled_from(INVITE.split(b"\r\n")),
        st.binary(max_size=30),
        st.sampled_from([b" folded", b"", b"l: 3", b"Content-Length: 4", b"v:", b"To : x", b"Subject: \xff\r\xc3"]),
    ),
    max_size=12,
)
MESSAGE_LIKE = st.builds(
    lambda start, lines, end, body: start + end + end.join(lines) + end + end + body,
    st.sampled_from(
        [b"INVITE sip:a@b SIP/2.0", b"SIP/2.0 200 OK", b"BYE  x  SIP/2.0 ", b"SIP/2.0 100", b"\r\nA B SIP/1.0"]
    ),
    LINES,
    st.sampled_from([b"\r\n", b"\n", b"\r"]),
    st.binary(max_size=20),
)


def parsed(data: bytes) -> Request | Response | None:
    """The message in the bytes, None for a MessageError; anything else fails the test."""
    try:
        return parse(data)
    except MessageError:
        return None


@given(st.one_of(st.binary(max_size=200), MESSAGE_LIKE))
@PROPERTIES
def test_any_bytes_are_read_or_refused_and_read_the_same_when_written(data: bytes) -> None:
    message = parsed(data)
    if message is not None:
        again = parse(message.to_bytes())
        assert again == message
        assert again.to_bytes() == message.to_bytes()
        for view in (*VIEWS, "uri") if isinstance(message, Request) else VIEWS:
            try:
                getattr(message, view)
            except RemoteError as error:
                assert error.status == 400
        for name in ("Allow", "Subject", "X-Unknown"):
            try:
                assert all(message.values(name))
            except HeaderError as error:
                assert error.header == name


@given(MESSAGE_LIKE)
@PROPERTIES
def test_the_fast_way_reads_a_message_as_the_tolerant_way_does(data: bytes) -> None:
    message = parsed(data)
    try:
        tolerant = message_module._parse_tolerantly(data)
    except MessageError:
        assert message is None
    else:
        assert message == tolerant
        assert message is not None
        assert (message.defect, message.headers) == (tolerant.defect, tolerant.headers)


@given(MESSAGE_LIKE, st.binary(max_size=5))
@PROPERTIES
def test_an_answer_to_anything_can_be_written_and_read(data: bytes, body: bytes) -> None:
    message = parsed(data)
    if isinstance(message, Request):
        message.received_from("192.0.2.9", 4000)
        answer = message.answer(200, to_tag="t", body=body)
        assert parse(answer.to_bytes()) == answer
