"""baresip as a real phone without sound card, driven through its ctrl_tcp module (JSON in netstrings)."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

from support.ports import used_udp_ports
from support.programs import needs_program
from support.waiting import wait_until

_MODULE_FOLDERS = (
    "/usr/lib/baresip/modules",
    "/usr/lib/x86_64-linux-gnu/baresip/modules",
    "/usr/lib/aarch64-linux-gnu/baresip/modules",
)
_CONTROL_PORT = 4444
# The second of two test processes takes other ranges: a port is bound only when a call begins.
_rtp_ranges = itertools.cycle(range(31000 + 100 * (os.environ.get("PYTEST_XDIST_WORKER") == "gw1"), 39000, 200))

_CONFIG = """\
poll_method epoll
sip_listen {address}:{port}
sip_trans_def udp
call_local_timeout 60
call_max_calls 8
audio_path /usr/share/baresip
audio_source ausine,{tone}
audio_player none,none
ausrc_srate 48000
auplay_srate 8000
ausrc_channels 2
auplay_channels 1
audio_level no
rtp_ports {rtp_first}-{rtp_last}
rtp_timeout 0
rtcp_mux no
jitter_buffer_delay 5-10
rtp_stats yes
net_interface {address}
dns_server 127.0.0.1:53
module_path {modules}
module g711.so
module ausine.so
module_tmp uuid.so
module_tmp account.so
module_app contact.so
module_app debug_cmd.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {address}:{control_port}
"""


class Baresip:
    """One phone with one account. As a context manager it is closed (and unregistered) at the end."""

    def __init__(
        self,
        folder: Path,
        address: str,
        server: str,
        user: str,
        password: str,
        *,
        port: int = 5060,
        transport: str = "udp",
        register_seconds: int = 60,
        auto_answer: bool = False,
        tone: int = 440,
        account_options: str = "",
        record: bool = False,
    ) -> None:
        program = needs_program("baresip", "baresip-core")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.user, self.server = folder, user, server
        rtp_first = next(first for first in _rtp_ranges if used_udp_ports().isdisjoint(range(first, first + 100)))
        modules = next((path for path in _MODULE_FOLDERS if Path(path).is_dir()), _MODULE_FOLDERS[0])
        config = _CONFIG.format(
            address=address,
            port=port,
            tone=tone,
            rtp_first=rtp_first,
            rtp_last=rtp_first + 99,
            modules=modules,
            control_port=_CONTROL_PORT,
        )
        if record:
            # Both directions of each call as WAV files in the folder.
            config += f"module sndfile.so\nsnd_path {folder}\n"
        account = (
            f"<sip:{user}@{server};transport={transport}>;auth_user={user};auth_pass={password}"
            f";regint={register_seconds};audio_codecs=PCMA/8000/1;answermode={'auto' if auto_answer else 'manual'}"
            f"{account_options}\n"
        )
        for name, text in {"config": config, "accounts": account, "contacts": "", "uuid": str(uuid.uuid4())}.items():
            (folder / name).write_text(text, encoding="ascii")
        self._log = folder / "baresip.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, "-s", "-f", str(folder)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TERM": "dumb"},
            )
        self.events: list[dict[str, Any]] = []
        self._buffer = b""
        self._tokens = itertools.count(1)
        self._socket = wait_until(lambda: self._connect(address), f"baresip of {user}", 15)

    def _connect(self, address: str) -> socket.socket | None:
        assert self.process.poll() is None, f"baresip ended with {self.process.returncode}:\n{self.log()}"
        try:
            return socket.create_connection((address, _CONTROL_PORT), timeout=1)
        except OSError:
            return None

    def __enter__(self) -> Baresip:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if kind is not None:
            print(f"--- baresip of {self.user}\n{self.log()[-6000:]}\n--- events\n{self.events}")
        self.close()

    def heard(self) -> list[Path]:
        """The recordings of what came from the other side (with `record`), complete once the call is over."""
        return sorted(self.folder.glob("dump-*dec.wav"))

    def log(self) -> str:
        """What baresip printed, with every SIP message."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _read(self, seconds: float) -> dict[str, Any] | None:
        """The next event or response, None when there is none in time."""
        deadline = time.monotonic() + seconds
        while True:
            length, colon, rest = self._buffer.partition(b":")
            if colon and len(rest) > int(length):
                self._buffer = rest[int(length) + 1 :]
                value = json.loads(rest[: int(length)].decode("utf-8", "replace"))
                assert isinstance(value, dict)
                return value
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                return None
            assert data, f"baresip of {self.user} went away:\n{self.log()[-3000:]}"
            self._buffer += data

    def command(self, command: str, parameters: str = "", seconds: float = 10.0) -> dict[str, Any]:
        """Run one of baresip's commands; AssertionError when it is refused."""
        token = str(next(self._tokens))
        text = json.dumps({"command": command, "params": parameters, "token": token}).encode()
        self._socket.sendall(b"%d:%s," % (len(text), text))
        deadline = time.monotonic() + seconds
        while True:
            value = self._read(max(0.01, deadline - time.monotonic()))
            assert value is not None, f"baresip of {self.user} did not answer {command}"
            if value.get("response") and value.get("token") == token:
                assert value.get("ok"), f"baresip refused {command} {parameters}: {value}"
                return value
            if value.get("event"):
                self.events.append(value)

    def wait_for(self, kind: str, seconds: float = 10.0) -> dict[str, Any]:
        """The next event of this type (CALL_INCOMING, CALL_ESTABLISHED, CALL_CLOSED ...)."""
        deadline = time.monotonic() + seconds
        while True:
            for index, event in enumerate(self.events):
                if event.get("type") == kind:
                    del self.events[: index + 1]
                    return event
            value = self._read(max(0.01, deadline - time.monotonic()))
            assert value is not None, f"{self.user}: no {kind} within {seconds:g} s; events: {self.events}"
            if value.get("event"):
                self.events.append(value)

    def registered(self) -> Baresip:
        """Wait until the server has taken the registration (it can be done before anybody listens for events)."""
        wait_until(lambda: "200 OK () [1 binding]" in self.log(), f"the registration of {self.user}")
        return self

    def registration_refused(self) -> str:
        """Wait until the server has refused the registration; the line that says so."""
        pattern = re.compile(r"reg: sip:\S+: (\d{3} .*|.*)")
        return wait_until(lambda: pattern.search(self.log()), f"a refusal for {self.user}")[1]

    def dial(self, number: str) -> None:
        self.command("dial", f"sip:{number}@{self.server}")

    def accept(self) -> None:
        self.command("accept")

    def hang_up(self) -> None:
        self.command("hangup")

    def hold(self) -> None:
        self.command("hold")

    def resume(self) -> None:
        self.command("resume")

    def press(self, digit: str) -> None:
        """A digit of the running call, as an RTP event (this version knows no INFO)."""
        self.command("sndcode", digit)

    def close(self) -> None:
        """End the phone; it ends its calls and unregisters."""
        self._socket.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it at once, as a phone whose plug is pulled."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
