"""One address that sends as much as it is told, over UDP or TCP, for tests and benchmarks of the guard."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from pathlib import Path
from typing import Literal

RATE = 5000
"""Messages per second of a flood."""

_LONGEST_CATCHING_UP = 0.1
"""Seconds' worth of messages that are sent at once after the sender itself had no processor time."""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Flood:
    """Sends in a thread while it is entered, and notes when it was answered.

    `kind` is a method, "nonsense", or "keep-alive". Over TCP a connection that is closed is made again as soon as that
    is possible.
    """

    def __init__(
        self,
        address: str,
        server: tuple[str, int],
        kind: str,
        transport: Literal["UDP", "TCP"] = "UDP",
        rate: float = RATE,
    ) -> None:
        self.sent = 0
        self.began = 0.0
        self.answered_at: list[float] = []
        self._address, self._server, self._kind = address, server, kind
        self._transport, self._rate = transport, rate
        self._socket: socket.socket | None = None
        self._unsent = b""
        if transport == "UDP":
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind((address, 5060))
            self._socket.setblocking(False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Flood:
        self.began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        if self._socket is not None:
            self._socket.close()

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self.began

    def _run(self) -> None:
        due, last = 0.0, 0.0
        while not self._stop.wait(0.005):
            now = self.seconds
            due += min(now - last, _LONGEST_CATCHING_UP) * self._rate
            last = now
            while due >= 1.0 and self._send():
                due -= 1.0
                self.sent += 1
            with contextlib.suppress(BlockingIOError, OSError):
                while self._socket is not None and self._socket.recv(65535):
                    self.answered_at.append(self.seconds)

    def _send(self) -> bool:
        """Send one message; False when that is not possible now."""
        try:
            if self._transport == "UDP":
                assert self._socket is not None
                self._socket.sendto(self._message(), self._server)
                return True
            if self._socket is None:
                self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._socket.bind((self._address, 0))
                self._socket.settimeout(0.5)
                self._socket.connect(self._server)
                self._socket.setblocking(False)
                self._unsent = b""
            if not self._unsent:
                self._unsent = self._message()
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            return False
        except OSError:
            if self._transport == "UDP" or self._socket is None:
                return False
            self._socket.close()
            self._socket = None
        return True

    def _message(self) -> bytes:
        number = self.sent
        if self._kind == "keep-alive":
            return b"\r\n\r\n"
        if self._kind == "nonsense":
            return b"\xff%d \0\r\nVia: SIP/2.0/UDP x;;;=\r\n\r\n" % number * 20
        lines = (
            f"{self._kind} sip:100@{self._server[0]} SIP/2.0",
            f"Via: SIP/2.0/{self._transport} {self._address}:5060;rport;branch=z9hG4bKflood{number}",
            f"From: <sip:{number % 9}@{self._server[0]}>;tag=f{number}",
            f"To: <sip:100@{self._server[0]}>",
            f"Call-ID: flood-{number}",
            f"CSeq: 1 {self._kind}",
            f"Contact: <sip:f@{self._address}>",
            "Max-Forwards: 70",
            "Content-Length: 0",
        )
        return "\r\n".join([*lines, "", ""]).encode()
