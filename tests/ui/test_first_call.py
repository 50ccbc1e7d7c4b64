"""The first way through the program: the real server in the real window, set up by names, called over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import qasync
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QPixmap
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QSpinBox,
    QTableView,
    QWidget,
)
from support.async_peer import SDP, AsyncPeer
from support.ports import LoopbackNetwork
from support.waiting import until

from app.events import EngineState
from app.records import Configuration, System
from app.storage.database import Database
from ui.program import Program

OK = QDialogButtonBox.StandardButton.Ok
Run = Callable[[Coroutine[Any, Any, None]], None]

pytestmark = pytest.mark.wire


@pytest.fixture(scope="session")
def qt_loop(qapp: QApplication) -> Iterator[qasync.QEventLoop]:
    """One loop for the session: an old one may not be collected while Qt still has timers of it."""
    loop = qasync.QEventLoop(qapp)
    yield loop
    loop.close()


@pytest.fixture
def run(qt_loop: qasync.QEventLoop) -> Run:
    """Run a coroutine on Qt's loop, for at most a minute."""

    def call(main: Coroutine[Any, Any, None]) -> None:
        async def limited() -> None:
            async with asyncio.timeout(60):
                await main

        qt_loop.run_until_complete(limited())

    return call


@asynccontextmanager
async def running(qapp: QApplication, folder: Path, address: str) -> AsyncIterator[Program]:
    """The program, until its window is closed."""
    qapp.setQuitOnLastWindowClosed(False)
    program = Program(qapp, folder / "data", folder / "window.ini", (address, 5060))
    task = asyncio.get_running_loop().create_task(program.run())
    try:
        await until(lambda: program.engine.state is EngineState.RUNNING, "the server", 20)
        yield program
    finally:
        program.window.end()
        await task
        program.window.deleteLater()


def find(program: Program, kind: type[Any], name: str) -> Any:
    """A part of the window by its name, as another program would find it."""
    found = program.window.findChild(kind, name)
    assert found is not None, name
    return found


def trigger(program: Program, name: str) -> None:
    find(program, QAction, name).trigger()


def press_ok(dialog: QDialog) -> None:
    dialog.findChild(QDialogButtonBox, "buttons").button(OK).click()


def choose(dialog: QDialog, field: str, value: object) -> None:
    box = dialog.findChild(QComboBox, field)
    box.setCurrentIndex(box.findData(value))


def cells(program: Program, page: str, row: int = 0) -> dict[str, str]:
    """A row of a page's table by the titles of its columns."""
    model = find(program, QWidget, f"page.{page}").findChild(QTableView, "table").model()
    if row >= model.rowCount():
        return {}
    across = Qt.Orientation.Horizontal
    titles = [str(model.headerData(column, across)) for column in range(model.columnCount())]
    return {title: str(model.index(row, column).data()) for column, title in enumerate(titles)}


def set_up_trunk_and_route(program: Program, server: str) -> None:
    """A trunk and a dial-plan record, by pointing and clicking."""
    trigger(program, "data.sip_trunks")
    find(program, QWidget, "page.sip_trunks").findChild(QAction, "add").trigger()
    dialog = find(program, QDialog, "dialog.sip_trunks")
    dialog.findChild(QLineEdit, "server_address").setText(server)
    press_ok(dialog)
    trigger(program, "dial_plan.analyze_called_numbers")
    find(program, QWidget, "page.analyze_called_numbers").findChild(QAction, "add").trigger()
    dialog = find(program, QDialog, "dialog.analyze_called_numbers")
    dialog.findChild(QLineEdit, "prefix").setText("13")
    choose(dialog, "route_type", "sip_trunk")
    choose(dialog, "target_id", 1)
    press_ok(dialog)


def password_of_first_user(program: Program) -> str:
    """What a person reads in the form of user 100."""
    trigger(program, "data.local_users")
    page = find(program, QWidget, "page.local_users")
    page.findChild(QTableView, "table").selectRow(0)
    page.findChild(QAction, "edit").trigger()
    dialog = find(program, QDialog, "dialog.local_users")
    password = dialog.findChild(QLineEdit, "password").text()
    dialog.reject()
    return str(password)


async def register(phone: AsyncPeer, number: str, password: str) -> None:
    uri = f"sip:{phone.server[0]}"
    await phone.authenticated("REGISTER", uri, number, number, password, ["Expires: 600"])
    await phone.receive(lambda message: message.status == 200, "200 to REGISTER")


def test_a_phone_calls_out_through_a_trunk_and_the_window_shows_it(
    run: Run,
    qapp: QApplication,
    tmp_path: Path,
    network: LoopbackNetwork,
    screenshot: Callable[[QWidget, str], QPixmap],
) -> None:
    server, carrier_address = network.address(1), network.address(8)
    carrier = AsyncPeer(carrier_address, (server, 5060))
    phone = AsyncPeer(network.address(31), (server, 5060))
    stranger = AsyncPeer(network.address(66), (server, 5060), domain="stranger.example")

    async def story() -> None:
        async with running(qapp, tmp_path, server) as program:
            listeners = find(program, QLabel, "status.listeners")
            await until(lambda: f"UDP, TCP {server}:5060" in listeners.text(), "the addresses in the status bar")
            set_up_trunk_and_route(program, carrier_address)
            password = password_of_first_user(program)
            assert len(password) >= 12

            await register(phone, "100", password)
            await until(lambda: cells(program, "local_users")["State"] == "registered", "the phone's state")

            for page in ("monitor.overview", "monitor.live_calls"):
                trigger(program, page)
            uri = f"sip:135550@{server}"
            body = SDP.format(address=phone.address)
            call_id = await phone.authenticated("INVITE", uri, "100", "135550", password, body=body)
            invite = await carrier.receive(lambda message: message.method == "INVITE", "INVITE")
            assert invite.request_uri == f"sip:135550@{carrier_address}:5060"
            carrier.answer(invite, 180, "Ringing")
            await phone.receive(lambda message: message.status == 180, "180")
            await until(lambda: cells(program, "live_calls").get("State") == "ringing", "the ringing row")
            carrier.answer(invite, 200, "OK", with_sdp=True)
            answer = await phone.receive(
                lambda message: message.status == 200 and message.header("Call-ID") == call_id, "200"
            )
            phone.acknowledge(answer, (answer.header("Contact") or "").strip("<>"))
            await carrier.receive(lambda message: message.method == "ACK", "ACK")

            await until(lambda: cells(program, "live_calls").get("State") == "talking", "the talking row")
            row = cells(program, "live_calls")
            assert (row["From"], row["To"], row["Out trunk"]) == (
                "100",
                "135550",
                f"SIP trunk 1 - {carrier_address}:5060",
            )
            await until(lambda: cells(program, "local_users")["State"] == "talking", "the phone's state")
            gauge = find(program, QWidget, "gauge.trunk.1")
            await until(lambda: gauge.property("active_out") == 1, "the gauge")
            assert gauge.property("max_out") == 30
            trigger(program, "monitor.overview")
            await asyncio.sleep(0.3)
            screenshot(program.window, "first-call-overview")
            trigger(program, "monitor.live_calls")
            screenshot(program.window, "first-call-live")

            page = find(program, QWidget, "page.live_calls")
            page.findChild(QTableView, "table").selectRow(0)
            page.findChild(QAction, "hang_up").trigger()
            page.findChild(QMessageBox, "dialog.hang_up").findChild(QPushButton, "hang_up").click()
            for peer in (phone, carrier):
                goodbye = await peer.receive(lambda message: message.method == "BYE", "BYE")
                peer.answer(goodbye, 200, "OK")
            await until(lambda: not cells(program, "live_calls"), "the row to go")
            await until(lambda: gauge.property("active_out") == 0, "the gauge")

            trigger(program, "monitor.call_records")
            await until(lambda: cells(program, "call_records").get("To") == "135550", "the call record")
            assert cells(program, "call_records")["Outcome"] == "answered, hung up at this window"

            stranger.send(stranger.request("INVITE", uri, "1", "135550", "x@y"), SDP.format(address=stranger.address))
            refusal = await stranger.receive(lambda message: message.status >= 300, "the refusal")
            assert refusal.status == 403
            stranger.acknowledge(refusal, uri)
            trigger(program, "monitor.rejected_sources")
            await until(lambda: cells(program, "rejected_sources").get("Address") == stranger.address, "the stranger")

    try:
        run(story())
    finally:
        for peer in (carrier, phone, stranger):
            peer.close()


def test_closing_with_a_call_asks_and_then_ends_it_in_order(
    run: Run, qapp: QApplication, tmp_path: Path, network: LoopbackNetwork
) -> None:
    server = network.address(1)
    carrier, phone = AsyncPeer(network.address(8), (server, 5060)), AsyncPeer(network.address(31), (server, 5060))

    async def story() -> None:
        async with running(qapp, tmp_path, server) as program:
            set_up_trunk_and_route(program, carrier.address)
            password = password_of_first_user(program)
            await register(phone, "100", password)
            uri = f"sip:135550@{server}"
            await phone.authenticated("INVITE", uri, "100", "135550", password, body=SDP.format(address=phone.address))
            invite = await carrier.receive(lambda message: message.method == "INVITE", "INVITE")
            carrier.answer(invite, 200, "OK", with_sdp=True)
            answer = await phone.receive(
                lambda message: message.status == 200 and "INVITE" in (message.header("CSeq") or ""), "200"
            )
            phone.acknowledge(answer, (answer.header("Contact") or "").strip("<>"))
            await carrier.receive(lambda message: message.method == "ACK", "ACK")

            program.window.close()
            box = find(program, QMessageBox, "dialog.close")
            assert "1 call is in progress" in box.text()
            box.findChild(QPushButton, "end").click()
            for peer in (phone, carrier):
                goodbye = await peer.receive(lambda message: message.method == "BYE", "BYE")
                peer.answer(goodbye, 200, "OK")
            await until(lambda: not program.window.isVisible(), "the window to go", 15)
            assert program.engine.state is EngineState.STOPPED

    try:
        run(story())
    finally:
        carrier.close()
        phone.close()


@pytest.mark.expects_log("the server did not start")
def test_a_start_that_fails_is_told_in_the_window_and_tried_again(
    run: Run, qapp: QApplication, tmp_path: Path, network: LoopbackNetwork
) -> None:
    server = network.address(1)
    in_the_way = AsyncPeer(server, (server, 5060))

    async def story() -> None:
        program = Program(qapp, tmp_path / "data", tmp_path / "window.ini", (server, 5060))
        task = asyncio.get_running_loop().create_task(program.run())
        banner = find(program, QLabel, "banner.text")
        await until(banner.isVisible, "the banner")
        assert "not running" in banner.text()
        assert f"{server}:5060" in banner.text()
        in_the_way.close()
        find(program, QPushButton, "banner.retry").click()
        await until(lambda: program.engine.state is EngineState.RUNNING, "the server")
        await until(lambda: not banner.isVisible(), "the banner to go")
        program.window.close()
        await task
        program.window.deleteLater()

    run(story())


@pytest.mark.expects_log("the server did not start")
def test_a_damaged_database_is_kept_aside_only_when_the_user_says_so(
    run: Run, qapp: QApplication, tmp_path: Path, network: LoopbackNetwork
) -> None:
    data = tmp_path / "data"
    Database.open(data).close()
    file = data / "trunkline.sqlite3"
    damaged = file.read_bytes()[:8192] + bytes(range(256)) * 200
    file.write_bytes(damaged)

    async def story() -> None:
        program = Program(qapp, data, tmp_path / "window.ini", (network.address(1), 5060))
        task = asyncio.get_running_loop().create_task(program.run())
        banner = find(program, QLabel, "banner.text")
        await until(banner.isVisible, "the banner")
        assert f"The database {file} is damaged" in banner.text()
        find(program, QPushButton, "banner.retry").click()
        await until(lambda: program._changing is not None and program._changing.done(), "another failure")
        find(program, QPushButton, "banner.fresh").click()
        question = find(program, QMessageBox, "dialog.damaged")
        assert "kept in the data folder under another name" in question.text()
        question.findChild(QPushButton, "cancel").click()
        assert file.read_bytes() == damaged
        assert program.engine.state is EngineState.FAILED
        find(program, QPushButton, "banner.fresh").click()
        question = find(program, QMessageBox, "dialog.damaged")
        question.findChild(QPushButton, "begin").click()
        await until(lambda: program.engine.state is EngineState.RUNNING, "the server", 20)
        await until(lambda: not banner.isVisible(), "the banner to go")
        assert len(program.engine.configuration.table("local_users")) == 3
        program.window.close()
        await task
        program.window.deleteLater()

    run(story())
    (kept,) = data.glob("trunkline-damaged-*.sqlite3")
    assert kept.read_bytes() == damaged


@pytest.mark.expects_log("the server did not start")
def test_a_server_that_cannot_listen_is_mended_in_its_own_window(
    run: Run, qapp: QApplication, tmp_path: Path, network: LoopbackNetwork
) -> None:
    server = network.address(1)
    in_the_way = AsyncPeer(server, (server, 5060))
    database = Database.open(tmp_path / "data")
    database.replace(Configuration(System(sip_address=server, sip_tcp_port=0, sip_tls_port=0)))
    database.close()

    async def story() -> None:
        program = Program(qapp, tmp_path / "data", tmp_path / "window.ini")
        task = asyncio.get_running_loop().create_task(program.run())
        banner = find(program, QLabel, "banner.text")
        await until(banner.isVisible, "the banner")
        trigger(program, "data.system")
        page = find(program, QWidget, "page.system")
        page.findChild(QTableView, "table").selectRow(0)
        page.findChild(QAction, "edit").trigger()
        dialog = find(program, QDialog, "dialog.system")
        dialog.findChild(QSpinBox, "sip_udp_port").setValue(5070)
        press_ok(dialog)
        await until(lambda: program.engine.state is EngineState.RUNNING, "the server")
        assert program.engine.listeners == (f"udp:{server}:5070",)
        await until(lambda: not banner.isVisible(), "the banner to go")
        program.window.close()
        await task
        program.window.deleteLater()

    try:
        run(story())
    finally:
        in_the_way.close()
    database = Database.open(tmp_path / "data")
    assert database.load()[0].system.sip_udp_port == 5070
    database.close()


def test_the_server_is_stopped_and_started_again_in_its_window(
    run: Run, qapp: QApplication, network: LoopbackNetwork, tmp_path: Path
) -> None:
    """The window stays, its records are there again, and closing while it stops waits for that."""
    server = network.address(1)

    async def story() -> None:
        async with running(qapp, tmp_path, server) as program:
            action = find(program, QAction, "tools.server")

            async def stop() -> None:
                await until(lambda: action.isEnabled() and "Stop" in action.text(), "the action")
                action.trigger()
                find(program, QMessageBox, "dialog.stop").findChild(QPushButton, "stop").click()

            for _ in range(2):
                await stop()
                await until(find(program, QLabel, "banner.text").isVisible, "the banner")
                assert program.engine.state is EngineState.STOPPED
                assert program.engine.listeners == ()
                action.trigger()
                await until(lambda: program.engine.state is EngineState.RUNNING, "the start")
                await until(lambda: not find(program, QLabel, "banner.text").isVisible(), "the banner to go")
                assert program.engine.listeners[0] == f"udp:{server}:5060"
            trigger(program, "data.local_users")
            assert cells(program, "local_users")["Number"] == "100"
            await stop()
            program.window.end()

    run(story())
