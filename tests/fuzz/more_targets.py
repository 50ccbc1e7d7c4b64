"""What else takes bytes from strangers: addresses, lists, credentials, streams, import documents, datagrams, media."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket
from collections.abc import Callable
from functools import cache
from typing import Any

from simulation.raw import Wire

from app.calls.challenges import answer_challenge, is_stale
from app.command_line.documents import parse_json
from app.errors import RecordErrors, RemoteError
from app.media.endpoint import BUFFER_SIZE
from app.media.messages import Command, SessionConfiguration, SideConfiguration
from app.media.relay import Relay
from app.media.telephone_event import EventDetector, build_event, parse_event
from app.records import Configuration
from app.records.document import read_document, write_document
from app.sip.auth import AuthOutcome, DigestServer, parse_challenges, parse_credentials
from app.sip.flow import Flow
from app.sip.framing import FramingError, KeepAlive, StreamFramer
from app.sip.message import Request, Response
from app.sip.uri import CSeq, NameAddr, Uri, Via

Target = Callable[[bytes], None]
LISTS = ("Via", "Contact", "Route", "Record-Route", "P-Asserted-Identity", "Diversion")
_LENGTH = re.compile(rb"\n(?:content-length|l)[ \t]*:", re.IGNORECASE)
_HEAD_ENDS = re.compile(rb"\n\r?\n")
_DIGEST = DigestServer("trunkline", b"secret" * 4)


def uri(data: bytes) -> None:
    """A text as URI, address, Via and CSeq: refused in words, or written so that it reads as the same again."""
    text = data.decode("utf-8", "surrogateescape")
    for kind in (Uri, NameAddr, Via, CSeq):
        try:
            value = kind.parse(text)
        except RemoteError as error:
            assert error.status == 400
            assert error.detail
            continue
        again = kind.parse(str(value))
        assert again == value or str(kind.parse(str(again))) == str(again), (value, again)
        if isinstance(value, Uri):
            assert value.equivalent(value)
            assert isinstance(value.username, str)
        elif isinstance(value, Via):
            assert 0 < value.response_address[1] < 65536


def headers(data: bytes) -> None:
    """A text as the value of each header that is a list, twice in one message."""
    text = " ".join(data.decode("utf-8", "surrogateescape").split())
    for name in LISTS:
        message = Request("INVITE", "sip:a@b", [(name, text), ("CSeq", "1 INVITE"), (name, text)])
        for view in ("vias", "via", "contacts", "routes", "record_routes"):
            with contextlib.suppress(RemoteError):
                getattr(message, view)
        with contextlib.suppress(RemoteError):
            values = message.values(name)
            assert all(value.strip() == value for value in values)


def digest(data: bytes) -> None:
    """A text as credentials and as challenge, and the answer to it."""
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(RemoteError):
        parse_credentials(text)
    with contextlib.suppress(RemoteError):
        parse_challenges(text)
    with contextlib.suppress(RemoteError):
        outcome = _DIGEST.check(text, "INVITE", "sip:a@b", {"100": "secret"}.get, 1000.0).outcome
        assert outcome is not AuthOutcome.OK
    request = Request("INVITE", "sip:a@b", [("CSeq", "1 INVITE")])
    for status, name in ((401, "WWW-Authenticate"), (407, "Proxy-Authenticate")):
        response = Response(status, "", [(name, text), ("CSeq", "1 INVITE")])
        is_stale(response)
        for realms in (None, frozenset({"trunkline", "r"})):
            answered = answer_challenge(request, response, "100", "secret", realms)
            assert answered is None or "secret" not in answered[1].replace("\\", "")


def stream(data: bytes) -> None:
    """A stream in one piece, byte by byte and cut at one place: what comes out must not depend on that."""
    whole = _framed([data])
    places = range(1, len(data)) if len(data) < 200 else range(1, len(data), max(1, len(data) // 40))
    bytewise = _framed([data[at : at + 1] for at in range(len(data))])
    # RFC 3261 20.14: without a Content-Length nobody can tell where a body ends; what came at once counts then.
    if all(_LENGTH.search(_HEAD_ENDS.split(item, 1)[0]) for item in whole if isinstance(item, bytes)):
        assert _plain(bytewise) == _plain(whole)
    for at in places:
        _framed([data[:at], data[at:]])


def _framed(pieces: list[bytes]) -> list[Any]:
    framer = StreamFramer()
    items = [item for piece in pieces for item in framer.feed(piece)]
    assert framer.pending <= sum(map(len, pieces))
    items += framer.finish()
    for item in items:
        assert item != b""
    assert sum(isinstance(item, FramingError) for item in items) <= 1
    return items


def _plain(items: list[Any]) -> list[Any]:
    """Without keep-alives, of which several that come at once count as one; errors by their status."""
    return [item.status if isinstance(item, FramingError) else item for item in items if item not in tuple(KeepAlive)]


def event(data: bytes) -> None:
    """Packets of telephone-event, four bytes each, with times that jump as the bytes say."""
    detector = EventDetector()
    now = 0.0
    for at in range(0, len(data) - 5, 6):
        payload = parse_event(data[at : at + 4])
        assert payload is not None
        assert parse_event(build_event(payload)) == payload
        now += data[at + 4] / 100
        for digit in detector.receive(int.from_bytes(data[at + 4 : at + 6], "big") << 16, payload, 8000, now):
            assert len(digit.digit) == 1
            assert digit.duration_ms >= 0
        detector.expire(now)


def document(data: bytes) -> None:
    """A file that is imported: taken, or refused with words for each mistake."""
    try:
        value = parse_json(data, "file")
        for replace in (True, False):
            configuration = read_document(value, Configuration(), replace=replace)
            again = read_document(write_document(configuration, with_secrets=True), Configuration(), replace=True)
            assert again == configuration
    except RecordErrors as error:
        assert error.errors
        assert all(each.message for each in error.errors)


@cache
def _switch() -> Wire:
    document: dict[str, Any] = {
        "system": {"max_messages_per_second": 0, "ban_failures": 0},
        "sip_trunks": [{"id": 1, "server_address": "192.0.2.8"}, {"id": 2, "server_address": "192.0.2.7"}],
        "local_users": [{"number": "100", "password": "secret100"}],
        "analyze_called_numbers": [{"prefix": "", "route_type": "sip_trunk", "target_id": 1}],
    }
    return Wire(document)


def datagram(data: bytes) -> None:
    """A packet to a server, from a stranger, a trunk and a phone's network: no exception gets out of it."""
    wire = _switch()
    for host in ("203.0.113.9", "192.0.2.7", "192.0.2.8"):
        wire.switch.endpoint.receive(data, Flow("udp", "10.0.0.5", 5060, host, 5060))
    wire.caller.received.clear()
    wire.carrier.received.clear()
    wire.advance(0.01)
    if len(wire.switch.calls) > 50:
        wire.world.advance(400)
        assert not wire.switch.calls
        assert wire.switch.counters.total == 0


class _Sessions:
    """One relayed call on sockets of this machine; its peers are nobody."""

    def __init__(self) -> None:
        self.relay = Relay(lambda _message: None)
        ports = []
        while len(ports) < 2:
            with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1] & ~1
            if port not in ports:
                ports.append(port)
        self.relay.command((int(Command.OPEN), 1, *((("127.0.0.1", port),) for port in ports)))
        places = [("127.0.0.1", port) for port in (9, 19)]
        sides = [SideConfiguration(("127.0.0.1",), (), place, place, None, None, True, None, None) for place in places]
        rules = ((0, 8, 8000, False), (8, 0, 8000, False), (101, 96, 8000, True), (96, -1, 16000, True))
        self.places = places
        for secure in (False,):
            configured = SessionConfiguration(
                True, secure, 20, True, (sides[0], sides[1]), (rules, rules), ((101, 8000), (96, 8000))
            )
            self.relay.command((int(Command.CONFIGURE), 1, configured.to_tuple()))


@cache
def _sessions() -> _Sessions:
    return _Sessions()


def media(data: bytes) -> None:
    """Packets of both sides in the relay: a byte says from where, two how long, then the packet."""
    sessions = _sessions()
    relay = sessions.relay
    endpoints = relay.sessions[1].endpoints
    at = 0
    while at + 3 < len(data):
        side, is_rtcp = data[at] & 1, data[at] >> 1 & 1
        size = min(int.from_bytes(data[at + 1 : at + 3], "big"), len(data) - at - 3, BUFFER_SIZE - 1)
        relay.buffer[:size] = data[at + 3 : at + 3 + size]
        endpoints[side][is_rtcp]._take(sessions.places[side], size)
        at += 3 + size
    if data[:1] == b"\xff":
        relay.command((int(Command.DIGIT), 1, data[-1] & 1, data[-1] >> 4, 100))
    relay.tasks(relay.clock())


MORE_TARGETS: dict[str, Target] = {
    "uri": uri,
    "headers": headers,
    "digest": digest,
    "stream": stream,
    "event": event,
    "document": document,
    "datagram": datagram,
    "media": media,
}

_ADDRESSES = (
    "sip:135550@192.0.2.1:5060;transport=udp;lr;maddr=1.2.3.4?subject=x&body=y",
    '"A \\"B\\" <c>" <sips:alice%40x:pass@[2001:db8::1]:5061;method=INVITE>;tag=1;q=0.5;expires=60',
    "tel:+49-30-(123);phone-context=+49;isub=1",
    "*",
    "urn:service:sos",
    "SIP/2.0/UDP [2001:db8::9]:5060;branch=z9hG4bK1;received=1.2.3.4;rport=99;ttl=1",
    "SIP / 2.0 / TLS host.example : 5061 ; branch = x",
    "4294967295 INVITE",
)
_LISTS = (
    '"a, b" <sip:a@b>;q=1, <sip:c@[::1]>;tag="x,y", sip:e@f;g',
    "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/TCP [::1]:5;rport , SIP/2.0/TLS b",
    "<sip:p1;lr>, <sip:p2>,<sip:p3;lr=on>;x",
    "*",
)
_DIGESTS = (
    'Digest username="100", realm="trunkline", nonce="a", uri="sip:a@b", response="0123456789abcdef0123456789abcdef", '
    'qop=auth, nc=00000001, cnonce="c", opaque="o", algorithm=SHA-256, userhash=false',
    'Digest realm="trunkline", nonce="n", algorithm=MD5-sess, qop="auth,auth-int", stale=true, opaque=""',
    'Digest realm="r", nonce="n", algorithm=SHA-512-256, Digest realm="trunkline", nonce="m", Basic realm="x"',
    'Digest username*=UTF-8\'\'J%C3%A4s, realm="r\\"", nonce=""',
)
_DOCUMENTS: tuple[dict[str, Any], ...] = (
    {
        "system": {
            "sip_udp_port": 5060,
            "local_networks": ["10.0.0.0/8"],
            "session_expires": 1800,
            "domain": "a.example",
        },
        "sip_trunks": [
            {
                "id": 1,
                "server_address": "192.0.2.8",
                "next_trunk_id": 2,
                "failover_statuses": [503],
                "codecs": ["PCMA"],
            },
            {"id": 2, "server_address": "[2001:db8::1]", "transport": "tls", "trusted_networks": ["192.0.2.0/24"]},
        ],
        "external_lines": [{"account": "a", "password": "b", "server_address": "x.example", "local_user": "100"}],
        "local_users": [{"number": "100", "password": "12345678", "call_levels": [1, 2], "max_calls": 2}],
    },
    {
        "routing_groups": [
            {"id": 1, "name": "g", "strategy": "weighted"},
            {"id": 2, "members": [{"route_type": "sip_trunk", "target_id": 1, "priority": 1, "weight": 3}]},
        ],
        "sip_trunks": [{"id": 1, "server_address": "192.0.2.8"}],
        "analyze_called_numbers": [{"prefix": "13", "route_type": "sip_trunk", "target_id": 1, "transition_id": 1}],
        "number_transitions": [{"id": 1, "type": "replace", "start": 0, "length": 2, "digits": "00"}],
        "number_lists": [{"caller_prefix": "*", "called_prefix": "09", "block_percent": 50}],
        "address_lists": [{"network": "203.0.113.0/24", "action": "drop"}],
    },
)
_NOT_SIP = (
    bytes.fromhex("000100002112a442") + b"0123456789ab",
    bytes.fromhex("16030100c8010000c40303") + bytes(190),
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\r\n\r\n",
    b"\x00",
    bytes.fromhex("80000001000000a012345678") + bytes(160),
)


def more_seeds(name: str, messages: list[bytes], packets: list[bytes], reports: list[bytes]) -> list[bytes]:
    """Inputs to begin with, from those of the messages and packets where that is what it is about."""
    if name == "uri":
        return [text.encode() for text in _ADDRESSES]
    if name == "headers":
        return [text.encode() for text in (*_LISTS, *_ADDRESSES)]
    if name == "digest":
        return [text.encode() for text in _DIGESTS]
    if name == "document":
        return [json.dumps(each).encode() for each in _DOCUMENTS] + [b"[[[[]]]]", b'{"sip_trunks": [{"id": 1e400}]}']
    if name == "event":
        return [bytes.fromhex("050a00a00001" * 3 + "058a03200001" * 3 + "0b0a00a00003"), bytes(60)]
    if name == "media":
        framed = [bytes((at % 4,)) + len(each).to_bytes(2, "big") + each for at, each in enumerate(packets * 4)]
        controls = [bytes((2 + at % 2,)) + len(each).to_bytes(2, "big") + each for at, each in enumerate(reports * 2)]
        return [b"".join(framed), b"".join(controls), b"\xff" + b"".join(framed[:3]), b"".join(framed + controls)]
    if name == "datagram":
        return [*messages, *_NOT_SIP]
    return [*messages, *(first + b"\r\n\r\n" + second for first, second in itertools.pairwise(messages)), *_NOT_SIP]
