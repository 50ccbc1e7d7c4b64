"""The resolver against a real name server on a loopback address, on each kind of event loop."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.name_server import REFUSED, SERVER_FAILURE, SILENT, NameServer
from support.transports import LOOPS, run_on
from support.waiting import until

from app.sip import resolver as resolver_module
from app.sip.locating import Located, Target
from app.sip.resolver import Resolver

pytestmark = pytest.mark.wire

TRUNK = "A sip.carrier.example."


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return lambda main: run_on(request.param, request, main)


@pytest.fixture
def run_plain(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return lambda main: run_on("asyncio", request, main)


@pytest.fixture
def server(network: Any) -> Iterator[NameServer]:
    opened = NameServer(network.address(53), {TRUNK: ["192.0.2.8"]})
    yield opened
    opened.stop()


class Asker:
    """A resolver with a clock that the test moves; `find` waits for the answer, `ask` does not."""

    def __init__(self, *servers: NameServer, **options: Any) -> None:
        self.now = 1000.0
        self.changes: list[tuple[str, set[str]]] = []
        self.resolver = Resolver([each.address for each in servers], lambda: self.now, lambda: 0.5, **options)
        self.resolver.on_addresses_changed = lambda name, addresses: self.changes.append((name, set(addresses)))
        self.resolver.start()

    def ask(self, name: str, port: int | None = 5060, transport: Any = "udp") -> list[Located]:
        answers: list[Located] = []
        thread = threading.current_thread()

        def take(located: Located) -> None:
            assert threading.current_thread() is thread
            answers.append(located)

        self.resolver.resolve(name, port, transport, take)
        return answers

    async def find(self, name: str, port: int | None = 5060, transport: Any = "udp", seconds: float = 5.0) -> Located:
        answers = self.ask(name, port, transport)
        await until(lambda: answers, f"the answer for {name}", seconds)
        assert len(answers) == 1
        return answers[0]


def hosts(located: Located) -> list[str]:
    return [target.host for target in located.targets]


def test_what_a_person_wants_looked_up_anew_is(run_plain: Any, server: NameServer) -> None:
    async def main() -> None:
        asker = Asker(server)
        await asker.find("sip.carrier.example")
        server.zone[TRUNK] = ["192.0.2.9"]
        assert hosts(await asker.find("sip.carrier.example")) == ["192.0.2.8"]
        asker.resolver.refresh()
        assert hosts(await asker.find("sip.carrier.example")) == ["192.0.2.9"]
        server.zone[TRUNK] = SERVER_FAILURE
        asker.resolver.refresh()
        assert hosts(await asker.find("sip.carrier.example")) == ["192.0.2.9"], "the old answer is better than none"
        asker.resolver.stop()

    run_plain(main())


def test_a_name_is_looked_up_once_and_then_known_at_once(run: Any, server: NameServer) -> None:
    async def main() -> None:
        asker = Asker(server)
        first = asker.ask("SIP.carrier.example.")
        second = asker.ask("sip.carrier.example")
        assert first == second == []
        await until(lambda: first and second, "both answers")
        assert first == second == [Located((Target("udp", "192.0.2.8", 5060),), 300)]
        assert server.asked[TRUNK] == 1
        assert asker.ask("sip.carrier.example")[0].targets == first[0].targets
        assert asker.resolver.addresses_of("Sip.carrier.example.") == {"192.0.2.8"}
        assert asker.changes == [("sip.carrier.example", {"192.0.2.8"})]
        asker.resolver.stop()

    run(main())


def test_naptr_srv_and_aliases_from_the_wire(run_plain: Any, server: NameServer) -> None:
    server.zone |= {
        "NAPTR carrier.example.": [
            '20 10 "S" "SIP+D2U" "" _sip._udp.carrier.example.',
            '10 10 "s" "SIPS+D2T" "" _sips._tcp.carrier.example.',
        ],
        "SRV _sips._tcp.carrier.example.": ["10 0 5061 edge.carrier.example.", "20 0 5071 sip.carrier.example."],
        "SRV _sip._udp.carrier.example.": ["10 0 5060 sip.carrier.example."],
        "CNAME edge.carrier.example.": ["edge.cdn.example."],
        "A edge.cdn.example.": ["192.0.2.9"],
        "AAAA edge.cdn.example.": ["2001:db8::9"],
    }

    async def main() -> None:
        asker = Asker(server)
        located = await asker.find("carrier.example", None, None)
        assert located.targets == (
            Target("tls", "192.0.2.9", 5061),
            Target("tls", "2001:db8::9", 5061),
            Target("tls", "192.0.2.8", 5071),
            Target("udp", "192.0.2.8", 5060),
        )
        assert located.ttl == 20  # the alias has the shortest one
        assert asker.resolver.addresses_of("carrier.example") == {"192.0.2.8", "192.0.2.9", "2001:db8::9"}
        asker.resolver.stop()

    run_plain(main())


def test_addresses_are_answered_at_once_and_without_the_thread(run_plain: Any) -> None:
    unstarted = Resolver([])
    answers: list[Located] = []
    unstarted.resolve("192.0.2.1", None, "tls", answers.append)
    unstarted.resolve("[2001:db8::1]", 5080, None, answers.append)
    assert [each.targets[0] for each in answers] == [
        Target("tls", "192.0.2.1", 5061),
        Target("udp", "2001:db8::1", 5080),
    ]
    unstarted.resolve("carrier.example", None, None, answers.append)
    assert answers[2].error == "the resolver is not running"


def test_what_is_no_host_name_is_refused_at_once(run_plain: Any, server: NameServer) -> None:
    async def main() -> None:
        asker = Asker(server)
        for name in ("", ".", "a..b", "x" * 64 + ".example", "a b.example", "a\n.example", "\0", ".".join("x" * 200)):
            (located,) = asker.ask(name)
            assert located.error is not None, name
            assert located.targets == ()
        assert server.asked == {}
        asker.resolver.stop()

    run_plain(main())


def test_an_answer_is_refreshed_in_the_background_before_it_ends(run: Any, server: NameServer) -> None:
    async def main() -> None:
        asker = Asker(server)
        await asker.find("sip.carrier.example")
        server.zone[TRUNK] = ["192.0.2.99"]
        asker.now += 239
        assert hosts(asker.ask("sip.carrier.example")[0]) == ["192.0.2.8"]
        assert server.asked[TRUNK] == 1
        asker.now += 2
        assert hosts(asker.ask("sip.carrier.example")[0]) == ["192.0.2.8"]
        await until(lambda: asker.resolver.addresses_of("sip.carrier.example") == {"192.0.2.99"}, "the refresh")
        assert hosts(asker.ask("sip.carrier.example")[0]) == ["192.0.2.99"]
        assert server.asked[TRUNK] == 2
        assert asker.changes[-1] == ("sip.carrier.example", {"192.0.2.99"})
        # Once it has ended the new one is waited for: the address may have changed long ago.
        server.zone[TRUNK] = ["192.0.2.100"]
        asker.now += 301
        assert hosts(await asker.find("sip.carrier.example")) == ["192.0.2.100"]
        asker.resolver.stop()

    run(main())


@pytest.mark.parametrize(("ttl", "good_for"), [(0, 5), (1, 5), (100, 100), (7 * 86400, 3600)])
def test_the_ttl_is_kept_within_limits(run_plain: Any, server: NameServer, ttl: int, good_for: int) -> None:
    async def main() -> None:
        server.ttl = ttl
        asker = Asker(server)
        await asker.find("sip.carrier.example")
        server.zone[TRUNK] = ["192.0.2.99"]
        asker.now += good_for * 0.79
        assert asker.ask("sip.carrier.example") != []
        assert server.asked[TRUNK] == 1
        asker.now += good_for * 0.22
        assert hosts(await asker.find("sip.carrier.example")) == ["192.0.2.99"]
        asker.resolver.stop()

    run_plain(main())


@pytest.mark.parametrize("trouble", [REFUSED, SERVER_FAILURE])
def test_while_the_refresh_fails_the_old_answer_is_used(run: Any, server: NameServer, trouble: str) -> None:
    async def main() -> None:
        asker = Asker(server)
        await asker.find("sip.carrier.example")
        server.default = trouble
        asker.now += 301
        assert hosts(await asker.find("sip.carrier.example")) == ["192.0.2.8"]
        questions = server.asked[TRUNK]
        # It is not asked again for 30 s, and then in the background.
        asker.now += 29
        assert hosts(asker.ask("sip.carrier.example")[0]) == ["192.0.2.8"]
        assert server.asked[TRUNK] == questions
        asker.now += 2
        assert hosts(asker.ask("sip.carrier.example")[0]) == ["192.0.2.8"]
        await until(lambda: server.asked[TRUNK] > questions, "the next attempt")
        await until(lambda: asker.resolver._asking == 0, "the end of that")
        assert asker.resolver.addresses_of("sip.carrier.example") == {"192.0.2.8"}
        server.default = None
        server.zone[TRUNK] = ["192.0.2.99"]
        asker.now += 31
        asker.ask("sip.carrier.example")
        await until(lambda: hosts(asker.ask("sip.carrier.example")[0]) == ["192.0.2.99"], "the new address")
        # A day later the old answer is worth nothing.
        server.default = trouble
        asker.now += 86401
        assert (await asker.find("sip.carrier.example")).error is not None
        assert asker.resolver.addresses_of("sip.carrier.example") == frozenset()
        asker.resolver.stop()

    run(main())


def test_a_refresh_that_takes_long_is_not_waited_for(run: Any, server: NameServer, monkeypatch: Any) -> None:
    monkeypatch.setattr(resolver_module, "PATIENCE", 0.05)

    async def main() -> None:
        asker = Asker(server)
        await asker.find("sip.carrier.example")
        server.default = SILENT
        asker.now += 301
        started = time.monotonic()
        first, second = asker.ask("sip.carrier.example"), asker.ask("sip.carrier.example")
        assert first == second == []
        await until(lambda: first and second, "the old answer")
        assert hosts(first[0]) == hosts(second[0]) == ["192.0.2.8"]
        assert time.monotonic() - started < 1
        asker.resolver.stop()
        await asyncio.sleep(0)
        assert len(first) == len(second) == 1

    run(main())


def test_a_name_that_is_gone_is_gone(run_plain: Any, server: NameServer) -> None:
    async def main() -> None:
        asker = Asker(server)
        await asker.find("sip.carrier.example")
        del server.zone[TRUNK]
        asker.now += 301
        assert (await asker.find("sip.carrier.example")).error == "the name sip.carrier.example does not exist"
        assert asker.resolver.addresses_of("sip.carrier.example") == frozenset()
        assert asker.changes[-1] == ("sip.carrier.example", set())
        questions = server.asked[TRUNK]
        asker.now += 29
        assert asker.ask("sip.carrier.example")[0].error is not None
        assert server.asked[TRUNK] == questions
        server.zone[TRUNK] = ["192.0.2.8"]
        asker.now += 2
        assert hosts(await asker.find("sip.carrier.example")) == ["192.0.2.8"]
        asker.resolver.stop()

    run_plain(main())


def test_a_silent_name_server_delays_no_other_name(run: Any, server: NameServer) -> None:
    async def main() -> None:
        server.zone["A silent.example."] = SILENT
        asker = Asker(server)
        silent = asker.ask("silent.example")
        started = time.monotonic()
        assert hosts(await asker.find("sip.carrier.example")) == ["192.0.2.8"]
        assert time.monotonic() - started < 1
        assert silent == []
        asker.resolver.stop()

    run(main())


def test_silence_of_all_name_servers_is_said_in_words(run_plain: Any, server: NameServer, monkeypatch: Any) -> None:
    monkeypatch.setattr(resolver_module, "_TRY_SECONDS", 0.1)
    monkeypatch.setattr(resolver_module, "_LOOKUP_SECONDS", 0.2)

    async def main() -> None:
        server.default = SILENT
        asker = Asker(server)
        located = await asker.find("sip.carrier.example")
        assert located.error == (
            "the address of sip.carrier.example could not be looked up: the name servers do not answer"
        )
        assert located.uncertain
        asker.resolver.stop()

    run_plain(main())


def test_the_second_name_server_answers_where_the_first_does_not(
    run_plain: Any, server: NameServer, network: Any
) -> None:
    async def main() -> None:
        dead = NameServer(network.address(54), {})
        dead.stop()
        asker = Asker(dead, server)
        assert hosts(await asker.find("sip.carrier.example")) == ["192.0.2.8"]
        asker.resolver.stop()

    run_plain(main())


def test_a_name_of_the_hosts_file_is_found_by_the_system(run: Any, server: NameServer) -> None:
    async def main() -> None:
        asker = Asker(server)
        located = await asker.find("localhost", 5070, "tcp")
        assert Target("tcp", "127.0.0.1", 5070) in located.targets
        assert located.error is None
        asker.resolver.stop()

    run(main())


def test_the_hosts_file_serves_when_no_name_server_answers(
    run_plain: Any, server: NameServer, monkeypatch: Any
) -> None:
    monkeypatch.setattr(resolver_module, "_TRY_SECONDS", 0.1)
    monkeypatch.setattr(resolver_module, "_LOOKUP_SECONDS", 0.2)
    asked: list[str] = []

    def hosts_file(name: str, *_rest: Any, **_options: Any) -> list[Any]:
        asked.append(name)
        if name == "gone.example":
            raise socket.gaierror(-2, "Name or service not known")
        return [(0, 0, 0, "", ("2001:db8::5", 0, 0, 0)), (0, 0, 0, "", ("192.0.2.5", 0))]

    monkeypatch.setattr(resolver_module.socket, "getaddrinfo", hosts_file)

    async def main() -> None:
        server.default = SILENT
        from app.sip.locating import RecordType

        asker = Asker(server, address_types=[RecordType.A])
        assert (await asker.find("pbx")).targets == (Target("udp", "192.0.2.5", 5060),)
        assert (await asker.find("gone.example")).error is not None
        assert asked == ["pbx", "gone.example"]
        # A domain that says that it does not offer the service is not asked behind its back.
        server.default = None
        server.zone["SRV _sip._udp.no.example."] = ["0 0 0 ."]
        assert "offers no such" in str((await asker.find("no.example", None)).error)
        assert asked == ["pbx", "gone.example"]
        asker.resolver.stop()

    run_plain(main())


def test_names_and_lookups_are_bounded(run_plain: Any, server: NameServer, monkeypatch: Any) -> None:
    monkeypatch.setattr(resolver_module, "NAMES", 3)
    monkeypatch.setattr(resolver_module, "_LOOKUPS", 2)

    async def main() -> None:
        for number in range(5):
            server.zone[f"A {number}.example."] = [f"192.0.2.{number}"]
        asker = Asker(server)
        first, second, third = (asker.ask(f"{number}.example") for number in range(3))
        assert "too many names are being looked up" in str(third[0].error)
        await until(lambda: first and second, "the first two")
        asker.now += 1
        for number in (0, 3, 4):
            await asker.find(f"{number}.example")
        assert len(asker.resolver) == 3
        assert asker.resolver.addresses_of("0.example") == {"192.0.2.0"}
        assert asker.resolver.addresses_of("1.example") == frozenset()
        asker.resolver.stop()

    run_plain(main())


@pytest.mark.expects_log("failed")
def test_a_mistake_of_one_who_waits_does_not_harm_the_others(run_plain: Any, server: NameServer) -> None:
    async def main() -> None:
        asker = Asker(server)

        def broken(_located: Located) -> None:
            raise KeyError("a bug")

        asker.resolver.resolve("sip.carrier.example", 5060, "udp", broken)
        assert hosts(await asker.find("sip.carrier.example")) == ["192.0.2.8"]
        asker.resolver.stop()

    run_plain(main())


def test_stopping_ends_the_thread_while_lookups_are_under_way(run: Any, server: NameServer) -> None:
    async def main() -> None:
        server.default = SILENT
        asker = Asker(server)
        answers = asker.ask("sip.carrier.example")
        await until(lambda: server.asked[TRUNK], "the question to have been sent")
        started = time.monotonic()
        asker.resolver.stop()
        assert time.monotonic() - started < 1
        assert not any(thread.name == "resolver" for thread in threading.enumerate())
        await asyncio.sleep(0.01)
        assert answers == []

    run(main())


def test_without_any_name_server_of_the_system_the_hosts_file_is_left(run_plain: Any, monkeypatch: Any) -> None:
    import dns.resolver

    def unconfigured(*_arguments: Any, **_options: Any) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(resolver_module.dns.asyncresolver, "Resolver", unconfigured)

    async def main() -> None:
        resolver = Resolver()
        resolver.start()
        answers: list[Located] = []
        resolver.resolve("localhost", 5060, "udp", answers.append)
        await until(lambda: answers, "the hosts file's answer")
        assert "127.0.0.1" in answers[0].addresses
        resolver.stop()

    run_plain(main())
