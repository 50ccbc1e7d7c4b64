"""Every action of the menus, each with its object name, and the menu bar made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

from app.events import EngineState
from ui.pages import PAGE_MENUS
from ui.theme import ThemeMode

if TYPE_CHECKING:
    from ui.main_window import MainWindow

# Entries of the Edit menu that the page in front carries out: name of the page's command, text, shortcut as shown.
PAGE_COMMANDS = (
    ("add", "&Add", "Ins", "add"),
    ("edit", "&Edit", "Return", "edit"),
    ("edit_cell", "Edit the cell", "F2", ""),
    ("duplicate", "Dup&licate", "Ctrl+D", "duplicate"),
    ("delete", "&Delete", "Del", "delete"),
    ("toggle", "Enable or d&isable", "Space", "enable"),
    ("", "", "", ""),
    ("copy", "&Copy rows", "Ctrl+C", "copy"),
    ("copy_json", "Copy rows as &JSON", "Ctrl+Shift+C", "copy"),
    ("paste", "&Paste rows", "Ctrl+V", ""),
    ("import_csv", "I&mport table...", "", "import"),
    ("export_csv", "E&xport table...", "", "export"),
    ("", "", "", ""),
    ("find", "&Find", "Ctrl+F", "find"),
    ("reload", "Refre&sh", "F5", "refresh"),
)


def _menu(bar: QMenuBar, title: str) -> QMenu:
    """A menu of the bar; it and its entry there are `menu.dial_plan`."""
    menu = bar.addMenu(title)
    name = "menu." + title.replace("&", "").lower().replace(" ", "_")
    menu.setObjectName(name)
    menu.menuAction().setObjectName(name)
    return menu


class Actions:
    """Makes the actions of a window and fills its menu bar. They work by `QAction.trigger()`."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._theme = window.workspace.theme
        self.all: dict[str, QAction] = {}
        """Every action by its object name."""
        self._page_actions: dict[str, QAction] = {}
        bar = window.menuBar()
        self._fill_file(_menu(bar, "&File"))
        self._fill_edit(_menu(bar, "&Edit"))
        self._fill_view(_menu(bar, "&View"))
        for title, entries in PAGE_MENUS.items():
            menu = _menu(bar, title)
            for entry in entries:
                if entry.name in ("refine_caller_numbers", "routing_groups", "simulator"):
                    menu.addSeparator()
                action = self.add(
                    menu,
                    entry.action,
                    entry.title,
                    lambda name=entry.name: window.open_page(name),
                    icon=entry.icon,
                    shortcut=entry.shortcut,
                )
                action.setStatusTip(f"Open {entry.title}")
        self._fill_tools(_menu(bar, "&Tools"))
        self._fill_help(_menu(bar, "&Help"))

    def add(
        self,
        menu: QMenu,
        name: str,
        text: str,
        slot: Callable[[], object],
        *,
        icon: str = "",
        shortcut: str | QKeySequence.StandardKey = "",
    ) -> QAction:
        """Add an action to a menu."""
        action = QAction(text, self._window)
        action.triggered.connect(lambda *_: slot())
        if shortcut:
            action.setShortcut(QKeySequence(shortcut))
        if icon:
            self._theme.give_icon(action, icon)
        return self._put(menu, name, action)

    def _put(self, menu: QMenu, name: str, action: QAction) -> QAction:
        action.setObjectName(name)
        menu.addAction(action)
        self.all[name] = action
        return action

    # --- the menus -----------------------------------------------------------------------------------------------

    def _fill_file(self, menu: QMenu) -> None:
        window = self._window
        self.add(menu, "file.import", "&Import...", window.import_configuration, icon="import", shortcut="Ctrl+O")
        self.add(menu, "file.export", "&Export...", window.export_configuration, icon="export", shortcut="Ctrl+S")
        self.add(menu, "file.backup", "&Backup...", window.back_up, icon="backup")
        menu.addSeparator()
        exit_action = self.add(menu, "file.exit", "E&xit", window.leave, icon="exit", shortcut="Ctrl+Q")
        exit_action.setMenuRole(QAction.MenuRole.QuitRole)

    def _fill_edit(self, menu: QMenu) -> None:
        stack = self._window.workspace.history.stack
        undo, redo = stack.createUndoAction(self._window, "&Undo"), stack.createRedoAction(self._window, "&Redo")
        undo.setShortcuts(QKeySequence.keyBindings(QKeySequence.StandardKey.Undo) or [QKeySequence("Ctrl+Z")])
        redo.setShortcuts([QKeySequence("Ctrl+Y"), QKeySequence("Ctrl+Shift+Z")])
        for name, action, icon in (("edit.undo", undo, "undo"), ("edit.redo", redo, "redo")):
            self._theme.give_icon(action, icon)
            self._put(menu, name, action)
        menu.addSeparator()
        for name, text, shortcut, icon in PAGE_COMMANDS:
            if not name:
                menu.addSeparator()
                continue
            # The shortcut is the page's own, which knows where the focus is; here it is only shown.
            shown = QKeySequence(shortcut).toString(QKeySequence.SequenceFormat.NativeText)
            words = f"{text}\t{shown}" if shown else text
            run = self.add(menu, f"edit.{name}", words, lambda name=name: self._run(name), icon=icon)
            run.setToolTip(f"{words.split(chr(9))[0].replace('&', '')} ({shown})" if shown else "")
            self._page_actions[name] = run
        menu.aboutToShow.connect(self.refresh)

    def _fill_view(self, menu: QMenu) -> None:
        window = self._window
        for name, part, text in (
            ("view.toolbar", window.tool_bar, "&Toolbar"),
            ("view.navigation", window.navigation, "&Navigation"),
            ("view.problems", window.problems, "&Problems"),
            ("view.history", window.history, "&History of changes"),
            ("view.log", window.log, "L&og"),
        ):
            toggle = part.toggleViewAction()
            toggle.setText(text)
            self._put(menu, name, toggle)
        menu.addSeparator()
        group = QActionGroup(window)
        for mode, text in (
            (ThemeMode.SYSTEM, "Colours of the &system"),
            (ThemeMode.LIGHT, "&Light"),
            (ThemeMode.DARK, "&Dark"),
        ):
            action = self.add(menu, f"view.theme.{mode}", text, lambda mode=mode: window.set_theme(mode))
            action.setCheckable(True)
            action.setChecked(self._theme.mode is mode)
            group.addAction(action)
        menu.addSeparator()
        tray = window.tray
        stay = self.add(
            menu,
            "view.close_to_tray",
            "Go on in the notification &area when closed",
            lambda: tray.set_wanted(stay.isChecked()),
        )
        stay.setCheckable(True)
        stay.setChecked(tray.wanted)
        menu.aboutToShow.connect(lambda: stay.setEnabled(tray.area.available() or tray.wanted))
        self.add(menu, "view.notifications", "Noti&fications...", window.open_notifications, icon="alarm")
        self.add(menu, "view.close_page", "&Close page", window.close_page, shortcut="Ctrl+W")
        self.add(menu, "view.reset_layout", "&Reset layout", window.reset_layout, icon="layout")

    def _fill_tools(self, menu: QMenu) -> None:
        window = self._window
        self.add(menu, "tools.trunk_wizard", "New trunk or line &wizard...", window.open_wizard, icon="wizard")
        menu.addSeparator()
        refresh = self.add(menu, "tools.refresh_dns", "&Refresh DNS", window.refresh_dns, icon="refresh")
        self.add(menu, "tools.server", "", window.start_or_stop, icon="power")
        refresh.setToolTip("Look up the host names of all trunks and lines anew")

    def _fill_help(self, menu: QMenu) -> None:
        window = self._window
        self.add(menu, "help.contents", "&Contents", window.open_help, icon="help", shortcut="F1")
        self.add(menu, "help.shortcuts", "&Shortcuts", lambda: window.open_help_topic("shortcuts"), icon="keyboard")
        self.add(menu, "help.reference", "&Reference", lambda: window.open_help_topic("system"), icon="book")
        menu.addSeparator()
        self.add(menu, "help.data_folder", "&Data folder", window.open_data_folder, icon="folder")
        self.add(menu, "help.log_folder", "&Log folder", window.open_log_folder, icon="folder")
        self.add(menu, "help.about", "&About Trunkline", window.open_about, icon="about")

    def show_server_state(self, state: EngineState) -> None:
        """Offer to stop the server while it runs, to start it while it does not, and nothing in between."""
        action = self.all["tools.server"]
        runs = state is EngineState.RUNNING
        action.setText("&Stop the server..." if runs else "&Start the server")
        action.setIconText("Stop" if runs else "Start")
        action.setEnabled(state in (EngineState.RUNNING, EngineState.STOPPED, EngineState.FAILED))

    # --- the page in front ---------------------------------------------------------------------------------------

    def _command(self, name: str) -> QAction | None:
        page: QWidget | None = self._window.current_page()
        commands: dict[str, QAction] = getattr(page, "commands", {})
        return commands.get(name)

    def _run(self, name: str) -> None:
        command = self._command(name)
        if command is not None:
            command.trigger()

    def refresh(self) -> None:
        """Enable what the page in front can do now."""
        for name, action in self._page_actions.items():
            command = self._command(name)
            action.setEnabled(command is not None and command.isEnabled())
