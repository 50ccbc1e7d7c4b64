"""Every port pair is in exactly one place, whatever happens to workers and calls."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.media.ports import CHUNK, READY_TARGET, REFUSED_REST, AddressPorts


def everywhere(ports: AddressPorts) -> list[int]:
    return sorted(
        [
            *ports.free,
            *(port for ready in ports.ready.values() for port in ready),
            *(port for requested in ports.requested.values() for port in requested),
            *ports.used,
            *ports.returning,
            *(port for _, port in ports.refused),
        ]
    )


def test_pairs_are_even_and_inside_the_range() -> None:
    assert everywhere(AddressPorts("x", 20001, 20008)) == [20002, 20004, 20006]
    assert everywhere(AddressPorts("x", 20000, 20001)) == [20000]
    assert everywhere(AddressPorts("x", 20000, 20000)) == []


def test_the_order_cannot_be_guessed() -> None:
    assert list(AddressPorts("x", 20000, 29999).free) != list(AddressPorts("x", 20000, 29999).free)


def in_use(pairs: int, first: int = 20000, last: int = 29999) -> AddressPorts:
    """A range of which calls use some pairs."""
    ports = AddressPorts("x", first, last)
    for _ in range(pairs):
        assert ports.take_free(0) is not None
    return ports


def test_bound_ahead_taken_and_given_back() -> None:
    ports = in_use(100)
    asked = ports.request(0, 1)
    assert len(asked) == CHUNK
    ports.bound(0, asked[1:], asked[:1], 10.0)
    taken = ports.take(0)
    assert taken == asked[1]
    assert ports.take(1) is None
    ports.give_back(taken, 0, 7)
    assert taken not in ports.free
    ports.closed(taken, 6)
    assert taken not in ports.free
    ports.closed(taken, 7)
    ports.closed(taken, 7)
    assert list(ports.free).count(taken) == 1 and ports.free[-1] == taken
    ports.retry_refused(10.0 + REFUSED_REST - 1)
    assert asked[0] not in ports.free
    ports.retry_refused(10.0 + REFUSED_REST)
    assert asked[0] in ports.free


def test_it_stops_asking_when_enough_are_ready() -> None:
    for used, ahead in ((0, 0), (1, 2), (10, 10), (200, READY_TARGET)):
        ports = in_use(used)
        while asked := ports.request(0, 1):
            ports.bound(0, asked, (), 0.0)
        assert sum(len(ready) for ready in ports.ready.values()) == ahead


def test_with_the_last_call_gone_nothing_stays_bound() -> None:
    ports = in_use(2)
    ports.bound(0, ports.request(0, 1), (), 0.0)
    taken = tuple(ports.used)
    ports.give_back(taken[0], 0, 1)
    assert ports.withdraw(0) == () and len(ports.ready[0]) == 2
    ports.give_back(taken[1], 0, 2)
    let_go = ports.withdraw(0)
    for port in let_go:
        ports.give_back(port, 0, 3)
    assert len(let_go) == 2 and ports.withdraw(0) == () and ports.request(0, 1) == ()
    # Nobody gets them before the worker has closed them.
    assert not set(let_go) & set(ports.free)
    for port in let_go:
        ports.closed(port, 3)
    assert set(let_go) <= set(ports.free) and len(everywhere(ports)) == 5000


def test_a_used_up_range_gives_a_call_what_the_same_worker_is_about_to_close() -> None:
    ports = in_use(2, 20000, 20003)
    first, second = ports.used
    ports.give_back(first, 0, 1)
    ports.give_back(second, -1, 2)
    assert ports.take_returning(1) is None
    assert ports.take_returning(0) == first and ports.take_returning(0) is None
    # That it is closed is no longer about this port.
    ports.closed(first, 1)
    ports.closed(second, 2)
    assert ports.used == {first: 0} and list(ports.free) == [second]


def test_a_small_range_is_shared_by_the_workers() -> None:
    ports = in_use(4, 20000, 20023)
    for worker in (0, 1):
        asked = ports.request(worker, 2)
        ports.bound(worker, asked, (), 0.0)
        assert len(asked) == 3
    assert ports.available == 8
    assert ports.take_free(0) is not None


def test_a_dead_worker_gives_back_what_it_had_ahead() -> None:
    ports = in_use(4, 20000, 20031)
    asked = ports.request(0, 1)
    ports.bound(0, asked[:3], (), 0.0)
    taken = ports.take(0)
    assert taken is not None
    ports.forget_worker(0)
    assert len(ports.used) == 5 and taken in ports.used
    assert ports.available == 11
    assert len(everywhere(ports)) == 16


def test_a_port_outside_the_range_does_not_come_back() -> None:
    ports = AddressPorts("x", 20000, 20003)
    ports.used[30000] = 0
    ports.give_back(30000, 0, 1)
    ports.closed(30000, 1)
    assert everywhere(ports) == [20000, 20002]


def test_a_port_that_is_just_being_bound_can_be_taken() -> None:
    ports = in_use(1, 20000, 20005)
    asked = ports.request(0, 1)
    assert ports.take_requested(1) is None
    taken = {ports.take_requested(0), ports.take_requested(0)}
    assert taken == set(asked) and ports.take_requested(0) is None
    ports.bound(0, asked, (), 0.0)
    assert ports.take(0) is None and len(ports.used) == 3


STEPS = st.lists(st.tuples(st.sampled_from("rbftuwgaclx"), st.integers(0, 2), st.integers(0, 20)), max_size=60)


@given(STEPS)
@settings(max_examples=200, deadline=None)
def test_no_port_is_lost_or_doubled(steps: list[tuple[str, int, int]]) -> None:
    ports = AddressPorts("x", 20000, 20039)
    now = 0.0
    for step, worker, number in steps:
        now += 5.0
        if step == "r":
            ports.request(worker, 3)
        elif step in "bf":
            requested = tuple(ports.requested.get(worker, ()))
            half = len(requested) // 2
            ports.bound(worker, requested[:half], requested[half:] if step == "f" else (), now)
        elif step == "t":
            ports.take(worker)
        elif step == "u":
            ports.take_free(worker)
        elif step == "w":
            ports.forget_worker(worker)
        elif step == "g" and ports.used:
            ports.give_back(list(ports.used)[number % len(ports.used)], worker - 1, number)
        elif step == "c" and ports.returning:
            port = list(ports.returning)[number % len(ports.returning)]
            ports.closed(port, ports.returning[port][1])
        elif step == "x":
            ports.take_returning(worker)
        elif step == "l":
            for port in ports.withdraw(worker):
                ports.give_back(port, worker, number)
        elif step == "a":
            port = ports.take_free(worker)
            if port is not None:
                ports.refuse(port, now)
            ports.retry_refused(now)
        assert everywhere(ports) == list(range(20000, 20040, 2))
