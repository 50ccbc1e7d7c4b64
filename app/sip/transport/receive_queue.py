"""How long what is read from a stream connection has waited: in the system's queue, or with a peer held back by it."""

from __future__ import annotations

import ctypes
import sys
from asyncio.trsock import TransportSocket
from collections import deque
from collections.abc import Callable
from socket import SO_RCVBUF, SOL_SOCKET

HELD_BACK_FROM = 0.4
"""The part of the buffer from which the peer is taken to be held back. The system keeps some of it for itself: the
older Linux is, the more, up to half."""
HELD_BACK_AGAIN = 0.3
"""Seconds after which it is taken to be so anew. Meanwhile the queue may become short, and even empty: the system lets
the peer go on when there is much room again, not before."""

_FIONREAD = 0x4004667F


def unread(source: TransportSocket) -> tuple[int, int]:
    """How many bytes wait to be read from a stream socket, and for how many there is room; zeros once it is closed."""
    try:
        return _waiting_in(source.fileno()), source.getsockopt(SOL_SOCKET, SO_RCVBUF)
    except (OSError, ValueError):
        return 0, 0


if sys.platform == "win32":

    def _waiting_in(descriptor: int) -> int:
        count = ctypes.c_ulong(0)
        if ctypes.WinDLL("ws2_32").ioctlsocket(ctypes.c_void_p(descriptor), _FIONREAD, ctypes.byref(count)):
            raise OSError("the socket does not say what waits in it")
        return count.value

else:
    import fcntl
    import termios

    def _waiting_in(descriptor: int) -> int:
        count = ctypes.c_int(0)
        fcntl.ioctl(descriptor, termios.FIONREAD, count)
        return count.value


class ReceiveQueue:
    """What is known of the queue of one connection, by looks at what a full read has left there.

    TCP does not say when something came. But what a look has found had come by then, and is read when its turn comes.
    What is more than there is room for waits with the peer, for nobody knows how long: since the queue became full, if
    it was again and again.
    """

    __slots__ = ("_held_back_at", "_held_back_since", "_look", "_looks", "_taken")

    def __init__(self, look: Callable[[], tuple[int, int]]) -> None:
        """`look` gives the bytes that wait to be read, and how many there is room for."""
        self._look = look
        self._looks: deque[tuple[float, int]] = deque()
        """When how many bytes had come in all. As many as there were reads since the oldest of what waits came."""
        self._taken = 0
        self._held_back_since = self._held_back_at = 0.0
        """When the peer was held back first, and last."""

    def read(self, size: int, *, emptied: bool, now: float) -> float:
        """So many bytes were just read; returns the latest time at which the first of them can have come."""
        looks = self._looks
        if emptied and not looks:
            return now
        first, self._taken = self._taken, self._taken + size
        while looks and looks[0][1] <= first:
            looks.popleft()
        came = looks[0][0] if looks else now
        if emptied:
            looks.clear()
            return came
        waiting, room = self._look()
        if not looks or self._taken + waiting > looks[-1][1]:
            looks.append((now, self._taken + waiting))
        was_held_back = now - self._held_back_at < HELD_BACK_AGAIN
        if waiting > room * HELD_BACK_FROM:
            self._held_back_at = now
            if not was_held_back:
                self._held_back_since = now
                return came
        return min(came, self._held_back_since) if was_held_back else came
