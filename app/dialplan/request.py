"""What the dial plan is asked: who calls, from which number, which number was dialled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SourceKind(StrEnum):
    """Who a call comes from."""

    SIP_TRUNK = "sip_trunk"
    EXTERNAL_LINE = "external_line"
    LOCAL_USER = "local_user"
    ADDRESS = "address"
    """A stranger, known by nothing but where the packet came from."""


_WORD_OF_KIND = {
    SourceKind.SIP_TRUNK: "trunk",
    SourceKind.EXTERNAL_LINE: "line",
    SourceKind.LOCAL_USER: "user",
    SourceKind.ADDRESS: "address",
}
_KIND_OF_WORD = {word: kind for kind, word in _WORD_OF_KIND.items()}


@dataclass(frozen=True, slots=True)
class Source:
    """Who calls, after authentication."""

    kind: SourceKind
    id: int = 0
    """The record's id of a trunk or line."""
    number: str = ""
    """The number of a local user."""
    address: str = ""
    """`192.0.2.1:5060` of a stranger."""

    @property
    def name(self) -> str:
        """As in call records: `trunk:1`, `line:1`, `user:100`, `address:192.0.2.1:5060`."""
        if self.kind is SourceKind.SIP_TRUNK:
            return f"trunk:{self.id}"
        if self.kind is SourceKind.EXTERNAL_LINE:
            return f"line:{self.id}"
        return f"user:{self.number}" if self.kind is SourceKind.LOCAL_USER else f"address:{self.address}"

    def __str__(self) -> str:
        return self.name

    @classmethod
    def trunk(cls, trunk_id: int) -> Source:
        """The source of a call that came in through a SIP trunk."""
        return cls(SourceKind.SIP_TRUNK, trunk_id)

    @classmethod
    def line(cls, line_id: int) -> Source:
        """The source of a call that came in through an external line."""
        return cls(SourceKind.EXTERNAL_LINE, line_id)

    @classmethod
    def user(cls, number: str) -> Source:
        """The source of a local user's call."""
        return cls(SourceKind.LOCAL_USER, number=number)

    @classmethod
    def stranger(cls, address: str) -> Source:
        """The source of a call from an address that nobody is known at."""
        return cls(SourceKind.ADDRESS, address=address)

    @classmethod
    def parse(cls, text: str) -> Source:
        """A source from its name. ValueError says in words what is wrong."""
        word, separator, value = text.strip().partition(":")
        kind = _KIND_OF_WORD.get(word.lower())
        value = value.strip()
        if kind is None or not separator or not value:
            raise ValueError(f"'{text}' is not a source: write trunk:1, line:1, user:100 or address:192.0.2.1:5060")
        if kind is SourceKind.LOCAL_USER:
            return cls(kind, number=value)
        if kind is SourceKind.ADDRESS:
            return cls(kind, address=value)
        if not (value.isascii() and value.isdigit()) or len(value) > 10 or int(value) < 1:
            raise ValueError(f"'{value}' in '{text}' is not the ID of a {kind.value.replace('_', ' ')}: write {word}:1")
        return cls(kind, int(value))


@dataclass(slots=True)
class CallRequest:
    """One call to decide about; treat it as immutable (made per call, and a frozen one costs more to make)."""

    source: Source
    caller_number: str
    called_number: str
    redirected: bool = False
    """The called side redirected the call (3xx) to `called_number`: limits were checked and the call is counted
    already, and the line's own local user is not rung once more."""
    draw: float = 0.0
    """0 <= draw < 1, drawn by the caller of `decide`: percentages and weights use it, so that `decide` has no chance
    in it."""
    at: datetime | None = None
    """The local time, for the business hours; without one the call counts as made within them."""
