"""Locks between processes: files that the operating system frees when their process dies, however it dies."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_held_here: set[str] = set()
_held_here_guard = threading.Lock()

# Windows locks bytes for reading, too: the locked byte lies far behind the text that others may read.
_LOCKED_BYTE = 0x4000_0000


class FileLock:
    """A lock on a file, held by one process at a time and free again as soon as that process is gone.

    The file stays: taking it away would let two processes hold locks on two files of the same name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last_touched = 0.0
        """When the holder before us was last known to live (wall time); 0 when there was none."""
        self._descriptor: int | None = None
        self._key = os.path.realpath(path)

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self, timeout: float = 0.0) -> bool:
        """Take the lock, trying for `timeout` seconds; False when another keeps it. OSError where not permitted."""
        until = time.monotonic() + timeout
        while not self._try():
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        return True

    def _try(self) -> bool:
        # POSIX locks belong to the process: a second one inside it has to be kept out by ourselves.
        with _held_here_guard:
            if self._key in _held_here:
                return False
            _held_here.add(self._key)
        try:
            touched = self.path.stat().st_mtime if self.path.exists() else 0.0
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            if not _lock(descriptor):
                os.close(descriptor)
                self._forget()
                return False
        except OSError:
            self._forget()
            raise
        self.last_touched = touched
        self._descriptor = descriptor
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return True

    def _forget(self) -> None:
        with _held_here_guard:
            _held_here.discard(self._key)

    def touch(self) -> None:
        """Leave word that the holder lives, for `last_touched` of the one after it."""
        if self._descriptor is not None:
            os.utime(self.path)

    def release(self) -> None:
        """Give the lock back; twice does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
            self._forget()

    def holder(self) -> str:
        """Who holds the lock, for a message: `process 1234`, `this program`, or blank where nobody can tell."""
        with _held_here_guard:
            if self._key in _held_here:
                return "this program"
        try:
            text = self.path.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return ""
        return f"process {text}" if text.isdigit() else ""


def _lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        try:
            # Not flock: that would go on to child processes and outlive us in a media worker.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
    return True
