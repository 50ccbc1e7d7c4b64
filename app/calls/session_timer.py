"""Session timers (RFC 4028): what two ends agree on, as pure functions over messages."""

from __future__ import annotations

from typing import NamedTuple

from app.sip.message import Request, Response, parse_seconds

MINIMUM = 90
"""RFC 4028 5: no session may be shorter, in seconds."""


class SessionTerms(NamedTuple):
    """What was agreed on for one leg."""

    expires: int
    """Seconds without a refresh after which the session is dead."""
    we_refresh: bool
    """Whether this server sends the refreshes."""

    @property
    def ends_in(self) -> float:
        """Seconds until the session is ended, should no refresh succeed.

        RFC 4028 10: a little early, by a third or 32 seconds, so that the BYE still finds a dialog.
        """
        return self.expires - min(32.0, self.expires / 3)


def _read(value: str | None) -> tuple[int, str] | None:
    """Session-Expires as (seconds, refresher)."""
    if value is None:
        return None
    seconds, _, parameters = value.partition(";")
    refresher = ""
    for parameter in parameters.split(";"):
        name, _, chosen = parameter.partition("=")
        if name.strip().lower() == "refresher":
            refresher = chosen.strip().lower()
    return parse_seconds(seconds), refresher


def supports_timer(message: Request | Response) -> bool:
    """Whether the peer says that it knows session timers."""
    words = f"{message.get('Supported') or ''},{message.get('Require') or ''}"
    return any(word.strip().lower() == "timer" for word in words.split(","))


def is_too_short(request: Request) -> bool:
    """Whether the peer asks for a shorter session than may be: the answer is 422 with Min-SE (RFC 4028 6)."""
    asked = _read(request.get("Session-Expires"))
    return asked is not None and asked[0] < MINIMUM and supports_timer(request)


def agree_as_server(request: Request, ours: int) -> tuple[SessionTerms | None, list[tuple[str, str]]]:
    """The terms for an INVITE or UPDATE of the peer's and the headers of our 2xx (RFC 4028 9). `ours` 0: none asked."""
    asked = _read(request.get("Session-Expires"))
    knows = supports_timer(request)
    if asked is None and not (ours and knows):
        # A peer without timers is not bothered with refreshes that it may not understand.
        return None, []
    least = parse_seconds(request.get("Min-SE") or str(MINIMUM))
    if asked is None:
        expires, refresher = max(ours, least, MINIMUM), ""
    else:
        expires, refresher = asked
        if ours:
            expires = min(expires, ours)
        expires = max(expires, least, MINIMUM)
    if not knows:
        # RFC 4028 9: a proxy put the header there and looks for it in the answer; only we can refresh.
        return SessionTerms(expires, True), [("Session-Expires", f"{expires};refresher=uas")]
    refresher = refresher if refresher in ("uac", "uas") else "uac"
    headers = [("Session-Expires", f"{expires};refresher={refresher}")]
    if refresher == "uac":
        headers.append(("Require", "timer"))
    return SessionTerms(expires, refresher == "uas"), headers


def offer_as_client(expires: int, least: int = MINIMUM, terms: SessionTerms | None = None) -> list[tuple[str, str]]:
    """The headers of our own INVITE or refresh (RFC 4028 7). A refresh keeps the roles of the `terms` (7.4)."""
    if not expires:
        return []
    value = str(max(expires, least))
    if terms is not None:
        value += f";refresher={'uac' if terms.we_refresh else 'uas'}"
    return [("Session-Expires", value), ("Min-SE", str(least))]


def agreed_as_client(response: Response) -> SessionTerms | None:
    """The terms that a 2xx to our INVITE or refresh brings; None: there are none (RFC 4028 7.2)."""
    given = _read(response.get("Session-Expires"))
    if given is None:
        return None
    expires, refresher = given
    return SessionTerms(max(expires, MINIMUM), refresher != "uas")


def asked_for(request: Request) -> int:
    """The seconds of a request's Session-Expires, 0 where there is none."""
    asked = _read(request.get("Session-Expires"))
    return 0 if asked is None else asked[0]


def wanted_minimum(response: Response) -> int:
    """The Min-SE of a 422 (RFC 4028 7.3)."""
    return max(MINIMUM, parse_seconds(response.get("Min-SE") or str(MINIMUM)))
