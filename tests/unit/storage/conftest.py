"""Databases and call records for the tests of storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.call_records import T0, call_record
from support.database_loop import DatabaseLoop

from app.events import CallRecord
from app.storage.database import Database


@pytest.fixture(autouse=True)
def no_database_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests use SQLite files of their own, whatever the developer's environment says."""
    monkeypatch.delenv("TRUNKLINE_DATABASE_URL", raising=False)
    monkeypatch.delenv("TRUNKLINE_NODE", raising=False)


@pytest.fixture
def loop() -> DatabaseLoop:
    """What a database thread tells its news to."""
    return DatabaseLoop()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that does not exist yet."""
    return tmp_path / "data"


@pytest.fixture
def open_database(data: Path) -> Iterator[Callable[..., Database]]:
    """Opens the database of the data folder; what is open at the end is closed."""
    opened: list[Database] = []

    def open_it(**options: Any) -> Database:
        opened.append(Database.open(data, **options))
        return opened[-1]

    yield open_it
    for each in opened:
        each.close()


@pytest.fixture
def database(open_database: Callable[..., Database]) -> Database:
    """A new database."""
    return open_database()


@pytest.fixture
def call() -> Callable[..., CallRecord]:
    """Makes call records: `call(started=12.0, status=486)`; `started`, `answered` and `ended` count from T0."""

    def make(**values: Any) -> CallRecord:
        started = T0 + values.pop("started", 0.0)
        answered = values.pop("answered", 1.0)
        ended = values.pop("ended", 10.0)
        return call_record(
            started,
            answered=started + answered if answered else 0.0,
            ended=started + ended if ended else 0.0,
            **values,
        )

    return make
