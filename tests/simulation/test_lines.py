"""External lines against a simulated provider: registration, refresh, back-off, calls, and no leaked digest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from simulation.world import Peer, Plan, World

from app.calls.destinations import Place
from app.calls.switch import Switch
from app.events import Alarm, LineState, Severity
from app.records import Configuration
from app.records.document import read_document
from app.sip.auth import AuthOutcome, DigestServer
from app.sip.endpoint import new_tag
from app.sip.flow import Flow, TransportName
from app.sip.message import Request, Response
from app.sip.transaction import Key

PROVIDER = "198.51.100.1"
PASSWORDS = {"line1": "line1pw", "line2": "line1pw", "auth@carrier.test": "authpw"}


class Provider(Peer):
    """A registrar and carrier that wants a digest for everything."""

    def __init__(self, world: World, host: str = PROVIDER, realm: str = "carrier.test") -> None:
        super().__init__(world, host)
        self.digest = DigestServer(realm, b"secret" * 4)
        self.registered: list[tuple[str, int]] = []
        self.status = 0
        """Answer this to every REGISTER instead."""
        self.minimum = 0

    def on_request(self, key: Key, request: Request, source: Flow) -> None:
        if request.method not in ("REGISTER", "INVITE"):
            super().on_request(key, request, source)
            return
        if request.method == "REGISTER" and self.status:
            self.received.append(request)
            self.endpoint.respond(key, request.answer(self.status, None, new_tag()))
            return
        name = "Authorization" if request.method == "REGISTER" else "Proxy-Authorization"
        value = request.get(name)
        if value is not None:
            result = self.digest.check(value, request.method, request.uri_text, PASSWORDS.get, self.world.now, name)
            if result.outcome is AuthOutcome.OK:
                self._accepted(key, request, source)
                return
            if result.outcome is AuthOutcome.FAILED:
                self.endpoint.respond(key, request.answer(403, None, new_tag()))
                return
        challenge, status = ("WWW-Authenticate", 401) if request.method == "REGISTER" else ("Proxy-Authenticate", 407)
        headers = [(challenge, text) for text in self.digest.challenge(self.world.now)]
        self.received.append(request)
        self.endpoint.respond(key, request.answer(status, None, new_tag(), headers))

    def _accepted(self, key: Key, request: Request, source: Flow) -> None:
        if request.method == "INVITE":
            super().on_request(key, request, source)
            return
        self.received.append(request)
        expires = request.expires or 0
        if self.minimum and 0 < expires < self.minimum:
            headers = [("Min-Expires", str(self.minimum))]
            self.endpoint.respond(key, request.answer(423, None, new_tag(), headers))
            return
        self.registered.append((str(request.contacts[0].uri), expires))
        headers = [("Contact", f"{request.get('Contact')};expires={expires}")]
        self.endpoint.respond(key, request.answer(200, None, new_tag(), headers))


def document(**line: Any) -> dict[str, object]:
    record = {
        "id": 1,
        "account": "line1",
        "password": "line1pw",
        "domain": "carrier.test",
        "server_address": PROVIDER,
        "local_user": "100",
        **line,
    }
    return {
        "external_lines": [record],
        "local_users": [{"number": "100", "password": "secret100"}],
        "sip_trunks": [{"id": 1, "server_address": "192.0.2.7"}],
    }


def state_of(switch: Switch) -> LineState:
    return switch.lines.rows()[0].state


def test_a_provider_that_is_not_heard_is_asked_again_within_a_minute_however_long_it_lasts() -> None:
    """The outage may be this side's own, and nobody says when it is over."""
    world = World()
    provider = Provider(world)
    switch = world.switch(document(register_expires=120))
    world.advance(2)
    world.dead.add(PROVIDER)
    for outage in (300, 3600, 7200):
        world.advance(outage)
        assert state_of(switch) is LineState.RETRYING
        world.dead.clear()
        registered = len(provider.registered)
        world.advance(55)
        assert len(provider.registered) > registered
        assert state_of(switch) is LineState.REGISTERED
        world.dead.add(PROVIDER)


def test_a_provider_that_says_not_now_is_asked_less_and_less() -> None:
    """It was heard, and a crowd that comes back every minute does not help it."""
    world = World()
    provider = Provider(world)
    provider.status = 503
    world.switch(document())
    world.advance(3600)
    provider.received.clear()
    world.advance(3600)
    assert 6 <= len(provider.received) <= 12


def test_a_line_registers_and_refreshes() -> None:
    world = World()
    provider = Provider(world)
    switch = world.switch(document(register_expires=120))
    world.advance(2)
    assert state_of(switch) is LineState.REGISTERED
    assert provider.received[0].uri_text == "sip:carrier.test"
    assert provider.registered == [("sip:line1@10.0.0.5:5060", 120)]
    assert switch.lines.rows()[0].expires_at == pytest.approx(world.now + 118, abs=1)
    world.advance(600)
    assert 6 <= len(provider.registered) <= 12
    assert state_of(switch) is LineState.REGISTERED
    switch.close()
    world.advance(2)
    assert provider.registered[-1][1] == 0


def test_the_way_from_a_provider_is_kept_open_while_the_line_is_registered() -> None:
    """RFC 5626 4.4: NATs forget; lines at the same provider share the way, and the last one closes it."""
    world = World()
    Provider(world)
    two = document()
    two["external_lines"] = [{**two["external_lines"][0], "id": number} for number in (1, 2)]  # type: ignore[index]
    switch = world.switch(two)
    kept = world.ways["10.0.0.5", 5060].kept_alive
    world.advance(2)
    assert list(kept) == [Flow("udp", "10.0.0.5", 5060, PROVIDER, 5060)]
    two["external_lines"] = [{**two["external_lines"][0], "enabled": False}, two["external_lines"][1]]  # type: ignore[index]
    switch.configure(read_document(two, Configuration(), replace=True))
    assert len(kept) == 1
    switch.close()
    assert not kept


def test_a_line_whose_connection_ends_registers_again_soon() -> None:
    world = World()
    provider = Provider(world)
    switch = world.switch(document())
    world.advance(2)
    stream = Flow("tcp", "10.0.0.5", 5060, PROVIDER, 5060, 7)
    switch.lines._watches[1].kept = stream
    switch.flow_failed(stream._replace(connection=8))
    world.advance(6)
    assert len(provider.registered) == 1
    switch.flow_failed(stream)
    world.advance(6)
    assert len(provider.registered) == 2
    assert switch.lines.rows()[0].state is LineState.REGISTERED


def test_the_authorization_id_may_name_a_domain() -> None:
    world = World()
    provider = Provider(world)
    switch = world.switch(document(authorization_id="auth@carrier.test", password="authpw"))
    world.advance(2)
    assert state_of(switch) is LineState.REGISTERED
    assert provider.registered[0][0] == "sip:line1@10.0.0.5:5060"


def test_a_wrong_password_is_said_and_not_hammered() -> None:
    world = World()
    provider = Provider(world)
    switch = world.switch(document(password="wrong"))
    world.advance(2)
    (row,) = switch.lines.rows()
    assert row.state is LineState.REJECTED
    assert row.last_status == 403
    assert "403" in row.reason
    before = len(provider.received)
    world.advance(20)
    assert len(provider.received) == before


def test_a_silent_provider_is_tried_again_with_growing_pauses() -> None:
    world = World()
    switch = world.switch(document())
    world.advance(40)
    (row,) = switch.lines.rows()
    assert row.state is LineState.RETRYING
    assert row.reason == "no answer from the server"
    assert row.expires_at > world.now
    provider = Provider(world)
    world.advance(60)
    assert state_of(switch) is LineState.REGISTERED
    assert provider.registered


def test_a_line_that_is_lost_is_said_once_and_so_is_its_return() -> None:
    world = World()
    provider = Provider(world)
    switch = world.switch(document(register_expires=60))
    alarms: list[Alarm] = []
    switch.events.subscribe(Alarm, alarms.append)
    world.advance(2)
    assert state_of(switch) is LineState.REGISTERED
    del world.receivers[PROVIDER, 5060]
    world.advance(45)
    assert not alarms, "it could not be refreshed, but it still holds"
    world.advance(300)
    assert [(alarm.code, alarm.cleared, alarm.severity) for alarm in alarms] == [("line_down", False, Severity.ERROR)]
    assert alarms[0].text == "External line 1 - line1@carrier.test is not registered: no answer from the server"
    Provider(world)
    world.advance(60)
    assert [alarm.cleared for alarm in alarms] == [False, True]
    assert alarms[1].text == "External line 1 - line1@carrier.test is registered again"
    assert provider.registered


@pytest.mark.parametrize("is_known", [True, False], ids=["found", "not found"])
def test_a_name_that_is_being_looked_up_is_no_alarm(is_known: bool) -> None:
    world = World()
    Provider(world)

    def lookup(
        name: str, port: int | None, transport: TransportName, done: Callable[[tuple[Place, ...], str], bool]
    ) -> None:
        places = (Place("udp", PROVIDER, 5060),) if is_known else ()
        world.at(2.0, lambda: bool(done(places, "" if is_known else "there is no such name")))

    world.lookup = lookup
    alarms: list[Alarm] = []
    world.events.subscribe(Alarm, alarms.append)
    switch = world.switch(document(server_address="carrier.test"))
    world.advance(1.9)
    assert not alarms
    world.advance(20)
    if is_known:
        assert not alarms and state_of(switch) is LineState.REGISTERED
    else:
        (alarm,) = alarms
        assert "DNS: there is no such name" in alarm.text


@pytest.mark.parametrize("change", [None, {"enabled": False}], ids=["deleted", "disabled"])
def test_the_alarm_of_a_line_ends_with_it(change: dict[str, Any] | None) -> None:
    world = World()
    Provider(world)
    switch = world.switch(document(password="wrong"))
    alarms: list[Alarm] = []
    switch.events.subscribe(Alarm, alarms.append)
    world.advance(2)
    assert [alarm.cleared for alarm in alarms] == [False]
    wanted = {**document(), "external_lines": []} if change is None else document(password="wrong", **change)
    switch.configure(read_document(wanted, Configuration(), replace=True))
    assert [alarm.cleared for alarm in alarms] == [False, True]


def test_a_new_password_registers_at_once_in_place_of_the_old_registration() -> None:
    """No farewell: one that is repeated late would take the new registration away."""
    world = World()
    provider = Provider(world)
    switch = world.switch(document())
    world.advance(2)
    changed = document(authorization_id="auth@carrier.test", password="authpw")
    switch.configure(read_document(changed, Configuration(), replace=True))
    world.advance(1)
    assert [expires for _, expires in provider.registered] == [300, 300]
    assert len({request.call_id for request in provider.received}) == 1
    assert state_of(switch) is LineState.REGISTERED


@pytest.mark.parametrize(
    "change", [{"account": "line2"}, {"enabled": False}, {"server_address": "198.51.100.2"}, None], ids=str
)
def test_a_registration_that_is_no_longer_wanted_is_taken_back(change: dict[str, Any] | None) -> None:
    """Also where the record is gone, and with it the server's address."""
    world = World()
    provider = Provider(world)
    switch = world.switch(document())
    world.advance(2)
    wanted = document() | {"external_lines": []} if change is None else document(**change)
    switch.configure(read_document(wanted, Configuration(), replace=True))
    world.advance(1)
    assert ("sip:line1@10.0.0.5:5060", 0) in provider.registered
    assert ("sip:line2@10.0.0.5:5060", 300) in provider.registered or change != {"account": "line2"}


@pytest.mark.parametrize("status", [503, 500, 408])
def test_a_provider_in_trouble_does_not_reject_the_account(status: int) -> None:
    world = World()
    provider = Provider(world)
    provider.status = status
    switch = world.switch(document())
    world.advance(1)
    assert state_of(switch) is LineState.RETRYING
    assert str(status) in switch.lines.rows()[0].reason
    provider.status = 0
    world.advance(6)
    assert state_of(switch) is LineState.REGISTERED


def test_a_longer_time_is_asked_for_when_the_provider_wants_it() -> None:
    world = World()
    provider = Provider(world)
    provider.minimum = 600
    switch = world.switch(document(register_expires=60))
    world.advance(3)
    assert state_of(switch) is LineState.REGISTERED
    assert provider.registered == [("sip:line1@10.0.0.5:5060", 600)]


def answers_by(provider: Provider, change: Callable[[Request, Response], Response]) -> None:
    """Have the provider's answers to REGISTER changed by something on the way."""
    respond = provider.endpoint.respond

    def changed(key: Key, response: Response) -> None:
        respond(key, change(provider.received[-1], response))

    provider.endpoint.respond = changed  # type: ignore[method-assign]


def test_a_router_that_changes_sip_is_named() -> None:
    """SIP ALG: it rewrites the Via of our REGISTER, and does not put it right in the answer."""
    world = World()
    provider = Provider(world)

    def meddle(_request: Request, response: Response) -> Response:
        response.replace("Via", (response.get("Via") or "").replace("10.0.0.5:5060", "203.0.113.7:61000"))
        return response

    answers_by(provider, meddle)
    switch = world.switch(document())
    world.advance(3)
    row = switch.lines.rows()[0]
    assert row.state is LineState.REGISTERED
    assert "SIP ALG" in row.reason
    assert "10.0.0.5:5060 became 203.0.113.7:61000" in row.reason


@pytest.mark.parametrize(
    ("service_route", "route"),
    [
        ("<sip:edge.carrier.test;lr>, <sip:orig@core.carrier.test:5070;lr>", True),
        ("<sip:edge.carrier.test>", False),
        ("rubbish <<<", False),
        (", ".join(f"<sip:{number}.test;lr>" for number in range(9)), False),
    ],
)
def test_calls_go_through_the_proxies_that_the_registration_named(service_route: str, route: bool) -> None:
    """RFC 3608: an IMS provider finds the line's service by it."""
    world = World()
    provider = Provider(world)

    def routed(request: Request, response: Response) -> Response:
        if request.method == "REGISTER" and response.status == 200:
            response.add("Service-Route", service_route)
        return response

    answers_by(provider, routed)
    switch = world.switch(
        {**document(), "analyze_called_numbers": [{"prefix": "8", "route_type": "external_line", "target_id": 1}]}
    )
    world.advance(3)
    assert state_of(switch) is LineState.REGISTERED
    Peer(world, "192.0.2.7").call("8123", Plan(hang_up_after=1.0))
    world.advance(20)
    invites = [each for each in provider.received if each.method == "INVITE"]
    expected = service_route.split(", ") if route else []
    assert [each.get_all("Route") for each in invites] == [expected] * len(invites)
    assert len(invites) >= 2, "the one that answers the challenge has it, too"
    (record,) = world.recorder.ended
    assert record.status == 200


def test_a_provider_that_wants_a_longer_time_but_says_no_time_is_not_asked_the_same_again_at_once() -> None:
    world = World()
    provider = Provider(world)
    provider.status = 423
    switch = world.switch(document())
    world.advance(3)
    assert state_of(switch) is LineState.REJECTED
    assert len(provider.received) <= 2


def test_where_the_account_has_moved_is_told_and_not_followed() -> None:
    world = World()
    provider = Provider(world)
    provider.status = 302

    def moved(_request: Request, response: Response) -> Response:
        response.add("Contact", "<sip:new.carrier.test:5070>")
        return response

    answers_by(provider, moved)
    switch = world.switch(document())
    world.advance(3)
    row = switch.lines.rows()[0]
    assert row.state is LineState.REJECTED
    assert row.reason == "the provider says that this account is at sip:new.carrier.test:5070 (302 Moved Temporarily)"


@pytest.mark.parametrize(("status", "name"), [(302, "Contact"), (200, "Service-Route")])
def test_a_header_of_the_provider_that_cannot_be_read_says_nothing(status: int, name: str) -> None:
    world = World()
    provider = Provider(world)
    provider.status = status

    def broken(_request: Request, response: Response) -> Response:
        if response.status == status:
            response.add(name, '"never closed <sip:new.carrier.test')
        return response

    answers_by(provider, broken)
    switch = world.switch(document())
    world.advance(3)
    row = switch.lines.rows()[0]
    expected = (LineState.REGISTERED, "registered") if status == 200 else (LineState.REJECTED, "302 Moved Temporarily")
    assert (row.state, row.reason) == expected


def test_a_call_through_the_line_answers_the_challenge_of_its_provider() -> None:
    world = World()
    provider, phone = Provider(world), Peer(world, "10.0.0.100")
    switch = world.switch(document())
    phone.register("100", "secret100")
    world.advance(2)
    talk = phone.call("9030123", Plan(hang_up_after=2), caller_number="100", password=("100", "secret100"))
    world.advance(5)
    assert talk.status == 200
    invite = provider.received[-1]
    assert invite.uri_text == "sip:030123@carrier.test"
    assert invite.from_.uri is not None
    assert str(invite.from_.uri) == "sip:line1@carrier.test"
    world.advance(100)
    assert switch.counters.total == 0
    assert world.recorder.ended[0].target == "line:1"


def test_no_digest_for_another_realm() -> None:
    world = World()
    provider, phone = Provider(world), Peer(world, "10.0.0.100")
    world.switch(document())
    phone.register("100", "secret100")
    world.advance(2)
    provider.digest = DigestServer("evil.example", b"other" * 4)
    talk = phone.call("9030123", Plan(), caller_number="100", password=("100", "secret100"))
    world.advance(5)
    assert talk.status == 407 or talk.status >= 400
    assert not any(request.get("Proxy-Authorization") for request in provider.received)


def test_an_incoming_call_rings_the_lines_user() -> None:
    world = World()
    provider, phone = Provider(world), Peer(world, "10.0.0.100")
    switch = world.switch(document())
    phone.register("100", "secret100")
    world.advance(2)
    talk = provider.call("line1", Plan(hang_up_after=2), caller_number="030999")
    world.advance(5)
    assert talk.status == 200
    assert len(phone.conversations) == 1
    world.advance(100)
    assert switch.counters.total == 0
    assert world.recorder.ended[0].source == "line:1"


def test_a_line_that_is_not_registered_is_passed_over() -> None:
    world = World()
    provider, phone = Provider(world), Peer(world, "10.0.0.100")
    provider.status = 403
    world.switch(document())
    phone.register("100", "secret100")
    world.advance(2)
    talk = phone.call("9030123", Plan(), caller_number="100", password=("100", "secret100"))
    world.advance(3)
    assert talk.status == 503
    (record,) = world.recorder.ended
    assert "not registered" in record.attempts[0].reason


def test_a_new_address_of_this_server_is_told_at_once() -> None:
    """The old Contact is taken back: it would ring at nobody."""
    world = World()
    provider = Provider(world)
    switch = world.switch(document())
    world.advance(2)
    changed = document() | {"system": {"external_signalling_address": "192.0.2.99"}}
    switch.configure(read_document(changed, Configuration(), replace=True))
    world.advance(1)
    assert sorted(provider.registered[1:]) == [("sip:line1@10.0.0.5:5060", 0), ("sip:line1@192.0.2.99:5060", 300)]
    assert state_of(switch) is LineState.REGISTERED
    switch.configure(read_document(changed, Configuration(), replace=True))
    world.advance(1)
    assert len(provider.registered) == 3
