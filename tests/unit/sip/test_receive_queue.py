"""How long what is read from a connection has waited, told from what the reads leave in the system's queue."""

from __future__ import annotations

import socket

import pytest

from app.sip.transport.receive_queue import ReceiveQueue, unread

READ = 16_384
ROOM = 131_072
WINDOW = 0.8 * ROOM
"""What the system takes at most; the peer keeps the rest."""


class Stream:
    """A peer that sends evenly, and a loop that takes as long for each byte as it needs.

    Once the peer is held back it goes on when there are no more than `goes_on` bytes left.
    """

    def __init__(self, sent_per_second: float, taken_per_second: float, goes_on: float = WINDOW) -> None:
        self.goes_on, self.held_back = goes_on, False
        self.sent_per_second, self.taken_per_second = sent_per_second, taken_per_second
        self.now = 100.0
        self.began = self.now
        self.taken = 0
        self.arrived = 0.0
        self.queue = ReceiveQueue(self.look)

    def look(self) -> tuple[int, int]:
        sent = (self.now - self.began) * self.sent_per_second
        self.held_back &= self.arrived - self.taken > self.goes_on
        if not self.held_back:
            self.arrived = max(self.arrived, min(sent, self.taken + WINDOW))
            self.held_back = self.arrived < sent
        return int(self.arrived) - self.taken, ROOM

    def read(self) -> tuple[float, float]:
        """Wait until something is there, read it and work on it; how long it is told to have waited, and has."""
        while not self.look()[0]:
            self.now += 0.001
        size = min(self.look()[0], READ)
        sent_at = self.began + (self.taken + 1) / self.sent_per_second
        self.taken += size
        waited = self.now - self.queue.read(size, emptied=size < READ, now=self.now)
        real = self.now - sent_at
        self.now += size / self.taken_per_second
        return waited, real

    def read_for(self, seconds: float) -> list[tuple[float, float]]:
        end = self.now + seconds
        found = []
        while self.now < end:
            found.append(self.read())
        return found


@pytest.mark.parametrize("load", [0.2, 0.5, 0.9])
def test_nothing_waits_while_all_that_comes_is_taken(load: float) -> None:
    assert max(waited for waited, _real in Stream(load * 1e6, 1e6).read_for(3.0)) == 0.0


@pytest.mark.parametrize("load", [0.5, 0.7, 0.9])
def test_what_piled_up_in_a_pause_has_waited_no_longer_than_that_however_long_it_takes_to_work_it_off(
    load: float,
) -> None:
    stream = Stream(load * 500e3, 500e3)
    stream.read_for(1.0)
    stream.now += 0.15
    told = stream.read_for(3.0)
    assert all(waited <= real + 0.001 for waited, real in told), "more than is true"
    assert 0.03 < max(waited for waited, _real in told) <= 0.15
    assert told[-1][0] == 0.0, "and it is over once it is worked off"


def test_a_pause_in_which_the_peer_was_held_back_is_over_when_it_no_longer_is() -> None:
    stream = Stream(300e3, 500e3)
    stream.now += 0.8
    told = stream.read_for(5.0)
    assert 0.5 < max(waited for waited, _real in told) < 1.2
    assert told[-1][0] == 0.0


@pytest.mark.parametrize("goes_on", [WINDOW, WINDOW / 2, 5000])
@pytest.mark.parametrize("load", [1.3, 3.0])
def test_when_more_comes_than_is_taken_the_wait_grows_though_the_queue_is_bounded(load: float, goes_on: float) -> None:
    """The system lets a peer go on when a little is taken, or only when nearly all is."""
    stream = Stream(load * 500e3, 500e3, goes_on)
    told = stream.read_for(4.0)
    assert told[-1][0] > 3.0
    assert len(stream.queue._looks) <= 2 * WINDOW / READ, "what is kept is bounded as the queue is"
    # As soon as all is taken nobody waits.
    stream.began = stream.now + 1e9
    while stream.look()[0]:
        stream.read()
    stream.arrived, stream.began = float(stream.taken), stream.now - stream.taken / stream.sent_per_second
    stream.taken_per_second = 1e9
    assert stream.read_for(0.5)[-1][0] == 0.0


def test_what_waits_in_a_socket_is_known_and_a_closed_one_is_empty() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as sender:
        receiver, _ = listener.accept()
        with receiver:
            assert unread(receiver)[0] == 0  # type: ignore[arg-type]
            sender.sendall(b"x" * 1000)
            receiver.recv(1, socket.MSG_PEEK)
            waiting, room = unread(receiver)  # type: ignore[arg-type]
            assert waiting == 1000
            assert room >= 4096
        assert unread(receiver) == (0, 0)  # type: ignore[arg-type]
