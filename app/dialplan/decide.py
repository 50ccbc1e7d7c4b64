"""The one function that decides where a call goes; calls, the simulator and the tests use it alike."""

from __future__ import annotations

from app.dialplan.decision import (
    Dial,
    DialTarget,
    Reject,
    RejectCause,
    RouteDecision,
    Skipped,
    TrailStep,
)
from app.dialplan.live import LiveState
from app.dialplan.plan import DialPlan
from app.dialplan.request import CallRequest
from app.records import RouteType


def decide(request: CallRequest, plan: DialPlan, live: LiveState) -> RouteDecision:
    """Where the call goes, or why it does not; never raises for any input, never loops."""
    number = request.called_number
    record = plan.analyze_called.find(number)
    trail: list[TrailStep] = []
    skipped: list[Skipped] = []
    targets: list[DialTarget] = []
    if record is not None and record.route_type is RouteType.SIP_TRUNK:
        trail.append(TrailStep("called number", f"{number} goes to SIP trunk {record.target_id}", record))
        seen: set[int] = set()
        trunk = plan.trunks.get(record.target_id)
        while trunk is not None and trunk.id not in seen:
            seen.add(trunk.id)
            if not trunk.enabled:
                skipped.append(Skipped(f"trunk:{trunk.id}", "disabled"))
            elif live.trunk_active_out(trunk.id) >= trunk.max_outgoing_calls:
                skipped.append(Skipped(f"trunk:{trunk.id}", f"outgoing limit {trunk.max_outgoing_calls} reached"))
            else:
                targets.append(
                    DialTarget(RouteType.SIP_TRUNK, trunk.id, f"trunk:{trunk.id}", request.caller_number, number, trunk)
                )
            trunk = plan.trunks.get(trunk.next_trunk_id)
    else:
        user = plan.users.get(number)
        if user is None or not user.enabled:
            text = f"no record and no local user has the number {number}"
            trail.append(TrailStep("decision", f"404 Not Found: {text}"))
            return Reject(404, "Not Found", text, tuple(trail), (), RejectCause.NOT_FOUND)
        if live.user_contacts(number) < 1:
            text = f"local user {number} is not registered"
            trail.append(TrailStep("decision", f"480 Temporarily Unavailable: {text}"))
            return Reject(480, "Temporarily Unavailable", text, tuple(trail), (), RejectCause.NOT_REGISTERED)
        targets.append(DialTarget(RouteType.LOCAL_USER, user.id, f"user:{number}", request.caller_number, number, user))
    if not targets:
        text = "every trunk is full, disabled or missing"
        trail.append(TrailStep("decision", f"503 Service Unavailable: {text}"))
        return Reject(503, "Service Unavailable", text, tuple(trail), tuple(skipped), RejectCause.NO_TARGET)
    trail.append(TrailStep("decision", "dial " + ", then ".join(target.name for target in targets)))
    return Dial(tuple(targets), tuple(skipped), tuple(trail))
