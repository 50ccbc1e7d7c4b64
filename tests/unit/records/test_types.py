"""Values as people type them: what is taken, how it is tidied, what is refused and with which words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import RecordErrors
from app.records import AddressList, AnalyzeCalledNumber, ExternalLine, LocalUser, NumberList, SipTrunk, System
from app.records.base import Record
from app.records.document import check_record


def _with(model: type[Record], **values: Any) -> Record:
    base: dict[str, Any] = {"id": 1}
    if model in (SipTrunk, ExternalLine):
        base["server_address"] = "192.0.2.8"
    if model is ExternalLine:
        base["account"] = "1"
    if model is LocalUser:
        base["number"] = "100"
    if model is AnalyzeCalledNumber:
        base["prefix"] = "1"
    return check_record(model, {**base, **values})


@pytest.mark.parametrize(
    ("model", "field", "given_value", "kept"),
    [
        (SipTrunk, "server_address", " 192.0.2.8 ", "192.0.2.8"),
        (SipTrunk, "server_address", "SIP.Example.COM.", "sip.example.com"),
        (SipTrunk, "server_address", "2001:DB8::0:8", "2001:db8::8"),
        (SipTrunk, "server_address", "[2001:db8::8]", "2001:db8::8"),
        (SipTrunk, "server_address", "localhost", "localhost"),
        (SipTrunk, "transport", "TLS", "tls"),
        (SipTrunk, "relay_media", True, "yes"),
        (SipTrunk, "relay_media", False, "no"),
        (SipTrunk, "relay_media", "Auto", "auto"),
        (
            SipTrunk,
            "trusted_networks",
            "192.0.2.0/24, 198.51.100.7;2001:db8::/32",
            ("192.0.2.0/24", "198.51.100.7", "2001:db8::/32"),
        ),
        (SipTrunk, "trusted_networks", ["192.0.2.9/24"], ("192.0.2.0/24",)),
        (SipTrunk, "failover_statuses", "500-503, 408 486", (408, 486, 500, 501, 502, 503)),
        (SipTrunk, "failover_statuses", [503, 408, 503], (408, 503)),
        (SipTrunk, "failover_statuses", "", ()),
        (SipTrunk, "codecs", "PCMA PCMU PCMA opus/48000/2", ("PCMA", "PCMU", "opus/48000/2")),
        (SipTrunk, "caller_id_headers", "p-asserted-identity; privacy", ("P-Asserted-Identity", "Privacy")),
        (SipTrunk, "request_uri_parameters", ";user=phone;tgrp=7;", "user=phone;tgrp=7"),
        (SipTrunk, "unified_caller_number", 4930123, "4930123"),
        (SipTrunk, "description", "  two  words ", "two  words"),
        (ExternalLine, "authorization_id", " 49301@provider.example ", "49301@provider.example"),
        (ExternalLine, "password", "  kept as it is ", "  kept as it is "),
        (LocalUser, "call_levels", "3,1,3", (1, 3)),
        (LocalUser, "trusted_address", "192.0.2.20", "192.0.2.20"),
        (NumberList, "caller_prefix", "", "*"),
        (AddressList, "network", "198.51.100.77/24", "198.51.100.0/24"),
        (AddressList, "network", "198.51.100.77", "198.51.100.77"),
        (System, "sip_address", "::", "::"),
    ],
)
def test_values_are_tidied(model: type[Record], field: str, given_value: Any, kept: Any) -> None:
    values = {"network": "10.0.0.0/8"} if model is AddressList else {}
    assert getattr(_with(model, **{**values, field: given_value}), field) == kept


@pytest.mark.parametrize(
    ("model", "field", "value", "words"),
    [
        (SipTrunk, "server_address", "", "is required: an IP address or a host name"),
        (SipTrunk, "server_address", "300.1.2.3", "'300.1.2.3' is not an IP address"),
        (SipTrunk, "server_address", "192.0.2.8:5060", "alone, without a port or sip:"),
        (SipTrunk, "server_address", "sip:carrier.example", "alone, without a port or sip:"),
        (SipTrunk, "server_address", "a b", "'a b' is neither an IP address nor a host name"),
        (SipTrunk, "server_address", "-x.example", "'-x.example' is neither an IP address nor a host name"),
        (SipTrunk, "server_address", "a" * 64 + ".example", "neither an IP address nor a host name"),
        (SipTrunk, "server_port", 0, "must be 1 to 65535"),
        (SipTrunk, "server_port", 65536, "must be 1 to 65535"),
        (SipTrunk, "server_port", "many", "must be a whole number, 1 to 65535"),
        (SipTrunk, "server_port", 5060.5, "must be a whole number, 1 to 65535"),
        (SipTrunk, "transport", "sctp", "must be udp, tcp or tls"),
        (SipTrunk, "relay_media", "sometimes", "must be no, yes or auto"),
        (SipTrunk, "trusted_networks", ["192.0.2.0/33"], "'192.0.2.0/33' is not a network such as 192.0.2.0/24"),
        (SipTrunk, "failover_statuses", "200", "200 is not a final failure status (300 to 699)"),
        (SipTrunk, "codecs", "a b c;d e@", "'e@' is not a codec name such as PCMA"),
        (SipTrunk, "caller_id_headers", "From", "'From' is not one of P-Asserted-Identity"),
        (SipTrunk, "request_uri_parameters", "a\r\nX: y", "must not hold line breaks or control characters"),
        (SipTrunk, "request_uri_parameters", "a>b", "'a>b' is not a list of URI parameters such as user=phone"),
        (SipTrunk, "unified_caller_number", "1;2", "may hold only digits, letters and + * # . _ -"),
        (SipTrunk, "enabled", "perhaps", "must be true or false"),
        (SipTrunk, "description", "a\nb", "must not hold line breaks or control characters"),
        (SipTrunk, "description", "x" * 2000, "is too long"),
        (SipTrunk, "max_outgoing_calls", -1, "must be 0 to 100000"),
        (SipTrunk, "next_trunk_id", 2**40, "must be 0 to 2147483647"),
        (ExternalLine, "account", "", "is required: the number or name that the provider gave you"),
        (ExternalLine, "password", "a\x00b", "must not hold line breaks or control characters"),
        (LocalUser, "number", " ", "is required: what others dial"),
        (LocalUser, "number", "a b", "may hold only digits, letters and + * # . _ -"),
        (LocalUser, "number", "\ud800", "half a character"),
        (LocalUser, "call_levels", [-1], "-1 is not a call level (0 to 999999)"),
        (LocalUser, "trusted_address", "phone.example", "'phone.example' is not an IP address"),
        (
            AnalyzeCalledNumber,
            "route_type",
            "carrier_pigeon",
            "must be local_user, external_line, sip_trunk or routing_group",
        ),
        (AnalyzeCalledNumber, "id", 0, "must be 1 to 2147483647"),
        (AddressList, "network", "", "is required: an address or a network such as 192.0.2.0/24"),
        (System, "sip_address", "", "must not be blank; 0.0.0.0 is every address"),
        (System, "media_port_last", 20001, "must be at least 3 above the first media port"),
        (System, "id", 2, "must be 1 to 1"),
    ],
)
def test_mistakes_are_named_at_their_field(model: type[Record], field: str, value: Any, words: str) -> None:
    with pytest.raises(RecordErrors) as caught:
        _with(model, **{field: value})
    assert len(caught.value.errors) == 1
    error = caught.value.errors[0]
    assert error.path.split("[")[0] == field
    assert words in error.message


@pytest.mark.parametrize("route_type", ["sip_trunk", "routing_group"])
def test_a_way_out_needs_its_target(route_type: str) -> None:
    with pytest.raises(RecordErrors, match="target_id: must name the SIP trunk or routing group that takes the call"):
        _with(AnalyzeCalledNumber, route_type=route_type)
    assert _with(AnalyzeCalledNumber, route_type=route_type, target_id=1)


@given(st.text(max_size=40))
def test_no_text_breaks_a_field(text: str) -> None:
    """Whatever is typed gets a record or words, and what is kept is kept again."""
    for model, field in (
        (SipTrunk, "server_address"),
        (SipTrunk, "trusted_networks"),
        (SipTrunk, "failover_statuses"),
        (SipTrunk, "codecs"),
        (SipTrunk, "request_uri_parameters"),
        (SipTrunk, "unified_caller_number"),
        (SipTrunk, "description"),
        (LocalUser, "number"),
        (LocalUser, "password"),
        (LocalUser, "call_levels"),
    ):
        try:
            record = _with(model, **{field: text})
        except RecordErrors as error:
            assert all(each.message for each in error.errors)
            continue
        kept = getattr(record, field)
        assert getattr(_with(model, **{field: kept}), field) == kept
        if isinstance(kept, str):
            assert not any(ord(character) < 32 for character in kept), "nothing can be smuggled into a header"
