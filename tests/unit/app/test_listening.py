"""Where the server listens by its record, and where by the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.listening import ListeningPlace
from app.records import System
from app.sip.transport.certificates import CertificateError, TlsSettings
from app.sip.transport.listening import ListenAddress, ListenError


class Asked:
    """Transports that only note where they shall listen, and fail where they are told to."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked: list[tuple[list[str], TlsSettings | None]] = []

    async def listen(self, addresses: Sequence[ListenAddress], tls: TlsSettings | None) -> None:
        self.asked.append(([str(address) for address in addresses], tls))
        if self.failures:
            raise self.failures.pop(0)


def listen(place: ListeningPlace, system: System, *failures: Exception) -> list[tuple[list[str], TlsSettings | None]]:
    transports = Asked(*failures)
    asyncio.run(place.listen(transports, system))  # type: ignore[arg-type]
    return transports.asked


def test_the_record_says_where() -> None:
    place = ListeningPlace(Path("data"), None)
    system = System(sip_address="192.0.2.1", sip_udp_port=5070, sip_tcp_port=0, sip_tls_port=0)
    assert place.meant(system) is system
    assert place.own_addresses(system) == ("192.0.2.1",)
    assert listen(place, system) == [(["udp:192.0.2.1:5070"], None)]


def test_every_address_of_both_families_takes_two_sockets_each() -> None:
    place = ListeningPlace(Path("data"), None)
    system = System(sip_address="::")
    assert place.own_addresses(system) == ()
    ((addresses, tls),) = listen(place, system)
    assert addresses == [
        "udp:[::]:5060",
        "udp:0.0.0.0:5060",
        "tcp:[::]:5060",
        "tcp:0.0.0.0:5060",
        "tls:[::]:5061",
        "tls:0.0.0.0:5061",
    ]
    assert tls is not None
    assert tls.addresses == ()


def test_the_command_line_stands_in_place_of_the_record() -> None:
    place = ListeningPlace(Path("data"), ("127.0.0.1", 0))
    system = System(sip_address="192.0.2.1", sip_udp_port=5070, sip_tcp_port=0)
    assert place.own_addresses(system) == ("127.0.0.1",)
    assert place.is_here(system)
    ((addresses, tls),) = listen(place, system)
    assert addresses == ["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "tls:127.0.0.1:5061"]
    assert tls is not None
    assert tls.addresses == ("127.0.0.1",)


@pytest.mark.expects_log("SIP over TLS is off")
@pytest.mark.parametrize(
    "failure",
    [ListenError(ListenAddress("tls", "192.0.2.1", 5061), "the port is taken"), CertificateError("no key")],
    ids=["port", "certificate"],
)
def test_without_tls_the_rest_goes_on_and_says_so(failure: Exception) -> None:
    place = ListeningPlace(Path("data"), None)
    system = System(sip_address="192.0.2.1")
    plain = ["udp:192.0.2.1:5060", "tcp:192.0.2.1:5060"]
    assert [addresses for addresses, _tls in listen(place, system, failure)] == [[*plain, "tls:192.0.2.1:5061"], plain]
    assert place.tls_trouble == f"SIP over TLS is off: {failure}"
    listen(place, system)
    assert place.tls_trouble == ""


def test_where_the_rest_fails_nothing_is_tried_without_tls() -> None:
    place = ListeningPlace(Path("data"), None)
    failure = ListenError(ListenAddress("udp", "192.0.2.1", 5060), "the port is taken")
    with pytest.raises(ListenError):
        listen(place, System(sip_address="192.0.2.1"), failure)
    assert place.tls_trouble == ""


def test_what_makes_a_server_move() -> None:
    before = System()
    assert not ListeningPlace.differs(before, System(domain="example.com"))
    for change in ({"sip_address": "192.0.2.1"}, {"sip_tls_port": 0}, {"sip_udp_port": 5070}, {"sip_tcp_port": 5070}):
        assert ListeningPlace.differs(before, System(**change))
    certified = System(tls_certificate="/c.pem", tls_private_key="/k.pem")
    assert ListeningPlace.differs(before, certified)
