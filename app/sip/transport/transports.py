"""The transports: every SIP socket of the engine behind one face that neither blocks nor raises when it sends."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.hosts import unbracketed
from app.sip.flow import Flow, TransportName
from app.sip.transport.certificates import CertificateError, TlsSettings, file_stamps, load_contexts
from app.sip.transport.connections import ConnectionCounts, ConnectionTable
from app.sip.transport.listening import (
    ListenAddress,
    ListenError,
    ListenerState,
    ListenerStatus,
    TransportError,
    TransportLimits,
    address_is_here,
    family_of,
)
from app.sip.transport.stream import StreamListener
from app.sip.transport.udp import Admit, ReceiveMode, UdpCounts, UdpListener

log = logging.getLogger(__name__)

_SWEEP_EVERY = 1.0
_LOOK_FOR_ADDRESS_EVERY = 5.0
_LOOK_FOR_CERTIFICATE_EVERY = 30.0
_FIRST_RETRY, _LONGEST_RETRY = 1.0, 5.0
_LOCAL_ADDRESS_GOOD_FOR = 10.0
_LOCAL_ADDRESSES = 2048
_REMEMBERED_CONNECTIONS = 8192
_PING = b"\r\n\r\n"


@dataclass(slots=True)
class _Kept:
    """A listener that is kept alive: when it fails it is opened again, later and later up to every 5 seconds."""

    wanted: ListenAddress
    listener: UdpListener | StreamListener
    state: ListenerState = ListenerState.LISTENING
    error: str = ""
    retry_at: float = 0.0
    retry_after: float = _FIRST_RETRY
    reopening: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def status(self) -> ListenerStatus:
        return ListenerStatus(self.listener.address, self.state, self.error)


class Transports:
    """All listeners and connections. Everything is called in the loop's thread, and calls back there.

    `on_messages` gets batches of (bytes, flow) in the order in which they came from each peer. `on_failure(flow,
    error)` tells that something sent on a flow did not go out, that ICMP said that it did not arrive, or that a stream
    connection ended; always by a call of its own from the loop, never from inside `send`. `admit(host, port, now)` is
    asked before anything else about every datagram, accepted connection and stream message (port 0 for the latter two).
    """

    def __init__(
        self,
        on_messages: Callable[[list[tuple[bytes, Flow]]], None],
        on_failure: Callable[[Flow, Exception], None],
        admit: Admit | None = None,
        limits: TransportLimits | None = None,
        receive_mode: ReceiveMode = "auto",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.on_listener_changed: Callable[[ListenerStatus], None] | None = None
        """Called whenever a listener comes up or goes down after the start."""
        self._on_messages = on_messages
        self._on_failure = on_failure
        self._admit = admit
        self._limits = limits if limits is not None else TransportLimits()
        self._receive_mode: ReceiveMode = receive_mode
        self._monotonic = monotonic
        self._connections = ConnectionTable(on_messages, on_failure, admit, self._limits, monotonic)
        self._kept: list[_Kept] = []
        self._udp_routes: dict[tuple[str, int], UdpListener | None] = {}
        self._local_addresses: dict[str, tuple[str, float]] = {}
        self._keep_alives: dict[Flow, tuple[float, float]] = {}
        self._made: dict[int, tuple[bool, str | None]] = {}
        """How the connections were made, by number, ended ones too: whether TLS was verified, and for which name."""
        self._timer: asyncio.TimerHandle | None = None
        self._look_for_addresses_at = 0.0
        self._look_for_certificate_at = 0.0
        self._tls: TlsSettings | None = None
        self._tls_stamps: tuple[object, ...] = ()

    # -- listeners ------------------------------------------------------------------------------------------------

    async def start(self, listeners: Sequence[ListenAddress], tls: TlsSettings | None) -> None:
        """Open the listeners, all or none.

        Raises ListenError, which names address, port and, where known, the program that has it, and CertificateError.
        """
        await self.listen(listeners, tls)

    async def listen(self, listeners: Sequence[ListenAddress], tls: TlsSettings | None) -> None:
        """Listen on exactly these from now on: what is new is opened, what is gone is closed, the rest is not touched.

        Connections of a closed listener live on. When this raises (as `start` does), everything is as before.
        """
        contexts = load_contexts(tls) if tls is not None else None
        if contexts is None and any(address.transport == "tls" for address in listeners):
            raise ListenError(
                next(address for address in listeners if address.transport == "tls"),
                "TLS needs a certificate: give the TLS settings.",
            )
        wanted = list(dict.fromkeys(listeners))
        going = [kept for kept in self._kept if kept.wanted not in wanted]
        staying = [kept for kept in self._kept if kept.wanted in wanted]
        known = {kept.wanted for kept in staying}
        new = [self._make(address) for address in wanted if address not in known]
        before_contexts, self._connections.contexts = self._connections.contexts, contexts
        # From all addresses to one of them, say: the old listener has to make way first.
        in_the_way = [kept for kept in going if any(_collide(kept.listener.address, other.wanted) for other in new)]
        for kept in in_the_way:
            kept.listener.close()
        try:
            for kept in new:
                await self._open(kept)
        except ListenError:
            for kept in new:
                kept.listener.close()
            self._connections.contexts = before_contexts
            for kept in in_the_way:
                await self._open_again(kept)
            raise
        self._tls = tls
        self._tls_stamps = file_stamps(tls) if tls is not None else ()
        for kept in going:
            self._discard(kept)
        self._kept = sorted(staying + new, key=lambda kept: wanted.index(kept.wanted))
        self._udp_routes.clear()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SWEEP_EVERY, self._tick)

    async def stop(self) -> None:
        """Close everything; what was written to connections is sent for up to a second. Nothing is called back."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for kept in self._kept:
            self._discard(kept)
        self._kept = []
        self._udp_routes.clear()
        self._keep_alives.clear()
        await self._connections.stop()

    @property
    def listening(self) -> list[ListenAddress]:
        """Where messages are received now, with the real ports."""
        return [kept.listener.address for kept in self._kept if kept.state is ListenerState.LISTENING]

    @property
    def listener_states(self) -> list[ListenerStatus]:
        """Every listener that is wanted, and how it is."""
        return [kept.status for kept in self._kept]

    @property
    def connection_counts(self) -> ConnectionCounts:
        """A snapshot of the counters of TCP and TLS."""
        return self._connections.counts

    @property
    def udp_counts(self) -> dict[ListenAddress, UdpCounts]:
        """A snapshot of the counters of each UDP listener."""
        return {
            kept.listener.address: kept.listener.counts for kept in self._kept if isinstance(kept.listener, UdpListener)
        }

    def queue_waiting(self) -> float:
        """Seconds that what is being dealt with now has waited to be read; 0 while the queues empty."""
        now = self._monotonic()
        waiting = self._connections.waiting(now)
        for kept in self._kept:
            if isinstance(kept.listener, UdpListener):
                waiting = max(waiting, kept.listener.waiting(now))
        return waiting

    # -- sending --------------------------------------------------------------------------------------------------

    def send(self, flow: Flow, data: bytes) -> None:
        """Send one message. Never blocks and never raises; a failure is told to on_failure."""
        if flow.transport != "udp":
            self._connections.send(flow, data)
            return
        local = (flow.local_host, flow.local_port)
        try:
            listener = self._udp_routes[local]
        except KeyError:
            listener = self._find_udp(flow)
        if listener is None:
            error = TransportError(f"{flow.source} cannot be reached: the listener is gone")
            asyncio.get_running_loop().call_soon(self._on_failure, flow, error)
        else:
            listener.send(flow, data)

    def flow_to(
        self,
        transport: TransportName,
        host: str,
        port: int,
        tls_verify: bool = True,
        server_name: str | None = None,
    ) -> Flow | None:
        """The flow by which to reach an IP address, from the listener that fits it best.

        None when no listener has this transport and address family; `no_flow_reason` says so in words. TCP and TLS use
        a connection with that peer again, or begin one: what is sent meanwhile waits (up to the write buffer's bound).
        The flow's local port is the listener's, which belongs in Via and Contact. With `tls_verify` the peer's
        certificate must be good and be for `server_name`, or else for the address.
        """
        host = unbracketed(host)
        kept = self._listener_for(transport, host)
        if kept is None:
            return None
        address = kept.listener.address
        local = self.local_address_towards(host) if address.is_wildcard else address.host
        flow = Flow(transport, local, address.port, host, port)
        if transport == "udp":
            return flow
        verified_name = (server_name or host) if transport == "tls" and tls_verify else None
        connection = self._connections.find(transport, host, port, verified_name)
        if connection is None:
            bind_to = None if address.is_wildcard else address.host
            connection = self._connections.connect(flow, bind_to, verified_name, server_name)
            if len(self._made) >= _REMEMBERED_CONNECTIONS:
                del self._made[next(iter(self._made))]
            self._made[connection.number] = (tls_verify, server_name)
        return connection.flow

    def is_open(self, flow: Flow) -> bool:
        """Whether the connection of a TCP or TLS flow is up or coming up."""
        return self._connections.is_open(flow)

    def flow_again(self, flow: Flow, port: int) -> Flow | None:
        """A connection to the peer of a TCP or TLS flow whose own is gone (RFC 3261 18.2.2, 18.3).

        One that was made here is made again, verified as before; one that was accepted leads to `port` of the peer.
        """
        made = self._made.get(flow.connection)
        if made is not None:
            return self.flow_to(flow.transport, flow.remote_host, flow.remote_port, *made)
        return self.flow_to(flow.transport, flow.remote_host, port, tls_verify=False)

    def no_flow_reason(self, transport: TransportName, host: str) -> str:
        """Why `flow_to` gives none, for a person to read; empty when it would give one."""
        family = family_of(unbracketed(host))
        if family is None:
            return f"{host!r} is not an IP address"
        if self._listener_for(transport, unbracketed(host)) is not None:
            return ""
        name = "IPv6" if family == socket.AF_INET6 else "IPv4"
        return f"there is no listener for {transport.upper()} over {name}: set one under Data / System"

    def local_address_towards(self, host: str) -> str:
        """Our address that the system would send from to reach an IP address; 0.0.0.0 or :: when there is no way.

        The answer is good for 10 seconds; up to 2,048 are kept.
        """
        known = self._local_addresses.get(host)
        if known is not None and self._monotonic() < known[1]:
            return known[0]
        return self.look_up_local_address(host)

    def look_up_local_address(self, host: str) -> str:
        """The same, asked of the system anew."""
        if len(self._local_addresses) >= _LOCAL_ADDRESSES:
            self._local_addresses.clear()
        address = local_address(host)
        self._local_addresses[host] = (address, self._monotonic() + _LOCAL_ADDRESS_GOOD_FOR)
        return address

    def keep_alive(self, flow: Flow, interval: float | None) -> None:
        """Keep NAT bindings and connections of a flow alive: CRLF CRLF about every `interval` seconds; None ends it.

        A stream peer that has answered such a ping once and then does not for 10 seconds is taken for dead (RFC 5626).
        """
        if flow.transport != "udp":
            self._connections.set_keep_alive(flow, interval)
        elif interval is None:
            self._keep_alives.pop(flow, None)
        elif flow in self._keep_alives or len(self._keep_alives) < self._limits.keep_alives:
            self._keep_alives[flow] = (interval, self._monotonic() + interval)

    def know(self, flow: Flow) -> None:
        """The peer of a TCP or TLS flow is known: its connection need not make room when strangers take up all."""
        self._connections.know(flow)

    def add_alias(self, flow: Flow, port: int) -> None:
        """Use this flow's connection for requests to another port of the same peer (RFC 5923).

        For a peer whose Via has the parameter `alias`; only to be called for a peer that is known.
        """
        self._connections.add_alias(flow, port)

    # -- once a second --------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Time out connections, send keep-alives, open failed listeners again. The loop does it every second."""
        self._connections.sweep(now)
        if now >= self._look_for_certificate_at:
            self._look_for_certificate_at = now + _LOOK_FOR_CERTIFICATE_EVERY
            self._look_for_certificate()
        for flow, (interval, due) in list(self._keep_alives.items()):
            if now >= due:
                self._keep_alives[flow] = (interval, now + interval)
                self.send(flow, _PING)
        look = now >= self._look_for_addresses_at
        if look:
            self._look_for_addresses_at = now + _LOOK_FOR_ADDRESS_EVERY
        for kept in self._kept:
            if kept.state is ListenerState.FAILED:
                if now >= kept.retry_at:
                    self._reopen(kept, now)
            elif look and not kept.listener.address.is_wildcard:
                self._look_for_address(kept, now)

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_SWEEP_EVERY, self._tick)
        self.sweep(self._monotonic())

    def _look_for_certificate(self) -> None:
        """Certificates are renewed every few weeks, in the same files: new connections get the new one."""
        if self._tls is None:
            return
        stamps = file_stamps(self._tls)
        if stamps == self._tls_stamps:
            return
        self._tls_stamps = stamps
        try:
            self._connections.contexts = load_contexts(self._tls)
        except CertificateError as error:
            # Perhaps one of two files is written already: the other one changes the stamps again.
            log.warning("The certificate was changed, and the one before stays in use: %s", error)
        else:
            log.info("The certificate was changed: new connections get the new one")

    def _look_for_address(self, kept: _Kept, now: float) -> None:
        """A socket whose address is taken from the machine gets no error, only silence: so look whether it is here."""
        here = address_is_here(kept.listener.address.host)
        if here and kept.state is ListenerState.ADDRESS_GONE:
            self._reopen(kept, now)
        elif not here and kept.state is ListenerState.LISTENING:
            host = kept.listener.address.host
            self._change(kept, ListenerState.ADDRESS_GONE, f"this machine has no address {host} at the moment")

    def _reopen(self, kept: _Kept, now: float) -> None:
        if kept.reopening is None or kept.reopening.done():
            kept.retry_at = now + kept.retry_after
            kept.retry_after = min(kept.retry_after * 2, _LONGEST_RETRY)
            kept.listener.close()
            kept.reopening = asyncio.get_running_loop().create_task(self._open_again(kept))

    async def _open_again(self, kept: _Kept) -> None:
        try:
            await self._open(kept)
        except ListenError as error:
            self._change(kept, ListenerState.FAILED, str(error))
        else:
            kept.retry_after = _FIRST_RETRY
            self._local_addresses.clear()
            self._change(kept, ListenerState.LISTENING, "")

    def _change(self, kept: _Kept, state: ListenerState, error: str) -> None:
        changed = kept.state is not state
        kept.state, kept.error = state, error
        if not changed:
            return
        if state is ListenerState.LISTENING:
            log.info("Listening again on %s", kept.listener.address)
        else:
            log.warning("%s does not receive: %s", kept.listener.address, error)
        if self.on_listener_changed is not None:
            self.on_listener_changed(kept.status)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _make(self, address: ListenAddress) -> _Kept:
        if address.transport != "udp":
            return _Kept(address, StreamListener(address, self._connections.make_accepted, self._limits))

        def on_dead(error: OSError) -> None:
            kept.retry_at = self._monotonic() + kept.retry_after
            self._change(kept, ListenerState.FAILED, f"the socket died: {error.strerror or error}")

        listener = UdpListener(
            address,
            self._on_messages,
            self._on_failure,
            self._admit,
            self._limits,
            self.local_address_towards,
            on_dead,
            self._receive_mode,
            self._monotonic,
        )
        kept = _Kept(address, listener)
        return kept

    @staticmethod
    async def _open(kept: _Kept) -> None:
        """Raises ListenError."""
        if isinstance(kept.listener, UdpListener):
            kept.listener.open()
        else:
            await kept.listener.open()

    @staticmethod
    def _discard(kept: _Kept) -> None:
        if kept.reopening is not None:
            kept.reopening.cancel()
        kept.listener.close()

    def _listener_for(self, transport: TransportName, host: str) -> _Kept | None:
        """Of the listeners of that transport and family: the one on the address that the system would send from, else
        one on all addresses, else the first."""
        family = family_of(host)
        fitting = [
            kept
            for kept in self._kept
            if kept.wanted.transport == transport and family_of(kept.wanted.host) == family and family is not None
        ]
        if len(fitting) > 1:
            local = self.local_address_towards(host)
            fitting.sort(key=lambda kept: (kept.wanted.host != local, not kept.wanted.is_wildcard))
        return fitting[0] if fitting else None

    def _find_udp(self, flow: Flow) -> UdpListener | None:
        """The listener that a UDP flow belongs to, kept for the next message."""
        family = family_of(flow.remote_host)
        found: UdpListener | None = None
        for kept in self._kept:
            address = kept.listener.address
            if not isinstance(kept.listener, UdpListener) or address.port != flow.local_port:
                continue
            if address.host == flow.local_host:
                found = kept.listener
                break
            if address.is_wildcard and family_of(address.host) == family:
                found = kept.listener
        if len(self._udp_routes) >= _LOCAL_ADDRESSES:
            self._udp_routes.clear()
        self._udp_routes[flow.local_host, flow.local_port] = found
        return found


def _collide(first: ListenAddress, second: ListenAddress) -> bool:
    """Whether the two cannot be listened on at the same time."""
    return (
        (first.transport == "udp") == (second.transport == "udp")
        and first.port == second.port
        and family_of(first.host) == family_of(second.host)
        and (first.host == second.host or first.is_wildcard or second.is_wildcard)
    )


def local_address(host: str) -> str:
    """Our address that the system would send from to reach an IP address; the wildcard when there is no way."""
    family = family_of(host)
    if family is None:
        return "0.0.0.0"
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            # Connecting a UDP socket sends nothing; it only makes the system choose the way.
            probe.connect((host, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return "::" if family == socket.AF_INET6 else "0.0.0.0"
