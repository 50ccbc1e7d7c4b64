"""The history of the database's tables, run by the program itself when it opens a database from an older version.

A released step is never changed: a user's database may stand at any of them. After a record has got a new field, run
`python -m app.storage.migrations "What was added"` and read through the file that it writes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

VERSION_TABLE = "trunkline_schema"
"""The table that says at which step a database stands."""

FOLDER = Path(__file__).parent

_STEP = re.compile(r"(\d{4})_\w+\.py")


def steps() -> tuple[str, ...]:
    """The revisions that this version of the program knows, oldest first: `0001`, `0002`, ..."""
    found = (_STEP.fullmatch(path.name) for path in (FOLDER / "versions").iterdir())
    return tuple(sorted(match[1] for match in found if match))


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for a connection; there is no ini file."""
    # Imported here: Alembic costs a fifth of a second, and most starts need no migration.
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, to: str = "head") -> None:
    """Bring the database behind the connection forward, one step after the other."""
    from alembic import command

    command.upgrade(configuration(connection), to)
