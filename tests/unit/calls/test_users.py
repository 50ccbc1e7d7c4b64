"""Users' rows: offline, registered, ringing, talking, by their phones and calls."""

from __future__ import annotations

from simulation.world import Peer, Plan, World
from support.calling import configured

from app.calls.switch import Switch
from app.events import UserChanged, UserRow

TABLES: dict[str, object] = {
    "sip_trunks": [{"id": 1, "server_address": "192.0.2.7"}],
    "local_users": [
        {"number": "100", "password": "secret100", "display_name": "Anna"},
        {"number": "101", "password": "secret101", "description": "the desk"},
        {"number": "102", "password": "secret102", "trusted_address": "10.0.0.102"},
    ],
}


class Office:
    def __init__(self) -> None:
        self.world = World()
        self.switch: Switch = self.world.switch(TABLES)
        self.changes: list[UserRow] = []
        self.world.events.subscribe(UserChanged, lambda event: self.changes.append(event.row))

    def row(self, number: str = "100") -> UserRow:
        return next(row for row in self.switch.users.rows() if row.number == number)

    def states(self, number: str) -> list[str]:
        """The states that the user's rows went through."""
        found: list[str] = []
        for row in self.changes:
            if row.number == number and (not found or found[-1] != row.state.value):
                found.append(row.state.value)
        return found


def test_rows_in_the_order_of_the_records_with_their_names() -> None:
    office = Office()
    assert [(row.number, row.name, row.state.value) for row in office.switch.users.rows()] == [
        ("100", "Anna", "offline"),
        ("101", "the desk", "offline"),
        ("102", "", "registered"),
    ]


def test_a_registered_phone_with_its_contact_and_end() -> None:
    office = Office()
    Peer(office.world, "10.0.0.100").register("100", "secret100", expires=600)
    office.world.advance(1)
    row = office.row()
    assert (row.state.value, row.contacts) == ("registered", ("sip:100@10.0.0.100:5060",))
    assert 598 < row.expires_at - office.world.now <= 600
    office.world.advance(700)
    assert (office.row().state.value, office.row().expires_at) == ("offline", 0.0)
    assert office.states("100") == ["registered", "offline"]


def test_ringing_talking_and_back_at_both_ends_of_an_internal_call() -> None:
    office = Office()
    caller, called = Peer(office.world, "10.0.0.101"), Peer(office.world, "10.0.0.100")
    called.register("100", "secret100")
    caller.register("101", "secret101")
    office.world.advance(1)
    office.changes.clear()
    caller.call("100", Plan(hang_up_after=3), caller_number="101", password=("101", "secret101"))
    office.world.advance(0.5)
    assert (office.row("100").state.value, office.row("100").active_calls) == ("ringing", 1)
    assert (office.row("101").state.value, office.row("101").active_calls) == ("talking", 1)
    office.world.advance(20)
    assert office.states("100") == ["ringing", "talking", "registered"]
    assert office.states("101") == ["talking", "registered"]
    assert office.row("100").active_calls == office.row("101").active_calls == 0
    assert not office.switch.users._calls
    assert not office.switch.users._numbers


def test_changed_and_deleted_users() -> None:
    office = Office()
    gone: list[UserChanged] = []
    office.world.events.subscribe(UserChanged, gone.append)
    changed = dict(TABLES)
    changed["local_users"] = [{"number": "100", "password": "secret100", "display_name": "Berta"}]
    office.switch.configure(configured(**changed))
    assert [(event.row.number, event.row.name, event.gone) for event in gone] == [
        ("101", "the desk", True),
        ("102", "", True),
        ("100", "Berta", False),
    ]
    gone.clear()
    office.switch.configure(configured(**changed))
    assert gone == []
