"""The engine on real sockets with a real folder: start, change, stop, and what a person is told when that fails."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.calling import request
from support.ports import LoopbackNetwork
from support.waiting import until

from app.dialplan.decision import Reject
from app.dialplan.request import Source
from app.engine import Engine
from app.errors import RecordErrors, UserFacingError
from app.events import (
    Alarm,
    CallRecord,
    ConfigurationChanged,
    EngineChanged,
    EngineState,
    Sampled,
    TrunkState,
)
from app.records import Change, Configuration, LocalUser, SipTrunk, System
from app.records.base import Record
from app.records.document import read_document
from app.sip.message import Response, parse
from app.storage.calls import CallQuery
from app.storage.database import Database

Steps = Callable[[Engine], Awaitable[None]]


@pytest.fixture
def places(network: LoopbackNetwork) -> Iterator[Places]:
    made = Places(network)
    yield made
    made.close()


class Places:
    """The addresses of a test and sockets of a peer."""

    def __init__(self, network: LoopbackNetwork) -> None:
        self.server = network.address(1)
        self.other = network.address(2)
        self.peer = network.address(7)
        self._open: list[socket.socket] = []

    def socket(self, address: str, port: int = 0, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        made = socket.socket(socket.AF_INET, kind)
        self._open.append(made)
        made.bind((address, port))
        made.settimeout(5)
        return made

    def close(self) -> None:
        for each in self._open:
            each.close()


def run(tmp_path: Path, steps: Steps, *, sip: tuple[str, int] | None = None, start: bool = True) -> Engine:
    """Run steps with an engine that is started before and stopped after them."""
    engine = Engine(tmp_path / "data", sip=sip)

    async def whole() -> None:
        if start:
            await engine.start()
        try:
            await steps(engine)
        finally:
            await engine.stop()

    asyncio.run(whole())
    assert engine.state is EngineState.STOPPED
    return engine


async def ask(peer: socket.socket, host: str, port: int, method: str = "OPTIONS") -> Response:
    """Send a request and wait for its answer."""
    address = peer.getsockname()
    via = f"SIP/2.0/UDP {address[0]}:{address[1]};branch=z9hG4bK{id(peer)}{method}{port};rport"
    peer.sendto(request(method, ("Via", via)).to_bytes(), (host, port))
    data = await asyncio.get_running_loop().run_in_executor(None, peer.recv, 65536)
    message = parse(data)
    assert isinstance(message, Response)
    return message


def added(record: Record) -> Change:
    return Change(record.table, None, record)


def system(**fields: Any) -> Change:
    return Change(System.table, System(), System(**{"sip_tls_port": 0, **fields}))


# --- start and stop ---------------------------------------------------------------------------------------------------


def test_the_first_start_makes_users_and_says_where_it_listens(tmp_path: Path, places: Places) -> None:
    seen: list[EngineChanged] = []

    async def steps(engine: Engine) -> None:
        assert engine.state is EngineState.RUNNING
        assert set(engine.listeners) >= {f"udp:{places.server}:5070", f"tcp:{places.server}:5070"}
        numbers = [user.number for user in engine.configuration.records(LocalUser)]
        assert numbers == ["100", "101", "102"]
        assert len({user.password for user in engine.configuration.records(LocalUser)}) == 3
        assert [row.number for row in engine.users()] == numbers
        assert engine.can_save

    engine = Engine(tmp_path / "data", sip=(places.server, 5070))
    engine.events.subscribe(EngineChanged, seen.append)

    async def whole() -> None:
        await engine.start()
        await steps(engine)
        await engine.stop()
        await engine.stop()

    asyncio.run(whole())
    states = [event.state for event in seen]
    assert states[0] is EngineState.STARTING
    assert states[-2:] == [EngineState.STOPPING, EngineState.STOPPED]
    assert EngineState.RUNNING in states
    assert engine.listeners == ()
    assert not engine.can_save


def test_what_was_made_is_there_at_the_next_start(tmp_path: Path, places: Places) -> None:
    passwords: list[str] = []

    async def steps(engine: Engine) -> None:
        passwords.append(engine.configuration.users_by_number["100"].password)

    for _ in range(2):
        run(tmp_path, steps, sip=(places.server, 5070))
    assert passwords[0] == passwords[1] != ""


def test_the_same_engine_starts_again(tmp_path: Path, places: Places) -> None:
    engine = Engine(tmp_path / "data", sip=(places.server, 5070))
    samples: list[Sampled] = []
    engine.events.subscribe(Sampled, samples.append)
    peer = places.socket(places.peer)

    async def whole() -> None:
        for _ in range(3):
            await engine.start()
            samples.clear()
            assert (await ask(peer, places.server, 5070)).status == 200
            await asyncio.sleep(1.3)
            # One sample a second, however often it was started.
            assert 1 <= len(samples) <= 2
            await engine.stop()

    asyncio.run(whole())


def test_a_stopped_engine_has_nothing_to_say_and_changes_nothing(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "data")
    assert (engine.calls(), engine.trunks(), engine.lines(), engine.users()) == ((), (), (), ())
    assert (engine.rejected_sources(), engine.bans(), engine.samples("5 minutes")) == ((), (), ())
    assert engine.ladder("x") == engine.streams("x") == ()
    assert not engine.hang_up("x")
    engine.lift_ban("192.0.2.1")
    engine.register_line(1)
    found: list[Any] = []
    engine.call_records(CallQuery(), lambda records, error: found.append((records, error)))
    assert found[0][0] is None
    assert isinstance(found[0][1], UserFacingError)
    with pytest.raises(UserFacingError, match="stopped"):
        engine.apply([added(LocalUser(id=20, number="200", password="p"))])
    assert "200" not in engine.configuration.users_by_number


# --- what cannot be started -------------------------------------------------------------------------------------------


def failing(engine: Engine) -> UserFacingError:
    """The error that a start ends with."""

    async def whole() -> UserFacingError:
        with pytest.raises(UserFacingError) as caught:
            await engine.start()
        return caught.value

    return asyncio.run(whole())


def test_a_port_in_use_is_named_and_nothing_stays_open(tmp_path: Path, places: Places) -> None:
    places.socket(places.server, 5070)
    engine = Engine(tmp_path / "data", sip=(places.server, 5070))
    error = failing(engine)
    assert f"{places.server}:5070" in str(error)
    assert "in use" in str(error)
    assert engine.state is EngineState.FAILED
    assert engine.trouble == str(error)
    assert engine.listeners == ()

    async def later(again: Engine) -> None:
        assert again.state is EngineState.RUNNING

    run(tmp_path, later, sip=(places.server, 5071))


def test_an_address_that_this_machine_does_not_have(tmp_path: Path) -> None:
    error = failing(Engine(tmp_path / "data", sip=("192.0.2.1", 5070)))
    assert "192.0.2.1" in str(error)


def test_a_second_engine_on_the_same_folder_is_refused(tmp_path: Path, places: Places) -> None:
    async def steps(engine: Engine) -> None:
        second = Engine(tmp_path / "data", sip=(places.other, 5070))
        with pytest.raises(UserFacingError) as caught:
            await second.start()
        assert str(tmp_path / "data") in str(caught.value) or "another" in str(caught.value).lower()
        assert second.state is EngineState.FAILED
        assert engine.state is EngineState.RUNNING
        assert (await ask(places.socket(places.peer), places.server, 5070)).status == 200

    run(tmp_path, steps, sip=(places.server, 5070))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    failing(Engine(tmp_path / "data"))


def test_a_server_that_cannot_listen_can_be_mended(tmp_path: Path, places: Places) -> None:
    """The window keeps the records open, and the server runs as soon as they name a free port."""

    async def prepare(engine: Engine) -> None:
        await applied(engine, system(sip_address=places.server, sip_udp_port=5070, sip_tcp_port=5070))

    run(tmp_path, prepare, sip=(places.other, 5099))
    places.socket(places.server, 5070)
    engine = Engine(tmp_path / "data")

    async def whole() -> None:
        with pytest.raises(UserFacingError):
            await engine.start(mendable=True)
        assert engine.state is EngineState.FAILED
        assert engine.can_save
        await applied(engine, system(sip_address=places.server, sip_udp_port=5071, sip_tcp_port=5071))
        await until(lambda: engine.state is EngineState.RUNNING, "the server to run")
        assert f"udp:{places.server}:5071" in engine.listeners
        await engine.stop()

    asyncio.run(whole())


@pytest.mark.expects_log("TLS")
def test_a_tls_port_in_use_is_not_fatal(tmp_path: Path, places: Places) -> None:
    async def prepare(engine: Engine) -> None:
        change = system(sip_address=places.server, sip_udp_port=5070, sip_tcp_port=5070, sip_tls_port=5071)
        await applied(engine, change)

    run(tmp_path, prepare, sip=(places.other, 5099))
    taken = places.socket(places.server, 5071, socket.SOCK_STREAM)
    taken.listen()

    async def steps(engine: Engine) -> None:
        assert engine.state is EngineState.RUNNING
        assert set(engine.listeners) == {f"udp:{places.server}:5070", f"tcp:{places.server}:5070"}
        assert engine.trouble.startswith("SIP over TLS is off")
        assert f"{places.server}:5071" in engine.trouble
        assert (await ask(places.socket(places.peer), places.server, 5070)).status == 200

    run(tmp_path, steps)


# --- changes ----------------------------------------------------------------------------------------------------------


async def applied(engine: Engine, *changes: Change) -> None:
    """Apply changes and wait until they are on disk."""
    done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    engine.apply(changes, done.set_result)
    error = await asyncio.wait_for(done, 5)
    assert error is None


def test_changes_are_in_effect_at_once_and_on_disk_when_done(tmp_path: Path, places: Places) -> None:
    seen: list[ConfigurationChanged] = []

    async def first(engine: Engine) -> None:
        engine.events.subscribe(ConfigurationChanged, seen.append)
        peer = places.socket(places.peer)
        assert (await ask(peer, places.server, 5070, "INVITE")).status == 403
        assert engine.rejected_sources()[0].address == places.peer
        trunk = SipTrunk(id=1, server_address=places.peer, server_port=peer.getsockname()[1])
        await applied(engine, added(trunk))
        assert seen[0].configuration.records(SipTrunk) == (trunk,)
        assert [row.state for row in engine.trunks()] == [TrunkState.UNKNOWN]

    async def second(engine: Engine) -> None:
        assert [trunk.server_address for trunk in engine.configuration.records(SipTrunk)] == [places.peer]

    run(tmp_path, first, sip=(places.server, 5070))
    run(tmp_path, second, sip=(places.server, 5070))


def test_changes_that_do_not_fit_change_nothing(tmp_path: Path, places: Places) -> None:
    async def steps(engine: Engine) -> None:
        before = engine.configuration
        good = SipTrunk(id=1, server_address="192.0.2.1")
        twice = LocalUser(id=20, number="100", password="p")
        with pytest.raises(RecordErrors):
            engine.apply([added(good), added(twice)])
        assert engine.configuration is before
        assert engine.trunks() == ()

    run(tmp_path, steps, sip=(places.server, 5070))


def test_listeners_move_while_the_server_runs(tmp_path: Path, places: Places) -> None:
    async def prepare(engine: Engine) -> None:
        await applied(engine, system(sip_address=places.server, sip_udp_port=5070, sip_tcp_port=5070))

    run(tmp_path, prepare, sip=(places.other, 5099))

    async def steps(engine: Engine) -> None:
        peer = places.socket(places.peer)
        assert (await ask(peer, places.server, 5070)).status == 200
        engine.apply([system(sip_address=places.server, sip_udp_port=5080, sip_tcp_port=0)])
        await until(lambda: engine.listeners == (f"udp:{places.server}:5080",), "the new port")
        assert (await ask(peer, places.server, 5080)).status == 200
        # The old port is free again.
        places.socket(places.server, 5070)
        # Changed and changed again before the first move is over: the last word counts.
        for port in (5081, 5082, 5083):
            engine.apply([system(sip_address=places.server, sip_udp_port=port, sip_tcp_port=port)])
        last = (f"udp:{places.server}:5083", f"tcp:{places.server}:5083")
        await until(lambda: engine.listeners == last, "the last of the new ports")
        assert (await ask(peer, places.server, 5083)).status == 200
        places.socket(places.server, 5081)

    run(tmp_path, steps)


@pytest.mark.expects_log("cannot listen as the record says")
def test_a_move_to_a_port_in_use_stays_and_says_why(
    tmp_path: Path, places: Places, caplog: pytest.LogCaptureFixture
) -> None:
    async def prepare(engine: Engine) -> None:
        await applied(engine, system(sip_address=places.server, sip_udp_port=5070, sip_tcp_port=5070))

    run(tmp_path, prepare, sip=(places.other, 5099))
    places.socket(places.server, 5090)
    alarms: list[Alarm] = []

    async def steps(engine: Engine) -> None:
        engine.events.subscribe(Alarm, alarms.append)
        engine.apply([system(sip_address=places.server, sip_udp_port=5090, sip_tcp_port=5090)])
        await until(lambda: alarms, "the alarm")
        assert alarms[0].code == "listener"
        assert f"{places.server}:5090" in alarms[0].text
        assert engine.trouble == alarms[0].text
        # At the level of its severity: who keeps or shows warnings and errors only has it, too.
        assert ("app.alarms", logging.ERROR, f"alarm: {alarms[0].text}") in caplog.record_tuples
        assert f"udp:{places.server}:5070" in engine.listeners
        assert (await ask(places.socket(places.peer), places.server, 5070)).status == 200

    run(tmp_path, steps)


# --- calls ------------------------------------------------------------------------------------------------------------


def test_stopping_ends_calls_and_writes_their_records(tmp_path: Path, places: Places) -> None:
    """A trunk calls a phone that is trusted by its address; nobody hangs up."""
    records: list[CallRecord] = []

    async def steps(engine: Engine) -> None:
        caller = places.socket(places.peer, 5060)
        phone = places.socket(places.other, 5060)
        await applied(
            engine,
            added(SipTrunk(id=1, server_address=places.peer)),
            added(LocalUser(id=20, number="200", password="p", trusted_address=places.other)),
        )
        via = f"SIP/2.0/UDP {places.peer};branch=z9hG4bKcall"
        invite = request("INVITE", ("Via", via), ("To", "<sip:200@x>"), uri=f"sip:200@{places.server}")
        caller.sendto(invite.to_bytes(), (places.server, 5070))
        loop = asyncio.get_running_loop()
        rung = parse(await loop.run_in_executor(None, phone.recv, 65536))
        assert rung.get("CSeq") == "1 INVITE"
        phone.sendto(rung.answer(180, None, "phone").to_bytes(), (places.server, 5070))  # type: ignore[union-attr]
        await until(lambda: [row.state.value for row in engine.calls()] == ["ringing"], "the call to ring")
        (row,) = engine.calls()
        assert (row.source, row.target) == ("trunk:1", "user:200")
        assert [message.outgoing for message in engine.ladder(row.id)][:2] == [False, True]

    run(tmp_path, steps, sip=(places.server, 5070))

    async def look(engine: Engine) -> None:
        done = asyncio.get_running_loop().create_future()
        engine.call_records(CallQuery(), lambda found, error: done.set_result((found, error)))
        found, error = await asyncio.wait_for(done, 5)
        assert error is None
        records.extend(found)

    run(tmp_path, look, sip=(places.server, 5070))
    (record,) = records
    assert (record.end_cause, record.ended_by, record.status) == ("shutdown", "server", 503)
    assert record.ended >= record.started > 0


def test_the_simulator_uses_another_configuration_when_it_is_given_one(tmp_path: Path, places: Places) -> None:
    async def steps(engine: Engine) -> None:
        thought_of = engine.configuration.with_changes([added(LocalUser(id=30, number="300", password="p"))])
        source = Source.parse("user:100")
        assert engine.simulate(source, "", "300").targets == ()
        assert [each.name for each in engine.simulate(source, "", "300", thought_of).targets] == ["user:300"]
        assert "300" not in engine.configuration.users_by_number
        assert engine.problems() is not None

    run(tmp_path, steps, sip=(places.server, 5070))


# --- toll fraud -------------------------------------------------------------------------------------------------------


def test_external_calls_of_before_a_restart_count(tmp_path: Path, places: Places) -> None:
    database = Database.open(tmp_path / "data")
    database.load()
    document = {
        "local_users": [{"number": "100", "password": "p", "max_external_calls_per_hour": 2}],
        "sip_trunks": [{"id": 1, "server_address": places.peer}],
        "analyze_called_numbers": [{"prefix": "0", "route_type": "sip_trunk", "target_id": 1}],
    }
    database.replace(read_document(document, Configuration(), replace=True))
    began = time.time() - 600
    records = [
        CallRecord(str(number), "", began, 0.0, began, "100", "0301", "0301", "user:100", target, 486, "busy", *ended)
        for number, (target, ended) in enumerate([("trunk:1", ("called", 0.0, (), ()))] * 2)
    ]
    internal = replace(records[0], id="internal", target="user:101")
    database.write_calls([], [*records, internal])
    database.close()

    async def steps(engine: Engine) -> None:
        decision = engine.simulate(Source.user("100"), "", "0301").decision
        assert isinstance(decision, Reject)
        assert decision.text == "user:100 has made all of its 2 external calls of an hour"
        assert any("has made 2 of 2 external calls within an hour" in str(step) for step in decision.trail)
        assert not engine.bans(), "to ask is not to call"

    run(tmp_path, steps, sip=(places.server, 5070))
