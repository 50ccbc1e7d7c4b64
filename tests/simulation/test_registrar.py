"""Registration as RFC 3261 section 10 has it, and calls to phones that are registered in odd ways."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import DELAY, OTHER_SDP, SERVER, RawPeer, Wire
from simulation.test_authentication import document
from simulation.world import World

from app.calls.challenges import answer_challenge
from app.calls.registrar import MAXIMUM_CONTACTS
from app.calls.switch import Switch
from app.events import UserChanged
from app.sip.endpoint import new_call_id, new_tag
from app.sip.flow import Flow
from app.sip.message import Request, Response

PHONE = "10.0.0.50"


class Phone:
    """Registers user 100 by hand."""

    def __init__(self, wire: Wire, host: str = PHONE, port: int = 5060) -> None:
        self.wire = wire
        self.peer = RawPeer(wire.world, host, port)
        self.call_id = new_call_id()
        self.sequence = 0

    def register(
        self, *contacts: str, expires: int | None = 600, sequence: int = 0, headers: tuple[tuple[str, str], ...] = ()
    ) -> Response:
        """REGISTER with these Contact values, the challenge answered; returns the final response."""
        credentials: tuple[tuple[str, str], ...] = ()
        for _ in range(2):
            self.sequence = sequence or self.sequence + 1
            request = Request(
                "REGISTER",
                f"sip:{SERVER[0]}",
                [
                    ("Via", self.peer.via()),
                    ("Max-Forwards", "70"),
                    ("From", f"<sip:100@{SERVER[0]}>;tag={new_tag()}"),
                    ("To", f"<sip:100@{SERVER[0]}>"),
                    ("Call-ID", self.call_id),
                    ("CSeq", f"{self.sequence} REGISTER"),
                    *[("Contact", contact) for contact in contacts],
                    *([("Expires", str(expires))] if expires is not None else []),
                    *headers,
                    *credentials,
                ],
            )
            self.peer.send(request)
            self.wire.advance()
            answer = [each for each in self.peer.received if isinstance(each, Response)][-1]
            if answer.status != 401:
                break
            header = answer_challenge(request, answer, "100", "secret100")
            assert header is not None
            credentials = (header,)
        return answer


def contacts(answer: Response) -> dict[str, int]:
    """The bindings that a response names, with their seconds."""
    return {str(each.uri): int(each.params["expires"] or -1) for each in answer.contacts}


def setting(**system: Any) -> tuple[Wire, Phone]:
    wire = Wire(document(**system))
    return wire, Phone(wire)


OWN = f"<sip:100@{PHONE}:5060>"


def test_register_query_refresh_and_unregister() -> None:
    w, phone = setting()
    changed: list[UserChanged] = []
    w.world.events.subscribe(UserChanged, changed.append)
    assert contacts(phone.register(OWN)) == {f"sip:100@{PHONE}:5060": 600}
    w.advance(100)
    assert contacts(phone.register()) == {f"sip:100@{PHONE}:5060": 500}
    assert contacts(phone.register(OWN, expires=300)) == {f"sip:100@{PHONE}:5060": 300}
    assert contacts(phone.register(OWN, expires=0)) == {}
    assert [event.row.state.value for event in changed] == ["registered", "registered", "offline"]
    w.settle()


def test_a_registration_ends_by_itself() -> None:
    w, phone = setting()
    phone.register(OWN, expires=60)
    w.advance(59)
    assert w.switch.registrar.count("100") == 1
    w.advance(2)
    assert w.switch.registrar.count("100") == 0
    w.settle()


@pytest.mark.parametrize(
    ("contact", "expires", "granted"),
    [
        (OWN, 600, 600),
        (f"{OWN};expires=120", 600, 120),
        (OWN, 999_999, 3600),
        (OWN, None, 3600),
        (f"{OWN};expires=0", 600, 0),
        (f"{OWN};expires=99999999999999", 600, 3600),
        (f"{OWN};expires=rubbish", 600, 3600),
    ],
)
def test_the_time_is_the_contacts_then_the_headers_then_ours(contact: str, expires: int | None, granted: int) -> None:
    _w, phone = setting()
    found = contacts(phone.register(contact, expires=expires))
    assert list(found.values()) == ([granted] if granted else [])


def test_too_short_a_time_gets_423_with_what_is_the_least() -> None:
    """RFC 3261 10.3 step 7."""
    _w, phone = setting(register_expires_minimum=45)
    answer = phone.register(OWN, expires=44)
    assert (answer.status, answer.get("Min-Expires")) == (423, "45")
    assert phone.register(OWN, expires=45).status == 200


def test_several_contacts_and_the_star() -> None:
    w, phone = setting()
    two = (OWN, f"<sip:100@{PHONE}:5070>;expires=90")
    assert contacts(phone.register(*two)) == {f"sip:100@{PHONE}:5060": 600, f"sip:100@{PHONE}:5070": 90}
    assert phone.register("*", expires=5).status == 400
    assert w.switch.registrar.count("100") == 2
    assert contacts(phone.register("*", expires=0)) == {}


def test_all_or_nothing() -> None:
    """RFC 3261 10.3: one bad contact, and none of them is taken."""
    w, phone = setting()
    assert phone.register(OWN, "<mailto:a@b.example>").status == 400
    assert phone.register(OWN, f"<sip:100@{PHONE}:5070>;expires=5").status == 423
    assert w.switch.registrar.count("100") == 0
    many = [f"<sip:100@{PHONE}:{5060 + number}>" for number in range(MAXIMUM_CONTACTS + 1)]
    assert phone.register(*many).status == 400
    assert w.switch.registrar.count("100") == 0


def test_an_older_request_of_the_same_phone_undoes_nothing() -> None:
    """RFC 3261 10.3 step 7."""
    w, phone = setting()
    phone.register(OWN)
    assert phone.register(OWN, expires=0, sequence=1).status == 500
    assert w.switch.registrar.count("100") == 1
    rebooted = Phone(w)
    assert rebooted.register(OWN, expires=0).status == 200
    assert w.switch.registrar.count("100") == 0


def test_two_phones_behind_two_nats_with_the_same_contact() -> None:
    w, phone = setting()
    other = Phone(w, "10.0.9.9")
    phone.register("<sip:100@192.168.1.2:5060>")
    other.register("<sip:100@192.168.1.2:5060>")
    assert w.switch.registrar.count("100") == 2
    up = w.caller.invite("100")
    w.advance()
    # The Request-URI is the Contact, the packet goes the way that the REGISTER came.
    for each in (phone.peer, other.peer):
        assert each.incoming().invite.uri_text == "sip:100@192.168.1.2:5060"
    up.cancel()
    w.advance()


def test_a_phone_whose_nat_gives_it_a_new_port() -> None:
    w, phone = setting()
    phone.register("<sip:100@192.168.1.2:5060>")
    moved = Phone(w, PHONE, 40000)
    moved.register("<sip:100@192.168.1.2:5060>")
    assert w.switch.registrar.count("100") == 1
    w.caller.invite("100")
    w.advance()
    assert not phone.peer.requests("INVITE")
    assert moved.peer.requests("INVITE")


def test_a_phone_that_sends_from_another_port_than_it_listens_on() -> None:
    """Without a translator in between, its Contact says where it listens (RFC 3261 10.2.1)."""
    w, listening = setting()
    sending = Phone(w, PHONE, 49160)
    sending.register(OWN)
    up = w.caller.invite("100")
    w.advance()
    assert not sending.peer.requests("INVITE")
    down = listening.peer.incoming()
    down.respond(200, OTHER_SDP)
    w.advance()
    up.ack()
    w.advance()
    assert listening.peer.requests("ACK")
    up.request("BYE")
    w.advance()
    listening.peer.ok(listening.peer.requests("BYE")[0])


def test_a_phone_of_the_internet_is_called_at_the_port_that_it_was_heard_from() -> None:
    """Its address is that of a home router, which has opened this port; the one in the Contact is a guess."""
    w, _phone = setting()
    phone = Phone(w, "93.184.216.34", 40000)
    phone.register("<sip:100@93.184.216.34:5060>")
    w.caller.invite("100")
    w.advance()
    assert phone.peer.requests("INVITE")


def test_the_oldest_of_too_many_places_makes_room() -> None:
    w, _phone = setting(max_messages_per_second=0)
    for number in range(MAXIMUM_CONTACTS + 2):
        each = Phone(w, f"10.0.1.{number + 1}")
        each.register(f"<sip:100@10.0.1.{number + 1}:5060>")
    hosts = [binding.flow.remote_host for binding in w.switch.registrar.bindings("100")]
    assert len(hosts) == MAXIMUM_CONTACTS
    assert hosts[0] == "10.0.1.3"
    w.caller.invite("100")
    w.advance()
    assert len(w.switch.endpoint.dialogs) == 1 + MAXIMUM_CONTACTS


def test_the_port_in_a_dialog_follows_a_phone_whose_nat_moved() -> None:
    """In the middle of a call the phone is heard from another port: that is where the BYE goes."""
    w, phone = setting()
    phone.register("<sip:100@192.168.1.2:5060>")
    up = w.caller.invite("100")
    w.advance()
    down = phone.peer.incoming()
    reply = down.invite.answer(200, None, down.local_tag, [("Contact", "<sip:100@192.168.1.2:5060>")])
    phone.peer.send(reply)
    w.advance()
    up.ack()
    w.advance()
    assert phone.peer.requests("ACK")
    moved = RawPeer(w.world, PHONE, 40000)
    down.peer = moved
    down.request("OPTIONS")
    w.advance()
    assert moved.statuses("OPTIONS") == [200]
    up.request("BYE")
    w.advance()
    assert not phone.peer.requests("BYE")
    moved.ok(moved.requests("BYE")[0])
    assert w.world.recorder.ended[0].end_cause == "normal"


# --- streams ----------------------------------------------------------------------------------------------------------


class StreamWorld(World):
    """Phones that came by TCP connections, numbered by their port."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Flow] = []

    def send(self, flow: Flow, data: bytes) -> None:
        self.sent.append(flow)


def by_tcp(contact: str, transport: str = "tcp") -> tuple[StreamWorld, Switch, Flow]:
    """User 100 registered by a connection."""
    world = StreamWorld()
    switch = world.switch(document())
    flow = Flow(transport, "10.0.0.5", 5060, PHONE, 33333, 7)  # type: ignore[arg-type]
    request = Request(
        "REGISTER",
        "sip:10.0.0.5",
        [
            ("Via", f"SIP/2.0/{transport.upper()} {PHONE};branch=z9hG4bK1"),
            ("Max-Forwards", "70"),
            ("From", "<sip:100@10.0.0.5>;tag=1"),
            ("To", "<sip:100@10.0.0.5>"),
            ("Call-ID", "c"),
            ("CSeq", "1 REGISTER"),
            ("Contact", contact),
            ("Expires", "600"),
        ],
    )
    switch.registrar.register(("k",), request, flow, "100")  # type: ignore[arg-type]
    assert switch.registrar.count("100") == 1
    return world, switch, flow


def test_a_phone_behind_nat_is_gone_with_its_connection() -> None:
    _world, switch, flow = by_tcp("<sip:100@192.168.1.2:5060;transport=tcp>")
    switch.flow_failed(flow._replace(connection=8))
    assert switch.registrar.count("100") == 1
    switch.flow_failed(flow)
    assert switch.registrar.count("100") == 0
    assert not switch.registrar.is_source(PHONE, 33333)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_phone_that_can_be_connected_to_stays_registered(transport: str) -> None:
    """The endpoint makes the connection again when there is something to send."""
    _world, switch, flow = by_tcp(f"<sip:100@{PHONE}:5061;transport={transport}>", transport)
    switch.flow_failed(flow)
    assert switch.registrar.count("100") == 1


def test_a_udp_way_that_fails_once_leaves_the_phone_registered() -> None:
    w, phone = setting()
    phone.register(OWN)
    w.switch.flow_failed(Flow("udp", *SERVER, PHONE, 5060))
    assert w.switch.registrar.count("100") == 1
    up = w.caller.invite("100")
    w.advance(4 * DELAY)
    phone.peer.incoming().respond(200, OTHER_SDP)
    w.advance()
    assert w.caller.statuses() == [200]
    up.ack()
    w.advance()
