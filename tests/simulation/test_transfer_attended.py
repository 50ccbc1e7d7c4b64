"""Attended transfer: REFER with Replaces, of two calls or into one that still rings (RFC 3891, RFC 5589)."""

from __future__ import annotations

import pytest
from simulation.office import (
    CELLAR,
    DESK,
    HELD,
    KITCHEN,
    NEW_SDP,
    THIRD_SDP,
    Office,
    authorized_call,
    consult,
    document,
    end,
    join,
    replaces,
)
from simulation.raw import OTHER_SDP, SERVER, Wire
from simulation.world import HOLD, SDP

from app.calls.leg_events import Body


def test_an_attended_transfer_joins_the_two_remote_parties() -> None:
    o = Office()
    up, down = consult(o)
    assert o.wire.switch.counters.total == 4
    again = join(o, up, down)
    assert again.body == NEW_SDP.content
    assert o.wire.caller.requests("INVITE")[-1].body == THIRD_SDP.content
    (call,) = o.wire.switch.calls.values()
    row = call.row()
    assert (row.state, row.source, row.caller_number, row.target) == ("talking", "trunk:3", "5551", "user:101")
    assert o.wire.switch.counters.total == 2
    assert o.wire.switch.live.user_active("100") == 0
    o.up.request("BYE")
    o.advance()
    end(o.kitchen)
    records = o.over()
    assert (records["100"].end_cause, records["100"].ended_by) == ("transferred", "called")
    assert records["100"].trail[-1] == "end: transferred to 101 by the called side"
    assert (records["101"].end_cause, records["101"].ended_by, records["101"].source) == (
        "normal",
        "caller",
        "user:100",
    )
    assert any("user:100 gives its place to trunk:3 (5551)" in step for step in records["101"].trail)


def test_the_parties_go_on_as_in_any_call() -> None:
    """Hold, digits and the next transfer, by a party that is a local user itself."""
    o = Office()
    up, down = consult(o)
    join(o, up, down)
    down.request("INVITE", HOLD)
    o.advance()
    assert o.wire.caller.requests("INVITE")[-1].body == HOLD.content
    o.up.respond(200, HELD, request=o.wire.caller.requests("INVITE")[-1])
    o.advance()
    down.ack(cseq=down.sequence)
    o.up.request("INFO", Body("application/dtmf", b"7"))
    o.advance()
    o.kitchen.ok(o.kitchen.requests("INFO")[0])
    o.advance()
    assert o.wire.caller.statuses("INFO") == [200]
    o.refer(f"<sip:102@{SERVER[0]}>", by=down)
    o.advance()
    assert o.kitchen.statuses("REFER") == [202]
    last = o.cellar.incoming()
    last.respond(200, OTHER_SDP)
    o.advance()
    o.answer_reinvite(SDP)
    for again in [each for each in o.cellar.requests("INVITE") if each.to.tag is not None]:
        last.respond(200, OTHER_SDP, request=again)
    o.statuses(o.kitchen)
    end(o.kitchen)
    last.request("BYE")
    o.advance()
    end(o.wire.caller)
    records = o.over()
    assert [records[number].end_cause for number in ("100", "101", "102")] == ["transferred", "transferred", "normal"]


def test_a_party_that_was_transferred_may_transfer() -> None:
    """A local user was transferred to a trunk, and transfers that side on."""
    w = Wire(document())
    desk, kitchen, cellar = w.phone("100", DESK), w.phone("101", KITCHEN), w.phone("102", CELLAR)
    up = authorized_call(w, kitchen, "100", "101")
    down = desk.incoming()
    down.respond(200, OTHER_SDP)
    w.advance()
    up.request("ACK", cseq=2)
    down.request("REFER", headers=[("Refer-To", f"<sip:135550@{SERVER[0]}>")])
    w.advance()
    carrier = w.carrier.incoming()
    carrier.respond(200, THIRD_SDP)
    w.advance()
    up.respond(200, SDP, request=kitchen.requests("INVITE")[-1])
    w.advance()
    up.request("REFER", headers=[("Refer-To", f"<sip:102@{SERVER[0]}>")])
    w.advance()
    assert kitchen.statuses("REFER") == [202]
    last = cellar.incoming()
    assert "sip:135550@" in (last.invite.get("From") or "")
    last.respond(200, OTHER_SDP)
    w.advance()
    carrier.respond(200, THIRD_SDP, request=w.carrier.requests("INVITE")[-1])
    w.advance()
    for phone in (desk, kitchen):
        for _ in range(3):
            for notify in phone.requests("NOTIFY"):
                phone.ok(notify)
            w.advance()
        end(phone)
    (call,) = w.switch.calls.values()
    assert (call.row().source, call.row().target, call.row().trunk_in) == ("trunk:1", "user:102", 1)
    assert w.switch.counters.total == 2
    carrier.request("BYE")
    w.advance()
    end(cellar)
    w.settle()
    assert sorted(record.end_cause for record in w.world.recorder.ended) == ["normal", "transferred", "transferred"]


def test_the_transferor_was_called_in_both_calls() -> None:
    """Two trunks' callers: the one that is transferred comes to the called side."""
    o = Office()
    o.hold()
    second = o.wire.backup.invite("100", body=THIRD_SDP, caller="5552")
    o.advance()
    there = o.desk.incoming()
    there.respond(200, OTHER_SDP)
    o.advance()
    second.ack()
    o.advance()
    o.refer(replaces(there, swapped=True))
    o.advance()
    o.answer_reinvite(NEW_SDP)
    offer = o.wire.backup.requests("INVITE")[-1]
    assert offer.body == NEW_SDP.content
    second.respond(200, THIRD_SDP, request=offer)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    (call,) = o.wire.switch.calls.values()
    row = call.row()
    assert (row.source, row.target, row.trunk_in, row.trunk_out) == ("trunk:2", "trunk:3", 2, 3)
    assert o.wire.switch.counters.total == 2
    second.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.wire.settle()
    first, last = o.wire.world.recorder.ended
    assert (first.end_cause, last.end_cause, last.ended_by) == ("transferred", "normal", "caller")
    assert first.trail[-1] == "end: transferred to 5552 by the called side"


@pytest.mark.parametrize("alone", [False, True], ids=["it waits", "it has hung up"])
def test_a_party_that_refuses_leaves_both_calls_as_they_were(alone: bool) -> None:
    o = Office()
    up, down = consult(o)
    o.refer(replaces(up))
    if alone:
        o.down.request("BYE")
        up.request("BYE")
    o.advance()
    o.answer_reinvite(status=603)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 603 Decline"
    assert not [each for each in o.kitchen.requests("INVITE") if each.to.tag is not None]
    if alone:
        end(o.wire.caller)
        end(o.kitchen)
        assert {record.end_cause for record in o.over().values()} == {"normal"}
        return
    assert [call.row().source for call in o.wire.switch.calls.values()] == ["trunk:3", "user:100"]
    assert o.wire.switch.counters.total == 4
    up.request("INVITE", HOLD)
    o.advance()
    down.respond(200, HELD, request=o.kitchen.requests("INVITE")[-1])
    o.advance()
    up.ack(cseq=up.sequence)
    for dialog, other in ((up, o.kitchen), (o.down, o.wire.caller)):
        dialog.request("BYE")
        o.advance()
        end(other)
    assert {record.end_cause for record in o.over().values()} == {"normal"}


def test_a_target_that_refuses_the_party_ends_the_call() -> None:
    """The transferor is free by then: nobody is there who could hear either of them."""
    o = Office()
    up, down = consult(o)
    o.refer(replaces(up))
    o.advance()
    o.answer_reinvite()
    down.respond(488, request=o.kitchen.requests("INVITE")[-1])
    o.advance()
    for _ in range(2):
        o.statuses(o.desk)
        for phone in (o.desk, o.kitchen, o.wire.caller):
            end(phone)
    records = o.over()
    assert "refused the session description of the one that was transferred: 488" in records["101"].trail[-1]


@pytest.mark.parametrize("who", ["party", "target", "transferor here", "transferor there", "transferor at once"])
def test_somebody_hangs_up_during_an_attended_transfer(who: str) -> None:
    o = Office()
    up, down = consult(o)
    o.refer(replaces(up))
    if who == "transferor at once":
        o.down.request("BYE")
        up.request("BYE")
    o.advance()
    side = {"party": o.up, "target": down, "transferor here": o.down, "transferor there": up}.get(who)
    if side is not None:
        side.request("BYE")
        o.advance()
    if who == "party":
        o.up.respond(487, request=o.wire.caller.requests("INVITE")[-1])
        o.advance()
        assert o.statuses(o.desk)[-1] == "SIP/2.0 487 Request Terminated"
        # The target is with the transferor again.
        (call,) = o.wire.switch.calls.values()
        assert call.row().source == "user:100"
        up.request("BYE")
    elif who == "target":
        o.answer_reinvite()
        assert o.statuses(o.desk)[-1].startswith("SIP/2.0 480")
        (call,) = o.wire.switch.calls.values()
        assert call.row().source == "trunk:3"
        # The party has been told of a target that is gone: it is told of the transferor again.
        o.answer_reinvite()
        assert o.wire.caller.requests("INVITE")[-1].body == HOLD.content
        o.down.request("BYE")
    else:
        o.answer_reinvite()
        again = o.kitchen.requests("INVITE")[-1]
        down.respond(200, THIRD_SDP, request=again)
        o.advance()
        assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
        o.up.request("BYE")
    for _ in range(2):
        o.advance()
        for phone in (o.desk, o.kitchen, o.wire.caller):
            end(phone)
    assert len(o.over()) == 2


@pytest.mark.parametrize("which", [0, 1], ids=["the first call", "the second call"])
def test_a_call_is_hung_up_in_the_window_during_an_attended_transfer(which: int) -> None:
    o = Office()
    up, _down = consult(o)
    o.refer(replaces(up))
    o.advance()
    o.wire.switch.hang_up(list(o.wire.switch.calls)[which])
    o.advance()
    o.answer_reinvite()
    o.statuses(o.desk)
    assert len(o.wire.switch.calls) == 1
    for phone in (o.desk, o.kitchen, o.wire.caller):
        end(phone)
    o.answer_reinvite()
    (up if which == 0 else o.down).request("BYE")
    o.advance()
    for phone in (o.desk, o.kitchen, o.wire.caller):
        end(phone)
    assert len(o.over()) == 2


def test_a_transfer_into_a_call_that_still_rings() -> None:
    o = Office()
    up, down = consult(o, answered=False)
    o.refer(replaces(up))
    o.advance()
    assert o.desk.statuses("REFER") == [202]
    assert up.answer.status == 487
    o.desk.send(up.make("ACK", cseq=2))
    down.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite()
    again = o.kitchen.requests("INVITE")[-1]
    assert again.body == NEW_SDP.content
    down.respond(200, THIRD_SDP, request=again)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    assert o.wire.switch.counters.total == 2
    down.request("BYE")
    o.advance()
    end(o.wire.caller)
    records = o.over()
    assert (records["100"].end_cause, records["101"].end_cause) == ("transferred", "normal")


def test_a_transfer_into_a_call_that_rings_and_is_refused() -> None:
    o = Office()
    up, down = consult(o, answered=False)
    o.refer(replaces(up))
    o.advance()
    o.desk.send(up.make("ACK", cseq=2))
    down.respond(486)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 486 Busy Here"
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    records = o.over()
    assert (records["100"].end_cause, records["101"].end_cause) == ("normal", "busy")


@pytest.mark.parametrize("which", ["nobody", "another user", "the same", "only early"])
def test_a_replaces_that_is_refused(which: str) -> None:
    o = Office()
    up, down = consult(o)
    refer_to, status = {
        "nobody": (f"<sip:101@{SERVER[0]}?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2>", 481),
        # The target's own dialog with us: it is not the transferor's.
        "another user": (replaces(down), 481),
        "the same": (replaces(o.down), 403),
        "only early": (replaces(up, more=";early-only"), 486),
    }[which]
    o.refer(refer_to)
    o.advance()
    assert o.desk.statuses("REFER") == [status]
    for dialog, other in ((up, o.kitchen), (o.down, o.wire.caller)):
        dialog.request("BYE")
        o.advance()
        end(other)
    o.over()
