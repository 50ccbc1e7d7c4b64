"""What belongs to a call is freed when it is over, by reference counting alone: the garbage collector has no work."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from simulation.crowd import BAD_WEATHER, make_crowd, random_call
from simulation.world import Peer, World

from app.calls.call import Call
from app.calls.called_leg import CalledLeg
from app.calls.caller_leg import CallerLeg
from app.sip.dialog import Dialog
from app.sip.message import Request, Response
from app.sip.transaction import Transaction

OF_A_CALL = (Call, CallerLeg, CalledLeg, Dialog, Transaction, Request, Response)


@pytest.fixture
def garbage() -> Iterator[list[Any]]:
    """The collector is off, and when it is asked it puts into this list what only it would have freed."""
    gc.collect()
    gc.disable()
    flags = gc.get_debug()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield gc.garbage
    finally:
        gc.set_debug(flags)
        gc.garbage.clear()
        gc.enable()
        gc.collect()


def peers_forget(world: World) -> None:
    """The simulated peers keep every conversation for the tests to look at, and each is in a cycle with its leg."""
    for receiver in world.receivers.values():
        peer = getattr(getattr(receiver, "__self__", None), "core", None)
        if isinstance(peer, Peer):
            for conversation in peer.conversations:
                conversation.leg = None
            peer.conversations.clear()
            peer.received.clear()
            peer._incoming.clear()


@pytest.mark.parametrize("seed", [1, 2])
def test_calls_of_any_kind_are_freed_without_the_collector(garbage: list[Any], seed: int) -> None:
    crowd = make_crowd(seed, BAD_WEATHER)
    before = Counter(type(each).__name__ for each in gc.get_objects() if type(each) in OF_A_CALL)
    for _ in range(500):
        random_call(crowd)
        crowd.world.advance(0.2)
    crowd.world.advance(400)
    assert crowd.begun == 500
    assert not crowd.switch.calls
    peers_forget(crowd.world)
    after = Counter(type(each).__name__ for each in gc.get_objects() if type(each) in OF_A_CALL)
    assert after - before == Counter()
    gc.collect()
    assert Counter(type(each).__name__ for each in garbage if type(each).__module__.startswith("app.")) == Counter()
