"""The page of the trunks' states."""

from __future__ import annotations

from app.events import TrunkRow
from ui.monitor.live_page import LivePage
from ui.monitor.state_words import trunk_state_cell
from ui.tables.cells import Column, number_cell, share_cell, text_cell, time_cell
from ui.workspace import Workspace

TRUNK_COLUMNS: list[Column[TrunkRow]] = [
    Column("id", "ID", lambda row: number_cell(row.id)),
    Column("name", "Trunk", lambda row: text_cell(row.name)),
    Column("state", "State", trunk_state_cell, "What the trunk can do now."),
    Column("in", "In", lambda row: share_cell(row.active_in, row.max_in), "Incoming calls now, of the limit."),
    Column("out", "Out", lambda row: share_cell(row.active_out, row.max_out), "Outgoing calls now, of the limit."),
    Column(
        "last_status",
        "Last status",
        lambda row: number_cell(row.last_status, str(row.last_status) if row.last_status else ""),
        "The last SIP status that the peer sent.",
        right=True,
    ),
    Column(
        "round_trip",
        "Round trip",
        lambda row: number_cell(row.round_trip_ms, f"{row.round_trip_ms:.0f} ms" if row.round_trip_ms else ""),
        "Of the last OPTIONS probe.",
        right=True,
    ),
    Column("changed", "Since", lambda row: time_cell(row.changed), "The last change of state."),
    Column("reason", "Reason", lambda row: text_cell(row.reason), "Why it is in this state."),
]


class TrunkStatusPage(LivePage[TrunkRow]):
    """`page.trunk_status`: each trunk with state, reason, calls and the peer's last answer."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(
            workspace,
            "trunk_status",
            "Trunk status",
            TRUNK_COLUMNS,
            lambda row: row.id,
            workspace.engine.trunks,
            "There is no SIP trunk yet. Data / SIP trunk adds one.",
        )
        self.add_record_command("sip_trunks", "&Open trunk")
        self.add_table_commands()
        self.load()
        workspace.bridge.trunks_changed.connect(self.take_events)
