"""Session timers (RFC 4028) and reliable provisional responses (RFC 3262), each leg by itself."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.test_calls import CALLER, CARRIER_A, settle, trunks
from simulation.world import Peer, Plan, World

from app.clock import Clock
from app.sip.flow import Flow
from app.sip.message import Request


def seen(world: World, start: bytes) -> list[tuple[Flow, bytes]]:
    """The packets of the world that begin so."""
    return [(flow, data) for _, flow, data in world.log if data.startswith(start)]


def test_each_leg_is_refreshed_by_itself() -> None:
    document = trunks()
    document["system"] = {"session_expires": 200}
    world = World()
    world.keep_log = True
    switch = world.switch(document)
    Peer(world, CARRIER_A)
    caller = Peer(world, CALLER)
    caller.call("135550", Plan(hang_up_after=650), headers=(("Supported", "timer"),))
    world.advance(600)
    assert len(switch.calls) == 1
    # The caller is asked to refresh its leg, and we refresh the other one, each at half time.
    updates = [flow.remote_host for flow, _ in seen(world, b"UPDATE ")]
    assert updates.count("10.0.0.5") == updates.count(CARRIER_A) == 5
    settle(world, switch)
    assert world.recorder.ended[0].end_cause == "normal"


def test_a_caller_that_stops_refreshing_is_found_dead() -> None:
    document = trunks()
    document["system"] = {"session_expires": 200}
    world = World()
    world.keep_log = True
    switch = world.switch(document)
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    caller.call("135550", Plan(), headers=(("Supported", "timer"), ("Session-Expires", "200;refresher=uac")))
    world.advance(5)
    world.dead.add(CALLER)
    world.advance(400)
    (record,) = world.recorder.ended
    assert record.end_cause == "session_expired"
    assert carrier.conversations[0].over
    byes = seen(world, b"BYE ")
    assert {flow.remote_host for flow, _ in byes} == {CALLER, CARRIER_A}
    assert all(b'Reason: SIP;cause=408;text="Session expired"' in data for _, data in byes)
    settle(world, switch)


def test_a_called_side_that_died_is_found_by_our_refresh() -> None:
    document = trunks()
    document["system"] = {"session_expires": 200}
    world = World()
    switch = world.switch(document)
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    carrier.session_expires = 200
    talk = caller.call("135550", Plan())
    world.advance(5)
    world.dead.add(CARRIER_A)
    world.advance(400)
    (record,) = world.recorder.ended
    assert record.end_cause == "session_expired"
    assert talk.over
    settle(world, switch)


@pytest.mark.parametrize("rebooted", [True, False], ids=["rebooted", "dead"])
def test_a_caller_without_session_timers_that_is_gone_is_found_by_asking(rebooted: bool) -> None:
    """It knows no timers, so it is asked by OPTIONS: who has rebooted says 481, who is dead says nothing."""
    document = trunks()
    document["system"] = {"session_expires": 200}
    world = World()
    switch = world.switch(document)
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    caller.call("135550", Plan())
    world.advance(350)
    assert len(switch.calls) == 1, "it answers, so it lives"
    world.dead.add(CALLER)
    if rebooted:
        world.dead.clear()
        Peer(world, CALLER)
    world.advance(150)
    (record,) = world.recorder.ended
    assert (record.end_cause, record.ended_by) == ("error", "server")
    assert carrier.conversations[0].over
    settle(world, switch)


def test_a_clock_that_is_set_changes_no_duration() -> None:
    """An hour forward while it rings, two hours back while they talk: the record's times stay in order."""
    world = World()
    offset = [0.0]
    world.clock = Clock(lambda: world.now, lambda: world.now + offset[0])
    switch = world.switch(trunks())
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    carrier.plan = lambda _request: Plan(answer_after=10.0)
    caller.call("135550", Plan(hang_up_after=30.0))
    started = world.now
    world.advance(5)
    offset[0] = 3600.0
    world.advance(10)
    offset[0] = -3600.0
    world.advance(60)
    (record,) = world.recorder.ended
    assert record.started == pytest.approx(started, abs=0.1)
    assert record.answered - record.started == pytest.approx(10.0, abs=0.2)
    assert record.talk_seconds == pytest.approx(30.0, abs=0.2)
    assert record.ended == pytest.approx(record.answered + 30.0, abs=0.2)
    settle(world, switch)


def test_a_session_that_is_too_short_gets_422() -> None:
    world = World()
    switch = world.switch(trunks())
    Peer(world, CARRIER_A)
    caller = Peer(world, CALLER)
    talk = caller.call("135550", Plan(), headers=(("Supported", "timer"), ("Session-Expires", "30")))
    world.advance(3)
    # The simulated caller is our own leg, which asks again with the Min-SE that it was told.
    assert talk.status == 200
    assert len(world.recorder.started) == 1
    talk.hang_up()
    settle(world, switch)


@pytest.mark.parametrize("word", ["Require", "Supported"])
def test_early_media_is_reliable_for_who_wants_it(word: str) -> None:
    world = World()
    world.keep_log = True
    switch = world.switch(trunks())
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    carrier.plan = lambda _request: Plan(early_media=True)
    talk = caller.call("135550", Plan(hang_up_after=2), headers=((word, "100rel"),))
    settle(world, switch)
    assert talk.status == 200
    to_us = {flow.remote_host for flow, _ in seen(world, b"PRACK ")}
    assert to_us == {"10.0.0.5", CARRIER_A}


def test_a_lost_reliable_response_is_repeated() -> None:
    world = World()
    switch = world.switch(trunks())
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    carrier.plan = lambda _request: Plan(early_media=True, answer_after=6)
    send, lost = world.send, []

    def losing(flow: Any, data: bytes) -> None:
        if data.startswith(b"SIP/2.0 183") and flow.remote_host == CALLER and len(lost) < 2:
            lost.append(data)
            return
        send(flow, data)

    switch.endpoint._send = losing
    talk = caller.call("135550", Plan(hang_up_after=1), headers=(("Require", "100rel"),))
    world.advance(5)
    assert len(lost) == 2
    assert talk.early_media is not None
    settle(world, switch)


def test_a_prack_that_never_comes_ends_the_call() -> None:
    world = World()
    switch = world.switch(trunks())
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    carrier.plan = lambda _request: Plan(early_media=True, answer_after=100)
    send = world.send
    caller.endpoint._send = lambda flow, data: None if data.startswith(b"PRACK ") else send(flow, data)
    talk = caller.call("135550", Plan(), headers=(("Require", "100rel"),))
    settle(world, switch, 300)
    assert talk.status == 504
    assert world.recorder.ended[0].end_cause == "ack_missing"
    assert carrier.conversations[0].over


def test_a_stray_prack_gets_481() -> None:
    world = World()
    switch = world.switch(trunks())
    carrier, caller = Peer(world, CARRIER_A), Peer(world, CALLER)
    carrier.plan = lambda _request: Plan(ring_after=0.1, answer_after=3)
    world.keep_log = True
    talk = caller.call("135550", Plan(hang_up_after=1))
    world.advance(1)
    leg = talk.leg
    assert leg is not None
    ringing = next(data for flow, data in seen(world, b"SIP/2.0 180") if flow.remote_host == CALLER)
    tag = ringing.split(b"To: ")[1].split(b"\r\n")[0].decode()
    prack = Request(
        "PRACK",
        "sip:135550@10.0.0.5:5060",
        [
            ("Max-Forwards", "70"),
            ("From", leg.request.get("From") or ""),  # type: ignore[attr-defined]
            ("To", tag),
            ("Call-ID", leg.call_id),
            ("CSeq", "2 PRACK"),
            ("RAck", "99 1 INVITE"),
        ],
    )
    caller.endpoint.send_request(prack, caller.flow_to("10.0.0.5"), leg)
    world.advance(1)
    assert any(flow.remote_host == CALLER and b"PRACK" in data for flow, data in seen(world, b"SIP/2.0 481"))
    settle(world, switch)
