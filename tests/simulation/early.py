"""Calls that agree on their media before they are answered, or try to: the big simulation with nothing but such ones.

    python -m tests.simulation.early [--calls 5000] [--seed 1] [--workers 1]

Callers make an offer or want one, take reliable provisional answers or insist on them, know UPDATE or not; called peers
have early media, each time a little different, fork on the way, fail after ringing, so that the caller has to be joined
with the next trunk, and either side makes more offers. The promises are those of the big simulation.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any
from zlib import crc32

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from simulation.big import RELIABLE, SERVER, Big, BigWorld, main
from simulation.world import SDP, Conversation, Plan

from app.sip.flow import Flow

ALLOW = RELIABLE[1]
WISHES = ((), RELIABLE, RELIABLE, RELIABLE[:1], (("Require", "100rel"), ALLOW), (("Require", "100rel"),))
"""What callers say of reliable provisional answers and of UPDATE."""
_AUDIO = b"m=audio 4000"
_TAG = re.compile(rb"(\r\nTo: [^\r]*;tag=)")


class EarlyWorld(BigWorld):
    """A network with forking proxies, on which no two peers describe the same session."""

    def send(self, flow: Flow, data: bytes) -> None:
        if flow.remote_host != SERVER[0]:
            super().send(flow, data)
            return
        super().send(flow, at_own_port(data))
        begins = data.startswith(b"SIP/2.0 18") and b"\r\nRSeq:" in data
        answers = data.startswith(b"SIP/2.0 200") and b"CSeq: 1 INVITE" in data
        if (begins or answers) and self.random.random() < 0.25:
            fork = at_own_port(_TAG.sub(rb"\1another", data, count=1))
            self.at(2.0 * self.random.random(), lambda: super(EarlyWorld, self).send(flow, fork))


def at_own_port(data: bytes) -> bytes:
    """A packet with its session at a port of its own: the same one each time the packet is sent."""
    return data.replace(_AUDIO, b"m=audio 400%d" % (crc32(data) % 3))


class Early(Big):
    """One run."""

    def make_world(self, seed: int) -> BigWorld:
        return EarlyWorld(seed)

    @staticmethod
    def _document() -> dict[str, Any]:
        document = Big._document()
        for trunk in document["sip_trunks"]:
            trunk["failover_after_ringing"] = True
        return document

    def _appear(self, host: str) -> None:
        super()._appear(host)
        peer = self.peers[host]
        place = peer.call

        def call(number: str, plan: Plan, **options: Any) -> Conversation:
            options["body"] = SDP if self.chance.random() < 0.5 else None
            options["headers"] = self.chance.choice(WISHES)
            return place(number, plan, **options)

        peer.call = call  # type: ignore[method-assign]

    def _answer(self) -> Plan:
        plan = super()._answer()
        plan.early_media = self.chance.random() < 0.8
        if self.chance.random() < 0.3:
            plan.offer_early_after = self.chance.uniform(0.1, 4.0)
        return plan


if __name__ == "__main__":
    sys.exit(main(Early, "tests.simulation.early", 5_000))
