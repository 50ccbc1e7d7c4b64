"""The heap of deadlines: order, cancelling, bare calls, and its bound."""

from __future__ import annotations

from app.clock import DeadlineHeap


def test_deadlines_and_bare_calls_run_in_order_of_time() -> None:
    heap = DeadlineHeap()
    ran: list[tuple[str, float]] = []
    heap.schedule(3.0, lambda now: ran.append(("third", now)))
    heap.call_at(2.0, lambda argument, now: ran.append((argument, now)), "second")
    heap.schedule(1.0, lambda now: ran.append(("first", now)))
    heap.call_at(4.0, lambda argument, now: ran.append((argument, now)), "fourth")
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
        heap.call_at(1.0, lambda argument, _now: ran.append(argument), number)
    heap.expire(1.0)
    assert ran == [0, 1, 2, 3, 4]


def test_what_is_scheduled_by_a_callback_and_due_runs_at_once() -> None:
    heap = DeadlineHeap()
    ran: list[str] = []
    heap.call_at(1.0, lambda _argument, now: heap.call_at(now, lambda argument, _now: ran.append(argument), "then"), "")
    assert heap.expire(1.0) == 2
    assert ran == ["then"]


def test_a_cancelled_deadline_does_not_run() -> None:
    heap = DeadlineHeap()
    ran: list[float] = []
    deadline = heap.schedule(1.0, ran.append)
    heap.call_at(2.0, lambda _argument, now: ran.append(now), None)
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
    heap.call_at(6.0, lambda _argument, _now: None, None)
    heap.call_at(4.0, lambda _argument, _now: None, None)
    heap.schedule(4.0, lambda _now: None)
    heap.schedule(1.0, lambda _now: None)
    assert told == [5.0, 4.0, 1.0]


def test_cancelled_deadlines_are_swept_and_bare_calls_stay() -> None:
    heap = DeadlineHeap()
    ran: list[str] = []
    heap.call_at(9.0, lambda argument, _now: ran.append(argument), "bare")
    for _ in range(2000):
        heap.schedule(8.0, lambda _now: ran.append("cancelled")).cancel()
    assert len(heap) == 1
    assert len(heap._heap) < 600
    heap.expire(9.0)
    assert ran == ["bare"]
