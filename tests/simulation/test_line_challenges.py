"""Challenges of a line's provider inside a call: answered once, with the next number, and never for anybody else."""

from __future__ import annotations

import pytest
from simulation.raw import OTHER_SDP, RawDialog, RawPeer, calm_world
from simulation.test_lines import PROVIDER, document
from simulation.world import HOLD, SDP, Peer, Plan

from app.calls.leg_events import Body
from app.records import Configuration
from app.records.document import read_document
from app.sip.auth import AuthOutcome, DigestServer
from app.sip.message import Request, Response

DIGIT = Body("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n")


class Line:
    """A phone's call through an external line that has been answered; the provider is played by hand."""

    def __init__(self) -> None:
        self.world = world = calm_world()
        self.provider = RawPeer(world, PROVIDER)
        self.digest = DigestServer("carrier.test", b"secret" * 4)
        self.provider.on_message = self._register
        self.switch = world.switch(document())
        self.phone = Peer(world, "10.0.0.100")
        self.phone.register("100", "secret100")
        world.advance(2)
        self.talk = self.phone.call("9030123", Plan(), caller_number="100", password=("100", "secret100"))
        world.advance(0.1)
        self.challenge(self.provider.requests("INVITE")[-1], 407)
        self.invite = self.provider.requests("INVITE")[-1]
        self.dialog = RawDialog(self.provider, self.invite, caller=False)
        assert self.shown(self.invite, "Proxy-Authorization")
        self.dialog.respond(200, OTHER_SDP, headers=[("Allow", "INVITE, ACK, BYE, UPDATE, INFO")])
        world.advance(0.1)
        assert self.talk.status == 200

    def _register(self, message: Request | Response) -> None:
        if isinstance(message, Request) and message.method == "REGISTER":
            self.provider.send(message.answer(200, None, "registrar", [("Contact", message.get("Contact") or "")]))

    def challenge(self, request: Request, status: int, realm: str = "carrier.test") -> None:
        """Answer with a challenge."""
        name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
        digest = self.digest if realm == "carrier.test" else DigestServer(realm, b"another" * 4)
        headers = [(name, value) for value in digest.challenge(self.world.now)]
        self.provider.send(
            request.answer(status, None, self.dialog.local_tag if hasattr(self, "dialog") else "t", headers)
        )
        self.world.advance(0.05)

    def shown(self, request: Request, name: str, password: str = "line1pw") -> bool:
        """Whether a request carries the right credentials."""
        value = request.get(name)
        if value is None:
            return False
        found = self.digest.check(
            value, request.method, request.uri_text, {"line1": password}.get, self.world.now, name
        )
        return found.outcome is AuthOutcome.OK

    def settle(self) -> None:
        self.provider.on_message = self._finish
        for bye in self.provider.requests("BYE"):
            self.provider.ok(bye)
        self.world.advance(200)
        assert not self.switch.calls
        assert self.switch.counters.total == 0
        assert not self.switch.endpoint.dialogs
        assert self.switch.endpoint.transactions == 0
        assert len(self.world.recorder.ended) == 1

    def _finish(self, message: Request | Response) -> None:
        self._register(message)
        if isinstance(message, Request) and message.method == "BYE":
            self.provider.ok(message)


def test_the_ack_repeats_the_credentials_of_its_invite() -> None:
    """RFC 3261 22.1."""
    line = Line()
    ack = line.provider.requests("ACK")[-1]
    assert ack.cseq.number == line.invite.cseq.number
    assert ack.get("Proxy-Authorization") == line.invite.get("Proxy-Authorization")
    line.talk.hang_up()
    line.settle()


@pytest.mark.parametrize(("status", "name"), [(401, "Authorization"), (407, "Proxy-Authorization")])
def test_a_challenged_bye_is_sent_again_with_credentials(status: int, name: str) -> None:
    line = Line()
    line.talk.hang_up()
    line.world.advance(0.05)
    (bye,) = line.provider.requests("BYE")
    assert bye.get(name) is None
    line.challenge(bye, status)
    _, again = line.provider.requests("BYE")
    assert again.cseq.number == bye.cseq.number + 1
    assert again.via.branch != bye.via.branch
    assert line.shown(again, name)
    assert line.switch.endpoint.dialogs
    line.challenge(again, status)
    assert len(line.provider.requests("BYE")) == 2
    assert not line.switch.endpoint.dialogs
    line.settle()


def test_a_bye_is_not_answered_for_another_realm() -> None:
    line = Line()
    line.talk.hang_up()
    line.world.advance(0.05)
    line.challenge(line.provider.requests("BYE")[0], 407, realm="evil.example")
    assert len(line.provider.requests("BYE")) == 1
    line.settle()


@pytest.mark.parametrize("status", [401, 407])
def test_a_challenged_reinvite_is_sent_again(status: int) -> None:
    name = "Authorization" if status == 401 else "Proxy-Authorization"
    line = Line()
    assert line.talk.leg is not None
    line.talk.leg.offer("INVITE", HOLD)
    line.world.advance(0.05)
    first = line.provider.requests("INVITE")[-1]
    assert first.to.tag == line.dialog.local_tag
    line.challenge(first, status)
    again = line.provider.requests("INVITE")[-1]
    assert again.cseq.number == first.cseq.number + 1
    assert again.body == HOLD.content
    assert again.get("Contact") == first.get("Contact")
    assert line.shown(again, name)
    line.dialog.respond(200, SDP, request=again)
    line.world.advance(0.05)
    ack = line.provider.requests("ACK")[-1]
    assert ack.cseq.number == again.cseq.number
    assert ack.get(name) == again.get(name)
    assert line.talk.events[-1].body == SDP  # type: ignore[union-attr]
    line.talk.hang_up()
    line.settle()


def test_a_reinvite_that_is_challenged_twice_is_refused() -> None:
    """The peer that sent the offer gets 403: it could not show that password (RFC 3261 22.2)."""
    line = Line()
    assert line.talk.leg is not None
    line.talk.leg.offer("INVITE", HOLD)
    line.world.advance(0.05)
    for _ in range(2):
        line.challenge(line.provider.requests("INVITE")[-1], 407)
    assert len({each.via.branch for each in line.provider.requests("INVITE")}) == 4
    assert line.talk.events[-1].status == 403  # type: ignore[union-attr]
    assert len(line.switch.calls) == 1
    line.talk.hang_up()
    line.settle()


def test_challenged_info_and_update_are_sent_again() -> None:
    line = Line()
    leg = line.talk.leg
    assert leg is not None
    leg.inform(DIGIT, "")
    line.world.advance(0.05)
    line.challenge(line.provider.requests("INFO")[0], 407)
    first, again = line.provider.requests("INFO")
    assert again.body == DIGIT.content
    assert again.cseq.number == first.cseq.number + 1
    assert line.shown(again, "Proxy-Authorization")
    line.provider.ok(again)
    line.world.advance(0.05)
    assert line.talk.events[-1].status == 200  # type: ignore[union-attr]
    leg.offer("UPDATE", HOLD)
    line.world.advance(0.05)
    line.challenge(line.provider.requests("UPDATE")[0], 401)
    update = line.provider.requests("UPDATE")[-1]
    assert line.shown(update, "Authorization")
    line.dialog.respond(200, SDP, request=update)
    line.world.advance(0.05)
    assert line.talk.events[-1].body == SDP  # type: ignore[union-attr]
    line.talk.hang_up()
    line.settle()


def test_the_provider_hangs_up_while_a_challenge_is_being_answered() -> None:
    line = Line()
    assert line.talk.leg is not None
    line.talk.leg.offer("INVITE", HOLD)
    line.world.advance(0.05)
    first = line.provider.requests("INVITE")[-1]
    line.dialog.request("BYE")
    line.challenge(first, 407)
    line.world.advance(0.1)
    assert line.provider.statuses("BYE") == [200]
    for again in line.provider.requests("INVITE")[-1:]:
        if again.cseq.number > first.cseq.number:
            line.provider.send(again.answer(481))
    line.settle()


def test_a_cancel_after_a_challenge_waits_for_the_new_invite() -> None:
    """RFC 3261 9.1: the answer to the first INVITE says nothing of the second one."""
    world = calm_world()
    provider = RawPeer(world, PROVIDER)
    digest = DigestServer("carrier.test", b"secret" * 4)

    def register(message: Request | Response) -> None:
        if isinstance(message, Request) and message.method == "REGISTER":
            provider.send(message.answer(200, None, "registrar", [("Contact", message.get("Contact") or "")]))

    provider.on_message = register
    switch = world.switch(document())
    phone = Peer(world, "10.0.0.100")
    phone.register("100", "secret100")
    world.advance(2)
    talk = phone.call("9030123", Plan(), caller_number="100", password=("100", "secret100"))
    world.advance(0.1)
    headers = [("Proxy-Authenticate", value) for value in digest.challenge(world.now)]
    provider.send(provider.requests("INVITE")[-1].answer(407, None, "t", headers))
    world.advance(0.05)
    talk.give_up()
    world.advance(0.4)
    assert switch.calls == {}
    assert not provider.requests("CANCEL")
    second = provider.requests("INVITE")[-1]
    provider.send(second.answer(100))
    world.advance(0.05)
    cancel = provider.requests("CANCEL")[0]
    assert cancel.via.branch == second.via.branch
    provider.ok(cancel)
    provider.send(second.answer(487, None, "t"))
    world.advance(100)
    assert switch.endpoint.transactions == 0
    assert world.recorder.ended[0].end_cause == "cancelled"


def test_a_call_that_is_challenged_in_the_name_of_somebody_else_says_so() -> None:
    """A password is for the provider's own realms; who reads the record sees why it was not given."""
    world = calm_world()
    provider = RawPeer(world, PROVIDER)

    def answer(message: Request | Response) -> None:
        if isinstance(message, Request) and message.method == "REGISTER":
            provider.send(message.answer(200, None, "registrar", [("Contact", message.get("Contact") or "")]))
        elif isinstance(message, Request) and message.method == "INVITE":
            challenges = DigestServer("evil.example", b"another" * 4).challenge(world.now)
            provider.send(message.answer(407, None, "t", [("Proxy-Authenticate", value) for value in challenges]))

    provider.on_message = answer
    world.switch(document())
    phone = Peer(world, "10.0.0.100")
    phone.register("100", "secret100")
    world.advance(2)
    talk = phone.call("9030123", Plan(), caller_number="100", password=("100", "secret100"))
    world.advance(60)
    assert talk.status == 403
    assert len(provider.requests("INVITE")) == 1
    (record,) = world.recorder.ended
    assert "it gets no password: its realm 'evil.example'" in record.trail[-1]


def test_a_provider_that_falls_silent_after_its_challenge_is_given_up_in_time() -> None:
    """first_response_timeout counts anew for the INVITE with the password."""
    world = calm_world()
    provider = RawPeer(world, PROVIDER)
    digest = DigestServer("carrier.test", b"secret" * 4)

    def register(message: Request | Response) -> None:
        if isinstance(message, Request) and message.method == "REGISTER":
            provider.send(message.answer(200, None, "registrar", [("Contact", message.get("Contact") or "")]))

    provider.on_message = register
    switch = world.switch(document(first_response_timeout=3))
    phone = Peer(world, "10.0.0.100")
    phone.register("100", "secret100")
    world.advance(2)
    talk = phone.call("9030123", Plan(), caller_number="100", password=("100", "secret100"))
    world.advance(2)
    headers = [("Proxy-Authenticate", value) for value in digest.challenge(world.now)]
    provider.send(provider.requests("INVITE")[0].answer(407, None, "t", headers))
    world.advance(2.5)
    assert talk.status == 0
    world.advance(1)
    assert talk.status == 408
    world.advance(100)
    assert switch.endpoint.transactions == 0
    assert not switch.endpoint.dialogs


def test_a_line_that_is_deleted_during_its_call_can_still_hang_up() -> None:
    line = Line()
    line.switch.configure(Configuration())
    line.talk.hang_up()
    line.world.advance(0.05)
    line.challenge(line.provider.requests("BYE")[0], 407)
    _, again = line.provider.requests("BYE")
    assert line.shown(again, "Proxy-Authorization")
    line.settle()


@pytest.mark.parametrize(
    ("changed", "right"),
    [
        ({"password": "newpw"}, "newpw"),
        ({"domain": "other.test", "server_address": "198.51.100.77", "password": "otherpw"}, "line1pw"),
    ],
)
def test_a_line_that_is_changed_during_its_call(changed: dict[str, str], right: str) -> None:
    """The old provider is shown the password for it, never the one that the line has at another provider now."""
    line = Line()
    line.switch.configure(read_document(document(**changed), Configuration(), replace=True))
    line.talk.hang_up()
    line.world.advance(0.05)
    line.challenge(line.provider.requests("BYE")[0], 407)
    _, again = line.provider.requests("BYE")
    assert line.shown(again, "Proxy-Authorization", right)
    line.settle()
