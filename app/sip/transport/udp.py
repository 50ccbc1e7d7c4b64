"""UDP listeners: datagrams come in by batches, one wake of the loop each, and go out without ever waiting."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import logging
import select
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from app.sip.flow import Flow
from app.sip.transport import icmp
from app.sip.transport.listening import (
    ListenAddress,
    TransportError,
    TransportLimits,
    family_of,
    granted_receive_buffer,
    open_socket,
)

log = logging.getLogger(__name__)

ReceiveMode = Literal["auto", "thread", "reader"]
Admit = Callable[[str, int, float], bool]
"""Whether something from this address, and port (0 for connections), is read at all now (monotonic seconds)."""
Datagram = tuple[bytes, tuple[str, int], str]
"""Its bytes, where it came from and which of our addresses it was sent to."""

_LARGEST_DATAGRAM = 65535
_SMALLEST_MESSAGE = 5
"""Anything shorter is a keep-alive of a NAT binding: CRLF, CRLF CRLF or four zero bytes."""
_ROOMY_BUFFER = 1024 * 1024
_RETRY_SENDING_AFTER = 0.005
_DEAD_SOCKET = {
    errno.EBADF,
    errno.ENOTSOCK,
    errno.EINVAL,
    errno.ENETDOWN,
    errno.ENODEV,
    errno.ENXIO,
    10038,  # WSAENOTSOCK
    10022,  # WSAEINVAL
    10050,  # WSAENETDOWN
}
_ADDRESS_NOT_OURS = {errno.EADDRNOTAVAIL, errno.EINVAL, errno.ENETUNREACH, errno.EHOSTUNREACH}
_WINDOWS_ICMP_ERRORS = {10054, 10052}
"""WSAECONNRESET and WSAENETRESET: "port unreachable" and "time exceeded" for an earlier datagram."""
_ERRORS_IN_A_ROW = 100
_SIO_UDP_CONNRESET = 0x9800000C
_VERIFIABLE_QUOTE = 32
_REMEMBERED_DESTINATIONS = 2048
_REMEMBERED_FLOWS = 4096
_QUIET = 0.0003
"""Seconds without a wake after which a single datagram is expected, so that the system is not asked for a second."""
_GOOD_FOR = 1.0
"""Seconds for which it is believed that a queue from which a full batch was read is not empty."""
_SO_TIMESTAMPNS = 35
_IP_PKTINFO = 8
_IPV6_PKTINFO = getattr(socket, "IPV6_PKTINFO", 50)
_IPV6_RECVPKTINFO = getattr(socket, "IPV6_RECVPKTINFO", 49)


@dataclass(frozen=True, slots=True)
class UdpCounts:
    """What a listener has seen since it was made."""

    received: int
    """Datagrams handed on."""
    not_admitted: int
    """Datagrams that the guard refused."""
    keep_alives: int
    """Datagrams too short for a message: keep-alives of a NAT binding."""
    backlog_drops: int
    """Datagrams dropped because the loop did not keep up with the reader thread."""
    wakes: int
    """How often the loop was woken; never more than once per batch."""
    sent: int
    """Datagrams given to the system."""
    send_failures: int
    """Datagrams that could not be sent, ICMP errors included."""


@dataclass(slots=True)
class _Counters:
    received: int = 0
    not_admitted: int = 0
    keep_alives: int = 0
    backlog_drops: int = 0
    wakes: int = 0
    sent: int = 0
    send_failures: int = 0


@dataclass(slots=True)
class _Sent:
    """What went to a destination last."""

    flow: Flow
    data: bytes
    plain: bool
    """Whether the system chooses the flow's own address by itself."""


class UdpListener:
    """One bound UDP socket. All methods are for the loop's thread; nothing here blocks, and nothing but `open` raises.

    `thread` mode has a daemon thread that reads batches and wakes the loop once for each; it works on every platform
    and empties the system's buffer even while the loop is busy. `reader` mode lets the loop itself say when the socket
    is readable and reads the batch there; while the loop is busy, the system's buffer is all there is.

    `auto` is `reader` wherever the loop has readers, which leaves `thread` to Windows. Measured (tests/bench/transport,
    microseconds of processor time per datagram received and answered, 500 and 5,000 a second, reader against thread):
    50 and 23 against 120 and 35 under uvloop, 102 and 28 against 155 and 49 under asyncio, 161 and 39 against 198 and
    51 under Qt. Besides, a busy thread runs Python's collector, and Qt's objects must not be collected outside Qt's own
    thread. The price is loss while a window repaints, and only where the system grants its usual 208 KiB of buffer:
    60 ms of repainting lose nothing at 700 datagrams per second and 2 % at 3,500.
    """

    def __init__(
        self,
        address: ListenAddress,
        on_messages: Callable[[list[tuple[bytes, Flow]]], None],
        on_failure: Callable[[Flow, Exception], None],
        admit: Admit | None,
        limits: TransportLimits,
        local_address_towards: Callable[[str], str],
        on_dead: Callable[[OSError], None],
        mode: ReceiveMode = "auto",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self._on_messages = on_messages
        self._on_failure = on_failure
        self._admit = admit
        self._limits = limits
        self._local_address_towards = local_address_towards
        self._on_dead = on_dead
        self._wanted_mode = mode
        self._monotonic = monotonic
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket: socket.socket | None = None
        self._receiver: _LoopReader | _ThreadReader | None = None
        self._counters = _Counters()
        self._send_queue: deque[tuple[Flow, bytes]] = deque()
        self._last_sent: dict[tuple[str, int], _Sent] = {}
        self._flows: dict[tuple[tuple[str, int], str], Flow] = {}
        self._errors_in_a_row = 0
        # Had each datagram room for the largest, cut to its size afterwards, what is kept of them would lie 64 KiB
        # apart, and the heap would grow to several times what is in use.
        self._buffer = memoryview(bytearray(_LARGEST_DATAGRAM))
        self._tells_destination = False
        self._tells_time = False
        self.error_seen = False
        """Whether a receive failed since the ICMP errors were read last."""

    @property
    def mode(self) -> str:
        """How datagrams are read now: thread or reader; empty while the socket is closed."""
        return self._receiver.name if self._receiver is not None else ""

    def waiting(self, now: float) -> float:
        """Seconds that what is being dealt with now has waited to be read; 0 while the queue empties."""
        receiver = self._receiver
        if receiver is None or not receiver.waiting_since:
            return 0.0
        return now - receiver.waiting_since if now - receiver.read_at < _GOOD_FOR else 0.0

    @property
    def counts(self) -> UdpCounts:
        """A snapshot of the counters."""
        counters = self._counters
        drops = counters.backlog_drops + (self._receiver.drops if self._receiver is not None else 0)
        return UdpCounts(
            counters.received,
            counters.not_admitted,
            counters.keep_alives,
            drops,
            counters.wakes,
            counters.sent,
            counters.send_failures,
        )

    # -- opening and closing --------------------------------------------------------------------------------------

    def open(self) -> None:
        """Bind the socket and begin to receive on the running loop. Raises ListenError."""
        loop = asyncio.get_running_loop()
        opened = open_socket(self.address, self._limits)
        self.address = self.address._replace(port=opened.getsockname()[1])
        self._loop = loop
        self._socket = opened
        self._errors_in_a_row = 0
        self._tells_destination = self.address.is_wildcard and _ask_for_destination(opened)
        self._tells_time = _ask_for_time(opened)
        _ignore_icmp_errors(opened)
        granted = granted_receive_buffer(opened)
        if granted < _ROOMY_BUFFER:
            log.info(
                "%s has a receive buffer of %d KiB only; bursts may lose messages (net.core.rmem_max allows more)",
                self.address,
                granted // 1024,
            )
        if self._chosen_mode() == "reader":
            if icmp.AVAILABLE:
                icmp.ask_for_errors(opened)
            self._receiver = _LoopReader(self, loop, opened, self._limits.batch, self._monotonic)
        else:
            self._receiver = _ThreadReader(self, loop, opened, self._limits, self._monotonic)

    def close(self) -> None:
        """Stop receiving and give the port back; what waits to be sent is dropped. Closing twice does nothing."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.stop()
            self._counters.backlog_drops += receiver.drops
        closing, self._socket = self._socket, None
        if closing is not None:
            closing.close()
        self._send_queue.clear()
        self._last_sent.clear()
        self._flows.clear()

    def _chosen_mode(self) -> str:
        if self._wanted_mode != "auto":
            return self._wanted_mode
        # Qt's loop on Windows is a proactor, which has no readers; neither has the proactor of asyncio.
        return "thread" if sys.platform == "win32" else "reader"

    # -- receiving ------------------------------------------------------------------------------------------------

    def first_waited(self, source: socket.socket) -> float:
        """Seconds for which the next datagram has waited in the system's buffer; 0 where the system does not say."""
        if sys.platform == "win32" or not self._tells_time:
            return 0.0
        try:
            _data, ancillary, _flags, _address = source.recvmsg(0, 128, socket.MSG_PEEK)
        except BlockingIOError:
            return 0.0
        except OSError:
            # An ICMP error of some earlier datagram; one that means death is met again when the batch is read.
            self.error_seen = True
            return 0.0
        return _waited(ancillary, time.time())

    def read_batch(self, source: socket.socket, most: int) -> list[Datagram]:
        """Take what is there, up to `most`, in the receiver's thread. Raises OSError when the socket is dead."""
        batch: list[Datagram] = []
        buffer = self._buffer
        try:
            if sys.platform != "win32" and self._tells_destination:
                for _ in range(most):
                    size, ancillary, _flags, address = source.recvmsg_into([buffer], 128)
                    batch.append((bytes(buffer[:size]), address, _destination(ancillary)))
            else:
                host = self.address.host
                for _ in range(most):
                    size, address = source.recvfrom_into(buffer)
                    batch.append((bytes(buffer[:size]), address, host))
        except (BlockingIOError, InterruptedError):
            self._errors_in_a_row = 0
        except OSError as error:
            # An ICMP error of some earlier datagram shows itself here and means nothing for the socket.
            self.error_seen = True
            if error.errno not in icmp.PENDING_ERRORS and error.errno not in _WINDOWS_ICMP_ERRORS:
                self._errors_in_a_row += 1
            if error.errno in _DEAD_SOCKET or self._errors_in_a_row > _ERRORS_IN_A_ROW:
                raise
        else:
            self._errors_in_a_row = 0
        return batch

    def take_batch(self, batch: list[Datagram], now: float) -> None:
        """Admit, wrap and hand on one batch, in the loop's thread."""
        counters = self._counters
        counters.wakes += 1
        admit = self._admit
        flows = self._flows
        messages: list[tuple[bytes, Flow]] = []
        for data, address, local_host in batch:
            if admit is not None and not admit(address[0], address[1], now):
                counters.not_admitted += 1
            elif len(data) < _SMALLEST_MESSAGE:
                counters.keep_alives += 1
            else:
                flow = flows.get((address, local_host))
                messages.append((data, flow if flow is not None else self._flow_of(address, local_host)))
        if not messages:
            return
        counters.received += len(messages)
        try:
            self._on_messages(messages)
        except Exception:
            log.exception("A batch of %d datagrams on %s was not dealt with", len(messages), self.address)

    def _flow_of(self, address: tuple[str, int], local_host: str) -> Flow:
        """A new flow, remembered because its peer will send more."""
        if not self.address.is_wildcard or self._tells_destination:
            flow = Flow("udp", local_host, self.address.port, address[0], address[1])
            if len(self._flows) >= _REMEMBERED_FLOWS:
                self._flows.clear()
            self._flows[address, local_host] = flow
            return flow
        return Flow("udp", self._local_address_towards(address[0]), self.address.port, address[0], address[1])

    def take_errors(self) -> None:
        """Read the ICMP errors that the system keeps and report those that are proved to be about what we sent.

        RFC 3261 18.4: "unreachable" is a failure to send. Anybody could send us such an ICMP message, so it only counts
        when it quotes the beginning of the very datagram that went to that destination last, which carries a random
        branch.
        """
        self.error_seen = False
        if self._socket is None or not icmp.AVAILABLE:
            return
        for unreachable in icmp.take_errors(self._socket):
            remembered = self._last_sent.get((unreachable.host, unreachable.port))
            quoted = unreachable.quoted
            if remembered is not None and len(quoted) >= _VERIFIABLE_QUOTE and remembered.data.startswith(quoted):
                del self._last_sent[unreachable.host, unreachable.port]
                self._fail(remembered.flow, unreachable.error)

    def socket_died(self, error: OSError) -> None:
        """The receiver cannot go on: close and tell, in the loop's thread."""
        if self._socket is None:
            return
        log.warning("The socket of %s died: %s", self.address, error)
        self.close()
        self._on_dead(error)

    # -- sending --------------------------------------------------------------------------------------------------

    def send(self, flow: Flow, data: bytes) -> None:
        """Send now, or queue when the system's buffer is full. Every failure is told to on_failure through the loop."""
        if self._send_queue:
            self._enqueue(flow, data)
            return
        destination = (flow.remote_host, flow.remote_port)
        last = self._last_sent.get(destination)
        try:
            if last is not None and last.plain and last.flow == flow and self._socket is not None:
                # The short way: nothing about this flow has to be found out any more.
                self._socket.sendto(data, destination)
                last.data = data
                self._counters.sent += 1
            else:
                self._give_to_system(flow, data)
        except (BlockingIOError, InterruptedError):
            self._enqueue(flow, data)
        except (OSError, ValueError, OverflowError) as error:
            self._send_again(flow, data, error)

    def _send_again(self, flow: Flow, data: bytes, error: Exception) -> None:
        """An earlier datagram's ICMP error shows itself in the next call once, which it has nothing to do with."""
        attempts = 3
        while isinstance(error, OSError) and error.errno in icmp.PENDING_ERRORS and icmp.AVAILABLE and attempts:
            attempts -= 1
            self.take_errors()
            try:
                self._give_to_system(flow, data)
            except (BlockingIOError, InterruptedError):
                self._enqueue(flow, data)
                return
            except (OSError, ValueError, OverflowError) as another:
                error = another
            else:
                return
        self._fail(flow, error)

    def _give_to_system(self, flow: Flow, data: bytes) -> None:
        """Raises OSError, ValueError and OverflowError (the port of a flow may come from a peer's Via)."""
        sender = self._socket
        if sender is None:
            raise OSError(errno.ENETDOWN, "the listener's socket is closed at the moment")
        if family_of(flow.remote_host) is None:
            # The system would look the name up, and everything would wait for that.
            raise ValueError("it is not an IP address")
        destination = (flow.remote_host, flow.remote_port)
        plain = not self._tells_destination or flow.local_host == self._local_address_towards(flow.remote_host)
        if plain:
            sender.sendto(data, destination)
        else:
            try:
                _send_from(sender, flow.local_host, data, destination)
            except OSError as error:
                if error.errno not in _ADDRESS_NOT_OURS:
                    raise
                # The flow's address was taken from this machine: from another one it may still be understood.
                sender.sendto(data, destination)
        self._counters.sent += 1
        last_sent = self._last_sent
        if destination not in last_sent and len(last_sent) >= _REMEMBERED_DESTINATIONS:
            del last_sent[next(iter(last_sent))]
        last_sent[destination] = _Sent(flow, data, plain)

    def _enqueue(self, flow: Flow, data: bytes) -> None:
        if len(self._send_queue) >= self._limits.send_queue:
            self._fail(flow, OSError(errno.ENOBUFS, "the send queue is full"))
            return
        self._send_queue.append((flow, data))
        if len(self._send_queue) == 1 and self._loop is not None:
            self._loop.call_later(_RETRY_SENDING_AFTER, self._send_queued)

    def _send_queued(self) -> None:
        queue = self._send_queue
        while queue:
            flow, data = queue[0]
            try:
                self._give_to_system(flow, data)
            except (BlockingIOError, InterruptedError):
                if self._loop is not None:
                    self._loop.call_later(_RETRY_SENDING_AFTER, self._send_queued)
                return
            except (OSError, ValueError, OverflowError) as error:
                self._send_again(flow, data, error)
            if queue:
                queue.popleft()

    def _fail(self, flow: Flow, error: Exception) -> None:
        self._counters.send_failures += 1
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        failure = TransportError(f"{flow.source} cannot be reached: {reason}")
        failure.__cause__ = error
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon(self._on_failure, flow, failure)


class _LoopReader:
    """Reads in the loop when the loop says that the socket is readable."""

    name = "reader"
    drops = 0

    def __init__(
        self,
        listener: UdpListener,
        loop: asyncio.AbstractEventLoop,
        source: socket.socket,
        batch: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._listener = listener
        self._loop = loop
        self._source = source
        self._batch = batch
        self._monotonic = monotonic
        self._idle_since = self._emptied_at = monotonic()
        self.waiting_since = 0.0
        """When the first of the batch that is being dealt with came, 0 when that batch emptied the queue."""
        self.read_at = 0.0
        """When that batch was read."""
        self._left_some = False
        """Whether the last batch was full, so that more may be waiting."""
        # Asking for a second datagram that is not there costs less than another wake of Qt's loop.
        self._quiet = _QUIET if type(loop).__module__.startswith(("asyncio", "uvloop")) else float("inf")
        self._sheltered = icmp.shelter(source) if icmp.AVAILABLE else None
        self._watched = (self._sheltered or source).fileno()
        loop.add_reader(self._watched, self._readable)

    def stop(self) -> None:
        if not self._loop.is_closed():
            self._loop.remove_reader(self._watched)
        if self._sheltered is not None:
            self._sheltered.close()

    def _readable(self) -> None:
        listener = self._listener
        now = self._monotonic()
        waited, most = 0.0, self._batch
        if self._left_some:
            # The system dates by the clock on the wall, which may be set: so never longer than since it was empty.
            waited = min(listener.first_waited(self._source), now - self._emptied_at)
        elif now - self._idle_since > self._quiet:
            most = 1
        try:
            batch = listener.read_batch(self._source, most)
        except OSError as error:
            listener.socket_died(error)
            return
        self.read_at = now
        self._left_some = 1 < most <= len(batch)
        if self._left_some:
            self.waiting_since = now - waited
        else:
            self.waiting_since = 0.0
            # A single datagram was read without asking for a second, since nothing had come for a while.
            self._emptied_at = now if len(batch) < most else self._idle_since
        if batch:
            listener.take_batch(batch, now)
        if not batch or listener.error_seen:
            listener.take_errors()
        self._idle_since = self._monotonic()


class _ThreadReader:
    """Reads in a daemon thread, keeps a bounded backlog and wakes the loop once per batch."""

    name = "thread"

    def __init__(
        self,
        listener: UdpListener,
        loop: asyncio.AbstractEventLoop,
        source: socket.socket,
        limits: TransportLimits,
        monotonic: Callable[[], float],
    ) -> None:
        self._listener = listener
        self._loop = loop
        self._source = source
        self._limits = limits
        self._monotonic = monotonic
        self._backlog: deque[Datagram] = deque()
        self._kept_at: deque[float] = deque()
        """When each of them was read."""
        self.waiting_since = 0.0
        """When the first of the batch that is being dealt with came, 0 when that batch emptied the backlog."""
        self.read_at = 0.0
        """When that batch was taken."""
        # Each counter has one writer, so that neither thread needs a lock.
        self.drops = 0
        self._bytes_in = 0
        self._bytes_out = 0
        self._wake_pending = False
        self._stopping = False
        self._stop_receiver, self._stop_sender = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name=f"sip {listener.address}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; it waits in a poll, so that this takes microseconds."""
        self._stopping = True
        self._stop_sender.send(b"x")
        self._thread.join(2.0)
        self._stop_receiver.close()
        self._stop_sender.close()
        self._backlog.clear()
        self._kept_at.clear()

    def _run(self) -> None:
        wait = _waiter(self._source, self._stop_receiver)
        try:
            while not self._stopping:
                wait()
                batch = self._listener.read_batch(self._source, self._limits.batch)
                if batch:
                    self._keep(batch)
                if self._backlog and not self._wake_pending:
                    self._wake_pending = True
                    self._loop.call_soon_threadsafe(self._hand_over)
        except OSError as error:
            if not self._stopping:
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._listener.socket_died, error)
        except RuntimeError:
            pass  # The loop is closed: nobody is left to hand datagrams to.

    def _keep(self, batch: list[Datagram]) -> None:
        limits = self._limits
        backlog = self._backlog
        now = self._monotonic()
        for datagram in batch:
            size = len(datagram[0])
            if len(backlog) >= limits.backlog or self._bytes_in - self._bytes_out + size > limits.backlog_bytes:
                self.drops += 1
                continue
            self._bytes_in += size
            self._kept_at.append(now)
            backlog.append(datagram)

    def _hand_over(self) -> None:
        """In the loop: hand on one batch and, when there is more, come back after the loop had its turn."""
        if self._stopping:
            return
        self._wake_pending = False
        backlog, kept_at = self._backlog, self._kept_at
        batch = [backlog.popleft() for _ in range(min(len(backlog), self._limits.batch))]
        times = [kept_at.popleft() for _ in batch]
        now = self.read_at = self._monotonic()
        self.waiting_since = 0.0
        if backlog:
            self._wake_pending = True
            self._loop.call_soon(self._hand_over)
            self.waiting_since = times[0]
        if batch:
            self._bytes_out += sum(len(datagram[0]) for datagram in batch)
            self._listener.take_batch(batch, now)


def _waiter(source: socket.socket, stop: socket.socket) -> Callable[[], object]:
    """A function that waits until one of the two is readable."""
    if sys.platform == "win32" or not hasattr(select, "poll"):
        return lambda: select.select([source, stop], [], [])
    poll = select.poll()
    poll.register(source, select.POLLIN)
    poll.register(stop, select.POLLIN)
    return poll.poll


def _ignore_icmp_errors(opened: socket.socket) -> None:
    """On Windows: an ICMP "port unreachable" for one peer shall not end the next receive with an error.

    The socket module lets only three control codes through, of which this is none. Where it fails, nothing is lost: the
    receiver goes on after such an error.
    """
    if sys.platform == "win32":
        with contextlib.suppress(OSError, AttributeError):
            off, returned = ctypes.c_ulong(0), ctypes.c_ulong(0)
            ctypes.WinDLL("ws2_32").WSAIoctl(
                ctypes.c_size_t(opened.fileno()),
                ctypes.c_ulong(_SIO_UDP_CONNRESET),
                ctypes.byref(off),
                ctypes.sizeof(off),
                None,
                0,
                ctypes.byref(returned),
                None,
                None,
            )


def _ask_for_destination(opened: socket.socket) -> bool:
    """Have the system tell which of our addresses each datagram was sent to, so that the answer can leave from it."""
    if not hasattr(opened, "recvmsg") or sys.platform != "linux":
        return False
    try:
        if opened.family == socket.AF_INET:
            opened.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        else:
            opened.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
    except OSError:
        return False
    return True


def _ask_for_time(opened: socket.socket) -> bool:
    """Have the system note when each datagram came."""
    if not hasattr(opened, "recvmsg") or sys.platform != "linux":
        return False
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def _waited(ancillary: list[tuple[int, int, bytes]], wall: float) -> float:
    """Seconds from when the system says that a datagram came to `wall`; 0 where it does not say, or says nonsense."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == 16:
            seconds, nanoseconds = struct.unpack("@qq", data)
            return max(0.0, wall - float(seconds) - float(nanoseconds) * 1e-9)
    return 0.0


def _destination(ancillary: list[tuple[int, int, bytes]]) -> str:
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            # ipi_spec_dst: our own address also where the datagram was sent to a broadcast address.
            return socket.inet_ntop(socket.AF_INET, data[4:8])
        if level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
            return socket.inet_ntop(socket.AF_INET6, data[:16])
    return ""


def _send_from(sender: socket.socket, local_host: str, data: bytes, destination: tuple[str, int]) -> None:
    """Send with the source address given, for a socket that is bound to all of them. Raises OSError."""
    if sys.platform == "win32":
        raise OSError(errno.ENOSYS, "not on Windows")
    if sender.family == socket.AF_INET:
        control = struct.pack("=i4s4s", 0, socket.inet_pton(socket.AF_INET, local_host), bytes(4))
        ancillary = [(socket.IPPROTO_IP, _IP_PKTINFO, control)]
    else:
        control = struct.pack("=16si", socket.inet_pton(socket.AF_INET6, local_host), 0)
        ancillary = [(socket.IPPROTO_IPV6, _IPV6_PKTINFO, control)]
    sender.sendmsg([data], ancillary, 0, destination)
