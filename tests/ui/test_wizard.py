"""The wizard for a new trunk or line, driven as a person does: by its buttons and the names of its fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QCheckBox, QDialog, QLabel, QLineEdit, QPushButton, QRadioButton, QSpinBox
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine

from app.events import LineChanged, LineState, TrunkState
from app.records import AnalyzeCalledNumber, Configuration, ExternalLine, NumberTransition, SipTrunk
from ui.main_window import MainWindow


class Person:
    """Presses the buttons of the wizard."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self.window, self.qtbot = window, qtbot
        window.findChild(QAction, "tools.trunk_wizard").trigger()
        self.wizard: Any = window.findChild(QDialog, "dialog.trunk_wizard")
        assert self.wizard.isVisible()

    def press(self, name: str) -> None:
        button = self.wizard.findChild(QPushButton, name)
        assert button.isEnabled(), name
        assert button.isVisible(), name
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def can(self, name: str) -> bool:
        return bool(self.wizard.findChild(QPushButton, name).isEnabled())

    def type(self, field: str, text: str) -> None:
        self.wizard.findChild(QLineEdit, field).setText(text)

    def said(self, label: str) -> str:
        return str(self.wizard.currentPage().findChild(QLabel, label).text())


@pytest.fixture
def person(window: MainWindow, qtbot: QtBot) -> Person:
    return Person(window, qtbot)


def to_the_numbers(person: Person) -> None:
    """A trunk at 192.0.2.60."""
    person.press("next")
    person.type("server_address", "192.0.2.60")
    person.press("next")


def to_the_test(person: Person) -> None:
    """A trunk at 192.0.2.60 for 77."""
    to_the_numbers(person)
    person.type("prefix", "77")
    person.press("add")


def test_a_trunk_its_prefix_and_the_digits_to_remove_are_one_step(
    person: Person, engine: FakeEngine, window: MainWindow, qtbot: QtBot, screenshot: Any
) -> None:
    screenshot(person.wizard, "light-wizard-kind")
    before = engine.configuration
    person.press("next")
    assert not person.can("next")
    assert person.said("problem").startswith("To go on: Server address is required")
    person.type("server_address", "192.0.2.60")
    person.type("description", "Carrier C")
    screenshot(person.wizard, "light-wizard-peer")
    person.press("next")
    assert not person.can("add")
    person.type("prefix", "77")
    person.wizard.findChild(QCheckBox, "stripped").setChecked(True)
    person.type("sample", "7712345")
    assert person.said("result") == (
        "100 dials 7712345: 5 - Carrier C (192.0.2.60:5060) gets INVITE sip:12345@192.0.2.60:5060"
    )
    screenshot(person.wizard, "light-wizard-numbers")
    assert engine.applied == []
    person.press("add")
    assert len(engine.applied) == 1
    trunk = engine.configuration.get(SipTrunk, 5)
    assert trunk is not None
    assert (trunk.server_address, trunk.description, trunk.options_interval) == ("192.0.2.60", "Carrier C", 60)
    route = engine.configuration.records(AnalyzeCalledNumber)[-1]
    assert (route.prefix, route.route_type, route.target_id) == ("77", "sip_trunk", 5)
    transition = engine.configuration.get(NumberTransition, route.transition_id)
    assert transition is not None
    assert (transition.type, transition.start, transition.length) == ("delete", 0, 2)
    assert "SIP trunk 5 - Carrier C (192.0.2.60:5060)" in person.said("added")
    screenshot(person.wizard, "light-wizard-test")
    person.press("finish")
    page: Any = window.current_page()
    assert page.objectName() == "page.sip_trunks"
    assert page.view.selected_keys() == [5]
    window.workspace.history.stack.undo()
    assert engine.configuration == before


def test_the_test_says_what_the_other_side_answers(person: Person, engine: FakeEngine, qtbot: QtBot) -> None:
    row = engine.trunk_rows[1]
    to_the_test(person)
    row = replace(row, id=5, state=TrunkState.UNKNOWN, reason="nothing was heard from it yet", round_trip_ms=0.0)
    engine.set_trunk(row)
    qtbot.waitUntil(lambda: person.said("state") == "Waiting for the answer ...")
    engine.set_trunk(replace(row, state=TrunkState.DOWN, reason="it does not answer OPTIONS"))
    qtbot.waitUntil(lambda: person.said("state") == "Down")
    assert person.said("reason") == "it does not answer OPTIONS"
    assert "Check address, port" in person.said("advice")
    engine.set_trunk(replace(row, state=TrunkState.UP, last_status=200, round_trip_ms=12.3))
    qtbot.waitUntil(lambda: person.said("state") == "Up, answered 200 in 12 ms")
    engine.set_trunk(replace(row, id=1, state=TrunkState.DOWN))
    qtbot.wait(10)
    assert person.said("state").startswith("Up")


def test_what_was_added_can_be_taken_back(person: Person, engine: FakeEngine, window: MainWindow) -> None:
    before = engine.configuration
    to_the_test(person)
    assert engine.configuration != before
    person.press("take_back")
    assert engine.configuration == before
    assert window.findChild(QDialog, "dialog.trunk_wizard") is None


def test_it_is_not_taken_back_over_what_was_done_since(person: Person, engine: FakeEngine, window: MainWindow) -> None:
    to_the_test(person)
    page: Any = window.open_page("number_lists")
    page.view.select_keys([1])
    page.delete()
    person.press("take_back")
    assert engine.configuration.get(SipTrunk, 5) is not None
    assert window.findChild(QLabel, "notice.text").text().startswith("Something else was changed since")


def test_an_account_registers_and_rings_a_user(person: Person, engine: FakeEngine, qtbot: QtBot) -> None:
    person.wizard.findChild(QRadioButton, "kind.external_lines").setChecked(True)
    person.press("next")
    person.type("server_address", "sip.provider.example")
    assert not person.can("next")
    person.type("account", "49301112")
    person.type("password", "a-secret")
    person.type("local_user", "101")
    person.press("next")
    person.wizard.findChild(QCheckBox, "routed").setChecked(False)
    person.press("add")
    assert len(engine.applied[0]) == 1
    line = engine.configuration.records(ExternalLine)[-1]
    assert (line.account, line.local_user) == ("49301112", "101")
    row = replace(engine.line_rows[line.id], state=LineState.REJECTED, last_status=403, reason="403 Forbidden")
    engine.line_rows[line.id] = row
    engine.events.publish(LineChanged(row))
    qtbot.waitUntil(lambda: person.said("state") == "Rejected (403)")
    assert "Check account, password" in person.said("advice")
    assert "a-secret" not in person.said("added")


def test_a_prefix_that_is_taken_is_said(person: Person, engine: FakeEngine) -> None:
    person.press("next")
    person.type("server_address", "192.0.2.60")
    person.press("next")
    taken = engine.configuration.records(AnalyzeCalledNumber)[0]
    person.type("prefix", taken.prefix)
    assert person.said("problem").startswith(f"{taken.prefix} is already called number record 1")
    assert not person.can("add")
    person.type("prefix", "12 / 13")
    assert not person.can("add")
    assert person.said("problem")
    person.type("prefix", "")
    assert "untick" in person.said("problem")
    assert not person.can("add")


def test_a_prefix_that_is_too_long_is_said(person: Person) -> None:
    to_the_numbers(person)
    person.wizard.findChild(QCheckBox, "stripped").setChecked(True)
    person.type("prefix", "7" * 200)
    assert "must be" in person.said("problem")
    assert not person.can("add")
    person.type("prefix", "77")
    assert person.can("add")


def test_what_cannot_be_taken_back_is_not_said_to_be(person: Person, engine: FakeEngine, window: MainWindow) -> None:
    to_the_test(person)
    engine.can_save = False
    notices: list[str] = []
    window.workspace.noticed.connect(lambda text, *_: notices.append(text))
    person.press("take_back")
    assert engine.configuration.find(SipTrunk.table, 5) is not None
    assert not any("were taken back" in text for text in notices)


def test_a_trunk_that_is_not_probed_is_not_waited_for(person: Person, engine: FakeEngine, qtbot: QtBot) -> None:
    person.press("next")
    person.type("server_address", "192.0.2.60")
    person.wizard.findChild(QSpinBox, "options_interval").setValue(0)
    person.press("next")
    person.wizard.findChild(QCheckBox, "routed").setChecked(False)
    person.press("add")
    engine.set_trunk(replace(engine.trunk_rows[5], state=TrunkState.UNKNOWN, reason="it is not probed"))
    qtbot.waitUntil(lambda: person.said("state") == "Unknown")
    assert "place a call" in person.said("advice")


def test_cancel_adds_nothing(person: Person, engine: FakeEngine, window: MainWindow) -> None:
    person.press("next")
    person.press("cancel")
    assert engine.applied == []
    assert window.findChild(QDialog, "dialog.trunk_wizard") is None


def test_an_empty_table_offers_the_wizard(window: MainWindow, engine: FakeEngine) -> None:
    engine.configuration = Configuration()
    page: Any = window.open_page("sip_trunks")
    page.reload()
    page.view.empty_hint.findChild(QPushButton, "empty_wizard").click()
    assert window.findChild(QDialog, "dialog.trunk_wizard").isVisible()
