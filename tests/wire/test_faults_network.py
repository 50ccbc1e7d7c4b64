"""The network goes and comes back: servers on hosts of their own bind their sockets and register by themselves.

The short test runs the engines inside its own process, the long one `python -m app serve`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.namespaces import Cable, needs_namespaces
from support.registrar import Registrar
from support.running_engine import RunningEngine
from support.server import RunningServer
from support.udp_peers import Caller
from support.waiting import wait_until

pytestmark = pytest.mark.wire

BACK_WITHIN = 60.0
"""Seconds after the network is back within which everything works again."""
ANY, OWN = "0.0.0.0", Cable.SERVER
CALLER = "192.0.2.3"
OTHER = "192.0.2.9"


@dataclass
class Site:
    """A server on a host of its own, a line's provider at the other end of its cable, and a trunk that calls."""

    name: str
    cable: Cable
    registrar: Registrar
    server: RunningServer | RunningEngine
    registered: int = 0
    """How often it had registered when the network came back."""

    def call(self) -> int:
        """The status of a call that comes from the trunk and goes out through the line."""
        caller = self.cable.provider.call(lambda: Caller(CALLER, OWN))
        with caller:
            talk = caller.begin("13555")
            status = talk.final().status
            if status == 200:
                talk.hang_up()
            return status

    def answers_over_tcp(self) -> bool:
        """Whether a new TCP connection gets an answer."""
        text = (
            "OPTIONS sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.3:5060;branch=z9hG4bKtcp\r\nMax-Forwards: 70\r\n"
            "From: <sip:a@192.0.2.3>;tag=1\r\nTo: <sip:192.0.2.1>\r\nCall-ID: tcp\r\nCSeq: 1 OPTIONS\r\n"
            "Content-Length: 0\r\n\r\n"
        )
        connection = self.cable.provider.call(lambda: socket.create_connection((OWN, 5060), 10, (CALLER, 0)))
        with connection:
            connection.settimeout(10)
            connection.sendall(text.encode())
            return connection.recv(65535).startswith(b"SIP/2.0 200")


StartSite = Callable[..., Site]


def site_document(transport: str = "udp", expires: int = 3600) -> dict[str, object]:
    """Line 1 at the provider; the caller's trunk; `13` goes out through the line."""
    return {
        "external_lines": [
            {
                "id": 1,
                "account": "acc",
                "password": "secret",
                "server_address": Cable.PROVIDER,
                "transport": transport,
                "register_expires": expires,
            }
        ],
        "sip_trunks": [{"id": 1, "server_address": CALLER}],
        "analyze_called_numbers": [{"prefix": "13", "route_type": "external_line", "target_id": 1}],
    }


@pytest.fixture
def start_site(tmp_path: Path) -> Iterator[StartSite]:
    """`start_site(address, transport)`: a site whose server listens there and has registered."""
    needs_namespaces()
    with ExitStack() as stack:
        count = 0

        def start(listen: str, transport: str = "udp", expires: int = 3600, *, real: bool = False) -> Site:
            nonlocal count
            count += 1
            cable = Cable()
            stack.callback(cable.close)
            cable.provider.ip(f"address add {CALLER}/24 dev eth")
            registrar = cable.provider.call(lambda: Registrar(cable.PROVIDER))
            stack.callback(lambda: cable.provider.call(registrar.close))
            data, document = tmp_path / f"data-{count}", site_document(transport, expires)
            server: RunningServer | RunningEngine
            if real:
                expected = ("does not receive", "is down")
                server = RunningServer(data, document, listen, expected=expected, before=cable.server.command)
                stack.enter_context(server)
            else:
                # Its threads stay on the host on which it was made.
                server = cable.server.call(lambda: RunningEngine(data, document, listen))
                stack.callback(server.stop)
            registrar.wait_for_register(1, 10)
            return Site(f"{listen} {transport}", cable, registrar, server)

        yield start


def check_that_it_comes_back(site: Site, back: float) -> None:
    """Registered within the time, and calls and connections go through."""
    site.registrar.wait_for_register(site.registered + 1, max(0.1, back + BACK_WITHIN - time.monotonic()))
    print(f"{site.name}: registered {time.monotonic() - back:.1f} s after the network was back")
    if "tcp" not in site.name:
        assert site.call() == 200, site.name
    assert site.answers_over_tcp(), site.name


@pytest.mark.expects_log("does not receive")
def test_a_pulled_cable_and_an_address_that_goes_are_got_over(start_site: StartSite) -> None:
    """Listening on all addresses or on one, the line over UDP or TCP, all at the same time."""
    cables = [start_site(ANY), start_site(OWN, "tcp")]
    addresses = [start_site(ANY, "tcp"), start_site(OWN)]
    for site in cables:
        site.cable.pull()
    for site in addresses:
        site.cable.take_address()
    time.sleep(7)  # that long the network is away: longer than the server takes to look
    engine = addresses[1].server
    assert isinstance(engine, RunningEngine)
    words = "not listening on udp:192.0.2.1:5060: this machine has no address 192.0.2.1 at the moment"
    assert words in engine.ask(lambda each: each.trouble)
    for site in (*cables, *addresses):
        site.registered = len(site.registrar.registers)
    for site in cables:
        site.cable.plug()
    for site in addresses:
        site.cable.add_address()
    back = time.monotonic()
    for site in (*cables, *addresses):
        check_that_it_comes_back(site, back)
    wait_until(lambda: len(engine.ask(lambda each: each.listeners)) == 2, "both listeners", BACK_WITHIN)
    assert engine.ask(lambda each: each.trouble) == ""


def test_a_new_address_is_told_to_the_provider(start_site: StartSite) -> None:
    """As when a router gives out another one: the provider's calls must find the server there."""
    site = start_site(ANY)
    assert OWN in str(site.registrar.registers[-1].header("Contact"))
    site.cable.take_address()
    site.cable.add_address(OTHER)
    wait_until(lambda: OTHER in str(site.registrar.registers[-1].header("Contact")), "the new Contact", BACK_WITHIN)


@pytest.mark.long
def test_a_network_that_was_away_for_minutes_is_got_over_in_a_minute(start_site: StartSite) -> None:
    """Long enough that whoever waits longer after each failure would wait too long; one way is cut far beyond."""
    ways = ((ANY, "udp"), (OWN, "udp"))
    faults = (
        (Cable.pull, Cable.plug, ways),
        (Cable.take_address, Cable.add_address, ways),
        (Cable.cut_beyond, Cable.mend_beyond, (*ways, (OWN, "tcp"))),
    )
    sites = [
        (start_site(listen, transport, expires=60, real=True), begin, end)
        for begin, end, listeners in faults
        for listen, transport in listeners
    ]
    for site, begin, _end in sites:
        begin(site.cable)
    time.sleep(240)
    for site, _begin, _end in sites:
        site.registered = len(site.registrar.registers)
    for site, _begin, end in sites:
        end(site.cable)
    back = time.monotonic()
    for site, _begin, _end in sites:
        check_that_it_comes_back(site, back)


def test_a_server_that_starts_before_its_network_says_so_and_waits(tmp_path: Path) -> None:
    needs_namespaces()
    with ExitStack() as stack:
        cable = Cable()
        stack.callback(cable.close)
        cable.take_address()
        server = RunningServer(tmp_path / "data", site_document(), OWN, before=cable.server.command)
        stack.enter_context(server.starting())
        words = f"Cannot listen on udp:{OWN}:5060: this machine has no address {OWN} at the moment. Waiting for it"
        wait_until(lambda: words in server.log(), "the words", 20)
        server.stop()
        stack.enter_context(server.starting())
        wait_until(lambda: words in server.log(), "the words", 20)
        cable.add_address()
        server.become_ready(20)
        assert server.ready["sip"] == [f"udp:{OWN}:5060", f"tcp:{OWN}:5060"]


@pytest.mark.expects_log("does not receive")
def test_an_ipv6_address_that_goes_is_listened_on_again(tmp_path: Path) -> None:
    """A cable that is pulled takes IPv6 addresses with it."""
    needs_namespaces()
    own = "2001:db8::1"
    with ExitStack() as stack:
        cable = Cable()
        stack.callback(cable.close)
        cable.add_address(own)
        server = cable.server.call(lambda: RunningEngine(tmp_path / "data", {}, own))
        stack.callback(server.stop)
        listeners = server.ask(lambda each: each.listeners)
        assert listeners == (f"udp:[{own}]:5060", f"tcp:[{own}]:5060")
        cable.pull()
        wait_until(lambda: not server.ask(lambda each: each.listeners), "the address to be missed", BACK_WITHIN)
        cable.plug()
        cable.add_address(own)
        wait_until(lambda: server.ask(lambda each: each.listeners) == listeners, "the listeners", BACK_WITHIN)
        assert server.ask(lambda each: each.trouble) == ""
