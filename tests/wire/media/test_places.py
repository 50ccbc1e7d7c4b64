"""A called side that may turn out to be at several addresses of ours: real sockets listen at each until one answers."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable

import pytest
from support.ports import LoopbackNetwork
from support.sprayer import MARK, Sprayer
from support.waiting import until
from wire.media.audio import Phone, ipv6_works, media, port_of, run

from app.media.control import MediaControl, MediaReport, PortsExhausted, Side, SideSettings
from app.media.messages import Command
from app.media.rtp import parse_rtp

needs_ipv6 = pytest.mark.skipif(not ipv6_works(), reason="this machine has no IPv6")
pytestmark = pytest.mark.wire

FIRST, LAST = 30_000, 30_019


Addresses = tuple[str, str, str, str]


@pytest.fixture(params=["another network", pytest.param("IPv6", marks=needs_ipv6)])
def addresses(request: pytest.FixtureRequest, network: LoopbackNetwork) -> Addresses:
    """Two addresses of the relay, and of the two phones that reach it there."""
    relay, first = network.address(1), network.address(12)
    if request.param == "IPv6":
        return relay, "::1", first, "::1"
    return relay, network.address(2), first, network.address(13)


@pytest.fixture
def processes(addresses: Addresses) -> int:
    """The value of `media_processes`: each of its two ways with one of the networks."""
    return int(":" in addresses[1])


class Ringing:
    """A call that rings at two phones, each of which was offered an address and port of its own."""

    def __init__(self, control: MediaControl, addresses: Addresses, caller: str) -> None:
        self.caller = Phone(caller)
        self.phones = [Phone(address) for address in addresses[2:]]
        self.places = [SideSettings(address, sip_source=phone) for address, phone in _pairs(addresses)]
        self.session = control.open("call", SideSettings(addresses[0], sip_source=caller), *self.places)
        self.session.offer(Side.CALLER, self.caller.sdp())
        offers = [self.session.offer_at(Side.CALLED, place) for place in self.places]
        self.targets = [(place.local_address, port_of(offer)) for place, offer in zip(self.places, offers, strict=True)]
        self.heard = 0
        """How many packets the caller has heard."""

    def described(self, which: int) -> None:
        """A phone says where its audio is: early, or as it answers."""
        self.session.reached_at(Side.CALLED, self.places[which])
        self.session.answer(Side.CALLED, self.phones[which].sdp(), branch=f"phone {which}")

    def answered(self, which: int) -> None:
        """A phone has the call."""
        self.described(which)
        self.session.established()

    async def hears(self, which: int) -> None:
        """Both talk until a phone and the caller hear each other."""
        phone = self.phones[which]
        target = (self.session.settings(Side.CALLER).local_address, self.session.port(Side.CALLER))
        self.caller.received.clear()
        phone.received.clear()
        deadline = time.monotonic() + 10
        while not (phone.received and any(parse_rtp(data).ssrc == phone.ssrc for data in self.caller.received)):
            assert time.monotonic() < deadline, "they never heard each other"
            self.caller.say(target)
            phone.say(self.targets[which])
            await asyncio.sleep(0.01)
            self.heard += len(self.caller.hear())
            phone.hear()
        assert phone.sources == {self.targets[which]}

    def close(self) -> None:
        self.session.close()
        for phone in (self.caller, *self.phones):
            phone.close()


def _pairs(addresses: Addresses) -> tuple[tuple[str, str], tuple[str, str]]:
    return (addresses[0], addresses[2]), (addresses[1], addresses[3])


def is_free(address: str, port: int) -> bool:
    """Whether nobody has an RTP port nor the RTCP port above it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for each in (port, port + 1):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, each))
            except OSError:
                return False
    return True


def is_let_go(control: MediaControl, end: tuple[str, int]) -> bool:
    """Whether no call has this end: it is closed, or bound ahead for another call."""
    ahead = control.ports[end[0]].ready.get(0, ())
    return end[1] in ahead or is_free(*end)


def free_at(control: MediaControl, addresses: Addresses) -> Callable[[], tuple[int, int]]:
    return lambda: (control.ports_available(addresses[0]), control.ports_available(addresses[1]))


@pytest.mark.parametrize("answering", [0, 1])
def test_whoever_answers_has_the_audio_and_the_other_port_is_free(
    network: LoopbackNetwork, addresses: Addresses, processes: int, answering: int
) -> None:
    async def main() -> None:
        async with media(addresses[0], processes=processes, first=FIRST, last=LAST) as (control, _, _):
            left = free_at(control, addresses)
            call = Ringing(control, addresses, network.address(11))
            assert left() == (8, 9)
            assert [address for address, _ in call.targets] == list(addresses[:2])
            call.answered(answering)
            await call.hears(answering)
            # So is what it says by RTCP.
            address, port = call.targets[answering]
            report = struct.pack("!BBHIQIII", 0x80, 200, 6, call.phones[answering].ssrc, 1, 0, 1, 160)
            call.phones[answering].rtcp.sendto(report, (address, port + 1))
            await until(lambda: call.caller.hear() or call.caller.received_rtcp == [report], "the report")
            await until(lambda: left() == ((8, 10) if answering == 0 else (9, 9)), "the port of the other phone")
            await until(lambda: is_let_go(control, call.targets[1 - answering]), "its sockets to be closed")
            call.close()
            await until(lambda: left() == (10, 10), "all ports")

    run(main())


@pytest.mark.parametrize("early", [0, 1])
def test_early_media_of_one_phone_and_the_answer_of_the_other(
    network: LoopbackNetwork, addresses: Addresses, processes: int, early: int
) -> None:
    async def main() -> None:
        async with media(addresses[0], processes=processes, first=FIRST, last=LAST) as (control, _, _):
            left = free_at(control, addresses)
            call = Ringing(control, addresses, network.address(11))
            call.described(early)
            await call.hears(early)
            port = call.session.port(Side.CALLER)
            call.answered(1 - early)
            assert call.session.port(Side.CALLER) == port
            await call.hears(1 - early)
            # The one that lost goes on for a while: nobody hears it.
            call.phones[early].say(call.targets[early], 20)
            await asyncio.sleep(0.05)
            await call.hears(1 - early)
            assert {parse_rtp(data).ssrc for data in call.caller.received} == {call.phones[1 - early].ssrc}
            # What was counted before goes on being counted.
            reports: list[MediaReport] = []
            call.session.close(reports.append)
            await until(lambda: reports, "the last figures")
            assert reports[0].called.packets >= call.heard
            await until(lambda: left() == (10, 10), "all ports")
            call.close()

    run(main())


def test_audio_that_overtakes_its_answer_is_heard_wherever_the_phone_is(
    network: LoopbackNetwork, addresses: Addresses, processes: int
) -> None:
    async def main() -> None:
        async with media(addresses[0], processes=processes, first=FIRST, last=LAST) as (control, heard, _):
            for which in (0, 1):
                call = Ringing(control, addresses, network.address(11))
                heard.statistics.clear()
                await until(lambda: heard.statistics, "the worker to know of the call")
                sent = call.phones[which].say(call.targets[which], 3)
                await asyncio.sleep(0.02)
                assert call.caller.hear() == []
                call.answered(which)

                def heard_all(call: Ringing = call, sent: list[bytes] = sent) -> bool:
                    call.caller.hear()
                    return call.caller.received == sent

                await until(heard_all, "what came before", 1)
                call.close()

    run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
@pytest.mark.expects_log("media worker")
@pytest.mark.parametrize("when", ["while it rings", "after early media of the other", "after the answer"])
def test_a_worker_that_dies_is_restored_at_the_same_ports(
    network: LoopbackNetwork, addresses: Addresses, when: str
) -> None:
    async def main() -> None:
        async with media(addresses[0], first=FIRST, last=LAST, spare_worker=True) as (control, heard, _):
            await until(lambda: control._spare is not None and control._spare.ready, "the spare worker")
            left = free_at(control, addresses)
            call = Ringing(control, addresses, network.address(11))
            if when == "after early media of the other":
                call.described(0)
                await call.hears(0)
            elif when == "after the answer":
                call.answered(1)
                await call.hears(1)
            os.kill(control.worker_pids[0], signal.SIGKILL)
            await until(lambda: heard.restored, "the new worker")
            assert heard.restored[0].sessions == 1
            if when == "after the answer":
                await until(lambda: is_let_go(control, call.targets[0]), "the sockets of the other phone to be closed")
            else:
                # It listens at both again.
                await until(lambda: not any(is_free(*target) for target in call.targets), "both sockets")
                call.answered(1)
            await call.hears(1)
            call.close()
            await until(lambda: left() == (10, 10), "all ports")

    run(main())


@pytest.mark.parametrize("early", [False, True], ids=["", "early media of the other"])
def test_strangers_get_nothing_and_bring_nothing_in_at_any_of_the_ports(
    network: LoopbackNetwork, addresses: Addresses, processes: int, early: bool
) -> None:
    """While it rings, as the side moves, and while it talks at the second place."""

    async def main() -> None:
        async with media(addresses[0], processes=processes, first=FIRST, last=LAST) as (control, _, _):
            # Over IPv6 this machine has but one address, and no stranger.
            targets = [address for address in addresses[:2] if ":" not in address]
            sprayers = [Sprayer(network.address(66), target, FIRST, LAST) for target in targets]
            call = Ringing(control, addresses, network.address(11))

            async def fire(rounds: int = 10) -> None:
                for _ in range(rounds):
                    for sprayer in sprayers:
                        sprayer.spray()
                    await asyncio.sleep(0.005)

            try:
                await fire()
                if early:
                    call.described(0)
                    await fire()
                    await call.hears(0)
                call.described(1)
                await fire()
                await call.hears(1)
                call.session.established()
                await fire()
                await call.hears(1)
                await fire()
                phones = (call.caller, *call.phones)
                for phone in phones:
                    phone.hear()
                assert sum(MARK in data for phone in phones for data in phone.received) == 0
                assert sum(sprayer.received for sprayer in sprayers) == 0
                call.close()
            finally:
                for sprayer in sprayers:
                    sprayer.close()

    run(main())


def test_an_address_without_ports_costs_the_others_none(
    network: LoopbackNetwork, addresses: Addresses, processes: int
) -> None:
    """Not one, however often it is tried: all others can still be had afterwards, and are really bound."""

    async def main() -> None:
        async with media(addresses[0], processes=processes, first=FIRST, last=LAST) as (control, _, _):
            left = free_at(control, addresses)
            places = [SideSettings(address) for address in addresses[:2]]
            full = SideSettings(network.address(3))
            with pytest.raises(PortsExhausted):
                while True:
                    control.take_ports(0, (full.local_address,))
            for _ in range(5):
                with pytest.raises(PortsExhausted, match=re.escape(full.local_address)):
                    control.open("call", places[0], *places, full)
            await until(lambda: left() == (10, 10), "what was taken in vain")
            session = control.open("call", places[0], places[0])
            for _ in range(5):
                with pytest.raises(PortsExhausted):
                    session.redirect(Side.CALLED, places[1], full)
            assert session.settings(Side.CALLED) == places[0]
            session.close()
            await until(lambda: left() == (10, 10), "all of them")
            calls = [Ringing(control, addresses, network.address(11)) for _ in range(5)]
            with pytest.raises(PortsExhausted):
                control.open("more", places[0], places[1])
            for which, call in enumerate(calls):
                call.answered(which % 2)
                await call.hears(which % 2)
                call.close()
            await until(lambda: left() == (10, 10), "all ports")

    run(main())


def test_the_next_target_is_listened_to_where_it_may_be_and_nowhere_else(
    network: LoopbackNetwork, addresses: Addresses, processes: int
) -> None:
    async def main() -> None:
        async with media(addresses[0], processes=processes, first=FIRST, last=LAST) as (control, _, _):
            left = free_at(control, addresses)
            call = Ringing(control, addresses, network.address(11))
            call.described(1)
            await call.hears(1)
            assert call.session.redirect(Side.CALLED, call.places[0]) is not None
            await until(lambda: left() == (8, 10), "the port that it does not need")
            call.described(0)
            await call.hears(0)
            assert call.session.redirect(Side.CALLED, *reversed(call.places)) is not None
            assert left() == (8, 9)
            call.targets = [
                (place.local_address, port_of(call.session.offer_at(Side.CALLED, place))) for place in call.places
            ]
            for phone in call.phones:
                phone.sources.clear()
            call.answered(1)
            await call.hears(1)
            call.close()
            await until(lambda: left() == (10, 10), "all ports")

    run(main())


def test_digits_on_their_way_to_a_phone_end_with_it(network: LoopbackNetwork, addresses: Addresses) -> None:
    """Pressed to the announcement of the first one, when the second one answers."""

    async def main() -> None:
        async with media(addresses[0], processes=0, first=FIRST, last=LAST) as (control, _, _):
            call = Ringing(control, addresses, network.address(11))
            call.described(0)
            await call.hears(0)
            assert all(call.session.send_dtmf(Side.CALLED, digit) for digit in "123")
            await asyncio.sleep(0.05)
            call.answered(1)
            await call.hears(1)
            await asyncio.sleep(0.3)
            call.phones[1].hear()
            assert {parse_rtp(data).payload_type for data in call.phones[1].received} == {0}
            assert call.session.send_dtmf(Side.CALLED, "4")
            await until(lambda: any(parse_rtp(data).payload_type == 101 for data in call.phones[1].hear()), "a digit")
            call.close()

    run(main())


def test_a_call_that_ends_while_its_ports_are_tried_again_gives_them_back(network: LoopbackNetwork) -> None:
    """Another program was quicker: the worker could not bind, and the call is over before it tries again."""

    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=0, first=FIRST, last=LAST) as (control, _, _):
            other = control.open("other", SideSettings(relay), SideSettings(relay))
            (ports,) = control.ports.values()
            await until(lambda: len(ports.ready.get(0, ())) == 2, "ports bound ahead")
            port = ports.ready[0][0]
            control.slot_send(0, (int(Command.RELEASE), 0, ((relay, port),)))
            Phone(relay).take(port)
            session = control.open("call", SideSettings(relay), SideSettings(relay))
            assert session.port(Side.CALLER) == port
            await until(lambda: control._open_tries, "the failure")
            session.close()
            other.close()
            await until(lambda: control.ports_available(relay) == 10, "all ports")

    run(main())


@pytest.mark.expects_log("cannot be bound")
def test_a_place_that_cannot_be_bound_at_first_is_bound_later(network: LoopbackNetwork, addresses: Addresses) -> None:
    """The worker gives the call up and gets it again with all that belongs to it."""

    async def main() -> None:
        async with media(addresses[0], processes=0, first=FIRST, last=LAST) as (control, _, _):
            # What is bound ahead at an address is let go of with the last call there.
            other = control.open("other", SideSettings(addresses[1]), SideSettings(addresses[1]))
            call = Ringing(control, addresses, network.address(11))
            call.described(0)
            await call.hears(0)
            await until(lambda: control.ports[addresses[1]].ready.get(0), "ports at the other address")
            assert call.session.redirect(Side.CALLED, call.places[0]) is not None
            await asyncio.sleep(0.05)
            port = control.ports[addresses[1]].ready[0][0]
            control.slot_send(0, (int(Command.RELEASE), 0, ((addresses[1], port),)))
            thief = Phone(addresses[1]).take(port)
            assert call.session.redirect(Side.CALLED, *call.places) is not None
            call.targets[1] = (addresses[1], port_of(call.session.offer_at(Side.CALLED, call.places[1])))
            assert call.targets[1][1] == port
            call.described(0)
            await until(lambda: control._open_tries, "the failure")
            thief.close()
            await call.hears(0)
            call.answered(1)
            await call.hears(1)
            call.close()
            other.close()

    run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_calls_with_several_places_leave_nothing_behind(network: LoopbackNetwork, addresses: Addresses) -> None:
    async def main() -> None:
        async with media(addresses[0], processes=0, first=FIRST, last=LAST) as (control, _, _):

            async def some_calls(count: int) -> None:
                for number in range(count):
                    call = Ringing(control, addresses, network.address(11))
                    call.described(number % 2)
                    await call.hears(number % 2)
                    if number % 3:
                        call.answered(number // 2 % 2)
                    call.close()
                await asyncio.sleep(0.05)
                Phone.opened.clear()

            await some_calls(12)
            gc.collect()
            # As in a worker, whose collector is off: nothing may need it.
            gc.disable()
            try:
                objects, files = len(gc.get_objects()), len(os.listdir("/proc/self/fd"))
                await some_calls(36)
                assert len(os.listdir("/proc/self/fd")) <= files
                assert len(gc.get_objects()) - objects < 400
            finally:
                gc.enable()

    run(main())
