"""SIP addresses: URIs, name-addr values, Via values and CSeq values, parsed into immutable tuples and written back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote, unquote

from app.errors import RemoteError

NO_PARAMETERS: Mapping[str, str | None] = MappingProxyType({})
"""The one empty set of parameters."""

MAXIMUM_PARAMETERS = 100
"""A value with more parameters than this is refused with 400: every parameter costs time."""
MAXIMUM_CACHED_LENGTH = 128
"""Only URIs up to this many characters are remembered, so that the memory of the cache stays below 2 MiB."""

MAGIC_COOKIE = "z9hG4bK"
"""What every branch of RFC 3261 begins with (8.1.1.7); compared without regard to case, as all tokens are."""

_SIP_SCHEMES = ("sip", "sips")
_ILLEGAL_IN_URI = re.compile(r'[\x00-\x20<>"\x7f]')
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,254})")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
# The shapes that nearly all traffic has, cut up in one step. What does not match takes the longer way, which is the
# reference and gives the errors.
_HOST_PORT = r"([A-Za-z0-9_][A-Za-z0-9._-]{0,254})(?::([0-9]{1,5}))?"
_COMMON_URI = re.compile(
    r'(sips?):(?:([^@:?%<>"\x00-\x20\x7f]*)@)?' + _HOST_PORT + r'(?:;([^@?%<>"\x00-\x20\x7f]*))?'
).fullmatch
_COMMON_NAME_ADDR = re.compile(r'(?:"([^"\\]*)" ?)?<([^<>]*)>(?:;tag=([^;" \t]+)|;([^"]*))?').fullmatch
_COMMON_VIA = re.compile(r"SIP/2\.0/([A-Z]+) " + _HOST_PORT + r'(?:;branch=([^;" \t]+)(;rport)?|;([^"]*))?').fullmatch
_tuple_new = tuple.__new__

_VIA_PROTOCOL = re.compile(r"([^\s/;,]+)[ \t]*/[ \t]*([^\s/;,]+)[ \t]*/[ \t]*([^\s/;,]+)[ \t]+")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_COMMA_LEXER = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(")?|<[^>]*>?|,', re.DOTALL)
_SEMICOLON_LEXER = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(")?|;', re.DOTALL)
_NEEDS_BACKSLASH = re.compile(r'(["\\])')
_LINE_BREAK = re.compile(r"[\r\n]+")
_USER_SAFE = "-_.!~*'()&=+$,;?/"
_PARAMETER_SAFE = "-_.!~*'()[]/:&+$"


class UriError(RemoteError):
    """A URI, name-addr or Via value that cannot be understood; `detail` says why."""

    def __init__(self, detail: str, reason: str = "Bad URI") -> None:
        super().__init__(400, reason, detail)


def unescape(text: str) -> str:
    """Undo %-escapes once (RFC 3261 19.1.2); bytes that are no UTF-8 become surrogates, so nothing is lost."""
    return unquote(text, "utf-8", "surrogateescape") if "%" in text else text


def escape_user(text: str) -> str:
    """Write any text as the user part of a SIP URI, escaping what RFC 3261 25.1 does not allow there."""
    if text.isalnum() and text.isascii():
        return text
    return quote(text, _USER_SAFE, "utf-8", "surrogateescape")


def escape_parameter(text: str) -> str:
    """Write any text as the name or value of a URI parameter, escaping what RFC 3261 25.1 does not allow there."""
    return quote(text, _PARAMETER_SAFE, "utf-8", "surrogateescape")


def quote_display_name(text: str) -> str:
    """Write a display name as a quoted-string (RFC 3261 25.1); line breaks become spaces."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + _NEEDS_BACKSLASH.sub(r"\\\1", _LINE_BREAK.sub(" ", text)) + '"'


def _shorten(text: str) -> str:
    """A piece of a peer's text that is short enough for an error message."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


@lru_cache(maxsize=512)
def _checked_ipv6(reference: str) -> str:
    """The IPv6 reference with brackets; three colons, which the old grammar made (RFC 5118 4.10), become two."""
    inner = reference[1:-1].replace(":::", "::")
    try:
        IPv6Address(inner)
    except AddressValueError as error:
        raise UriError(f"{_shorten(reference)} is not an IPv6 address") from error
    if "%" in inner:
        raise UriError(f"the IPv6 address {_shorten(reference)} has a zone")
    return f"[{inner}]"


def _port_number(text: str) -> int:
    """The port that the text names, 0 for none."""
    if len(text) <= 5 and text.isascii() and text.isdecimal():
        port = int(text)
        return port if port < 65536 else 0
    return 0


def parse_host_port(text: str) -> tuple[str, int | None]:
    """Split `host[:port]`; an IPv6 address must be in brackets and keeps them. Raises UriError."""
    if text[:1] == "[":
        address, bracket, port_text = text.partition("]")
        if not bracket or len(address) > 50:
            raise UriError(f"the IPv6 address in {_shorten(text)} is not closed by a bracket")
        host = _checked_ipv6(address + "]")
        port_text = port_text.lstrip(" \t")
        if not port_text:
            return host, None
        if port_text[0] != ":":
            raise UriError(f"unexpected text after the address in {_shorten(text)}")
        port_text = port_text[1:].lstrip(" \t")
    else:
        host, colon, port_text = text.partition(":")
        if _HOST.fullmatch(host) is None:
            host, port_text = host.rstrip(" \t"), port_text.lstrip(" \t")
            if _HOST.fullmatch(host) is None:
                raise UriError(f"{_shorten(host)} is not a host name or address")
        if not colon:
            return host, None
    port = _port_number(port_text)
    if port:
        return host, port
    raise UriError(f"{_shorten(port_text)} is not a port")


def split_list(text: str, separator: str = ",") -> list[str]:
    """Split at separators that are neither in a quoted-string nor, for commas, in angle brackets. Raises UriError.

    The pieces are not stripped and empty pieces are kept.
    """
    if '"' not in text and (separator == ";" or "<" not in text):
        return text.split(separator)
    parts: list[str] = []
    start = 0
    for match in (_COMMA_LEXER if separator == "," else _SEMICOLON_LEXER).finditer(text):
        found = match[0]
        if found == separator:
            parts.append(text[start : match.start()])
            start = match.end()
        elif found[0] == '"' and match[1] is None:
            raise UriError(f"a quoted string is not closed in {_shorten(text)}")
    parts.append(text[start:])
    return parts


def closing_quote(text: str, start: int) -> int:
    """The index of the quote that closes a quoted-string whose content begins at `start`, or -1."""
    position = text.find('"', start)
    while position > 0:
        backslashes = 0
        while position - 1 - backslashes >= start and text[position - 1 - backslashes] == "\\":
            backslashes += 1
        if backslashes % 2 == 0:
            return position
        position = text.find('"', position + 1)
    return position


def parse_parameters(text: str) -> dict[str, str | None]:
    """Read `name=value;name;...` with white space around the separators allowed; names become lower case.

    The first of two equal names wins and empty parameters are skipped. Values keep their quotes. Raises UriError.
    """
    parameters: dict[str, str | None] = {}
    plain = '"' not in text and " " not in text and "\t" not in text
    for part in text.split(";") if plain else split_list(text, ";"):
        name, equals, value = part.partition("=")
        if not plain:
            name, value = name.strip(" \t"), value.strip(" \t")
        name = name.lower()
        if name and name not in parameters:
            parameters[name] = value if equals else None
    if len(parameters) > MAXIMUM_PARAMETERS:
        raise UriError(f"more than {MAXIMUM_PARAMETERS} parameters")
    return parameters


def format_parameters(parameters: Mapping[str, str | None]) -> str:
    """Write parameters with a semicolon before each."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in parameters.items()])


class Uri(NamedTuple):
    """A SIP, SIPS or tel URI (RFC 3261 19.1, RFC 3966), or any other URI as its scheme and the rest.

    Parts are kept as on the wire, escapes included; `username` is the user part without them. Immutable: use
    `_replace`. A tel URI has its number in `user` and an empty host.
    """

    scheme: str
    """Lower case: sip, sips, tel or something else."""
    user: str | None = None
    """The user part as on the wire (escaped), None if there is none."""
    password: str | None = None
    """The password that RFC 3261 advises against, None if there is none."""
    host: str = ""
    """Host name, IPv4 address, or IPv6 address with its brackets."""
    port: int | None = None
    """The port, None if not given."""
    params: Mapping[str, str | None] = NO_PARAMETERS
    """URI parameters, names in lower case and without escapes; None for a parameter without a value."""
    headers: str | None = None
    """What stands behind the question mark, None if there is none."""
    opaque: str | None = None
    """Everything after the scheme of a URI that is neither sip, sips nor tel."""

    @staticmethod
    def parse(text: str) -> Uri:
        """Read a URI; an unknown scheme is kept with the rest in `opaque`. Raises UriError."""
        if len(text) <= MAXIMUM_CACHED_LENGTH:
            return _parse_uri_cached(text)
        return _parse_uri(text)

    @property
    def username(self) -> str:
        """The user part without escapes ("" if there is none)."""
        user = self.user
        if user is None:
            return ""
        return unescape(user) if "%" in user else user

    @property
    def is_sip(self) -> bool:
        """Whether the scheme is sip or sips."""
        return self.scheme in _SIP_SCHEMES

    @property
    def host_port(self) -> str:
        """`host` or `host:port` as on the wire."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """The host without the brackets of an IPv6 address."""
        return self.host[1:-1] if self.host[:1] == "[" else self.host

    def equivalent(self, other: Uri) -> bool:
        """Whether both name the same resource by RFC 3261 19.1.4: escapes, case and order do not count."""
        if self == other:
            return True
        if (
            self.scheme != other.scheme
            or self.opaque != other.opaque
            or (self.user is None) != (other.user is None)
            or self.username != other.username
            or unescape(self.password or "") != unescape(other.password or "")
            or self.host.lower() != other.host.lower()
            or self.port != other.port
            or _header_set(self.headers) != _header_set(other.headers)
        ):
            return False
        return _parameters_match(self.params, other.params)

    def __str__(self) -> str:
        """The URI as it goes on the wire."""
        scheme, user, password, host, port, params, headers, opaque = self
        if opaque is not None:
            return f"{scheme}:{opaque}"
        text = f"{scheme}:"
        if user is not None:
            if scheme == "tel":
                text += user
            else:
                text += f"{user}@" if password is None else f"{user}:{password}@"
        text += host
        if port is not None:
            text += f":{port}"
        if params:
            for name, value in params.items():
                plain = name.isalnum() and name.isascii()
                written = name if plain or (_TOKEN.fullmatch(name) and "%" not in name) else escape_parameter(name)
                text += f";{written}" if value is None else f";{written}={value}"
        return text if headers is None else f"{text}?{headers}"


def _header_set(headers: str | None) -> frozenset[str]:
    """The URI headers as a set that does not depend on order or escapes."""
    return frozenset(unescape(part) for part in headers.split("&")) if headers else frozenset()


def _parameters_match(ours: Mapping[str, str | None], theirs: Mapping[str, str | None]) -> bool:
    """RFC 3261 19.1.4: shared parameters must be equal; user, ttl, method, maddr and transport must be in both."""
    for name in ours.keys() | theirs.keys():
        if name in ours and name in theirs:
            if unescape(ours[name] or "").lower() != unescape(theirs[name] or "").lower():
                return False
        elif name in {"user", "ttl", "method", "maddr", "transport"}:
            return False
    return True


def _parse_uri(text: str) -> Uri:
    """Read a URI, see Uri.parse."""
    match = _COMMON_URI(text)
    if match is not None:
        scheme, user, host, port_text, parameter_text = match.groups()
        port = None if port_text is None else int(port_text)
        if port is None or 0 < port < 65536:
            params = _uri_parameters(parameter_text) if parameter_text else NO_PARAMETERS
            return _tuple_new(Uri, (scheme, user, None, host, port, params, None, None))
    return _parse_any_uri(text)


def _parse_any_uri(text: str) -> Uri:
    """Read a URI of whatever shape, see Uri.parse."""
    illegal = _ILLEGAL_IN_URI.search(text)
    if illegal is not None:
        raise UriError(f"the character {illegal[0]!r} is not allowed in the URI {_shorten(text)}")
    scheme, colon, rest = text.partition(":")
    if scheme not in _SIP_SCHEMES:
        if not colon or _SCHEME.fullmatch(scheme) is None:
            raise UriError(f"{_shorten(text)} does not begin with a scheme")
        scheme = scheme.lower()
        if scheme == "tel":
            return _parse_tel(rest)
        if scheme not in _SIP_SCHEMES:
            return Uri(scheme, opaque=rest)
    elif not colon:
        raise UriError(f"{_shorten(text)} does not begin with a scheme")
    if "%" in rest and _BAD_ESCAPE.search(rest) is not None:
        raise UriError(f"% without two hexadecimal digits in {_shorten(text)}")
    user: str | None
    password: str | None = None
    # A user part may hold ; ? and : but never @ (RFC 3261 25.1), so the first @ ends it.
    user, at, host_text = rest.partition("@")
    if at:
        if ":" in user:
            user, _, password = user.partition(":")
    else:
        user, host_text = None, rest
    headers: str | None = None
    if "?" in host_text:
        host_text, _, headers = host_text.partition("?")
    params = NO_PARAMETERS
    if ";" in host_text:
        host_text, _, parameter_text = host_text.partition(";")
        params = _uri_parameters(parameter_text)
    host, port = parse_host_port(host_text)
    return Uri(scheme, user, password, host, port, params, headers)


_parse_uri_cached = lru_cache(maxsize=2048)(_parse_uri)


def _uri_parameters(text: str) -> Mapping[str, str | None]:
    """URI parameters, read-only because parsed URIs are shared between messages."""
    parameters = parse_parameters(text)
    if "%" in text and any("%" in name for name in parameters):
        parameters = {unescape(name).lower(): value for name, value in parameters.items()}
    return MappingProxyType(parameters)


def _parse_tel(rest: str) -> Uri:
    """The part of a tel URI behind the scheme (RFC 3966)."""
    number, semicolon, parameter_text = rest.partition(";")
    if not number or _BAD_ESCAPE.search(rest) is not None or "@" in number:
        raise UriError(f"{_shorten('tel:' + rest)} has no valid number")
    return Uri("tel", number, params=_uri_parameters(parameter_text) if semicolon else NO_PARAMETERS)


class NameAddr(NamedTuple):
    """A name-addr or addr-spec with header parameters, as in From, To, Contact, Route (RFC 3261 20.10, 25.1)."""

    display: str
    """The display name without quotes and escapes, "" if there is none."""
    uri: Uri | None
    """The address; None only for the `*` of a Contact."""
    params: Mapping[str, str | None] = NO_PARAMETERS
    """Header parameters, names in lower case."""

    @staticmethod
    def parse(text: str) -> NameAddr:
        """Read one value (`"display" <uri>;params`, `uri;params` or `*`). Raises UriError."""
        match = _COMMON_NAME_ADDR(text)
        if match is None:
            return _parse_any_name_addr(text)
        display, uri_text, tag, parameter_text = match.groups("")
        params: Mapping[str, str | None]
        if tag:
            params = {"tag": tag}
        else:
            params = parse_parameters(parameter_text) if parameter_text else NO_PARAMETERS
        return _tuple_new(NameAddr, (display, Uri.parse(uri_text), params))

    @staticmethod
    def parse_cached(text: str) -> NameAddr:
        """As `parse`: for From and To, which stand in every message of a dialog alike."""
        return _parse_party_cached(text) if len(text) <= MAXIMUM_CACHED_LENGTH else NameAddr.parse(text)

    @property
    def tag(self) -> str | None:
        """The tag parameter, None if there is none."""
        return self.params.get("tag")

    def with_tag(self, tag: str) -> NameAddr:
        """The same address with this tag."""
        return NameAddr(self.display, self.uri, {**self.params, "tag": tag})

    def __str__(self) -> str:
        """The value as it goes on the wire, always with angle brackets."""
        display, uri, params = self
        if uri is None:
            return "*"
        text = f"{quote_display_name(display)} <{uri}>" if display else f"<{uri}>"
        return text + format_parameters(params) if params else text


_parse_party_cached = lru_cache(maxsize=2048)(NameAddr.parse)


def _parse_any_name_addr(text: str) -> NameAddr:
    """Read a value of whatever shape, see NameAddr.parse."""
    display = ""
    start = text.find("<")
    if text[:1] == '"':
        quote_end = closing_quote(text, 1)
        if quote_end < 0:
            raise UriError("the quoted display name is not closed")
        display = text[1:quote_end]
        if "\\" in display:
            display = _QUOTED_PAIR.sub(r"\1", display)
        start = text.find("<", quote_end)
        if start < 0 or text[quote_end + 1 : start].strip(" \t"):
            raise UriError("no <address> after the display name")
    elif start > 0:
        display = text[:start].strip(" \t")
        if "," in display or '"' in display or ";" in display or ":" in display:
            raise UriError(f"the display name {_shorten(display)} must be in quotes")
    elif start < 0:
        return _parse_addr_spec(text)
    end = text.find(">", start)
    if end < 0:
        raise UriError("the address is not closed by >")
    uri = Uri.parse(text[start + 1 : end])
    rest = text[end + 1 :]
    if not rest:
        return NameAddr(display, uri)
    rest = rest.lstrip(" \t")
    if rest[:1] != ";":
        if not rest:
            return NameAddr(display, uri)
        raise UriError(f"unexpected text {_shorten(rest)} after the address")
    return NameAddr(display, uri, parse_parameters(rest))


def _parse_addr_spec(text: str) -> NameAddr:
    """A value without angle brackets: what follows a semicolon belongs to the header (RFC 3261 20.10)."""
    uri_text, semicolon, parameter_text = text.partition(";")
    uri_text = uri_text.rstrip(" \t")
    if uri_text == "*" and not parameter_text:
        return NameAddr("", None)
    if "?" in uri_text or "," in uri_text:
        raise UriError(f"the address {_shorten(uri_text)} must be in angle brackets because of its ? or ,")
    return NameAddr("", Uri.parse(uri_text), parse_parameters(parameter_text) if semicolon else NO_PARAMETERS)


class Via(NamedTuple):
    """One Via value (RFC 3261 20.42)."""

    transport: str
    """Upper case: UDP, TCP, TLS or whatever stood there."""
    host: str
    """The host of sent-by; IPv6 with its brackets."""
    port: int | None
    """The port of sent-by, None if not given."""
    params: Mapping[str, str | None] = NO_PARAMETERS
    """Parameters, names in lower case."""

    @staticmethod
    def parse(text: str) -> Via:
        """Read one value; white space is allowed wherever RFC 3261 25.1 does. Raises UriError."""
        match = _COMMON_VIA(text)
        if match is not None:
            transport, host, port_text, branch, rport, parameter_text = match.groups()
            port = None if port_text is None else int(port_text)
            if port is None or 0 < port < 65536:
                params: Mapping[str, str | None]
                if branch:
                    params = {"branch": branch, "rport": None} if rport else {"branch": branch}
                else:
                    params = parse_parameters(parameter_text) if parameter_text else NO_PARAMETERS
                return _tuple_new(Via, (transport, host, port, params))
        return _parse_any_via(text)

    @property
    def branch(self) -> str | None:
        """The branch parameter, None if there is none."""
        return self.params.get("branch")

    @property
    def sent_by(self) -> str:
        """`host:port` as on the wire; without a port just the host."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def response_address(self) -> tuple[str, int]:
        """Where an answer goes over UDP (RFC 3261 18.2.2, RFC 3581 4): bare address or host name, and port.

        `maddr` is not followed: an answer to an address that the request names freely could hit a third party.
        """
        host = self.params.get("received") or self.host
        return host.strip("[]"), self.response_port

    @property
    def response_port(self) -> int:
        """The port of `response_address`."""
        rport = self.params.get("rport")
        # The default port of the transport that the request came by, whichever its Via names (RFC 4475 3.3.5).
        return (_port_number(rport) if rport else 0) or self.port or 5060

    def received_from(self, host: str, port: int) -> Via:
        """With the packet's source, so that answers go there; itself where that is plain from the sent-by.

        RFC 3261 18.2.1 (received) and RFC 3581 4 (rport). Values that the peer put there itself are overwritten.
        """
        params = self.params
        if "rport" in params:
            params = {**params, "rport": str(port), "received": host}
        elif (self.host != host and self.host.strip("[]") != host) or "received" in params:
            params = {**params, "received": host}
        else:
            return self
        return Via(self.transport, self.host, self.port, params)

    def __str__(self) -> str:
        """The value as it goes on the wire."""
        return f"SIP/2.0/{self.transport} {self.sent_by}{format_parameters(self.params)}"


def _parse_any_via(text: str) -> Via:
    """Read a value of whatever shape, see Via.parse."""
    protocol, _, rest = text.partition(" ")
    if protocol[:8] == "SIP/2.0/" and len(protocol) > 8:
        transport = protocol[8:]
    else:
        match = _VIA_PROTOCOL.match(text)
        if match is None or match[1].upper() != "SIP":
            raise UriError(f"{_shorten(text)} does not begin with SIP/2.0/transport")
        transport = match[3]
        rest = text[match.end() :]
    if _TOKEN.fullmatch(transport) is None:
        raise UriError(f"the transport {_shorten(transport)} is not a token")
    sent_by, semicolon, parameter_text = rest.partition(";")
    host, port = parse_host_port(sent_by.strip(" \t"))
    return Via(transport.upper(), host, port, parse_parameters(parameter_text) if semicolon else NO_PARAMETERS)


class CSeq(NamedTuple):
    """A CSeq value (RFC 3261 20.16)."""

    number: int
    """Below 2**32."""
    method: str
    """The method as on the wire (methods are case sensitive)."""

    @staticmethod
    def parse(text: str) -> CSeq:
        """Read `number method`. Raises UriError when the number is no 32 bit number or the method no token."""
        # The same few values come again and again: "1 INVITE", "1 ACK", "2 BYE".
        return _parse_cseq_cached(text) if len(text) <= _USUAL_CSEQ_LENGTH else _parse_cseq(text)

    def __str__(self) -> str:
        """The value as it goes on the wire."""
        return f"{self.number} {self.method}"


_USUAL_CSEQ_LENGTH = 24


def _parse_cseq(text: str) -> CSeq:
    """Read a CSeq value, see CSeq.parse."""
    parts = text.split()
    if len(parts) != 2:
        raise UriError(f"{_shorten(text)} is not a number and a method")
    digits, method = parts
    if not (digits.isascii() and digits.isdecimal()):
        raise UriError(f"{_shorten(digits)} is not a number")
    # Ten digits bound 2**32; leading zeros are allowed (RFC 4475 3.1.1.1).
    significant = digits.lstrip("0") if len(digits) > 10 else digits
    if len(significant) > 10 or int(significant or "0") > 0xFFFFFFFF:
        raise UriError(f"{_shorten(digits)} is larger than 32 bits")
    if _TOKEN.fullmatch(method) is None:
        raise UriError(f"{_shorten(method)} is not a method")
    return CSeq(int(significant or "0"), method)


_parse_cseq_cached = lru_cache(maxsize=512)(_parse_cseq)
