"""The configuration in a real SQLite file: first start, changes, two programs at once."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import RecordErrors
from app.records import (
    TABLES,
    AnalyzeCalledNumber,
    Change,
    Configuration,
    LocalUser,
    RouteType,
    SipTrunk,
    System,
)
from app.storage.connection import explained
from app.storage.database import FILE_NAME, Database, differences
from app.storage.errors import StorageDamaged, StorageError, StorageInUse, StorageUnavailable

Opener = Callable[..., Database]


def trunk(number: int, address: str = "192.0.2.8", **values: object) -> SipTrunk:
    return SipTrunk.model_validate({"id": number, "server_address": address, **values})


def add(record: SipTrunk | LocalUser | AnalyzeCalledNumber) -> Change:
    return Change(record.table, None, record)


def test_the_first_start_makes_three_users_with_passwords_of_their_own(database: Database) -> None:
    configuration, version = database.load()
    users = configuration.records(LocalUser)
    assert database.created
    assert version == 1
    assert [user.number for user in users] == ["100", "101", "102"]
    assert len({user.password for user in users}) == 3
    assert all(len(user.password) >= 12 for user in users)
    assert configuration.system == System()


def test_the_second_start_finds_the_same(database: Database, open_database: Opener) -> None:
    before = database.load()
    database.close()
    again = open_database()
    assert not again.created
    assert again.load() == before


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_only_the_owner_may_read_the_passwords(database: Database, data: Path) -> None:
    database.save([add(trunk(1))])
    for name in os.listdir(data):
        if name.startswith(FILE_NAME):
            assert stat.S_IMODE((data / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_saved_changes_are_there_after_closing(database: Database, open_database: Opener) -> None:
    configuration, _ = database.load()
    changes = [
        add(trunk(1)),
        add(trunk(7, "sip.example.com", codecs="PCMA PCMU")),
        Change("local_users", configuration.find("local_users", 2), None),
        Change("system", configuration.system, configuration.system.model_copy(update={"sip_udp_port": 5070})),
    ]
    assert database.save(changes) == 2
    expected = configuration.with_changes(changes)
    database.close()
    assert open_database().load() == (expected, 2)


def test_a_record_can_get_another_id_and_others_can_swap_theirs(database: Database) -> None:
    database.load()
    one, two = trunk(1, "192.0.2.1"), trunk(2, "192.0.2.2")
    database.save([add(one), add(two)])
    database.save([Change("sip_trunks", one, one.model_copy(update={"id": 9}))])
    moved = [trunk(9, "192.0.2.1"), two]
    database.save(
        [
            Change("sip_trunks", moved[0], None),
            Change("sip_trunks", two, two.model_copy(update={"id": 9})),
            Change("sip_trunks", None, moved[0].model_copy(update={"id": 2})),
        ]
    )
    assert [(each.id, each.server_address) for each in database.load()[0].records(SipTrunk)] == [
        (2, "192.0.2.1"),
        (9, "192.0.2.2"),
    ]


def test_a_change_that_fails_half_way_leaves_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    before = database.load()

    def fail(*_: object) -> None:
        raise RuntimeError("the program has a fault")

    monkeypatch.setattr(database, "_set_version", fail)
    with pytest.raises(RuntimeError):
        database.save([add(trunk(1))])
    monkeypatch.undo()
    assert database.load() == before
    assert database.save([add(trunk(1))]) == 2


def test_update_writes_only_what_differs(database: Database) -> None:
    assert database.update(lambda base: base.with_changes([add(trunk(1))])) == 2
    assert database.update(lambda base: base) == 2, "nothing differs, so nobody has to load anything"
    assert [each.id for each in database.load()[0].records(SipTrunk)] == [1]


def test_update_that_is_refused_leaves_everything(database: Database) -> None:
    before = database.load()
    user = LocalUser(id=9, number="100")
    with pytest.raises(RecordErrors):
        database.update(lambda base: base.with_changes([add(trunk(1)), add(user)]))
    assert database.load() == before


def test_replace_puts_everything_in_the_place_of_everything(database: Database) -> None:
    database.load()
    database.save([add(trunk(1)), add(trunk(2))])
    wanted = Configuration(System(domain="example.com"), {"sip_trunks": {3: trunk(3)}})
    version = database.replace(wanted)
    found, found_version = database.load()
    assert found_version == version == 3
    assert found.system == wanted.system
    assert found.table("sip_trunks") == wanted.table("sip_trunks")
    assert not any(found.table(name) for name in TABLES if name != "sip_trunks")


def test_differences_lead_from_one_configuration_to_the_other() -> None:
    before = Configuration(System(), {"sip_trunks": {1: trunk(1), 2: trunk(2), 3: trunk(3)}})
    after = Configuration(
        System(domain="b.example"), {"sip_trunks": {1: trunk(1), 2: trunk(2, "192.0.2.9"), 4: trunk(4)}}
    )
    changes = tuple(differences(before, after))
    assert [(each.table, each.before and each.before.id, each.after and each.after.id) for each in changes] == [
        ("system", 1, 1),
        ("sip_trunks", 3, None),
        ("sip_trunks", 2, 2),
        ("sip_trunks", None, 4),
    ]
    result = before.with_changes(changes)
    assert result.system == after.system
    assert result.table("sip_trunks") == after.table("sip_trunks")


# --- two programs -----------------------------------------------------------------------------------------------------


def test_a_change_goes_on_top_of_another_programs_change(database: Database, open_database: Opener) -> None:
    database.load()
    other = open_database()
    other.load()
    other.save([add(trunk(1))])
    assert database.version() == 2
    assert database.seen_version == 1, "the server sees by this that there is news"
    assert database.save([add(trunk(2))]) == 3
    assert database.seen_version == 1, "its own change does not hide the other one"
    assert [each.id for each in database.load()[0].records(SipTrunk)] == [1, 2]
    assert database.seen_version == 3


def test_a_change_that_clashes_with_another_programs_is_refused(database: Database, open_database: Opener) -> None:
    database.load()
    other = open_database()
    other.load()
    other.save([add(AnalyzeCalledNumber(id=1, prefix="13", route_type=RouteType.SIP_TRUNK, target_id=1))])
    with pytest.raises(RecordErrors, match="1 is already used"):
        database.save([add(AnalyzeCalledNumber(id=1, prefix="14"))])
    with pytest.raises(RecordErrors, match="13 is already called number record 1"):
        database.save([add(AnalyzeCalledNumber(id=2, prefix="13"))])
    assert database.version() == 2


def test_a_second_server_is_refused_and_told_by_whom(data: Path, open_database: Opener) -> None:
    first = open_database(serving=True)
    with pytest.raises(StorageInUse) as caught:
        open_database(serving=True)
    assert str(data) in str(caught.value)
    assert "this program" in str(caught.value)
    first.close()
    assert open_database(serving=True).load()[1] == 1


def test_the_command_line_can_work_while_a_server_runs(open_database: Opener) -> None:
    server = open_database(serving=True)
    server.load()
    other = open_database()
    other.update(lambda base: base.with_changes([add(trunk(1))]))
    assert server.version() == 2
    assert server.load()[0].get(SipTrunk, 1) is not None


def test_a_write_waits_for_a_lock_and_then_says_who_is_to_blame(
    database: Database, open_database: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.storage.connection.BUSY_SECONDS", 0.05)
    other = open_database()
    with database._transaction(write=True):
        with pytest.raises(StorageUnavailable, match="another program keeps it locked"):
            other.save([add(trunk(1))])
        assert other.load()[1] == 1, "reading goes on meanwhile"
    assert other.save([add(trunk(1))]) == 2


# --- what is wrong with a file or a folder ----------------------------------------------------------------------------


def test_a_row_that_somebody_spoilt_is_named(database: Database, open_database: Opener) -> None:
    database.load()
    database.save([add(trunk(1))])
    with database._transaction(write=True) as connection:
        connection.exec_driver_sql("UPDATE sip_trunks SET server_port = 99999")
    with pytest.raises(StorageDamaged, match=r"SIP trunk \(ID 1\) that is not valid: server_port: must be 1 to 65535"):
        database.load()


def test_a_missing_version_is_damage(database: Database) -> None:
    with database._transaction(write=True) as connection:
        connection.exec_driver_sql("DELETE FROM meta")
    with pytest.raises(StorageDamaged, match="no configuration version"):
        database.load()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    # Windows says in its own language that there is something of this name.
    words = r"\w" if sys.platform == "win32" else "Not a directory"
    with pytest.raises(StorageError, match=f"cannot be used: {words}"):
        Database.open(tmp_path / "file" / "data")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may do everything")
def test_a_folder_that_may_not_be_written_is_named(data: Path) -> None:
    data.mkdir(mode=0o500)
    with pytest.raises(StorageError, match="Permission denied"):
        Database.open(data)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_folder_that_may_not_be_written_is_told_with_what_to_do(number: int) -> None:
    told = str(explained(OSError(number, os.strerror(number)), "/data"))
    assert told.startswith(
        f"The database /data cannot be used: {os.strerror(number)}. The program must be able to write"
    )
    assert "--data" in told
    assert "--data" not in str(explained(OSError(errno.ENOTDIR, "Not a directory"), "/data"))


@pytest.mark.parametrize("url", ["mysql://host/name", "sqlite:///file", "no url", "://"])
def test_only_postgresql_addresses_are_taken(data: Path, url: str) -> None:
    with pytest.raises(StorageError, match="postgresql://"):
        Database.open(data, url)


def test_a_password_is_never_part_of_a_message(data: Path) -> None:
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'trunkline[postgres]'")
    with pytest.raises(StorageUnavailable, match="cannot be reached") as caught:
        Database.open(data, "postgresql://user:geheim@127.0.0.1:1/name")
    assert "geheim" not in str(caught.value)
    assert "user:***@127.0.0.1" in str(caught.value)
