"""Real processes for the wire tests: the server, SIPp and baresip, ended and checked when the test is over."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.baresip import Baresip
from support.documents import CALLER, PASSWORDS, SERVER
from support.ports import LoopbackNetwork
from support.running_engine import RunningEngine
from support.scenario import Scenario
from support.server import RunningServer
from support.sipp import Sipp
from support.starting import StartCaller, StartCarrier, StartEngine, StartPhone, StartServer, StartSipp
from support.udp_peers import Caller, Carrier


@pytest.fixture
def start_server(network: LoopbackNetwork, tmp_path: Path) -> Iterator[StartServer]:
    """`start_server(document)`: a running server on address 1, port 5060; its log must be clean at the end."""
    servers: list[RunningServer] = []

    def start(document: dict[str, Any], **options: Any) -> RunningServer:
        server = RunningServer(tmp_path / f"data-{len(servers)}", document, network.address(SERVER), **options)
        servers.append(server)
        return server.start()

    yield start
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.forget)
            if server.process is not None:
                stack.callback(server.stop)
                # Shown by pytest for a failed test only.
                print(f"--- log of the server\n{server.log()[-20000:]}", file=sys.stderr)


@pytest.fixture
def start_sipp(network: LoopbackNetwork, tmp_path: Path) -> Iterator[StartSipp]:
    """`start_sipp(scenario, host, called=...)`: SIPp on this host of the network; with `called` it is the caller."""
    running: list[Sipp] = []

    def start(scenario: Scenario, host: int, *, called: str | None = None, **options: Any) -> Sipp:
        folder = tmp_path / f"sipp-{len(running)}"
        if called is not None:
            options = {"remote": f"{network.address(SERVER)}:5060", **options, "called": called}
        sipp = Sipp(folder, scenario, network.address(host), **options)
        running.append(sipp)
        return sipp

    yield start
    for sipp in running:
        sipp.kill()


@pytest.fixture
def start_phone(network: LoopbackNetwork, tmp_path: Path) -> Iterator[StartPhone]:
    """`start_phone("100")`: baresip with this local user's account, on the address that ends with its number."""
    phones: list[Baresip] = []

    def start(user: str, password: str | None = None, **options: Any) -> Baresip:
        phone = Baresip(
            tmp_path / f"phone-{user}-{len(phones)}",
            network.address(int(user)),
            f"{network.address(SERVER)}:5060",
            user,
            PASSWORDS[user] if password is None else password,
            **options,
        )
        phones.append(phone)
        return phone

    yield start
    for phone in phones:
        print(f"--- baresip of {phone.user}\n{phone.log()[-6000:]}\n--- events\n{phone.events}", file=sys.stderr)
        phone.close()


@pytest.fixture
def start_engine(network: LoopbackNetwork, tmp_path: Path) -> Iterator[StartEngine]:
    """`start_engine(document)`: the engine in this process on address 1, port 5060; it must end in order."""
    engines: list[RunningEngine] = []

    def start(document: dict[str, Any], **options: Any) -> RunningEngine:
        engine = RunningEngine(tmp_path / f"data-{len(engines)}", document, network.address(SERVER), **options)
        engines.append(engine)
        return engine

    yield start
    with ExitStack() as stack:
        for engine in engines:
            stack.callback(engine.stop)


@pytest.fixture
def start_carrier(network: LoopbackNetwork) -> Iterator[StartCarrier]:
    """`start_carrier(host, plan)`: a Python peer on this host of the network that answers by its plan."""
    with ExitStack() as stack:
        yield lambda host, *plan, **options: stack.enter_context(
            Carrier(network.address(host), *(options.pop("port", 5060), *plan), **options)
        )


@pytest.fixture
def start_caller(network: LoopbackNetwork) -> Iterator[StartCaller]:
    """`start_caller()`: a Python peer on the address of trunk 3 (or another host) that calls the server."""
    with ExitStack() as stack:
        yield lambda host=CALLER, **options: stack.enter_context(
            Caller(network.address(host), network.address(SERVER), **options)
        )
