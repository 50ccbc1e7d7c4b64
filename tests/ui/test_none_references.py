"""PySide6 may not lose references to None: 6.12.0 does under qasync and takes the whole program with it in a minute."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TIMER_EVENTS = 2000
TOLERANCE = 200
"""References that come and go for honest reasons; the fault loses one or more with every event."""

SCRIPT = f"""
import asyncio, sys
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication
import qasync

class Ticker(QObject):
    def __init__(self):
        super().__init__()
        self.left, self.done = {TIMER_EVENTS}, None

    def timerEvent(self, event):
        self.left -= 1
        if self.left == 0:
            self.killTimer(event.timerId())
            self.done.set_result(None)

async def main():
    loop = asyncio.get_running_loop()
    for _ in range(50):
        await asyncio.sleep(0)
    before = sys.getrefcount(None)
    ticker = Ticker()
    ticker.done = loop.create_future()
    ticker.startTimer(0)
    await ticker.done
    for _ in range({TIMER_EVENTS}):
        passed = loop.create_future()
        loop.call_later(0, passed.set_result, None)
        await passed
    print(before, sys.getrefcount(None))

application = QApplication([])
loop = qasync.QEventLoop(application)
with loop:
    loop.run_until_complete(main())
"""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal from Python 3.12 on")
def test_none_keeps_its_references_over_timer_events() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    assert before - after < TOLERANCE, f"{before - after} references to None lost over {2 * TIMER_EVENTS} events"
