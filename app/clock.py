"""Time as a parameter: the clock that is handed down and the one heap of deadlines of an engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heappush, heapreplace
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Clock:
    """The two times of an engine. Tests hand in a clock that they advance."""

    monotonic: Callable[[], float]
    """Seconds that only go forward; every deadline is in this time."""
    wall: Callable[[], float]
    """Seconds since the epoch, UTC; only for what a person reads, such as call records."""


def local_time(wall: float) -> datetime:
    """What a clock in this machine's time zone shows, in summer time too, at so many seconds since the epoch."""
    return datetime.fromtimestamp(wall)


DeadlineCallback = Callable[[float], None]


class Deadline:
    """A callback that is due at a time. Keep it only to cancel it."""

    __slots__ = ("_heap", "at", "callback")

    def __init__(self, heap: DeadlineHeap, at: float, callback: DeadlineCallback) -> None:
        self._heap: DeadlineHeap | None = heap
        self.at = at
        self.callback: DeadlineCallback | None = callback

    @property
    def active(self) -> bool:
        """Whether the callback is still to come."""
        return self.callback is not None

    def cancel(self) -> None:
        """Forget the callback; cancelling twice, or after it ran, does nothing."""
        if self.callback is None:
            return
        self.callback = None
        heap, self._heap = self._heap, None
        if heap is not None:
            heap.forget_one()


_Entry: TypeAlias = tuple[float, int, Any, Any, "deque[_Entry] | None"]
"""When, in which order, a `Deadline` or the callback of a bare call, that one's argument, and the lane it waits in."""


class DeadlineHeap:
    """All deadlines of an engine, so that one armed timer serves them (a Qt timer each would cost far more).

    Cancelled entries stay in the heap until they come up or until they outnumber the living, when it is swept: its
    size is bounded by twice the number of living deadlines plus a constant.
    """

    _SWEEP_AT_LEAST = 256

    def __init__(self, on_earlier: Callable[[float], None] | None = None) -> None:
        self._heap: list[_Entry] = []
        self._lanes: dict[int, deque[_Entry]] = {}
        """Per lane its entries in order of time; the first of each stands in the heap as well."""
        self._sequence = 0
        self._cancelled = 0
        self.on_earlier = on_earlier
        """Called with the new first deadline whenever one is scheduled before all others: arm the timer for it."""

    def __len__(self) -> int:
        """How many deadlines are still to come."""
        return len(self._heap) - self._cancelled + sum(len(lane) - 1 for lane in self._lanes.values() if lane)

    def schedule(self, at: float, callback: DeadlineCallback) -> Deadline:
        """Have `callback(now)` called by the first `expire(now)` at or after `at` (monotonic seconds)."""
        deadline = Deadline(self, at, callback)
        self._sequence = sequence = self._sequence + 1
        self._push((at, sequence, deadline, None, None))
        return deadline

    def call_at(self, at: float, callback: Callable[[Any, float], None], argument: Any, lane: int) -> None:
        """Have `callback(argument, now)` called likewise: for whoever can tell by itself that it is no longer wanted.

        It costs a third of a `Deadline` and takes its place until its time, wanted or not. `lane` says which ones have
        the same delay: each is due after the one before it, and so none has to be sorted in. One that is not is no
        mistake, it only costs more.
        """
        self._sequence = sequence = self._sequence + 1
        queue = self._lanes.get(lane)
        if queue is None:
            queue = self._lanes[lane] = deque()
        entry = (at, sequence, callback, argument, queue)
        if not queue:
            queue.append(entry)
            self._push(entry)
        elif queue[-1][0] <= at:
            queue.append(entry)
        else:
            self._push((at, sequence, callback, argument, None))

    def _push(self, entry: _Entry) -> None:
        heappush(self._heap, entry)
        if self._heap[0] is entry and self.on_earlier is not None:
            self.on_earlier(entry[0])

    def next_deadline(self) -> float | None:
        """The time of the first deadline still to come, or None."""
        heap = self._heap
        while heap and type(heap[0][2]) is Deadline and heap[0][2].callback is None:
            heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap else None

    def expire(self, now: float) -> int:
        """Run every callback that is due at `now`, in order of time; waking early runs nothing. Returns how many ran.

        A callback that schedules a deadline that is due already gets it run in the same call.
        """
        heap = self._heap
        count = 0
        while heap and heap[0][0] <= now:
            _, _, what, argument, lane = heap[0]
            if lane is None:
                heappop(heap)
            else:
                lane.popleft()
                if lane:
                    heapreplace(heap, lane[0])
                else:
                    heappop(heap)
            if type(what) is not Deadline:
                count += 1
                what(argument, now)
                continue
            callback = what.callback
            if callback is None:
                self._cancelled -= 1
                continue
            what.callback = None
            count += 1
            callback(now)
        return count

    def forget_one(self) -> None:
        """Count one cancelled entry and sweep the heap when they outnumber the living (used by `Deadline.cancel`)."""
        self._cancelled += 1
        if self._cancelled > self._SWEEP_AT_LEAST and self._cancelled * 2 > len(self._heap):
            # In place: expire() may be running over this very list.
            self._heap[:] = [
                entry for entry in self._heap if type(entry[2]) is not Deadline or entry[2].callback is not None
            ]
            heapify(self._heap)
            self._cancelled = 0
