"""Thousands of phones in one lean process that register with a server at an even rate and say what became of it.

    phones.py SERVER PREFIX PHONES RATE COUNT EXPIRES [FIRST]

Phone number 100000 + n lives at one of 200 addresses of PREFIX; its password is `secret-of-` and the number. Every
registration is REGISTER, 401, REGISTER with digest (SHA-256), 200; repeated as RFC 3261 timer E says. One JSON object.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import select
import socket
import sys
import time
from collections.abc import Iterator

FIRST_ADDRESS, ADDRESSES, FIRST_NUMBER = 30, 200, 100_000
T1, T2, GIVE_UP = 0.5, 4.0, 32.0


def number_of(phone: int) -> str:
    """The number of a phone."""
    return str(FIRST_NUMBER + phone)


def password_of(number: str) -> str:
    """Its password."""
    return f"secret-of-{number}"


class Phones:
    """All phones and the sockets that they share."""

    def __init__(self, server: str, prefix: str, expires: int) -> None:
        self.server = server
        self.expires = expires
        self.made = self.failed = self.repeats = 0
        self._sockets: dict[int, socket.socket] = {}
        self._hosts: dict[int, str] = {}
        self._prefix = prefix
        self._poll = select.epoll()
        self._by_descriptor: dict[int, socket.socket] = {}
        self._sequence: dict[int, int] = {}
        # Greater than that of any run before: the Call-IDs are the same.
        self._begin = int(time.time()) % 100_000_000 * 20
        self._secret: dict[int, str] = {}
        self._request = hashlib.sha256(f"REGISTER:sip:{server}".encode()).hexdigest()
        self._waiting: dict[tuple[int, int], tuple[bytes, float, float]] = {}
        """(phone, CSeq) -> what was sent, when it is given up, and the next interval."""
        self._repeat: list[tuple[float, int, int]] = []

    @property
    def under_way(self) -> int:
        """Registrations that wait for an answer."""
        return len(self._waiting)

    def _socket(self, phone: int) -> socket.socket:
        place = FIRST_ADDRESS + phone % ADDRESSES
        found = self._sockets.get(place)
        if found is None:
            found = self._sockets[place] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            found.bind((f"{self._prefix}.{place}", 5060))
            found.connect((self.server, 5060))
            found.setblocking(False)
            self._poll.register(found.fileno(), select.EPOLLIN)
            self._by_descriptor[found.fileno()] = found
        return found

    def register(self, phone: int, authorization: str = "") -> None:
        """Send a REGISTER."""
        sequence = self._sequence[phone] = self._sequence.get(phone, self._begin) + 1
        number, host = FIRST_NUMBER + phone, f"{self._prefix}.{FIRST_ADDRESS + phone % ADDRESSES}"
        server = self.server
        data = (
            f"REGISTER sip:{server} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {host}:5060;branch=z9hG4bK{phone:x}x{sequence:x};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:{number}@{server}>;tag=t{phone:x}\r\nTo: <sip:{number}@{server}>\r\n"
            f"Call-ID: {phone}@{host}\r\nCSeq: {sequence} REGISTER\r\n"
            f"Contact: <sip:{number}@{host}:5060>\r\nExpires: {self.expires}\r\nUser-Agent: Desk phone 4.2.1\r\n"
            "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY\r\n"
            f"{authorization}Content-Length: 0\r\n\r\n"
        ).encode()
        now = time.monotonic()
        self._waiting[phone, sequence] = data, now + GIVE_UP, T1
        heapq.heappush(self._repeat, (now + T1, phone, sequence))
        self._socket(phone).send(data)

    def _answer(self, phone: int, challenge: str) -> str:
        number = number_of(phone)
        realm = challenge.partition('realm="')[2].partition('"')[0]
        nonce = challenge.partition('nonce="')[2].partition('"')[0]
        secret = self._secret.get(phone)
        if secret is None:
            text = f"{number}:{realm}:{password_of(number)}"
            secret = self._secret[phone] = hashlib.sha256(text.encode()).hexdigest()
        text = f"{secret}:{nonce}:00000001:c{phone:x}:auth:{self._request}"
        return (
            f'Authorization: Digest username="{number}", realm="{realm}", nonce="{nonce}", uri="sip:{self.server}", '
            f'response="{hashlib.sha256(text.encode()).hexdigest()}", algorithm=SHA-256, qop=auth, nc=00000001, '
            f'cnonce="c{phone:x}"\r\n'
        )

    def receive(self, wait: float) -> None:
        """Take what has come."""
        for descriptor, _ in self._poll.poll(wait):
            found = self._by_descriptor[descriptor]
            try:
                while True:
                    self._take(found.recv(65535).decode())
            except BlockingIOError:
                continue

    def _take(self, text: str) -> None:
        phone = int(text.partition("\r\nCall-ID: ")[2].partition("@")[0])
        sequence = int(text.partition("\r\nCSeq: ")[2].partition(" ")[0])
        status = text[8:11]
        if self._waiting.pop((phone, sequence), None) is None:
            return
        if status == "401" and sequence % 2:
            self.register(phone, self._answer(phone, text.partition("\r\nWWW-Authenticate: ")[2].partition("\r\n")[0]))
        else:
            # The next registration begins with an odd number, whatever became of this one.
            self._sequence[phone] = sequence + sequence % 2
            self.made += status == "200"
            self.failed += status != "200"

    def repeat(self, now: float) -> None:
        """Send again what has no answer."""
        while self._repeat and self._repeat[0][0] <= now:
            _, phone, sequence = heapq.heappop(self._repeat)
            waiting = self._waiting.get((phone, sequence))
            if waiting is None:
                continue
            data, give_up, interval = waiting
            if now >= give_up:
                del self._waiting[phone, sequence]
                self._sequence[phone] = sequence + sequence % 2
                self.failed += 1
                continue
            self.repeats += 1
            self._socket(phone).send(data)
            self._waiting[phone, sequence] = data, give_up, min(interval * 2, T2)
            heapq.heappush(self._repeat, (now + min(interval * 2, T2), phone, sequence))


def run(phones: Phones, turns: Iterator[int], rate: float) -> float:
    """Let the phones register one after the other; the seconds that it took."""
    started = time.monotonic()
    begun, next_phone = 0, next(turns, None)
    while next_phone is not None or phones.under_way:
        now = time.monotonic()
        while next_phone is not None and begun < (now - started) * rate:
            phones.register(next_phone)
            begun += 1
            next_phone = next(turns, None)
        phones.receive(0.0005 if rate > 1000 else 0.002)
        phones.repeat(now)
    return time.monotonic() - started


def main() -> None:
    server, prefix, count_of_phones, rate, count, expires, *first = sys.argv[1:]
    phones = Phones(server, prefix, int(expires))
    begin = int(first[0]) if first else 0
    turns = (begin + index % int(count_of_phones) for index in range(int(count)))
    seconds = run(phones, turns, float(rate))
    print(json.dumps({"made": phones.made, "failed": phones.failed, "repeats": phones.repeats, "seconds": seconds}))


if __name__ == "__main__":
    main()
