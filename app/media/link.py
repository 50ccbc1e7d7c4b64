"""The engine's end of the line to a media worker: in a process, in a thread or in the engine's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import select
import socket
import sys
import threading
import types
from collections import deque
from collections.abc import Iterator
from multiprocessing.context import SpawnProcess
from typing import Protocol

from app.media.messages import Command, Message, Report, Unpacker, pack
from app.media.relay import Relay
from app.media.sockets import WOULD_BLOCK, EpollPoller, SelectPoller
from app.media.worker import run_worker, serve

_MAXIMUM_UNSENT = 16 * 1024 * 1024
_SOCKET_BUFFER = 1024 * 1024
_READ_BYTES = 65_536
"""Read at a time: room for more, made for each read, would tear holes into the heap."""
_REAP_INTERVAL = 0.005
_REAP_LIMIT = 5.0


class Link(Protocol):
    """A worker as `MediaControl` sees it."""

    number: int
    """Tells workers apart for as long as the program runs."""
    ready: bool
    heard_at: float
    """Monotonic seconds of the newest message."""

    def start(self) -> None:
        """Start the worker; `on_message` gets READY when it runs."""

    def send(self, message: Message) -> None:
        """Send a command; never waits."""

    def flush(self) -> None:
        """Send what could not be sent before."""

    def kill(self) -> None:
        """End it by force; `on_lost` is called when it is gone."""

    async def stop(self) -> None:
        """End it in order; `on_lost` is not called."""

    @property
    def pid(self) -> int:
        """The process that forwards the packets."""


class LinkEvents(Protocol):
    """Whom a link tells what happens; always on the loop."""

    def link_message(self, link: Link, message: Message) -> None: ...

    def link_lost(self, link: Link, reason: str) -> None: ...


class SocketLink:
    """A worker at the other end of a socket pair: what processes and threads have in common."""

    def __init__(self, number: int, events: LinkEvents, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        self.ready = False
        self.heard_at = loop.time()
        self._events = events
        self._loop = loop
        self._control: socket.socket | None = None
        self._unpacker = Unpacker()
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._reading_in_thread = False
        self._stopping = False
        self._gone = asyncio.Event()

    def _open(self) -> socket.socket:
        """Make the socket pair and read our end; returns the worker's end."""
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER)
        ours.setblocking(False)
        self._control = ours
        self.heard_at = self._loop.time()
        try:
            self._loop.add_reader(ours.fileno(), self._readable)
        except NotImplementedError:
            # A proactor loop (Windows) watches no sockets: a thread waits and hands over.
            self._reading_in_thread = True
            threading.Thread(target=self._read_in_thread, args=(ours,), name="media-link", daemon=True).start()
        return theirs

    def send(self, message: Message) -> None:
        frame = pack(message)
        self._unsent.append(frame)
        self._unsent_bytes += len(frame)
        self.flush()

    def flush(self) -> None:
        control = self._control
        while self._unsent and control is not None:
            frame = self._unsent[0]
            try:
                sent = control.send(frame)
            except OSError as error:
                if error.errno in WOULD_BLOCK:
                    if self._unsent_bytes > _MAXIMUM_UNSENT:
                        self.kill()
                    return
                self._unsent.clear()
                self._unsent_bytes = 0
                return
            self._unsent_bytes -= sent
            if sent == len(frame):
                self._unsent.popleft()
            else:
                self._unsent[0] = frame[sent:]

    def _readable(self) -> None:
        control = self._control
        if control is None:
            return
        try:
            data = control.recv(_READ_BYTES)
        except OSError as error:
            if error.errno in WOULD_BLOCK:
                return
            data = b""
        self._take(data)

    def _read_in_thread(self, control: socket.socket) -> None:
        while True:
            try:
                select.select((control,), (), ())
                data = control.recv(_READ_BYTES)
            except (OSError, ValueError) as error:
                if isinstance(error, OSError) and error.errno in WOULD_BLOCK:
                    continue
                data = b""
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._take, data)
            if not data:
                return

    def _take(self, data: bytes) -> None:
        """What was read, on the loop; nothing means that the worker is gone."""
        if self._control is None:
            return
        if not data:
            self._closed()
            return
        self.heard_at = self._loop.time()
        for message in self._unpacker.feed(data):
            if message[0] == Report.READY:
                self.ready = True
            self._events.link_message(self, message)

    def _closed(self) -> None:
        """The other end is closed."""
        self._close_control()
        self._gone.set()

    def _close_control(self) -> None:
        control, self._control = self._control, None
        self._unsent.clear()
        self._unsent_bytes = 0
        if control is None:
            return
        if self._reading_in_thread:
            with contextlib.suppress(OSError):
                control.shutdown(socket.SHUT_RDWR)
        else:
            self._loop.remove_reader(control.fileno())
        control.close()

    @property
    def pid(self) -> int:
        """No process of its own."""
        return 0

    def start(self) -> None:
        """Start the worker at the other end."""
        raise NotImplementedError

    def kill(self) -> None:
        """End it by force."""
        raise NotImplementedError

    async def stop(self) -> None:
        """End it in order."""
        raise NotImplementedError


class ProcessLink(SocketLink):
    """A worker process, made with the spawn method everywhere: nothing of the engine is copied into it."""

    def __init__(self, number: int, events: LinkEvents, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(number, events, loop)
        self._process: SpawnProcess | None = None
        self._killed_at = 0.0

    @property
    def pid(self) -> int:
        return (self._process.pid or 0) if self._process is not None else 0

    def start(self) -> None:
        theirs = self._open()
        try:
            context = multiprocessing.get_context("spawn")
            process = context.Process(target=run_worker, args=(theirs,), name="trunkline-media", daemon=True)
            with _without_main_module():
                process.start()
            self._process = process
        except BaseException:
            self._close_control()
            raise
        finally:
            theirs.close()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
        self._closed()

    def _closed(self) -> None:
        if self._control is None:
            return
        self._close_control()
        self.ready = False
        if self._process is not None:
            # It may only have closed the socket; its ports are free when it is gone.
            self._process.kill()
        self._killed_at = self._loop.time()
        self._reap()

    def _reap(self) -> None:
        process = self._process
        late = self._loop.time() - self._killed_at > _REAP_LIMIT
        if process is not None and process.exitcode is None and not late:
            self._loop.call_later(_REAP_INTERVAL, self._reap)
            return
        code = process.exitcode if process is not None else None
        if process is not None and code is not None:
            process.close()
        self._process = None
        self._gone.set()
        if not self._stopping:
            self._events.link_lost(self, _exit_text(code))

    async def stop(self) -> None:
        self._stopping = True
        if self._control is None:
            return
        self.send((int(Command.STOP),))
        try:
            await asyncio.wait_for(self._gone.wait(), 2.0)
        except TimeoutError:
            self.kill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), _REAP_LIMIT + 1)


class ThreadLink(SocketLink):
    """The same relay in a thread: for `media_processes = 0` where the loop cannot watch sockets (Windows)."""

    def __init__(self, number: int, events: LinkEvents, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(number, events, loop)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        theirs = self._open()
        poller = SelectPoller() if sys.platform == "win32" else None
        self._thread = threading.Thread(target=serve, args=(theirs, poller), name="media-relay", daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """A thread cannot be killed: it ends when its socket is closed."""
        self._closed()

    def _closed(self) -> None:
        if self._control is None:
            return
        super()._closed()
        self.ready = False
        if not self._stopping:
            self._loop.call_soon(self._events.link_lost, self, "the relay's thread has ended")

    async def stop(self) -> None:
        self._stopping = True
        if self._control is None:
            return
        self.send((int(Command.STOP),))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), 2.0)
        self._close_control()


class LoopLink:
    """The same relay inside the engine's loop: its epoll descriptor is watched as if it were one socket."""

    def __init__(self, number: int, events: LinkEvents, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        self.ready = False
        self.heard_at = loop.time()
        self._events = events
        self._loop = loop
        self._poller = EpollPoller()
        self._relay = Relay(self._report, self._poller)
        self._reports: deque[Message] = deque()
        self._delivery: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    @property
    def pid(self) -> int:
        return 0

    def start(self) -> None:
        self._loop.add_reader(self._poller.fileno(), self._run)
        self._report((int(Report.READY),))
        self._run()

    def send(self, message: Message) -> None:
        self._relay.command(message)
        self._arm()

    def flush(self) -> None:
        """Nothing ever waits here."""

    def kill(self) -> None:
        """There is nothing of its own to end."""

    async def stop(self) -> None:
        self._loop.remove_reader(self._poller.fileno())
        for handle in (self._timer, self._delivery):
            if handle is not None:
                handle.cancel()
        self._relay.close()

    def _run(self) -> None:
        # One batch without waiting; the loop calls again while there is more.
        self._relay.attention = True
        self._relay.wait = 0.0
        self._relay.run()
        self._arm()

    def _arm(self) -> None:
        due = self._relay.due
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_later(max(due - self._relay.clock(), 0.0), self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        self._run()

    def _report(self, message: Message) -> None:
        # Not at once: the engine may be in the middle of the command that caused it.
        self._reports.append(message)
        if self._delivery is None:
            self._delivery = self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._delivery = None
        self.heard_at = self._loop.time()
        reports, self._reports = self._reports, deque()
        for message in reports:
            if message[0] == Report.READY:
                self.ready = True
            self._events.link_message(self, message)


def _exit_text(code: int | None) -> str:
    if code is None:
        return "does not end"
    return f"ended by signal {-code}" if code < 0 else f"exit code {code}"


@contextlib.contextmanager
def _without_main_module() -> Iterator[None]:
    """Have a spawned child not import the program's main module: a worker needs none of it, and would start late.

    `multiprocessing` looks at `sys.modules["__main__"]` for what to import; an empty module tells it nothing.
    """
    main = sys.modules.get("__main__")
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        if main is not None:
            sys.modules["__main__"] = main


def make_link(number: int, processes: int, events: LinkEvents, loop: asyncio.AbstractEventLoop) -> Link:
    """The link for `media_processes`: a process, or for 0 the loop itself where it can watch sockets."""
    if processes > 0:
        return ProcessLink(number, events, loop)
    return LoopLink(number, events, loop) if hasattr(select, "epoll") else ThreadLink(number, events, loop)
