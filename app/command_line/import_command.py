"""`import`: takes a document over into the configuration, all of it or nothing."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter

from app.command_line.documents import read_json
from app.command_line.output import say, show
from app.records import Change, Configuration
from app.records.document import read_document

MOST_WARNINGS = 50
"""So many warnings are listed; a person reads no more."""


def run(options: Namespace) -> int:
    """Read the document, change the database, say what was changed."""
    from app.storage.database import Database, differences

    document = read_json(options.file)
    changes: list[Change] = []
    result: list[Configuration] = []

    def take_over(base: Configuration) -> Configuration:
        after = read_document(document, base, replace=options.replace)
        changes[:] = differences(base, after)
        result[:] = [after]
        return after

    database = Database.open(options.data)
    try:
        version = database.update(take_over)
    finally:
        database.close()
    show(f"{_summary(changes)}. The configuration is now version {version}.")
    _warn(result[0])
    return 0


def _summary(changes: list[Change]) -> str:
    kinds = Counter(
        "added" if each.before is None else "deleted" if each.after is None else "changed" for each in changes
    )
    words = [f"{kinds[kind]} {kind}" for kind in ("added", "changed", "deleted") if kinds[kind]]
    return ("Records: " + ", ".join(words)) if words else "Nothing differs"


def _warn(configuration: Configuration) -> None:
    """What fits together but cannot work: named, not refused."""
    from app.dialplan.coverage import problems
    from app.events import Severity

    found = [each for each in problems(configuration) if each.severity is not Severity.INFORMATION]
    for each in found[:MOST_WARNINGS]:
        place = f"{each.table} {each.record_id}" + (f", {each.field}" if each.field else "")
        # An error is what refuses a document; the dial-plan pages tell these by their weight.
        say(f"warning: {place}: {each.message}")
    if len(found) > MOST_WARNINGS:
        say(f"warning: and {len(found) - MOST_WARNINGS} more of this kind")
