"""SIP peers on asyncio for hours of calls: many dialogs per address, by UDP, TCP or TLS, repeating what is lost."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from support.certificates import Authority

T1, T2, TIMER_B = 0.5, 4.0, 32.0
KEPT_REPLIES = 5000
"""So many answers are kept to be given again to a repeated request."""
PORTS = {"UDP": 5060, "TCP": 5060, "TLS": 5061}
"""The standard port of each transport."""


class Message:
    """A SIP message, read just far enough."""

    __slots__ = ("body", "headers", "method", "start", "status")

    def __init__(self, data: bytes) -> None:
        head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        lines = head.split("\r\n")
        self.start = lines[0]
        self.body = body
        self.headers: dict[str, list[str]] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.strip().lower(), []).append(value.strip())
        is_response = self.start.startswith("SIP/2.0 ")
        self.status = int(self.start[8:11]) if is_response else 0
        self.method = "" if is_response else self.start.partition(" ")[0]

    def header(self, name: str) -> str:
        """The first value of a header, blank where it is missing."""
        return self.headers.get(name, [""])[0]

    @property
    def contact_uri(self) -> str:
        """The URI of the first Contact."""
        return self.header("contact").partition("<")[2].partition(">")[0]


class Link:
    """One way to the server."""

    def __init__(self, write: Callable[[bytes], object], transport: str) -> None:
        self.send = write
        self.transport = transport

    @property
    def reliable(self) -> bool:
        return self.transport != "UDP"


def compose(lines: Sequence[str], body: str = "") -> bytes:
    """A message of these lines."""
    content = ["Content-Type: application/sdp"] if body else []
    return "\r\n".join([*lines, *content, f"Content-Length: {len(body)}", "", body]).encode()


class NoResponse(Exception):
    """A request got no final response in time."""


class Side:
    """One dialog of a station, as caller or as called."""

    def __init__(self, station: Station, call_id: str, link: Link) -> None:
        self.station = station
        self.link = link
        self.call_id = call_id
        self.tag = secrets.token_hex(4)
        self.local = self.remote = self.target = ""
        self.sequence = 0
        self.ended = asyncio.Event()
        """The other side has hung up or cancelled."""
        self.acknowledged = asyncio.Event()
        self.description = ""
        """What this side answers a re-INVITE with."""
        self.invite: Message | None = None
        self._answered = False
        self._branch = ""
        self._responses: dict[str, asyncio.Queue[Message]] = {}
        station.sides[call_id] = self

    def close(self) -> None:
        """Forget the dialog."""
        self.station.sides.pop(self.call_id, None)

    # --- as a client -------------------------------------------------------------------------------------------------

    def _lines(self, method: str, uri: str, branch: str, sequence: int) -> list[str]:
        return [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.link.transport} {self.station.sent_by};rport;branch={branch}",
            "Max-Forwards: 70",
            f"From: {self.local}",
            f"To: {self.remote}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {sequence} {method}",
            f"Contact: {self.station.contact}",
        ]

    async def request(
        self,
        method: str,
        uri: str = "",
        headers: Sequence[str] = (),
        body: str = "",
        ringing: Callable[[], object] | None = None,
        patience: float = TIMER_B,
    ) -> Message:
        """Send a request and wait for the final response; an INVITE's is acknowledged. Raises NoResponse."""
        self.sequence += 1
        sequence, branch = self.sequence, f"z9hG4bK{secrets.token_hex(10)}"
        if method == "INVITE":
            self._branch = branch
        uri = uri or self.target
        data = compose([*self._lines(method, uri, branch, sequence), *headers], body)
        queue: asyncio.Queue[Message] = asyncio.Queue()
        self._responses[f"{sequence} {method}"] = queue
        try:
            response = await self._final(data, queue, method, ringing, patience)
        finally:
            del self._responses[f"{sequence} {method}"]
        if method == "INVITE":
            self._acknowledge(response, uri, branch, sequence)
        return response

    async def _final(
        self,
        data: bytes,
        queue: asyncio.Queue[Message],
        method: str,
        ringing: Callable[[], object] | None,
        patience: float,
    ) -> Message:
        loop = asyncio.get_running_loop()
        give_up, wait, repeats = loop.time() + patience, T1, not self.link.reliable
        self.link.send(data)
        while True:
            try:
                response = await asyncio.wait_for(queue.get(), wait if repeats else give_up - loop.time())
            except TimeoutError:
                if loop.time() >= give_up:
                    raise NoResponse(f"{method} of {self.call_id}") from None
                self.station.repeats += 1
                self.link.send(data)
                wait = wait * 2 if method == "INVITE" else min(wait * 2, T2)
                continue
            if response.status >= 200:
                return response
            if method == "INVITE":
                repeats = False
                give_up = loop.time() + 200.0
            else:
                wait = T2
            if response.status > 100 and ringing is not None:
                ringing()

    def _acknowledge(self, response: Message, uri: str, branch: str, sequence: int) -> None:
        if response.status < 300:
            self.remote = response.header("to")
            self.target = response.contact_uri or uri
            uri, branch = self.target, f"z9hG4bK{secrets.token_hex(10)}"
        lines = self._lines("ACK", uri, branch, sequence)
        lines[4] = f"To: {response.header('to')}"
        self._ack = compose(lines)
        self.link.send(self._ack)

    async def cancel(self, uri: str) -> None:
        """Cancel the INVITE; its own final response comes to whoever waits for that."""
        lines = self._lines("CANCEL", uri, self._branch, self.sequence)
        queue: asyncio.Queue[Message] = asyncio.Queue()
        self._responses[f"{self.sequence} CANCEL"] = queue
        await self._final(compose(lines), queue, "CANCEL", None, TIMER_B)

    async def hang_up(self) -> None:
        """BYE, unless the other side was faster; a 481 means that it was."""
        if not self.ended.is_set():
            await self.request("BYE")

    def on_response(self, response: Message) -> None:
        queue = self._responses.get(response.header("cseq"))
        if queue is not None:
            queue.put_nowait(response)
        elif 200 <= response.status < 300 and response.header("cseq").endswith("INVITE"):
            self.link.send(self._ack)

    # --- as a server -------------------------------------------------------------------------------------------------

    def reply(self, request: Message, status: int, body: str = "", headers: Sequence[str] = ()) -> None:
        """Answer a request; the answer is kept for its repetitions."""
        to = request.header("to")
        if ";tag=" not in to and status > 100:
            to += f";tag={self.tag}"
        lines = [f"SIP/2.0 {status} Soak", *(f"Via: {via}" for via in request.headers.get("via", ()))]
        lines += [f"From: {request.header('from')}", f"To: {to}", f"Call-ID: {self.call_id}"]
        lines += [f"CSeq: {request.header('cseq')}", *headers]
        if request.method == "INVITE":
            lines.append(f"Contact: {self.station.contact}")
        data = compose(lines, body)
        self.station.keep(request, data)
        self.link.send(data)

    def take(self, invite: Message) -> None:
        """Be the called side of this INVITE."""
        self.invite = invite
        self.local = f"{invite.header('to')};tag={self.tag}"
        self.remote = invite.header("from")
        self.target = invite.contact_uri

    async def answer(self, invite: Message, body: str) -> bool:
        """200, repeated until it is acknowledged; False: that never happened, or it was cancelled before."""
        if self.ended.is_set():
            return False
        if invite is self.invite:
            self._answered = True
        self.acknowledged.clear()
        self.reply(invite, 200, body)
        wait, passed = T1, 0.0
        while passed < TIMER_B:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.acknowledged.wait(), wait)
                return True
            passed, wait = passed + wait, min(wait * 2, T2)
            self.station.repeats += 1
            self.station.repeat(invite, self.link)
        return False

    def on_request(self, request: Message) -> None:
        method = request.method
        if method == "ACK":
            self.acknowledged.set()
        elif method == "BYE":
            self.reply(request, 200)
            self.ended.set()
        elif method == "CANCEL":
            self.reply(request, 200)
            if self.invite is not None and not self._answered and not self.ended.is_set():
                self.reply(self.invite, 487)
                self.ended.set()
        elif method == "INVITE":
            self.station.spawn(self.answer(request, self.description))
        else:
            self.reply(request, 200)


class Station:
    """A peer at one address that calls and is called; `on_call(side, invite)` plays the called side."""

    def __init__(
        self, address: str, server: str, user: str, transport: str = "UDP", authority: Authority | None = None
    ) -> None:
        """For TLS `authority` is whom this side trusts, and who signs its certificate."""
        self.address, self.port, self.user = address, PORTS[transport], user
        self.server = (server, self.port)
        self.sides: dict[str, Side] = {}
        self.repeats = 0
        """Requests and answers that had to be sent again."""
        self.on_call: Callable[[Side, Message], Awaitable[None]] | None = None
        self.on_trouble: Callable[[str], None] = print
        self.link: Link | None = None
        self.transport = transport
        self._authority = authority
        self.sent_by = f"{address}:{self.port}"
        parameter = "" if transport == "UDP" else f";transport={transport.lower()}"
        self.contact = f"<sip:{user}@{self.sent_by}{parameter}>"
        self._replies: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closers: list[Callable[[], None]] = []

    def spawn(self, work: Awaitable[object]) -> None:
        """Run something until it ends, and tell of what went wrong with it."""

        async def run() -> None:
            try:
                await work
            except NoResponse as error:
                self.on_trouble(f"{self.user} at {self.sent_by}: no response to {error}")
            except Exception as error:
                self.on_trouble(f"{self.user} at {self.sent_by}: {error!r}")

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def open(self) -> Station:
        """Be there: a UDP socket, or a listener for the server's connections."""
        loop = asyncio.get_running_loop()
        if self.transport == "UDP":
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self), local_addr=(self.address, self.port)
            )
            self.link = Link(lambda data: transport.sendto(data, self.server), "UDP")
            self._closers.append(transport.close)
        else:
            tls = self._authority.serving(self.address) if self._authority is not None else None
            listener = await asyncio.start_server(self._serve, self.address, self.port, ssl=tls)
            self._closers.append(listener.close)
        return self

    async def connect(self) -> None:
        """Make a connection to the server; the one before is closed."""
        self.disconnect()
        tls = self._authority.verifying() if self._authority is not None else None
        reader, writer = await asyncio.open_connection(*self.server, local_addr=(self.address, 0), ssl=tls)
        link = self.link = Link(writer.write, self.transport)
        self._closers.append(writer.close)
        self.spawn(self._read(reader, link))

    def disconnect(self) -> None:
        """Close every connection and socket."""
        self.link = None
        for close in self._closers:
            close()
        self._closers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._closers.append(writer.close)
        await self._read(reader, Link(writer.write, self.transport))
        writer.close()

    async def _read(self, reader: asyncio.StreamReader, link: Link) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.strip():
                    continue
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                self.receive(head + (await reader.readexactly(length) if length else b""), link)

    def keep(self, request: Message, data: bytes) -> None:
        self._replies[_key(request)] = data
        if len(self._replies) > KEPT_REPLIES:
            self._replies.popitem(last=False)

    def repeat(self, request: Message, link: Link) -> bool:
        """Give the same answer once more; False: there was none yet."""
        data = self._replies.get(_key(request))
        if data is not None:
            link.send(data)
        return data is not None

    def receive(self, data: bytes, link: Link) -> None:
        """Take a message of the server."""
        if not data.strip():
            return
        message = Message(data)
        side = self.sides.get(message.header("call-id"))
        if message.status:
            if side is not None:
                side.on_response(message)
        elif message.method != "ACK" and self.repeat(message, link):
            return
        elif side is not None:
            if not (message.method == "INVITE" and message is not side.invite and side.invite is not None) or (
                ";tag=" in message.header("to")
            ):
                side.on_request(message)
        elif message.method == "INVITE" and self.on_call is not None:
            side = Side(self, message.header("call-id"), link)
            side.take(message)
            self.spawn(self.on_call(side, message))
        elif message.method != "ACK":
            side = Side(self, message.header("call-id"), link)
            side.reply(message, 200 if message.method == "OPTIONS" else 481)
            side.close()


def _key(request: Message) -> tuple[str, str]:
    return request.header("via").partition("branch=")[2].partition(";")[0], request.method


class _Datagrams(asyncio.DatagramProtocol):
    """The UDP socket of a station."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._link: Link | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self._station.server
        self._link = Link(lambda data: transport.sendto(data, server), "UDP")  # type: ignore[attr-defined]

    def datagram_received(self, data: bytes, addr: object) -> None:
        assert self._link is not None
        self._station.receive(data, self._link)
