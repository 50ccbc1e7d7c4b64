"""Two transaction layers joined by a bad network: whatever is lost, doubled or overtaken, everything ends."""

from __future__ import annotations

import heapq
from random import Random

import pytest
from support.transactions import TCP, UDP, Driver, make_request, make_response

from app.sip.dialog import AcceptedRetransmission
from app.sip.flow import Flow
from app.sip.message import Request, Response, parse
from app.sip.transaction import (
    AckReceived,
    Event,
    Key,
    NoAckReceived,
    RequestReceived,
    RequestTimedOut,
    ResponseReceived,
    Send,
    StrayResponse,
    TransportFailed,
    cancel_for,
)


class Network:
    """Carries messages between two peers with loss, duplicates and delays from a seed, on one clock."""

    def __init__(self, random: Random, loss: float, duplicates: float, longest_delay: float, flow: Flow) -> None:
        self.random = random
        self.loss = loss
        self.duplicates = duplicates
        self.longest_delay = longest_delay
        self.flow = flow
        self.now = 0.0
        self.carried = 0
        self._count = 0
        self._due: list[tuple[float, int, object]] = []
        self.peers: list[Peer] = []

    def at(self, when: float, what: object) -> None:
        """Do something at a time: call it, or deliver (peer, bytes)."""
        self._count += 1
        heapq.heappush(self._due, (when, self._count, what))

    def carry(self, target: Peer, data: bytes) -> None:
        """Send a packet, maybe not at all, maybe twice, maybe late."""
        if self.random.random() < self.loss:
            return
        for _ in range(2 if self.random.random() < self.duplicates else 1):
            self.at(self.now + self.random.uniform(0.001, self.longest_delay), (target, data))

    def run(self) -> None:
        """Until nothing is left to happen."""
        while True:
            times = [timer for peer in self.peers if (timer := peer.next_timer()) is not None]
            if self._due:
                times.append(self._due[0][0])
            if not times:
                return
            self.now = min(times)
            assert self.now < 100_000, "it never ends"
            for peer in self.peers:
                peer.now = self.now
                peer.fire_due()
            while self._due and self._due[0][0] <= self.now:
                what = heapq.heappop(self._due)[2]
                if isinstance(what, tuple):
                    peer, data = what
                    self.carried += 1
                    peer.receive(parse(data), self.flow)
                else:
                    what()  # type: ignore[operator]


class Peer(Driver):
    """A layer whose packets go through the network."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.now = network.now
        self.other: Peer = self
        network.peers.append(self)

    def on_send(self, effect: Send) -> None:
        """Everything goes to the other peer."""
        self.network.carry(self.other, effect.data)


class Caller(Peer):
    """Begins transactions, acknowledges every 2xx, hangs up, and counts how each request ended."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.requests: dict[Key, Request] = {}
        self.finals: dict[Key, set[int]] = {}
        self.told: dict[Key, int] = {}
        self.timeouts: set[Key] = set()

    def begin(self, request: Request, cancel_after: float | None = None) -> None:
        """Send a request; an INVITE may be cancelled later, once something has come back."""
        key = self.send_request(request, self.network.flow)
        self.requests[key] = request
        if cancel_after is not None:
            self.network.at(self.now + cancel_after, lambda: self.cancel(key))

    def cancel(self, key: Key) -> None:
        """RFC 3261 9.1"""
        if key in self.layer and key not in self.finals and key not in self.timeouts:
            cancel = cancel_for(self.requests[key])
            self.requests[self.send_request(cancel, self.network.flow)] = cancel
            # Without a final response by then the INVITE is given up.
            self.network.at(self.now + 64 * 0.5, lambda: self.give_up(key))

    def give_up(self, key: Key) -> None:
        """The transaction user's own bound for an INVITE that stays in Proceeding."""
        if key in self.layer and key not in self.finals:
            self.timeouts.add(key)
            self.perform(self.layer.destroy(key))

    def on_event(self, event: Event) -> None:
        """Play the transaction user."""
        if isinstance(event, ResponseReceived):
            response, key = event.response, event.key
            request = self.requests[key]
            if response.status < 200:
                assert key not in self.finals, "a provisional response after the final one"
                return
            self.told[key] = self.told.get(key, 0) + 1
            first = key not in self.finals
            self.finals.setdefault(key, set()).add(response.status)
            if request.method == "INVITE" and response.status < 300:
                tag = response.to.tag
                ack = make_request(
                    "ACK", branch=f"z9hG4bKack{request.call_id}", call_id=request.call_id, to_tag=tag, transport="UDP"
                )
                self.network.carry(self.other, ack.to_bytes())
                if first:
                    bye = make_request(
                        "BYE", branch=f"z9hG4bKbye{request.call_id}", call_id=request.call_id, to_tag=tag, sequence=2
                    )
                    self.begin(bye)
        elif isinstance(event, RequestTimedOut):
            assert event.key not in self.finals
            assert event.key not in self.timeouts
            self.timeouts.add(event.key)
        else:
            assert isinstance(event, StrayResponse), event


class Callee(Peer):
    """Answers everything after a while, repeats 2xx to INVITE until their ACK comes."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self.seen: list[Key] = []
        self.answered: dict[str, tuple[Key, Response, AcceptedRetransmission]] = {}
        self.acknowledged: set[str] = set()
        self.gave_up: set[str] = set()
        self.cancelled: set[Key] = set()
        self.finals: dict[Key, int] = {}
        self.no_ack: set[Key] = set()

    def on_event(self, event: Event) -> None:
        """Play the transaction user."""
        random = self.network.random
        if isinstance(event, RequestReceived):
            assert event.key not in self.seen, "the transaction user saw a retransmission"
            self.seen.append(event.key)
            request = event.request
            if request.method == "INVITE":
                self.answer(event.key, request, 100)
                later = self.now + random.uniform(0, 3)
                self.network.at(later, lambda: self.answer(event.key, request, 180))
                status = random.choice([200, 200, 302, 404, 486, 503, 603])
                self.network.at(later + random.uniform(0, 20), lambda: self.answer(event.key, request, status))
            elif request.method == "CANCEL":
                invite = self.layer.find_invite_to_cancel(request)
                self.answer(event.key, request, 200 if invite is not None else 481)
                if invite is not None and invite not in self.finals:
                    self.cancelled.add(invite)
                    self.answer(invite, make_request("INVITE", branch=invite.branch, call_id=request.call_id), 487)
            else:
                delay = random.choice([0.0, 0.1, 1.0, 10.0])
                self.network.at(self.now + delay, lambda: self.answer(event.key, request, 200))
        elif isinstance(event, AckReceived):
            self.acknowledged.add(event.request.call_id)
        elif isinstance(event, NoAckReceived):
            self.no_ack.add(event.key)
        else:
            assert not isinstance(event, TransportFailed)

    def answer(self, key: Key, request: Request, status: int) -> None:
        """Answer once; a 2xx to INVITE again and again."""
        if key in self.finals:
            return
        response = make_response(request, status)
        if status >= 200:
            self.finals[key] = status
        self.respond(key, response)
        if request.method == "INVITE" and 200 <= status < 300:
            self.repeat(request.call_id, key, response, AcceptedRetransmission.begin(self.now))

    def repeat(self, call_id: str, key: Key, response: Response, schedule: AcceptedRetransmission) -> None:
        """RFC 3261 13.3.1.4"""

        def due() -> None:
            if call_id in self.acknowledged:
                return
            if schedule.is_over(self.now):
                self.gave_up.add(call_id)
                return
            self.respond(key, response)
            self.repeat(call_id, key, response, schedule.after(self.now))

        self.network.at(schedule.next_at, due)


def simulate(
    seed: int, calls: int, loss: float, duplicates: float, longest_delay: float, flow: Flow = UDP
) -> tuple[Caller, Callee, Network]:
    """Run calls of random kind until nothing is left to happen."""
    random = Random(seed)
    network = Network(random, loss, duplicates, longest_delay, flow)
    caller, callee = Caller(network), Callee(network)
    caller.other, callee.other = callee, caller

    def start(number: int) -> None:
        method = random.choice(["INVITE", "INVITE", "INVITE", "OPTIONS", "REGISTER"])
        cancel_after = random.uniform(0, 10) if method == "INVITE" and random.random() < 0.3 else None
        caller.begin(make_request(method, branch=f"z9hG4bK{seed}-{number}", call_id=f"{number}"), cancel_after)

    for number in range(calls):
        network.at(random.uniform(0, 30), lambda number=number: start(number))  # type: ignore[misc]
    network.run()
    return caller, callee, network


def check_the_end(caller: Caller, callee: Callee) -> None:
    """What must hold after any history."""
    for peer in (caller, callee):
        assert len(peer.layer) == 0
        assert peer.timers == {}
        keys = [finish.key for finish in peer.finished]
        assert len(keys) == len(set(keys)), "finished twice"
    for key, request in caller.requests.items():
        assert (key in caller.finals) != (key in caller.timeouts), f"{request.method} ended not exactly once"
        statuses = caller.finals.get(key, set())
        assert len(statuses) <= 1
        if request.method != "INVITE" or statuses - {200}:
            assert caller.told.get(key, 0) <= 1, "a final response was passed on twice"
    assert len(callee.seen) == len(set(callee.seen))
    for key, status in callee.finals.items():
        if status == 200 and key.method == "INVITE":
            continue
        assert key in [finish.key for finish in callee.finished]


@pytest.mark.parametrize("seed", range(6))
def test_everything_ends_over_a_bad_network(seed: int) -> None:
    """20 % loss each way, 10 % doubled, up to 0.8 s late."""
    caller, callee, network = simulate(seed, calls=60, loss=0.2, duplicates=0.1, longest_delay=0.8)
    check_the_end(caller, callee)
    assert network.carried > 200
    assert len(caller.finals) > len(caller.timeouts) * 3


def test_nothing_is_lost_over_a_good_network() -> None:
    """Without loss no request times out, nobody waits for an ACK in vain, and the callee sees each request once."""
    caller, callee, _ = simulate(7, calls=150, loss=0.0, duplicates=0.3, longest_delay=0.2)
    check_the_end(caller, callee)
    # What was cancelled before any response may still have been given up; nothing else.
    assert not caller.timeouts
    assert not callee.no_ack
    assert not callee.gave_up
    assert len(callee.seen) == len(caller.requests)
    assert callee.cancelled


def test_everything_ends_when_nothing_arrives() -> None:
    caller, callee, network = simulate(8, calls=50, loss=1.0, duplicates=0.0, longest_delay=0.1)
    check_the_end(caller, callee)
    assert network.carried == 0
    assert not caller.finals
    assert callee.seen == []


def test_everything_ends_over_a_stream() -> None:
    """In order and without loss; nothing is repeated by the layers."""
    caller, callee, _ = simulate(9, calls=100, loss=0.0, duplicates=0.0, longest_delay=0.0011, flow=TCP)
    check_the_end(caller, callee)
    assert not caller.timeouts
    assert not callee.no_ack


def test_a_seed_replays_exactly() -> None:
    histories = [[(round(at, 9), data) for at, data in simulate(3, 30, 0.2, 0.1, 0.8)[0].sent] for _ in range(2)]
    assert histories[0] == histories[1]
