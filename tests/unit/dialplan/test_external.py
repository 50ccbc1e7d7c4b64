"""Against toll fraud: call levels that hang on the time, and bounds of external calls."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from app.dialplan.decision import Dial, RejectCause
from app.dialplan.live import ExternalUse

DAY, NIGHT = datetime(2026, 11, 23, 10), datetime(2026, 11, 23, 22)


@pytest.fixture
def make(scene: Any) -> Any:
    """Abroad (00) is closed at night to all but level 9; users 100 and 101 and trunk 2 have bounds."""

    def made(**system: Any) -> Any:
        return scene(
            system={"business_hours": "Mon-Fri 08:00-18:00", **system},
            local_users=[
                {"number": "100", "max_external_calls_per_hour": 30, "max_external_minutes_per_day": 120},
                {"number": "101", "call_levels": [9], "max_external_minutes_per_day": 60},
                {"number": "102"},
            ],
            sip_trunks=[
                {"id": 1, "server_address": "192.0.2.8"},
                {"id": 2, "server_address": "192.0.2.9", "max_external_calls_per_hour": 100},
            ],
            external_lines=[{"id": 1, "account": "a", "server_address": "192.0.2.10"}],
            analyze_called_numbers=[
                {"prefix": "00", "route_type": "sip_trunk", "target_id": 1, "call_level_outside_hours": 9},
                {"prefix": "0", "route_type": "sip_trunk", "target_id": 1},
                {"prefix": "112", "route_type": "sip_trunk", "target_id": 1, "counts_as_external": False},
            ],
        )

    return made


# --- business hours ---------------------------------------------------------------------------------------------------


def test_by_day_everybody_may_call_abroad(make: Any, trail: Any) -> None:
    here = make()
    assert here.dialled("user:100", "0049301", at=DAY) == ["trunk:1 0049301"]
    assert (
        "business hours: it is Mon 10:00, within the business hours (Mon-Fri 08:00-18:00), so record 1 needs no call "
        "level"
    ) in trail(here.decide("user:100", "0049301", at=DAY))


@pytest.mark.parametrize("source", ["user:100", "trunk:2"])
def test_by_night_who_has_the_level(make: Any, trail: Any, source: str) -> None:
    here = make()
    refused = here.refused(source, "0049301", at=NIGHT)
    assert (refused.status, refused.cause) == (403, RejectCause.CALL_LEVEL)
    words = trail(refused)
    assert "it is Mon 22:00, outside the business hours (Mon-Fri 08:00-18:00), so record 1 needs call level 9" in words
    assert "call level: record 1 needs call level 9" in words
    assert here.dialled("user:101", "0049301", at=NIGHT) == ["trunk:1 0049301"]
    assert here.dialled(source, "0301", at=NIGHT) == ["trunk:1 0301"], "other numbers are as by day"


@pytest.mark.parametrize("called", ["0-049301", "0.049301", "-0-0-49301-", "00-49.301"])
def test_a_number_that_is_written_otherwise_is_the_same_number(make: Any, trail: Any, called: str) -> None:
    """Whoever is called may leave separators out: the number must not have passed as another one here."""
    at_night = make().refused("user:102", called, at=NIGHT)
    assert at_night.cause is RejectCause.CALL_LEVEL
    assert f"written number: {called} is read as 0049301: no user and no record has it with - or ." in trail(at_night)
    assert make().dialled("user:102", called, at=DAY) == ["trunk:1 0049301"]


@pytest.mark.parametrize("called", ["10-1", "20-55"])
def test_a_number_that_is_known_with_a_separator_keeps_it(scene: Any, called: str) -> None:
    document = {
        "local_users": [{"number": "10-1"}, {"number": "101"}],
        "sip_trunks": [{"id": 1, "server_address": "192.0.2.8"}],
        "analyze_called_numbers": [{"prefix": "20-", "route_type": "sip_trunk", "target_id": 1}],
    }
    assert scene(**document).dialled("user:101", called)[0].endswith(called)


def test_a_forwarded_call_at_night_is_its_users(make: Any) -> None:
    assert make().refused("user:100", "0049301", redirected=True, at=NIGHT).cause is RejectCause.CALL_LEVEL


def test_without_hours_or_a_time_the_day_counts(make: Any, trail: Any) -> None:
    for here, at in ((make(business_hours=""), NIGHT), (make(), None)):
        assert here.dialled("user:100", "0049301", at=at) == ["trunk:1 0049301"]
        assert "business hours" not in trail(here.decide("user:100", "0049301", at=at))


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_a_call_within_the_bounds_says_how_far_they_are(make: Any, trail: Any) -> None:
    here = make()
    here.live.external = {"user:100": ExternalUse(29, 119)}
    decision = here.decide("user:100", "0301")
    assert isinstance(decision, Dial)
    assert decision.is_bounded
    assert (
        "external calls: user:100 has made 29 of 30 external calls within an hour and talked 119 of 120 external "
        "minutes within a day"
    ) in trail(decision)


@pytest.mark.parametrize(
    ("source", "use", "words"),
    [
        ("user:100", ExternalUse(30, 0), "user:100 has made all of its 30 external calls of an hour"),
        ("user:100", ExternalUse(0, 120), "user:100 has talked all of its 120 external minutes of a day"),
        ("user:101", ExternalUse(5000, 60), "user:101 has talked all of its 60 external minutes of a day"),
        ("trunk:2", ExternalUse(100, 9999), "trunk:2 has made all of its 100 external calls of an hour"),
        ("user:100", ExternalUse(3, 0, "14:20"), "the external calls of user:100 are stopped until 14:20"),
    ],
)
@pytest.mark.parametrize("called", ["0301", "9301"])
def test_beyond_a_bound(make: Any, trail: Any, source: str, use: ExternalUse, words: str, called: str) -> None:
    here = make()
    here.live.external = {source: use}
    refused = here.refused(source, called)
    assert (refused.status, refused.reason, refused.text) == (403, "Forbidden", words)
    assert refused.cause is RejectCause.EXTERNAL_LIMIT
    assert trail(refused).endswith(f"decision: refuse with 403 Forbidden: {words}")
    assert here.refused(source, called, redirected=True).text == words if source != "trunk:2" else True
    assert here.dialled(source, "102") == ["user:102 102"], "internal calls never count"
    decision = here.decide(source, "112")
    assert isinstance(decision, Dial), "help can be called always"
    assert not decision.is_bounded


def test_who_has_no_bounds_is_not_asked_about(make: Any, trail: Any) -> None:
    here = make()
    here.live.external = {"user:102": ExternalUse(10**6, 10**6, "never")}
    decision = here.decide("user:102", "0301")
    assert isinstance(decision, Dial)
    assert not decision.is_bounded
    assert "external calls" not in trail(decision)


def test_a_call_that_nobody_takes_does_not_count(make: Any) -> None:
    here = make()
    here.live.trunks_down = {1: "no answer"}
    here.live.external = {"user:100": ExternalUse(30, 0)}
    assert here.refused("user:100", "0301").status == 503
