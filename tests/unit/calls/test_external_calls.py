"""External calls are counted for their source, stopped beyond its bounds, and let go on by time, hand or record."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.calls.counters import SlidingWindow
from app.calls.external_calls import ExternalCalls, bounds_of
from app.clock import Clock
from app.dialplan.live import ExternalUse
from app.dialplan.plan import DialPlan
from app.events import Alarm, Attempt, CallRecord, EventBus
from app.records import Configuration
from app.records.document import read_document

NOON = datetime(2026, 11, 23, 12).timestamp()


@dataclass
class Bench:
    """External calls of user 100 (4 an hour, 10 minutes a day) and trunk 1 (2 an hour), by a clock that is set."""

    now: float = 5000.0
    calls_per_hour: int = 4
    alarms: list[Alarm] = field(default_factory=list)
    changes: int = 0

    def __post_init__(self) -> None:
        events = EventBus()
        events.subscribe(Alarm, self.alarms.append)
        self.external = ExternalCalls(Clock(lambda: self.now, lambda: NOON + self.now - 5000.0), events, self._changed)
        self.external.configure(self.configuration())

    def _changed(self) -> None:
        self.changes += 1

    def configuration(self, **user: Any) -> Configuration:
        bounds = {"max_external_calls_per_hour": self.calls_per_hour, "max_external_minutes_per_day": 10}
        document = {
            "local_users": [{"number": "100", "display_name": "Anna", **bounds, **user}, {"number": "101"}],
            "sip_trunks": [{"id": 1, "server_address": "192.0.2.8", "max_external_calls_per_hour": 2}],
            "external_lines": [{"id": 1, "account": "a", "server_address": "192.0.2.9"}],
            "analyze_called_numbers": [{"prefix": "112", "counts_as_external": False}],
        }
        return read_document(document, Configuration())

    def call(self, source: str = "user:100") -> None:
        self.external.begin(source)

    def talk(self, seconds: float, source: str = "user:100") -> None:
        """A call that somebody outside answers, up to its end."""
        self.call(source)
        talk = self.external.talk(source)
        assert talk is not None
        self.now += seconds
        talk.release()

    def stopped(self) -> list[str]:
        return [ban.address for ban in self.external.stops()]


def test_a_window_forgets_what_lies_further_back_and_never_too_early() -> None:
    window = SlidingWindow(3600.0)
    for minute in range(60):
        window.add(1.0, minute * 60.0)
    assert window.total(3600.0) == 60
    assert len(window._kept) == 60
    assert window.total(3659.0) == 60
    assert window.total(3660.0) == 59
    assert window.falls_to(30, 3660.0) == 3660 + 29 * 60
    assert window.total(3660 + 29 * 60) == 30
    assert window.total(10_000.0) == 0.0
    assert window.falls_to(0, 10_000.0) == 10_000.0
    assert not window._kept


def test_only_sources_with_bounds_are_known() -> None:
    bench = Bench()
    assert {name: each[:2] for name, each in bounds_of(bench.configuration()).items()} == {
        "user:100": (4, 10),
        "trunk:1": (2, 0),
    }
    for source in ("user:101", "line:1", "user:999"):
        bench.call(source)
        assert bench.external.talk(source) is None
        assert bench.external.use(source) == ExternalUse()
    assert not bench.external._uses


def test_a_source_is_stopped_until_half_of_its_calls_are_an_hour_ago() -> None:
    bench = Bench()
    for _ in range(4):
        bench.call()
        bench.now += 600
    assert bench.external.use("user:100") == ExternalUse(4)
    bench.external.refused("user:100")
    bench.external.refused("user:100")
    (stop,) = bench.external.stops()
    assert (stop.address, stop.reason) == ("user:100", "4 external calls within an hour")
    assert 60 * 60 <= stop.until - NOON - 600 <= 61 * 60, "the second call is more than an hour old then"
    (alarm,) = bench.alarms
    assert (alarm.code, alarm.cleared, alarm.values) == ("external_calls", False, {"source": "user:100"})
    assert alarm.text.startswith("local user 100 - Anna has made 4 external calls within an hour, as many as it may")
    assert "its external calls are stopped until 13:1" in alarm.text
    assert bench.external.use("user:100").stopped_until.startswith("13:1")
    bench.now = 5000.0 + stop.until - NOON - 1
    bench.external.expire(bench.now)
    assert bench.stopped() == ["user:100"]
    bench.now += 1
    assert bench.external.use("user:100") == ExternalUse(2), "over by itself, the moment its time is"
    bench.external.expire(bench.now)
    assert not bench.stopped()
    assert (bench.alarms[-1].cleared, len(bench.alarms), bench.changes) == (True, 2, 2)


def test_minutes_count_while_they_are_talked_and_a_day_long() -> None:
    bench = Bench(calls_per_hour=0)
    bench.call()
    long = bench.external.talk("user:100")
    assert long is not None
    bench.talk(90)
    bench.now += 320
    assert bench.external.use("user:100") == ExternalUse(2, 8)
    bench.external.refused("user:100")
    assert not bench.stopped(), "not yet"
    bench.now += 100
    assert bench.external.use("user:100").minutes == 10
    bench.external.refused("user:100")
    (stop,) = bench.external.stops()
    assert stop.reason == "10 minutes of external calls within a day"
    assert 86400 <= stop.until - NOON - 510 <= 86400 * 61 / 60
    assert bench.external.use("user:100").stopped_until == f"{datetime.fromtimestamp(stop.until):%Y-%m-%d %H:%M}"
    long.release()
    bench.now += 100
    long.release()
    assert bench.external.use("user:100").minutes == 10
    assert not bench.external._uses["user:100"].talks


def test_minutes_that_running_calls_use_up_stop_at_once_for_as_long_as_they_go_on() -> None:
    bench = Bench()
    bench.call()
    talks = [bench.external.talk("user:100"), bench.external.talk("user:100")]
    bench.now += 299
    bench.external.expire(bench.now)
    assert not bench.stopped()
    bench.now += 1
    bench.external.expire(bench.now)
    bench.external.expire(bench.now)
    (stop,), (alarm,) = bench.external.stops(), bench.alarms
    assert "and 2 calls go on, which Monitor / Live calls can end: further external calls are stopped" in alarm.text
    bench.now = 5000 + stop.until - NOON + 1
    bench.external.expire(bench.now)
    (longer,) = bench.external.stops()
    assert (longer.since, len(bench.alarms)) == (stop.since, 1)
    assert longer.until > stop.until
    assert bench.changes == 2, "whoever sees the stops hears of it"
    for talk in talks:
        assert talk is not None
        talk.release()
    bench.now += 86400 * 61 / 60
    bench.external.expire(bench.now)
    assert (bench.stopped(), [each.cleared for each in bench.alarms]) == ([], [False, True])


def test_a_talk_outlives_the_bound_that_it_is_counted_for() -> None:
    bench = Bench()
    talk = bench.external.talk("user:100")
    assert talk is not None
    bench.now += 700
    bench.external.configure(bench.configuration(max_external_calls_per_hour=0, max_external_minutes_per_day=0))
    bench.external.configure(bench.configuration())
    bench.external.expire(bench.now)
    talk.release()
    assert not bench.stopped()
    assert bench.external.use("user:100") == ExternalUse()


def test_lifted_by_hand_a_source_begins_anew() -> None:
    bench = Bench()
    talk = bench.external.talk("user:100")
    bench.now += 3000
    bench.external.refused("user:100")
    assert bench.external.lift("user:100")
    assert not bench.external.lift("user:100")
    assert not bench.external.lift("203.0.113.5")
    assert bench.external.use("user:100") == ExternalUse()
    bench.now += 60
    assert bench.external.use("user:100") == ExternalUse(0, 1), "what a running call adds counts"
    assert [alarm.cleared for alarm in bench.alarms] == [False, True]
    assert talk is not None


def test_a_new_stop_may_follow_the_one_before_at_once() -> None:
    bench = Bench()
    for _ in range(4):
        bench.call()
    bench.external.refused("user:100")
    bench.now += 3700
    for _ in range(4):
        bench.call()
    bench.external.refused("user:100")
    assert bench.stopped() == ["user:100"]
    assert [alarm.cleared for alarm in bench.alarms] == [False, True, False]


def test_who_is_bounded_in_calls_only_is_not_watched_talking() -> None:
    bench = Bench()
    bench.call("trunk:1")
    assert bench.external.talk("trunk:1") is None
    assert bench.external.use("trunk:1") == ExternalUse(1)
    assert not bench.external._uses["trunk:1"].talks


def test_a_changed_record_lets_it_try_again_and_a_renamed_one_does_not() -> None:
    bench = Bench()
    for _ in range(4):
        bench.call()
    bench.external.refused("user:100")
    bench.external.configure(bench.configuration(display_name="Bert"))
    assert bench.stopped() == ["user:100"]
    bench.external.configure(bench.configuration(max_external_calls_per_hour=3))
    assert not bench.stopped()
    bench.external.refused("user:100")
    assert bench.stopped() == ["user:100"], "but what it has made counts"
    unbounded = {"max_external_calls_per_hour": 0, "max_external_minutes_per_day": 0}
    bench.external.configure(bench.configuration(**unbounded))
    assert not bench.stopped()
    assert not bench.external._uses
    bench.external.refused("user:100")
    assert not bench.stopped()


def record(
    source: str, called_number: str = "0301", *, ago: float, talk: float = 0.0, by: tuple[str, ...] = ()
) -> CallRecord:
    """A call that ended outside; `by` whom it was sent on."""
    started = NOON - ago
    attempts = tuple(Attempt(each, "101", started, 302, "redirected") for each in by)
    return CallRecord(
        *("id", "node", started, started if talk else 0.0, started + talk, "100", called_number, called_number),
        *(source, "trunk:1", 200, "normal", "caller", talk, (), attempts),
    )


def test_a_restart_is_no_way_round() -> None:
    bench = Bench()
    bench.external.restore(
        [
            record("user:100", ago=600, talk=120),
            record("user:100", ago=7200, talk=240),
            record("user:100", "112", ago=700, talk=600),
            record("user:101", ago=300, talk=500),
            record("trunk:1", "100", ago=900, talk=60, by=("user:100",)),
            record("trunk:1", ago=800),
        ],
        DialPlan(bench.configuration()),
    )
    assert bench.external.use("user:100") == ExternalUse(2, 7)
    assert bench.external.use("trunk:1") == ExternalUse(1)
    bench.now += 3600
    assert bench.external.use("user:100") == ExternalUse(0, 7)
    bench.now += 86400
    assert bench.external.use("user:100") == ExternalUse()


def test_after_a_restart_everybody_who_has_sent_a_call_on_outside_has_made_it() -> None:
    bench = Bench()
    bench.external.restore(
        [record("user:100", ago=600, talk=120, by=("trunk:1", "user:101"))], DialPlan(bench.configuration())
    )
    assert bench.external.use("user:100") == ExternalUse(1, 2)
    assert bench.external.use("trunk:1") == ExternalUse(0), "it has sent the call to a phone"
    bench.external.restore([record("user:101", ago=600, by=("trunk:2", "trunk:1"))], DialPlan(bench.configuration()))
    assert bench.external.use("trunk:1") == ExternalUse(1)


def test_calls_of_a_time_to_come_stop_nobody_for_longer_than_calls_of_now() -> None:
    """The clock was a year ahead when they were made."""
    bench = Bench()
    year = 365 * 86400.0
    bench.external.restore([record("user:100", ago=-year, talk=600)] * 4, DialPlan(bench.configuration()))
    bench.external.refused("user:100")
    (stop,) = bench.external.stops()
    assert stop.until - NOON < 90_000
