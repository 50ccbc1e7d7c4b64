"""External lines while the server runs: their registration, its refresh and back-off, and their digest answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.calls.challenges import answer_challenge, is_stale, realms_of
from app.calls.counters import CallCounters, Counted
from app.calls.destinations import Destinations
from app.calls.diversion import redirected_to
from app.calls.meddling import MEDDLING
from app.calls.outgoing import USER_AGENT, host_port_of
from app.calls.resting import Resting
from app.errors import RemoteError
from app.events import Alarm, EventBus, LineChanged, LineRow, LineState
from app.hosts import DEFAULT_PORTS, bracketed
from app.records import Configuration, ExternalLine
from app.sip.endpoint import Endpoint, new_call_id, new_tag
from app.sip.message import Message, Request, Response, parse_seconds
from app.sip.uri import NameAddr, escape_user

if TYPE_CHECKING:
    from app.clock import Clock, Deadline
    from app.sip.flow import Flow
    from app.sip.transaction import Key

FIRST_BACK_OFF = 5.0
"""Seconds before the second try after a failure; doubled with each further one."""
LONGEST_BACK_OFF = 600.0
LONGEST_SILENCE = 45.0
"""Seconds, at most, between two tries at a provider that is not heard at all: it may be the way to it that is broken,
and nobody tells when that is mended."""
REJECTED_BACK_OFF = 60.0
"""Seconds before another try after the provider refused the account: a wrong password must not become a flood."""
FIRST_REGISTRATION_AFTER = 0.05
"""Seconds: enough for the records of one import to be there together."""
SHORTEST_EXPIRES = 10
"""Seconds: a provider that grants less is asked again as if it had granted this."""
EARLIEST_REFRESH = 5.0
TEMPORARY_FAILURES = frozenset({408, 430, 480, 500, 502, 503, 504})
"""Answers that say nothing about the account: another address of the provider, or a later time, may do better."""
MAXIMUM_ROUTES = 5
"""A provider that wants calls to go through more proxies is not followed."""
MAXIMUM_CHALLENGES = 5
"""So many answers that ask for more (401, 407, 423) are taken in one registration."""
KEEP_UDP_ALIVE, KEEP_STREAM_ALIVE = 27.0, 110.0
"""Seconds between two keep-alives to a provider: shorter than a NAT's memory (RFC 5626 4.4.1, 4.4.2)."""
AFTER_A_LOST_CONNECTION = 5.0
"""Seconds, at most, until a line whose connection ended registers again."""
PATIENCE = 8.0
"""Seconds after which a REGISTER without an answer has failed and another address or a later time is tried."""


@dataclass(slots=True)
class _Watch:
    """What is known of a line beside its record."""

    state: LineState = LineState.UNREGISTERED
    reason: str = "not registered yet"
    last_status: int = 0
    until: float = 0.0
    """Monotonic time of the end of the registration, or of the next try."""
    expires: int = 0
    call_id: str = field(default_factory=new_call_id)
    tag: str = field(default_factory=new_tag)
    sequence: int = 0
    challenges: int = 0
    failures: int = 0
    flow: Flow | None = None
    """Where the last REGISTER went."""
    route: tuple[str, ...] = ()
    """The Route of calls, as the provider wants it (RFC 3608)."""
    kept: Flow | None = None
    """The flow that is kept alive, so that the provider's calls come through a NAT."""
    nowhere: bool = False
    """Whether the last try failed because the server's address is not known."""
    realms: set[str] = field(default_factory=set)
    """The realms that the configured server itself named when the line registered."""
    timer: Deadline | None = None
    key: Key | None = None
    request: Request | None = None
    leaving: bool = False
    missed: bool = False
    """Whether it was said that the line is not registered."""


class Lines:
    """The registration of every line, and who may be called through it now."""

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        counters: CallCounters,
        destinations: Destinations,
        events: EventBus,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._counters = counters
        self._destinations = destinations
        self._events = events
        self._jitter = jitter
        self._records: dict[int, ExternalLine] = {}
        self._watches: dict[int, _Watch] = {}
        self._asking: dict[Key, int] = {}
        self._resting = Resting(clock, endpoint.schedule, self.publish)

    def configure(self, configuration: Configuration) -> None:
        """Take a changed configuration: changed lines register anew at once, deleted ones unregister."""
        records = {line.id: line for line in configuration.records(ExternalLine)}
        for line_id in [number for number in self._records if number not in records]:
            self._leave(line_id)
            self._tell_missed(line_id, self._watches[line_id], False, "is deleted")
            self._resting.end(line_id)
            row = self._row_of(self._records.pop(line_id), self._watches.pop(line_id))
            self._events.publish(LineChanged(row, gone=True))
        for line_id, record in records.items():
            old = self._records.get(line_id)
            if old == record:
                continue
            self._resting.end(line_id)
            if old is not None and _account_of(old) == _account_of(record):
                self._records[line_id] = record
                self.publish(line_id)
                continue
            before = self._watches.get(line_id)
            watch = _Watch()
            if old is not None and before is not None:
                watch.missed = before.missed
                if record.enabled and _place_of(old) == _place_of(record):
                    # The same account at the same registrar: a REGISTER of the same Call-ID takes the place of the
                    # registration that holds, and no late farewell can take the new one away (RFC 3261 10.3).
                    self._release(before)
                    watch.call_id, watch.tag, watch.sequence = before.call_id, before.tag, before.sequence
                else:
                    self._leave(line_id)
            self._records[line_id] = record
            self._watches[line_id] = watch
            if record.enabled:
                self._plan(line_id, watch, FIRST_REGISTRATION_AFTER)
            else:
                watch.state, watch.reason = LineState.DISABLED, "disabled in its record"
                self._tell_missed(line_id, watch, False, "is disabled")
            self.publish(line_id)
        self.own_address_changed()

    def stop(self) -> None:
        """Unregister every line: the provider shall not send calls to a server that is gone."""
        self._resting.stop()
        for line_id in tuple(self._records):
            self._leave(line_id)

    # --- asked by the dial plan and by calls --------------------------------------------------------------------------

    def down(self, line_id: int) -> str:
        """Why nothing can go out through a line, blank when it can."""
        watch = self._watches.get(line_id)
        if watch is None:
            return "it does not exist"
        if watch.state is LineState.REGISTERED or self._is_refreshing(watch):
            return ""
        return f"not registered: {watch.reason}"

    def rests(self, line_id: int) -> str:
        """Until when a line rests and why, in words; blank while it does not."""
        return self._resting.words(line_id) if self._resting else ""

    def rest(self, line_id: int, retry_after: str) -> str:
        """The provider answered a call with 503 and this Retry-After: what `rests` says then."""
        return self._resting.begin(line_id, retry_after) if line_id in self._records else ""

    def heard(self, line_id: int, status: int) -> None:
        """The provider answered a call."""
        if 200 <= status < 300 and self.rests(line_id):
            self._resting.end(line_id)
            self.publish(line_id)

    def _is_refreshing(self, watch: _Watch) -> bool:
        """Whether a registration still holds while it is being renewed."""
        return watch.expires > 0 and watch.until > self._clock.monotonic() and watch.state is LineState.REGISTERING

    def authorize(self, line_id: int) -> Callable[[Request, Response], tuple[str, str] | None] | None:
        """What answers the challenges that a call through this line meets; only its own provider's realms.

        A call keeps what it began with when the line is deleted, so that its BYE can still be answered for; and what
        the line becomes at another provider is none of the old one's business.
        """
        record = self._records.get(line_id)
        watch = self._watches.get(line_id)
        if record is None or watch is None or not record.password:
            return None

        def answer(request: Request, response: Response) -> tuple[str, str] | None:
            now = self._records.get(line_id, record)
            if _place_of(now) != _place_of(record):
                now = record
            realms = frozenset({now.domain.lower(), now.server_address.lower()} | watch.realms)
            return answer_challenge(request, response, username_of(now), now.password, realms)

        return answer

    # --- rows ---------------------------------------------------------------------------------------------------------

    def rows(self) -> tuple[LineRow, ...]:
        """Every line, by id."""
        return tuple(self._row_of(self._records[number], self._watches[number]) for number in sorted(self._records))

    def publish(self, line_id: int) -> None:
        """A line's row is new."""
        record = self._records.get(line_id)
        if record is not None and self._events.wanted(LineChanged):
            self._events.publish(LineChanged(self._row_of(record, self._watches[line_id])))

    def _row_of(self, record: ExternalLine, watch: _Watch) -> LineRow:
        until = 0.0
        if watch.until:
            until = self._clock.wall() + watch.until - self._clock.monotonic()
        return LineRow(
            id=record.id,
            name=record.caption(),
            state=watch.state,
            reason=(watch.state is LineState.REGISTERED and self.rests(record.id)) or watch.reason,
            last_status=watch.last_status,
            expires_at=until,
            active_in=self._counters.count(Counted.LINE_IN, record.id),
            active_out=self._counters.count(Counted.LINE_OUT, record.id),
            max_out=record.max_outgoing_calls,
        )

    # --- registering --------------------------------------------------------------------------------------------------

    def _register(self, line_id: int) -> None:
        """Begin a registration, or its refresh."""
        record = self._records.get(line_id)
        watch = self._watches.get(line_id)
        if record is None or watch is None:
            return
        watch.timer = None
        watch.challenges = 0
        watch.state = LineState.REGISTERING
        self._send(line_id, record, watch, record.register_expires, None)
        self.publish(line_id)

    def _send(
        self, line_id: int, record: ExternalLine, watch: _Watch, expires: int, credentials: tuple[str, str] | None
    ) -> None:
        ways = self._destinations.ways_to(record)
        watch.nowhere = isinstance(ways, str)
        if isinstance(ways, str):
            self._failed(line_id, ways)
            return
        # An answer to a challenge goes where the challenge came from: only that server knows its nonce.
        flow = watch.flow if credentials is not None and watch.flow in ways else ways[0]
        watch.flow = flow
        domain = bracketed(record.domain)
        address = f"<sip:{escape_user(record.account)}@{domain or bracketed(record.server_address)}>"
        watch.sequence += 1
        headers = [
            ("Max-Forwards", "70"),
            ("From", f"{address};tag={watch.tag}"),
            ("To", address),
            ("Call-ID", watch.call_id),
            ("CSeq", f"{watch.sequence} REGISTER"),
            ("Contact", self._endpoint.contact(flow, escape_user(record.account))),
            ("Expires", str(expires)),
            ("User-Agent", USER_AGENT),
        ]
        if credentials is not None:
            headers.append(credentials)
        transport = "" if record.transport == "udp" else f";transport={record.transport}"
        watch.request = Request("REGISTER", f"sip:{domain or host_port_of(record)}{transport}", headers)
        watch.key = self._endpoint.send_request(watch.request, flow, self)
        self._asking[watch.key] = line_id
        self._be_patient(line_id, watch)

    def _be_patient(self, line_id: int, watch: _Watch) -> None:
        key = watch.key
        if watch.timer is not None:
            watch.timer.cancel()
        watch.timer = self._endpoint.schedule(PATIENCE, lambda _now: self._out_of_patience(line_id, key))

    def _out_of_patience(self, line_id: int, key: Key | None) -> None:
        watch = self._watches.get(line_id)
        if watch is None or key is None or watch.key != key:
            return
        watch.timer = None
        watch.key = None
        self._asking.pop(key, None)
        self._endpoint.forget(key)
        self._unheard(line_id, "no answer from the server")

    def on_response(self, key: Key, response: Response) -> None:
        """An answer to a REGISTER (ClientUser)."""
        line_id = self._asking.get(key)
        if line_id is None or response.status < 200:
            return
        watch = self._watches.get(line_id)
        record = self._records.get(line_id)
        self._asking.pop(key, None)
        if watch is None or record is None or watch.key != key:
            return
        watch.key = None
        watch.last_status = response.status
        status = response.status
        if status < 300:
            self._registered(line_id, record, watch, response)
        elif status in (401, 407):
            self._challenged(line_id, record, watch, response)
        elif status == 423:
            self._too_brief(line_id, record, watch, response)
        elif status in TEMPORARY_FAILURES:
            words = f"{status} {response.reason}".strip()
            self._unheard(line_id, words, LONGEST_BACK_OFF, _retry_after(response))
        else:
            self._refused(line_id, watch, response)

    def _registered(self, line_id: int, record: ExternalLine, watch: _Watch, response: Response) -> None:
        expires = self._granted(record, watch, response)
        watch.failures = 0
        watch.route = _service_route_of(response)
        if watch.flow is not None:
            self._destinations.heard(record, watch.flow)
        watch.expires = expires
        watch.until = self._clock.monotonic() + expires
        watch.state, watch.reason = LineState.REGISTERED, "registered"
        if watch.request is not None and _place_in(response) != _place_in(watch.request):
            # RFC 3261 8.2.6.2: a Via comes back as it was sent, whatever else a provider changes.
            watch.reason = f"registered, but {MEDDLING} ({watch.request.via.sent_by} became {response.via.sent_by})"
        self._tell_missed(line_id, watch, False, "is registered again")
        self._keep_alive(watch, watch.flow)
        # Early enough for several tries before it ends, spread so that many lines do not all refresh at once.
        early = max(expires * 0.5, expires - 60.0) - expires * 0.05 * self._jitter()
        self._plan(line_id, watch, max(early, EARLIEST_REFRESH))
        self.publish(line_id)

    def _granted(self, record: ExternalLine, watch: _Watch, response: Response) -> int:
        """The seconds that the provider granted: of our own contact, else of the answer, else what we asked for."""
        ours = watch.request.contacts[0].uri if watch.request is not None else None
        granted = response.expires
        for contact in response.contacts:
            uri, own = contact.uri, contact.params.get("expires")
            # Other phones may be registered with the same account.
            if own and uri is not None and ours is not None and (uri.username, uri.host) == (ours.username, ours.host):
                granted = parse_seconds(own)
                if uri.port == ours.port:
                    break
        return max(SHORTEST_EXPIRES, granted if granted is not None else record.register_expires)

    def _challenged(self, line_id: int, record: ExternalLine, watch: _Watch, response: Response) -> None:
        watch.challenges += 1
        request = watch.request
        if request is None or watch.challenges > MAXIMUM_CHALLENGES:
            self._refused(line_id, watch, response, "the provider refuses the password")
            return
        credentials = None
        if record.password:
            credentials = answer_challenge(request, response, username_of(record), record.password)
        in_vain = "Authorization" in request or "Proxy-Authorization" in request
        if credentials is None or (in_vain and not is_stale(response)):
            text = "the provider refuses the password" if record.password else "the provider asks for a password"
            self._refused(line_id, watch, response, text)
            return
        watch.realms |= realms_of(response)
        expires = request.expires
        self._send(line_id, record, watch, record.register_expires if expires is None else expires, credentials)

    def _too_brief(self, line_id: int, record: ExternalLine, watch: _Watch, response: Response) -> None:
        """RFC 3261 10.2.8: the provider wants a longer time."""
        minimum = parse_seconds(response.get("Min-Expires") or "")
        watch.challenges += 1
        asked = watch.request.expires if watch.request is not None else None
        if watch.challenges > MAXIMUM_CHALLENGES or minimum <= (asked or 0):
            self._refused(line_id, watch, response)
            return
        self._send(line_id, record, watch, minimum, None)

    def _refused(self, line_id: int, watch: _Watch, response: Response, text: str = "") -> None:
        words = f"{response.status} {response.reason}".strip()
        if 300 <= response.status < 400:
            # Not followed: the password would be shown to whomever the answer names.
            moved = redirected_to(response)
            text = f"the provider says that this account is at {moved[0][:100]}" if moved else text
        watch.state = LineState.REJECTED
        watch.reason = f"{text} ({words})" if text else words
        watch.expires = 0
        delay = max(self._back_off(watch, REJECTED_BACK_OFF), _retry_after(response))
        self._plan(line_id, watch, delay)
        watch.until = self._clock.monotonic() + delay
        self._tell_missed(line_id, watch, True, f"is not registered: {watch.reason}")
        self.publish(line_id)

    def on_no_response(self, key: Key, timed_out: bool) -> None:
        """A REGISTER got no answer (ClientUser)."""
        line_id = self._asking.pop(key, None)
        watch = self._watches.get(line_id) if line_id is not None else None
        if line_id is None or watch is None or watch.key != key:
            return
        watch.key = None
        words = self._endpoint.failure or "the server cannot be reached"
        self._unheard(line_id, "no answer from the server" if timed_out else words)

    def _unheard(self, line_id: int, reason: str, longest: float = LONGEST_SILENCE, wait: float = 0.0) -> None:
        """A registrar did not answer, or not now: its next address is tried at once, or this one later."""
        watch = self._watches[line_id]
        if watch.flow is not None and self._destinations.missed(self._records[line_id], watch.flow):
            watch.state, watch.reason = LineState.RETRYING, reason
            watch.until = self._clock.monotonic()
            self._plan(line_id, watch, 0.0)
            self.publish(line_id)
        else:
            self._failed(line_id, reason, longest, wait)

    def _failed(self, line_id: int, reason: str, longest: float = LONGEST_SILENCE, wait: float = 0.0) -> None:
        watch = self._watches[line_id]
        watch.state, watch.reason = LineState.RETRYING, reason
        delay = max(self._back_off(watch, FIRST_BACK_OFF, longest), wait)
        if watch.until < self._clock.monotonic():
            watch.expires = 0
        self._plan(line_id, watch, delay)
        watch.until = self._clock.monotonic() + delay
        if not watch.expires and not self._destinations.awaits(self._records[line_id]):
            # One that only could not be refreshed still holds for a while; a name takes a moment to be looked up.
            self._tell_missed(line_id, watch, True, f"is not registered: {reason}")
        self.publish(line_id)

    def _tell_missed(self, line_id: int, watch: _Watch, missed: bool, words: str) -> None:
        """Say once that a line is not registered, and once that this is over: nobody calls in through it meanwhile."""
        if watch.missed is missed:
            return
        watch.missed = missed
        text = f"External line {self._records[line_id].caption()} {words}"
        self._events.publish(Alarm.about("line_down", text, self._clock.wall(), cleared=not missed, line=line_id))

    def _back_off(self, watch: _Watch, first: float, longest: float = LONGEST_BACK_OFF) -> float:
        """RFC 5626 4.5: twice as long after each failure, somewhere between half of it and all of it."""
        watch.failures += 1
        upper = min(first * 2.0 ** min(watch.failures - 1, 10), longest)
        return upper * (0.5 + 0.5 * self._jitter())

    def _plan(self, line_id: int, watch: _Watch, delay: float) -> None:
        if watch.timer is not None:
            watch.timer.cancel()
        watch.timer = self._endpoint.schedule(delay, lambda _now: self._register(line_id))

    def register_now(self, line_id: int | None = None) -> None:
        """Register at once: the user asked for it, or the network came back."""
        for number in [line_id] if line_id is not None else list(self._records):
            watch = self._watches.get(number)
            if watch is not None and watch.key is None and self._records[number].enabled:
                watch.failures = 0
                self._plan(number, watch, 0.0)

    def _keep_alive(self, watch: _Watch, flow: Flow | None) -> None:
        """Keep the way from the provider open (RFC 5626 4.4); lines with the same provider share it."""
        old, watch.kept = watch.kept, flow
        streams = self._endpoint.streams
        if streams is None or old == flow:
            return
        if old is not None and all(other.kept != old for other in self._watches.values()):
            streams.keep_alive(old, None)
        if flow is not None:
            streams.keep_alive(flow, KEEP_STREAM_ALIVE if flow.connection else KEEP_UDP_ALIVE)

    def flow_failed(self, flow: Flow) -> None:
        """A connection has ended: who was registered by it registers again, soon but not all at once (RFC 5626 4.5)."""
        if not flow.connection:
            return
        for line_id, watch in self._watches.items():
            if watch.kept == flow and watch.key is None and watch.state is LineState.REGISTERED:
                watch.kept = None
                self._plan(line_id, watch, AFTER_A_LOST_CONNECTION * (0.1 + 0.9 * self._jitter()))

    def _leave(self, line_id: int) -> None:
        """Stop registering; a registration that holds is taken back, without waiting for the answer."""
        watch = self._watches[line_id]
        holds = watch.state is LineState.REGISTERED or self._is_refreshing(watch)
        self._release(watch)
        if holds and not watch.leaving and watch.request is not None and watch.flow is not None:
            watch.leaving = True
            # Where it is registered, wherever the record says now (RFC 3261 10.2.2).
            record = self._records[line_id]
            _Farewell(self._endpoint, watch.flow, record, watch.request, watch.sequence).say(None)
        watch.state, watch.reason = LineState.UNREGISTERED, "unregistered"

    def _release(self, watch: _Watch) -> None:
        """Wait for nothing any more."""
        self._keep_alive(watch, None)
        if watch.timer is not None:
            watch.timer.cancel()
            watch.timer = None
        if watch.key is not None:
            self._asking.pop(watch.key, None)
            self._endpoint.release(watch.key)
            watch.key = None

    def registered_at(self, line_id: int) -> Flow | None:
        """Where the line is registered, None where it is not."""
        watch = self._watches.get(line_id)
        return watch.flow if watch is not None and not self.down(line_id) else None

    def route(self, line_id: int) -> tuple[str, ...]:
        """The Route of calls through the line, which its registration brought (RFC 3608); blank without one."""
        watch = self._watches.get(line_id)
        return watch.route if watch is not None and not self.down(line_id) else ()

    def own_address_changed(self) -> None:
        """This server may be elsewhere now, for some provider: where it is told another Contact, it is told at once."""
        for line_id, watch in self._watches.items():
            record = self._records[line_id]
            ways = self._destinations.ways_to(record)
            if watch.state is not LineState.REGISTERED or watch.request is None or isinstance(ways, str):
                continue
            flow = watch.flow if watch.flow in ways else ways[0]
            if self._endpoint.contact(flow, escape_user(record.account)) != watch.request.get("Contact"):
                # The old Contact would ring at nobody; it is taken back beside the new registration.
                _Farewell(self._endpoint, flow, record, watch.request, watch.sequence).say(None)
                watch.call_id, watch.tag, watch.sequence = new_call_id(), new_tag(), 0
                self._plan(line_id, watch, 0.0)

    def providers(self) -> dict[str, str]:
        """The addresses that the lines' registrations went to last, and our own that they went from."""
        flows = [watch.flow for watch in self._watches.values() if watch.flow is not None]
        return {flow.remote_host: flow.local_host for flow in flows}

    def way_changed(self, host: str) -> None:
        """This machine has a way to a provider's address again, or another one: its lines register at once."""
        self.own_address_changed()
        for line_id, watch in self._watches.items():
            if watch.flow is not None and watch.flow.remote_host == host:
                self.register_now(line_id)

    def addresses_changed(self) -> None:
        """DNS says something new: lines register where their provider is now."""
        for line_id, watch in self._watches.items():
            if watch.timer is None or watch.key is not None:
                continue
            moved = False
            if watch.state is LineState.REGISTERED and watch.flow is not None:
                ways = self._destinations.ways_to(self._records[line_id])
                moved = not isinstance(ways, str) and watch.flow not in ways
            if watch.nowhere or moved:
                watch.nowhere = False
                self._plan(line_id, watch, 0.0)


class _Farewell:
    """A REGISTER with Expires 0 that answers one challenge, and whose outcome does not matter (ClientUser)."""

    def __init__(self, endpoint: Endpoint, flow: Flow, record: ExternalLine, last: Request, sequence: int) -> None:
        self._endpoint = endpoint
        self._flow = flow
        self._record = record
        self._request = last
        self._sequence = sequence
        self._challenged = False

    def say(self, credentials: tuple[str, str] | None) -> None:
        """Send it."""
        self._sequence += 1
        changed = {"CSeq": f"{self._sequence} REGISTER", "Expires": "0"}
        dropped = ("Via", "Content-Length", "Authorization", "Proxy-Authorization")
        old = self._request
        headers = [(name, changed.get(name, value)) for name, value in old.headers if name not in dropped]
        if credentials is not None:
            headers.append(credentials)
        self._request = Request("REGISTER", old.uri_text, headers)
        self._endpoint.send_request(self._request, self._flow, self)

    def on_response(self, key: Key, response: Response) -> None:  # noqa: ARG002 - ClientUser
        """Answer a challenge once."""
        if response.status not in (401, 407) or self._challenged or not self._record.password:
            return
        self._challenged = True
        credentials = answer_challenge(self._request, response, username_of(self._record), self._record.password)
        if credentials is not None:
            self.say(credentials)

    def on_no_response(self, key: Key, timed_out: bool) -> None:
        """The provider does not hear us; the registration ends by itself."""


def username_of(record: ExternalLine) -> str:
    """The digest user name of a line."""
    return record.authorization_id or record.account


def _retry_after(response: Response) -> float:
    """The seconds after which the provider wants to be asked again, 0 where it says nothing; bounded."""
    value = response.get("Retry-After")
    return 0.0 if value is None else min(float(parse_seconds(value.partition("(")[0])), LONGEST_BACK_OFF)


def _service_route_of(response: Response) -> tuple[str, ...]:
    """RFC 3608 5; nothing where it is too long, or names a proxy without lr (RFC 3261 16.12)."""
    try:
        values = tuple(response.values("Service-Route"))
        uris = [NameAddr.parse(value).uri for value in values]
    except RemoteError:
        return ()
    is_loose = all(uri is not None and "lr" in uri.params for uri in uris)
    return values if is_loose and len(values) <= MAXIMUM_ROUTES else ()


def _place_in(message: Message) -> tuple[str, int]:
    """Where the top Via says that a message was sent from."""
    via = message.via
    return via.host.lower(), via.port or DEFAULT_PORTS["udp"]


def _place_of(record: ExternalLine) -> tuple[object, ...]:
    """What a registrar knows a registration by: whose it is, and where."""
    return record.enabled, record.account, record.domain, record.server_address, record.server_port, record.transport


def _account_of(record: ExternalLine) -> tuple[object, ...]:
    """What makes a line register anew when it changes."""
    return (
        record.enabled,
        record.account,
        record.password,
        record.authorization_id,
        record.domain,
        record.server_address,
        record.server_port,
        record.transport,
        record.register_expires,
    )
