"""Opens the database for the length of a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.command_line.output import say
from app.storage.database import Database


@contextmanager
def open_database(data_directory: Path) -> Iterator[Database]:
    """The database of a data folder, closed again at the end; says so when there was none and one was made."""
    database = Database.open(data_directory)
    try:
        if database.created:
            # Somebody may have mistyped the folder.
            say(f"There was no database yet; a new one was made: {database.place}")
        yield database
    finally:
        database.close()
