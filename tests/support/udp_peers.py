"""Small SIP peers over UDP in Python: a caller that makes many quick calls, a carrier that answers by a plan."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence

from support.sip_text import SipText, digest_header
from support.waiting import wait_until

SDP = "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"
SDP_6 = SDP.replace("IP4", "IP6")

Reply = int | tuple[int, Sequence[str]]
"""A status, or a status with header lines of its own."""
Plan = Callable[[SipText], Sequence[Reply]]
"""What a request gets, in order; an empty sequence is silence."""

_METHODS_WITHOUT_ANSWER = ("ACK",)


def _message(lines: Sequence[str], body: str = "") -> bytes:
    head = [*lines, "Content-Type: application/sdp"] if body else list(lines)
    return "\r\n".join([*head, f"Content-Length: {len(body)}", "", body]).encode()


def _parse(data: bytes) -> SipText:
    return SipText(False, data.decode("utf-8", "replace").replace("\r\n", "\n"))


class Talk:
    """One call of a `Caller`."""

    def __init__(self, caller: Caller, number: str, lines: Sequence[str], password: tuple[str, str] | None) -> None:
        self.caller = caller
        self.number = number
        self.call_id = f"{secrets.token_hex(8)}@{caller.address}"
        self.tag = secrets.token_hex(4)
        self.sequence = 0
        self.lines = list(lines)
        self.password = password
        self.messages: list[SipText] = []
        self.uri = ""
        self.to = ""
        self.remote = ""
        self.from_ = ""
        self._routes: list[str] = []
        self._credentials: list[str] = []
        self._branch = ""

    def begin(self, uri: str, from_: str, to: str) -> Talk:
        """Send the INVITE."""
        self.uri, self.from_, self.to = uri, f"{from_};tag={self.tag}", to
        self._invite()
        return self

    def _invite(self) -> None:
        self.sequence += 1
        self._branch = f"z9hG4bK{secrets.token_hex(8)}"
        lines = [*self._head("INVITE", self.uri, self._branch, self.to), *self.lines, *self._credentials]
        self.caller.send(_message(lines, SDP.format(host=self.caller.address)))

    def _head(self, method: str, uri: str, branch: str, to: str) -> list[str]:
        return [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.caller.address}:{self.caller.port};rport;branch={branch}",
            "Max-Forwards: 70",
            f"From: {self.from_}",
            f"To: {to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.sequence} {method}",
            f"Contact: <sip:test@{self.caller.address}:{self.caller.port}>",
            *self._routes,
        ]

    def wait(self, status: int, seconds: float = 10.0) -> SipText:
        """The first response to the INVITE with this status (100 to 699), or in this class (1 to 6)."""
        return self._wait_for(lambda text: text.status in (status,) or text.status // 100 == status, seconds)

    def final(self, seconds: float = 20.0) -> SipText:
        """The final response, acknowledged; a challenge is answered where there is a password."""
        response = self._wait_for(lambda text: text.status >= 200, seconds)
        if response.status >= 300:
            to = response.header("To") or self.to
            self.caller.send(_message(self._head("ACK", self.uri, self._branch, to)))
            challenges = response.headers("WWW-Authenticate") + response.headers("Proxy-Authenticate")
            if self.password is not None and challenges and not self._credentials:
                name = "Authorization" if response.status == 401 else "Proxy-Authorization"
                self._credentials = [f"{name}: {digest_header(challenges[0], 'INVITE', self.uri, *self.password)}"]
                self.messages.clear()
                self._invite()
                return self.final(seconds)
        else:
            self.to = response.header("To") or self.to
            self.remote = (response.header("Contact") or "").partition("<")[2].partition(">")[0]
            recorded = [each.strip() for line in response.headers("Record-Route") for each in line.split(",")]
            self._routes = [f"Route: {each}" for each in reversed(recorded)]
            self.caller.send(_message(self._head("ACK", self.remote, f"z9hG4bK{secrets.token_hex(8)}", self.to)))
        return response

    def hang_up(self, seconds: float = 10.0) -> None:
        """BYE, and its answer."""
        self.sequence += 1
        self.caller.send(_message(self._head("BYE", self.remote, f"z9hG4bK{secrets.token_hex(8)}", self.to)))
        self._wait_for(lambda text: (text.header("CSeq") or "").endswith("BYE") and text.status == 200, seconds, "")

    def cancel(self) -> SipText:
        """Give up before the answer; the INVITE's final response."""
        self.caller.send(_message(self._head("CANCEL", self.uri, self._branch, self.to)))
        return self.final()

    def ended_by_the_other_side(self) -> SipText:
        """Wait for its BYE, which was answered already."""
        return self._wait_for(lambda text: text.method == "BYE", 10.0, "")

    def _wait_for(self, fits: Callable[[SipText], bool], seconds: float, method: str = "INVITE") -> SipText:
        deadline = time.monotonic() + seconds
        while True:
            for text in self.messages:
                if (not method or (text.header("CSeq") or "").endswith(f"{self.sequence} {method}")) and fits(text):
                    return text
            assert time.monotonic() < deadline, f"call to {self.number}: waited {seconds:g} s; got {self.messages}"
            self.caller.pump(deadline)


class Caller:
    """A peer at an address of its own that calls one server: `call` is a whole call, `begin` one that goes on."""

    def __init__(self, address: str, server: str, port: int = 5060, server_port: int = 5060) -> None:
        self.address, self.port = address, port
        self.server, self.server_port = server, server_port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self._talks: dict[str, Talk] = {}

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, (self.server, self.server_port))

    def begin(
        self,
        number: str,
        *,
        user: str = "5551",
        headers: Sequence[str] = (),
        uri: str = "",
        from_: str = "",
        to: str = "",
        password: str | None = None,
    ) -> Talk:
        """An INVITE from `user`; with a password the user is one of the server's own (and answers its challenge)."""
        host = self.address if password is None else self.server
        talk = Talk(self, number, headers, None if password is None else (user, password))
        self._talks[talk.call_id] = talk
        target = uri or f"sip:{number}@{self.server}:{self.server_port}"
        return talk.begin(target, from_ or f"<sip:{user}@{host}>", to or f"<{target}>")

    def call(self, number: str, **options: object) -> SipText:
        """A whole call, hung up at once when it is answered; its final response."""
        talk = self.begin(number, **options)  # type: ignore[arg-type]
        response = talk.final()
        if response.status == 200:
            talk.hang_up()
        return response

    def statuses(self, numbers: Sequence[str], **options: object) -> list[int]:
        """The final statuses of calls one after the other."""
        return [self.call(number, **options).status for number in numbers]

    def pump(self, deadline: float) -> None:
        """Take one message and hand it to its call; requests of the server are answered with 200."""
        self._socket.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            data, source = self._socket.recvfrom(65535)
        except TimeoutError:
            return
        text = _parse(data)
        if text.method and text.method not in _METHODS_WITHOUT_ANSWER:
            self._socket.sendto(answer_to(text, 200), source)
        talk = self._talks.get(text.header("Call-ID") or "")
        if talk is not None:
            talk.messages.append(text)


def answer_to(request: SipText, status: int, headers: Sequence[str] = (), body: str = "", tag: str = "peer") -> bytes:
    """A response to a request, with a To tag."""
    to = request.header("To") or ""
    if ";tag=" not in to and status > 100:
        to += f";tag={tag}"
    lines = [f"SIP/2.0 {status} Test"]
    lines += [f"{name}: {value}" for name in ("Via", "Record-Route") for value in request.headers(name)]
    lines += [f"{name}: {request.header(name)}" for name in ("From", "Call-ID", "CSeq")]
    return _message([*lines, f"To: {to}", *headers], body)


class Carrier:
    """A peer that answers in a thread of its own by a plan, and remembers every request."""

    def __init__(self, address: str, port: int = 5060, plan: Plan | None = None) -> None:
        self.address, self.port = address, port
        self.plan: Plan = plan if plan is not None else take_everything
        self.requests: list[SipText] = []
        self._invites: dict[str, tuple[SipText, object]] = {}
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(self._family, socket.SOCK_DGRAM)
        self._socket.bind((address, port))
        self._thread = threading.Thread(target=self._run, name=f"carrier {address}", daemon=True)
        self._open = True
        self._thread.start()

    def __enter__(self) -> Carrier:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Be gone: from now on the port is closed."""
        if self._open:
            self._open = False
            with contextlib.suppress(OSError), socket.socket(self._family, socket.SOCK_DGRAM) as waker:
                waker.sendto(b"stop", (self.address, self.port))
            self._thread.join(5)
            self._socket.close()

    def received(self, method: str) -> list[SipText]:
        """The requests of a method, retransmissions left out."""
        first: dict[str, SipText] = {}
        for request in list(self.requests):
            if request.method == method:
                first.setdefault(request.header("Via") or "", request)
        return list(first.values())

    def wait_for(self, method: str, count: int = 1, seconds: float = 10.0) -> SipText:
        """The newest request of a method as soon as there are so many."""
        wait_until(lambda: len(self.received(method)) >= count, f"{count} {method} at {self.address}", seconds)
        return self.received(method)[-1]

    def send(self, data: bytes, host: str, port: int = 5060) -> None:
        """Send something from the carrier's own address."""
        self._socket.sendto(data, (host, port))

    def _run(self) -> None:
        while True:
            try:
                data, source = self._socket.recvfrom(65535)
            except ConnectionError:
                continue
            if data == b"stop" and not self._open:
                return
            text = _parse(data)
            if text.method:
                self._take(text, source)

    def _take(self, request: SipText, source: tuple[str, int]) -> None:
        self.requests.append(request)
        call_id = request.header("Call-ID") or ""
        if request.method in _METHODS_WITHOUT_ANSWER:
            return
        if request.method == "CANCEL" and call_id in self._invites:
            self._socket.sendto(answer_to(request, 200), source)
            self._socket.sendto(answer_to(self._invites[call_id][0], 487), source)
            return
        if request.method == "INVITE":
            self._invites[call_id] = (request, source)
        for reply in self.plan(request):
            status, headers = (reply, ()) if isinstance(reply, int) else reply
            host = f"[{self.address}]" if ":" in self.address else self.address
            contact = (f"Contact: <sip:peer@{host}:{self.port}>",) if status in (180, 183, 200) else ()
            description = (SDP_6 if ":" in self.address else SDP).format(host=self.address)
            body = description if request.method == "INVITE" and status == 200 else ""
            self._socket.sendto(answer_to(request, status, (*contact, *headers), body), source)


def take_everything(request: SipText) -> Sequence[Reply]:
    """Ring and answer; say yes to everything else."""
    return (180, 200) if request.method == "INVITE" else (200,)


def invites_get(*replies: Reply) -> Plan:
    """A plan that answers every INVITE so, and says yes to everything else."""
    return lambda request: replies if request.method == "INVITE" else (200,)
