"""How long messages waited in the receive queue, as the listeners tell it: what the overload control goes by."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.transports import LOOPS, Host, options, run_on, until

from app.sip.flow import Flow
from app.sip.transport import TransportLimits

pytestmark = pytest.mark.wire

STALL = 0.25
WALL = time.time
SO_TIMESTAMPNS = 35


@pytest.fixture(autouse=True)
def _dated() -> Iterator[None]:
    """Hold the system to dating datagrams when they come.

    Linux begins with it a moment after the first socket on the machine has asked, from a work queue; until then it
    dates a datagram when that is read, and nothing seems to have waited.
    """
    if sys.platform != "linux":
        yield
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        asking.bind(("127.0.0.1", 0))
        for _ in range(200):
            asking.sendto(b"?", asking.getsockname())
            time.sleep(0.01)
            _data, ancillary, _flags, _source = asking.recvmsg(16, 256)
            (came,) = (data for level, kind, data in ancillary if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS))
            seconds, nanoseconds = struct.unpack("@qq", came)
            if time.time() - seconds - nanoseconds * 1e-9 > 0.005:
                break
        else:
            pytest.fail("the system does not date datagrams when they come")
        yield


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return lambda main: run_on(request.param, request, main)


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        yield opened


class Watched(Host):
    """Notes with each batch what had waited for how long."""

    def __init__(self, **options: Any) -> None:
        super().__init__(limits=TransportLimits(batch=10), **options)
        self.waited: list[tuple[int, float]] = []

    def _on_messages(self, batch: list[tuple[bytes, Flow]]) -> None:
        super()._on_messages(batch)
        self.waited.append((len(batch), self.transports.queue_waiting()))


def stand_still() -> None:
    """What a long piece of work does to the loop."""
    time.sleep(STALL)


@pytest.mark.parametrize("mode", ["thread", "reader"])
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_what_waited_while_the_loop_stood_still_is_known_and_a_queue_that_empties_does_not_count(
    run: Any, peer: socket.socket, mode: str, address: str
) -> None:
    async def main() -> None:
        host = await Watched(receive_mode=mode).start("udp", host=address)
        for number in range(45):
            peer.sendto(options(number), ("127.0.0.1", host.ports["udp"]))
        stand_still()
        await until(lambda: len(host.received) == 45, "what was sent")
        full = [waited for count, waited in host.waited if count == 10]
        assert STALL * 0.9 <= max(full) < STALL + 1.0, host.waited
        assert host.waited[-1][1] == 0.0, "the last batch empties the queue"
        assert host.transports.queue_waiting() == 0.0
        # The next ones come one by one, and none waits, however long it has been quiet before.
        for number in range(3):
            peer.sendto(options(100 + number), ("127.0.0.1", host.ports["udp"]))
            await asyncio.sleep(0.05)
        assert [waited for _count, waited in host.waited[-3:]] == [0.0] * 3
        await host.stop()

    run(main())


def test_a_full_batch_with_nothing_behind_it_is_forgotten(request: pytest.FixtureRequest, peer: socket.socket) -> None:
    """Otherwise calls by other ways would be refused until the next datagram comes."""

    async def main() -> None:
        host = await Watched().start("udp")
        for number in range(41):
            # One alone, then batches of ten, none of which says whether it was the last.
            peer.sendto(options(number), ("127.0.0.1", host.ports["udp"]))
        stand_still()
        await until(lambda: len(host.received) == 41, "what was sent")
        assert max(waited for _count, waited in host.waited) >= STALL * 0.9
        host.now = time.monotonic() + 1.0
        assert host.transports.queue_waiting() == 0.0
        host.now = None
        await host.stop()

    run_on("asyncio", request, main())


def test_a_clock_that_is_set_makes_nobody_wait_for_an_hour(
    request: pytest.FixtureRequest, peer: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system dates datagrams by the clock on the wall."""

    async def main() -> None:
        host = await Watched().start("udp")
        for hours in (1, -1):
            host.waited.clear()
            began, before = time.monotonic(), len(host.received)
            for number in range(45):
                peer.sendto(options(number), ("127.0.0.1", host.ports["udp"]))
            monkeypatch.setattr("app.sip.transport.udp.time.time", lambda hours=hours: WALL() + hours * 3600)
            await until(lambda before=before: len(host.received) == before + 45, "what was sent")
            lasted = time.monotonic() - began
            assert all(0.0 <= waited <= lasted + 0.1 for _count, waited in host.waited), host.waited
        await host.stop()

    run_on("asyncio", request, main())
