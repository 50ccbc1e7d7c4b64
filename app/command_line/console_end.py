"""The end of a Windows console: its window is closed, its user logs off, the machine shuts down."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

# CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT.
_ENDS = (2, 5, 6)
# Windows itself waits 5 s after a close, at most 20 s at a shutdown.
_MOST_SECONDS = 25.0


_watching: list[object] = []
"""What the system calls, kept for as long as the process lives, because it may call at any time."""


class ConsoleEnd:
    """Keeps Windows waiting, while the console ends, until the program has ended in order.

    Python makes a SIGBREAK of this, but Windows ends the program as soon as that is noted, with every call still up.
    It tells of a log-off and a shutdown only programs that have not loaded user32.dll, which OpenSSL's library does.
    Other systems send signals that wait for nobody; there this does nothing.
    """

    def __init__(self) -> None:
        self._ended = threading.Event()

    def watch(self, ask: Callable[[], None]) -> None:
        """From now on `ask`, in a thread of the system's, asks the program to end when the console does."""
        if sys.platform == "win32":
            import ctypes

            handler = ctypes.WINFUNCTYPE(ctypes.c_int, ctypes.c_ulong)(lambda event: self.told(event, ask))
            _watching.append(handler)
            ctypes.windll.kernel32.SetConsoleCtrlHandler(handler, 1)

    def told(self, event: int, ask: Callable[[], None]) -> bool:
        """What the system is answered: True once the program has ended; False at once for Ctrl+C and Ctrl+Break."""
        if event not in _ENDS:
            return False
        ask()
        self._ended.wait(_MOST_SECONDS)
        return True

    def program_ended(self) -> None:
        """The program has ended in order: whoever waits in `told` goes on."""
        self._ended.set()
