"""The transaction layer: finds the transaction of every message, walks the tables, and returns what is to be done.

No sockets, no clock: every call takes the time (monotonic seconds) and returns a list of effects that the endpoint
performs in order. The rules stand in `transaction_tables.py`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.errors import LocalError
from app.sip.flow import Flow
from app.sip.message import Request, Response
from app.sip.transaction_effects import (
    CAUSES,
    AckReceived,
    Arm,
    Cause,
    Deliver,
    Disarm,
    Effect,
    Event,
    Finished,
    Key,
    NoAckReceived,
    RefuseOverload,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    Rfc2543Key,
    Role,
    Send,
    StrayResponse,
    TransactionKey,
    TransportFailed,
)
from app.sip.transaction_tables import (
    START,
    TABLES,
    Action,
    Input,
    State,
    Step,
    Timer,
    Timing,
    TransactionKind,
    first_delay,
)
from app.sip.uri import MAGIC_COOKIE, Via

__all__ = [
    "AckReceived",
    "Arm",
    "Cause",
    "Deliver",
    "Disarm",
    "Effect",
    "Event",
    "Finished",
    "Key",
    "MergedRequests",
    "NoAckReceived",
    "RefuseOverload",
    "RequestReceived",
    "RequestTimedOut",
    "ResponseReceived",
    "Rfc2543Key",
    "Role",
    "Send",
    "State",
    "StrayResponse",
    "Timer",
    "Timing",
    "Transaction",
    "TransactionKey",
    "TransactionKind",
    "TransactionLayer",
    "TransportFailed",
    "ack_for",
    "cancel_for",
    "flow_back",
    "reply_flow",
]


class Transaction:
    """One transaction while it lives (mutable, owned by the layer)."""

    __slots__ = (
        "armed",
        "arrived",
        "call_id",
        "due",
        "flow",
        "interval",
        "key",
        "kind",
        "last",
        "reliable",
        "request",
        "sequence",
        "state",
        "to_tag",
    )

    def __init__(self, key: Key, kind: TransactionKind, state: State, flow: Flow, arrived: Flow) -> None:
        self.key = key
        self.kind = kind
        self.state = state
        self.flow = flow
        """Where its messages are sent."""
        self.arrived = arrived
        """By which flow its last message came."""
        self.reliable = flow.transport != "udp"
        self.call_id = ""
        self.sequence = 0
        """Call-ID and CSeq number of the request of a server transaction."""
        self.armed = 0
        """A bit per armed timer."""
        self.due: Input | None = None
        """The timer that the step just performed started without delay."""
        self.interval = 0.0
        """The last delay of the retransmission timer (A, E or G)."""
        self.last = b""
        """What a retransmission sends: the request, its ACK, or the last response."""
        self.request: Request | None = None
        """The INVITE of a client transaction, as long as an ACK may have to be built from it."""
        self.to_tag: str | None = None
        """The To tag of the last response, for the ACKs of RFC 2543 clients."""


# Effects are made for every message, and this makes a named tuple in half the time that its own constructor takes.
_new = tuple.__new__
# An attribute of an enum class costs as much as a dictionary look-up and more: the ones of the hot path are globals.
_CLIENT, _SERVER = Role
_ACCEPTED, _COMPLETED, _TERMINATED = State.ACCEPTED, State.COMPLETED, State.TERMINATED
_INVITE_CLIENT, _NON_INVITE_CLIENT, _INVITE_SERVER, _NON_INVITE_SERVER = TransactionKind
_RESPONSE_INPUTS: tuple[Input, ...] = (
    Input.RESPONSE_1XX,  # by the first digit; 0 does not occur
    Input.RESPONSE_1XX,
    Input.RESPONSE_2XX,
    *[Input.RESPONSE_300_699] * 4,
)
_SEND_INPUTS: tuple[Input, ...] = (Input.SEND_1XX, Input.SEND_1XX, Input.SEND_2XX, *[Input.SEND_300_699] * 4)
_INPUT_REQUEST, _INPUT_ACK, _INPUT_TRANSPORT_ERROR = Input.REQUEST, Input.ACK, Input.TRANSPORT_ERROR

_TIMERS: tuple[Timer, ...] = tuple(Timer)
_TIMER_INPUTS: tuple[Input, ...] = tuple(Input[f"TIMER_{timer.name}"] for timer in Timer)
_COOKIE_IN_LOWER_CASE = MAGIC_COOKIE.lower()
_RELIEVING_METHODS = frozenset({"BYE", "CANCEL"})
"""Requests that make room: they are still admitted a little beyond the limit."""

# Takes the transaction, the message, the time and the effects so far. The tables guarantee which kind of message it is
# (None for timers and transport errors), so it is not checked again for each.
Handler = Callable[[Transaction, Any, float, list[Effect]], None]
CompiledTable = dict[tuple[State, Input], tuple[State, tuple[Handler, ...]]]


class TransactionLayer:
    """All transactions of an endpoint.

    A client transaction in Proceeding (a ringing INVITE) has no timer: end it with CANCEL and `destroy`. A server
    transaction lives until the transaction user has sent a final response.
    """

    __slots__ = ("_hard_limit", "_initial", "_limit", "_old_keys", "_tables", "_transactions")

    def __init__(self, max_transactions: int = 200_000, timing: Timing = Timing()) -> None:  # noqa: B008 - frozen
        """`max_transactions` bounds what peers can make: new requests beyond it become `RefuseOverload`.

        BYE and CANCEL, which end calls, may use an eighth more.
        """
        self._limit = max_transactions
        self._hard_limit = max_transactions + max_transactions // 8
        # Looked up by a plain tuple, which is equal to the key and made in a fraction of its time.
        self._transactions: dict[tuple[object, ...], Transaction] = {}
        self._old_keys = 0
        """How many of them have an `Rfc2543Key`."""
        handlers = self._handlers(timing)
        self._tables: dict[TransactionKind, CompiledTable] = {
            kind: {pair: self._compiled(step, handlers) for pair, step in table.items()}
            for kind, table in TABLES.items()
        }
        self._initial = {kind: self._compiled(step, handlers) for kind, step in START.items()}

    def __len__(self) -> int:
        return len(self._transactions)

    def __contains__(self, key: Key) -> bool:
        return key in self._transactions

    def state_of(self, key: Key) -> State | None:
        """The state of a transaction, None when there is none (any more)."""
        transaction = self._transactions.get(key)
        return None if transaction is None else transaction.state

    def receive(self, message: Request | Response, flow: Flow, now: float) -> list[Effect]:
        """Take a message from the network (checked by `check_request` or `check_response`, `received_from` applied).

        Raises HeaderError when the header fields that identify its transaction cannot be read.
        """
        effects: list[Effect] = []
        if isinstance(message, Response):
            self._receive_response(message, flow, now, effects)
        elif message.method == "ACK":
            self._receive_ack(message, flow, now, effects)
        else:
            self._receive_request(message, flow, now, effects)
        return effects

    def send_request(
        self, request: Request, flow: Flow, now: float, branch: str | None = None
    ) -> tuple[Key, list[Effect]]:
        """Start a client transaction. The request carries our Via with a new branch (CANCEL: that of its INVITE).

        The `branch` is read from the Via unless it is given. Raises LocalError for an ACK, which is no transaction, and
        for a key that is in use.
        """
        method = request.method
        branch = branch or request.via.branch
        if method == "ACK" or not branch:
            raise LocalError("an ACK cannot be a transaction" if branch else "the request has no branch")
        key = _new(TransactionKey, (_CLIENT, branch, "", method))
        if key in self._transactions:
            raise LocalError(f"the branch {branch} is in use")
        kind = _INVITE_CLIENT if method == "INVITE" else _NON_INVITE_CLIENT
        effects: list[Effect] = []
        self._begin(Transaction(key, kind, self._initial[kind][0], flow, flow), request, now, effects)
        return key, effects

    def send_response(self, key: Key, response: Response, now: float) -> list[Effect]:
        """Answer a request. What comes after the final response, or after the transaction's end, is discarded.

        A 2xx to INVITE may be sent again and again: repeating it until its ACK is the transaction user's work.
        """
        transaction = self._transactions.get(key)
        effects: list[Effect] = []
        if transaction is not None:
            self._run(transaction, _SEND_INPUTS[response.status // 100], response, now, effects)
        return effects

    def timer_fired(self, key: Key, timer: Timer, now: float) -> list[Effect]:
        """An armed timer is due. One that is not armed (any more) does nothing."""
        transaction = self._transactions.get(key)
        effects: list[Effect] = []
        if transaction is not None:
            bit = 1 << timer
            if transaction.armed & bit:
                transaction.armed ^= bit
                self._run(transaction, _TIMER_INPUTS[timer], None, now, effects)
        return effects

    def transport_failed(self, key: Key, now: float) -> list[Effect]:
        """A `Send` of this transaction could not be performed (RFC 3261 17.1.4, RFC 6026 8.8)."""
        transaction = self._transactions.get(key)
        effects: list[Effect] = []
        if transaction is not None:
            self._run(transaction, _INPUT_TRANSPORT_ERROR, None, now, effects)
        return effects

    def destroy(self, key: Key) -> list[Effect]:
        """Forget a transaction at once: an INVITE whose CANCEL got no final response for 64*T1 (RFC 3261 9.1)."""
        transaction = self._transactions.get(key)
        effects: list[Effect] = []
        if transaction is not None:
            self._finish(transaction, Cause.DESTROYED, effects)
        return effects

    def find_invite_to_cancel(self, cancel: Request) -> Key | None:
        """The INVITE server transaction that a CANCEL means (RFC 3261 9.2), None if there is none (answer 481)."""
        transaction = self._find_server(cancel, "INVITE")[1]
        return None if transaction is None else transaction.key

    def knows(self, request: Request) -> bool:
        """Whether a received request repeats one that has a transaction. Raises HeaderError."""
        return self._find_server(request, request.method)[1] is not None

    def may_know(self, via: Via, method: str) -> bool:
        """Whether a request with this Via, whose branch has the magic cookie, can be one that `knows` tells of."""
        return self._old_keys > 0 or (_SERVER, via.branch, via.sent_by.lower(), method) in self._transactions

    def invite_with(self, branch: str | None) -> Request | None:
        """The INVITE that we have sent with this branch, as long as it has no final response."""
        transaction = self._transactions.get((_CLIENT, branch, "", "INVITE"))
        return None if transaction is None else transaction.request

    # --- finding the transaction -------------------------------------------------------------------------------------

    def _receive_response(self, response: Response, flow: Flow, now: float, effects: list[Effect]) -> None:
        """RFC 3261 17.1.3: the branch and the method of the CSeq name the client transaction."""
        transaction = self._transactions.get((_CLIENT, response.via.branch, "", response.cseq.method))
        if transaction is None:
            effects.append(_new(Deliver, (_new(StrayResponse, (response, flow)),)))
            return
        self._run(transaction, _RESPONSE_INPUTS[response.status // 100], response, now, effects)

    def _receive_ack(self, request: Request, flow: Flow, now: float, effects: list[Effect]) -> None:
        """RFC 3261 17.2.3: an ACK matches the INVITE transaction; what matches none is the ACK to a 2xx."""
        transaction = self._find_server(request, "INVITE")[1]
        if transaction is None or (type(transaction.key) is Rfc2543Key and not _acknowledges(request, transaction)):
            effects.append(_new(Deliver, (_new(AckReceived, (request, flow)),)))
        else:
            transaction.arrived = flow
            self._run(transaction, _INPUT_ACK, request, now, effects)

    def _receive_request(self, request: Request, flow: Flow, now: float, effects: list[Effect]) -> None:
        """RFC 3261 17.2.3: a retransmission meets its transaction, anything else begins one."""
        method = request.method
        identity, transaction = self._find_server(request, method)
        if transaction is not None:
            if flow != transaction.arrived:
                # A peer that has lost its connection, or whose NAT has moved it, asks again from where it is now.
                transaction.arrived = flow
                transaction.flow = reply_flow(request, flow)
            self._run(transaction, _INPUT_REQUEST, request, now, effects)
            return
        flow_back = reply_flow(request, flow)
        count = len(self._transactions)
        if count >= self._limit and (count >= self._hard_limit or method not in _RELIEVING_METHODS):
            effects.append(_new(RefuseOverload, (request, flow_back)))
            return
        kind = _INVITE_SERVER if method == "INVITE" else _NON_INVITE_SERVER
        key: Key
        if len(identity) == 4:
            key = _new(TransactionKey, identity)
        else:
            key = _new(Rfc2543Key, identity)
            self._old_keys += 1
        transaction = Transaction(key, kind, self._initial[kind][0], flow_back, flow)
        transaction.call_id = request.call_id
        transaction.sequence = request.cseq.number
        self._begin(transaction, request, now, effects)

    def _find_server(self, request: Request, method: str) -> tuple[tuple[object, ...], Transaction | None]:
        """The server transaction of a request (None if there is none) and the parts of the key it has or would have.

        RFC 3261 17.2.3 compares branch, sent-by and method, and trusts that every request has a branch of its own
        (8.1.1.7). Clients that use one again, as the messages of RFC 4475 do, are told apart by Call-ID and CSeq.
        """
        transactions = self._transactions
        identity = _server_identity(request, method)
        transaction = transactions.get(identity)
        if transaction is None:
            if not self._old_keys:
                return identity, None
        elif transaction.call_id == request.call_id and transaction.sequence == request.cseq.number:
            return identity, transaction
        if len(identity) != 4:
            return identity, transaction
        full = _full_identity(request, method)
        other = transactions.get(full)
        if other is not None or transaction is None:
            return (identity, None) if other is None else (full, other)
        if method == request.method or transaction.call_id != request.call_id:
            return full, None
        return identity, transaction

    # --- walking the tables ------------------------------------------------------------------------------------------

    def _begin(self, transaction: Transaction, request: Request, now: float, effects: list[Effect]) -> None:
        """Take in a new transaction and perform its first step."""
        self._transactions[transaction.key] = transaction
        for handler in self._initial[transaction.kind][1]:
            handler(transaction, request, now, effects)

    def _run(self, transaction: Transaction, input_: Input, message: Any, now: float, effects: list[Effect]) -> None:
        """Perform the step of the table for this input."""
        state, handlers = self._tables[transaction.kind][transaction.state, input_]
        transaction.state = state
        for handler in handlers:
            handler(transaction, message, now, effects)
        if transaction.due is not None:
            input_, transaction.due = transaction.due, None
            self._run(transaction, input_, None, now, effects)
        elif state is _TERMINATED:
            self._finish(transaction, CAUSES.get(input_, Cause.COMPLETED), effects)

    def _finish(self, transaction: Transaction, cause: Cause, effects: list[Effect]) -> None:
        """Stop what is still armed and forget the transaction."""
        key = transaction.key
        transaction.state = _TERMINATED
        armed = transaction.armed
        if armed:
            effects.extend(Disarm(key, timer) for timer in _TIMERS if armed >> timer & 1)
            transaction.armed = 0
        del self._transactions[key]
        if type(key) is Rfc2543Key:
            self._old_keys -= 1
        effects.append(_new(Finished, (key, cause)))

    def _compiled(self, step: Step, handlers: Mapping[Action, Handler]) -> tuple[State, tuple[Handler, ...]]:
        """A step with the functions that perform its actions, so that running it looks nothing up."""
        return step.next_state, tuple(handlers[action] for action in step.actions)

    @staticmethod
    def _handlers(timing: Timing) -> dict[Action, Handler]:
        """The function for each action."""
        handlers: dict[Action, Handler] = {
            Action.SEND_REQUEST: _send_request,
            Action.RESEND_REQUEST: _resend,
            Action.SEND_ACK: _send_ack,
            Action.SEND_RESPONSE: _send_response,
            Action.PASS_RESPONSE: _pass_response,
            Action.RESEND_RESPONSE: _resend,
            Action.DELIVER_REQUEST: _deliver_request,
            Action.DELIVER_ACK: _deliver_ack,
            Action.DELIVER_RESPONSE: _deliver_response,
            Action.DELIVER_TIMEOUT: _deliver_timeout,
            Action.DELIVER_NO_ACK: _deliver_no_ack,
            Action.DELIVER_TRANSPORT_FAILURE: _deliver_transport_failure,
            Action.DOUBLE_A: _starter_again(Timer.A, float("inf")),
            Action.DOUBLE_E: _starter_again(Timer.E, timing.t2),
            Action.DOUBLE_G: _starter_again(Timer.G, timing.t2),
            Action.SLOW_E: _starter_slow(Timer.E, timing.t2),
        }
        for action in Action:
            verb, _, letter = action.name.partition("_")
            if verb == "START":
                handlers[action] = _starter(Timer[letter], timing)
            elif verb == "STOP":
                handlers[action] = _stopper(Timer[letter])
        return handlers


# --- actions ---------------------------------------------------------------------------------------------------------


def _send_request(transaction: Transaction, request: Request, _: float, effects: list[Effect]) -> None:
    data = transaction.last = request.to_bytes()
    if transaction.kind is _INVITE_CLIENT:
        transaction.request = request
    effects.append(_new(Send, (transaction.flow, data, transaction.key)))


def _resend(transaction: Transaction, _: object, __: float, effects: list[Effect]) -> None:
    if transaction.last:
        effects.append(_new(Send, (transaction.flow, transaction.last, transaction.key)))


def _send_ack(transaction: Transaction, response: Response, _: float, effects: list[Effect]) -> None:
    if transaction.request is not None:
        transaction.last = ack_for(transaction.request, response).to_bytes()
        transaction.request = None
    effects.append(_new(Send, (transaction.flow, transaction.last, transaction.key)))


def _send_response(transaction: Transaction, response: Response, _: float, effects: list[Effect]) -> None:
    data = transaction.last = response.to_bytes()
    if type(transaction.key) is Rfc2543Key:
        transaction.to_tag = response.to.tag
    effects.append(_new(Send, (transaction.flow, data, transaction.key)))


def _pass_response(transaction: Transaction, response: Response, _: float, effects: list[Effect]) -> None:
    transaction.last = b""
    if type(transaction.key) is Rfc2543Key:
        transaction.to_tag = response.to.tag
    effects.append(_new(Send, (transaction.flow, response.to_bytes(), transaction.key)))


def _deliver_request(transaction: Transaction, request: Request, _: float, effects: list[Effect]) -> None:
    effects.append(_new(Deliver, (_new(RequestReceived, (transaction.key, request, transaction.arrived)),)))


def _deliver_ack(transaction: Transaction, request: Request, _: float, effects: list[Effect]) -> None:
    effects.append(_new(Deliver, (_new(AckReceived, (request, transaction.arrived)),)))


def _deliver_response(transaction: Transaction, response: Response, _: float, effects: list[Effect]) -> None:
    state = transaction.state
    if state is _ACCEPTED or (state is _COMPLETED and transaction.kind is _NON_INVITE_CLIENT):
        # Nothing will be retransmitted any more and no ACK built: up to 32 s of memory saved for each.
        transaction.last = b""
        transaction.request = None
    effects.append(_new(Deliver, (_new(ResponseReceived, (transaction.key, response)),)))


def _deliver_timeout(transaction: Transaction, _: object, __: float, effects: list[Effect]) -> None:
    effects.append(_new(Deliver, (_new(RequestTimedOut, (transaction.key,)),)))


def _deliver_no_ack(transaction: Transaction, _: object, __: float, effects: list[Effect]) -> None:
    effects.append(_new(Deliver, (_new(NoAckReceived, (transaction.key,)),)))


def _deliver_transport_failure(transaction: Transaction, _: object, __: float, effects: list[Effect]) -> None:
    effects.append(_new(Deliver, (_new(TransportFailed, (transaction.key,)),)))


def _starter(timer: Timer, timing: Timing) -> Handler:
    """The function that starts a timer with its first delay."""
    bit = 1 << timer
    input_ = _TIMER_INPUTS[timer]
    repeats = timer in (Timer.A, Timer.E, Timer.G)
    unreliable_delay, reliable_delay = first_delay(timer, False, timing), first_delay(timer, True, timing)

    def start(transaction: Transaction, _: Any, now: float, effects: list[Effect]) -> None:
        delay = reliable_delay if transaction.reliable else unreliable_delay
        if delay is None:
            return
        if delay <= 0.0:
            transaction.due = input_
            return
        if repeats:
            transaction.interval = delay
        transaction.armed |= bit
        effects.append(_new(Arm, (transaction.key, timer, now + delay)))

    return start


def _starter_again(timer: Timer, longest: float) -> Handler:
    """The function that starts a retransmission timer again with twice its delay, at most `longest`."""
    bit = 1 << timer

    def start_again(transaction: Transaction, _: object, now: float, effects: list[Effect]) -> None:
        delay = transaction.interval = min(transaction.interval * 2, longest)
        transaction.armed |= bit
        effects.append(_new(Arm, (transaction.key, timer, now + delay)))

    return start_again


def _starter_slow(timer: Timer, delay: float) -> Handler:
    """The function that starts a retransmission timer with a fixed delay."""
    bit = 1 << timer

    def start_slow(transaction: Transaction, _: object, now: float, effects: list[Effect]) -> None:
        transaction.interval = delay
        transaction.armed |= bit
        effects.append(_new(Arm, (transaction.key, timer, now + delay)))

    return start_slow


def _stopper(timer: Timer) -> Handler:
    """The function that stops a timer if it is armed."""
    bit = 1 << timer

    def stop(transaction: Transaction, _: object, __: float, effects: list[Effect]) -> None:
        if transaction.armed & bit:
            transaction.armed ^= bit
            effects.append(_new(Disarm, (transaction.key, timer)))

    return stop


# --- keys and flows --------------------------------------------------------------------------------------------------


def _server_identity(request: Request, method: str) -> tuple[object, ...]:
    """The parts of the key of the server transaction that a request belongs to, as if its method were `method`.

    `method` is the request's own, or INVITE for an ACK and for the INVITE that a CANCEL means (RFC 3261 17.2.3, 9.2).
    Raises HeaderError.
    """
    via = request.via
    branch = via.branch
    # RFC 4475 3.2.1: the cookie with nothing behind it identifies nothing.
    if (
        branch is not None
        and len(branch) > 7
        and (branch[:7] == MAGIC_COOKIE or branch[:7].lower() == _COOKIE_IN_LOWER_CASE)
    ):
        return _SERVER, branch, via.sent_by.lower(), method
    return _full_identity(request, method)


def _full_identity(request: Request, method: str) -> tuple[object, ...]:
    """As `_server_identity`, for a client whose branch identifies nothing (RFC 3261 17.2.3, second half)."""
    via = request.via
    return (
        _SERVER,
        request.uri_text,
        "" if method == "INVITE" else request.to.tag or "",
        request.from_.tag or "",
        request.call_id,
        request.cseq.number,
        f"{via.transport} {via.sent_by.lower()} {via.branch or ''}",
        method,
    )


def _acknowledges(ack: Request, transaction: Transaction) -> bool:
    """RFC 3261 17.2.3: the To tag of an RFC 2543 client's ACK is that of the response which it acknowledges."""
    return ack.to.tag == transaction.to_tag


def reply_flow(request: Request, flow: Flow) -> Flow:
    """Where the answers to a request go (RFC 3261 18.2.2, RFC 3581 4), once `received_from` has been applied.

    Over a stream: back by the same connection. Over UDP: to the packet's source address, at the source port if the
    client asked for that with rport, otherwise at the port of its Via. `maddr` is not followed, so that nobody can
    have answers sent to a third party.
    """
    return flow if flow.transport != "udp" else flow_back(request.via, flow)


def flow_back(via: Via, flow: Flow) -> Flow:
    """The same for a Via."""
    port = via.response_port if flow.transport == "udp" else flow.remote_port
    return flow if port == flow.remote_port else flow._replace(remote_port=port)


# --- requests that belong to an INVITE -------------------------------------------------------------------------------


def _related_request(
    invite: Request, method: str, to_text: str | None, extra_headers: Iterable[tuple[str, str]]
) -> Request:
    """A request with the INVITE's Request-URI, top Via, From, Call-ID, CSeq number and Route."""
    headers = [("Via", str(invite.via)), ("Max-Forwards", "70")]
    for header in invite.headers:
        name = header[0]
        if name == "To":
            headers.append(header if to_text is None else ("To", to_text))
        elif name in {"From", "Call-ID", "Route"}:
            headers.append(header)
    headers.append(("CSeq", f"{invite.cseq.number} {method}"))
    headers.extend(extra_headers)
    return Request(method, invite.uri_text, headers)


def ack_for(invite: Request, response: Response) -> Request:
    """The ACK to a 300-699 response, which the transaction itself sends (RFC 3261 17.1.1.3)."""
    return _related_request(invite, "ACK", response.get("To"), ())


def cancel_for(invite: Request, headers: Iterable[tuple[str, str]] = ()) -> Request:
    """The CANCEL for an INVITE that was sent (RFC 3261 9.1), with further headers such as Reason (RFC 3326).

    Send it with `send_request` by the INVITE's flow, but only once a provisional response has come.
    """
    return _related_request(invite, "CANCEL", None, headers)


# --- merged requests -------------------------------------------------------------------------------------------------


class MergedRequests:
    """Finds a request that came again by another way (RFC 3261 8.2.2.2): answer it with 482 (Loop Detected).

    Bounded: beyond `capacity` the oldest request is forgotten and a second copy of it would be taken for a new one.
    """

    __slots__ = ("_capacity", "_identities", "_keys")

    def __init__(self, capacity: int = 65536) -> None:
        self._capacity = capacity
        self._keys: OrderedDict[tuple[str, str, int, str], Key] = OrderedDict()
        self._identities: dict[Key, tuple[str, str, int, str]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def is_merged(self, request: Request, key: Key) -> bool:
        """Whether another living transaction has the same request; if not, it is noted under its key.

        Only for requests outside of dialogs. Raises HeaderError.
        """
        if request.to.tag is not None:
            return False
        sequence = request.cseq
        identity = (request.call_id, request.from_.tag or "", sequence.number, sequence.method)
        known = self._keys.get(identity)
        if known is not None:
            return known != key
        if len(self._keys) >= self._capacity:
            _, oldest = self._keys.popitem(last=False)
            del self._identities[oldest]
        self._keys[identity] = key
        self._identities[key] = identity
        return False

    def forget(self, key: Key) -> None:
        """The transaction has finished."""
        identity = self._identities.pop(key, None)
        if identity is not None:
            del self._keys[identity]
