"""Pure questions about a configuration: answered at once where they are small, in a thread where they are large."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from PySide6.QtCore import QObject, QThreadPool, Signal

from app.records import Configuration

SMALL = 400
"""Up to so many records a question takes a few milliseconds; 5,000 would stop calls and window for 70."""


Answer = TypeVar("Answer")


class Errand(QObject):
    """One question that may have no answer, such as what a text of rows would change; only one at a time."""

    _done = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.running = False
        """Whether a thread is at work."""
        self._done.connect(lambda finish: finish())

    def ask(
        self, question: Callable[[], Answer], answered: Callable[[Callable[[], Answer]], None], *, large: bool
    ) -> None:
        """Give `answered` a function that returns the answer or raises what the question has raised.

        A `large` question is asked in a thread, and must not touch what changes meanwhile.
        """
        if not large:
            answered(question)
            return
        self.running = True
        QThreadPool.globalInstance().start(lambda: self._work(question, answered))

    def _work(self, question: Callable[[], Answer], answered: Callable[[Callable[[], Answer]], None]) -> None:
        outcome: Future[Answer] = Future()
        try:
            outcome.set_result(question())
        except Exception as error:  # raised again where the answer is taken
            outcome.set_exception(error)

        def finish() -> None:
            self.running = False
            answered(outcome.result)

        with contextlib.suppress(RuntimeError):  # the window has gone meanwhile
            self._done.emit(finish)


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
