"""Settings that change while calls are relayed: they are in force at once, and no call notices."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from support.ports import LoopbackNetwork
from support.waiting import until
from wire.media.audio import Call, Phone, run

from app.media import control as control_module
from app.media.control import MediaControl, MediaSettings, Side
from app.media.service import MediaService

pytestmark = pytest.mark.wire


def settings_of(network: LoopbackNetwork, processes: int) -> MediaSettings:
    return MediaSettings(30_000, 30_019, processes, (network.address(1),), spare_worker=False)


@dataclass(frozen=True)
class Running:
    """A service that relays, and what it told its owner."""

    service: MediaService
    settings: MediaSettings
    attached: list[MediaControl]
    troubles: list[str]


@asynccontextmanager
async def running(network: LoopbackNetwork, processes: int) -> AsyncIterator[Running]:
    attached: list[MediaControl] = []
    troubles: list[str] = []
    service = MediaService(attached.append, troubles.append, time.monotonic)
    settings = settings_of(network, processes)
    await service.start(settings)
    try:
        yield Running(service, settings, attached, troubles)
    finally:
        await service.stop()
        while Phone.opened:
            Phone.opened.pop().close()


def new_call(control: MediaControl, network: LoopbackNetwork, number: int) -> Call:
    relay = network.address(1)
    return Call(control, relay, Phone(network.address(11 + number)), Phone(network.address(111 + number)))


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 0), (0, 1)])
def test_another_number_of_processes(network: LoopbackNetwork, before: int, after: int) -> None:
    """New calls go through the new processes, those that run keep theirs until they end; no port is lost."""

    async def main() -> None:
        async with running(network, before) as media:
            service, settings, attached = media.service, media.settings, media.attached
            old = await new_call(attached[0], network, 0).negotiate().connect()
            service.apply(replace(settings, processes=after))
            await until(lambda: len(attached) == 2, "the new processes")
            assert service.control is attached[1]
            assert len(attached[1].worker_pids) == after
            assert set(attached[1].worker_pids).isdisjoint(attached[0].worker_pids)
            calls = [await new_call(attached[1], network, number).negotiate().connect() for number in (1, 2, 3, 4)]
            # All twenty ports are in use: five calls, and nobody has bound one for nothing.
            assert attached[1].ports_available(network.address(1)) == 0
            await old.talk(3)
            used = {call.session.port(side) for call in (old, *calls) for side in Side}
            assert len(used) == 10
            old.close()
            await until(lambda: not attached[0].worker_pids and not attached[0]._slots, "the old processes to end")
            assert attached[1].ports_available(network.address(1)) == 2
            await new_call(attached[1], network, 5).negotiate().connect()
            assert media.troubles == []
            for call in calls:
                call.close()

    run(main())


@pytest.mark.expects_log("media worker")
def test_processes_that_do_not_start(network: LoopbackNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """All stays as it was, and it is said."""

    async def main() -> None:
        async with running(network, 0) as media:
            monkeypatch.setattr(control_module, "_START_TIMEOUT", 0.0)
            media.service.apply(replace(media.settings, processes=1))
            await until(lambda: media.troubles, "the trouble to be told")
            assert "stays 0" in media.troubles[0]
            assert media.service.control is media.attached[0] and len(media.attached) == 1
            call = await new_call(media.attached[0], network, 0).negotiate().connect()
            call.close()

    run(main())
