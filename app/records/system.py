"""The one system record: addresses, ports, defaults and bounds of the whole server."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from app.records.base import Record, Shown
from app.records.dial_plan import ZERO_TARGETS
from app.records.types import (
    MAX_ID,
    AudioFirst,
    AudioFirstChoice,
    BusinessHoursText,
    HeaderText,
    Host,
    IpAddress,
    MailAddress,
    MailAddresses,
    MailSecurity,
    MailSecurityChoice,
    Networks,
    Number,
    RouteType,
    Secret,
    UntrustedCalls,
    WebAddress,
    check_host,
)

Port = Annotated[int, Field(ge=0, le=65535)]


class System(Record):
    """Settings of the server itself."""

    table: ClassVar[str] = "system"
    title: ClassVar[str] = "System"
    plural: ClassVar[str] = "System"
    introduction: ClassVar[str] = "Where the server listens, what it tells its peers about itself, and its bounds."

    id: Annotated[int, Field(ge=1, le=1), Shown("ID", "There is one system record.", column=False)] = 1
    sip_address: Annotated[
        IpAddress,
        Shown(
            "&SIP address", "The address to listen on; 0.0.0.0 is every IPv4 address, :: every address.", required=True
        ),
    ] = "0.0.0.0"
    sip_udp_port: Annotated[Port, Shown("&UDP port", "SIP over UDP; phones and trunks use it most.", zero="off")] = 5060
    sip_tcp_port: Annotated[Port, Shown("&TCP port", "SIP over TCP, for large messages.", zero="off")] = 5060
    sip_tls_port: Annotated[Port, Shown("T&LS port", "SIP over TLS, encrypted.", zero="off")] = 5061
    domain: Annotated[
        Host,
        Shown("Do&main", "The SIP domain and digest realm of this server, if phones use one.", blank="the address"),
    ] = ""
    external_signalling_address: Annotated[
        Host,
        Shown(
            "External &signalling address",
            "Your public address, told in SIP to peers outside the local networks. Needed behind NAT.",
            tab="Network",
            blank="the local address",
        ),
    ] = ""
    external_media_address: Annotated[
        Host,
        Shown(
            "External &media address",
            "Your public address for audio, told in SDP to peers outside the local networks.",
            tab="Network",
            blank="the local address",
        ),
    ] = ""
    local_networks: Annotated[
        Networks,
        Shown(
            "L&ocal networks",
            "Peers in these networks are told the local address, all others the external one.",
            tab="Network",
            column=False,
        ),
    ] = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10")
    tls_certificate: Annotated[
        HeaderText,
        Shown(
            "TLS &certificate file",
            "A PEM file with your certificate.",
            tab="Network",
            blank="a self-made one",
            column=False,
        ),
    ] = ""
    tls_private_key: Annotated[
        HeaderText,
        Shown(
            "TLS private &key file",
            "The PEM file with its private key.",
            tab="Network",
            blank="a self-made one",
            column=False,
        ),
    ] = ""
    media_port_first: Annotated[
        int,
        Field(ge=1024, le=65534),
        Shown("&First media port", "Relayed audio uses the ports from here. Open them in the firewall.", tab="Media"),
    ] = 20000
    media_port_last: Annotated[
        int,
        Field(ge=1025, le=65535),
        Shown("&Last media port", "Relayed audio uses the ports up to here.", tab="Media"),
    ] = 29999
    media_processes: Annotated[
        int,
        Field(ge=0, le=16),
        Shown(
            "Media &processes", "Processes that forward relayed audio.", tab="Media", zero="forward in the main process"
        ),
    ] = 1
    audio_first: Annotated[
        AudioFirstChoice,
        Shown(
            "Audio &before other programs",
            "Relayed audio does not wait for what else this machine does, where the system allows it (Windows and Linux"
            " desktops do, other Linux for root). Costs up to a fifth more processor time.",
            tab="Media",
            column=False,
        ),
    ] = AudioFirst.WINDOW
    media_timeout: Annotated[
        int,
        Field(ge=0, le=86400),
        Shown(
            "Media &timeout",
            "A relayed call without any audio for this long is ended.",
            tab="Media",
            unit="s",
            zero="never",
        ),
    ] = 60
    outgroup_prefix: Annotated[
        Number,
        Shown(
            "&Out-group prefix",
            "A number that begins with it and matches no record goes out through an external line, without the prefix.",
            tab="Calls",
            blank="none",
        ),
    ] = "9"
    default_route_type: Annotated[
        RouteType, Shown("Default &route", "Where a number goes that no record matches.", tab="Calls", column=False)
    ] = RouteType.LOCAL_USER
    default_target_id: Annotated[
        int,
        Field(ge=0, le=MAX_ID),
        Shown(
            "Default &target",
            "The target of the default route.",
            tab="Calls",
            zero="the number itself",
            zero_each=ZERO_TARGETS,
            refers_by="default_route_type",
            refers_to_each={
                "sip_trunk": "sip_trunks",
                "external_line": "external_lines",
                "routing_group": "routing_groups",
            },
            column=False,
        ),
    ] = 0
    untrusted_calls: Annotated[
        UntrustedCalls, Shown("&Strangers' calls", "What an INVITE from an unknown source gets.", tab="Security")
    ] = UntrustedCalls.REJECT
    business_hours: Annotated[
        BusinessHoursText,
        Shown(
            "&Business hours",
            "By this machine's clock, as Mon-Fri 08:00-18:00, Sat 09:00-13:00. Called number records may ask for "
            "another call level outside them.",
            tab="Calls",
            blank="always",
            column=False,
        ),
    ] = ""
    session_expires: Annotated[
        int,
        Field(ge=0, le=86400),
        Shown(
            "Session &expires",
            "Calls are refreshed at half this time, so that dead ones end (RFC 4028).",
            tab="Calls",
            unit="s",
            zero="off",
        ),
    ] = 1800
    no_answer_timeout: Annotated[
        int,
        Field(ge=1, le=3600),
        Shown("&No-answer time", "A call that rings this long without an answer ends with 408.", tab="Calls", unit="s"),
    ] = 120
    max_call_seconds: Annotated[
        int,
        Field(ge=0, le=604800),
        Shown("Longest call", "A call is ended after this time.", tab="Calls", unit="s", zero="unlimited"),
    ] = 0
    max_calls: Annotated[
        int,
        Field(ge=1, le=100000),
        Shown("Most calls at once", "Beyond it a new call gets 503.", tab="Calls", unit="calls"),
    ] = 10000
    max_calls_per_second: Annotated[
        int,
        Field(ge=0, le=100000),
        Shown(
            "Most calls per second",
            "Beyond it a new call gets 503 with Retry-After.",
            tab="Calls",
            unit="calls/s",
            zero="unlimited",
        ),
    ] = 0
    register_expires_minimum: Annotated[
        int,
        Field(ge=10, le=86400),
        Shown("Shortest registration", "A phone that asks for less gets 423.", tab="Calls", unit="s", column=False),
    ] = 30
    register_expires_maximum: Annotated[
        int,
        Field(ge=60, le=604800),
        Shown("Longest registration", "A phone that asks for more gets this.", tab="Calls", unit="s", column=False),
    ] = 3600
    ban_failures: Annotated[
        int,
        Field(ge=0, le=1000),
        Shown(
            "Failures before a ban",
            "So many failed authentications within a minute ban an address.",
            tab="Security",
            zero="never ban",
        ),
    ] = 10
    ban_seconds: Annotated[
        int,
        Field(ge=1, le=2592000),
        Shown("Length of a ban", "How long a banned address is ignored.", tab="Security", unit="s"),
    ] = 3600
    max_messages_per_second: Annotated[
        int,
        Field(ge=0, le=1000000),
        Shown(
            "Most messages per second",
            "From one unknown address; more are dropped unread. Trunks are exempt.",
            tab="Security",
            unit="messages/s",
            zero="unlimited",
        ),
    ] = 200
    alarm_webhook: Annotated[
        WebAddress,
        Shown(
            "&Web address for alarms",
            "Every alarm, and its end, is posted there as JSON with a line of text, as chat programs take it.",
            tab="Alarms",
            blank="none",
            secret=True,
            column=False,
        ),
    ] = ""
    alarm_mail_to: Annotated[
        MailAddresses,
        Shown(
            "Mail alarms &to",
            "Who gets a mail for every alarm and its end; several alarms at once make one mail.",
            tab="Alarms",
            blank="nobody",
            column=False,
        ),
    ] = ()
    alarm_mail_from: Annotated[
        MailAddress,
        Shown("Mail &from", "The sender of these mails.", tab="Alarms", blank="the first recipient", column=False),
    ] = ""
    mail_server: Annotated[
        Host, Shown("Mail &server", "The SMTP server that takes the mails.", tab="Alarms", blank="none", column=False)
    ] = ""
    mail_port: Annotated[
        int,
        Field(ge=1, le=65535),
        Shown("Mail &port", "587 with STARTTLS, 465 with TLS, 25 without.", tab="Alarms", column=False),
    ] = 587
    mail_security: Annotated[
        MailSecurityChoice,
        Shown("Mail se&curity", "How the connection to the mail server is protected.", tab="Alarms", column=False),
    ] = MailSecurity.STARTTLS
    mail_user: Annotated[
        HeaderText,
        Shown("Mail &user", "The name to log in with.", tab="Alarms", blank="no login", column=False),
    ] = ""
    mail_password: Annotated[
        Secret,
        Shown("Mail passwor&d", "Its password.", tab="Alarms", blank="none", secret=True, column=False),
    ] = ""
    call_record_days: Annotated[
        int,
        Field(ge=0, le=36500),
        Shown("Keep call records", "Older call records are deleted.", tab="Calls", unit="days", zero="for ever"),
    ] = 365

    @field_validator("domain", mode="before")
    @classmethod
    def _domain(cls, value: Any) -> Any:
        return check_host(value) if isinstance(value, str) and value.strip() else value

    @field_validator("sip_address")
    @classmethod
    def _listen_somewhere(cls, value: str) -> str:
        if not value:
            raise ValueError("must not be blank; 0.0.0.0 is every address")
        return value

    @model_validator(mode="after")
    def _media_range(self) -> System:
        if self.media_port_last - self.media_port_first < 3:
            raise ValueError("media_port_last: must be at least 3 above the first media port")
        return self

    @model_validator(mode="after")
    def _mail_has_a_server(self) -> System:
        if self.alarm_mail_to and not self.mail_server:
            raise ValueError("mail_server: must be filled in when alarms are mailed")
        return self

    def detail(self) -> str:
        return f"{self.sip_address}:{self.sip_udp_port}"
