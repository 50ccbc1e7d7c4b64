"""Words for values: times, spans, sources and targets as a person reads them."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from app.events import Alarm, worst_of
from app.records import Configuration
from ui.face import LookedUp

_NAME_TABLES = {"trunk": "sip_trunks", "line": "external_lines"}
_NAME_WORDS = {"trunk": "SIP trunk", "line": "line", "user": "user", "address": "address"}
_DIGITS = re.compile(r"(\d+)")


def duration(seconds: float) -> str:
    """`0:07`, `12:05`, `1:02:03`."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def time_of_day(wall: float) -> str:
    """A local time: `14:03:22` today, with its date on other days; blank for 0."""
    if not wall:
        return ""
    there = time.localtime(wall)
    today = time.strftime("%Y-%m-%d")
    day = time.strftime("%Y-%m-%d", there)
    return time.strftime("%H:%M:%S", there) if day == today else f"{day} {time.strftime('%H:%M:%S', there)}"


def full_time(wall: float) -> str:
    """A local time with its date and offset: `2025-11-22 14:03:22 +01:00`; blank for 0."""
    if not wall:
        return ""
    # By way of UTC: Windows refuses to find the offset of a naive local time of 1970, where a clock without battery is.
    written = datetime.fromtimestamp(wall, UTC).astimezone().isoformat(sep=" ", timespec="seconds")
    return f"{written[:-6]} {written[-6:]}"


def name_words(name: str, configuration: Configuration) -> str:
    """`trunk:2` as `SIP trunk 2 - Carrier B`, `user:100` as `100 - Reception`; what is unknown stays as it is."""
    kind, _, rest = name.partition(":")
    if kind == "user":
        user = configuration.users_by_number.get(rest)
        return user.caption() if user else rest
    if kind in _NAME_TABLES and rest.isdigit():
        record = configuration.find(_NAME_TABLES[kind], int(rest))
        words = record.description or record.detail() if record else "deleted"
        return f"{_NAME_WORDS[kind]} {rest} - {words}"
    return rest if kind == "address" else name


def natural_key(text: str) -> tuple[tuple[int, int | str], ...]:
    """Sorts texts with numbers in them as a person would: 9, 10, 100, a2, a10."""
    return tuple(
        (0, int(part)) if part.isdigit() and part.isascii() and len(part) < 64 else (1, part.casefold())
        for part in _DIGITS.split(text)
        if part
    )


def address_key(text: str) -> tuple[int, int, tuple[tuple[int, int | str], ...]]:
    """Sorts IP addresses and networks by their value, IPv4 before IPv6 before host names."""
    host, _, port = text.partition(" ")
    bare = host.strip("[]")
    try:
        network = ipaddress.ip_network(bare, strict=False)
    except ValueError:
        return (9, 0, natural_key(text))
    return (network.version, int(network.network_address), ((0, network.prefixlen), (1, port)))


def plural(count: int, one: str, many: str = "") -> str:
    """`1 call`, `3 calls`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def alarm_words(alarms: Sequence[Alarm]) -> str:
    """Several alarms as one message: the worst of them, and how many there are beside it."""
    others = f", {plural(len(alarms) - 1, 'other')}" if len(alarms) > 1 else ""
    return worst_of(alarms).text + others


def lookup_words(names: Iterable[LookedUp]) -> str:
    """What became of looking up host names: what failed is named, first."""
    found, failed = 0, []
    for each in names:
        if each.error:
            failed.append(f"{each.name}: {each.error}")
        else:
            found += 1
    good = plural(found, "host name")
    if not failed:
        return f"{good} looked up." if found else "No trunk or line has a host name: there is nothing to look up."
    more = f" (and {plural(len(failed) - 1, 'other name')})" if len(failed) > 1 else ""
    return f"Not looked up: {failed[0]}{more}." + (f" {good} looked up." if found else "")
