"""The words of the trail: one function per step, called only when a person or a call record reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.dialplan.decision import DialTarget, Skipped
from app.dialplan.live import ExternalUse
from app.records import (
    AnalyzeCalledNumber,
    AnalyzeCallerNumber,
    LocalUser,
    NumberList,
    NumberTransition,
    Record,
    RefineCalledNumber,
    RefineCallerNumber,
    RouteType,
    RoutingGroup,
)
from app.records.types import CHOICE_WORDS
from app.text import printable

_LONGEST_NUMBER = 40
_MOST_LISTED = 6


def shown(number: str) -> str:
    """A number as the trail shows it: never blank, never long, nothing that breaks a line."""
    if not number:
        return "(no number)"
    number = printable(number[: _LONGEST_NUMBER + 1], "?")
    return number if len(number) <= _LONGEST_NUMBER else number[: _LONGEST_NUMBER - 1] + "…"


def called(record: Record) -> str:
    """A record as the trail names it: `SIP trunk 1 - Carrier (192.0.2.8:5060)`, `local user 100 - Reception`."""
    return f"{record.title} {record.caption()}"


def place(route_type: RouteType, target_id: int, target: Record | None) -> str:
    """Where a record sends a call."""
    if target is not None:
        return called(target) + ("" if target.enabled else ", which is disabled")
    if target_id:
        return f"{CHOICE_WORDS[route_type]} {target_id}, which does not exist"
    if route_type is RouteType.LOCAL_USER:
        return "the local user with that number"
    if route_type is RouteType.EXTERNAL_LINE:
        return "an external line: the caller's own or a free shared one"
    return f"a {CHOICE_WORDS[route_type]}, but names none"


def fits(number: str, prefix: str) -> str:
    """How a number meets a record's prefix."""
    return f"{shown(number)} begins with {prefix}" if prefix else f"{shown(number)} fits as any number does"


def changed(before: str, after: str, transition_id: int, transition: NumberTransition | None) -> str:
    """What a transition made of a number."""
    if not transition_id:
        return "the number stays as it is"
    if transition is None:
        return f"the number stays, because transition {transition_id} does not exist"
    if not transition.enabled:
        return f"the number stays, because transition {transition_id} is disabled"
    what = f"transition {transition_id}: {transition.detail()}"
    return f"it stays {shown(after)} ({what})" if before == after else f"it becomes {shown(after)} ({what})"


def source(who: Record | None, name: str, caller: str, number: str, active: int, limit: int) -> str:
    """Who calls whom, and how many of its calls a trunk or line has."""
    words = f"{called(who) if who is not None else name} calls {shown(number)} from number {shown(caller)}"
    return f"{words}; {active} of {limit} incoming calls are in use" if limit else words


def redirected(name: str, number: str) -> str:
    """A call that the called side sent elsewhere."""
    return f"the call from {name} was redirected to {shown(number)}; limits were checked when it came in"


def written(number: str, read: str) -> str:
    """A number with visual separators."""
    return f"{shown(number)} is read as {shown(read)}: no user and no record has it with - or ."


def number_list(caller: str, number: str, entry: NumberList | None, blocked: bool) -> str:
    """What the black and white list says."""
    between = f"{shown(caller)} calling {shown(number)}"
    if entry is None:
        return f"no entry fits {between}, so the call passes"
    words = f"entry {entry.id} ({entry.detail()}) decides about {between}: "
    if entry.block_percent == 0:
        return words + "it lets the call pass"
    if entry.block_percent == 100:
        return words + "it blocks the call"
    return (
        words + f"it blocks {entry.block_percent} % of such calls, and this one {'is blocked' if blocked else 'passes'}"
    )


def analyze_caller(
    number: str,
    record: AnalyzeCallerNumber | None,
    after: str,
    transition: NumberTransition | None,
) -> str:
    """What the analysis made of the caller's number."""
    if record is None:
        return f"no record fits {shown(number)}, so it stays as it is"
    return f"{fits(number, record.prefix)}, so record {record.id} applies: " + changed(
        number, after, record.transition_id, transition
    )


def analyze_called(
    number: str,
    record: AnalyzeCalledNumber | None,
    after: str,
    transition: NumberTransition | None,
    target: Record | None,
) -> str:
    """Which record takes the called number, and where to."""
    if record is None:
        return f"no record fits {shown(number)}"
    return (
        f"{fits(number, record.prefix)}, so record {record.id} sends it to "
        f"{place(record.route_type, record.target_id, target)}; "
    ) + changed(number, after, record.transition_id, transition)


def business_hours(moment: str, within: bool, hours: str, record_id: int, level: int) -> str:
    """Which call level the time asks for."""
    where = "within" if within else "outside"
    return f"it is {moment}, {where} the business hours ({hours}), so record {record_id} needs " + (
        f"call level {level}" if level else "no call level"
    )


def external_calls(name: str, use: ExternalUse, calls: int, minutes: int) -> str:
    """How far a source has come towards the limits of its external calls (0: none)."""
    parts: list[str] = []
    if calls:
        parts.append(f"made {use.calls} of {calls} external calls within an hour")
    if minutes:
        parts.append(f"talked {use.minutes} of {minutes} external minutes within a day")
    return f"{name} has {' and '.join(parts)}" + (f"; stopped until {use.stopped_until}" if use.stopped_until else "")


def call_level(level: int, record_id: int, name: str, user: LocalUser | None, has_it: bool) -> str:
    """Whether the source may call a record with a level."""
    words = f"record {record_id} needs call level {level}, "
    if user is None:
        return words + f"{name} is no local user and may call level 0 only"
    levels = ", ".join(str(each) for each in user.call_levels) or "level 0 only"
    return words + f"local user {user.number} {'has it' if has_it else 'does not have it'} ({levels})"


def out_group(number: str, prefix: str, after: str) -> str:
    """A number that asks for an external line."""
    return (
        f"{shown(number)} begins with the out-group prefix {prefix}, so an external line takes it without that "
        f"prefix, as {shown(after)}"
    )


def out_group_without_lines(number: str, prefix: str) -> str:
    """Why a number that asks for an external line does not get one."""
    return f"{shown(number)} begins with the out-group prefix {prefix}, but there is no external line at all"


def default_route(route_type: RouteType, target_id: int, target: Record | None) -> str:
    """Where a number goes that nothing fits."""
    return f"nothing else fits, so the number goes to {place(route_type, target_id, target)}"


def line_rings(line: Record, number: str) -> str:
    """A line's incoming call rings its user whatever the dial plan says."""
    return f"calls of {called(line)} ring its local user {number}; the called number is not analyzed"


def own_line(user: LocalUser, line: Record) -> str:
    """The user's own line."""
    return f"local user {user.number} calls out through the own line: {called(line)}"


def own_line_missing(user: LocalUser, line_id: int) -> str:
    """The user's own line was deleted."""
    return f"the own line of local user {user.number}, external line {line_id}, does not exist; a shared one is taken"


def shared_line(line: Record, active: int, _others: Mapping[int, int | str]) -> str:
    """The free shared line with the fewest calls."""
    return f"{called(line)} is the free shared line with the fewest calls: {active}"


def no_shared_line(source_name: str) -> str:
    """Nothing to choose from."""
    return f"no shared external line is free for {source_name}"


def routing_group(group: RoutingGroup, order: Sequence[str], turn: int) -> str:
    """In which order a group's members come."""
    words = f"{called(group)}, {CHOICE_WORDS[group.strategy]}"
    if turn >= 0:
        words += f", turn {turn}"
    if not order:
        return f"{words}: no member can take the call now"
    return f"{words}: {listed(order)}"


def next_trunks(origin: Record, followers: Sequence[int], end: int) -> str:
    """Which trunks follow when one cannot take the call. `end`: an id that was used already (below 0: is missing)."""
    words = f"when {origin.title} {origin.id} cannot take the call, "
    if followers:
        words += "SIP trunk " + ", then ".join(str(each) for each in followers[:_MOST_LISTED])
        words += f" and {len(followers) - _MOST_LISTED} more" if len(followers) > _MOST_LISTED else ""
        words += " takes it"
    else:
        words += "no other trunk follows"
    if end > 0:
        words += f"; trunk {end} comes up again there and is not tried twice"
    elif end < 0:
        words += f"; trunk {-end} comes next but does not exist"
    return words


def passed_over(skipped: Sequence[Skipped]) -> str:
    """The targets that cannot take the call now."""
    return "cannot take the call now: " + listed([f"{each.name} ({each.reason})" for each in skipped])


def resting(resting: Sequence[tuple[str, str]], others: bool) -> str:
    """The targets that want no calls for now. `others`: there are some that take the call."""
    names = "; ".join(f"{name} {why}" for name, why in resting)
    return f"{names}: " + ("tried only if the others fail" if others else "tried anyway, as there is no other choice")


def hairpin(name: str) -> str:
    """A call that leaves where it came in."""
    return f"the call came in through {name} and goes out there again"


def refine(
    what: str,
    group: int,
    number: str,
    record: RefineCallerNumber | RefineCalledNumber | None,
    after: str,
    transition: NumberTransition | None,
) -> str:
    """What the outgoing group makes of a number on the way out."""
    if record is None:
        return f"no record of outgoing group {group} fits the {what} number {shown(number)}, so it stays"
    return (
        f"outgoing group {group}: the {what} number {fits(number, record.prefix)}, so record {record.id} applies: "
        + (changed(number, after, record.transition_id, transition))
    )


def unified(before: str, after: str) -> str:
    """The one caller number of a trunk or line."""
    return f"the caller number {shown(before)} is sent as the unified caller number {shown(after)}"


def dial(targets: Sequence[DialTarget], left_out: int) -> str:
    """The decision to dial."""
    first = targets[0]
    if first.kind is RouteType.LOCAL_USER:
        return f"ring {called(first.record)}; the caller is shown as {shown(first.caller_number)}"
    parts = [
        f"{called(each.record)} with {shown(each.called_number)} from {shown(each.caller_number)}"
        for each in targets[:_MOST_LISTED]
    ]
    more = len(targets) - len(parts)
    words = "dial " + ", then ".join(parts)
    words += f", then {more} more" if more else ""
    return words + (f"; {left_out} further targets are not tried in one call" if left_out else "")


def reject(status: int, reason: str, text: str) -> str:
    """The decision to refuse."""
    return f"refuse with {status} {reason}: {text}"


def listed(parts: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = len(parts) - _MOST_LISTED
    return ", ".join(parts[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
