"""Who calls, as a request says it and as a target is told it (RFC 3261, 3323, 3325, 5806; Remote-Party-ID)."""

from __future__ import annotations

from typing import NamedTuple

from app.errors import RemoteError
from app.sip.message import Request
from app.sip.uri import NameAddr, Uri, escape_user, quote_display_name

MAXIMUM_DIVERSIONS = 10
"""More Diversion entries than this are not passed on."""

_VISUAL_SEPARATORS = str.maketrans("", "", "-.() ")


class CallerIdentity(NamedTuple):
    """The caller as an incoming INVITE presents itself."""

    number: str
    display: str
    private: bool
    """The caller asked not to be shown (RFC 3323)."""
    diversions: tuple[str, ...] = ()
    """Diversion header values, newest first, as they came."""


def number_of(uri: Uri) -> str:
    """The number that a URI names: its user part without parameters; a tel number without visual separators."""
    if uri.scheme == "tel":
        return (uri.user or "").translate(_VISUAL_SEPARATORS)
    return uri.username.partition(";")[0]


def caller_of(request: Request, *, trusted: bool) -> CallerIdentity:
    """The caller of an INVITE. P-Asserted-Identity counts only from a trusted peer (RFC 3325 section 5)."""
    from_ = request.from_
    number = number_of(from_.uri) if from_.uri is not None else ""
    display = from_.display
    private = _wants_privacy(request) or _is_anonymous(from_)
    if trusted:
        asserted = _first_address(request, "P-Asserted-Identity")
        if asserted is not None and asserted.uri is not None and (_is_anonymous(from_) or not number):
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
    return uri is not None and (uri.host.lower() == "anonymous.invalid" or uri.username.lower() == "anonymous")


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
    """The caller identity headers that a target wants, beside From. `number` is the caller's number as sent."""
    if not names:
        return []
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
