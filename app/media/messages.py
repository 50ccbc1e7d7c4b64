"""What the engine and a media worker say to each other: tuples of plain values in frames on a private socket.

A frame is four bytes of length and a marshalled tuple. `marshal` is fit only for the two ends of a program talking to
its own child, which is all it is used for here; nothing from a network peer is ever read this way.

Commands, the first value is the `Command`:
    BIND      address, ports                      bind these RTP ports and the RTCP ports above them, ahead of need
    RELEASE   ticket, ends                        close what is bound ahead of need at these ends, each (address, port)
    OPEN      session, ends, ends                 the caller's, the called side's: at the first one it is, at any other
                                                  it may turn out to be
    PLACE     session, side, ends                 likewise for a side of an open session; ends that are not named any
                                                  more are closed
    CONFIGURE session, configuration              see `SessionConfiguration.to_tuple`
    DIGIT     session, side, code, milliseconds   telephone-event into the stream that goes to this side
    CLOSE     session
    STOP
Reports, the first value is the `Report`:
    READY                                         the worker runs
    BOUND     address, ports, failed, reason      the result of BIND
    RELEASED  ticket                              RELEASE is done, as is all that was commanded before it; for CLOSE of
                                                  a session that is not open, its number
    FAILED    session, reason                     OPEN or PLACE could not bind: the session is not open
    LEARNED   session, side, is_rtcp, host, port  a side was locked to this address
    STATISTICS rows                               (session, caller row, called row, when), each row a `StreamRow`;
                                                  when it was gathered, in seconds of the worker's own clock
    DIGITS    session, side, digit, milliseconds, forwarded
    CLOSED    session, row                        the last figures of a session
"""

from __future__ import annotations

import marshal
from enum import IntEnum
from typing import Any, NamedTuple

MAXIMUM_FRAME = 16 * 1024 * 1024

Message = tuple[Any, ...]
Address = tuple[str, int]


class Command(IntEnum):
    """What the engine tells a worker."""

    BIND = 1
    RELEASE = 2
    OPEN = 3
    CONFIGURE = 4
    DIGIT = 5
    CLOSE = 6
    STOP = 7
    PLACE = 8


class Report(IntEnum):
    """What a worker tells the engine."""

    READY = 1
    BOUND = 2
    FAILED = 3
    LEARNED = 4
    STATISTICS = 5
    DIGITS = 6
    CLOSED = 7
    RELEASED = 8


class SideConfiguration(NamedTuple):
    """How a worker treats one side of a session."""

    hosts: tuple[str, ...]
    """Addresses that the side's packets may come from."""
    networks: tuple[str, ...]
    """Networks likewise."""
    exact: Address | None
    """The address that it signalled: a packet from there settles at once who the side is."""
    destination: Address | None
    """Where to send before the side is learned."""
    rtcp_exact: Address | None
    rtcp_destination: Address | None
    rtcp_mux: bool
    locked: Address | None = None
    """Learned by an earlier worker: take it over without learning."""
    rtcp_locked: Address | None = None


NOBODY = SideConfiguration((), (), None, None, None, None, False)
"""Listen to nobody: the peer of a side is not known yet."""


class SessionConfiguration(NamedTuple):
    """How a worker treats a session, sent whole after each negotiation."""

    active: bool
    """Whether packets are forwarded at all."""
    secure: bool
    """SRTP: headers are read, nothing is changed."""
    packet_time: int
    """Milliseconds."""
    unlock: bool
    """Learn both sides anew (a re-INVITE)."""
    sides: tuple[SideConfiguration, SideConfiguration]
    rules: tuple[tuple[tuple[int, int, int, bool], ...], tuple[tuple[int, int, int, bool], ...]]
    """Per sending side: incoming payload type, outgoing (-1: not passed on), clock rate, whether telephone-event."""
    events: tuple[tuple[int, int] | None, tuple[int, int] | None]
    """Per receiving side: payload type and clock rate of telephone-event."""

    def to_tuple(self) -> Message:
        """Plain tuples, as marshal wants them."""
        return (*self[:4], (tuple(self.sides[0]), tuple(self.sides[1])), self.rules, self.events)

    @classmethod
    def from_tuple(cls, values: Message) -> SessionConfiguration:
        active, secure, packet_time, unlock, sides, rules, events = values
        first, second = sides
        return cls(
            active,
            secure,
            packet_time,
            unlock,
            (SideConfiguration(*first), SideConfiguration(*second)),
            rules,
            events,
        )


class StreamRow(NamedTuple):
    """The figures of the stream that one side sends, for the engine."""

    packets: int
    bytes: int
    expected: int
    lost: int
    duplicates: int
    reordered: int
    gaps: int
    jitter: float
    """Seconds."""
    sources: int
    ssrc: int
    payload_type: int
    """Of the newest audio packet, -1 for none."""
    age: float
    """Seconds since the newest packet, -1 for none."""
    round_trip: float
    """Seconds between this server and the side, -1 while not known."""
    reported_loss: float
    """0 to 1: what the side itself says it lost of what it gets, -1 while not known."""
    reported_jitter: float
    """Seconds, likewise."""
    foreign: int
    """Packets from addresses that were not accepted."""
    control_packets: int
    """RTCP packets of the side."""
    control_age: float
    """Seconds since the newest RTCP packet, -1 for none."""
    dropped: int
    """Packets of the side that were not passed on: broken, not taken by the other side, nowhere to send to."""


def pack(message: Message) -> bytes:
    """A frame for the socket. The message holds only tuples, text, bytes, numbers, booleans and None."""
    body = marshal.dumps(message)
    return len(body).to_bytes(4, "big") + body


class Unpacker:
    """Takes bytes as they come and gives whole messages."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> list[Message]:
        """The messages that are complete now. Raises `ValueError` where the other end talks nonsense."""
        buffer = self._buffer
        buffer += data
        messages: list[Message] = []
        offset = 0
        while len(buffer) - offset >= 4:
            size = int.from_bytes(buffer[offset : offset + 4], "big")
            if size > MAXIMUM_FRAME:
                raise ValueError(f"a frame of {size} bytes from the other end of a media worker's socket")
            end = offset + 4 + size
            if end > len(buffer):
                break
            messages.append(marshal.loads(memoryview(buffer)[offset + 4 : end]))
            offset = end
        if offset:
            del buffer[:offset]
        return messages
