"""The design's prototype: a plain epoll loop in Python with connected sockets, no counters, no learning.

    prototype.py CALLS RELAY_ADDRESS FIRST_PORT CALLER_ADDRESS CALLED_ADDRESS FIRST_CLIENT_PORT

Call i: as in `forwarder.c`. The goals of the relay were set by what such a loop reached.
"""

from __future__ import annotations

import gc
import resource
import select
import socket
import sys
from typing import Any

BUFFER_SIZE = 2048
EVENTS_PER_POLL = 42


def bound_sockets(calls: int, relay: str, first: int, sides: tuple[str, str], client: int) -> list[socket.socket]:
    """The caller's and the called side's socket of each call, in turn, connected to their phones."""
    made = []
    for index in range(2 * calls):
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.setblocking(False)
        end.bind((relay, first + 2 * index))
        end.connect((sides[index & 1], client + 2 * (index // 2)))
        made.append(end)
    return made


def main() -> None:
    """Forward for ever."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    calls, relay, first, caller, called, client = sys.argv[1:]
    ends = bound_sockets(int(calls), relay, int(first), (caller, called), int(client))
    poller = select.epoll()
    table: list[Any] = [None] * (max(end.fileno() for end in ends) + 1)
    for index, end in enumerate(ends):
        table[end.fileno()] = (end.recv_into, ends[index ^ 1].send)
        poller.register(end.fileno(), select.EPOLLIN)
    buffer = bytearray(BUFFER_SIZE)
    views = [memoryview(buffer)[:size] for size in range(BUFFER_SIZE)]
    gc.freeze()
    gc.disable()
    print("ready", flush=True)
    poll = poller.poll
    while True:
        for descriptor, _ in poll(-1, EVENTS_PER_POLL):
            try:
                receive, send = table[descriptor]
                send(views[receive(buffer)])
            except OSError:
                pass


if __name__ == "__main__":
    main()
