"""Peers that send anything at any moment: whatever they do, every call ends with one record and nothing is left.

Nobody here follows the protocol: answers come before and after the end, with other tags, numbers and bodies; requests
are repeated, reordered, cancelled and never acknowledged. The seed gives the whole story again.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from simulation.raw import OTHER_SDP, SERVER, RawDialog, RawPeer, Wire
from simulation.test_calls import trunks
from simulation.world import HOLD, SDP

from app.calls.leg_events import Body
from app.records import Configuration
from app.records.document import read_document
from app.sip.flow import Flow
from app.sip.message import Request, Response

STORIES = 300
STATUSES = (
    100,
    180,
    181,
    183,
    199,
    200,
    200,
    200,
    200,
    302,
    401,
    404,
    407,
    408,
    422,
    481,
    486,
    487,
    491,
    500,
    503,
    603,
)
BODIES = (None, SDP, HOLD, OTHER_SDP, Body("application/dtmf-relay", b"Signal=1\r\n"), Body("text/plain", b"x"))
METHODS = ("INVITE", "UPDATE", "INFO", "BYE", "OPTIONS", "PRACK", "ACK", "REFER", "MESSAGE")


def document() -> dict[str, object]:
    made = trunks(next_trunk_id=2, first_response_timeout=3, failover_after_ringing=True)
    made["system"] = {"no_answer_timeout": 20, "session_expires": 120}
    return made


class Story:
    """One seed's worth of nonsense."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.wire = Wire(document())
        self.phones = [self.wire.phone("100", f"10.0.0.{number}") for number in (100, 101)]
        self.dialogs: list[RawDialog] = []
        self.peers = (self.wire.caller, self.wire.carrier, self.wire.backup, *self.phones)
        self.begun = 0
        self.steps: list[Callable[[], None]] = [
            self.begin,
            *[self.respond] * 8,
            *[self.request] * 6,
            *[self.acknowledge] * 3,
            self.cancel,
            self.window,
            self.configure,
            self.fail,
        ]
        self.repeats = seed % 2 == 0
        if self.repeats:
            self.steps += [self.repeat] * 2

    def tell(self) -> None:
        chance = self.chance
        self.begin()
        for _ in range(chance.randrange(5, 60)):
            self.wire.advance(chance.choice((0.0, 0.01, 0.03, 0.1, 0.6, 5.0)))
            chance.choice(self.steps)()
        for call_id in tuple(self.wire.switch.calls):
            if chance.random() < 0.5:
                self.wire.switch.hang_up(call_id)
        self.wire.advance(200)
        for call_id in tuple(self.wire.switch.calls):
            self.wire.switch.hang_up(call_id)
        self.wire.advance(4000)

    def begin(self) -> None:
        chance = self.chance
        headers = [
            header
            for header in (
                ("Supported", "100rel, timer"),
                ("Require", "100rel"),
                ("Session-Expires", chance.choice(("90", "1800;refresher=uas", "20"))),
                ("Privacy", "id"),
                ("Expires", "15"),
            )
            if chance.random() < 0.3
        ]
        self.dialogs.append(
            self.wire.caller.invite(
                chance.choice(("135550", "135551", "100")), headers=headers, body=chance.choice((SDP, None))
            )
        )

    def incoming(self) -> None:
        """Take part in the calls that came."""
        known = {dialog.call_id for dialog in self.dialogs}
        for peer in self.peers[1:]:
            for invite in peer.requests("INVITE"):
                if invite.to.tag is None and invite.call_id not in known:
                    known.add(invite.call_id)
                    self.dialogs.append(RawDialog(peer, invite, caller=False))

    def some_dialog(self) -> RawDialog:
        self.incoming()
        return self.chance.choice(self.dialogs)

    def respond(self) -> None:
        chance = self.chance
        peer = chance.choice(self.peers)
        asked = [each for each in peer.received if isinstance(each, Request) and each.method != "ACK"]
        if not asked:
            return
        request = chance.choice(asked[-4:])
        headers = (
            [("Contact", f"<sip:{chance.choice(('x', '135550', '100'))}@{peer.host}:5060>")]
            if chance.random() < 0.9
            else []
        )
        if chance.random() < 0.2:
            headers += [("Require", "100rel"), ("RSeq", str(chance.randrange(5)))]
        if chance.random() < 0.3:
            headers.append(("Allow", chance.choice(("INVITE, UPDATE", "INVITE"))))
        if chance.random() < 0.2:
            headers.append(("Session-Expires", chance.choice(("90;refresher=uas", "90;refresher=uac", "5"))))
        body = chance.choice(BODIES)
        if body is not None:
            headers.append(("Content-Type", body.content_type))
        tag = chance.choice(("one", "one", "one", "two"))
        peer.send(request.answer(chance.choice(STATUSES), None, tag, headers, body.content if body else b""))

    def request(self) -> None:
        chance = self.chance
        dialog = self.some_dialog()
        answers = [each for each in dialog.peer.responses() if each.call_id == dialog.call_id]
        if dialog.caller and not answers:
            return
        rseq = chance.randrange(3)
        if dialog.caller:
            rseq = int(answers[-1].get("RSeq") or rseq)
        else:
            dialog.local_tag = chance.choice(("one", "one", "two"))
        headers = [("RAck", f"{rseq} 1 INVITE")]
        if chance.random() < 0.3:
            headers.append(("Session-Expires", chance.choice(("90", "20", "1800;refresher=uac"))))
            headers.append(("Supported", "timer"))
        cseq = chance.choice((0, 0, 0, 0, 1, 2, 9))
        dialog.request(chance.choice(METHODS), chance.choice(BODIES), headers=headers, cseq=cseq)

    def acknowledge(self) -> None:
        dialog = self.some_dialog()
        if not dialog.caller:
            if dialog.sequence > 1:
                dialog.local_tag = "one"
                dialog.ack(cseq=dialog.sequence)
            return
        answers = [each for each in dialog.peer.responses(above=199) if each.call_id == dialog.call_id]
        if not answers:
            return
        answer = self.chance.choice(answers)
        if answer.status < 300:
            dialog.ack(self.chance.choice((None, OTHER_SDP)), cseq=answer.cseq.number)
        elif answer.cseq.number == 1:
            dialog.ack_failure()

    def cancel(self) -> None:
        dialog = self.some_dialog()
        if dialog.caller:
            dialog.cancel()

    def repeat(self) -> None:
        """The network delivers an old packet once more."""
        packets = self.wire.world.log
        if packets:
            _, flow, data = self.chance.choice(packets)
            self.wire.world.send(flow, data)

    def window(self) -> None:
        calls = list(self.wire.switch.calls)
        if calls and self.chance.random() < 0.3:
            self.wire.switch.hang_up(self.chance.choice(calls))

    def configure(self) -> None:
        made = document() if self.chance.random() < 0.5 else {}
        self.wire.switch.configure(read_document(made, Configuration(), replace=True))

    def fail(self) -> None:
        peer: RawPeer = self.chance.choice(self.peers)
        self.wire.switch.flow_failed(Flow("udp", *SERVER, peer.host, peer.port))


def answered_twice(story: Story) -> list[str]:
    """Requests that got two different final answers. (A CANCEL may come again after its INVITE is over.)"""
    finals: dict[str, set[int]] = {}
    for peer in story.peers:
        for response in peer.received:
            if isinstance(response, Response) and response.status >= 200 and response.cseq.method != "CANCEL":
                finals.setdefault(f"{response.via.branch} {response.cseq.method}", set()).add(response.status)
    return [key for key, statuses in finals.items() if len(statuses) > 1]


@pytest.mark.parametrize("block", range(10))
def test_whatever_peers_do(block: int) -> None:
    for seed in range(block * STORIES // 10, (block + 1) * STORIES // 10):
        story = Story(seed)
        w = story.wire
        w.world.keep_log = True
        story.tell()
        switch = w.switch
        where = f"seed {seed}"
        assert not switch.calls, where
        assert switch.counters.total == 0, where
        assert not switch.endpoint.dialogs, where
        assert switch.endpoint.transactions == 0, where
        assert switch.endpoint.timers == 0, where
        assert not switch.endpoint._users, where
        assert not switch.endpoint._flows, where
        assert not switch._cancellable, where
        assert len(w.world.deadlines) == 0, where
        ended = w.world.recorder.ended
        assert len({record.id for record in ended}) == len(ended) == switch.metrics.begun, where
        assert {record.id for record in w.world.recorder.started} <= {record.id for record in ended}, where
        for record in ended:
            assert record.status >= 200, where
            assert record.end_cause and record.ended_by, where
            assert (record.answered > 0) is (record.status == 200), where
        if not story.repeats:
            assert not answered_twice(story), where
