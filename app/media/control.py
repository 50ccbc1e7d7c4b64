"""The media layer's face to the engine: sessions on the loop, forwarding in workers, ports, figures and alarms.

Everything here runs on the event loop and nothing waits: a session is opened with ports that a worker has bound ahead
or that are free this moment, session descriptions are answered at once, and the worker is told. `start` and `stop` are
the only coroutines.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from secrets import randbelow

from app.errors import TrunklineError
from app.media.figures import MediaReport, StreamSnapshot
from app.media.link import Link, make_link
from app.media.media_session import MediaSession
from app.media.messages import Address, Command, Message, Report, StreamRow
from app.media.monitoring import Problem
from app.media.negotiation import Side, SideSettings
from app.media.ports import AddressPorts
from app.media.priority import put_back, put_first
from app.media.sockets import bind_pair

_log = logging.getLogger(__name__)

_TICK = 1.0
_START_TIMEOUT = 20.0
_HUNG_AFTER = 8.0
"""A worker reports at least four times a second; one that is silent for so long is replaced."""
_FIRST_AGAIN = 30.0
"""Between two times that the system is asked to let the workers go before other programs."""
_QUICK_DEATH = 2.0
"""After a worker that has lived shorter than this the next process is not started at once again."""
_LONGEST_PAUSE = 2.0
_PROBES = 32
_OPEN_TRIES = 20
_OPEN_RETRY = 0.05

__all__ = [
    "MediaCallbacks",
    "MediaControl",
    "MediaReport",
    "MediaSession",
    "MediaSettings",
    "PortsExhausted",
    "ReceivedDigit",
    "Side",
    "SideSettings",
    "StreamSnapshot",
    "WorkerFailure",
]


class PortsExhausted(TrunklineError):
    """No media port is left, or none can be bound: the call is answered with 503; `detail` is for its trail."""

    status = 503
    reason = "Service Unavailable"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """What the system record says about media."""

    port_first: int = 20_000
    port_last: int = 29_999
    processes: int = 1
    """Worker processes; 0: forward in the loop."""
    silence_after: float = 8.0
    """Seconds after which a missing stream is told."""
    dead_after: float = 60.0
    """Seconds without anything from either side after which `on_dead` is called; 0: never."""
    spare_worker: bool = True
    """Keep one more process ready to take the place of one that dies."""
    urgent: bool = False
    """Let the workers go before other programs, where the system lets us: the delay stays low on a machine whose
    processors are all busy, for up to a fifth more processor time, as fewer packets are taken at a time."""


@dataclass(frozen=True, slots=True)
class ReceivedDigit:
    """A digit that a side pressed, as telephone-event."""

    side: Side
    digit: str
    duration_ms: int
    forwarded: bool
    """Whether it went on to the other side as telephone-event. If not, the other side wants it by INFO."""


@dataclass(frozen=True, slots=True)
class WorkerFailure:
    """A media worker has died."""

    worker: int
    reason: str
    sessions: int
    """How many calls it relayed; they are set up again."""


@dataclass(frozen=True, slots=True)
class WorkerRestored:
    """Its calls are relayed again."""

    worker: int
    sessions: int
    seconds: float
    """How long they were not."""


@dataclass(slots=True)
class MediaCallbacks:
    """Whom the media layer tells; each is called on the loop and may be None."""

    on_statistics: Callable[[tuple[StreamSnapshot, ...]], None] | None = None
    """New figures, each stream about once a second, in batches."""
    on_one_way: Callable[[MediaSession, Side], None] | None = None
    """Nothing comes from this side, while the other side's audio flows."""
    on_silence: Callable[[MediaSession, Side], None] | None = None
    """Nothing comes from this side, nor from the other one."""
    on_audio: Callable[[MediaSession, Side], None] | None = None
    """Audio comes from this side again."""
    on_dead: Callable[[MediaSession], None] | None = None
    """Nothing came from either side for the time that is set, or its ports are lost: end the call."""
    on_dtmf: Callable[[MediaSession, ReceivedDigit], None] | None = None
    on_worker_failed: Callable[[WorkerFailure], None] | None = None
    on_worker_restored: Callable[[WorkerRestored], None] | None = None


@dataclass(slots=True)
class _Slot:
    """A place for a worker; the worker in it may be replaced."""

    index: int
    link: Link | None = None
    sessions: int = 0
    started_at: float = 0.0
    failed_at: float = 0.0
    quick_deaths: int = 0
    restoring: int = -1
    """How many sessions wait to be set up again, -1 while all is well."""

    @property
    def pause(self) -> float:
        """Seconds before another process is started: once is an accident, again and again takes longer and longer."""
        return min(0.125 * 2**self.quick_deaths, _LONGEST_PAUSE) if self.quick_deaths > 1 else 0.0


@dataclass(slots=True)
class _Closing:
    """What a worker is closing: the ports come back when it has, those of a session with its last figures."""

    slot: int
    ends: tuple[Address, ...]
    done: Callable[[tuple[StreamRow, StreamRow] | None], None] | None


class MediaControl:
    """Opens sessions, keeps the workers running and hands out what they report."""

    def __init__(
        self,
        settings: MediaSettings,
        callbacks: MediaCallbacks | None = None,
        clock: Callable[[], float] = time.monotonic,
        ports: dict[str, AddressPorts] | None = None,
    ) -> None:
        """`ports` are those of a control whose place this one takes, while calls of that one still run."""
        self.settings = settings
        self.processes = max(settings.processes, 0)
        """How many it was started with."""
        self.callbacks = callbacks or MediaCallbacks()
        self.clock = clock
        self.sessions: dict[int, MediaSession] = {}
        self._slots: list[_Slot] = []
        self._spare: Link | None = None
        self._ports: dict[str, AddressPorts] = ports if ports is not None else {}
        self._closing: dict[int, _Closing] = {}
        self._next_number = 0
        self._next_link = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ticked_at = 0.0
        self._put_first_at = 0.0
        self._waiting_ready: dict[int, asyncio.Event] = {}
        self._open_tries: dict[int, int] = {}
        self._stopped = False
        self._retired = False

    # --- life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the workers. Raises `TimeoutError` where no worker comes up."""
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        for index in range(max(self.settings.processes, 1)):
            slot = _Slot(index)
            self._slots.append(slot)
            self._start_worker(slot)
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                for event in tuple(self._waiting_ready.values()):
                    await event.wait()
        except BaseException:
            await self.stop()
            raise
        self._start_spare()
        self._ticked_at = self._loop.time()
        self._timer = self._loop.call_later(_TICK, self._tick)

    async def stop(self) -> None:
        """End every session and every worker."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for session in tuple(self.sessions.values()):
            session.close()
        links = [slot.link for slot in self._slots if slot.link is not None]
        if self._spare is not None:
            links.append(self._spare)
        await asyncio.gather(*(link.stop() for link in links))
        # What the workers did not tell any more ends with the figures that are known.
        for number in tuple(self._closing):
            self._finish_closing(number, None)
        self._slots.clear()
        self._spare = None
        self._ports = {}

    def apply(self, settings: MediaSettings) -> bool:
        """Take changed settings: limits at once, the port range for new calls; calls that run keep their ports.

        Returns False where another number of processes is wanted than it was started with: that needs another control.
        """
        before, self.settings = self.settings, settings
        if (before.port_first, before.port_last) != (settings.port_first, settings.port_last):
            for address, old in tuple(self._ports.items()):
                fresh = AddressPorts(address, settings.port_first, settings.port_last)
                fresh.used, fresh.returning = dict(old.used), dict(old.returning)
                for port in (*old.used, *old.returning):
                    with contextlib.suppress(ValueError):
                        fresh.free.remove(port)
                self._ports[address] = fresh
                self._release_ahead(old)
        if settings.urgent and not before.urgent:
            self._put_first()
        elif before.urgent and not settings.urgent:
            for link in self._links():
                put_back(link.pid)
        self._top_up()
        return self.processes == max(settings.processes, 0)

    def _release_ahead(self, ports: AddressPorts) -> None:
        """Have every worker close what it has bound ahead of need."""
        for slot in self._slots:
            ahead = (*ports.ready.get(slot.index, ()), *ports.requested.get(slot.index, ()))
            if ahead:
                # They are in no call: nobody waits for them.
                ends = tuple((ports.address, port) for port in ahead)
                self.slot_send(slot.index, (int(Command.RELEASE), 0, ends))

    def retire(self) -> None:
        """Another control takes the new calls: give back what no call uses. Calls that run go on until they end."""
        self._retired = True
        for ports in self._ports.values():
            self._release_ahead(ports)
            for slot in self._slots:
                ports.forget_worker(slot.index)

    def resume(self) -> None:
        """No other control came: take new calls again."""
        self._retired = False
        self._top_up()

    @property
    def busy(self) -> bool:
        """Whether a call is relayed, or its last figures are still to come."""
        return bool(self.sessions or self._closing)

    @property
    def ports(self) -> dict[str, AddressPorts]:
        """The ports by local address, for the control that takes this one's place."""
        return self._ports

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """The processes that forward packets, without the spare one; empty for `processes = 0`."""
        return tuple(slot.link.pid for slot in self._slots if slot.link is not None and slot.link.pid)

    def ports_available(self, address: str) -> int:
        """How many pairs of ports a call can still get on an address."""
        return self._address(address).available

    # --- sessions ---------------------------------------------------------------------------------------------------

    def open(self, call_id: str, caller: SideSettings, called: SideSettings, *others: SideSettings) -> MediaSession:
        """Take ports for a call. Raises `PortsExhausted`: answer 503.

        `others` are further places at which the called side may turn out to be.
        """
        places = dict.fromkeys(place.local_address for place in (called, *others))
        slot = self._choose(caller.local_address, *places)
        ports = self.take_ports(slot.index, (caller.local_address,))
        try:
            called_ports = self.take_ports(slot.index, places)
        except PortsExhausted:
            self.give_back(slot.index, ports.items())
            raise
        session = MediaSession(self, call_id, (caller, called), (ports, called_ports), slot.index, _session_id())
        self._next_number += 1
        session.number = self._next_number
        self.sessions[session.number] = session
        slot.sessions += 1
        self.slot_send(slot.index, session.open_command())
        self._schedule_top_up()
        return session

    def take_ports(self, slot: int, addresses: Iterable[str]) -> dict[str, int]:
        """A port on each of these addresses. Raises `PortsExhausted`, after which none is taken."""
        ports: dict[str, int] = {}
        try:
            for address in addresses:
                ports[address] = self._take_port(address, slot)
        except PortsExhausted:
            self.give_back(slot, ports.items())
            raise
        return ports

    def give_back(self, slot: int, ends: Iterable[Address]) -> None:
        """Ends that no session uses any more: others get their ports when the worker has let go of them."""
        closed = tuple(ends)
        if closed:
            self._next_number += 1
            ticket = self._next_number
            self._close_ends(ticket, _Closing(slot, closed, None), (int(Command.RELEASE), ticket, closed))

    def release(self, session: MediaSession, done: Callable[[tuple[StreamRow, StreamRow] | None], None] | None) -> None:
        """Close a session at its worker; `done` gets the last rows, None if the worker cannot tell them any more."""
        if self.sessions.pop(session.number, None) is None:
            return
        if session.slot < len(self._slots):
            self._slots[session.slot].sessions -= 1
        closing = _Closing(session.slot, session.ends, done)
        self._close_ends(session.number, closing, (int(Command.CLOSE), session.number))

    def _close_ends(self, number: int, closing: _Closing, command: Message) -> None:
        """Have a worker close some ends; they are free when it tells so, or is gone."""
        self._closing[number] = closing
        # The workers of a control that takes this one's place are others.
        worker = closing.slot if not self._retired else -1
        for address, port in closing.ends:
            if address in self._ports:
                self._ports[address].give_back(port, worker, number)
        slot = self._slots[closing.slot] if closing.slot < len(self._slots) else None
        if slot is None or slot.link is None:
            self._finish_closing(number, None)
        else:
            slot.link.send(command)

    def slot_send(self, slot: int, message: Message) -> None:
        """Send a command to a worker; while it is being replaced nothing needs to be sent, all comes again."""
        if slot < len(self._slots):
            link = self._slots[slot].link
            if link is not None:
                link.send(message)

    # --- ports ------------------------------------------------------------------------------------------------------

    def _address(self, address: str) -> AddressPorts:
        ports = self._ports.get(address)
        if ports is None:
            ports = AddressPorts(address, self.settings.port_first, self.settings.port_last)
            self._ports[address] = ports
        return ports

    def _choose(self, *addresses: str) -> _Slot:
        """The worker for a new session: the one with the fewest among those that have ports ready."""
        running = [slot for slot in self._slots if slot.link is not None]
        if not running:
            raise PortsExhausted("no media worker is running")
        if len(running) == 1:
            return running[0]

        def rank(slot: _Slot) -> tuple[int, int]:
            missing = sum(not self._address(address).ready.get(slot.index) for address in addresses)
            return missing, slot.sessions

        return min(running, key=rank)

    def _take_port(self, address: str, slot: int) -> int:
        ports = self._address(address)
        # What is bound ahead after another control has come is bound by that one's workers.
        port = ports.take(slot) if not self._retired else None
        if port is not None:
            return port
        # Nothing is bound ahead (a burst, or the first call): see ourselves whether a port is free.
        for _ in range(_PROBES):
            port = ports.take_free(slot)
            if port is None:
                break
            try:
                pair = bind_pair(address, port)
            except OSError as error:
                ports.refuse(port, self.clock())
                if not _in_use(error):
                    raise PortsExhausted(f"media cannot use the address {address}: {error}") from None
                continue
            for bound in pair:
                bound.close()
            return port
        if not self._retired:
            port = ports.take_returning(slot)
            if port is None:
                port = ports.take_requested(slot)
            if port is not None:
                return port
        first, last = self.settings.port_first, self.settings.port_last
        raise PortsExhausted(
            f"the media ports {first} to {last} on {address} are used up: {len(ports.used)} pairs in use"
        )

    def _schedule_top_up(self) -> None:
        if self._loop is not None:
            self._loop.call_soon(self._top_up)

    def _top_up(self) -> None:
        """Have every worker bind what it lacks."""
        if self._stopped or self._retired:
            return
        for address, ports in self._ports.items():
            for slot in self._slots:
                if slot.link is None or not slot.link.ready:
                    continue
                wanted = ports.request(slot.index, len(self._slots))
                if wanted:
                    slot.link.send((int(Command.BIND), address, wanted))

    def _withdraw(self, address: str) -> None:
        """With the last call on an address gone, have the workers let go of what they have bound ahead there."""
        ports = self._ports.get(address)
        # After another control has come, what is bound ahead is bound by that one's workers.
        if ports is not None and not self._retired:
            for slot in self._slots:
                self.give_back(slot.index, [(address, port) for port in ports.withdraw(slot.index)])

    # --- workers ----------------------------------------------------------------------------------------------------

    def _new_link(self) -> Link:
        assert self._loop is not None
        self._next_link += 1
        link = make_link(self._next_link, self.settings.processes, self, self._loop)
        self._waiting_ready[link.number] = asyncio.Event()
        link.start()
        return link

    def _start_worker(self, slot: _Slot) -> None:
        slot.started_at = self.clock()
        slot.link = self._new_link()

    def _start_spare(self) -> None:
        if self._stopped or not self.settings.spare_worker or self.settings.processes < 1 or self._spare is not None:
            return
        try:
            self._spare = self._new_link()
        except OSError:
            _log.exception("no spare media worker can be started")

    def link_lost(self, link: Link, reason: str) -> None:
        """A worker is gone and its sockets are closed."""
        self._waiting_ready.pop(link.number, None)
        if self._stopped:
            return
        if link is self._spare:
            self._spare = None
            _log.warning("the spare media worker is gone: %s", reason)
            if self._loop is not None:
                self._loop.call_later(_LONGEST_PAUSE, self._start_spare)
            return
        slot = next((slot for slot in self._slots if slot.link is link), None)
        if slot is None:
            return
        _log.error("media worker %d is gone (%s); it relayed %d calls", slot.index, reason, slot.sessions)
        slot.link = None
        slot.failed_at = self.clock()
        for ports in self._ports.values():
            ports.forget_worker(slot.index)
        for number, closing in tuple(self._closing.items()):
            if closing.slot == slot.index:
                self._finish_closing(number, None)
        for session in self._sessions_of(slot.index):
            session.worker_lost()
        self._call(self.callbacks.on_worker_failed, WorkerFailure(slot.index, reason, slot.sessions))
        slot.quick_deaths = slot.quick_deaths + 1 if slot.failed_at - slot.started_at < _QUICK_DEATH else 0
        # It is the starts of processes that a worker which dies again and again must not multiply: one that has
        # been started already takes over at once.
        if slot.pause and self._spare is None and self._loop is not None:
            self._loop.call_later(slot.pause, self._replace, slot)
        else:
            self._replace(slot)

    def _replace(self, slot: _Slot) -> None:
        """Put a new worker in the place of a dead one and set its sessions up again."""
        if self._stopped or slot.link is not None or slot not in self._slots:
            return
        slot.started_at = self.clock()
        if self._spare is not None:
            slot.link, self._spare = self._spare, None
        else:
            try:
                slot.link = self._new_link()
            except OSError:
                _log.exception("media worker %d cannot be started", slot.index)
                if self._loop is not None:
                    self._loop.call_later(_LONGEST_PAUSE, self._replace, slot)
                return
        sessions = self._sessions_of(slot.index)
        slot.restoring = len(sessions)
        # A worker that is still starting finds the commands in its socket.
        for session in sessions:
            slot.link.send(session.open_command())
            configure = session.configure_command()
            if configure is not None:
                slot.link.send(configure)
        if slot.link.ready:
            self._restored(slot)
        self._schedule_top_up()

    def _restored(self, slot: _Slot) -> None:
        sessions, slot.restoring = slot.restoring, -1
        seconds = self.clock() - slot.failed_at
        _log.info("media worker %d runs again after %.3f s with %d calls", slot.index, seconds, sessions)
        self._call(self.callbacks.on_worker_restored, WorkerRestored(slot.index, sessions, seconds))
        if slot.pause and self._loop is not None:
            self._loop.call_later(slot.pause, self._start_spare)
        else:
            self._start_spare()

    def _links(self) -> list[Link]:
        """To the processes that run, the spare one included."""
        links = (*(slot.link for slot in self._slots), self._spare)
        return [link for link in links if link is not None and link.pid]

    def _put_first(self) -> None:
        self._put_first_at = self.clock()
        for link in self._links():
            put_first(link.pid, self.settings.processes)

    def _sessions_of(self, slot: int) -> list[MediaSession]:
        return [session for session in self.sessions.values() if session.slot == slot]

    # --- reports ----------------------------------------------------------------------------------------------------

    def link_message(self, link: Link, message: Message) -> None:
        """A report of a worker."""
        kind = message[0]
        if kind == Report.STATISTICS:
            self._take_statistics(message[1])
        elif kind == Report.LEARNED:
            session = self.sessions.get(message[1])
            if session is not None:
                session.learn(Side(message[2]), message[3], (message[4], message[5]))
        elif kind == Report.DIGITS:
            session = self.sessions.get(message[1])
            if session is not None:
                digit = ReceivedDigit(Side(message[2]), message[3], message[4], message[5])
                self._call(self.callbacks.on_dtmf, session, digit)
        elif kind == Report.CLOSED:
            _, caller, called, _ = message[2]
            self._finish_closing(message[1], (StreamRow(*caller), StreamRow(*called)))
        elif kind == Report.RELEASED:
            self._finish_closing(message[1], None)
        elif kind == Report.BOUND:
            self._take_bound(link, *message[1:])
        elif kind == Report.FAILED:
            self._open_failed(link, message[1], message[2])
        elif kind == Report.READY:
            event = self._waiting_ready.pop(link.number, None)
            if event is not None:
                event.set()
            if self.settings.urgent and link.pid:
                put_first(link.pid, self.settings.processes)
            slot = next((slot for slot in self._slots if slot.link is link), None)
            if slot is not None and slot.restoring >= 0:
                self._restored(slot)
            self._schedule_top_up()

    def _take_statistics(self, rows: tuple[Message, ...]) -> None:
        now = self.clock()
        snapshots: list[StreamSnapshot] = []
        for number, caller, called, gathered in rows:
            session = self.sessions.get(number)
            if session is not None:
                snapshots.extend(session.take_rows(StreamRow(*caller), StreamRow(*called), now, gathered))
        if snapshots:
            self._call(self.callbacks.on_statistics, tuple(snapshots))

    def _take_bound(
        self, link: Link, address: str, bound: tuple[int, ...], refused: tuple[int, ...], reason: str
    ) -> None:
        slot = next((slot for slot in self._slots if slot.link is link), None)
        if slot is None:
            return
        self._address(address).bound(slot.index, bound, refused, self.clock())
        if refused:
            _log.warning("%d media ports on %s cannot be bound: %s", len(refused), address, reason)
        self._withdraw(address)
        if bound:
            self._schedule_top_up()

    def _finish_closing(self, number: int, rows: tuple[StreamRow, StreamRow] | None) -> None:
        closing = self._closing.pop(number, None)
        self._open_tries.pop(number, None)
        if closing is None:
            return
        for address, port in closing.ends:
            if address in self._ports:
                self._ports[address].closed(port, number)
        for address in dict.fromkeys(address for address, _ in closing.ends):
            self._withdraw(address)
        if closing.done is not None:
            closing.done(rows)

    def _open_failed(self, link: Link, number: int, reason: str) -> None:
        """A worker could not bind a session's ports; after a crash they may need a moment to become free."""
        session = self.sessions.get(number)
        if session is None:
            self._finish_closing(number, None)
            return
        session.worker_lost()
        tries = self._open_tries.get(number, 0) + 1
        self._open_tries[number] = tries
        if tries > _OPEN_TRIES or self._loop is None:
            _log.error("the audio of call %s cannot be relayed: %s", session.call_id, reason)
            self._call(self.callbacks.on_dead, session)
            return
        self._loop.call_later(_OPEN_RETRY, self._open_again, link, number)

    def _open_again(self, link: Link, number: int) -> None:
        session = self.sessions.get(number)
        if session is None or session.slot >= len(self._slots) or self._slots[session.slot].link is not link:
            return
        link.send(session.open_command())
        configure = session.configure_command()
        if configure is not None:
            link.send(configure)

    # --- the watch --------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        if self._stopped or self._loop is None:
            return
        self._timer = self._loop.call_later(_TICK, self._tick)
        now = self.clock()
        for address, ports in self._ports.items():
            ports.retry_refused(now)
            self._withdraw(address)
        self._top_up()
        self._watch_workers(self._loop.time())
        if self.settings.urgent and now - self._put_first_at >= _FIRST_AGAIN:
            # One that ran for too long, or a system that had no time left for others, has put it back.
            self._put_first()
        for session in tuple(self.sessions.values()):
            self._watch(session, now)

    def _watch_workers(self, now: float) -> None:
        # What this process slept through itself - a suspended computer, no processor time - is not held against them:
        # their signs of life lie unread.
        slept = max(now - self._ticked_at - _TICK, 0.0)
        self._ticked_at = now
        links = [(slot.link, f"media worker {slot.index}") for slot in self._slots]
        for link, name in (*links, (self._spare, "the spare media worker")):
            if link is None:
                continue
            link.flush()
            link.heard_at = min(link.heard_at + slept, now)
            if now - link.heard_at > (_HUNG_AFTER if link.ready else _START_TIMEOUT):
                _log.error("%s does not answer and is replaced", name)
                link.kill()

    def _watch(self, session: MediaSession, now: float) -> None:
        for notice in session.check(now, self.settings.silence_after):
            if notice.problem:
                session.learn_again(notice.side)
            if notice.problem is Problem.ONE_WAY:
                self._call(self.callbacks.on_one_way, session, notice.side)
            elif notice.problem is Problem.SILENT:
                self._call(self.callbacks.on_silence, session, notice.side)
            else:
                self._call(self.callbacks.on_audio, session, notice.side)
        if session.is_dead(now, self.settings.dead_after):
            self._call(self.callbacks.on_dead, session)

    @staticmethod
    def _call(callback: Callable[..., None] | None, *arguments: object) -> None:
        """Tell the engine; its mistake must not stop the others from being told."""
        if callback is None:
            return
        try:
            callback(*arguments)
        except Exception:
            _log.exception("a callback of the media layer failed")


def _in_use(error: OSError) -> bool:
    return error.errno in (errno.EADDRINUSE, errno.EACCES, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE))


def _session_id() -> int:
    """For the `o=` line: a number that no other session of this program is likely to have (RFC 8866 section 5.2)."""
    with contextlib.suppress(OverflowError):
        return int(time.time()) * 1_000_000 + randbelow(500_000) * 2
    return randbelow(1 << 62)
