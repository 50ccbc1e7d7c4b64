"""ICMP errors of a UDP socket on Linux: read from its error queue, and kept from the loop that watches the socket."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
from typing import NamedTuple, Protocol

AVAILABLE = sys.platform == "linux"

_IP_RECVERR = 11
_IPV6_RECVERR = 25
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_FROM_ICMP, _FROM_ICMP6 = 2, 3
_UNREACHABLE, _UNREACHABLE6 = 3, 1
_FRAGMENTATION_NEEDED = 4
_MOST_AT_ONCE = 64

PENDING_ERRORS = frozenset(
    {
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ENOPROTOOPT,
        errno.EPROTO,
        errno.EACCES,
        errno.EMSGSIZE,
        errno.EHOSTDOWN if hasattr(errno, "EHOSTDOWN") else errno.EHOSTUNREACH,
    }
)
"""Error numbers by which an earlier datagram's ICMP error may show itself in a later, innocent call."""


class Unreachable(NamedTuple):
    """A datagram that did not arrive, by word of a router or of the destination itself."""

    host: str
    port: int
    quoted: bytes
    """The beginning of the datagram's own bytes, as the ICMP message quoted them."""
    error: OSError


def ask_for_errors(listener: socket.socket) -> None:
    """Have the system keep ICMP errors in the socket's error queue, each with the destination that it is about."""
    if listener.family == socket.AF_INET:
        listener.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    else:
        listener.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)


class Sheltered(Protocol):
    """A descriptor that is readable while the socket behind it is."""

    def fileno(self) -> int: ...

    def close(self) -> None: ...


def shelter(listener: socket.socket) -> Sheltered:
    """An epoll descriptor around a socket: it is only ever readable, also while an ICMP error waits in the socket.

    Watched by itself, such a socket is given up by libuv (uvloop).
    """
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "only on Linux")
    around = select.epoll()
    around.register(listener.fileno(), select.EPOLLIN)
    return around


def take_errors(listener: socket.socket) -> list[Unreachable]:
    """Empty the error queue (64 at once at most) and return what RFC 3261 18.4 counts as a failure to send.

    That is host, network, port or protocol unreachable. Time exceeded and "fragmentation needed" are not: the first is
    to be ignored by the RFC, the second is taken care of by the system when the message is repeated.
    """
    found: list[Unreachable] = []
    if sys.platform != "linux":
        return found
    for _ in range(_MOST_AT_ONCE):
        try:
            quoted, ancillary, _flags, address = listener.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
        except OSError:
            break
        for _level, kind, data in ancillary:
            if kind not in (_IP_RECVERR, _IPV6_RECVERR) or len(data) < _EXTENDED_ERROR.size:
                continue
            number, origin, icmp_type, code = _EXTENDED_ERROR.unpack_from(data)[:4]
            unreachable = (origin == _FROM_ICMP and icmp_type == _UNREACHABLE and code != _FRAGMENTATION_NEEDED) or (
                origin == _FROM_ICMP6 and icmp_type == _UNREACHABLE6
            )
            if unreachable and isinstance(address, tuple) and len(address) >= 2:
                found.append(Unreachable(address[0], address[1], quoted, OSError(number, os.strerror(number))))
    return found
