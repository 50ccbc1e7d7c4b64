"""Makes the legs of a call towards its target, and counts the call there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.calls.addresses import Addresses
from app.calls.called_leg import CalledLeg
from app.calls.counters import CallCounters, Counted, Hold
from app.calls.destinations import Destinations, Ways
from app.calls.leg import Authorize
from app.calls.leg_events import Body
from app.calls.lines import Lines
from app.calls.live import Live
from app.calls.outgoing import (
    MAXIMUM_FORWARDS,
    Addressed,
    address_to_contact,
    address_to_server,
    contact_user,
    make_invite,
)
from app.calls.registrar import Registrar
from app.calls.relay import Place, Relays
from app.calls.trace import Trace
from app.calls.trunks import Trunks
from app.hosts import bracketed
from app.records import Configuration, EarlyMedia, ExternalLine, LocalUser, RouteType, SipTrunk
from app.sip.endpoint import Endpoint, new_call_id, new_tag
from app.sip.uri import escape_user

if TYPE_CHECKING:
    from app.calls.call import Call
    from app.dialplan.decision import DialTarget
    from app.sip.flow import Flow
    from app.sip.message import Request

MAXIMUM_FORKS = 10
"""A user's phones that ring at the same time."""

DEFAULT_BREADTH = 60
"""How many branches a call may have in all that says nothing about it (RFC 5393 5.3.3)."""

_COUNTED = {
    RouteType.SIP_TRUNK: Counted.TRUNK_OUT,
    RouteType.EXTERNAL_LINE: Counted.LINE_OUT,
    RouteType.LOCAL_USER: Counted.USER_IN,
}


def breadth_of(request: Request) -> int | None:
    """Max-Breadth of a request (RFC 5393), None where it does not say a number of at least 1."""
    text = request.get("Max-Breadth")
    if text is None or len(text) > 9 or not (text.isascii() and text.isdecimal()):
        return None
    return int(text) or None


class Dialling:
    """Legs and counters for targets.

    Of several addresses of a line's provider the one is called where the line is registered: that one knows it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        addresses: Addresses,
        destinations: Destinations,
        ways: Ways,
        counters: CallCounters,
        trunks: Trunks,
        live: Live,
        registrar: Registrar,
        relays: Relays,
        trace: Trace,
        lines: Lines,
    ) -> None:
        self._endpoint = endpoint
        self._addresses = addresses
        self._destinations = destinations
        self._ways = ways
        self._counters = counters
        self._trunks = trunks
        self._live = live
        self._registrar = registrar
        self._relays = relays
        self._trace = trace
        self._lines = lines
        self._configuration = Configuration()
        self._domain = ""
        self._session_expires = 0

    def configure(self, configuration: Configuration) -> None:
        """Take a changed configuration."""
        self._configuration = configuration
        self._domain = configuration.system.domain
        self._session_expires = configuration.system.session_expires

    def hold(self, target: DialTarget) -> Hold | str:
        """Count a call on its target; in words why there is no room any more.

        The decision may be minutes old when it comes to its last target: what the record says now counts.
        """
        record: object = target.record
        if isinstance(record, SipTrunk | ExternalLine):
            record = self._configuration.find(record.table, record.id)
            if not isinstance(record, SipTrunk | ExternalLine) or not record.enabled:
                return "disabled" if record is not None else "it does not exist any more"
        if isinstance(record, SipTrunk):
            if self._counters.count(Counted.TRUNK_OUT, record.id) >= record.max_outgoing_calls:
                return f"outgoing limit {record.max_outgoing_calls} reached"
            if self._trunks.rate_full(record.id):
                return f"limit of {record.max_calls_per_second} calls per second reached"
            down = self._trunks.down(record.id)
            if down:
                return f"down: {down}"
            self._trunks.count_rate(record.id)
            return self._counters.hold(Counted.TRUNK_OUT, record.id)
        if isinstance(record, ExternalLine):
            if self._counters.count(Counted.LINE_OUT, record.id) >= record.max_outgoing_calls:
                return f"outgoing limit {record.max_outgoing_calls} reached"
            if self._live.line_rate_full(record.id):
                return f"limit of {record.max_calls_per_second} calls per second reached"
            self._live.count_line_rate(record.id)
            return self._counters.hold(Counted.LINE_OUT, record.id)
        return self._counters.hold(Counted.USER_IN, target.called_number)

    def dial(self, call: Call, target: DialTarget, way: int) -> list[CalledLeg] | str:
        """The legs of one attempt, ready to be invited; in words why there are none."""
        record = target.record
        if isinstance(record, LocalUser):
            if way:
                return "no further address"
            return self._dial_user(call, target, record)
        if not way:
            ways = self._ways_to(record)
            if isinstance(ways, str):
                return ways
            call.ways = ways
        elif way <= len(call.ways):
            self._destinations.missed(record, call.ways[way - 1])
        if way >= len(call.ways):
            return "no further address"
        flow = call.ways[way]
        authorize = self._lines.authorize(record.id) if isinstance(record, ExternalLine) else None
        addressed = address_to_server(target, self._own_host(flow))
        offers = self._relays.offers_for(call, target, [Place(flow)])
        if isinstance(offers, str):
            return offers
        breadth = breadth_of(call.caller.request) or 0
        return [self._leg(call, target, flow, addressed, offers[0], authorize, breadth)]

    def _ways_to(self, record: SipTrunk | ExternalLine) -> tuple[Flow, ...] | str:
        ways = self._destinations.ways_to(record)
        if isinstance(record, ExternalLine) and not isinstance(ways, str) and len(ways) > 1:
            known = self._lines.registered_at(record.id)
            if known in ways:
                return (known, *(way for way in ways if way != known))
        return ways

    def _dial_user(self, call: Call, target: DialTarget, user: LocalUser) -> list[CalledLeg] | str:
        """Every phone of a user rings at the same time."""
        bindings = self._registrar.bindings(user.number)[-MAXIMUM_FORKS:]
        places = [Place(binding.way, binding.contact) for binding in bindings]
        if user.trusted_address:
            flow = self._ways.flow_to("udp", user.trusted_address, 5060)
            if flow is not None:
                places.append(Place(flow, f"sip:{escape_user(user.number)}@{bracketed(user.trusted_address)}"))
        if not places:
            return f"local user {user.number} is not registered"
        # RFC 5393 5.3.3: phones that send their calls back here cannot make ever more of them.
        asked = breadth_of(call.caller.request)
        breadth = DEFAULT_BREADTH if asked is None else asked
        places = places[-breadth:]
        if call.presented is not None:
            target = target._replace(caller_number=call.presented.number)
        offers = self._relays.offers_for(call, target, places)
        if isinstance(offers, str):
            return offers
        return [
            self._leg(
                call,
                target,
                flow,
                address_to_contact(target, contact, self._own_host(flow)),
                offer,
                None,
                breadth // len(places) if asked is not None or len(places) > 1 else 0,
            )
            for (flow, contact), offer in zip(places, offers, strict=True)
        ]

    def _own_host(self, flow: Flow) -> str:
        return self._domain or self._addresses.signalling_host(flow)

    def _leg(
        self,
        call: Call,
        target: DialTarget,
        flow: Flow,
        addressed: Addressed,
        offer: Body | None,
        authorize: Authorize | None,
        max_breadth: int,
    ) -> CalledLeg:
        identity = call.identity
        if call.presented is not None and target.kind is RouteType.LOCAL_USER:
            identity = call.presented
        from_tag = new_tag()
        call_id = new_call_id()
        contact = self._endpoint.contact(flow, contact_user(target, private=identity.private))
        forwards = call.caller.request.max_forwards
        invite = make_invite(
            target,
            addressed,
            identity,
            contact=contact,
            call_id=call_id,
            from_tag=from_tag,
            max_forwards=MAXIMUM_FORWARDS if forwards is None else max(0, forwards - 1),
            body=offer,
            session_expires=self._session_expires,
            max_breadth=max_breadth,
            asks_for_offer=call.caller.is_late and call.caller.takes_early_offer,
            route=self._lines.route(target.target_id) if target.kind is RouteType.EXTERNAL_LINE else (),
        )
        self._trace.leg(call.id, call_id)
        leg = CalledLeg(self._endpoint, call, flow, invite, contact, from_tag, authorize, target.name)
        leg.session_expires = self._session_expires
        if isinstance(target.record, LocalUser):
            leg.phone_of = target.record.number
        else:
            leg.only_rings = target.record.early_media is EarlyMedia.RINGING
        return leg
