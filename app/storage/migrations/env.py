"""What Alembic runs for every command: joins it with the connection that the program hands in."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.operations import ops

from app.records import fields_of
from app.storage.migrations import VERSION_TABLE
from app.storage.tables import RECORD_TYPES, metadata


def give_new_columns_their_defaults(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """In a new migration: the records that are there already get a new field with its declared default."""
    for script in directives:
        for change in script.upgrade_ops.ops:
            for operation in getattr(change, "ops", ()):
                if isinstance(operation, ops.AddColumnOp) and operation.table_name in RECORD_TYPES:
                    operation.column.server_default = sa.DefaultClause(
                        default_text(operation.table_name, operation.column.name)
                    )


def default_text(table: str, name: str) -> str:
    """The default of a record's field as SQL takes it in quotes: `0`, `[]`, `udp`."""
    from app.storage.rows import plain_value

    field = next(each for each in fields_of(RECORD_TYPES[table]) if each.name == name)
    if field.default is None:
        return "0" if field.kind in (int, bool) else ""
    value = plain_value(field, field.default)
    return str(int(value)) if isinstance(value, bool) else str(value)


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # SQLite cannot change a column in place: the table is made anew and filled from the old one.
    render_as_batch=connection.dialect.name == "sqlite",
    process_revision_directives=give_new_columns_their_defaults,
)
with context.begin_transaction():
    context.run_migrations()
