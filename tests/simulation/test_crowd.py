"""2,000 calls of random kind in bad weather: every one ends, with one record, and nothing is left over."""

from __future__ import annotations

import pytest
from simulation.crowd import BAD_WEATHER, make_crowd, random_call
from simulation.world import Weather

from app.calls.leg_events import EndCause


@pytest.mark.parametrize(
    ("seed", "weather", "calls"),
    [(1, BAD_WEATHER, 2000), (2, Weather(), 300), (3, Weather(loss=0.3, duplicates=0.3, reordering=0.3), 300)],
    ids=["bad-weather", "good-weather", "storm"],
)
def test_every_call_ends_with_one_record(seed: int, weather: Weather, calls: int) -> None:
    crowd = make_crowd(seed, weather)
    world, switch = crowd.world, crowd.switch
    for _ in range(calls):
        random_call(crowd)
        world.advance(world.random.uniform(0.0, 0.2))
        crowd.check()
    for _ in range(60):
        world.advance(10)
        crowd.check()
    # Whoever lost its BYE may still hold a call that the other side never ended: callers hang up by plan, so none do.
    assert not switch.calls
    ended = world.recorder.ended
    assert len({record.id for record in ended}) == len(ended) == switch.metrics.begun
    assert switch.counters.total == 0
    assert switch.endpoint.transactions == 0
    assert switch.endpoint.timers == 0
    assert not switch.endpoint.dialogs
    assert not switch._cancellable
    causes = {record.end_cause for record in ended}
    assert {EndCause.NORMAL, EndCause.CANCELLED, EndCause.BUSY} <= causes
    assert all(record.status and record.end_cause and record.ended for record in ended)
    assert all(record.talk_seconds >= 0 for record in ended)


def test_the_same_seed_gives_the_same_calls() -> None:
    outcomes = []
    for _ in range(2):
        crowd = make_crowd(7, BAD_WEATHER)
        for _ in range(50):
            random_call(crowd)
            crowd.world.advance(0.1)
        crowd.world.advance(600)
        outcomes.append(
            [(record.called_number, record.status, record.end_cause) for record in crowd.world.recorder.ended]
        )
    assert outcomes[0] == outcomes[1]
