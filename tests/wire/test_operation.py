"""Running the server: changes while it runs, kill -9, a database from the future, the end in order, mistakes."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.documents import CALLER, CARRIER_A, CARRIER_B, SERVER, document
from support.ports import LoopbackNetwork
from support.scenario import Scenario, answering, calling, refused_with
from support.server import import_document, run_app
from support.starting import StartServer, StartSipp

pytestmark = pytest.mark.wire

TAKEN_WITHIN = 2.0
"""Seconds after which a changed configuration must be in force."""


def export(data: Path) -> dict[str, Any]:
    done = run_app("export", "--data", str(data), "--with-secrets")
    assert done.returncode == 0, done.stderr
    exported = json.loads(done.stdout)
    assert isinstance(exported, dict)
    return exported


def databases(data: Path) -> list[Path]:
    """The SQLite files of a data folder."""
    files = [path for path in data.rglob("*") if path.is_file()]
    return [path for path in files if path.read_bytes()[:15] == b"SQLite format 3"]


def test_ready_line_names_the_listeners(network: LoopbackNetwork, start_server: StartServer) -> None:
    server = start_server(document(network))
    address = f"{network.address(SERVER)}:5060"
    assert server.ready["event"] == "ready"
    assert set(server.ready["sip"]) == {f"udp:{address}", f"tcp:{address}"}
    assert Path(server.ready["data"]).resolve() == server.data.resolve()


def test_change_is_taken_without_dropping_a_call(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    """While a call runs, prefix 13 is pointed at trunk 2: the next call goes there, the running one stays."""
    server = start_server(document(network))
    carrier = start_sipp(answering(), CARRIER_A)
    running = start_sipp(calling(5000), CALLER, called="135550")
    carrier.wait_for("ACK")
    server.reconfigure(
        {"analyze_called_numbers": [{"id": 1, "prefix": "13", "route_type": "sip_trunk", "target_id": 2}]}
    )
    other = start_sipp(answering(), CARRIER_B)
    time.sleep(TAKEN_WITHIN)  # the contract is a time: whatever happens within it, after it the change holds
    start_sipp(calling(), CALLER, called="135550", port=5062).succeed()
    other.succeed()
    running.succeed()
    carrier.succeed()
    assert {record["target"] for record in server.wait_for_calls(2)} == {"trunk:1", "trunk:2"}


def test_records_of_calls_that_ran_before_a_kill_are_kept(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    server = start_server(document(network))
    carrier = start_sipp(answering(), CARRIER_A)
    start_sipp(calling(), CALLER, called="135550").succeed()
    carrier.succeed()
    before = server.wait_for_calls(1)
    assert json.loads(run_app("calls", "--data", str(server.data), "--json").stdout) == before
    configuration = export(server.data)
    server.kill()
    assert export(server.data) == configuration
    server.start()
    assert server.calls() == before
    carrier = start_sipp(answering(), CARRIER_A)
    start_sipp(calling(), CALLER, called="135550").succeed()
    carrier.succeed()
    server.wait_for_calls(2)


def test_kill_during_changes_loses_nothing(network: LoopbackNetwork, start_server: StartServer) -> None:
    """kill -9 right after an import has said that it is done, with the server in the middle of taking it."""
    server = start_server(document(network))
    for round_ in range(3):
        name = f"round {round_}"
        server.reconfigure(
            {"sip_trunks": [{"id": 1, "description": name, "server_address": network.address(CARRIER_A)}]}
        )
        server.kill()
        trunks = {trunk["id"]: trunk for trunk in export(server.data)["sip_trunks"]}
        assert trunks[1]["description"] == name
        assert len(trunks) == 3
        server.start()


def belongs_to_the_future(path: Path) -> bool:
    """Write a schema version that no program of today knows; False for a database without a version."""
    with closing(sqlite3.connect(path)) as connection, connection:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        versioned = [
            table
            for table in tables
            if "version_num" in [column[1] for column in connection.execute(f"pragma table_info({table})")]
        ]
        for table in versioned:
            connection.execute(f"update {table} set version_num = 'from_the_future'")
    return bool(versioned)


def test_newer_database_is_refused_and_left_alone(network: LoopbackNetwork, start_server: StartServer) -> None:
    server = start_server(document(network))
    server.stop()
    assert [path.name for path in databases(server.data) if belongs_to_the_future(path)]
    kept = {path: path.read_bytes() for path in databases(server.data)}
    done = run_app("serve", "--data", str(server.data), "--sip", server.sip_address)
    assert done.returncode not in (0, None)
    assert "newer" in done.stderr.lower()
    assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in databases(server.data)} == kept


def test_sigterm_ends_calls_in_order(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    """One call talks and one rings: the first gets BYE on both sides, the second CANCEL and a final answer."""
    server = start_server(document(network))
    talking = start_sipp(answering(), CARRIER_A)
    talker = start_sipp(
        Scenario().invite().expect(100, optional=True).expect(180).expect(200).acknowledge().answer_request("BYE"),
        CALLER,
        called="135550",
    )
    talking.wait_for("ACK")
    ringing = start_sipp(Scenario().expect_invite().respond(180).be_cancelled(), CARRIER_B)
    waiting = start_sipp(refused_with(503), CALLER, called="245550", port=5062)
    waiting.wait_for(status=180)
    server.stop()
    for side in (talker, talking, waiting, ringing):
        side.succeed()
    records = server.wait_for_calls(2)
    assert {record["end_cause"] for record in records} == {"shutdown"}
    assert {record["ended_by"] for record in records} == {"server"}


def test_second_server_on_the_same_address_says_so(network: LoopbackNetwork, start_server: StartServer) -> None:
    server = start_server(document(network))
    done = run_app("serve", "--data", str(server.data.parent / "other"), "--sip", server.sip_address)
    assert done.returncode not in (0, None)
    assert f"{network.address(SERVER)}" in done.stderr
    assert "port 5060 is in use by python" in done.stderr
    assert "Without a window: serve --sip ADDRESS:PORT" in done.stderr
    assert f"(process {server.pid})" in done.stderr
    assert "Traceback" not in done.stderr


def test_import_names_every_mistake_and_changes_nothing(tmp_path: Path, network: LoopbackNetwork) -> None:
    data = tmp_path / "data"
    import_document(data, document(network))
    before = export(data)
    wrong = {
        "sip_trunks": [{"server_address": "192.0.2.8", "server_port": 0}, {"server_adress": "192.0.2.9"}],
        "analyze_called_numbers": [{"prefix": "99", "route_type": "carrier pigeon"}],
    }
    done = run_app("import", "-", "--data", str(data), document=wrong)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert "sip_trunks[0].server_port: must be 1 to 65535" in lines
    assert any(line.startswith("sip_trunks[1].server_adress: ") and "server_address" in line for line in lines)
    assert any(line.startswith("analyze_called_numbers[0].route_type: ") for line in lines)
    assert export(data) == before


def test_export_hides_passwords_unless_asked(tmp_path: Path, network: LoopbackNetwork) -> None:
    data = tmp_path / "data"
    import_document(data, document(network))
    plain = run_app("export", "--data", str(data))
    assert plain.returncode == 0
    assert "secret-of-100" not in plain.stdout
    assert "secret-of-100" in json.dumps(export(data))


def test_first_start_makes_three_users_with_passwords_of_their_own(tmp_path: Path) -> None:
    import_document(tmp_path / "data", {})
    import_document(tmp_path / "other", {})
    users, others = (export(tmp_path / name)["local_users"] for name in ("data", "other"))
    assert [user["number"] for user in users] == ["100", "101", "102"]
    passwords = [user["password"] for user in users + others]
    assert len(set(passwords)) == 6
    assert min(map(len, passwords)) >= 12


def test_simulation_shows_the_invite_that_is_really_sent(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    """The simulator and the call agree in Request-URI, From, To and every other header that a configuration decides."""
    changes = {"unified_caller_number": "4930111", "request_uri_parameters": "trunk=one"}
    server = start_server(document(network, {1: {**changes, "next_trunk_id": 2}}))
    carrier = start_sipp(answering(), CARRIER_A)
    start_sipp(calling(), CALLER, called="135550").succeed()
    (invite,) = (each for each in carrier.succeed().messages if each.method == "INVITE")
    done = run_app(
        "simulate",
        "--data",
        str(server.data),
        "--source",
        "trunk:3",
        "--called",
        "135550",
        "--caller",
        "sipp",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    simulated = json.loads(done.stdout)
    text = json.dumps(simulated)
    assert invite.start_line in text
    assert "sip:4930111@" in text
    assert "trunk:1" in text
    assert "trunk:2" in text
    refused = run_app(
        "simulate", "--data", str(server.data), "--source", "address:192.0.2.1:5060", "--called", "135550"
    )
    assert refused.returncode == 0
    assert "403" in refused.stdout
