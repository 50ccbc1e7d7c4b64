"""The media ports: which pairs are free, bound ahead by a worker, in use, let go of or refused by the system."""

from __future__ import annotations

from collections import deque
from random import SystemRandom

READY_TARGET = 64
"""Pairs that each worker keeps bound ahead on each address, at most."""
CHUNK = 16
"""Pairs that are bound by one command, so that no packet waits for many."""
REFUSED_REST = 30.0
"""Seconds until a port that could not be bound is tried again."""


class AddressPorts:
    """The even ports of the range on one local address; each is in exactly one place."""

    __slots__ = ("_range", "address", "free", "ready", "refused", "requested", "returning", "used")

    def __init__(self, address: str, first: int, last: int) -> None:
        self.address = address
        self._range = range(first, last)
        ports = [port for port in range(first + first % 2, last + 1, 2) if port + 1 <= last]
        # In no order that a stranger could guess (RFC 6056), and later first in, first out: a port rests for long.
        SystemRandom().shuffle(ports)
        self.free: deque[int] = deque(ports)
        self.requested: dict[int, set[int]] = {}
        """Per worker: asked to bind."""
        self.ready: dict[int, deque[int]] = {}
        """Per worker: bound."""
        self.used: dict[int, int] = {}
        """Port to worker."""
        self.returning: dict[int, tuple[int, int]] = {}
        """No longer wanted by anybody, until the worker has closed them: port to (worker, ticket of the command)."""
        self.refused: deque[tuple[float, int]] = deque()
        """Could not be bound: (when to try again, port)."""

    def request(self, worker: int, workers: int) -> tuple[int, ...]:
        """The ports that this worker should bind ahead now; empty while it has enough."""
        if not self.used:
            # Without a call every port of the range is left to whoever looks for one.
            return ()
        ready = self.ready.setdefault(worker, deque())
        requested = self.requested.setdefault(worker, set())
        # As many as are in use; but in a small range no worker may sit on what another one needs.
        total = self.available + self.held
        target = min(READY_TARGET, max(len(self.used), 2), max(total // (2 * workers), 2))
        count = min(target - len(ready) - len(requested), CHUNK, len(self.free))
        if count <= 0:
            return ()
        ports = tuple(self.free.popleft() for _ in range(count))
        requested.update(ports)
        return ports

    def bound(self, worker: int, bound: tuple[int, ...], refused: tuple[int, ...], now: float) -> None:
        """A worker has answered a request."""
        requested = self.requested.setdefault(worker, set())
        ready = self.ready.setdefault(worker, deque())
        for port in bound:
            if port in requested:
                requested.discard(port)
                ready.append(port)
        for port in refused:
            if port in requested:
                requested.discard(port)
                self.refused.append((now + REFUSED_REST, port))

    def take(self, worker: int) -> int | None:
        """A port that the worker has bound ahead, or None."""
        ready = self.ready.get(worker)
        if not ready:
            return None
        port = ready.popleft()
        self.used[port] = worker
        return port

    def take_free(self, worker: int) -> int | None:
        """A port that nobody has bound yet, or None when the range is used up."""
        if not self.free:
            return None
        port = self.free.popleft()
        self.used[port] = worker
        return port

    def take_requested(self, worker: int) -> int | None:
        """A port that the worker is just about to bind: what it is told next finds it bound. None if there is none."""
        requested = self.requested.get(worker)
        if not requested:
            return None
        port = requested.pop()
        self.used[port] = worker
        return port

    def take_returning(self, worker: int) -> int | None:
        """A port that this worker is just about to close, before all that it is told next. None if there is none."""
        for port, (owner, _) in self.returning.items():
            if owner == worker:
                del self.returning[port]
                self.used[port] = worker
                return port
        return None

    def refuse(self, port: int, now: float) -> None:
        """A port that was taken turns out to be in use by another program."""
        self.used.pop(port, None)
        self.refused.append((now + REFUSED_REST, port))

    def withdraw(self, worker: int) -> tuple[int, ...]:
        """What to give back, since no call is left to bind ahead for; it counts as used until then."""
        if self.used:
            return ()
        ports = tuple(self.ready.pop(worker, ()))
        self.used.update(dict.fromkeys(ports, worker))
        return ports

    def give_back(self, port: int, worker: int, ticket: int) -> None:
        """Nobody wants it any more, and a worker is told to close it; `worker` -1: nobody may have it before it has."""
        if self.used.pop(port, None) is not None:
            self.returning[port] = worker, ticket

    def closed(self, port: int, ticket: int) -> None:
        """The worker has done so; by then a call may have taken the port again."""
        if port in self.returning and self.returning[port][1] == ticket:
            del self.returning[port]
            # A port of a call that began before the range was changed may lie outside of it.
            if port in self._range:
                self.free.append(port)

    def forget_worker(self, worker: int) -> None:
        """A worker is gone: what it had bound ahead is free. What is in use stays in use."""
        self.free.extend(self.ready.pop(worker, ()))
        self.free.extend(self.requested.pop(worker, ()))

    def retry_refused(self, now: float) -> None:
        """Give the ports that were refused long ago another chance."""
        while self.refused and self.refused[0][0] <= now:
            self.free.append(self.refused.popleft()[1])

    @property
    def held(self) -> int:
        """Pairs that are in use, or not closed yet."""
        return len(self.used) + len(self.returning)

    @property
    def available(self) -> int:
        """Pairs that a call can get."""
        ahead = sum(len(ports) for ports in self.ready.values()) + sum(len(ports) for ports in self.requested.values())
        return len(self.free) + ahead
