"""The compiled dial plan of one configuration: what `decide` looks numbers and records up in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from app.dialplan.number_lists import NumberLists
from app.dialplan.prefix_tree import PrefixTree
from app.records import (
    AnalyzeCalledNumber,
    AnalyzeCallerNumber,
    Configuration,
    ExternalLine,
    LocalUser,
    NumberList,
    NumberTransition,
    Record,
    RefineCalledNumber,
    RefineCallerNumber,
    RouteType,
    RoutingGroup,
    SipTrunk,
)
from app.records.business_hours import BusinessHours

R = TypeVar("R", bound=Record)

_SEPARATORS = str.maketrans("", "", "-.")
_OF_A_NUMBER = frozenset("0123456789*#-.")


class RefineTable:
    """One refine table, compiled: a prefix tree per outgoing group, and one of all groups to explain with."""

    __slots__ = ("_all", "_groups")

    def __init__(self, records: Iterable[RefineCallerNumber] | Iterable[RefineCalledNumber]) -> None:
        groups: dict[int, list[tuple[str, RefineCallerNumber | RefineCalledNumber]]] = {}
        for record in records:
            groups.setdefault(record.outgoing_group_id, []).append((record.prefix, record))
        self._groups = {group: PrefixTree(entries) for group, entries in groups.items()}
        self._all = PrefixTree(entry for entries in groups.values() for entry in entries)

    def __bool__(self) -> bool:
        return bool(self._groups)

    def find(
        self, group: int, number: str
    ) -> tuple[RefineCallerNumber | RefineCalledNumber | None, list[RefineCallerNumber | RefineCalledNumber]]:
        """The group's record that wins, or None, and those that fit but lost: of the group, and where none of the group
        won, those of other groups, too."""
        tree = self._groups.get(group)
        losers: list[RefineCallerNumber | RefineCalledNumber] = []
        if tree is not None:
            winner, losers = tree.find_with_losers(number)
            if winner is not None:
                return winner, losers
        losers.extend(each for each in self._all.matches(number) if each.outgoing_group_id != group)
        return None, losers


class DialPlan:
    """Compiled once per configuration and never changed; a new configuration gets a new plan."""

    __slots__ = (
        "analyze_called",
        "analyze_caller",
        "business_hours",
        "configuration",
        "groups",
        "line_owners",
        "lines",
        "number_lists",
        "refine_called",
        "refine_caller",
        "shared_lines",
        "system",
        "transitions",
        "trunks",
        "users",
        "users_by_id",
    )

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.system = configuration.system
        self.business_hours = BusinessHours(configuration.system.business_hours)
        self.users: Mapping[str, LocalUser] = configuration.users_by_number
        self.users_by_id = _by_id(configuration.records(LocalUser))
        self.trunks = _by_id(configuration.records(SipTrunk))
        self.lines = _by_id(configuration.records(ExternalLine))
        self.groups = _by_id(configuration.records(RoutingGroup))
        self.transitions = _by_id(configuration.records(NumberTransition))
        self.shared_lines = tuple(line for line in self.lines.values() if line.shared and line.enabled)
        self.line_owners = _line_owners(configuration)
        self.number_lists = NumberLists(configuration.records(NumberList))
        self.analyze_caller = PrefixTree((each.prefix, each) for each in configuration.records(AnalyzeCallerNumber))
        self.analyze_called = PrefixTree((each.prefix, each) for each in configuration.records(AnalyzeCalledNumber))
        self.refine_caller = RefineTable(configuration.records(RefineCallerNumber))
        self.refine_called = RefineTable(configuration.records(RefineCalledNumber))

    def target(self, route_type: RouteType, target_id: int) -> Record | None:
        """The record that a route leads to; None where it does not exist or the route names none (0)."""
        if route_type is RouteType.SIP_TRUNK:
            return self.trunks.get(target_id)
        if route_type is RouteType.EXTERNAL_LINE:
            return self.lines.get(target_id)
        if route_type is RouteType.ROUTING_GROUP:
            return self.groups.get(target_id)
        return self.users_by_id.get(target_id)

    def read(self, dialled: str) -> str:
        """A dialled number without its visual separators (RFC 3966 5.1.1): whoever is called may not mind them.

        So `0-0.49` begins with 00 for every record. A number that a user has, or a record begins with, keeps them.
        """
        if not ("-" in dialled or "." in dialled) or not _OF_A_NUMBER.issuperset(dialled) or dialled in self.users:
            return dialled
        record = self.analyze_called.find(dialled)
        is_meant = record is not None and not _SEPARATORS.keys().isdisjoint(map(ord, record.prefix))
        return dialled if is_meant else dialled.translate(_SEPARATORS)

    def counts_as_external(self, called_number: str) -> bool:
        """Whether calls of this number, as it was dialled, count for the bounds of external calls."""
        record = self.analyze_called.find(self.read(called_number))
        return record is None or record.counts_as_external


def _by_id(records: Iterable[R]) -> Mapping[int, R]:
    return {record.id: record for record in records}


def _line_owners(configuration: Configuration) -> Mapping[int, frozenset[str]]:
    """The numbers of the users that each line belongs to: whom it rings, and whose own line it is."""
    owners: dict[int, set[str]] = {}
    for line in configuration.records(ExternalLine):
        if line.local_user:
            owners.setdefault(line.id, set()).add(line.local_user)
    for user in configuration.records(LocalUser):
        if user.external_line_id:
            owners.setdefault(user.external_line_id, set()).add(user.number)
    return {line_id: frozenset(numbers) for line_id, numbers in owners.items()}
