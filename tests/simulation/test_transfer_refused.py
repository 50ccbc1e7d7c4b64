"""Transfers that are refused, and what is lost or stops on the way (RFC 3515, RFC 6665)."""

from __future__ import annotations

import pytest
from simulation.office import (
    DESK,
    KITCHEN,
    THIRD_SDP,
    Office,
    authorized_call,
    document,
    end,
    transfer_to,
)
from simulation.raw import OTHER_SDP, Wire
from simulation.world import SDP

from app.sip.message import Request


@pytest.mark.parametrize(
    ("refer_to", "status", "words"),
    [
        ("<sip:101@192.0.2.66>", 403, "192.0.2.66 is another server"),
        ("<sip:101@other.example>", 403, "other.example is another server"),
        ("<mailto:101@10.0.0.5>", 416, "a mailto address cannot be called"),
        ("<http://10.0.0.5/>", 416, "a http address cannot be called"),
        ("<sip:10.0.0.5>", 484, "names no number"),
        ("<sip:100@10.0.0.5>", 403, "to itself"),
        ("<sip:101@10.0.0.5;method=BYE>", 403, "asks for BYE"),
        ("<sip:101@10.0.0.5;method=%0d%0aEvil>", 403, "asks for something else"),
        (f"<sip:{'1' * 129}@10.0.0.5>", 484, "no such number"),
        ("<sip:101@10.0.0.5>, <sip:102@10.0.0.5>", 400, "one Refer-To"),
        ("<sip:101@10.0.0.5?Replaces=x>", 400, "needs a Call-ID"),
        ("<sip:101@10.0.0.5?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=y>", 400, "several dialogs"),
        ("<sip:", 400, ""),
    ],
)
def test_a_refer_that_is_refused(refer_to: str, status: int, words: str) -> None:
    o = Office()
    o.refer(refer_to)
    o.advance()
    assert o.desk.statuses("REFER") == [status]
    assert not o.desk.requests("NOTIFY")
    assert len(o.wire.switch.calls) == 1
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert any("transfer: refused to user:100" in step and words in step for step in o.over()["100"].trail)


def test_headers_in_a_refer_to_go_nowhere() -> None:
    o = Office()
    o.refer("<sip:101@10.0.0.5?Route=%3Csip%3A192.0.2.66%3E&From=%3Csip%3Aboss%4010.0.0.5%3E&P-Evil=1&body=x>")
    o.advance()
    invite = o.kitchen.incoming().invite
    assert invite.get("Route") is None and invite.get("P-Evil") is None and invite.body == SDP.content
    assert "boss" not in invite.to_bytes().decode()
    o.kitchen.incoming().respond(603)
    o.statuses(o.desk)
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_a_trunk_may_not_transfer() -> None:
    o = Office()
    assert "REFER" not in (o.up.answer.get("Allow") or "")
    o.refer("<sip:101@10.0.0.5>", by=o.up)
    o.advance()
    assert o.wire.caller.statuses("REFER") == [403]
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert any("refused to trunk:3: only local users may transfer calls" in step for step in o.over()["100"].trail)


def test_the_transferors_own_number_of_the_other_side_is_refused() -> None:
    """Two users talk: neither may be called in the call that it is in."""
    w = Wire(document())
    desk, kitchen = w.phone("100", DESK), w.phone("101", KITCHEN)
    up = authorized_call(w, desk, "101", "100")
    down = kitchen.incoming()
    down.respond(200, OTHER_SDP)
    w.advance()
    up.ack()
    for side, number in ((up, "101"), (down, "100")):
        side.request("REFER", headers=[("Refer-To", f"<sip:{number}@10.0.0.5>")])
        w.advance()
        assert side.peer.statuses("REFER") == [403]
    up.request("BYE")
    w.advance()
    end(kitchen)
    w.record()


def test_a_second_refer_while_one_is_under_way_and_one_before_the_answer() -> None:
    o = Office()
    target = transfer_to(o)
    o.refer("<sip:102@10.0.0.5>")
    target.request("REFER", headers=[("Refer-To", "<sip:102@10.0.0.5>")])
    o.advance()
    assert o.desk.statuses("REFER") == [202, 491]
    assert not o.cellar.received
    target.respond(486)
    o.statuses(o.desk)
    # After it has failed the next one is free, and is told apart by its CSeq (RFC 3515 2.4.6).
    again = o.refer("<sip:102@10.0.0.5>")
    o.advance()
    o.statuses(o.desk)
    assert o.desk.requests("NOTIFY")[-1].get("Event") == f"refer;id={again.cseq.number}"
    o.cellar.incoming().respond(486)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 486 Busy Here"
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_a_refer_of_no_call_is_not_offered() -> None:
    o = Office()
    stranger = o.cellar.invite("100", send=False)
    o.cellar.send(
        Request(
            "REFER",
            "sip:100@10.0.0.5",
            [(name, value) for name, value in stranger.invite.headers if name not in ("CSeq", "Content-Type")]
            + [("CSeq", "1 REFER"), ("Refer-To", "<sip:101@10.0.0.5>")],
        )
    )
    o.advance()
    (refusal,) = o.cellar.responses("REFER")
    assert refusal.status == 405
    assert "REFER" not in (refusal.get("Allow") or "")
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_an_invite_with_replaces_is_no_new_call() -> None:
    """RFC 3891 3: to take a call over by INVITE is not offered, and nobody else must be rung instead."""
    w = Wire(document())
    desk, kitchen = w.phone("100", DESK), w.phone("101", KITCHEN)
    up = authorized_call(w, desk, "101", "100", headers=[("Replaces", "abc;to-tag=1;from-tag=2")])
    assert up.answer.status == 481
    assert not kitchen.received
    desk.send(up.make("ACK", cseq=2))
    w.settle()


def test_transfers_do_not_go_round_for_ever() -> None:
    """Every target transfers the party on at once."""
    o = Office()
    phones = {"100": o.desk, "101": o.kitchen, "102": o.cellar}
    at, dialog = "100", o.down
    moves = 0
    while True:
        number = {"100": "101", "101": "102", "102": "100"}[at]
        dialog.request("REFER", headers=[("Refer-To", f"<sip:{number}@10.0.0.5>")])
        o.advance()
        if dialog.peer.statuses("REFER")[-1] != 202:
            break
        target = phones[number].incoming()
        target.respond(200, THIRD_SDP)
        o.advance()
        o.answer_reinvite(SDP)
        o.statuses(phones[at])
        end(phones[at])
        at, dialog = number, target
        moves += 1
    assert (moves, dialog.peer.statuses("REFER")[-1]) == (10, 403)
    dialog.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.wire.settle()
    causes = [record.end_cause for record in o.wire.world.recorder.ended]
    assert causes == ["transferred"] * 10 + ["normal"]


# --- lost messages and the end of everything --------------------------------------------------------------------------


def test_a_transferor_that_has_gone_silent_leaves_nothing() -> None:
    """It answers no NOTIFY and no BYE."""
    o = Office()
    o.refer("<sip:101@10.0.0.5>")
    o.advance()
    target = o.kitchen.incoming()
    target.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite(SDP)
    (call,) = o.wire.switch.calls.values()
    assert call.row().state == "talking"
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_no_subscription_where_none_is_wanted() -> None:
    """RFC 4488."""
    o = Office()
    o.refer("<sip:101@10.0.0.5>", headers=(("Refer-Sub", "false"), ("Require", "norefersub")))
    o.advance()
    (answer,) = o.desk.responses("REFER")
    assert (answer.status, answer.get("Refer-Sub")) == (200, "false")
    target = o.kitchen.incoming()
    target.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite(SDP)
    assert not o.desk.requests("NOTIFY")
    end(o.desk)
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_a_phone_that_wants_no_notify_is_sent_no_more() -> None:
    o = Office()
    o.refer("<sip:101@10.0.0.5>")
    o.advance()
    (notify,) = o.desk.requests("NOTIFY")
    o.desk.ok(notify, 481)
    target = o.kitchen.incoming()
    target.respond(180)
    o.advance()
    target.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite(SDP)
    assert len(o.desk.requests("NOTIFY")) == 1
    end(o.desk)
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


@pytest.mark.parametrize("stage", ["ringing", "joining"])
def test_the_server_stops_during_a_transfer(stage: str) -> None:
    o = Office()
    target = transfer_to(o)
    if stage == "joining":
        target.respond(200, THIRD_SDP)
        o.advance()
    o.wire.switch.close()
    o.advance()
    for phone in (o.desk, o.kitchen, o.wire.caller):
        end(phone)
        for cancel in phone.requests("CANCEL"):
            phone.ok(cancel)
    if stage == "ringing":
        target.respond(487)
    o.advance()
    o.statuses(o.desk)
    o.wire.world.advance(200)
    assert len(o.wire.world.recorder.ended) == 2
    assert not o.wire.switch.calls and o.wire.switch.counters.total == 0
    assert not o.wire.switch.endpoint.dialogs and not o.wire.switch.endpoint.transactions


@pytest.mark.parametrize("which", [0, 1], ids=["the first call", "the second call"])
@pytest.mark.parametrize("stage", ["ringing", "joining"])
def test_a_call_is_hung_up_in_the_window_during_a_transfer(stage: str, which: int) -> None:
    o = Office()
    target = transfer_to(o)
    if stage == "joining":
        target.respond(200, THIRD_SDP)
        o.advance()
    o.wire.switch.hang_up(list(o.wire.switch.calls)[which])
    o.advance()
    for phone in (o.desk, o.kitchen, o.wire.caller):
        end(phone)
        for cancel in phone.requests("CANCEL"):
            phone.ok(cancel)
    if stage == "ringing":
        target.respond(487)
    else:
        o.answer_reinvite(SDP)
    o.advance()
    o.statuses(o.desk)
    if which:
        assert len(o.wire.switch.calls) == 1
        o.down.request("BYE")
        o.advance()
    else:
        assert not o.wire.switch.calls
    end(o.wire.caller)
    assert len(o.over()) == 2
