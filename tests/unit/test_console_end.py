"""Closing the console of Windows ends the server in order, not with calls up."""

from __future__ import annotations

import threading

import pytest

from app.command_line.console_end import ConsoleEnd


@pytest.mark.parametrize("event", [2, 5, 6], ids=["close", "log off", "shutdown"])
def test_windows_waits_until_the_program_has_ended(event: int) -> None:
    asked = threading.Event()
    end = ConsoleEnd()
    answers: list[bool] = []
    system = threading.Thread(target=lambda: answers.append(end.told(event, asked.set)))
    system.start()
    assert asked.wait(5)
    assert not answers
    end.program_ended()
    system.join(5)
    assert answers == [True]


@pytest.mark.parametrize("event", [0, 1], ids=["Ctrl+C", "Ctrl+Break"])
def test_keys_are_left_to_the_signals(event: int) -> None:
    asked = threading.Event()
    assert not ConsoleEnd().told(event, asked.set)
    assert not asked.is_set()
