"""Offer and answer (RFC 3264) between two sides that each see only this server: what to send on, and what was agreed.

A `Negotiation` does no input or output. It takes the session description of one side and gives the one for the other
side, with this server's address and ports, the codecs that both may use and every other stream refused with port 0.
What both sides agreed on is an immutable `NegotiatedMedia`; a new agreement replaces it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from app.errors import RemoteError
from app.media.addresses import parse_address
from app.media.codecs import TELEPHONE_EVENT, CodecChoice, parse_codec_choice
from app.media.sdp import (
    DIRECTION_NAMES,
    DIRECTIONS,
    AudioStream,
    Direction,
    Format,
    Line,
    MediaDescription,
    NoCommonCodec,
    SdpError,
    SessionDescription,
    audio_stream,
    audio_streams,
    parse,
)


class Side(IntEnum):
    """One of the two ends of a relayed call."""

    CALLER = 0
    CALLED = 1

    @property
    def other(self) -> Side:
        return Side.CALLED if self is Side.CALLER else Side.CALLER


@dataclass(frozen=True, slots=True)
class SideSettings:
    """What is known of a side before it says a word about media."""

    local_address: str
    """The address that its audio is received at: the one that its SIP uses."""
    external_address: str | None = None
    """The address that it is told instead, see `app.media.addresses.shown_address`."""
    sip_source: str | None = None
    """The address that its SIP comes from; behind address translation its audio is accepted from there."""
    codecs: tuple[str, ...] | None = None
    """Only these codecs, in this order; None or empty: every codec."""
    also_accept: tuple[str, ...] = ()
    """Further networks that its audio may come from."""
    local_networks: tuple[str, ...] = ()
    """Private networks that are within reach, so that an address in them is believed."""
    dtmf_by_info: bool = False
    """It takes and gives digits as SIP INFO where it has no telephone-event: the other side is then offered
    telephone-event all the same."""

    @property
    def shown_address(self) -> str:
        return self.external_address or self.local_address


class OfferPending(RemoteError):
    """An offer crossed one that is not answered yet (RFC 3264 section 4, RFC 3261 section 14.1)."""

    def __init__(self) -> None:
        super().__init__(491, "Request Pending", "SDP: an offer of the other side is not answered yet")


class UnexpectedAnswer(SdpError):
    """An answer although nothing was offered."""

    def __init__(self) -> None:
        super().__init__(400, "an answer, but nothing was offered")


@dataclass(frozen=True, slots=True)
class SideMedia:
    """What one side said about its audio."""

    host: str
    """Where it wants audio: address or name; blank while it never said (or holds by address from the start)."""
    port: int
    """0 while its stream is refused."""
    rtcp_host: str
    rtcp_port: int
    rtcp_mux: bool
    direction: Direction
    """As the side itself sees it."""
    sip_source: str | None


@dataclass(frozen=True, slots=True)
class PayloadRule:
    """What becomes of one payload type that a side sends."""

    incoming: int
    outgoing: int
    """The number that the other side knows the codec by; -1: the other side does not take it at all."""
    name: str
    """Canonical codec name."""
    clock_rate: int
    is_event: bool


@dataclass(frozen=True, slots=True)
class NegotiatedMedia:
    """What both sides agreed on. Never edited; a further offer and answer gives a new one."""

    sides: tuple[SideMedia, SideMedia]
    """Indexed by `Side`."""
    rules: tuple[tuple[PayloadRule, ...], tuple[PayloadRule, ...]]
    """For the packets that a side sends, indexed by that side."""
    events: tuple[tuple[int, int] | None, tuple[int, int] | None]
    """The (payload type, clock rate) of telephone-event towards each side, None where it takes none."""
    codec: str
    """The first codec that the answer names, as it is written there."""
    codec_name: str
    """Its canonical name."""
    packet_time: int
    """In ms; 20 where nobody said."""
    active: bool
    """Whether there is an audio stream at all (its port is not 0)."""
    secure: bool
    """SRTP: passed on as it is."""
    branch: str
    """The early dialog whose answer this is."""

    @property
    def held(self) -> bool:
        """Whether either side stopped the talk in one direction or both."""
        return any(side.direction is not Direction.SENDRECV for side in self.sides)

    def sends(self, side: Side) -> bool:
        """Whether audio from this side is to be expected: it sends and the other one listens."""
        return self.active and self.sides[side].direction.sends and self.sides[side.other].direction.receives


_DROPPED_ATTRIBUTES = frozenset(
    {
        # Addresses of the other side, and what only makes sense end to end with them (ICE, bundling).
        "candidate",
        "remote-candidates",
        "end-of-candidates",
        "ice-ufrag",
        "ice-pwd",
        "ice-options",
        "ice-lite",
        "ice-mismatch",
        "ice-pacing",
        "rtcp-mux-only",
        "source-filter",
        "group",
        "bundle-only",
        "msid-semantic",
        "alt",
        "direction",
        "nortpproxy",
    }
)
_DYNAMIC_NUMBERS: tuple[int, ...] = (101, *range(96, 101), *range(102, 128))

_Key = tuple[str, int, int, int]
"""A codec within a session: name, clock rate, channels, and which of several such formats."""


def _keys(formats: tuple[Format, ...]) -> tuple[tuple[_Key, Format], ...]:
    seen: dict[tuple[str, int, int], int] = {}
    keyed = []
    for item in formats:
        identity = (item.name or f"#{item.payload_type}", item.clock_rate, item.channels)
        ordinal = seen.get(identity, 0)
        seen[identity] = ordinal + 1
        keyed.append(((*identity, ordinal), item))
    return tuple(keyed)


class _Numbers:
    """The payload type numbers in use with one side; a number keeps its codec for the session (RFC 3264 8.3.2)."""

    __slots__ = ("by_key", "by_number")

    def __init__(self) -> None:
        self.by_key: dict[_Key, int] = {}
        self.by_number: dict[int, _Key] = {}

    def learn(self, key: _Key, number: int) -> None:
        """The side itself used this number: it wins over what we thought."""
        previous = self.by_number.get(number)
        if previous is not None and previous != key:
            self.by_key.pop(previous, None)
        self.by_key[key] = number
        self.by_number[number] = key

    def number_for(self, key: _Key, wanted: int) -> int:
        """The number to use towards the side: the known one, else the wanted one, else a free one."""
        known = self.by_key.get(key)
        if known is not None:
            return known
        if self.by_number.get(wanted, key) == key:
            self.learn(key, wanted)
            return wanted
        for number in _DYNAMIC_NUMBERS:
            if number not in self.by_number:
                self.learn(key, number)
                return number
        # All dynamic numbers are taken: the oldest codec of the session gives its number up.
        self.learn(key, wanted)
        return wanted


Ports = Mapping[str, int]
"""Our RTP ports towards a side by our address: one for each of the places where it may be. RTCP is one above."""

_Content = tuple[tuple[Line, ...], tuple[MediaDescription, ...]]
"""A description without its `v=` and `o=` lines."""


@dataclass(slots=True)
class _Sent:
    """What a side was last sent, for the version of its `o=` line (RFC 3264 section 8)."""

    session_id: int
    version: int = 0
    content: _Content | None = None

    def complete(self, content: _Content, place: SideSettings) -> bytes:
        """The whole description."""
        lines, media = content
        origin: Line = ("o", f"- {self.session_id} {self.version} {_network(place)}")
        return SessionDescription((("v", "0"), origin, *lines), media).to_bytes()


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to carry the audio of an offer, as it was sent on; most offers have no other one."""

    stream: AudioStream
    """As it was offered."""
    sent: tuple[tuple[_Key, Format, int], ...]
    """The codecs that were sent on: key, the format as offered (or made up by us), the number the other side got."""
    added_event: _Key | None
    """The telephone-event that we added of ourselves."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """An offer that was taken from one side and sent to the other."""

    from_side: Side
    description: SessionDescription
    streams: tuple[AudioStream, ...]
    """As they were offered, see `app.media.sdp.audio_streams`."""
    sip_source: str | None
    ways: tuple[_Way, ...]
    """Those of the streams that were sent on; the answer takes one."""
    answered: bool = field(default=False)


class Negotiation:
    """The offer/answer state of one relayed call: two dialogs, one of them possibly with several branches."""

    def __init__(self, caller: SideSettings, called: SideSettings, ports: tuple[Ports, Ports], session_id: int) -> None:
        """`ports` are ours towards each side, `session_id` goes into the `o=` lines."""
        self._settings = [caller, called]
        self._ports = list(ports)
        self._choices = [_choices(caller), _choices(called)]
        self._numbers = [_Numbers(), _Numbers()]
        self._sent = [_Sent(session_id), _Sent(session_id + 1)]
        self._offer: _Offer | None = None
        self._previous_offer: _Offer | None = None
        self.media: NegotiatedMedia | None = None
        """What is agreed now; None before the first answer."""

    @property
    def pending(self) -> Side | None:
        """The side whose offer is not answered yet."""
        return None if self._offer is None or self._offer.answered else self._offer.from_side

    def settings(self, side: Side) -> SideSettings:
        return self._settings[side]

    def port(self, side: Side) -> int:
        return self._ports[side][self._settings[side].local_address]

    def ends(self, side: Side) -> tuple[tuple[str, int], ...]:
        """Our addresses and ports towards a side: first the one where it is, then those of its other places."""
        here = self._settings[side].local_address
        return tuple(sorted(self._ports[side].items(), key=lambda end: end[0] != here))

    def offer(self, from_side: Side, sdp: bytes, sip_source: str | None = None) -> bytes:
        """Take an offer (in an INVITE, re-INVITE, UPDATE or, late, in a 200); returns the one for the other side.

        Raises `SdpError` 400 or 488, after which nothing has changed, and `OfferPending` 491 on glare.
        """
        if self._offer is not None and not self._offer.answered and self._offer.from_side is not from_side:
            raise OfferPending
        description = parse(sdp)
        streams = audio_streams(description)
        if not streams[0].port and any(media.port for media in description.media):
            # A fax or a video in place of the audio: refused, the audio that there is goes on (RFC 3261 14.2).
            raise SdpError(488, "no audio stream in use beside the others")
        usable = self._with_a_common_codec(streams, from_side)
        if self._offer is None or self._offer.answered:
            self._previous_offer = self._offer
        source = sip_source or self._settings[from_side].sip_source
        return self._send_offer(_Offer(from_side, description, streams, source, self._ways(usable, from_side)))

    def answer(self, from_side: Side, sdp: bytes, branch: str = "", sip_source: str | None = None) -> bytes:
        """Take an answer; returns the one for the side that offered.

        A further answer to the same offer is taken as well: another early dialog (`branch`), or the same words again
        in the final response. The last one counts. Raises `SdpError`, after which nothing has changed.
        """
        offer = self._offer
        if offer is None or offer.from_side is from_side:
            raise UnexpectedAnswer
        description = parse(sdp)
        way, stream = _find_answer(description, offer.ways)
        matched = self._match(way, stream)
        source = sip_source or self._settings[from_side].sip_source
        sent = self._send_answer(offer, way, description, stream, matched)
        self.media = self._agree(offer, way, stream, matched, source, branch)
        self._offer = replace(offer, answered=True)
        return sent

    def rollback(self) -> None:
        """The pending offer was refused: what was agreed before stays (RFC 3261 section 14.1)."""
        if self._offer is not None and not self._offer.answered:
            self._offer = self._previous_offer
            self._previous_offer = None

    def redirect(self, side: Side, settings: SideSettings, ports: Ports, session_id: int) -> bytes | None:
        """Another peer takes this side's place (the next target of a call).

        Returns the pending offer of the other side anew, for that peer; None while there is none.
        Raises `SdpError` 488 where the offer has no codec for it.
        """
        self._settings[side] = settings
        self._choices[side] = _choices(settings)
        self._ports[side] = ports
        self._numbers[side] = _Numbers()
        self._sent[side] = _Sent(session_id)
        self.media = None
        offer = self._offer
        if offer is None or offer.from_side is side:
            self._offer = self._previous_offer = None
            return None
        usable = self._with_a_common_codec(offer.streams, offer.from_side)
        return self._send_offer(replace(offer, ways=self._ways(usable, offer.from_side), answered=False))

    def offer_at(self, side: Side, settings: SideSettings) -> bytes:
        """The offer that a side was sent last, as another place of it gets it. Nothing changes by it."""
        offer = self._offer
        if offer is None or offer.from_side is side:
            return b""
        return self._sent[side].complete(self._offered(offer, settings), settings)

    def reached_at(self, side: Side, settings: SideSettings) -> bool:
        """Of several places that were asked a side is at this one: it is told this address from now on.

        Returns whether our end towards it is another one than before; then nothing is agreed on yet.
        """
        before = self._settings[side]
        if settings == before or settings.local_address not in self._ports[side]:
            return False
        self._settings[side] = settings
        offer = self._offer
        if offer is not None and offer.from_side is not side:
            self._sent[side].content = self._offered(offer, settings)
        if settings.local_address == before.local_address:
            return False
        self.media = None
        return True

    def settle(self, side: Side) -> None:
        """A side is where it is, and will not turn out to be elsewhere."""
        here = self._settings[side].local_address
        self._ports[side] = {here: self._ports[side][here]}

    # --- offers -----------------------------------------------------------------------------------------------------

    def _with_a_common_codec(self, streams: tuple[AudioStream, ...], from_side: Side) -> list[AudioStream]:
        """The streams that the codec lists of both sides leave something to speak of; a refused one needs none."""
        usable = [
            stream
            for stream in streams
            if not stream.port or any(item.is_speech for item in self._usable(stream.formats, from_side))
        ]
        if not usable:
            allowed = self._settings[from_side].codecs or self._settings[from_side.other].codecs or ()
            raise NoCommonCodec(tuple(str(item) for item in streams[0].formats), allowed)
        return usable

    def _usable(self, formats: tuple[Format, ...], from_side: Side) -> list[Format]:
        """The formats that the codec lists of both sides allow, in the order of the receiver's list, else the sender's.

        What accompanies speech (telephone-event, comfort noise) is never filtered and keeps its place at the end.
        """
        own, other = self._choices[from_side], self._choices[from_side.other]
        if not own and not other:
            return list(formats)
        speech = [item for item in formats if item.is_speech and _allowed(item, own) and _allowed(item, other)]
        order = other or own
        speech.sort(key=lambda item: _position(item, order))
        return speech + [item for item in formats if not item.is_speech]

    def _ways(self, streams: list[AudioStream], from_side: Side) -> tuple[_Way, ...]:
        return tuple(self._way(stream, from_side) for stream in streams)

    def _way(self, stream: AudioStream, from_side: Side) -> _Way:
        """How a stream is sent on: with which codecs, under which numbers."""
        usable = self._usable(stream.formats, from_side) if stream.port else list(stream.formats)
        own_numbers, numbers = self._numbers[from_side], self._numbers[from_side.other]
        keys = {item.payload_type: key for key, item in _keys(stream.formats)}
        for number, key in keys.items():
            own_numbers.learn(key, number)
        # SRTP covers the payload type with its signature: there it must stay as it is.
        sent = [
            (keys[item.payload_type], item, item.payload_type)
            if stream.secure
            else (keys[item.payload_type], item, numbers.number_for(keys[item.payload_type], item.payload_type))
            for item in usable
        ]
        added = None
        if stream.port and not stream.secure and self._settings[from_side].dtmf_by_info:
            added = _missing_event(tuple(item for _, item, _ in sent))
            if added is not None:
                event = Format(0, TELEPHONE_EVENT, added[1], 1, "0-16", f"telephone-event/{added[1]}")
                sent.append((added, event, numbers.number_for(added, 101)))
        return _Way(stream, tuple(sent), added)

    def _send_offer(self, offer: _Offer) -> bytes:
        self._offer = offer
        to_side = offer.from_side.other
        return self._send(to_side, self._offered(offer, self._settings[to_side]))

    def _offered(self, offer: _Offer, place: SideSettings) -> _Content:
        """An offer as a place of the other side gets it; all ways to carry the audio lead to the same port of ours."""
        to_side = offer.from_side.other
        media = [item.rejected() for item in offer.description.media]
        for way in offer.ways:
            stream = way.stream
            if stream.port:
                item = offer.description.media[stream.index]
                section = _Section(item, self._ports[to_side][place.local_address], stream.direction, stream.rtcp_mux)
                formats = [(form.payload_type, number, form) for _, form, number in way.sent]
                media[stream.index] = section.build(formats, way.added_event)
        previous = self._sent[to_side].content
        if previous is not None and len(previous[1]) > len(media):
            # A dialog never loses an m= line (RFC 3264 section 8).
            media.extend(item.rejected() for item in previous[1][len(media) :])
        return _session_lines(offer.description.lines, _network(place)), tuple(media)

    # --- answers ----------------------------------------------------------------------------------------------------

    def _match(self, way: _Way, stream: AudioStream | None) -> list[tuple[_Key, Format, Format]]:
        """The codecs of an answer that were offered: (key, the format as offered, the format as answered)."""
        if stream is None or not stream.port or not way.stream.port:
            return []
        matched: list[tuple[_Key, Format, Format]] = []
        open_entries = list(way.sent)
        for answered in stream.formats:
            same = [entry for entry in open_entries if _same_codec(entry[1], answered, entry[2])]
            if not same:
                continue
            chosen = next((entry for entry in same if entry[2] == answered.payload_type), same[0])
            open_entries.remove(chosen)
            matched.append((chosen[0], chosen[1], answered))
        if not any(answered.is_speech for _, _, answered in matched):
            raise NoCommonCodec(
                tuple(str(form) for _, form, _ in way.sent if form.is_speech),
                tuple(str(form) for form in stream.formats),
            )
        return matched

    def _send_answer(
        self,
        offer: _Offer,
        way: _Way,
        description: SessionDescription,
        stream: AudioStream | None,
        matched: list[tuple[_Key, Format, Format]],
    ) -> bytes:
        to_side = offer.from_side
        media = [item.rejected() for item in offer.description.media]
        if stream is not None and matched:
            source = description.media[stream.index]
            direction = Direction(stream.direction & way.stream.direction.reversed())
            section = _Section(source, self.port(to_side), direction, way.stream.rtcp_mux)
            formats = [
                (answered.payload_type, offered.payload_type, answered)
                for key, offered, answered in matched
                if key != way.added_event
            ]
            added = None
            if self._settings[to_side.other].dtmf_by_info and not any(
                answered.is_telephone_event for _, _, answered in matched
            ):
                # The answering side has no telephone-event, but takes INFO: keep the digits of the offering side.
                offered_events = (form for key, form, _ in way.sent if key != way.added_event)
                wanted = next((form for form in offered_events if form.is_telephone_event), None)
                if wanted is not None and not way.stream.secure:
                    formats.append((-1, wanted.payload_type, wanted))
                    added = (wanted.name, wanted.clock_rate, wanted.channels, 0)
            media[way.stream.index] = section.build(formats, added)
        lines = _session_lines(description.lines, _network(self._settings[to_side]))
        return self._send(to_side, (lines, tuple(media)))

    def _agree(
        self,
        offer: _Offer,
        way: _Way,
        stream: AudioStream | None,
        matched: list[tuple[_Key, Format, Format]],
        sip_source: str | None,
        branch: str,
    ) -> NegotiatedMedia:
        offering, answering = offer.from_side, offer.from_side.other
        sides: list[SideMedia | None] = [None, None]
        sides[offering] = self._side_media(offering, way.stream, offer.sip_source, way.stream.rtcp_mux)
        mux = way.stream.rtcp_mux and stream is not None and stream.rtcp_mux
        sides[answering] = self._side_media(answering, stream, sip_source, mux)
        # What is offered as an option, in AVP with keys, or refused against the rules, is as the answer has it.
        secure = way.stream.secure and stream is not None and stream.secure
        rules, events = _rules(offer.from_side, way, matched, self._settings[answering].dtmf_by_info)
        if not way.stream.secure:
            for key, _, answered in matched:
                self._numbers[answering].learn(key, answered.payload_type)
        speech = next((answered for _, _, answered in matched if answered.is_speech), None)
        packet_time = (stream.packet_time if stream else 0) or way.stream.packet_time or 20
        caller, called = sides
        assert caller is not None and called is not None
        return NegotiatedMedia(
            sides=(caller, called),
            rules=rules,
            events=(None, None) if secure else events,
            codec=str(speech) if speech else "",
            codec_name=speech.name if speech else "",
            packet_time=packet_time,
            active=bool(matched),
            secure=secure,
            branch=branch,
        )

    def _side_media(self, side: Side, stream: AudioStream | None, sip_source: str | None, mux: bool) -> SideMedia:
        if stream is None:
            return SideMedia("", 0, "", 0, False, Direction.INACTIVE, sip_source)
        previous = self.media.sides[side] if self.media is not None else None
        if stream.held_by_address and previous is not None:
            # Hold by 0.0.0.0 says nothing of where the audio will go on: keep what was said before.
            return replace(previous, direction=stream.direction, sip_source=sip_source, rtcp_mux=mux)
        return SideMedia(
            stream.host,
            stream.port,
            stream.rtcp_host,
            stream.port if mux else stream.rtcp_port,
            mux,
            stream.direction,
            sip_source,
        )

    # --- writing ----------------------------------------------------------------------------------------------------

    def _send(self, side: Side, content: _Content) -> bytes:
        """The description for a side, with our `o=` line; its version grows when anything else changes."""
        sent = self._sent[side]
        if sent.content != content:
            sent.version += 1
            sent.content = content
        return sent.complete(content, self._settings[side])


def _network(place: SideSettings) -> str:
    """The address that a place is told, as `c=` and `o=` lines have it (RFC 8866 5.2)."""
    address = place.shown_address
    parsed = parse_address(address)
    return f"IN {'IP6' if parsed is not None and parsed.version == 6 else 'IP4'} {address}"


def _session_lines(lines: tuple[Line, ...], connection: str) -> tuple[Line, ...]:
    """The session lines to pass on, in the order of RFC 8866 section 9, without `v=` and `o=`."""
    subject: list[Line] = []
    details: list[Line] = []
    times: list[Line] = []
    rest: list[Line] = []
    for line in lines:
        kind, value = line
        if kind == "s":
            subject.append(line)
        elif kind in "iuep":
            details.append(line)
        elif kind in "trz":
            times.append(line)
        elif kind == "a":
            name = value.partition(":")[0]
            if name not in _DROPPED_ATTRIBUTES and value.strip().lower() not in DIRECTIONS:
                rest.append(line)
        elif kind not in "voc":
            (times if kind == "b" else rest).append(line)
    bandwidth = [line for line in times if line[0] == "b"]
    times = [line for line in times if line[0] != "b"]
    head = (*(subject[:1] or [("s", "-")]), *details, ("c", connection), *bandwidth)
    return (*head, *(times or [("t", "0 0")]), *rest)


class _Section:
    """Writes the audio section for one side from the section of the other."""

    __slots__ = ("_direction", "_media", "_mux", "_port")

    def __init__(self, media: MediaDescription, port: int, direction: Direction, mux: bool) -> None:
        self._media = media
        self._port = port
        self._direction = direction
        self._mux = mux

    def build(self, formats: list[tuple[int, int, Format]], added: _Key | None) -> MediaDescription:
        """`formats`: (number in the source or -1, number to write, format); `added`: a telephone-event not in it."""
        numbers = {str(source): new for source, new, _ in formats}
        if added is not None:
            numbers = {str(source): new for source, new, _ in formats[:-1]}
        lines: list[Line] = []
        directed = muxed = False
        for line in self._media.lines:
            kind, value = line
            if kind == "c":
                continue
            if kind != "a":
                lines.append(line)
                continue
            name, _, rest = value.partition(":")
            if name in ("rtpmap", "fmtp", "rtcp-fb"):
                renumbered = _renumber(name, rest, value, numbers)
                if renumbered is not None:
                    lines.append(("a", renumbered))
            elif value.strip().lower() in DIRECTIONS:
                if not directed:
                    directed = True
                    lines.append(("a", DIRECTION_NAMES[self._direction]))
            elif name == "rtcp":
                lines.append(("a", f"rtcp:{self._port + 1}"))
            elif name == "rtcp-mux":
                if self._mux and not muxed:
                    muxed = True
                    lines.append(line)
            elif name not in _DROPPED_ATTRIBUTES:
                lines.append(line)
        if added is not None:
            number = formats[-1][1]
            lines.append(("a", f"rtpmap:{number} telephone-event/{added[1]}"))
            lines.append(("a", f"fmtp:{number} 0-16"))
        if not directed and self._direction is not Direction.SENDRECV:
            lines.append(("a", DIRECTION_NAMES[self._direction]))
        if self._mux and not muxed:
            lines.append(("a", "rtcp-mux"))
        return MediaDescription(
            self._media.media,
            self._port,
            1,
            self._media.protocol,
            tuple(str(new) for _, new, _ in formats),
            tuple(lines),
        )


def _renumber(name: str, rest: str, value: str, numbers: dict[str, int]) -> str | None:
    """An attribute of one format with its new number, None where the format is not passed on."""
    stripped = rest.lstrip()
    number, blank, tail = stripped.partition(" ")
    if number == "*":
        return value
    new = numbers.get(number)
    if new is None:
        return None
    return value if number == str(new) else f"{name}:{new}{blank}{tail}"


def _choices(settings: SideSettings) -> tuple[CodecChoice, ...]:
    return tuple(parse_codec_choice(text) for text in settings.codecs or ())


def _allowed(item: Format, choices: tuple[CodecChoice, ...]) -> bool:
    return not choices or any(choice.matches(item.name, item.clock_rate, item.channels) for choice in choices)


def _position(item: Format, choices: tuple[CodecChoice, ...]) -> int:
    for position, choice in enumerate(choices):
        if choice.matches(item.name, item.clock_rate, item.channels):
            return position
    return len(choices)


def _missing_event(formats: tuple[Format, ...]) -> _Key | None:
    """The telephone-event that formats lack: at the clock rate of the first codec (RFC 4733 section 2.1)."""
    if any(item.is_telephone_event for item in formats):
        return None
    rate = next((item.clock_rate for item in formats if item.is_speech), 8000)
    return (TELEPHONE_EVENT, rate, 1, 0)


def _same_codec(offered: Format, answered: Format, sent_number: int) -> bool:
    if not offered.name or not answered.name:
        # A number without rtpmap line is only itself.
        return sent_number == answered.payload_type
    return offered.name == answered.name and offered.clock_rate == answered.clock_rate


def _find_answer(description: SessionDescription, ways: tuple[_Way, ...]) -> tuple[_Way, AudioStream | None]:
    """The way that an answer takes, and its stream: the first one in use at its place.

    Of a peer that lost lines it is the first audio, as an answer to the way of its protocol.
    """
    media = description.media
    if ways[-1].stream.index < len(media):
        places = [(way, way.stream.index) for way in ways if media[way.stream.index].is_audio]
        if places:
            way, index = next((place for place in places if media[place[1]].port), places[0])
            return way, audio_stream(description, index)
    try:
        stream = audio_stream(description)
    except SdpError as error:
        if error.status == 488:
            return ways[0], None
        raise
    return next((way for way in ways if way.stream.protocol == stream.protocol), ways[0]), stream


def _rules(
    offering: Side, way: _Way, matched: list[tuple[_Key, Format, Format]], answering_takes_info: bool
) -> tuple[
    tuple[tuple[PayloadRule, ...], tuple[PayloadRule, ...]], tuple[tuple[int, int] | None, tuple[int, int] | None]
]:
    """The payload rules per sending side and the telephone-event payload type towards each side."""
    told = {key: number for key, _, number in way.sent}
    by_side: list[dict[int, PayloadRule]] = [{}, {}]
    events: list[tuple[int, int] | None] = [None, None]
    answering = offering.other
    # The answering side should send by the numbers of our offer; many send by their own.
    for by_own_number in (False, True):
        for key, offered, answered in matched:
            number = answered.payload_type if by_own_number else told[key]
            outgoing = -1 if key == way.added_event else offered.payload_type
            by_side[answering].setdefault(number, _rule(number, outgoing, answered, way.stream.secure))
    for key, offered, answered in matched:
        event = answered.is_telephone_event
        if event and events[answering] is None:
            events[answering] = (answered.payload_type, answered.clock_rate)
        if key == way.added_event:
            continue
        # The offering side sends by the numbers of our answer, which are its own.
        number = offered.payload_type
        by_side[offering][number] = _rule(number, answered.payload_type, answered, way.stream.secure)
        if event and events[offering] is None:
            events[offering] = (number, offered.clock_rate)
    if answering_takes_info and not any(answered.is_telephone_event for _, _, answered in matched):
        for key, form, _ in way.sent:
            if form.is_telephone_event and key != way.added_event:
                by_side[offering][form.payload_type] = _rule(form.payload_type, -1, form, way.stream.secure)
                events[offering] = events[offering] or (form.payload_type, form.clock_rate)
    return (tuple(by_side[0].values()), tuple(by_side[1].values())), (events[0], events[1])


def _rule(incoming: int, outgoing: int, form: Format, secure: bool) -> PayloadRule:
    # SRTP signs the payload type: it passes as it came.
    return PayloadRule(incoming, incoming if secure else outgoing, form.name, form.clock_rate, form.is_telephone_event)
