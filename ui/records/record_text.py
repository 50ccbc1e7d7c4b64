"""Records as cells of text and back, for the clipboard and for CSV files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from app.errors import RecordError, RecordErrors, UserFacingError
from app.records import Change, Configuration, Record, fields_of
from app.records.base import RecordField
from app.records.document import read_document, write_record
from app.records.types import CHOICE_WORDS
from ui.face import parse_json
from ui.records.changes import differences

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,11}")


def to_cells(
    model: type[Record], records: Iterable[Record], names: Sequence[str], *, labels: bool = True
) -> list[list[str]]:
    """A first line of labels (or names) and a line per record, each value so that `read_table` understands it."""
    fields = {field.name: field for field in fields_of(model)}
    first = [fields[name].label if labels else name for name in names]
    return [first, *([_text(getattr(record, name)) for name in names] for record in records)]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        if value and isinstance(value[0], BaseModel):
            return json.dumps([item.model_dump(mode="json") for item in value])
        return ", ".join(str(each) for each in value)
    return str(value)


def to_json(model: type[Record], records: Iterable[Record]) -> str:
    """Records as the import document has them, without passwords."""
    return json.dumps({model.table: [write_record(record) for record in records]}, indent=2, ensure_ascii=False)


def read_json(model: type[Record], text: str, configuration: Configuration) -> list[Change]:
    """The changes that add the records of a JSON text as new ones: a document with this table, a list, or one record.

    RecordErrors with every mistake and its record; UserFacingError where it is something else altogether.
    """
    value = parse_json(text.encode(), "the clipboard")
    if isinstance(value, dict) and (model.table in value or not _is_record(model, value)):
        others = [name for name in value if name != model.table]
        if others:
            raise UserFacingError(f"The clipboard holds {others[0]}: it cannot be pasted among {model.plural}.")
        value = value.get(model.table)
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, dict) for item in items):
        raise UserFacingError("The clipboard holds no records.")
    fresh = [{name: each for name, each in item.items() if name != "id"} for item in items]
    result = _read(model, fresh, configuration, new=True, first_line=1)
    return [change for change in differences(configuration, result) if change.table == model.table]


def _is_record(model: type[Record], value: dict[str, Any]) -> bool:
    """Whether an object is one record of the table rather than a document."""
    return any(field.name in value for field in fields_of(model))


def read_table(
    model: type[Record], rows: Sequence[Sequence[str]], configuration: Configuration, names: Sequence[str], *, new: bool
) -> list[Change]:
    """The changes that rows of text ask for.

    A first line of labels or names says which column is which; without one the columns are `names` in their order.
    `new` adds every row as a new record; otherwise a row whose ID is there changes that record. RecordErrors with
    every mistake and its row.
    """
    header = _header(model, rows[0]) if rows else None
    columns: Sequence[str | None] = header or names
    body = rows[1:] if header else rows
    fields = {field.name: field for field in fields_of(model)}
    items: list[dict[str, Any]] = []
    for row in body:
        item: dict[str, Any] = {}
        for name, text in zip(columns, row, strict=False):
            if name in fields and not (new and name == "id"):
                _put(item, fields[name], text)
        items.append(item)
    result = _read(model, items, configuration, new=new, first_line=2 if header else 1)
    return [change for change in differences(configuration, result) if change.table == model.table]


def _header(model: type[Record], row: Sequence[str]) -> list[str | None] | None:
    """The field of each column, if the row is a line of titles: at least one title is known, and most are."""
    known = {field.name: field.name for field in fields_of(model)}
    known |= {field.label.casefold(): field.name for field in fields_of(model)}
    found = [known.get(cell.partition(" (")[0].strip().casefold()) for cell in row]
    return found if sum(name is not None for name in found) * 2 > len(row) else None


def _put(item: dict[str, Any], field: RecordField, text: str) -> None:
    """Put a value where it is given: an empty number means the default."""
    if field.kind is tuple and isinstance(field.item, type) and issubclass(field.item, BaseModel):
        try:
            item[field.name] = json.loads(text) if text else []
        except (ValueError, RecursionError):
            item[field.name] = text
    elif field.kind is int:
        if text:
            number = text.partition(" - ")[0].strip()
            item[field.name] = int(number) if _WHOLE_NUMBER.fullmatch(number) else text
    elif field.kind is bool:
        if text:
            item[field.name] = text
    elif issubclass(field.kind, StrEnum):
        if text:
            by_words = {CHOICE_WORDS[choice].split(" - ")[0].casefold(): choice for choice in field.kind}
            item[field.name] = by_words.get(text.partition(" - ")[0].casefold(), text)
    else:
        item[field.name] = text


def _read(
    model: type[Record], items: list[dict[str, Any]], configuration: Configuration, *, new: bool, first_line: int
) -> Configuration:
    if new and model.key != "id":
        _refuse_known_keys(model, items, configuration, first_line)
    try:
        return read_document({model.table: items}, configuration)
    except RecordErrors as error:
        raise RecordErrors(tuple(_with_row(model, each, first_line) for each in error.errors)) from None


def _refuse_known_keys(
    model: type[Record], items: list[dict[str, Any]], configuration: Configuration, first_line: int
) -> None:
    """A pasted row is a new record: it must not silently change the one that has its number."""
    known = {getattr(record, model.key): record for record in configuration.table(model.table)}
    # As a document finds the record that it changes: 100 and " 100" are "100".
    keys = [str(key).strip() if isinstance(key := item.get(model.key), str | int) else "" for item in items]
    errors = [
        RecordError(f"Row {place}", f"{key} is already {model.title} {known[key].id}")
        for place, key in enumerate(keys, start=first_line)
        if key in known
    ]
    if errors:
        raise RecordErrors(tuple(errors))


def _with_row(model: type[Record], error: RecordError, first_line: int) -> RecordError:
    """`sip_trunks[2].server_port` as `Row 4, Server port`."""
    table, _, rest = error.path.partition("[")
    place, _, name = rest.partition("]")
    if table != model.table or not place.isdigit():
        return error
    label = next((field.label for field in fields_of(model) if field.name == name.lstrip(".")), name.lstrip("."))
    return RecordError(f"Row {int(place) + first_line}" + (f", {label}" if label else ""), error.message)
