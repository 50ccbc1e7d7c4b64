"""Offers and answers of relayed calls, message by message, through the real switch (RFC 8866, 3264, 3261 14, 3311)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from simulation.raw import RawDialog, hang_up
from simulation.relayed import OUR_ADDRESS, RelayedWire, audio
from simulation.test_calls import trunks

from app.calls.call import MAXIMUM_AUDIO_STEPS
from app.calls.leg_events import Body
from app.events import TrunkMedia
from app.media.control import ReceivedDigit, Side
from app.sip.message import Request

CALLER, CARRIER = "192.0.2.7", "192.0.2.8"
CALLER_AUDIO, CARRIER_AUDIO = audio(CALLER), audio(CARRIER, 5000, "8 96")


def relaying(how: str = "yes", *, first: int = 20_000, last: int = 29_999, **fields: Any) -> RelayedWire:
    """Trunk 1 to the carrier relays; `fields` are further ones of it, `system` ones of the server's record."""
    system = fields.pop("system", {})
    return RelayedWire({**trunks(relay_media=how, **fields), "system": system}, first, last)


def talk(wire: RelayedWire, offer: Body = CALLER_AUDIO, answer: Body = CARRIER_AUDIO) -> tuple[RawDialog, RawDialog]:
    """A call that was answered and acknowledged."""
    up, down = wire.call(body=offer)
    down.respond(200, answer)
    wire.advance()
    up.ack()
    wire.advance()
    assert wire.caller.statuses() == [200]
    return up, down


def streams(body: bytes) -> list[tuple[str, int]]:
    """Every m= line: medium and port."""
    return [(medium.decode(), int(port)) for medium, port in re.findall(rb"m=(\w+) (\d+)", body)]


def formats(body: bytes) -> list[str]:
    found = re.search(rb"m=audio \d+ \S+ ([\d ]+)", body)
    assert found is not None
    return found[1].decode().split()


def ours(body: bytes, address: str = OUR_ADDRESS) -> bool:
    """Whether a description names our address and ports, and nobody else's."""
    text = body.decode()
    hosts = set(re.findall(r"IN IP[46] (\S+)", text))
    (port,) = [port for medium, port in streams(body) if medium == "audio"]
    return hosts == {address} and 20_000 <= port <= 29_999 and not port % 2


def reinvite_of(down: RawDialog, method: str = "INVITE") -> Request:
    return down.peer.requests(method)[-1]


# --- offers and answers -----------------------------------------------------------------------------------------------


def test_both_sides_see_only_our_address_and_their_own_payload_types() -> None:
    w = relaying()
    up, down = talk(w)
    assert ours(down.invite.body) and ours(up.answer.body)
    assert streams(down.invite.body) != streams(up.answer.body)
    assert formats(up.answer.body) == ["8", "101"]
    (session,) = w.control.sessions.values()
    assert session.media is not None
    assert {(rule.incoming, rule.outgoing) for rule in session.media.rules[Side.CALLER]} == {(8, 8), (101, 96)}
    hang_up(w, up)
    assert w.record().end_cause == "normal"


@pytest.mark.parametrize(
    ("offered", "answered", "words"),
    [
        ("8 101", "8 96", ""),
        ("8 101", "8", "the called side has no telephone-event: digits go to it as SIP INFO"),
        ("8", "8 96", "the caller has no telephone-event: digits go to it as SIP INFO"),
        ("8", "8", "neither side has telephone-event: digits pass as SIP INFO, or as tones in the audio"),
    ],
)
def test_the_trail_says_what_becomes_of_digits(offered: str, answered: str, words: str) -> None:
    w = relaying()
    up, _ = talk(w, audio(CALLER, 4000, offered), audio(CARRIER, 5000, answered))
    hang_up(w, up)
    assert [step for step in w.record().trail if step.startswith("digits")] == ([f"digits: {words}"] if words else [])


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@pytest.mark.parametrize("from_caller", [True, False], ids=["caller", "carrier"])
@pytest.mark.parametrize(
    ("hold", "passed", "answer", "back"),
    [
        (("a=sendonly",), b"a=sendonly", "a=recvonly", b"a=recvonly"),
        (("a=inactive",), b"a=inactive", "a=inactive", b"a=inactive"),
        (("0.0.0.0",), b"a=sendonly", "a=recvonly", b"a=recvonly"),
    ],
    ids=["sendonly", "inactive", "by address"],
)
def test_hold_and_resume(
    method: str, from_caller: bool, hold: tuple[str, ...], passed: bytes, answer: str, back: bytes
) -> None:
    """Both forms of hold, by re-INVITE and UPDATE, from either side."""
    w = relaying()
    up, down = talk(w, audio(CALLER, 4000, "8 101"))
    down_allows = audio(CARRIER, 5000, "8 96")
    asking, asked = (up, down) if from_caller else (down, up)
    host, port = (CALLER, 4000) if from_caller else (CARRIER, 5000)
    other_host, other_port = (CARRIER, 5000) if from_caller else (CALLER, 4000)
    own_types, other_types = ("8 101", "8 96") if from_caller else ("8 96", "8 101")
    if hold[0].startswith("a="):
        offer = audio(host, port, own_types, *hold)
    else:
        offer = audio(host, port, own_types, connection=hold[0])
    ports = [session.port(side) for session in w.control.sessions.values() for side in Side]
    for number, (body, answered, wanted, returned) in enumerate(
        (
            (offer, audio(other_host, other_port, other_types, answer), passed, back),
            (audio(host, port, own_types), audio(other_host, other_port, other_types), b"m=audio", b"m=audio"),
        )
    ):
        sent = asking.request(method, body)
        w.advance()
        offered = [each for each in asked.peer.requests("INVITE") + asked.peer.requests("UPDATE") if each.body][-1]
        if offered.method == "INVITE" and offered.to.tag is None:
            raise AssertionError("the offer did not pass")
        assert ours(offered.body), offered.body
        assert wanted in offered.body
        assert b"0.0.0.0" not in offered.body
        asked.respond(200, answered, request=offered)
        w.advance()
        response = [each for each in asking.peer.responses(method) if each.cseq.number == sent.cseq.number][-1]
        assert response.status == 200
        assert ours(response.body) and returned in response.body
        if method == "INVITE":
            asking.ack(cseq=sent.cseq.number)
            w.advance()
        (call,) = w.switch.calls.values()
        assert call.state == ("held" if number == 0 else "talking")
    assert [session.port(side) for session in w.control.sessions.values() for side in Side] == ports
    assert down_allows
    hang_up(w, up)
    w.record()


def test_a_reinvite_without_an_offer_is_offered_by_the_other_side() -> None:
    w = relaying()
    up, down = talk(w)
    up.request("INVITE")
    w.advance()
    asked = reinvite_of(down)
    assert asked.body == b""
    down.respond(200, audio(CARRIER, 5002, "8 96"), request=asked)
    w.advance()
    assert ours(up.answer.body)
    up.ack(audio(CALLER, 4002), cseq=2)
    w.advance()
    assert ours(w.carrier.requests("ACK")[-1].body)
    (session,) = w.control.sessions.values()
    assert session.media is not None
    assert [session.media.sides[side].port for side in Side] == [4002, 5002]
    hang_up(w, up)
    w.record()


def test_an_update_without_an_offer_changes_nothing() -> None:
    w = relaying()
    up, down = talk(w)
    (session,) = w.control.sessions.values()
    before = session.media
    up.request("UPDATE")
    w.advance()
    assert w.caller.statuses("UPDATE") == [200]
    assert session.media is before
    hang_up(w, down)
    w.record()


def test_a_late_offer() -> None:
    """The INVITE has none: the 200 offers, the ACK answers."""
    w = relaying()
    up, down = w.call(body=None)
    assert down.invite.body == b""
    down.respond(200, CARRIER_AUDIO)
    w.advance()
    assert ours(up.answer.body)
    assert formats(up.answer.body) == ["8", "96"]
    up.ack(audio(CALLER, 4000, "8 96"))
    w.advance()
    (ack,) = w.carrier.requests("ACK")
    assert ours(ack.body)
    (session,) = w.control.sessions.values()
    assert session.media is not None and session.media.active
    hang_up(w, up)
    assert w.record().end_cause == "normal"


def test_other_streams_are_answered_with_port_0_at_their_place() -> None:
    w = relaying()
    more = b"m=video 6000 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\n" + b"m=application 7000 UDP/BFCP *\r\n"
    head, mark, tail = CALLER_AUDIO.content.partition(b"m=audio")
    offer = Body("application/sdp", head + b"m=image 6002 udptl t38\r\n" + mark + tail + more)
    up, down = w.call(body=offer)
    offered = streams(down.invite.body)
    assert [medium for medium, _ in offered] == ["image", "audio", "video", "application"]
    assert [port > 0 for _, port in offered] == [False, True, False, False]
    refused = b"m=video 0 RTP/AVP 31\r\nm=application 0 UDP/BFCP *\r\n"
    head, mark, tail = CARRIER_AUDIO.content.partition(b"m=audio")
    down.respond(200, Body("application/sdp", head + b"m=image 0 udptl t38\r\n" + mark + tail + refused))
    w.advance()
    answered = streams(up.answer.body)
    assert [medium for medium, _ in answered] == ["image", "audio", "video", "application"]
    assert [port > 0 for _, port in answered] == [False, True, False, False]
    up.ack()
    w.advance()
    hang_up(w, up)
    w.record()


def test_early_media_of_several_early_dialogs() -> None:
    """A carrier that forks: each branch's answer is told, and the one that takes the call has the audio in the end."""
    w = relaying()
    up, down = w.call(body=CALLER_AUDIO)
    (session,) = w.control.sessions.values()
    for tag, port in (("one", 5000), ("two", 5002)):
        down.respond(183, audio(CARRIER, port, "8 96"), tag=tag)
        w.advance()
        assert session.media is not None and session.media.sides[Side.CALLED].port == port
        assert ours(w.caller.responses()[-1].body)
    down.respond(200, audio(CARRIER, 5000, "8 96"), tag="one")
    w.advance()
    assert session.media.sides[Side.CALLED].port == 5000
    up.ack()
    w.advance()
    down.local_tag = "one"
    hang_up(w, up)
    assert w.record().status == 200


def test_ptime_and_rtcp_are_told_of_our_own_ports() -> None:
    w = relaying()
    offer = audio(CALLER, 4000, "8 101", "a=ptime:30", "a=rtcp:4777 IN IP4 192.0.2.7", "a=rtcp-mux")
    up, down = talk(w, offer, audio(CARRIER, 5000, "8 96", "a=ptime:30"))
    port = streams(down.invite.body)[0][1]
    assert b"a=ptime:30" in down.invite.body and f"a=rtcp:{port + 1}\r\n".encode() in down.invite.body
    assert b"a=rtcp-mux" in down.invite.body
    (session,) = w.control.sessions.values()
    assert session.media is not None
    assert session.media.packet_time == 30
    assert session.media.sides[Side.CALLER].rtcp_port in (4000, 4777)
    assert session.media.sides[Side.CALLED].rtcp_port == 5001
    hang_up(w, up)
    w.record()


# --- codecs -----------------------------------------------------------------------------------------------------------


def test_codecs_of_a_trunk_filter_and_order() -> None:
    w = relaying(codecs=["G729", "PCMA"])
    up, down = w.call(body=audio(CALLER, 4000, "0 8 18 101"))
    assert formats(down.invite.body) == ["18", "8", "101"]
    down.respond(200, audio(CARRIER, 5000, "8"))
    w.advance()
    assert formats(up.answer.body)[0] == "8"
    up.ack()
    w.advance()
    hang_up(w, up)
    w.record()


def test_nothing_in_common_gets_488_and_the_record_says_which_codecs() -> None:
    w = relaying(codecs=["G729"])
    w.caller.invite("135550", body=audio(CALLER, 4000, "0 8 101"))
    w.advance()
    assert w.caller.statuses() == [488]
    assert not w.carrier.requests("INVITE")
    record = w.record()
    assert record.status == 488
    assert "G729" in record.trail[-1] and "PCMA" in record.trail[-1]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_reinvite_with_nothing_in_common_gets_488_and_the_call_goes_on(method: str) -> None:
    w = relaying(codecs=["PCMA"])
    up, down = talk(w)
    (session,) = w.control.sessions.values()
    before = session.media
    up.request(method, audio(CALLER, 4000, "0 101"))
    w.advance()
    assert w.caller.statuses(method)[-1] == 488
    assert session.media is before
    (call,) = w.switch.calls.values()
    assert call.state == "talking"
    if method == "INVITE":
        up.ack_failure()
        w.advance()
    hang_up(w, down)
    assert w.record().end_cause == "normal"


# --- ports ------------------------------------------------------------------------------------------------------------


def test_a_range_that_is_used_up_gets_503_and_the_trail_says_so() -> None:
    w = relaying(first=20_000, last=20_003)
    up, _ = talk(w)
    w.caller.invite("135551", body=CALLER_AUDIO)
    w.advance()
    assert w.caller.statuses()[-1] == 503
    assert len(w.carrier.requests("INVITE")) == 1
    hang_up(w, up)
    w.advance(1)
    up, _ = talk_again(w)
    hang_up(w, up)
    w.settle()
    refused, *_ = w.world.recorder.ended
    assert refused.status == 503
    words = " ".join(refused.trail)
    assert "media ports 20000 to 20003" in words and "used up" in words


def talk_again(wire: RelayedWire) -> tuple[RawDialog, RawDialog]:
    """A later call of the same caller."""
    up, down = wire.call(body=CALLER_AUDIO)
    down.respond(200, CARRIER_AUDIO)
    wire.advance()
    up.ack()
    wire.advance()
    assert up.answer.status == 200
    return up, down


def test_a_used_up_range_is_503_for_calls_to_phones_as_well() -> None:
    document = {**trunks(relay_media="no"), "system": {"media_port_first": 20_000, "media_port_last": 20_003}}
    document["local_users"] = [{"number": "100", "password": "secret100", "relay_media": "yes"}]
    w = RelayedWire(document, 20_000, 20_003)
    phone = w.phone("100", "192.0.2.100")
    up = w.caller.invite("100", body=CALLER_AUDIO)
    w.advance()
    phone.incoming().respond(200, audio("192.0.2.100"))
    w.advance()
    up.ack()
    w.caller.invite("100", body=CALLER_AUDIO)
    w.advance()
    assert w.caller.statuses()[-1] == 503
    assert len(w.switch.calls) == 1
    assert "used up" in " ".join(w.world.recorder.ended[0].trail)


def test_the_next_trunk_gets_an_offer_of_its_own() -> None:
    w = relaying(next_trunk_id=2)
    up, down = w.call(body=CALLER_AUDIO)
    assert ours(down.invite.body)
    down.respond(503)
    w.advance()
    w.advance()
    # Trunk 2 relays nothing: the caller's own offer goes there, and its ports are given back.
    second = w.backup.incoming()
    assert second.invite.body == CALLER_AUDIO.content
    assert not w.control.sessions
    second.respond(200, audio("192.0.2.9"))
    w.advance()
    assert up.answer.body == audio("192.0.2.9").content
    up.ack()
    w.advance()
    up.request("BYE")
    w.advance()
    w.backup.ok(w.backup.requests("BYE")[-1])
    w.record()


def filtering(**second: Any) -> RelayedWire:
    """Trunk 1 may be offered PCMA only, its next trunk is trunk 2."""
    document: dict[str, Any] = trunks(relay_media="yes", codecs=["PCMA"], next_trunk_id=2)
    document["sip_trunks"][1] |= second
    return RelayedWire(document)


@pytest.mark.parametrize("relay", ["no", "yes"])
def test_what_one_trunk_may_not_be_offered_the_next_one_gets(relay: str) -> None:
    w = filtering(relay_media=relay)
    up = w.caller.invite("135550", body=audio(CALLER, 4000, "9"))
    w.advance()
    assert not w.carrier.requests("INVITE")
    down = w.backup.incoming()
    assert ours(down.invite.body) is (relay == "yes")
    assert formats(down.invite.body)[0] == "9"
    down.respond(200, audio("192.0.2.9", 5000, "9"))
    w.advance()
    assert ours(up.answer.body) is (relay == "yes") and formats(up.answer.body) == ["9"]
    up.ack()
    w.advance()
    up.request("BYE")
    w.advance()
    w.backup.ok(w.backup.requests("BYE")[-1])
    first, second = w.record().attempts
    assert (first.target, first.status, second.target, second.status) == ("trunk:1", 488, "trunk:2", 200)
    assert "no common codec" in first.reason


@pytest.mark.parametrize(("second", "status"), [({"codecs": ["PCMU"]}, 488), ({"max_outgoing_calls": 0}, 488)])
def test_with_no_trunk_left_that_shares_a_codec_the_caller_gets_488(second: dict[str, Any], status: int) -> None:
    w = filtering(relay_media="yes", **second)
    w.caller.invite("135550", body=audio(CALLER, 4000, "9"))
    w.advance()
    assert w.caller.statuses() == [status]
    assert not w.carrier.requests("INVITE") and not w.backup.requests("INVITE")
    record = w.record()
    assert (record.status, record.end_cause) == (status, "rejected")


# --- relay only if it is needed ---------------------------------------------------------------------------------------


def relayed_automatically(w: RelayedWire, offer: Body | None) -> str:
    """Why the call's audio is relayed, blank where it is not."""
    w.caller.invite("135550", body=offer)
    w.advance()
    invite = w.carrier.incoming().invite
    (call,) = w.switch.calls.values()
    reasons = [step for step in call.trail if "relayed" in str(step)]
    assert bool(w.control.sessions) == bool(reasons)
    if not reasons and offer is not None:
        assert invite.body == offer.content
    return str(reasons[0]) if reasons else ""


@pytest.mark.parametrize(
    ("host", "why"),
    [
        (CALLER, ""),
        ("198.51.100.9", ""),
        ("192.168.1.20", "behind address translation"),
        ("10.1.2.3", "behind address translation"),
        ("2001:db8::7", "different address families"),
    ],
)
def test_auto_relays_only_where_it_must(host: str, why: str) -> None:
    """The office's own addresses, too, are behind somebody's NAT where the call comes from outside."""
    w = relaying("auto", system={"local_networks": ["10.0.0.0/8"]})
    reason = relayed_automatically(w, audio(host))
    assert why in reason and bool(why) == bool(reason)


@pytest.mark.parametrize(("host", "why"), [(CALLER, ""), ("192.168.1.20", "192.168.1.20"), ("2001:db8::7", "families")])
def test_a_call_without_relay_says_that_its_audio_may_not_arrive(host: str, why: str) -> None:
    w = relaying("no")
    offer = audio(host)
    w.caller.invite("135550", body=offer)
    w.advance()
    assert w.carrier.incoming().invite.body == offer.content
    (call,) = w.switch.calls.values()
    warnings = [str(step) for step in call.trail if "may not arrive" in str(step)]
    assert [why in warning for warning in warnings] == [True] * bool(why)


def test_auto_with_a_late_offer_goes_by_the_signalling() -> None:
    assert relayed_automatically(relaying("auto"), None) == ""


def test_yes_of_either_side_is_enough_and_no_passes_untouched() -> None:
    assert relaying("no").call(body=CALLER_AUDIO)[1].invite.body == CALLER_AUDIO.content
    document = trunks()
    document["sip_trunks"][2]["relay_media"] = "yes"  # type: ignore[index]
    assert ours(RelayedWire(document).call(body=CALLER_AUDIO)[1].invite.body)


def test_auto_relays_to_a_phone_behind_nat() -> None:
    """Its contact is private, and its REGISTER came from a public address."""
    document = trunks()
    document["local_users"] = [{"number": "100", "password": "secret100", "relay_media": "auto"}]
    document["system"] = {"local_networks": ["10.0.0.0/8"]}
    w = RelayedWire(document)
    phone = w.phone("100", "198.51.100.77")
    w.caller.invite("100", body=CALLER_AUDIO)
    w.advance()
    # The phone names its public address: nothing is in the way.
    assert phone.incoming().invite.body == CALLER_AUDIO.content
    (binding,) = w.switch.registrar.bindings("100")
    binding.contact = "sip:100@192.168.1.5:5060"
    w.caller.invite("100", body=CALLER_AUDIO)
    w.advance()
    assert ours(phone.incoming().invite.body)


# --- which address a side sees ----------------------------------------------------------------------------------------


def test_the_external_address_is_told_outside_the_local_networks() -> None:
    w = relaying(system={"external_media_address": "203.0.113.5", "local_networks": ["192.0.2.7/32"]})
    up, down = talk(w)
    assert ours(down.invite.body, "203.0.113.5")
    assert ours(up.answer.body, OUR_ADDRESS)
    hang_up(w, up)
    w.record()


def test_an_external_address_of_another_family_is_told_nobody() -> None:
    """Whom we speak to by IPv4 has no use for an IPv6 address."""
    w = relaying(system={"external_media_address": "2001:db8::5", "local_networks": []})
    up, down = talk(w)
    assert ours(down.invite.body) and ours(up.answer.body)
    hang_up(w, up)
    w.record()


def test_each_phone_of_a_user_is_told_the_address_that_it_can_reach() -> None:
    """One phone is in the office, the other one outside: the same call rings both."""
    document = trunks()
    document["local_users"] = [{"number": "100", "password": "secret100", "relay_media": "yes"}]
    document["system"] = {"external_media_address": "203.0.113.5", "local_networks": ["10.0.0.0/8"]}
    w = RelayedWire(document)
    inside, outside = w.phone("100", "10.0.0.100"), w.phone("100", "198.51.100.77")
    up = w.caller.invite("100", body=CALLER_AUDIO)
    w.advance()
    assert ours(inside.incoming().invite.body, OUR_ADDRESS)
    assert ours(outside.incoming().invite.body, "203.0.113.5")
    end = outside.incoming()
    end.respond(200, audio("198.51.100.77"))
    w.advance()
    up.ack()
    w.advance()
    # Whoever answered is told the same in later offers.
    up.request("INVITE", audio(CALLER, 4000, "8 101", "a=sendonly"))
    w.advance()
    assert ours(outside.requests("INVITE")[-1].body, "203.0.113.5")


# --- digits -----------------------------------------------------------------------------------------------------------


def press(digit: str, milliseconds: int = 160) -> Body:
    return Body("application/dtmf-relay", f"Signal={digit}\r\nDuration={milliseconds}\r\n".encode())


def test_info_becomes_telephone_event_where_the_other_side_takes_it() -> None:
    w = relaying()
    # The caller knows only INFO; the carrier was offered telephone-event all the same.
    up, down = talk(w, audio(CALLER, 4000, "8"), audio(CARRIER, 5000, "8 96"))
    assert len(formats(down.invite.body)) == 2 and formats(up.answer.body) == ["8"]
    up.request("INFO", press("5", 2000))
    w.advance()
    assert w.caller.statuses("INFO") == [200]
    assert not w.carrier.requests("INFO")
    ((_, _, side, code, milliseconds),) = w.control.link.digits()
    assert (side, code, milliseconds) == (Side.CALLED, 5, 2000)
    (call,) = w.switch.calls.values()
    assert call.row().digits == "5"
    hang_up(w, up)
    w.record()


def test_telephone_event_becomes_info_where_the_other_side_has_none() -> None:
    w = relaying()
    up, down = talk(w, audio(CALLER, 4000, "8 101"), audio(CARRIER, 5000, "8"))
    assert formats(up.answer.body) == ["8", "101"]
    (session,) = w.control.sessions.values()
    assert w.control.callbacks.on_dtmf is not None
    w.control.callbacks.on_dtmf(session, ReceivedDigit(Side.CALLER, "#", 1240, False))
    w.advance()
    (info,) = w.carrier.requests("INFO")
    assert info.body == press("#", 1240).content
    w.carrier.ok(info)
    w.advance()
    (call,) = w.switch.calls.values()
    assert call.row().digits == "#"
    hang_up(w, down)
    w.record()


def test_info_passes_as_info_where_neither_side_has_telephone_event() -> None:
    w = relaying()
    up, _ = talk(w, audio(CALLER, 4000, "8"), audio(CARRIER, 5000, "8"))
    up.request("INFO", press("7"))
    w.advance()
    (info,) = w.carrier.requests("INFO")
    assert info.body == press("7").content
    w.carrier.ok(info)
    w.advance()
    assert w.caller.statuses("INFO") == [200]
    hang_up(w, up)
    w.record()


# --- figures ---


def test_a_trunk_is_judged_by_what_it_sends() -> None:
    """The caller's audio arrives badly: that is not the fault of the trunk that the call goes out by."""
    w = relaying()
    up, _ = talk(w)
    (session,) = w.control.sessions.values()
    (call,) = w.switch.calls.values()
    report = session.report()
    bad = report.caller._replace(packets=500, packets_per_second=45.0, recent_mos=3.4, recent_loss_percent=10.0)
    good = report.called._replace(packets=500, packets_per_second=50.0, recent_mos=4.4, jitter_ms=2.0)
    assert w.control.callbacks.on_statistics is not None
    w.control.callbacks.on_statistics((bad, good))
    carrier, callers = w.switch.relays.figures_of_trunks()
    assert carrier == TrunkMedia(call.trunk_out, 1, 95.0, 4.4, 4.4, 2.0, 0.0)
    assert callers == TrunkMedia(call.trunk_in, 1, 95.0, 3.4, 3.4, 0.0, 10.0)
    assert w.switch.relays.figures()["mos_worst"] == 3.4
    hang_up(w, up)
    w.record()


# --- what is wrong with the audio -------------------------------------------------------------------------------------


def test_the_call_says_what_is_wrong_with_its_audio_until_it_is_well() -> None:
    """From silence of both to one side's audio only: the call still says that it is one-way."""
    w = relaying()
    up, _ = talk(w)
    (session,) = w.control.sessions.values()
    (call,) = w.switch.calls.values()
    silence_after = w.control.settings.silence_after

    def pass_time(seconds: float, flowing: tuple[Side, ...] = ()) -> str:
        for _ in range(int(seconds)):
            w.advance(1)
            for side in flowing:
                session._packet_at[side] = w.world.now
            w.control._watch(session, w.world.now)
        return call.row().problem

    assert pass_time(silence_after - 2) == ""
    assert "no audio" in pass_time(4)
    assert pass_time(2, (Side.CALLED,)) == "one-way audio: nothing comes from the caller"
    assert pass_time(2, (Side.CALLED, Side.CALLER)) == ""
    assert pass_time(silence_after + 1, (Side.CALLER,)) == "one-way audio: nothing comes from the called side"
    assert call.row().text == "one-way audio: nothing comes from the called side"
    for _ in range(20):
        pass_time(2, (Side.CALLED, Side.CALLER))
        pass_time(silence_after + 1, (Side.CALLER,))
    hang_up(w, up)
    steps = [step for step in w.record().trail if str(step).startswith("after ")]
    assert len(steps) == MAXIMUM_AUDIO_STEPS
    assert [step.partition(" s: ")[2] for step in steps[:4]] == [
        "no audio comes from either side",
        "one-way audio: nothing comes from the caller",
        "audio is missing no longer",
        "one-way audio: nothing comes from the called side",
    ]
    assert [int(step.split()[1]) for step in steps[:2]] == [8, 11], steps


def test_audio_that_is_dead_both_ways_ends_the_call_with_that_reason() -> None:
    w = relaying()
    talk(w)
    (session,) = w.control.sessions.values()
    for _ in range(int(w.control.settings.dead_after) + 2):
        w.advance(1)
        if w.control.sessions:
            w.control._watch(session, w.world.now)
    for peer in (w.caller, w.carrier):
        peer.ok(peer.requests("BYE")[-1])
    record = w.record()
    assert record.end_cause == "media_timeout"
    assert "no audio" in record.trail[-1]
