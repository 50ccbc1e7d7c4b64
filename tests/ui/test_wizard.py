"""The wizard for a new trunk or line, driven as a person does: by its buttons and the names of its fields."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QTreeWidget,
)
from pytestqt.qtbot import QtBot
from support.fake_engine import FakeEngine
from support.letters import underlined_letters
from support.office import office

from app.dialplan.request import Source
from app.events import LineChanged, LineState, TrunkState
from app.records import (
    AnalyzeCalledNumber,
    Configuration,
    ExternalLine,
    NumberTransition,
    RefineCalledNumber,
    RoutingGroup,
    SipTrunk,
)
from ui.main_window import MainWindow
from ui.records.changes import new_values
from ui.records.record_form import MARK
from ui.wizard.plan import TrunkPlan
from ui.wizard.templates import Template, read_template, templates


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


def test_a_server_name_that_does_not_exist_is_said_to_be_unknown(person: Person, engine: FakeEngine) -> None:
    to_the_test(person)
    row = replace(engine.trunk_rows[5], reason="DNS: the name sip.nowhere.example does not exist")
    for state in (TrunkState.DEGRADED, TrunkState.DOWN):
        engine.set_trunk(replace(row, state=state))
        person.window.workspace.bridge.hand_over()
        assert person.said("state") == "The name of the server is not known"
        assert person.said("reason") == "DNS: the name sip.nowhere.example does not exist"
        assert person.said("advice").startswith("Check how the server address is written")
    engine.set_trunk(replace(row, state=TrunkState.UP, reason="it answers OPTIONS"))
    person.window.workspace.bridge.hand_over()
    assert person.said("advice") == "It answers. Calls can go there now."


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
    to_the_numbers(person)
    taken = engine.configuration.records(AnalyzeCalledNumber)[0]
    person.type("prefix", taken.prefix)
    person.wizard.findChild(QCheckBox, "second_choice").setChecked(False)
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


# --- the second choice -----------------------------------------------------------------------------------------------


def test_on_a_prefix_of_another_trunk_it_becomes_the_second_choice(
    person: Person, engine: FakeEngine, window: MainWindow, screenshot: Any
) -> None:
    before = engine.configuration
    to_the_numbers(person)
    assert not person.wizard.findChild(QCheckBox, "second_choice").isVisible()
    person.type("prefix", "13")
    assert person.wizard.findChild(QCheckBox, "second_choice").isVisible()
    assert not person.wizard.findChild(QCheckBox, "stripped").isVisible()
    person.type("sample", "135550")
    assert person.said("result") == (
        "100 dials 135550: 1 - Carrier A (192.0.2.8:5060) comes first; when it cannot take the call, "
        "5 - 192.0.2.60:5060 gets INVITE sip:135550@192.0.2.60:5060"
    )
    screenshot(person.wizard, "light-wizard-second-choice")
    person.press("add")
    route = engine.configuration.get(AnalyzeCalledNumber, 1)
    assert route is not None
    assert route.route_type == "routing_group"
    group = engine.configuration.get(RoutingGroup, route.target_id)
    assert group is not None
    assert [(each.target_id, each.priority) for each in group.members] == [(1, 1), (5, 2)]
    assert "Changed: called number record 1" in person.said("added")
    person.press("take_back")
    assert engine.configuration == before


def test_a_group_that_is_there_gets_one_more_member(person: Person, engine: FakeEngine) -> None:
    to_the_numbers(person)
    members = engine.configuration.records(RoutingGroup)[0].members
    person.type("prefix", "0")
    person.press("add")
    group = engine.configuration.records(RoutingGroup)[0]
    assert group.members[:-1] == members
    assert group.members[-1].target_id == 5
    assert group.members[-1].priority == max(each.priority for each in members) + 1
    assert len(engine.configuration.records(RoutingGroup)) == 1


def test_the_second_choice_rewrites_for_itself(person: Person, engine: FakeEngine) -> None:
    to_the_numbers(person)
    person.type("prefix", "13")
    person.type("sample", "135550")
    person.type("sent", "+135550")
    assert person.said("rewrite") == "Numbers on the way there: + is put before the number."
    assert person.said("result").endswith("gets INVITE sip:+135550@192.0.2.60:5060")
    person.press("add")
    trunk = engine.configuration.get(SipTrunk, 5)
    assert trunk is not None
    refinement = engine.configuration.records(RefineCalledNumber)[-1]
    assert refinement.outgoing_group_id == trunk.outgoing_group_id == 2
    first = engine.configuration.get(AnalyzeCalledNumber, 1)
    assert first is not None
    assert first.transition_id == 0


# --- examples of numbers ---------------------------------------------------------------------------------------------


def test_two_examples_say_how_numbers_are_rewritten(person: Person, engine: FakeEngine) -> None:
    to_the_numbers(person)
    person.type("prefix", "7")
    person.type("sample", "77301234567")
    person.type("sent", "49301234567")
    assert person.said("problem") == "Not all numbers with 7 begin with 77: make that the prefix."
    person.type("prefix", "77")
    assert person.said("rewrite") == "Numbers on the way there: 77 at the beginning becomes 49."
    assert person.said("result").endswith("gets INVITE sip:49301234567@192.0.2.60:5060")
    assert not person.wizard.findChild(QCheckBox, "stripped").isEnabled()
    person.type("sent", "123")
    assert person.said("problem") == "The number that is sent must end as the one that is dialled does."
    person.type("sample", "88301234567")
    assert "must begin with 77" in person.said("problem")
    person.type("sample", "77301234567")
    person.type("sent", "49301234567")
    person.press("add")
    transition = engine.configuration.get(
        NumberTransition, engine.configuration.records(AnalyzeCalledNumber)[-1].transition_id
    )
    assert transition is not None
    assert (transition.type, transition.start, transition.length, transition.digits) == ("replace", 0, 2, "49")


@pytest.mark.parametrize(
    ("incoming", "prefix", "target", "words"),
    [
        ("+493055101", "+493055", 0, "+493055 is taken away, and the user rings whose number is left: 101."),
        ("+493055777", "+493055777", 2, "+493055777 rings 101."),
    ],
)
def test_a_called_number_rings_a_user(
    person: Person, engine: FakeEngine, incoming: str, prefix: str, target: int, words: str
) -> None:
    to_the_numbers(person)
    person.type("prefix", "77")
    person.type("incoming", incoming)
    assert person.said("problem") == "Choose the local user that rings."
    rings = person.wizard.findChild(QComboBox, "rings")
    rings.setCurrentIndex(rings.findData("101"))
    assert person.said("incoming.words") == words
    person.press("add")
    assert len(engine.applied) == 1
    record = engine.configuration.records(AnalyzeCalledNumber)[-1]
    assert (record.prefix, record.route_type, record.target_id) == (prefix, "local_user", target)
    simulation = engine.simulate(Source.parse("trunk:5"), "+49301", incoming)
    assert [each.name for each in simulation.targets] == ["user:101"]


# --- templates -------------------------------------------------------------------------------------------------------


def choose_template(person: Person, name: str) -> None:
    items = person.wizard.findChild(QTreeWidget, "template")
    titles = items.findItems(templates()[name].title, Qt.MatchFlag.MatchExactly)
    items.setCurrentItem(titles[0])


def test_a_template_fills_the_form_and_marks_what_it_set(person: Person, engine: FakeEngine, screenshot: Any) -> None:
    person.wizard.findChild(QRadioButton, "kind.external_lines").setChecked(True)
    choose_template(person, "world_telnyx_europe")
    assert person.wizard.findChild(QRadioButton, "kind.sip_trunks").isChecked()
    assert "From: Telnyx" in person.said("template.words")
    screenshot(person.wizard, "light-wizard-template")
    person.press("next")
    form = person.wizard.currentPage().form
    assert form.rows["server_address"].label.text().endswith(MARK)
    assert not form.rows["description"].label.text().endswith(MARK)
    assert "Set by the template Telnyx, Europe" in form.rows["trusted_networks"].label.toolTip()
    screenshot(person.wizard, "light-wizard-template-peer")
    person.type("server_address", "sip.telnyx.com")
    assert not form.rows["server_address"].label.text().endswith(MARK)
    person.press("next")
    assert "+493012345678" in person.wizard.findChild(QLineEdit, "sent").placeholderText()
    person.type("prefix", "77")
    person.press("add")
    trunk = engine.configuration.get(SipTrunk, 5)
    assert trunk is not None
    assert trunk.server_address == "sip.telnyx.com"
    assert trunk.trusted_networks == ("185.246.41.140", "185.246.41.141")
    assert (trunk.description, trunk.max_calls_per_second) == ("Telnyx, Europe", 20)


def test_a_pasted_list_of_addresses_is_server_and_trusted_networks(person: Person, engine: FakeEngine) -> None:
    person.press("next")
    person.type("server_address", "192.0.2.60, 192.0.2.64/29;198.51.100.7")
    assert person.wizard.findChild(QLineEdit, "server_address").text() == "192.0.2.60"
    person.press("next")
    person.type("prefix", "77")
    person.press("add")
    trunk = engine.configuration.get(SipTrunk, 5)
    assert trunk is not None
    assert trunk.trusted_networks == ("192.0.2.64/29", "198.51.100.7")


def test_what_is_encrypted_is_said_with_the_transport(person: Person) -> None:
    """A carrier that insists on SRTP, or on none, answers 488: what stands in the form tells beforehand."""
    person.press("next")
    assert person.said("encryption").startswith("Neither the calls nor their audio are encrypted")
    transport = person.wizard.currentPage().findChild(QComboBox, "transport")
    port = person.wizard.currentPage().findChild(QSpinBox, "server_port")
    transport.setCurrentIndex(transport.findData("tls"))
    assert port.value() in (5060, 5061)
    port.setValue(5060)
    assert person.said("encryption").startswith("Port 5060 is mostly that of UDP and TCP, 5061 that of TLS. The calls")
    port.setValue(5061)
    assert person.said("encryption").startswith("The calls are encrypted on the way, their audio only where the phones")
    transport.setCurrentIndex(transport.findData("udp"))
    assert person.said("encryption").startswith("Port 5061 is mostly that of TLS")


def test_going_back_to_another_template_begins_anew(person: Person) -> None:
    choose_template(person, "fr_ovhcloud")
    person.press("next")
    assert person.wizard.findChild(QLineEdit, "server_address").text() == "siptrunk.ovh.net"
    assert person.wizard.findChild(QLineEdit, "account").placeholderText() == "e.g. 0033972320690"
    person.press("back")
    choose_template(person, "any_1_ip_trunk")
    person.press("next")
    assert person.wizard.currentPage().form.values()["server_address"] == ""
    assert not person.said("template.words")


@pytest.mark.parametrize("template", templates().values(), ids=lambda template: template.name)
def test_every_template_makes_a_record(template: Template) -> None:
    configuration = office()
    plan = TrunkPlan(template=template)
    plan.peer = {"server_address": "a.example", "account": "1"} | dict(template.examples) | dict(template.values)
    if template.kind is SipTrunk:
        del plan.peer["account"]
    assert plan.record(configuration).table == template.kind.table
    # Only what differs is in the file, but for the three that a person looks for first.
    plain = new_values(template.kind, configuration)
    for name, value in template.values.items():
        same = tuple(value) == plain[name] if isinstance(value, list) else value == plain[name]
        assert not same or name in ("server_port", "transport"), name
    assert template.source
    assert template.version >= 1
    date.fromisoformat(template.checked)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "local_users"}, "kind must be one of"),
        ({"values": {"acount": "1"}}, "acount is no field of"),
        ({"color": "red"}, r"unknown \['color'\]"),
    ],
)
def test_a_template_with_a_mistake_says_which(change: dict[str, Any], words: str) -> None:
    document = dict.fromkeys(("title", "country", "note", "source", "checked"), "") | {
        "kind": "sip_trunks",
        "version": 1,
    }
    assert read_template("x", document).kind is SipTrunk
    with pytest.raises(ValueError, match=words):
        read_template("x", document | change)


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


def test_it_can_be_gone_through_by_keys_alone(person: Person, window: MainWindow, qtbot: QtBot) -> None:
    """Each page begins with the focus where something is typed or chosen; no letter stands for two things."""

    def press(key: Qt.Key) -> None:
        qtbot.keyClick(person.wizard.focusWidget(), key)

    def type_there(text: str) -> None:
        qtbot.keyClicks(person.wizard.focusWidget(), text)

    tree = person.wizard.findChild(QTreeWidget, "template")
    chosen = tree.selectionModel()
    assert [index.column() for index in chosen.selectedIndexes()] == [0, 1, 2]
    for name, text in (("template", ""), ("server_address", "192.0.2.60"), ("prefix", "77")):
        assert person.wizard.focusWidget().objectName() == name
        letters = underlined_letters(person.wizard)
        assert letters == sorted(set(letters))
        type_there(text)
        press(Qt.Key.Key_Return)
    assert person.said("state")
    press(Qt.Key.Key_Return)
    assert not person.wizard.isVisible()
    assert window.workspace.configuration.records(SipTrunk)[-1].server_address == "192.0.2.60"
