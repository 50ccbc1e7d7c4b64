"""What all records share, and how a field says of itself what a person should see."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import annotated_types
from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from app.records.types import MAX_ID, HeaderText


@dataclass(frozen=True, slots=True)
class Shown:
    """How a field is shown: beside its type and limits, all that form, table, help and messages need."""

    label: str
    """The words at the field; `&` marks the mnemonic."""
    help: str
    """One or two plain sentences: what it does, and when to change it."""
    tab: str = "Basic"
    """The tab of the form."""
    unit: str = ""
    """Shown after a number: `calls`, `s`."""
    zero: str = ""
    """The words for 0: `no outgoing calls` is shown as `0 - no outgoing calls`."""
    zero_each: Mapping[str, str] = field(default_factory=dict)
    """Value of the sibling field `refers_by` -> the words for 0 with it, where they are others than `zero`."""
    blank: str = ""
    """The words shown greyed in an empty text field: `keep the caller's number`."""
    example: str = ""
    """A value that would be right, for a field that has to be filled in."""
    refers_to: str = ""
    """The table whose record's id this field holds (0: none)."""
    refers_by: str = ""
    """The sibling field that decides which table `refers_to_each` names."""
    refers_to_each: Mapping[str, str] = field(default_factory=dict)
    """Value of the sibling field -> table."""
    secret: bool = False
    """A password: masked, and left out of exports unless asked for."""
    column: bool = True
    """Whether the table page shows the column from the start."""
    required: bool = False
    """Whether blank is refused."""
    unique: bool = False
    """Whether no other record of the table may hold the same value."""


class Record(BaseModel):
    """What every record has. Records are immutable: a change makes a new one."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, str_max_length=1024)

    table: ClassVar[str] = ""
    """The name of the table and of the list in the import document."""
    title: ClassVar[str] = ""
    """The name of one record, for sentences: `SIP trunk`."""
    plural: ClassVar[str] = ""
    """The name of the page and the menu entry."""
    key: ClassVar[str] = "id"
    """The field by which an import finds an existing record."""
    unique_together: ClassVar[tuple[str, ...]] = ()
    """Fields whose values together may occur once in the table."""
    introduction: ClassVar[str] = ""
    """One paragraph for the help and the empty page."""

    id: Annotated[
        int,
        Field(ge=1, le=MAX_ID),
        Shown("ID", "The number by which other records name this one.", tab="Basic"),
    ]
    enabled: Annotated[bool, Shown("&Enabled", "A disabled record is kept but not used.")] = True
    description: Annotated[
        HeaderText, Shown("&Description", "Your own words, shown in lists beside the ID.", blank="none")
    ] = ""

    def caption(self) -> str:
        """How a list shows this record: `2 - Carrier B (192.0.2.8:5060)`."""
        detail = self.detail()
        if self.description and detail:
            return f"{self.id} - {self.description} ({detail})"
        return f"{self.id} - {self.description or detail}" if self.description or detail else str(self.id)

    def detail(self) -> str:
        """What tells this record from the others of its table, in a few characters."""
        return ""


@dataclass(frozen=True, slots=True)
class RecordField:
    """One field of a record type, ready for a form, a table column or a help page."""

    name: str
    shown: Shown
    kind: type
    """bool, int, str, a StrEnum, or tuple for lists."""
    item: Any
    """For a tuple: the type of its items (int, str or a model)."""
    default: Any
    """The value of a new record, or None where there is none."""
    required: bool
    """Whether a document must give it."""
    minimum: int | None
    maximum: int | None

    @property
    def label(self) -> str:
        """The label without its mnemonic mark."""
        return self.shown.label.replace("&", "")

    @property
    def limits(self) -> str:
        """The limits in words: `must be 1 to 65535`."""
        if self.minimum is not None and self.maximum is not None:
            return f"must be {self.minimum} to {self.maximum}"
        if self.minimum is not None:
            return f"must be {self.minimum} or more"
        return f"must be {self.maximum} or less" if self.maximum is not None else ""

    def table_referred_to(self, values: Mapping[str, Any]) -> str:
        """The table whose id this field holds, given the record's other values; blank where it is not a reference."""
        if self.shown.refers_by:
            return self.shown.refers_to_each.get(str(values.get(self.shown.refers_by, "")), "")
        return self.shown.refers_to

    def zero_words(self, values: Mapping[str, Any] | None = None) -> str:
        """`0 - no outgoing calls`, or plain `0`; `values` are the record's, where the words hang on another field."""
        shown = self.shown
        sibling = str(values.get(shown.refers_by, "")) if values is not None else ""
        words = shown.zero_each.get(sibling, shown.zero)
        return f"0 - {words}" if words else "0"


_FIELDS: dict[type[BaseModel], tuple[RecordField, ...]] = {}


def fields_of(model: type[BaseModel]) -> tuple[RecordField, ...]:
    """The fields of a record type in the order of their declaration (computed once per type)."""
    known = _FIELDS.get(model)
    if known is None:
        known = tuple(_describe(name, info) for name, info in model.model_fields.items())
        _FIELDS[model] = known
    return known


def field_of(model: type[BaseModel], name: str) -> RecordField:
    """One field by its name; KeyError where there is none."""
    for each in fields_of(model):
        if each.name == name:
            return each
    raise KeyError(name)


def _describe(name: str, info: FieldInfo) -> RecordField:
    minimum = maximum = None
    shown = Shown(label=name.replace("_", " "), help="")
    for item in info.metadata:
        if isinstance(item, annotated_types.Ge):
            minimum = int(typing.cast(int, item.ge))
        elif isinstance(item, annotated_types.Le):
            maximum = int(typing.cast(int, item.le))
        elif isinstance(item, Shown):
            shown = item
    kind, item_type = _plain_type(info.annotation)
    return RecordField(
        name=name,
        shown=shown,
        kind=kind,
        item=item_type,
        default=None if info.is_required() else info.get_default(call_default_factory=True),
        required=info.is_required(),
        minimum=minimum,
        maximum=maximum,
    )


def _plain_type(annotation: Any) -> tuple[type, Any]:
    """The type under all `Annotated`s, and for a tuple the type of its items."""
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) is types.UnionType:
        annotation = next(each for each in typing.get_args(annotation) if each is not type(None))
    if typing.get_origin(annotation) is tuple:
        return tuple, _plain_type(typing.get_args(annotation)[0])[0]
    if isinstance(annotation, type) and issubclass(annotation, bool | int | str | StrEnum | BaseModel):
        return annotation, None
    raise TypeError(f"a record cannot hold {annotation!r}")
