"""The scheduling priority of media processes, as far as the system lets us set it."""

from __future__ import annotations

import contextlib
import os
import sys


def prioritise(process: int, niceness: int) -> None:
    """Give a process this priority as nice(1) counts it; where that is not allowed all stays as it is.

    On Linux below 0 only for root, with CAP_SYS_NICE or a limit that allows it (LimitNICE= of systemd). Windows has
    classes in its place, and everybody may have the next one above or below the usual.
    """
    if sys.platform == "win32":
        _set_class(process, niceness)
    else:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process, niceness)


if sys.platform == "win32":
    import ctypes

    _SET_INFORMATION = 0x0200
    _ABOVE_NORMAL, _BELOW_NORMAL = 0x8000, 0x4000

    def _set_class(process: int, niceness: int) -> None:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = ctypes.c_void_p
        kernel.SetPriorityClass.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        kernel.CloseHandle.argtypes = (ctypes.c_void_p,)
        handle = kernel.OpenProcess(_SET_INFORMATION, False, process)
        if handle:
            kernel.SetPriorityClass(handle, _ABOVE_NORMAL if niceness < 0 else _BELOW_NORMAL)
            kernel.CloseHandle(handle)
