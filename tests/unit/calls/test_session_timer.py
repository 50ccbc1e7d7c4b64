"""Session timers between two ends, as tables over messages (RFC 4028)."""

from __future__ import annotations

import pytest
from support.calling import request

from app.calls.session_timer import (
    MINIMUM,
    SessionTerms,
    agree_as_server,
    agreed_as_client,
    asked_for,
    is_too_short,
    offer_as_client,
    supports_timer,
    wanted_minimum,
)
from app.sip.message import Request, Response

KNOWS = ("Supported", "timer")


def asks(value: str, *more: tuple[str, str]) -> Request:
    return request("INVITE", ("Session-Expires", value), *more)


def response(*headers: tuple[str, str], status: int = 200) -> Response:
    return Response(status, "x", list(headers))


@pytest.mark.parametrize(
    ("headers", "knows"),
    [
        ([("Supported", "100rel, Timer")], True),
        ([("Require", "timer")], True),
        ([("Supported", "timers")], False),
        ([], False),
    ],
)
def test_who_knows_timers(headers: list[tuple[str, str]], knows: bool) -> None:
    assert supports_timer(request("INVITE", *headers)) is knows


@pytest.mark.parametrize(
    ("value", "more", "short"),
    [
        ("89", [KNOWS], True),
        ("90", [KNOWS], False),
        ("30;refresher=uac", [KNOWS], True),
        ("30", [], False),
        ("rubbish", [KNOWS], False),
    ],
)
def test_too_short_a_session_gets_422(value: str, more: list[tuple[str, str]], short: bool) -> None:
    """Only a peer that knows timers can make something of a 422 (RFC 4028 6)."""
    assert is_too_short(asks(value, *more)) is short


# Session-Expires of the caller, what it supports, our own wish -> (seconds, whether it is our turn), headers of the 2xx
TABLE = [
    ("1800", KNOWS, 0, (1800, False), [("Session-Expires", "1800;refresher=uac"), ("Require", "timer")]),
    ("1800;refresher=uac", KNOWS, 600, (600, False), [("Session-Expires", "600;refresher=uac"), ("Require", "timer")]),
    ("1800;refresher=uas", KNOWS, 3600, (1800, True), [("Session-Expires", "1800;refresher=uas")]),
    (
        "1800;refresher=nobody",
        KNOWS,
        0,
        (1800, False),
        [("Session-Expires", "1800;refresher=uac"), ("Require", "timer")],
    ),
    ("1800", None, 0, (1800, True), [("Session-Expires", "1800;refresher=uas")]),
    ("1800;refresher=uac", None, 600, (600, True), [("Session-Expires", "600;refresher=uas")]),
    ("30", None, 0, (90, True), [("Session-Expires", "90;refresher=uas")]),
]


@pytest.mark.parametrize(("value", "knows", "ours", "terms", "headers"), TABLE)
def test_what_a_server_agrees_to(
    value: str,
    knows: tuple[str, str] | None,
    ours: int,
    terms: tuple[int, bool],
    headers: list[tuple[str, str]],
) -> None:
    """RFC 4028 9 and its table 2."""
    found, answer = agree_as_server(asks(value, *([knows] if knows else [])), ours)
    assert found == SessionTerms(*terms)
    assert answer == headers


def test_a_server_that_wants_timers_and_a_caller_that_names_none() -> None:
    terms, headers = agree_as_server(request("INVITE", KNOWS), 600)
    assert terms == SessionTerms(600, False)
    assert headers == [("Session-Expires", "600;refresher=uac"), ("Require", "timer")]
    assert agree_as_server(request("INVITE", KNOWS), 0) == (None, [])
    assert agree_as_server(request("INVITE"), 600) == (None, [])


def test_the_least_of_the_caller_is_kept() -> None:
    """RFC 4028 9: the time is never reduced below Min-SE."""
    terms, _ = agree_as_server(asks("1800", KNOWS, ("Min-SE", "1200")), 600)
    assert terms == SessionTerms(1200, False)
    terms, _ = agree_as_server(request("INVITE", KNOWS, ("Min-SE", "1200")), 600)
    assert terms == SessionTerms(1200, False)


@pytest.mark.parametrize("we_refresh", [True, False])
@pytest.mark.parametrize(("expires", "end"), [(1800, 1768), (96, 64), (90, 60)])
def test_when_a_session_is_given_up(expires: int, end: float, we_refresh: bool) -> None:
    """RFC 4028 10: before the time is over, by a third or 32 seconds, whoever refreshes."""
    assert SessionTerms(expires, we_refresh).ends_in == end


def test_what_a_client_offers() -> None:
    assert offer_as_client(0) == []
    assert offer_as_client(1800) == [("Session-Expires", "1800"), ("Min-SE", "90")]
    assert offer_as_client(60) == [("Session-Expires", "90"), ("Min-SE", "90")]
    assert offer_as_client(1800, 3600) == [("Session-Expires", "3600"), ("Min-SE", "3600")]
    assert offer_as_client(600, terms=SessionTerms(600, True))[0] == ("Session-Expires", "600;refresher=uac")
    assert offer_as_client(600, terms=SessionTerms(600, False))[0] == ("Session-Expires", "600;refresher=uas")


@pytest.mark.parametrize(
    ("headers", "terms"),
    [
        ([], None),
        ([("Session-Expires", "1800;refresher=uas")], SessionTerms(1800, False)),
        ([("Session-Expires", "1800;refresher=uac")], SessionTerms(1800, True)),
        ([("Session-Expires", "1800")], SessionTerms(1800, True)),
        ([("Session-Expires", "1800 ; refresher = UAS")], SessionTerms(1800, False)),
        ([("Session-Expires", "5")], SessionTerms(MINIMUM, True)),
    ],
)
def test_what_a_client_is_granted(headers: list[tuple[str, str]], terms: SessionTerms | None) -> None:
    """RFC 4028 7.2: without the header in the 2xx there is no timer."""
    assert agreed_as_client(response(*headers)) == terms


def test_what_is_asked_for_and_wanted_at_least() -> None:
    assert asked_for(asks("600;refresher=uac")) == 600
    assert asked_for(request("INVITE")) == 0
    assert wanted_minimum(response(("Min-SE", "3600"), status=422)) == 3600
    assert wanted_minimum(response(status=422)) == MINIMUM
    assert wanted_minimum(response(("Min-SE", "1"), status=422)) == MINIMUM
