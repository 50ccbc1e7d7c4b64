"""What every page is given: engine, bridge, settings, theme, history, and the ways to elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.records import Configuration
from ui.face import problems
from ui.inquiry import Inquiry
from ui.kept_numbers import KeptNumbers
from ui.monitor.alarm_history import AlarmHistory
from ui.monitor.stream_history import StreamHistory

if TYPE_CHECKING:
    from ui.bridge import Bridge
    from ui.face import Engine
    from ui.records.history import History
    from ui.settings import Settings
    from ui.theme import Theme


UNDO = "Undo"
"""The button of a notice that takes back what was done last."""


class Workspace(QObject):
    """Handed to pages instead of the main window, so that a page can be opened, and tested, without one."""

    page_wanted = Signal(str)
    """Open or focus a page by its name: `sip_trunks`."""
    record_wanted = Signal(str, int)
    """Open the table page and select this record: (table, id)."""
    field_wanted = Signal(str, int, str)
    """The same, with the focus in the cell of this field: (table, id, field)."""
    simulation_wanted = Signal(str, str, str)
    """Open the simulator with (source, caller number, called number) filled in."""
    help_wanted = Signal(str)
    """Open the help at a topic: the name of a page, or blank."""
    wizard_wanted = Signal()
    """Open the wizard for a new trunk or line."""
    dns_wanted = Signal()
    """Look up every host name anew."""
    noticed = Signal(str, str, object)
    """Tell in passing: (text, words of a button or blank, what the button does or None)."""

    def __init__(
        self, engine: Engine, bridge: Bridge, settings: Settings, theme: Theme, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        # Imported here: the history tells its failures through this object.
        from ui.records.history import History

        self.engine = engine
        self.bridge = bridge
        self.settings = settings
        self.theme = theme
        self.history: History = History(engine, self)
        self.history.failed.connect(self.notice)
        bridge.engine_changed.connect(self._engine_changed)
        self._shown = engine.configuration
        self.kept_numbers = KeptNumbers(settings, self)
        self.stream_history = StreamHistory(bridge, self)
        self.alarm_history = AlarmHistory(bridge, self)
        self.problems = Inquiry(problems, self)
        """The problems of the configuration of this moment."""
        bridge.configuration_changed.connect(self.problems.ask)
        self.history.changed.connect(lambda: self.problems.ask(engine.configuration))
        self.problems.ask(engine.configuration)

    @property
    def configuration(self) -> Configuration:
        """The configuration of this moment."""
        return self.engine.configuration

    def _engine_changed(self) -> None:
        """A server that has just started brings its configuration with it."""
        if self._shown is not self.engine.configuration:
            self._shown = self.engine.configuration
            self.bridge.configuration_changed.emit(self._shown)

    def notice(self, text: str, button: str = "", callback: Callable[[], None] | None = None) -> None:
        """Tell in passing, with at most one thing to do about it."""
        self.noticed.emit(text, button, callback)

    def notice_done(self, text: str) -> None:
        """Tell of the step of the history that was just done, with a button that takes it back as long as it is the
        newest."""
        self.notice(text, UNDO, self.history.stack.undo)
