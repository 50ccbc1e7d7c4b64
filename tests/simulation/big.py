"""A hundred thousand calls of random kind on a virtual network, from one seed, every promise checked at every step.

    python -m tests.simulation.big [--calls 100000] [--seed 1] [--workers 1]

Carriers, phones, a provider and the server between them live in one process, on one virtual clock. Packets are lost,
doubled, delayed and overtaken, peers die, come back and reboot, links go down, records change, the clock on the wall
jumps by an hour, and the machine sleeps for one. After each step no limit may be passed, every counter must be what
the calls in progress hold, and every call that is over must have one record; at the end nothing may be left, and memory
must have stayed flat. Everything follows from the seed: a run that fails says how to run it again, packet for packet.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import logging
import os
import random
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

from simulation.crowd import crowd_document, random_answer
from simulation.test_lines import PROVIDER, Provider
from simulation.world import SDP, Body, Peer, Plan, Weather, World

from app.calls.counters import Counted, CounterKey
from app.calls.switch import Switch
from app.clock import Clock
from app.events import CallRecord
from app.records import Configuration
from app.records.document import read_document
from app.sip import random_text, validation
from app.sip.flow import Flow

ROOT = Path(__file__).resolve().parents[2]
CARRIERS = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
CALLER = "192.0.2.100"
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
DRAIN_SECONDS = 5400.0
"""Longer than any session without a refresh lasts (RFC 4028), with what the last BYE takes."""
REGISTRATION_SECONDS = 600
MEMORY_MAY_GROW = 8.0
"""MiB from the first quarter of the calls to the end."""


class BigWorld(World):
    """A world that keeps a fingerprint of every packet, and the last ones in words."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.wall_offset = 0.0
        self.clock = Clock(lambda: self.now, lambda: self.now + self.wall_offset)
        self.fingerprint = hashlib.blake2b(digest_size=8)
        self.last: deque[tuple[float, Flow, bytes]] = deque(maxlen=60)

    def send(self, flow: Flow, data: bytes) -> None:
        self.fingerprint.update(b"%r %r" % (self.now, data))
        self.last.append((self.now, flow, data))
        super().send(flow, data)


class Tally:
    """Counts records instead of keeping them (Recorder)."""

    def __init__(self) -> None:
        self.ended = 0
        self.causes: Counter[str] = Counter()
        self.live: set[str] = set()
        self.recent: deque[str] = deque(maxlen=5000)
        self.answered = 0

    def call_started(self, record: CallRecord) -> None:
        assert record.id not in self.live, "a call began twice"
        self.live.add(record.id)

    def call_ended(self, record: CallRecord) -> None:
        assert record.id not in self.recent, "a call has two records"
        assert record.status >= 200, f"status {record.status}"
        assert record.end_cause, "no cause"
        assert record.started <= (record.answered or record.started) <= record.ended, "times in disorder"
        assert record.talk_seconds <= record.ended - record.started + 0.01, "longer talked than it lasted"
        self.live.discard(record.id)
        self.recent.append(record.id)
        self.ended += 1
        self.answered += bool(record.answered)
        self.causes[record.end_cause] += 1


class Mortal(Peer):
    """A peer that can reboot, and forgets its conversations when they are over."""

    def __init__(self, world: World, host: str) -> None:
        super().__init__(world, host)
        make_mortal(self)


def make_mortal(peer: Peer) -> None:
    """Bound what a peer remembers, and let it be switched off for good."""
    peer.received = deque(maxlen=8)  # type: ignore[assignment]
    peer.conversations = deque(maxlen=1)  # type: ignore[assignment]
    peer.off = False  # type: ignore[attr-defined]
    send = peer.world.send
    peer.endpoint._send = lambda flow, data: None if peer.off else send(flow, data)  # type: ignore[attr-defined]


def forget_the_past(peer: Peer) -> None:
    """A simulated peer keeps every leg that was ever called."""
    incoming = peer._incoming
    if len(incoming) > 300:
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
        self.switch: Switch = self.world.switch(self.document)
        self._counts: dict[CounterKey, int] = {}
        self._publish = self.switch.counters.on_change
        self.switch.counters.on_change = self._on_counter
        self.peers: dict[str, Peer] = {}
        self.begun = self.most = self.events = 0
        self.over = self.asleep = False
        self.troubles: list[str] = []
        for host in (*CARRIERS, CALLER, *PHONES):
            self._appear(host)
        self.provider = Provider(self.world)
        make_mortal(self.provider)
        self.provider.plan = lambda _request: self._answer()
        self.peers[PROVIDER] = self.provider
        self.world.advance(5.0)
        for event in (self._change_weather, self._trouble_a_peer, self._change_records, self._set_the_clock):
            self._again(event)
        self._sample()

    def make_world(self, seed: int) -> BigWorld:
        """The network of this run."""
        return BigWorld(seed)

    @staticmethod
    def _document() -> dict[str, Any]:
        document: dict[str, Any] = crowd_document()
        users = [{"number": number, "password": f"secret{number}"} for number in ("100", "101")]
        line = {"id": 1, "account": "line1", "password": "line1pw", "domain": "carrier.test"}
        document["local_users"] = users
        document["external_lines"] = [{**line, "server_address": PROVIDER, "local_user": "100"}]
        document["analyze_called_numbers"].append({"prefix": "5", "route_type": "external_line", "target_id": 1})
        document["system"] = {"max_messages_per_second": 0, "ban_failures": 0, "max_calls": 400}
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
        plan = random_answer(self.world)
        if self.chance.random() < 0.05:
            plan.status = self.chance.choice([302, 401, 404, 500, 600])
        if self.chance.random() < 0.02:
            plan.answer_after = self.chance.uniform(30.0, 200.0)
        return plan

    # --- events -------------------------------------------------------------------------------------------------------

    def _again(self, event: Any) -> None:
        """Have an event happen now and then for as long as calls are made."""

        def happen() -> None:
            if not self.over:
                self.events += 1
                event()
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
        host = self.chance.choice([*CARRIERS, *PHONES, CALLER])
        if host in self.world.dead:
            return
        self.world.dead.add(host)
        reboots = self.chance.random() < 0.5

        def back() -> None:
            self.world.dead.discard(host)
            if reboots:
                self._appear(host)

        self.world.at(self.chance.uniform(1.0, 90.0), back)

    def _change_records(self) -> None:
        """Limits sink and rise, trunks are disabled and enabled, in the middle of everything."""
        trunk = self.chance.choice(self.document["sip_trunks"])
        trunk["max_outgoing_calls"] = self.chance.choice([0, 1, 5, 40, 100, 100, 100, 100, 100])
        trunk["enabled"] = trunk["id"] == 9 or self.chance.random() < 0.93
        self.switch.configure(read_document(self.document, Configuration(), replace=True))

    def _set_the_clock(self) -> None:
        """Somebody sets the clock on the wall by an hour; once in a while the whole machine sleeps for one."""
        self.world.wall_offset += self.chance.choice([3600.0, -3600.0])
        self.asleep = self.chance.random() < 0.02

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
            cancel_after=chance.uniform(0.0, 6.0) if chance.random() < 0.15 else None,
        )
        number = f"{chance.choice('12345')}{chance.randrange(10**6):06d}"
        if chance.random() < 0.2:
            number = chance.choice(["100", "101"])
        body: Body | None = None if chance.random() < 0.05 else SDP
        kind = chance.random()
        if kind < 0.2:
            host = chance.choice(list(PHONES))
            user = PHONES[host]
            self.peers[host].call(number, plan, caller_number=user, password=(user, f"secret{user}"), body=body)
        elif kind < 0.25:
            self.provider.call("line1", plan, caller_number="4930", body=body)
        elif kind < 0.27:
            carrier = self.peers[chance.choice(CARRIERS)]
            carrier.call(number, plan, body=Body("application/sdp", chance.randbytes(200)))
        else:
            self.peers[CALLER].call(number, plan, body=body)
        self.begun += 1

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
        held = sum(len(call.holds) + (call._hold is not None) for call in switch.calls.values())
        assert held == switch.counters.total, f"the calls hold {held}, the counters say {switch.counters.total}"
        assert len(tally.live) == live, "a record began or ended without its call"
        assert live <= 400
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
            "deadlines": max(0, len(self.world.deadlines) - 20),
        }
        assert not any(left.values()), f"left over: {left}"
        assert self.tally.ended == switch.metrics.begun

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self) -> str:
        """Make all calls, let them end and check everything; a line that says what was done."""
        started = time.monotonic()
        memory: list[float] = []
        quarter = max(1, self.calls // 4)
        while self.begun < self.calls:
            self.step()
            if self.begun % quarter == 0:
                gc.collect()
                memory.append(resident())
                print(self._progress(started, memory[-1]), flush=True)
        self._drain()
        grown = memory[-1] - memory[0]
        if self.calls >= 20_000:
            assert grown <= MEMORY_MAY_GROW, f"memory grew by {grown:.1f} MiB: {memory}"
        return self._progress(started, memory[-1]) + f"; fingerprint {self.world.fingerprint.hexdigest()}"

    def _drain(self) -> None:
        self.over = True
        self.world.weather = Weather()
        self.world.dead.clear()
        self.switch.lines.stop()
        self.switch.trunks.stop()
        for _ in range(int(DRAIN_SECONDS / 10)):
            self.world.advance(10.0)
            self._check()
        self._check_the_end()

    def _progress(self, started: float, mebibytes: float) -> str:
        passed = time.monotonic() - started
        causes = ", ".join(f"{count} {cause}" for cause, count in self.tally.causes.most_common(6))
        return (
            f"seed {self.seed}: {self.begun} calls in {passed:.0f} s ({self.begun / passed:.0f}/s), "
            f"{self.world.packets} packets, {self.events} events, at most {self.most} at once, "
            f"{self.tally.answered} answered; {causes}; {mebibytes:.0f} MiB"
        )


def resident() -> float:
    """The memory of this process in MiB."""
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


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=100_000, help="how many calls in all (100,000)")
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
                "tests.simulation.big",
                "--calls",
                str(share),
                "--seed",
                str(options.seed + 1000 * at),
            ]
            for at in range(options.workers)
        ]
        running = [subprocess.Popen(command, cwd=ROOT, env=environment) for command in commands]
        return max(process.wait() for process in running)
    again = f"python -m tests.simulation.big --calls {options.calls} --seed {options.seed}"
    return run_reporting(options.seed, lambda: Big(options.calls, options.seed), again)


if __name__ == "__main__":
    sys.exit(main())
