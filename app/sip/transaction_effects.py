"""What identifies a transaction, what it tells its user, and what it asks the endpoint to do."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from app.sip.flow import Flow
from app.sip.message import Request, Response
from app.sip.transaction_tables import Input, Timer


class Role(IntEnum):
    """Which end of a transaction this is."""

    CLIENT = 0
    SERVER = 1


class TransactionKey(NamedTuple):
    """What identifies a transaction (RFC 3261 17.1.3, 17.2.3)."""

    role: Role
    branch: str
    """The branch of the top Via."""
    sent_by: str
    """Host and port of the top Via in lower case; "" for clients, whose branches are ours alone."""
    method: str
    """The method; an ACK is keyed as INVITE, a CANCEL is a transaction of its own."""


class Rfc2543Key(NamedTuple):
    """What identifies a server transaction of a client without a proper branch (RFC 3261 17.2.3, second half)."""

    role: Role
    request_uri: str
    to_tag: str
    """The To tag of the request; always "" for INVITE and its ACK, whose tags may differ."""
    from_tag: str
    call_id: str
    sequence: int
    via: str
    """Transport, sent-by and branch of the top Via."""
    method: str
    """As in `TransactionKey`."""


Key = TransactionKey | Rfc2543Key


class Cause(IntEnum):
    """Why a transaction ended."""

    COMPLETED = 0
    """It ran its course."""
    TIMED_OUT = 1
    """Timer B, F or H."""
    TRANSPORT_FAILED = 2
    DESTROYED = 3
    """The transaction user gave it up."""


CAUSES: Mapping[Input, Cause] = {
    Input.TIMER_B: Cause.TIMED_OUT,
    Input.TIMER_F: Cause.TIMED_OUT,
    Input.TIMER_H: Cause.TIMED_OUT,
    Input.TRANSPORT_ERROR: Cause.TRANSPORT_FAILED,
}


class RequestReceived(NamedTuple):
    """A new request. The transaction user must answer it with `send_response`, an INVITE at once with at least 100."""

    key: Key
    request: Request
    flow: Flow


class AckReceived(NamedTuple):
    """The ACK to a 2xx, or one that belongs to nothing (RFC 3261 13.3.1.4, 17.2.1)."""

    request: Request
    flow: Flow


class ResponseReceived(NamedTuple):
    """A response to a request of ours; repeated 2xx to INVITE come again and each wants its ACK."""

    key: Key
    response: Response


class StrayResponse(NamedTuple):
    """A response that belongs to no transaction: a late 2xx to INVITE, or nonsense."""

    response: Response
    flow: Flow


class RequestTimedOut(NamedTuple):
    """No response came to a request of ours (timer B or F): treat it as a 408 (RFC 3261 8.1.3.1)."""

    key: Key


class NoAckReceived(NamedTuple):
    """Nobody acknowledged our 300-699 response (timer H). There is nothing left to do but to forget the call."""

    key: Key


class TransportFailed(NamedTuple):
    """A message of this transaction could not be sent. A client transaction is over; treat it as a 503 (8.1.3.1)."""

    key: Key


Event = (
    RequestReceived | AckReceived | ResponseReceived | StrayResponse | RequestTimedOut | NoAckReceived | TransportFailed
)


class Send(NamedTuple):
    """Send these bytes; if that fails, call `transport_failed(key)`."""

    flow: Flow
    data: bytes
    key: Key


class Deliver(NamedTuple):
    """Give this event to the transaction user."""

    event: Event


class Arm(NamedTuple):
    """Call `timer_fired(key, timer, now)` at this time (monotonic seconds). Never armed twice at the same time."""

    key: Key
    timer: Timer
    at: float


class Disarm(NamedTuple):
    """Forget this armed timer."""

    key: Key
    timer: Timer


class Finished(NamedTuple):
    """The transaction is gone and none of its timers is armed; the last effect that names its key."""

    key: Key
    cause: Cause


class RefuseOverload(NamedTuple):
    """There are too many transactions: answer 503 with Retry-After without a transaction (RFC 3261 8.2.7, 21.5.4)."""

    request: Request
    flow: Flow
    """Where the answer goes."""


Effect = Send | Deliver | Arm | Disarm | Finished | RefuseOverload
