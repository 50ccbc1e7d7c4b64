"""Finding programs that are no part of Python, or skipping the test that needs one."""

from __future__ import annotations

import os
import shutil

import pytest


def find_program(name: str) -> str | None:
    """The path of a program, also of a daemon in sbin."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def needs_program(name: str, package: str) -> str:
    """The path of a program; skips the test, naming the Debian package, where it is missing."""
    path = find_program(name)
    if path is None:
        pytest.skip(f"{name} is missing (Debian package {package})")
    return path
