"""The one page with a table: its actions, filter, column choice, copying and CSV export."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from enum import StrEnum
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QSizePolicy, QVBoxLayout, QWidget

from ui.messages import save_text
from ui.tables.row_model import OrderedRowModel, RowModel
from ui.tables.rows_text import to_csv, to_tsv
from ui.tables.table_view import RowTableView
from ui.tool_bar import ToolBar
from ui.workspace import Workspace


class Needs(StrEnum):
    """How many rows have to be selected for an action."""

    NOTHING = "nothing"
    ONE = "one"
    SOME = "some"


Shortcut = QKeySequence | QKeySequence.StandardKey | Qt.Key | str


class TablePage(QWidget):
    """A page named `page.<name>` with a toolbar, a filter and a `RowTableView` named `table`.

    Its actions are children of the page, each found by its object name. Those that every table of records has are in
    the toolbar of the window, too, and not in the page's own.
    """

    commands_changed = Signal()
    """Other actions are possible now."""

    def __init__(self, workspace: Workspace, name: str, title: str, model: RowModel[Any], empty: str) -> None:
        super().__init__()
        self.setObjectName(f"page.{name}")
        self.setAccessibleName(title)
        self.name = name
        self.title = title
        self.workspace = workspace
        self.model = model
        self.commands: dict[str, QAction] = {}
        self._needs: dict[str, Needs] = {}
        self.toolbar = ToolBar()
        self.toolbar.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.filter = QLineEdit(clearButtonEnabled=True, placeholderText="Filter (Ctrl+F)")
        self.filter.setObjectName("filter")
        self.filter.setAccessibleName(f"Filter {title}")
        self.filter.setFixedWidth(self.filter.fontMetrics().averageCharWidth() * 32)
        self.view = RowTableView(model, workspace.theme, workspace.settings, name)
        self.view.setAccessibleName(title)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._open_menu)
        self.view.empty_hint.set_text(empty)
        # Whoever opens the page works with the rows: Insert, Return and Delete are the table's.
        self.setFocusProxy(self.view)
        self._lay_out()
        if isinstance(model, OrderedRowModel):
            self.filter.textChanged.connect(model.set_filter)
        self.filter.returnPressed.connect(self.view.setFocus)
        self.view.selectionModel().selectionChanged.connect(self.refresh_commands)
        for signal in (model.modelReset, model.rowsInserted, model.rowsRemoved):
            signal.connect(self.refresh_commands)

    def _lay_out(self) -> None:
        self._bar = bar = QHBoxLayout()
        bar.setContentsMargins(8, 2, 8, 2)
        bar.setSpacing(6)
        bar.addWidget(self.toolbar, 1)
        bar.addWidget(self.filter)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(0)
        self.body.addLayout(bar)
        self.body.addWidget(self.view, 1)

    def add_filter_widget(self, widget: QWidget) -> None:
        """Something more to filter by, before the text field."""
        self._bar.insertWidget(self._bar.indexOf(self.filter), widget)

    # --- actions -------------------------------------------------------------------------------------------------

    def add_command(
        self,
        name: str,
        text: str,
        slot: Callable[[], object],
        *,
        icon: str = "",
        shortcuts: Sequence[Shortcut] = (),
        needs: Needs = Needs.NOTHING,
        in_toolbar: bool = True,
        whole_page: bool = False,
    ) -> QAction:
        """An action of the page. Its shortcuts work while the table has the focus, or anywhere on the page."""
        action = QAction(text, self)
        action.setObjectName(name)
        action.triggered.connect(lambda *_: slot())
        if icon:
            self.workspace.theme.give_icon(action, icon)
        if shortcuts:
            action.setShortcuts([QKeySequence(each) for each in shortcuts])
            whole = Qt.ShortcutContext.WidgetWithChildrenShortcut
            action.setShortcutContext(whole if whole_page else Qt.ShortcutContext.WidgetShortcut)
            words = QKeySequence(shortcuts[0]).toString(QKeySequence.SequenceFormat.NativeText)
            action.setToolTip(f"{text.replace('&', '').rstrip('.')} ({words})")
        (self if whole_page else self.view).addAction(action)
        if in_toolbar:
            self.toolbar.addAction(action)
        self.commands[name] = action
        self._needs[name] = needs
        self.refresh_commands()
        return action

    def add_table_commands(self) -> None:
        """What every table can do: find, copy, export, choose columns."""
        if self.toolbar.actions():
            self.toolbar.addSeparator()
        self.add_command(
            "find", "Find", self.go_to_filter, icon="find", shortcuts=["Ctrl+F"], in_toolbar=False, whole_page=True
        )
        self.add_command(
            "copy", "Copy rows", self.copy, icon="copy", shortcuts=["Ctrl+C"], needs=Needs.SOME, in_toolbar=False
        )
        self.add_command("export_csv", "Export table...", self.export_csv, icon="export", in_toolbar=False)
        columns = self.add_command("columns", "Columns", self._open_columns, icon="columns")
        columns.setToolTip("Choose the columns")

    def refresh_commands(self) -> None:
        """Enable what can be done with the selection."""
        count = len(self.view.selected_positions())
        for name, needs in self._needs.items():
            fits = needs is Needs.NOTHING or (count == 1 if needs is Needs.ONE else count > 0)
            self.commands[name].setEnabled(fits and self.allows(name))
        self.commands_changed.emit()

    def allows(self, name: str) -> bool:  # noqa: ARG002 - for pages that refuse some
        """Whether an action makes sense on this page at all."""
        return True

    def _open_menu(self, point: Any) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for name, action in self.commands.items():
            if name == "find":
                # What every table can do comes after what is this one's own.
                menu.addSeparator()
            menu.addAction(action)
        menu.popup(self.view.viewport().mapToGlobal(point))

    def _open_columns(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addActions(self.view.column_actions(menu))
        button = self.toolbar.widgetForAction(self.commands["columns"])
        menu.popup(button.mapToGlobal(button.rect().bottomLeft()))

    # --- what the actions do -------------------------------------------------------------------------------------

    def go_to_filter(self) -> None:
        """Go to the filter."""
        self.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filter.selectAll()

    def texts(self, keys: Sequence[Hashable]) -> list[list[str]]:
        """A line of titles and the rows with these keys, as the columns show them."""
        places = self.view.visible_columns()
        titles = [self.model.columns[place].title for place in places]
        return [titles, *([self.model.cells(key)[place].text for place in places] for key in keys)]

    def copy(self) -> None:
        """Put the selected rows on the clipboard."""
        QGuiApplication.clipboard().setText(to_tsv(self.texts(self.view.selected_keys())))

    def export_csv(self) -> None:
        """Write every row that is shown into a file."""
        save_text(
            self,
            f"Export {self.title}",
            "CSV files (*.csv)",
            f"{self.name}.csv",
            lambda: to_csv(self.texts(self.model.keys()), careful=True),
            self.workspace.notice,
        )
