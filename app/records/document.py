"""The import document: one JSON object with every table; read with every mistake named, written with sorted tables."""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from app.errors import RecordError, RecordErrors
from app.records.base import Record, fields_of
from app.records.configuration import TABLES, Configuration, clashes, references_of
from app.records.system import System
from app.records.types import MAX_ID
from app.records.users import LocalUser

FIRST_NUMBERS = ("100", "101", "102")
"""The local users that a new configuration begins with."""


def first_configuration() -> Configuration:
    """What a first start makes: local users 100, 101 and 102 with random passwords."""
    users = {
        index: LocalUser(id=index, number=number, password=secrets.token_urlsafe(12))
        for index, number in enumerate(FIRST_NUMBERS, start=1)
    }
    return Configuration(System(), {LocalUser.table: dict(users)})


def write_document(configuration: Configuration, *, with_secrets: bool = False) -> dict[str, Any]:
    """The configuration as a document that `read_document` takes back. Passwords only when asked for."""
    document: dict[str, Any] = {System.table: write_record(configuration.system, with_secrets=with_secrets)}
    for name in TABLES:
        document[name] = [write_record(record, with_secrets=with_secrets) for record in configuration.table(name)]
    return document


def write_record(record: Record, *, with_secrets: bool = False) -> dict[str, Any]:
    """One record as plain JSON values."""
    values = record.model_dump(mode="json")
    if not with_secrets:
        for each in fields_of(type(record)):
            if each.shown.secret:
                values.pop(each.name, None)
    return values


def read_document(document: object, base: Configuration, *, replace: bool = False) -> Configuration:
    """The configuration that results from a document: added to `base`, or in its place with `replace`.

    A record is found by its key (`id`, local users by number); fields that the document does not give keep the value
    they have, so an export without passwords can be read back. Without an id it gets the next free one. A local user
    that has another id here than in the document is followed by the document's references to it.
    RecordErrors with every mistake and its path; nothing is taken then.
    """
    errors: list[RecordError] = []
    if not isinstance(document, Mapping):
        raise RecordErrors((RecordError("", "the document must be one JSON object"),))
    known = (System.table, *TABLES)
    errors.extend(
        RecordError(str(name), unknown_name(str(name), known, "table")) for name in document if name not in known
    )
    system = base.system
    if System.table in document:
        found = _read_record(System, document[System.table], System() if replace else base.system, System.table, errors)
        system = found if isinstance(found, System) else system
    elif replace:
        system = System()
    tables: dict[str, dict[int, Record]] = {}
    reading = _Reading(replace, errors)
    for name, model in TABLES.items():
        tables[name] = _read_table(model, document.get(name, ()), dict(base.tables.get(name, {})), reading)
    _follow_moved(tables, reading)
    places = reading.places
    result = Configuration(system, tables)
    for name in TABLES:
        errors.extend(
            RecordError(f"{places.get((name, clash.record.id), name)}.{clash.field}", clash.message)
            for clash in clashes(result, name)
        )
    if errors:
        raise RecordErrors(tuple(errors))
    return result


@dataclass(slots=True)
class _Reading:
    """What is known while a document is read."""

    replace: bool
    errors: list[RecordError]
    places: dict[tuple[str, int], str] = field(default_factory=dict)
    """(table, id) -> where in the document the record stands."""
    given: dict[tuple[str, int], frozenset[str]] = field(default_factory=dict)
    """(table, id) -> the fields that the document gives."""
    moved: dict[tuple[str, int], int] = field(default_factory=dict)
    """(table, id in the document) -> the id that the record has here."""


def _read_table(model: type[Record], items: object, old: dict[int, Record], reading: _Reading) -> dict[int, Record]:
    """One table of the document, merged with the records there were."""
    records: dict[int, Record] = {} if reading.replace else dict(old)
    if isinstance(items, str | bytes) or not isinstance(items, Sequence):
        reading.errors.append(RecordError(model.table, "must be a list of records"))
        return records
    by_key = {getattr(record, model.key): record for record in old.values()}
    items = [_with_whole_id(item) for item in items]
    taken = {item["id"] for item in items if isinstance(item, Mapping) and _is_id(item.get("id"))}
    free = _free_ids(set(records), taken)
    for index, item in enumerate(items):
        path = f"{model.table}[{index}]"
        if not isinstance(item, Mapping):
            reading.errors.append(RecordError(path, "must be an object"))
            continue
        existing = _existing(model, item, by_key, old)
        values = dict(item)
        record_id = _id_here(model, item, existing, records, taken, free, reading)
        if record_id is not None:
            values["id"] = record_id
        record = _read_record(model, values, existing, path, reading.errors)
        if record is None:
            continue
        earlier = reading.places.get((model.table, record.id))
        if earlier is not None:
            told = f"{record.id} is already used by {earlier}" if "id" in item else f"is the same record as {earlier}"
            reading.errors.append(RecordError(f"{path}.{'id' if 'id' in item else model.key}", told))
            continue
        if _is_id(item.get("id")) and item["id"] != record.id:
            reading.moved[(model.table, item["id"])] = record.id
        reading.places[(model.table, record.id)] = path
        reading.given[(model.table, record.id)] = frozenset(item)
        records[record.id] = record
    return records


def _with_whole_id(item: Any) -> Any:
    """The item with an id such as "1" or 1.0 as the whole number that it means."""
    value = item.get("id") if isinstance(item, Mapping) else None
    if isinstance(value, float) and value.is_integer():
        return {**item, "id": int(value)}
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        return {**item, "id": int(value)}
    # What is no number at all gets its words from the validation; true would pass there as 1.
    return {**item, "id": str(value)} if isinstance(value, bool) else item


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _id_here(
    model: type[Record],
    item: Mapping[str, Any],
    existing: Record | None,
    records: Mapping[int, Record],
    taken: set[int],
    free: Iterator[int],
    reading: _Reading,
) -> int | None:
    """The id that a record of the document gets; None leaves the one that it brings."""
    if "id" not in item:
        # A record that is found keeps its id, unless the document gives that to another one.
        if existing is not None and not (existing.id in taken and reading.replace):
            return existing.id
        return next(free)
    if model.key == "id" or reading.replace:
        return None
    # Found by its number: an id in the document names the record in the file that it came from, not ours.
    if existing is not None:
        return existing.id
    return next(free) if _is_id(item["id"]) and item["id"] in records else None


def _follow_moved(tables: dict[str, dict[int, Record]], reading: _Reading) -> None:
    """Have the document's references name the ids that its records have here."""
    if not reading.moved:
        return
    for (table, record_id), names in reading.given.items():
        record = tables[table][record_id]
        update = {
            each.field: reading.moved[each.target_table, each.target_id]
            for each in references_of(record)
            if each.field in names and (each.target_table, each.target_id) in reading.moved
        }
        if update:
            tables[table][record_id] = record.model_copy(update=update)


def _existing(
    model: type[Record], item: Mapping[str, Any], by_key: Mapping[Any, Record], old: Mapping[int, Record]
) -> Record | None:
    """The record that an item of the document changes."""
    value = item.get(model.key)
    if model.key == "id":
        return old.get(value) if isinstance(value, int) else None
    return by_key.get(str(value).strip()) if isinstance(value, str | int) else None


def _free_ids(used: set[int], taken: set[int]) -> Iterator[int]:
    """Ids for new records: from one above the highest there is on, then the gaps; never one that the document gives."""
    first = max(used, default=0) + 1
    yield from (number for number in range(first, MAX_ID + 1) if number not in taken)
    yield from (number for number in range(1, first) if number not in used and number not in taken)


def _read_record(
    model: type[Record], item: object, existing: Record | None, path: str, errors: list[RecordError]
) -> Record | None:
    """One record, or None with its mistakes added to `errors`."""
    if not isinstance(item, Mapping):
        errors.append(RecordError(path, "must be an object"))
        return None
    values = {**dict(existing), **item} if existing is not None else dict(item)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        errors.extend(
            RecordError(f"{path}.{each.path}" if each.path else path, each.message) for each in explain(model, error)
        )
        return None


def check_record(model: type[Record], values: Mapping[str, Any]) -> Record:
    """A record from plain values (a form, a pasted row). RecordErrors names each field with its mistake."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise RecordErrors(tuple(explain(model, error))) from None


def explain(model: type[Record], error: ValidationError) -> list[RecordError]:
    """Each mistake of a record as its field and words that a person understands."""
    limits = {each.name: each.limits for each in fields_of(model)}
    names = tuple(limits)
    result: list[RecordError] = []
    for mistake in error.errors(include_url=False):
        place = _place(mistake["loc"])
        message = _words(
            mistake["type"], mistake["msg"], dict(mistake.get("ctx") or {}), _limits_at(model, mistake["loc"])
        )
        if mistake["type"] == "extra_forbidden":
            message = unknown_name(str(mistake["loc"][-1]), names, "field")
        elif not place and ": " in message and message.split(": ", 1)[0] in limits:
            place, message = message.split(": ", 1)
        result.append(RecordError(place, message))
    return result


def _limits_at(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """The limits of the field at a place, inside a list of entries too: `members`, 1, `priority`."""
    fields = {each.name: each for each in fields_of(model)}
    field = fields.get(str(location[0])) if location else None
    if field is None:
        return ""
    if len(location) > 2 and isinstance(field.item, type) and issubclass(field.item, BaseModel):
        return _limits_at(field.item, location[2:])
    return field.limits


def _place(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


_TYPE_WORDS = {
    "missing": "is required",
    "string_type": "must be text",
    "string_unicode": "holds half a character",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": "must be a list",
    "model_type": "must be an object",
    "string_too_long": "is too long",
    "too_long": "has too many entries",
}


def _words(kind: str, message: str, context: dict[str, Any], limits: str) -> str:
    if kind == "value_error":
        return str(context.get("error", message))
    if kind == "enum":
        return f"must be {context.get('expected', '').replace(chr(39), '')}"
    if kind in ("greater_than_equal", "less_than_equal"):
        return limits or message[:1].lower() + message[1:]
    if kind.startswith("int"):
        return f"must be a whole number{limits.replace('must be', ',') if limits else ''}".replace(" ,", ",")
    return _TYPE_WORDS.get(kind, message[:1].lower() + message[1:])


def unknown_name(name: str, known: Sequence[str], what: str) -> str:
    """`unknown field (did you mean server_port?)`"""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"unknown {what}" + (f" (did you mean {near[0]}?)" if near else "")
