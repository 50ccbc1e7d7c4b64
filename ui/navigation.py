"""The list of all pages at the left."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QDockWidget, QTreeWidget, QTreeWidgetItem, QWidget

from ui.pages import PAGE_MENUS
from ui.theme import Theme, Tone

_ORDER = ("&Monitor", "&Data", "Dial &plan", "&Services")
_NAME = Qt.ItemDataRole.UserRole


class Navigation(QDockWidget):
    """`dock.navigation`: the pages in their groups; the open one is marked."""

    wanted = Signal(str)
    """The user wants this page."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__("Navigation", parent)
        self.setObjectName("dock.navigation")
        self._theme = theme
        self._items: dict[str, QTreeWidgetItem] = {}
        self._tree = QTreeWidget()
        self._tree.setObjectName("navigation")
        self._tree.setAccessibleName("Pages")
        self._tree.setHeaderHidden(True)
        self._tree.setIndentation(12)
        self._tree.setIconSize(QSize(18, 18))
        self._tree.setRootIsDecorated(False)
        self._tree.setExpandsOnDoubleClick(False)
        for menu in _ORDER:
            group = QTreeWidgetItem([menu.replace("&", "")])
            group.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self._tree.addTopLevelItem(group)
            for entry in PAGE_MENUS[menu]:
                item = QTreeWidgetItem([entry.title])
                item.setData(0, _NAME, entry.name)
                item.setToolTip(0, entry.title)
                item.setSizeHint(0, QSize(0, self.fontMetrics().height() + 9))
                group.addChild(item)
                self._items[entry.name] = item
        self._tree.expandAll()
        self._tree.itemClicked.connect(self._chosen)
        self._tree.itemActivated.connect(self._chosen)
        self.setWidget(self._tree)
        self.setTitleBarWidget(QWidget())
        self._tree.setMinimumWidth(self.fontMetrics().averageCharWidth() * 30)
        theme.changed.connect(self._colour)
        self._colour()

    def _colour(self) -> None:
        for place in range(self._tree.topLevelItemCount()):
            group = self._tree.topLevelItem(place)
            font = self._tree.font()
            font.setBold(True)
            group.setFont(0, font)
            group.setForeground(0, self._theme.colour(Tone.MUTED))
            group.setSizeHint(0, QSize(0, self.fontMetrics().height() + 16))
        for entries in PAGE_MENUS.values():
            for entry in entries:
                self._items[entry.name].setIcon(0, self._theme.icon(entry.icon))

    def _chosen(self, item: QTreeWidgetItem) -> None:
        name = item.data(0, _NAME)
        if name:
            self.wanted.emit(name)

    def mark(self, name: str) -> None:
        """Mark the page that is in front."""
        item = self._items.get(name)
        if item is not None:
            self._tree.setCurrentItem(item)
