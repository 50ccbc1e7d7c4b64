"""Whole calls through the real switch in a virtual world: one flow each, both legs released, one record."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.world import SDP, Peer, Plan, World

from app.calls.switch import Switch

CARRIER_A, CARRIER_B, CALLER = "192.0.2.8", "192.0.2.9", "192.0.2.7"


def trunks(**first: Any) -> dict[str, object]:
    """Two carriers, a caller's trunk, prefix 13 to carrier A, and local user 100."""
    return {
        "sip_trunks": [
            {"id": 1, "server_address": CARRIER_A, **first},
            {"id": 2, "server_address": CARRIER_B},
            {"id": 3, "server_address": CALLER, "max_incoming_calls": 100},
        ],
        "analyze_called_numbers": [{"prefix": "13", "route_type": "sip_trunk", "target_id": 1}],
        "local_users": [{"number": "100", "password": "secret100"}, {"number": "101", "password": "secret101"}],
    }


def settle(world: World, switch: Switch, seconds: float = 200.0) -> None:
    """Let everything end, and see that nothing is left."""
    world.advance(seconds)
    assert not switch.calls
    assert switch.counters.total == 0
    assert switch.endpoint.transactions == 0
    assert switch.endpoint.timers == 0
    assert not switch.endpoint.dialogs
    assert not switch._cancellable


def test_the_classic_call_leaves_with_its_number_untouched() -> None:
    world = World()
    switch = world.switch(trunks())
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    talk = caller.call("135550", Plan(hang_up_after=5))
    world.advance(3)
    assert carrier.received[0].uri_text == "sip:135550@192.0.2.8:5060"
    assert talk.status == 200
    assert talk.body == SDP
    assert [row.state.value for row in switch.trunks.rows()] == ["up", "unknown", "up"]
    world.advance(10)
    settle(world, switch)
    (record,) = world.recorder.ended
    assert (record.status, record.end_cause, record.ended_by) == (200, "normal", "caller")
    assert record.source == "trunk:3"
    assert record.target == "trunk:1"
    assert record.talk_seconds == pytest.approx(5, abs=0.2)


def test_the_called_side_hangs_up() -> None:
    world = World()
    switch = world.switch(trunks())
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    carrier.plan = lambda _request: Plan(hang_up_after=2)
    talk = caller.call("135550", Plan())
    settle(world, switch)
    assert talk.over
    (record,) = world.recorder.ended
    assert (record.end_cause, record.ended_by) == ("normal", "called")


@pytest.mark.parametrize(
    ("status", "cause", "attempts"),
    [(486, "busy", 1), (404, "no_route", 1), (480, "no_answer", 1), (603, "rejected", 1), (503, "trunk_failed", 1)],
)
def test_a_failure_reaches_the_caller(status: int, cause: str, attempts: int) -> None:
    world = World()
    switch = world.switch(trunks())
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    carrier.plan = lambda _request: Plan(status=status, ring_after=None, answer_after=0.1)
    talk = caller.call("135550", Plan())
    settle(world, switch)
    assert talk.status == status
    (record,) = world.recorder.ended
    assert (record.status, record.end_cause) == (status, cause)
    assert len(record.attempts) == attempts


@pytest.mark.parametrize("status", [408, 500, 503, 504, 580, 0])
def test_the_next_trunk_is_tried_and_gets_its_own_number(status: int) -> None:
    document = trunks(next_trunk_id=2)
    document["sip_trunks"][1] |= {"unified_caller_number": "777", "request_uri_parameters": "user=phone"}  # type: ignore[index]
    world = World()
    switch = world.switch(document)
    first, second, caller = Peer(world, CARRIER_A), Peer(world, CARRIER_B), Peer(world, CALLER)
    first.plan = lambda _request: Plan(status=status, ring_after=None, answer_after=0.1)
    talk = caller.call("135550", Plan(hang_up_after=3))
    world.advance(20)
    assert talk.status == 200
    (invite,) = [request for request in second.received if request.method == "INVITE"]
    assert invite.uri_text == "sip:135550@192.0.2.9:5060;user=phone"
    assert invite.from_.uri is not None
    assert invite.from_.uri.user == "777"
    settle(world, switch)
    (record,) = world.recorder.ended
    assert [attempt.target for attempt in record.attempts] == ["trunk:1", "trunk:2"]
    assert record.attempts[0].status == status


@pytest.mark.parametrize("status", [404, 480, 486, 603])
def test_a_true_answer_is_not_tried_elsewhere(status: int) -> None:
    world = World()
    switch = world.switch(trunks(next_trunk_id=2))
    first, second, caller = Peer(world, CARRIER_A), Peer(world, CARRIER_B), Peer(world, CALLER)
    first.plan = lambda _request: Plan(status=status, ring_after=None, answer_after=0.1)
    talk = caller.call("135550", Plan())
    settle(world, switch)
    assert talk.status == status
    assert not second.received


@pytest.mark.parametrize(("allowed", "status"), [(False, 503), (True, 200)])
def test_after_ringing_the_next_trunk_needs_permission(allowed: bool, status: int) -> None:
    world = World()
    switch = world.switch(trunks(next_trunk_id=2, failover_after_ringing=allowed))
    first, _second, caller = Peer(world, CARRIER_A), Peer(world, CARRIER_B), Peer(world, CALLER)
    first.plan = lambda _request: Plan(status=503, ring_after=0.1, answer_after=2)
    talk = caller.call("135550", Plan(hang_up_after=1))
    settle(world, switch)
    assert talk.status == status


def test_cancel_reaches_the_called_side() -> None:
    world = World()
    switch = world.switch(trunks())
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    carrier.plan = lambda _request: Plan(answer_after=60)
    caller.call("135550", Plan(cancel_after=2))
    settle(world, switch)
    assert carrier.conversations[0].status == 487
    (record,) = world.recorder.ended
    assert (record.end_cause, record.ended_by, record.status) == ("cancelled", "caller", 487)


def test_nobody_answers() -> None:
    document = trunks()
    document["system"] = {"no_answer_timeout": 20}
    world = World()
    switch = world.switch(document)
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    carrier.plan = lambda _request: Plan(answer_after=1000)
    talk = caller.call("135550", Plan())
    world.advance(30)
    assert talk.status == 408
    assert carrier.conversations[0].status == 487
    world.advance(1000)
    settle(world, switch)
    assert world.recorder.ended[0].end_cause == "no_answer"


def test_early_media_hold_and_digits_pass() -> None:
    world = World()
    switch = world.switch(trunks())
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    carrier.plan = lambda _request: Plan(early_media=True, digit_after=1)
    talk = caller.call("135550", Plan(hold_after=2, hang_up_after=6))
    world.advance(0.5)
    assert talk.early_media == SDP
    world.advance(3.8)
    (row,) = [call.row() for call in switch.calls.values()]
    assert row.state == "held"
    assert row.digits == "5"
    settle(world, switch)
    assert len(world.recorder.ended) == 1


def test_the_offer_may_come_late() -> None:
    world = World()
    switch = world.switch(trunks())
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    talk = caller.call("135550", Plan(hang_up_after=2), body=None)
    settle(world, switch)
    assert talk.status == 200
    assert len(carrier.conversations) == 1
    assert world.recorder.ended[0].end_cause == "normal"


def test_a_registered_phone_calls_out_and_is_called() -> None:
    world = World()
    switch = world.switch(trunks())
    carrier, phone, caller = Peer(world, CARRIER_A), Peer(world, "10.0.0.100"), Peer(world, CALLER)
    registration = phone.register("100", "secret100")
    world.advance(1)
    assert registration.statuses == [401, 200]
    assert switch.users.rows()[0].state == "registered"
    talk = phone.call("135550", Plan(hang_up_after=2), caller_number="100", password=("100", "secret100"))
    world.advance(2)
    assert talk.status == 200
    assert switch.users.rows()[0].state == "talking"
    assert carrier.received[0].uri_text == "sip:135550@192.0.2.8:5060"
    world.advance(100)
    incoming = caller.call("100", Plan(hang_up_after=2))
    world.advance(0.5)
    assert switch.users.rows()[0].state == "ringing"
    world.advance(2)
    assert incoming.status == 200
    settle(world, switch)
    assert [record.source for record in world.recorder.ended] == ["user:100", "trunk:3"]


def test_a_wrong_password_and_an_unknown_user_look_the_same() -> None:
    world = World()
    switch = world.switch(trunks())
    phone = Peer(world, "10.0.0.100")
    wrong, unknown = phone.register("100", "wrong"), phone.register("999", "wrong")
    world.advance(5)
    assert wrong.statuses == unknown.statuses == [401, 403]
    assert [row.reason for row in switch.rejected.rows()] == ["wrong user name or password"]


def test_a_stranger_reaches_nobody_and_is_listed() -> None:
    world = World()
    switch = world.switch(trunks())
    carrier, stranger = Peer(world, CARRIER_A), Peer(world, "203.0.113.5")
    talk = stranger.call("135550", Plan())
    settle(world, switch)
    assert talk.status == 403
    assert not carrier.received
    assert not world.recorder.ended
    (row,) = switch.rejected.rows()
    assert (row.address, row.method, row.called_number) == ("203.0.113.5", "INVITE", "135550")


def test_the_incoming_limit_answers_503_and_is_given_back() -> None:
    document = trunks()
    document["sip_trunks"][2]["max_incoming_calls"] = 1  # type: ignore[index]
    world = World()
    switch = world.switch(document)
    _carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    first = caller.call("135550", Plan(hang_up_after=5))
    world.advance(2)
    second = caller.call("135551", Plan())
    world.advance(10)
    third = caller.call("135552", Plan(hang_up_after=1))
    settle(world, switch)
    assert [first.status, second.status, third.status] == [200, 503, 200]


def test_the_outgoing_limit_moves_on_to_the_next_trunk() -> None:
    world = World()
    switch = world.switch(trunks(max_outgoing_calls=1, next_trunk_id=2))
    _first, second, caller = Peer(world, CARRIER_A), Peer(world, CARRIER_B), Peer(world, CALLER)
    talks = [caller.call(f"1355{number}", Plan(hang_up_after=5)) for number in range(2)]
    world.advance(4)
    assert [talk.status for talk in talks] == [200, 200]
    assert len(second.conversations) == 1
    settle(world, switch)


def test_a_peer_that_died_is_found_out_by_the_missing_answer_to_bye() -> None:
    world = World()
    switch = world.switch(trunks())
    Peer(world, CARRIER_A)
    caller = Peer(world, CALLER)
    caller.call("135550", Plan(hang_up_after=5))
    world.advance(3)
    world.dead.add(CARRIER_A)
    settle(world, switch)
    assert len(world.recorder.ended) == 1


def test_a_lost_ack_ends_the_call_with_the_reason() -> None:
    world = World()
    switch = world.switch(trunks())
    Peer(world, CARRIER_A)
    caller = Peer(world, CALLER)
    send = world.send

    def without_acks(flow: Any, data: bytes) -> None:
        if not (data.startswith(b"ACK ") and flow.local_host == CALLER):
            send(flow, data)

    caller.endpoint._send = without_acks
    caller.call("135550", Plan())
    settle(world, switch)
    (record,) = world.recorder.ended
    assert record.end_cause == "ack_missing"
    assert "ACK" in record.trail[-1]


def test_shutting_down_ends_every_call() -> None:
    world = World()
    switch = world.switch(trunks())
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    caller.call("135550", Plan())
    carrier.plan = lambda _request: Plan(answer_after=1 if len(carrier.received) == 1 else 100)
    world.advance(3)
    caller.call("135551", Plan())
    world.advance(1)
    switch.close()
    settle(world, switch)
    assert [record.end_cause for record in world.recorder.ended] == ["shutdown", "shutdown"]
    assert [talk.over for talk in caller.conversations] == [True, True]
