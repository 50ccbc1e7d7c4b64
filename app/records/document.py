"""The import document: one JSON object with every table; read with every mistake named, written with sorted tables."""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from app.errors import RecordError, RecordErrors
from app.records.base import Record, fields_of
from app.records.configuration import TABLES, Configuration, clashes
from app.records.system import System
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
    they have, so an export without passwords can be read back. Without an id it gets the next free one.
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
    places: dict[tuple[str, int], str] = {}
    for name, model in TABLES.items():
        old = dict(base.tables.get(name, {}))
        tables[name] = _read_table(model, document.get(name, ()), old, replace, places, errors)
    result = Configuration(system, tables)
    for name in TABLES:
        errors.extend(
            RecordError(f"{places.get((name, clash.record.id), name)}.{clash.field}", clash.message)
            for clash in clashes(result, name)
        )
    if errors:
        raise RecordErrors(tuple(errors))
    return result


def _read_table(
    model: type[Record],
    items: object,
    old: dict[int, Record],
    replace: bool,
    places: dict[tuple[str, int], str],
    errors: list[RecordError],
) -> dict[int, Record]:
    """One table of the document, merged with the records there were."""
    records: dict[int, Record] = {} if replace else dict(old)
    if isinstance(items, str | bytes) or not isinstance(items, Sequence):
        errors.append(RecordError(model.table, "must be a list of records"))
        return records
    by_key = {getattr(record, model.key): record for record in old.values()}
    taken = {item["id"] for item in items if isinstance(item, Mapping) and isinstance(item.get("id"), int)}
    for index, item in enumerate(items):
        path = f"{model.table}[{index}]"
        if not isinstance(item, Mapping):
            errors.append(RecordError(path, "must be an object"))
            continue
        existing = _existing(model, item, by_key, old)
        values = dict(item)
        if existing is not None and model.key != "id":
            # Found by its number: an id in the document names the record in the file it came from, not ours.
            values["id"] = existing.id
        elif "id" not in values:
            values["id"] = _free_id(records, taken)
        record = _read_record(model, values, existing, path, errors)
        if record is None:
            continue
        earlier = places.get((model.table, record.id))
        if earlier is not None:
            errors.append(RecordError(f"{path}.id", f"{record.id} is already used by {earlier}"))
            continue
        if model.key != "id" and existing is None and record.id in records:
            record = record.model_copy(update={"id": _free_id(records, taken)})
        places[(model.table, record.id)] = path
        records[record.id] = record
    return records


def _existing(
    model: type[Record], item: Mapping[str, Any], by_key: Mapping[Any, Record], old: Mapping[int, Record]
) -> Record | None:
    """The record that an item of the document changes."""
    value = item.get(model.key)
    if model.key == "id":
        return old.get(value) if isinstance(value, int) else None
    return by_key.get(str(value).strip()) if isinstance(value, str | int) else None


def _free_id(records: Mapping[int, Record], taken: set[int]) -> int:
    candidate = max((*records, *taken), default=0) + 1
    taken.add(candidate)
    return candidate


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
        name = str(mistake["loc"][0]) if mistake["loc"] else ""
        message = _words(mistake["type"], mistake["msg"], dict(mistake.get("ctx") or {}), limits.get(name, ""))
        if mistake["type"] == "extra_forbidden":
            message = unknown_name(str(mistake["loc"][-1]), names, "field")
        elif not place and ": " in message and message.split(": ", 1)[0] in limits:
            place, message = message.split(": ", 1)
        result.append(RecordError(place, message))
    return result


def _place(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


_TYPE_WORDS = {
    "missing": "is required",
    "string_type": "must be text",
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
