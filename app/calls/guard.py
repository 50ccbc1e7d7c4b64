"""The guard: decides before anything is read whether an address is listened to (lists, bans, message rates)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from app.calls.address_rules import AddressRules
from app.events import Ban
from app.hosts import format_host_port, network_of
from app.records import AddressAction, AddressList, Configuration

MAXIMUM_SOURCES = 50_000
"""So many addresses are remembered; the oldest is forgotten for a new one."""
MAXIMUM_BANS = 10_000
"""So many addresses are banned at once; the oldest ban ends for a new one."""
FAILURE_WINDOW = 60.0
"""Failures count for so many seconds."""
NUMBERS_OF_A_SCANNER = 10
"""A stranger that tries so many different numbers within the window is scanning."""
BURST_SECONDS = 2.0
"""An address may save up the messages of so many seconds."""
FLOOD_SECONDS = 3.0
"""A stranger that sends beyond its rate as much as so many seconds allow, without a pause, is cut off altogether."""
FLOOD_BAN_SECONDS = 60.0
"""How long; short, since whoever can forge an address could have it cut off."""
PHONE_RATE = 20.0
"""Messages per second of a registered phone that are read whatever else comes from its address by UDP."""
MAXIMUM_PHONES = 2000
"""So many phones of one address have that for themselves."""
VOUCHED_MESSAGES = 16.0
"""So many messages more may come from an address for each password that it showed."""
VOUCHED_SECONDS = 7200.0
"""For so long after a right password an address counts as one that phones are behind; they register more often."""
GUESSERS_BEHIND_AN_ADDRESS = 5
"""Where phones are, so many times the failures that ban one of them ban the address with all of them."""

SCANNERS = (
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sipcli",
    "sundayddr",
    "sip-scan",
    "sipscan",
    "sipptk",
    "sivus",
    "sipsak",
    "vaxsipuseragent",
    "pplsip",
    "iwar",
    "smap",
    "scanner",
)
"""What the User-Agent of well-known scanners holds, in lower case."""

_DIALLED = frozenset("+*#0123456789")
_EXEMPT, _DROPPED, _LIMITED = range(3)


class _Bucket:
    """Fills by time; each message takes one token."""

    __slots__ = ("at", "excess", "tokens")

    def __init__(self, rate: float, now: float) -> None:
        self.tokens = rate * BURST_SECONDS
        self.at = now
        self.excess = 0
        """Messages dropped for their rate since the address was quiet."""

    def take(self, rate: float, now: float) -> bool:
        """Take a token, if there is one; `rate` is tokens per second."""
        tokens = min(self.tokens + (now - self.at) * rate, rate * BURST_SECONDS)
        self.at = now
        if tokens < 1.0:
            self.tokens = tokens
            return False
        if self.excess and tokens > rate:
            self.excess = 0
        self.tokens = tokens - 1.0
        return True


class _Source:
    """One address, or all strange ones of one IPv6 network, which are one sender's to choose from."""

    __slots__ = (
        "banned_until",
        "datagrams",
        "failures",
        "name",
        "numbers",
        "phones",
        "streams",
        "treatment",
        "vouched_at",
    )

    def __init__(self, name: str, treatment: int, rate: float, now: float) -> None:
        self.name = name
        """The address, or `2001:db8:1:2::/64`: what a ban of it is called."""
        self.treatment = treatment
        self.datagrams = _Bucket(rate, now)
        """For what comes by UDP, from whomever: an address is easily forged."""
        self.streams = _Bucket(rate, now)
        """For what comes by connections, which nobody can make in another's name."""
        self.phones: dict[tuple[str, int], _Bucket] = {}
        """What phones that are registered by UDP have for themselves when the datagrams' bucket is empty."""
        self.banned_until = 0.0
        self.failures: deque[tuple[float, tuple[str, int]]] | None = None
        """When a wrong password came, and from which address and port."""
        self.numbers: dict[str, float] | None = None
        self.vouched_at = -VOUCHED_SECONDS
        """When it showed a right password last."""


class Phones(Protocol):
    """Where phones are registered from."""

    def has_phones(self, host: str) -> bool:
        """Whether anybody is registered from this address."""

    def is_source(self, host: str, port: int) -> bool:
        """Whether somebody is registered from this address and port."""


class Guard:
    """Pure: every time is an argument. `is_trusted(host)` says whose addresses are never limited or banned.

    Whoever forges an address can have a stranger's banned for what it seems to send. An address that phones are behind,
    because one is registered there or has shown its password, is only banned for what nobody can forge: wrong
    passwords, which answer a challenge that was sent there. A forged flood keeps neither its registered phones nor its
    connections from being heard.
    """

    def __init__(self, wall: Callable[[], float], on_change: Callable[[], None], phones: Phones) -> None:
        self._wall = wall
        self._on_change = on_change
        self._phones = phones
        self._is_trusted: Callable[[str], bool] = lambda _host: False
        self._sources: dict[str, _Source] = {}
        self._networks: dict[str, _Source] = {}
        """What the strange addresses of an IPv6 network share."""
        self._rules = AddressRules()
        self._bans: dict[str, tuple[Ban, float]] = {}
        self._barred: dict[tuple[str, int], str] = {}
        """Single phones of an address, with what their bans are kept under."""
        self._rate = 0.0
        self._ban_failures = 0
        self._ban_seconds = 0.0
        self.dropped = 0
        """Messages that were not read."""

    def configure(self, configuration: Configuration, is_trusted: Callable[[str], bool]) -> None:
        """Take a changed configuration; addresses that became trusted are listened to again."""
        system = configuration.system
        self._is_trusted = is_trusted
        self._rate = float(system.max_messages_per_second)
        self._ban_failures = system.ban_failures
        self._ban_seconds = float(system.ban_seconds)
        self._rules = AddressRules(configuration.records(AddressList))
        self._networks = _noticed(self._networks)
        noticed = _noticed(self._sources)
        self._sources.clear()
        lifted = False
        for host, source in noticed.items():
            treatment = self._treatment(host)
            if source.name != host:
                # What it shares with its neighbours stays theirs; with a treatment of its own it is remembered anew.
                if treatment == _LIMITED and self._networks.get(source.name) is source:
                    self._sources[host] = source
                continue
            source.treatment = treatment
            if treatment != _EXEMPT:
                self._sources[host] = source
            elif self._bans.pop(host, None) is not None:
                lifted = True
        for (host, port), name in tuple(self._barred.items()):
            if host not in self._sources:
                del self._barred[host, port], self._bans[name]
                lifted = True
        if lifted:
            self._on_change()

    def _treatment(self, host: str) -> int:
        entry = self._rules.entry_for(host)
        if entry is not None:
            return _EXEMPT if entry.action is AddressAction.ACCEPT else _DROPPED
        return _EXEMPT if self._is_trusted(host) else _LIMITED

    def admit(self, host: str, port: int, now: float) -> bool:
        """Whether a message from this address is read at all. Cheap: asked for every packet.

        `port`: where it was sent from by UDP; 0 for what came by a connection.
        """
        source = self._sources.get(host)
        if source is None:
            source = self._remember(host, now)
        treatment = source.treatment
        if treatment == _EXEMPT:
            return True
        if treatment == _DROPPED:
            self.dropped += 1
            return False
        if source.banned_until:
            if now < source.banned_until:
                self.dropped += 1
                return False
            self.lift(source.name)
        rate = self._rate
        if not rate:
            return True
        bucket = source.datagrams if port else source.streams
        if bucket.take(rate, now) or (port and self._phone_has_room(source, host, port, now)):
            return True
        self.dropped += 1
        bucket.excess += 1
        if bucket.excess > rate * FLOOD_SECONDS:
            self._cut_off(host, source, bucket, now)
        return False

    def _phone_has_room(self, source: _Source, host: str, port: int, now: float) -> bool:
        """Whether a datagram is of a registered phone, whose address floods, or seems to."""
        if not self._phones.is_source(host, port):
            return False
        rate = min(PHONE_RATE, self._rate)
        bucket = source.phones.get((host, port))
        if bucket is None:
            if len(source.phones) >= MAXIMUM_PHONES:
                source.phones.clear()
            bucket = source.phones[host, port] = _Bucket(rate, now)
        return bucket.take(rate, now)

    def _remember(self, host: str, now: float) -> _Source:
        treatment = self._treatment(host)
        # Where a phone is registered the address is its own; so are those that the lists or trust name.
        is_strange = treatment == _LIMITED and not self._phones.has_phones(host)
        name = network_of(host) if is_strange else host
        source = self._networks.get(name) if name != host else None
        if source is None:
            source = _Source(name, treatment, self._rate, now)
            if name != host:
                self._make_room(self._networks)
                self._networks[name] = source
        self._make_room(self._sources)
        self._sources[host] = source
        return source

    def _make_room(self, sources: dict[str, _Source]) -> None:
        while len(sources) >= MAXIMUM_SOURCES:
            oldest = next(iter(sources))
            entry = sources.pop(oldest)
            if oldest in self._bans:
                # A ban outlives the bound: it moves to the young end instead of being forgotten. There are fewer bans
                # than places, so that one that is none comes soon.
                sources[oldest] = entry

    def _cut_off(self, host: str, source: _Source, bucket: _Bucket, now: float) -> None:
        """A stranger floods: nothing more of it is read for a while. Where phones are, the rate alone is bounded."""
        bucket.excess = 0
        if self._ban_failures and not self._is_vouched(host, source, now):
            self._ban(source, f"flood: more than {self._rate:g} messages per second", now, FLOOD_BAN_SECONDS)

    def vouch(self, host: str, now: float) -> None:
        """The address has shown a right password: many phones may share it."""
        source = self._sources.get(host)
        if source is not None:
            source.vouched_at = now
            for bucket in (source.datagrams, source.streams):
                bucket.tokens = min(bucket.tokens + VOUCHED_MESSAGES, self._rate * BURST_SECONDS)

    def _is_vouched(self, host: str, source: _Source, now: float) -> bool:
        """Whether phones are behind the address."""
        return now - source.vouched_at < VOUCHED_SECONDS or self._phones.has_phones(host)

    def failed(self, host: str, port: int, reason: str, now: float) -> bool:
        """The address has shown a wrong password; True when that bans it.

        Where a right one came from not long ago there are phones behind one address, of which one has a wrong password:
        that one alone, known by its port, is banned. Whoever changes ports to go on guessing has the address banned.
        """
        limit = self._ban_failures
        if not limit:
            return False
        source = self._sources.get(host) or self._remember(host, now)
        if source.treatment != _LIMITED:
            return False
        failures = source.failures
        if failures is None:
            failures = source.failures = deque(maxlen=1000)
        while failures and failures[0][0] < now - FAILURE_WINDOW:
            failures.popleft()
        failures.append((now, (host, port)))
        if self._is_vouched(host, source, now) and len(failures) < min(limit * GUESSERS_BEHIND_AN_ADDRESS, 1000):
            count = sum(from_ == (host, port) for _at, from_ in failures)
            if count >= limit and (host, port) not in self._barred:
                self._bar(host, port, f"{count} times {reason} within a minute, from this phone alone", now)
            return False
        if len(failures) < limit:
            return False
        self._ban(source, f"{len(failures)} times {reason} within a minute", now)
        return True

    def _bar(self, host: str, port: int, reason: str, now: float) -> None:
        """Ban one phone of an address."""
        name = format_host_port(host, port)
        self._barred[host, port] = name
        self._list(Ban(name, reason, self._wall(), self._wall() + self._ban_seconds), now + self._ban_seconds)

    def bars(self, host: str, port: int) -> bool:
        """Whether this one phone of an address is banned: nothing that it begins is answered."""
        return bool(self._barred) and (host, port) in self._barred

    def scans(self, host: str, user_agent: str, now: float) -> bool:
        """Whether a stranger's program is a well-known scanner; that bans it where no phones are."""
        agent = user_agent.lower()
        if not self._ban_failures or not any(name in agent for name in SCANNERS):
            return False
        source = self._sources.get(host) or self._remember(host, now)
        if source.treatment != _LIMITED:
            return False
        if not source.banned_until and not self._is_vouched(host, source, now):
            self._ban(source, f"scanner: User-Agent {user_agent[:40]}", now)
        return True

    def strange(self, host: str, called_number: str, user_agent: str, now: float) -> bool:
        """A stranger was turned away; True when it is a scanner and that bans it.

        Only what can be dialled counts as a number: who searches a way into the telephone network tries those.
        """
        if self.scans(host, user_agent, now):
            return True
        if not self._ban_failures:
            return False
        source = self._sources.get(host) or self._remember(host, now)
        if source.treatment != _LIMITED or source.banned_until or self._is_vouched(host, source, now):
            return False
        if not _DIALLED.issuperset(called_number):
            return False
        numbers = source.numbers
        if numbers is None:
            numbers = source.numbers = {}
        for number in [number for number, at in numbers.items() if at < now - FAILURE_WINDOW]:
            del numbers[number]
        numbers[called_number[:32]] = now
        if len(numbers) < NUMBERS_OF_A_SCANNER:
            return False
        self._ban(source, f"scanner: tried {len(numbers)} numbers within a minute", now)
        return True

    def _ban(self, source: _Source, reason: str, now: float, seconds: float = 0.0) -> None:
        seconds = seconds or self._ban_seconds
        source.banned_until = now + seconds
        source.failures = None
        source.numbers = None
        wall = self._wall()
        self._list(Ban(source.name, reason, wall, wall + seconds), source.banned_until)

    def _list(self, ban: Ban, until: float) -> None:
        if len(self._bans) >= MAXIMUM_BANS:
            self.lift(next(iter(self._bans)))
        self._bans[ban.address] = (ban, until)
        self._on_change()

    def clock_set(self, seconds: float) -> None:
        """The clock on the wall was set by so much: bans last as long as before and show it."""
        for host, (ban, until) in self._bans.items():
            self._bans[host] = (replace(ban, since=ban.since + seconds, until=ban.until + seconds), until)
        if self._bans:
            self._on_change()

    def lift(self, host: str) -> None:
        """End a ban, of an address, an IPv6 network or one phone as it stands in the list."""
        for (address, port), name in tuple(self._barred.items()):
            if name == host:
                del self._barred[address, port]
                failing = self._sources.get(address)
                if failing is not None and failing.failures:
                    kept = [failure for failure in failing.failures if failure[1] != (address, port)]
                    failing.failures = deque(kept, maxlen=1000)
        source = self._networks.get(host) or self._sources.get(host)
        if source is not None:
            source.banned_until = 0.0
            source.failures = None
        if self._bans.pop(host, None) is not None:
            self._on_change()

    def expire(self, now: float) -> None:
        """End the bans whose time is over."""
        for host in [host for host, (_, until) in self._bans.items() if until <= now]:
            self.lift(host)

    def bans(self) -> tuple[Ban, ...]:
        """The addresses and networks that are banned now, newest first."""
        return tuple(ban for ban, _ in reversed(self._bans.values()))


def _noticed(sources: dict[str, _Source]) -> dict[str, _Source]:
    """Who was noticed stays so: a change of the configuration is no pardon."""
    return {
        name: source
        for name, source in sources.items()
        if source.banned_until or source.failures or source.numbers or source.vouched_at >= 0.0
    }
