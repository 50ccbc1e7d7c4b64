"""What the wizard makes of its answers: a trunk or a line, and the dial-plan records that lead to and from it."""

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
    GroupStrategy,
    LocalUser,
    NumberTransition,
    Record,
    RefineCalledNumber,
    RouteType,
    RoutingGroup,
    RoutingGroupMember,
    SipTrunk,
)
from app.records.document import check_record
from ui.face import Dial, Engine, Source, apply_transition
from ui.records.changes import new_values
from ui.records.checking import checked_record
from ui.wizard.rewriting import Rewrite, rewrite_between
from ui.wizard.templates import Template, general

PROBED_EVERY = 60
"""Seconds: a trunk of the wizard is probed, so that its test says something; the field can be changed there."""

PEER_FIELDS: dict[type[Record], tuple[str, ...]] = {
    SipTrunk: ("description", "server_address", "server_port", "transport", "trusted_networks", "options_interval"),
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
ROUTE_TYPES: dict[type[Record], RouteType] = {SipTrunk: RouteType.SIP_TRUNK, ExternalLine: RouteType.EXTERNAL_LINE}


class Additions:
    """Changes, each of which is made to what the ones before it left. RecordErrors for one that does not fit."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.changes: list[Change] = []

    def add(self, model: type[Record], values: Mapping[str, Any]) -> Record:
        """Add a record with the next free id."""
        record = check_record(model, {"id": self.configuration.next_id(model.table), **values})
        self.change(None, record)
        return record

    def change(self, before: Record | None, after: Record) -> None:
        """Add a ready record, or put it in the place of another."""
        change = Change(after.table, before, after)
        self.configuration = self.configuration.with_changes([change])
        self.changes.append(change)

    def transition_id(self, rewrite: Rewrite) -> int:
        """A number transition that does this: one that is there, or a new one; 0 where there is nothing to do."""
        if not rewrite:
            return 0
        wanted = rewrite.values()
        for each in self.configuration.records(NumberTransition):
            if each.enabled and all(getattr(each, name) == value for name, value in wanted.items()):
                return each.id
        return self.add(NumberTransition, {**wanted, "description": rewrite.words}).id


@dataclass(slots=True)
class TrunkPlan:
    """The answers so far."""

    template: Template = field(default_factory=lambda: general(SipTrunk))
    peer: dict[str, Any] = field(default_factory=dict)
    """The values of `peer_fields`."""
    routed: bool = True
    """Whether numbers that begin with the prefix go there."""
    prefix: str = ""
    stripped: bool = False
    """Whether the prefix is taken away before the number is sent."""
    second_choice: bool = True
    """Whether it is tried after the way that the prefix has already."""
    sample: str = ""
    """A number as a user dials it."""
    sent: str = ""
    """The same as the other side expects it; blank where that is told by `stripped` alone."""
    incoming: str = ""
    """A number as the other side calls it; blank where nothing is to be done."""
    rings: str = ""
    """The number of the local user that rings then."""

    @property
    def kind(self) -> type[Record]:
        """SIP trunk or external line."""
        return self.template.kind

    def choose(self, template: Template) -> None:
        """Begin with a template; the answers to the one before are forgotten."""
        if template is not self.template:
            self.template = template
            self.peer = {}

    # --- the trunk or line ---------------------------------------------------------------------------------------

    def peer_fields(self) -> tuple[str, ...]:
        """The fields that are asked: the usual ones, and what the template sets beside them."""
        usual = PEER_FIELDS[self.kind]
        return (*usual, *(name for name in self.template.values if name not in usual))

    def first_values(self, configuration: Configuration) -> dict[str, Any]:
        """The values with which the wizard begins."""
        values = new_values(self.kind, configuration)
        if self.kind is SipTrunk:
            values["options_interval"] = PROBED_EVERY
        if self.template.country:
            values["description"] = self.template.title
        return values | dict(self.template.values)

    def record(self, configuration: Configuration) -> Record:
        """The trunk or line. RecordErrors for what is wrong with the answers."""
        return checked_record(self.kind, self.first_values(configuration) | self.peer, configuration)

    # --- everything ----------------------------------------------------------------------------------------------

    def changes(self, configuration: Configuration) -> list[Change]:
        """Everything that is added, in one step. RecordErrors where an answer does not fit."""
        additions = Additions(configuration)
        record = self.record(configuration)
        existing = self.existing_route(configuration) if self.routed else None
        if existing is not None and self.rewrite(configuration):
            # The rewriting of the record counts for both; this one's own comes after it.
            group = _free_outgoing_group(configuration)
            record = record.model_copy(update={"outgoing_group_id": group})
        additions.change(None, record)
        if existing is not None:
            self._add_second_choice(additions, record, existing)
        elif self.routed:
            self._add_route(additions, record)
        if self.incoming and self.kind is SipTrunk:
            self._add_incoming(additions)
        return additions.changes

    def _add_route(self, additions: Additions, record: Record) -> None:
        rewrite = self.rewrite(additions.configuration) or Rewrite()
        values = {
            "description": getattr(record, "description", ""),
            "prefix": self.prefix,
            "route_type": ROUTE_TYPES[self.kind],
            "target_id": record.id,
            "transition_id": additions.transition_id(rewrite),
        }
        additions.add(AnalyzeCalledNumber, values)

    def _add_second_choice(self, additions: Additions, record: Record, route: AnalyzeCalledNumber) -> None:
        rewrite = self.rewrite(additions.configuration)
        if rewrite:
            values = {"prefix": rewrite.removed, "transition_id": additions.transition_id(rewrite)}
            group_id = getattr(record, "outgoing_group_id", 0)
            additions.add(RefineCalledNumber, {**values, "outgoing_group_id": group_id})
        member = {"route_type": ROUTE_TYPES[self.kind], "target_id": record.id}
        group = additions.configuration.get(RoutingGroup, route.target_id)
        if route.route_type is RouteType.ROUTING_GROUP and group is not None:
            last = max((each.priority for each in group.members), default=0)
            members = (*group.members, RoutingGroupMember(**member, priority=min(last + 1, 1000)))
            additions.change(group, check_record(RoutingGroup, {**dict(group), "members": members}))
            return
        first = {"route_type": route.route_type, "target_id": route.target_id, "priority": 1}
        values = {
            "name": f"Calls to {self.prefix}",
            "strategy": GroupStrategy.PRIORITY,
            "members": [first, {**member, "priority": 2}],
        }
        made = additions.add(RoutingGroup, values)
        led = {**dict(route), "route_type": RouteType.ROUTING_GROUP, "target_id": made.id}
        additions.change(route, check_record(AnalyzeCalledNumber, led))

    def _add_incoming(self, additions: Additions) -> None:
        head = self.incoming_head
        user = additions.configuration.users_by_number.get(self.rings)
        if self.incoming == self.rings or user is None:
            return
        values = {"description": f"From {self.peer.get('description') or 'the trunk'}"}
        if head:
            transition_id = additions.transition_id(Rewrite(head))
            additions.add(AnalyzeCalledNumber, {**values, "prefix": head, "transition_id": transition_id})
        else:
            additions.add(AnalyzeCalledNumber, {**values, "prefix": self.incoming, "target_id": user.id})

    # --- numbers -------------------------------------------------------------------------------------------------

    def taken_route(self, configuration: Configuration) -> AnalyzeCalledNumber | None:
        """The record that says already where numbers with this prefix go."""
        records = configuration.records(AnalyzeCalledNumber)
        return next((each for each in records if each.prefix == self.prefix), None)

    def existing_route(self, configuration: Configuration) -> AnalyzeCalledNumber | None:
        """The same, where the new trunk or line can become its second choice and shall."""
        route = self.taken_route(configuration)
        return route if route is not None and self.second_choice and can_have_second_choice(route) else None

    @property
    def incoming_head(self) -> str:
        """What stands before the user's number in the number that is called; blank where it does not end in that."""
        ends_so = bool(self.rings) and self.incoming.endswith(self.rings)
        return self.incoming.removesuffix(self.rings) if ends_so else ""

    def rewrite(self, configuration: Configuration) -> Rewrite | None:
        """What becomes of the number on its way to this trunk or line alone; None where the examples do not say."""
        route = self.existing_route(configuration)
        if self.sample and self.sent:
            return rewrite_between(self._led(configuration, route), self.sent)
        return Rewrite(self.prefix) if self.stripped and route is None else Rewrite()

    def _led(self, configuration: Configuration, route: AnalyzeCalledNumber | None) -> str:
        """The sample as it is after the record that leads there."""
        transition = configuration.get(NumberTransition, route.transition_id) if route is not None else None
        if transition is None or not transition.enabled:
            return self.sample
        return apply_transition(transition, self.sample)

    # --- words ---------------------------------------------------------------------------------------------------

    def mistake(self, configuration: Configuration) -> str:
        """What is wrong with all of it together, in words; blank when it fits."""
        mistake = self._number_mistake(configuration) if self.routed else ""
        if not mistake and self.kind is SipTrunk:
            mistake = self._incoming_mistake(configuration)
        if mistake:
            return mistake
        try:
            self.changes(configuration)
        except RecordErrors as errors:
            error: RecordError = errors.errors[0]
            return f"{error.path.rpartition('.')[2].replace('_', ' ')} {error.message}".strip()
        return ""

    def _number_mistake(self, configuration: Configuration) -> str:
        if not self.prefix:
            # A blank prefix is every number, those of the local users too: whoever wants that uses the table.
            return "Type the first digits of the numbers that go there, or untick the box."
        taken = self.taken_route(configuration)
        if taken is not None and self.existing_route(configuration) is None:
            more = ", or tick the box below it" if can_have_second_choice(taken) else ""
            return f"{self.prefix} is already called number record {taken.caption()}: choose another{more}."
        if not self.sent:
            return ""
        if not self.sample.startswith(self.prefix):
            return f"The number that is dialled must begin with {self.prefix}, or it does not go there."
        rewrite = self.rewrite(configuration)
        if rewrite is None:
            return "The number that is sent must end as the one that is dialled does."
        led = self._led(configuration, self.existing_route(configuration))
        if taken is None and rewrite.removed and not self.prefix.startswith(rewrite.removed):
            return f"Not all numbers with {self.prefix} begin with {rewrite.removed}: make that the prefix."
        return "" if led else "Nothing is left of the number that is dialled."

    def _incoming_mistake(self, configuration: Configuration) -> str:
        if not self.incoming or self.incoming == self.rings:
            return ""
        if not self.rings:
            return "Choose the local user that rings."
        prefix = self.incoming_head or self.incoming
        for each in configuration.records(AnalyzeCalledNumber):
            if each.prefix == prefix:
                return f"Calls to {prefix} are led already by called number record {each.caption()}."
        return ""

    def rewrite_words(self, configuration: Configuration) -> str:
        """What becomes of numbers, in a sentence; blank where they stay as they are dialled."""
        rewrite = self.rewrite(configuration)
        return f"Numbers on the way there: {rewrite.words}." if rewrite else ""

    def incoming_words(self) -> str:
        """What becomes of a call from there, in a sentence."""
        if not self.incoming or not self.rings:
            return ""
        if self.incoming_head:
            return f"{self.incoming_head} is taken away, and the user rings whose number is left: {self.rings}."
        return f"{self.incoming} rings {self.rings}."

    def sample_words(self, configuration: Configuration, engine: Engine, number: str) -> str:
        """What a dialled number becomes with these records, in words; the sample must be one that fits."""
        changes = self.changes(configuration)
        record = changes[0].after
        after = configuration.with_changes(changes)
        users = [user for user in after.records(LocalUser) if user.enabled]
        caller = users[0].number if users else "100"
        simulation = engine.simulate(Source.user(caller), caller, number, after)
        if not isinstance(simulation.decision, Dial) or not simulation.targets or record is None:
            return f"{caller} dials {number}: {simulation.decision.trail[-1]}"
        first = simulation.targets[0]
        name = f"{'trunk' if self.kind is SipTrunk else 'line'}:{record.id}"
        target = next((each for each in simulation.targets if each.name == name), first)
        line = target.invite.split("\r\n", 1)[0].removesuffix(" SIP/2.0")
        before = "" if target is first else f"{first.caption} comes first; when it cannot take the call, "
        return f"{caller} dials {number}: {before}{target.caption} gets {line}"


def can_have_second_choice(route: AnalyzeCalledNumber) -> bool:
    """Whether a called number record leads out by a trunk, a line or a group, to which another way can be added."""
    return route.target_id > 0 and route.route_type is not RouteType.LOCAL_USER


def _free_outgoing_group(configuration: Configuration) -> int:
    """A number of an outgoing group that nothing uses."""
    used = {
        getattr(record, "outgoing_group_id", 0)
        for record in configuration.all_records()
        if "outgoing_group_id" in type(record).model_fields
    }
    return next(number for number in range(1, len(used) + 2) if number not in used)
