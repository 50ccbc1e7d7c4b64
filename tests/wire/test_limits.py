"""Limits of trunks: nothing beyond them, and every call gives its place back, however it ends."""

from __future__ import annotations

import pytest
from support.documents import CALLER, CARRIER_A, document
from support.ports import LoopbackNetwork
from support.scenario import Scenario, answering, calling, refused_with
from support.starting import StartServer, StartSipp
from support.waiting import wait_until

pytestmark = pytest.mark.wire


def second_call_passes(start_sipp: StartSipp) -> None:
    """The limit of one is free again: a whole call goes through."""
    carrier = start_sipp(answering(), CARRIER_A)
    start_sipp(calling(), CALLER, called="135551").succeed()
    carrier.succeed()


@pytest.mark.parametrize(
    ("trunk", "field"), [(1, "max_outgoing_calls"), (3, "max_incoming_calls")], ids=["outgoing", "incoming"]
)
def test_limit_0_lets_nothing_pass(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, trunk: int, field: str
) -> None:
    server = start_server(document(network, {trunk: {field: 0}}))
    carrier = start_sipp(Scenario().expect_invite().pause(10000), CARRIER_A)
    caller = start_sipp(refused_with(503), CALLER, called="135550")
    caller.succeed()
    assert carrier.messages() == []
    (record,) = server.wait_for_calls(1)
    assert (record["status"], record["end_cause"]) == (503, "limit")
    if field == "max_incoming_calls":
        (refusal,) = caller.received(status=503)
        assert refusal.header("Retry-After") is not None
        assert refusal.header("Reason") is not None


@pytest.mark.parametrize(
    ("trunk", "field"), [(1, "max_outgoing_calls"), (3, "max_incoming_calls")], ids=["outgoing", "incoming"]
)
def test_limit_1_lets_one_pass_and_takes_it_back(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, trunk: int, field: str
) -> None:
    server = start_server(document(network, {trunk: {field: 1}}))
    carrier = start_sipp(answering(), CARRIER_A)
    talking = start_sipp(calling(3000), CALLER, called="135550")
    talking.wait_for(status=200)
    start_sipp(refused_with(503), CALLER, called="135551", port=5062).succeed()
    talking.succeed()
    carrier.succeed()
    second_call_passes(start_sipp)
    assert sorted(record["status"] for record in server.wait_for_calls(3)) == [200, 200, 503]


def test_place_comes_back_after_a_cancel(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    start_server(document(network, {1: {"max_outgoing_calls": 1}, 3: {"max_incoming_calls": 1}}))
    carrier = start_sipp(Scenario().expect_invite().respond(180).be_cancelled(), CARRIER_A)
    start_sipp(Scenario().invite().expect(100, optional=True).expect(180).cancel(), CALLER, called="135550").succeed()
    carrier.succeed()
    second_call_passes(start_sipp)


def test_place_comes_back_after_busy(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    start_server(document(network, {1: {"max_outgoing_calls": 1}, 3: {"max_incoming_calls": 1}}))
    carrier = start_sipp(Scenario().expect_invite().refuse(486), CARRIER_A)
    start_sipp(refused_with(486), CALLER, called="135550").succeed()
    carrier.succeed()
    second_call_passes(start_sipp)


def test_place_comes_back_after_the_peer_crashed(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    """The carrier dies in the middle of the call. The caller hangs up; nobody answers our BYE, the place is free."""
    server = start_server(document(network, {1: {"max_outgoing_calls": 1}, 3: {"max_incoming_calls": 1}}))
    carrier = start_sipp(answering(), CARRIER_A)
    caller = start_sipp(calling(1000), CALLER, called="135550")
    carrier.wait_for("ACK")
    carrier.kill()
    caller.succeed()
    (record,) = server.wait_for_calls(1, seconds=45)
    assert (record["status"], record["ended_by"]) == (200, "caller")
    second_call_passes(start_sipp)


def test_place_comes_back_after_the_peer_crashed_while_ringing(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp
) -> None:
    start_server(document(network, {1: {"max_outgoing_calls": 1, "no_answer_timeout": 1}}))
    carrier = start_sipp(Scenario().expect_invite().respond(180).pause(20000), CARRIER_A)
    caller = start_sipp(refused_with(408), CALLER, called="135550")
    carrier.wait_for("INVITE")
    wait_until(lambda: caller.received(status=180), "ringing")
    carrier.kill()
    caller.succeed()
    wait_until(lambda: _free_again(start_sipp), "the place of the crashed peer", seconds=45, pause=1)


def _free_again(start_sipp: StartSipp) -> bool:
    carrier = start_sipp(answering(), CARRIER_A)
    passed = start_sipp(calling(), CALLER, called="135551", seconds=10).wait().exit_code == 0
    carrier.kill()
    return passed
