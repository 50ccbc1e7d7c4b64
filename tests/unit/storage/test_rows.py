"""Records go into rows and come back the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.events import Attempt, CallRecord
from app.records import (
    AnalyzeCalledNumber,
    ExternalLine,
    GroupStrategy,
    LocalUser,
    NumberTransition,
    Record,
    RelayMedia,
    RouteType,
    RoutingGroup,
    RoutingGroupMember,
    SipTrunk,
    System,
    TransitionType,
    Transport,
)
from app.storage.errors import StorageError
from app.storage.rows import CALL_COLUMNS, call_of, call_row, clean_row, record_of, row_of
from app.storage.tables import record_tables

RECORDS: tuple[Record, ...] = (
    System(sip_address="::", local_networks=("10.0.0.0/8",), default_route_type=RouteType.EXTERNAL_LINE),
    LocalUser(id=1, number="100", display_name="Empfang Süd", call_levels=(1, 2, 3), relay_media=RelayMedia.AUTO),
    SipTrunk(
        id=2,
        enabled=False,
        description="Carrier 'B'",
        server_address="2001:db8::8",
        transport=Transport.TLS,
        trusted_networks=("192.0.2.0/24", "198.51.100.7"),
        failover_statuses=(408, 503),
        codecs=("PCMA", "opus"),
        caller_id_headers=("Privacy",),
    ),
    ExternalLine(id=3, server_address="sip.example.com", account="49301", password=" p'\"ä\\ "),
    AnalyzeCalledNumber(id=4, prefix="", route_type=RouteType.ROUTING_GROUP, target_id=5),
    RoutingGroup(
        id=5,
        strategy=GroupStrategy.WEIGHTED,
        members=(
            RoutingGroupMember(target_id=2, weight=7),
            RoutingGroupMember(route_type=RouteType.EXTERNAL_LINE, target_id=3, priority=2),
        ),
    ),
    NumberTransition(id=6, type=TransitionType.INSERT, start=1, digits="+49"),
)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.table)
def test_a_record_comes_back_the_same(record: Record) -> None:
    row = row_of(record)
    assert set(row) == {column.name for column in record_tables[record.table].columns}
    assert all(type(value) in (bool, int, str) for value in row.values()), "what every driver understands"
    assert record_of(type(record), dict(row)) == record


def test_a_row_that_is_no_valid_record_is_named() -> None:
    row = {**row_of(RECORDS[2]), "server_port": 0, "transport": "smoke"}
    with pytest.raises(StorageError) as caught:
        record_of(SipTrunk, row)
    words = str(caught.value)
    assert "SIP trunk (ID 2)" in words
    assert "server_port: must be 1 to 65535" in words
    assert "transport: must be udp, tcp or tls" in words


def test_a_list_that_is_no_json_is_named() -> None:
    with pytest.raises(StorageError, match=r"SIP trunk \(ID 2\) that is not valid: a list in it cannot be read"):
        record_of(SipTrunk, {**row_of(RECORDS[2]), "codecs": "PCMA,"})


def test_a_call_record_comes_back_the_same(call: Callable[..., CallRecord]) -> None:
    record = call(
        trail=("one", 'two "quoted", ü'),
        attempts=(Attempt("trunk:1", "1", 5.25, 503, "503"), Attempt("line:2", "2", 6.5, 0, "no answer")),
        media=({"codec": "PCMA", "lost": 3, "mos": 4.1},),
    )
    assert call_of(dict(zip(CALL_COLUMNS, call_row(record, "other"), strict=True))) == record


def test_what_never_happened_is_null(call: Callable[..., CallRecord]) -> None:
    record = call(answered=0, ended=0, attempts=(), trail=())
    row = dict(zip(CALL_COLUMNS, call_row(record, ""), strict=True))
    assert row["answered"] is None
    assert row["ended"] is None
    assert call_of(row) == record


def test_the_node_is_filled_in(call: Callable[..., CallRecord]) -> None:
    assert call_row(call(node=""), "here")[CALL_COLUMNS.index("node")] == "here"
    assert call_row(call(node="there"), "here")[CALL_COLUMNS.index("node")] == "there"


def test_half_characters_and_nul_are_replaced(call: Callable[..., CallRecord]) -> None:
    row = clean_row(call_row(call(called_number="1\x002\udcff3", trail=("a\udc80b",)), ""))
    for value in row:
        if isinstance(value, str):
            value.encode()
            assert "\x00" not in value
    assert row[CALL_COLUMNS.index("called_number")] == "1\ufffd2?3"


def test_a_damaged_call_record_is_read_as_far_as_it_goes() -> None:
    """One bad page of the file must not hide the records of all calls."""
    record = CallRecord(
        *("1", "own", 100.0, 101.0, 109.0, "5551", "135550", "135550", "trunk:1", "trunk:2", 200, "normal", "caller"),
        talk_seconds=8.0,
        trail=("a step",),
        attempts=(Attempt("trunk:2", "135550", 100.0, 200, "OK"),),
        media=({"mos": 4.0},),
    )
    good = dict(zip(CALL_COLUMNS, call_row(record, "own"), strict=True))
    for name in CALL_COLUMNS:
        for damaged in (None, "\x00[", b"\xff", 7, -1.5, "[1,{},[2]]", "{}", "[" * 100_000):
            read = call_of({**good, name: damaged})
            assert replace(read, **{name: getattr(record, name)}) == record
            assert type(getattr(read, name)) is type(getattr(record, name)) or damaged == 7
