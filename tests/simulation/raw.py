"""A peer that speaks SIP message by message, for flows that no well-behaved phone would make."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from simulation.world import SDP, Peer, Weather, World

from app.calls.leg_events import Body
from app.calls.switch import Switch
from app.events import CallRecord
from app.sip.endpoint import new_branch, new_call_id, new_tag
from app.sip.flow import Flow
from app.sip.message import Request, Response, parse

SERVER = ("10.0.0.5", 5060)
OTHER_SDP = Body(
    "application/sdp", SDP.content.replace(b"o=- 1 1", b"o=- 2 2").replace(b"m=audio 4000", b"m=audio 5000")
)
DELAY = 0.01


def calm_world() -> World:
    """A world whose network takes 10 ms for each packet and does nothing else."""
    return World(weather=Weather(delay=DELAY, jitter=0.0))


class RawPeer:
    """Sends exactly what a test says, and keeps everything that comes."""

    def __init__(self, world: World, host: str, port: int = 5060) -> None:
        self.world = world
        self.host = host
        self.port = port
        self.received: list[Request | Response] = []
        self.on_message: Callable[[Request | Response], None] | None = None
        world.receivers[host, port] = self._receive

    def _receive(self, data: bytes, source: Flow) -> None:
        message = parse(data)
        self.received.append(message)
        if self.on_message is not None:
            self.on_message(message)

    def send(self, message: Request | Response) -> None:
        """Put a message on the network."""
        self.world.send(Flow("udp", self.host, self.port, *SERVER), message.to_bytes())

    def requests(self, method: str) -> list[Request]:
        """Every request of that method that came, repetitions included."""
        return [each for each in self.received if isinstance(each, Request) and each.method == method]

    def responses(self, method: str = "INVITE", above: int = 100) -> list[Response]:
        """Every response to that method with a status above `above`, repetitions included."""
        return [
            each
            for each in self.received
            if isinstance(each, Response) and each.cseq.method == method and each.status > above
        ]

    def statuses(self, method: str = "INVITE", above: int = 100) -> list[int]:
        """The statuses of `responses`."""
        return [each.status for each in self.responses(method, above)]

    def ok(self, request: Request, status: int = 200) -> None:
        """Answer a request inside a dialog, without body or Contact."""
        self.send(request.answer(status))

    def invite(
        self,
        number: str,
        *,
        body: Body | None = SDP,
        headers: Iterable[tuple[str, str]] = (),
        caller: str = "5551",
        from_host: str = "",
        contact: bool = True,
        like: RawDialog | None = None,
        send: bool = True,
    ) -> RawDialog:
        """Send an INVITE, or only make it; `like` gives Call-ID, From tag and CSeq of another one."""
        tag = like.local_tag if like is not None else new_tag()
        request = Request(
            "INVITE",
            f"sip:{number}@{SERVER[0]}:{SERVER[1]}",
            [
                ("Via", self.via()),
                ("Max-Forwards", "70"),
                ("From", f"<sip:{caller}@{from_host or self.host}>;tag={tag}"),
                ("To", f"<sip:{number}@{SERVER[0]}>"),
                ("Call-ID", like.call_id if like is not None else new_call_id()),
                ("CSeq", "1 INVITE"),
                *([("Contact", f"<sip:{caller}@{self.host}:{self.port}>")] if contact else []),
                *headers,
                *([("Content-Type", body.content_type)] if body else []),
            ],
            body.content if body else b"",
        )
        if send:
            self.send(request)
        return RawDialog(self, request, caller=True)

    def via(self) -> str:
        """A Via of this peer with a new branch."""
        return f"SIP/2.0/UDP {self.host}:{self.port};branch={new_branch()}"

    def incoming(self, index: int = -1) -> RawDialog:
        """The dialog of an INVITE that came from outside of any; the newest if no index is given."""
        fresh = {each.via.branch: each for each in self.requests("INVITE") if each.to.tag is None}
        return RawDialog(self, list(fresh.values())[index], caller=False)


class RawDialog:
    """One end of a dialog, by hand."""

    def __init__(self, peer: RawPeer, invite: Request, *, caller: bool) -> None:
        self.peer = peer
        self.invite = invite
        self.caller = caller
        self.call_id = invite.call_id
        self.local_tag = (invite.from_.tag or "") if caller else new_tag()
        self.sequence = invite.cseq.number

    @property
    def answer(self) -> Response:
        """The newest response to our INVITE."""
        return [each for each in self.peer.responses() if each.call_id == self.call_id][-1]

    def respond(
        self,
        status: int,
        body: Body | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        tag: str = "",
        request: Request | None = None,
        user: str = "callee",
    ) -> None:
        """Answer the INVITE that came, or another request of its dialog."""
        more = [*headers, ("Contact", f"<sip:{user}@{self.peer.host}:{self.peer.port}>")] if status > 100 else []
        if body is not None:
            more.append(("Content-Type", body.content_type))
        asked = request if request is not None else self.invite
        own = (tag or self.local_tag) if status > 100 and asked.to.tag is None else None
        self.peer.send(asked.answer(status, None, own, more, body.content if body else b""))

    def make(
        self, method: str, body: Body | None = None, *, headers: Iterable[tuple[str, str]] = (), cseq: int = 0
    ) -> Request:
        """A request inside the dialog, not sent yet."""
        if method not in ("ACK", "CANCEL") and not cseq:
            self.sequence += 1
        number = cseq or self.sequence
        if self.caller:
            contact = next((each for each in self.answer.contacts if each.uri is not None), None)
            target = str(contact.uri) if contact is not None else self.invite.uri_text
            from_, to = self.invite.get("From") or "", self.answer.get("To") or ""
        else:
            target = str(self.invite.contacts[0].uri)
            from_, to = f"{self.invite.get('To')};tag={self.local_tag}", self.invite.get("From") or ""
        lines = [
            ("Via", self.peer.via()),
            ("Max-Forwards", "70"),
            ("From", from_),
            ("To", to),
            ("Call-ID", self.call_id),
            ("CSeq", f"{number} {method}"),
            *headers,
        ]
        if method in ("INVITE", "UPDATE"):
            lines.append(("Contact", f"<sip:raw@{self.peer.host}:{self.peer.port}>"))
        if body is not None:
            lines.append(("Content-Type", body.content_type))
        return Request(method, target, lines, body.content if body else b"")

    def request(
        self, method: str, body: Body | None = None, *, headers: Iterable[tuple[str, str]] = (), cseq: int = 0
    ) -> Request:
        """Send a request inside the dialog."""
        made = self.make(method, body, headers=headers, cseq=cseq)
        self.peer.send(made)
        return made

    def ack(self, body: Body | None = None, *, cseq: int = 0) -> None:
        """Acknowledge the 2xx of the INVITE with this number; of the first one if none is given."""
        self.request("ACK", body, cseq=cseq or self.invite.cseq.number)

    def ack_failure(self) -> None:
        """Acknowledge the failure of the INVITE, as its transaction does (RFC 3261 17.1.1.3)."""
        self._in_transaction("ACK", self.answer.get("To") or "")

    def cancel(self, invite: Request | None = None) -> None:
        """Cancel the INVITE, or a re-INVITE."""
        self._in_transaction("CANCEL", (invite or self.invite).get("To") or "", invite)

    def _in_transaction(self, method: str, to: str, invite: Request | None = None) -> None:
        asked = invite or self.invite
        lines = [
            ("Via", asked.get("Via") or ""),
            ("Max-Forwards", "70"),
            ("From", asked.get("From") or ""),
            ("To", to),
            ("Call-ID", self.call_id),
            ("CSeq", f"{asked.cseq.number} {method}"),
        ]
        self.peer.send(Request(method, asked.uri_text, lines))


class Wire:
    """A caller's trunk, carrier A behind prefix 13, and the switch between them, all by hand."""

    def __init__(self, document: dict[str, object]) -> None:
        self.world = calm_world()
        self.switch: Switch = self.world.switch(document)
        self.caller = RawPeer(self.world, "192.0.2.7")
        self.carrier = RawPeer(self.world, "192.0.2.8")
        self.backup = RawPeer(self.world, "192.0.2.9")
        self._deadlines = len(self.world.deadlines)

    def phone(self, number: str, host: str, port: int = 5060) -> RawPeer:
        """A phone of a local user, registered from there; its password is `secret` and the number."""
        registration = Peer(self.world, host, port).register(number, f"secret{number}", expires=3600)
        self.advance(0.1)
        assert registration.statuses == [401, 200]
        self.world.advance(60)
        self._deadlines = len(self.world.deadlines)
        return RawPeer(self.world, host, port)

    def advance(self, seconds: float = 3 * DELAY) -> None:
        """Let time pass; without a number enough for a message to get from one end to the other."""
        self.world.advance(seconds)

    def call(self, **options: object) -> tuple[RawDialog, RawDialog]:
        """An INVITE from the caller that has reached the carrier: (the caller's end, the carrier's end)."""
        up = self.caller.invite("135550", **options)  # type: ignore[arg-type]
        self.advance()
        return up, self.carrier.incoming()

    def talk(self, **options: object) -> tuple[RawDialog, RawDialog]:
        """A call that has been answered and acknowledged."""
        up, down = self.call(**options)
        down.respond(200, OTHER_SDP)
        self.advance()
        up.ack()
        self.advance()
        assert self.caller.statuses() == [200]
        assert len(self.carrier.requests("ACK")) == 1
        return up, down

    def settle(self, seconds: float = 200.0) -> None:
        """Let everything end, and see that nothing is left: no call, count, transaction, timer, dialog or deadline."""
        self.world.advance(seconds)
        switch = self.switch
        assert not switch.calls
        assert switch.counters.total == 0
        assert switch.endpoint.transactions == 0
        assert switch.endpoint.timers == 0
        assert not switch.endpoint.dialogs
        assert not switch.endpoint._users
        assert not switch.endpoint._flows
        assert not switch._cancellable
        assert len(self.world.deadlines) == self._deadlines

    def record(self, seconds: float = 200.0) -> CallRecord:
        """The one record of the one call, once everything has ended."""
        self.settle(seconds)
        (record,) = self.world.recorder.ended
        return record


def hang_up(wire: Wire, side: RawDialog) -> None:
    """End a running call from one side, the other one answers."""
    side.request("BYE")
    wire.advance()
    other = wire.carrier if side.caller else wire.caller
    other.ok(other.requests("BYE")[-1])
    wire.advance()
    assert side.peer.statuses("BYE")[-1] == 200
