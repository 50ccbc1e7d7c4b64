"""What is known of providers beforehand: the files of `resources/providers`, each with its version and its source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from app.records import TABLES, ExternalLine, Record, SipTrunk, fields_of

KINDS: dict[str, type[Record]] = {kind.table: kind for kind in (SipTrunk, ExternalLine)}
"""What a template can be of."""
GENERAL = {SipTrunk.table: "any_1_ip_trunk", ExternalLine.table: "any_2_account"}
"""The templates that set nothing, by the name of their file."""
_TEXTS = ("title", "country", "kind", "note", "source", "checked")
_MORE = ("version", "values", "examples", "sent_example")


@dataclass(frozen=True, slots=True)
class Template:
    """One provider, or one kind of peer."""

    name: str
    """The name of its file."""
    version: int
    """Raised whenever the file is changed."""
    title: str
    country: str
    """Where it is at home; blank for what is no provider."""
    kind: type[Record]
    """SIP trunk or external line."""
    note: str
    """What a person has to know or do, in a sentence or two."""
    source: str
    """The titles of the documents that the values were taken from."""
    checked: str
    """The day on which somebody last looked there."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The fields that differ from those of a new record."""
    examples: Mapping[str, str] = field(default_factory=dict)
    """For fields that are each customer's own: what they look like."""
    sent_example: str = ""
    """A called number as this provider expects it; blank where it takes numbers as they are dialled."""

    def words(self) -> str:
        """The note, and where the values come from."""
        if not self.country:
            return self.note
        return f"{self.note}\nFrom: {self.source}. Looked up {self.checked}, version {self.version}."


def read_template(name: str, document: Mapping[str, Any]) -> Template:
    """A template from the content of its file. ValueError says what is wrong with it."""
    unknown = set(document) - {*_TEXTS, *_MORE}
    missing = {*_TEXTS, "version"} - set(document)
    if unknown or missing:
        raise ValueError(f"{name}: unknown {sorted(unknown)}, missing {sorted(missing)}")
    kind = KINDS.get(document["kind"])
    if kind is None:
        raise ValueError(f"{name}: kind must be one of {', '.join(KINDS)}")
    values, examples = document.get("values", {}), document.get("examples", {})
    strange = {*values, *examples} - {each.name for each in fields_of(TABLES[kind.table])}
    if strange:
        raise ValueError(f"{name}: {', '.join(sorted(strange))} is no field of a {kind.title}")
    texts = {each: document[each] for each in _TEXTS if each != "kind"}
    sent = document.get("sent_example", "")
    return Template(name, document["version"], kind=kind, values=values, examples=examples, sent_example=sent, **texts)


@cache
def templates() -> Mapping[str, Template]:
    """All templates by the name of their file, in the order in which they are offered."""
    folder = resources.files("resources") / "providers"
    files = sorted((each for each in folder.iterdir() if each.name.endswith(".json")), key=lambda each: each.name)
    found = (read_template(each.name.removesuffix(".json"), json.loads(each.read_text("utf-8"))) for each in files)
    return {template.name: template for template in found}


def general(kind: type[Record]) -> Template:
    """The template of a kind that sets nothing."""
    return templates()[GENERAL[kind.table]]
