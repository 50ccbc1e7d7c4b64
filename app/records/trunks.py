"""The ways out and in: SIP trunks, trusted by their address, and external lines, with an account and a password."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from app.hosts import format_host_port
from app.records.base import Record, Shown
from app.records.types import (
    MAX_ID,
    CallerIdHeaders,
    Codecs,
    EarlyMedia,
    EarlyMediaChoice,
    HeaderText,
    Host,
    Networks,
    Number,
    RelayMedia,
    RelayMediaChoice,
    Secret,
    Statuses,
    Transport,
    TransportChoice,
    UriParameters,
)

OUTGOING = "Outgoing call"
INCOMING = "Incoming call"

DEFAULT_FAILOVER_STATUSES = (408, 500, 501, 502, 503, 504, 513, 580)
"""A final answer among these makes the call go on to the next trunk; busy and not found are the peer's true answer."""


class OutgoingFields(Record):
    """The fields that a trunk and a line share."""

    server_address: Annotated[
        Host,
        Shown("&Server address", "IP address or host name of the other side.", required=True, example="192.0.2.8"),
    ]
    server_port: Annotated[
        int,
        Field(ge=1, le=65535),
        Shown("Server &port", "SIP port of the other side, almost always 5060.", required=True),
    ] = 5060
    transport: Annotated[TransportChoice, Shown("&Transport", "How SIP goes to the other side.")] = Transport.UDP
    tls_verify: Annotated[
        bool,
        Shown(
            "&Verify TLS certificate",
            "Refuse a TLS server whose certificate cannot be trusted. Off for a peer with a self-made one.",
            column=False,
        ),
    ] = True
    unified_caller_number: Annotated[
        Number,
        Shown(
            "Unified &caller number", "Every outgoing call shows this number.", tab=OUTGOING, blank="keep the caller"
        ),
    ] = ""
    request_uri_parameters: Annotated[
        UriParameters,
        Shown(
            "Request-URI &parameters",
            "Added to the Request-URI, for carriers that ask for it.",
            tab=OUTGOING,
            blank="none",
            column=False,
        ),
    ] = ""
    outgoing_group_id: Annotated[
        int,
        Field(ge=0, le=999999),
        Shown(
            "Outgoing &group",
            "Refine caller and called number by the records of this group.",
            tab=OUTGOING,
            zero="no refinement",
        ),
    ] = 0
    max_outgoing_calls: Annotated[
        int,
        Field(ge=0, le=100000),
        Shown(
            "Most &outgoing calls",
            "At once; beyond it the next trunk is tried.",
            tab=OUTGOING,
            unit="calls",
            zero="no outgoing calls",
        ),
    ] = 30
    next_trunk_id: Annotated[
        int,
        Field(ge=0, le=MAX_ID),
        Shown(
            "&Next trunk",
            "Tried when this one cannot take the call.",
            tab=OUTGOING,
            zero="release the call",
            refers_to="sip_trunks",
        ),
    ] = 0
    relay_media: Annotated[
        RelayMediaChoice,
        Shown("&Relay media stream", "Whether audio flows through this server. Only audio is relayed.", tab=OUTGOING),
    ] = RelayMedia.NO
    early_media: Annotated[
        EarlyMediaChoice,
        Shown(
            "Ear&ly media",
            "What callers hear before the answer. Choose ringing for a carrier that announces audio and sends none.",
            tab=OUTGOING,
            column=False,
        ),
    ] = EarlyMedia.PASS
    tel_uri: Annotated[
        bool, Shown("&tel URI", "Send tel:+4930123 instead of sip:+4930123@server.", tab=OUTGOING, column=False)
    ] = False
    caller_id_headers: Annotated[
        CallerIdHeaders,
        Shown(
            "Caller &ID headers",
            "Sent beside From: P-Asserted-Identity, P-Preferred-Identity, Remote-Party-ID, Privacy, Diversion.",
            tab=OUTGOING,
            blank="From only",
            column=False,
        ),
    ] = ()
    failover_statuses: Annotated[
        Statuses,
        Shown(
            "&Failover statuses",
            "Answers that make the call go to the next trunk.",
            tab=OUTGOING,
            blank="none",
            column=False,
        ),
    ] = DEFAULT_FAILOVER_STATUSES
    failover_after_ringing: Annotated[
        bool,
        Shown(
            "Failover &after ringing",
            "Go to the next trunk even when this one had begun to ring.",
            tab=OUTGOING,
            column=False,
        ),
    ] = False
    follow_redirects: Annotated[
        bool,
        Shown(
            "Follow redirections (3&xx)",
            "The number that a 300, 301 or 302 names is dialled as if it had come in from here.",
            tab=OUTGOING,
            column=False,
        ),
    ] = False
    first_response_timeout: Annotated[
        int,
        Field(ge=1, le=32),
        Shown(
            "First respon&se within",
            "Without any answer for this long the next trunk is tried.",
            tab=OUTGOING,
            unit="s",
            column=False,
        ),
    ] = 5
    no_answer_timeout: Annotated[
        int,
        Field(ge=0, le=3600),
        Shown(
            "No-ans&wer time",
            "Ringing longer than this ends the attempt.",
            tab=OUTGOING,
            unit="s",
            zero="as in System",
            column=False,
        ),
    ] = 0
    max_calls_per_second: Annotated[
        int,
        Field(ge=0, le=10000),
        Shown(
            "Most calls per secon&d",
            "Beyond it the trunk counts as full.",
            tab=OUTGOING,
            unit="calls/s",
            zero="unlimited",
            column=False,
        ),
    ] = 0
    codecs: Annotated[
        Codecs,
        Shown(
            "Cod&ecs",
            "Only these, in this order, are offered (relayed calls).",
            tab=OUTGOING,
            blank="all",
            column=False,
        ),
    ] = ()
    max_incoming_calls: Annotated[
        int,
        Field(ge=0, le=100000),
        Shown(
            "Most &incoming calls",
            "At once; beyond it the caller gets 503.",
            tab=INCOMING,
            unit="calls",
            zero="no incoming calls",
        ),
    ] = 30
    max_external_calls_per_hour: Annotated[
        int,
        Field(ge=0, le=100000),
        Shown(
            "Most e&xternal calls per hour",
            "Of the calls that come in here, so many may go on to trunks and lines. Beyond it they are stopped for a "
            "while, with an alarm.",
            tab=INCOMING,
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
            "Talked within 24 hours in calls from here to trunks and lines. Beyond it new ones are stopped for a "
            "while, with an alarm.",
            tab=INCOMING,
            unit="min",
            zero="unlimited",
            column=False,
        ),
    ] = 0

    @field_validator("server_address")
    @classmethod
    def _server_required(cls, value: str) -> str:
        if not value:
            raise ValueError("is required: an IP address or a host name")
        return value

    def detail(self) -> str:
        return format_host_port(self.server_address, self.server_port)


class SipTrunk(OutgoingFields):
    """A peer that is trusted by its IP address."""

    table: ClassVar[str] = "sip_trunks"
    title: ClassVar[str] = "SIP trunk"
    plural: ClassVar[str] = "SIP trunk"
    introduction: ClassVar[str] = (
        "A SIP trunk joins this server with a carrier, a gateway or another server. It is known by its IP address: "
        "no account and no password."
    )

    trusted_networks: Annotated[
        Networks,
        Shown(
            "Trusted net&works",
            "Calls from these networks, too, come in through this trunk.",
            blank="the server only",
            column=False,
        ),
    ] = ()
    options_interval: Annotated[
        int,
        Field(ge=0, le=3600),
        Shown(
            "&OPTIONS interval",
            "Probe the server so often; a trunk known down is passed over.",
            unit="s",
            zero="off",
            column=False,
        ),
    ] = 0
    from_domain: Annotated[
        Host,
        Shown(
            "Domain in Fro&m",
            "For carriers that accept a caller only under a domain of theirs: it follows the number in From and in the "
            "caller ID headers.",
            tab=OUTGOING,
            blank="this server",
            example="carrier.example",
            column=False,
        ),
    ] = ""


class ExternalLine(OutgoingFields):
    """An account at a provider."""

    table: ClassVar[str] = "external_lines"
    title: ClassVar[str] = "external line"
    plural: ClassVar[str] = "External line"
    introduction: ClassVar[str] = (
        "An external line is an account at a provider: this server registers there with account and password, and its "
        "incoming calls ring a local user."
    )

    account: Annotated[
        HeaderText,
        Shown("&Account", "The number or name that the provider gave you.", required=True, example="4930123456"),
    ]
    password: Annotated[
        Secret, Shown("Pass&word", "The account's password.", blank="none", secret=True, column=False)
    ] = ""
    authorization_id: Annotated[
        HeaderText,
        Shown("Authori&zation ID", "User name for the digest, also as user@domain.", blank="the account", column=False),
    ] = ""
    domain: Annotated[
        Host,
        Shown("Do&main", "The provider's SIP domain, when it differs from the server.", blank="the server address"),
    ] = ""
    register_expires: Annotated[
        int,
        Field(ge=30, le=86400),
        Shown("Register every", "How long a registration is asked for.", unit="s", column=False),
    ] = 300
    local_user: Annotated[
        Number,
        Shown(
            "&Local user",
            "The number of the local user that this line's incoming calls ring.",
            tab=INCOMING,
            blank="by the dial plan",
        ),
    ] = ""
    shared: Annotated[bool, Shown("S&hared", "Other users may call out through this line, too.", tab=OUTGOING)] = True
    unified_caller_number: Annotated[
        Number,
        Shown(
            "Unified &caller number",
            "Outgoing calls show this number in From; providers mostly accept only the account.",
            tab=OUTGOING,
            blank="the account",
        ),
    ] = ""
    max_outgoing_calls: Annotated[
        int,
        Field(ge=0, le=100000),
        Shown(
            "Most &outgoing calls",
            "At once; beyond it the line counts as full.",
            tab=OUTGOING,
            unit="calls",
            zero="no outgoing calls",
        ),
    ] = 30

    @field_validator("account")
    @classmethod
    def _account_required(cls, value: str) -> str:
        if not value:
            raise ValueError("is required: the number or name that the provider gave you")
        return value

    def detail(self) -> str:
        return f"{self.account}@{self.domain or self.server_address}"
