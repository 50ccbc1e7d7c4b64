"""Which of our addresses a peer is told: the local one inside, the external one outside, signalling and media apart."""

from __future__ import annotations

from typing import Any

import pytest
from support.calling import configured

from app.calls import addresses as addresses_module
from app.calls.addresses import Addresses
from app.sip.flow import Flow


def addresses(asked: list[str] | None = None, **system: Any) -> Addresses:
    def towards(host: str) -> str:
        if asked is not None:
            asked.append(host)
        return "2001:db8::5" if ":" in host else "192.168.1.5"

    return Addresses(configured(system=system).system, towards)


def flow(remote: str, local: str = "0.0.0.0", port: int = 5060) -> Flow:
    return Flow("udp", local, port, remote, 5060)


BEHIND_NAT = {"external_signalling_address": "203.0.113.1", "external_media_address": "203.0.113.2"}


@pytest.mark.parametrize(
    ("system", "local", "remote", "told"),
    [
        ({}, "10.0.0.5", "8.8.8.8", "10.0.0.5:5060"),
        ({}, "0.0.0.0", "8.8.8.8", "192.168.1.5:5060"),
        ({}, "::", "2001:db8::9", "[2001:db8::5]:5060"),
        ({}, "2001:db8::7", "2001:db8::9", "[2001:db8::7]:5060"),
        (BEHIND_NAT, "10.0.0.5", "8.8.8.8", "203.0.113.1:5060"),
        (BEHIND_NAT, "10.0.0.5", "10.9.9.9", "10.0.0.5:5060"),
        (BEHIND_NAT, "0.0.0.0", "192.168.7.7", "192.168.1.5:5060"),
        ({**BEHIND_NAT, "local_networks": ["10.0.0.0/8"]}, "10.0.0.5", "192.168.7.7", "203.0.113.1:5060"),
        ({"external_signalling_address": "pbx.example"}, "10.0.0.5", "8.8.8.8", "pbx.example:5060"),
    ],
)
def test_signalling(system: dict[str, Any], local: str, remote: str, told: str) -> None:
    """A phone in the office is never told the public address: its BYE would not arrive."""
    assert addresses(**system).sent_by(flow(remote, local)) == told


@pytest.mark.parametrize(
    ("remote", "bind", "told"),
    [("8.8.8.8", "10.0.0.5", "203.0.113.2"), ("10.1.1.1", "10.0.0.5", "10.0.0.5")],
)
def test_media_has_its_own_external_address(remote: str, bind: str, told: str) -> None:
    assert addresses(**BEHIND_NAT).media_addresses(remote, flow(remote, "10.0.0.5")) == (bind, told)
    assert addresses().media_addresses("8.8.8.8", flow("8.8.8.8")) == ("192.168.1.5", "192.168.1.5")


def test_answers_are_remembered_until_the_record_changes() -> None:
    asked: list[str] = []
    known = addresses(asked)
    for _ in range(3):
        known.signalling_host(flow("8.8.8.8"))
    assert asked == ["8.8.8.8"]
    known.configure(configured(system=BEHIND_NAT).system)
    assert known.signalling_host(flow("8.8.8.8")) == "203.0.113.1"


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses_module, "MAXIMUM_REMEMBERED", 10)
    known = addresses()
    for number in range(100):
        known.signalling_host(flow(f"8.8.8.{number}"))
        assert len(known._remembered) <= 10


def test_local_networks() -> None:
    known = addresses(local_networks=["10.0.0.0/8", "fc00::/7"])
    assert known.is_local("10.255.0.1")
    assert known.is_local("fd00::1")
    assert not known.is_local("11.0.0.1")
    assert not known.is_local("phone.example")


def test_which_hosts_are_ours() -> None:
    known = addresses(domain="PBX.example", external_signalling_address="203.0.113.1")
    inside, outside = flow("10.1.1.1", "10.0.0.5"), flow("8.8.8.8", "10.0.0.5")
    for host in ("pbx.EXAMPLE", "10.0.0.5", "203.0.113.1", "localhost"):
        assert known.is_own_host(host, inside), host
        assert known.is_own_host(host, outside), host
    assert not known.is_own_host("10.0.0.6", inside)
    assert not known.is_own_host("0.0.0.0", inside)
    assert not known.is_own_host("elsewhere.example", outside)
    six = flow("2001:db8::9", "2001:db8::7")
    assert known.is_own_host("[2001:db8::7]", six)


def test_an_address_of_a_wildcard_listener_is_ours() -> None:
    known = addresses()
    everywhere = flow("8.8.8.8")
    assert known.is_own_host("192.168.1.5", everywhere)
