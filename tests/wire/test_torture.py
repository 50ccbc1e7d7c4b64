"""The messages of RFC 4475 and RFC 5118 sent to a running server: each gets what the index beside it says.

They come from a SIP trunk, so that none is turned away for its source, and REGISTERs are challenged. Replies over UDP
go to the ports that the messages' Vias name, so the sender has them all on an address of its own. Nothing waits for a
silence: the server handles one datagram after the other, so what follows the answer to a later ping is no reply.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.documents import CALLER, SERVER, document
from support.ports import LoopbackNetwork
from support.server import RunningServer
from support.sip_text import SipSocket

pytestmark = pytest.mark.wire

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "torture"
VIA_PORTS = (5060, 5050, 6050, 19823)
INCOMPLETE = {"clerr", "baddn"}
"""One says that 9,999 bytes of body follow, the other ends before its empty line: a stream waits for the rest."""
NO_LENGTH = {"ncl", "mcl01", "dblreq"}
"""Lengths that say nothing, and (dblreq) one that is 5 bytes too short: what follows cannot be cut into messages."""


def load(name: str) -> list[dict[str, Any]]:
    """An index with the bytes of each message, empty when the folder is missing."""
    path = FOLDER / name / "index.json"
    if not path.exists():
        return []
    entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return [{**entry, "data": (path.parent / entry["file"]).read_bytes()} for entry in entries]


RFC_4475, RFC_5118 = load("rfc4475"), load("rfc5118")
needs_messages = pytest.mark.skipif(not RFC_4475, reason="shared/torture is not beside the repository")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all messages; at the end its log must be clean."""
    network = LoopbackNetwork()
    with RunningServer(tmp_path_factory.mktemp("torture") / "data", document(network), network.address(SERVER)) as one:
        yield one
    network.close()


@pytest.fixture(scope="module")
def tormentor(server: RunningServer) -> Iterator[Tormentor]:
    with ExitStack() as stack:
        yield Tormentor(server, stack)


class Tormentor:
    """Sends a message from the trunk's address and gives back the statuses that came for it."""

    def __init__(self, server: RunningServer, stack: ExitStack) -> None:
        self.server = (server.address, server.port)
        self.address = f"{server.address.rpartition('.')[0]}.{CALLER}"
        self.selector = stack.enter_context(selectors.DefaultSelector())
        self.sockets: list[socket.socket] = []
        for port in VIA_PORTS:
            opened = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            opened.bind((self.address, port))
            self.selector.register(opened, selectors.EVENT_READ)
            self.sockets.append(opened)
        self.pinger = stack.enter_context(SipSocket(self.address, self.server, 5999))

    def ping(self) -> int:
        """Whether the server lives: the status of an OPTIONS from another port."""
        uri = f"sip:{self.server[0]}"
        return self.pinger.request("OPTIONS", uri, f"sip:ping@{self.address}", uri).status

    def by_udp(self, data: bytes) -> list[int]:
        """Every status that came for this datagram before the server answered the next one."""
        self._drain()
        self.sockets[0].sendto(data, self.server)
        assert self.ping() == 200
        mine = call_ids(data)
        answers = [text for text in self._drain() if not mine or call_ids(text) & mine]
        assert all(text.startswith(b"SIP/2.0 ") for text in answers), "a request came back"
        return [int(text.split(b" ", 2)[1]) for text in answers]

    def _drain(self) -> list[bytes]:
        """What has arrived; on the loopback what was sent before is there."""
        texts = []
        while ready := self.selector.select(0):
            texts += [key.fileobj.recv(65535) for key, _ in ready]  # type: ignore[union-attr]
        return texts

    def by_tcp(self, data: bytes, seconds: float = 20.0) -> tuple[list[int], bool]:
        """Every status that came on a connection of its own, and whether the server closed it.

        An OPTIONS follows where the message does not break the stream: what precedes its answer belongs to the message.
        """
        with socket.create_connection(self.server, timeout=seconds) as stream:
            stream.sendall(data)
            return self._read(stream, data, seconds)

    def _read(self, stream: socket.socket, data: bytes, seconds: float) -> tuple[list[int], bool]:
        received, pinged, deadline = b"", False, time.monotonic() + seconds
        # A message without Content-Length ends where the data do: the ping must be data of its own.
        patience = 0.3
        while time.monotonic() < deadline:
            stream.settimeout(patience)
            try:
                piece = stream.recv(65535)
            except TimeoutError:
                if not pinged:
                    stream.sendall(self._ping_on_stream())
                pinged, patience = True, seconds
                continue
            except ConnectionResetError:
                return statuses(received), True
            received += piece
            if not piece:
                return statuses(received), True
            if b"Call-ID: ping-on-stream" in received:
                return statuses(received)[:-1], False
            if not pinged and statuses(received) and statuses(received)[-1] >= 200:
                patience = 0.1
        raise AssertionError(f"neither an answer to the ping nor the end of the connection; {received!r} came")

    def _ping_on_stream(self) -> bytes:
        lines = (
            f"OPTIONS sip:{self.server[0]} SIP/2.0",
            f"Via: SIP/2.0/TCP {self.address}:5999;branch=z9hG4bKping{time.monotonic_ns()}",
            f"From: <sip:ping@{self.address}>;tag=p",
            f"To: <sip:{self.server[0]}>",
            "Call-ID: ping-on-stream",
            "CSeq: 1 OPTIONS",
            "Content-Length: 0",
        )
        return "\r\n".join([*lines, "", ""]).encode()


def call_ids(text: bytes) -> set[bytes]:
    return {found.strip() for found in re.findall(rb"(?im)^(?:call-id|i)[ \t]*:[ \t]*([^\r\n]*)", text)}


def statuses(stream: bytes) -> list[int]:
    """The statuses of the responses in a stream."""
    return [int(status) for status in re.findall(rb"^SIP/2\.0 (\d{3}) ", stream, re.MULTILINE)]


def is_as_wished(entry: dict[str, Any], codes: list[int]) -> bool:
    """The rules of shared/torture/README.md."""
    final = [code for code in codes if code >= 200]
    match entry["pass_rule"]:
        case "silent":
            return not codes
        case "answered_not_400":
            return bool(codes) and not {400, 505, 513} & set(codes)
        case "any_final":
            return bool(final)
        case "status":
            return any(code in entry["status_ok"] for code in final)
    return False


@needs_messages
def test_none_of_the_49_is_missing() -> None:
    assert (len(RFC_4475), len(RFC_5118)) == (49, 12)


@needs_messages
@pytest.mark.parametrize("entry", RFC_4475, ids=[entry["name"] for entry in RFC_4475])
def test_rfc_4475_over_udp(tormentor: Tormentor, entry: dict[str, Any]) -> None:
    codes = tormentor.by_udp(entry["data"])
    assert is_as_wished(entry, codes), f"{entry['name']}: {entry['expected']}; got {codes}"
    # dblreq: on UDP the octets behind the first message are no second one.
    assert len([code for code in codes if code >= 200]) <= 1


@needs_messages
@pytest.mark.parametrize(
    "entry", [pytest.param(entry, id=entry["name"]) for entry in RFC_4475 if entry["name"] not in INCOMPLETE]
)
def test_rfc_4475_over_tcp(tormentor: Tormentor, entry: dict[str, Any]) -> None:
    codes, closed = tormentor.by_tcp(entry["data"])
    name = entry["name"]
    assert is_as_wished(entry, codes), f"{name}: {entry['expected']}; got {codes}"
    assert closed == (name in NO_LENGTH), f"got {codes}, closed: {closed}"
    if name == "dblreq":
        assert len([code for code in codes if code >= 200]) == 2, "on a stream the rest is a second message"
    assert tormentor.ping() == 200


@needs_messages
@pytest.mark.parametrize("name", sorted(INCOMPLETE))
def test_what_is_not_complete_is_refused_when_the_stream_ends(tormentor: Tormentor, name: str) -> None:
    """Here the peer says that no more comes."""
    entry = next(entry for entry in RFC_4475 if entry["name"] == name)
    with socket.create_connection(tormentor.server, 10) as stream:
        stream.sendall(entry["data"])
        assert tormentor.ping() == 200
        stream.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: stream.recv(65535), b""))
    assert is_as_wished(entry, statuses(received)), f"{name}: {entry['expected']}; got {received!r}"


@needs_messages
def test_what_is_not_complete_on_a_stream_is_waited_for_and_then_refused(tormentor: Tormentor) -> None:
    """Both at once, since it takes seconds: 400, and the end of the connection."""
    with ExitStack() as stack:
        streams = {
            entry["name"]: (entry, stack.enter_context(socket.create_connection(tormentor.server, 10)))
            for entry in RFC_4475
            if entry["name"] in INCOMPLETE
        }
        began = time.monotonic()
        for entry, stream in streams.values():
            stream.sendall(entry["data"])
        for name, (entry, stream) in streams.items():
            received = b"".join(iter(lambda stream=stream: stream.recv(65535), b""))  # type: ignore[misc]
            assert is_as_wished(entry, statuses(received)), f"{name}: {entry['expected']}; got {received!r}"
        assert 3.0 < time.monotonic() - began < 8.0
    assert len(streams) == 2
    assert tormentor.ping() == 200


@needs_messages
@pytest.mark.parametrize("entry", RFC_5118, ids=[entry["name"] for entry in RFC_5118])
def test_rfc_5118(tormentor: Tormentor, entry: dict[str, Any]) -> None:
    """IPv6 in every place of a message, whatever network it came by."""
    over_udp = tormentor.by_udp(entry["data"])
    over_tcp, _closed = tormentor.by_tcp(entry["data"])
    for codes in (over_udp, over_tcp):
        final = [code for code in codes if code >= 200]
        assert (final == [400]) if not entry["valid"] else (final and 400 not in final), f"got {codes}"


@needs_messages
def test_rfc_5118_over_ipv6(tmp_path: Path) -> None:
    """The same from an IPv6 address to an IPv6 listener, and a server that is only there."""
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    port = free_port_of_ipv6()
    with (
        RunningServer(tmp_path / "data", {"sip_trunks": [{"server_address": "::1"}]}, "[::1]", port=port) as server,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagrams,
    ):
        assert server.ready["sip"] == [f"udp:[::1]:{port}", f"tcp:[::1]:{port}"]
        datagrams.bind(("::1", 0))
        datagrams.settimeout(10)
        for entry in RFC_5118:
            # The answer goes to the port of the Via; `rport` has it come back here (RFC 3581).
            data = re.sub(rb"(?im)^(Via:[^\r\n;]*)", rb"\1;rport", entry["data"], count=1)
            datagrams.sendto(data, ("::1", port))
            with socket.create_connection(("::1", port), 10) as stream:
                stream.sendall(data)
                answers = [final_of(datagrams), final_of(stream)]
            for status in answers:
                assert (status == 400) is not entry["valid"], f"{entry['name']}: got {answers}"


def final_of(connection: socket.socket) -> int:
    """The first final status that comes."""
    connection.settimeout(10)
    while True:
        found = [code for code in statuses(connection.recv(65535)) if code >= 200]
        if found:
            return found[0]


def has_ipv6() -> bool:
    """Whether the loopback has an IPv6 address."""
    try:
        free_port_of_ipv6()
    except OSError:
        return False
    return True


def free_port_of_ipv6() -> int:
    """A port that was free on ::1 a moment ago, for UDP and TCP."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        probe.bind(("::1", 0))
        return int(probe.getsockname()[1])
