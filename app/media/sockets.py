"""Sockets of the relay: bound pairs, connecting and dissolving, and waiting for many of them on every system."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import select
import socket
import sys
from collections.abc import Callable
from typing import Protocol

Address = tuple[str, int]

WOULD_BLOCK = frozenset({errno.EAGAIN, errno.EWOULDBLOCK})

_READABLE = 1
"""EPOLLIN."""

_TYPE_OF_SERVICE = 0xB8
"""Expedited forwarding, as everybody marks voice (RFC 4594 section 4.1)."""


def bind_socket(address: str, port: int) -> socket.socket:
    """A non-blocking UDP socket at this address. Raises `OSError`, for one that is in use or not ours."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        if sys.platform == "win32":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        # Not every system lets a program mark its packets; unmarked audio is still audio.
        with contextlib.suppress(OSError):
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                bound.setsockopt(socket.IPPROTO_IPV6, getattr(socket, "IPV6_TCLASS", 67), _TYPE_OF_SERVICE)
            else:
                bound.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _TYPE_OF_SERVICE)
        bound.bind((address, port))
    except BaseException:
        bound.close()
        raise
    return bound


def bind_pair(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """RTP at an even port and RTCP one above (RFC 3550 section 11). Raises `OSError`; then neither is bound."""
    rtp = bind_socket(address, port)
    try:
        return rtp, bind_socket(address, port + 1)
    except BaseException:
        rtp.close()
        raise


def dissolve(connected: socket.socket) -> bool:
    """Undo the connection of a UDP socket, so that it receives from everywhere again. False where that failed."""
    try:
        if sys.platform == "win32":
            # A zero address dissolves the association there.
            connected.connect(("::", 0) if connected.family == socket.AF_INET6 else ("0.0.0.0", 0))
            return True
        # connect(2) with AF_UNSPEC; Python's connect() cannot say that.
        unspecified = ctypes.create_string_buffer(32)
        return bool(ctypes.CDLL(None).connect(connected.fileno(), unspecified, 16) == 0)
    except (OSError, AttributeError):
        return False


class Poller(Protocol):
    """What the relay's loop needs to wait: the part of `select.epoll` that is used."""

    def register(self, descriptor: int, /) -> None: ...

    def unregister(self, descriptor: int, /) -> None: ...

    def poll(self, timeout: float, maximum: int, /) -> list[tuple[int, int]]: ...

    def close(self) -> None: ...


class _Epoll(Poller, Protocol):
    """`select.epoll` as its methods are, for checking the types on systems that have none."""

    def register(self, descriptor: int, events: int = ..., /) -> None: ...

    def fileno(self) -> int: ...


class EpollPoller:
    """Linux: the kernel keeps the list. `poll` is epoll's own method, nothing stands between."""

    _epoll: _Epoll

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError(errno.ENOSYS, "epoll is Linux's")
        self._epoll = select.epoll()
        self.poll: Callable[[float, int], list[tuple[int, int]]] = self._epoll.poll

    def fileno(self) -> int:
        """A descriptor that is readable while any registered one is: for another loop to watch."""
        return self._epoll.fileno()

    def register(self, descriptor: int) -> None:
        self._epoll.register(descriptor, _READABLE)

    def unregister(self, descriptor: int) -> None:
        self._epoll.unregister(descriptor)

    def close(self) -> None:
        self._epoll.close()


class SelectPoller:
    """Windows: `select` takes 512 sockets at most, so there are several groups of them, looked at in turn."""

    def __init__(self, group_size: int = 500, pause: float = 0.001) -> None:
        self._group_size = group_size
        self._pause = pause
        self._groups: list[list[int]] = [[]]
        self._group_of: dict[int, list[int]] = {}
        if sys.platform == "win32":
            # Without it every wait ends at a multiple of 15.6 ms.
            ctypes.WinDLL("winmm").timeBeginPeriod(1)

    def register(self, descriptor: int) -> None:
        group = next((group for group in self._groups if len(group) < self._group_size), None)
        if group is None:
            group = []
            self._groups.append(group)
        group.append(descriptor)
        self._group_of[descriptor] = group

    def unregister(self, descriptor: int) -> None:
        self._group_of.pop(descriptor).remove(descriptor)
        if len(self._groups) > 1:
            self._groups = [group for group in self._groups if group] or [[]]

    def poll(self, timeout: float, maximum: int) -> list[tuple[int, int]]:
        """As `epoll.poll`: the ready descriptors, waiting for the first one up to `timeout` seconds (-1: for ever)."""
        if len(self._groups) == 1:
            ready, _, _ = select.select(self._groups[0], (), (), None if timeout < 0 else timeout)
            return [(descriptor, 1) for descriptor in ready[:maximum]]
        waited = 0.0
        while True:
            found: list[tuple[int, int]] = []
            for group in self._groups:
                ready, _, _ = select.select(group, (), (), 0)
                found.extend((descriptor, 1) for descriptor in ready)
            if found or 0 <= timeout <= waited:
                # All of them: cutting the list would starve the groups at its end.
                return found
            # The first group wakes at once, the others with the pause: a millisecond is what Windows can do.
            ready, _, _ = select.select(self._groups[0], (), (), self._pause)
            waited += self._pause

    def close(self) -> None:
        self._groups = [[]]
        self._group_of.clear()


def make_poller() -> EpollPoller | SelectPoller:
    """The best way to wait on this system."""
    return EpollPoller() if sys.platform == "linux" else SelectPoller()
