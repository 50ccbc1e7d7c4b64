"""What the system is asked for so that media processes go before other programs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.media.priority import NICENESS, put_back, put_first

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="scheduling policies of Linux")


@pytest.fixture
def process() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child.pid
        child.kill()


def refuse(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What the system was asked for, which it grants; it has two processors."""
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    monkeypatch.setattr(os, "sched_getscheduler", lambda process: os.SCHED_OTHER)
    monkeypatch.setattr(os, "sched_setscheduler", lambda *values: asked.append(("real time", *values[:2])))
    monkeypatch.setattr(os, "setpriority", lambda *values: asked.append(("nice", *values[1:])))
    return asked


def test_a_media_process_runs_in_real_time(asked: list[tuple[object, ...]]) -> None:
    put_first(4711)
    assert asked == [("real time", 4711, os.SCHED_RR)]


def test_the_system_takes_it(process: int) -> None:
    try:
        os.sched_setscheduler(process, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        pytest.skip("this system does not let us run anything in real time")
    os.sched_setscheduler(process, os.SCHED_OTHER, os.sched_param(0))
    put_first(process, of=0)
    assert os.sched_getscheduler(process) == os.SCHED_RR
    assert os.sched_getparam(process).sched_priority == 1
    put_back(process)
    assert os.sched_getscheduler(process) == os.sched_getscheduler(0)
    assert os.getpriority(os.PRIO_PROCESS, process) == os.getpriority(os.PRIO_PROCESS, 0)


def test_one_processor_is_left_for_everything_else(asked: list[tuple[object, ...]]) -> None:
    put_first(4711, of=2)
    assert asked == [("nice", 4711, NICENESS)]


@pytest.fixture
def _no_kit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")


@pytest.mark.usefixtures("_no_kit")
def test_where_real_time_is_refused_it_is_made_less_nice(
    asked: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    put_first(4711)
    assert asked == [("nice", 4711, NICENESS)]


@pytest.mark.usefixtures("_no_kit")
def test_where_nothing_is_allowed_all_stays_as_it_is(process: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getscheduler(process), os.getpriority(os.PRIO_PROCESS, process)
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "setpriority", refuse)
    put_first(process)
    assert (os.sched_getscheduler(process), os.getpriority(os.PRIO_PROCESS, process)) == before


@pytest.mark.usefixtures("_no_kit")
def test_a_process_that_has_ended_is_no_trouble() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    put_first(child.pid)
