"""What a change does that Undo does not take back, and the question before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PySide6.QtWidgets import QWidget

from app.events import CallState
from app.records import Change, System
from ui.messages import CANCEL, Choice, Role, ask
from ui.words import plural
from ui.workspace import Workspace

PLACE_FIELDS = ("sip_address", "sip_udp_port", "sip_tcp_port", "sip_tls_port")
"""The fields of the System record that say where the server listens."""


def consequences(changes: Iterable[Change], calls: int) -> list[str]:
    """What the changes destroy or cut off while so many calls are in progress, a sentence each; empty where Undo
    brings everything back."""
    sentences: list[str] = []
    for change in changes:
        before, after = change.before, change.after
        if not (isinstance(before, System) and isinstance(after, System)):
            continue
        if 0 < after.call_record_days < (before.call_record_days or float("inf")):
            days = plural(after.call_record_days, "day")
            sentences.append(f"Call records older than {days} are deleted. Undo does not bring them back.")
        if calls and any(getattr(before, name) != getattr(after, name) for name in PLACE_FIELDS):
            sentences.append(
                f"{plural(calls, 'call is', 'calls are')} in progress. The phones and carriers on them go on sending "
                "to the old address, so that they can neither hold nor end their calls in order."
            )
    return sentences


def calls_in_progress(workspace: Workspace) -> int:
    """How many calls there are now."""
    return sum(row.state is not CallState.ENDED for row in workspace.engine.calls())


def with_consent(parent: QWidget, workspace: Workspace, changes: Iterable[Change], go_on: Callable[[], object]) -> None:
    """Call `go_on`: at once, or when the user has agreed to what cannot be taken back."""
    sentences = consequences(changes, calls_in_progress(workspace))
    if not sentences:
        go_on()
        return
    agree = Choice("Change it all the same", Role.AcceptRole, "agree", lambda: (go_on(), None)[1])
    ask(parent, "dialog.consequences", "This cannot be taken back", "\n\n".join(sentences), (agree, CANCEL))
