"""Questions, messages and file dialogs that never stop the event loop: opened, and calling back when closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from ui.dialogs import Leaving

Role = QMessageBox.ButtonRole


class Question(Leaving, QMessageBox):
    """A question or a message."""


class FileDialog(Leaving, QFileDialog):
    """The choice of a file."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A button of a question."""

    text: str
    role: Role
    name: str
    """Its object name."""
    callback: Callable[[], None] | None = None


CANCEL = Choice("Cancel", Role.RejectRole, "cancel")
CLOSE = Choice("Close", Role.RejectRole, "close")


MOST_LINES = 20
"""So many lines fit under a question on any screen."""
MOST_DETAILS = 100_000
"""Characters behind the button."""


def ask(parent: QWidget, name: str, title: str, text: str, choices: Sequence[Choice], *, more: str = "") -> QMessageBox:
    """Open a question. `more` stands below in smaller words, what is too much of it behind a button."""
    box = Question(parent)
    box.setObjectName(name)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle(title)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(text)
    lines = more.splitlines()
    if len(lines) > MOST_LINES:
        box.setDetailedText(more[:MOST_DETAILS])
        more = "\n".join([*lines[:MOST_LINES], f"and {len(lines) - MOST_LINES} more"])
    box.setInformativeText(more)
    box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    for choice in choices:
        button = box.addButton(choice.text, choice.role)
        button.setObjectName(choice.name)
        if choice.callback is not None:
            button.clicked.connect(choice.callback)
        if choice.role is Role.AcceptRole:
            box.setDefaultButton(button)
        if choice.role is Role.RejectRole:
            box.setEscapeButton(button)
    box.open()
    return box


def tell(parent: QWidget, title: str, text: str, *, more: str = "") -> QMessageBox:
    """Open a message with a Close button."""
    return ask(parent, "dialog.message", title, text, (CLOSE,), more=more)


def choose_file(
    parent: QWidget, caption: str, filters: str, done: Callable[[Path], None], *, save_as: str = ""
) -> QFileDialog:
    """Open a file dialog, for saving when a name is proposed; `done` is called when a file was chosen."""
    dialog = FileDialog(parent, caption)
    dialog.setObjectName("dialog.file")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.setNameFilter(filters)
    if save_as:
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(Path(save_as).suffix.lstrip("."))
        dialog.selectFile(save_as)
    else:
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.fileSelected.connect(lambda path: done(Path(path)))
    dialog.open()
    return dialog


def save_file(
    parent: QWidget, caption: str, filters: str, name: str, write: Callable[[Path], None], notice: Callable[[str], None]
) -> QFileDialog:
    """Ask for a file and have it written (or OSError): `notice` is told where it is, a message why it is not."""

    def save(path: Path) -> None:
        try:
            write(path)
        except OSError as error:
            tell(parent, "Not saved", f"{path.name} could not be written: {error.strerror or error}.", more=str(path))
        else:
            notice(f"Written to {path}.")

    return choose_file(parent, caption, filters, save, save_as=name)


def save_text(
    parent: QWidget,
    caption: str,
    filters: str,
    name: str,
    make: Callable[[], str],
    notice: Callable[[str], None],
    *,
    private: bool = False,
) -> QFileDialog:
    """Ask for a file and write a text into it, for its owner alone when `private`; says what became of it."""

    def write(path: Path) -> None:
        part = path.with_name(f"{path.name}.part")
        try:
            # Beside the old file and then in its place, so that a full disk does not cost the old one.
            part.touch(mode=0o600 if private else 0o666)
            part.write_text(make(), encoding="utf-8", newline="")
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    return save_file(parent, caption, filters, name, write, notice)
