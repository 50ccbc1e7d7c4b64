"""Databases from older and newer versions, half-made ones and damaged ones."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.events import CallRecord
from app.records import TABLES, Change, Configuration, SipTrunk
from app.records.document import read_document, write_document
from app.storage import migrations
from app.storage.database import FILE_NAME, Database
from app.storage.errors import StorageDamaged, StorageError, StorageInUse, StorageNewer

Opener = Callable[..., Database]

NEXT_STEP = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "9000", "{last}", None, None

def upgrade():
    with op.batch_alter_table("sip_trunks") as batch:
        batch.add_column(sa.Column("colour", sa.Text(), nullable=False, server_default="green"))
    {then}
"""


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the program one version newer: its migrations have a further step, which ends with the given code."""

    def make(then: str = "pass") -> None:
        folder = tmp_path / "migrations"
        if not folder.exists():
            last = migrations.steps()[-1]
            shutil.copytree(migrations.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            last = sorted(migrations.steps())[-2]
        (folder / "versions" / "9000_next.py").write_text(NEXT_STEP.format(last=last, then=then))
        monkeypatch.setattr(migrations, "FOLDER", folder)

    return make


@pytest.fixture
def older(open_database: Opener, call: Callable[..., CallRecord]) -> CallRecord:
    """A database of this version with a trunk and a call in it, closed."""
    database = open_database()
    database.load()
    database.save([Change("sip_trunks", None, SipTrunk(id=1, server_address="192.0.2.8"))])
    record = call()
    database.write_calls([], [record])
    database.close()
    return record


def _colours(data: Path) -> list[str]:
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        return [row[0] for row in connection.execute("SELECT colour FROM sip_trunks")]


def _content(data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in data.iterdir() if path.name.startswith(FILE_NAME)}


def test_an_older_database_is_brought_forward_with_all_that_is_in_it(
    data: Path, older: CallRecord, next_version: Callable[[str], None], open_database: Opener
) -> None:
    next_version("pass")
    database = open_database()
    assert database.calls() == [older]
    assert database.version() == 2
    database.close()
    assert _colours(data) == ["green"]
    assert [path.name for path in data.iterdir() if path.name.startswith(FILE_NAME)] == [FILE_NAME]


def test_a_step_that_fails_leaves_the_database_as_it_was(
    data: Path, older: CallRecord, next_version: Callable[[str], None], open_database: Opener
) -> None:
    next_version('raise RuntimeError("the step has a fault")')
    with pytest.raises(RuntimeError, match="the step has a fault"):
        open_database()
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        _colours(data)
    next_version("pass")
    assert open_database().calls() == [older], "and the next try does not stumble over the half-made copy"
    assert _colours(data) == ["green"]


def test_nothing_is_migrated_under_a_running_server(
    older: CallRecord, next_version: Callable[[str], None], open_database: Opener
) -> None:
    server = open_database(serving=True)
    next_version("pass")
    with pytest.raises(StorageInUse, match="older version of Trunkline runs"):
        open_database()
    assert server.calls() == [older]
    server.close()
    assert open_database().calls() == [older]


def test_a_newer_database_is_refused_and_left_untouched(
    data: Path,
    older: CallRecord,
    next_version: Callable[[str], None],
    open_database: Opener,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    next_version("pass")
    open_database().close()
    newer = _content(data)
    monkeypatch.undo()
    with pytest.raises(StorageNewer) as caught:
        open_database(serving=True)
    assert "made by a newer version of Trunkline" in str(caught.value)
    assert "step 9000" in str(caught.value)
    assert _content(data) == newer
    with pytest.raises(StorageNewer):
        open_database()


@pytest.mark.parametrize("serving", [True, False])
def test_a_file_cut_off_anywhere_is_refused_and_kept(
    data: Path, older: CallRecord, serving: bool, open_database: Opener
) -> None:
    path = data / FILE_NAME
    whole = path.read_bytes()
    for size in (0, 1, 99, 100, 5000, len(whole) // 2, len(whole) - 4096):
        path.write_bytes(whole[:size])
        with pytest.raises(StorageDamaged, match="is damaged"):
            open_database(serving=serving)
        assert path.read_bytes() == whole[:size], f"{size} bytes"
    path.write_bytes(whole)
    assert open_database(serving=serving).calls() == [older], "a refusal gives the lock back"


def test_overwritten_pages_are_found_at_the_start(data: Path, older: CallRecord, open_database: Opener) -> None:
    path = data / FILE_NAME
    whole = path.read_bytes()
    for page in range(1, len(whole) // 4096):
        spoilt = bytearray(whole)
        spoilt[page * 4096 : page * 4096 + 4096] = b"\xa5" * 4096
        path.write_bytes(spoilt)
        with pytest.raises(StorageDamaged):
            open_database()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DROP TABLE sip_trunks", "it has no table sip_trunks"),
        ("DROP TABLE registrations", "it has no table registrations"),
        ("ALTER TABLE sip_trunks DROP COLUMN server_port", "its table sip_trunks has no column server_port"),
        ("ALTER TABLE call_records RENAME COLUMN trail TO path", "its table call_records has no column trail"),
    ],
)
def test_a_table_that_is_not_whole_is_damage(
    data: Path, older: CallRecord, statement: str, words: str, open_database: Opener
) -> None:
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        connection.execute(statement)
    with pytest.raises(StorageDamaged, match=f"is damaged: {words}"):
        open_database()


@pytest.mark.parametrize("name", [b"ban_seconds", b"TABLE sip_trunks", b"server_port"])
def test_a_schema_that_is_no_text_is_damage(data: Path, older: CallRecord, name: bytes, open_database: Opener) -> None:
    path = data / FILE_NAME
    whole = path.read_bytes()
    assert name in whole
    for at in range(len(name)):
        path.write_bytes(whole.replace(name, name[:at] + b"\xff" + name[at + 1 :]))
        with pytest.raises(StorageDamaged, match="is damaged"):
            open_database()


def test_another_programs_file_is_refused(data: Path, open_database: Opener) -> None:
    data.mkdir()
    (data / FILE_NAME).write_bytes(b"This is a letter to my aunt, and no database at all.")
    with pytest.raises(StorageDamaged, match="does not begin like a database"):
        open_database()
    (data / FILE_NAME).unlink()
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(StorageError, match="was not made by Trunkline"):
        open_database()


def test_a_damaged_database_is_kept_aside_and_a_new_one_begins(
    data: Path, older: CallRecord, open_database: Opener
) -> None:
    path = data / FILE_NAME
    path.write_bytes(path.read_bytes()[:5000])
    (data / (FILE_NAME + "-wal")).write_bytes(b"left over")
    kept = Database.set_aside(data)
    assert kept is not None
    assert kept.name.startswith("trunkline-damaged-20")
    assert kept.stat().st_size == 5000
    assert kept.with_name(kept.name + "-wal").read_bytes() == b"left over"
    database = open_database()
    assert database.created
    assert database.calls() == []


def test_nothing_is_set_aside_under_a_running_server(data: Path, open_database: Opener) -> None:
    assert Database.set_aside(data) is None
    server = open_database(serving=True)
    with pytest.raises(StorageInUse):
        Database.set_aside(data)
    assert server.version() == 1


def test_what_a_dead_program_left_beside_a_vanished_database_is_not_taken_for_its_part(
    data: Path, older: CallRecord, open_database: Opener
) -> None:
    """SQLite would play an old write-ahead log into a new file of the same name."""
    database = open_database()
    database.save([Change("sip_trunks", None, SipTrunk(id=2, server_address="192.0.2.9"))])
    log = (data / (FILE_NAME + "-wal")).read_bytes()
    assert log
    database.close()
    (data / FILE_NAME).unlink()
    (data / (FILE_NAME + "-wal")).write_bytes(log)
    assert [each.id for each in open_database().load()[0].records(SipTrunk)] == []


def test_a_half_made_new_database_is_begun_again(data: Path, open_database: Opener) -> None:
    data.mkdir()
    (data / (FILE_NAME + ".new")).write_bytes(b"SQLite format 3\x00 and then the power failed")
    assert open_database().load()[1] == 1
    assert not (data / (FILE_NAME + ".new")).exists()


@pytest.mark.parametrize(
    "released", sorted((Path(__file__).parent / "released").glob("*.sql")), ids=lambda path: path.stem
)
def test_every_released_database_can_still_be_opened(released: Path, data: Path, open_database: Opener) -> None:
    """A file of each released step, written by the program of that time, stays here for ever."""
    data.mkdir()
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        connection.executescript(released.read_text(encoding="utf-8"))
    database = open_database(serving=True)
    configuration, version = database.load()
    assert version == 2
    assert all(configuration.table(name) for name in TABLES)
    assert configuration.system.domain == "example.com"
    assert configuration.users_by_number["100"].call_levels == (1, 2)
    trunk = configuration.get(SipTrunk, 1)
    assert trunk is not None
    assert trunk.server_address == "192.0.2.8"
    assert [each.attempts[0].reason for each in database.calls()] == ["200 OK"]
    assert read_document(write_document(configuration, with_secrets=True), Configuration())


def test_there_is_a_released_database_of_every_step_but_the_newest() -> None:
    """When a step is released: keep a dump of a database at it as tests/unit/storage/released/<step>.sql."""
    kept = {path.stem for path in (Path(__file__).parent / "released").glob("*.sql")}
    assert set(migrations.steps()[:-1]) <= kept <= set(migrations.steps())
