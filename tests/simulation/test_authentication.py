"""Who may call and register: trunks and lines by address, users by digest; what strangers learn, and who is noted."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import SERVER, RawPeer, Wire
from simulation.test_calls import trunks
from simulation.world import Peer, Plan

from app.calls.challenges import answer_challenge
from app.calls.unanswered import MAXIMUM_WAITING, PATIENCE
from app.events import SourceRejected
from app.records import Configuration
from app.records.document import read_document
from app.sip.endpoint import new_call_id, new_tag
from app.sip.message import Request, Response

STRANGER = "203.0.113.5"


def document(**system: Any) -> dict[str, object]:
    made = trunks()
    made["system"] = system
    made["local_users"] = [
        {"number": "100", "password": "secret100", "display_name": "Anna"},
        {"number": "101", "password": "secret101", "enabled": False},
        {"number": "102", "password": ""},
        {"number": "103", "password": "secret103", "trusted_address": "10.0.0.103"},
    ]
    return made


class Door:
    """The switch, and a raw peer at an address that is nobody's."""

    def __init__(self, host: str = STRANGER, **system: Any) -> None:
        self.wire = Wire(document(**system))
        self.peer = RawPeer(self.wire.world, host)
        self.sequence = 0

    def ask(
        self,
        method: str,
        *,
        from_user: str = "100",
        from_host: str = SERVER[0],
        to: str = "100",
        headers: tuple[tuple[str, str], ...] = (),
        user_agent: str = "",
        call_id: str = "",
    ) -> Request:
        """Send a request outside any dialog."""
        self.sequence += 1
        peer = self.peer
        uri = f"sip:{SERVER[0]}" if method == "REGISTER" else f"sip:{to}@{SERVER[0]}"
        lines = [
            ("Via", peer.via()),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{from_user}@{from_host}>;tag={new_tag()}"),
            ("To", f"<sip:{to}@{SERVER[0]}>"),
            ("Call-ID", call_id or new_call_id()),
            ("CSeq", f"{self.sequence} {method}"),
            ("Contact", f"<sip:{from_user}@{peer.host}:{peer.port}>"),
            *headers,
            *([("User-Agent", user_agent)] if user_agent else []),
        ]
        request = Request(method, uri, lines)
        peer.send(request)
        self.wire.advance()
        return request

    def answer(self) -> Response:
        """The newest response."""
        return [each for each in self.peer.received if isinstance(each, Response)][-1]

    def log_in(self, method: str, username: str, password: str, **options: Any) -> Response:
        """Ask, take the challenge, and ask again with a password."""
        call_id = new_call_id()
        first = self.ask(method, call_id=call_id, **options)
        assert self.answer().status == 401
        credentials = answer_challenge(first, self.answer(), username, password)
        assert credentials is not None
        self.ask(method, call_id=call_id, headers=(credentials,), **options)
        return self.answer()


# --- what is told to whom ---------------------------------------------------------------------------------------------


def shape(response: Response) -> list[tuple[str, int]]:
    """Names and lengths of the headers, in order: what an observer could tell two answers apart by."""
    return [(name, len(value)) for name, value in response.headers]


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_nobody_can_find_out_which_users_exist(method: str) -> None:
    """Known, unknown, disabled and password-less users: challenge and refusal are the same to the last length."""
    shapes: set[tuple[Any, ...]] = set()
    for number in ("100", "999", "101", "102"):
        door = Door(ban_failures=0)
        refused = door.log_in(method, number, "wrong", from_user=number, to=number)
        challenge = next(each for each in door.peer.received if isinstance(each, Response) and each.status == 401)
        shapes.add((challenge.status, *shape(challenge), refused.status, refused.reason, *shape(refused), refused.body))
        assert refused.status == 403
    assert len(shapes) == 1


@pytest.mark.parametrize("number", ["100", "999"])
def test_an_empty_password_never_lets_in(number: str) -> None:
    door = Door()
    assert door.log_in("REGISTER", number, "", from_user=number, to=number).status == 403
    assert door.log_in("REGISTER", "102", "", from_user="102", to="102").status == 403


def test_both_algorithms_are_offered_the_strong_one_first() -> None:
    door = Door()
    door.ask("REGISTER")
    values = door.answer().get_all("WWW-Authenticate")
    assert [("SHA-256" in value, "MD5" in value) for value in values] == [(True, False), (False, True)]
    assert all('realm="trunkline"' in value and 'qop="auth"' in value for value in values)


def test_the_realm_is_the_domain() -> None:
    door = Door(domain="pbx.example")
    door.ask("REGISTER", from_host="pbx.example")
    assert 'realm="pbx.example"' in (door.answer().get("WWW-Authenticate") or "")


def test_credentials_cannot_be_used_again() -> None:
    door = Door()
    call_id = new_call_id()
    first = door.ask("REGISTER", call_id=call_id)
    credentials = answer_challenge(first, door.answer(), "100", "secret100")
    assert credentials is not None
    door.ask("REGISTER", headers=(credentials,), call_id=call_id)
    assert door.answer().status == 200
    door.ask("REGISTER", headers=(credentials,), call_id=call_id)
    assert door.answer().status == 401
    assert "stale=true" in (door.answer().get("WWW-Authenticate") or "")
    assert not door.wire.switch.rejected.rows()


def test_credentials_of_another_request_do_not_fit() -> None:
    door = Door()
    first = door.ask("REGISTER")
    credentials = answer_challenge(first, door.answer(), "100", "secret100")
    assert credentials is not None
    door.ask("INVITE", to="135550", headers=(credentials,))
    assert door.answer().status == 403
    assert not door.wire.carrier.received


def test_a_nonce_grows_old() -> None:
    door = Door()
    first = door.ask("REGISTER")
    credentials = answer_challenge(first, door.answer(), "100", "secret100")
    assert credentials is not None
    door.wire.advance(61)
    door.ask("REGISTER", headers=(credentials,))
    assert "stale=true" in (door.answer().get("WWW-Authenticate") or "")


def test_one_user_cannot_register_another() -> None:
    door = Door()
    assert door.log_in("REGISTER", "100", "secret100", to="103").status == 403
    assert door.wire.switch.registrar.count("103") == 0
    assert "another number" in door.wire.switch.rejected.rows()[0].reason


def test_the_number_that_showed_its_password_is_the_caller() -> None:
    """Whatever the phone writes into From (a toll fraud's first try)."""
    w = Wire(document())
    phone = Peer(w.world, "10.0.0.50")
    phone.call("135550", Plan(cancel_after=1), caller_number="5550000", password=("100", "secret100"))
    w.advance(0.2)
    invite = w.carrier.incoming().invite
    assert invite.from_.uri is not None
    assert invite.from_.uri.username == "100"
    assert invite.from_.display == "Anna"
    w.carrier.incoming().respond(100)
    w.advance(0.1)
    (call,) = w.switch.calls.values()
    assert call.source.name == "user:100"
    assert call.request.caller_number == "100"


def test_a_trusted_address_needs_no_password() -> None:
    door = Door("10.0.0.103")
    door.ask("INVITE", from_user="whoever", to="135550")
    assert door.wire.carrier.incoming().invite.from_.uri is not None
    (call,) = door.wire.switch.calls.values()
    assert call.source.name == "user:103"


def test_a_phone_that_is_registered_may_write_any_from_host() -> None:
    """Its domain may be its own idea: the address it registered from shows that it is worth a challenge."""
    door = Door()
    door.ask("INVITE", from_host="elsewhere.example", to="135550")
    assert door.answer().status == 403
    assert door.log_in("REGISTER", "100", "secret100").status == 200
    door.ask("INVITE", from_host="elsewhere.example", to="135550")
    assert door.answer().status == 401


def test_a_removed_or_changed_user_is_out_at_once() -> None:
    door = Door()
    assert door.log_in("REGISTER", "100", "secret100").status == 200
    assert door.wire.switch.registrar.count("100") == 1
    changed = document()
    changed["local_users"] = []
    door.wire.switch.configure(read_document(changed, Configuration(), replace=True))
    assert door.wire.switch.registrar.count("100") == 0
    assert door.log_in("REGISTER", "100", "secret100").status == 403


# --- trunks by address ------------------------------------------------------------------------------------------------


def test_trunk_by_address_and_port_then_address_then_longest_network() -> None:
    made = document()
    made["sip_trunks"] = [
        {"id": 1, "server_address": "192.0.2.8"},
        {"id": 4, "server_address": "198.51.100.1", "server_port": 5060},
        {"id": 5, "server_address": "198.51.100.1", "server_port": 5080},
        {"id": 6, "server_address": "198.51.100.9", "trusted_networks": ["203.0.113.0/24"]},
        {"id": 7, "server_address": "198.51.100.9", "trusted_networks": ["203.0.113.0/28"]},
    ]
    w = Wire(made)
    for host, port, expected in (
        ("198.51.100.1", 5060, 4),
        ("198.51.100.1", 5080, 5),
        ("198.51.100.1", 9999, 4),
        ("203.0.113.200", 5060, 6),
        ("203.0.113.3", 5060, 7),
        ("198.51.100.9", 5060, 6),
    ):
        peer = RawPeer(w.world, host, port)
        up = peer.invite("135550")
        w.advance()
        (call,) = w.switch.calls.values()
        assert call.source.name == f"trunk:{expected}", (host, port)
        up.cancel()
        w.carrier.incoming().respond(487)
        w.advance()


@pytest.mark.parametrize(("enabled", "status"), [(True, []), (False, [403])])
def test_a_disabled_trunk_is_a_stranger_and_the_reason_says_so(enabled: bool, status: list[int]) -> None:
    made = document()
    made["sip_trunks"][2]["enabled"] = enabled  # type: ignore[index]
    w = Wire(made)
    w.caller.invite("135550")
    w.advance()
    assert w.caller.statuses() == status
    if not enabled:
        assert w.switch.rejected.rows()[0].reason == "SIP trunk 3 is disabled"


# --- strangers --------------------------------------------------------------------------------------------------------


def test_a_stranger_gets_403_and_is_listed_with_reason_and_count() -> None:
    door = Door()
    rows: list[SourceRejected] = []
    door.wire.world.events.subscribe(SourceRejected, rows.append)
    for _ in range(3):
        door.ask("INVITE", from_host="elsewhere.example", to="135550", user_agent="Acme 1.0")
    assert [each.status for each in door.peer.received if isinstance(each, Response)].count(403) == 3
    (row,) = door.wire.switch.rejected.rows()
    assert (row.address, row.count, row.called_number, row.user_agent) == (STRANGER, 3, "135550", "Acme 1.0")
    assert row.reason == "no SIP trunk, external line or trusted user has this address"
    assert len(rows) == 3
    assert not door.wire.carrier.received
    assert not door.wire.world.recorder.ended


def test_strangers_hear_nothing_when_the_record_says_drop() -> None:
    door = Door(untrusted_calls="drop")
    door.ask("INVITE", from_host="elsewhere.example", to="135550")
    for method in ("OPTIONS", "SUBSCRIBE", "MESSAGE", "BYE", "PUBLISH", "UNHEARD-OF", "CANCEL"):
        door.ask(method, from_host="elsewhere.example")
    assert not door.peer.received
    assert len(door.wire.switch.rejected.rows()) == 1
    door.wire.settle()


def test_options_of_strangers_trunks_and_phones_are_answered() -> None:
    """RFC 3261 11.2."""
    for host, system in ((STRANGER, {}), ("192.0.2.7", {"untrusted_calls": "drop"})):
        door = Door(host, **system)
        door.ask("OPTIONS", from_host="elsewhere.example")
        answer = door.answer()
        assert answer.status == 200
        assert "INVITE" in (answer.get("Allow") or "")
        assert {"100rel", "timer"} <= {word.strip() for word in (answer.get("Supported") or "").split(",")}
    door = Door(untrusted_calls="drop")
    assert door.log_in("REGISTER", "100", "secret100").status == 200
    door.ask("OPTIONS")
    assert door.answer().status == 200


def test_requests_of_no_dialog_get_481_and_unknown_methods_405() -> None:
    door = Door("192.0.2.7")
    for method, status in (("BYE", 481), ("INFO", 481), ("UPDATE", 481), ("PRACK", 481), ("SUBSCRIBE", 405)):
        door.ask(method)
        assert door.answer().status == status, method
    door.wire.settle()


# --- challenges that nobody answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
def test_who_never_shows_a_password_is_listed_after_a_while(method: str) -> None:
    door = Door()
    door.ask(method, from_user="777", to="135550" if method == "INVITE" else "777", user_agent="Mystery")
    assert door.answer().status == 401
    assert not door.wire.switch.rejected.rows()
    door.wire.advance(PATIENCE)
    (row,) = door.wire.switch.rejected.rows()
    assert row.method == method
    assert row.reason == "it claims to be local user 777 and never gave the password that it was asked for"
    assert row.user_agent == "Mystery"
    door.wire.settle()


def test_who_answers_the_challenge_is_not_listed_and_a_wrong_answer_once() -> None:
    door = Door()
    assert door.log_in("REGISTER", "100", "secret100").status == 200
    assert door.log_in("REGISTER", "100", "wrong").status == 403
    door.wire.advance(2 * PATIENCE)
    (row,) = door.wire.switch.rejected.rows()
    assert (row.reason, row.count) == ("wrong user name or password", 1)


def test_a_request_that_was_rewritten_on_the_way_is_told_from_a_wrong_password() -> None:
    """SIP ALG: the phone's digest is for the Request-URI that it sent, and that is not the one that arrived."""
    answers = []
    for host, password in (("10.0.0.5", "wrong"), ("router.test", "secret100")):
        door = Door(ban_failures=0)
        call_id = new_call_id()
        first = door.ask("REGISTER", call_id=call_id, from_user="100", to="100")
        meant = Request("REGISTER", f"sip:{host}", first.headers, b"")
        credentials = answer_challenge(meant, door.answer(), "100", password)
        assert credentials is not None
        door.ask("REGISTER", call_id=call_id, from_user="100", to="100", headers=(credentials,))
        answers.append(door.answer())
        (row,) = door.wire.switch.rejected.rows()
    assert row.reason.startswith("the password is right, but was given for another Request-URI")
    assert "SIP ALG" in row.reason
    assert shape(answers[0]) == shape(answers[1])
    assert [each.status for each in answers] == [403, 403]


def test_a_challenge_that_is_repeated_counts_once() -> None:
    door = Door()
    for _ in range(3):
        door.ask("REGISTER", call_id="same")
    door.wire.advance(2 * PATIENCE)
    assert door.wire.switch.rejected.rows()[0].count == 1


def test_a_flood_of_challenges_does_not_push_out_the_first() -> None:
    door = Door(max_messages_per_second=0, ban_failures=0)
    door.ask("INVITE", from_user="1", to="first")
    other = RawPeer(door.wire.world, "203.0.113.66")
    door.peer = other
    for _ in range(MAXIMUM_WAITING + 50):
        door.ask("REGISTER")
    assert len(door.wire.switch.authentication._unanswered) <= MAXIMUM_WAITING
    door.wire.advance(2 * PATIENCE)
    assert {row.address for row in door.wire.switch.rejected.rows()} == {STRANGER, "203.0.113.66"}
    assert len(door.wire.switch.authentication._unanswered) == 0
