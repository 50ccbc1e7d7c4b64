"""A pure question about a configuration: answered at once where it is small, in a thread where it is large."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QThreadPool, Signal

from app.records import Configuration

SMALL = 400
"""Up to so many records a question takes a few milliseconds; 5,000 would stop calls and window for 70."""


class Inquiry(QObject):
    """Asks about one configuration at a time; of those that wait only the newest is asked about."""

    answered = Signal(object)
    """The answer about the configuration that was asked about last."""
    _done = Signal(object, object)

    def __init__(self, question: Callable[[Configuration], Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.answer: Any = ()
        """The newest answer; empty before the first."""
        self._question = question
        self._asked: Configuration | None = None
        self._running = False
        self._again = False
        """Whether the question was asked anew while an answer was on its way."""
        self._done.connect(self._take)

    def ask(self, configuration: Configuration) -> None:
        """Ask about a configuration; `answered` tells what came out. The same one is not asked about twice."""
        if configuration is not self._asked:
            self.ask_again(configuration)

    def ask_again(self, configuration: Configuration) -> None:
        """Ask although the configuration may be the same, because the question has changed."""
        self._asked = configuration
        if sum(len(records) for records in configuration.tables.values()) <= SMALL:
            self._take(configuration, self._question(configuration))
        elif self._running:
            self._again = True
        else:
            self._start(configuration)

    def _start(self, configuration: Configuration) -> None:
        self._running, self._again = True, False
        QThreadPool.globalInstance().start(lambda: self._work(configuration))

    def _work(self, configuration: Configuration) -> None:
        """In a thread of the pool: configurations never change, so that reading one needs no lock."""
        answer = self._question(configuration)
        with contextlib.suppress(RuntimeError):  # the window has gone meanwhile
            self._done.emit(configuration, answer)

    def _take(self, configuration: Configuration, answer: Any) -> None:
        self._running = False
        if self._asked is not None and (self._again or configuration is not self._asked):
            self._start(self._asked)
            return
        self.answer = answer
        self.answered.emit(answer)
