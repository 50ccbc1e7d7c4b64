"""A disk without room, as SQLite reports it: records wait, changes are refused whole, and later all is well again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.database_loop import DatabaseLoop

from app.events import CallRecord
from app.records import Change, SipTrunk
from app.storage import thread as thread_module
from app.storage.database import Database
from app.storage.errors import StorageUnavailable
from app.storage.thread import DatabaseThread

Maker = Callable[..., CallRecord]

LOGGED = "disk is full|written again|could not be written"


class Disk:
    """The disk under a database. SQLite is told how many pages there are, and says SQLITE_FULL beyond them."""

    def __init__(self, database: Database) -> None:
        assert database._writer is not None
        # A cursor of its own on the writer's connection: SQLite counts the pages by connection, and the writer's thread
        # may be at work with the other one.
        self._cursor = database._writer._connection.cursor()
        self._run("PRAGMA wal_checkpoint(TRUNCATE)")

    def _run(self, statement: str) -> int:
        row = self._cursor.execute(statement).fetchone()
        return int(row[0])

    def fill(self) -> None:
        """Leave no free page."""
        self._run(f"PRAGMA max_page_count={self._run('PRAGMA page_count')}")

    def make_room(self) -> None:
        """There is room again."""
        self._run("PRAGMA max_page_count=1000000")


@pytest.fixture
def database(open_database: Callable[..., Database]) -> Database:
    database = open_database(serving=True)
    database.load()
    return database


@pytest.fixture
def disk(database: Database) -> Disk:
    return Disk(database)


@pytest.fixture
def worker(
    disk: Disk, database: Database, loop: DatabaseLoop, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DatabaseThread]:
    monkeypatch.setattr(thread_module, "_RETRY_SECONDS", 0.02)
    worker = loop.thread(database)
    yield worker
    worker.stop()


def big(number: int) -> SipTrunk:
    """A trunk that no free space of a full page takes."""
    return SipTrunk(id=number, server_address="192.0.2.8", description="x" * 900)


@pytest.mark.expects_log(LOGGED)
def test_records_wait_until_there_is_room_and_none_is_lost(
    worker: DatabaseThread, disk: Disk, loop: DatabaseLoop, call: Maker
) -> None:
    disk.fill()
    for number in range(200):
        worker.call_ended(call(id=f"{number:03}", trail=("x" * 200,)))
    loop.run_until(lambda: loop.troubles, "the alarm")
    assert "the disk is full" in str(loop.troubles[0])
    assert "wait in memory" in str(loop.troubles[0])
    assert worker.waiting_records
    disk.make_room()
    loop.run_until(lambda: loop.troubles[-1] is None, "the all-clear")
    counts: list[int | None] = []
    worker.submit(lambda database: database.count_calls(), lambda count, _: counts.append(count))
    loop.run_until(lambda: counts, "the count")
    assert counts == [200]
    assert worker.waiting_records == 0


def test_a_change_is_refused_whole_and_does_not_stay_in_effect(
    worker: DatabaseThread, disk: Disk, loop: DatabaseLoop
) -> None:
    """What the window shows is what the next start finds."""
    disk.fill()
    told: list[Exception | None] = []
    worker.save([Change("sip_trunks", None, big(number)) for number in range(1, 51)], told.append)
    loop.run_until(lambda: told, "the refusal")
    assert isinstance(told[0], StorageUnavailable)
    assert str(told[0]).endswith("cannot be used now: the disk is full")
    loop.run_until(lambda: loop.configurations, "the configuration that is on disk")
    assert loop.configurations[0][0].records(SipTrunk) == ()
    disk.make_room()
    worker.save([Change("sip_trunks", None, big(7))], told.append)
    loop.run_until(lambda: len(told) == 2, "the answer")
    assert told[1] is None
    found: list[Any] = []
    worker.submit(lambda database: database.load(), lambda loaded, _: found.append(loaded))
    loop.run_until(lambda: found, "the configuration")
    assert [each.id for each in found[0][0].records(SipTrunk)] == [7]
    assert found[0][1] == 2, "one change was saved, one was not"


def test_a_change_that_comes_after_a_refused_one_stays(worker: DatabaseThread, disk: Disk, loop: DatabaseLoop) -> None:
    disk.fill()
    told: list[Exception | None] = []

    def refused(error: Exception | None) -> None:
        told.append(error)
        disk.make_room()
        worker.save([Change("sip_trunks", None, big(2))], told.append)

    worker.save([Change("sip_trunks", None, big(number)) for number in range(10, 60)], refused)
    loop.run_until(lambda: len(told) == 2 and loop.configurations, "both answers")
    assert isinstance(told[0], StorageUnavailable)
    assert told[1] is None
    loop.run_until(lambda: loop.configurations, "the configuration")
    assert [each.id for each in loop.configurations[-1][0].records(SipTrunk)] == [2]


@pytest.mark.expects_log(LOGGED)
def test_what_waits_at_the_end_is_written_by_the_next_server(
    worker: DatabaseThread,
    disk: Disk,
    loop: DatabaseLoop,
    call: Maker,
    open_database: Callable[..., Database],
) -> None:
    disk.fill()
    for number in range(300):
        worker.call_ended(call(id=f"{number:03}", trail=("x" * 200,)))
    loop.run_until(lambda: loop.troubles, "the alarm")
    assert not worker.stop()
    assert open_database(serving=True).count_calls() == 300


@pytest.mark.expects_log(LOGGED)
def test_importing_says_that_the_disk_is_full_and_changes_nothing(database: Database, disk: Disk, data: Path) -> None:
    before, version = database.load()
    disk.fill()
    with pytest.raises(StorageUnavailable, match="the disk is full"):
        database.update(
            lambda base: base.with_changes([Change("sip_trunks", None, big(number)) for number in range(1, 99)])
        )
    assert database.load() == (before, version)
