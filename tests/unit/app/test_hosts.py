"""How the host of an address is written."""

from __future__ import annotations

from app.hosts import bracketed, format_host_port, unbracketed


def test_brackets() -> None:
    assert bracketed("::1") == "[::1]"
    assert bracketed("10.0.0.1") == "10.0.0.1"
    assert unbracketed("[::1]") == "::1"
    assert unbracketed("::1") == "::1"
    assert unbracketed("pbx.example.com") == "pbx.example.com"


def test_a_port_behind_a_host() -> None:
    assert format_host_port("2001:db8::1", 5060) == "[2001:db8::1]:5060"
    assert format_host_port("192.0.2.8", 5060) == "192.0.2.8:5060"
