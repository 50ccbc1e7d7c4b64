"""Work in pieces: a page of plots is drawn one by one, so that calls never wait for more than one of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from PySide6.QtCore import QObject, QTimer

Piece = Callable[[], object]

GAP = 25
"""Milliseconds between two pieces, for everything else."""


class Stagger(QObject):
    """Does the pieces that it is given, one at a time, as long as they are wanted."""

    def __init__(self, wanted: Callable[[], bool], parent: QObject) -> None:
        super().__init__(parent)
        self._wanted = wanted
        self._pieces: deque[Piece] = deque()
        self._timer = QTimer(self, singleShot=True, interval=GAP)
        self._timer.timeout.connect(self._next)

    def start(self, pieces: Iterable[Piece]) -> None:
        """Do these, and nothing that still waits from before."""
        self._pieces = deque(pieces)
        self._next()

    def at_once(self, pieces: Iterable[Piece]) -> None:
        """Do these now: somebody has just asked for them."""
        self._pieces.clear()
        for piece in pieces:
            piece()

    def _next(self) -> None:
        if not self._wanted():
            self._pieces.clear()
        if self._pieces:
            self._pieces.popleft()()
        if self._pieces:
            self._timer.start()
