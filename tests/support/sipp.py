"""SIPp as a carrier or a caller on an address of its own, with its counters, messages and errors as Python values."""

from __future__ import annotations

import csv
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from support.ports import wait_for_tcp, wait_for_udp
from support.programs import needs_program
from support.scenario import Scenario
from support.sip_text import SipText
from support.waiting import wait_until

_ENTRY = re.compile(r"^-{20,} \d{4}-\d\d-\d\d.*\n(UDP|TCP) message (sent|received)[^\n]*:\n\n", re.MULTILINE)


@dataclass(slots=True)
class SippResult:
    """What a finished SIPp says of itself."""

    exit_code: int
    created: int
    successful: int
    failed: int
    retransmissions: int
    errors: str = field(repr=False)
    messages: list[SipText] = field(repr=False)


class Sipp:
    """One SIPp process. `remote` makes it a caller, without one it answers."""

    def __init__(
        self,
        folder: Path,
        scenario: Scenario | Path,
        address: str,
        *,
        port: int = 5060,
        remote: str | None = None,
        called: str = "service",
        calls: int = 1,
        rate: float = 10,
        limit: int | None = None,
        seconds: int = 30,
        keep_messages: bool = True,
        tcp: bool = False,
        options: tuple[str, ...] = (),
    ) -> None:
        """`tcp`: all calls over one TCP connection."""
        program = needs_program("sipp", "sip-tester")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.address, self.port = folder, address, port
        path = scenario.write(folder / "scenario.xml") if isinstance(scenario, Scenario) else scenario
        command = [program, *([remote] if remote else []), "-sf", str(path.resolve())]
        command += ["-i", address, "-p", str(port), "-mi", address, "-s", called, "-m", str(calls), "-nostdin"]
        command += ["-timeout", f"{seconds}s", "-timeout_error", "-trace_err", "-error_file", "errors.log"]
        command += ["-trace_stat", "-stf", "statistics.csv", "-fd", "1", "-r", str(rate)]
        if tcp:
            command += ["-t", "t1"]
        if limit is not None:
            command += ["-l", str(limit)]
        if keep_messages:
            command += ["-trace_msg", "-message_file", "messages.log"]
        self._seconds = seconds
        self.output = folder / "screen.log"
        with self.output.open("wb") as screen:
            self.process = subprocess.Popen(
                [*command, *options], cwd=folder, stdin=subprocess.DEVNULL, stdout=screen, stderr=subprocess.STDOUT
            )
        if remote is None:
            (wait_for_tcp if tcp else wait_for_udp)(address, port)

    def wait(self) -> SippResult:
        """Wait for the end of all calls."""
        self.process.wait(self._seconds + 15)
        return self.result()

    def succeed(self) -> SippResult:
        """Wait for the end; AssertionError with the errors when any call failed."""
        result = self.wait()
        last = "\n\n".join(message.text for message in result.messages[-6:])
        assert result.exit_code == 0 and result.failed == 0, f"SIPp: {result}\n{result.errors[:3000]}\n---\n{last}"
        return result

    def result(self) -> SippResult:
        """The counters as they are; complete only after the process has ended."""
        row: dict[str, str] = {}
        path = self.folder / "statistics.csv"
        if path.exists():
            with path.open(encoding="ascii", errors="replace", newline="") as file:
                for row in csv.DictReader(file, delimiter=";"):  # noqa: B007 - the last row counts
                    pass
        return SippResult(
            exit_code=-1 if self.process.returncode is None else self.process.returncode,
            created=int(row.get("TotalCallCreated") or 0),
            successful=int(row.get("SuccessfulCall(C)") or 0),
            failed=int(row.get("FailedCall(C)") or 0),
            retransmissions=int(row.get("Retransmissions(C)") or 0),
            errors=self._read("errors.log") or (self._read("screen.log")[-2000:] if self.process.returncode else ""),
            messages=self.messages(),
        )

    def messages(self) -> list[SipText]:
        """Every SIP message so far."""
        text = self._read("messages.log")
        entries = list(_ENTRY.finditer(text))
        ends = [entry.start() for entry in entries[1:]] + [len(text)] * bool(entries)
        return [
            SipText(entry[2] == "sent", text[entry.end() : end].rstrip("\n"))
            for entry, end in zip(entries, ends, strict=True)
        ]

    def received(self, method: str = "", status: int = 0) -> list[SipText]:
        """Messages received of this method or this status."""
        return [
            message
            for message in self.messages()
            if not message.sent
            and (not method or message.method == method)
            and (not status or message.status == status)
        ]

    def wait_for(self, method: str = "", status: int = 0, seconds: float = 10.0) -> SipText:
        """The first received message of this method or status."""
        return wait_until(lambda: self.received(method, status), f"{method or status} at {self.address}", seconds)[0]

    def kill(self) -> None:
        """End it at once, as a peer that crashes."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="latin-1").replace("\r\n", "\n") if path.exists() else ""
