"""One TCP or TLS connection for SIP, accepted or made, and the listener that accepts them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import socket
import ssl
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol, cast

from app.sip.flow import Flow, TransportName
from app.sip.framing import FramedItem, FramingError, KeepAlive, StreamFramer
from app.sip.transport.listening import ListenAddress, ListenError, TransportError, TransportLimits, open_socket
from app.sip.transport.receive_queue import ReceiveQueue, unread
from app.sip.transport.tls import TlsSession

log = logging.getLogger(__name__)

_PING, _PONG = b"\r\n\r\n", b"\r\n"
_PONG_WITHIN = 10.0
"""Seconds, RFC 5626 4.4.1."""
_UNACKNOWLEDGED_SECONDS = 20
"""So long may the peer's system take to acknowledge what was sent."""
_TCP_MAXRT = 5
_ACCEPTS_AT_ONCE = 64
_ACCEPT_QUEUE = 1024


class ConnectionState(IntEnum):
    """The life of a connection; it only goes forward."""

    CONNECTING = 0
    HANDSHAKING = 1
    OPEN = 2
    CLOSING = 3
    """Nothing more is taken; what was written is still being sent."""
    CLOSED = 4


class ConnectionOwner(Protocol):
    """Who counts, bounds and finds connections."""

    limits: TransportLimits
    monotonic: Callable[[], float]
    buffer: memoryview
    """Where what is read lies until the connection has taken it, at once; one serves all."""

    def accepted(self, connection: StreamConnection) -> bool:
        """A peer connected; False refuses it."""

    def deliver(self, connection: StreamConnection, messages: list[bytes]) -> None:
        """Complete messages came; never empty."""

    def admits_piece(self, connection: StreamConnection) -> bool:
        """Something came that completed no message; False ends the connection."""

    def proven(self, connection: StreamConnection) -> None:
        """The first complete message came."""

    def ended(self, connection: StreamConnection, error: TransportError) -> None:
        """The connection takes no more messages to send. Called exactly once for each that was accepted or made."""

    def gone(self, connection: StreamConnection) -> None:
        """Its descriptor is given back; may come without `ended` for a connection that was refused."""


class StreamConnection(asyncio.BufferedProtocol):
    """One connection. Its owner calls `write`, `close`, `abort` and, every second, `overdue` and `keep_alive`."""

    def __init__(
        self,
        owner: ConnectionOwner,
        number: int,
        transport: TransportName,
        local_port: int,
        tls: TlsSession | None,
        flow: Flow | None = None,
        verified_name: str | None = None,
    ) -> None:
        limits = owner.limits
        now = owner.monotonic()
        self.number = number
        self.outgoing = flow is not None
        self.flow = flow if flow is not None else Flow(transport, "", local_port, "", 0, number)
        self.verified_name = verified_name
        """The name that the peer's certificate was checked against; None when it was not checked."""
        self.state = ConnectionState.CONNECTING
        self.proven = False
        """Whether the peer ever completed a message."""
        self.known = False
        """Whether the peer is known: it has shown a password, or is a trunk, a line's server or a trusted user."""
        self.last_heard = now
        self.came_before = 0.0
        """While something that was read is dealt with, the latest time at which it can have come; 0 at other times."""
        self.connecting: asyncio.Task[None] | None = None
        self._owner = owner
        self._tls = tls
        self._transport: asyncio.Transport | None = None
        self._queue = ReceiveQueue(lambda: (0, 0))
        self._framer = StreamFramer()
        self._deadline: float | None = now + (limits.connect_seconds if self.outgoing else limits.first_message_seconds)
        self._incomplete_since: float | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._ping_every: float | None = None
        self._next_ping = 0.0
        self._pong_due: float | None = None
        self._pong_seen = False
        self._completed = False
        self._was_of_use = False
        """Whether what was read last brought a message, or the answer to a keep-alive of ours."""

    # -- called by asyncio ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP connection is up."""
        self._transport = cast(asyncio.Transport, transport)
        if self.state is ConnectionState.CLOSED:
            self._transport.abort()
            return
        if not self.outgoing:
            peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
            if not peer or not own:
                self.state = ConnectionState.CLOSED
                self._transport.abort()
                return
            self.flow = self.flow._replace(local_host=own[0], remote_host=peer[0], remote_port=peer[1])
            if not self._owner.accepted(self):
                self.state = ConnectionState.CLOSED
                self._transport.abort()
                return
        source = transport.get_extra_info("socket")
        _keep_tcp_alive(source)
        if source is not None:
            self._queue = ReceiveQueue(lambda: unread(source))
        if self._tls is None:
            self._opened()
            return
        self.state = ConnectionState.HANDSHAKING
        if self.outgoing:
            self._receive_tls(b"")

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Where the next bytes are to go."""
        return self._owner.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came, at any cut."""
        if self.state > ConnectionState.OPEN:
            return
        buffer = self._owner.buffer
        data = bytes(buffer[:nbytes])
        now = self.last_heard = self._owner.monotonic()
        emptied = nbytes < len(buffer)
        if not emptied:
            self._let_others_read()
        self.came_before = self._queue.read(nbytes, emptied=emptied, now=now)
        self._was_of_use = False
        if self._tls is not None:
            data = self._receive_tls(data)
        if data and self.state is ConnectionState.OPEN:
            self._take(data)
        self.came_before = 0.0
        if not self._was_of_use and self.state <= ConnectionState.OPEN and not self._owner.admits_piece(self):
            self.fail("too many pieces of messages")
            return
        if self._tls is not None and self._tls.peer_closed:
            self._end(TransportError(f"{self.flow.source} closed the connection"), abort=False)

    def _let_others_read(self) -> None:
        """Read on in the next turn of the loop: libuv (uvloop) itself would read 32 times before it looks elsewhere."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> None:
        """The peer sends nothing more, but may still read: a message that it did not finish is answered with 400."""
        if self.state is ConnectionState.OPEN and self._incomplete_since is not None:
            self._take_items(self._framer.finish(), "the peer ended it inside a message")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over, whoever ended it."""
        self._transport = None
        reason = f"was lost: {_reason_of(exc)}" if exc is not None else "was closed by the peer"
        self._end(TransportError(f"The connection with {self.flow.source} {reason}"), abort=True)
        self.state = ConnectionState.CLOSED
        self._owner.gone(self)

    # -- called by the owner --------------------------------------------------------------------------------------

    def write(self, data: bytes) -> TransportError | None:
        """Send, or queue while the connection is not up yet. An error means that the connection has ended."""
        limit = self._owner.limits.write_buffer
        transport = self._transport
        if self.state < ConnectionState.OPEN:
            if self._waiting_bytes + len(data) > limit:
                return self._end(TransportError(f"Too much waits for the connection to {self.flow.source}"), abort=True)
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            return None
        if self.state is not ConnectionState.OPEN or transport is None:
            return TransportError(f"The connection with {self.flow.source} is closed")
        if transport.get_write_buffer_size() + len(data) > limit:
            return self._end(TransportError(f"{self.flow.source} does not read what is sent to it"), abort=True)
        if self._tls is not None:
            try:
                self._tls.encrypt(data)
            except ssl.SSLError as error:
                return self._end(TransportError(f"{self.flow.source}: {_reason_of(error)}"), abort=True)
            data = self._tls.output()
        transport.write(data)
        return None

    def close(self, reason: str) -> None:
        """Take no more, send what was written, then close."""
        self._end(TransportError(f"The connection with {self.flow.source} was closed: {reason}"), abort=False)

    def fail(self, reason: str) -> None:
        """End at once."""
        self._end(TransportError(f"The connection with {self.flow.source} was ended: {reason}"), abort=True)

    def abort(self) -> None:
        """Give the descriptor back now, whatever the state; used for what `close` left behind."""
        self.state = ConnectionState.CLOSED
        if self.connecting is not None:
            self.connecting.cancel()
        if self._transport is not None:
            self._transport.abort()

    def connect_failed(self, error: Exception) -> None:
        """The TCP connection could not be made."""
        self._end(TransportError(f"{self.flow.source} cannot be reached: {_reason_of(error)}"), abort=True)

    def set_keep_alive(self, interval: float | None) -> None:
        """Send CRLF CRLF about every `interval` seconds (RFC 5626 3.5.1); None ends it."""
        self._ping_every = interval
        self._pong_due = None
        if interval is not None:
            self._next_ping = self._owner.monotonic() + _jittered(interval)

    def time_out(self, reason: str) -> None:
        """End because of `reason`; a message that was begun is handed on as it is, to be answered with 400."""
        if self.state is ConnectionState.OPEN and self._incomplete_since is not None:
            self._take_items(self._framer.finish(), reason)
        self.close(reason)

    def keep_alive(self, now: float) -> None:
        """Send the keep-alive when it is time. A peer that has answered one before must answer within 10 s."""
        if self._ping_every is None or self.state is not ConnectionState.OPEN:
            return
        if self._pong_due is not None and now >= self._pong_due:
            self.fail("the peer answers keep-alives no more")
        elif now >= self._next_ping:
            self._next_ping = now + _jittered(self._ping_every)
            if self._pong_seen and self._pong_due is None:
                self._pong_due = now + _PONG_WITHIN
            self.write(_PING)

    def overdue(self, now: float) -> str:
        """Why this connection has had its time, or nothing."""
        limits = self._owner.limits
        if self._deadline is not None and now >= self._deadline:
            if self.state is ConnectionState.CLOSING:
                return "the peer does not take the rest"
            if self.outgoing:
                return f"no connection within {limits.connect_seconds:g} s"
            return f"no complete message within {limits.first_message_seconds:g} s"
        if self._incomplete_since is not None and now - self._incomplete_since >= limits.incomplete_seconds:
            return f"a message was not complete after {limits.incomplete_seconds:g} s"
        if now - self.last_heard >= limits.silent_seconds:
            return f"nothing was heard for {limits.silent_seconds:g} s"
        return ""

    # -- inside ---------------------------------------------------------------------------------------------------

    def _opened(self) -> None:
        self.state = ConnectionState.OPEN
        if self.outgoing:
            self._deadline = None
        waiting, self._waiting = self._waiting, []
        self._waiting_bytes = 0
        for data in waiting:
            self.write(data)

    def _receive_tls(self, data: bytes) -> bytes:
        """Through TLS; returns the plain text."""
        tls = self._tls
        assert tls is not None
        plain = b""
        problem: ssl.SSLError | None = None
        try:
            plain = tls.receive(data)
        except ssl.SSLError as error:
            problem = error
        output = tls.output()
        if output and self._transport is not None:
            self._transport.write(output)
        if problem is not None:
            self._end(TransportError(f"TLS with {self.flow.source}: {_reason_of(problem)}"), abort=False)
        elif tls.established and self.state is ConnectionState.HANDSHAKING:
            self._opened()
        return plain

    def _take(self, data: bytes) -> None:
        if data == _PONG and self._ping_every is not None:
            # Before the framer: to it the answers to two pings in a row look like a ping.
            self._pong_seen, self._pong_due = True, None
            self._was_of_use = True
            return
        self._take_items(self._framer.feed(data))
        if self.state is not ConnectionState.OPEN:
            return
        if not self._framer.pending:
            self._incomplete_since = None
        elif self._incomplete_since is None or self._completed:
            self._incomplete_since = self.last_heard

    def _take_items(self, items: list[FramedItem], reason: str = "") -> None:
        messages: list[bytes] = []
        broken: FramingError | None = None
        for item in items:
            if isinstance(item, bytes):
                messages.append(item)
            elif item is KeepAlive.PING:
                self.write(_PONG)
            elif isinstance(item, FramingError):
                broken = item
        self._completed = bool(messages)
        if messages:
            self._was_of_use = True
            if not self.proven and broken is None and any(_looks_like_sip(message) for message in messages):
                self.proven = True
                if not self.outgoing:
                    self._deadline = None
                self._owner.proven(self)
            self._owner.deliver(self, messages)
        if broken is not None:
            # What was delivered has been answered by now; the answer still goes out.
            self.close(reason or broken.detail)

    def _end(self, error: TransportError, *, abort: bool) -> TransportError:
        """Leave the living states once; the owner hears of it. What was written before is sent unless `abort`."""
        was_alive = self.state < ConnectionState.CLOSING
        transport = self._transport
        if abort or transport is None:
            self.abort()
        elif was_alive:
            self.state = ConnectionState.CLOSING
            self._deadline = self._owner.monotonic() + self._owner.limits.closing_seconds
            self._incomplete_since = None
            if self._tls is not None and self._tls.established:
                self._tls.close()
                transport.write(self._tls.output())
            transport.close()
        if was_alive:
            self._waiting.clear()
            self._owner.ended(self, error)
        return error


class StreamListener:
    """A listening TCP socket, for plain SIP or for SIP over TLS."""

    def __init__(
        self,
        address: ListenAddress,
        make_connection: Callable[[ListenAddress], StreamConnection],
        limits: TransportLimits,
    ) -> None:
        self.address = address
        self._make_connection = make_connection
        self._limits = limits
        self._server: asyncio.AbstractServer | None = None

    async def open(self) -> None:
        """Bind, listen and accept. Raises ListenError."""
        opened = open_socket(self.address, self._limits)
        self.address = self.address._replace(port=opened.getsockname()[1])
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: self._make_connection(self.address), sock=opened, backlog=_ACCEPTS_AT_ONCE
            )
            # The loop takes its number for the length of the system's queue too, where it would be far too short.
            opened.listen(_ACCEPT_QUEUE)
        except OSError as error:
            opened.close()
            raise ListenError(self.address, f"Cannot listen on {self.address}: {_reason_of(error)}.") from error

    def close(self) -> None:
        """Accept no more and give the port back; accepted connections stay."""
        server, self._server = self._server, None
        if server is not None:
            server.close()


def _looks_like_sip(message: bytes) -> bool:
    return b"SIP/2.0" in message.split(b"\n", 1)[0]


def _jittered(interval: float) -> float:
    """RFC 5626 4.4.1: between 80 and 100 percent of the interval, so that not all come at once."""
    return interval * (0.8 + 0.2 * random.random())


def _reason_of(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the peer's certificate is not accepted: {error.verify_message.rstrip('.')}; "
            "have it trusted, or switch 'Verify TLS certificate' off"
        )
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, OSError) and error.errno is not None:
        # Not error.strerror: there asyncio writes "Connect call failed" over the reason.
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def _keep_tcp_alive(connection: socket.socket | None) -> None:
    """Have the system find out about peers that vanished without a word (within about two minutes)."""
    if connection is None:
        return
    with contextlib.suppress(OSError, AttributeError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        # What was sent and is not acknowledged by then ends the connection, so that another one is made: the system
        # itself would go on for a quarter of an hour, with pauses of up to two minutes.
        if sys.platform == "win32":
            connection.setsockopt(socket.IPPROTO_TCP, _TCP_MAXRT, _UNACKNOWLEDGED_SECONDS)
        elif hasattr(socket, "TCP_USER_TIMEOUT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_SECONDS * 1000)
