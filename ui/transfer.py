"""Import, export and backup of the whole configuration as the one JSON document."""

from __future__ import annotations

import contextlib
import json
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from PySide6.QtWidgets import (
    QCheckBox,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.errors import RecordErrors, UserFacingError
from app.records import TABLES, Change, Configuration, System
from app.records.document import read_document, write_document
from ui.dialogs import Dialog
from ui.face import parse_json
from ui.inquiry import SMALL, Errand
from ui.messages import choose_file, save_text
from ui.records.changes import differences
from ui.records.consequences import calls_in_progress, consequences
from ui.words import plural
from ui.workspace import Workspace

JSON_FILES = "JSON files (*.json)"
MOST_BYTES = 64 * 1024 * 1024
"""A larger file is refused: it is no configuration."""
_SMALL_FILE = 20_000
"""Bytes that are read and checked within some 20 ms."""
_MOST_ERRORS = 200


def document_text(configuration: Configuration, *, with_secrets: bool) -> str:
    """The configuration as the text of a JSON document."""
    return json.dumps(write_document(configuration, with_secrets=with_secrets), indent=2, ensure_ascii=False) + "\n"


def read_file(path: Path) -> Any:
    """The JSON value in a file, as the command line reads it. UserFacingError says what is wrong with it, and where."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            # Of a device or a pipe nobody knows where it ends.
            raise UserFacingError(f"{path.name or path} is not a file.")
        if about.st_size > MOST_BYTES:
            raise UserFacingError(f"{path.name} is too large to be a configuration.")
        data = path.read_bytes()
    except OSError as error:
        raise UserFacingError(f"{path.name} could not be read: {error.strerror or error}") from None
    return parse_json(data, path.name)


def summary(changes: list[Change]) -> str:
    """What changes would do, a line per table."""
    lines: list[str] = []
    for table, model in ((System.table, System), *TABLES.items()):
        mine = [change for change in changes if change.table == table]
        # A user with another number is another user, whatever the ids.
        same = [
            bool(change.before and change.after)
            and getattr(change.before, model.key) == getattr(change.after, model.key)
            for change in mine
        ]
        counts = (
            (sum(change.after is not None and not kept for change, kept in zip(mine, same, strict=True)), "added"),
            (sum(same), "changed"),
            (sum(change.before is not None and not kept for change, kept in zip(mine, same, strict=True)), "deleted"),
        )
        words = ", ".join(f"{count} {word}" for count, word in counts if count)
        if words:
            lines.append(f"{model.plural}: {words}")
    return "\n".join(lines)


class _Asked(NamedTuple):
    """What an import would be of."""

    file: str
    replace: bool
    configuration: Configuration
    """The one that it would change."""

    def is_large(self) -> bool:
        """Whether reading and checking it takes longer than calls and window may wait."""
        with contextlib.suppress(OSError, ValueError):
            if Path(self.file).stat().st_size > _SMALL_FILE:
                return True
        return sum(len(records) for records in self.configuration.tables.values()) > SMALL


def _outlook(asked: _Asked, calls: int) -> tuple[list[Change], str]:
    """What an import would change, and that in words; asked in a thread where it is much. RecordErrors and
    UserFacingError say what is wrong with the file."""
    before = asked.configuration
    after = read_document(read_file(Path(asked.file)), before, replace=asked.replace)
    changes = differences(before, after)
    words = summary(changes) or "The file holds nothing that is not here already."
    words += "\n\nThe import is one step: Edit / Undo takes it back." if changes else ""
    return changes, "\n\n".join([words, *consequences(changes, calls)])


class ImportDialog(Dialog):
    """`dialog.import`: a file, whether it takes the place of everything, and what it would do; nothing until OK.

    What was shown is what is imported, whatever becomes of the file meanwhile.
    """

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__("import", "Import a configuration", parent)
        self._workspace = workspace
        self._changes: list[Change] = []
        self._asked: _Asked | None = None
        """What the window wants to know of, or knows of, now."""
        self._reading = Errand(self)
        self._file = QLineEdit()
        self._file.setObjectName("file")
        self._file.setPlaceholderText("a JSON file that this program, or its command line, has written")
        self._file.textChanged.connect(lambda _: self._read())
        choose = QPushButton("&Choose...")
        choose.setObjectName("choose")
        choose.clicked.connect(
            lambda: choose_file(self, "Import", JSON_FILES, lambda path: self._file.setText(str(path)))
        )
        self._replace = QCheckBox("&Replace everything: records that are not in the file are deleted")
        self._replace.setObjectName("replace")
        self._replace.toggled.connect(lambda _: self._read())
        self._summary = QPlainTextEdit(readOnly=True)
        self._summary.setObjectName("summary")
        self._summary.setAccessibleName("What the import would do")
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self._buttons.setObjectName("buttons")
        self._buttons.button(QDialogButtonBox.StandardButton.Ok).setText("Import")
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        row = QHBoxLayout()
        label = QLabel("&File")
        label.setBuddy(self._file)
        row.addWidget(label)
        row.addWidget(self._file, 1)
        row.addWidget(choose)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self._replace)
        layout.addWidget(self._summary, 1)
        layout.addWidget(self._buttons)
        self.resize(640, 420)
        workspace.bridge.configuration_changed.connect(self._read_again)
        self._read()

    def _read(self) -> None:
        """Read the file and say what it would do; a large one is read in a thread, while calls and window go on."""
        self._show([], "Choose a file.")
        self._asked = _Asked(self._file.text().strip(), self._replace.isChecked(), self._workspace.configuration)
        if not self._asked.file:
            return
        self._summary.setPlainText("Reading the file ...")
        if self._reading.running:
            return  # what has changed meanwhile is asked for when the answer comes
        asked, calls = self._asked, calls_in_progress(self._workspace)

        def answered(answer: Callable[[], tuple[list[Change], str]]) -> None:
            if asked is self._asked:
                self._take(answer)
            else:
                self._read()

        self._reading.ask(lambda: _outlook(asked, calls), answered, large=asked.is_large())

    def _read_again(self) -> None:
        """Somebody else has changed the configuration: what the import would do is another thing now."""
        if self._asked is not None and self._asked.configuration is not self._workspace.configuration:
            self._read()

    def _take(self, answer: Callable[[], tuple[list[Change], str]]) -> None:
        try:
            self._show(*answer())
        except RecordErrors as errors:
            self._show([], self._mistakes(errors))
        except UserFacingError as error:
            self._show([], str(error))

    def _show(self, changes: list[Change], words: str) -> None:
        self._changes = changes
        self._summary.setPlainText(words)
        self._buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(bool(changes))

    def _mistakes(self, errors: RecordErrors) -> str:
        lines = [str(error) for error in errors.errors[:_MOST_ERRORS]]
        if len(errors.errors) > _MOST_ERRORS:
            lines.append(f"and {len(errors.errors) - _MOST_ERRORS} more")
        return f"Nothing can be imported, because of {plural(len(errors.errors), 'mistake')}:\n" + "\n".join(lines)

    def accept(self) -> None:
        """Take what was shown as one step of the history."""
        if not self._changes:
            return
        asked, self._asked = self._asked, None  # its own change is no reason to read the file again
        try:
            self._workspace.history.perform(f"Import {Path(self._file.text()).name}", self._changes)
        except UserFacingError as error:
            self._asked = asked
            self._summary.setPlainText(str(error))
            return
        self._workspace.notice(f"{plural(len(self._changes), 'record')} imported.")
        super().accept()


class ExportDialog(Dialog):
    """`dialog.export`: whether passwords are written, too; then the file."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__("export", "Export the configuration", parent)
        self._workspace = workspace
        self._secrets = QCheckBox("Write the &passwords, too, as they are")
        self._secrets.setObjectName("with_secrets")
        words = QLabel(
            "Writes every record into one JSON file that this program and its command line read back. Without the "
            "passwords an import leaves the passwords that are there as they are.",
            wordWrap=True,
        )
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.setObjectName("buttons")
        buttons.button(QDialogButtonBox.StandardButton.Ok).setText("Choose the file...")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(words)
        layout.addWidget(self._secrets)
        layout.addWidget(buttons)
        self.resize(480, 150)

    def accept(self) -> None:
        """Go on to the file."""
        super().accept()
        save_configuration(self.parentWidget() or self, self._workspace, with_secrets=self._secrets.isChecked())


def save_configuration(parent: QWidget, workspace: Workspace, *, with_secrets: bool) -> None:
    """Ask for a file and write the document into it."""
    configuration = workspace.configuration
    save_text(
        parent,
        "Export",
        JSON_FILES,
        "trunkline.json",
        lambda: document_text(configuration, with_secrets=with_secrets),
        workspace.notice,
        private=with_secrets,
    )


def save_backup(parent: QWidget, workspace: Workspace) -> None:
    """Ask for a file and write everything, passwords too, so that a new machine can begin with it."""
    configuration = workspace.configuration
    name = f"trunkline-backup-{time.strftime('%Y-%m-%d')}.json"
    text = "Back up everything, passwords too: keep the file safe"
    save_text(
        parent,
        text,
        JSON_FILES,
        name,
        lambda: document_text(configuration, with_secrets=True),
        workspace.notice,
        private=True,
    )
