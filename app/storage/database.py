"""The database of one data folder: opened, brought up to date, read and written. Used by one thread at a time."""

from __future__ import annotations

import logging
import os
import platform
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, bindparam, delete, select, update
from sqlalchemy.exc import DBAPIError

from app.events import CallRecord
from app.records import TABLES, Change, Configuration, System
from app.records.base import Record
from app.storage import calls, journal, registrations, schema
from app.storage.calls import CallQuery, CallStatements
from app.storage.connection import (
    WRITE,
    RowWriter,
    broken_texts,
    in_words,
    is_no_text,
    postgres_engine,
    postgres_url,
    shown,
    sqlite_engine,
)
from app.storage.errors import StorageDamaged, StorageError, StorageInUse
from app.storage.journal import CallJournal
from app.storage.locks import FileLock
from app.storage.registrations import ByNumber, StoredRegistration
from app.storage.rows import call_row, clean_row, record_of, row_of
from app.storage.tables import RECORD_TYPES, meta, metadata, record_tables

_log = logging.getLogger(__name__)

FILE_NAME = "trunkline.sqlite3"
"""The SQLite file in the data folder."""

URL_VARIABLE = "TRUNKLINE_DATABASE_URL"
"""The environment variable that names a PostgreSQL database in place of the SQLite file."""

NODE_VARIABLE = "TRUNKLINE_NODE"
"""The environment variable that names this server among several on one PostgreSQL database."""

# Beyond this a start looks only through the configuration for damage: call records are many and can wait.
_CHECK_WHOLE_FILE_UP_TO = 64 * 1024 * 1024

_COLUMNS = "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'"


class Database:
    """One database. `open` makes it; every method raises StorageError, with words for a person, when it cannot work."""

    def __init__(self, engine: Engine, data_directory: Path, place: str, node: str, server_lock: FileLock) -> None:
        self._engine = engine
        self._server_lock = server_lock
        self._statements = CallStatements(engine.dialect)
        self._sqlite = engine.dialect.name == "sqlite"
        self._writer = RowWriter(engine) if self._sqlite else None
        self.data_directory = data_directory
        self.place = place
        """Where the database is, for messages; never with a password."""
        self.node = node
        """The name of this server among those that share the database."""
        self.created = False
        """Whether `open` made the database anew."""
        self.seen_version = 0
        """The version of the configuration that this object last read, with its own changes since then."""
        self.journal: CallJournal | None = None
        """Where a server keeps records on their way to the database, past its own death."""

    # --- open and close -----------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, data_directory: Path, url: str | None = None, *, serving: bool = False) -> Database:
        """Open the database of a data folder, made or brought forward where needed.

        `url` (or the environment variable TRUNKLINE_DATABASE_URL) names a PostgreSQL database; without it the folder's
        own SQLite file is used. `serving` is for a server: it takes the folder's lock, so that a second server is
        refused, and gives an end to the calls during which an earlier one died.

        Raises StorageInUse, StorageNewer, StorageDamaged, StorageUnavailable or StorageError.
        """
        url = url or os.environ.get(URL_VARIABLE) or None
        place = shown(postgres_url(url)) if url else str(data_directory / FILE_NAME)
        with in_words(place):
            data_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        server_lock = FileLock(data_directory / "server.lock")
        if serving:
            _lock_for_server(server_lock, data_directory)
        try:
            database = cls._open_postgres(url, data_directory, server_lock) if url else None
            database = database or cls._open_sqlite(data_directory, server_lock)
        except BaseException:
            server_lock.release()
            raise
        try:
            database._check()
            if serving:
                database._end_interrupted()
                database.journal = CallJournal(journal.journal_path(data_directory))
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def _open_sqlite(cls, data_directory: Path, server_lock: FileLock) -> Database:
        path = data_directory / FILE_NAME
        created = schema.prepare_sqlite(path, server_lock)
        with in_words(str(path)):
            database = cls(sqlite_engine(path), data_directory, str(path), _node_name(data_directory), server_lock)
        database.created = created
        return database

    @classmethod
    def _open_postgres(cls, url: str, data_directory: Path, server_lock: FileLock) -> Database:
        address = postgres_url(url)
        engine, place = postgres_engine(address), shown(address)
        try:
            created = schema.prepare_postgres(engine, place)
        except BaseException:
            engine.dispose()
            raise
        database = cls(engine, data_directory, place, _node_name(data_directory), server_lock)
        database.created = created
        return database

    def close(self) -> None:
        """Close the database and give the folder's lock back; twice does nothing."""
        with suppress(DBAPIError, sqlite3.Error):
            if self._writer is not None:
                self._writer.close()
            self._engine.dispose()
        if self.journal is not None:
            self.journal.close()
        self._server_lock.release()

    @staticmethod
    def is_file(url: str | None = None) -> bool:
        """Whether `open` with this url uses the data folder's own file."""
        return not (url or os.environ.get(URL_VARIABLE))

    @staticmethod
    def set_aside(data_directory: Path, url: str | None = None) -> Path | None:
        """Keep a damaged SQLite database under another name, so that the next `open` begins a new one.

        Only when the user says so. Returns the new path, None when there was nothing; StorageInUse while a server runs,
        StorageError for a PostgreSQL database, which has tools of its own.
        """
        if not Database.is_file(url):
            raise StorageError("A PostgreSQL database cannot be kept aside from here; restore a backup of it")
        path = data_directory / FILE_NAME
        lock = FileLock(data_directory / "server.lock")
        with in_words(str(path)):
            if not path.exists():
                return None
            _lock_for_server(lock, data_directory)
            try:
                stamp = datetime.now(UTC).strftime("damaged-%Y%m%dT%H%M%S.%fZ")
                return schema.set_aside_files(path, stamp)
            finally:
                lock.release()

    def touch(self) -> None:
        """Leave word that this server lives: the time at which its calls ended, should it die now."""
        with suppress(OSError):
            self._server_lock.touch()

    def close_interrupted(self) -> int:
        """Where no server runs: give an end to the calls during which the last one died. How many there were."""
        with in_words(self.place):
            if self._server_lock.held or not self._server_lock.acquire():
                return 0
            try:
                return self._end_interrupted()
            finally:
                self._server_lock.release()

    def _end_interrupted(self) -> int:
        """Write what a server that died had not written, then mark its calls. The lock on the folder is ours."""
        path = journal.journal_path(self.data_directory)
        rows = journal.read(path)
        if rows:
            self._write_or_clean(rows)
        count = self._mark_interrupted()
        journal.remove(path)
        return count

    def _mark_interrupted(self) -> int:
        last_alive = min(self._server_lock.last_touched, time.time())
        # Several servers share a PostgreSQL database: only our own calls are known to be gone.
        with self._transaction(write=True) as connection:
            count = calls.mark_interrupted(connection, None if self._sqlite else self.node, last_alive)
        if count:
            _log.warning("%d calls were in progress when the server was last interrupted; their records say so", count)
        return count

    def _check(self) -> None:
        """StorageDamaged when the file is: better now than in the middle of the first call."""
        if not self._sqlite:
            return
        whole = (self.data_directory / FILE_NAME).stat().st_size <= _CHECK_WHOLE_FILE_UP_TO
        with self._transaction() as connection:
            self._check_tables(connection)
            for name in ("",) if whole else (*record_tables, meta.name):
                pragma = f"PRAGMA quick_check('{name}')" if name else "PRAGMA quick_check(1)"
                answer = str(connection.exec_driver_sql(pragma).scalar())
                if answer != "ok":
                    # The first line only says that the rest is about this database.
                    words = [line for line in answer.splitlines() if not line.startswith("***")] or ["unreadable"]
                    raise StorageDamaged(f"The database {self.place} is damaged: {words[0]}")

    def _check_tables(self, connection: Connection) -> None:
        """StorageDamaged when a table or a column is missing: somebody had another program work on the file."""
        there = {(row[0], row[1]) for row in connection.exec_driver_sql(_COLUMNS)}
        for name, table in metadata.tables.items():
            missing = [column.name for column in table.columns if (name, column.name) not in there]
            if missing:
                of_it = "" if len(missing) == len(table.columns) else f"its table {name} has no column {missing[0]}"
                raise StorageDamaged(f"The database {self.place} is damaged: {of_it or f'it has no table {name}'}")

    # --- configuration ------------------------------------------------------------------------------------------------

    def version(self) -> int:
        """The number of the configuration, one higher after every change by any program."""
        with self._transaction() as connection:
            return self._version(connection)

    def load(self) -> tuple[Configuration, int]:
        """The whole configuration and its version, both of the same moment."""
        with self._transaction() as connection:
            result = self._load(connection), self._version(connection)
        self.seen_version = result[1]
        return result

    def save(self, changes: Sequence[Change], *, recheck: bool = False) -> int:
        """Write changes in one transaction and return the new version; on disk when this returns.

        Where another program has changed the configuration since `load`, the changes are put on top of its own:
        RecordErrors when they do not fit there, and nothing is written. `seen_version` stays behind then, which tells
        that `load` has news. `recheck` is for changes that were made upon an older configuration than the one loaded.
        """
        with self._configuration_transaction() as connection:
            version = self._version(connection, lock=True)
            if recheck or version != self.seen_version:
                self._load(connection).with_changes(changes)
            _write_changes(connection, changes)
            self._set_version(connection, version + 1)
        if version == self.seen_version:
            self.seen_version = version + 1
        return version + 1

    def update(self, change: Callable[[Configuration], Configuration]) -> int:
        """Replace the configuration by what `change` makes of it, in one transaction; only differences are written.

        Nobody else can change it in between. What `change` raises goes on to the caller, and nothing is written.
        Returns the version, the same as before when nothing differed.
        """
        with self._configuration_transaction() as connection:
            version = self._version(connection, lock=True)
            before = self._load(connection)
            changes = tuple(differences(before, change(before)))
            if changes:
                _write_changes(connection, changes)
                self._set_version(connection, version + 1)
        return version + 1 if changes else version

    def replace(self, configuration: Configuration) -> int:
        """Put a whole configuration in the place of the one there is; returns its version."""
        version = self.update(lambda _: configuration)
        self.seen_version = version
        return version

    def _load(self, connection: Connection) -> Configuration:
        tables: dict[str, dict[int, Record]] = {}
        for name, model in TABLES.items():
            rows = connection.execute(select(record_tables[name])).mappings()
            records = (record_of(model, dict(row)) for row in rows)
            tables[name] = {record.id: record for record in records}
        row = connection.execute(select(record_tables[System.table])).mappings().first()
        system = cast(System, record_of(System, dict(row))) if row is not None else System()
        return Configuration(system, tables)

    def _version(self, connection: Connection, *, lock: bool = False) -> int:
        statement = select(meta.c.value).where(meta.c.name == schema.CONFIGURATION_VERSION)
        # On SQLite the transaction has the write lock already; FOR UPDATE is left out there.
        value = connection.execute(statement.with_for_update() if lock else statement).scalar()
        if value is None or not str(value).isdigit():
            raise StorageDamaged(f"The database {self.place} is damaged: it has no configuration version")
        return int(value)

    def _set_version(self, connection: Connection, version: int) -> None:
        connection.execute(update(meta).where(meta.c.name == schema.CONFIGURATION_VERSION).values(value=str(version)))

    # --- call records -------------------------------------------------------------------------------------------------

    def write_calls(self, started: Sequence[CallRecord], ended: Sequence[CallRecord]) -> None:
        """Write calls that began (or were answered) and calls that ended, all in one transaction.

        A record that the database refuses for what is in it is cleaned, or dropped and logged: one bad text from the
        network must not keep all others from being written. StorageError when nothing can be written now.
        """
        rows = [call_row(record, self.node) for record in started]
        rows += [call_row(record, self.node) for record in ended]
        if rows:
            self._write_or_clean(rows)

    def _write_or_clean(self, rows: list[tuple[Any, ...]]) -> None:
        try:
            self._write_rows(rows)
        except StorageError:
            raise
        except (DBAPIError, sqlite3.Error, ValueError, OverflowError, TypeError):
            self._write_one_by_one([clean_row(row) for row in rows])

    def _write_rows(self, rows: list[tuple[Any, ...]]) -> None:
        if self._writer is not None:
            with in_words(self.place):
                self._writer.write(self._statements.write_statement, rows)
            return
        with self._transaction(write=True) as connection:
            self._statements.write(connection, rows)

    def _write_one_by_one(self, rows: list[tuple[Any, ...]]) -> None:
        for row in rows:
            try:
                self._write_rows([row])
            except StorageError:
                raise
            except (DBAPIError, sqlite3.Error, ValueError, OverflowError, TypeError):
                _log.exception("the record of call %r cannot be written", row[0])

    def calls(self, query: CallQuery | None = None) -> list[CallRecord]:
        """One page of call records."""
        with self._transaction() as connection:
            try:
                return self._statements.read(connection, query or CallQuery())
            except DBAPIError as error:
                if not is_no_text(error.orig):
                    raise
            with broken_texts(connection):
                return self._statements.read(connection, query or CallQuery())

    def count_calls(self, query: CallQuery | None = None) -> int:
        """How many call records all pages of a query hold."""
        with self._transaction() as connection:
            return self._statements.count(connection, query or CallQuery())

    def all_calls(self, query: CallQuery | None = None, limit: int | None = None) -> Iterator[CallRecord]:
        """Every record of a query, read in pages, so that neither memory nor other writers suffer."""
        return calls.pages(query or CallQuery(limit=1000), self.calls, limit)

    def delete_calls_before(self, wall: float, at_most: int = 1000) -> int:
        """Delete one small batch of the calls that started before a wall time; call it again until it returns 0."""
        with self._transaction(write=True) as connection:
            return calls.delete_before(connection, wall, at_most)

    # --- registrations ------------------------------------------------------------------------------------------------

    def registrations(self) -> list[StoredRegistration]:
        """Where the phones of this server's users were when it last wrote that down."""
        with self._transaction() as connection:
            return registrations.read(connection, self.node)

    def write_registrations(self, users: ByNumber) -> None:
        """Keep where the phones of these users are now."""
        with self._transaction(write=True) as connection:
            registrations.write(connection, self.node, users)

    # --- transactions -------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, *, write: bool = False) -> Iterator[Connection]:
        with in_words(self.place), self._engine.connect() as connection:
            if self._sqlite:
                connection.execution_options(**{WRITE: write})
            elif not write:
                # All that is read is of one moment, as SQLite has it by itself.
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def _configuration_transaction(self) -> Iterator[Connection]:
        """A write that survives even a power cut (call records may lose the last moments then)."""
        if not self._sqlite:
            with self._transaction(write=True) as connection:
                yield connection
            return
        with in_words(self.place), self._engine.connect() as connection:
            connection.execution_options(**{WRITE: True})
            driver = connection.connection
            driver.cursor().execute("PRAGMA synchronous=FULL")
            try:
                with connection.begin():
                    yield connection
            finally:
                driver.cursor().execute("PRAGMA synchronous=NORMAL")


def differences(before: Configuration, after: Configuration) -> Iterator[Change]:
    """The changes that lead from one configuration to another: deletions of a table first, then the rest by id."""
    if before.system != after.system:
        yield Change(System.table, before.system, after.system)
    for name in TABLES:
        old, new = before.tables.get(name, {}), after.tables.get(name, {})
        if old is new:
            continue
        for number in sorted(old.keys() - new.keys()):
            yield Change(name, old[number], None)
        for number in sorted(new):
            if old.get(number) != new[number]:
                yield Change(name, old.get(number), new[number])


def _write_changes(connection: Connection, changes: Iterable[Change]) -> None:
    """Bring the tables to where the changes lead, one after the other, in a few statements per table."""
    results: dict[str, dict[int, Record | None]] = {}
    for change in changes:
        if change.table not in RECORD_TYPES:
            raise ValueError(f"there is no table {change.table}")
        result = results.setdefault(change.table, {})
        if change.before is not None:
            result[change.before.id] = None
        if change.after is not None:
            result[change.after.id] = change.after
    for name, result in results.items():
        target = record_tables[name]
        connection.execute(delete(target).where(target.c.id == bindparam("gone")), [{"gone": each} for each in result])
        rows = [row_of(record) for record in result.values() if record is not None]
        if rows:
            connection.execute(target.insert(), rows)


def _lock_for_server(lock: FileLock, data_directory: Path) -> None:
    # The command line holds the lock for a moment now and then; a server keeps it.
    with in_words(str(data_directory)):
        if not lock.acquire(timeout=2.0):
            holder = lock.holder()
            raise StorageInUse(
                f"Trunkline already runs with the data folder {data_directory}"
                + (f" ({holder})" if holder else "")
                + "; stop it, or choose another folder with --data"
            )


def _node_name(data_directory: Path) -> str:
    """The name of this server, made once per data folder: two servers on one machine are two nodes."""
    given = os.environ.get(NODE_VARIABLE, "").strip()
    if given:
        return given[:64]
    path = data_directory / "node"
    with in_words(str(path)):
        try:
            name = path.read_text(encoding="utf-8").strip()[:64]
        except FileNotFoundError:
            name = ""
        if not name:
            host = re.sub(r"[^A-Za-z0-9.-]", "", platform.node())[:40] or "trunkline"
            name = f"{host}-{secrets.token_hex(3)}"
            path.write_text(name + "\n", encoding="utf-8")
    return name
