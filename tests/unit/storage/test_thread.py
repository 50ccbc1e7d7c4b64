"""The database thread: calls never wait for it, nothing that was given to it is lost or written twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.database_loop import DatabaseLoop

from app.errors import RecordErrors
from app.events import CallRecord
from app.records import Change, LocalUser, SipTrunk
from app.storage import thread as thread_module
from app.storage.calls import CallQuery
from app.storage.database import Database
from app.storage.errors import StorageError, StorageUnavailable
from app.storage.thread import DatabaseThread

Maker = Callable[..., CallRecord]
Opener = Callable[..., Database]


class SpyDatabase:
    """Counts what reaches the database, and fails or waits when a test wants it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.batches: list[tuple[list[str], list[str]]] = []
        self.failure: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.watches = 0
        self.kept = database.write_calls
        database.write_calls = self.write_calls  # type: ignore[method-assign]

    def write_calls(self, started: Any, ended: Any) -> None:
        self.entered.set()
        self.gate.wait(10)
        if self.failure is not None:
            raise self.failure
        self.kept(started, ended)
        self.batches.append(([each.id for each in started], [each.id for each in ended]))


@pytest.fixture
def spy(open_database: Opener) -> SpyDatabase:
    database = open_database(serving=True)
    database.load()
    return SpyDatabase(database)


@pytest.fixture
def worker(spy: SpyDatabase, loop: DatabaseLoop) -> Iterator[DatabaseThread]:
    worker = loop.thread(spy.database)
    yield worker
    spy.gate.set()
    spy.failure = None
    worker.stop()


def ask(worker: DatabaseThread, loop: DatabaseLoop, function: Callable[[Database], Any]) -> Any:
    answers: list[tuple[Any, Exception | None]] = []
    worker.submit(function, lambda result, error: answers.append((result, error)))
    loop.run_until(lambda: answers, "the answer of a job")
    result, error = answers[0]
    if error is not None:
        raise error
    return result


def test_a_record_is_written_at_once_when_nothing_else_is_to_do(
    worker: DatabaseThread, spy: SpyDatabase, call: Maker
) -> None:
    worker.call_ended(call(id="a"))
    assert spy.entered.wait(5)
    assert worker.stop()
    assert spy.batches == [([], ["a"])]


def test_records_are_gathered_while_one_batch_is_written(
    worker: DatabaseThread, spy: SpyDatabase, call: Maker, loop: DatabaseLoop
) -> None:
    spy.gate.clear()
    worker.call_started(call(id="first", ended=0))
    assert spy.entered.wait(5)
    short = call(id="short")
    worker.call_started(replace(short, ended=0.0))
    worker.call_ended(short)
    worker.call_started(call(id="long", ended=0))
    worker.call_ended(call(id="first"))
    assert worker.waiting_records > 0
    spy.gate.set()
    assert ask(worker, loop, lambda database: database.count_calls()) == 2
    assert spy.batches == [(["first"], []), (["long"], ["short", "first"])], "short is written once"
    assert worker.waiting_records == 0


def test_a_query_finds_what_was_given_before_it(worker: DatabaseThread, loop: DatabaseLoop, call: Maker) -> None:
    for number in range(50):
        worker.call_ended(call(id=f"{number:02}", started=float(number)))
    found = ask(worker, loop, lambda database: database.calls(CallQuery(limit=1)))
    assert [each.id for each in found] == ["49"]


def test_jobs_run_in_order_and_tell_their_errors(worker: DatabaseThread, loop: DatabaseLoop) -> None:
    told: list[Any] = []
    worker.submit(lambda _: 1, lambda result, error: told.append((result, error)))

    def refuse(_: Database) -> None:
        raise StorageError("no")

    worker.submit(refuse, lambda result, error: told.append((result, str(error))))
    worker.submit(lambda _: 3)
    worker.submit(lambda _: 4, lambda result, error: told.append((result, error)))
    loop.run_until(lambda: len(told) == 3, "three answers")
    assert told == [(1, None), (None, "no"), (4, None)]


@pytest.mark.expects_log("a job on the database failed")
def test_a_fault_in_a_job_is_logged_and_ends_nothing(worker: DatabaseThread, loop: DatabaseLoop) -> None:
    with pytest.raises(ZeroDivisionError):
        ask(worker, loop, lambda _: 1 // 0)
    assert ask(worker, loop, lambda database: database.version()) == 1


def test_changes_are_saved_and_reported(worker: DatabaseThread, loop: DatabaseLoop, spy: SpyDatabase) -> None:
    done: list[Exception | None] = []
    trunk = SipTrunk(id=1, server_address="192.0.2.8")
    worker.save([Change("sip_trunks", None, trunk)], done.append)
    loop.run_until(lambda: done, "the save")
    assert done == [None]
    assert ask(worker, loop, lambda database: database.load()[0].get(SipTrunk, 1)) == trunk
    assert not loop.configurations, "one's own change is no news"


def test_another_programs_change_arrives_within_two_seconds(
    worker: DatabaseThread, loop: DatabaseLoop, open_database: Opener
) -> None:
    other = open_database()
    other.update(lambda base: base.with_changes([Change("local_users", None, LocalUser(id=9, number="200"))]))
    began = time.monotonic()
    loop.run_until(lambda: loop.configurations, "the new configuration")
    assert time.monotonic() - began < 2
    configuration, version = loop.configurations[0]
    assert version == 2
    assert "200" in configuration.users_by_number


def test_a_change_on_its_way_is_on_top_of_what_arrives(
    worker: DatabaseThread, loop: DatabaseLoop, open_database: Opener
) -> None:
    """The server must not forget for a moment what its user has just entered."""
    other = open_database()
    other.update(lambda base: base.with_changes([Change("local_users", None, LocalUser(id=9, number="200"))]))
    until = time.monotonic() + 10
    while loop.callbacks.empty():
        assert time.monotonic() < until
        time.sleep(0.01)
    # The news wait for the loop; meanwhile the user changes something.
    worker.save([Change("local_users", None, LocalUser(id=10, number="300"))])
    clashing: list[Exception | None] = []
    worker.save([Change("local_users", None, LocalUser(id=11, number="200"))], clashing.append)
    loop.run_until(lambda: loop.configurations, "the new configuration")
    assert {"200", "300"} <= set(loop.configurations[0][0].users_by_number)
    loop.run_until(lambda: clashing, "the refusal")
    assert isinstance(clashing[0], RecordErrors)
    assert loop.configurations[0][0].find("local_users", 11) is None
    stored = ask(worker, loop, lambda database: database.load()[0])
    assert {"200", "300"} <= set(stored.users_by_number)
    assert stored.find("local_users", 11) is None


@pytest.mark.expects_log("is full|written again")
def test_records_wait_in_memory_while_the_disk_is_full(
    worker: DatabaseThread, loop: DatabaseLoop, spy: SpyDatabase, call: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_module, "_RETRY_SECONDS", 0.02)
    spy.failure = StorageUnavailable("The disk is full")
    worker.call_ended(call(id="a"))
    loop.run_until(lambda: loop.troubles, "the alarm")
    for number in range(20):
        worker.call_ended(call(id=str(number)))
    assert ask(worker, loop, lambda database: database.count_calls()) == 0, "other jobs still run"
    assert worker.waiting_records == 21
    spy.failure = None
    loop.run_until(lambda: len(loop.troubles) == 2, "the all-clear")
    assert "The disk is full" in str(loop.troubles[0])
    assert "call records wait in memory" in str(loop.troubles[0])
    assert loop.troubles[1] is None, "told once when it began, once when it was over"
    assert ask(worker, loop, lambda database: database.count_calls()) == 21
    assert worker.waiting_records == 0


@pytest.mark.expects_log("is full|written again|are lost")
def test_beyond_the_bound_the_newest_are_lost_with_an_alarm(
    worker: DatabaseThread, loop: DatabaseLoop, spy: SpyDatabase, call: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_module, "_RETRY_SECONDS", 0.02)
    monkeypatch.setattr(thread_module, "MAX_WAITING_RECORDS", 10)
    spy.failure = StorageUnavailable("The disk is full")
    for number in range(15):
        worker.call_ended(call(id=f"{number:02}", started=float(number)))
    loop.run_until(lambda: any("are lost" in str(each) for each in loop.troubles), "the second alarm")
    assert worker.dropped_records == 5
    spy.failure = None
    loop.run_until(lambda: loop.troubles[-1] is None, "the all-clear")
    found = ask(worker, loop, lambda database: database.calls())
    assert [each.id for each in found] == [f"{number:02}" for number in reversed(range(10))]


def test_stopping_writes_everything_that_waits(
    worker: DatabaseThread, loop: DatabaseLoop, spy: SpyDatabase, call: Maker, open_database: Opener
) -> None:
    spy.gate.clear()
    for number in range(3000):
        worker.call_ended(call(id=str(number)))
    done: list[Any] = []
    worker.submit(lambda database: database.count_calls(), lambda result, _: done.append(result))
    spy.gate.set()
    assert worker.stop()
    loop.run_until(lambda: done, "the job that was submitted before the stop")
    assert done == [3000]
    late: list[Any] = []
    worker.submit(lambda database: database.count_calls(), lambda result, error: late.append(error))
    loop.run_until(lambda: late, "a job after the stop")
    assert isinstance(late[0], StorageUnavailable)
    assert open_database(serving=True).count_calls() == 3000, "the lock was given back"


@pytest.mark.expects_log("is full|could not be written")
def test_stopping_says_when_records_could_not_be_written(worker: DatabaseThread, spy: SpyDatabase, call: Maker) -> None:
    spy.failure = StorageUnavailable("The disk is full")
    worker.call_ended(call())
    assert not worker.stop()
    assert worker.waiting_records == 1


def test_too_many_jobs_fail_at_once(
    worker: DatabaseThread, loop: DatabaseLoop, spy: SpyDatabase, call: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_module, "MAX_WAITING_JOBS", 2)
    spy.gate.clear()
    worker.call_ended(call())
    assert spy.entered.wait(5)
    told: list[Any] = []
    for number in range(3):
        worker.submit(lambda _, number=number: number, lambda result, error: told.append((result, error)))
    loop.run_until(lambda: told, "the refusal")
    assert isinstance(told[0][1], StorageUnavailable)
    spy.gate.set()
    loop.run_until(lambda: len(told) == 3, "the others")
    assert told[1:] == [(0, None), (1, None)]


def test_old_calls_are_deleted_little_by_little(
    worker: DatabaseThread, loop: DatabaseLoop, spy: SpyDatabase, call: Maker
) -> None:
    """The records of `call` are years old."""
    for number in range(2500):
        worker.call_ended(call(id=str(number)))
    now = time.time()
    worker.call_ended(replace(call(id="new"), started=now, answered=now, ended=now))
    worker.keep_calls(30)
    deleted: list[int] = []
    inner = spy.database.delete_calls_before

    def count(*arguments: Any) -> int:
        deleted.append(inner(*arguments))
        return deleted[-1]

    spy.database.delete_calls_before = count  # type: ignore[method-assign]
    until = time.monotonic() + 15
    while 0 not in deleted:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert sum(deleted) == 2500
    assert max(deleted) == 1000
    assert [each.id for each in ask(worker, loop, lambda database: database.calls())] == ["new"]


def test_the_loop_never_waits_for_the_database(worker: DatabaseThread, spy: SpyDatabase, call: Maker) -> None:
    spy.gate.clear()
    worker.call_ended(call())
    assert spy.entered.wait(5)
    records = [call(id=str(number)) for number in range(1000)]
    # The database hangs until the gate opens: whoever waited for it would never come past here.
    for record in records:
        worker.call_started(record)
        worker.call_ended(record)
    worker.submit(lambda database: database.version())
    assert not spy.gate.is_set()
