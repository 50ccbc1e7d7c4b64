"""Call records: what is written is found, in any order, page by page."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.events import CallRecord
from app.storage.calls import SORTABLE, CallQuery
from app.storage.database import Database
from app.storage.errors import StorageUnavailable

T0 = 1_700_000_000.0
Maker = Callable[..., CallRecord]


def ids(records: list[CallRecord]) -> list[str]:
    return [each.id for each in records]


def test_a_call_is_found_once_it_has_ended(database: Database, call: Maker) -> None:
    begun = call(id="a", answered=0, ended=0, status=0)
    database.write_calls([begun], [])
    assert database.calls() == []
    over = call(id="a")
    database.write_calls([], [over])
    assert database.calls() == [over]


def test_bytes_that_are_no_text_hide_no_record(data: Path, open_database: Callable[..., Database], call: Maker) -> None:
    records = [call(id="a", called_number="12345", started=T0), call(id="b", started=T0 + 1)]
    database = open_database()
    database.write_calls([], records)
    database.close()
    with closing(sqlite3.connect(data / "trunkline.sqlite3")) as connection, connection:
        connection.execute("UPDATE call_records SET called_number = CAST(x'3132ff3435' AS TEXT) WHERE id = 'a'")
    database = open_database()
    for _ in range(2):
        assert database.calls() == [records[1], replace(records[0], called_number="12\ufffd45")]
        assert list(database.all_calls()) == database.calls()


def test_news_of_a_call_replaces_what_was_known_but_never_its_end(database: Database, call: Maker) -> None:
    database.write_calls([call(id="a", answered=0, ended=0, status=0)], [])
    database.write_calls([call(id="a", answered=4, ended=0, status=200)], [])
    over = call(id="a", answered=4, ended=9)
    database.write_calls([], [over])
    database.write_calls([call(id="a", answered=4, ended=0, status=1)], [])
    database.write_calls([], [call(id="a", status=500)])
    assert database.calls() == [over]
    assert database.count_calls() == 1


def test_beginning_and_end_in_one_batch_are_one_record(database: Database, call: Maker) -> None:
    over = call(id="a")
    database.write_calls([replace(over, ended=0.0)], [over])
    assert database.calls() == [over]


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("column", SORTABLE)
def test_pages_hold_every_record_once_in_order(database: Database, call: Maker, column: str, descending: bool) -> None:
    chance = random.Random(7)
    records = [
        call(
            id=f"{chance.getrandbits(32):08x}",
            # Many alike, so that pages end in the middle of equals.
            started=float(chance.randrange(5)),
            ended=10.0 + chance.randrange(3),
            caller_number=str(chance.randrange(4)),
            called_number=str(chance.randrange(4)),
            sent_number=str(chance.randrange(4)),
            source=f"trunk:{chance.randrange(3)}",
            target=f"trunk:{chance.randrange(3)}",
            status=chance.choice((200, 486, 503)),
            end_cause=chance.choice(("normal", "busy")),
            ended_by=chance.choice(("caller", "called")),
            talk_seconds=chance.choice((0.0, 1.5)),
        )
        for _ in range(57)
    ]
    database.write_calls([], records)
    query = CallQuery(sort=column, descending=descending, limit=10)
    found: list[CallRecord] = []
    while page := database.calls(query):
        assert len(page) <= 10
        found += page
        query = query.following(page[-1])
    assert found == sorted(records, key=lambda each: (getattr(each, column), each.id), reverse=descending)
    assert list(database.all_calls(CallQuery(sort=column, descending=descending, limit=10))) == found
    assert list(database.all_calls(CallQuery(sort=column, descending=descending, limit=10), limit=23)) == found[:23]


def test_a_call_that_is_added_does_not_shift_the_pages(database: Database, call: Maker) -> None:
    database.write_calls([], [call(id=str(number), started=float(number)) for number in range(6)])
    query = CallQuery(limit=3)
    first = database.calls(query)
    database.write_calls([], [call(id="new", started=99.0)])
    assert ids(first + database.calls(query.following(first[-1]))) == ["5", "4", "3", "2", "1", "0"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (CallQuery(), "dcba"),
        (CallQuery(text="4930"), "ba"),
        (CallQuery(text=" TRUNK:1 "), "ca"),
        (CallQuery(text="user:100"), "b"),
        (CallQuery(text="0086"), "a"),
        (CallQuery(text="%"), "d"),
        (CallQuery(text="_"), "c"),
        (CallQuery(text="\\"), "d"),
        (CallQuery(text="'; --"), ""),
        (CallQuery(text="nobody"), ""),
        (CallQuery(statuses=(486, 503)), "db"),
        (CallQuery(end_causes=("busy",)), "b"),
        (CallQuery(statuses=(486,), end_causes=("normal",)), ""),
        (CallQuery(since=T0 + 20), "dc"),
        (CallQuery(until=T0 + 20), "ba"),
        (CallQuery(since=T0 + 10, until=T0 + 30), "cb"),
        (CallQuery(text="4930", statuses=(486,), since=T0), "b"),
    ],
)
def test_filters(database: Database, call: Maker, query: CallQuery, expected: str) -> None:
    common = {"caller_number": "1", "called_number": "2", "sent_number": "2", "source": "trunk:9", "target": "line:1"}
    database.write_calls(
        [call(id="running", ended=0)],
        [
            call(
                **{
                    **common,
                    "id": "a",
                    "started": 0.0,
                    "caller_number": "493012",
                    "sent_number": "008610",
                    "target": "trunk:1",
                }
            ),
            call(
                **{
                    **common,
                    "id": "b",
                    "started": 10.0,
                    "called_number": "0493077",
                    "source": "user:100",
                    "status": 486,
                    "end_cause": "busy",
                }
            ),
            call(**{**common, "id": "c", "started": 20.0, "source": "trunk:1", "called_number": "a_b"}),
            call(**{**common, "id": "d", "started": 30.0, "called_number": "100%\\", "status": 503}),
        ],
    )
    assert "".join(ids(database.calls(query))) == expected
    assert database.count_calls(query) == len(expected)


@pytest.mark.parametrize("wrong", [{"sort": "trail"}, {"sort": "id; DROP TABLE"}, {"limit": 0}])
def test_a_query_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"cannot sort by|limit"):
        CallQuery(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("query", [CallQuery(), CallQuery(after=(T0, "x")), CallQuery(descending=False, since=T0)])
def test_newest_first_needs_no_sorting(database: Database, query: CallQuery) -> None:
    """A page of a hundred thousand records is read from an index, whatever their number."""
    executed: list[tuple[str, object]] = []
    sa.event.listen(
        database._engine, "before_cursor_execute", lambda *arguments: executed.append((arguments[2], arguments[3]))
    )
    database.calls(query)
    statement, parameters = executed[-1]
    with database._transaction() as connection:
        plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters).all()
    assert len(plan) == 1, plan
    assert "USING INDEX ix_call_records_started" in plan[0][3]


def test_old_records_go_in_small_batches(database: Database, call: Maker) -> None:
    running = call(id="running", started=0.0, ended=0)
    database.write_calls([running], [call(id=f"{number:02}", started=float(number)) for number in range(25)])
    assert database.delete_calls_before(T0 + 20, at_most=8) == 8
    assert ids(database.calls(CallQuery(descending=False, limit=1))) == ["08"], "the oldest go first"
    assert [database.delete_calls_before(T0 + 20, at_most=8) for _ in range(3)] == [8, 4, 0]
    assert ids(database.calls()) == ["24", "23", "22", "21", "20"]
    over = replace(running, ended=T0 + 30)
    database.write_calls([], [over])
    assert over in database.calls(), "a call in progress is never too old"


@pytest.mark.parametrize("bad", [{"called_number": "\udcff"}, {"trail": ("\ud800",)}, {"source": "a\x00b"}])
def test_a_bad_text_from_the_network_keeps_no_other_record_from_being_written(
    database: Database, call: Maker, bad: dict[str, object]
) -> None:
    database.write_calls([], [call(id="1"), call(id="2", **bad), call(id="3")])
    assert sorted(ids(database.calls())) == ["1", "2", "3"]


@pytest.mark.expects_log("the record of call '2' cannot be written")
def test_a_record_that_fits_nowhere_is_dropped_and_logged(database: Database, call: Maker) -> None:
    database.write_calls([], [call(id="1"), call(id="2", status=2**70), call(id="3")])
    assert sorted(ids(database.calls())) == ["1", "3"]


def test_a_full_disk_is_told_from_a_bad_record(database: Database, call: Maker) -> None:
    with database._transaction() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    records = [call(id=f"{number:06}") for number in range(500)]
    with pytest.raises(StorageUnavailable, match="the disk is full"):
        database.write_calls([], records)
    assert database.calls() == []
    with database._transaction() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=100000")
    database.write_calls([], records)
    assert database.count_calls() == 500


def test_the_command_line_ends_what_a_dead_server_left(
    database: Database, open_database: Callable[..., Database], call: Maker
) -> None:
    database.write_calls([call(id="a", ended=0)], [])
    server = open_database()
    assert server._server_lock.acquire()
    assert database.close_interrupted() == 0, "a server runs: its calls are its own"
    server.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.storage.database._log.warning", lambda *_: None)
        assert database.close_interrupted() == 1
    assert [each.end_cause for each in database.calls()] == ["interrupted"]
