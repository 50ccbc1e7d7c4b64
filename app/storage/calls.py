"""Reads and writes call records: the batch write, the paged query, the clean-up of old ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Dialect, Select, delete, func, or_, select, tuple_

from app.events import CallRecord
from app.storage.rows import CALL_COLUMNS, call_of
from app.storage.tables import call_records

SORTABLE = (
    "started",
    "ended",
    "caller_number",
    "called_number",
    "sent_number",
    "source",
    "target",
    "status",
    "end_cause",
    "ended_by",
    "talk_seconds",
)
"""The columns by which a query can be sorted."""

SEARCHED = ("caller_number", "called_number", "sent_number", "source", "target")
"""The columns that a text is looked for in."""

INTERRUPTED = "interrupted"
"""The end cause of a call during which the server died."""


@dataclass(frozen=True, slots=True)
class CallQuery:
    """Which call records to read, in which order; one page of them. Only calls that have ended are found."""

    text: str = ""
    """Found anywhere in the numbers, the source or the target; blank for all."""
    statuses: tuple[int, ...] = ()
    """Only these SIP statuses; empty for all."""
    end_causes: tuple[str, ...] = ()
    """Only these end causes; empty for all."""
    is_external: bool = False
    """Only calls that went, or were to go, to a trunk or line."""
    since: float | None = None
    """Started at or after (wall time)."""
    until: float | None = None
    """Started before (wall time)."""
    sort: str = "started"
    """One of SORTABLE."""
    descending: bool = True
    after: tuple[Any, str] | None = None
    """The (sort value, id) of the last record of the page before this one."""
    limit: int = 200

    def __post_init__(self) -> None:
        if self.sort not in SORTABLE:
            raise ValueError(f"cannot sort by '{self.sort}', only by {', '.join(SORTABLE)}")
        if self.limit < 1:
            raise ValueError("limit: must be 1 or more")

    def following(self, last: CallRecord) -> CallQuery:
        """The query for the page after the one that ended with `last`."""
        return replace(self, after=(getattr(last, self.sort), last.id))


class CallStatements:
    """The statements about call records for one kind of database, put together once."""

    def __init__(self, dialect: Dialect) -> None:
        self._like = "like" if dialect.name == "sqlite" else "ilike"
        statement = _insert(dialect)
        statement = statement.on_conflict_do_update(
            index_elements=["id"],
            set_={name: statement.excluded[name] for name in CALL_COLUMNS if name != "id"},
            # What has ended stays as it is, even when the word of its beginning comes late.
            where=call_records.c.ended.is_(None),
        )
        # It goes to the driver as text: for the many rows of a batch SQLAlchemy's own way costs several times more.
        self.write_statement = str(statement.compile(dialect=dialect, column_keys=list(CALL_COLUMNS)))

    def write(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows (of CALL_COLUMNS) into PostgreSQL, or replace those of the same id that had not ended."""
        connection.exec_driver_sql(self.write_statement, [dict(zip(CALL_COLUMNS, row, strict=True)) for row in rows])

    def read(self, connection: Connection, query: CallQuery) -> list[CallRecord]:
        """One page of call records."""
        column = call_records.c[query.sort]
        order = (
            (column.desc(), call_records.c.id.desc()) if query.descending else (column.asc(), call_records.c.id.asc())
        )
        # Only the ids go through the sorting of a whole table, not the long texts.
        indexed = query.sort == "started"
        page = self._matching(select(call_records) if indexed else select(call_records.c.id), query)
        if query.after is not None:
            # Not OFFSET: that reads everything before the page again, and shifts when a call is added.
            key, last = tuple_(column, call_records.c.id), tuple_(*query.after)
            page = page.where(key < last if query.descending else key > last)
        page = page.order_by(*order).limit(query.limit)
        if not indexed:
            page = select(call_records).where(call_records.c.id.in_(page)).order_by(*order)
        return [call_of(dict(row)) for row in connection.execute(page).mappings()]

    def count(self, connection: Connection, query: CallQuery) -> int:
        """How many records all pages of the query hold together."""
        statement = self._matching(select(func.count()).select_from(call_records), query)
        return int(connection.execute(statement).scalar_one())

    def _matching(self, statement: Select[Any], query: CallQuery) -> Select[Any]:
        column = call_records.c
        conditions: list[ColumnElement[bool]] = [column.ended.is_not(None)]
        if query.text.strip():
            pattern = _pattern(query.text.strip())
            conditions.append(or_(*(getattr(column[name], self._like)(pattern, escape="\\") for name in SEARCHED)))
        if query.statuses:
            conditions.append(column.status.in_(query.statuses))
        if query.end_causes:
            conditions.append(column.end_cause.in_(query.end_causes))
        if query.is_external:
            conditions.append(or_(column.target.startswith("trunk:"), column.target.startswith("line:")))
        if query.since is not None:
            conditions.append(column.started >= query.since)
        if query.until is not None:
            conditions.append(column.started < query.until)
        return statement.where(*conditions)


def _insert(dialect: Dialect) -> Any:
    # Each kind of database has an "on conflict" of its own, and PostgreSQL's takes long to import.
    if dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(call_records)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(call_records)


def _pattern(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("\x00", "")
    return f"%{escaped}%"


def delete_before(connection: Connection, wall: float, at_most: int) -> int:
    """Delete up to `at_most` of the oldest calls that started before `wall`; how many there were."""
    oldest = (
        select(call_records.c.id)
        .where(call_records.c.started < wall, call_records.c.ended.is_not(None))
        .order_by(call_records.c.started)
        .limit(at_most)
    )
    return connection.execute(delete(call_records).where(call_records.c.id.in_(oldest))).rowcount


def mark_interrupted(connection: Connection, node: str | None, last_alive: float) -> int:
    """Give every call in progress (of one node, or of all) its end at the moment the server was last seen alive."""
    column = call_records.c
    statement = select(column.id, column.started, column.answered).where(column.ended.is_(None))
    if node is not None:
        statement = statement.where(column.node == node)
    found = connection.execute(statement).all()
    for call_id, started, answered in found:
        ended = max(started, answered or 0.0, last_alive)
        connection.execute(
            call_records.update()
            .where(column.id == call_id)
            .values(
                ended=ended,
                end_cause=INTERRUPTED,
                ended_by="server",
                talk_seconds=max(0.0, ended - answered) if answered else 0.0,
            )
        )
    return len(found)


def pages(query: CallQuery, read: Any, limit: int | None = None) -> Iterator[CallRecord]:
    """All records of a query, read page by page with `read(query)`, at most `limit`."""
    left = limit
    while left is None or left > 0:
        size = query.limit if left is None else min(query.limit, left)
        records: Iterable[CallRecord] = read(replace(query, limit=size))
        last = None
        for last in records:
            yield last
            left = None if left is None else left - 1
        if last is None:
            return
        query = query.following(last)
