"""The INVITE that each kind of target gets."""

from __future__ import annotations

from typing import Any

import pytest
from support.calling import configured

from app.calls.identity import CallerIdentity
from app.calls.leg_events import Body
from app.calls.outgoing import ANONYMOUS, address_to_contact, address_to_server, host_port_of, make_invite
from app.dialplan.decision import DialTarget
from app.records import ExternalLine, LocalUser, RouteType, SipTrunk
from app.sip.message import Request

SDP = Body("application/sdp", b"v=0\r\n")


def target(kind: str, called: str = "135550", caller: str = "100", **fields: Any) -> DialTarget:
    if kind == "trunk":
        made = configured(sip_trunks=[{"id": 1, "server_address": "192.0.2.8", **fields}])
        return DialTarget(RouteType.SIP_TRUNK, 1, "trunk:1", caller, called, made.records(SipTrunk)[0])
    if kind == "line":
        made = configured(
            external_lines=[{"id": 1, "account": "4930100", "server_address": "sip.provider.test", **fields}]
        )
        return DialTarget(RouteType.EXTERNAL_LINE, 1, "line:1", caller, called, made.records(ExternalLine)[0])
    made = configured(local_users=[{"number": "101", "password": "p"}])
    return DialTarget(RouteType.LOCAL_USER, 1, "user:101", caller, called, made.records(LocalUser)[0])


def invite(to: DialTarget, caller: CallerIdentity | None = None, **options: Any) -> Request:
    addressed = (
        address_to_contact(to, "sip:101@10.0.0.9:5080;ob", "pbx.test")
        if to.kind is RouteType.LOCAL_USER
        else address_to_server(to, "pbx.test")
    )
    return make_invite(
        to,
        addressed,
        caller or CallerIdentity("100", "Anna", False),
        contact="<sip:100@10.0.0.5:5060>",
        call_id="c",
        from_tag="t",
        max_forwards=69,
        **{"body": SDP, **options},
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "192.0.2.8:5060"),
        ({"server_port": 5070}, "192.0.2.8:5070"),
        ({"server_address": "2001:db8::1"}, "[2001:db8::1]:5060"),
        ({"server_address": "sip.carrier.test"}, "sip.carrier.test"),
        ({"server_address": "sip.carrier.test", "server_port": 5070}, "sip.carrier.test:5070"),
        ({"server_address": "sip.carrier.test", "server_port": 5061, "transport": "tls"}, "sip.carrier.test"),
        ({"server_address": "sip.carrier.test", "server_port": 5061}, "sip.carrier.test:5061"),
    ],
)
def test_the_server_in_a_uri(fields: dict[str, Any], expected: str) -> None:
    """RFC 3263 4.2: a port in the URI forbids SRV, so a name with its default port goes without."""
    assert host_port_of(target("trunk", **fields).record) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "uri"),
    [
        ({}, "sip:135550@192.0.2.8:5060"),
        ({"transport": "tcp"}, "sip:135550@192.0.2.8:5060;transport=tcp"),
        ({"request_uri_parameters": "user=phone"}, "sip:135550@192.0.2.8:5060;user=phone"),
        ({"transport": "tls", "request_uri_parameters": "a=b"}, "sip:135550@192.0.2.8:5060;transport=tls;a=b"),
        ({"tel_uri": True, "transport": "tcp"}, "tel:135550"),
    ],
)
def test_the_request_uri_of_a_trunk(fields: dict[str, Any], uri: str) -> None:
    made = invite(target("trunk", **fields))
    assert made.uri_text == uri
    assert made.get("To") == f"<{uri.partition(';')[0]}>"
    assert made.get("From") == '"Anna" <sip:100@pbx.test>;tag=t'


def test_odd_characters_are_escaped() -> None:
    made = invite(target("trunk", called="13 5@x>", caller="a b"))
    assert made.uri_text == "sip:13%205%40x%3E@192.0.2.8:5060"
    assert made.get("From") == '"Anna" <sip:a%20b@pbx.test>;tag=t'


def test_a_line_speaks_as_its_account_in_its_domain() -> None:
    made = invite(target("line", domain="provider.test"))
    assert made.uri_text == "sip:135550@provider.test"
    assert made.from_.uri is not None
    assert str(made.from_.uri) == "sip:4930100@provider.test"
    made = invite(target("line", unified_caller_number="4930199"))
    assert made.uri_text == "sip:135550@sip.provider.test"
    assert str(made.from_.uri) == "sip:4930199@sip.provider.test"


def test_the_true_caller_of_a_line_goes_into_its_identity_headers() -> None:
    made = invite(target("line", caller="030777", caller_id_headers=["P-Preferred-Identity"]))
    assert made.get("P-Preferred-Identity") == '"Anna" <sip:030777@sip.provider.test>'


def test_a_phone_is_called_at_its_contact() -> None:
    """RFC 3261 16.5: the Contact is the Request-URI, parameters and all."""
    made = invite(target("user", called="101"))
    assert made.uri_text == "sip:101@10.0.0.9:5080;ob"
    assert made.get("To") == "<sip:101@pbx.test>"


def test_a_private_caller_is_anonymous() -> None:
    made = invite(target("trunk"), CallerIdentity("100", "Anna", True))
    assert made.get("From") == f"{ANONYMOUS};tag=t"
    assert "Anna" not in made.to_bytes().decode()


def test_a_caller_without_a_number() -> None:
    assert invite(target("trunk", caller=""), CallerIdentity("", "", False)).get("From") == "<sip:pbx.test>;tag=t"


@pytest.mark.parametrize(
    ("body", "session", "supported", "session_expires"),
    [
        (SDP, 0, "100rel", None),
        (SDP, 1800, "timer, 100rel", "1800"),
        (None, 1800, "timer", "1800"),
        (None, 0, None, None),
    ],
)
def test_what_is_supported(body: Body | None, session: int, supported: str | None, session_expires: str | None) -> None:
    made = invite(target("trunk"), body=body, session_expires=session)
    assert made.get("Supported") == supported
    assert made.get("Session-Expires") == session_expires
    assert made.get("Content-Type") == (body.content_type if body else None)
    assert made.body == (body.content if body else b"")
    assert "UPDATE" in (made.get("Allow") or "")
    assert made.max_forwards == 69


@pytest.mark.parametrize(("session", "supported"), [(0, "100rel"), (1800, "timer, 100rel")])
def test_an_invite_that_asks_for_an_offer_takes_it_before_the_answer(session: int, supported: str) -> None:
    """RFC 3262 5."""
    made = invite(target("trunk"), body=None, session_expires=session, asks_for_offer=True)
    assert made.get("Supported") == supported


def test_a_user_is_no_server() -> None:
    with pytest.raises(TypeError):
        address_to_server(target("user"), "x")


@pytest.mark.parametrize(("domain", "host"), [("", "pbx.test"), ("carrier.test", "carrier.test")])
def test_a_trunk_may_want_its_own_domain_in_from(domain: str, host: str) -> None:
    """Where the caller is asserted it is under the same domain; the Request-URI and Contact stay as they are."""
    sent = invite(target("trunk", from_domain=domain, caller_id_headers=["P-Asserted-Identity"]))
    assert sent.get("From") == f'"Anna" <sip:100@{host}>;tag=t'
    assert sent.get("P-Asserted-Identity") == f'"Anna" <sip:100@{host}>'
    assert sent.uri_text == "sip:135550@192.0.2.8:5060"
    assert sent.get("Contact") == "<sip:100@10.0.0.5:5060>"
    private = invite(target("trunk", from_domain=domain), CallerIdentity("100", "Anna", True))
    assert private.get("From") == f"{ANONYMOUS};tag=t"
