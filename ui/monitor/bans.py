"""The page of banned addresses."""

from __future__ import annotations

import time

from app.events import Ban
from ui.monitor.live_page import LivePage
from ui.tables.cells import Cell, Column, address_cell, text_cell, time_cell
from ui.tables.table_page import Needs
from ui.words import duration, full_time
from ui.workspace import Workspace


def _left(row: Ban) -> Cell:
    return Cell(duration(row.until - time.time()), row.until, tip=full_time(row.until))


BAN_COLUMNS: list[Column[Ban]] = [
    Column("address", "Address", lambda row: address_cell(row.address)),
    Column("since", "Since", lambda row: time_cell(row.since)),
    Column("until", "Until", lambda row: time_cell(row.until)),
    Column("left", "Time left", _left, right=True),
    Column("reason", "Reason", lambda row: text_cell(row.reason)),
]


class BansPage(LivePage[Ban]):
    """`page.bans`: who is ignored, why and how long; a ban can be lifted."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(
            workspace,
            "bans",
            "Bans",
            BAN_COLUMNS,
            lambda row: row.address,
            workspace.engine.bans,
            "Nobody is banned. An address that fails to authenticate several times within a minute is ignored for a "
            "while; System says how often and how long.",
            ("left",),
        )
        self.add_command("lift", "&Lift ban", self.lift, icon="enable", shortcuts=["Del"], needs=Needs.SOME)
        self.add_table_commands()
        self.load()
        workspace.bridge.bans_changed.connect(self.show_rows)

    def lift(self) -> None:
        """Listen to the selected addresses again."""
        for row in self.chosen():
            self.workspace.engine.lift_ban(row.address)
