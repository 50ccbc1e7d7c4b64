"""The switch: every call of one server, from the packet to the call record, without a socket, a thread or a clock."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from app.calls.addresses import Addresses
from app.calls.authentication import Authentication
from app.calls.call import CLOCK_WAS_SET, Call
from app.calls.called_leg import CalledLeg
from app.calls.caller_leg import CallerLeg
from app.calls.counters import CallCounters, Counted, CounterKey, Held, Hold, RateLimit
from app.calls.destinations import Destinations, Lookup, Ways
from app.calls.dialling import Dialling
from app.calls.diversion import number_redirected_to
from app.calls.external_calls import ExternalCalls
from app.calls.guard import Guard
from app.calls.identity import CallerIdentity, caller_of, number_of
from app.calls.kept_registrations import KeptRegistrations
from app.calls.leg import Leg
from app.calls.leg_events import EndCause, Failed, FailureKind, Redirected, Referred
from app.calls.lines import Lines
from app.calls.live import Live
from app.calls.metrics import Metrics
from app.calls.overload import Overload
from app.calls.referral import NOREFERSUB
from app.calls.registrar import Registrar, RegistrarLimits
from app.calls.rejected import RejectedSources
from app.calls.relay import Relays
from app.calls.session_timer import MINIMUM, is_too_short
from app.calls.sources import Sources
from app.calls.stand_in import StandIn
from app.calls.streams import PeerStreams
from app.calls.trace import Trace
from app.calls.transfer import Transfers
from app.calls.trunks import Trunks
from app.calls.users import Users
from app.clock import local_time
from app.dialplan.decide import decide
from app.dialplan.decision import Dial, DialTarget, Reject, RejectCause, RouteDecision
from app.dialplan.plan import DialPlan
from app.dialplan.request import CallRequest, Source, SourceKind
from app.errors import RemoteError
from app.events import Alarm, Ban, BansChanged, CallChanged, CallRecord, CallRecorded, EventBus, GaugeSample, Severity
from app.hosts import DEFAULT_PORTS
from app.records import Configuration, ExternalLine, LocalUser, RouteType
from app.records.trunks import OutgoingFields
from app.sip.endpoint import ALLOW, Endpoint, new_tag
from app.sip.random_text import random_hex
from app.sip.uri import escape_user
from app.sip.validation import ACCEPT

if TYPE_CHECKING:
    from app.clock import Clock, Deadline, DeadlineHeap
    from app.media.control import MediaControl
    from app.sip.flow import Flow
    from app.sip.message import Request
    from app.sip.transaction import Key, TransactionLayer

_log = logging.getLogger(__name__)

OVERLOAD_RETRY_AFTER = "5"
LONG_CALL_SECONDS = 3.0
"""A call that is talked on for so long is kept as an answered one before it ends."""

_COUNTED_SOURCE = {
    SourceKind.SIP_TRUNK: Counted.TRUNK_IN,
    SourceKind.EXTERNAL_LINE: Counted.LINE_IN,
    SourceKind.LOCAL_USER: Counted.USER_OUT,
}


class Recorder(Protocol):
    """Where call records go. Neither call may wait or raise."""

    def call_started(self, record: CallRecord) -> None:
        """A call was admitted, or has been answered since; should the program die, this is what is known of it."""

    def call_ended(self, record: CallRecord) -> None:
        """A call has ended."""


class Switch:
    """All call logic of a server. Synchronous: `receive` returns with everything done that the message asks for."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        clock: Clock,
        deadlines: DeadlineHeap,
        send: Callable[[Flow, bytes], None],
        ways: Ways,
        local_address_towards: Callable[[str], str],
        lookup: Lookup | None,
        events: EventBus,
        recorder: Recorder,
        node: str,
        media: MediaControl | None = None,
        layer: TransactionLayer | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """`draw` decides which of the calls a percentage or a weight means: chance, but no secret."""
        self.events = events
        self.clock, self.node = clock, node
        self._wall_ahead = clock.wall() - clock.monotonic()
        self.calls: dict[str, Call] = {}
        self._kept_as_answered: set[str] = set()
        self.counters = CallCounters()
        self.counters.on_change = self._on_counter
        self.metrics = Metrics()
        self.rejected = RejectedSources(events)
        self.trace = Trace(clock.wall)
        self.addresses = Addresses(configuration.system, local_address_towards)
        self.endpoint = Endpoint(deadlines, clock.monotonic, send, self.addresses.sent_by, layer)
        self.endpoint.core = self
        self.endpoint.supported_options = frozenset({"100rel", "timer", NOREFERSUB})
        self.endpoint.trace = self.trace.message
        self.endpoint.streams = PeerStreams(ways, self._is_peer, clock.monotonic)
        self._ways = ways
        self.registrar = Registrar(self.endpoint, clock)
        self.registrar.on_change = self._on_registration
        self.kept_registrations = KeptRegistrations(self.registrar, clock, self.endpoint.schedule)
        self.destinations = Destinations(ways, lookup, self._on_addresses, clock.monotonic)
        self.trunks = Trunks(self.endpoint, clock, self.counters, self.destinations, events)
        self.lines = Lines(self.endpoint, clock, self.counters, self.destinations, events, draw)
        self.external_calls = ExternalCalls(clock, events, self._on_bans)
        self.live = Live(clock, self.counters, self.trunks, self.registrar, self.lines, self.external_calls)
        self.users = Users(clock, self.registrar, events)
        self.guard = Guard(clock.wall, self._on_bans, self.registrar)
        self.overload = Overload(clock.monotonic, self._is_peer, self._on_overload)
        self.endpoint.refuses = self.overload.refuses
        self.authentication = Authentication(
            self.endpoint, clock, self.addresses, self.registrar, self.rejected, self.guard, ways.know
        )
        self.relays = Relays(media, self.addresses, events, clock)
        self._dialling = Dialling(
            self.endpoint,
            self.addresses,
            self.destinations,
            ways,
            self.counters,
            self.trunks,
            self.live,
            self.registrar,
            self.relays,
            self.trace,
            self.lines,
        )
        self._recorder, self._draw = recorder, draw
        self.transfers = Transfers(self)
        self._cancellable: dict[Key, CallerLeg] = {}
        self._rate, self._closing = RateLimit(), False
        self.configuration = configuration
        self.configure(configuration)

    def configure(self, configuration: Configuration) -> None:
        """Take a changed configuration at once; calls that run keep what they were set up with."""
        before = self.configuration
        self.configuration = configuration
        self.plan = DialPlan(configuration)
        system = configuration.system
        self.addresses.configure(system)
        self.registrar.limits = RegistrarLimits(system.register_expires_minimum, system.register_expires_maximum)
        self.destinations.configure(configuration)
        self._on_addresses()
        self.authentication.configure(configuration)
        self._dialling.configure(configuration)
        self.relays.configure(configuration)
        self.live.configure(configuration)
        self.external_calls.configure(configuration)
        self.trunks.configure(configuration)
        self.lines.configure(configuration)
        for number, user in before.users_by_number.items():
            now = configuration.users_by_number.get(number)
            if now is None or not now.enabled or now.password != user.password:
                self.registrar.forget(number)
        self.kept_registrations.configure(configuration)
        self.users.configure(configuration)

    def flow_failed(self, flow: Flow, words: str = "") -> None:
        """The transport could not send on this flow, or its connection has ended; `words` say why."""
        self.registrar.flow_failed(flow)
        self.lines.flow_failed(flow)
        self.endpoint.flow_failed(flow, words)

    # --- messages -----------------------------------------------------------------------------------------------------

    def admit(self, host: str, port: int, now: float) -> bool:
        """Whether a message from this address is read at all; `port` 0 for what came by a connection."""
        return self.guard.admit(host, port, now)

    def receive(self, data: bytes, source: Flow) -> None:
        """Take one message from the network."""
        try:
            self.endpoint.receive(data, source)
        except Exception:
            # A bug of ours must cost one message, never the server.
            _log.exception("a message from %s could not be handled", source.source)

    def on_request(self, key: Key, request: Request, source: Flow) -> None:
        """A request outside any dialog (Core)."""
        method = request.method
        if source.connection and self._is_peer(source.remote_host):
            self._ways.know(source)
            if "alias" in request.via.params:
                self._ways.add_alias(source, request.via.port or DEFAULT_PORTS[source.transport])
        if method == "INVITE":
            self._on_invite(key, request, source)
        elif method == "REGISTER":
            self._on_register(key, request, source)
        elif self.authentication.is_welcome(key, request, source):
            self._answer_question(key, request)

    def _answer_question(self, key: Key, request: Request) -> None:
        """Answer what neither calls nor registers."""
        if request.method == "OPTIONS":
            headers = [("Allow", ALLOW), ("Accept", ACCEPT), ("Supported", "100rel, timer")]
            self.endpoint.respond(key, request.answer(200, None, new_tag(), headers))
        elif request.method in ("BYE", "INFO", "UPDATE", "PRACK"):
            # RFC 3261 15.1.2: these mean nothing outside a dialog.
            self.endpoint.respond(key, request.answer(481, None, new_tag()))
        else:
            self.endpoint.respond(key, request.answer(405, None, new_tag(), [("Allow", ALLOW)]))

    def on_cancel(self, key: Key, request: Request) -> None:
        """An INVITE is cancelled (Core)."""
        leg = self._cancellable.get(key)
        if leg is not None:
            leg.on_cancel(key, request)
            return
        tag = request.to.tag
        user = self.endpoint.dialogs.get((request.call_id, tag)) if tag else None
        if isinstance(user, Leg):
            user.on_cancel(key, request)

    def tag_of(self, key: Key) -> str | None:
        """Our tag in the answers to an INVITE that may be cancelled (Core)."""
        leg = self._cancellable.get(key)
        return leg.local_tag if leg is not None else None

    def on_ack_missing(self, key: Key) -> None:
        """A refusal was never acknowledged (Core): the call has ended already, there is nothing to do."""

    def on_refused(self, request: Request | None, source: Flow, status: int, reason: str) -> None:
        """The endpoint refused or dropped something (Core)."""
        _log.debug("refused %s from %s: %d %s", request, source.source, status, reason)

    def _on_register(self, key: Key, request: Request, source: Flow) -> None:
        number = self.authentication.check_password(key, request, source)
        if number is None:
            return
        uri = request.to.uri
        if uri is None or number_of(uri) != number:
            self.authentication.turn_away(
                key, request, source, f"{number} tried to register another number", always_answer=True
            )
            return
        self.registrar.register(key, request, source, number)

    def _on_invite(self, key: Key, request: Request, source: Flow) -> None:
        who = self.authentication.identify(key, request, source)
        if who is None:
            return
        try:
            leg = CallerLeg(self.endpoint, None, key, request, source)
        except RemoteError as error:
            self.endpoint.respond(key, request.answer(error.status, error.reason, new_tag()))
            return
        if who.kind is SourceKind.LOCAL_USER and request.get("Replaces") is not None:
            # Nobody is told of another's dialogs here, so it names none that could be replaced (RFC 3891 3).
            leg.refuse(481)
            return
        if is_too_short(request):
            leg.refuse(422, "", [("Min-SE", str(MINIMUM))])
            return
        leg.session_expires = self.configuration.system.session_expires
        leg.phone_of = who.number if who.kind is SourceKind.LOCAL_USER else ""
        call = self.begin(leg, who, number_of(request.uri), self._identity(who, request))
        self._cancellable[key] = leg
        self.trace.leg(call.id, request.call_id)
        self.send_on(call)
        if call.finished == 0.0 and request.expires:
            call.expire_in(request.expires)

    def begin(self, leg: CallerLeg | StandIn, who: Source, called_number: str, identity: CallerIdentity) -> Call:
        """A new call, which `send_on` has the dial plan decide about."""
        self.metrics.call_begun()
        asked = self._ask(who, identity.number, called_number, redirected=False)
        no_answer_timeout = self.configuration.system.no_answer_timeout
        call = Call(self, random_hex(16), self.node, leg, who, asked, identity, no_answer_timeout)
        leg.owner = call
        self.calls[call.id] = call
        return call

    def settled(self, leg: CallerLeg) -> None:
        """A caller's INVITE has its final answer from elsewhere than its call: it cannot be cancelled any more."""
        self._cancellable.pop(leg.key, None)

    def send_on(self, call: Call) -> None:
        """Have the dial plan decide about a new call, if there is room for it."""
        system = self.configuration.system
        now = self.clock.monotonic()
        if self._closing:
            call.refuse(503, "", EndCause.SHUTDOWN, "the server is shutting down")
        elif len(self.calls) > system.max_calls or self._rate.full(system.max_calls_per_second, now):
            text = "the server has all the calls it may have"
            call.refuse(503, "", EndCause.LIMIT, text, self._overload_headers(text))
        else:
            self._rate.add(now)
            try:
                self._route(call, call.request)
            except Exception:
                call.break_off()
                raise
        if call.finished == 0.0:
            self._recorder.call_started(call.record())
            call.limit_to(system.max_call_seconds)

    def _identity(self, who: Source, request: Request) -> CallerIdentity:
        """The caller as the dial plan and the target shall see it."""
        identity = caller_of(request, trusted=who.kind in (SourceKind.SIP_TRUNK, SourceKind.EXTERNAL_LINE))
        if who.kind is SourceKind.LOCAL_USER:
            # A phone may write what it likes into From; the number that showed its password is who it is.
            user = self.configuration.users_by_number.get(who.number)
            display = user.display_name if user is not None else ""
            identity = identity._replace(number=who.number, display=display or identity.display)
        return identity

    def _ask(self, who: Source, caller_number: str, called_number: str, *, redirected: bool) -> CallRequest:
        """The question to the dial plan."""
        at = local_time(self.clock.wall()) if self.plan.business_hours else None
        return CallRequest(who, caller_number, called_number, redirected, self._draw(), at)

    def _count(self, call: Call, asked: CallRequest, decision: RouteDecision) -> None:
        """Count what follows from an answer of the dial plan."""
        if isinstance(decision, Dial):
            if decision.group_id:
                self.live.took_turn(decision.group_id)
            if decision.is_bounded and asked.source.name not in call.external_for:
                call.external_for.append(asked.source.name)
                self.external_calls.begin(asked.source.name)
        elif decision.cause is RejectCause.EXTERNAL_LIMIT:
            self.external_calls.refused(asked.source.name)

    def _route(self, call: Call, asked: CallRequest) -> None:
        decision = decide(asked, self.plan, self.live)
        self._count(call, asked, decision)
        who = call.source
        if isinstance(decision, Reject):
            call.trail.extend(decision.trail)
            headers: tuple[tuple[str, str], ...] = ()
            if decision.retry_after:
                headers = self._overload_headers(decision.text, decision.retry_after)
            for skipped in decision.skipped:
                call.note_skipped(skipped)
            cause = _CAUSES[decision.cause]
            if decision.cause is RejectCause.NO_TARGET and any(skipped.is_full for skipped in decision.skipped):
                cause = EndCause.LIMIT
            call.refuse(decision.status, decision.reason, cause, decision.text, headers)
            return
        whose = who.number if who.kind is SourceKind.LOCAL_USER else who.id
        call.holds.append(self.counters.hold(_COUNTED_SOURCE[who.kind], whose))
        if who.kind is SourceKind.SIP_TRUNK:
            self.trunks.heard(who.id, 0)
        call.route(decision)

    def _overload_headers(self, text: str, retry_after: int = 5) -> tuple[tuple[str, str], ...]:
        """What a 503 of ours says beside its status (RFC 3261 21.5.4, RFC 3326)."""
        words = text.replace("\\", "").replace('"', "'")
        return ("Retry-After", str(retry_after)), ("Reason", f'SIP;cause=503;text="{words}"')

    # --- what calls ask for (Dialler) ---------------------------------------------------------------------------------

    def dial(self, call: Call, target: DialTarget, way: int) -> list[CalledLeg] | str:
        """Begin an attempt."""
        return self._dialling.dial(call, target, way)

    def hold(self, target: DialTarget) -> Hold | str:
        """Count a call on its target."""
        return self._dialling.hold(target)

    def talks(self, call: Call, target: DialTarget) -> list[Held]:
        """Count the minutes of an answered call for whoever made it, if the one that has answered is outside."""
        if target.kind is RouteType.LOCAL_USER:
            return []
        talks = map(self.external_calls.talk, call.external_for)
        return [talk for talk in talks if talk is not None]

    def redirect(self, call: Call, target: DialTarget, redirected: Redirected) -> RouteDecision | None:
        """A target sends its call elsewhere: the dial plan decides as if it had called the number itself.

        A local user's phone may do that, and whoever's record says so. It names a number, never a server; with the
        rights of that source, so that a trunk's redirection leads to no number with a call level.
        """
        number, record = number_redirected_to(redirected), target.record
        if not number:
            return None
        if isinstance(record, OutgoingFields) and not record.follow_redirects:
            call.trail.append(f"redirection: {target.name} sends the call to {number}; its record does not allow that")
            return None
        asked = self._ask(Source.parse(target.name), call.request.caller_number, number, redirected=True)
        decision = decide(asked, self.plan, self.live)
        if isinstance(decision, Dial):
            # RFC 3261 8.1.3.4: nobody is tried twice.
            tried = {(target.name, target.called_number), *((each.target, each.sent_number) for each in call.attempts)}
            decision.targets = tuple(each for each in decision.targets if (each.name, each.called_number) not in tried)
            if not decision.targets:
                call.trail.append(f"redirection: {target.name} sends the call to {number}, which was tried before")
                return None
            host = self.configuration.system.domain or "trunkline.invalid"
            diversion = f"<sip:{escape_user(target.called_number)}@{host}>;reason={redirected.why}"
            call.identity = call.identity._replace(diversions=(diversion, *call.identity.diversions))
        self._count(call, asked, decision)
        return decision

    def refer(self, call: Call, leg: Leg, event: Referred) -> None:
        """A side wants the other one to talk to somebody else."""
        self.transfers.refer(call, leg, event.referral)

    def outcome(self, call: Call, target: DialTarget, failure: Failed | None) -> None:
        """What became of an attempt: a trunk that was heard is up, one that was not may be in trouble.

        RFC 3261 21.5.4: who answers 503 with Retry-After gets no calls for so long, if there is anybody else.
        """
        if target.kind is RouteType.LOCAL_USER:
            return
        peers = self.trunks if target.kind is RouteType.SIP_TRUNK else self.lines
        if failure is None:
            peers.heard(target.target_id, 200)
        elif failure.kind is FailureKind.ANSWER:
            peers.heard(target.target_id, failure.status)
            rest = peers.rest(target.target_id, failure.retry_after) if failure.status == 503 else ""
            if rest:
                call.trail.append(f"{target.name} {rest}")
        elif failure.kind is not FailureKind.LOCAL and peers is self.trunks:
            self.trunks.silent(target.target_id, f"a call got {failure.reason}")

    def changed(self, call: Call) -> None:
        """A call's row is new."""
        if self.events.wanted(CallChanged):
            self.events.publish(CallChanged(call.row()))
        self.users.call_changed(call)

    def ended(self, call: Call) -> None:
        """A call has ended; everything it held has been given back."""
        del self.calls[call.id]
        self._kept_as_answered.discard(call.id)
        if isinstance(call.caller, CallerLeg):
            self._cancellable.pop(call.caller.key, None)
        self.metrics.call_ended(bool(call.answered), self.clock.monotonic())
        self.users.call_ended(call)
        if self.events.wanted(CallChanged):
            self.events.publish(CallChanged(call.row()))
        if call.media is None:
            self._write_record(call)
        else:
            # The figures of the streams are complete when their worker has told its last ones, milliseconds later.
            self.relays.ended(call, lambda: self._write_record(call))

    def _write_record(self, call: Call) -> None:
        record = call.record()
        self._recorder.call_ended(record)
        if self.events.wanted(CallRecorded):
            self.events.publish(CallRecorded(record))

    def schedule(self, delay: float, callback: Callable[[float], None]) -> Deadline:
        """Have a callback called after so many seconds."""
        return self.endpoint.schedule(delay, callback)

    def wall(self) -> float:
        """Seconds since the epoch."""
        return self.clock.wall()

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        return self.clock.monotonic()

    # --- from the host ------------------------------------------------------------------------------------------------

    def hang_up(self, call_id: str) -> bool:
        """End a call from the window; False when it has ended already."""
        call = self.calls.get(call_id)
        if call is None:
            return False
        call.hang_up(EndCause.HUNG_UP_HERE, "hung up in the window")
        return True

    def bans(self) -> tuple[Ban, ...]:
        """The sources whose external calls are stopped, and the addresses that are not listened to."""
        return (*self.external_calls.stops(), *self.guard.bans())

    def lift_ban(self, address: str) -> None:
        """Let a source make external calls again, or listen to an address again."""
        if not self.external_calls.lift(address):
            self.guard.lift(address)

    def close(self) -> None:
        """Take no further calls, end those that run, unregister the lines; transactions end by themselves."""
        self._closing = True
        self.kept_registrations.close()
        for call in tuple(self.calls.values()):
            call.hang_up(EndCause.SHUTDOWN, "the server is shutting down")
        self.trunks.stop()
        self.lines.stop()

    def sample(self) -> GaugeSample:
        """Take the gauges' sample of this second, and see to what a second more changes elsewhere."""
        self._notice_the_clock()
        self._keep_long_calls()
        self.guard.expire(self.clock.monotonic())
        self.overload.expire(self.clock.monotonic())
        self.external_calls.expire(self.clock.monotonic())
        return self.metrics.sample(
            self.clock.monotonic(),
            self.clock.wall(),
            len(self.calls),
            self.registrar.registered,
            [(row.id, row.active_in, row.active_out) for row in self.trunks.rows()],
            self.relays.figures(),
            self.relays.figures_of_trunks(),
        )

    def _keep_long_calls(self) -> None:
        """Have it known of calls that they were answered, should the program die.

        Not at the answer: most calls are over soon, and each would be written once more.
        """
        for call in self.calls.values():
            if call.id not in self._kept_as_answered and call.talked() >= LONG_CALL_SECONDS:
                self._kept_as_answered.add(call.id)
                self._recorder.call_started(call.record())

    def _notice_the_clock(self) -> None:
        """Deadlines do not care when the clock on the wall is set, but what is shown of them does: times to come and
        times gone by stand in the new time from then on. Records keep the time in which their call began."""
        before, self._wall_ahead = self._wall_ahead, self.clock.wall() - self.clock.monotonic()
        seconds = self._wall_ahead - before
        if abs(seconds) < CLOCK_WAS_SET:
            return
        _log.info("the system's clock was set by %+.0f seconds", seconds)
        self.metrics.clock_set(seconds)
        self.guard.clock_set(seconds)
        for call in self.calls.values():
            self.changed(call)
        for line in self.configuration.records(ExternalLine):
            self.lines.publish(line.id)
        for user in self.configuration.records(LocalUser):
            self.users.publish(user.number)

    def _is_peer(self, host: str) -> bool:
        """Whether an address belongs to a trunk, a line's server or a trusted user."""
        sources = self.authentication.sources
        return sources is not None and sources.is_trusted(host)

    # --- notes of the parts -------------------------------------------------------------------------------------------

    def _on_addresses(self) -> None:
        """DNS or the configuration says something new about who is who."""
        sources = self.authentication.sources = Sources(self.configuration, self.destinations.addresses_of)
        self.guard.configure(self.configuration, sources.is_trusted)
        self.trunks.addresses_changed()
        self.lines.addresses_changed()

    def _on_counter(self, key: CounterKey) -> None:
        counted, whose = key
        if counted in _OF_TRUNKS:
            self.trunks.publish(int(whose))
        elif counted in _OF_LINES:
            self.lines.publish(int(whose))

    def _on_registration(self, number: str) -> None:
        self.users.publish(number)
        self.kept_registrations.changed(number)

    def _on_overload(self, refused: int, active: bool) -> None:
        if active:
            text = "more comes in than this server can do: new calls get 503"
            _log.warning("%s", text)
        else:
            text = f"the overload is over; {refused} requests got 503"
            _log.info("%s", text)
        at = self.clock.wall()
        self.events.publish(Alarm.about("overload", text, at, cleared=not active, severity=Severity.WARNING))

    def _on_bans(self) -> None:
        if self.events.wanted(BansChanged):
            self.events.publish(BansChanged(self.bans()))


_OF_TRUNKS = frozenset({Counted.TRUNK_IN, Counted.TRUNK_OUT})
_OF_LINES = frozenset({Counted.LINE_IN, Counted.LINE_OUT})
_CAUSES = {
    RejectCause.UNKNOWN_SOURCE: EndCause.REJECTED,
    RejectCause.NUMBER_LIST: EndCause.REJECTED,
    RejectCause.CALL_LEVEL: EndCause.REJECTED,
    RejectCause.LIMIT: EndCause.LIMIT,
    RejectCause.EXTERNAL_LIMIT: EndCause.LIMIT,
    RejectCause.NO_NUMBER: EndCause.NO_ROUTE,
    RejectCause.NOT_FOUND: EndCause.NO_ROUTE,
    RejectCause.NOT_REGISTERED: EndCause.NO_ANSWER,
    RejectCause.NO_TARGET: EndCause.TRUNK_FAILED,
}
