"""Next-trunk cycles: found before they are saved, and named."""

from __future__ import annotations

from collections.abc import Sequence

from app.records import Configuration, SipTrunk


def cycle_through(configuration: Configuration, trunk_id: int, next_trunk_id: int) -> list[int] | None:
    """The cycle that begins and ends with a trunk once its next trunk is `next_trunk_id`, or None.

    For the editor, before it saves; the trunk need not be in the configuration yet. `[1, 2, 1]`: 1 goes on to 2, and 2
    back to 1. A cycle further on that does not come back to the trunk is that other trunk's mistake.
    """
    path = [trunk_id]
    seen: set[int] = set()
    following = next_trunk_id
    while following and following not in seen:
        path.append(following)
        if following == trunk_id:
            return path
        seen.add(following)
        trunk = configuration.get(SipTrunk, following)
        following = 0 if trunk is None else trunk.next_trunk_id
    return None


def cycles(configuration: Configuration) -> list[list[int]]:
    """Every cycle of next trunks, each once, beginning and ending with its lowest id."""
    following = {trunk.id: trunk.next_trunk_id for trunk in configuration.records(SipTrunk)}
    found: list[list[int]] = []
    done: set[int] = set()
    for start in following:
        place: dict[int, int] = {}
        path: list[int] = []
        current = start
        while current in following and current not in done and current not in place:
            place[current] = len(path)
            path.append(current)
            current = following[current]
        if current in place:
            ring = path[place[current] :]
            lowest = ring.index(min(ring))
            found.append([*ring[lowest:], *ring[:lowest], ring[lowest]])
        done.update(path)
    return found


def cycle_words(cycle: Sequence[int]) -> str:
    """`trunk 1 -> 2 -> 1`"""
    return "trunk " + " -> ".join(str(each) for each in cycle)
