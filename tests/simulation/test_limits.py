"""Limits of trunks, lines, users and the whole server: counted once, given back whatever happens, said in words."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import OTHER_SDP, RawDialog, Wire, hang_up
from simulation.test_calls import trunks
from simulation.world import Peer, Plan


def document(incoming: int = 100, system: dict[str, Any] | None = None, **first: Any) -> dict[str, Any]:
    made: dict[str, Any] = trunks(**first)
    made["sip_trunks"][2]["max_incoming_calls"] = incoming
    made["system"] = system or {}
    return made


def refused(wire: Wire, number: str = "135551") -> RawDialog:
    """A call that must be refused at once."""
    up = wire.caller.invite(number)
    wire.advance()
    up.ack_failure()
    return up


def ways_to_end(wire: Wire, up: RawDialog, down: RawDialog, how: str) -> None:
    if how == "cancel":
        up.cancel()
        wire.advance()
        up.ack_failure()
        down.respond(100)
        wire.advance()
        wire.carrier.ok(wire.carrier.requests("CANCEL")[0])
        down.respond(487)
    elif how in ("busy", "decline"):
        down.respond(486 if how == "busy" else 603)
        wire.advance()
        up.ack_failure()
    elif how in ("bye", "bye of the called side"):
        down.respond(200, OTHER_SDP)
        wire.advance()
        up.ack()
        wire.advance()
        hang_up(wire, up if how == "bye" else down)
    elif how == "crash of the called side":
        wire.world.dead.add("192.0.2.8")
        wire.advance(40)
        wire.world.dead.clear()
        up.ack_failure()
    elif how == "crash during the talk":
        down.respond(200, OTHER_SDP)
        wire.advance()
        up.ack()
        wire.world.dead.add("192.0.2.8")
        up.request("BYE")
        wire.advance()
        wire.world.dead.clear()
    elif how == "window":
        (call_id,) = wire.switch.calls
        wire.switch.hang_up(call_id)
        wire.advance()
        up.ack_failure()
        down.respond(487)
    wire.advance()


@pytest.mark.parametrize("side", ["incoming", "outgoing"])
@pytest.mark.parametrize(
    "how",
    [
        "cancel",
        "busy",
        "decline",
        "bye",
        "bye of the called side",
        "crash of the called side",
        "crash during the talk",
        "window",
    ],
)
def test_the_only_place_is_given_back(side: str, how: str) -> None:
    limits = {"incoming": 1} if side == "incoming" else {"max_outgoing_calls": 1}
    w = Wire(document(**limits))
    up, down = w.call()
    rows = {row.id: row for row in w.switch.trunks.rows()}
    assert (rows[1].active_out, rows[3].active_in) == (1, 1)
    refused(w)
    assert w.caller.statuses()[-1] == 503
    ways_to_end(w, up, down, how)
    rows = {row.id: row for row in w.switch.trunks.rows()}
    assert (rows[1].active_out, rows[3].active_in) == (0, 0)
    again = w.caller.invite("135552")
    w.advance()
    assert w.carrier.incoming().invite.uri.username == "135552"
    again.cancel()
    w.carrier.incoming().respond(487)
    w.advance()
    again.ack_failure()
    w.advance(100)
    assert w.switch.counters.total == 0
    assert len(w.world.recorder.ended) == 3


def test_over_the_incoming_limit_the_answer_says_when_and_why() -> None:
    """Design section 6: 503 with Retry-After and a Reason header."""
    w = Wire(document(incoming=0))
    refused(w, "135550")
    answer = w.caller.responses()[0]
    assert answer.status == 503
    assert int(answer.get("Retry-After") or "") > 0
    assert (answer.get("Reason") or "").startswith('SIP;cause=503;text="')
    assert "no incoming calls" in (answer.get("Reason") or "")
    record = w.record()
    assert (record.status, record.end_cause, record.source) == (503, "limit", "trunk:3")
    assert not w.carrier.received


def test_an_outgoing_limit_of_0_is_no_outgoing_call() -> None:
    w = Wire(document(max_outgoing_calls=0))
    refused(w, "135550")
    assert w.caller.statuses()[-1] == 503
    record = w.record()
    assert record.end_cause == "limit"
    assert [attempt.target for attempt in record.attempts] == ["trunk:1"]
    assert "limit 0" in record.attempts[0].reason or "no outgoing calls" in record.attempts[0].reason


@pytest.mark.parametrize(
    "first",
    [{"max_outgoing_calls": 0}, {"enabled": False}, {"max_calls_per_second": 1}],
    ids=["limit 0", "disabled", "rate"],
)
def test_a_trunk_that_cannot_take_the_call_counts_as_failed(first: dict[str, Any]) -> None:
    w = Wire(document(next_trunk_id=2, **first))
    if "max_calls_per_second" in first:
        w.caller.invite("135559")
        w.advance()
    w.caller.invite("135550")
    w.advance()
    assert w.backup.requests("INVITE")
    assert [each.uri.username for each in w.carrier.requests("INVITE")] in ([], ["135559"])


def test_the_places_of_a_failed_trunk_are_given_back_before_the_next_is_dialled() -> None:
    w = Wire(document(next_trunk_id=2, max_outgoing_calls=1))
    _up, down = w.call()
    down.respond(503)
    w.advance()
    rows = {row.id: row for row in w.switch.trunks.rows()}
    assert (rows[1].active_out, rows[2].active_out) == (0, 1)
    w.backup.incoming().respond(486)
    w.advance()
    assert w.switch.counters.total == 0


def test_calls_of_the_whole_server() -> None:
    w = Wire(document(system={"max_calls": 1}))
    up, down = w.call()
    refused(w)
    answer = next(each for each in w.caller.responses() if each.status == 503)
    assert answer.get("Retry-After") == "5"
    down.respond(486)
    w.advance()
    up.ack_failure()
    w.call()
    records = w.world.recorder.ended
    assert [(record.status, record.end_cause) for record in records] == [(503, "limit"), (486, "busy")]


def test_calls_per_second_of_the_whole_server() -> None:
    w = Wire(document(system={"max_calls_per_second": 3}))
    for number in range(8):
        w.caller.invite(f"13555{number}")
        w.advance(0.01)
    assert w.caller.statuses().count(503) >= 4
    assert len({each.via.branch for each in w.carrier.requests("INVITE")}) == 3
    w.advance(1)
    w.caller.invite("135559")
    w.advance()
    assert len({each.via.branch for each in w.carrier.requests("INVITE")}) == 4


def phones(**user: Any) -> Wire:
    made = document()
    made["local_users"] = [{"number": "100", "password": "secret100", **user}]
    return Wire(made)


@pytest.mark.parametrize(
    ("limit", "statuses"), [({"max_outgoing_calls": 1}, [0, 486]), ({"max_calls": 1}, [0, 486]), ({}, [0, 0])]
)
def test_a_users_own_calls(limit: dict[str, int], statuses: list[int]) -> None:
    w = phones(**limit)
    phone = Peer(w.world, "10.0.0.50")
    talks = []
    for number in range(2):
        talks.append(phone.call(f"13555{number}", Plan(), caller_number="100", password=("100", "secret100")))
        w.advance(0.15)
        w.carrier.incoming().respond(180)
        w.advance(0.1)
    assert [talk.status for talk in talks] == statuses


def test_a_user_that_has_all_of_its_calls_is_busy() -> None:
    w = phones(max_calls=1)
    phone = w.phone("100", "10.0.0.50")
    up = w.caller.invite("100")
    w.advance()
    assert phone.requests("INVITE")
    refused(w, "100")
    assert w.caller.statuses() == [486]
    up.cancel()
    w.advance()


def test_turns_of_a_routing_group_are_taken_by_forwarded_calls_too() -> None:
    made = document()
    made["routing_groups"] = [
        {
            "id": 1,
            "strategy": "round_robin",
            "members": [{"route_type": "sip_trunk", "target_id": number} for number in (1, 2)],
        }
    ]
    made["analyze_called_numbers"] = [{"prefix": "13", "route_type": "routing_group", "target_id": 1}]
    w = Wire(made)
    phone = w.phone("100", "10.0.0.50")
    for _ in range(2):
        w.caller.invite("100")
        w.advance()
        asked = phone.incoming().invite
        phone.send(asked.answer(302, None, "moved", [("Contact", "<sip:131@x>")]))
        w.advance()
    assert (len(w.carrier.requests("INVITE")), len(w.backup.requests("INVITE"))) == (1, 1)
