"""The one function that decides where a call goes; calls, the simulator and the tests use it alike."""

from __future__ import annotations

from app.dialplan import words
from app.dialplan.admission import admit
from app.dialplan.analysis import analyze_called, analyze_caller, check_call_level, check_number_list, read_called
from app.dialplan.decision import RejectCause, RouteDecision, TrailStep
from app.dialplan.live import LiveState
from app.dialplan.plan import DialPlan
from app.dialplan.progress import Progress
from app.dialplan.request import CallRequest, SourceKind
from app.dialplan.targets import dial_any_line, ring_user, take_route
from app.records import RouteType


def decide(request: CallRequest, plan: DialPlan, live: LiveState) -> RouteDecision:
    """Where the call goes, or why it does not, with the trail of every step.

    The order: the source and its limits, how the called number is written, number list, analyze caller number, analyze
    called number, call level, route, then for each target its own refinement and unified caller number. Ask before the
    call is counted in `live`.
    The same arguments give the same answer; no input raises; nothing loops, whatever the records say.
    """
    progress = Progress(request, plan, live)
    refused = admit(progress)
    if refused is not None:
        return refused
    read_called(progress)
    refused = check_number_list(progress)
    if refused is not None:
        return refused
    analyze_caller(progress)
    if request.source.kind is SourceKind.EXTERNAL_LINE and not request.redirected:
        line = plan.lines[request.source.id]
        if line.local_user:
            progress.trail.append(TrailStep("local user", words.line_rings, line, arguments=(line, line.local_user)))
            return ring_user(progress, plan.users.get(line.local_user), line.local_user)
    if not progress.called:
        return progress.reject(484, "the call names no number", RejectCause.NO_NUMBER)
    record, target = analyze_called(progress)
    if record is None:
        return _without_record(progress)
    refused = check_call_level(progress, record)
    if refused is not None:
        return refused
    return take_route(progress, record.route_type, record.target_id, target)


def _without_record(progress: Progress) -> RouteDecision:
    """A number that no record fits: the out-group prefix, then the default route."""
    plan = progress.plan
    number = progress.called
    prefix = plan.system.outgroup_prefix
    if prefix and len(number) > len(prefix) and number.startswith(prefix):
        if plan.lines:
            progress.called = number[len(prefix) :]
            arguments: tuple[str, ...] = (number, prefix, progress.called)
            progress.trail.append(TrailStep("out-group prefix", words.out_group, arguments=arguments))
            return dial_any_line(progress)
        arguments = (number, prefix)
        progress.trail.append(TrailStep("out-group prefix", words.out_group_without_lines, arguments=arguments))
    route_type = plan.system.default_route_type
    # A local user is found by the dialled number: an id left over from another route type must not take every call.
    target_id = 0 if route_type is RouteType.LOCAL_USER else plan.system.default_target_id
    target = plan.target(route_type, target_id) if target_id else None
    arguments_of_route = (route_type, target_id, target)
    progress.trail.append(TrailStep("default route", words.default_route, plan.system, arguments=arguments_of_route))
    return take_route(progress, route_type, target_id, target)
