"""The loop that forwards the packets of all sessions of one worker, and carries out what the engine commands."""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any

from app.media.endpoint import BUFFER_SIZE, Endpoint, Entry, Pair, RelayedSession
from app.media.messages import Address, Command, Message, Report, SessionConfiguration
from app.media.sockets import EpollPoller, SelectPoller, bind_pair, make_poller

_log = logging.getLogger(__name__)

_PREFIX = struct.Struct("!Q")
_EVENTS_PER_POLL = 42
"""As many as fit into a small block of memory, which Python has at hand; there is little gain in more."""
_STATISTICS_INTERVAL = 1.0
"""Every session's figures are reported this often."""
_REPORT_INTERVAL = 0.25
"""Rows are gathered this long before they are sent, so that the engine is not woken for each."""
_ROWS_PER_REPORT = 16
"""So many are sent at once at most: the engine takes in a report in one go, and SIP, or packets where processors are
few, would wait for milliseconds."""
_IDLE_WAIT = 0.25
_SLICE = 0.001
"""Figures are gathered session by session, so that no packet waits for those of more than one; this long lies between
two of them at least, and a worker with more sessions than fit in takes several at a time."""
_CYCLE_SHARE = 0.8
"""Of the interval, for the figures of all sessions: what is late has room behind."""
_SHORTEST_WAIT = 0.001

_LOGGED_FAILURES = 20


class Relay:
    """Sockets, sessions and the packet loop. Not thread-safe: one thread runs it."""

    def __init__(
        self,
        report: Callable[[Message], None],
        poller: EpollPoller | SelectPoller | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`report` takes the messages for the engine."""
        self.report = report
        self.poller = poller if poller is not None else make_poller()
        self.clock = clock
        self.buffer = bytearray(BUFFER_SIZE)
        view = memoryview(self.buffer)
        self.views = [view[:size] for size in range(BUFFER_SIZE)]
        """One view for each length: cutting one for each packet would cost."""
        # A list is the quickest to look into, but the handles of Windows may be any number.
        self.table: list[Entry | None] | dict[int, Entry | None] = [] if hasattr(self.poller, "fileno") else {}
        self.sessions: dict[int, RelayedSession] = {}
        self.pool: dict[Address, Pair] = {}
        """Pairs of sockets that were bound ahead of need."""
        self.send_errors = 0
        self.receive_errors = 0
        self.failures = 0
        self._sending_digits: set[Endpoint] = set()
        self._rows: list[Message] = []
        self._cycle: list[int] = []
        self._slice = _SLICE
        self._next_cycle = 0.0
        self._next_report = 0.0
        self.attention = False
        """Set by whoever wants `run` to return."""
        self.due = 0.0
        """When `tasks` wants to run next."""
        self.wait = 0.0
        """How long to wait for packets: `tasks` may be late by so much."""

    # --- the packet loop --------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Forward packets until `attention` is asked for; with `attention` set already, one batch."""
        poll = self.poller.poll
        table: Any = self.table
        buffer, views = self.buffer, self.views
        unpack = _PREFIX.unpack_from
        clock = self.clock
        while True:
            events = poll(self.wait, _EVENTS_PER_POLL)
            # One time for the batch: what lies between its packets is our own doing, not the network's.
            now = clock()
            for descriptor, _ in events:
                # The cheapest way for the commonest packet: the very next one of a stream between two known sides.
                # `StreamStatistics` says what is done to the figures here; `Endpoint.handle_rtp` does all the rest.
                try:
                    statistics, receive, send, handle = table[descriptor]
                    size = receive(buffer)
                    (prefix,) = unpack(buffer)
                    if prefix == statistics.expected and size == statistics.size:
                        statistics.expected = prefix + statistics.step
                        deviation = now - statistics.arrival - statistics.interval
                        statistics.arrival = now
                        if deviation < 0.0:
                            statistics.jitter -= (deviation + statistics.jitter) * 0.0625
                        else:
                            statistics.jitter += (deviation - statistics.jitter) * 0.0625
                        send(views[size])
                    else:
                        handle(size)
                except OSError:
                    # ICMP errors of what was sent before, and readiness that was none (a wrong checksum).
                    self.receive_errors += 1
                except Exception:
                    self._failed(descriptor)
            if now >= self.due:
                self.tasks(clock())
            if self.attention:
                return

    def _failed(self, descriptor: int) -> None:
        """A mistake of ours in the handling of one packet costs that packet, not every call of this worker."""
        self.failures += 1
        if self.failures <= _LOGGED_FAILURES:
            _log.exception("a packet on descriptor %d could not be handled", descriptor)

    def tasks(self, now: float) -> None:
        """What is due beside packets: digits to send, figures to gather and to report."""
        due = now + _IDLE_WAIT
        if self._sending_digits:
            for endpoint in tuple(self._sending_digits):
                next_at = endpoint.send_digits(now)
                if next_at is None:
                    self._sending_digits.discard(endpoint)
                else:
                    due = min(due, next_at)
        if self.sessions:
            self._gather(now)
            due = min(due, now + self._slice if self._cycle else self._next_cycle)
        if now >= self._next_report or len(self._rows) >= _ROWS_PER_REPORT:
            # An empty report is a sign of life.
            self._next_report = now + _REPORT_INTERVAL
            rows, self._rows = self._rows, []
            self.report((int(Report.STATISTICS), tuple(rows)))
        self.due = due = min(due, self._next_report)
        self.wait = max(due - now, _SHORTEST_WAIT)

    def _gather(self, now: float) -> None:
        """A slice of the sessions, so that each has its turn once in the interval."""
        if not self._cycle:
            if now < self._next_cycle:
                return
            self._cycle = list(self.sessions)
            self._next_cycle = now + _STATISTICS_INTERVAL
            share = _CYCLE_SHARE * _STATISTICS_INTERVAL / len(self._cycle)
            self._slice = min(max(_SLICE, share), _IDLE_WAIT)
        # The cycle is done after nine tenths of the interval, however late the slices are.
        remaining = max(self._next_cycle - now - 0.1 * _STATISTICS_INTERVAL, self._slice)
        count = min(int(len(self._cycle) * self._slice / remaining) + 1, len(self._cycle))
        for _ in range(count):
            session = self.sessions.get(self._cycle.pop())
            if session is not None:
                session.expire(now)
                self._rows.append(self._session_row(session, now))

    @staticmethod
    def _session_row(session: RelayedSession, now: float) -> Message:
        return (session.id, session.row(0, now), session.row(1, now), now)

    # --- commands ---------------------------------------------------------------------------------------------------

    def command(self, message: Message) -> None:
        """Carry out one command of the engine."""
        kind = message[0]
        if kind == Command.CONFIGURE:
            session = self.sessions.get(message[1])
            if session is not None:
                session.configure(SessionConfiguration.from_tuple(message[2]))
        elif kind == Command.OPEN:
            self._open(*message[1:])
        elif kind == Command.CLOSE:
            self._close(message[1])
        elif kind == Command.BIND:
            self._bind(*message[1:])
        elif kind == Command.DIGIT:
            self._digit(*message[1:])
        elif kind == Command.PLACE:
            self._place(*message[1:])
        elif kind == Command.RELEASE:
            self._release(*message[1:])

    def _bind(self, address: str, ports: tuple[int, ...]) -> None:
        bound, failed, reason = [], [], ""
        for port in ports:
            try:
                self.pool[address, port] = bind_pair(address, port)
                bound.append(port)
            except OSError as error:
                failed.append(port)
                reason = str(error)
        self.report((int(Report.BOUND), address, tuple(bound), tuple(failed), reason))

    def _release(self, ticket: int, ends: tuple[Address, ...]) -> None:
        for end in ends:
            for bound in self.pool.pop(end, ()):
                bound.close()
        self.report((int(Report.RELEASED), ticket))

    def _pairs(self, session: int, ends: Iterable[Address]) -> dict[Address, Pair] | None:
        """The sockets at these ends; None, which is reported, where one cannot be bound."""
        pairs: dict[Address, Pair] = {}
        for end in ends:
            try:
                pairs[end] = self.pool.pop(end) if end in self.pool else bind_pair(*end)
            except OSError as error:
                for pair in pairs.values():
                    for bound in pair:
                        bound.close()
                self.report((int(Report.FAILED), session, f"{end[0]} port {end[1]}: {error}"))
                return None
        return pairs

    def _open(self, number: int, *sides: tuple[Address, ...]) -> None:
        pairs = self._pairs(number, (end for ends in sides for end in ends))
        if pairs is not None:
            caller, called = ({end: pairs[end] for end in ends} for ends in sides)
            self.sessions[number] = RelayedSession(self, number, (caller, called))
            self._wake_at(self.clock())

    def _place(self, number: int, side: int, ends: tuple[Address, ...]) -> None:
        session = self.sessions.get(number)
        if session is None:
            return
        pairs = self._pairs(number, [end for end in ends if end not in session.ends[side]])
        if pairs is None:
            # All or nothing: the engine opens it again, with all its ends.
            self._forget_session(number)
            return
        before = session.endpoints[side][0]
        session.place(side, ends, pairs)
        if session.endpoints[side][0] is not before:
            self._sending_digits.discard(before)

    def _close(self, number: int) -> None:
        session = self.sessions.get(number)
        if session is None:
            self.report((int(Report.RELEASED), number))
            return
        now = self.clock()
        session.expire(now + 1.0)
        row = self._session_row(session, now)
        self._forget_session(number)
        self.report((int(Report.CLOSED), number, row))

    def _forget_session(self, number: int) -> None:
        session = self.sessions.pop(number)
        for rtp, _ in session.endpoints:
            self._sending_digits.discard(rtp)
        session.close()

    def _digit(self, number: int, side: int, code: int, milliseconds: int) -> None:
        session = self.sessions.get(number)
        if session is None or session.secure:
            return
        now = self.clock()
        endpoint = session.endpoints[side][0]
        endpoint.add_digit(code, milliseconds, now)
        self._sending_digits.add(endpoint)
        self._wake_at(now)

    def _wake_at(self, at: float) -> None:
        self.due = min(self.due, at)
        self.wait = 0.0

    # --- for endpoints ----------------------------------------------------------------------------------------------

    def set_entry(self, descriptor: int, entry: Entry | None) -> None:
        """Tell the loop what to do with a socket's packets."""
        if isinstance(self.table, list):
            self.table.extend([None] * (descriptor + 1 - len(self.table)))
        self.table[descriptor] = entry

    def watch(self, endpoint: Endpoint) -> None:
        """Take an endpoint's socket into the loop."""
        endpoint.watched = True
        endpoint.refresh()
        self.poller.register(endpoint.descriptor)

    def forget(self, endpoint: Endpoint) -> None:
        """Take it out again, before it is closed."""
        if endpoint.watched:
            endpoint.watched = False
            self.poller.unregister(endpoint.descriptor)
            if isinstance(self.table, list):
                self.table[endpoint.descriptor] = None
            else:
                del self.table[endpoint.descriptor]

    def report_learned(self, session: int, side: int, is_rtcp: bool, address: Address) -> None:
        """Tell the engine which address a side has, for the case that this worker dies."""
        self.report((int(Report.LEARNED), session, side, is_rtcp, address[0], address[1]))

    def report_digit(self, session: int, side: int, digit: str, milliseconds: int, forwarded: bool) -> None:
        """Tell the engine of a digit that a side has pressed."""
        self.report((int(Report.DIGITS), session, side, digit, milliseconds, forwarded))

    def close(self) -> None:
        """Close everything."""
        for number in tuple(self.sessions):
            session = self.sessions.pop(number)
            session.close()
        for pair in self.pool.values():
            for bound in pair:
                bound.close()
        self.pool.clear()
        self._sending_digits.clear()
        self.poller.close()
