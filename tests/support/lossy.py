"""A network that loses packets: a namespace of its own for the programs of a test (Linux, root)."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CLONE_NEWNET = 0x4000_0000


@contextmanager
def lossy_network(percent: int) -> Iterator[None]:
    """What is started in the block has a loopback of its own, on which so many percent of all UDP packets are lost.

    Skips the test, saying why, where that cannot be had.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may make a network that loses packets")
    library = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        # Only this thread moves, with every thread and process that it starts.
        if library.unshare(_CLONE_NEWNET):
            pytest.skip(f"no network namespace can be made here: {os.strerror(ctypes.get_errno())}")
        try:
            _lose(percent)
            yield
        finally:
            assert library.setns(before.fileno(), _CLONE_NEWNET) == 0, "there is no way back to the first network"


def _lose(percent: int) -> None:
    rules = f"""
        table inet loss {{
            chain input {{
                type filter hook input priority 0
                meta l4proto udp numgen random mod 100 < {percent} counter drop
            }}
        }}
    """
    for command, text in ((["ip", "link", "set", "lo", "up"], None), (["nft", "-f", "-"], rules if percent else "")):
        try:
            subprocess.run(command, input=text, check=True, capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
            pytest.skip(f"packets cannot be lost here: {command[0]}: {reason}")
