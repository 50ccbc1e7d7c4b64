"""Whether two kinds of durations can be told apart: a rank test that a busy machine does not upset."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence


def advantage(ones: Sequence[float], others: Sequence[float]) -> float:
    """How much better than by chance somebody guesses which of two durations is one of `others`: 0 (not) to 0.5.

    The area under the receiver's curve less a half (Mann and Whitney). Both kinds are to be measured in turns, so that
    whatever else the machine does meets both alike.
    """
    ordered = sorted(ones)
    below = sum((bisect_left(ordered, other) + bisect_right(ordered, other)) / 2 for other in others)
    return abs(below / (len(ones) * len(others)) - 0.5)


def by_chance(count: int, deviations: float = 4.0) -> float:
    """What `advantage` stays under where there is nothing to tell, with `count` durations of each kind."""
    return deviations * math.sqrt((2 * count + 1) / 12) / count
