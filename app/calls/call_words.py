"""What a call decides by the words of its peers: causes, better failures, digits and hold, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from app.calls.leg_events import Body, EndCause, Failed, FailureKind, HungUp
from app.calls.refusals import passed_on
from app.dialplan.decision import DialTarget
from app.errors import RemoteError
from app.media.sdp import Direction, audio_stream
from app.media.sdp import parse as session_description
from app.records import RouteType
from app.records.trunks import OutgoingFields
from app.sip.multipart import SESSION_TYPE

if TYPE_CHECKING:
    from app.sip.flow import Flow

STATUS_OF_AN_END = {EndCause.CANCELLED: 487, EndCause.SHUTDOWN: 503, EndCause.ERROR: 500, EndCause.REJECTED: 488}
UNHEARD = (FailureKind.TIMEOUT, FailureKind.TRANSPORT)
GLOBAL_FAILURES = range(600, 700)
UNUSABLE_REASON = 'SIP;cause=488;text="Session description cannot be used"'
"""What a called side is told whose session description no relay can use (RFC 3326)."""
FORWARDED = "redirected"
"""The reason of an attempt at a phone that sent the call elsewhere: from there on it is that user's call."""


def better_failure(old: Failed | None, new: Failed) -> Failed:
    """Of the failures of several phones the one that the caller gets (RFC 3261 16.7 step 6)."""
    if old is None or new.status in GLOBAL_FAILURES:
        return new
    if old.status in GLOBAL_FAILURES:
        return old
    if (old.kind is FailureKind.ANSWER) != (new.kind is FailureKind.ANSWER):
        return old if old.kind is FailureKind.ANSWER else new
    return new if passed_on(new.status) < passed_on(old.status) else old


def may_fail_over(target: DialTarget, failure: Failed) -> bool:
    """Whether the next target is tried: after everything but an answer, and after the answers that the record lists."""
    if failure.kind is not FailureKind.ANSWER and failure.kind is not FailureKind.LOCAL:
        return True
    record = target.record
    return isinstance(record, OutgoingFields) and failure.status in record.failover_statuses


def words_of_failover(target: DialTarget, following: DialTarget, failure: Failed) -> str:
    """Why the target after one that rang or answered, and failed on this side all the same, is tried or is not."""
    record = target.record
    if not (isinstance(record, OutgoingFields) and record.failover_after_ringing):
        why = f"{target.name} had rung or answered already, and its record allows no failover after ringing"
    elif not may_fail_over(target, failure):
        why = f"this counts as {failure.status}, which is no failover status of {target.name}"
    else:
        return f"failover: {following.name} is tried, as the record of {target.name} allows failover after ringing"
    return f"failover: {following.name} is not tried: {why}"


def at_which_address(target: DialTarget, ways: Sequence[Flow], tried: int) -> str:
    """The address that was tried, in words, where the target's server has several; `tried` counts those before it."""
    if target.kind is RouteType.LOCAL_USER or len(ways) < 2 or tried >= len(ways):
        return ""
    return f" (at {ways[tried].remote_host}:{ways[tried].remote_port})"


def words_of_end(event: HungUp, by: str, contact: str, *, early: bool) -> str:
    """How a side has ended the call. `contact`: ours towards it; `early`: it never got our answer."""
    unacknowledged = "a provisional answer: no PRACK" if early else "the answer: no ACK"
    texts = {
        EndCause.REJECTED: f"the {by} side acknowledged an offer without an answer to it",
        EndCause.ACK_MISSING: f"the {by} side never acknowledged {unacknowledged} came to {contact}, as that asks for "
        "(a firewall in between, or a wrong external signalling address?)",
        EndCause.ERROR: f"the {by} side is gone",
        EndCause.SESSION_EXPIRED: f"the {by} side did not refresh the session",
    }
    return f"the {by} side {event.what}" if event.what else texts.get(event.cause, f"the {by} side hung up")


def cause_of_failure(status: int, kind: FailureKind) -> EndCause:
    """The end cause of a call that nobody answered."""
    if status in (486, 600):
        return EndCause.BUSY
    if status in (408, 480):
        return EndCause.NO_ANSWER if kind in (FailureKind.LOCAL, FailureKind.ANSWER) else EndCause.TRUNK_FAILED
    if kind is not FailureKind.ANSWER or status in (500, 502, 503, 504):
        return EndCause.TRUNK_FAILED
    return EndCause.NO_ROUTE if status == 404 else EndCause.REJECTED


def cause_of_rejection(status: int) -> EndCause:
    """The end cause of a call that the dial plan refused."""
    if status in (404, 484):
        return EndCause.NO_ROUTE
    if status in (503, 486):
        return EndCause.LIMIT
    return EndCause.NO_ANSWER if status == 480 else EndCause.REJECTED


def is_hold(body: Body) -> bool:
    """Whether an answer puts the call's audio on hold (RFC 3264 8.4, and the old form with the zero address).

    Other streams say nothing of the talk: a video that was taken away is mostly answered as inactive.
    """
    if not body.is_description:
        return False
    try:
        audio = audio_stream(session_description(body.content))
    except RemoteError:
        return False
    return bool(audio.port) and audio.direction is not Direction.SENDRECV


_DIRECTIONS = frozenset((b"a=sendonly", b"a=recvonly", b"a=inactive"))


def not_held(body: Body) -> Body:
    """A session description as its party would give it to somebody new: what it said was about a hold of the other's.

    A party that holds the call itself answers an offer to talk accordingly (RFC 3264 6.1).
    """
    if not body.is_description:
        return body
    lines = [line for line in body.content.splitlines() if line.strip().lower() not in _DIRECTIONS]
    return Body(body.content_type, b"".join(line + b"\r\n" for line in lines))


def says_the_same(one: Body | None, other: Body | None) -> bool:
    """Whether two session descriptions differ in nothing but the version and the name of the session (RFC 8866 5.2)."""
    if one is None or other is None:
        return one is other
    return one.media_type == other.media_type and _without_origin(one) == _without_origin(other)


def _without_origin(body: Body) -> list[bytes]:
    return [line for line in body.content.splitlines() if not line.startswith(b"o=")]


def refusal_of(offer: Body) -> Body | None:
    """The answer that refuses every stream of an offer: port 0 (RFC 3264 6). None where the offer is none."""
    if not offer.is_description:
        return None
    lines = [b"v=0", b"o=- 0 0 IN IP4 0.0.0.0", b"s=-", b"c=IN IP4 0.0.0.0"]
    for line in offer.content.splitlines():
        if line.startswith(b"t="):
            lines.append(line)
        elif line.startswith(b"m="):
            kind, _, rest = line.partition(b" ")
            lines.append(kind + b" 0 " + rest.partition(b" ")[2])
    return Body(SESSION_TYPE, b"".join(line + b"\r\n" for line in lines))


_DIGITS = frozenset("0123456789*#ABCD")
_DTMF_RELAY = "application/dtmf-relay"
_USUAL_MILLISECONDS = 160
_MAXIMUM_MILLISECONDS = 6_000


class PressedDigit(NamedTuple):
    """A DTMF digit and how long it was pressed, as INFO tells it."""

    digit: str
    """Blank for none."""
    milliseconds: int = _USUAL_MILLISECONDS


def digit_of(body: Body) -> PressedDigit:
    """The DTMF digit of an INFO body (application/dtmf-relay, application/dtmf); without a duration the usual one."""
    kind = body.media_type
    text = body.content[:200].decode("ascii", "replace")
    milliseconds = _USUAL_MILLISECONDS
    if kind == _DTMF_RELAY:
        fields: dict[str, str] = {}
        for line in text.splitlines():
            name, _, value = line.partition("=")
            fields.setdefault(name.strip().lower(), value.strip())
        text = fields.get("signal", "")
        duration = fields.get("duration", "")
        if duration.isascii() and duration.isdigit():
            milliseconds = min(int(duration), _MAXIMUM_MILLISECONDS) or milliseconds
    elif kind != "application/dtmf":
        return PressedDigit("")
    digit = text.strip().upper()
    digit = {"10": "*", "11": "#"}.get(digit, digit)
    return PressedDigit(digit if digit in _DIGITS else "", milliseconds)


def info_body(pressed: PressedDigit) -> Body:
    """The INFO body that tells a digit."""
    milliseconds = pressed.milliseconds or _USUAL_MILLISECONDS
    return Body(_DTMF_RELAY, f"Signal={pressed.digit}\r\nDuration={milliseconds}\r\n".encode())
