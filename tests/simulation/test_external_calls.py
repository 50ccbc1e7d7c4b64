"""Toll fraud in whole calls: who calls outwards unusually much, or at night, is stopped, and heard of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from simulation.test_calls import CALLER, CARRIER_A, settle, trunks
from simulation.world import Peer, Plan, World

from app.calls.leg_events import EndCause
from app.calls.switch import Switch
from app.events import Alarm, BansChanged, CallRecord

DESK, KITCHEN = "10.0.0.100", "10.0.0.101"
BRIEF = Plan(hang_up_after=2)


class Company:
    """Users 100 and 101 with phones, a PBX behind trunk 3, and carrier A behind prefix 13."""

    def __init__(
        self,
        *,
        user: dict[str, Any] | None = None,
        pbx: dict[str, Any] | None = None,
        carrier: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        made: dict[str, Any] = trunks()
        made["local_users"][0] |= user or {}
        made["sip_trunks"][2] |= pbx or {}
        made["sip_trunks"][0] |= carrier or {}
        self.world = World()
        self.alarms: list[Alarm] = []
        self.bans: list[tuple[str, ...]] = []
        self.world.events.subscribe(Alarm, self.alarms.append)
        self.world.events.subscribe(
            BansChanged, lambda event: self.bans.append(tuple(ban.address for ban in event.bans))
        )
        self.switch: Switch = self.world.switch(made | more)
        self.carrier, self.pbx = Peer(self.world, CARRIER_A), Peer(self.world, CALLER)
        self.desk, self.kitchen = Peer(self.world, DESK), Peer(self.world, KITCHEN)
        self.desk.register("100", "secret100")
        self.kitchen.register("101", "secret101")
        self.world.advance(1)

    def from_desk(self, number: str = "135550", plan: Plan = BRIEF) -> CallRecord:
        """A call of user 100, up to its end."""
        self.desk.call(number, plan, caller_number="100", password=("100", "secret100"))
        return self.ended()

    def from_pbx(self, number: str = "135550", plan: Plan = BRIEF) -> CallRecord:
        """A call that comes in through trunk 3, up to its end."""
        self.pbx.call(number, plan)
        return self.ended()

    def ended(self) -> CallRecord:
        before = len(self.world.recorder.ended)
        self.pass_time(20)
        assert len(self.world.recorder.ended) == before + 1
        return self.world.recorder.ended[-1]

    def pass_time(self, seconds: float) -> None:
        self.world.advance(seconds)
        self.switch.sample()

    def stopped(self) -> list[str]:
        return [ban.address for ban in self.switch.bans()]


def test_a_user_that_calls_outwards_too_often_is_stopped_until_the_hour_has_moved_on() -> None:
    c = Company(user={"max_external_calls_per_hour": 3})
    assert [c.from_desk().status for _ in range(3)] == [200, 200, 200]
    assert not c.alarms
    refused = c.from_desk()
    assert (refused.status, refused.end_cause, refused.ended_by) == (403, "limit", "server")
    assert "external calls: user:100 has made 3 of 3 external calls within an hour" in refused.trail
    assert refused.trail[-1] == "end: user:100 has made all of its 3 external calls of an hour"
    (alarm,) = c.alarms
    assert alarm.text.startswith("local user 100 has made 3 external calls within an hour, as many as it may")
    assert c.stopped() == ["user:100"]
    assert c.bans == [("user:100",)]
    again = c.from_desk()
    assert "are stopped until" in again.trail[-1]
    assert len(c.alarms) == 1, "one alarm for one stop"
    assert len(c.carrier.received) == 3
    assert c.from_desk("101").status == 200, "internal calls go on"
    assert c.from_pbx("135550").status == 200, "so do other people's"
    c.pass_time(3700)
    assert c.alarms[-1].cleared
    assert (c.stopped(), c.bans[-1]) == ([], ())
    assert c.from_desk().status == 200
    settle(c.world, c.switch)
    assert not c.switch.external_calls._uses["user:100"].talks


def test_who_is_let_go_on_by_hand_calls_at_once() -> None:
    c = Company(user={"max_external_calls_per_hour": 1})
    assert [c.from_desk().status for _ in range(2)] == [200, 403]
    c.switch.lift_ban("user:100")
    assert c.alarms[-1].cleared
    assert [c.from_desk().status for _ in range(2)] == [200, 403]


def test_minutes_of_a_day_count_while_the_calls_run_and_running_ones_go_on() -> None:
    c = Company(user={"max_external_minutes_per_day": 10})
    c.desk.call("135550", Plan(hang_up_after=900), caller_number="100", password=("100", "secret100"))
    c.pass_time(500)
    assert c.from_desk().status == 200
    assert not c.alarms
    c.world.advance(120)
    refused = c.from_desk()
    assert refused.status == 403
    assert refused.trail[-1] == "end: user:100 has talked all of its 10 external minutes of a day"
    assert len(c.switch.calls) == 1
    c.pass_time(400)
    assert c.world.recorder.ended[-1].talk_seconds > 890
    c.pass_time(80_000)
    assert c.from_desk().status == 403
    c.pass_time(8_000)
    assert c.from_desk().status == 200


def test_minutes_that_are_used_up_by_running_calls_are_told_at_once() -> None:
    c = Company(user={"max_external_minutes_per_day": 10})
    c.desk.call("135550", Plan(hang_up_after=700), caller_number="100", password=("100", "secret100"))
    c.pass_time(590)
    assert not c.alarms
    c.pass_time(20)
    (alarm,) = c.alarms
    assert alarm.text.startswith(
        "local user 100 has made 10 minutes of external calls within a day, as many as it may, and a call goes on, "
        "which Monitor / Live calls can end: further external calls are stopped until "
    )
    assert (c.stopped(), len(c.switch.calls)) == (["user:100"], 1), "it goes on"
    assert c.from_desk().status == 403
    c.pass_time(300)
    assert c.world.recorder.ended[-1].talk_seconds > 690
    assert len(c.alarms) == 1


def test_a_stop_lasts_as_long_as_the_calls_that_made_it() -> None:
    c = Company(user={"max_external_minutes_per_day": 10}, system={"max_call_seconds": 0})
    c.desk.call("135550", Plan(hang_up_after=100_000), caller_number="100", password=("100", "secret100"))
    for _ in range(110):
        c.pass_time(1000)
    assert [(alarm.cleared, c.stopped()) for alarm in c.alarms] == [(False, ["user:100"])]
    for _ in range(80):
        c.pass_time(1000)
    assert [alarm.cleared for alarm in c.alarms] == [False, True]


@pytest.mark.parametrize("attended", [False, True])
def test_minutes_count_on_when_the_one_outside_is_transferred_to_a_phone(attended: bool) -> None:
    c = Company(user={"max_external_minutes_per_day": 10})
    plan = Plan(transfer_after=5, transfer_to="" if attended else "101")
    if attended:
        c.desk.call("101", Plan(), caller_number="100", password=("100", "secret100"))
        c.pass_time(3)
    c.desk.call("135550", plan, caller_number="100", password=("100", "secret100"))
    c.pass_time(500)
    assert [(call.party_in.source.name, call.trunk_in, call.trunk_out) for call in c.switch.calls.values()]
    assert len(c.switch.calls) == 1
    assert c.switch.external_calls.use("user:100").minutes == 8
    c.pass_time(200)
    assert c.stopped() == ["user:100"]
    (call,) = c.switch.calls.values()
    call.hang_up(EndCause.HUNG_UP_HERE, "enough")
    c.pass_time(100)
    assert c.switch.external_calls.use("user:100").minutes == 11
    settle(c.world, c.switch)
    assert not c.switch.external_calls._uses["user:100"].talks


def test_everybody_who_sends_a_call_on_outside_spends_a_call_and_its_minutes() -> None:
    carrier = {"follow_redirects": True, "max_external_calls_per_hour": 2, "max_external_minutes_per_day": 10}
    c = Company(user={"max_external_minutes_per_day": 10}, carrier=carrier)
    plans = [Plan(), Plan(status=302, answer_after=0.1, contact="<sip:13777@10.0.0.5>")]
    c.carrier.plan = lambda _request: plans[len(c.carrier.received) % 2]
    c.from_desk(plan=Plan(hang_up_after=15))
    assert c.switch.external_calls.use("user:100").calls == 1
    assert c.switch.external_calls.use("trunk:1").calls == 1
    seconds = [c.switch.external_calls._uses[name].seconds.total(c.world.now) for name in ("user:100", "trunk:1")]
    assert seconds[0] == seconds[1] > 14


def test_a_redirection_that_is_not_followed_spends_no_call() -> None:
    c = Company(carrier={"follow_redirects": True, "max_external_calls_per_hour": 2})
    c.carrier.plan = lambda _request: Plan(status=302, answer_after=0.1, contact="<sip:135550@10.0.0.5>")
    assert c.from_desk().status != 200
    assert c.switch.external_calls.use("trunk:1").calls == 0


def test_a_phone_that_forwards_outside_spends_its_own_calls() -> None:
    c = Company(user={"max_external_calls_per_hour": 2}, pbx={"max_external_calls_per_hour": 1})
    c.desk.plan = lambda _request: Plan(status=302, answer_after=0.1, contact="<sip:13777@10.0.0.5>")
    assert [c.from_pbx("100").status for _ in range(3)] == [200, 200, 403]
    assert c.stopped() == ["user:100"]
    refused = c.world.recorder.ended[-1]
    assert (refused.source, refused.target) == ("trunk:3", "user:100")
    assert [c.from_pbx().status for _ in range(2)] == [200, 403], "the trunk has its one still"
    assert c.stopped() == ["trunk:3", "user:100"]


def test_who_transfers_calls_outside_pays_for_them() -> None:
    c = Company(user={"max_external_calls_per_hour": 1})
    c.desk.plan = lambda _request: Plan(transfer_after=1, transfer_to="13888")
    for status, source in ((200, "trunk:3"), (200, "trunk:3")):
        c.pbx.call("100", Plan(hang_up_after=10))
        c.pass_time(30)
        assert c.world.recorder.ended[-1].status == status, source
    transfers = [record for record in c.world.recorder.ended if record.called_number == "13888"]
    assert [record.status for record in transfers] == [200, 403]
    assert all(record.source == "user:100" for record in transfers)
    assert c.stopped() == ["user:100"]
    c.pass_time(300)
    settle(c.world, c.switch)


def test_a_pbx_behind_a_trunk_is_bounded_and_its_calls_to_phones_are_not() -> None:
    c = Company(pbx={"max_external_calls_per_hour": 2})
    assert [c.from_pbx("101").status for _ in range(4)] == [200] * 4
    assert [c.from_pbx().status for _ in range(3)] == [200, 200, 403]
    assert "SIP trunk 3" in c.alarms[0].text
    assert c.from_pbx("101").status == 200


def test_at_night_only_a_call_level_opens_abroad() -> None:
    records = [{"prefix": "13", "route_type": "sip_trunk", "target_id": 1, "call_level_outside_hours": 9}]
    c = Company(system={"business_hours": "Mon-Fri 08:00-18:00"}, analyze_called_numbers=records)
    now = datetime.fromtimestamp(c.world.now)
    day = now.replace(hour=17, minute=58) if now.weekday() < 5 else None
    assert day is not None, "the world begins on a working day"
    c.pass_time((day - now).total_seconds() % 86400)
    assert c.from_desk().status == 200
    c.pass_time(120)
    refused = c.from_desk()
    assert refused.status == 403
    assert any("outside the business hours (Mon-Fri 08:00-18:00)" in step for step in refused.trail)


def test_without_bounds_nothing_is_counted() -> None:
    c = Company()
    assert c.from_desk().status == 200
    assert not any("external calls" in step for step in c.world.recorder.ended[-1].trail)
    assert not c.switch.external_calls._uses
