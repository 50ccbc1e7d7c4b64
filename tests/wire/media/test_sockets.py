"""The sockets under the relay: pairs, connections that are undone, and waiting without epoll."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import pytest
from support.ports import LoopbackNetwork

from app.media import sockets
from app.media.sockets import SelectPoller, bind_pair, bind_socket, dissolve

pytestmark = pytest.mark.wire


def test_a_pair_is_bound_whole_or_not_at_all(network: LoopbackNetwork) -> None:
    address = network.address(1)
    with ExitStack() as stack:
        rtp, rtcp = (stack.enter_context(bound) for bound in bind_pair(address, 30_000))
        assert (rtp.getsockname(), rtcp.getsockname()) == ((address, 30_000), (address, 30_001))
        stack.enter_context(bind_socket(address, 30_003))
        with pytest.raises(OSError, match="in use"):
            bind_pair(address, 30_002)
        stack.enter_context(bind_socket(address, 30_002))


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_dissolved_socket_keeps_its_port_and_hears_everybody(network: LoopbackNetwork, family: int) -> None:
    address = network.address(1) if family == socket.AF_INET else "::1"
    with bind_socket(address, 0) as free:
        port = free.getsockname()[1]
    with bind_socket(address, port) as ours, bind_socket(address, 0) as friend, bind_socket(address, 0) as other:
        place = (address, port)
        ours.connect(friend.getsockname()[:2])
        other.sendto(b"no", place)
        with pytest.raises(BlockingIOError):
            ours.recv(10)
        assert dissolve(ours)
        assert ours.getsockname()[:2] == place
        other.sendto(b"yes", place)
        assert ours.recv(10) == b"yes"
        with pytest.raises(OSError):
            ours.send(b"nobody")


def test_dissolving_a_closed_socket_fails_softly(monkeypatch: pytest.MonkeyPatch, network: LoopbackNetwork) -> None:
    bound = bind_socket(network.address(1), 0)
    bound.close()
    assert not dissolve(bound)


def test_waiting_for_more_sockets_than_select_takes(network: LoopbackNetwork) -> None:
    poller = SelectPoller(group_size=3, pause=0.001)
    with ExitStack() as stack:
        bound = [stack.enter_context(bind_socket(network.address(1), 0)) for _ in range(10)]
        for each in bound:
            poller.register(each.fileno())
        began = time.monotonic()
        assert poller.poll(0.02, 100) == []
        assert 0.01 < time.monotonic() - began < 2
        assert poller.poll(0, 100) == []
        for number in (0, 4, 9):
            bound[number].sendto(b"x", bound[number].getsockname())
        ready = {descriptor for descriptor, _ in poller.poll(-1, 100)}
        assert ready == {bound[number].fileno() for number in (0, 4, 9)}
        for number in (0, 4, 9):
            bound[number].recv(10)
            poller.unregister(bound[number].fileno())
        bound[4].sendto(b"x", bound[4].getsockname())
        assert poller.poll(0, 100) == []
        for each in (1, 2, 3, 5, 6, 7):
            poller.unregister(bound[each].fileno())
        bound[8].sendto(b"x", bound[8].getsockname())
        assert poller.poll(-1, 100) == [(bound[8].fileno(), 1)]
        poller.close()


def test_the_best_way_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    poller = sockets.make_poller()
    assert hasattr(poller, "fileno") == hasattr(sockets.select, "epoll")
    poller.close()
    monkeypatch.setattr(sockets.sys, "platform", "darwin")
    assert isinstance(sockets.make_poller(), SelectPoller)
