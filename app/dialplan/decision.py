"""What the dial plan answers: the targets in order or a refusal, each with its trail in plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from app.records import ExternalLine, LocalUser, Record, RouteType, SipTrunk
from app.text import printable

MAX_LOSERS = 5
"""A step lists at most this many of the records that lost."""


class Loser(NamedTuple):
    """A record that could have decided a step and did not."""

    table: str
    id: int
    why: str
    """`its prefix 1 is shorter`, `disabled`."""


Words = Callable[..., str]
Why = Callable[[Record | None, Record, tuple[Any, ...]], str]


def why_prefix(winner: Record | None, loser: Record, _arguments: tuple[Any, ...]) -> str:
    """Why a record with a prefix lost against the winner."""
    if not loser.enabled:
        return "disabled"
    prefix = getattr(loser, "prefix", "")
    if winner is not None and prefix == getattr(winner, "prefix", None):
        return "the same prefix with a higher ID"
    return f"its prefix {prefix} is shorter" if prefix else "it fits any number, a prefix is closer"


class TrailStep:
    """One step of a decision: what was looked at, which record won, which lost and why.

    The words are made when they are read: `decide` runs for every call, a person reads few of them. `text` may be
    the words, or a function that makes them of `arguments`; arguments must be immutable.
    """

    __slots__ = ("_arguments", "_losers", "_text", "_why", "_winner", "step")

    def __init__(
        self,
        step: str,
        text: str | Words,
        record: Record | tuple[str, int] | None = None,
        losers: Sequence[Record | Loser] = (),
        arguments: tuple[Any, ...] = (),
        why: Why = why_prefix,
    ) -> None:
        self.step = step
        self._text = text
        self._winner = record
        self._losers = losers
        self._arguments = arguments
        self._why = why

    @property
    def text(self) -> str:
        """What happened, one sentence without a line break."""
        return self._text if isinstance(self._text, str) else self._text(*self._arguments)

    @property
    def record(self) -> tuple[str, int] | None:
        """(table, id) of the record that decided the step."""
        winner = self._winner
        return (winner.table, winner.id) if isinstance(winner, Record) else winner

    @property
    def losers(self) -> tuple[Loser, ...]:
        """The records that fitted, too, and why they did not decide; at most MAX_LOSERS."""
        winner = self._winner if isinstance(self._winner, Record) else None
        return tuple(
            each if isinstance(each, Loser) else Loser(each.table, each.id, self._why(winner, each, self._arguments))
            for each in self._losers[:MAX_LOSERS]
        )

    def __str__(self) -> str:
        """The step as one line, as it is kept in the call record."""
        line = f"{self.step}: {self.text}"
        losers = self.losers
        if losers:
            listed = ", ".join(f"{each.id} ({each.why})" for each in losers)
            more = len(self._losers) - len(losers)
            line += f" [not used: {listed}" + (f" and {more} more]" if more else "]")
        # A reason may quote what a peer sent.
        return printable(line)

    def __repr__(self) -> str:
        return f"<TrailStep {self}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TrailStep):
            return NotImplemented
        return (self.step, self.text, self.record, self.losers) == (other.step, other.text, other.record, other.losers)

    def __hash__(self) -> int:
        return hash((self.step, self.text))


class DialTarget(NamedTuple):
    """One place to try, with the numbers as this target gets them."""

    kind: RouteType
    """LOCAL_USER, EXTERNAL_LINE or SIP_TRUNK."""
    target_id: int
    name: str
    """`trunk:1`, `line:1`, `user:100`."""
    caller_number: str
    called_number: str
    """As sent: analyzed and refined; for a local user the user's own number."""
    record: SipTrunk | ExternalLine | LocalUser


LIMIT_WORDS = ("outgoing limit ", "limit of ")
"""How the reason begins of a target that is passed over because of a limit."""


class Skipped(NamedTuple):
    """A target that was passed over before anything was sent."""

    name: str
    reason: str
    """In words: `outgoing limit 30 reached`, `disabled`."""

    @property
    def is_full(self) -> bool:
        """Whether the target has all the calls that its record lets it have."""
        return self.reason.startswith(LIMIT_WORDS)


class RejectCause(StrEnum):
    """Why the dial plan refused a call, for counters and call records."""

    UNKNOWN_SOURCE = "unknown_source"
    """The source is unknown or disabled."""
    NUMBER_LIST = "number_list"
    """A black and white list blocks it."""
    CALL_LEVEL = "call_level"
    """The source lacks the call level."""
    LIMIT = "limit"
    """The source, or the called user, has all the calls it may have."""
    EXTERNAL_LIMIT = "external_limit"
    """The source has made all the external calls that it may make for now."""
    NO_NUMBER = "no_number"
    """Nothing was dialled, or a transition left nothing."""
    NOT_FOUND = "not_found"
    """No record and no local user has the number."""
    NOT_REGISTERED = "not_registered"
    """The called user is disabled or not registered."""
    NO_TARGET = "no_target"
    """Every target is full, down, disabled or missing."""


@dataclass(slots=True)
class Dial:
    """Try these targets in order; treat it as immutable."""

    targets: tuple[DialTarget, ...]
    """At least one; each trunk and line at most once."""
    skipped: tuple[Skipped, ...]
    trail: tuple[TrailStep, ...]
    """The last step is the decision."""
    group_id: int = 0
    """The routing group that was used, 0 for none: the engine advances its round-robin turn by one."""
    is_bounded: bool = False
    """It is an external call of a source that may make so many only: the engine counts it."""


@dataclass(slots=True)
class Reject:
    """Refuse the call; treat it as immutable."""

    status: int
    reason: str
    """The reason phrase of the status line."""
    text: str
    """Why, in words for the caller's administrator (Warning header, call record)."""
    trail: tuple[TrailStep, ...]
    """The last step is the decision."""
    skipped: tuple[Skipped, ...] = ()
    cause: RejectCause = RejectCause.NOT_FOUND
    retry_after: int = 0
    """Seconds for a Retry-After header, 0 for none."""


RouteDecision = Dial | Reject
