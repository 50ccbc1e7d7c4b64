"""The guard alone: buckets, bans, scanners, lists, and how much it remembers."""

from __future__ import annotations

from typing import Any

import pytest
from support.calling import configured

from app.calls import guard as guard_module
from app.calls.guard import (
    FAILURE_WINDOW,
    MAXIMUM_BANS,
    MAXIMUM_SOURCES,
    NUMBERS_OF_A_SCANNER,
    VOUCHED_SECONDS,
    Guard,
)

HOST, TRUNK = "203.0.113.5", "192.0.2.8"


class Homes(set[tuple[str, int]]):
    """Where phones are registered (Phones)."""

    def has_phones(self, host: str) -> bool:
        return any(host == where for where, _port in self)

    def is_source(self, host: str, port: int) -> bool:
        return (host, port) in self


class Guarded:
    """A guard with the trunk's address trusted, and how often its bans changed."""

    def __init__(self, **tables: Any) -> None:
        self.changes = 0
        self.phones = Homes()
        self.guard = Guard(lambda: 5000.0, self._changed, self.phones)
        self.configure(**tables)

    def _changed(self) -> None:
        self.changes += 1

    def configure(self, *, trusted: tuple[str, ...] = (TRUNK,), **tables: Any) -> None:
        self.guard.configure(configured(**tables), lambda host: host in trusted)


def admitted(guard: Guard, count: int, now: float, host: str = HOST) -> int:
    return sum(guard.admit(host, 5060, now) for _ in range(count))


def test_the_bucket_holds_two_seconds_worth_and_fills_by_time() -> None:
    guard = Guarded(system={"max_messages_per_second": 50, "ban_failures": 0}).guard
    assert admitted(guard, 500, 10.0) == 100
    assert admitted(guard, 500, 10.0) == 0
    assert admitted(guard, 500, 10.5) == 25
    assert admitted(guard, 500, 100.0) == 100
    assert guard.dropped == 400 + 500 + 475 + 400


def test_each_address_has_its_own_bucket_and_trunks_have_none() -> None:
    guard = Guarded(system={"max_messages_per_second": 1}).guard
    assert admitted(guard, 10, 0.0) == 2
    assert admitted(guard, 10, 0.0, "203.0.113.6") == 2
    assert admitted(guard, 1000, 0.0, TRUNK) == 1000


def test_a_clock_that_stands_still_gives_nothing_away() -> None:
    guard = Guarded(system={"max_messages_per_second": 10}).guard
    assert admitted(guard, 1000, 7.0) == 20
    for _ in range(100):
        assert not guard.admit(HOST, 5060, 7.0)


def test_who_goes_on_flooding_is_cut_off_for_a_minute() -> None:
    guarded = Guarded(system={"max_messages_per_second": 50})
    guard = guarded.guard
    assert admitted(guard, 100 + 150, 10.0) == 100
    assert not guard.bans()
    assert admitted(guard, 5000, 10.0) == 0
    (ban,) = guard.bans()
    assert ban.reason == "flood: more than 50 messages per second"
    assert (ban.since, ban.until) == (5000.0, 5060.0)
    assert admitted(guard, 100, 69.0) == 0
    assert admitted(guard, 10, 71.0) == 10
    assert not guard.bans()


def test_bursts_with_pauses_between_them_are_no_flood() -> None:
    guard = Guarded(system={"max_messages_per_second": 50}).guard
    for burst in range(20):
        assert admitted(guard, 200, 10.0 + 2 * burst) == 100
    assert not guard.bans()


def test_where_phones_are_a_flood_is_bounded_but_not_cut_off() -> None:
    guard = Guarded(system={"max_messages_per_second": 50}).guard
    guard.admit(HOST, 5060, 9.0)
    guard.vouch(HOST, 0.0)
    assert admitted(guard, 5000, 10.0) == 100
    assert admitted(guard, 5000, 11.0) == 50
    assert not guard.bans()


def test_what_can_be_forged_bans_nobody_where_phones_are() -> None:
    """One datagram with a forged address must not silence an office for an hour."""
    guard = Guarded(system={"max_messages_per_second": 50}).guard
    guard.admit(HOST, 5060, 9.0)
    guard.vouch(HOST, 10.0)
    assert guard.scans(HOST, "friendly-scanner", 11.0), "it is not answered all the same"
    for number in range(NUMBERS_OF_A_SCANNER + 1):
        assert not guard.strange(HOST, f"00{number}", "x", 12.0)
    assert not guard.bans()
    assert guard.scans(HOST, "friendly-scanner", 11.0 + VOUCHED_SECONDS)
    assert guard.bans()


def test_who_is_registered_vouches_for_the_address_after_a_restart_too() -> None:
    guarded = Guarded(system={"max_messages_per_second": 50})
    guarded.phones.add((HOST, 6000))
    guard = guarded.guard
    assert admitted(guard, 5000, 10.0) == 100
    guard.scans(HOST, "friendly-scanner", 11.0)
    assert not guard.bans()
    guard.scans("203.0.113.6", "friendly-scanner", 11.0)
    assert [ban.address for ban in guard.bans()] == ["203.0.113.6"]


def test_a_forged_flood_keeps_no_registered_phone_from_being_heard() -> None:
    guarded = Guarded(system={"max_messages_per_second": 50})
    guarded.phones.add((HOST, 6000))
    guard = guarded.guard
    for second in range(100):
        assert admitted(guard, 500, 10.0 + second) <= 100
        assert sum(guard.admit(HOST, 6000, 10.0 + second) for _ in range(5)) == 5
    # What is forged with the phone's own port, too, is bounded all the same.
    assert sum(guard.admit(HOST, 6000, 120.0) for _ in range(1000)) == 100 + 40
    assert not guard.bans()


def test_a_forged_flood_by_datagrams_leaves_connections_alone() -> None:
    guard = Guarded(system={"max_messages_per_second": 50, "ban_failures": 0}).guard
    assert admitted(guard, 5000, 10.0) == 100
    assert sum(guard.admit(HOST, 0, 10.0) for _ in range(500)) == 100
    assert sum(guard.admit(HOST, 0, 11.0) for _ in range(500)) == 50


def test_a_flood_by_connections_is_cut_off_as_well() -> None:
    guard = Guarded(system={"max_messages_per_second": 50}).guard
    assert sum(guard.admit(HOST, 0, 10.0) for _ in range(500)) == 100
    (ban,) = guard.bans()
    assert ban.reason.startswith("flood")
    assert admitted(guard, 1, 11.0) == 0


def test_a_right_password_makes_room_up_to_the_bucket() -> None:
    guard = Guarded(system={"max_messages_per_second": 50, "ban_failures": 0}).guard
    admitted(guard, 500, 10.0)
    guard.vouch(HOST, 0.0)
    assert admitted(guard, 500, 10.0) == 16
    for _ in range(100):
        guard.vouch(HOST, 0.0)
    assert admitted(guard, 500, 10.0) == 100
    guard.vouch("198.51.100.77", 0.0)


def test_failures_within_a_minute_ban_and_older_ones_do_not_count() -> None:
    guarded = Guarded(system={"ban_failures": 3, "ban_seconds": 100})
    guard = guarded.guard
    assert not guard.failed(HOST, 5060, "a wrong password", 0.0)
    assert not guard.failed(HOST, 5060, "a wrong password", 30.0)
    assert not guard.failed(HOST, 5060, "a wrong password", FAILURE_WINDOW + 1)
    assert guard.failed(HOST, 5060, "a wrong password", FAILURE_WINDOW + 2)
    (ban,) = guard.bans()
    assert (ban.address, ban.since, ban.until) == (HOST, 5000.0, 5100.0)
    assert ban.reason == "3 times a wrong password within a minute"
    assert not guard.admit(HOST, 5060, FAILURE_WINDOW + 3)
    assert guard.admit(HOST, 5060, FAILURE_WINDOW + 102)
    assert guarded.changes == 2
    assert not guard.bans()


def test_one_phone_with_a_wrong_password_is_banned_alone() -> None:
    """Ten phones behind one address: the others go on, and so does the office."""
    guarded = Guarded(system={"ban_failures": 10, "ban_seconds": 100})
    guard = guarded.guard
    guard.admit(HOST, 5060, 0.0)
    guard.vouch(HOST, 0.0)
    for number in range(10):
        assert not guard.bars(HOST, 40001)
        assert not guard.failed(HOST, 40001, "a wrong password", float(number))
    assert guard.bars(HOST, 40001)
    assert not guard.bars(HOST, 40002)
    assert guard.admit(HOST, 5060, 11.0)
    (ban,) = guard.bans()
    assert (ban.address, ban.until - ban.since) == (f"{HOST}:40001", 100.0)
    assert "from this phone alone" in ban.reason
    guarded.configure(system={"ban_failures": 10, "ban_seconds": 100})
    assert guard.bars(HOST, 40001)
    guard.expire(109.5)
    assert not guard.bars(HOST, 40001)
    assert not guard.bans()
    for _ in range(10):
        guard.failed(HOST, 40003, "a wrong password", 120.0)
    guard.lift(f"{HOST}:40003")
    assert not guard.bars(HOST, 40003)
    # A pardon is a new beginning.
    assert not guard.failed(HOST, 40003, "a wrong password", 121.0)
    assert not guard.bans()
    for _ in range(10):
        guard.failed(HOST, 40003, "a wrong password", 122.0)
    guarded.configure(system={"ban_failures": 10}, trusted=(TRUNK, HOST))
    assert not guard.bans()
    assert not guard.bars(HOST, 40003)


def test_who_changes_ports_to_guess_on_has_the_address_banned() -> None:
    guard = Guarded(system={"ban_failures": 10}).guard
    guard.admit(HOST, 5060, 0.0)
    guard.vouch(HOST, 0.0)
    banned = [guard.failed(HOST, 40000 + number, "a wrong password", 1.0) for number in range(50)]
    assert banned == [False] * 49 + [True]
    assert not guard.admit(HOST, 5060, 2.0)


def test_a_right_password_of_long_ago_vouches_for_nothing() -> None:
    guard = Guarded(system={"ban_failures": 10}).guard
    guard.admit(HOST, 5060, 0.0)
    guard.vouch(HOST, 0.0)
    assert [guard.failed(HOST, 40000, "a wrong password", VOUCHED_SECONDS + 1) for _ in range(10)][-1]


def test_an_ipv6_phone_is_listed_with_brackets() -> None:
    guard = Guarded(system={"ban_failures": 1}).guard
    guard.admit("2001:db8::5", 5060, 0.0)
    guard.vouch("2001:db8::5", 0.0)
    guard.failed("2001:db8::5", 5060, "x", 1.0)
    assert [ban.address for ban in guard.bans()] == ["[2001:db8::5]:5060"]


def test_bans_end_by_time_even_when_the_address_is_silent() -> None:
    guarded = Guarded(system={"ban_failures": 1, "ban_seconds": 10})
    guarded.guard.failed(HOST, 5060, "x", 0.0)
    guarded.guard.expire(9.9)
    assert guarded.guard.bans()
    guarded.guard.expire(10.0)
    assert not guarded.guard.bans()
    assert guarded.guard.admit(HOST, 5060, 10.0)


def test_lifting() -> None:
    guarded = Guarded(system={"ban_failures": 2})
    guard = guarded.guard
    guard.failed(HOST, 5060, "x", 0.0)
    guard.failed(HOST, 5060, "x", 0.0)
    guard.lift(HOST)
    guard.lift(HOST)
    guard.lift("198.51.100.99")
    assert guarded.changes == 2
    assert guard.admit(HOST, 5060, 1.0)
    assert not guard.failed(HOST, 5060, "x", 1.0)


def test_bans_are_newest_first_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "MAXIMUM_BANS", 3)
    guard = Guarded(system={"ban_failures": 1}).guard
    for number in range(5):
        guard.failed(f"203.0.113.{number}", 5060, "x", float(number))
    assert [ban.address for ban in guard.bans()] == ["203.0.113.4", "203.0.113.3", "203.0.113.2"]
    assert guard.admit("203.0.113.0", 5060, 6.0)
    assert MAXIMUM_BANS < MAXIMUM_SOURCES


def test_the_memory_is_bounded_and_bans_outlive_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "MAXIMUM_SOURCES", 20)
    guard = Guarded(system={"ban_failures": 1}).guard
    banned = [f"198.51.100.{number}" for number in range(10)]
    for host in banned:
        guard.failed(host, 5060, "x", 0.0)
    for number in range(2000):
        guard.admit(f"10.{number // 250}.0.{number % 250}", 5060, 1.0)
        assert len(guard._sources) <= 20
    assert not any(guard.admit(host, 5060, 2.0) for host in banned)
    assert len(guard.bans()) == 10


def test_a_long_list_of_failures_of_one_address_is_bounded() -> None:
    guard = Guarded(system={"ban_failures": 1000}).guard
    for _ in range(999):
        guard.failed(HOST, 5060, "x", 1.0)
    source = guard._sources[HOST]
    assert source.failures is not None
    assert len(source.failures) == 999
    assert guard.failed(HOST, 5060, "x", 1.0)


@pytest.mark.parametrize("agent", ["friendly-scanner", "SIPVicious", "my Scanner 1.0", "sipcli/v1.8"])
def test_scanners_by_name(agent: str) -> None:
    guard = Guarded().guard
    assert guard.scans(HOST, agent, 0.0)
    assert guard.scans(HOST, agent, 0.0)
    assert len(guard.bans()) == 1
    assert not guard.scans(TRUNK, agent, 0.0)
    assert len(guard.bans()) == 1


@pytest.mark.parametrize("agent", ["", "Yealink SIP-T46S 66.85", "baresip v3.20", "FreeSWITCH", "Grandstream GXP2160"])
def test_phones_are_no_scanners(agent: str) -> None:
    guard = Guarded().guard
    assert not guard.scans(HOST, agent, 0.0)
    assert not guard.strange(HOST, "100", agent, 0.0)
    assert not guard.bans()


def test_many_numbers_within_a_minute() -> None:
    guard = Guarded().guard
    for number in range(NUMBERS_OF_A_SCANNER - 1):
        assert not guard.strange(HOST, f"00{number}", "", 0.0)
        assert not guard.strange(HOST, f"00{number}", "", 0.0)
    assert not guard.strange(HOST, "00999", "", FAILURE_WINDOW + 1)
    for number in range(NUMBERS_OF_A_SCANNER - 2):
        assert not guard.strange(HOST, f"00{number}", "", FAILURE_WINDOW + 2)
    assert guard.strange(HOST, "00998", "", FAILURE_WINDOW + 3)
    assert f"tried {NUMBERS_OF_A_SCANNER} numbers" in guard.bans()[0].reason


def test_a_trunk_is_never_banned_whatever_it_does() -> None:
    guard = Guarded(system={"ban_failures": 1}).guard
    assert not guard.failed(TRUNK, 5060, "x", 0.0)
    assert not guard.strange(TRUNK, "1", "friendly-scanner", 0.0)
    for number in range(100):
        assert not guard.strange(TRUNK, str(number), "", 0.0)
    assert not guard.bans()


def test_a_configuration_that_trusts_the_address_ends_its_ban() -> None:
    guarded = Guarded(system={"ban_failures": 1})
    guarded.guard.failed(HOST, 5060, "x", 0.0)
    guarded.guard.failed("203.0.113.9", 5060, "x", 0.0)
    guarded.configure(system={"ban_failures": 1}, trusted=(TRUNK, HOST))
    assert [ban.address for ban in guarded.guard.bans()] == ["203.0.113.9"]
    assert guarded.guard.admit(HOST, 5060, 1.0)
    assert not guarded.guard.admit("203.0.113.9", 5060, 1.0)


def test_lists_the_longest_network_decides_in_both_families() -> None:
    lists = [
        {"network": "203.0.113.0/24", "action": "drop"},
        {"network": "203.0.113.5/32", "action": "accept"},
        {"network": "2001:db8::/32", "action": "drop"},
        {"network": "2001:db8:1::/48", "action": "accept"},
        {"network": "198.51.100.0/24", "action": "drop", "enabled": False},
    ]
    guard = Guarded(address_lists=lists, system={"ban_failures": 1, "max_messages_per_second": 1}).guard
    assert admitted(guard, 100, 0.0) == 100
    assert not guard.admit("203.0.113.6", 5060, 0.0)
    assert not guard.admit("2001:db8:2::1", 5060, 0.0)
    assert admitted(guard, 100, 0.0, "2001:db8:1::1") == 100
    assert guard.admit("198.51.100.1", 5060, 0.0)
    assert not guard.failed(HOST, 5060, "x", 0.0)
    assert not guard.failed("203.0.113.6", 5060, "x", 0.0)


def test_what_is_no_address_is_limited_like_any_stranger() -> None:
    guard = Guarded(system={"max_messages_per_second": 1, "ban_failures": 1}).guard
    assert admitted(guard, 10, 0.0, "fe80::1%eth0") == 2
    assert guard.failed("not an address", 5060, "x", 0.0)


def test_no_bans_at_0() -> None:
    guard = Guarded(system={"ban_failures": 0}).guard
    assert not guard.failed(HOST, 5060, "x", 0.0)
    assert not guard.scans(HOST, "friendly-scanner", 0.0)
    for number in range(50):
        assert not guard.strange(HOST, str(number), "", 0.0)


# --- IPv6: who has one address of a network has them all --------------------------------------------------------------

NETWORK = "2001:db8:1:2::/64"


def neighbour(number: int) -> str:
    return f"2001:db8:1:2::{number + 1:x}"


def test_the_addresses_of_an_ipv6_network_share_one_rate() -> None:
    guard = Guarded(system={"max_messages_per_second": 50, "ban_failures": 0}).guard
    assert sum(guard.admit(neighbour(n), 5060, 0.0) for n in range(1000)) == 100
    assert guard.admit("2001:db8:1:3::1", 5060, 0.0), "the next network is somebody else's"


def test_guessing_from_ever_new_addresses_of_a_network_bans_it() -> None:
    guarded = Guarded(system={"ban_failures": 10})
    guard = guarded.guard
    assert [guard.failed(neighbour(n), 5060, "wrong password", 1.0) for n in range(10)] == [False] * 9 + [True]
    assert [ban.address for ban in guard.bans()] == [NETWORK]
    assert not guard.admit(neighbour(4), 5060, 2.0)
    assert not guard.admit(neighbour(500), 5060, 2.0), "one that was never seen"
    assert guard.admit("2001:db8:1:3::1", 5060, 2.0)
    guarded.configure(system={"ban_failures": 10})
    assert not guard.admit(neighbour(501), 5060, 2.0), "a changed configuration is no pardon"
    guard.lift(NETWORK)
    assert guard.bans() == ()
    assert guard.admit(neighbour(4), 5060, 2.0)
    assert guard.admit(neighbour(500), 5060, 2.0)


def test_the_ban_of_a_network_ends_by_itself() -> None:
    guard = Guarded(system={"ban_failures": 1, "ban_seconds": 60}).guard
    assert guard.failed(neighbour(1), 5060, "wrong password", 1.0)
    assert not guard.admit(neighbour(2), 5060, 60.0)
    assert guard.admit(neighbour(2), 5060, 62.0)
    assert guard.bans() == ()


def test_a_flood_from_a_whole_network_is_cut_off() -> None:
    guard = Guarded(system={"max_messages_per_second": 50, "ban_failures": 10}).guard
    for n in range(2000):
        guard.admit(neighbour(n), 5060, n / 5000)
    assert [ban.address for ban in guard.bans()] == [NETWORK]


@pytest.mark.parametrize("known", ["trusted", "listed", "registered"])
def test_who_is_known_in_a_network_does_not_suffer_for_its_neighbours(known: str) -> None:
    guarded = Guarded()
    friend = neighbour(77)
    entries = [{"network": f"{friend}/128", "action": "accept"}] if known == "listed" else []
    if known == "registered":
        guarded.phones.add((friend, 5060))
    guarded.configure(
        trusted=(friend,) if known == "trusted" else (), system={"ban_failures": 5}, address_lists=entries
    )
    for n in range(5):
        guarded.guard.failed(neighbour(n), 5060, "wrong password", 1.0)
    assert [ban.address for ban in guarded.guard.bans()] == [NETWORK]
    assert guarded.guard.admit(friend, 5060, 1.0)


def test_two_phones_of_a_network_with_the_same_port_are_told_apart() -> None:
    guard = Guarded(system={"ban_failures": 4}).guard
    guard.admit(neighbour(1), 5060, 0.0)
    guard.vouch(neighbour(1), 0.0)
    for at in range(3):
        guard.failed(neighbour(1), 5060, "wrong password", 1.0 + at)
        guard.failed(neighbour(2), 5060, "wrong password", 1.0 + at)
    assert guard.bans() == ()
    guard.failed(neighbour(2), 5060, "wrong password", 5.0)
    assert [ban.address for ban in guard.bans()] == [f"[{neighbour(2)}]:5060"]
    assert not guard.bars(neighbour(1), 5060)


@pytest.mark.parametrize("host", ["fd00::{}", "fe80::{}%eth0", "203.0.113.{}"])
def test_neighbours_in_a_private_network_are_counted_each_for_itself(host: str) -> None:
    guard = Guarded(system={"ban_failures": 2}).guard
    for n in range(1, 5):
        assert not guard.failed(host.format(n), 5060, "wrong password", 1.0)
    assert guard.bans() == ()


def test_networks_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "MAXIMUM_SOURCES", 20)
    guard = Guarded(system={"ban_failures": 1}).guard
    guard.failed("2001:db8:ffff:1::1", 5060, "wrong password", 0.0)
    for n in range(200):
        guard.admit(f"2001:db8:{n:x}::1", 5060, 0.0)
        guard.admit(f"2001:db8:ffff:1::{n:x}", 5060, 0.0)
    assert len(guard._sources) <= 20
    assert len(guard._networks) <= 20
    assert not guard.admit("2001:db8:ffff:1::beef", 5060, 1.0), "a ban outlives the bound"
