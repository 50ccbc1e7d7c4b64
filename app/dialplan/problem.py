"""One problem of a configuration, as the pages mark it and the problems list shows it."""

from __future__ import annotations

from dataclasses import dataclass

from app.events import Severity
from app.records import Record


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, or one thing that a person may not have meant."""

    severity: Severity
    """ERROR: calls go wrong; WARNING: probably not meant; INFORMATION: without effect, or worth a
    thought."""
    table: str
    record_id: int
    field: str
    """The field to mend, as in the record; `members[0].target_id` inside a list."""
    message: str
    """One sentence in plain words, without the record's own name."""


def error(record: Record, field: str, message: str) -> Problem:
    """A problem with which calls go wrong."""
    return Problem(Severity.ERROR, record.table, record.id, field, message)


def warning(record: Record, field: str, message: str) -> Problem:
    """A problem that was probably not meant."""
    return Problem(Severity.WARNING, record.table, record.id, field, message)


def information(record: Record, field: str, message: str) -> Problem:
    """Something without effect."""
    return Problem(Severity.INFORMATION, record.table, record.id, field, message)
