"""Starts the window: `python -m ui [--data DIR] [--sip ADDRESS:PORT]`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from app.errors import UserFacingError
from ui.settings import default_data_folder, default_path, log_folder


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the window; the same as those of `python -m app serve`."""
    parser = argparse.ArgumentParser(prog="trunkline", description="A SIP server with a window.")
    parser.add_argument(
        "--data",
        type=Path,
        default=default_data_folder(),
        metavar="DIR",
        help="the folder with the configuration and the call records (default: %(default)s)",
    )
    parser.add_argument(
        "--sip", metavar="ADDRESS:PORT", help="listen here for UDP and TCP, whatever the System record says"
    )
    parser.add_argument("--settings", type=Path, default=default_path(), metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the window and run the server until it is closed; a second start raises the first window."""
    options = read_arguments(arguments)
    # Imported here: --help needs no Qt.
    import qasync
    from PySide6.QtWidgets import QApplication

    from ui.face import keep_log_file, read_sip_address, set_up_logging
    from ui.program import Program
    from ui.single_instance import SingleInstance

    set_up_logging(options.log_level)
    try:
        sip = read_sip_address(options.sip) if options.sip else None
    except UserFacingError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    application = QApplication(sys.argv[:1])
    application.setApplicationName("Trunkline")
    application.setDesktopFileName("trunkline")
    # The window ends the program when the server has stopped, not Qt when a window is closed.
    application.setQuitOnLastWindowClosed(False)
    instance = SingleInstance(options.data)
    if not instance.claim():
        logging.getLogger(__name__).info("Trunkline is open already; its window was raised")
        return 0

    async def run() -> None:
        program = Program(application, options.data, options.settings, sip)
        program.end_on_signals()
        await program.run(instance)

    with contextlib.ExitStack() as end:
        try:
            end.callback(keep_log_file(log_folder(options.data)))
        except OSError as error:
            logging.getLogger(__name__).warning("there is no log file: %s", error)
        end.callback(instance.release)
        with asyncio.Runner(loop_factory=lambda: qasync.QEventLoop(application)) as runner:
            runner.run(run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
