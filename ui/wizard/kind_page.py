"""The first page of the wizard: trunk or line, and whose."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QRadioButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.records import ExternalLine, Record, SipTrunk
from ui.wizard.page import WizardPage
from ui.wizard.plan import TrunkPlan
from ui.wizard.templates import Template, general, templates
from ui.workspace import Workspace

KINDS: dict[type[Record], tuple[str, str]] = {
    SipTrunk: (
        "&SIP trunk: the other side knows this server by its address",
        "A carrier, a gateway or another server of yours. No password; calls from its address are trusted.",
    ),
    ExternalLine: (
        "&External line: an account with a password",
        "The provider gave you an account. This server registers there, and its calls ring one of your users.",
    ),
}


class KindPage(WizardPage):
    """`wizard.kind`: trunk or line, by hand or by a provider's template; each leads to the other."""

    def __init__(self, workspace: Workspace, plan: TrunkPlan) -> None:
        super().__init__("kind", "What do you have?", "How does the other side know you?", workspace, plan)
        layout = QVBoxLayout(self)
        self.buttons: dict[type[Record], QRadioButton] = {}
        for kind, (words, more) in KINDS.items():
            button = self.buttons[kind] = QRadioButton(words)
            button.setObjectName(f"kind.{kind.table}")
            button.toggled.connect(lambda chosen, kind=kind: self._choose_kind(kind) if chosen else None)
            label = self.note(f"kind.{kind.table}.words")
            label.setText(more)
            label.setContentsMargins(24, 0, 0, 4)
            layout.addWidget(button)
            layout.addWidget(label)
        self.list = QTreeWidget(rootIsDecorated=False, uniformRowHeights=True)
        self.list.setObjectName("template")
        self.list.setAccessibleName("Template")
        self.list.setHeaderLabels(["Provider or device", "Country", "Kind"])
        self.list.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        for template in templates().values():
            kind_words = template.kind.title[:1].upper() + template.kind.title[1:]
            item = QTreeWidgetItem([template.title, template.country, kind_words])
            item.setData(0, Qt.ItemDataRole.UserRole, template.name)
            self.list.addTopLevelItem(item)
        self.list.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.list.currentItemChanged.connect(lambda item, _: self._choose(self._template_of(item)) if item else None)
        self.words = self.note("template.words")
        # Room for the longest, so that the list does not jump from row to row.
        self.words.setMinimumHeight(4 * self.fontMetrics().lineSpacing())
        layout.addWidget(self.list, 1)
        layout.addWidget(self.words)
        self._show(plan.template)

    def first_widget(self) -> QWidget:
        """The list: its row says the kind, too."""
        return self.list

    @staticmethod
    def _template_of(item: QTreeWidgetItem) -> Template:
        return templates()[item.data(0, Qt.ItemDataRole.UserRole)]

    def _choose_kind(self, kind: type[Record]) -> None:
        if self.plan.kind is not kind:
            self._choose(general(kind))

    def _choose(self, template: Template) -> None:
        self.plan.choose(template)
        self._show(template)

    def _show(self, template: Template) -> None:
        """Make button, row and words say the same."""
        self.buttons[template.kind].setChecked(True)
        for place in range(self.list.topLevelItemCount()):
            item = self.list.topLevelItem(place)
            if item is not None and self._template_of(item) is template and self.list.currentItem() is not item:
                self.list.setCurrentItem(item)
        self.words.setText(template.words())
