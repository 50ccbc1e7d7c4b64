"""Whether values make a record that fits the configuration: one answer for form, cell and several records at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from app.errors import RecordError, RecordErrors
from app.records import Configuration, ExternalLine, Record, SipTrunk
from app.records.document import check_record
from ui.face import cycle_through, cycle_words
from ui.words import plural
from ui.workspace import Workspace


def checked_record(model: type[Record], values: Mapping[str, Any], configuration: Configuration) -> Record:
    """The record of these values. RecordErrors says what is wrong with them by themselves, or that next trunks would
    go in a circle; whether the rest of the configuration goes with it, `Configuration.with_changes` says."""
    record = check_record(model, values)
    if isinstance(record, SipTrunk):
        cycle = cycle_through(configuration, record.id, record.next_trunk_id)
        if cycle:
            message = f"the next trunks would go in a circle: {cycle_words(cycle)}"
            raise RecordErrors((RecordError("next_trunk_id", message),))
    return record


def live_effect(workspace: Workspace, model: type[Record], ids: Collection[int]) -> str:
    """What a change of these records does to the calls that run through them; blank where there is none."""
    if model not in (SipTrunk, ExternalLine):
        return ""
    rows = workspace.engine.trunks() if model is SipTrunk else workspace.engine.lines()
    calls = sum(row.active_in + row.active_out for row in rows if row.id in ids)
    if not calls:
        return ""
    keeps = "keeps its" if calls == 1 else "keep their"
    return f"A change counts for new calls only; {plural(calls, 'running call')} {keeps} old settings."
