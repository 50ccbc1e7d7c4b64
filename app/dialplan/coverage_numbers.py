"""Dial-plan records that can never win, that nobody may use, or that change nothing."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from app.dialplan.number_lists import prefix_of
from app.dialplan.plan import DialPlan
from app.dialplan.problem import Problem, information, warning
from app.dialplan.transitions import changes_nothing
from app.records import (
    AnalyzeCalledNumber,
    AnalyzeCallerNumber,
    ExternalLine,
    LocalUser,
    NumberList,
    NumberTransition,
    Record,
    RefineCalledNumber,
    RefineCallerNumber,
    SipTrunk,
)

_DIGITS = "0123456789"
Entry = tuple[Record, Hashable, str]
"""A record, what its prefix competes within (its table and outgoing group), and its prefix."""


def check_numbers(plan: DialPlan) -> Iterator[Problem]:
    """Problems of the dial-plan tables and of the number lists."""
    configuration = plan.configuration
    callers = [each for each in configuration.records(AnalyzeCallerNumber) if each.enabled]
    yield from _shadowed([(each, 0, each.prefix) for each in callers])
    called = [each for each in configuration.records(AnalyzeCalledNumber) if each.enabled]
    yield from _shadowed([(each, 0, each.prefix) for each in called])
    refinements = _enabled_refinements(plan)
    yield from _shadowed([(each, (each.table, each.outgoing_group_id), each.prefix) for each in refinements])
    yield from _unused_groups(plan, refinements)
    yield from _groups_without_records(plan)
    yield from _same_list_entries(each for each in configuration.records(NumberList) if each.enabled)
    yield from _levels_nobody_has(plan)
    yield from _unused_outgroup_prefix(plan)
    for transition in configuration.records(NumberTransition):
        if transition.enabled and changes_nothing(transition):
            yield warning(transition, "digits", "changes no number: it has neither digits to put in nor a length")


def _shadowed(entries: list[Entry]) -> Iterator[Problem]:
    """Records with the prefix of an earlier one, and records whose longer numbers all go to longer prefixes."""
    first: dict[tuple[Hashable, str], Record] = {}
    for record, within, prefix in entries:
        winner = first.setdefault((within, prefix), record)
        if winner is not record:
            shown = prefix or "any number"
            yield warning(record, "prefix", f"never applies: {winner.title} {winner.id} has the same prefix {shown}")
    for (within, prefix), record in first.items():
        if all((within, prefix + digit) in first for digit in _DIGITS):
            longer = f"records with the prefixes {prefix}0 to {prefix}9 take every longer number"
            message = f"applies to the number {prefix} alone: {longer}"
            if not prefix:
                message = "applies only to numbers that begin with no digit: " + longer
            yield information(record, "prefix", message)


def _unused_groups(plan: DialPlan, records: Iterable[RefineCallerNumber | RefineCalledNumber]) -> Iterator[Problem]:
    used = {each.outgoing_group_id for each in _peers(plan)}
    for record in records:
        if record.outgoing_group_id not in used:
            message = f"no SIP trunk or external line is in outgoing group {record.outgoing_group_id}"
            yield information(record, "outgoing_group_id", message)


def _groups_without_records(plan: DialPlan) -> Iterator[Problem]:
    filled = {each.outgoing_group_id for each in _enabled_refinements(plan)}
    for peer in _peers(plan):
        if peer.outgoing_group_id and peer.outgoing_group_id not in filled:
            message = f"no refine record belongs to outgoing group {peer.outgoing_group_id}, so nothing is refined"
            yield information(peer, "outgoing_group_id", message)


def _enabled_refinements(plan: DialPlan) -> list[RefineCallerNumber | RefineCalledNumber]:
    tables = plan.configuration.records(RefineCallerNumber), plan.configuration.records(RefineCalledNumber)
    return [each for table in tables for each in table if each.enabled]


def _peers(plan: DialPlan) -> Iterator[SipTrunk | ExternalLine]:
    yield from (trunk for trunk in plan.trunks.values() if trunk.enabled)
    yield from (line for line in plan.lines.values() if line.enabled)


def _same_list_entries(entries: Iterable[NumberList]) -> Iterator[Problem]:
    first: dict[tuple[str, str], NumberList] = {}
    for entry in entries:
        key = (prefix_of(entry.caller_prefix), prefix_of(entry.called_prefix))
        winner = first.setdefault(key, entry)
        if winner is not entry:
            yield warning(entry, "called_prefix", f"never applies: entry {winner.id} has the same two prefixes")


def _levels_nobody_has(plan: DialPlan) -> Iterator[Problem]:
    levels = {level for user in plan.configuration.records(LocalUser) if user.enabled for level in user.call_levels}
    for record in plan.configuration.records(AnalyzeCalledNumber):
        if record.enabled and record.call_level and record.call_level not in levels:
            message = f"no local user has call level {record.call_level}, so nobody may call these numbers"
            yield warning(record, "call_level", message)


def _unused_outgroup_prefix(plan: DialPlan) -> Iterator[Problem]:
    prefix = plan.system.outgroup_prefix
    if not prefix or not plan.lines:
        return
    record = plan.analyze_called.find(prefix)
    if record is not None:
        shown = f"begins with {record.prefix}" if record.prefix else "fits any number"
        message = f"never used: called number record {record.id} {shown} and takes these numbers"
        yield information(plan.system, "outgroup_prefix", message)
