"""RealtimeKit, the service by which Linux desktops let ordinary users' programs go first, asked over D-Bus."""

from __future__ import annotations

import sys

LONGEST_RUN = 0.1
"""Seconds that a process which was put into real time here may go on without waiting for anything; then it is sent
SIGXCPU, and is to leave real time. The kit grants nothing without such a bound of 0.2 s at most."""
_ANSWER_TIMEOUT = 5.0
"""Seconds; the bus may have to start the service first."""
_PATH, _NAME = "/org/freedesktop/RealtimeKit1", "org.freedesktop.RealtimeKit1"


class RealtimeKitError(Exception):
    """Why the kit has not granted what it was asked for."""


def ask_for_real_time(process: int, priority: int) -> None:
    """Have a process of this user, of one thread, run in real time (`SCHED_RR`) until it runs for `LONGEST_RUN`.

    Waits for the answer, which is nothing for an event loop. Raises `RealtimeKitError`.
    """
    if sys.platform == "linux":
        import resource

        microseconds = int(LONGEST_RUN * 1_000_000)
        try:
            # At the second bound the system ends the process.
            resource.prlimit(process, resource.RLIMIT_RTTIME, (microseconds, 2 * microseconds))
        except (OSError, ValueError) as error:
            raise RealtimeKitError(f"its time cannot be bounded: {error}") from error
    _ask("MakeThreadRealtimeWithPID", "ttu", (process, process, priority))


def ask_for_niceness(process: int, niceness: int) -> None:
    """Have a process of this user, of one thread, made less nice. Waits for the answer. Raises `RealtimeKitError`."""
    _ask("MakeThreadHighPriorityWithPID", "tti", (process, process, niceness))


def _ask(method: str, signature: str, arguments: tuple[int, ...]) -> None:
    try:
        from jeepney import DBusAddress, MessageType, new_method_call
        from jeepney.io.blocking import open_dbus_connection

        call = new_method_call(DBusAddress(_PATH, _NAME, _NAME), method, signature, arguments)
        with open_dbus_connection("SYSTEM") as connection:
            answer = connection.send_and_get_reply(call, timeout=_ANSWER_TIMEOUT)
    except Exception as error:
        # No library, no bus, nobody who answers: a server without a desktop.
        raise RealtimeKitError(f"{type(error).__name__}: {error}") from error
    if answer.header.message_type is MessageType.error:
        raise RealtimeKitError(str(next(iter(answer.body), "refused without a reason")))
