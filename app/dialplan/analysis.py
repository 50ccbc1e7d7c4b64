"""The steps that look at numbers before a route is taken: number list, caller, called, call level."""

from __future__ import annotations

from app.dialplan import words
from app.dialplan.decision import Reject, RejectCause, TrailStep
from app.dialplan.number_lists import why_not_listed
from app.dialplan.progress import Progress
from app.records import AnalyzeCalledNumber, Record
from app.records.business_hours import day_and_time


def read_called(progress: Progress) -> None:
    """Take the called number without visual separators."""
    written, progress.called = progress.called, progress.plan.read(progress.called)
    if progress.called != written:
        progress.trail.append(TrailStep("written number", words.written, arguments=(written, progress.called)))


def check_number_list(progress: Progress) -> Reject | None:
    """The refusal of a call that the black and white list blocks, or None."""
    lists = progress.plan.number_lists
    if not lists:
        return None
    caller, called = progress.caller, progress.called
    entry, losers = lists.find(caller, called)
    share = 0.0 if entry is None else entry.block_percent / 100
    blocked = progress.draw < share
    if 0.0 < share < 1.0:
        # What is left of the draw is as even as it was, so that weights further on do not depend on this share.
        progress.draw = progress.draw / share if blocked else (progress.draw - share) / (1.0 - share)
    progress.trail.append(
        TrailStep("number list", words.number_list, entry, losers, (caller, called, entry, blocked), why_not_listed)
    )
    if not blocked or entry is None:
        return None
    text = f"calls from {words.shown(caller)} to {words.shown(called)} are blocked by number list entry {entry.id}"
    return progress.reject(403, text, RejectCause.NUMBER_LIST)


def analyze_caller(progress: Progress) -> None:
    """Change the caller's number by the record with the longest prefix."""
    tree = progress.plan.analyze_caller
    if not tree:
        return
    number = progress.caller
    record, losers = tree.find_with_losers(number)
    after, transition = (number, None) if record is None else progress.change(number, record.transition_id)
    progress.caller = after
    progress.trail.append(
        TrailStep("caller number", words.analyze_caller, record, losers, (number, record, after, transition))
    )


def analyze_called(progress: Progress) -> tuple[AnalyzeCalledNumber | None, Record | None]:
    """The record that takes the called number, with the target it names; its transition changes the number."""
    number = progress.called
    record, losers = progress.plan.analyze_called.find_with_losers(number)
    if record is None:
        progress.trail.append(
            TrailStep("called number", words.analyze_called, None, losers, (number, None, number, None, None))
        )
        return None, None
    progress.counts_as_external = record.counts_as_external
    after, transition = progress.change(number, record.transition_id)
    target = progress.plan.target(record.route_type, record.target_id)
    progress.called = after
    progress.trail.append(
        TrailStep("called number", words.analyze_called, record, losers, (number, record, after, transition, target))
    )
    return record, target


def _level_needed(progress: Progress, record: AnalyzeCalledNumber) -> int:
    """The call level that a record asks for at this time."""
    hours, at = progress.plan.business_hours, progress.request.at
    if not record.call_level_outside_hours or not hours or at is None:
        return record.call_level
    within = at in hours
    level = record.call_level if within else record.call_level_outside_hours
    arguments = (day_and_time(at), within, hours.text, record.id, level)
    progress.trail.append(TrailStep("business hours", words.business_hours, progress.plan.system, arguments=arguments))
    return level


def check_call_level(progress: Progress, record: AnalyzeCalledNumber) -> Reject | None:
    """The refusal of a call whose source lacks the record's call level, or None. Trunks and lines have level 0 only."""
    level = _level_needed(progress, record)
    if level == 0:
        return None
    user = progress.user
    has_it = user is not None and level in user.call_levels
    arguments = (level, record.id, progress.source_name, user, has_it)
    progress.trail.append(TrailStep("call level", words.call_level, record, arguments=arguments))
    if has_it:
        return None
    return progress.reject(
        403, f"{progress.source_name} may not call numbers of call level {level}", RejectCause.CALL_LEVEL
    )
