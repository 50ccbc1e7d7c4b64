"""How Python's garbage collector is set while a server runs."""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 20_000
"""So many more objects than before make a collection of the young ones: about 2 ms."""
YOUNG_COLLECTIONS, MIDDLE_COLLECTIONS = 10, 5
"""After so many collections of a generation the next older one is looked at, too."""

_servers = 0
_before = gc.get_threshold()


def ease() -> None:
    """A server begins: what is loaded now is not looked at again, and new objects less often.

    Transactions live for half a minute after their call, so that with Python's own thresholds a loaded server spends a
    fifth of its time on looking through objects that are still wanted. They are freed by reference counting
    (tests/simulation/test_freed.py), and the collector is there for what it is not worth avoiding elsewhere.
    """
    global _servers, _before  # noqa: PLW0603 - the collector is one for the whole program, too
    _servers += 1
    if _servers > 1:
        return
    _before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_COLLECTIONS, MIDDLE_COLLECTIONS)


def restore() -> None:
    """A server has stopped: after the last one everything is as it was before `ease`."""
    global _servers  # noqa: PLW0603
    _servers -= 1
    if _servers:
        return
    gc.set_threshold(*_before)
    gc.unfreeze()
