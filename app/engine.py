"""The engine: builds all parts of a server, runs them on the running event loop, and is the one face they have."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from app import alarm_delivery, collector
from app.alarm_delivery import AlarmDelivery
from app.calls.destinations import LookedUp, Place
from app.calls.external_calls import DAY, MOST_RESTORED, bounds_of
from app.calls.simulation import Simulation, simulate
from app.calls.switch import Switch
from app.clock import Clock, DeadlineHeap, local_time
from app.dialplan.coverage import Problem, problems
from app.dialplan.request import Source
from app.errors import UserFacingError
from app.events import (
    Alarm,
    Ban,
    CallRecord,
    CallRow,
    ConfigurationChanged,
    EngineChanged,
    EngineState,
    EventBus,
    GaugeSample,
    LineRow,
    MessageTraced,
    RejectedSource,
    Sampled,
    Severity,
    StreamRow,
    TrunkRow,
    UserRow,
)
from app.hosts import WILDCARDS
from app.listening import ListeningPlace
from app.media.control import MediaSettings
from app.media.service import MediaService
from app.records import (
    AudioFirst,
    Change,
    Configuration,
    ExternalLine,
    LocalUser,
    RelayMedia,
    SipTrunk,
    System,
)
from app.sip.flow import Flow, TransportName
from app.sip.locating import Located
from app.sip.resolver import NAMESERVERS_VARIABLE, Resolver, good_for, read_nameservers
from app.sip.transport.listening import ListenError, ListenerState, ListenerStatus
from app.sip.transport.transports import Transports
from app.storage.calls import CallQuery
from app.storage.database import Database
from app.storage.errors import StorageDamaged
from app.storage.thread import DatabaseThread

_log = logging.getLogger(__name__)
_alarm_log = logging.getLogger("app.alarms")
"""Of what goes on around the server, so that a log that keeps warnings only has it, too."""
_LOG_LEVELS = {
    Severity.INFORMATION: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
}

COALESCE_SECONDS = 0.025
"""Deadlines this close together are served by one waking, which costs as much as some ten deadlines. No timer of SIP is
shorter than 0.2 s or minds this much."""
GOODBYE_SECONDS = 3.0
"""How long a stopping server waits for its peers to acknowledge that their calls have ended."""
SAMPLE_SECONDS = 1.0
LOOK_AROUND_SECONDS = 5.0
"""How soon it is seen that the ways to the providers of external lines have changed."""
WAIT_FOR_ADDRESS_SECONDS = 2.0
"""How soon it is seen that the address to listen on, which was missing at the start, has come."""
SLEPT_SECONDS = 5.0
"""A machine that slept for longer has missed what was due meanwhile."""
MOST_DESCRIPTORS = 65536
"""Open files that are asked for at most."""


class Engine:
    """A SIP server. Everything is called, and calls back, on the loop that `start` was awaited on."""

    def __init__(
        self,
        data_directory: Path,
        *,
        sip: tuple[str, int] | None = None,
        clock: Clock | None = None,
        database_url: str | None = None,
        beside_window: bool = False,
    ) -> None:
        """`sip` is an address and port to listen on for UDP and TCP, in place of the system record's.

        `beside_window` says that the same program draws a window: relayed audio goes before that, unless the system
        record says never.
        """
        self.data_directory = data_directory
        self.events = EventBus()
        self.configuration = Configuration()
        self.state = EngineState.STOPPED
        self.database_damaged = False
        """Whether the start failed because of a damaged database that `set_database_aside` could keep aside."""
        self._start_trouble = self._database_trouble = ""
        self._place = ListeningPlace(data_directory, sip)
        self._clock = clock if clock is not None else Clock(time.monotonic, time.time)
        self._database_url = database_url
        self.beside_window = beside_window
        self._deadlines = DeadlineHeap(self._on_earlier_deadline)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transports: Transports | None = None
        self._resolver: Resolver | None = None
        self._database: DatabaseThread | None = None
        self._switch: Switch | None = None
        self._media: MediaService | None = None
        self._alarm_delivery: AlarmDelivery | None = None
        self._listen_again: asyncio.Task[None] | None = None
        self.events.subscribe(Alarm, self._deliver_alarm)
        self._ways: dict[str, str] = {}
        """From which of our addresses each provider of an external line is reached."""
        self._slept = 0.0
        self._media_start: asyncio.Task[None] | None = None

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self, *, mendable: bool = False) -> None:
        """Open the database and the listeners.

        UserFacingError for what a person can mend; nothing is left open then. But `mendable`, a server that only
        cannot listen keeps its database open, so that the records can be changed: it runs as soon as they say where
        it can listen, or when it is started once more; and where only the address is missing (`waits_for_address`),
        as soon as this machine has it.
        """
        self._loop = asyncio.get_running_loop()
        allow_many_descriptors()
        self._change_state(EngineState.STARTING)
        await self._end_task(self._listen_again)
        self.database_damaged = False
        self._start_trouble = ""
        if self._database is None:
            self._database_trouble = ""
        try:
            if self._database is None:
                await self._start_parts(self._loop)
            await self._listen(self.configuration.system)
            await self._start_media()
        except BaseException as error:
            goes_on = error if mendable and isinstance(error, ListenError) else None
            if goes_on is None:
                await self._stop_parts()
            self.database_damaged = isinstance(error, StorageDamaged) and Database.is_file(self._database_url)
            known = isinstance(error, UserFacingError)
            self._start_trouble = str(error) if known else "the server could not be started"
            if goes_on is not None and goes_on.address_missing:
                self._listen_again = self._loop.create_task(self._listen_with_address(self.configuration.system))
                self._start_trouble += " It starts as soon as the address is there."
            self._change_state(EngineState.FAILED)
            raise
        self._run()

    def set_database_aside(self) -> Path | None:
        """Keep a damaged database under another name, which is returned, so that the next start begins a new one.

        Only when the user says so. UserFacingError where that is not possible.
        """
        return Database.set_aside(self.data_directory, self._database_url)

    @property
    def trouble(self) -> str:
        """What keeps the server from doing all of its work, in words; blank when all is well."""
        states = self._transports.listener_states if self._transports is not None else ()
        down = [
            f"not listening on {status.address}: {status.error}"
            for status in states
            if status.state is not ListenerState.LISTENING
        ]
        return "; ".join(filter(None, [self._start_trouble, *down, self._place.tls_trouble, self._database_trouble]))

    @property
    def waits_for_address(self) -> bool:
        """Whether the server is not running only because this machine does not have the address to listen on."""
        return self._seeks_a_place and self.state is EngineState.FAILED

    @property
    def _seeks_a_place(self) -> bool:
        """Whether the server is about to listen elsewhere, or at an address that it waits for."""
        return self._listen_again is not None and not self._listen_again.done()

    def _run(self) -> None:
        collector.ease()
        self._change_state(EngineState.RUNNING)
        self._sample(0.0)
        self._ways.clear()
        self._slept = _seconds_slept()
        self._look_around(0.0)

    @property
    def can_save(self) -> bool:
        """Whether a change of the configuration would be kept: the database is open."""
        return self._database is not None

    async def _start_parts(self, loop: asyncio.AbstractEventLoop) -> None:
        database = Database.open(self.data_directory, self._database_url, serving=True)
        try:
            self.configuration, _version = database.load()
            registrations = database.registrations()
            recent = database.calls(self._recent_external_calls()) if bounds_of(self.configuration) else []
        except BaseException:
            database.close()
            raise
        self._database = DatabaseThread(database, loop.call_soon_threadsafe, self._on_stored, self._on_trouble)
        self._database.keep_calls(self.configuration.system.call_record_days)
        self._alarm_delivery = AlarmDelivery(self._on_alarm_delivery)
        self._alarm_delivery.configure(self.configuration.system)
        transports = self._transports = Transports(self._on_messages, self._on_failure, self._admit)
        transports.on_listener_changed = self._on_listener_changed
        self._resolver = Resolver(read_nameservers(os.environ.get(NAMESERVERS_VARIABLE, "")))
        self._resolver.start()
        self._switch = Switch(
            self.configuration,
            clock=self._clock,
            deadlines=self._deadlines,
            send=transports.send,
            ways=transports,
            local_address_towards=transports.local_address_towards,
            lookup=self._lookup,
            events=self.events,
            recorder=self._database,
            node=database.node,
        )
        self._switch.external_calls.restore(recent, self._switch.plan)
        self._switch.overload.waiting = transports.queue_waiting
        kept = self._switch.kept_registrations
        restored = kept.restore(registrations)
        if restored:
            _log.info("phones that are still registered from before the start: %d", restored)
        kept.write = self._database.write_registrations

    def _recent_external_calls(self) -> CallQuery:
        """The calls that still count for the bounds of whoever made them."""
        return CallQuery(is_external=True, since=self._clock.wall() - DAY, limit=MOST_RESTORED)

    async def _start_media(self) -> None:
        """Start the media processes as soon as a record wants audio relayed: who never relays never pays for them."""
        if self._media is not None or self._switch is None or not _wants_relay(self.configuration):
            return
        media = self._media = MediaService(self._switch.relays.attach, self._media_trouble, self._clock.monotonic)
        try:
            await media.start(self._media_settings())
        except (OSError, TimeoutError) as error:
            self._media = None
            self._media_trouble(f"audio cannot be relayed: {error or 'no media process starts'}")
            return
        # The record may have changed while they started.
        media.apply(self._media_settings())

    def _media_settings(self) -> MediaSettings:
        """What the system record says of relayed audio."""
        system = self.configuration.system
        return MediaSettings(
            port_first=system.media_port_first,
            port_last=system.media_port_last,
            processes=system.media_processes,
            dead_after=float(system.media_timeout),
            urgent=system.audio_first is AudioFirst.ALWAYS
            or (system.audio_first is AudioFirst.WINDOW and self.beside_window),
        )

    def _media_trouble(self, text: str) -> None:
        self._alarm("media_worker", text)
        _log.error("%s", text)

    async def stop(self) -> None:
        """End every call, tell the peers, write every record and close everything; takes a few seconds at most."""
        if self.state in (EngineState.STOPPED, EngineState.STOPPING):
            return
        was_running = self.state is EngineState.RUNNING
        self._change_state(EngineState.STOPPING)
        switch = self._switch
        if switch is not None:
            switch.close()
            give_up_at = self._clock.monotonic() + GOODBYE_SECONDS
            # Peers answer BYEs within a round trip; what does not answer is not waited for.
            while switch.endpoint.dialogs and self._clock.monotonic() < give_up_at:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await self._stop_parts()
        if was_running:
            collector.restore()
        self._change_state(EngineState.STOPPED)

    async def _stop_parts(self) -> None:
        for task in (self._listen_again, self._media_start):
            await self._end_task(task)
        self._listen_again = self._media_start = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._resolver is not None:
            self._resolver.stop()
            self._resolver = None
        if self._media is not None:
            # Before the database: the last figures of calls become their records.
            media, self._media = self._media, None
            await media.stop()
        if self._transports is not None:
            await self._transports.stop()
            self._transports = None
        if self._alarm_delivery is not None:
            delivery, self._alarm_delivery = self._alarm_delivery, None
            await asyncio.get_running_loop().run_in_executor(None, delivery.stop)
        if self._database is not None:
            database, self._database = self._database, None
            await asyncio.get_running_loop().run_in_executor(None, database.stop)
        # Started once more, the server shall not find deadlines of the calls that it had.
        self._deadlines = DeadlineHeap(self._on_earlier_deadline)
        self._switch = None

    @staticmethod
    async def _end_task(task: asyncio.Task[None] | None) -> None:
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _change_state(self, state: EngineState) -> None:
        self.state = state
        self.events.publish(EngineChanged(state, self.listeners, self.trouble))

    # --- listening ----------------------------------------------------------------------------------------------------

    @property
    def listeners(self) -> tuple[str, ...]:
        """Where the server listens now: `udp:127.0.0.1:5060`."""
        return tuple(str(address) for address in self._transports.listening) if self._transports is not None else ()

    async def _listen(self, system: System) -> None:
        """Listen where the record, or the command line, says; nowhere while stopped. Raises ListenError."""
        if self._transports is not None:
            self._start_trouble = ""
            await self._place.listen(self._transports, system)

    async def _listen_anew(self, before: System) -> None:
        """The record names other addresses: move there, or stay and say why; again where it changed meanwhile."""
        while True:
            wanted = self.configuration.system
            try:
                await self._listen(wanted)
            except UserFacingError as error:
                self._start_trouble = str(error)
                self._alarm("listener", str(error))
                _log.error("cannot listen as the record says, staying at %s: %s", before.sip_address, error)
            else:
                if self.state is EngineState.FAILED:
                    await self._start_media()
                    self._run()
            if self._switch is not None:
                self._switch.lines.own_address_changed()
            self._change_state(self.state)
            if not self._place.differs(wanted, self.configuration.system):
                return

    async def _listen_with_address(self, tried: System) -> None:
        """This machine lacks the address to listen on, as before its network is up: listen as soon as it has it."""
        while self.state in (EngineState.STARTING, EngineState.FAILED):
            await asyncio.sleep(WAIT_FOR_ADDRESS_SECONDS)
            wanted = self.configuration.system
            if not self._place.is_here(wanted) and not self._place.differs(wanted, tried):
                continue
            tried = wanted
            try:
                await self._listen(wanted)
            except UserFacingError as error:
                self._start_trouble = str(error)
                _log.error("%s", error)
                self._change_state(self.state)
                missing = isinstance(error, ListenError) and error.address_missing
                if not missing and not self._place.differs(wanted, self.configuration.system):
                    return
            else:
                await self._start_media()
                _log.info("listening on %s now", ", ".join(self.listeners))
                self._run()

    def _on_listener_changed(self, status: ListenerStatus) -> None:
        cleared = status.state is ListenerState.LISTENING
        text = (
            f"listening on {status.address} again" if cleared else f"not listening on {status.address}: {status.error}"
        )
        self._alarm("listener", text, cleared=cleared)
        if cleared and self._switch is not None:
            self._switch.lines.register_now()
        self._change_state(self.state)

    def _look_around(self, _now: float) -> None:
        """See whether the ways to the providers of lines have changed: a cable that is plugged in again, a new
        address, a machine that wakes up. Their lines register then, however long they were to wait."""
        switch, transports = self._switch, self._transports
        if switch is None or transports is None or self.state is not EngineState.RUNNING:
            return
        before, self._ways = self._ways, {}
        everywhere = not self._place.own_addresses(self.configuration.system)
        for host, registered_from in switch.lines.providers().items():
            way = self._ways[host] = transports.look_up_local_address(host)
            last = before.get(host, registered_from if everywhere else way)
            if last != way:
                _log.info("%s is reached from %s now, not from %s any more", host, way, last)
                if way not in WILDCARDS:
                    switch.lines.way_changed(host)
        slept, self._slept = self._slept, _seconds_slept()
        if self._slept - slept > SLEPT_SECONDS:
            _log.info("this machine slept for %.0f seconds: external lines register anew", self._slept - slept)
            switch.lines.register_now()
        self._deadlines.schedule(self._clock.monotonic() + LOOK_AROUND_SECONDS, self._look_around)

    # --- messages and time --------------------------------------------------------------------------------------------

    def _admit(self, host: str, port: int, now: float) -> bool:
        return self._switch is None or self._switch.guard.admit(host, port, now)

    def _on_messages(self, batch: list[tuple[bytes, Flow]]) -> None:
        switch = self._switch
        if switch is not None:
            receive = switch.receive
            for data, flow in batch:
                receive(data, flow)

    def _on_failure(self, flow: Flow, error: Exception) -> None:
        # A peer that is gone says so with every packet: the trunk's or line's state tells it to the user.
        _log.debug("%s", error)
        if self._switch is not None:
            self._switch.flow_failed(flow, str(error))

    def _on_earlier_deadline(self, at: float) -> None:
        """The first deadline is nearer than before: wake for it. One timer is armed, however many deadlines wait."""
        if self._loop is None or (self._timer is not None and self._timer_at <= at + COALESCE_SECONDS):
            return
        self._arm(at)

    def _arm(self, at: float) -> None:
        if self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        delay = max(at - self._clock.monotonic(), COALESCE_SECONDS)
        self._timer = self._loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        try:
            self._deadlines.expire(self._clock.monotonic())
        except Exception:
            _log.exception("a deadline failed")
        following = self._deadlines.next_deadline()
        if following is not None and self._timer is None:
            self._arm(following)

    def _sample(self, _now: float) -> None:
        switch = self._switch
        if switch is None or self.state not in (EngineState.RUNNING, EngineState.STOPPING):
            return
        sample = switch.sample()
        if self.events.wanted(Sampled):
            self.events.publish(Sampled(sample))
        self._deadlines.schedule(self._clock.monotonic() + SAMPLE_SECONDS, self._sample)

    def _lookup(
        self, name: str, port: int | None, transport: TransportName, done: Callable[[tuple[Place, ...], str], bool]
    ) -> None:
        """Find a server's addresses, and again whenever they grow old (RFC 3263)."""
        resolver = self._resolver
        if resolver is None:
            return

        def located(answer: Located) -> None:
            wanted = done(tuple(Place(*target) for target in answer.targets), answer.error or "")
            if wanted and self._resolver is resolver:
                self._deadlines.schedule(
                    self._clock.monotonic() + good_for(answer),
                    lambda _now: self._lookup(name, port, transport, done),
                )

        resolver.resolve(name, port, transport, located)

    def refresh_names(self, done: Callable[[tuple[LookedUp, ...]], None]) -> None:
        """Look up the host names of all trunks and lines anew; `done` is told when all are answered, with nothing
        when there is none, and never when the server is stopped meanwhile."""
        if self._resolver is None or self._switch is None:
            done(())
            return
        self._resolver.refresh()
        self._switch.destinations.refresh(done)

    # --- configuration ------------------------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change], done: Callable[[Exception | None], None] | None = None) -> None:
        """Change records: in effect at once, calls go on. `done(None)` when they are on disk, `done(error)` when not.

        RecordErrors at once, with nothing changed, when the changes do not fit; UserFacingError when nothing could
        be kept because the server is stopped.
        """
        if self._database is None:
            raise UserFacingError("The server is stopped: nothing can be changed now")
        configuration = self.configuration.with_changes(changes)
        self._take(configuration)
        self._database.save(changes, done)

    def _take(self, configuration: Configuration) -> None:
        before = self.configuration.system
        self.configuration = configuration
        if self._switch is not None:
            self._switch.configure(configuration)
        if self._database is not None:
            self._database.keep_calls(configuration.system.call_record_days)
        if self._alarm_delivery is not None:
            self._alarm_delivery.configure(configuration.system)
        # One that seeks a place already looks itself whether the record has changed again.
        moves = self._place.differs(before, configuration.system) and not self._seeks_a_place
        if moves and self._loop is not None:
            self._listen_again = self._loop.create_task(self._listen_anew(before))
        if self._media is not None:
            self._media.apply(self._media_settings())
        elif self._loop is not None and _wants_relay(configuration):
            self._media_start = self._loop.create_task(self._start_media())
        self.events.publish(ConfigurationChanged(configuration))

    def _on_stored(self, configuration: Configuration, version: int) -> None:
        """Another program changed the configuration."""
        _log.info("configuration version %d was taken", version)
        self._take(configuration)

    def _on_trouble(self, text: str | None) -> None:
        self._database_trouble = text or ""
        self._alarm("database", text or "the database works again", cleared=text is None)
        self._change_state(self.state)

    def send_test_alarm(self) -> tuple[str, ...]:
        """Deliver an alarm that is none; returns where to, in words, of which there are none without a destination.

        UserFacingError while the server is stopped.
        """
        if self._alarm_delivery is None:
            raise UserFacingError("The server is stopped")
        self._alarm_delivery.take(
            Alarm.about("test", "this is a test", self._clock.wall(), severity=Severity.INFORMATION)
        )
        return self._alarm_delivery.destinations()

    def _deliver_alarm(self, alarm: Alarm) -> None:
        """Write it into the log, too: whoever reads it up later sees what went wrong beside what was said of it."""
        _alarm_log.log(_LOG_LEVELS[alarm.severity], "%s: %s", "over" if alarm.cleared else "alarm", alarm.text)
        if self._alarm_delivery is not None:
            self._alarm_delivery.take(alarm)

    def _on_alarm_delivery(self, text: str) -> None:
        """Comes from a thread: alarms are not delivered, or (blank) they are again."""
        loop = self._loop
        if loop is not None:
            # The thread may outlive the loop by the seconds that it still waits for a mail server.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(
                    lambda: self._alarm(alarm_delivery.CODE, text or "alarms are delivered again", cleared=not text)
                )

    def _alarm(self, code: str, text: str, *, cleared: bool = False) -> None:
        self.events.publish(Alarm.about(code, text, self._clock.wall(), cleared=cleared))

    def problems(self) -> tuple[Problem, ...]:
        """What is odd in the configuration: every problem with its record and field."""
        return problems(self.configuration)

    # --- what is happening --------------------------------------------------------------------------------------------

    def calls(self) -> tuple[CallRow, ...]:
        """Every call in progress, oldest first."""
        return tuple(call.row() for call in self._switch.calls.values()) if self._switch is not None else ()

    def trunks(self) -> tuple[TrunkRow, ...]:
        """Every trunk with its state and counters."""
        return self._switch.trunks.rows() if self._switch is not None else ()

    def lines(self) -> tuple[LineRow, ...]:
        """Every external line with its registration."""
        return self._switch.lines.rows() if self._switch is not None else ()

    def users(self) -> tuple[UserRow, ...]:
        """Every local user with its phone's state."""
        return self._switch.users.rows() if self._switch is not None else ()

    def rejected_sources(self) -> tuple[RejectedSource, ...]:
        """The strangers that were turned away, newest first."""
        return self._switch.rejected.rows() if self._switch is not None else ()

    def bans(self) -> tuple[Ban, ...]:
        """The addresses that are ignored now, and the sources whose external calls are stopped."""
        return self._switch.bans() if self._switch is not None else ()

    def lift_ban(self, address: str) -> None:
        """Listen to a banned address again, or let a source make external calls again."""
        if self._switch is not None:
            self._switch.lift_ban(address)

    def samples(self, span: str) -> tuple[GaugeSample, ...]:
        """The gauges over `5 minutes`, `1 hour` or `24 hours`, oldest first."""
        return self._switch.metrics.samples(span) if self._switch is not None else ()

    def streams(self, call_id: str) -> tuple[StreamRow, ...]:
        """The newest figures of a relayed call's streams; empty for a call that is not relayed."""
        return self._switch.relays.rows(call_id) if self._switch is not None else ()

    def ladder(self, call_id: str) -> tuple[MessageTraced, ...]:
        """The SIP messages of a call that are still kept, oldest first."""
        return self._switch.trace.ladder(call_id) if self._switch is not None else ()

    def hang_up(self, call_id: str) -> bool:
        """End a call; False when it has ended already."""
        return self._switch.hang_up(call_id) if self._switch is not None else False

    def register_line(self, line_id: int) -> None:
        """Register an external line at once."""
        if self._switch is not None:
            self._switch.lines.register_now(line_id)

    def simulate(
        self,
        source: Source,
        caller_number: str,
        called_number: str,
        configuration: Configuration | None = None,
        at: datetime | None = None,
    ) -> Simulation:
        """What would happen to a call, with this configuration or another one that is only thought of.

        `at` is the local time that the business hours are asked about: now, where it is not given.
        """
        at = at or local_time(self._clock.wall())
        switch = self._switch if configuration is None else None
        meant = configuration or self.configuration
        system = self._place.meant(meant.system)
        if system is not meant.system:
            meant = replace(meant, system=system)
        plan, live = (switch.plan, switch.live) if switch is not None else (None, None)
        return simulate(
            meant,
            source,
            caller_number,
            called_number,
            live,
            plan=plan,
            phone_of=self._phone_of,
            at=at,
            addresses_of=self._addresses_of,
        )

    def _addresses_of(self, name: str) -> tuple[str, ...]:
        """The addresses that a host name of a trunk or line is known to have now."""
        return self._switch.destinations.addresses_of(name) if self._switch is not None else ()

    def _phone_of(self, number: str) -> tuple[str, Flow] | None:
        """The Contact of the phone that a user registered last, and the way to it."""
        bindings = self._switch.registrar.bindings(number) if self._switch is not None else ()
        return (bindings[-1].contact, bindings[-1].flow) if bindings else None

    def call_records(self, query: CallQuery, done: Callable[[list[CallRecord] | None, Exception | None], None]) -> None:
        """Look up call records; `done(records, None)` or `done(None, error)` comes later."""
        if self._database is None:
            done(None, UserFacingError("The server is stopped"))
            return
        self._database.submit(lambda database: database.calls(query), done)


def allow_many_descriptors() -> None:
    """Raise the soft limit of open files to the hard one: stream connections and media sockets need them."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _seconds_slept() -> float:
    """For how long this machine has slept since it was started, where that does not count as time (Linux)."""
    if sys.platform != "linux":
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


def _wants_relay(configuration: Configuration) -> bool:
    """Whether any record asks for relayed audio."""
    records: list[SipTrunk | ExternalLine | LocalUser] = [
        *configuration.records(SipTrunk),
        *configuration.records(ExternalLine),
        *configuration.records(LocalUser),
    ]
    return any(record.enabled and record.relay_media is not RelayMedia.NO for record in records)
