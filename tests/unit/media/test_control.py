"""Ports and ends of sessions as the control sees them, with a worker that answers when the test wants it."""

from __future__ import annotations

import pytest

from app.media.control import MediaControl, MediaSession, MediaSettings, PortsExhausted, Side, SideSettings, _Slot
from app.media.link import Link
from app.media.messages import Command, Message, Report

HERE, SIX, THERE = SideSettings("192.0.2.1"), SideSettings("2001:db8::1"), SideSettings("198.51.100.1")
OFFER = (
    b"v=0\r\no=- 1 1 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    b"a=rtpmap:0 PCMU/8000\r\n"
)


class SlowLink:
    """A worker that has done nothing yet of what it was told."""

    number = 1
    ready = True
    pid = 0
    heard_at = 0.0

    def __init__(self) -> None:
        self.commands: list[Message] = []

    def start(self) -> None:
        """It runs."""

    def send(self, message: Message) -> None:
        self.commands.append(message)

    def flush(self) -> None:
        """Nothing waits."""

    def kill(self) -> None:
        """It does not hang."""

    async def stop(self) -> None:
        """It ends."""

    def told(self, command: Command) -> list[Message]:
        """The commands of this kind, without their first value."""
        return [message[1:] for message in self.commands if message[0] == command]


class Bench(MediaControl):
    """A control whose ports need no sockets: three pairs on each address."""

    def __init__(self, first: int = 20_000, last: int = 20_005) -> None:
        super().__init__(MediaSettings(first, last))
        self.link = SlowLink()
        self._slots.append(_Slot(0, self.link))

    def _take_port(self, address: str, slot: int) -> int:
        port = self._address(address).take_free(slot)
        return port if port is not None else super()._take_port(address, slot)

    def used(self) -> dict[str, int]:
        """Pairs that nobody else can get, by address."""
        return {address: ports.held for address, ports in self.ports.items() if ports.held}

    def _new_link(self) -> Link:
        raise OSError("no process can be started")

    def carry_out(self) -> None:
        """The worker does what it was told to close, and says so; of sessions it knows no figures."""
        for ticket, _ in self.link.told(Command.RELEASE):
            self.link_message(self.link, (int(Report.RELEASED), ticket))
        for (number,) in self.link.told(Command.CLOSE):
            self.link_message(self.link, (int(Report.RELEASED), number))
        self.link.commands.clear()


def ends(session: MediaSession) -> set[tuple[str, int]]:
    return set(session.ends)


def test_a_session_is_opened_at_every_place_of_the_called_side() -> None:
    control = Bench()
    session = control.open("call", HERE, HERE, SIX, SIX, HERE)
    ((_, caller, called),) = control.link.told(Command.OPEN)
    assert [address for address, _ in caller] == [HERE.local_address]
    assert [address for address, _ in called] == [HERE.local_address, SIX.local_address]
    assert ends(session) == {*caller, *called}
    assert control.used() == {HERE.local_address: 2, SIX.local_address: 1}


def test_the_ports_of_who_did_not_answer_are_free_when_the_worker_has_let_go_of_them() -> None:
    control = Bench()
    session = control.open("call", HERE, HERE, SIX)
    session.offer(Side.CALLER, OFFER)
    session.reached_at(Side.CALLED, SIX)
    session.established()
    here, six = (session.port(side) for side in Side)
    (_, side, last) = control.link.told(Command.PLACE)[-1]
    assert (side, last) == (Side.CALLED, ((SIX.local_address, six),))
    assert control.used() == {HERE.local_address: 2, SIX.local_address: 1}
    control.carry_out()
    assert control.used() == {HERE.local_address: 1, SIX.local_address: 1}
    assert ends(session) == {(HERE.local_address, here), (SIX.local_address, six)}
    # Once is enough.
    session.established()
    assert control.link.commands == []
    session.close()
    control.carry_out()
    assert control.used() == {}


@pytest.mark.expects_log("media worker")
def test_a_worker_that_dies_before_it_lets_go_of_ports_has_let_go_of_them() -> None:
    control = Bench()
    session = control.open("call", HERE, HERE, SIX)
    session.established()
    control.link_lost(control.link, "killed")
    assert control.used() == {HERE.local_address: 2}
    # No worker, nothing to wait for.
    session.redirect(Side.CALLED, SIX)
    assert control.used() == {HERE.local_address: 1, SIX.local_address: 1}
    session.close()
    assert control.used() == {} and not control.busy


def test_another_worker_opens_a_session_wherever_its_called_side_may_be() -> None:
    control = Bench()
    session = control.open("call", HERE, HERE, SIX)
    opened = control.link.told(Command.OPEN)[0]
    assert session.open_command()[1:] == opened
    session.reached_at(Side.CALLED, SIX)
    number, caller, called = opened
    assert session.open_command()[1:] == (number, caller, tuple(reversed(called)))
    session.established()
    assert session.open_command()[1:] == (number, caller, called[1:])


def test_what_was_learned_of_one_place_is_not_believed_of_another() -> None:
    control = Bench()
    session = control.open("call", HERE, HERE, SIX)
    for side in Side:
        for is_rtcp in (False, True):
            control.link_message(control.link, (int(Report.LEARNED), session.number, int(side), is_rtcp, "x", 1))
    session.reached_at(Side.CALLED, SIX)
    assert set(session.learned) == {(Side.CALLER, False), (Side.CALLER, True)}


def test_the_next_target_keeps_what_it_needs() -> None:
    control = Bench()
    session = control.open("call", HERE, HERE, SIX)
    session.offer(Side.CALLER, OFFER)
    kept = session.ends[1]
    offered = session.redirect(Side.CALLED, THERE, HERE)
    assert offered is not None and THERE.local_address.encode() in offered
    assert session.ends[2] == kept
    assert session.settings(Side.CALLED) == THERE
    control.carry_out()
    assert control.used() == {HERE.local_address: 2, THERE.local_address: 1}


def test_nothing_is_taken_where_one_place_has_no_port() -> None:
    control = Bench(last=20_001)
    other = control.open("other", THERE, SIX)
    for _ in range(3):
        with pytest.raises(PortsExhausted):
            control.open("call", HERE, THERE, HERE)
        control.carry_out()
    assert control.used() == {THERE.local_address: 1, SIX.local_address: 1}
    session = control.open("call", HERE, SideSettings("192.0.2.2"))
    before = ends(session)
    with pytest.raises(PortsExhausted):
        session.redirect(Side.CALLED, SideSettings("192.0.2.3"), SIX)
    control.carry_out()
    assert ends(session) == before
    assert control.used() == dict.fromkeys((*(address for address, _ in before), *(a for a, _ in other.ends)), 1)


def test_a_session_that_was_not_open_any_more_gives_its_ports_back() -> None:
    """The worker could not bind, and the call is over before that is tried again: there are no last figures."""
    control = Bench()
    session = control.open("call", HERE, HERE)
    reports: list[object] = []
    session.close(reports.append)
    control.carry_out()
    assert control.used() == {} and len(reports) == 1


def test_a_control_that_is_replaced_takes_nothing_that_the_new_ones_workers_have_bound() -> None:
    control = MediaControl(MediaSettings(20_000, 20_007))
    control._slots.append(_Slot(0, SlowLink()))
    ports = control._address("127.0.0.1")
    assert ports.take_free(0)
    control.retire()
    ports.bound(0, ports.request(0, 1), (), 0.0)
    ports.free.clear()
    assert ports.available
    with pytest.raises(PortsExhausted):
        control.take_ports(0, ("127.0.0.1",))
