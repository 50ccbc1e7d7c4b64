"""The error tree: whose mistake it is, what the peer is answered and what a person may read."""

from __future__ import annotations

from dataclasses import dataclass


class TrunklineError(Exception):
    """Root of every error that this program raises on purpose."""


class UserFacingError(TrunklineError):
    """An error whose text is written for the person at the window or the command line."""


class LocalError(TrunklineError):
    """A mistake in this program; it is logged with its traceback and never shown as the user's fault."""


class RemoteError(TrunklineError):
    """A peer's mistake. It carries the SIP answer.

    `status` is the response code, `reason` its phrase, `detail` one sentence for the log and the Warning header.
    """

    def __init__(self, status: int, reason: str, detail: str = "") -> None:
        super().__init__(f"{status} {reason}" + (f": {detail}" if detail else ""))
        self.status = status
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class RecordError:
    """One mistake in the configuration, at the place where it was made."""

    path: str
    """Where: `sip_trunks[0].server_port` in a document, `server_port` in a form."""
    message: str
    """What is wrong, in words, without the path: `must be 1 to 65535`."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class RecordErrors(UserFacingError):
    """Every mistake found in a record or a document, none left out."""

    def __init__(self, errors: tuple[RecordError, ...]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors
