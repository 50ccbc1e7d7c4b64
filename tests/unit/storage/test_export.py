"""Call records as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime

import pytest

from app.events import Attempt, CallRecord
from app.storage.export import CSV_COLUMNS, as_csv, as_dict, as_json, time_text

Maker = Callable[..., CallRecord]


@pytest.mark.parametrize(
    ("wall", "text"),
    [
        (0.0, None),
        (1_700_000_000.0, "2023-11-14T22:13:20.000Z"),
        (1_700_000_000.2504, "2023-11-14T22:13:20.250Z"),
        (1_699_999_999.9996, "2023-11-14T22:13:20.000Z"),
        (4_102_444_800.5, "2100-01-01T00:00:00.500Z"),
    ],
)
def test_times_are_in_utc(wall: float, text: str | None) -> None:
    assert time_text(wall) == text
    if text:
        assert datetime.fromisoformat(text).timestamp() == pytest.approx(wall, abs=0.001)


def test_a_record_has_every_field_that_the_contract_names(call: Maker) -> None:
    value = as_dict(call(attempts=(Attempt("trunk:1", "1", 1_700_000_000.0, 503, "503 Service Unavailable"),)))
    contract = (
        "id started answered ended caller_number called_number sent_number source target status end_cause ended_by "
        "talk_seconds trail attempts"
    )
    assert set(contract.split()) <= set(value)
    assert value["trail"] == ["analyze called number: 13 to SIP trunk 1"]
    assert value["attempts"] == [
        {
            "target": "trunk:1",
            "sent_number": "1",
            "at": "2023-11-14T22:13:20.000Z",
            "status": 503,
            "reason": "503 Service Unavailable",
        }
    ]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_array(call: Maker, count: int) -> None:
    records = [call(answered=0) for _ in range(count)]
    value = json.loads("".join(as_json(records)))
    assert [each["id"] for each in value] == [each.id for each in records]
    assert all(each["answered"] is None for each in value)


def test_csv_comes_back_the_same(call: Maker) -> None:
    records = [call(trail=("one, two", 'a "b"')), call(caller_number="+49 30", called_number="ü")]
    rows = list(csv.DictReader(io.StringIO("".join(as_csv(records)), newline="")))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert rows[0]["trail"] == 'one, two\na "b"'
    assert rows[1]["called_number"] == "ü"
    assert [row["started"] for row in rows] == ["2023-11-14T22:13:20.000Z"] * 2
    assert "trunk:1 135550: 200 OK" in rows[0]["attempts"]


@pytest.mark.parametrize(
    ("number", "cell"),
    [
        ("+4930123456", "+4930123456"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+1+cmd|x", "'+1+cmd|x"),
        ("-2-3", "'-2-3"),
        ("*21#", "*21#"),
    ],
)
def test_a_strangers_number_is_no_formula(call: Maker, number: str, cell: str) -> None:
    rows = list(csv.DictReader(io.StringIO("".join(as_csv([call(called_number=number)])), newline="")))
    assert rows[0]["called_number"] == cell
