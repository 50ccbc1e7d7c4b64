"""What of calls to a new trunk or line is encrypted, and what the other side may refuse for that, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.hosts import DEFAULT_PORTS
from app.records import Transport

TLS_PORT, PLAIN_PORT = DEFAULT_PORTS[Transport.TLS], DEFAULT_PORTS[Transport.UDP]
PLAIN = (
    "Neither the calls nor their audio are encrypted on the way. A side that asks for encrypted audio (SRTP) mostly "
    "wants TLS, too, and refuses calls without them with 488."
)
ENCRYPTED = (
    "The calls are encrypted on the way, their audio only where the phones offer that (SRTP): it passes through this "
    "server as it is. A side that insists on SRTP refuses other phones with 488; one that has none refuses phones that "
    "insist on it."
)


def encryption_words(peer: Mapping[str, Any]) -> str:
    """What the transport means for calls and audio; first whether the port is that of another transport."""
    is_encrypted = peer.get("transport") == Transport.TLS
    port = peer.get("server_port")
    if is_encrypted and port == PLAIN_PORT:
        return f"Port {PLAIN_PORT} is mostly that of UDP and TCP, {TLS_PORT} that of TLS. {ENCRYPTED}"
    if not is_encrypted and port == TLS_PORT:
        return f"Port {TLS_PORT} is mostly that of TLS, {PLAIN_PORT} that of UDP and TCP. {PLAIN}"
    return ENCRYPTED if is_encrypted else PLAIN
