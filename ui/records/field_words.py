"""The words of a field's value, in tables and messages, from what the record says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from app.records import TABLES, Configuration, Record, System, fields_of
from app.records.base import RecordField
from app.records.types import CHOICE_WORDS
from ui.tables.cells import Cell, address_cell, blank_cell, number_cell, text_cell
from ui.theme import Tone
from ui.words import plural

HIDDEN = "••••••••"

_ADDRESS_FIELDS = ("server_address", "trusted_address", "sip_address", "network")
"""Fields that sort as addresses."""


def choice_words(value: object) -> str:
    """The words of a choice: `yes - audio flows through this server`."""
    return CHOICE_WORDS.get(value, str(value)) if isinstance(value, StrEnum) else str(value)


def reference_words(configuration: Configuration, table: str, record_id: int) -> str:
    """`2 - Carrier B (192.0.2.8:5060)`, or that there is no such record."""
    record = configuration.find(table, record_id)
    if record is None:
        return f"{record_id} - does not exist"
    return f"{record.caption()} - disabled" if not record.enabled else record.caption()


def field_cell(field: RecordField, values: Mapping[str, Any], configuration: Configuration) -> Cell:
    """The cell of a field."""
    value = values[field.name]
    shown = field.shown
    if field.kind is bool:
        return Cell("yes" if value else "no", int(value), Tone.PLAIN if value else Tone.MUTED)
    if shown.secret:
        return text_cell(HIDDEN) if value else blank_cell(shown.blank)
    table = field.table_referred_to(values)
    if table and value:
        words = reference_words(configuration, table, value)
        missing = configuration.find(table, value) is None
        return Cell(words, value, Tone.BAD if missing else Tone.PLAIN)
    if field.kind is int:
        return number_cell(
            value, field.zero_words(values) if value == 0 else None, Tone.MUTED if value == 0 else Tone.PLAIN
        )
    if field.kind is tuple:
        return _list_cell(field, value, configuration)
    if issubclass(field.kind, StrEnum):
        return text_cell(choice_words(value).split(" - ")[0], tip=choice_words(value))
    if not value:
        return blank_cell(shown.blank)
    return address_cell(value) if field.name in _ADDRESS_FIELDS else text_cell(value)


def _list_cell(field: RecordField, value: tuple[Any, ...], configuration: Configuration) -> Cell:
    if not value:
        return blank_cell(field.shown.blank)
    if isinstance(field.item, type) and issubclass(field.item, BaseModel):
        words = [item_words(item, configuration) for item in value]
        return text_cell(f"{plural(len(value), 'entry', 'entries')}: {', '.join(words)}", tip="\n".join(words))
    return text_cell(", ".join(str(each) for each in value))


def item_words(item: BaseModel, configuration: Configuration) -> str:
    """One entry of a list field: the records that it names, or its values."""
    values = dict(item)
    named = [
        reference_words(configuration, table, values[field.name])
        for field in fields_of(type(item))
        if (table := field.table_referred_to(values)) and values[field.name]
    ]
    return ", ".join(named) or ", ".join(str(each) for each in values.values())


def field_path_words(model: type[Record], path: str) -> str:
    """`members[2].target_id` as `Members, entry 3`; a field's label otherwise."""
    name, _, rest = path.partition("[")
    label = next((field.label for field in fields_of(model) if field.name == name), name)
    place = rest.partition("]")[0]
    return f"{label}, entry {int(place) + 1}" if place.isdigit() else label


def record_words(place: tuple[str, int], configuration: Configuration) -> str:
    """`called number record 1 - Mobile (13)` for (table, id)."""
    table, record_id = place
    if table == System.table:
        return System.title
    record = configuration.find(table, record_id)
    return f"{TABLES[table].title} {record.caption() if record else record_id}"
