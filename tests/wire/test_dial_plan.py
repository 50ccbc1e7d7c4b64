"""The dial plan with real calls: prefixes, refinement, lists, levels, default routes, and the simulator beside them."""

from __future__ import annotations

import pytest
from support.documents import CARRIER_A, CARRIER_B, document
from support.ports import LoopbackNetwork
from support.starting import StartCaller, StartCarrier, StartEngine
from support.udp_peers import Carrier

from app.dialplan.request import Source

pytestmark = pytest.mark.wire


def request_uris(carrier: Carrier) -> list[str]:
    """The Request-URIs of the calls that a carrier got."""
    return [invite.request_uri for invite in carrier.received("INVITE")]


def test_the_longest_prefix_wins_and_numbers_leave_whole(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """12 and 123; 13xxxx to a gateway as it was dialled; group 1 refines 0 to 0086."""
    engine = start_engine(
        document(
            network,
            {1: {"outgoing_group_id": 1}},
            analyze_called_numbers=[
                {"prefix": "12", "route_type": "sip_trunk", "target_id": 1},
                {"prefix": "123", "route_type": "sip_trunk", "target_id": 2},
                {"prefix": "13", "route_type": "sip_trunk", "target_id": 2},
                {"prefix": "0", "route_type": "sip_trunk", "target_id": 1},
            ],
            refine_called_numbers=[
                {"outgoing_group_id": 1, "prefix": "0", "transition_id": 1},
                {"outgoing_group_id": 2, "prefix": "", "transition_id": 2},
            ],
            refine_caller_numbers=[{"outgoing_group_id": 1, "prefix": "55", "transition_id": 2}],
            number_transitions=[
                {"id": 1, "type": "replace", "start": 0, "length": 1, "digits": "0086"},
                {"id": 2, "type": "insert", "start": 0, "digits": "77"},
            ],
        )
    )
    first, second = start_carrier(CARRIER_A), start_carrier(CARRIER_B)
    numbers = ["125550", "1235550", "12", "135550", "0108888"]
    assert start_caller().statuses(numbers) == [200] * 5
    a, b = network.address(CARRIER_A), network.address(CARRIER_B)
    assert request_uris(first) == [f"sip:125550@{a}:5060", f"sip:12@{a}:5060", f"sip:0086108888@{a}:5060"]
    assert request_uris(second) == [f"sip:1235550@{b}:5060", f"sip:135550@{b}:5060"]
    assert "<sip:775551@" in (first.received("INVITE")[0].header("From") or "")
    assert "<sip:5551@" in (second.received("INVITE")[0].header("From") or "")
    records = engine.wait_for_calls(5)
    assert [record.called_number for record in records] == numbers
    assert [record.sent_number for record in records] == ["125550", "1235550", "12", "135550", "0086108888"]
    assert any("its prefix 12 is shorter" in step for step in records[1].trail)
    assert any("it becomes 0086108888" in step for step in records[4].trail)


NUMBER_LISTS = [("101", "*", 100), ("*", "9", 100), ("100", "9", 0), ("1", "913", 0)]
SEVEN_CASES = [
    ("101", "100", False),
    ("101", "913800", True),
    ("100", "974413800", True),
    ("102", "974413800", False),
    ("102", "913800", True),
    ("1011", "913800", True),
    ("200", "913800", False),
]


def test_the_seven_cases_of_the_number_lists(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """As real calls and in the simulator: blocked is 403, passed reaches the carrier."""
    engine = start_engine(
        document(
            network,
            number_lists=[
                {"caller_prefix": caller, "called_prefix": called, "block_percent": percent}
                for caller, called, percent in NUMBER_LISTS
            ],
            analyze_called_numbers=[
                {"prefix": "9", "route_type": "sip_trunk", "target_id": 1},
                {"prefix": "100", "route_type": "sip_trunk", "target_id": 1},
            ],
        )
    )
    carrier, caller = start_carrier(CARRIER_A), start_caller()
    outcomes = [(user, called, caller.call(called, user=user).status == 200) for user, called, _ in SEVEN_CASES]
    assert outcomes == SEVEN_CASES
    assert [each.request_uri.partition("@")[0] for each in carrier.received("INVITE")] == [
        f"sip:{called}" for _, called, passes in SEVEN_CASES if passes
    ]
    records = engine.wait_for_calls(7)
    assert [record.status for record in records] == [200 if passes else 403 for _, _, passes in SEVEN_CASES]
    assert "entry 1 (101 to *) decides" in " ".join(records[0].trail)
    for user, called, passes in SEVEN_CASES:
        simulation = engine.ask(
            lambda each, user=user, called=called: each.simulate(Source.trunk(3), user, called)  # type: ignore[misc]
        )
        assert bool(simulation.targets) == passes
        assert any("blocked by number list entry" in refusal for refusal in simulation.refusals) != passes
