"""The page of banned addresses, and of sources whose external calls are stopped."""

from __future__ import annotations

import time

from app.events import Ban
from app.records import Configuration
from ui.monitor.live_page import LivePage
from ui.tables.cells import ADDRESS_SAMPLE, Cell, Column, text_cell, time_cell
from ui.tables.table_page import Needs
from ui.words import address_key, duration, full_time, name_words
from ui.workspace import Workspace


def _left(row: Ban) -> Cell:
    return Cell(duration(row.until - time.time()), row.until, tip=full_time(row.until))


def _who(row: Ban, configuration: Configuration) -> Cell:
    words = name_words(row.address, configuration)
    return Cell(f"user {words}" if row.address.startswith("user:") else words, address_key(row.address))


BAN_COLUMNS: list[Column[Ban]] = [
    Column("since", "Since", lambda row: time_cell(row.since)),
    Column("until", "Until", lambda row: time_cell(row.until)),
    Column("left", "Time left", _left, right=True),
    Column("reason", "Reason", lambda row: text_cell(row.reason)),
]


class BansPage(LivePage[Ban]):
    """`page.bans`: who is ignored or may not call outwards, why and how long; a ban can be lifted."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(
            workspace,
            "bans",
            "Bans",
            [
                Column("address", "Who", lambda row: _who(row, workspace.configuration), sample=ADDRESS_SAMPLE),
                *BAN_COLUMNS,
            ],
            lambda row: row.address,
            workspace.engine.bans,
            "Nobody is banned. An address that fails to authenticate several times within a minute is ignored for a "
            "while; System says how often and how long. A user, trunk or line that makes more external calls than its "
            "record lets it make is stopped, and stands here until it may go on.",
            ("left",),
        )
        self.add_command("lift", "&Lift ban", self.lift, icon="enable", shortcuts=["Del"], needs=Needs.SOME)
        self.add_table_commands()
        self.load()
        workspace.bridge.bans_changed.connect(self.show_rows)

    def lift(self) -> None:
        """Listen to the selected addresses again, or let the selected sources make external calls again."""
        for row in self.chosen():
            self.workspace.engine.lift_ban(row.address)
