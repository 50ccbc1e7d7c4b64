"""From a route to the targets in order: who can take the call now, who follows, and the numbers that each gets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from app.dialplan import words
from app.dialplan.decision import Dial, DialTarget, RejectCause, RouteDecision, Skipped, TrailStep, why_prefix
from app.dialplan.external import check_external_calls, is_external_bounded
from app.dialplan.groups import Candidate, order_members
from app.dialplan.progress import Progress
from app.dialplan.request import SourceKind
from app.records import (
    ExternalLine,
    GroupStrategy,
    LocalUser,
    Record,
    RefineCalledNumber,
    RefineCallerNumber,
    RouteType,
    RoutingGroup,
    SipTrunk,
)
from app.records.types import CHOICE_WORDS

NOTHING_LEFT = "nothing is left of the called number"
MAX_TARGETS = 32
"""So many targets are tried in one call at most; more are left out, and the trail says so."""

Way = tuple[RouteType, str, SipTrunk | ExternalLine]
"""A trunk or line that can take the call: its kind, its name and its record."""


def take_route(progress: Progress, route_type: RouteType, target_id: int, target: Record | None) -> RouteDecision:
    """The decision for a number that goes to a target (0: the number itself, or any free line)."""
    if route_type is RouteType.LOCAL_USER and target_id == 0:
        return ring_user(progress, progress.plan.users.get(progress.called), progress.called)
    if target is None:
        return _without_target(progress, route_type, target_id)
    if route_type is RouteType.LOCAL_USER:
        user = cast(LocalUser, target)
        return ring_user(progress, user, user.number)
    if not progress.called:
        return progress.reject(484, NOTHING_LEFT, RejectCause.NO_NUMBER)
    if route_type is RouteType.ROUTING_GROUP:
        return dial_group(progress, cast(RoutingGroup, target))
    peer = cast("SipTrunk | ExternalLine", target)
    ways: list[Way] = []
    consider(progress, route_type, peer, ways)
    if peer.next_trunk_id:
        follow_next_trunks(progress, (peer,), ways)
    return dial(progress, ways)


def _without_target(progress: Progress, route_type: RouteType, target_id: int) -> RouteDecision:
    """A route that names no record, or one that is gone."""
    if target_id:
        # Not 404: the number is known, the way to it is broken, and the caller's server should try its next way.
        name = f"{CHOICE_WORDS[route_type]} {target_id}"
        progress.skipped.append(Skipped(target_name(route_type, target_id), "does not exist"))
        return progress.reject(503, f"the number leads to {name}, which does not exist", RejectCause.NO_TARGET)
    if route_type is not RouteType.EXTERNAL_LINE:
        return progress.reject(404, _nobody(progress.called), RejectCause.NOT_FOUND)
    if not progress.called:
        return progress.reject(484, NOTHING_LEFT, RejectCause.NO_NUMBER)
    return dial_any_line(progress)


def _nobody(number: str) -> str:
    return f"no record and no local user has the number {words.shown(number)}"


def target_name(route_type: RouteType, target_id: int) -> str:
    """`trunk:1`, `line:1`, `group:1`; a user's id stands in where the number is not known."""
    if route_type is RouteType.SIP_TRUNK:
        return f"trunk:{target_id}"
    if route_type is RouteType.EXTERNAL_LINE:
        return f"line:{target_id}"
    return f"group:{target_id}" if route_type is RouteType.ROUTING_GROUP else f"user:{target_id}"


def ring_user(progress: Progress, user: LocalUser | None, number: str) -> RouteDecision:
    """Ring a local user's phones, or say why not: 404 unknown, 480 disabled or not registered, 486 over the limit."""
    if not number:
        return progress.reject(484, NOTHING_LEFT, RejectCause.NO_NUMBER)
    if user is None:
        return progress.reject(404, _nobody(number), RejectCause.NOT_FOUND)
    name = f"user:{user.number}"
    if not user.enabled:
        # Not 404: the number exists, and its owner may be back.
        progress.skipped.append(Skipped(name, "disabled"))
        return progress.reject(480, f"local user {user.number} is disabled", RejectCause.NOT_REGISTERED)
    limit = user.max_calls
    if limit and progress.live.user_active(user.number) >= limit:
        progress.skipped.append(Skipped(name, f"limit of {limit} calls reached"))
        return progress.reject(486, f"local user {user.number} has all of its {limit} calls", RejectCause.LIMIT)
    if progress.live.user_contacts(user.number) < 1:
        progress.skipped.append(Skipped(name, "not registered"))
        return progress.reject(480, f"local user {user.number} is not registered", RejectCause.NOT_REGISTERED)
    target = DialTarget(RouteType.LOCAL_USER, user.id, name, progress.caller, user.number, user)
    progress.trail.append(TrailStep("decision", words.dial, arguments=((target,), 0)))
    return Dial((target,), (), tuple(progress.trail))


def dial_group(progress: Progress, group: RoutingGroup) -> RouteDecision:
    """Dial the members of a routing group that can take the call, in the order of its strategy.

    All members come before anybody's next trunk: the group is what was chosen, a next trunk is the last resort.
    """
    if not group.enabled:
        progress.skipped.append(Skipped(f"group:{group.id}", "disabled"))
        return progress.reject(503, f"routing group {group.id} is disabled", RejectCause.NO_TARGET)
    if not group.members:
        progress.skipped.append(Skipped(f"group:{group.id}", "has no members"))
        return progress.reject(503, f"routing group {group.id} has no members", RejectCause.NO_TARGET)
    candidates: list[Candidate] = []
    origins: list[SipTrunk | ExternalLine] = []
    ways: list[Way] = []
    for member in group.members:
        record = cast("SipTrunk | ExternalLine | None", progress.plan.target(member.route_type, member.target_id))
        if record is None:
            progress.skipped.append(Skipped(target_name(member.route_type, member.target_id), "does not exist"))
            continue
        before = len(ways)
        consider(progress, member.route_type, record, ways)
        origins.append(record)
        if len(ways) > before:
            candidates.append(
                Candidate(member, ways[-1][1], record, active_out(progress, member.route_type, record.id))
            )
    turn = progress.live.round_robin(group.id) if group.strategy is GroupStrategy.ROUND_ROBIN else -1
    ordered = order_members(group, candidates, max(turn, 0), progress.draw)
    arguments = (group, tuple(each.name for each in ordered), turn)
    progress.trail.append(TrailStep("routing group", words.routing_group, group, arguments=arguments))
    ways = [(each.member.route_type, each.name, each.record) for each in ordered]
    follow_next_trunks(progress, origins, ways)
    return dial(progress, ways, group.id)


def dial_any_line(progress: Progress) -> RouteDecision:
    """Dial through the user's own line, or the free shared line with the fewest calls."""
    plan = progress.plan
    user = progress.user
    ways: list[Way] = []
    if user is not None and user.external_line_id:
        own = plan.lines.get(user.external_line_id)
        if own is not None:
            progress.trail.append(TrailStep("external line", words.own_line, own, arguments=(user, own)))
            consider(progress, RouteType.EXTERNAL_LINE, own, ways)
            follow_next_trunks(progress, (own,), ways)
            return dial(progress, ways)
        arguments = (user, user.external_line_id)
        progress.trail.append(TrailStep("external line", words.own_line_missing, arguments=arguments))
        progress.skipped.append(Skipped(f"line:{user.external_line_id}", "does not exist"))
    best: ExternalLine | None = None
    fewest = 0
    best_rests = ""
    others: list[tuple[ExternalLine, int]] = []
    failed: list[ExternalLine] = []
    for line in plan.shared_lines:
        active = progress.live.line_active_out(line.id)
        rest = progress.live.line_rests(line.id)
        # One that wants no calls for now is taken only where there is no other one.
        if best is not None and (bool(rest), active) >= (bool(best_rests), fewest):
            others.append((line, active))
            continue
        trouble = line_trouble(progress, line, active)
        if trouble:
            progress.seen.add(f"line:{line.id}")
            progress.skipped.append(Skipped(f"line:{line.id}", trouble))
            failed.append(line)
            continue
        if best is not None:
            others.append((best, fewest))
        best, fewest, best_rests = line, active, rest
    if best is None:
        unusable = [line for line in plan.lines.values() if not (line.shared and line.enabled)]
        arguments_of_none = (progress.source_name,)
        progress.trail.append(
            TrailStep("external line", words.no_shared_line, None, unusable, arguments_of_none, why_not_this_line)
        )
        # A full or down line counts as failed, so its next trunk takes the call.
        follow_next_trunks(progress, failed, ways)
        if ways:
            return dial(progress, ways)
        return progress.reject(503, "no shared external line is free", RejectCause.NO_TARGET)
    progress.trail.append(
        TrailStep(
            "external line",
            words.shared_line,
            best,
            [line for line, _ in others],
            (best, fewest, {line.id: progress.live.line_rests(line.id) or active for line, active in others}),
            why_not_this_line,
        )
    )
    name = f"line:{best.id}"
    progress.seen.add(name)
    ways.append((RouteType.EXTERNAL_LINE, name, best))
    follow_next_trunks(progress, (best,), ways)
    return dial(progress, ways)


def why_not_this_line(winner: Record | None, loser: Record, arguments: tuple[Any, ...]) -> str:
    """Why an external line was not chosen; beside a winner, `arguments` end with the calls of each line by id.

    Of one that rests they have the words of that instead.
    """
    if winner is not None:
        active = arguments[-1][loser.id]
        if isinstance(active, str):
            return f"it {active}"
        return f"{active} calls" if active > arguments[1] else f"{active} calls, too, with a higher ID"
    return "not shared" if loser.enabled else "disabled"


def consider(progress: Progress, kind: RouteType, record: SipTrunk | ExternalLine, ways: list[Way]) -> None:
    """Add a trunk or line to the ways when it can take the call now, otherwise to those passed over; once per call."""
    name = f"trunk:{record.id}" if kind is RouteType.SIP_TRUNK else f"line:{record.id}"
    if name in progress.seen:
        return
    progress.seen.add(name)
    if kind is RouteType.SIP_TRUNK:
        trouble = trunk_trouble(progress, record)
    else:
        trouble = line_trouble(progress, cast(ExternalLine, record), progress.live.line_active_out(record.id))
    if trouble:
        progress.skipped.append(Skipped(name, trouble))
    else:
        ways.append((kind, name, record))


def trunk_trouble(progress: Progress, trunk: SipTrunk | ExternalLine) -> str:
    """Why the trunk cannot take the call now, or blank."""
    if not trunk.enabled:
        return "disabled"
    limit = trunk.max_outgoing_calls
    if limit == 0:
        return "outgoing limit 0: no outgoing calls"
    live = progress.live
    if live.trunk_active_out(trunk.id) >= limit:
        return f"outgoing limit {limit} reached"
    down = live.trunk_down(trunk.id)
    if down:
        return f"down: {down}"
    if trunk.max_calls_per_second and live.trunk_rate_full(trunk.id):
        return f"limit of {trunk.max_calls_per_second} calls per second reached"
    return ""


def line_trouble(progress: Progress, line: ExternalLine, active: int) -> str:
    """Why the line cannot take the call now, or blank."""
    if not line.enabled:
        return "disabled"
    if not line.shared:
        owners = progress.plan.line_owners.get(line.id)
        if owners and (progress.user is None or progress.user.number not in owners):
            return f"not shared: it belongs to {words.listed(sorted(owners))}"
    limit = line.max_outgoing_calls
    if limit == 0:
        return "outgoing limit 0: no outgoing calls"
    if active >= limit:
        return f"outgoing limit {limit} reached"
    down = progress.live.line_down(line.id)
    if down:
        return f"down: {down}"
    if line.max_calls_per_second and progress.live.line_rate_full(line.id):
        return f"limit of {line.max_calls_per_second} calls per second reached"
    return ""


def active_out(progress: Progress, kind: RouteType, record_id: int) -> int:
    """The calls that go out through a trunk or line now."""
    live = progress.live
    return live.trunk_active_out(record_id) if kind is RouteType.SIP_TRUNK else live.line_active_out(record_id)


def follow_next_trunks(progress: Progress, origins: Iterable[SipTrunk | ExternalLine], ways: list[Way]) -> None:
    """Add the next trunk of each origin, the next of that one and so on; every trunk once, so a cycle just ends."""
    trunks = progress.plan.trunks
    for origin in origins:
        next_id = origin.next_trunk_id
        if not next_id:
            continue
        followers: list[int] = []
        end = 0
        while next_id:
            trunk = trunks.get(next_id)
            if trunk is None:
                end = -next_id
                break
            if f"trunk:{next_id}" in progress.seen:
                end = next_id
                break
            consider(progress, RouteType.SIP_TRUNK, trunk, ways)
            followers.append(next_id)
            next_id = trunk.next_trunk_id
        arguments = (origin, tuple(followers), end)
        progress.trail.append(TrailStep("next trunk", words.next_trunks, arguments=arguments))


def dial(progress: Progress, ways: list[Way], group_id: int = 0) -> RouteDecision:
    """The decision to dial the ways in order, each with its own numbers; 503 when there are none."""
    targets: list[DialTarget] = []
    ways = resting_last(progress, ways)
    for kind, name, record in ways[:MAX_TARGETS]:
        caller, called = refined(progress, name, record)
        if not called:
            progress.skipped.append(Skipped(name, "nothing is left of the called number after refinement"))
            continue
        targets.append(DialTarget(kind, record.id, name, caller, called, record))
    trail = progress.trail
    skipped = tuple(progress.skipped)
    if not targets:
        text = "no target can take the call: " + words.listed([f"{each.name} ({each.reason})" for each in skipped])
        return progress.reject(503, text, RejectCause.NO_TARGET)
    is_bounded = is_external_bounded(progress)
    if is_bounded:
        refused = check_external_calls(progress)
        if refused is not None:
            return refused
    if progress.request.source.kind is not SourceKind.LOCAL_USER:
        source = progress.source_name
        if any(target.name == source for target in targets):
            trail.append(TrailStep("hairpin", words.hairpin, arguments=(source,)))
    if skipped:
        trail.append(TrailStep("passed over", words.passed_over, arguments=(skipped,)))
    ready = tuple(targets)
    trail.append(TrailStep("decision", words.dial, arguments=(ready, max(0, len(ways) - MAX_TARGETS))))
    return Dial(ready, skipped, tuple(trail), group_id, is_bounded)


def resting_last(progress: Progress, ways: list[Way]) -> list[Way]:
    """The ways with those at the end that want no calls for now: they are tried where nobody else takes the call.

    RFC 3261 21.5.4: who answers 503 with Retry-After gets no further requests for so long.
    """
    resting = [(way, why) for way in ways if (why := rests(progress, way[0], way[2].id))]
    if not resting:
        return ways
    names = {way[1] for way, _ in resting}
    others = [way for way in ways if way[1] not in names]
    arguments = (tuple((way[1], why) for way, why in resting), bool(others))
    progress.trail.append(TrailStep("resting", words.resting, arguments=arguments))
    return others + [way for way, _ in resting]


def rests(progress: Progress, kind: RouteType, record_id: int) -> str:
    """Until when a trunk or line wants no calls and why, in words; blank while it takes them."""
    live = progress.live
    return live.trunk_rests(record_id) if kind is RouteType.SIP_TRUNK else live.line_rests(record_id)


def refined(progress: Progress, name: str, record: SipTrunk | ExternalLine) -> tuple[str, str]:
    """The caller and called number as this trunk or line gets them: refined by its group, then its unified number."""
    caller, called = progress.caller, progress.called
    group = record.outgoing_group_id
    plan = progress.plan
    trail = progress.trail
    if group:
        if plan.refine_caller:
            winner, losers = plan.refine_caller.find(group, caller)
            after, transition = (caller, None) if winner is None else progress.change(caller, winner.transition_id)
            arguments: tuple[Any, ...] = ("caller", group, caller, winner, after, transition)
            trail.append(TrailStep(f"{name} refine caller", words.refine, winner, losers, arguments, why_not_refined))
            caller = after
        if plan.refine_called:
            winner, losers = plan.refine_called.find(group, called)
            after, transition = (called, None) if winner is None else progress.change(called, winner.transition_id)
            arguments = ("called", group, called, winner, after, transition)
            trail.append(TrailStep(f"{name} refine called", words.refine, winner, losers, arguments, why_not_refined))
            called = after
    unified = record.unified_caller_number
    if unified:
        trail.append(TrailStep(f"{name} caller number", words.unified, record, arguments=(caller, unified)))
        caller = unified
    return caller, called


def why_not_refined(winner: Record | None, loser: Record, arguments: tuple[Any, ...]) -> str:
    """Why a refine record did not apply."""
    if isinstance(loser, RefineCallerNumber | RefineCalledNumber) and loser.outgoing_group_id != arguments[1]:
        return f"belongs to outgoing group {loser.outgoing_group_id}"
    return why_prefix(winner, loser, arguments)
