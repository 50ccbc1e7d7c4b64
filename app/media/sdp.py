"""Session descriptions (RFC 8866): read tolerantly, written back with every unknown line as it came.

`parse` gives an immutable `SessionDescription`; `audio_stream` reads from it what a relay needs of the audio stream.
Whatever cannot be used raises `SdpError`, which carries the SIP answer (400 or 488) and names the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from app.errors import RemoteError
from app.media.addresses import parse_address
from app.media.codecs import (
    AUXILIARY_CODECS,
    STATIC_PAYLOADS,
    TELEPHONE_EVENT,
    StaticPayload,
    canonical_codec_name,
)

MAXIMUM_BYTES = 65_535
MAXIMUM_LINES = 2_000
MAXIMUM_MEDIA = 64
MAXIMUM_FORMATS = 128

Line = tuple[str, str]
"""The letter before `=` and the text after it."""


class SdpError(RemoteError):
    """A session description that cannot be used; `line` is the line at fault, blank where a line is missing."""

    def __init__(self, status: int, detail: str, line: str = "") -> None:
        reason = "Not Acceptable Here" if status == 488 else "Bad Request"
        shown = line[:120].encode("utf-8", "replace").decode()
        super().__init__(status, reason, f"SDP: {detail}" + (f" in '{shown}'" if shown else ""))
        self.line = line


class NoCommonCodec(SdpError):
    """Nothing that both sides can speak is left: 488."""

    def __init__(self, offered: tuple[str, ...], allowed: tuple[str, ...]) -> None:
        offered_text, allowed_text = ", ".join(offered) or "none", ", ".join(allowed) or "none"
        super().__init__(488, f"no common codec: offered {offered_text}; usable here {allowed_text}")


class Direction(IntEnum):
    """Which way media goes, seen from who wrote the description; bit 0 sends, bit 1 receives (RFC 3264 section 5.1)."""

    INACTIVE = 0
    SENDONLY = 1
    RECVONLY = 2
    SENDRECV = 3

    @property
    def sends(self) -> bool:
        return bool(self & 1)

    @property
    def receives(self) -> bool:
        return bool(self & 2)

    def reversed(self) -> Direction:
        """The same from the other end: what one sends the other receives."""
        return Direction((self & 1) << 1 | self >> 1)


DIRECTIONS = {
    "sendrecv": Direction.SENDRECV,
    "sendonly": Direction.SENDONLY,
    "recvonly": Direction.RECVONLY,
    "inactive": Direction.INACTIVE,
}
DIRECTION_NAMES = {direction: name for name, direction in DIRECTIONS.items()}


class Format(NamedTuple):
    """One payload type of an RTP stream and the codec behind it."""

    payload_type: int
    name: str
    """Canonical, upper case; blank for a dynamic number without rtpmap line."""
    clock_rate: int
    channels: int
    parameters: str = ""
    """The fmtp line's text after the number."""
    encoding: str = ""
    """The rtpmap line's text after the number, as it came; blank where there is none."""

    @property
    def is_speech(self) -> bool:
        """Whether a call can be carried by it alone."""
        return self.name not in AUXILIARY_CODECS

    @property
    def is_telephone_event(self) -> bool:
        return self.name == TELEPHONE_EVENT

    def __str__(self) -> str:
        return self.encoding or (self.name if self.name else f"payload type {self.payload_type}")


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """An m= line with the lines below it."""

    media: str
    port: int
    port_count: int
    protocol: str
    formats: tuple[str, ...]
    lines: tuple[Line, ...] = ()

    @property
    def line(self) -> str:
        """The text of the m= line without the letter."""
        port = str(self.port) if self.port_count == 1 else f"{self.port}/{self.port_count}"
        return " ".join((self.media, port, self.protocol, *self.formats))

    @property
    def is_audio(self) -> bool:
        """Whether it is audio over RTP of any kind."""
        return self.media.lower() == "audio" and "RTP/" in self.protocol.upper()

    def rejected(self) -> MediaDescription:
        """The same stream with port 0 (RFC 3264 section 6), without lines that could tell anything."""
        return MediaDescription(self.media, 0, 1, self.protocol, self.formats)


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole session description: its session lines, `v=` first, and its media in order."""

    lines: tuple[Line, ...]
    media: tuple[MediaDescription, ...]

    def to_bytes(self) -> bytes:
        """The text for the wire."""
        parts = [f"{kind}={value}\r\n" for kind, value in self.lines]
        for media in self.media:
            parts.append(f"m={media.line}\r\n")
            parts.extend(f"{kind}={value}\r\n" for kind, value in media.lines)
        return "".join(parts).encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class AudioStream:
    """What a relay needs to know of the audio stream of a description."""

    index: int
    """The position of its m= line."""
    protocol: str
    """As its m= line has it, in capitals: RTP/AVP, RTP/SAVP, UDP/TLS/RTP/SAVPF ..."""
    host: str
    """Where its owner wants media: an IP address or a name; blank where media is on hold by address."""
    port: int
    """0: the stream is refused or disabled."""
    rtcp_host: str
    rtcp_port: int
    """Where RTCP goes unless both agree on `rtcp_mux`."""
    rtcp_mux: bool
    direction: Direction
    """As its owner sees it; hold by the address 0.0.0.0 is folded in."""
    held_by_address: bool
    """Hold in the manner of RFC 2543: c=0.0.0.0."""
    formats: tuple[Format, ...]
    packet_time: int
    """ptime in ms, 0 where it is not given."""
    secure: bool
    """SRTP, or the offer of it (keys in AVP): payload and RTCP cannot be read or changed on the way."""


def parse(data: bytes) -> SessionDescription:
    """Read a session description.

    Accepts bare LF or CR, blank lines, a byte order mark, missing `o=`, `s=`, `t=` and lines in any order below `v=`.
    Raises `SdpError` 400 for anything else that RFC 8866 section 9 does not allow.
    """
    if len(data) > MAXIMUM_BYTES:
        raise SdpError(400, f"longer than {MAXIMUM_BYTES} bytes")
    text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    raw_lines = text.split("\n")
    if len(raw_lines) > MAXIMUM_LINES:
        raise SdpError(400, f"more than {MAXIMUM_LINES} lines")
    session: list[Line] = []
    media: list[MediaDescription] = []
    current = session
    heads: list[tuple[MediaDescription, list[Line]]] = []
    for raw in raw_lines:
        if not raw:
            continue
        kind, equals, value = raw[0], raw[1:2], raw[2:]
        if equals != "=" or not "a" <= kind <= "z":
            raise SdpError(400, "not of the form x=value", raw)
        if kind == "m":
            current = []
            heads.append((_parse_media_line(value), current))
            if len(heads) > MAXIMUM_MEDIA:
                raise SdpError(400, f"more than {MAXIMUM_MEDIA} streams", raw)
        else:
            current.append((kind, value))
    if not session or session[0][0] != "v":
        raise SdpError(400, "does not begin with v=0", f"{session[0][0]}={session[0][1]}" if session else "")
    if session[0][1].strip() != "0":
        raise SdpError(400, "unknown version", f"v={session[0][1]}")
    for head, lines in heads:
        media.append(
            MediaDescription(head.media, head.port, head.port_count, head.protocol, head.formats, tuple(lines))
        )
    return SessionDescription(tuple(session), tuple(media))


def _parse_media_line(value: str) -> MediaDescription:
    """RFC 8866 section 5.14: media, port[/count], protocol, formats."""
    parts = value.split()
    if len(parts) < 3:
        raise SdpError(400, "needs media, port, protocol and formats", f"m={value}")
    port_text, slash, count_text = parts[1].partition("/")
    port = decimal(port_text, 65_535)
    count = decimal(count_text, 65_535) if slash else 1
    if port is None:
        raise SdpError(400, "the port is not 0 to 65535", f"m={value}")
    if not count:
        raise SdpError(400, "the number of ports is not a positive number", f"m={value}")
    if len(parts) == 3 and port:
        raise SdpError(400, "names no format", f"m={value}")
    if len(parts) - 3 > MAXIMUM_FORMATS:
        raise SdpError(400, f"more than {MAXIMUM_FORMATS} formats", f"m={value}")
    return MediaDescription(parts[0], port, count, parts[2], tuple(parts[3:]))


def decimal(text: str, maximum: int) -> int | None:
    """A plain decimal number from 0 to `maximum`, or None: no sign, blank, or foreign digit."""
    if not text or len(text) > 10 or not text.isascii() or not text.isdigit():
        return None
    number = int(text)
    return number if number <= maximum else None


def audio_index(description: SessionDescription) -> int | None:
    """The m= line to relay: the first audio stream over RTP in use, else the first one at all, else None."""
    unused = None
    for index, media in enumerate(description.media):
        if media.is_audio:
            if media.port:
                return index
            if unused is None:
                unused = index
    return unused


def audio_streams(description: SessionDescription) -> tuple[AudioStream, ...]:
    """The stream that `audio_index` finds, then every further way in use to carry the same audio.

    A phone that leaves the encryption to its peer mostly offers one audio stream twice, as RTP/SAVP and as RTP/AVP, for
    one of them to be taken. No RFC says so, hence a second stream over the same protocol is another stream, not another
    way. Raises `SdpError` as `audio_stream` does.
    """
    streams = [audio_stream(description)]
    if streams[0].port:
        for index in range(streams[0].index + 1, len(description.media)):
            media = description.media[index]
            if media.is_audio and media.port and all(media.protocol.upper() != each.protocol for each in streams):
                streams.append(audio_stream(description, index))
    return tuple(streams)


def audio_stream(description: SessionDescription, index: int | None = None) -> AudioStream:
    """Read the audio stream at `index`, or the one that `audio_index` finds.

    Raises `SdpError`: 488 where there is no audio over RTP, 400 where its lines are broken.
    """
    if index is None:
        index = audio_index(description)
        if index is None:
            kinds = ", ".join(sorted({media.media[:20] for media in description.media})) or "no stream at all"
            raise SdpError(488, f"no audio stream over RTP ({kinds})")
    media = description.media[index]
    connection = _first(media.lines, "c")
    if connection is None:
        connection = _first(description.lines, "c")
    host, held = "", False
    if connection is not None:
        host, held = parse_connection(connection)
    elif media.port:
        raise SdpError(400, "no c= line for the audio stream", f"m={media.line}")
    attributes = _Attributes(media, _session_direction(description.lines))
    direction = attributes.direction
    if held:
        direction = Direction(direction & Direction.SENDONLY)
        host = ""
    return AudioStream(
        index=index,
        protocol=media.protocol.upper(),
        host=host,
        port=media.port,
        rtcp_host=attributes.rtcp_host or host,
        rtcp_port=attributes.rtcp_port or min(media.port + 1, 65_535),
        rtcp_mux=attributes.rtcp_mux,
        direction=direction,
        held_by_address=held,
        formats=attributes.formats(media),
        packet_time=attributes.packet_time,
        secure=attributes.has_keys or "SAVP" in media.protocol.upper(),
    )


@lru_cache(maxsize=4096)
def parse_connection(value: str) -> tuple[str, bool]:
    """The host of a c= line and whether it means hold (0.0.0.0, ::, or a name under .invalid, RFC 6157)."""
    parts = value.split()
    if len(parts) != 3 or parts[0].upper() != "IN" or parts[1].upper() not in ("IP4", "IP6"):
        raise SdpError(400, "not of the form IN IP4|IP6 address", f"c={value}")
    host = parts[2].partition("/")[0]
    address = parse_address(host)
    if address is not None:
        if address.is_multicast:
            raise SdpError(488, "multicast media is not supported", f"c={value}")
        return str(address), address.is_unspecified
    if not host.isascii() or not all(character.isalnum() or character in "-._" for character in host):
        raise SdpError(400, "neither an address nor a host name", f"c={value}")
    if not host or host.replace(".", "").isdigit() or len(host) > 253:
        raise SdpError(400, "not a valid address", f"c={value}")
    return host.lower(), host.lower().rstrip(".").endswith(".invalid")


def _first(lines: tuple[Line, ...], kind: str) -> str | None:
    for line in lines:
        if line[0] == kind:
            return line[1]
    return None


def _session_direction(lines: tuple[Line, ...]) -> Direction:
    """The direction that holds for streams that say nothing themselves."""
    for kind, value in lines:
        if kind == "a":
            direction = DIRECTIONS.get(value.strip().lower())
            if direction is not None:
                return direction
    return Direction.SENDRECV


class _Attributes:
    """One pass over the attributes of a stream."""

    __slots__ = ("_maps", "_parameters", "direction", "has_keys", "packet_time", "rtcp_host", "rtcp_mux", "rtcp_port")

    def __init__(self, media: MediaDescription, direction: Direction) -> None:
        self.direction = direction
        self.packet_time = 0
        self.rtcp_host = ""
        self.rtcp_port = 0
        self.rtcp_mux = False
        self.has_keys = False
        """Keys of SRTP (RFC 4568) or the fingerprint that DTLS is known by (RFC 5763)."""
        self._maps: dict[int, tuple[str, str, int, int]] = {}
        self._parameters: dict[str, str] = {}
        for kind, value in media.lines:
            if kind != "a":
                continue
            name, _, rest = value.partition(":")
            if name == "rtpmap":
                number, mapped = _parse_map(rest)
                self._maps.setdefault(number, mapped)
            elif name == "fmtp":
                number_text, _, parameters = rest.strip().partition(" ")
                self._parameters.setdefault(number_text, parameters.strip())
            elif name == "ptime":
                # 20.0 and the like are seen in the field; a ptime that cannot be read says nothing.
                self.packet_time = decimal(rest.strip().partition(".")[0], 1_000) or 0
            elif name == "rtcp-mux":
                self.rtcp_mux = True
            elif name == "rtcp":
                self._read_rtcp(rest)
            elif name in ("crypto", "fingerprint"):
                self.has_keys = True
            else:
                found = DIRECTIONS.get(value.strip().lower())
                if found is not None:
                    self.direction = found

    def _read_rtcp(self, rest: str) -> None:
        """RFC 3605: port [IN IP4 address]; one that cannot be read is as none at all."""
        parts = rest.split()
        port = decimal(parts[0], 65_535) if parts else None
        if not port:
            return
        self.rtcp_port = port
        if len(parts) == 4 and parse_address(parts[3]) is not None:
            address = parse_address(parts[3])
            self.rtcp_host = "" if address is None or address.is_unspecified else str(address)

    def formats(self, media: MediaDescription) -> tuple[Format, ...]:
        """The stream's formats in order of preference; a number that is named twice counts once."""
        formats: dict[int, Format] = {}
        for text in media.formats:
            number = _PAYLOAD_TYPES.get(text)
            if number is None:
                raise SdpError(400, f"'{text[:20]}' is not a payload type", f"m={media.line}")
            parameters = self._parameters.get(text, "")
            known = self._maps.get(number)
            if known is not None:
                formats[number] = Format(number, known[0], known[2], known[3], parameters, known[1])
            else:
                static = STATIC_PAYLOADS.get(number, _UNKNOWN)
                formats[number] = Format(number, static.name, static.clock_rate, static.channels, parameters)
        return tuple(formats.values())


@lru_cache(maxsize=1024)
def _parse_map(rest: str) -> tuple[int, tuple[str, str, int, int]]:
    """RFC 8866 section 6.6: payload type, encoding name / clock rate [/ channels]."""
    number_text, _, encoding = rest.strip().partition(" ")
    encoding = encoding.strip()
    name, _, rate_text = encoding.partition("/")
    rate_text, _, channels_text = rate_text.partition("/")
    number = decimal(number_text, 127)
    rate = decimal(rate_text.strip(), 1_000_000)
    if number is None or not name or not rate:
        raise SdpError(400, "an rtpmap needs payload type, name and clock rate", f"a=rtpmap:{rest}")
    # No channels, or rubbish there, is one channel.
    channels = decimal(channels_text.strip(), 255) or 1
    return number, (canonical_codec_name(name), encoding, rate, channels)


_PAYLOAD_TYPES = {str(number): number for number in range(128)}
_UNKNOWN = StaticPayload("", 8000, 1)
