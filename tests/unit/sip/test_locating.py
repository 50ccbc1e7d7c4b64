"""RFC 3263 as a function: each way from a name to its targets, with the questions that it asks on the way."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sip.locating import (
    Answer,
    Located,
    Naptr,
    Outcome,
    Question,
    RecordType,
    Srv,
    Target,
    locate,
)

NO_DATA, NO_NAME, FAILED = (Answer(each) for each in (Outcome.NO_DATA, Outcome.NO_NAME, Outcome.FAILED))


class Zone:
    """Answers from a small zone, and the rounds of questions that were asked of it."""

    def __init__(self, records: dict[str, Any], otherwise: Answer = NO_DATA) -> None:
        self.records = records
        self.otherwise = otherwise
        self.rounds: list[list[str]] = []

    def locate(self, name: str, port: int | None = None, transport: Any = None, **options: Any) -> Located:
        answers: dict[Question, Answer] = {}
        draw = options.pop("random", lambda: 0.5)
        self.rounds.clear()
        while True:
            step = locate(name, port, transport, answers, draw, **options)
            if isinstance(step, Located):
                return step
            assert step, "neither a result nor a question"
            assert not any(question in answers for question in step), "asked twice"
            self.rounds.append([f"{question.type.value} {question.name}" for question in step])
            assert len(self.rounds) <= 4
            for question in step:
                found = self.records.get(f"{question.type.value} {question.name}", self.otherwise)
                answers[question] = found if isinstance(found, Answer) else Answer(Outcome.FOUND, tuple(found), 300)


def udp(host: str, port: int = 5060) -> Target:
    return Target("udp", host, port)


@pytest.mark.parametrize(
    ("name", "port", "transport", "target"),
    [
        ("192.0.2.1", None, None, Target("udp", "192.0.2.1", 5060)),
        ("192.0.2.1", 5080, "tcp", Target("tcp", "192.0.2.1", 5080)),
        ("192.0.2.1", None, "tls", Target("tls", "192.0.2.1", 5061)),
        ("[2001:db8::1]", None, "tcp", Target("tcp", "2001:db8::1", 5060)),
        ("2001:db8::1", 5062, None, Target("udp", "2001:db8::1", 5062)),
    ],
)
def test_an_address_needs_no_lookup(name: str, port: int | None, transport: Any, target: Target) -> None:
    zone = Zone({})
    assert zone.locate(name, port, transport).targets == (target,)
    assert zone.rounds == []


def test_with_a_port_only_addresses_are_looked_up() -> None:
    zone = Zone({"A sip.example.com": ["192.0.2.1", "192.0.2.2"], "AAAA sip.example.com": ["2001:db8::1"]})
    assert zone.locate("SIP.example.com.", 5080, "tcp") == Located(
        (
            Target("tcp", "192.0.2.1", 5080),
            Target("tcp", "192.0.2.2", 5080),
            Target("tcp", "2001:db8::1", 5080),
        ),
        300,
    )
    assert zone.locate("sip.example.com", 5080).targets[0] == udp("192.0.2.1", 5080)
    assert zone.rounds[0] == ["A sip.example.com", "AAAA sip.example.com"]


@pytest.mark.parametrize(("transport", "service"), [("udp", "_sip._udp"), ("tcp", "_sip._tcp"), ("tls", "_sips._tcp")])
def test_with_a_transport_its_srv_records_are_looked_up(transport: Any, service: str) -> None:
    zone = Zone({f"SRV {service}.example.com": [Srv(1, 0, 5070, "a.example.com")], "A a.example.com": ["192.0.2.1"]})
    assert zone.locate("example.com", None, transport).targets == (Target(transport, "192.0.2.1", 5070),)
    asked_first = ["NAPTR example.com", f"SRV {service}.example.com"]
    assert zone.rounds == [asked_first, ["A a.example.com", "AAAA a.example.com"]]


def test_with_a_transport_naptr_may_name_other_srv_records_of_it() -> None:
    """Those of the other transports are left out, and a server that does not answer NAPTR is none the worse."""
    records = {
        "NAPTR example.com": [
            Naptr(10, 0, "s", "SIPS+D2T", "_sips._tcp.example.com"),
            Naptr(20, 0, "s", "SIP+D2U", "_sip._udp.carrier.example"),
        ],
        "SRV _sip._udp.carrier.example": [Srv(1, 0, 5070, "a.example.com")],
        "SRV _sip._tcp.example.com": [Srv(1, 0, 5080, "a.example.com")],
        "A a.example.com": ["192.0.2.1"],
        "A example.com": ["192.0.2.9"],
    }
    assert Zone(records).locate("example.com", None, "udp").targets == (udp("192.0.2.1", 5070),)
    assert Zone(records).locate("example.com", None, "tcp").targets == (Target("tcp", "192.0.2.1", 5080),)
    silent = Zone({**records, "NAPTR example.com": FAILED}).locate("example.com", None, "udp")
    assert (silent.targets, silent.uncertain) == ((udp("192.0.2.9"),), False)


@pytest.mark.parametrize(("transport", "port"), [("udp", 5060), ("tcp", 5060), ("tls", 5061)])
def test_without_srv_records_the_name_has_the_default_port(transport: Any, port: int) -> None:
    zone = Zone({"A example.com": ["192.0.2.1"]})
    assert zone.locate("example.com", None, transport).targets == (Target(transport, "192.0.2.1", port),)


def test_naptr_gives_the_transports_in_their_order() -> None:
    """The example of RFC 3263 4.1, with the records in disorder and two that do not apply."""
    zone = Zone(
        {
            "NAPTR example.com": [
                Naptr(90, 50, "s", "SIP+D2U", "_sip._udp.example.com."),
                Naptr(50, 50, "s", "SIPS+D2T", "_sips._tcp.example.com."),
                Naptr(10, 50, "s", "SIP+D2S", "_sip._sctp.example.com."),
                Naptr(20, 50, "u", "SIP+D2T", ""),
                Naptr(90, 40, "S", "sip+d2t", "_Sip._tcp.other.example."),
            ],
            "SRV _sips._tcp.example.com": [Srv(0, 1, 5061, "s1.example.com")],
            "SRV _sip._tcp.other.example": [Srv(0, 1, 5060, "s2.example.com")],
            "SRV _sip._udp.example.com": [Srv(0, 1, 5060, "s2.example.com")],
            "A s1.example.com": ["192.0.2.1"],
            "A s2.example.com": ["192.0.2.2"],
        }
    )
    located = zone.locate("example.com")
    assert located.targets == (
        Target("tls", "192.0.2.1", 5061),
        Target("tcp", "192.0.2.2", 5060),
        Target("udp", "192.0.2.2", 5060),
    )
    assert zone.rounds[0] == ["NAPTR example.com"]
    assert len(zone.rounds) == 3
    assert [each.transport for each in zone.locate("example.com", supported=("udp", "tcp")).targets] == ["tcp", "udp"]


def test_without_naptr_the_srv_records_of_every_transport_are_asked_for() -> None:
    zone = Zone({"SRV _sip._tcp.example.com": [Srv(0, 1, 5090, "a.example.com")], "A a.example.com": ["192.0.2.1"]})
    assert zone.locate("example.com").targets == (Target("tcp", "192.0.2.1", 5090),)
    assert zone.rounds[1] == [
        "SRV _sip._udp.example.com",
        "SRV _sip._tcp.example.com",
        "SRV _sips._tcp.example.com",
    ]


def test_without_anything_but_addresses_it_is_udp_on_the_default_port() -> None:
    zone = Zone({"A example.com": ["192.0.2.1"]})
    assert zone.locate("example.com").targets == (udp("192.0.2.1"),)
    assert [len(each) for each in zone.rounds] == [1, 3, 2]


def test_srv_records_whose_hosts_have_no_address_give_way_to_the_name_itself() -> None:
    zone = Zone({"SRV _sip._udp.example.com": [Srv(0, 1, 5090, "a.example.com")], "A example.com": ["192.0.2.1"]})
    assert zone.locate("example.com", None, "udp").targets == (udp("192.0.2.1"),)


def test_a_service_that_is_decidedly_not_offered_is_not_looked_for_further() -> None:
    zone = Zone({"SRV _sip._udp.example.com": [Srv(0, 0, 0, ".")], "A example.com": ["192.0.2.1"]})
    located = zone.locate("example.com", None, "udp")
    assert (located.targets, located.error) == ((), "example.com says that it offers no such SIP service")
    assert not located.offered
    zone.records["SRV _sip._tcp.example.com"] = [Srv(0, 0, 5060, "example.com")]
    assert zone.locate("example.com").targets == (Target("tcp", "192.0.2.1", 5060),)


def test_an_srv_target_may_be_an_address() -> None:
    zone = Zone({"SRV _sip._udp.example.com": [Srv(0, 0, 5070, "192.0.2.9")]})
    assert zone.locate("example.com", None, "udp").targets == (udp("192.0.2.9", 5070),)


def test_servers_are_tried_by_priority_and_drawn_by_weight() -> None:
    hosts = {"A a.example": ["192.0.2.1"], "A b.example": ["192.0.2.2"], "A c.example": ["192.0.2.3"]}
    records = [Srv(20, 9, 5060, "c.example"), Srv(10, 30, 5060, "a.example"), Srv(10, 10, 5060, "b.example")]
    zone_records = {"SRV _sip._udp.example.com": records, **hosts}
    generator = random.Random(7)
    first = Counter[str]()
    for _ in range(2000):
        located = Zone(zone_records).locate("example.com", None, "udp", random=generator.random)
        assert sorted(target.host for target in located.targets) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
        assert located.targets[2].host == "192.0.2.3"
        first[located.targets[0].host] += 1
    assert 0.70 < first["192.0.2.1"] / 2000 < 0.80


def test_among_others_a_server_of_weight_zero_hardly_comes_first() -> None:
    records = [Srv(1, 0, 5060, "192.0.2.1"), Srv(1, 1, 5060, "192.0.2.2")]
    zone = Zone({"SRV _sip._udp.example.com": records})
    for drawn in (0.001, 0.5, 0.999):
        assert zone.locate("example.com", None, "udp", random=lambda drawn=drawn: drawn).targets[0].host == "192.0.2.2"
    assert zone.locate("example.com", None, "udp", random=lambda: 0.0).targets[0].host == "192.0.2.1"


def test_the_shortest_ttl_of_what_was_used_counts() -> None:
    zone = Zone(
        {
            "SRV _sip._udp.example.com": Answer(Outcome.FOUND, (Srv(0, 0, 5060, "a.example"),), 900),
            "A a.example": Answer(Outcome.FOUND, ("192.0.2.1",), 70),
            "AAAA a.example": Answer(Outcome.FOUND, ("2001:db8::1",), 40),
        }
    )
    assert zone.locate("example.com", None, "udp").ttl == 40
    only = (RecordType.A,)
    assert zone.locate("example.com", None, "udp", address_types=only) == Located((udp("192.0.2.1"),), 70)


def test_the_reason_of_having_nothing_is_said_in_words() -> None:
    assert Zone({}, NO_NAME).locate("nowhere.example", 5060).error == "the name nowhere.example does not exist"
    assert Zone({}).locate("empty.example", 5060).error == "empty.example has no address"
    failed = Zone({}, Answer(Outcome.FAILED, detail="the name server 192.0.2.53 does not answer"))
    located = failed.locate("example.com")
    assert located.error == (
        "the address of example.com could not be looked up: the name server 192.0.2.53 does not answer"
    )
    assert located.uncertain
    assert not Zone({}, NO_NAME).locate("nowhere.example").uncertain


def test_a_failed_lookup_on_the_way_is_gone_around_and_told() -> None:
    """Some small routers do not answer questions for NAPTR and SRV at all."""
    zone = Zone({"NAPTR example.com": FAILED, "SRV _sip._udp.example.com": FAILED, "A example.com": ["192.0.2.1"]})
    located = zone.locate("example.com")
    assert (located.targets, located.error, located.uncertain) == ((udp("192.0.2.1"),), None, True)


def test_hostile_answers_are_bounded() -> None:
    many = {
        "NAPTR example.com": [Naptr(n, 0, "s", "SIP+D2U", f"_sip._udp.{n}.example") for n in range(100)],
        **{f"SRV _sip._udp.{n}.example": [Srv(0, 0, 5060, f"{m}.{n}.example") for m in range(100)] for n in range(100)},
        **{f"A {m}.{n}.example": [f"10.{n}.{m}.{each}" for each in range(100)] for n in range(100) for m in range(100)},
    }
    zone = Zone(many)
    assert len(zone.locate("example.com").targets) == 64
    assert [len(each) for each in zone.rounds] == [1, 8, 256]
    loop = Zone({"SRV _sip._udp.example.com": [Srv(0, 0, 5060, "_sip._udp.example.com")]})
    assert loop.locate("example.com", None, "udp").error == "example.com has no address"


naptrs = st.builds(Naptr, st.integers(0, 9), st.integers(0, 9), st.sampled_from("sSua"), st.text(max_size=9), st.text())
srvs = st.builds(Srv, st.integers(0, 9), st.integers(0, 65535), st.integers(0, 65535), st.text(max_size=9))
answers = st.builds(
    Answer,
    st.sampled_from(Outcome),
    st.lists(naptrs | srvs | st.text(max_size=9), max_size=5).map(tuple),
    st.floats(0, 1e6),
)


@given(st.text(max_size=20), st.none() | st.integers(1, 65535), st.sampled_from([None, "udp", "tcp", "tls"]), st.data())
def test_whatever_the_answers_there_is_a_result(name: str, port: int | None, transport: Any, data: Any) -> None:
    known: dict[Question, Answer] = {}
    for _ in range(5):
        step = locate(name, port, transport, known, lambda: 0.7)
        if isinstance(step, Located):
            assert bool(step.targets) == (step.error is None)
            return
        known |= {question: data.draw(answers) for question in step}
    raise AssertionError("no result after five rounds")
