"""What would happen to a call: the decision, and the exact INVITE that each target would get; nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from app.calls.address_rules import AddressRules
from app.calls.addresses import Addresses
from app.calls.identity import CallerIdentity
from app.calls.leg_events import Body
from app.calls.outgoing import (
    MAXIMUM_FORWARDS,
    Addressed,
    address_to_contact,
    address_to_server,
    contact_user,
    make_invite,
)
from app.calls.sources import AddressesOf, Sources
from app.dialplan.decide import decide
from app.dialplan.decision import Dial, DialTarget, Reject, RouteDecision, TrailStep
from app.dialplan.live import IdleState, LiveState
from app.dialplan.plan import DialPlan
from app.dialplan.request import CallRequest, Source, SourceKind
from app.hosts import DEFAULT_PORTS, bracketed, is_address, split_host_port
from app.records import AddressAction, AddressList, Configuration, ExternalLine, LocalUser, SipTrunk, Transport
from app.sip.flow import Flow
from app.sip.multipart import SESSION_TYPE
from app.sip.transport.transports import local_address
from app.sip.uri import MAGIC_COOKIE, escape_user

SAMPLE_OFFER = Body(SESSION_TYPE, b"")
"""Stands for the caller's session description, which is passed on as it comes."""


ANYWHERE = "198.51.100.1"
"""An address out in the internet (RFC 5737: nobody's), to find out which of ours leads there."""


PhoneOf = Callable[[str], tuple[str, Flow] | None]
"""The Contact URI of a local user's phone and the way to it, None where none is registered."""


def _no_names(_name: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class SimulatedTarget:
    """One target of a simulated call."""

    name: str
    """`trunk:1`, `line:1`, `user:100`."""
    caption: str
    """As lists show the record."""
    caller_number: str
    called_number: str
    invite: str
    """The whole INVITE as text; only the tags, the branch and the Call-ID differ in a real one."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """The outcome of a simulated call."""

    decision: RouteDecision
    targets: tuple[SimulatedTarget, ...]
    refusals: tuple[str, ...]
    """What would refuse the call, or a target of it, in words."""


def simulate(
    configuration: Configuration,
    source: Source,
    caller_number: str,
    called_number: str,
    live: LiveState | None = None,
    *,
    draw: float = 0.0,
    plan: DialPlan | None = None,
    phone_of: PhoneOf | None = None,
    at: datetime | None = None,
    addresses_of: AddressesOf = _no_names,
) -> Simulation:
    """Decide about a call as if it came in now. Without `live` everybody is reachable and nothing is busy.

    A call from an address is that of the trunk, line or user that the address belongs to; `addresses_of(name)` tells
    what is known of the host names among them.

    `plan` is the configuration's dial plan where it is compiled already. `phone_of(number)` knows the Contact of a
    registered phone and the way to it; without it a place is made up. `at` is the local time for the business hours.
    """
    known = None
    if source.kind is SourceKind.ADDRESS:
        known = _who_is_at(configuration, source.address, called_number, addresses_of)
        source = known.source or source
    if not caller_number and source.kind is SourceKind.LOCAL_USER:
        caller_number = source.number
    request = CallRequest(source, caller_number, called_number, False, draw, at)
    decision: RouteDecision = decide(
        request, plan if plan is not None else DialPlan(configuration), live if live is not None else IdleState()
    )
    if known is not None:
        if known.source is None and isinstance(decision, Reject):
            decision = replace(decision, text=known.words)
        decision = replace(decision, trail=(TrailStep("address", known.words), *decision.trail))
    targets: tuple[SimulatedTarget, ...] = ()
    refusals = tuple(f"{skipped.name}: {skipped.reason}" for skipped in decision.skipped)
    if isinstance(decision, Dial):
        caller = CallerIdentity(caller_number, _display_of(configuration, source), False)
        targets = tuple(_simulated(configuration, target, caller, phone_of) for target in decision.targets)
    elif isinstance(decision, Reject):
        refusals = (*refusals, f"{decision.status} {decision.reason}: {decision.text}")
    return Simulation(decision, targets, refusals)


class _Known(NamedTuple):
    """Who an address is."""

    source: Source | None
    words: str


def _who_is_at(configuration: Configuration, place: str, called: str, addresses_of: AddressesOf) -> _Known:
    """Who a call from an address comes from, as `app.calls.authentication` finds it before any password."""
    host, port = split_host_port(place)
    entry = AddressRules(configuration.records(AddressList)).entry_for(host)
    if entry is not None and entry.action is AddressAction.DROP:
        return _Known(
            None, f"address list entry {entry.id} ({entry.network}) drops whatever comes from {host}, without an answer"
        )
    sources = Sources(configuration, addresses_of)
    source = sources.identify(host, port, (called,))
    if source is None:
        return _Known(None, f"{sources.why_unknown(host)}; only a local user with its password may call from there")
    return _Known(source, f"{place} belongs to {_words_of(configuration, source)}")


def _words_of(configuration: Configuration, source: Source) -> str:
    if source.kind is SourceKind.LOCAL_USER:
        return f"local user {source.number}"
    kind = SipTrunk if source.kind is SourceKind.SIP_TRUNK else ExternalLine
    record = configuration.get(kind, source.id)
    return f"{kind.title} {record.caption() if record is not None else source.id}"


def _own_host(configuration: Configuration, server: str) -> str:
    """The address that a target would see us at: as `Addresses` tells it, worked out without a running server."""
    system = configuration.system
    addresses = Addresses(system, local_address)
    if not is_address(server):
        # The name of a server, or a phone's place, is not looked up here; the way to the internet is the best guess.
        server = ANYWHERE if system.external_signalling_address or server else "127.0.0.1"
    return addresses.signalling_host(Flow("udp", system.sip_address, system.sip_udp_port, server, 5060)).strip("[]")


def _display_of(configuration: Configuration, source: Source) -> str:
    user = configuration.users_by_number.get(source.number)
    return user.display_name if user is not None else ""


def _phone(user: LocalUser, phone_of: PhoneOf | None) -> tuple[Transport, str, str]:
    """How a user's phone is reached, its address, and its Contact."""
    known = phone_of(user.number) if phone_of is not None else None
    if known is not None:
        contact, flow = known
        return Transport(flow.transport), flow.remote_host, contact
    number = escape_user(user.number)
    if user.trusted_address:
        return Transport.UDP, user.trusted_address, f"sip:{number}@{bracketed(user.trusted_address)}"
    return Transport.UDP, "", f"sip:{number}@phone.invalid"


def _simulated(
    configuration: Configuration, target: DialTarget, caller: CallerIdentity, phone_of: PhoneOf | None
) -> SimulatedTarget:
    record = target.record
    system = configuration.system
    phone = ""
    if isinstance(record, LocalUser):
        transport, server, phone = _phone(record, phone_of)
    else:
        transport, server = record.transport, record.server_address
    host = bracketed(_own_host(configuration, server))
    ports = {Transport.UDP: system.sip_udp_port, Transport.TCP: system.sip_tcp_port, Transport.TLS: system.sip_tls_port}
    own = f"{host}:{ports[transport] or DEFAULT_PORTS[transport]}"
    from_host = system.domain or host
    addressed: Addressed
    if phone:
        addressed = address_to_contact(target, phone, from_host)
    else:
        addressed = address_to_server(target, from_host)
    parameter = "" if transport is Transport.UDP else f";transport={transport.value}"
    invite = make_invite(
        target,
        addressed,
        caller,
        contact=f"<sip:{contact_user(target, private=caller.private)}@{own}{parameter}>",
        call_id="simulated-call",
        from_tag="simulated",
        max_forwards=MAXIMUM_FORWARDS - 1,
        body=SAMPLE_OFFER,
        session_expires=system.session_expires,
    )
    invite.prepend("Via", f"SIP/2.0/{transport.value.upper()} {own};branch={MAGIC_COOKIE}simulated;rport")
    text = invite.to_bytes().decode("utf-8", "replace")
    return SimulatedTarget(target.name, record.caption(), target.caller_number, target.called_number, text)
