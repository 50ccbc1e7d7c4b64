"""Audio of relayed calls: RTP from and to sockets of its own, all paced by one task."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import struct

PACKET_SECONDS = 0.02
_CONNECTION = re.compile(r"^c=IN IP4 (\S+)", re.MULTILINE)
_AUDIO = re.compile(r"^m=audio (\d+) ", re.MULTILINE)


class Stream:
    """One side's socket: sends PCMU to where the other description says, and counts what comes."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 0))
        self._socket.setblocking(False)
        self._target: tuple[str, int] | None = None
        self._source = secrets.randbits(32)
        self._sequence = secrets.randbits(15)
        self.sent = self.received = 0

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def aim(self, description: str) -> None:
        """Send to the audio of this session description."""
        host, port = _CONNECTION.search(description), _AUDIO.search(description)
        if host is not None and port is not None and port[1] != "0":
            self._target = (host[1], int(port[1]))

    def tick(self) -> None:
        """Send a packet, take what has come."""
        try:
            while True:
                self._socket.recv(2048)
                self.received += 1
        except OSError:
            pass
        if self._target is not None:
            self._sequence = (self._sequence + 1) & 0xFFFF
            header = struct.pack("!BBHII", 0x80, 0, self._sequence, self._sequence * 160, self._source)
            try:
                self._socket.sendto(header + b"\xff" * 160, self._target)
                self.sent += 1
            except OSError:
                pass

    def close(self) -> None:
        self._socket.close()


class Audio:
    """All streams that run."""

    def __init__(self) -> None:
        self._streams: set[Stream] = set()
        self.sent = self.received = self.calls = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Pace them from now on."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def add(self, address: str) -> Stream:
        """A new stream; it sends once it is aimed."""
        stream = Stream(address)
        self._streams.add(stream)
        return stream

    def remove(self, stream: Stream) -> None:
        """End a stream and keep its counts."""
        self._streams.discard(stream)
        self.sent += stream.sent
        self.received += stream.received
        self.calls += 1
        stream.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            for stream in tuple(self._streams):
                stream.tick()
            due = max(due + PACKET_SECONDS, loop.time() - 0.2)
            await asyncio.sleep(max(0.0, due - loop.time()))
