"""Hosts of their own on one machine: network namespaces joined by a cable that a test can pull (Linux, root)."""

from __future__ import annotations

import ctypes
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")

_CLONE_NEWNET = 0x4000_0000


class Namespace:
    """One host: its processes are started with `command`, its sockets made with `call`."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def command(self) -> tuple[str, ...]:
        """What stands before a command so that it runs on this host."""
        return ("ip", "netns", "exec", self.name)

    def ip(self, words: str) -> None:
        """`host.ip("link set eth down")`: run the tool ip on this host."""
        _ip(f"-n {self.name} {words}")

    def call(self, function: Callable[[], T]) -> T:
        """What the function gives when it is called on this host; sockets that it makes stay there."""
        results: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                with Path(f"/run/netns/{self.name}").open("rb") as namespace:
                    # Only this thread moves, and it ends here.
                    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                results.append(function())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]


class Cable:
    """Two hosts, `server` and `provider`, with one cable between them: 192.0.2.1 and .2, 2001:db8::1 and ::2."""

    SERVER, PROVIDER = "192.0.2.1", "192.0.2.2"

    def __init__(self) -> None:
        mark = secrets.token_hex(3)
        self.server, self.provider = Namespace(f"tl-{mark}-a"), Namespace(f"tl-{mark}-b")
        self._stack = ExitStack()
        try:
            self._lay()
        except BaseException:
            self.close()
            raise

    def _lay(self) -> None:
        for host in (self.server, self.provider):
            _ip(f"netns add {host.name}")
            self._stack.callback(_ip, f"netns delete {host.name}")
            host.ip("link set lo up")
        self.server.ip(f"link add eth type veth peer name eth netns {self.provider.name}")
        self.provider.ip(f"address add {self.PROVIDER}/24 dev eth")
        # Without the check for doubles, IPv6 addresses can be used at once.
        self.provider.ip("address add 2001:db8::2/64 dev eth nodad")
        self.provider.ip("link set eth up")
        self.add_address()
        self.server.ip("link set eth up")

    def add_address(self, address: str = SERVER) -> None:
        """Give the server's host an address."""
        length = 64 if ":" in address else 24
        self.server.ip(f"address replace {address}/{length} dev eth" + (" nodad" if ":" in address else ""))

    def take_address(self, address: str = SERVER) -> None:
        """Take an address from the server's host."""
        self.server.ip(f"address delete {address}/{64 if ':' in address else 24} dev eth")

    def pull(self) -> None:
        """Pull the cable on the server's side."""
        self.server.ip("link set eth down")

    def plug(self) -> None:
        """Plug it in again."""
        self.server.ip("link set eth up")

    def cut_beyond(self) -> None:
        """Cut the line somewhere beyond: packets leave, nothing comes back, and this machine sees nothing of it."""
        self.server.ip(f"neighbour replace {self.PROVIDER} lladdr 02:00:00:00:00:99 dev eth nud permanent")

    def mend_beyond(self) -> None:
        """Undo `cut_beyond`."""
        self.server.ip(f"neighbour delete {self.PROVIDER} dev eth")

    def close(self) -> None:
        """Take both hosts away."""
        self._stack.close()


def needs_namespaces() -> None:
    """Skip the test, saying why, where no network namespace can be made."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may make network namespaces")
    try:
        Cable().close()
    except (OSError, subprocess.CalledProcessError) as error:
        reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
        pytest.skip(f"no network namespace can be made here: {reason}")


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True, timeout=20)
