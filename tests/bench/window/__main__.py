"""Measures relayed audio while the window repaints: `python -m tests.bench.window [--calls 200,500] [--seconds 4]`.

The real program runs here, with so many relayed G.711 calls; the generator sends their audio. It is measured by turns
with the window hidden and with every plot live: the audio of a chosen call, and the overview of calls and of audio, all
in sight at the same time. Printed are the median of the added delay, the ratio of both, and what was drawn. Without a
display Qt's own is used (its drawing is done by the processor, too); `xvfb-run` gives one. As root, or where a limit
(rtprio) allows it, the media process and the generator run in real time: the generator stands for phones on other
machines, which wait for no processor of this one, so what is left is our own delay. Figures from a machine that is busy
with other programs, or that is virtual and whose processors are taken away for others (last columns), say little.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import qasync
from PySide6.QtWidgets import QApplication, QWidget

from app.engine import allow_many_descriptors
from app.events import EngineState
from app.records.document import read_document
from app.storage.database import Database
from tests.bench.relay.__main__ import Disturbed, generate
from tests.bench.relay.subjects import NETWORK, Unavailable
from tests.bench.window.peers import Calls
from ui.monitor.live_calls import LiveCallsPage
from ui.monitor.overview import OverviewPage
from ui.monitor.time_plot import TimePlot
from ui.pages import make_page
from ui.program import Program

SERVER, CALLER, CARRIER = f"{NETWORK}.5", f"{NETWORK}.11", f"{NETWORK}.12"
GOAL = 5_000.0
"""Microseconds of added delay at p99 with every plot live."""
COLUMNS = ("p50", "p99", "p999", "lost", "cpu", "others", "stolen", "drawn", "window")


def document() -> dict[str, object]:
    """Two trunks, the carrier's relays."""
    limits = {"max_incoming_calls": 5000, "max_outgoing_calls": 5000}
    return {
        "sip_trunks": [
            {"id": 1, "description": "Carrier", "server_address": CARRIER, "relay_media": "yes", **limits},
            {"id": 2, "description": "Caller", "server_address": CALLER, **limits},
        ],
        "analyze_called_numbers": [{"prefix": "13", "route_type": "sip_trunk", "target_id": 1}],
        "system": {
            "sip_address": SERVER,
            "sip_tls_port": 0,
            "media_port_first": 30_000,
            "media_port_last": 59_999,
            "media_timeout": 0,
        },
    }


class Scene:
    """The window with every plot in sight, or hidden."""

    def __init__(self, program: Program) -> None:
        self.program = program
        window = program.window
        self.live = window.open_page("live_calls")
        self.others: list[QWidget] = [make_page("overview", program.workspace) for _ in range(2)]
        for page, view in zip(self.others, ("calls", "audio"), strict=True):
            assert isinstance(page, OverviewPage)
            page.resize(1280, 800)
            page.set_view(view)
        self.show(True)

    def show(self, shown: bool) -> None:
        for each in (self.program.window, *self.others):
            each.setVisible(shown)

    async def choose_call(self) -> None:
        """Show the audio of the first call, once the table has its row. Raises `Unavailable`."""
        live = self.live
        assert isinstance(live, LiveCallsPage)
        chosen = self.program.engine.calls()[0].id
        # The table takes new calls a few times a second; a row that it does not have yet cannot be selected.
        await until(lambda: live.live.row(chosen) is not None, "the row of the chosen call", 30)
        live.view.select_keys([chosen])

    @property
    def plots(self) -> list[TimePlot]:
        """All plots that are in sight now."""
        widgets = (self.program.window, *self.others)
        return [plot for widget in widgets for plot in widget.findChildren(TimePlot) if plot.isVisible()]


async def until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Let the loop run until the condition holds. Raises `Unavailable`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Unavailable(f"waited {seconds:g} s for {what}")
        await asyncio.sleep(0.05)


async def measure(scene: Scene, lines: tuple[str, ...], seconds: float, shown: bool) -> dict[str, float]:
    """One run of the generator."""
    scene.show(shown)
    await asyncio.sleep(1.0)
    workers = tuple(child.pid for child in multiprocessing.active_children() if child.pid)
    before = {plot: plot.repaints for plot in scene.plots}
    began, used = time.monotonic(), time.process_time()
    found = await generate(lines, workers, seconds, elsewhere=True)
    passed = time.monotonic() - began
    found["window"] = (time.process_time() - used) / passed * 100
    drawn = [plot.repaints - count for plot, count in before.items()]
    found["drawn"] = len([count for count in drawn if count > 0])
    return found


async def run(application: QApplication, arguments: argparse.Namespace) -> None:
    """All runs of one program."""
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.calls:
            data = Path(folder) / f"data-{count}"
            database = Database.open(data)
            database.update(lambda base: read_document(document(), base, replace=True))
            database.close()
            program = Program(application, data, Path(folder) / "window.ini", (SERVER, 5060))
            task = asyncio.get_running_loop().create_task(program.run())
            scene = None
            try:
                scene = await _measure_all(program, count, arguments)
            finally:
                program.window.end()
                await task
                for widget in (program.window, *(scene.others if scene is not None else ())):
                    widget.deleteLater()


async def _measure_all(program: Program, count: int, arguments: argparse.Namespace) -> Scene:
    await until(lambda: program.engine.state is EngineState.RUNNING, "the server", 30)
    scene = Scene(program)
    calls = Calls(count, CALLER, CARRIER, SERVER)
    try:
        lines = await calls.set_up()
        await scene.choose_call()
        runs: dict[bool, list[dict[str, float]]] = {False: [], True: []}
        for _ in range(arguments.rounds):
            for shown in (False, True):
                try:
                    runs[shown].append(await measure(scene, lines, arguments.seconds, shown))
                except Disturbed as error:
                    print(f"a run with {count} calls does not count: {error}", file=sys.stderr, flush=True)
        show(count, runs)
        if arguments.picture:
            for number, widget in enumerate((program.window, *scene.others)):
                widget.grab().save(str(arguments.picture / f"window-{count}-{number}.png"))
    except (TimeoutError, Unavailable) as error:
        print(f"{count} calls: {calls.refused or error or 'not all calls were set up in time'}", file=sys.stderr)
    finally:
        scene.show(False)
        calls.close()
    # Its pages listen to the server: they go after it.
    return scene


def show(count: int, runs: dict[bool, list[dict[str, float]]]) -> None:
    """The table of one number of calls."""
    print(f"\n{count} relayed two-way G.711 calls ({count * 100} packets/s)")
    above = f"{'added delay, us':>28} {'lost':>6} {'CPU s per':>12} {'CPU of':>8} {'plots':>6}"
    below = f"{'p50':>8} {'p99':>9} {'p99.9':>9} {'':>6} {'10^6 packets':>12} {'window':>8} {'drawn':>6}"
    print(f"  {'':24} {above} {'others':>8} {'stolen':>8}\n  {'':24} {below} {'% of all CPUs':>17}")
    medians = {}
    for shown, found in runs.items():
        if not found:
            continue
        middle = medians[shown] = {column: statistics.median(one[column] for one in found) for column in COLUMNS}
        print(
            f"  {'every plot live' if shown else 'window hidden':24} {middle['p50']:8.0f} {middle['p99']:9.0f} "
            f"{middle['p999']:9.0f} {middle['lost']:6.0f} {middle['cpu']:12.2f} {middle['window']:7.0f}% "
            f"{middle['drawn']:6.0f} {middle['others']:7.0f}% {middle['stolen']:7.1f}%"
        )
    if len(medians) == 2:
        live, hidden = medians[True], medians[False]
        print(
            f"  live / hidden: p50 {live['p50'] / hidden['p50']:.2f}, p99 {live['p99'] / hidden['p99']:.2f}; "
            f"p99 with every plot live is {live['p99'] / GOAL:.2f} of the {GOAL / 1000:g} ms that it may be"
        )
    sys.stdout.flush()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.window", description=__doc__)
    parser.add_argument("--calls", type=lambda text: [int(part) for part in text.split(",")], default=[200, 500])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--picture", type=Path, metavar="FOLDER", help="save what the window looks like there")
    arguments = parser.parse_args()
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform == "win32"):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    allow_many_descriptors()
    application = QApplication(sys.argv[:1])
    application.setQuitOnLastWindowClosed(False)
    loop = qasync.QEventLoop(application)
    with loop:
        loop.run_until_complete(run(application, arguments))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
