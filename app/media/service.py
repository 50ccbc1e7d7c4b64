"""Keeps a media control running as the settings want it, and changes it under the calls that run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from app.media.control import MediaControl, MediaSettings

_log = logging.getLogger(__name__)

_RELEASE_SECONDS = 0.1
"""What a worker may take to close the ports that it has ahead of need."""
_LOOK_INTERVAL = 0.5


class MediaService:
    """One media control for new calls and, after the number of processes has changed, older ones that run out.

    `attach(control)` is called with each control from which on new calls go through it, `on_trouble(words)` when the
    wanted number of processes cannot be had: all stays as it was.
    """

    def __init__(
        self, attach: Callable[[MediaControl], None], on_trouble: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._attach = attach
        self._on_trouble = on_trouble
        self._clock = clock
        self._retired: list[MediaControl] = []
        self._task: asyncio.Task[None] | None = None
        self.control: MediaControl | None = None
        """What new calls use; None before the start."""

    async def start(self, settings: MediaSettings) -> None:
        """Start the workers. Raises OSError or TimeoutError where none comes up."""
        control = MediaControl(settings, clock=self._clock)
        await control.start()
        self.control = control
        self._attach(control)

    def apply(self, settings: MediaSettings) -> None:
        """Take changed settings: ports for new calls and times at once, another number of processes in a moment.

        Calls that run keep their ports and their workers until they end.
        """
        control = self.control
        if control is None or control.settings == settings or control.apply(settings):
            return
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._change_processes())

    async def _change_processes(self) -> None:
        old = self.control
        while old is not None and old.processes != old.settings.processes:
            old.retire()
            await asyncio.sleep(_RELEASE_SECONDS)
            settings = old.settings
            control = MediaControl(settings, clock=self._clock, ports=old.ports)
            try:
                await control.start()
            except (OSError, TimeoutError) as error:
                self._on_trouble(f"the number of media processes stays {old.processes}: {error or 'none starts'}")
                old.resume()
                break
            control.apply(old.settings)
            self.control = control
            self._attach(control)
            self._retired.append(old)
            _log.info("audio of new calls is relayed by %d media processes", settings.processes)
            old = control
        while self._retired:
            for control in [each for each in self._retired if not each.busy]:
                self._retired.remove(control)
                await control.stop()
            await asyncio.sleep(_LOOK_INTERVAL)

    async def stop(self) -> None:
        """End every session and every worker."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for control in (*self._retired, *([self.control] if self.control is not None else [])):
            await control.stop()
        self._retired.clear()
        self.control = None
