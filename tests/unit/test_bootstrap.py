"""The set-up script: what it decides and says; the real installation is done by everyone who runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bootstrap(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    import bootstrap

    return bootstrap


@pytest.fixture
def system_packages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "packaging"))
    import system_packages

    return system_packages


def test_script_alone_tells_its_commands() -> None:
    """Run as a person would, with the standard library only."""
    command = [sys.executable, "-I", str(ROOT / "packaging" / "bootstrap.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "bootstrap.py run" in done.stderr
    assert "bootstrap.py test" in done.stderr
    asked = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert asked.returncode == 0
    assert "bootstrap.py test" in asked.stdout


def test_old_python_is_refused_in_words(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "OLDEST_PYTHON", (4, 0))
    assert bootstrap.main(["run"]) == 1
    assert "needs 4.0 or newer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("WARNING: Retrying ... NewConnectionError(...)\nERROR: No matching distribution found for x", "network"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: something else", "could not install the packages"),
    ],
)
def test_failed_installation_says_what_to_do(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, output: str, words: str
) -> None:
    failed = subprocess.CompletedProcess([], 1, stdout=output)
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(bootstrap.SetupError, match=words):
        bootstrap.install_project([])


def test_second_preparation_does_nothing(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The stamp holds pyproject.toml's hash, the Python and the extras; a further extra keeps the ones there were."""
    environment = tmp_path / ".venv"
    monkeypatch.setattr(bootstrap, "STAMP", environment / "stamp.json")
    monkeypatch.setattr(bootstrap, "PYTHON", environment / "python")
    made: list[str] = []
    installed: list[list[str]] = []

    def make_environment() -> None:
        made.append("made")
        environment.mkdir(exist_ok=True)
        (environment / "python").touch()

    monkeypatch.setattr(bootstrap, "make_environment", make_environment)
    monkeypatch.setattr(bootstrap, "install_project", installed.append)
    for extras in ([], [], ["test"], ["test"], []):
        bootstrap.prepare_environment(extras)
    assert (made, installed) == (["made"], [[], ["test"]])
    (environment / "stamp.json").write_text("{ half a file")
    bootstrap.prepare_environment([])
    assert len(installed) == 3


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a display")
def test_without_a_display_the_server_starts_alone(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    commands: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "prepare_environment", lambda extras: None)
    monkeypatch.setattr(bootstrap, "become", lambda command: commands.append(command) or 0)
    assert bootstrap.main(["run", "--data", "somewhere"]) == 0
    (command,) = commands
    assert command[1:] == ["-m", "app", "serve", "--data", "somewhere"]
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("No window: there is no display")


def test_missing_libraries_of_qt_become_one_command(
    bootstrap: ModuleType, system_packages: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_packages, "missing_libraries", lambda files: ["libEGL.so.1", "libxcb-cursor.so.0"])
    monkeypatch.setattr(system_packages, "is_debian", lambda: True)
    monkeypatch.setattr(system_packages, "is_root", lambda: False)
    with pytest.raises(bootstrap.SetupError, match="apt-get install -y libegl1 libxcb-cursor0"):
        bootstrap.bring_qt_libraries()


def test_only_programs_that_tests_look_for_are_wanted(
    system_packages: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    looks = "shutil.which"  # not written out, so that this file does not look for programs itself
    (tmp_path / "bench").mkdir()
    (tmp_path / "test_one.py").write_text(f'{looks}("initdb")\nvalue = "baresip"\n')
    (tmp_path / "bench" / "run.py").write_text(f'{looks}("rtpengine")')
    monkeypatch.setattr(system_packages, "find_program", lambda name: None)
    assert [wanted.package for wanted in system_packages.missing_test_programs(tmp_path)] == ["postgresql"]


def test_services_of_installed_packages_stay_off(
    system_packages: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Debian asks policy-rc.d; ours says no and is gone afterwards, and somebody else's is left alone."""
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(system_packages, "POLICY_FILE", policy)
    with system_packages.services_stay_off():
        assert "exit 101" in policy.read_text()
    assert not policy.exists()
    policy.write_text("theirs")
    with system_packages.services_stay_off():
        assert policy.read_text() == "theirs"
    assert policy.read_text() == "theirs"
