"""Which trunks, lines and routing groups a call can ever get to."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.dialplan.plan import DialPlan
from app.records import AnalyzeCalledNumber, ExternalLine, RouteType, SipTrunk


@dataclass(slots=True)
class Reachable:
    """The ids that some enabled record, or the default route, leads to."""

    trunks: set[int] = field(default_factory=set)
    lines: set[int] = field(default_factory=set)
    groups: set[int] = field(default_factory=set)


def reachable(plan: DialPlan) -> Reachable:
    """Follow every enabled record, routing group and next trunk; limits and states of the moment do not count."""
    found = Reachable()
    routes = {
        (each.route_type, each.target_id) for each in plan.configuration.records(AnalyzeCalledNumber) if each.enabled
    }
    system = plan.system
    if system.default_route_type is not RouteType.LOCAL_USER:
        routes.add((system.default_route_type, system.default_target_id))
    any_line = bool(system.outgroup_prefix) or (RouteType.EXTERNAL_LINE, 0) in routes
    if any_line:
        found.lines.update(line.id for line in plan.shared_lines)
        found.lines.update(
            user.external_line_id
            for user in plan.users.values()
            if user.enabled and user.external_line_id in plan.lines
        )
    for route_type, target_id in routes:
        _add(found, plan, route_type, target_id)
    followed: set[int] = set()
    for line_id in found.lines:
        _follow(found, plan, plan.lines[line_id], followed)
    for trunk_id in tuple(found.trunks):
        _follow(found, plan, plan.trunks[trunk_id], followed)
    return found


def _add(found: Reachable, plan: DialPlan, route_type: RouteType, target_id: int) -> None:
    if route_type is RouteType.SIP_TRUNK and target_id in plan.trunks:
        found.trunks.add(target_id)
    elif route_type is RouteType.EXTERNAL_LINE and target_id in plan.lines:
        found.lines.add(target_id)
    elif route_type is RouteType.ROUTING_GROUP and target_id in plan.groups:
        found.groups.add(target_id)
        group = plan.groups[target_id]
        for member in group.members if group.enabled else ():
            _add(found, plan, member.route_type, member.target_id)


def _follow(found: Reachable, plan: DialPlan, origin: SipTrunk | ExternalLine, followed: set[int]) -> None:
    """The trunks behind an origin; no trunk is followed twice, so that cycles end and long chains are cheap."""
    following = origin.next_trunk_id
    while following in plan.trunks and following not in followed:
        followed.add(following)
        found.trunks.add(following)
        following = plan.trunks[following].next_trunk_id
