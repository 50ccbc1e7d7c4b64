"""The main window: menus, pages in tabs, navigation, problems, notices and the status bar."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import PySide6
from PySide6.QtCore import QSize, Qt, QUrl, Signal
from PySide6.QtGui import QCloseEvent, QDesktopServices, QKeySequence, QShortcut
from PySide6.QtWidgets import QMainWindow, QTabWidget, QVBoxLayout, QWidget

from app.errors import UserFacingError
from app.events import Alarm, EngineState
from app.records import System
from ui.actions import Actions
from ui.help import HelpWindow
from ui.history_dock import HistoryDock
from ui.log_dock import LogDock
from ui.main_tool_bar import MainToolBar
from ui.messages import CANCEL, Choice, Role, ask, tell
from ui.navigation import Navigation
from ui.notices import Banner, NoticeBar
from ui.notification_settings import NotificationSettings
from ui.pages import PAGES, make_page
from ui.problems_dock import ProblemsDock
from ui.records.consequences import calls_in_progress
from ui.records.record_page import RecordPage
from ui.settings import log_folder
from ui.simulator import SimulatorPage
from ui.status_line import StatusLine
from ui.tables.table_page import TablePage
from ui.theme import ThemeMode, application_icon
from ui.transfer import ExportDialog, ImportDialog, save_backup
from ui.tray import Tray
from ui.wizard.trunk_wizard import TrunkWizard
from ui.words import alarm_words, lookup_words, plural
from ui.workspace import Workspace

FIRST_PAGE = "overview"
ABOUT = (
    "The SIP server that a person can understand: phones, SIP trunks, a dial plan, and a window that shows every call "
    "and why."
)


class MainWindow(QMainWindow):
    """`main_window`. It can be closed only when `closing` has been answered by `finish`."""

    closing = Signal()
    """The user wants to end the program, and has agreed to end the calls."""
    start_wanted = Signal()
    """The user wants the server to start."""
    stop_wanted = Signal()
    """The user wants the server to stop, and has agreed to end the calls."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.setObjectName("main_window")
        self.setWindowTitle("Trunkline")
        self.setWindowIcon(application_icon())
        self.workspace = workspace
        self._pages: dict[str, QWidget] = {}
        self._help: HelpWindow | None = None
        self._stopped = False
        """Whether the user has stopped the server."""
        self._ending = False
        self._finished = False
        self.banner = Banner(workspace.theme)
        self.notices = NoticeBar()
        self.tabs = QTabWidget(tabsClosable=True, movable=True, documentMode=True)
        self.tabs.setObjectName("pages")
        self.tabs.tabCloseRequested.connect(self._close_tab)
        self.tabs.currentChanged.connect(self._page_changed)
        self.navigation = Navigation(workspace.theme, self)
        self.navigation.wanted.connect(self.open_page)
        self.problems = ProblemsDock(workspace, self)
        self.status = StatusLine(workspace)
        self.status.problems_wanted.connect(self.open_problems)
        self.tool_bar = MainToolBar(workspace, self)
        self.tray = Tray(workspace, self)
        self.tray.exit_wanted.connect(self.leave)
        self.history = HistoryDock(workspace, self)
        self.log = LogDock(workspace, self)
        self._lay_out()
        self.menus = Actions(self)
        self.actions_by_name = self.menus.all
        self.tool_bar.fill(self.actions_by_name)
        self.tray.add_action(self.actions_by_name["tools.server"])
        self._connect()
        for number in range(1, 10):
            QShortcut(QKeySequence(f"Ctrl+{number}"), self, lambda place=number - 1: self.tabs.setCurrentIndex(place))
        self._restore()

    def _lay_out(self) -> None:
        centre = QWidget()
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.banner)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.notices)
        self.setCentralWidget(centre)
        self.addToolBar(self.tool_bar)
        self.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, self.navigation)
        self.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.problems)
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.history)
        self.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.log)
        self.tabifyDockWidget(self.problems, self.log)
        for dock in (self.problems, self.history, self.log):
            dock.hide()
        self.setStatusBar(self.status)
        # The first time; the frame around the window wants some room, too, or the status bar would be out of sight.
        room = self.screen().availableSize() - QSize(40, 60)
        self.resize(QSize(1280, 800).boundedTo(room))

    def _connect(self) -> None:
        workspace = self.workspace
        workspace.page_wanted.connect(self.open_page)
        workspace.record_wanted.connect(self.open_record)
        workspace.field_wanted.connect(self.open_record)
        workspace.simulation_wanted.connect(self.open_simulation)
        workspace.help_wanted.connect(self.open_help_topic)
        workspace.wizard_wanted.connect(self.open_wizard)
        workspace.dns_wanted.connect(self.refresh_dns)
        workspace.noticed.connect(self.notices.tell)
        workspace.history.stack.indexChanged.connect(self.notices.end_undo)
        workspace.bridge.alarmed.connect(self._take_alarms)
        workspace.bridge.engine_changed.connect(lambda _: self._show_trouble())
        workspace.theme.changed.connect(self._refresh_tab_icons)
        self.banner.retried.connect(self.start_wanted)
        self.banner.fresh_wanted.connect(self.begin_afresh)
        self.banner.system_wanted.connect(self.change_system)
        self._show_trouble()

    # --- pages ---------------------------------------------------------------------------------------------------

    def open_page(self, name: str) -> QWidget:
        """Open a page, or bring the one that is open to the front."""
        page = self._pages.get(name)
        if page is None:
            page = self._pages[name] = make_page(name, self.workspace)
            if isinstance(page, TablePage):
                page.commands_changed.connect(self._commands_changed)
        if self.tabs.indexOf(page) < 0:
            entry = PAGES[name]
            self.tabs.addTab(page, self.workspace.theme.icon(entry.icon), entry.title)
        self.tabs.setCurrentWidget(page)
        page.setFocus(Qt.FocusReason.OtherFocusReason)
        return page

    def current_page(self) -> QWidget | None:
        """The page in front."""
        return self.tabs.currentWidget()

    def close_page(self) -> None:
        """Close the page in front."""
        self._close_tab(self.tabs.currentIndex())

    def _close_tab(self, place: int) -> None:
        # The page itself is kept: it comes back with its filter and selection.
        self.tabs.removeTab(place)

    def _page_changed(self, _place: int) -> None:
        page = self.current_page()
        if page is not None:
            if not self.tabs.tabBar().hasFocus():
                page.setFocus(Qt.FocusReason.OtherFocusReason)
            self.navigation.mark(page.objectName().removeprefix("page."))
        self._commands_changed()

    def _commands_changed(self) -> None:
        """The toolbar and the Edit menu follow the page in front, and what is selected on it."""
        self.menus.refresh()

    def _refresh_tab_icons(self) -> None:
        for name, page in self._pages.items():
            place = self.tabs.indexOf(page)
            if place >= 0:
                self.tabs.setTabIcon(place, self.workspace.theme.icon(PAGES[name].icon))

    def open_record(self, table: str, record_id: int, field: str = "") -> None:
        """Open a record's table and select it there, with the focus in the cell of a field."""
        page = self.open_page(table)
        if isinstance(page, RecordPage):
            page.select_record(record_id, field)

    def open_simulation(self, source: str, caller: str, called: str) -> None:
        """Open the simulator and ask it about a call."""
        page = self.open_page("simulator")
        if isinstance(page, SimulatorPage):
            page.fill(source, caller, called)

    def open_wizard(self) -> None:
        """Tools / New trunk or line."""
        TrunkWizard(self.workspace, self).open()

    def refresh_dns(self) -> None:
        """Tools / Refresh DNS: look up the names of all trunks and lines, and tell what came out."""
        self.workspace.notice("Looking up host names ...")
        self.workspace.engine.refresh_names(lambda names: self.workspace.notice(lookup_words(names)))

    def open_problems(self) -> None:
        """Show the list of problems, or hide it."""
        self.problems.setVisible(not self.problems.isVisible())

    # --- File, View and Help -------------------------------------------------------------------------------------

    def import_configuration(self) -> None:
        """File / Import."""
        ImportDialog(self.workspace, self).open()

    def export_configuration(self) -> None:
        """File / Export."""
        ExportDialog(self.workspace, self).open()

    def back_up(self) -> None:
        """File / Backup."""
        save_backup(self, self.workspace)

    def open_notifications(self) -> None:
        """View / Notifications."""
        NotificationSettings(self.tray, self).open()

    def set_theme(self, mode: ThemeMode) -> None:
        """View / Light, Dark or what the system says."""
        self.workspace.theme.set_mode(mode)
        self.workspace.settings.set_text("theme", mode)

    def open_help(self) -> None:
        """Help / Contents: what fits the page in front."""
        page = self.current_page()
        self.open_help_topic(page.objectName().removeprefix("page.") if page is not None else "first_call")

    def open_help_topic(self, name: str) -> None:
        """Open the help at a topic."""
        if self._help is None:
            self._help = HelpWindow(self)
        self._help.open_topic(name)

    def open_data_folder(self) -> None:
        """Help / Data folder."""
        self._open_folder("Data folder", self.workspace.engine.data_directory)

    def open_log_folder(self) -> None:
        """Help / Log folder."""
        self._open_folder("Log folder", log_folder(self.workspace.engine.data_directory))

    def _open_folder(self, title: str, folder: Path) -> None:
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            tell(self, title, "The folder could not be opened from here. It is:", more=str(folder))

    def open_about(self) -> None:
        """Help / About."""
        versions = f"Python {platform.python_version()}, PySide6 {PySide6.__version__}, {platform.platform()}"
        tell(
            self, "About Trunkline", f"Trunkline\n\n{ABOUT}", more=f"{versions}\n{self.workspace.engine.data_directory}"
        )

    # --- trouble -------------------------------------------------------------------------------------------------

    def _show_trouble(self) -> None:
        engine = self.workspace.engine
        failed = engine.state is EngineState.FAILED
        stopped = self._stopped and engine.state is EngineState.STOPPED
        text = f"The server is not running. {engine.trouble}" if failed else engine.trouble
        if stopped:
            text = "The server is stopped: nobody can call, and nothing can be changed."
        # With its database open a server fails for want of an address or a port.
        can_change = failed and engine.can_save
        damaged = failed and engine.database_damaged
        self.banner.tell(text, can_retry=failed or stopped, damaged=damaged, can_change=can_change)
        self.menus.show_server_state(engine.state)

    def start_or_stop(self) -> None:
        """Tools / Start or Stop the server. Stopping asks first when there are calls."""
        if self.workspace.engine.state is not EngineState.RUNNING:
            self.start_wanted.emit()
            return
        calls = calls_in_progress(self.workspace)
        words = f"{plural(calls, 'call is', 'calls are')} in progress and {'ends' if calls == 1 else 'end'} with it. "
        question = f"{words if calls else ''}Nobody can call until the server is started again."
        stop = Choice("Stop the server", Role.AcceptRole, "stop", self._stop)
        self.tray.show_window()
        ask(self, "dialog.stop", "Stop the server", question, (stop, CANCEL))

    def _stop(self) -> None:
        self._stopped = True
        self.stop_wanted.emit()

    def change_system(self) -> None:
        """Open the System record, where the server's address and ports are."""
        page = self.open_page(System.table)
        if isinstance(page, RecordPage):
            page.edit()

    def begin_afresh(self) -> None:
        """Ask whether to keep a damaged database aside, and begin with a new one."""
        begin = Choice("Keep it aside and begin anew", Role.AcceptRole, "begin", self._set_database_aside)
        ask(
            self,
            "dialog.damaged",
            "Begin with a new database",
            "The damaged database is kept in the data folder under another name. The new one has no trunks, no dial "
            "plan and no call records, and new passwords for 100, 101 and 102.",
            (begin, CANCEL),
            more="A backup of the configuration (File / Backup) can be imported afterwards.",
        )

    def _set_database_aside(self) -> None:
        try:
            kept = self.workspace.engine.set_database_aside()
        except UserFacingError as error:
            tell(self, "Begin with a new database", str(error))
            return
        self.start_wanted.emit()
        if kept is not None:
            self.workspace.notice(f"The damaged database is kept as {kept}.")

    def _take_alarms(self, alarms: Sequence[Alarm]) -> None:
        """Say the worst of a batch; the banner tells what lasts."""
        self.workspace.notice(alarm_words(alarms), "Alarms", lambda: self.workspace.page_wanted.emit("alarms"))

    # --- layout --------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        settings = self.workspace.settings
        self._first_state = self.saveState()
        geometry, state = settings.state("window/geometry"), settings.state("window/state")
        if geometry is not None:
            self.restoreGeometry(geometry)
        if state is not None:
            self.restoreState(state)
        for name in settings.texts("window/pages") or [FIRST_PAGE]:
            if name in PAGES:
                self.open_page(name)
        current = settings.text("window/page", FIRST_PAGE)
        if current in self._pages:
            self.open_page(current)

    def _remember(self) -> None:
        settings = self.workspace.settings
        settings.set_state("window/geometry", self.saveGeometry())
        settings.set_state("window/state", self.saveState())
        names = [self.tabs.widget(place).objectName() for place in range(self.tabs.count())]
        settings.set_texts("window/pages", [name.removeprefix("page.") for name in names])
        page = self.current_page()
        settings.set_text("window/page", page.objectName().removeprefix("page.") if page is not None else "")
        settings.save()

    def reset_layout(self) -> None:
        """View / Reset layout: docks and columns as on the first day."""
        self.restoreState(self._first_state)
        self.workspace.settings.forget("tables")
        self.workspace.settings.forget("window")
        for page in self._pages.values():
            if isinstance(view := getattr(page, "view", None), QWidget) and hasattr(view, "reset_columns"):
                view.reset_columns()

    # --- the end -------------------------------------------------------------------------------------------------

    def closeEvent(self, event: QCloseEvent) -> None:
        """Go on in the notification area, if the user wants that, or end the program."""
        if self._finished:
            self.tray.area.hide()
            event.accept()
            return
        event.ignore()
        if not self._ending and not self.tray.takes_window():
            self.leave()

    def leave(self) -> None:
        """File / Exit. Ask first when there are calls; the window goes when the server has stopped."""
        if self._ending:
            return
        calls = calls_in_progress(self.workspace)
        if not calls:
            self.end()
            return
        question = f"{plural(calls, 'call is', 'calls are')} in progress. Ending the program ends them."
        end = Choice("End the calls and exit", Role.AcceptRole, "end", self.end)
        self.tray.show_window()
        ask(self, "dialog.close", "Exit", question, (end, CANCEL))

    def end(self) -> None:
        """End the program without a question."""
        if not self._ending:
            self._ending = True
            self._remember()
            self.closing.emit()

    def finish(self) -> None:
        """The server has stopped: let the window go."""
        self._finished = True
        self.close()
