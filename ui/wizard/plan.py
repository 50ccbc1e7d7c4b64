"""What the wizard makes of its answers: a trunk or a line, and the dial-plan records that lead to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import RecordError, RecordErrors
from app.records import (
    AnalyzeCalledNumber,
    Change,
    Configuration,
    ExternalLine,
    LocalUser,
    NumberTransition,
    Record,
    RouteType,
    SipTrunk,
    TransitionType,
)
from app.records.document import check_record
from ui.face import Dial, Engine, Source
from ui.records.changes import new_values
from ui.records.checking import checked_record

PROBED_EVERY = 60
"""Seconds: a trunk of the wizard is probed, so that its test says something; the field can be changed there."""

PEER_FIELDS: dict[type[Record], tuple[str, ...]] = {
    SipTrunk: ("description", "server_address", "server_port", "transport", "options_interval"),
    ExternalLine: (
        "description",
        "server_address",
        "server_port",
        "transport",
        "account",
        "password",
        "authorization_id",
        "local_user",
    ),
}
"""What the wizard asks of each kind; everything else keeps its default, and can be changed in the table."""


@dataclass(slots=True)
class TrunkPlan:
    """The answers so far."""

    kind: type[Record] = SipTrunk
    peer: dict[str, Any] = field(default_factory=dict)
    """The values of `PEER_FIELDS`."""
    routed: bool = True
    """Whether numbers that begin with the prefix go there."""
    prefix: str = ""
    stripped: bool = False
    """Whether the prefix is taken away before the number is sent."""

    def record(self, configuration: Configuration) -> Record:
        """The trunk or line. RecordErrors for what is wrong with the answers."""
        values: Mapping[str, Any] = first_values(self.kind, configuration) | self.peer
        return checked_record(self.kind, values, configuration)

    def changes(self, configuration: Configuration) -> list[Change]:
        """Everything that is added, in one step. RecordErrors where an answer does not fit."""
        record = self.record(configuration)
        changes = [Change(record.table, None, record)]
        if not self.routed:
            return changes
        transition_id = 0
        if self.stripped and self.prefix:
            transition = _same_transition(configuration, self.prefix)
            if transition is None:
                removal = {
                    "id": configuration.next_id(NumberTransition.table),
                    "type": TransitionType.DELETE,
                    "length": len(self.prefix),
                    "description": f"remove {self.prefix}",
                }
                transition = check_record(NumberTransition, removal)
                changes.append(Change(NumberTransition.table, None, transition))
            transition_id = transition.id
        values = {
            "id": configuration.next_id(AnalyzeCalledNumber.table),
            "description": getattr(record, "description", ""),
            "prefix": self.prefix,
            "route_type": RouteType.SIP_TRUNK if self.kind is SipTrunk else RouteType.EXTERNAL_LINE,
            "target_id": record.id,
            "transition_id": transition_id,
        }
        return [*changes, Change(AnalyzeCalledNumber.table, None, check_record(AnalyzeCalledNumber, values))]

    def mistake(self, configuration: Configuration) -> str:
        """What is wrong with all of it together, in words; blank when it fits."""
        if self.routed and not self.prefix:
            # A blank prefix is every number, those of the local users too: whoever wants that uses the table.
            return "Type the first digits of the numbers that go there, or untick the box."
        taken = next((each for each in configuration.records(AnalyzeCalledNumber) if each.prefix == self.prefix), None)
        if self.routed and taken is not None:
            return f"{self.prefix} is already called number record {taken.caption()}: choose another."
        try:
            configuration.with_changes(self.changes(configuration))
        except RecordErrors as errors:
            error: RecordError = errors.errors[0]
            return f"{error.path.rpartition('.')[2].replace('_', ' ')} {error.message}".strip()
        return ""

    def sample_words(self, configuration: Configuration, engine: Engine, number: str) -> str:
        """What a dialled number becomes with these records, in words; the sample must be one that fits."""
        after = configuration.with_changes(self.changes(configuration))
        users = [user for user in after.records(LocalUser) if user.enabled]
        caller = users[0].number if users else "100"
        simulation = engine.simulate(Source.user(caller), caller, number, after)
        if not isinstance(simulation.decision, Dial) or not simulation.targets:
            return f"{caller} dials {number}: {simulation.decision.trail[-1]}"
        first = simulation.targets[0]
        line = first.invite.split("\r\n", 1)[0].removesuffix(" SIP/2.0")
        return f"{caller} dials {number}: {first.caption} gets {line}"


def first_values(kind: type[Record], configuration: Configuration) -> dict[str, Any]:
    """The values with which the wizard begins."""
    values = new_values(kind, configuration)
    return values | {"options_interval": PROBED_EVERY} if kind is SipTrunk else values


def _same_transition(configuration: Configuration, prefix: str) -> NumberTransition | None:
    """A transition that takes as many digits away from the beginning."""
    for each in configuration.records(NumberTransition):
        if each.enabled and each.type is TransitionType.DELETE and (each.start, each.length) == (0, len(prefix)):
            return each
    return None
