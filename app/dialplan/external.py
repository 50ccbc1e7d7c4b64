"""The bounds of what a source calls outwards: so many external calls an hour, so many minutes of them a day."""

from __future__ import annotations

from app.dialplan import words
from app.dialplan.decision import Reject, RejectCause, TrailStep
from app.dialplan.progress import Progress
from app.records import ExternalLine, LocalUser, SipTrunk


def has_bound(record: SipTrunk | ExternalLine | LocalUser) -> bool:
    """Whether the record of a source bounds its external calls."""
    return bool(record.max_external_calls_per_hour or record.max_external_minutes_per_day)


def is_external_bounded(progress: Progress) -> bool:
    """Whether a call to a trunk or line counts for limits that its source has."""
    who = progress.who
    return who is not None and progress.counts_as_external and has_bound(who)


def check_external_calls(progress: Progress) -> Reject | None:
    """The refusal of an external call whose source has made as many as it may, or None."""
    who = progress.who
    assert who is not None, "nobody's calls are not bounded"
    name, calls, minutes = progress.source_name, who.max_external_calls_per_hour, who.max_external_minutes_per_day
    use = progress.live.external_use(name)
    progress.trail.append(TrailStep("external calls", words.external_calls, who, arguments=(name, use, calls, minutes)))
    if use.stopped_until:
        text = f"the external calls of {name} are stopped until {use.stopped_until}"
    elif calls and use.calls >= calls:
        text = f"{name} has made all of its {calls} external calls of an hour"
    elif minutes and use.minutes >= minutes:
        text = f"{name} has talked all of its {minutes} external minutes of a day"
    else:
        return None
    return progress.reject(403, text, RejectCause.EXTERNAL_LIMIT)
