"""The kinds of value that records hold: choices with their words, and checked texts (addresses, networks, digits)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from app.hosts import unbracketed
from app.records.business_hours import BusinessHours

MAX_ID = 2**31 - 1
"""The highest id, and the highest whole number that any field can hold: what every database has room for."""


class Transport(StrEnum):
    """How SIP travels."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class RelayMedia(StrEnum):
    """Whether audio flows through this server."""

    NO = "no"
    YES = "yes"
    AUTO = "auto"


class EarlyMedia(StrEnum):
    """What a caller hears before the answer."""

    PASS = "pass"
    RINGING = "ringing"


class RouteType(StrEnum):
    """What a called number leads to."""

    LOCAL_USER = "local_user"
    EXTERNAL_LINE = "external_line"
    SIP_TRUNK = "sip_trunk"
    ROUTING_GROUP = "routing_group"


class GroupStrategy(StrEnum):
    """In which order the members of a routing group are tried."""

    PRIORITY = "priority"
    ROUND_ROBIN = "round_robin"
    WEIGHTED = "weighted"
    LEAST_BUSY = "least_busy"


class TransitionType(StrEnum):
    """What a number transition does to the number."""

    REPLACE = "replace"
    INSERT = "insert"
    DELETE = "delete"


class AddressAction(StrEnum):
    """What an address list does with a packet."""

    ACCEPT = "accept"
    DROP = "drop"


class MailSecurity(StrEnum):
    """How mail travels to its server."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class AudioFirst(StrEnum):
    """When relayed audio goes before the other programs of this machine."""

    WINDOW = "window"
    ALWAYS = "always"
    NEVER = "never"


class UntrustedCalls(StrEnum):
    """What a stranger's INVITE gets."""

    REJECT = "reject"
    DROP = "drop"


CHOICE_WORDS: dict[StrEnum, str] = {
    Transport.UDP: "UDP",
    Transport.TCP: "TCP",
    Transport.TLS: "TLS",
    RelayMedia.NO: "no - audio flows directly",
    RelayMedia.YES: "yes - audio flows through this server",
    RelayMedia.AUTO: "auto - only when needed",
    EarlyMedia.PASS: "pass - what the other side plays",
    EarlyMedia.RINGING: "ringing - the phone's own tone (183 becomes 180)",
    RouteType.LOCAL_USER: "local user",
    RouteType.EXTERNAL_LINE: "external line",
    RouteType.SIP_TRUNK: "SIP trunk",
    RouteType.ROUTING_GROUP: "routing group",
    GroupStrategy.PRIORITY: "priority - lowest number first",
    GroupStrategy.ROUND_ROBIN: "round robin - in turn",
    GroupStrategy.WEIGHTED: "weighted - by share",
    GroupStrategy.LEAST_BUSY: "least busy - fewest calls first",
    TransitionType.REPLACE: "replace digits",
    TransitionType.INSERT: "insert digits",
    TransitionType.DELETE: "delete digits",
    AddressAction.ACCEPT: "accept",
    AddressAction.DROP: "drop silently",
    UntrustedCalls.REJECT: "reject with 403",
    UntrustedCalls.DROP: "drop silently",
    AudioFirst.WINDOW: "beside the window",
    AudioFirst.ALWAYS: "always, also without a window",
    AudioFirst.NEVER: "never",
    MailSecurity.STARTTLS: "STARTTLS - encrypted from the second word on",
    MailSecurity.TLS: "TLS - encrypted from the start",
    MailSecurity.NONE: "none - readable on the way",
}
"""The words that a person reads for each choice."""

_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)
_DIALLED = re.compile(r"[0-9A-Za-z+*#._-]*")
_ALL_DIGITS_AND_DOTS = re.compile(r"[0-9.]+")


def check_ip_address(text: str) -> str:
    """An IPv4 or IPv6 address in its usual spelling; brackets around IPv6 are taken off."""
    try:
        return str(ipaddress.ip_address(unbracketed(text.strip())))
    except ValueError:
        raise ValueError(f"'{text}' is not an IP address") from None


def check_host(text: str) -> str:
    """An IP address or a host name."""
    bare = text.strip()
    if bare.count(":") == 1:
        raise ValueError(f"'{text}' must be an address or a host name alone, without a port or sip:")
    if ":" in bare or bare.startswith("["):
        return check_ip_address(bare)
    if _ALL_DIGITS_AND_DOTS.fullmatch(bare):
        return check_ip_address(bare)
    if not _HOST_NAME.fullmatch(bare):
        raise ValueError(f"'{text}' is neither an IP address nor a host name")
    return bare.rstrip(".").lower()


def check_network(text: str) -> str:
    """A network in CIDR form, or a single address."""
    if not text.strip():
        raise ValueError("is required: an address or a network such as 192.0.2.0/24")
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"'{text}' is not a network such as 192.0.2.0/24") from None
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def check_number(text: str) -> str:
    """What can be dialled: digits, letters and + * # . _ -"""
    bare = text.strip()
    if not _DIALLED.fullmatch(bare):
        raise ValueError(f"'{text}' may hold only digits, letters and + * # . _ -")
    return bare


def check_header_text(text: str) -> str:
    """Text that goes into a SIP header: no control characters, so that nothing can be smuggled in."""
    bare = text.strip()
    if any(ord(character) < 32 or ord(character) == 127 for character in bare):
        raise ValueError("must not hold line breaks or control characters")
    return bare


def check_secret(text: str) -> str:
    """A password: kept as it is typed, blanks included, but without control characters."""
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("must not hold line breaks or control characters")
    return text


def check_uri_parameters(text: str) -> str:
    """Request-URI parameters such as `user=phone;tgrp=7`; a leading semicolon is taken off."""
    bare = check_header_text(text).lstrip(";").rstrip(";")
    if not re.fullmatch(r"[A-Za-z0-9\-_.!~*'()\[\]/:&+$%=;]*", bare):
        raise ValueError(f"'{text}' is not a list of URI parameters such as user=phone")
    return bare


def check_web_address(text: str) -> str:
    """`https://host/path`, as a program posts to it."""
    bare = check_header_text(text)
    try:
        parts = urlsplit(bare)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in bare
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("must be a web address such as https://chat.example.com/hooks/alarms")
    return bare


def check_mail_address(text: str) -> str:
    """`name@host`, without a display name."""
    if not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", text):
        raise ValueError(f"'{text}' is not a mail address such as admin@example.com")
    return text


def _split(value: Any) -> Any:
    """A comma, semicolon, space or line separated text becomes a list, as a person types it in a form."""
    if isinstance(value, str):
        return tuple(part for part in re.split(r"[,;\s]+", value) if part)
    return value


def _expand_statuses(value: Any) -> Any:
    """`408, 500-504` becomes 408, 500, 501, 502, 503, 504."""
    value = _split(value)
    if not isinstance(value, Iterable):
        return value
    statuses: list[Any] = []
    for item in value:
        span = re.fullmatch(r"(\d{3})-(\d{3})", item.strip()) if isinstance(item, str) else None
        if span:
            statuses.extend(range(int(span[1]), int(span[2]) + 1))
        else:
            statuses.append(item)
    return tuple(statuses)


def _check_statuses(statuses: tuple[int, ...]) -> tuple[int, ...]:
    for status in statuses:
        if not 300 <= status <= 699:
            raise ValueError(f"{status} is not a final failure status (300 to 699)")
    return tuple(sorted(set(statuses)))


def _yes_or_no(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.strip().lower() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _stripped(value: Any) -> Any:
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else value


CALLER_ID_HEADERS = ("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Privacy", "Diversion")
"""The headers beside From that can tell a peer who calls (RFC 3325, RFC 3323, RFC 5806)."""


def _check_caller_id_headers(names: tuple[str, ...]) -> tuple[str, ...]:
    known = {name.lower(): name for name in CALLER_ID_HEADERS}
    result: list[str] = []
    for name in names:
        canonical = known.get(name.strip().lower().replace("_", "-"))
        if canonical is None:
            raise ValueError(f"'{name}' is not one of {', '.join(CALLER_ID_HEADERS)}")
        if canonical not in result:
            result.append(canonical)
    return tuple(result)


def _check_codecs(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,32}(/[0-9]{1,6}(/[0-9])?)?", name):
            raise ValueError(f"'{name}' is not a codec name such as PCMA")
    return tuple(dict.fromkeys(names))


IpAddress = Annotated[
    str, BeforeValidator(_stripped), AfterValidator(lambda text: check_ip_address(text) if text else "")
]
"""An IP address, or blank."""
Host = Annotated[str, BeforeValidator(_stripped), AfterValidator(lambda text: check_host(text) if text else "")]
"""An IP address or host name, or blank."""
Network = Annotated[str, BeforeValidator(_stripped), AfterValidator(check_network)]
"""A network in CIDR form."""
Networks = Annotated[tuple[Network, ...], BeforeValidator(_split)]
"""Several networks."""
Number = Annotated[str, BeforeValidator(_stripped), AfterValidator(check_number)]
"""A number or prefix as it is dialled, or blank."""
HeaderText = Annotated[str, BeforeValidator(_stripped), AfterValidator(check_header_text)]
"""One line of text."""
Secret = Annotated[str, AfterValidator(check_secret)]
"""A password, or blank."""
UriParameters = Annotated[str, BeforeValidator(_stripped), AfterValidator(check_uri_parameters)]
"""URI parameters, or blank."""
Statuses = Annotated[tuple[int, ...], BeforeValidator(_expand_statuses), AfterValidator(_check_statuses)]
"""SIP response statuses."""
Levels = Annotated[tuple[int, ...], BeforeValidator(_split)]
"""Call levels."""
BusinessHoursText = Annotated[
    str,
    BeforeValidator(_stripped),
    AfterValidator(check_header_text),
    AfterValidator(lambda text: BusinessHours(text).text),
]
"""Times of the week, or blank."""
Codecs = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_check_codecs)]
"""Codec names in order of preference."""
CallerIdHeaders = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_check_caller_id_headers)]
"""Names of caller identity headers."""
WebAddress = Annotated[
    str, BeforeValidator(_stripped), AfterValidator(lambda text: check_web_address(text) if text else "")
]
"""A web address to post to, or blank."""
MailAddress = Annotated[
    str, BeforeValidator(_stripped), AfterValidator(lambda text: check_mail_address(text) if text else "")
]
"""A mail address, or blank."""
MailAddresses = Annotated[tuple[MailAddress, ...], BeforeValidator(_split)]
"""Several mail addresses."""
AudioFirstChoice = Annotated[AudioFirst, BeforeValidator(_lower)]
MailSecurityChoice = Annotated[MailSecurity, BeforeValidator(_lower)]
RelayMediaChoice = Annotated[RelayMedia, BeforeValidator(_yes_or_no)]
EarlyMediaChoice = Annotated[EarlyMedia, BeforeValidator(_lower)]
TransportChoice = Annotated[Transport, BeforeValidator(_lower)]
