"""When new requests are refused for overload, and who hears of it."""

from __future__ import annotations

import pytest

from app.calls.overload import OVER_AFTER, STANDING_PEERS, STANDING_REST, STANDING_STRANGERS, Overload

PEER, STRANGER = "192.0.2.8", "203.0.113.5"


class Loaded:
    """An overload control with a clock and a queue that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.standing = 0.0
        self.told: list[tuple[int, bool]] = []
        self.overload = Overload(
            lambda: self.now,
            lambda host: host == PEER,
            lambda refused, active: self.told.append((refused, active)),
        )
        self.overload.standing = lambda: self.standing


@pytest.mark.parametrize(
    ("standing", "strangers", "peers", "rest"),
    [
        (0.0, False, False, False),
        (STANDING_STRANGERS, True, False, False),
        (STANDING_PEERS, True, True, False),
        (STANDING_REST, True, True, True),
        (10.0, True, True, True),
    ],
)
def test_calls_are_refused_before_anything_else_and_those_of_peers_last(
    standing: float, strangers: bool, peers: bool, rest: bool
) -> None:
    loaded = Loaded()
    loaded.standing = standing
    assert loaded.overload.refuses("INVITE", STRANGER) is strangers
    assert loaded.overload.refuses("INVITE", PEER) is peers
    for host in (STRANGER, PEER):
        assert loaded.overload.refuses("REGISTER", host) is rest
        assert loaded.overload.refuses("OPTIONS", host) is rest


def test_an_overload_is_told_when_it_begins_and_with_its_number_when_it_is_over() -> None:
    loaded = Loaded()
    overload = loaded.overload
    overload.expire(loaded.now)
    assert not overload.active
    loaded.standing = 1.0
    for _ in range(7):
        assert overload.refuses("INVITE", STRANGER)
        loaded.now += 1.0
        overload.expire(loaded.now)
    assert overload.active
    assert loaded.told == [(1, True)]
    loaded.standing = 0.0
    assert not overload.refuses("INVITE", STRANGER)
    loaded.now += OVER_AFTER
    overload.expire(loaded.now)
    overload.expire(loaded.now + 100)
    assert not overload.active
    assert loaded.told == [(1, True), (7, False)]
    loaded.standing = 1.0
    assert overload.refuses("INVITE", STRANGER)
    loaded.now += OVER_AFTER
    overload.expire(loaded.now)
    assert loaded.told[2:] == [(1, True), (1, False)]
    assert overload.refused == 8
