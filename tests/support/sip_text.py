"""SIP messages as a test sees them, and a bare UDP socket that speaks them, with a digest of its own."""

from __future__ import annotations

import hashlib
import re
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SipText:
    """One SIP message that a peer sent or received, lines ended by `\\n`."""

    sent: bool
    text: str

    @property
    def start_line(self) -> str:
        return self.text.split("\n", 1)[0].strip()

    @property
    def method(self) -> str:
        """The method of a request, blank for a response."""
        return "" if self.start_line.startswith("SIP/2.0") else self.start_line.split(" ", 1)[0]

    @property
    def status(self) -> int:
        """The status of a response, 0 for a request."""
        return int(self.start_line.split(" ")[1]) if self.start_line.startswith("SIP/2.0") else 0

    @property
    def request_uri(self) -> str:
        return self.start_line.split(" ")[1]

    def headers(self, name: str) -> list[str]:
        """The values of every header line of this name, without regard to case."""
        lines = self.text.split("\n\n", 1)[0].splitlines()[1:]
        pairs = (line.partition(":") for line in lines)
        return [value.strip() for found, _, value in pairs if found.strip().lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        return next(iter(self.headers(name)), None)

    @property
    def body(self) -> str:
        return self.text.partition("\n\n")[2]


def parse_challenge(value: str) -> dict[str, str]:
    """The parameters of a digest challenge."""
    return {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,"]+))', value)}


def digest_header(value: str, method: str, uri: str, user: str, password: str) -> str:
    """The Authorization value for one challenge (RFC 7616), written a second time so that ours is not the judge."""
    challenge = parse_challenge(value)
    algorithm = challenge.get("algorithm", "MD5")
    function = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm]

    def digest(*parts: str) -> str:
        return function(":".join(parts).encode()).hexdigest()

    client_nonce = secrets.token_hex(8)
    first, second = digest(user, challenge["realm"], password), digest(method, uri)
    response = digest(first, challenge["nonce"], "00000001", client_nonce, "auth", second)
    opaque = f', opaque="{challenge["opaque"]}"' if "opaque" in challenge else ""
    return (
        f'Digest username="{user}", realm="{challenge["realm"]}", nonce="{challenge["nonce"]}", uri="{uri}", '
        f'response="{response}", algorithm={algorithm}, qop=auth, nc=00000001, cnonce="{client_nonce}"{opaque}'
    )


class SipSocket:
    """A UDP socket on an address of its own that sends requests to one server and gives back what comes."""

    def __init__(self, address: str, server: tuple[str, int], port: int = 5060) -> None:
        self.address, self.port, self.server = address, port, server
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self._sequence = 0
        self.call_id = f"{secrets.token_hex(8)}@{address}"

    def __enter__(self) -> SipSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, self.server)

    def receive(self, seconds: float = 5.0) -> SipText | None:
        """The next message, None when none comes in time."""
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(65535)
        except TimeoutError:
            return None
        return SipText(False, data.decode("utf-8", "replace").replace("\r\n", "\n"))

    def request(
        self, method: str, uri: str, from_uri: str, to_uri: str, headers: Sequence[str] = (), seconds: float = 5.0
    ) -> SipText:
        """Send a request and wait for its final response; provisional ones are passed over."""
        self._sequence += 1
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address}:{self.port};rport;branch=z9hG4bK{secrets.token_hex(8)}",
            f"From: <{from_uri}>;tag={secrets.token_hex(4)}",
            f"To: <{to_uri}>",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self._sequence} {method}",
            f"Contact: <sip:test@{self.address}:{self.port}>",
            "Max-Forwards: 70",
            *headers,
            "Content-Length: 0",
        ]
        self.send("\r\n".join([*lines, "", ""]).encode())
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            message = self.receive(max(0.01, deadline - time.monotonic()))
            if message is not None and message.status >= 200 and message.header("CSeq") == f"{self._sequence} {method}":
                return message
        raise AssertionError(f"no final response to {method} within {seconds:g} s")


def stands_in(number: str, text: str) -> bool:
    """Whether a number is told anywhere in a text; the digits of a random tag or branch do not count."""
    return re.search(rf"(?<![0-9a-f]){re.escape(number)}(?![0-9a-f])", text) is not None
