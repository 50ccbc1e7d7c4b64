"""What a leg tells its call. Legs speak these events, never SIP, so that any leg can be joined with any other."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from app.sip.multipart import SESSION_TYPE

if TYPE_CHECKING:
    from app.calls.referral import Referral


class EndCause(StrEnum):
    """Why a call ended, as its record says."""

    NORMAL = "normal"
    TRANSFERRED = "transferred"
    CANCELLED = "cancelled"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    REJECTED = "rejected"
    NO_ROUTE = "no_route"
    TRUNK_FAILED = "trunk_failed"
    LIMIT = "limit"
    MEDIA_TIMEOUT = "media_timeout"
    SESSION_EXPIRED = "session_expired"
    LONGEST_CALL = "longest_call"
    ACK_MISSING = "ack_missing"
    HUNG_UP_HERE = "hung_up_here"
    SHUTDOWN = "shutdown"
    ERROR = "error"


class Body(NamedTuple):
    """A message body with its type."""

    content_type: str
    """The Content-Type as the peer wrote it, with its parameters."""
    content: bytes

    @property
    def media_type(self) -> str:
        """The type without its parameters, in lower case: case has no meaning in it (RFC 3261 7.3.1)."""
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def is_description(self) -> bool:
        """Whether this is a session description (SDP)."""
        return self.media_type == SESSION_TYPE


class FailureKind(StrEnum):
    """Where a failure comes from: a peer's answer, or what happened instead of one."""

    ANSWER = "answer"
    TIMEOUT = "timeout"
    TRANSPORT = "transport"
    LOCAL = "local"


class Ringing(NamedTuple):
    """A provisional answer above 100; with a body it is early media (whatever the status)."""

    status: int
    reason: str
    body: Body | None
    early_dialog: str = ""
    """Which of the called side's early dialogs speaks: its tag."""
    is_agreed: bool = False
    """The body came reliably: it is the answer of this early dialog for good (RFC 3262 5)."""
    is_offer: bool = False
    """The body came reliably and is an offer; the leg waits for the answer (`acknowledge`) or for `decline`."""

    def without_media(self) -> Ringing:
        """The same for a caller that shall hear the tone of its own phone: 183 stands for early media, 180 for ringing.

        An offer stays: the leg waits for its answer.
        """
        if self.is_offer:
            return self
        status, reason = (180, "") if self.status == 183 else (self.status, self.reason)
        return Ringing(status, reason, None, self.early_dialog)


class Answered(NamedTuple):
    """The called side has answered."""

    body: Body | None


class Acknowledged(NamedTuple):
    """The ACK of a 2xx has come, or the PRACK of a provisional answer that was an offer."""

    body: Body | None
    is_answer: bool = True
    """What was acknowledged was an offer: the body is the answer to it."""


class Failed(NamedTuple):
    """The called side will not answer."""

    status: int
    """The final status; 408 or 503 stands for what happened here."""
    reason: str
    kind: FailureKind
    retry_after: str = ""
    explanation: str = ""
    """What explains a peer's answer beside its status, in words for the administrator."""

    def __str__(self) -> str:
        words = self.reason if self.kind is not FailureKind.ANSWER else f"{self.status} {self.reason}".strip()
        return f"{words} ({self.explanation})" if self.explanation else words


class Redirected(NamedTuple):
    """The called side names other addresses (3xx)."""

    status: int
    reason: str
    contacts: tuple[str, ...]
    why: str = "unconditional"
    """Why the call is diverted, as a Diversion says it (RFC 5806)."""


class Cancelled(NamedTuple):
    """The caller has given up before the answer."""

    reason: str = ""
    """A Reason header's value, when the caller gave one (RFC 3326)."""


class Offered(NamedTuple):
    """A new offer (or the wish for one: no body) in a running call: hold, resume, other media."""

    method: str
    """INVITE or UPDATE."""
    body: Body | None


class OfferCancelled(NamedTuple):
    """The peer has taken its offer back."""


class OfferAnswered(NamedTuple):
    """The answer to an offer that this leg carried."""

    body: Body | None


class OfferRefused(NamedTuple):
    """The peer keeps the media as they are."""

    status: int
    reason: str


class Informed(NamedTuple):
    """An INFO request, such as a DTMF digit."""

    body: Body | None
    package: str = ""
    """The Info-Package, if the peer named one (RFC 6086)."""


class InfoAnswered(NamedTuple):
    """The answer to an INFO that this leg carried."""

    status: int
    reason: str


class Referred(NamedTuple):
    """The peer wants the other side of the call to talk to somebody else: a transfer (RFC 3515)."""

    referral: Referral
    """To be refused, or accepted and told about."""


class HungUp(NamedTuple):
    """The peer has ended the call, or the leg has ended because the peer is gone."""

    cause: EndCause
    reason: str = ""
    """A Reason header's value, when the peer gave one (RFC 3326)."""
    what: str = ""
    """What the peer did, in words, where the cause does not say it."""


LegEvent = (
    Ringing
    | Answered
    | Acknowledged
    | Failed
    | Redirected
    | Cancelled
    | Offered
    | OfferCancelled
    | OfferAnswered
    | OfferRefused
    | Informed
    | InfoAnswered
    | Referred
    | HungUp
)
