"""A lock keeps others out, in this process and in others, and goes away with its process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.storage.locks import FileLock

ROOT = Path(__file__).resolve().parents[3]

HOLDER = """
import sys
from pathlib import Path
from app.storage.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
print("held" if lock.acquire() else "refused", flush=True)
sys.stdin.read()
"""


def _hold_elsewhere(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.said = process.stdout.readline().strip()  # type: ignore[attr-defined]
    return process


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=10)


def test_one_holder_at_a_time_in_one_process(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    assert second.holder() == "this program"
    first.release()
    first.release()
    assert second.acquire()
    second.release()


def test_the_same_file_by_another_name_is_the_same_lock(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    first = FileLock(tmp_path / "lock")
    assert first.acquire()
    assert not FileLock(tmp_path / "folder" / ".." / "lock").acquire()
    first.release()


def test_another_process_is_kept_out_until_the_holder_dies(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = _hold_elsewhere(path)
    try:
        assert holder.said == "held"  # type: ignore[attr-defined]
        lock = FileLock(path)
        assert not lock.acquire()
        assert lock.holder() == f"process {holder.pid}"
    finally:
        _end(holder)
    assert lock.acquire(timeout=5)
    second = _hold_elsewhere(path)
    _end(second)
    assert second.said == "refused"  # type: ignore[attr-defined]
    lock.release()


def test_the_next_holder_learns_when_the_last_one_lived(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock(path)
    assert lock.acquire()
    assert lock.last_touched == 0.0, "there was none before"
    lock.touch()
    lock.release()
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert lock.acquire()
    assert lock.last_touched == 1_700_000_000
    lock.release()


def test_a_folder_that_is_not_there_is_an_error_and_not_a_lock(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "missing" / "lock")
    with pytest.raises(OSError, match="missing"):
        lock.acquire()
    (tmp_path / "missing").mkdir()
    assert lock.acquire()
    lock.release()
