"""Registrations that outlive the process: what is written and when, and what is put back after a start."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.calling import NotedEndpoint, Ticking, configured, register_request

from app.calls.kept_registrations import LATER_BY, LONGEST_CONTACT, WRITE_EVERY, KeptRegistrations
from app.calls.registrar import Registrar
from app.sip.flow import Flow, TransportName
from app.storage.registrations import ByNumber, StoredRegistration

USERS = {"local_users": [{"number": "100", "password": "a"}, {"number": "101", "password": "b"}]}


class Server:
    """A registrar whose registrations are kept in a dictionary that outlives it."""

    def __init__(self, disk: dict[str, tuple[StoredRegistration, ...]], time: Ticking | None = None) -> None:
        self.disk = disk
        self.time = time or Ticking()
        self.endpoint = NotedEndpoint(self.time)
        self.registrar = Registrar(self.endpoint, self.time.clock)
        self.kept = KeptRegistrations(self.registrar, self.time.clock, self.endpoint.schedule)
        self.registrar.on_change = self.kept.changed
        self.kept.configure(configured(**USERS))
        self.kept.restore([row for rows in disk.values() for row in rows])
        self.kept.write = self._write
        self.writes: list[ByNumber] = []
        self.full = False
        self.sequence = 0

    def _write(self, users: ByNumber, done: Callable[[Exception | None], None]) -> None:
        self.writes.append(users)
        if self.full:
            done(OSError("the disk is full"))
            return
        for number, rows in users.items():
            self.disk[number] = tuple(rows)
        done(None)

    def register(
        self,
        number: str = "100",
        *,
        contact: str = "sip:100@10.0.0.9",
        expires: int = 3600,
        port: int = 5060,
        transport: TransportName = "udp",
        instance: str = "",
    ) -> None:
        self.sequence += 1
        headers = (("User-Agent", "A phone"), ("Expires", str(expires)))
        asked = register_request(number, f"<{contact}>{instance}", self.sequence, *headers)
        flow = Flow(transport, "10.0.0.5", 5060, "10.0.0.9", port, 0 if transport == "udp" else 7)
        self.registrar.register((), asked, flow, number)  # type: ignore[arg-type]

    def after_restart(self, down_for: float = 0.0) -> Server:
        """The next process on the same machine: its monotonic clock is another one."""
        time = Ticking(now=5.0, wall=self.time.clock.wall() + down_for)
        return Server(self.disk, time)


@pytest.fixture
def server() -> Server:
    return Server({})


def test_a_phone_is_found_again_after_a_restart(server: Server) -> None:
    server.register(port=40_000)
    server.time.advance(WRITE_EVERY)
    later = server.after_restart(down_for=600.0)
    (binding,) = later.registrar.bindings("100")
    assert binding.contact == "sip:100@10.0.0.9"
    assert binding.flow == Flow("udp", "10.0.0.5", 5060, "10.0.0.9", 40_000)
    assert binding.user_agent == "A phone"
    assert (binding.call_id, binding.sequence) == ("c", 1)
    assert later.registrar.is_source("10.0.0.9", 40_000)
    assert binding.expires_at - later.time.now == pytest.approx(3600 - WRITE_EVERY - 600)
    later.time.advance(3600)
    assert later.registrar.registered == 0
    later.time.advance(WRITE_EVERY)
    assert later.disk["100"] == ()


def test_what_ran_out_meanwhile_is_forgotten_and_taken_away(server: Server) -> None:
    server.register(expires=300)
    server.register("101", contact="sip:101@10.0.0.9")
    server.time.advance(WRITE_EVERY)
    later = server.after_restart(down_for=300.0)
    assert [later.registrar.count(number) for number in ("100", "101")] == [0, 1]
    later.kept.changed("101")
    later.time.advance(WRITE_EVERY)
    assert later.disk["100"] == ()
    assert len(later.disk["101"]) == 1


@pytest.mark.parametrize(
    "user", [{"password": "another"}, {"enabled": False}, None], ids=["new password", "disabled", "deleted"]
)
def test_who_may_not_register_any_more_is_not_registered(server: Server, user: dict[str, object] | None) -> None:
    server.register()
    server.time.advance(WRITE_EVERY)
    later = Server({})
    first, second = USERS["local_users"]
    document = {"local_users": [*([{**first, **user}] if user else []), second]}
    later.kept.configure(configured(**document))
    assert later.kept.restore(server.disk["100"]) == 0
    assert later.registrar.registered == 0
    later.kept.changed("101")
    later.time.advance(WRITE_EVERY)
    assert later.disk == {"100": ()}


def test_a_connection_is_not_kept(server: Server) -> None:
    server.register(transport="tcp")
    server.time.advance(WRITE_EVERY)
    assert server.writes == []
    assert server.registrar.registered == 1


@pytest.mark.parametrize("contact", ["sip:100@10.0.0.9;x=" + "y" * LONGEST_CONTACT, "sip:100@10.0.0.9;x=\udcff"])
def test_a_contact_that_no_database_takes_is_not_kept(server: Server, contact: str) -> None:
    server.register(contact=contact)
    server.time.advance(WRITE_EVERY)
    assert server.writes == []


def test_a_refresh_is_written_only_when_it_lasts_much_longer(server: Server) -> None:
    server.register()
    server.time.advance(WRITE_EVERY)
    assert len(server.writes) == 1
    for _ in range(3):
        server.time.advance(LATER_BY / 4 - 1)
        server.register()
    server.time.advance(WRITE_EVERY)
    assert len(server.writes) == 1
    server.time.advance(LATER_BY)
    server.register()
    server.time.advance(WRITE_EVERY)
    assert len(server.writes) == 2


def test_another_place_is_written(server: Server) -> None:
    server.register()
    server.time.advance(WRITE_EVERY)
    server.register(port=40_001)
    server.time.advance(WRITE_EVERY)
    assert [row.remote_port for row in server.disk["100"]] == [40_001]
    server.register(expires=0)
    server.time.advance(WRITE_EVERY)
    assert server.disk["100"] == ()


def test_the_end_of_the_process_does_not_wait_for_the_next_write(server: Server) -> None:
    server.register()
    server.kept.close()
    assert len(server.disk["100"]) == 1


def test_what_could_not_be_written_is_written_later(server: Server) -> None:
    server.register()
    server.time.advance(WRITE_EVERY)
    server.full = True
    server.register(expires=0)
    server.time.advance(3 * WRITE_EVERY)
    assert len(server.writes) == 4
    server.full = False
    server.time.advance(WRITE_EVERY)
    assert server.disk["100"] == ()
    server.time.advance(10 * WRITE_EVERY)
    assert len(server.writes) == 5


def test_of_two_phones_with_the_same_contact_behind_one_address_the_newer_is_written(server: Server) -> None:
    """They are told apart by their port while this process lives; the table cannot do that, and must not refuse it."""
    for port, name in ((40_000, "a"), (40_002, "b")):
        server.register(contact="sip:100@192.168.1.9", port=port, instance=f';+sip.instance="<urn:uuid:{name}>"')
    assert server.registrar.count("100") == 2
    server.time.advance(WRITE_EVERY)
    (row,) = server.disk["100"]
    assert row.remote_port == 40_002
