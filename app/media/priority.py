"""How media processes go before other programs on the same processors, as far as the system lets us."""

from __future__ import annotations

import contextlib
import os
import sys

NICENESS = -10
"""What is asked for on Linux where real time is refused or would leave no processor for anything else."""


def put_first(process: int, of: int = 1) -> None:
    """Let a process go before other programs; `of` is how many such processes there are. Where it is refused all stays.

    On Linux it is run in real time (`SCHED_RR`): for root, with CAP_SYS_NICE, or with a limit that allows it
    (LimitRTPRIO= of systemd, rtprio of limits.conf), and only if one processor at least stays free of such processes,
    so that a flood of packets never keeps the server itself from running. Otherwise it is made nicer to none: NICENESS.
    Windows has classes of priority in its place, and everybody may have the high one.
    """
    if sys.platform == "win32":
        _set_class(process, _HIGH_PRIORITY_CLASS)
    else:
        # The lowest priority of real time is above all that does not ask for one.
        lowest = os.sched_get_priority_min(os.SCHED_RR)
        if len(os.sched_getaffinity(0)) <= of or not _schedule(process, os.SCHED_RR, lowest):
            _renice(process, NICENESS)


def put_back(process: int) -> None:
    """Let a process that was put first wait its turn again, as this program does."""
    if sys.platform == "win32":
        _set_class(process, _NORMAL_PRIORITY_CLASS)
    else:
        _schedule(process, os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)
        _renice(process, os.getpriority(os.PRIO_PROCESS, 0))


if sys.platform == "win32":
    import ctypes

    _SET_INFORMATION = 0x0200
    _HIGH_PRIORITY_CLASS, _NORMAL_PRIORITY_CLASS = 0x0080, 0x0020

    def _set_class(process: int, priority_class: int) -> None:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = ctypes.c_void_p
        kernel.SetPriorityClass.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        kernel.CloseHandle.argtypes = (ctypes.c_void_p,)
        handle = kernel.OpenProcess(_SET_INFORMATION, False, process)
        if handle:
            kernel.SetPriorityClass(handle, priority_class)
            kernel.CloseHandle(handle)

else:

    def _schedule(process: int, policy: int, priority: int) -> bool:
        try:
            os.sched_setscheduler(process, policy, os.sched_param(priority))
        except OSError:
            return False
        return True

    def _renice(process: int, niceness: int) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process, niceness)
