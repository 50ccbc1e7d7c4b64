"""The resolver: looks SIP servers up in the DNS in a thread of its own, and remembers what it found."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, TypeVar

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from app.errors import UserFacingError
from app.hosts import DEFAULT_PORTS
from app.sip.flow import TransportName
from app.sip.locating import (
    ADDRESS_TYPES,
    SUPPORTED,
    Answer,
    Located,
    Naptr,
    Outcome,
    Question,
    RecordType,
    Srv,
    Target,
    locate,
    located_literally,
)

log = logging.getLogger(__name__)

T = TypeVar("T")
LocatedCallback = Callable[[Located], None]
_Key = tuple[str, int | None, TransportName | None]

NAMESERVERS_VARIABLE = "TRUNKLINE_NAMESERVERS"
"""The environment variable that names DNS servers in place of the system's: `192.0.2.53, [2001:db8::53]:5353`."""
_DNS_PORT = 53
SHORTEST_TTL, LONGEST_TTL = 5.0, 3600.0
NEGATIVE_TTL = 30.0
"""Seconds for which "there is none" and "nobody answers" are remembered, and a failed refresh is not repeated."""
STALE_FOR = 86400.0
"""Seconds for which an old answer is used while no new one can be had (RFC 8767 suggests one to three days)."""
PATIENCE = 1.0
"""Seconds that a caller waits for a refresh before it gets the answer that has just expired."""
NAMES = 1000
"""Names that are remembered; the one that was not asked for the longest time is forgotten first."""
_LOOKUPS = 100
_WAITING_PER_NAME = 1000
_TRY_SECONDS, _LOOKUP_SECONDS, _LOCATE_SECONDS, _HOSTS_SECONDS = 1.5, 4.0, 10.0, 3.0
_SYSTEM_SETTINGS_GOOD_FOR = 60.0
_REFRESH_AFTER = 0.8
_HOSTS_THREADS = 4
_HOSTS_TTL = 60.0


@dataclass(slots=True)
class _Entry:
    """What is known of one name."""

    answer: Located | None = None
    good_until: float = 0.0
    refresh_at: float = 0.0
    succeeded_at: float = 0.0
    failing: bool = False
    """Whether the last refresh failed and `answer` is an old one."""
    asking: bool = False
    waiting: list[LocatedCallback] = field(default_factory=list)


def good_for(located: Located) -> float:
    """The seconds after which a name should be looked up again: its TTL within bounds, soon where something failed."""
    return NEGATIVE_TTL if located.is_poor else min(max(located.ttl, SHORTEST_TTL), LONGEST_TTL)


def read_nameservers(text: str) -> list[tuple[str, int]] | None:
    """Name servers as in NAMESERVERS_VARIABLE: addresses with or without a port; None for blank, the system's own.

    UserFacingError in words when it is anything else.
    """
    servers: list[tuple[str, int]] = []
    for item in text.replace(",", " ").split():
        host, port = item, str(_DNS_PORT)
        if item.startswith("["):
            host, _, port = item[1:].partition("]")
            port = port.removeprefix(":") or str(_DNS_PORT)
        elif item.count(":") == 1:
            host, _, port = item.partition(":")
        try:
            address = str(ip_address(host))
        except ValueError:
            address = ""
        if not address or not (port.isascii() and port.isdigit()) or not 1 <= int(port[:6]) <= 65535:
            raise UserFacingError(f"{NAMESERVERS_VARIABLE}: '{item}' is not a name server such as 192.0.2.53:53")
        servers.append((address, int(port)))
    return servers or None


class Resolver:
    """Finds the addresses of SIP servers. All methods are for the loop's thread, and callbacks come there too.

    An answer is used for its TTL, but for 5 seconds at least and an hour at most, and is refreshed in the background
    when it is asked for in the last fifth of that. When a refresh fails the old answer is used on for a day. A name
    that the DNS does not know, or that no name server answers for, is looked up by the system too (/etc/hosts).
    """

    def __init__(
        self,
        nameservers: Sequence[tuple[str, int]] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[], float] | None = None,
        supported: Sequence[TransportName] = SUPPORTED,
        address_types: Sequence[RecordType] = ADDRESS_TYPES,
    ) -> None:
        """`nameservers` are (address, port) pairs instead of the system's; `random` gives floats from 0 to 1."""
        self.on_addresses_changed: Callable[[str, frozenset[str]], None] | None = None
        """Called with a name and all its addresses whenever these change."""
        self._monotonic = monotonic
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._addresses: dict[str, dict[_Key, frozenset[str]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asking = 0
        self._worker = _Worker(
            nameservers, random or secrets.SystemRandom().random, tuple(supported), tuple(address_types)
        )

    def start(self) -> None:
        """Begin, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._worker.start()

    def stop(self) -> None:
        """End the thread; callbacks that are still waited for never come."""
        self._loop = None
        for entry in self._entries.values():
            entry.waiting.clear()
        self._worker.stop()

    def __len__(self) -> int:
        """How many names are remembered."""
        return len(self._entries)

    def resolve(self, name: str, port: int | None, transport: TransportName | None, callback: LocatedCallback) -> None:
        """Find where to send a request for a host name or address, port and transport; None where not given.

        `callback(located)` is called before this returns when the answer is known, and for an IP address always; else
        from the loop later. It is called exactly once, unless the resolver is stopped.
        """
        literal = located_literally(name, port, transport)
        if literal is not None:
            callback(literal)
            return
        key = (name.rstrip(".").lower(), port, transport)
        problem = "" if self._loop is not None else "the resolver is not running"
        problem = problem or _problem_of(key[0])
        if problem:
            callback(Located((), NEGATIVE_TTL, problem))
            return
        now = self._monotonic()
        entry = self._entries.get(key)
        if entry is None:
            entry = self._remember(key)
        self._entries.move_to_end(key)
        answer = entry.answer
        if answer is not None and (now < entry.good_until or entry.failing):
            if now >= entry.refresh_at:
                self._ask(key, entry)
            callback(answer)
            return
        if len(entry.waiting) >= _WAITING_PER_NAME or not self._ask(key, entry):
            callback(answer or Located((), 1.0, f"{name} cannot be looked up: too many names are being looked up"))
            return
        entry.waiting.append(callback)
        if answer is not None and answer.targets and len(entry.waiting) == 1 and self._loop is not None:
            self._loop.call_later(PATIENCE, self._patience_over, key, entry)

    def refresh(self) -> None:
        """Whatever is asked for next is looked up anew; an answer that fails then leaves the old one in use."""
        for entry in self._entries.values():
            entry.good_until = entry.refresh_at = 0.0
            entry.failing = False

    def addresses_of(self, name: str) -> frozenset[str]:
        """The last known addresses of a name, whatever port and transport they were looked up for."""
        known = self._addresses.get(name.rstrip(".").lower())
        return frozenset().union(*known.values()) if known else frozenset()

    # -- inside, in the loop's thread -------------------------------------------------------------------------------

    def _remember(self, key: _Key) -> _Entry:
        if len(self._entries) >= NAMES:
            for old, entry in self._entries.items():
                if not entry.asking:
                    del self._entries[old]
                    self._set_addresses(old, frozenset())
                    break
        entry = self._entries[key] = _Entry()
        return entry

    def _ask(self, key: _Key, entry: _Entry) -> bool:
        """Begin a lookup unless one goes on; False when there are too many."""
        if entry.asking:
            return True
        loop = self._loop
        if loop is None or self._asking >= _LOOKUPS:
            return False

        def done(located: Located) -> None:
            # In the worker's thread; the loop may have been closed meanwhile.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._answered, key, entry, located)

        entry.asking = True
        self._asking += 1
        self._worker.submit(key, done)
        return True

    def _patience_over(self, key: _Key, entry: _Entry) -> None:
        if entry.answer is not None and entry.waiting:
            log.debug("%s: the refresh takes long, the old answer is used", key[0])
            self._tell(entry, entry.answer)

    def _answered(self, key: _Key, entry: _Entry, located: Located) -> None:
        if self._loop is None:
            return
        self._asking -= 1
        entry.asking = False
        now = self._monotonic()
        old = entry.answer
        stale = old is not None and bool(old.targets) and now - entry.succeeded_at < STALE_FOR
        if located.uncertain and stale:
            if not entry.failing:
                log.info("%s cannot be looked up now, its last addresses are used on: %s", key[0], located.error)
            entry.failing = True
            entry.good_until = entry.refresh_at = now + NEGATIVE_TTL
        else:
            entry.failing = False
            entry.answer = located
            ttl = good_for(located)
            entry.good_until = now + ttl
            entry.refresh_at = now + ttl * (1.0 if located.is_poor else _REFRESH_AFTER)
            if located.targets:
                entry.succeeded_at = now
            if self._entries.get(key) is entry:
                self._set_addresses(key, located.addresses)
        if entry.answer is not None:
            self._tell(entry, entry.answer)

    def _tell(self, entry: _Entry, located: Located) -> None:
        waiting, entry.waiting = entry.waiting, []
        for callback in waiting:
            try:
                callback(located)
            except Exception:
                log.exception("What was to be done with a looked-up name failed")

    def _set_addresses(self, key: _Key, addresses: frozenset[str]) -> None:
        name = key[0]
        before = self.addresses_of(name)
        known = self._addresses.setdefault(name, {})
        if addresses:
            known[key] = addresses
        else:
            known.pop(key, None)
            if not known:
                del self._addresses[name]
        after = self.addresses_of(name)
        if after != before and self.on_addresses_changed is not None:
            self.on_addresses_changed(name, after)


def _problem_of(name: str) -> str:
    """Why this cannot be the name of a host, or nothing."""
    try:
        dns.name.from_text(name, idna_codec=dns.name.IDNA_2003)
    except (dns.exception.DNSException, UnicodeError, ValueError):
        return f"{name!r} is not a host name"
    return "" if name and not any(each.isspace() or ord(each) < 32 for each in name) else f"{name!r} is not a host name"


class _Worker:
    """The thread: a small loop of its own, so that a name server that is silent for one name delays no other."""

    def __init__(
        self,
        nameservers: Sequence[tuple[str, int]] | None,
        random: Callable[[], float],
        supported: tuple[TransportName, ...],
        address_types: tuple[RecordType, ...],
    ) -> None:
        self._nameservers = nameservers
        self._random = random
        self._supported = supported
        self._address_types = address_types
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._resolver_made = 0.0
        self._hosts_threads = 0

    def start(self) -> None:
        # Not the default loop of the platform: on Windows that one has no UDP that survives ICMP errors.
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="resolver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        loop, self._loop = self._loop, None
        thread, self._thread = self._thread, None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5.0)

    def submit(self, key: _Key, done: LocatedCallback) -> None:
        """Have `done(located)` called in this thread once."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin, key, done)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_forever()
            loop.run_until_complete(self._finish())
        finally:
            loop.close()

    async def _finish(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A turn in which the sockets of cancelled questions are closed.
        await asyncio.sleep(0)

    def _begin(self, key: _Key, done: LocatedCallback) -> None:
        task = asyncio.get_running_loop().create_task(self._find(key, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _find(self, key: _Key, done: LocatedCallback) -> None:
        name, port, transport = key
        try:
            async with asyncio.timeout(_LOCATE_SECONDS):
                located = await self._locate(name, port, transport)
        except TimeoutError:
            reason = f"the address of {name} could not be looked up within {_LOCATE_SECONDS:g} s"
            located = Located((), NEGATIVE_TTL, reason, uncertain=True)
        except Exception as error:
            log.exception("Looking up %s failed", name)
            located = Located(
                (), NEGATIVE_TTL, f"the address of {name} could not be looked up: {error}", uncertain=True
            )
        if not located.targets and located.offered:
            located = await self._from_hosts(name, port, transport) or located
        done(located)

    async def _locate(self, name: str, port: int | None, transport: TransportName | None) -> Located:
        answers: dict[Question, Answer] = {}
        resolver = self._current_resolver()
        while True:
            step = locate(name, port, transport, answers, self._random, self._supported, self._address_types)
            if isinstance(step, Located):
                return step
            found = await asyncio.gather(*(_look_up(resolver, question) for question in step))
            answers.update(zip(step, found, strict=True))

    def _current_resolver(self) -> dns.asyncresolver.Resolver | None:
        """With the system's settings of the last minute: they change when the machine changes its network."""
        now = time.monotonic()
        if self._resolver is None or (
            self._nameservers is None and now - self._resolver_made > _SYSTEM_SETTINGS_GOOD_FOR
        ):
            try:
                resolver = dns.asyncresolver.Resolver(configure=self._nameservers is None)
            except (dns.exception.DNSException, OSError) as error:
                log.info("The system's name servers are not known: %s", error)
                return None
            if self._nameservers is not None:
                resolver.nameservers = [dns.nameserver.Do53Nameserver(*each) for each in self._nameservers]
            resolver.timeout, resolver.lifetime = _TRY_SECONDS, _LOOKUP_SECONDS
            self._resolver, self._resolver_made = resolver, now
        return self._resolver

    async def _from_hosts(self, name: str, port: int | None, transport: TransportName | None) -> Located | None:
        """What the system itself says of a name, such as one in /etc/hosts.

        It cannot be interrupted, so that it gets threads that nobody waits for at the end, 4 at most.
        """
        if self._hosts_threads >= _HOSTS_THREADS:
            return None

        def look() -> list[str]:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
            return list(dict.fromkeys(str(each[4][0]) for each in found))

        self._hosts_threads += 1
        try:
            async with asyncio.timeout(_HOSTS_SECONDS):
                addresses = await _in_daemon_thread(look, self._hosts_thread_over)
        except (OSError, TimeoutError, UnicodeError):
            return None
        wanted = [address for address in addresses if _type_of(address) in self._address_types]
        chosen: TransportName = transport or "udp"
        targets = tuple(Target(chosen, address, port or DEFAULT_PORTS[chosen]) for address in wanted)
        return Located(targets, _HOSTS_TTL) if targets else None

    def _hosts_thread_over(self) -> None:
        self._hosts_threads -= 1


def _type_of(address: str) -> RecordType:
    return RecordType.AAAA if ":" in address else RecordType.A


async def _in_daemon_thread(function: Callable[[], T], over: Callable[[], None]) -> T:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        over()
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        problem: BaseException | None = None
        try:
            result = function()
        except Exception as error:
            problem = error
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, problem)

    threading.Thread(target=run, name="resolver hosts", daemon=True).start()
    return await future


async def _look_up(resolver: dns.asyncresolver.Resolver | None, question: Question) -> Answer:
    """One question to the name servers; never raises but for a bug or cancellation."""
    if resolver is None:
        return Answer(Outcome.FAILED, detail="this machine has no name server")
    try:
        name = dns.name.from_text(question.name, idna_codec=dns.name.IDNA_2003)
        kind = dns.rdatatype.from_text(question.type.value)
        answer = await resolver.resolve(name, kind, search=False)
    except dns.resolver.NXDOMAIN:
        return Answer(Outcome.NO_NAME)
    except dns.resolver.NoAnswer:
        return Answer(Outcome.NO_DATA)
    except dns.resolver.NoNameservers:
        return Answer(Outcome.FAILED, detail="the name servers refuse to answer")
    except dns.exception.Timeout:
        return Answer(Outcome.FAILED, detail="the name servers do not answer")
    except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
        return Answer(Outcome.FAILED, detail=str(error) or type(error).__name__)
    records = tuple(record for record in (_record(each) for each in answer) if record is not None)
    if not records:
        return Answer(Outcome.NO_DATA)
    ttl = min(answer.chaining_result.minimum_ttl, answer.rrset.ttl if answer.rrset is not None else 0)
    return Answer(Outcome.FOUND, records, float(ttl))  # type: ignore[arg-type]


def _record(data: Any) -> Naptr | Srv | str | None:
    if data.rdtype == dns.rdatatype.NAPTR:
        flags, service = data.flags.decode("ascii", "replace"), data.service.decode("ascii", "replace")
        return Naptr(data.order, data.preference, flags, service, data.replacement.to_text())
    if data.rdtype == dns.rdatatype.SRV:
        return Srv(data.priority, data.weight, data.port, data.target.to_text())
    if data.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
        return str(data.address)
    return None
