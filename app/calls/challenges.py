"""Answers to the challenges that this server meets as a client (RFC 3261 22.2, 22.3)."""

from __future__ import annotations

from app.sip.auth import DigestClient, parse_challenges
from app.sip.dialog import Dialog
from app.sip.message import HeaderError, Request, Response


def _header_names(status: int) -> tuple[str, str]:
    """The header of the challenge and the one of the answer: 401 is from the server itself, 407 from a proxy."""
    if status == 407:
        return "Proxy-Authenticate", "Proxy-Authorization"
    return "WWW-Authenticate", "Authorization"


def realms_of(response: Response) -> frozenset[str]:
    """The realms, in lower case, that a 401 or 407 names."""
    asked, _ = _header_names(response.status)
    realms: set[str] = set()
    for value in response.get_all(asked):
        try:
            realms.update(challenge.realm.lower() for challenge in parse_challenges(value))
        except HeaderError:
            continue
    return frozenset(realms)


def is_stale(response: Response) -> bool:
    """Whether a 401 or 407 says that the password was right and only the nonce is too old (RFC 7616 3.3)."""
    values = response.get_all(_header_names(response.status)[0])
    return any("stale=true" in value.lower().replace(" ", "").replace('"', "") for value in values)


def answer_challenge(
    request: Request, response: Response, username: str, password: str, realms: frozenset[str] | None = None
) -> tuple[str, str] | None:
    """The header that answers a 401 or 407; None where there is nothing to answer.

    With `realms` (lower case) only these get a digest: a password must not help anybody else, however the request
    came to them.
    """
    asked, answered = _header_names(response.status)
    wanted = realms_of(response)
    if realms is not None:
        wanted &= realms
    for realm in sorted(wanted):
        value = DigestClient.answer(
            response.get_all(asked), request.method, request.uri_text, username, password, request.body, realm=realm
        )
        if value is not None:
            return answered, value
    return None


_CREDENTIALS = frozenset({"Authorization", "Proxy-Authorization"})
_MADE_ANEW = frozenset({"Via", "Max-Forwards", "Route", "From", "To", "Call-ID", "CSeq", "Content-Length"})


def credentials_of(request: Request) -> list[tuple[str, str]]:
    """The credentials that a request carries; its ACK repeats them (RFC 3261 22.1)."""
    return [header for header in request.headers if header[0] in _CREDENTIALS]


def with_credentials(dialog: Dialog, request: Request, header: tuple[str, str]) -> Request:
    """A request of the dialog once more, with the next number and this header (RFC 3261 22.2)."""
    kept = [each for each in request.headers if each[0] not in _MADE_ANEW]
    return dialog.create_request(request.method, [*kept, header], request.body)
