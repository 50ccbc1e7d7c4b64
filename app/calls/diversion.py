"""Where a phone or a provider sends a request elsewhere, and why, in the words of RFC 5806."""

from __future__ import annotations

import re

from app.calls.identity import LONGEST_NUMBER, number_of
from app.calls.leg_events import Redirected
from app.errors import RemoteError
from app.sip.message import Response
from app.sip.uri import NameAddr, Uri, UriError

MAXIMUM_CONTACTS = 5
"""More places than these are not read."""
UNCONDITIONAL = "unconditional"
NO_ANSWER = "no-answer"
_WORDS = frozenset(
    (
        *("unknown", "user-busy", NO_ANSWER, "unavailable", UNCONDITIONAL, "time-of-day", "do-not-disturb"),
        *("deflection", "follow-me", "out-of-service", "away"),
    )
)
"""The reasons that RFC 5806 names; a phone's own invention is not passed on."""
_OF_STATUS = {
    302: UNCONDITIONAL,
    404: "unknown",
    408: NO_ANSWER,
    480: "deflection",
    486: "user-busy",
    487: "deflection",
    503: "unavailable",
    600: "user-busy",
}
"""RFC 4458 2.1 and RFC 7544 10: what a `cause` that is a SIP status stands for."""
_OF_Q850 = {17: "user-busy", 18: NO_ANSWER, 19: NO_ANSWER, 20: "unavailable", 27: "out-of-service"}
_Q = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_REASON = re.compile(r"\s*(SIP|Q\.850)\s*;(?:[^,]*;)?\s*cause\s*=\s*(\d{1,3})\b", re.IGNORECASE)


def diversion_reason(response: Response, *, rang: bool) -> str:
    """The reason of the Diversion for a phone's 3xx.

    The phone's own words come first: its Diversion (RFC 5806), the `cause` of its Contact (RFC 4458), its Reason (RFC
    3326). One that says nothing and rang before was not answered; one that did not ring forwards every call.
    """
    return _said(response) or (NO_ANSWER if rang else UNCONDITIONAL)


def _said(response: Response) -> str:
    try:
        for value in response.values("Diversion")[:1]:
            word = (NameAddr.parse(value).params.get("reason") or "").strip('"').lower()
            if word in _WORDS:
                return word
        contacts = _by_likelihood(response)
    except RemoteError:
        return ""
    uri: Uri | None = contacts[0].uri if contacts else None
    cause = (uri.params.get("cause") or "") if uri is not None and uri.is_sip else ""
    if cause.isascii() and cause.isdecimal() and len(cause) == 3:
        return _OF_STATUS.get(int(cause), "unknown")
    found = _REASON.match(response.get("Reason") or "")
    if found is None:
        return ""
    table = _OF_STATUS if found[1].upper() == "SIP" else _OF_Q850
    return table.get(int(found[2]), "")


def redirected_to(response: Response) -> tuple[str, ...]:
    """Where a 3xx says that the called side is, the likeliest first; nothing where that cannot be read."""
    try:
        return tuple(str(contact.uri) for contact in _by_likelihood(response)[:MAXIMUM_CONTACTS])
    except RemoteError:
        return ()


def _by_likelihood(response: Response) -> list[NameAddr]:
    """RFC 3261 8.1.3.4: the Contacts by their q, highest first, those of the same q as they came. RemoteError."""
    return sorted((contact for contact in response.contacts if contact.uri is not None), key=_likelihood, reverse=True)


def _likelihood(contact: NameAddr) -> float:
    """RFC 3261 25.1: q is 0 to 1 with three decimals; one that is not, or none, says no less than the others."""
    text = contact.params.get("q") or ""
    return float(text) if _Q.fullmatch(text) else 1.0


def number_redirected_to(redirected: Redirected) -> str:
    """The number to call instead first; blank where that names none, or a 3xx wants something else of us.

    305 names a proxy, and 380 another service (RFC 3261 21.3.4 and 21.3.5).
    """
    if redirected.status not in (300, 301, 302) or not redirected.contacts:
        return ""
    try:
        number = number_of(Uri.parse(redirected.contacts[0]))
    except UriError:
        return ""
    return number if len(number) <= LONGEST_NUMBER else ""
