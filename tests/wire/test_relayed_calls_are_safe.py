"""Relayed calls of a running server under a stranger's fire, and under settings that change."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.documents import CALLER, CARRIER_A, SERVER, STRANGER, document
from support.ports import LoopbackNetwork, free_udp_port
from support.running_engine import RunningEngine
from support.sip_text import SipText
from support.sprayer import MARK, Sprayer
from support.starting import StartCaller, StartCarrier, StartEngine
from support.udp_peers import Carrier, Talk
from support.waiting import wait_until
from wire.media.audio import Voice, ipv6_works, port_of, voices

pytestmark = pytest.mark.wire

FIRST, LAST = 20_000, 29_999
"""The media ports of a server whose record nobody has changed."""


@contextmanager
def running(engine: RunningEngine) -> Iterator[RunningEngine]:
    """An engine on an address of its own choice, ended in order."""
    try:
        yield engine
    finally:
        engine.stop()


def connect(server: str, pair: tuple[Voice, ...], talk: Talk, invite: SipText) -> tuple[int, int]:
    """Both sides begin to talk to where they were told; our ports towards them."""
    answer = talk.final()
    assert answer.status == 200
    ports = port_of(answer.body.encode()), port_of(invite.body.encode())
    for voice, port in zip(pair, ports, strict=True):
        voice.target = (server, port)
    return ports


def test_who_sprays_every_port_gets_nothing_and_brings_nothing_in(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """All ten thousand ports, before the call, while it is set up and while it talks."""
    start_engine(document(network, {1: {"relay_media": "yes"}}))
    carrier, caller = start_carrier(CARRIER_A), start_caller()
    sprayer = Sprayer(network.address(STRANGER), network.address(SERVER), FIRST, LAST, sockets=1)
    over = threading.Event()

    def spray() -> None:
        while not over.is_set():
            sprayer.spray()

    fire = threading.Thread(target=spray, daemon=True)
    try:
        fire.start()
        with voices(network.address(CALLER), network.address(CARRIER_A)) as pair:
            wait_until(lambda: sprayer.sent > LAST - FIRST, "the first round", 20)
            talk = caller.begin("135550")
            connect(network.address(SERVER), pair, talk, carrier.wait_for("INVITE"))
            before = sprayer.sent
            wait_until(lambda: all(len(voice.heard) > 60 for voice in pair), "audio both ways", 20)
            wait_until(lambda: sprayer.sent > before + 3 * (LAST - FIRST), "three more rounds", 30)
            over.set()
            fire.join(10)
            talk.hang_up()
            for opened in sprayer.sockets:
                sprayer.look(opened)
            injected = sum(MARK in data for voice in pair for data in voice.heard)
        assert (sprayer.received, injected) == (0, 0)
    finally:
        over.set()
        fire.join(10)
        sprayer.close()


def test_changed_media_settings_are_in_force_at_once(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """Another range for the next call, another number of processes, and a shorter timeout for those that run."""
    system = {"media_port_first": 27_000, "media_port_last": 27_099, "media_timeout": 60}
    engine: RunningEngine = start_engine(document(network, {1: {"relay_media": "yes"}}, system=system))
    carrier, caller = start_carrier(CARRIER_A), start_caller()
    with voices(network.address(CALLER), network.address(CARRIER_A)) as pair:
        first = caller.begin("135550")
        ports = connect(network.address(SERVER), pair, first, carrier.wait_for("INVITE"))
        assert all(27_000 <= port <= 27_099 for port in ports)
        wait_until(lambda: all(voice.heard for voice in pair), "audio both ways")
        engine.change({"system": {"media_port_first": 27_200, "media_port_last": 27_299, "media_processes": 0}})
        wait_until(
            lambda: engine.ask(lambda engine: engine._media and engine._media.control.processes == 0), "the loop"
        )
        second = caller.begin("135551")
        invite = carrier.wait_for("INVITE", 2)
        assert second.final().status == 200
        assert 27_200 <= port_of(invite.body.encode()) <= 27_299
        # The first call never noticed.
        heard = [len(voice.heard) for voice in pair]
        wait_until(lambda: all(len(voice.heard) > count + 10 for voice, count in zip(pair, heard, strict=True)), "more")
        # Nobody ever talked in the second one: it ends after the new time, the first one goes on.
        engine.change({"system": {"media_timeout": 2}})
        second.ended_by_the_other_side()
        (row,) = engine.ask(lambda engine: engine.calls())
        assert row.called_number == "135550"
        first.hang_up()
    records = engine.wait_for_calls(2)
    assert sorted(record.end_cause for record in records) == ["media_timeout", "normal"]


@pytest.mark.skipif(not ipv6_works(), reason="this machine has no IPv6")
def test_a_caller_of_ipv4_and_a_carrier_of_ipv6_talk(
    network: LoopbackNetwork, start_carrier: StartCarrier, start_caller: StartCaller, tmp_path: Path
) -> None:
    """On every address of both families; relayed only because it must be (auto)."""
    port = free_udp_port("::1")
    with (
        Carrier("::1", free_udp_port("::1")) as carrier,
        voices(network.address(CALLER), "::1") as pair,
        running(RunningEngine(tmp_path / "data", between_families(network, carrier.port), "::", port)) as engine,
    ):
        listeners = engine.ask(lambda engine: engine.listeners)
        assert {f"udp:[::]:{port}", f"udp:0.0.0.0:{port}", f"tcp:[::]:{port}", f"tcp:0.0.0.0:{port}"} == set(listeners)
        talk = start_caller(server_port=port).begin("135550")
        invite = carrier.wait_for("INVITE")
        answer = talk.final()
        assert "c=IN IP6 ::1" in invite.body and "c=IN IP4 127." in answer.body
        assert network.address(CALLER) not in invite.body
        pair[0].target = (answer.body.partition("c=IN IP4 ")[2].split()[0], port_of(answer.body.encode()))
        pair[1].target = ("::1", port_of(invite.body.encode()))
        wait_until(lambda: all(len(voice.heard) > 10 for voice in pair), "audio both ways")
        talk.hang_up()
        (record,) = engine.wait_for_calls(1)
        assert "different address families" in " ".join(record.trail)
        assert [stream["lost"] for stream in record.media] == [0, 0]


def between_families(network: LoopbackNetwork, carrier_port: int) -> dict[str, Any]:
    """Trunk 1 is reached by IPv6, trunk 3 calls by IPv4."""
    first = {"server_address": "::1", "server_port": carrier_port, "relay_media": "auto"}
    return document(network, {1: first}, system={"media_port_first": 27_400, "media_port_last": 27_499})
