"""Call transfer, message by message: REFER, its subscription, and who talks to whom in the end (RFC 3515, RFC 5589)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import pytest
from simulation.raw import OTHER_SDP, SERVER, RawDialog, RawPeer, Wire
from simulation.relayed import RelayedWire, audio
from simulation.test_calls import trunks
from simulation.world import HOLD, SDP
from support.sip_text import digest_header

from app.calls.leg_events import Body
from app.events import CallRecord
from app.sip.message import Request

DESK, KITCHEN, CELLAR = "10.0.0.100", "10.0.0.101", "10.0.0.102"
HELD = Body("application/sdp", SDP.content + b"a=recvonly\r\n")
THIRD_SDP = Body("application/sdp", SDP.content.replace(b"o=- 1 1", b"o=- 3 3").replace(b"audio 4000", b"audio 6000"))
NEW_SDP = Body("application/sdp", SDP.content.replace(b"o=- 1 1", b"o=- 1 2").replace(b"audio 4000", b"audio 4002"))


def document(**more: Any) -> dict[str, object]:
    made = trunks(**more.pop("first_trunk", {}))
    made["local_users"] = [
        {
            "number": str(number),
            "password": f"secret{number}",
            "display_name": f"User {number}",
            **more.get("users", {}),
        }
        for number in range(100, 105)
    ]
    made["system"] = {"no_answer_timeout": 20, **more.get("system", {})}
    return made


class Office:
    """A trunk's caller that talks to user 100, whose phone can transfer it; users 101 and 102 have phones, too."""

    def __init__(self, made: dict[str, object] | None = None, wire: Wire | None = None, **bodies: Body) -> None:
        self._answered: list[Request] = []
        self.wire = wire or Wire(made or document())
        self.desk = self.wire.phone("100", DESK)
        self.kitchen = self.wire.phone("101", KITCHEN)
        self.cellar = self.wire.phone("102", CELLAR)
        self.up = self.wire.caller.invite("100", body=bodies.get("offer", SDP))
        self.wire.advance()
        self.down = self.desk.incoming()
        self.down.respond(200, bodies.get("answer", OTHER_SDP))
        self.wire.advance()
        self.up.ack()
        self.wire.advance()

    def advance(self, seconds: float = 0.03) -> None:
        self.wire.advance(seconds)

    def hold(self) -> None:
        """The phone puts the caller on hold, as it does before it transfers."""
        self.down.request("INVITE", HOLD)
        self.advance()
        self.up.respond(200, HELD, request=self.wire.caller.requests("INVITE")[-1])
        self.advance()
        self.down.ack(cseq=self.down.sequence)
        self.advance()

    def refer(self, to: str, *, by: RawDialog | None = None, headers: tuple[tuple[str, str], ...] = ()) -> Request:
        """The phone's REFER; what came for it is in `answers`."""
        dialog = by or self.down
        contact = ("Contact", f"<sip:100@{dialog.peer.host}:5060>")
        return dialog.request("REFER", headers=[("Refer-To", to), contact, *headers])

    def told(self, peer: RawPeer | None = None) -> list[str]:
        """Answer every NOTIFY that has come; the first lines of the status that they told."""
        phone = peer or self.desk
        for notify in phone.requests("NOTIFY"):
            if notify not in self._answered:
                self._answered.append(notify)
                phone.ok(notify)
        self.advance()
        return [notify.body.decode("utf-8", "replace").strip() for notify in unrepeated(phone.requests("NOTIFY"))]

    def statuses(self, phone: RawPeer) -> list[str]:
        """All that the subscription has told, each NOTIFY answered as it comes."""
        for _ in range(4):
            told = self.told(phone)
        return told

    def answer_reinvite(self, body: Body | None = NEW_SDP, status: int = 200) -> Request:
        """The caller answers the re-INVITE that joins it with somebody else."""
        offer = self.wire.caller.requests("INVITE")[-1]
        self.up.respond(status, body if status == 200 else None, request=offer)
        self.advance()
        return offer

    def over(self) -> dict[str, CallRecord]:
        """What is left: nothing but one record per call, by the number that was called."""
        self.wire.settle()
        records = self.wire.world.recorder.ended
        assert len({record.id for record in records}) == len(records)
        return {record.called_number: record for record in records}


def unrepeated(requests: list[Request]) -> list[Request]:
    return list({each.via.branch: each for each in requests}.values())


def end(phone: RawPeer) -> None:
    """Answer every BYE that has come."""
    for bye in unrepeated(phone.requests("BYE")):
        phone.ok(bye)


def transfer_to(o: Office, number: str = "101", *, hold: bool = True) -> RawDialog:
    """A blind transfer that has rung at the target: the target's dialog."""
    if hold:
        o.hold()
    o.refer(f"<sip:{number}@{SERVER[0]}>")
    o.advance()
    assert o.desk.statuses("REFER") == [202]
    target = {"101": o.kitchen, "102": o.cellar}[number].incoming()
    target.respond(180)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 180 Ringing"
    return target


# --- blind ------------------------------------------------------------------------------------------------------------


def test_a_blind_transfer_joins_the_party_with_the_target() -> None:
    o = Office()
    target = transfer_to(o)
    assert b"a=" not in target.invite.body and b"m=audio 5000" not in target.invite.body
    assert "sip:5551@" in (target.invite.get("From") or "")
    assert target.invite.get("Referred-By") == f"<sip:100@{SERVER[0]}>"
    assert o.statuses(o.desk) == ["SIP/2.0 100 Trying", "SIP/2.0 180 Ringing"]
    first, second = o.wire.switch.calls.values()
    assert (first.row().text, second.row().state) == ("being transferred to 101", "ringing")
    target.respond(200, THIRD_SDP)
    o.advance()
    offer = o.answer_reinvite()
    assert offer.body == THIRD_SDP.content
    # The caller has moved its audio with the answer: the target is told so.
    (again,) = [each for each in o.kitchen.requests("INVITE") if each.to.tag is not None]
    assert again.body == NEW_SDP.content
    target.respond(200, THIRD_SDP, request=again)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    last = o.desk.requests("NOTIFY")[-1]
    assert last.get("Subscription-State") == "terminated;reason=noresource"
    assert (last.get("Event"), last.get("Content-Type")) == ("refer", "message/sipfrag;version=2.0")
    (bye,) = o.desk.requests("BYE")
    o.desk.ok(bye)
    o.advance()
    (call,) = o.wire.switch.calls.values()
    row = call.row()
    assert (row.state, row.source, row.caller_number, row.target) == ("talking", "trunk:3", "5551", "user:101")
    # The transferor is free; the trunk and the target are counted once each.
    assert o.wire.switch.counters.total == 2
    assert o.wire.switch.live.user_active("100") == 0
    assert o.wire.switch.live.trunk_active_in(3) == 1
    o.up.request("BYE")
    o.advance()
    end(o.kitchen)
    records = o.over()
    assert (records["100"].end_cause, records["100"].ended_by) == ("transferred", "called")
    assert records["100"].trail[-1] == "end: transferred to 101 by the called side"
    assert (records["101"].end_cause, records["101"].source, records["101"].target) == (
        "normal",
        "user:100",
        "user:101",
    )
    assert any("user:100 transfers trunk:3 (5551) to 101" in step for step in records["101"].trail)
    assert records["101"].ended_by == "caller"


def test_what_the_target_says_is_not_said_again_where_the_party_answers_as_before() -> None:
    o = Office()
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite(SDP)
    assert not [each for each in o.kitchen.requests("INVITE") if each.to.tag is not None]
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert o.over()["101"].ended_by == "called"


def test_the_caller_itself_may_transfer_the_one_that_it_has_called() -> None:
    """User 100 has called out through a trunk, and transfers that side to user 101."""
    w = Wire(document())
    desk, kitchen = w.phone("100", DESK), w.phone("101", KITCHEN)
    up = authorized_call(w, desk, "135550", "100")
    down = w.carrier.incoming()
    down.respond(200, OTHER_SDP)
    w.advance()
    up.ack()
    w.advance()
    assert "REFER" in (up.answer.get("Allow") or "")
    assert up.answer.get("Supported") == "replaces, norefersub"
    assert "REFER" not in (down.invite.get("Allow") or "")
    assert "replaces" not in (down.invite.get("Supported") or "")
    up.request("REFER", headers=[("Refer-To", f"<sip:101@{SERVER[0]}>")])
    w.advance()
    target = kitchen.incoming()
    assert target.invite.body == OTHER_SDP.content
    assert "REFER" in (target.invite.get("Allow") or "")
    assert "sip:135550@" in (target.invite.get("From") or "")
    target.respond(200, THIRD_SDP)
    w.advance()
    offer = w.carrier.requests("INVITE")[-1]
    assert offer.body == THIRD_SDP.content
    # RFC 3261 14.1: in a dialog of ours the peer tries again first.
    down.respond(491, request=offer)
    w.advance(1.9)
    assert w.carrier.requests("INVITE")[-1].cseq == offer.cseq
    w.advance(0.4)
    offer = w.carrier.requests("INVITE")[-1]
    assert offer.body == THIRD_SDP.content
    down.respond(200, OTHER_SDP, request=offer)
    w.advance()
    for _ in range(3):
        for notify in desk.requests("NOTIFY"):
            desk.ok(notify)
        w.advance()
    end(desk)
    w.advance()
    (call,) = w.switch.calls.values()
    row = call.row()
    assert (row.source, row.target, row.trunk_in) == ("trunk:1", "user:101", 1)
    assert w.switch.live.trunk_active_out(1) == 1
    down.request("BYE")
    w.advance()
    end(kitchen)
    w.settle()
    first, second = sorted(w.world.recorder.ended, key=lambda record: record.started)
    assert (first.end_cause, first.ended_by) == ("transferred", "caller")
    assert (second.end_cause, second.source, second.ended_by) == ("normal", "user:100", "caller")


def test_a_colleague_who_hides_its_number_is_not_shown_by_a_transfer() -> None:
    """User 101 calls user 100 with Privacy (RFC 3323), and is transferred to user 102."""
    w = Wire(document())
    desk, kitchen, cellar = w.phone("100", DESK), w.phone("101", KITCHEN), w.phone("102", CELLAR)
    up = authorized_call(w, kitchen, "100", "101", headers=[("Privacy", "id")])
    down = desk.incoming()
    assert "101" not in (down.invite.get("From") or "")
    down.respond(200, OTHER_SDP)
    w.advance()
    up.ack()
    w.advance()
    down.request("REFER", headers=[("Refer-To", f"<sip:102@{SERVER[0]}>")])
    w.advance()
    target = cellar.incoming()
    assert "101" not in (target.invite.get("From") or "")
    assert "101" not in (target.invite.get("Contact") or "")
    target.respond(486)
    up.request("BYE")
    w.advance()
    end(desk)
    w.settle()


@pytest.mark.parametrize("attended", [False, True])
def test_who_hides_its_number_stays_hidden_when_it_is_transferred_once_more(attended: bool) -> None:
    """User 103 calls 100 with Privacy, is transferred to 101, and by that one to 102."""
    w = Wire(document())
    desk, kitchen, cellar = w.phone("100", DESK), w.phone("101", KITCHEN), w.phone("102", CELLAR)
    hidden = w.phone("103", "10.0.0.103")
    up = authorized_call(w, hidden, "100", "103", headers=[("Privacy", "id")])
    down = desk.incoming()
    down.respond(200, OTHER_SDP)
    w.advance()
    up.request("ACK", cseq=2)
    if attended:
        own = authorized_call(w, desk, "101", "100")
    else:
        down.request("REFER", headers=[("Refer-To", f"<sip:101@{SERVER[0]}>")])
        w.advance()
    first = kitchen.incoming()
    first.respond(200, THIRD_SDP)
    w.advance()
    if attended:
        own.request("ACK", cseq=2)
        down.request("REFER", headers=[("Refer-To", replaces(own))])
        w.advance()
    up.respond(200, SDP, request=hidden.requests("INVITE")[-1])
    w.advance()
    for again in [each for each in kitchen.requests("INVITE") if each.to.tag is not None]:
        first.respond(200, THIRD_SDP, request=again)
    w.advance()
    first.request("REFER", headers=[("Refer-To", f"<sip:102@{SERVER[0]}>")])
    w.advance()
    assert kitchen.statuses("REFER") == [202]
    last = cellar.incoming().invite
    for name in ("From", "Contact", "P-Asserted-Identity", "Remote-Party-ID"):
        assert "103" not in (last.get(name) or ""), name
        assert "User 103" not in (last.get(name) or ""), name
    cellar.incoming().respond(486)
    up.request("BYE")
    for phone in (desk, kitchen):
        for _ in range(3):
            for notify in phone.requests("NOTIFY"):
                phone.ok(notify)
            w.advance()
        end(phone)
    w.settle()


def authorized_call(
    w: Wire,
    phone: RawPeer,
    number: str,
    user: str,
    headers: Iterable[tuple[str, str]] = (),
    body: Body | None = SDP,
) -> RawDialog:
    """A local user's call that has shown its password."""
    up = phone.invite(number, caller=user, from_host=SERVER[0], body=body)
    w.advance()
    challenge = phone.responses()[-1].get("WWW-Authenticate") or phone.responses()[-1].get("Proxy-Authenticate") or ""
    up.ack_failure()
    name = "Authorization" if phone.statuses()[-1] == 401 else "Proxy-Authorization"
    credentials = digest_header(challenge, "INVITE", up.invite.uri_text, user, f"secret{user}")
    shown = [(name, credentials), *headers]
    again = phone.invite(number, caller=user, from_host=SERVER[0], body=body, headers=shown, like=up, send=False)
    again.invite.replace("CSeq", "2 INVITE")
    phone.send(again.invite)
    w.advance()
    return RawDialog(phone, again.invite, caller=True)


@pytest.mark.parametrize("when", ["at once", "while it rings", "while the party is asked"])
def test_the_transferor_may_hang_up_before_the_end(when: str) -> None:
    o = Office()
    o.hold()
    o.refer(f"<sip:101@{SERVER[0]}>")
    if when == "at once":
        o.down.request("BYE")
    o.advance()
    target = o.kitchen.incoming()
    target.respond(180)
    if when == "while it rings":
        o.down.request("BYE")
    o.advance()
    assert not o.wire.caller.requests("BYE")
    target.respond(200, THIRD_SDP)
    o.advance()
    if when == "while the party is asked":
        o.down.request("BYE")
    o.advance()
    o.answer_reinvite(SDP)
    assert o.desk.statuses("BYE") == [200]
    assert not o.desk.requests("BYE")
    o.statuses(o.desk)
    assert o.wire.switch.live.user_active("100") == 0
    assert len(o.wire.switch.calls) == 1
    o.up.request("BYE")
    o.advance()
    end(o.kitchen)
    records = o.over()
    assert {number: record.end_cause for number, record in records.items()} == {"100": "transferred", "101": "normal"}
    assert any("transferor has hung up" in step for step in records["100"].trail)


@pytest.mark.parametrize("alone", [False, True], ids=["it waits", "it has hung up"])
def test_a_busy_target(alone: bool) -> None:
    o = Office()
    o.hold()
    o.refer(f"<sip:101@{SERVER[0]}>")
    o.advance()
    if alone:
        o.down.request("BYE")
    o.kitchen.incoming().respond(486)
    o.advance()
    told = o.statuses(o.desk)
    assert told[-1] == "SIP/2.0 486 Busy Here"
    if alone:
        end(o.wire.caller)
        records = o.over()
        assert (records["100"].end_cause, records["100"].ended_by) == ("normal", "called")
        assert "the transfer to 101 failed: 486 Busy Here" in records["100"].trail[-1]
        return
    (call,) = o.wire.switch.calls.values()
    assert call.row().text == "the transfer to 101 failed: 486 Busy Here"
    # The old call goes on, and may be taken off hold.
    o.down.request("INVITE", OTHER_SDP)
    o.advance()
    assert o.wire.caller.requests("INVITE")[-1].body == OTHER_SDP.content
    o.up.respond(200, SDP, request=o.wire.caller.requests("INVITE")[-1])
    o.advance()
    o.down.ack(cseq=o.down.sequence)
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    records = o.over()
    assert records["101"].end_cause == "busy"
    assert records["100"].end_cause == "normal"
    assert any("the transfer to 101 failed: 486" in step for step in records["100"].trail)


def test_a_target_that_does_not_answer() -> None:
    o = Office()
    target = transfer_to(o)
    o.advance(20)
    assert o.kitchen.requests("CANCEL")
    o.kitchen.ok(o.kitchen.requests("CANCEL")[0])
    target.respond(487)
    assert o.statuses(o.desk)[-1].startswith("SIP/2.0 408")
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert o.over()["101"].end_cause == "no_answer"


def test_the_party_hangs_up_while_the_target_rings() -> None:
    o = Office()
    target = transfer_to(o)
    o.up.request("BYE")
    o.advance()
    (cancel,) = o.kitchen.requests("CANCEL")
    o.kitchen.ok(cancel)
    target.respond(487)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 487 Request Terminated"
    end(o.desk)
    records = o.over()
    assert (records["100"].end_cause, records["100"].ended_by) == ("normal", "caller")
    assert records["101"].end_cause == "cancelled"


def test_the_party_hangs_up_while_it_is_asked() -> None:
    o = Office()
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    o.advance()
    offer = o.wire.caller.requests("INVITE")[-1]
    o.up.request("BYE")
    o.up.respond(487, request=offer)
    o.advance()
    end(o.kitchen)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 487 Request Terminated"
    end(o.desk)
    records = o.over()
    assert records["101"].ended_by == "caller"
    assert "hung up during the transfer to 101" in records["100"].trail[-1]


def test_the_target_hangs_up_while_the_party_is_asked() -> None:
    o = Office()
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    o.advance()
    target.request("BYE")
    o.advance()
    o.answer_reinvite()
    assert o.statuses(o.desk)[-1].startswith("SIP/2.0 480")
    assert len(o.wire.switch.calls) == 1
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert o.over()["100"].end_cause == "normal"


@pytest.mark.parametrize(("status", "told"), [(488, "488 Not"), (603, "603 Decline"), (401, "403 Forbidden")])
@pytest.mark.parametrize("alone", [False, True], ids=["it waits", "it has hung up"])
def test_the_party_refuses_to_talk_to_the_target(alone: bool, status: int, told: str) -> None:
    """RFC 3515 2.4.5: the transferor hears what the party has said, where that means anything to it."""
    o = Office()
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    if alone:
        o.down.request("BYE")
    o.advance()
    o.answer_reinvite(status=status)
    end(o.kitchen)
    assert o.statuses(o.desk)[-1].startswith(f"SIP/2.0 {told}")
    if alone:
        end(o.wire.caller)
    else:
        o.down.request("BYE")
        o.advance()
        end(o.wire.caller)
    records = o.over()
    assert records["101"].end_cause == "rejected"
    assert f"refused the called side's session description: {status} " in records["101"].trail[-1]
    assert records["100"].end_cause == "normal"


def test_a_party_that_cannot_be_asked_now_is_asked_again() -> None:
    """RFC 3261 14.1: its own re-INVITE is under way when the target answers."""
    o = Office()
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite(status=491)
    o.advance(1.1)
    assert len(unrepeated([each for each in o.wire.caller.requests("INVITE") if each.to.tag is not None])) == 3
    o.answer_reinvite(SDP)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def crossing(o: Office) -> tuple[RawDialog, Request, Request]:
    """Both ends are told of somebody new at once: the party's server refuses our offer for its own.

    The target's dialog, the offer that it gets instead, and the one that this was.
    """
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite(status=491)
    theirs = o.up.request("INVITE", NEW_SDP)
    o.advance()
    (passed,) = unrepeated([each for each in o.kitchen.requests("INVITE") if each.to.tag is not None])
    assert passed.body == NEW_SDP.content
    return target, passed, theirs


def test_both_ends_of_a_call_are_transferred_at_once() -> None:
    """RFC 3261 14.1: each server offers the other one somebody new; whose offer gets through joins the two."""
    o = Office()
    target, passed, _theirs = crossing(o)
    target.respond(200, THIRD_SDP, request=passed)
    o.advance()
    assert o.up.answer.status == 200
    assert o.up.answer.body == THIRD_SDP.content
    o.up.ack(cseq=o.up.sequence)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    o.advance(5)
    # Nothing is said twice.
    assert len(unrepeated([each for each in o.wire.caller.requests("INVITE") if each.to.tag is not None])) == 2
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert o.over()["101"].end_cause == "normal"


@pytest.mark.parametrize("how", ["refused", "taken back", "left"])
def test_the_target_does_not_take_what_the_other_server_offers_at_the_same_time(how: str) -> None:
    o = Office()
    target, passed, theirs = crossing(o)
    if how == "left":
        o.down.request("BYE")
        o.up.request("BYE")
        o.advance()
        end(o.kitchen)
        target.respond(487, request=passed)
        o.statuses(o.desk)
        assert o.over()["101"].ended_by == "caller"
        return
    if how == "taken back":
        o.up.cancel(theirs)
        o.advance()
    target.respond(488 if how == "refused" else 487, request=passed)
    o.advance()
    assert o.wire.caller.statuses()[-1] == (488 if how == "refused" else 487)
    assert o.answer_reinvite().body == THIRD_SDP.content
    again = unrepeated([each for each in o.kitchen.requests("INVITE") if each.to.tag is not None])[-1]
    assert again.body == NEW_SDP.content
    target.respond(200, THIRD_SDP, request=again)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_a_call_that_is_not_allowed_is_told_so() -> None:
    """The dial plan decides as about any call of the transferor."""
    made = document()
    made["number_lists"] = [{"caller_prefix": "100", "called_prefix": "13", "block_percent": 100}]
    o = Office(made)
    o.refer(f"<sip:135550@{SERVER[0]}>")
    o.advance()
    assert o.statuses(o.desk)[-1].startswith("SIP/2.0 403")
    assert not o.wire.carrier.received
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    records = o.over()
    assert (records["135550"].end_cause, records["135550"].source) == ("rejected", "user:100")
    assert records["100"].end_cause == "normal"


def test_a_user_that_may_have_one_call_may_transfer_it() -> None:
    o = Office(document(users={"max_calls": 1}))
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite(SDP)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_through_a_trunk_the_transferor_is_the_caller() -> None:
    o = Office()
    o.refer(f"<sip:135550@{SERVER[0]}>")
    o.advance()
    invite = o.wire.carrier.incoming()
    assert "sip:100@" in (invite.invite.get("From") or "")
    assert invite.invite.get("Referred-By") is None
    invite.respond(404)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 404 Not Found"
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert o.over()["135550"].end_cause == "no_route"


def test_words_of_the_target_that_are_no_text_pass() -> None:
    o = Office()
    o.refer("<sip:101@10.0.0.5>")
    o.advance()
    target = o.kitchen.incoming()
    answer = target.invite.answer(486, "B\udcff", target.local_tag)
    o.kitchen.send(answer)
    o.advance()
    o.statuses(o.desk)
    assert o.desk.requests("NOTIFY")[-1].body == b"SIP/2.0 486 B\xff\r\n"
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


# --- attended ---------------------------------------------------------------------------------------------------------


def replaces(dialog: RawDialog, *, swapped: bool = False, more: str = "") -> str:
    """A Refer-To that names a dialog of the transferor's with the server, and who is called in it."""
    theirs = (dialog.answer.to.tag if dialog.caller else dialog.invite.from_.tag) or ""
    tags = (dialog.local_tag, theirs) if swapped else (theirs, dialog.local_tag)
    named = f"{dialog.call_id};to-tag={tags[0]};from-tag={tags[1]}{more}"
    return f"<sip:101@{SERVER[0]}?Replaces={quote(named, safe='')}>"


def consult(
    o: Office, number: str = "101", *, answered: bool = True, body: Body = THIRD_SDP
) -> tuple[RawDialog, RawDialog]:
    """The transferor, who holds the first call, calls somebody else: its end and the other one."""
    o.hold()
    up = authorized_call(o.wire, o.desk, number, "100")
    phone = {"101": o.kitchen, "135550": o.wire.carrier}[number]
    down = phone.incoming()
    down.respond(180)
    o.advance()
    if answered:
        down.respond(200, body)
        o.advance()
        up.request("ACK", cseq=2)
        o.advance()
    return up, down


def join(o: Office, up: RawDialog, down: RawDialog, *, party: Body = NEW_SDP, target: Body = THIRD_SDP) -> Request:
    """The attended transfer itself, up to the end of both legs of the transferor: the re-INVITE of the target."""
    o.refer(replaces(up))
    o.advance()
    assert o.desk.statuses("REFER") == [202]
    offer = o.answer_reinvite(party)
    assert offer.to.tag is not None
    (again,) = unrepeated([each for each in down.peer.requests("INVITE") if each.to.tag is not None])
    down.respond(200, target, request=again)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    assert len(unrepeated(o.desk.requests("BYE"))) == 2
    end(o.desk)
    o.advance()
    return again


def test_an_attended_transfer_joins_the_two_remote_parties() -> None:
    o = Office()
    up, down = consult(o)
    assert o.wire.switch.counters.total == 4
    again = join(o, up, down)
    assert again.body == NEW_SDP.content
    assert o.wire.caller.requests("INVITE")[-1].body == THIRD_SDP.content
    (call,) = o.wire.switch.calls.values()
    row = call.row()
    assert (row.state, row.source, row.caller_number, row.target) == ("talking", "trunk:3", "5551", "user:101")
    assert o.wire.switch.counters.total == 2
    assert o.wire.switch.live.user_active("100") == 0
    o.up.request("BYE")
    o.advance()
    end(o.kitchen)
    records = o.over()
    assert (records["100"].end_cause, records["100"].ended_by) == ("transferred", "called")
    assert records["100"].trail[-1] == "end: transferred to 101 by the called side"
    assert (records["101"].end_cause, records["101"].ended_by, records["101"].source) == (
        "normal",
        "caller",
        "user:100",
    )
    assert any("user:100 gives its place to trunk:3 (5551)" in step for step in records["101"].trail)


def test_the_parties_go_on_as_in_any_call() -> None:
    """Hold, digits and the next transfer, by a party that is a local user itself."""
    o = Office()
    up, down = consult(o)
    join(o, up, down)
    down.request("INVITE", HOLD)
    o.advance()
    assert o.wire.caller.requests("INVITE")[-1].body == HOLD.content
    o.up.respond(200, HELD, request=o.wire.caller.requests("INVITE")[-1])
    o.advance()
    down.ack(cseq=down.sequence)
    o.up.request("INFO", Body("application/dtmf", b"7"))
    o.advance()
    o.kitchen.ok(o.kitchen.requests("INFO")[0])
    o.advance()
    assert o.wire.caller.statuses("INFO") == [200]
    o.refer(f"<sip:102@{SERVER[0]}>", by=down)
    o.advance()
    assert o.kitchen.statuses("REFER") == [202]
    last = o.cellar.incoming()
    last.respond(200, OTHER_SDP)
    o.advance()
    o.answer_reinvite(SDP)
    for again in [each for each in o.cellar.requests("INVITE") if each.to.tag is not None]:
        last.respond(200, OTHER_SDP, request=again)
    o.statuses(o.kitchen)
    end(o.kitchen)
    last.request("BYE")
    o.advance()
    end(o.wire.caller)
    records = o.over()
    assert [records[number].end_cause for number in ("100", "101", "102")] == ["transferred", "transferred", "normal"]


def test_a_party_that_was_transferred_may_transfer() -> None:
    """A local user was transferred to a trunk, and transfers that side on."""
    w = Wire(document())
    desk, kitchen, cellar = w.phone("100", DESK), w.phone("101", KITCHEN), w.phone("102", CELLAR)
    up = authorized_call(w, kitchen, "100", "101")
    down = desk.incoming()
    down.respond(200, OTHER_SDP)
    w.advance()
    up.request("ACK", cseq=2)
    down.request("REFER", headers=[("Refer-To", f"<sip:135550@{SERVER[0]}>")])
    w.advance()
    carrier = w.carrier.incoming()
    carrier.respond(200, THIRD_SDP)
    w.advance()
    up.respond(200, SDP, request=kitchen.requests("INVITE")[-1])
    w.advance()
    up.request("REFER", headers=[("Refer-To", f"<sip:102@{SERVER[0]}>")])
    w.advance()
    assert kitchen.statuses("REFER") == [202]
    last = cellar.incoming()
    assert "sip:135550@" in (last.invite.get("From") or "")
    last.respond(200, OTHER_SDP)
    w.advance()
    carrier.respond(200, THIRD_SDP, request=w.carrier.requests("INVITE")[-1])
    w.advance()
    for phone in (desk, kitchen):
        for _ in range(3):
            for notify in phone.requests("NOTIFY"):
                phone.ok(notify)
            w.advance()
        end(phone)
    (call,) = w.switch.calls.values()
    assert (call.row().source, call.row().target, call.row().trunk_in) == ("trunk:1", "user:102", 1)
    assert w.switch.counters.total == 2
    carrier.request("BYE")
    w.advance()
    end(cellar)
    w.settle()
    assert sorted(record.end_cause for record in w.world.recorder.ended) == ["normal", "transferred", "transferred"]


def test_the_transferor_was_called_in_both_calls() -> None:
    """Two trunks' callers: the one that is transferred comes to the called side."""
    o = Office()
    o.hold()
    second = o.wire.backup.invite("100", body=THIRD_SDP, caller="5552")
    o.advance()
    there = o.desk.incoming()
    there.respond(200, OTHER_SDP)
    o.advance()
    second.ack()
    o.advance()
    o.refer(replaces(there, swapped=True))
    o.advance()
    o.answer_reinvite(NEW_SDP)
    offer = o.wire.backup.requests("INVITE")[-1]
    assert offer.body == NEW_SDP.content
    second.respond(200, THIRD_SDP, request=offer)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    (call,) = o.wire.switch.calls.values()
    row = call.row()
    assert (row.source, row.target, row.trunk_in, row.trunk_out) == ("trunk:2", "trunk:3", 2, 3)
    assert o.wire.switch.counters.total == 2
    second.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.wire.settle()
    first, last = o.wire.world.recorder.ended
    assert (first.end_cause, last.end_cause, last.ended_by) == ("transferred", "normal", "caller")
    assert first.trail[-1] == "end: transferred to 5552 by the called side"


@pytest.mark.parametrize("alone", [False, True], ids=["it waits", "it has hung up"])
def test_a_party_that_refuses_leaves_both_calls_as_they_were(alone: bool) -> None:
    o = Office()
    up, down = consult(o)
    o.refer(replaces(up))
    if alone:
        o.down.request("BYE")
        up.request("BYE")
    o.advance()
    o.answer_reinvite(status=603)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 603 Decline"
    assert not [each for each in o.kitchen.requests("INVITE") if each.to.tag is not None]
    if alone:
        end(o.wire.caller)
        end(o.kitchen)
        assert {record.end_cause for record in o.over().values()} == {"normal"}
        return
    assert [call.row().source for call in o.wire.switch.calls.values()] == ["trunk:3", "user:100"]
    assert o.wire.switch.counters.total == 4
    up.request("INVITE", HOLD)
    o.advance()
    down.respond(200, HELD, request=o.kitchen.requests("INVITE")[-1])
    o.advance()
    up.ack(cseq=up.sequence)
    for dialog, other in ((up, o.kitchen), (o.down, o.wire.caller)):
        dialog.request("BYE")
        o.advance()
        end(other)
    assert {record.end_cause for record in o.over().values()} == {"normal"}


def test_a_target_that_refuses_the_party_ends_the_call() -> None:
    """The transferor is free by then: nobody is there who could hear either of them."""
    o = Office()
    up, down = consult(o)
    o.refer(replaces(up))
    o.advance()
    o.answer_reinvite()
    down.respond(488, request=o.kitchen.requests("INVITE")[-1])
    o.advance()
    for _ in range(2):
        o.statuses(o.desk)
        for phone in (o.desk, o.kitchen, o.wire.caller):
            end(phone)
    records = o.over()
    assert "refused the session description of the one that was transferred: 488" in records["101"].trail[-1]


@pytest.mark.parametrize("who", ["party", "target", "transferor here", "transferor there", "transferor at once"])
def test_somebody_hangs_up_during_an_attended_transfer(who: str) -> None:
    o = Office()
    up, down = consult(o)
    o.refer(replaces(up))
    if who == "transferor at once":
        o.down.request("BYE")
        up.request("BYE")
    o.advance()
    side = {"party": o.up, "target": down, "transferor here": o.down, "transferor there": up}.get(who)
    if side is not None:
        side.request("BYE")
        o.advance()
    if who == "party":
        o.up.respond(487, request=o.wire.caller.requests("INVITE")[-1])
        o.advance()
        assert o.statuses(o.desk)[-1] == "SIP/2.0 487 Request Terminated"
        # The target is with the transferor again.
        (call,) = o.wire.switch.calls.values()
        assert call.row().source == "user:100"
        up.request("BYE")
    elif who == "target":
        o.answer_reinvite()
        assert o.statuses(o.desk)[-1].startswith("SIP/2.0 480")
        (call,) = o.wire.switch.calls.values()
        assert call.row().source == "trunk:3"
        # The party has been told of a target that is gone: it is told of the transferor again.
        o.answer_reinvite()
        assert o.wire.caller.requests("INVITE")[-1].body == HOLD.content
        o.down.request("BYE")
    else:
        o.answer_reinvite()
        again = o.kitchen.requests("INVITE")[-1]
        down.respond(200, THIRD_SDP, request=again)
        o.advance()
        assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
        o.up.request("BYE")
    for _ in range(2):
        o.advance()
        for phone in (o.desk, o.kitchen, o.wire.caller):
            end(phone)
    assert len(o.over()) == 2


@pytest.mark.parametrize("which", [0, 1], ids=["the first call", "the second call"])
def test_a_call_is_hung_up_in_the_window_during_an_attended_transfer(which: int) -> None:
    o = Office()
    up, _down = consult(o)
    o.refer(replaces(up))
    o.advance()
    o.wire.switch.hang_up(list(o.wire.switch.calls)[which])
    o.advance()
    o.answer_reinvite()
    o.statuses(o.desk)
    assert len(o.wire.switch.calls) == 1
    for phone in (o.desk, o.kitchen, o.wire.caller):
        end(phone)
    o.answer_reinvite()
    (up if which == 0 else o.down).request("BYE")
    o.advance()
    for phone in (o.desk, o.kitchen, o.wire.caller):
        end(phone)
    assert len(o.over()) == 2


def test_a_transfer_into_a_call_that_still_rings() -> None:
    o = Office()
    up, down = consult(o, answered=False)
    o.refer(replaces(up))
    o.advance()
    assert o.desk.statuses("REFER") == [202]
    assert up.answer.status == 487
    o.desk.send(up.make("ACK", cseq=2))
    down.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite()
    again = o.kitchen.requests("INVITE")[-1]
    assert again.body == NEW_SDP.content
    down.respond(200, THIRD_SDP, request=again)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    assert o.wire.switch.counters.total == 2
    down.request("BYE")
    o.advance()
    end(o.wire.caller)
    records = o.over()
    assert (records["100"].end_cause, records["101"].end_cause) == ("transferred", "normal")


def test_a_transfer_into_a_call_that_rings_and_is_refused() -> None:
    o = Office()
    up, down = consult(o, answered=False)
    o.refer(replaces(up))
    o.advance()
    o.desk.send(up.make("ACK", cseq=2))
    down.respond(486)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 486 Busy Here"
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    records = o.over()
    assert (records["100"].end_cause, records["101"].end_cause) == ("normal", "busy")


@pytest.mark.parametrize("which", ["nobody", "another user", "the same", "only early"])
def test_a_replaces_that_is_refused(which: str) -> None:
    o = Office()
    up, down = consult(o)
    refer_to, status = {
        "nobody": (f"<sip:101@{SERVER[0]}?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2>", 481),
        # The target's own dialog with us: it is not the transferor's.
        "another user": (replaces(down), 481),
        "the same": (replaces(o.down), 403),
        "only early": (replaces(up, more=";early-only"), 486),
    }[which]
    o.refer(refer_to)
    o.advance()
    assert o.desk.statuses("REFER") == [status]
    for dialog, other in ((up, o.kitchen), (o.down, o.wire.caller)):
        dialog.request("BYE")
        o.advance()
        end(other)
    o.over()


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refer_to", "status", "words"),
    [
        ("<sip:101@192.0.2.66>", 403, "192.0.2.66 is another server"),
        ("<sip:101@other.example>", 403, "other.example is another server"),
        ("<mailto:101@10.0.0.5>", 416, "a mailto address cannot be called"),
        ("<http://10.0.0.5/>", 416, "a http address cannot be called"),
        ("<sip:10.0.0.5>", 484, "names no number"),
        ("<sip:100@10.0.0.5>", 403, "to itself"),
        ("<sip:101@10.0.0.5;method=BYE>", 403, "asks for BYE"),
        ("<sip:101@10.0.0.5;method=%0d%0aEvil>", 403, "asks for something else"),
        (f"<sip:{'1' * 129}@10.0.0.5>", 484, "no such number"),
        ("<sip:101@10.0.0.5>, <sip:102@10.0.0.5>", 400, "one Refer-To"),
        ("<sip:101@10.0.0.5?Replaces=x>", 400, "needs a Call-ID"),
        ("<sip:101@10.0.0.5?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=y>", 400, "several dialogs"),
        ("<sip:", 400, ""),
    ],
)
def test_a_refer_that_is_refused(refer_to: str, status: int, words: str) -> None:
    o = Office()
    o.refer(refer_to)
    o.advance()
    assert o.desk.statuses("REFER") == [status]
    assert not o.desk.requests("NOTIFY")
    assert len(o.wire.switch.calls) == 1
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert any("transfer: refused to user:100" in step and words in step for step in o.over()["100"].trail)


def test_headers_in_a_refer_to_go_nowhere() -> None:
    o = Office()
    o.refer("<sip:101@10.0.0.5?Route=%3Csip%3A192.0.2.66%3E&From=%3Csip%3Aboss%4010.0.0.5%3E&P-Evil=1&body=x>")
    o.advance()
    invite = o.kitchen.incoming().invite
    assert invite.get("Route") is None and invite.get("P-Evil") is None and invite.body == SDP.content
    assert "boss" not in invite.to_bytes().decode()
    o.kitchen.incoming().respond(603)
    o.statuses(o.desk)
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_a_trunk_may_not_transfer() -> None:
    o = Office()
    assert "REFER" not in (o.up.answer.get("Allow") or "")
    o.refer("<sip:101@10.0.0.5>", by=o.up)
    o.advance()
    assert o.wire.caller.statuses("REFER") == [403]
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert any("refused to trunk:3: only local users may transfer calls" in step for step in o.over()["100"].trail)


def test_the_transferors_own_number_of_the_other_side_is_refused() -> None:
    """Two users talk: neither may be called in the call that it is in."""
    w = Wire(document())
    desk, kitchen = w.phone("100", DESK), w.phone("101", KITCHEN)
    up = authorized_call(w, desk, "101", "100")
    down = kitchen.incoming()
    down.respond(200, OTHER_SDP)
    w.advance()
    up.ack()
    for side, number in ((up, "101"), (down, "100")):
        side.request("REFER", headers=[("Refer-To", f"<sip:{number}@10.0.0.5>")])
        w.advance()
        assert side.peer.statuses("REFER") == [403]
    up.request("BYE")
    w.advance()
    end(kitchen)
    w.record()


def test_a_second_refer_while_one_is_under_way_and_one_before_the_answer() -> None:
    o = Office()
    target = transfer_to(o)
    o.refer("<sip:102@10.0.0.5>")
    target.request("REFER", headers=[("Refer-To", "<sip:102@10.0.0.5>")])
    o.advance()
    assert o.desk.statuses("REFER") == [202, 491]
    assert not o.cellar.received
    target.respond(486)
    o.statuses(o.desk)
    # After it has failed the next one is free, and is told apart by its CSeq (RFC 3515 2.4.6).
    again = o.refer("<sip:102@10.0.0.5>")
    o.advance()
    o.statuses(o.desk)
    assert o.desk.requests("NOTIFY")[-1].get("Event") == f"refer;id={again.cseq.number}"
    o.cellar.incoming().respond(486)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 486 Busy Here"
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_a_refer_of_no_call_is_not_offered() -> None:
    o = Office()
    stranger = o.cellar.invite("100", send=False)
    o.cellar.send(
        Request(
            "REFER",
            "sip:100@10.0.0.5",
            [(name, value) for name, value in stranger.invite.headers if name not in ("CSeq", "Content-Type")]
            + [("CSeq", "1 REFER"), ("Refer-To", "<sip:101@10.0.0.5>")],
        )
    )
    o.advance()
    (refusal,) = o.cellar.responses("REFER")
    assert refusal.status == 405
    assert "REFER" not in (refusal.get("Allow") or "")
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_an_invite_with_replaces_is_no_new_call() -> None:
    """RFC 3891 3: to take a call over by INVITE is not offered, and nobody else must be rung instead."""
    w = Wire(document())
    desk, kitchen = w.phone("100", DESK), w.phone("101", KITCHEN)
    up = authorized_call(w, desk, "101", "100", headers=[("Replaces", "abc;to-tag=1;from-tag=2")])
    assert up.answer.status == 481
    assert not kitchen.received
    desk.send(up.make("ACK", cseq=2))
    w.settle()


def test_transfers_do_not_go_round_for_ever() -> None:
    """Every target transfers the party on at once."""
    o = Office()
    phones = {"100": o.desk, "101": o.kitchen, "102": o.cellar}
    at, dialog = "100", o.down
    moves = 0
    while True:
        number = {"100": "101", "101": "102", "102": "100"}[at]
        dialog.request("REFER", headers=[("Refer-To", f"<sip:{number}@10.0.0.5>")])
        o.advance()
        if dialog.peer.statuses("REFER")[-1] != 202:
            break
        target = phones[number].incoming()
        target.respond(200, THIRD_SDP)
        o.advance()
        o.answer_reinvite(SDP)
        o.statuses(phones[at])
        end(phones[at])
        at, dialog = number, target
        moves += 1
    assert (moves, dialog.peer.statuses("REFER")[-1]) == (10, 403)
    dialog.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.wire.settle()
    causes = [record.end_cause for record in o.wire.world.recorder.ended]
    assert causes == ["transferred"] * 10 + ["normal"]


# --- lost messages and the end of everything --------------------------------------------------------------------------


def test_a_transferor_that_has_gone_silent_leaves_nothing() -> None:
    """It answers no NOTIFY and no BYE."""
    o = Office()
    o.refer("<sip:101@10.0.0.5>")
    o.advance()
    target = o.kitchen.incoming()
    target.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite(SDP)
    (call,) = o.wire.switch.calls.values()
    assert call.row().state == "talking"
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_no_subscription_where_none_is_wanted() -> None:
    """RFC 4488."""
    o = Office()
    o.refer("<sip:101@10.0.0.5>", headers=(("Refer-Sub", "false"), ("Require", "norefersub")))
    o.advance()
    (answer,) = o.desk.responses("REFER")
    assert (answer.status, answer.get("Refer-Sub")) == (200, "false")
    target = o.kitchen.incoming()
    target.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite(SDP)
    assert not o.desk.requests("NOTIFY")
    end(o.desk)
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_a_phone_that_wants_no_notify_is_sent_no_more() -> None:
    o = Office()
    o.refer("<sip:101@10.0.0.5>")
    o.advance()
    (notify,) = o.desk.requests("NOTIFY")
    o.desk.ok(notify, 481)
    target = o.kitchen.incoming()
    target.respond(180)
    o.advance()
    target.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite(SDP)
    assert len(o.desk.requests("NOTIFY")) == 1
    end(o.desk)
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


@pytest.mark.parametrize("stage", ["ringing", "joining"])
def test_the_server_stops_during_a_transfer(stage: str) -> None:
    o = Office()
    target = transfer_to(o)
    if stage == "joining":
        target.respond(200, THIRD_SDP)
        o.advance()
    o.wire.switch.close()
    o.advance()
    for phone in (o.desk, o.kitchen, o.wire.caller):
        end(phone)
        for cancel in phone.requests("CANCEL"):
            phone.ok(cancel)
    if stage == "ringing":
        target.respond(487)
    o.advance()
    o.statuses(o.desk)
    o.wire.world.advance(200)
    assert len(o.wire.world.recorder.ended) == 2
    assert not o.wire.switch.calls and o.wire.switch.counters.total == 0
    assert not o.wire.switch.endpoint.dialogs and not o.wire.switch.endpoint.transactions


@pytest.mark.parametrize("which", [0, 1], ids=["the first call", "the second call"])
@pytest.mark.parametrize("stage", ["ringing", "joining"])
def test_a_call_is_hung_up_in_the_window_during_a_transfer(stage: str, which: int) -> None:
    o = Office()
    target = transfer_to(o)
    if stage == "joining":
        target.respond(200, THIRD_SDP)
        o.advance()
    o.wire.switch.hang_up(list(o.wire.switch.calls)[which])
    o.advance()
    for phone in (o.desk, o.kitchen, o.wire.caller):
        end(phone)
        for cancel in phone.requests("CANCEL"):
            phone.ok(cancel)
    if stage == "ringing":
        target.respond(487)
    else:
        o.answer_reinvite(SDP)
    o.advance()
    o.statuses(o.desk)
    if which:
        assert len(o.wire.switch.calls) == 1
        o.down.request("BYE")
        o.advance()
    else:
        assert not o.wire.switch.calls
    end(o.wire.caller)
    assert len(o.over()) == 2


# --- relayed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["party", "target"])
def test_the_audio_of_a_transferred_call_is_relayed(how: str) -> None:
    """By the record of either side: the new call has a relay of its own, and the old one's is given back."""
    made = document()
    if how == "party":
        made["sip_trunks"][2]["relay_media"] = "yes"  # type: ignore[index]
    else:
        made["local_users"][1]["relay_media"] = "yes"  # type: ignore[index]
    wire = RelayedWire(made)
    o = Office(wire=wire, offer=audio("192.0.2.7"), answer=audio(DESK, 5000))
    assert len(wire.control.sessions) == (how == "party")
    o.refer("<sip:101@10.0.0.5>")
    o.advance()
    target = o.kitchen.incoming()
    assert b"c=IN IP4 10.0.0.5" in target.invite.body
    target.respond(200, audio(KITCHEN, 6000))
    o.advance()
    offer = o.answer_reinvite(audio("192.0.2.7", 4002))
    assert b"c=IN IP4 10.0.0.5" in offer.body
    for again in [each for each in o.kitchen.requests("INVITE") if each.to.tag is not None]:
        target.respond(200, audio(KITCHEN, 6000), request=again)
    o.advance()
    o.statuses(o.desk)
    end(o.desk)
    assert len(wire.control.sessions) == 1
    (session,) = wire.control.sessions.values()
    assert session.media is not None and session.media.active
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    records = o.over()
    assert len(records["101"].media) == 2


@pytest.mark.parametrize("relaying", ["party", "target", "both", "nobody"])
@pytest.mark.parametrize("refused", [False, True], ids=["joined", "refused"])
def test_the_audio_after_an_attended_transfer(relaying: str, refused: bool) -> None:
    """By the records of the two that talk in the end; where the party refuses, all is as it was before."""
    made = document()
    if relaying in ("party", "both"):
        made["sip_trunks"][2]["relay_media"] = "yes"  # type: ignore[index]
    if relaying in ("target", "both"):
        made["local_users"][1]["relay_media"] = "yes"  # type: ignore[index]
    wire = RelayedWire(made)
    o = Office(wire=wire, offer=audio("192.0.2.7"), answer=audio(DESK, 5000))
    up, down = consult(o, body=audio(KITCHEN, 6000))
    before = {number: session.media for number, session in wire.control.sessions.items()}
    assert len(before) == {"both": 2, "nobody": 0}.get(relaying, 1)
    if refused:
        o.refer(replaces(up))
        o.advance()
        o.answer_reinvite(status=603)
        assert o.statuses(o.desk)[-1] == "SIP/2.0 603 Decline"
        after = {number: session.media for number, session in wire.control.sessions.items()}
        assert after.keys() == before.keys()
        assert [media.codec for media in after.values() if media] == [media.codec for media in before.values() if media]
        for dialog, other in ((up, o.kitchen), (o.down, o.wire.caller)):
            dialog.request("BYE")
            o.advance()
            end(other)
        o.over()
        return
    again = join(o, up, down, party=audio("192.0.2.7", 4002), target=audio(KITCHEN, 6000))
    offer = wire.caller.requests("INVITE")[-1]
    through_us = relaying != "nobody"
    assert (b"c=IN IP4 10.0.0.5" in again.body) is (b"c=IN IP4 10.0.0.5" in offer.body) is through_us
    assert len(wire.control.sessions) == through_us
    for session in wire.control.sessions.values():
        assert session.media is not None and session.media.active
    down.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert len(o.over()["101"].media) == 2 * through_us


def test_there_are_no_ports_for_the_two_that_are_to_be_joined() -> None:
    """The second call was not relayed, and would have to be: both calls stay as they are."""
    made = document()
    made["sip_trunks"][2]["relay_media"] = "yes"  # type: ignore[index]
    o = Office(wire=RelayedWire(made, 20_000, 20_003), offer=audio("192.0.2.7"), answer=audio(DESK, 5000))
    up, _down = consult(o, body=audio(KITCHEN, 6000))
    o.refer(replaces(up))
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 503 Service Unavailable"
    assert len([each for each in o.wire.caller.requests("INVITE") if each.to.tag is not None]) == 1
    for dialog, other in ((up, o.kitchen), (o.down, o.wire.caller)):
        dialog.request("BYE")
        o.advance()
        end(other)
    records = o.over()
    assert any("audio cannot be relayed" in step for step in records["101"].trail)


@pytest.mark.parametrize("relaying", [False, True], ids=["direct", "relayed"])
@pytest.mark.parametrize("taken", [True, False])
def test_a_party_that_has_none_of_the_codecs_of_the_consultation(relaying: bool, taken: bool) -> None:
    """The target has answered with the one codec of the office, which no carrier knows: it is asked for all it has."""
    made = document()
    if relaying:
        made["local_users"][1]["relay_media"] = "yes"  # type: ignore[index]
    o = Office(wire=RelayedWire(made), offer=audio("192.0.2.7"), answer=audio(DESK, 5000))
    up, down = consult(o, body=audio(KITCHEN, 6000, "9 8") if relaying else audio(KITCHEN, 6000, "9"))
    o.refer(replaces(up))
    o.advance()
    o.answer_reinvite(status=488)
    asked = o.kitchen.requests("INVITE")[-1]
    assert asked.to.tag is not None and not asked.body
    down.respond(200, audio(KITCHEN, 6000, "9 8 0"), request=asked)
    o.advance()
    if taken:
        offer = o.answer_reinvite(audio("192.0.2.7", 4002))
        assert b"RTP/AVP 9 8 0" in offer.body
        ack = o.kitchen.requests("ACK")[-1]
        assert b"m=audio" in ack.body and ((b"c=IN IP4 10.0.0.5" in ack.body) is relaying)
        assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
        end(o.desk)
        down.request("BYE")
        o.advance()
        end(o.wire.caller)
    else:
        o.answer_reinvite(status=488)
        assert o.statuses(o.desk)[-1] == "SIP/2.0 488 Not Acceptable Here"
        # The target has offered anew, and is answered with what the transferor has said.
        assert b"m=audio" in o.kitchen.requests("ACK")[-1].body
        for dialog, other in ((up, o.kitchen), (o.down, o.wire.caller)):
            dialog.request("BYE")
            o.advance()
            end(other)
    o.over()


@pytest.mark.parametrize("late", [False, True], ids=["offer", "late offer"])
def test_the_audio_after_a_transfer_into_a_call_that_rings(late: bool) -> None:
    made = document()
    made["local_users"][1]["relay_media"] = "yes"  # type: ignore[index]
    o = Office(wire=RelayedWire(made), offer=audio("192.0.2.7"), answer=audio(DESK, 5000))
    o.hold()
    up = authorized_call(o.wire, o.desk, "101", "100", body=None if late else audio(DESK, 5002))
    down = o.kitchen.incoming()
    assert bool(down.invite.body) is not late
    down.respond(180)
    o.advance()
    o.refer(replaces(up))
    o.advance()
    o.desk.send(up.make("ACK", cseq=2))
    down.respond(200, audio(KITCHEN, 6000))
    o.advance()
    offer = o.answer_reinvite(audio("192.0.2.7", 4002))
    assert b"c=IN IP4 10.0.0.5" in offer.body
    if late:
        assert b"c=IN IP4 10.0.0.5" in o.kitchen.requests("ACK")[-1].body
    for again in unrepeated([each for each in o.kitchen.requests("INVITE") if each.to.tag is not None]):
        down.respond(200, audio(KITCHEN, 6000), request=again)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    (session,) = o.wire.control.sessions.values()  # type: ignore[attr-defined]
    assert session.media is not None and session.media.active
    down.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


@pytest.mark.parametrize("why", ["unusable", "busy"])
def test_an_offer_of_the_party_that_cannot_pass_leaves_ours_as_it_was(why: str) -> None:
    """The party refuses our offer for its own, which goes nowhere: ours is made again, and the relay knows it still."""
    made = document()
    made["sip_trunks"][2]["relay_media"] = "yes"  # type: ignore[index]
    wire = RelayedWire(made)
    o = Office(wire=wire, offer=audio("192.0.2.7"), answer=audio(DESK, 5000))
    target = transfer_to(o, hold=False)
    target.respond(200, audio(KITCHEN, 6000))
    o.advance()
    o.answer_reinvite(status=491)
    if why == "busy":
        target.request("INVITE", audio(KITCHEN, 6002))
    own = Body("application/sdp", b"v=0\r\no=- 7 7 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\nm=image 9 udptl t38\r\n")
    o.up.request("INVITE", own if why == "unusable" else audio("192.0.2.7", 4004))
    o.advance()
    o.up.ack_failure()
    o.advance(3)
    offer = o.answer_reinvite(audio("192.0.2.7", 4002))
    assert b"c=IN IP4 10.0.0.5" in offer.body
    for again in [each for each in o.kitchen.requests("INVITE") if each.to.tag is not None]:
        target.respond(200, audio(KITCHEN, 6000), request=again)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    (session,) = wire.control.sessions.values()
    assert session.media is not None and session.media.active
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_a_party_that_refuses_for_its_own_offers_for_ever_is_given_up() -> None:
    """Each of its offers is refused by the target, and ours by it."""
    o = Office()
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    o.advance()
    for _ in range(60):
        if "SIP/2.0 488 Not Acceptable Here" in o.statuses(o.desk):
            break
        o.answer_reinvite(status=491)
        o.up.request("INVITE", NEW_SDP)
        o.advance()
        for passed in [each for each in o.kitchen.requests("INVITE") if each.to.tag is not None]:
            target.respond(488, request=passed)
        o.advance()
        o.up.ack_failure()
        o.advance(2.2)
    else:
        pytest.fail("it goes on for ever")
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    end(o.kitchen)
    o.over()
