"""What is refused without being read gets the answer of one that is read; it is remembered, and only so much of it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from fuzz.mutation import Mutator

from app.clock import DeadlineHeap
from app.sip.endpoint import Endpoint
from app.sip.flow import Flow
from app.sip.turned_away import MOST_REMEMBERED, REMEMBERED_FOR, TurnedAway, first_look

UDP = Flow("udp", "192.0.2.1", 5060, "192.0.2.7", 5060)
ELSEWHERE = UDP._replace(remote_host="198.51.100.3", remote_port=40_000)
TCP = Flow("tcp", "192.0.2.1", 5060, "192.0.2.7", 41_234, 1)
INVITE = (
    "INVITE sip:135550@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1\r\n"
    'From: "J\u00f6rg" <sip:100@192.0.2.7>;tag=1\r\nTo: <sip:135550@192.0.2.1>\r\nCall-ID: one@192.0.2.7\r\n'
    "CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:100@192.0.2.7>\r\n"
    "Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0"
)
VIA = "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1"
USUAL = {
    "as it is": INVITE,
    "with rport": INVITE.replace("bK1", "bK1;rport"),
    "with a wrong received": INVITE.replace("bK1", "bK1;received=192.0.2.99"),
    "with IPv6": INVITE.replace("UDP 192.0.2.7:5060", "UDP [2001:db8::7]"),
    "with spaces": INVITE.replace("To: <", "To  :   <").replace("INVITE\r", "INVITE \t\r"),
    "REGISTER": INVITE.replace("INVITE", "REGISTER"),
}
UNUSUAL = {
    "short names": INVITE.replace("Via:", "v:").replace("To:", "t:"),
    "other case": INVITE.replace("Call-ID:", "CALL-ID:"),
    "two hops": INVITE.replace("\r\nFrom", "\r\nVia: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK2\r\nFrom"),
    "two hops in one line": INVITE.replace("bK1", "bK1, SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK2"),
    "another hop by its short name": INVITE.replace("\r\nFrom", "\r\nv: SIP/2.0/UDP 192.0.2.8\r\nFrom"),
    "folded": INVITE.replace("To: ", "To:\r\n "),
    "bare line ends": INVITE.replace("\r\n", "\n"),
    "an old branch": INVITE.replace("z9hG4bK1", "1"),
    "no branch": INVITE.replace(";branch=z9hG4bK1", ""),
    "in a dialog": INVITE.replace("@192.0.2.1>\r", "@192.0.2.1>;tag=2\r"),
    "a response": "SIP/2.0 200 OK" + INVITE[INVITE.index("\r") :],
    "another method in CSeq": INVITE.replace("1 INVITE", "1 REGISTER"),
    "no Via": INVITE.replace(VIA + "\r\n", ""),
    "a broken Via": INVITE.replace("SIP/2.0/UDP 192", "192"),
    "SIP 3": INVITE.replace("192.0.2.1 SIP/2.0", "192.0.2.1 SIP/3.0"),
}


class Overloaded:
    """An endpoint that has no time; once it has refused something, a first look is enough for it."""

    def __init__(self, looks: bool) -> None:
        self.sent: list[tuple[Flow, bytes]] = []
        self.endpoint = Endpoint(
            DeadlineHeap(), lambda: 100.0, lambda flow, data: self.sent.append((flow, data)), lambda _flow: "192.0.2.1"
        )
        self.endpoint.refuses = lambda _method, _host: True
        self.endpoint._refusal_mark = "mark-"
        if looks:
            self.endpoint._turned_away.add("192.0.2.200", "z9hG4bKanother", 100.0)

    def answers(self, data: bytes, source: Flow) -> list[tuple[Flow, bytes]]:
        self.sent.clear()
        self.endpoint.receive(data, source)
        return self.sent


@pytest.fixture
def nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        monkeypatch.setattr("app.sip.endpoint.parse", lambda _data: pytest.fail("it was read"))

    return forbid


@pytest.mark.parametrize("source", [UDP, ELSEWHERE, TCP], ids=["udp", "behind NAT", "tcp"])
@pytest.mark.parametrize("name", USUAL)
def test_a_usual_request_is_refused_unread_as_if_it_were_read(
    nothing_is_read: Callable[[], None], name: str, source: Flow
) -> None:
    data = USUAL[name].encode()
    read = list(Overloaded(looks=False).answers(data, source))
    assert len(read) == 1 and read[0][1].startswith(b"SIP/2.0 503 ")
    looking = Overloaded(looks=True)
    nothing_is_read()
    assert looking.answers(data, source) == read
    # And so is its repetition, when there is time again.
    looking.endpoint.refuses = lambda _method, _host: False
    assert looking.answers(data, source) == read


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_written_in_an_unusual_way_is_read(name: str) -> None:
    data = UNUSUAL[name].encode()
    assert first_look(data, UDP.remote_host, UDP.remote_port) is None
    assert Overloaded(looks=True).answers(data, UDP) == Overloaded(looks=False).answers(data, UDP)


def test_what_has_a_transaction_is_not_refused_again() -> None:
    busy = Overloaded(looks=True)
    busy.endpoint.refuses = lambda _method, _host: False
    (first,) = busy.answers(INVITE.encode(), UDP)
    assert b" 503 " in first[1], "there is nobody who would take the call"
    busy.endpoint.refuses = lambda _method, _host: True
    assert busy.answers(INVITE.encode(), UDP) == [first], "the transaction repeats its answer"


def test_a_first_look_at_a_changed_request_answers_as_reading_it_does() -> None:
    mutator = Mutator(random.Random(5))
    seeds = [text.encode() for text in (*USUAL.values(), *UNUSUAL.values())]
    looked_at = 0
    for number in range(4000):
        data = mutator.mutate(seeds[number % len(seeds)], seeds)
        source = (UDP, ELSEWHERE, TCP)[number % 3]
        if first_look(data, source.remote_host, source.remote_port) is not None:
            looked_at += 1
            ((read_way, read),) = Overloaded(looks=False).answers(data, source)
            ((way, looked),) = Overloaded(looks=True).answers(data, source)
            assert way == read_way, data
            # What is broken elsewhere is told so when it is read; and headers may stand in the order of the request.
            assert read.startswith(b"SIP/2.0 4") or set(looked.split(b"\r\n")) == set(read.split(b"\r\n")), data
    assert looked_at > 200


def test_a_refused_request_is_known_for_a_while_by_address_and_branch() -> None:
    turned_away = TurnedAway()
    turned_away.add("192.0.2.7", "z9hG4bK1", 100.0)
    assert turned_away.has("192.0.2.7", "z9hG4bK1", 101.0)
    assert not turned_away.has("192.0.2.8", "z9hG4bK1", 101.0)
    assert not turned_away.has("192.0.2.7", "z9hG4bK2", 101.0)
    assert not turned_away.has("192.0.2.7", "z9hG4bK1", 100.0 + REMEMBERED_FOR)
    assert len(turned_away) == 0


def test_a_request_without_a_branch_is_not_remembered() -> None:
    turned_away = TurnedAway()
    turned_away.add("192.0.2.7", None, 100.0)
    turned_away.add("192.0.2.7", "", 100.0)
    assert len(turned_away) == 0


def test_the_oldest_is_forgotten_at_the_bound() -> None:
    turned_away = TurnedAway()
    for number in range(MOST_REMEMBERED + 1):
        turned_away.add("192.0.2.7", f"z9hG4bK{number}", 100.0)
    assert len(turned_away) == MOST_REMEMBERED
    assert not turned_away.has("192.0.2.7", "z9hG4bK0", 100.0)
    assert turned_away.has("192.0.2.7", f"z9hG4bK{MOST_REMEMBERED}", 100.0)
