"""What every test gets: warnings in the log fail it, addresses of its own, the folders it may use."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ports import LoopbackNetwork

ROOT = Path(__file__).resolve().parent.parent
WITH_PEERS = "tests/wire/"
"""Where the tests lie that talk to real peers. They wait more than they compute, and have addresses of their own."""
FILL_THE_MACHINE = (
    "tests/soak/",
    "tests/wire/media/",
    "tests/wire/test_a_hundred_",
    "tests/wire/test_bad_bytes",
    "tests/wire/test_bans",
    "tests/wire/test_faults_",
    "tests/wire/test_guessing",
    "tests/wire/test_relayed_",
    "tests/wire/test_stream_transports",
    "tests/wire/test_tcp_and_tls",
    "tests/wire/test_tls_sides",
    "tests/wire/test_tones_",
    "tests/wire/test_transports",
    "tests/wire/test_under_fire",
    "tests/wire/test_waiting",
)
"""Those that flood, open thousands of connections, measure time or change the network: never two at once."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes run the tests, those that would disturb each other stay in one."""
    from xdist.scheduler import LoadScopeScheduling

    class LongestFirst(LoadScopeScheduling):  # type: ignore[misc]
        """Gives out those that fill the machine in one piece, first, those with peers file by file, then each alone."""

        def _split_scope(self, nodeid: str) -> str:
            if nodeid.startswith(FILL_THE_MACHINE):
                return "fill the machine"
            return nodeid.partition("::")[0] if nodeid.startswith(WITH_PEERS) else nodeid

    return LongestFirst(config, log)


@pytest.fixture(autouse=True)
def no_unexpected_log_warnings(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A test during which a warning was logged has failed, unless it is marked `expects_log("pattern")`.

    Alarms do not count: they tell of the world around the server, and tests ask for them by name.
    """
    yield
    expected = [pattern for mark in request.node.iter_markers("expects_log") for pattern in mark.args]
    unexpected = [
        f"{record.levelname} {record.name}: {record.getMessage()}"
        for record in caplog.get_records("setup") + caplog.get_records("call")
        if record.levelno >= logging.WARNING and record.name != "app.alarms"
        if not any(re.search(each, record.getMessage()) for each in expected)
    ]
    if unexpected:
        pytest.fail("the log warned unexpectedly:\n" + "\n".join(unexpected[:20]), pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Repeat the results of the checks that `packaging/bootstrap.py test` ran before, above pytest's closing line."""
    notes = os.environ.get("TRUNKLINE_CHECKS", "")
    if notes:
        terminalreporter.section("checks before the tests")
        for line in notes.splitlines():
            terminalreporter.write_line(line, red="FAILED" in line, yellow=line.startswith("skipped"))


@pytest.fixture
def network() -> Iterator[LoopbackNetwork]:
    """A /24 of loopback addresses that no other test uses now."""
    reserved = LoopbackNetwork()
    yield reserved
    reserved.close()


@pytest.fixture(scope="session")
def output_folder() -> Path:
    """Where tests leave what a person may want to see (screenshots, ladders)."""
    folder = ROOT / "tests" / "output"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder with torture messages and peers' configurations beside the repository; skips where it is missing."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder 'shared' beside the repository is missing")
    return folder
