"""Listen addresses: what a listener is asked for, how its socket is opened and bound, and what its state is called."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from app.errors import UserFacingError
from app.hosts import WILDCARDS, format_host_port
from app.sip.flow import TransportName
from app.sip.transport.port_owner import owner_of_port

_ADDRESS_IN_USE = {errno.EADDRINUSE, 10048}
_ADDRESS_NOT_HERE = {errno.EADDRNOTAVAIL, 10049}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, 10013}
_ACCEPT_QUEUE = 1024


class ListenAddress(NamedTuple):
    """Where a listener waits. Port 0 asks for any free port; the bound address then has the real one."""

    transport: TransportName
    host: str
    """An IP address without brackets; 0.0.0.0 or :: for every address of that family."""
    port: int

    def __str__(self) -> str:
        return f"{self.transport}:{format_host_port(self.host, self.port)}"

    @property
    def is_wildcard(self) -> bool:
        """Whether this listens on every address of its family."""
        return self.host in WILDCARDS


class ListenError(UserFacingError):
    """A listener could not be opened; the text names address and port and, where known, the program that has it."""

    def __init__(self, address: ListenAddress, text: str, *, address_missing: bool = False) -> None:
        super().__init__(text)
        self.address = address
        self.address_missing = address_missing
        """Whether this machine only lacks the address now: it may come, as at a start before the network's."""


class TransportError(UserFacingError):
    """A message could not be sent or a connection ended; the text says to whom and why."""


class ListenerState(Enum):
    """What a listener is doing."""

    LISTENING = "listening"
    ADDRESS_GONE = "address gone"
    """The machine does not have the address now; the listener comes back with it."""
    FAILED = "failed"
    """The socket died or could not be bound again; it is tried again every few seconds."""


@dataclass(frozen=True, slots=True)
class ListenerStatus:
    """One listener and how it is."""

    address: ListenAddress
    state: ListenerState
    error: str
    """Why it does not listen, in words; empty while it does."""


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """Every bound of the transports, with what happens there."""

    batch: int = 64
    """Datagrams handed over at once; the loop gets its turn between two batches."""
    receive_buffer: int = 4 * 1024 * 1024
    """Bytes asked from the system for each UDP socket; it may grant less. When full, the system drops the newest."""
    backlog: int = 4096
    """Datagrams between the reader thread and the loop; when full, the newest are dropped and counted."""
    backlog_bytes: int = 8 * 1024 * 1024
    """Bytes between the reader thread and the loop, likewise."""
    send_queue: int = 1000
    """Datagrams that wait because the system's send buffer is full; further ones fail."""
    stream_read: int = 16 * 1024
    """Bytes taken from one connection, some 25 messages, before the others have their turn."""
    connections: int = 2000
    """Stream connections in all (never more than half the descriptors that the process may have). At the bound, the
    oldest one that never completed a message is closed, else the oldest one of a stranger, else the one that is silent
    for longest (over a minute), else the new one is refused."""
    connections_per_address: int = 100
    """Accepted connections of strangers from one address or public IPv6 /64. At the bound, its oldest one that never
    completed a message is closed, else its oldest one."""
    known_per_address: int = 1000
    """Accepted connections from one address of peers that are known, as phones behind a router are by their passwords.
    Further ones stay among the strangers'."""
    first_message_seconds: float = 10.0
    """An accepted connection that completed no message by then is closed (TLS handshake included)."""
    incomplete_seconds: float = 4.0
    """A message that is not complete this long after its first byte is answered with 400 and ends its connection. By
    then the system has repeated three times what a network lost."""
    connect_seconds: float = 5.0
    """An outgoing connection that is not up by then, TLS handshake included, fails."""
    silent_seconds: float = 7200.0
    """A connection without any traffic for this long is closed."""
    write_buffer: int = 256 * 1024
    """Bytes that wait to be written to one connection, while it connects or because its peer does not read; beyond
    it the connection is closed as failed."""
    closing_seconds: float = 5.0
    """A connection that is being closed gets this long to take what was written to it."""
    keep_alives: int = 5000
    """Flows on which keep-alives are sent; further ones are not kept alive."""


@lru_cache(maxsize=4096)
def family_of(host: str) -> socket.AddressFamily | None:
    """The address family of an IP address without brackets, or None when it is not one."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except (OSError, ValueError):
        pass
    else:
        return socket.AF_INET
    try:
        socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except (OSError, ValueError):
        return None
    return socket.AF_INET6


def open_socket(address: ListenAddress, limits: TransportLimits) -> socket.socket:
    """Open and bind the non-blocking socket of a listener; a stream one listens already.

    Raises ListenError.
    """
    family = family_of(address.host)
    if family is None:
        raise ListenError(
            address, f"Cannot listen on {address}: {address.host!r} is not an IP address of this machine."
        )
    if not 0 <= address.port <= 65535:
        raise ListenError(address, f"Cannot listen on {address}: the port must be 0 to 65535.")
    kind = socket.SOCK_DGRAM if address.transport == "udp" else socket.SOCK_STREAM
    listener: socket.socket | None = None
    try:
        listener = socket.socket(family, kind)
        _prepare(listener, family, kind, limits)
        listener.bind((address.host, address.port))
        if kind == socket.SOCK_STREAM:
            listener.listen(_ACCEPT_QUEUE)
    except OSError as error:
        if listener is not None:
            listener.close()
        missing = error.errno in _ADDRESS_NOT_HERE
        raise ListenError(address, _why(address, error), address_missing=missing) from error
    return listener


def _prepare(
    listener: socket.socket, family: socket.AddressFamily, kind: socket.SocketKind, limits: TransportLimits
) -> None:
    listener.setblocking(False)
    if sys.platform == "win32":
        # Without it Windows lets another program bind the same port and take our messages.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    elif kind == socket.SOCK_STREAM:
        # Connections in TIME_WAIT do not keep us from starting again; for UDP it would allow two owners of a port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_DGRAM:
        grow_receive_buffer(listener, limits.receive_buffer)


def grow_receive_buffer(listener: socket.socket, size: int) -> None:
    """Ask for a large receive buffer, past the system's usual limit where this process may."""
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    force = getattr(socket, "SO_RCVBUFFORCE", 33 if sys.platform == "linux" else None)
    if force is not None and granted_receive_buffer(listener) < size:
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, force, size)


def granted_receive_buffer(listener: socket.socket) -> int:
    """The receive buffer in bytes that the system granted (Linux reports twice what it counts as payload)."""
    size = listener.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    return size // 2 if sys.platform == "linux" else size


def address_is_here(host: str) -> bool:
    """Whether this machine has the address now: whether a socket can be bound to it."""
    family = family_of(host)
    if family is None:
        return False
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError as error:
        return error.errno not in _ADDRESS_NOT_HERE
    return True


def connection_bound(limits: TransportLimits) -> int:
    """How many stream connections there may be: the limit, or half the descriptors that this process may have."""
    if sys.platform == "win32":
        return limits.connections
    import resource

    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return limits.connections
    return min(limits.connections, max(16, soft // 2))


def _why(address: ListenAddress, error: OSError) -> str:
    number = error.errno
    if number in _ADDRESS_IN_USE:
        owner = owner_of_port(address.transport, address.host, address.port)
        text = f"Cannot listen on {address}: port {address.port} is in use by {owner or 'another program'}."
        return text + " Stop that program or choose another port under Data / System."
    if number in _ADDRESS_NOT_HERE:
        return f"Cannot listen on {address}: this machine has no address {address.host} at the moment."
    if number in _NOT_ALLOWED:
        reason = (
            "ports below 1024 need the rights of an administrator" if address.port < 1024 else os.strerror(number or 0)
        )
        return f"Cannot listen on {address}: not permitted ({reason})."
    return f"Cannot listen on {address}: {error.strerror or error}."
