"""A configuration from a short document, and calls put to its dial plan."""

from __future__ import annotations

from typing import Any

import pytest

from app.dialplan.decide import decide
from app.dialplan.decision import Dial, Reject, RouteDecision
from app.dialplan.live import IdleState
from app.dialplan.plan import DialPlan
from app.dialplan.request import CallRequest, Source
from app.records import TABLES, Configuration, System
from app.records.document import check_record, read_document


class Scene:
    """A configuration with its plan and a live state whose fields a test sets."""

    def __init__(self, **document: Any) -> None:
        self.configuration = read_document(document, Configuration())
        self.plan = DialPlan(self.configuration)
        self.live = IdleState()

    @classmethod
    def unchecked(cls, **document: Any) -> Scene:
        """Records that no editor would take together, such as two with one prefix."""
        scene = cls.__new__(cls)
        system = check_record(System, document.pop("system", {"id": 1}))
        tables = {
            name: {item["id"]: check_record(TABLES[name], item) for item in items} for name, items in document.items()
        }
        assert isinstance(system, System)
        scene.configuration = Configuration(system, tables)
        scene.plan = DialPlan(scene.configuration)
        scene.live = IdleState()
        return scene

    def decide(self, source: str, called: str, caller: str | None = None, **more: Any) -> RouteDecision:
        """A call from `user:100` and the like; a user's caller number is the user's own."""
        who = Source.parse(source)
        return decide(CallRequest(who, who.number if caller is None else caller, called, **more), self.plan, self.live)

    def dialled(self, source: str, called: str, caller: str | None = None, **more: Any) -> list[str]:
        """`trunk:1 135550` for each target in order; fails when the call is refused."""
        decision = self.decide(source, called, caller, **more)
        assert isinstance(decision, Dial), lines(decision)
        return [f"{each.name} {each.called_number}" for each in decision.targets]

    def refused(self, source: str, called: str, caller: str | None = None, **more: Any) -> Reject:
        """The refusal; fails when the call is dialled."""
        decision = self.decide(source, called, caller, **more)
        assert isinstance(decision, Reject), lines(decision)
        return decision


def lines(decision: RouteDecision) -> str:
    """The trail as a person reads it."""
    return "\n".join(str(step) for step in decision.trail)


@pytest.fixture(scope="session")
def scene() -> type[Scene]:
    """Makes a scene: `scene(sip_trunks=[...], ...)`."""
    return Scene


@pytest.fixture(scope="session")
def trail() -> Any:
    """Gives the trail as text."""
    return lines
