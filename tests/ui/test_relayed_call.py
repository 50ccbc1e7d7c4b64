"""A relayed call in the real window: its streams, its digits, what is wrong with its audio, its end, and the files."""

from __future__ import annotations

import asyncio
import csv
import io
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QAction, QPixmap
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QTableView, QWidget
from support.async_peer import AsyncPeer
from support.ports import LoopbackNetwork
from support.transports import run_on
from support.waiting import until
from wire.media.audio import Phone, port_of

from app.events import EngineState
from app.records.document import read_document
from app.storage.calls import CallQuery
from app.storage.database import Database
from ui.monitor.live_calls import LiveCallsPage
from ui.monitor.overview import OverviewPage
from ui.program import Program

pytestmark = pytest.mark.wire

MEDIA_TIMEOUT = 3


class Sides:
    """Caller and carrier with their SIP and their audio."""

    def __init__(self, network: LoopbackNetwork) -> None:
        server = (network.address(1), 5060)
        self.server = server[0]
        self.caller = AsyncPeer(network.address(30), server, domain=network.address(30))
        self.carrier = AsyncPeer(network.address(10), server)
        self.caller_phone = Phone(network.address(30))
        self.carrier_phone = Phone(network.address(10))
        # What the carrier describes: no telephone-event.
        self.carrier_phone.rtp.close()
        self.carrier_phone.rtp = self.carrier_phone._bound(40_000)
        self.talking: set[str] = set()
        self.caller_target = self.carrier_target = (self.server, 0)

    def document(self) -> dict[str, Any]:
        return {
            "sip_trunks": [
                {"id": 1, "description": "Carrier", "server_address": self.carrier.address, "relay_media": "yes"},
                {"id": 3, "description": "Caller", "server_address": self.caller.address},
            ],
            "analyze_called_numbers": [{"prefix": "13", "route_type": "sip_trunk", "target_id": 1}],
            "system": {"media_port_first": 26_000, "media_port_last": 26_099, "media_timeout": MEDIA_TIMEOUT},
        }

    async def talk(self) -> None:
        """Whoever is talking says a packet every 20 ms, until cancelled."""
        while True:
            for name, phone, target in (
                ("caller", self.caller_phone, self.caller_target),
                ("carrier", self.carrier_phone, self.carrier_target),
            ):
                if name in self.talking:
                    phone.say(target)
                phone.hear()
            await asyncio.sleep(0.02)

    async def begin(self) -> None:
        """The call, answered and acknowledged."""
        uri = f"sip:135550@{self.server}"
        lines = self.caller.request("INVITE", uri, "5551", "135550", f"call@{self.caller.address}")
        self.caller.send(lines, self.caller_phone.sdp().decode())
        invite = await self.carrier.receive(lambda message: message.method == "INVITE", "INVITE")
        self.carrier_target = (self.server, port_of(invite.body.encode()))
        self.carrier.answer(invite, 200, "OK", with_sdp=True)
        answer = await self.caller.receive(lambda message: message.status == 200, "200")
        self.caller_target = (self.server, port_of(answer.body.encode()))
        self.caller.acknowledge(answer, (answer.header("Contact") or "").strip("<>"))
        await self.carrier.receive(lambda message: message.method == "ACK", "ACK")

    def close(self) -> None:
        for each in (self.caller, self.carrier, self.caller_phone, self.carrier_phone):
            each.close()


@asynccontextmanager
async def running(qapp: QApplication, folder: Path, sides: Sides) -> AsyncIterator[Program]:
    """The program with these two trunks, until its window is closed."""
    qapp.setQuitOnLastWindowClosed(False)
    database = Database.open(folder / "data")
    database.update(lambda base: read_document(sides.document(), base, replace=True))
    database.close()
    program = Program(qapp, folder / "data", folder / "window.ini", (sides.server, 5060))
    task = asyncio.get_running_loop().create_task(program.run())
    talk = asyncio.get_running_loop().create_task(sides.talk())
    try:
        await until(lambda: program.engine.state is EngineState.RUNNING, "the server", 20)
        yield program
    finally:
        talk.cancel()
        program.window.end()
        await task
        program.window.deleteLater()


def worker_of_this_process() -> int:
    """The media process that has the sockets: of all of them the one with the most files open."""
    children = [child.pid for child in multiprocessing.active_children() if child.pid]
    return max(children, key=lambda pid: len(os.listdir(f"/proc/{pid}/fd")))


def stream_text(page: LiveCallsPage, side: str, column: str) -> str:
    model = page.streams.model
    if model.rowCount() < 2:
        return ""
    return str(model.index(model.position(side), model.column_index(column)).data())


def live_text(page: LiveCallsPage, title: str) -> str:
    model = page.view.model()
    for column in range(model.columnCount()):
        if str(model.headerData(column, page.view.horizontalHeader().orientation())) == title:
            return str(model.index(0, column).data())
    raise AssertionError(title)


def save(program: Program, page: QWidget, command: str, path: Path) -> None:
    """Press an export button and choose a file."""
    page.findChild(QAction, command).trigger()
    dialog = page.findChild(QFileDialog, "dialog.file")
    dialog.setDirectory(str(path.parent))
    dialog.selectFile(str(path))
    dialog.accept()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and kills by signal")
@pytest.mark.expects_log("media (worker|process)")
def test_the_window_shows_everything_of_a_relayed_call(
    request: pytest.FixtureRequest,
    qapp: QApplication,
    tmp_path: Path,
    network: LoopbackNetwork,
    screenshot: Callable[[QWidget, str], QPixmap],
) -> None:
    sides = Sides(network)

    async def story() -> None:
        async with running(qapp, tmp_path, sides) as program:
            page = program.window.open_page("live_calls")
            assert isinstance(page, LiveCallsPage)
            await sides.begin()
            sides.talking = {"caller", "carrier"}
            await until(lambda: page.view.model().rowCount() == 1, "the call's row")
            page.findChild(QTableView, "table").selectRow(0)
            for side in ("caller", "called"):
                await until(lambda side=side: "excellent" in stream_text(page, side, "mos"), f"the score of {side}")
                assert stream_text(page, side, "codec") == "PCMU/8000"
                assert stream_text(page, side, "problem") == ""

            # Digits as telephone-event: shown, and given on as INFO, because the carrier has no telephone-event.
            stamp = sides.caller_phone.timestamp.to_bytes(4, "big")
            for duration in (160, 320, 480, 480, 480):
                payload = bytes((5, 0x8A if duration == 480 else 0x0A)) + duration.to_bytes(2, "big")
                data = sides.caller_phone.packet(101, payload)
                sides.caller_phone.rtp.sendto(data[:4] + stamp + data[8:], sides.caller_target)
            info = await sides.carrier.receive(lambda message: message.method == "INFO", "INFO")
            assert "Signal=5" in info.body
            sides.carrier.answer(info, 200, "OK")
            await until(lambda: live_text(page, "Digits") == "5", "the digit")

            # The process that relays dies: the window says so, and the audio goes on.
            heard = len(sides.carrier_phone.received)
            worker = worker_of_this_process()
            assert program.engine.beside_window
            os.kill(worker, signal.SIGKILL)
            notice = program.window.findChild(QLabel, "notice.text")
            await until(lambda: "media process 1 died" in notice.text(), "the alarm")
            await until(lambda: len(sides.carrier_phone.received) > heard + 25, "the audio", 3)
            assert sides.carrier_phone.sources == {sides.carrier_target}

            # The gauges of the trunk, as curves and as files.
            overview = program.window.open_page("overview")
            assert isinstance(overview, OverviewPage)
            overview.findChild(QAction, "view.audio").trigger()
            overview.trunk.setCurrentIndex(overview.trunk.findData(1))
            await until(lambda: overview.audio_plots.packets.repaints > 2, "the curves")
            program.window.resize(1280, 800)
            picture = screenshot(program.window, "relayed-overview")
            assert not picture.isNull()
            save(program, overview, "export_png", tmp_path / "overview.png")
            save(program, overview, "export_csv", tmp_path / "overview.csv")
            await until((tmp_path / "overview.csv").exists, "the figures")
            saved = QPixmap(str(tmp_path / "overview.png"))
            assert saved.width() > 600 and saved.height() > 300
            rows = list(csv.DictReader(io.StringIO((tmp_path / "overview.csv").read_text(encoding="utf-8"))))
            # On a busy machine a second may pass between two reports of the new media process.
            newest = [row for row in rows[-5:] if float(row["trunk_1_packets_per_second"])][-1]
            assert 10 < float(newest["trunk_1_packets_per_second"]) < 130
            assert newest["trunk_1_relayed"] == newest["relayed"] == "1"
            assert float(newest["mos_worst"]) > 4
            program.window.open_page("live_calls")

            # One side falls silent: within ten seconds the call says so, in words and with a mark.
            sides.talking = {"caller"}
            silent_since = time.monotonic()
            await until(lambda: live_text(page, "Newest step").startswith("one-way audio"), "the warning", 10)
            assert time.monotonic() - silent_since < 10
            assert live_text(page, "Newest step") == "one-way audio: nothing comes from the called side"
            await until(lambda: stream_text(page, "called", "problem") == "one-way", "the stream's mark", 3)
            assert stream_text(page, "caller", "problem") == ""
            screenshot(program.window, "relayed-one-way")

            # Then the other one, too: a call that is dead both ways ends by itself, and its record says why.
            sides.talking = set()
            for peer in (sides.caller, sides.carrier):
                goodbye = await peer.receive(lambda message: message.method == "BYE", "BYE", MEDIA_TIMEOUT + 4)
                peer.answer(goodbye, 200, "OK")
            found: list[Any] = []

            def look() -> bool:
                program.engine.call_records(CallQuery(limit=1), lambda records, _: found.extend(records or ()))
                return bool(found)

            await until(look, "the record")
            record = found[0]
            assert record.end_cause == "media_timeout"
            assert record.trail[-1] == "end: no audio came from either side for the media timeout"
            assert [stream["problem"] for stream in record.media] == ["", "silent"]

    try:
        run_on("qasync", request, story())
    finally:
        sides.close()
