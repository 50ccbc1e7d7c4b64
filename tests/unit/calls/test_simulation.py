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
