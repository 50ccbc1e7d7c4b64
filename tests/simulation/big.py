"""A hundred thousand calls of random kind on a virtual network, from one seed, every promise checked at every step.

    python -m tests.simulation.big [--calls 100000] [--seed 1] [--workers 1]

Carriers by UDP, TCP and TLS, phones, a provider, strangers and the server between them live in one process, on one
virtual clock. Packets are lost, doubled, delayed and overtaken, connections break, peers die, come back and reboot,
links go down, records change, the server is overloaded, the clock on the wall jumps by an hour, and the machine sleeps
for one. Calls are relayed or not, ring several phones, are forwarded, forked downstream, refused in every way,
cancelled, offered late, early, again and crosswise, held, refreshed, transferred to numbers and to calls that talk or
ring, hung up in the window, and too large for a datagram. After each step no limit may be passed, every counter must be
what the calls in progress hold, no media port may be held by anything else, and every call that is over must have one
record; at the end nothing may be left. Half-way and at the end all calls are left to end: as much memory must be held
both times. Everything follows from the seed: a run that fails says how to run it again, packet for packet.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import logging
import os
import random
import re
import secrets
import subprocess
import sys
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from simulation.connections import StreamWays, StreamWorld
from simulation.crowd import crowd_document, random_answer
from simulation.relayed import PaperControl
from simulation.test_lines import PROVIDER, Provider
from simulation.world import SDP, Body, Peer, Plan, Weather, World

from app.calls.counters import Counted, CounterKey, Hold
from app.calls.switch import Switch
from app.clock import Clock
from app.events import CallRecord
from app.hosts import DEFAULT_PORTS
from app.media import control as media_control
from app.media import ports as media_ports
from app.media.control import MediaSettings
from app.records import Configuration
from app.records.document import read_document
from app.sip import random_text, validation
from app.sip.flow import Flow, TransportName

ROOT = Path(__file__).resolve().parents[2]
CARRIERS = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
CALLER = "192.0.2.100"
STREAM_CARRIER, STREAM_CALLER = "192.0.2.4", "192.0.2.101"
SECURE_CARRIER, SECURE_CALLER = "192.0.2.5", "192.0.2.102"
CONNECTED: dict[str, TransportName] = {
    STREAM_CARRIER: "tcp",
    STREAM_CALLER: "tcp",
    SECURE_CARRIER: "tls",
    SECURE_CALLER: "tls",
}
"""Peers that are spoken with over connections."""
SERVER = ("10.0.0.5", 5060)
LARGE = Body(SDP.content_type, SDP.content + b"".join(b"a=x-%03d:%s\r\n" % (at, b"x" * 40) for at in range(30)))
"""A description that makes an INVITE too large for a datagram (RFC 3261 18.1.1)."""
OTHER_REQUESTS = ("REFER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "PRACK", "UPDATE", "XYZZY")
MEDIA_PORTS = (20_000, 20_159)
"""Forty relayed calls find ports; more are refused."""
OPTION_LINES: tuple[tuple[str, str], ...] = (
    ("Supported", "100rel, timer"),
    ("Supported", "timer"),
    ("Require", "100rel"),
    ("Require", "replaces"),
    ("Session-Expires", "90;refresher=uac"),
    ("Session-Expires", "1800;refresher=uas"),
    ("Session-Expires", "30"),
    ("Min-SE", "3600"),
    ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK"),
    ("Expires", "3"),
    ("Privacy", "id"),
    ("Max-Breadth", "1"),
    ("Diversion", "<sip:99@x>;reason=unknown"),
)
"""What callers may say beside the rest."""
RELIABLE = (("Supported", "100rel"), ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK"))
"""What those say who make another offer before the answer (RFC 3311 5.1)."""
PHONES = {"10.0.0.100": "100", "10.0.0.101": "100", "10.0.0.102": "101"}
"""Two phones ring for 100, one for 101."""
WEATHERS = (
    (Weather(), 6),
    (Weather(loss=0.1, duplicates=0.1, reordering=0.1), 4),
    (Weather(loss=0.3, duplicates=0.3, reordering=0.3, jitter=0.2), 2),
    (Weather(loss=0.02, delay=0.4, jitter=0.4, reordering=0.2), 1),
    (Weather(loss=1.0), 1),
)
"""Calm, rain, storm, a satellite, a cable that is pulled; and how often."""
CALL_EVERY = 0.1
"""Seconds between two calls, on average."""
EVENT_EVERY = 20.0
"""Seconds between two changes of each kind."""
REST_SECONDS = 5400.0
"""Longer than any session without a refresh lasts (RFC 4028), with what the last BYE takes."""
REGISTRATION_SECONDS = 600
PATIENCE = 400.0
"""Seconds after which any caller cancels: the final answer may be lost for good."""
BLOCKS_MAY_GROW = 5_000
"""Python's blocks of memory in the second half: gauges of a day go on filling, a call that leaks leaves hundreds."""
REMEMBERED_RECORDS = 5_000
"""So many are looked through for a second record of a call: those of minutes, and as many long before the half."""
LONGEST_CALL = 3600
"""Seconds after which the server ends a call; every caller hangs up long before."""
TRANSFERS = 0.2
"""How often a side transfers the other one."""
_OFTEN = {"Supported": 0.3, "Allow": 0.6}
"""How often callers say what; the rest rarely."""


class BigWorld(StreamWorld):
    """A world that keeps a fingerprint of every packet, and the last ones in words."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.wall_offset = 0.0
        self.clock = Clock(lambda: self.now, lambda: self.now + self.wall_offset)
        self.fingerprint = hashlib.blake2b(digest_size=8)
        self.last: deque[tuple[float, Flow, bytes]] = deque(maxlen=60)
        self.refusing: set[str] = set()
        """Dead hosts on whose behalf a router says so (ICMP)."""

    def send(self, flow: Flow, data: bytes) -> None:
        self.fingerprint.update(b"%r %r" % (self.now, data))
        self.last.append((self.now, flow, data))
        super().send(flow, data)
        tell = self.failed.get(flow.local_host) if flow.remote_host in self.refusing else None
        if tell is not None and not flow.connection:
            self.at(0.02, lambda: tell(flow, "port unreachable"))


class Tally:
    """Counts records instead of keeping them (Recorder)."""

    def __init__(self) -> None:
        self.ended = 0
        self.causes: Counter[str] = Counter()
        self.live: set[str] = set()
        self.kept: set[str] = set()
        """The calls that run and are known to have been answered."""
        self.recent: dict[str, None] = {}
        """The newest records, as a set that knows its order."""
        self.answered = 0

    def call_started(self, record: CallRecord) -> None:
        assert (record.id in self.live) is bool(record.answered), "a call began twice, or was answered before"
        assert record.id not in self.kept, "a call was answered twice"
        (self.kept if record.answered else self.live).add(record.id)

    def call_ended(self, record: CallRecord) -> None:
        assert record.id not in self.recent, "a call has two records"
        assert record.status >= 200, f"status {record.status}"
        assert record.end_cause, "no cause"
        assert record.started <= (record.answered or record.started) <= record.ended, "times in disorder"
        assert record.talk_seconds <= record.ended - record.started + 0.01, "longer talked than it lasted"
        self.live.discard(record.id)
        self.kept.discard(record.id)
        self.recent[record.id] = None
        if len(self.recent) > REMEMBERED_RECORDS:
            del self.recent[next(iter(self.recent))]
        self.ended += 1
        self.answered += bool(record.answered)
        self.causes[record.end_cause] += 1


_FORKED = re.compile(rb"(\r\nTo: [^\r]*;tag=)")


class Mortal(Peer):
    """A peer that can reboot, and forgets its conversations when they are over."""

    world: BigWorld

    def __init__(self, world: World, host: str) -> None:
        super().__init__(world, host, DEFAULT_PORTS[CONNECTED.get(host, "udp")])
        make_mortal(self)

    def flow_to(self, host: str, port: int = 5060) -> Flow:
        transport = CONNECTED.get(self.host)
        if transport is None:
            return super().flow_to(host, port)
        return self.world.connect(transport, self.host, host, DEFAULT_PORTS[transport])


def make_mortal(peer: Peer) -> None:
    """Bound what a peer remembers, and let it be switched off for good."""
    peer.received = deque(maxlen=8)  # type: ignore[assignment]
    peer.conversations = deque(maxlen=1)  # type: ignore[assignment]
    peer.off = False  # type: ignore[attr-defined]
    world = peer.world

    def send(flow: Flow, data: bytes) -> None:
        if peer.off:  # type: ignore[attr-defined]
            return
        world.send(flow, data)
        if data.startswith(b"SIP/2.0 200") and b"CSeq: 1 INVITE" in data and world.random.random() < 0.03:
            # A proxy on the way has forked: another phone behind it answers, too.
            world.at(world.random.random(), lambda: world.send(flow, _FORKED.sub(rb"\1another", data, count=1)))

    peer.endpoint._send = send
    if isinstance(world, StreamWorld):
        world.failed[peer.host] = peer.endpoint.flow_failed


def forget_the_past(peer: Peer) -> None:
    """A simulated peer keeps every leg that was ever called."""
    incoming = peer._incoming
    for key in [key for key, leg in incoming.items() if leg.ended]:
        del incoming[key]


class Big:
    """One run."""

    def __init__(self, calls: int, seed: int) -> None:
        self.calls, self.seed = calls, seed
        self.world = self.make_world(seed)
        self.chance = self.world.random
        self.tally = Tally()
        self.world.recorder = self.tally  # type: ignore[assignment]
        self.document = self._document()
        self.world.ways[SERVER] = StreamWays(self.world, *SERVER)
        self.switch: Switch = self.world.switch(self.document)
        self.world.failed[SERVER[0]] = self.switch.flow_failed
        self.world.receivers[SERVER[0], DEFAULT_PORTS["tls"]] = self.world.receivers[SERVER]
        self.media = PaperControl(MediaSettings(*MEDIA_PORTS), self.world.clock.monotonic)
        self.media.link.commands = deque(maxlen=1)  # type: ignore[assignment]
        self.switch.relays.attach(self.media)
        self.waiting = 0.0
        self.switch.overload.waiting = lambda: self.waiting
        self._counts: dict[CounterKey, int] = {}
        self._publish = self.switch.counters.on_change
        self.switch.counters.on_change = self._on_counter
        self.peers: dict[str, Peer] = {}
        self.begun = self.most = self.events = 0
        self.resting = self.over = self.asleep = False
        self.troubles: list[str] = []
        for host in (*CARRIERS, CALLER, *CONNECTED, *PHONES):
            self._appear(host)
        self.provider = Provider(self.world)
        make_mortal(self.provider)
        self.provider.plan = lambda _request: self._answer()
        self.peers[PROVIDER] = self.provider
        self.world.advance(5.0)
        for event in (
            *(self._change_weather, self._trouble_a_peer, self._change_records, self._set_the_clock),
            *(self._break_connections, self._overload),
        ):
            self._again(event)
        self._sample()

    def make_world(self, seed: int) -> BigWorld:
        """The network of this run."""
        return BigWorld(seed)

    @staticmethod
    def _document() -> dict[str, Any]:
        document: dict[str, Any] = crowd_document()
        users = [
            {"number": "100", "password": "secret100", "max_calls": 30},
            {"number": "101", "password": "secret101", "relay_media": "yes", "max_outgoing_calls": 10},
        ]
        line = {"id": 1, "account": "line1", "password": "line1pw", "domain": "carrier.test"}
        document["local_users"] = users
        document["external_lines"] = [{**line, "server_address": PROVIDER, "local_user": "100"}]
        document["sip_trunks"][0].update(follow_redirects=True)
        document["sip_trunks"][1].update(relay_media="yes", follow_redirects=True)
        document["sip_trunks"][2].update(relay_media="auto", max_calls_per_second=3, failover_after_ringing=True)
        document["sip_trunks"] += [
            {"id": 4, "server_address": STREAM_CARRIER, "transport": "tcp", "next_trunk_id": 1, "relay_media": "yes"},
            {"id": 5, "server_address": SECURE_CARRIER, "server_port": 5061, "transport": "tls", "next_trunk_id": 4},
            {"id": 10, "server_address": STREAM_CALLER, "transport": "tcp", "max_incoming_calls": 50},
            {"id": 11, "server_address": SECURE_CALLER, "server_port": 5061, "transport": "tls"},
        ]
        document["analyze_called_numbers"] += [
            {"prefix": "5", "route_type": "external_line", "target_id": 1},
            {"prefix": "6", "route_type": "sip_trunk", "target_id": 4},
            {"prefix": "7", "route_type": "sip_trunk", "target_id": 5},
            {"prefix": "101", "route_type": "local_user"},
        ]
        document["number_lists"] = [{"caller_prefix": "*", "called_prefix": "19", "block_percent": 50}]
        document["system"] = {"max_messages_per_second": 0, "ban_failures": 0, "max_calls": 400}
        # Nobody hangs up where two that were called are joined by a transfer.
        document["system"]["max_call_seconds"] = LONGEST_CALL
        return document

    # --- peers --------------------------------------------------------------------------------------------------------

    def _appear(self, host: str) -> None:
        """A peer is switched on, for the first time or after a reboot: it knows nothing of before."""
        old = self.peers.get(host)
        if old is not None:
            old.off = True  # type: ignore[attr-defined]
        peer = self.peers[host] = Mortal(self.world, host)
        peer.plan = lambda _request: self._answer()
        peer.session_expires = self.chance.choice([0, 0, 90, 1800])
        if host in PHONES:
            self._register(peer)

    def _register(self, peer: Peer) -> None:
        if self.over or peer.off:  # type: ignore[attr-defined]
            return
        number = PHONES[peer.host]
        peer.register(number, f"secret{number}", expires=REGISTRATION_SECONDS)
        self.world.at(REGISTRATION_SECONDS * self.chance.uniform(0.4, 0.9), lambda: self._register(peer))

    def _answer(self) -> Plan:
        chance = self.chance
        plan = random_answer(self.world)
        if chance.random() < 0.05:
            plan.status = chance.choice([302, 401, 404, 422, 500, 600])
            plan.headers = (("Min-SE", chance.choice(["1900", "200000"])),) if plan.status == 422 else ()
        if chance.random() < 0.02:
            plan.status = 302
            places = chance.sample(["101", "100", "1234567", "6123", "9"], chance.randint(1, 4))
            plan.contact = ", ".join(
                f"<sip:{number}@10.0.0.5>;q={chance.choice(['0.1', '0.5', '1'])}" for number in places
            )
        if chance.random() < 0.02:
            plan.answer_after = chance.uniform(30.0, 200.0)
        self._spice(plan)
        plan.early_media |= chance.random() < 0.2
        return plan

    def _spice(self, plan: Plan) -> None:
        """What either side of a call may do beside its plan."""
        chance = self.chance
        plan.hold_by = chance.choice(["INVITE", "UPDATE"])
        kind = chance.random()
        if kind < 0.05:
            # Both sides at about the same time, when the other one does so, too: glare.
            plan.hold_after = plan.resume_after = 2.0
        elif kind < 0.1:
            plan.resume_after = chance.uniform(0.0, 12.0)
        elif kind < 0.14:
            plan.ask_after = chance.uniform(0.0, 8.0)
        elif kind < 0.2:
            plan.offer_early_after = chance.uniform(0.1, 4.0)
            plan.early_media = True
        elif kind < 0.25:
            plan.other_request = chance.choice(OTHER_REQUESTS)
        if chance.random() < TRANSFERS:
            # Only those of phones are taken; some phones have a second call to join the first one with.
            plan.transfer_after = chance.uniform(0.0, 12.0)
            plan.transfer_to = chance.choice(["100", "101", "1234567", "4123456", "6123", "7123", "", "", ""])
            plan.leaves_at_once = chance.random() < 0.3

    # --- events -------------------------------------------------------------------------------------------------------

    def _again(self, event: Any) -> None:
        """Have an event happen now and then for as long as calls are made."""

        def happen() -> None:
            if not self.resting:
                self.events += 1
                event()
            if not self.over:
                self.world.at(self.chance.expovariate(1.0 / EVENT_EVERY), happen)

        self.world.at(self.chance.uniform(0.0, EVENT_EVERY), happen)

    def _change_weather(self) -> None:
        kinds, weights = zip(*WEATHERS, strict=True)
        weather = self.chance.choices(kinds, weights)[0]
        self.world.weather = weather
        if weather.loss == 1.0:
            self.world.at(self.chance.uniform(1.0, 40.0), lambda: setattr(self.world, "weather", Weather()))

    def _trouble_a_peer(self) -> None:
        """A peer dies for a while, and comes back as it was or rebooted."""
        host = self.chance.choice([*CARRIERS, *PHONES, CALLER, *CONNECTED])
        if host in self.world.dead:
            return
        self.world.dead.add(host)
        reboots = self.chance.random() < 0.5
        if self.chance.random() < 0.3:
            self.world.refusing.add(host)

        def back() -> None:
            self.world.dead.discard(host)
            self.world.refusing.discard(host)
            if reboots:
                self.world.close_all(host)
                self._appear(host)

        self.world.at(self.chance.uniform(1.0, 90.0), back)

    def _change_records(self) -> None:
        """Limits sink and rise, trunks are disabled and enabled, in the middle of everything."""
        trunk = self.chance.choice(self.document["sip_trunks"])
        trunk["max_outgoing_calls"] = self.chance.choice([0, 1, 5, 40, 100, 100, 100, 100, 100])
        trunk["enabled"] = trunk["id"] >= 9 or self.chance.random() < 0.93
        self.document["system"]["max_calls_per_second"] = self.chance.choice([0, 0, 0, 5])
        self.document["local_users"][1]["password"] = self.chance.choice(["secret101"] * 9 + ["another"])
        self.switch.configure(read_document(self.document, Configuration(), replace=True))

    def _set_the_clock(self) -> None:
        """Somebody sets the clock on the wall by an hour; once in a while the whole machine sleeps for one."""
        self.world.wall_offset += self.chance.choice([3600.0, -3600.0])
        self.asleep = self.chance.random() < 0.02

    def _break_connections(self) -> None:
        """A middlebox forgets, a cable is bent: some connections end, for both sides or without a word for one."""
        for connection in list(self.world.connections.values()):
            if self.chance.random() < 0.3:
                self.world.close(connection)

    def _overload(self) -> None:
        """Now and then more comes in than is done, for a few seconds."""
        if self.chance.random() < 0.2:
            self.waiting = self.chance.uniform(0.05, 0.6)
            self.world.at(self.chance.uniform(0.5, 3.0), self._load_is_over)

    def _load_is_over(self) -> None:
        self.waiting = 0.0

    def _stranger(self) -> None:
        """Somebody who is nobody sends something, or a peer something that belongs to nothing."""
        chance = self.chance
        host = chance.choice(["203.0.113.9", "203.0.113.10", CALLER, *PHONES])
        method = chance.choice(["INVITE", "REGISTER", "OPTIONS", "BYE", "CANCEL", "ACK", "PRACK", "UPDATE", "REFER"])
        text = (
            f"{method} sip:{chance.choice('123456')}00@10.0.0.5 SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {host}:5061;branch=z9hG4bK{chance.getrandbits(64)}\r\n"
            f"Max-Forwards: {chance.choice('0179')}\r\n"
            f"From: <sip:100@{host}>;tag={chance.getrandbits(32)}\r\nTo: <sip:100@10.0.0.5>"
            f"{chance.choice(['', f';tag={chance.getrandbits(32)}'])}\r\nCall-ID: {chance.getrandbits(64)}\r\n"
            f"CSeq: {chance.randrange(1, 9)} {method}\r\nContact: <sip:100@{host}:5061>\r\nContent-Length: 0\r\n\r\n"
        )
        self.world.send(Flow("udp", host, 5061, *SERVER), text.encode())

    def _hang_up_in_the_window(self) -> None:
        if self.switch.calls:
            self.switch.hang_up(self.chance.choice(list(self.switch.calls)))

    def _sample(self) -> None:
        if not self.over:
            self.switch.sample()
            self.world.at(1.0, self._sample)

    # --- calls --------------------------------------------------------------------------------------------------------

    def _call(self) -> None:
        """Begin one call of random kind; a caller hangs up some time, so that every call has an end."""
        chance = self.chance
        plan = Plan(
            hang_up_after=chance.uniform(0.0, 60.0),
            hold_after=chance.uniform(0.0, 10.0) if chance.random() < 0.15 else None,
            digit_after=chance.uniform(0.0, 10.0) if chance.random() < 0.1 else None,
            cancel_after=chance.uniform(0.0, 6.0) if chance.random() < 0.15 else PATIENCE,
        )
        self._spice(plan)
        number = f"{chance.choice('1234567')}{chance.randrange(10**6):06d}"
        if chance.random() < 0.2:
            number = chance.choice(["100", "101", "102", ""])
        body: Body | None = None if chance.random() < 0.05 else LARGE if chance.random() < 0.02 else SDP
        headers = tuple(line for line in OPTION_LINES if chance.random() < _OFTEN.get(line[0], 0.02))
        if plan.offer_early_after is not None:
            headers = RELIABLE
        kind = chance.random()
        if kind < 0.2:
            host = chance.choice(list(PHONES))
            user = PHONES[host]
            password = (user, f"secret{user}" if chance.random() < 0.97 else "wrong")
            self.peers[host].call(number, plan, caller_number=user, password=password, body=body, headers=headers)
        elif kind < 0.25:
            self.provider.call("line1", plan, caller_number="4930", body=body, headers=headers)
        elif kind < 0.27:
            carrier = self.peers[chance.choice(CARRIERS)]
            carrier.call(number, plan, body=Body("application/sdp", chance.randbytes(200)))
        else:
            host = STREAM_CALLER if kind < 0.35 else SECURE_CALLER if kind < 0.45 else CALLER
            self.peers[host].call(number, plan, body=body, headers=headers)
        self.begun += 1
        if chance.random() < 0.05:
            self._stranger()
        if chance.random() < 0.01:
            self._hang_up_in_the_window()

    def step(self) -> None:
        """One call more, a little time, and every promise checked."""
        self._call()
        if self.asleep:
            # Nothing ran for an hour, and everything that was due meanwhile is due now.
            self.asleep = False
            self.world.now += 3600.0
        self.world.advance(self.chance.expovariate(1.0 / CALL_EVERY))
        self._check()
        if self.begun % 500 == 0:
            self._forget_the_past()

    def _forget_the_past(self) -> None:
        for peer in self.peers.values():
            forget_the_past(peer)

    # --- promises -----------------------------------------------------------------------------------------------------

    def _on_counter(self, key: CounterKey) -> None:
        """A counter has changed: it may go up only within its limit."""
        count = self.switch.counters.count(*key)
        if count > self._counts.get(key, 0):
            limit = self._limit_of(key)
            assert limit is None or count <= limit, f"{key} counts {count}, its limit is {limit}"
        self._counts[key] = count
        if self._publish is not None:
            self._publish(key)

    def _limit_of(self, key: CounterKey) -> int | None:
        counted, whose = key
        table = {Counted.TRUNK_IN: "sip_trunks", Counted.TRUNK_OUT: "sip_trunks", Counted.LINE_OUT: "external_lines"}
        if counted not in table:
            return None
        record: Any = self.switch.configuration.find(table[counted], int(whose))
        return record.max_incoming_calls if counted is Counted.TRUNK_IN else record.max_outgoing_calls

    def _check(self) -> None:
        """What must hold at any moment."""
        switch, tally = self.switch, self.tally
        live = len(switch.calls)
        self.most = max(self.most, live)
        assert tally.ended + live == switch.metrics.begun, "a call without its record, or with two"
        holds = [hold for call in switch.calls.values() for hold in (*call.holds, *call._target_holds)]
        held = sum(isinstance(hold, Hold) for hold in holds)
        assert held == switch.counters.total, f"the calls hold {held}, the counters say {switch.counters.total}"
        talks = sum(len(use.talks) for use in switch.external_calls._uses.values())
        assert talks == len(holds) - held, f"{talks} parties outside talk, the calls hold {len(holds) - held}"
        assert len(tally.live) == live, "a record began or ended without its call"
        assert live <= 400
        relayed = len(switch.relays._relays)
        assert relayed == len(self.media.sessions) <= live, f"{relayed} relays, {len(self.media.sessions)} sessions"
        ports = sum(each.held for each in self.media._ports.values())
        assert ports == 2 * relayed, f"{ports} media ports for {relayed} relayed calls"
        assert not self.troubles, self.troubles[0]

    def _check_the_end(self) -> None:
        """What must hold when all calls are over."""
        switch = self.switch
        endpoint = switch.endpoint
        left = {
            "calls": len(switch.calls),
            "counters": switch.counters.total,
            "server transactions and timers": endpoint.transactions + endpoint.timers,
            "dialogs": len(endpoint.dialogs),
            "client users and flows": len(endpoint._users) + len(endpoint._flows),
            "cancellable": len(switch._cancellable),
            "merged": len(endpoint._merged),
            "requests on their way by TCP": len(endpoint._large),
            "relays": len(switch.relays._relays) + len(switch.relays._snapshots),
            "deadlines": max(0, len(self.world.deadlines) - 20),
        }
        assert not any(left.values()), f"left over: {left}"
        assert self.tally.ended == switch.metrics.begun

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self) -> str:
        """Make all calls, let them end and check everything; a line that says what was done."""
        started = time.monotonic()
        quarter = max(1, self.calls // 4)
        blocks = 0
        while self.begun < self.calls:
            self.step()
            if self.begun % quarter == 0:
                print(self._progress(started), flush=True)
            if self.begun == self.calls // 2:
                blocks = self._rest()
                self.resting = False
        # Every table that is bounded was full at the half, and no call is left then or now.
        grown = self._rest() - blocks
        self._stop()
        if self.calls >= 20_000:
            assert grown <= BLOCKS_MAY_GROW, f"{grown} blocks of memory more than at the half"
        return (
            f"{self._progress(started)}; {grown} blocks more than at the half; "
            f"fingerprint {self.world.fingerprint.hexdigest()}"
        )

    def _rest(self) -> int:
        """No new call, in calm weather, until all have ended: how many blocks of memory Python holds then."""
        self.resting = True
        self.world.weather = Weather()
        self.world.dead.clear()
        self.world.refusing.clear()
        self.waiting = 0.0
        self._advance_to_the_end()
        assert not self.switch.calls, "calls that do not end"
        self._forget_the_past()
        gc.collect()
        return sys.getallocatedblocks()

    def _stop(self) -> None:
        """End all that goes on beside calls; nothing may be left."""
        self.over = True
        self.switch.lines.stop()
        self.switch.trunks.stop()
        self._advance_to_the_end()
        self._check_the_end()

    def _advance_to_the_end(self) -> None:
        for _ in range(int(REST_SECONDS / 10)):
            self.world.advance(10.0)
            self._check()

    def _progress(self, started: float) -> str:
        passed = time.monotonic() - started
        causes = ", ".join(f"{count} {cause}" for cause, count in self.tally.causes.most_common(7))
        return (
            f"seed {self.seed}: {self.begun} calls in {passed:.0f} s ({self.begun / passed:.0f}/s), "
            f"{self.world.packets} packets, {self.events} events, at most {self.most} at once, "
            f"{self.tally.answered} answered; {causes}; {resident():.0f} MiB"
        )


def resident() -> float:
    """The memory of this process in MiB; 0 where the system has no /proc to tell it (Windows)."""
    if sys.platform == "win32":
        return 0.0
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def make_reproducible(seed: int) -> None:
    """Tags, branches, nonces and Call-IDs from the seed, too: in this process and this process only."""
    source = random.Random(f"text {seed}")
    secrets.token_bytes = lambda nbytes=None: source.randbytes(nbytes or 32)  # type: ignore[assignment]
    secrets.token_hex = lambda nbytes=None: source.randbytes(nbytes or 32).hex()  # type: ignore[assignment]
    secrets.randbelow = source.randrange
    random.seed(seed)
    random_text._source.forget()
    validation._TAG_KEY = source.randbytes(16)
    media_control._session_id = lambda: source.randrange(10**16)
    media_ports.SystemRandom = lambda: source  # type: ignore[misc, assignment]


class _Troubles(logging.Handler):
    """Whatever is logged as an error is one: above all a message that could not be handled."""

    def __init__(self, troubles: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._troubles = troubles

    def emit(self, record: logging.LogRecord) -> None:
        self._troubles.append(logging.Formatter("%(levelname)s %(name)s: %(message)s").format(record))


def run_reporting(seed: int, make: Callable[[], Big], again: str) -> int:
    """One run in this process; 0 when every promise was kept, else it is told what happened and how to see it again."""
    make_reproducible(seed)
    big = make()
    logging.getLogger().addHandler(_Troubles(big.troubles))
    try:
        print(big.run(), flush=True)
    except Exception as error:
        print(f"seed {seed} failed at call {big.begun}, virtual time {big.world.now:.3f}: {error}", flush=True)
        for at, flow, data in big.world.last:
            first, _, rest = data.partition(b"\r\n")
            call_id = next((line for line in rest.split(b"\r\n") if line.startswith(b"Call-ID")), b"")
            print(f"  {at:.3f} {flow.local_host} -> {flow.remote_host} {first[:70]!r} {call_id[:40]!r}")
        print(f"again: {again}", flush=True)
        traceback.print_exc()
        return 1
    return 0


def main(make: type[Big] = Big, module: str = "tests.simulation.big", calls: int = 100_000) -> int:
    """The command line of a simulation of this kind, with so many calls unless it says otherwise."""
    description = (sys.modules[make.__module__].__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--calls", type=int, default=calls, help=f"how many calls in all ({calls:,})")
    parser.add_argument("--seed", type=int, default=1, help="everything follows from it (1)")
    parser.add_argument("--workers", type=int, default=1, help="processes, each with a seed of its own (1)")
    options = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Sets of texts have the same order in every run only with a fixed hash.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        share = -(-options.calls // options.workers)
        commands = [
            [
                sys.executable,
                "-m",
                module,
                "--calls",
                str(share),
                "--seed",
                str(options.seed + 1000 * at),
            ]
            for at in range(options.workers)
        ]
        running = [subprocess.Popen(command, cwd=ROOT, env=environment) for command in commands]
        return max(process.wait() for process in running)
    again = f"python -m {module} --calls {options.calls} --seed {options.seed}"
    return run_reporting(options.seed, lambda: make(options.calls, options.seed), again)


if __name__ == "__main__":
    sys.exit(main())
