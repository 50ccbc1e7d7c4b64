"""The guard in front of a whole server: floods, scanners, wrong passwords, lists; and who is never touched."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import RawPeer
from simulation.test_authentication import STRANGER, Door, document
from simulation.world import Peer, Plan

from app.events import Ban, BansChanged
from app.records import Configuration
from app.records.document import read_document
from app.sip.message import Response


def heard(door: Door) -> bool:
    """Whether a question of the peer is answered now."""
    before = len(door.peer.received)
    door.ask("OPTIONS", from_host="elsewhere.example")
    return len(door.peer.received) > before


def test_ten_wrong_passwords_ban_and_the_ban_ends_by_time() -> None:
    door = Door(ban_seconds=600)
    changes: list[tuple[Ban, ...]] = []
    door.wire.world.events.subscribe(BansChanged, lambda event: changes.append(event.bans))
    for _ in range(9):
        assert door.log_in("REGISTER", "100", "wrong").status == 403
    assert not door.wire.switch.guard.bans()
    assert door.log_in("REGISTER", "100", "wrong").status == 403
    (ban,) = door.wire.switch.guard.bans()
    assert ban.address == STRANGER
    assert "10 times a wrong password" in ban.reason
    assert ban.until - ban.since == 600
    assert [len(bans) for bans in changes] == [1]
    assert not heard(door)
    door.wire.advance(590)
    assert not heard(door)
    door.wire.advance(11)
    door.wire.switch.sample()
    assert [len(bans) for bans in changes] == [1, 0]
    assert heard(door)
    assert door.log_in("REGISTER", "100", "secret100").status == 200


def test_unknown_users_count_like_wrong_passwords() -> None:
    """Otherwise the ban would tell which users exist."""
    door = Door()
    for number in range(10):
        door.log_in("REGISTER", str(900 + number), "wrong", from_user=str(900 + number), to=str(900 + number))
    assert door.wire.switch.guard.bans()


def test_wrong_passwords_spread_over_a_longer_time_do_not_ban() -> None:
    door = Door()
    for _ in range(30):
        door.log_in("REGISTER", "100", "wrong")
        door.wire.advance(7)
    assert not door.wire.switch.guard.bans()


def test_a_ban_can_be_lifted() -> None:
    door = Door()
    for _ in range(10):
        door.log_in("REGISTER", "100", "wrong")
    assert not heard(door)
    door.wire.switch.guard.lift(STRANGER)
    assert not door.wire.switch.guard.bans()
    assert heard(door)
    for _ in range(9):
        assert door.log_in("REGISTER", "100", "wrong").status == 403
    assert not door.wire.switch.guard.bans()


@pytest.mark.parametrize("how", ["trunk", "accepted network", "trusted user"])
def test_who_is_known_is_never_banned(how: str) -> None:
    made = document()
    host = "10.0.0.103" if how == "trusted user" else STRANGER
    if how == "trunk":
        made["sip_trunks"].append({"id": 9, "server_address": STRANGER})  # type: ignore[attr-defined]
    elif how == "accepted network":
        made["address_lists"] = [{"network": "203.0.113.0/24", "action": "accept"}]
    door = Door(host)
    door.wire.switch.configure(read_document(made, Configuration(), replace=True))
    for _ in range(30):
        door.log_in("REGISTER", "100", "wrong")
    assert not door.wire.switch.guard.bans()
    assert heard(door)


def test_a_new_trunk_at_a_banned_address_is_heard_at_once() -> None:
    """One click in the rejected sources makes it a trunk: then it must work."""
    door = Door()
    for _ in range(10):
        door.log_in("REGISTER", "100", "wrong")
    assert door.wire.switch.guard.bans()
    made = document()
    made["sip_trunks"].append({"id": 9, "server_address": STRANGER})  # type: ignore[attr-defined]
    door.wire.switch.configure(read_document(made, Configuration(), replace=True))
    assert not door.wire.switch.guard.bans()
    up = door.peer.invite("135550")
    door.wire.advance()
    assert door.wire.carrier.requests("INVITE")
    up.cancel()
    door.wire.advance()


def test_a_dropped_network_is_not_read_and_the_longest_network_decides() -> None:
    made = document()
    made["address_lists"] = [
        {"network": "203.0.113.0/24", "action": "drop"},
        {"network": "203.0.113.64/26", "action": "accept"},
    ]
    for host, answered in ((STRANGER, False), ("203.0.113.70", True), ("203.0.114.1", True)):
        door = Door(host)
        door.wire.switch.configure(read_document(made, Configuration(), replace=True))
        assert heard(door) is answered
    assert door.wire.switch.guard.dropped == 0


def test_a_trunk_in_a_dropped_network_is_dropped() -> None:
    """The address list comes first (design section 6)."""
    made = document()
    made["address_lists"] = [{"network": "192.0.2.7/32", "action": "drop"}]
    door = Door("192.0.2.7")
    door.wire.switch.configure(read_document(made, Configuration(), replace=True))
    door.peer.invite("135550")
    door.wire.advance()
    assert not door.peer.received


@pytest.mark.parametrize("agent", ["friendly-scanner", "sipvicious 0.3", "PPLSIP", "VaxSIPUserAgent/3.1"])
@pytest.mark.parametrize(
    ("method", "from_host"),
    [("OPTIONS", "x.example"), ("REGISTER", "10.0.0.5"), ("INVITE", "10.0.0.5")],
)
def test_scanners_are_known_by_their_name(agent: str, method: str, from_host: str) -> None:
    """Whatever they ask, they hear nothing: not even that there is a SIP server."""
    door = Door()
    door.ask(method, user_agent=agent, from_host=from_host)
    (ban,) = door.wire.switch.guard.bans()
    assert ban.reason.startswith("scanner: User-Agent")
    assert not door.peer.received
    assert not heard(door)
    (row,) = door.wire.switch.rejected.rows()
    assert row.user_agent == agent


def test_a_stranger_that_tries_many_numbers_is_scanning() -> None:
    door = Door()
    for number in range(12):
        door.ask("INVITE", from_host="x.example", to=f"00{number}390123")
    assert "tried 10 numbers" in door.wire.switch.guard.bans()[0].reason
    assert len([each for each in door.peer.received if isinstance(each, Response)]) == 10


def test_who_claims_to_be_a_user_and_tries_many_numbers_is_scanning() -> None:
    """Each INVITE is challenged and none answered: seen once the answers are overdue."""
    door = Door()
    for number in range(12):
        door.ask("INVITE", to=f"00{number}390123")
    assert not door.wire.switch.guard.bans()
    door.wire.advance(11)
    assert door.wire.switch.guard.bans()


def test_a_phone_that_dials_many_numbers_is_no_scanner() -> None:
    door = Door("10.0.0.50")
    phone = Peer(door.wire.world, "10.0.0.50")
    for number in range(15):
        phone.call(f"13{number:03d}", Plan(cancel_after=0.3), caller_number="100", password=("100", "secret100"))
        door.wire.advance(1)
    door.wire.advance(20)
    assert not door.wire.switch.guard.bans()


def test_a_forged_scanner_does_not_have_a_registered_phone_banned() -> None:
    door = Door()
    assert door.log_in("REGISTER", "100", "secret100").status == 200
    door.ask("INVITE", user_agent="friendly-scanner", from_host="x.example")
    for number in range(12):
        door.ask("INVITE", from_host="x.example", to=f"00{number}390123")
    assert not door.wire.switch.guard.bans()
    assert any(row.user_agent == "friendly-scanner" for row in door.wire.switch.rejected.rows())
    door.wire.advance(11)
    assert not door.wire.switch.guard.bans()
    assert heard(door)


def test_a_stranger_that_calls_one_number_again_and_again_is_only_listed() -> None:
    """A carrier whose trunk is not set up yet."""
    door = Door()
    for _ in range(50):
        door.ask("INVITE", from_host="x.example", to="135550")
    assert not door.wire.switch.guard.bans()
    assert door.wire.switch.rejected.rows()[0].count == 50


def test_a_flood_is_cut_off_and_trunks_go_on() -> None:
    door = Door(max_messages_per_second=100)
    w = door.wire
    flood = RawPeer(w.world, "203.0.113.99")
    request = door.ask("OPTIONS", from_host="x.example")
    for second in range(3):
        for _ in range(1000):
            request.replace("Via", flood.via())
            flood.send(request)
            w.world.advance(0.001)
        if second == 1:
            up = w.caller.invite("135550")
            w.advance()
            assert w.carrier.requests("INVITE")
            up.cancel()
            w.carrier.incoming().respond(487)
    answered = len(flood.received)
    # Two seconds' worth may be saved up, then so many a second.
    assert 200 <= answered <= 200 + 3 * 100 + 5
    assert w.switch.guard.dropped >= 2400
    w.advance(5)
    assert heard(door)


def test_the_rate_is_unlimited_at_0_and_trunks_are_always_exempt() -> None:
    for host, system in ((STRANGER, {"max_messages_per_second": 0}), ("192.0.2.7", {"max_messages_per_second": 1})):
        door = Door(host, **system)
        for _ in range(300):
            door.ask("OPTIONS", from_host="x.example")
        assert door.wire.switch.guard.dropped == 0


def configured(**system: Any) -> Configuration:
    return read_document(document(**system), Configuration(), replace=True)


def test_bans_are_off_at_0() -> None:
    door = Door(ban_failures=0)
    for _ in range(30):
        door.log_in("REGISTER", "100", "wrong")
    door.ask("OPTIONS", user_agent="friendly-scanner")
    assert not door.wire.switch.guard.bans()
    door.wire.switch.configure(configured(ban_failures=2))
    for _ in range(2):
        door.log_in("REGISTER", "100", "wrong")
    assert door.wire.switch.guard.bans()
