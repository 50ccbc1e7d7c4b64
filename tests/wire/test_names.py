"""Host names as server addresses: SRV and NAPTR, the next address, trust in every address, and changes in the DNS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.documents import CARRIER_A, CARRIER_B, document
from support.name_server import NameServer
from support.ports import LoopbackNetwork
from support.running_engine import RunningEngine
from support.starting import StartCaller, StartCarrier, StartEngine
from support.udp_peers import invites_get
from support.waiting import wait_until

from app.events import LineState, TrunkState

pytestmark = pytest.mark.wire

NAME = "carrier.test"
StartNamed = Callable[..., RunningEngine]


@pytest.fixture
def zone(network: LoopbackNetwork, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The zone of a DNS server that the engine asks; records may be changed at any time, each is good for a second."""
    server = NameServer(network.address(53), {})
    server.ttl = 1
    monkeypatch.setenv("TRUNKLINE_NAMESERVERS", "{}:{}".format(*server.address))
    yield server.zone  # type: ignore[misc]
    server.stop()


@pytest.fixture
def two_servers(zone: dict[str, Any], network: LoopbackNetwork) -> None:
    """SRV records: the server on carrier A's address first, then port 5070 of carrier B's."""
    zone[f"SRV _sip._udp.{NAME}."] = [f"10 0 5060 a.{NAME}.", f"20 0 5070 b.{NAME}."]
    zone[f"A a.{NAME}."] = [network.address(CARRIER_A)]
    zone[f"A b.{NAME}."] = [network.address(CARRIER_B)]


@pytest.fixture
def start_named(network: LoopbackNetwork, start_engine: StartEngine) -> StartNamed:
    """An engine whose trunk 1 is the carrier by its name; trunk 2 is elsewhere."""

    def start(found: bool = True, **changes: Any) -> RunningEngine:
        trunk = {"server_address": NAME, "first_response_timeout": 1, **changes}
        engine = start_engine(document(network, {1: trunk, 2: {"server_address": network.address(99)}}))
        if found:
            wait_until(lambda: addresses(engine), f"the addresses of {NAME}")
        return engine

    return start


def addresses(engine: RunningEngine) -> tuple[str, ...]:
    """The addresses that the engine trusts as the carrier's."""
    return engine.ask(lambda each: each._switch.destinations.addresses_of(NAME))  # type: ignore[union-attr]


@pytest.mark.usefixtures("two_servers")
def test_a_silent_first_server_costs_a_call_its_first_response_time_and_later_calls_nothing(
    network: LoopbackNetwork, start_named: StartNamed, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """The name stays in the Request-URI; the call record has both attempts with their reasons."""
    engine = start_named()
    silent = start_carrier(CARRIER_A, invites_get())
    carrier, caller = start_carrier(CARRIER_B, port=5070), start_caller()
    before = time.monotonic()
    assert caller.call("135550").status == 200
    assert time.monotonic() - before >= 1.0
    assert caller.statuses(["135551", "135552"]) == [200, 200]
    assert len(silent.received("INVITE")) == 1
    assert [each.request_uri for each in carrier.received("INVITE")] == [
        f"sip:13555{digit}@{NAME}" for digit in range(3)
    ]
    first, *others = engine.wait_for_calls(3)
    assert [(each.target, each.status) for each in first.attempts] == [("trunk:1", 0), ("trunk:1", 200)]
    assert first.attempts[0].reason == f"no answer from the other side (at {network.address(CARRIER_A)}:5060)"
    assert first.attempts[0].at <= first.attempts[1].at - 1.0
    assert [[each.status for each in record.attempts] for record in others] == [[200], [200]]


@pytest.mark.usefixtures("two_servers")
def test_503_and_a_closed_port_lead_to_the_next_server_but_486_does_not(
    start_named: StartNamed, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    engine = start_named()
    caller = start_caller()
    busy = start_carrier(CARRIER_A, invites_get(486))
    carrier = start_carrier(CARRIER_B, port=5070)
    assert caller.call("135550").status == 486
    assert not carrier.received("INVITE")
    busy.plan = invites_get(503)
    assert caller.call("135550").status == 200
    # The one that could not serve comes last now, and is there again when the other one is gone.
    busy.plan = invites_get(200)
    carrier.close()
    assert caller.call("135550").status == 200
    statuses = [[each.status for each in record.attempts] for record in engine.wait_for_calls(3)]
    assert statuses == [[486], [503, 200], [0, 200]]


@pytest.mark.usefixtures("two_servers")
def test_probes_find_the_server_that_lives_and_calls_use_it(
    start_named: StartNamed, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    carrier = start_carrier(CARRIER_B, port=5070)
    engine = start_named(options_interval=1)
    wait_until(lambda: engine.trunk(1).state is TrunkState.UP, "the trunk to be up")
    assert start_caller().call("135550").status == 200
    carrier.close()
    wait_until(lambda: engine.trunk(1).state is TrunkState.DOWN, "the trunk to be down")


def test_calls_come_in_from_every_address_of_the_name(
    zone: dict[str, Any], network: LoopbackNetwork, start_named: StartNamed, start_caller: StartCaller
) -> None:
    """More of them than a call would try; an address that is no longer the name's is a stranger again."""
    hosts = range(60, 76)
    zone[f"A {NAME}."] = [network.address(host) for host in hosts]
    engine = start_named()
    for host in hosts:
        # No such local user: but who asks is known.
        assert start_caller(host).call("199").status == 404
    assert start_caller(81).call("199").status == 403
    zone[f"A {NAME}."] = [network.address(81)]
    wait_until(lambda: addresses(engine) == (network.address(81),), "the new address", 20)
    assert start_caller(81, port=5061).call("199").status == 404
    assert start_caller(60, port=5061).call("199").status == 403
    records = engine.wait_for_calls(17)
    assert {record.source for record in records} == {"trunk:1"}


def test_naptr_records_lead_to_the_servers(
    zone: dict[str, Any],
    network: LoopbackNetwork,
    start_named: StartNamed,
    start_carrier: StartCarrier,
    start_caller: StartCaller,
) -> None:
    zone[f"NAPTR {NAME}."] = ['10 10 "s" "SIP+D2U" "" _sip._udp.elsewhere.test.']
    zone["SRV _sip._udp.elsewhere.test."] = ["10 0 5070 b.elsewhere.test."]
    zone["A b.elsewhere.test."] = [network.address(CARRIER_B)]
    start_named()
    carrier = start_carrier(CARRIER_B, port=5070)
    assert start_caller().call("135550").status == 200
    assert [each.request_uri for each in carrier.received("INVITE")] == [f"sip:135550@{NAME}"]


def test_a_name_that_does_not_exist_is_said_and_the_next_trunk_takes_the_call(
    zone: dict[str, Any],
    network: LoopbackNetwork,
    start_named: StartNamed,
    start_carrier: StartCarrier,
    start_caller: StartCaller,
) -> None:
    engine = start_named(found=False, next_trunk_id=2, options_interval=1)
    carrier, caller = start_carrier(99), start_caller()
    wait_until(lambda: "does not exist" in engine.trunk(1).reason, "the DNS error")
    wait_until(lambda: engine.trunk(1).state is TrunkState.DOWN, "the trunk to be down")
    assert caller.call("135550").status == 200
    engine.change({"sip_trunks": [{"id": 1, "server_address": NAME, "options_interval": 0, "next_trunk_id": 2}]})
    assert caller.call("135550").status == 200
    assert len(carrier.received("INVITE")) == 2
    for record in engine.wait_for_calls(2):
        assert [each.target for each in record.attempts] == ["trunk:1", "trunk:2"]
        assert f"the name {NAME} does not exist" in record.attempts[0].reason


@pytest.mark.usefixtures("two_servers")
def test_a_line_registers_as_soon_as_its_providers_name_is_known_at_the_server_that_answers(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """The first server is dead: the second one gets the registration at once, and then the line's calls."""
    provider = start_carrier(CARRIER_B, port=5070)
    engine = start_engine(
        document(
            network,
            {1: {"server_address": network.address(99)}},
            external_lines=[{"account": "line1", "server_address": NAME, "local_user": "100"}],
            analyze_called_numbers=[{"prefix": "0", "route_type": "external_line", "target_id": 1}],
        )
    )
    before = time.monotonic()
    wait_until(lambda: engine.line().state is LineState.REGISTERED, "the registration", 15)
    took = time.monotonic() - before
    assert len(provider.received("REGISTER")) == 1
    assert took < 9.0, "a closed port was not found at once, or the name was waited for"
    assert start_caller().call("0108888").status == 200
    (invite,) = provider.received("INVITE")
    assert invite.request_uri == f"sip:0108888@{NAME}"


def test_names_are_looked_up_anew_when_a_person_wants_it(
    network: LoopbackNetwork, zone: dict[str, Any], start_named: StartNamed
) -> None:
    """What came out is told, and counts from then on; an old address is better than none."""
    zone[f"A {NAME}."] = [network.address(CARRIER_A)]
    engine = start_named()
    zone[f"A {NAME}."] = [network.address(CARRIER_B)]
    told: list[Any] = []
    engine.ask(lambda each: each.refresh_names(told.append))
    wait_until(lambda: told, "the answer")
    assert told == [((NAME, (network.address(CARRIER_B),), ""),)]
    assert addresses(engine) == (network.address(CARRIER_B),)
    del zone[f"A {NAME}."]
    engine.ask(lambda each: each.refresh_names(told.append))
    wait_until(lambda: len(told) == 2, "the second answer")
    assert told[1][0].error
    assert addresses(engine) == (network.address(CARRIER_B),)
