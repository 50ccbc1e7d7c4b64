"""The help: the texts of `resources/help`, and the reference of every field, generated from the records."""

from __future__ import annotations

from html import escape
from importlib import resources

from PySide6.QtCore import Qt, QUrl
from PySide6.QtWidgets import QDialog, QListWidget, QListWidgetItem, QSplitter, QTextBrowser, QVBoxLayout, QWidget

from app.records import TABLES, Record, System, fields_of
from app.records.base import RecordField
from ui.records.field_words import choice_words

TOPICS = {
    "first_call": "The first call",
    "window": "The window",
    "dial_plan": "How a call is routed",
    "toll_fraud": "Against toll fraud",
    "transfer": "Transferring calls",
    "monitoring": "Watching calls",
    "audio": "How a call sounds",
    "shortcuts": "Shortcuts",
}
"""The texts, by the name of their file."""

PAGE_TOPICS = {
    "overview": "monitoring",
    "live_calls": "monitoring",
    "trunk_status": "monitoring",
    "line_status": "monitoring",
    "rejected_sources": "monitoring",
    "bans": "monitoring",
    "alarms": "monitoring",
    "call_records": "monitoring",
    "simulator": "dial_plan",
}
"""What F1 opens on pages that are not tables of records; those open their own reference."""


def reference(model: type[Record]) -> str:
    """The reference of a record type as HTML."""
    parts = [f"<h2>{escape(model.plural)}</h2>", f"<p>{escape(model.introduction)}</p>"]
    tab = ""
    for field in fields_of(model):
        if field.shown.tab != tab:
            tab = field.shown.tab
            parts.append(f"<h3>{escape(tab)}</h3>")
        parts.append(_field(field))
    return "".join(parts)


def _field(field: RecordField) -> str:
    notes: list[str] = []
    if field.shown.required:
        notes.append("Required.")
    if field.limits:
        notes.append(f"{field.limits[:1].upper()}{field.limits[1:]} {field.shown.unit}".strip() + ".")
    if field.shown.zero and not field.minimum:
        notes.append(f"{field.zero_words()}.")
    if field.shown.blank:
        notes.append(f"Blank: {field.shown.blank}.")
    if field.shown.example:
        notes.append(f"Example: {field.shown.example}.")
    if field.default not in (None, "", (), 0) and not field.shown.secret:
        default = field.default
        words = "yes" if default is True else "no" if default is False else choice_words(default)
        words = ", ".join(str(each) for each in default) if isinstance(default, tuple) else words
        notes.append(f"New records: {words}.")
    name = f"<code>{escape(field.name)}</code>"
    return (
        f"<p><b>{escape(field.label)}</b> ({name})<br>{escape(field.shown.help)} <i>{escape(' '.join(notes))}</i></p>"
    )


def topic_text(name: str) -> str:
    """A text of `resources/help` as Markdown."""
    return (resources.files("resources") / "help" / f"{name}.md").read_text(encoding="utf-8")


class HelpWindow(QDialog):
    """`dialog.help`: topics at the left, the text at the right. It stays open beside the window."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.help")
        self.setWindowTitle("Trunkline help")
        self.setModal(False)
        self._list = QListWidget()
        self._list.setObjectName("topics")
        self._list.setAccessibleName("Topics")
        for name, title in TOPICS.items():
            self._add(title, name)
        for model in (System, *TABLES.values()):
            self._add(f"Reference: {model.plural}", model.table)
        self._list.currentItemChanged.connect(lambda item, _: self._show(item))
        self.text = QTextBrowser(openLinks=False)
        self.text.setObjectName("text")
        self.text.anchorClicked.connect(self._follow)
        self.text.document().setDocumentMargin(16)
        self._list.setSpacing(3)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.addWidget(self._list)
        splitter.addWidget(self.text)
        splitter.setSizes([240, 560])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)
        self.resize(860, 620)
        self._list.setCurrentRow(0)

    def _add(self, title: str, name: str) -> None:
        item = QListWidgetItem(title)
        item.setData(Qt.ItemDataRole.UserRole, name)
        self._list.addItem(item)

    def open_topic(self, name: str) -> None:
        """Show a topic, a table's reference, or what fits a page."""
        wanted = PAGE_TOPICS.get(name, name)
        for place in range(self._list.count()):
            if self._list.item(place).data(Qt.ItemDataRole.UserRole) == wanted:
                self._list.setCurrentRow(place)
        self.show()
        self.raise_()
        self.activateWindow()

    def _show(self, item: QListWidgetItem | None) -> None:
        if item is None:
            return
        name = str(item.data(Qt.ItemDataRole.UserRole))
        if name in TOPICS:
            self.text.setMarkdown(topic_text(name))
        else:
            self.text.setHtml(reference(System if name == System.table else TABLES[name]))

    def _follow(self, url: QUrl) -> None:
        self.open_topic(url.toString())
