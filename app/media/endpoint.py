"""One relayed session inside a worker: its sockets, whom they listen to, and what becomes of each packet.

An `Endpoint` is one UDP socket towards one side. It learns its peer within what was signalled, is then connected to it,
and from that moment the kernel drops everybody else's packets. Packets that are exactly the next one of a known stream
are forwarded by the relay's loop itself; all others come to `handle_rtp` or `handle_rtcp` here.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from secrets import randbits
from typing import TYPE_CHECKING, Any

from app.media.messages import NOBODY, Address, Message, SessionConfiguration, SideConfiguration
from app.media.rtp import RoundTrip, RtpError, SenderReport, parse_rtcp, sequence_difference
from app.media.sockets import bind_socket, dissolve
from app.media.statistics import StreamStatistics
from app.media.telephone_event import EventDetector, EventSender, parse_event

if TYPE_CHECKING:
    from app.media.relay import Relay

BUFFER_SIZE = 4097
"""One more than the longest packet that is forwarded, so that a longer one shows itself."""

LOOPBACK = "127.0.0.1"
CANDIDATE_PACKETS = 4
"""Packets in a row that a source needs to be believed where no exact address is known (behind NAT)."""
CANDIDATE_PACKETS_BESIDE_EXACT = 40
CANDIDATE_SECONDS_BESIDE_EXACT = 0.8
"""Likewise where the side named another port at the same address, or has left this one for it: the one that it named is
given so long to show itself, and only what goes on like the steady stream of a phone is believed instead."""
MAXIMUM_CANDIDATES = 8
MAXIMUM_DIGITS = 32
"""Digits waiting to be sent towards one side."""
_DIGIT_PAUSE = 0.05
_EARLY_PACKETS = 10
_EARLY_SECONDS = 0.2
_RECEIVE_BATCH = 64
_DRAIN_LIMIT = 4096

_HEAD = struct.Struct("!III")
_SEQUENCE = struct.Struct("!H")

IDLE = StreamStatistics()
"""Stands where no packet may be taken by the loop itself: nothing ever equals its `expected`."""

Entry = tuple[StreamStatistics, Callable[[Any], int], Callable[[memoryview], int], Callable[[int], None]]
"""What the loop needs of a socket: figures, receive, send for the expected packet, handler for every other one."""

Pair = tuple[socket.socket, socket.socket]
"""The sockets for RTP and RTCP at one end."""

_PAYLOAD_TYPES = 128


def _accept_nothing(_view: memoryview) -> int:
    return 0


def ignore(_size: int) -> None:
    """For sockets whose receive function has done everything."""


def is_handshake(buffer: bytearray, size: int) -> bool:
    """Whether what was received is DTLS, by which the keys of SRTP are agreed on (RFC 7983 section 7)."""
    return 0 < size < BUFFER_SIZE and 20 <= buffer[0] <= 63


class Candidate:
    """A source that may be the side, but is not the address that it named."""

    __slots__ = ("packets", "sequence", "since", "ssrc")

    def __init__(self, sequence: int, ssrc: int, now: float) -> None:
        self.packets = 1
        self.sequence = sequence
        self.ssrc = ssrc
        self.since = now

    def again(self, sequence: int, ssrc: int, now: float) -> None:
        """Another packet of it; a stream that is not continuous begins anew."""
        if ssrc == self.ssrc and 0 < sequence_difference(sequence, self.sequence) <= 2:
            self.packets += 1
        else:
            self.packets, self.since = 1, now
        self.sequence, self.ssrc = sequence, ssrc

    def believed(self, beside_exact: bool, now: float) -> bool:
        """Whether it has shown itself long enough, `beside_exact` where the side is expected at another port."""
        if not beside_exact:
            return self.packets >= CANDIDATE_PACKETS
        return self.packets >= CANDIDATE_PACKETS_BESIDE_EXACT and now - self.since >= CANDIDATE_SECONDS_BESIDE_EXACT


class Digits:
    """The digits on their way to one side as telephone-event."""

    __slots__ = ("not_before", "sender", "sequence", "ssrc", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, int]] = deque()
        self.sender: EventSender | None = None
        self.not_before = 0.0
        self.sequence = 0
        self.ssrc = 0


class Endpoint:
    """One UDP socket towards one side."""

    __slots__ = (
        "address",
        "candidates",
        "configuration",
        "current_payload",
        "descriptor",
        "destination",
        "detector",
        "digits",
        "draining",
        "dropped",
        "early",
        "foreign",
        "is_rtcp",
        "left",
        "locked",
        "networks",
        "offset",
        "offset_from",
        "offset_ssrc",
        "peer",
        "previous",
        "relay",
        "rules",
        "session",
        "side",
        "socket",
        "statistics",
        "twin",
        "watched",
    )

    def __init__(self, relay: Relay, session: RelayedSession, side: int, bound: socket.socket, is_rtcp: bool) -> None:
        self.relay = relay
        self.session = session
        self.side = side
        self.is_rtcp = is_rtcp
        self.socket = bound
        self.descriptor = bound.fileno()
        self.watched = False
        """Whether the loop looks at the socket."""
        self.address: Address = bound.getsockname()[:2]
        self.peer: Endpoint = self
        self.statistics = StreamStatistics()
        self.configuration: SideConfiguration | None = None
        self.networks: tuple[IPv4Network | IPv6Network, ...] = ()
        self.twin: Address | None = None
        """The named port at the loopback's first address: a program on this machine that is bound to every address
        sends from there, whichever loopback address it names (and nobody else can have that port)."""
        self.locked: Address | None = None
        """The address that the socket is connected to."""
        self.draining = False
        """Connected, but what came before that may still be in the queue."""
        self.previous: Address | None = None
        """Where it was locked to before it was unlocked."""
        self.left: Address | None = None
        """Where it was locked to before the side named another address: what still comes from there is late."""
        self.destination: Address | None = None
        """Where to send while it is not locked."""
        self.candidates: dict[Address, Candidate] = {}
        self.rules: list[tuple[int, int, bool] | None] = [None] * _PAYLOAD_TYPES
        """By incoming payload type: outgoing, clock rate, is event."""
        self.current_payload = -1
        self.detector = EventDetector()
        self.digits: Digits | None = None
        """On their way to this side, in place of the audio."""
        self.offset = 0
        """What is added to sequence numbers of the audio that goes to this side, after digits were put in."""
        self.offset_from = 0
        """Older audio packets than this one were replaced by the digits."""
        self.offset_ssrc = 0
        self.early: deque[tuple[float, bytes, Address]] | None = deque(maxlen=_EARLY_PACKETS)
        """What came before anything was negotiated: the first audio may overtake the answer that announces it."""
        self.foreign = 0
        self.dropped = 0

    # --- who the side is --------------------------------------------------------------------------------------------

    def configure(self, configuration: SideConfiguration, unlock: bool) -> None:
        """Take what was negotiated for the side."""
        known = self.configuration
        self.configuration = configuration
        if configuration == NOBODY:
            # Between two targets of a call: the next one's first audio may overtake its answer just as well.
            self.configuration, self.early = None, deque(maxlen=_EARLY_PACKETS)
        self.networks = tuple(ip_network(network, strict=False) for network in configuration.networks)
        exact = configuration.rtcp_exact if self.is_rtcp else configuration.exact
        self.twin = (LOOPBACK, exact[1]) if exact is not None and exact[0].startswith("127.") else None
        destination = configuration.rtcp_destination if self.is_rtcp else configuration.destination
        locked = configuration.rtcp_locked if self.is_rtcp else configuration.locked
        if self.locked is not None and unlock:
            self._unlock()
        if self.previous is not None:
            moved = known is None or destination != (known.rtcp_destination if self.is_rtcp else known.destination)
            if moved or not self._accepts(self.previous[0]):
                self.left, self.previous = self.previous, None
        # The address that was learned is better than the one that was named, unless it named a new one.
        self.destination = self.previous or destination
        if locked is not None:
            self.lock(locked, report=False)

    def _accepts(self, host: str) -> bool:
        configuration = self.configuration
        if configuration is None:
            return False
        if host in configuration.hosts:
            return True
        if not self.networks:
            return False
        address = ip_address(host)
        return any(address in network for network in self.networks)

    def receive_checked(self, buffer: bytearray) -> int:
        """Take packets with their source, until the socket is connected and what came before is gone."""
        for _ in range(_RECEIVE_BATCH):
            try:
                size, source = self.socket.recvfrom_into(buffer)
            except BlockingIOError:
                if self.draining:
                    self.draining = False
                    self.refresh()
                return 0
            except ConnectionError:
                continue  # an ICMP error of something sent before
            self._take(source[:2], size)
        return 0

    def take_early(self) -> None:
        """Now that it is known who the side is: what it sent a moment before. Older audio would only be an echo."""
        early, self.early = self.early, None
        now = self.relay.clock()
        for at, data, address in early or ():
            if now - at < _EARLY_SECONDS:
                self.relay.buffer[: len(data)] = data
                self._take(address, len(data))

    def _take(self, address: Address, size: int) -> None:
        """A packet in the buffer whose source is still to be looked at."""
        if self.locked is not None:
            if address != self.locked:
                self.foreign += 1
                return
        elif not self._learn(address, size):
            return
        if self.is_rtcp:
            self.handle_rtcp(size)
        else:
            self.handle_rtp(size)

    def _learn(self, address: Address, size: int) -> bool:
        """Whether a packet from this address is the side's; the first such one locks the socket to it."""
        configuration = self.configuration
        if configuration is None:
            if self.early is not None and size < BUFFER_SIZE:
                self.early.append((self.relay.clock(), bytes(self.relay.views[size]), address))
            return False
        if address != self.twin and not self._accepts(address[0]):
            self.foreign += 1
            return False
        buffer = self.relay.buffer
        exact = configuration.exact
        if self.session.secure and not self.is_rtcp and is_handshake(buffer, size):
            # DTLS comes before any RTP, and proves by its fingerprint who it is.
            named = exact is not None and exact[0] == address[0]
            if not named or address in (exact, self.twin, self.previous):
                self.lock(address)
            return self.locked is not None
        is_rtcp = 192 <= buffer[1] <= 223
        if size < (8 if is_rtcp else 12) or buffer[0] >> 6 != 2 or is_rtcp != self.is_rtcp:
            # RTCP on the port of RTP, DTLS and keep-alives tell nothing; they pass only from the exact address.
            return address == exact and not self.is_rtcp
        if self.is_rtcp:
            # RTCP is rare: the address of the side's RTP is proof enough.
            partner = self.session.endpoints[self.side][0].locked
            if address in (configuration.rtcp_exact, self.twin) or (partner is not None and address[0] == partner[0]):
                self.lock(address)
                return True
            return False
        if address in (exact, self.twin, self.previous):
            self.lock(address)
            return True
        _, _, ssrc = _HEAD.unpack_from(buffer)
        sequence = _SEQUENCE.unpack_from(buffer, 2)[0]
        now = self.relay.clock()
        candidate = self.candidates.get(address)
        if candidate is None:
            if len(self.candidates) >= MAXIMUM_CANDIDATES:
                del self.candidates[next(iter(self.candidates))]
            self.candidates[address] = Candidate(sequence, ssrc, now)
            return False
        candidate.again(sequence, ssrc, now)
        elsewhere = address == self.left or (exact is not None and exact[0] == address[0])
        if not candidate.believed(elsewhere, now):
            return False
        self.lock(address)
        return True

    def lock(self, address: Address, report: bool = True) -> None:
        """Connect the socket: from now on the kernel drops what others send."""
        try:
            self.socket.connect(address)
        except OSError:
            # No route, for example; it is tried again with the next packet.
            self.dropped += 1
            return
        self.locked = address
        self.previous = self.left = None
        self.draining = True
        self.candidates.clear()
        self.refresh()
        self.peer.refresh()
        if report:
            self.relay.report_learned(self.session.id, self.side, self.is_rtcp, address)
            if not self.is_rtcp:
                self._guess_rtcp(address)

    def _guess_rtcp(self, address: Address) -> None:
        """RTP came from another address than named: send RTCP one port above it until RTCP tells better."""
        rtcp = self.session.endpoints[self.side][1]
        configuration = self.configuration
        if rtcp.locked is None and configuration is not None and address != configuration.exact:
            rtcp.destination = (address[0], min(address[1] + 1, 65_535))

    def _unlock(self) -> None:
        self.previous, self.locked = self.locked, None
        self.draining = False
        self.candidates.clear()
        if not dissolve(self.socket):
            self._rebind()
        self.refresh()
        self.peer.refresh()

    def _rebind(self) -> None:
        """The connection cannot be dissolved on this system: a new socket on the same port."""
        relay = self.relay
        relay.forget(self)
        self.socket.close()
        self.socket = bind_socket(*self.address)
        self.descriptor = self.socket.fileno()
        relay.watch(self)

    # --- what the loop does with a packet ---------------------------------------------------------------------------

    def refresh(self) -> None:
        """Tell the loop what to do with this socket's packets; called whenever something that matters has changed."""
        if not self.watched:
            return
        receive = self.socket.recv_into
        if self.locked is None or self.draining:
            entry: Entry = (IDLE, self.receive_checked, _accept_nothing, ignore)
        elif self.is_rtcp:
            entry = (IDLE, receive, _accept_nothing, self.handle_rtcp)
        else:
            send = self._fast_send()
            if send is None:
                entry = (IDLE, receive, _accept_nothing, self.handle_rtp)
            else:
                entry = (self.statistics, receive, send, self.handle_rtp)
        self.relay.set_entry(self.descriptor, entry)

    def _fast_send(self) -> Callable[[memoryview], int] | None:
        """The function by which the loop may forward an expected packet itself; None: every packet is looked at."""
        peer = self.peer
        if not self.session.active or peer.locked is None or peer.digits is not None or peer.offset:
            return None
        payload_type = self.current_payload
        rule = self.rules[payload_type] if payload_type >= 0 else None
        if rule is None or rule[0] == payload_type:
            return peer.socket.send
        outgoing = rule[0]
        if outgoing < 0 or rule[2]:
            return None
        buffer, send = self.relay.buffer, peer.socket.send

        def send_renumbered(view: memoryview) -> int:
            buffer[1] = outgoing  # an expected packet has no marker
            return send(view)

        return send_renumbered

    def handle_rtp(self, size: int) -> None:
        """A packet of the locked side that is not simply the next one."""
        relay, session = self.relay, self.session
        buffer = relay.buffer
        second = buffer[1]
        is_rtcp = 192 <= second <= 223
        if size < (8 if is_rtcp else 12) or size >= BUFFER_SIZE or buffer[0] >> 6 != 2:
            # Keep-alives (RFC 6263) end here; DTLS of an encrypted call passes.
            if session.secure and is_handshake(buffer, size) and session.active:
                self.peer.transmit(relay.views[size])
            else:
                self.dropped += 1
            return
        if is_rtcp:
            self.handle_rtcp(size)
            return
        head, timestamp, ssrc = _HEAD.unpack_from(buffer)
        payload_type = second & 0x7F
        rule = self.rules[payload_type]
        outgoing, clock_rate, is_event = rule or (payload_type, self.statistics.clock_rate, False)
        now = relay.clock()
        self.statistics.receive(head, timestamp, ssrc, size, now, clock_rate, is_event)
        if is_event:
            self._read_event(timestamp, clock_rate, size, outgoing >= 0, now)
        elif payload_type != self.current_payload:
            self.current_payload = payload_type
            self.refresh()
        peer = self.peer
        if outgoing < 0 or not session.active or peer.digits is not None:
            self.dropped += peer.digits is None
            return
        if outgoing != payload_type:
            buffer[1] = outgoing | (second & 0x80)
        if peer.offset and not peer.shift(head & 0xFFFF, ssrc):
            return
        peer.transmit(relay.views[size])

    def transmit(self, view: memoryview) -> None:
        """Send to this side, to where it is or, before it is known, to where it said."""
        try:
            if self.locked is not None:
                self.socket.send(view)
            elif self.destination is not None:
                self.socket.sendto(view, self.destination)
            else:
                self.peer.dropped += 1
        except OSError:
            # Nobody listens there, no route, or the send buffer is full.
            self.relay.send_errors += 1

    def _read_event(self, timestamp: int, clock_rate: int, size: int, forwarded: bool, now: float) -> None:
        if self.session.secure:
            return
        buffer = self.relay.buffer
        offset = 12 + 4 * (buffer[0] & 0x0F)
        if buffer[0] & 0x10:
            offset += 4 + 4 * int.from_bytes(buffer[offset + 2 : offset + 4], "big")
        if offset + 4 > size:
            return
        payload = parse_event(buffer[offset : offset + 4])
        if payload is None:
            return
        for digit in self.detector.receive(timestamp, payload, clock_rate, now):
            self.relay.report_digit(self.session.id, self.side, digit.digit, digit.duration_ms, forwarded)

    # --- RTCP -------------------------------------------------------------------------------------------------------

    def handle_rtcp(self, size: int) -> None:
        """RTCP of the side: read, and passed on to wherever the other side takes it."""
        relay, session = self.relay, self.session
        if size >= BUFFER_SIZE or not session.active:
            self.dropped += 1
            return
        view = relay.views[size]
        now = relay.clock()
        if not session.secure:
            try:
                packets = parse_rtcp(bytes(view))
            except RtpError:
                self.dropped += 1
                return
            for packet in packets:
                reports = getattr(packet, "reports", None)
                if reports is None:
                    continue
                if isinstance(packet, SenderReport):
                    session.round_trips[1 - self.side].passed_on(packet, now)
                for block in reports:
                    session.round_trips[self.side].reported(block, now)
                    session.reported[self.side] = (block.fraction_lost, block.jitter)
        session.control_at[self.side] = now
        session.control_packets[self.side] += 1
        session.rtcp_endpoint(1 - self.side).transmit(view)

    # --- digits towards this side -----------------------------------------------------------------------------------

    def add_digit(self, code: int, milliseconds: int, now: float) -> None:
        """Put a digit into the stream that goes to this side."""
        if self.session.events[self.side] is None:
            return
        if self.digits is None:
            self.digits = Digits()
            self.digits.not_before = now
            source = self.peer.statistics
            self.digits.ssrc = source.ssrc if source.started else randbits(32)
            self.digits.sequence = (source.highest_sequence + self.offset) & 0xFFFF if source.started else randbits(15)
            self.peer.refresh()
        if len(self.digits.waiting) < MAXIMUM_DIGITS:
            self.digits.waiting.append((code, milliseconds))

    def send_digits(self, now: float) -> float | None:
        """Send what is due of the digits; returns when to call again, None once all are sent."""
        digits = self.digits
        event = self.session.events[self.side]
        if digits is None or event is None:
            self._end_digits()
            return None
        if digits.sender is None:
            if not digits.waiting:
                self._end_digits()
                return None
            if now < digits.not_before:
                return digits.not_before
            code, milliseconds = digits.waiting.popleft()
            digits.sender = EventSender(
                code, milliseconds, event[1], self.session.packet_time, self._timestamp_at(now), now
            )
        sender = digits.sender
        packet = sender.due(now)
        if packet is not None:
            digits.sequence = (digits.sequence + 1) & 0xFFFF
            header = struct.pack(
                "!BBHII",
                0x80,
                event[0] | (0x80 if packet.marker else 0),
                digits.sequence,
                packet.timestamp,
                digits.ssrc,
            )
            self.transmit(memoryview(header + packet.payload))
        if sender.finished:
            digits.sender = None
            digits.not_before = now + _DIGIT_PAUSE
            return digits.not_before
        return sender.next_at

    def _timestamp_at(self, now: float) -> int:
        """The timestamp that the audio towards this side has now."""
        source = self.peer.statistics
        if not source.started:
            return int(now * 8000) & 0xFFFFFFFF
        elapsed = min(max(now - source.arrival, 0.0), 3600.0)
        return (source.newest_timestamp + int(elapsed * source.clock_rate)) & 0xFFFFFFFF

    def _end_digits(self) -> None:
        """The audio goes on behind the digits: its sequence numbers continue theirs."""
        digits, self.digits = self.digits, None
        source = self.peer.statistics
        if digits is not None and source.started and source.ssrc == digits.ssrc:
            highest = source.highest_sequence
            self.offset = (digits.sequence - highest) & 0xFFFF
            self.offset_from = (highest + 1) & 0xFFFF
            self.offset_ssrc = digits.ssrc
        self.peer.refresh()

    def shift(self, sequence: int, ssrc: int) -> bool:
        """Renumber the audio packet in the buffer; False where its place was taken by a digit."""
        if ssrc != self.offset_ssrc:
            self.offset = 0
            self.peer.refresh()
            return True
        ahead = sequence_difference(sequence, self.offset_from)
        if ahead < 0:
            return False
        if ahead > 0x4000:
            # Keep the mark near, or it would count as ahead after half a cycle.
            self.offset_from = (sequence - 0x2000) & 0xFFFF
        _SEQUENCE.pack_into(self.relay.buffer, 2, (sequence + self.offset) & 0xFFFF)
        return True

    # --- begin and end ----------------------------------------------------------------------------------------------

    def take_over(self, before: Endpoint) -> None:
        """The side is here, and not at this other end any more: the figures of what it sends go on."""
        self.statistics, before.statistics = before.statistics, StreamStatistics()
        self.foreign, before.foreign = self.foreign + before.foreign, 0
        self.dropped, before.dropped = self.dropped + before.dropped, 0
        self.peer, before.peer = before.peer, before
        self.peer.peer = self
        before.digits, before.offset = None, 0
        before.configure(NOBODY, unlock=True)
        self.peer.refresh()

    def drain(self) -> None:
        """Throw away what waits in the socket, from before this session."""
        buffer = self.relay.buffer
        for _ in range(_DRAIN_LIMIT):
            try:
                self.socket.recv_into(buffer)
            except BlockingIOError:
                return
            except OSError:
                continue

    def close(self) -> None:
        """Close the socket and let go of everything, so that no cycle of references stays."""
        self.relay.forget(self)
        self.socket.close()
        del self.peer


class RelayedSession:
    """The endpoints of a call and what was negotiated for them.

    A side is at one end, of two endpoints. While it is not known which of several phones will answer, it may turn out
    to be at another one: there its first packets are kept, too.
    """

    __slots__ = (
        "active",
        "control_at",
        "control_packets",
        "endpoints",
        "ends",
        "events",
        "id",
        "muxes",
        "packet_time",
        "reported",
        "round_trips",
        "secure",
    )

    def __init__(
        self,
        relay: Relay,
        session: int,
        pairs: tuple[Mapping[Address, Pair], Mapping[Address, Pair]],
    ) -> None:
        """`pairs`: the sockets of each side by their address; the side is at the first."""
        self.id = session
        self.active = False
        self.secure = False
        self.packet_time = 20
        self.muxes = [False, False]
        self.events: tuple[tuple[int, int] | None, tuple[int, int] | None] = (None, None)
        self.round_trips = (RoundTrip(), RoundTrip())
        self.reported: list[tuple[float, int] | None] = [None, None]
        """What each side says of the stream that it gets: fraction lost, jitter in ticks."""
        self.control_at = [0.0, 0.0]
        """When each side's newest RTCP packet came."""
        self.control_packets = [0, 0]
        self.ends = tuple(
            {end: self._listen(relay, side, pair) for end, pair in of_side.items()}
            for side, of_side in enumerate(pairs)
        )
        """Of each side: RTP and RTCP wherever it may be."""
        self.endpoints = [next(iter(ends.values())) for ends in self.ends]
        """Of each side: RTP and RTCP where it is."""
        for first, second in zip(*self.endpoints, strict=True):
            first.peer, second.peer = second, first

    def _listen(self, relay: Relay, side: int, pair: Pair) -> tuple[Endpoint, Endpoint]:
        """The endpoints of new sockets, watched from now on."""
        endpoints = (Endpoint(relay, self, side, pair[0], False), Endpoint(relay, self, side, pair[1], True))
        for endpoint in endpoints:
            endpoint.drain()
            relay.watch(endpoint)
        return endpoints

    def place(self, side: int, ends: Iterable[Address], fresh: Mapping[Address, Pair]) -> None:
        """From now on a side is at the first of these ends and may turn out to be at the others, and nowhere else.

        `fresh` are the sockets of those that were not named before.
        """
        known = self.ends[side]
        before = self.endpoints[side]
        for end, pair in fresh.items():
            known[end] = self._listen(before[0].relay, side, pair)
        first, *others = ends
        self.endpoints[side] = known[first]
        if known[first] is not before:
            for endpoint, other in zip(known[first], before, strict=True):
                endpoint.take_over(other)
        for end in known.keys() - {first, *others}:
            for endpoint in known.pop(end):
                endpoint.close()

    def configure(self, configuration: SessionConfiguration) -> None:
        """Take what was negotiated."""
        self.active = configuration.active
        self.secure = configuration.secure
        self.packet_time = configuration.packet_time
        self.events = configuration.events
        for side in (0, 1):
            self.muxes[side] = configuration.sides[side].rtcp_mux
            rules: list[tuple[int, int, bool] | None] = [None] * _PAYLOAD_TYPES
            for incoming, outgoing, clock_rate, is_event in configuration.rules[side]:
                rules[incoming & 0x7F] = (outgoing, clock_rate, is_event)
            self.endpoints[side][0].rules = rules
        for side in (0, 1):
            for endpoint in self.endpoints[side]:
                endpoint.configure(configuration.sides[side], configuration.unlock)
        for ends in self.endpoints:
            for endpoint in ends:
                endpoint.refresh()
                if endpoint.early is not None and endpoint.configuration is not None:
                    endpoint.take_early()

    def rtcp_endpoint(self, side: int) -> Endpoint:
        """The endpoint by which RTCP goes to a side."""
        return self.endpoints[side][0 if self.muxes[side] else 1]

    def row(self, side: int, now: float) -> Message:
        """The figures of what a side sends: the fields of `StreamRow`, as a plain tuple for the way to the engine."""
        rtp, rtcp = self.endpoints[side]
        totals = rtp.statistics.totals()
        seconds = self.round_trips[side].seconds
        reported = self.reported[side]
        # What a side reports is about the stream of the other one, in that one's clock.
        rate = self.endpoints[1 - side][0].statistics.clock_rate
        return (
            *totals[:11],
            max(now - totals.last_arrival, 0.0) if totals.packets else -1.0,
            -1.0 if seconds is None else seconds,
            -1.0 if reported is None else reported[0],
            -1.0 if reported is None else reported[1] / rate,
            rtp.foreign + rtcp.foreign,
            self.control_packets[side],
            max(now - self.control_at[side], 0.0) if self.control_packets[side] else -1.0,
            rtp.dropped + rtcp.dropped,
        )

    def expire(self, now: float) -> None:
        """Tell of events whose end was lost."""
        for rtp, _ in self.endpoints:
            if rtp.detector.open:
                for digit in rtp.detector.expire(now):
                    rule = rtp.rules[self.event_payload(rtp)]
                    forwarded = rule is None or rule[0] >= 0
                    rtp.relay.report_digit(self.id, rtp.side, digit.digit, digit.duration_ms, forwarded)

    @staticmethod
    def event_payload(endpoint: Endpoint) -> int:
        """The payload type of telephone-event that an endpoint gets, 127 where it gets none."""
        return next((number for number, rule in enumerate(endpoint.rules) if rule is not None and rule[2]), 127)

    def close(self) -> None:
        """Close all sockets."""
        for ends in self.ends:
            for endpoints in ends.values():
                for endpoint in endpoints:
                    endpoint.close()
            ends.clear()
        self.endpoints = []
