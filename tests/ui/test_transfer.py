"""Import, export and backup in the window, and the second start that raises the first window."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PySide6.QtCore import QThreadPool
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPlainTextEdit,
)
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine

from app.records import Change
from ui.main_window import MainWindow
from ui.single_instance import SingleInstance

OK = QDialogButtonBox.StandardButton.Ok


def import_dialog(window: MainWindow, path: Path) -> QDialog:
    window.findChild(QAction, "file.import").trigger()
    dialog = window.findChild(QDialog, "dialog.import")
    dialog.findChild(QLineEdit, "file").setText(str(path))
    return dialog


def summary(dialog: QDialog) -> str:
    return str(dialog.findChild(QPlainTextEdit, "summary").toPlainText())


def can_import(dialog: QDialog) -> bool:
    return bool(dialog.findChild(QDialogButtonBox, "buttons").button(OK).isEnabled())


def test_an_import_says_beforehand_what_it_does_and_is_one_step(
    window: MainWindow, engine: FakeEngine, tmp_path: Path
) -> None:
    path = tmp_path / "more.json"
    document = {"sip_trunks": [{"server_address": "192.0.2.90"}, {"id": 1, "description": "Renamed"}]}
    path.write_text(json.dumps(document), encoding="utf-8")
    dialog = import_dialog(window, path)
    assert summary(dialog).startswith("SIP trunk: 1 added, 1 changed")
    assert engine.applied == []
    dialog.findChild(QDialogButtonBox, "buttons").button(OK).click()
    assert len(engine.configuration.table("sip_trunks")) == 5
    window.findChild(QAction, "edit.undo").trigger()
    assert len(engine.configuration.table("sip_trunks")) == 4
    assert engine.configuration.find("sip_trunks", 1).description == "Carrier A"  # type: ignore[union-attr]


def test_replacing_everything_names_what_is_deleted(window: MainWindow, tmp_path: Path) -> None:
    path = tmp_path / "new.json"
    path.write_text('{"local_users": [{"number": "700"}]}', encoding="utf-8")
    dialog = import_dialog(window, path)
    dialog.findChild(QCheckBox, "replace").setChecked(True)
    assert "Local users: 1 added, 4 deleted" in summary(dialog)
    assert "SIP trunk: 4 deleted" in summary(dialog)
    dialog.reject()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"sip_trunks": [{"server_port": 0}]}', "sip_trunks[0].server_port: must be 1 to 65535"),
        (b'{"sip_trunk": []}', "unknown table (did you mean sip_trunks?)"),
        (b"{", "line 1, column 2: "),
        (b"\xff\xfe\x00", "is not a text in UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"system": {}, "system": {}}', '"system" is given twice in one object'),
        ('{"sip_trunk": []}'.encode("utf-16"), "unknown table (did you mean sip_trunks?)"),
        (b"{}", "nothing that is not here already"),
        (None, "could not be read"),
    ],
)
def test_a_file_that_cannot_be_taken_says_why(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)
    dialog = import_dialog(window, path)
    qtbot.waitUntil(lambda: words in summary(dialog))
    assert not can_import(dialog)
    dialog.reject()


def large_document(users: int) -> str:
    return json.dumps({"local_users": [{"number": str(10_000 + place)} for place in range(users)]})


def test_a_large_file_is_read_while_calls_go_on(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.write_text(large_document(3000), encoding="utf-8")
    dialog = import_dialog(window, path)
    assert summary(dialog) == "Reading the file ..."
    assert not can_import(dialog)
    qtbot.waitUntil(lambda: can_import(dialog), timeout=20_000)
    assert "Local users: 3000 added" in summary(dialog)
    dialog.reject()


def test_the_answer_is_for_the_file_that_is_named_now(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    large, small = tmp_path / "large.json", tmp_path / "small.json"
    large.write_text(large_document(3000), encoding="utf-8")
    small.write_text('{"local_users": [{"number": "700"}]}', encoding="utf-8")
    dialog = import_dialog(window, large)
    dialog.findChild(QLineEdit, "file").setText(str(small))
    assert not can_import(dialog)
    qtbot.waitUntil(lambda: can_import(dialog), timeout=20_000)
    assert summary(dialog).startswith("Local users: 1 added")
    large.unlink()
    dialog.reject()


def test_a_dialog_that_is_closed_while_the_file_is_read_is_no_trouble(
    window: MainWindow, engine: FakeEngine, qtbot: QtBot, tmp_path: Path
) -> None:
    path = tmp_path / "large.json"
    path.write_text(large_document(3000), encoding="utf-8")
    import_dialog(window, path).reject()
    qtbot.wait(10)
    QThreadPool.globalInstance().waitForDone()
    qtbot.wait(50)
    assert engine.applied == []


def test_what_was_shown_is_imported_and_a_change_by_somebody_else_is_shown_anew(
    window: MainWindow, engine: FakeEngine, qtbot: QtBot, tmp_path: Path
) -> None:
    path = tmp_path / "more.json"
    path.write_text('{"sip_trunks": [{"id": 1, "description": "Renamed"}]}', encoding="utf-8")
    dialog = import_dialog(window, path)
    assert summary(dialog).startswith("SIP trunk: 1 changed")
    trunk = engine.configuration.find("sip_trunks", 1)
    assert trunk is not None
    engine.change_elsewhere(Change("sip_trunks", trunk, trunk.model_copy(update={"description": "Renamed"})))
    qtbot.waitUntil(lambda: "nothing that is not here already" in summary(dialog))
    assert not can_import(dialog)
    dialog.reject()


@pytest.mark.skipif(os.name != "posix", reason="named pipes are elsewhere no files")
def test_a_pipe_is_not_waited_for(window: MainWindow, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    dialog = import_dialog(window, tmp_path / "pipe")
    assert summary(dialog) == "pipe is not a file."
    dialog.findChild(QLineEdit, "file").setText(str(tmp_path))
    assert summary(dialog) == f"{tmp_path.name} is not a file."
    dialog.reject()


def save_to(window: MainWindow, path: Path, qtbot: QtBot) -> str:
    dialog = window.findChild(QFileDialog, "dialog.file")
    dialog.setDirectory(str(path.parent))
    dialog.selectFile(str(path))
    dialog.accept()
    qtbot.waitUntil(path.exists)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("with_secrets", [False, True])
def test_an_export_holds_passwords_only_when_asked_for(
    window: MainWindow, tmp_path: Path, qtbot: QtBot, with_secrets: bool
) -> None:
    window.findChild(QAction, "file.export").trigger()
    dialog = window.findChild(QDialog, "dialog.export")
    dialog.findChild(QCheckBox, "with_secrets").setChecked(with_secrets)
    dialog.findChild(QDialogButtonBox, "buttons").button(OK).click()
    text = save_to(window, tmp_path / "out.json", qtbot)
    assert ("a-secret" in text) is with_secrets
    assert len(json.loads(text)["sip_trunks"]) == 4


def test_a_backup_holds_everything_for_its_owner_alone(
    window: MainWindow, engine: FakeEngine, tmp_path: Path, qtbot: QtBot
) -> None:
    window.findChild(QAction, "file.backup").trigger()
    path = tmp_path / "backup.json"
    assert "line-secret" in save_to(window, path, qtbot)
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0
    dialog = import_dialog(window, path)
    assert "nothing that is not here already" in summary(dialog)
    dialog.reject()


def test_a_second_start_raises_the_first_window(qtbot: QtBot, tmp_path: Path) -> None:
    first, second = SingleInstance(tmp_path), SingleInstance(tmp_path / ".")
    raised: list[bool] = []
    first.raised.connect(lambda: raised.append(True))
    assert first.claim()
    assert not second.claim()
    qtbot.waitUntil(lambda: raised == [True])
    first.release()
    assert second.claim()
    second.release()


def test_another_data_folder_is_another_program(qtbot: QtBot, tmp_path: Path) -> None:
    first, second = SingleInstance(tmp_path / "a"), SingleInstance(tmp_path / "b")
    assert first.claim()
    assert second.claim()
    first.release()
    second.release()


@pytest.mark.parametrize(
    ("page", "command", "name"),
    [("overview", "export_png", "a.png"), ("overview", "export_csv", "a.csv"), ("bans", "export_csv", "b.csv")],
)
def test_what_is_written_says_where_and_what_is_not_says_why(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, page: str, command: str, name: str
) -> None:
    """Every page's picture, figures or table: nobody has to look whether it is there."""
    action = window.open_page(page).findChild(QAction, command)
    notice = window.findChild(QLabel, "notice.text")
    for folder in (tmp_path, tmp_path / "missing"):
        action.trigger()
        dialog = window.findChild(QFileDialog, "dialog.file")
        dialog.fileSelected.emit(str(folder / name))
        dialog.reject()
    assert (tmp_path / name).stat().st_size > 20
    assert notice.text() == f"Written to {tmp_path / name}."
    message = window.findChild(QMessageBox, "dialog.message")
    assert f"{name} could not be written: No such file or directory." in message.text()
    message.close()
