"""TLS and TCP on every side of a running server: phones, lines, keep-alives, certificates, hostile connections."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.baresip import Baresip
from support.certificates import Authority
from support.documents import CARRIER_A, PASSWORDS, PHONE_100, SERVER, STRANGER, document
from support.ports import LoopbackNetwork
from support.running_engine import RunningEngine
from support.scenario import answering, calling
from support.server import RunningServer
from support.sip_text import SipSocket, SipText, digest_header
from support.starting import StartServer, StartSipp
from support.waiting import wait_until

from app.events import LineState

pytestmark = pytest.mark.wire

PROVIDER = 2
TLS_ON = {"sip_tls_port": 5061}


def trusting() -> ssl.SSLContext:
    """A client that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def certificate_of(address: str, port: int = 5061) -> bytes:
    """The certificate that a server shows."""
    with (
        socket.create_connection((address, port), 10) as connection,
        trusting().wrap_socket(connection) as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    assert shown is not None
    return shown


# --- phones -----------------------------------------------------------------------------------------------------------


def test_a_phone_registers_over_tls_is_called_and_calls(
    network: LoopbackNetwork, start_server: StartServer, start_sipp: StartSipp, tmp_path: Path
) -> None:
    server = start_server(document(network, system=TLS_ON))
    assert f"tls:{server.address}:5061" in server.ready["sip"]
    place = tmp_path / "phone", network.address(PHONE_100), f"{server.address}:5061", "100", PASSWORDS["100"]
    with Baresip(*place, transport="tls") as phone:
        phone.registered()
        caller = start_sipp(calling(100), CARRIER_A, called="100")
        phone.wait_for("CALL_INCOMING")
        phone.accept()
        phone.wait_for("CALL_CLOSED")
        caller.succeed()
        caller.kill()
        carrier = start_sipp(answering(), CARRIER_A)
        phone.dial("135550")
        phone.wait_for("CALL_ESTABLISHED")
        phone.hang_up()
        carrier.succeed()
    assert {record["status"] for record in server.wait_for_calls(2)} == {200}


# --- lines ------------------------------------------------------------------------------------------------------------


StartLine = Callable[..., RunningEngine]


@pytest.fixture
def start_line(network: LoopbackNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartLine]:
    """A server with a line at a provider, which is another server; `certificate_for` whom the provider's is."""
    authority = Authority(tmp_path / "authority")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    with ExitStack() as stack:

        def start(certificate_for: str = "", verify: bool = True, transport: str = "tls") -> RunningEngine:
            system: dict[str, Any] = dict(TLS_ON)
            if certificate_for:
                system |= authority.system_fields(certificate_for)
            to_the_carrier = [{"prefix": "0", "route_type": "sip_trunk", "target_id": 1}]
            accounts = [{"number": "300", "password": "line1pw"}]
            provider = RunningEngine(
                tmp_path / "provider",
                document(network, system=system, local_users=accounts, analyze_called_numbers=to_the_carrier),
                network.address(PROVIDER),
            )
            stack.callback(provider.stop)
            line = {
                "id": 1,
                "account": "300",
                "password": "line1pw",
                "server_address": network.address(PROVIDER),
                "server_port": 5060 if transport == "tcp" else 5061,
                "transport": transport,
                "tls_verify": verify,
                "local_user": "100",
            }
            numbers = [{"prefix": "0", "route_type": "external_line", "target_id": 1}]
            own = document(network, system=TLS_ON, external_lines=[line], analyze_called_numbers=numbers)
            engine = RunningEngine(tmp_path / "own", own, network.address(SERVER))
            stack.callback(engine.stop)
            return engine

        yield start


@pytest.mark.parametrize(
    ("transport", "verify"), [("tcp", True), ("tls", True), ("tls", False)], ids=["tcp", "verified", "not-verified"]
)
def test_a_line_registers_over_tcp_and_tls_and_its_calls_go_there(
    network: LoopbackNetwork, start_line: StartLine, start_sipp: StartSipp, transport: str, verify: bool
) -> None:
    """The provider sends the call on to carrier A."""
    certificate_for = network.address(PROVIDER) if verify and transport == "tls" else ""
    engine = start_line(certificate_for, verify, transport)
    wait_until(lambda: engine.line().state is LineState.REGISTERED, f"the registration: {engine.line()}")
    carrier = start_sipp(answering(), CARRIER_A)
    start_sipp(calling(), 30, called="0135550", remote=f"{network.address(SERVER)}:5060").succeed()
    (record,) = engine.wait_for_calls(1)
    assert (record.target, record.status) == ("line:1", 200), record
    carrier.kill()


@pytest.mark.parametrize("wrong", ["self-made", "for another address"])
def test_a_line_refuses_a_provider_whose_certificate_is_no_good_and_says_so(
    network: LoopbackNetwork, start_line: StartLine, wrong: str
) -> None:
    engine = start_line(network.address(99) if wrong == "for another address" else "")
    wait_until(lambda: "certificate is not accepted" in engine.line().reason, f"the refusal: {engine.line()}")
    words = engine.line().reason
    assert ("self" in words) if wrong == "self-made" else ("mismatch" in words), words
    assert engine.line().state is not LineState.REGISTERED


# --- keep-alives and certificates -------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_double_crlf_is_answered_with_a_single_one(
    network: LoopbackNetwork, start_server: StartServer, transport: str
) -> None:
    """RFC 5626 4.4.1, before, between and after messages."""
    server = start_server(document(network, system=TLS_ON))
    port = 5061 if transport == "tls" else 5060
    with socket.create_connection((server.address, port), 10, (network.address(PHONE_100), 0)) as plain:
        connection = trusting().wrap_socket(plain) if transport == "tls" else plain
        connection.settimeout(5)
        for number in range(3):
            connection.sendall(b"\r\n\r\n")
            assert connection.recv(100) == b"\r\n"
            connection.sendall(options(server.address, network.address(PHONE_100), transport, number))
            assert connection.recv(65535).startswith(b"SIP/2.0 200 ")
        connection.sendall(b"\r\n")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        connection.close()


def options(server: str, own: str, transport: str, number: int = 0) -> bytes:
    lines = (
        f"OPTIONS sip:{server} SIP/2.0",
        f"Via: SIP/2.0/{transport.upper()} {own}:5060;branch=z9hG4bKoptions{number}",
        f"From: <sip:a@{own}>;tag=a",
        f"To: <sip:{server}>",
        f"Call-ID: options-{number}@{own}",
        f"CSeq: {number + 1} OPTIONS",
        "Content-Length: 0",
    )
    return "\r\n".join([*lines, "", ""]).encode()


def test_the_self_made_certificate_is_kept_and_its_key_is_nobody_elses(
    network: LoopbackNetwork, start_server: StartServer
) -> None:
    server = start_server(document(network, system={**TLS_ON, "domain": "pbx.example.com"}))
    before = certificate_of(server.address)
    kept = list((server.data / "tls").glob("*.pem"))
    (key,) = (path for path in kept if b"PRIVATE KEY" in path.read_bytes())
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    server.stop()
    server.start()
    assert certificate_of(server.address) == before


def test_the_users_certificate_is_shown_and_a_new_one_is_taken_while_the_server_runs(
    network: LoopbackNetwork, start_server: StartServer, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    server_address = network.address(SERVER)
    shown = authority.system_fields(server_address)
    first = Path(shown["tls_certificate"]).read_bytes()
    server = start_server(document(network, system=TLS_ON | shown))
    assert ssl.DER_cert_to_PEM_cert(certificate_of(server.address)).strip().encode() == first.strip()
    with (
        socket.create_connection((server.address, 5061), 10) as plain,
        authority.verifying().wrap_socket(plain, server_hostname=server.address) as secured,
    ):
        secured.settimeout(5)
        secured.sendall(options(server.address, network.address(STRANGER), "tls"))
        assert secured.recv(65535).startswith(b"SIP/2.0 200 ")
        other = Authority(tmp_path / "other").system_fields(server_address)
        server.reconfigure({"system": other})
        wanted = Path(other["tls_certificate"]).read_bytes().strip()
        wait_until(
            lambda: ssl.DER_cert_to_PEM_cert(certificate_of(server.address)).strip().encode() == wanted,
            "the new certificate",
        )
        # The connection that was there goes on.
        secured.sendall(options(server.address, network.address(STRANGER), "tls", 1))
        assert secured.recv(65535).startswith(b"SIP/2.0 200 ")


# --- connections that mean harm ---------------------------------------------------------------------------------------


def client_hello() -> bytes:
    """The beginning of a TLS handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = trusting().wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("sources", [1, 40], ids=["one-address", "forty-addresses"])
def test_three_thousand_tls_connections_leave_udp_and_new_clients_alone(
    network: LoopbackNetwork, start_server: StartServer, needs_descriptors: None, sources: int
) -> None:
    """A third says nothing, a third sends its part of the handshake byte by byte, a third all of it and no more."""
    server = start_server(document(network, system=TLS_ON))
    hello = client_hello()
    with ExitStack() as stack:
        trunk = stack.enter_context(SipSocket(network.address(30), (server.address, server.port)))
        uri = f"sip:{server.address}"
        streams, slowest = [], {"udp": 0.0, "tls": 0.0}
        for number in range(3000):
            stream = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            stream.bind((network.address(101 + number % sources), 0))
            stream.settimeout(10)
            stream.connect((server.address, 5061))
            stream.setblocking(False)
            streams.append(stream)
            if number % 3 == 2:
                push(stream, hello)
        for round_ in range(5):
            for number, stream in enumerate(streams):
                if number % 3 == 1:
                    push(stream, hello[round_ : round_ + 1])
            began = time.monotonic()
            assert trunk.request("OPTIONS", uri, f"sip:a@{trunk.address}", uri).status == 200
            slowest["udp"] = max(slowest["udp"], time.monotonic() - began)
            began = time.monotonic()
            with (
                socket.create_connection((server.address, 5061), 5, (network.address(200 + round_), 0)) as plain,
                trusting().wrap_socket(plain) as client,
            ):
                client.settimeout(5)
                client.sendall(options(server.address, network.address(200 + round_), "tls"))
                assert client.recv(65535).startswith(b"SIP/2.0 200 ")
            slowest["tls"] = max(slowest["tls"], time.monotonic() - began)
        held = connections_of(server)
    print(f"slowest answer by UDP {slowest['udp']:.3f} s, to a new TLS client {slowest['tls']:.3f} s; {held} held")
    assert max(slowest.values()) < 1.0
    assert held <= (110 if sources == 1 else 2010)


def test_three_thousand_strangers_that_asked_something_push_out_no_phone_and_no_trunk(
    network: LoopbackNetwork, start_server: StartServer, needs_descriptors: None
) -> None:
    """Anybody can complete a message: that alone keeps no place in which another could be served."""
    server = start_server(document(network))
    with ExitStack() as stack:

        def connected(address: str) -> socket.socket:
            stream = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            stream.bind((address, 0))
            stream.settimeout(5)
            stream.connect((server.address, server.port))
            return stream

        def asks(stream: socket.socket, address: str, number: int = 0) -> bytes:
            stream.sendall(options(server.address, address, "tcp", number))
            return stream.recv(65535)

        phone, trunk = connected(network.address(PHONE_100)), connected(network.address(CARRIER_A))
        register(phone, server.address, "100")
        assert asks(trunk, network.address(CARRIER_A)).startswith(b"SIP/2.0 200 ")
        for number in range(3000):
            address = network.address(101 + number % 40)
            assert asks(connected(address), address).startswith(b"SIP/2.0 200 ")
        began = time.monotonic()
        assert asks(connected(network.address(200)), network.address(200)).startswith(b"SIP/2.0 200 ")
        assert time.monotonic() - began < 1.0
        assert asks(phone, network.address(PHONE_100), 1).startswith(b"SIP/2.0 200 ")
        assert asks(trunk, network.address(CARRIER_A), 1).startswith(b"SIP/2.0 200 ")
        assert connections_of(server) <= 2010


def register(stream: socket.socket, server: str, number: str) -> None:
    """Register a phone by a connection."""
    uri, authorization = f"sip:{server}", ""
    for sequence in (1, 2):
        host, port = stream.getsockname()
        lines = [
            f"REGISTER {uri} SIP/2.0",
            f"Via: SIP/2.0/TCP {host}:{port};branch=z9hG4bKregister{sequence}",
            f"From: <sip:{number}@{server}>;tag=register",
            f"To: <sip:{number}@{server}>",
            f"Call-ID: register@{host}",
            f"CSeq: {sequence} REGISTER",
            f"Contact: <sip:{number}@{host}:{port};transport=tcp>",
            "Max-Forwards: 70",
            *([f"Authorization: {authorization}"] if authorization else []),
            "Content-Length: 0",
        ]
        stream.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = SipText(False, stream.recv(65535).decode().replace("\r\n", "\n"))
        if sequence == 1:
            challenge = answer.header("WWW-Authenticate")
            assert challenge is not None
            authorization = digest_header(challenge, "REGISTER", uri, number, PASSWORDS[number])
    assert answer.status == 200


def push(stream: socket.socket, data: bytes) -> None:
    """Send what the other side takes; many of these connections are closed by now."""
    with contextlib.suppress(OSError):
        stream.send(data)


def connections_of(server: RunningServer) -> int:
    """How many sockets the server has open (Linux)."""
    found = 0
    for path in Path(f"/proc/{server.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found += bool(re.match(r"socket:", str(path.readlink())))
    return found


@pytest.fixture
def needs_descriptors() -> None:
    """Allow this process 3,500 open files, or skip."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 3500:
        if hard < 3500:
            pytest.skip(f"only {hard} open files are allowed here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (3500, hard))
