"""How long messages waited in the receive queue, as the listeners tell it: what the overload control goes by."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from support.transports import LOOPS, Host, options, run_on
from support.waiting import until

from app.sip.flow import Flow
from app.sip.transport import TransportLimits
from app.sip.transport.udp import _ask_for_time, _waited

pytestmark = pytest.mark.wire

STALL = 0.25
WALL = time.time


@pytest.fixture(autouse=True)
def _dated() -> Iterator[None]:
    """Hold the system to dating datagrams when they come.

    Linux begins with it a moment after the first socket on the machine has asked, from a work queue; until then it
    dates a datagram when that is read, and nothing seems to have waited.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        if not _ask_for_time(asking):
            yield
            return
        asking.bind(("127.0.0.1", 0))
        for _ in range(200):
            asking.sendto(b"?", asking.getsockname())
            time.sleep(0.01)
            _data, ancillary, _flags, _source = asking.recvmsg(16, 256)
            if _waited(ancillary, time.time()) > 0.005:
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


class Slow(Watched):
    """Needs its time for each message, so that those behind it wait."""

    EACH = 0.005

    def __init__(self, *, limits: TransportLimits) -> None:
        Host.__init__(self, limits=limits)
        self.waited = []

    def _on_messages(self, batch: list[tuple[bytes, Flow]]) -> None:
        for _ in batch:
            time.sleep(self.EACH)
        super()._on_messages(batch)


@contextlib.asynccontextmanager
async def slow_host(*transports: str) -> AsyncIterator[Slow]:
    """One that reads little at once, so that few messages are many."""
    host = await Slow(limits=TransportLimits(stream_read=2000)).start(*transports)
    try:
        yield host
    finally:
        await host.stop()


@contextlib.asynccontextmanager
async def peers_of(host: Host, count: int) -> AsyncIterator[list[socket.socket]]:
    """So many connections to it."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", host.ports["tcp"]))) for _ in range(count)]


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


@pytest.mark.parametrize("connections", [1, 30])
def test_what_comes_over_connections_waits_too(run: Any, connections: int) -> None:
    """Many messages of one peer that come faster than they are taken, or one of each of many peers at once."""

    async def main() -> None:
        async with slow_host("tcp") as host, peers_of(host, connections) as opened:
            for number, each in enumerate(opened):
                each.sendall(options(number))
            await until(lambda: len(host.received) == connections, "the first of each")
            host.waited.clear()
            for number in range(60):
                opened[number % connections].sendall(options(100 + number))
            stand_still()
            await until(lambda: len(host.received) == connections + 60, "what was sent")
            assert 30 * Slow.EACH <= max(waited for _count, waited in host.waited) < 60 * Slow.EACH + 1.0
            assert host.transports.queue_waiting() == 0.0, "outside of a delivery nothing waits"
            # The next ones come one by one, and none waits.
            host.waited.clear()
            for number in range(3):
                await asyncio.sleep(0.02)
                opened[0].sendall(options(200 + number))
                await until(lambda number=number: len(host.waited) > number, "one more")
            assert max(waited for _count, waited in host.waited) < 30 * Slow.EACH

    run(main())


def test_a_connection_that_brings_much_lets_the_others_have_their_turn(run: Any, peer: socket.socket) -> None:
    async def main() -> None:
        async with slow_host("tcp", "udp") as host, peers_of(host, 2) as (much, little):
            much.sendall(b"".join(map(options, range(200))))
            little.sendall(options(500))
            peer.sendto(options(501), ("127.0.0.1", host.ports["udp"]))
            await until(lambda: len(host.received) == 202, "what was sent")
            order = [int(data.partition(b"Call-ID: ")[2].partition(b"\r")[0]) for data in host.received]
            assert order.index(500) < 100, "the other connection waited"
            assert order.index(501) < 100, "the datagram waited"
            assert [number for number in order if number < 200] == list(range(200)), "nothing is lost or turned around"

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
