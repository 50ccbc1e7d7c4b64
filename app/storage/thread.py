"""The one thread that works on the database, so that no call ever waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

from app.errors import RecordErrors
from app.events import CallRecord
from app.records import Change, Configuration
from app.storage.database import Database
from app.storage.errors import StorageError, StorageUnavailable
from app.storage.registrations import ByNumber
from app.storage.rows import call_row

_log = logging.getLogger(__name__)

T = TypeVar("T")
Post = Callable[[Callable[[], None]], Any]

MAX_WAITING_RECORDS = 100_000
"""How many call records wait in memory while the database cannot be written; further ones are lost, with an alarm."""

MAX_WAITING_JOBS = 10_000
"""How many jobs wait for the thread; a further one fails at once."""

_BATCH_SECONDS = 0.25
"""Seconds between two writes under load: so long may a record be in memory alone. One that comes alone is written at
once."""
_BATCH_RECORDS = 2_000
_WATCH_SECONDS = 1.0
_RETRY_SECONDS = 1.0
_CLEAN_UP_SECONDS = 3600.0
_DAY = 86400.0


class DatabaseThread:
    """Writes call records in batches, runs jobs on the database and watches for changes by other programs.

    Its methods are called on the event loop and never block, but for `stop`. What it has to say is handed to the loop
    with `post` (`loop.call_soon_threadsafe`): `on_configuration(configuration, version)` when another program changed
    the configuration, `on_trouble(text)` once when records cannot be written, `on_trouble(None)` when they can again.
    The thread owns the database from here on and closes it at the end.
    """

    def __init__(
        self,
        database: Database,
        post: Post,
        on_configuration: Callable[[Configuration, int], None],
        on_trouble: Callable[[str | None], None],
    ) -> None:
        self._database = database
        self._node = database.node
        self._journal = database.journal
        self._post = post
        self._on_configuration = on_configuration
        self._on_trouble = on_trouble
        # Written by the loop, emptied by the thread: deque's append and popleft are atomic.
        self._records: deque[tuple[bool, CallRecord]] = deque()
        self._jobs: deque[tuple[Callable[[Database], Any], Callable[[Any, Exception | None], None] | None]] = deque()
        self._wake = threading.Event()
        self._asleep = False
        self._stopping = False
        self._dropped = 0
        self._keep_days = 0
        # Only the loop's: changes that are on their way to the disk.
        self._unsaved: deque[tuple[Change, ...]] = deque()
        self._arrived = 0
        # Only the thread's: how many configurations of others were sent to the loop, and whether it has to be sent one
        # because changes that are in effect there could not be saved.
        self._sent = 0
        self._diverged = False
        # Only the thread's: what could not be written yet, and what was last said about it.
        self._started: dict[str, CallRecord] = {}
        self._ended: list[CallRecord] = []
        self._trouble = ""
        self._last_write = 0.0
        self._next_watch = time.monotonic() + _WATCH_SECONDS
        self._next_clean_up = 0.0
        self._thread = threading.Thread(target=self._run, name="database", daemon=True)
        self._thread.start()

    # --- on the event loop --------------------------------------------------------------------------------------------

    @property
    def waiting_records(self) -> int:
        """How many call records are not on disk yet."""
        return len(self._records) + len(self._started) + len(self._ended)

    @property
    def dropped_records(self) -> int:
        """How many call records were lost because MAX_WAITING_RECORDS waited already."""
        return self._dropped

    def call_started(self, record: CallRecord) -> None:
        """Keep a call that has begun, `ended` 0, so that it is known even if the program dies. May be said again with
        newer contents, as when the call is answered."""
        self._queue(False, record)

    def call_ended(self, record: CallRecord) -> None:
        """Keep a call that is over."""
        self._queue(True, record)

    def _queue(self, over: bool, record: CallRecord) -> None:
        if len(self._records) + len(self._ended) + len(self._started) >= MAX_WAITING_RECORDS:
            self._dropped += 1
            return
        self._records.append((over, record))
        if self._journal is not None:
            # Behind the queue: what the thread finds there is in the segment that it turned from, or in a newer one.
            self._journal.add(call_row(record, self._node))
        # At load the thread sleeps until its next batch and need not be woken for every record.
        if self._asleep:
            self._asleep = False
            self._wake.set()

    def submit(
        self, function: Callable[[Database], T], done: Callable[[T | None, Exception | None], None] | None = None
    ) -> None:
        """Run `function(database)` in the thread, then `done(result, None)` or `done(None, error)` on the loop.

        Call records that were given before are written first, so that a query finds them.
        """
        if self._stopping or len(self._jobs) >= MAX_WAITING_JOBS:
            error = StorageUnavailable(
                "The database is closed" if self._stopping else "The database does not keep up with its work"
            )
            if done is not None:
                self._tell(lambda: done(None, error))
            return
        self._jobs.append((function, done))
        self._wake.set()

    def save(self, changes: Sequence[Change], done: Callable[[Exception | None], None] | None = None) -> None:
        """Write changes that are in effect already; `done(None)` when they are on disk, `done(error)` when not.

        In the latter case `on_configuration` brings what is on disk, as soon as that can be read: what could not be
        saved does not stay in effect, to be lost at the next start.
        A configuration that `on_configuration` brings meanwhile has the changes on top that are not on disk yet.
        """
        kept = tuple(changes)
        self._unsaved.append(kept)

        def saved(_version: int | None, error: Exception | None) -> None:
            with suppress(ValueError):
                self._unsaved.remove(kept)
            if done is not None:
                done(error)

        arrived = self._arrived
        # Made upon a configuration that another program had changed by then, as the thread knows now: look again.
        self.submit(lambda database: self._save(database, kept, recheck=self._sent != arrived), saved)

    def write_registrations(self, users: ByNumber, done: Callable[[Exception | None], None]) -> None:
        """Keep where the phones of these users are now; `done(None)` when that is on disk, `done(error)` when not."""
        self.submit(lambda database: database.write_registrations(users), lambda _none, error: done(error))

    def keep_calls(self, days: int) -> None:
        """Delete call records older than so many days, now and then, a few at a time; 0 keeps them for ever."""
        if days != self._keep_days:
            self._keep_days = days
            self._next_clean_up = 0.0

    def stop(self, timeout: float = 10.0) -> bool:
        """Write everything that waits, run the jobs that were submitted, close the database. False when it takes
        longer than `timeout` seconds, or when records could not be written."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout)
        return not self._thread.is_alive() and not self.waiting_records

    def _configuration_arrived(self, configuration: Configuration, version: int) -> None:
        self._arrived += 1
        for changes in self._unsaved:
            # What does not fit does not fit on disk either: its `done` brings the error.
            with suppress(RecordErrors):
                configuration = configuration.with_changes(changes)
        self._on_configuration(configuration, version)

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._sleep()
                self._work()
            self._work(final=True)
            if self.waiting_records:
                _log.error("%d call records could not be written; the next start tries again", self.waiting_records)
        except Exception:
            _log.exception("the database thread died")
            self._tell(lambda: self._on_trouble("The database thread died of a fault in the program; see the log"))
        finally:
            if self._journal is not None and not self.waiting_records:
                self._journal.remove()
            self._database.close()

    def _sleep(self) -> None:
        now = time.monotonic()
        until = min(self._next_watch, self._next_clean_up) if self._keep_days else self._next_watch
        if self._records or self._started or self._ended:
            until = min(until, self._last_write + self._pause)
        elif not self._jobs and not self._stopping:
            self._asleep = True
            # A record that came in between saw us awake and did not wake us.
            if self._records:
                until = now
        if until > now and not self._jobs and not self._stopping:
            self._wake.wait(until - now)
        self._asleep = False
        self._wake.clear()

    @property
    def _pause(self) -> float:
        """Seconds between two writes."""
        return _RETRY_SECONDS if self._trouble else _BATCH_SECONDS

    def _work(self, *, final: bool = False) -> None:
        now = time.monotonic()
        jobs = len(self._jobs)
        if final or now - self._last_write >= self._pause or (jobs and not self._trouble):
            self._write()
        for _ in range(jobs):
            self._do(*self._jobs.popleft())
        if final:
            return
        if now >= self._next_watch:
            self._next_watch = now + _WATCH_SECONDS
            self._watch()
        if self._keep_days and now >= self._next_clean_up:
            self._clean_up(now)

    def _write(self) -> None:
        """Write what waits. A call that began and ended within one batch is written once."""
        records, started, ended = self._records, self._started, self._ended
        if records and self._journal is not None:
            self._journal.turn()
        for _ in range(len(records)):
            over, record = records.popleft()
            if over:
                started.pop(record.id, None)
                ended.append(record)
            else:
                started[record.id] = record
        while started or ended:
            self._last_write = time.monotonic()
            batch = list(islice(started.values(), _BATCH_RECORDS)), ended[:_BATCH_RECORDS]
            try:
                self._database.write_calls(*batch)
            except StorageError as error:
                self._say(f"{error}; call records wait in memory until it can")
                return
            except Exception as error:
                _log.exception("call records cannot be written")
                self._say(f"Call records cannot be written: {error}")
                return
            for record in batch[0]:
                del started[record.id]
            del ended[: len(batch[1])]
        if self._journal is not None:
            self._journal.written()
        if self._trouble:
            self._say("")

    def _say(self, trouble: str) -> None:
        """Tell of trouble when it begins, when records are lost for it, and when it is over."""
        if trouble and self._dropped:
            trouble = f"{trouble}; {MAX_WAITING_RECORDS} wait already and further ones are lost"
        lost = "are lost" in trouble and "are lost" not in self._trouble
        changed = bool(trouble) != bool(self._trouble) or lost
        self._trouble = trouble
        if not changed:
            return
        if trouble:
            _log.error("%s", trouble)
        else:
            lost_words = f"; {self._dropped} were lost" if self._dropped else ", none was lost"
            _log.warning("call records are written again%s", lost_words)
            self._dropped = 0
        self._tell(lambda: self._on_trouble(trouble or None))

    def _do(self, function: Callable[[Database], Any], done: Callable[[Any, Exception | None], None] | None) -> None:
        result, failure = None, None
        try:
            result = function(self._database)
        except Exception as error:
            if not isinstance(error, StorageError | RecordErrors):
                _log.exception("a job on the database failed")
            failure = error
        if done is not None:
            self._tell(lambda: done(result, failure))

    def _save(self, database: Database, changes: tuple[Change, ...], *, recheck: bool) -> int:
        try:
            return database.save(changes, recheck=recheck)
        except BaseException:
            self._diverged = True
            self._next_watch = 0.0
            raise

    def _watch(self) -> None:
        """Has another program changed the configuration, or is something in effect that is not on disk?"""
        self._database.touch()
        try:
            if self._database.version() == self._database.seen_version and not self._diverged:
                return
            configuration, version = self._database.load()
        except StorageError as error:
            _log.debug("the configuration cannot be watched now: %s", error)
            return
        except Exception:
            _log.exception("the configuration cannot be read again")
            return
        self._diverged = False
        self._sent += 1
        self._tell(lambda: self._configuration_arrived(configuration, version))

    def _clean_up(self, now: float) -> None:
        """Delete one small batch of old records; the next one follows after the calls' own work."""
        try:
            deleted = self._database.delete_calls_before(time.time() - self._keep_days * _DAY)
        except StorageError as error:
            _log.warning("old call records cannot be deleted now: %s", error)
            deleted = 0
        self._next_clean_up = now + (_BATCH_SECONDS if deleted else _CLEAN_UP_SECONDS)

    def _tell(self, callback: Callable[[], None]) -> None:
        # The loop may be closed already when the last words come.
        with suppress(RuntimeError):
            self._post(callback)
