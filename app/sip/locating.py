"""Locating SIP servers (RFC 3263): which addresses to try for a name, in which order, as a pure function of answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from app.hosts import DEFAULT_PORTS, is_address, unbracketed
from app.sip.flow import TransportName

SUPPORTED: tuple[TransportName, ...] = ("udp", "tcp", "tls")
_SRV_PREFIXES: dict[TransportName, str] = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}
_NAPTR_SERVICES: dict[str, TransportName] = {"sip+d2u": "udp", "sip+d2t": "tcp", "sips+d2t": "tls"}
_MOST_NAPTR = 8
_MOST_SRV = 16
_MOST_ADDRESSES = 16
_MOST_TARGETS = 64
_DEFAULT_TTL = 60.0
_LITERAL_TTL = 86400.0


class RecordType(Enum):
    """The kinds of DNS records that locating needs."""

    NAPTR = "NAPTR"
    SRV = "SRV"
    A = "A"
    AAAA = "AAAA"


class Question(NamedTuple):
    """One thing to look up."""

    name: str
    type: RecordType


class Naptr(NamedTuple):
    """A NAPTR record (RFC 3403)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Srv(NamedTuple):
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


class Outcome(Enum):
    """How a lookup ended."""

    FOUND = "found"
    NO_DATA = "the name has no such records"
    NO_NAME = "the name does not exist"
    FAILED = "no name server gave an answer"


class Answer(NamedTuple):
    """What a lookup gave. The records are Naptr, Srv, or addresses as text, by the question's type."""

    outcome: Outcome
    records: tuple[Naptr, ...] | tuple[Srv, ...] | tuple[str, ...] = ()
    ttl: float = 0.0
    """Seconds for which the records are good."""
    detail: str = ""
    """Why it failed, in words."""


class Target(NamedTuple):
    """One place to try."""

    transport: TransportName
    host: str
    """An IP address without brackets."""
    port: int


@dataclass(frozen=True, slots=True)
class Located:
    """Where a name leads."""

    targets: tuple[Target, ...]
    """What to try, best first; empty exactly when there is an error."""
    ttl: float
    """Seconds for which this is good."""
    error: str | None = None
    """Why there is no target, in words for a person."""
    uncertain: bool = False
    """Whether a lookup on the way failed, so that this may be worse than the truth: ask again soon."""

    offered: bool = True
    """False where the domain itself says that it does not offer such a service."""

    @property
    def is_poor(self) -> bool:
        """Whether to ask again soon: there is no target, or perhaps fewer than in truth."""
        return self.error is not None or self.uncertain

    @property
    def addresses(self) -> frozenset[str]:
        """The addresses of all targets."""
        return frozenset(target.host for target in self.targets)


Answers: TypeAlias = Mapping[Question, Answer]
ADDRESS_TYPES = (RecordType.A, RecordType.AAAA)


def locate(
    name: str,
    port: int | None,
    transport: TransportName | None,
    answers: Answers,
    random: Callable[[], float],
    supported: Sequence[TransportName] = SUPPORTED,
    address_types: Sequence[RecordType] = ADDRESS_TYPES,
) -> Located | list[Question]:
    """Where to send a request for `sip:name:port;transport=transport` (RFC 3263 4.1 and 4.2).

    Returns what has to be looked up first, none of which is in `answers`; call again with those answers added. After
    four rounds at most there is a result. `random` gives floats from 0 to 1 (RFC 2782 wants the order of servers of
    one priority drawn by weight). `supported` is the order in which transports are liked, `address_types` that of the
    address families. At most 8 NAPTR, 16 SRV and 16 address records of a name are used, and 64 targets.
    """
    literal = located_literally(name, port, transport)
    if literal is not None:
        return literal
    return _Locating(name.rstrip(".").lower(), answers, random, supported, address_types).run(port, transport)


def located_literally(name: str, port: int | None, transport: TransportName | None) -> Located | None:
    """The result where the name is an IP address, with brackets or without, and nothing is to be looked up."""
    bare = unbracketed(name)
    if not is_address(bare):
        return None
    chosen: TransportName = transport or "udp"
    return Located((Target(chosen, bare, port or DEFAULT_PORTS[chosen]),), _LITERAL_TTL)


class _Locating:
    """One evaluation; collects the questions that are open and the shortest TTL of what was used."""

    def __init__(
        self,
        name: str,
        answers: Answers,
        random: Callable[[], float],
        supported: Sequence[TransportName],
        address_types: Sequence[RecordType],
    ) -> None:
        self.name = name
        self.answers = answers
        self.random = random
        self.supported = supported
        self.address_types = address_types
        self.open: list[Question] = []
        self.ttl = float("inf")
        self.failed = ""
        self.refused = False

    def run(self, port: int | None, transport: TransportName | None) -> Located | list[Question]:
        targets: list[Target] = []
        if port is None:
            services = self._services_of(transport) if transport else self._services()
            if not self.open:
                targets = self._by_srv(services)
        if not self.open and not targets and not self.refused:
            # RFC 3263 4.2: without SRV records, or with an explicit port, the addresses of the name itself.
            chosen: TransportName = transport or "udp"
            targets = self._at(self.name, chosen, port or DEFAULT_PORTS[chosen])
        if self.open:
            return list(dict.fromkeys(self.open))
        unique = tuple(dict.fromkeys(targets))[:_MOST_TARGETS]
        if not unique:
            return Located((), 0.0, self._why(), bool(self.failed), not self.refused)
        return Located(unique, self.ttl if self.ttl < float("inf") else _DEFAULT_TTL, None, bool(self.failed))

    def _services_of(self, transport: TransportName) -> list[tuple[TransportName, str]]:
        """The name of the SRV records of a transport that was chosen.

        RFC 3263 4.1 asks for no NAPTR then. But a user chooses a transport in every record, and a carrier may keep its
        SRV records under a name that only its NAPTR records tell; those of the other transports are left out. Whoever
        does not answer this question, as some small routers, is none the worse.
        """
        usual = [(transport, _SRV_PREFIXES[transport] + self.name)]
        question = Question(self.name, RecordType.NAPTR)
        answer = self.answers.get(question)
        if answer is None:
            # Both at once: mostly there is no NAPTR record, and nobody shall wait for that.
            self.open.append(question)
            self._ask(usual[0][1], RecordType.SRV)
            return usual
        if answer.outcome is not Outcome.FOUND:
            return usual
        self.ttl = min(self.ttl, answer.ttl)
        return self._of_naptr(answer, (transport,)) or usual

    def _services(self) -> list[tuple[TransportName, str]]:
        """The transports on offer and the name of the SRV records of each, best first (RFC 3263 4.1)."""
        answer = self._ask(self.name, RecordType.NAPTR)
        if answer is None:
            return []
        found = self._of_naptr(answer, self.supported)
        return found or [(each, _SRV_PREFIXES[each] + self.name) for each in self.supported]

    @staticmethod
    def _of_naptr(answer: Answer, wanted: Sequence[TransportName]) -> list[tuple[TransportName, str]]:
        found: list[tuple[TransportName, str]] = []
        records = [record for record in answer.records if isinstance(record, Naptr)]
        for record in sorted(records, key=lambda each: (each.order, each.preference))[:_MOST_NAPTR]:
            offered = _NAPTR_SERVICES.get(record.service.lower())
            if offered in wanted and record.flags.lower() == "s" and offered is not None:
                found.append((offered, record.replacement.rstrip(".").lower()))
        return found

    def _by_srv(self, services: Sequence[tuple[TransportName, str]]) -> list[Target]:
        answers = [(offered, self._ask(service, RecordType.SRV)) for offered, service in services]
        targets: list[Target] = []
        none_offered: list[bool] = []
        for offered, answer in answers:
            if answer is None or answer.outcome is not Outcome.FOUND:
                continue
            records = [record for record in answer.records if isinstance(record, Srv)]
            usable = [record for record in records if record.target.rstrip(".") and record.port]
            # RFC 2782: the single target "." says that the service is decidedly not available.
            none_offered.append(not usable)
            usable.sort(key=lambda each: (each.priority, -each.weight))
            for record in self._drawn(usable[:_MOST_SRV]):
                targets += self._at(record.target.rstrip(".").lower(), offered, record.port)
        self.refused = bool(none_offered) and all(none_offered)
        return targets

    def _drawn(self, records: list[Srv]) -> list[Srv]:
        """By priority; within one, each next server drawn with a chance by its weight (RFC 2782)."""
        ordered: list[Srv] = []
        for priority in sorted({record.priority for record in records}):
            # Those of weight 0 first, so that they have the small chance that the RFC gives them.
            left = sorted((each for each in records if each.priority == priority), key=lambda each: each.weight)
            while left:
                mark = self.random() * sum(each.weight for each in left)
                running = 0
                for record in left:
                    running += record.weight
                    if running >= mark:
                        ordered.append(record)
                        left.remove(record)
                        break
        return ordered

    def _at(self, host: str, transport: TransportName, port: int) -> list[Target]:
        """The targets at the addresses of a host."""
        literal = located_literally(host, port, transport)
        if literal is not None:
            return list(literal.targets)
        answers = [self._ask(host, each) for each in self.address_types]
        return [
            Target(transport, record, port)
            for answer in answers
            if answer is not None
            for record in answer.records[:_MOST_ADDRESSES]
            if isinstance(record, str)
        ]

    def _ask(self, name: str, record_type: RecordType) -> Answer | None:
        question = Question(name, record_type)
        answer = self.answers.get(question)
        if answer is None:
            self.open.append(question)
        elif answer.outcome is Outcome.FOUND:
            self.ttl = min(self.ttl, answer.ttl)
        elif answer.outcome is Outcome.FAILED:
            self.failed = answer.detail or answer.outcome.value
        return answer

    def _why(self) -> str:
        if self.failed:
            return f"the address of {self.name} could not be looked up: {self.failed}"
        if self.refused:
            return f"{self.name} says that it offers no such SIP service"
        outcomes = [self.answers[question].outcome for question in self.answers if question.name == self.name]
        if Outcome.NO_NAME in outcomes:
            return f"the name {self.name} does not exist"
        return f"{self.name} has no address"
