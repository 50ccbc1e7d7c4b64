"""The table page of one record type: its actions, its live columns, its rows as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from PySide6.QtCore import QMimeData, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QPushButton

from app.errors import UserFacingError
from app.events import LineChanged, TrunkChanged, UserChanged
from app.records import TABLES, Change, Configuration, ExternalLine, LocalUser, Record, SipTrunk, System, fields_of
from app.records.base import field_of
from ui.face import Problem
from ui.inquiry import Errand
from ui.messages import CANCEL, Choice, Role, ask, choose_file, save_text, tell
from ui.records.bulk_dialog import BulkDialog
from ui.records.cell_editing import RecordDelegate, RecordModel, cell_words, mistake
from ui.records.changes import Deletion, duplicate_of, plan_deletion, switched, words_for
from ui.records.checking import checked_record
from ui.records.consequences import with_consent
from ui.records.field_words import field_path_words
from ui.records.record_dialog import RecordDialog
from ui.records.record_rows import RecordRow, live_key, live_rows, record_columns
from ui.records.record_text import read_json, read_table, to_cells, to_json
from ui.tables.rows_text import from_csv, from_tsv, to_csv, to_tsv
from ui.tables.table_page import Needs, TablePage
from ui.transfer import MOST_BYTES
from ui.words import plural
from ui.workspace import Workspace

LiveEvent = TrunkChanged | LineChanged | UserChanged

JSON_TYPE = "application/json"
"""The format of whole records on the clipboard, beside the text for spreadsheets."""
MOST_PASTED = 4 * 1024 * 1024
"""Characters. More would stop the window, and the calls, for seconds."""
SMALL_TEXT = 20_000
"""Bytes of rows that are read within some 20 ms."""
_MOST_NAMED = 12
"""A question names at most this many records, and counts the rest."""


def record_type(name: str) -> type[Record]:
    """The record type of a page: a table's, or the one system record's."""
    return System if name == System.table else TABLES[name]


class RecordPage(TablePage):
    """`page.<table>`: the records of one type with their live state and problems."""

    def __init__(self, workspace: Workspace, record: type[Record]) -> None:
        self.record_type = record
        self._live: dict[int | str, Any] = {}
        self._problems: dict[int, tuple[Problem, ...]] = {}
        columns = record_columns(record, lambda: workspace.configuration)
        model = RecordModel(record, columns, self.change_cell)
        super().__init__(workspace, record.table, record.plural, model, record.introduction)
        self.single = record is System
        self._shown: Configuration | None = None
        self._reading = Errand(self)
        self._references = [
            field.name
            for field in fields_of(record)
            if field.shown.refers_to or field.shown.refers_by or isinstance(field.item, type)
        ]
        self._add_commands()
        self._add_empty_buttons()
        self.view.setItemDelegate(RecordDelegate(workspace, record, self.view))
        self.view.doubleClicked.connect(lambda _: self.edit())
        bridge = workspace.bridge
        bridge.configuration_changed.connect(lambda _: self._configuration_changed())
        bridge.engine_changed.connect(lambda _: self._load_live())
        workspace.history.changed.connect(self._configuration_changed)
        signals = {SipTrunk: bridge.trunks_changed, ExternalLine: bridge.lines_changed, LocalUser: bridge.users_changed}
        if record in signals:
            signals[record].connect(self._live_changed)
        if record is ExternalLine:
            # The countdown of a registration.
            self._ticker = QTimer(self, interval=1000)
            self._ticker.timeout.connect(lambda: self.model.refresh(["live_state"], *self.view.visible_span()))
            self._ticker.start()
        self._show_problems(workspace.problems.answer)
        workspace.problems.answered.connect(self._show_problems)
        self._load_live()

    def _load_live(self) -> None:
        """Show what the server knows of the records now."""
        rows = live_rows(self.record_type, self.workspace.engine)
        self._live = {self._row_key(row): row for row in rows}
        self.reload(live=True)

    def _add_commands(self) -> None:
        """The actions of every table of records: the window's toolbar has them, so the page's own has not."""

        def add(name: str, text: str, slot: Callable[[], object], needs: Needs = Needs.NOTHING, **more: Any) -> None:
            self.add_command(name, text, slot, needs=needs, in_toolbar=False, **more)

        add("add", "&Add", self.add, icon="add", shortcuts=["Ins", "Ctrl+N"])
        add("edit", "&Edit", self.edit, Needs.SOME, icon="edit", shortcuts=["Return", "Enter"])
        add("edit_cell", "Edit the &cell", self.edit_cell, Needs.ONE, icon="edit", shortcuts=["F2"])
        add("duplicate", "D&uplicate", self.duplicate, Needs.ONE, icon="duplicate", shortcuts=["Ctrl+D"])
        add("delete", "&Delete", self.delete, Needs.SOME, icon="delete", shortcuts=["Del"])
        add("enable", "E&nable", lambda: self.switch(True), Needs.SOME, icon="enable")
        add("disable", "D&isable", lambda: self.switch(False), Needs.SOME, icon="disable")
        add("toggle", "Enable or disable", self.toggle, Needs.SOME, shortcuts=["Space"])
        if self.record_type in (SipTrunk, ExternalLine):
            add("reload", "&Refresh DNS", self.workspace.dns_wanted.emit, icon="refresh", shortcuts=["F5"])
        self.add_table_commands()
        add("copy_json", "Copy rows as &JSON", self.copy_json, Needs.SOME, icon="copy", shortcuts=["Ctrl+Shift+C"])
        add("paste", "Paste rows", self.paste, icon="copy", shortcuts=["Ctrl+V"])
        add("import_csv", "Import table...", self.import_csv, icon="import")
        self.commands["add"].setStatusTip(f"Add a {self.record_type.title}")

    def allows(self, name: str) -> bool:
        """The one system record can be edited, and nothing else."""
        several = ("add", "duplicate", "delete", "enable", "disable", "toggle", "paste", "import_csv")
        return not (getattr(self, "single", self.record_type is System) and name in several)

    def _add_empty_buttons(self) -> None:
        button = QPushButton(f"Add {self.record_type.title}")
        button.setObjectName("empty_add")
        self.workspace.theme.give_icon(button, "add")
        button.clicked.connect(self.commands["add"].trigger)
        self.view.empty_hint.add_button(button)
        if self.record_type in (SipTrunk, ExternalLine):
            wizard = QPushButton("New trunk or line wizard...")
            wizard.setObjectName("empty_wizard")
            self.workspace.theme.give_icon(wizard, "wizard")
            wizard.clicked.connect(self.workspace.wizard_wanted)
            self.view.empty_hint.add_button(wizard)

    # --- what is shown -------------------------------------------------------------------------------------------

    def reload(self, *, live: bool = False) -> None:
        """Show the records and words of this moment, and `live` what the server says of them; rows that are the same
        stay untouched."""
        configuration = self.workspace.configuration
        self._shown = configuration
        records: Iterable[Record] = [configuration.system] if self.single else configuration.table(self.name)
        shown = {row.record.id: row for row in self.model.all_rows()}
        rows: list[RecordRow] = []
        for record in records:
            row = shown.get(record.id)
            same = row is not None and (row.record is record or row.record == record)
            if row is None or not same or (live and row.live != self._live.get(live_key(record))):
                row = self._row(record)
            rows.append(row)
        self.model.set_rows(rows)
        if self.single and not self.view.selected_keys():
            # There is nothing to choose: whoever opens the page can edit at once.
            self.view.select_keys([self.model.key_at(0)])
        # Other records' words may have changed: they stand in the cells of references.
        if self._references:
            self.model.refresh(self._references)

    def _configuration_changed(self) -> None:
        """A change made here is told twice, at once and by the bridge: it is shown once."""
        if self._shown is not self.workspace.configuration:
            self.reload()

    def _show_problems(self, problems: Iterable[Problem]) -> None:
        found: dict[int, list[Problem]] = {}
        for problem in problems:
            if problem.table == self.name:
                found.setdefault(problem.record_id, []).append(problem)
        before = self._problems
        self._problems = {number: tuple(each) for number, each in found.items()}
        changed = [key for key in before.keys() | self._problems.keys() if before.get(key) != self._problems.get(key)]
        rows = [self.model.row(key) for key in changed]
        self.model.upsert([self._row(row.record) for row in rows if row is not None])

    def _row(self, record: Record) -> RecordRow:
        return RecordRow(record, self._live.get(live_key(record)), self._problems.get(record.id, ()))

    def _row_key(self, row: Any) -> int | str:
        return row.number if self.record_type is LocalUser else row.id

    def _live_changed(self, events: Sequence[LiveEvent]) -> None:
        """New rows of the running server: only the records they belong to are touched."""
        numbers: dict[int | str, Record] = {}
        if self.record_type is LocalUser:
            numbers = cast("dict[int | str, Record]", dict(self.workspace.configuration.users_by_number))
        rows: list[RecordRow] = []
        for event in events:
            key = self._row_key(event.row)
            if event.gone:
                self._live.pop(key, None)
            else:
                self._live[key] = event.row
            record = numbers.get(key) or self.workspace.configuration.find(self.name, cast(int, key))
            if record is not None and self.model.row(record.id) is not None:
                rows.append(self._row(record))
        self.model.upsert(rows)

    def select_record(self, record_id: int, field: str = "") -> None:
        """Select a record and bring it into sight, with the cell of a field; a filter that hides it is cleared."""
        if self.model.position(record_id) < 0:
            self.filter.clear()
        self.view.select_keys([record_id])
        self.view.focus_cell(record_id, field.partition("[")[0])
        self.view.setFocus()

    def selected(self) -> list[Record]:
        """The selected records, as they are shown."""
        rows = [self.model.row(key) for key in self.view.selected_keys()]
        return [row.record for row in rows if row is not None]

    # --- add, edit, duplicate ------------------------------------------------------------------------------------

    def add(self) -> RecordDialog:
        """Open the dialog for a new record."""
        return self._open(None)

    def edit(self) -> RecordDialog | BulkDialog | None:
        """Open the dialog for the selected record, or the one that changes all of the selected."""
        records = self.selected()
        if len(records) < 2:
            return self._open(records[0]) if records else None
        several = BulkDialog(self.workspace, records, self.window())
        several.open()
        return several

    def edit_cell(self) -> None:
        """Edit the cell with the focus in its place, or the record where it has no such cell."""
        if not self.view.edit_simple_cell():
            self.edit()

    def duplicate(self) -> RecordDialog | None:
        """Open the dialog for a copy of the selected record."""
        records = self.selected()
        if len(records) != 1:
            return None
        return self._open(None, dict(duplicate_of(records[0], self.workspace.configuration)))

    def _open(self, base: Record | None, values: dict[str, Any] | None = None) -> RecordDialog:
        dialog = RecordDialog(self.workspace, self.record_type, base, self.window(), values)
        dialog.accepted.connect(lambda: self._select_done(dialog))
        dialog.open()
        return dialog

    def _select_done(self, dialog: RecordDialog) -> None:
        if dialog.base is not None:
            self.select_record(dialog.base.id)

    # --- delete, enable, disable ---------------------------------------------------------------------------------

    def delete(self) -> None:
        """Delete the selected records: without a question, because it can be undone, unless others name them."""
        records = self.selected()
        if not records:
            return
        plan = plan_deletion(self.workspace.configuration, records)
        if plan.references:
            self._ask_about_references(plan)
        else:
            self._delete(plan)

    def _delete(self, plan: Deletion) -> None:
        position = min((self.model.position(record.id) for record in plan.records), default=0)
        words = words_for("Delete", plan.records)
        if self.perform(words, plan.changes):
            if self.model.rowCount():
                self.view.selectRow(min(max(position, 0), self.model.rowCount() - 1))
            self.workspace.notice_done(f"{words.replace('Delete', 'Deleted', 1)}.")

    def _ask_about_references(self, plan: Deletion) -> None:
        lines: dict[str, None] = {}
        for reference in plan.references:
            record = reference.record
            title = "System" if isinstance(record, System) else f"{record.title} {record.caption()}"
            place = field_path_words(type(record), reference.field)
            gone = " (is deleted too, as it cannot be without)" if record in plan.also_deleted else ""
            lines[f"\u2022 {title}: {place}{gone}"] = None
        named = [*list(lines)[:_MOST_NAMED]]
        if len(lines) > _MOST_NAMED:
            named.append(f"and {len(lines) - _MOST_NAMED} more")
        what = words_for("", plan.records).strip()
        ask(
            self,
            "dialog.references",
            f"Delete {what}",
            f"{what[:1].upper()}{what[1:]} {'is' if len(plan.records) == 1 else 'are'} used by other records.",
            (Choice("Clear the references and delete", Role.AcceptRole, "clear", lambda: self._delete(plan)), CANCEL),
            more="\n".join(named) + "\n\nThis can be undone.",
        )

    def switch(self, enabled: bool) -> None:
        """Enable or disable the selected records."""
        changes = switched(self.selected(), enabled)
        if changes:
            records = [cast(Record, change.after) for change in changes]
            self.perform(words_for("Enable" if enabled else "Disable", records), changes)

    def toggle(self) -> None:
        """Disable the selected records if all of them are enabled, enable them otherwise."""
        self.switch(not all(record.enabled for record in self.selected()))

    def change_cell(self, record: Record, name: str, value: Any) -> bool:
        """A cell was edited: one step of the history; what does not fit is told and changes nothing."""
        words = mistake(self.workspace, record, name, value, whole=False)
        if words:
            self.workspace.notice(f"Not changed. {words}.")
            return False
        changed = checked_record(self.record_type, {**dict(record), name: value}, self.workspace.configuration)
        if changed != record:
            changes = [Change(record.table, record, changed)]
            step = cell_words(record, field_of(self.record_type, name))
            with_consent(self, self.workspace, changes, lambda: self.perform(step, changes))
        return True

    def perform(self, words: str, changes: Sequence[Change]) -> bool:
        """Do something as one step of the history; says why when it does not fit."""
        try:
            self.workspace.history.perform(words, changes)
        except UserFacingError as error:
            tell(self, words, f"{words} is not possible.", more=str(error))
            return False
        return True

    # --- rows as text --------------------------------------------------------------------------------------------

    def copy(self) -> None:
        """Put the selected records on the clipboard, as a spreadsheet and `paste` understand them."""
        shown = {self.model.columns[place].name for place in self.view.visible_columns()}
        names = [field.name for field in fields_of(self.record_type) if field.name in shown and not field.shown.secret]
        records = self.selected()
        data = QMimeData()
        data.setText(to_tsv(to_cells(self.record_type, records, names)))
        # Whole records for `paste`, columns that are hidden too.
        data.setData(JSON_TYPE, to_json(self.record_type, records).encode())
        QGuiApplication.clipboard().setMimeData(data)

    def copy_json(self) -> None:
        """Put the selected records on the clipboard as the text of a document, without passwords."""
        QGuiApplication.clipboard().setText(to_json(self.record_type, self.selected()))

    def paste(self) -> None:
        """Add the rows of the clipboard as new records, in one step."""
        data = QGuiApplication.clipboard().mimeData()
        own = bytes(data.data(JSON_TYPE).data()).decode(errors="replace") if data.hasFormat(JSON_TYPE) else ""
        text = own or data.text()
        if len(text) > MOST_PASTED:
            self.workspace.notice("That is too much for the clipboard: File / Import reads larger files.")
        elif text.lstrip().startswith(("{", "[")):
            self._take("Paste", lambda configuration: read_json(self.record_type, text, configuration), len(text))
        elif not text.strip():
            self.workspace.notice("There are no rows on the clipboard.")
        else:
            shown = [self.model.columns[place].name for place in self.view.visible_columns()]
            self._take(
                "Paste",
                lambda configuration: read_table(self.record_type, from_tsv(text), configuration, shown, new=True),
                len(text),
            )

    def export_csv(self) -> None:
        """Write every record that is shown into a file that `import_csv` reads back; passwords are left out."""
        names = [field.name for field in fields_of(self.record_type) if not field.shown.secret]
        records = [row.record for row in cast("tuple[RecordRow, ...]", self.model.rows())]
        save_text(
            self,
            f"Export {self.title}",
            "CSV files (*.csv)",
            f"{self.name}.csv",
            lambda: to_csv(to_cells(self.record_type, records, names, labels=False)),
            self.workspace.notice,
        )

    def import_csv(self) -> None:
        """Read a CSV file: known IDs are changed, the others added, in one step."""
        choose_file(self, f"Import {self.title}", "CSV files (*.csv *.tsv *.txt)", self.import_file)

    def import_file(self, path: Any) -> None:
        """Read one CSV file."""

        def read(configuration: Configuration) -> list[Change]:
            rows = from_csv(path.read_text(encoding="utf-8-sig"))
            names = [field.name for field in fields_of(self.record_type)]
            return read_table(self.record_type, rows, configuration, names, new=False)

        try:
            size = path.stat().st_size
            if size > MOST_BYTES:
                raise UserFacingError(f"{path.name} is too large to be a table of records.")
        except (UserFacingError, OSError) as error:
            self._tell_mistakes(error)
            return
        self._take("Import", read, size)

    def _take(self, words: str, read: Callable[[Configuration], list[Change]], size: int) -> None:
        """Do what rows of text ask for. Reading some thousands of them takes most of a second: calls go on meanwhile,
        and what was changed until then is read against anew."""
        if self._reading.running:
            self.workspace.notice("The rows that were taken before are still being read.")
            return
        configuration = self.workspace.configuration

        def answered(answer: Callable[[], list[Change]]) -> None:
            if configuration is self.workspace.configuration:
                self._perform_read(words, answer)
            else:
                self._take(words, read, size)

        if size > SMALL_TEXT:
            self.workspace.notice("Reading the rows ...")
        self._reading.ask(lambda: read(configuration), answered, large=size > SMALL_TEXT)

    def _tell_mistakes(self, error: Exception) -> None:
        tell(self, self.title, "Nothing was taken, because of these mistakes:", more=str(error))

    def _perform_read(self, words: str, answer: Callable[[], list[Change]]) -> None:
        try:
            changes = answer()
        except (UserFacingError, OSError, ValueError) as error:
            self._tell_mistakes(error)
            return
        records = [cast(Record, change.after) for change in changes]
        if not records:
            self.workspace.notice("Nothing to change: every row is there already.")
        elif self.perform(words_for(words, records), changes):
            self.view.select_keys([record.id for record in records])
            self.workspace.notice(f"{plural(len(records), self.record_type.title)} taken.")
