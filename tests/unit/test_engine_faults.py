"""The engine when the machine lets it down: a full disk, an address that is not there yet, a damaged database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support.call_records import call_record
from support.ports import LoopbackNetwork
from support.registrar import Registrar
from support.waiting import until

from app import engine as engine_module
from app.engine import Engine
from app.errors import UserFacingError
from app.events import Alarm, EngineChanged, EngineState, LineState, Severity
from app.records import Change, ExternalLine, SipTrunk, System
from app.storage.database import Database
from app.storage.errors import StorageDamaged, StorageUnavailable

MISSING = "192.0.2.77"


def run(engine: Engine, steps: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        try:
            await steps()
        finally:
            await engine.stop()

    asyncio.run(whole())


def limit_pages(database: Database, *, full: bool) -> None:
    assert database._writer is not None
    cursor = database._writer._cursor
    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    pages = cursor.execute("PRAGMA page_count").fetchone()[0] if full else 1_000_000
    cursor.execute(f"PRAGMA max_page_count={pages}").fetchall()


@pytest.mark.expects_log("disk is full|written again")
def test_a_full_disk_is_told_as_long_as_it_lasts(tmp_path: Path, network: LoopbackNetwork) -> None:
    engine = Engine(tmp_path / "data", sip=(network.address(1), 5070))
    alarms: list[Alarm] = []
    changes: list[EngineChanged] = []
    engine.events.subscribe(Alarm, alarms.append)
    engine.events.subscribe(EngineChanged, changes.append)

    async def steps() -> None:
        await engine.start()
        thread = engine._database
        assert thread is not None
        done: list[object] = []
        thread.submit(lambda database: limit_pages(database, full=True), lambda *_: done.append(1))
        await until(lambda: done, "the full disk")
        for number in range(100):
            thread.call_ended(call_record(id=f"call-{number}", node="", trail=("x" * 500,)))
        await until(lambda: alarms, "the alarm")
        assert (alarms[0].severity, alarms[0].code, alarms[0].cleared) == (Severity.ERROR, "database", False)
        assert "the disk is full; call records wait in memory" in engine.trouble
        assert changes[-1].text == engine.trouble
        assert engine.state is EngineState.RUNNING

        trunks = [SipTrunk(id=number, server_address="192.0.2.8", description="x" * 900) for number in range(1, 40)]
        errors: list[Exception | None] = []
        engine.apply([Change("sip_trunks", None, trunk) for trunk in trunks], errors.append)
        await until(lambda: errors, "the refusal")
        assert isinstance(errors[0], StorageUnavailable)
        await until(lambda: not engine.configuration.records(SipTrunk), "the change to be taken back")
        assert engine.trunks() == ()

        thread.submit(lambda database: limit_pages(database, full=False))
        await until(lambda: alarms[-1].cleared, "the all-clear")
        assert engine.trouble == ""
        assert changes[-1].text == ""
        assert thread.waiting_records == 0

    run(engine, steps)


def test_a_server_without_its_address_starts_where_the_record_says_next(
    tmp_path: Path, network: LoopbackNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "WAIT_FOR_ADDRESS_SECONDS", 0.02)
    database = Database.open(tmp_path / "data")
    before = System(sip_address=MISSING, sip_tls_port=0)
    database.update(lambda base: base.with_changes([Change("system", base.system, before)]))
    database.close()
    engine = Engine(tmp_path / "data")

    async def steps() -> None:
        with pytest.raises(UserFacingError, match=f"this machine has no address {MISSING} at the moment"):
            await engine.start(mendable=True)
        assert engine.waits_for_address
        assert engine.trouble.endswith("It starts as soon as the address is there.")
        await asyncio.sleep(0.1)
        assert engine.waits_for_address
        with pytest.raises(UserFacingError):
            await engine.start(mendable=True)
        assert engine.waits_for_address, "trying again by hand changes nothing"
        after = System(sip_address=network.address(1), sip_tls_port=0)
        engine.apply([Change("system", before, after)])
        await until(lambda: engine.state is EngineState.RUNNING, "the server")
        assert engine.listeners == (f"udp:{network.address(1)}:5060", f"tcp:{network.address(1)}:5060")
        assert engine.trouble == ""
        assert not engine.waits_for_address

    run(engine, steps)


def test_a_damaged_database_is_set_aside_on_demand(tmp_path: Path, network: LoopbackNetwork) -> None:
    data = tmp_path / "data"
    Database.open(data).close()
    file = data / "trunkline.sqlite3"
    file.write_bytes(file.read_bytes()[:8192] + bytes(range(256)) * 200)
    engine = Engine(data, sip=(network.address(1), 5070))

    async def steps() -> None:
        with pytest.raises(StorageDamaged):
            await engine.start(mendable=True)
        assert engine.database_damaged
        assert not engine.can_save
        kept = engine.set_database_aside()
        assert kept is not None
        assert kept.exists()
        await engine.start(mendable=True)
        assert engine.state is EngineState.RUNNING
        assert not engine.database_damaged
        with pytest.raises(UserFacingError, match="already runs"):
            engine.set_database_aside()

    run(engine, steps)


def test_a_postgresql_database_is_never_set_aside(tmp_path: Path) -> None:
    with pytest.raises(UserFacingError, match="PostgreSQL"):
        Database.set_aside(tmp_path, "postgresql://host/name")


def test_lines_register_anew_when_the_machine_has_slept(
    tmp_path: Path, network: LoopbackNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider has forgotten the registration meanwhile, for whose refresh the machine slept too long."""
    slept = [100.0]
    monkeypatch.setattr(engine_module, "LOOK_AROUND_SECONDS", 0.02)
    monkeypatch.setattr(engine_module, "_seconds_slept", lambda: slept[0])
    registrar = Registrar(network.address(2))
    engine = Engine(tmp_path / "data", sip=(network.address(1), 5060))

    async def steps() -> None:
        await engine.start()
        line = ExternalLine(id=1, account="acc", password="secret", server_address=network.address(2))
        engine.apply([Change("external_lines", None, line)])
        await until(lambda: engine.lines()[0].state is LineState.REGISTERED, "the registration")
        await asyncio.sleep(0.2)
        assert len(registrar.registers) == 1
        slept[0] += 3600.0
        await until(lambda: len(registrar.registers) == 2, "another one")
        await asyncio.sleep(0.2)
        assert len(registrar.registers) == 2

    try:
        run(engine, steps)
    finally:
        registrar.close()
