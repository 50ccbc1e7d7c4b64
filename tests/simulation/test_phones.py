"""Calls to and from phones: several that ring, forwarding ones, dead ones, and a user that calls itself."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import OTHER_SDP, RawDialog, RawPeer, Wire, hang_up
from simulation.test_calls import trunks
from simulation.world import SDP, Peer, Plan

from app.events import CallRecord
from app.records import Configuration
from app.records.document import read_document
from app.sip.flow import Flow
from app.sip.message import Request, Response

DESK, KITCHEN, OTHER = "10.0.0.100", "10.0.0.101", "10.0.0.102"


def document(**system: Any) -> dict[str, object]:
    made = trunks()
    made["local_users"] = [{"number": str(number), "password": f"secret{number}"} for number in range(100, 108)]
    made["system"] = {"no_answer_timeout": 30, **system}
    return made


class Office:
    """User 100 with phones at two places, called by a trunk."""

    def __init__(self, phones: int = 2, **system: Any) -> None:
        self.wire = Wire(document(**system))
        self.desk = self.wire.phone("100", DESK)
        self.kitchen = self.wire.phone("100", KITCHEN) if phones > 1 else self.desk
        self.up = self.wire.caller.invite("100")
        self.wire.advance()
        self.at_desk = self.desk.incoming()
        self.in_kitchen = self.kitchen.incoming()

    def refused(self, status: int) -> CallRecord:
        """The caller got this; its record."""
        assert self.wire.caller.statuses()[-1] == status
        self.up.ack_failure()
        record = self.wire.record()
        assert record.status == status
        return record


def cancelled(phone: RawPeer, dialog: RawDialog) -> Request:
    """The CANCEL that a phone got, answered as it should be."""
    cancel = phone.requests("CANCEL")[0]
    phone.ok(cancel)
    dialog.respond(487)
    return cancel


def test_every_phone_of_a_user_rings_and_the_first_answer_wins() -> None:
    o = Office()
    assert o.at_desk.invite.uri_text == f"sip:100@{DESK}:5060"
    assert o.in_kitchen.invite.uri_text == f"sip:100@{KITCHEN}:5060"
    assert o.at_desk.call_id != o.in_kitchen.call_id
    for phone in (o.at_desk, o.in_kitchen):
        phone.respond(180)
    o.wire.advance()
    assert o.wire.caller.statuses() == [180, 180]
    assert len(o.wire.switch.calls) == 1
    assert o.wire.switch.counters.total == 2
    o.in_kitchen.respond(200, OTHER_SDP)
    o.wire.advance()
    cancel = cancelled(o.desk, o.at_desk)
    assert cancel.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    o.up.ack()
    o.wire.advance()
    o.in_kitchen.request("BYE")
    o.wire.advance()
    o.wire.caller.ok(o.wire.caller.requests("BYE")[0])
    record = o.wire.record()
    assert (record.status, record.ended_by, record.target) == (200, "called", "user:100")
    assert [attempt.status for attempt in record.attempts] == [200]


def test_both_phones_are_lifted_at_the_same_time() -> None:
    o = Office()
    o.at_desk.respond(200, OTHER_SDP)
    o.in_kitchen.respond(200, SDP)
    o.wire.advance()
    assert o.wire.caller.statuses() == [200]
    assert o.up.answer.body == OTHER_SDP.content
    assert len(o.kitchen.requests("ACK")) == 1
    (bye,) = o.kitchen.requests("BYE")
    o.kitchen.ok(bye)
    o.up.ack()
    o.wire.advance()
    assert len(o.wire.switch.calls) == 1
    o.up.request("BYE")
    o.wire.advance()
    o.desk.ok(o.desk.requests("BYE")[0])
    assert o.wire.record().end_cause == "normal"


def test_one_phone_is_busy_and_the_other_answers() -> None:
    o = Office()
    o.at_desk.respond(486)
    o.in_kitchen.respond(180)
    o.wire.advance()
    assert o.wire.caller.statuses() == [180]
    o.in_kitchen.respond(200, OTHER_SDP)
    o.wire.advance()
    assert not o.desk.requests("CANCEL")
    o.up.ack()
    o.wire.advance()
    o.up.request("BYE")
    o.wire.advance()
    o.kitchen.ok(o.kitchen.requests("BYE")[0])
    assert o.wire.record().status == 200


@pytest.mark.parametrize(
    ("first", "second", "told", "cause"),
    [
        (486, 486, 486, "busy"),
        (486, 480, 480, "no_answer"),
        (404, 486, 404, "no_route"),
        (503, 486, 486, "busy"),
        (302, 486, 480, "no_answer"),
        (500, 503, 500, "trunk_failed"),
    ],
)
def test_all_phones_refuse(first: int, second: int, told: int, cause: str) -> None:
    """RFC 3261 16.7 step 6: the lowest class and, in it, the lowest number; 503 speaks for one place only."""
    o = Office()
    o.at_desk.respond(first)
    o.wire.advance()
    assert not o.wire.caller.statuses()
    o.in_kitchen.respond(second)
    o.wire.advance()
    assert o.refused(told).end_cause == cause


def test_a_phone_that_declines_declines_for_all() -> None:
    """RFC 3261 16.7 step 5: a 6xx is the user's last word."""
    o = Office()
    o.in_kitchen.respond(180)
    o.wire.advance()
    o.at_desk.respond(603)
    o.wire.advance()
    assert o.wire.caller.statuses() == [180, 603]
    cancelled(o.kitchen, o.in_kitchen)
    assert o.refused(603).end_cause == "rejected"


def test_nobody_answers_while_the_phones_do_different_things() -> None:
    o = Office()
    o.at_desk.respond(486)
    o.in_kitchen.respond(180)
    o.wire.advance(31)
    cancel = cancelled(o.kitchen, o.in_kitchen)
    assert "No answer" in (cancel.get("Reason") or "")
    record = o.refused(408)
    assert record.end_cause == "no_answer"


def test_one_phone_is_switched_off_and_the_other_rings() -> None:
    o = Office()
    o.wire.world.dead.add(DESK)
    o.in_kitchen.respond(180)
    o.wire.advance(15)
    assert len(o.wire.switch.calls) == 1
    o.in_kitchen.respond(486)
    o.wire.advance()
    assert o.refused(486).end_cause == "busy"


@pytest.mark.parametrize("phones", [1, 2])
def test_every_phone_is_switched_off(phones: int) -> None:
    """RFC 3261 8.1.3.1 takes silence for 408; for a user that means: not reachable now."""
    o = Office(phones)
    o.wire.world.dead.update({DESK, KITCHEN})
    o.wire.advance(11)
    record = o.refused(480)
    assert record.end_cause == "no_answer"
    assert record.ended_by == "server"
    assert record.attempts[-1].reason == "no answer from the other side"


def test_the_way_to_a_phone_is_gone() -> None:
    """Its connection has ended, or its network says that it is not there."""
    o = Office(1)
    o.wire.switch.endpoint.flow_failed(Flow("udp", "10.0.0.5", 5060, DESK, 5060))
    o.wire.advance()
    record = o.refused(480)
    assert record.end_cause == "no_answer"
    assert record.attempts[-1].reason == "the other side cannot be reached"


def test_only_one_phone_gives_early_media_to_the_caller() -> None:
    """One dialog with the caller can have one session description only (RFC 3264 4)."""
    o = Office()
    o.at_desk.respond(183, SDP)
    o.in_kitchen.respond(183, OTHER_SDP)
    o.at_desk.respond(183, SDP)
    o.wire.advance()
    assert [each.body for each in o.wire.caller.responses()] == [SDP.content, b"", SDP.content]
    o.in_kitchen.respond(200, OTHER_SDP)
    o.wire.advance()
    cancelled(o.desk, o.at_desk)
    assert o.up.answer.body == OTHER_SDP.content
    o.up.ack()
    o.wire.advance()
    o.up.request("BYE")
    o.wire.advance()
    o.kitchen.ok(o.kitchen.requests("BYE")[0])
    o.wire.record()


def test_a_new_password_forgets_the_phones_and_the_call_goes_on() -> None:
    o = Office(1)
    o.at_desk.respond(180)
    o.wire.advance()
    changed = document()
    changed["local_users"][0]["password"] = "another"  # type: ignore[index]
    o.wire.switch.configure(read_document(changed, Configuration(), replace=True))
    assert o.wire.switch.registrar.count("100") == 0
    o.at_desk.respond(200, OTHER_SDP)
    o.wire.advance()
    o.up.ack()
    o.wire.advance()
    o.at_desk.request("BYE")
    o.wire.advance()
    o.wire.caller.ok(o.wire.caller.requests("BYE")[0])
    o.wire.advance(200)
    assert [record.status for record in o.wire.world.recorder.ended] == [200]


def test_a_user_that_calls_itself_rings_its_own_phone() -> None:
    w = Wire(document())
    phone = w.phone("100", DESK)
    other = Peer(w.world, OTHER)
    talk = other.call("100", Plan(), caller_number="100", password=("100", "secret100"))
    w.advance(0.2)
    ringing = phone.incoming()
    assert ringing.invite.from_.uri is not None
    assert ringing.invite.from_.uri.username == "100"
    (row,) = [row for row in w.switch.users.rows() if row.number == "100"]
    assert row.active_calls == 1
    ringing.respond(486)
    w.advance(100)
    assert talk.status == 486
    record = w.record()
    assert (record.source, record.target, record.end_cause) == ("user:100", "user:100", "busy")


# --- forwarding -------------------------------------------------------------------------------------------------------


def forward(wire: Wire, phone: RawPeer, to: str, seen: list[str]) -> None:
    """Let a phone answer every INVITE with 302 to a number."""

    def on_message(message: Request | Response) -> None:
        if isinstance(message, Request) and message.method == "INVITE":
            seen.append(phone.host)
            phone.send(message.answer(302, None, "moved", [("Contact", f"<sip:{to}@10.0.0.5>")]))

    phone.on_message = on_message


def test_a_chain_of_forwarding_phones() -> None:
    w = Wire(document())
    seen: list[str] = []
    for number, to in ((100, 101), (101, 102)):
        forward(w, w.phone(str(number), f"10.0.0.{number}"), str(to), seen)
    last = w.phone("102", OTHER)
    up = w.caller.invite("100")
    w.advance(0.2)
    assert seen == ["10.0.0.100", "10.0.0.101"]
    ringing = last.incoming()
    assert ringing.invite.to.uri is not None
    assert ringing.invite.to.uri.username == "102"
    ringing.respond(200, OTHER_SDP)
    w.advance()
    up.ack()
    w.advance()
    up.request("BYE")
    w.advance()
    last.ok(last.requests("BYE")[0])
    record = w.record()
    assert [(attempt.target, attempt.status) for attempt in record.attempts] == [
        ("user:100", 302),
        ("user:101", 302),
        ("user:102", 200),
    ]
    assert record.target == "user:102"
    assert record.called_number == "100"
    assert record.sent_number == "102"


def test_phones_that_forward_to_each_other() -> None:
    w = Wire(document())
    seen: list[str] = []
    for number, to in ((100, 101), (101, 100)):
        forward(w, w.phone(str(number), f"10.0.0.{number}"), str(to), seen)
    up = w.caller.invite("100")
    w.advance(1)
    assert 2 <= len(seen) <= 6
    assert w.caller.statuses()[0] == 480
    up.ack_failure()
    record = w.record()
    assert record.status == 480
    assert record.attempts[-1].status == 302


def test_a_phone_forwards_to_a_number_outside_with_a_diversion() -> None:
    made = document()
    made["sip_trunks"][0]["caller_id_headers"] = ["Diversion"]  # type: ignore[index]
    w = Wire(made)
    seen: list[str] = []
    forward(w, w.phone("100", DESK), "135550", seen)
    up = w.caller.invite("100")
    w.advance(0.1)
    invite = w.carrier.incoming()
    assert invite.invite.uri.username == "135550"
    assert (invite.invite.get("Diversion") or "").startswith("<sip:100@")
    assert invite.invite.from_.uri is not None
    assert invite.invite.from_.uri.username == "5551"
    assert w.switch.trunks.rows()[0].active_out == 1
    invite.respond(200, OTHER_SDP)
    w.advance()
    up.ack()
    w.advance()
    hang_up(w, up)
    record = w.record()
    assert (record.source, record.target) == ("trunk:3", "trunk:1")


@pytest.mark.parametrize(
    ("rings", "headers", "reason"),
    [
        (False, [], "unconditional"),
        (True, [], "no-answer"),
        (False, [("Diversion", "<sip:100@10.0.0.5>;reason=user-busy;counter=1")], "user-busy"),
        (True, [("Diversion", '<sip:100@10.0.0.5>;reason="do-not-disturb"')], "do-not-disturb"),
        (False, [("Diversion", "<sip:100@10.0.0.5>;reason=made-up")], "unconditional"),
        (False, [("Reason", 'SIP;cause=486;text="Busy here"')], "user-busy"),
        (False, [("Reason", 'Q.850;text="x";cause=19')], "no-answer"),
        (True, [("Contact", "<sip:135550@10.0.0.5;cause=486>")], "user-busy"),
        (False, [("Contact", "<sip:135550@10.0.0.5;cause=408>")], "no-answer"),
        (False, [("Diversion", "<<<")], "unconditional"),
    ],
)
def test_the_diversion_says_why_a_phone_forwards(rings: bool, headers: list[tuple[str, str]], reason: str) -> None:
    """RFC 5806: by what the phone says, else by whether it rang."""
    made = document()
    made["sip_trunks"][0]["caller_id_headers"] = ["Diversion"]  # type: ignore[index]
    w = Wire(made)
    phone = w.phone("100", DESK)
    up = w.caller.invite("100", headers=[("Diversion", "<sip:7@x>;reason=time-of-day")])
    w.advance()
    ringing = phone.incoming()
    if rings:
        ringing.respond(180)
        w.advance(15)
    own = [] if headers and headers[0][0] == "Contact" else [("Contact", "<sip:135550@10.0.0.5>")]
    phone.send(ringing.invite.answer(302, None, ringing.local_tag, [*headers, *own]))
    w.advance()
    diversions = w.carrier.incoming().invite.values("Diversion")
    assert diversions[0] == f"<sip:100@trunkline.invalid>;reason={reason}"
    assert diversions[1] == "<sip:7@x>;reason=time-of-day"
    w.carrier.incoming().respond(486)
    w.advance()
    up.ack_failure()
    assert w.record().end_cause == "busy"


@pytest.mark.parametrize("contact", ["", "<mailto:somebody@example.com>", "<sip:10.0.0.9>", "<sip:nobody@10.0.0.5>"])
def test_a_redirection_that_leads_nowhere(contact: str) -> None:
    o = Office(1)
    o.desk.send(o.at_desk.invite.answer(302, None, "moved", [("Contact", contact)] if contact else []))
    o.wire.advance()
    assert o.wire.caller.statuses()[-1] in (404, 480)
    o.up.ack_failure()
    record = o.wire.record()
    assert record.attempts[0].status == 302


def moved(w: Wire, down: RawDialog, contact: str, status: int = 302) -> None:
    """The carrier sends the call elsewhere, and gets its ACK."""
    w.carrier.send(down.invite.answer(status, None, down.local_tag, [("Contact", contact)]))
    w.advance()


def test_a_trunk_cannot_forward() -> None:
    """Without its record's leave: a carrier must not make us dial numbers of its choice."""
    w = Wire(document())
    up, down = w.call()
    moved(w, down, "<sip:131234@10.0.0.5>")
    assert w.caller.statuses() == [480]
    assert len(w.carrier.requests("INVITE")) == 1
    up.ack_failure()
    record = w.record()
    assert (record.status, record.attempts[0].status) == (480, 302)
    assert any("trunk:1 sends the call to 131234; its record does not allow that" in step for step in record.trail)


def follows(**more: Any) -> Wire:
    """Trunk 1 may send calls elsewhere."""
    made = document()
    made["sip_trunks"][0] |= {"follow_redirects": True, "caller_id_headers": ["Diversion"], **more}  # type: ignore[index]
    return Wire(made)


@pytest.mark.parametrize("contact", ["<sip:131234@198.51.100.66:5099>", "<tel:13-1234>", "<sip:131234;rn=1@x.example>"])
def test_a_trunk_that_may_forward_names_a_number_and_no_server(contact: str) -> None:
    w = follows()
    up, down = w.call()
    moved(w, down, contact)
    again = w.carrier.incoming()
    assert again.invite.uri.username == "131234"
    assert again.invite.uri.host == w.carrier.host
    assert again.invite.get("Diversion") == "<sip:135550@trunkline.invalid>;reason=unconditional"
    row = w.switch.trunks.rows()[0]
    assert (row.active_in, row.active_out) == (0, 1)
    again.respond(200, OTHER_SDP)
    w.advance()
    up.ack()
    w.advance()
    hang_up(w, up)
    record = w.record()
    assert (record.source, record.target, record.sent_number) == ("trunk:3", "trunk:1", "131234")
    assert [(attempt.sent_number, attempt.status) for attempt in record.attempts] == [("135550", 302), ("131234", 200)]
    assert any("the call from trunk:1 was redirected to 131234" in step for step in record.trail), record.trail


def test_a_trunks_redirection_reaches_a_local_user() -> None:
    w = follows()
    phone = w.phone("100", DESK)
    up, down = w.call()
    moved(w, down, "<sip:100@10.0.0.5>", 301)
    phone.incoming().respond(486)
    w.advance()
    up.ack_failure()
    assert w.record().end_cause == "busy"
    assert w.switch.counters.total == 0


@pytest.mark.parametrize(("status", "contact"), [(305, "<sip:131234@10.0.0.5>"), (302, "<sip:135550@10.9.9.9>")])
def test_a_redirection_that_is_none_or_leads_back_is_not_followed(status: int, contact: str) -> None:
    """RFC 3261 8.1.3.4: the same number at the same trunk would be the same again."""
    w = follows()
    up, down = w.call()
    moved(w, down, contact, status)
    assert len(w.carrier.requests("INVITE")) == 1
    assert w.caller.statuses() == [480]
    up.ack_failure()
    assert w.record().attempts[0].status == status


def test_redirections_of_a_trunk_end() -> None:
    w = follows()
    up, down = w.call()
    for number in range(131000, 131010):
        moved(w, w.carrier.incoming(), f"<sip:{number}@10.0.0.5>")
    assert down.invite.uri.username == "135550"
    assert len({each.uri_text for each in w.carrier.requests("INVITE")}) == 6
    assert w.caller.statuses() == [480]
    up.ack_failure()
    w.record()


CHOICES = "<sip:131003@x>;q=0.3, <sip:131001@x>;q=0.9, <mailto:a@b>, <sip:131002@x>;q=0.9, <sip:131001@y>;q=0.1"


def test_the_places_of_a_redirection_are_tried_by_their_likelihood() -> None:
    """RFC 3261 8.1.3.4: one after the other; each names who has sent the call, and nobody twice."""
    w = follows()
    up, down = w.call()
    moved(w, down, CHOICES)
    for number in (131001, 131002):
        tried = w.carrier.incoming()
        assert tried.invite.uri.username == str(number)
        assert tried.invite.values("Diversion") == ["<sip:135550@trunkline.invalid>;reason=unconditional"]
        tried.respond(180)
        w.advance()
        tried.respond(486)
        w.advance()
    last = w.carrier.incoming()
    assert (last.invite.uri.username, w.caller.statuses()[-1]) == ("131003", 180)
    last.respond(200, OTHER_SDP)
    w.advance()
    up.ack()
    w.advance()
    hang_up(w, up)
    assert [(each.sent_number, each.status) for each in w.record().attempts] == [
        *[("135550", 302), ("131001", 486), ("131002", 486), ("131003", 200)]
    ]
    assert w.switch.counters.total == 0


def test_where_no_place_takes_the_call_the_last_answer_counts() -> None:
    w = follows()
    up, down = w.call()
    moved(w, down, "<sip:999@x>, <sip:131001@x>;q=0.5, <sip:888@x>;q=0.1")
    w.carrier.incoming().respond(486)
    w.advance()
    assert len(w.carrier.requests("INVITE")) == 2
    assert w.caller.statuses() == [486]
    up.ack_failure()
    assert any("no record and no local user has the number 888" in step for step in w.record().trail)


def test_a_redirection_in_a_redirection_is_tried_before_the_rest() -> None:
    w = follows()
    up, down = w.call()
    moved(w, down, "<sip:131001@x>, <sip:131002@x>")
    moved(w, w.carrier.incoming(), "<sip:131003@x>")
    inner = w.carrier.incoming()
    assert inner.invite.uri.username == "131003"
    assert len(inner.invite.values("Diversion")) == 2
    inner.respond(404)
    w.advance()
    outer = w.carrier.incoming()
    assert outer.invite.uri.username == "131002"
    assert len(outer.invite.values("Diversion")) == 1
    outer.respond(603)
    w.advance()
    assert w.caller.statuses() == [603]
    up.ack_failure()
    w.record()


def test_who_declines_for_everybody_ends_the_search() -> None:
    w = follows()
    up, down = w.call()
    moved(w, down, "<sip:131001@x>, <sip:131002@x>")
    w.carrier.incoming().respond(603)
    w.advance()
    assert (w.caller.statuses(), len(w.carrier.requests("INVITE"))) == ([603], 2)
    up.ack_failure()
    w.record()


def test_a_redirection_with_many_places_is_followed_to_a_few() -> None:
    w = follows()
    up, down = w.call()
    moved(w, down, ", ".join(f"<sip:{number}@x>;q=0.{number % 10}" for number in range(131000, 131030)))
    for _ in range(20):
        for each in w.carrier.requests("INVITE")[1:]:
            w.carrier.send(each.answer(486, None, "busy"))
        w.advance()
    assert len({each.uri_text for each in w.carrier.requests("INVITE")}) == 6
    assert w.caller.statuses() == [486]
    up.ack_failure()
    w.record()


def test_the_caller_gives_up_while_the_second_place_rings() -> None:
    w = follows()
    up, down = w.call()
    moved(w, down, "<sip:131001@x>, <sip:131002@x>, <sip:131003@x>")
    w.carrier.incoming().respond(486)
    w.advance()
    second = w.carrier.incoming()
    second.respond(180)
    w.advance()
    up.cancel()
    w.advance()
    second.respond(487)
    w.advance()
    assert len(w.carrier.requests("INVITE")) == 3
    up.ack_failure()
    w.record()


def test_a_trunks_redirection_has_no_call_level() -> None:
    """A user who may dial a number with a level gets there; a carrier that names it does not."""
    made = document()
    made["sip_trunks"][0]["follow_redirects"] = True  # type: ignore[index]
    made["analyze_called_numbers"].append(  # type: ignore[attr-defined]
        {"prefix": "1399", "route_type": "sip_trunk", "target_id": 1, "call_level": 2}
    )
    w = Wire(made)
    up, down = w.call()
    moved(w, down, "<sip:139999@10.0.0.5>")
    assert len(w.carrier.requests("INVITE")) == 1
    assert w.caller.statuses() == [403]
    up.ack_failure()
    assert any("call level 2" in step for step in w.record().trail)


def test_cancel_while_a_forwarded_call_is_dialled() -> None:
    w = Wire(document())
    seen: list[str] = []
    forward(w, w.phone("100", DESK), "101", seen)
    second = w.phone("101", KITCHEN)
    up = w.caller.invite("100")
    w.advance(0.1)
    ringing = second.incoming()
    ringing.respond(180)
    w.advance()
    up.cancel()
    w.advance()
    cancelled(second, ringing)
    up.ack_failure()
    record = w.record()
    assert (record.status, record.end_cause) == (487, "cancelled")
    assert w.switch.counters.total == 0
