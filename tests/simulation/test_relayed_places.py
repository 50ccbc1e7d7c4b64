"""Relayed calls to a user whose phones reach us at different addresses of ours: IPv4, IPv6, another network."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from simulation.raw import RawDialog
from simulation.relayed import OUR_ADDRESS, DistantPhone, RelayedWire, audio
from simulation.test_calls import trunks
from simulation.test_relayed import ours, streams

from app.calls.leg_events import Body
from app.calls.registrar import Binding
from app.media.control import PortsExhausted, Side
from app.media.media_session import MediaSession

CALLER = "192.0.2.7"
CALLER_AUDIO = audio(CALLER)
OUR_IPV6, OUR_OTHER = "2001:db8::5", "10.9.0.5"
AT = {"IPv4": ("198.51.100.4", OUR_ADDRESS), "IPv6": ("2001:db8:1::6", OUR_IPV6), "other": ("10.9.0.9", OUR_OTHER)}
"""Each phone's address and the one of ours that it speaks to."""


ALLOW = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK")


def hosts(body: bytes) -> set[str]:
    return set(re.findall(r"IN IP[46] (\S+)", body.decode()))


class Household:
    """User 100 with a phone at each of these places; its audio is relayed, as is that of user 101."""

    up: RawDialog
    """The caller's end of the call."""

    def __init__(self, *kinds: str) -> None:
        users = [{"number": each, "password": f"secret{each}", "relay_media": "yes"} for each in ("100", "101")]
        document = {**trunks(), "local_users": users, "system": {"no_answer_timeout": 30}}
        self.wire = RelayedWire(document, 20_000, 20_009)
        self.hosts = {kind: AT[kind][0] for kind in kinds}
        self.phones = {kind: self.phone("100", kind) for kind in kinds}
        self.ends: dict[str, RawDialog] = {}
        """The phones' ends of the call."""

    def phone(self, number: str, kind: str, last_byte: str = "") -> DistantPhone:
        """A registered phone of this user."""
        host, server = AT[kind]
        return self.wire.distant_phone(number, host + last_byte, server)

    def call(self, offer: Body | None = CALLER_AUDIO, headers: Iterable[tuple[str, str]] = ()) -> Household:
        """A trunk calls, and every phone has the call."""
        self.up = self.wire.caller.invite("100", body=offer, headers=headers)
        self.wire.advance()
        for kind, phone in self.phones.items():
            self.ends[kind] = phone.incoming()
            self.ends[kind].respond(100)
        self.wire.advance()
        return self

    @property
    def session(self) -> MediaSession:
        (session,) = self.wire.control.sessions.values()
        return session

    @property
    def listening(self) -> list[tuple[tuple[str, int], ...]]:
        """Where the relay listens: to the caller, to the called side."""
        (sides,) = self.wire.control.link.listening.values()
        return sides

    def audio(self, kind: str) -> Body:
        """What a phone says of its own audio."""
        return audio(self.hosts[kind], 5000, "8 96")

    def offered(self, kind: str) -> tuple[str, int]:
        """The address and port that a phone was offered."""
        body = self.ends[kind].invite.body
        (host,) = hosts(body)
        ((_, port),) = streams(body)
        return host, port

    def answer(self, kind: str, *, described: bool = True) -> None:
        """One phone takes the call."""
        self.ends[kind].respond(200, self.audio(kind) if described else None)
        self.wire.advance()
        self.up.ack()
        self.wire.advance()
        assert self.up.answer.status == 200
        for other, end in self.ends.items():
            if other != kind:
                (cancel,) = self.phones[other].requests("CANCEL")
                self.phones[other].ok(cancel)
                end.respond(487)
        self.wire.advance()

    def hears(self, kind: str) -> bool:
        """Whether this phone and the caller have each other's audio, and nobody else is listened to."""
        media = self.session.media
        assert media is not None
        assert self.listening[Side.CALLED][0] == self.offered(kind)
        told = [response.body for response in self.wire.caller.responses() if response.body][-1]
        assert ours(told) and streams(told)[0][1] == self.listening[Side.CALLER][0][1]
        return [side.host for side in media.sides] == [CALLER, self.hosts[kind]]

    def end(self, kind: str, end_cause: str = "normal") -> None:
        """The caller hangs up; nothing is left."""
        self.up.request("BYE")
        self.wire.advance()
        phone = self.phones[kind]
        phone.ok(phone.requests("BYE")[-1])
        assert self.wire.record().end_cause == end_cause


PAIRS = [("IPv4", "IPv6"), ("IPv6", "IPv4"), ("IPv4", "other")]


@pytest.mark.parametrize("kinds", PAIRS, ids="-".join)
@pytest.mark.parametrize("answering", [0, 1], ids=["the first", "the second"])
def test_each_phone_is_offered_an_address_of_its_own_and_the_one_that_answers_has_the_audio(
    kinds: tuple[str, str], answering: int
) -> None:
    h = Household(*kinds).call()
    for kind in kinds:
        assert h.offered(kind)[0] == AT[kind][1]
        assert h.offered(kind) in h.listening[Side.CALLED]
    assert h.wire.used() == _count(OUR_ADDRESS, *(AT[kind][1] for kind in kinds))
    taken = kinds[answering]
    h.answer(taken)
    assert h.hears(taken)
    # What the other phone was offered is free at once.
    assert h.listening[Side.CALLED] == (h.offered(taken),)
    assert h.wire.used() == _count(OUR_ADDRESS, AT[taken][1])
    h.end(taken)


def _count(*addresses: str) -> dict[str, int]:
    return {address: addresses.count(address) for address in addresses}


@pytest.mark.parametrize("kinds", PAIRS, ids="-".join)
@pytest.mark.parametrize("early", [0, 1], ids=["early from the first", "early from the second"])
@pytest.mark.parametrize("answering", [0, 1], ids=["the first answers", "the second answers"])
def test_early_media_of_one_phone_and_the_answer_of_another(kinds: tuple[str, str], early: int, answering: int) -> None:
    h = Household(*kinds).call()
    h.ends[kinds[early]].respond(183, h.audio(kinds[early]))
    h.wire.advance()
    assert h.hears(kinds[early])
    assert {h.offered(kind) for kind in kinds} == set(h.listening[Side.CALLED])
    h.answer(kinds[answering])
    assert h.hears(kinds[answering])
    assert h.listening[Side.CALLED] == (h.offered(kinds[answering]),)
    # Whatever the caller was told first, it goes on with the same port.
    assert len({response.body for response in h.wire.caller.responses() if response.body}) == 1
    h.end(kinds[answering])


def test_early_media_of_each_in_turn() -> None:
    """The first one declines after its announcement; then the next one may be heard, and at last the third answers."""
    h = Household("IPv4", "IPv6", "other").call()
    for kind in ("IPv6", "IPv4"):
        h.ends[kind].respond(183, h.audio(kind))
        h.wire.advance()
        assert h.hears(kind)
        h.ends.pop(kind).respond(486)
        h.wire.advance()
        h.ends[kind] = h.phones[kind].incoming()
    del h.ends["IPv4"], h.ends["IPv6"]
    h.answer("other")
    assert h.hears("other")
    h.end("other")


@pytest.mark.parametrize("answering", ["IPv4", "IPv6"])
def test_a_late_offer_of_each_phone(answering: str) -> None:
    """The INVITE has none: the answering phone offers, the caller's ACK answers."""
    h = Household("IPv4", "IPv6").call(None)
    assert all(end.invite.body == b"" for end in h.ends.values())
    h.ends[answering].respond(200, h.audio(answering))
    h.wire.advance()
    assert ours(h.up.answer.body)
    assert len(h.listening[Side.CALLED]) == 1
    h.up.ack(audio(CALLER, 4000, "8 96"))
    h.wire.advance()
    (ack,) = h.phones[answering].requests("ACK")
    assert hosts(ack.body) == {AT[answering][1]}
    assert streams(ack.body)[0][1] == h.listening[Side.CALLED][0][1]
    other = next(kind for kind in h.ends if kind != answering)
    h.phones[other].ok(h.phones[other].requests("CANCEL")[0])
    h.ends[other].respond(487)
    assert h.session.media is not None
    assert h.session.media.sides[Side.CALLED].host == h.hosts[answering]
    h.end(answering)


def test_later_offers_within_the_call_name_the_same_address_and_port() -> None:
    h = Household("IPv4", "IPv6").call()
    h.answer("IPv6")
    h.up.request("INVITE", audio(CALLER, 4000, "8 101", "a=sendonly"))
    h.wire.advance()
    again = h.phones["IPv6"].requests("INVITE")[-1]
    ((_, port),) = streams(again.body)
    assert (hosts(again.body), port) == ({OUR_IPV6}, h.offered("IPv6")[1])
    # The version of the description goes up with each one that a phone gets (RFC 3264 8).
    assert [_version(body) for body in (h.ends["IPv6"].invite.body, again.body)] == [1, 2]
    h.ends["IPv6"].respond(200, audio(h.hosts["IPv6"], 5000, "8 96", "a=recvonly"), request=again)
    h.wire.advance()
    h.up.ack(cseq=2)
    h.wire.advance()
    h.end("IPv6")


def _version(body: bytes) -> int:
    return int(body.split(b"o=- ")[1].split()[1])


def test_a_cancelled_call_gives_every_port_back() -> None:
    h = Household("IPv4", "IPv6", "other").call()
    h.up.cancel()
    h.wire.advance()
    assert h.wire.used() == {} and not h.wire.control.link.listening
    for kind, end in h.ends.items():
        h.phones[kind].ok(h.phones[kind].requests("CANCEL")[0])
        end.respond(487)
    h.wire.advance()
    h.up.ack_failure()
    assert h.wire.record().end_cause == "cancelled"


def test_nobody_answers() -> None:
    h = Household("IPv4", "IPv6").call()
    for kind, end in h.ends.items():
        end.respond(180)
        assert h.offered(kind)[0] == AT[kind][1]
    h.wire.advance(31)
    for kind, end in h.ends.items():
        h.phones[kind].ok(h.phones[kind].requests("CANCEL")[0])
        end.respond(487)
    h.wire.advance()
    assert h.wire.used() == {}
    h.up.ack_failure()
    assert h.wire.record().end_cause == "no_answer"


def forward(h: Household, number: str) -> None:
    """After an announcement of its own the IPv6 phone forwards the call that the other one has declined."""
    h.ends["IPv6"].respond(183, h.audio("IPv6"))
    h.wire.advance()
    h.ends["IPv4"].respond(486)
    h.wire.advance()
    h.ends["IPv6"].respond(302, headers=[("Contact", f"<sip:{number}@{OUR_ADDRESS}>")])
    h.wire.advance()


def test_the_next_target_keeps_the_ports_that_it_needs_and_the_others_are_free_at_once() -> None:
    h = Household("IPv4", "IPv6")
    h.hosts |= {"v4 of 101": AT["IPv4"][0] + "1", "elsewhere of 101": AT["other"][0] + "1"}
    new = {"v4 of 101": h.phone("101", "IPv4", "1"), "elsewhere of 101": h.phone("101", "other", "1")}
    h.call()
    kept = h.offered("IPv4")
    forward(h, "101")
    assert h.wire.used() == {OUR_ADDRESS: 2, OUR_OTHER: 1}
    h.phones, h.ends = new, {kind: phone.incoming() for kind, phone in new.items()}
    for end in h.ends.values():
        end.respond(100)
    h.wire.advance()
    assert h.offered("v4 of 101") == kept
    assert h.offered("elsewhere of 101")[0] == OUR_OTHER
    assert {*h.listening[Side.CALLED]} == {kept, h.offered("elsewhere of 101")}
    h.answer("elsewhere of 101")
    assert h.hears("elsewhere of 101")
    h.end("elsewhere of 101")


def test_a_target_that_relays_nothing_needs_no_port() -> None:
    h = Household("IPv4", "IPv6").call()
    forward(h, "135550")
    assert h.wire.used() == {} and not h.wire.control.link.listening
    down = h.wire.carrier.incoming()
    assert down.invite.body == CALLER_AUDIO.content
    down.respond(486)
    h.wire.advance()
    h.up.ack_failure()
    h.wire.record()


# --- ports that are used up -------------------------------------------------------------------------------------------


def exhaust(h: Household, address: str) -> None:
    """Other calls have every port on one of our addresses."""
    with pytest.raises(PortsExhausted):
        while True:
            h.wire.control.take_ports(0, [address])


def test_no_phone_is_offered_anything_where_one_address_has_no_port() -> None:
    h = Household("IPv4", "IPv6")
    exhaust(h, OUR_IPV6)
    before = h.wire.used()
    for _ in range(20):
        up = h.wire.caller.invite("100", body=CALLER_AUDIO)
        h.wire.advance()
        assert up.answer.status == 503
        up.ack_failure()
        assert h.wire.used() == before
    assert not any(phone.requests("INVITE") for phone in h.phones.values())
    h.wire.control.give_back(0, [(OUR_IPV6, port) for port in h.wire.control.ports[OUR_IPV6].used])
    h.call()
    h.answer("IPv4")
    h.up.request("BYE")
    h.wire.advance()
    h.phones["IPv4"].ok(h.phones["IPv4"].requests("BYE")[-1])
    h.wire.settle()
    assert "used up" in " ".join(h.wire.world.recorder.ended[0].trail)
    assert h.wire.world.recorder.ended[-1].end_cause == "normal"


def test_a_next_target_whose_address_has_no_port_fails_and_nothing_is_kept() -> None:
    h = Household("IPv4", "IPv6")
    h.phone("101", "IPv4", "1")
    h.phone("101", "other", "1")
    exhaust(h, OUR_OTHER)
    taken = h.wire.used()[OUR_OTHER]
    h.call()
    forward(h, "101")
    assert h.up.answer.status == 503
    assert h.wire.used() == {OUR_OTHER: taken}
    h.up.ack_failure()
    h.wire.control.give_back(0, [(OUR_OTHER, port) for port in h.wire.control.ports[OUR_OTHER].used])
    assert "used up" in h.wire.record().attempts[-1].reason


# --- ways that are shared, or change ----------------------------------------------------------------------------------


def test_two_phones_behind_one_proxy_share_a_way_and_either_has_the_audio() -> None:
    """Their registrations came from one address and port: only their Contacts differ."""
    for answering in (0, 1):
        h = Household("IPv6")
        (binding,) = h.wire.switch.registrar.bindings("100")
        proxy = h.phones["IPv6"]
        other = Binding("sip:100@192.168.7.9", binding.flow, "other", 1, binding.expires_at, "")
        h.wire.switch.registrar._bindings["100"].append(other)
        up = h.wire.caller.invite("100", body=CALLER_AUDIO)
        h.wire.advance()
        ends = [proxy.incoming(index) for index in range(2)]
        assert ends[0].invite.uri_text != ends[1].invite.uri_text
        assert ends[0].invite.body == ends[1].invite.body
        ends[0].respond(183, audio("198.51.100.70", 7000))
        ends[1].respond(183, audio("198.51.100.71", 7100))
        h.wire.advance()
        ends[answering].respond(200, audio(f"198.51.100.7{answering}", 7000 + 100 * answering))
        h.wire.advance()
        up.ack()
        h.wire.advance()
        assert h.session.media is not None
        assert h.session.media.sides[Side.CALLED].host == f"198.51.100.7{answering}"
        proxy.ok(proxy.requests("CANCEL")[0])
        ends[1 - answering].respond(487)
        up.request("BYE")
        h.wire.advance()
        proxy.ok(proxy.requests("BYE")[-1])
        h.wire.advance(200)
        assert h.wire.used() == {}


def test_a_phone_whose_port_changes_while_it_rings_is_still_known() -> None:
    """Behind NAT: the first phone gives early media, the second one speaks from another port, then answers."""
    h = Household("IPv4", "IPv6").call()
    phone = h.phones["IPv6"]
    h.ends["IPv4"].respond(183, h.audio("IPv4"))
    h.wire.advance()
    reliable(h, "IPv6")
    phone.move(6060)
    h.ends["IPv6"].request("UPDATE", audio(h.hosts["IPv6"], 5002, "8 96"))
    h.wire.advance()
    assert phone.statuses("UPDATE") in ([491], [500])
    assert h.hears("IPv4")
    h.answer("IPv6")
    assert h.hears("IPv6")
    h.end("IPv6")


def reliable(h: Household, kind: str) -> None:
    """A phone describes its audio in a provisional answer that has to be acknowledged (RFC 3262)."""
    h.ends[kind].respond(183, h.audio(kind), headers=[("Require", "100rel"), ("RSeq", "7"), ALLOW])
    h.wire.advance()
    h.phones[kind].ok(h.phones[kind].requests("PRACK")[0])
    h.wire.advance()


def test_a_phone_that_said_all_of_its_audio_before_its_answer_is_heard_from_then_on() -> None:
    """RFC 3261 13.2.1: after a reliable 183 its 200 need not repeat it, but the caller had another's early media."""
    h = Household("IPv4", "IPv6").call()
    h.ends["IPv4"].respond(183, h.audio("IPv4"))
    h.wire.advance()
    reliable(h, "IPv6")
    h.answer("IPv6", described=False)
    assert h.hears("IPv6")
    h.end("IPv6")


@pytest.mark.parametrize("early", ["IPv4", "IPv6"])
@pytest.mark.parametrize("formats", ["8 96", "8"], ids=["alike", "another description"])
def test_a_caller_that_has_agreed_with_one_phone_is_joined_with_the_one_that_answers(early: str, formats: str) -> None:
    """Its PRACK binds it to the early media (RFC 3262 5): what the other phone says comes as an offer, if it is new."""
    h = Household("IPv4", "IPv6").call(headers=(("Supported", "100rel"), ALLOW))
    (answering,) = {*h.phones} - {early}
    h.ends[early].respond(183, h.audio(early))
    h.wire.advance()
    h.up.request("PRACK", headers=[("RAck", f"{h.up.answer.get('RSeq')} 1 INVITE")])
    h.wire.advance()
    assert h.hears(early)
    h.ends[answering].respond(200, audio(h.hosts[answering], 5000, formats))
    h.wire.advance()
    for offer in h.wire.caller.requests("UPDATE"):
        assert ours(offer.body)
        h.up.respond(200, CALLER_AUDIO, request=offer)
        h.wire.advance()
    assert h.up.answer.status == 200
    h.up.ack()
    h.wire.advance()
    h.phones[early].ok(h.phones[early].requests("CANCEL")[0])
    h.ends[early].respond(487)
    for offer in h.phones[answering].requests("UPDATE")[:1] + h.phones[answering].requests("INVITE")[1:]:
        assert hosts(offer.body) == {AT[answering][1]}
        h.ends[answering].respond(200, h.audio(answering), request=offer)
        h.wire.advance()
    assert h.hears(answering)
    assert h.listening[Side.CALLED] == (h.offered(answering),)
    h.end(answering)


def test_a_phone_that_answers_without_a_word_on_its_audio_keeps_its_port() -> None:
    h = Household("IPv4", "IPv6").call()
    h.answer("IPv6", described=False)
    assert h.listening[Side.CALLED] == (h.offered("IPv6"),)
    h.end("IPv6")
