"""TCP and TLS in a simulated world: connections deliver everything in order, until they break or a peer is gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from simulation.world import DatagramWays, World

from app.hosts import DEFAULT_PORTS
from app.sip.flow import Flow, TransportName

CONNECT_TIMEOUT = 10.0
UNACKNOWLEDGED_TIMEOUT = 25.0
"""Seconds after which a connection to a host that says nothing any more is given up."""


@dataclass
class Connection:
    """One connection by its two ends, each as the flow of whoever sits there."""

    number: int
    maker: Flow
    taker: Flow
    is_open: bool = True
    arrives: dict[str, float] = field(default_factory=dict)
    """When the last thing that was sent to a host arrives: what follows comes later."""


class StreamWorld(World):
    """A world that has connections beside datagrams."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(seed)
        self.connections: dict[int, Connection] = {}
        self.failed: dict[str, Callable[[Flow, str], None]] = {}
        """Who wants to know, by host, that a flow has failed."""
        self._made = 0

    def connect(self, transport: TransportName, host: str, to_host: str, to_port: int) -> Flow:
        """A connection between two hosts: the one that there is, or a new one, which may well fail."""
        port = DEFAULT_PORTS[transport]
        wanted = (transport, host, to_host)
        for connection in self.connections.values():
            if connection.is_open:
                for end in (connection.maker, connection.taker):
                    is_wanted = (end.transport, end.local_host, end.remote_host) == wanted
                    if is_wanted and to_port in (end.remote_port, port):
                        return end
        self._made += 1
        number = self._made
        ephemeral = 30_000 + number % 30_000
        # Who connects names the port that it listens on, not the one that its stack has chosen.
        maker = Flow(transport, host, port, to_host, to_port, number)
        taker = Flow(transport, to_host, to_port, host, ephemeral, number)
        self.connections[number] = connection = Connection(number, maker, taker)
        if (to_host, to_port) not in self.receivers or to_host in self.dead:
            self.at(CONNECT_TIMEOUT, lambda: self.close(connection, "no answer"))
        return maker

    def close(self, connection: Connection, words: str = "the connection has ended") -> None:
        """End a connection: both ends hear of it, if they hear anything."""
        if not connection.is_open:
            return
        connection.is_open = False
        del self.connections[connection.number]
        for end in (connection.maker, connection.taker):
            tell = self.failed.get(end.local_host)
            if tell is not None and end.local_host not in self.dead:
                tell(end, words)

    def close_all(self, host: str) -> None:
        """Every connection of a host is gone."""
        for connection in list(self.connections.values()):
            if host in (connection.maker.local_host, connection.taker.local_host):
                self.close(connection)

    def send(self, flow: Flow, data: bytes) -> None:
        if not flow.connection:
            super().send(flow, data)
            return
        self.packets += 1
        if flow.local_host in self.dead:
            return
        connection = self.connections.get(flow.connection)
        if connection is None:
            tell = self.failed.get(flow.local_host)
            if tell is not None:
                self.at(0.0, lambda: tell(flow, "the connection has ended"))
            return
        if flow.remote_host in self.dead:
            self.at(UNACKNOWLEDGED_TIMEOUT, lambda: self._give_up(connection, flow.remote_host))
            return
        # What is lost is sent again by the stack, and what follows waits for it.
        delay = self.weather.delay + self.random.random() * self.weather.jitter
        if self.random.random() < self.weather.loss:
            delay += 0.2 + self.random.random()
        at = max(self.now + delay, connection.arrives.get(flow.remote_host, 0.0) + 1e-6)
        connection.arrives[flow.remote_host] = at
        self.deadlines.schedule(at, lambda _now: self._deliver(connection, flow, data))

    def _give_up(self, connection: Connection, host: str) -> None:
        if host in self.dead:
            self.close(connection, "no answer")

    def _deliver(self, connection: Connection, flow: Flow, data: bytes) -> None:
        if connection.is_open and flow.remote_host not in self.dead:
            back = connection.taker if connection.maker == flow else connection.maker
            known = (flow.remote_host, flow.remote_port) in self.receivers
            port = flow.remote_port if known else DEFAULT_PORTS[flow.transport]
            receiver = self.receivers.get((flow.remote_host, port))
            if receiver is not None:
                receiver(data, back)


class StreamWays(DatagramWays):
    """The transports of a switch in a world with connections, which listens on the standard ports."""

    def __init__(self, world: StreamWorld, host: str, port: int) -> None:
        super().__init__(host, port)
        self._world = world

    def flow_to(
        self,
        transport: TransportName,
        host: str,
        port: int,
        tls_verify: bool = True,
        server_name: str | None = None,
    ) -> Flow | None:
        if transport == "udp":
            return super().flow_to(transport, host, port, tls_verify, server_name)
        return self._world.connect(transport, self._host, host, port)

    def is_open(self, flow: Flow) -> bool:
        return flow.connection in self._world.connections

    def flow_again(self, flow: Flow, port: int) -> Flow | None:
        return self._world.connect(flow.transport, self._host, flow.remote_host, port)
