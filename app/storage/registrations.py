"""Reads and writes where phones are registered, so that a server that starts again knows where to find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select

from app.storage.rows import clean_row
from app.storage.tables import registrations


class StoredRegistration(NamedTuple):
    """One place where a user's phone was registered by UDP: a row of the table without its node."""

    number: str
    contact: str
    """The Contact URI as the phone gave it."""
    remote_host: str
    remote_port: int
    local_host: str
    local_port: int
    call_id: str
    sequence: int
    """The CSeq of its newest REGISTER."""
    expires: float
    """Wall time."""
    user_agent: str
    password_mark: str
    """Of the password that it knew: with another one in the record the registration counts no more."""


ByNumber = Mapping[str, Sequence[StoredRegistration]]
"""All that a user has now, by number; nothing for one who is registered nowhere any more."""


def read(connection: Connection, node: str) -> list[StoredRegistration]:
    """Every registration that a node has written, in no order."""
    columns = [registrations.c[name] for name in StoredRegistration._fields]
    rows = connection.execute(select(*columns).where(registrations.c.node == node))
    return [StoredRegistration(*row) for row in rows]


def write(connection: Connection, node: str, users: ByNumber) -> None:
    """Put what these users have in the place of what they had; other users keep theirs."""
    theirs = (registrations.c.node == node) & (registrations.c.number == bindparam("whose"))
    connection.execute(delete(registrations).where(theirs), [{"whose": number} for number in users])
    rows: list[dict[str, Any]] = [
        {"node": node, **dict(zip(StoredRegistration._fields, clean_row(row), strict=True))}
        for places in users.values()
        for row in places
    ]
    if rows:
        connection.execute(registrations.insert(), rows)
