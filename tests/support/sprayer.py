"""A stranger who sends audio to every port of a range and keeps what comes back."""

from __future__ import annotations

import contextlib
import socket

from app.media.rtp import build_rtp

MARK = b"stranger"
"""Stands in every packet of it."""


class Sprayer:
    """Sends well-formed RTP, which is RTCP to odd ports, from several ports."""

    def __init__(self, address: str, target: str, first: int, last: int, sockets: int = 3) -> None:
        self.target = target
        self._ports = range(first, last + 1)
        self.sockets = []
        for _ in range(sockets):
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            opened.setblocking(False)
            opened.bind((address, 0))
            self.sockets.append(opened)
        self.number = 0
        self.sent = 0
        self.received = 0

    def spray(self) -> None:
        """Once through the range from each port, and see what has come."""
        for opened in self.sockets:
            data = build_rtp(0, self.number & 0xFFFF, self.number * 160, 0x5EA5, MARK * 20)
            for port in self._ports:
                with contextlib.suppress(OSError):
                    opened.sendto(data, (self.target, port))
                    self.sent += 1
            self.number += 1
            self.look(opened)

    def look(self, opened: socket.socket) -> None:
        """Count what came to one of its sockets; errors of closed ports are no packets."""
        while True:
            try:
                opened.recv(4096)
            except BlockingIOError:
                return
            except OSError:
                continue
            self.received += 1

    def close(self) -> None:
        """Be gone."""
        for opened in self.sockets:
            opened.close()
