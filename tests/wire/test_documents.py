"""Documents and call records around a running server: import in place of everything, warnings, exports, retention."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path

import pytest
from support.call_records import call_record
from support.documents import CALLER, CARRIER_A, CARRIER_B, document
from support.ports import LoopbackNetwork
from support.server import run_app
from support.starting import StartCaller, StartCarrier, StartEngine, StartServer
from support.udp_peers import invites_get
from support.waiting import wait_until

from app.storage.database import Database
from app.storage.export import as_csv, as_json

pytestmark = pytest.mark.wire


def test_a_document_takes_the_place_of_everything_while_a_call_runs(
    network: LoopbackNetwork, start_server: StartServer, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """Circles and dangling references are taken and named; a mistake changes nothing and is named with its path."""
    server = start_server(document(network))
    first, second, caller = start_carrier(CARRIER_A), start_carrier(CARRIER_B), start_caller()
    running = caller.begin("135550")
    assert running.final().status == 200
    wanted = {
        "sip_trunks": [
            {"id": 2, "server_address": network.address(CARRIER_B), "next_trunk_id": 3},
            {"id": 3, "server_address": network.address(CALLER), "next_trunk_id": 2},
        ],
        "analyze_called_numbers": [
            {"prefix": "77", "route_type": "sip_trunk", "target_id": 2},
            {"prefix": "78", "route_type": "sip_trunk", "target_id": 9},
        ],
        "system": {"sip_tls_port": 0},
    }
    done = run_app("import", "-", "--data", str(server.data), "--replace", document=wanted)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert any("sip_trunks 2, next_trunk_id" in line and "trunk 2 -> 3 -> 2" in line for line in lines)
    assert any("analyze_called_numbers 2, target_id: SIP trunk 9 does not exist" in line for line in lines)
    wait_until(lambda: caller.call("775550").status == 200, "the new dial plan", 10)
    assert caller.statuses(["135551", "785550"]) == [404, 503]
    wrong = {"sip_trunks": [{"id": 2, "server_address": "not an address"}], "routing_groups": [{"members": [{}]}]}
    refused = run_app("import", "-", "--data", str(server.data), "--replace", document=wrong)
    assert refused.returncode == 2
    said = [line.partition(": ")[0] for line in refused.stderr.splitlines()]
    assert said == ["sip_trunks[0].server_address", "routing_groups[0].members[0].target_id"]
    assert caller.call("775551").status == 200
    running.hang_up()
    first.wait_for("BYE")
    assert len(second.received("INVITE")) >= 2
    records = wait_until(lambda: [each for each in server.calls() if each["called_number"] == "135550"], "the record")
    assert [(each["status"], each["end_cause"]) for each in records] == [(200, "normal")]


def test_call_records_as_json_and_csv(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """Both forms hold the trail and each attempt with its time, status and reason."""
    engine = start_engine(document(network, {1: {"next_trunk_id": 2}}))
    start_carrier(CARRIER_A, invites_get(503))
    start_carrier(CARRIER_B)
    assert start_caller().call("135550", user="=cmd").status == 200
    records = engine.wait_for_calls(1)
    (as_object,) = json.loads("".join(as_json(records)))
    (row,) = csv.DictReader(io.StringIO("".join(as_csv(records)), newline=""))
    assert [(each["target"], each["status"], each["reason"]) for each in as_object["attempts"]] == [
        ("trunk:1", 503, "503 Test"),
        ("trunk:2", 200, "200 OK"),
    ]
    assert as_object["started"] <= as_object["attempts"][0]["at"] <= as_object["attempts"][1]["at"]
    assert as_object["trail"][-1] == "end: the caller side hung up"
    assert row["trail"].splitlines() == as_object["trail"]
    assert [line.partition(" ")[2] for line in row["attempts"].splitlines()] == [
        "trunk:1 135550: 503 Test",
        "trunk:2 135550: 200 OK",
    ]
    assert row["caller_number"].endswith("=cmd")
    assert row["caller_number"] != "=cmd", "a spreadsheet would take it for a formula"
    assert {name for name in row if row[name]} >= {"id", "started", "answered", "ended", "source", "target", "ended_by"}


def test_old_call_records_are_deleted_when_their_time_is_over(
    network: LoopbackNetwork, tmp_path: Path, start_engine: StartEngine
) -> None:
    now = time.time()
    old, young = (call_record(now - days * 86400, id=name) for name, days in (("old", 40), ("young", 5)))
    database = Database.open(tmp_path / "data-0")
    database.write_calls([], [old, young])
    database.close()
    engine = start_engine(document(network, system={"call_record_days": 0}))
    assert {record.id for record in engine.calls()} == {"old", "young"}
    engine.change({"system": {"call_record_days": 30}})
    wait_until(lambda: {record.id for record in engine.calls()} == {"young"}, "the end of the old record", 20)
