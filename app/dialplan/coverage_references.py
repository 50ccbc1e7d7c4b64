"""Records that name another record which is gone, disabled, or of no use to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from app.dialplan.problem import Problem, error, warning
from app.dialplan.words import called
from app.events import Severity
from app.records import (
    TABLES,
    Configuration,
    ExternalLine,
    LocalUser,
    Record,
    RouteType,
    RoutingGroup,
    SipTrunk,
    fields_of,
)
from app.records.types import CHOICE_WORDS


class _ReferenceField(NamedTuple):
    """A field that holds another record's id, as the record type declares it."""

    name: str
    table: str
    """The table that it names; blank where the sibling field `decided_by` decides."""
    decided_by: str
    tables: Mapping[str, str]
    parts: tuple[_ReferenceField, ...]
    """For a list of members: the reference fields of each member."""


def check_references(configuration: Configuration) -> Iterator[Problem]:
    """Targets and other references that do not exist, are disabled, or take no outgoing calls."""
    yield from _check_default_route(configuration)
    # Thousands of records name the same few targets: each target is judged once.
    verdicts: dict[tuple[str, int], tuple[Severity, str] | None] = {}
    for record in configuration.all_records():
        if not record.enabled:
            continue
        for field, table, target_id in _references(record):
            key = (table, target_id)
            if key not in verdicts:
                verdicts[key] = _verdict(configuration, table, target_id)
            verdict = verdicts[key]
            if verdict is not None:
                yield Problem(verdict[0], record.table, record.id, field, verdict[1])
    for line in configuration.records(ExternalLine):
        if line.enabled and line.local_user:
            yield from _check_local_user(configuration, line)
    for group in configuration.records(RoutingGroup):
        if group.enabled:
            yield from _check_members(configuration, group)


def _verdict(configuration: Configuration, table: str, target_id: int) -> tuple[Severity, str] | None:
    """What is wrong with naming this record, or None."""
    target = configuration.find(table, target_id)
    if target is None:
        return Severity.ERROR, f"{TABLES[table].title} {target_id} does not exist"
    if not target.enabled:
        return Severity.WARNING, f"{called(target)} is disabled"
    if isinstance(target, SipTrunk | ExternalLine) and target.max_outgoing_calls == 0:
        return Severity.WARNING, f"{called(target)} takes no outgoing calls: its limit is 0"
    return None


def _check_default_route(configuration: Configuration) -> Iterator[Problem]:
    system = configuration.system
    kind = system.default_route_type
    if kind in (RouteType.SIP_TRUNK, RouteType.ROUTING_GROUP) and system.default_target_id == 0:
        message = f"the default route is a {CHOICE_WORDS[kind]}, but none is chosen: numbers without a record get 404"
        yield error(system, "default_target_id", message)


def _check_local_user(configuration: Configuration, line: ExternalLine) -> Iterator[Problem]:
    user: LocalUser | None = configuration.users_by_number.get(line.local_user)
    if user is None:
        message = f"there is no local user {line.local_user}: incoming calls of this line get 404"
        yield error(line, "local_user", message)
    elif not user.enabled:
        yield warning(line, "local_user", f"{called(user)} is disabled: incoming calls of this line get 480")


def _check_members(configuration: Configuration, group: RoutingGroup) -> Iterator[Problem]:
    if not group.members:
        yield warning(group, "members", "the group has no members: its calls get 503")
        return
    seen: set[tuple[RouteType, int]] = set()
    usable = False
    for index, member in enumerate(group.members):
        key = (member.route_type, member.target_id)
        if key in seen:
            message = f"{CHOICE_WORDS[member.route_type]} {member.target_id} is in the group twice and is tried once"
            yield warning(group, f"members[{index}].target_id", message)
        seen.add(key)
        table = "sip_trunks" if member.route_type is RouteType.SIP_TRUNK else "external_lines"
        target = configuration.find(table, member.target_id)
        usable = usable or (target is not None and target.enabled)
    if not usable:
        yield warning(group, "members", "no member of the group exists and is enabled: its calls get 503")


def _references(record: Record) -> Iterator[tuple[str, str, int]]:
    """(field, table, id) of every record that this one names."""
    for field in _reference_fields(type(record)):
        value = getattr(record, field.name)
        if not value:
            continue
        if not field.parts:
            table = field.table or field.tables.get(getattr(record, field.decided_by), "")
            if table:
                yield field.name, table, value
            continue
        for index, item in enumerate(value):
            for part in field.parts:
                table = part.table or part.tables.get(getattr(item, part.decided_by), "")
                if table:
                    yield f"{field.name}[{index}].{part.name}", table, getattr(item, part.name)


@cache
def _reference_fields(model: type[Any]) -> tuple[_ReferenceField, ...]:
    found: list[_ReferenceField] = []
    for each in fields_of(model):
        shown = each.shown
        if each.kind is tuple and hasattr(each.item, "model_fields"):
            parts = _reference_fields(each.item)
            if parts:
                found.append(_ReferenceField(each.name, "", "", {}, parts))
        elif shown.refers_to or shown.refers_by:
            found.append(_ReferenceField(each.name, shown.refers_to, shown.refers_by, shown.refers_to_each, ()))
    return tuple(found)
