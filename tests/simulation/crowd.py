"""Many calls of random kind through one switch, from one seed: shared by the crowd tests and the big simulation."""

from __future__ import annotations

from dataclasses import dataclass

from simulation.world import SDP, Peer, Plan, Weather, World

from app.calls.switch import Switch

CARRIERS = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
CALLER = "192.0.2.100"
PHONE = "10.0.0.100"
LIMIT = 40

BAD_WEATHER = Weather(loss=0.1, duplicates=0.1, reordering=0.1)


def crowd_document() -> dict[str, object]:
    """Three carriers in a chain, a caller's trunk, a routing group, and one phone."""
    trunks = [
        {
            "id": number,
            "server_address": address,
            "next_trunk_id": number % 3 + 1,
            "max_outgoing_calls": LIMIT,
            "no_answer_timeout": 40,
        }
        for number, address in enumerate(CARRIERS, start=1)
    ]
    trunks.append({"id": 9, "server_address": CALLER, "max_incoming_calls": 100_000})
    return {
        "system": {"max_messages_per_second": 0},
        "sip_trunks": trunks,
        "local_users": [{"number": "100", "password": "secret100"}],
        "routing_groups": [
            {
                "id": 1,
                "strategy": "least_busy",
                "members": [{"route_type": "sip_trunk", "target_id": number} for number in (1, 2, 3)],
            }
        ],
        "analyze_called_numbers": [
            {"prefix": "1", "route_type": "sip_trunk", "target_id": 1},
            {"prefix": "2", "route_type": "sip_trunk", "target_id": 2},
            {"prefix": "3", "route_type": "routing_group", "target_id": 1},
            {"prefix": "100", "route_type": "local_user"},
        ],
    }


@dataclass
class Crowd:
    """The parts of a crowd."""

    world: World
    switch: Switch
    caller: Peer
    phone: Peer
    begun: int = 0

    def check(self) -> None:
        """What must hold at any moment: no limit is passed, and every call counts where it should."""
        for row in self.switch.trunks.rows():
            assert row.active_out <= row.max_out, row
            assert row.active_in <= row.max_in, row
        assert len(self.world.recorder.ended) + len(self.switch.calls) == self.switch.metrics.begun
        if not self.switch.calls:
            assert self.switch.counters.total == 0


def make_crowd(seed: int, weather: Weather) -> Crowd:
    """A world with a switch and its peers; the phone is registered in good weather first."""
    world = World(seed)
    switch = world.switch(crowd_document())
    for address in CARRIERS:
        carrier = Peer(world, address)
        carrier.plan = lambda _request, world=world: random_answer(world)  # type: ignore[misc]
    caller, phone = Peer(world, CALLER), Peer(world, PHONE)
    phone.plan = lambda _request: random_answer(world)
    phone.register("100", "secret100", expires=3600)
    world.advance(2)
    world.weather = weather
    return Crowd(world, switch, caller, phone)


def random_answer(world: World) -> Plan:
    """What a called peer does this time."""
    chance = world.random
    status = chance.choices([200, 486, 404, 503, 0, 603], [60, 8, 6, 12, 8, 6])[0]
    return Plan(
        status=status,
        ring_after=chance.choice([None, 0.05, 0.3]),
        early_media=chance.random() < 0.2,
        answer_after=chance.uniform(0.01, 8.0),
        hang_up_after=chance.uniform(0.0, 30.0) if chance.random() < 0.5 else None,
        hold_after=chance.uniform(0.0, 10.0) if chance.random() < 0.1 else None,
        digit_after=chance.uniform(0.0, 10.0) if chance.random() < 0.1 else None,
    )


def random_call(crowd: Crowd) -> None:
    """Begin one call of random kind; whoever does not hang up by plan is hung up on after a while."""
    chance = crowd.world.random
    plan = Plan(
        hang_up_after=chance.uniform(0.0, 60.0),
        hold_after=chance.uniform(0.0, 10.0) if chance.random() < 0.1 else None,
        digit_after=chance.uniform(0.0, 10.0) if chance.random() < 0.1 else None,
        cancel_after=chance.uniform(0.0, 6.0) if chance.random() < 0.15 else None,
    )
    number = f"{chance.choice('1234')}{chance.randrange(10**6):06d}"
    if chance.random() < 0.1:
        number = "100"
    if chance.random() < 0.1:
        crowd.phone.call(number, plan, caller_number="100", password=("100", "secret100"))
    else:
        crowd.caller.call(number, plan, body=None if chance.random() < 0.05 else SDP)
    crowd.begun += 1
