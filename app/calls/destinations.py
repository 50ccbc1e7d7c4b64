"""Where the packets for a trunk, a line or a phone go: the flows to each of its addresses, known without waiting."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import NamedTuple, Protocol

from app.records import Configuration, ExternalLine, SipTrunk, Transport
from app.records.trunks import OutgoingFields
from app.sip.flow import Flow, TransportName

DEFAULT_PORTS = {Transport.UDP: 5060, Transport.TCP: 5060, Transport.TLS: 5061}
MAXIMUM_WAYS = 8
"""So many addresses of one server are tried."""


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


Lookup = Callable[[str, int | None, TransportName, Callable[[tuple[Place, ...], str], bool]], None]
"""`lookup(name, port, transport, done)`: `done(places, error)` is called now or later, and again after each refresh
for as long as it returns True."""


ServerKey = tuple[str, int, Transport]
"""A record's server address, port and transport."""


class _Server:
    """What is known of one server."""

    __slots__ = ("error", "name", "places")

    def __init__(self, name: str | None) -> None:
        self.name = name
        """Its host name, None where the record has its address."""
        self.places: tuple[Place, ...] = ()
        self.error = ""
        """Why its places are not known, or not known anew."""


class Destinations:
    """The places of every server that the configuration names. `on_change()` is called when DNS says something new."""

    def __init__(self, ways: Ways, lookup: Lookup | None, on_change: Callable[[], None]) -> None:
        self._ways = ways
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
        if _is_address(host):
            server = self._servers[key] = _Server(None)
            server.places = (Place(transport.value, host, port),)
            return
        server = self._servers[key] = _Server(host)
        server.error = f"the name {host} is being looked up"
        if self._lookup is None:
            server.error = f"names such as {host} cannot be looked up here"
            return
        given = None if port == DEFAULT_PORTS[transport] else port
        self._lookup(host, given, transport.value, lambda places, error: self._found(key, places, error))

    def _found(self, key: ServerKey, places: tuple[Place, ...], error: str) -> bool:
        server = self._servers.get(key)
        if server is None:
            return False
        if places:
            server.error = ""
            if server.places != places:
                server.places = places[:MAXIMUM_WAYS]
                self._on_change()
        else:
            # What was known stays in use: an old address is better than none.
            server.error = f"DNS: {error}"
        return True

    def addresses_of(self, name: str) -> tuple[str, ...]:
        """Every address that a host name of the configuration has now."""
        return tuple(
            dict.fromkeys(
                place.host for key, server in self._servers.items() if key[0] == name for place in server.places
            )
        )

    def way_to(self, record: OutgoingFields, way: int) -> Flow | str:
        """The flow to the server's address number `way`, or in words why there is none."""
        server = self._servers.get(_key(record))
        if server is None or not server.places:
            return (server.error if server is not None else "") or "its address is not known"
        if way >= len(server.places):
            return "no further address"
        place = server.places[way]
        flow = self._ways.flow_to(place.transport, place.host, place.port, record.tls_verify, server.name)
        return flow if flow is not None else f"this server does not listen for {place.transport.upper()} towards it"


def _key(record: OutgoingFields) -> ServerKey:
    return record.server_address, record.server_port, record.transport


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
