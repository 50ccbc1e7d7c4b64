"""External calls of the sources whose records bound them: counted, stopped beyond the bound, and let go on again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from app.calls.call_words import FORWARDED
from app.calls.counters import SlidingWindow
from app.clock import local_time
from app.dialplan.external import has_bound
from app.dialplan.live import ExternalUse
from app.dialplan.request import Source
from app.dialplan.words import called
from app.events import Alarm, Ban, EventBus
from app.records import Configuration, ExternalLine, LocalUser, SipTrunk

if TYPE_CHECKING:
    from app.clock import Clock
    from app.dialplan.plan import DialPlan
    from app.events import CallRecord

HOUR, DAY = 3600.0, 86400.0
MOST_RESTORED = 20_000
"""So many records of calls, the newest, are taken in after a restart."""


class Bounds(NamedTuple):
    """What the record of a source lets it call outwards; 0 is no bound."""

    calls_per_hour: int = 0
    minutes_per_day: int = 0
    caption: str = ""


class Talk(Protocol):
    """A call, as far as it is counted here."""

    id: str
    bounded_source: str
    """The source whose minutes it counts for, by its name; blank for none."""

    def talked(self) -> float:
        """Seconds since the answer, up to the end."""


class _Use:
    """What one source has called outwards."""

    __slots__ = ("calls", "running", "seconds")

    def __init__(self) -> None:
        self.calls = SlidingWindow(HOUR)
        self.seconds = SlidingWindow(DAY)
        self.running: dict[str, tuple[Talk, float]] = {}
        """The calls that have not ended, and how many seconds of each are counted."""

    def settle(self, now: float) -> None:
        """Count what was talked since the last time."""
        for call_id, (call, counted) in self.running.items():
            talked = call.talked()
            if talked > counted:
                self.seconds.add(talked - counted, now)
                self.running[call_id] = call, talked


@dataclass(frozen=True, slots=True)
class _Stop:
    """A source that may make no external calls for now; in monotonic time."""

    reason: str
    since: float
    until: float


def bounds_of(configuration: Configuration) -> dict[str, Bounds]:
    """The bounds of every source that has any, by its name."""
    records: list[LocalUser | SipTrunk | ExternalLine] = [
        *configuration.records(LocalUser),
        *configuration.records(SipTrunk),
        *configuration.records(ExternalLine),
    ]
    return {
        _source(record).name: Bounds(
            record.max_external_calls_per_hour, record.max_external_minutes_per_day, called(record)
        )
        for record in records
        if has_bound(record)
    }


def _source(record: LocalUser | SipTrunk | ExternalLine) -> Source:
    if isinstance(record, LocalUser):
        return Source.user(record.number)
    return Source.trunk(record.id) if isinstance(record, SipTrunk) else Source.line(record.id)


class ExternalCalls:
    """Counts external calls for whom they are made; a source without bounds costs nothing.

    A source that wants more than its bound is stopped until no more than half of the bound lies within the hour, or
    the day, so that it does not go on and off; a person may lift that. `on_change()` is called when a stop begins or
    ends. Everything of this is in memory, and is taken up from the call records by `restore`.
    """

    def __init__(self, clock: Clock, events: EventBus, on_change: Callable[[], None]) -> None:
        self._clock = clock
        self._events = events
        self._on_change = on_change
        self._bounds: dict[str, Bounds] = {}
        self._uses: dict[str, _Use] = {}
        self._stops: dict[str, _Stop] = {}

    def configure(self, configuration: Configuration) -> None:
        """Take a changed configuration; a source with other bounds than before may try again."""
        before, self._bounds = self._bounds, bounds_of(configuration)
        for name in [name for name in self._uses if name not in self._bounds]:
            del self._uses[name]
        for name in tuple(self._stops):
            if self._bounds.get(name, Bounds())[:2] != before[name][:2]:
                self._end(name, before[name], "its record was changed")

    def restore(self, records: Iterable[CallRecord], plan: DialPlan) -> None:
        """Count the calls of the last day that a server before this one has recorded: a restart is no way round."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        for record in sorted(records, key=lambda each: each.started):
            name = _made_for(record)
            forwarded = name != record.source
            if name not in self._bounds or not (forwarded or plan.counts_as_external(record.called_number)):
                continue
            use = self._uses.setdefault(name, _Use())
            use.calls.add(1.0, now - (wall - record.started))
            use.seconds.add(record.talk_seconds, now - (wall - max(record.ended, record.started)))

    # --- asked by the dial plan ---------------------------------------------------------------------------------------

    def use(self, source: str) -> ExternalUse:
        """What a source has called outwards lately."""
        use = self._uses.get(source)
        if use is None:
            return ExternalUse()
        now = self._clock.monotonic()
        use.settle(now)
        stop = self._stops.get(source)
        until = self._shown(stop.until) if stop is not None and now < stop.until else ""
        return ExternalUse(round(use.calls.total(now)), int(use.seconds.total(now) // 60), until)

    def _shown(self, at: float) -> str:
        """A monotonic time as a clock shows it, with the day where that is another one."""
        wall = self._clock.wall()
        then, today = local_time(wall + at - self._clock.monotonic()), local_time(wall)
        return f"{then:%H:%M}" if then.date() == today.date() else f"{then:%Y-%m-%d %H:%M}"

    # --- what calls do ------------------------------------------------------------------------------------------------

    def begin(self, source: str, call: Talk) -> None:
        """An external call of this source is let through."""
        bounds = self._bounds.get(source)
        if bounds is None:
            return
        use = self._uses.setdefault(source, _Use())
        use.calls.add(1.0, self._clock.monotonic())
        if bounds.minutes_per_day:
            use.running[call.id] = call, 0.0
            call.bounded_source = source

    def ended(self, call: Talk) -> None:
        """A call has ended that was let through here."""
        use = self._uses.get(call.bounded_source)
        if use is not None and call.id in use.running:
            use.settle(self._clock.monotonic())
            del use.running[call.id]

    def refused(self, source: str) -> None:
        """The dial plan refused an external call because of the bounds: they are stopped from now on."""
        bounds, use = self._bounds.get(source), self._uses.get(source)
        now = self._clock.monotonic()
        before = self._stops.get(source)
        if bounds is None or use is None or (before is not None and now < before.until):
            return
        if before is not None:
            self._end(source, bounds, "the time is over")
        use.settle(now)
        calls, seconds = bounds.calls_per_hour, bounds.minutes_per_day * 60
        reasons: list[str] = []
        until = now
        if calls and use.calls.total(now) >= calls:
            reasons.append(f"{use.calls.total(now):.0f} external calls within an hour")
            until = max(until, use.calls.falls_to(calls // 2, now))
        if seconds and use.seconds.total(now) >= seconds:
            reasons.append(f"{use.seconds.total(now) / 60:.0f} minutes of external calls within a day")
            until = max(until, use.seconds.falls_to(seconds / 2, now))
        if reasons:
            stop = self._stops[source] = _Stop(" and ".join(reasons), now, until)
            self._alarm(
                source,
                f"{bounds.caption} has made {stop.reason}, as many as it may, and wants more: its external calls are "
                f"stopped until {self._shown(until)}. Monitor / Bans lets it go on",
            )
            self._on_change()

    # --- from the host ------------------------------------------------------------------------------------------------

    def stops(self) -> tuple[Ban, ...]:
        """The sources that are stopped now, newest first."""
        ahead = self._clock.wall() - self._clock.monotonic()
        return tuple(
            Ban(name, stop.reason, stop.since + ahead, stop.until + ahead)
            for name, stop in reversed(self._stops.items())
        )

    def lift(self, source: str) -> bool:
        """Let a source go on as if it had called nobody; False where it is not stopped."""
        if source not in self._stops:
            return False
        use = self._uses[source]
        use.settle(self._clock.monotonic())
        use.calls, use.seconds = SlidingWindow(HOUR), SlidingWindow(DAY)
        self._end(source, self._bounds[source], "by hand")
        return True

    def expire(self, now: float) -> None:
        """End the stops whose time is over."""
        for name in [name for name, stop in self._stops.items() if stop.until <= now]:
            self._end(name, self._bounds[name], "the time is over")

    def _end(self, source: str, bounds: Bounds, why: str) -> None:
        del self._stops[source]
        self._alarm(source, f"{bounds.caption} may make external calls again: {why}", cleared=True)
        self._on_change()

    def _alarm(self, source: str, text: str, *, cleared: bool = False) -> None:
        self._events.publish(Alarm.about("external_calls", text, self._clock.wall(), cleared=cleared, source=source))


def _made_for(record: CallRecord) -> str:
    """The source that an external call counts for: the user whose phone forwarded it last, else who called."""
    name = record.source
    for attempt in record.attempts:
        if attempt.reason == FORWARDED and attempt.target.startswith("user:"):
            name = attempt.target
    return name
