"""Reliable provisional responses (RFC 3262), on the server's side: repeated until their PRACK comes, one at a time."""

from __future__ import annotations

import math
import secrets
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.sip.dialog import AcceptedRetransmission
from app.sip.endpoint import Endpoint
from app.sip.message import Request, Response

if TYPE_CHECKING:
    from app.clock import Deadline
    from app.sip.transaction import Key

MAXIMUM_WAITING = 16
"""So many provisional responses wait for the PRACK of the one before; further ones are not sent."""

OPTION = "100rel"


def option_in(message: Request | Response, header: str) -> bool:
    """Whether Supported or Require names 100rel, in any of its lines."""
    return any(word.strip().lower() == OPTION for value in message.get_all(header) for word in value.split(","))


class ReliableProvisionals:
    """Sends provisional responses of one INVITE reliably. `give_up()` is called when no PRACK comes in time."""

    def __init__(self, endpoint: Endpoint, key: Key, invite_sequence: int, give_up: Callable[[], None]) -> None:
        self._endpoint = endpoint
        self._key = key
        self._invite_sequence = invite_sequence
        self._give_up = give_up
        # RFC 3262 3: the first number is random below 2**31.
        self._number = secrets.randbelow(2**31 - 1000) + 1
        self._current: Response | None = None
        self._waiting: deque[Response] = deque()
        self.is_described = False
        """Whether a session description has been sent reliably: it is the first one that counts for the peer."""
        self.is_agreed = False
        """Whether a response with a session description has been acknowledged."""
        self._repeat: Deadline | None = None
        self._schedule: AcceptedRetransmission | None = None

    def send(self, response: Response) -> None:
        """Send a response reliably, after those before it have been acknowledged."""
        if self._current is not None:
            if len(self._waiting) < MAXIMUM_WAITING:
                self._waiting.append(response)
            return
        response.add("Require", OPTION)
        response.add("RSeq", str(self._number))
        self._current = response
        self.is_described = self.is_described or bool(response.body)
        self._endpoint.respond(self._key, response)
        now = self._endpoint.now()
        self._schedule = AcceptedRetransmission.begin(now, longest_interval=math.inf)
        self._repeat = self._endpoint.schedule(self._schedule.next_at - now, self._again)

    def _again(self, now: float) -> None:
        self._repeat = None
        if self._current is None or self._schedule is None:
            return
        if self._schedule.is_over(now):
            give_up = self._give_up
            self.stop()
            give_up()
            return
        self._endpoint.respond(self._key, self._current)
        self._schedule = self._schedule.after(now)
        self._repeat = self._endpoint.schedule(self._schedule.next_at - now, self._again)

    def acknowledge(self, prack: Request) -> bool:
        """Take a PRACK; False when it acknowledges nothing (481, RFC 3262 3)."""
        parts = (prack.get("RAck") or "").split()
        if self._current is None or len(parts) != 3 or parts[2] != "INVITE":
            return False
        if parts[:2] != [str(self._number), str(self._invite_sequence)]:
            return False
        self.is_agreed = self.is_agreed or bool(self._current.body)
        self._current = None
        self._number += 1
        if self._repeat is not None:
            self._repeat.cancel()
            self._repeat = None
        if self._waiting:
            self.send(self._waiting.popleft())
        return True

    def keeps_answer_back(self) -> bool:
        """Whether a 2xx must wait: a session description was sent that no PRACK has acknowledged (RFC 3262 3).

        What waits behind it is not sent any more: the 2xx says it all.
        """
        self._waiting.clear()
        return self._current is not None and bool(self._current.body)

    def stop(self) -> None:
        """The INVITE has its final answer, or is about to: nothing more is repeated.

        RFC 3262 3: the PRACK of what had not been acknowledged by then is still taken.
        """
        self._waiting.clear()
        # The leg has this object and this the leg's method: letting go frees both without the garbage collector.
        self._give_up = _nothing
        if self._repeat is not None:
            self._repeat.cancel()
            self._repeat = None


def _nothing() -> None:
    """What is given up after the end."""
