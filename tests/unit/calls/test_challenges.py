"""Answers to the challenges that this server meets: the right header, the right realm, once more with credentials."""

from __future__ import annotations

import pytest
from support.calling import request

from app.calls.challenges import answer_challenge, credentials_of, realms_of, with_credentials
from app.sip.auth import AuthOutcome, DigestServer
from app.sip.dialog import Dialog
from app.sip.message import Request, Response

SERVER = DigestServer("carrier.test", b"secret" * 4)
INVITE = request("INVITE", uri="sip:1@carrier.test", body=b"v=0\r\n")


def challenge(status: int, *values: str) -> Response:
    name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
    return Response(status, "x", [(name, value) for value in values or SERVER.challenge(10.0)])


@pytest.mark.parametrize(("status", "name"), [(401, "Authorization"), (407, "Proxy-Authorization")])
def test_the_answer_fits_the_challenge(status: int, name: str) -> None:
    header = answer_challenge(INVITE, challenge(status), "line1", "password")
    assert header is not None
    assert header[0] == name
    result = SERVER.check(header[1], "INVITE", "sip:1@carrier.test", {"line1": "password"}.get, 11.0, name)
    assert result.outcome is AuthOutcome.OK
    assert "SHA-256" in header[1]


def test_a_challenge_in_the_wrong_header_is_none() -> None:
    """A 401 speaks for the server and a 407 for a proxy (RFC 3261 22.2, 22.3)."""
    odd = Response(401, "x", [("Proxy-Authenticate", SERVER.challenge(10.0)[0])])
    assert answer_challenge(INVITE, odd, "line1", "password") is None
    assert realms_of(odd) == frozenset()


def test_only_the_realms_that_are_known() -> None:
    asked = challenge(407)
    assert answer_challenge(INVITE, asked, "l", "p", frozenset({"carrier.test"})) is not None
    assert answer_challenge(INVITE, asked, "l", "p", frozenset({"other.test"})) is None
    assert answer_challenge(INVITE, asked, "l", "p", frozenset()) is None


def test_the_known_one_of_several_realms() -> None:
    other = DigestServer("evil.test", b"another" * 4).challenge(10.0)[0]
    asked = challenge(407, other, "Basic realm=x", "rubbish ,,=", SERVER.challenge(10.0)[0])
    assert realms_of(asked) == {"evil.test", "carrier.test"}
    header = answer_challenge(INVITE, asked, "l", "p", frozenset({"carrier.test"}))
    assert header is not None
    assert 'realm="carrier.test"' in header[1]


@pytest.mark.parametrize("value", ["", "Digest", 'Digest realm="x"', 'Digest realm="x", nonce="n", algorithm=FOO'])
def test_what_cannot_be_answered(value: str) -> None:
    assert answer_challenge(INVITE, challenge(401, value), "l", "p") is None


def test_credentials_are_found_and_repeated_in_the_dialog() -> None:
    """RFC 3261 22.1 and 22.2."""
    both = [("Authorization", "a"), ("Proxy-Authorization", "b")]
    assert credentials_of(request("INVITE", *both)) == both
    assert credentials_of(INVITE) == []
    invite = request("INVITE", ("To", "<sip:100@x>"), ("Route", "<sip:old;lr>"))
    answer = Response(
        200,
        "OK",
        [
            *[header for header in invite.headers if header[0] in ("Via", "From", "Call-ID", "CSeq")],
            ("To", "<sip:100@x>;tag=b"),
            ("Contact", "<sip:100@192.0.2.8>"),
            ("Record-Route", "<sip:192.0.2.9;lr>"),
        ],
    )
    dialog = Dialog.as_uac(invite, answer)
    bye = dialog.create_request("BYE", [("Reason", "x"), ("User-Agent", "u")])
    again = with_credentials(dialog, bye, ("Proxy-Authorization", "c"))
    assert isinstance(again, Request)
    assert again.cseq.number == bye.cseq.number + 1
    assert again.get_all("Route") == ["<sip:192.0.2.9;lr>"]
    assert (again.get("Reason"), again.get("User-Agent"), again.get("Proxy-Authorization")) == ("x", "u", "c")
    assert "Via" not in again
