"""What holds for every configuration, sound or not: decisions end, pick nothing unusable, explain themselves."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialplan.coverage import problems
from app.dialplan.decide import decide
from app.dialplan.decision import Dial, RejectCause
from app.dialplan.live import ExternalUse, IdleState
from app.dialplan.plan import DialPlan
from app.dialplan.request import CallRequest, Source
from app.records import (
    AnalyzeCalledNumber,
    AnalyzeCallerNumber,
    Configuration,
    ExternalLine,
    GroupStrategy,
    LocalUser,
    NumberList,
    NumberTransition,
    Record,
    RefineCalledNumber,
    RefineCallerNumber,
    RouteType,
    RoutingGroup,
    RoutingGroupMember,
    SipTrunk,
    System,
    TransitionType,
)

USERS = ["100", "101", "200", "912"]


class Making:
    """Random records, mostly of use: small ids, so that they meet; now and then missing, disabled, full, circular.

    Hypothesis draws the seed. Drawing each field by itself is twenty times slower, and nearly every call it makes is
    refused at the door.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def some_id(self) -> int:
        return self.random.randint(1, 5)

    def digits(self, longest: int) -> str:
        return "".join(self.random.choices("0129", k=self.random.randint(0, longest)))

    def rows(self, model: type[Record], make: Callable[[], dict[str, Any]], percent: int = 60) -> dict[int, Record]:
        return {
            record_id: model(id=record_id, enabled=self.chance(90), **make())
            for record_id in range(1, 6)
            if self.chance(percent)
        }

    def outgoing(self) -> dict[str, Any]:
        return {
            "server_address": "192.0.2.1",
            "outgoing_group_id": self.random.randint(0, 2),
            "max_outgoing_calls": self.random.choice([0, 1, 3, 4, 4, 4]),
            "max_incoming_calls": self.random.choice([0, 3, 4, 4, 4]),
            "max_calls_per_second": self.random.choice([0, 0, 1]),
            "next_trunk_id": self.some_id() if self.chance(70) else 0,
            "unified_caller_number": "777" if self.chance(20) else "",
            **self.bounds(),
        }

    def bounds(self) -> dict[str, Any]:
        return {
            "max_external_calls_per_hour": self.random.choice([0, 0, 0, 3]),
            "max_external_minutes_per_day": self.random.choice([0, 0, 0, 30]),
        }

    def line(self) -> dict[str, Any]:
        local_user = self.random.choice(["", "", "", "100"])
        return {"account": "a", "shared": self.chance(70), "local_user": local_user, **self.outgoing()}

    def user(self) -> dict[str, Any]:
        return {
            "max_calls": self.random.choice([0, 0, 2]),
            "max_outgoing_calls": self.random.choice([0, 0, 2]),
            "call_levels": (1,) if self.chance(50) else (),
            "external_line_id": self.some_id() if self.chance(40) else 0,
            **self.bounds(),
        }

    def group(self) -> dict[str, Any]:
        members = [
            RoutingGroupMember(
                route_type=self.random.choice([RouteType.SIP_TRUNK, RouteType.SIP_TRUNK, RouteType.EXTERNAL_LINE]),
                target_id=self.some_id(),
                priority=self.random.randint(1, 2),
                weight=self.random.randint(1, 3),
            )
            for _ in range(self.random.randint(0, 5))
        ]
        return {"strategy": self.random.choice(list(GroupStrategy)), "members": tuple(members)}

    def transition(self) -> dict[str, Any]:
        return {
            "type": self.random.choice(list(TransitionType)),
            "start": self.random.choice([0, 0, 1, 3]),
            "length": self.random.randint(0, 2),
            "digits": self.digits(3),
        }

    def transition_id(self) -> int:
        return self.some_id() if self.chance(40) else 0

    def analyze_called(self) -> dict[str, Any]:
        route_type = self.random.choice(list(RouteType))
        may_be_0 = route_type in (RouteType.LOCAL_USER, RouteType.EXTERNAL_LINE)
        return {
            "prefix": self.digits(3),
            "route_type": route_type,
            "target_id": 0 if may_be_0 and self.chance(40) else self.some_id(),
            "transition_id": self.transition_id(),
            "call_level": 1 if self.chance(15) else 0,
            "call_level_outside_hours": 2 if self.chance(15) else 0,
            "counts_as_external": self.chance(80),
        }

    def refinement(self) -> dict[str, Any]:
        return {
            "outgoing_group_id": self.random.randint(1, 2),
            "prefix": self.digits(2),
            "transition_id": self.transition_id(),
        }

    def configuration(self) -> Configuration:
        tables: dict[str, dict[int, Record]] = {
            "sip_trunks": self.rows(SipTrunk, self.outgoing, 90),
            "external_lines": self.rows(ExternalLine, self.line),
            "routing_groups": self.rows(RoutingGroup, self.group, 80),
            "number_transitions": self.rows(NumberTransition, self.transition),
            "analyze_caller_numbers": self.rows(
                AnalyzeCallerNumber, lambda: {"prefix": self.digits(2), "transition_id": self.transition_id()}, 30
            ),
            "analyze_called_numbers": self.rows(AnalyzeCalledNumber, self.analyze_called, 90),
            "refine_caller_numbers": self.rows(RefineCallerNumber, self.refinement),
            "refine_called_numbers": self.rows(RefineCalledNumber, self.refinement),
            "number_lists": self.rows(
                NumberList,
                lambda: {
                    "caller_prefix": self.digits(2),
                    "called_prefix": self.digits(2),
                    "block_percent": self.random.choice([0, 0, 50, 100]),
                },
                20,
            ),
            "local_users": {
                record_id: LocalUser(id=record_id, number=number, enabled=self.chance(90), **self.user())
                for record_id, number in enumerate(USERS, start=1)
            },
        }
        system = System(
            outgroup_prefix=self.random.choice(["", "9", "92"]),
            default_route_type=self.random.choice(list(RouteType)),
            default_target_id=self.random.randint(0, 5),
            business_hours=self.random.choice(["", "Mon-Fri 08:00-18:00"]),
        )
        return Configuration(system, tables)  # type: ignore[arg-type]

    def counts(self) -> dict[int, int]:
        return {record_id: self.random.choice([0, 0, 0, 1, 2, 3]) for record_id in range(1, 6)}

    def reasons(self) -> dict[int, str]:
        return {record_id: "timeout" if self.chance(20) else "" for record_id in range(1, 6)}

    def few_ids(self) -> frozenset[int]:
        return frozenset(record_id for record_id in range(1, 6) if self.chance(20))

    def user_counts(self, choices: list[int]) -> dict[str, int]:
        return {number: self.random.choice(choices) for number in USERS}

    def live(self) -> IdleState:
        return IdleState(
            self.counts(),
            self.counts(),
            self.reasons(),
            self.few_ids(),
            self.counts(),
            self.counts(),
            self.reasons(),
            self.few_ids(),
            self.user_counts([0, 1, 1, 2]),
            self.user_counts([0, 0, 0, 1, 2]),
            self.user_counts([0, 0, 0, 1, 2]),
            self.counts(),
            {each: self.use() for each in (*(f"user:{user}" for user in USERS), "trunk:1", "trunk:2", "line:1")},
        )

    def use(self) -> ExternalUse:
        stopped_until = "14:20" if self.chance(10) else ""
        return ExternalUse(self.random.randint(0, 4), self.random.choice([0, 29, 30]), stopped_until)

    def request(self) -> CallRequest:
        source = self.random.choice(
            [
                Source.trunk(self.some_id()),
                Source.line(self.some_id()),
                Source.user(self.random.choice(USERS)),
                Source.user(self.random.choice(USERS)),
                Source.user(self.random.choice([*USERS, "999"])),
            ]
        )
        called = self.random.choice(USERS) if self.chance(30) else self.digits(6)
        at = self.random.choice([None, datetime(2026, 11, 23, 22), datetime(2026, 11, 24, 9)])
        return CallRequest(source, self.digits(4), called, self.chance(20), self.random.random(), at)


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=1000, deadline=None)
@given(seeds)
def test_decisions_hold_what_they_promise(seed: int) -> None:
    making = Making(seed)
    configuration, live, request = making.configuration(), making.live(), making.request()
    plan = DialPlan(configuration)
    decision = decide(request, plan, live)
    assert decide(request, DialPlan(configuration), live) == decision
    assert all(str(step).isprintable() and step.text for step in decision.trail)
    last = decision.trail[-1]
    assert last.step == "decision"
    assert [step.step for step in decision.trail].count("decision") == 1
    if not isinstance(decision, Dial):
        assert last.text == f"refuse with {decision.status} {decision.reason}: {decision.text}"
        assert decision.status in (403, 404, 480, 484, 486, 503)
        return
    names = [target.name for target in decision.targets]
    assert all(each in last.text for each in (target.record.caption() for target in decision.targets[:6]))
    assert len(names) == len(set(names)), "a target twice: the call would loop"
    assert not {skipped.name for skipped in decision.skipped} & set(names)
    assert not (decision.is_bounded and live.external_use(request.source.name).stopped_until)
    for target in decision.targets:
        assert target.record.enabled
        assert target.called_number
        assert target.record.id == target.target_id
        assert_usable(target.record, live)


def test_the_properties_are_tried_on_calls_of_every_kind() -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(1000):
        making = Making(seed)
        configuration, live, request = making.configuration(), making.live(), making.request()
        decision = decide(request, DialPlan(configuration), live)
        if isinstance(decision, Dial):
            outcomes["several" if len(decision.targets) > 1 else decision.targets[0].kind.value] += 1
            outcomes["skipped"] += bool(decision.skipped)
        else:
            outcomes[decision.cause.value] += 1
    # A refused source or level is easy; what matters is that ways are chosen often enough.
    assert outcomes["several"] > 60, outcomes
    assert outcomes["skipped"] > 40, outcomes
    assert set(outcomes) >= {cause.value for cause in RejectCause} | {"local_user", "external_line", "sip_trunk"}


def assert_usable(record: Record, live: IdleState) -> None:
    """Not full, not down, not over its rate."""
    if isinstance(record, SipTrunk):
        assert live.trunk_active_out(record.id) < record.max_outgoing_calls
        assert not live.trunk_down(record.id)
        assert not (record.max_calls_per_second and live.trunk_rate_full(record.id))
    elif isinstance(record, ExternalLine):
        assert live.line_active_out(record.id) < record.max_outgoing_calls
        assert not live.line_down(record.id)
        assert not (record.max_calls_per_second and live.line_rate_full(record.id))
    else:
        assert isinstance(record, LocalUser)
        assert live.user_contacts(record.number) > 0
        assert not record.max_calls or live.user_active(record.number) < record.max_calls


@settings(max_examples=200, deadline=None)
@given(seeds)
def test_a_strangers_call_and_a_blocked_one_never_get_a_target(seed: int) -> None:
    making = Making(seed)
    configuration, request = making.configuration(), making.request()
    plan = DialPlan(configuration)
    assert not isinstance(decide(CallRequest(Source.stranger("192.0.2.9:1"), "1", "100"), plan, IdleState()), Dial)
    entry, _ = plan.number_lists.find(request.caller_number, request.called_number)
    if entry is not None and entry.block_percent == 100:
        assert not isinstance(decide(request, plan, IdleState()), Dial)


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_problems_name_a_record_and_a_field_that_exist(seed: int) -> None:
    configuration = Making(seed).configuration()
    found = problems(configuration)
    assert problems(configuration, DialPlan(configuration)) == found
    for problem in found:
        record = configuration.find(problem.table, problem.record_id)
        assert record is not None
        assert record.enabled or problem.field == "next_trunk_id"
        assert problem.field.split("[")[0] in dict(record)
        assert problem.message.isprintable()
