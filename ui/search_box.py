"""The search of the toolbar: words in, a list of pages and records below, one of them opened."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QModelIndex, QRect, Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence, QShortcut, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QCompleter, QLineEdit, QWidget

from app.records import Configuration, LocalUser
from ui.finding import Found, find
from ui.inquiry import Inquiry
from ui.workspace import Workspace

SEARCH_AFTER = 150
"""Milliseconds after the last key."""
_PLACE = int(Qt.ItemDataRole.UserRole)


class SearchBox(QLineEdit):
    """`search`: what is typed is looked for in every record and page; Enter opens the first, or the chosen one."""

    wanted = Signal()
    """The user goes to the box, wherever it is."""

    def __init__(self, workspace: Workspace, window: QWidget) -> None:
        super().__init__(window, clearButtonEnabled=True, placeholderText="Search everything (Ctrl+K)")
        self.setObjectName("search")
        self.setAccessibleName("Search pages and records")
        self.setFixedWidth(self.fontMetrics().averageCharWidth() * 34)
        self._workspace = workspace
        self._words = ""
        self._enter = False
        """Whether Enter was pressed before the answer came."""
        self.found = QStandardItemModel(self)
        """The list below: what was found, in its order."""
        completer = QCompleter(self.found, self)
        completer.setCompletionMode(QCompleter.CompletionMode.UnfilteredPopupCompletion)
        completer.setMaxVisibleItems(18)
        completer.activated[QModelIndex].connect(self._chosen)  # type: ignore[index]
        completer.popup().setObjectName("search.found")
        completer.popup().setAccessibleName("What was found")
        self._list = completer
        self._inquiry = Inquiry(self._find, self)
        self._inquiry.answered.connect(self._show)
        self._timer = QTimer(self, singleShot=True, interval=SEARCH_AFTER)
        self._timer.timeout.connect(self._ask)
        self.textEdited.connect(lambda _: self._edited())
        self.returnPressed.connect(self._entered)
        self._list.setWidget(self)
        shortcut = QShortcut(QKeySequence("Ctrl+K"), window, self.begin)
        shortcut.setObjectName("search.begin")

    def begin(self) -> None:
        """Go to the box."""
        self.wanted.emit()
        self.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.selectAll()

    def _edited(self) -> None:
        """Other words: what Enter wanted to open is no longer meant."""
        self._enter = False
        self._timer.start()

    def _ask(self) -> None:
        self._words = self.text().strip()
        if self._words:
            self._inquiry.ask_again(self._workspace.configuration)
        else:
            self._list.popup().hide()

    def _find(self, configuration: Configuration) -> tuple[Found, ...]:
        return find(self._words, configuration)

    def _show(self, found: tuple[Found, ...]) -> None:
        """List what was found, unless other words have been typed meanwhile."""
        if self._words != self.text().strip() or not self._words:
            return
        self.found.clear()
        for each in found:
            self._add(each.words, each)
        if self._words.isdigit():
            self._add(f"Simulate a call to {self._words}", self._words)
        if not self.found.rowCount():
            self._add("Nothing holds these words", None)
            self.found.item(0).setEnabled(False)
        if self._enter:
            self._enter = False
            self._open(self.found.item(0).data(_PLACE))
        elif self.hasFocus():
            # As wide as its words, which the box is not, and as far as the window goes.
            room = self._list.popup().sizeHintForColumn(0) + 40
            width = max(self.width(), min(room, self.window().width()))
            self._list.complete(QRect(self.width() - width, 0, width, self.height()))

    def _add(self, words: str, place: Any) -> None:
        item = QStandardItem(words)
        item.setEditable(False)
        item.setData(place, _PLACE)
        self.found.appendRow(item)

    def _entered(self) -> None:
        """Enter in the box itself: the first that is found."""
        self._timer.stop()
        self._enter = True
        self._ask()

    def _chosen(self, index: QModelIndex) -> None:
        self._open(index.data(_PLACE))

    def _open(self, place: Any) -> None:
        if place is None:
            return
        self._list.popup().hide()
        # The list puts its words into the box after this.
        QTimer.singleShot(0, self.clear)
        if isinstance(place, str):
            users = [user for user in self._workspace.configuration.records(LocalUser) if user.enabled]
            self._workspace.simulation_wanted.emit(f"user:{users[0].number if users else '100'}", "", place)
        elif place.record_id:
            self._workspace.record_wanted.emit(place.page, place.record_id)
        else:
            self._workspace.page_wanted.emit(place.page)
