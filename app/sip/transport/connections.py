"""The table of stream connections: finds one to use again, bounds how many there are, and ends those that idle."""

from __future__ import annotations

import asyncio
import itertools
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.hosts import network_of
from app.sip.flow import Flow, TransportName
from app.sip.transport.certificates import TlsContexts
from app.sip.transport.listening import ListenAddress, TransportError, TransportLimits, connection_bound, family_of
from app.sip.transport.stream import ConnectionState, StreamConnection
from app.sip.transport.tls import TlsSession
from app.sip.transport.udp import Admit

log = logging.getLogger(__name__)

_MAY_BE_EVICTED_AFTER = 60.0
"""Seconds of silence after which a connection that has carried messages may make room for a new one."""

RemoteKey = tuple[str, str, int]
"""Transport, address and port of a peer."""


@dataclass(frozen=True, slots=True)
class ConnectionCounts:
    """How many stream connections there are, and what became of others since the start."""

    open: int
    accepted: int
    made: int
    refused: int
    """At a bound, or by the guard."""
    evicted: int
    """Closed to make room for another."""
    timed_out: int
    """Ended because nothing complete came, or nothing at all."""


class ConnectionTable:
    """All TCP and TLS connections of the transports; the `ConnectionOwner` of each."""

    def __init__(
        self,
        on_messages: Callable[[list[tuple[bytes, Flow]]], None],
        on_failure: Callable[[Flow, Exception], None],
        admit: Admit | None,
        limits: TransportLimits,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.monotonic = monotonic
        self.buffer = memoryview(bytearray(limits.stream_read))
        self.contexts: TlsContexts | None = None
        """Used by new connections; the old ones keep what they began with."""
        self._on_messages = on_messages
        self._on_failure = on_failure
        self._admit = admit
        self._bound = connection_bound(limits)
        self._numbers = itertools.count(1)
        self._connections: dict[int, StreamConnection] = {}
        self._closing: dict[int, StreamConnection] = {}
        self._unproven: dict[int, StreamConnection] = {}
        self._strange: dict[int, StreamConnection] = {}
        """Accepted ones that completed a message, which anybody can, and whose peers are not known."""
        self._accepted_from: dict[str, dict[int, StreamConnection]] = {}
        """Those of both kinds, by address or public IPv6 network."""
        self._known_from: dict[str, int] = {}
        """How many there are of peers that are known, by address."""
        self._by_remote: dict[RemoteKey, list[StreamConnection]] = {}
        self._aliases: dict[int, list[RemoteKey]] = {}
        self._turn_began = 0.0
        """When the loop began to hand over what it found readable, 0 once it is through with that."""
        self._waiting_since = 0.0
        """When what is being delivered came, at the latest; 0 outside of a delivery."""
        self._accepted = self._made = self._refused = self._evicted = self._timed_out = 0

    def __len__(self) -> int:
        """How many connections take messages."""
        return len(self._connections)

    @property
    def counts(self) -> ConnectionCounts:
        """A snapshot of the counters."""
        return ConnectionCounts(
            len(self._connections), self._accepted, self._made, self._refused, self._evicted, self._timed_out
        )

    # -- the owner of connections ---------------------------------------------------------------------------------

    def make_accepted(self, address: ListenAddress) -> StreamConnection:
        """The protocol of a connection that is just being accepted on this listener."""
        tls = None
        if address.transport == "tls":
            assert self.contexts is not None, "a TLS listener is only opened with contexts"
            tls = TlsSession(self.contexts.server, True, None, self.buffer)
        return StreamConnection(self, next(self._numbers), address.transport, address.port, tls)

    def accepted(self, connection: StreamConnection) -> bool:
        """Count a connection that was accepted, making room where a bound is reached; False refuses it."""
        host = connection.flow.remote_host
        if self._admit is not None and not self._admit(host, 0, self.monotonic()):
            self._refused += 1
            return False
        place = network_of(host)
        from_there = self._accepted_from.get(place, {})
        if len(from_there) >= self.limits.connections_per_address:
            self._evict_from(from_there)
        if len(self._connections) + len(self._closing) >= self._bound and not self._evict_any():
            self._refused += 1
            return False
        self._accepted += 1
        self._accepted_from.setdefault(place, {})[connection.number] = connection
        self._unproven[connection.number] = connection
        self._add(connection)
        return True

    def deliver(self, connection: StreamConnection, messages: list[bytes]) -> None:
        """Hand on complete messages; one that the guard refuses ends its connection."""
        flow = connection.flow
        if self._admit is not None:
            now, came = self.monotonic(), len(messages)
            # Asked about each, so that the guard knows how many there are.
            messages = [message for message in messages if self._admit(flow.remote_host, 0, now)]
            if len(messages) < came:
                connection.fail("too many messages")
        if not messages:
            return
        self._waiting_since = self._came_before(connection)
        try:
            self._on_messages([(message, flow) for message in messages])
        except Exception:
            log.exception("A batch of %d messages from %s was not dealt with", len(messages), flow.source)
        finally:
            self._waiting_since = 0.0

    def _came_before(self, connection: StreamConnection) -> float:
        """The latest time at which what is delivered can have come.

        The loop looks at all connections and then takes from each that has something: that was there when it looked.
        """
        if not self._turn_began:
            self._turn_began = self.monotonic()
            asyncio.get_running_loop().call_soon(self._turn_over)
        return min(self._turn_began, connection.came_before or self._turn_began)

    def _turn_over(self) -> None:
        self._turn_began = 0.0

    def waiting(self, now: float) -> float:
        """Seconds that what is being delivered now has waited to be read, at least; 0 while nothing is."""
        return now - self._waiting_since if self._waiting_since else 0.0

    def admits_piece(self, connection: StreamConnection) -> bool:
        """Whether more may come from where something came that completes no message: that costs time, too."""
        if self._admit is None or connection.outgoing:
            return True
        return self._admit(connection.flow.remote_host, 0, self.monotonic())

    def proven(self, connection: StreamConnection) -> None:
        """It completed a message: it is no longer among the first to go."""
        if self._unproven.pop(connection.number, None) is not None:
            self._strange[connection.number] = connection

    def ended(self, connection: StreamConnection, error: TransportError) -> None:
        """Forget a connection and, where anybody may have used its flow, tell so."""
        number, flow = connection.number, connection.flow
        if self._connections.pop(number, None) is None:
            return
        self._unproven.pop(number, None)
        self._strange.pop(number, None)
        if connection.state is ConnectionState.CLOSING:
            self._closing[number] = connection
        self._no_more_a_stranger(connection)
        if connection.known:
            self._known_from[flow.remote_host] -= 1
            if not self._known_from[flow.remote_host]:
                del self._known_from[flow.remote_host]
        for key in ((flow.transport, flow.remote_host, flow.remote_port), *self._aliases.pop(number, ())):
            there = self._by_remote.get(key, [])
            if connection in there:
                there.remove(connection)
            if not there:
                self._by_remote.pop(key, None)
        log.debug("%s", error)
        if connection.outgoing or connection.proven:
            self._tell_failure(flow, error)

    def gone(self, connection: StreamConnection) -> None:
        """It no longer holds a descriptor."""
        self._closing.pop(connection.number, None)

    # -- for the transports ---------------------------------------------------------------------------------------

    def find(
        self, transport: TransportName, host: str, port: int, verified_name: str | None
    ) -> StreamConnection | None:
        """A connection with this peer that is up or coming up (RFC 5923); with a name, only one verified for it."""
        for connection in self._by_remote.get((transport, host, port), ()):
            if verified_name is None or connection.verified_name == verified_name:
                return connection
        return None

    def connect(
        self,
        flow: Flow,
        bind_to: str | None,
        verified_name: str | None,
        server_name: str | None,
    ) -> StreamConnection:
        """Begin a connection to the remote end of `flow`, which gets its number.

        A certificate is checked against `verified_name` when that is given. Failures are told to on_failure.
        """
        number = next(self._numbers)
        flow = flow._replace(connection=number)
        tls = None
        failure = ""
        if flow.transport == "tls":
            if self.contexts is None:
                failure = "TLS is not set up"
            else:
                context = self.contexts.trusting if verified_name is None else self.contexts.verifying
                try:
                    tls = TlsSession(context, False, verified_name or _sendable_name(server_name), self.buffer)
                except (ValueError, ssl.SSLError) as error:
                    failure = f"{verified_name or server_name!r} cannot be the name of a TLS server: {error}"
        connection = StreamConnection(self, number, flow.transport, flow.local_port, tls, flow, verified_name)
        self._made += 1
        self._add(connection)
        if not failure and len(self._connections) + len(self._closing) > self._bound and not self._evict_any():
            failure = "there are too many connections"
        if failure:
            connection.fail(failure)
        else:
            loop = asyncio.get_running_loop()
            connection.connecting = loop.create_task(_connect(connection, bind_to))
        return connection

    def send(self, flow: Flow, data: bytes) -> None:
        """Send on the connection of a flow. Failures are told to on_failure, through the loop."""
        connection = self._connections.get(flow.connection)
        if connection is None:
            self._tell_failure(flow, TransportError(f"The connection with {flow.source} is gone"))
        else:
            connection.write(data)

    def is_open(self, flow: Flow) -> bool:
        """Whether the connection of a flow takes messages, now or when it is up."""
        return flow.connection in self._connections

    def set_keep_alive(self, flow: Flow, interval: float | None) -> None:
        """Begin or end the keep-alives of a connection."""
        connection = self._connections.get(flow.connection)
        if connection is not None:
            connection.set_keep_alive(interval)

    def know(self, flow: Flow) -> None:
        """Its peer is known: it does not have to make room for a stranger's connection."""
        connection = self._connections.get(flow.connection)
        if connection is None or connection.known or connection.outgoing:
            return
        host = flow.remote_host
        count = self._known_from.get(host, 0)
        if count < self.limits.known_per_address:
            connection.known = True
            self._known_from[host] = count + 1
            self._strange.pop(connection.number, None)
            self._no_more_a_stranger(connection)

    def add_alias(self, flow: Flow, port: int) -> None:
        """Let requests to another port of the same peer use its connection (RFC 5923 `alias`)."""
        connection = self._connections.get(flow.connection)
        key = (flow.transport, flow.remote_host, port)
        aliases = self._aliases.setdefault(flow.connection, []) if connection is not None else []
        if connection is None or port == flow.remote_port or key in aliases or len(aliases) >= 4:
            return
        aliases.append(key)
        self._by_remote.setdefault(key, []).append(connection)

    def sweep(self, now: float) -> None:
        """End what has had its time and send keep-alives; to be called about once a second."""
        for connection in list(self._connections.values()):
            reason = connection.overdue(now)
            if reason:
                self._timed_out += 1
                connection.time_out(reason)
            else:
                connection.keep_alive(now)
        for connection in list(self._closing.values()):
            if connection.overdue(now):
                connection.abort()

    async def stop(self) -> None:
        """Close every connection, sending what was written to it for up to a second, without telling on_failure."""
        self._on_failure = _nobody
        tasks = [c.connecting for c in self._connections.values() if c.connecting is not None]
        for connection in list(self._connections.values()):
            connection.close("the server stops")
        for _ in range(50):
            if not self._closing:
                break
            await asyncio.sleep(0.02)
        for connection in list(self._closing.values()):
            connection.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A turn of the loop in which aborted connections give their descriptors back.
        await asyncio.sleep(0)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _add(self, connection: StreamConnection) -> None:
        flow = connection.flow
        self._connections[connection.number] = connection
        self._by_remote.setdefault((flow.transport, flow.remote_host, flow.remote_port), []).append(connection)

    def _no_more_a_stranger(self, connection: StreamConnection) -> None:
        place = network_of(connection.flow.remote_host)
        from_there = self._accepted_from.get(place)
        if from_there is not None:
            from_there.pop(connection.number, None)
            if not from_there:
                del self._accepted_from[place]

    def _evict_from(self, from_there: dict[int, StreamConnection]) -> None:
        oldest = next(iter(from_there.values()))
        self._evict(next((connection for connection in from_there.values() if not connection.proven), oldest))

    def _evict_any(self) -> bool:
        for connection in itertools.chain(self._unproven.values(), self._strange.values()):
            self._evict(connection)
            return True
        candidates = [connection for connection in self._connections.values() if not connection.outgoing]
        silent = min(candidates, key=lambda connection: connection.last_heard, default=None)
        if silent is None or self.monotonic() - silent.last_heard < _MAY_BE_EVICTED_AFTER:
            return False
        self._evict(silent)
        return True

    def _evict(self, connection: StreamConnection) -> None:
        self._evicted += 1
        connection.fail("room is needed for another")

    def _tell_failure(self, flow: Flow, error: TransportError) -> None:
        asyncio.get_running_loop().call_soon(self._on_failure, flow, error)


async def _connect(connection: StreamConnection, bind_to: str | None) -> None:
    flow = connection.flow
    try:
        await asyncio.get_running_loop().create_connection(
            lambda: connection, flow.remote_host, flow.remote_port, local_addr=(bind_to, 0) if bind_to else None
        )
    except (OSError, ValueError, OverflowError) as error:
        connection.connect_failed(error)


def _sendable_name(server_name: str | None) -> str | None:
    """The name for SNI, which must not be an address (RFC 6066 3)."""
    return server_name if server_name and family_of(server_name) is None else None


def _nobody(_flow: Flow, _error: Exception) -> None:
    """Takes failures once the transports stop."""
