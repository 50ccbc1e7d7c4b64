"""One decision while it is made: the numbers as they are by now, and the trail so far."""

from __future__ import annotations

from app.dialplan import words
from app.dialplan.decision import Reject, RejectCause, Skipped, TrailStep
from app.dialplan.live import LiveState
from app.dialplan.plan import DialPlan
from app.dialplan.request import CallRequest
from app.dialplan.transitions import apply_transition
from app.records import ExternalLine, LocalUser, NumberTransition, SipTrunk

REASONS = {
    403: "Forbidden",
    404: "Not Found",
    480: "Temporarily Unavailable",
    484: "Address Incomplete",
    486: "Busy Here",
    503: "Service Unavailable",
}
"""The statuses that the dial plan gives, with their reason phrases (RFC 3261 section 21)."""


class Progress:
    """What the steps of `decide` hand on to each other."""

    __slots__ = (
        "called",
        "caller",
        "counts_as_external",
        "draw",
        "live",
        "plan",
        "request",
        "seen",
        "skipped",
        "source_name",
        "trail",
        "user",
        "who",
    )

    def __init__(self, request: CallRequest, plan: DialPlan, live: LiveState) -> None:
        self.request = request
        self.plan = plan
        self.live = live
        self.caller = request.caller_number
        self.called = request.called_number
        self.draw = min(max(request.draw, 0.0), 0.9999999)
        self.trail: list[TrailStep] = []
        self.skipped: list[Skipped] = []
        self.seen: set[str] = set()
        """The names of the targets that were looked at: none is looked at twice."""
        self.source_name = request.source.name
        self.user: LocalUser | None = None
        """The local user who calls, if one does."""
        self.who: SipTrunk | ExternalLine | LocalUser | None = None
        """The record of the source."""
        self.counts_as_external = True
        """Whether the call, once it is one to a trunk or line, counts for the limits of its source."""

    def change(self, number: str, transition_id: int) -> tuple[str, NumberTransition | None]:
        """The number after a transition (0: none), and the transition for the words."""
        if not transition_id:
            return number, None
        transition = self.plan.transitions.get(transition_id)
        if transition is None or not transition.enabled:
            return number, transition
        return apply_transition(transition, number), transition

    def reject(self, status: int, text: str, cause: RejectCause, retry_after: int = 0) -> Reject:
        """End with a refusal; its step is the last of the trail."""
        reason = REASONS[status]
        if self.skipped:
            self.trail.append(TrailStep("passed over", words.passed_over, arguments=(tuple(self.skipped),)))
        self.trail.append(TrailStep("decision", words.reject, arguments=(status, reason, text)))
        return Reject(status, reason, text, tuple(self.trail), tuple(self.skipped), cause, retry_after)
