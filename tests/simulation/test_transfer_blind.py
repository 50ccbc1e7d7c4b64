"""Blind transfer, message by message: REFER, its subscription, and who talks to whom in the end (RFC 3515)."""

from __future__ import annotations

import pytest
from simulation.office import (
    CELLAR,
    DESK,
    KITCHEN,
    NEW_SDP,
    THIRD_SDP,
    Office,
    authorized_call,
    document,
    end,
    replaces,
    transfer_to,
    unrepeated,
)
from simulation.raw import OTHER_SDP, SERVER, RawDialog, Wire
from simulation.world import SDP

from app.sip.message import Request


def test_a_blind_transfer_joins_the_party_with_the_target() -> None:
    o = Office()
    target = transfer_to(o)
    assert b"a=" not in target.invite.body and b"m=audio 5000" not in target.invite.body
    assert "sip:5551@" in (target.invite.get("From") or "")
    assert target.invite.get("Referred-By") == f"<sip:100@{SERVER[0]}>"
    assert o.statuses(o.desk) == ["SIP/2.0 100 Trying", "SIP/2.0 180 Ringing"]
    first, second = o.wire.switch.calls.values()
    assert (first.row().text, second.row().state) == ("being transferred to 101", "ringing")
    target.respond(200, THIRD_SDP)
    o.advance()
    offer = o.answer_reinvite()
    assert offer.body == THIRD_SDP.content
    # The caller has moved its audio with the answer: the target is told so.
    (again,) = [each for each in o.kitchen.requests("INVITE") if each.to.tag is not None]
    assert again.body == NEW_SDP.content
    target.respond(200, THIRD_SDP, request=again)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    last = o.desk.requests("NOTIFY")[-1]
    assert last.get("Subscription-State") == "terminated;reason=noresource"
    assert (last.get("Event"), last.get("Content-Type")) == ("refer", "message/sipfrag;version=2.0")
    (bye,) = o.desk.requests("BYE")
    o.desk.ok(bye)
    o.advance()
    (call,) = o.wire.switch.calls.values()
    row = call.row()
    assert (row.state, row.source, row.caller_number, row.target) == ("talking", "trunk:3", "5551", "user:101")
    # The transferor is free; the trunk and the target are counted once each.
    assert o.wire.switch.counters.total == 2
    assert o.wire.switch.live.user_active("100") == 0
    assert o.wire.switch.live.trunk_active_in(3) == 1
    o.up.request("BYE")
    o.advance()
    end(o.kitchen)
    records = o.over()
    assert (records["100"].end_cause, records["100"].ended_by) == ("transferred", "called")
    assert records["100"].trail[-1] == "end: transferred to 101 by the called side"
    assert (records["101"].end_cause, records["101"].source, records["101"].target) == (
        "normal",
        "user:100",
        "user:101",
    )
    assert any("user:100 transfers trunk:3 (5551) to 101" in step for step in records["101"].trail)
    assert records["101"].ended_by == "caller"


def test_what_the_target_says_is_not_said_again_where_the_party_answers_as_before() -> None:
    o = Office()
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite(SDP)
    assert not [each for each in o.kitchen.requests("INVITE") if each.to.tag is not None]
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert o.over()["101"].ended_by == "called"


def test_the_caller_itself_may_transfer_the_one_that_it_has_called() -> None:
    """User 100 has called out through a trunk, and transfers that side to user 101."""
    w = Wire(document())
    desk, kitchen = w.phone("100", DESK), w.phone("101", KITCHEN)
    up = authorized_call(w, desk, "135550", "100")
    down = w.carrier.incoming()
    down.respond(200, OTHER_SDP)
    w.advance()
    up.ack()
    w.advance()
    assert "REFER" in (up.answer.get("Allow") or "")
    assert up.answer.get("Supported") == "replaces, norefersub"
    assert "REFER" not in (down.invite.get("Allow") or "")
    assert "replaces" not in (down.invite.get("Supported") or "")
    up.request("REFER", headers=[("Refer-To", f"<sip:101@{SERVER[0]}>")])
    w.advance()
    target = kitchen.incoming()
    assert target.invite.body == OTHER_SDP.content
    assert "REFER" in (target.invite.get("Allow") or "")
    assert "sip:135550@" in (target.invite.get("From") or "")
    target.respond(200, THIRD_SDP)
    w.advance()
    offer = w.carrier.requests("INVITE")[-1]
    assert offer.body == THIRD_SDP.content
    # RFC 3261 14.1: in a dialog of ours the peer tries again first.
    down.respond(491, request=offer)
    w.advance(1.9)
    assert w.carrier.requests("INVITE")[-1].cseq == offer.cseq
    w.advance(0.4)
    offer = w.carrier.requests("INVITE")[-1]
    assert offer.body == THIRD_SDP.content
    down.respond(200, OTHER_SDP, request=offer)
    w.advance()
    for _ in range(3):
        for notify in desk.requests("NOTIFY"):
            desk.ok(notify)
        w.advance()
    end(desk)
    w.advance()
    (call,) = w.switch.calls.values()
    row = call.row()
    assert (row.source, row.target, row.trunk_in) == ("trunk:1", "user:101", 1)
    assert w.switch.live.trunk_active_out(1) == 1
    down.request("BYE")
    w.advance()
    end(kitchen)
    w.settle()
    first, second = sorted(w.world.recorder.ended, key=lambda record: record.started)
    assert (first.end_cause, first.ended_by) == ("transferred", "caller")
    assert (second.end_cause, second.source, second.ended_by) == ("normal", "user:100", "caller")


def test_a_colleague_who_hides_its_number_is_not_shown_by_a_transfer() -> None:
    """User 101 calls user 100 with Privacy (RFC 3323), and is transferred to user 102."""
    w = Wire(document())
    desk, kitchen, cellar = w.phone("100", DESK), w.phone("101", KITCHEN), w.phone("102", CELLAR)
    up = authorized_call(w, kitchen, "100", "101", headers=[("Privacy", "id")])
    down = desk.incoming()
    assert "101" not in (down.invite.get("From") or "")
    down.respond(200, OTHER_SDP)
    w.advance()
    up.ack()
    w.advance()
    down.request("REFER", headers=[("Refer-To", f"<sip:102@{SERVER[0]}>")])
    w.advance()
    target = cellar.incoming()
    assert "101" not in (target.invite.get("From") or "")
    assert "101" not in (target.invite.get("Contact") or "")
    target.respond(486)
    up.request("BYE")
    w.advance()
    end(desk)
    w.settle()


@pytest.mark.parametrize("attended", [False, True])
def test_who_hides_its_number_stays_hidden_when_it_is_transferred_once_more(attended: bool) -> None:
    """User 103 calls 100 with Privacy, is transferred to 101, and by that one to 102."""
    w = Wire(document())
    desk, kitchen, cellar = w.phone("100", DESK), w.phone("101", KITCHEN), w.phone("102", CELLAR)
    hidden = w.phone("103", "10.0.0.103")
    up = authorized_call(w, hidden, "100", "103", headers=[("Privacy", "id")])
    down = desk.incoming()
    down.respond(200, OTHER_SDP)
    w.advance()
    up.request("ACK", cseq=2)
    if attended:
        own = authorized_call(w, desk, "101", "100")
    else:
        down.request("REFER", headers=[("Refer-To", f"<sip:101@{SERVER[0]}>")])
        w.advance()
    first = kitchen.incoming()
    first.respond(200, THIRD_SDP)
    w.advance()
    if attended:
        own.request("ACK", cseq=2)
        down.request("REFER", headers=[("Refer-To", replaces(own))])
        w.advance()
    up.respond(200, SDP, request=hidden.requests("INVITE")[-1])
    w.advance()
    for again in [each for each in kitchen.requests("INVITE") if each.to.tag is not None]:
        first.respond(200, THIRD_SDP, request=again)
    w.advance()
    first.request("REFER", headers=[("Refer-To", f"<sip:102@{SERVER[0]}>")])
    w.advance()
    assert kitchen.statuses("REFER") == [202]
    last = cellar.incoming().invite
    for name in ("From", "Contact", "P-Asserted-Identity", "Remote-Party-ID"):
        assert "103" not in (last.get(name) or ""), name
        assert "User 103" not in (last.get(name) or ""), name
    cellar.incoming().respond(486)
    up.request("BYE")
    for phone in (desk, kitchen):
        for _ in range(3):
            for notify in phone.requests("NOTIFY"):
                phone.ok(notify)
            w.advance()
        end(phone)
    w.settle()


@pytest.mark.parametrize("when", ["at once", "while it rings", "while the party is asked"])
def test_the_transferor_may_hang_up_before_the_end(when: str) -> None:
    o = Office()
    o.hold()
    o.refer(f"<sip:101@{SERVER[0]}>")
    if when == "at once":
        o.down.request("BYE")
    o.advance()
    target = o.kitchen.incoming()
    target.respond(180)
    if when == "while it rings":
        o.down.request("BYE")
    o.advance()
    assert not o.wire.caller.requests("BYE")
    target.respond(200, THIRD_SDP)
    o.advance()
    if when == "while the party is asked":
        o.down.request("BYE")
    o.advance()
    o.answer_reinvite(SDP)
    assert o.desk.statuses("BYE") == [200]
    assert not o.desk.requests("BYE")
    o.statuses(o.desk)
    assert o.wire.switch.live.user_active("100") == 0
    assert len(o.wire.switch.calls) == 1
    o.up.request("BYE")
    o.advance()
    end(o.kitchen)
    records = o.over()
    assert {number: record.end_cause for number, record in records.items()} == {"100": "transferred", "101": "normal"}
    assert any("transferor has hung up" in step for step in records["100"].trail)


@pytest.mark.parametrize("alone", [False, True], ids=["it waits", "it has hung up"])
def test_a_busy_target(alone: bool) -> None:
    o = Office()
    o.hold()
    o.refer(f"<sip:101@{SERVER[0]}>")
    o.advance()
    if alone:
        o.down.request("BYE")
    o.kitchen.incoming().respond(486)
    o.advance()
    told = o.statuses(o.desk)
    assert told[-1] == "SIP/2.0 486 Busy Here"
    if alone:
        end(o.wire.caller)
        records = o.over()
        assert (records["100"].end_cause, records["100"].ended_by) == ("normal", "called")
        assert "the transfer to 101 failed: 486 Busy Here" in records["100"].trail[-1]
        return
    (call,) = o.wire.switch.calls.values()
    assert call.row().text == "the transfer to 101 failed: 486 Busy Here"
    # The old call goes on, and may be taken off hold.
    o.down.request("INVITE", OTHER_SDP)
    o.advance()
    assert o.wire.caller.requests("INVITE")[-1].body == OTHER_SDP.content
    o.up.respond(200, SDP, request=o.wire.caller.requests("INVITE")[-1])
    o.advance()
    o.down.ack(cseq=o.down.sequence)
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    records = o.over()
    assert records["101"].end_cause == "busy"
    assert records["100"].end_cause == "normal"
    assert any("the transfer to 101 failed: 486" in step for step in records["100"].trail)


def test_a_target_that_does_not_answer() -> None:
    o = Office()
    target = transfer_to(o)
    o.advance(20)
    assert o.kitchen.requests("CANCEL")
    o.kitchen.ok(o.kitchen.requests("CANCEL")[0])
    target.respond(487)
    assert o.statuses(o.desk)[-1].startswith("SIP/2.0 408")
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert o.over()["101"].end_cause == "no_answer"


def test_the_party_hangs_up_while_the_target_rings() -> None:
    o = Office()
    target = transfer_to(o)
    o.up.request("BYE")
    o.advance()
    (cancel,) = o.kitchen.requests("CANCEL")
    o.kitchen.ok(cancel)
    target.respond(487)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 487 Request Terminated"
    end(o.desk)
    records = o.over()
    assert (records["100"].end_cause, records["100"].ended_by) == ("normal", "caller")
    assert records["101"].end_cause == "cancelled"


def test_the_party_hangs_up_while_it_is_asked() -> None:
    o = Office()
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    o.advance()
    offer = o.wire.caller.requests("INVITE")[-1]
    o.up.request("BYE")
    o.up.respond(487, request=offer)
    o.advance()
    end(o.kitchen)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 487 Request Terminated"
    end(o.desk)
    records = o.over()
    assert records["101"].ended_by == "caller"
    assert "hung up during the transfer to 101" in records["100"].trail[-1]


def test_the_target_hangs_up_while_the_party_is_asked() -> None:
    o = Office()
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    o.advance()
    target.request("BYE")
    o.advance()
    o.answer_reinvite()
    assert o.statuses(o.desk)[-1].startswith("SIP/2.0 480")
    assert len(o.wire.switch.calls) == 1
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert o.over()["100"].end_cause == "normal"


@pytest.mark.parametrize(("status", "told"), [(488, "488 Not"), (603, "603 Decline"), (401, "403 Forbidden")])
@pytest.mark.parametrize("alone", [False, True], ids=["it waits", "it has hung up"])
def test_the_party_refuses_to_talk_to_the_target(alone: bool, status: int, told: str) -> None:
    """RFC 3515 2.4.5: the transferor hears what the party has said, where that means anything to it."""
    o = Office()
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    if alone:
        o.down.request("BYE")
    o.advance()
    o.answer_reinvite(status=status)
    end(o.kitchen)
    assert o.statuses(o.desk)[-1].startswith(f"SIP/2.0 {told}")
    if alone:
        end(o.wire.caller)
    else:
        o.down.request("BYE")
        o.advance()
        end(o.wire.caller)
    records = o.over()
    assert records["101"].end_cause == "rejected"
    assert f"refused the called side's session description: {status} " in records["101"].trail[-1]
    assert records["100"].end_cause == "normal"


def test_a_party_that_cannot_be_asked_now_is_asked_again() -> None:
    """RFC 3261 14.1: its own re-INVITE is under way when the target answers."""
    o = Office()
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite(status=491)
    o.advance(1.1)
    assert len(unrepeated([each for each in o.wire.caller.requests("INVITE") if each.to.tag is not None])) == 3
    o.answer_reinvite(SDP)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def crossing(o: Office) -> tuple[RawDialog, Request, Request]:
    """Both ends are told of somebody new at once: the party's server refuses our offer for its own.

    The target's dialog, the offer that it gets instead, and the one that this was.
    """
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite(status=491)
    theirs = o.up.request("INVITE", NEW_SDP)
    o.advance()
    (passed,) = unrepeated([each for each in o.kitchen.requests("INVITE") if each.to.tag is not None])
    assert passed.body == NEW_SDP.content
    return target, passed, theirs


def test_both_ends_of_a_call_are_transferred_at_once() -> None:
    """RFC 3261 14.1: each server offers the other one somebody new; whose offer gets through joins the two."""
    o = Office()
    target, passed, _theirs = crossing(o)
    target.respond(200, THIRD_SDP, request=passed)
    o.advance()
    assert o.up.answer.status == 200
    assert o.up.answer.body == THIRD_SDP.content
    o.up.ack(cseq=o.up.sequence)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    o.advance(5)
    # Nothing is said twice.
    assert len(unrepeated([each for each in o.wire.caller.requests("INVITE") if each.to.tag is not None])) == 2
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert o.over()["101"].end_cause == "normal"


@pytest.mark.parametrize("how", ["refused", "taken back", "left"])
def test_the_target_does_not_take_what_the_other_server_offers_at_the_same_time(how: str) -> None:
    o = Office()
    target, passed, theirs = crossing(o)
    if how == "left":
        o.down.request("BYE")
        o.up.request("BYE")
        o.advance()
        end(o.kitchen)
        target.respond(487, request=passed)
        o.statuses(o.desk)
        assert o.over()["101"].ended_by == "caller"
        return
    if how == "taken back":
        o.up.cancel(theirs)
        o.advance()
    target.respond(488 if how == "refused" else 487, request=passed)
    o.advance()
    assert o.wire.caller.statuses()[-1] == (488 if how == "refused" else 487)
    assert o.answer_reinvite().body == THIRD_SDP.content
    again = unrepeated([each for each in o.kitchen.requests("INVITE") if each.to.tag is not None])[-1]
    assert again.body == NEW_SDP.content
    target.respond(200, THIRD_SDP, request=again)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_a_call_that_is_not_allowed_is_told_so() -> None:
    """The dial plan decides as about any call of the transferor."""
    made = document()
    made["number_lists"] = [{"caller_prefix": "100", "called_prefix": "13", "block_percent": 100}]
    o = Office(made)
    o.refer(f"<sip:135550@{SERVER[0]}>")
    o.advance()
    assert o.statuses(o.desk)[-1].startswith("SIP/2.0 403")
    assert not o.wire.carrier.received
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    records = o.over()
    assert (records["135550"].end_cause, records["135550"].source) == ("rejected", "user:100")
    assert records["100"].end_cause == "normal"


def test_a_user_that_may_have_one_call_may_transfer_it() -> None:
    o = Office(document(users={"max_calls": 1}))
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    o.advance()
    o.answer_reinvite(SDP)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_through_a_trunk_the_transferor_is_the_caller() -> None:
    o = Office()
    o.refer(f"<sip:135550@{SERVER[0]}>")
    o.advance()
    invite = o.wire.carrier.incoming()
    assert "sip:100@" in (invite.invite.get("From") or "")
    assert invite.invite.get("Referred-By") is None
    invite.respond(404)
    assert o.statuses(o.desk)[-1] == "SIP/2.0 404 Not Found"
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert o.over()["135550"].end_cause == "no_route"


def test_words_of_the_target_that_are_no_text_pass() -> None:
    o = Office()
    o.refer("<sip:101@10.0.0.5>")
    o.advance()
    target = o.kitchen.incoming()
    answer = target.invite.answer(486, "B\udcff", target.local_tag)
    o.kitchen.send(answer)
    o.advance()
    o.statuses(o.desk)
    assert o.desk.requests("NOTIFY")[-1].body == b"SIP/2.0 486 B\xff\r\n"
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()
