"""Keeps the computer from falling asleep by itself while calls are up, where the system offers a way to do so."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import QObject

from app.events import CallRow, CallState

if TYPE_CHECKING:
    from ui.bridge import Bridge
    from ui.face import Engine

PROGRAM, REASON = "Trunkline", "Calls are in progress"
_CONTINUOUS, _SYSTEM_REQUIRED = 0x80000000, 0x00000001


class Inhibitor(Protocol):
    """A way to keep the computer awake."""

    def hold(self) -> None:
        """From now on."""

    def release(self) -> None:
        """No longer."""


class LogindInhibitor:
    """Asks logind by D-Bus for an inhibitor lock: a file descriptor, which is held as long as it is open."""

    def __init__(self, connect: Callable[[], Any] | None = None) -> None:
        """`connect` gives the bus; the system's is connected to when it is needed first."""
        self._connect = connect
        self._wanted = False
        self._watcher: Any = None
        """The question that is not answered yet."""
        self._lock: int | None = None

    def hold(self) -> None:
        """Ask for the lock, without waiting for the answer; a refusal is no harm."""
        self._wanted = True
        if self._lock is not None or self._watcher is not None:
            return
        try:
            from PySide6 import QtDBus
        except ImportError:
            return
        bus = self._connect() if self._connect is not None else QtDBus.QDBusConnection.systemBus()
        if not bus.isConnected():
            return
        manager = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
        message = QtDBus.QDBusMessage.createMethodCall(*manager, "Inhibit")
        message.setArguments(["sleep:idle", PROGRAM, REASON, "block"])
        call = bus.asyncCall(message)
        self._watcher = QtDBus.QDBusPendingCallWatcher(call)
        self._watcher.finished.connect(lambda _: self._take(call.reply().arguments()))

    def _take(self, arguments: Sequence[Any]) -> None:
        self._watcher = None
        # Of another type, or with a refusal, there is none: then the system does as it likes.
        descriptor = arguments[0] if arguments else None
        if hasattr(descriptor, "takeFileDescriptor") and descriptor.isValid():
            self._lock = descriptor.takeFileDescriptor()
        if not self._wanted:
            self.release()

    def release(self) -> None:
        """Close the lock; one that is still asked for is closed as it comes."""
        self._wanted = False
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


class WindowsInhibitor:
    """Tells Windows that the program needs the computer, of the thread that calls it."""

    def __init__(self, set_state: Callable[[int], object]) -> None:
        self._set_state = set_state

    def hold(self) -> None:
        """The screen may go dark, the computer goes on."""
        self._set_state(_CONTINUOUS | _SYSTEM_REQUIRED)

    def release(self) -> None:
        """As the user has set it."""
        self._set_state(_CONTINUOUS)


class NoInhibitor:
    """Where there is no way."""

    def hold(self) -> None:
        """Nothing can be done."""

    def release(self) -> None:
        """Nothing was done."""


def system_inhibitor() -> Inhibitor:
    """The way of this system."""
    if sys.platform == "win32":
        import ctypes

        return WindowsInhibitor(ctypes.windll.kernel32.SetThreadExecutionState)
    return LogindInhibitor() if sys.platform == "linux" else NoInhibitor()


class KeepAwake(QObject):
    """Holds the inhibitor from the first call on until the last has ended."""

    def __init__(self, bridge: Bridge, engine: Engine, inhibitor: Inhibitor, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self._inhibitor = inhibitor
        self._calls: set[str] = set()
        self._held = False
        bridge.calls_changed.connect(self._take)
        bridge.engine_changed.connect(self._count_again)

    def _take(self, rows: Sequence[CallRow]) -> None:
        for row in rows:
            if row.state is CallState.ENDED:
                self._calls.discard(row.id)
            else:
                self._calls.add(row.id)
        self._hold_or_release()

    def _count_again(self, _event: object) -> None:
        """A server that was stopped has no calls any more."""
        self._calls = {row.id for row in self._engine.calls()}
        self._hold_or_release()

    def _hold_or_release(self) -> None:
        if bool(self._calls) is self._held:
            return
        self._held = bool(self._calls)
        if self._held:
            self._inhibitor.hold()
        else:
            self._inhibitor.release()

    def stop(self) -> None:
        """The program ends."""
        self._inhibitor.release()
