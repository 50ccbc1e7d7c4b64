"""The simulator tells the decision and the INVITE of each target as a real call would send it."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import Wire
from simulation.test_calls import trunks
from support.calling import configured

from app.calls.simulation import simulate
from app.dialplan.decision import Dial, Reject
from app.dialplan.request import Source
from app.sip.message import Request, parse

RANDOM = ("Via", "From", "Call-ID", "CSeq", "Content-Length")


def document(**trunk: Any) -> dict[str, Any]:
    made = trunks(next_trunk_id=2, **trunk)
    made["system"] = {"sip_address": "10.0.0.5"}
    made["sip_trunks"][1]["unified_caller_number"] = "777"  # type: ignore[index]
    made["local_users"] = [{"number": "100", "password": "p", "display_name": "Anna"}]
    return made


def test_targets_in_order_each_with_its_own_invite() -> None:
    simulation = simulate(configured(**document()), Source.parse("user:100"), "", "135550")
    assert isinstance(simulation.decision, Dial)
    assert [(each.name, each.caller_number, each.called_number) for each in simulation.targets] == [
        ("trunk:1", "100", "135550"),
        ("trunk:2", "777", "135550"),
    ]
    first = simulation.targets[0]
    assert first.invite.startswith("INVITE sip:135550@192.0.2.8:5060 SIP/2.0\r\n")
    assert 'From: "Anna" <sip:100@10.0.0.5>' in first.invite
    assert "192.0.2.8" in first.caption
    assert simulation.refusals == ()


@pytest.mark.parametrize(
    "trunk",
    [
        {},
        {"unified_caller_number": "030100"},
        {"request_uri_parameters": "user=phone"},
        {"tel_uri": True},
        {"caller_id_headers": ["P-Asserted-Identity", "Remote-Party-ID"]},
        {"server_port": 5060, "description": "x"},
    ],
)
def test_the_simulated_invite_is_the_real_one(trunk: dict[str, Any]) -> None:
    """But for tags, branch and Call-ID, and the sample offer."""
    made = document(**trunk)
    wire = Wire(made)
    wire.caller.invite("135550", caller="5551")
    wire.advance()
    real = wire.carrier.requests("INVITE")[0]
    (simulated, *_) = simulate(configured(**made), Source.parse("trunk:3"), "5551", "135550").targets
    shown = parse(simulated.invite.encode())
    assert isinstance(shown, Request)
    assert shown.uri_text == real.uri_text
    hops = ("Max-Forwards",)
    assert [header for header in shown.headers if header[0] not in (*RANDOM, *hops)] == [
        header for header in real.headers if header[0] not in (*RANDOM, *hops)
    ]
    assert (shown.from_.uri, shown.from_.display) == (real.from_.uri, real.from_.display)
    assert shown.max_forwards == real.max_forwards
    assert [name for name, _ in shown.headers] == [name for name, _ in real.headers]


def test_a_refusal_in_words() -> None:
    made = document()
    made["number_lists"] = [{"caller_prefix": "*", "called_prefix": "13", "block_percent": 100}]
    simulation = simulate(configured(**made), Source.parse("user:100"), "", "135550")
    assert isinstance(simulation.decision, Reject)
    assert simulation.targets == ()
    assert simulation.refusals[-1].startswith(f"{simulation.decision.status} ")


def test_limits_of_the_running_server_are_looked_at() -> None:
    wire = Wire(document(max_outgoing_calls=1))
    up = wire.caller.invite("135550")
    wire.advance()
    live = wire.switch.live
    simulation = simulate(wire.switch.configuration, Source.parse("trunk:3"), "1", "135551", live)
    assert [each.name for each in simulation.targets] == ["trunk:2"]
    assert any(refusal.startswith("trunk:1: ") and "limit" in refusal for refusal in simulation.refusals)
    idle = simulate(wire.switch.configuration, Source.parse("trunk:3"), "1", "135551")
    assert [each.name for each in idle.targets] == ["trunk:1", "trunk:2"]
    up.cancel()


def test_a_phone_is_a_target_as_well() -> None:
    simulation = simulate(configured(**document()), Source.parse("trunk:3"), "5551", "100")
    (target,) = simulation.targets
    assert target.name == "user:100"
    assert target.invite.startswith("INVITE sip:100@phone.invalid SIP/2.0\r\n")


SEVERAL_PEERS: dict[str, Any] = {
    "sip_trunks": [
        {"id": 1, "server_address": "192.0.2.1"},
        {"id": 2, "server_address": "192.0.2.1", "server_port": 5070},
        {"id": 3, "server_address": "192.0.2.3", "trusted_networks": ["198.51.100.0/24"]},
        {"id": 4, "server_address": "192.0.2.4", "trusted_networks": ["198.51.100.128/25", "2001:db8::/64"]},
        {"id": 5, "server_address": "192.0.2.5", "enabled": False},
        {"id": 6, "server_address": "carrier.test"},
    ],
    "external_lines": [
        {"id": 1, "account": "4930", "server_address": "192.0.2.9", "local_user": "100"},
        {"id": 2, "account": "4940", "server_address": "192.0.2.9", "local_user": "100"},
    ],
    "local_users": [{"number": "100", "password": "p", "trusted_address": "192.0.2.100"}],
    "address_lists": [
        {"network": "203.0.113.0/24", "action": "drop"},
        {"network": "203.0.113.8/32", "action": "accept"},
    ],
}


@pytest.mark.parametrize(
    ("place", "called", "source"),
    [
        ("192.0.2.1:5060", "100", "SIP trunk 1"),
        ("192.0.2.1:5070", "100", "SIP trunk 2"),
        ("192.0.2.1:9999", "100", "SIP trunk 1"),
        ("192.0.2.1", "100", "SIP trunk 1"),
        ("198.51.100.7:5060", "100", "SIP trunk 3"),
        ("198.51.100.200:5060", "100", "SIP trunk 4"),
        ("[2001:db8::9]:5060", "100", "SIP trunk 4"),
        ("2001:db8::9", "100", "SIP trunk 4"),
        ("192.0.2.66:5060", "100", "SIP trunk 6"),
        ("192.0.2.9:5060", "4940", "external line 2"),
        ("192.0.2.100:5060", "100", "local user 100"),
    ],
)
def test_a_call_from_an_address_is_that_of_whom_it_belongs_to(place: str, called: str, source: str) -> None:
    """As design section 6 has it: exact address and port, the address alone, the longest network, and so on."""
    configuration = configured(**SEVERAL_PEERS)
    simulation = simulate(
        configuration, Source.parse(f"address:{place}"), "", called, addresses_of=lambda _name: ("192.0.2.66",)
    )
    assert isinstance(simulation.decision, Dial)
    assert str(simulation.decision.trail[0]).startswith(f"address: {place} belongs to {source}")
    assert simulation.decision.trail[1].text.startswith(source)


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("192.0.2.5", "SIP trunk 5 is disabled"),
        ("192.0.2.77", "no SIP trunk, external line or trusted user has this address"),
        ("203.0.113.7", "address list entry 1 (203.0.113.0/24) drops whatever comes from 203.0.113.7"),
        ("203.0.113.8", "no SIP trunk, external line or trusted user has this address"),
        ("192.0.2.9", "external lines 1 and 2 have this address, and it named the account of none of them"),
    ],
)
def test_why_a_call_from_an_address_is_nobodys(host: str, why: str) -> None:
    simulation = simulate(configured(**SEVERAL_PEERS), Source.parse(f"address:{host}:5060"), "", "100")
    assert isinstance(simulation.decision, Reject) and simulation.decision.status == 403
    assert simulation.decision.text.startswith(why)
