"""RealtimeKit asked over a real bus: what it grants, what it refuses, and who is not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from app.media import priority
from app.media.realtime_kit import LONGEST_RUN, RealtimeKitError, ask_for_niceness, ask_for_real_time
from tests.support.programs import needs_program

if sys.platform != "linux":
    pytest.skip("Linux has it", allow_module_level=True)

import resource

from jeepney import MessageType, message_bus, new_error, new_method_return
from jeepney.io.blocking import DBusConnection, open_dbus_connection

NAME = "org.freedesktop.RealtimeKit1"


class Kit:
    """Stands for the service: notes what it is asked for and answers, or refuses."""

    def __init__(self, connection: DBusConnection) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.refuses: set[str] = set()
        self.answered = threading.Condition()
        self._connection = connection
        connection.send_and_get_reply(message_bus.RequestName(NAME))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                call = self._connection.receive()
            except (OSError, EOFError):
                return
            if call.header.message_type is not MessageType.method_call:
                continue
            method = call.header.fields[3]
            if method in self.refuses:
                self._connection.send(new_error(call, f"{NAME}.Error", "s", ("not you",)))
            else:
                self._connection.send(new_method_return(call))
            with self.answered:
                self.asked.append((method, *call.body))
                self.answered.notify()

    def wait(self, count: int) -> list[tuple[object, ...]]:
        """What it was asked for, once that is so many things."""
        with self.answered:
            assert self.answered.wait_for(lambda: len(self.asked) >= count, timeout=10)
            return list(self.asked)

    def close(self) -> None:
        self._connection.sock.shutdown(2)
        self._thread.join()
        self._connection.close()


@pytest.fixture
def kit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kit]:
    program = needs_program("dbus-daemon", "dbus-daemon")
    with subprocess.Popen(
        [program, "--session", "--nofork", "--print-address"], stdout=subprocess.PIPE, text=True
    ) as bus:
        assert bus.stdout is not None
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.stdout.readline().strip())
        kit = Kit(open_dbus_connection("SYSTEM"))
        yield kit
        kit.close()
        bus.kill()


@pytest.fixture
def process() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child.pid
        child.kill()


@pytest.fixture
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system itself allows nothing; there are two processors."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1})
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "setpriority", refuse)


def test_the_kit_is_asked_and_the_time_bounded(kit: Kit, process: int) -> None:
    ask_for_real_time(process, 1)
    assert kit.wait(1) == [("MakeThreadRealtimeWithPID", process, process, 1)]
    soft, hard = resource.prlimit(process, resource.RLIMIT_RTTIME)
    assert (soft, hard) == (LONGEST_RUN * 1e6, LONGEST_RUN * 2e6)
    ask_for_niceness(process, -10)
    assert kit.wait(2)[1:] == [("MakeThreadHighPriorityWithPID", process, process, -10)]


def test_a_refusal_is_told(kit: Kit, process: int) -> None:
    kit.refuses.add("MakeThreadRealtimeWithPID")
    with pytest.raises(RealtimeKitError, match="not you"):
        ask_for_real_time(process, 1)


def test_a_server_has_no_kit(monkeypatch: pytest.MonkeyPatch, process: int) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    with pytest.raises(RealtimeKitError):
        ask_for_real_time(process, 1)
    with pytest.raises(RealtimeKitError, match="bounded"):
        ask_for_real_time(2**22 + 1, 1)


@pytest.mark.usefixtures("ordinary_user")
def test_an_ordinary_user_asks_the_kit(kit: Kit, process: int) -> None:
    priority.put_first(process)
    assert kit.wait(1) == [("MakeThreadRealtimeWithPID", process, process, 1)]
    priority.put_first(process, of=2)
    assert kit.wait(2)[1:] == [("MakeThreadHighPriorityWithPID", process, process, priority.NICENESS)]


@pytest.mark.usefixtures("ordinary_user")
def test_where_the_kit_refuses_real_time_it_is_asked_for_niceness(kit: Kit, process: int) -> None:
    kit.refuses.add("MakeThreadRealtimeWithPID")
    priority.put_first(process)
    assert [method for method, *_ in kit.wait(2)] == ["MakeThreadRealtimeWithPID", "MakeThreadHighPriorityWithPID"]


def test_a_process_that_runs_for_too_long_leaves_real_time() -> None:
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        pytest.skip("this system does not let us run anything in real time")
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    busy = (
        "import os, resource, time; from app.media.priority import yield_when_told; yield_when_told();"
        "resource.setrlimit(resource.RLIMIT_RTTIME, (50_000, 400_000));"
        "os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1));"
        "end = time.monotonic() + 20\n"
        "while os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR and time.monotonic() < end: pass\n"
        "print(os.sched_getscheduler(0) == os.SCHED_OTHER | os.SCHED_RESET_ON_FORK)"
    )
    ran = subprocess.run([sys.executable, "-c", busy], capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode != -signal.SIGXCPU, "the system ended it"
    assert ran.stdout == "True\n", ran.stderr
