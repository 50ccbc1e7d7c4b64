"""When new requests are refused for overload, and who hears of it."""

from __future__ import annotations

import pytest

from app.calls.overload import (
    CALM_AFTER,
    LOADED_PEERS,
    LOADED_REST,
    LOADED_STRANGERS,
    OVER_AFTER,
    PATIENCE,
    PATIENCE_REST,
    Overload,
)

PEER, STRANGER = "192.0.2.8", "203.0.113.5"


class Loaded:
    """An overload control with a clock and a queue that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waiting = 0.0
        self.told: list[tuple[int, bool]] = []
        self.overload = Overload(
            lambda: self.now,
            lambda host: host == PEER,
            lambda refused, active: self.told.append((refused, active)),
        )
        self.overload.waiting = lambda: self.waiting


@pytest.mark.parametrize(
    ("waiting", "strangers", "peers", "rest"),
    [
        (0.0, False, False, False),
        (LOADED_STRANGERS, True, False, False),
        (LOADED_PEERS, True, True, False),
        (LOADED_REST, True, True, True),
        (10.0, True, True, True),
    ],
)
def test_calls_are_refused_before_anything_else_and_those_of_peers_last(
    waiting: float, strangers: bool, peers: bool, rest: bool
) -> None:
    loaded = Loaded()
    loaded.waiting = PATIENCE
    assert loaded.overload.refuses("INVITE", PEER)
    loaded.waiting = waiting
    assert loaded.overload.refuses("INVITE", STRANGER) is strangers
    assert loaded.overload.refuses("INVITE", PEER) is peers
    for host in (STRANGER, PEER):
        assert loaded.overload.refuses("REGISTER", host) is rest
        assert loaded.overload.refuses("OPTIONS", host) is rest


def test_a_machine_that_stands_still_for_a_moment_refuses_nobody() -> None:
    """Only what lasts longer than a hiccup begins an overload, of which the short limits are then."""
    loaded = Loaded()
    for loaded.waiting in (0.05, 0.1, PATIENCE - 0.01, 0.2, 0.1, 0.0):
        for host in (PEER, STRANGER):
            assert not loaded.overload.refuses("INVITE", host)
            assert not loaded.overload.refuses("REGISTER", host)
    loaded.waiting = PATIENCE_REST - 0.01
    assert not loaded.overload.refuses("REGISTER", PEER)
    assert not loaded.overload.active
    assert loaded.overload.refused == 0
    loaded.waiting = PATIENCE_REST
    assert loaded.overload.refuses("REGISTER", PEER)
    # A second without refusals, and the patience is back.
    loaded.waiting = LOADED_PEERS
    loaded.now += CALM_AFTER
    assert loaded.overload.refuses("INVITE", PEER)
    loaded.now += CALM_AFTER + 0.01
    loaded.waiting = PATIENCE - 0.01
    assert not loaded.overload.refuses("INVITE", STRANGER)


def test_an_overload_is_told_when_it_begins_and_with_its_number_when_it_is_over() -> None:
    loaded = Loaded()
    overload = loaded.overload
    overload.expire(loaded.now)
    assert not overload.active
    loaded.waiting = 1.0
    for _ in range(7):
        assert overload.refuses("INVITE", STRANGER)
        loaded.now += 1.0
        overload.expire(loaded.now)
    assert overload.active
    assert loaded.told == [(1, True)]
    loaded.waiting = 0.0
    assert not overload.refuses("INVITE", STRANGER)
    loaded.now += OVER_AFTER
    overload.expire(loaded.now)
    overload.expire(loaded.now + 100)
    assert not overload.active
    assert loaded.told == [(1, True), (7, False)]
    loaded.waiting = 1.0
    assert overload.refuses("INVITE", STRANGER)
    loaded.now += OVER_AFTER
    overload.expire(loaded.now)
    assert loaded.told[2:] == [(1, True), (1, False)]
    assert overload.refused == 8
