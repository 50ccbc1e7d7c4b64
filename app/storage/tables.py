"""The tables of the database: one per record type, derived from its fields, and beside them call records and phones.

There is no second list of fields: a field that is added to a record is a column here at once. What is missing then is
the migration that adds it to the databases of the users; `python -m app.storage.migrations "What was added"` writes it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import Boolean, Column, Double, Index, Integer, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

from app.records import TABLES, Record, System, fields_of

metadata = MetaData()

RECORD_TYPES: dict[str, type[Record]] = {System.table: System, **TABLES}
"""Every record type by the name of its table, the one system record first."""


def _column_type(kind: type) -> TypeEngine[Any]:
    if kind is bool:
        return Boolean()
    if kind is int:
        return Integer()
    if kind is tuple or issubclass(kind, str | StrEnum):
        # Lists are JSON text: they are small, and only ever read whole.
        return Text()
    raise TypeError(f"no column type for {kind!r}")


def _derive(model: type[Record]) -> Table:
    columns = [
        Column(
            each.name,
            _column_type(each.kind),
            primary_key=each.name == "id",
            autoincrement=False,
            nullable=False,
        )
        for each in fields_of(model)
    ]
    return Table(model.table, metadata, *columns)


record_tables: dict[str, Table] = {name: _derive(model) for name, model in RECORD_TYPES.items()}
"""Name of the table -> the table, for every record type."""

meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""A few values about the database itself: `configuration_version` and `schema`."""

call_records = Table(
    "call_records",
    metadata,
    Column("id", Text, primary_key=True),
    Column("node", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("answered", Double),
    Column("ended", Double),
    Column("caller_number", Text, nullable=False),
    Column("called_number", Text, nullable=False),
    Column("sent_number", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("end_cause", Text, nullable=False),
    Column("ended_by", Text, nullable=False),
    Column("talk_seconds", Double, nullable=False),
    # The long texts stand last, so that a search through the columns above does not have to read past them.
    Column("trail", Text, nullable=False),
    Column("attempts", Text, nullable=False),
    Column("media", Text, nullable=False),
)
"""One row per call. `ended` is NULL while the call is in progress, or when the program died during it."""

Index("ix_call_records_started", call_records.c.started, call_records.c.id)
_in_progress = call_records.c.ended.is_(None)
Index(
    "ix_call_records_in_progress",
    call_records.c.node,
    sqlite_where=_in_progress,
    postgresql_where=_in_progress,
)

registrations = Table(
    "registrations",
    metadata,
    Column("node", Text, primary_key=True),
    Column("number", Text, primary_key=True),
    Column("contact", Text, primary_key=True),
    Column("remote_host", Text, primary_key=True),
    Column("remote_port", Integer, nullable=False),
    Column("local_host", Text, nullable=False),
    Column("local_port", Integer, nullable=False),
    Column("call_id", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("expires", Double, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("password_mark", Text, nullable=False),
)
"""Where the phones of a node's users are: what it knows again after a restart. One row per place."""
