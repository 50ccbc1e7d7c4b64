"""The SIP messages of one call in their order, and the text of each."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, Qt, QTimer
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from app.events import MessageTraced
from ui.dialogs import Dialog
from ui.tables.cells import Cell, Column, address_cell, text_cell, time_cell
from ui.tables.row_model import RowModel
from ui.tables.table_view import RowTableView
from ui.theme import Tone
from ui.workspace import Workspace

REFRESH = 1000
"""Milliseconds between two looks at a call that still goes on."""

Numbered = tuple[int, MessageTraced]


def first_line(text: str) -> str:
    """What a message is: `INVITE sip:100@192.0.2.1`, `SIP/2.0 180 Ringing` as `180 Ringing`."""
    return text.split("\r\n", 1)[0].split("\n", 1)[0].removeprefix("SIP/2.0 ")


def _tone(message: MessageTraced) -> Tone:
    line = first_line(message.text)
    status = line[:3]
    if status.isdigit():
        return Tone.BAD if status >= "400" else Tone.GOOD if status >= "200" else Tone.MUTED
    return Tone.PLAIN


def message_columns(start: float) -> list[Column[Numbered]]:
    """The columns of a ladder that begins at a wall time."""

    def step(row: Numbered) -> Cell:
        message = row[1]
        return text_cell(("\u2192 " if message.outgoing else "\u2190 ") + first_line(message.text), _tone(message))

    return [
        Column("after", "After", lambda row: Cell(f"{row[1].at - start:.3f} s", row[1].at), right=True),
        Column("at", "Time", lambda row: time_cell(row[1].at), shown=False),
        Column("local", "Here", lambda row: address_cell(row[1].local), shown=False),
        Column("remote", "Peer", lambda row: address_cell(row[1].remote)),
        Column("message", "Message", step, "\u2192 sent, \u2190 received"),
    ]


class LadderDialog(Dialog):
    """`dialog.ladder`: a list of messages above, the chosen one below."""

    def __init__(self, workspace: Workspace, call_id: str, parent: QWidget | None = None) -> None:
        super().__init__("ladder", "SIP messages of a call", parent)
        self._workspace = workspace
        self._call_id = call_id
        messages = workspace.engine.ladder(call_id)
        start = messages[0].at if messages else 0.0
        self.model: RowModel[Numbered] = RowModel(message_columns(start), lambda row: row[0])
        self.view = RowTableView(self.model, workspace.theme, workspace.settings, "ladder")
        self.view.setSortingEnabled(False)
        self.view.setAccessibleName("SIP messages")
        self.view.empty_hint.set_text("No message of this call is kept any more.")
        self.text = QPlainTextEdit(readOnly=True, lineWrapMode=QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setObjectName("text")
        self.text.setAccessibleName("The chosen message")
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.setObjectName("buttons")
        buttons.rejected.connect(self.reject)
        copy = QPushButton("Copy all")
        copy.setObjectName("copy")
        copy.clicked.connect(self.copy_all)
        buttons.addButton(copy, QDialogButtonBox.ButtonRole.ActionRole)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.addWidget(self.view)
        splitter.addWidget(self.text)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel("\u2192 sent by this server, \u2190 received. Times count from the first message."))
        layout.addWidget(splitter, 1)
        layout.addWidget(buttons)
        self.resize(820, 620)
        self.view.selectionModel().currentRowChanged.connect(self._show)
        self._timer = QTimer(self, interval=REFRESH)
        self._timer.timeout.connect(self.refresh)
        self._timer.start()
        self.refresh()
        if messages:
            self.view.selectRow(0)

    def refresh(self) -> None:
        """Add what has come since."""
        messages = self._workspace.engine.ladder(self._call_id)
        known = self.model.total
        self.model.upsert(list(enumerate(messages))[known:])

    def _show(self, index: QModelIndex) -> None:
        row = self.model.row(self.model.key_at(index.row())) if index.isValid() else None
        self.text.setPlainText(row[1].text.replace("\r\n", "\n") if row else "")

    def copy_all(self) -> None:
        """Put every message on the clipboard."""
        parts = [
            f"{message.at:.6f} {message.local} {'->' if message.outgoing else '<-'} {message.remote}\n{message.text}"
            for _, message in self.model.rows()
        ]
        QGuiApplication.clipboard().setText("\n\n".join(part.replace("\r\n", "\n") for part in parts))
