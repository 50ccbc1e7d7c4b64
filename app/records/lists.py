"""Black and white lists: by number, with a percentage, and by address."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from app.records.base import Record, Shown
from app.records.types import AddressAction, Network, Number


class NumberList(Record):
    """Blocks, or lets pass, calls between numbers."""

    table: ClassVar[str] = "number_lists"
    title: ClassVar[str] = "number list entry"
    plural: ClassVar[str] = "Black and white list"
    unique_together: ClassVar[tuple[str, ...]] = ("caller_prefix", "called_prefix")
    introduction: ClassVar[str] = (
        "Blocks calls by caller and called number. The longest called prefix decides, then the longest caller prefix; "
        "0 percent lets a call pass that a shorter prefix would block."
    )

    caller_prefix: Annotated[Number, Shown("&Caller prefix", "Whose calls; * is anybody.", example="101")] = "*"
    called_prefix: Annotated[Number, Shown("Called &prefix", "Calls to where; * is any number.", example="900")] = "*"
    block_percent: Annotated[
        int, Field(ge=0, le=100), Shown("&Block", "How many of these calls are blocked.", unit="%", zero="let pass")
    ] = 100

    @field_validator("caller_prefix", "called_prefix")
    @classmethod
    def _blank_is_any(cls, value: str) -> str:
        return value or "*"

    def detail(self) -> str:
        return f"{self.caller_prefix} to {self.called_prefix}"


class AddressList(Record):
    """Accepts or drops everything from a network."""

    table: ClassVar[str] = "address_lists"
    title: ClassVar[str] = "address list entry"
    plural: ClassVar[str] = "Address list"
    unique_together: ClassVar[tuple[str, ...]] = ("network",)
    introduction: ClassVar[str] = (
        "Accepts or drops every SIP message of a network before it is read. The longest network decides; an accepted "
        "network is never banned."
    )

    network: Annotated[Network, Shown("&Network", "An address or a network.", required=True, example="198.51.100.0/24")]
    action: Annotated[AddressAction, Shown("&Action", "What happens to its messages.")] = AddressAction.DROP

    def detail(self) -> str:
        return self.network
