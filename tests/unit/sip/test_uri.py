"""URIs, name-addr, Via and CSeq values: what is read from them, what is refused, and that they can be written back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sip import uri as uri_module
from app.sip.uri import (
    CSeq,
    NameAddr,
    Uri,
    UriError,
    Via,
    escape_user,
    parse_host_port,
    parse_parameters,
    quote_display_name,
    split_list,
    unescape,
)

PROPERTIES = settings(max_examples=300, deadline=None)

URI_PIECES = st.sampled_from(
    [
        *("sip:", "sips:", "SIP:", "tel:", "mailto:", "sip", ":", "@", ";", "?", "=", "&", "%", "%41", "%zz", ",", " "),
        *("<", ">", '"', "[", "]", "[2001:db8::1]", "[2001:db8:::1]", "192.0.2.8", "example.com", "100", "5060", "0"),
        *("65536", "lr", "transport=udp", "tag=1", "é", "\udc80", "\x00", "*", "-", ".", "_", "+44", "a;b=c", "%6C%72"),
    ]
)
URI_LIKE = st.lists(URI_PIECES, max_size=9).map("".join)
VALUE_PIECES = st.one_of(URI_PIECES, st.sampled_from(['"Bob" ', '"', "\\", "<sip:100@example.com>", ";tag=abc", "\t"]))
VALUE_LIKE = st.lists(VALUE_PIECES, max_size=9).map("".join)
VIA_PIECES = st.sampled_from(
    [
        *("SIP/2.0/UDP ", "SIP/2.0/", "SIP / 2.0 / TCP ", "sip/2.0/tls", "TLS", " ", "\t", ";", "=", ":", ",", '"'),
        *("192.0.2.8", "[2001:db8::1]", "host", "5060", "0", "branch=z9hG4bKa", "rport", "received=", "(c)", "\x00"),
    ]
)
VIA_LIKE = st.lists(VIA_PIECES, max_size=9).map("".join)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:100@192.0.2.8", Uri("sip", "100", None, "192.0.2.8")),
        ("sip:192.0.2.8:5070", Uri("sip", None, None, "192.0.2.8", 5070)),
        ("SIPS:bob:secret@example.com", Uri("sips", "bob", "secret", "example.com")),
        ("sip:a;b?c@h", Uri("sip", "a;b?c", None, "h")),
        ("sip:user:55;x=1@h", Uri("sip", "user", "55;x=1", "h")),
        ("sip:[2001:db8::10]:5070", Uri("sip", None, None, "[2001:db8::10]", 5070)),
        ("sip:[2001:db8::10:5070]", Uri("sip", None, None, "[2001:db8::10:5070]")),
        ("sip:u@[2001:db8:::192.0.2.1]", Uri("sip", "u", None, "[2001:db8::192.0.2.1]")),
        ("sip:h;Transport=TCP;lr", Uri("sip", None, None, "h", None, {"transport": "TCP", "lr": None})),
        ("sip:h;%6C%72", Uri("sip", None, None, "h", None, {"lr": None})),
        ("sip:h;x=1?Subject=a&b=c", Uri("sip", None, None, "h", None, {"x": "1"}, "Subject=a&b=c")),
        ("tel:+4930123;phone-context=x", Uri("tel", "+4930123", params={"phone-context": "x"})),
        ("isbn:2983792873", Uri("isbn", opaque="2983792873")),
        ("soap.beep://192.0.2.103:3002", Uri("soap.beep", opaque="//192.0.2.103:3002")),
    ],
)
def test_uri_is_read_and_written_back(text: str, expected: Uri) -> None:
    uri = Uri.parse(text)
    assert uri == expected
    assert Uri.parse(str(uri)) == uri


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "scheme"),
        ("sip", "scheme"),
        ("example.com", "scheme"),
        ("<sip:a@b>", "'<'"),
        ("sip:a b@c", "' '"),
        ("sip:a@b; lr", "' '"),
        ("sip:", "host"),
        ("sip:a@", "host"),
        ("sip:a@b@c", "host"),
        ("sip:a%4@b", "hexadecimal"),
        ("sip:2001:db8::10", "not a port"),
        ("sip:[2001:db8::g]", "IPv6"),
        ("sip:[fe80::1%eth0]", "%"),
        ("sip:[fe80::1%25eth0]", "zone"),
        ("sip:[2001:db8::1", "bracket"),
        ("sip:[2001:db8::1]x", "after the address"),
        ("sip:h:0", "port"),
        ("sip:h:65536", "port"),
        ("sip:h:", "port"),
        ("sip:h:５", "port"),
        ("sip:-h", "host"),
        ("sip:h" + "".join(f";p{n}" for n in range(101)), "parameters"),
        ("tel:", "number"),
        ("tel:12@h", "number"),
    ],
)
def test_a_bad_uri_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(UriError) as caught:
        Uri.parse(text)
    assert caught.value.status == 400
    assert words in caught.value.detail


def test_an_error_quotes_only_the_beginning_of_a_long_text() -> None:
    with pytest.raises(UriError) as caught:
        Uri.parse("sip:" + "%" * 5000)
    assert len(caught.value.detail) < 150


def test_the_user_is_unescaped_once() -> None:
    assert Uri.parse("sip:sips%3Auser%40example.com@example.net").username == "sips:user@example.com"
    assert Uri.parse("sip:value%25%34%31@h").username == "value%41"
    assert Uri.parse("sip:null-%00-null@h").username == "null-\x00-null"
    assert Uri.parse("sip:h").username == ""
    assert unescape("%ff") == "\udcff"


@given(st.text(max_size=30).filter(lambda text: not any("\ud800" <= character <= "\udfff" for character in text)))
@PROPERTIES
def test_any_text_can_be_a_user_part(text: str) -> None:
    uri = Uri.parse(f"sip:{escape_user(text)}@h")
    assert uri.username == text


def test_a_parsed_uri_cannot_be_changed() -> None:
    uri = Uri.parse("sip:h;lr")
    with pytest.raises(TypeError):
        uri.params["x"] = "1"  # type: ignore[index]
    with pytest.raises(AttributeError):
        uri.host = "other"  # type: ignore[misc]
    assert str(uri._replace(user="100", port=5070)) == "sip:100@h:5070;lr"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", True),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", True),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5", True),
        ("sip:b@x.com?to=a&subject=c", "sip:b@x.com?subject=c&to=a", True),
        ("sip:alice@a.com", "sip:ALICE@a.com", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", False),
        ("sip:carol@c.com;newparam=5", "sip:carol@c.com;newparam=6", False),
        ("sip:carol@c.com", "sip:carol@c.com?Subject=next", False),
        ("sip:a@h", "sips:a@h", False),
        ("sip:@h", "sip:h", False),
    ],
)
def test_equivalence_of_rfc_3261_19_1_4(one: str, other: str, same: bool) -> None:
    assert Uri.parse(one).equivalent(Uri.parse(other)) is same
    assert Uri.parse(other).equivalent(Uri.parse(one)) is same


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<sip:a@b>", NameAddr("", Uri.parse("sip:a@b"))),
        ("sip:a@b;tag=1", NameAddr("", Uri.parse("sip:a@b"), {"tag": "1"})),
        ("<sip:a@b;x>;tag=1", NameAddr("", Uri.parse("sip:a@b;x"), {"tag": "1"})),
        ('"J \\"R\\\\" <sip:a@b>;Tag=1', NameAddr('J "R\\', Uri.parse("sip:a@b"), {"tag": "1"})),
        ("caller<sip:a@b>", NameAddr("caller", Uri.parse("sip:a@b"))),
        ("A. Bell  <sip:a@b> ; tag = 1 ; q=0.5", NameAddr("A. Bell", Uri.parse("sip:a@b"), {"tag": "1", "q": "0.5"})),
        ('"a<b>" <sip:a@b>', NameAddr("a<b>", Uri.parse("sip:a@b"))),
        ('<sip:a@b>;x="q;=,"', NameAddr("", Uri.parse("sip:a@b"), {"x": '"q;=,"'})),
        ("<sip:a@b>;;;", NameAddr("", Uri.parse("sip:a@b"))),
        ("*", NameAddr("", None)),
    ],
)
def test_name_addr_is_read_and_written_back(text: str, expected: NameAddr) -> None:
    value = NameAddr.parse(text)
    assert value == expected
    assert NameAddr.parse(str(value)) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"Mr. J. User <sip:a@b>', "not closed"),
        ('"A\\" <sip:a@b>', "not closed"),
        ('"A" sip:a@b', "no <address>"),
        ('"A" b <sip:a@b>', "no <address>"),
        ("Bell, Alexander <sip:a@b>", "quotes"),
        ("<sip:a@b", "not closed by >"),
        ("<sip:a@b> tag=1", "after the address"),
        ("sip:a@b?Route=x", "angle brackets"),
        ("sip:a,b@c", "angle brackets"),
        ("< sip:a@b >", "' '"),
        ('<sip:a@b>;x="', "not closed"),
        ("", "scheme"),
    ],
)
def test_a_bad_name_addr_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(UriError) as caught:
        NameAddr.parse(text)
    assert words in caught.value.detail


def test_a_tag_is_read_and_set() -> None:
    value = NameAddr.parse("<sip:a@b>;x=1")
    assert value.tag is None
    assert str(value.with_tag("t1")) == "<sip:a@b>;x=1;tag=t1"
    assert value.with_tag("t1").with_tag("t2").tag == "t2"


def test_a_display_name_never_breaks_out_of_its_quotes() -> None:
    assert quote_display_name('a"b\\c\r\nVia: x') == '"a\\"b\\\\c Via: x"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa", Via("UDP", "192.0.2.1", 5060, {"branch": "z9hG4bKa"})),
        ("SIP/2.0/TCP h", Via("TCP", "h", None)),
        ("SIP/2.0/UDP h;rport;branch=1", Via("UDP", "h", None, {"rport": None, "branch": "1"})),
        ("SIP  /   2.0 /UDP     192.0.2.2;branch=390", Via("UDP", "192.0.2.2", None, {"branch": "390"})),
        ("SIP/7.0/UDP h;branch=1", Via("UDP", "h", None, {"branch": "1"})),
        ("SIP/2.0/tls [2001:db8::1] : 5061 ; branch = 1", Via("TLS", "[2001:db8::1]", 5061, {"branch": "1"})),
        ("SIP/2.0/UDP 192.0.2.15;;", Via("UDP", "192.0.2.15", None)),
    ],
)
def test_via_is_read_and_written_back(text: str, expected: Via) -> None:
    via = Via.parse(text)
    assert via == expected
    assert Via.parse(str(via)) == via


@pytest.mark.parametrize("text", ["", ";", "SIP/2.0/UDP", "SIP/2.0/ h", "HTTP/1.1/TCP h", "SIP/2.0/UDP h:0", "UDP h"])
def test_a_bad_via_is_refused(text: str) -> None:
    with pytest.raises(UriError):
        Via.parse(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("SIP/2.0/UDP 192.0.2.1", ("192.0.2.1", 5060)),
        ("SIP/2.0/TLS 192.0.2.1", ("192.0.2.1", 5060)),
        ("SIP/2.0/UDP h:5070;received=192.0.2.9", ("192.0.2.9", 5070)),
        ("SIP/2.0/UDP h:5070;received=192.0.2.9;rport=4000", ("192.0.2.9", 4000)),
        ("SIP/2.0/UDP h:5070;rport", ("h", 5070)),
        ("SIP/2.0/UDP h:5070;rport=x", ("h", 5070)),
        ("SIP/2.0/UDP h:5070;rport=70000", ("h", 5070)),
        ("SIP/2.0/UDP [2001:db8::1];maddr=224.0.0.1", ("2001:db8::1", 5060)),
        ("SIP/2.0/UDP h;received=[2001:db8::9]", ("2001:db8::9", 5060)),
    ],
)
def test_where_an_answer_goes(text: str, address: tuple[str, int]) -> None:
    assert Via.parse(text).response_address == address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 INVITE", CSeq(1, "INVITE")),
        ("0009  INVITE", CSeq(9, "INVITE")),
        ("4294967295 BYE", CSeq(4294967295, "BYE")),
        ("00000000000000000001 BYE", CSeq(1, "BYE")),
        ("7 RE%47IST%45R", CSeq(7, "RE%47IST%45R")),
    ],
)
def test_cseq_is_read_and_written_back(text: str, expected: CSeq) -> None:
    assert CSeq.parse(text) == expected
    assert CSeq.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text", ["", "1", "INVITE", "1 A B", "-1 BYE", "4294967296 BYE", "9" * 5000 + " BYE", "１ BYE", "1_0 BYE", "1 a@b"]
)
def test_a_bad_cseq_is_refused(text: str) -> None:
    with pytest.raises(UriError):
        CSeq.parse(text)


def test_lists_are_split_outside_of_quotes_and_brackets() -> None:
    assert split_list('"a,b" <sip:a,b@c>, d,"e\\",f" ,') == ['"a,b" <sip:a,b@c>', " d", '"e\\",f" ', ""]
    assert split_list('a;b="c;d";e', ";") == ["a", 'b="c;d"', "e"]
    with pytest.raises(UriError):
        split_list('a,"b')


def test_parameters_keep_the_first_of_two_and_skip_empty_ones() -> None:
    assert parse_parameters("a=1;A=2;;b;c=") == {"a": "1", "b": None, "c": ""}


def test_a_hostile_value_is_read_in_linear_time() -> None:
    start = time.process_time()
    for text in ("<" * 60000, '"' * 60000, '"\\' * 30000, ";" * 60000, "," * 60000, '";' * 30000, "sip:" + ";" * 60000):
        for read in (Uri.parse, NameAddr.parse, Via.parse, CSeq.parse, split_list, parse_parameters, parse_host_port):
            outcome(read, text)
    # Linear is 0.1 s here; anything that grows with the square would need minutes.
    assert time.process_time() - start < 5


def outcome(read: object, text: str) -> object:
    """What a reader makes of a text: its value, or the kind of error."""
    try:
        return read(text)  # type: ignore[operator]
    except UriError:
        return UriError


@given(URI_LIKE)
@PROPERTIES
def test_the_fast_way_reads_a_uri_as_the_long_way_does(text: str) -> None:
    assert outcome(uri_module._parse_uri, text) == outcome(uri_module._parse_any_uri, text)


@given(VALUE_LIKE)
@PROPERTIES
def test_the_fast_way_reads_a_name_addr_as_the_long_way_does(text: str) -> None:
    assert outcome(NameAddr.parse, text) == outcome(uri_module._parse_any_name_addr, text)


@given(VIA_LIKE)
@PROPERTIES
def test_the_fast_way_reads_a_via_as_the_long_way_does(text: str) -> None:
    assert outcome(Via.parse, text) == outcome(uri_module._parse_any_via, text)


@given(st.one_of(URI_LIKE, VALUE_LIKE, VIA_LIKE, st.text()))
@PROPERTIES
def test_what_was_read_reads_the_same_when_written(text: str) -> None:
    for read in (Uri.parse, NameAddr.parse, Via.parse, CSeq.parse):
        value = outcome(read, text)
        if value is not UriError:
            assert read(str(value)) == value
