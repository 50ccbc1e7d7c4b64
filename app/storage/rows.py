"""Translates between records and rows: configuration records of any type, and call records."""

from __future__ import annotations

import json
from dataclasses import fields
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from app.events import Attempt, CallRecord
from app.records import Record, fields_of
from app.records.base import RecordField
from app.records.document import explain
from app.storage.errors import StorageDamaged
from app.storage.tables import call_records

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
_EMPTY_LIST = "[]"


def row_of(record: Record) -> dict[str, Any]:
    """A configuration record as a row of its table."""
    values = dict(record)
    for each in fields_of(type(record)):
        values[each.name] = plain_value(each, values[each.name])
    return values


def plain_value(field: RecordField, value: Any) -> Any:
    """The value of a record's field as its column holds it."""
    if field.kind is tuple:
        return _encode([_plain(item) for item in value]) if value else _EMPTY_LIST
    return value.value if isinstance(value, StrEnum) else value


def _plain(item: Any) -> Any:
    return item.model_dump(mode="json") if isinstance(item, BaseModel) else item


def record_of(model: type[Record], values: dict[str, Any]) -> Record:
    """A configuration record from a row (used up by it); StorageDamaged, in words, when it is not valid."""
    try:
        for each in fields_of(model):
            if each.kind is tuple:
                text = values[each.name]
                values[each.name] = () if text == _EMPTY_LIST else json.loads(text)
        return model.model_validate(values)
    except ValidationError as error:
        mistakes = "; ".join(str(each) for each in explain(model, error))
    except ValueError as error:
        mistakes = f"a list in it cannot be read ({error})"
    raise StorageDamaged(f"The database holds a {model.title} (ID {values.get('id')}) that is not valid: {mistakes}")


CALL_COLUMNS: tuple[str, ...] = tuple(column.name for column in call_records.columns)
"""The columns of a call record, in the order of `call_row`."""


def call_row(record: CallRecord, node: str) -> tuple[Any, ...]:
    """A call record as a row, in the order of CALL_COLUMNS (this runs for every call: no detours)."""
    attempts = record.attempts
    return (
        record.id,
        record.node or node,
        record.started,
        record.answered or None,
        record.ended or None,
        record.caller_number,
        record.called_number,
        record.sent_number,
        record.source,
        record.target,
        record.status,
        record.end_cause,
        record.ended_by,
        record.talk_seconds,
        _json(record.trail),
        _json([(each.target, each.sent_number, each.at, each.status, each.reason) for each in attempts])
        if attempts
        else _EMPTY_LIST,
        _json(record.media) if record.media else _EMPTY_LIST,
    )


def _json(value: Any) -> str:
    try:
        # Five times as fast as the standard library.
        return to_json(value).decode()
    except ValueError:
        # Half a character in a text; `clean_row` mends it.
        return _encode(value)


def clean_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same row without what a database may refuse in a text that came from the network: NUL, half characters."""
    return tuple(
        value.encode("utf-8", "replace").decode().replace("\x00", "\ufffd") if isinstance(value, str) else value
        for value in row
    )


def call_of(values: dict[str, Any]) -> CallRecord:
    """A call record from a row, which is used up by it.

    What cannot be read of it, because the file is damaged there, is blank: it hides neither the rest nor other records.
    """
    for name, blank in _BLANK.items():
        value = values[name]
        # A whole number is a time, too.
        if type(value) is not type(blank) and not (type(value) is int and blank == 0.0):
            values[name] = blank
    values["trail"] = tuple(each for each in _list(values["trail"]) if isinstance(each, str))
    values["attempts"] = tuple(
        Attempt(*each) for each in _list(values["attempts"]) if isinstance(each, list) and len(each) == _ATTEMPT_FIELDS
    )
    values["media"] = tuple(each for each in _list(values["media"]) if isinstance(each, dict))
    return CallRecord(**values)


_ATTEMPT_FIELDS = len(fields(Attempt))
_BLANK: dict[str, Any] = {
    column.name: {str: "", int: 0, float: 0.0}[column.type.python_type] for column in call_records.columns
}


def _list(text: str) -> list[Any]:
    """What a column with JSON holds."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return value if isinstance(value, list) else []
