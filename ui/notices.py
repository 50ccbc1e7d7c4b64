"""What the window says in passing: a line with at most one button that goes away, and a banner that stays."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from ui.plain_text import PlainLabel
from ui.theme import Theme, Tone
from ui.workspace import UNDO

SECONDS = 8


class NoticeBar(QFrame):
    """`notice`: the newest word in passing, with an Undo button where it can be undone."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self.setProperty("role", "card")
        self._callback: Callable[[], None] | None = None
        self._text = PlainLabel(wordWrap=True)
        self._text.setObjectName("notice.text")
        self._button = QPushButton()
        self._button.setObjectName("notice.button")
        self._button.clicked.connect(self._act)
        close = QToolButton(text="\u00d7", autoRaise=True)
        close.setObjectName("notice.close")
        close.setAccessibleName("Close this notice")
        close.clicked.connect(self.hide)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 5, 6, 5)
        layout.addWidget(self._text, 1)
        layout.addWidget(self._button)
        layout.addWidget(close)
        self._timer = QTimer(self, singleShot=True, interval=SECONDS * 1000)
        self._timer.timeout.connect(self.hide)
        self.hide()

    def tell(self, text: str, button: str = "", callback: Callable[[], None] | None = None) -> None:
        """Show a text for a while."""
        self._text.setText(text)
        self._callback = callback
        self._button.setText(button)
        self._button.setVisible(bool(button))
        self.show()
        self._timer.start()

    def end_undo(self, _index: int = 0) -> None:
        """Something else was done since, or taken back: the button would take back another thing than is told."""
        if self._button.text() == UNDO:
            self.hide()

    def _act(self) -> None:
        self.hide()
        if self._callback is not None:
            self._callback()


class Banner(QFrame):
    """`banner`: what keeps the server from working; stays until that is over."""

    retried = Signal()
    """The user wants to try again."""
    fresh_wanted = Signal()
    """The user wants to begin with a new database in place of a damaged one."""
    system_wanted = Signal()
    """The user wants to change where the server listens."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self.setProperty("role", "banner")
        self._text = PlainLabel(wordWrap=True, textInteractionFlags=Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setObjectName("banner.text")
        self._retry = QPushButton("Try again")
        self._retry.setObjectName("banner.retry")
        self._retry.clicked.connect(self.retried)
        self._fresh = QPushButton("Begin with a new database...")
        self._fresh.setObjectName("banner.fresh")
        self._fresh.clicked.connect(self.fresh_wanted)
        self._system = QPushButton("Change the address or port...")
        self._system.setObjectName("banner.system")
        self._system.clicked.connect(self.system_wanted)
        self._mark = QLabel()
        self._theme = theme
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.setSpacing(10)
        layout.addWidget(self._mark, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._text, 1)
        layout.addWidget(self._fresh)
        layout.addWidget(self._system)
        layout.addWidget(self._retry)
        theme.changed.connect(self._colour)
        self._colour()
        self.hide()

    def _colour(self) -> None:
        self._mark.setPixmap(self._theme.icon("warning", Tone.WARNING).pixmap(20, 20))

    def tell(self, text: str, *, can_retry: bool, damaged: bool = False, can_change: bool = False) -> None:
        """Show a text, or nothing when it is blank; `damaged` is of a database, `can_change` of the System record."""
        self._text.setText(text)
        self._system.setVisible(can_change)
        self._fresh.setVisible(damaged)
        self._retry.setVisible(can_retry)
        self.setVisible(bool(text))
