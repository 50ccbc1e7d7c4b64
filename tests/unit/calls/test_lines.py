"""Lines alone: their names, pauses and rows; whole registrations stand in tests/simulation/test_lines.py."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import RawPeer, calm_world
from simulation.world import World
from support.calling import configured

from app.calls.counters import Counted
from app.calls.lines import FIRST_BACK_OFF, LONGEST_BACK_OFF, username_of
from app.calls.switch import Switch
from app.events import LineChanged, LineRow
from app.records import ExternalLine
from app.sip.message import Request, Response

PROVIDER = "198.51.100.1"


def tables(**line: Any) -> dict[str, Any]:
    return {
        "external_lines": [
            {"id": 1, "account": "acc", "password": "pw", "server_address": PROVIDER, "local_user": "100", **line}
        ],
        "local_users": [{"number": "100", "password": "p"}],
    }


class Registering:
    """A line, and a provider whose answers to REGISTER the test chooses."""

    def __init__(self, *answers: int, headers: tuple[tuple[str, str], ...] = (), **line: Any) -> None:
        self.world: World = calm_world()
        self.answers = list(answers)
        self.headers = headers
        self.at: list[float] = []
        self.provider = RawPeer(self.world, PROVIDER)
        self.provider.on_message = self._answer
        self.switch: Switch = self.world.switch(tables(**line))
        self.began = self.world.now

    def _answer(self, message: Request | Response) -> None:
        if isinstance(message, Request):
            self.at.append(self.world.now - self.began)
            status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if status:
                contact = [("Contact", message.get("Contact") or "")] if status == 200 else []
                self.provider.send(message.answer(status, None, "t", [*contact, *self.headers]))

    @property
    def row(self) -> LineRow:
        (row,) = self.switch.lines.rows()
        return row


@pytest.mark.parametrize(("fields", "name"), [({}, "acc"), ({"authorization_id": "a@b"}, "a@b")])
def test_the_digest_user_name(fields: dict[str, str], name: str) -> None:
    assert username_of(configured(**tables(**fields)).records(ExternalLine)[0]) == name


def test_a_refused_account_is_tried_less_and_less_often() -> None:
    r = Registering(403)
    r.world.advance(7200)
    pauses = [later - earlier for earlier, later in zip(r.at, r.at[1:], strict=False)]
    assert 25 <= pauses[0] <= 65
    assert all(pause <= LONGEST_BACK_OFF + 1 for pause in pauses)
    assert max(pauses) >= LONGEST_BACK_OFF / 2
    assert len(r.at) < 40
    assert r.row.state.value == "rejected"
    assert r.row.last_status == 403


def test_a_server_in_trouble_is_tried_sooner_but_not_hammered() -> None:
    r = Registering(503)
    r.world.advance(120)
    pauses = [later - earlier for earlier, later in zip(r.at, r.at[1:], strict=False)]
    assert FIRST_BACK_OFF / 2 <= pauses[0] <= FIRST_BACK_OFF + 0.1
    assert pauses[-1] > pauses[0]
    assert len(r.at) < 12


def test_retry_after_is_kept() -> None:
    r = Registering(403, headers=(("Retry-After", "300 (maintenance)"),))
    r.world.advance(299)
    assert len(r.at) == 1
    r.world.advance(10)
    assert len(r.at) == 2


@pytest.mark.parametrize("granted", [30, 60, 3600])
def test_refreshed_before_the_end(granted: int) -> None:
    r = Registering(200, headers=(("Expires", str(granted)),), register_expires=granted)
    r.world.advance(granted * 3)
    pauses = [later - earlier for earlier, later in zip(r.at, r.at[1:], strict=False)]
    assert all(granted * 0.4 <= pause < granted for pause in pauses)
    assert r.row.state.value == "registered"
    assert r.switch.lines.down(1) == ""


def test_rows_show_calls_and_changes() -> None:
    r = Registering(200)
    changes: list[LineChanged] = []
    r.world.events.subscribe(LineChanged, changes.append)
    r.world.advance(1)
    assert [event.row.state.value for event in changes] == ["registering", "registered"]
    changes.clear()
    hold = r.switch.counters.hold(Counted.LINE_OUT, 1)
    assert changes[-1].row.active_out == 1
    hold.release()
    r.switch.configure(configured(**tables(description="x")))
    assert len(r.at) == 1
    r.switch.configure(configured())
    assert changes[-1].gone


def test_register_now_does_not_disturb_a_registration_under_way() -> None:
    r = Registering(0)
    r.world.advance(0.1)
    assert len(r.at) == 1
    r.switch.lines.register_now()
    r.world.advance(0.1)
    assert len(r.at) == 1


def test_a_disabled_line_keeps_quiet() -> None:
    r = Registering(200, enabled=False)
    r.world.advance(1000)
    assert r.at == []
    assert (r.row.state.value, r.row.reason) == ("disabled", "disabled in its record")
    r.switch.lines.register_now(1)
    r.world.advance(10)
    assert r.at == []


def test_a_line_that_does_not_exist() -> None:
    r = Registering(200)
    assert r.switch.lines.authorize(99) is None
    r.switch.lines.publish(99)
    r.switch.lines.register_now(99)
    assert r.switch.lines.down(99) == "it does not exist"
