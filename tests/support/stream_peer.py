"""A SIP peer on TCP or TLS that a test drives message by message: it accepts, connects, closes and reconnects."""

from __future__ import annotations

import re
import secrets
import socket
import ssl
import time
from collections.abc import Sequence
from types import TracebackType

from support.sip_text import SipText

SDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n"


class Stream:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""

    def send(self, lines: Sequence[str], body: str = "") -> None:
        """Send one message."""
        typed = ["Content-Type: application/sdp"] if body else []
        self._connection.sendall("\r\n".join([*lines, *typed, f"Content-Length: {len(body)}", "", body]).encode())

    def receive(self, seconds: float = 10.0) -> SipText:
        """The next message; AssertionError when none comes in time or the peer closes."""
        deadline = time.monotonic() + seconds
        while True:
            end = self._received.find(b"\r\n\r\n")
            if end >= 0:
                length = re.search(rb"(?im)^Content-Length:\s*(\d+)", self._received[:end])
                whole = end + 4 + int(length[1] if length else 0)
                if len(self._received) >= whole:
                    text, self._received = self._received[:whole], self._received[whole:]
                    return SipText(False, text.decode().replace("\r\n", "\n"))
            self._connection.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                piece = self._connection.recv(65535)
            except TimeoutError:
                raise AssertionError(f"no message within {seconds:g} s; {self._received!r} came") from None
            assert piece, f"the connection was closed; {self._received!r} came"
            self._received += piece

    def expect(self, method: str = "", status: int = 0, seconds: float = 10.0) -> SipText:
        """The next message of this method or status; provisional answers and OPTIONS are passed over."""
        while True:
            message = self.receive(seconds)
            if message.method == "OPTIONS" != method:
                self.answer(message)
            elif (method and message.method == method) or (status and message.status == status):
                return message
            else:
                assert 100 <= message.status < 200, f"{method or status} was expected, this came:\n{message.text}"

    def answer(
        self, request: SipText, status: int = 200, *, tag: str = "peer", contact: str = "", body: str = ""
    ) -> None:
        """Answer a request."""
        to = request.header("To") or ""
        lines = [
            f"SIP/2.0 {status} Whatever",
            *[f"Via: {via}" for via in request.headers("Via")],
            f"From: {request.header('From')}",
            f"To: {to}" if ";tag=" in to else f"To: {to};tag={tag}",
            f"Call-ID: {request.header('Call-ID')}",
            f"CSeq: {request.header('CSeq')}",
        ]
        self.send([*lines, f"Contact: <{contact}>"] if contact else lines, body)

    def expect_end(self, seconds: float = 10.0) -> None:
        """The other side closes."""
        self._connection.settimeout(seconds)
        try:
            rest = self._connection.recv(65535)
        except ConnectionResetError:
            return
        assert rest == b"", f"{rest!r} came instead of the end"

    def close(self) -> None:
        self._connection.close()


class StreamPeer:
    """A peer at an address: listens for the server's connections and makes its own."""

    def __init__(self, address: str, port: int = 5060, tls: ssl.SSLContext | None = None) -> None:
        self.address, self.port = address, port
        self._tls = tls
        self._listener = socket.create_server((address, port))
        self._streams: list[Stream] = []

    def __enter__(self) -> StreamPeer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.close()
        for stream in self._streams:
            stream.close()

    @property
    def uri(self) -> str:
        """What stands in its Contact."""
        return f"sip:peer@{self.address}:{self.port};transport={'tls' if self._tls else 'tcp'}"

    def accept(self, seconds: float = 10.0) -> Stream:
        """The next connection that the server makes."""
        self._listener.settimeout(seconds)
        connection, _ = self._listener.accept()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
        return self._keep(connection)

    def nobody_connects(self) -> bool:
        """Whether no connection waits to be accepted."""
        self._listener.settimeout(0.01)
        try:
            self._keep(self._listener.accept()[0])
        except TimeoutError:
            return True
        return False

    def connect(self, server: tuple[str, int]) -> Stream:
        """A connection to the server from this address."""
        return self._keep(socket.create_connection(server, 10, (self.address, 0)))

    def _keep(self, connection: socket.socket) -> Stream:
        stream = Stream(connection)
        self._streams.append(stream)
        return stream

    def via(self) -> str:
        """A Via with a new branch."""
        return f"Via: SIP/2.0/TCP {self.address}:{self.port};branch=z9hG4bK{secrets.token_hex(8)}"

    def request(self, method: str, uri: str, to: str, call_id: str, sequence: int = 1, tag: str = "peer") -> list[str]:
        """The lines of a request of this peer's."""
        return [
            f"{method} {uri} SIP/2.0",
            self.via(),
            "Max-Forwards: 70",
            f"From: <sip:peer@{self.address}>;tag={tag}",
            f"To: {to}",
            f"Call-ID: {call_id}",
            f"CSeq: {sequence} {method}",
            f"Contact: <{self.uri}>",
        ]
