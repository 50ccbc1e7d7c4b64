"""The places that the targets of a call have named instead of themselves: each is tried in turn (RFC 3261 8.1.3.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from app.calls.leg_events import Redirected
from app.dialplan.decision import Dial, DialTarget, RouteDecision

if TYPE_CHECKING:
    from app.calls.call import Call
    from app.calls.identity import CallerIdentity

MAXIMUM_REDIRECTS = 5
"""So many places are called for one call."""

Redirect = Callable[["Call", DialTarget, Redirected], RouteDecision | None]
"""`redirect(call, target, redirected)` is how to call the first place that is named; None where that is not done."""


class Elsewhere:
    """What one call has not tried yet; the newest redirection goes first, and in it the likeliest place."""

    __slots__ = ("_followed", "_left")

    def __init__(self) -> None:
        self._followed = 0
        self._left: list[tuple[DialTarget, Redirected, CallerIdentity]] = []
        """Who has named the places, and the caller as that one was told."""

    def sent(self, call: Call, target: DialTarget, redirected: Redirected, redirect: Redirect) -> RouteDecision | None:
        """A target sends the call elsewhere: how to call the likeliest place of those that it names and that can be.

        The refusal of the likeliest one where none can be called; None where none is a number.
        """
        older = len(self._left)
        self._left.append((target, redirected, call.identity))
        return self._take(call, redirect, older)

    def next(self, call: Call, redirect: Redirect) -> Dial | None:
        """How to call the next place, now that nobody has taken the call at the one before; None where none is left."""
        decision = self._take(call, redirect, 0)
        if decision is None or isinstance(decision, Dial):
            return decision
        call.trail.extend(decision.trail)
        return None

    def _take(self, call: Call, redirect: Redirect, older: int) -> RouteDecision | None:
        refusal: RouteDecision | None = None
        while len(self._left) > older and self._followed < MAXIMUM_REDIRECTS:
            target, redirected, call.identity = self._left.pop()
            if len(redirected.contacts) > 1:
                rest = redirected._replace(contacts=redirected.contacts[1:])
                self._left.append((target, rest, call.identity))
            decision = redirect(call, target, redirected)
            self._followed += decision is not None
            if isinstance(decision, Dial):
                return decision
            if refusal is not None and decision is not None:
                call.trail.extend(decision.trail)
            refusal = refusal or decision
        return refusal
