"""Makes new databases and brings older ones forward: forward only, on a copy, and never one from a newer version."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, select, table, text
from sqlalchemy import column as sql_column

from app.records import Configuration
from app.records.document import first_configuration
from app.storage.connection import in_words, sqlite_engine
from app.storage.errors import StorageDamaged, StorageError, StorageInUse, StorageNewer
from app.storage.locks import FileLock
from app.storage.migrations import VERSION_TABLE, steps, upgrade
from app.storage.rows import row_of
from app.storage.tables import RECORD_TYPES, meta, record_tables

CONFIGURATION_VERSION = "configuration_version"
"""The row of `meta` that counts the changes of the configuration."""

# Any fixed number: it names the lock under which one node of several brings a PostgreSQL database forward.
_POSTGRES_LOCK = 7_241_906_530_118


def revision_of(connection: Connection, place: str) -> str | None:
    """At which step a database stands; None for an empty one. StorageError for a database of another program."""
    names = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in names:
        if connection.dialect.name == "sqlite" and names:
            raise StorageError(f"The database {place} was not made by Trunkline")
        return None
    found = connection.execute(select(table(VERSION_TABLE, sql_column("version_num")))).scalars().all()
    return str(found[0]) if found else None


def check_not_newer(revision: str | None, place: str) -> None:
    """StorageNewer when this version of the program does not know the step at which the database stands."""
    known = steps()
    if revision is not None and revision not in known:
        raise StorageNewer(
            f"The database {place} was made by a newer version of Trunkline (its tables are at step {revision}, "
            f"this version knows up to {known[-1]}). Install the newer version again, or use another data folder. "
            "Nothing was changed."
        )


def write_records(connection: Connection, configuration: Configuration) -> None:
    """Put every record of a configuration into empty tables."""
    for name in RECORD_TYPES:
        records = (configuration.system,) if name == "system" else configuration.table(name)
        if records:
            connection.execute(record_tables[name].insert(), [row_of(record) for record in records])


def _fill(connection: Connection) -> None:
    write_records(connection, first_configuration())
    connection.execute(meta.insert(), [{"name": CONFIGURATION_VERSION, "value": "1"}])


# --- SQLite -----------------------------------------------------------------------------------------------------------


def prepare_sqlite(path: Path, server_lock: FileLock) -> bool:
    """Have a file at `path` whose tables are those of this version. True when it was made anew.

    `server_lock` is the lock of a server on this folder; while another process holds it nothing is migrated.
    """
    place = str(path)
    guard = FileLock(path.with_name("upgrade.lock"))
    if not guard.acquire(timeout=30.0):
        raise StorageInUse(f"Another program has been making or upgrading the database {place} for 30 s; try again")
    try:
        with in_words(place):
            if not path.exists():
                _create(path)
                return True
            _check_header(path)
            engine = sqlite_engine(path)
            try:
                with engine.connect() as connection:
                    revision = revision_of(connection, place)
                    integrity = "" if revision else str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
            finally:
                engine.dispose()
            if revision is None:
                raise StorageDamaged(f"The database {place} holds no tables ({integrity})")
            check_not_newer(revision, place)
            if revision != steps()[-1]:
                _migrate(path, server_lock)
            return False
    finally:
        guard.release()


def _check_header(path: Path) -> None:
    """An empty or foreign file is never silently taken for a new database: it may be what is left of an old one."""
    with path.open("rb") as file:
        start = file.read(16)
    if not start:
        raise StorageDamaged(f"The database {path} is damaged: the file is empty")
    if start != b"SQLite format 3\x00":
        raise StorageDamaged(f"The database {path} is damaged: it does not begin like a database")


def _create(path: Path) -> None:
    """Make the file under another name first, so that it is whole or not there at all."""
    set_aside_files(path)
    building = _building_file(path)
    engine = sqlite_engine(building, write_ahead=False)
    try:
        with engine.connect() as connection:
            upgrade(connection)
        with engine.begin() as connection:
            _fill(connection)
    finally:
        engine.dispose()
    _put_in_place(building, path)


def _migrate(path: Path, server_lock: FileLock) -> None:
    """Bring a copy forward and put it in the place of the original only when all of it worked."""
    borrowed = not server_lock.held
    if borrowed and not server_lock.acquire():
        raise StorageInUse(
            f"A server of an older version of Trunkline runs on {path.parent}; stop it, so that its database can be "
            "brought forward"
        )
    try:
        with closing(sqlite3.connect(path, timeout=5.0, isolation_level=None)) as source:
            # Leaving the write-ahead mode needs the file for ourselves, and leaves nothing beside it that could be
            # taken for a part of the new file.
            if source.execute("PRAGMA journal_mode=DELETE").fetchone()[0] != "delete":
                raise StorageInUse(f"Another program uses the database {path}; stop it first")
            building = _building_file(path)
            with closing(sqlite3.connect(building, isolation_level=None)) as target:
                source.backup(target)
        engine = sqlite_engine(building, write_ahead=False)
        try:
            with engine.connect() as connection:
                upgrade(connection)
        finally:
            engine.dispose()
        _put_in_place(building, path)
    finally:
        if borrowed:
            server_lock.release()


def _building_file(path: Path) -> Path:
    building = path.with_name(path.name + ".new")
    for suffix in ("", "-journal", "-wal", "-shm"):
        # What is there was left by a program that died here; we hold the lock.
        building.with_name(building.name + suffix).unlink(missing_ok=True)
    os.close(os.open(building, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    return building


def _put_in_place(building: Path, path: Path) -> None:
    with building.open("rb+") as file:
        os.fsync(file.fileno())
    building.replace(path)
    # Windows cannot open a folder; there the rename is durable by itself.
    with suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def set_aside_files(path: Path, stamp: str = "left-over") -> Path | None:
    """Rename a database with what SQLite keeps beside it, so that nothing of it is taken for a part of a new one."""
    target = path.with_name(f"{path.stem}-{stamp}{path.suffix}")
    moved = None
    for suffix in ("", "-wal", "-shm", "-journal"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            moved = part.replace(target.with_name(target.name + suffix))
    return target if moved is not None else None


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def prepare_postgres(engine: Engine, place: str) -> bool:
    """Have the tables of this version in a PostgreSQL database. True when they were made anew.

    PostgreSQL changes tables in a transaction, so a half upgrade is never kept there either.
    """
    with in_words(place), engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK})
        revision = revision_of(connection, place)
        check_not_newer(revision, place)
        if revision == steps()[-1]:
            return False
        upgrade(connection)
        if revision is None:
            _fill(connection)
        return revision is None
