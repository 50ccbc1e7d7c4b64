"""Undo and redo of the configuration: every change goes through here, each as one step with words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack

from app.errors import UserFacingError
from app.records import Change, Configuration
from app.records.document import check_record
from ui.records.merging import merge

if TYPE_CHECKING:
    from ui.face import Engine


class History(QObject):
    """Applies changes to the engine and keeps how to take them back."""

    failed = Signal(str)
    """A change could not be taken back, done again or saved: why, in words."""
    changed = Signal()
    """A change took effect."""

    def __init__(self, engine: Engine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        self.stack = QUndoStack(self)
        self.stack.setUndoLimit(500)

    def perform(self, text: str, changes: Sequence[Change]) -> None:
        """Apply changes as one step. UserFacingError (RecordErrors for fields) when they do not fit."""
        if not changes:
            return
        self.apply(changes)
        self.stack.push(_Step(self, text, tuple(changes)))

    def apply(self, changes: Sequence[Change]) -> None:
        """Give changes to the engine; trouble with saving is told later. UserFacingError when it cannot save at all."""
        if not self._engine.can_save:
            raise UserFacingError("Nothing can be saved while the server is not running.")
        self._engine.apply(changes, self._saved)
        self.changed.emit()

    def take(self, step: _Step, changes: Sequence[Change]) -> None:
        """Undo or redo a step. A step that no longer fits is told and forgotten."""
        try:
            self.apply([rebase(change, self._engine.configuration) for change in changes])
        except UserFacingError as error:
            step.setObsolete(True)
            self.failed.emit(f"{step.text()} could not be taken back or repeated: {error}")

    def _saved(self, error: Exception | None) -> None:
        if error is not None:
            self.failed.emit(f"The change was taken back, it could not be saved: {error}")


class _Step(QUndoCommand):
    """One step of the history. It was applied before it was pushed."""

    def __init__(self, history: History, text: str, changes: tuple[Change, ...]) -> None:
        super().__init__(text)
        self._history = history
        self._changes = changes
        self._applied = True

    def redo(self) -> None:
        """Do it again; the first time it is done already."""
        if self._applied:
            return
        self._applied = True
        self._history.take(self, self._changes)

    def undo(self) -> None:
        """Take it back."""
        self._applied = False
        self._history.take(self, [change.inverse for change in reversed(self._changes)])


def rebase(change: Change, configuration: Configuration) -> Change:
    """The change as it applies to a configuration in which somebody else has meanwhile changed other fields.

    RecordErrors where the fields of both do not go together.
    """
    if change.before is None or change.after is None:
        return change
    current = configuration.find(change.table, change.before.id)
    if current is None or current == change.before:
        return change
    merged, _ = merge(change.before, change.after, current)
    return Change(change.table, current, check_record(type(merged), dict(merged)))
