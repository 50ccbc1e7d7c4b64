"""Business hours are read as people write them, and asked by the clock on the wall."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from app.clock import local_time
from app.errors import RecordErrors
from app.records import Configuration
from app.records.business_hours import BusinessHours, day_and_time, read_moment
from app.records.document import read_document

MONDAY = datetime(2026, 11, 23)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, 23 + day, hour, minute)


@pytest.mark.parametrize(
    ("written", "usual"),
    [
        ("", ""),
        ("Mon-Fri 08:00-18:00, Sat 09:00-13:00", "Mon-Fri 08:00-18:00, Sat 09:00-13:00"),
        ("monday - FRIDAY 8-12:30; 13:30\u201318", "Mon-Fri 08:00-12:30 13:30-18:00"),
        ("Mon-Fri 08.00-18.30", "Mon-Fri 08:00-18:30"),
        ("Mon, Wed, Fri 9-17", "Mon Wed Fri 09:00-17:00"),
        ("08:00-18:00", "08:00-18:00"),
        ("Fri-Mon 22:00-06:00", "Fri-Mon 22:00-06:00"),
        ("Sun 0-24", "Sun 00:00-24:00"),
    ],
)
def test_what_people_write_has_a_usual_form(written: str, usual: str) -> None:
    hours = BusinessHours(written)
    assert str(hours) == usual
    assert BusinessHours(usual).text == usual
    assert bool(hours) == bool(usual)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Mon-Fri", "'Mon-Fri' has no times: write Mon-Fri 08:00-18:00, Sat 09:00-13:00"),
        ("Mon 8-25", "'8-25' is no time of day, which is 00:00 to 24:00"),
        ("Mon 8:61-9:00", "'8:61-9:00' is no time of day"),
        ("Mon 8:00-8:00", "'8:00-8:00' ends where it begins; all day is 00:00-24:00"),
        ("Mon 24-0", "'24-0' ends where it begins; all day is 00:00-24:00"),
        ("Montag 8-18", "'Montag' is no day: write Mon, Tue, Wed, Thu, Fri, Sat, Sun"),
        ("Mon 8-18 o'clock", "'o'clock' is neither days nor times"),
        ("m 8-18", "'m' is no day"),
        (
            " ".join(f"{n // 50}:{n % 50:02}-{n // 50}:{n % 50 + 1:02}" for n in range(10, 111)),
            "must be 100 times of day",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(written: str, words: str) -> None:
    with pytest.raises(ValueError, match="^" + words.replace("(", r"\(")):
        BusinessHours(written)
    with pytest.raises(RecordErrors, match="business_hours: "):
        read_document({"system": {"business_hours": written}}, Configuration())


def test_the_hours_of_a_week() -> None:
    hours = BusinessHours("Mon-Fri 08:00-12:00 13:00-18:00, Sat 09:00-13:00")
    within = [at(0, 8), at(0, 11, 59), at(0, 13), at(4, 17, 59), at(5, 12, 59)]
    outside = [at(0, 7, 59), at(0, 12), at(0, 12, 59), at(0, 18), at(5, 8), at(5, 13), at(6, 10)]
    assert all(moment in hours for moment in within)
    assert not any(moment in hours for moment in outside)


def test_hours_past_midnight_are_the_next_morning_even_on_a_sunday() -> None:
    hours = BusinessHours("Sat-Sun 22:00-06:00")
    assert all(moment in hours for moment in (at(5, 22), at(6, 5, 59), at(6, 23), at(0, 0), at(0, 5, 59)))
    assert not any(moment in hours for moment in (at(5, 5), at(0, 6), at(0, 22), at(6, 6)))


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system has one time zone per machine")
def test_summer_time_moves_the_hours_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        hours = BusinessHours("Mon-Fri 08:00-18:00")
        # 07:30 in London's winter: half past eight in Berlin; in summer half past seven there is 05:30.
        winter, summer = 1_768_807_800.0, 1_784_525_400.0
        assert [day_and_time(local_time(wall)) for wall in (winter, summer)] == ["Mon 08:30", "Mon 07:30"]
        assert [local_time(wall) in hours for wall in (winter, summer, summer + 1800)] == [True, False, True]
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("", datetime(2026, 11, 24, 10, 30)),
        ("2026-12-24 22:15", datetime(2026, 12, 24, 22, 15)),
        ("22:00", datetime(2026, 11, 24, 22)),
        ("tue 22:00", datetime(2026, 11, 24, 22)),
        ("Mon 7:05", datetime(2026, 11, 30, 7, 5)),
    ],
)
def test_a_moment_as_a_person_writes_it(written: str, moment: datetime) -> None:
    assert read_moment(written, datetime(2026, 11, 24, 10, 30)) == moment


def test_a_moment_of_another_time_zone_is_asked_about_by_the_clock_here(monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(time, "tzset"):
        pytest.skip("this system has one time zone per machine")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        for written in ("2026-12-24T18:00Z", "2026-12-24 13:00-05:00", "2026-12-24 19:00"):
            assert read_moment(written, MONDAY) == datetime(2026, 12, 24, 19), written
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("written", ["at night", "25:00", "Mon", "2026-02-30 10:00", "no 10:00", "9" * 5000])
def test_what_is_no_moment(written: str) -> None:
    with pytest.raises(ValueError, match="is not a time: write 2026-11-23 22:00, Mon 22:00 or 22:00"):
        read_moment(written, MONDAY)
