"""The computer stays awake while calls are up: with a stand-in, with a bus that answers, refuses or is not there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine

from app.events import CallState, EngineChanged
from ui.sleep_inhibitor import KeepAwake, LogindInhibitor, WindowsInhibitor, system_inhibitor
from ui.workspace import Workspace

QtDBus = pytest.importorskip("PySide6.QtDBus")


class Held:
    def __init__(self) -> None:
        self.now = False

    def hold(self) -> None:
        self.now = True

    def release(self) -> None:
        self.now = False


def test_it_is_held_from_the_first_call_to_the_end_of_the_last(
    workspace: Workspace, engine: FakeEngine, qtbot: QtBot
) -> None:
    held = Held()
    awake = KeepAwake(workspace.bridge, engine, held)  # type: ignore[arg-type]
    calls = list(engine.rows.values())[:2]
    for row in list(engine.rows.values())[2:]:
        del engine.rows[row.id]
    assert not held.now
    engine.set_call(calls[0])
    engine.set_call(calls[1])
    qtbot.waitUntil(lambda: held.now)
    engine.set_call(replace(calls[0], state=CallState.ENDED))
    workspace.bridge.hand_over()
    assert held.now
    engine.set_call(replace(calls[1], state=CallState.ENDED))
    workspace.bridge.hand_over()
    assert not held.now
    engine.set_call(calls[0])
    workspace.bridge.hand_over()
    assert held.now
    engine.rows.clear()
    engine.events.publish(EngineChanged(engine.state))
    workspace.bridge.hand_over()
    assert not held.now
    held.now = True
    awake.stop()
    assert not held.now


def test_windows_is_told_and_told_again() -> None:
    told: list[int] = []
    inhibitor = WindowsInhibitor(told.append)
    inhibitor.hold()
    inhibitor.release()
    assert told == [0x80000001, 0x80000000]


def test_a_bus_that_is_not_there_is_no_harm() -> None:
    inhibitor = LogindInhibitor(lambda: QtDBus.QDBusConnection("no such bus"))
    inhibitor.hold()
    inhibitor.release()
    system_inhibitor().release()


# --- with a bus ------------------------------------------------------------------------------------------------------

SERVICE = """
import os, sys
from PySide6.QtCore import QCoreApplication
from PySide6.QtDBus import QDBusConnection, QDBusUnixFileDescriptor, QDBusVirtualObject
application = QCoreApplication([])
bus = QDBusConnection.connectToBus(sys.argv[1], "service")
class Login(QDBusVirtualObject):
    def introspect(self, path):
        return ""
    def handleMessage(self, message, connection):
        what, who, why, mode = message.arguments()
        if sys.argv[2] == "refuses":
            connection.send(message.createErrorReply("org.freedesktop.DBus.Error.AccessDenied", "no"))
            return True
        reading, writing = os.pipe()
        connection.send(message.createReply(QDBusUnixFileDescriptor(writing)))
        os.close(writing)
        print(what, who, mode, flush=True)
        os.read(reading, 1)
        print("released", flush=True)
        return True
login = Login()
bus.registerVirtualObject("/org/freedesktop/login1", login)
bus.registerService("org.freedesktop.login1")
print("ready", flush=True)
application.exec()
"""


@pytest.fixture
def bus_address() -> Iterator[str]:
    """A message bus of this test's own."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed")
    command = ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as daemon:
        assert daemon.stdout is not None
        yield daemon.stdout.readline().strip()
        daemon.terminate()


def serve(address: str, manner: str) -> Any:
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE, address, manner], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert service.stdout is not None
    assert service.stdout.readline() == "ready\n"
    return service


@pytest.mark.parametrize("manner", ["grants", "refuses"])
def test_logind_is_asked_for_a_lock_which_is_closed_again(bus_address: str, manner: str, qtbot: QtBot) -> None:
    name = f"client-{manner}-{os.getpid()}"
    inhibitor = LogindInhibitor(lambda: QtDBus.QDBusConnection.connectToBus(bus_address, name))
    with serve(bus_address, manner) as service:
        try:
            inhibitor.hold()
            inhibitor.hold()
            qtbot.waitUntil(lambda: inhibitor._watcher is None)
            if manner == "grants":
                assert service.stdout.readline() == "sleep:idle Trunkline block\n"
                assert inhibitor._lock is not None
                inhibitor.release()
                assert service.stdout.readline() == "released\n"
            assert inhibitor._lock is None
            # Let go of before the answer has come, it is not held either.
            inhibitor.hold()
            inhibitor.release()
            qtbot.waitUntil(lambda: inhibitor._watcher is None)
            assert inhibitor._lock is None
        finally:
            QtDBus.QDBusConnection.disconnectFromBus(name)
            service.kill()
