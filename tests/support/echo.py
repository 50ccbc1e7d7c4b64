"""Sends relayed audio back packet by packet, and knows of each stream what is missing and how long it was still."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path


class HeardStream:
    """A stream of RTP packets from one port."""

    __slots__ = ("highest", "longest_gap", "lost", "newest_at", "packets")

    def __init__(self) -> None:
        self.packets = 0
        self.lost = 0
        """Sequence numbers that were passed over since `Echo.begin`."""
        self.highest = -1
        self.newest_at = 0.0
        self.longest_gap = 0.0
        """Seconds between two packets, likewise."""


class Echo:
    """A UDP socket in a thread of its own; each stream comes from a port of its own."""

    def __init__(self, address: str, port: int) -> None:
        self.streams: dict[tuple[str, int], HeardStream] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._socket.bind((address, port))
        self._socket.settimeout(0.1)
        self._open = True
        self._thread = threading.Thread(target=self._run, name="echo", daemon=True)
        self._thread.start()

    def __enter__(self) -> Echo:
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._thread.join(5)
        self._socket.close()

    def begin(self) -> None:
        """Count what is missing, and for how long, from now on."""
        for stream in list(self.streams.values()):
            stream.lost, stream.longest_gap = 0, 0.0

    def _run(self) -> None:
        receive, send, streams = self._socket.recvfrom, self._socket.sendto, self.streams
        while self._open:
            try:
                data, source = receive(2048)
            except TimeoutError:
                continue
            except OSError:
                continue
            with contextlib.suppress(OSError):
                send(data, source)
            now = time.monotonic()
            stream = streams.get(source)
            if stream is None:
                stream = streams[source] = HeardStream()
            else:
                stream.longest_gap = max(stream.longest_gap, now - stream.newest_at)
                ahead = (int.from_bytes(data[2:4], "big") - stream.highest) & 0xFFFF
                if 0 < ahead < 0x8000:
                    stream.lost += ahead - 1
                elif ahead:
                    stream.lost -= 1
                    continue
            stream.packets += 1
            stream.newest_at = now
            stream.highest = int.from_bytes(data[2:4], "big")


def packets_dropped_at(address: str) -> int:
    """How many packets the kernel threw away because a socket on this address was full (Linux)."""
    packed = socket.inet_aton(address)[::-1].hex().upper()
    lines = Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]
    return sum(int(line.split()[-1]) for line in lines if line.split()[1].startswith(packed))
