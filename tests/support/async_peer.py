"""A SIP peer on a plain UDP socket for tests that run on the loop of the program itself."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence

from support.sip_text import SipText, digest_header
from support.waiting import until

SDP = (
    "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
)


class AsyncPeer:
    """A phone or a carrier at one address."""

    def __init__(self, address: str, server: tuple[str, int], port: int = 5060, domain: str = "") -> None:
        """`domain` stands in its From; a phone's is the server."""
        self.address, self.port, self.server = address, port, server
        self.domain = domain or f"{server[0]}:{server[1]}"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self._socket.setblocking(False)
        self.inbox: list[SipText] = []
        self._sequence = 0
        self.tag = secrets.token_hex(4)

    def close(self) -> None:
        self._socket.close()

    def send(self, lines: Sequence[str], body: str = "") -> None:
        """Send a message to the server."""
        content = ["Content-Type: application/sdp"] if body else []
        text = "\r\n".join([*lines, *content, f"Content-Length: {len(body)}", "", body])
        self._socket.sendto(text.encode(), self.server)

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(65535)
            except BlockingIOError:
                return
            self.inbox.append(SipText(False, data.decode().replace("\r\n", "\n")))

    async def receive(self, wanted: Callable[[SipText], bool], what: str, seconds: float = 10.0) -> SipText:
        """The first message that is wanted; the others before it are dropped."""
        found: list[SipText] = []

        def look() -> bool:
            self._read()
            while self.inbox and not found:
                message = self.inbox.pop(0)
                if wanted(message):
                    found.append(message)
            return bool(found)

        await until(look, f"{what} at {self.address}", seconds)
        return found[0]

    # --- as a client ---------------------------------------------------------------------------------------------

    def request(
        self, method: str, uri: str, number: str, to: str, call_id: str, extra: Sequence[str] = ()
    ) -> list[str]:
        """The lines of a request of its own."""
        self._sequence += 1
        return [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.address}:{self.port};rport;branch=z9hG4bK{secrets.token_hex(8)}",
            f"From: <sip:{number}@{self.domain}>;tag={self.tag}",
            f"To: <sip:{to}@{self.domain}>",
            f"Call-ID: {call_id}",
            f"CSeq: {self._sequence} {method}",
            f"Contact: <sip:{number}@{self.address}:{self.port}>",
            "Max-Forwards: 70",
            *extra,
        ]

    async def authenticated(
        self, method: str, uri: str, number: str, to: str, password: str, extra: Sequence[str] = (), body: str = ""
    ) -> str:
        """Send a request, answer the challenge, and return the Call-ID; what comes then is to be received."""
        call_id = f"{secrets.token_hex(8)}@{self.address}"
        self.send(self.request(method, uri, number, to, call_id, extra), body)
        challenge = await self.receive(lambda message: message.status in (401, 407), f"the challenge to {method}")
        if method == "INVITE":
            self.acknowledge(challenge, uri)
        proxy = challenge.status == 407
        value = challenge.header("Proxy-Authenticate" if proxy else "WWW-Authenticate") or ""
        answer = digest_header(value, method, uri, number, password)
        name = "Proxy-Authorization" if proxy else "Authorization"
        self.send(self.request(method, uri, number, to, call_id, [f"{name}: {answer}", *extra]), body)
        return call_id

    def acknowledge(self, response: SipText, uri: str) -> None:
        """ACK a final response to an INVITE; a refusal's goes with its own branch."""
        via = response.header("Via") or ""
        if response.status < 300:
            via = f"SIP/2.0/UDP {self.address}:{self.port};rport;branch=z9hG4bK{secrets.token_hex(8)}"
        number = (response.header("CSeq") or "1 INVITE").split()[0]
        self.send(
            [
                f"ACK {uri} SIP/2.0",
                f"Via: {via}",
                f"From: {response.header('From')}",
                f"To: {response.header('To')}",
                f"Call-ID: {response.header('Call-ID')}",
                f"CSeq: {number} ACK",
                "Max-Forwards: 70",
            ]
        )

    # --- as a server ---------------------------------------------------------------------------------------------

    def answer(self, request: SipText, status: int, reason: str, *, with_sdp: bool = False) -> None:
        """Answer a request."""
        tag = "" if ";tag=" in (request.header("To") or "") else f";tag={self.tag}"
        lines = [f"SIP/2.0 {status} {reason}", *(f"Via: {value}" for value in request.headers("Via"))]
        lines += [f"From: {request.header('From')}", f"To: {request.header('To')}{tag}"]
        lines += [f"Call-ID: {request.header('Call-ID')}", f"CSeq: {request.header('CSeq')}"]
        lines += [f"Contact: <sip:{self.address}:{self.port}>"]
        self.send(lines, SDP.format(address=self.address) if with_sdp else "")
