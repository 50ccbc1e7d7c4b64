"""The whole program: engine and window on one event loop, from the first sight to the last call's end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QApplication

from app.errors import UserFacingError
from ui.bridge import Bridge
from ui.collector import Collector
from ui.face import Engine
from ui.main_window import MainWindow
from ui.settings import Settings
from ui.single_instance import SingleInstance
from ui.sleep_inhibitor import KeepAwake, system_inhibitor
from ui.theme import Theme, ThemeMode
from ui.workspace import Workspace

_log = logging.getLogger(__name__)


class Program:
    """Builds everything and runs it on the running loop, which is Qt's through qasync."""

    def __init__(
        self, application: QApplication, data_directory: Path, settings_path: Path, sip: tuple[str, int] | None = None
    ) -> None:
        self.settings = Settings(settings_path)
        modes = {mode.value: mode for mode in ThemeMode}
        self.theme = Theme(application, modes.get(self.settings.text("theme"), ThemeMode.SYSTEM))
        self.engine = Engine(data_directory, sip=sip, beside_window=True)
        self.bridge = Bridge(self.engine.events)
        self.workspace = Workspace(self.engine, self.bridge, self.settings, self.theme)
        self.window = MainWindow(self.workspace)
        self._awake = KeepAwake(self.bridge, self.engine, system_inhibitor(), self.window)
        self._closing = asyncio.Event()
        self._changing: asyncio.Task[None] | None = None
        """The start or stop of the server that goes on."""
        self.window.closing.connect(self._closing.set)
        self.window.start_wanted.connect(self._start)
        self.window.stop_wanted.connect(self._stop_server)

    async def run(self, instance: SingleInstance | None = None) -> None:
        """Show the window, start the server, and stop it when the window is closed."""
        if instance is not None:
            instance.raised.connect(self.window.tray.show_window)
        self.window.show()
        self._start()
        collector = Collector(self.window)
        try:
            await self._closing.wait()
        finally:
            collector.stop()
            await self._stop()

    def _start(self) -> None:
        self._change(self._start_engine())

    def _stop_server(self) -> None:
        self._change(self._stop_engine())

    def _change(self, change: Coroutine[Any, Any, None]) -> None:
        """Start or stop the server, unless one of them goes on already."""
        if self._changing is None or self._changing.done():
            self._changing = asyncio.get_running_loop().create_task(change)
        else:
            change.close()

    async def _stop_engine(self) -> None:
        """End calls in order; the window stays, to start the server once more."""
        try:
            await self.engine.stop()
            _log.info("the server has stopped")
        except Exception:
            _log.exception("the server did not stop in order")

    async def _start_engine(self) -> None:
        """Start the server; what goes wrong is told in the window, which stays to mend it."""
        try:
            await self.engine.start(mendable=True)
            _log.info(
                "the server listens on %s; data in %s", ", ".join(self.engine.listeners), self.engine.data_directory
            )
        except UserFacingError as error:
            _log.warning("the server did not start: %s", error)
        except Exception:
            _log.exception("the server did not start")

    async def _stop(self) -> None:
        """End calls in order, then let the window go."""
        if self._changing is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._changing
        try:
            await self.engine.stop()
        finally:
            self._awake.stop()
            self.bridge.close()
            self.window.finish()

    def end_on_signals(self) -> None:
        """SIGTERM and Ctrl+C end the calls in order, too, as soon as Python runs: within a second."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.window.end())
