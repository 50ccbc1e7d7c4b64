"""503 with Retry-After: a trunk or line is left alone for so long, if anybody else takes the call (RFC 3261 21.5.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from simulation.test_calls import CALLER, CARRIER_A, CARRIER_B, settle, trunks
from simulation.test_lines import PROVIDER, Provider
from simulation.world import Conversation, Peer, Plan, World

from app.calls.resting import LONGEST_REST
from app.calls.switch import Switch
from app.clock import local_time
from app.events import CallRecord
from app.records import Configuration
from app.records.document import read_document

BUSY = Plan(status=503, ring_after=None, headers=(("Retry-After", "60"),))
OUT = {"analyze_called_numbers": [{"prefix": "13", "route_type": "sip_trunk", "target_id": 1}]}


class Carriers:
    """Carrier A with carrier B as its next trunk, and a caller."""

    def __init__(self, make: Callable[[], dict[str, object]] | None = None, **first: Any) -> None:
        self.world = World()
        self.document = make() if make else trunks(**{"next_trunk_id": 2, **first})
        self.switch: Switch = self.world.switch(self.document)
        self.first, self.second = Peer(self.world, CARRIER_A), Peer(self.world, CARRIER_B)
        self.caller = Peer(self.world, CALLER)
        self.answers(self.first, BUSY)
        self.answers(self.second, Plan())

    @staticmethod
    def answers(peer: Peer, plan: Plan) -> None:
        peer.plan = lambda _request: plan

    def invites(self) -> tuple[int, int]:
        """How many INVITEs each carrier has got since the last look."""
        counts = []
        for peer in (self.first, self.second):
            counts.append(sum(each.method == "INVITE" for each in peer.received))
            peer.received.clear()
        return counts[0], counts[1]

    def call(self, number: str = "135550") -> tuple[Conversation, CallRecord]:
        """A call of 4 seconds, and its record."""
        talk = self.caller.call(number, Plan(hang_up_after=1))
        self.world.advance(4)
        return talk, self.world.recorder.ended[-1]

    def reason(self, index: int = 0) -> str:
        return self.switch.trunks.rows()[index].reason

    def configure(self, **first: Any) -> None:
        document = trunks(**{"next_trunk_id": 2, **first})
        self.switch.configure(read_document(document, Configuration(), replace=True))


def test_a_trunk_that_asks_for_it_rests_and_the_next_one_takes_the_calls() -> None:
    c = Carriers()
    until = f"{local_time(c.world.now + 60):%H:%M:%S}"
    talk, record = c.call()
    assert talk.status == 200 and c.invites() == (1, 1)
    (step,) = [step for step in record.trail if "rests until" in step]
    words = step.removeprefix("trunk:1 ")
    assert words.startswith("rests until") and words.endswith("because it answered 503 with Retry-After 60")
    assert until[:-2] in words or int(until[-2:]) > 57
    assert (c.switch.trunks.rows()[0].state, c.reason()) == ("degraded", words)
    talk, record = c.call()
    assert talk.status == 200 and c.invites() == (0, 1)
    assert f"resting: trunk:1 {words}: tried only if the others fail" in record.trail
    assert [each.target for each in record.attempts] == ["trunk:2"]
    c.world.advance(54)
    assert c.reason() == "it answered a call"
    c.answers(c.first, Plan())
    _, record = c.call()
    assert c.invites() == (1, 0) and "rest" not in " ".join(record.trail)
    settle(c.world, c.switch)


def test_the_only_choice_is_tried_anyway() -> None:
    c = Carriers(next_trunk_id=0)
    talk, _ = c.call()
    assert talk.status == 503
    talk, record = c.call()
    assert talk.status == 503 and c.invites() == (2, 0)
    assert any(step.endswith("Retry-After 60: tried anyway, as there is no other choice") for step in record.trail)
    c.answers(c.first, Plan())
    assert c.call()[0].status == 200
    assert c.reason() == "it answered a call", "an answer ends the rest"
    settle(c.world, c.switch, 400)


def test_one_that_rests_is_tried_last_where_the_others_fail() -> None:
    c = Carriers()
    c.call()
    c.answers(c.first, Plan())
    c.answers(c.second, Plan(status=500, ring_after=None))
    talk, record = c.call()
    assert talk.status == 200
    assert [each.target for each in record.attempts] == ["trunk:2", "trunk:1"]
    c.invites()
    c.call()
    assert c.invites() == (1, 0), "its answer has ended the rest"
    settle(c.world, c.switch, 400)


@pytest.mark.parametrize(
    "headers", [(), *((("Retry-After", value),) for value in ("soon", "0", "-5", "", "\u0661\u0660", "9" * 300))]
)
def test_without_a_number_nobody_rests(headers: tuple[tuple[str, str], ...]) -> None:
    c = Carriers()
    c.answers(c.first, Plan(status=503, ring_after=None, headers=headers))
    for _ in range(2):
        _, record = c.call()
        assert c.invites() == (1, 1)
        assert "rest" not in " ".join(record.trail)
    settle(c.world, c.switch)


@pytest.mark.parametrize("status", [486, 500, 480])
def test_other_answers_with_retry_after_make_nobody_rest(status: int) -> None:
    c = Carriers()
    c.answers(c.first, Plan(status=status, ring_after=None, headers=BUSY.headers))
    for _ in range(2):
        c.call()
        assert c.invites()[0] == 1
    settle(c.world, c.switch)


@pytest.mark.parametrize("value", ["3600", "18000;duration=3600", "3600 (maintenance)"])
def test_a_rest_is_bounded(value: str) -> None:
    c = Carriers()
    c.answers(c.first, Plan(status=503, ring_after=None, headers=(("Retry-After", value),)))
    c.call()
    c.invites()
    c.world.advance(LONGEST_REST - 10)
    c.call()
    assert c.invites() == (0, 1)
    c.world.advance(10)
    c.call()
    assert c.invites()[0] == 1
    settle(c.world, c.switch, 400)


def test_a_changed_record_ends_the_rest() -> None:
    c = Carriers()
    c.call()
    c.configure(max_outgoing_calls=7)
    assert "rests" not in c.reason()
    c.invites()
    c.call()
    assert c.invites() == (1, 1)
    c.configure()
    assert not c.switch.trunks._resting
    settle(c.world, c.switch, 400)


def test_an_options_answer_ends_the_rest() -> None:
    c = Carriers(options_interval=20)
    c.call()
    assert "rests until" in c.reason()
    c.world.advance(20)
    assert c.reason() == "it answers OPTIONS"
    c.invites()
    c.call()
    assert c.invites() == (1, 1)


def test_the_members_of_a_group_that_rest_come_last() -> None:
    def document() -> dict[str, object]:
        members = [{"route_type": "sip_trunk", "target_id": number, "priority": number} for number in (1, 2)]
        made = trunks()
        made["routing_groups"] = [{"id": 1, "name": "out", "strategy": "priority", "members": members}]
        made["analyze_called_numbers"] = [{"prefix": "13", "route_type": "routing_group", "target_id": 1}]
        return made

    c = Carriers(document)
    assert c.call()[0].status == 200
    assert c.invites() == (1, 1)
    assert c.call()[0].status == 200
    assert c.invites() == (0, 1)
    settle(c.world, c.switch, 400)


def test_a_line_rests_and_another_shared_one_takes_the_call() -> None:
    world = World()
    other = "198.51.100.2"
    line = {"password": "line1pw", "domain": "carrier.test", "shared": True}
    document = {
        "sip_trunks": [{"id": 3, "server_address": CALLER, "max_incoming_calls": 100}],
        "external_lines": [
            {"id": 1, "account": "line1", "server_address": PROVIDER, **line},
            {"id": 2, "account": "line2", "server_address": other, **line},
        ],
        "analyze_called_numbers": [{"prefix": "13", "route_type": "external_line", "target_id": 0}],
    }
    switch = world.switch(document)
    first, second = Provider(world, PROVIDER), Provider(world, other)
    first.plan = lambda _request: BUSY
    caller = Peer(world, CALLER)
    world.advance(5)

    def statuses() -> tuple[int, list[str]]:
        talk = caller.call("135550", Plan(hang_up_after=1))
        world.advance(4)
        return talk.status, [each.target for each in world.recorder.ended[-1].attempts]

    assert statuses() == (503, ["line:1"])
    row, _ = switch.lines.rows()
    assert row.state == "registered" and "because it answered 503 with Retry-After 60" in row.reason
    assert statuses() == (200, ["line:2"])
    assert "is the free shared line with the fewest calls: 0 [not used: 1 (it rests until" in " ".join(
        world.recorder.ended[-1].trail
    )
    second.plan = lambda _request: Plan(status=503, ring_after=None, headers=(("Retry-After", "30"),))
    assert statuses() == (503, ["line:2"])
    first.plan = lambda _request: Plan()
    assert statuses() == (200, ["line:1"]), "both rest: tried anyway"
    assert statuses() == (200, ["line:1"])
    assert switch.lines.rows()[0].reason != row.reason
    assert len(switch.lines._resting) == 1
    world.advance(60)
    assert len(switch.lines._resting) == 0
