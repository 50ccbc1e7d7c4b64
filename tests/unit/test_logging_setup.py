"""The log file: written in another thread, lines that cannot be forged, an end that loses nothing."""

from __future__ import annotations

import logging
import sys
from io import StringIO
from pathlib import Path

import pytest

from app.logging_setup import LOG_FILE, RecentLog, keep_log_file, set_up_logging


@pytest.fixture(autouse=True)
def root_as_before() -> object:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def test_the_file_has_all_that_was_logged_before_its_end(tmp_path: Path) -> None:
    logging.getLogger().setLevel(logging.INFO)
    folder = tmp_path / "deep" / "logs"
    before = list(logging.getLogger().handlers)
    end = keep_log_file(folder)
    for number in range(500):
        logging.getLogger("app.x").info("entry %d\nforged", number)
    end()
    assert logging.getLogger().handlers == before
    lines = (folder / LOG_FILE).read_text().splitlines()
    assert len(lines) == 500
    assert lines[-1].endswith("Z INFO app.x: entry 499\\nforged")


def test_words_that_are_no_text_are_written_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer's answer in Latin-1 (RFC 3261 wants UTF-8)."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logging.getLogger().setLevel(logging.INFO)
    end = keep_log_file(tmp_path)
    logging.getLogger("app.x").info("403 Ung\udcfcltig")
    end()
    assert (tmp_path / LOG_FILE).read_text().splitlines()[0].endswith("app.x: 403 Ung\\udcfcltig")


def test_a_traceback_is_written_once(tmp_path: Path) -> None:
    logging.getLogger().setLevel(logging.INFO)
    end = keep_log_file(tmp_path)
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("app.x").info("it failed", exc_info=True)
    end()
    text = (tmp_path / LOG_FILE).read_text()
    assert text.count("ValueError: why") == 1
    assert text.startswith("20")
    assert "\n  Traceback" in text


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        keep_log_file(tmp_path / "file" / "logs")


def test_recent_entries_are_taken_once_and_bounded() -> None:
    logging.getLogger().setLevel(logging.INFO)
    recent = RecentLog(3)
    logging.getLogger().addHandler(recent)
    for number in range(5):
        logging.getLogger("app.x").info("%d", number)
    assert [(entry.number, entry.text) for entry in recent.take()] == [(2, "2"), (3, "3"), (4, "4")]
    assert recent.take() == []


def test_without_standard_error_it_logs_elsewhere_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    set_up_logging()
    assert logging.getLogger().handlers == []
    stream = StringIO()
    set_up_logging("warning", stream)
    logging.getLogger("app.x").info("no")
    assert stream.getvalue() == ""
