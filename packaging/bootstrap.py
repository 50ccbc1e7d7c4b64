"""Sets Trunkline up on a fresh machine and runs it or its tests; needs nothing but Python.

python3 packaging/bootstrap.py run  [arguments of the program]
python3 packaging/bootstrap.py test [--long] [arguments of pytest]
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

OLDEST_PYTHON = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
STAMP = ENVIRONMENT / "trunkline-stamp.json"
WINDOWS = os.name == "nt"
BINARIES = ENVIRONMENT / ("Scripts" if WINDOWS else "bin")
PYTHON = BINARIES / ("python.exe" if WINDOWS else "python")

QT_CHECK = """
import sys
from PySide6.QtWidgets import QApplication
application = QApplication(sys.argv[:1])
print(application.platformName())
"""


class SetupError(Exception):
    """Something only the user can mend; the text says what failed and what to do."""


def say(text: str) -> None:
    print(text, flush=True)


def main(arguments: list[str]) -> int:
    """Run the command named first; the rest goes on to the program or to pytest."""
    commands = {"run": run_program, "test": run_tests}
    if not arguments or arguments[0] not in commands:
        asked = arguments[:1] in (["-h"], ["--help"])
        print((__doc__ or "").strip(), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    try:
        check_python()
        return commands[arguments[0]](arguments[1:])
    except SetupError as error:
        print(f"\nTrunkline could not be set up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


# --- the Python environment ------------------------------------------------------------------------------------


def check_python() -> None:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] < OLDEST_PYTHON:
        raise SetupError(
            f"this is Python {version}, Trunkline needs {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer. "
            "Install a newer Python and start this script with it, for example: python3.11 packaging/bootstrap.py run"
        )
    if struct.calcsize("P") != 8:
        raise SetupError(f"this Python {version} is a 32-bit one, Qt needs a 64-bit Python. Install that one.")


def read_stamp() -> dict:
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def prepare_environment(extras: list[str]) -> None:
    """Make .venv hold what pyproject.toml asks for, with these extras; nothing to do when its stamp says so."""
    wanted = {
        "project": hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest(),
        "python": sys.version,
        "folder": str(ROOT),
    }
    stamp = read_stamp()
    same_base = all(stamp.get(key) == value for key, value in wanted.items()) and PYTHON.exists()
    if same_base and set(extras) <= set(stamp.get("extras", [])):
        return
    started = time.monotonic()
    if not (PYTHON.exists() and stamp.get("python") == wanted["python"] and stamp.get("folder") == wanted["folder"]):
        make_environment()
    STAMP.unlink(missing_ok=True)  # an interrupted installation must not look finished
    all_extras = sorted(set(extras) | set(stamp.get("extras", [])))
    install_project(all_extras)
    STAMP.write_text(json.dumps({**wanted, "extras": all_extras}, indent=2), encoding="utf-8")
    say(f"Ready after {time.monotonic() - started:.0f} s.")


def make_environment() -> None:
    """Create .venv with pip in it, bringing Debian's python3-venv where that is missing."""
    say(f"Making the Python environment in {ENVIRONMENT} ...")
    done = create_venv()
    if done.returncode == 0:
        return
    package = debian_venv_package()
    if package is not None:
        import system_packages

        if not system_packages.is_root():
            raise SetupError(
                "this Python has no venv module. Install it, then start this script again:\n"
                f"    {system_packages.install_command([package])}"
            )
        if system_packages.install([package]):
            raise SetupError(f"the Debian package {package} could not be installed (the reason is above).")
        done = create_venv()
    if done.returncode != 0:
        detail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise SetupError(f"Python could not make an environment in {ENVIRONMENT}:\n{detail}")


def create_venv() -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def debian_venv_package() -> str | None:
    """The package that completes this Python on Debian, where the distribution splits it off."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        import system_packages

        if system_packages.is_debian():
            return f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    return None


def install_project(extras: list[str]) -> None:
    """Install what the project needs into .venv; pip's own settings (mirror, proxy) are honoured."""
    target = "." + (f"[{','.join(extras)}]" if extras else "")
    say("Installing what Trunkline needs (the first time takes a few minutes) ...")
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run(
        [*command, "--progress-bar", "off", "--editable", target],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return
    output = done.stdout.strip()
    print("\n".join(output.splitlines()[-12:]), file=sys.stderr)
    if "No module named pip" in output:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        raise SetupError("the environment has no pip. It was removed; start this script again.")
    signs = ("NewConnectionError", "Temporary failure", "timed out", "Max retries", "ProxyError", "getaddrinfo failed")
    if any(sign in output for sign in signs) or "(from versions: none)" in output:
        raise SetupError(
            "pip could not reach its package index (its last lines are above). Check the network; behind a proxy or "
            "with a mirror of your own set them for pip (pip config, HTTPS_PROXY) and start this script again."
        )
    if "No space left" in output:
        raise SetupError(f"the disk is full; the environment in {ENVIRONMENT} needs about 700 MB.")
    raise SetupError("pip could not install the packages of pyproject.toml (its last lines are above).")


# --- Qt ----------------------------------------------------------------------------------------------------------


def qt_starts(platform: str | None) -> subprocess.CompletedProcess:
    """Really start a Qt application in a child process, on this platform plugin or the display's own."""
    environment = dict(os.environ)
    if platform is not None:
        environment["QT_QPA_PLATFORM"] = platform
    command = [str(PYTHON), "-c", QT_CHECK]
    try:
        return subprocess.run(
            command, env=environment, cwd=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "Qt did not start within 120 seconds")


def qt_files() -> list[Path]:
    """The binaries of Qt that a window, or a test without one, loads."""
    found = list(ENVIRONMENT.glob("lib*/python*/site-packages/PySide6"))
    if not found:
        return []
    modules = [found[0] / f"{name}.abi3.so" for name in ("QtCore", "QtGui", "QtWidgets", "QtNetwork", "QtSvg")]
    plugins = ["xcb", "offscreen"]
    if os.environ.get("WAYLAND_DISPLAY"):
        plugins += ["wayland", "wayland-generic", "wayland-egl"]
    return modules + [found[0] / "Qt" / "plugins" / "platforms" / f"libq{name}.so" for name in plugins]


def bring_qt_libraries() -> bool:
    """Install the system libraries that Qt lacks; False when none is missing, SetupError when it needs the user."""
    import system_packages

    libraries = system_packages.missing_libraries(qt_files())
    if not libraries:
        return False
    packages = system_packages.packages_for_libraries(libraries)
    names = ", ".join(libraries[:4]) + (f" and {len(libraries) - 4} more" if len(libraries) > 4 else "")
    if not system_packages.is_debian() or not packages:
        everything = "\n    ".join(libraries)
        raise SetupError(f"Qt needs these system libraries, install them with your package manager:\n    {everything}")
    if not system_packages.is_root():
        raise SetupError(
            f"Qt needs system libraries that are missing ({names}). Install them, then start this script again:\n"
            f"    {system_packages.install_command(packages)}"
        )
    failed = system_packages.install(packages)
    if failed:
        raise SetupError(
            f"Qt needs {names}, and these packages could not be installed (the reason is above): {' '.join(failed)}"
        )
    return True


def check_qt(platform: str | None) -> subprocess.CompletedProcess:
    """Start Qt, bringing missing system libraries once; the result of the last attempt."""
    done = qt_starts(platform)
    if done.returncode != 0 and sys.platform.startswith("linux") and bring_qt_libraries():
        done = qt_starts(platform)
    return done


# --- run ---------------------------------------------------------------------------------------------------------


def run_program(arguments: list[str]) -> int:
    """Open the window, or start the server alone where there is no display."""
    prepare_environment([])
    without_display = no_display_reason()
    if without_display is None:
        done = check_qt(None)
        if done.returncode != 0:
            detail = (done.stderr or done.stdout).strip()
            if "could not connect to display" not in detail and "Failed to create wl_display" not in detail:
                raise SetupError("Qt does not start:\n" + "\n".join(detail.splitlines()[-6:]))
            display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
            without_display = f"the display {display} cannot be reached"
    if without_display is None:
        return become([str(PYTHON), "-m", "ui", *arguments])
    say(f"No window: {without_display}. Starting the server alone (python -m app serve).")
    return become([str(PYTHON), "-m", "app", "serve", *arguments])


def no_display_reason() -> str | None:
    """Why no window can open here, or None."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return None
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return None
    return "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"


def become(command: list[str]) -> int:
    """Go on as this program, so that signals and the exit code are its own."""
    os.chdir(ROOT)
    if not WINDOWS:
        os.execv(command[0], command)
    return subprocess.call(command)


# --- test --------------------------------------------------------------------------------------------------------


ALONE = {"-s", "--pdb", "-n"}
"""Arguments of pytest that want its process for themselves, or say how many there are."""


def run_tests(arguments: list[str]) -> int:
    """All checks, then pytest last, so that its closing line is the end of the output; the exit code covers all."""
    long_too = "--long" in arguments
    arguments = [argument for argument in arguments if argument != "--long"]
    with ThreadPoolExecutor(1) as beside:
        # apt and pip wait for different servers.
        bringing = beside.submit(bring_test_programs)
        prepare_environment(["postgres", "test"])
        notes = bringing.result()
    done = check_qt("offscreen")
    if done.returncode != 0:
        detail = (done.stderr or done.stdout).strip().splitlines()
        raise SetupError("Qt does not start:\n" + "\n".join(detail[-6:]))
    failed = []
    with ThreadPoolExecutor(2) as pool:
        checks = [(name, pool.submit(run_check, command)) for name, command in check_commands()]
        for name, check in checks:
            code, output, seconds = check.result()
            say(f"--- {name}\n{output.rstrip()}")
            if code:
                failed.append(name)
            notes.append(f"{name}: {'FAILED' if code else 'ok'} ({seconds:.1f} s)")
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "TRUNKLINE_CHECKS": "\n".join(notes)}
    say("--- pytest")
    # An empty marker expression lifts the "not long" of pyproject.toml.
    selection = ["-m", ""] if long_too else []
    # Two processes, as tests/conftest.py divides them: those with real peers mostly wait, the others mostly compute.
    spread = [] if ALONE.intersection(arguments) else ["-n", "2"]
    command = [str(PYTHON), "-m", "pytest", *selection, *spread, *arguments]
    code = subprocess.call(command, cwd=ROOT, env=environment)
    return code or (1 if failed else 0)


def run_check(command: list[str]) -> tuple[int, str, float]:
    """Run one check: its exit code, what it said, and how many seconds it took."""
    started = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout, time.monotonic() - started


def check_commands() -> list[tuple[str, list[str]]]:
    """The checks of the source itself, quickest first."""
    suffix = ".exe" if WINDOWS else ""
    other = "linux" if WINDOWS else "win32"
    cache = f".mypy_cache/{other}"
    return [
        ("ruff check", [str(BINARIES / f"ruff{suffix}"), "check"]),
        ("ruff format --check", [str(BINARIES / f"ruff{suffix}"), "format", "--check"]),
        ("lint-imports (layers)", [str(BINARIES / f"lint-imports{suffix}")]),
        ("mypy --strict", [str(PYTHON), "-m", "mypy"]),
        # What one system has and the other has not (epoll, fcntl, msvcrt) must stand behind a question which it is.
        (f"mypy --strict for {other}", [str(PYTHON), "-m", "mypy", "--platform", other, "--cache-dir", cache]),
    ]


def bring_test_programs() -> list[str]:
    """Install the SIP peers that the tests talk to, or say what will be skipped; returns lines for the summary."""
    import system_packages

    missing = system_packages.missing_test_programs(ROOT / "tests")
    if missing and system_packages.is_debian() and system_packages.is_root():
        system_packages.install([wanted.package for wanted in missing])
        missing = system_packages.missing_test_programs(ROOT / "tests")
    if not missing:
        return []
    notes = [f"skipped, as {wanted.program} is missing: {wanted.purpose}" for wanted in missing]
    if system_packages.is_debian():
        notes.append(f"to run them: {system_packages.install_command(wanted.package for wanted in missing)}")
    for note in notes:
        say(note)
    return notes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
