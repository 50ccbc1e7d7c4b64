"""`python -m app serve` as a real process, driven through the command line that other programs use, too."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from support.waiting import wait_until

from app.records.document import read_document
from app.storage.database import Database
from app.storage.export import as_json
from app.storage.journal import journal_path, remove

ROOT = Path(__file__).resolve().parents[2]
ALARM = re.compile(r"^\S+ (WARNING|ERROR) app\.alarms: ")
"""What a server tells of the world around it is no trouble of its own."""
TROUBLE = re.compile(r"Traceback|\bWARNING\b|\bERROR\b|\bCRITICAL\b|Warning:|Fatal Python error")


def run_app(*arguments: str, document: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command of `python -m app` to its end; `document` goes to its standard input as JSON."""
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        input=None if document is None else json.dumps(document),
        stdin=subprocess.DEVNULL if document is None else None,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def import_document(data: Path, document: dict[str, Any], *options: str) -> None:
    """Import a document into a data folder; AssertionError with the program's own words when it is refused."""
    done = run_app("import", "-", "--data", str(data), *options, document=document)
    assert done.returncode == 0, f"import refused with {done.returncode}:\n{done.stderr}"


def make_database(data: Path, document: dict[str, Any]) -> None:
    """Make a data folder that holds a document, as an import does, without the second that a process takes."""
    database = Database.open(data)
    try:
        database.update(lambda base: read_document(document, base))
    finally:
        database.close()


class RunningServer:
    """A server with its own data folder; as a context manager it is stopped and its log checked at the end.

    `expected` are patterns of log lines that may warn. Everything else that warns fails `stop`.
    `interpreter_options` stand before `-m app`, for example to run it under a profiler; `before` stands before the
    whole command, for example to run it on another host.
    """

    def __init__(
        self,
        data: Path,
        document: dict[str, Any],
        address: str,
        *,
        port: int = 5060,
        expected: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        interpreter_options: tuple[str, ...] = (),
        before: tuple[str, ...] = (),
    ) -> None:
        self.data = data
        self.address = address
        self.port = port
        self.expected = list(expected)
        self.interpreter_options = interpreter_options
        self.before = before
        self.ready: dict[str, Any] = {}
        self._environment = {**os.environ, "PYTHONWARNINGS": "default", "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._runs = 0
        self.process: subprocess.Popen[str] | None = None
        # TLS has no place on the command line, and its port is the same for every server.
        system = {"sip_tls_port": 0, **document.get("system", {})}
        make_database(data, {**document, "system": system})

    @property
    def sip_address(self) -> str:
        return f"{self.address}:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None, "the server was not started"
        return self.process.pid

    def __enter__(self) -> RunningServer:
        return self if self.process is not None else self.start()

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self.process is None:
            return
        if kind is None:
            self.stop()
        else:
            print(f"--- log of the server\n{self.log()[-8000:]}", file=sys.stderr)
            self.kill()
        self.forget()

    def forget(self) -> None:
        """It is not started again: what a killed server leaves for the next one is taken away."""
        remove(journal_path(self.data))

    def start(self, seconds: float = 30.0) -> RunningServer:
        """Start the process and wait for its ready line."""
        return self.starting().become_ready(seconds)

    def become_ready(self, seconds: float) -> RunningServer:
        """Wait for the ready line of the process that was started."""
        self.ready = self._wait_for_ready(seconds)
        return self

    def starting(self) -> RunningServer:
        """Start the process and wait for nothing."""
        self._runs += 1
        command = [*self.before, sys.executable, "-X", "faulthandler", *self.interpreter_options, "-m", "app", "serve"]
        with self._log_file().open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [*command, "--data", str(self.data), "--sip", self.sip_address],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, args=(self.process, self._lines), daemon=True).start()
        return self

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                lines.put(line)
        lines.put(None)

    def _wait_for_ready(self, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                self.kill()
                raise AssertionError(f"no ready line within {seconds:g} s; log:\n{self.log()}") from None
            if line is None:
                assert self.process is not None
                code = self.process.wait(10)
                raise AssertionError(f"the server ended with {code} instead of starting; log:\n{self.log()}")
            event = json.loads(line)
            if event.get("event") == "ready":
                return dict(event)

    def _log_file(self) -> Path:
        return self.data.parent / f"{self.data.name}-server-{self._runs}.log"

    def log(self) -> str:
        """What the server wrote to standard error since it was started last."""
        return self._log_file().read_text(encoding="utf-8", errors="replace")

    def troubles(self) -> list[str]:
        """Lines of the log that warn and are not expected."""
        return [
            line
            for line in self.log().splitlines()
            if TROUBLE.search(line) and not ALARM.search(line)
            if not any(re.search(pattern, line) for pattern in self.expected)
        ]

    def stop(self, seconds: float = 20.0) -> None:
        """SIGTERM; the server must end in order, with exit code 0 and nothing unexpected in its log."""
        assert self.process is not None, "the server was not started"
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            log = self.log()
            self.kill()
            raise AssertionError(f"the server did not end within {seconds:g} s of SIGTERM; log:\n{log}") from None
        self.process = None
        assert code == 0, f"the server ended with {code}; log:\n{self.log()}"
        troubles = self.troubles()
        assert not troubles, "the server's log warns:\n" + "\n".join(troubles[:20]) + f"\n--- whole log\n{self.log()}"

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def reconfigure(self, document: dict[str, Any], *options: str) -> None:
        """Import a document while the server runs."""
        import_document(self.data, document, *options)

    def calls(self) -> list[dict[str, Any]]:
        """The call records, newest first, as `python -m app calls --json` reads and writes them."""
        database = Database.open(self.data)
        try:
            database.close_interrupted()
            records = json.loads("".join(as_json(database.all_calls())))
        finally:
            database.close()
        assert isinstance(records, list)
        return records

    def wait_for_calls(self, count: int, seconds: float = 15.0) -> list[dict[str, Any]]:
        """The call records as soon as there are so many; records are written behind the call's end."""

        def enough() -> list[dict[str, Any]]:
            records = self.calls()
            return records if len(records) >= count else []

        records = wait_until(enough, f"{count} call records", seconds, pause=0.1) if count else self.calls()
        assert len(records) == count, f"{len(records)} call records instead of {count}: {records}"
        return records
