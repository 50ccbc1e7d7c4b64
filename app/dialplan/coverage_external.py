"""What may let dear calls out: abroad open to every phone without a bound, business hours without effect."""

from __future__ import annotations

from collections.abc import Iterator

from app.dialplan.external import has_bound
from app.dialplan.plan import DialPlan
from app.dialplan.problem import Problem, information
from app.dialplan.words import listed
from app.records import AnalyzeCalledNumber, LocalUser, Record, RouteType

ABROAD = ("00", "011", "+")
"""How the numbers of other countries begin."""
EMERGENCY = ("112", "911")
"""The emergency numbers of most of the world; every mobile phone knows both."""


def check_external(plan: DialPlan) -> Iterator[Problem]:
    """Notes about calls to trunks and lines; of abroad that is open one at most, at its first record."""
    yield from _check_business_hours(plan)
    callers = [user for user in plan.configuration.records(LocalUser) if _may_call(user)]
    unbounded = [user.number for user in callers if not has_bound(user)]
    if len(unbounded) < len(callers):
        yield from _check_emergency(plan)
    place = next(filter(None, (_open_to_all(plan, number) for number in ABROAD)), None) if unbounded else None
    if place is not None:
        record, field = place
        message = (
            f"whoever learns the password of local user {listed(unbounded)} may call abroad here without end: a called "
            "number record's call level, or the users' most external calls per hour, bounds it"
        )
        yield information(record, field, message)


def _may_call(user: LocalUser) -> bool:
    return user.enabled and bool(user.password or user.trusted_address)


def _check_emergency(plan: DialPlan) -> Iterator[Problem]:
    for number in EMERGENCY:
        record = plan.analyze_called.find(number)
        if record is not None and record.route_type is not RouteType.LOCAL_USER and record.counts_as_external:
            message = f"{number} counts as external here, so that a user who is stopped cannot call for help with it"
            yield information(record, "counts_as_external", message)


def _open_to_all(plan: DialPlan, number: str) -> tuple[Record, str] | None:
    """The record and field by which every user may call a number through a trunk or line."""
    record = plan.analyze_called.find(number)
    if record is not None:
        leads_out = record.route_type is not RouteType.LOCAL_USER
        return (record, "call_level") if leads_out and not record.call_level else None
    prefix = plan.system.outgroup_prefix
    if prefix and plan.shared_lines and plan.analyze_called.find(prefix + number) is None:
        return plan.system, "outgroup_prefix"
    return None


def _check_business_hours(plan: DialPlan) -> Iterator[Problem]:
    records = [each for each in plan.configuration.records(AnalyzeCalledNumber) if each.enabled]
    by_time = [each for each in records if each.call_level_outside_hours]
    if plan.business_hours and not by_time:
        message = "no called number record has a call level outside hours: at night the same may be dialled as by day"
        yield information(plan.system, "business_hours", message)
    elif not plan.business_hours:
        for record in by_time:
            message = "System says no business hours, so that this level is never asked for"
            yield information(record, "call_level_outside_hours", message)
