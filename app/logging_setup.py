"""How the log looks: one line per entry, times in UTC, nothing in it that could forge a line; and where it goes.

It goes to standard error, and where a window runs to a file of its own thread and to those who look at it there.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import sys
import time
from collections import deque
from collections.abc import Callable
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from typing import NamedTuple, TextIO

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_CONTROL[10] = "\\n"
_CONTROL[13] = "\\r"
_CONTROL[9] = " "


LOG_FILE = "trunkline.log"
LARGEST_FILE = 2_000_000
"""Bytes; then the file is put aside as `trunkline.log.1`."""
FILES_KEPT = 5
MOST_WAITING = 5_000
"""Entries that wait for the file, or for a look at them; beyond it the newest are not written, the oldest not shown."""


class LineFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.250Z WARNING app.calls.trunks: SIP trunk 1 is down`; a traceback follows, indented.

    Messages hold texts from the network: line breaks and terminal codes in them are written as `\\n`, `\\x1b`.
    """

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        """One entry as text."""
        return f"{self.formatTime(record)} {record.levelname} {record.name}: {entry_text(record)}"


_plain = logging.Formatter()


def entry_text(record: logging.LogRecord) -> str:
    """What an entry says, in one line; a traceback follows, indented."""
    text = record.getMessage().translate(_CONTROL)
    if record.exc_info:
        text += "".join("\n  " + each for each in _plain.formatException(record.exc_info).splitlines())
    return text


class LogEntry(NamedTuple):
    """One entry of the log for those who look at it."""

    number: int
    """Counts from 0."""
    at: float
    """Wall time."""
    level: int
    """As in `logging`: 10 debug to 50 critical."""
    name: str
    """The part of the program: `app.calls.trunks`."""
    text: str
    """The message, and the traceback below it."""


class RecentLog(logging.Handler):
    """Keeps the newest entries, of any thread, until somebody takes them. It never waits for anything."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        super().__init__()
        self._numbers = itertools.count()
        self._entries: deque[LogEntry] = deque(maxlen=most)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one entry; the oldest goes where there are too many."""
        # Made to text at once: what the message is about changes on.
        entry = LogEntry(next(self._numbers), record.created, record.levelno, record.name, entry_text(record))
        self._entries.append(entry)

    def __len__(self) -> int:
        return len(self._entries)

    def take(self) -> list[LogEntry]:
        """The entries since the last time, oldest first."""
        entries: list[LogEntry] = []
        with contextlib.suppress(IndexError):
            while True:
                entries.append(self._entries.popleft())
        return entries


class _Patient(QueueHandler):
    """Hands entries to another thread; when that one cannot write any more they are dropped."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """As a finished line: what the message is about changes on."""
        record = logging.makeLogRecord(record.__dict__)
        record.msg, record.args, record.exc_info, record.exc_text = self.format(record), None, None, None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue it, without waiting for room."""
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)


class _Writer(QueueListener):
    """The thread that writes."""

    def enqueue_sentinel(self) -> None:
        """Tell it to end after what waits, also where there is no room for that at once."""
        self.queue.put(self._sentinel)  # type: ignore[attr-defined]


def keep_log_file(folder: Path) -> Callable[[], None]:
    """Write the log into a file of this folder, too, in a thread of its own; call what is returned to end that.

    OSError where the file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = RotatingFileHandler(
        folder / LOG_FILE,
        maxBytes=LARGEST_FILE,
        backupCount=FILES_KEPT - 1,
        encoding="utf-8",
        errors="backslashreplace",
    )
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(MOST_WAITING)
    handler = _Patient(waiting)
    handler.setFormatter(LineFormatter())
    listener = _Writer(waiting, file)
    listener.start()
    logging.getLogger().addHandler(handler)

    def end() -> None:
        logging.getLogger().removeHandler(handler)
        listener.stop()
        file.close()

    return end


def set_up_logging(level: str = "info", stream: TextIO | None = None) -> None:
    """Send the log of the whole program to a stream (standard error, where there is one) from a level on."""
    root = logging.getLogger()
    root.handlers.clear()
    target: TextIO | None = stream or sys.stderr
    if target is not None:
        handler = logging.StreamHandler(target)
        handler.setFormatter(LineFormatter())
        root.addHandler(handler)
    root.setLevel(level.upper())
    # They tell of their own work at `info`.
    for name in ("alembic", "sqlalchemy", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
