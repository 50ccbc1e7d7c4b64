"""A media worker: a process of its own that runs a relay and obeys the engine over a private socket.

`run_worker` is its entry function for `multiprocessing` with the spawn method; a frozen program calls
`multiprocessing.freeze_support()` first thing in its main module. Nothing here imports the engine, so that a worker is
small and starts in a fraction of a second.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
import sys
from collections import deque
from typing import Any

from app.media.endpoint import IDLE, ignore
from app.media.messages import Command, Message, Report, Unpacker, pack
from app.media.priority import yield_when_told
from app.media.relay import Relay
from app.media.sockets import WOULD_BLOCK

_MAXIMUM_UNSENT = 32 * 1024 * 1024
_READ_BYTES = 65_536
_COMMANDS_PER_BATCH = 32
"""Commands that are carried out before packets have their turn again."""


class ControlChannel:
    """The worker's end of the socket to the engine; never blocks the packet loop."""

    def __init__(self, control: socket.socket) -> None:
        control.setblocking(False)
        self._control = control
        self._unpacker = Unpacker()
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self.readable = False
        self.closed = False
        self.commands: deque[Message] = deque()
        self.relay: Relay

    def fileno(self) -> int:
        return self._control.fileno()

    def note_readable(self, _buffer: bytearray) -> int:
        """Stands where a media socket has its receive function: the commands are read after the batch."""
        self.readable = True
        self.relay.attention = True
        return 0

    def report(self, message: Message) -> None:
        """Send a report, or keep it until the engine has read others."""
        frame = pack(message)
        if self._unsent:
            # The newest figures replace nothing: an engine that reads nothing for so long is about to be replaced.
            if self._unsent_bytes < _MAXIMUM_UNSENT:
                self._unsent.append(frame)
                self._unsent_bytes += len(frame)
            self.flush()
            return
        self._send(frame)

    def flush(self) -> None:
        """Send what was kept."""
        while self._unsent:
            frame = self._unsent.popleft()
            self._unsent_bytes -= len(frame)
            if not self._send(frame):
                return

    def _send(self, frame: bytes) -> bool:
        try:
            sent = self._control.send(frame)
        except OSError as error:
            if error.errno not in WOULD_BLOCK:
                self.closed = True
                return False
            sent = 0
        if sent < len(frame):
            self._unsent.appendleft(frame[sent:])
            self._unsent_bytes += len(frame) - sent
            return False
        return True

    def read(self) -> None:
        """Read the commands that have come."""
        self.readable = False
        try:
            data = self._control.recv(_READ_BYTES)
        except OSError as error:
            if error.errno not in WOULD_BLOCK:
                self.closed = True
            return
        if not data:
            self.closed = True
            return
        self.commands.extend(self._unpacker.feed(data))


def serve(control: socket.socket, poller: Any = None) -> None:
    """Run a relay until the engine says stop or is gone."""
    channel = ControlChannel(control)
    relay = channel.relay = Relay(channel.report, poller)
    relay.set_entry(channel.fileno(), (IDLE, channel.note_readable, control.send, ignore))
    relay.poller.register(channel.fileno())

    channel.report((int(Report.READY),))
    try:
        while not channel.closed:
            relay.run()
            relay.attention = False
            if channel.readable:
                channel.read()
            for _ in range(min(len(channel.commands), _COMMANDS_PER_BATCH)):
                message = channel.commands.popleft()
                if message[0] == Command.STOP:
                    return
                relay.command(message)
            if channel.commands:
                # One batch of packets, then the rest.
                relay.attention = True
                relay.wait = 0.0
    finally:
        relay.close()
        channel.flush()
        control.close()


def run_worker(control: socket.socket) -> None:
    """The main function of a worker process."""
    # Control-C in a terminal goes to every process of the group; this one ends when the engine lets go of the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield_when_told()
    if sys.platform != "win32":
        import resource

        # Four sockets per call.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # A collection would stop the audio for milliseconds; sessions leave no cycles behind when they are closed.
    gc.collect()
    gc.freeze()
    gc.disable()
    serve(control)
