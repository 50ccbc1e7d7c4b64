"""Why a peer refused a call, in words for the administrator, and with which status the other one is told."""

from __future__ import annotations

import re

from app.calls.challenges import realms_of
from app.errors import RemoteError
from app.media.sdp import audio_streams
from app.media.sdp import parse as session_description
from app.sip.message import Request, Response
from app.text import one_line

MAXIMUM_WORDS = 120
"""So many characters of a peer's own explanation are kept."""
MAXIMUM_VALUE = 1000
"""So much of a header is read."""
_WARNED = re.compile(r'\s*\d{3}\s+\S+\s+"((?:[^"\\]|\\.)*)"')
_CAUSE = re.compile(r"\s*([\w.]+)\s*(?:;.*)?;\s*cause\s*=\s*(\d{1,3})\b", re.IGNORECASE)
_TEXT = re.compile(r';\s*text\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;",\s]+))', re.IGNORECASE)
_PASSWORD_WANTED = (401, 407)
_MEDIA_REFUSED = (415, 488, 606)


def explanation(invite: Request, refusal: Response, *, has_password: bool, gave_it: bool) -> str:
    """What explains the refusal of an INVITE of ours beside its status; blank where nothing does.

    `has_password`: there is an account for this peer; `gave_it`: the peer was shown that we know its password.
    """
    if refusal.status in _PASSWORD_WANTED:
        advice = _about_password(refusal, has_password=has_password, gave_it=gave_it)
    else:
        advice = _advice(invite, refusal.status)
    parts = [*_own_words(refusal), advice]
    return "; ".join(dict.fromkeys(part for part in parts if part))


def _own_words(refusal: Response) -> list[str]:
    """The texts of its Warning (RFC 3261 20.43) and Reason (RFC 3326) headers, made harmless and short."""
    warnings = [_WARNED.match(value[:MAXIMUM_VALUE]) for value in refusal.get_all("Warning")[:2]]
    words = [_plain(warned[1]) for warned in warnings if warned is not None]
    for value in refusal.get_all("Reason")[:2]:
        text, cause = _TEXT.search(value[:MAXIMUM_VALUE]), _CAUSE.match(value[:MAXIMUM_VALUE])
        if text is not None:
            words.append(_plain(text[1] or text[2] or ""))
        elif cause is not None and cause[1].upper() != "SIP":
            words.append(_plain(f"{cause[1]} cause {cause[2]}"))
    return words


def _plain(text: str) -> str:
    return one_line(re.sub(r"\\(.)", r"\1", text), MAXIMUM_WORDS)


def _about_password(refusal: Response, *, has_password: bool, gave_it: bool) -> str:
    """Why a peer that asks for a password has not let us in."""
    if not has_password:
        return "it asks for an account and a password, which an external line has and a SIP trunk has not"
    if gave_it:
        return "it does not take the account or its password"
    realms = _plain(", ".join(sorted(realms_of(refusal))))
    return f"it gets no password: its realm {realms!r} is neither the line's domain nor known"


def _advice(invite: Request, status: int) -> str:
    """What of our INVITE the refusal is most likely about."""
    if status == 403:
        from_ = invite.from_.uri
        return f"the caller was sent as {from_}" if from_ is not None else ""
    if status in _MEDIA_REFUSED and invite.body:
        return _offered(invite.body)
    return ""


def _offered(body: bytes) -> str:
    try:
        streams = audio_streams(session_description(body))
    except RemoteError:
        return ""
    return "offered was " + ", or ".join(
        f"{', '.join(str(item) for item in stream.formats if item.is_speech) or 'no codec'} over {stream.protocol}"
        for stream in streams
    )


def passed_on(status: int) -> int:
    """The status that one peer is told when the other one answered this.

    Some answers ask the sender for something: credentials, another address, a longer time. The one whose request it
    was at first could not give that, and the headers that say what is missing are not for it (RFC 3261 21.4).
    """
    return _PASSED_ON.get(status, 480 if 300 <= status < 400 else status)


_PASSED_ON = {401: 403, 407: 403, 420: 500, 421: 500, 422: 500, 423: 500, 494: 500}
