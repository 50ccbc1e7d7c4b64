"""The whole configuration at one moment: immutable tables, looked up by id, changed by making a new one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import TypeVar, cast

from app.errors import RecordError, RecordErrors
from app.records.base import Record, fields_of
from app.records.dial_plan import (
    AnalyzeCalledNumber,
    AnalyzeCallerNumber,
    NumberTransition,
    RefineCalledNumber,
    RefineCallerNumber,
    RoutingGroup,
)
from app.records.lists import AddressList, NumberList
from app.records.system import System
from app.records.trunks import ExternalLine, SipTrunk
from app.records.types import MAX_ID
from app.records.users import LocalUser

Table = str
"""The name of a table, as in the import document."""

TABLES: dict[Table, type[Record]] = {
    each.table: each
    for each in (
        LocalUser,
        ExternalLine,
        SipTrunk,
        AnalyzeCallerNumber,
        AnalyzeCalledNumber,
        RefineCallerNumber,
        RefineCalledNumber,
        NumberTransition,
        RoutingGroup,
        NumberList,
        AddressList,
    )
}
"""Every table of many records, in the order of the menus. `system` is the one record beside them."""

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Change:
    """One record added (`before` None), deleted (`after` None) or replaced."""

    table: Table
    before: Record | None
    after: Record | None

    @property
    def inverse(self) -> Change:
        """The change that takes this one back."""
        return Change(self.table, self.after, self.before)


@dataclass(frozen=True)
class Configuration:
    """Every record at one moment. Never changed: `with_changes` makes the next one, and it is swapped whole."""

    system: System = field(default_factory=System)
    tables: Mapping[Table, Mapping[int, Record]] = field(default_factory=dict)

    def records(self, model: type[R]) -> tuple[R, ...]:
        """All records of a type, in the order of their ids."""
        return cast("tuple[R, ...]", self.table(model.table))

    def table(self, name: Table) -> tuple[Record, ...]:
        """All records of a table by its name, in the order of their ids."""
        records = self._sorted.get(name)
        if records is None:
            by_id = self.tables.get(name, {})
            records = self._sorted[name] = tuple(by_id[number] for number in sorted(by_id))
        return records

    def get(self, model: type[R], record_id: int) -> R | None:
        """One record by its id."""
        return cast("R | None", self.tables.get(model.table, {}).get(record_id))

    def find(self, table: Table, record_id: int) -> Record | None:
        """One record by the name of its table and its id."""
        if table == System.table:
            return self.system
        return self.tables.get(table, {}).get(record_id)

    def next_id(self, table: Table) -> int:
        """The id a new record of the table gets: one above the highest, or the first gap when that is used up."""
        used = self.tables.get(table, {})
        highest = max(used, default=0)
        if highest < MAX_ID:
            return highest + 1
        return next(number for number in range(1, MAX_ID) if number not in used)

    @cached_property
    def _sorted(self) -> dict[Table, tuple[Record, ...]]:
        """The tables that were asked for, in the order of their ids."""
        return {}

    @cached_property
    def users_by_number(self) -> Mapping[str, LocalUser]:
        """Local users by number."""
        return {user.number: user for user in self.records(LocalUser)}

    def with_changes(self, changes: Iterable[Change]) -> Configuration:
        """The next configuration. RecordErrors when a change does not fit (id in use, record gone, value taken)."""
        tables = dict(self.tables)
        system = self.system
        errors: list[RecordError] = []
        touched: dict[Table, dict[int, Record]] = {}
        """The tables that are others, as they become."""
        fresh: dict[Table, set[int]] = {}
        """The ids of the records that are new or others there."""
        for change in changes:
            if change.table == System.table:
                system = cast(System, change.after or System())
                continue
            records = touched.get(change.table)
            if records is None:
                records = tables[change.table] = touched[change.table] = dict(self.tables.get(change.table, {}))
            if change.before is not None:
                if change.before.id not in records:
                    errors.append(RecordError("id", f"{change.before.title} {change.before.id} is no longer there"))
                    continue
                del records[change.before.id]
            if change.after is not None:
                if change.after.id in records:
                    errors.append(RecordError("id", f"{change.after.id} is already used"))
                    continue
                records[change.after.id] = change.after
                fresh.setdefault(change.table, set()).add(change.after.id)
        result = Configuration(system, tables)
        # A copy: another thread may ask for one more table meanwhile.
        known = self._sorted.copy()
        result._sorted.update({name: records for name, records in known.items() if name not in touched})
        for name, ids in fresh.items():
            # The others fitted before: only what is new can clash.
            errors.extend(RecordError(clash.field, clash.message) for clash in clashes(result, name, ids))
        if errors:
            raise RecordErrors(tuple(errors))
        return result

    def references_to(self, table: Table, record_id: int) -> tuple[Reference, ...]:
        """Every field of every record that names this record."""
        found: list[Reference] = []
        for record in self.all_records():
            found.extend(
                each for each in references_of(record) if each.target_table == table and each.target_id == record_id
            )
        if table == LocalUser.table:
            user = self.get(LocalUser, record_id)
            found.extend(
                Reference(line, "local_user", LocalUser.table, record_id)
                for line in self.records(ExternalLine)
                if user is not None and line.local_user == user.number
            )
        return tuple(found)

    def all_records(self) -> Iterable[Record]:
        """The system record and every record of every table."""
        yield self.system
        for name in TABLES:
            yield from self.table(name)


@dataclass(frozen=True, slots=True)
class Reference:
    """A field of a record that names another record."""

    record: Record
    field: str
    """The field's name; `members[2].target_id` inside a list."""
    target_table: Table
    target_id: int


def references_of(record: Record) -> tuple[Reference, ...]:
    """Every other record that this one names (0, none, is left out)."""
    found: list[Reference] = []
    values = dict(record)
    for each in fields_of(type(record)):
        if each.kind is tuple and isinstance(each.item, type) and hasattr(each.item, "model_fields"):
            for index, item in enumerate(values[each.name]):
                inner = dict(item)
                for part in fields_of(each.item):
                    table = part.table_referred_to(inner)
                    if table and inner[part.name]:
                        found.append(Reference(record, f"{each.name}[{index}].{part.name}", table, inner[part.name]))
            continue
        table = each.table_referred_to(values)
        if table and values[each.name]:
            found.append(Reference(record, each.name, table, values[each.name]))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Clash:
    """Two records of a table that hold what only one may hold."""

    record: Record
    field: str
    message: str


def clashes(configuration: Configuration, table: Table, only: Collection[int] | None = None) -> list[Clash]:
    """Every record of a table whose unique values an earlier one holds already; `only` looks at those that share
    theirs with a record of these ids, and takes those for the later ones."""
    model = TABLES[table]
    groups: list[tuple[str, ...]] = [(each.name,) for each in fields_of(model) if each.shown.unique]
    if model.unique_together:
        groups.append(model.unique_together)
    found: list[Clash] = []
    for names in groups:
        values_of = attrgetter(*names)
        records: Iterable[Record] = configuration.table(table)
        if only is not None:
            wanted = {values_of(configuration.tables[table][number]) for number in only}
            # Those that were there before come first, so that the message names one of them.
            sharing = [record for record in records if values_of(record) in wanted]
            records = sorted(sharing, key=lambda record: record.id in only)
        seen: dict[object, Record] = {}
        for record in records:
            values = values_of(record)
            first = seen.setdefault(values, record)
            if first is not record:
                each = values if len(names) > 1 else (values,)
                shown = ", ".join(str(value) or "any number" for value in each)
                found.append(Clash(record, names[-1], f"{shown} is already {first.title} {first.id}"))
    return found
