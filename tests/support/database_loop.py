"""What stands for the event loop of a database thread: callbacks wait in it until a test runs them."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Any

from app.records import Configuration
from app.storage.database import Database
from app.storage.thread import DatabaseThread


class DatabaseLoop:
    """Keeps what the thread told: configurations with their versions, and troubles."""

    def __init__(self) -> None:
        self.callbacks: queue.Queue[Callable[[], None]] = queue.Queue()
        self.configurations: list[tuple[Configuration, int]] = []
        self.troubles: list[str | None] = []

    def thread(self, database: Database) -> DatabaseThread:
        """A thread of this loop."""
        return DatabaseThread(
            database,
            self.callbacks.put,
            lambda configuration, version: self.configurations.append((configuration, version)),
            self.troubles.append,
        )

    def run_until(self, condition: Callable[[], Any], what: str) -> None:
        """Run callbacks as they come until something is true."""
        until = time.monotonic() + 15
        while not condition():
            try:
                self.callbacks.get(timeout=max(0.01, until - time.monotonic()))()
            except queue.Empty:
                raise AssertionError(f"waited in vain for {what}") from None
