"""The registrar: which phones are where, by their REGISTER requests (RFC 3261 section 10)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.calls.next_hop import next_hop
from app.errors import RemoteError
from app.sip.endpoint import Endpoint, new_tag
from app.sip.flow import Flow
from app.sip.message import Request, parse_seconds
from app.sip.uri import NameAddr, Uri

if TYPE_CHECKING:
    from app.clock import Clock, Deadline
    from app.sip.transaction import Key

MAXIMUM_CONTACTS = 10
"""A user may be registered at so many places; the oldest makes room for a new one."""


@dataclass(slots=True)
class Binding:
    """One place where a user can be reached."""

    contact: str
    """The Contact URI as the phone gave it: the Request-URI of calls to it."""
    flow: Flow
    """The way that the REGISTER came: the way that works through NAT."""
    call_id: str
    sequence: int
    expires_at: float
    """Monotonic time."""
    user_agent: str
    instance: str = ""
    """What tells the phone from all others, with the number of its way here (RFC 5626 4.1); blank: it does not say."""
    domain: str = ""
    """What the phone calls this server; blank where that is not known (any more)."""
    timer: Deadline | None = None

    @property
    def way(self) -> Flow:
        """Where calls to the phone go: the way that works through NAT, or the port that it names where there is none.

        Some phones listen on another port than they send from (RFC 3261 10.2.1: the Contact says where they are).
        """
        uri = Uri.parse(self.contact)
        return next_hop(uri.host, uri.port, self.flow, is_phone=True)


@dataclass(frozen=True, slots=True)
class RegistrarLimits:
    """Bounds on the time of a registration, in seconds."""

    minimum: int = 30
    maximum: int = 3600


class Registrar:
    """All bindings. `on_change(number)` is called when a user's bindings are new."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self.limits = RegistrarLimits()
        self.on_change: Callable[[str], None] | None = None
        self._endpoint = endpoint
        self._clock = clock
        self._bindings: dict[str, list[Binding]] = {}
        self._sources: dict[tuple[str, int], dict[str, int]] = {}
        """How many bindings of which users came from an address and port."""
        self._hosts: Counter[str] = Counter()
        """How many bindings came from an address."""

    @property
    def registered(self) -> int:
        """How many users are registered."""
        return len(self._bindings)

    def bindings(self, number: str) -> tuple[Binding, ...]:
        """Where a user can be reached, the newest registration last."""
        return tuple(self._bindings.get(number, ()))

    def count(self, number: str) -> int:
        """At how many places a user is registered."""
        return len(self._bindings.get(number, ()))

    def is_source(self, host: str, port: int) -> bool:
        """Whether somebody is registered from this address and port."""
        return (host, port) in self._sources

    def has_phones(self, host: str) -> bool:
        """Whether anybody is registered from this address."""
        return host in self._hosts

    def register(self, key: Key, request: Request, source: Flow, number: str) -> None:
        """Answer the REGISTER of an authenticated user. Bad contacts get 400, too short a time 423."""
        endpoint = self._endpoint
        try:
            refusal = self._apply(request, source, number)
        except RemoteError as error:
            refusal = (error.status, error.reason, [])
        if refusal is not None:
            status, reason, headers = refusal
            endpoint.respond(key, request.answer(status, reason, new_tag(), headers))
            return
        now = self._clock.monotonic()
        headers = [
            ("Contact", f"<{binding.contact}>;expires={max(0, round(binding.expires_at - now))}")
            for binding in self._bindings.get(number, ())
        ]
        endpoint.respond(key, request.answer(200, None, new_tag(), headers))

    def _apply(
        self, request: Request, source: Flow, number: str
    ) -> tuple[int, str | None, list[tuple[str, str]]] | None:
        """Change the bindings as RFC 3261 10.3 says, all or nothing; returns the refusal."""
        contacts = request.contacts
        if not contacts:
            return None
        expires = request.expires
        call_id, sequence = request.call_id, request.cseq.number
        old = self._bindings.get(number, [])
        for binding in old:
            # RFC 3261 10.3 step 7: an older request of the same phone must not undo a newer one.
            if binding.call_id == call_id and sequence <= binding.sequence:
                return 500, "CSeq out of order", []
        if contacts[0].uri is None:
            if len(contacts) > 1 or expires != 0:
                return 400, "Contact * needs Expires: 0 and no other Contact", []
            self._replace(number, [])
            return None
        if len(contacts) > MAXIMUM_CONTACTS:
            return 400, f"More than {MAXIMUM_CONTACTS} contacts", []
        changed = list(old)
        limits = self.limits
        now = self._clock.monotonic()
        user_agent = (request.get("User-Agent") or "")[:80]
        domain = request.to.uri.host if request.to.uri is not None else ""
        for contact in contacts:
            uri = contact.uri
            if uri is None or not uri.is_sip:
                return 400, "Bad Contact", []
            text = str(uri)
            seconds = self._seconds(contact, expires)
            # What is taken away is meant by its Contact: the phone may be elsewhere already.
            instance = _instance_of(contact) if seconds else ""
            same = [each for each in changed if _same_place(each, text, source, instance)]
            if 0 < seconds < limits.minimum:
                return 423, None, [("Min-Expires", str(limits.minimum))]
            until = now + min(seconds, limits.maximum)
            if seconds and len(contacts) == len(same) == 1 and same[0].contact == text and same[0].flow == source:
                same[0].instance, same[0].domain = instance, domain
                self._refresh(number, old, same[0], (call_id, sequence, until, user_agent))
                return None
            changed = [each for each in changed if each not in same]
            if seconds:
                changed.append(Binding(text, source, call_id, sequence, until, user_agent, instance, domain))
        self._replace(number, changed[-MAXIMUM_CONTACTS:])
        return None

    def _refresh(
        self, number: str, bindings: list[Binding], binding: Binding, values: tuple[str, int, float, str]
    ) -> None:
        """A phone that is where it was stays for longer: what nearly every REGISTER asks for."""
        binding.call_id, binding.sequence, binding.expires_at, binding.user_agent = values
        if bindings[-1] is not binding:
            bindings.remove(binding)
            bindings.append(binding)
        # A timer that comes too early sees that and is armed again; one that came too late would not do.
        if binding.timer is not None and binding.timer.at > binding.expires_at:
            binding.timer.cancel()
            self._arm(number, binding, self._clock.monotonic())
        if self.on_change is not None:
            self.on_change(number)

    def _seconds(self, contact: NameAddr, expires: int | None) -> int:
        """RFC 3261 10.2.1.1: the Contact's own parameter, then the header, then our own choice."""
        own = contact.params.get("expires")
        if own:
            return parse_seconds(own)
        return self.limits.maximum if expires is None else expires

    def _replace(self, number: str, bindings: list[Binding]) -> None:
        """Take new bindings for a user and arm their end."""
        kept = set(map(id, bindings))
        for binding in self._bindings.get(number, ()):
            if id(binding) not in kept:
                self._drop(number, binding)
        now = self._clock.monotonic()
        for binding in bindings:
            if binding.timer is None:
                numbers = self._sources.setdefault((binding.flow.remote_host, binding.flow.remote_port), {})
                numbers[number] = numbers.get(number, 0) + 1
                self._hosts[binding.flow.remote_host] += 1
                self._arm(number, binding, now)
        if bindings:
            self._bindings[number] = bindings
        else:
            self._bindings.pop(number, None)
        if self.on_change is not None:
            self.on_change(number)

    def _arm(self, number: str, binding: Binding, now: float) -> None:
        binding.timer = self._endpoint.schedule(binding.expires_at - now, lambda at: self._expired(number, binding, at))

    def _drop(self, number: str, binding: Binding) -> None:
        if binding.timer is not None:
            binding.timer.cancel()
            binding.timer = None
        place = (binding.flow.remote_host, binding.flow.remote_port)
        self._hosts[place[0]] -= 1
        if not self._hosts[place[0]]:
            del self._hosts[place[0]]
        numbers = self._sources.get(place, {})
        left = numbers.pop(number, 1) - 1
        if left > 0:
            numbers[number] = left
        if not numbers:
            self._sources.pop(place, None)

    def _expired(self, number: str, binding: Binding, now: float) -> None:
        if binding.expires_at > now:
            # It was refreshed since.
            self._arm(number, binding, now)
            return
        rest = [each for each in self._bindings.get(number, ()) if each is not binding]
        self._replace(number, rest)

    def flow_failed(self, flow: Flow) -> None:
        """A connection has ended.

        Behind NAT its phone cannot be called any more; it will notice and register again (RFC 5626 4.4). One that
        named the very address it was heard from can be connected to there, which the endpoint does.
        """
        if flow.transport == "udp":
            return
        for number in tuple(self._sources.get((flow.remote_host, flow.remote_port), ())):
            bindings = self._bindings.get(number, [])
            stay = [each for each in bindings if each.flow != flow or _host_of(each.contact) == flow.remote_host]
            if len(stay) < len(bindings):
                self._replace(number, stay)

    def restore(self, number: str, bindings: list[Binding]) -> None:
        """Take bindings that were there before the server was started, none of them armed; the oldest first."""
        if bindings:
            self._replace(number, bindings[-MAXIMUM_CONTACTS:])

    def forget(self, number: str) -> None:
        """Drop a user's bindings: the user was deleted, disabled or given a new password."""
        if number in self._bindings:
            self._replace(number, [])


def _host_of(contact: str) -> str:
    return Uri.parse(contact).host.strip("[]")


def _instance_of(contact: NameAddr) -> str:
    """The instance of a phone and the number of its way here; bounded, since it is kept."""
    instance = contact.params.get("+sip.instance")
    return f"{instance[:200]} {(contact.params.get('reg-id') or '')[:10]}" if instance else ""


def _same_place(binding: Binding, contact: str, source: Flow, instance: str) -> bool:
    """Whether a REGISTER renews this binding: it is of the same phone, or of the same Contact from the same host.

    A phone that says which it is has moved when it names another Contact (RFC 5626 6): the old one rings at nobody. Two
    phones behind different NATs may well give the same private Contact; they stay apart, and so do two that say that
    they are two. But where one is heard, or can be reached by the very address that it names, no other one is: a phone
    that was set up anew calls itself by another name there.
    """
    is_there = binding.contact == contact and binding.flow.remote_host == source.remote_host
    if instance and binding.instance and binding.instance != instance:
        return is_there and (binding.flow == source or _host_of(contact) == source.remote_host)
    return is_there or (binding.instance == instance != "")
