"""Reads an import document from a file or standard input, with every mistake of its JSON at its line and column."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from app.errors import RecordError, RecordErrors


def read_json(name: str) -> Any:
    """The JSON value in a file, `-` is standard input. RecordErrors says what is wrong and where."""
    shown = "standard input" if name == "-" else name
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise _mistake(f"{shown} cannot be read: {error.strerror or error}") from None
    return parse_json(data, shown)


def parse_json(data: bytes, shown: str) -> Any:
    """The JSON value in the bytes of a document that is called `shown`. RecordErrors says what is wrong and where."""
    try:
        # Windows' own tools write UTF-16, or UTF-8 with a mark before it.
        text = data.decode(json.detect_encoding(data))
    except ValueError as error:
        raise _mistake(f"{shown} is not a text in UTF-8: {error}") from None
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise _mistake(f"{shown} is empty; it must hold one JSON object")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _mistake(f"{shown}, line {error.lineno}, column {error.colno}: {_words(error.msg)}") from None
    except _Refused as error:
        raise _mistake(f"{shown}: {error}") from None
    except RecursionError:
        raise _mistake(f"{shown}: lists and objects are nested too deeply") from None
    except ValueError as error:
        # A number with thousands of digits.
        raise _mistake(f"{shown}: {error}") from None


class _Refused(Exception):
    """JSON by its grammar, but nothing that a document may hold."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        # The last one would win in silence.
        raise _Refused(f'"{twice}" is given twice in one object')
    return result


def _no_constant(text: str) -> Any:
    raise _Refused(f"{text} is not a number")


def _words(message: str) -> str:
    return message[:1].lower() + message[1:]


def _mistake(text: str) -> RecordErrors:
    return RecordErrors((RecordError("", text),))
