"""TCP and TLS from end to end: two servers joined by a trunk, peers that hang up their connections, large requests."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.documents import CALLER, CARRIER_A, SERVER, document
from support.ports import LoopbackNetwork
from support.running_engine import RunningEngine
from support.scenario import Scenario, answering, audio_sdp, calling, refused_with
from support.server import RunningServer
from support.sip_text import SipSocket, SipText
from support.starting import StartEngine, StartServer, StartSipp
from support.stream_peer import SDP, Stream, StreamPeer

pytestmark = pytest.mark.wire

OTHER_SERVER = 2
LARGE = "a=x-padding:" + "x" * 1200 + "\r\n"
"""Makes a session description too large for a datagram (RFC 3261 18.1.1)."""

StartBoth = Callable[..., tuple[Any, Any]]


# --- two servers ------------------------------------------------------------------------------------------------------


@pytest.fixture
def start_both(network: LoopbackNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartBoth]:
    """Two servers joined by trunk 1 of each; 13 leads to the second one's side, 24 to the first one's.

    They run in this process unless `processes` says otherwise.
    """
    with ExitStack() as stack:

        def start(
            trunk: dict[str, Any], *systems: dict[str, Any], trusted: Path | None = None, processes: bool = False
        ) -> Any:
            if trusted is not None:
                monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
            hosts, sides = (SERVER, OTHER_SERVER), (CALLER, CARRIER_A)
            servers = []
            for own in (0, 1):
                joined = {"id": 1, "server_address": network.address(hosts[1 - own]), **trunk}
                tables = {
                    "system": {"sip_tls_port": 5061, **(systems[own] if systems else {})},
                    "sip_trunks": [joined, {"id": 2, "server_address": network.address(sides[own])}],
                    "analyze_called_numbers": [
                        {"prefix": "13", "route_type": "sip_trunk", "target_id": 1 if own == 0 else 2},
                        {"prefix": "24", "route_type": "sip_trunk", "target_id": 2 if own == 0 else 1},
                    ],
                }
                place = tmp_path / f"server-{own}", tables, network.address(hosts[own])
                if processes:
                    servers.append(stack.enter_context(RunningServer(*place)))
                else:
                    servers.append(RunningEngine(*place))
                    stack.callback(servers[-1].stop)
            return tuple(servers)

        yield start


def connections_between(first: Any, second: Any) -> int:
    """How many TCP connections these two have (Linux: from /proc)."""
    hosts = {socket.inet_aton(server.address)[::-1].hex().upper() for server in (first, second)}
    found = set()
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        if state == "01" and {local.partition(":")[0], remote.partition(":")[0]} == hosts:
            found.add(frozenset((local, remote)))
    return len(found)


def holding() -> Scenario:
    """A caller that puts the call on hold, takes it back and hangs up."""
    scenario = Scenario().invite().expect(100, optional=True).expect(180).expect(200).acknowledge()
    return scenario.reinvite("sendonly", 2).reinvite("sendrecv", 3).hang_up()


def held() -> Scenario:
    """The called side of it."""
    scenario = Scenario().expect_invite().respond(180).answer()
    scenario.answer_request("INVITE", audio_sdp("recvonly", 2)).answer_request("INVITE", audio_sdp("sendrecv", 3))
    return scenario.answer_request("BYE")


def call_both_ways(start_sipp: StartSipp, network: LoopbackNetwork) -> None:
    """A call with hold from the first server's side to the second one's, and one the other way."""
    for caller, carrier, called, server in (
        (CALLER, CARRIER_A, "135550", SERVER),
        (CARRIER_A, CALLER, "245550", OTHER_SERVER),
    ):
        listening = start_sipp(held(), carrier)
        start_sipp(holding(), caller, called=called, port=5062, remote=f"{network.address(server)}:5060").succeed()
        listening.succeed()
        listening.kill()


@pytest.mark.parametrize(
    "trunk",
    [{"transport": "tcp"}, {"transport": "tls", "server_port": 5061, "tls_verify": False}],
    ids=["tcp", "tls"],
)
def test_calls_both_ways_by_one_connection(
    network: LoopbackNetwork, start_both: StartBoth, start_sipp: StartSipp, trunk: dict[str, Any]
) -> None:
    """RFC 5923: the connection that the first server made serves the second one's calls, too."""
    first, second = start_both(trunk, processes=trunk["transport"] == "tcp")
    call_both_ways(start_sipp, network)
    assert connections_between(first, second) == 1
    for server in (first, second):
        server.wait_for_calls(2)


def test_calls_both_ways_where_both_verify_the_other(
    network: LoopbackNetwork, start_both: StartBoth, start_sipp: StartSipp, tmp_path: Path
) -> None:
    """Each makes a connection of its own: only the side that connects sees the other's certificate."""
    authority = Authority(tmp_path / "authority")
    systems = [authority.system_fields(network.address(host)) for host in (SERVER, OTHER_SERVER)]
    first, second = start_both({"transport": "tls", "server_port": 5061}, *systems, trusted=authority.path)
    call_both_ways(start_sipp, network)
    assert connections_between(first, second) == 2


@pytest.mark.parametrize("wrong", ["self-made", "for another address"])
def test_a_certificate_that_is_not_good_ends_the_attempt_and_says_why(
    network: LoopbackNetwork, start_both: StartBoth, start_sipp: StartSipp, tmp_path: Path, wrong: str
) -> None:
    authority = Authority(tmp_path / "authority")
    systems: list[dict[str, Any]] = [{}, {}]
    if wrong == "for another address":
        systems[1] = authority.system_fields(network.address(99))
    first, second = start_both({"transport": "tls", "server_port": 5061}, *systems, trusted=authority.path)
    start_sipp(refused_with(503), CALLER, called="135550").succeed()
    (record,) = first.wait_for_calls(1)
    (attempt,) = record.attempts
    print(attempt.reason, record.trail)
    assert "certificate is not accepted" in attempt.reason, attempt
    assert ("self" in attempt.reason) if wrong == "self-made" else ("mismatch" in attempt.reason), attempt
    assert any("certificate is not accepted" in str(step) for step in record.trail), record.trail
    assert record.end_cause == "trunk_failed"
    assert second.calls() == []


# --- connections that close -------------------------------------------------------------------------------------------


def take_call(stream: Stream, peer: StreamPeer) -> SipText:
    """Ring, answer and wait for the ACK; returns the INVITE."""
    invite = stream.expect("INVITE")
    stream.answer(invite, 180, contact=peer.uri)
    stream.answer(invite, contact=peer.uri, body=SDP)
    stream.expect("ACK")
    return invite


def test_a_request_in_a_dialog_whose_connection_was_closed_makes_another(
    network: LoopbackNetwork, start_engine: StartEngine, start_sipp: StartSipp
) -> None:
    start_engine(document(network, {1: {"transport": "tcp"}}))
    with StreamPeer(network.address(CARRIER_A)) as carrier:
        caller = start_sipp(calling(500), CALLER, called="135550")
        first = carrier.accept()
        take_call(first, carrier)
        first.close()
        again = carrier.accept()
        again.answer(again.expect("BYE"))
        caller.succeed()


def test_a_peer_that_comes_back_by_another_connection_is_heard_and_followed(
    network: LoopbackNetwork, start_engine: StartEngine, start_sipp: StartSipp
) -> None:
    """The called side loses its connection, makes a new one, asks something, and gets the caller's BYE there."""
    server = start_engine(document(network, {1: {"transport": "tcp"}}))
    with StreamPeer(network.address(CARRIER_A)) as carrier:
        caller = start_sipp(calling(2000), CALLER, called="135550")
        first = carrier.accept()
        invite = take_call(first, carrier)
        first.close()
        again = carrier.connect((server.address, server.port))
        contact = (invite.header("Contact") or "").strip("<>")
        to = invite.header("From") or ""
        own = (invite.header("To") or "") + ";tag=peer"
        lines = carrier.request("OPTIONS", contact, to, invite.header("Call-ID") or "", 1)
        again.send([f"From: {own}" if line.startswith("From:") else line for line in lines])
        again.expect(status=200)
        again.answer(again.expect("BYE"))
        caller.succeed()
        assert carrier.nobody_connects()


def test_an_answer_finds_the_caller_whose_connection_was_closed(
    network: LoopbackNetwork, start_engine: StartEngine, start_sipp: StartSipp
) -> None:
    """RFC 3261 18.2.2: a new connection to the port that the request's Via names."""
    server = start_engine(document(network, {3: {"transport": "tcp"}}))
    carrier = start_sipp(answering(ring_milliseconds=700), CARRIER_A)
    with StreamPeer(network.address(CALLER)) as caller:
        stream = caller.connect((server.address, server.port))
        uri = f"sip:135550@{server.address}"
        stream.send(caller.request("INVITE", uri, f"<{uri}>", "closed-early"), SDP)
        ringing = stream.receive()
        while ringing.status != 180:
            ringing = stream.receive()
        stream.close()
        again = caller.accept()
        answer = again.expect(status=200)
        to, contact = answer.header("To") or "", (answer.header("Contact") or "").strip("<>")
        again.send(caller.request("ACK", contact, to, "closed-early"))
        again.send(caller.request("BYE", contact, to, "closed-early", 2))
        again.expect(status=200)
    carrier.succeed()


def test_a_connection_that_closes_before_any_answer_fails_the_attempt_at_once(
    network: LoopbackNetwork, start_engine: StartEngine, start_sipp: StartSipp
) -> None:
    server = start_engine(document(network, {1: {"transport": "tcp", "next_trunk_id": 2}}))
    backup = start_sipp(answering(), 20)
    with StreamPeer(network.address(CARRIER_A)) as carrier:
        caller = start_sipp(calling(), CALLER, called="135550")
        stream = carrier.accept()
        stream.expect("INVITE")
        stream.close()
        caller.succeed()
    backup.succeed()
    (record,) = server.wait_for_calls(1)
    assert "closed by the peer" in record.attempts[0].reason, record.attempts


# --- requests too large for a datagram --------------------------------------------------------------------------------


def large_call() -> Scenario:
    """A caller whose offer is too large for a datagram."""
    scenario = Scenario().invite(audio_sdp() + "\r\n" + LARGE).expect(100, optional=True).expect(180, optional=True)
    return scenario.expect(200).acknowledge().pause(50).hang_up()


def udp_socket(address: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((address, 5060))
    opened.settimeout(10)
    return opened


def test_a_large_request_goes_by_tcp_and_the_rest_of_the_call_by_udp(
    network: LoopbackNetwork, start_engine: StartEngine, start_sipp: StartSipp
) -> None:
    start_engine(document(network))
    address = network.address(CARRIER_A)
    with StreamPeer(address) as carrier, udp_socket(address) as datagrams:
        caller = start_sipp(large_call(), CALLER, called="135550")
        stream = carrier.accept()
        invite = stream.expect("INVITE")
        assert len(invite.text) > 1300
        assert (invite.header("Via") or "").startswith("SIP/2.0/TCP ")
        stream.answer(invite, contact=f"sip:peer@{address}", body=SDP)
        assert datagrams.recv(65535).startswith(b"ACK ")
        bye, source = datagrams.recvfrom(65535)
        assert bye.startswith(b"BYE ")
        head = [line for line in bye.decode().split("\r\n") if line.partition(":")[0] in _ANSWERED]
        datagrams.sendto("\r\n".join(["SIP/2.0 200 OK", *head, "Content-Length: 0", "", ""]).encode(), source)
        caller.succeed()


_ANSWERED = ("Via", "From", "To", "Call-ID", "CSeq")


def test_a_large_request_goes_by_udp_where_tcp_is_refused(
    network: LoopbackNetwork, start_engine: StartEngine, start_sipp: StartSipp
) -> None:
    start_engine(document(network))
    carrier = start_sipp(answering(), CARRIER_A)
    start_sipp(large_call(), CALLER, called="135550").succeed()
    invites = [each for each in carrier.succeed().messages if each.method == "INVITE"]
    assert len(invites) == 1
    assert (invites[0].header("Via") or "").startswith("SIP/2.0/UDP ")


def test_a_large_request_goes_by_udp_where_nobody_answers_by_tcp_and_that_is_remembered(
    network: LoopbackNetwork, start_engine: StartEngine, start_sipp: StartSipp
) -> None:
    start_engine(document(network))
    with StreamPeer(network.address(CARRIER_A)) as silent:
        for first in (True, False):
            carrier = start_sipp(answering(), CARRIER_A)
            caller = start_sipp(large_call(), CALLER, called="135550")
            if first:
                unheard = silent.accept().expect("INVITE")
            caller.succeed()
            (invite,) = (each for each in carrier.succeed().messages if each.method == "INVITE")
            carrier.kill()
            if first:
                branches = [(each.header("Via") or "").partition("branch=")[2] for each in (unheard, invite)]
                assert branches[0].partition(";")[0] == branches[1].partition(";")[0], "a peer that heard both sees one"
        assert silent.nobody_connects()


# --- connections that mean harm ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sources", [1, 40], ids=["one-address", "forty-addresses"])
def test_three_thousand_connections_leave_udp_and_new_clients_alone(
    network: LoopbackNetwork, start_server: StartServer, sources: int
) -> None:
    """A third says nothing, a third dribbles, a third sends headers without an end."""
    server = start_server(document(network))
    needs_descriptors(3500)
    with ExitStack() as stack:
        trunk = stack.enter_context(SipSocket(network.address(CALLER), (server.address, server.port)))
        uri = f"sip:{server.address}"
        streams = []
        for number in range(3000):
            stream = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            stream.bind((network.address(101 + number % sources), 0))
            stream.settimeout(10)
            stream.connect((server.address, server.port))
            stream.setblocking(False)
            streams.append(stream)
        endless = b"INVITE sip:100@x SIP/2.0\r\n" + b"X-Header: and another one\r\n" * 40
        slowest = 0.0
        for round_ in range(10):
            for number, stream in enumerate(streams):
                if number % 3:
                    push(stream, b"INVITE sip"[round_ : round_ + 1] if number % 3 == 1 else endless)
            started = time.monotonic()
            assert trunk.request("OPTIONS", uri, f"sip:a@{trunk.address}", uri).status == 200
            slowest = max(slowest, time.monotonic() - started)
        started = time.monotonic()
        with StreamPeer(network.address(CARRIER_A)) as client:
            stream = client.connect((server.address, server.port))
            stream.send(client.request("OPTIONS", uri, f"<{uri}>", "new-client"))
            stream.expect(status=200)
        new_client = time.monotonic() - started
    print(f"slowest answer by UDP {slowest:.3f} s, a new TCP client {new_client:.3f} s")
    assert slowest < 1.0
    assert new_client < 1.0


def push(stream: socket.socket, data: bytes) -> None:
    """Send what the other side takes; many of these connections are closed by now."""
    with contextlib.suppress(OSError):
        stream.send(data)


def needs_descriptors(count: int) -> None:
    """Allow this process so many open files, or skip."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard < count:
            pytest.skip(f"only {hard} open files are allowed here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
