"""Changes as people make them: deleting with its references, duplicating, enabling; and their words for the history."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import RecordErrors
from app.records import TABLES, Change, Configuration, Record, System, fields_of
from app.records.configuration import Reference
from app.records.document import check_record
from ui.words import plural

_IN_LIST = re.compile(r"(\w+)\[(\d+)\]\.(\w+)")


@dataclass(slots=True)
class Deletion:
    """What deleting some records means for the others."""

    records: tuple[Record, ...]
    references: list[Reference] = field(default_factory=list)
    """Fields of other records that name one of them."""
    also_deleted: list[Record] = field(default_factory=list)
    """Records that cannot be without the reference, so that clearing it deletes them."""
    clearing: list[Change] = field(default_factory=list)
    """The changes that clear the references."""

    @property
    def changes(self) -> list[Change]:
        """Clear the references, then delete."""
        return [*self.clearing, *(Change(record.table, record, None) for record in self.records)]


def plan_deletion(configuration: Configuration, records: Sequence[Record]) -> Deletion:
    """Find every reference to the records, and how to clear it: 0, blank, out of its list, or the record goes too."""
    plan = Deletion(tuple(records))
    going = {(record.table, record.id) for record in records}
    waiting = list(records)
    referring: dict[tuple[str, int], list[Reference]] = {}
    while waiting:
        record = waiting.pop()
        for reference in configuration.references_to(record.table, record.id):
            place = (reference.record.table, reference.record.id)
            if place in going:
                continue
            plan.references.append(reference)
            referring.setdefault(place, []).append(reference)
            if _cleared(reference.record, referring[place]) is None:
                going.add(place)
                plan.also_deleted.append(reference.record)
                waiting.append(reference.record)
    gone = {(record.table, record.id) for record in plan.also_deleted}
    for place, references in referring.items():
        before = references[0].record
        after = None if place in gone else _cleared(before, references)
        plan.clearing.append(Change(before.table, before, after))
    return plan


def _cleared(record: Record, references: Iterable[Reference]) -> Record | None:
    """The record without these references; None where it cannot be without them."""
    values: dict[str, Any] = dict(record)
    dropped: dict[str, set[int]] = {}
    for reference in references:
        in_list = _IN_LIST.fullmatch(reference.field)
        if in_list:
            dropped.setdefault(in_list[1], set()).add(int(in_list[2]))
        else:
            values[reference.field] = "" if isinstance(values[reference.field], str) else 0
    for name, places in dropped.items():
        values[name] = tuple(item for place, item in enumerate(values[name]) if place not in places)
    try:
        return check_record(type(record), values)
    except RecordErrors:
        return None


def duplicate_of(record: Record, configuration: Configuration) -> Record:
    """A copy with the next free id; what must be unique is left for the person to change."""
    return record.model_copy(update={"id": configuration.next_id(record.table)})


def switched(records: Iterable[Record], enabled: bool) -> list[Change]:
    """The changes that enable or disable the records that are not so already."""
    return [
        Change(record.table, record, record.model_copy(update={"enabled": enabled}))
        for record in records
        if record.enabled != enabled
    ]


def differences(before: Configuration, after: Configuration) -> list[Change]:
    """The changes that lead from one configuration to another; what others will refer to comes first."""
    changes: list[Change] = []
    if before.system != after.system:
        changes.append(Change(System.table, before.system, after.system))
    for table in TABLES:
        old, new = before.tables.get(table, {}), after.tables.get(table, {})
        changes += [Change(table, record, None) for number, record in old.items() if number not in new]
        changes += [
            Change(table, old.get(number), record) for number, record in new.items() if old.get(number) != record
        ]
    return changes


def words_for(verb: str, records: Sequence[Record]) -> str:
    """`Delete SIP trunk 2`, `Delete 3 SIP trunks`."""
    first = records[0]
    if len(records) > 1:
        return f"{verb} {plural(len(records), first.title)}"
    return f"{verb} {first.title}" if first.table == System.table else f"{verb} {first.title} {first.id}"


def new_values(model: type[Record], configuration: Configuration) -> dict[str, Any]:
    """The values of a new record: the defaults, the next id, and blank or 1 where there is no default."""
    values: dict[str, Any] = {}
    for each in fields_of(model):
        if each.default is not None:
            values[each.name] = each.default
        elif each.kind is int:
            values[each.name] = each.minimum or 0
        else:
            values[each.name] = () if each.kind is tuple else ""
    values["id"] = configuration.next_id(model.table)
    return values
