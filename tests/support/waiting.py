"""Waiting for a condition with a deadline, so that no test sleeps for a fixed time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str, seconds: float = 10.0, pause: float = 0.02) -> T:
    """The first true value of the condition; AssertionError naming what was waited for after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}; last seen: {value!r}"
        time.sleep(pause)


async def until(condition: Callable[[], T], what: str, seconds: float = 10.0, pause: float = 0.005) -> T:
    """As `wait_until`, while the loop of the caller goes on turning."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}; last seen: {value!r}"
        await asyncio.sleep(pause)
