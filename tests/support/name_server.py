"""A small DNS server on a loopback address, whose zone a test may change while it runs."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Sequence

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

SILENT, REFUSED, SERVER_FAILURE = "silent", "refused", "server failure"


class NameServer:
    """Answers over UDP from `zone`: "A sip.example." -> ["192.0.2.1"], or one of the constants above for trouble."""

    def __init__(self, address: str, zone: dict[str, Sequence[str] | str]) -> None:
        self.zone = zone
        self.ttl = 300
        self.default: str | None = None
        """One of the constants: what happens to every question whatever the zone says."""
        self.asked: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 0))
        self.address: tuple[str, int] = self._socket.getsockname()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuse from now on, as a machine without name server does."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"stop", self.address)
        self._thread.join(5)
        self._socket.close()

    def _run(self) -> None:
        while True:
            data, source = self._socket.recvfrom(65535)
            if data == b"stop":
                return
            answer = self._answer(dns.message.from_wire(data))
            if answer is not None:
                self._socket.sendto(answer.to_wire(), source)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        question = query.question[0]
        name, kind = question.name, dns.rdatatype.to_text(question.rdtype)
        asked = f"{kind} {name.to_text().lower()}"
        self.asked[asked] += 1
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        records = self.default or self.zone.get(asked)
        if records == SILENT:
            return None
        if records in (REFUSED, SERVER_FAILURE):
            response.set_rcode(dns.rcode.REFUSED if records == REFUSED else dns.rcode.SERVFAIL)
        elif records:
            response.answer.append(dns.rrset.from_text(name, self.ttl, dns.rdataclass.IN, kind, *records))
        elif alias := self.zone.get(f"CNAME {name.to_text().lower()}"):
            target = alias[0]
            response.answer.append(dns.rrset.from_text(name, 20, dns.rdataclass.IN, "CNAME", target))
            found = self.zone.get(f"{kind} {target}")
            if found:
                response.answer.append(dns.rrset.from_text(target, self.ttl, dns.rdataclass.IN, kind, *found))
        elif not any(each.split(" ", 1)[1] == name.to_text().lower() for each in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response
