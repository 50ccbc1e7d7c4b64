"""Who a target is told that calls: From, identity headers, privacy, tel numbers, by the record of the target."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.raw import RawDialog, Wire
from simulation.test_calls import trunks
from simulation.test_lines import PROVIDER, document, state_of
from simulation.test_lines import Provider as LineProvider
from simulation.world import Peer, Plan, World
from support.sip_text import stands_in

from app.sip.message import Request

ALL = ["P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Privacy", "Diversion"]


def sent(headers: tuple[tuple[str, str], ...] = (), caller: str = "5551", **trunk: Any) -> tuple[Wire, Request]:
    """The INVITE that trunk 1 with these settings gets."""
    w = Wire(trunks(**trunk))
    w.caller.invite("135550", headers=headers, caller=caller)
    w.advance()
    return w, w.carrier.incoming().invite


def test_by_default_only_from_says_it() -> None:
    _w, invite = sent()
    assert str(invite.from_.uri) == "sip:5551@10.0.0.5"
    assert not any(name in invite for name in ALL)


def test_every_header_that_the_record_names() -> None:
    _w, invite = sent(
        (("Diversion", "<sip:99@pbx>;reason=user-busy"), ("Diversion", "<sip:98@pbx>")), caller_id_headers=ALL
    )
    assert invite.get("P-Asserted-Identity") == "<sip:5551@10.0.0.5>"
    assert invite.get("P-Preferred-Identity") == "<sip:5551@10.0.0.5>"
    assert invite.get("Remote-Party-ID") == "<sip:5551@10.0.0.5>;party=calling;screen=yes;privacy=off"
    assert "Privacy" not in invite
    assert invite.get_all("Diversion") == ["<sip:99@pbx>;reason=user-busy", "<sip:98@pbx>"]


def test_diversion_only_goes_where_it_is_wanted() -> None:
    _w, invite = sent((("Diversion", "<sip:99@pbx>"),))
    assert "Diversion" not in invite


def test_a_private_caller_is_named_nowhere_but_in_what_the_carrier_is_trusted_with() -> None:
    """RFC 3323 4.1.1.3, RFC 3325 9.1: not in From, not in Contact; asserted only together with Privacy."""
    privacy = (("Privacy", "id"),)
    _w, invite = sent(privacy)
    assert not stands_in("5551", invite.to_bytes().decode())
    assert str(invite.from_.uri) == "sip:anonymous@anonymous.invalid"
    _w, invite = sent(privacy, caller_id_headers=["P-Asserted-Identity"])
    assert not stands_in("5551", invite.to_bytes().decode())
    _w, invite = sent(privacy, caller_id_headers=["P-Asserted-Identity", "Privacy"])
    assert invite.get("P-Asserted-Identity") == "<sip:5551@10.0.0.5>"
    assert invite.get("Privacy") == "id"
    assert str(invite.from_.uri) == "sip:anonymous@anonymous.invalid"


def test_the_anonymous_caller_of_a_trunk_is_known_by_its_asserted_identity() -> None:
    headers = (("P-Asserted-Identity", '"Bob" <sip:030777@carrier>'), ("Privacy", "id"))
    w, invite = sent(headers, caller="anonymous", caller_id_headers=["P-Asserted-Identity", "Privacy"])
    assert invite.get("P-Asserted-Identity") == '"Bob" <sip:030777@10.0.0.5>'
    (call,) = w.switch.calls.values()
    assert call.request.caller_number == "030777"


def test_an_asserted_identity_of_a_phone_counts_for_nothing() -> None:
    """RFC 3325 5: only who is trusted may assert."""
    w = Wire(trunks(caller_id_headers=["P-Asserted-Identity"]))
    phone = Peer(w.world, "10.0.0.50")
    lie = (("P-Asserted-Identity", "<sip:112@x>"),)
    phone.call("135550", Plan(), caller_number="anonymous", password=("100", "secret100"), headers=lie)
    w.advance(0.2)
    invite = w.carrier.incoming().invite
    assert not stands_in("112", invite.to_bytes().decode())


def test_the_unified_caller_number_stands_for_everybody() -> None:
    _w, invite = sent(unified_caller_number="030100", caller_id_headers=["P-Asserted-Identity", "Remote-Party-ID"])
    assert not stands_in("5551", invite.to_bytes().decode())
    assert invite.get("P-Asserted-Identity") == "<sip:030100@10.0.0.5>"


@pytest.mark.parametrize(
    ("trunk", "uri"),
    [
        ({}, "sip:135550@192.0.2.8:5060"),
        ({"request_uri_parameters": "user=phone"}, "sip:135550@192.0.2.8:5060;user=phone"),
        ({"request_uri_parameters": "tgrp=a;trunk-context=b"}, "sip:135550@192.0.2.8:5060;tgrp=a;trunk-context=b"),
        ({"tel_uri": True}, "tel:135550"),
        ({"server_port": 5080}, "sip:135550@192.0.2.8:5080"),
    ],
)
def test_request_uri(trunk: dict[str, Any], uri: str) -> None:
    w = Wire(trunks(**trunk))
    w.world.keep_log = True
    w.caller.invite("135550")
    w.advance()
    text = next(data for _, flow, data in w.world.log if flow.remote_host == "192.0.2.8").decode()
    assert text.startswith(f"INVITE {uri} SIP/2.0\r\n")
    to = next(line for line in text.split("\r\n") if line.startswith("To: "))
    assert to == f"To: <{uri.partition(';')[0]}>"


def test_a_tel_number_comes_in_with_its_separators() -> None:
    w = Wire(trunks())
    up = w.caller.invite("x")
    assert isinstance(up, RawDialog)
    w.advance()
    request = Request("INVITE", "tel:13-55.5(0);phone-context=+49", [*up.invite.headers], up.invite.body)
    request.replace("Via", w.caller.via())
    request.replace("Call-ID", "another")
    w.caller.send(request)
    w.advance()
    assert w.carrier.incoming().invite.uri.username == "135550"


def test_names_pass_and_are_quoted() -> None:
    w = Wire(trunks())
    up = w.caller.invite("135550")
    request = Request("INVITE", up.invite.uri_text, [*up.invite.headers], up.invite.body)
    request.replace("Via", w.caller.via())
    request.replace("Call-ID", "another")
    request.replace("From", '"O\\"Neill, \\\\ Jörg" <sip:5551@x>;tag=7')
    w.caller.send(request)
    w.advance()
    from_ = w.carrier.incoming().invite.from_
    assert from_.display == 'O"Neill, \\ Jörg'


def test_the_anonymous_caller_of_a_line_is_known_by_its_asserted_identity() -> None:
    """The provider of a line is as trusted as a trunk: its account was set up here."""
    world = World()
    provider, phone = LineProvider(world), Peer(world, "10.0.0.100")
    switch = world.switch(document())
    phone.register("100", "secret100")
    world.advance(2)
    assert state_of(switch) == "registered"
    provider.call(
        "line1",
        Plan(hang_up_after=2),
        caller_number="anonymous",
        headers=(("P-Asserted-Identity", "<sip:+4930777@carrier.test>"), ("Privacy", "id")),
    )
    world.advance(10)
    assert world.recorder.ended[0].caller_number == "+4930777"
    assert world.recorder.ended[0].source == "line:1"
    assert provider.host == PROVIDER
    invite = next(each for each in phone.received if each.method == "INVITE")
    assert not stands_in("4930777", invite.to_bytes().decode())
