"""`serve`: runs the server on a plain event loop until a signal ends it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shlex
import signal
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from app.command_line.console_end import ConsoleEnd
from app.command_line.output import say, show
from app.engine import Engine
from app.errors import RecordError, RecordErrors, UserFacingError
from app.events import EngineChanged, EngineState
from app.logging_setup import set_up_logging
from app.records.types import check_ip_address

_log = logging.getLogger(__name__)

# Whoever waits longer than this for the last calls to end waits for a fault.
_STOP_SECONDS = 30.0


def run(options: Namespace) -> int:
    """Serve until SIGTERM, SIGINT, Ctrl+C or the end of a Windows console: 0; 1 with words when it cannot start."""
    set_up_logging(options.log_level)
    sip = read_sip_address(options.sip) if options.sip else None
    if options.start_fresh:
        keep_damaged_database_aside(options.data)
    console = ConsoleEnd()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            code = runner.run(_serve(options.data, sip, console))
        except UserFacingError as error:
            say(str(error) + _advice(error, options))
            return 1
    for number in stop_signals():
        # Who asks once more while Python itself ends must not turn the end in order into a death.
        signal.signal(number, signal.SIG_IGN)
    console.program_ended()
    return code


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed; otherwise, and on Windows, asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def read_sip_address(text: str) -> tuple[str, int]:
    """`192.0.2.1:5060` or `[2001:db8::1]:5060`; RecordErrors in words when it is not."""
    host, separator, port = text.strip().rpartition(":")
    try:
        if not separator or not host or (":" in host and not host.startswith("[")):
            raise ValueError("must look like 192.0.2.1:5060 or [2001:db8::1]:5060")
        address = check_ip_address(host)
        if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
            raise ValueError(f"the port '{port}' must be 1 to 65535")
    except ValueError as error:
        raise RecordErrors((RecordError("--sip", str(error)),)) from None
    return address, int(port)


async def _serve(data: Path, sip: tuple[str, int] | None, console: ConsoleEnd) -> int:
    stop = asyncio.Event()
    _on_signals(stop, console)
    engine = Engine(data, sip=sip)
    try:
        await _start(engine, stop)
        if not stop.is_set():
            show(json.dumps({"event": "ready", "sip": list(engine.listeners), "data": str(data)}))
            sys.stdout.flush()
        await stop.wait()
    finally:
        await asyncio.wait_for(engine.stop(), _STOP_SECONDS)
    _log.info("stopped")
    return 0


async def _start(engine: Engine, stop: asyncio.Event) -> None:
    """Start the server; where this machine lacks its address, as before the network is up, when that has come."""
    turn = asyncio.Event()
    engine.events.subscribe(EngineChanged, lambda _: turn.set())
    try:
        await engine.start(mendable=True)
    except UserFacingError as error:
        if not engine.waits_for_address:
            raise
        say(f"{error} Waiting for it; Ctrl+C ends the server.")
    stopping = asyncio.ensure_future(stop.wait())
    while engine.state is not EngineState.RUNNING and not stop.is_set():
        turn.clear()
        turning = asyncio.ensure_future(turn.wait())
        await asyncio.wait((turning, stopping), return_when=asyncio.FIRST_COMPLETED)
        turning.cancel()
        if engine.state is EngineState.FAILED and not engine.waits_for_address:
            stopping.cancel()
            raise UserFacingError(engine.trouble)
    stopping.cancel()


def stop_signals() -> tuple[signal.Signals, ...]:
    """The signals that ask a program to end; the one of a terminal that is closed not where nohup has it ignored."""
    if sys.platform == "win32":
        return signal.SIGTERM, signal.SIGINT, signal.SIGBREAK
    asked = signal.SIGTERM, signal.SIGINT
    return asked if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*asked, signal.SIGHUP)


def _on_signals(stop: asyncio.Event, console: ConsoleEnd) -> None:
    """Have the signals that ask a program to end, and the end of the console, set the event."""
    loop = asyncio.get_running_loop()

    def ask(*_: object) -> None:
        # It runs in the main thread, or in one of the system's, but not in the loop, which may have ended meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    for number in stop_signals():
        # Not add_signal_handler: a closing loop would leave the signal deadly.
        signal.signal(number, ask)
    console.watch(ask)


def keep_damaged_database_aside(data: Path) -> None:
    """Rename a database that cannot be used for what is in it, so that the server begins a new one."""
    from app.storage import Database, StorageDamaged

    try:
        with contextlib.closing(Database.open(data)) as database:
            database.load()
    except StorageDamaged as error:
        kept = Database.set_aside(data)
        say(f"{error}. It is kept as {kept}; a new one begins.")


def _advice(error: UserFacingError, options: Namespace) -> str:
    from app.sip.transport.listening import ListenError
    from app.storage import Database, StorageDamaged

    if isinstance(error, ListenError):
        port = f"sip_{error.address.transport}_port"
        return f'\nWithout a window: serve --sip ADDRESS:PORT, or import {{"system": {{"{port}": PORT}}}}'
    if not isinstance(error, StorageDamaged) or not Database.is_file():
        return ""
    folder = shlex.quote(str(options.data))
    return (
        f"\nTo keep it aside under another name and begin a new one: python -m app serve --data {folder} --start-fresh"
    )
