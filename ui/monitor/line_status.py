"""The page of the external lines' registrations."""

from __future__ import annotations

from app.events import LineRow
from ui.monitor.live_page import LivePage
from ui.monitor.state_words import LINE_SAMPLE, line_state_cell
from ui.tables.cells import Column, number_cell, share_cell, status_cell, text_cell
from ui.tables.table_page import Needs
from ui.workspace import Workspace

LINE_COLUMNS: list[Column[LineRow]] = [
    Column("id", "ID", lambda row: number_cell(row.id)),
    Column("name", "Line", lambda row: text_cell(row.name)),
    Column("state", "State", line_state_cell, "The registration at the provider.", sample=LINE_SAMPLE),
    Column("in", "In", lambda row: number_cell(row.active_in), "Incoming calls now.", right=True),
    Column("out", "Out", lambda row: share_cell(row.active_out, row.max_out), "Outgoing calls now, of the limit."),
    Column(
        "last_status",
        "Last status",
        lambda row: status_cell(row.last_status),
        "The provider's last answer to REGISTER.",
        right=True,
    ),
    Column("reason", "Reason", lambda row: text_cell(row.reason), "Why it is in this state."),
]


class LineStatusPage(LivePage[LineRow]):
    """`page.line_status`: each line with its registration, when it ends or is tried again, and its calls."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(
            workspace,
            "line_status",
            "Line status",
            LINE_COLUMNS,
            lambda row: row.id,
            workspace.engine.lines,
            "There is no external line yet. Data / External line adds one.",
            ("state",),
        )
        self.add_record_command("external_lines", "&Open line")
        self.add_command("register", "&Register now", self.register, icon="status", needs=Needs.SOME)
        self.add_names_command()
        self.add_table_commands()
        self.load()
        workspace.bridge.lines_changed.connect(self.take_events)

    def register(self) -> None:
        """Register the selected lines at once."""
        for row in self.chosen():
            self.workspace.engine.register_line(row.id)
