"""TCP and TLS transports on real sockets: framing, re-use, bounds, keep-alives and certificates."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.transports import LOOPS, Host, options, run_on
from support.waiting import until

from app.sip.flow import Flow
from app.sip.transport import CertificateError, ListenError, TlsSettings, TransportLimits, self_made_certificate

pytestmark = pytest.mark.wire

RESPONSE = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return lambda main: run_on(request.param, request, main)


@pytest.fixture
def run_plain(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return lambda main: run_on("asyncio", request, main)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsSettings:
    return TlsSettings(tmp_path_factory.mktemp("data"), domain="pbx.example.com", addresses=("127.0.0.1",))


class Caller:
    """The peer's side of a connection: a plain socket that never blocks the loop it shares with the server."""

    def __init__(self, port: int, bind_to: str = "127.0.0.1", address: str = "127.0.0.1") -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.bind((bind_to, 0))
        with contextlib.suppress(BlockingIOError):
            self.socket.connect((address, port))
        self.received = b""
        self.closed = False

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def look(self) -> bytes:
        """What has come so far."""
        try:
            while not self.closed:
                data = self.socket.recv(65536)
                self.received += data
                self.closed = not data
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True
        return self.received

    async def connected(self) -> Caller:
        await until(
            lambda: self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and self._up(), "connecting"
        )
        return self

    async def expect(self, data: bytes) -> None:
        await until(lambda: self.look() == data, f"{data[:40]!r}, got {self.received[:80]!r}")

    async def expect_end(self) -> None:
        await until(lambda: (self.look(), self.closed)[1], "the connection to be closed")

    def _up(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.socket.getpeername())
        return False

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def callers() -> Iterator[Callable[..., Any]]:
    opened: list[Caller] = []

    async def call(port: int, **where: str) -> Caller:
        opened.append(Caller(port, **where))
        return await opened[-1].connected()

    yield call
    for caller in opened:
        caller.close()


def test_two_messages_in_one_segment_and_one_in_ten(run: Any, callers: Any) -> None:
    async def main() -> None:
        host = await Host(RESPONSE).start("tcp")
        caller = await callers(host.ports["tcp"])
        caller.send(options(1) + options(2))
        await caller.expect(RESPONSE * 2)
        assert host.received == [options(1), options(2)]
        assert len(host.batches) == 1
        message = options(3)
        cut = len(message) // 10 + 1
        for at in range(0, len(message), cut):
            caller.send(message[at : at + cut])
            await asyncio.sleep(0.005)
        await caller.expect(RESPONSE * 3)
        assert host.received[2] == message
        flow = host.flows[0]
        assert flow == Flow("tcp", "127.0.0.1", host.ports["tcp"], *caller.socket.getsockname(), flow.connection)
        assert flow.connection > 0
        assert set(host.flows) == {flow}
        await host.stop()
        await caller.expect_end()

    run(main())


def test_a_double_crlf_is_answered_with_a_single_one(run: Any, callers: Any) -> None:
    async def main() -> None:
        host = await Host().start("tcp")
        caller = await callers(host.ports["tcp"])
        caller.send(b"\r\n\r\n")
        await caller.expect(b"\r\n")
        caller.send(b"\r\n\r\n" + options())
        await until(lambda: host.received == [options()], "the message")
        await caller.expect(b"\r\n\r\n")
        await host.stop()

    run(main())


def test_a_length_that_cannot_be_known_is_handed_on_and_ends_the_connection(run: Any, callers: Any) -> None:
    """RFC 4475 3.1.2.3 and 3.3.9: the request is answered (here by the host), then the stream is closed."""

    async def main() -> None:
        host = await Host(RESPONSE).start("tcp")
        caller = await callers(host.ports["tcp"])
        bad = options().replace(b"Content-Length: 0", b"Content-Length: -999")
        caller.send(bad)
        await caller.expect(RESPONSE)
        await caller.expect_end()
        assert host.received == [bad]
        assert len(host.transports._connections) == 0
        await host.stop()

    run(main())


def test_what_is_not_sip_and_endless_headers_end_the_connection(run: Any, callers: Any) -> None:
    async def main() -> None:
        host = await Host().start("tcp")
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0", options()[:60] + b"\r\nX: " + b"y" * 70000):
            caller = await callers(host.ports["tcp"])
            with contextlib.suppress(OSError):
                caller.send(data)
            await caller.expect_end()
        assert host.received == []
        assert host.failures == []
        assert not host.transports._connections._closing
        await host.stop()

    run(main())


def test_dribblers_and_the_idle_are_closed_and_the_proven_stay(run: Any, callers: Any) -> None:
    async def main() -> None:
        host = await Host(RESPONSE).start("tcp")
        port = host.ports["tcp"]
        idle, dribbler, proven, half = [await callers(port) for _ in range(4)]
        proven.send(options(1))
        half.send(options(2) + options(3)[:30])
        dribbler.send(options(4)[:10])
        await until(lambda: len(host.received) == 2, "the messages")
        host.advance(3)
        dribbler.send(options(4)[10:12])
        await until(lambda: host.transports._connections.counts.open == 4, "nothing to have changed")
        host.advance(2)
        for gone in (dribbler, half):
            await gone.expect_end()
        host.advance(6)
        await idle.expect_end()
        assert half.received.startswith(RESPONSE)
        proven.send(options(5))
        await proven.expect(RESPONSE * 2)
        assert host.transports.connection_counts.timed_out == 3
        # Of those only the one that had carried messages may be in use by somebody.
        assert [str(error) for _flow, error in host.failures] == [
            f"The connection with {host.flows[1].source} was closed: a message was not complete after 4 s"
        ]
        # Two hours of silence end that one too.
        host.advance(7201)
        await proven.expect_end()
        await host.stop()

    run(main())


def test_a_message_that_stays_incomplete_is_handed_on_as_it_is(run_plain: Any, callers: Any) -> None:
    """RFC 4475 3.1.2.2 (clerr): Content-Length is larger than what comes; the sender hears 400 before the end."""

    async def main() -> None:
        host = await Host(RESPONSE).start("tcp")
        caller = await callers(host.ports["tcp"])
        incomplete = options().replace(b"Content-Length: 0", b"Content-Length: 9999")
        caller.send(incomplete)
        await until(lambda: host.transports.connection_counts.open == 1, "the connection")
        await asyncio.sleep(0.05)
        host.advance(11)
        await caller.expect(RESPONSE)
        await caller.expect_end()
        assert host.received == [incomplete]
        await host.stop()

    run_plain(main())


def test_per_address_the_oldest_idle_one_makes_room_and_else_the_oldest_strangers(
    run: Any, callers: Any, network: Any
) -> None:
    async def main() -> None:
        host = await Host(RESPONSE, limits=TransportLimits(connections_per_address=3)).start("tcp")
        port, here = host.ports["tcp"], network.address(1)
        first, second, third = [await callers(port, bind_to=here) for _ in range(3)]
        await until(lambda: host.transports.connection_counts.open == 3, "three connections")
        second.send(options())
        await second.expect(RESPONSE)
        fourth = await callers(port, bind_to=here)
        await first.expect_end()
        for caller in (third, fourth):
            caller.send(options())
            await caller.expect(RESPONSE)
        fifth = await callers(port, bind_to=here)
        await second.expect_end()
        for caller in (fifth, await callers(port, bind_to=network.address(2))):
            caller.send(options())
            await caller.expect(RESPONSE)
        counts = host.transports.connection_counts
        assert (counts.open, counts.accepted, counts.evicted, counts.refused) == (4, 6, 2, 0)
        await host.stop()

    run(main())


def test_phones_behind_one_address_do_not_use_up_what_strangers_there_may_have(
    run: Any, callers: Any, network: Any
) -> None:
    """A hundred phones and more behind one router are all served; they too have a bound."""

    async def main() -> None:
        limits = TransportLimits(connections_per_address=2, known_per_address=3)
        host = await Host(RESPONSE, limits=limits).start("tcp")
        port, here = host.ports["tcp"], network.address(1)
        phones = []
        for count in range(1, 5):
            phones.append(await callers(port, bind_to=here))
            phones[-1].send(options())
            await phones[-1].expect(RESPONSE)
            assert len(host.flows) == count
            # Twice: a phone shows its password again and again.
            for _ in range(2):
                host.transports.know(host.flows[-1])
        strangers = [await callers(port, bind_to=here) for _ in range(2)]
        # The fourth phone was one too many: it stayed a stranger, whom others push out.
        await until(lambda: host.transports.connection_counts.open == 5, "the strangers")
        strangers[1].send(options())
        await strangers[1].expect(RESPONSE)
        another = await callers(port, bind_to=here)
        await strangers[0].expect_end()
        another.send(options())
        await another.expect(RESPONSE)
        for phone in phones[:3]:
            phone.send(options())
            await phone.expect(RESPONSE * 2)
        # A phone that leaves makes room for another.
        phones[0].close()
        await until(lambda: host.transports.connection_counts.open == 4, "its end")
        host.transports.know(host.flows[-4])
        for _ in range(2):
            caller = await callers(port, bind_to=here)
            caller.send(options())
            await caller.expect(RESPONSE)
        another.send(options())
        await another.expect(RESPONSE * 2)
        assert host.transports.connection_counts.refused == 0
        await host.stop()

    run(main())


def test_in_all_the_oldest_idle_one_makes_room_then_a_stranger_then_the_silent_one(
    run: Any, callers: Any, network: Any
) -> None:
    async def main() -> None:
        host = await Host(RESPONSE, limits=TransportLimits(connections=3)).start("tcp")
        port = host.ports["tcp"]
        ones = []
        for number in range(3):
            ones.append(await callers(port, bind_to=network.address(number + 1)))
            await until(lambda: host.transports.connection_counts.open == len(ones), "the connection")
        for caller in ones[1:]:
            caller.send(options())
            await caller.expect(RESPONSE)
        host.transports.know(host.flows[0])
        new = await callers(port, bind_to=network.address(9))
        await ones[0].expect_end()
        new.send(options())
        await new.expect(RESPONSE)
        newer = await callers(port, bind_to=network.address(10))
        await ones[2].expect_end()
        newer.send(options())
        await newer.expect(RESPONSE)
        for flow in host.flows[-2:]:
            host.transports.know(flow)
        refused = await callers(port, bind_to=network.address(11))
        await refused.expect_end()
        host.advance(61)
        for caller in (new, newer):
            caller.send(options())
        await until(lambda: len(host.received) == 6, "signs of life of two")
        last = await callers(port, bind_to=network.address(12))
        await ones[1].expect_end()
        last.send(options())
        await last.expect(RESPONSE)
        await host.stop()

    run(main())


@pytest.mark.parametrize("sources", [1, 40], ids=["one-address", "forty-addresses"])
def test_three_thousand_idle_connections_leave_udp_and_new_clients_alone(run: Any, network: Any, sources: int) -> None:
    """While they are still coming, another address is answered within a second, over TCP and UDP.

    One address runs into its own bound, forty of them together into the bound for all.
    """
    if sys.platform == "win32":
        pytest.skip("one process may not open so many sockets there")
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 8000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(8000, hard), hard))

    async def main() -> None:
        host = await Host(RESPONSE).start("tcp", "udp")
        flood: list[socket.socket] = []
        loop = asyncio.get_running_loop()
        delays: list[float] = []

        async def ask() -> None:
            started = time.monotonic()
            caller = await Caller(host.ports["tcp"], bind_to=network.address(1)).connected()
            caller.send(options())
            await caller.expect(RESPONSE)
            caller.close()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                peer.setblocking(False)
                peer.bind((network.address(1), 0))
                peer.sendto(options(), ("127.0.0.1", host.ports["udp"]))
                assert await loop.sock_recv(peer, 65536) == RESPONSE
            delays.append(time.monotonic() - started)

        try:
            for number in range(3000):
                opened = socket.socket()
                flood.append(opened)
                opened.setblocking(False)
                opened.bind((network.address(2 + number % sources), 0))
                with contextlib.suppress(BlockingIOError):
                    opened.connect(("127.0.0.1", host.ports["tcp"]))
                if number % 500 == 499:
                    await ask()
            await until(lambda: host.transports.connection_counts.accepted >= 3000, "all to have been accepted")
            await ask()
        finally:
            for opened in flood:
                opened.close()
        counts = host.transports.connection_counts
        assert counts.open <= (102 if sources == 1 else 2000)
        assert counts.evicted >= (2890 if sources == 1 else 990)
        assert max(delays) < 1.0, delays
        await host.stop()

    run(main())


def test_the_guard_is_asked_about_connections_and_their_messages(run: Any, callers: Any) -> None:
    async def main() -> None:
        allowed = [True]
        host = await Host(RESPONSE, admit=lambda _source, _port, _now: allowed[0]).start("tcp")
        caller = await callers(host.ports["tcp"])
        caller.send(options(1))
        await caller.expect(RESPONSE)
        allowed[0] = False
        banned = await callers(host.ports["tcp"])
        await banned.expect_end()
        caller.send(options(2))
        await caller.expect_end()
        assert host.received == [options(1)]
        assert host.transports.connection_counts.refused == 1
        await host.stop()

    run(main())


def test_pieces_that_make_no_message_count_for_the_guard(run: Any, callers: Any) -> None:
    """Keep-alives and dribbled bytes cost time, too; a message in one piece counts once."""

    async def main() -> None:
        asked: list[float] = []

        def admit(_source: str, _port: int, now: float) -> bool:
            asked.append(now)
            return len(asked) <= 4

        host = await Host(RESPONSE, admit=admit).start("tcp")
        caller = await callers(host.ports["tcp"])
        caller.send(options(1))
        await caller.expect(RESPONSE)
        assert len(asked) == 2
        caller.send(b"\r\n\r\n")
        await caller.expect(RESPONSE + b"\r\n")
        caller.send(b"OPT")
        await until(lambda: len(asked) == 4, "the piece to be counted")
        caller.send(b"IONS")
        await caller.expect_end()
        assert host.received == [options(1)]
        await host.stop()

    run(main())


def test_a_peer_that_does_not_read_is_closed(run: Any, callers: Any) -> None:
    async def main() -> None:
        host = await Host().start("tcp")
        caller = await callers(host.ports["tcp"])
        caller.send(options())
        await until(lambda: host.flows, "the flow")
        for _ in range(1000):
            host.transports.send(host.flows[0], b"x" * 60000)
            if host.failures:
                break
            await asyncio.sleep(0)
        await until(lambda: host.failures, "the failure")
        assert "does not read what is sent to it" in str(host.failures[0][1])
        host.transports.send(host.flows[0], b"x")
        await until(lambda: len(host.failures) > 1, "the failure of what comes later")
        assert "is gone" in str(host.failures[-1][1])
        await host.stop()

    run(main())


def test_between_two_hosts_one_connection_serves_both_directions(run: Any) -> None:
    """RFC 5923: what is sent while it connects waits; later messages and the answers use the same connection."""

    async def main() -> None:
        first, second = await Host().start("tcp"), await Host(RESPONSE).start("tcp")
        flow = first.transports.flow_to("tcp", "127.0.0.1", second.ports["tcp"])
        assert flow is not None
        assert flow[:5] == ("tcp", "127.0.0.1", first.ports["tcp"], "127.0.0.1", second.ports["tcp"])
        first.transports.send(flow, options(1))
        assert first.transports.flow_to("tcp", "127.0.0.1", second.ports["tcp"]) == flow
        first.transports.send(flow, options(2))
        await until(lambda: first.received == [RESPONSE] * 2, "both answers")
        assert second.received == [options(1), options(2)]
        assert set(first.flows) == {flow}
        # The other way: to the port that the peer connected from, and to its listener's when it asked for that.
        back = second.flows[0]
        assert second.transports.flow_to("tcp", back.remote_host, back.remote_port) == back
        second.transports.add_alias(back, first.ports["tcp"])
        assert second.transports.flow_to("tcp", "127.0.0.1", first.ports["tcp"]) == back
        second.answer = b""
        second.transports.send(back, options(3))
        await until(lambda: options(3) in first.received, "the request on the same connection")
        assert first.transports.connection_counts.open == second.transports.connection_counts.open == 1
        # Once it is gone both hear of it, and a new one is made.
        await second.stop()
        await until(lambda: first.failures, "the end")
        assert first.failures[0][0] == flow
        new = first.transports.flow_to("tcp", "127.0.0.1", second.transports and 1)
        assert new is not None and new.connection != flow.connection
        await until(lambda: len(first.failures) == 2, "the refusal of the new one")
        assert first.failures[1][0] == new
        assert str(first.failures[1][1]) == "tcp:127.0.0.1:1 cannot be reached: Connection refused"
        await first.stop()

    run(main())


def test_an_outgoing_connection_that_does_not_come_up_fails(run: Any) -> None:
    async def main() -> None:
        host = await Host(limits=TransportLimits(write_buffer=1000)).start("tcp")
        silent = socket.socket()
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        port = silent.getsockname()[1]
        fillers = []
        for _ in range(4):
            # The queue of a listener that accepts nothing is full: further connections wait for ever.
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", port))
            fillers.append(filler)
        await asyncio.sleep(0.05)
        flow = host.transports.flow_to("tcp", "127.0.0.1", port)
        assert flow is not None
        host.transports.send(flow, options())
        await asyncio.sleep(0.05)
        assert host.failures == []
        host.advance(6)
        await until(lambda: host.failures, "the failure")
        assert (host.failures[0][0], str(host.failures[0][1]).partition(": ")[2]) == (flow, "no connection within 5 s")
        # What waits for a connection is bounded.
        flow = host.transports.flow_to("tcp", "127.0.0.1", port)
        assert flow is not None
        host.transports.send(flow, b"x" * 900)
        host.transports.send(flow, b"x" * 200)
        await until(lambda: len(host.failures) == 2, "the failure")
        assert "Too much waits" in str(host.failures[1][1])
        impossible = host.transports.flow_to("tcp", "127.0.0.1", 70000)
        await until(lambda: len(host.failures) == 3, "the failure of an impossible port")
        assert host.failures[2][0] == impossible
        for each in (silent, *fillers):
            each.close()
        await host.stop()

    run(main())


def test_keep_alives_of_ours_and_a_peer_that_stops_answering_them(run: Any, callers: Any) -> None:
    async def main() -> None:
        host = await Host().start("tcp")
        caller = await callers(host.ports["tcp"])
        caller.send(options())
        await until(lambda: host.flows, "the flow")
        host.advance(0)
        host.transports.keep_alive(host.flows[0], 30)
        host.advance(31)
        await caller.expect(b"\r\n\r\n")
        # A peer that never answered one need not.
        host.advance(31)
        await caller.expect(b"\r\n\r\n" * 2)
        for number in (3, 4):
            caller.send(b"\r\n")
            await asyncio.sleep(0.05)
            host.advance(31)
            await caller.expect(b"\r\n\r\n" * number)
        assert host.failures == []
        host.advance(11)
        await until(lambda: host.failures, "the end")
        assert "answers keep-alives no more" in str(host.failures[0][1])
        await caller.expect_end()
        await host.stop()

    run(main())


def test_stopping_sends_what_was_written_and_leaves_no_descriptor(run: Any, callers: Any) -> None:
    async def main() -> None:
        host = await Host().start("tcp", "udp")
        caller = await callers(host.ports["tcp"])
        caller.send(options())
        await until(lambda: host.flows, "the flow")
        port = host.ports["tcp"]
        host.transports.send(host.flows[0], RESPONSE * 100)
        waiting = host.transports.flow_to("tcp", "127.0.0.1", 1)
        assert waiting is not None
        await host.stop()
        await caller.expect(RESPONSE * 100)
        await caller.expect_end()
        caller.close()
        assert host.transports.connection_counts.open == 0
        again = await Host().start("tcp")
        await again.stop()
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))

    run(main())


# -- TLS --------------------------------------------------------------------------------------------------------------


def trusting(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(self_made_certificate(settings)[0])
    return context


def test_tls_with_the_self_made_certificate(run: Any, tls: TlsSettings) -> None:
    async def main() -> None:
        host = await Host(RESPONSE).start("tls", tls=tls)
        for name in ("pbx.example.com", "127.0.0.1"):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", host.ports["tls"], ssl=trusting(tls), server_hostname=name
            )
            writer.write(options(1) + options(2))
            assert await reader.readexactly(2 * len(RESPONSE)) == RESPONSE * 2
            message = options(3)
            for at in range(0, len(message), 20):
                writer.write(message[at : at + 20])
                await asyncio.sleep(0.002)
            assert await reader.readexactly(len(RESPONSE)) == RESPONSE
            writer.close()
            await writer.wait_closed()
        await until(lambda: host.transports.connection_counts.open == 0, "the connections to end")
        assert host.received == [options(1), options(2), options(3)] * 2
        assert {flow.transport for flow in host.flows} == {"tls"}
        await host.stop()

    run(main())


def test_tls_between_two_hosts_with_and_without_verification(run: Any, tls: TlsSettings, tmp_path: Path) -> None:
    async def main() -> None:
        server = await Host(RESPONSE).start("tls", tls=tls)
        port = server.ports["tls"]
        stranger = await Host().start("tls", tls=TlsSettings(tmp_path / "stranger"))
        certificate = self_made_certificate(tls)[0]
        friend = await Host().start("tls", tls=TlsSettings(tmp_path / "friend", authorities=certificate))

        flow = stranger.transports.flow_to("tls", "127.0.0.1", port)
        assert flow is not None
        stranger.transports.send(flow, options(1))
        await until(lambda: stranger.failures, "the verification to fail")
        assert stranger.failures[0][0] == flow
        assert "the peer's certificate is not accepted: self" in str(stranger.failures[0][1])
        assert server.received == []

        unverified = stranger.transports.flow_to("tls", "127.0.0.1", port, tls_verify=False, server_name="pbx")
        assert unverified is not None
        stranger.transports.send(unverified, options(2))
        await until(lambda: stranger.received == [RESPONSE], "the answer without verification")

        wrong = friend.transports.flow_to("tls", "127.0.0.1", port, server_name="other.example.com")
        assert wrong is not None
        friend.transports.send(wrong, options(3))
        await until(lambda: friend.failures, "the wrong name to fail")
        assert "Hostname mismatch" in str(friend.failures[0][1])

        right = friend.transports.flow_to("tls", "127.0.0.1", port, server_name="pbx.example.com")
        assert right is not None
        friend.transports.send(right, options(4))
        await until(lambda: friend.received == [RESPONSE], "the answer with verification")
        assert friend.transports.flow_to("tls", "127.0.0.1", port, server_name="pbx.example.com") == right
        # Verified for that name: good enough where nobody asks, not good enough for another name.
        assert friend.transports.flow_to("tls", "127.0.0.1", port, tls_verify=False) == right
        by_address = friend.transports.flow_to("tls", "127.0.0.1", port)
        assert by_address is not None and by_address != right
        friend.transports.send(by_address, options(5))
        await until(lambda: len(friend.received) == 2, "the answer on a connection verified by address")
        # An accepted connection was not verified by us.
        back = server.flows[-1]
        assert server.transports.flow_to("tls", back.remote_host, back.remote_port, tls_verify=False) == back
        assert server.transports.flow_to("tls", back.remote_host, back.remote_port) != back
        for host in (server, stranger, friend):
            await host.stop()

    run(main())


@pytest.mark.expects_log("the one before stays in use")
def test_a_certificate_that_is_renewed_in_its_files_is_taken(run_plain: Any, tmp_path: Path) -> None:
    """As programs that fetch one every few weeks do it; half of it is not taken, and what runs goes on."""

    async def main() -> None:
        made = [self_made_certificate(TlsSettings(tmp_path / name, domain=f"{name}.example")) for name in "ab"]
        certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
        certificate.write_bytes(made[0][0].read_bytes())
        key.write_bytes(made[0][1].read_bytes())
        host = await Host(RESPONSE).start("tls", tls=TlsSettings(tmp_path, certificate, key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE

        async def shown() -> str:
            _reader, writer = await asyncio.open_connection("127.0.0.1", host.ports["tls"], ssl=context)
            der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.close()
            return ssl.DER_cert_to_PEM_cert(der).strip()

        assert await shown() == made[0][0].read_text().strip()
        certificate.write_bytes(made[1][0].read_bytes())
        host.advance(31)
        assert await shown() == made[0][0].read_text().strip()
        key.write_bytes(made[1][1].read_bytes())
        host.advance(31)
        assert await shown() == made[1][0].read_text().strip()
        await host.stop()

    run_plain(main())


def test_silent_and_broken_handshakes_are_counted_and_closed(run: Any, tls: TlsSettings, callers: Any) -> None:
    async def main() -> None:
        host = await Host(limits=TransportLimits(connections_per_address=2)).start("tls", tls=tls)
        silent = await callers(host.ports["tls"])
        broken = await callers(host.ports["tls"])
        broken.send(options())
        await broken.expect_end()
        assert host.transports.connection_counts.open == 1
        half = await callers(host.ports["tls"])
        half.send(b"\x16\x03\x01\x02\x00\x01\x00")
        await until(lambda: host.transports.connection_counts.open == 2, "two in their handshake")
        another = await callers(host.ports["tls"])
        await silent.expect_end()
        host.advance(11)
        for caller in (half, another):
            await caller.expect_end()
        assert host.failures == []
        await host.stop()

    run(main())


def test_a_peer_that_ends_tls_in_order_or_not(run: Any, tls: TlsSettings, tmp_path: Path) -> None:
    async def main() -> None:
        server = await Host(RESPONSE).start("tls", tls=tls)
        client = await Host().start("tls", tls=TlsSettings(tmp_path))
        flow = client.transports.flow_to("tls", "127.0.0.1", server.ports["tls"], tls_verify=False)
        assert flow is not None
        client.transports.send(flow, options())
        await until(lambda: client.received, "the answer")
        await server.stop()
        await until(lambda: client.failures, "the end")
        assert "closed the connection" in str(client.failures[0][1])
        await client.stop()

    run(main())


def test_tls_without_settings_or_with_bad_ones_is_refused_in_words(run_plain: Any, tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(ListenError, match="TLS needs a certificate"):
            await Host().start("tls")
        with pytest.raises(CertificateError, match="cannot be read: No such file"):
            await Host().start("tls", tls=TlsSettings(tmp_path, certificate=tmp_path / "missing.pem"))
        host = await Host().start("tcp")
        assert host.transports.flow_to("tls", "127.0.0.1", 5061) is None
        assert "no listener for TLS" in host.transports.no_flow_reason("tls", "127.0.0.1")
        await host.stop()

    run_plain(main())
