"""Loopback addresses that no other test uses, so that each peer of a test has the standard port on its own address."""

from __future__ import annotations

import itertools
import os
import secrets
import socket
from pathlib import Path

from support.waiting import wait_until

_RESERVATION_PORT = 9  # "discard": nobody listens there on an address of ours
_counter = itertools.count(1)


class LoopbackNetwork:
    """A /24 of 127.0.0.0/8 for one test; held by a socket, so that tests in other processes take another one."""

    def __init__(self) -> None:
        for _ in range(1000):
            second, third = 16 + secrets.randbelow(200), (os.getpid() + next(_counter)) % 250 + 1
            self.prefix = f"127.{second}.{third}"
            self._held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                self._held.bind((self.address(254), _reservation_port()))
            except OSError:
                self._held.close()
            else:
                return
        raise AssertionError("no free loopback network")

    def address(self, number: int) -> str:
        """The address with this last byte (1 to 253)."""
        return f"{self.prefix}.{number}"

    def close(self) -> None:
        self._held.close()


def _reservation_port() -> int:
    """A port below 1024 needs root on Linux; ordinary users reserve with a high one."""
    privileged = hasattr(os, "geteuid") and os.geteuid() == 0
    return _RESERVATION_PORT if privileged or os.name == "nt" else 60009


def free_udp_port(address: str) -> int:
    """A UDP port that was free on this address a moment ago."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def udp_is_bound(address: str, port: int) -> bool:
    """Whether some process has bound this UDP address (Linux: from /proc, without touching the port)."""
    return any(fields[1] in _local(address, port) for fields in _sockets("udp"))


def tcp_is_listening(address: str, port: int) -> bool:
    """Whether some process listens on this TCP address (Linux, likewise)."""
    return any(fields[1] in _local(address, port) and fields[3] == "0A" for fields in _sockets("tcp"))


def _local(address: str, port: int) -> set[str]:
    packed = socket.inet_aton(address)[::-1].hex().upper()
    return {f"{packed}:{port:04X}", f"00000000:{port:04X}"}


def _sockets(kind: str) -> list[list[str]]:
    lines = Path(f"/proc/net/{kind}").read_text(encoding="ascii").splitlines()[1:]
    return [line.split() for line in lines]


def used_udp_ports() -> set[int]:
    """The UDP ports that are bound on any IPv4 address now (Linux)."""
    lines = Path("/proc/net/udp").read_text(encoding="ascii").splitlines()[1:]
    return {int(line.split()[1].rpartition(":")[2], 16) for line in lines}


def wait_for_udp(address: str, port: int, seconds: float = 10.0) -> None:
    """Wait until a peer has bound this UDP address."""
    wait_until(lambda: udp_is_bound(address, port), f"a UDP socket on {address}:{port}", seconds)


def wait_for_tcp(address: str, port: int, seconds: float = 10.0) -> None:
    """Wait until a peer listens on this TCP address."""
    wait_until(lambda: tcp_is_listening(address, port), f"a TCP listener on {address}:{port}", seconds)
