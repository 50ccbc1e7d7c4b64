"""The endpoint: performs the effects of the transactions, finds the dialog of a message, and refuses what is broken."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from app.clock import Deadline, DeadlineHeap
from app.errors import RemoteError
from app.hosts import DEFAULT_PORTS
from app.sip.flow import Flow
from app.sip.message import MessageError, Request, Response, parse
from app.sip.random_text import random_hex
from app.sip.reaching import LARGEST_DATAGRAM, Streams, living_flow, port_of_answer, port_of_next_hop
from app.sip.transaction import (
    AckReceived,
    Arm,
    Deliver,
    Disarm,
    Effect,
    Finished,
    Key,
    MergedRequests,
    NoAckReceived,
    RefuseOverload,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    Role,
    Send,
    State,
    StrayResponse,
    TransactionKey,
    TransactionLayer,
    TransportFailed,
    flow_back,
    reply_flow,
)
from app.sip.transaction_tables import Timer
from app.sip.turned_away import TurnedAway, first_look
from app.sip.uri import MAGIC_COOKIE
from app.sip.validation import ALLOWED_METHODS, check_request, check_response, stateless_tag, stateless_tag_of

_log = logging.getLogger(__name__)

ALLOW = ", ".join(ALLOWED_METHODS)
"""The methods that this server answers (RFC 3261 20.5)."""
OVERLOAD_RETRY_AFTER = 5
"""Seconds after which a peer may try again when there is no room for its request."""

_BEGINNING = frozenset({"INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE", "PUBLISH", "NOTIFY", "REFER"})
"""Requests that may begin something; what is under way is never refused for overload."""
LARGE_PATIENCE = 1.5
"""Seconds in which a request that is too large for a datagram must be heard of by TCP; then UDP has to do."""
MAXIMUM_FAILED_FLOWS = 1000
"""So many flows that failed within the last second are remembered."""

DialogKey = tuple[str, str]
"""Call-ID and our own tag: enough to find a dialog, since our tags are random."""


class ClientUser(Protocol):
    """Who sent a request and wants to know what becomes of it."""

    def on_response(self, key: Key, response: Response) -> None:
        """A response came; provisional ones, and repeated 2xx to INVITE, come as often as they arrive."""

    def on_no_response(self, key: Key, timed_out: bool) -> None:
        """No final response will come: timed out (as a 408), or the transport failed (as a 503)."""


class DialogUser(Protocol):
    """Who owns a dialog."""

    flow: Flow
    """The way to the peer; set when it comes by another connection."""

    def on_request(self, key: Key, request: Request) -> None:
        """A request inside the dialog; it must be answered with `Endpoint.respond(key, ...)`."""

    def on_ack(self, request: Request) -> None:
        """The ACK of a 2xx."""


class Core(Protocol):
    """Who takes what belongs to no dialog."""

    def on_request(self, key: Key, request: Request, source: Flow) -> None:
        """A request outside any dialog, from `source`; it must be answered with `Endpoint.respond(key, ...)`."""

    def on_cancel(self, key: Key, request: Request) -> None:
        """The INVITE with this key is cancelled; the CANCEL itself has been answered."""

    def tag_of(self, key: Key) -> str | None:
        """Our tag in the answers to the INVITE with this key, which its CANCEL is answered with, too; None for none."""

    def on_ack_missing(self, key: Key) -> None:
        """A failure answer was never acknowledged."""

    def on_refused(self, request: Request | None, source: Flow, status: int, reason: str) -> None:
        """Something was refused, or dropped (status 0), before any of the above saw it."""


def new_tag() -> str:
    """A tag of 64 random bits (RFC 3261 19.3 asks for 32)."""
    return random_hex(16)


def new_branch() -> str:
    """A branch of 96 random bits behind the magic cookie (RFC 3261 8.1.1.7)."""
    return MAGIC_COOKIE + random_hex(24)


def new_call_id() -> str:
    """A Call-ID of 128 random bits."""
    return random_hex(32)


def _retry_after(tag: str) -> int:
    """Between 5 and 12 seconds, so that not all who were refused come back at once."""
    return OVERLOAD_RETRY_AFTER + int(tag[0], 16) // 2


def _way_back(request: Request, source: Flow) -> Flow:
    """Where the refusal of a request goes: by its Via (RFC 3261 18.2.2), or back where a broken one came from."""
    try:
        return reply_flow(request, source)
    except RemoteError:
        return source


class Endpoint:
    """Everything between the packets and the calls. Synchronous: every call returns with its work done.

    `send(flow, data)` must neither block nor raise. `sent_by(flow)` gives the `host:port` for our Via.
    """

    def __init__(
        self,
        deadlines: DeadlineHeap,
        monotonic: Callable[[], float],
        send: Callable[[Flow, bytes], None],
        sent_by: Callable[[Flow], str],
        layer: TransactionLayer | None = None,
    ) -> None:
        self.core: Core | None = None
        self.dialogs: dict[DialogKey, DialogUser] = {}
        self.supported_options: frozenset[str] = frozenset()
        self.trace: Callable[[bool, Flow, bytes], None] | None = None
        """Called as `trace(outgoing, flow, data)` for every message, when set."""
        self.refuses: Callable[[str, str], bool] | None = None
        """Whether a new request with this method, from this address, has to be refused for overload; when set."""
        self.lets_in: Callable[[Key | None, Request, Flow, DialogUser], bool] | None = None
        """Whether a request for a dialog may come from another address than its peer was heard at; when set.

        False: it has been answered, but for ACK (whose key is None) and CANCEL, which cannot ask for a password."""
        self.tells: Callable[[Flow], bool] | None = None
        """Whether who sent something that is refused before the core sees it is told so; everybody is when not set."""
        self._refusal_mark = f"{random_hex(4)}-"
        """Begins the To tags of stateless refusals."""
        self._refusal_tag = f";tag={self._refusal_mark}".encode()
        self.failure = ""
        """Why a transport failed, in words for a person: to be read while `on_no_response` is called."""
        self.streams: Streams | None = None
        """Finds other connections; without it every message goes by the flow that it was given."""
        self._deadlines = deadlines
        self._monotonic = monotonic
        self._send = send
        self._sent_by = sent_by
        self._layer = layer if layer is not None else TransactionLayer()
        self._timers: dict[tuple[Key, Timer], float] = {}
        """When each armed timer is due."""
        self._users: dict[Key, ClientUser] = {}
        self._flows: dict[Key, Flow] = {}
        self._failed_until: dict[Flow, float] = {}
        self._merged = MergedRequests()
        self._turned_away = TurnedAway()
        self._large: dict[Key, tuple[Request, Flow, Deadline]] = {}
        """Requests that went by TCP for their size and are not heard of yet, with the UDP flow that they had."""
        self._source: Flow | None = None
        self._deliver_one: dict[type[Any], Callable[[Any], None]] = {
            RequestReceived: self._on_request,
            AckReceived: self._on_ack,
            ResponseReceived: self._on_response,
            StrayResponse: self._on_stray_response,
            RequestTimedOut: self._on_timeout,
            NoAckReceived: self._on_no_ack,
            TransportFailed: self._on_transport_failure,
        }

    @property
    def transactions(self) -> int:
        """How many transactions live."""
        return len(self._layer)

    @property
    def timers(self) -> int:
        """How many transaction timers are armed."""
        return len(self._timers)

    @property
    def source(self) -> Flow | None:
        """Where the request that is being handled came from."""
        return self._source

    # --- from the network --------------------------------------------------------------------------------------------

    def receive(self, data: bytes, source: Flow) -> None:
        """Take one message. Whatever the bytes are, this returns."""
        if data[:4] == b"ACK " and self._refusal_tag in data:
            # The ACK of a stateless refusal asks for nothing, and comes when there is no time to read it.
            return
        if self._turned_away and self._turns_away(data, source):
            return
        if self.trace is not None:
            self.trace(False, source, data)
        try:
            message = parse(data)
        except MessageError as error:
            self._refused(None, source, 0, str(error))
            return
        try:
            if type(message) is Request:
                self._receive_request(message, source)
            else:
                self._receive_response(message, source)  # type: ignore[arg-type]
        except RemoteError as error:
            # Only what the validation does not look at can get here: say so to the peer if it can hear it.
            self._refuse_late(message, source, error)

    def _receive_request(self, request: Request, source: Flow) -> None:
        request.received_from(source.remote_host, source.remote_port)
        if request.method in _BEGINNING and self._has_no_time(request, source):
            return
        refusal = check_request(request, self.supported_options, datagram=source.transport == "udp")
        if refusal is not None:
            self._refused(request, source, refusal.status, refusal.reason)
            if request.method != "ACK" and self._is_told(source):
                self._transmit(_way_back(request, source), refusal.to_bytes())
            return
        self._source = source
        self._perform(self._layer.receive(request, source, self._monotonic()))

    def _turns_away(self, data: bytes, source: Flow) -> bool:
        """Refuse a new request for overload, as `_has_no_time` does, without reading it; False: it has to be read."""
        if self.refuses is None:
            return False
        host, turned_away = source.remote_host, self._turned_away
        look = first_look(data, host, source.remote_port)
        if look is None or look.method not in _BEGINNING or self._layer.may_know(look.via, look.method):
            return False
        now, branch = self._monotonic(), look.via.branch
        if not turned_away.has(host, branch, now) and not self.refuses(look.method, host):
            return False
        if self.trace is not None:
            self.trace(False, source, data)
        tag = stateless_tag_of(look.call_id, look.from_, look.cseq, look.via_text)
        self._transmit(flow_back(look.via, source), look.refusal(self._refusal_mark + tag, _retry_after(tag)))
        turned_away.add(host, branch, now)
        return True

    def _has_no_time(self, request: Request, source: Flow) -> bool:
        """Whether a request was refused because more comes in than can be done, or a moment ago for that reason."""
        if self.refuses is None:
            return False
        host, turned_away = source.remote_host, self._turned_away
        anybody = bool(turned_away)
        if not anybody and not self.refuses(request.method, host):
            return False  # as nearly always: neither the Via nor the clock is read for it
        try:
            branch, now = request.via.branch, self._monotonic()
            if anybody and not turned_away.has(host, branch, now) and not self.refuses(request.method, host):
                return False
            if self._refuse_for_overload(request, source):
                turned_away.add(host, branch, now)
                return True
        except RemoteError:
            pass  # a broken Via: the validation says so
        return False

    def _refuse_for_overload(self, request: Request, source: Flow) -> bool:
        """Answer 503 before anything is spent on a request; False for one of a dialog or a transaction that we have.

        Stateless (RFC 3261 8.2.7): the answer to a retransmission is the same.
        """
        try:
            if request.to.tag is not None or self._layer.knows(request):
                return False
            tag = stateless_tag(request)
            retry_after = ("Retry-After", str(_retry_after(tag)))
            answer = request.answer(503, None, self._refusal_mark + tag, [retry_after])
            way = reply_flow(request, source)
        except RemoteError:
            return False
        self._transmit(way, answer.to_bytes())
        return True

    def _receive_response(self, response: Response, source: Flow) -> None:
        problem = check_response(response)
        if problem is not None:
            self._refused(None, source, 0, problem)
            return
        self._perform(self._layer.receive(response, source, self._monotonic()))

    def _refuse_late(self, message: Request | Response, source: Flow, error: RemoteError) -> None:
        if not isinstance(message, Request):
            self._refused(None, source, 0, str(error))
            return
        self._refused(message, source, error.status, error.reason)
        if message.method != "ACK" and self._is_told(source):
            answer = message.answer(error.status, error.reason, new_tag())
            self._transmit(_way_back(message, source), answer.to_bytes())

    def flow_failed(self, flow: Flow, words: str = "") -> None:
        """The transport could not send on this flow: its client transactions fail at once, `words` saying why.

        Looked at once a second per flow: with a dead link every packet fails, and each look costs a walk over all
        transactions. What fails in between is found by its timers.
        """
        now = self._monotonic()
        failed_until = self._failed_until
        if now < failed_until.get(flow, 0.0):
            return
        failed_until.pop(flow, None)
        # The oldest come first. What is over is forgotten: the flow of a connection that has ended never comes again.
        while failed_until and (len(failed_until) >= MAXIMUM_FAILED_FLOWS or next(iter(failed_until.values())) <= now):
            del failed_until[next(iter(failed_until))]
        failed_until[flow] = now + 1.0
        failed = [key for key, used in self._flows.items() if used == flow]
        for key in failed:
            if key in self._large:
                self._fall_back(key)
            elif not flow.connection or self._layer.state_of(key) is not State.PROCEEDING:
                # RFC 3261 18.2.2: who has said that it is at work opens a connection again for its answer.
                self.failure = words
                self._perform(self._layer.transport_failed(key, now))
                self.failure = ""

    # --- from the calls ----------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Monotonic seconds."""
        return self._monotonic()

    def schedule(self, delay: float, callback: Callable[[float], None]) -> Deadline:
        """Have `callback(now)` called after `delay` seconds."""
        return self._deadlines.schedule(self._monotonic() + delay, callback)

    def sent_by(self, flow: Flow) -> str:
        """Our `host:port` as the peer on this flow should see it."""
        return self._sent_by(flow)

    def contact(self, flow: Flow, user: str) -> str:
        """Our Contact value towards the peer on this flow; `user` is escaped already."""
        transport = "" if flow.transport == "udp" else f";transport={flow.transport}"
        return f"<sip:{user}@{self._sent_by(flow)}{transport}>"

    def send_request(self, request: Request, flow: Flow, user: ClientUser) -> Key:
        """Begin a client transaction: adds our Via and sends. `user` hears what becomes of it."""
        if flow.connection:
            flow = living_flow(self.streams, flow, port_of_next_hop(request))
        branch = new_branch()
        request.prepend("Via", self._via(flow, branch))
        key, effects = self._layer.send_request(request, flow, self._monotonic(), branch)
        sent = effects[-1]
        if flow.transport == "udp" and type(sent) is Send and len(sent.data) > LARGEST_DATAGRAM:
            larger = self.streams.stream_instead(flow) if self.streams is not None else None
            if larger is not None:
                self._layer.destroy(key)
                request.replace("Via", self._via(larger, branch))
                patience = self.schedule(LARGE_PATIENCE, lambda _now: self._fall_back(key))
                self._large[key] = (request, flow, patience)
                flow = larger
                _, effects = self._layer.send_request(request, flow, self._monotonic())
        self._users[key] = user
        self._flows[key] = flow
        self._perform(effects)
        return key

    def _fall_back(self, key: Key) -> None:
        """RFC 3261 18.1.1: what TCP did not carry goes by UDP after all, in the same transaction for its user."""
        request, flow, patience = self._large.pop(key)
        patience.cancel()
        _log.debug("%s takes no %s by TCP", flow.source, request.method)
        user = self._users.get(key)
        if self.streams is not None:
            self.streams.no_stream(flow)
        self._perform(self._layer.destroy(key))
        if user is None:
            return
        # The same branch: a peer that did get it by TCP takes this for a repetition.
        request.replace("Via", self._via(flow, request.via.branch or ""))
        _, effects = self._layer.send_request(request, flow, self._monotonic())
        self._users[key] = user
        self._flows[key] = flow
        self._perform(effects)

    def _is_heard_of(self, key: Key) -> None:
        """A request has an answer, or is over: it needs no other way."""
        large = self._large.pop(key, None)
        if large is not None:
            large[2].cancel()

    def send_cancel(self, cancel: Request, flow: Flow, user: ClientUser) -> Key:
        """Begin the transaction of a CANCEL, which carries the Via of its INVITE already (RFC 3261 9.1).

        It goes the way of the INVITE while that lives, else by `flow`.
        """
        invite = TransactionKey(Role.CLIENT, cancel.via.branch or "", "", "INVITE")
        flow = living_flow(self.streams, self._flows.get(invite, flow), port_of_next_hop(cancel))
        key, effects = self._layer.send_request(cancel, flow, self._monotonic())
        self._users[key] = user
        self._flows[key] = flow
        self._perform(effects)
        return key

    def send_ack(self, ack: Request, flow: Flow) -> bytes:
        """Send the ACK of a 2xx, which is a transaction of its own without answer; returns the bytes to repeat."""
        if flow.connection:
            flow = living_flow(self.streams, flow, port_of_next_hop(ack))
        ack.prepend("Via", self._via(flow, new_branch()))
        data = ack.to_bytes()
        self._transmit(flow, data)
        return data

    def send_again(self, flow: Flow, data: bytes) -> None:
        """Repeat what was sent: a 2xx that waits for its ACK, or the ACK of a repeated 2xx."""
        self._transmit(living_flow(self.streams, flow, None), data)

    def respond(self, key: Key, response: Response) -> None:
        """Answer the request of a server transaction; does nothing once that is gone."""
        if response.status >= 300:
            # Phones that ask again with the number of the request that was refused are no loop.
            self._merged.forget(key)
        self._perform(self._layer.send_response(key, response, self._monotonic()))

    def respond_once(self, key: Key, request: Request, status: int, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Answer the request that is being handled without keeping anything of it (RFC 3261 8.2.7).

        For strangers: whoever forges an address cannot have us repeat answers to it, nor fill our memory. A
        retransmission is handled anew and gets the same To tag; the ACK needs no transaction.
        """
        source = self._source
        self.forget(key)
        if source is not None:
            answer = request.answer(status, None, self._refusal_mark + stateless_tag(request), headers)
            self._transmit(_way_back(request, source), answer.to_bytes())

    def forget(self, key: Key) -> None:
        """Give up a client transaction: nothing about it is heard any more."""
        self._users.pop(key, None)
        self._perform(self._layer.destroy(key))

    def release(self, key: Key) -> None:
        """Hear nothing more of a client transaction, which may go on to its own end."""
        self._users.pop(key, None)

    def _via(self, flow: Flow, branch: str) -> str:
        # RFC 5923: the peer may use this connection for its own requests.
        alias = ";alias" if flow.connection else ""
        return f"SIP/2.0/{flow.transport.upper()} {self._sent_by(flow)};branch={branch};rport{alias}"

    # --- effects -----------------------------------------------------------------------------------------------------

    def _transmit(self, flow: Flow, data: bytes) -> None:
        if self.trace is not None:
            self.trace(True, flow, data)
        self._send(flow, data)

    def _perform(self, effects: Iterable[Effect]) -> None:
        # Two or three for every message: taken apart here, the commonest cost no call of their own.
        effect: Any
        for effect in effects:
            kind = type(effect)
            if kind is Deliver:
                (event,) = effect
                self._deliver_one[type(event)](event)
            elif kind is Send:
                flow, data, key = effect
                if flow.connection and key.role is Role.SERVER:
                    flow = living_flow(self.streams, flow, port_of_answer(key))
                if self.trace is not None:
                    self.trace(True, flow, data)
                self._send(flow, data)
            elif kind is Arm:
                key, timer, at = effect
                armed = (key, timer)
                self._timers[armed] = at
                self._deadlines.call_at(at, self._fire, armed, timer)
            elif kind is Disarm:
                self._timers.pop(effect, None)
            elif kind is Finished:
                self._perform_finished(effect)
            else:
                self._perform_refusal(effect)

    def _fire(self, armed: tuple[Key, Timer], now: float) -> None:
        at = self._timers.get(armed)
        if at is None or at > now:
            # Disarmed since, or armed again for later.
            return
        del self._timers[armed]
        key, timer = armed
        self._perform(self._layer.timer_fired(key, timer, now))

    def _perform_finished(self, effect: Finished) -> None:
        self._users.pop(effect.key, None)
        self._flows.pop(effect.key, None)
        self._merged.forget(effect.key)
        if self._large:
            self._is_heard_of(effect.key)

    def _perform_refusal(self, effect: RefuseOverload) -> None:
        request = effect.request
        if self._source is not None:
            self._refused(request, self._source, 503, "too many transactions")
        answer = request.answer(503, None, new_tag(), [("Retry-After", str(OVERLOAD_RETRY_AFTER))])
        self._transmit(effect.flow, answer.to_bytes())

    # --- events ------------------------------------------------------------------------------------------------------

    def _on_request(self, event: RequestReceived) -> None:
        key, request, _flow = event
        try:
            self._take_request(key, request)
        except RemoteError as error:
            # What the validation does not look at, such as a Contact: the transaction must be answered all the same.
            if self._source is not None:
                self._refused(request, self._source, error.status, error.reason)
            self.respond(key, request.answer(error.status, error.reason, new_tag()))
        except Exception:
            # A bug of ours must not leave a transaction without an answer; a call may have answered already.
            self.respond(key, request.answer(500, None, new_tag()))
            raise

    def _take_request(self, key: Key, request: Request) -> None:
        method = request.method
        if method == "CANCEL":
            self._on_cancel(key, request)
            return
        tag = request.to.tag
        if tag is not None:
            user = self.dialogs.get((request.call_id, tag))
            if user is None:
                self._refuse_unknown(key, request)
                return
            if not self._is_let_in(key, request, user):
                return
            source = self._source
            if source is not None and source.connection and user.flow.transport == source.transport:
                # A peer that lost its connection has made another one.
                user.flow = source
            user.on_request(key, request)
            return
        core, source = self.core, self._source
        if core is None or source is None:
            self.respond(key, request.answer(503, None, new_tag()))
            return
        if method == "INVITE" and self._merged.is_merged(request, key):
            # RFC 3261 8.2.2.2: a proxy on the way forked, and another branch of the same call is here already.
            self.respond(key, request.answer(482, None, new_tag()))
            return
        if method == "INVITE" and self._has_come_round(request, source):
            self._refused(request, source, 482, "it was sent from here")
            self.respond(key, request.answer(482, None, new_tag()))
            return
        core.on_request(key, request, source)

    def _is_told(self, source: Flow) -> bool:
        return self.tells is None or self.tells(source)

    def _refuse_unknown(self, key: Key, request: Request) -> None:
        """Answer a request for a dialog or a transaction that there is none of."""
        if self._source is None or self._is_told(self._source):
            self.respond(key, request.answer(481, None, new_tag()))
        else:
            self.forget(key)

    def _is_let_in(self, key: Key | None, request: Request, user: DialogUser) -> bool:
        """Whether a request for a dialog comes from where its peer is, or may come from elsewhere.

        Call-ID and tags are no secret to anybody who saw a message of the call.
        """
        source = self._source
        if source is None or source.remote_host == user.flow.remote_host or self.lets_in is None:
            return True
        return self.lets_in(key, request, source, user)

    def _has_come_round(self, request: Request, source: Flow) -> bool:
        """Whether an INVITE was sent from here and has come back unchanged (RFC 3261 16.3, loop detection).

        One that a proxy sent back to another address (a spiral) is a call like any other; Max-Forwards ends those.
        """
        vias = request.vias
        for via in vias:
            sent = self._layer.invite_with(via.branch)
            if sent is not None:
                return sent.uri_text == request.uri_text
        if len(vias) == 1:
            return False
        own = self._sent_by(source).lower()
        own_host = own.rpartition(":")[0]
        for via in vias[1:]:
            # `received` says that the address is another one than the Via's: a phone somewhere has the same as we.
            if via.params.get("received", own_host.strip("[]")) != own_host.strip("[]"):
                continue
            sent_by = via.sent_by.lower()
            if sent_by == own or (via.port is None and f"{sent_by}:{DEFAULT_PORTS[source.transport]}" == own):
                return True
        return False

    def _on_cancel(self, key: Key, request: Request) -> None:
        """RFC 3261 9.2: the CANCEL is answered by itself; 487 for the INVITE is the call's work."""
        invite_key = self._layer.find_invite_to_cancel(request)
        if invite_key is None or self.core is None:
            self._refuse_unknown(key, request)
            return
        tag = self.core.tag_of(invite_key)
        user = self.dialogs.get((request.call_id, request.to.tag or tag or ""))
        if user is not None and not self._is_let_in(key, request, user):
            # Nothing is kept of it: the peer's own CANCEL has the same branch.
            self.respond_once(key, request, 481)
            return
        self.respond(key, request.answer(200, None, tag or new_tag()))
        self.core.on_cancel(invite_key, request)

    def _on_ack(self, event: AckReceived) -> None:
        request = event.request
        tag = request.to.tag
        user = self.dialogs.get((request.call_id, tag)) if tag is not None else None
        if user is not None and self._is_let_in(None, request, user):
            user.on_ack(request)

    def _on_response(self, event: ResponseReceived) -> None:
        if self._large:
            self._is_heard_of(event.key)
        user = self._users.get(event.key)
        if user is not None:
            user.on_response(event.key, event.response)

    def _on_stray_response(self, event: StrayResponse) -> None:
        # A late 2xx whose transaction is over (RFC 6026 7.2): the call it belonged to has ended long ago.
        _log.debug("response %d belongs to no transaction", event.response.status)

    def _on_timeout(self, event: RequestTimedOut) -> None:
        self._on_no_response(event.key, timed_out=True)

    def _on_transport_failure(self, event: TransportFailed) -> None:
        if event.key.role is Role.CLIENT:
            self._on_no_response(event.key, timed_out=False)

    def _on_no_response(self, key: Key, timed_out: bool) -> None:
        user = self._users.pop(key, None)
        if user is not None:
            user.on_no_response(key, timed_out)

    def _on_no_ack(self, event: NoAckReceived) -> None:
        if self.core is not None:
            self.core.on_ack_missing(event.key)

    def _refused(self, request: Request | None, source: Flow, status: int, reason: str) -> None:
        if self.core is not None:
            self.core.on_refused(request, source, status, reason)
