"""Relayed audio on real sockets, in each way of running the relay."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from support.ports import LoopbackNetwork
from support.transports import LOOPS, run_on
from support.waiting import until
from wire.media.audio import Call, Phone, media, run

from app.media import control as control_module
from app.media import link
from app.media import relay as relay_module
from app.media.control import PortsExhausted, Side, SideSettings
from app.media.rtp import build_rtp, parse_rtp
from app.media.sockets import bind_socket
from app.media.telephone_event import parse_event

pytestmark = pytest.mark.wire

Start = Callable[[], int]


@pytest.fixture(params=["process", "loop", "thread"])
def processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The value of `media_processes`; the thread is what 0 means on Windows."""
    if request.param == "loop" and sys.platform == "win32":
        pytest.skip("the loop cannot watch sockets there")
    if request.param == "thread":
        monkeypatch.setattr(link, "LoopLink", link.ThreadLink)
    return 1 if request.param == "process" else 0


def sender_report(ssrc: int, ntp: int) -> bytes:
    return struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, ntp, 0, 1, 160)


def receiver_report(ssrc: int, about: int, last: int, delay: float) -> bytes:
    block = struct.pack("!IIIIII", about, 64 << 24, 0, 80, last, int(delay * 65536))
    return struct.pack("!BBHI", 0x81, 201, 7, ssrc) + block


def test_audio_both_ways_and_its_figures(network: LoopbackNetwork, processes: int) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes) as (control, heard, _):
            free = control.ports_available(relay)
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12)))
            await until(lambda: heard.statistics, "the worker to know of the call")
            call.negotiate()
            sent = {"caller": [], "called": []}  # type: dict[str, list[bytes]]
            for _ in range(60):
                sent["caller"] += call.caller.say(call.caller_target)
                sent["called"] += call.called.say(call.called_target)
                await asyncio.sleep(0.002)
            await until(lambda: len(call.caller.sequences()) >= 60, "the audio of the called side", 3)
            await until(lambda: len(call.called.sequences()) >= 60, "the audio of the caller", 3)
            # Byte for byte, in order, and from the ports that were told.
            assert call.called.received == sent["caller"] and call.caller.received == sent["called"]
            assert call.caller.sources == {call.caller_target} and call.called.sources == {call.called_target}
            reports: list[Any] = []
            call.session.close(reports.append)
            await until(lambda: reports, "the last figures")
            for figures in (reports[0].caller, reports[0].called):
                assert (figures.packets, figures.lost, figures.duplicates) == (60, 0, 0)
                assert (figures.bytes, figures.codec) == (60 * 172, "PCMU/8000")
                assert figures.mos > 4.2
            assert reports[0].caller.remote_port == call.caller.port
            await until(lambda: control.ports_available(relay) == free, "the ports")
            call.close()

    run(main())


@pytest.mark.parametrize("loop_name", LOOPS)
@pytest.mark.parametrize("count", [1, 0])
def test_on_each_kind_of_event_loop(
    network: LoopbackNetwork, request: pytest.FixtureRequest, loop_name: str, count: int
) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=count) as (control, heard, _):
            call = (
                await Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate().connect()
            )
            await until(lambda: any(row.packets for row in heard.statistics), "figures")
            call.close()

    run_on(loop_name, request, main())


@pytest.mark.parametrize("count", [1, 0])
def test_on_a_loop_that_cannot_watch_sockets(
    network: LoopbackNetwork, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """The proactor loop of Windows."""

    async def main() -> None:
        def cannot(*_arguments: object) -> None:
            raise NotImplementedError

        monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", cannot)
        monkeypatch.setattr(link, "LoopLink", link.ThreadLink)
        relay = network.address(1)
        async with media(relay, processes=count) as (control, heard, _):
            call = (
                await Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate().connect()
            )
            await until(lambda: any(row.packets for row in heard.statistics), "figures")
            call.close()

    run(main())


def test_loss_reordering_and_rtcp_are_measured(network: LoopbackNetwork, processes: int) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes) as (control, heard, _):
            call = (
                await Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate().connect()
            )
            for position in range(40):
                data = call.caller.packet()
                if position % 10 != 3:
                    call.caller.rtp.sendto(data, call.caller_target)
                await asyncio.sleep(0.002)
            first, second = call.caller.packet(), call.caller.packet()
            call.caller.rtp.sendto(second, call.caller_target)
            call.caller.rtp.sendto(first, call.caller_target)
            call.caller.rtp.sendto(first, call.caller_target)
            target = (call.relay, call.caller_target[1] + 1)
            call.caller.rtcp.sendto(sender_report(call.caller.ssrc, 0x1111_2222_3333_4444), target)
            await until(lambda: call.called.hear() or call.called.received_rtcp, "the sender report")
            back = receiver_report(call.called.ssrc, call.caller.ssrc, 0x2222_3333, 0.0)
            await asyncio.sleep(0.05)
            call.called.rtcp.sendto(back, (call.relay, call.called_target[1] + 1))
            await until(lambda: call.caller.hear() or call.caller.received_rtcp == [back], "the receiver report")
            await until(lambda: any(row.duplicates for row in heard.statistics), "figures", 3)
            caller, called = heard.statistics[-2:]
            assert (caller.lost, caller.reordered, caller.duplicates, caller.gaps) == (4, 1, 1, 4)
            assert 40 <= called.round_trip_ms < 1000
            assert (called.reported_loss_percent, called.reported_jitter_ms) == (25.0, 10.0)
            assert 0 <= called.control_ago < 3
            call.close()

    run(main())


def test_payload_types_are_mapped_and_digits_told_once(network: LoopbackNetwork, processes: int) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes) as (control, heard, _):
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12)))
            await call.negotiate(call.caller.sdp("0 101"), call.called.sdp("0 96")).connect()
            call.called.received.clear()
            stamp = call.caller.timestamp
            for index, duration in enumerate((160, 320, 480, 480, 480)):
                payload = struct.pack("!BBH", 7, 0x8A if index > 1 else 0x0A, duration)
                data = call.caller.packet(101, payload, marker=index == 0)
                call.caller.rtp.sendto(data[:4] + struct.pack("!I", stamp) + data[8:], call.caller_target)
            await until(lambda: len(call.called.sequences()) == 5, "the events")
            headers = [parse_rtp(data) for data in call.called.received]
            assert [(header.payload_type, header.marker) for header in headers] == [(96, True)] + [(96, False)] * 4
            await until(lambda: heard.digits, "the digit")
            await call.talk(3)
            assert [(digit.side, digit.digit, digit.duration_ms, digit.forwarded) for digit in heard.digits] == [
                (Side.CALLER, "7", 60, True)
            ]
            call.close()

    run(main())


def test_audio_with_another_number_is_mapped(network: LoopbackNetwork) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=0) as (control, _, _):
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12)))
            offer = call.caller.sdp("101").replace(b"telephone-event/8000", b"opus/48000/2")
            answer = call.called.sdp("96").replace(b"telephone-event/8000", b"opus/48000/2")
            call.negotiate(offer, answer)
            for _ in range(20):
                call.caller.say(call.caller_target, payload_type=101)
                call.called.say(call.called_target, payload_type=96)
                await asyncio.sleep(0.001)
            await until(lambda: len(call.called.sequences()) == 20, "the caller's audio")
            await until(lambda: len(call.caller.sequences()) == 20, "the called side's audio")
            assert {parse_rtp(data).payload_type for data in call.called.received} == {96}
            assert {parse_rtp(data).payload_type for data in call.caller.received} == {101}
            call.close()

    run(main())


def test_digits_for_a_side_without_telephone_event_are_kept_for_info(network: LoopbackNetwork) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=0) as (control, heard, _):
            settings = SideSettings(relay, dtmf_by_info=True)
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12)), None, settings)
            await call.negotiate(call.caller.sdp("0 101"), call.called.sdp("0")).connect()
            call.called.hear()
            call.called.received.clear()
            call.caller.say(call.caller_target, payload_type=101, payload=b"\x0b\x8a\x03\x20")
            await until(lambda: heard.digits, "the digit")
            assert (heard.digits[0].digit, heard.digits[0].forwarded) == ("#", False)
            await call.talk(2)
            assert {parse_rtp(data).payload_type for data in call.called.received} == {0}
            assert not call.session.send_dtmf(Side.CALLED, "1") and call.session.send_dtmf(Side.CALLER, "1")
            assert not call.session.send_dtmf(Side.CALLER, "x")
            call.close()

    run(main())


def test_digits_are_put_into_the_stream_without_a_seam(network: LoopbackNetwork, processes: int) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes) as (control, _, _):
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12)))
            await call.negotiate(call.caller.sdp("0 101"), call.called.sdp("0 96")).connect()
            call.called.received.clear()
            assert call.session.send_dtmf(Side.CALLED, "1", 100) and call.session.send_dtmf(Side.CALLED, "#", 60)
            for _ in range(40):
                call.caller.say(call.caller_target)
                await asyncio.sleep(0.02)
            call.called.hear()
            packets = [parse_rtp(data) for data in call.called.received]
            numbers = [packet.sequence_number for packet in packets]
            assert [(later - earlier) & 0xFFFF for earlier, later in pairwise(numbers)] == [1] * (len(numbers) - 1)
            assert len({packet.ssrc for packet in packets}) == 1
            events = [
                (packet, parse_event(data[packet.payload_offset :]))
                for packet, data in zip(packets, call.called.received, strict=True)
                if packet.payload_type == 96
            ]
            stamps = sorted({packet.timestamp for packet, _ in events})
            assert len(stamps) == 2
            assert [event.event for _, event in events if event and event.end] == [1] * 3 + [11] * 3
            assert [packet.marker for packet, _ in events].count(True) == 2
            # The audio goes on after the digits.
            assert packets[-1].payload_type == 0
            call.close()

    run(main())


def test_hold_reinvite_and_a_new_place(network: LoopbackNetwork, processes: int) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes) as (control, _, _):
            call = (
                await Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate().connect()
            )
            port = call.session.port(Side.CALLER)
            # Hold in the old form, then the phone comes back on another port.
            call.session.offer(Side.CALLER, call.caller.sdp(host="0.0.0.0"))
            call.session.answer(Side.CALLED, call.called.sdp(extra="a=recvonly\n"))
            assert call.session.media is not None and call.session.media.held
            call.caller.move()
            call.caller.received.clear()
            call.called.received.clear()
            call.session.offer(Side.CALLER, call.caller.sdp())
            call.session.answer(Side.CALLED, call.called.sdp())
            await call.connect()
            assert call.session.port(Side.CALLER) == port
            call.close()

    run(main())


def test_a_refused_reinvite_leaves_the_audio(network: LoopbackNetwork) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=0) as (control, _, _):
            call = (
                await Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate().connect()
            )
            call.session.offer(Side.CALLED, call.called.sdp(host=network.address(99)))
            call.session.rollback()
            call.caller.received.clear()
            call.called.received.clear()
            await call.connect()
            call.close()

    run(main())


def test_early_media_of_two_branches(network: LoopbackNetwork, processes: int) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes) as (control, _, _):
            first, second = Phone(network.address(12)), Phone(network.address(13))
            call = Call(control, relay, Phone(network.address(11)), first)
            call.session.offer(Side.CALLER, call.caller.sdp())
            call.session.answer(Side.CALLED, first.sdp(), branch="one")
            await call.connect()
            call.session.answer(Side.CALLED, second.sdp(), branch="two")
            call.called = second
            call.caller.received.clear()
            await call.connect()
            # The branch that lost is not heard any more.
            first.say(call.called_target, 20)
            call.caller.hear()
            call.caller.received.clear()
            await call.talk(5)
            assert {parse_rtp(data).ssrc for data in call.caller.received} == {second.ssrc}
            first.close()
            call.close()

    run(main())


def test_the_next_target_on_the_same_and_on_another_address(network: LoopbackNetwork, processes: int) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes) as (control, _, _):
            free = control.ports_available(relay)
            first, second = Phone(network.address(12)), Phone(network.address(13))
            call = Call(control, relay, Phone(network.address(11)), first).negotiate()
            await call.connect()
            offered = call.session.redirect(Side.CALLED, SideSettings(relay))
            assert offered is not None and call.session.media is None
            call.called = second
            call.caller.received.clear()
            call.session.answer(Side.CALLED, second.sdp())
            await call.connect()
            offered = call.session.redirect(Side.CALLED, SideSettings(network.address(2)))
            assert offered is not None and network.address(2).encode() in offered
            call.called = first
            call.caller.received.clear()
            first.hear()
            first.received.clear()
            call.session.answer(Side.CALLED, first.sdp())
            await call.connect()
            assert first.sources >= {call.called_target} and call.called_target[0] == network.address(2)
            call.session.close()
            await until(lambda: control.ports_available(relay) == free, "the ports")
            second.close()
            call.close()

    run(main())


def test_audio_that_overtakes_its_answer_is_not_lost(network: LoopbackNetwork, processes: int) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes) as (control, heard, _):
            first, second = Phone(network.address(12)), Phone(network.address(13))
            call = Call(control, relay, Phone(network.address(11)), first)
            await until(lambda: heard.statistics, "the worker to know of the call")
            for phone in (first, second):
                if phone is second:
                    assert call.session.redirect(Side.CALLED, SideSettings(relay)) is not None
                    await asyncio.sleep(0.05)
                else:
                    call.session.offer(Side.CALLER, call.caller.sdp())
                sent = phone.say(call.called_target, 3)
                await asyncio.sleep(0.02)
                call.caller.hear()
                assert call.caller.received == []
                call.session.answer(Side.CALLED, phone.sdp())
                await until(lambda sent=sent: call.caller.hear() == sent, "what came before the answer", 1)
                call.caller.received.clear()
            first.close()
            second.close()
            call.close()

    run(main())


def test_changed_settings_are_taken_while_calls_run(network: LoopbackNetwork, processes: int) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes, first=30_000, last=30_019) as (control, _, _):
            old = (
                await Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate().connect()
            )
            ports = {old.session.port(side) for side in Side}
            assert control.apply(replace(control.settings, port_first=30_100, port_last=30_119, dead_after=5.0))
            new = (
                await Call(control, relay, Phone(network.address(13)), Phone(network.address(14))).negotiate().connect()
            )
            assert all(30_100 <= new.session.port(side) <= 30_119 for side in Side)
            await old.talk(3)
            assert {old.session.port(side) for side in Side} == ports
            for call in (old, new):
                call.close()
            await until(lambda: control.ports_available(relay) == 10, "the ports of the new range only")
            assert control.apply(replace(control.settings, port_first=30_000, port_last=30_119))
            assert control.ports_available(relay) == 60
            assert not control.apply(replace(control.settings, processes=control.settings.processes + 1))

    run(main())


def test_between_the_families(network: LoopbackNetwork, processes: int) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes) as (control, _, _):
            call = Call(control, relay, Phone(network.address(11)), Phone("::1"), None, SideSettings("::1"))
            await call.negotiate().connect()
            assert call.called.sources == {("::1", call.session.port(Side.CALLED))}
            call.close()

    run(main())


def test_rtcp_on_the_port_of_rtp_for_one_side(network: LoopbackNetwork, processes: int) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes) as (control, _, _):
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12)))
            await call.negotiate(call.caller.sdp(extra="a=rtcp-mux\n")).connect()
            # The shortest there is, too: nothing was received yet, and there is nothing else to say (RFC 5506).
            reports = [sender_report(call.caller.ssrc, 1), b"\x80\xc9\x00\x01" + call.caller.ssrc.to_bytes(4, "big")]
            for report in reports:
                call.caller.rtp.sendto(report, call.caller_target)
            await until(lambda: call.called.hear() or call.called.received_rtcp == reports, "RTCP on its own port")
            back = sender_report(call.called.ssrc, 2)
            call.called.rtcp.sendto(back, (relay, call.called_target[1] + 1))
            await until(lambda: back in call.caller.hear(), "RTCP on the port of RTP")
            call.close()

    run(main())


def test_srtp_passes_untouched(network: LoopbackNetwork) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=0) as (control, _, _):
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12)))
            offer, answer = (phone.sdp().replace(b"RTP/AVP", b"RTP/SAVP") for phone in (call.caller, call.called))
            await call.negotiate(offer, answer).connect()
            # DTLS, and RTCP that only the other end can read.
            for data in (b"\x16\xfe\xfd" + bytes(30), b"\x80\xc8\x00\x06" + bytes(11)):
                call.caller.rtp.sendto(data, call.caller_target)
            await until(lambda: b"\x16\xfe\xfd" + bytes(30) in call.called.hear(), "DTLS")
            await until(lambda: call.called.hear() or call.called.received_rtcp, "SRTCP")
            call.close()

    run(main())


def test_a_handshake_behind_nat_is_answered(network: LoopbackNetwork, processes: int) -> None:
    """DTLS comes before any audio: by it the side behind the translator is known, and gets the other's answer."""

    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes) as (control, _, _):
            caller, called = Phone(network.address(11)), Phone(network.address(12))
            call = Call(control, relay, caller, called, SideSettings(relay, sip_source=caller.address))
            keys = "a=fingerprint:sha-256 AB:CD\n"
            offer = caller.sdp(host="10.77.1.2", port=5555, extra=keys), called.sdp(extra=keys)
            call.negotiate(*(each.replace(b"RTP/AVP", b"UDP/TLS/RTP/SAVPF") for each in offer))
            hello, answer = b"\x16\xfe\xfd" + bytes(30), b"\x16\xfe\xfd" + bytes(60)
            stranger = Phone(network.address(66))

            def greet() -> bool:
                stranger.rtp.sendto(hello + b"stranger", call.caller_target)
                caller.rtp.sendto(hello, call.caller_target)
                return hello in called.hear()

            await until(greet, "the handshake")
            called.rtp.sendto(answer, call.called_target)
            await until(lambda: answer in caller.hear(), "its answer")
            await call.connect()
            assert hello + b"stranger" not in called.received and stranger.hear() == []
            call.close()

    run(main())


def test_without_a_call_every_port_of_the_range_is_free(network: LoopbackNetwork, processes: int) -> None:
    def bound() -> list[int]:
        """The ports of the range that somebody else cannot bind now."""
        found = []
        for port in range(30_000, 30_040):
            try:
                bind_socket(relay, port).close()
            except OSError:
                found.append(port)
        return found

    relay = network.address(1)

    async def main() -> None:
        async with media(relay, processes=processes, first=30_000, last=30_039) as (control, _, _):
            assert bound() == []
            for _ in range(3):
                calls = [Call(control, relay, Phone(network.address(11)), Phone(network.address(12))) for _ in range(3)]
                for call in calls:
                    await call.negotiate().connect()
                assert len(bound()) >= 12
                for call in calls:
                    call.close()
                await until(lambda: bound() == [], "all ports given back")

    run(main())


def test_a_used_up_range_is_said_and_recovers(network: LoopbackNetwork, processes: int) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=processes, first=30_000, last=30_011) as (control, _, _):
            sessions = []
            with pytest.raises(PortsExhausted) as caught:
                for number in range(10):
                    session = control.open(f"call{number}", SideSettings(relay), SideSettings(relay))
                    sessions.append(session)
            assert len(sessions) == 3
            assert caught.value.status == 503
            assert "30000 to 30011" in caught.value.detail and "used up" in caught.value.detail
            sessions.pop().close()
            await until(lambda: control.ports_available(relay) == 2, "the ports of the closed call")
            sessions.append(control.open("again", SideSettings(relay), SideSettings(relay)))
            # The next call need not wait until the worker has closed the last one's.
            for _ in range(20):
                sessions.pop().close()
                sessions.append(control.open("at once", SideSettings(relay), SideSettings(relay)))
            sessions.pop().close()
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12)))
            await call.negotiate().connect()
            await call.talk(3)
            call.close()
            for session in sessions:
                session.close()
            await until(lambda: control.ports_available(relay) == 6, "all ports")

    run(main())


@pytest.mark.expects_log("cannot be bound")
def test_ports_of_other_programs_are_left_alone(network: LoopbackNetwork, processes: int) -> None:
    async def main() -> None:
        relay = network.address(1)
        others = [Phone(relay).take(port) for port in (30_000, 30_003)]
        async with media(relay, processes=processes, first=30_000, last=30_007) as (control, _, _):
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate()
            await call.connect()
            assert {call.session.port(side) for side in Side} == {30_004, 30_006}
            with pytest.raises(PortsExhausted):
                control.open("more", SideSettings(relay), SideSettings(relay))
            call.close()
        for phone in others:
            phone.close()

    run(main())


@pytest.mark.expects_log("cannot be bound")
def test_an_address_that_is_not_ours(network: LoopbackNetwork) -> None:
    async def main() -> None:
        async with media(network.address(1), processes=0) as (control, _, _):
            with pytest.raises(PortsExhausted, match=r"192\.0\.2\.1"):
                control.open("call", SideSettings("192.0.2.1"), SideSettings(network.address(1)))
            with pytest.raises(PortsExhausted, match=r"192\.0\.2\.1"):
                control.open("call", SideSettings(network.address(1)), SideSettings("192.0.2.1"))
            await until(lambda: control.ports_available(network.address(1)) == 100, "what was taken in vain")

    run(main())


def test_silence_one_way_and_dead_calls_are_told(network: LoopbackNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "_TICK", 0.1)
    monkeypatch.setattr(relay_module, "_STATISTICS_INTERVAL", 0.1)
    monkeypatch.setattr(relay_module, "_REPORT_INTERVAL", 0.05)

    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=0, dead_after=30.0) as (control, heard, clock):
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12))).negotiate()
            call.session.established()
            clock.ahead += 9
            stop = asyncio.Event()

            async def only_caller() -> None:
                while not stop.is_set():
                    call.caller.say(call.caller_target)
                    await asyncio.sleep(0.02)

            talking = asyncio.create_task(only_caller())
            await until(lambda: heard.one_way == [("call", Side.CALLED)], "one-way audio", 4)
            await until(lambda: heard.statistics and heard.statistics[-1].problem == "one-way", "the row", 4)
            await call.connect()
            await until(lambda: ("call", Side.CALLED) in heard.audio, "its end", 4)
            stop.set()
            await talking
            heard.statistics.clear()
            await until(lambda: len(heard.statistics) >= 4, "the last packets to be told", 4)
            clock.ahead += 9
            await until(lambda: len(heard.silence) == 2, "silence of both", 4)
            assert heard.dead == []
            clock.ahead += 30
            await until(lambda: heard.dead == ["call"], "the dead call", 4)
            call.close()

    run(main())


def test_no_packet_breaks_the_relay(network: LoopbackNetwork) -> None:
    """Rubbish from the very phones of the call, on all four sockets."""

    async def main() -> None:
        relay = network.address(1)
        chance = random.Random(11)
        async with media(relay, processes=0) as (control, _, _):
            call = Call(control, relay, Phone(network.address(11)), Phone(network.address(12)))
            await call.negotiate(call.caller.sdp("0 101"), call.called.sdp("0 96")).connect()
            whole = sender_report(1, 2) + receiver_report(1, 2, 3, 4)
            for number in range(1500):
                kind = number % 5
                if kind == 0:
                    data = chance.randbytes(chance.randrange(0, 60))
                elif kind == 1:
                    data = build_rtp(101, number, number * 160, 1, chance.randbytes(chance.randrange(6)))
                elif kind == 2:
                    data = bytes([0x80 | chance.randrange(64)]) + chance.randbytes(chance.randrange(11, 40))
                elif kind == 3:
                    position = chance.randrange(len(whole))
                    data = whole[:position] + chance.randbytes(1) + whole[position + 1 :]
                else:
                    data = chance.randbytes(4) * chance.choice((3, 400, 1024, 1100, 3000))
                call.caller.rtp.sendto(data, call.caller_target)
                call.called.rtcp.sendto(data, (relay, call.called_target[1] + 1))
                call.session.send_dtmf(Side.CALLED, "5", 40)
                if number % 50 == 0:
                    await asyncio.sleep(0)
                    call.called.hear()
            worker = control._slots[0].link
            assert isinstance(worker, link.LoopLink)
            await asyncio.sleep(0.1)
            assert worker._relay.failures == 0
            call.caller.received.clear()
            await until(lambda: call.called.say(call.called_target) and call.caller.hear(), "audio as before")
            call.close()

    run(main())


def test_calls_leave_nothing_behind(network: LoopbackNetwork) -> None:
    async def main() -> None:
        relay = network.address(1)
        async with media(relay, processes=0) as (control, _, _):
            phones = Phone(network.address(11)), Phone(network.address(12))

            async def some_calls(count: int) -> None:
                for number in range(count):
                    call = Call(control, relay, *phones, call_id=f"call{number}").negotiate()
                    await call.talk(4, 0.001)
                    call.session.send_dtmf(Side.CALLED, "1")
                    call.session.close()
                await asyncio.sleep(0.05)

            await some_calls(10)
            gc.collect()
            # As in a worker, whose collector is off: nothing may need it.
            gc.disable()
            try:
                objects, files = len(gc.get_objects()), len(os.listdir("/proc/self/fd"))
                await some_calls(40)
                assert len(os.listdir("/proc/self/fd")) <= files
                assert len(gc.get_objects()) - objects < 400
            finally:
                gc.enable()
            for phone in phones:
                phone.close()

    if sys.platform != "linux":
        pytest.skip("counts descriptors in /proc")
    run(main())
