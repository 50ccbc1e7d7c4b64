"""Two people change one record: whose fields count."""

from __future__ import annotations

from app.records import Record, fields_of


def merge(base: Record, mine: Record, theirs: Record) -> tuple[Record, tuple[str, ...]]:
    """`theirs` with the fields that `mine` changed since `base`, and the names of those that both changed differently.

    In those, mine counts.
    """
    updates: dict[str, object] = {}
    conflicts: list[str] = []
    for each in fields_of(type(base)):
        before, here, there = (getattr(record, each.name) for record in (base, mine, theirs))
        if here == before:
            continue
        updates[each.name] = here
        if there not in (before, here):
            conflicts.append(each.name)
    return theirs.model_copy(update=updates), tuple(conflicts)


def changed_fields(base: Record, other: Record) -> tuple[str, ...]:
    """The names of the fields in which two records differ."""
    return tuple(each.name for each in fields_of(type(base)) if getattr(base, each.name) != getattr(other, each.name))
