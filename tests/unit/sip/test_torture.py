"""The messages of RFC 4475 and RFC 5118, judged by their index, as datagrams and as streams, whole and mutated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sip_pieces import PIECES

from app.errors import RemoteError
from app.sip.framing import FramingError, StreamFramer
from app.sip.message import HeaderError, MessageError, Request, Response, parse
from app.sip.validation import check_request, check_response

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "torture"
VIEWS = (
    *("via", "vias", "from_", "to", "call_id", "cseq", "contacts", "routes", "record_routes", "max_forwards"),
    *("expires", "content_type", "content_length"),
)


def load(name: str) -> list[dict[str, Any]]:
    """An index with the bytes of each message, empty when the folder is missing."""
    path = FOLDER / name / "index.json"
    if not path.exists():
        return []
    entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return [{**entry, "data": (path.parent / entry["file"]).read_bytes()} for entry in entries]


RFC_4475 = load("rfc4475")
RFC_5118 = load("rfc5118")
DATA = {entry["name"]: entry["data"] for entry in RFC_4475 + RFC_5118}
pytestmark = pytest.mark.skipif(not DATA, reason="shared/torture is not beside the repository")

DROPPED, ACCEPTED = "dropped", "accepted"


def outcome(data: bytes, datagram: bool = True) -> int | str:
    """What the pure layer makes of the bytes: the status it answers, ACCEPTED or DROPPED."""
    try:
        message = parse(data)
    except MessageError:
        return DROPPED
    if isinstance(message, Response):
        return DROPPED if check_response(message) else ACCEPTED
    message.received_from("127.0.0.99", 5060)
    answer = check_request(message, datagram=datagram)
    if answer is None:
        return ACCEPTED
    assert parse(answer.to_bytes()) == answer
    assert answer.to_bytes().count(b"Content-Length: 0\r\n") == 1
    return answer.status


def is_as_wished(entry: dict[str, Any], result: int | str) -> bool:
    """The index's own rules; what is accepted here is answered by the registrar or the call."""
    match entry["pass_rule"]:
        case "silent":
            # A response that can be read is dropped by the transaction layer, since it matches nothing.
            return entry["kind"] == "response" and result == (DROPPED if entry["klass"] == "drop" else ACCEPTED)
        case "answered_not_400":
            return result != DROPPED and result not in {400, 505, 513}
        case "any_final":
            return result != DROPPED
        case "status":
            return result in entry["status_ok"] or (result == ACCEPTED and 200 in entry["status_ok"])
    return False


@pytest.mark.parametrize("entry", RFC_4475, ids=[entry["name"] for entry in RFC_4475])
def test_rfc_4475(entry: dict[str, Any]) -> None:
    assert is_as_wished(entry, outcome(entry["data"]))


def test_nothing_of_rfc_4475_is_missing() -> None:
    assert len(RFC_4475) == 49
    assert len(RFC_5118) == 12


@pytest.mark.parametrize("entry", RFC_4475, ids=[entry["name"] for entry in RFC_4475])
def test_rfc_4475_over_a_stream(entry: dict[str, Any]) -> None:
    framer = StreamFramer()
    items = [item for piece in (entry["data"][:100], entry["data"][100:]) for item in framer.feed(piece)]
    items += framer.finish()
    messages = [item for item in items if isinstance(item, bytes)]
    assert messages
    assert is_as_wished(entry, outcome(messages[0], datagram=False))
    if entry["name"] == "dblreq":
        # RFC 4475 3.1.1.8: on a stream the rest is a second message.
        assert len(messages) == 2
        assert outcome(messages[1], datagram=False) == ACCEPTED
    if entry["name"] in {"clerr", "ncl", "mcl01"}:
        assert any(isinstance(item, FramingError) for item in items)


@pytest.mark.parametrize("entry", RFC_5118, ids=[entry["name"] for entry in RFC_5118])
def test_rfc_5118(entry: dict[str, Any]) -> None:
    assert outcome(entry["data"]) == (ACCEPTED if entry["valid"] else 400)


@pytest.mark.parametrize("name", sorted(set(DATA) - {"bigcode"}))
def test_what_was_read_reads_the_same_when_written(name: str) -> None:
    message = parse(DATA[name])
    assert parse(message.to_bytes()) == message


def request_named(name: str) -> Request:
    """The torture message with this name, parsed."""
    message = parse(DATA[name])
    assert isinstance(message, Request)
    return message


def test_the_tortuous_invite_is_understood_to_the_letter() -> None:
    request = request_named("wsinv")
    assert request.to.tag == "1918181833n"
    assert request.from_.display == 'J Rosenberg \\"'
    assert request.from_.tag == "98asjd8"
    assert request.max_forwards == 68
    assert str(request.cseq) == "9 INVITE"
    assert [(via.transport, via.host, via.branch) for via in request.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert request.get("Subject") == ""
    assert request.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert request.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert request.routes[0].uri is not None
    assert request.routes[0].uri.params == {"lr": None, "unknownwith": "value", "unknown-no-value": None}
    contact = request.contacts[0]
    assert (contact.display, contact.params) == (
        'Quoted string ""',
        {"newparam": "newvalue", "secondparam": None, "q": "0.33"},
    )


def test_escapes_are_undone_where_they_are_and_nowhere_else() -> None:
    request = request_named("esc01")
    assert request.uri.username == "sips:user@example.com"
    assert request.from_.uri is not None
    assert request.from_.uri.username == "I have spaces"
    contact = request.contacts[0].uri
    assert contact is not None
    assert (contact.username, contact.params) == ("caller", {"lr": None, "name": "v%61lue%25%34%31"})
    registration = request_named("escnull")
    users = [value.uri.username for value in registration.contacts if value.uri is not None]
    assert users == ["\x00", "\x00\x00"]
    literal = request_named("esc02")
    assert literal.method == "RE%47IST%45R"
    assert len(literal.contacts) == 2
    assert literal.to.display == "%Z%45"


def test_unusual_characters_are_kept() -> None:
    request = request_named("intmeth")
    assert request.uri.host == "example.com"
    assert request.uri.username.startswith("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
    assert request.to.display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert request.from_.tag == "_token~1'+`*%!-."
    assert request.from_.params["fromparam''~+*_!.-%"] == '"работающий"'
    assert request.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"
    assert request_named("semiuri").uri.username == "user;par=u@example.net"
    reason = parse(DATA["unreason"])
    assert isinstance(reason, Response)
    assert reason.reason.endswith("простое")


def test_long_values_and_many_vias_are_kept() -> None:
    request = request_named("longreq")
    assert len(request.vias) == 34
    assert request.from_.tag is not None
    assert len(request.from_.tag) == 155
    assert len(request.body) == 150


def test_contact_parameters_and_uri_parameters_are_told_apart() -> None:
    outside, inside = request_named("cparam01").contacts[0], request_named("cparam02").contacts[0]
    assert outside.uri is not None
    assert inside.uri is not None
    assert (outside.params, outside.uri.params) == ({"unknownparam": None}, {})
    assert (inside.params, inside.uri.params) == ({}, {"unknownparam": None})
    escaped = request_named("regescrt").contacts[0].uri
    assert escaped is not None
    assert escaped.headers == "Route=%3Csip:sip.example.com%3E"


def test_a_datagram_ends_with_its_first_message_and_a_body_is_kept_to_the_byte() -> None:
    assert request_named("dblreq").body == b""
    data = DATA["mpart01"]
    assert request_named("mpart01").body == data[data.index(b"\r\n\r\n") + 4 :]
    assert len(request_named("mpart01").body) == 553


def test_what_a_refusal_must_carry() -> None:
    answer = check_request(request_named("bext01"))
    assert answer is not None
    assert answer.values("Unsupported") == ["nothingSupportsThis", "nothingSupportsThisEither"]
    answer = check_request(request_named("invut"))
    assert answer is not None
    assert answer.values("Accept")[0] == "application/sdp"


def test_addresses_of_rfc_5118() -> None:
    assert (request_named("port-ambiguous").uri.address, request_named("port-ambiguous").uri.port) == (
        "2001:db8::10:5070",
        None,
    )
    assert (request_named("port-unambiguous").uri.address, request_named("port-unambiguous").uri.port) == (
        "2001:db8::10",
        5070,
    )
    for name in ("via-received-param-with-delim", "via-received-param-no-delim"):
        assert request_named(name).via.response_address == ("2001:db8::9:255", 5060)
    assert request_named("ipv6-bug-abnf-3-colons").uri.host == "[2001:db8::192.0.2.1]"
    assert request_named("ipv4-mapped-ipv6").via.sent_by == "[::ffff:192.0.2.10]:19823"


# --- mutations ------------------------------------------------------------------------------------------------------

SNIPPETS = [
    *PIECES,
    *(b"Via: ", b"To: x\r\n", b"Require: a\r\n", b"Record-Route: <sip:h;lr>\r\n"),
    *(b"99999999999", b"\xd9\xa3", b"tag="),
]
MUTATION = st.tuples(st.integers(0, 4000), st.integers(0, 12), st.sampled_from(SNIPPETS) | st.binary(max_size=4))


def mutated(data: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    """The bytes with a few pieces cut out and others put in."""
    for position, length, piece in mutations:
        start = position % (len(data) + 1)
        data = data[:start] + piece + data[start + length :]
    return data


def use(message: Request | Response) -> None:
    """Do with a message whatever may be done before it is checked: only a RemoteError may come of it."""
    for view in (*VIEWS, "uri") if isinstance(message, Request) else VIEWS:
        try:
            getattr(message, view)
        except HeaderError as error:
            assert error.detail
            assert error.reason.isprintable()
    for name in {name for name, _ in message.headers}:
        try:
            message.values(name)
        except HeaderError:
            continue


@given(st.sampled_from(sorted(DATA) or ["missing"]), st.lists(MUTATION, min_size=1, max_size=6))
@settings(max_examples=600, deadline=None)
def test_mutations_raise_nothing_else_and_what_is_accepted_can_be_read(
    name: str, mutations: list[tuple[int, int, bytes]]
) -> None:
    data = mutated(DATA[name], mutations)
    for item in StreamFramer().feed(data):
        assert item != b""
    try:
        message = parse(data)
    except MessageError as error:
        assert isinstance(error, RemoteError)
        return
    use(message)
    message = parse(data)
    if isinstance(message, Response):
        if check_response(message) is None:
            _ = (message.via, message.from_, message.to, message.call_id, message.cseq)
        return
    message.received_from("127.0.0.99", 5060)
    answer = check_request(message)
    if answer is not None:
        assert 400 <= answer.status < 600
        assert parse(answer.to_bytes()) == answer
        return
    _ = (message.via, message.vias, message.from_, message.to, message.call_id, message.cseq, message.uri)
    _ = (message.max_forwards, message.content_length, message.expires)
    if message.method in {"INVITE", "REGISTER", "UPDATE"}:
        _ = message.contacts
    if message.method == "INVITE":
        _ = message.record_routes
    assert parse(message.answer(200, to_tag="t").to_bytes()).cseq == message.cseq
