"""How media processes go before other programs on the same processors, as far as the system lets us."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from app.media.realtime_kit import RealtimeKitError, ask_for_niceness, ask_for_real_time

_log = logging.getLogger(__name__)

NICENESS = -10
"""What is asked for on Linux where real time is refused or would leave no processor for anything else."""


def put_first(process: int, of: int = 1) -> None:
    """Let a process go before other programs; `of` is how many such processes there are. Where it is refused all stays.

    On Linux it is run in real time (`SCHED_RR`): for root, with CAP_SYS_NICE, with a limit that allows it
    (LimitRTPRIO= of systemd, rtprio of limits.conf), or else by RealtimeKit, which is asked in a thread; and only if
    one processor at least stays free of such processes, so that a flood of packets never keeps the server itself from
    running. Otherwise it is made nicer to none: NICENESS. Windows has classes of priority in its place, and everybody
    may have the high one.
    """
    if sys.platform == "win32":
        _set_class(process, _HIGH_PRIORITY_CLASS)
    else:
        real_time = len(os.sched_getaffinity(0)) > of
        if real_time and _is_real_time(process):
            return
        if real_time and _schedule(process, os.SCHED_RR, _lowest_priority()):
            _log.info("media process %d runs in real time", process)
            return
        if not _renice(process, NICENESS) or real_time:
            threading.Thread(target=_ask_kit, args=(process, real_time), name="realtime-kit", daemon=True).start()


def put_back(process: int) -> None:
    """Let a process that was put first wait its turn again, as this program does."""
    if sys.platform == "win32":
        _set_class(process, _NORMAL_PRIORITY_CLASS)
    else:
        _schedule(process, os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)
        _renice(process, os.getpriority(os.PRIO_PROCESS, 0))


def yield_when_told() -> None:
    """For a process that may be put first: leave real time when the system says that it runs for too long.

    Without this the system would end it then (SIGXCPU, see `realtime_kit.LONGEST_RUN`).
    """
    if sys.platform != "win32":
        signal.signal(signal.SIGXCPU, lambda _signal, _frame: _schedule(0, os.SCHED_OTHER, 0))


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
    _RESET_ON_FORK = getattr(os, "SCHED_RESET_ON_FORK", 0)
    """A flag of the policy: what the process starts does not inherit it."""

    def _lowest_priority() -> int:
        """Of real time: it is above all that does not ask for one."""
        return os.sched_get_priority_min(os.SCHED_RR)

    def _is_real_time(process: int) -> bool:
        try:
            return os.sched_getscheduler(process) & ~_RESET_ON_FORK == os.SCHED_RR
        except OSError:
            return False

    def _schedule(process: int, policy: int, priority: int) -> bool:
        try:
            # RealtimeKit sets the flag, and taking it away needs a privilege.
            kept = os.sched_getscheduler(process) & _RESET_ON_FORK
            os.sched_setscheduler(process, policy | kept, os.sched_param(priority))
        except OSError:
            return False
        return True

    def _renice(process: int, niceness: int) -> bool:
        try:
            os.setpriority(os.PRIO_PROCESS, process, niceness)
        except OSError:
            return False
        return True

    def _ask_kit(process: int, real_time: bool) -> None:
        try:
            if real_time:
                ask_for_real_time(process, _lowest_priority())
                _log.info("media process %d runs in real time, by RealtimeKit", process)
                return
        except RealtimeKitError as error:
            _log.debug("no real time for media process %d: %s", process, error)
        try:
            if os.getpriority(os.PRIO_PROCESS, process) > NICENESS:
                ask_for_niceness(process, NICENESS)
                _log.info("media process %d goes before other programs, by RealtimeKit", process)
        except (RealtimeKitError, OSError) as error:
            _log.debug("media process %d waits its turn as other programs do: %s", process, error)
