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
class Talking:
    id: str
    seconds: float = 0.0
    bounded_source: str = ""

    def talked(self) -> float:
        return self.seconds


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

    def call(self, source: str = "user:100", name: str = "", seconds: float = 0.0) -> Talking:
        call = Talking(name or f"{source} at {self.now}", seconds)
        self.external.begin(source, call)
        return call

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
        assert not bench.call(source).bounded_source
        assert bench.external.use(source) == ExternalUse()
    assert not bench.external._uses


def test_a_source_is_stopped_until_half_of_its_calls_are_an_hour_ago() -> None:
    bench = Bench()
    for _ in range(4):
        bench.call(name=f"call {bench.now}")
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
    long, short = bench.call(name="long"), bench.call(name="short")
    long.seconds, short.seconds = 500.0, 90.0
    assert bench.external.use("user:100") == ExternalUse(2, 9)
    bench.external.ended(short)
    bench.external.ended(short)
    long.seconds = 520.0
    assert bench.external.use("user:100").minutes == 10
    bench.external.refused("user:100")
    (stop,) = bench.external.stops()
    assert stop.reason == "10 minutes of external calls within a day"
    assert 86400 <= stop.until - NOON <= 86400 * 61 / 60
    assert bench.external.use("user:100").stopped_until == f"{datetime.fromtimestamp(stop.until):%Y-%m-%d %H:%M}"
    bench.external.ended(long)
    assert not bench.external._uses["user:100"].running


def test_lifted_by_hand_a_source_begins_anew() -> None:
    bench = Bench()
    running = bench.call(name="running")
    running.seconds = 3000.0
    bench.external.refused("user:100")
    assert bench.external.lift("user:100")
    assert not bench.external.lift("user:100")
    assert not bench.external.lift("203.0.113.5")
    assert bench.external.use("user:100") == ExternalUse()
    running.seconds = 3060.0
    assert bench.external.use("user:100") == ExternalUse(0, 1), "what a running call adds counts"
    assert [alarm.cleared for alarm in bench.alarms] == [False, True]


def test_a_new_stop_may_follow_the_one_before_at_once() -> None:
    bench = Bench()
    for number in range(4):
        bench.call(name=str(number))
    bench.external.refused("user:100")
    bench.now += 3700
    for number in range(4, 8):
        bench.call(name=str(number))
    bench.external.refused("user:100")
    assert bench.stopped() == ["user:100"]
    assert [alarm.cleared for alarm in bench.alarms] == [False, True, False]


def test_who_is_bounded_in_calls_only_is_not_watched_talking() -> None:
    bench = Bench()
    assert not bench.call("trunk:1").bounded_source
    assert bench.external.use("trunk:1") == ExternalUse(1)
    assert not bench.external._uses["trunk:1"].running


def test_a_changed_record_lets_it_try_again_and_a_renamed_one_does_not() -> None:
    bench = Bench()
    for number in range(4):
        bench.call(name=str(number))
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


def record(source: str, called_number: str = "0301", *, ago: float, talk: float = 0.0, phone: str = "") -> CallRecord:
    started = NOON - ago
    attempts = (Attempt(phone, "101", started, 302, "redirected"),) if phone else ()
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
            record("trunk:1", "100", ago=900, talk=60, phone="user:100"),
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
