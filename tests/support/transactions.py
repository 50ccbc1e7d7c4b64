"""A transaction layer on a virtual clock, with SIP messages to feed it and every promise about its effects checked."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from app.sip.flow import Flow
from app.sip.message import Request, Response, parse
from app.sip.transaction import (
    Arm,
    Deliver,
    Disarm,
    Effect,
    Event,
    Finished,
    Key,
    RefuseOverload,
    Send,
    TransactionLayer,
)
from app.sip.transaction_tables import Timer, Timing

UDP = Flow("udp", "192.0.2.1", 5060, "192.0.2.20", 5060)
TCP = Flow("tcp", "192.0.2.1", 5060, "192.0.2.20", 40000, 7)


def make_request(
    method: str = "INVITE",
    *,
    branch: str | None = "z9hG4bKone",
    uri: str = "sip:135550@192.0.2.1",
    sent_by: str = "192.0.2.20:5060",
    via_parameters: str = "",
    from_tag: str = "theirs",
    to_tag: str | None = None,
    call_id: str = "call@192.0.2.20",
    sequence: int = 1,
    headers: Sequence[tuple[str, str]] = (),
    body: str = "",
    transport: str = "UDP",
) -> Request:
    """A request as it comes from the wire."""
    branch_text = f";branch={branch}" if branch is not None else ""
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/{transport} {sent_by}{branch_text}{via_parameters}",
        "Max-Forwards: 70",
        f'From: "Caller" <sip:200@192.0.2.20>;tag={from_tag}',
        f"To: <sip:135550@192.0.2.1>{'' if to_tag is None else f';tag={to_tag}'}",
        f"Call-ID: {call_id}",
        f"CSeq: {sequence} {method}",
        *[f"{name}: {value}" for name, value in headers],
        f"Content-Length: {len(body)}",
    ]
    message = parse(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
    assert isinstance(message, Request)
    return message


def make_response(
    request: Request, status: int, to_tag: str | None = "ours", headers: Sequence[tuple[str, str]] = ()
) -> Response:
    """A response as it comes from the wire."""
    message = parse(request.answer(status, to_tag=to_tag if status > 100 else None, headers=headers).to_bytes())
    assert isinstance(message, Response)
    return message


class Driver:
    """Performs the effects of a layer on a virtual clock and keeps what was sent, delivered and finished.

    Fails the test when a timer is armed twice, disarmed without being armed, or outlives its transaction.
    """

    def __init__(self, layer: TransactionLayer | None = None, timing: Timing = Timing()) -> None:  # noqa: B008
        self.layer = layer if layer is not None else TransactionLayer(timing=timing)
        self.now = 1000.0
        self.sent: list[tuple[float, bytes]] = []
        self.flows: list[Flow] = []
        self.events: list[Event] = []
        self.finished: list[Finished] = []
        self.refused: list[RefuseOverload] = []
        self.timers: dict[tuple[Key, Timer], float] = {}
        self._heap: list[tuple[float, int, Key, Timer]] = []
        self._count = 0

    def perform(self, effects: Sequence[Effect]) -> None:
        """Do what the endpoint would do."""
        for effect in effects:
            if isinstance(effect, Send):
                self.sent.append((self.now, effect.data))
                self.flows.append(effect.flow)
                self.on_send(effect)
            elif isinstance(effect, Deliver):
                self.events.append(effect.event)
                self.on_event(effect.event)
            elif isinstance(effect, Arm):
                assert (effect.key, effect.timer) not in self.timers, "armed twice"
                assert effect.at > self.now, "armed in the past"
                self.timers[effect.key, effect.timer] = effect.at
                self._count += 1
                heapq.heappush(self._heap, (effect.at, self._count, effect.key, effect.timer))
            elif isinstance(effect, Disarm):
                assert (effect.key, effect.timer) in self.timers, "disarmed without being armed"
                del self.timers[effect.key, effect.timer]
            elif isinstance(effect, Finished):
                assert not [timer for key, timer in self.timers if key == effect.key], (
                    "a timer outlives its transaction"
                )
                assert effect.key not in self.layer, "finished but still there"
                self.finished.append(effect)
            else:
                self.refused.append(effect)

    def on_send(self, effect: Send) -> None:
        """For tests that carry on what is sent."""

    def on_event(self, event: Event) -> None:
        """For tests that play the transaction user."""

    def receive(self, message: Request | Response, flow: Flow = UDP) -> None:
        """A message comes in."""
        self.perform(self.layer.receive(message, flow, self.now))

    def send_request(self, request: Request, flow: Flow = UDP) -> Key:
        """The transaction user sends a request."""
        key, effects = self.layer.send_request(request, flow, self.now)
        self.perform(effects)
        return key

    def respond(self, key: Key, response: Response) -> None:
        """The transaction user answers."""
        self.perform(self.layer.send_response(key, response, self.now))

    def next_timer(self) -> float | None:
        """When the next armed timer is due."""
        while self._heap and self.timers.get((self._heap[0][2], self._heap[0][3])) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def fire_due(self) -> None:
        """Fire every timer that is due now."""
        while (at := self.next_timer()) is not None and at <= self.now:
            _, _, key, timer = heapq.heappop(self._heap)
            del self.timers[key, timer]
            self.perform(self.layer.timer_fired(key, timer, self.now))

    def advance(self, seconds: float) -> None:
        """Let time pass, each timer firing at its own time."""
        end = self.now + seconds
        while (at := self.next_timer()) is not None and at <= end:
            self.now = at
            self.fire_due()
        self.now = end

    def sent_at(self) -> list[float]:
        """When things were sent, in seconds since the clock's start."""
        return [round(at - 1000.0, 6) for at, _ in self.sent]

    def last_sent(self) -> Request | Response:
        """The last message that was sent."""
        return parse(self.sent[-1][1])
