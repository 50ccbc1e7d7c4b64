"""SIP requests and responses: a tolerant, fast parse, typed views that are read when asked for, and serialisation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from app.errors import RemoteError
from app.sip.headers import KNOWN_NAMES, REASONS, SPELLINGS, NotAHeaderName, canonical_name
from app.sip.uri import CSeq, NameAddr, Uri, UriError, Via, split_list

__all__ = ["REASONS", "HeaderError", "Message", "MessageError", "Request", "Response", "canonical_name", "parse"]

Header: TypeAlias = tuple[str, str]

MAXIMUM_HEADERS = 256
"""A message with more header lines is not parsed at all (MessageError 400)."""
MAXIMUM_HEADER_BYTES = 65536
"""A longer start line and header section is not parsed at all (MessageError 513)."""
MAXIMUM_VALUES = 70
"""More Via, Contact, Route or Record-Route values than this in one message are refused (HeaderError)."""
MAXIMUM_BODY_BYTES = 65536
"""A stream with a longer body is given up (413)."""
STRAY_LINE = "a header line has no name and colon"
"""The defect that is no reason to drop a response."""
SIP_VERSION = "SIP/2.0"

_FOLD = re.compile(r"\n[ \t]+")
_STATUS_LINE = re.compile(r"[Ss][Ii][Pp]/([0-9]+\.[0-9]+)[ \t]+([1-6][0-9][0-9])(?:[ \t]+(.*))?[ \t]*", re.DOTALL)
_COPIED = frozenset(("Via", "From", "To", "Call-ID", "CSeq"))
_COPIED_WITH_ROUTE = _COPIED | {"Record-Route"}
_COPIED_WITH_TIMESTAMP = _COPIED | {"Timestamp"}
_DIALOG_FORMING = frozenset(("INVITE", "SUBSCRIBE", "REFER", "NOTIFY"))
_STATUSES: dict[str, int] = {str(status): status for status in range(100, 700)}
_MALFORMED_EXPIRES = 3600
_LARGEST_EXPIRES = 0xFFFFFFFF


class MessageError(RemoteError):
    """Bytes of which nothing usable can be made; they are dropped and counted, since there is nothing to answer."""


class HeaderError(RemoteError):
    """A header that is missing or cannot be understood; `header` names it, `detail` says why."""

    def __init__(self, header: str, detail: str, reason: str = "") -> None:
        super().__init__(400, reason or f"Bad {header} header", detail)
        self.header = header


def _missing(name: str) -> HeaderError:
    return HeaderError(name, f"the {name} header is missing", f"Missing {name} header")


T = TypeVar("T")


class _View(Generic[T]):
    """Something that is read out of the headers when it is first asked for, and then kept in the message.

    It has no `__set__`, so that Python finds what is kept in the message before it asks here again: a view that was
    read costs as much as any attribute, and the path of a call asks for a hundred of them.
    """

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read
        self.__doc__ = read.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        _VIEWS.add(name)

    def __get__(self, message: Message, owner: type | None = None) -> T:
        view = self._read(message)
        setattr(message, self._name, view)
        return view

    if TYPE_CHECKING:

        def __set__(self, message: Message, view: T) -> None: ...


_VIEWS: set[str] = set()
"""The names of all views."""


class Message:
    """What requests and responses have in common: headers in wire order, and a body.

    `headers` holds canonical names and raw values. Build a message with its final list, or change it with `add`,
    `prepend`, `replace` and `remove`; what was read through a view is then read anew.
    """

    headers: list[Header]
    """Names and raw values in wire order."""
    body: bytes
    """The body, exactly as on the wire."""
    defect: str | None = None
    """The first thing that the parse found wrong and went on from; the validation refuses requests for it."""

    def __init__(self, headers: list[Header], body: bytes = b"") -> None:
        self.headers = headers
        self.body = body

    # --- raw access -------------------------------------------------------------------------------------------------

    @_View
    def first_values(self) -> dict[str, str]:
        """The raw value of the first line of each header, by canonical name; a fast `get` for many headers."""
        # The first of equal names must win, and dict() keeps the last.
        return dict(reversed(self.headers))

    @_View
    def has_repeated_headers(self) -> bool:
        """Whether any name stands on more than one line."""
        return len(self.first_values) != len(self.headers)

    def get(self, name: str) -> str | None:
        """The raw value of the first header line with this name, None if there is none."""
        value = self.first_values.get(name)
        if value is None and name not in KNOWN_NAMES:
            value = next(iter(self._find(name)), None)
        return value

    def get_all(self, name: str) -> list[str]:
        """The raw values of all header lines with this name, in order."""
        if name not in KNOWN_NAMES:
            return list(self._find(name))
        if not self.has_repeated_headers:
            value = self.first_values.get(name)
            return [] if value is None else [value]
        return [value for header, value in self.headers if header == name]

    def _find(self, name: str) -> Iterable[str]:
        """Values of a header whose name is not in its canonical spelling, or has none."""
        wanted = canonical_name(name)
        lower = wanted.lower()
        return (value for header, value in self.headers if header == wanted or header.lower() == lower)

    def values(self, name: str) -> list[str]:
        """All comma separated values of the header, in order, without empty ones. Raises HeaderError."""
        result: list[str] = []
        for line in self.get_all(name):
            if "," not in line:
                if line:
                    result.append(line)
                continue
            try:
                parts = split_list(line)
            except UriError as error:
                raise HeaderError(name, error.detail) from error
            result += [stripped for part in parts if (stripped := part.strip(" \t"))]
        return result

    def __contains__(self, name: str) -> bool:
        """Whether there is at least one header line with this name."""
        return self.get(name) is not None

    def add(self, name: str, value: str) -> None:
        """Add a header line at the end."""
        self.headers.append((name, value))
        self._changed()

    def prepend(self, name: str, value: str) -> None:
        """Add a header line at the front, as a Via must be."""
        self.headers.insert(0, (name, value))
        self._changed()

    def replace(self, name: str, value: str) -> None:
        """Give the header one line with this value, at the place of its first line or at the end."""
        lines = self.headers
        position = next((index for index, header in enumerate(lines) if header[0] == name), len(lines))
        self.headers = [header for header in lines if header[0] != name]
        self.headers.insert(position, (name, value))
        self._changed()

    def remove(self, name: str) -> None:
        """Remove every line of the header."""
        self.headers = [header for header in self.headers if header[0] != name]
        self._changed()

    def _changed(self) -> None:
        """The headers are others now: every view is read anew when it is asked for."""
        kept = self.__dict__
        for view in kept.keys() & _VIEWS:
            del kept[view]

    # --- typed views ------------------------------------------------------------------------------------------------

    @_View
    def via(self) -> Via:
        """The topmost Via. Raises HeaderError."""
        text = self.first_values.get("Via")
        if text is None:
            raise _missing("Via")
        try:
            if "," in text:
                text = split_list(text)[0].strip(" \t")
            return Via.parse(text)
        except UriError as error:
            raise HeaderError("Via", error.detail) from error

    @_View
    def vias(self) -> list[Via]:
        """All Via values, topmost first. Raises HeaderError."""
        if not self.has_repeated_headers and "," not in self.first_values.get("Via", ""):
            return [self.via]
        values = self.values("Via")
        if not values:
            raise HeaderError("Via", "the Via header is empty") if "Via" in self.first_values else _missing("Via")
        if len(values) > MAXIMUM_VALUES:
            raise HeaderError("Via", f"more than {MAXIMUM_VALUES} Via values")
        try:
            return [Via.parse(value) for value in values]
        except UriError as error:
            raise HeaderError("Via", error.detail) from error

    @_View
    def from_(self) -> NameAddr:
        """The From header. Raises HeaderError."""
        return self._name_addr("From")

    @_View
    def to(self) -> NameAddr:
        """The To header. Raises HeaderError."""
        return self._name_addr("To")

    def _name_addr(self, name: str) -> NameAddr:
        """Read From or To."""
        text = self.first_values.get(name)
        if text is None:
            raise _missing(name)
        try:
            view = NameAddr.parse(text)
        except UriError as error:
            raise HeaderError(name, error.detail) from error
        if view.uri is None:
            raise HeaderError(name, "* is not an address")
        return view

    @_View
    def call_id(self) -> str:
        """The Call-ID. Raises HeaderError."""
        value = self.first_values.get("Call-ID")
        if not value:
            raise _missing("Call-ID") if value is None else HeaderError("Call-ID", "the Call-ID is empty")
        return value

    @_View
    def cseq(self) -> CSeq:
        """The CSeq. Raises HeaderError."""
        text = self.first_values.get("CSeq")
        if text is None:
            raise _missing("CSeq")
        try:
            return CSeq.parse(text)
        except UriError as error:
            raise HeaderError("CSeq", error.detail) from error

    @_View
    def contacts(self) -> list[NameAddr]:
        """All Contact values; `*` is one whose uri is None. Raises HeaderError."""
        return self._name_addrs("Contact")

    @_View
    def routes(self) -> list[NameAddr]:
        """All Route values. Raises HeaderError."""
        return self._name_addrs("Route")

    @_View
    def record_routes(self) -> list[NameAddr]:
        """All Record-Route values. Raises HeaderError."""
        return self._name_addrs("Record-Route")

    def _name_addrs(self, name: str) -> list[NameAddr]:
        """Read a header that is a list of addresses."""
        text = self.first_values.get(name)
        if text is None:
            return []
        try:
            if "," not in text and not self.has_repeated_headers:
                return [NameAddr.parse(text)] if text else []
            values = self.values(name)
            if len(values) > MAXIMUM_VALUES:
                raise HeaderError(name, f"more than {MAXIMUM_VALUES} values")
            return [NameAddr.parse(value) for value in values]
        except UriError as error:
            raise HeaderError(name, error.detail) from error

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, at most 255 (RFC 3261 20.22); None if there is none. Raises HeaderError."""
        text = self.first_values.get("Max-Forwards")
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal()):
            raise HeaderError("Max-Forwards", "it is not a number")
        if len(text) > 9:
            text = text.lstrip("0") or "0"
        return min(int(text), 255) if len(text) <= 9 else 255

    @property
    def expires(self) -> int | None:
        """Expires in seconds, None if there is none.

        A malformed value counts as 3600 (RFC 3261 20.10), one above 32 bits as the largest.
        """
        text = self.get("Expires")
        return None if text is None else parse_seconds(text)

    @property
    def content_type(self) -> str | None:
        """The media type of the body in lower case without parameters, None if there is none."""
        text = self.get("Content-Type")
        return None if text is None else text.partition(";")[0].strip(" \t").lower()

    @property
    def content_length(self) -> int | None:
        """What the sender said the body's length is, None if it said nothing. Raises HeaderError."""
        text = self.first_values.get("Content-Length")
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal() and len(text) <= 10):
            raise HeaderError("Content-Length", "Content-Length is not a number of bytes")
        return int(text)

    # --- serialisation ----------------------------------------------------------------------------------------------

    def _start_line(self) -> str:
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """The message as it goes on the wire, with one correct Content-Length as the last header."""
        body = self.body
        lines = [self._start_line(), *map(": ".join, self.headers)]
        text = "".join(lines)
        if "\n" in text or "\r" in text or "Content-Length: " in text:
            # No value can begin a header line of its own, whatever it was made of.
            headers = [": ".join(header) for header in self.headers if header[0] != "Content-Length"]
            lines = [_without_breaks(line) for line in (lines[0], *headers)]
        text = "\r\n".join((*lines, f"Content-Length: {len(body)}\r\n\r\n"))
        try:
            return text.encode("utf-8", "surrogateescape") + body
        except UnicodeEncodeError:
            return text.encode("utf-8", "replace") + body

    def __bytes__(self) -> bytes:
        return self.to_bytes()

    def __eq__(self, other: object) -> bool:
        """Equal start line, headers (Content-Length aside, it is made from the body) and body."""
        if not isinstance(other, Message) or type(self) is not type(other):
            return NotImplemented
        return (
            self.body == other.body
            and self._start_line() == other._start_line()
            and [header for header in self.headers if header[0] != "Content-Length"]
            == [header for header in other.headers if header[0] != "Content-Length"]
        )

    __hash__ = None  # type: ignore[assignment]


class Request(Message):
    """A SIP request (RFC 3261 7.1)."""

    method: str
    """The method as on the wire; methods are case sensitive."""
    uri_text: str
    """The Request-URI as on the wire."""
    version: str
    """The protocol version of the start line, SIP/2.0 in upper case for all we send."""

    def __init__(
        self, method: str, uri_text: str, headers: list[Header], body: bytes = b"", version: str = SIP_VERSION
    ) -> None:
        self.method = method
        self.uri_text = uri_text
        self.version = version
        self.headers = headers
        self.body = body

    @property
    def uri(self) -> Uri:
        """The Request-URI. Raises UriError (as HeaderError naming Request-URI)."""
        try:
            # Not kept here: nearly every one comes out of the cache of parsed URIs.
            return Uri.parse(self.uri_text)
        except UriError as error:
            raise HeaderError("Request-URI", error.detail, "Bad Request-URI") from error

    def _start_line(self) -> str:
        return f"{self.method} {self.uri_text} {self.version}"

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri_text}>"

    def answer(
        self,
        status: int,
        reason: str | None = None,
        to_tag: str | None = None,
        headers: Iterable[Header] = (),
        body: bytes = b"",
    ) -> Response:
        """An answer to this request with what RFC 3261 8.2.6.2 copies: every Via, From, To, Call-ID and CSeq.

        `to_tag` is added to To unless it has a tag already; `headers` follow the copied ones. Record-Route is copied
        into 101 to 299 for methods that make dialogs (12.1.1), Timestamp into 100 (8.2.6.1). Works for requests that
        the validation refused, too: what is missing is left out.
        """
        if reason is None:
            reason = REASONS.get(status, "Unknown")
        first = self.first_values
        with_route = "Record-Route" in first and 100 < status < 300 and self.method in _DIALOG_FORMING
        if self.has_repeated_headers or with_route or status == 100 or not first.keys() >= _COPIED:
            copied = _COPIED
            if status == 100:
                copied = _COPIED_WITH_TIMESTAMP
            elif with_route:
                copied = _COPIED_WITH_ROUTE
            answer_headers = [header for header in self.headers if header[0] in copied]
            if to_tag is not None and not self._has_to_tag():
                answer_headers = [
                    (name, f"{value};tag={to_tag}") if name == "To" else (name, value) for name, value in answer_headers
                ]
        else:
            to_text = first["To"]
            if to_tag is not None and not self._has_to_tag():
                to_text = f"{to_text};tag={to_tag}"
            answer_headers = [
                ("Via", first["Via"]),
                ("From", first["From"]),
                ("To", to_text),
                ("Call-ID", first["Call-ID"]),
                ("CSeq", first["CSeq"]),
            ]
        answer_headers.extend(headers)
        return Response(status, reason, answer_headers, body)

    def _has_to_tag(self) -> bool:
        """Whether To has a tag; one that cannot be read is taken as it is and gets none."""
        try:
            return self.to.tag is not None
        except HeaderError:
            return True

    def received_from(self, host: str, port: int) -> None:
        """Note the packet's source in the topmost Via (see there), unless that cannot be read."""
        try:
            via = self.via
        except HeaderError:
            return
        noted = via.received_from(host, port)
        if noted is not via:
            self._replace_top_via(noted)

    def _replace_top_via(self, via: Via) -> None:
        """Exchange the topmost Via value, leaving the others as they are."""
        for index, (name, value) in enumerate(self.headers):
            if name == "Via":
                text = str(via)
                if "," in value:
                    text = ",".join([text, *split_list(value)[1:]])
                self.headers[index] = ("Via", text)
                break
        self._changed()
        self.via = via


class Response(Message):
    """A SIP response (RFC 3261 7.2)."""

    status: int
    """100 to 699."""
    reason: str
    """The reason phrase, possibly empty."""

    def __init__(self, status: int, reason: str, headers: list[Header], body: bytes = b"") -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body

    def _start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"


def parse_seconds(text: str) -> int:
    """A number of seconds as in Expires; malformed counts as 3600 (RFC 3261 20.10), too large as 2**32 - 1."""
    text = text.strip(" \t")
    if not (text.isascii() and text.isdecimal()):
        return _MALFORMED_EXPIRES
    if len(text) > 10:
        text = text.lstrip("0") or "0"
    return min(int(text), _LARGEST_EXPIRES) if len(text) <= 10 else _LARGEST_EXPIRES


def _without_breaks(line: str) -> str:
    """The line with its line breaks made spaces."""
    return line.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")


def parse(data: bytes) -> Request | Response:
    """Read one message: a datagram, or what the stream framing cut out.

    Tolerant (RFC 4475): what is wrong but survivable is noted in `defect` or raised when its view is read. Bytes
    beyond Content-Length are discarded (RFC 3261 18.3). Raises MessageError when nothing usable can be made of it.
    """
    end = data.find(b"\r\n\r\n")
    if not 0 < end <= MAXIMUM_HEADER_BYTES:
        return _parse_tolerantly(data)
    lines = data[:end].decode("utf-8", "surrogateescape").split("\r\n")
    text = "".join(lines)
    if "\r" in text or "\n" in text or not lines[0] or len(lines) > MAXIMUM_HEADERS:
        return _parse_tolerantly(data)
    start_line = lines.pop(0)
    try:
        headers = [
            (SPELLINGS[name], value.strip(" \t"))
            for name, colon, value in map(str.partition, lines, repeat(":"))
            if colon
        ]
    except NotAHeaderName:
        return _parse_tolerantly(data)
    if len(headers) != len(lines):
        return _parse_tolerantly(data)
    # The first of equal names must win, and dict() keeps the last.
    first = dict(reversed(headers))
    length = first.get("Content-Length")
    if length is None:
        body = data[end + 4 :]
    elif len(length) <= 10 and length.isascii() and length.isdecimal():
        body = data[end + 4 : end + 4 + int(length)]
    else:
        return _parse_tolerantly(data)
    message = _parse_start_line(start_line, headers, body)
    kept = message.__dict__
    kept["first_values"] = first
    kept["has_repeated_headers"] = len(first) != len(headers)
    try:
        # What every message is asked for. Where it is missing or wrong, the view says so once it is asked for.
        kept["cseq"] = CSeq.parse(first["CSeq"])
        via = first["Via"]
        if "," not in via:
            kept["via"] = Via.parse(via)
        party = NameAddr.parse_cached(first["From"])
        if party.uri is not None:
            kept["from_"] = party
        party = NameAddr.parse_cached(first["To"])
        if party.uri is not None:
            kept["to"] = party
    except (KeyError, UriError):
        pass
    return message


def _parse_tolerantly(data: bytes) -> Request | Response:
    """Read a message that has folded lines, odd line ends, lines that are no headers or no end, or one too large."""
    data = data.lstrip(b"\r\n")
    if not data:
        raise MessageError(400, "Empty Message", "the packet has no message in it")
    defect: str | None = None
    end = data.find(b"\n\r\n")
    bare = data.find(b"\n\n", 0, end + 1 if end >= 0 else len(data))
    if bare >= 0:
        end, start = bare, bare + 2
    elif end >= 0:
        start = end + 3
    else:
        end = start = len(data)
        defect = "no empty line after the headers"
    if end > MAXIMUM_HEADER_BYTES:
        raise MessageError(513, REASONS[513], f"the headers have more than {MAXIMUM_HEADER_BYTES} bytes")
    # A carriage return alone is no line end for us, but it may be one for whom it is sent on to.
    text = data[:end].decode("utf-8", "surrogateescape").replace("\r\n", "\n").rstrip("\r").replace("\r", " ")
    lines = _FOLD.sub(" ", text).split("\n")
    if len(lines) > MAXIMUM_HEADERS + 1:
        raise MessageError(400, "Too Many Headers", f"more than {MAXIMUM_HEADERS} header lines")
    headers: list[Header] = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        try:
            known = SPELLINGS[name] if colon else None
        except NotAHeaderName:
            known = None
        if known is not None:
            headers.append((known, value.strip(" \t")))
        elif line:
            defect = defect or STRAY_LINE
    body = data[start:]
    message = _parse_start_line(lines[0], headers, body)
    try:
        if message.content_length is not None:
            message.body = body[: message.content_length]
    except HeaderError as error:
        defect = defect or error.detail
    message.defect = defect
    return message


def _parse_start_line(line: str, headers: list[Header], body: bytes) -> Request | Response:
    """Make the message that the first line begins. Raises MessageError when it is no request's and no response's."""
    if line[:8] == "SIP/2.0 " and line[11:12] == " ":
        status = _STATUSES.get(line[8:11])
        if status is not None:
            return Response(status, line[12:].strip(" \t"), headers, body)
    method, _, rest = line.partition(" ")
    uri_text, _, version = rest.partition(" ")
    if version == SIP_VERSION and method and uri_text:
        return Request(method, uri_text, headers, body)
    if line[:4].upper() == "SIP/":
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            raise MessageError(400, "Bad Status Line", "the status is not a number from 100 to 699")
        if match[1] != "2.0":
            raise MessageError(505, REASONS[505], "the response is not SIP/2.0")
        return Response(int(match[2]), (match[3] or "").rstrip(" \t"), headers, body)
    method, _, rest = line.replace("\t", " ").strip(" ").partition(" ")
    uri_text, _, version = rest.rpartition(" ")
    uri_text, version = uri_text.strip(" "), version.upper()
    if not method or not uri_text or version[:4] != "SIP/":
        raise MessageError(400, "Bad Request Line", "the first line is not: method, Request-URI, SIP/2.0")
    return Request(method, uri_text, headers, body, version)
