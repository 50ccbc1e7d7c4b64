"""A caller and a carrier that set up many calls through a server and keep them; their audio is somebody else's."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable

from tests.bench.relay.subjects import CLIENT_PORT, audio_target, describe

_AT_ONCE = 20
"""Calls that are being set up at the same time."""
_TIMEOUT = 60.0


class Peer:
    """A SIP peer on a loop: takes datagrams, answers by a function."""

    def __init__(self, address: str, server: str, take: Callable[[str], str | None]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 5060))
        self._socket.setblocking(False)
        self._server = (server, 5060)
        self._take = take
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)

    def send(self, text: str) -> None:
        self._socket.sendto(text.replace("\n", "\r\n").encode(), self._server)

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(65_535)
            except BlockingIOError:
                return
            answer = self._take(data.decode().replace("\r\n", "\n"))
            if answer is not None:
                self.send(answer)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()


def _header(text: str, name: str) -> str:
    found = re.search(rf"^{name}:[ ]*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _headers(text: str, names: tuple[str, ...]) -> str:
    lines = text.partition("\n\n")[0].split("\n")
    return "\n".join(line for name in names for line in lines if line.startswith(f"{name}:"))


class Calls:
    """Sets the calls up and says what the load generator needs: the ports of both sides and of the relay."""

    def __init__(self, count: int, caller: str, carrier: str, server: str) -> None:
        self._count = count
        self._addresses = caller, carrier, server
        self._to_called: dict[int, tuple[str, int]] = {}
        self._to_caller: dict[int, tuple[str, int]] = {}
        self._begun = 0
        self._done = asyncio.Event()
        self.refused = ""
        """What the server said of a call that it did not take."""
        self._carrier = Peer(carrier, server, self._answer)
        self._caller = Peer(caller, server, self._go_on)

    async def set_up(self) -> tuple[str, ...]:
        """Begin all calls; the lines of the load generator once all are answered. Raises TimeoutError."""
        for _ in range(min(_AT_ONCE, self._count)):
            self._begin()
        async with asyncio.timeout(_TIMEOUT):
            await self._done.wait()
        caller, carrier, _ = self._addresses
        lines = []
        for index in range(self._count):
            port = CLIENT_PORT + 2 * index
            for place, target in ((caller, self._to_caller[index]), (carrier, self._to_called[index])):
                lines.append(f"{port} {target[0]} {target[1]} {place}")
        return tuple(lines)

    def _begin(self) -> None:
        index, self._begun = self._begun, self._begun + 1
        caller, _, server = self._addresses
        body = describe(caller, CLIENT_PORT + 2 * index).decode().replace("\r\n", "\n")
        self._caller.send(
            f"INVITE sip:13{index:04}@{server} SIP/2.0\nVia: SIP/2.0/UDP {caller}:5060;branch=z9hG4bK-i{index}\n"
            f"Max-Forwards: 70\nFrom: <sip:555{index:04}@{caller}>;tag=a{index}\nTo: <sip:13{index:04}@{server}>\n"
            f"Call-ID: {index}@{caller}\nCSeq: 1 INVITE\nContact: <sip:a@{caller}>\n"
            f"Content-Type: application/sdp\nContent-Length: {len(body) + body.count(chr(10))}\n\n{body}"
        )

    def _go_on(self, text: str) -> str | None:
        """What the caller says to a message."""
        caller, _, server = self._addresses
        if not text.startswith("SIP/2.0 "):
            return self._ok(text)
        if not _header(text, "CSeq").endswith("INVITE") or text.startswith("SIP/2.0 1"):
            return None
        index = int(_header(text, "Call-ID").partition("@")[0])
        if text.startswith("SIP/2.0 200"):
            fresh = index not in self._to_caller
            self._to_caller[index] = audio_target(text.encode())
            if fresh and self._begun < self._count:
                self._begin()
            if len(self._to_caller) == self._count:
                self._done.set()
        else:
            self.refused = text.partition("\n")[0]
        kept = _headers(text, ("From", "To", "Call-ID"))
        return (
            f"ACK sip:13{index:04}@{server} SIP/2.0\nVia: SIP/2.0/UDP {caller}:5060;branch=z9hG4bK-a{index}\n"
            f"Max-Forwards: 70\n{kept}\nCSeq: 1 ACK\nContent-Length: 0\n\n"
        )

    def _answer(self, text: str) -> str | None:
        """What the carrier says to a message."""
        if text.startswith(("SIP/2.0 ", "ACK ")):
            return None
        if not text.startswith("INVITE "):
            return self._ok(text)
        found = re.match(r"INVITE sip:13(\d+)@", text)
        assert found is not None, text
        index = int(found[1])
        self._to_called[index] = audio_target(text.encode())
        return self._ok(text, describe(self._addresses[1], CLIENT_PORT + 2 * index).decode().replace("\r\n", "\n"))

    def _ok(self, text: str, body: str = "") -> str:
        kept = _headers(text, ("Via", "From", "To", "Call-ID", "CSeq"))
        tag = "" if ";tag=" in _header(text, "To") else ";tag=b"
        kept = re.sub(r"^(To:.*)$", rf"\1{tag}", kept, flags=re.MULTILINE)
        more = f"Contact: <sip:b@{self._addresses[1]}>\nContent-Type: application/sdp\n" if body else ""
        return f"SIP/2.0 200 OK\n{kept}\n{more}Content-Length: {len(body) + body.count(chr(10))}\n\n{body}"

    def close(self) -> None:
        self._caller.close()
        self._carrier.close()
