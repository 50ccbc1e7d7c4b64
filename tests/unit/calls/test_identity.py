"""Who calls, read from a request and written for a target."""

from __future__ import annotations

import pytest
from support.calling import request

from app.calls.identity import MAXIMUM_DIVERSIONS, CallerIdentity, called_by, caller_of, identity_headers, number_of
from app.sip.message import Request
from app.sip.uri import Uri


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:100@x", "100"),
        ("sip:+4930%20123@x", "+4930123"),
        ("sip:0049%20(30)%2012-3@x", "004930123"),
        ("sip:030%2F123@x", "030123"),
        ("sip:+49-30-123@x", "+4930123"),
        ("sip:100-1@x", "100-1"),
        ("sip:*21*100%23@x", "*21*100#"),
        ("sip:john%20doe@x", "john doe"),
        ("sip:100;phone-context=a@x", "100"),
        ("sip:100:secret@x", "100"),
        ("sip:x.example", ""),
        ("sips:%31%30@x", "10"),
        ("tel:+49-(30).1234", "+49301234"),
        ("tel:123;phone-context=+49", "123"),
        ("sip:+49-30-1234@x;user=phone", "+49301234"),
        ("sip:jane-doe@x", "jane-doe"),
    ],
)
def test_the_number_of_a_uri(uri: str, number: str) -> None:
    assert number_of(Uri.parse(uri)) == number


def test_a_plain_caller() -> None:
    caller = caller_of(request("INVITE", ("From", '"Anna" <sip:100@x>;tag=1')), trusted=True)
    assert caller == CallerIdentity("100", "Anna", False, ())


@pytest.mark.parametrize(
    ("headers", "private"),
    [
        ((("Privacy", "id"),), True),
        ((("Privacy", "header;id"),), True),
        ((("Privacy", "user,critical"),), True),
        ((("Privacy", "none"),), False),
        ((("Privacy", "session"),), False),
        ((("From", "<sip:anonymous@anonymous.invalid>;tag=1"),), True),
        ((("From", "<sip:Anonymous@carrier>;tag=1"),), True),
        ((("From", "<sip:100@ANONYMOUS.invalid>;tag=1"),), True),
        ((("From", "<sip:unavailable@unknown.invalid>;tag=1"),), True),
        ((("Remote-Party-ID", "<sip:100@x>;privacy=full"),), True),
        ((("Remote-Party-ID", "<sip:100@x>;privacy=off"),), False),
        ((("Remote-Party-ID", "rubbish <<<"),), False),
    ],
)
def test_who_wants_not_to_be_known(headers: tuple[tuple[str, str], ...], private: bool) -> None:
    assert caller_of(request("INVITE", *headers), trusted=False).private is private


@pytest.mark.parametrize(
    ("from_", "asserted", "trusted", "number"),
    [
        ("<sip:anonymous@anonymous.invalid>;tag=1", "<sip:030777@c>", True, "030777"),
        ("<sip:anonymous@anonymous.invalid>;tag=1", "<sip:030777@c>", False, "anonymous"),
        ("<sip:carrier.test>;tag=1", "<tel:+49-30-777>", True, "+4930777"),
        ("<sip:100@x>;tag=1", "<sip:030777@c>", True, "100"),
        ("<sip:anonymous@x>;tag=1", "rubbish <<<", True, "anonymous"),
        ("<sip:anonymous@x>;tag=1", "<sip:1@a>, <tel:+2>", True, "1"),
    ],
)
def test_the_asserted_identity_helps_where_from_says_nothing(
    from_: str, asserted: str, trusted: bool, number: str
) -> None:
    """RFC 3325 5: and only when a trusted peer asserts it."""
    invite = request("INVITE", ("From", from_), ("P-Asserted-Identity", asserted))
    assert caller_of(invite, trusted=trusted).number == number


def test_an_older_gateway_names_the_caller_in_remote_party_id() -> None:
    headers = [
        ("From", "<sip:anonymous@x>;tag=1"),
        ("Remote-Party-ID", '"Bob" <sip:030777@c>;party=calling;privacy=full'),
    ]
    assert caller_of(request("INVITE", *headers), trusted=True)[:3] == ("030777", "Bob", True)
    assert caller_of(request("INVITE", *headers), trusted=False).number == "anonymous"
    both = [*headers, ("P-Asserted-Identity", "<sip:030888@c>")]
    assert caller_of(request("INVITE", *both), trusted=True).number == "030888"


def test_whom_a_request_calls() -> None:
    assert list(called_by(request("INVITE"))) == [request("INVITE").uri.username, number_of_to(request("INVITE"))]
    named = request("INVITE", ("P-Called-Party-ID", "<sip:4930200@provider>"))
    assert list(called_by(named))[1] == "4930200"


def number_of_to(invite: Request) -> str:
    assert invite.to.uri is not None
    return number_of(invite.to.uri)


def test_diversions_are_kept_in_order_and_bounded() -> None:
    headers = [("Diversion", f"<sip:{number}@x>;reason=no-answer") for number in range(30)]
    caller = caller_of(request("INVITE", *headers), trusted=True)
    assert caller.diversions == tuple(value for _, value in headers[:MAXIMUM_DIVERSIONS])


PUBLIC = CallerIdentity("100", "Anna", False, ("<sip:9@x>",))
PRIVATE = CallerIdentity("100", "Anna", True, ())


def test_no_names_no_headers() -> None:
    assert identity_headers((), PUBLIC, "100", "Anna", "h:5060") == []


def test_each_header_as_it_is_written() -> None:
    names = ("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Privacy", "Diversion")
    assert identity_headers(names, PUBLIC, "10 0", 'An"na', "h:5060") == [
        ("P-Asserted-Identity", '"An\\"na" <sip:10%200@h:5060>'),
        ("P-Preferred-Identity", '"An\\"na" <sip:10%200@h:5060>'),
        ("Remote-Party-ID", '"An\\"na" <sip:10%200@h:5060>;party=calling;screen=yes;privacy=off'),
        ("Diversion", "<sip:9@x>"),
    ]


def test_a_private_caller_is_asserted_only_together_with_privacy() -> None:
    """RFC 3325 9.1."""
    assert identity_headers(("P-Asserted-Identity",), PRIVATE, "100", "", "h") == []
    assert identity_headers(("P-Asserted-Identity", "Privacy"), PRIVATE, "100", "", "h") == [
        ("P-Asserted-Identity", "<sip:100@h>"),
        ("Privacy", "id"),
    ]
    assert identity_headers(("Remote-Party-ID",), PRIVATE, "100", "", "h") == [
        ("Remote-Party-ID", "<sip:100@h>;party=calling;screen=yes;privacy=full")
    ]


def test_without_a_number_there_is_nothing_to_assert() -> None:
    names = ("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID")
    assert identity_headers(names, PUBLIC, "", "", "h") == []
    assert identity_headers(names, PRIVATE, "Anonymous", "", "h") == []
