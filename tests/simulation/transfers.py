"""Calls that are transferred all the time: the big simulation with little else, every session at a port of its own.

    python -m tests.simulation.transfers [--calls 5000] [--seed 1] [--workers 1]

Phones call each other and carriers, and are called by them. Either side transfers, more often than not: to numbers that
answer, ring, refuse or do not exist, to a second call that talks, rings or is over, to itself and twice, and hangs up
at once or not. Who is to be joined may refuse that. The promises are those of the big simulation.
"""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from simulation.big import CALLER, PATIENCE, PHONES, Big, BigWorld, main
from simulation.crowd import random_answer
from simulation.early import EarlyWorld
from simulation.world import Plan

from app.sip.flow import Flow
from app.sip.message import parse

NUMBERS = ("100", "101", "1234567", "2123456", "4123456", "6123", "102", "")
MOVES = (*NUMBERS, "", "", "", "")
"""Where transfers go; blank: to another call of the phone."""


class Transfers(Big):
    """One run."""

    def make_world(self, seed: int) -> BigWorld:
        return EarlyWorld(seed)

    @staticmethod
    def _document() -> dict[str, Any]:
        document = Big._document()
        for user in document["local_users"]:
            user.update(max_calls=200, max_outgoing_calls=150, max_external_minutes_per_day=1_000_000)
        for trunk in document["sip_trunks"]:
            trunk.update(max_incoming_calls=100, max_outgoing_calls=100, max_external_minutes_per_day=1_000_000)
        return document

    def _appear(self, host: str) -> None:
        super()._appear(host)
        peer = self.peers[host]
        peer.conversations = deque(maxlen=8)  # type: ignore[assignment]
        receive = self.world.receivers[host, peer.port]

        def receive_all(data: bytes, flow: Flow) -> None:
            """As the peer does, but that it knows NOTIFY."""
            if data.startswith(b"NOTIFY ") and not peer.off:  # type: ignore[attr-defined]
                request = parse(data)
                self.world.send(flow, request.answer(200 if self.chance.random() < 0.9 else 481).to_bytes())  # type: ignore[union-attr]
            else:
                receive(data, flow)

        self.world.receivers[host, peer.port] = receive_all

    def _answer(self) -> Plan:
        plan = random_answer(self.world)
        if self.chance.random() < 0.5:
            plan.status = 200
        self._spice(plan)
        return plan

    def _spice(self, plan: Plan) -> None:
        super()._spice(plan)
        chance = self.chance
        plan.transfer_after = chance.uniform(0.0, 8.0) if chance.random() < 0.8 else None
        plan.transfer_to = chance.choice(MOVES)
        plan.leaves_at_once = chance.random() < 0.3
        plan.refuses = chance.choice([0.0, 0.0, 0.0, 0.3, 1.0])

    def _call(self) -> None:
        chance = self.chance
        plan = Plan(
            hang_up_after=chance.uniform(0.0, 60.0),
            hold_after=chance.uniform(0.0, 4.0) if chance.random() < 0.5 else None,
            cancel_after=chance.uniform(0.0, 6.0) if chance.random() < 0.1 else PATIENCE,
        )
        self._spice(plan)
        if chance.random() < 0.6:
            host = chance.choice(list(PHONES))
            user = PHONES[host]
            number = chance.choice(NUMBERS)
            self.peers[host].call(number, plan, caller_number=user, password=(user, f"secret{user}"))
        else:
            self.peers[CALLER].call(chance.choice(["100", "101"]), plan)
        self.begun += 1
        if chance.random() < 0.02:
            self._hang_up_in_the_window()

    def _check_the_end(self) -> None:
        super()._check_the_end()
        uses = self.switch.external_calls._uses
        assert all(uses[name].seconds.total(self.world.now) for name in ("user:100", "user:101")), "nobody has paid"
        assert self.tally.causes["transferred"] > self.calls // 100, "hardly a transfer has worked"


if __name__ == "__main__":
    sys.exit(main(Transfers, "tests.simulation.transfers", 5_000))
