"""SIP trunks while the server runs: their state with its reason, their counters, and the OPTIONS probes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.calls.counters import CallCounters, Counted, RateLimit
from app.calls.destinations import Destinations
from app.calls.outgoing import USER_AGENT, host_port_of
from app.calls.resting import Resting
from app.events import Alarm, EventBus, TrunkChanged, TrunkRow, TrunkState
from app.records import Configuration, SipTrunk
from app.sip.endpoint import Endpoint, new_call_id, new_tag
from app.sip.message import Request, Response
from app.sip.validation import ACCEPT

if TYPE_CHECKING:
    from app.clock import Clock, Deadline
    from app.sip.flow import Flow
    from app.sip.transaction import Key

DOWN_AFTER = 2
"""So many probes in a row without an answer make a trunk down."""
SLOW_MILLISECONDS = 500.0
"""A trunk that answers probes slower than this is degraded."""
FIRST_PROBE_AFTER = 0.1
"""Seconds."""
PROBE_PATIENCE = 4.0
"""Seconds after which a probe without an answer has failed."""
BAD_ANSWERS = frozenset({408, 503})
"""Answers to a probe that say: not now. Any other answer shows that somebody is there."""


@dataclass(slots=True)
class _Watch:
    """What is known of a trunk beside its record."""

    state: TrunkState = TrunkState.UNKNOWN
    reason: str = "nothing was heard from it yet"
    last_status: int = 0
    round_trip_ms: float = 0.0
    changed: float = 0.0
    failed_probes: int = 0
    probe: Deadline | None = None
    asked: Key | None = None
    asked_at: float = 0.0
    patience: Deadline | None = None
    flow: Flow | None = None
    """Where the last probe went."""
    nowhere: bool = False
    """Whether the last probe was not sent, because the server's address is not known."""


class Trunks:
    """The state of every trunk, and who may be called through it now."""

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        counters: CallCounters,
        destinations: Destinations,
        events: EventBus,
    ) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._counters = counters
        self._destinations = destinations
        self._events = events
        self._records: dict[int, SipTrunk] = {}
        self._watches: dict[int, _Watch] = {}
        self._rates: dict[int, RateLimit] = {}
        self._asking: dict[Key, int] = {}
        self._resting = Resting(clock, endpoint.schedule, self.publish)

    def configure(self, configuration: Configuration) -> None:
        """Take a changed configuration: new trunks are watched, changed ones anew, deleted ones no longer."""
        records = {trunk.id: trunk for trunk in configuration.records(SipTrunk)}
        for trunk_id in [number for number in self._records if number not in records]:
            self._clear_alarm(trunk_id)
            self._stop(self._watches.pop(trunk_id))
            self._resting.end(trunk_id)
            self._rates.pop(trunk_id, None)
            self._events.publish(TrunkChanged(self._row_of(self._records.pop(trunk_id), _Watch()), gone=True))
        for trunk_id, record in records.items():
            old = self._records.get(trunk_id)
            if old == record:
                continue
            self._records[trunk_id] = record
            self._resting.end(trunk_id)
            watch = self._watches.get(trunk_id)
            if watch is None or old is None or _peer_of(old) != _peer_of(record):
                if watch is not None:
                    self._clear_alarm(trunk_id)
                    self._stop(watch)
                watch = self._watches[trunk_id] = _Watch(changed=self._clock.wall())
            else:
                self._stop(watch)
            self._plan_probe(trunk_id, record, watch, first=True)
            self.publish(trunk_id)

    def stop(self) -> None:
        """Probe no more."""
        self._resting.stop()
        for watch in self._watches.values():
            self._stop(watch)

    # --- asked by the dial plan ---------------------------------------------------------------------------------------

    def down(self, trunk_id: int) -> str:
        """Why a trunk is known down, blank when it may be tried."""
        watch = self._watches.get(trunk_id)
        return watch.reason if watch is not None and watch.state is TrunkState.DOWN else ""

    def rests(self, trunk_id: int) -> str:
        """Until when a trunk rests and why, in words; blank while it does not."""
        return self._resting.words(trunk_id) if self._resting else ""

    def rate_full(self, trunk_id: int) -> bool:
        """Whether the trunk has had its calls of this second."""
        record = self._records.get(trunk_id)
        rate = self._rates.get(trunk_id)
        return (
            record is not None and rate is not None and rate.full(record.max_calls_per_second, self._clock.monotonic())
        )

    def count_rate(self, trunk_id: int) -> None:
        """A call goes out through the trunk now."""
        record = self._records.get(trunk_id)
        if record is not None and record.max_calls_per_second:
            self._rates.setdefault(trunk_id, RateLimit()).add(self._clock.monotonic())

    # --- rows ---------------------------------------------------------------------------------------------------------

    def rows(self) -> tuple[TrunkRow, ...]:
        """Every trunk, by id."""
        return tuple(self._row_of(self._records[number], self._watches[number]) for number in sorted(self._records))

    def publish(self, trunk_id: int) -> None:
        """A trunk's row is new."""
        if not self._events.wanted(TrunkChanged):
            return
        record = self._records.get(trunk_id)
        if record is not None:
            self._events.publish(TrunkChanged(self._row_of(record, self._watches[trunk_id])))

    def _row_of(self, record: SipTrunk, watch: _Watch) -> TrunkRow:
        active_out = self._counters.count(Counted.TRUNK_OUT, record.id)
        active_in = self._counters.count(Counted.TRUNK_IN, record.id)
        state, reason = watch.state, watch.reason
        if not record.enabled:
            state, reason = TrunkState.DISABLED, "disabled in its record"
        elif state is not TrunkState.DOWN and active_out >= record.max_outgoing_calls > 0:
            state, reason = TrunkState.FULL, f"{active_out} of {record.max_outgoing_calls} outgoing calls"
        elif state is not TrunkState.DOWN and self.rests(record.id):
            state, reason = TrunkState.DEGRADED, self.rests(record.id)
        return TrunkRow(
            id=record.id,
            name=record.caption(),
            state=state,
            reason=reason,
            active_in=active_in,
            max_in=record.max_incoming_calls,
            active_out=active_out,
            max_out=record.max_outgoing_calls,
            last_status=watch.last_status,
            round_trip_ms=watch.round_trip_ms,
            changed=watch.changed,
        )

    # --- what calls tell ----------------------------------------------------------------------------------------------

    def heard(self, trunk_id: int, status: int) -> None:
        """The peer was heard: a call from it (status 0), or its answer to one of ours."""
        watch = self._watches.get(trunk_id)
        record = self._records.get(trunk_id)
        if watch is None or record is None:
            return
        if status:
            watch.last_status = status
        if 200 <= status < 300 and self.rests(trunk_id):
            self._resting.end(trunk_id)
            self.publish(trunk_id)
        # A trunk that probes found down comes back by probe only, so that calls are not spent on trying it.
        if watch.state is TrunkState.UNKNOWN or (watch.state is TrunkState.DEGRADED and not record.options_interval):
            self._enter(trunk_id, watch, TrunkState.UP, "it answered a call" if status else "a call came from it")

    def rest(self, trunk_id: int, retry_after: str) -> str:
        """The peer answered a call with 503 and this Retry-After: what `rests` says then."""
        return self._resting.begin(trunk_id, retry_after) if trunk_id in self._records else ""

    def silent(self, trunk_id: int, reason: str) -> None:
        """A call got no answer from the peer."""
        watch = self._watches.get(trunk_id)
        if watch is not None and watch.state is not TrunkState.DOWN:
            self._enter(trunk_id, watch, TrunkState.DEGRADED, reason)

    def _enter(self, trunk_id: int, watch: _Watch, state: TrunkState, reason: str) -> None:
        if watch.state is state and watch.reason == reason:
            return
        before = watch.state
        if before is not state:
            watch.changed = self._clock.wall()
        watch.state = state
        watch.reason = reason
        self.publish(trunk_id)
        if TrunkState.DOWN in (before, state) and before is not state:
            caption = self._records[trunk_id].caption()
            cleared = before is TrunkState.DOWN
            if state is TrunkState.UNKNOWN:
                text = f"SIP trunk {caption} is no longer watched as it was"
            else:
                text = f"SIP trunk {caption} is back" if cleared else f"SIP trunk {caption} is down: {reason}"
            self._events.publish(Alarm.about("trunk_down", text, self._clock.wall(), cleared=cleared, trunk=trunk_id))

    def _clear_alarm(self, trunk_id: int) -> None:
        """The trunk is deleted, or becomes another peer: that it was down is over."""
        watch = self._watches.get(trunk_id)
        if watch is not None and watch.state is TrunkState.DOWN:
            self._enter(trunk_id, watch, TrunkState.UNKNOWN, "its record was changed")

    # --- probes -------------------------------------------------------------------------------------------------------

    def _plan_probe(self, trunk_id: int, record: SipTrunk, watch: _Watch, first: bool = False) -> None:
        if watch.probe is not None:
            watch.probe.cancel()
            watch.probe = None
        if not record.enabled or not record.options_interval:
            if watch.state is TrunkState.DOWN:
                # Nothing probes it any more, so nothing would ever find it up again.
                self._enter(trunk_id, watch, TrunkState.UNKNOWN, "it is not probed")
            return
        delay = FIRST_PROBE_AFTER if first else float(record.options_interval)
        if not first and 0 < watch.failed_probes < self._destinations.count(record):
            # Another address of the server is asked at once.
            delay = FIRST_PROBE_AFTER
        elif not first and watch.failed_probes:
            # Once a probe was lost the next comes sooner, so that a dead trunk is known dead within seconds.
            delay = min(delay, PROBE_PATIENCE)
        watch.probe = self._endpoint.schedule(delay, lambda _now: self._probe(trunk_id))

    def _probe(self, trunk_id: int) -> None:
        record = self._records.get(trunk_id)
        watch = self._watches.get(trunk_id)
        if record is None or watch is None:
            return
        watch.probe = None
        ways = self._destinations.ways_to(record)
        if isinstance(ways, str):
            watch.nowhere = True
            if self._destinations.awaits(record):
                # Nothing is wrong yet; `addresses_changed` follows, whatever comes out.
                if watch.state is TrunkState.UNKNOWN:
                    self._enter(trunk_id, watch, TrunkState.UNKNOWN, ways)
                self._plan_probe(trunk_id, record, watch)
            else:
                self._probe_failed(trunk_id, ways)
            return
        watch.nowhere = False
        flow = watch.flow = ways[0]
        server = host_port_of(record)
        own = self._endpoint.sent_by(flow)
        request = Request(
            "OPTIONS",
            f"sip:{server}",
            [
                ("Max-Forwards", "70"),
                ("From", f"<sip:trunkline@{own}>;tag={new_tag()}"),
                ("To", f"<sip:{server}>"),
                ("Call-ID", new_call_id()),
                ("CSeq", "1 OPTIONS"),
                ("Contact", self._endpoint.contact(flow, "trunkline")),
                ("Accept", ACCEPT),
                ("User-Agent", USER_AGENT),
            ],
        )
        watch.asked_at = self._clock.monotonic()
        watch.patience = self._endpoint.schedule(PROBE_PATIENCE, lambda _now: self._out_of_patience(trunk_id))
        watch.asked = self._endpoint.send_request(request, flow, self)
        self._asking[watch.asked] = trunk_id

    def addresses_changed(self) -> None:
        """DNS says something new: trunks whose address was not known are probed now."""
        for trunk_id, watch in self._watches.items():
            if watch.nowhere and watch.probe is not None:
                watch.nowhere = False
                self._plan_probe(trunk_id, self._records[trunk_id], watch, first=True)

    def on_response(self, key: Key, response: Response) -> None:
        """A probe was answered (ClientUser)."""
        trunk_id = self._asking.get(key)
        watch = self._watches.get(trunk_id) if trunk_id is not None else None
        if response.status < 200 or trunk_id is None or watch is None:
            return
        self._asked_enough(watch)
        watch.last_status = response.status
        if response.status in BAD_ANSWERS:
            self._probe_failed(trunk_id, f"it answers {response.status} {response.reason} to OPTIONS")
            return
        watch.failed_probes = 0
        self._resting.end(trunk_id)
        if watch.flow is not None:
            self._destinations.heard(self._records[trunk_id], watch.flow)
        watch.round_trip_ms = round((self._clock.monotonic() - watch.asked_at) * 1000.0, 1)
        if watch.round_trip_ms > SLOW_MILLISECONDS:
            self._enter(trunk_id, watch, TrunkState.DEGRADED, f"it answers slowly: {watch.round_trip_ms:.0f} ms")
        else:
            self._enter(trunk_id, watch, TrunkState.UP, "it answers OPTIONS")
        self.publish(trunk_id)
        self._plan_probe(trunk_id, self._records[trunk_id], watch)

    def on_no_response(self, key: Key, timed_out: bool) -> None:
        """A probe could not be sent, or was given up (ClientUser)."""
        trunk_id = self._asking.get(key)
        watch = self._watches.get(trunk_id) if trunk_id is not None else None
        if trunk_id is None or watch is None:
            return
        self._asked_enough(watch)
        words = self._endpoint.failure or "it cannot be reached"
        self._probe_failed(trunk_id, "it does not answer OPTIONS" if timed_out else words)

    def _out_of_patience(self, trunk_id: int) -> None:
        watch = self._watches.get(trunk_id)
        if watch is None or watch.asked is None:
            return
        key = watch.asked
        watch.patience = None
        self._asked_enough(watch)
        self._endpoint.forget(key)
        self._probe_failed(trunk_id, "it does not answer OPTIONS")

    def _asked_enough(self, watch: _Watch) -> None:
        if watch.asked is not None:
            self._asking.pop(watch.asked, None)
            watch.asked = None
        if watch.patience is not None:
            watch.patience.cancel()
            watch.patience = None

    def _probe_failed(self, trunk_id: int, reason: str) -> None:
        watch = self._watches[trunk_id]
        record = self._records[trunk_id]
        watch.failed_probes += 1
        if watch.flow is not None and not watch.nowhere:
            self._destinations.missed(record, watch.flow)
        if watch.state is TrunkState.DOWN or watch.failed_probes >= max(DOWN_AFTER, self._destinations.count(record)):
            self._enter(trunk_id, watch, TrunkState.DOWN, reason)
        else:
            self._enter(trunk_id, watch, TrunkState.DEGRADED, reason)
        self._plan_probe(trunk_id, record, watch)

    def _stop(self, watch: _Watch) -> None:
        if watch.probe is not None:
            watch.probe.cancel()
            watch.probe = None
        key = watch.asked
        self._asked_enough(watch)
        if key is not None:
            self._endpoint.forget(key)


def _peer_of(record: SipTrunk) -> tuple[object, ...]:
    """What makes a trunk another peer when it changes."""
    return record.server_address, record.server_port, record.transport, record.enabled
