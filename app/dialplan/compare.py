"""Which of a saved set of test numbers a change of the configuration routes differently."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.dialplan.decide import decide
from app.dialplan.decision import Dial, RouteDecision
from app.dialplan.live import IdleState, LiveState
from app.dialplan.plan import DialPlan
from app.dialplan.request import CallRequest, Source
from app.dialplan.words import listed, shown
from app.records import Configuration


@dataclass(frozen=True, slots=True)
class SavedNumber:
    """A call that a person wants to keep going the same way."""

    source: Source
    caller_number: str
    called_number: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A test number that a change routes differently."""

    number: SavedNumber
    before: RouteDecision
    after: RouteDecision

    def __str__(self) -> str:
        """`user:100 to 135550: before trunk:1 with 135550 from 100; now 404 Not Found`"""
        source = f"{self.number.source} to {shown(self.number.called_number)}"
        return f"{source}: before {outcome(self.before)}; now {outcome(self.after)}"


def compare(
    before: Configuration, after: Configuration, numbers: Iterable[SavedNumber], live: LiveState | None = None
) -> tuple[Difference, ...]:
    """The test numbers that get other targets, other numbers or another status, in the order given.

    Without `live` everybody is taken as reachable and idle, so that only the configuration counts.
    """
    state = live if live is not None else IdleState()
    plans = DialPlan(before), DialPlan(after)
    found: list[Difference] = []
    for number in numbers:
        request = CallRequest(number.source, number.caller_number, number.called_number)
        old, new = (decide(request, plan, state) for plan in plans)
        if _essence(old) != _essence(new):
            found.append(Difference(number, old, new))
    return tuple(found)


def outcome(decision: RouteDecision) -> str:
    """A decision in a few words: `trunk:1 with 135550 from 100, then trunk:2 ...`, `404 Not Found`."""
    if not isinstance(decision, Dial):
        return f"{decision.status} {decision.reason}"
    targets = [
        f"{each.name} with {shown(each.called_number)} from {shown(each.caller_number)}" for each in decision.targets
    ]
    return listed(targets)


def _essence(decision: RouteDecision) -> object:
    if isinstance(decision, Dial):
        return tuple((each.name, each.caller_number, each.called_number) for each in decision.targets)
    return decision.status
