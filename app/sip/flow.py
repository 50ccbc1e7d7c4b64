"""The flow: which pair of addresses, over which transport, a SIP message came on or leaves by."""

from __future__ import annotations

from typing import Literal, NamedTuple

from app.hosts import format_host_port

TransportName = Literal["udp", "tcp", "tls"]


class Flow(NamedTuple):
    """One way between this server and a peer (RFC 5626 calls it a flow); hosts are bare addresses without brackets."""

    transport: TransportName
    """How the message travels: udp, tcp or tls."""
    local_host: str
    """Our own address on this way."""
    local_port: int
    """Our own port on this way."""
    remote_host: str
    """The peer's address."""
    remote_port: int
    """The peer's port."""
    connection: int = 0
    """The number of the stream connection, 0 for datagrams."""

    @property
    def is_reliable(self) -> bool:
        """Whether the transport itself repeats what was lost (RFC 3261 17: no retransmission timers are needed)."""
        return self.transport != "udp"

    @property
    def source(self) -> str:
        """The peer in the notation of logs and tables, `udp:192.0.2.1:5060` (IPv6 in brackets)."""
        return f"{self.transport}:{format_host_port(self.remote_host, self.remote_port)}"
