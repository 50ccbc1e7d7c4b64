"""The journal of call records: what a killed server had not written to its database yet, in a file for the next one."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import struct
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from app.storage.rows import CALL_COLUMNS, clean_row

_log = logging.getLogger(__name__)

SEGMENT_BYTES = 4 * 1024 * 1024
"""Room for some ten thousand records in each of the two segments; what does not fit waits in memory alone."""

_FRAME = struct.Struct("<III")
"""The head of a frame: its segment's generation, its length, and the checksum of both and of the row that follows."""
_MEMORY_FOLDER = Path("/dev/shm")
_PREFIX = "trunkline-"


class CallJournal:
    """Keeps call records for the moments until the database has them, past the death of this process.

    The file is never waited for by calls: on Linux it lives in the system's memory, elsewhere in the data folder. It
    has two segments. The loop adds to one of them, while the thread writes to the database what came before its last
    `turn`. A row that is read again although the database has it changes nothing there.
    """

    def __init__(self, path: Path) -> None:
        """Begin an empty journal in place of any that is there; the file is made for the first row."""
        self.path = path
        self._descriptor = -1
        self._ended = False
        remove(path)
        # Only the thread's: how often it turned, and whether what came before is not in the database yet.
        self._turns = 0
        self._holds = False
        # Only the loop's: the turn that it knows, which names the segment, and where the next frame goes.
        self._known_turns = 0
        self._offset = 0
        self._end = SEGMENT_BYTES
        self._complained = False

    def add(self, row: tuple[Any, ...]) -> None:
        """Keep a row; on the loop, after the row was queued for the thread. It costs some microseconds."""
        turns = self._turns
        if turns != self._known_turns:
            self._known_turns = turns
            self._offset = (turns & 1) * SEGMENT_BYTES
            self._end = self._offset + SEGMENT_BYTES
        try:
            data = to_json(row)
        except ValueError:
            data = to_json(clean_row(row))
        generation, length = turns & 0xFFFFFFFF, len(data)
        if self._offset + _FRAME.size + length > self._end:
            return
        frame = _FRAME.pack(generation, length, _checksum(generation, data)) + data
        try:
            if self._descriptor < 0:
                self._begin()
            self._write(frame)
        except OSError as error:
            if not self._complained:
                self._complained = True
                _log.info("calls that end within a moment of a crash may have no record: %s", error)
            return
        self._offset += len(frame)

    def _begin(self) -> None:
        """OSError where the file cannot be made; a stranger's file is not used."""
        if self._ended:
            raise OSError("the journal is closed")
        self._descriptor = _open(self.path, os.O_RDWR | os.O_CREAT)

    def _write(self, frame: bytes) -> None:
        if sys.platform == "win32":
            os.lseek(self._descriptor, self._offset, os.SEEK_SET)
            os.write(self._descriptor, frame)
        else:
            os.pwrite(self._descriptor, frame, self._offset)

    def turn(self) -> None:
        """In the thread, before it takes the queue: what is added from now on goes to the other segment, unless that
        one is not in the database yet."""
        if not self._holds:
            self._holds = True
            self._turns += 1

    def written(self) -> None:
        """In the thread: everything that was added before the last turn is in the database."""
        self._holds = False

    def close(self) -> None:
        """Close the file and leave it to the next server; twice does nothing."""
        self._ended = True
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def remove(self) -> None:
        """Close the file and take it away: every row is in the database."""
        self.close()
        remove(self.path)


def journal_path(data_directory: Path) -> Path:
    """Where the journal of a data folder is: in memory where the system has files there, else in the folder."""
    if sys.platform == "linux" and os.access(_MEMORY_FOLDER, os.W_OK | os.X_OK):
        mark = hashlib.sha256(os.fsencode(os.path.realpath(data_directory))).hexdigest()[:20]
        # Of the folder's owner, so that whoever looks at the records of another user's server finds them, too.
        owner = data_directory.stat().st_uid if data_directory.exists() else os.getuid()
        return _MEMORY_FOLDER / f"{_PREFIX}{owner}-{mark}"
    return data_directory / "calls.journal"


def read(path: Path) -> list[tuple[Any, ...]]:
    """Every whole row that a killed server left, oldest first; what it left half is passed over."""
    try:
        descriptor = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return []
    except OSError as error:
        _log.warning("the journal of call records %s cannot be read: %s", path, error)
        return []
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(2 * SEGMENT_BYTES)
    segments = (_rows(content[:SEGMENT_BYTES]), _rows(content[SEGMENT_BYTES:]))
    return [row for _generation, rows in sorted(segments, key=lambda segment: segment[0]) for row in rows]


def remove(path: Path) -> None:
    """Take a journal away that was read."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _rows(segment: bytes) -> tuple[int, list[tuple[Any, ...]]]:
    """The generation of a segment and its rows, up to the first frame that is of an older one or not whole."""
    rows: list[tuple[Any, ...]] = []
    first: int | None = None
    at = 0
    while at + _FRAME.size <= len(segment):
        generation, length, checksum = _FRAME.unpack_from(segment, at)
        at += _FRAME.size
        data = segment[at : at + length]
        if len(data) < length or not length or checksum != _checksum(generation, data):
            break
        if first is None:
            first = generation
        elif generation != first:
            break
        at += length
        row = json.loads(data)
        # Of a version of the program that knew other columns there is nothing to be had.
        if len(row) == len(CALL_COLUMNS):
            rows.append(tuple(row))
    return (first or 0), rows


def _checksum(generation: int, data: bytes) -> int:
    return zlib.crc32(data, generation)


def _open(path: Path, flags: int) -> int:
    """Open a journal; OSError when it is a stranger's file: others may write to the folder of memory, too."""
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o600)
    found = os.fstat(descriptor)
    owners = {os.getuid(), _owner_of_the_folder(path)} if hasattr(os, "getuid") else {found.st_uid}
    if not stat.S_ISREG(found.st_mode) or found.st_uid not in owners:
        os.close(descriptor)
        raise PermissionError(f"{path} belongs to somebody else")
    return descriptor


def _owner_of_the_folder(path: Path) -> int:
    """The user whose data folder a journal in memory is of, by its name; -1 for a journal anywhere else."""
    number = path.name.removeprefix(_PREFIX).partition("-")[0]
    return int(number) if path.parent == _MEMORY_FOLDER and number.isdigit() else -1
