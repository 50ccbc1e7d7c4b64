"""The simulator: the question, the steps, the targets, refusals, and the test numbers that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QListWidget, QPlainTextEdit, QPushButton, QTextBrowser
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine

from app.records import AnalyzeCalledNumber, Change, SipTrunk
from ui.kept_numbers import KeptNumbers
from ui.main_window import MainWindow
from ui.settings import Settings
from ui.simulator import SimulatorPage


@pytest.fixture
def page(window: MainWindow) -> SimulatorPage:
    window.findChild(QAction, "dial_plan.simulator").trigger()
    page = window.current_page()
    assert isinstance(page, SimulatorPage)
    return page


def ask(page: SimulatorPage, called: str, source: str = "user:100") -> None:
    box = page.findChild(QComboBox, "source")
    box.setCurrentIndex(box.findData(source))
    page.findChild(QLineEdit, "called").setText(called)
    page.findChild(QPushButton, "simulate").click()


def verdict(page: SimulatorPage) -> str:
    return str(page.findChild(QLabel, "verdict").text())


def test_of_a_long_chain_of_next_trunks_a_few_are_named(page: SimulatorPage, engine: FakeEngine) -> None:
    chain = [
        SipTrunk(id=number, server_address=f"192.0.2.{number}", next_trunk_id=number + 1 if number < 30 else 0)
        for number in range(20, 31)
    ]
    route = AnalyzeCalledNumber(id=20, prefix="88", route_type="sip_trunk", target_id=20)
    engine.apply([Change(each.table, None, each) for each in (*chain, route)])
    ask(page, "8855")
    assert verdict(page).endswith(", then SIP trunk 21 - 192.0.2.21:5060, SIP trunk 22 - 192.0.2.22:5060, 8 more")
    assert page.findChild(QListWidget, "targets").count() == 11


def test_users_trunks_and_lines_can_call(page: SimulatorPage) -> None:
    box = page.findChild(QComboBox, "source")
    names = [box.itemData(place) for place in range(box.count())]
    assert names == [*(f"user:{number}" for number in range(100, 104)), *(f"trunk:{n}" for n in range(1, 5)), "line:1"]


def test_a_number_leads_to_its_trunk_with_the_exact_invite(page: SimulatorPage) -> None:
    ask(page, "135550")
    assert verdict(page).startswith("Goes to SIP trunk 1 - Carrier A as 135550")
    targets = page.findChild(QListWidget, "targets")
    assert [targets.item(place).text().split(":")[0] for place in range(targets.count())] == [
        "1.  SIP trunk 1 - Carrier A",
        "2.  SIP trunk 2 - Carrier B",
    ]
    invite = page.findChild(QPlainTextEdit, "invite")
    assert invite.toPlainText().startswith("INVITE sip:135550@192.0.2.8:5060 SIP/2.0\n")
    targets.setCurrentRow(1)
    assert invite.toPlainText().startswith("INVITE sip:135550@198.51.100.20:5080 SIP/2.0\n")


def test_steps_name_the_record_that_won_and_those_that_lost(page: SimulatorPage) -> None:
    ask(page, "00331")
    text = page.findChild(QTextBrowser, "steps").toPlainText()
    assert "called number" in text
    assert "not used" in text


def test_a_step_leads_to_its_record(page: SimulatorPage, window: MainWindow) -> None:
    ask(page, "135550")
    assert "record:analyze_called_numbers/1" in page.steps.toHtml()
    page.steps.anchorClicked.emit(QUrl("record:analyze_called_numbers/1"))
    current: Any = window.current_page()
    assert current.objectName() == "page.analyze_called_numbers"
    assert current.view.selected_keys() == [1]


@pytest.mark.parametrize(
    ("called", "source", "words"),
    [
        ("9005", "user:100", "Refused: 403"),
        ("2000", "user:100", "Refused: 503"),
        ("nowhere", "user:100", "Refused: 404"),
        ("135550", "address:203.0.113.1:5060", "Refused: 403"),
        ("135550", "somebody", "'somebody' is not a source"),
        ("", "user:100", "Type a called number"),
    ],
)
def test_a_refusal_is_told_in_words(page: SimulatorPage, called: str, source: str, words: str) -> None:
    page.fill(source, "", called)
    assert verdict(page).startswith(words)
    assert page.targets.count() == 0
    assert page.invite.toPlainText() == ""


def test_a_change_of_the_dial_plan_is_simulated_at_once(page: SimulatorPage, engine: FakeEngine, qtbot: QtBot) -> None:
    ask(page, "135550")
    record = engine.configuration.find("analyze_called_numbers", 1)
    assert record is not None
    engine.change_elsewhere(Change(record.table, record, record.model_copy(update={"target_id": 2})))
    qtbot.waitUntil(lambda: verdict(page).startswith("Goes to SIP trunk 2"))


def test_another_time_has_other_business_hours(page: SimulatorPage, engine: FakeEngine, qtbot: QtBot) -> None:
    record, system = engine.configuration.find("analyze_called_numbers", 1), engine.configuration.system
    assert record is not None
    engine.change_elsewhere(
        Change(system.table, system, system.model_copy(update={"business_hours": "Mon-Fri 08:00-18:00"})),
        Change(record.table, record, record.model_copy(update={"call_level_outside_hours": 77})),
    )
    time = page.findChild(QLineEdit, "at")
    for written, words in (
        ("2026-11-23 22:00", "Refused: 403 Forbidden: user:100 may not call numbers of call level 77"),
        ("2026-11-23 10:00", "Goes to SIP trunk 1"),
        ("at night", "'at night' is not a time: write 2026-11-23 22:00, Mon 22:00 or 22:00"),
    ):
        time.setText(written)
        ask(page, "135550")
        assert verdict(page).startswith(words)
        assert ("it is Mon" in page.steps.toPlainText()) == (written != "at night")
    page.fill("user:100", "", "135550")
    assert time.text() == ""
    assert verdict(page).startswith("Goes to SIP trunk 1")


def test_kept_numbers_say_when_they_go_another_way_and_can_be_accepted(
    page: SimulatorPage, engine: FakeEngine, window: MainWindow, qtbot: QtBot
) -> None:
    for number in ("135550", "101"):
        ask(page, number)
        page.findChild(QPushButton, "keep").click()
    table = page.kept
    verdicts = [table.model.cells(key)[0].text for key in tuple(table.model.keys())]
    assert verdicts == ["as kept", "as kept"]
    record = engine.configuration.find("analyze_called_numbers", 1)
    assert record is not None
    window.workspace.history.perform(
        "Change", [Change(record.table, record, record.model_copy(update={"target_id": 2}))]
    )
    key = "user:100\t\t135550"
    assert table.model.cells(key)[0].text == "goes another way"
    table.view.select_keys([key])
    table.commands["accept"].trigger()
    assert table.model.cells(key)[0].text == "as kept"
    table.view.select_keys([key])
    table.commands["delete"].trigger()
    assert list(table.model.keys()) == ["user:100\t\t101"]


def test_kept_numbers_outlive_the_program_and_nonsense_in_the_file(
    page: SimulatorPage, tmp_path: Path, window: MainWindow
) -> None:
    ask(page, "135550")
    page.keep_number()
    settings = window.workspace.settings
    settings.set_texts("simulator/test_numbers", [*settings.texts("simulator/test_numbers"), "nonsense", "a\tb\tc\td"])
    settings.save()
    assert list(KeptNumbers(Settings(tmp_path / "window.ini")).all) == ["user:100\t\t135550"]
