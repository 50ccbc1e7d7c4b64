"""The live state that the dial plan asks, over the parts that know it."""

from __future__ import annotations

from typing import Any

from simulation.world import World
from support.calling import configured, request

from app.calls.counters import Counted
from app.calls.switch import Switch
from app.sip.flow import Flow

TABLES: dict[str, Any] = {
    "sip_trunks": [{"id": 1, "server_address": "192.0.2.8", "max_calls_per_second": 2}],
    "external_lines": [
        {"id": 1, "account": "a", "server_address": "198.51.100.1", "local_user": "100", "max_calls_per_second": 1},
        {"id": 2, "account": "b", "server_address": "198.51.100.1", "local_user": "100"},
    ],
    "local_users": [
        {"number": "100", "password": "p"},
        {"number": "101", "password": "p", "trusted_address": "10.0.0.101"},
    ],
}


def server() -> tuple[World, Switch]:
    world = World()
    return world, world.switch(TABLES)


def test_counts_are_those_of_the_counters() -> None:
    _world, switch = server()
    live, counters = switch.live, switch.counters
    counters.hold(Counted.TRUNK_IN, 1)
    for _ in range(2):
        counters.hold(Counted.TRUNK_OUT, 1)
    counters.hold(Counted.LINE_IN, 1)
    counters.hold(Counted.LINE_OUT, 1)
    counters.hold(Counted.USER_IN, "100")
    counters.hold(Counted.USER_OUT, "100")
    assert (live.trunk_active_in(1), live.trunk_active_out(1)) == (1, 2)
    assert (live.line_active_in(1), live.line_active_out(1)) == (1, 1)
    assert (live.user_active("100"), live.user_active_out("100"), live.user_active("101")) == (2, 1, 0)


def test_rates_last_a_second() -> None:
    world, switch = server()
    live = switch.live
    live.count_line_rate(1)
    live.count_line_rate(2)
    assert live.line_rate_full(1)
    assert not live.line_rate_full(2)
    assert not live.line_rate_full(99)
    assert not live.trunk_rate_full(1)
    for _ in range(2):
        switch.trunks.count_rate(1)
    assert live.trunk_rate_full(1)
    assert not live.trunk_rate_full(99)
    world.advance(1)
    assert not live.line_rate_full(1)
    assert not live.trunk_rate_full(1)


def test_where_a_user_can_be_reached() -> None:
    _world, switch = server()
    assert (switch.live.user_contacts("100"), switch.live.user_contacts("101")) == (0, 1)
    register = request("REGISTER", ("To", "<sip:100@x>"), ("Expires", "600"))
    switch.registrar.register(("k",), register, Flow("udp", "10.0.0.5", 5060, "10.0.0.9", 5060), "100")  # type: ignore[arg-type]
    assert switch.live.user_contacts("100") == 1
    switch.configure(configured(local_users=[{"number": "101", "password": "p"}]))
    assert (switch.live.user_contacts("100"), switch.live.user_contacts("101")) == (0, 0)


def test_who_is_down_and_whose_turn_it_is() -> None:
    _world, switch = server()
    assert switch.live.trunk_down(1) == ""
    assert switch.live.trunk_down(99) == ""
    assert switch.live.line_down(1) == "not registered: not registered yet"
    assert switch.live.line_down(99) == "it does not exist"
    assert switch.live.round_robin(1) == 0
    switch.live.took_turn(1)
    switch.live.took_turn(1)
    assert (switch.live.round_robin(1), switch.live.round_robin(2)) == (2, 0)
