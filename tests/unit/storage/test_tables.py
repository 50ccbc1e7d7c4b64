"""The tables are those of the records, and the migrations lead exactly there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.schema import CreateIndex

from app.records import fields_of
from app.records.types import MAX_ID
from app.storage import migrations
from app.storage.connection import sqlite_engine
from app.storage.migrations.__main__ import write_next
from app.storage.tables import RECORD_TYPES, metadata, record_tables

WHAT_TO_DO = """the records and the migrations differ. After a field of a record was added, run
    python -m app.storage.migrations "What was added"
read through the file that it writes under app/storage/migrations/versions, and commit it. The difference:
"""


def test_the_migrations_lead_to_the_tables_of_the_records(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "new.sqlite3", write_ahead=False)
    with engine.connect() as connection:
        migrations.upgrade(connection)
        context = MigrationContext.configure(
            connection, opts={"version_table": migrations.VERSION_TABLE, "compare_type": True}
        )
        difference = compare_metadata(context, metadata)
    engine.dispose()
    assert not difference, WHAT_TO_DO + "\n".join(map(str, difference))


def test_the_migrations_make_the_same_indexes(tmp_path: Path) -> None:
    """Alembic does not compare the condition of a partial index."""
    engine = sqlite_engine(tmp_path / "new.sqlite3", write_ahead=False)
    with engine.connect() as connection:
        migrations.upgrade(connection)
        made = set(
            connection.execute(
                sa.text("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
            ).scalars()
        )
    wanted = {
        str(CreateIndex(index).compile(dialect=engine.dialect)).strip()
        for table in metadata.tables.values()
        for index in table.indexes
    }
    engine.dispose()
    assert made == wanted


def test_the_steps_are_one_line_of_numbers(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "new.sqlite3", write_ahead=False)
    with engine.connect() as connection:
        script = ScriptDirectory.from_config(migrations.configuration(connection))
        revisions = [each.revision for each in script.walk_revisions()]
    engine.dispose()
    assert tuple(reversed(revisions)) == migrations.steps()
    assert revisions[-1] == "0001"
    assert script.get_current_head() == migrations.steps()[-1]


@pytest.mark.parametrize("name", RECORD_TYPES)
def test_every_field_has_its_column(name: str) -> None:
    model, table = RECORD_TYPES[name], record_tables[name]
    assert [column.name for column in table.columns] == [each.name for each in fields_of(model)]
    assert [column.name for column in table.primary_key] == ["id"]
    assert not any(column.nullable for column in table.columns)


@pytest.mark.parametrize("name", RECORD_TYPES)
def test_every_whole_number_fits_into_every_database(name: str) -> None:
    for each in fields_of(RECORD_TYPES[name]):
        if each.kind is int:
            assert each.minimum is not None, f"{name}.{each.name} has no lower limit"
            assert each.maximum is not None, f"{name}.{each.name} has no upper limit"
            assert each.maximum <= MAX_ID, f"{name}.{each.name} holds more than a PostgreSQL integer"


def test_the_maintainers_command_writes_the_migration_for_a_new_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _copy_of_the_migrations(tmp_path)
    monkeypatch.setattr(migrations, "FOLDER", folder)
    # As if the released tables had not had this field yet.
    first = next((folder / "versions").glob("0001_*.py"))
    text = first.read_text(encoding="utf-8")
    first.write_text(re.sub(r'        sa\.Column\("max_calls", [^\n]*\n', "", text, count=1), encoding="utf-8")

    written = write_next("Add a limit")

    number = f"{int(migrations.steps()[-1]):04d}"
    assert written.name == f"{number}_add_a_limit.py"
    step = written.read_text(encoding="utf-8")
    assert 'sa.Column("max_calls"' in step.replace("'", '"')
    assert "server_default" in step, "records that are there already need a value"
    engine = sqlite_engine(tmp_path / "old.sqlite3", write_ahead=False)
    with engine.connect() as connection:
        command.upgrade(migrations.configuration(connection), "0001")
        command.upgrade(migrations.configuration(connection), "head")
        found = {column["name"] for column in sa.inspect(connection).get_columns("local_users")}
    engine.dispose()
    assert found == {each.name for each in fields_of(RECORD_TYPES["local_users"])}


def _copy_of_the_migrations(tmp_path: Path) -> Path:
    import shutil

    folder = tmp_path / "migrations"
    shutil.copytree(migrations.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
