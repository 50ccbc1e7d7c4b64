"""An office whose phones transfer calls: what the tests of REFER and Replaces have in common (RFC 3515, RFC 5589)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from simulation.raw import OTHER_SDP, SERVER, RawDialog, RawPeer, Wire
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
