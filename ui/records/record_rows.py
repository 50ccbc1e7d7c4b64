"""A record as a row of its table page: its fields, its live state, and the mark of its problems."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.events import LineRow, Severity, TrunkRow, UserRow
from app.records import Configuration, ExternalLine, LocalUser, Record, SipTrunk, fields_of
from app.records.base import RecordField
from ui.monitor.state_words import (
    LINE_SAMPLE,
    TRUNK_SAMPLE,
    USER_SAMPLE,
    line_state_cell,
    trunk_state_cell,
    user_state_cell,
)
from ui.records.field_words import field_cell
from ui.tables.cells import ADDRESS_SAMPLE, Cell, Column, blank_cell, share_cell, text_cell
from ui.theme import Tone

if TYPE_CHECKING:
    from ui.face import Engine


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A record with what belongs to it beside the configuration."""

    record: Record
    live: Any = None
    """The TrunkRow, LineRow or UserRow, None while there is none."""
    problems: tuple[Any, ...] = ()
    """The `Problem`s of this record."""


SEVERITY_TONES = {
    Severity.INFORMATION: Tone.INFORMATION,
    Severity.WARNING: Tone.WARNING,
    Severity.ERROR: Tone.BAD,
}

RecordColumn = Column[RecordRow]
_NO_CELL = Cell("", -1)


def record_columns(model: type[Record], configuration: Callable[[], Configuration]) -> list[RecordColumn]:
    """The mark of problems, the live columns and a column for each field."""
    columns = [Column("problems", "", problem_cell, "Mistakes and warnings", icon_only=True)]
    fields = {field.name: _field_column(field, configuration) for field in fields_of(model)}
    columns += [fields.pop(name) for name in dict.fromkeys(("id", "enabled", model.key, "description"))]
    return [*columns, *LIVE_COLUMNS.get(model, ()), *fields.values()]


def _field_column(field: RecordField, configuration: Callable[[], Configuration]) -> RecordColumn:
    unit = field.shown.unit
    label = field.label if not unit or unit.split("/")[0] in field.label else f"{field.label} ({unit})"
    return Column(
        field.name,
        label,
        # The record's own values: a copy for each cell would cost more than all the rest.
        lambda row: field_cell(field, vars(row.record), configuration()),
        field.shown.help,
        field.shown.column,
        searched=not field.shown.secret,
    )


def problem_cell(row: RecordRow) -> Cell:
    """A red, amber or blue mark; what is wrong is in its tip."""
    if not row.problems:
        return _NO_CELL
    worst = max(SEVERITY_TONES[problem.severity] for problem in row.problems)
    tip = "\n".join(problem.message for problem in row.problems)
    return Cell("", int(worst), worst, tip, None, True)


def _live(make: Callable[[Any], Cell], absent: Cell = _NO_CELL) -> Callable[[RecordRow], Cell]:
    return lambda row: make(row.live) if row.live is not None else absent


LIVE_COLUMNS: dict[type[Record], tuple[RecordColumn, ...]] = {
    SipTrunk: (
        Column("live_state", "State", _live(trunk_state_cell), "What the trunk can do now.", sample=TRUNK_SAMPLE),
        Column("live_in", "In", _live(lambda row: share_cell(row.active_in, row.max_in)), "Incoming calls now"),
        Column("live_out", "Out", _live(lambda row: share_cell(row.active_out, row.max_out)), "Outgoing calls now"),
    ),
    ExternalLine: (
        Column("live_state", "State", _live(line_state_cell), "The registration of the line.", sample=LINE_SAMPLE),
    ),
    LocalUser: (
        Column("live_state", "State", _live(user_state_cell), "What the phone is doing.", sample=USER_SAMPLE),
        Column(
            "live_contacts",
            "Phone",
            _live(lambda row: text_cell(", ".join(row.contacts), tip=row.user_agent), blank_cell()),
            "Where the phone is registered.",
            sample=f"sip:1000@{ADDRESS_SAMPLE}:5060",
        ),
    ),
}
"""What the table page shows of the running server, by record type."""


def live_key(record: Record) -> int | str:
    """How live rows name the record: users by their number, all others by id."""
    return record.number if isinstance(record, LocalUser) else record.id


def live_rows(model: type[Record], engine: Engine) -> Iterable[TrunkRow | LineRow | UserRow]:
    """The engine's rows of this moment for a record type."""
    if model is SipTrunk:
        return engine.trunks()
    if model is ExternalLine:
        return engine.lines()
    return engine.users() if model is LocalUser else ()
