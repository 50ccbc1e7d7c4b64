"""The journal of call records: whatever was added before a kill is read again, whole, once and in order."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.events import CallRecord
from app.storage import journal as journal_module
from app.storage.database import Database
from app.storage.journal import CallJournal, journal_path, read
from app.storage.rows import CALL_COLUMNS
from app.storage.thread import DatabaseThread


def row(name: str) -> tuple[Any, ...]:
    return (name, *("" for _ in CALL_COLUMNS[1:]))


def names(path: Path) -> list[str]:
    return [each[0] for each in read(path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def test_what_was_added_is_there_for_the_next_server(path: Path) -> None:
    journal = CallJournal(path)
    for name in "abc":
        journal.add(row(name))
    assert names(path) == ["a", "b", "c"], "without a word of goodbye"


def test_a_segment_is_used_again_only_when_the_database_has_it(path: Path) -> None:
    journal = CallJournal(path)
    journal.add(row("a"))
    journal.turn()
    journal.add(row("b"))
    journal.turn()
    journal.add(row("c"))
    assert names(path) == ["a", "b", "c"], "the first turn's rows are still on their way"
    journal.written()
    journal.turn()
    journal.add(row("d"))
    assert names(path) == ["b", "c", "d"]
    journal.written()
    journal.turn()
    journal.add(row("e"))
    assert names(path) == ["d", "e"]


def test_a_full_segment_takes_no_more_and_the_other_one_does(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 1000)
    journal = CallJournal(path)
    for number in range(1000):
        journal.add(row(str(number)))
    kept = names(path)
    assert kept == [str(number) for number in range(len(kept))]
    assert 5 < len(kept) < 50
    assert path.stat().st_size <= 1000
    journal.turn()
    journal.add(row("next"))
    assert names(path) == [*kept, "next"]


def test_a_row_that_was_written_in_part_is_passed_over(path: Path) -> None:
    journal = CallJournal(path)
    journal.add(row("a"))
    whole = path.stat().st_size
    journal.add(row("b"))
    content = path.read_bytes()
    for length in range(whole, len(content)):
        path.write_bytes(content[:length])
        assert names(path) == ["a"]
    path.write_bytes(content[: whole + 20] + b"?" + content[whole + 21 :])
    assert names(path) == ["a"]
    path.write_bytes(os.urandom(5000))
    assert names(path) == []


def test_texts_that_no_encoding_takes_do_no_harm(path: Path) -> None:
    journal = CallJournal(path)
    journal.add(row("half a character \ud800"))
    journal.add(row("next"))
    assert len(names(path)) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="there are no links")
@pytest.mark.expects_log("cannot be read")
def test_a_file_of_somebody_else_is_not_touched(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("kept")
    path.symlink_to(other)
    assert read(path) == []
    journal = CallJournal(path)
    path.unlink(missing_ok=True)
    path.symlink_to(other)
    journal.add(row("a"))
    assert read(path) == []
    assert other.read_text() == "kept"


@pytest.mark.expects_log("1 calls were in progress|could not be written")
def test_calls_of_the_last_moment_are_in_the_database_of_the_next_server(
    data: Path, open_database: Callable[..., Database], call: Callable[..., CallRecord]
) -> None:
    """The thread never gets its turn before the end, as when the kill comes within its pause."""
    dying = open_database(serving=True)
    assert dying.journal is not None
    worker = DatabaseThread(dying, lambda _: None, lambda *_: None, lambda _: None)
    before = call(id="before")
    worker.call_ended(before)
    worker._write = lambda: None  # type: ignore[method-assign]
    ended, talking = call(id="ended"), call(id="talking", ended=0.0, end_cause="", ended_by="")
    worker.call_started(talking)
    worker.call_ended(ended)
    content = journal_path(data).read_bytes()
    worker.stop()
    journal_path(data).write_bytes(content)

    server = open_database(serving=True)

    found = {each.id: each for each in server.calls()}
    assert found["ended"] == ended
    assert found["before"] == before
    assert found["talking"].end_cause == "interrupted"
    assert len(found) == 3


def test_a_server_that_ends_in_order_leaves_no_journal(
    data: Path, open_database: Callable[..., Database], call: Callable[..., CallRecord]
) -> None:
    worker = DatabaseThread(open_database(serving=True), lambda _: None, lambda *_: None, lambda _: None)
    worker.call_ended(call(id="a"))
    assert journal_path(data).exists()
    assert worker.stop()
    assert not journal_path(data).exists()


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may be somebody else")
@pytest.mark.expects_log("cannot be read")
def test_the_journal_belongs_to_the_owner_of_the_data_folder(data: Path) -> None:
    """Who looks at another user's records finds that user's journal, and never a third one's."""
    data.mkdir()
    os.chown(data, 1234, -1)
    path = journal_path(data)
    assert path.name.startswith("trunkline-1234-")
    journal = CallJournal(path)
    try:
        journal.add(row("a"))
        os.chown(path, 1234, -1)
        assert names(path) == ["a"]
        os.chown(path, 1235, -1)
        assert names(path) == []
    finally:
        journal.remove()
