"""The panel that shows the INVITE which a trunk or line would get, as the form stands now."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPlainTextEdit, QToolButton, QVBoxLayout, QWidget

from app.errors import TrunklineError
from app.records import AnalyzeCalledNumber, Change, Configuration, LocalUser, Record, RouteType, SipTrunk
from ui.face import Source
from ui.workspace import Workspace


class InvitePreview(QWidget):
    """Folded at first; simulates a call through the edited record without saving it."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.setObjectName("preview")
        self._workspace = workspace
        self._before: Record | None = None
        self._record: Record | None = None
        self._toggle = QToolButton(text="Preview INVITE", checkable=True, autoRaise=True)
        self._toggle.setObjectName("preview.toggle")
        self._toggle.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._toggle.setArrowType(Qt.ArrowType.RightArrow)
        self._toggle.toggled.connect(self._fold)
        self._called = QLineEdit("135550")
        self._called.setObjectName("preview.called_number")
        self._called.setMaximumWidth(180)
        self._called.textChanged.connect(lambda _: self._show())
        self._text = QPlainTextEdit(readOnly=True, lineWrapMode=QPlainTextEdit.LineWrapMode.NoWrap)
        self._text.setObjectName("preview.text")
        self._text.setAccessibleName("The INVITE that would be sent")
        self._text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._text.setMinimumHeight(self._text.fontMetrics().height() * 10)
        self._body = QWidget()
        asked = QHBoxLayout()
        label = QLabel("Number &dialled by the first local user")
        label.setBuddy(self._called)
        asked.addWidget(label)
        asked.addWidget(self._called)
        asked.addStretch()
        body = QVBoxLayout(self._body)
        body.setContentsMargins(0, 0, 0, 0)
        body.addLayout(asked)
        body.addWidget(self._text)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._toggle)
        layout.addWidget(self._body)
        self._body.hide()

    def refresh(self, before: Record | None, record: Record | None) -> None:
        """The form has changed: `record` is what it holds, None while that is not right."""
        self._before = before
        self._record = record
        self._show()

    def _fold(self, unfolded: bool) -> None:
        self._toggle.setArrowType(Qt.ArrowType.DownArrow if unfolded else Qt.ArrowType.RightArrow)
        self._body.setVisible(unfolded)
        self._show()
        # The form keeps its room, as far as the screen has it.
        window, room = self.window(), self.screen().availableSize()
        height = self._body.sizeHint().height() + self.layout().spacing()
        window.resize(window.width(), min(window.height() + (height if unfolded else -height), room.height() - 60))

    def _show(self) -> None:
        if self._toggle.isChecked():
            self._text.setPlainText(self._words())

    def _words(self) -> str:
        number = self._called.text().strip()
        if self._record is None:
            return "The form has to be right first."
        if not number:
            return "Type a number to dial."
        try:
            configuration = preview_configuration(self._workspace.configuration, self._before, self._record, number)
            users = [user for user in configuration.records(LocalUser) if user.enabled]
            caller = users[0].number if users else "100"
            simulation = self._workspace.engine.simulate(Source.user(caller), caller, number, configuration)
        except TrunklineError as error:
            return str(error)
        name = f"{'trunk' if isinstance(self._record, SipTrunk) else 'line'}:{self._record.id}"
        for target in simulation.targets:
            if target.name == name:
                return target.invite.replace("\r\n", "\n")
        return (
            "\n".join(["It would get no call:", *simulation.refusals])
            if simulation.refusals
            else ("It would get no call as it is: " + str(simulation.decision.trail[-1]))
        )


def preview_configuration(
    configuration: Configuration, before: Record | None, record: Record, number: str
) -> Configuration:
    """The configuration with the edited record in it, and `number` routed to it whatever the dial plan says."""
    current = configuration.find(record.table, before.id) if before is not None else None
    kind = RouteType.SIP_TRUNK if isinstance(record, SipTrunk) else RouteType.EXTERNAL_LINE
    changes = [Change(record.table, current, record)]
    table = AnalyzeCalledNumber.table
    old = next((each for each in configuration.records(AnalyzeCalledNumber) if each.prefix == number), None)
    route = AnalyzeCalledNumber(
        id=old.id if old is not None else configuration.next_id(table),
        prefix=number,
        route_type=kind,
        target_id=record.id,
        transition_id=old.transition_id if old is not None else 0,
    )
    return configuration.with_changes([*changes, Change(table, old, route)])
