"""External calls of the sources whose records bound them: counted, stopped beyond the bound, and let go on again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

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


class _Use:
    """What one source has called outwards."""

    __slots__ = ("calls", "seconds", "talks")

    def __init__(self) -> None:
        self.calls = SlidingWindow(HOUR)
        self.seconds = SlidingWindow(DAY)
        self.talks: set[Talk] = set()
        """Those that go on."""

    def settle(self, now: float) -> None:
        """Count what was talked since the last time."""
        talked = 0.0
        for talk in self.talks:
            talked += now - talk.counted
            talk.counted = now
        if talked:
            self.seconds.add(talked, now)


class Talk:
    """One party outside that talks at the cost of a source, from its answer until `release`; a second one does nothing.

    It is held for that party, as its place on the trunk or line is: a transfer takes both along.
    """

    __slots__ = ("_monotonic", "_use", "counted")

    def __init__(self, use: _Use, monotonic: Callable[[], float]) -> None:
        self._use: _Use | None = use
        self._monotonic = monotonic
        self.counted = monotonic()
        """Up to when its seconds are counted."""
        use.talks.add(self)

    def release(self) -> None:
        """Nobody talks there any more."""
        use, self._use = self._use, None
        if use is not None:
            use.settle(self._monotonic())
            use.talks.discard(self)


@dataclass(slots=True)
class _Stop:
    """A source that may make no external calls for now; in monotonic time."""

    reason: str
    goals: tuple[tuple[SlidingWindow, float], ...]
    """What was beyond its bound, and what it has to fall to."""
    since: float
    until: float = 0.0

    def look_ahead(self, now: float) -> bool:
        """Know when it is over, if nothing comes until then; False where it is over now."""
        self.until = max(window.falls_to(goal, now) for window, goal in self.goals)
        return self.until > now


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
            makers = _makers(record)
            if not plan.counts_as_external(record.called_number):
                makers.discard(record.source)
            for name in makers & self._bounds.keys():
                use = self._uses.setdefault(name, _Use())
                # A clock that has been set back since must not stop anybody for as long.
                use.calls.add(1.0, now - max(wall - record.started, 0.0))
                use.seconds.add(record.talk_seconds, now - max(wall - max(record.ended, record.started), 0.0))

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

    def begin(self, source: str) -> None:
        """An external call of this source is let through."""
        if source in self._bounds:
            self._uses.setdefault(source, _Use()).calls.add(1.0, self._clock.monotonic())

    def talk(self, source: str) -> Talk | None:
        """Somebody outside has answered a call of this source; None where its minutes have no bound."""
        if not self._bounds.get(source, Bounds()).minutes_per_day:
            return None
        return Talk(self._uses.setdefault(source, _Use()), self._clock.monotonic)

    def refused(self, source: str) -> None:
        """The dial plan refused an external call because of the bounds: they are stopped from now on."""
        now, before = self._clock.monotonic(), self._stops.get(source)
        if source not in self._uses or (before is not None and now < before.until):
            return
        if before is not None:
            self._end(source, self._bounds[source], "the time is over")
        self._stop(source, now, "and wants more: its")

    def _stop(self, source: str, now: float, words: str) -> None:
        """Stop a source that is beyond a bound."""
        bounds, use = self._bounds[source], self._uses[source]
        use.settle(now)
        calls, seconds = bounds.calls_per_hour, bounds.minutes_per_day * 60
        reasons: list[str] = []
        goals: list[tuple[SlidingWindow, float]] = []
        if calls and use.calls.total(now) >= calls:
            reasons.append(f"{use.calls.total(now):.0f} external calls within an hour")
            goals.append((use.calls, calls // 2))
        if seconds and use.seconds.total(now) >= seconds:
            reasons.append(f"{use.seconds.total(now) / 60:.0f} minutes of external calls within a day")
            goals.append((use.seconds, seconds / 2))
        if goals:
            stop = self._stops[source] = _Stop(" and ".join(reasons), tuple(goals), now)
            stop.look_ahead(now)
            self._alarm(
                source,
                f"{bounds.caption} has made {stop.reason}, as many as it may, {words} external calls are stopped "
                f"until {self._shown(stop.until)}. Monitor / Bans lets it go on",
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
        """Stop whom running calls have taken to its bound, and end the stops whose time is over.

        While calls of a source go on, its stop does, too: what they add counts.
        """
        for name, use in self._uses.items():
            if use.talks and name not in self._stops:
                use.settle(now)
                seconds = self._bounds[name].minutes_per_day * 60
                if seconds and use.seconds.total(now) >= seconds:
                    count = len(use.talks)
                    running = f"{count} calls go" if count > 1 else "a call goes"
                    self._stop(name, now, f"and {running} on, which Monitor / Live calls can end: further")
        for name, stop in tuple(self._stops.items()):
            if stop.until <= now:
                self._uses[name].settle(now)
                if stop.look_ahead(now):
                    self._on_change()
                else:
                    self._end(name, self._bounds[name], "the time is over")

    def _end(self, source: str, bounds: Bounds, why: str) -> None:
        del self._stops[source]
        self._alarm(source, f"{bounds.caption} may make external calls again: {why}", cleared=True)
        self._on_change()

    def _alarm(self, source: str, text: str, *, cleared: bool = False) -> None:
        self._events.publish(Alarm.about("external_calls", text, self._clock.wall(), cleared=cleared, source=source))


def _makers(record: CallRecord) -> set[str]:
    """The sources that an external call counts for, by their names: who called outside, and who sent it on there."""
    makers: set[str] = set()
    maker = record.source
    for target, reason in (*((each.target, each.reason) for each in record.attempts), (record.target, "")):
        if target.startswith(("trunk:", "line:")):
            makers.add(maker)
        if reason == FORWARDED:
            maker = target
    return makers
