"""The garbage collector while a server runs, and after it."""

from __future__ import annotations

import gc

from app import collector


def test_the_last_server_leaves_everything_as_it_was() -> None:
    before = gc.get_threshold()
    collector.ease()
    eased = gc.get_threshold()
    assert eased[0] > before[0]
    assert gc.get_freeze_count() > 1000
    collector.ease()
    collector.restore()
    assert gc.get_threshold() == eased
    collector.restore()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_garbage_is_still_collected_while_a_server_runs() -> None:
    class Cycle:
        made = 0
        freed = 0

        def __init__(self) -> None:
            Cycle.made += 1
            self.own = self

        def __del__(self) -> None:
            Cycle.freed += 1

    collector.ease()
    try:
        while Cycle.made < 3 * collector.YOUNG_OBJECTS:
            Cycle()
        assert Cycle.freed >= collector.YOUNG_OBJECTS
    finally:
        collector.restore()
