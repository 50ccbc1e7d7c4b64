"""Requests inside a dialog from another address than its peer's: Call-ID and tags are no secret and prove nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from simulation.raw import OTHER_SDP, RawDialog, RawPeer, Wire, hang_up

from app.calls.challenges import answer_challenge
from app.sip.message import Request, Response

ELSEWHERE = "192.0.2.66"


def document(**trunk: object) -> dict[str, object]:
    return {
        "sip_trunks": [
            {"id": 1, "server_address": "192.0.2.8", **trunk},
            {"id": 2, "server_address": "192.0.2.7"},
        ],
        "local_users": [{"number": "100", "password": "secret100"}, {"number": "101", "password": "secret101"}],
        "analyze_called_numbers": [{"prefix": "13", "route_type": "sip_trunk", "target_id": 1}],
    }


def from_elsewhere(wire: Wire, dialog: RawDialog, host: str = ELSEWHERE) -> RawPeer:
    """The same end of the dialog speaks from another address from now on."""
    dialog.peer = moved = RawPeer(wire.world, host)
    moved.received.extend(dialog_messages(wire, dialog))
    return moved


def dialog_messages(wire: Wire, dialog: RawDialog) -> list[Request | Response]:
    for peer in (wire.caller, wire.carrier):
        found = [each for each in peer.received if each.call_id == dialog.call_id]
        if found:
            return found
    return []


@pytest.mark.parametrize("end", ["caller", "carrier"])
@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO", "OPTIONS"])
def test_a_stranger_that_knows_all_of_a_call_can_do_nothing_to_it(method: str, end: str) -> None:
    wire = Wire(document())
    sides = wire.talk()
    side = sides[end == "carrier"]
    home = side.peer
    stranger = from_elsewhere(wire, side)
    side.request(method, OTHER_SDP if method in ("INVITE", "UPDATE") else None, cseq=500)
    wire.advance(1)
    assert stranger.statuses(method)[-1] == 403
    (row,) = wire.switch.rejected.rows()
    assert (row.address, row.method) == (ELSEWHERE, method)
    assert row.reason == f"it is about a call with {home.host}, and nothing says that both are one"
    side.peer = home
    hang_up(wire, side)
    assert wire.record().end_cause == "normal"


def test_a_stranger_cannot_cancel() -> None:
    wire = Wire(document())
    up, down = wire.call()
    down.respond(180)
    wire.advance()
    stranger = from_elsewhere(wire, up)
    up.cancel()
    wire.advance(1)
    assert stranger.statuses("CANCEL") == [481]
    assert not wire.carrier.requests("CANCEL")
    up.peer = wire.caller
    up.cancel()
    wire.advance()
    down.respond(487)
    up.ack_failure()
    assert wire.caller.statuses("CANCEL") == [200]
    assert wire.record().end_cause == "cancelled"


def test_an_acknowledgement_of_a_stranger_answers_no_offer() -> None:
    wire = Wire(document())
    up, down = wire.call(body=None)
    down.respond(200, OTHER_SDP)
    wire.advance()
    from_elsewhere(wire, up)
    up.ack(OTHER_SDP)
    wire.advance(0.1)
    assert not wire.carrier.requests("ACK")
    up.peer = wire.caller
    up.ack(OTHER_SDP)
    wire.advance()
    assert len(wire.carrier.requests("ACK")) == 1
    hang_up(wire, up)
    wire.settle()


def test_an_acknowledgement_without_an_answer_may_come_from_anywhere() -> None:
    """It does no harm, and a call without one ends after half a minute: some carriers send it past their proxy."""
    wire = Wire(document())
    up, down = wire.call()
    down.respond(200, OTHER_SDP)
    wire.advance()
    home = up.peer
    from_elsewhere(wire, up)
    up.ack()
    up.peer = home
    wire.advance(60)
    assert not wire.caller.requests("BYE")
    hang_up(wire, up)
    assert wire.record().end_cause == "normal"


def by_its_network(wire: Wire, down: RawDialog) -> None:
    """The trunk's trusted networks hold the other address."""
    down.respond(200, OTHER_SDP)


def by_its_contact(wire: Wire, down: RawDialog, contact: str = f"<sip:g@{ELSEWHERE}>") -> None:
    """A proxy passed the INVITE on to a gateway that speaks for itself from then on."""
    headers = [("Contact", contact), ("Content-Type", "application/sdp")]
    wire.carrier.send(down.invite.answer(200, None, down.local_tag, headers, OTHER_SDP.content))


def by_its_host_name(wire: Wire, down: RawDialog) -> None:
    """Nobody here knows all the addresses of that name."""
    by_its_contact(wire, down, "<sip:g@gateways.example.net>")


@pytest.mark.parametrize("how", [by_its_network, by_its_contact, by_its_host_name])
def test_a_carrier_may_speak_from_another_address_of_its_own(how: Callable[[Wire, RawDialog], None]) -> None:
    trunk = {"trusted_networks": ["192.0.2.64/28"]} if how is by_its_network else {}
    wire = Wire(document(**trunk))
    up, down = wire.call()
    how(wire, down)
    wire.advance()
    up.ack()
    wire.advance()
    other = from_elsewhere(wire, down)
    down.request("BYE")
    wire.advance()
    assert other.statuses("BYE") == [200]
    wire.caller.ok(wire.caller.requests("BYE")[-1])
    assert wire.record().ended_by == "called"


@pytest.mark.parametrize("password", ["secret101", "wrong"])
def test_a_phone_that_is_somewhere_else_now_shows_its_password(password: str) -> None:
    """From the wireless network into the mobile one, in the middle of a call."""
    wire = Wire(document())
    phone = wire.phone("101", "10.0.0.51")
    up = wire.caller.invite("101")
    wire.advance()
    down = phone.incoming()
    down.respond(200, OTHER_SDP)
    wire.advance()
    up.ack()
    wire.advance()
    down.peer = moved = RawPeer(wire.world, "198.51.100.9")
    asked = down.request("UPDATE", headers=[("Contact", "<sip:101@198.51.100.9>")])
    wire.advance()
    challenge = moved.responses("UPDATE")[-1]
    assert challenge.status == 401
    credentials = answer_challenge(asked, challenge, "101", password)
    assert credentials is not None
    down.request("UPDATE", headers=[credentials])
    wire.advance()
    right = password == "secret101"
    assert moved.statuses("UPDATE") == [401, 200 if right else 403]
    hang_up_from_the_caller(wire, up, moved if right else phone)
    wire.switch.registrar.forget("101")


def hang_up_from_the_caller(wire: Wire, up: RawDialog, phone: RawPeer) -> None:
    up.request("BYE")
    wire.advance()
    phone.ok(phone.requests("BYE")[-1])
    wire.advance()
    assert wire.caller.statuses("BYE") == [200]


def test_a_phone_that_has_registered_from_there_is_not_asked_again() -> None:
    wire = Wire(document())
    phone = wire.phone("101", "10.0.0.51")
    up = wire.caller.invite("101")
    wire.advance()
    down = phone.incoming()
    down.respond(200, OTHER_SDP)
    wire.advance()
    up.ack()
    wire.advance()
    down.peer = moved = wire.phone("101", "198.51.100.9")
    down.request("BYE")
    wire.advance()
    assert moved.statuses("BYE") == [200]
    wire.caller.ok(wire.caller.requests("BYE")[-1])
    wire.advance(50)
    (record,) = wire.world.recorder.ended
    assert record.ended_by == "called"
