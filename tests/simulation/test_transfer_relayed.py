"""The audio of transferred calls that are relayed."""

from __future__ import annotations

import pytest
from simulation.office import (
    DESK,
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
    transfer_to,
    unrepeated,
)
from simulation.relayed import RelayedWire, audio

from app.calls.leg_events import Body


@pytest.mark.parametrize("how", ["party", "target"])
def test_the_audio_of_a_transferred_call_is_relayed(how: str) -> None:
    """By the record of either side: the new call has a relay of its own, and the old one's is given back."""
    made = document()
    if how == "party":
        made["sip_trunks"][2]["relay_media"] = "yes"  # type: ignore[index]
    else:
        made["local_users"][1]["relay_media"] = "yes"  # type: ignore[index]
    wire = RelayedWire(made)
    o = Office(wire=wire, offer=audio("192.0.2.7"), answer=audio(DESK, 5000))
    assert len(wire.control.sessions) == (how == "party")
    o.refer("<sip:101@10.0.0.5>")
    o.advance()
    target = o.kitchen.incoming()
    assert b"c=IN IP4 10.0.0.5" in target.invite.body
    target.respond(200, audio(KITCHEN, 6000))
    o.advance()
    offer = o.answer_reinvite(audio("192.0.2.7", 4002))
    assert b"c=IN IP4 10.0.0.5" in offer.body
    for again in [each for each in o.kitchen.requests("INVITE") if each.to.tag is not None]:
        target.respond(200, audio(KITCHEN, 6000), request=again)
    o.advance()
    o.statuses(o.desk)
    end(o.desk)
    assert len(wire.control.sessions) == 1
    (session,) = wire.control.sessions.values()
    assert session.media is not None and session.media.active
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    records = o.over()
    assert len(records["101"].media) == 2


@pytest.mark.parametrize("relaying", ["party", "target", "both", "nobody"])
@pytest.mark.parametrize("refused", [False, True], ids=["joined", "refused"])
def test_the_audio_after_an_attended_transfer(relaying: str, refused: bool) -> None:
    """By the records of the two that talk in the end; where the party refuses, all is as it was before."""
    made = document()
    if relaying in ("party", "both"):
        made["sip_trunks"][2]["relay_media"] = "yes"  # type: ignore[index]
    if relaying in ("target", "both"):
        made["local_users"][1]["relay_media"] = "yes"  # type: ignore[index]
    wire = RelayedWire(made)
    o = Office(wire=wire, offer=audio("192.0.2.7"), answer=audio(DESK, 5000))
    up, down = consult(o, body=audio(KITCHEN, 6000))
    before = {number: session.media for number, session in wire.control.sessions.items()}
    assert len(before) == {"both": 2, "nobody": 0}.get(relaying, 1)
    if refused:
        o.refer(replaces(up))
        o.advance()
        o.answer_reinvite(status=603)
        assert o.statuses(o.desk)[-1] == "SIP/2.0 603 Decline"
        after = {number: session.media for number, session in wire.control.sessions.items()}
        assert after.keys() == before.keys()
        assert [media.codec for media in after.values() if media] == [media.codec for media in before.values() if media]
        for dialog, other in ((up, o.kitchen), (o.down, o.wire.caller)):
            dialog.request("BYE")
            o.advance()
            end(other)
        o.over()
        return
    again = join(o, up, down, party=audio("192.0.2.7", 4002), target=audio(KITCHEN, 6000))
    offer = wire.caller.requests("INVITE")[-1]
    through_us = relaying != "nobody"
    assert (b"c=IN IP4 10.0.0.5" in again.body) is (b"c=IN IP4 10.0.0.5" in offer.body) is through_us
    assert len(wire.control.sessions) == through_us
    for session in wire.control.sessions.values():
        assert session.media is not None and session.media.active
    down.request("BYE")
    o.advance()
    end(o.wire.caller)
    assert len(o.over()["101"].media) == 2 * through_us


def test_there_are_no_ports_for_the_two_that_are_to_be_joined() -> None:
    """The second call was not relayed, and would have to be: both calls stay as they are."""
    made = document()
    made["sip_trunks"][2]["relay_media"] = "yes"  # type: ignore[index]
    o = Office(wire=RelayedWire(made, 20_000, 20_003), offer=audio("192.0.2.7"), answer=audio(DESK, 5000))
    up, _down = consult(o, body=audio(KITCHEN, 6000))
    o.refer(replaces(up))
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 503 Service Unavailable"
    assert len([each for each in o.wire.caller.requests("INVITE") if each.to.tag is not None]) == 1
    for dialog, other in ((up, o.kitchen), (o.down, o.wire.caller)):
        dialog.request("BYE")
        o.advance()
        end(other)
    records = o.over()
    assert any("audio cannot be relayed" in step for step in records["101"].trail)


@pytest.mark.parametrize("relaying", [False, True], ids=["direct", "relayed"])
@pytest.mark.parametrize("taken", [True, False])
def test_a_party_that_has_none_of_the_codecs_of_the_consultation(relaying: bool, taken: bool) -> None:
    """The target has answered with the one codec of the office, which no carrier knows: it is asked for all it has."""
    made = document()
    if relaying:
        made["local_users"][1]["relay_media"] = "yes"  # type: ignore[index]
    o = Office(wire=RelayedWire(made), offer=audio("192.0.2.7"), answer=audio(DESK, 5000))
    up, down = consult(o, body=audio(KITCHEN, 6000, "9 8") if relaying else audio(KITCHEN, 6000, "9"))
    o.refer(replaces(up))
    o.advance()
    o.answer_reinvite(status=488)
    asked = o.kitchen.requests("INVITE")[-1]
    assert asked.to.tag is not None and not asked.body
    down.respond(200, audio(KITCHEN, 6000, "9 8 0"), request=asked)
    o.advance()
    if taken:
        offer = o.answer_reinvite(audio("192.0.2.7", 4002))
        assert b"RTP/AVP 9 8 0" in offer.body
        ack = o.kitchen.requests("ACK")[-1]
        assert b"m=audio" in ack.body and ((b"c=IN IP4 10.0.0.5" in ack.body) is relaying)
        assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
        end(o.desk)
        down.request("BYE")
        o.advance()
        end(o.wire.caller)
    else:
        o.answer_reinvite(status=488)
        assert o.statuses(o.desk)[-1] == "SIP/2.0 488 Not Acceptable Here"
        # The target has offered anew, and is answered with what the transferor has said.
        assert b"m=audio" in o.kitchen.requests("ACK")[-1].body
        for dialog, other in ((up, o.kitchen), (o.down, o.wire.caller)):
            dialog.request("BYE")
            o.advance()
            end(other)
    o.over()


@pytest.mark.parametrize("late", [False, True], ids=["offer", "late offer"])
def test_the_audio_after_a_transfer_into_a_call_that_rings(late: bool) -> None:
    made = document()
    made["local_users"][1]["relay_media"] = "yes"  # type: ignore[index]
    o = Office(wire=RelayedWire(made), offer=audio("192.0.2.7"), answer=audio(DESK, 5000))
    o.hold()
    up = authorized_call(o.wire, o.desk, "101", "100", body=None if late else audio(DESK, 5002))
    down = o.kitchen.incoming()
    assert bool(down.invite.body) is not late
    down.respond(180)
    o.advance()
    o.refer(replaces(up))
    o.advance()
    o.desk.send(up.make("ACK", cseq=2))
    down.respond(200, audio(KITCHEN, 6000))
    o.advance()
    offer = o.answer_reinvite(audio("192.0.2.7", 4002))
    assert b"c=IN IP4 10.0.0.5" in offer.body
    if late:
        assert b"c=IN IP4 10.0.0.5" in o.kitchen.requests("ACK")[-1].body
    for again in unrepeated([each for each in o.kitchen.requests("INVITE") if each.to.tag is not None]):
        down.respond(200, audio(KITCHEN, 6000), request=again)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    (session,) = o.wire.control.sessions.values()  # type: ignore[attr-defined]
    assert session.media is not None and session.media.active
    down.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


@pytest.mark.parametrize("why", ["unusable", "busy"])
def test_an_offer_of_the_party_that_cannot_pass_leaves_ours_as_it_was(why: str) -> None:
    """The party refuses our offer for its own, which goes nowhere: ours is made again, and the relay knows it still."""
    made = document()
    made["sip_trunks"][2]["relay_media"] = "yes"  # type: ignore[index]
    wire = RelayedWire(made)
    o = Office(wire=wire, offer=audio("192.0.2.7"), answer=audio(DESK, 5000))
    target = transfer_to(o, hold=False)
    target.respond(200, audio(KITCHEN, 6000))
    o.advance()
    o.answer_reinvite(status=491)
    if why == "busy":
        target.request("INVITE", audio(KITCHEN, 6002))
    own = Body("application/sdp", b"v=0\r\no=- 7 7 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\nm=image 9 udptl t38\r\n")
    o.up.request("INVITE", own if why == "unusable" else audio("192.0.2.7", 4004))
    o.advance()
    o.up.ack_failure()
    o.advance(3)
    offer = o.answer_reinvite(audio("192.0.2.7", 4002))
    assert b"c=IN IP4 10.0.0.5" in offer.body
    for again in [each for each in o.kitchen.requests("INVITE") if each.to.tag is not None]:
        target.respond(200, audio(KITCHEN, 6000), request=again)
    o.advance()
    assert o.statuses(o.desk)[-1] == "SIP/2.0 200 OK"
    end(o.desk)
    (session,) = wire.control.sessions.values()
    assert session.media is not None and session.media.active
    target.request("BYE")
    o.advance()
    end(o.wire.caller)
    o.over()


def test_a_party_that_refuses_for_its_own_offers_for_ever_is_given_up() -> None:
    """Each of its offers is refused by the target, and ours by it."""
    o = Office()
    target = transfer_to(o)
    target.respond(200, THIRD_SDP)
    o.advance()
    for _ in range(60):
        if "SIP/2.0 488 Not Acceptable Here" in o.statuses(o.desk):
            break
        o.answer_reinvite(status=491)
        o.up.request("INVITE", NEW_SDP)
        o.advance()
        for passed in [each for each in o.kitchen.requests("INVITE") if each.to.tag is not None]:
            target.respond(488, request=passed)
        o.advance()
        o.up.ack_failure()
        o.advance(2.2)
    else:
        pytest.fail("it goes on for ever")
    o.down.request("BYE")
    o.advance()
    end(o.wire.caller)
    end(o.kitchen)
    o.over()
