"""Requests that are refused while there is no time: by a first look at their bytes, and remembered for repetitions."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import NamedTuple

from app.sip.message import MAXIMUM_HEADERS
from app.sip.uri import MAGIC_COOKIE, UriError, Via

REMEMBERED_FOR = 8.0
"""Seconds: repetitions that were sent before the refusal arrived have come by then."""
MOST_REMEMBERED = 20_000
"""Beyond this many the oldest is forgotten, and a repetition of it is looked at like a new request."""

_COPIED = re.compile(r"\n(via|v|from|f|to|t|call-id|i|cseq)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
"""The headers that an answer copies (RFC 3261 8.2.6.2), in any spelling."""
_USUAL = frozenset(("Via", "From", "To", "Call-ID", "CSeq"))


class FirstLook(NamedTuple):
    """What the refusal of a request copies."""

    method: str
    via: Via
    """With the packet's source."""
    via_text: str
    from_: str
    to: str
    call_id: str
    cseq: str

    def refusal(self, tag: str, retry_after: int) -> bytes:
        """503 for an overload (RFC 3261 21.5.4)."""
        return (
            f"SIP/2.0 503 Service Unavailable\r\nVia: {self.via_text}\r\nFrom: {self.from_}\r\n"
            f"To: {self.to};tag={tag}\r\nCall-ID: {self.call_id}\r\nCSeq: {self.cseq}\r\n"
            f"Retry-After: {retry_after}\r\nContent-Length: 0\r\n\r\n"
        ).encode()


def first_look(data: bytes, host: str, port: int) -> FirstLook | None:
    """Look at a message from this address, which costs a quarter of reading it.

    None for what is no new request in the usual spelling that came by one hop: that has to be read.
    """
    try:
        head = data[: data.index(b"\r\n\r\n")].decode()
        found = _COPIED.findall(head)
        lines = {name: value.rstrip(" \t") for name, value in found}
        ends = head.count("\r\n")
        if len(found) != len(_USUAL) or lines.keys() != _USUAL or "\n " in head or "\n\t" in head:
            return None
        if ends != head.count("\r") or ends != head.count("\n") or ends > MAXIMUM_HEADERS:
            return None
        via_text = lines["Via"]
        via = Via.parse(via_text)
    except (ValueError, UriError):
        return None
    start = head[: head.find("\r")]
    method = start[: start.find(" ")]
    if not start.endswith(" SIP/2.0") or not lines["CSeq"].endswith(f" {method}") or "tag" in lines["To"].lower():
        return None
    branch = via.branch or ""
    if "," in via_text or not branch.startswith(MAGIC_COOKIE) or branch == MAGIC_COOKIE:
        return None
    answered = via.received_from(host, port)
    if answered is not via:
        via_text = str(answered)
    return FirstLook(method, answered, via_text, lines["From"], lines["To"], lines["Call-ID"], lines["CSeq"])


class TurnedAway:
    """Under overload the first copy of a request may be refused and a later one find room again.

    Its sender has given up by then, and a call would ring that nobody waits for. RFC 3261 8.2.7 wants the same answer
    for both, and nothing kept but what tells them apart.
    """

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[str, str], float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def add(self, host: str, branch: str | None, now: float) -> None:
        """A request with this branch, from this address, was refused."""
        if not branch:
            return
        known = self._until
        self._forget(now)
        known[host, branch] = now + REMEMBERED_FOR
        if len(known) > MOST_REMEMBERED:
            known.popitem(last=False)

    def has(self, host: str, branch: str | None, now: float) -> bool:
        """Whether it was refused a moment ago."""
        self._forget(now)
        return (host, branch) in self._until

    def _forget(self, now: float) -> None:
        known = self._until
        while known and known[next(iter(known))] <= now:
            known.popitem(last=False)
