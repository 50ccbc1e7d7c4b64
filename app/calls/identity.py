"""Who calls, as a request says it and as a target is told it (RFC 3261, 3323, 3325, 5806; Remote-Party-ID)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from app.errors import RemoteError
from app.sip.message import Request
from app.sip.uri import NameAddr, Uri, escape_user, quote_display_name

MAXIMUM_DIVERSIONS = 10
"""More Diversion entries than this are not passed on."""

ANONYMOUS = "anonymous"
"""The user part of a From that names nobody."""
_NOBODY = frozenset({"anonymous.invalid", "unknown.invalid"})
"""The hosts of one (RFC 3323 4.1.1.3; 3GPP TS 24.229 for `unavailable@unknown.invalid`)."""
_VISUAL_SEPARATORS = str.maketrans("", "", "-.() /")
_PLAIN = frozenset("0123456789*#-.")
"""What numbers of local users may be made of."""
_AS_PEOPLE_WRITE = frozenset("0123456789+*#-.() /")


class CallerIdentity(NamedTuple):
    """The caller as an incoming INVITE presents itself."""

    number: str
    display: str
    private: bool
    """The caller asked not to be shown (RFC 3323)."""
    diversions: tuple[str, ...] = ()
    """Diversion header values, newest first, as they came."""
    referred_by: str = ""
    """The number of the local user who has transferred the caller to the target; blank for nobody."""


LONGEST_NUMBER = 128
"""A number with more characters than this, where a peer sends a call elsewhere, is none: it would stand in every word
about the call."""


def number_of(uri: Uri) -> str:
    """The number that a URI names: its user part without parameters; a tel number without visual separators."""
    if uri.scheme == "tel":
        return (uri.user or "").translate(_VISUAL_SEPARATORS)
    user = uri.username.partition(";")[0]
    if user.isdecimal():
        return user
    # RFC 3261 19.1.1: user=phone says that the user part is written as in a tel URI. What is dialled out of an address
    # book may be written as people do without saying so: +49 (30) 1234, which no target would understand.
    written = uri.params.get("user") == "phone" or (_AS_PEOPLE_WRITE.issuperset(user) and not _PLAIN.issuperset(user))
    return user.translate(_VISUAL_SEPARATORS) if written else user


def called_by(request: Request) -> Iterator[str]:
    """Whom a request calls, the likeliest first; some providers put the account elsewhere than into the Request-URI."""
    yield request.uri.username
    called = _first_address(request, "P-Called-Party-ID")
    for uri in (called.uri if called is not None else None, request.to.uri):
        if uri is not None:
            yield number_of(uri)


def caller_of(request: Request, *, trusted: bool) -> CallerIdentity:
    """The caller of an INVITE.

    P-Asserted-Identity, and Remote-Party-ID of older gateways, count only from a trusted peer (RFC 3325 section 5).
    """
    from_ = request.from_
    number = number_of(from_.uri) if from_.uri is not None else ""
    display = from_.display
    party = _first_address(request, "Remote-Party-ID")
    anonymous = _is_anonymous(from_)
    private = anonymous or _wants_privacy(request)
    private = private or (party is not None and party.params.get("privacy") in ("full", "uri"))
    if trusted and (anonymous or not number):
        asserted = _first_address(request, "P-Asserted-Identity") or party
        if asserted is not None and asserted.uri is not None:
            number = number_of(asserted.uri)
            display = asserted.display
    return CallerIdentity(number, display, private, tuple(request.values("Diversion")[:MAXIMUM_DIVERSIONS]))


def _wants_privacy(request: Request) -> bool:
    value = request.get("Privacy")
    if value is None:
        return False
    wishes = {wish.strip().lower() for wish in value.replace(",", ";").split(";")}
    return bool(wishes & {"id", "user", "header"})


def _is_anonymous(address: NameAddr) -> bool:
    uri = address.uri
    return uri is not None and (uri.host.lower() in _NOBODY or uri.username.lower() == ANONYMOUS)


def _first_address(request: Request, name: str) -> NameAddr | None:
    for value in request.values(name):
        try:
            return NameAddr.parse(value)
        except RemoteError:
            # A broken identity header is as good as none; the call itself is fine.
            return None
    return None


def identity_headers(
    names: tuple[str, ...], caller: CallerIdentity, number: str, display: str, host: str
) -> list[tuple[str, str]]:
    """The caller identity headers that a target wants, beside From. `number` is the caller's number as sent.

    `host` is that of From, which is where the target knows the number.
    """
    if not names:
        return []
    if number.lower() == ANONYMOUS:
        number = ""
    address = f"<sip:{escape_user(number)}@{host}>"
    if display:
        address = f"{quote_display_name(display)} {address}"
    headers: list[tuple[str, str]] = []
    for name in names:
        if name in ("P-Asserted-Identity", "P-Preferred-Identity"):
            # RFC 3325 section 9.1: an asserted identity goes to a trusted peer even when the caller is private, but
            # then only together with the wish for privacy.
            if number and (not caller.private or "Privacy" in names):
                headers.append((name, address))
        elif name == "Remote-Party-ID":
            privacy = "full" if caller.private else "off"
            if number:
                headers.append((name, f"{address};party=calling;screen=yes;privacy={privacy}"))
        elif name == "Privacy":
            if caller.private:
                headers.append((name, "id"))
        elif name == "Diversion":
            headers.extend((name, value) for value in caller.diversions)
    return headers
