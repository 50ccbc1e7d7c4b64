"""Several servers share one PostgreSQL database: a private one from Debian's package, in a folder of its own."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from support.call_records import T0, call_record
from support.waiting import wait_until

from app.errors import RecordErrors
from app.events import CallRecord
from app.records import Change, Configuration, LocalUser, SipTrunk
from app.storage import migrations
from app.storage.calls import CallQuery
from app.storage.database import Database
from app.storage.errors import StorageNewer, StorageUnavailable
from app.storage.registrations import StoredRegistration
from app.storage.tables import metadata
from app.storage.thread import DatabaseThread

pytestmark = pytest.mark.wire
ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "not-a-real-secret"


def _programs() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return folders[-1].parent if folders else None


class Cluster:
    """A PostgreSQL server of our own; PostgreSQL refuses to run as root, so root runs it as `postgres`."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="trunkline-postgres-"))
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        password_file = self.folder / "password"
        password_file.write_text(PASSWORD + "\n")
        password_file.chmod(0o644)
        self._run("initdb", "-D", "data", "-N", "-U", "trunkline", "-A", "scram-sha-256", "--pwfile", "password")
        self._count = 0
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        # Into a file: the server that pg_ctl starts would keep a pipe open.
        with (self.folder / "out").open("w") as out:
            done = subprocess.run(
                [str(self.programs / program), *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                user=self.user if os.geteuid() == 0 else None,
                timeout=60,
                check=False,
            )
        assert done.returncode == 0, (self.folder / "out").read_text()

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off -c max_connections=40"
        self._run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def new_database(self) -> str:
        """The address of a database that nobody has used yet."""
        self._count += 1
        name = f"test_{self._count}"
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"))
        return f"postgresql://trunkline:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://trunkline:{PASSWORD}@127.0.0.1:{self.port}/{name}"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'trunkline[postgres]'")
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("root cannot run PostgreSQL without the user 'postgres'")
    made = Cluster(programs)
    yield made
    made.stop()
    shutil.rmtree(made.folder, ignore_errors=True)


@pytest.fixture
def url(cluster: Cluster) -> str:
    return cluster.new_database()


@pytest.fixture
def open_node(url: str, tmp_path: Path) -> Iterator[Callable[..., Database]]:
    """Opens the database as one of several nodes, each with a data folder of its own."""
    opened: list[Database] = []

    def open_it(node: str = "a", **options: Any) -> Database:
        opened.append(Database.open(tmp_path / node, url, **options))
        return opened[-1]

    yield open_it
    for each in opened:
        each.close()


def record(call_id: str, **values: Any) -> CallRecord:
    fields: dict[str, Any] = {
        "id": call_id,
        "node": "",
        "answered": T0 + 1.5,
        "ended": T0 + 10.25,
        "called_number": "13Ü_5%0",
        "talk_seconds": 8.75,
        "trail": ("one 'two' %s",),
        "media": ({"codec": "PCMA"},),
    }
    return call_record(**(fields | values))


def add(number: int, address: str = "192.0.2.8") -> Change:
    return Change("sip_trunks", None, SipTrunk(id=number, server_address=address, codecs=("PCMA",)))


def test_the_first_of_several_nodes_makes_the_tables(url: str, tmp_path: Path) -> None:
    """All start at the same moment."""
    together = threading.Barrier(4)

    def start(number: int) -> tuple[bool, Configuration]:
        together.wait()
        database = Database.open(tmp_path / str(number), url, serving=True)
        try:
            return database.created, database.load()[0]
        finally:
            database.close()

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(start, range(4)))
    assert sorted(created for created, _ in results) == [False, False, False, True]
    assert all(configuration == results[0][1] for _, configuration in results)
    assert [user.number for user in results[0][1].records(LocalUser)] == ["100", "101", "102"]


def test_the_migrations_lead_to_the_tables_of_the_records(open_node: Callable[..., Database]) -> None:
    with open_node()._engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": migrations.VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []


def test_changes_of_all_nodes_come_together(open_node: Callable[..., Database]) -> None:
    one, two = open_node("a"), open_node("b")
    assert one.node != two.node
    one.load()
    two.load()
    assert one.save([add(1)]) == 2
    assert two.save([add(2)]) == 3
    with pytest.raises(RecordErrors, match="2 is already used"):
        one.save([add(2, "192.0.2.9")])
    assert one.update(lambda base: base.with_changes([add(3)])) == 4
    configuration, version = two.load()
    assert version == 4
    assert [each.id for each in configuration.records(SipTrunk)] == [1, 2, 3]
    assert configuration.get(SipTrunk, 1) == add(1).after
    assert two.replace(Configuration()) == 5
    assert one.load()[0].records(SipTrunk) == ()


def test_changes_at_the_same_moment_are_all_kept(open_node: Callable[..., Database]) -> None:
    nodes = [open_node(str(number)) for number in range(4)]

    def work(index: int) -> None:
        nodes[index].load()
        for number in range(10):
            nodes[index].save([add(100 * index + number + 1)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    configuration, version = nodes[0].load()
    assert version == 41
    assert len(configuration.records(SipTrunk)) == 40


def test_each_node_keeps_the_phones_that_are_registered_with_it(open_node: Callable[..., Database]) -> None:
    one, two = open_node("a"), open_node("b")
    here = StoredRegistration("100", "sip:100@192.0.2.9", "192.0.2.9", 5060, "192.0.2.5", 5060, "c", 1, T0, "A", "m")
    there = here._replace(remote_port=5070, user_agent="a\x00b")
    one.write_registrations({"100": [here]})
    two.write_registrations({"100": [there]})
    one.write_registrations({"100": [here._replace(expires=T0 + 1), here._replace(contact="sip:1@192.0.2.9")]})
    assert len(one.registrations()) == 2
    assert two.registrations() == [there._replace(user_agent="a\ufffdb")]
    one.write_registrations({"100": []})
    assert one.registrations() == []


def test_call_records(open_node: Callable[..., Database]) -> None:
    database = open_node()
    begun = record("a", answered=0.0, ended=0.0)
    database.write_calls([begun], [])
    assert database.calls() == []
    database.write_calls([begun], [record("a")])
    database.write_calls([begun], [])
    assert database.calls() == [record("a", node=database.node)]
    many = [record(f"{number:03}", started=T0 + number % 7, status=486) for number in range(50)]
    database.write_calls([], many)
    found = list(database.all_calls(CallQuery(statuses=(486,), limit=9)))
    assert [each.id for each in found] == [
        each.id for each in sorted(many, key=lambda each: (each.started, each.id), reverse=True)
    ]
    assert list(database.all_calls(CallQuery(sort="status", text="TRUNK:1", limit=20), limit=30))
    assert database.count_calls(CallQuery(text="3ü_5%")) == 51
    assert database.count_calls(CallQuery(text="3x_5%")) == 0
    assert database.delete_calls_before(1_700_000_001.0, at_most=5) == 5
    assert database.count_calls() == 46


def test_a_bad_text_from_the_network_keeps_no_other_record_from_being_written(
    open_node: Callable[..., Database],
) -> None:
    database = open_node()
    database.write_calls([], [record("1"), record("2", source="a\x00b"), record("3", trail=("\udcff",)), record("4")])
    assert sorted(each.id for each in database.calls()) == ["1", "2", "3", "4"]


@pytest.mark.expects_log("1 calls were in progress")
def test_a_restarted_node_ends_its_own_calls_and_nobody_elses(open_node: Callable[..., Database]) -> None:
    one, two = open_node("a", serving=True), open_node("b", serving=True)
    one.write_calls([record("of one", ended=0.0)], [])
    two.write_calls([record("of two", ended=0.0)], [])
    one.close()
    again = open_node("a", serving=True)
    assert [(each.id, each.end_cause) for each in again.calls()] == [("of one", "interrupted")]
    two.write_calls([], [record("of two")])
    assert [each.end_cause for each in again.calls(CallQuery(text="user", sort="target"))].count("normal") == 1


def test_a_newer_database_is_refused(open_node: Callable[..., Database]) -> None:
    with open_node()._engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '9000'"))
    with pytest.raises(StorageNewer, match="newer version of Trunkline"):
        open_node("b")


@pytest.mark.expects_log("cannot be|written again")
def test_records_wait_while_the_server_is_away(cluster: Cluster, open_node: Callable[..., Database]) -> None:
    database = open_node(serving=True)
    database.load()
    troubles: list[str | None] = []
    configurations: list[int] = []
    thread = DatabaseThread(
        database, lambda callback: callback(), lambda _, version: configurations.append(version), troubles.append
    )
    cluster.stop()
    try:
        thread.call_ended(record("a"))
        wait_until(lambda: troubles, "the alarm", 20)
        failed: list[Exception | None] = []
        thread.save([add(1)], failed.append)
        wait_until(lambda: failed, "the refusal", 20)
        assert isinstance(failed[0], StorageUnavailable)
        assert PASSWORD not in f"{troubles} {failed}"
    finally:
        cluster.start()
    wait_until(lambda: len(troubles) == 2, "the all-clear", 20)
    assert troubles[1] is None
    other = open_node("b")
    assert [each.id for each in other.calls()] == ["a"]
    other.update(lambda base: base.with_changes([add(7)]))
    wait_until(lambda: configurations, "the other node's change")
    assert thread.stop()


def test_the_command_line_uses_it(url: str, tmp_path: Path) -> None:
    def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "app", *arguments, "--data", str(tmp_path / "data")],
            cwd=ROOT,
            env={**os.environ, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    document = json.dumps({"sip_trunks": [{"server_address": "192.0.2.77"}]})
    done = run("import", "-", "--database", url, stdin=document)
    assert done.returncode == 0, done.stderr
    done = run("export", TRUNKLINE_DATABASE_URL=url)
    assert json.loads(done.stdout)["sip_trunks"][0]["server_address"] == "192.0.2.77"
    assert not list((tmp_path / "data").glob("*.sqlite3"))
    done = run("calls", "--json", TRUNKLINE_DATABASE_URL=url.replace(PASSWORD, "wrong-word"))
    assert done.returncode == 1
    assert "password authentication failed" in done.stderr
    assert "wrong-word" not in done.stderr
    assert "Traceback" not in done.stderr
