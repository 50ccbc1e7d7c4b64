"""Writes the next migration for a maintainer: the difference between the released tables and those of the records."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from app.storage.connection import sqlite_engine
from app.storage.migrations import configuration, steps, upgrade


def write_next(message: str) -> Path:
    """Write the migration that leads to the tables as the records declare them now, and return the file's path."""
    from alembic import command

    with tempfile.TemporaryDirectory() as folder:
        engine = sqlite_engine(Path(folder) / "newest.sqlite3", write_ahead=False)
        with engine.connect() as connection:
            upgrade(connection)
            number = f"{int(max(steps(), default='0')) + 1:04d}"
            script = command.revision(configuration(connection), message, autogenerate=True, rev_id=number)
        engine.dispose()
    if script is None or isinstance(script, list):
        raise SystemExit("Alembic wrote no file")
    path = Path(str(script.path))
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r" *# ### .*\n", "", text), encoding="utf-8")
    return path


def main() -> int:
    """Command line: one argument, the words for what was added."""
    if len(sys.argv) != 2 or not sys.argv[1].strip():
        sys.stderr.write('usage: python -m app.storage.migrations "What was added"\n')
        return 2
    path = write_next(sys.argv[1].strip())
    sys.stdout.write(f"{path}\nRead it through, then: ruff check --fix {path.name} and ruff format\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
