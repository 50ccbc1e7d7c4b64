"""Where servers are: addresses at once, names when DNS has answered, those that did not answer last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.calling import configured

from app.calls.destinations import MAXIMUM_WAYS, MISSED_FOR, Destinations, LookedUp, Place
from app.records import Configuration, SipTrunk
from app.sip.flow import Flow, TransportName


class Network:
    """Listeners for some transports, DNS by hand, a clock, and how often something new was told."""

    def __init__(self, *transports: str) -> None:
        self.transports = transports or ("udp",)
        self.now = 100.0
        self.changes = 0
        self.asked: list[tuple[str, int | None, str]] = []
        self.verified: list[tuple[bool, str | None]] = []
        self.done: Callable[[tuple[Place, ...], str], bool] = lambda places, error: False
        self.destinations = Destinations(self, self._lookup, self._changed, lambda: self.now)

    def _changed(self) -> None:
        self.changes += 1

    def _lookup(
        self, name: str, port: int | None, transport: TransportName, done: Callable[[tuple[Place, ...], str], bool]
    ) -> None:
        self.asked.append((name, port, transport))
        self.done = done

    def flow_to(
        self, transport: TransportName, host: str, port: int, tls_verify: bool = True, server_name: str | None = None
    ) -> Flow | None:
        self.verified.append((tls_verify, server_name))
        return Flow(transport, "10.0.0.5", 5060, host, port) if transport in self.transports else None

    def is_open(self, flow: Flow) -> bool:
        return True

    def flow_again(self, flow: Flow, port: int) -> Flow | None:
        return None

    def know(self, flow: Flow) -> None:
        """Nothing to do here."""

    def add_alias(self, flow: Flow, port: int) -> None:
        """Nothing to do here."""

    def ways(self, record: SipTrunk) -> list[str] | str:
        found = self.destinations.ways_to(record)
        return found if isinstance(found, str) else [flow.remote_host for flow in found]


def trunk(address: str, **more: Any) -> tuple[Configuration, SipTrunk]:
    made = configured(sip_trunks=[{"id": 1, "server_address": address, **more}])
    return made, made.records(SipTrunk)[0]


def test_an_address_is_known_at_once_and_never_looked_up() -> None:
    network = Network()
    made, record = trunk("192.0.2.8", server_port=5070)
    network.destinations.configure(made)
    assert network.destinations.ways_to(record) == (Flow("udp", "10.0.0.5", 5060, "192.0.2.8", 5070),)
    assert network.asked == []
    assert network.destinations.count(record) == 1


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, ("sip.test", None, "udp")),
        ({"server_port": 5070}, ("sip.test", 5070, "udp")),
        ({"transport": "tls", "server_port": 5061}, ("sip.test", None, "tls")),
        ({"transport": "tls", "server_port": 5060}, ("sip.test", 5060, "tls")),
    ],
)
def test_a_name_is_looked_up_with_its_port_unless_it_is_the_usual_one(fields: dict[str, Any], asked: Any) -> None:
    """RFC 3263 4.2: a given port forbids SRV."""
    network = Network()
    made, record = trunk("sip.test", **fields)
    network.destinations.configure(made)
    assert network.asked == [asked]
    assert network.ways(record) == "the name sip.test is being looked up"


def test_dns_answers_fails_and_answers_again() -> None:
    network = Network()
    made, record = trunk("sip.test")
    network.destinations.configure(made)
    assert network.done((), "no such name")
    assert network.ways(record) == "DNS: no such name"
    assert network.changes == 1, "whoever waits for the first answer hears of it"
    assert network.done((), "no such name")
    assert network.changes == 1
    assert network.done((Place("udp", "192.0.2.1", 5060), Place("udp", "192.0.2.2", 5060)), "")
    assert network.ways(record) == ["192.0.2.1", "192.0.2.2"]
    assert network.destinations.addresses_of("sip.test") == ("192.0.2.1", "192.0.2.2")
    assert network.changes == 2
    # What is known stays in use while the DNS fails, and the same answer is nothing new.
    assert network.done((), "timed out")
    assert network.done((Place("udp", "192.0.2.1", 5060), Place("udp", "192.0.2.2", 5060)), "")
    assert network.ways(record) == ["192.0.2.1", "192.0.2.2"]
    assert network.changes == 2
    network.done((Place("udp", "192.0.2.3", 5060),), "")
    assert network.changes == 3


def test_a_name_that_nobody_wants_any_more_is_not_looked_up_again() -> None:
    network = Network()
    made, record = trunk("sip.test")
    network.destinations.configure(made)
    network.destinations.configure(Configuration())
    assert not network.done((Place("udp", "192.0.2.1", 5060),), "")
    assert network.changes == 0
    assert network.ways(record) == "its address is not known"
    old = network.done
    network.destinations.configure(made)
    assert not old((Place("udp", "192.0.2.1", 5060),), "")
    assert len(network.asked) == 2


def test_without_dns_names_are_said_to_be_no_use() -> None:
    made, record = trunk("sip.test")
    destinations = Destinations(Network(), None, lambda: None, lambda: 0.0)
    destinations.configure(made)
    assert destinations.ways_to(record) == "names such as sip.test cannot be looked up here"


def test_without_a_listener_there_is_no_way() -> None:
    network = Network("udp")
    made, record = trunk("192.0.2.8", transport="tls")
    network.destinations.configure(made)
    assert network.ways(record) == "this server does not listen for TLS towards it"


def test_a_certificate_is_checked_against_the_name_of_the_record() -> None:
    network = Network("tls")
    for address, expected in (("sip.test", (True, "sip.test")), ("192.0.2.8", (True, None))):
        made, record = trunk(address, transport="tls", server_port=5061)
        network.destinations.configure(made)
        if address == "sip.test":
            network.done((Place("tls", "192.0.2.1", 5061),), "")
        network.ways(record)
        assert network.verified[-1] == expected
    made, record = trunk("192.0.2.8", transport="tls", tls_verify=False)
    network.destinations.configure(made)
    network.ways(record)
    assert network.verified[-1] == (False, None)


def test_an_address_that_did_not_answer_comes_last_for_a_minute() -> None:
    network = Network()
    made, record = trunk("sip.test")
    network.destinations.configure(made)
    network.done(tuple(Place("udp", f"192.0.2.{number}", 5060) for number in (1, 2, 3)), "")
    flow = Flow("udp", "10.0.0.5", 5060, "192.0.2.1", 5060)
    assert network.destinations.missed(record, flow)
    assert network.ways(record) == ["192.0.2.2", "192.0.2.3", "192.0.2.1"]
    assert network.destinations.missed(record, flow._replace(remote_host="192.0.2.2"))
    assert network.ways(record) == ["192.0.2.3", "192.0.2.1", "192.0.2.2"]
    assert not network.destinations.missed(record, flow._replace(remote_host="192.0.2.3"))
    network.destinations.heard(record, flow)
    assert network.ways(record) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    network.now += MISSED_FOR
    network.destinations.missed(record, flow)
    assert network.ways(record) == ["192.0.2.2", "192.0.2.3", "192.0.2.1"]
    network.now += MISSED_FOR
    assert network.ways(record) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


def test_the_only_address_is_never_missed() -> None:
    network = Network()
    made, record = trunk("192.0.2.8")
    network.destinations.configure(made)
    assert not network.destinations.missed(record, Flow("udp", "10.0.0.5", 5060, "192.0.2.8", 5060))
    assert network.ways(record) == ["192.0.2.8"]


def test_a_server_with_very_many_addresses() -> None:
    """All are trusted, some are tried."""
    network = Network()
    made, record = trunk("sip.test")
    network.destinations.configure(made)
    network.done(tuple(Place("udp", f"192.0.2.{number}", 5060) for number in range(50)), "")
    assert len(network.ways(record)) == MAXIMUM_WAYS
    assert network.destinations.count(record) == MAXIMUM_WAYS
    assert len(network.destinations.addresses_of("sip.test")) == 50
    for number in range(50):
        network.destinations.missed(record, Flow("udp", "10.0.0.5", 5060, f"192.0.2.{number}", 5060))
    assert len(network.ways(record)) == MAXIMUM_WAYS


def test_names_are_looked_up_again_when_a_person_wants_it() -> None:
    network = Network()
    made, record = trunk("sip.test")
    network.destinations.configure(made)
    network.done((Place("udp", "192.0.2.1", 5060),), "")
    told: list[tuple[LookedUp, ...]] = []
    network.destinations.refresh(told.append)
    assert network.asked == [("sip.test", None, "udp")] * 2
    assert told == []
    # It is not planned a second time because of this: the lookup that is planned goes on.
    assert not network.done((Place("udp", "192.0.2.9", 5060),), "")
    assert told == [(LookedUp("sip.test", ("192.0.2.9",), ""),)]
    assert network.ways(record) == ["192.0.2.9"]
    network.destinations.refresh(told.append)
    network.done((), "no such name")
    assert told[1] == (LookedUp("sip.test", (), "no such name"),)
    assert network.ways(record) == ["192.0.2.9"], "an old address is better than none"


def test_without_any_name_nothing_is_looked_up() -> None:
    network = Network()
    network.destinations.configure(trunk("192.0.2.1")[0])
    told: list[tuple[LookedUp, ...]] = []
    network.destinations.refresh(told.append)
    assert told == [()]
    assert network.asked == []
