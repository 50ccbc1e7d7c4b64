"""Finds pages and records by words, wherever in the configuration they stand."""

from __future__ import annotations

from typing import NamedTuple

from app.records import TABLES, Configuration, Record, System, fields_of
from ui.pages import PAGES

MOST_FOUND = 16
"""So many are listed; whoever sees more types another letter."""
_MOST_RANKED = 1000
"""So many records that fit are compared; what a single letter finds beyond is no help to anybody."""


class Found(NamedTuple):
    """A place that fits the words."""

    words: str
    page: str
    """The name of the page: `sip_trunks`."""
    record_id: int = 0
    """The record on it; 0 for the page itself."""


def find(words: str, configuration: Configuration) -> tuple[Found, ...]:
    """The places that hold every one of the words, whatever their case: pages first, then records, those in which a
    field is exactly the words before those in which it begins with them."""
    wanted = words.casefold().split()
    if not wanted:
        return ()
    pages = [
        Found(entry.title, entry.name)
        for entry in PAGES.values()
        if all(word in entry.title.casefold() for word in wanted)
    ]
    ranked: list[tuple[int, int, Found]] = []
    for model in (*TABLES.values(), System):
        names = [field.name for field in fields_of(model) if not field.shown.secret and field.name != "enabled"]
        records = [configuration.system] if model is System else configuration.table(model.table)
        for record in records:
            rank = _rank(record, names, wanted)
            if rank >= 0:
                ranked.append((rank, len(ranked), Found(_words(record), model.table, record.id)))
        if len(ranked) >= _MOST_RANKED:
            break
    return tuple([*pages, *(each[2] for each in sorted(ranked))][:MOST_FOUND])


def _rank(record: Record, names: list[str], wanted: list[str]) -> int:
    """0 when a field is exactly what is wanted, 1 when one begins with it, 2 when it is somewhere; -1 when not."""
    values = vars(record)
    texts = [str(values[name]).casefold() for name in names]
    whole = f"{record.title} {' '.join(texts)}".casefold()
    if not all(word in whole for word in wanted):
        return -1
    phrase = " ".join(wanted)
    return 0 if phrase in texts else 1 if any(text.startswith(phrase) for text in texts) else 2


def _words(record: Record) -> str:
    title = "System" if isinstance(record, System) else f"{record.title} {record.caption()}"
    return title[:1].upper() + title[1:]
