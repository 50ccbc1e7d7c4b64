"""Where the server shall listen: as the system record says, or the command line in its place, and how that is tried."""

from __future__ import annotations

import logging
from pathlib import Path

from app.hosts import WILDCARDS
from app.records import System
from app.sip.transport.certificates import CertificateError, TlsSettings
from app.sip.transport.listening import ListenAddress, ListenError, address_is_here
from app.sip.transport.transports import Transports

_log = logging.getLogger(__name__)


class ListeningPlace:
    """Reads from a system record where the server shall listen, and has the transports listen there."""

    def __init__(self, data_directory: Path, given: tuple[str, int] | None) -> None:
        """`given` is an address and port for UDP and TCP in place of the record's; port 0 is any that is free."""
        self._data_directory = data_directory
        self._given = given
        self.tls_trouble = ""
        """Why the server does without SIP over TLS that the record asks for, in words; blank where it does not."""

    def meant(self, system: System) -> System:
        """The record with what was given in place of its own."""
        if self._given is None:
            return system
        host, port = self._given
        return system.model_copy(update={"sip_address": host, "sip_udp_port": port, "sip_tcp_port": port})

    @staticmethod
    def differs(first: System, second: System) -> bool:
        """Whether two records say anything different of where to listen, or with which certificate."""
        return _words_on_listening(first) != _words_on_listening(second)

    def own_addresses(self, system: System) -> tuple[str, ...]:
        """The addresses that are listened on by name; none where the server listens on all."""
        host = self.meant(system).sip_address
        return () if host in WILDCARDS else (host,)

    def is_here(self, system: System) -> bool:
        """Whether this machine has the address now."""
        return address_is_here(self.meant(system).sip_address)

    async def listen(self, transports: Transports, system: System) -> None:
        """Listen there; where only TLS fails, without it (`tls_trouble`).

        Raises ListenError; the transports listen where they did before then.
        """
        self.tls_trouble = ""
        meant = self.meant(system)
        # A socket has one family: every address of both takes two.
        hosts = ("::", "0.0.0.0") if meant.sip_address == "::" else (meant.sip_address,)
        plain: list[ListenAddress] = []
        if meant.sip_udp_port or self._given is not None:
            plain += [ListenAddress("udp", host, meant.sip_udp_port) for host in hosts]
        if meant.sip_tcp_port or self._given is not None:
            plain += [ListenAddress("tcp", host, meant.sip_tcp_port) for host in hosts]
        if meant.sip_tls_port:
            tls = [ListenAddress("tls", host, meant.sip_tls_port) for host in hosts]
            try:
                await transports.listen([*plain, *tls], self._tls_settings(system))
                return
            except (ListenError, CertificateError) as error:
                if isinstance(error, ListenError) and error.address.transport != "tls":
                    raise
                self.tls_trouble = f"SIP over TLS is off: {error}"
                _log.warning("%s", self.tls_trouble)
        await transports.listen(plain, None)

    def _tls_settings(self, system: System) -> TlsSettings:
        return TlsSettings(
            data_folder=self._data_directory,
            certificate=Path(system.tls_certificate) if system.tls_certificate else None,
            private_key=Path(system.tls_private_key) if system.tls_private_key else None,
            domain=system.domain,
            addresses=self.own_addresses(system),
        )


def _words_on_listening(system: System) -> tuple[object, ...]:
    return (
        system.sip_address,
        system.sip_udp_port,
        system.sip_tcp_port,
        system.sip_tls_port,
        system.tls_certificate,
        system.tls_private_key,
    )
