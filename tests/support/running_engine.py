"""The engine on real sockets inside the test's own process, on a loop in a thread: cheap to start, easy to ask."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from support.waiting import wait_until

from app.engine import Engine
from app.events import CallRecord, LineRow, TrunkRow
from app.records import Change
from app.records.document import read_document
from app.storage.calls import CallQuery
from app.storage.database import Database, differences

T = TypeVar("T")


class RunningEngine:
    """An engine with its own data folder. What is asked of it is done on its loop, and its answer waited for."""

    def __init__(
        self, data: Path, document: dict[str, Any], address: str, port: int = 5060, *, by_record: bool = False
    ) -> None:
        """With `by_record` it listens where its system record says, also after a change of that."""
        self.data, self.address, self.port = data, address, port
        # Beside the address that is listened on the record names it, too, so that a simulation knows it.
        own = {"sip_address": address, "sip_udp_port": port, "sip_tcp_port": port, "sip_tls_port": 0}
        database = Database.open(data)
        try:
            system = {**own, **document.get("system", {})}
            database.update(lambda base: read_document({**document, "system": system}, base, replace=True))
        finally:
            database.close()
        self.engine = Engine(data, sip=None if by_record else (address, port))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready: Future[None] = Future()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="engine of a test", daemon=True)
        self._thread.start()
        self._ready.result(30)

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            await self.engine.start()
        except BaseException as error:
            self._ready.set_exception(error)
            return
        self._ready.set_result(None)
        await self._stop.wait()
        await self.engine.stop()

    def stop(self) -> None:
        """End it in order; AssertionError when it does not end."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive(), "the engine did not end within 20 s"

    def ask(self, question: Callable[[Engine], T]) -> T:
        """What the function gives, called on the engine's loop."""
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(question(self.engine))
            except BaseException as error:
                answer.set_exception(error)

        assert self._loop is not None
        self._loop.call_soon_threadsafe(run)
        return answer.result(20)

    def change(self, document: dict[str, Any]) -> None:
        """Change records as the window does: in force when this returns."""

        def apply(engine: Engine) -> None:
            changes: list[Change] = list(
                differences(engine.configuration, read_document(document, engine.configuration))
            )
            assert changes, f"{document} changes nothing"
            engine.apply(changes)

        self.ask(apply)

    def delete(self, table: str, record_id: int) -> None:
        """Delete a record as the window does."""
        self.ask(lambda engine: engine.apply([Change(table, engine.configuration.find(table, record_id), None)]))

    def trunk(self, trunk_id: int) -> TrunkRow:
        """The row of a trunk as it is now."""
        return next(row for row in self.ask(Engine.trunks) if row.id == trunk_id)

    def line(self, line_id: int = 1) -> LineRow:
        """The row of an external line as it is now."""
        return next(row for row in self.ask(Engine.lines) if row.id == line_id)

    def calls(self) -> list[CallRecord]:
        """The call records on disk, oldest first."""
        answer: Future[list[CallRecord]] = Future()

        def done(records: list[CallRecord] | None, error: Exception | None) -> None:
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(records or [])

        self.ask(lambda engine: engine.call_records(CallQuery(limit=1000), done))
        return sorted(answer.result(20), key=lambda record: record.started)

    def wait_for_calls(self, count: int, seconds: float = 15.0) -> list[CallRecord]:
        """The records of ended calls, oldest first, as soon as there are so many."""

        def enough() -> list[CallRecord]:
            records = [record for record in self.calls() if record.ended]
            return records if len(records) >= count else []

        records = wait_until(enough, f"{count} call records", seconds)
        assert len(records) == count, f"{len(records)} call records instead of {count}: {records}"
        return records
