"""Cutting a TCP or TLS stream into SIP messages and keep-alives, within bounds (RFC 3261 18.3, RFC 5626 3.5.1)."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TypeAlias

from app.errors import RemoteError
from app.sip.message import MAXIMUM_BODY_BYTES

MAXIMUM_STREAM_HEADER_BYTES = 32768
"""A start line and header section that is longer ends the stream: every idle connection may hold that much."""

_CONTENT_LENGTH = re.compile(rb"\n(?:content-length|l)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)")
_CONTENT_TYPE = re.compile(rb"\n(?:content-type|c)[ \t]*:")
_FIRST_BYTE = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~]")


class KeepAlive(Enum):
    """The keep-alives of RFC 5626 3.5.1."""

    PING = auto()
    """A double CRLF: to be answered with a single one."""
    PONG = auto()
    """A single CRLF: the answer to our ping, or the harmless space between two messages."""


class FramingError(RemoteError):
    """The stream cannot be cut any further: send what there is to answer, then close the connection."""


FramedItem: TypeAlias = bytes | KeepAlive | FramingError


class StreamFramer:
    """Cuts one direction of one connection. Holds at most one incomplete message.

    After a FramingError the framer takes nothing more. When the length of a message cannot be known (RFC 4475: ncl,
    mcl01) or is too large, its header section comes out as a message by itself, so that the checks of the request
    answer it, and the FramingError follows.
    """

    __slots__ = (
        "_after_crlf",
        "_buffer",
        "_failed",
        "_first_line_is_good",
        "_maximum_body",
        "_maximum_header",
        "_needed",
        "_searched",
    )

    def __init__(
        self, maximum_header: int = MAXIMUM_STREAM_HEADER_BYTES, maximum_body: int = MAXIMUM_BODY_BYTES
    ) -> None:
        self._buffer = bytearray()
        self._maximum_header = maximum_header
        self._maximum_body = maximum_body
        self._searched = 0
        """Where the search for the end of the headers goes on, so that slow senders cost no more than fast ones."""
        self._needed = 0
        """How many bytes the message has, 0 while its header section is not complete."""
        self._first_line_is_good = False
        self._failed = False
        self._after_crlf = False
        """Whether the last thing seen was half of a ping."""

    @property
    def pending(self) -> int:
        """How many bytes of an incomplete message are held; a deadline belongs on any connection with some."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[FramedItem]:
        """Take what was received and return what is complete, in order; never more than one PING and one PONG."""
        items: list[FramedItem] = []
        if self._failed:
            return items
        buffer = self._buffer
        buffer += data
        while buffer and not self._failed:
            if self._needed == 0:
                if buffer[0] in b"\r\n":
                    if not self._take_line_ends(items):
                        break
                    continue
                self._after_crlf = False
                if not self._find_length(items):
                    break
            if len(buffer) < self._needed:
                break
            self._cut(self._needed, items)
        return items

    def finish(self) -> list[FramedItem]:
        """The stream ended or its deadline passed: what is held comes out as it is, followed by a FramingError.

        A request that was cut off is refused with 400 by its checks, which is the last thing to send on the
        connection. Nothing comes out when no message was begun, the error alone when not even its first line ended.
        """
        items: list[FramedItem] = []
        if self._buffer and not self._failed and self._buffer.strip(b"\r\n"):
            if self._first_line_is_good:
                items.append(bytes(self._buffer))
            self._fail(items, 400, "the stream ended inside a message")
        return items

    def _cut(self, end: int, items: list[FramedItem]) -> None:
        """Take a message off the front."""
        items.append(bytes(self._buffer[:end]))
        del self._buffer[:end]
        self._needed = self._searched = 0
        self._first_line_is_good = False

    def _fail(self, items: list[FramedItem], status: int, detail: str) -> None:
        """Give the stream up."""
        self._failed = True
        self._buffer.clear()
        items.append(FramingError(status, "Bad Stream", detail))

    def _take_line_ends(self, items: list[FramedItem]) -> bool:
        """Take CR and LF off the front and note the keep-alives in them; False when a CR waits for its LF."""
        buffer = self._buffer
        rest = buffer.lstrip(b"\r\n")
        taken = bytes(buffer[: len(buffer) - len(rest)])
        wait = not rest and taken.endswith(b"\r")
        if wait:
            taken = taken[:-1]
        del buffer[: len(taken)]
        pairs = taken.count(b"\r\n") + (1 if self._after_crlf else 0)
        if pairs >= 2 and KeepAlive.PING not in items:
            items.append(KeepAlive.PING)
        elif pairs == 1 and not self._after_crlf and KeepAlive.PONG not in items:
            items.append(KeepAlive.PONG)
        self._after_crlf = pairs % 2 == 1
        return not wait

    def _find_length(self, items: list[FramedItem]) -> bool:
        """Find out where the message at the front ends; False when that is not known yet or the stream failed."""
        buffer = self._buffer
        if not self._first_line_is_good:
            if not self._begins_like_sip():
                self._fail(items, 400, "what was received is not SIP")
                return False
            self._first_line_is_good = buffer.find(b"\n", self._searched) >= 0
        start = max(self._searched - 2, 0)
        end = buffer.find(b"\n\r\n", start)
        bare = buffer.find(b"\n\n", start, end + 1 if end >= 0 else len(buffer))
        end = bare + 2 if bare >= 0 else end + 3 if end >= 0 else 0
        if (end or len(buffer)) > self._maximum_header:
            self._fail(items, 513, f"the headers have more than {self._maximum_header} bytes")
            return False
        if end == 0:
            self._searched = len(buffer)
            return False
        return self._measure(end, items)

    def _begins_like_sip(self) -> bool:
        """Whether the first line may belong to a SIP message; a line that has not ended yet may."""
        if self._searched == 0 and _FIRST_BYTE.match(self._buffer) is None:
            return False
        end = self._buffer.find(b"\n", self._searched)
        return end < 0 or b"SIP/" in self._buffer[:end].upper()

    def _measure(self, end: int, items: list[FramedItem]) -> bool:
        """Read Content-Length of the header section before `end`; False when the stream failed on it."""
        head = bytes(self._buffer[:end]).lower()
        lengths = _CONTENT_LENGTH.findall(head)
        if not lengths:
            # RFC 3261 20.14 wants one. Old peers (RFC 4475 3.4.1) leave it out: then what has come is the body.
            self._needed = len(self._buffer) if _CONTENT_TYPE.search(head) else end
            return True
        text = lengths[0].strip(b" \t\r\n")
        problem = ""
        if len(lengths) > 1:
            problem = "there is more than one Content-Length"
        elif not text.isdigit() or len(text) > 10:
            problem = "Content-Length is not a number of bytes"
        elif int(text) > self._maximum_body:
            problem = f"the body has more than {self._maximum_body} bytes"
        if problem:
            self._cut(end, items)
            self._fail(items, 400, problem)
            return False
        self._needed = end + int(text)
        return True
