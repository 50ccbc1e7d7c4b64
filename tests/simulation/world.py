"""A world in memory: one clock, one network that loses, doubles and reorders, the real switch, and simulated peers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from app.calls.called_leg import CalledLeg
from app.calls.caller_leg import CallerLeg
from app.calls.challenges import answer_challenge
from app.calls.destinations import Lookup
from app.calls.leg import Leg
from app.calls.leg_events import (
    Answered,
    Body,
    Cancelled,
    Failed,
    HungUp,
    InfoAnswered,
    Informed,
    LegEvent,
    OfferAnswered,
    Offered,
    OfferRefused,
    Ringing,
)
from app.calls.switch import Switch
from app.clock import Clock, DeadlineHeap
from app.events import CallRecord, EventBus
from app.records import Configuration
from app.records.document import read_document
from app.sip.endpoint import Endpoint, new_call_id, new_tag
from app.sip.flow import Flow
from app.sip.message import Request, Response
from app.sip.transaction import Key

START_OF_TIME = 1_000_000.0
SDP = Body(
    "application/sdp",
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n",
)
HOLD = Body("application/sdp", SDP.content + b"a=sendonly\r\n")


@dataclass
class Weather:
    """What the network does to a packet, each with its own chance."""

    loss: float = 0.0
    duplicates: float = 0.0
    reordering: float = 0.0
    delay: float = 0.01
    jitter: float = 0.005


@dataclass
class Recorder:
    """Keeps what the switch says of its calls."""

    started: list[CallRecord] = field(default_factory=list)
    ended: list[CallRecord] = field(default_factory=list)

    def call_started(self, record: CallRecord) -> None:
        self.started.append(record)

    def call_ended(self, record: CallRecord) -> None:
        self.ended.append(record)


class World:
    """Advances time from deadline to deadline; nothing sleeps and everything follows from the seed."""

    def __init__(self, seed: int = 1, weather: Weather | None = None) -> None:
        self.random = random.Random(seed)
        self.weather = weather or Weather()
        self.now = START_OF_TIME
        self.deadlines = DeadlineHeap()
        self.clock = Clock(lambda: self.now, lambda: self.now)
        self.receivers: dict[tuple[str, int], Callable[[bytes, Flow], None]] = {}
        self.recorder = Recorder()
        self.events = EventBus()
        self.packets = 0
        self.dead: set[str] = set()
        """Hosts that neither hear nor say anything any more."""
        self.log: list[tuple[float, Flow, bytes]] = []
        self.keep_log = False
        self.ways: dict[tuple[str, int], DatagramWays] = {}
        self.lookup: Lookup | None = None
        """What switches that are made from now on ask for the addresses of names."""
        """The transports of each switch, by its address."""

    def send(self, flow: Flow, data: bytes) -> None:
        """Carry a packet to its receiver, as the weather allows."""
        self.packets += 1
        if flow.local_host in self.dead:
            return
        if self.keep_log:
            self.log.append((self.now, flow, data))
        weather, chance = self.weather, self.random.random
        copies = 1 + (chance() < weather.duplicates)
        for _ in range(copies):
            if chance() < weather.loss:
                continue
            delay = weather.delay + chance() * weather.jitter
            if chance() < weather.reordering:
                delay += chance() * 0.3
            self.deadlines.schedule(self.now + delay, lambda _now, sent=flow, bytes_=data: self._arrive(sent, bytes_))

    def _arrive(self, flow: Flow, data: bytes) -> None:
        receiver = self.receivers.get((flow.remote_host, flow.remote_port))
        if receiver is not None and flow.remote_host not in self.dead:
            back = Flow("udp", flow.remote_host, flow.remote_port, flow.local_host, flow.local_port)
            receiver(data, back)

    def advance(self, seconds: float) -> None:
        """Let so much time pass."""
        until = self.now + seconds
        while True:
            at = self.deadlines.next_deadline()
            if at is None or at > until:
                break
            self.now = max(self.now, at)
            self.deadlines.expire(self.now)
        self.now = until

    def at(self, delay: float, action: Callable[[], None]) -> None:
        """Do something after so many seconds."""
        self.deadlines.schedule(self.now + delay, lambda _now: action())

    def switch(self, document: dict[str, object], host: str = "10.0.0.5", port: int = 5060) -> Switch:
        """A real switch at an address, with a configuration document."""
        configuration = read_document(document, Configuration(), replace=True)
        switch = Switch(
            configuration,
            clock=self.clock,
            deadlines=self.deadlines,
            send=self.send,
            ways=self.ways.setdefault((host, port), DatagramWays(host, port)),
            local_address_towards=lambda _host: host,
            lookup=self.lookup,
            events=self.events,
            recorder=self.recorder,
            node="simulation",
            draw=self.random.random,
        )

        def receive(data: bytes, flow: Flow) -> None:
            if switch.admit(flow.remote_host, flow.remote_port, self.now):
                switch.receive(data, flow)

        self.receivers[host, port] = receive
        return switch


class DatagramWays:
    """The transports of a switch in a world without connections (Ways)."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self.kept_alive: dict[Flow, float] = {}

    def flow_to(
        self, transport: str, host: str, port: int, tls_verify: bool = True, server_name: str | None = None
    ) -> Flow | None:
        return Flow("udp", self._host, self._port, host, port) if transport == "udp" else None

    def is_open(self, flow: Flow) -> bool:
        return True

    def flow_again(self, flow: Flow, port: int) -> Flow | None:
        return None

    def know(self, flow: Flow) -> None:
        """There is room for every connection here."""

    def add_alias(self, flow: Flow, port: int) -> None:
        """A connection, where there are any, is used for every port of its host."""

    def keep_alive(self, flow: Flow, interval: float | None) -> None:
        if interval is None:
            self.kept_alive.pop(flow, None)
        else:
            self.kept_alive[flow] = interval


@dataclass
class Plan:
    """What a simulated peer does with a call."""

    status: int = 200
    """The final answer; 0 is silence."""
    ring_after: float | None = 0.1
    early_media: bool = False
    answer_after: float = 1.0
    hang_up_after: float | None = None
    """Seconds after the answer at which this side hangs up."""
    hold_after: float | None = None
    """Seconds after the answer at which this side puts the call on hold."""
    hold_by: str = "INVITE"
    """The method of that, UPDATE or INVITE."""
    resume_after: float | None = None
    """Seconds after the answer at which this side offers its first description again."""
    ask_after: float | None = None
    """Seconds after the answer at which this side asks for an offer, by a re-INVITE without one."""
    offer_early_after: float | None = None
    """Seconds after the INVITE at which this side makes another offer, if the call rings and both may do that."""
    other_request: str = ""
    """The method of a request that this side sends one second after the answer."""
    transfer_after: float | None = None
    """Seconds after the answer at which this side transfers the other one."""
    transfer_to: str = ""
    """To which number; blank: to the other side of another conversation of this peer, or of the same one."""
    leaves_at_once: bool = False
    """Whether this side hangs up with its REFER, as phones do."""
    refuses: float = 0.0
    """How likely this side refuses an offer inside the call."""
    contact: str = ""
    """The Contact of a redirection."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers of a refusal."""
    digit_after: float | None = None
    cancel_after: float | None = None
    """For a caller: seconds after the INVITE at which it gives up."""


class Peer:
    """A phone, a gateway or a carrier: places and takes calls by plan."""

    def __init__(self, world: World, host: str, port: int = 5060) -> None:
        self.world = world
        self.host = host
        self.port = port
        self.plan: Callable[[Request], Plan] = lambda _request: Plan()
        self.endpoint = Endpoint(
            world.deadlines, world.clock.monotonic, world.send, lambda flow: f"{flow.local_host}:{flow.local_port}"
        )
        self.endpoint.core = self
        self.endpoint.supported_options = frozenset({"100rel", "timer"})
        self.session_expires = 0
        self.received: list[Request] = []
        self.conversations: list[Conversation] = []
        self._incoming: dict[Key, CallerLeg] = {}
        world.receivers[host, port] = self.endpoint.receive

    def flow_to(self, host: str, port: int = 5060) -> Flow:
        return Flow("udp", self.host, self.port, host, port)

    def call(
        self,
        called_number: str,
        plan: Plan,
        server: tuple[str, int] = ("10.0.0.5", 5060),
        caller_number: str = "5551",
        password: tuple[str, str] | None = None,
        body: Body | None = SDP,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Conversation:
        """Place a call through the server."""
        flow = self.flow_to(*server)
        tag = new_tag()
        from_host = server[0] if password else self.host
        request = Request(
            "INVITE",
            f"sip:{called_number}@{server[0]}:{server[1]}",
            [
                ("Max-Forwards", "70"),
                ("From", f"<sip:{caller_number}@{from_host}>;tag={tag}"),
                ("To", f"<sip:{called_number}@{server[0]}>"),
                ("Call-ID", new_call_id()),
                ("CSeq", "1 INVITE"),
                ("Contact", f"<sip:{caller_number}@{self.host}:{self.port}>"),
                *headers,
                *([("Content-Type", body.content_type)] if body else []),
            ],
            body.content if body else b"",
        )
        authorize = None
        if password is not None:

            def authorize(invite: Request, response: Response) -> tuple[str, str] | None:
                return answer_challenge(invite, response, *password)

        conversation = Conversation(self, plan, caller=True)
        leg = CalledLeg(
            self.endpoint, conversation, flow, request, f"<sip:{caller_number}@{self.host}:{self.port}>", tag, authorize
        )
        conversation.leg = leg
        self.conversations.append(conversation)
        leg.invite(32.0)
        if plan.cancel_after is not None:
            self.world.at(plan.cancel_after, conversation.give_up)
        if plan.offer_early_after is not None:
            self.world.at(plan.offer_early_after, conversation.offer_early)
        return conversation

    def register(self, number: str, password: str, expires: int = 3600, server: str = "10.0.0.5") -> Registration:
        """Register as a local user's phone."""
        registration = Registration(self, number, password, expires, server)
        registration.begin()
        return registration

    # --- Core ---------------------------------------------------------------------------------------------------------

    def on_request(self, key: Key, request: Request, source: Flow) -> None:
        self.received.append(request)
        if request.method == "OPTIONS":
            self.endpoint.respond(key, request.answer(200, None, new_tag()))
            return
        if request.method != "INVITE":
            self.endpoint.respond(key, request.answer(405, None, new_tag()))
            return
        plan = self.plan(request)
        if plan.status == 0:
            self.endpoint.forget(key)
            return
        conversation = Conversation(self, plan, caller=False)
        leg = CallerLeg(self.endpoint, conversation, key, request, source)
        conversation.leg = leg
        leg.session_expires = self.session_expires
        self._incoming[key] = leg
        self.conversations.append(conversation)
        if plan.ring_after is not None:
            self.world.at(plan.ring_after, conversation.ring)
        self.world.at(plan.answer_after, conversation.answer)
        if plan.offer_early_after is not None:
            self.world.at(plan.offer_early_after, conversation.offer_early)

    def on_cancel(self, key: Key, request: Request) -> None:
        leg = self._incoming.get(key)
        if leg is not None:
            leg.on_cancel(key, request)

    def tag_of(self, key: Key) -> str | None:
        leg = self._incoming.get(key)
        return leg.local_tag if leg is not None else None

    def on_ack_missing(self, key: Key) -> None:
        pass

    def on_refused(self, request: Request | None, source: Flow, status: int, reason: str) -> None:
        pass


class Conversation:
    """One call at a peer, following its plan (LegOwner)."""

    def __init__(self, peer: Peer, plan: Plan, *, caller: bool) -> None:
        self.peer = peer
        self.plan = plan
        self.caller = caller
        self.leg: Leg | None = None
        self.answered = False
        self.over = False
        self.status = 0
        self.events: list[LegEvent] = []
        self.early_media: Body | None = None
        self.body: Body | None = None

    def ring(self) -> None:
        if isinstance(self.leg, CallerLeg) and not self.over and self.plan.status:
            early = self.plan.early_media
            self.leg.ring(183 if early else 180, "", SDP if early else None)

    def answer(self) -> None:
        if not isinstance(self.leg, CallerLeg) or self.over:
            return
        if self.plan.status >= 300:
            self.over = True
            contact = (("Contact", self.plan.contact),) if self.plan.contact else ()
            self.leg.refuse(self.plan.status, headers=(*contact, *self.plan.headers))
            return
        if self.plan.status != 200:
            return
        # An INVITE without an offer gets it here (RFC 3261 13.2.1); the ACK brings the answer.
        self.leg.answer(SDP)
        self._talk()

    def _talk(self) -> None:
        self.answered = True
        plan, world = self.plan, self.peer.world
        if plan.hold_after is not None:
            world.at(plan.hold_after, self.hold)
        if plan.resume_after is not None:
            world.at(plan.resume_after, lambda: self.offer("INVITE", SDP))
        if plan.ask_after is not None:
            world.at(plan.ask_after, lambda: self.offer("INVITE", None))
        if plan.other_request:
            world.at(1.0, self.request_something)
        if plan.digit_after is not None:
            world.at(plan.digit_after, self.press)
        if plan.transfer_after is not None:
            world.at(plan.transfer_after, self.transfer)
        if plan.hang_up_after is not None:
            world.at(plan.hang_up_after, self.hang_up)

    def hold(self) -> None:
        self.offer(self.plan.hold_by, HOLD)

    def offer(self, method: str, body: Body | None) -> None:
        if not self.over and self.leg is not None:
            self.leg.offer(method, body)

    def offer_early(self) -> None:
        if not self.answered:
            self.offer("UPDATE", HOLD)

    def request_something(self) -> None:
        """A request that this server may not know, or may not like here."""
        leg = self.leg
        if not self.over and leg is not None and leg.dialog is not None:
            headers = [("Refer-To", "<sip:135551@10.0.0.5>"), ("Event", "refer"), ("RAck", "1 1 INVITE")]
            self.peer.endpoint.send_request(leg.dialog.create_request(self.plan.other_request, headers), leg.flow, leg)

    def transfer(self) -> None:
        """Have the server join the other side with somebody else (RFC 3515)."""
        leg = self.leg
        if self.over or leg is None or leg.dialog is None:
            return
        target = f"sip:{self.plan.transfer_to}@10.0.0.5"
        others = [other.leg.dialog for other in self.peer.conversations if other.leg is not None and not other.over]
        named = self.peer.world.random.choice(others) if others else leg.dialog
        if not self.plan.transfer_to and named is not None:
            tags = f"to-tag%3D{named.id.remote_tag}%3Bfrom-tag%3D{named.id.local_tag}"
            target = f"sip:x@10.0.0.5?Replaces={named.id.call_id}%3B{tags}"
        request = leg.dialog.create_request("REFER", [("Refer-To", f"<{target}>")])
        self.peer.endpoint.send_request(request, leg.flow, leg)
        if self.plan.leaves_at_once:
            self.hang_up()

    def press(self) -> None:
        if not self.over and self.leg is not None:
            self.leg.inform(Body("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"), "")

    def hang_up(self) -> None:
        if not self.over and self.leg is not None:
            self.over = True
            self.leg.hang_up()

    def give_up(self) -> None:
        if not self.answered and not self.over and self.leg is not None:
            self.over = True
            self.status = 487
            self.leg.hang_up()

    def handle(self, leg: Leg, event: LegEvent) -> None:
        self.events.append(event)
        match event:
            case Ringing(body=body) if body is not None:
                self.early_media = body
                if event.is_offer:
                    leg.acknowledge(SDP)
            case Answered(body=body):
                self.status = 200
                self.body = body
                if isinstance(leg, CalledLeg) and leg.request.body == b"":
                    leg.acknowledge(SDP)
                self._talk()
            case Failed(status=status):
                self.status = status
                self.over = True
            case Cancelled():
                self.status = 487
                self.over = True
            case Offered() if self.plan.refuses and self.peer.world.random.random() < self.plan.refuses:
                leg.refuse_offer(self.peer.world.random.choice([488, 488, 491, 500, 603]), "")
            case Offered(body=body):
                # Who asks for an offer gets one, and brings the answer with the ACK.
                leg.accept_offer(body or SDP)
            case Informed():
                leg.answer_info(200, "")
            case OfferAnswered():
                leg.acknowledge(SDP)
            case OfferRefused() | InfoAnswered():
                pass
            case HungUp():
                self.over = True
            case _:
                pass


class Registration:
    """One REGISTER of a simulated phone, with its password (ClientUser)."""

    def __init__(self, peer: Peer, number: str, password: str, expires: int, server: str) -> None:
        self.peer = peer
        self.number = number
        self.password = password
        self.expires = expires
        self.server = server
        self.statuses: list[int] = []
        self.last: Response | None = None
        self._call_id = new_call_id()
        self._sequence = 0
        self._request: Request | None = None

    def begin(self, credentials: tuple[str, str] | None = None) -> None:
        self._sequence += 1
        address = f"<sip:{self.number}@{self.server}>"
        headers = [
            ("Max-Forwards", "70"),
            ("From", f"{address};tag={new_tag()}"),
            ("To", address),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._sequence} REGISTER"),
            ("Contact", f"<sip:{self.number}@{self.peer.host}:{self.peer.port}>"),
            ("Expires", str(self.expires)),
        ]
        if credentials:
            headers.append(credentials)
        self._request = Request("REGISTER", f"sip:{self.server}", headers)
        self.peer.endpoint.send_request(self._request, self.peer.flow_to(self.server), self)

    def on_response(self, key: Key, response: Response) -> None:
        if response.status < 200 or self._request is None:
            return
        self.statuses.append(response.status)
        self.last = response
        if response.status == 401 and self.statuses.count(401) < 3:
            credentials = answer_challenge(self._request, response, self.number, self.password)
            if credentials:
                self.begin(credentials)

    def on_no_response(self, key: Key, timed_out: bool) -> None:
        self.statuses.append(408)
