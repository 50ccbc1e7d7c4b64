"""External lines at a real provider (Kamailio): registration, calls both ways, wrong passwords, no leaked digest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.documents import SERVER, document
from support.kamailio import Provider
from support.ports import LoopbackNetwork
from support.running_engine import RunningEngine
from support.sip_text import SipText
from support.starting import StartCaller, StartCarrier, StartEngine, StartPhone
from support.udp_peers import Caller, Reply
from support.waiting import wait_until

from app.events import LineState

pytestmark = pytest.mark.wire

PROVIDER, NETWORK = 10, 40
"""Last bytes of the addresses of the provider and of the telephone network behind it."""
StartProvider = Callable[..., Provider]


@pytest.fixture
def start_provider(network: LoopbackNetwork, tmp_path: Path) -> Iterator[StartProvider]:
    """`start_provider()`: Kamailio as a provider with the account line1, password line1pw."""
    with ExitStack() as stack:
        yield lambda accounts=None, **options: stack.enter_context(
            Provider(
                tmp_path / "kamailio",
                network.address(PROVIDER),
                network.address(NETWORK),
                accounts or {"line1": ("line1", "line1pw")},
                **options,
            )
        )


def line_document(network: LoopbackNetwork, **changes: Any) -> dict[str, Any]:
    """Line 1 at the provider, numbers that begin with 0 go there; its calls ring 100."""
    line = {
        "id": 1,
        "account": "line1",
        "password": "line1pw",
        "domain": "carrier.test",
        "server_address": network.address(PROVIDER),
        "local_user": "100",
        **changes,
    }
    return document(
        network,
        # The carriers of the other tests are elsewhere: a call from the provider is the line's.
        {1: {"server_address": network.address(91)}, 2: {"server_address": network.address(92)}},
        external_lines=[line],
        analyze_called_numbers=[{"prefix": "0", "route_type": "external_line", "target_id": 1}],
    )


def registered(engine: RunningEngine) -> RunningEngine:
    """The engine, once its line is registered."""
    wait_until(lambda: engine.line().state is LineState.REGISTERED, f"the registration: {engine.line()}")
    return engine


@pytest.mark.parametrize(("algorithm", "transport"), [("MD5", "udp"), ("SHA-256", "udp"), ("SHA-256", "tcp")])
def test_a_line_registers_and_takes_calls_both_ways(
    network: LoopbackNetwork,
    start_provider: StartProvider,
    start_engine: StartEngine,
    start_phone: StartPhone,
    start_carrier: StartCarrier,
    algorithm: str,
    transport: str,
) -> None:
    """Out: 407 is answered, the account is the caller. In: a call to the account rings local user 100."""
    start_provider(algorithm=algorithm)
    engine = registered(start_engine(line_document(network, transport=transport)))
    row = engine.line()
    assert (row.last_status, row.reason) == (200, "registered")
    phone = start_phone("100").registered()
    pstn = start_carrier(NETWORK)

    phone.dial("9030123")
    phone.wait_for("CALL_ESTABLISHED")
    phone.hang_up()
    invite = pstn.wait_for("INVITE")
    pstn.wait_for("BYE")
    assert invite.request_uri == "sip:030123@carrier.test" + ("" if transport == "udp" else ";transport=tcp")
    assert "<sip:line1@carrier.test>" in (invite.header("From") or "")
    (record,) = engine.wait_for_calls(1)
    assert (record.source, record.target, record.status) == ("user:100", "line:1", 200)
    assert (record.called_number, record.sent_number) == ("9030123", "030123")
    sent = [each.text for each in engine.ask(lambda each: each.ladder(record.id)) if each.outgoing]
    answers = [text for text in sent if "\nProxy-Authorization: " in text and text.startswith("INVITE")]
    assert len(answers) == 1
    assert f"algorithm={algorithm}" in answers[0]
    pstn.close()

    with Caller(network.address(NETWORK), network.address(PROVIDER)) as outside:
        talk = outside.begin("line1", user="030999")
        phone.wait_for("CALL_INCOMING")
        phone.accept()
        assert talk.final().status == 200
        talk.hang_up()
    record = engine.wait_for_calls(2)[1]
    assert (record.source, record.target, record.status) == ("line:1", "user:100", 200)
    assert record.caller_number == "030999"


def test_a_wrong_password_is_shown_and_a_right_one_registers_at_once(
    network: LoopbackNetwork, start_provider: StartProvider, start_engine: StartEngine, start_caller: StartCaller
) -> None:
    start_provider()
    engine = start_engine(line_document(network, password="wrong"))
    row = wait_until(
        lambda: engine.line() if engine.line().state is LineState.REJECTED else None, "the refused registration"
    )
    assert row.last_status == 401
    assert row.reason == "the provider refuses the password (401 Unauthorized)"
    assert row.expires_at > 0, "the next try is not told"
    assert start_caller().call("030123").status == 503
    (record,) = engine.wait_for_calls(1)
    assert record.attempts[0].reason.startswith("down: not registered: the provider refuses the password")
    engine.change({"external_lines": [{**line_document(network)["external_lines"][0], "password": "line1pw"}]})
    wait_until(lambda: engine.line().state is LineState.REGISTERED, "the registration", 3)


def test_the_authorization_id_names_user_and_domain(
    network: LoopbackNetwork, start_provider: StartProvider, start_engine: StartEngine, start_carrier: StartCarrier
) -> None:
    """The digest's user name is another one than the account, which all calls show."""
    start_provider({"4930123": ("customer7", "pw7")})
    line = {"account": "4930123", "authorization_id": "customer7@carrier.test", "password": "pw7"}
    engine = registered(start_engine(line_document(network, **line)))
    pstn = start_carrier(NETWORK)
    with Caller(network.address(30), network.address(SERVER)) as caller:
        assert caller.call("030123").status == 200
    assert "<sip:4930123@carrier.test>" in (pstn.wait_for("INVITE").header("From") or "")
    pstn.wait_for("BYE")
    (record,) = engine.wait_for_calls(1)
    sent = [each.text for each in engine.ask(lambda each: each.ladder(record.id)) if each.outgoing]
    assert any('username="customer7@carrier.test"' in text for text in sent)


def test_a_short_registration_is_refreshed_before_it_ends(
    network: LoopbackNetwork, start_provider: StartProvider, start_engine: StartEngine
) -> None:
    """The provider grants 12 of the 300 seconds that were asked for; the row counts them down and begins anew."""
    start_provider(longest=12)
    engine = registered(start_engine(line_document(network)))
    first = engine.line().expires_at
    later = wait_until(lambda: engine.line().expires_at if engine.line().expires_at > first + 1 else 0, "a refresh", 11)
    assert later - first == pytest.approx(5.7, abs=1.5)
    assert engine.line().state is LineState.REGISTERED


def test_a_foreign_realm_never_gets_a_digest(
    network: LoopbackNetwork, start_provider: StartProvider, start_engine: StartEngine, start_caller: StartCaller
) -> None:
    """The provider's own server asks for a realm of its own at REGISTER, and for a stranger's at INVITE."""
    start_provider(register_realm="asterisk", invite_realm="evil.test")
    engine = registered(start_engine(line_document(network)))
    assert start_caller().call("030123").status == 403
    (record,) = engine.wait_for_calls(1)
    assert record.attempts[0].status == 407
    messages = engine.ask(lambda each: each.ladder(record.id))
    assert any('realm="evil.test"' in each.text for each in messages)
    assert not any("Authorization:" in each.text for each in messages)


def test_a_deleted_line_leaves_its_provider(
    network: LoopbackNetwork, start_provider: StartProvider, start_engine: StartEngine
) -> None:
    """The telephone network no longer reaches us through it, but is told so by the provider."""
    start_provider()
    engine = registered(start_engine(line_document(network)))
    with Caller(network.address(NETWORK), network.address(PROVIDER)) as outside:
        # 100 is not registered here, but the call came through.
        assert outside.call("line1").status == 480
        engine.delete("external_lines", 1)
        wait_until(lambda: outside.call("line1").status == 404, "the end of the registration")
    assert engine.ask(lambda each: each.lines()) == ()
    assert all(record.source == "line:1" for record in engine.calls())


def challenge(status: int, realm: str, nonce: str, more: str = "") -> Reply:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    return status, (f'{name}: Digest realm="{realm}", nonce="{nonce}", algorithm=MD5, qop="auth"{more}',)


def test_a_proxy_and_the_server_behind_it_each_get_their_digest(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier, start_caller: StartCaller
) -> None:
    """407, then 401, then a nonce that is too old; a wrong answer is not repeated for ever."""

    def plan(request: SipText) -> Sequence[Reply]:
        if request.method != "INVITE":
            return (200,)
        proxy, own = request.header("Proxy-Authorization") or "", request.header("Authorization") or ""
        if 'nonce="p' not in proxy:
            return (challenge(407, "carrier.test", "p1"),)
        if 'nonce="s' not in own:
            return (challenge(401, "carrier.test", "s1"),)
        if 'nonce="s1"' in own:
            return (challenge(401, "carrier.test", "s2", ", stale=true"),)
        return (challenge(401, "carrier.test", "s3"),) if "999" in request.request_uri else (200,)

    provider = start_carrier(PROVIDER, plan=plan)
    engine = registered(start_engine(line_document(network)))
    caller = start_caller()
    assert caller.call("030123").status == 200
    invites = provider.received("INVITE")
    assert len(invites) == 4
    assert [len(each.headers("Proxy-Authorization")) for each in invites] == [0, 1, 1, 1]
    assert [len(each.headers("Authorization")) for each in invites] == [0, 0, 1, 1]
    assert len({each.header("Call-ID") for each in invites}) == 1
    # The ACK of the 200 carries what the INVITE carried (RFC 3261 22.1).
    ack = provider.received("ACK")[-1]
    assert ack.header("Proxy-Authorization") == invites[-1].header("Proxy-Authorization")
    assert "<sip:line1@" in (invites[0].header("Contact") or "")
    assert caller.call("030999").status == 403
    assert len(provider.received("INVITE")) == 8
    assert engine.wait_for_calls(2)[1].attempts[0].status == 401


def test_a_provider_is_told_at_once_where_this_server_has_moved_to(
    network: LoopbackNetwork, start_engine: StartEngine, start_carrier: StartCarrier
) -> None:
    """The listening port is changed: the new Contact is registered and the old one taken back, from the new port."""
    provider = start_carrier(PROVIDER)
    engine = registered(start_engine(line_document(network), by_record=True))
    engine.change({"system": {"sip_udp_port": 5070, "sip_tcp_port": 5070}})
    provider.wait_for("REGISTER", 3)
    own = network.address(SERVER)
    told = [(each.header("Contact"), each.header("Expires")) for each in provider.received("REGISTER")]
    assert told[0] == (f"<sip:line1@{own}:5060>", "300")
    assert sorted(told[1:]) == [(f"<sip:line1@{own}:5060>", "0"), (f"<sip:line1@{own}:5070>", "300")]
    assert all(f"{own}:5070" in (each.header("Via") or "") for each in provider.received("REGISTER")[1:])
