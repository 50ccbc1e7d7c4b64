"""What the dial plan may ask about this moment: counters and states that the engine keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class ExternalUse(NamedTuple):
    """What a source has called outwards lately."""

    calls: int = 0
    """External calls within the last hour."""
    minutes: int = 0
    """Minutes talked in them within the last 24 hours, of calls that run, too."""
    stopped_until: str = ""
    """Until when they are stopped, as a clock shows it; blank while they are not."""


class LiveState(Protocol):
    """The live counters, read only. The call that is being decided is not counted in them yet."""

    def trunk_active_in(self, trunk_id: int) -> int:
        """Calls that came in through the trunk and have not ended."""

    def trunk_active_out(self, trunk_id: int) -> int:
        """Calls that went out through the trunk and have not ended."""

    def trunk_down(self, trunk_id: int) -> str:
        """Why the trunk is known down, in words; blank when it may be tried."""

    def trunk_rests(self, trunk_id: int) -> str:
        """Until when the trunk wants no calls and why, in words (`rests until ...`); blank while it takes them."""

    def trunk_rate_full(self, trunk_id: int) -> bool:
        """Whether the trunk has had its calls of this second."""

    def line_active_in(self, line_id: int) -> int:
        """Calls that came in through the line and have not ended."""

    def line_active_out(self, line_id: int) -> int:
        """Calls that went out through the line and have not ended."""

    def line_down(self, line_id: int) -> str:
        """Why nothing can go out through the line, in words (`not registered: 403 Forbidden`); blank when it can."""

    def line_rests(self, line_id: int) -> str:
        """Until when the line wants no calls and why, in words; blank while it takes them."""

    def line_rate_full(self, line_id: int) -> bool:
        """Whether the line has had its calls of this second."""

    def user_contacts(self, number: str) -> int:
        """At how many places the user can be rung: registered contacts, and the trusted address where there is one."""

    def user_active(self, number: str) -> int:
        """The user's calls, in and out together."""

    def user_active_out(self, number: str) -> int:
        """The user's calls out."""

    def external_use(self, source: str) -> ExternalUse:
        """The external calls of a source, by its name; only of one whose record bounds them."""

    def round_robin(self, group_id: int) -> int:
        """The turn of a routing group: grows by one with every call that was routed through it, not by asking."""


@dataclass(slots=True)
class IdleState:
    """A live state in which nothing happens and everybody is reachable, for simulations; the fields make exceptions."""

    trunks_in: Mapping[int, int] = field(default_factory=dict)
    trunks_out: Mapping[int, int] = field(default_factory=dict)
    trunks_down: Mapping[int, str] = field(default_factory=dict)
    trunks_rate_full: frozenset[int] = frozenset()
    lines_in: Mapping[int, int] = field(default_factory=dict)
    lines_out: Mapping[int, int] = field(default_factory=dict)
    lines_down: Mapping[int, str] = field(default_factory=dict)
    lines_rate_full: frozenset[int] = frozenset()
    contacts: Mapping[str, int] = field(default_factory=dict)
    users_active: Mapping[str, int] = field(default_factory=dict)
    users_out: Mapping[str, int] = field(default_factory=dict)
    turns: Mapping[int, int] = field(default_factory=dict)
    external: Mapping[str, ExternalUse] = field(default_factory=dict)
    trunks_resting: Mapping[int, str] = field(default_factory=dict)
    lines_resting: Mapping[int, str] = field(default_factory=dict)

    def trunk_active_in(self, trunk_id: int) -> int:
        return self.trunks_in.get(trunk_id, 0)

    def trunk_active_out(self, trunk_id: int) -> int:
        return self.trunks_out.get(trunk_id, 0)

    def trunk_down(self, trunk_id: int) -> str:
        return self.trunks_down.get(trunk_id, "")

    def trunk_rests(self, trunk_id: int) -> str:
        return self.trunks_resting.get(trunk_id, "")

    def trunk_rate_full(self, trunk_id: int) -> bool:
        return trunk_id in self.trunks_rate_full

    def line_active_in(self, line_id: int) -> int:
        return self.lines_in.get(line_id, 0)

    def line_active_out(self, line_id: int) -> int:
        return self.lines_out.get(line_id, 0)

    def line_down(self, line_id: int) -> str:
        return self.lines_down.get(line_id, "")

    def line_rests(self, line_id: int) -> str:
        return self.lines_resting.get(line_id, "")

    def line_rate_full(self, line_id: int) -> bool:
        return line_id in self.lines_rate_full

    def user_contacts(self, number: str) -> int:
        return self.contacts.get(number, 1)

    def user_active(self, number: str) -> int:
        return self.users_active.get(number, 0)

    def user_active_out(self, number: str) -> int:
        return self.users_out.get(number, 0)

    def external_use(self, source: str) -> ExternalUse:
        return self.external.get(source, ExternalUse())

    def round_robin(self, group_id: int) -> int:
        return self.turns.get(group_id, 0)
