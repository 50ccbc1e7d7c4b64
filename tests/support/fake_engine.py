"""A stand-in for the engine with its whole face: the records are real, everything live is set by the test."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from app.calls.destinations import LookedUp
from app.calls.simulation import Simulation, simulate
from app.dialplan.coverage import Problem, problems
from app.dialplan.request import Source
from app.events import (
    Ban,
    BansChanged,
    CallChanged,
    CallRecord,
    CallRow,
    CallState,
    ConfigurationChanged,
    EngineState,
    EventBus,
    GaugeSample,
    LineRow,
    LineState,
    MessageTraced,
    RejectedSource,
    StreamRow,
    StreamsChanged,
    TrunkChanged,
    TrunkRow,
    TrunkState,
    UserRow,
    UserState,
)
from app.records import Change, Configuration, ExternalLine, LocalUser, SipTrunk
from app.records.document import first_configuration
from app.storage.calls import CallQuery


class FakeEngine:
    """What the window needs of `app.engine.Engine`, without sockets, threads and disk."""

    def __init__(self, configuration: Configuration | None = None) -> None:
        self.events = EventBus()
        self.configuration = configuration or first_configuration()
        self.state = EngineState.RUNNING
        self.trouble = ""
        self.listeners: tuple[str, ...] = ("udp:0.0.0.0:5060", "tcp:0.0.0.0:5060")
        self.data_directory = Path("data")
        self.rows: dict[str, CallRow] = {}
        self.stream_rows: dict[tuple[str, str], StreamRow] = {}
        self.trunk_rows: dict[int, TrunkRow] = {}
        self.line_rows: dict[int, LineRow] = {}
        self.user_rows: dict[str, UserRow] = {}
        self.rejected: list[RejectedSource] = []
        self.banned: list[Ban] = []
        self.sample_rows: list[GaugeSample] = []
        self.records: list[CallRecord] = []
        self.messages: dict[str, tuple[MessageTraced, ...]] = {}
        self.applied: list[tuple[Change, ...]] = []
        self.hung_up: list[str] = []
        self.lifted: list[str] = []
        self.registered: list[int] = []
        self.looked_up: tuple[LookedUp, ...] = ()
        self.queries: list[CallQuery] = []
        self.alarm_destinations: tuple[str, ...] = ()
        self.save_error: Exception | None = None
        self.can_save = True
        self.database_damaged = False
        self._refresh()

    # --- configuration -------------------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change], done: Callable[[Exception | None], None] | None = None) -> None:
        """Take changes, as the engine does."""
        self.configuration = self.configuration.with_changes(changes)
        self.applied.append(tuple(changes))
        self._refresh()
        self.events.publish(ConfigurationChanged(self.configuration))
        if done is not None:
            done(self.save_error)

    def change_elsewhere(self, *changes: Change) -> None:
        """Another program changes the configuration."""
        self.configuration = self.configuration.with_changes(changes)
        self._refresh()
        self.events.publish(ConfigurationChanged(self.configuration))

    def problems(self) -> tuple[Problem, ...]:
        """The real thing."""
        return problems(self.configuration)

    def simulate(
        self,
        source: Source,
        caller_number: str,
        called_number: str,
        configuration: Configuration | None = None,
        at: datetime | None = None,
    ) -> Simulation:
        """The real thing."""
        return simulate(configuration or self.configuration, source, caller_number, called_number, at=at)

    def _refresh(self) -> None:
        """Idle rows for every trunk, line and user that has none."""
        for trunk in self.configuration.records(SipTrunk):
            old = self.trunk_rows.get(trunk.id)
            self.trunk_rows[trunk.id] = TrunkRow(
                trunk.id,
                trunk.caption(),
                TrunkState.UP if trunk.enabled else TrunkState.DISABLED,
                "",
                old.active_in if old else 0,
                trunk.max_incoming_calls,
                old.active_out if old else 0,
                trunk.max_outgoing_calls,
                200,
                12.5,
                time.time(),
            )
        for line in self.configuration.records(ExternalLine):
            self.line_rows.setdefault(
                line.id,
                LineRow(line.id, line.caption(), LineState.REGISTERED, "", 200, time.time() + 290, 0, 0, 30),
            )
        for user in self.configuration.records(LocalUser):
            self.user_rows.setdefault(user.number, UserRow(user.number, "", UserState.OFFLINE, (), "", 0.0, 0))

    # --- what is happening ---------------------------------------------------------------------------------------

    def set_call(self, row: CallRow) -> None:
        """A call is new, has changed or has ended."""
        if row.state is CallState.ENDED:
            self.rows.pop(row.id, None)
        else:
            self.rows[row.id] = row
        self.events.publish(CallChanged(row))

    def set_streams(self, *rows: StreamRow) -> None:
        """New figures of relayed streams."""
        self.stream_rows |= {(row.call_id, row.side): row for row in rows}
        self.events.publish(StreamsChanged(rows))

    def streams(self, call_id: str) -> tuple[StreamRow, ...]:
        """The newest figures of a call's streams."""
        return tuple(row for row in self.stream_rows.values() if row.call_id == call_id)

    def set_trunk(self, row: TrunkRow) -> None:
        """A trunk has changed."""
        self.trunk_rows[row.id] = row
        self.events.publish(TrunkChanged(row))

    def calls(self) -> tuple[CallRow, ...]:
        """Every call in progress."""
        return tuple(self.rows.values())

    def trunks(self) -> tuple[TrunkRow, ...]:
        """Every trunk of the configuration."""
        return tuple(self.trunk_rows[trunk.id] for trunk in self.configuration.records(SipTrunk))

    def lines(self) -> tuple[LineRow, ...]:
        """Every line of the configuration."""
        return tuple(self.line_rows[line.id] for line in self.configuration.records(ExternalLine))

    def users(self) -> tuple[UserRow, ...]:
        """Every user of the configuration."""
        return tuple(self.user_rows[user.number] for user in self.configuration.records(LocalUser))

    def rejected_sources(self) -> tuple[RejectedSource, ...]:
        """Who was turned away."""
        return tuple(self.rejected)

    def bans(self) -> tuple[Ban, ...]:
        """Who is banned."""
        return tuple(self.banned)

    def lift_ban(self, address: str) -> None:
        """Lift a ban."""
        self.lifted.append(address)
        self.banned = [ban for ban in self.banned if ban.address != address]
        self.events.publish(BansChanged(tuple(self.banned)))

    def samples(self, span: str) -> tuple[GaugeSample, ...]:
        """The samples that the test has set."""
        assert span in ("5 minutes", "1 hour", "24 hours")
        return tuple(self.sample_rows)

    def ladder(self, call_id: str) -> tuple[MessageTraced, ...]:
        """The messages of a call."""
        return self.messages.get(call_id, ())

    def hang_up(self, call_id: str) -> bool:
        """End a call."""
        self.hung_up.append(call_id)
        return call_id in self.rows

    def refresh_names(self, done: Callable[[tuple[LookedUp, ...]], None]) -> None:
        """Tell what the test has set."""
        done(self.looked_up)

    def register_line(self, line_id: int) -> None:
        """Register a line."""
        self.registered.append(line_id)

    def send_test_alarm(self) -> tuple[str, ...]:
        """Where the test says that alarms go."""
        return self.alarm_destinations

    def call_records(self, query: CallQuery, done: Callable[[list[CallRecord] | None, Exception | None], None]) -> None:
        """A page of the records that the test has set, found, sorted and cut as the database does."""
        self.queries.append(query)

        def key(record: CallRecord) -> tuple[Any, str]:
            return (getattr(record, query.sort), record.id)

        text = query.text.strip()
        found = [
            record
            for record in self.records
            if (not text or any(text in each for each in (record.caller_number, record.called_number, record.target)))
            and (not query.end_causes or record.end_cause in query.end_causes)
            and (query.since is None or record.started >= query.since)
        ]
        found.sort(key=key, reverse=query.descending)
        if query.after is not None:
            found = [
                each for each in found if (key(each) < query.after) == query.descending and key(each) != query.after
            ]
        done(found[: query.limit], None)
