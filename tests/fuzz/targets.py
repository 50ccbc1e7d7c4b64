"""What is fuzzed: each target takes any bytes and may raise nothing; what it calls may refuse them in its own words."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from fuzz.more_targets import MORE_TARGETS, more_seeds

from app.errors import RemoteError
from app.media.negotiation import Negotiation, Side, SideSettings
from app.media.rtp import RtpError, is_rtcp, parse_rtcp, parse_rtp
from app.media.sdp import SdpError, audio_stream
from app.media.sdp import parse as parse_sdp
from app.media.telephone_event import parse_event
from app.sip.auth import DigestServer
from app.sip.framing import StreamFramer
from app.sip.message import MessageError, Request, parse
from app.sip.validation import check_request, check_response

Target = Callable[[bytes], None]

_VIEWS = ("via", "vias", "from_", "to", "call_id", "cseq", "contacts", "routes", "record_routes", "max_forwards")
_MORE_VIEWS = ("expires", "content_type", "content_length")
_TORTURE = Path(__file__).resolve().parents[3] / "shared" / "torture"
_DIGEST = DigestServer("trunkline", b"secret" * 4)


def sip(data: bytes) -> None:
    """Cut, parse, look at everything, check, refuse, answer and write a message."""
    for item in StreamFramer().feed(data):
        assert item != b""
    try:
        message = parse(data)
    except MessageError:
        return
    names = (*_VIEWS, *_MORE_VIEWS, *(("uri",) if isinstance(message, Request) else ()))
    for name in names:
        try:
            getattr(message, name)
        except RemoteError as error:
            assert error.detail
    for name in {name for name, _ in message.headers}:
        try:
            message.values(name)
        except RemoteError:
            continue
    assert parse(message.to_bytes()).method == message.method if isinstance(message, Request) else True
    if not isinstance(message, Request):
        check_response(message)
        return
    message.received_from("192.0.2.99", 5060)
    refusal = check_request(message)
    if refusal is None:
        assert parse(message.answer(200, to_tag="t").to_bytes()).cseq == message.cseq
    else:
        assert 400 <= refusal.status < 600
        parse(refusal.to_bytes())
    for value in message.get_all("Authorization"):
        with contextlib.suppress(RemoteError):
            _DIGEST.check(value, message.method, message.uri_text, lambda _user: "secret", 1000.0)


def sdp(data: bytes) -> None:
    """Parse a description, offer it, answer with it, in each order, with and without a codec list."""
    try:
        description = parse_sdp(data)
        assert parse_sdp(description.to_bytes()) == description
        audio_stream(description)
    except SdpError as error:
        assert error.status in (400, 488)
    good = _SDP_SEEDS[0]
    for codecs in (None, ("PCMA", "telephone-event")):
        sides = SideSettings("198.51.100.1", codecs=codecs), SideSettings("2001:db8::1")
        for offer, answer in ((data, good), (good, data), (data, data)):
            negotiation = Negotiation(*sides, ({"198.51.100.1": 30000}, {"2001:db8::1": 30002}), 1000)
            try:
                _exchange(negotiation, offer, answer)
            except RemoteError as error:
                assert error.status in (400, 488, 491)
            negotiation.rollback()


def _exchange(negotiation: Negotiation, offer: bytes, answer: bytes) -> None:
    assert b"198.51.100.1" in negotiation.offer(Side.CALLED, offer) or offer
    negotiation.answer(Side.CALLER, answer)
    negotiation.offer(Side.CALLER, answer)
    negotiation.answer(Side.CALLED, offer)


def rtp(data: bytes) -> None:
    """Read a packet of audio and what may be a digit in it."""
    is_rtcp(data)
    try:
        header = parse_rtp(data)
    except RtpError:
        return
    parse_event(data[-4:])
    assert 0 <= header.payload_type < 128


def rtcp(data: bytes) -> None:
    """Read a compound packet of reports."""
    try:
        packets = parse_rtcp(data)
    except RtpError:
        return
    assert len(packets) <= len(data) // 4


TARGETS: dict[str, Target] = {"sip": sip, "sdp": sdp, "rtp": rtp, "rtcp": rtcp, **MORE_TARGETS}

_SDP_TEXTS = (
    """v=0
o=- 1 1 IN IP4 203.0.113.5
s=-
c=IN IP4 203.0.113.5
t=0 0
m=audio 4000 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=sendrecv
""",
    """v=0
o=Phone 53655765 2353687637 IN IP6 2001:db8::5
s=call
t=0 0
a=group:BUNDLE 0 1
m=audio 49170 RTP/SAVPF 111 97 0 101 110
c=IN IP6 2001:db8::5
b=AS:64
a=rtcp:49171 IN IP6 2001:db8::5
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:97 iLBC/8000
a=rtpmap:101 telephone-event/8000
a=rtpmap:110 telephone-event/48000
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz
a=recvonly
m=video 0 RTP/AVP 31
m=image 5000 udptl t38
""",
    """v=0
o=- 7 8 IN IP4 0.0.0.0
s=-
c=IN IP4 0.0.0.0
t=0 0
m=audio 4000 RTP/AVP 18 3
a=inactive
m=audio 4002 RTP/AVP 8
c=IN IP4 192.0.2.7/127
a=sendonly
""",
)
_SDP_SEEDS = tuple(text.replace("\n", "\r\n").encode() for text in _SDP_TEXTS)

_REQUESTS = (
    """INVITE sip:135550@192.0.2.1:5060 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKone;rport
Max-Forwards: 70
From: "Caller" <sip:200@192.0.2.20>;tag=theirs
To: <sip:135550@192.0.2.1>
Call-ID: call@192.0.2.20
CSeq: 1 INVITE
Contact: <sip:200@192.0.2.20:5060;transport=udp>
Supported: timer, 100rel
Session-Expires: 1800;refresher=uac
Min-SE: 90
P-Asserted-Identity: "A" <sip:+4930@x>, <tel:+4930>
Privacy: id
Record-Route: <sip:p1;lr>, <sip:p2;lr>
Authorization: Digest username="100", realm="trunkline", nonce="a", uri="x", response="0", qop=auth, nc=1, cnonce=""
Content-Type: application/sdp
Content-Length: 0

""",
    """REGISTER sip:192.0.2.1 SIP/2.0
v: SIP/2.0/TLS [2001:db8::9]:5061;branch=z9hG4bKreg
f: <sip:100@192.0.2.1>;tag=1
t: sip:100@192.0.2.1
i: reg
CSeq: 2 REGISTER
m: <sip:100@[2001:db8::9]:5061;transport=tls>;expires=600;q=0.5, <sip:100@192.0.2.9>
Expires: 3600
l: 0

""",
    """SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours;received=192.0.2.1;rport=5060
From: <sip:200@192.0.2.20>;tag=a
To: <sip:135550@192.0.2.1>;tag=b
Call-ID: x
CSeq: 1 INVITE
Contact: "B" <sip:b@192.0.2.8>
RSeq: 1
Require: 100rel
WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth,auth-int", stale=true
Content-Length: 0

""",
)
_RTP_SEEDS = (
    bytes.fromhex("80000001000000a012345678") + bytes(160),
    bytes.fromhex("9085ffff000000a0123456780000000100bede0001ff00000a0b0c0d") + bytes(20) + b"\x04",
    bytes.fromhex("80e5000100000000deadbeef") + bytes.fromhex("050a00a0"),
)
_RTCP_SEEDS = (
    bytes.fromhex("80c8000612345678000102030405060708090a0b0000000a00000640")
    + bytes.fromhex("81ca0003123456780107706565720000"),
    bytes.fromhex("81c90007123456789abcdef001000002000100030000000400000005000000060000000781cb000112345678"),
)


def seeds_of(name: str) -> list[bytes]:
    """Inputs to begin with: the torture messages are among them where their folder is."""
    if name == "sdp":
        return list(_SDP_SEEDS)
    if name == "rtp":
        return list(_RTP_SEEDS)
    if name == "rtcp":
        return list(_RTCP_SEEDS)
    messages = _messages()
    return messages if name == "sip" else more_seeds(name, messages, list(_RTP_SEEDS), list(_RTCP_SEEDS))


def _messages() -> list[bytes]:
    seeds = [text.replace("\n", "\r\n").encode() for text in _REQUESTS]
    seeds += [seeds[0] + _SDP_SEEDS[0]]
    for index in sorted(_TORTURE.glob("*/index.json")):
        seeds += [(index.parent / entry["file"]).read_bytes() for entry in json.loads(index.read_text("utf-8"))]
    return seeds
