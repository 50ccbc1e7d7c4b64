"""What a call decides by the words of its peers: causes, better failures, digits and hold, as pure functions."""

from __future__ import annotations

from app.calls.leg import passed_on
from app.calls.leg_events import Body, EndCause, Failed, FailureKind
from app.dialplan.decision import DialTarget
from app.records.trunks import OutgoingFields

STATUS_OF_AN_END = {EndCause.SHUTDOWN: 503, EndCause.ERROR: 500}
UNHEARD = (FailureKind.TIMEOUT, FailureKind.TRANSPORT)
GLOBAL_FAILURES = range(600, 700)


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
    """Whether an answer puts the call on hold (RFC 3264 8.4, and the old form with the zero address)."""
    if not body.is_description:
        return False
    content = body.content
    return (
        b"a=inactive" in content
        or b"a=sendonly" in content
        or b"a=recvonly" in content
        or b"c=IN IP4 0.0.0.0" in content
    )


_DIGITS = frozenset("0123456789*#ABCD")


def digit_of(body: Body) -> str:
    """The DTMF digit of an INFO body, blank where there is none (application/dtmf-relay, application/dtmf)."""
    kind = body.media_type
    text = body.content[:200].decode("ascii", "replace")
    if kind == "application/dtmf-relay":
        for line in text.splitlines():
            name, equals, value = line.partition("=")
            if equals and name.strip().lower() == "signal":
                text = value
                break
        else:
            return ""
    elif kind != "application/dtmf":
        return ""
    digit = text.strip().upper()
    digit = {"10": "*", "11": "#"}.get(digit, digit)
    return digit if digit in _DIGITS and digit else ""
