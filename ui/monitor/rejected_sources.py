"""The page of strangers that were turned away, and the ways to let one in or keep it out for good."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QDialogButtonBox, QFormLayout, QLabel, QVBoxLayout, QWidget

from app.errors import UserFacingError
from app.events import RejectedSource
from app.records import AddressList, Change, SipTrunk
from ui.dialogs import Dialog
from ui.messages import tell
from ui.monitor.live_page import LivePage
from ui.records.changes import new_values
from ui.records.record_dialog import RecordDialog
from ui.tables.cells import ADDRESS_SAMPLE, NUMBER_SAMPLE, Column, address_cell, number_cell, text_cell, time_cell
from ui.tables.table_page import Needs
from ui.workspace import Workspace

SOURCE_COLUMNS: list[Column[RejectedSource]] = [
    Column("address", "Address", lambda row: address_cell(row.address), sample=ADDRESS_SAMPLE),
    Column("port", "Port", lambda row: number_cell(row.port), shown=False, right=True),
    Column("transport", "Transport", lambda row: text_cell(row.transport.upper()), shown=False),
    Column("count", "Times", lambda row: number_cell(row.count), right=True),
    Column("last", "Last", lambda row: time_cell(row.last)),
    Column("first", "First", lambda row: time_cell(row.first), shown=False),
    Column("method", "Method", lambda row: text_cell(row.method), sample="REGISTER"),
    Column("called_number", "Called number", lambda row: text_cell(row.called_number), sample=NUMBER_SAMPLE),
    Column("reason", "Why", lambda row: text_cell(row.reason)),
    Column("user_agent", "User agent", lambda row: text_cell(row.user_agent)),
]


class RejectedSourcesPage(LivePage[RejectedSource]):
    """`page.rejected_sources`: one row per address, counted."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(
            workspace,
            "rejected_sources",
            "Rejected sources",
            SOURCE_COLUMNS,
            lambda row: row.address,
            workspace.engine.rejected_sources,
            "Nobody was turned away. A call from an address that is neither a trunk nor a line, and without a user's "
            "password, is refused and counted here.",
        )
        self.add_command("trust", "&Trust as trunk...", self.trust, icon="trunk", needs=Needs.ONE)
        self.add_command("new_trunk", "&New trunk...", self.new_trunk, icon="add", needs=Needs.ONE)
        self.add_command("block", "&Block", self.block, icon="ban", needs=Needs.SOME)
        self.commands["trust"].setToolTip("Calls from this address come in through a trunk that there is")
        self.commands["new_trunk"].setToolTip("Make this address a SIP trunk of its own")
        self.commands["block"].setToolTip("Drop everything from this address before it is read")
        self.add_table_commands()
        self.load()
        # All rows anew: the server forgets the oldest of many, and so must the page.
        workspace.bridge.sources_rejected.connect(lambda _: self.load())

    def trust(self) -> None:
        """Ask which trunk the selected address belongs to."""
        rows = self.chosen()
        trunks = self.workspace.configuration.records(SipTrunk)
        if rows and not trunks:
            self.new_trunk()
        elif rows:
            dialog = TrustDialog(rows[0].address, trunks, self.window())
            dialog.accepted.connect(lambda: self._trust(rows[0].address, dialog.trunk_id))
            dialog.open()

    def _trust(self, address: str, trunk_id: int) -> None:
        trunk = self.workspace.configuration.get(SipTrunk, trunk_id)
        if trunk is None or address in trunk.trusted_networks:
            return
        trusting = trunk.model_copy(update={"trusted_networks": (*trunk.trusted_networks, address)})
        self._perform(f"Trust {address} as trunk {trunk_id}", [Change(SipTrunk.table, trunk, trusting)])

    def new_trunk(self) -> None:
        """Open the dialog for a new trunk at the selected address."""
        rows = self.chosen()
        if rows:
            values = new_values(SipTrunk, self.workspace.configuration) | {"server_address": rows[0].address}
            RecordDialog(self.workspace, SipTrunk, None, self.window(), values).open()

    def block(self) -> None:
        """Put the selected addresses on the address list."""
        configuration = self.workspace.configuration
        listed = {entry.network for entry in configuration.records(AddressList)}
        first = configuration.next_id(AddressList.table)
        addresses = [row.address for row in self.chosen() if row.address not in listed]
        changes = [
            Change(AddressList.table, None, AddressList(id=first + place, network=address))
            for place, address in enumerate(addresses)
        ]
        if changes:
            self._perform(f"Block {', '.join(addresses)}", changes)

    def _perform(self, words: str, changes: list[Change]) -> None:
        try:
            self.workspace.history.perform(words, changes)
        except UserFacingError as error:
            tell(self, words, f"{words} is not possible.", more=str(error))
            return
        self.workspace.notice_done(f"{words}: done.")


class TrustDialog(Dialog):
    """`dialog.trust`: which trunk an address belongs to."""

    def __init__(self, address: str, trunks: tuple[SipTrunk, ...], parent: QWidget | None = None) -> None:
        super().__init__("trust", "Trust as trunk", parent)
        self._trunk = QComboBox()
        self._trunk.setObjectName("trunk")
        for trunk in trunks:
            self._trunk.addItem(trunk.caption(), trunk.id)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        buttons.setObjectName("buttons")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form = QFormLayout()
        form.addRow("SIP &trunk", self._trunk)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(f"Calls from {address} come in, without a password, through:"))
        layout.addLayout(form)
        layout.addWidget(buttons)

    @property
    def trunk_id(self) -> int:
        """The chosen trunk."""
        return int(self._trunk.currentData())
