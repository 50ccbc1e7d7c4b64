"""Small parts for tests of the call logic: configurations from tables, a clock to advance, an endpoint that notes."""

from __future__ import annotations

from typing import Any

from app.clock import Clock, DeadlineHeap
from app.records import Configuration
from app.records.document import read_document
from app.sip.endpoint import Endpoint
from app.sip.flow import Flow
from app.sip.message import Request, Response, parse


def configured(**tables: Any) -> Configuration:
    """A configuration of these tables, the rest as at the first start without records."""
    return read_document(tables, Configuration(), replace=True)


class Ticking:
    """A clock that stands still until it is advanced, with the deadlines that hang on it."""

    def __init__(self, now: float = 1000.0, wall: float = 5_000_000.0) -> None:
        self.now = now
        self.ahead = wall - now
        self.deadlines = DeadlineHeap()
        self.clock = Clock(lambda: self.now, lambda: self.now + self.ahead)

    def advance(self, seconds: float) -> None:
        """Let time pass; what becomes due is called at its time."""
        until = self.now + seconds
        while (at := self.deadlines.next_deadline()) is not None and at <= until:
            self.now = max(self.now, at)
            self.deadlines.expire(self.now)
        self.now = until


class NotedEndpoint(Endpoint):
    """A real endpoint whose packets are kept instead of sent."""

    def __init__(self, ticking: Ticking) -> None:
        self.packets: list[tuple[Flow, bytes]] = []
        super().__init__(
            ticking.deadlines,
            ticking.clock.monotonic,
            lambda flow, data: self.packets.append((flow, data)),
            lambda flow: f"{flow.local_host}:{flow.local_port}",
        )

    def sent(self) -> list[Request | Response]:
        """What was sent since the last time it was asked."""
        packets = [data for _, data in self.packets]
        self.packets.clear()
        return [parse(data) for data in packets]


def register_request(
    number: str, contact: str, sequence: int, *headers: tuple[str, str], call_id: str = "c"
) -> Request:
    """The REGISTER of a phone: `contact` is the whole value of its Contact, `sequence` its CSeq."""
    return request(
        "REGISTER",
        ("To", f"<sip:{number}@10.0.0.5>"),
        ("Contact", contact),
        ("Call-ID", call_id),
        ("CSeq", f"{sequence} REGISTER"),
        *headers,
    )


def request(method: str, *headers: tuple[str, str], uri: str = "sip:100@10.0.0.5", body: bytes = b"") -> Request:
    """A request with the mandatory headers; those that are given stand in for them."""
    usual = {
        "Via": "SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKone",
        "Max-Forwards": "70",
        "From": "<sip:5551@192.0.2.7>;tag=a",
        "To": "<sip:100@10.0.0.5>",
        "Call-ID": "call",
        "CSeq": f"1 {method}",
        "Contact": "<sip:5551@192.0.2.7:5060>",
    }
    given = {name for name, _ in headers}
    return Request(method, uri, [*[each for each in usual.items() if each[0] not in given], *headers], body)
