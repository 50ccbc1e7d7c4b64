"""Reliable provisional responses, the server's side (RFC 3262 3)."""

from __future__ import annotations

import pytest
from support.calling import NotedEndpoint, Ticking, request

from app.calls import provisional as provisional_module
from app.calls.provisional import ReliableProvisionals, option_in
from app.sip.flow import Flow
from app.sip.message import Request, Response
from app.sip.transaction import Key


class Core:
    """Takes the INVITE."""

    def __init__(self) -> None:
        self.key: Key | None = None

    def on_request(self, key: Key, request: Request, source: Flow) -> None:
        self.key = key


class Provisionals:
    def __init__(self) -> None:
        self.time = Ticking()
        self.endpoint = NotedEndpoint(self.time)
        self.endpoint.core = core = Core()  # type: ignore[assignment]
        self.invite = request("INVITE")
        self.endpoint.receive(self.invite.to_bytes(), Flow("udp", "10.0.0.5", 5060, "192.0.2.7", 5060))
        assert core.key is not None
        self.gave_up = 0
        self.reliable = ReliableProvisionals(self.endpoint, core.key, 1, self._give_up)

    def _give_up(self) -> None:
        self.gave_up += 1

    def send(self, status: int = 183, body: bytes = b"") -> None:
        headers = [("Content-Type", "application/sdp")] if body else []
        self.reliable.send(self.invite.answer(status, None, "tag", headers, body))

    def sent(self) -> list[Response]:
        return [each for each in self.endpoint.sent() if isinstance(each, Response)]

    def prack(self, number: int, rack: str = "") -> bool:
        return self.reliable.acknowledge(request("PRACK", ("RAck", rack or f"{number} 1 INVITE")))


def number_of(response: Response) -> int:
    assert response.get("Require") == "100rel"
    return int(response.get("RSeq") or "")


def test_the_first_number_is_random_and_below_two_to_the_31() -> None:
    numbers = set()
    for _ in range(20):
        p = Provisionals()
        p.send()
        numbers.add(number_of(p.sent()[0]))
    assert len(numbers) > 15
    assert all(1 <= number < 2**31 for number in numbers)


def test_repeated_with_doubling_pauses_until_the_prack() -> None:
    p = Provisionals()
    p.send()
    (first,) = p.sent()
    times = []
    for _ in range(100):
        p.time.advance(0.1)
        times += [round(p.time.now - 1000.0, 1)] * len(p.sent())
    assert times == [0.5, 1.5, 3.5, 7.5]
    assert p.prack(number_of(first))
    p.time.advance(100)
    assert p.sent() == []
    assert p.gave_up == 0


def test_given_up_after_64_times_t1() -> None:
    p = Provisionals()
    p.send()
    p.time.advance(31.9)
    assert p.gave_up == 0
    p.time.advance(0.2)
    assert p.gave_up == 1
    p.sent()
    p.time.advance(100)
    assert p.sent() == []


def test_the_next_waits_for_the_prack_of_the_one_before() -> None:
    p = Provisionals()
    p.send(183)
    p.send(180)
    p.send(182)
    (first,) = p.sent()
    assert first.status == 183
    assert p.prack(number_of(first))
    (second,) = p.sent()
    assert (second.status, number_of(second)) == (180, number_of(first) + 1)
    assert not p.prack(number_of(first))
    assert p.prack(number_of(second))
    assert p.sent()[0].status == 182


@pytest.mark.parametrize("rack", ["", "x", "1 INVITE", "{n} 2 INVITE", "{n} 1 BYE", "{n} 1", "{m} 1 INVITE"])
def test_what_acknowledges_nothing(rack: str) -> None:
    p = Provisionals()
    p.send()
    number = number_of(p.sent()[0])
    assert not p.prack(0, rack.format(n=number, m=number + 1) or " ")
    p.time.advance(0.6)
    assert len(p.sent()) == 1


def test_a_second_prack_acknowledges_nothing() -> None:
    p = Provisionals()
    p.send()
    number = number_of(p.sent()[0])
    assert p.prack(number)
    assert not p.prack(number)


def test_how_many_wait_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provisional_module, "MAXIMUM_WAITING", 3)
    p = Provisionals()
    for _ in range(10):
        p.send()
    count = 0
    while sent := p.sent():
        count += 1
        assert p.prack(number_of(sent[0]))
    assert count == 4


def test_only_a_session_description_keeps_the_answer_back() -> None:
    """RFC 3262 3."""
    p = Provisionals()
    assert not p.reliable.keeps_answer_back()
    p.send(180)
    assert not p.reliable.keeps_answer_back()
    p.prack(number_of(p.sent()[0]))
    p.send(183, b"v=0\r\n")
    p.send(180)
    assert p.reliable.keeps_answer_back()
    assert p.prack(number_of(p.sent()[0]))
    assert not p.reliable.keeps_answer_back()
    # What waited behind it is not sent any more.
    assert p.sent() == []


def test_what_the_peer_has_for_good_and_what_is_agreed() -> None:
    """A description counts once it has been sent, and is agreed on once it has been acknowledged."""
    p = Provisionals()
    p.send(180)
    p.send(183, b"v=0\r\n")
    assert not p.reliable.is_described
    assert p.prack(number_of(p.sent()[0]))
    assert p.reliable.is_described
    assert not p.reliable.is_agreed
    assert p.prack(number_of(p.sent()[0]))
    assert p.reliable.is_agreed


def test_stopping_leaves_no_timer() -> None:
    p = Provisionals()
    p.send()
    p.send()
    p.sent()
    p.reliable.stop()
    p.time.advance(100)
    assert p.sent() == []
    assert len(p.time.deadlines) == 0


@pytest.mark.parametrize(
    ("value", "found"), [("100rel", True), ("timer , 100REL", True), ("100relx", False), ("", False)]
)
def test_the_option_tag(value: str, found: bool) -> None:
    assert option_in(request("INVITE", ("Supported", value)), "Supported") is found
    assert option_in(request("INVITE", ("Supported", "timer"), ("Supported", value)), "Supported") is found
    assert not option_in(request("INVITE"), "Supported")
