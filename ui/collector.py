"""Python's garbage collector, run in Qt's own thread: in another one it would destroy Qt objects behind Qt's back."""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

YOUNG_EVERY_MILLISECONDS = 2_000
OLD_EVERY_YOUNG = 60
"""Each so many young collections one goes over everything."""


class Collector(QObject):
    """Switches the automatic collector off and collects by a timer.

    A collection begins in whichever thread happens to allocate: the database's or the resolver's as well. Destroying a
    QObject with a running timer there ends the program.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._count = 0
        gc.disable()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._collect)
        self._timer.start(YOUNG_EVERY_MILLISECONDS)

    def _collect(self) -> None:
        self._count += 1
        gc.collect(2 if self._count % OLD_EVERY_YOUNG == 0 else 1)

    def stop(self) -> None:
        """Leave the collector to Python again."""
        self._timer.stop()
        gc.enable()
