"""The page of the trunks' states, with the audio of their relayed calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtGui import QShowEvent

from app.events import GaugeSample, TrunkMedia, TrunkRow
from ui.monitor.audio_words import score_cell, score_words
from ui.monitor.live_page import LivePage
from ui.monitor.state_words import TRUNK_SAMPLE, trunk_state_cell
from ui.tables.cells import Cell, Column, number_cell, share_cell, status_cell, text_cell, time_cell
from ui.workspace import Workspace

MEDIA_COLUMNS = ("relayed", "mos")


def trunk_columns(media_of: Callable[[int], TrunkMedia | None]) -> list[Column[TrunkRow]]:
    """The columns of a trunk; `media_of` gives the audio of its relayed calls, None where there are none."""

    def relayed(row: TrunkRow) -> Cell:
        media = media_of(row.id)
        return number_cell(media.relayed) if media is not None else Cell("", 0)

    def score(row: TrunkRow) -> Cell:
        media = media_of(row.id)
        if media is None or not media.mos_worst:
            return Cell("", 0)
        return score_cell(
            media.mos_worst,
            f"The worst of its streams; the median is {score_words(media.mos_median)}. "
            f"Loss {media.loss_percent:g} %, jitter up to {media.jitter_ms:g} ms.",
        )

    return [
        Column("id", "ID", lambda row: number_cell(row.id), shown=False),
        Column("name", "Trunk", lambda row: text_cell(row.name)),
        Column("state", "State", trunk_state_cell, "What the trunk can do now.", sample=TRUNK_SAMPLE),
        Column("in", "In", lambda row: share_cell(row.active_in, row.max_in), "Incoming calls now, of the limit."),
        Column("out", "Out", lambda row: share_cell(row.active_out, row.max_out), "Outgoing calls now, of the limit."),
        Column("relayed", "Relayed", relayed, "Calls whose audio passes through here.", right=True),
        Column(
            "mos",
            "MOS",
            score,
            "How the worst of the relayed streams that it sends sounds now, from 1 to 4.5.",
            sample="4.41 excellent",
        ),
        Column(
            "last_status",
            "Status",
            lambda row: status_cell(row.last_status),
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
        self._media: dict[int, TrunkMedia] = {}
        super().__init__(
            workspace,
            "trunk_status",
            "Trunk status",
            trunk_columns(self._media_of),
            lambda row: row.id,
            workspace.engine.trunks,
            "There is no SIP trunk yet. Data / SIP trunk adds one.",
        )
        self.add_record_command("sip_trunks", "&Open trunk")
        self.add_names_command()
        self.add_table_commands()
        self.load()
        workspace.bridge.trunks_changed.connect(self.take_events)
        workspace.bridge.sampled.connect(self._take_samples)

    def _media_of(self, trunk_id: int) -> TrunkMedia | None:
        return self._media.get(trunk_id)

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what happened out of sight."""
        super().showEvent(event)
        self._take_samples(self.workspace.engine.samples("5 minutes")[-1:])

    def _take_samples(self, samples: Sequence[GaugeSample]) -> None:
        if not samples or not self.isVisible():
            return
        media = {each.trunk_id: each for each in samples[-1].trunk_media}
        if media != self._media:
            self._media = media
            self.live.refresh(MEDIA_COLUMNS, *self.view.visible_span())
