"""The hours of the day in which alarms make no noise: a setting of the window, whatever the server does."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DAY = 24 * 60
_TEXT = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of the day to another, mostly over midnight. Both are minutes since midnight."""

    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> QuietHours | None:
        """`22:00-07:00`; None for what is none."""
        found = _TEXT.fullmatch(text)
        if found is None:
            return None
        hour, minute, end_hour, end_minute = map(int, found.groups())
        return cls(hour * 60 + minute, end_hour * 60 + end_minute)

    def __str__(self) -> str:
        return "-".join(f"{minutes // 60:02}:{minutes % 60:02}" for minutes in (self.begin, self.end))

    def minutes_left(self, now: int) -> int:
        """How long they still last at a minute of the day; 0 outside of them. From 7 to 7 is never."""
        length, passed = (self.end - self.begin) % _DAY, (now - self.begin) % _DAY
        return max(0, length - passed)
