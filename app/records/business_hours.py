"""Business hours: the times of the week that a person writes as `Mon-Fri 08:00-18:00, Sat 09:00-13:00`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta

_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DAYS = tuple(name[:3] for name in _NAMES)
EXAMPLE = "Mon-Fri 08:00-18:00, Sat 09:00-13:00"
MAXIMUM_TIMES = 100
"""So many times of day may be written in all."""
_MINUTES_OF_A_DAY = 24 * 60
_DAY = re.compile(r"([a-z]+)(?:-([a-z]+))?", re.IGNORECASE)
_TIME = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?-(\d{1,2})(?:[:.](\d{2}))?")
_MOMENT = re.compile(r"(?:([a-z]+)\s+)?(\d{1,2}):(\d{2})", re.IGNORECASE)


class BusinessHours:
    """When a week's business hours are, by the clock on the wall: what summer time does to that clock it does to them.

    False where no hours are said. `moment in hours` asks about a local time.
    """

    __slots__ = ("_spans", "text")

    def __init__(self, text: str) -> None:
        """Read what a person wrote. ValueError says in words what is wrong."""
        groups = list(_groups(text))
        spans = [span for days, times in groups for day in _days(days) for span in _spans(day, times)]
        if len(spans) > MAXIMUM_TIMES * len(DAYS):
            raise ValueError(f"must be {MAXIMUM_TIMES} times of day at most")
        self._spans = tuple(sorted(spans))
        self.text = ", ".join(" ".join((*days, *times)) for days, times in groups)
        """The hours in their usual form."""

    def __bool__(self) -> bool:
        return bool(self._spans)

    def __contains__(self, moment: datetime) -> bool:
        minute = moment.weekday() * _MINUTES_OF_A_DAY + moment.hour * 60 + moment.minute
        return any(begin <= minute < end for begin, end in self._spans)

    def __str__(self) -> str:
        return self.text


def day_and_time(moment: datetime) -> str:
    """`Mon 22:00`"""
    return f"{DAYS[moment.weekday()]} {moment:%H:%M}"


def read_moment(text: str, now: datetime) -> datetime:
    """A local time as a person writes it: `2026-11-23 22:00`, the next `Mon 22:00`, today's `22:00`, or blank for now.

    ValueError says in words what is wrong.
    """
    text = text.strip()
    if not text:
        return now
    found = _MOMENT.fullmatch(text)
    try:
        if found is None:
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo is None else moment.astimezone().replace(tzinfo=None)
        later = (_day(found[1]) - now.weekday()) % len(DAYS) if found[1] else 0
        return datetime.combine(now.date() + timedelta(days=later), time(int(found[2]), int(found[3])))
    except (ValueError, OverflowError):
        raise ValueError(f"'{text}' is not a time: write 2026-11-23 22:00, Mon 22:00 or 22:00") from None


def _groups(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """The days and the times that stand together, each in its usual form."""
    days: list[str] = []
    times: list[str] = []
    for word in re.sub(r"\s*[-\u2013]\s*", "-", text).replace(",", " ").replace(";", " ").split():
        if _TIME.fullmatch(word):
            times.append(_usual_time(word))
            continue
        if times:
            yield days, times
            days, times = [], []
        days.append(_usual_days(word))
    if days and not times:
        raise ValueError(f"'{days[-1]}' has no times: write {EXAMPLE}")
    if times:
        yield days, times


def _usual_days(word: str) -> str:
    found = _DAY.fullmatch(word)
    if found is None:
        raise ValueError(f"'{word}' is neither days nor times: write {EXAMPLE}")
    return "-".join(DAYS[_day(name)] for name in found.groups() if name)


def _usual_time(word: str) -> str:
    begin, end = _minutes(word)
    if begin >= end and (begin - end) % _MINUTES_OF_A_DAY == 0:
        raise ValueError(f"'{word}' ends where it begins; all day is 00:00-24:00")
    return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (begin, end))


def _day(name: str) -> int:
    if len(name) >= 2:
        for number, word in enumerate(_NAMES):
            if word.lower().startswith(name.lower()):
                return number
    raise ValueError(f"'{name}' is no day: write {', '.join(DAYS)}")


def _days(ranges: list[str]) -> set[int]:
    """The days of the ranges; every day where none are named."""
    if not ranges:
        return set(range(len(DAYS)))
    found: set[int] = set()
    for words in ranges:
        first, _, last = words.partition("-")
        begin = DAYS.index(first)
        count = (DAYS.index(last or first) - begin) % len(DAYS) + 1
        found.update((begin + step) % len(DAYS) for step in range(count))
    return found


def _minutes(word: str) -> tuple[int, int]:
    found = _TIME.fullmatch(word)
    assert found is not None, "it was one when it was read"
    times: list[int] = []
    for hour, minute in ((found[1], found[2]), (found[3], found[4])):
        if int(hour) * 60 + int(minute or 0) > _MINUTES_OF_A_DAY or int(minute or 0) > 59:
            raise ValueError(f"'{word}' is no time of day, which is 00:00 to 24:00")
        times.append(int(hour) * 60 + int(minute or 0))
    return times[0], times[1]


def _spans(day: int, times: list[str]) -> Iterator[tuple[int, int]]:
    """The times of a day as minutes of the week; what goes past midnight is the next morning's, too."""
    week = len(DAYS) * _MINUTES_OF_A_DAY
    for word in times:
        begin, end = _minutes(word)
        start = day * _MINUTES_OF_A_DAY + begin
        stop = day * _MINUTES_OF_A_DAY + end + (_MINUTES_OF_A_DAY if end < begin else 0)
        yield start, min(stop, week)
        if stop > week:
            yield 0, stop - week
