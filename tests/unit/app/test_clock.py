"""The heap of deadlines: order, cancelling, bare calls, and its bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from app.clock import DeadlineHeap


def test_deadlines_and_bare_calls_run_in_order_of_time() -> None:
    heap = DeadlineHeap()
    ran: list[tuple[str, float]] = []
    heap.schedule(3.0, lambda now: ran.append(("third", now)))
    heap.call_at(2.0, lambda argument, now: ran.append((argument, now)), "second", 0)
    heap.schedule(1.0, lambda now: ran.append(("first", now)))
    heap.call_at(4.0, lambda argument, now: ran.append((argument, now)), "fourth", 0)
    assert len(heap) == 4
    assert heap.expire(0.5) == 0
    assert heap.expire(3.5) == 3
    assert ran == [("first", 3.5), ("second", 3.5), ("third", 3.5)]
    assert heap.next_deadline() == 4.0
    assert heap.expire(4.0) == 1
    assert heap.next_deadline() is None


def test_equal_times_run_in_the_order_in_which_they_came() -> None:
    heap = DeadlineHeap()
    ran: list[int] = []
    for number in range(5):
        heap.call_at(1.0, lambda argument, _now: ran.append(argument), number, 0)
    heap.expire(1.0)
    assert ran == [0, 1, 2, 3, 4]


def test_what_is_scheduled_by_a_callback_and_due_runs_at_once() -> None:
    heap = DeadlineHeap()
    ran: list[str] = []

    def again(_argument: object, now: float) -> None:
        heap.call_at(now, lambda argument, _now: ran.append(argument), "then", 0)

    heap.call_at(1.0, again, "", 0)
    assert heap.expire(1.0) == 2
    assert ran == ["then"]


def test_a_cancelled_deadline_does_not_run() -> None:
    heap = DeadlineHeap()
    ran: list[float] = []
    deadline = heap.schedule(1.0, ran.append)
    heap.call_at(2.0, lambda _argument, now: ran.append(now), None, 0)
    assert deadline.active
    deadline.cancel()
    deadline.cancel()
    assert not deadline.active
    assert len(heap) == 1
    assert heap.next_deadline() == 2.0
    heap.expire(5.0)
    assert ran == [5.0]


def test_only_an_earlier_first_deadline_is_told() -> None:
    told: list[float] = []
    heap = DeadlineHeap(told.append)
    heap.schedule(5.0, lambda _now: None)
    heap.call_at(6.0, lambda _argument, _now: None, None, 0)
    heap.call_at(4.0, lambda _argument, _now: None, None, 0)
    heap.schedule(4.0, lambda _now: None)
    heap.schedule(1.0, lambda _now: None)
    assert told == [5.0, 4.0, 1.0]


def test_cancelled_deadlines_are_swept_and_bare_calls_stay() -> None:
    heap = DeadlineHeap()
    ran: list[str] = []
    heap.call_at(9.0, lambda argument, _now: ran.append(argument), "bare", 0)
    for _ in range(2000):
        heap.schedule(8.0, lambda _now: ran.append("cancelled")).cancel()
    assert len(heap) == 1
    assert len(heap._heap) < 600
    heap.expire(9.0)
    assert ran == ["bare"]


@given(some.lists(some.tuples(some.integers(0, 2), some.integers(0, 9), some.integers(0, 3)), max_size=40))
def test_lanes_change_nothing_about_the_order(steps: list[tuple[int, int, int]]) -> None:
    """Against a sorted list: whatever is scheduled by whichever way, and whenever time moves on."""
    heap = DeadlineHeap()
    ran: list[int] = []
    waiting: list[tuple[float, int]] = []
    now = 0.0
    for number, (way, delay, lane) in enumerate(steps):
        at = now + delay
        if way == 0:
            heap.schedule(at, lambda _now, number=number: ran.append(number))
        elif way == 1:
            heap.call_at(at, lambda argument, _now: ran.append(argument), number, lane)
        else:
            now += delay
            due = sorted(entry for entry in waiting if entry[0] <= now)
            waiting = [entry for entry in waiting if entry[0] > now]
            ran.clear()
            assert heap.expire(now) == len(due)
            assert ran == [entry[1] for entry in due]
            assert heap.next_deadline() == min(waiting, default=(None,))[0]
            continue
        waiting.append((at, number))
        assert len(heap) == len(waiting)
