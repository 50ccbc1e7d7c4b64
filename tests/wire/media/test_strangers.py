"""Nobody else's packets: who sprays the whole port range during a call gets nothing and brings nothing in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from support.ports import LoopbackNetwork
from support.sprayer import MARK, Sprayer
from support.waiting import until
from wire.media.audio import Call, Phone, media, run

from app.media import control as control_module
from app.media.control import Side, SideSettings
from app.media.rtp import build_rtp

pytestmark = pytest.mark.wire

FIRST, LAST = 30_000, 30_059


async def talk_under_fire(call: Call, sprayer: Sprayer, seconds: float) -> None:
    """Both talk, fifty packets a second, while the sprayer goes through the range again and again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sprayer.spray()
        call.caller.say(call.caller_target)
        call.called.say(call.called_target)
        await asyncio.sleep(0.02)
        call.caller.hear()
        call.called.hear()


def injected(call: Call) -> int:
    """Packets of the sprayer that reached a phone."""
    call.caller.hear()
    call.called.hear()
    return sum(MARK in data for data in call.caller.received + call.called.received)


@pytest.mark.parametrize("processes", [1, 0])
@pytest.mark.parametrize("same_address", [False, True], ids=["elsewhere", "at the caller's address"])
def test_nothing_leaks_where_the_address_is_right(network: LoopbackNetwork, processes: int, same_address: bool) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes, first=FIRST, last=LAST) as (control, heard, _):
            sprayer = Sprayer(network.address(11 if same_address else 66), relay, FIRST, LAST)
            try:
                for _ in range(5):
                    sprayer.spray()
                source = SideSettings(relay, sip_source=network.address(11))
                call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12)), source)
                sprayer.spray()
                call.session.offer(Side.CALLER, call.caller.sdp())
                sprayer.spray()
                call.session.answer(Side.CALLED, call.called.sdp())
                for _ in range(10):
                    sprayer.spray()
                    await asyncio.sleep(0.01)
                await talk_under_fire(call, sprayer, 1.5)
                # A re-INVITE unlocks: under fire again.
                call.session.offer(Side.CALLED, call.called.sdp(extra="a=sendonly\n"))
                call.session.answer(Side.CALLER, call.caller.sdp(extra="a=recvonly\n"))
                for _ in range(10):
                    sprayer.spray()
                    await asyncio.sleep(0.01)
                await talk_under_fire(call, sprayer, 1.0)
                sprayer.spray()
                assert sprayer.sent > 10_000
                assert (injected(call), sprayer.received) == (0, 0)
                assert len(call.called.received) > 80 and len(call.caller.received) > 80
                await until(lambda: any(row.foreign for row in heard.statistics), "the strangers to be counted")
                call.close()
            finally:
                sprayer.close()

    run(main())


@pytest.mark.parametrize("processes", [1, 0])
def test_behind_nat_the_sip_address_is_learned_and_locked(network: LoopbackNetwork, processes: int) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes, first=FIRST, last=LAST) as (control, _, _):
            sprayer = Sprayer(network.address(66), relay, FIRST, LAST)
            try:
                phone = Phone(network.address(11))
                source = SideSettings(relay, sip_source=network.address(11))
                call = Call(control, relay, phone, Phone(network.address(12)), source)
                # Its own address means nothing here, nor does the port.
                call.negotiate(phone.sdp(host="10.77.1.2", port=5555))
                for _ in range(10):
                    sprayer.spray()
                    await asyncio.sleep(0.01)
                await talk_under_fire(call, sprayer, 2.0)
                assert injected(call) == 0 and sprayer.received <= 5
                assert len(call.called.received) > 50 and len(call.caller.received) > 50
                assert call.session.learned[0, False] == (network.address(11), phone.port)
                call.close()
            finally:
                sprayer.close()

    run(main())


@pytest.mark.parametrize("behind_nat", [False, True], ids=["at its address", "behind nat"])
def test_the_port_that_a_side_has_left_does_not_hold_it(network: LoopbackNetwork, behind_nat: bool) -> None:
    """A phone names another port, and what it has sent from the one before still arrives."""

    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=0, first=FIRST, last=LAST) as (control, _, _):
            phone, named = Phone(network.address(11)), "10.77.1.2" if behind_nat else ""
            source = SideSettings(relay, sip_source=phone.address)
            call = Call(control, relay, phone, Phone(network.address(12)), source)
            call.negotiate(phone.sdp(host=named))
            await call.connect()
            before = Phone(phone.address, phone.ssrc)
            call.caller, before = before, phone
            call.negotiate(call.caller.sdp(host=named))
            for _ in range(10):
                before.say(call.caller_target)
                await asyncio.sleep(0.005)
            assert await heard_from(call, lambda: call.caller_target, 0.3) and await hears(call)
            assert call.session.learned[0, False] == (phone.address, call.caller.port)
            # One that goes on from there for good is heard after a moment, as from any port that was not named.
            call.negotiate(before.sdp(host=named))
            assert await heard_from(call, lambda: call.caller_target, 3)
            call.close()

    run(main())


async def heard_from(call: Call, target: Callable[[], tuple[str, int]], seconds: float = 0.5) -> bool:
    """Whether what the caller says reaches the called side."""
    call.called.hear()
    call.called.received.clear()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        call.caller.say(target())
        await asyncio.sleep(0.01)
        if call.called.hear():
            return True
    return False


def test_another_port_of_the_named_address_has_to_show_itself(network: LoopbackNetwork) -> None:
    """A phone that sends from another port than it names is heard after a second, not a stranger beside it."""

    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=0, first=FIRST, last=LAST) as (control, _, _):
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12)))
            call.negotiate(call.caller.sdp(port=9_998))
            call.caller.say(call.caller_target, 100)
            await asyncio.sleep(0.05)
            assert call.called.hear() == []
            assert await heard_from(call, lambda: call.caller_target, 3)
            # Locked: the port that was named comes too late now.
            late = Phone(network.address(11))
            for number in range(20):
                late.rtp.sendto(build_rtp(0, number, 0, 5, MARK), call.caller_target)
            await call.talk(3)
            assert injected(call) == 0
            call.close()

    run(main())


@pytest.mark.parametrize("processes", [1, 0])
def test_who_fell_silent_may_go_on_from_another_port(
    network: LoopbackNetwork, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """A translator that forgets a phone gives it another port, and nobody signals that: only its own address may."""
    monkeypatch.setattr(control_module, "_TICK", 0.1)

    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes, first=FIRST, last=LAST) as (control, heard, clock):
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12)))
            call.negotiate()
            await call.connect()
            call.session.established()
            before = call.caller.port
            call.caller.move()
            assert not await heard_from(call, lambda: call.caller_target, 1)
            clock.ahead += 9
            await until(lambda: heard.one_way or heard.silence, "that nothing comes from the caller", 4)
            assert (0, False) not in call.session.learned
            heard.statistics.clear()
            await until(lambda: len(heard.statistics) >= 2, "figures", 4)
            assert call.session.report().caller.remote_port == before
            stranger = Phone(network.address(66))
            for _ in range(100):
                stranger.say(call.caller_target, payload=MARK)
                await asyncio.sleep(0.01)
            assert injected(call) == 0
            assert await heard_from(call, lambda: call.caller_target, 3)
            assert call.caller.hear() or await hears(call)
            assert injected(call) == 0 and stranger.hear() == []
            await until(lambda: call.session.learned[0, False] == (network.address(11), call.caller.port), "it", 4)
            call.close()

    run(main())


async def hears(call: Call) -> bool:
    """Whether the caller hears what the called side says."""
    for _ in range(50):
        call.called.say(call.called_target)
        await asyncio.sleep(0.01)
        if call.caller.hear():
            return True
    return False


def test_the_named_port_wins_over_another_one(network: LoopbackNetwork) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=0, first=FIRST, last=LAST) as (control, _, _):
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate()
            other = Phone(network.address(11))
            other.say(call.caller_target, 3)
            await asyncio.sleep(0.02)
            await call.connect()
            assert call.session.learned[0, False] == (network.address(11), call.caller.port)
            other.say(call.caller_target, 20)
            await call.talk(3)
            assert not any(other.ssrc.to_bytes(4, "big") == data[8:12] for data in call.called.received)
            call.close()

    run(main())


def test_further_networks_are_accepted(network: LoopbackNetwork) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=0, first=FIRST, last=LAST) as (control, _, _):
            settings = SideSettings(relay, also_accept=(f"{network.address(32)}/28",))
            call = Call(control, relay, Phone(network.address(40)), Phone(network.address(12)), settings)
            call.negotiate(call.caller.sdp(host=network.address(11)))
            assert await heard_from(call, lambda: call.caller_target)
            call.close()
            call = Call(control, relay, Phone(network.address(50)), Phone(network.address(12)), settings)
            call.negotiate(call.caller.sdp(host=network.address(11)))
            assert not await heard_from(call, lambda: call.caller_target, 0.3)
            call.close()

    run(main())


def test_rtcp_of_strangers_is_dropped(network: LoopbackNetwork) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=0, first=FIRST, last=LAST) as (control, _, _):
            call = (
                await Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate().connect()
            )
            stranger = Phone(network.address(66))
            goodbye = b"\x81\xcb\x00\x01" + call.caller.ssrc.to_bytes(4, "big")
            for target in ((relay, call.caller_target[1] + 1), call.caller_target):
                stranger.rtcp.sendto(goodbye, target)
            await call.talk(3)
            assert call.called.received_rtcp == []
            call.caller.rtcp.sendto(goodbye, (relay, call.caller_target[1] + 1))
            await until(lambda: call.called.hear() or call.called.received_rtcp == [goodbye], "the goodbye")
            call.close()

    run(main())
