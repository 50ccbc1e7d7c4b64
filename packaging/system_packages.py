"""Finds and installs what the operating system must bring: Qt's libraries, Python's venv, the tests' SIP peers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

# Shared library -> Debian package, for everything that the Qt modules and platform plugins we ship with link to.
LIBRARY_PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libGLX.so.0": "libglx0",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libX11.so.6": "libx11-6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
    "libwayland-egl.so.1": "libwayland-egl1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxcb.so.1": "libxcb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libz.so.1": "zlib1g",
    "libzstd.so.1": "libzstd1",
}

# Program that a test looks for -> Debian package and what is tested with it.
TEST_PROGRAMS = {
    "sipp": ("sip-tester", "calls with SIPp as carrier and as caller"),
    "baresip": ("baresip-core", "registrations and calls of a real phone"),
    "twinkle-console": ("twinkle-console", "attended transfers of a real phone"),
    "kamailio": ("kamailio", "a registrar and carrier that is not ours"),
    "rtpengine": ("rtpengine-daemon", "comparisons of relayed audio"),
    "initdb": ("postgresql", "several nodes on one PostgreSQL"),
    "Xvfb": ("xvfb", "windows on a real X server"),
    "cc": ("gcc", "load tools written in C"),
    "dbus-daemon": ("dbus-daemon", "real time asked for over D-Bus"),
    "ip": ("iproute2", "private networks"),
    "nft": ("nftables", "packet loss"),
}

POLICY_FILE = Path("/usr/sbin/policy-rc.d")
_one_at_a_time = threading.Lock()


class Wanted(NamedTuple):
    """A program that tests need and this machine lacks: its Debian package and what is tested with it."""

    program: str
    package: str
    purpose: str


def is_debian() -> bool:
    """Whether this system takes Debian packages (Debian, Ubuntu and their kin)."""
    return Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def find_program(name: str) -> str | None:
    """The path of a program; daemons and PostgreSQL's tools are not on an ordinary user's PATH."""
    folders = [os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/local/sbin"]
    folders += map(str, Path("/usr/lib/postgresql").glob("*/bin"))
    return shutil.which(name, path=os.pathsep.join(folders))


def install_command(packages: Iterable[str]) -> str:
    """The line a user can paste to install these packages."""
    prefix = "" if is_root() else "sudo "
    return f"{prefix}apt-get update && {prefix}apt-get install -y {' '.join(packages)}"


def install(packages: list[str]) -> list[str]:
    """Install Debian packages as root, starting none of their services; returns the ones that could not be."""
    with _one_at_a_time, services_stay_off():
        print(f"Installing Debian packages: {' '.join(packages)} ...", flush=True)
        if not any(Path("/var/lib/apt/lists").glob("*_Packages*")):
            _apt_get("update")
        if _apt_get("install", *packages):
            return []
        # The lists may be older than the mirror; and one package nobody has must not cost the others.
        _apt_get("update")
        if _apt_get("install", *packages):
            return []
        if len(packages) == 1:
            return packages
        return [package for package in packages if not _apt_get("install", package)]


def _apt_get(action: str, *packages: str) -> bool:
    command = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", action]
    if packages:
        command[-1:] = [action, "--no-install-recommends", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "LC_ALL": "C"}
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stdout.decode(errors="replace").splitlines()
        problems = [line for line in lines if line.startswith(("E:", "W:"))] or lines[-5:]
        print(f"apt-get {action} {' '.join(packages)} failed:", *problems[:6], sep="\n  ", file=sys.stderr, flush=True)
    return done.returncode == 0


@contextmanager
def services_stay_off() -> Iterator[None]:
    """While this lasts, an installed package may not start its daemon (Debian's policy-rc.d, exit status 101)."""
    if POLICY_FILE.exists():
        yield
        return
    POLICY_FILE.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    POLICY_FILE.chmod(0o755)
    try:
        yield
    finally:
        POLICY_FILE.unlink()


def missing_libraries(files: Iterable[Path]) -> list[str]:
    """The names of shared libraries that these binaries link to and this system does not have."""
    loader = shutil.which("ldd")
    existing = [str(file) for file in files if file.exists()]
    if loader is None or not existing:
        return []
    done = subprocess.run([loader, *existing], capture_output=True, text=True, check=False)
    return sorted(set(re.findall(r"^\s*(\S+) => not found", done.stdout, re.MULTILINE)))


def packages_for_libraries(libraries: Iterable[str]) -> list[str]:
    """The Debian packages of these libraries; one without an entry in the table is left out."""
    return sorted({LIBRARY_PACKAGES[library] for library in libraries if library in LIBRARY_PACKAGES})


def missing_test_programs(tests_folder: Path) -> list[Wanted]:
    """Programs of the table that tests look for and this machine lacks; what only tests/bench needs stays out."""
    looks_for = re.compile(r"""(?:which|find_program|needs_program)\(\s*["']([\w.-]+)["']""")
    sources = (path for path in tests_folder.rglob("*.py") if tests_folder / "bench" not in path.parents)
    wanted = {name for path in sources for name in looks_for.findall(path.read_text(encoding="utf-8"))}
    return [
        Wanted(program, package, purpose)
        for program, (package, purpose) in TEST_PROGRAMS.items()
        if program in wanted and find_program(program) is None
    ]
