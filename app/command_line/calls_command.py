"""`calls`: lists call records, as a table or as JSON."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable

from app.command_line.databases import open_database
from app.command_line.output import say, show, show_pieces, table
from app.events import CallRecord
from app.storage.calls import CallQuery
from app.storage.export import as_json, time_text

SHOWN_BY_DEFAULT = 100


def run(options: Namespace) -> int:
    """Print call records, newest first."""
    with open_database(options.data) as database:
        database.close_interrupted()
        if options.json:
            show_pieces(as_json(database.all_calls(limit=options.limit)))
            return 0
        limit = options.limit or SHOWN_BY_DEFAULT
        records = list(database.all_calls(CallQuery(limit=min(limit, 1000)), limit))
        total = database.count_calls()
        show(_table(records) if records else "No call has ended yet.")
        if options.limit is None and total > len(records):
            say(f"The newest {len(records)} of {total} calls; --limit shows more.")
    return 0


def _table(records: Iterable[CallRecord]) -> str:
    heads = ("Started (UTC)", "From", "To", "Sent", "Source", "Target", "Status", "End", "By", "Talk")
    return table(
        heads,
        [
            (
                (time_text(each.started) or "")[:19].replace("T", " "),
                each.caller_number,
                each.called_number,
                each.sent_number,
                each.source,
                each.target,
                str(each.status or ""),
                each.end_cause,
                each.ended_by,
                _duration(each.talk_seconds),
            )
            for each in records
        ],
    )


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if not whole:
        return "0 s" if seconds else ""
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
