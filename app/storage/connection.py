"""Opens SQLite files and PostgreSQL servers, and puts their errors into words."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool, StaticPool

from app.storage.errors import StorageDamaged, StorageError, StorageUnavailable

BUSY_SECONDS = 5.0
"""How long a write waits for another program's write to the same SQLite file."""

WRITE = "trunkline_write"
"""The execution option of a connection whose transaction will write: SQLite takes its write lock at once then."""

_LEAST_ROOM = 256 * 1024

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_MAY_NOT_WRITE = (
    "The program must be able to write there: give your account the right to, or start it with another folder (--data)"
)
_PASSING = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "another program keeps it locked",
    sqlite3.SQLITE_LOCKED: "another program keeps it locked",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
    sqlite3.SQLITE_READONLY: "it may not be written (permission, or a read-only disk)",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened (permission, or no such folder)",
    sqlite3.SQLITE_PERM: "it may not be opened (permission)",
}


def sqlite_engine(path: Path, *, write_ahead: bool = True) -> Engine:
    """An engine with one connection to a SQLite file, for one thread at a time; `write_ahead` False for a file that is
    about to be moved."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=StaticPool if write_ahead else NullPool,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # The isolation level None keeps Python's sqlite3 from beginning transactions by its own rules.
        connection.isolation_level = None
        cursor = connection.cursor()
        if write_ahead:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA journal_size_limit=67108864")
        cursor.execute("PRAGMA synchronous=NORMAL" if write_ahead else "PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


class RowWriter:
    """Writes rows to SQLite past SQLAlchemy, which costs as much for a small batch as the database itself."""

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.raw_connection()
        self._cursor = self._connection.cursor()

    def write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run the statement for every row, all in one transaction of its own."""
        cursor = self._cursor
        cursor.execute("BEGIN IMMEDIATE")
        try:
            cursor.executemany(statement, rows)
            cursor.execute("COMMIT")
        except BaseException:
            # Where SQLite has taken everything back by itself (disk full), this does nothing.
            self._connection.rollback()
            raise

    def close(self) -> None:
        """Give the connection back; twice does nothing."""
        self._cursor.close()
        self._connection.close()


def postgres_url(text: str) -> URL:
    """A PostgreSQL address as SQLAlchemy needs it; StorageError when it is not one."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise StorageError(
            "The database address is not valid; it must look like postgresql://user:password@host/name"
        ) from None
    if url.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    raise StorageError(f"The database address begins with {url.drivername}://, but only postgresql:// is supported")


def postgres_engine(url: URL) -> Engine:
    """An engine with one connection to a PostgreSQL database, tested before each use, made again when lost."""
    try:
        return create_engine(
            url,
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "application_name": "trunkline"},
        )
    except (ModuleNotFoundError, NoSuchModuleError):
        raise StorageError(
            "PostgreSQL needs the psycopg package: pip install 'trunkline[postgres]' (or psycopg[binary])"
        ) from None


def shown(url: URL) -> str:
    """The address of a database without its password."""
    return url.set(drivername="postgresql").render_as_string(hide_password=True)


@contextmanager
def in_words(place: str) -> Iterator[None]:
    """Errors of the database at `place` inside become StorageErrors; what is our own mistake stays what it is."""
    try:
        yield
    except UnicodeDecodeError as error:
        # Python's module cannot even tell what SQLite says of a file that is damaged in a name of its schema.
        raise StorageDamaged(f"The database {place} is damaged: a text in it is none") from error
    except (DBAPIError, sqlite3.Error, PoolTimeout, OSError) as error:
        known = explained(error, place)
        if known is None:
            raise
        raise known from error


def explained(error: Exception, place: str) -> StorageError | None:
    """The error in words, or None for a mistake in this program."""
    cause: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, OSError):
        told = f"The database {place} cannot be used: {cause.strerror or cause}"
        return StorageError(f"{told}. {_MAY_NOT_WRITE}" if cause.errno in _FORBIDDEN else told)
    if isinstance(cause, PoolTimeout):
        return StorageUnavailable(f"The database {place} cannot be used now: its connection is busy")
    if isinstance(cause, sqlite3.Error):
        # Extended codes carry the primary one in their low byte.
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED or is_no_text(cause):
            return StorageDamaged(f"The database {place} is damaged: {cause}")
        if code in _PASSING:
            # Where SQLite cannot make one of the files beside the database it only reports an error of the disk.
            reason = sqlite3.SQLITE_FULL if code == sqlite3.SQLITE_IOERR and _is_full(Path(place)) else code
            return StorageUnavailable(f"The database {place} cannot be used now: {_PASSING[reason]}")
        return None
    return _explained_postgres(cause, place)


def is_no_text(cause: BaseException | None) -> bool:
    """Whether SQLite found bytes in a column of texts that are none."""
    return isinstance(cause, sqlite3.OperationalError) and str(cause).startswith("Could not decode to UTF-8")


@contextmanager
def broken_texts(connection: Connection) -> Iterator[None]:
    """Texts that are damaged in an SQLite file are read as far as they can be; that takes longer."""
    driver: Any = connection.connection.driver_connection
    driver.text_factory = partial(str, encoding="utf-8", errors="replace")
    try:
        yield
    finally:
        driver.text_factory = str


def _is_full(path: Path) -> bool:
    """Whether the disk has no room for the smallest of SQLite's files."""
    try:
        return shutil.disk_usage(path.parent).free < _LEAST_ROOM
    except OSError:
        return False


def _explained_postgres(cause: BaseException | None, place: str) -> StorageError | None:
    state = getattr(cause, "sqlstate", None)
    text = (str(cause).strip().splitlines() or [""])[0]
    kind = type(cause).__name__
    if state is None:
        if kind in ("OperationalError", "ConnectionTimeout", "InterfaceError"):
            return StorageUnavailable(f"The database {place} cannot be reached: {text}")
        return None
    if state.startswith("XX"):
        return StorageDamaged(f"The database {place} is damaged: {text}")
    # 08 connection, 25006 read only, 28 password, 3D no such database, 42501 permission, 53 disk or memory, 55P03 and
    # 57014 lock or time, 57P server going down, 40 lost a race for rows.
    if state[:2] in ("08", "28", "3D", "53", "57", "40") or state in ("25006", "42501", "55P03"):
        return StorageUnavailable(f"The database {place} cannot be used now: {text}")
    return None
