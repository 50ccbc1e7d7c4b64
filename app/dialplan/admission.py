"""The source of a call: known, enabled, and within its limits."""

from __future__ import annotations

from app.dialplan import words
from app.dialplan.decision import Reject, RejectCause, TrailStep
from app.dialplan.progress import Progress
from app.dialplan.request import SourceKind
from app.records import ExternalLine, SipTrunk

RETRY_AFTER_SECONDS = 5
"""Told to a peer over its incoming limit (RFC 3261 section 21.5.4). Short: the peer may send nothing meanwhile."""


def admit(progress: Progress) -> Reject | None:
    """The refusal of a call whose source may not call now, or None; begins the trail.

    A redirected call was admitted when it came in and is counted since, so its limits are not looked at again.
    """
    request = progress.request
    source = request.source
    kind = source.kind
    if kind is SourceKind.SIP_TRUNK:
        trunk = progress.plan.trunks.get(source.id)
        return _admit_peer(
            progress, trunk, "SIP trunk", 0 if trunk is None else progress.live.trunk_active_in(trunk.id)
        )
    if kind is SourceKind.EXTERNAL_LINE:
        line = progress.plan.lines.get(source.id)
        return _admit_peer(
            progress, line, "external line", 0 if line is None else progress.live.line_active_in(line.id)
        )
    if kind is SourceKind.LOCAL_USER:
        return _admit_user(progress)
    _begin(progress, None)
    return progress.reject(
        403,
        f"nobody is known at {source.address}: no SIP trunk, external line or local user",
        RejectCause.UNKNOWN_SOURCE,
    )


def _begin(progress: Progress, record: SipTrunk | ExternalLine | None, active: int = 0, limit: int = 0) -> None:
    request = progress.request
    who = progress.who = record if record is not None else progress.user
    if request.redirected:
        step = TrailStep("source", words.redirected, record, arguments=(progress.source_name, progress.called))
    else:
        arguments = (who, progress.source_name, progress.caller, progress.called, active, limit)
        step = TrailStep("source", words.source, who, arguments=arguments)
    progress.trail.append(step)


def _admit_peer(progress: Progress, peer: SipTrunk | ExternalLine | None, title: str, active: int) -> Reject | None:
    if peer is None:
        _begin(progress, None)
        return progress.reject(403, f"there is no {title} {progress.request.source.id}", RejectCause.UNKNOWN_SOURCE)
    limit = peer.max_incoming_calls
    _begin(progress, peer, active, limit)
    if not peer.enabled:
        return progress.reject(403, f"{title} {peer.id} is disabled", RejectCause.UNKNOWN_SOURCE)
    if progress.request.redirected or active < limit:
        return None
    text = (
        f"{title} {peer.id} has all of its {limit} incoming calls"
        if limit
        else f"{title} {peer.id} takes no incoming calls"
    )
    return progress.reject(503, text, RejectCause.LIMIT, RETRY_AFTER_SECONDS)


def _admit_user(progress: Progress) -> Reject | None:
    number = progress.request.source.number
    user = progress.user = progress.plan.users.get(number)
    _begin(progress, None)
    if user is None:
        return progress.reject(403, f"there is no local user {words.shown(number)}", RejectCause.UNKNOWN_SOURCE)
    if not user.enabled:
        return progress.reject(403, f"local user {number} is disabled", RejectCause.UNKNOWN_SOURCE)
    if progress.request.redirected:
        return None
    if user.max_calls and progress.live.user_active(number) >= user.max_calls:
        return progress.reject(486, f"local user {number} has all of its {user.max_calls} calls", RejectCause.LIMIT)
    if user.max_outgoing_calls and progress.live.user_active_out(number) >= user.max_outgoing_calls:
        text = f"local user {number} has all of its {user.max_outgoing_calls} outgoing calls"
        return progress.reject(486, text, RejectCause.LIMIT)
    return None
