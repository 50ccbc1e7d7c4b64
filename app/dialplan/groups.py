"""Routing groups: in which order the members that can take a call are tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from app.records import ExternalLine, GroupStrategy, RoutingGroup, RoutingGroupMember, SipTrunk

_WEIGHTED_PICKS = 8
"""So many members are drawn by weight, the rest follow by falling weight: one draw has no chance left for more."""


class Candidate(NamedTuple):
    """A member that can take the call."""

    member: RoutingGroupMember
    name: str
    record: SipTrunk | ExternalLine
    active: int
    """Its calls out at this moment."""


def order_members(group: RoutingGroup, candidates: Sequence[Candidate], turn: int, draw: float) -> list[Candidate]:
    """The members in the order in which they are tried.

    A lower priority number always comes first; the strategy decides among members of one priority.
    """
    if len(candidates) < 2:
        return list(candidates)
    tiers: dict[int, list[Candidate]] = {}
    for each in candidates:
        tiers.setdefault(each.member.priority, []).append(each)
    ordered: list[Candidate] = []
    for priority in sorted(tiers):
        ordered.extend(_order_equals(group.strategy, tiers[priority], turn, draw))
    return ordered


def _order_equals(strategy: GroupStrategy, equals: list[Candidate], turn: int, draw: float) -> list[Candidate]:
    if strategy is GroupStrategy.ROUND_ROBIN:
        first = turn % len(equals)
        return equals[first:] + equals[:first]
    if strategy is GroupStrategy.WEIGHTED:
        return _by_weight(equals, draw)
    if strategy is GroupStrategy.LEAST_BUSY:
        return sorted(equals, key=lambda each: each.active)
    return equals


def _by_weight(equals: list[Candidate], draw: float) -> list[Candidate]:
    """One after the other, each with the chance that its weight has among those left."""
    rest = list(equals)
    ordered: list[Candidate] = []
    total = sum(each.member.weight for each in rest)
    while len(rest) > 1 and len(ordered) < _WEIGHTED_PICKS:
        point = draw * total
        index = 0
        while index < len(rest) - 1 and point >= rest[index].member.weight:
            point -= rest[index].member.weight
            index += 1
        chosen = rest.pop(index)
        ordered.append(chosen)
        total -= chosen.member.weight
        # Where the point fell within the chosen weight is an even draw again.
        draw = min(max(point / chosen.member.weight, 0.0), 0.9999999)
    rest.sort(key=lambda each: -each.member.weight)
    return ordered + rest
