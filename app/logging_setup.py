"""How the log looks: one line per entry on standard error, times in UTC, nothing in it that could forge a line."""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_CONTROL[10] = "\\n"
_CONTROL[13] = "\\r"
_CONTROL[9] = " "


class LineFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.250Z WARNING app.calls.trunks: SIP trunk 1 is down`; a traceback follows, indented.

    Messages hold texts from the network: line breaks and terminal codes in them are written as `\\n`, `\\x1b`.
    """

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        """One entry as text."""
        time_text = self.formatTime(record)
        message = record.getMessage().translate(_CONTROL)
        line = f"{time_text} {record.levelname} {record.name}: {message}"
        if record.exc_info:
            line += "".join("\n  " + each for each in self.formatException(record.exc_info).splitlines())
        return line


def set_up_logging(level: str = "info", stream: TextIO | None = None) -> None:
    """Send the log of the whole program to a stream (standard error) from a level on."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # They tell of their own work at `info`.
    for name in ("alembic", "sqlalchemy", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
