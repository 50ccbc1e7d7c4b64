"""What a call needs of others: who dials for it, who relays its media, and who is on its sides."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from app.dialplan.request import Source, SourceKind

if TYPE_CHECKING:
    from app.calls.call import Call
    from app.calls.call_words import PressedDigit
    from app.calls.called_leg import CalledLeg
    from app.calls.counters import Held, Hold
    from app.calls.leg import Leg
    from app.calls.leg_events import Body, Failed, Redirected, Referred
    from app.clock import Deadline
    from app.dialplan.decision import DialTarget, RouteDecision


class Party(NamedTuple):
    """Who is on one side of a call."""

    source: Source
    number: str
    display: str = ""
    private: bool = False
    """It asked not to be shown (RFC 3323), and stays hidden wherever a transfer takes it."""

    def __str__(self) -> str:
        return f"{self.source.name} ({self.number or 'no number'})"

    @property
    def trunk(self) -> int:
        """The id of the trunk that the party is at, 0 for none."""
        return self.source.id if self.source.kind is SourceKind.SIP_TRUNK else 0


class Dialler(Protocol):
    """Who makes legs for a call, and takes note of it."""

    def dial(self, call: Call, target: DialTarget, way: int) -> list[CalledLeg] | str:
        """Begin an attempt at a target: its legs, or in words why there are none.

        `way` counts the addresses of the target's server that were tried before.
        """

    def hold(self, target: DialTarget) -> Hold | str:
        """Count the call on its target, or say in words why there is no room."""

    def talks(self, call: Call, target: DialTarget) -> Iterable[Held]:
        """The target has answered: what is held for as long as somebody talks to it."""

    def redirect(self, call: Call, target: DialTarget, redirected: Redirected) -> RouteDecision | None:
        """Where a call goes that the target has redirected; None when it is not followed."""

    def refer(self, call: Call, leg: Leg, event: Referred) -> None:
        """A side wants the other one to talk to somebody else."""

    def outcome(self, call: Call, target: DialTarget, failure: Failed | None) -> None:
        """What became of an attempt: None when the target answered the call."""

    def changed(self, call: Call) -> None:
        """The call's row is new."""

    def ended(self, call: Call) -> None:
        """The call has ended; called exactly once."""

    def schedule(self, delay: float, callback: Callable[[float], None]) -> Deadline:
        """Have a callback called after so many seconds."""

    def wall(self) -> float:
        """Seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""


class CallMedia(Protocol):
    """The relayed media of a call."""

    problem: str
    """What is wrong with the audio, in words; blank while all is well."""

    def cross(self, leg: Leg, body: Body, *, is_offer: bool) -> Body:
        """A body from this leg as the other side shall get it. RemoteError when it cannot be used."""

    def established(self) -> None:
        """The call is answered."""

    def hears_called_side(self, within: float) -> bool:
        """Whether audio came from the called side within the last so many seconds."""

    def press(self, to_caller: bool, pressed: PressedDigit) -> bool:
        """Put a digit into the audio of a side; False where it does not take digits there."""

    def roll_back(self) -> None:
        """The last offer was refused: media stay as they were."""

    def report(self) -> tuple[dict[str, object], ...]:
        """What is kept of the streams."""
