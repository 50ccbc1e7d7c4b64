"""Measure what the transaction layer costs: microseconds for the transactions of one call through the B2BUA.

From the repository root: `python -m tests.bench.transactions`. One call is a server INVITE, a client INVITE and a
BYE on each side, with 100, 180 and 200, all timers fired at the end. Messages are built and read before the clock
starts; one row counts their serialisation and one leaves it out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from app.sip.dialog import Dialog  # noqa: E402
from app.sip.flow import Flow  # noqa: E402
from app.sip.message import Request, Response, parse  # noqa: E402
from app.sip.transaction import Arm, Effect, Key, TransactionLayer  # noqa: E402

FLOW = Flow("udp", "192.0.2.1", 5060, "192.0.2.20", 5061)
SDP = b"v=0\r\no=load 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"


def request_bytes(method: str, number: int, sequence: int, tag: str = "") -> bytes:
    """A request as a carrier sends it."""
    body = SDP if method == "INVITE" else b""
    return (
        f"{method} sip:135550@192.0.2.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 192.0.2.20:5061;branch=z9hG4bK-{method}-{number}\r\n"
        f'From: "load" <sip:load@192.0.2.20:5061>;tag=9SIPpTag00{number}\r\nTo: <sip:135550@192.0.2.1>{tag}\r\n'
        f"Call-ID: {number}-4711@192.0.2.20\r\nCSeq: {sequence} {method}\r\nContact: <sip:load@192.0.2.20:5061>\r\n"
        f"Max-Forwards: 70\r\nUser-Agent: sipp-perf\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Call:
    """The messages of one call, parsed and with their views read, as the validation leaves them."""

    def __init__(self, number: int, serialise: bool) -> None:
        self.invite = self.received(request_bytes("INVITE", number, 1))
        self.ack = self.received(request_bytes("ACK", number, 1, ";tag=ours"))
        self.bye = self.received(request_bytes("BYE", number, 2, ";tag=ours"))
        self.answers = [self.invite.answer(status, to_tag="ours") for status in (100, 180, 200)]
        self.bye_answer = self.bye.answer(200)
        self.out_invite = self.received(request_bytes("INVITE", number + 10_000_000, 1))
        self.out_bye = self.received(request_bytes("BYE", number + 10_000_000, 2, ";tag=theirs"))
        self.in_answers = [self.out_invite.answer(status, to_tag="theirs") for status in (100, 180, 200)]
        self.in_bye_answer = self.out_bye.answer(200)
        for response in (*self.in_answers, self.in_bye_answer):
            _ = response.via, response.cseq
        if not serialise:
            for message in (*self.answers, self.bye_answer, self.out_invite, self.out_bye):
                message.__class__ = SILENT[type(message)]

    @staticmethod
    def received(data: bytes) -> Request:
        """Parse a request and read what the validation reads."""
        request = parse(data)
        assert isinstance(request, Request)
        _ = request.via, request.cseq, request.to, request.from_, request.call_id
        return request


class SilentRequest(Request):
    """A request that costs nothing to write."""

    __slots__ = ()

    def to_bytes(self) -> bytes:
        """No work at all."""
        return b"x"


class SilentResponse(Response):
    """A response that costs nothing to write."""

    __slots__ = ()

    def to_bytes(self) -> bytes:
        """No work at all."""
        return b"x"


SILENT = {Request: SilentRequest, Response: SilentResponse}


def run(layer: TransactionLayer, call: Call, now: float) -> list[Effect]:
    """The whole call through the layer; what the endpoint would do with the effects is left out."""
    effects = layer.receive(call.invite, FLOW, now)
    key: Key = effects[0].event.key  # type: ignore[union-attr]
    trying, ringing, answered = call.answers
    effects += layer.send_response(key, trying, now)
    effects += layer.send_request(call.out_invite, FLOW, now)[1]
    in_trying, in_ringing, in_answered = call.in_answers
    effects += layer.receive(in_trying, FLOW, now)
    effects += layer.receive(in_ringing, FLOW, now)
    effects += layer.send_response(key, ringing, now)
    effects += layer.receive(in_answered, FLOW, now)
    effects += layer.send_response(key, answered, now)
    effects += layer.receive(call.ack, FLOW, now)
    received = layer.receive(call.bye, FLOW, now)
    key = received[0].event.key  # type: ignore[union-attr]
    effects += layer.send_response(key, call.bye_answer, now)
    effects += layer.send_request(call.out_bye, FLOW, now)[1]
    effects += layer.receive(call.in_bye_answer, FLOW, now)
    return effects


def expire(layer: TransactionLayer, effects: list[Effect]) -> None:
    """Fire the timers that ended up armed (those that were disarmed do nothing)."""
    for effect in effects:
        if type(effect) is Arm:
            layer.timer_fired(effect.key, effect.timer, effect.at)


def measure(calls: int, serialise: bool) -> float:
    """Microseconds of CPU per call."""
    batch = [Call(number, serialise) for number in range(calls)]
    layer = TransactionLayer()
    start = time.process_time()
    for call in batch:
        expire(layer, run(layer, call, 100.0))
    spent = time.process_time() - start
    assert len(layer) == 0, "the benchmark left transactions behind"
    return spent / calls * 1e6


def measure_dialogs(calls: int) -> float:
    """Microseconds of CPU per call for both dialogs: made, ACK and BYE built, BYE taken."""
    batch = [Call(number, True) for number in range(calls)]
    start = time.process_time()
    for call in batch:
        callee = Dialog.as_uas(call.invite, "ours", "<sip:192.0.2.1>")
        callee.create_response(call.invite, 200)
        callee.receive_request(call.bye)
        caller = Dialog.as_uac(call.out_invite, call.in_answers[2])
        caller.create_ack(1)
        caller.create_request("BYE")
    return (time.process_time() - start) / calls * 1e6


def median(measurement: Callable[[], float], rounds: int) -> float:
    """The median of several rounds."""
    return statistics.median(measurement() for _ in range(rounds))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = {
        "transactions of a call": median(lambda: measure(arguments.calls, True), arguments.rounds),
        "  without serialisation": median(lambda: measure(arguments.calls, False), arguments.rounds),
        "dialogs of a call": median(lambda: measure_dialogs(arguments.calls), arguments.rounds),
    }
    if arguments.json:
        print(json.dumps({name.strip(): round(value, 2) for name, value in rows.items()}))
        return
    print(f"{'':32}{'µs CPU per call':>18}")
    for name, value in rows.items():
        print(f"{name:32}{value:18.1f}")


if __name__ == "__main__":
    main()
