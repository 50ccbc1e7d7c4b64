"""Requests that were refused without a transaction, so that a repetition of one is refused as well."""

from __future__ import annotations

from collections import OrderedDict

REMEMBERED_FOR = 8.0
"""Seconds: repetitions that were sent before the refusal arrived have come by then."""
MOST_REMEMBERED = 20_000
"""Beyond this many the oldest is forgotten, and a repetition of it is looked at like a new request."""


class TurnedAway:
    """Under overload the first copy of a request may be refused and a later one find room again.

    Its sender has given up by then, and a call would ring that nobody waits for. RFC 3261 8.2.7 wants the same answer
    for both, and nothing kept but what tells them apart.
    """

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[str, str], float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def add(self, host: str, branch: str | None, now: float) -> None:
        """A request with this branch, from this address, was refused."""
        if not branch:
            return
        known = self._until
        self._forget(now)
        known[host, branch] = now + REMEMBERED_FOR
        if len(known) > MOST_REMEMBERED:
            known.popitem(last=False)

    def has(self, host: str, branch: str | None, now: float) -> bool:
        """Whether it was refused a moment ago."""
        self._forget(now)
        return (host, branch) in self._until

    def _forget(self, now: float) -> None:
        known = self._until
        while known and known[next(iter(known))] <= now:
            known.popitem(last=False)
