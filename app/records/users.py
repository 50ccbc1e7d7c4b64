"""Local users: the phones that register to this server."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from app.records.base import Record, Shown
from app.records.types import MAX_ID, HeaderText, IpAddress, Levels, Number, RelayMedia, RelayMediaChoice, Secret


class LocalUser(Record):
    """A phone, a soft phone or a gateway port with its own number."""

    table: ClassVar[str] = "local_users"
    title: ClassVar[str] = "local user"
    plural: ClassVar[str] = "Local users"
    key: ClassVar[str] = "number"
    introduction: ClassVar[str] = (
        "A local user is a phone: it registers with its number and password. A restart of the server forgets none."
    )

    number: Annotated[
        Number,
        Shown("&Number", "What others dial, and the phone's user name.", required=True, unique=True, example="103"),
    ]
    password: Annotated[
        Secret, Shown("&Password", "The phone's SIP password.", secret=True, blank="cannot register", column=False)
    ] = ""
    display_name: Annotated[HeaderText, Shown("Display na&me", "Shown on the called phone.", blank="none")] = ""
    max_calls: Annotated[
        int,
        Field(ge=0, le=10000),
        Shown(
            "Most &calls", "At once, in and out together.", tab="Calls", unit="calls", zero="unlimited", column=False
        ),
    ] = 0
    max_outgoing_calls: Annotated[
        int,
        Field(ge=0, le=10000),
        Shown("Most &outgoing calls", "At once.", tab="Calls", unit="calls", zero="unlimited", column=False),
    ] = 0
    max_external_calls_per_hour: Annotated[
        int,
        Field(ge=0, le=100000),
        Shown(
            "Most e&xternal calls per hour",
            "Through trunks and lines, forwarded and transferred ones too. Beyond it they are stopped for a while, "
            "with an alarm: a stolen password costs little.",
            tab="Calls",
            unit="calls",
            zero="unlimited",
            column=False,
        ),
    ] = 0
    max_external_minutes_per_day: Annotated[
        int,
        Field(ge=0, le=1000000),
        Shown(
            "Most external &minutes per day",
            "Talked through trunks and lines within 24 hours. Beyond it new ones are stopped for a while, with an "
            "alarm; calls that run go on.",
            tab="Calls",
            unit="min",
            zero="unlimited",
            column=False,
        ),
    ] = 0
    call_levels: Annotated[
        Levels,
        Shown(
            "Call &levels",
            "Numbers of the levels this user may call; everybody may call level 0.",
            tab="Calls",
            blank="level 0 only",
        ),
    ] = ()
    trusted_address: Annotated[
        IpAddress,
        Shown(
            "&Trusted address",
            "Calls from this IP address are this user's, without registration or password.",
            blank="none: asks for the password",
            column=False,
        ),
    ] = ""
    relay_media: Annotated[
        RelayMediaChoice,
        Shown("&Relay media stream", "Whether audio flows through this server.", tab="Calls", column=False),
    ] = RelayMedia.NO
    external_line_id: Annotated[
        int,
        Field(ge=0, le=MAX_ID),
        Shown(
            "&External line",
            "The user's own line for outgoing calls.",
            tab="Calls",
            zero="any free shared line",
            refers_to="external_lines",
            column=False,
        ),
    ] = 0

    @field_validator("number")
    @classmethod
    def _number_required(cls, value: str) -> str:
        if not value:
            raise ValueError("is required: what others dial")
        return value

    @field_validator("call_levels")
    @classmethod
    def _levels_positive(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        for level in value:
            if not 0 <= level <= 999999:
                raise ValueError(f"{level} is not a call level (0 to 999999)")
        return tuple(sorted(set(value)))

    def detail(self) -> str:
        return self.number

    def caption(self) -> str:
        """`100 - Reception`."""
        words = self.display_name or self.description
        return f"{self.number} - {words}" if words else self.number
