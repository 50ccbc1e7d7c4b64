"""Offers and answers between two sides that each see only the relay."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import RemoteError
from app.media.negotiation import Negotiation, OfferPending, Side, SideSettings, UnexpectedAnswer
from app.media.sdp import Direction, NoCommonCodec, SdpError, audio_stream, parse

US = "198.51.100.1"
SIX = "2001:db8::1"
PORTS = (30000, 30002)


def sdp(
    host: str = "203.0.113.5",
    port: int = 4000,
    formats: str = "0 8 101",
    extra: str = "",
    other: str = "",
    protocol: str = "RTP/AVP",
) -> bytes:
    maps = {
        "0": "PCMU/8000",
        "8": "PCMA/8000",
        "18": "G729/8000",
        "96": "telephone-event/8000",
        "97": "iLBC/8000",
        "101": "telephone-event/8000",
        "111": "opus/48000/2",
        "110": "telephone-event/48000",
    }
    family = "IP6" if ":" in host else "IP4"
    lines = [
        "v=0",
        f"o=phone 7 7 IN {family} {host}",
        "s=-",
        f"c=IN {family} {host}",
        "t=0 0",
        f"m=audio {port} {protocol} {formats}",
        *(f"a=rtpmap:{number} {maps[number]}" for number in formats.split()),
        *(line for line in extra.split("\n") if line),
        *(line for line in other.split("\n") if line),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def make(caller: SideSettings | None = None, called: SideSettings | None = None) -> Negotiation:
    sides = caller or SideSettings(US), called or SideSettings(US)
    ports = [{side.local_address: port} for side, port in zip(sides, PORTS, strict=True)]
    return Negotiation(*sides, (ports[0], ports[1]), 1000)


def lines_of(data: bytes) -> list[str]:
    return data.decode().split("\r\n")


def media_line(data: bytes) -> str:
    return next(line for line in lines_of(data) if line.startswith("m="))


def test_both_sides_see_only_the_relay() -> None:
    negotiation = make(SideSettings(US, external_address="192.0.2.44"))
    secret = "a=candidate:1 1 udp 1 10.9.9.9 5 typ host\na=ice-ufrag:x\na=rtcp:5555 IN IP4 10.9.9.9\na=x-phone:7\n"
    sent = negotiation.offer(Side.CALLER, sdp("10.9.9.9", 4000, extra=secret))
    assert b"10.9.9.9" not in sent and b"candidate" not in sent and b"ice" not in sent
    audio = audio_stream(parse(sent))
    assert (audio.host, audio.port, audio.rtcp_port) == (US, 30002, 30003)
    assert "a=x-phone:7" in lines_of(sent)
    answered = negotiation.answer(Side.CALLED, sdp("10.8.8.8", 5000))
    assert b"10.8.8.8" not in answered
    audio = audio_stream(parse(answered))
    assert (audio.host, audio.port) == ("192.0.2.44", 30000)
    media = negotiation.media
    assert media is not None and media.active
    assert (media.sides[0].host, media.sides[0].port) == ("10.9.9.9", 4000)
    assert (media.sides[0].rtcp_host, media.sides[0].rtcp_port) == ("10.9.9.9", 5555)
    assert (media.sides[1].host, media.sides[1].port, media.sides[1].rtcp_port) == ("10.8.8.8", 5000, 5001)
    assert media.codec == "PCMU/8000" and media.codec_name == "PCMU"


def test_every_other_stream_is_refused_at_its_place() -> None:
    negotiation = make()
    offered = sdp(other="m=video 6000 RTP/AVP 31\na=rtpmap:31 H261/90000\nm=audio 6002 RTP/AVP 0\n").replace(
        b"m=audio 4000", b"m=application 1 TCP/BFCP *\r\nm=audio 4000"
    )
    sent = parse(negotiation.offer(Side.CALLER, offered))
    assert [(item.media, item.port) for item in sent.media] == [
        ("application", 0),
        ("audio", 30002),
        ("video", 0),
        ("audio", 0),
    ]
    answer = sdp().replace(b"m=audio", b"m=application 0 TCP/BFCP *\r\nm=audio")
    answered = parse(negotiation.answer(Side.CALLED, answer))
    assert [(item.media, item.port) for item in answered.media] == [
        ("application", 0),
        ("audio", 30000),
        ("video", 0),
        ("audio", 0),
    ]


def test_an_answer_that_lost_lines_is_understood() -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp().replace(b"m=audio", b"m=video 6000 RTP/AVP 31\r\nm=audio"))
    answered = parse(negotiation.answer(Side.CALLED, sdp()))
    assert [(item.media, item.port) for item in answered.media] == [("video", 0), ("audio", 30000)]


def test_telephone_event_numbers_are_mapped_each_way() -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp(formats="0 101", extra="a=fmtp:101 0-16\n"))
    answered = negotiation.answer(Side.CALLED, sdp(formats="0 96", extra="a=fmtp:96 0-15\n"))
    # The caller goes on with its own number.
    assert media_line(answered) == "m=audio 30000 RTP/AVP 0 101"
    assert "a=rtpmap:101 telephone-event/8000" in lines_of(answered) and "a=fmtp:101 0-15" in lines_of(answered)
    media = negotiation.media
    assert media is not None
    to_called = {rule.incoming: rule.outgoing for rule in media.rules[Side.CALLER]}
    to_caller = {rule.incoming: rule.outgoing for rule in media.rules[Side.CALLED]}
    assert to_called == {0: 0, 101: 96}
    assert to_caller == {0: 0, 101: 101, 96: 101}
    assert media.events == ((101, 8000), (96, 8000))


def test_a_number_keeps_its_codec_with_each_side() -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp(formats="111 101"))
    negotiation.answer(Side.CALLED, sdp(formats="111 101"))
    # The called side now offers with numbers of its own; 96 and 101 mean something else to the caller.
    sent = negotiation.offer(Side.CALLED, sdp(formats="111 96"))
    assert media_line(sent) == "m=audio 30000 RTP/AVP 111 101"
    sent = negotiation.offer(Side.CALLED, sdp(formats="0 97 96").replace(b"a=rtpmap:97 iLBC", b"a=rtpmap:97 speex"))
    assert media_line(sent) == "m=audio 30000 RTP/AVP 0 97 101"


def test_a_taken_number_is_replaced_by_a_free_one() -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp(formats="0 101"))
    negotiation.answer(Side.CALLED, sdp(formats="0 101"))
    sent = negotiation.offer(
        Side.CALLED,
        sdp(formats="0 101").replace(b"101 telephone-event", b"101 opus").replace(b"opus/8000", b"opus/48000/2"),
    )
    number = int(media_line(sent).split()[-1])
    assert number not in (0, 101) and 96 <= number <= 127
    assert f"a=rtpmap:{number} opus/48000/2" in lines_of(sent)


def test_telephone_event_of_another_clock_is_another_codec() -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp(formats="111 0 110 101"))
    negotiation.answer(Side.CALLED, sdp(formats="0 101"))
    media = negotiation.media
    assert media is not None and media.events == ((101, 8000), (101, 8000))


def test_codec_list_filters_and_orders() -> None:
    negotiation = make(called=SideSettings(US, codecs=("G.729", "pcma")))
    sent = negotiation.offer(Side.CALLER, sdp(formats="0 8 18 101", extra="a=fmtp:18 annexb=no\n"))
    assert media_line(sent) == "m=audio 30002 RTP/AVP 18 8 101"
    assert not any("PCMU" in line for line in lines_of(sent))
    assert "a=fmtp:18 annexb=no" in lines_of(sent)
    answered = negotiation.answer(Side.CALLED, sdp(formats="8 101"))
    assert media_line(answered) == "m=audio 30000 RTP/AVP 8 101"


def test_the_list_of_the_offering_side_counts_too() -> None:
    negotiation = make(caller=SideSettings(US, codecs=("PCMA", "PCMU")))
    assert media_line(negotiation.offer(Side.CALLER, sdp(formats="0 8 18 101"))).endswith("RTP/AVP 8 0 101")


def test_nothing_in_common_is_488_and_changes_nothing() -> None:
    negotiation = make(called=SideSettings(US, codecs=("G729",)))
    with pytest.raises(NoCommonCodec) as caught:
        negotiation.offer(Side.CALLER, sdp(formats="0 8 101"))
    assert caught.value.status == 488
    assert "PCMU/8000" in caught.value.detail and "G729" in caught.value.detail
    assert negotiation.pending is None
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp(formats="0 101"))
    with pytest.raises(NoCommonCodec):
        negotiation.answer(Side.CALLED, sdp(formats="8 101"))
    assert negotiation.media is None and negotiation.pending is Side.CALLER
    negotiation.answer(Side.CALLED, sdp(formats="0 101"))
    assert negotiation.media is not None


def test_an_answer_with_codecs_that_were_not_offered_is_cut_down() -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp(formats="8 101"))
    assert media_line(negotiation.answer(Side.CALLED, sdp(formats="0 8 101"))) == "m=audio 30000 RTP/AVP 8 101"


@pytest.mark.parametrize(
    ("hold", "offered", "answer", "back"),
    [
        ("a=sendonly\n", "sendonly", "a=recvonly\n", "recvonly"),
        ("a=inactive\n", "inactive", "a=inactive\n", "inactive"),
        ("a=sendonly\n", "sendonly", "", "recvonly"),
        ("a=recvonly\n", "recvonly", "a=sendonly\n", "sendonly"),
    ],
)
def test_hold_by_attribute(hold: str, offered: str, answer: str, back: str) -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp())
    negotiation.answer(Side.CALLED, sdp())
    assert f"a={offered}" in lines_of(negotiation.offer(Side.CALLER, sdp(extra=hold)))
    assert f"a={back}" in lines_of(negotiation.answer(Side.CALLED, sdp(extra=answer)))
    assert negotiation.media is not None and negotiation.media.held


def test_hold_by_address_becomes_an_attribute_and_keeps_the_address() -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp("203.0.113.5", 4000))
    negotiation.answer(Side.CALLED, sdp("203.0.113.6", 5000))
    sent = negotiation.offer(Side.CALLER, sdp("0.0.0.0", 4000))
    audio = audio_stream(parse(sent))
    assert (audio.host, audio.direction) == (US, Direction.SENDONLY)
    negotiation.answer(Side.CALLED, sdp("203.0.113.6", 5000, extra="a=recvonly\n"))
    media = negotiation.media
    assert media is not None and media.held and not media.sends(Side.CALLED)
    assert (media.sides[0].host, media.sides[0].port) == ("203.0.113.5", 4000)
    negotiation.offer(Side.CALLER, sdp("203.0.113.5", 4000))
    negotiation.answer(Side.CALLED, sdp("203.0.113.6", 5000))
    assert negotiation.media is not None and not negotiation.media.held


def test_late_offer_goes_the_other_way() -> None:
    negotiation = make()
    sent = negotiation.offer(Side.CALLED, sdp("203.0.113.6", 5000))
    assert media_line(sent).startswith("m=audio 30000 ")
    answered = negotiation.answer(Side.CALLER, sdp("203.0.113.5", 4000))
    assert media_line(answered).startswith("m=audio 30002 ")
    media = negotiation.media
    assert media is not None and media.sides[0].host == "203.0.113.5" and media.sides[1].host == "203.0.113.6"


def test_glare_and_answers_to_nothing() -> None:
    negotiation = make()
    with pytest.raises(UnexpectedAnswer):
        negotiation.answer(Side.CALLED, sdp())
    negotiation.offer(Side.CALLER, sdp())
    with pytest.raises(OfferPending) as caught:
        negotiation.offer(Side.CALLED, sdp())
    assert caught.value.status == 491
    with pytest.raises(UnexpectedAnswer):
        negotiation.answer(Side.CALLER, sdp())
    negotiation.answer(Side.CALLED, sdp())
    negotiation.offer(Side.CALLED, sdp())


def test_a_refused_reinvite_leaves_what_was_agreed() -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp("203.0.113.5", 4000))
    negotiation.answer(Side.CALLED, sdp("203.0.113.6", 5000))
    before = negotiation.media
    negotiation.offer(Side.CALLED, sdp("203.0.113.6", 5000, extra="a=sendonly\n"))
    negotiation.rollback()
    assert negotiation.media is before and negotiation.pending is None
    # An answer that comes again (a repeated 200) still belongs to the first offer.
    negotiation.answer(Side.CALLED, sdp("203.0.113.6", 5000))
    assert negotiation.media == before
    negotiation.offer(Side.CALLER, sdp("203.0.113.5", 4000))
    assert negotiation.pending is Side.CALLER


def test_several_early_dialogs() -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp())
    negotiation.answer(Side.CALLED, sdp("203.0.113.7", 5000), branch="one")
    assert negotiation.media is not None and negotiation.media.branch == "one"
    negotiation.answer(Side.CALLED, sdp("203.0.113.8", 5000), branch="two")
    assert negotiation.media.sides[1].host == "203.0.113.8"
    negotiation.answer(Side.CALLED, sdp("203.0.113.7", 5000), branch="one")
    assert negotiation.media.sides[1].host == "203.0.113.7"


def test_the_version_grows_only_with_a_change() -> None:
    def origin(data: bytes) -> list[str]:
        return next(line for line in lines_of(data) if line.startswith("o=")).split()

    negotiation = make()
    first = origin(negotiation.offer(Side.CALLER, sdp()))
    negotiation.answer(Side.CALLED, sdp())
    same = origin(negotiation.offer(Side.CALLER, sdp()))
    negotiation.answer(Side.CALLED, sdp())
    held = origin(negotiation.offer(Side.CALLER, sdp(extra="a=sendonly\n")))
    assert first == same and first[:2] == held[:2] and int(held[2]) == int(first[2]) + 1
    assert first[1].isdigit()


def test_families_differ_per_side() -> None:
    negotiation = make(called=SideSettings("2001:db8::1"))
    sent = negotiation.offer(Side.CALLER, sdp())
    assert "c=IN IP6 2001:db8::1" in lines_of(sent) and re.search(rb"o=.* IN IP6 2001:db8::1\r\n", sent)
    answered = negotiation.answer(Side.CALLED, sdp("2001:db8::77"))
    assert f"c=IN IP4 {US}" in lines_of(answered)


def test_rtcp_mux_is_agreed_with_each_side_alone() -> None:
    negotiation = make()
    sent = negotiation.offer(Side.CALLER, sdp(extra="a=rtcp-mux\n"))
    assert "a=rtcp-mux" in lines_of(sent)
    answered = negotiation.answer(Side.CALLED, sdp())
    assert "a=rtcp-mux" in lines_of(answered)
    media = negotiation.media
    assert media is not None
    assert (media.sides[0].rtcp_mux, media.sides[0].rtcp_port) == (True, 4000)
    assert (media.sides[1].rtcp_mux, media.sides[1].rtcp_port) == (False, 4001)
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp())
    assert "a=rtcp-mux" not in lines_of(negotiation.answer(Side.CALLED, sdp(extra="a=rtcp-mux\n")))


def test_rtcp_attribute_names_our_port() -> None:
    negotiation = make()
    assert "a=rtcp:30003" in lines_of(negotiation.offer(Side.CALLER, sdp(extra="a=rtcp:4001\n")))


def test_a_refused_stream_and_a_disabled_one() -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp())
    assert media_line(negotiation.answer(Side.CALLED, sdp(port=0))).startswith("m=audio 0 ")
    assert negotiation.media is not None and not negotiation.media.active
    assert media_line(negotiation.offer(Side.CALLER, sdp(port=0))).startswith("m=audio 0 ")
    assert media_line(negotiation.answer(Side.CALLED, sdp(port=0))).startswith("m=audio 0 ")


def test_fax_is_refused_and_the_audio_stays() -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp())
    negotiation.answer(Side.CALLED, sdp())
    before = negotiation.media
    with pytest.raises(SdpError) as caught:
        negotiation.offer(Side.CALLED, b"v=0\r\nc=IN IP4 203.0.113.6\r\nm=image 5000 udptl t38\r\n")
    assert caught.value.status == 488
    assert negotiation.media is before and negotiation.pending is None


@pytest.mark.parametrize("other", ["m=image 5000 udptl t38\n", "m=video 5000 RTP/AVP 31\n"])
def test_what_comes_in_place_of_the_audio_is_refused_and_the_audio_stays(other: str) -> None:
    """Gateways offer a fax beside an audio stream with port 0."""
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp())
    negotiation.answer(Side.CALLED, sdp())
    before = negotiation.media
    with pytest.raises(SdpError) as caught:
        negotiation.offer(Side.CALLED, sdp(port=0, other=other))
    assert caught.value.status == 488
    assert negotiation.media is before and negotiation.pending is None


def test_a_dialog_never_loses_a_stream() -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, sdp(other="m=video 6000 RTP/AVP 31\n"))
    negotiation.answer(Side.CALLED, sdp(other="m=video 0 RTP/AVP 31\n"))
    sent = parse(negotiation.offer(Side.CALLED, sdp()))
    assert [(item.media, item.port) for item in sent.media] == [("audio", 30000), ("video", 0)]
    answered = parse(negotiation.answer(Side.CALLER, sdp(other="m=video 0 RTP/AVP 31\n")))
    assert [item.media for item in answered.media] == ["audio"]


def test_srtp_passes_with_its_keys_and_numbers() -> None:
    crypto = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\n"
    negotiation = make(called=SideSettings(US, dtmf_by_info=True))
    sent = negotiation.offer(Side.CALLER, sdp(protocol="RTP/SAVP", extra=crypto))
    assert crypto.strip() in lines_of(sent)
    negotiation.answer(Side.CALLED, sdp(protocol="RTP/SAVP", formats="8 96", extra=crypto))
    media = negotiation.media
    assert media is not None and media.secure and media.events == (None, None)
    assert all(rule.incoming == rule.outgoing for rules in media.rules for rule in rules)


CRYPTO = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\n"


@pytest.mark.parametrize(
    ("offered", "answered", "secure"),
    [
        (("RTP/AVP", CRYPTO), ("RTP/AVP", CRYPTO), True),
        (("RTP/AVP", CRYPTO), ("RTP/SAVP", CRYPTO), True),
        (("RTP/AVP", CRYPTO), ("RTP/AVP", ""), False),
        (("RTP/SAVP", CRYPTO), ("RTP/AVP", ""), False),
        (("RTP/SAVPF", "a=fingerprint:sha-256 AB:CD\n"), ("RTP/SAVPF", "a=fingerprint:sha-256 AB:CD\n"), True),
    ],
)
def test_encryption_that_is_an_option_is_as_the_answer_says(
    offered: tuple[str, str], answered: tuple[str, str], secure: bool
) -> None:
    """Keys in AVP are an offer: the numbers stay as they are, in case that it is taken."""
    both = SideSettings(US, dtmf_by_info=True)
    negotiation = make(both, both)
    negotiation.offer(Side.CALLER, sdp(protocol=offered[0], formats="0 96", extra=offered[1]))
    negotiation.answer(Side.CALLED, sdp(protocol=answered[0], formats="0 96", extra=answered[1]))
    media = negotiation.media
    assert media is not None and media.secure is secure
    assert media.events == ((None, None) if secure else ((96, 8000), (96, 8000)))
    assert all(rule.incoming == rule.outgoing for rules in media.rules for rule in rules)


KEYED = f"m=audio 4000 RTP/SAVP 0 8 96\na=rtpmap:96 telephone-event/8000\n{CRYPTO}"
PLAIN = "m=audio 4000 RTP/AVP 0 8 96\na=rtpmap:96 telephone-event/8000\n"
HEAD = "v=0\no=- 1 1 IN IP4 203.0.113.5\ns=-\nc=IN IP4 203.0.113.5\nt=0 0\n"


def two_ways(*sections: str) -> bytes:
    return (HEAD + "".join(sections)).replace("\n", "\r\n").encode()


def media_lines(data: bytes) -> list[str]:
    return [line for line in lines_of(data) if line.startswith("m=")]


def test_audio_offered_with_and_without_encryption_is_passed_on_as_both() -> None:
    negotiation = make()
    sent = negotiation.offer(Side.CALLER, two_ways(KEYED, PLAIN, "m=audio 4002 RTP/AVP 0\n"))
    assert media_lines(sent) == [
        "m=audio 30002 RTP/SAVP 0 8 96",
        "m=audio 30002 RTP/AVP 0 8 96",
        "m=audio 0 RTP/AVP 0",  # another stream: only one is relayed
    ]
    assert lines_of(sent).count(CRYPTO.strip()) == 1


ANSWERED_KEYED = KEYED.replace("4000", "5000")
ANSWERED_PLAIN = PLAIN.replace("4000", "5002")


@pytest.mark.parametrize(
    ("answer", "expected", "secure", "port"),
    [
        (
            ("m=audio 0 RTP/SAVP 0\n", ANSWERED_PLAIN),
            ["m=audio 0 RTP/SAVP 0 8 96", "m=audio 30000 RTP/AVP 0 8 96"],
            False,
            5002,
        ),
        (
            (ANSWERED_KEYED, "m=audio 0 RTP/AVP 0\n"),
            ["m=audio 30000 RTP/SAVP 0 8 96", "m=audio 0 RTP/AVP 0 8 96"],
            True,
            5000,
        ),
        (
            (ANSWERED_KEYED, ANSWERED_PLAIN),
            ["m=audio 30000 RTP/SAVP 0 8 96", "m=audio 0 RTP/AVP 0 8 96"],
            True,
            5000,
        ),
        ((ANSWERED_PLAIN,), ["m=audio 0 RTP/SAVP 0 8 96", "m=audio 30000 RTP/AVP 0 8 96"], False, 5002),
        ((ANSWERED_KEYED,), ["m=audio 30000 RTP/SAVP 0 8 96", "m=audio 0 RTP/AVP 0 8 96"], True, 5000),
    ],
    ids=["plain", "keyed", "both", "one line, plain", "one line, keyed"],
)
def test_one_way_is_answered(answer: tuple[str, ...], expected: list[str], secure: bool, port: int) -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, two_ways(KEYED, PLAIN.replace("4000", "4010")))
    assert media_lines(negotiation.answer(Side.CALLED, two_ways(*answer))) == expected
    media = negotiation.media
    assert media is not None and media.active and media.secure is secure
    assert [side.port for side in media.sides] == [4000 if secure else 4010, port]
    assert media.events == ((None, None) if secure else ((96, 8000), (96, 8000)))


def test_both_ways_refused_is_a_call_without_audio() -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, two_ways(KEYED, PLAIN))
    sent = negotiation.answer(Side.CALLED, two_ways("m=audio 0 RTP/SAVP 0\n", "m=audio 0 RTP/AVP 0\n"))
    assert media_lines(sent) == ["m=audio 0 RTP/SAVP 0 8 96", "m=audio 0 RTP/AVP 0 8 96"]
    assert negotiation.media is not None and not negotiation.media.active


def test_the_next_target_is_offered_both_ways_and_a_hold_keeps_the_one_taken() -> None:
    negotiation = make()
    negotiation.offer(Side.CALLER, two_ways(KEYED, PLAIN))
    negotiation.answer(Side.CALLED, two_ways("m=audio 0 RTP/SAVP 0\n", ANSWERED_PLAIN), branch="early")
    again = negotiation.redirect(Side.CALLED, SideSettings(US, codecs=("PCMA",)), {US: 30004}, 7)
    assert again is not None
    assert media_lines(again) == ["m=audio 30004 RTP/SAVP 8 96", "m=audio 30004 RTP/AVP 8 96"]
    taken = ANSWERED_PLAIN.replace("AVP 0 8", "AVP 8")
    negotiation.answer(Side.CALLED, two_ways("m=audio 0 RTP/SAVP 8\n", taken))
    held = negotiation.offer(Side.CALLED, two_ways("m=audio 0 RTP/SAVP 8\n", f"{taken}a=sendonly\n"))
    assert media_lines(held) == ["m=audio 0 RTP/SAVP 8", "m=audio 30000 RTP/AVP 8 96"]
    negotiation.answer(Side.CALLER, two_ways("m=audio 0 RTP/SAVP 8\n", f"{PLAIN}a=recvonly\n"))
    assert negotiation.media is not None and negotiation.media.held and negotiation.media.sides[1].port == 5002


def test_two_sides_without_telephone_event_are_told_of_none() -> None:
    """What the relay offers of itself is not answered to a side that never offered it."""
    both = SideSettings(US, dtmf_by_info=True)
    negotiation = make(both, both)
    negotiation.offer(Side.CALLER, sdp(formats="8"))
    answered = negotiation.answer(Side.CALLED, sdp(formats="8"))
    assert media_line(answered) == "m=audio 30000 RTP/AVP 8" and b"telephone-event" not in answered
    assert negotiation.media is not None and negotiation.media.events == (None, None)


def test_telephone_event_is_added_for_a_side_that_takes_info() -> None:
    negotiation = make(caller=SideSettings(US, dtmf_by_info=True))
    sent = negotiation.offer(Side.CALLER, sdp(formats="0"))
    assert media_line(sent) == "m=audio 30002 RTP/AVP 0 101"
    assert "a=rtpmap:101 telephone-event/8000" in lines_of(sent)
    answered = negotiation.answer(Side.CALLED, sdp(formats="0 101"))
    assert media_line(answered) == "m=audio 30000 RTP/AVP 0" and b"telephone-event" not in answered
    media = negotiation.media
    assert media is not None and media.events == (None, (101, 8000))
    assert {rule.incoming: rule.outgoing for rule in media.rules[Side.CALLED]} == {0: 0, 101: -1}


def test_telephone_event_is_answered_for_a_side_that_takes_info() -> None:
    negotiation = make(called=SideSettings(US, dtmf_by_info=True))
    negotiation.offer(Side.CALLER, sdp(formats="0 96"))
    answered = negotiation.answer(Side.CALLED, sdp(formats="0"))
    assert media_line(answered) == "m=audio 30000 RTP/AVP 0 96"
    assert "a=rtpmap:96 telephone-event/8000" in lines_of(answered)
    media = negotiation.media
    assert media is not None and media.events == ((96, 8000), None)
    assert {rule.incoming: rule.outgoing for rule in media.rules[Side.CALLER]} == {0: 0, 96: -1}


def test_next_target_gets_the_offer_by_its_own_settings() -> None:
    negotiation = make(called=SideSettings(US, codecs=("PCMU",)))
    assert media_line(negotiation.offer(Side.CALLER, sdp())) == "m=audio 30002 RTP/AVP 0 101"
    negotiation.answer(Side.CALLED, sdp(formats="0 101"))
    again = negotiation.redirect(Side.CALLED, SideSettings(SIX, codecs=("PCMA",)), {SIX: 40000}, 5000)
    assert again is not None
    assert media_line(again) == "m=audio 40000 RTP/AVP 8 101" and b"IN IP6 2001:db8::1" in again
    assert negotiation.media is None and negotiation.pending is Side.CALLER
    negotiation.answer(Side.CALLED, sdp("2001:db8::7", formats="8 101"))
    with pytest.raises(NoCommonCodec):
        negotiation.redirect(Side.CALLED, SideSettings(US, codecs=("G729",)), {US: 40000}, 5004)


def test_redirect_without_an_offer() -> None:
    negotiation = make()
    assert negotiation.redirect(Side.CALLED, SideSettings(US), {US: 40000}, 5000) is None


# --- a side that may be at several places ----------------------------------------------------------------------------


AT_US, AT_SIX = SideSettings(US), SideSettings(SIX, sip_source="2001:db8::7")


def awaiting(caller: str = US) -> Negotiation:
    """The called side may be at an IPv4 or at an IPv6 address of ours."""
    return Negotiation(SideSettings(caller), AT_US, ({caller: 30000}, {US: 30002, SIX: 40002}), 1000)


def version_of(data: bytes) -> int:
    return int(lines_of(data)[1].split()[2])


def test_each_place_is_offered_its_own_address_and_port() -> None:
    negotiation = awaiting()
    first = negotiation.offer(Side.CALLER, sdp(extra="a=rtcp:4001", other="m=video 5000 RTP/AVP 31"))
    assert negotiation.offer_at(Side.CALLED, AT_US) == first
    other = negotiation.offer_at(Side.CALLED, AT_SIX)
    assert other == (
        first.replace(b"IN IP4 " + US.encode(), b"IN IP6 " + SIX.encode()).replace(b"30002", b"40002")
    ).replace(b"a=rtcp:30003", b"a=rtcp:40003")
    assert negotiation.ends(Side.CALLED) == ((US, 30002), (SIX, 40002))


def test_the_side_is_told_the_address_of_the_place_where_it_turned_out_to_be() -> None:
    negotiation = awaiting()
    negotiation.offer(Side.CALLER, sdp())
    offered = negotiation.offer_at(Side.CALLED, AT_SIX)
    assert negotiation.reached_at(Side.CALLED, AT_SIX)
    assert not negotiation.reached_at(Side.CALLED, AT_SIX)
    assert negotiation.ends(Side.CALLED) == ((SIX, 40002), (US, 30002)) and negotiation.port(Side.CALLED) == 40002
    answered = negotiation.answer(Side.CALLED, sdp("2001:db8::7", 5000))
    assert f"IN IP4 {US}".encode() in answered and media_line(answered).startswith("m=audio 30000 ")
    # The same again is the same version; anything else is the next one.
    assert negotiation.offer(Side.CALLER, sdp()) == offered
    negotiation.rollback()
    again = negotiation.offer(Side.CALLER, sdp(extra="a=sendonly"))
    assert SIX.encode() in again and media_line(again).startswith("m=audio 40002 ") and version_of(again) == 2


def test_what_one_place_agreed_on_does_not_hold_for_another() -> None:
    """Early media of the one, the answer of the other: the caller's description stays the same."""
    negotiation = awaiting()
    negotiation.offer(Side.CALLER, sdp())
    early = negotiation.answer(Side.CALLED, sdp("203.0.113.9", 5000), "one")
    assert negotiation.media is not None
    assert negotiation.reached_at(Side.CALLED, AT_SIX)
    assert negotiation.media is None
    assert negotiation.answer(Side.CALLED, sdp("2001:db8::7", 5000), "two") == early
    assert negotiation.media is not None and negotiation.media.sides[Side.CALLED].host == "2001:db8::7"


def test_another_name_of_the_same_address_is_no_other_place() -> None:
    negotiation = awaiting()
    negotiation.offer(Side.CALLER, sdp())
    negotiation.answer(Side.CALLED, sdp("203.0.113.9", 5000))
    outside = SideSettings(US, external_address="192.0.2.99")
    assert b"IN IP4 192.0.2.99" in negotiation.offer_at(Side.CALLED, outside)
    assert not negotiation.reached_at(Side.CALLED, outside)
    assert negotiation.media is not None
    assert b"IN IP4 192.0.2.99" in negotiation.offer(Side.CALLER, sdp(extra="a=sendonly"))


def test_a_place_that_nobody_asked_is_not_moved_to() -> None:
    negotiation = awaiting()
    negotiation.offer(Side.CALLER, sdp())
    assert not negotiation.reached_at(Side.CALLED, SideSettings("192.0.2.200"))
    negotiation.settle(Side.CALLED)
    assert negotiation.ends(Side.CALLED) == ((US, 30002),)
    assert not negotiation.reached_at(Side.CALLED, AT_SIX)
    assert negotiation.settings(Side.CALLED) == AT_US


def test_a_late_offer_is_answered_at_the_place_that_made_it() -> None:
    negotiation = awaiting()
    assert negotiation.offer_at(Side.CALLED, AT_SIX) == b""
    assert negotiation.reached_at(Side.CALLED, AT_SIX)
    negotiation.offer(Side.CALLED, sdp("2001:db8::7", 5000))
    answered = negotiation.answer(Side.CALLER, sdp())
    assert SIX.encode() in answered and media_line(answered).startswith("m=audio 40002 ")
    assert version_of(answered) == 1


PIECES = st.lists(
    st.sampled_from(
        [
            "a=sendonly",
            "a=inactive",
            "a=rtcp-mux",
            "a=rtcp:1",
            "a=ptime:20",
            "a=rtpmap:96 opus/48000/2",
            "a=rtpmap:97 telephone-event/48000",
            "a=fmtp:96 x",
            "c=IN IP4 0.0.0.0",
            "c=IN IP6 2001:db8::5",
            "m=video 1 RTP/AVP 31",
            "m=audio 0 RTP/AVP 0",
            "m=audio 7000 RTP/SAVP 96 97",
            "m=audio 7000 RTP/SAVP 8 0",
            "m=image 9 udptl t38",
        ]
    ),
    max_size=6,
)
DESCRIPTIONS = st.builds(
    lambda formats, port, pieces: (
        f"v=0\r\nc=IN IP4 203.0.113.5\r\nm=audio {port} RTP/AVP {' '.join(formats)}\r\n"
        + "".join(f"{piece}\r\n" for piece in pieces)
    ).encode(),
    st.lists(st.sampled_from(["0", "8", "9", "18", "96", "97", "101", "120"]), min_size=1, max_size=5),
    st.sampled_from([0, 4000]),
    PIECES,
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["offer", "answer", "rollback", "redirect", "reached", "settle"]),
        st.sampled_from(list(Side)),
        DESCRIPTIONS,
    ),
    max_size=8,
)


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_no_order_of_steps_breaks_it(steps: list[tuple[str, Side, bytes]]) -> None:
    places = [SideSettings(each, codecs=("PCMA", "opus"), dtmf_by_info=True) for each in (US, SIX)]
    negotiation = Negotiation(SideSettings(US), places[0], ({US: 30000}, {US: 30002, SIX: 40002}), 1000)
    offered: bytes | None = None
    for step, side, data in steps:
        try:
            if step == "offer":
                offered = negotiation.offer(side, data)
                sent = parse(offered)
                assert len(sent.media) >= len(parse(data).media)
            elif step == "answer":
                answered = parse(negotiation.answer(side, data))
                assert sum(item.port != 0 for item in answered.media) <= 1
                assert negotiation.media is not None
            elif step == "rollback":
                negotiation.rollback()
            elif step == "reached":
                places.reverse()
                if places[0].local_address in dict(negotiation.ends(side)):
                    parse(negotiation.offer_at(side, places[0]) or sdp())
                negotiation.reached_at(side, places[0])
            elif step == "settle":
                negotiation.settle(side)
            else:
                negotiation.redirect(side, SideSettings(US), {US: 40000, SIX: 40002}, 5000)
        except RemoteError as error:
            assert error.status in (400, 488, 491)
