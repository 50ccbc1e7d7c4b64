"""Private addresses, what a side is shown, and when a call needs the relay."""

from __future__ import annotations

import pytest

from app.media.addresses import behind_nat, is_private, parse_address, relay_reason, shown_address
from app.records import System


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("10.1.2.3", True),
        ("172.31.0.1", True),
        ("172.32.0.1", False),
        ("192.168.0.1", True),
        ("100.64.0.1", True),
        ("169.254.1.1", True),
        ("127.0.0.5", True),
        ("fd00::1", True),
        ("fe80::1", True),
        ("::ffff:10.0.0.1", True),
        ("192.0.2.1", False),
        ("203.0.113.9", False),
        ("2001:db8::1", False),
    ],
)
def test_private(text: str, private: bool) -> None:
    address = parse_address(text)
    assert address is not None
    assert is_private(address) is private


def test_rubbish_is_no_address() -> None:
    assert parse_address("example.com") is None
    assert parse_address("") is None
    assert str(parse_address("[2001:db8::1]")) == "2001:db8::1"


@pytest.mark.parametrize(
    ("external", "peer", "networks", "shown"),
    [
        (None, "203.0.113.9", (), "10.0.0.2"),
        ("198.51.100.1", "203.0.113.9", (), "198.51.100.1"),
        ("198.51.100.1", "10.0.0.9", (), "10.0.0.2"),
        ("198.51.100.1", "10.0.0.9", ("10.0.0.0/8",), "10.0.0.2"),
        ("198.51.100.1", "192.168.7.9", ("10.0.0.0/8",), "198.51.100.1"),
        ("198.51.100.1", "203.0.113.9", ("203.0.113.0/24",), "10.0.0.2"),
        ("198.51.100.1", "127.0.0.1", ("10.0.0.0/8",), "10.0.0.2"),
        ("2001:db8::9", "203.0.113.9", (), "10.0.0.2"),
        ("media.example.com", "203.0.113.9", (), "media.example.com"),
    ],
)
def test_shown_address(external: str | None, peer: str, networks: tuple[str, ...], shown: str) -> None:
    assert shown_address("10.0.0.2", external, peer, networks) == shown


@pytest.mark.parametrize(
    ("signalled", "source", "networks", "expected"),
    [
        ("192.168.1.5", "203.0.113.9", (), True),
        ("192.168.1.5", "203.0.113.9", ("192.168.0.0/16",), True),
        ("192.168.1.5", "203.0.113.9", ("192.168.0.0/16", "203.0.113.0/24"), False),
        ("192.168.1.5", "10.0.0.1", ("192.168.0.0/16",), False),
        ("192.168.1.5", "192.168.1.5", (), False),
        ("192.168.1.5", "10.0.0.1", (), False),
        ("203.0.113.9", "203.0.113.10", (), False),
        ("127.0.0.1", "192.168.1.5", (), True),
        ("127.0.0.1", "192.168.1.5", ("127.0.0.0/8", "192.168.0.0/16"), True),
        ("127.0.0.11", "127.0.0.1", (), False),
        ("phone.local", "203.0.113.9", (), True),
    ],
)
def test_behind_nat(signalled: str, source: str, networks: tuple[str, ...], expected: bool) -> None:
    assert behind_nat(signalled, source, networks) is expected


def test_a_phone_at_home_with_the_local_networks_that_a_new_server_has() -> None:
    """They contain every private network, and so its address; but its SIP comes from outside."""
    networks = System().local_networks
    assert behind_nat("192.168.1.20", "198.51.100.77", networks)
    reason = relay_reason("192.168.1.20", "198.51.100.77", "192.168.1.30", "192.168.1.30", networks)
    assert reason is not None and "behind address translation" in reason


@pytest.mark.parametrize(
    ("first", "first_source", "second", "second_source", "networks", "words"),
    [
        ("203.0.113.1", "203.0.113.1", "198.51.100.1", "198.51.100.1", (), None),
        ("10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2", (), None),
        ("10.0.0.1", "10.0.0.1", "198.51.100.1", "198.51.100.1", (), "private address 10.0.0.1"),
        ("198.51.100.1", "198.51.100.1", "10.0.0.1", "10.0.0.1", (), "private address 10.0.0.1"),
        ("203.0.113.1", "203.0.113.1", "198.51.100.1", "198.51.100.1", ("203.0.113.0/24",), "private address"),
        ("203.0.113.1", "203.0.113.1", "2001:db8::1", "2001:db8::1", (), "different address families"),
        ("192.168.1.5", "203.0.113.9", "203.0.113.10", "203.0.113.10", (), "behind address translation"),
        ("name.example", "203.0.113.9", "203.0.113.10", "203.0.113.10", (), "behind address translation"),
        ("", "", "203.0.113.10", "203.0.113.10", (), None),
    ],
)
def test_relay_reason(
    first: str, first_source: str, second: str, second_source: str, networks: tuple[str, ...], words: str | None
) -> None:
    reason = relay_reason(first, first_source, second, second_source, networks)
    if words is None:
        assert reason is None
    else:
        assert reason is not None and words in reason
