"""UDP transports and listeners on real sockets, on each kind of event loop."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.transports import LOOPS, Host, options, run_on
from support.waiting import until, wait_until

from app.sip.flow import Flow
from app.sip.transport import ListenAddress, ListenError, ListenerState, TransportLimits, Transports
from app.sip.transport.listening import connection_bound, open_socket
from app.sip.transport.udp import UdpListener

pytestmark = pytest.mark.wire

RESPONSE = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the system tells this on Linux only")


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return lambda main: run_on(request.param, request, main)


@pytest.fixture
def run_plain(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return lambda main: run_on("asyncio", request, main)


@pytest.fixture
def peer() -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(5)
        yield opened


def listener_of(host: Host) -> UdpListener:
    found = next(kept.listener for kept in host.transports._kept if isinstance(kept.listener, UdpListener))
    assert isinstance(found, UdpListener)
    return found


@pytest.mark.parametrize("mode", ["thread", "reader"])
def test_a_datagram_is_received_with_its_flow_and_answered_on_it(run: Any, peer: socket.socket, mode: str) -> None:
    async def main() -> None:
        host = await Host(RESPONSE, receive_mode=mode).start("udp")
        assert listener_of(host).mode == mode
        peer.sendto(options(), ("127.0.0.1", host.ports["udp"]))
        await until(lambda: host.received, "the datagram")
        assert host.received == [options()]
        assert host.flows == [Flow("udp", "127.0.0.1", host.ports["udp"], *peer.getsockname())]
        data, source = peer.recvfrom(65535)
        assert data == RESPONSE
        assert source == ("127.0.0.1", host.ports["udp"])
        assert host.failures == []
        await host.stop()
        assert host.transports.listening == []

    run(main())


def test_left_to_itself_it_reads_in_the_loop_wherever_the_loop_can(run: Any) -> None:
    async def main() -> None:
        host = await Host().start("udp")
        assert listener_of(host).mode == ("thread" if sys.platform == "win32" else "reader")
        await host.stop()

    run(main())


@pytest.mark.parametrize("mode", ["thread", "reader"])
def test_a_burst_wakes_the_loop_once_per_batch_and_keeps_its_order(run: Any, peer: socket.socket, mode: str) -> None:
    async def main() -> None:
        host = await Host(receive_mode=mode, limits=TransportLimits(batch=50)).start("udp")
        for number in range(120):
            peer.sendto(options(number), ("127.0.0.1", host.ports["udp"]))
        if mode == "thread":
            # The loop is busy meanwhile; the thread has the whole burst, and has asked for one wake only.
            backlog = listener_of(host)._receiver._backlog  # type: ignore[union-attr]
            wait_until(lambda: len(backlog) == 120, "the thread to have read the burst")
        await until(lambda: len(host.received) == 120, "the burst")
        assert host.received == [options(number) for number in range(120)]
        counts = host.transports.udp_counts[host.transports.listening[0]]
        assert (counts.received, counts.wakes, counts.backlog_drops) == (120, len(host.batches), 0)
        if mode == "thread":
            assert [len(batch) for batch in host.batches] == [50, 50, 20]
        else:
            # The loop's own reader expects a single datagram after a quiet time, and only then finds more.
            assert max(len(batch) for batch in host.batches) == 50
            assert len(host.batches) <= 8
        await host.stop()

    run(main())


def test_a_full_backlog_drops_the_newest_and_counts_them(run_plain: Any, peer: socket.socket) -> None:
    async def main() -> None:
        host = await Host(receive_mode="thread", limits=TransportLimits(backlog=10)).start("udp")
        for number in range(30):
            peer.sendto(options(number), ("127.0.0.1", host.ports["udp"]))
        reader = listener_of(host)._receiver
        wait_until(lambda: reader.drops == 20, "what is too much to be dropped")  # type: ignore[union-attr]
        await until(lambda: host.received, "the first ones")
        assert host.received == [options(number) for number in range(10)]
        assert host.transports.udp_counts[host.transports.listening[0]].backlog_drops == 20
        await host.stop()

    run_plain(main())


def test_the_backlog_is_bounded_in_bytes_too(run_plain: Any, peer: socket.socket) -> None:
    async def main() -> None:
        host = await Host(receive_mode="thread", limits=TransportLimits(backlog_bytes=100_000)).start("udp")
        for _ in range(5):
            peer.sendto(b"x" * 40_000, ("127.0.0.1", host.ports["udp"]))
        reader = listener_of(host)._receiver
        wait_until(lambda: reader.drops == 3, "what is too much to be dropped")  # type: ignore[union-attr]
        await until(lambda: len(host.received) == 2, "what fits")
        # Room again: the bytes that were handed on do not count for ever.
        peer.sendto(b"y" * 60_000, ("127.0.0.1", host.ports["udp"]))
        await until(lambda: len(host.received) == 3, "the next one")
        await host.stop()

    run_plain(main())


@pytest.mark.parametrize("mode", ["thread", "reader"])
def test_the_guard_is_asked_first_about_each_datagram(run: Any, peer: socket.socket, mode: str) -> None:
    asked: list[tuple[str, float]] = []

    def admit(source: str, _port: int, now: float) -> bool:
        asked.append((source, now))
        return len(asked) != 2

    async def main() -> None:
        host = await Host(receive_mode=mode, admit=admit).start("udp")
        for number in range(3):
            peer.sendto(options(number), ("127.0.0.1", host.ports["udp"]))
        await until(lambda: len(asked) == 3, "three datagrams")
        await until(lambda: len(host.received) == 2, "two of them")
        assert host.received == [options(0), options(2)]
        assert {source for source, _now in asked} == {"127.0.0.1"}
        assert all(abs(now - time.monotonic()) < 5 for _source, now in asked)
        assert host.transports.udp_counts[host.transports.listening[0]].not_admitted == 1
        await host.stop()

    run(main())


def test_keep_alives_of_a_nat_binding_are_no_messages(run_plain: Any, peer: socket.socket) -> None:
    async def main() -> None:
        host = await Host().start("udp")
        for data in (b"\r\n\r\n", b"\r\n", b"", b"\0\0\0\0", options()):
            peer.sendto(data, ("127.0.0.1", host.ports["udp"]))
        await until(lambda: host.received, "the message")
        assert host.received == [options()]
        assert host.transports.udp_counts[host.transports.listening[0]].keep_alives == 4
        await host.stop()

    run_plain(main())


@linux_only
def test_a_refused_datagram_is_a_failure_of_its_flow_and_the_listener_goes_on(run: Any, peer: socket.socket) -> None:
    """ICMP "port unreachable" (RFC 3261 18.4), on every kind of loop."""

    async def main() -> None:
        host = await Host(RESPONSE, receive_mode="reader").start("udp")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind(("127.0.0.1", 0))
            nobody = closed.getsockname()
        flow = host.transports.flow_to("udp", *nobody)
        assert flow is not None
        for attempt in range(3):
            host.transports.send(flow, options(attempt))
            await until(lambda wanted=attempt + 1: len(host.failures) == wanted, "the refusal")
        assert host.failures[0][0] == flow
        assert str(host.failures[0][1]) == f"udp:127.0.0.1:{nobody[1]} cannot be reached: Connection refused"
        # Two at once: the first one's refusal must neither fail nor swallow what is sent to somebody else.
        alive = host.transports.flow_to("udp", *peer.getsockname())
        assert alive is not None
        for number in range(20):
            host.transports.send(flow, options(number))
            host.transports.send(alive, options(number))
        assert [peer.recv(65535) for _ in range(20)] == [options(number) for number in range(20)]
        peer.sendto(options(99), ("127.0.0.1", host.ports["udp"]))
        await until(lambda: host.received, "a datagram after the refusals")
        assert peer.recv(65535) == RESPONSE
        assert {failed for failed, _error in host.failures} == {flow}
        assert [status.state for status in host.transports.listener_states] == [ListenerState.LISTENING]
        await host.stop()

    run(main())


def test_in_thread_mode_refused_datagrams_do_not_stop_the_listener(run: Any, peer: socket.socket) -> None:
    async def main() -> None:
        host = await Host(RESPONSE, receive_mode="thread").start("udp")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind(("127.0.0.1", 0))
            nobody = closed.getsockname()
        flow = host.transports.flow_to("udp", *nobody)
        assert flow is not None
        for attempt in range(150):
            host.transports.send(flow, options(attempt))
        peer.sendto(options(), ("127.0.0.1", host.ports["udp"]))
        await until(lambda: host.received, "a datagram after the refusals")
        assert peer.recv(65535) == RESPONSE
        await host.stop()

    run(main())


@linux_only
def test_an_icmp_error_that_does_not_quote_what_was_sent_is_not_believed(run_plain: Any, monkeypatch: Any) -> None:
    """Anybody can send an ICMP error for a known trunk; only one that quotes the random branch ends its calls."""
    from app.sip.transport import icmp

    async def main() -> None:
        host = await Host(receive_mode="reader").start("udp")
        flow = host.transports.flow_to("udp", "127.0.0.1", 9)
        assert flow is not None
        refused = OSError(111, "Connection refused")
        quotes = [b"", b"OPTIONS", b"INVITE sip:somebody@example.com SIP/2.0\r\nVia: SIP/2.0/UDP forged"]
        found = [icmp.Unreachable("127.0.0.1", 9, quoted, refused) for quoted in quotes]
        found.append(icmp.Unreachable("127.0.0.2", 9, options()[:64], refused))
        monkeypatch.setattr(icmp, "take_errors", lambda _socket: found)
        listener = listener_of(host)
        host.transports.send(flow, options())
        listener.take_errors()
        await asyncio.sleep(0)
        assert host.failures == []
        found.append(icmp.Unreachable("127.0.0.1", 9, options()[:64], refused))
        listener.take_errors()
        await asyncio.sleep(0)
        assert [failed for failed, _error in host.failures] == [flow]
        await host.stop()

    run_plain(main())


def test_sending_never_raises(run: Any) -> None:
    async def main() -> None:
        host = await Host().start("udp")
        port = host.ports["udp"]
        wrong = [
            Flow("udp", "127.0.0.1", port, "example.com", 5060),
            Flow("udp", "127.0.0.1", port, "127.0.0.1", 70000),
            Flow("udp", "127.0.0.1", port, "127.0.0.1", 0),
            Flow("udp", "127.0.0.1", port, "\0", 5060),
            Flow("udp", "127.0.0.9", port, "127.0.0.1", 5060),
            Flow("tcp", "127.0.0.1", port, "127.0.0.1", 5060, 77),
        ]
        for flow in wrong:
            host.transports.send(flow, options())
            assert host.failures == []  # never from inside send
            await until(lambda: host.failures, f"the failure of {flow}")
            failed, error = host.failures.pop()
            assert failed == flow
            assert flow.remote_host in str(error)
        host.transports.send(Flow("udp", "127.0.0.1", port, "127.0.0.1", 5060), b"x" * 70000)
        await until(lambda: host.failures, "the failure of what is too large")
        await host.stop()
        host.transports.send(wrong[1], options())
        await asyncio.sleep(0)

    run(main())


def test_what_the_system_does_not_take_waits_in_a_bounded_queue(run: Any, peer: socket.socket) -> None:
    async def main() -> None:
        host = await Host(limits=TransportLimits(send_queue=5)).start("udp")
        listener = listener_of(host)

        class Stubborn:
            """Refuses a while, as a socket whose send buffer is full."""

            family = socket.AF_INET
            refuse = True

            def __init__(self, real: socket.socket) -> None:
                self.real = real

            def sendto(self, data: bytes, destination: tuple[str, int]) -> int:
                if self.refuse:
                    raise BlockingIOError
                return self.real.sendto(data, destination)

            def __getattr__(self, name: str) -> Any:
                return getattr(self.real, name)

        assert listener._socket is not None
        stubborn = Stubborn(listener._socket)
        listener._socket = stubborn  # type: ignore[assignment]
        flow = host.transports.flow_to("udp", *peer.getsockname())
        assert flow is not None
        for number in range(7):
            host.transports.send(flow, options(number))
        await until(lambda: len(host.failures) == 2, "the two that are too many")
        assert "the send queue is full" in str(host.failures[0][1])
        stubborn.refuse = False
        await until(lambda: listener.counts.sent == 5, "the queue to be sent")
        assert [peer.recv(65535) for _ in range(5)] == [options(number) for number in range(5)]
        await host.stop()

    run(main())


@linux_only
def test_a_port_in_use_is_refused_naming_the_program_that_has_it(run_plain: Any) -> None:
    program = (
        "import socket,sys,time\n"
        "u=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);u.bind(('127.0.0.1',0))\n"
        "t=socket.socket();t.bind(('0.0.0.0',0));t.listen()\n"
        "print(u.getsockname()[1],t.getsockname()[1],flush=True);sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None and other.stdin is not None
    with other:
        udp_port, tcp_port = (int(word) for word in other.stdout.readline().split())

        async def main() -> None:
            for address in (ListenAddress("udp", "127.0.0.1", udp_port), ListenAddress("tcp", "127.0.0.1", tcp_port)):
                host = Host()
                with pytest.raises(ListenError) as caught:
                    await host.transports.start([ListenAddress("udp", "127.0.0.1", 0), address], None)
                text = str(caught.value)
                assert caught.value.address == address
                assert f"Cannot listen on {address}: port {address.port} is in use by python" in text
                assert f"(process {other.pid})" in text
                assert host.transports.listening == []

        run_plain(main())
        other.stdin.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", udp_port))


@linux_only
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
@pytest.mark.parametrize(
    ("held", "wanted"), [("::1", "::1"), ("::1", "::"), ("::", "::1"), ("both", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")]
)
def test_the_owner_is_named_for_every_transport_and_family(transport: Any, held: str, wanted: str) -> None:
    """`both` is an IPv6 socket that takes IPv4, too: it stands in the way there."""
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    family = socket.AF_INET if "." in held else socket.AF_INET6
    with socket.socket(family, kind) as other:
        if family == socket.AF_INET6:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, held != "both")
        try:
            other.bind(("::" if held == "both" else held, 0))
        except OSError:
            pytest.skip("no IPv6 here")
        if kind == socket.SOCK_STREAM:
            other.listen()
        address = ListenAddress(transport, wanted, other.getsockname()[1])
        with pytest.raises(ListenError) as caught:
            open_socket(address, TransportLimits())
        name = Path("/proc/self/comm").read_text().strip()
        assert f"port {address.port} is in use by {name}" in str(caught.value)
        assert f"(process {os.getpid()}, this program itself)" in str(caught.value)
        assert not caught.value.address_missing


@linux_only
def test_the_owner_of_a_connection_that_has_the_port_is_named() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as connection,
        pytest.raises(ListenError, match=f"process {os.getpid()}, this program itself"),
    ):
        open_socket(ListenAddress("tcp", "127.0.0.1", connection.getsockname()[1]), TransportLimits())


def test_an_address_that_the_machine_does_not_have_is_refused_in_words(run_plain: Any) -> None:
    async def main() -> None:
        for host_text, reason in (("192.0.2.77", "this machine has no address 192.0.2.77"), ("pbx", "is not an IP")):
            with pytest.raises(ListenError, match=reason):
                await Host().transports.start([ListenAddress("udp", host_text, 0)], None)
        with pytest.raises(ListenError, match="0 to 65535"):
            await Host().transports.start([ListenAddress("udp", "127.0.0.1", 70000)], None)

    run_plain(main())


@pytest.mark.parametrize("mode", ["thread", "reader"])
@pytest.mark.expects_log("died|does not receive")
def test_a_socket_that_dies_is_bound_again(run: Any, peer: socket.socket, mode: str) -> None:
    async def main() -> None:
        host = await Host(RESPONSE, receive_mode=mode).start("udp")
        port = host.ports["udp"]
        listener = listener_of(host)
        dead = OSError(100, "Network is down")
        listener.socket_died(dead)
        assert host.transports.listening == []
        assert [change.state for change in host.changes] == [ListenerState.FAILED]
        assert "Network is down" in host.changes[0].error
        flow = host.transports.flow_to("udp", *peer.getsockname())
        assert flow is not None
        host.transports.send(flow, options())
        await until(lambda: host.failures, "the failure while it is down")
        # Somebody has taken the port meanwhile: it is tried again and again.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
            thief.bind(("127.0.0.1", port))
            host.advance(1.5)
            await until(lambda: "in use" in host.transports.listener_states[0].error, "the reason")
        host.advance(5.5)
        await until(lambda: host.transports.listening, "the listener to be back")
        assert [change.state for change in host.changes] == [ListenerState.FAILED, ListenerState.LISTENING]
        assert host.ports["udp"] == port
        peer.sendto(options(), ("127.0.0.1", port))
        await until(lambda: host.received, "a datagram on the new socket")
        assert peer.recv(65535) == RESPONSE
        await host.stop()

    run(main())


@pytest.mark.parametrize("mode", ["thread", "reader"])
@pytest.mark.expects_log("died|does not receive")
def test_an_error_of_receiving_that_means_death_is_noticed(run_plain: Any, mode: str, monkeypatch: Any) -> None:
    async def main() -> None:
        host = await Host(receive_mode=mode).start("udp")
        listener = listener_of(host)

        def dead(_source: socket.socket, _most: int) -> list[Any]:
            raise OSError(100, "Network is down")

        monkeypatch.setattr(listener, "read_batch", dead)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.sendto(options(), ("127.0.0.1", listener.address.port))
        await until(lambda: host.changes, "the death to be noticed")
        assert host.transports.listener_states[0].state is ListenerState.FAILED
        await host.stop()

    run_plain(main())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may take addresses away")
@linux_only
@pytest.mark.expects_log("does not receive")
def test_an_address_that_is_taken_away_and_given_back_is_listened_on_again(run: Any, network: Any) -> None:
    own = "198.51.100.77"

    def change(verb: str) -> None:
        subprocess.run(["ip", "address", verb, f"{own}/32", "dev", "lo"], check=True)

    async def main() -> None:
        host = Host(RESPONSE)
        await host.transports.start([ListenAddress("udp", own, 0), ListenAddress("tcp", own, 0)], None)
        ports = dict(host.ports)
        change("del")
        host.advance(6)
        await until(lambda: len(host.changes) == 2, "both to be seen as gone")
        assert {change.state for change in host.changes} == {ListenerState.ADDRESS_GONE}
        assert host.changes[0].error == f"this machine has no address {own} at the moment"
        change("replace")
        host.advance(6)
        await until(lambda: len(host.transports.listening) == 2, "both to be back")
        assert host.ports == ports
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer, socket.socket() as caller:
            peer.sendto(options(1), (own, ports["udp"]))
            caller.setblocking(False)
            await asyncio.get_running_loop().sock_connect(caller, (own, ports["tcp"]))
            caller.sendall(options(2))
            await until(lambda: len(host.received) == 2, "messages by both")
        await host.stop()

    try:
        change("replace")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("the tool ip cannot add addresses here")
    try:
        run(main())
    finally:
        subprocess.run(["ip", "address", "del", f"{own}/32", "dev", "lo"], check=False, capture_output=True)


def test_listeners_are_exchanged_while_the_rest_goes_on(run: Any, network: Any) -> None:
    async def main() -> None:
        first, second = network.address(1), network.address(2)
        host = Host()
        await host.transports.start([ListenAddress("udp", first, 0), ListenAddress("tcp", first, 0)], None)
        udp = listener_of(host)
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        taken.bind((second, 0))
        with taken, pytest.raises(ListenError):
            await host.transports.listen([ListenAddress("udp", second, taken.getsockname()[1])], None)
        assert [str(each.transport) for each in host.transports.listening] == ["udp", "tcp"]
        await host.transports.listen([ListenAddress("udp", first, 0), ListenAddress("udp", second, 0)], None)
        assert [(each.transport, each.host) for each in host.transports.listening] == [("udp", first), ("udp", second)]
        assert listener_of(host) is udp
        # One address instead of all of them, on the same port: the old socket makes way; and comes back on failure.
        await host.transports.listen([ListenAddress("udp", "0.0.0.0", 0)], None)
        port = host.ports["udp"]
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
            other.bind((second, 0))
            other.listen()
            impossible = ListenAddress("tcp", second, other.getsockname()[1])
            with pytest.raises(ListenError):
                await host.transports.listen([ListenAddress("udp", first, port), impossible], None)
        assert host.transports.listening == [ListenAddress("udp", "0.0.0.0", port)]
        await host.transports.listen([ListenAddress("udp", first, port)], None)
        assert host.transports.listening == [ListenAddress("udp", first, port)]
        await host.stop()

    run(main())


@linux_only
def test_on_all_addresses_the_flow_names_ours_and_answers_leave_from_it(run: Any, network: Any) -> None:
    async def main() -> None:
        host = await Host(RESPONSE).start("udp", host="0.0.0.0")
        called, calling = network.address(7), network.address(8)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind((calling, 0))
            peer.settimeout(5)
            peer.sendto(options(), (called, host.ports["udp"]))
            await until(lambda: host.received, "the datagram")
            assert host.flows[0].local_host == called
            assert peer.recvfrom(65535) == (RESPONSE, (called, host.ports["udp"]))
            own = host.transports.flow_to("udp", *peer.getsockname())
            assert own is not None
            assert own.local_host == "127.0.0.1" == host.transports.local_address_towards(calling)
            host.transports.send(own, options(2))
            assert peer.recvfrom(65535) == (options(2), ("127.0.0.1", host.ports["udp"]))
        await host.stop()

    run(main())


@linux_only
def test_what_was_to_leave_from_an_address_that_is_gone_leaves_from_another(run: Any, peer: socket.socket) -> None:
    """The BYE of a call that began before the machine got a new address."""

    async def main() -> None:
        host = await Host(RESPONSE).start("udp", host="0.0.0.0")
        port = peer.getsockname()[1]
        host.transports.send(Flow("udp", "192.0.2.77", host.ports["udp"], "127.0.0.1", port), b"BYE sip:a SIP/2.0")
        await until(lambda: peer_has(peer), "the message")
        assert peer.recv(100) == b"BYE sip:a SIP/2.0"
        assert not host.failures
        await host.stop()

    def peer_has(each: socket.socket) -> bool:
        return bool(select.select([each], [], [], 0)[0])

    run(main())


def test_ipv6(run: Any) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")

    async def main() -> None:
        try:
            host = await Host(RESPONSE).start("udp", "tcp", host="::1")
        except ListenError:
            pytest.skip("no IPv6 here")
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as peer:
            peer.bind(("::1", 0))
            peer.settimeout(5)
            peer.sendto(options(), ("::1", host.ports["udp"]))
            await until(lambda: host.received, "the datagram")
            assert peer.recv(65535) == RESPONSE
            flow = host.transports.flow_to("udp", "[::1]", peer.getsockname()[1])
            assert flow == host.flows[0]
        assert str(host.transports.listening[0]) == f"udp:[::1]:{host.ports['udp']}"
        assert host.transports.flow_to("udp", "127.0.0.1", 5060) is None
        assert "no listener for UDP over IPv4" in host.transports.no_flow_reason("udp", "127.0.0.1")
        await host.stop()
        both = Host()
        await both.transports.start([ListenAddress("udp", "0.0.0.0", 0)], None)
        await both.transports.listen([*both.transports.listening, ListenAddress("udp", "::", both.ports["udp"])], None)
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as peer:
            peer.sendto(options(), ("::1", both.ports["udp"]))
            await until(lambda: both.received, "the datagram on all addresses")
            assert both.flows[0].local_host == "::1"
        await both.stop()

    run(main())


def test_a_flow_is_only_made_where_a_listener_fits(run_plain: Any, network: Any) -> None:
    async def main() -> None:
        host = Host()
        first, second = network.address(1), network.address(2)
        await host.transports.start([ListenAddress("udp", first, 0), ListenAddress("udp", second, 0)], None)
        assert host.transports.flow_to("tcp", second, 5060) is None
        assert "no listener for TCP over IPv4" in host.transports.no_flow_reason("tcp", second)
        assert host.transports.flow_to("udp", "pbx.example.com", 5060) is None
        assert "not an IP address" in host.transports.no_flow_reason("udp", "pbx.example.com")
        assert host.transports.no_flow_reason("udp", second) == ""
        # The system sends to an address of its own from that very address.
        towards = host.transports.local_address_towards(second)
        flow = host.transports.flow_to("udp", second, 5060)
        assert flow is not None
        assert flow.local_host == (towards if towards in (first, second) else first)
        assert host.transports.local_address_towards("nobody") == "0.0.0.0"
        await host.stop()

    run_plain(main())


def test_keep_alives_are_sent_on_a_udp_flow_until_it_is_told_to_stop(run: Any, peer: socket.socket) -> None:
    async def main() -> None:
        host = await Host(limits=TransportLimits(keep_alives=1)).start("udp")
        flow = host.transports.flow_to("udp", *peer.getsockname())
        assert flow is not None
        host.advance(0)
        host.transports.keep_alive(flow, 20)
        host.transports.keep_alive(flow._replace(remote_port=9), 20)  # one too many
        host.advance(19)
        host.advance(2)
        assert peer.recv(65535) == b"\r\n\r\n"
        host.transports.keep_alive(flow, None)
        host.advance(30)
        await asyncio.sleep(0)
        host.transports.send(flow, options())
        assert peer.recv(65535) == options()
        await host.stop()

    run(main())


@pytest.mark.expects_log("was not dealt with")
def test_a_mistake_of_the_receiver_does_not_stop_the_listener(run: Any, peer: socket.socket) -> None:
    seen: list[bytes] = []

    def broken(batch: list[tuple[bytes, Flow]]) -> None:
        seen.extend(data for data, _flow in batch)
        raise KeyError("a bug")

    async def main() -> None:
        transports = Transports(broken, lambda _flow, _error: None)
        await transports.start([ListenAddress("udp", "127.0.0.1", 0)], None)
        for number in range(2):
            peer.sendto(options(number), ("127.0.0.1", transports.listening[0].port))
            await until(lambda wanted=number: len(seen) == wanted + 1, "the datagram")
        await transports.stop()

    run(main())


def test_what_the_thread_hands_over_after_the_stop_is_dropped(run: Any, peer: socket.socket) -> None:
    async def main() -> None:
        host = await Host(receive_mode="thread").start("udp")
        port = host.ports["udp"]
        for number in range(10):
            peer.sendto(options(number), ("127.0.0.1", port))
        backlog = listener_of(host)._receiver._backlog  # type: ignore[union-attr]
        wait_until(lambda: len(backlog) == 10, "the thread to have read them")
        await host.stop()
        await asyncio.sleep(0.01)
        assert host.received == []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(("127.0.0.1", port))

    run(main())


def test_the_thread_works_where_there_is_no_poll(run_plain: Any, peer: socket.socket, monkeypatch: Any) -> None:
    """As on Windows."""
    monkeypatch.delattr(select, "poll")

    async def main() -> None:
        host = await Host(RESPONSE, receive_mode="thread").start("udp")
        for number in range(3):
            peer.sendto(options(number), ("127.0.0.1", host.ports["udp"]))
            assert await asyncio.to_thread(peer.recv, 65535) == RESPONSE
        assert host.received == [options(number) for number in range(3)]
        await host.stop()

    run_plain(main())


@linux_only
def test_connections_are_never_more_than_half_the_descriptors() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        assert connection_bound(TransportLimits()) == 512
        assert connection_bound(TransportLimits(connections=100)) == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
