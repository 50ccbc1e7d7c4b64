"""Call records as JSON and as CSV, piece by piece, so that a million of them need no memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from app.events import CallRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CSV_COLUMNS = (
    "id",
    "started",
    "answered",
    "ended",
    "caller_number",
    "called_number",
    "sent_number",
    "source",
    "target",
    "status",
    "end_cause",
    "ended_by",
    "talk_seconds",
    "node",
    "trail",
    "attempts",
)
"""The columns of the CSV file, named as the fields of the JSON objects."""


def time_text(wall: float) -> str | None:
    """Seconds since the epoch as `2026-01-31T12:00:00.250Z`; None for 0, never."""
    if not wall:
        return None
    # Not fromtimestamp: on Windows it refuses times that it thinks no clock shows.
    return (_EPOCH + timedelta(seconds=round(wall, 3))).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_dict(record: CallRecord) -> dict[str, Any]:
    """A call record as plain JSON values, times as text in UTC."""
    return {
        "id": record.id,
        "node": record.node,
        "started": time_text(record.started),
        "answered": time_text(record.answered),
        "ended": time_text(record.ended),
        "caller_number": record.caller_number,
        "called_number": record.called_number,
        "sent_number": record.sent_number,
        "source": record.source,
        "target": record.target,
        "status": record.status,
        "end_cause": record.end_cause,
        "ended_by": record.ended_by,
        "talk_seconds": round(record.talk_seconds, 3),
        "trail": list(record.trail),
        "attempts": [
            {
                "target": each.target,
                "sent_number": each.sent_number,
                "at": time_text(each.at),
                "status": each.status,
                "reason": each.reason,
            }
            for each in record.attempts
        ],
        "media": list(record.media),
    }


def as_json(records: Iterable[CallRecord]) -> Iterator[str]:
    """A JSON array in pieces, one record to a line."""
    before = "[\n"
    for record in records:
        yield before + json.dumps(as_dict(record))
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def as_csv(records: Iterable[CallRecord]) -> Iterator[str]:
    """CSV in pieces with a line of names first (RFC 4180: commas, CRLF)."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(CSV_COLUMNS)
    for record in records:
        values = as_dict(record)
        values["trail"] = "\n".join(record.trail)
        values["attempts"] = "\n".join(
            # The words of a reason begin with its status.
            f"{each['at']} {each['target']} {each['sent_number']}: {each['reason']}"
            for each in values["attempts"]
        )
        writer.writerow([_harmless(values[name]) for name in CSV_COLUMNS])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet does not take for a formula: numbers come from strangers on the network."""
    if value is None:
        return ""
    if not isinstance(value, str) or not value or value[0] not in "=+-@\t\r":
        return value
    return value if value[0] in "+-" and value[1:].isdigit() else "'" + value
