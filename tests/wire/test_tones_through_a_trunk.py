"""Two real phones through a relaying trunk hear each other's tones, also where packets are lost, and are measured."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from support.baresip import Baresip
from support.documents import CARRIER_A, SERVER, document
from support.lossy import lossy_network
from support.ports import LoopbackNetwork
from support.starting import StartEngine, StartPhone
from support.tones import seconds_with
from support.waiting import wait_until

from app.events import StreamRow

pytestmark = pytest.mark.wire

TALK_SECONDS = 12
"""Phones report every five seconds; the second report tells the way back and forth."""


@pytest.mark.parametrize("loss", [0, pytest.param(5, marks=pytest.mark.long), pytest.param(10, marks=pytest.mark.long)])
def test_each_hears_the_tone_of_the_other(
    network: LoopbackNetwork, start_engine: StartEngine, start_phone: StartPhone, tmp_path: Path, loss: int
) -> None:
    with lossy_network(loss) if loss else nullcontext():
        system = {"media_port_first": 25_000, "media_port_last": 25_199}
        engine = start_engine(document(network, {1: {"relay_media": "yes"}}, system=system))
        caller = start_phone("100", tone=440, record=True).registered()
        server = f"{network.address(SERVER)}:5060"
        gateway = Baresip(
            tmp_path / "gateway",
            network.address(CARRIER_A),
            server,
            "135550",
            "",
            register_seconds=0,
            auto_answer=True,
            tone=880,
            record=True,
        )
        with gateway:
            caller.dial("135550")
            caller.wait_for("CALL_ESTABLISHED", 20)
            # Real time passes here: it is the length of the recordings.
            end = time.monotonic() + TALK_SECONDS
            live: tuple[StreamRow, ...] = ()
            while time.monotonic() < end:
                time.sleep(0.5)
                (call,) = engine.ask(lambda engine: engine.calls())
                live = engine.ask(lambda engine, call_id=call.id: engine.streams(call_id)) or live
            caller.hang_up()
            (record,) = engine.wait_for_calls(1, 40)
            for phone, frequency in ((caller, 880), (gateway, 440)):
                wait_until(phone.heard, f"a recording of {phone.user}", 10)
                # A tenth of a second is clear when none of its five packets was lost on either of the two ways.
                clear = (1 - loss / 100) ** 10 * 0.8
                assert seconds_with(frequency, phone.heard()[0]) > (TALK_SECONDS - 2) * clear, phone.user
        assert (record.status, len(record.media)) == (200, 2)
        for stream in record.media:
            assert stream["codec"] == "PCMA/8000"
            # The phone's own packets, lost on their way to us and nowhere else.
            assert stream["loss_percent"] == pytest.approx(loss, abs=0.01 if not loss else 4), stream
            assert stream["lost"] + stream["packets"] == pytest.approx(TALK_SECONDS * 50, rel=0.2)
            assert stream["mos"] > (4.2 if not loss else 2.0), stream
        if not loss:
            # On one machine there and back takes no time, but it takes some: the phones' reports tell it.
            assert [row.side for row in live] == ["caller", "called"]
            for figures in (*(row.round_trip_ms for row in live), *(each["round_trip_ms"] for each in record.media)):
                assert 0.0 < figures < 250.0
