"""Transports under test on a real event loop of each kind, with everything that they call back written down."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from app.sip.flow import Flow
from app.sip.transport import ListenAddress, TlsSettings, TransportLimits, Transports

T = TypeVar("T")
_qt_loops: list[Any] = []

LOOPS = [
    "asyncio",
    pytest.param("uvloop", marks=pytest.mark.skipif(sys.platform == "win32", reason="no uvloop")),
    "qasync",
]
OPTIONS = (
    b"OPTIONS sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK%d\r\n"
    b"Call-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def options(number: int = 1) -> bytes:
    """A message that looks like SIP; different for each number."""
    return OPTIONS % (number, number)


def run_on(loop_name: str, request: pytest.FixtureRequest, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a new loop of this kind; longer than 30 s fails."""

    async def limited() -> T:
        async with asyncio.timeout(30):
            return await main

    if loop_name == "asyncio":
        with asyncio.Runner() as runner:
            return runner.run(limited())
    if loop_name == "uvloop":
        uvloop = pytest.importorskip("uvloop")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(limited())
    return _qt_loop(request).run_until_complete(limited())  # type: ignore[no-any-return]


def _qt_loop(request: pytest.FixtureRequest) -> Any:
    """One loop for the whole session, as in the program.

    Were there one per test, the collector could destroy an old one in a thread that is not Qt's, and its timers, which
    Qt cannot stop from there, would fire for an object that is gone.
    """
    if not _qt_loops:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        application = request.getfixturevalue("qapp")
        import qasync

        _qt_loops.append(qasync.QEventLoop(application))
        request.config.add_cleanup(_close_qt_loop)
    return _qt_loops[0]


def _close_qt_loop() -> None:
    _qt_loops.pop().close()


class Host:
    """Transports with a record of what they called back; `answer` makes it answer every message with that."""

    def __init__(self, answer: bytes = b"", limits: TransportLimits | None = None, **options: Any) -> None:
        self.batches: list[list[tuple[bytes, Flow]]] = []
        self.failures: list[tuple[Flow, Exception]] = []
        self.changes: list[Any] = []
        self.now: float | None = None
        self.answer = answer
        self.transports = Transports(
            self._on_messages, self._on_failure, limits=limits, monotonic=self._monotonic, **options
        )
        self.transports.on_listener_changed = self.changes.append

    @property
    def received(self) -> list[bytes]:
        return [data for batch in self.batches for data, _flow in batch]

    @property
    def flows(self) -> list[Flow]:
        return [flow for batch in self.batches for _data, flow in batch]

    @property
    def ports(self) -> dict[str, int]:
        return {address.transport: address.port for address in self.transports.listening}

    async def start(self, *transports: str, host: str = "127.0.0.1", tls: TlsSettings | None = None) -> Host:
        await self.transports.start([ListenAddress(each, host, 0) for each in transports], tls)  # type: ignore[arg-type]
        return self

    async def stop(self) -> None:
        await self.transports.stop()

    def advance(self, seconds: float) -> None:
        """Stop the clock of these transports, put it on and let them do what is due then."""
        self.now = self._monotonic() + seconds
        self.transports.sweep(self.now)

    def _monotonic(self) -> float:
        return time.monotonic() if self.now is None else self.now

    def _on_messages(self, batch: list[tuple[bytes, Flow]]) -> None:
        self.batches.append(batch)
        if self.answer:
            for _data, flow in batch:
                self.transports.send(flow, self.answer)

    def _on_failure(self, flow: Flow, error: Exception) -> None:
        self.failures.append((flow, error))


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """A blocking call outside the loop, so that the peer's side of a test may use plain sockets."""
    return await asyncio.to_thread(function, *arguments)
