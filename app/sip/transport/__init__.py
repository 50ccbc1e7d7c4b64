"""The sockets of SIP: UDP, TCP and TLS listeners and connections behind `Transports`."""

from app.sip.transport.certificates import (
    CertificateDescription,
    CertificateError,
    TlsSettings,
    describe_certificate,
    self_made_certificate,
)
from app.sip.transport.connections import ConnectionCounts
from app.sip.transport.listening import (
    ListenAddress,
    ListenError,
    ListenerState,
    ListenerStatus,
    TransportError,
    TransportLimits,
)
from app.sip.transport.transports import Transports
from app.sip.transport.udp import UdpCounts

__all__ = [
    "CertificateDescription",
    "CertificateError",
    "ConnectionCounts",
    "ListenAddress",
    "ListenError",
    "ListenerState",
    "ListenerStatus",
    "TlsSettings",
    "TransportError",
    "TransportLimits",
    "Transports",
    "UdpCounts",
    "describe_certificate",
    "self_made_certificate",
]
