"""Where the packets for a trunk, a line or a phone go: the flows to each of its addresses, known without waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from app.hosts import DEFAULT_PORTS, is_address
from app.records import Configuration, ExternalLine, SipTrunk, Transport
from app.records.trunks import OutgoingFields
from app.sip.flow import Flow, TransportName

MAXIMUM_WAYS = 8
"""So many addresses of one server are tried in one call; all of them are known as the server's."""
DNS_TROUBLE = "DNS: "
"""What the reason begins with where a server cannot be reached because its name has no address."""
MISSED_FOR = 60.0
"""Seconds for which an address that did not answer is tried after the others of its server."""


class Place(NamedTuple):
    """One address of a server, in the order of RFC 3263."""

    transport: TransportName
    host: str
    port: int


class Ways(Protocol):
    """The transports, as far as finding a way is concerned."""

    def flow_to(
        self, transport: TransportName, host: str, port: int, tls_verify: bool = True, server_name: str | None = None
    ) -> Flow | None:
        """The flow to an address; None when this server has no listener of that kind."""

    def is_open(self, flow: Flow) -> bool:
        """Whether the connection of a TCP or TLS flow is up or coming up."""

    def flow_again(self, flow: Flow, port: int) -> Flow | None:
        """A connection to the peer of a TCP or TLS flow whose own is gone; `port` where it was not made here."""

    def keep_alive(self, flow: Flow, interval: float | None) -> None:
        """Keep a flow's NAT binding or connection alive every so many seconds; None ends it (RFC 5626 3.5.1)."""

    def know(self, flow: Flow) -> None:
        """The peer of a flow is known: a connection of it does not have to make room for a stranger's."""

    def add_alias(self, flow: Flow, port: int) -> None:
        """Use a flow's connection for requests to another port of the same peer (RFC 5923)."""


Lookup = Callable[[str, int | None, TransportName, Callable[[tuple[Place, ...], str], bool]], None]
"""`lookup(name, port, transport, done)`: `done(places, error)` is called now or later, and again after each refresh
for as long as it returns True."""


ServerKey = tuple[str, int, Transport]
"""A record's server address, port and transport."""


class _Server:
    """What is known of one server."""

    __slots__ = ("error", "is_awaited", "missed", "name", "places")

    def __init__(self, name: str | None) -> None:
        self.name = name
        """Its host name, None where the record has its address."""
        self.places: tuple[Place, ...] = ()
        self.error = ""
        """Why its places are not known, or not known anew."""
        self.is_awaited = False
        """Whether its name is being looked up for the first time."""
        self.missed: dict[tuple[str, int], float] = {}
        """When which of several places did not answer (monotonic), the one that was missed last at the end."""


class LookedUp(NamedTuple):
    """What became of looking up a host name."""

    name: str
    addresses: tuple[str, ...]
    """Every address that it has."""
    error: str
    """Why it was not found; blank when it was."""


class Destinations:
    """The places of every server that the configuration names. `on_change()` is called when DNS says something new.

    Calls, registrations and probes share what they learn of a server: an address that did not answer one of them is
    tried last by all for a minute.
    """

    def __init__(
        self, ways: Ways, lookup: Lookup | None, on_change: Callable[[], None], monotonic: Callable[[], float]
    ) -> None:
        self._ways = ways
        self._monotonic = monotonic
        self._lookup = lookup
        self._on_change = on_change
        self._servers: dict[ServerKey, _Server] = {}

    def configure(self, configuration: Configuration) -> None:
        """Know every server of a configuration; names that are new are looked up."""
        wanted: dict[ServerKey, None] = {}
        records: list[OutgoingFields] = [*configuration.records(SipTrunk), *configuration.records(ExternalLine)]
        for record in records:
            wanted[_key(record)] = None
        for key in [key for key in self._servers if key not in wanted]:
            del self._servers[key]
        for key in wanted:
            if key not in self._servers:
                self._begin(key)

    def _begin(self, key: ServerKey) -> None:
        host, port, transport = key
        if is_address(host):
            server = self._servers[key] = _Server(None)
            server.places = (Place(transport.value, host, port),)
            return
        server = self._servers[key] = _Server(host)
        server.error = f"the name {host} is being looked up"
        if self._lookup is None:
            server.error = f"names such as {host} cannot be looked up here"
            return
        server.is_awaited = True
        self._look_up(key, server, self._found)

    def awaits(self, record: OutgoingFields) -> bool:
        """Whether the name of a record's server is being looked up for the first time: nothing is wrong with it yet."""
        server = self._servers.get(_key(record))
        return server is not None and server.is_awaited

    def _look_up(
        self, key: ServerKey, server: _Server, found: Callable[[ServerKey, _Server, tuple[Place, ...], str], bool]
    ) -> None:
        host, port, transport = key
        given = None if port == DEFAULT_PORTS[transport] else port
        if self._lookup is not None:
            self._lookup(host, given, transport.value, lambda places, error: found(key, server, places, error))

    def refresh(self, done: Callable[[tuple[LookedUp, ...]], None]) -> None:
        """Look up every name now, beside the lookups that are planned; `done` is told once all have been answered."""
        keys = [key for key, server in self._servers.items() if server.name is not None] if self._lookup else []
        answers: dict[ServerKey, LookedUp] = {}

        def found(key: ServerKey, server: _Server, places: tuple[Place, ...], error: str) -> bool:
            self._found(key, server, places, error)
            answers[key] = LookedUp(key[0], tuple(dict.fromkeys(place.host for place in places)), error)
            if len(answers) == len(keys):
                done(tuple(answers[each] for each in keys))
            # It is looked up again when it is due, as before: not once more because of this.
            return False

        if not keys:
            done(())
        for key in keys:
            self._look_up(key, self._servers[key], found)

    def _found(self, key: ServerKey, server: _Server, places: tuple[Place, ...], error: str) -> bool:
        if self._servers.get(key) is not server:
            # The record is gone, or came back meanwhile and is looked up by itself.
            return False
        first, server.is_awaited = server.is_awaited, False
        if places:
            server.error = ""
            # Servers of one priority come in another order each time, which is no news to anybody but the next call.
            new = frozenset(places) != frozenset(server.places)
            server.places = places
            if new:
                self._on_change()
        else:
            # What was known stays in use: an old address is better than none.
            server.error = f"{DNS_TROUBLE}{error}"
            if first:
                # Whoever waits for the address hears at once that there is none.
                self._on_change()
        return True

    def addresses_of(self, name: str) -> tuple[str, ...]:
        """Every address that a host name of the configuration has now."""
        return tuple(
            dict.fromkeys(
                place.host for key, server in self._servers.items() if key[0] == name for place in server.places
            )
        )

    def ways_to(self, record: OutgoingFields) -> tuple[Flow, ...] | str:
        """The flows to the server's addresses in the order in which they are to be tried, or in words why none is."""
        server = self._servers.get(_key(record))
        if server is None or not server.places:
            return (server.error if server is not None else "") or "its address is not known"
        places = server.places if len(server.places) == 1 else self._ordered(server)
        flow_to = self._ways.flow_to
        flows = [flow_to(place.transport, place.host, place.port, record.tls_verify, server.name) for place in places]
        ways = tuple(flow for flow in flows if flow is not None)
        return ways or f"this server does not listen for {record.transport.upper()} towards it"

    def _ordered(self, server: _Server) -> tuple[Place, ...]:
        """As DNS says, but those that did not answer lately at the end, the longest missed of them first."""
        missed = server.missed
        if missed:
            now = self._monotonic()
            for place in [place for place, at in missed.items() if at + MISSED_FOR <= now]:
                del missed[place]
        if not missed:
            return server.places[:MAXIMUM_WAYS]
        late = list(missed)
        order = {place: late.index(place[1:]) if place[1:] in missed else -1 for place in server.places}
        return tuple(sorted(server.places, key=order.__getitem__)[:MAXIMUM_WAYS])

    def missed(self, record: OutgoingFields, flow: Flow) -> bool:
        """An address of the server did not answer; whether there is another one that was not missed lately."""
        server = self._servers.get(_key(record))
        if server is None or len(server.places) < 2:
            return False
        key = flow.remote_host, flow.remote_port
        server.missed.pop(key, None)
        if len(server.missed) >= 2 * MAXIMUM_WAYS:
            del server.missed[next(iter(server.missed))]
        server.missed[key] = self._monotonic()
        first = self._ordered(server)[0]
        return (first.host, first.port) not in server.missed

    def heard(self, record: OutgoingFields, flow: Flow) -> None:
        """An address of the server answered."""
        server = self._servers.get(_key(record))
        if server is not None and server.missed:
            server.missed.pop((flow.remote_host, flow.remote_port), None)

    def count(self, record: OutgoingFields) -> int:
        """How many addresses of the server are tried."""
        server = self._servers.get(_key(record))
        return min(len(server.places), MAXIMUM_WAYS) if server is not None else 0


def _key(record: OutgoingFields) -> ServerKey:
    return record.server_address, record.server_port, record.transport
