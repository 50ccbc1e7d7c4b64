"""The clock on the wall jumps by an hour, forward or back: no call, registration or ban minds; what is shown fits."""

from __future__ import annotations

from itertools import pairwise

import pytest
from simulation.raw import RawPeer
from simulation.test_calls import CALLER, CARRIER_A, settle, trunks
from simulation.test_lines import PROVIDER, Provider
from simulation.world import Peer, Plan, World

from app.calls.challenges import answer_challenge
from app.calls.switch import Switch
from app.clock import Clock
from app.events import CallChanged, LineState
from app.sip.message import Request, Response

HOUR = 3600.0
PHONE, STRANGER = "192.0.2.100", "203.0.113.66"


class Office:
    """A server with a trunk's call, a registered phone, a registered line and a ban; its wall clock can be set."""

    def __init__(self) -> None:
        self.world = world = World()
        self.offset = 0.0
        world.clock = Clock(lambda: world.now, lambda: world.now + self.offset)
        self.provider = Provider(world)
        line = {"id": 1, "account": "line1", "password": "line1pw", "domain": "carrier.test"}
        document = {
            **trunks(),
            "external_lines": [{**line, "server_address": PROVIDER, "register_expires": 1800}],
            "system": {"ban_seconds": 1800},
        }
        self.switch: Switch = world.switch(document)
        self.carrier, self.caller = Peer(world, CARRIER_A), Peer(world, CALLER)
        self.phone = Peer(world, PHONE)
        self.phone.register("100", "secret100", expires=1800)
        for _ in range(10):
            self.switch.guard.failed(STRANGER, 5060, "a wrong password", world.now)
        self.minutes(1)

    @property
    def wall(self) -> float:
        return self.world.now + self.offset

    def minutes(self, minutes: float) -> None:
        """Let minutes pass, with a sample each second."""
        for _ in range(round(minutes * 60)):
            self.world.advance(1)
            self.switch.sample()


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 24 * HOUR])
def test_nothing_minds_when_the_clock_is_set(jump: float) -> None:
    office = Office()
    world, switch = office.world, office.switch
    rows: list[CallChanged] = []
    office.caller.call("135550", Plan(hang_up_after=40 * 60.0))
    office.minutes(5)
    world.events.subscribe(CallChanged, rows.append)
    before = switch.lines.rows()[0], switch.users.rows()[0], switch.guard.bans()[0]
    registered = len(office.provider.registered)
    began = world.now

    office.offset = jump
    office.minutes(0.1)

    (call,) = switch.calls.values()
    assert rows[-1].row.id == call.id, "what is shown of the call is said anew"
    assert office.wall - call.row().answered == pytest.approx(306 - 1, abs=2), "it has lasted as long as it has"
    line, user, ban = switch.lines.rows()[0], switch.users.rows()[0], switch.guard.bans()[0]
    assert line.state is LineState.REGISTERED
    for now, earlier in (
        (line.expires_at, before[0].expires_at),
        (user.expires_at, before[1].expires_at),
        (ban.until, before[2].until),
    ):
        assert now - office.wall == pytest.approx(earlier - began, abs=8), "what is to come is as far away as it was"
    assert len(office.provider.registered) == registered, "nobody registers anew for it"

    # Whoever would go by the clock on the wall has ended everything by now, or nothing.
    office.minutes(20)
    assert len(switch.calls) == 1
    assert switch.lines.rows()[0].state is LineState.REGISTERED
    assert switch.registrar.registered == 1
    assert switch.guard.bans()
    office.minutes(10)
    assert switch.registrar.registered == 0, "its time is over, and not a minute later"
    assert not switch.guard.bans()
    office.minutes(10)
    (record,) = world.recorder.ended
    assert record.end_cause == "normal"
    assert record.talk_seconds == pytest.approx(40 * 60, abs=1)
    assert record.ended - record.answered == pytest.approx(record.talk_seconds, abs=0.01)
    assert record.started <= record.answered
    assert record.started == pytest.approx(began - 300, abs=2), "the time that was when it began"
    switch.close()
    settle(world, switch)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_curves_go_on_without_a_gap_or_a_step_back(jump: float) -> None:
    office = Office()
    office.caller.call("135550", Plan(hang_up_after=10 * 60.0))
    office.minutes(4)
    office.offset = jump
    office.minutes(4)
    for span, step in (("5 minutes", 1.0), ("1 hour", 10.0), ("24 hours", 240.0)):
        samples = office.switch.metrics.samples(span)
        times = [sample.at for sample in samples]
        assert times[-1] == pytest.approx(office.wall, abs=1)
        steps = [after - before for before, after in pairwise(times)]
        assert all(0 < each <= step + 1 for each in steps), span
        assert {sample.calls for sample in samples[-3:]} == {1}


@pytest.mark.parametrize("jump", [24 * HOUR, -24 * HOUR])
def test_a_phone_may_use_the_nonce_that_it_was_given_before_the_jump(jump: float) -> None:
    office = Office()
    phone = RawPeer(office.world, "192.0.2.101")

    def register(*headers: tuple[str, str]) -> tuple[Request, Response]:
        request = Request(
            "REGISTER",
            "sip:10.0.0.5",
            [
                ("Via", phone.via()),
                ("Max-Forwards", "70"),
                ("From", "<sip:101@10.0.0.5>;tag=1"),
                ("To", "<sip:101@10.0.0.5>"),
                ("Call-ID", "nonce"),
                ("CSeq", f"{len(headers) + 1} REGISTER"),
                ("Contact", "<sip:101@192.0.2.101>"),
                *headers,
            ],
        )
        phone.send(request)
        office.world.advance(0.5)
        answer = phone.received[-1]
        assert isinstance(answer, Response)
        return request, answer

    request, challenge = register()
    assert challenge.status == 401
    credentials = answer_challenge(request, challenge, "101", "secret101")
    assert credentials is not None
    office.offset = jump
    assert register(credentials)[1].status == 200
